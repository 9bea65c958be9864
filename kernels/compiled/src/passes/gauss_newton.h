/* J^T J of a network, over rows of J that are never written down.

   A row of J has, for each layer, the outer product of what the layer is given and its error. So the
   block of J^T J between layers l and m is, over the rows n of a batch,

       sum of (a_l a_m^T) kron (D_l^T D_m),        D_l the errors of layer l, one row per output,

   a product of two thin matrices: pairs of inputs, and pairs of errors, which are summed over the
   outputs before anything else. Of a layer with itself only the pairs i <= j of either are needed: a
   quarter of the numbers instead of the half that a symmetric update of rank n takes, and several
   outputs cost what one does.

   Columns hold a block of rows each, one row after the other, so that pairs are products of vectors.
   The pairs of errors of a task are then transposed into panels, whose rows a tile of the product
   reads; it broadcasts pairs of inputs. A few leftover pairs of errors stay columns: their tiles hold
   a part of the rows in each lane, and fill no panel with zeros.

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

INLINE const real *column_at(const struct gauss_newton *g, long block, long column)
{
    return (const real *)g->columns + (block * g->n_columns + column) * GAUSS_ROWS;
}

/* The columns of a block of rows, zero behind the last one. */
static void gauss_columns(void *context, long block, int thread)
{
    (void)thread;
    const struct gauss_newton *g = context;
    const long first = block * GAUSS_ROWS, rows = min(g->n - first, GAUSS_ROWS);
    for (int l = 0; l < g->n_layers; l++) {
        const struct gauss_layer *layer = &g->layers[l];
        real *a = (real *)column_at(g, block, layer->a), *d = (real *)column_at(g, block, layer->d);
        const long width = g->n_errors * layer->n_out;
        memset(a, 0, (size_t)((layer->n_in + 1) * GAUSS_ROWS) * sizeof(real));
        memset(d, 0, (size_t)(width * GAUSS_ROWS) * sizeof(real));
        for (long from = 0; from < rows; from += LANES) { /* a few rows: their lines stay in L1 */
            const long to = min(from + LANES, rows);
            for (long i = 0; i < layer->n_in; i++)
                for (long r = from; r < to; r++)
                    a[i * GAUSS_ROWS + r] =
                        *(const real *)(layer->inputs.data + (first + r) * layer->inputs.row_stride +
                                        i * layer->inputs.column_stride);
            for (long r = from; r < to; r++)
                a[layer->n_in * GAUSS_ROWS + r] = 1;
            const real *errors = (const real *)layer->errors + first * width;
            for (long j = 0; j < width; j++)
                for (long r = from; r < to; r++)
                    d[j * GAUSS_ROWS + r] = errors[r * width + j];
        }
    }
}

/* Pairs (i, j) of two sets, in the order of i; of one set with itself those with i <= j. */
struct pair {
    long i, j;
};
INLINE struct pair next_pair(struct pair p, int same, long n)
{
    return p.j + 1 < n ? (struct pair){p.i, p.j + 1} : (struct pair){p.i + 1, same ? p.i + 1 : 0};
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

/* out = the sum over `terms` of x y, for terms `step` apart. */
INLINE void multiply_columns(const real *x, long x_step, const real *y, long y_step, long terms,
                             long deep, real *restrict out)
{
    for (long r = 0; r < deep; r += LANES)
        store(out + r, load(x + r) * load(y + r));
    for (long k = 1; k < terms; k++) {
        x += x_step, y += y_step;
        for (long r = 0; r < deep; r += LANES)
            store(out + r, FMA(load(x + r), load(y + r), load(out + r)));
    }
}

/* Pairs of errors of a tile; and so few of either kind that they stay columns. */
enum { GAUSS_WIDE = TILE_PANELS * PANEL, GAUSS_THIN = 2, GAUSS_THIN_LEFT = 3 };

/* Add x^T y to c, for some columns of x and TILE_PANELS panels of y, which lie one after the other. */
INLINE void gauss_tile(const int features, long rows, const real *x, const real *y, double *c)
{
    vec sum[TILE_FEATURES][TILE_PANELS * VECTORS];
    UNROLL for (int i = 0; i < features; i++)
        UNROLL for (int v = 0; v < TILE_PANELS * VECTORS; v++)
            sum[i][v] = (vec){0};
    const real *next = x + features * GAUSS_ROWS;
    INNER_LOOP for (long r = 0; r < rows; r++, y += PANEL) {
        vec right[TILE_PANELS * VECTORS];
        UNROLL for (int v = 0; v < TILE_PANELS * VECTORS; v++)
            right[v] = load(y + (v / VECTORS) * (GAUSS_ROWS * PANEL) + (v % VECTORS) * LANES);
        __builtin_prefetch(next + r * PANEL, 0, 3);
        UNROLL for (int i = 0; i < features; i++) {
            const vec left = SPLAT(x[i * GAUSS_ROWS + r]);
            UNROLL for (int v = 0; v < TILE_PANELS * VECTORS; v++)
                sum[i][v] = FMA(left, right[v], sum[i][v]);
        }
    }
    real part[GAUSS_WIDE] __attribute__((aligned(64)));
    UNROLL for (int i = 0; i < features; i++) {
        UNROLL for (int v = 0; v < TILE_PANELS * VECTORS; v++)
            store(part + v * LANES, sum[i][v]);
        for (int j = 0; j < GAUSS_WIDE; j++)
            c[i * GAUSS_RIGHT + j] += (double)part[j];
    }
}
typedef void gauss_tile_function(long rows, const real *x, const real *y, double *c);
#define GAUSS_TILE(F)                                                                              \
    OUTLINE void gauss_tile_##F(long rows, const real *x, const real *y, double *c)                \
    {                                                                                              \
        gauss_tile(F < TILE_FEATURES ? F : TILE_FEATURES, rows, x, y, c);                          \
    }
GAUSS_TILE(1)
GAUSS_TILE(2)
GAUSS_TILE(3)
GAUSS_TILE(4)
GAUSS_TILE(5)
GAUSS_TILE(6)
GAUSS_TILE(7)
GAUSS_TILE(8)
#undef GAUSS_TILE
static gauss_tile_function *const gauss_tiles[] = {gauss_tile_1, gauss_tile_2, gauss_tile_3,
                                                   gauss_tile_4, gauss_tile_5, gauss_tile_6,
                                                   gauss_tile_7, gauss_tile_8};

/* The same for columns of y, so many that 12 sums are in registers; element (i, j) of c is at
   c[i * x_step + j * y_step]. */
INLINE void thin_tile(const int features, const int thin, long rows, const real *x, const real *y,
                      double *c, long x_step, long y_step)
{
    vec sum[12];
    UNROLL for (int t = 0; t < 12; t++)
        sum[t] = (vec){0};
    INNER_LOOP for (long r = 0; r < rows; r += LANES) {
        vec right[3];
        UNROLL for (int j = 0; j < thin; j++)
            right[j] = load(y + j * GAUSS_ROWS + r);
        UNROLL for (int i = 0; i < features; i++) {
            const vec left = load(x + i * GAUSS_ROWS + r);
            UNROLL for (int j = 0; j < thin; j++)
                sum[i * thin + j] = FMA(left, right[j], sum[i * thin + j]);
        }
    }
    UNROLL for (int i = 0; i < features; i++)
        UNROLL for (int j = 0; j < thin; j++) {
            double total = 0;
            UNROLL for (int lane = 0; lane < LANES; lane++)
                total += (double)sum[i * thin + j][lane];
            c[i * x_step + j * y_step] += total;
        }
}
OUTLINE void thin_tile_1(long rows, const real *x, const real *y, double *c)
{
    thin_tile(12, 1, rows, x, y, c, GAUSS_RIGHT, 1);
}
OUTLINE void thin_tile_2(long rows, const real *x, const real *y, double *c)
{
    thin_tile(6, 2, rows, x, y, c, GAUSS_RIGHT, 1);
}
/* x is pairs of errors here. */
OUTLINE void thin_tile_3(long rows, const real *x, const real *y, double *c)
{
    thin_tile(4, GAUSS_THIN_LEFT, rows, x, y, c, 1, GAUSS_RIGHT);
}

/* Element (p, q) of the result and its mirror image. */
INLINE void add_to_result(const struct gauss_newton *g, long p, long q, double value)
{
    g->out[p * g->order + q] += value;
    if (p != q)
        g->out[q * g->order + p] += value;
}

/* Place of a parameter: weights row by row, then the bias as that of an input that is always 1. */
INLINE long place_of(const struct gauss_layer *layer, long i, long j)
{
    return i < layer->n_in ? layer->weights + i * layer->n_out + j : layer->bias + j;
}

static void scatter_task(const struct gauss_newton *g, const struct gauss_task *task, const double *c)
{
    const struct gauss_layer *l = &g->layers[task->l], *m = &g->layers[task->m];
    const int same = task->l == task->m;
    struct pair q = pair_at(task->left, same, m->n_in + 1);
    for (long x = 0; x < task->n_left; x++, q = next_pair(q, same, m->n_in + 1)) {
        struct pair p = pair_at(task->right, same, m->n_out);
        for (long y = 0; y < task->n_right; y++, p = next_pair(p, same, m->n_out)) {
            const double value = c[x * GAUSS_RIGHT + y];
            add_to_result(g, place_of(l, q.i, p.i), place_of(m, q.j, p.j), value);
            /* The other pair of (i, j) and (j, i) that these four numbers stand for. */
            if (same && q.i != q.j && p.i != p.j)
                add_to_result(g, place_of(l, q.i, p.j), place_of(m, q.j, p.i), value);
        }
    }
}

/* Some pairs of errors of a block of rows, times all pairs of inputs of a task. */
static void multiply_pairs(const real *left, long n_left, real *pairs, real *panels, long wide,
                           long rows, double *c)
{
    const long deep = round_up(rows, LANES);
    if (wide <= GAUSS_THIN) {
        const long tall = 12 / wide;
        for (long x = 0; x < n_left; x += tall)
            (wide == 1 ? thin_tile_1 : thin_tile_2)(deep, left + x * GAUSS_ROWS, pairs,
                                                    c + x * GAUSS_RIGHT);
        return;
    }
    if (n_left <= GAUSS_THIN_LEFT) {
        for (long j = 0; j < wide; j += 4)
            thin_tile_3(deep, pairs + j * GAUSS_ROWS, left, c + j);
        return;
    }
    for (long j = 0; j < GAUSS_WIDE; j += LANES)
        for (long r = 0; r < deep; r += LANES)
            transpose_square(pairs + j * GAUSS_ROWS + r, GAUSS_ROWS,
                             panels + j / PANEL * (GAUSS_ROWS * PANEL) + r * PANEL + j % PANEL, PANEL);
    const struct parts parts = parts_of(n_left, TILE_FEATURES);
    for (long x = 0, t = 0, part; x < n_left; x += part, t++) {
        part = part_at(parts, t);
        gauss_tiles[part - 1](rows, left + x * GAUSS_ROWS, panels, c + x * GAUSS_RIGHT);
    }
}

static void gauss_task(void *context, long index, int thread)
{
    const struct gauss_newton *g = context;
    const struct gauss_task *task = &g->tasks[index];
    const struct gauss_layer *l = &g->layers[task->l], *m = &g->layers[task->m];
    const int same = task->l == task->m;
    double *c = (double *)(g->scratch + thread * g->scratch_bytes);
    real *left = (real *)(c + GAUSS_LEFT * GAUSS_RIGHT), *pairs = left + GAUSS_LEFT * GAUSS_ROWS;
    real *panels = pairs + GAUSS_WIDE * GAUSS_ROWS;
    memset(c, 0, GAUSS_LEFT * GAUSS_RIGHT * sizeof(double));
    memset(left + task->n_left * GAUSS_ROWS, 0, /* of the last tile of columns */
           (size_t)((round_up(task->n_left, 12) - task->n_left) * GAUSS_ROWS) * sizeof(real));
    for (long block = 0; block < g->n_blocks; block++) {
        const long rows = min(g->n - block * GAUSS_ROWS, GAUSS_ROWS), deep = round_up(rows, LANES);
        struct pair q = pair_at(task->left, same, m->n_in + 1);
        for (long x = 0; x < task->n_left; x++, q = next_pair(q, same, m->n_in + 1))
            multiply_columns(column_at(g, block, l->a + q.i), 0, column_at(g, block, m->a + q.j), 0, 1,
                             deep, left + x * GAUSS_ROWS);
        struct pair p = pair_at(task->right, same, m->n_out);
        for (long y = 0, wide; y < task->n_right; y += wide) {
            wide = min(task->n_right - y, GAUSS_WIDE);
            for (long j = 0; j < wide; j++, p = next_pair(p, same, m->n_out))
                multiply_columns(column_at(g, block, l->d + p.i), l->n_out * GAUSS_ROWS,
                                 column_at(g, block, m->d + p.j), m->n_out * GAUSS_ROWS, g->n_errors,
                                 deep, pairs + j * GAUSS_ROWS);
            for (long j = wide; wide > GAUSS_THIN && j < GAUSS_WIDE; j++)
                memset(pairs + j * GAUSS_ROWS, 0, (size_t)deep * sizeof(real));
            multiply_pairs(left, task->n_left, pairs, panels, wide, rows, c + y);
        }
    }
    scatter_task(g, task, c);
}

#endif
