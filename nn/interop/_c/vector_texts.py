"""The texts of ``vectors``: C in which ``@`` begins a name of the header.

Words in capitals are in ``WORDS``, or names and types of the header; decimal numbers become exact
literals of its precision.
"""

from __future__ import annotations

#: Word to what it is for float and for double.
WORDS = {
    "INT": ("int32_t", "int64_t"),
    "MANTISSA": ("23", "52"),
    "BIAS": ("127", "1023"),
    "MAGIC": ("12582912.0", "6755399441055744.0"),
    "EXP_LOWEST": ("-105.0", "-746.0"),
    "EXP_HIGHEST": ("90.0", "710.0"),
    "EXPM1_LOWEST": ("-30.0", "-50.0"),
    "TAIL_END": ("14.5", "38.7"),
    "HEAD_MASK": ("~0xfff", "~0x7ffffff"),
    "LOG2_E": ("1.44269504088896341", "1.4426950408889634074"),
    "LN2_HIGH": ("0.693359375", "6.93145751953125e-1"),
    "LN2_LOW": ("(-2.12194440e-4)", "1.42860682030941723212e-6"),
    "SMALLEST_NORMAL": ("1.17549435e-38", "2.2250738585072014e-308"),
    "SUBNORMAL_SCALE": ("8388608.0", "4503599627370496.0"),
    "SQRT_HALF_BITS": ("0x3f3504f3", "0x3fe6a09e667f3bcd"),
    "MANTISSA_MASK": ("0x007fffff", "0x000fffffffffffff"),
    "SELU_LOWEST": (f"{1.0507009873554804934 * 1.6732632423543772848!r}",) * 2,
    "FMA_256": ("_mm256_fmadd_ps", "_mm256_fmadd_pd"),
    "TYPE_256": ("__m256", "__m256d"),
    "FMA_128": ("vfmaq_f32", "vfmaq_f64"),
    "TYPE_128": ("float32x4_t", "float64x2_t"),
    "INFINITE": ("__builtin_inff()", "__builtin_inf()"),
    "NOTHING": ('__builtin_nanf("")', '__builtin_nan("")'),
    "FMA_1": ("__builtin_fmaf", "__builtin_fma"),
}

BASE = """\
#if !defined(FASTMLP_PLAIN_C) && defined(__GNUC__) && (defined(__SSE2__) || defined(__aarch64__))
#define VECTORS 1
#if defined(__AVX__)
#include <immintrin.h>
#define LANES N_LANES
#else
#define LANES HALF_LANES
#endif
typedef REAL VEC __attribute__((vector_size(sizeof(REAL) * LANES)));
typedef INT INTS __attribute__((vector_size(sizeof(REAL) * LANES)));
typedef VEC @unaligned __attribute__((aligned(sizeof(REAL)), may_alias));

INLINE @splat(REAL x) { return x - (VEC){0}; }
INLINE @load(const REAL *p) { return *(const @unaligned *)p; }

/* a b + c, rounded once where the processor can. */
#if defined(__FMA__)
#define FMA FMA_1
INLINE @fma(VEC a, VEC b, VEC c) { return (VEC)FMA_256((TYPE_256)a, (TYPE_256)b, (TYPE_256)c); }
#elif defined(__aarch64__)
#include <arm_neon.h>
#define FMA FMA_1
INLINE @fma(VEC a, VEC b, VEC c)
{
    return (VEC)FMA_128((TYPE_128)c, (TYPE_128)a, (TYPE_128)b);
}
#else
#define FMA(a, b, c) ((a) * (b) + (c))
INLINE @fma(VEC a, VEC b, VEC c) { return a * b + c; }
#endif

/* `yes` where the mask is set, else `no`. */
INLINE @blend(INTS mask, VEC yes, VEC no)
{
    return (VEC)(((INTS)yes & mask) | ((INTS)no & ~mask));
}
INLINE @absolute(VEC v) { return (VEC)((INTS)v & ~(INTS)@splat(-0.0)); }
/* b unless a is greater (smaller): a NaN in b is kept. */
INLINE @maximum(VEC a, VEC b) { return @blend((INTS)(b < a), a, b); }
INLINE @minimum(VEC a, VEC b) { return @blend((INTS)(b > a), a, b); }
FUNCTIONS
PANELS_V
#else
#define VECTORS 0
PANELS
#endif
"""

RUN = """\
static inline void RUN(REAL *y, int n)
{
    int j = 0;
#if VECTORS
    for (; j + LANES <= n; j += LANES)
        *(@unaligned *)(y + j) = @v_ACTIVATION(@load(y + j));
    if (j < n) {
        REAL last[LANES] = {0};
        int k;
        for (k = 0; k < n - j; k++)
            last[k] = y[j + k];
        *(@unaligned *)last = @v_ACTIVATION(@load(last));
        for (k = 0; k < n - j; k++)
            y[j + k] = last[k];
    }
#else
    for (; j < n; j++)
        y[j] = PLAIN(y[j]);
#endif
}
"""
PLAIN_RUN = """\
static inline void RUN(REAL *y, int n)
{
    int j;
    for (j = 0; j < n; j++)
        y[j] = PLAIN(y[j]);
}
"""
SOFTMAX = """\
static inline void @softmax(REAL *y, int n)
{
    REAL top = y[0], sum = 0;
    int j;
    for (j = 1; j < n; j++)
        top = y[j] < top ? top : y[j];
    for (j = 0; j < n; j++)
        y[j] -= top;
    @run_exp(y, n);
    for (j = 0; j < n; j++)
        sum += y[j];
    sum = 1 / sum;
    for (j = 0; j < n; j++)
        y[j] *= sum;
}
"""


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
#if defined(__FMA__) || defined(__aarch64__)
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


#: Name, or name and bits, to the text. Those of activations begin with ``@v_`` and their name.
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
    "tanh": """\
INLINE @v_tanh(VEC x)
{
    const INTS sign = (INTS)@splat(-0.0);
    const VEC t = @expm1_below((VEC)((INTS)(x + x) | sign));
    return (VEC)((INTS)@absolute(t / (t + 2.0)) | ((INTS)x & sign));
}
""",
    "sigmoid": """\
INLINE @v_sigmoid(VEC x)
{
    const VEC e = @exp_down(x);
    return @blend((INTS)(x < @splat(0.0)), e, @splat(1.0)) / (e + 1.0);
}
""",
    "hardtanh": """\
INLINE @v_hardtanh(VEC z) { return @minimum(@splat(1.0), @maximum(@splat(-1.0), z)); }
""",
    "relu": """\
INLINE @v_relu(VEC z) { return @maximum(@splat(0.0), z); }
""",
    "leaky_relu": """\
INLINE @v_leaky_relu(VEC z) { return @blend((INTS)(z > @splat(0.0)), z, 0.01 * z); }
""",
    "elu": """\
INLINE @v_elu(VEC z)
{
    return @blend((INTS)(z > @splat(0.0)), z, @expm1_below(@minimum(@splat(0.0), z)));
}
""",
    "selu": """\
INLINE @v_selu(VEC z)
{
    const VEC below = SELU_LOWEST * @expm1_below(@minimum(@splat(0.0), z));
    return @blend((INTS)(z > @splat(0.0)), 1.0507009873554804934 * z, below);
}
""",
    "softplus": """\
INLINE @v_softplus(VEC x)
{
    const VEC e = @exp_down(x), u = e + 1.0;
    return @maximum(@splat(0.0), x) + (@v_log(u) + (e - (u - 1.0)) / u);
}
""",
    "softsign": """\
INLINE @v_softsign(VEC z)
{
    const VEC x = @minimum(@splat(1.0e30), @maximum(@splat(-1.0e30), z));
    return x / (@absolute(x) + 1.0);
}
""",
    "sigmoid_below": """\
/* z s(z) needs s = e / (1 + e) below zero and 1 / (1 + e) above, e = exp(-|z|). */
INLINE @factor(VEC z)
{
    const VEC e = @exp_down(z), large = 1.0 / (e + 1.0);
    return @blend((INTS)(z < @splat(0.0)), e * large, large);
}
""",
    "silu": """\
INLINE @v_silu(VEC z)
{
    const VEC above = @maximum(@splat(EXP_LOWEST), z);
    return above * @factor(above);
}
""",
    "gelu": """\
INLINE @v_gelu(VEC z)
{
    const VEC above = @maximum(@splat(-TAIL_END), z), tail = @tail(@absolute(z));
    return above * @blend((INTS)(z < @splat(0.0)), tail, 1.0 - tail);
}
""",
    "gelu_tanh": """\
INLINE @v_gelu_tanh(VEC z)
{
    const VEC above = @maximum(@splat(-30.0), z), inside = @minimum(@splat(30.0), above);
    const VEC square = 0.044715 * inside * inside;
    return above * @factor(1.5957691216057307118 * inside * (square + 1.0));
}
""",
    "mish": """\
INLINE @v_mish(VEC z)
{
    const VEC above = @maximum(@splat(EXP_LOWEST), z), e = @exp_down(above), square = e * e;
    const INTS below = (INTS)(z < @splat(0.0));
    const VEC two_e = e + e, n = @blend(below, square + two_e, two_e + 1.0);
    const VEC r = 1.0 / (n + @blend(below, @splat(2.0), square + square));
    return above * (n * r);
}
""",
}
#: What else has to be there.
NEEDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("exp", "expm1", "tail"), ("expm1_reduced",)),
    **dict.fromkeys(("tanh", "elu", "selu"), ("expm1",)),
    **dict.fromkeys(("sigmoid", "mish", "sigmoid_below"), ("exp",)),
    **dict.fromkeys(("silu", "gelu_tanh"), ("sigmoid_below",)),
    "softplus": ("exp", "log"),
    "gelu": ("tail",),
}
