"""Gradients by three ways: the engine's, the computation graph's and finite differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from fastmlp import kernels
from numpy.typing import ArrayLike

from .._graphs import networks
from .._typing import Array
from .network import Network

if TYPE_CHECKING:
    from ..autodiff import Graph


#: Half the distance of a central difference, in units of a parameter (at least 1): the rounding
#: error ``ε C / h`` and the error ``h² C''' / 6`` of the formula are then about 1e-10.
STEP = 1e-5
#: What finite differences may be off, relative to the largest gradient of all.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Comparison:
    """One weight matrix or bias vector.

    Attributes
    ----------
    name : str
        ``"W1"``, ``"b1"``, …
    shape : tuple of int
    engine : float
        Largest ``|engine - graph|``, relative to the largest gradient of the whole network.
    differences : float
        Largest ``|differences - graph|`` of the elements that were tried, likewise.
    place : tuple of int
        Where the engine is farthest from the graph or, if that is fine, the differences are.
    values : (float, float, float)
        There: engine, graph, differences (NaN where it was not tried).
    kinks : int
        Elements that were left out as the loss has a kink between the two points of a difference.
    agrees : bool
    """

    name: str
    shape: tuple[int, ...]
    engine: float
    differences: float
    place: tuple[int, ...]
    values: tuple[float, float, float]
    kinks: int
    agrees: bool


@dataclass(frozen=True)
class GradientCheck:
    """Result of :func:`check_gradients`: true where everything agrees, printable.

    Attributes
    ----------
    loss : (float, float)
        By the engine, and by the graph.
    comparisons : tuple of Comparison
    tolerance : (float, float)
        Of ``engine`` and ``differences``.
    """

    backend: str
    dtype: str
    loss: tuple[float, float]
    comparisons: tuple[Comparison, ...]
    tolerance: tuple[float, float]

    def __bool__(self) -> bool:
        apart = abs(self.loss[0] - self.loss[1])
        same = apart <= self.tolerance[0] * max(1.0, abs(self.loss[1]))
        return same and all(comparison.agrees for comparison in self.comparisons)

    def __str__(self) -> str:
        lines = [
            f"loss: {self.loss[0]:.9g} by the {self.backend} engine in {self.dtype}, "
            f"{self.loss[1]:.9g} by the graph in float64",
            f"{'gradient':<16}{'engine - graph':>16}{'differences - graph':>21}",
        ]
        for c in self.comparisons:
            name = f"{c.name} ({'×'.join(map(str, c.shape))})"
            kinks = f"  ({c.kinks} at kinks left out)" if c.kinks else ""
            lines.append(f"{name:<16}{c.engine:>16.1e}{c.differences:>21.1e}{kinks}")
        lines.append(
            f"{'tolerance':<16}{self.tolerance[0]:>16.1e}{self.tolerance[1]:>21.1e}"
            "  relative to the largest gradient"
        )
        apart = [c for c in self.comparisons if not c.agrees]
        for c in apart:
            engine, graph, difference = c.values
            tried = "" if np.isnan(difference) else f", differences {difference:.9g}"
            lines.append(
                f"they part in {c.name}{list(c.place)}: engine {engine:.9g}, graph {graph:.9g}"
                + tried
            )
        if not apart:
            lines.append("all agree" if self else "gradients agree, losses do not")
        return "\n".join(lines)


def check_gradients(
    network: Network,
    X: ArrayLike,
    y: ArrayLike,
    loss: Any = None,
    sample_weight: ArrayLike | None = None,
    *,
    n_elements: int = 20,
    verbose: bool = True,
) -> GradientCheck:
    """Compare the live backend's gradients with the graph's and with finite differences.

    The graph and the differences are computed in float64, of the network's parameters and rows as
    they are in its own dtype.

    Parameters
    ----------
    network : MLP
        Any network, trained or not; it is not changed.
    X, y, loss, sample_weight : arrays, and a loss
        As for :meth:`fastmlp.MLP.loss`; a few dozen rows will do.
    n_elements : int, default 20
        Elements of each array that are tried with finite differences: two losses each.
    verbose : bool, default True
        Print the result.

    Returns
    -------
    GradientCheck
        True where all agree.

    Raises
    ------
    TypeError
        For anything but a network.
    ValueError
        For rows that do not fit it, or a negative number of elements.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmlp
    >>> net = fastmlp.MLP([3, 4, 2], activation="tanh", random_state=0)
    >>> X, y = np.random.default_rng(0).normal(size=(2, 8, 3)), np.zeros((8, 2))
    >>> bool(fastmlp.check_gradients(net, X[0], y, verbose=False))
    True
    """
    if not isinstance(network, Network):
        kind = type(network).__name__
        raise TypeError(f"network must be a fastmlp.MLP, got {kind}; an estimator holds none")
    if n_elements < 0:
        raise ValueError(f"n_elements must not be negative, got {n_elements}")
    spec = kernels.Loss.of(network._loss(loss))
    x, target, weight, _ = network._batch(X, y, spec, sample_weight)
    value, gradients = network.loss_and_gradients(x, target, spec, weight)
    parameters = network.parameters.astype(np.float64)
    graph = networks.graph(network.architecture, parameters, x, target, weight, spec)
    expected = graph.backward()
    names = [node.label or "" for node in graph.inputs[1:-1]]
    engine = dict(zip(names, _flat(gradients), strict=True))
    scale = max((float(np.abs(expected[name]).max()) for name in names), default=0.0)
    scale = scale or 1.0
    # A gradient is a sum over rows of products of as many sums as there are layers.
    sums = len(x) + sum(network.architecture.sizes)
    tolerance = float(np.finfo(network.dtype).eps) * (64 + sums), TOLERANCE
    rng = np.random.default_rng(0)
    comparisons = []
    for name in names:
        tried = _tried(expected[name].shape, n_elements, rng)
        differences, kinks = _differences(graph, name, tried)
        comparisons.append(
            _compared(name, engine[name], expected[name], differences, kinks, scale, tolerance)
        )
    backend, dtype = str(kernels.info()["backend"]), network.dtype.name
    graph_loss = float(graph.value(graph.outputs[0]))
    result = GradientCheck(backend, dtype, (value, graph_loss), tuple(comparisons), tolerance)
    if verbose:
        print(result)
    return result


def _flat(gradients: list[tuple[Array, Array]]) -> list[Array]:
    return [array for pair in gradients for array in pair]


def _tried(shape: tuple[int, ...], n: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Indices of elements, drawn without repetition."""
    size = int(np.prod(shape))
    drawn = rng.choice(size, min(n, size), replace=False)
    return [tuple(int(i) for i in np.unravel_index(at, shape)) for at in drawn]


def _differences(
    graph: Graph, name: str, places: list[tuple[int, ...]]
) -> tuple[dict[tuple[int, ...], float], int]:
    """Central differences of the loss by elements of one input, but for those at kinks."""
    values = [graph.value(node).copy() for node in graph.inputs]
    array = values[[node.label for node in graph.inputs].index(name)]
    middle = float(graph.value(graph.outputs[0]))
    found, kinks = {}, 0
    for place in places:
        before = array[place]
        h = STEP * max(1.0, abs(before))
        losses = []
        for shifted in (before + h, before - h):
            array[place] = shifted
            losses.append(float(graph.evaluated(*values)))
        array[place] = before
        ahead, behind = (losses[0] - middle) / h, (middle - losses[1]) / h
        # Where the loss is smooth the two differ by h C''.
        if abs(ahead - behind) > 1e-3 * (abs(ahead) + abs(behind)) + 1e-8 * max(1.0, abs(middle)):
            kinks += 1
        else:
            found[place] = (losses[0] - losses[1]) / (2 * h)
    return found, kinks


def _compared(
    name: str,
    engine: Array,
    expected: Array,
    differences: dict[tuple[int, ...], float],
    kinks: int,
    scale: float,
    tolerance: tuple[float, float],
) -> Comparison:
    apart = np.abs(engine.astype(np.float64) - expected) / scale
    worst = np.unravel_index(int(np.argmax(np.nan_to_num(apart, nan=np.inf))), apart.shape)
    place = tuple(int(i) for i in worst)
    by_differences = {at: abs(value - expected[at]) / scale for at, value in differences.items()}
    largest = max(by_differences.values(), default=0.0)
    engine_agrees = bool(apart[place] <= tolerance[0])
    if engine_agrees and by_differences:
        place = max(by_differences, key=lambda at: by_differences[at])
    values = float(engine[place]), float(expected[place]), differences.get(place, float("nan"))
    return Comparison(
        name,
        expected.shape,
        float(apart.max()),
        largest,
        place,
        values,
        kinks,
        engine_agrees and largest <= tolerance[1],
    )
