/* The second pass of a training step, over groups of tasks. A task is some panels of one weight matrix by a
   range of features, or all panels of a range of features of a sparse first layer.

   A task computes its gradient over all rows, adds the penalty, clips it by value and updates its
   weights, all while they are in the first-level cache. Clipping by the norm of the whole gradient
   takes a third loop, over `update_task`; bounding the norm of columns one more, over panels. */
#ifndef FASTMLP_WEIGHTS_PASS_H
#define FASTMLP_WEIGHTS_PASS_H

#include "fastmlp.h"
#include "passes/few_descents.h"
#include "passes/gradients.h"
#include "passes/predictions.h"
#include "formulas/penalties.h"
#include "passes/shards.h"
#include "passes/sparse.h"
#include "formulas/update_rules.h"
#include "work.h"

/* What a task adds to sums over the whole gradient. */
struct sums {
    double penalty, norm, clipped;
};

/* A run of gradient is complete: penalty (of weights), norm, clipping, update. */
static void finish_run(const struct engine *e, long at, real *g, long n, int weights,
                       struct sums *sums)
{
    if (e->pass.shards) /* of one process of several */
        return;
    if (weights && (e->pass.l2 != 0 || e->pass.l1 != 0))
        sums->penalty += penalise_run(e->pass.l2, e->pass.l1, (const real *)e->arena.parameters + at, g, n);
    if (e->design.with_norm)
        sums->norm += squares_run(g, n);
    if (e->design.clip_value > 0) {
        clip_run(e->design.clip_value, g, n);
        if (e->design.clip_norm > 0)
            sums->clipped += squares_run(g, n);
    }
    if (e->design.clip_norm <= 0) /* else all of the gradient must be known first */
        update_run(&e->pass.update, (real *)e->arena.parameters + at, g, e->arena.state, at, n);
}

static void keep_sums(const struct engine *e, long index, const struct sums *sums)
{
    if (e->pass.l2 != 0 || e->pass.l1 != 0)
        e->arena.task_penalty[index] = sums->penalty;
    if (e->design.with_norm)
        e->arena.task_norm[index] = sums->norm;
    if (e->design.clip_value > 0)
        e->arena.task_clipped[index] = sums->clipped;
}

/* Biases of some panels of a layer: a pass's gradient in `g`, and with the last pass their update. */
static void finish_bias(const struct engine *e, const struct layer *layer, long first, long panels,
                        real *g, struct sums *sums)
{
    const long at = layer->bias + first * PANEL, n = panels * PANEL;
    if (!e->pass.shards || e->pass.shards->n == 1) /* else the tree of their sums is there */
        bias_gradient(e, layer, first, panels, (struct rows){0, e->pass.n_rows}, g);
    if (e->arena.rest) {
        add_pass(e, at, g, n);
        g = (real *)e->arena.gradient + at;
    }
    if (e->pass.finish)
        finish_run(e, at, g, n, 0, sums);
}

/* The penalty of weights that stay as they are. */
static double frozen_penalty(const struct engine *e, const struct weight_task *task)
{
    const struct runs runs = runs_of(e, task);
    double penalty = 0;
    for (long i = 0; i < runs.n; i++)
        penalty += penalise_run(e->pass.l2, e->pass.l1, (const real *)e->arena.parameters + runs.at + i * runs.step,
                                NULL, runs.length);
    return penalty;
}

/* The weights of a range of features of a sparse first layer. */
static void sparse_task(const struct engine *e, long index, int thread)
{
    const struct weight_task *task = &e->arena.tasks[index];
    const struct layer *layer = &e->design.layers[0];
    const long width = weight_row(&e->design, 0), some = sparse_features_at_once(width);
    real *scratch = (real *)(e->arena.scratch + thread * e->arena.scratch_bytes);
    struct sums sums = {0, 0, 0};
    if (task->first == 0)
        finish_bias(e, layer, 0, layer->out_panels,
                    e->arena.gradient ? (real *)e->arena.gradient + layer->bias : scratch, &sums);
    if (e->pass.lazy) {
        const long touched = e->arena.entries.n_touched;
        e->arena.task_penalty[index] = sparse_descent(e, touched * task->first / layer->n_in,
                                                touched * task->last / layer->n_in, scratch);
        return;
    }
    for (long f = task->first, here; f < task->last; f += here) {
        here = min(task->last - f, some);
        const long at = layer->weights + f * width;
        real *g = e->arena.gradient ? (real *)e->arena.gradient + at : scratch;
        for (long i = 0; i < here; i++)
            sparse_gradient(e, f + i, g + i * width);
        finish_run(e, at, g, here * width, 1, &sums);
    }
    keep_sums(e, index, &sums);
}

/* The copy of updated weights for the errors of the layer below. */
static void transpose_task(const struct engine *e, const struct weight_task *task)
{
    const struct layer *layer = &e->design.layers[task->layer];
    if (layer->transposed && e->pass.update.rule != UPDATE_none)
        for (int p = 0; p < task->panels; p++)
            transpose_weights(e, layer, task->panel + p, task->first, task->last);
}

/* What a task does with its gradient in `g`, of which one pass or the sum of all passes is complete. */
static void finish_task(const struct engine *e, long index, const struct task_gradient *g, int descended,
                        double squares)
{
    const struct weight_task *task = &e->arena.tasks[index];
    const struct runs runs = runs_of(e, task);
    struct sums sums = {0.5 * e->pass.l2 * squares, 0, 0};
    if (task->first == 0)
        finish_bias(e, &e->design.layers[task->layer], task->panel, task->panels, g->bias, &sums);
    for (long i = 0; i < runs.n && e->arena.rest; i++)
        add_pass(e, runs.at + i * runs.step, g->weights + i * g->panel, runs.length);
    if (!e->pass.finish || e->pass.shards)
        return;
    for (long i = 0; i < runs.n && !descended; i++) {
        const long at = runs.at + i * runs.step;
        real *weights = e->arena.rest ? (real *)e->arena.gradient + at : g->weights + i * g->panel;
        finish_run(e, at, weights, runs.length, 1, &sums);
    }
    keep_sums(e, index, &sums);
    if (e->design.clip_norm <= 0)
        transpose_task(e, task);
}

static void weights_group(void *engine, long index, int thread)
{
    const struct engine *e = engine;
    const struct task_group *group = &e->arena.groups[index];
    struct weight_task wide = e->arena.tasks[group->first];
    if (e->design.layers[wide.layer].frozen) {
        const int penalised = e->pass.finish && (e->pass.l2 != 0 || e->pass.l1 != 0);
        for (long i = group->first, n = 0; n < group->n; i += group->step, n++)
            e->arena.task_penalty[i] = penalised ? frozen_penalty(e, &e->arena.tasks[i]) : 0;
        return;
    }
    if (e->design.sparse && wide.layer == 0) {
        sparse_task(e, group->first, thread);
        return;
    }
    wide.panels *= (int)group->n;
    struct task_gradient g = gradient_of(e, &wide, thread);
    const int descend = !e->pass.shards && descends_in_tiles(e, &wide);
    double squares[MAX_GROUP];
    for (long n = 0; n < group->n; n++)
        squares[n] = 0;
    if (descend && e->pass.l2 == 0 && e->pass.n_rows <= FEW_DESCENT && e->pass.n_rows > 0)
        descend_few(e, &wide);
    else if (e->pass.shards && e->pass.shards->n > 1)
        shards_gradient(e, index, &wide, &g, thread);
    else
        gradient_loop(e, index, &wide, (struct rows){0, e->pass.n_rows}, &g, descend, squares);
    for (long i = group->first, n = 0; n < group->n; i += group->step, n++) {
        finish_task(e, i, &g, descend, squares[n]);
        g.weights += TILE_PANELS * g.panel;
        g.bias += TILE_PANELS * PANEL;
    }
}

static void scale_and_update(const struct engine *e, long at, long n)
{
    real *g = (real *)e->arena.gradient + at;
    if (e->pass.factor != 1)
        scale_run(e->pass.factor, g, n);
    update_run(&e->pass.update, (real *)e->arena.parameters + at, g, e->arena.state, at, n);
}

/* The update of a task whose gradient is clipped by the norm of all of it. */
static void update_task(void *engine, long index, int thread)
{
    (void)thread;
    const struct engine *e = engine;
    const struct weight_task *task = &e->arena.tasks[index];
    const struct layer *layer = &e->design.layers[task->layer];
    if (layer->frozen)
        return;
    const struct runs runs = runs_of(e, task);
    for (long i = 0; i < runs.n; i++)
        scale_and_update(e, runs.at + i * runs.step, runs.length);
    if (task->first == 0) {
        const long panels = e->design.sparse && task->layer == 0 ? layer->out_panels : task->panels;
        scale_and_update(e, layer->bias + task->panel * PANEL, panels * PANEL);
    }
    transpose_task(e, task);
}

/* What a task does with its part of a gradient that is complete in arena.gradient. */
static void descend_task(void *engine, long index, int thread)
{
    (void)thread;
    const struct engine *e = engine;
    const struct weight_task *task = &e->arena.tasks[index];
    const struct layer *layer = &e->design.layers[task->layer];
    if (layer->frozen) {
        e->arena.task_penalty[index] = e->pass.l2 != 0 || e->pass.l1 != 0 ? frozen_penalty(e, task) : 0;
        return;
    }
    const struct runs runs = runs_of(e, task);
    struct sums sums = {0, 0, 0};
    if (task->first == 0) {
        const long panels = e->design.sparse && task->layer == 0 ? layer->out_panels : task->panels;
        const long at = layer->bias + task->panel * PANEL;
        finish_run(e, at, (real *)e->arena.gradient + at, panels * PANEL, 0, &sums);
    }
    for (long i = 0; i < runs.n; i++) {
        const long at = runs.at + i * runs.step;
        finish_run(e, at, (real *)e->arena.gradient + at, runs.length, 1, &sums);
    }
    keep_sums(e, index, &sums);
    if (e->design.clip_norm <= 0)
        transpose_task(e, task);
}

/* Bound the columns of one panel of weights, counted through all layers. */
static void bound_task(void *engine, long index, int thread)
{
    (void)thread;
    const struct engine *e = engine;
    int l = 0;
    for (; index >= e->design.layers[l].out_panels; l++)
        index -= e->design.layers[l].out_panels;
    const struct layer *layer = &e->design.layers[l];
    if (layer->frozen)
        return;
    bound_panel(e->design.max_norm, (real *)e->arena.parameters + layer->weights + index * weight_panel(&e->design, l),
                layer->n_in, weight_row(&e->design, l));
    if (layer->transposed)
        transpose_weights(e, layer, index, 0, layer->n_in);
}

#endif
