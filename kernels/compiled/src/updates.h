/* Update rules, over runs of parameters: p, gradient g, state s0 and s1.

   A new rule needs its function here and its name in FASTMLP_UPDATES (fastmlp.h). */
#ifndef FASTMLP_UPDATES_H
#define FASTMLP_UPDATES_H

#include "fastmlp.h"
#include "vmath.h"

/* p <- p - rate g */
INLINE void step_sgd(const struct update *u, vec *p, vec g, vec *s0, vec *s1)
{
    (void)s0, (void)s1;
    *p = FMA(SPLAT((real)-u->rate), g, *p);
}

/* v <- momentum v - rate g;  p <- p + v, or with Nesterov p + momentum v - rate g */
INLINE void step_momentum(const struct update *u, vec *p, vec g, vec *s0, vec *s1)
{
    (void)s1;
    vec descent = SPLAT((real)-u->rate) * g;
    vec momentum = SPLAT((real)u->momentum);
    *s0 = FMA(momentum, *s0, descent);
    *p += u->nesterov ? FMA(momentum, *s0, descent) : *s0;
}

/* m <- m + (1 - b1) (g - m);  v <- v + (1 - b2) (g g - v);  p <- p - rate m / (sqrt v + eps) */
INLINE void step_adam(const struct update *u, vec *p, vec g, vec *s0, vec *s1)
{
    vec m = FMA(SPLAT((real)(1 - u->beta_1)), g - *s0, *s0);
    vec v = FMA(SPLAT((real)(1 - u->beta_2)), g * g - *s1, *s1);
    *s0 = m;
    *s1 = v;
    *p -= SPLAT((real)u->rate) * m / (SQRT(v) + SPLAT((real)u->epsilon));
}

#define UPDATE_RUN(NAME)                                                                           \
    OUTLINE void update_run_##NAME(const struct update *rule, real *p, const real *g, real *s0,    \
                                   real *s1, long n)                                               \
    {                                                                                              \
        const struct update u = *rule;                                                             \
        long i = 0;                                                                                \
        vec zero = {0}, a, b;                                                                      \
        for (; i + LANES <= n; i += LANES) {                                                       \
            vec x = load(p + i);                                                                   \
            a = s0 ? load(s0 + i) : zero;                                                          \
            b = s1 ? load(s1 + i) : zero;                                                          \
            step_##NAME(&u, &x, load(g + i), &a, &b);                                              \
            store(p + i, x);                                                                       \
            if (s0)                                                                                \
                store(s0 + i, a);                                                                  \
            if (s1)                                                                                \
                store(s1 + i, b);                                                                  \
        }                                                                                          \
        if (i < n) {                                                                               \
            vec x = load_partial(p + i, n - i);                                                    \
            a = s0 ? load_partial(s0 + i, n - i) : zero;                                           \
            b = s1 ? load_partial(s1 + i, n - i) : zero;                                           \
            step_##NAME(&u, &x, load_partial(g + i, n - i), &a, &b);                               \
            store_partial(p + i, x, n - i);                                                        \
            if (s0)                                                                                \
                store_partial(s0 + i, a, n - i);                                                   \
            if (s1)                                                                                \
                store_partial(s1 + i, b, n - i);                                                   \
        }                                                                                          \
    }
FASTMLP_UPDATES(UPDATE_RUN)

static void update_run(const struct update *u, real *p, const real *g, real *s0, real *s1, long n)
{
    switch (u->rule) {
#define CASE(NAME)                                                                                 \
    case UPDATE_##NAME:                                                                            \
        update_run_##NAME(u, p, g, s0, s1, n);                                                     \
        break;
        FASTMLP_UPDATES(CASE)
#undef CASE
    }
}

#endif
