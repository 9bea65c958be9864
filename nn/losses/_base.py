"""What all losses have in common."""

from __future__ import annotations

import re
from abc import ABC
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from fastmlp import kernels
from numpy.typing import ArrayLike

from .._inputs.numbers import number
from .._typing import Array


@dataclass(frozen=True)
class Loss(ABC):
    """Base of all losses.

    Attributes
    ----------
    name : str
        In snake_case, as the kernels know it.
    outputs : tuple of str
        Output activations that it is defined for.
    """

    name: ClassVar[str]
    #: Every loss by its name.
    registry: ClassVar[dict[str, type[Loss]]] = {}

    def __init_subclass__(cls, *, kind: bool = False) -> None:
        """Register a loss by its name; a ``kind`` of losses is none itself."""
        super().__init_subclass__()
        if kind:
            return
        cls.name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()
        Loss.registry[cls.name] = cls

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.type == "float":
                number(field.name, getattr(self, field.name))
        self.spec()  # checks the ranges of the constants

    def spec(self) -> kernels.Loss:
        """Return the kernels' loss and its constants.

        Returns
        -------
        fastmlp.kernels.Loss
            With the constants of this object.
        """
        return kernels.Loss(self.name, {f.name: getattr(self, f.name) for f in fields(self)})

    #: Outputs of the network for each target.
    outputs_a_target: ClassVar[int] = 1

    def point(self, outputs: Array) -> Array:
        """The one value of each target that outputs of a network stand for.

        Parameters
        ----------
        outputs : (n, n_out) array
            What ``predict`` has given.

        Returns
        -------
        (n, n_targets) array
            The outputs themselves, unless several describe one target.
        """
        return outputs

    def for_network(self, n_out: int, output: str) -> kernels.Loss | kernels.CustomLoss:
        """What the kernels take, for so many outputs with this activation.

        Parameters
        ----------
        n_out : int
            Outputs of the network.
        output : str
            Their activation.

        Returns
        -------
        fastmlp.kernels.Loss or CustomLoss
            What is trained with.
        """
        return self.spec()

    @property
    def outputs(self) -> tuple[str, ...]:
        return kernels.LOSS_OUTPUTS[self.name]

    def __call__(
        self,
        scores: ArrayLike,
        target: ArrayLike,
        output: str | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Mean loss over the rows.

        Parameters
        ----------
        scores : (n, n_out) array-like
            ``z``, before the output activation.
        target : (n, n_out) or (n,) array-like
        output : str, optional
            Output activation, by default the first of ``outputs``.
        sample_weight : (n,) or (n, n_targets) array-like, optional
        """
        arrays = self._arrays(scores, target, sample_weight)
        return kernels.loss_value(
            *arrays[:2], self.spec(), output or self.outputs[0], sample_weight=arrays[2]
        )

    def derivative(
        self,
        scores: ArrayLike,
        target: ArrayLike,
        output: str | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Array:
        """Output error ``δ = ∂C/∂z`` of each row, ``(n, n_out)``; parameters as in a call.

        Parameters
        ----------
        scores : (n, n_out) array-like
            ``z^L``, before the output activation.
        target : (n, n_out) or (n,) array-like
            Values, or class labels.
        output : str, optional
            Output activation, by default the first of ``outputs``.
        sample_weight : (n,) or (n, n_targets) array-like, optional
            Factor of each row, or of each of its targets, not negative.

        Returns
        -------
        (n, n_out) array
            Not divided by the number of rows.
        """
        arrays = self._arrays(scores, target, sample_weight)
        return kernels.output_delta(
            *arrays[:2], self.spec(), output or self.outputs[0], sample_weight=arrays[2]
        )

    def _arrays(self, scores: Any, target: Any, sample_weight: Any) -> tuple[Array, Array, Any]:
        z = np.asarray(scores)
        z = z if z.dtype == np.float32 else z.astype(np.float64)
        y = np.asarray(target)
        if y.ndim != 1 or y.dtype.kind not in "iu":
            y = y.astype(z.dtype)
        weight = None if sample_weight is None else np.asarray(sample_weight, z.dtype)
        if weight is not None and weight.ndim == 2:
            from .._inputs import weights

            return z, *weights.of_targets(weight, y, self.spec(), z.shape[1], z.dtype)
        return z, y, weight
