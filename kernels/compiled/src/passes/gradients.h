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

   A block is a block of rows (depth_block): each of its tiles reads c, adds its chain, and stores c. The
   last block's tiles descend instead of storing, or leave c to the update of the whole task. */
#ifndef FASTMLP_GRADIENTS_H
#define FASTMLP_GRADIENTS_H

#include "fastmlp.h"
#include "matrices/products.h"
#include "passes/prefetch.h"
#include "matrices/panels.h"
#include "passes/sparse.h"
#include "formulas/penalties.h"
#include "formulas/update_rules.h"
#include "matrices/tiles.h"
#include "work.h"

enum {
    TASK_FEATURES = 64,   /* of a weight task: its gradient stays in L1 */
    NARROW_PADDING = 256, /* padding a panel, times rows, that costs as much as to transpose it */
};

/* Where the weights of a task are: `n` runs of `length` elements, `step` apart. */
struct runs {
    long at, n, length, step;
};

static struct runs runs_of(const struct engine *e, const struct weight_task *task)
{
    const struct layer *layer = &e->design.layers[task->layer];
    const long features = task->last - task->first;
    if (e->design.sparse && task->layer == 0) {
        const long width = weight_row(&e->design, 0);
        return (struct runs){layer->weights + task->first * width, 1, features * width, 0};
    }
    const long panel = layer->in_rows * PANEL;
    return (struct runs){layer->weights + task->panel * panel + task->first * PANEL, task->panels,
                         features * PANEL, panel};
}

/* Where a pass's gradient of a task goes: into the parameters' layout where it outlives the task and is
   complete. */
struct task_gradient {
    real *weights, *bias;
    long panel; /* elements from panel to panel of the weights */
};

static struct task_gradient gradient_of(const struct engine *e, const struct weight_task *task,
                                        int thread)
{
    const struct layer *layer = &e->design.layers[task->layer];
    struct task_gradient g = {.panel = TASK_FEATURES * PANEL};
    if (e->arena.gradient && !e->arena.rest) {
        g.panel = layer->in_rows * PANEL;
        g.weights = (real *)e->arena.gradient + layer->weights + task->panel * g.panel + task->first * PANEL;
        g.bias = (real *)e->arena.gradient + layer->bias + task->panel * PANEL;
    } else {
        g.weights = (real *)(e->arena.scratch + thread * e->arena.scratch_bytes);
        g.bias = g.weights + TILE_PANELS * g.panel;
    }
    return g;
}

/* What tile `t` of a task prefetches: one of the runs that the update goes over, of the weights and of
   each state, while there is one left. */
INLINE struct prefetch prefetch_of(const struct engine *e, const struct runs *runs, long t, long rows,
                             const real *next)
{
    const long store = t / runs->n, run = t % runs->n;
    const real *at = store == 0 ? e->arena.parameters : store <= MAX_STATES ? e->arena.state[store - 1] : NULL;
    if (at == NULL)
        return prefetch_tiles(next);
    const long bytes = runs->length * (long)sizeof(real);
    return (struct prefetch){next, (const char *)(at + runs->at + run * runs->step),
                          min(2 * LINE, bytes / max(rows, 1))};
}

/* Columns of a task that are not padding. */
static long columns_of(const struct engine *e, const struct weight_task *task)
{
    return min(task->panels * PANEL, e->design.layers[task->layer].n_out - task->panel * PANEL);
}

/* Whether multiplying a task's padding would cost more than transposing its gradient. */
static int is_narrow(const struct engine *e, const struct weight_task *task)
{
    const long padding = task->panels * PANEL - columns_of(e, task);
    return padding * e->pass.n_rows >= NARROW_PADDING * task->panels && task->last - task->first >= PANEL;
}

/* Whether the update needs nothing but each tile's own gradient and weights. */
static int descends_in_tiles(const struct engine *e, const struct weight_task *task)
{
    return e->arena.rest == NULL && e->pass.update.rule == UPDATE_sgd && e->pass.update.decay == 0 && e->pass.l1 == 0 &&
           !e->design.with_norm && e->design.clip_value <= 0 && !is_narrow(e, task);
}

/* The gradient of a narrow task's whole panels of features, as delta^T a: the task's columns are then
   the rows of the tiles, which need no padding. Every element is the same sum as in the other loop.
   Returns how many features are done. */
OUTLINE long narrow_loop(const struct engine *e, const struct weight_task *task,
                         const struct task_gradient *g, struct share *share)
{
    enum { BLOCK = PANEL * PANEL };
    const struct layer *layer = &e->design.layers[task->layer];
    const long features = (task->last - task->first) / PANEL * PANEL, panel = e->design.batch_panel;
    const real *a = task->layer ? e->design.layers[task->layer - 1].output : e->arena.input;
    const real *delta = (const real *)layer->delta + task->panel * panel;
    const long block = depth_block(e->pass.n_rows);
    const struct runs runs = runs_of(e, task);
    real c[TILE_PANELS * BLOCK] __attribute__((aligned(64))); /* panels of a few features, transposed */
    for (long f = 0, wide, tile = 0; f < features; f += wide * PANEL) {
        wide = min((features - f) / PANEL, TILE_PANELS);
        gradient_tile *const *tiles = gradient_tiles[wide - 1];
        const real *a_f = a + (task->first + f) / PANEL * panel;
        for (long p = 0; p < task->panels; p++) {
            real *to = g->weights + p * g->panel + f * PANEL;
            const long columns = min(columns_of(e, task) - p * PANEL, PANEL);
            const struct parts parts = parts_of(columns, TILE_FEATURES);
            for (long i = 0; i < wide * BLOCK; i += LANES)
                store(c + i, (vec){0});
            for (long k = 0; k < e->pass.n_rows; k += block) {
                const long deep = min(e->pass.n_rows - k, block);
                const real *d = delta + p * panel + k * PANEL, *a_k = a_f + k * PANEL;
                for (long q = 0; p == 0 && q < wide; q++)
                    prefetch_rows(share);
                for (long i = 0, t = 0, part; i < columns; i += part, t++) {
                    part = part_at(parts, t);
                    const real *next = a_k + (wide + t % wide) * panel;
                    tiles[part - 1](deep, d + i, a_k, panel, k > 0,
                                    e->pass.finish ? prefetch_of(e, &runs, tile++, deep, next)
                                              : prefetch_tiles(next),
                                    c + i * PANEL, BLOCK);
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
OUTLINE double descend_apart(const struct engine *e, const struct weight_task *task, long deep,
                             const real *a, const real *d, int accumulate, long features, real *c,
                             long c_panel, real *w, long w_panel)
{
    double penalty = 0;
    gradient_tiles[task->panels - 1][features - 1](deep, a, d, e->design.batch_panel, accumulate,
                                                   prefetch_tiles(a), c, c_panel);
    for (int p = 0; p < task->panels; p++) {
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

/* The gradient is left in `g`, or, with `descend`, the last pass of a batch descends along it. Returns
   the sum of squared weights where descending has needed them, else 0. */
static double gradient_loop(const struct engine *e, long index, const struct task_gradient *g,
                            int descend)
{
    const struct weight_task *task = &e->arena.tasks[index];
    const struct layer *layer = &e->design.layers[task->layer];
    const long features = task->last - task->first, panel = e->design.batch_panel;
    const real *a = task->layer ? e->design.layers[task->layer - 1].output : e->arena.input;
    const real *delta = (const real *)layer->delta + task->panel * panel;
    const struct runs runs = runs_of(e, task);
    const struct descent by = {e->pass.update.rate, e->pass.l2, panel, g->panel, runs.step};
    descent_tile *const *descents = descent_tiles[task->panels - 1];
    gradient_tile *const *gradients = gradient_tiles[task->panels - 1];
    const long block = depth_block(e->pass.n_rows);
    const long turns = blocks_of(features, PANEL) * blocks_of(e->pass.n_rows, block);
    struct share share = share_of(e, index, max(turns, 1));
    const long done = is_narrow(e, task) ? narrow_loop(e, task, g, &share) : 0;
    double squares = 0;
    long k = 0, tile = 0;
    do { /* once even for no rows: their gradient is zero */
        const long deep = min(e->pass.n_rows - k, block);
        const int last = k + block >= e->pass.n_rows, accumulate = k > 0;
        const real *d = delta + k * PANEL, *next_d = last ? delta : d + block * PANEL;
        for (long f = done; f < features; f += PANEL) {
            const real *a_f = a + (task->first + f) / PANEL * panel + k * PANEL;
            const struct parts parts = parts_of(min(features - f, PANEL), TILE_FEATURES);
            prefetch_rows(&share);
            /* The first tile of a panel of features prefetches the next panel, another one the
               errors of the next block of rows. */
            const real *next = a_f + panel;
            for (long i = 0, t = 0, part; i < PANEL && f + i < features; i += part, t++) {
                part = part_at(parts, t);
                real *c = g->weights + (f + i) * PANEL;
                if (descend && last) {
                    real *w = (real *)e->arena.parameters + runs.at + (f + i) * PANEL;
                    const double here =
                        descents[part - 1](deep, a_f + i, d, next, accumulate ? c : NULL, w, &by);
                    squares += isfinite(here) ? here
                                              : descend_apart(e, task, deep, a_f + i, d, accumulate,
                                                              part, c, g->panel, w, runs.step);
                } else
                    gradients[part - 1](deep, a_f + i, d, panel, accumulate,
                                        last && e->pass.finish ? prefetch_of(e, &runs, tile++, deep, next)
                                                          : prefetch_tiles(next),
                                        c, g->panel);
                next = next_d + f / PANEL % TILE_PANELS * panel;
            }
        }
    } while ((k += block) < e->pass.n_rows);
    return squares;
}

#endif
