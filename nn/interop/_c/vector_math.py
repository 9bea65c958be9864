"""exp, log and the normal distribution's tail for ``vector_texts``, as in ``vector/vmath.h``."""

from __future__ import annotations


def _series(variable: str, target: str, *coefficients: str) -> str:
    """Horner's scheme, from the highest power down."""
    lines = [f"    {target} = @splat({coefficients[0]});"]
    lines += [f"    {target} = @fma({target}, {variable}, @splat({c}));" for c in coefficients[1:]]
    return "\n".join(lines)


_EXPM1_REDUCED = """\
/* x = n ln 2 + r; exp(r) - 1. */
INLINE @expm1_reduced(VEC x, INTS *n)
{
    const VEC shifted = x * LOG2_E + MAGIC;
    const VEC whole = shifted - MAGIC;
    VEC r = @fma(whole, @splat(-LN2_HIGH), x), p;
    r = @fma(whole, @splat(-LN2_LOW), r);
    *n = (INTS)shifted - (INTS)@splat(MAGIC);
SERIES
    return @fma(r * r, p, r);
}
INLINE @power_of_two(INTS n) { return (VEC)((n + BIAS) << MANTISSA); }
"""
_EXP_32 = (
    *("1.9875691500e-4", "1.3981999507e-3", "8.3334519073e-3", "4.1665795894e-2"),
    *("1.6666665459e-1", "5.0000001201e-1"),
)
_FACTORIALS = (6227020800, 479001600, 39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2)
_EXP_64 = tuple(f"{1 / n:.25e}" for n in _FACTORIALS)
_LOG = """\
INLINE @v_log(VEC x)
{
    const INTS tiny = (INTS)(x < @splat(SMALLEST_NORMAL));
    const VEC scaled = @blend(tiny, x * SUBNORMAL_SCALE, x);
    const INTS bits = (INTS)scaled - SQRT_HALF_BITS;
    const INTS k = (bits >> MANTISSA) - (tiny & MANTISSA);
    const VEC f = (VEC)((bits & MANTISSA_MASK) + SQRT_HALF_BITS) - 1.0;
    const VEC exponent = __builtin_convertvector(k, VEC);
    const VEC s = f / (f + 2.0), z = s * s, half_square = f * f * 0.5;
    VEC p, low, result;
SERIES
    low = @fma(s, @fma(z, p, half_square), exponent * LN2_LOW);
    result = exponent * LN2_HIGH - ((half_square - low) - f);
    result = @blend((INTS)(x == @splat(INFINITE)), x, result);
    result = @blend((INTS)(x == @splat(0.0)), @splat(-INFINITE), result);
    return @blend((INTS)(x < @splat(0.0)) | (INTS)(x != x), @splat(NOTHING), result);
}
"""
_LOG_32 = ("0.24279078841", "0.28498786688", "0.40000972152", "0.66666662693")
_LOG_64 = (
    *("1.479819860511658591e-01", "1.531383769920937332e-01", "1.818357216161805012e-01"),
    *("2.222219843214978396e-01", "2.857142874366239149e-01", "3.999999999940941908e-01"),
    "6.666666666666735130e-01",
)
_TAIL = """\
INLINE @head(VEC x) { return (VEC)((INTS)x & HEAD_MASK); }
/* a b - c exactly, where c is nearly a b. */
INLINE @residual(VEC a, VEC b, VEC c)
{
#if FUSED
    return @fma(a, b, -c);
#else
    const VEC a1 = @head(a), b1 = @head(b), a2 = a - a1, b2 = b - b1;
    return ((a1 * b1 - c) + a1 * b2 + a2 * b1) + a2 * b2;
#endif
}
/* erfc(x / sqrt 2) / 2 for x >= 0. */
INLINE @tail(VEC x)
{
    VEC head, square, rest, half_square, lost, f, larger, smaller, y, r, missed, t, q, p, m, off;
    INTS n, half;
    x = @minimum(@splat(TAIL_END), x);
    head = @head(x);
    square = head * head * 0.5;
    rest = (x - head) * (x + head) * 0.5;
    half_square = square + rest;
    lost = (square - half_square) + rest;
    f = @expm1_reduced(@maximum(@splat(EXP_LOWEST), -half_square), &n);
    half = n >> 1;
    larger = @power_of_two(half);
    smaller = @power_of_two(n - half);
    y = x + 4.0;
    r = 1.0 / y;
    missed = -@residual(y, r, @splat(1.0)) - r * (x - (y - 4.0));
    t = @fma(-8.0 * r, missed, @fma(@splat(-8.0), r, @splat(1.0)));
SERIES
    p = @fma(q, t, @splat(FIRST));
    m = p * r;
    off = missed - lost;
    rest = @fma(@fma(q, t, @splat(FIRST) - p), r, @residual(p, r, m));
    return (m + @fma(m, @fma(f, off, f + off), rest)) * larger * smaller;
}
"""
_TAIL_32 = (
    *("-1.208221199e-04", "1.991937861e-04", "1.570282087e-03", "-3.526252504e-03"),
    *("-7.528366481e-03", "6.040698901e-02", "-1.865227717e-01", "3.871366450e-01"),
    "-6.078966170e-01",
)
_TAIL_64 = (
    *("-6.96801365429856289e-10", "-2.45751924377711340e-09", "1.84634973102617646e-09"),
    *("1.93846397687343386e-08", "1.33228652024700668e-08", "-8.50385923691237768e-08"),
    *("-1.54919956639685409e-07", "2.71474698532187972e-07", "1.02146861064194461e-06"),
    *("-6.29513170362460633e-07", "-5.92011355431393424e-06", "7.16600446691096486e-07"),
    *("3.51446628867276676e-05", "-1.90824316175576427e-06", "-2.31094929847400568e-04"),
    *("1.33344310165727387e-04", "1.63081845687538434e-03", "-3.47969236719923320e-03"),
    *("-7.54018896667521445e-03", "6.03965748909277844e-02", "-1.86521857959658921e-01"),
    *("3.87137400742214699e-01", "-6.07896641971892082e-01"),
)


def _tail(first: str, series: tuple[str, ...]) -> str:
    return _TAIL.replace("SERIES", _series("t", "q", *series)).replace("FIRST", first)


#: Name, or name and bits, to the text.
FUNCTIONS: dict[str | tuple[str, int], str] = {
    ("expm1_reduced", 32): _EXPM1_REDUCED.replace("SERIES", _series("r", "p", *_EXP_32)),
    ("expm1_reduced", 64): _EXPM1_REDUCED.replace("SERIES", _series("r", "p", *_EXP_64)),
    ("log", 32): _LOG.replace("SERIES", _series("z", "p", *_LOG_32)),
    ("log", 64): _LOG.replace("SERIES", _series("z", "p", *_LOG_64)),
    ("tail", 32): _tail("7.552851389e-01", _TAIL_32),
    ("tail", 64): _tail("7.55285130415751516e-01", _TAIL_64),
    "exp": """\
INLINE @v_exp(VEC x)
{
    INTS n, half;
    VEC e;
    x = @minimum(@splat(EXP_HIGHEST), @maximum(@splat(EXP_LOWEST), x));
    e = @expm1_reduced(x, &n) + 1.0;
    half = n >> 1;
    return e * @power_of_two(half) * @power_of_two(n - half);
}
/* exp(-|x|) */
INLINE @exp_down(VEC x) { return @v_exp((VEC)((INTS)x | (INTS)@splat(-0.0))); }
""",
    "expm1": """\
/* exp(x) - 1 for x <= 0. */
INLINE @expm1_below(VEC x)
{
    INTS n;
    const VEC p = @expm1_reduced(@maximum(@splat(EXPM1_LOWEST), x), &n);
    const VEC scale = @power_of_two(n);
    return @fma(scale, p, scale - 1.0);
}
""",
}
#: What else has to be there.
NEEDS: dict[str, tuple[str, ...]] = dict.fromkeys(("exp", "expm1", "tail"), ("expm1_reduced",))
