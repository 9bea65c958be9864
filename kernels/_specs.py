"""What a network, a loss and an update rule are called, and how parameters are laid out.

Everything here is plain data shared by the three backends; no arithmetic happens in this file.

A network with layer sizes ``(s_0, …, s_L)`` has one *flat parameter vector*::

    [ W^1 (s_0·s_1, row-major) | W^2 | … | W^L | b^1 (s_1) | b^2 | … | b^L ]

the order of scikit-learn's packed coefficients. Gradients and each slot of optimizer state are
vectors of the same layout, which makes optimizers, clipping, saving and L-BFGS one-liners.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Activations of hidden layers.
ACTIVATIONS = ("identity", "sigmoid", "tanh", "hardtanh", "relu")
#: Activations of the output layer.
OUTPUTS = ("identity", "sigmoid", "softmax")
#: Losses, each with the output activations it is defined for.
LOSS_OUTPUTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "squared_error": OUTPUTS,
        "binary_cross_entropy": ("sigmoid",),
        "cross_entropy": ("softmax",),
    }
)
LOSSES = tuple(LOSS_OUTPUTS)
#: Update rules and the vectors of state that each keeps beside the parameters.
UPDATE_RULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"sgd": (), "momentum": ("velocity",), "adam": ("first_moment", "second_moment")}
)


@dataclass(frozen=True)
class Architecture:
    """The shape of a network: layer sizes, one activation per hidden layer, one for the output."""

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
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
            if name not in ACTIVATIONS:
                raise ValueError(f"activation must be one of {ACTIVATIONS}, got {name!r}")
        if self.output not in OUTPUTS:
            raise ValueError(f"output must be one of {OUTPUTS}, got {self.output!r}")

    @property
    def layer_shapes(self) -> list[tuple[int, int]]:
        """``(n_in, n_out)`` of every weight matrix."""
        return list(pairwise(self.sizes))

    @property
    def n_parameters(self) -> int:
        """Length of the flat parameter vector."""
        return sum(n_in * n_out + n_out for n_in, n_out in self.layer_shapes)

    def views(self, flat: NDArray[Any]) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """Weight matrices ``(n_in, n_out)`` and biases ``(n_out,)`` as views into ``flat``."""
        weights, biases, start = [], [], 0
        for n_in, n_out in self.layer_shapes:
            weights.append(flat[start : start + n_in * n_out].reshape(n_in, n_out))
            start += n_in * n_out
        for _, n_out in self.layer_shapes:
            biases.append(flat[start : start + n_out])
            start += n_out
        return weights, biases


@dataclass(frozen=True)
class UpdateRule:
    """How a gradient changes the parameters: a name of :data:`UPDATE_RULES` and its constants.

    ====================  =====================================================================
    ``sgd``               no constants
    ``momentum``          ``momentum``; ``nesterov`` (0 or 1)
    ``adam``              ``beta_1``, ``beta_2``, ``epsilon``; ``epsilon_hat`` (0 or 1), see
                          :func:`fastmlp.kernels.adam_update`
    ====================  =====================================================================
    """

    name: str
    constants: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in UPDATE_RULES:
            raise ValueError(f"update rule must be one of {tuple(UPDATE_RULES)}, got {self.name!r}")

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the state vectors; optimizer state has shape ``(len(slots), n_parameters)``."""
        return UPDATE_RULES[self.name]


def check_loss(loss: str, output: str) -> None:
    """Raise ``ValueError`` unless ``loss`` is defined for networks with this ``output``."""
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {LOSSES}, got {loss!r}")
    if output not in OUTPUTS:
        raise ValueError(f"output must be one of {OUTPUTS}, got {output!r}")
    if output not in LOSS_OUTPUTS[loss]:
        allowed = " or ".join(repr(name) for name in LOSS_OUTPUTS[loss])
        raise ValueError(f"loss {loss!r} needs output {allowed}, got {output!r}")


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether the kernels compute in this dtype (float32 or float64, native byte order)."""
    return dtype.kind == "f" and dtype.itemsize in (4, 8) and dtype.isnative
