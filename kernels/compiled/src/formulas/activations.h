/* Activations of hidden and output layers, over runs of memory.

   Most derivatives are computed from the activation itself:
       forward_NAME(z)              the activation of a score
       backward_NAME(delta, a)      delta times the derivative
   Others need the score (FASTMLP_FROM_PREACTIVATIONS in names.h):
       both_NAME(z, &slope)         the activation and its derivative, which share exponentials
   and their backward takes z in the place of a. A new activation needs its function or functions
   here and its name in one of the two lists of names.h.

   Constants are PyTorch's defaults. Limits at infinity are those of mathematics: where a product
   would be zero times infinity, the score is cut off beyond where the other factor is zero. */
#ifndef FASTMLP_ACTIVATIONS_H
#define FASTMLP_ACTIVATIONS_H

#include "fastmlp.h"
#include "vector/vmath.h"

/* From the activation ------------------------------------------------------------------------- */

INLINE vec forward_identity(vec z) { return z; }
INLINE vec backward_identity(vec delta, vec a) { return (void)a, delta; }

INLINE vec forward_sigmoid(vec z) { return vector_sigmoid(z); }
INLINE vec backward_sigmoid(vec delta, vec a) { return delta * (a * ((real)1 - a)); }

INLINE vec forward_tanh(vec z) { return vector_tanh(z); }
INLINE vec backward_tanh(vec delta, vec a) { return delta * FMA(-a, a, SPLAT((real)1)); }

INLINE vec forward_hardtanh(vec z)
{
    return minimum(SPLAT((real)1), maximum(SPLAT((real)-1), z));
}
INLINE vec backward_hardtanh(vec delta, vec a)
{
    return masked(absolute(a) < SPLAT((real)1), delta);
}

INLINE vec forward_relu(vec z) { return maximum(SPLAT((real)0), z); }
INLINE vec backward_relu(vec delta, vec a) { return masked(a > SPLAT((real)0), delta); }

#define LEAK ((real)0.01)
INLINE vec forward_leaky_relu(vec z) { return blend(z > SPLAT((real)0), z, LEAK * z); }
INLINE vec backward_leaky_relu(vec delta, vec a)
{
    return blend(a > SPLAT((real)0), delta, LEAK * delta);
}

/* exp(z) - 1 below zero, where its derivative is exp(z) = a + 1 */
INLINE vec forward_elu(vec z)
{
    return blend(z > SPLAT((real)0), z, exp_minus_one(minimum(SPLAT((real)0), z)));
}
INLINE vec backward_elu(vec delta, vec a)
{
    return blend(a > SPLAT((real)0), delta, delta * (a + (real)1));
}

/* Klambauer and others, 2017 */
#define SELU_ALPHA 1.6732632423543772848
#define SELU_SCALE 1.0507009873554804934
#define SELU_LOWEST ((real)(SELU_SCALE * SELU_ALPHA))
INLINE vec forward_selu(vec z)
{
    vec below = SELU_LOWEST * exp_minus_one(minimum(SPLAT((real)0), z));
    return blend(z > SPLAT((real)0), (real)SELU_SCALE * z, below);
}
INLINE vec backward_selu(vec delta, vec a)
{
    return delta * blend(a > SPLAT((real)0), SPLAT((real)SELU_SCALE), a + SELU_LOWEST);
}

/* The derivative is sigmoid(z) = 1 - exp(-a). */
INLINE vec forward_softplus(vec z) { return vector_softplus(z); }
INLINE vec backward_softplus(vec delta, vec a) { return delta * -exp_minus_one(-a); }

/* z / (1 + |z|), cut off where the quotient is 1 and that of infinities would be none; Turian, Bergstra
   and Bengio, 2009 */
INLINE vec forward_softsign(vec z)
{
    vec x = minimum(SPLAT((real)1e30), maximum(SPLAT((real)-1e30), z));
    return x / (absolute(x) + (real)1);
}
INLINE vec backward_softsign(vec delta, vec a)
{
    vec rest = (real)1 - absolute(a);
    return delta * (rest * rest);
}

INLINE vec forward_exp(vec z) { return vector_exp(z); }
INLINE vec backward_exp(vec delta, vec a) { return delta * a; }

/* From the score ------------------------------------------------------------------------------ */

/* sigmoid(z) and 1 - sigmoid(z) */
INLINE vec sigmoid_pair(vec z, vec *other)
{
    vec e = exp_down(z), large = (real)1 / (e + (real)1), small = e * large;
    ivec below = z < SPLAT((real)0);
    *other = blend(below, large, small);
    return blend(below, small, large);
}

/* z s(z), s being the sigmoid;  s + z s (1 - s) */
INLINE vec both_silu(vec z, vec *slope)
{
    vec above = maximum(SPLAT((real)EXP_LOWEST), z), other, s = sigmoid_pair(above, &other);
    *slope = FMA(minimum(SPLAT((real)-EXP_LOWEST), above) * s, other, s);
    return above * s;
}

/* z Phi(z), Phi being the normal distribution;  Phi + z exp(-z^2 / 2) / sqrt(2 pi) */
INLINE vec both_gelu(vec z, vec *slope)
{
    vec above = maximum(SPLAT((real)-TAIL_END), z), e, tail = normal_tail(absolute(z), &e);
    vec phi = blend(z < SPLAT((real)0), tail, (real)1 - tail);
    vec inside = minimum(SPLAT((real)TAIL_END), above);
    *slope = FMA(inside * (real)0.39894228040143267794, e, phi);
    return above * phi;
}

/* z/2 (1 + tanh(w / 2)) = z s(w) with w = 2 sqrt(2 / pi) (z + 0.044715 z^3);  s + z s (1 - s) w' */
INLINE vec both_gelu_tanh(vec z, vec *slope)
{
    const real end = 30, linear = (real)1.5957691216057307118, cubic = (real)0.044715;
    vec above = maximum(SPLAT(-end), z), inside = minimum(SPLAT(end), above);
    vec square = cubic * inside * inside;
    vec other, s = sigmoid_pair(linear * inside * (square + (real)1), &other);
    vec rate = linear * FMA(SPLAT((real)3), square, SPLAT((real)1));
    *slope = FMA(inside * s * other, rate, s);
    return above * s;
}

/* z w with w = tanh(log(1 + exp z));  w + z (1 - w^2) s(z).

   In e = exp(-|z|):  w = N / D with N = 1 + 2e, D = N + 2e^2 for z >= 0 and N = e (e + 2), D = N + 2
   below;  (1 - w^2) s(z) = 4 k (1 + e) / D^2 with k = e^2 for z >= 0 and k = e below. */
INLINE vec both_mish(vec z, vec *slope)
{
    vec above = maximum(SPLAT((real)EXP_LOWEST), z), e = exp_down(above), square = e * e;
    vec inside = minimum(SPLAT((real)-EXP_LOWEST), above);
    ivec below = z < SPLAT((real)0);
    vec two_e = e + e, n = blend(below, square + two_e, two_e + (real)1);
    vec r = (real)1 / (n + blend(below, SPLAT((real)2), square + square)), w = n * r;
    vec k = blend(below, e, square) * (e + (real)1) * (real)4;
    *slope = FMA(inside * k, r * r, w);
    return above * w;
}

/* The common form ----------------------------------------------------------------------------- */

#define FROM_OUTPUT(NAME)                                                                          \
    INLINE vec both_##NAME(vec z, vec *slope)                                                      \
    {                                                                                              \
        vec a = forward_##NAME(z);                                                                 \
        *slope = backward_##NAME(SPLAT((real)1), a);                                               \
        return a;                                                                                  \
    }
FASTMLP_FROM_OUTPUT(FROM_OUTPUT)
#undef FROM_OUTPUT

#define FROM_PREACTIVATIONS(NAME)                                                                          \
    INLINE vec forward_##NAME(vec z)                                                               \
    {                                                                                              \
        vec slope;                                                                                 \
        return both_##NAME(z, &slope);                                                             \
    }                                                                                              \
    INLINE vec backward_##NAME(vec delta, vec z)                                                   \
    {                                                                                              \
        vec slope;                                                                                 \
        both_##NAME(z, &slope);                                                                    \
        return delta * slope;                                                                      \
    }
FASTMLP_FROM_PREACTIVATIONS(FROM_PREACTIVATIONS)
#undef FROM_PREACTIVATIONS

/* Runs ---------------------------------------------------------------------------------------- */

#define ACTIVATION_RUNS(NAME)                                                                      \
    OUTLINE void forward_run_##NAME(real *z, long n)                                               \
    {                                                                                              \
        long i = 0;                                                                                \
        for (; i + GROUP * LANES <= n; i += GROUP * LANES) {                                       \
            vec a[GROUP];                                                                          \
            UNROLL for (int v = 0; v < GROUP; v++)                                                 \
                a[v] = forward_##NAME(load(z + i + v * LANES));                                    \
            UNROLL for (int v = 0; v < GROUP; v++)                                                 \
                store(z + i + v * LANES, a[v]);                                                    \
        }                                                                                          \
        for (; i + LANES <= n; i += LANES)                                                         \
            store(z + i, forward_##NAME(load(z + i)));                                             \
        if (i < n)                                                                                 \
            store_partial(z + i, forward_##NAME(load_partial(z + i, n - i)), n - i);               \
    }                                                                                              \
    OUTLINE void backward_run_##NAME(real *delta, const real *a, long n)                           \
    {                                                                                              \
        long i = 0;                                                                                \
        for (; i + GROUP * LANES <= n; i += GROUP * LANES) {                                       \
            vec d[GROUP];                                                                          \
            UNROLL for (int v = 0; v < GROUP; v++)                                                 \
                d[v] = backward_##NAME(load(delta + i + v * LANES), load(a + i + v * LANES));      \
            UNROLL for (int v = 0; v < GROUP; v++)                                                 \
                store(delta + i + v * LANES, d[v]);                                                \
        }                                                                                          \
        for (; i + LANES <= n; i += LANES)                                                         \
            store(delta + i, backward_##NAME(load(delta + i), load(a + i)));                       \
        if (i < n)                                                                                 \
            store_partial(delta + i,                                                               \
                          backward_##NAME(load_partial(delta + i, n - i),                          \
                                          load_partial(a + i, n - i)),                             \
                          n - i);                                                                  \
    }                                                                                              \
    OUTLINE void both_run_##NAME(real *z, real *slope, long n)                                     \
    {                                                                                              \
        long i = 0;                                                                                \
        for (; i + GROUP * LANES <= n; i += GROUP * LANES) {                                       \
            vec a[GROUP], s[GROUP];                                                                \
            UNROLL for (int v = 0; v < GROUP; v++)                                                 \
                a[v] = both_##NAME(load(z + i + v * LANES), &s[v]);                                \
            UNROLL for (int v = 0; v < GROUP; v++) {                                               \
                store(z + i + v * LANES, a[v]);                                                    \
                store(slope + i + v * LANES, s[v]);                                                \
            }                                                                                      \
        }                                                                                          \
        for (; i < n; i += LANES) {                                                                \
            vec s;                                                                                 \
            store(z + i, both_##NAME(load(z + i), &s));                                            \
            store(slope + i, s);                                                                   \
        }                                                                                          \
    }
FASTMLP_ACTIVATIONS(ACTIVATION_RUNS)
#undef ACTIVATION_RUNS

/* z <- activation(z) for n consecutive elements. */
static void forward_run(int activation, real *z, long n)
{
    if (activation == ACTIVATION_identity)
        return;
    switch (activation) {
#define CASE(NAME)                                                                                 \
    case ACTIVATION_##NAME:                                                                        \
        forward_run_##NAME(z, n);                                                                  \
        break;
        FASTMLP_ACTIVATIONS(CASE)
#undef CASE
    }
}

/* delta <- delta * activation'(a) for n consecutive elements; a is the score where that is needed. */
static void backward_run(int activation, real *delta, const real *a, long n)
{
    if (activation == ACTIVATION_identity)
        return;
    switch (activation) {
#define CASE(NAME)                                                                                 \
    case ACTIVATION_##NAME:                                                                        \
        backward_run_##NAME(delta, a, n);                                                          \
        break;
        FASTMLP_ACTIVATIONS(CASE)
#undef CASE
    }
}

/* z <- activation(z) and slope <- activation'(z) for n elements, whole vectors. */
static void both_run(int activation, real *z, real *slope, long n)
{
    switch (activation) {
#define CASE(NAME)                                                                                 \
    case ACTIVATION_##NAME:                                                                        \
        both_run_##NAME(z, slope, n);                                                              \
        break;
        FASTMLP_ACTIVATIONS(CASE)
#undef CASE
    }
}

/* delta <- delta * slope for n elements, whole vectors. */
OUTLINE void multiply_run(real *delta, const real *slope, long n)
{
    for (long i = 0; i < n; i += LANES)
        store(delta + i, load(delta + i) * load(slope + i));
}

#endif
