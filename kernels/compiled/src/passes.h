/* The two passes of a training step, and predictions.

   rows pass      a block of rows: gather, forward through all layers, loss, errors back
   weights pass   a tile of a weight matrix: gradient over all rows, penalty, update

   A block of rows and a tile of weights are each the work of one thread, see engine.c. */
#ifndef FASTMLP_PASSES_H
#define FASTMLP_PASSES_H

#include "activations.h"
#include "fastmlp.h"
#include "losses.h"
#include "panels.h"
#include "tiles.h"
#include "updates.h"

enum {
    /* Depth (rows of W, or rows of the batch) of which a tile's panels stay in L1. */
    DEPTH_BLOCK = 256 * 4 / (int)sizeof(real),
    TASK_FEATURES = 64,
    LOOK_AHEAD_BYTES = 4096,
};

static const real zeros[TILE_PANELS * PANEL] __attribute__((aligned(64)));

/* Lines of a matrix into the second-level cache. */
INLINE void prefetch_lines(const real *from, long lines)
{
    for (long i = 0; i < lines; i++)
        __builtin_prefetch(from + i * PANEL, 0, 2);
}

/* c = bias + a w for a block of rows; bias NULL stands for zeros, with `accumulate` c += a w.
   The panels of w are taken as `walk` says; where they come from beyond the second-level cache the next ones are asked for while
   the present ones are used. */
static void layer_product(long rows, long depth, const real *a, long a_panel, const real *w,
                          long w_panel, const real *bias, int accumulate, real *c, long c_panel,
                          long panels, struct walk walk)
{
    const long groups = (panels + TILE_PANELS - 1) / TILE_PANELS;
    for (long g = 0; g < groups; g++) {
        const long p = (walk.backwards ? groups - 1 - g : g) * TILE_PANELS;
        const long wide = panels - p < TILE_PANELS ? panels - p : TILE_PANELS;
        const long next_p = walk.backwards ? p - TILE_PANELS : p + TILE_PANELS;
        forward_tile *const *tiles = forward_tiles[wide - 1];
        long k = 0;
        do { /* once even for depth 0 */
            const long deep = depth - k < DEPTH_BLOCK ? depth - k : DEPTH_BLOCK;
            const real *w_k = w + p * w_panel + k * PANEL, *a_k = a + k / PANEL * a_panel;
            const real *next = k + DEPTH_BLOCK < depth ? w_k + DEPTH_BLOCK * PANEL
                               : g + 1 < groups        ? w + next_p * w_panel
                                                       : NULL;
            for (long r = 0, part; r < rows; r += part) {
                part = next_part(rows - r, TILE_ROWS);
                if (walk.prefetch && next) {
                    long from = DEPTH_BLOCK * r / rows, to = DEPTH_BLOCK * (r + part) / rows;
                    for (int v = 0; v < TILE_PANELS; v++)
                        prefetch_lines(next + v * w_panel + from * PANEL, to - from);
                }
                real *c_r = c + p * c_panel + r * PANEL;
                struct strided init = {c_r, PANEL, c_panel};
                if (k == 0 && !accumulate)
                    init = bias ? (struct strided){bias + p * PANEL, 0, PANEL}
                                : (struct strided){zeros, 0, PANEL};
                tiles[part - 1](deep, a_k + r * PANEL, a_panel, w_k, w_panel, init, c_r, PANEL,
                                c_panel);
            }
        } while ((k += DEPTH_BLOCK) < depth);
    }
}

/* Ask for a row that a later block or step will gather: shuffled rows come from anywhere. */
INLINE void prefetch_row(const struct engine *e, long position)
{
    const struct samples *s = e->samples;
    if (s->order == NULL || position >= s->n_rows)
        return;
    const char *row = s->x.data + s->order[position] * s->x.row_stride;
    long bytes = e->layers[0].n_in * (long)sizeof(real);
    for (long b = 0; b < bytes && b < LOOK_AHEAD_BYTES; b += 64)
        __builtin_prefetch(row + b, 0, 3);
}

/* Copy rows of the samples, as the order names them, into the panels of the batch. */
static void gather_rows(const struct engine *e, long first, long n)
{
    const struct samples *s = e->samples;
    const struct layer *bottom = &e->layers[0], *top = &e->layers[e->n_layers - 1];
    real *target = e->target, *input = e->input, *scale = e->row_scale;
    long look_ahead = LOOK_AHEAD_BYTES / (bottom->n_in * (long)sizeof(real)) + 1;
    for (long r = first; r < first + n; r++) {
        long at = s->order ? s->order[e->first_row + r] : e->first_row + r;
        prefetch_row(e, e->first_row + r + look_ahead);
        scatter_row(s->x.data + at * s->x.row_stride, s->x.column_stride, bottom->n_in,
                    input + r * PANEL, e->batch_panel);
        if (s->labels) {
            for (long p = 0; p < top->out_panels; p++)
                for (int v = 0; v < VECTORS; v++)
                    store(target + p * e->batch_panel + r * PANEL + v * LANES, (vec){0});
            long label = s->labels[at];
            target[label / PANEL * e->batch_panel + r * PANEL + label % PANEL] = 1;
        } else {
            scatter_row(s->target.data + at * s->target.row_stride, s->target.column_stride,
                        top->n_out, target + r * PANEL, e->batch_panel);
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
        layer_product(n, layer->n_in, a, panel, parameters + layer->weights,
                      layer->in_rows * PANEL, parameters + layer->bias, 0, z, panel,
                      layer->out_panels, e->walk);
        for (long p = 0; p < layer->out_panels; p++)
            forward_run(layer->activation, z + p * panel, n * PANEL);
        a = z;
    }

    const struct layer *top = &e->layers[e->n_layers - 1];
    struct output_layer output = {
        .loss = e->loss, .output = e->output, .rows = n, .n_out = top->n_out, .panel = panel,
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

static void transpose_weights(const struct engine *e, const struct layer *layer, long panel,
                              long first, long last)
{
    const real *weights = (const real *)e->parameters + layer->weights;
    real *transposed = layer->transposed;
    for (long f = first; f < last; f += PANEL)
        transpose_block(weights + (panel * layer->in_rows + f) * PANEL, PANEL,
                        transposed + (f * layer->out_panels + panel * PANEL) * PANEL, PANEL);
}

/* Ask for what the update of these features will read. */
INLINE void prefetch_weights(const struct engine *e, const struct layer *layer,
                             const struct weight_task *task, long feature, long features)
{
    for (int p = 0; p < task->panels; p++) {
        long at = layer->weights + ((task->panel + p) * layer->in_rows + feature) * PANEL;
        for (long i = at; i < at + features * PANEL; i += PANEL) {
            __builtin_prefetch((const real *)e->parameters + i, 1, 3);
            if (e->state[0])
                __builtin_prefetch((const real *)e->state[0] + i, 1, 3);
            if (e->state[1])
                __builtin_prefetch((const real *)e->state[1] + i, 1, 3);
        }
    }
}

static void weights_task(void *engine, long index, int thread)
{
    const struct engine *e = engine;
    if (e->walk.backwards)
        index = e->n_tasks - 1 - index;
    const struct weight_task *task = &e->tasks[index];
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
    long k = 0;
    do { /* once even for no rows: their gradient is zero */
        long deep = e->n_rows - k < DEPTH_BLOCK ? e->n_rows - k : DEPTH_BLOCK;
        const real *d = delta + k * PANEL;
        for (long f = 0; f < features; f += PANEL) {
            const real *a_f = a + (task->first + f) / PANEL * panel + k * PANEL;
            long here = features - f < PANEL ? features - f : PANEL;
            for (long i = 0, part; i < here; i += part) {
                part = next_part(here - i, TILE_FEATURES);
                if (k == 0 && e->finish && e->walk.prefetch)
                    prefetch_weights(e, layer, task, task->first + f + i, part);
                tiles[part - 1](deep, a_f + i, d, panel, e->accumulate || k,
                                gradient + (f + i) * PANEL, g_panel);
            }
        }
    } while ((k += DEPTH_BLOCK) < e->n_rows);
    if (task->first == 0)
        for (int p = 0; p < task->panels; p++)
            sum_rows(delta + p * panel, e->n_rows, e->accumulate, bias + p * PANEL);
    if (!e->finish)
        return;

    real *parameters = e->parameters, *s0 = e->state[0], *s1 = e->state[1];
    vec squares = {0};
    for (int p = 0; p < task->panels; p++) {
        long at = layer->weights + ((task->panel + p) * layer->in_rows + task->first) * PANEL;
        long n = features * PANEL;
        real *g = gradient + p * g_panel, *w = parameters + at;
        if (e->l2 != 0) {
            vec l2 = SPLAT((real)e->l2);
            for (long i = 0; i < n; i += LANES) {
                vec x = load(w + i);
                squares = FMA(x, x, squares);
                store(g + i, FMA(l2, x, load(g + i)));
            }
        }
        update_run(&e->update, w, g, s0 ? s0 + at : NULL, s1 ? s1 + at : NULL, n);
        if (layer->transposed && e->update.rule != UPDATE_none)
            transpose_weights(e, layer, task->panel + p, task->first, task->last);
        if (task->first == 0) {
            at = layer->bias + (task->panel + p) * PANEL;
            update_run(&e->update, parameters + at, bias + p * PANEL, s0 ? s0 + at : NULL,
                       s1 ? s1 + at : NULL, PANEL);
        }
    }
    if (e->l2 != 0)
        e->task_penalty[index] = sum_lanes(squares);
}

/* Plain parameters, as scikit-learn's users see them, into panels, and back. */
static void pack(const struct engine *e, const void *flat, void *packed)
{
    const real *from = flat;
    for (int l = 0; l < e->n_layers; from += e->layers[l].n_in * e->layers[l].n_out, l++) {
        const struct layer *layer = &e->layers[l];
        struct matrix m = {(const char *)from, layer->n_out * (long)sizeof(real), sizeof(real)};
        pack_panels(m, layer->n_in, layer->n_out, (real *)packed + layer->weights,
                    layer->in_rows * PANEL);
    }
    for (int l = 0; l < e->n_layers; from += e->layers[l].n_out, l++)
        scatter_row((const char *)from, sizeof(real), e->layers[l].n_out,
                    (real *)packed + e->layers[l].bias, PANEL);
}

static void unpack(const struct engine *e, const void *packed, void *flat)
{
    real *to = flat;
    for (int l = 0; l < e->n_layers; l++) {
        const struct layer *layer = &e->layers[l];
        for (long r = 0; r < layer->n_in; r++, to += layer->n_out)
            gather_row((const real *)packed + layer->weights + r * PANEL, layer->in_rows * PANEL,
                       layer->n_out, to);
    }
    for (int l = 0; l < e->n_layers; to += e->layers[l].n_out, l++)
        gather_row((const real *)packed + e->layers[l].bias, PANEL, e->layers[l].n_out, to);
}

static void refresh_transposed(const struct engine *e)
{
    for (int l = 1; l < e->n_layers; l++)
        for (long p = 0; p < e->layers[l].out_panels; p++)
            transpose_weights(e, &e->layers[l], p, 0, e->layers[l].in_rows);
}

/* Output activation of rows in panels, where no loss is wanted. */
static void finish_rows(int output, real *z, long rows, long n_out, long panel, real *columns)
{
    if (output == ACTIVATION_softmax)
        softmax_rows(z, rows, n_out, panel, columns);
    else
        for (long p = 0; p * PANEL < n_out; p++)
            forward_run(output, z + p * panel, rows * PANEL);
}

/* Predictions of a block of rows, from packed parameters. */
static void forward_block(void *context, long block, int thread)
{
    const struct forward *f = context;
    const struct engine *e = f->engine;
    long first = block * f->block_rows, panel = (f->block_rows | 1) * PANEL;
    long n = f->n - first < f->block_rows ? f->n - first : f->block_rows;
    real *here = (real *)(f->scratch + thread * f->scratch_bytes);
    real *there = (real *)((char *)here + f->half_bytes);
    real *columns = (real *)((char *)there + f->half_bytes);
    const char *x = f->x.data + first * f->x.row_stride;
    for (long r = 0; r < n; r++, x += f->x.row_stride)
        scatter_row(x, f->x.column_stride, e->layers[0].n_in, here + r * PANEL, panel);
    const real *parameters = e->parameters;
    for (int l = 0; l < e->n_layers; l++) {
        const struct layer *layer = &e->layers[l];
        layer_product(n, layer->n_in, here, panel, parameters + layer->weights,
                      layer->in_rows * PANEL, parameters + layer->bias, 0, there, panel,
                      layer->out_panels, e->walk);
        for (long p = 0; p < layer->out_panels; p++)
            forward_run(layer->activation, there + p * panel, n * PANEL);
        real *swap = here;
        here = there;
        there = swap;
    }
    const struct layer *top = &e->layers[e->n_layers - 1];
    if (!f->scores)
        finish_rows(e->output, here, n, top->n_out, panel, columns);
    for (long r = 0; r < n; r++)
        gather_row(here + r * PANEL, panel, top->n_out,
                   (real *)f->out + (first + r) * top->n_out);
}

/* c = bias + a w for one row and a plain matrix w: the chains of the tiles, without packing. */
static void row_product(const real *a, long depth, const real *w, long n_out, const real *bias,
                        real *c)
{
    long j = 0;
    for (; j + 4 * LANES <= n_out; j += 4 * LANES) {
        vec sum[4];
        UNROLL for (int v = 0; v < 4; v++)
            sum[v] = load(bias + j + v * LANES);
        const real *w_k = w + j;
        for (long k = 0; k < depth; k++, w_k += n_out) {
            vec left = SPLAT(a[k]);
            UNROLL for (int v = 0; v < 4; v++)
                sum[v] = FMA(left, load(w_k + v * LANES), sum[v]);
        }
        UNROLL for (int v = 0; v < 4; v++)
            store(c + j + v * LANES, sum[v]);
    }
    for (; j + LANES <= n_out; j += LANES) {
        vec sum = load(bias + j);
        const real *w_k = w + j;
        for (long k = 0; k < depth; k++, w_k += n_out)
            sum = FMA(SPLAT(a[k]), load(w_k), sum);
        store(c + j, sum);
    }
    for (; j < n_out; j++) {
        real sum = bias[j];
        const real *w_k = w + j;
        for (long k = 0; k < depth; k++, w_k += n_out)
            sum = REAL_FMA(a[k], *w_k, sum);
        c[j] = sum;
    }
}

/* Predictions of a few rows, from plain parameters: packing them would cost more. */
static void forward_few(const struct engine *e, const void *flat, const struct forward *f)
{
    real *here = (real *)f->scratch, *there = (real *)(f->scratch + f->half_bytes);
    real *columns = (real *)(f->scratch + 2 * f->half_bytes);
    const struct layer *top = &e->layers[e->n_layers - 1];
    for (long row = 0; row < f->n; row++) {
        const char *x = f->x.data + row * f->x.row_stride;
        for (long c = 0; c < e->layers[0].n_in; c++, x += f->x.column_stride)
            here[c] = *(const real *)x;
        const real *w = flat, *bias = w;
        for (int l = 0; l < e->n_layers; l++)
            bias += e->layers[l].n_in * e->layers[l].n_out;
        for (int l = 0; l < e->n_layers; l++) {
            const struct layer *layer = &e->layers[l];
            row_product(here, layer->n_in, w, layer->n_out, bias, there);
            forward_run(layer->activation, there, layer->n_out);
            w += layer->n_in * layer->n_out;
            bias += layer->n_out;
            real *swap = here;
            here = there;
            there = swap;
        }
        if (!f->scores) /* one row is a panel of its own: panels follow each other */
            finish_rows(e->output, here, 1, top->n_out, PANEL, columns);
        memcpy((real *)f->out + row * top->n_out, here, (size_t)top->n_out * sizeof(real));
    }
}

#endif
