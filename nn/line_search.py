"""Line search: how far to go along a direction in which a function falls.

Both searches work on ``phi(step) = (f(x + step d), ∇f(x + step d)·d)`` and return the step and how
often they have asked. They know nothing of networks:

>>> from fastmlp.line_search import armijo
>>> def phi(step):  # f(x) = x² from x = 3 along d = -1
...     x = 3 - step
...     return x**2, -2 * x
>>> armijo(phi, *phi(0.0), step=8.0).step
4.0

==============  ===============================================================================
:func:`armijo`  shortens a step until the function has fallen enough
:func:`wolfe`   also makes the slope flat enough: the strong conditions that L-BFGS needs
==============  ===============================================================================

References
----------
J. Nocedal, S. Wright, *Numerical Optimization*, 2nd edition 2006: algorithms 3.1 (backtracking),
3.5 and 3.6 (strong Wolfe), equation 3.59 (cubic interpolation). W. Hager, H. Zhang, "A new
conjugate gradient method with guaranteed descent and an efficient line search", 2005 (tolerance).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Found", "armijo", "wolfe"]

#: Value and slope at a step.
Phi = Callable[[float], tuple[float, float]]


class Found(NamedTuple):
    """Outcome of a search.

    Parameters
    ----------
    step : float
        0 where no step lowers the function by more than rounding.
    value, slope : float
        There.
    evaluations : int
        Calls of ``phi``.
    """

    step: float
    value: float
    slope: float
    evaluations: int


def armijo(
    phi: Phi,
    value: float,
    slope: float,
    *,
    step: float = 1.0,
    c1: float = 1e-4,
    shrink: float = 0.5,
    max_evaluations: int = 40,
) -> Found:
    """Backtracking: the first of ``step, shrink·step, shrink²·step, …`` that lowers enough.

    Enough means ``phi(step) ≤ phi(0) + c1 step phi'(0)``. Where ``phi`` is not finite the step is
    too long.

    Parameters
    ----------
    phi : function
        ``step -> (value, slope)``.
    value, slope : float
        ``phi(0)``; the slope must be negative.
    step : float, default 1
        First trial.
    c1 : float, default 1e-4
        Share of the slope's promise that has to be kept, ``0 < c1 < 1``.
    shrink : float, default 0.5
        ``0 < shrink < 1``.
    max_evaluations : int, default 40
        Calls of ``phi`` at most.

    Returns
    -------
    Found
        The step, or 0 where none lowers enough.

    Raises
    ------
    ValueError
        Where the slope is not negative, or a constant is out of its range.

    Examples
    --------
    >>> from fastmlp.line_search import armijo
    >>> def phi(step):  # f(x) = x² from x = 3 along d = -1
    ...     x = 3 - step
    ...     return x**2, -2 * x
    >>> round(armijo(phi, *phi(0.0), step=8.0).step, 6)
    4.0
    """
    _check(slope, step)
    if not (0 < c1 < 1 and 0 < shrink < 1):
        raise ValueError(f"c1 and shrink must lie between 0 and 1, got {c1!r} and {shrink!r}")
    for evaluation in range(1, max_evaluations + 1):
        new, new_slope = phi(step)
        if new < value and new <= value + c1 * step * slope:  # False for NaN
            return Found(step, new, new_slope, evaluation)
        step *= shrink
    return Found(0.0, value, slope, max_evaluations)


def wolfe(
    phi: Phi,
    value: float,
    slope: float,
    *,
    step: float = 1.0,
    c1: float = 1e-4,
    c2: float = 0.9,
    max_evaluations: int = 30,
    tolerance: float = 0.0,
) -> Found:
    """A step with ``phi(step) ≤ phi(0) + c1 step phi'(0)`` and ``|phi'(step)| ≤ c2 |phi'(0)|``.

    The step grows until it encloses such a point, which cubic interpolation then finds.

    Parameters
    ----------
    phi : function
        ``step -> (value, slope)``.
    value, slope : float
        ``phi(0)``; the slope must be negative.
    step : float, default 1
        First trial.
    c1, c2 : float, default 1e-4, 0.9
        ``0 < c1 < c2 < 1``.
    max_evaluations : int, default 30
        Calls of ``phi`` at most.
    tolerance : float, default 0
        Rounding error of a value. Close to a minimum values differ by less than that, and only
        slopes still tell: where ``phi(step) ≤ phi(0) + tolerance``, a slope between
        ``c2 phi'(0)`` and ``(2 c1 - 1) phi'(0)`` is enough.

    Returns
    -------
    Found
        Where the evaluations do not suffice, the lowest point among those that have fallen enough.

    Raises
    ------
    ValueError
        Where the slope is not negative, or a constant is out of its range.

    Examples
    --------
    >>> from fastmlp.line_search import wolfe
    >>> def phi(step):  # f(x) = x² from x = 3 along d = -1
    ...     x = 3 - step
    ...     return x**2, -2 * x
    >>> round(wolfe(phi, *phi(0.0), step=8.0).step, 6)
    3.0
    """
    _check(slope, step)
    if not 0 < c1 < c2 < 1:
        raise ValueError(f"c1 and c2 must satisfy 0 < c1 < c2 < 1, got {c1!r} and {c2!r}")
    start = _Point(0.0, value, slope)
    low, high = start, None
    for evaluation in range(1, max_evaluations + 1):
        point = _Point(step, *phi(step))
        # Strictly lower: with a tiny step the condition holds where nothing has changed at all.
        enough = point.value < value and point.value <= value + c1 * step * slope
        strong = enough and abs(point.slope) <= -c2 * slope
        rounded = (
            point.value <= value + tolerance
            and c2 * slope <= point.slope <= (2 * c1 - 1) * slope
            and tolerance > 0
        )
        if strong or rounded:
            return Found(*point, evaluation)
        # An interval between `low`, the lowest point that has fallen enough, and `high` holds a
        # solution where phi at `high` is too high or rises as seen from `low`.
        if not enough or (point.value >= low.value and low is not start):
            high = point
        else:
            if point.slope * (point.step - low.step) >= 0:
                high = low
            low = point
        step = 2 * step if high is None else _between(low, high)
        if step == low.step:
            break
    return Found(*low, evaluation)


class _Point(NamedTuple):
    step: float
    value: float
    slope: float


def _between(low: _Point, high: _Point) -> float:
    """Minimum of the cubic through both ends, kept away from them; the middle where it has none."""
    width = high.step - low.step
    middle = low.step + 0.5 * width
    d1 = low.slope + high.slope - 3 * (low.value - high.value) / (low.step - high.step)
    square = d1 * d1 - low.slope * high.slope
    if not math.isfinite(square):  # far out of the function's domain
        return low.step + 0.1 * width
    if square < 0:
        return middle
    d2 = math.copysign(math.sqrt(square), width)
    divisor = high.slope - low.slope + 2 * d2
    if divisor == 0:
        return middle
    step = high.step - width * (high.slope + d2 - d1) / divisor
    nearest, farthest = low.step + 0.1 * width, low.step + 0.9 * width
    return min(max(step, min(nearest, farthest)), max(nearest, farthest))


def _check(slope: float, step: float) -> None:
    if not slope < 0:
        raise ValueError(f"the function must fall along the direction, got the slope {slope!r}")
    if not (step > 0 and math.isfinite(step)):
        raise ValueError(f"step must be a finite number above 0, got {step!r}")
