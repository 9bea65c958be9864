"""Data, first weights, and what a right answer is.

Every contender trains the same network from the same weights on the same batches. Before it is
timed, its loss and its parameters after a few steps are compared with the reference backend's in
float64, with settings under which the answer is well-conditioned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from fastmlp import kernels

from .shapes import Shape

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Setting:
    """How a contender runs: threads, step size, Adam's epsilon, and whether rows are shuffled."""

    n_threads: int | None
    learning_rate: float
    epsilon: float
    shuffle: bool


def timed(n_threads: int | None) -> Setting:
    """Steps so small that thousands of them leave the network, and thus the work, as it was."""
    return Setting(n_threads, learning_rate=1e-6, epsilon=1e-8, shuffle=True)


def verified(n_threads: int | None) -> Setting:
    """Steps large enough to see an error, well-conditioned ones.

    Adam divides by ``√v + ε``: with the usual epsilon its first step is the sign of the gradient,
    which rounding alone can flip. A large epsilon makes it a smooth function of the gradient.
    """
    return Setting(n_threads, learning_rate=0.05, epsilon=0.01, shuffle=False)


@dataclass(frozen=True)
class Problem:
    """A data set, the order in which a contender visits it, and the first parameters."""

    x: Array
    target: Array
    order: Array
    parameters: Array


def make(shape: Shape, dtype: str, steps: int, seed: int = 0) -> Problem:
    """Normal inputs, targets that fit the loss, Glorot's weights, biases that are not zero."""
    random = np.random.default_rng(seed)
    n, n_out = steps * shape.batch, shape.sizes[-1]
    x = random.standard_normal((n, shape.sizes[0]))
    labels = random.integers(n_out, size=n)
    target: Array
    if shape.loss == "cross_entropy":
        target = labels
    elif shape.loss == "binary_cross_entropy":
        target = random.integers(2, size=(n, n_out)).astype(dtype)
    elif shape.output == "sigmoid":
        target = np.eye(n_out, dtype=dtype)[labels]
    else:
        target = random.standard_normal((n, n_out)).astype(dtype)
    parameters = np.empty(shape.architecture.n_parameters)
    weights, biases = shape.architecture.views(parameters)
    for w, b in zip(weights, biases, strict=True):
        w[...] = random.uniform(-1, 1, w.shape) * np.sqrt(6 / sum(w.shape))
        b[...] = random.uniform(-0.1, 0.1, b.shape)
    return Problem(
        x.astype(dtype), target, random.permutation(n).astype(np.intp), parameters.astype(dtype)
    )


def answer(
    shape: Shape, problem: Problem, setting: Setting, epsilon_hat: bool
) -> tuple[float, Array]:
    """Mean loss and parameters after one epoch, by the reference backend in float64."""
    with kernels.use_backend("reference"):
        trainer = kernels.trainer(
            shape.architecture,
            "float64",
            shape.loss,
            shape.update_rule(setting.epsilon, epsilon_hat),
            batch_size=shape.batch,
        )
        trainer.load(problem.parameters.astype("float64"))
        target = (
            problem.target if problem.target.dtype.kind in "iu" else problem.target.astype("f8")
        )
        loss = trainer.run_epoch(
            problem.x.astype("f8"), target, problem.order, setting.learning_rate
        )
        parameters = np.empty(len(problem.parameters))
        trainer.store(parameters)
    return loss, parameters


#: Relative error of a change of weights: some 10³ roundings of the type.
TOLERANCE = {"float32": 3e-4, "float64": 1e-11}
#: In float32 a million scores have one or two within rounding of ReLU's kink; there the sums'
#: order decides whether a row's error passes a unit, and the next steps carry it on.
KINK_TOLERANCE = 0.02


def check(
    name: str, shape: Shape, problem: Problem, got: tuple[float, Array], want: tuple[float, Array]
) -> None:
    """Raise ``AssertionError`` with the error unless loss and every array's change are right.

    An array passes if ``‖Δ - Δ_ref‖ ≤ rtol ‖Δ_ref‖ + atol`` with the change ``Δ`` since the first
    weights and ``atol`` four roundings of its values, in the Euclidean norm.
    """
    dtype = problem.parameters.dtype
    rtol, rounding = TOLERANCE[dtype.name], 4 * float(np.finfo(dtype).eps)
    if shape.activation == "relu" and dtype == np.float32:
        rtol = KINK_TOLERANCE
    if not abs(got[0] - want[0]) <= TOLERANCE[dtype.name] * (1 + abs(want[0])):
        raise AssertionError(f"{name} on {shape.id}: loss {got[0]!r}, expected {want[0]!r}")
    first, have, right = (
        [*weights, *biases]
        for weights, biases in map(
            shape.architecture.views,
            (problem.parameters.astype("f8"), got[1].astype("f8"), want[1]),
        )
    )
    for index, (start, a, b) in enumerate(zip(first, have, right, strict=True)):
        error = float(np.linalg.norm(a - b))
        allowed = rtol * float(np.linalg.norm(b - start)) + rounding * float(np.linalg.norm(b))
        if not error <= allowed:
            kind = "weights" if index < len(first) // 2 else "biases"
            raise AssertionError(
                f"{name} on {shape.id} ({dtype}): {kind} of layer {index % (len(first) // 2) + 1} "
                f"are {error:.3g} from the reference after {len(problem.order) // shape.batch} "
                f"steps, {allowed:.3g} is allowed"
            )


def shortened(shape: Shape, quick: bool) -> Shape:
    """The shape itself, or with a handful of steps an epoch for a trial run."""
    return replace(shape, steps=min(shape.steps, 5)) if quick else shape
