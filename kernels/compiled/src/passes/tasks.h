/* Tasks of the weights pass: where their weights and gradients are, what their tiles prefetch, and which way
   of computing them is the best. */
#ifndef FASTMLP_TASKS_H
#define FASTMLP_TASKS_H

#include "fastmlp.h"
#include "matrices/products.h"
#include "passes/predictions.h"
#include "work.h"

enum { TASK_FEATURES = 64 }; /* of a weight task: its gradient stays in L1 */

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
        g.bias = g.weights + task->panels * g.panel;
    }
    return g;
}

/* What is left to prefetch for the update of a group: the runs that it goes over, of the weights and then of
   each state, a piece of one with each tile. Three runs of a panel of columns, those of Adam, have no more
   pieces than the panel has tiles, of which there are fewer where one is two panels wide. */
struct coming {
    const real *piece, *run;
    void *const *states;
    long pieces, runs;  /* left of this run, of this store */
    long length, bytes; /* of a piece: elements, and bytes with each row of a tile */
    struct runs all;
};
enum { PIECES = TILE_PANELS > 1 ? 1 : 4 };

static struct coming coming_update(const struct engine *e, const struct runs *runs, long rows)
{
    const real *first = (const real *)e->arena.parameters + runs->at;
    const long length = runs->length / PIECES, bytes = length * (long)sizeof(real);
    return (struct coming){.piece = first, .run = first, .states = e->arena.state, .pieces = PIECES,
                           .runs = runs->n, .length = length, .all = *runs,
                           .bytes = min(LINE, (unsigned)bytes / (unsigned)max(rows, 1))};
}

/* What the next tile prefetches. */
INLINE void prefetch_next(struct coming *c, struct gradient_call *call)
{
    if (c->run == NULL) {
        call->step = 0;
        return;
    }
    call->step = c->bytes;
    call->coming = (const char *)c->piece;
    c->piece += c->length;
    if (--c->pieces > 0)
        return;
    c->pieces = PIECES;
    c->run += c->all.step;
    if (--c->runs == 0) { /* behind the last state there is NULL */
        const real *store = *c->states++;
        c->run = store ? store + c->all.at : NULL;
        c->runs = c->all.n;
    }
    c->piece = c->run;
}

/* Columns of a task that are not padding. */
static long columns_of(const struct engine *e, const struct weight_task *task)
{
    return min(task->panels * PANEL, e->design.layers[task->layer].n_out - task->panel * PANEL);
}

/* Whether multiplying a task's padding would cost more than transposing its gradient. */
static int is_narrow(const struct engine *e, const struct weight_task *task, long rows)
{
    const long columns = columns_of(e, task), padding = vectors_of(columns) * LANES - columns;
    return padding * rows >= NARROW_PADDING * task->panels && task->last - task->first >= PANEL;
}

/* Whether the update needs nothing but each tile's own gradient and weights. */
static int descends_in_tiles(const struct engine *e, const struct weight_task *task)
{
    return e->arena.rest == NULL && e->pass.update.rule == UPDATE_sgd && e->pass.update.decay == 0 && e->pass.l1 == 0 &&
           !e->design.with_norm && e->design.clip_value <= 0 && !is_narrow(e, task, e->pass.n_rows);
}

#endif
