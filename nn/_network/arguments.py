"""Losses, rows and targets as people give them, and as the kernels take them."""

from __future__ import annotations

import dataclasses
from typing import Any

from fastmlp import kernels
from fastmlp.kernels import CustomLoss, Loss

from .._inputs import arrays, weights
from .._typing import Array
from .outputs import Decisions


class Arguments(Decisions):
    """The part of a network that checks what its methods are given."""

    def _loss(self, loss: Any, label_smoothing: float = 0.0, missing_targets: str = "error") -> Any:
        """What the kernels take for a loss: a name, or an object of theirs; checked."""
        net = self._architecture
        if loss is None:
            loss = kernels.ACTIVATION_SPECS[net.output].natural_loss
        elif not isinstance(loss, (Loss, CustomLoss)) and loss not in kernels.LOSSES:
            from .. import losses

            found = losses.get(loss)
            loss = found
            if not isinstance(found, CustomLoss):
                loss = found.for_network(net.sizes[-1], net.output)
        if label_smoothing:
            spec = Loss.of(loss)
            if "label_smoothing" not in spec.constants:
                raise ValueError(
                    "label_smoothing is for the losses 'cross_entropy' and "
                    f"'binary_cross_entropy', got {spec.name!r}"
                )
            loss = dataclasses.replace(
                spec, constants={**spec.constants, "label_smoothing": label_smoothing}
            )
        kernels.check_loss(loss, net.output, net.sizes[-1])
        return loss if missing_targets == "error" else self._observed(loss, missing_targets)

    def _observed(self, loss: Any, missing_targets: str) -> Any:
        """The loss where targets are observed."""
        from ..losses._of_targets import observed

        if missing_targets != "ignore":
            raise ValueError(
                f"missing_targets must be 'error' or 'ignore', got {missing_targets!r}"
            )
        return observed(Loss.of(loss), self._architecture.sizes[-1])

    def _batch(
        self,
        X: Any,
        y: Any,
        loss: Any,
        sample_weight: Any = None,
        training: bool = False,
        block: bool = False,
    ) -> tuple[Array, Array, Any, Any]:
        """Check and convert rows, targets and weights; ``loss`` is what :meth:`_loss` gives.

        Weights are ``None``, those of rows ``(n,)``, or ``kernels.TargetWeights``.
        """
        net = self._architecture
        x = arrays.rows(X, net.sizes[0], self._dtype)
        if len(x) == 0 and not block:  # of several blocks one may be empty
            raise ValueError("X has no rows")
        if training:
            arrays.finite(x, "X")
        target = arrays.targets(y, len(x), net.sizes[-1], self._dtype, loss)
        target, weight = weights.of_targets(
            sample_weight, target, loss, net.sizes[-1], self._dtype, block=block
        )
        return x, target, weight, loss
