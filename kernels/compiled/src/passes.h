/* The two passes of a training step.

   rows pass      a block of rows: gather, forward through all layers, loss, errors back
   weights pass   a tile of a weight matrix: gradient over all rows, penalty, update

   A block of rows and a tile of weights are each the work of one thread, see engine.c. */
#ifndef FASTMLP_PASSES_H
#define FASTMLP_PASSES_H

#include "activations.h"
#include "fastmlp.h"
#include "layers.h"
#include "losses.h"
#include "networks.h"
#include "panels.h"
#include "sparse.h"
#include "tiles.h"
#include "updates.h"
#include "work.h"

enum {
    TASK_FEATURES = 64,      /* of a weight task: its gradient stays in L1 */
    LOOK_AHEAD_BYTES = 4096, /* rows that are asked for before they are gathered */
};

/* Ask for a row that is gathered soon: shuffled rows come from anywhere. */
INLINE void prefetch_row(const struct engine *e, long position)
{
    const struct samples *s = e->samples;
    if (s->order == NULL || position >= s->n_rows)
        return;
    const char *row = s->x.data + s->order[position] * s->x.row_stride;
    long bytes = e->layers[0].n_in * (long)sizeof(real);
    for (long b = 0; b < bytes && b < LOOK_AHEAD_BYTES; b += LINE)
        __builtin_prefetch(row + b, 0, 3);
}

/* A weight task's share of the next pass's rows, asked for a few cache lines at a time: between
   two tiles they cost next to nothing, all at once they would wait for each other. */
struct share {
    const struct samples *samples;
    const int64_t *row, *last;
    long byte, bytes; /* reached within the row; of a row */
    long lines;       /* at a time */
};

static struct share share_of(const struct engine *e, long index, long turns)
{
    long first = e->look_ahead.first, rows = e->look_ahead.rows;
    struct share share = {.samples = e->samples, .bytes = e->layers[0].n_in * (long)sizeof(real)};
    if (rows > 0) {
        share.row = e->samples->order + first + rows * index / e->n_tasks;
        share.last = e->samples->order + first + rows * (index + 1) / e->n_tasks;
        share.lines = (share.last - share.row) * (share.bytes / LINE + 1) / turns + 1;
    }
    return share;
}

INLINE void ask_for_rows(struct share *share)
{
    const struct samples *s = share->samples;
    for (long i = 0; i < share->lines && share->row != share->last; i++) {
        __builtin_prefetch(s->x.data + *share->row * s->x.row_stride + share->byte, 0, 2);
        share->byte += LINE;
        if (share->byte >= share->bytes) {
            const long at = *share->row++;
            share->byte = 0;
            if (s->labels)
                __builtin_prefetch(s->labels + at, 0, 2);
            else
                __builtin_prefetch(s->target.data + at * s->target.row_stride, 0, 2);
        }
    }
}

/* Copy rows of the samples, as the order names them, into the panels of the batch. Padding is
   never read there. */
static void gather_rows(const struct engine *e, long first, long n)
{
    const struct samples *s = e->samples;
    const struct layer *bottom = &e->layers[0], *top = &e->layers[e->n_layers - 1];
    real *target = e->target, *input = e->input, *scale = e->row_scale;
    long look_ahead = LOOK_AHEAD_BYTES / (bottom->n_in * (long)sizeof(real)) + 1;
    for (long r = first; r < first + n; r++) {
        long at = s->order ? s->order[e->first_row + r] : e->first_row + r;
        if (!e->sparse)
            prefetch_row(e, e->first_row + r + look_ahead);
        if (!e->sparse)
            scatter_row(s->x.data + at * s->x.row_stride, s->x.column_stride, bottom->n_in,
                    input + r * PANEL, e->batch_panel, 0);
        if (s->labels) {
            for (long p = 0; p < top->out_panels; p++)
                for (int v = 0; v < VECTORS; v++)
                    store(target + p * e->batch_panel + r * PANEL + v * LANES, (vec){0});
            long label = s->labels[at];
            target[label / PANEL * e->batch_panel + r * PANEL + label % PANEL] = 1;
        } else {
            scatter_row(s->target.data + at * s->target.row_stride, s->target.column_stride,
                        top->n_out, target + r * PANEL, e->batch_panel, 0);
        }
        real weight = s->sample_weight ? ((const real *)s->sample_weight)[at] : (real)1;
        scale[r] = (real)(weight * e->scale);
    }
}

static void rows_block(void *engine, long block, int thread)
{
    const struct engine *e = engine;
    long first = block * e->block_rows, panel = e->batch_panel, start = first * PANEL;
    long n = e->n_rows - first < e->block_rows ? e->n_rows - first : e->block_rows;
    gather_rows(e, first, n);

    const real *parameters = e->parameters, *a = (const real *)e->input + start;
    for (int l = 0; l < e->n_layers; l++) {
        const struct layer *layer = &e->layers[l];
        real *z = (real *)layer->output + start;
        if (e->sparse && l == 0)
            sparse_product(&e->samples->sparse, e->samples->order, e->first_row + first, n,
                           (struct weight_rows){parameters + layer->weights, NULL,
                                                weight_row(e, 0)},
                           layer->out_panels, (real)e->shrink, parameters + layer->bias, z, panel);
        else
            layer_product(n, layer->n_in, a, panel, parameters + layer->weights,
                          layer->in_rows * PANEL, parameters + layer->bias, 0, z, panel,
                          layer->out_panels, e->walk);
        for (long p = 0; p < layer->out_panels; p++)
            forward_run(layer->activation, z + p * panel, n * PANEL);
        a = z;
    }

    const struct layer *top = &e->layers[e->n_layers - 1];
    struct output_layer output = {
        .loss = e->loss, .constant = e->loss_constant, .output = e->output,
        .one_hot = e->samples->labels != NULL, .rows = n, .n_out = top->n_out, .panel = panel,
        .z = (const real *)top->output + start, .y = (const real *)e->target + start,
        .scale = (const real *)e->row_scale + first,
        .delta = (real *)top->delta + start, .row_loss = (real *)e->row_loss + first,
        .columns = (real *)(e->scratch + thread * e->scratch_bytes),
    };
    output_layer(&output);

    for (int l = e->n_layers - 1; l > 0; l--) {
        const struct layer *above = &e->layers[l], *layer = &e->layers[l - 1];
        real *delta = (real *)layer->delta + start;
        const real *activations = (const real *)layer->output + start;
        layer_product(n, above->n_out, (const real *)above->delta + start, panel,
                      above->transposed, above->out_panels * PANEL * PANEL, NULL, 0, delta, panel,
                      layer->out_panels, e->walk);
        for (long p = 0; p < layer->out_panels; p++)
            backward_run(layer->activation, delta + p * panel, activations + p * panel, n * PANEL);
    }
}

/* Sum of the rows of one panel, as four chains of every fourth row. */
INLINE void sum_rows(const real *d, long rows, int accumulate, real *to)
{
    for (int v = 0; v < VECTORS; v++, d += LANES, to += LANES) {
        vec sum[4] = {{0}, {0}, {0}, {0}};
        long r = 0;
        for (; r + 4 <= rows; r += 4)
            UNROLL for (int i = 0; i < 4; i++)
                sum[i] += load(d + (r + i) * PANEL);
        for (; r < rows; r++)
            sum[0] += load(d + r * PANEL);
        vec total = (sum[0] + sum[1]) + (sum[2] + sum[3]);
        store(to, accumulate ? load(to) + total : total);
    }
}

/* Ask for what the update of these features will read. */
INLINE void prefetch_weights(const struct engine *e, const struct layer *layer,
                             const struct weight_task *task, long feature, long features)
{
    for (int p = 0; p < task->panels; p++) {
        long at = layer->weights + ((task->panel + p) * layer->in_rows + feature) * PANEL;
        for (long i = at; i < at + features * PANEL; i += PANEL) {
            __builtin_prefetch((const real *)e->parameters + i, 1, 3);
            for (int s = 0; s < MOST_STATES && e->state[s]; s++)
                __builtin_prefetch((const real *)e->state[s] + i, 1, 3);
        }
    }
}

/* Biases of some panels of a layer: gradient, then update. */
static void update_bias(const struct engine *e, const struct layer *layer, long first, long panels,
                        real *gradient)
{
    real *parameters = e->parameters;
    const real *delta = (const real *)layer->delta + first * e->batch_panel;
    for (long p = 0; p < panels; p++) {
        sum_rows(delta + p * e->batch_panel, e->n_rows, e->accumulate, gradient + p * PANEL);
        const long at = layer->bias + (first + p) * PANEL;
        if (e->finish)
            update_run(&e->update, parameters + at, gradient + p * PANEL, e->state, at, PANEL);
    }
}

/* Add the penalty to the gradient of n weights; their squares are added up. */
INLINE vec penalise(double weight, const real *w, real *g, long n, vec squares)
{
    vec l2 = SPLAT((real)weight);
    for (long i = 0; i < n; i += LANES) {
        vec x = load(w + i);
        squares = FMA(x, x, squares);
        store(g + i, FMA(l2, x, load(g + i)));
    }
    return squares;
}

/* The weights of a range of features of a sparse first layer. */
static void sparse_task(const struct engine *e, long index, int thread)
{
    const struct weight_task *task = &e->tasks[index];
    const struct layer *layer = &e->layers[0];
    const long width = layer->out_panels * PANEL, most_rows = sparse_features_at_once(width);
    real *scratch = (real *)(e->scratch + thread * e->scratch_bytes);
    double *penalty = &e->task_penalty[index];
    if (task->first == 0)
        update_bias(e, layer, 0, layer->out_panels,
                    e->gradient ? (real *)e->gradient + layer->bias : scratch);
    if (e->lazy) {
        const long touched = e->entries.n_touched;
        *penalty = sparse_descent(e, touched * task->first / layer->n_in,
                                  touched * task->last / layer->n_in, scratch);
        return;
    }
    real *parameters = e->parameters;
    vec squares = {0};
    for (long f = task->first, here; f < task->last; f += here) {
        here = least(task->last - f, most_rows);
        const long at = layer->weights + f * width, n = here * width;
        real *g = e->gradient ? (real *)e->gradient + at : scratch;
        for (long i = 0; i < here; i++)
            sparse_gradient(e, f + i, g + i * width);
        if (e->l2 != 0)
            squares = penalise(e->l2, parameters + at, g, n, squares);
        update_run(&e->update, parameters + at, g, e->state, at, n);
    }
    *penalty = sum_lanes(squares);
}

static void weights_task(void *engine, long index, int thread)
{
    const struct engine *e = engine;
    if (e->walk.backwards)
        index = e->n_tasks - 1 - index;
    const struct weight_task *task = &e->tasks[index];
    if (e->sparse && task->layer == 0) {
        sparse_task(e, index, thread);
        return;
    }
    const struct layer *layer = &e->layers[task->layer];
    const real *a = task->layer ? e->layers[task->layer - 1].output : e->input;
    const real *delta = (const real *)layer->delta + task->panel * e->batch_panel;
    long features = task->last - task->first, panel = e->batch_panel;

    /* The gradient of the tile: kept with the parameters' layout where it outlives the task. */
    real *gradient, *bias;
    long g_panel;
    if (e->gradient) {
        g_panel = layer->in_rows * PANEL;
        gradient = (real *)e->gradient + layer->weights + task->panel * g_panel + task->first * PANEL;
        bias = (real *)e->gradient + layer->bias + task->panel * PANEL;
    } else {
        g_panel = TASK_FEATURES * PANEL;
        gradient = (real *)(e->scratch + thread * e->scratch_bytes);
        bias = gradient + TILE_PANELS * g_panel;
    }
    gradient_tile *const *tiles = gradient_tiles[task->panels - 1];
    const long block = depth_block(e->n_rows);
    long turns = (features + TILE_FEATURES - 1) / TILE_FEATURES * blocks_of(e->n_rows, block);
    struct share share = share_of(e, index, most(turns, 1));
    long k = 0;
    do { /* once even for no rows: their gradient is zero */
        const long deep = least(e->n_rows - k, block);
        const real *d = delta + k * PANEL;
        const real *next_d = k + block < e->n_rows ? d + block * PANEL : delta;
        for (long f = 0; f < features; f += PANEL) {
            const real *a_f = a + (task->first + f) / PANEL * panel + k * PANEL;
            long here = features - f < PANEL ? features - f : PANEL;
            for (long i = 0, part; i < here; i += part) {
                part = next_part(here - i, TILE_FEATURES);
                if (k == 0 && e->finish && e->walk.prefetch)
                    prefetch_weights(e, layer, task, task->first + f + i, part);
                ask_for_rows(&share);
                /* The first tile of a panel of features asks for the next panel, another one for
                   the errors of the next block of rows. */
                const real *next = i == 0 ? a_f + panel : next_d + f / PANEL % TILE_PANELS * panel;
                tiles[part - 1](deep, a_f + i, d, panel, e->accumulate || k, next,
                                gradient + (f + i) * PANEL, g_panel);
            }
        }
    } while ((k += block) < e->n_rows);
    if (task->first == 0)
        update_bias(e, layer, task->panel, task->panels, bias);
    if (!e->finish)
        return;

    real *parameters = e->parameters;
    vec squares = {0};
    for (int p = 0; p < task->panels; p++) {
        long at = layer->weights + ((task->panel + p) * layer->in_rows + task->first) * PANEL;
        long n = features * PANEL;
        real *g = gradient + p * g_panel, *w = parameters + at;
        if (e->l2 != 0)
            squares = penalise(e->l2, w, g, n, squares);
        update_run(&e->update, w, g, e->state, at, n);
        if (layer->transposed && e->update.rule != UPDATE_none)
            transpose_weights(e, layer, task->panel + p, task->first, task->last);
    }
    if (e->l2 != 0)
        e->task_penalty[index] = sum_lanes(squares);
}

#endif
