"""exp, tanh, sigmoid, logarithms and the normal distribution of a vector, for both dtypes.

``exp(x) = 2^n exp(r)`` with ``n = round(x / ln 2)`` and ``|r| ≤ ½ ln 2`` (Cody and Waite, 1980);
on that interval the Taylor series of degree 7 (float32) or 13 (float64) is closer than a tenth of
a unit in the last place. NaN goes through every formula, ±inf gives the limits, and results that
are subnormal keep what digits they have.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .code import Code, Real


class Format(NamedTuple):
    """Constants of a float format."""

    mantissa: int  # bits
    bias: int  # of the exponent
    round_magic: float  # 1.5 · 2^mantissa: adding it rounds to an integer
    round_bits: int  # its bits
    ln2_high: float  # ln 2 in two parts; n · high is exact
    ln2_low: float
    exp_low: float  # exp is 0 below and inf above
    exp_high: float
    tanh_one: float  # tanh is 1 above
    exp_degree: int
    log_degree: int
    root_half_bits: int  # bits of √½


FORMATS = {
    4: Format(
        23, 127, 12582912.0, 0x4B400000, 0.693359375, -2.12194440054690583e-4,
        -104.0, 89.0, 9.5, 7, 4, 0x3F3504F3,
    ),
    8: Format(
        52, 1023, 6755399441055744.0, 0x4338000000000000, 6.93147180369123816490e-01,
        1.90821492927058770002e-10, -746.0, 710.0, 20.0, 13, 10, 0x3FE6A09E667F3BCD,
    ),
}  # fmt: skip


def _horner(code: Code, x: Real, coefficients: list[float]) -> Real:
    """``c_0 + c_1 x + c_2 x² + …``"""
    result = code.real(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        result = code.fma(result, x, c)
    return result


def _reduced(code: Code, x: Real) -> tuple[Any, Real]:
    """``n`` as integers, and ``exp(r) - 1``, with ``x = n ln 2 + r``."""
    f = FORMATS[code.itemsize]
    shifted = code.fma(x, code.real(1 / math.log(2)), f.round_magic)
    n = shifted - f.round_magic
    r = code.fma(n, code.real(-f.ln2_high), x)
    r = code.fma(n, code.real(-f.ln2_low), r)
    series = [1 / math.factorial(k) for k in range(2, f.exp_degree + 1)]
    whole = code.builder.sub(code.bits(shifted), code.whole(f.round_bits))
    return whole, code.fma(r * r, _horner(code, r, series), r)


def _power_of_two(code: Code, n: Any) -> Real:
    f = FORMATS[code.itemsize]
    biased = code.builder.add(n, code.whole(f.bias))
    return code.from_bits(code.builder.shl(biased, code.whole(f.mantissa)))


def exp(code: Code, x: Real) -> Real:
    f = FORMATS[code.itemsize]
    n, p = _reduced(code, code.clip(x, f.exp_low, f.exp_high))
    # 2^n in two factors: n reaches beyond the exponents of normal numbers.
    half = code.builder.ashr(n, code.whole(1))
    return (p + 1.0) * _power_of_two(code, half) * _power_of_two(code, code.builder.sub(n, half))


def sqrt_by_products(code: Code, x: Real) -> Real:
    """The square root within a unit in the last place, without the divider.

    ``s (1 - e)^-½``, of which a few terms do, with ``y ≈ 1 / √x``, ``s = x y`` and ``e = 1 - s y``.
    """
    if code.host.isa != "avx512":
        return code.sqrt(x)
    y = code.inverse_sqrt(x)
    s = x * y
    e = code.fma(-s, y, 1.0)
    terms = [1 / 2, 3 / 8, 5 / 16, 35 / 128][: 2 if code.itemsize == 4 else 4]
    return code.unless_exact(code.fma(s * e, _horner(code, e, terms), s), x)


def tanh(code: Code, x: Real) -> Real:
    """``e / (e + 2)`` with ``e = exp(2|x|) - 1``, which keeps the digits of small ``x``."""
    top = FORMATS[code.itemsize].tanh_one
    magnitude = code.abs(x)
    magnitude = code.select(magnitude > top, code.real(top), magnitude)
    n, p = _reduced(code, magnitude + magnitude)
    power = _power_of_two(code, n)
    e = code.fma(power, p, power - 1.0)
    return code.copy_sign(e / (e + 2.0), x)


def sigmoid(code: Code, x: Real) -> Real:
    """``1 / (1 + e)`` or, for negative ``x``, ``e / (1 + e)``, with ``e = exp(-|x|)``."""
    e = exp(code, -code.abs(x))
    return code.select(x < 0.0, e, 1.0) / (e + 1.0)


def sigmoid_and_slope(code: Code, x: Real) -> tuple[Real, Real]:
    """``s`` and ``s (1 - s) = e / (1 + e)²``, which keeps its digits where ``s`` is nearly 1."""
    e = exp(code, -code.abs(x))
    inverse = code.real(1.0) / (e + 1.0)
    return code.select(x < 0.0, e, 1.0) * inverse, e * inverse * inverse


def log(code: Code, x: Real) -> Real:
    """Natural logarithm of normal numbers (the argument is ≥ 1 wherever it is used), inf and NaN.

    With ``x = 2^e (1 + f)``, ``√½ ≤ 1 + f < √2`` and ``s = f / (2 + f)``:
    ``log(1 + f) = 2 atanh(s) = f - (½ f² - s (½ f² + R))``, ``R = Σ 2 s^(2k) / (2k + 1)``.
    """
    f, build = FORMATS[code.itemsize], code.builder
    above = build.sub(code.bits(x), code.whole(f.root_half_bits))
    e = build.ashr(above, code.whole(f.mantissa))
    m = code.from_bits(build.sub(code.bits(x), build.shl(e, code.whole(f.mantissa)))) - 1.0
    s = m / (m + 2.0)
    z = s * s
    series = z * _horner(code, z, [2 / (2 * k + 1) for k in range(1, f.log_degree + 1)])
    half_square = m * m * 0.5
    n = Real(code, build.sitofp(e, code.vector))
    result = m - (half_square - code.fma(s, half_square + series, n * f.ln2_low))
    result = code.fma(n, code.real(f.ln2_high), result)
    return code.select(x < math.inf, result, x)


def log1p(code: Code, u: Real) -> Real:
    """``log(1 + u)`` for ``0 ≤ u``; the second term is what rounding ``1 + u`` has lost."""
    y = u + 1.0
    return log(code, y) + (u - (y - 1.0)) / y


def softplus(code: Code, x: Real) -> Real:
    """``log(1 + exp x) = max(x, 0) + log1p(exp(-|x|))``."""
    return code.select(x > 0.0, x, 0.0) + log1p(code, exp(code, -code.abs(x)))


def maximum(code: Code, x: Real, y: Real) -> Real:
    """The larger of two; whether NaN stays is not said."""
    return code.select(x > y, x, y)


def bounded(code: Code, x: Real) -> Real:
    """``x`` between ±1000, which is as good as infinity beside a factor that goes to zero faster;
    so 0 · ∞ does not come up."""
    return code.clip(x, -1000.0, 1000.0)


def bounded_below(code: Code, x: Real) -> Real:
    return code.select(x < -1000.0, code.real(-1000.0), x)


def expm1(code: Code, x: Real) -> Real:
    """``exp(x) - 1`` for ``x ≤ 0``: ``2^n (exp(r) - 1) + (2^n - 1)`` with ``x = n ln 2 + r``."""
    n, p = _reduced(code, code.clip(x, -40.0, 0.0))
    power = _power_of_two(code, n)
    return code.fma(power, p, power - 1.0)


def sign(code: Code, x: Real) -> Real:
    """-1, 0 or 1; NaN stays."""
    return code.select(x > 0.0, code.real(1.0), code.select(x < 0.0, code.real(-1.0), x))


def log_of_any(code: Code, x: Real) -> Real:
    """Natural logarithm of any number, also of subnormal ones; NaN of negative ones."""
    bits = FORMATS[code.itemsize].mantissa
    tiny = x < (2.0**-126 if code.itemsize == 4 else 2.0**-1022)
    result = log(code, code.select(tiny, x * 2.0**bits, x))
    result = result - code.select(tiny, code.real(bits * math.log(2)), 0.0)
    return code.select(x > 0.0, result, code.select(x < 0.0, code.real(math.nan), x - math.inf))


# erfcx(x) = exp(x²) erfc(x) is P(t) / (1 + 2 x) with t = (x - k) / (x + k) in [-1, 1) for x ≥ 0
# (after Shepherd and Laframboise, 1981): k, and P from the Chebyshev series of that quotient.
_ERFCX = {
    4: (2.0, [
        1.2769783913176496, -0.09276308204826599, -0.1660310956509487, 0.16403583960735882,
        -0.05421195849444883, -0.007942721699062254, 0.00868915965819439, 0.0010431445816207895,
        -0.0013957069461305247, -0.00018365443731275984, 0.0001608035817257914,
    ]),
    8: (3.0, [
        1.2530080582697296, -0.13562110612458117, -0.0475622943534492, 0.1296451587027594,
        -0.11927366341538644, 0.06830802734401004, -0.02377051491717036, 0.0025293918156923433,
        0.0018886903449894005, -0.000779832269643328, -0.00010515971952709924,
        0.000125099342413236, 4.949196437452387e-06, -2.010054215048293e-05,
        -7.30827631270431e-07, 3.472370744109478e-06, 3.5576003614521906e-07,
        -6.166009248504536e-07, -1.4047566303779087e-07, 1.0183605427944011e-07,
        4.1063424802742625e-08, -1.3312860788502125e-08, -8.217369639317199e-09,
        9.862435061143098e-10, 8.393358815047588e-10,
    ]),
}  # fmt: skip


def normal(code: Code, x: Real) -> tuple[Real, Real]:
    """``Φ(x)`` and ``exp(-½ x²)``, for ``x`` between ±1000.

    ``Φ(-|x|) = ½ exp(-½ x²) erfcx(|x| / √2)`` and ``Φ(x) = 1 - Φ(-x)``: the tail keeps its digits.
    """
    k, series = _ERFCX[code.itemsize]
    # The square in two parts: the rounding of a large one is multiplied by it in exp.
    square = x * x
    lost = code.fma(x, x, -square) if code.host.fused else code.real(0.0)
    bell = exp(code, square * -0.5)
    bell = code.fma(bell * -0.5, lost, bell)
    far = code.abs(x) * math.sqrt(0.5)
    t = (far - k) / (far + k)
    tail = bell * 0.5 * _horner(code, t, series) / code.fma(far, code.real(2.0), 1.0)
    return code.select(x > 0.0, 1.0 - tail, tail), bell
