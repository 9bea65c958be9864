"""Adam and its variants: momentum, and steps scaled by a running mean of squares.

In all of them ``m ← β₁ m + (1 - β₁) g`` and ``v ← β₂ v + (1 - β₂) g²``; in step ``t`` their
corrected values are ``m̂ = m / (1 - β₁ᵗ)`` and ``v̂ = v / (1 - β₂ᵗ)``.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastmlp.kernels import UpdateRule

from ._base import Optimizer, fraction, not_negative, positive, switches


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam: steps scaled by running means of the gradient and of its square.

    ``p ← p - η m̂ / (√v̂ + ε)``; AMSGrad divides by the largest √v so far,
    ``h ← max(h, v)`` in place of ``v``, so that steps do not grow again.

    Parameters
    ----------
    learning_rate : float, default 0.001
        ``η > 0``.
    beta_1, beta_2 : float, default 0.9, 0.999
        ``0 ≤ β < 1``.
    epsilon : float, default 1e-8
        ``ε > 0``.
    epsilon_hat : bool, default False
        Add ``ε`` before the bias correction, as scikit-learn and Keras do:
        ``p ← p - η √(1 - β₂ᵗ) / (1 - β₁ᵗ) m / (√v + ε)``.
    amsgrad : bool, default False
        Divide by the largest ``√v`` so far.
    weight_decay : float, default 0
        ``λ ≥ 0``, decoupled: ``p ← p (1 - η λ)`` before the update.

    Raises
    ------
    ValueError
        For a constant outside its range.

    References
    ----------
    D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1
    (``epsilon_hat``: the end of its section 2). S. Reddi, S. Kale, S. Kumar, "On the convergence of
    Adam and beyond", ICLR 2018 (``amsgrad``, with torch's bias correction).
    """

    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    epsilon_hat: bool = False
    amsgrad: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        positive(learning_rate=self.learning_rate, epsilon=self.epsilon)
        fraction(beta_1=self.beta_1, beta_2=self.beta_2)
        not_negative(weight_decay=self.weight_decay)
        switches(epsilon_hat=self.epsilon_hat, amsgrad=self.amsgrad)

    def update_rule(self) -> UpdateRule:
        return UpdateRule(
            "amsgrad" if self.amsgrad else "adam",
            {
                "beta_1": self.beta_1,
                "beta_2": self.beta_2,
                "epsilon": self.epsilon,
                "epsilon_hat": self.epsilon_hat,
                "weight_decay": self.weight_decay,
            },
        )


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay, ``p ← p (1 - η λ)`` before every update.

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon, epsilon_hat, amsgrad : float and bool
        As in :class:`Adam`.
    weight_decay : float, default 0.01
        ``λ ≥ 0``.

    Raises
    ------
    ValueError
        For a constant outside its range.

    References
    ----------
    I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019.
    """

    weight_decay: float = 0.01


@dataclass(frozen=True)
class Yogi(Optimizer):
    """Adam whose mean square changes slowly: by the size of ``g²``, not by its distance from it.

    ``v ← v - (1 - β₂) sign(v - g²) g²``; ``p ← p - η m̂ / (√v̂ + ε)``.

    Parameters
    ----------
    learning_rate : float, default 0.01
        ``η > 0``.
    beta_1, beta_2 : float, default 0.9, 0.999
        ``0 ≤ β < 1``.
    epsilon : float, default 0.001
        ``ε > 0``.
    initial_accumulator : float, default 1e-6
        What every ``v`` starts at, not negative.
    weight_decay : float, default 0
        ``λ ≥ 0``, decoupled: ``p ← p (1 - η λ)`` before the update.

    Raises
    ------
    ValueError
        For a constant outside its range.

    References
    ----------
    M. Zaheer, S. Reddi, D. Sachan, S. Kale, S. Kumar, "Adaptive methods for nonconvex
    optimization", NeurIPS 2018 (with the bias corrections of Adam).
    """

    learning_rate: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-3
    initial_accumulator: float = 1e-6
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        positive(learning_rate=self.learning_rate, epsilon=self.epsilon)
        fraction(beta_1=self.beta_1, beta_2=self.beta_2)
        not_negative(initial_accumulator=self.initial_accumulator, weight_decay=self.weight_decay)

    def update_rule(self) -> UpdateRule:
        return self._rule("yogi")


@dataclass(frozen=True)
class Adamax(Optimizer):
    """Adam with the largest gradient in place of the root of the mean square.

    ``u ← max(β₂ u, |g| + ε)``; ``p ← p - η m̂ / u``.

    Parameters
    ----------
    learning_rate : float, default 0.002
        ``η > 0``.
    beta_1, beta_2 : float, default 0.9, 0.999
        ``0 ≤ β < 1``.
    epsilon : float, default 1e-8
        ``ε > 0``.
    weight_decay : float, default 0
        ``λ ≥ 0``, decoupled: ``p ← p (1 - η λ)`` before the update.

    Raises
    ------
    ValueError
        For a constant outside its range.

    References
    ----------
    D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 2.
    """

    learning_rate: float = 0.002
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        positive(learning_rate=self.learning_rate, epsilon=self.epsilon)
        fraction(beta_1=self.beta_1, beta_2=self.beta_2)
        not_negative(weight_decay=self.weight_decay)

    def update_rule(self) -> UpdateRule:
        return self._rule("adamax")


@dataclass(frozen=True)
class Nadam(Optimizer):
    """Adam with Nesterov's momentum.

    With ``μ_t = β₁ (1 - ½ 0.96^(t ψ))`` and ``Π_t = μ_1 ⋯ μ_t``:
    ``p ← p - η ((1 - μ_t) / (1 - Π_t) g + μ_{t+1} / (1 - Π_{t+1}) m) / (√v̂ + ε)``.

    Parameters
    ----------
    learning_rate : float, default 0.002
        ``η > 0``.
    beta_1, beta_2 : float, default 0.9, 0.999
        ``0 ≤ β < 1``.
    epsilon : float, default 1e-8
        ``ε > 0``.
    momentum_decay : float, default 0.004
        ``ψ ≥ 0``, by which momentum grows from ``β₁ / 2`` to ``β₁``.
    weight_decay : float, default 0
        ``λ ≥ 0``, decoupled: ``p ← p (1 - η λ)`` before the update.

    Raises
    ------
    ValueError
        For a constant outside its range.

    References
    ----------
    T. Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016.
    """

    learning_rate: float = 0.002
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    momentum_decay: float = 0.004
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        positive(learning_rate=self.learning_rate, epsilon=self.epsilon)
        fraction(beta_1=self.beta_1, beta_2=self.beta_2)
        not_negative(momentum_decay=self.momentum_decay, weight_decay=self.weight_decay)

    def update_rule(self) -> UpdateRule:
        return self._rule("nadam")


@dataclass(frozen=True)
class RAdam(Optimizer):
    """Adam that scales its steps only where the mean of squares rests on enough of them.

    With ``ρ_∞ = 2 / (1 - β₂) - 1`` and ``ρ_t = ρ_∞ - 2 t β₂ᵗ / (1 - β₂ᵗ)``: where ``ρ_t > 5``,
    ``p ← p - η m̂ r_t √(1 - β₂ᵗ) / (√v + ε)`` with
    ``r_t = √((ρ_t - 4)(ρ_t - 2) ρ_∞ / ((ρ_∞ - 4)(ρ_∞ - 2) ρ_t))``; else ``p ← p - η m̂``.

    Parameters
    ----------
    learning_rate : float, default 0.001
        ``η > 0``.
    beta_1, beta_2 : float, default 0.9, 0.999
        ``0 ≤ β < 1``.
    epsilon : float, default 1e-8
        ``ε > 0``.
    weight_decay : float, default 0
        ``λ ≥ 0``, decoupled: ``p ← p (1 - η λ)`` before the update.

    Raises
    ------
    ValueError
        For a constant outside its range.

    References
    ----------
    L. Liu and others, "On the variance of the adaptive learning rate and beyond", ICLR 2020.
    """

    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        positive(learning_rate=self.learning_rate, epsilon=self.epsilon)
        fraction(beta_1=self.beta_1, beta_2=self.beta_2)
        not_negative(weight_decay=self.weight_decay)

    def update_rule(self) -> UpdateRule:
        return self._rule("radam")
