/* Activations of hidden and output layers, over runs of memory.

   forward_NAME maps a score to its activation, backward_NAME multiplies an error by the
   derivative, which it computes from the activation itself. A new activation needs the pair here
   and its name in FASTMLP_ACTIVATIONS (fastmlp.h). */
#ifndef FASTMLP_ACTIVATIONS_H
#define FASTMLP_ACTIVATIONS_H

#include "fastmlp.h"
#include "vmath.h"

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
    return keep(absolute(a) < SPLAT((real)1), delta);
}

INLINE vec forward_relu(vec z) { return maximum(SPLAT((real)0), z); }
INLINE vec backward_relu(vec delta, vec a) { return keep(a > SPLAT((real)0), delta); }

/* z <- activation(z) for n consecutive elements. */
#define FORWARD_RUN(NAME)                                                                          \
    OUTLINE void forward_run_##NAME(real *z, long n)                                               \
    {                                                                                              \
        long i = 0;                                                                                \
        for (; i + LANES <= n; i += LANES)                                                         \
            store(z + i, forward_##NAME(load(z + i)));                                             \
        if (i < n)                                                                                 \
            store_partial(z + i, forward_##NAME(load_partial(z + i, n - i)), n - i);               \
    }
FASTMLP_ACTIVATIONS(FORWARD_RUN)

/* delta <- delta * activation'(a) for n consecutive elements. */
#define BACKWARD_RUN(NAME)                                                                         \
    OUTLINE void backward_run_##NAME(real *delta, const real *a, long n)                           \
    {                                                                                              \
        long i = 0;                                                                                \
        for (; i + LANES <= n; i += LANES)                                                         \
            store(delta + i, backward_##NAME(load(delta + i), load(a + i)));                       \
        if (i < n)                                                                                 \
            store_partial(delta + i,                                                               \
                          backward_##NAME(load_partial(delta + i, n - i), load_partial(a + i, n - i)), \
                          n - i);                                                                  \
    }
FASTMLP_ACTIVATIONS(BACKWARD_RUN)

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

#endif
