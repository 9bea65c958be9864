"""The shape of a network, and how its parameters lie in one vector.

A network with layer sizes ``(s_0, …, s_L)`` has one *flat parameter vector*::

    [ W^1 (s_0·s_1, row-major) | W^2 | … | W^L | b^1 (s_1) | b^2 | … | b^L ]

the order of scikit-learn's packed coefficients. Gradients and each slot of optimizer state are
vectors of the same layout, which makes optimizers, clipping, saving and L-BFGS one-liners.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from ._custom_activation import CustomActivation
from ._machine.lines import zeros_at_line
from ._names import ACTIVATIONS, OUTPUTS
from ._specs import precision
from ._typing import Array

#: Bytes of parameters that are soon read wherever they lie: to begin with a line takes more memory.
SMALL = 4096


@dataclass(frozen=True)
class Architecture:
    """The shape of a network: layer sizes, one activation per hidden layer, one for the output.

    Parameters
    ----------
    sizes : tuple of int
        Neurons of each layer, ``(n_in, …, n_out)``.
    activations : tuple of str or CustomActivation
        One for each hidden layer.
    output : str
        Activation of the output layer, one of ``OUTPUTS``.

    Raises
    ------
    ValueError
        For fewer than two sizes, unknown activations, or another number of them.
    """

    sizes: tuple[int, ...]
    activations: tuple[str | CustomActivation, ...]
    output: str

    def __post_init__(self) -> None:
        if len(self.sizes) < 2 or any(int(size) != size or size < 1 for size in self.sizes):
            raise ValueError(
                "sizes must be at least two positive integers (n_in, …, n_out), "
                f"got {tuple(self.sizes)}"
            )
        if len(self.activations) != len(self.sizes) - 2:
            raise ValueError(
                f"{len(self.sizes) - 2} hidden layers need as many activations, "
                f"got {len(self.activations)}"
            )
        for name in self.activations:
            if not is_activation(name):
                raise ValueError(f"activation must be one of {ACTIVATIONS}, got {name!r}")
        if self.output not in OUTPUTS:
            raise ValueError(f"output must be one of {OUTPUTS}, got {self.output!r}")

    @property
    def layer_shapes(self) -> list[tuple[int, int]]:
        """``(n_in, n_out)`` of every weight matrix."""
        return list(pairwise(self.sizes))

    @cached_property
    def n_parameters(self) -> int:
        """Length of the flat parameter vector."""
        return sum(n_in * n_out + n_out for n_in, n_out in self.layer_shapes)

    def zeros(self, dtype: Any) -> Array:
        """A flat parameter vector of zeros; a large one begins with a cache line.

        Rows of weights that fill whole lines then lie in no others: a prediction of one row by
        784-512-512-10, which reads the weights as they lie, takes a tenth less time.

        Parameters
        ----------
        dtype : dtype
            ``float32`` or ``float64``.

        Returns
        -------
        (n_parameters,) array
            For :meth:`views`.

        Raises
        ------
        TypeError
            For another dtype.
        """
        precision(dtype)
        small = self.n_parameters * np.dtype(dtype).itemsize < SMALL
        return (np.zeros if small else zeros_at_line)(self.n_parameters, dtype)

    def views(self, flat: Array) -> tuple[list[Array], list[Array]]:
        """Weight matrices ``(n_in, n_out)`` and biases ``(n_out,)`` as views into ``flat``.

        Parameters
        ----------
        flat : (n_parameters,) array
            ``[W¹ | … | Wᴸ | b¹ | … | bᴸ]``, the matrices row by row.

        Returns
        -------
        weights : list of (n_in, n_out) arrays
            One for each layer.
        biases : list of (n_out,) arrays
            One for each layer.
        """
        weights, biases = self._places
        return [flat[at].reshape(shape) for at, shape in weights], [flat[at] for at in biases]

    @cached_property
    def _places(self) -> tuple[list[tuple[slice, tuple[int, int]]], list[slice]]:
        """Where in the flat vector weights lie, with their shapes, and biases."""
        sizes = [n_in * n_out for n_in, n_out in self.layer_shapes]
        ends = list(accumulate((*sizes, *self.sizes[1:]), initial=0))
        places = [slice(*ends_) for ends_ in pairwise(ends)]
        return list(zip(places, self.layer_shapes, strict=False)), places[len(sizes) :]


def is_activation(activation: Any) -> bool:
    """Whether a hidden layer may have this activation: a name, or a ``CustomActivation``."""
    if isinstance(activation, str):
        return activation in ACTIVATIONS
    return isinstance(activation, CustomActivation)
