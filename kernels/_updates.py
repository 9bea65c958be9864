"""One step of an optimizer over flat vectors, on the live backend."""

from __future__ import annotations

import functools

from . import _chooser
from ._specs import UpdateRule
from ._typing import Array


def sgd_update(
    parameters: Array,
    gradient: Array,
    learning_rate: float,
    *,
    n_threads: int | None = None,
) -> None:
    """One step of gradient descent in place, ``p ← p - η g``.

    Parameters
    ----------
    parameters, gradient : (n,) arrays
        ``p``, changed, and ``g``.
    learning_rate : float
        Step size ``η``.
    n_threads : int, optional
        Limit of the threads; ``None`` is the default thread count.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> p = np.array([1.0, 2.0])
    >>> kernels.sgd_update(p, np.array([1.0, -1.0]), 0.5)
    >>> p
    array([0.5, 2.5])
    """
    update(_rule("sgd"), parameters, gradient, (), 1, learning_rate, n_threads=n_threads)


def momentum_update(
    parameters: Array,
    gradient: Array,
    velocity: Array,
    learning_rate: float,
    momentum: float,
    nesterov: bool = False,
    *,
    n_threads: int | None = None,
) -> None:
    """One step of gradient descent with momentum in place.

    ``v ← μ v - η g``, then ``p ← p + v``, or with ``nesterov`` ``p ← p + μ v - η g`` (Sutskever,
    Martens, Dahl and Hinton, 2013, in the form of scikit-learn and Keras).

    Parameters
    ----------
    parameters, gradient, velocity : (n,) arrays
        ``p``, changed; ``g``; and ``v``, changed.
    learning_rate, momentum : float
        ``η`` and ``μ``.
    nesterov : bool
        Look ahead along the velocity.
    n_threads : int, optional
        Limit of the threads; ``None`` is the default thread count.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> p, v = np.zeros(2), np.zeros(2)
    >>> for _ in range(2):
    ...     kernels.momentum_update(p, np.ones(2), v, 0.1, 0.5)
    >>> p
    array([-0.25, -0.25])
    """
    rule = _rule("momentum", momentum=float(momentum), nesterov=float(bool(nesterov)))
    update(rule, parameters, gradient, (velocity,), 1, learning_rate, n_threads=n_threads)


def adam_update(
    parameters: Array,
    gradient: Array,
    first_moment: Array,
    second_moment: Array,
    step: int,
    learning_rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    epsilon_hat: bool = False,
    *,
    n_threads: int | None = None,
) -> None:
    """One step of Adam in place (Kingma and Ba, 2015, algorithm 1).

    ``m ← β₁ m + (1 - β₁) g``, ``v ← β₂ v + (1 - β₂) g²``,
    ``p ← p - η (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε)``.

    Parameters
    ----------
    parameters, gradient, first_moment, second_moment : (n,) arrays
        ``p``, changed; ``g``; and ``m`` and ``v``, changed.
    step : int
        ``t``, 1 for the first step.
    learning_rate, beta_1, beta_2, epsilon : float
        ``η``, ``β₁``, ``β₂`` and ``ε``.
    epsilon_hat : bool
        Add epsilon before the bias correction, ``p ← p - η √(1 - β₂ᵗ)/(1 - β₁ᵗ) m / (√v + ε)``, the
        variant at the end of the paper's section 2 that scikit-learn and Keras use.
    n_threads : int, optional
        Limit of the threads; ``None`` is the default thread count.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> p, m, v = np.zeros(2), np.zeros(2), np.zeros(2)
    >>> kernels.adam_update(p, np.array([3.0, -0.5]), m, v, 1, learning_rate=0.1)
    >>> p.round(6)
    array([-0.1,  0.1])
    """
    rule = _rule(
        "adam",
        beta_1=float(beta_1),
        beta_2=float(beta_2),
        epsilon=float(epsilon),
        epsilon_hat=float(bool(epsilon_hat)),
    )
    state = (first_moment, second_moment)
    update(rule, parameters, gradient, state, step, learning_rate, n_threads=n_threads)


@functools.lru_cache(maxsize=64)
def _rule(name: str, **constants: float) -> UpdateRule:
    """An update rule; kept, because a call on a short vector takes less time than making one."""
    return UpdateRule(name, constants)


def update(
    rule: UpdateRule,
    parameters: Array,
    gradient: Array,
    state: Array | tuple[Array, ...],
    step: int,
    learning_rate: float,
    *,
    n_threads: int | None = None,
) -> None:
    """One step of any update rule in place.

    Parameters
    ----------
    rule : UpdateRule
        Formulas and their sources are in :mod:`fastmlp.kernels.reference.update_rules`.
    parameters, gradient : (n,) arrays
        ``p``, changed, and ``g``.
    state : (len(rule.slots), n) array, or a tuple of as many (n,) arrays
        Before the first step ``rule.initial_state(n, learning_rate, dtype)``.
    step : int
        1 for the first step.
    learning_rate : float
        Step size ``η`` of this step.
    n_threads : int, optional
        Limit of the threads; ``None`` is the default thread count.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> rule = kernels.UpdateRule("adagrad")
    >>> p, g = np.zeros(2), np.array([3.0, -0.5])
    >>> state = rule.initial_state(2, 0.1, np.float64)
    >>> kernels.update(rule, p, g, state, 1, 0.1)
    >>> p.round(3)
    array([-0.1,  0.1])
    """
    _chooser.active().update(
        rule, parameters, gradient, state, step, learning_rate, n_threads=n_threads
    )
