/* What keeps parameters small: penalties, clipped gradients and bounded columns, over runs of whole
   vectors. Sums are of one task or one panel each; engine.c adds them up in order. */
#ifndef FASTMLP_PENALTIES_H
#define FASTMLP_PENALTIES_H

#include "fastmlp.h"
#include "vector/simd.h"

/* Sum of squares of n elements, a multiple of PANEL, in double precision: squares of float32
   gradients may overflow. */
static double squares_run(const real *g, long n)
{
    enum { WIDE = VECTOR_BYTES / 8, CHAINS = 4 };
    typedef double wide __attribute__((vector_size(VECTOR_BYTES)));
    typedef real narrow
        __attribute__((vector_size(WIDE * sizeof(real)), aligned(sizeof(real)), may_alias));
    wide sum[CHAINS] = {{0}};
    long i = 0;
    for (; i + CHAINS * WIDE <= n; i += CHAINS * WIDE)
        UNROLL for (int c = 0; c < CHAINS; c++) {
            wide x = __builtin_convertvector(*(const narrow *)(g + i + c * WIDE), wide);
            sum[c] += x * x;
        }
    for (; i < n; i += WIDE) {
        wide x = __builtin_convertvector(*(const narrow *)(g + i), wide);
        sum[0] += x * x;
    }
    double total = 0;
    wide all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    for (int l = 0; l < WIDE; l++)
        total += all[l];
    return total;
}

/* l2 / 2 sum of w^2 + l1 sum of |w|, in double precision. */
static double penalty_of(double l2, double l1, const real *w, long n)
{
    double sizes = 0;
    for (long i = 0; l1 != 0 && i < n; i++)
        sizes += fabs((double)w[i]);
    return (l2 != 0 ? 0.5 * l2 * squares_run(w, n) : 0) + l1 * sizes;
}

/* g <- g + l2 w + l1 sign(w), where there is a g; returns l2 / 2 sum of w^2 + l1 sum of |w|. */
static double penalise_run(double l2, double l1, const real *w, real *g, long n)
{
    const vec two = SPLAT((real)l2), one = SPLAT((real)l1);
    vec squares = {0}, sizes = {0};
    for (long i = 0; i < n; i += LANES) {
        vec x = load(w + i), sum = g ? load(g + i) : (vec){0};
        if (l2 != 0) {
            squares = FMA(x, x, squares);
            sum = FMA(two, x, sum);
        }
        if (l1 != 0) {
            sizes += absolute(x);
            sum = FMA(one, sign_of(x), sum);
        }
        if (g)
            store(g + i, sum);
    }
    const double penalty = 0.5 * l2 * (double)sum_lanes(squares) + l1 * (double)sum_lanes(sizes);
    return isfinite(penalty) ? penalty : penalty_of(l2, l1, w, n);
}

static void clip_run(double limit, real *g, long n)
{
    const vec bound = SPLAT((real)limit);
    for (long i = 0; i < n; i += LANES)
        store(g + i, minimum(bound, maximum(-bound, load(g + i))));
}

static void scale_run(double factor, real *g, long n)
{
    const vec by = SPLAT((real)factor);
    for (long i = 0; i < n; i += LANES)
        store(g + i, by * load(g + i));
}

#define MIN_LENGTH (sizeof(real) == 4 ? 1e-15 : 1e-150) /* whose square keeps its digits */

/* Scale one column that is longer than `length` down to it, in double precision: its elements times 2^k
   where squares of those themselves would overflow or vanish. */
static void bound_column(double length, real *w, long rows, long row)
{
    double largest = 0, squares = 0;
    for (long r = 0; r < rows; r++) { /* GCC 12 cannot compile fmax of it for 64-bit Arm */
        const double size = fabs((double)w[r * row]);
        if (size > largest)
            largest = size;
    }
    if (!(largest > 0 && isfinite(largest)))
        return;
    const double by = ldexp(1, -ilogb(largest));
    for (long r = 0; r < rows; r++)
        squares += ((double)w[r * row] * by) * ((double)w[r * row] * by);
    const double norm = sqrt(squares) / by, factor = length / norm;
    for (long r = 0; norm > length && r < rows; r++)
        w[r * row] = (real)(w[r * row] * factor);
}

/* Scale the columns of a panel that are longer than `length` down to it; its rows are `row` elements
   apart. */
static void bound_panel(double length, real *w, long rows, long row)
{
    const vec bound = SPLAT((real)length), one = SPLAT((real)1);
    vec squares[VECTORS] = {{0}};
    for (long r = 0; r < rows; r++)
        for (int v = 0; v < VECTORS; v++) {
            vec x = load(w + r * row + v * LANES);
            squares[v] = FMA(x, x, squares[v]);
        }
    for (int v = 0; v < VECTORS; v++) {
        if (length < MIN_LENGTH || !isfinite(sum_lanes(squares[v]))) {
            for (int i = 0; i < LANES; i++)
                bound_column(length, w + v * LANES + i, rows, row);
            continue;
        }
        vec norm = SQRT(squares[v]), factor = blend(norm > bound, bound / norm, one);
        for (long r = 0; r < rows; r++)
            store(w + r * row + v * LANES, factor * load(w + r * row + v * LANES));
    }
}

#endif
