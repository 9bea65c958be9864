/* exp, log, tanh, sigmoid and their kin, and square roots, of vectors.

   At most 3 ULP from the true value in float32 and 4 in float64 for every argument (roots: 1),
   subnormal results included; each function says the largest error that its test has met, and of which
   arguments; NaN goes in and out, infinities are exact
   (tests/kernels/test_vmath.py). Reductions and coefficients are those of Cephes (S. Moshier) and FreeBSD's
   msun, but for normal_tail and roots. */
#ifndef FASTMLP_VMATH_H
#define FASTMLP_VMATH_H

#include "vector/simd.h"

#if FASTMLP_REAL_BITS == 32
#define MANTISSA 23
#define EXPONENT_BIAS 127
#define ROUND_MAGIC 12582912.0f /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
#define EXP_LOWEST -105.0f
#define EXP_HIGHEST 90.0f
#define EXPM1_LOWEST -30.0f /* exp is less than half a unit in the last place of 1 there */
#define TAIL_END 14.5f      /* exp(-x^2 / 2) is zero from there on */
#define HEAD_MASK (~0xfff)  /* the upper half of the mantissa's digits */
#define LOG2_E 1.44269504088896341f
#define LN2_HIGH 0.693359375f
#define LN2_LOW -2.12194440e-4f
#define SMALLEST_NORMAL 1.17549435e-38f
#define SUBNORMAL_SCALE 8388608.0f /* 2^23 */
#define SQRT_HALF_BITS 0x3f3504f3
#define MANTISSA_MASK 0x007fffff
#else
#define MANTISSA 52
#define EXPONENT_BIAS 1023
#define ROUND_MAGIC 6755399441055744.0
#define EXP_LOWEST -746.0
#define EXP_HIGHEST 710.0
#define EXPM1_LOWEST -50.0
#define TAIL_END 38.7
#define HEAD_MASK (~0x7ffffff)
#define LOG2_E 1.4426950408889634074
#define LN2_HIGH 6.93145751953125e-1
#define LN2_LOW 1.42860682030941723212e-6
#define SMALLEST_NORMAL 2.2250738585072014e-308
#define SUBNORMAL_SCALE 4503599627370496.0 /* 2^52 */
#define SQRT_HALF_BITS 0x3fe6a09e667f3bcd
#define MANTISSA_MASK 0x000fffffffffffff
#endif

/* 2^n for whole n in the range of normal numbers. */
INLINE vec power_of_two(ivec n) { return (vec)((n + EXPONENT_BIAS) << MANTISSA); }

/* x = n ln 2 + r with |r| <= ln 2 / 2; returns exp(r) - 1. */
INLINE vec expm1_reduced(vec x, ivec *n)
{
    vec shifted = x * (real)LOG2_E + (real)ROUND_MAGIC;
    *n = (ivec)shifted - (ivec)SPLAT((real)ROUND_MAGIC);
    vec whole = shifted - (real)ROUND_MAGIC;
    vec r = FMA(whole, SPLAT((real)-LN2_HIGH), x);
    r = FMA(whole, SPLAT((real)-LN2_LOW), r);
#if FASTMLP_REAL_BITS == 32
    vec p = SPLAT(1.9875691500e-4f);
    p = FMA(p, r, SPLAT(1.3981999507e-3f));
    p = FMA(p, r, SPLAT(8.3334519073e-3f));
    p = FMA(p, r, SPLAT(4.1665795894e-2f));
    p = FMA(p, r, SPLAT(1.6666665459e-1f));
    p = FMA(p, r, SPLAT(5.0000001201e-1f));
#else /* Taylor: the first term left out is below 2^-57 */
    vec p = SPLAT(1.0 / 6227020800.0);
    p = FMA(p, r, SPLAT(1.0 / 479001600.0));
    p = FMA(p, r, SPLAT(1.0 / 39916800.0));
    p = FMA(p, r, SPLAT(1.0 / 3628800.0));
    p = FMA(p, r, SPLAT(1.0 / 362880.0));
    p = FMA(p, r, SPLAT(1.0 / 40320.0));
    p = FMA(p, r, SPLAT(1.0 / 5040.0));
    p = FMA(p, r, SPLAT(1.0 / 720.0));
    p = FMA(p, r, SPLAT(1.0 / 120.0));
    p = FMA(p, r, SPLAT(1.0 / 24.0));
    p = FMA(p, r, SPLAT(1.0 / 6.0));
    p = FMA(p, r, SPLAT(0.5));
#endif
    return FMA(r * r, p, r);
}
INLINE vec exp_reduced(vec x, ivec *n) { return expm1_reduced(x, n) + (real)1; }

/* ULP 1.0, 1.0 (float32, float64), of all x. */
INLINE vec vector_exp(vec x)
{
    ivec n;
    x = minimum(SPLAT((real)EXP_HIGHEST), maximum(SPLAT((real)EXP_LOWEST), x));
    vec e = exp_reduced(x, &n);
    ivec half = n >> 1; /* in two steps, so that results may be subnormal or overflow */
    return e * power_of_two(half) * power_of_two(n - half);
}

/* exp(x) - 1 as 2^n (exp(r) - 1) + (2^n - 1). ULP 0.8, 1.1, of x <= 0. */
INLINE vec exp_minus_one(vec x)
{
    ivec n;
    vec p = expm1_reduced(maximum(SPLAT((real)EXPM1_LOWEST), x), &n);
    vec scale = power_of_two(n);
    return FMA(scale, p, scale - (real)1);
}

/* exp(-|x|): what sigmoid and its kin are made of, so that neither side loses its digits. */
INLINE vec exp_down(vec x) { return vector_exp((vec)((ivec)x | (ivec)SPLAT((real)-0.0))); }

/* log(1 + f) + k ln 2 by FreeBSD's series in s = f / (2 + f). ULP 0.8, 0.8, of all x. */
INLINE vec vector_log(vec x)
{
    ivec tiny = x < SPLAT((real)SMALLEST_NORMAL);
    vec scaled = blend(tiny, x * (real)SUBNORMAL_SCALE, x);
    ivec bits = (ivec)scaled - (integer)SQRT_HALF_BITS;
    ivec k = bits >> MANTISSA;
    vec f = (vec)((bits & (integer)MANTISSA_MASK) + (integer)SQRT_HALF_BITS) - (real)1;
    k -= tiny & MANTISSA; /* the scale 2^MANTISSA, taken out again */
    vec exponent = __builtin_convertvector(k, vec);
    vec s = f / (f + (real)2);
    vec z = s * s;
#if FASTMLP_REAL_BITS == 32
    vec p = SPLAT(0.24279078841f);
    p = FMA(p, z, SPLAT(0.28498786688f));
    p = FMA(p, z, SPLAT(0.40000972152f));
    p = FMA(p, z, SPLAT(0.66666662693f));
#else
    vec p = SPLAT(1.479819860511658591e-01);
    p = FMA(p, z, SPLAT(1.531383769920937332e-01));
    p = FMA(p, z, SPLAT(1.818357216161805012e-01));
    p = FMA(p, z, SPLAT(2.222219843214978396e-01));
    p = FMA(p, z, SPLAT(2.857142874366239149e-01));
    p = FMA(p, z, SPLAT(3.999999999940941908e-01));
    p = FMA(p, z, SPLAT(6.666666666666735130e-01));
#endif
    vec half_square = halve(f * f);
    vec low = FMA(s, FMA(z, p, half_square), exponent * (real)LN2_LOW);
    vec result = exponent * (real)LN2_HIGH - ((half_square - low) - f);
    result = blend(x == SPLAT((real)INFINITY), x, result);
    result = blend(x == SPLAT((real)0), SPLAT((real)-INFINITY), result);
    return blend((x < SPLAT((real)0)) | (x != x), SPLAT((real)NAN), result);
}

/* The square root without the divider; ULP 1.0, 1.0, of all x: with y = 1 / sqrt(x) to 14 bits it is
   s (1 - e)^-1/2, of which a few terms do, where s = x y and e = 1 - s y. Nothing in it underflows. */
INLINE vec sqrt_by_products(vec x)
{
#ifdef INVERSE_SQRT
    const vec y = INVERSE_SQRT(x), s = x * y, e = FMA(-s, y, SPLAT((real)1));
#if FASTMLP_REAL_BITS == 32
    const vec p = FMA(e, SPLAT(0.375f), SPLAT(0.5f));
#else
    vec p = FMA(e, SPLAT(35.0 / 128), SPLAT(0.3125));
    p = FMA(p, e, SPLAT(0.375));
    p = FMA(p, e, SPLAT(0.5));
#endif
    return UNLESS_EXACT(FMA(s * e, p, s), x);
#else
    return SQRT(x);
#endif
}

/* log(1 + e) with the digits that 1 + e rounds away put back. ULP 1.2, 1.0, of 0 <= e <= 1. */
INLINE vec log_one_plus(vec e)
{
    vec u = e + (real)1;
    return vector_log(u) + (e - (u - (real)1)) / u;
}

/* tanh |x| = -t / (t + 2) with t = exp(-2 |x|) - 1 in -1 … 0: no branch for small |x|, where t keeps
   its digits, nor for large ones, where it becomes -1. ULP 2.5, 2.5, of all x. */
INLINE vec vector_tanh(vec x)
{
    const ivec sign = (ivec)SPLAT((real)-0.0);
    vec t = exp_minus_one((vec)((ivec)(x + x) | sign));
    return (vec)((ivec)absolute(t / (t + (real)2)) | ((ivec)x & sign)); /* tanh(-0) is -0 */
}

/* 1 / (1 + exp(-x)). ULP 2.0, 2.3, of all x. */
INLINE vec vector_sigmoid(vec x)
{
    vec e = exp_down(x);
    return blend(x < SPLAT((real)0), e, SPLAT((real)1)) / (e + (real)1);
}

/* log(1 + exp(x)), given e = exp(-|x|) */
INLINE vec softplus_from(vec x, vec e) { return maximum(SPLAT((real)0), x) + log_one_plus(e); }
/* ULP 1.8, 1.8, of all x. */
INLINE vec vector_softplus(vec x) { return softplus_from(x, exp_down(x)); }

/* The upper half of the digits. */
INLINE vec head_of(vec x) { return (vec)((ivec)x & (integer)HEAD_MASK); }

/* a b - c exactly, where c is nearly a b; without a fused operation as four exact products (Dekker, 1971). */
INLINE vec residual(vec a, vec b, vec c)
{
#ifdef NO_FMA
    const vec a1 = head_of(a), b1 = head_of(b), a2 = a - a1, b2 = b - b1;
    return ((a1 * b1 - c) + a1 * b2 + a2 * b1) + a2 * b2;
#else
    return FMA(a, b, -c);
#endif
}

/* 1 - Phi(x) = erfc(x / sqrt 2) / 2, the upper tail of the normal distribution; and e = exp(-x^2 / 2),
   of which the density is e / sqrt(2 pi). ULP 2.6, 3.5, of x >= 0.

   The tail is e M(x), where (x + 4) M(x) is smooth in t = (x - 4) / (x + 4): Chebyshev's series,
   cut where it is below half a unit in the last place. The square of x is taken in two parts, or
   its rounding would be multiplied by itself. What the rounding of the square and of 1 / (x + 4) have
   lost comes back as one small factor, that of the last products as a term, and e is left as 2^n (1 + f)
   until the end. */
INLINE vec normal_tail(vec x, vec *e)
{
    x = minimum(SPLAT((real)TAIL_END), x);
    vec head = head_of(x);
    vec square = halve(head * head), rest = halve((x - head) * (x + head));
    vec half_square = square + rest;
    vec lost = (square - half_square) + rest;
    ivec n;
    vec f = expm1_reduced(maximum(SPLAT((real)EXP_LOWEST), -half_square), &n);
    ivec half = n >> 1;
    vec larger = power_of_two(half), smaller = power_of_two(n - half);
    vec y = x + (real)4, r = (real)1 / y;
    vec missed = -residual(y, r, SPLAT((real)1)) - r * (x - (y - (real)4));
    vec t = FMA((real)-8 * r, missed, FMA(SPLAT((real)-8), r, SPLAT((real)1)));
#if FASTMLP_REAL_BITS == 32
    static const real c[] = {
        7.552851389e-01f,  -6.078966170e-01f, 3.871366450e-01f,  -1.865227717e-01f,
        6.040698901e-02f,  -7.528366481e-03f, -3.526252504e-03f, 1.570282087e-03f,
        1.991937861e-04f,  -1.208221199e-04f,
    };
#else
    static const real c[] = {
        7.55285130415751516e-01,  -6.07896641971892082e-01, 3.87137400742214699e-01,
        -1.86521857959658921e-01, 6.03965748909277844e-02,  -7.54018896667521445e-03,
        -3.47969236719923320e-03, 1.63081845687538434e-03,  1.33344310165727387e-04,
        -2.31094929847400568e-04, -1.90824316175576427e-06, 3.51446628867276676e-05,
        7.16600446691096486e-07,  -5.92011355431393424e-06, -6.29513170362460633e-07,
        1.02146861064194461e-06,  2.71474698532187972e-07,  -1.54919956639685409e-07,
        -8.50385923691237768e-08, 1.33228652024700668e-08,  1.93846397687343386e-08,
        1.84634973102617646e-09,  -2.45751924377711340e-09, -6.96801365429856289e-10,
    };
#endif
    enum { DEGREE = sizeof c / sizeof *c - 1 };
    vec q = SPLAT(c[DEGREE]);
    UNROLL for (int i = DEGREE - 1; i >= 1; i--)
        q = FMA(q, t, SPLAT(c[i]));
    const vec p = FMA(q, t, SPLAT(c[0])), m = p * r, off = missed - lost;
    const vec rest_of_p = FMA(q, t, SPLAT(c[0]) - p);
    const vec rest_of_m = FMA(rest_of_p, r, residual(p, r, m));
    *e = FMA(f, -lost, f - lost) + (real)1;
    *e = *e * larger * smaller;
    return (m + FMA(m, FMA(f, off, f + off), rest_of_m)) * larger * smaller;
}

#endif
