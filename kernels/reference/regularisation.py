"""What keeps parameters small: penalties, dropout, clipped gradients, bounded norms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .._architecture import Architecture
from .._specs import CSR
from .._typing import Array
from . import philox, sparse


def penalise(
    architecture: Architecture, parameters: Array, gradient: Array, l2: float, l1: float
) -> float:
    """Add ``l2 W + l1 sign W`` to the gradient; return ``½ l2 Σ W² + l1 Σ |W|``. Not of biases."""
    if not l2 and not l1:
        return 0.0
    penalty, number = 0.0, parameters.dtype.type
    for w, dw in zip(
        architecture.views(parameters)[0], architecture.views(gradient)[0], strict=True
    ):
        if l2:
            dw += number(l2) * w
            penalty += 0.5 * l2 * float(np.square(w, dtype=np.float64).sum())
        if l1:
            dw += number(l1) * np.sign(w)
            penalty += l1 * float(np.abs(w).sum(dtype=np.float64))
    return penalty


@dataclass(frozen=True)
class Dropout:
    """Inverted dropout in one step: units are dropped with probability ``p``, and what is kept is
    multiplied by ``1 / (1 - p)`` (Srivastava and others, 2014). See :func:`philox.kept`.

    ``probabilities`` are of the input and of each hidden layer, ``first_row`` the place in the
    batch of the first row.
    """

    probabilities: Sequence[float]
    seed: int
    step: int
    first_row: int = 0

    def forward(self, a: Array | CSR, layer: int) -> Array | CSR:
        """What is left of a layer's values, or of the stored entries of sparse rows."""
        p = self.probabilities[layer]
        if not p:
            return a
        kept = self._kept((len(a), a.shape[1]), layer)
        if not isinstance(a, CSR):
            return self._scaled(a, kept, p)
        stored = a.data[: a.indptr[-1]]
        return replace(a, data=self._scaled(stored, kept[sparse.places(a)], p))

    def backward(self, delta: Array, layer: int) -> Array:
        """The error of a layer's values from the error of what was left of them."""
        p = self.probabilities[layer]
        return self._scaled(delta, self._kept(delta.shape, layer), p) if p else delta

    def _kept(self, shape: tuple[int, ...], layer: int) -> Array:
        n, width = shape
        probability = self.probabilities[layer]
        return philox.kept(n, width, probability, self.seed, self.step, layer, self.first_row)

    @staticmethod
    def _scaled(values: Array, kept: Array, p: float) -> Array:
        zero, scale = values.dtype.type(0), values.dtype.type(1 / (1 - p))
        result: Array = np.where(kept, values * scale, zero)
        return result


def norm(gradient: Sequence[Array]) -> float:
    """Length of a gradient in several parts, summed in float64."""
    return float(np.sqrt(sum(float(np.square(g, dtype=np.float64).sum()) for g in gradient)))


def clip(gradient: Sequence[Array], value: float | None, length: float | None) -> None:
    """Clip in place: elements to ``±value``, then the norm of all of it to ``length``.

    The factor is ``min(1, length / (norm + 1e-6))``, as in torch.
    """
    if value is not None:
        for g in gradient:
            np.clip(g, -value, value, out=g)
    if length is not None:
        factor = length / (norm(gradient) + 1e-6)
        if not factor >= 1:  # NaN too: a non-finite gradient is not clipped away, so it shows
            for g in gradient:
                g *= factor


def bound_columns(weights: Sequence[Array], length: float) -> None:
    """Scale every column (the weights into one unit) longer than ``length`` down to it."""
    for w in weights:
        norms = np.sqrt(np.square(w).sum(axis=0))
        w *= np.where(norms > length, length / np.where(norms > 0, norms, 1), 1)
