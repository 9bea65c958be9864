/* Products of a few rows with the transpose of a plain matrix, which is read where it is:

        c[r][j] = bias[j] + sum over k of a[r][k] w[j][k]

   Some rows of w at a time meet some of a, with vectors along the depth, whose lanes are added up in the end. An element
   is the same whatever number of rows there is: two chains of vectors, which take turns, what is left of the depth in
   the second one, then sum_each. */
#ifndef FASTMLP_FEW_DOTS_H
#define FASTMLP_FEW_DOTS_H

#include "matrices/few_rows.h"
#include "matrices/panels.h"

enum {
    DOT_CHAINS = 2,
    DOT_STEP = DOT_CHAINS * LANES,                  /* of the depth */
    DOT_ROWS = 4,                                   /* rows of w at a time, at most, */
    DOT_SHARED = VECTOR_BYTES == 64 ? FEW_ROWS : 2, /* by so many of a */
    DOT_AHEAD = 2048 / (int)sizeof(real),           /* elements from what is read of w to what is prefetched */
};

/* Rows of w by so many of a: as many chains as multiplications under way, or registers. */
INLINE int rows_of_dots(const int shared)
{
    const int rows = shared == 1 || (shared == 2 && VECTOR_BYTES == 64) ? DOT_ROWS : 2;
    return (int)min(rows, LANES);
}

/* sum += a w for n <= LANES elements of the depth, from k on. */
INLINE void dot_step(const int shared, const int rows, const int chain, const struct few_rows *p, const real *a,
                     const real *w, long k, long n, vec sum[DOT_SHARED][DOT_ROWS][DOT_CHAINS])
{
    vec left[DOT_SHARED];
    UNROLL for (int s = 0; s < shared; s++)
        left[s] = load_partial(a + s * p->a_row + k, n);
    UNROLL for (int r = 0; r < rows; r++) {
        const vec right = load_partial(w + r * p->w_row + k, n);
        UNROLL for (int s = 0; s < shared; s++)
            sum[s][r][chain] = FMA(left[s], right, sum[s][r][chain]);
    }
}

/* Whole steps of the depth; lines of w are prefetched `ahead` elements further on. */
INLINE void dot_steps(const int shared, const int rows, const struct few_rows *p, const real *a, const real *w,
                      long from, long to, long ahead, vec sum[DOT_SHARED][DOT_ROWS][DOT_CHAINS])
{
    for (long k = from; k < to; k += DOT_STEP) {
        prefetch_lines(rows, max(DOT_CHAINS / VECTORS, 1), w + k + ahead, p->w_row);
        UNROLL for (int v = 0; v < DOT_CHAINS; v++)
            dot_step(shared, rows, v, p, a, w, k + v * LANES, LANES, sum);
    }
}

/* Some rows of a by some of w, from row i on: lanes that are still to be added up. What is prefetched goes on in the next
   rows of w where these ones end. */
INLINE void dot_lanes(const int shared, const int rows, const struct few_rows *p, const real *a, const real *w, long i,
                      vec lanes[][LANES])
{
    w += i * p->w_row;
    vec sum[DOT_SHARED][DOT_ROWS][DOT_CHAINS];
    UNROLL for (int s = 0; s < shared; s++)
        UNROLL for (int r = 0; r < rows; r++)
            UNROLL for (int v = 0; v < DOT_CHAINS; v++)
                sum[s][r][v] = (vec){0};
    const long depth = p->depth, whole = depth / DOT_STEP * DOT_STEP, until = max(whole - DOT_AHEAD, 0);
    dot_steps(shared, rows, p, a, w, 0, until, DOT_AHEAD, sum);
    dot_steps(shared, rows, p, a, w, until, whole, min(DOT_AHEAD, whole) + rows * p->w_row - whole, sum);
    long k = whole;
    if (k + LANES <= depth) {
        dot_step(shared, rows, 0, p, a, w, k, LANES, sum);
        k += LANES;
    }
    if (k < depth)
        dot_step(shared, rows, 1, p, a, w, k, depth - k, sum);
    UNROLL for (int s = 0; s < shared; s++)
        UNROLL for (int r = 0; r < rows; r++)
            lanes[s][i + r] = sum[s][r][0] + sum[s][r][1];
}

/* Some rows of a by n <= LANES rows of w. */
INLINE void dots_body(const int shared, const struct few_rows *p, const real *a, const real *w, long n, vec lanes[][LANES])
{
    const int rows = rows_of_dots(shared);
    long i = 0;
    for (; i + rows <= n; i += rows)
        dot_lanes(shared, rows, p, a, w, i, lanes);
    for (; i < n; i++)
        dot_lanes(shared, 1, p, a, w, i, lanes);
}

typedef void dots_of(const struct few_rows *p, const real *a, const real *w, long n, vec lanes[][LANES]);
#define DOTS_OF(SHARED)                                                                            \
    OUTLINE void dots_of_##SHARED(const struct few_rows *p, const real *a, const real *w, long n,  \
                                  vec lanes[][LANES])                                              \
    {                                                                                              \
        dots_body(SHARED, p, a, w, n, lanes);                                                      \
    }
DOTS_OF(1)
DOTS_OF(2)
#if VECTOR_BYTES == 64
DOTS_OF(3)
DOTS_OF(4)
#define EACH_DOTS dots_of_1, dots_of_2, dots_of_3, dots_of_4
#else
#define EACH_DOTS dots_of_1, dots_of_2
#endif

/* c = bias + a w^T for n <= MOST_DOTS rows; bias NULL stands for zeros. */
static void few_dots_product(long n, const struct few_rows *p)
{
    static dots_of *const dots[DOT_SHARED] = {EACH_DOTS};
    vec lanes[MOST_DOTS][LANES];
    memset(lanes, 0, (size_t)n * sizeof lanes[0]); /* sum_each reads those of no column, too */
    for (long j = 0, columns; j < p->n_out; j += LANES) {
        columns = min(p->n_out - j, LANES);
        for (long r = 0, shared; r < n; r += shared) {
            shared = min(n - r, DOT_SHARED);
            dots[shared - 1](p, p->a + r * p->a_row, p->w + j * p->w_row, columns, lanes + r);
        }
        for (long r = 0; r < n; r++) {
            vec sum = sum_each(lanes[r]);
            real *c = p->c + r * p->c_row + j;
            if (p->bias)
                sum += load_partial(p->bias + j, columns);
            if (columns == LANES) /* a store of some lanes is slow on some machines */
                store(c, sum);
            else
                store_partial(c, sum, columns);
        }
    }
}

#endif
