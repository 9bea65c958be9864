"""Optimizers that see all rows at once: gradient descent and L-BFGS, with line search.

Each epoch is one iteration, whatever ``batch_size`` says.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastmlp.kernels import UpdateRule

from .._inputs.numbers import count, number
from ._base import Optimizer, positive
from ._directions import Curvature, Method, QuasiNewton, SteepestDescent


class FullBatch:
    """What the optimizers of this file have beside what all have.

    Attributes
    ----------
    subset : int or None
        Rows to work on, drawn once in each ``fit``; ``None`` for all.
    """

    subset: int | None

    def method(self) -> Method | Curvature | None:
        """How to search, or ``None`` where the update rule says all."""
        return None


@dataclass(frozen=True)
class GradientDescent(FullBatch, Optimizer):
    """Batch gradient descent, ``p ← p - η ∇C``, with ``C`` the mean over all rows.

    The step ``η`` is constant, or found by a line search in every iteration:

    ``"armijo"``
        The first of ``η, shrink η, shrink² η, …`` with ``C(p - η ∇C) ≤ C(p) - c1 η ‖∇C‖²``; the
        next iteration begins one size larger.
    ``"wolfe"``
        Also ``|∇C(p - η ∇C)·∇C(p)| ≤ c2 ‖∇C(p)‖²``, the strong Wolfe conditions.

    Parameters
    ----------
    learning_rate : float, default 0.1
        ``η``; with a line search its first trial.
    line_search : {"armijo", "wolfe"}, optional
    c1, c2 : float, default 1e-4, 0.9
        ``0 < c1 < c2 < 1``.
    shrink : float, default 0.5
        Between 0 and 1.
    subset : int, optional
        Rows to work on, drawn once in each ``fit``; by default all.

    Raises
    ------
    ValueError
        For a constant outside its range.

    References
    ----------
    J. Nocedal, S. Wright, *Numerical Optimization*, 2nd edition 2006, sections 3.1 and 3.5.
    """

    learning_rate: float = 0.1
    line_search: str | None = None
    c1: float = 1e-4
    c2: float = 0.9
    shrink: float = 0.5
    subset: int | None = None

    def __post_init__(self) -> None:
        if self.line_search not in (None, "armijo", "wolfe"):
            raise ValueError(
                f"line_search must be 'armijo', 'wolfe' or None, got {self.line_search!r}"
            )
        if not 0 < number("shrink", self.shrink) < 1:
            raise ValueError(f"shrink must lie between 0 and 1, got {self.shrink!r}")
        _check(self.learning_rate, self.c1, self.c2, self.subset)

    def update_rule(self) -> UpdateRule:
        return UpdateRule("sgd")

    def method(self) -> Method | None:
        if self.line_search is None:
            return None
        # Python's numbers: NumPy's would give the parameters their own dtype.
        constants = map(float, (self.learning_rate, self.c1, self.c2, self.shrink))
        return SteepestDescent(self.line_search, *constants)


@dataclass(frozen=True)
class LBFGS(FullBatch, Optimizer):
    """Limited-memory BFGS: along ``-H ∇C``, with a strong Wolfe line search.

    ``H`` approximates the inverse Hessian by the last changes of parameters and gradient.

    Parameters
    ----------
    learning_rate : float, default 1
        First trial of the line search.
    history_size : int, default 10
        Changes that are kept, two vectors of all parameters each.
    c1, c2 : float, default 1e-4, 0.9
        ``0 < c1 < c2 < 1``.
    subset : int, optional
        Rows to work on, drawn once in each ``fit``; by default all.

    Raises
    ------
    ValueError
        For a constant outside its range.

    References
    ----------
    D. Liu, J. Nocedal, "On the limited memory BFGS method for large scale optimization", 1989;
    J. Nocedal, S. Wright, *Numerical Optimization*, 2nd edition 2006, algorithms 7.4 and 7.5.
    """

    learning_rate: float = 1.0
    history_size: int = 10
    c1: float = 1e-4
    c2: float = 0.9
    subset: int | None = None

    def __post_init__(self) -> None:
        count("history_size", self.history_size, 1)
        _check(self.learning_rate, self.c1, self.c2, self.subset)

    def update_rule(self) -> UpdateRule:
        raise TypeError("L-BFGS is not an element-wise update rule; use it with MLP.fit")

    def method(self) -> Method:
        constants = map(float, (self.c1, self.c2, self.learning_rate))
        return QuasiNewton(self.history_size, *constants)


def _check(learning_rate: float, c1: float, c2: float, subset: int | None) -> None:
    positive(learning_rate=learning_rate)
    if not 0 < number("c1", c1) < number("c2", c2) < 1:
        raise ValueError(f"c1 and c2 must satisfy 0 < c1 < c2 < 1, got {c1!r} and {c2!r}")
    if subset is not None:
        count("subset", subset, 1)
