"""Steps that look at the gradient's sign alone."""

from __future__ import annotations

from dataclasses import dataclass

from fastmlp.kernels import UpdateRule

from ._base import Optimizer, fraction, not_negative, positive


@dataclass(frozen=True)
class Lion(Optimizer):
    """The sign of a momentum, every step equally large.

    ``p ← p - η sign(β₁ m + (1 - β₁) g)``; ``m ← β₂ m + (1 - β₂) g``.

    Parameters
    ----------
    learning_rate : float, default 0.0001
        ``η > 0``; about a tenth of what suits Adam.
    beta_1, beta_2 : float, default 0.9, 0.99
        ``0 ≤ β < 1``.
    weight_decay : float, default 0
        ``λ ≥ 0``, decoupled: ``p ← p (1 - η λ)`` before the update.

    Raises
    ------
    ValueError
        For a constant outside its range.

    References
    ----------
    X. Chen and others, "Symbolic discovery of optimization algorithms", NeurIPS 2023.
    """

    learning_rate: float = 0.0001
    beta_1: float = 0.9
    beta_2: float = 0.99
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        positive(learning_rate=self.learning_rate)
        fraction(beta_1=self.beta_1, beta_2=self.beta_2)
        not_negative(weight_decay=self.weight_decay)

    def update_rule(self) -> UpdateRule:
        return UpdateRule(
            "lion",
            {"beta_1": self.beta_1, "beta_2": self.beta_2, "weight_decay": self.weight_decay},
        )


@dataclass(frozen=True)
class Rprop(Optimizer):
    """A step size for each parameter, which grows while its gradient keeps its sign.

    Where the gradient has the sign of the step before, ``s ← s η⁺``; where it has the other,
    ``s ← s η⁻`` and the parameter waits for a step; then ``p ← p - s sign g``. Made for the full
    batch: the noise of small ones looks like changes of sign.

    Parameters
    ----------
    learning_rate : float, default 0.01
        ``s`` in the first step, above 0; schedules change nothing later.
    eta_minus, eta_plus : float, default 0.5, 1.2
        ``0 < η⁻ < 1 < η⁺``.
    step_min, step_max : float, default 1e-6, 50
        Limits of ``s``.
    weight_decay : float, default 0
        ``λ ≥ 0``, decoupled: ``p ← p (1 - η λ)`` before the update.

    Raises
    ------
    ValueError
        For a constant outside its range.

    References
    ----------
    M. Riedmiller, H. Braun, "A direct adaptive method for faster backpropagation learning: the
    RPROP algorithm", 1993; without its weight backtracking, as in torch.
    """

    learning_rate: float = 0.01
    eta_minus: float = 0.5
    eta_plus: float = 1.2
    step_min: float = 1e-6
    step_max: float = 50.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        positive(
            learning_rate=self.learning_rate,
            eta_minus=self.eta_minus,
            eta_plus=self.eta_plus,
            step_min=self.step_min,
            step_max=self.step_max,
        )
        not_negative(weight_decay=self.weight_decay)
        if not self.eta_minus < 1 < self.eta_plus:
            raise ValueError(
                "eta_minus must be below 1 and eta_plus above, "
                f"got {self.eta_minus!r} and {self.eta_plus!r}"
            )
        if self.step_min > self.step_max:
            raise ValueError(
                f"step_min must not be above step_max, got {self.step_min!r} and {self.step_max!r}"
            )

    def update_rule(self) -> UpdateRule:
        return self._rule("rprop")
