/* Products of a single row with a plain matrix, which is read where it is: for a few rows, packing it
   would cost more than the product. */
#ifndef FASTMLP_FEW_ROWS_H
#define FASTMLP_FEW_ROWS_H

#include "vector/simd.h"

enum {
    ROW_VECTORS = 4,                 /* of a row, summed in registers over the whole depth */
    ROW_STEPS = 8,                   /* rows of w at once where it is read row by row */
    NARROW = 4 * ROW_VECTORS * LANES /* columns up to which registers are the better way */
};

/* Columns j … n_out - 1 of c += a w, one at a time. */
INLINE void last_columns(const real *a, long depth, const real *w, long w_row, long j, long n_out,
                         real *c)
{
    for (; j < n_out; j++) {
        real sum = c[j];
        const real *w_k = w + j;
        for (long k = 0; k < depth; k++, w_k += w_row)
            sum = REAL_FMA(a[k], *w_k, sum);
        c[j] = sum;
    }
}

/* c += a w for a run of `vectors` vectors, down the whole depth. */
INLINE void narrow_columns(const int vectors, const real *a, long depth, const real *w, long w_row,
                           real *c)
{
    vec sum[ROW_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++)
        sum[v] = load(c + v * LANES);
    for (long k = 0; k < depth; k++, w += w_row) {
        vec left = SPLAT(a[k]);
        UNROLL for (int v = 0; v < vectors; v++)
            sum[v] = FMA(left, load(w + v * LANES), sum[v]);
    }
    UNROLL for (int v = 0; v < vectors; v++)
        store(c + v * LANES, sum[v]);
}

/* c += a w for `steps` rows of w, along all columns: memory is read in a few long streams. */
INLINE void wide_rows(const int steps, const real *a, const real *w, long w_row, long n_out, real *c)
{
    vec left[ROW_STEPS];
    UNROLL for (int k = 0; k < steps; k++)
        left[k] = SPLAT(a[k]);
    long j = 0;
    for (; j + LANES <= n_out; j += LANES) {
        vec sum = load(c + j);
        UNROLL for (int k = 0; k < steps; k++)
            sum = FMA(left[k], load(w + k * w_row + j), sum);
        store(c + j, sum);
    }
    last_columns(a, steps, w, w_row, j, n_out, c);
}

/* c = bias + a w, with the chains of the tiles; rows of w are w_row elements apart, and bias NULL
   stands for zeros. */
static void row_product(const real *a, long depth, const real *w, long w_row, long n_out,
                        const real *bias, real *c)
{
    if (bias)
        memcpy(c, bias, (size_t)n_out * sizeof(real));
    else
        memset(c, 0, (size_t)n_out * sizeof(real));
    long j = 0, k = 0;
    if (n_out > NARROW) {
        for (; k + ROW_STEPS <= depth; k += ROW_STEPS)
            wide_rows(ROW_STEPS, a + k, w + k * w_row, w_row, n_out, c);
        for (; k < depth; k++)
            wide_rows(1, a + k, w + k * w_row, w_row, n_out, c);
        return;
    }
    for (; j + ROW_VECTORS * LANES <= n_out; j += ROW_VECTORS * LANES)
        narrow_columns(ROW_VECTORS, a, depth, w + j, w_row, c + j);
    for (; j + LANES <= n_out; j += LANES)
        narrow_columns(1, a, depth, w + j, w_row, c + j);
    last_columns(a, depth, w, w_row, j, n_out, c);
}

/* c[j] = bias[j] + sum over k of a[k] w[j][k]: the rows of w are w_row elements apart. */
static void row_dots(const real *a, long depth, const real *w, long w_row, long n_out,
                     const real *bias, real *c)
{
    for (long j = 0; j < n_out; j++, w += w_row) {
        vec sum[ROW_VECTORS] = {{0}};
        long k = 0;
        for (; k + ROW_VECTORS * LANES <= depth; k += ROW_VECTORS * LANES)
            UNROLL for (int v = 0; v < ROW_VECTORS; v++)
                sum[v] = FMA(load(a + k + v * LANES), load(w + k + v * LANES), sum[v]);
        for (; k + LANES <= depth; k += LANES)
            sum[0] = FMA(load(a + k), load(w + k), sum[0]);
        real total = sum_lanes((sum[0] + sum[1]) + (sum[2] + sum[3]));
        for (; k < depth; k++)
            total = REAL_FMA(a[k], w[k], total);
        c[j] = bias ? bias[j] + total : total;
    }
}

#endif
