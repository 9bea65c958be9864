/* The tiles of a weight task: the gradient of some panels of one weight matrix by a range of features,
   over all rows of the pass. Where the update needs nothing else, the tiles descend at once.

        features of task     whose memory                            alive
        f ..... f + 63
   rows +-------------+      activations a of the layer below,       written by the rows pass, read by all
        | a   block 0 |      shared by the tasks of a layer          tasks, until the next rows pass
        |-------------|
        |     block 1 |      errors delta of the layer, shared       the same
        +-------------+      by the tasks of its features
               x
   delta, some panels        one tile: a few features x panels       in registers for one block of rows
               |
        +------+------+      c, the gradient of the task             - thread's scratch: until the task
        | c: features |        with one pass, in the thread's          has updated its weights
        |    x panels |        scratch or in arena.gradient          - arena.gradient: until the next step
        +-------------+        (kept for clipping, or wanted);
                               with several passes always in         - arena.gradient + arena.rest: from
                               scratch, then added to arena.gradient   the first to the last pass
        weights, states      of the task alone: no other thread      for ever; updated by the last pass
                             touches them in this pass

   A block is a block of rows (chain_block): each of its tiles reads c, adds its chain, and stores c. The
   last block's tiles descend instead of storing, or leave c to the update of the whole task. */
#ifndef FASTMLP_GRADIENTS_H
#define FASTMLP_GRADIENTS_H

#include "fastmlp.h"
#include "matrices/products.h"
#include "passes/prefetch.h"
#include "passes/tasks.h"
#include "matrices/panels.h"
#include "passes/sparse.h"
#include "formulas/penalties.h"
#include "formulas/update_rules.h"
#include "matrices/tile_tables.h"
#include "work.h"

/* The rows of a pass that a gradient is the sum of. */
struct rows {
    long first, n;
};

/* The gradient of a narrow task's whole panels of features, as delta^T a: the task's columns are then
   the rows of the tiles, which need no padding. Every element is the same sum as in the other loop.
   Returns how many features are done. */
OUTLINE long narrow_loop(const struct engine *e, const struct weight_task *task,
                         const struct rows rows, const struct task_gradient *g, struct share *share)
{
    enum { BLOCK = PANEL * PANEL };
    const struct layer *layer = &e->design.layers[task->layer];
    const long features = (task->last - task->first) / PANEL * PANEL, panel = e->design.batch_panel;
    const real *a = (const real *)(task->layer ? e->design.layers[task->layer - 1].output : e->arena.input) +
                    rows.first * PANEL;
    const real *delta = (const real *)layer->delta + task->panel * panel + rows.first * PANEL;
    const long block = chain_block(rows.n);
    const struct runs runs = runs_of(e, task);
    struct coming coming = {0};
    struct gradient_call call = {.d_panel = panel, .c_panel = BLOCK, .coming = (const char *)a};
    real c[TILE_PANELS * BLOCK] __attribute__((aligned(64))); /* panels of a few features, transposed */
    if (e->pass.finish && !e->pass.shards)
        coming = coming_update(e, &runs, min(rows.n, block));
    for (long f = 0, wide; f < features; f += wide * PANEL) {
        wide = min((features - f) / PANEL, TILE_PANELS);
        gradient_tile *const *tiles = gradient_tiles[wide - 1];
        const real *a_f = a + (task->first + f) / PANEL * panel;
        for (long p = 0; p < task->panels; p++) {
            real *to = g->weights + p * g->panel + f * PANEL;
            const long columns = min(columns_of(e, task) - p * PANEL, PANEL);
            const struct parts parts = parts_of(columns, TILE_FEATURES);
            for (long i = 0; i < wide * BLOCK; i += LANES)
                store(c + i, (vec){0});
            for (long k = 0; k < rows.n; k += block) {
                const long deep = min(rows.n - k, block);
                const real *d = delta + p * panel + k * PANEL, *a_k = a_f + k * PANEL;
                for (long q = 0; p == 0 && q < wide; q++)
                    prefetch_rows(share);
                for (long i = 0, t = 0, part; i < columns; i += part, t++) {
                    part = part_at(parts, t);
                    prefetch_next(&coming, &call);
                    call.accumulate = k > 0;
                    tiles[part - 1](deep, d + i, a_k, c + i * PANEL, &call);
                }
            }
            for (long q = 0; q < wide; q++)
                transpose_block(c + q * BLOCK, PANEL, to + q * BLOCK, PANEL);
        }
    }
    return features;
}

/* The descent of a tile whose squared weights overflow: step by step, with their sum in double precision,
   which is returned. */
OUTLINE double descend_apart(const struct engine *e, long panels, long deep, const real *a,
                             const real *d, int accumulate, long features, real *c,
                             long c_panel, real *w, long w_panel)
{
    double penalty = 0;
    const struct gradient_call call = {e->design.batch_panel, c_panel, accumulate, (const char *)a, 0};
    gradient_tiles[panels - 1][features - 1](deep, a, d, c, &call);
    for (long p = 0; p < panels; p++) {
        penalty += penalise_run(e->pass.l2, 0, w + p * w_panel, c + p * c_panel, features * PANEL);
        update_run(&e->pass.update, w + p * w_panel, c + p * c_panel, e->arena.state, 0, features * PANEL);
    }
    return penalty / (0.5 * e->pass.l2);
}

/* Add a pass's gradient to those of the batch's earlier passes. */
OUTLINE void add_pass(const struct engine *e, long at, const real *g, long n)
{
    real *sum = (real *)e->arena.gradient + at, *rest = (real *)e->arena.rest + at;
    for (long i = 0; i < n; i += LANES) {
        vec total = load(g + i), lost = {0};
        if (e->pass.accumulate) {
            lost = load(rest + i);
            total = sum_with_rest(load(sum + i), total, &lost);
        }
        store(rest + i, lost);
        store(sum + i, e->pass.finish ? total + lost : total);
    }
}

/* A set of columns that one tile computes: `n` vectors from vector `first` of a group's panels. Sets of
   three vectors are the better ones; the rest goes in panels. */
struct columns_of_tile {
    long first, n;
};

INLINE struct columns_of_tile next_columns(long first, long vectors, int triples)
{
    const long left = vectors - first;
    if (triples && left >= 3 && left != 4)
        return (struct columns_of_tile){first, 3};
    return (struct columns_of_tile){first, left >= 2 * VECTORS && TILE_PANELS == 2 ? 2 * VECTORS
                                                                                  : min(left, VECTORS)};
}

/* Parts of a panel of features, mostly a whole one, without a division. */
INLINE struct parts feature_parts(long features, const long limit)
{
    return features == PANEL ? parts_of(PANEL, limit) : parts_of(features, limit);
}

/* The gradient of a group by a panel of features (or fewer) and a set of columns, over one block of rows. */
struct strip {
    const real *a, *d;            /* rows of activations and errors, of the set's first panel */
    const real *next_a, *next_d;  /* what descent prefetches */
    long rows, features;
    int accumulate;
};

static void gradient_strip(const struct strip *s, struct columns_of_tile columns, struct coming *coming,
                           struct gradient_call *call, real *c)
{
    gradient_tile *const *tiles = columns.n < VECTORS ? gradient_halves : gradient_tiles[columns.n / VECTORS - 1];
    struct parts parts = feature_parts(s->features, TILE_FEATURES);
#ifdef TRIPLE_FEATURES
    if (columns.n == 3) {
        tiles = triple_gradients[columns.first % VECTORS];
        parts = feature_parts(s->features, TRIPLE_FEATURES);
    }
#endif
    for (long i = 0, t = 0, part; i < s->features; i += part, t++) {
        part = part_at(parts, t);
        prefetch_next(coming, call);
        tiles[part - 1](s->rows, s->a + i, s->d, c + i * PANEL, call);
    }
}

#if TILE_FEATURES >= 6
INLINE step_tiles *steps_of(struct columns_of_tile columns)
{
#ifdef TRIPLE_FEATURES
    if (columns.n == 3)
        return columns.first % VECTORS ? step_1x3v1 : step_1x3v0;
#endif
#if VECTOR_BYTES < 64
    if (columns.n < VECTORS)
        return step_1x1h;
#endif
#if TILE_PANELS == 2
    if (columns.n == 2 * VECTORS)
        return step_1x2;
#endif
    return step_1x1;
}
#endif

/* The same with a step of descent. Returns the sum of squared weights where that has needed them, else 0. */
static double descent_strip(const struct engine *e, const struct strip *s, struct columns_of_tile columns,
                            const struct descent *by, real *c, real *w)
{
#if TILE_FEATURES >= 6
    if (LIKELY(s->features == PANEL && !s->accumulate && by->l2 == 0)) {
        steps_of(columns)(s->rows, s->a, s->d, s->next_a, w, by);
        return 0;
    }
#endif
    descent_tile *const *tiles = columns.n < VECTORS ? descent_halves : descent_tiles[columns.n / VECTORS - 1];
    struct parts parts = feature_parts(s->features, TILE_FEATURES);
#ifdef TRIPLE_FEATURES
    if (columns.n == 3) {
        tiles = triple_descents[columns.first % VECTORS];
        parts = feature_parts(s->features, TRIPLE_FEATURES);
    }
#endif
    const real *next = s->next_a;
    double squares = 0;
    for (long i = 0, t = 0, part; i < s->features; i += part, t++) {
        part = part_at(parts, t);
        real *c_i = c + i * PANEL, *w_i = w + i * PANEL;
        const double here = tiles[part - 1](s->rows, s->a + i, s->d, next, s->accumulate ? c_i : NULL, w_i, by);
        squares += isfinite(here) ? here
                                  : descend_apart(e, max(columns.n / VECTORS, 1), s->rows, s->a + i, s->d,
                                                  s->accumulate, part, c_i, by->init_panel, w_i, by->w_panel);
        next = s->next_d;
    }
    return squares;
}

/* The gradient of a group of tasks over some rows, `wide` being all of it as one task, is left in `g`, or, with
   `descend`, the last pass of a batch descends along it; then `squares` of each task are the sum of its squared
   weights where that has needed them, else 0. */
static void gradient_loop(const struct engine *e, long index, const struct weight_task *wide, const struct rows rows,
                          const struct task_gradient *g, int descend, double *squares)
{
    const struct layer *layer = &e->design.layers[wide->layer];
    const long features = wide->last - wide->first, panel = e->design.batch_panel;
    const real *a = (const real *)(wide->layer ? e->design.layers[wide->layer - 1].output : e->arena.input) +
                    rows.first * PANEL;
    const real *delta = (const real *)layer->delta + wide->panel * panel + rows.first * PANEL;
    const struct runs runs = runs_of(e, wide);
    const struct descent by = {e->pass.update.rate, e->pass.l2, panel, g->panel, runs.step};
    const long block = chain_block(rows.n), vectors = vectors_of(columns_of(e, wide));
    const int triples = TILE_VECTORS == 3 && !(descend && e->pass.l2 != 0); /* squares are of tasks */
    const long turns = blocks_of(features, PANEL) * blocks_of(vectors, TILE_VECTORS);
    struct share share = share_of(e, index, turns, block);
    const long done = is_narrow(e, wide, rows.n) ? narrow_loop(e, wide, rows, g, &share) : 0;
    struct coming coming = {0};
    struct gradient_call call = {.d_panel = panel, .c_panel = g->panel, .coming = (const char *)a};
    long k = 0;
    do { /* once even for no rows: their gradient is zero */
        const int last = k + block >= rows.n;
        struct strip s = {.rows = min(rows.n - k, block), .accumulate = k > 0};
        call.accumulate = k > 0;
        if (last && e->pass.finish && !descend && !e->pass.shards)
            coming = coming_update(e, &runs, s.rows);
        for (struct columns_of_tile columns = next_columns(0, vectors, triples); columns.n > 0;
             columns = next_columns(columns.first + columns.n, vectors, triples)) {
            const long p = columns.first / VECTORS, next_p = (columns.first + columns.n) / VECTORS;
            const real *a_k = a + wide->first / PANEL * panel + k * PANEL;
            s.d = s.next_d = delta + p * panel + k * PANEL;
            for (long f = done; f < features; f += PANEL) {
                prefetch_rows(&share);
                /* Where they descend, the first tile of a panel of features prefetches the next panel; with the
                   last one the others prefetch the errors of the next columns or block of rows. */
                s.a = a_k + f / PANEL * panel;
                s.next_a = s.a + panel;
                s.features = min(features - f, PANEL);
                if (f + PANEL >= features) {
                    s.next_a = next_p < wide->panels || last ? a_k : a_k + block * PANEL;
                    s.next_d = next_p < wide->panels ? delta + next_p * panel + k * PANEL
                                                     : delta + (last ? 0 : k + block) * PANEL;
                }
                real *c = g->weights + p * g->panel + f * PANEL;
                if (descend && last)
                    squares[p / TILE_PANELS] += descent_strip(
                        e, &s, columns, &by, c,
                        (real *)e->arena.parameters + runs.at + p * runs.step + f * PANEL);
                else
                    gradient_strip(&s, columns, &coming, &call, c);
            }
        }
    } while ((k += block) < rows.n);
}

/* Sum of the rows of one panel: blocks as of the tiles, each as four chains of every fourth row. */
static void sum_rows(const real *d, long rows, real *to)
{
    const long block = chain_block(rows);
    for (int v = 0; v < VECTORS; v++, d += LANES, to += LANES) {
        vec total = {0};
        for (long first = 0; first < rows; first += block) {
            const long end = min(first + block, rows);
            vec sum[4] = {{0}, {0}, {0}, {0}};
            long r = first;
            for (; r + 4 <= end; r += 4)
                UNROLL for (int i = 0; i < 4; i++)
                    sum[i] += load(d + (r + i) * PANEL);
            for (; r < end; r++)
                sum[0] += load(d + r * PANEL);
            const vec here = (sum[0] + sum[1]) + (sum[2] + sum[3]);
            total = first ? total + here : here;
        }
        store(to, total);
    }
}

/* The gradient of the biases of some panels of a layer. */
static void bias_gradient(const struct engine *e, const struct layer *layer, long first, long panels,
                          const struct rows rows, real *g)
{
    const real *delta = (const real *)layer->delta + first * e->design.batch_panel + rows.first * PANEL;
    for (long p = 0; p < panels; p++)
        sum_rows(delta + p * e->design.batch_panel, rows.n, g + p * PANEL);
}

#endif
