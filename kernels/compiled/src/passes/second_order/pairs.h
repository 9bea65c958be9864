/* What the two sides of a product in gauss_newton.h are made of: columns of a block of rows, and products
   of two of them. */
#ifndef FASTMLP_PAIRS_H
#define FASTMLP_PAIRS_H

#include "fastmlp.h"
#include "matrices/panels.h"
#include "vector/simd.h"
#include "work.h"

/* Numbers of a block of the present stretch. */
INLINE real *numbers_of(const struct gauss_newton *g, long block, long at)
{
    return (real *)g->blocks + block * g->block_numbers + at;
}

/* Where in a block the columns begin that a layer is given, behind its errors. */
INLINE long inputs_from(const struct gauss_newton *g, const struct gauss_layer *layer)
{
    return layer->columns + g->n_errors * layer->n_out * GAUSS_ROWS;
}
/* The last of them, ones, of all layers. */
INLINE void fill_ones(const struct gauss_newton *g, long block)
{
    for (int l = 0; l < g->n_layers; l++) {
        const struct gauss_layer *layer = &g->layers[l];
        real *ones = numbers_of(g, block, inputs_from(g, layer) + layer->n_in * GAUSS_ROWS);
        for (long r = 0; r < GAUSS_ROWS; r++)
            ones[r] = 1;
    }
}

/* n numbers that are `stride` bytes apart, side by side. */
INLINE void copy_numbers(const char *from, ptrdiff_t stride, long n, real *to)
{
    long c = 0;
    if (LIKELY(stride == (long)sizeof(real)))
        for (; c + LANES <= n; c += LANES)
            store(to + c, load((const real *)from + c));
    for (; c < n; c++)
        to[c] = *(const real *)(from + c * stride);
}

/* n columns of some rows of a matrix, by way of so many rows of `space`; zero behind the last row. Columns
   are written up to the end of a vector. */
static void turn_rows(struct matrix m, long first, long rows, long n, real *space, real *columns)
{
    const long row = round_up(n, LANES), deep = round_up(rows, LANES);
    const char *from = m.data + first * m.row_stride;
    for (long r = 0; r < rows; r++, from += m.row_stride) {
        copy_numbers(from, m.column_stride, n, space + r * row);
        for (long c = n; c < row; c++)
            space[r * row + c] = 0;
    }
    memset(space + rows * row, 0, (size_t)((deep - rows) * row) * sizeof(real));
    for (long c = 0; c < n; c += LANES) {
        for (long r = 0; r < deep; r += LANES)
            transpose_square(space + r * row + c, row, columns + c * GAUSS_ROWS + r, GAUSS_ROWS);
        for (long i = 0; deep < GAUSS_ROWS && i < LANES; i++)
            memset(columns + (c + i) * GAUSS_ROWS + deep, 0, (size_t)(GAUSS_ROWS - deep) * sizeof(real));
    }
}

/* A block of rows, by columns: of each layer errors, inputs and ones. */
static void gauss_rows(void *context, long block, int thread)
{
    const struct gauss_newton *g = context;
    const long first = (g->first_block + block) * GAUSS_ROWS, rows = min(g->n - first, GAUSS_ROWS);
    real *space = (real *)(g->scratch + thread * g->scratch_bytes);
    for (int l = 0; l < g->n_layers; l++) {
        const struct gauss_layer *layer = &g->layers[l];
        const long width = g->n_errors * layer->n_out, bytes = sizeof(real);
        const struct matrix errors = {layer->errors, width * bytes, bytes};
        turn_rows(errors, first, rows, width, space, numbers_of(g, block, layer->columns));
        turn_rows(layer->inputs, first, rows, layer->n_in, space, numbers_of(g, block, inputs_from(g, layer)));
    }
    fill_ones(g, block);
}

/* Pairs of numbers, the second of which is of a set of n: all of them in the order of the first, or of
   one set with itself those with first <= second. */
struct pair {
    long first, second;
};
INLINE struct pair next_pair(struct pair p, int same, long n)
{
    return p.second + 1 < n ? (struct pair){p.first, p.second + 1}
                            : (struct pair){p.first + 1, same ? p.first + 1 : 0};
}
static struct pair pair_at(long index, int same, long n)
{
    if (!same)
        return (struct pair){index / n, index % n};
    long i = 0;
    for (; index >= n - i; i++)
        index -= n - i;
    return (struct pair){i, i + index};
}

/* Numbers of one side of a block of J^T J: products of a column of one set and a column of another, of
   pairs in their order, added up over so many terms, each of which has sets of its own. */
struct gauss_side {
    long first, second, n; /* where the sets begin in a block of rows; columns of the second one */
    int same;
    long terms, first_step, second_step; /* from the sets of a term to those of the next */
};
static struct gauss_side inputs_of(const struct gauss_newton *g, const struct gauss_task *task,
                                   struct gauss_block kind)
{
    const struct gauss_layer *l = &g->layers[task->l], *m = &g->layers[task->m];
    if (kind.single)
        return (struct gauss_side){.first = inputs_from(g, l), .second = l->columns, .n = 1, .terms = 1};
    return (struct gauss_side){.first = inputs_from(g, l), .second = inputs_from(g, m), .n = m->n_in + 1,
                               .same = kind.same, .terms = 1};
}
static struct gauss_side errors_of(const struct gauss_newton *g, const struct gauss_task *task,
                                   struct gauss_block kind)
{
    const struct gauss_layer *l = &g->layers[kind.turned ? task->m : task->l];
    const struct gauss_layer *m = &g->layers[kind.turned ? task->l : task->m];
    if (kind.single)
        return inputs_of(g, task, kind);
    return (struct gauss_side){.first = l->columns, .second = m->columns, .n = m->n_out, .same = kind.same,
                               .terms = g->n_errors, .first_step = l->n_out * GAUSS_ROWS,
                               .second_step = m->n_out * GAUSS_ROWS};
}

/* One of the numbers for some rows. */
INLINE vec number_of(const struct gauss_side *side, const long terms, const real *x, const real *y)
{
    vec sum = load(x) * load(y);
    for (long k = 1; k < terms; k++)
        sum = FMA(load(x + k * side->first_step), load(y + k * side->second_step), sum);
    return sum;
}

/* n numbers from that of a pair on, as columns. */
INLINE void form_columns(const struct gauss_side *side, const long terms, struct pair p, long n,
                         const real *block, long rows, real *to)
{
    for (long i = 0; i < n; i++, p = next_pair(p, side->same, side->n), to += GAUSS_ROWS) {
        const real *x = block + side->first + p.first * GAUSS_ROWS;
        const real *y = block + side->second + p.second * GAUSS_ROWS;
        for (long r = 0; r < rows; r += LANES)
            store(to + r, number_of(side, terms, x + r, y + r));
    }
}
/* The same as rows of `row` numbers: squares of columns are turned. */
INLINE void form_rows(const struct gauss_side *side, const long terms, struct pair p, long n,
                      const real *block, long rows, real *to, long row)
{
    for (long i = 0; i < n; i += LANES, to += LANES) {
        const real *x[LANES], *y[LANES];
        for (int j = 0; j < LANES; j++) { /* the last number stands for those behind it */
            x[j] = block + side->first + p.first * GAUSS_ROWS;
            y[j] = block + side->second + p.second * GAUSS_ROWS;
            if (i + j + 1 < n)
                p = next_pair(p, side->same, side->n);
        }
        for (long r = 0; r < rows; r += LANES) {
            vec v[LANES], half[LANES];
            UNROLL for (int j = 0; j < LANES; j++)
                v[j] = number_of(side, terms, x[j] + r, y[j] + r);
            transpose_vectors(v, half);
            UNROLL for (int j = 0; j < LANES; j++)
                store(to + (r + j) * row, v[j]);
        }
    }
}
OUTLINE void form_left(const struct gauss_side *side, struct pair p, long n, const real *block, long rows,
                       real *to)
{
    if (side->terms == 1)
        form_columns(side, 1, p, n, block, rows, to);
    else
        form_columns(side, side->terms, p, n, block, rows, to);
}
OUTLINE void form_right(const struct gauss_side *side, struct pair p, long n, const real *block, long rows,
                        real *to, long row)
{
    if (side->terms == 1)
        form_rows(side, 1, p, n, block, rows, to, row);
    else
        form_rows(side, side->terms, p, n, block, rows, to, row);
}

#endif
