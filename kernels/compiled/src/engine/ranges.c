/* Whether all values of an array lie in a range, for calls that take a microsecond as a whole. */
#include <float.h>

#include "fastmlp.h"

/* Without branches in the loop, so that the compiler makes vectors of it. NaN lies nowhere. */
#define WITHIN(NAME, TYPE)                                                                         \
    static int NAME(const TYPE *x, long n, TYPE low, TYPE high)                                    \
    {                                                                                              \
        int outside = 0;                                                                           \
        for (long i = 0; i < n; i++)                                                               \
            outside |= !((x[i] >= low) & (x[i] <= high));                                          \
        return !outside;                                                                           \
    }
WITHIN(floats_within, float)
WITHIN(doubles_within, double)
WITHIN(integers_within, int64_t)

/* Finite real numbers from low to high, of which either may be infinite. */
int fastmlp_reals_within(const void *x, long n, int real_bytes, double low, double high)
{
    if (real_bytes == 4)
        return floats_within(x, n, (float)(low < -FLT_MAX ? -FLT_MAX : low),
                             (float)(high > FLT_MAX ? FLT_MAX : high));
    return doubles_within(x, n, low < -DBL_MAX ? -DBL_MAX : low, high > DBL_MAX ? DBL_MAX : high);
}

int fastmlp_labels_within(const int64_t *x, long n, long n_out)
{
    return integers_within(x, n, 0, n_out - 1);
}
