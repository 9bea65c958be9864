"""Planes through parameter space: two directions from one centre."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .._typing import Array

if TYPE_CHECKING:
    from ..mlp import MLP


@dataclass(frozen=True)
class Plane:
    """``centre + a d₁ + b d₂``.

    Attributes
    ----------
    centre : (n_parameters,) array
    directions : (2, n_parameters) array
    labels : (str, str)
        Of the axes.
    origin : (2,) array
        What the axes show at the centre.
    """

    centre: Array
    directions: Array
    labels: tuple[str, str]
    origin: Array

    def point(self, a: float, b: float) -> Array:
        """Parameters at a place of the picture."""
        place = np.array([a, b]) - self.origin
        found: Array = self.centre + place @ self.directions
        return found

    def coordinates(self, points: Array) -> Array:
        """Where the points fall on the plane, ``(n, 2)``: their nearest points of it."""
        found = np.linalg.lstsq(self.directions.T, (points - self.centre).T)[0].T
        placed: Array = found + self.origin
        return placed

    def losses(
        self, network: MLP, X: ArrayLike, y: ArrayLike, loss: Any, a: Array, b: Array
    ) -> Array:
        """Loss on the grid, ``(len(b), len(a))``; the network's parameters are left as they are."""
        x, target, weight, spec = network._batch(X, y, network._loss(loss))
        network._connect()
        values = np.empty((len(b), len(a)))
        for i, second in enumerate(b):
            for j, first in enumerate(a):
                parameters = self.point(first, second).astype(network.dtype)
                values[i, j] = network._network.loss(
                    parameters, x, target, spec, sample_weight=weight
                )
        return values

    def gradient(self, network: MLP, X: ArrayLike, y: ArrayLike, loss: Any, place: Array) -> Array:
        """Derivatives of the loss by ``a`` and ``b`` there."""
        x, target, weight, spec = network._batch(X, y, network._loss(loss))
        network._connect()
        parameters = self.point(*place).astype(network.dtype)
        _, gradient = network._network.loss_and_gradient(
            parameters, x, target, spec, sample_weight=weight
        )
        slopes: Array = self.directions @ gradient.astype(np.float64)
        return slopes


def choose(network: MLP, directions: Any, points: Array | None, seed: int | None) -> Plane:
    """The plane that ``directions`` describes, see ``loss_surface``."""
    centre = network.parameters.astype(np.float64)
    n, zero = centre.size, np.zeros(2)
    if isinstance(directions, str):
        if directions == "random":
            generator = np.random.default_rng(seed)
            pair = np.stack([_filter_normalised(network, generator) for _ in range(2)])
            return Plane(centre, pair, ("random direction 1", "random direction 2"), zero)
        if directions == "path":
            if points is None or len(points) < 3:
                raise ValueError("directions='path' needs a path of at least three points")
            _, sizes, axes = np.linalg.svd(points - centre, full_matrices=False)
            shares = 100 * np.square(sizes[:2]) / np.square(sizes).sum()
            first, second = (
                f"principal component {k + 1} of the path ({shares[k]:.3g} %)" for k in (0, 1)
            )
            return Plane(centre, axes[:2], (first, second), zero)
        raise ValueError(
            f"directions must be 'random', 'path', two numbers of parameters or two vectors, "
            f"got {directions!r}"
        )
    if len(directions) != 2:
        raise ValueError(f"directions must be two, got {len(directions)}")
    if all(isinstance(place, (int, np.integer)) for place in directions):
        places = [int(place) for place in directions]
        if not all(-n <= place < n for place in places) or places[0] == places[1]:
            raise ValueError(f"directions must be two different ones of {n} parameters: {places}")
        pair = np.zeros((2, n))
        pair[[0, 1], places] = 1
        first, second = (_name(network, place % n) for place in places)
        return Plane(centre, pair, (first, second), centre[places])
    pair = np.stack([np.asarray(d, np.float64) for d in directions])
    if pair.shape != (2, n) or np.linalg.matrix_rank(pair) < 2:
        raise ValueError(
            f"directions must be two independent vectors of {n} parameters, got {pair.shape}"
        )
    return Plane(centre, pair, ("direction 1", "direction 2"), zero)


def _filter_normalised(network: MLP, generator: np.random.Generator) -> Array:
    """Random, each neuron's weights as long as the network's; biases stay."""
    direction = np.zeros(network.parameters.size)
    drawn, _ = network.architecture.views(direction)
    for d, w in zip(drawn, network.weights, strict=True):
        d[...] = generator.standard_normal(d.shape)
        d *= np.linalg.norm(w.astype(np.float64), axis=0) / np.linalg.norm(d, axis=0)
    return direction


def _name(network: MLP, place: int) -> str:
    """``$W^1_{0,2}$`` or ``$b^2_{1}$``: layer above, places below."""
    for layer, (n_in, n_out) in enumerate(network.architecture.layer_shapes, 1):
        if place < n_in * n_out:
            return f"$W^{layer}_{{{place // n_out},{place % n_out}}}$"
        place -= n_in * n_out
    for layer, (_, n_out) in enumerate(network.architecture.layer_shapes, 1):
        if place < n_out:
            return f"$b^{layer}_{{{place}}}$"
        place -= n_out
    raise AssertionError(place)


def span_of(
    plane: Plane, placed: Array | None, span: float | None
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Limits of both axes: a square around the path, or around the centre."""
    if placed is None or span is not None:
        half = 1.0 if span is None else span
        middle = plane.origin
    else:
        low, high = placed.min(axis=0), placed.max(axis=0)
        middle = (low + high) / 2
        half = max(0.62 * float((high - low).max()), 1e-9)
    (a, b) = (float(value) for value in middle)
    return (a - half, a + half), (b - half, b + half)
