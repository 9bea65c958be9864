"""Activations and losses written in NumPy, with the derivative taken from their graph."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastmlp.kernels import CustomActivation, CustomLoss, Program

from .._typing import Array
from ..autodiff._backward import backward
from ..autodiff._graph import Graph, evaluate
from ..autodiff._node import Node, topological
from ..autodiff._operations import TABLE
from ..autodiff._trace import trace
from .program import program, rows

#: Name → activation, for networks that are loaded from files.
_named: dict[str, CustomActivation] = {}
#: Name of a function that has none; networks with it cannot be saved.
ANONYMOUS = "<lambda>"


def activation(
    f: Callable[[Any], Any],
    derivative: Callable[[Any], Any] | None = None,
    *,
    name: str | None = None,
) -> CustomActivation:
    """See :func:`fastmlp.activations.custom`."""
    function = Elementwise(f, derivative)
    function.check()
    result = CustomActivation(_name(f, name), function)
    if result.name != ANONYMOUS:
        _named[result.name] = result
    return result


def loss(
    f: Callable[[Any, Any], Any],
    derivative: Callable[[Any, Any], Any] | None = None,
    *,
    name: str | None = None,
    n_outputs: int | None = None,
) -> CustomLoss:
    """See :func:`fastmlp.losses.custom`."""
    function = OfRows(f, derivative, n_outputs)
    function.check()
    return CustomLoss(_name(f, name), function)


def by_name(name: str) -> CustomActivation:
    """The custom activation that was made last under this name."""
    if name not in _named:
        raise ValueError(
            f"no activation has the name {name!r}: if it is a custom one, make it before, with "
            f"fastmlp.activations.custom(f, name={name!r})"
        )
    return _named[name]


def expression(custom: CustomActivation | CustomLoss) -> Any:
    """The expression behind a custom function; ``TypeError`` where there is none to trace."""
    kind = Elementwise if isinstance(custom, CustomActivation) else OfRows
    if not isinstance(custom.function, kind):
        what = "activation" if kind is Elementwise else "loss"
        raise TypeError(f"{what} {custom.name!r} is no expression that can be traced")
    return custom.function


def second_derivative(activation: CustomActivation, z: Array) -> Array:
    """``σ''(z)`` of a custom activation, from the graph of its derivative."""
    function = expression(activation)
    return _second_graph(function.f, function.derivative, z.dtype).at(z)[1]


def loss_hessian_product(loss: CustomLoss, z: Array, y: Array, direction: Array) -> Array:
    """``∂²C / ∂z²`` of every row times a direction, ``(n, n_out)``, for a custom loss ``C``."""
    function, each = expression(loss), loss.outputs_a_target
    if each and z.shape[1] != each:
        of_targets = (a.reshape(-1, each) for a in (z, y, direction))
        return loss_hessian_product(loss, *of_targets).reshape(z.shape)
    graph = trace(function.derivative or function.f, z, y)
    slope = graph.outputs[0]
    if function.derivative is None:
        slope = backward(slope, [graph.inputs[0]])[0][0]
    bend = backward(slope * direction, [graph.inputs[0]])[0][0]
    return np.array(np.broadcast_to(bend.value, z.shape), z.dtype)


def _name(f: Callable[..., Any], name: str | None) -> str:
    return getattr(f, "__name__", ANONYMOUS) if name is None else name


@dataclass(frozen=True)
class Elementwise:
    """``z -> (σ(z), σ'(z))``."""

    f: Callable[[Any], Any]
    derivative: Callable[[Any], Any] | None = None

    def __call__(self, z: Array) -> tuple[Array, Array]:
        if self.derivative is not None:
            a, slope = (np.asarray(function(z)) for function in (self.f, self.derivative))
            return np.broadcast_to(a, z.shape), np.broadcast_to(slope, z.shape)
        values = _scalar_graph(self.f, None, 1, z.dtype).at(z)
        return values[0], values[1]

    def program(self) -> Program | None:
        return _scalar_program(self.f, self.derivative, 1)

    def check(self) -> None:
        """Raise where ``f`` has no derivative, or one of the two is not elementwise."""
        if self.derivative is not None:
            _check_elementwise("an activation", self.f)
            _check_elementwise("the derivative of an activation", self.derivative)
            return
        graph = trace(self.f, np.full((3, 5), 0.5))
        mixing = _mixing(graph)
        if mixing is not None or graph.outputs[0].shape not in ((3, 5), ()):
            what = f"shape {graph.outputs[0].shape} from (3, 5)" if mixing is None else mixing
            raise ValueError(f"an activation must be elementwise, got {what}")


@dataclass(frozen=True)
class OfRows:
    """``(z, y) -> (loss of rows, ∂loss/∂z)``."""

    f: Callable[[Any, Any], Any]
    derivative: Callable[[Any, Any], Any] | None = None
    n_outputs: int | None = None

    def __call__(self, z: Array, y: Array) -> tuple[Array, Array]:
        if self.n_outputs not in (None, z.shape[1]):
            raise ValueError(f"this loss is written for {self.n_outputs} outputs, got {z.shape[1]}")
        if self.derivative is not None:
            return _summed(np.asarray(self.f(z, y))), np.asarray(self.derivative(z, y))
        if self._elementwise:
            value, delta = _scalar_graph(self.f, None, 2, z.dtype).at(z, y)
            return value.sum(axis=1), delta
        value, delta = _row_graph(self.f, z.shape, z.dtype).at(z, y)
        return _summed(value), delta

    @property
    def elementwise(self) -> bool:
        """Whether each output has a loss of its own."""
        if self.n_outputs is not None:
            return False
        if self.derivative is None:
            return self._elementwise
        return _is_separable(self.f, self.derivative)

    @property
    def _elementwise(self) -> bool:
        return _is_elementwise(self.f, self.n_outputs)

    def program(self, n_out: int | None) -> Program | None:
        """For ``None``: one that fits any number of outputs, if there is one."""
        if self.derivative is None and self._elementwise:
            return _scalar_program(self.f, None, 2)
        if n_out is not None:
            return _row_program(self.f, self.derivative, n_out)
        if self.n_outputs is not None:
            return _row_program(self.f, self.derivative, self.n_outputs)
        # One that is the same for two numbers does not depend on it.
        first, second = (_row_program(self.f, self.derivative, n) for n in (3, 5))
        return first if first == second else None

    def check(self) -> None:
        """Raise where ``f`` has no derivative, another shape, or mixes rows."""
        n_out = self.n_outputs or 3
        rng = np.random.default_rng(0)
        z, y = rng.normal(size=(4, n_out)), rng.random((4, n_out))
        try:
            shape = np.shape(self.f(z, y))
            if shape not in (z.shape, (4,)):
                raise ValueError(
                    f"the result must have their shape, or (4,): reduce over the outputs, with "
                    f"axis=1; got {shape}"
                )
            value, delta = self(z, y)
        except (ValueError, IndexError) as error:
            hint = " (n_outputs= is for losses with a number for each output)"
            raise ValueError(
                f"the loss fails for scores and targets of shape {z.shape}: {error}"
                + (hint if self.n_outputs is None else "")
            ) from error
        if delta.shape != z.shape:
            raise ValueError(
                f"the derivative of a loss must have the scores' shape {z.shape}, got {delta.shape}"
            )
        alone = [self(z[i : i + 1], y[i : i + 1])[0][0] for i in range(4)]
        if not np.allclose(value, alone, equal_nan=True):
            raise ValueError("the loss of a row must not depend on other rows")


def _check_elementwise(what: str, f: Callable[[Any], Any]) -> None:
    """Raise where a function that need not be traceable depends on more than the element."""
    z = np.random.default_rng(0).uniform(0.25, 0.75, size=(3, 5))  # where most functions are finite
    shape = np.shape(f(z))
    if shape not in (z.shape, ()):
        raise ValueError(f"{what} must be elementwise, got shape {shape} from {z.shape}")
    together = np.broadcast_to(f(z), z.shape)
    alone = [
        [np.broadcast_to(f(z[i : i + 1, j : j + 1]), (1, 1))[0, 0] for j in range(5)]
        for i in range(3)
    ]
    if not np.allclose(together, alone, equal_nan=True):
        raise ValueError(f"{what} must be elementwise, but elements change each other's values")


class _Values:
    """A value and its derivative as a graph that is evaluated at many arrays."""

    def __init__(self, graph: Graph, derivative: Node) -> None:
        self.inputs, self.outputs = graph.inputs, (graph.outputs[0], derivative)
        self._order = topological([*graph.inputs, *self.outputs])

    def at(self, *arrays: Array) -> list[Array]:
        """Both at these arrays, of their shape at least."""
        values = evaluate(self._order, dict(zip(self.inputs, arrays, strict=True)))
        return [
            np.broadcast_to(values[node], arrays[0].shape) if node.ndim == 0 else values[node]
            for node in self.outputs
        ]


def _mixing(graph: Graph) -> str | None:
    """The operation in which elements meet, or ``None``."""
    for node in graph.nodes:
        # A constant of one number may be repeated.
        single = all(x.size <= 1 for x in node.inputs)
        if node.inputs and not TABLE[node.operation].elementwise and not single:
            return f"{node.operation!r}, in which elements meet"
        if node.operation == "constant" and node.size > 1 and node.uniform is None:
            return f"an array of shape {node.shape}"
    return None


@functools.lru_cache(maxsize=256)
def _is_elementwise(f: Callable[..., Any], n_outputs: int | None) -> bool:
    example = np.full((4, n_outputs or 3), 0.5)
    graph = trace(f, example, example)
    if _mixing(graph) is not None or graph.outputs[0].shape != example.shape:
        return False
    try:  # it may still name an axis, for something that its result does not need
        return trace(f, 0.5, 0.5).outputs[0].shape == ()
    except (IndexError, TypeError, ValueError):
        return False


@functools.lru_cache(maxsize=256)
def _is_separable(f: Callable[..., Any], derivative: Callable[..., Any]) -> bool:
    """Whether a loss and its derivative, which need not be traceable, take elements one by one."""
    z, y = np.random.default_rng(0).uniform(0.25, 0.75, size=(2, 3, 5))
    for function in (f, derivative):
        together = np.asarray(function(z, y))
        if together.shape != z.shape:
            return False
        for at in np.ndindex(3, 5):
            one = tuple(slice(i, i + 1) for i in at)
            if not np.allclose(function(z[one], y[one]), together[at], equal_nan=True):
                return False
    return True


@functools.lru_cache(maxsize=256)
def _scalar_graph(
    f: Callable[..., Any], derivative: Callable[..., Any] | None, n_inputs: int, dtype: Any
) -> _Values:
    """The graph of an elementwise function for one element, and its derivative."""
    return _derived(f, derivative, [np.full((), 0.5, dtype)] * n_inputs)


@functools.lru_cache(maxsize=256)
def _second_graph(
    f: Callable[..., Any], derivative: Callable[..., Any] | None, dtype: Any
) -> _Values:
    """The graph of an elementwise function's derivative for one element, and its derivative."""
    if derivative is not None:
        return _derived(derivative, None, [np.full((), 0.5, dtype)])
    first = _derived(f, None, [np.full((), 0.5, dtype)])
    slope = first.outputs[1]
    return _Values(Graph(first.inputs, [slope]), backward(slope, [first.inputs[0]])[0][0])


@functools.lru_cache(maxsize=16)
def _row_graph(f: Callable[..., Any], shape: tuple[int, int], dtype: Any) -> _Values:
    return _derived(f, None, [np.full(shape, 0.5, dtype)] * 2)


def _derived(
    f: Callable[..., Any], derivative: Callable[..., Any] | None, example: list[Array]
) -> _Values:
    if derivative is not None:
        both = trace(lambda *x: (f(*x), derivative(*x)), *example)
        return _Values(Graph(both.inputs, both.outputs[:1]), both.outputs[1])
    graph = trace(f, *example)
    gradients, _ = backward(graph.outputs[0], [graph.inputs[0]])
    return _Values(graph, gradients[0])


@functools.lru_cache(maxsize=256)
def _scalar_program(
    f: Callable[..., Any], derivative: Callable[..., Any] | None, n_inputs: int
) -> Program | None:
    try:
        values = _scalar_graph(f, derivative, n_inputs, np.dtype(np.float64))
    except (TypeError, ValueError, AttributeError):
        if derivative is None:
            raise
        return None  # not traceable, and no need: its derivative is given
    if any(node.shape != () for node in values.outputs):
        return None
    return program(values.inputs, values.outputs, 0)


@functools.lru_cache(maxsize=256)
def _row_program(
    f: Callable[..., Any], derivative: Callable[..., Any] | None, n_out: int
) -> Program | None:
    try:
        values = _derived(f, derivative, [np.full((rows(n_out), n_out), 0.5)] * 2)
    except (TypeError, ValueError, AttributeError):
        if derivative is None:
            raise
        return None
    return program(values.inputs, values.outputs, n_out)


def _summed(value: Array) -> Array:
    return value.sum(axis=1) if value.ndim == 2 else value
