"""``fastmlp train``: data in, a trained and tested network out."""

from __future__ import annotations

import argparse
import dataclasses
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fastmlp import MLP, kernels

from .._cluster import job
from .._files import shown
from .._model import FILE_NAME, Model, Preprocessing, can_save
from .._model.in_blocks import Blocks
from ..callbacks import Callback
from . import _choices as choices
from . import _report, _resume
from ._cross_validation import cross_validate
from ._progress import Monitor, choose_display, elapsed
from ._scores import baseline, details, measure, show, show_guess
from ._sources import STDIN, Rows, Source, check_options, default_name, load
from ._usage import DONE, INTERRUPTED, UsageError, say, version


@dataclass(frozen=True)
class _Prepared:
    """What is read and settled before the training."""

    folder: Path
    source: Source
    plan: choices.Plan
    recorder: _resume.Recorder | None


def run(options: argparse.Namespace) -> int:
    """Train as ``options`` say; return the exit code."""
    if options.mpi and (options.cv or options.data == STDIN):
        raise UsageError(
            "--mpi shares one training and needs a file: it goes with no --cv, and no -"
        )
    processes = job.Job(job.world() if options.mpi else None)
    if options.mpi and options.threads is None:
        options.threads = job.threads(processes.comm)
    with processes.quiet():
        return _train(options, processes, processes.together(lambda: _prepare(options)))


def _prepare(options: argparse.Namespace) -> _Prepared:
    check_options(options)
    optimizer = choices.optimizer_of(options)
    stop = choices.stop_rules(options)
    choices.check_pair(options)
    if options.backend:
        kernels.use_backend(options.backend)
    folder = Path(options.out or f"fastmlp-{default_name(options.data)}")
    _check_writable(folder)
    if not can_save():
        say("the model will not be saved: pip install 'fastmlp[io]'", error=True)
    earlier = _resume.read(folder) if options.resume else None

    source = load(options)
    plan = choices.plan(options, source, optimizer, stop)
    described = choices.described_by(options)
    prepared = dataclasses.replace(source.preprocessing, loss=described)
    source = dataclasses.replace(source, preprocessing=prepared)
    recorder = None
    if can_save() and options.memory is None:  # which keeps no state of its rows
        recorder = _resume.Recorder(folder, options, source, plan)
    if earlier is not None and recorder is not None:
        recorder.go_on_from(earlier)
    return _Prepared(folder, source, plan, recorder)


def _train(options: argparse.Namespace, processes: job.Job, prepared: _Prepared) -> int:
    source, plan, recorder = prepared.source, prepared.plan, prepared.recorder
    network = MLP(
        plan.sizes,
        activation=options.activation,
        output=plan.output,
        dtype=options.dtype,
        random_state=options.seed,
        n_threads=options.threads,
    )
    _announce(options, source, plan)
    if options.cv:
        cross_validate(options, source, plan)
    monitor, interrupted = _fit(options, source, plan, network, recorder, processes)
    if not processes.leads:
        return DONE
    if monitor.diverged and monitor.history is not None:
        raise ValueError(
            f"the loss is not finite any more after epoch {monitor.history.epochs}; no model "
            f"was written. Try a lower --learning-rate than {plan.optimizer.learning_rate:g}"
        )
    if interrupted and monitor.history is None and options.resume:
        return INTERRUPTED  # nothing of the run has been read: what is there stays
    model = Model(network, source.preprocessing)
    report = _finish(options, source, plan, model, monitor, interrupted)
    _leave(prepared.folder, model, report, recorder)
    return INTERRUPTED if interrupted else DONE


def _fit(
    options: argparse.Namespace,
    source: Source,
    plan: choices.Plan,
    network: MLP,
    recorder: _resume.Recorder | None,
    processes: job.Job,
) -> tuple[Monitor, bool]:
    """Train; return what was recorded, and whether Ctrl-C ended it."""
    prepare, held_out = source.preprocessing, source.validation
    inputs, targets, _ = _of_network(source.train, prepare, options.dtype)
    watched, validation = None, None
    if held_out is not None:
        watched, _, validation = _of_network(held_out, prepare, options.dtype)
    display = choose_display(plan.epochs, options.quiet or not processes.leads)
    monitor = Monitor(
        display,
        prepare,
        len(source.train),
        watched,
        held_out.y if held_out else None,
    )
    callbacks: list[Callback] = [monitor]
    if recorder is not None:
        recorder.follow(monitor)
        callbacks.append(recorder)
    try:
        with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
            # The command has its own words for divergence, with the options that may help.
            warnings.filterwarnings("ignore", "the loss became")
            network.fit(
                inputs,
                targets,
                **choices.fit_arguments(options, plan),
                stop=plan.stop,
                validation_data=validation,
                callbacks=callbacks,
                resume=recorder.path if options.resume and recorder is not None else None,
                comm=processes.comm,
            )
    except KeyboardInterrupt:
        return monitor, True
    finally:
        display.close()
    return monitor, False


def _of_network(rows: Rows | Blocks, prepare: Preprocessing, dtype: Any) -> tuple[Any, Any, Any]:
    """Inputs and targets of a network, and both as it takes them to validate."""
    if isinstance(rows, Blocks):
        source = rows.inputs(prepare, dtype)
        return source, None, source
    inputs, targets = prepare.inputs(rows.x, dtype), prepare.targets(rows.y, dtype)
    return inputs, targets, (inputs, targets)


def _finish(
    options: argparse.Namespace,
    source: Source,
    plan: choices.Plan,
    model: Model,
    monitor: Monitor,
    interrupted: bool,
) -> dict[str, object]:
    """Test the network and say how it went; return the run as numbers."""
    history = monitor.history.to_dict() if monitor.history else {"loss": [], "seconds": []}
    seconds, done = sum(history["seconds"]), len(history["loss"])
    prepare, network = source.preprocessing, model.network
    output = np.asarray(network.predict(_of_network(source.test, prepare, network.dtype)[0]))
    test = measure(prepare, output, source.test.y)
    guess = baseline(prepare, source.train.y, source.test.y)
    if monitor.history is not None and done < plan.epochs and not interrupted:
        say(f"stopped  {monitor.history.stop_message}")
    if interrupted:
        say(f"\ninterrupted after {done} of {plan.epochs} epochs; keeping the last finished step")
    speed = done * len(source.train) / max(seconds, 1e-9)
    say(f"trained  {elapsed(seconds)} for {done} epochs, {speed:,.0f} rows/s")
    say(f"test     {show(test)} ({len(source.test):,} rows)")
    say(f"baseline {show_guess(prepare, guess)}")
    for line in details(model, output, source.test.y):
        say(line)
    return {
        "fastmlp": version(),
        "data": {
            "name": prepare.name,
            "rows": len(source.train),
            "validation_rows": len(source.validation) if source.validation else 0,
            "test_rows": len(source.test),
            "seed": options.seed,
            "notes": source.notes,
        },
        "network": {
            "sizes": plan.sizes,
            "activation": options.activation,
            "output": plan.output,
            "dtype": options.dtype,
        },
        "loss": plan.loss,
        "optimizer": {"name": options.optimizer, **vars(plan.optimizer)},
        "schedule": options.schedule,
        "batch_size": plan.batch_size,
        "regularisation": {name: getattr(options, name) for name in choices.REGULARISATION},
        "summary": _summary(options, plan),
        "interrupted": interrupted,
        "kernels": kernels.info(),
        "history": {**history, "validation_metrics": monitor.validation},
        "training_seconds": seconds,
        "rows_per_second": speed,
        "test": test,
        "baseline": guess,
    }


def _leave(
    folder: Path, model: Model, report: dict[str, object], recorder: _resume.Recorder | None
) -> None:
    """Write the files; a folder that was made for them goes where that fails."""
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        written = []
        if can_save():
            model.save(folder / FILE_NAME)
            written.append(FILE_NAME)
        written += _report.write_report(folder, report)
        if recorder is not None and recorder.write():
            written.append(_resume.RUN_NAME)
    except BaseException:
        if made and not any(folder.iterdir()):
            folder.rmdir()
        raise
    say(f"wrote    {shown(folder)}/: {', '.join(written)}")
    if not _report.can_draw():
        say("no learning_curve.png without matplotlib: pip install 'fastmlp[plot]'")


def _check_writable(folder: Path) -> None:
    """Whether the folder can be written to, or be made: before the training, not after."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        what = "is a file, not a folder"
        if existing == folder:
            raise ValueError(f"cannot write into {shown(folder)}: it {what}")
        raise ValueError(f"cannot write into the folder {shown(folder)}: {shown(existing)} {what}")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(f"cannot write into the folder {shown(folder)}: permission denied")


def _summary(options: argparse.Namespace, plan: choices.Plan) -> str:
    sizes = "-".join(str(size) for size in plan.sizes)
    hidden = f"{options.activation}, " if options.layers else ""
    return f"{sizes}, {hidden}{plan.output}"


def _announce(options: argparse.Namespace, source: Source, plan: choices.Plan) -> None:
    prepare: Preprocessing = source.preprocessing
    n_validation = len(source.validation) if source.validation else 0
    what = f"{len(prepare.target_names)} classes"
    if prepare.task == "regression":
        what = f"real values of {', '.join(prepare.target_names)}"
    live = kernels.info()
    for note in source.notes:
        say(f"note     {note}")
    say(
        f"data     {prepare.name}: {prepare.n_features} features, {what}; "
        f"{len(source.train):,} + {n_validation:,} + {len(source.test):,} rows "
        "(training, validation, test)"
    )
    say(
        f"network  {_summary(options, plan)}; {plan.loss}, {options.optimizer} "
        f"{plan.optimizer.learning_rate:g}, batches of {plan.batch_size}"
    )
    say(
        f"kernels  {live['backend']}, {live['isa']}, {options.dtype}, "
        f"up to {options.threads or live['n_threads']} threads"
    )
