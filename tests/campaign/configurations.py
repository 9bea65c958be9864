"""Random configurations of everything that a training step depends on, run on all backends.

``check`` makes a few steps. Each starts on every backend from the same parameters and state, so
that errors do not add up, and is compared with the reference in float64. What rounding may do to
this very step is measured, not guessed: the reference makes it again from parameters and rows that
are moved by a unit in the last place, and the largest change is what a backend may be off by,
besides the tolerance of the parity tests. A step that hits a kink (of an activation, of a loss, of
a rule that takes signs) changes by jumps under such moves, and so shows itself.

``python tests/campaign/configurations.py SEED`` runs one configuration and shrinks what fails.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import CSR, Architecture, Loss, TargetWeights, UpdateRule
from support import LAYOUTS, LOSS_PAIRS, RULES, laid_out, targets

Array = np.ndarray[Any, Any]
STEPS, MOVES = 4, 6
#: Layouts that need no folder, and the plain one.
IN_MEMORY = ("C", *(name for name in LAYOUTS if name not in ("memory-mapped", "broadcast")))
#: What two epochs are compared by.
SEEN = ("loss", "gradient norm", "loss", "gradient norm", "parameters", "state")
WIDTHS = (1, 2, 3, 5, 8, 15, 16, 17, 31, 33, 64, 100)


@dataclass(frozen=True)
class Configuration:
    """Everything that a few training steps depend on; its ``repr`` makes it again."""

    seed: int
    sizes: tuple[int, ...] = (3, 2)
    activations: tuple[str, ...] = ()
    loss: Loss = field(default_factory=lambda: Loss("squared_error"))
    output: str = "identity"
    rule: UpdateRule = field(default_factory=lambda: UpdateRule("sgd"))
    options: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float64"
    batch: int = 5
    rate: float = 0.01
    target: int = 0
    weighted: bool = False
    sparse: bool = False
    layout: str = "C"
    threads: int = 1

    @property
    def architecture(self) -> Architecture:
        return Architecture(self.sizes, self.activations, self.output)


def draw(seed: int) -> Configuration:
    """The configuration of a seed."""
    rng = np.random.default_rng(seed)

    def one(values: Any) -> Any:
        return values[rng.integers(len(values))]

    hidden = int(rng.integers(0, 4))
    loss, output = one(LOSS_PAIRS)
    sizes = tuple(int(one(WIDTHS)) for _ in range(hidden + 2))
    if loss.name == "multiclass_hinge":
        sizes = (*sizes[:-1], max(2, sizes[-1]))
    layers = hidden + 1
    options: dict[str, Any] = {
        "l2": 0.1,
        "l2_over_batch": True,
        "l1": 0.01,
        "dropout": tuple(float(one((0.0, 0.2, 0.5))) for _ in range(layers)),
        "seed": int(rng.integers(2**63)),
        "clip_value": 0.05,
        "clip_norm": float(one((0.1, 1e6))),
        "max_norm": 1.0,
        "trainable": tuple(bool(one((True, False))) for _ in range(layers)),
        "track_gradient_norm": True,
    }
    return Configuration(
        seed,
        sizes,
        tuple(one(kernels.ACTIVATIONS) for _ in range(hidden)),
        loss,
        output,
        one(RULES),
        {name: value for name, value in options.items() if rng.random() < 0.3},
        one(("float32", "float64")),
        int(one((1, 2, 5, 6, 7, 16, 33, 100))),
        0.002 if output == "exp" else float(one((1e-3, 0.05))),
        int(rng.integers(3)),
        bool(rng.random() < 0.4),
        bool(rng.random() < 0.25),
        one(IN_MEMORY),
        int(one((1, 2, 3, 4))),
    )


class Problem:
    """Parameters, rows, targets and row weights of a configuration."""

    def __init__(self, c: Configuration) -> None:
        rng = np.random.default_rng(c.seed)
        net, n, dtype = c.architecture, c.batch * STEPS, np.dtype(c.dtype)
        self.flat = (0.5 * rng.standard_normal(net.n_parameters)).astype(dtype)
        for weights in net.views(self.flat)[0]:
            weights *= dtype.type((0.2 if c.output == "exp" else 3.0) / np.sqrt(len(weights)))
        kinds = list(targets(c.loss, n, c.sizes[-1], dtype, rng))
        self.target = kinds[c.target % len(kinds)]
        self.weight = rng.random(n).astype(dtype) + dtype.type(0.1) if c.weighted else None
        x = rng.standard_normal((n, c.sizes[0])).astype(dtype)
        if c.sparse:
            x[rng.random(x.shape) < 0.7] = 0
        self.dense = x
        self.order = rng.permutation(n).astype(np.intp)
        self.rows = as_csr(x) if c.sparse else self.arranged(c.layout, x)
        self.state = c.rule.initial_state(len(self.flat), c.rate, dtype)

    @staticmethod
    def arranged(layout: str, x: Array) -> Array:
        return x if layout == "C" else laid_out(x, layout, None)


def as_csr(x: Array) -> CSR:
    """The rows without their zeros."""
    counts = np.count_nonzero(x, axis=1)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return CSR(x[x != 0], np.nonzero(x)[1].astype(np.int32), indptr, x.shape)


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


def compare(
    have: dict[str, Array],
    exact: dict[str, Array],
    near: list[dict[str, Array]],
    c: Configuration,
    start: Array,
) -> Iterator[str]:
    """What is off by more than rounding can explain; ``start`` are the parameters before."""
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
            for fault in compare(
                make_step(trainer, c, p, start, p.rows, number, p.weight),
                exact,
                near,
                c,
                start[0],
            ):
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


def simpler(c: Configuration) -> Iterator[Configuration]:
    """The same configuration with one thing less."""
    for name in c.options:
        yield replace(c, options={key: value for key, value in c.options.items() if key != name})
    if len(c.sizes) > 2 and not {"dropout", "trainable"} & set(c.options):
        yield replace(c, sizes=(c.sizes[0], *c.sizes[2:]), activations=c.activations[1:])
    for place, size in enumerate(c.sizes):
        for less in {1, 2, size // 2} - {0}:
            if less < size:
                yield replace(c, sizes=(*c.sizes[:place], less, *c.sizes[place + 1 :]))
    plain = Configuration(c.seed)
    for name in ("weighted", "sparse", "layout", "threads", "target", "dtype", "rule"):
        if getattr(c, name) != getattr(plain, name):
            yield replace(c, **{name: getattr(plain, name)})
    for less in {1, c.batch // 2} - {0, c.batch}:
        yield replace(c, batch=less)
    for place, name in enumerate(c.activations):
        if name != "identity":
            others = (*c.activations[:place], "identity", *c.activations[place + 1 :])
            yield replace(c, activations=others)


def shrunk(c: Configuration, fails: Any) -> Configuration:
    """The smallest configuration on the way from ``c`` that still fails."""
    changed = True
    while changed:
        changed = False
        for candidate in simpler(c):
            try:
                failed = fails(candidate)
            except ValueError:  # it means nothing
                continue
            if failed:
                c, changed = candidate, True
                break
    return c


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
