"""``fastmlp train``: data in, a trained and tested network out."""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from fastmlp import MLP, kernels

from .._model import FILE_NAME, Model, Preprocessing, can_save
from . import _choices as choices
from . import _report
from ._metrics import measure, show
from ._progress import Monitor, choose_display, elapsed
from ._sources import Source, check_options, default_name, load
from ._usage import version

INTERRUPTED = 130


def run(options: argparse.Namespace) -> int:
    """Train as ``options`` say; return the exit code."""
    check_options(options)
    optimizer = choices.optimizer_of(options)
    stop = choices.stop_rules(options)
    choices.check_pair(options.output, options.loss)
    if options.backend:
        kernels.use_backend(options.backend)
    folder = _writable(Path(options.out or f"fastmlp-{default_name(options.data)}"))
    if not can_save():
        print("the model will not be saved: pip install 'fastmlp[io]'", file=sys.stderr)

    source = load(options)
    plan = choices.plan(options, source, optimizer, stop)
    network = MLP(
        plan.sizes,
        activation=options.activation,
        output=plan.output,
        dtype=options.dtype,
        random_state=options.seed,
        n_threads=options.threads,
    )
    _announce(options, source, plan)
    monitor, interrupted = _fit(options, source, plan, network)
    if monitor.diverged and monitor.history is not None:
        raise ValueError(
            f"the loss is not finite any more after epoch {monitor.history.epochs}; nothing was "
            f"written. Try a lower --learning-rate than {plan.optimizer.learning_rate:g}"
        )
    model = Model(network, source.preprocessing)
    _finish(options, source, plan, model, monitor, folder, interrupted)
    return INTERRUPTED if interrupted else 0


def _fit(
    options: argparse.Namespace, source: Source, plan: choices.Plan, network: MLP
) -> tuple[Monitor, bool]:
    """Train; return what was recorded, and whether Ctrl-C ended it."""
    prepare, held_out = source.preprocessing, source.validation
    validation = None
    if held_out is not None:
        validation = (
            prepare.inputs(held_out.x, options.dtype),
            prepare.targets(held_out.y, options.dtype),
        )
    inputs = prepare.inputs(source.train.x, options.dtype)
    targets = prepare.targets(source.train.y, options.dtype)
    display = choose_display(plan.epochs, options.quiet)
    monitor = Monitor(
        display,
        prepare,
        len(inputs),
        validation[0] if validation else None,
        held_out.y if held_out else None,
    )
    try:
        with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
            # The command has its own words for divergence, with the options that may help.
            warnings.filterwarnings("ignore", "the loss became")
            network.fit(
                inputs,
                targets,
                loss=plan.loss,
                optimizer=plan.optimizer,
                batch_size=plan.batch_size,
                epochs=plan.epochs,
                learning_rate=options.schedule,
                l1=options.l1,
                l2=options.l2,
                dropout=options.dropout,
                clip_norm=options.clip_norm,
                label_smoothing=options.label_smoothing,
                class_weight="balanced" if options.balanced else None,
                stop=plan.stop,
                validation_data=validation,
                callbacks=[monitor],
            )
    except KeyboardInterrupt:
        return monitor, True
    finally:
        display.close()
    return monitor, False


def _finish(
    options: argparse.Namespace,
    source: Source,
    plan: choices.Plan,
    model: Model,
    monitor: Monitor,
    folder: Path,
    interrupted: bool,
) -> None:
    """Test the network, say how it went, and write the files."""
    history = monitor.history.to_dict() if monitor.history else {"loss": [], "seconds": []}
    seconds, done = sum(history["seconds"]), len(history["loss"])
    speed = done * len(source.train) / max(seconds, 1e-9)
    test = measure(source.preprocessing, model.outputs(source.test.x), source.test.y)
    if monitor.history is not None and done < plan.epochs and not interrupted:
        print(f"stopped  {monitor.history.stop_message}")
    if interrupted:
        print(f"\ninterrupted after {done} of {plan.epochs} epochs; keeping the last finished step")
    print(f"trained  {elapsed(seconds)} for {done} epochs, {speed:,.0f} rows/s")
    print(f"test     {show(test)} ({len(source.test):,} rows)")

    report = {
        "fastmlp": version(),
        "data": {
            "name": source.preprocessing.name,
            "rows": len(source.train),
            "validation_rows": len(source.validation) if source.validation else 0,
            "test_rows": len(source.test),
            "seed": options.seed,
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
        "restraint": {name: getattr(options, name) for name in choices.RESTRAINT},
        "summary": _summary(options, plan),
        "interrupted": interrupted,
        "kernels": kernels.info(),
        "history": {**history, "validation_metrics": monitor.validation},
        "training_seconds": seconds,
        "rows_per_second": speed,
        "test": test,
    }
    written = []
    if can_save():
        model.save(folder / FILE_NAME)
        written.append(FILE_NAME)
    _report.write_history(folder / "history.json", report)
    written.append("history.json")
    if done and _report.can_draw():
        _report.draw_learning_curve(folder / "learning_curve.png", report)
        written.append("learning_curve.png")
    print(f"wrote    {folder}/: {', '.join(written)}")
    if not _report.can_draw():
        print("no learning_curve.png without matplotlib: pip install 'fastmlp[plot]'")


def _writable(folder: Path) -> Path:
    """Make the folder and try it before the training, not after."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"cannot write into {folder}: it is a file, not a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"cannot write into the folder {folder}: {error.strerror}") from error
    return folder


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
    print(
        f"data     {prepare.name}: {prepare.n_features} features, {what}; "
        f"{len(source.train):,} + {n_validation:,} + {len(source.test):,} rows "
        "(training, validation, test)"
    )
    print(
        f"network  {_summary(options, plan)}; {plan.loss}, {options.optimizer} "
        f"{plan.optimizer.learning_rate:g}, batches of {plan.batch_size}"
    )
    print(
        f"kernels  {live['backend']}, {live['isa']}, {options.dtype}, "
        f"up to {options.threads or live['n_threads']} threads"
    )
