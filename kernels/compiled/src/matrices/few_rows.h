/* Products of a few rows with a plain matrix, which is read where it is: packing it would cost more than
   the product.

   Rows go in groups that share what they load of W. Narrow matrices are summed in registers over their
   whole depth; wide ones a few rows at a time, in so many streams through memory, a block of rows at a time
   that stays in the second-level cache while all groups go over it. Streams are prefetched: processors
   do that themselves for one that begins at a cache line, but hardly for several that do not, and arrays seldom do.
   Every element is the chain of the tiles. */
#ifndef FASTMLP_FEW_ROWS_H
#define FASTMLP_FEW_ROWS_H

#include <string.h>

#include "vector/simd.h"
#include "work.h"

enum {
    FEW_AT_ONCE = FEW_ROWS,               /* rows of a that share the loads of w */
    ROW_VECTORS = 4,                      /* of a row, at most, summed in registers over the whole depth; */
    SINGLE_VECTORS = 8,                   /* of a single one, as many chains as multiplications under way */
    NARROW = 4 * ROW_VECTORS * LANES,     /* columns up to which registers are the better way */
    ROW_STEPS = 6,                        /* rows of a wider w at a time, */
    SHORT_STEPS = 8,                      /* or short ones, without a prefetch, where lines are whole vectors: */
    SHORT_ROWS = VECTOR_BYTES == 64 ? 2048 / (int)sizeof(real) : 0, /* elements */
    ROW_LINES = ROW_VECTORS / VECTORS,    /* lines of them, for a single row of a, */
    ROW_AHEAD = 1792 / (int)sizeof(real), /* and elements from what is read of them to what is prefetched */
    STREAM_BYTES = 128 << 10,             /* of w that several groups of rows go over, */
    STREAM_STEPS = 12,                    /* rows of it: a multiple of all steps */
    OWN_SUMS = 32 << 10,                  /* bytes of a thread's sums */
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

/* A prefetch of so many lines of some rows. */
INLINE void prefetch_lines(const int rows, const int lines, const real *w, long w_row)
{
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int l = 0; l < lines; l++)
            __builtin_prefetch(w + r * w_row + l * PANEL, 0, 3);
}

/* Columns `from` to `to` of c += a w for `steps` rows of w, so many lines at a time, which are prefetched `ahead`
   elements further on; or, with 0, vector after vector. */
INLINE void wide_columns(const int rows, const int steps, const int lines, const struct few_rows *p, const real *w,
                         vec left[FEW_AT_ONCE][SHORT_STEPS], long from, long to, long ahead)
{
    const int vectors = lines > 0 ? lines * VECTORS : 1;
    const long w_row = p->w_row, c_row = p->c_row;
    real *const c = p->c;
    for (long j = from; j < to; j += vectors * LANES) {
        prefetch_lines(steps, lines, w + j + ahead, w_row);
        UNROLL for (int v = 0; v < vectors; v++) {
            const long i = j + v * LANES;
            vec sum[FEW_AT_ONCE];
            UNROLL for (int r = 0; r < rows; r++)
                sum[r] = load(c + r * c_row + i);
            UNROLL for (int s = 0; s < steps; s++) {
                const vec right = load(w + s * w_row + i);
                UNROLL for (int r = 0; r < rows; r++)
                    sum[r] = FMA(left[r][s], right, sum[r]);
            }
            UNROLL for (int r = 0; r < rows; r++)
                store(c + r * c_row + i, sum[r]);
        }
    }
}

/* c += a w for `steps` rows of w from row k on, along all whole vectors of columns. What is prefetched goes on in the
   next rows where these ones end; with 0 lines nothing is. */
INLINE void wide_rows(const int rows, const int steps, const int lines, const struct few_rows *p, long k)
{
    vec left[FEW_AT_ONCE][SHORT_STEPS];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int s = 0; s < steps; s++)
            left[r][s] = SPLAT(p->a[r * p->a_row + k + s]);
    const real *w = p->w + k * p->w_row;
    const long some = lines * PANEL, whole = lines > 0 ? p->n_out / some * some : 0, until = max(whole - ROW_AHEAD, 0);
    const long beyond = min(ROW_AHEAD, whole) + steps * p->w_row - whole;
    wide_columns(rows, steps, lines, p, w, left, 0, until, ROW_AHEAD);
    wide_columns(rows, steps, lines, p, w, left, until, whole, beyond);
    wide_columns(rows, steps, 0, p, w, left, whole, p->n_out / LANES * LANES, 0);
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
    const int vectors = VECTOR_BYTES == 64 || rows < FEW_AT_ONCE ? ROW_VECTORS : 2; /* their sums are in registers */
    for (; j + vectors * LANES <= n_out; j += vectors * LANES)
        narrow_columns(rows, vectors, p, j, (vectors - 1) * LANES);
    const long left = n_out - j, last = left - LANES;
    if (vectors == 4 && left > 3 * LANES)
        narrow_columns(rows, 4, p, j, last);
    else if (vectors == 4 && left > 2 * LANES)
        narrow_columns(rows, 3, p, j, last);
    else if (left > LANES)
        narrow_columns(rows, 2, p, j, last);
    else if (left > 0)
        narrow_columns(rows, 1, p, j, last);
}

/* Rows of w at once by so many rows of a: their factors stay in registers. */
INLINE int row_steps(const int rows)
{
    return rows == 1 ? ROW_STEPS : rows == 2 ? 4 : VECTOR_BYTES == 64 ? ROW_STEPS : 12 / rows;
}

/* `rows` rows of c; wide matrices may come in blocks of depth. */
INLINE void group_body(const int rows, const struct few_rows *p)
{
    const int steps = row_steps(rows);
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
    if (rows == 1 && p->n_out < SHORT_ROWS)
        for (; k + SHORT_STEPS <= p->depth; k += SHORT_STEPS)
            wide_rows(rows, SHORT_STEPS, 0, p, k);
    else
        for (; k + steps <= p->depth; k += steps)
            wide_rows(rows, steps, rows == 1 ? ROW_LINES : 1, p, k);
    for (; k < p->depth; k++)
        wide_rows(rows, 1, 0, p, k);
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
    if (LIKELY(n <= FEW_AT_ONCE)) {
        groups[n - 1](p);
        return;
    }
    long block = depth;
    if (p->w_row > NARROW) {
        block = STREAM_BYTES / (p->w_row * (long)sizeof(real)) / STREAM_STEPS * STREAM_STEPS;
        block = max(block, STREAM_STEPS);
    }
    long k = 0;
    do { /* once even for depth 0 */
        struct few_rows part = *p;
        part.a += k;
        part.w += k * p->w_row;
        part.depth = depth - k < block ? depth - k : block;
        part.accumulate = k > 0;
        for (long left = n, here; left > 0; left -= here) {
            here = left == FEW_AT_ONCE + 1 ? 3 : min(left, FEW_AT_ONCE); /* 3 + 2, not 4 + 1 */
            groups[here - 1](&part);
            part.a += here * p->a_row;
            part.c += here * p->c_row;
        }
    } while ((k += block) < depth);
}

/* The same for some columns of c beside those of other threads. Sums in memory are read and written once for a few rows
   of the depth; side by side they would go back and forth between two cores, as processors prefetch beyond the end of what
   they read. So these are summed in memory of their own. */
static void few_rows_apart(long n, const struct few_rows *p)
{
    real own[OWN_SUMS / sizeof(real)] __attribute__((aligned(LINE)));
    const long most = OWN_SUMS / (long)sizeof(real) / n, parts = blocks_of(p->n_out, most);
    const long columns = min(round_up(blocks_of(p->n_out, parts), PANEL), most);
    for (long first = 0; first < p->n_out; first += columns) {
        struct few_rows part = *p;
        part.w += first;
        part.bias += part.bias ? first : 0;
        part.c = own;
        part.c_row = part.n_out = min(p->n_out - first, columns);
        few_rows_product(n, &part);
        for (long r = 0; r < n; r++)
            memcpy(p->c + r * p->c_row + first, own + r * part.c_row, (size_t)part.n_out * sizeof(real));
    }
}

/* c = bias + a w of one row; rows of w are w_row elements apart, and bias NULL stands for zeros. */
static void row_product(const real *a, long depth, const real *w, long w_row, long n_out,
                        const real *bias, real *c)
{
    const struct few_rows p = {.a = a, .w = w, .bias = bias, .w_row = w_row, .depth = depth,
                               .n_out = n_out, .c = c};
    group_of_1(&p);
}

#endif
