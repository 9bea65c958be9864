"""Losses that are formulas of the outputs: a sum over the columns, each term on its own.

Formulas: the table in ``reference/losses.py``. The error is the derivative by the output times
that of the output activation.
"""

from __future__ import annotations

from collections.abc import Callable

from ..vector.code import Code, Int, Real
from ..vector.vmath import exp, expm1, log1p, tanh
from .activations import DERIVATIVES, FUNCTIONS
from .columns import Columns


def _squared(code: Code, r: Real, c: Real) -> tuple[Real, Real]:
    return r * r * 0.5, r


def _absolute(code: Code, r: Real, c: Real) -> tuple[Real, Real]:
    sign = code.select(r < 0.0, code.real(-1.0), r)
    return code.abs(r), code.select(r > 0.0, code.real(1.0), sign)


def _huber(code: Code, r: Real, c: Real) -> tuple[Real, Real]:
    size = code.abs(r)
    quadratic = code.select(size > c, c, size)
    return quadratic * (size - quadratic * 0.5), code.clip(r, -c, c)


def _quantile(code: Code, r: Real, c: Real) -> tuple[Real, Real]:
    slope = code.select(r < 0.0, -c, code.select(r > 0.0, 1.0 - c, r))
    return slope * r, slope


def _log_cosh(code: Code, r: Real, c: Real) -> tuple[Real, Real]:
    # cosh m - 1 = (exp(-m) - 1)² / 2 exp(-m); beyond m = 20 the logarithm grows as r itself does.
    size = code.abs(r)
    m = code.select(size > 20.0, code.real(20.0), size)
    t = expm1(code, -m)
    return log1p(code, t * t * 0.5 / exp(code, -m)) + (size - m), tanh(code, r)


#: Value and derivative by ``a``, from ``r = a - y`` and the loss's constant.
Formula = Callable[[Code, Real, Real], tuple[Real, Real]]
#: Loss → its formula, for any output activation. A new loss of outputs goes here.
OF_OUTPUTS: dict[str, Formula] = {
    "squared_error": _squared,
    "absolute_error": _absolute,
    "huber": _huber,
    "quantile": _quantile,
    "log_cosh": _log_cosh,
}


def of_outputs(name: str, output: str) -> Callable[[Code, Columns], Real]:
    """A loss of outputs as one of scores, by the chain rule through the output activation."""
    value_and_slope = OF_OUTPUTS[name]
    if output == "softmax":
        return lambda code, columns: _of_softmax(code, columns, value_and_slope)

    def of_scores(code: Code, columns: Columns) -> Real:
        def term(at: Int) -> Real:
            a = code.load(columns.z + at)
            if output != "identity":
                a = FUNCTIONS[output](code, a)
            value, slope = value_and_slope(code, a - code.load(columns.y + at), columns.constant)
            error = slope if output == "identity" else DERIVATIVES[output](code, slope, a)
            code.store(error, columns.d + at)
            return value

        return columns.total(term)

    return of_scores


def of_gradients(output: str) -> Callable[[Code, Columns], Real]:
    """No loss, and the errors: its derivatives by the outputs stand in the place of targets."""

    def errors(code: Code, columns: Columns) -> Real:
        def write(at: Int) -> None:
            y = code.load(columns.y + at)
            if output != "identity":
                a = FUNCTIONS[output](code, code.load(columns.z + at))
                y = DERIVATIVES[output](code, y, a)
            code.store(y, columns.d + at)

        columns.each(write)
        return code.real(0.0)

    def errors_of_softmax(code: Code, columns: Columns) -> Real:
        z, y, d = columns.z, columns.y, columns.d
        _, total = columns.exponentials(z)
        columns.scale(z, code.real(1.0) / total)
        inner = columns.total(lambda at: code.load(z + at) * code.load(y + at))
        columns.each(lambda at: code.store(code.load(z + at) * (code.load(y + at) - inner), d + at))
        return code.real(0.0)

    return errors_of_softmax if output == "softmax" else errors


def _of_softmax(code: Code, columns: Columns, value_and_slope: Formula) -> Real:
    """The Jacobian of softmax is ``diag(a) - a aᵀ``."""
    z, y, d = columns.z, columns.y, columns.d
    _, total = columns.exponentials(z)
    inner = code.variable(code.real(0.0))

    def term(at: Int) -> Real:
        a = code.load(z + at) / total
        value, slope = value_and_slope(code, a - code.load(y + at), columns.constant)
        code.store(a, z + at)
        code.store(slope, d + at)
        inner.set(code.fma(slope, a, inner.get()))
        return value

    result = columns.total(term)
    dot = inner.get()
    columns.each(lambda at: code.store(code.load(z + at) * (code.load(d + at) - dot), d + at))
    return result
