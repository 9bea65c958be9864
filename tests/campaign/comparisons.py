"""Training steps of a random configuration, compared between all backends.

``check`` makes a few steps. Each starts on every backend from the same parameters and state, so
that errors do not add up, and is compared with the reference in float64. What rounding may do to
this very step is measured, not guessed: the reference makes it again from parameters and rows that
are moved by a unit in the last place, and the largest change is what a backend may be off by,
besides the tolerance of the parity tests. A step that hits a kink (of an activation, of a loss, of
a rule that takes signs) changes by jumps under such moves, and so shows itself.

``python tests/campaign/comparisons.py SEED`` runs one configuration and shrinks what fails.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from configurations import STEPS, Array, Configuration, Problem, draw, shrunk
from fastmlp import kernels
from fastmlp.kernels import TargetWeights, UpdateRule

MOVES = 6
#: What two epochs are compared by.
SEEN = ("loss", "gradient norm", "loss", "gradient norm", "parameters", "state")


def make_step(
    trainer: Any,
    c: Configuration,
    p: Problem,
    start: tuple[Array, Array],
    x: Any,
    number: int,
    weight: Array | TargetWeights | None,
) -> dict[str, Array]:
    """What one step makes of parameters and state, in the precision of ``start``."""
    flat, state = start
    weight = None if weight is None else weight.astype(flat.dtype)
    target = p.target.astype(flat.dtype) if p.target.dtype.kind == "f" else p.target
    batch = p.order[number * c.batch : (number + 1) * c.batch]
    trainer.load(flat, state, number)
    loss = trainer.run_epoch(x, target, batch, c.rate, sample_weight=weight)
    after, memory = np.empty_like(flat), np.empty_like(state)
    trainer.store(after, memory)
    result = {"loss": np.array(loss), "parameters": after, "state": memory}
    if trainer.gradient_norm is not None:
        result["gradient norm"] = np.array(trainer.gradient_norm)
    return result


def moved(array: Array, unit: float, rng: np.random.Generator) -> Array:
    """Every number a unit in the last place up or down, or as it was."""
    return array * (1 + unit * rng.integers(-1, 2, array.shape))


def moved_weights(c: Configuration, p: Problem, rng: np.random.Generator) -> Array | TargetWeights:
    """Weights of rows and targets that are off by a unit.

    With them rows, or the outputs of a softmax, no longer cancel, whose sum has no sign but that of
    its rounding.
    """
    unit = float(np.finfo(c.dtype).eps)
    weight = np.ones(len(p.dense)) if p.weight is None else p.weight.astype(np.float64)
    rows, k = moved(weight, unit, rng), kernels.targets_of_a_row(c.loss, c.sizes[-1])
    return rows if k is None else TargetWeights(rows, moved(np.ones((len(rows), k)), unit, rng))


def trainer_of(module: Any, c: Configuration, dtype: Any, **threads: int) -> Any:
    """A trainer for single steps."""
    return module.trainer(
        c.architecture, dtype, c.loss, c.rule, batch_size=c.batch, **c.options, **threads
    )


def unsure_signs(c: Configuration, p: Problem, flat: Array, number: int) -> Array:
    """Parameters whose gradient is so near to 0 that rounding decides over its sign.

    The slope of a sure tanh or softmax is 0 or a unit, however little the inputs are moved, and
    rules that take signs, or divide by the gradient's size, make whole steps of it.
    """
    options = {name: value for name, value in c.options.items() if name != "max_norm"}
    plain = replace(c, rule=UpdateRule("sgd"), rate=1.0, options=options)
    with kernels.use_backend("reference"):
        trainer = trainer_of(kernels, plain, "float64")
    start = flat.astype(np.float64), plain.rule.initial_state(len(flat), 1.0, np.dtype("float64"))
    x = p.dense.astype(np.float64)
    gradient = start[0] - make_step(trainer, plain, p, start, x, number, p.weight)["parameters"]
    size = np.abs(gradient)
    unsure: Array = size <= 4 * np.finfo(c.dtype).eps * np.max(size)
    return unsure


def compare(
    have: dict[str, Array],
    exact: dict[str, Array],
    near: list[dict[str, Array]],
    c: Configuration,
    start: Array,
    undecided: Any = False,
) -> Iterator[str]:
    """What is off by more than rounding can explain; ``start`` are the parameters before.

    What a rule makes of ``undecided`` parameters, and remembers of them, is not looked at.
    """
    unit = float(np.finfo(c.dtype).eps)
    length = 8 * (4 * sum(c.sizes) + c.batch) + (1000 if c.rule.name == "ftrl" else 0)
    for name, want in exact.items():
        got = have[name].astype(np.float64)
        spread = np.max([np.abs(one[name] - want) for one in near], axis=0)
        with np.errstate(invalid="ignore"):
            size = np.minimum(1, np.max(np.abs(want), axis=-1, keepdims=True)) if want.ndim else 1
            # What a step takes from the parameters was rounded, too; FTRL's state holds them.
            if name == "parameters" or (name == "state" and c.rule.name == "ftrl"):
                size = np.maximum(size, np.minimum(1, np.max(np.abs(start))))
            allowed = unit * (length * size + 16 * np.abs(want)) + 8 * spread
            if name == "parameters":
                # The errors of a sure softmax are 0 or a unit, times activations that may be huge.
                allowed = allowed + 4 * unit * np.max(np.abs(want - start))
            same = (got == want) | (np.isnan(got) & np.isnan(want))
            wrong = ~(same | (np.abs(got - want) <= allowed))
            if name in ("parameters", "state"):
                wrong &= ~np.asarray(undecided)
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])
            yield (
                f"{np.count_nonzero(wrong)} of {wrong.size} values of {name}, at {place} "
                f"{got[place]!r} instead of {want[place]!r} (allowed ±{allowed[place]:.3g})"
            )


def check(c: Configuration) -> str:
    """What is wrong with a configuration; nothing, as a rule."""
    with np.errstate(all="ignore"):
        return _check(c)


def _check(c: Configuration) -> str:
    p, rng = Problem(c), np.random.default_rng(c.seed)
    start, unit = (p.flat, p.state), float(np.finfo(c.dtype).eps)
    with kernels.use_backend("reference"):
        oracle = trainer_of(kernels, c, "float64")
    trainers = {}
    for name in kernels.available():
        with kernels.use_backend(name):
            trainers[name] = trainer_of(kernels, c, c.dtype, n_threads=c.threads)
    for number in range(STEPS):
        doubled = tuple(array.astype(np.float64) for array in start)
        exact = make_step(oracle, c, p, doubled, p.dense.astype(np.float64), number, p.weight)
        near = [
            make_step(
                oracle, c, p, tuple(moved(array, unit, rng) for array in doubled),
                moved(p.dense.astype(np.float64), unit, rng), number, moved_weights(c, p, rng),
            )
            for _ in range(MOVES)
        ]  # fmt: skip
        for name, trainer in trainers.items():
            have = make_step(trainer, c, p, start, p.rows, number, p.weight)
            if not any(compare(have, exact, near, c, start[0])):
                continue
            unsure = unsure_signs(c, p, start[0], number)
            for fault in compare(have, exact, near, c, start[0], unsure):
                return f"{name}, step {number}: {fault}"
        start = tuple(exact[name].astype(c.dtype) for name in ("parameters", "state"))
        if not all(np.isfinite(array).all() for array in start):
            break
    return ""


def same_bits(c: Configuration, threads: tuple[int, ...], repeats: int) -> str:
    """What differs between numbers of threads, or between runs, on the live backend."""
    p, first = Problem(c), None
    for n_threads in threads:
        for _ in range(repeats):
            trainer = trainer_of(kernels, c, c.dtype, n_threads=n_threads)
            trainer.load(p.flat)
            seen: list[Any] = []
            for _ in range(2):
                loss = trainer.run_epoch(p.rows, p.target, p.order, c.rate, sample_weight=p.weight)
                seen += [np.float64(loss).tobytes(), np.float64(trainer.gradient_norm).tobytes()]
            after, state = np.empty_like(p.flat), np.empty_like(p.state)
            trainer.store(after, state)
            seen += [after.tobytes(), state.tobytes()]
            first = first or seen
            if seen != first:
                pairs = zip(SEEN, first, seen, strict=True)
                differs = ", ".join(sorted({name for name, a, b in pairs if a != b}))
                return f"{kernels.info()['backend']}, {n_threads} threads: {differs}"
    return ""


def report(c: Configuration, fault: str, function: str = "check") -> str:
    """A sentence and the line that shows the fault again."""
    fails = globals()[function]
    small = shrunk(c, fails if function == "check" else lambda one: fails(one, (1, 2, 4), 3))
    return f"seed {c.seed}: {fault}\n  {function}({small!r})"


if __name__ == "__main__":
    for seed in map(int, sys.argv[1:]):
        configuration = draw(seed)
        fault = check(configuration)
        print(report(configuration, fault) if fault else f"seed {seed}: {configuration}")
