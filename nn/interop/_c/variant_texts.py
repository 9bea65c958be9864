"""What stands around the activations of ``vector_texts``: the choice of instructions, and loops.

C in which ``@`` begins a name of the variant. Words in capitals are in ``WORDS``, or names and
types of the variant; decimal numbers become exact literals of its precision.
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
    "FMA_C": ("fmaf", "fma"),
    "FP_FAST": ("FP_FAST_FMAF", "FP_FAST_FMA"),
    # Of double there is the function of C as well.
    "FAST_FMA": (
        "defined(__FP_FAST_FMAF) || defined(__ARM_FEATURE_FMA) || defined(__riscv_flen)",
        "defined(__FP_FAST_FMA) || !defined(FASTMLP_UNFUSED)",
    ),
}

#: Before all variants.
BEGIN = """\
#if !defined(FASTMLP_PLAIN_C) && defined(__GNUC__) && FLT_EVAL_METHOD == 0
#define VECTORS 1
#else
#define VECTORS 0
#endif
#if VECTORS && defined(__x86_64__) && !(defined(__AVX2__) && defined(__FMA__))
#define ASK 1
#else
#define ASK 0
#endif
#if ASK || (VECTORS && defined(__AVX__))
#include <immintrin.h>
#elif VECTORS && defined(__aarch64__)
#include <arm_neon.h>
#endif
/* No product is fused with a sum but where it is written. */
#if defined(__clang__)
#define EXACT _Pragma("STDC FP_CONTRACT OFF")
#else
#define EXACT
#endif
#if VECTORS && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("-ffp-contract=off")
#endif
"""
END = """\
#if VECTORS && !defined(__clang__)
#pragma GCC pop_options
#endif
"""
_VECTORS = """\
#define INLINE static inline __attribute__((always_inline)) VEC
typedef REAL VEC __attribute__((vector_size(sizeof(REAL) * LANES)));
typedef INT INTS __attribute__((vector_size(sizeof(REAL) * LANES)));
typedef VEC @unaligned __attribute__((aligned(sizeof(REAL)), may_alias));

INLINE @splat(REAL x) { return x - (VEC){0}; }
INLINE @load(const REAL *p) { return *(const @unaligned *)p; }
/* a b + c, rounded once. */
#define FUSED 1
"""
_FMA_256 = """\
#define FMA FMA_1
INLINE @fma(VEC a, VEC b, VEC c) { return (VEC)FMA_256((TYPE_256)a, (TYPE_256)b, (TYPE_256)c); }
"""
#: Begin and end of the vectors of what the compiler is told.
TOLD = (
    f"""\
#if VECTORS && defined(__AVX2__) && defined(__FMA__)
#define AVX2 1
#else
#define AVX2 0
#endif
#if !VECTORS
#define LANES 1
#if defined(FP_FAST) && !defined(FASTMLP_PLAIN_C)
#define FMA FMA_C
#else
#define FMA(a, b, c) ((a) * (b) + (c))
#endif
#else
#if defined(__AVX__)
#define LANES N_LANES
#elif defined(__SSE2__) || defined(__aarch64__)
#define LANES HALF_LANES
#else
#define LANES 1
#endif
{_VECTORS}\
#if AVX2
{_FMA_256}\
#elif defined(__aarch64__)
#define FMA FMA_1
INLINE @fma(VEC a, VEC b, VEC c)
{{
    return (VEC)FMA_128((TYPE_128)c, (TYPE_128)a, (TYPE_128)b);
}}
#elif FAST_FMA
#define FMA FMA_1
INLINE @fma(VEC a, VEC b, VEC c)
{{
    int k;
    for (k = 0; k < LANES; k++)
        c[k] = FMA(a[k], b[k], c[k]);
    return c;
}}
BY_DOUBLE
#else
#undef FUSED
#define FUSED 0
#define FMA(a, b, c) ((a) * (b) + (c))
INLINE @fma(VEC a, VEC b, VEC c) {{ return a * b + c; }}
#endif
""",
    "#endif\n",
)
#: The same for the variant of which the processor is asked.
ASKED = f"#define AVX2 1\n#define LANES N_LANES\n{_VECTORS}{_FMA_256}", ""
#: Between the two.
BASE = """\
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
"""
#: Without an instruction for it, of float: double holds the product, and nearly always the sum.
BY_DOUBLE = """\
#elif !defined(FASTMLP_UNFUSED)
#define FMA(a, b, c) ((float)((double)(a) * (double)(b) + (double)(c)))
typedef double @doubles __attribute__((vector_size(8 * LANES)));
INLINE @fma(VEC a, VEC b, VEC c)
{
    const @doubles product =
        __builtin_convertvector(a, @doubles) * __builtin_convertvector(b, @doubles);
    return __builtin_convertvector(product + __builtin_convertvector(c, @doubles), VEC);
}
"""

_RUN = """\
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
"""
#: A function over memory: of vectors, with what takes their place, of the user's activations.
ASKED_RUN = f"static inline void RUN(REAL *y, int n)\n{{\n    int j = 0;\n{_RUN}}}\n"
TOLD_RUN = f"""\
static inline void RUN(REAL *y, int n)
{{
    int j = 0;
#if VECTORS
{_RUN}\
#else
    for (; j < n; j++)
        y[j] = PLAIN(y[j]);
#endif
}}
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
