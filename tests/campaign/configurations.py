"""Random configurations of everything that a training step depends on, and simpler ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import CSR, Architecture, Loss, UpdateRule
from support import LAYOUTS, LOSS_PAIRS, RULES, laid_out, targets

Array = np.ndarray[Any, Any]
#: Steps of a problem.
STEPS = 4
#: Layouts that need no folder, and the plain one.
IN_MEMORY = ("C", *(name for name in LAYOUTS if name not in ("memory-mapped", "broadcast")))
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
