"""Lists of weights and biases that are windows into a network's one parameter vector."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, overload

import numpy as np
from fastmlp.kernels import Architecture

from .._typing import Array


class ParameterList(Sequence[Array]):
    """A list of arrays whose items can be changed and replaced, but not added or removed.

    Items are views, so ``net.weights[0] *= 2`` changes the network. Assigning to an item or to a
    slice copies the values in, converted to the network's dtype; where one shape is wrong nothing
    is changed.

    Parameters
    ----------
    name : str
        ``"weights"`` or ``"biases"``, for messages.
    views : list of arrays
        The windows into the parameter vector.
    """

    def __init__(self, name: str, views: list[Array]) -> None:
        self._name = name
        self._views = views

    def __len__(self) -> int:
        return len(self._views)

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice) -> list[Array]: ...
    def __getitem__(self, index: int | slice) -> Array | list[Array]:
        return self._views[index]

    def __setitem__(self, index: int | slice, value: Any) -> None:
        if isinstance(index, slice):
            chosen = range(len(self))[index]
            self._replace(list(chosen), list(_items(self._name, value)))
        else:
            self._replace([range(len(self))[index]], [value])

    def _replace(self, indices: list[int], values: list[Any]) -> None:
        if len(indices) != len(values):
            raise ValueError(f"{self._name}: expected {len(indices)} arrays, got {len(values)}")
        # Copies first: the new values may be views into this very vector, in another order.
        arrays = [self._converted(i, value) for i, value in zip(indices, values, strict=True)]
        for i, array in zip(indices, arrays, strict=True):
            self._views[i][...] = array

    def _converted(self, index: int, value: Any) -> Array:
        view = self._views[index]
        array = np.array(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(
                f"{self._name}[{index}] must hold real numbers, got dtype {array.dtype}"
            )
        if array.shape != view.shape:
            raise ValueError(
                f"{self._name}[{index}] must have shape {view.shape}, got {array.shape}"
            )
        return array.astype(view.dtype, copy=False)

    def __repr__(self) -> str:
        return repr(self._views)


def frozen(architecture: Architecture, learning: Sequence[bool]) -> Array | None:
    """Which parameters stay where these layers learn, ``(n_parameters,)``; ``None`` for none."""
    if all(learning):
        return None
    mask = np.zeros(architecture.n_parameters, bool)
    for views in architecture.views(mask):
        for view, learns in zip(views, learning, strict=True):
            view[...] = not learns
    return mask


def _items(name: str, value: Any) -> Iterable[Any]:
    if not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a list of arrays, got {type(value).__name__}")
    return value
