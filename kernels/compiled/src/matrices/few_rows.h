/* Products of a few rows with a plain matrix, which is read where it is: packing it would cost more than
   the product.

   Rows go in groups that share what they load of W. Narrow matrices are summed in registers over their
   whole depth; wide ones row by row, in a few long streams through memory, a block
   of rows at a time that stays in the second-level cache while all groups go over it. Every element is
   the chain of the tiles. */
#ifndef FASTMLP_FEW_ROWS_H
#define FASTMLP_FEW_ROWS_H

#include <string.h>

#include "vector/simd.h"
#include "work.h"

enum {
    FEW_AT_ONCE = 4,                  /* rows of a that share the loads of w, */
    FEW_NARROW = 3,                   /* of a narrow one: with ROW_VECTORS they fill the registers */
    ROW_VECTORS = 4,                  /* of a row, summed in registers over the whole depth; */
    DOT_ROWS = VECTOR_BYTES == 64 ? 6 : 3, /* rows of w at a time, whose sums are in registers */
    SINGLE_VECTORS = 8,               /* of a single one, as many chains as multiplications under way */
    ROW_STEPS = 8,                    /* rows of w at once where it is read row by row by one row of a, */
    SHARED_STEPS = 8,                 /* and by several, over their number: factors in registers */
    NARROW = 4 * ROW_VECTORS * LANES, /* columns up to which registers are the better way */
    STREAM_BYTES = 128 << 10,         /* of w that several groups of rows go over */
};

/* A product c = bias + a w, or c += a w. Rows are elements from one row to the next. */
struct few_rows {
    const real *a, *w, *bias; /* bias NULL: zeros */
    long a_row, w_row, c_row, depth, n_out;
    int accumulate;
    real *c;
};

/* The only column of c. */
INLINE void one_column(const int rows, const struct few_rows *p)
{
    real sum[FEW_AT_ONCE];
    UNROLL for (int r = 0; r < rows; r++)
        sum[r] = p->accumulate ? p->c[r * p->c_row] : p->bias ? p->bias[0] : 0;
    const real *w = p->w;
    for (long k = 0; k < p->depth; k++, w += p->w_row)
        UNROLL for (int r = 0; r < rows; r++)
            sum[r] = REAL_FMA(p->a[r * p->a_row + k], *w, sum[r]);
    UNROLL for (int r = 0; r < rows; r++)
        p->c[r * p->c_row] = sum[r];
}

/* The sums of the last LANES columns of c, or of all where there are fewer, down the whole depth. Where a
   vector is longer than a row of w, it goes on in the next ones, if they follow in memory; where nothing
   follows, so much is loaded as there is. */
INLINE void last_columns(const int rows, const struct few_rows *p, vec sum[FEW_AT_ONCE])
{
    const long n = p->n_out < LANES ? p->n_out : LANES, j = p->n_out - n, w_row = p->w_row;
    const long beyond = n == LANES ? 0 : w_row >= n ? blocks_of(LANES - n, w_row) : p->depth;
    const long whole = p->depth - min(p->depth, beyond);
    UNROLL for (int r = 0; r < rows; r++)
        sum[r] = p->accumulate ? load_partial(p->c + r * p->c_row + j, n)
                 : p->bias     ? load_partial(p->bias + j, n)
                               : (vec){0};
    const real *w = p->w + j;
    for (long k = 0; k < p->depth; k++, w += w_row) {
        const vec right = k < whole ? load(w) : load_partial(w, n);
        UNROLL for (int r = 0; r < rows; r++)
            sum[r] = FMA(SPLAT(p->a[r * p->a_row + k]), right, sum[r]);
    }
}
INLINE void store_last_columns(const int rows, const struct few_rows *p, vec sum[FEW_AT_ONCE])
{
    const long n = p->n_out < LANES ? p->n_out : LANES, j = p->n_out - n;
    UNROLL for (int r = 0; r < rows; r++)
        store_partial(p->c + r * p->c_row + j, sum[r], n);
}

/* A run of `vectors` vectors from column j on, down the whole depth. The last of them begins `last` columns
   further on: where it overlaps the one before, both compute the same. */
INLINE void narrow_columns(const int rows, const int vectors, const struct few_rows *p, long j,
                           long last)
{
#define COLUMN_OF(v) ((v) < vectors - 1 ? (v) * LANES : last)
    vec sum[FEW_AT_ONCE][SINGLE_VECTORS];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < vectors; v++)
            sum[r][v] = p->bias ? load(p->bias + j + COLUMN_OF(v)) : (vec){0};
    const real *w = p->w + j, *a = p->a;
    const long w_row = p->w_row, a_row = p->a_row;
    for (const real *end = a + p->depth; a != end; a++, w += w_row) {
        vec left[FEW_AT_ONCE];
        UNROLL for (int r = 0; r < rows; r++)
            left[r] = SPLAT(a[r * a_row]);
        UNROLL for (int v = 0; v < vectors; v++) {
            const vec right = load(w + COLUMN_OF(v));
            UNROLL for (int r = 0; r < rows; r++)
                sum[r][v] = FMA(left[r], right, sum[r][v]);
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < vectors; v++)
            store(p->c + r * p->c_row + j + COLUMN_OF(v), sum[r][v]);
#undef COLUMN_OF
}

/* c += a w for `steps` rows of w from row k on, along all whole vectors of columns. */
INLINE void wide_rows(const int rows, const int steps, const struct few_rows *p, long k)
{
    vec left[FEW_AT_ONCE][ROW_STEPS];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int s = 0; s < steps; s++)
            left[r][s] = SPLAT(p->a[r * p->a_row + k + s]);
    const real *w = p->w + k * p->w_row;
    const long w_row = p->w_row, c_row = p->c_row, whole = p->n_out / LANES * LANES;
    real *c = p->c;
    for (long j = 0; j < whole; j += LANES) {
        vec sum[FEW_AT_ONCE];
        UNROLL for (int r = 0; r < rows; r++)
            sum[r] = load(c + r * c_row + j);
        UNROLL for (int s = 0; s < steps; s++) {
            const vec right = load(w + s * w_row + j);
            UNROLL for (int r = 0; r < rows; r++)
                sum[r] = FMA(left[r][s], right, sum[r]);
        }
        UNROLL for (int r = 0; r < rows; r++)
            store(c + r * c_row + j, sum[r]);
    }
}

INLINE void narrow_rows(const int rows, const struct few_rows *p)
{
    const long n_out = p->n_out;
    if (n_out == 1) {
        one_column(rows, p);
        return;
    }
    if (n_out < LANES) {
        vec sum[FEW_AT_ONCE];
        last_columns(rows, p, sum);
        store_last_columns(rows, p, sum);
        return;
    }
    long j = 0;
    for (; rows == 1 && j + SINGLE_VECTORS * LANES <= n_out; j += SINGLE_VECTORS * LANES)
        narrow_columns(rows, SINGLE_VECTORS, p, j, (SINGLE_VECTORS - 1) * LANES);
    for (; j + ROW_VECTORS * LANES <= n_out; j += ROW_VECTORS * LANES)
        narrow_columns(rows, ROW_VECTORS, p, j, (ROW_VECTORS - 1) * LANES);
    const long left = n_out - j, last = left - LANES;
    if (left > 3 * LANES)
        narrow_columns(rows, 4, p, j, last);
    else if (left > 2 * LANES)
        narrow_columns(rows, 3, p, j, last);
    else if (left > LANES)
        narrow_columns(rows, 2, p, j, last);
    else if (left > 0)
        narrow_columns(rows, 1, p, j, last);
}

/* `rows` rows of c; wide matrices may come in blocks of depth. */
INLINE void group_body(const int rows, const struct few_rows *p)
{
    const int steps = rows == 1 ? ROW_STEPS : rows == 3 ? 4 : SHARED_STEPS / rows;
    if (p->w_row <= NARROW) {
        narrow_rows(rows, p);
        return;
    }
    /* What the last vector has in common with the one before it is the same in both. */
    vec last[FEW_AT_ONCE];
    const int rest = p->n_out % LANES > 0;
    if (rest)
        last_columns(rows, p, last);
    const size_t bytes = (size_t)(p->n_out / LANES * LANES) * sizeof(real);
    for (int r = 0; r < rows && !p->accumulate; r++)
        if (p->bias)
            memcpy(p->c + r * p->c_row, p->bias, bytes);
        else
            memset(p->c + r * p->c_row, 0, bytes);
    long k = 0;
    for (; k + steps <= p->depth; k += steps)
        wide_rows(rows, steps, p, k);
    for (; k < p->depth; k++)
        wide_rows(rows, 1, p, k);
    if (rest)
        store_last_columns(rows, p, last);
}

OUTLINE void group_of_1(const struct few_rows *p) { group_body(1, p); }
OUTLINE void group_of_2(const struct few_rows *p) { group_body(2, p); }
OUTLINE void group_of_3(const struct few_rows *p) { group_body(3, p); }
OUTLINE void group_of_4(const struct few_rows *p) { group_body(4, p); }

/* c = bias + a w for n rows. */
static void few_rows_product(long n, const struct few_rows *p)
{
    static void (*const groups[FEW_AT_ONCE])(const struct few_rows *) = {group_of_1, group_of_2,
                                                                         group_of_3, group_of_4};
    const long depth = p->depth;
    const int narrow = p->w_row <= NARROW;
    const long at_once = narrow ? FEW_NARROW : FEW_AT_ONCE;
    if (LIKELY(n <= at_once)) {
        groups[n - 1](p);
        return;
    }
    long block = depth;
    if (!narrow) {
        block = STREAM_BYTES / (p->w_row * (long)sizeof(real)) / ROW_STEPS * ROW_STEPS;
        block = block > ROW_STEPS ? block : ROW_STEPS;
    }
    long k = 0;
    do { /* once even for depth 0 */
        struct few_rows part = *p;
        part.a += k;
        part.w += k * p->w_row;
        part.depth = depth - k < block ? depth - k : block;
        part.accumulate = k > 0;
        for (long left = n, here; left > 0; left -= here) {
            here = left == at_once + 1 ? 2 : left < at_once ? left : at_once; /* 2 + 2, not 3 + 1 */
            groups[here - 1](&part);
            part.a += here * p->a_row;
            part.c += here * p->c_row;
        }
    } while ((k += block) < depth);
}

/* c = bias + a w of one row; rows of w are w_row elements apart, and bias NULL stands for zeros. */
static void row_product(const real *a, long depth, const real *w, long w_row, long n_out,
                        const real *bias, real *c)
{
    const struct few_rows p = {.a = a, .w = w, .bias = bias, .w_row = w_row, .depth = depth,
                               .n_out = n_out, .c = c};
    group_of_1(&p);
}

/* Sums of some rows of w times a: their streams keep the memory busy, and their last sums each other. */
INLINE void dots_of_rows(const int rows, const real *a, long depth, const real *w, long w_row, real *c)
{
    vec sum[DOT_ROWS][ROW_VECTORS];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < ROW_VECTORS; v++)
            sum[r][v] = (vec){0};
    long k = 0;
    for (; k + ROW_VECTORS * LANES <= depth; k += ROW_VECTORS * LANES)
        UNROLL for (int v = 0; v < ROW_VECTORS; v++) {
            const vec left = load(a + k + v * LANES);
            UNROLL for (int r = 0; r < rows; r++)
                sum[r][v] = FMA(left, load(w + r * w_row + k + v * LANES), sum[r][v]);
        }
    for (; k + LANES <= depth; k += LANES)
        UNROLL for (int r = 0; r < rows; r++)
            sum[r][0] = FMA(load(a + k), load(w + r * w_row + k), sum[r][0]);
    UNROLL for (int r = 0; r < rows; r++) {
        real total = sum_lanes((sum[r][0] + sum[r][1]) + (sum[r][2] + sum[r][3]));
        for (long rest = k; rest < depth; rest++)
            total = REAL_FMA(a[rest], w[r * w_row + rest], total);
        c[r] = total;
    }
}

/* c[j] = bias[j] + sum over k of a[k] w[j][k]: the rows of w are w_row elements apart. */
static void row_dots(const real *a, long depth, const real *w, long w_row, long n_out,
                     const real *bias, real *c)
{
    long j = 0;
    for (; j + DOT_ROWS <= n_out; j += DOT_ROWS)
        dots_of_rows(DOT_ROWS, a, depth, w + j * w_row, w_row, c + j);
    for (; j < n_out; j++)
        dots_of_rows(1, a, depth, w + j * w_row, w_row, c + j);
    for (j = 0; bias && j < n_out; j++)
        c[j] = bias[j] + c[j];
}

#endif
