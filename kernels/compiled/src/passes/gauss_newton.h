/* J^T J of a network, over rows of J that are never written down.

   A row of J has, for each layer, the outer product of what the layer is given and its error. So the
   block of J^T J between layers l and m is, over the rows n of a batch,

       sum of (a_l a_m^T) kron (D_l^T D_m),        D_l the errors of layer l, one row per output,

   a product of two thin matrices: pairs of inputs, and pairs of errors, which are summed over the
   outputs before anything else. Of a layer with itself only the pairs i <= j of either are needed: a
   quarter of the numbers instead of the half that a symmetric update of rank n takes, and several
   outputs cost what one does. (Of a layer with one output, pairs of errors are one number: there the
   products of inputs with the error are multiplied with each other.)

   A block of rows is kept twice, by rows and by columns, errors and inputs of each layer side by side.
   The left matrix is formed from columns, as columns: a tile broadcasts it. The right one is formed
   from rows, as rows: a vector of a row times one number of it, for so many rows at a time that a list
   of such steps costs nothing. Steps are in the order of their places; what runs over behind the pairs
   of one number the next step overwrites, so that pairs lie side by side, without gaps.

   Tiles are added up in double precision: in float32 a chain of additions has GAUSS_ROWS terms.

   A task is a part of one block of J^T J, over all rows in their order: the same bits for any number
   of threads. */
#ifndef FASTMLP_GAUSS_NEWTON_H
#define FASTMLP_GAUSS_NEWTON_H

#include "fastmlp.h"
#include "matrices/panels.h"
#include "matrices/tile_tables.h"
#include "vector/simd.h"
#include "work.h"

/* Numbers of a block of the present stretch. */
INLINE real *numbers_of(const struct gauss_newton *g, long block, long at)
{
    return (real *)g->blocks + block * g->block_numbers + at;
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

/* A block of rows: by rows, a vector of zeros behind each of them, and by columns. */
static void gauss_rows(void *context, long block, int thread)
{
    (void)thread;
    const struct gauss_newton *g = context;
    const long first = (g->first_block + block) * GAUSS_ROWS, rows = min(g->n - first, GAUSS_ROWS);
    const long deep = round_up(rows, max(LANES, GAUSS_GROUP));
    for (int l = 0; l < g->n_layers; l++) {
        const struct gauss_layer *layer = &g->layers[l];
        const long width = g->n_errors * layer->n_out, used = width + layer->n_in + 1;
        const char *errors = (const char *)((const real *)layer->errors + first * width);
        const char *inputs = layer->inputs.data + first * layer->inputs.row_stride;
        real *to = numbers_of(g, block, layer->rows), *columns = numbers_of(g, block, layer->columns);
        for (long r = 0; r < rows; r++, to += layer->row) {
            copy_numbers(errors + r * width * (long)sizeof(real), sizeof(real), width, to);
            copy_numbers(inputs + r * layer->inputs.row_stride, layer->inputs.column_stride, layer->n_in,
                     to + width);
            to[used - 1] = 1;
            store(to + used, (vec){0});
        }
        memset(to, 0, (size_t)((deep - rows) * layer->row) * sizeof(real));
        to = numbers_of(g, block, layer->rows);
        for (long r = 0; r < deep; r += LANES)
            for (long c = 0; c < used; c += LANES)
                transpose_square(to + r * layer->row + c, layer->row, columns + c * GAUSS_ROWS + r,
                                 GAUSS_ROWS);
    }
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

/* Left numbers of a task, columns of a block of rows: pairs of inputs, or inputs times the error. */
static void form_left(const struct gauss_newton *g, const struct gauss_task *task,
                      struct gauss_block kind, long block, long deep, real *to)
{
    const struct gauss_layer *l = &g->layers[task->l], *m = &g->layers[task->m];
    const real *first = numbers_of(g, block, l->columns) + g->n_errors * l->n_out * GAUSS_ROWS;
    const real *second = numbers_of(g, block, m->columns);
    const int same = kind.same && !kind.single;
    const long n = kind.single ? 1 : m->n_in + 1;
    if (!kind.single)
        second += g->n_errors * m->n_out * GAUSS_ROWS;
    struct pair p = pair_at(task->left, same, n);
    for (long i = 0; i < task->n_left; i++, p = next_pair(p, same, n), to += GAUSS_ROWS) {
        const real *x = first + p.first * GAUSS_ROWS, *y = second + p.second * GAUSS_ROWS;
        for (long r = 0; r < deep; r += LANES)
            store(to + r, load(x + r) * load(y + r));
    }
}

/* The right numbers from `to` on are number `single` of a row times the vector of numbers from
   `vector` on. */
struct right_step {
    long single, vector, to;
};

/* Right numbers: pairs of errors, or inputs times the error. `single` and `vector` are of rows of two
   layers, and stand once for each of `terms` errors. */
struct right_numbers {
    const struct gauss_layer *single, *vector;
    long row; /* from one row of them to the next: lines of an odd number spread over all sets of L1 */
    int n_steps;
    long terms, single_step, vector_step;
    struct right_step steps[GAUSS_RIGHT];
};

static void list_steps(const struct gauss_newton *g, const struct gauss_task *task,
                       struct gauss_block kind, struct right_numbers *right)
{
    const struct gauss_layer *l = &g->layers[task->l], *m = &g->layers[task->m];
    const int same = kind.same && !kind.single;
    right->single = kind.turned ? m : l, right->vector = kind.turned ? l : m;
    right->single_step = right->single->n_out, right->vector_step = right->vector->n_out;
    right->terms = g->n_errors;
    right->row = (((task->n_right + LANES - 2) / PANEL + 1) | 1) * PANEL; /* the last step may run over */
    right->n_steps = 0;
    const long n = kind.single ? l->n_in + 1 : right->vector->n_out, inputs = kind.single ? 1 : 0;
    struct pair p = pair_at(task->right, same, n);
    for (long at = 0; at < task->n_right; p.first++, p.second = same ? p.first : 0) {
        const long wide = min(n - p.second, task->n_right - at);
        for (long c = 0; c < wide; c += LANES)
            right->steps[right->n_steps++] = (struct right_step){
                p.first, p.second + c + inputs, at + c};
        at += wide;
    }
}

INLINE void form_right_terms(const struct gauss_newton *g, const struct right_numbers *right,
                             const long terms, long block, long rows, real *to)
{
    const real *single = numbers_of(g, block, right->single->rows);
    const real *vector = numbers_of(g, block, right->vector->rows);
    const long single_row = right->single->row, vector_row = right->vector->row, to_row = right->row;
    const struct right_step *end = right->steps + right->n_steps;
    for (long r = 0; r < rows; r += GAUSS_GROUP) {
        for (const struct right_step *step = right->steps; step < end; step++) {
            const real *x = single + step->single, *y = vector + step->vector;
            real *out = to + step->to;
            vec sum[GAUSS_GROUP];
            UNROLL for (int i = 0; i < GAUSS_GROUP; i++)
                sum[i] = SPLAT(x[i * single_row]) * load(y + i * vector_row);
            for (long k = 1; k < terms; k++) {
                x += right->single_step, y += right->vector_step;
                UNROLL for (int i = 0; i < GAUSS_GROUP; i++)
                    sum[i] = FMA(SPLAT(x[i * single_row]), load(y + i * vector_row), sum[i]);
            }
            UNROLL for (int i = 0; i < GAUSS_GROUP; i++)
                store(out + i * to_row, sum[i]);
        }
        single += GAUSS_GROUP * single_row, vector += GAUSS_GROUP * vector_row;
        to += GAUSS_GROUP * to_row;
    }
}
OUTLINE void form_right(const struct gauss_newton *g, const struct right_numbers *right, long block,
                        long rows, real *to)
{
    if (right->terms == 1)
        form_right_terms(g, right, 1, block, rows, to);
    else
        form_right_terms(g, right, right->terms, block, rows, to);
}

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
   or on it, or to their mirror images. */
INLINE void add_to_result(const struct gauss_newton *g, long p, long q, long n, const double *values)
{
    const long step = p <= q ? 1 : g->order;
    double *to = g->out + min(p, q) * g->order + max(p, q);
    if (step == 1)
        for (long i = 0; i < n; i++)
            to[i] += values[i];
    else
        for (long i = 0; i < n; i++)
            to[i * step] += values[i];
}

static void scatter_task(const struct gauss_newton *g, const struct gauss_task *task,
                         struct gauss_block kind, const double *sums)
{
    const struct gauss_layer *l = &g->layers[task->l], *m = &g->layers[task->m];
    const int same = kind.same && !kind.single;
    const long n = kind.single ? 1 : m->n_in + 1, width = kind.turned ? l->n_out : m->n_out;
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
    double *sums = g->sums + task->sums;
    real *left = (real *)(g->scratch + thread * g->scratch_bytes), *right = left + GAUSS_LEFT * GAUSS_ROWS;
    struct right_numbers of_right;
    list_steps(g, task, kind, &of_right);
    const long vectors = (task->n_right + LANES - 1) / LANES;
    const long last = min(g->stretch, g->n_blocks - g->first_block);
    for (long block = 0; block < last; block++) {
        const long rows = min(g->n - (g->first_block + block) * GAUSS_ROWS, GAUSS_ROWS);
        form_left(g, task, kind, block, round_up(rows, LANES), left);
        form_right(g, &of_right, block, rows, right);
        long v = 0;
        for (; v + GAUSS_VECTORS <= vectors; v += GAUSS_VECTORS)
            multiply_strip(gauss_tiles, GAUSS_TALL, task, rows, left, right + v * LANES, of_right.row,
                           sums + v * LANES);
        for (; v < vectors; v++)
            multiply_strip(gauss_columns, GAUSS_TALLEST, task, rows, left, right + v * LANES, of_right.row,
                           sums + v * LANES);
    }
    if (g->first_block + last == g->n_blocks)
        scatter_task(g, task, kind, sums);
}

#endif
