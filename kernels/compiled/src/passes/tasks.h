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
   each state, one with each tile. */
struct coming {
    const real *run;
    void *const *states;
    long left, first, step, runs; /* runs of this store; where they begin, elements between them, all */
    long bytes;                   /* with each row of a tile */
};

static struct coming coming_update(const struct engine *e, const struct runs *runs, long rows)
{
    return (struct coming){.run = (const real *)e->arena.parameters + runs->at, .states = e->arena.state,
                           .left = runs->n, .first = runs->at, .step = runs->step, .runs = runs->n,
                           .bytes = min(2 * LINE, (unsigned)(runs->length * (long)sizeof(real)) /
                                                      (unsigned)max(rows, 1))};
}

/* What the next tile prefetches: that, and `next` for later tiles. */
INLINE void prefetch_next(struct coming *c, const real *next, struct gradient_call *call)
{
    call->tiles = next;
    call->step = c->run ? c->bytes : 0;
    call->update = c->run ? (const char *)c->run : (const char *)next;
    if (c->run == NULL)
        return;
    c->run += c->step;
    if (--c->left == 0) { /* behind the last state there is NULL */
        const real *store = *c->states++;
        c->run = store ? store + c->first : NULL;
        c->left = c->runs;
    }
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
