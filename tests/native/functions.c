/* exp, log, tanh, sigmoid and their kin, of vectors: distance from the true value in units of the
   last place (ULP), where vmath.h promises at most 3 in float32 and 4 in float64 (the tail of the
   normal distribution: 8, roots: 1). */
#include "native.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static const char *const names[] = {"exp", "log", "tanh", "sigmoid", "log(1 + e)", "exp - 1",
                                    "softplus", "tail of the normal distribution",
                                    "square root"};
enum { EXP, LOG, TANH, SIGMOID, LOG_ONE_PLUS, EXP_MINUS_ONE, SOFTPLUS, TAIL, ROOT, N_FUNCTIONS };
enum { SAMPLES = 20011 };

static long double true_value(int function, long double x)
{
    switch (function) {
    case EXP:
        return expl(x);
    case LOG:
        return logl(x);
    case TANH:
        return tanhl(x);
    case SIGMOID:
        return 1 / (1 + expl(-x));
    case EXP_MINUS_ONE:
        return expm1l(x);
    case SOFTPLUS:
        return fmaxl(x, 0) + log1pl(expl(-fabsl(x)));
    case TAIL:
        return normal_cdf(-x);
    case ROOT:
        return sqrtl(x);
    default:
        return log1pl(x);
    }
}

/* Over the whole range of exponents, and densely where the function is neither 0, 1 nor linear. */
static double draw(int function, int real_bytes)
{
    const double smallest = real_bytes == 4 ? -149 : -1074, largest = real_bytes == 4 ? 127 : 1023;
    const double any = exp2(uniform(smallest, largest)), small = exp2(uniform(smallest, 0));
    const double ends = real_bytes == 4 ? 104 : 746;
    switch (function) {
    case LOG:
    case ROOT:
        return whole(0, 1) ? any : uniform(0.5, 2);
    case LOG_ONE_PLUS:
        return whole(0, 1) ? small : uniform(0, 1);
    case TAIL:
        return whole(0, 1) ? uniform(0, real_bytes == 4 ? 15 : 39) : uniform(0, 3);
    default:
        return (function != EXP_MINUS_ONE && whole(0, 1) ? 1 : -1) * (whole(0, 3) ? uniform(0, whole(0, 1) ? ends : 3) : small);
    }
}

static double ulps(double got, long double want, int real_bytes)
{
    const int digits = real_bytes == 4 ? 24 : 53, lowest = real_bytes == 4 ? -149 : -1074;
    int exponent;
    if (isinf(got)) /* right if the value rounds to it */
        return fabsl(want) >= (real_bytes == 4 ? FLT_MAX : DBL_MAX) && (got > 0) == (want > 0) ? 0 : INFINITY;
    frexpl(want, &exponent);
    exponent = exponent - digits < lowest ? lowest : exponent - digits;
    return (double)(fabsl(got - want) / ldexpl(1, exponent));
}

void test_functions(const struct kernels *k)
{
    const int real = k->real_bytes;
    for (int function = 0; function < N_FUNCTIONS; function++) {
        if (!begin_case("%s: %d numbers", names[function], SAMPLES))
            continue;
        struct array x = array_new(real, 1, SAMPLES, LAYOUT_rows), y = array_new(real, 1, SAMPLES, LAYOUT_rows);
        double worst = 0;
        long at = 0;
        for (long i = 0; i < SAMPLES; i++)
            array_set(&x, 0, i, draw(function, real));
        k->function(function, array_data(&x), array_data(&y), SAMPLES);
        for (long i = 0; i < SAMPLES; i++) {
            double error = ulps(array_get(&y, 0, i), true_value(function, array_get(&x, 0, i)), real);
            if (!(error <= worst)) {
                worst = error;
                at = i;
            }
        }
        if (!(worst <= (function == TAIL ? 8 : function == ROOT ? 1 : real == 4 ? 3 : 4)))
            fail("%.2f ULP from the true value: x = %.17g, got %.17g, expected %.17g", worst,
                 array_get(&x, 0, at), array_get(&y, 0, at),
                 (double)true_value(function, array_get(&x, 0, at)));
        array_free(&x);
        array_free(&y);
    }
}
