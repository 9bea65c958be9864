/* The functions of vmath.h by number, for the tests of their accuracy. */
#ifndef FASTMLP_FUNCTIONS_H
#define FASTMLP_FUNCTIONS_H

#include "vector/vmath.h"

INLINE vec upper_tail(vec x)
{
    vec e;
    return normal_tail(x, &e);
}

static void function(int which, const void *from, void *to, long n)
{
    const real *x = from;
    real *y = to;
    for (long i = 0; i < n; i += LANES) {
        long here = n - i < LANES ? n - i : LANES;
        vec v = load_partial(x + i, here);
        v = which == 0   ? vector_exp(v)
            : which == 1 ? vector_log(v)
            : which == 2 ? vector_tanh(v)
            : which == 3 ? vector_sigmoid(v)
            : which == 4 ? log_one_plus(v)
            : which == 5 ? exp_minus_one(v)
            : which == 6 ? vector_softplus(v)
            : which == 7 ? upper_tail(v)
                         : sqrt_by_products(v);
        store_partial(y + i, v, here);
    }
}

#endif
