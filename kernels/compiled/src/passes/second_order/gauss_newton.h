/* J^T J of a network, over rows of J that are never written down.

   A row of J has, for each layer, the outer product of what the layer is given and its error. So the
   block of J^T J between layers l and m is, over the rows n of a batch,

       sum of (a_l a_m^T) kron (D_l^T D_m),        D_l the errors of layer l, one row per output,

   a product of two thin matrices: pairs of inputs, and pairs of errors, which are summed over the
   outputs before anything else. Of a layer with itself only the pairs i <= j of either are needed: a
   quarter of the numbers instead of the half that a symmetric update of rank n takes, and several
   outputs cost what one does. (Of a layer with one output, pairs of errors are one number: there the
   products of inputs with the error are multiplied with each other.)

   A block of rows is kept by columns, errors and inputs of each layer side by side. The left matrix is
   formed as columns, which a tile broadcasts, the right one as rows, a strip as wide as a tile at a time,
   which stays in the first-level cache: squares of such columns are turned.
   Pairs of inputs are on the left, but where the padding of a few pairs of errors to whole vectors would
   cost more than turning the sides over.

   Tiles are added up in double precision: in float32 a chain of additions has GAUSS_ROWS terms.

   A task is a part of one block of J^T J, over all rows in their order: the same bits for any number
   of threads. */
#ifndef FASTMLP_GAUSS_NEWTON_H
#define FASTMLP_GAUSS_NEWTON_H

#include "matrices/tile_tables.h"
#include "passes/second_order/pairs.h"

/* As many doubles as a vector has lanes. */
typedef double doubles __attribute__((vector_size(VECTOR_BYTES / (FASTMLP_REAL_BITS / 8) * 8)));
typedef doubles doubles_unaligned __attribute__((aligned(sizeof(double)), may_alias));

/* Vectors of a tile, and left numbers: of one vector more of them, so that the sums are as many. */
enum { GAUSS_VECTORS = TILE_PANELS * VECTORS, GAUSS_TALL = TILE_FEATURES, GAUSS_TALLEST = 12 };

/* Add x^T y to c, for some columns of x and vectors of the rows of y. */
INLINE void gauss_tile(const int features, const int vectors, long rows, const real *x, const real *y,
                       long y_row, double *c, long c_row)
{
    vec sum[GAUSS_TALLEST][GAUSS_VECTORS];
    UNROLL for (int i = 0; i < features; i++)
        UNROLL for (int v = 0; v < vectors; v++)
            sum[i][v] = (vec){0};
    const real *next = x + features * GAUSS_ROWS;
    INNER_LOOP for (long r = 0; r < rows; r++, y += y_row) {
        vec right[GAUSS_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++)
            right[v] = load(y + v * LANES);
        __builtin_prefetch(next + r * PANEL, 0, 3);
        UNROLL for (int i = 0; i < features; i++) {
            const vec left = SPLAT(x[i * GAUSS_ROWS + r]);
            UNROLL for (int v = 0; v < vectors; v++)
                sum[i][v] = FMA(left, right[v], sum[i][v]);
        }
    }
    UNROLL for (int i = 0; i < features; i++)
        UNROLL for (int v = 0; v < vectors; v++)
            *(doubles_unaligned *)(c + i * c_row + v * LANES) += __builtin_convertvector(sum[i][v], doubles);
}
typedef void gauss_tile_function(long rows, const real *x, const real *y, long y_row, double *c, long c_row);
#define GAUSS_TILE_OF(NAME, F, N)                                                                  \
    OUTLINE void NAME(long rows, const real *x, const real *y, long y_row, double *c, long c_row)  \
    {                                                                                              \
        gauss_tile(F, N, rows, x, y, y_row, c, c_row);                                             \
    }
#define GAUSS_TILE(F)                                                                              \
    GAUSS_TILE_OF(gauss_tile_##F, F < GAUSS_TALL ? F : GAUSS_TALL, GAUSS_VECTORS)                  \
    GAUSS_TILE_OF(gauss_column_##F, F, 1)
#define EACH_GAUSS_TILE(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
EACH_GAUSS_TILE(GAUSS_TILE)
#define GAUSS_TILE_NAME(F) gauss_tile_##F,
#define GAUSS_COLUMN_NAME(F) gauss_column_##F,
static gauss_tile_function *const gauss_tiles[] = {EACH_GAUSS_TILE(GAUSS_TILE_NAME)};
static gauss_tile_function *const gauss_columns[] = {EACH_GAUSS_TILE(GAUSS_COLUMN_NAME)};

/* All left numbers of a task times some vectors of right ones. */
INLINE void multiply_strip(gauss_tile_function *const *tiles, long tallest, const struct gauss_task *task,
                           long rows, const real *left, const real *right, long right_row, double *sums)
{
    const struct parts parts = parts_of(task->n_left, tallest);
    for (long x = 0, t = 0, part; x < task->n_left; x += part, t++) {
        part = part_at(parts, t);
        tiles[part - 1](rows, left + x * GAUSS_ROWS, right, right_row, sums + x * task->sums_row,
                        task->sums_row);
    }
}

/* Place of a parameter: weights row by row, then the bias as that of an input that is always 1. */
INLINE long place_of(const struct gauss_layer *layer, long i, long j)
{
    return i < layer->n_in ? layer->weights + i * layer->n_out + j : layer->bias + j;
}

/* Add n values to the elements (p, q), (p, q + 1) … of the result, all of which lie above the diagonal
   or on it, or to their mirror images. What is beyond the order belongs to `along`. */
INLINE void add_to_result(const struct gauss_newton *g, long p, long q, long n, const double *values)
{
    const int beyond = max(p, q) >= g->order;
    const long step = beyond || p <= q ? 1 : g->order;
    double *to = beyond ? g->along + min(p, q) : g->out + min(p, q) * g->order + max(p, q);
    if (step == 1)
        for (long i = 0; i < n; i++)
            to[i] += values[i];
    else
        for (long i = 0; i < n; i++)
            to[i * step] += values[i];
}

/* Sums of pairs of errors, row after row, with pairs of inputs of two layers. */
static void scatter_swapped(const struct gauss_newton *g, const struct gauss_task *task,
                            struct gauss_block kind, const double *sums)
{
    const struct gauss_layer *l = &g->layers[task->l], *m = &g->layers[task->m];
    struct pair p = pair_at(task->left, 0, kind.turned ? l->n_out : m->n_out);
    for (long x = 0; x < task->n_left; x++, sums += task->sums_row) {
        const long of_l = kind.turned ? p.second : p.first, of_m = kind.turned ? p.first : p.second;
        struct pair i = pair_at(task->right, 0, m->n_in + 1);
        for (long y = 0; y < task->n_right; y++, i = next_pair(i, 0, m->n_in + 1))
            add_to_result(g, place_of(l, i.first, of_l), place_of(m, i.second, of_m), 1, sums + y);
        p = next_pair(p, 0, kind.turned ? l->n_out : m->n_out);
    }
}

static void scatter_task(const struct gauss_newton *g, const struct gauss_task *task,
                         struct gauss_block kind, const double *sums)
{
    const struct gauss_layer *l = &g->layers[task->l], *m = &g->layers[task->m];
    const int same = kind.same && !kind.single;
    const long n = kind.single ? 1 : m->n_in + 1, width = kind.turned ? l->n_out : m->n_out;
    if (kind.swapped) {
        scatter_swapped(g, task, kind, sums);
        return;
    }
    struct pair i = pair_at(task->left, same, n);
    for (long x = 0; x < task->n_left; x++, i = next_pair(i, same, n), sums += task->sums_row) {
        if (kind.single) {
            for (long y = max(i.first - task->right, 0); y < task->n_right; y++)
                add_to_result(g, place_of(l, i.first, 0), place_of(l, task->right + y, 0), 1, sums + y);
            continue;
        }
        const long of_l = place_of(l, i.first, 0), of_m = place_of(m, i.second, 0);
        const long from = kind.turned ? of_m : of_l, to = kind.turned ? of_l : of_m;
        struct pair p = pair_at(task->right, same, width);
        for (long y = 0, run; y < task->n_right; y += run) {
            run = min(width - p.second, task->n_right - y);
            add_to_result(g, from + p.first, to + p.second, run, sums + y);
            /* The other pair of (i, j) and (j, i) that these numbers stand for. */
            if (same && i.first != i.second) {
                const long equal = p.first == p.second;
                add_to_result(g, to + p.first, from + p.second + equal, run - equal, sums + y + equal);
            }
            p.first++, p.second = same ? p.first : 0;
        }
    }
}

static void gauss_task(void *context, long index, int thread)
{
    const struct gauss_newton *g = context;
    const struct gauss_task *task = &g->tasks[index];
    const struct gauss_block kind = gauss_block_of(g, task->l, task->m);
    const struct gauss_side inputs = inputs_of(g, task, kind), errors = errors_of(g, task, kind);
    const struct gauss_side of_left = kind.swapped ? errors : inputs, of_right = kind.swapped ? inputs : errors;
    const struct pair first = pair_at(task->left, of_left.same, of_left.n);
    double *sums = g->sums + task->sums;
    real *left = (real *)(g->scratch + thread * g->scratch_bytes), *right = left + GAUSS_LEFT * GAUSS_ROWS;
    const long last = min(g->stretch, g->n_blocks - g->first_block);
    for (long block = 0; block < last; block++) {
        const long rows = min(g->n - (g->first_block + block) * GAUSS_ROWS, GAUSS_ROWS);
        const real *numbers = numbers_of(g, block, 0);
        form_left(&of_left, first, task->n_left, numbers, rows, left);
        for (long y = 0, strip; y < task->n_right; y += strip) {
            const int narrow = task->n_right - y <= (GAUSS_VECTORS - 1) * LANES;
            strip = narrow ? LANES : GAUSS_VECTORS * LANES;
            form_right(&of_right, pair_at(task->right + y, of_right.same, of_right.n),
                       min(strip, task->n_right - y), numbers, rows, right, strip);
            multiply_strip(narrow ? gauss_columns : gauss_tiles, narrow ? GAUSS_TALLEST : GAUSS_TALL, task, rows,
                           left, right, strip, sums + y);
        }
    }
    if (g->first_block + last == g->n_blocks)
        scatter_task(g, task, kind, sums);
}

#endif
