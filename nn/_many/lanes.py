"""Small networks of one shape side by side: each gets the bits of its own ``fit``, for less time.

Kernels of single networks do not fill the processor's vectors where layers have a dozen neurons.
Here one network is trained in each lane of them (:func:`fastmlp.kernels.lane_trainer`): those that
have equal architectures, options and numbers of rows, so that all make the same steps. Learning
rates, schedules, rows and orders may differ.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import Architecture, Halted

from .._training import together
from .._training.fit import carry_out
from .._training.loop import all_done, end, train
from .._typing import Array

if TYPE_CHECKING:
    from .._training.plan import Settings
    from .._training.run import Run
    from .work import ManyHooks, Work

#: Neurons of a layer up to which lanes are faster than the kernels of single networks.
WIDEST = 24
#: Neurons of which the engine's panels have no padding, and rows of a step from which plain descent
#: of layers that wide is as fast for one network alone.
PANEL, MANY_ROWS = 16, 16
#: Part of the lanes that must have a network.
FILLED = 0.3


class Lane:
    """One network of a lane trainer, as a run sees its trainer."""

    halt: Array | None = None  # that of the lane trainer counts

    def __init__(self, trainer: Any, which: int) -> None:
        self._trainer, self._which = trainer, which

    @property
    def step(self) -> int:
        return int(self._trainer.step)

    def load(self, parameters: Array) -> None:
        self._trainer.load(self._which, parameters)

    def store(self, parameters: Array, state: Array | None = None) -> None:
        self._trainer.store(self._which, parameters, state)


def grouped(work: Work, n_threads: int, wanted: bool | None) -> list[list[int]]:
    """Networks that are trained together: several side by side, or one alone.

    Parameters
    ----------
    wanted : bool or None
        ``False`` puts each alone, ``None`` does so where that is faster.
    """
    found: dict[Any, list[int]] = {}
    known_keys: dict[Hashable, Hashable] = {}
    alone: list[list[int]] = []
    for i in work.mine:
        key = None if wanted is False else _key(work, i, wanted, known_keys)
        if key is None:
            alone.append([i])
        else:
            found.setdefault(key, []).append(i)
    jobs = []
    for (width, *_), members in found.items():
        fewest = 2 if wanted else max(2, int(np.ceil(FILLED * width)))
        each = min(width, max(fewest, -(-len(members) // n_threads)))
        for first in range(0, len(members), each):
            part = members[first : first + each]
            if len(part) < fewest:
                alone += [[i] for i in part]
            else:
                jobs.append(part)
    return jobs + alone


def _key(work: Work, i: int, wanted: bool | None, known_keys: dict[Hashable, Hashable]) -> Hashable:
    """Equal for networks that make the same steps; ``None`` for one that has to be alone."""
    net = work.networks[i]
    if work.options[i]["shuffle"] and not isinstance(net._generator, np.random.Generator):
        return None
    asked = work.kind(i), work.shape_of(i)
    if asked not in known_keys:
        known_keys[asked] = _key_of_settings(work, i, wanted)
    return known_keys[asked]


def _key_of_settings(work: Work, i: int, wanted: bool | None) -> Hashable:
    net, options, known = work.networks[i], work.options[i], work.settings_of(i)
    rows, dimensions, plain = work.shape_of(i)
    if (
        not plain
        or not together.nothing_looks(known, work.record_of(i))
        or (wanted is None and not _is_faster(net.architecture, known, rows))
        or options["epochs"] < 1
        or (width := _width(work, i)) < 2
    ):
        return None
    shuffled, size = str(options["shuffle"]), known.batch_size(rows)
    return (width, net.architecture, net.dtype, repr(known.loss), known.rule.update_rule(),
            known.engine, rows, size, dimensions, options["epochs"], shuffled)  # fmt: skip


def _is_faster(architecture: Architecture, known: Settings, rows: int) -> bool:
    """Whether lanes are faster than steps of single networks, by what was measured."""
    hidden = architecture.sizes[1:-1]
    plain = known.rule.update_rule().name == "sgd"
    filled = plain and known.batch_size(rows) >= MANY_ROWS and all(n % PANEL == 0 for n in hidden)
    return max(architecture.sizes) <= WIDEST and not (filled and hidden)


def _arguments(work: Work, i: int) -> tuple[Any, ...]:
    net, known = work.networks[i], work.settings_of(i)
    options = known.engine_for(known.batch_size(work.shape_of(i)[0]))
    return net.architecture, net.dtype, known.loss, known.rule.update_rule(), options


def _width(work: Work, i: int) -> int:
    return kernels.lanes(*_arguments(work, i))


def trainer_for(work: Work, members: Sequence[int]) -> Any:
    """A lane trainer for some networks."""
    architecture, dtype, loss, rule, options = _arguments(work, members[0])
    return kernels.lane_trainer(architecture, dtype, loss, rule, options, len(members))


def carry_out_together(pairs: Sequence[tuple[Run, ManyHooks]], trainer: Any, halt: Array) -> None:
    """Carry runs out whose trainers are the lanes of ``trainer``, from the networks' parameters on.

    One that diverges goes on by itself, from where the others have left it; so does every one where
    what comes next depends on what came out.
    """
    trainer.halt, trainer.step = halt, 0
    runs = [run for run, _ in pairs]
    for run in runs:
        run.trainer.load(run.parameters)
        run.start()
    left: dict[int, together.Piece] = {}
    try:
        while len(left) < len(runs) and not _ended(runs, left):
            _train_piece(pairs, trainer, left)
    except BaseException:
        for i, (run, hooks) in enumerate(pairs):
            if i in left:
                run.history.stop("interrupted", "")
            else:
                end(run, hooks, finished=False)
        raise
    going_on = []
    for i, (run, hooks) in enumerate(pairs):
        if i in left or run.history.epochs < run.epochs:
            going_on.append(i)
        else:
            all_done(run)
            end(run, hooks)
    try:
        for i in going_on:
            _alone(*pairs[i], left.get(i), halt)
    finally:
        for i in going_on:
            pairs[i][0].history.stop("interrupted", "")


def _ended(runs: Sequence[Run], left: Sequence[int] | dict[int, Any]) -> bool:
    """Whether those that are side by side have nothing more to do there."""
    staying = [run for i, run in enumerate(runs) if i not in left]
    return staying[0].history.epochs >= staying[0].epochs or not all(
        map(together.foreseeable, staying)
    )


def _train_piece(
    pairs: Sequence[tuple[Run, ManyHooks]], trainer: Any, left: dict[int, together.Piece]
) -> None:
    """Make some epochs of all runs; those whose numbers do not stay finite go to ``left``."""
    staying = [i for i in range(len(pairs)) if i not in left]
    if trainer.halt[0]:
        raise Halted
    count = min(together.how_many(pairs[i][0]) for i in staying)
    pieces = {i: together.Piece(pairs[i][0], count, draw=False) for i in staying}
    together.draw(list(pieces.values()), count)
    given = [pieces.get(i, pieces[staying[0]]) for i in range(len(pairs))]
    batches = [pairs[i][0].batch for i in range(len(pairs))]
    losses = np.full((len(pairs), count), np.nan)
    started = time.perf_counter()

    def seconds() -> float:
        """The share of one network."""
        for i in staying:
            pieces[i].losses[...] = losses[i]
        return (time.perf_counter() - started) / len(staying)

    try:
        trainer.run_epochs(
            [batch.x for batch in batches],
            [batch.target for batch in batches],
            [piece.orders for piece in given],
            [piece.rates for piece in given],
            out=losses,
        )
    except BaseException:
        share = seconds()
        for i in staying:
            pieces[i].interrupted(share)
        raise
    share = seconds()
    for i in staying:
        run, hooks = pairs[i]
        if pieces[i].finish(share):
            hooks.epochs_trained(run)
        else:
            left[i] = pieces[i]


def _alone(run: Run, hooks: ManyHooks, piece: together.Piece | None, halt: Array) -> None:
    """Let a run go on with a trainer of its own."""
    assert run.remake is not None
    lane, run.trainer = run.trainer, run.remake(1)
    run.trainer.halt = halt
    if piece is not None:
        piece.load()
    elif run.history.epochs:
        moments = np.empty((run.n_slots, run.parameters.size), run.parameters.dtype)
        lane.store(run.parameters, moments)
        run.trainer.load(run.parameters, moments, lane.step)
    else:
        carry_out(run, hooks)
        return
    train(run, hooks)
