"""What an ensemble is sure of, and whether it is right to be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._typing import Array
from . import _style


def uncertainty(
    ensemble: Any, X: Any, y: Any = None, *, output: int = 0, ax: _style.Axes | None = None
) -> _style.Axes:
    """Draw the mean of an ensemble with its spread, or how well the spread is calibrated.

    Parameters
    ----------
    ensemble : MLPEnsemble, MLPEnsembleRegressor, or anything with ``predict(X, return_std=True)``
        What has been fitted.
    X : (n, n_in) array-like
        With one column: the mean over it, with bands of one and two standard deviations. With
        several, and ``y``: the share of targets within the central intervals of normal
        distributions with that mean and spread, over the share that should be. Below the diagonal
        the ensemble is too sure; its sharpness, the mean spread, is in the title.
    y : (n,) or (n, n_out) array-like, optional
        Targets, drawn as points over one column.
    output : int, default 0
        Which output is drawn.
    ax : Axes, optional
        Draw here.

    Returns
    -------
    Axes
        With the drawing.

    Raises
    ------
    ImportError
        Where matplotlib is not installed.
    ValueError
        Where there are several columns and no ``y``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLPEnsemble, plot
    >>> X = np.linspace(-1, 1, 40)[:, None]
    >>> ensemble = MLPEnsemble([1, 8, 1], n_networks=5, random_state=0)
    >>> _ = ensemble.fit(X, np.sin(3 * X), epochs=20, bootstrap=True)
    >>> axes = plot.uncertainty(ensemble, X)
    """
    x = np.asarray(X)
    mean, std = (_column(values, output) for values in ensemble.predict(X, return_std=True))
    target = None if y is None else _column(np.asarray(y), output)
    if x.ndim != 2 or (x.shape[1] > 1 and target is None):
        raise ValueError("uncertainty needs y to compare with, or X with one column")
    axes = _style.axes(ax, (6.4, 4.4))
    if x.shape[1] == 1:
        return _bands(axes, x[:, 0], mean, std, target)
    assert target is not None
    return _calibration(axes, mean, std, target)


def coverage(mean: Array, std: Array, y: Array, shares: Array) -> Array:
    """Share of targets within the central intervals that should hold ``shares`` of them."""
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.abs(y - mean) / std
    # The central interval that just holds a target has the probability erf(distance / √2).
    needed = np.array([1.0 if math.isnan(d) else math.erf(d / math.sqrt(2)) for d in distance])
    return np.asarray((needed[None, :] <= shares[:, None]).mean(axis=1))


def _column(values: Array, output: int) -> Array:
    return values if values.ndim == 1 else np.asarray(values[:, output])


def _bands(axes: _style.Axes, x: Array, mean: Array, std: Array, y: Array | None) -> _style.Axes:
    order = np.argsort(x, kind="stable")
    x, mean, std = x[order], mean[order], std[order]
    for times, strength in ((2, 0.15), (1, 0.3)):
        label = "±1, ±2 std" if times == 1 else None
        axes.fill_between(
            x, mean - times * std, mean + times * std, color="C0", alpha=strength, lw=0, label=label
        )
    axes.plot(x, mean, color="C0", label="mean")
    if y is not None:
        axes.plot(x, y[order], ".", color="0.3", ms=3, label="targets", zorder=1)
    axes.set_xlabel("input")
    axes.set_ylabel("output")
    axes.legend()
    return axes


def _calibration(axes: _style.Axes, mean: Array, std: Array, y: Array) -> _style.Axes:
    shares = np.linspace(0, 1, 51)
    axes.plot([0, 1], [0, 1], color="0.6", lw=1, label="calibrated")
    axes.plot(shares, coverage(mean, std, y, shares), color="C0", label="ensemble")
    axes.set_xlabel("share that an interval should hold")
    axes.set_ylabel("share that it holds")
    axes.set_title(f"mean spread {std.mean():.3g}, root mean square error "
                   f"{np.sqrt(np.mean((y - mean) ** 2)):.3g}")  # fmt: skip
    axes.legend()
    return axes
