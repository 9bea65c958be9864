/* Vectors of the instruction set and precision that this translation unit is compiled for.

   FASTMLP_REAL_BITS (32 or 64) and FASTMLP_ISA_<NAME> come from the command line; each pair makes
   one object file from kernels.c. Arithmetic (+ - * /), comparison and bit operations are those of
   GNU vector types; only what they lack is spelled out per instruction set below: splat, fma, sqrt,
   an estimate of 1 / sqrt where it has 14 bits, and maximum and minimum where compilers do not find
   the instruction.

   A new instruction set needs an #elif here, its flags in setup.py, and a row in dispatch.c. */
#ifndef FASTMLP_SIMD_H
#define FASTMLP_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if FASTMLP_REAL_BITS == 32
typedef float real;
typedef int32_t integer; /* of the same width */
#define REAL_NAME f32
#define REAL_FMA __builtin_fmaf
#else
typedef double real;
typedef int64_t integer;
#define REAL_NAME f64
#define REAL_FMA __builtin_fma
#endif

/* ROWS x PANELS accumulators fill the registers without spills; FEATURES likewise for gradients,
   where rows of the tile are input features and must not straddle a panel. GROUP vectors go through a
   long chain of operations side by side: while one waits for a result, the others compute. */
#if defined(FASTMLP_ISA_AVX512)
#include <immintrin.h>
#define ISA_NAME avx512
#define VECTOR_BYTES 64
#define TILE_ROWS 12
#define TILE_PANELS 2
#define TILE_FEATURES 8
#define GROUP 8
#if FASTMLP_REAL_BITS == 32
#define SPLAT(x) ((vec)_mm512_set1_ps(x))
#define FMA(a, b, c) ((vec)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define SQRT(a) ((vec)_mm512_sqrt_ps((__m512)(a)))
#define MAXIMUM(a, b) ((vec)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define MINIMUM(a, b) ((vec)_mm512_min_ps((__m512)(a), (__m512)(b)))
#define LOAD_PARTIAL(p, n) ((vec)_mm512_maskz_loadu_ps((__mmask16)((1u << (n)) - 1), p))
#define STORE_PARTIAL(p, v, n) _mm512_mask_storeu_ps(p, (__mmask16)((1u << (n)) - 1), (__m512)(v))
#define INVERSE_SQRT(a) ((vec)_mm512_rsqrt14_ps((__m512)(a)))
/* `a` where it is zero or plus infinity (a digit for each kind of number), else s. */
#define UNLESS_EXACT(s, a)                                                                         \
    ((vec)_mm512_fixupimm_ps((__m512)(s), (__m512)(a), _mm512_set1_epi32(0x100100), 0))
#else
#define SPLAT(x) ((vec)_mm512_set1_pd(x))
#define FMA(a, b, c) ((vec)_mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#define SQRT(a) ((vec)_mm512_sqrt_pd((__m512d)(a)))
#define MAXIMUM(a, b) ((vec)_mm512_max_pd((__m512d)(a), (__m512d)(b)))
#define MINIMUM(a, b) ((vec)_mm512_min_pd((__m512d)(a), (__m512d)(b)))
#define LOAD_PARTIAL(p, n) ((vec)_mm512_maskz_loadu_pd((__mmask8)((1u << (n)) - 1), p))
#define STORE_PARTIAL(p, v, n) _mm512_mask_storeu_pd(p, (__mmask8)((1u << (n)) - 1), (__m512d)(v))
#define INVERSE_SQRT(a) ((vec)_mm512_rsqrt14_pd((__m512d)(a)))
#define UNLESS_EXACT(s, a)                                                                         \
    ((vec)_mm512_fixupimm_pd((__m512d)(s), (__m512d)(a), _mm512_set1_epi64(0x100100), 0))
#endif

#elif defined(FASTMLP_ISA_AVX2)
#include <immintrin.h>
#define ISA_NAME avx2
#define VECTOR_BYTES 32
#define TILE_ROWS 6
#define TILE_PANELS 1
#define TILE_FEATURES 6
#define GROUP 4
#if FASTMLP_REAL_BITS == 64
#define TRIPLE_FEATURES 4 /* by three vectors: a panel of 8 features would leave tiles of 4 by two */
#endif
#define DEPTH_STEPS 2
#define GRADIENT_STEPS (FASTMLP_REAL_BITS == 32 ? 4 : 2)
#define DESCENT_STEPS (FASTMLP_REAL_BITS == 32 ? 2 : 1)
#if defined(__GNUC__) && !defined(__clang__)
#define BEGIN_TILES _Pragma("GCC push_options") _Pragma("GCC optimize(\"no-schedule-insns\")")
#define END_TILES _Pragma("GCC pop_options")
#endif
#define INNER_LOOP _Pragma("GCC unroll 1") /* unrolled, the float64 tiles need a 17th register */
#if FASTMLP_REAL_BITS == 32
#define SPLAT(x) ((vec)_mm256_set1_ps(x))
#define FMA(a, b, c) ((vec)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define SQRT(a) ((vec)_mm256_sqrt_ps((__m256)(a)))
#define MAXIMUM(a, b) ((vec)_mm256_max_ps((__m256)(a), (__m256)(b)))
#define MINIMUM(a, b) ((vec)_mm256_min_ps((__m256)(a), (__m256)(b)))
#define FIRST(n) _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
#define LOAD_PARTIAL(p, n) ((vec)_mm256_maskload_ps(p, FIRST(n)))
#else
#define SPLAT(x) ((vec)_mm256_set1_pd(x))
#define FMA(a, b, c) ((vec)_mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#define SQRT(a) ((vec)_mm256_sqrt_pd((__m256d)(a)))
#define MAXIMUM(a, b) ((vec)_mm256_max_pd((__m256d)(a), (__m256d)(b)))
#define MINIMUM(a, b) ((vec)_mm256_min_pd((__m256d)(a), (__m256d)(b)))
#define FIRST(n) _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3))
#define LOAD_PARTIAL(p, n) ((vec)_mm256_maskload_pd(p, FIRST(n)))
#endif

#elif defined(FASTMLP_ISA_NEON)
#include <arm_neon.h>
#define ISA_NAME neon
#define VECTOR_BYTES 16
#define TILE_ROWS 6
#define TILE_PANELS 1
#define TILE_FEATURES 6
#if FASTMLP_REAL_BITS == 32
#define SPLAT(x) ((vec)vdupq_n_f32(x))
#define FMA(a, b, c) ((vec)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#define SQRT(a) ((vec)vsqrtq_f32((float32x4_t)(a)))
#else
#define SPLAT(x) ((vec)vdupq_n_f64(x))
#define FMA(a, b, c) ((vec)vfmaq_f64((float64x2_t)(c), (float64x2_t)(a), (float64x2_t)(b)))
#define SQRT(a) ((vec)vsqrtq_f64((float64x2_t)(a)))
#endif

#else /* any machine whose compiler has GNU vectors; SSE2 on x86 */
#define ISA_NAME baseline
#define VECTOR_BYTES 16
#define TILE_ROWS 2
#define TILE_PANELS 1
#define TILE_FEATURES 2
#define NO_FMA 1
#undef REAL_FMA
#define REAL_FMA(a, b, c) ((a) * (b) + (c))
#define FMA(a, b, c) ((a) * (b) + (c))
#endif

/* Names of what is visible outside of a translation unit. */
#define FASTMLP_PASTE(a, b, c) a##b##_##c
#define FASTMLP_JOIN(a, b, c) FASTMLP_PASTE(a, b, c)
#define LANE_STEP FASTMLP_JOIN(fastmlp_lane_step_, ISA_NAME, REAL_NAME)

typedef real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef integer ivec __attribute__((vector_size(VECTOR_BYTES)));
typedef vec vec_unaligned __attribute__((aligned(sizeof(real)), may_alias));

enum {
    LANES = VECTOR_BYTES / (int)sizeof(real),
    PANEL = 64 / (int)sizeof(real),     /* columns of a panel: one cache line */
    VECTORS = PANEL / LANES,            /* vectors of a panel's row */
    STRIP_ROW = TILE_PANELS == 2 ? TILE_FEATURES : PANEL, /* elements from row to row of strips, see panels.h */
};

#define INLINE static inline __attribute__((always_inline))
/* A tile that is inlined into its caller loses its address registers to spills. */
#define OUTLINE static __attribute__((noinline))
#define UNROLL _Pragma("GCC unroll 32")
#ifndef INNER_LOOP
#define INNER_LOOP
#endif
/* Steps of the inner loops of tiles that are written one after the other. */
#ifndef DEPTH_STEPS
#define DEPTH_STEPS 1
#define GRADIENT_STEPS 1
#define DESCENT_STEPS 1
#endif
/* Around tiles that keep the order of their source: multiplications that the compiler has moved about reach
   some 90 % of the peak, in this order 97. */
#ifndef BEGIN_TILES
#define BEGIN_TILES
#define END_TILES
#endif
#ifndef GROUP
#define GROUP 1
#endif
#define LIKELY(x) __builtin_expect(!!(x), 1)

#ifndef SPLAT
INLINE vec splat(real x)
{
    vec v;
    for (int i = 0; i < LANES; i++)
        v[i] = x;
    return v;
}
#define SPLAT(x) splat(x)
INLINE vec vector_sqrt(vec a)
{
    for (int i = 0; i < LANES; i++)
        a[i] = sizeof(real) == 4 ? (real)__builtin_sqrtf((float)a[i]) : (real)__builtin_sqrt(a[i]);
    return a;
}
#define SQRT(a) vector_sqrt(a)
#endif

INLINE vec load(const real *p) { return *(const vec_unaligned *)p; }
INLINE void store(real *p, vec v) { *(vec_unaligned *)p = v; }

/* The first n <= LANES elements; the others are zero, or stay as they are in memory. */
INLINE vec load_partial(const real *p, long n)
{
#ifdef LOAD_PARTIAL
    return __builtin_constant_p(n) && n == LANES ? load(p) : LOAD_PARTIAL(p, n);
#else
    vec v = {0};
    memcpy(&v, p, (size_t)n * sizeof(real));
    return v;
#endif
}
INLINE void store_partial(real *p, vec v, long n)
{
#ifdef STORE_PARTIAL
    if (__builtin_constant_p(n) && n == LANES)
        store(p, v);
    else
        STORE_PARTIAL(p, v, n);
#else
    memcpy(p, &v, (size_t)n * sizeof(real));
#endif
}

/* `yes` where the mask is set, else `no`; v or 0. */
INLINE vec blend(ivec mask, vec yes, vec no)
{
    return (vec)(((ivec)yes & mask) | ((ivec)no & ~mask));
}
INLINE vec masked(ivec mask, vec v) { return (vec)((ivec)v & mask); }
INLINE vec absolute(vec v) { return (vec)((ivec)v & ~(ivec)SPLAT((real)-0.0)); }
/* Returns b unless a is greater (smaller). A NaN in b is therefore returned, as in numpy.maximum for a
   non-NaN a; this is what the x86 instructions do. */
#ifndef MAXIMUM
#define MAXIMUM(a, b) blend((b) < (a), a, b)
#define MINIMUM(a, b) blend((b) > (a), a, b)
#endif
INLINE vec maximum(vec a, vec b) { return MAXIMUM(a, b); }
INLINE vec minimum(vec a, vec b) { return MINIMUM(a, b); }

/* -1, 0 or 1; NaN of NaN */
INLINE vec sign_of(vec x)
{
    vec one = (vec)(((ivec)x & (ivec)SPLAT((real)-0.0)) | (ivec)SPLAT((real)1));
    return blend((x < SPLAT((real)0)) | (x > SPLAT((real)0)), one, x);
}

INLINE real sum_lanes(vec v)
{
    real total = 0;
    for (int i = 0; i < LANES; i++)
        total += v[i];
    return total;
}
INLINE vec halve(vec v) { return v * (real)0.5; }

#endif
