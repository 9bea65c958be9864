"""Costs with a Gauss–Newton matrix: what damped trainers ask of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from fastmlp import kernels

from ..._cluster.cluster import Cluster
from ..._cluster.trainer import full_matrix
from ..._derivatives import arguments, gauss_newton
from ..._derivatives.workspace import Workspace
from ..._network import blocks
from ..._streams import sums
from ..._streams.stream import Stream
from ..._typing import Array
from .base import Cost, Rows

#: Numbers that are added up in one call, which nothing interrupts.
_WORK = 5e9
#: Layers that one call of the compiled backend takes, at most.
_LAYERS = 128

#: ``(parameters, rows) -> matrix`` of the mean loss without a penalty.
Matrix = Callable[[Array, Rows], Array]


class Curved(Protocol):
    """A cost with its gradient and the matrix of its loss."""

    def value(self, parameters: Array, rows: Rows) -> tuple[float, Array | None]:
        """The cost, and its gradient where that comes with it."""
        ...

    def bend(self, parameters: Array, rows: Rows, gradient: Array | None) -> tuple[Array, Array]:
        """Gradient of the cost, which may be known, and matrix of the loss."""
        ...


class InParts:
    """Any cost: value and gradient by one function, the matrix by another one."""

    def __init__(self, cost: Cost, matrix: Matrix) -> None:
        self._cost, self._matrix = cost, matrix

    def value(self, parameters: Array, rows: Rows) -> tuple[float, Array | None]:
        gradient = np.empty_like(parameters)
        return self._cost(parameters, *rows, gradient), gradient

    def bend(self, parameters: Array, rows: Rows, gradient: Array | None) -> tuple[Array, Array]:
        if gradient is None:
            gradient = self.value(parameters, rows)[1]
            assert gradient is not None
        return gradient, self._matrix(parameters, rows)


class OfSquares:
    """Squared errors of scores: gradient and matrix in one pass over the rows, the value apart.

    Parameters
    ----------
    network : kernels.Network
    l2 : float
    otherwise : Curved
        Where rows are no arrays, or targets have weights of their own.
    """

    def __init__(self, network: Any, l2: float, otherwise: Curved) -> None:
        self._network, self._l2, self._otherwise = network, l2, otherwise
        net = network.architecture
        self._weights = slice(0, net.n_parameters - sum(net.sizes[1:]))
        self._kept = Workspace()
        #: Costs whose gradient might overflow: for them it is wanted at once.
        self._large = float(np.finfo(network.dtype).max) ** 0.25

    def value(self, parameters: Array, rows: Rows) -> tuple[float, Array | None]:
        if not self._takes(rows):
            return self._otherwise.value(parameters, rows)
        x, target, weight = rows
        value = blocks.loss(self._network, parameters, x, target, "squared_error", weight)
        if self._l2:
            squares = np.square(parameters[self._weights], dtype=np.float64).sum()
            value += 0.5 * self._l2 * float(squares)
        if not value < self._large:
            return self._otherwise.value(parameters, rows)
        return value, None

    def bend(self, parameters: Array, rows: Rows, gradient: Array | None) -> tuple[Array, Array]:
        if not self._takes(rows):
            return self._otherwise.bend(parameters, rows, gradient)
        x, target, weight = rows
        n, order = len(x), parameters.size
        shape = arguments.affordable((order, order), 8)
        matrix = self._kept.array("matrix", shape, np.dtype(np.float64))
        matrix.fill(0)
        roots = np.sqrt(arguments.shares(n, weight)[:, 0]).astype(parameters.dtype)
        block, found = max(4096, int(_WORK / order**2)), np.zeros(order)
        for start in range(0, n, block):
            part = slice(start, start + block)
            found += self._network.gauss_newton(
                parameters, x[part], target[part], roots[part], out=matrix
            )[0]
        if self._l2:
            found[self._weights] += self._l2 * parameters[self._weights].astype(np.float64)
        return found, matrix

    def _takes(self, rows: Rows) -> bool:
        x, target, weight = rows
        return (
            isinstance(x, np.ndarray)
            and x.dtype == target.dtype == self._network.dtype
            and (weight is None or isinstance(weight, np.ndarray))
        )


def curve(
    network: Any,
    loss: Any,
    cost: Cost,
    l2: float,
    cluster: Cluster | None = None,
    learning: Sequence[bool] = (),
) -> Curved:
    """A cost of arrays or sources, on one process or shared by the ranks of a cluster."""
    kept = Workspace()

    def matrix(parameters: Array, rows: Rows) -> Array:
        x, target, weight = rows
        point = gauss_newton.NetworkAt(network.architecture, parameters, network.n_threads)
        if isinstance(x, Stream):
            return sums.matrix(point, x, loss, cluster, learning)
        if cluster is not None:
            return full_matrix(cluster, point, x, target, loss, weight, learning)
        return gauss_newton.total(point, x, target, loss, weight, learning, kept)

    parts = InParts(cost, matrix)
    return parts if cluster is not None else best(network, loss, parts, l2, learning)


def best(
    network: Any, loss: Any, otherwise: Curved, l2: float, learning: Sequence[bool] = ()
) -> Curved:
    """The fastest way to the cost of this network and loss on one process."""
    net = network.architecture
    if (
        loss != kernels.Loss.of("squared_error")
        or net.output != "identity"
        or any(map(kernels.needs_scores, net.activations))
        or not all(learning)
        or len(net.layer_shapes) > _LAYERS
    ):
        return otherwise
    return OfSquares(network, l2, otherwise)
