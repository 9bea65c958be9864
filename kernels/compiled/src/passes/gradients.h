/* The tiles of a weight task: the gradient of some panels of one weight matrix by a range of features,
   over all rows of the pass. Where the update needs nothing else, the tiles descend at once. */
#ifndef FASTMLP_GRADIENT_WALK_H
#define FASTMLP_GRADIENT_WALK_H

#include "fastmlp.h"
#include "matrices/products.h"
#include "passes/prefetch.h"
#include "matrices/panels.h"
#include "passes/sparse.h"
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
    const struct layer *layer = &e->layers[task->layer];
    const long features = task->last - task->first;
    if (e->sparse && task->layer == 0) {
        const long width = weight_row(e, 0);
        return (struct runs){layer->weights + task->first * width, 1, features * width, 0};
    }
    const long panel = layer->in_rows * PANEL;
    return (struct runs){layer->weights + task->panel * panel + task->first * PANEL, task->panels,
                         features * PANEL, panel};
}

/* Where the gradient of a task is kept: in the parameters' layout where it outlives the task. */
struct task_gradient {
    real *weights, *bias;
    long panel; /* elements from panel to panel of the weights */
};

static struct task_gradient gradient_of(const struct engine *e, const struct weight_task *task,
                                        int thread)
{
    const struct layer *layer = &e->layers[task->layer];
    struct task_gradient g = {.panel = TASK_FEATURES * PANEL};
    if (e->gradient) {
        g.panel = layer->in_rows * PANEL;
        g.weights = (real *)e->gradient + layer->weights + task->panel * g.panel + task->first * PANEL;
        g.bias = (real *)e->gradient + layer->bias + task->panel * PANEL;
    } else {
        g.weights = (real *)(e->scratch + thread * e->scratch_bytes);
        g.bias = g.weights + TILE_PANELS * g.panel;
    }
    return g;
}

/* What tile `t` of a task asks for: one of the runs that the update goes over, of the weights and of
   each state, while there is one left. */
INLINE struct ahead ahead_of(const struct engine *e, const struct runs *runs, long t, long rows,
                             const real *next)
{
    const long store = t / runs->n, run = t % runs->n;
    const real *at = store == 0 ? e->parameters : store <= MAX_STATES ? e->state[store - 1] : NULL;
    if (at == NULL)
        return ahead_of_tiles(next);
    const long bytes = runs->length * (long)sizeof(real);
    return (struct ahead){next, (const char *)(at + runs->at + run * runs->step),
                          least(2 * LINE, bytes / most(rows, 1))};
}

/* Columns of a task that are not padding. */
static long columns_of(const struct engine *e, const struct weight_task *task)
{
    return least(task->panels * PANEL, e->layers[task->layer].n_out - task->panel * PANEL);
}

/* Whether multiplying a task's padding would cost more than transposing its gradient. */
static int is_narrow(const struct engine *e, const struct weight_task *task)
{
    const long padding = task->panels * PANEL - columns_of(e, task);
    return padding * e->n_rows >= NARROW_PADDING * task->panels && task->last - task->first >= PANEL;
}

/* Whether the update needs nothing but each tile's own gradient and weights. */
static int descends_in_tiles(const struct engine *e, const struct weight_task *task)
{
    return e->finish && e->update.rule == UPDATE_sgd && e->update.decay == 0 && e->l1 == 0 &&
           !e->with_norm && e->clip_value <= 0 && !is_narrow(e, task);
}

/* The gradient of a narrow task's whole panels of features, as delta^T a: the task's columns are then
   the rows of the tiles, which need no padding. Every element is the same chain as in the other walk.
   Returns how many features are done. */
OUTLINE long narrow_walk(const struct engine *e, const struct weight_task *task,
                         const struct task_gradient *g, struct share *share)
{
    enum { BLOCK = PANEL * PANEL };
    const struct layer *layer = &e->layers[task->layer];
    const long features = (task->last - task->first) / PANEL * PANEL, panel = e->batch_panel;
    const real *a = task->layer ? e->layers[task->layer - 1].output : e->input;
    const real *delta = (const real *)layer->delta + task->panel * panel;
    const long block = depth_block(e->n_rows);
    const struct runs runs = runs_of(e, task);
    real c[TILE_PANELS * BLOCK] __attribute__((aligned(64))); /* panels of a few features, transposed */
    for (long f = 0, wide, tile = 0; f < features; f += wide * PANEL) {
        wide = least((features - f) / PANEL, TILE_PANELS);
        gradient_tile *const *tiles = gradient_tiles[wide - 1];
        const real *a_f = a + (task->first + f) / PANEL * panel;
        for (long p = 0; p < task->panels; p++) {
            real *to = g->weights + p * g->panel + f * PANEL;
            const long columns = least(columns_of(e, task) - p * PANEL, PANEL);
            const struct parts parts = parts_of(columns, TILE_FEATURES);
            for (long i = 0; i < wide * BLOCK; i += LANES)
                store(c + i, (vec){0});
            for (long q = 0; q < wide && e->accumulate; q++)
                transpose_block(to + q * BLOCK, PANEL, c + q * BLOCK, PANEL);
            for (long k = 0; k < e->n_rows; k += block) {
                const long deep = least(e->n_rows - k, block);
                const real *d = delta + p * panel + k * PANEL, *a_k = a_f + k * PANEL;
                for (long q = 0; p == 0 && q < wide; q++)
                    ask_for_rows(share);
                for (long i = 0, t = 0, part; i < columns; i += part, t++) {
                    part = part_at(parts, t);
                    const real *next = a_k + (wide + t % wide) * panel;
                    tiles[part - 1](deep, d + i, a_k, panel, 1,
                                    e->finish ? ahead_of(e, &runs, tile++, deep, next)
                                              : ahead_of_tiles(next),
                                    c + i * PANEL, BLOCK);
                }
            }
            for (long q = 0; q < wide; q++)
                transpose_block(c + q * BLOCK, PANEL, to + q * BLOCK, PANEL);
        }
    }
    return features;
}

/* The gradient is left in `g`, or, with `descend`, the last pass of a batch descends along it. Returns
   the sum of squared weights where descending has needed them, else 0. */
static double gradient_walk(const struct engine *e, long index, const struct task_gradient *g,
                            int descend)
{
    const struct weight_task *task = &e->tasks[index];
    const struct layer *layer = &e->layers[task->layer];
    const long features = task->last - task->first, panel = e->batch_panel;
    const real *a = task->layer ? e->layers[task->layer - 1].output : e->input;
    const real *delta = (const real *)layer->delta + task->panel * panel;
    const struct runs runs = runs_of(e, task);
    const struct descent by = {e->update.rate, e->l2, panel, g->panel, runs.step};
    descent_tile *const *descents = descent_tiles[task->panels - 1];
    gradient_tile *const *gradients = gradient_tiles[task->panels - 1];
    const long block = depth_block(e->n_rows);
    const long turns = blocks_of(features, PANEL) * blocks_of(e->n_rows, block);
    struct share share = share_of(e, index, most(turns, 1));
    const long done = is_narrow(e, task) ? narrow_walk(e, task, g, &share) : 0;
    double squares = 0;
    long k = 0, tile = 0;
    do { /* once even for no rows: their gradient is zero */
        const long deep = least(e->n_rows - k, block);
        const int last = k + block >= e->n_rows, accumulate = e->accumulate || k;
        const real *d = delta + k * PANEL, *next_d = last ? delta : d + block * PANEL;
        for (long f = done; f < features; f += PANEL) {
            const real *a_f = a + (task->first + f) / PANEL * panel + k * PANEL;
            const struct parts parts = parts_of(least(features - f, PANEL), TILE_FEATURES);
            ask_for_rows(&share);
            /* The first tile of a panel of features asks for the next panel, another one for the
               errors of the next block of rows. */
            const real *next = a_f + panel;
            for (long i = 0, t = 0, part; i < PANEL && f + i < features; i += part, t++) {
                part = part_at(parts, t);
                real *c = g->weights + (f + i) * PANEL;
                if (descend && last)
                    squares += descents[part - 1](
                        deep, a_f + i, d, next, accumulate ? c : NULL,
                        (real *)e->parameters + runs.at + (f + i) * PANEL, &by);
                else
                    gradients[part - 1](deep, a_f + i, d, panel, accumulate,
                                        last && e->finish ? ahead_of(e, &runs, tile++, deep, next)
                                                          : ahead_of_tiles(next),
                                        c, g->panel);
                next = next_d + f / PANEL % TILE_PANELS * panel;
            }
        }
    } while ((k += block) < e->n_rows);
    return squares;
}

#endif
