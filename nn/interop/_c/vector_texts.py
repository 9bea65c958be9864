"""The texts of ``vectors``: C in which ``@`` begins a name of the header.

Words in capitals are in ``WORDS``, or names and types of the header; decimal numbers become exact
literals of its precision.
"""

from __future__ import annotations

from . import vector_math

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

#: Name, or name and bits, to the text. Those of activations begin with ``@v_`` and their name.
FUNCTIONS: dict[str | tuple[str, int], str] = {
    **vector_math.FUNCTIONS,
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
    **vector_math.NEEDS,
    **dict.fromkeys(("tanh", "elu", "selu"), ("expm1",)),
    **dict.fromkeys(("sigmoid", "mish", "sigmoid_below"), ("exp",)),
    **dict.fromkeys(("silu", "gelu_tanh"), ("sigmoid_below",)),
    "softplus": ("exp", "log"),
    "gelu": ("tail",),
}
