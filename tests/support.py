"""What several tests share: calls of every kernel on made-up data, layouts, and the comparison.

A :class:`Call` names a kernel and holds its arguments. ``expected(call)`` is the reference
backend's answer in float64; ``assert_agrees`` compares with ``atol + rtol·|ref|``, where ``atol``
grows with the length of the sums behind a value, and says everything about the largest error.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import Loss, UpdateRule, reference

Array = np.ndarray[Any, Any]

#: Kernels that return a value computed from arrays.
FUNCTIONS = (
    "dense_forward",
    "activate",
    "activation_backward",
    "output_delta",
    "loss_value",
    "delta_backward",
    "weight_gradient",
    "bias_gradient",
)
#: Losses by name, and those with constants other than the defaults.
LOSSES = (
    *map(Loss, kernels.LOSSES),
    Loss("huber", {"delta": 0.3}),
    Loss("quantile", {"quantile": 0.8}),
    Loss("log_cosh"),
    Loss("binary_cross_entropy", {"label_smoothing": 0.2}),
    Loss("cross_entropy", {"label_smoothing": 0.1}),
)
WITH_OUT = tuple(name for name in FUNCTIONS if name != "loss_value")
#: (n, n_in, n_out): empty ones, one, and both sides of the tiles' 6 rows and 8, 16, 32 columns.
SHAPES = (
    (0, 5, 3),
    (3, 0, 4),
    (4, 3, 0),
    (1, 1, 1),
    (1, 16, 17),
    (2, 5, 2),
    (5, 6, 7),
    (6, 16, 16),
    (7, 17, 15),
    (13, 8, 32),
    (15, 31, 5),
    (16, 64, 33),
    (17, 1, 100),
    (31, 7, 1),
    (33, 100, 31),
    (64, 33, 64),
    (100, 15, 6),
    (200, 40, 24),
)
LAYOUTS = ("F", "strided", "reversed", "broadcast", "unaligned", "read-only", "memory-mapped")
LOSS_PAIRS = [(loss, out) for loss in LOSSES for out in kernels.LOSS_OUTPUTS[loss.name]]
#: Every update rule, with the constants in which its formula changes. Where a step divides by the
#: gradient's size, ε is so large that rounding of a small gradient does not become a large step.
RULES = (
    UpdateRule("sgd"),
    UpdateRule("sgd", {"weight_decay": 0.1}),
    UpdateRule("momentum", {"momentum": 0.9}),
    UpdateRule("momentum", {"momentum": 0.8, "nesterov": 1}),
    UpdateRule("adagrad", {"epsilon": 1e-3}),
    UpdateRule("adagrad", {"initial_accumulator": 0.1, "lr_decay": 0.2}),
    UpdateRule("adadelta", {"epsilon": 1e-3}),
    UpdateRule("rmsprop", {"epsilon": 0.1, "alpha": 0.9}),
    UpdateRule("rmsprop", {"epsilon": 0.1, "alpha": 0.9, "centered": 1}),
    UpdateRule("rmsprop", {"epsilon": 0.1, "alpha": 0.9, "momentum": 0.8}),
    UpdateRule("rmsprop", {"epsilon": 0.1, "alpha": 0.9, "centered": 1, "momentum": 0.5}),
    UpdateRule("adam", {"epsilon": 1e-3}),
    UpdateRule("adam", {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3, "epsilon_hat": 1}),
    UpdateRule("adam", {"epsilon": 1e-3, "weight_decay": 0.1}),
    UpdateRule("amsgrad", {"epsilon": 1e-3}),
    UpdateRule("yogi"),
    UpdateRule("yogi", {"epsilon": 0.1, "initial_accumulator": 0.01, "weight_decay": 0.1}),
    UpdateRule("adamax", {"epsilon": 1e-3}),
    UpdateRule("nadam", {"epsilon": 1e-3}),
    UpdateRule("radam", {"epsilon": 1e-3}),
    UpdateRule("ftrl"),
    UpdateRule("ftrl", {"l1": 0.01, "l2": 0.1, "l2_shrinkage": 0.1, "beta": 0.5}),
    UpdateRule("ftrl", {"learning_rate_power": -0.3, "initial_accumulator": 0.5}),
    UpdateRule("lion", {"weight_decay": 0.1}),
    UpdateRule("rprop"),
    UpdateRule("rprop", {"eta_minus": 0.3, "eta_plus": 1.5, "step_max": 0.02}),
)


def show(value: Any) -> str:
    """A test's name for a loss, an update rule or a pair of loss and output."""
    if isinstance(value, tuple):
        return "-".join(map(show, value))
    if isinstance(value, (Loss, UpdateRule)):
        defaults = type(value)(value.name).constants
        changed = [f"{k}={v:g}" for k, v in value.constants.items() if v != defaults[k]]
        return ",".join([value.name, *changed])
    return str(value)


@dataclass(frozen=True)
class Call:
    """One call of a kernel: its name, positional and keyword arguments, and length of its sums."""

    function: str
    args: tuple[Any, ...]
    inner: int
    kwargs: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        shown = [_show(a) for a in self.args] + [f"{k}={_show(v)}" for k, v in self.kwargs.items()]
        return f"{self.function}({', '.join(shown)})"

    def run(self, **kwargs: Any) -> Any:
        """The live backend's answer."""
        return getattr(kernels, self.function)(*self.args, **self.kwargs, **kwargs)

    def expected(self) -> Any:
        """The reference's answer, computed in float64."""
        call = self.with_arrays(lambda a: a.astype(np.float64) if a.dtype.kind == "f" else a)
        with np.errstate(all="ignore"):
            return getattr(reference, self.function)(*call.args, **call.kwargs)

    def with_arrays(self, change: Any) -> Call:
        """The same call with every array replaced by ``change(array)``."""

        def of(value: Any) -> Any:
            return change(value) if isinstance(value, np.ndarray) else value

        return replace(
            self,
            args=tuple(of(value) for value in self.args),
            kwargs={name: of(value) for name, value in self.kwargs.items()},
        )


def _show(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return repr(value)
    strides = tuple(step // value.itemsize for step in value.strides)
    flags = "" if value.flags.writeable else ", read-only"
    return f"{value.dtype}{value.shape} steps {strides}{flags}"


def calls(
    function: str, shape: tuple[int, int, int], dtype: Any, rng: np.random.Generator
) -> Iterator[Call]:
    """Calls of a kernel at ``shape = (n, n_in, n_out)``: every activation, loss and target."""
    n, n_in, n_out = shape

    def normal(*size: int) -> Array:
        return rng.standard_normal(size).astype(dtype)

    def kept(size: tuple[int, int], name: str) -> Array:
        """What the derivative is computed from."""
        z = normal(*size) * dtype.type(2)
        return z if name in kernels.NEED_SCORES else reference.activate(z, name)

    if function == "dense_forward":
        for name in (*kernels.ACTIVATIONS, "softmax", "exp"):
            # exp magnifies the rounding of a sum by its own value.
            factor = dtype.type(0.1 if name == "exp" else 1)
            args = (normal(n, n_in), factor * normal(n_in, n_out), factor * normal(n_out), name)
            yield Call(function, args, n_in + n_out * (name == "softmax"))
    elif function == "activate":
        for name in (*kernels.ACTIVATIONS, "softmax", "exp"):
            yield Call(function, (normal(n, n_out) * dtype.type(3), name), 0)
    elif function == "activation_backward":
        for name in kernels.ACTIVATIONS:
            args = (normal(n, n_out), kept((n, n_out), name), name)
            # Derivatives of scores are sums of terms that grow with z.
            yield Call(function, args, 64 if name in kernels.NEED_SCORES else 0)
    elif function == "delta_backward":
        for name in kernels.ACTIVATIONS:
            args = (normal(n, n_out), normal(n_in, n_out), kept((n, n_in), name), name)
            yield Call(function, args, n_out + 64 * (name in kernels.NEED_SCORES))
    elif function == "weight_gradient":
        yield Call(function, (normal(n, n_in), normal(n, n_out)), n)
    elif function == "bias_gradient":
        yield Call(function, (normal(n, n_out),), n)
    else:
        for loss, output in LOSS_PAIRS:
            if loss.name == "multiclass_hinge" and n_out < 2:
                continue
            for target in targets(loss, n, n_out, dtype, rng):
                for weight in sample_weights(n, dtype, rng):
                    args = (normal(n, n_out) * dtype.type(3), target, loss, output)
                    yield Call(function, args, 4 * n_out, {"sample_weight": weight})


def targets(
    loss: Loss, n: int, n_out: int, dtype: Any, rng: np.random.Generator
) -> Iterator[Array]:
    """Targets of every kind that a loss takes: real or soft values, and class labels."""
    if loss.name in ("hinge", "squared_hinge"):
        yield np.where(rng.random((n, n_out)) < 0.5, -1, 1).astype(dtype)
    elif loss.name == "poisson":
        yield rng.poisson(1.5, (n, n_out)).astype(dtype)
    elif loss.name in ("binary_cross_entropy", "cross_entropy"):
        yield rng.random((n, n_out)).astype(dtype)
    else:
        yield rng.standard_normal((n, n_out)).astype(dtype)
    if n_out >= 2:
        for kind in ("int64", "uint8"):
            yield rng.integers(0, n_out, n).astype(kind)


def sample_weights(n: int, dtype: Any, rng: np.random.Generator) -> Iterator[Array | None]:
    """No weights, weights of which some are zero, and only zeros."""
    yield None
    yield (rng.random(n) * (rng.random(n) < 0.7)).astype(dtype)
    yield np.zeros(n, dtype)


def laid_out(array: Array, layout: str, folder: Any) -> Array:
    """The array in another layout; values stay, but for ``broadcast``, which repeats the first."""
    if layout == "F":
        return np.asfortranarray(array)
    if layout == "strided":
        room = np.full([2 * length + 1 for length in array.shape], 99, array.dtype)
        view = room[tuple(slice(1, None, 2) for _ in array.shape)]
        view[...] = array
        return view
    if layout == "reversed":
        backwards = tuple(slice(None, None, -1) for _ in array.shape)
        return np.ascontiguousarray(array[backwards])[backwards]
    if layout == "broadcast":
        return np.broadcast_to(array[:1], array.shape)
    if layout == "unaligned":
        room = np.zeros(array.nbytes + 1, np.uint8)
        view = room[1:].view(array.dtype).reshape(array.shape)
        view[...] = array
        return view
    if layout == "read-only":
        copy = array.copy()
        copy.flags.writeable = False
        return copy
    if array.size == 0:  # an empty file cannot be mapped
        return array
    path = folder / f"{len(list(folder.iterdir()))}.bin"
    # A header before the data, as in .npy files: the map does not start at a page.
    path.write_bytes(bytes(mmap.ALLOCATIONGRANULARITY // 4) + array.tobytes())
    start = mmap.ALLOCATIONGRANULARITY // 4
    return np.memmap(path, array.dtype, "r", offset=start, shape=array.shape)


def assert_agrees(actual: Any, expected: Any, dtype: Any, inner: int, what: object) -> None:
    """Compare with ``ε (8 + inner) + 16 ε |ref|``, and dtype, shape, NaN and infinities exactly."""
    if isinstance(expected, float):
        assert isinstance(actual, float), f"{what}: got {type(actual)}, expected a float"
    else:
        assert type(actual) is np.ndarray, f"{what}: got {type(actual)}, expected an array"
        assert actual.dtype == dtype, f"{what}: got {actual.dtype}, expected {dtype}"
        assert actual.shape == expected.shape, f"{what}: {actual.shape}, not {expected.shape}"
    have, want = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    same = (have == want) | (np.isnan(have) & np.isnan(want))
    with np.errstate(all="ignore"):
        epsilon = float(np.finfo(dtype).eps)
        allowed = epsilon * (8 + inner + 16 * np.abs(want))
        excess = np.where(same, 0, np.abs(have - want) / allowed)
    if np.all(excess <= 1):
        return
    worst = np.unravel_index(np.argmax(np.nan_to_num(excess, nan=np.inf)), excess.shape)
    place = tuple(int(i) for i in worst)
    limit = np.broadcast_to(allowed, have.shape)[worst]
    raise AssertionError(
        f"{what}\n  on {kernels.info()}\n"
        f"  {np.count_nonzero(~(excess <= 1))} of {excess.size} values are wrong; the worst at "
        f"{place}: got {have[worst]!r}, expected {want[worst]!r}, error "
        f"{abs(have[worst] - want[worst]):.3g}, allowed {limit:.3g}"
    )


def same_numbers(backend: str, dtype: Any) -> Callable[[Any, Any], None]:
    """How to compare what one backend computes of the same numbers in another layout or batch.

    Engines read both into the same order; NumPy hands them to other routines of its BLAS, whose
    sums may round in another way.
    """
    if backend != "reference":
        return np.testing.assert_array_equal
    error = 100 * np.finfo(dtype).eps
    return partial(np.testing.assert_allclose, rtol=error, atol=error)
