/* Steps of plain descent of small networks: the arithmetic of the two passes, in the same order, without what
   larger ones need. There are no blocks of depth, no groups of tasks and no threads: a step of 4-16-3 is some
   500 multiplications of vectors, and to decide how to make them would take longer. */
#ifndef FASTMLP_SMALL_STEPS_H
#define FASTMLP_SMALL_STEPS_H

#include "passes/small/narrow_outputs.h"
#include "passes/small/rows.h"
#include "passes/weights_pass.h"

/* The rows of a step, which are all of its batch. */
static void small_rows(struct engine *e)
{
    const long n = e->pass.n_rows, panel = e->design.batch_panel;
    const int top = e->design.n_layers - 1, narrow = has_narrow_output(e);
    const struct parts parts = parts_of(n, TILE_ROWS);
    struct forward_call call = {.a_panel = panel, .c_row = PANEL, .c_panel = panel, .init_panel = PANEL};
    const real *a = few_inputs(e, n);
    const int single = a != e->arena.input;
    const int begun = e->pass.begun && e->pass.begun == e->pass.first_row && e->arena.few_next == a;
    e->arena.few = a;
    e->arena.few_next = single ? next_single(e) : NULL;
    e->pass.begun = 0;
    prefetch_soon(e, n);
    (narrow ? few_labels : few_targets)(e, n);
    call.a_panel = a == e->arena.input ? panel : PANEL;
    if (e->pass.fault)
        return;
    for (int l = 0; l <= top - narrow; l++) {
        small_forward(e, parts, l, a, begun && l == 0, &call);
        call.a_panel = panel;
        a = e->design.layers[l].output;
    }
    if (narrow)
        narrow_outputs(e);
    else
        output_errors(e, 0, n, 0);
    for (int l = top; l > 0; l--)
        small_backward(e, parts, l, &call);
}

/* Descent of a panel of biases along the sum of its errors, in the order of sum_rows. */
INLINE void descend_bias(const int vectors, const real *d, long rows, vec rate, real *b)
{
    UNROLL for (int v = 0; v < vectors; v++, d += LANES, b += LANES) {
        vec sum[4] = {{0}, {0}, {0}, {0}};
        long r = 0;
        for (; r + 4 <= rows; r += 4)
            UNROLL for (int i = 0; i < 4; i++)
                sum[i] += load(d + (r + i) * PANEL);
        for (; r < rows; r++)
            sum[0] += load(d + r * PANEL);
        const vec total = (sum[0] + sum[1]) + (sum[2] + sum[3]);
        store(b, FMA(rate, total, load(b)));
    }
}

/* Descent of one panel of weights along its whole depth. */
static void descend_panel(const struct descent *by, int half, long rows, long features, const real *a, long a_panel,
                          const real *d, real *w)
{
    static few_descent *const few[2][FEW_DESCENT] = {{descend_1_whole, descend_2_whole, descend_3_whole},
                                                     {descend_1_half, descend_2_half, descend_3_half}};
    if (rows <= FEW_DESCENT) {
        few[half][rows - 1](features, a, a_panel, d, by->rate, w);
        return;
    }
    for (; features > 0; features -= PANEL, a += a_panel, w += PANEL * PANEL) {
        const long here = min(features, PANEL);
        const struct parts parts = feature_parts(here, TILE_FEATURES);
#if TILE_FEATURES >= 6
        const struct columns_of_tile columns = {0, half ? TILE_HALF : VECTORS};
        if (here == PANEL) {
            steps_of(columns)(rows, a, d, a, w, by);
            continue;
        }
#endif
        for (long i = 0, t = 0, part; i < here; i += part, t++) {
            part = part_at(parts, t);
            if (half)
                descent_halves[part - 1](rows, a + i, d, a, NULL, w + i * PANEL, by);
            else
                few_tiles[part - 1](rows, a + i, d, w + i * PANEL, by);
        }
    }
}

/* The same for a layer of few outputs, on whole panels of features: its columns are rows of W^T, which need no
   padding; W is turned out of them. */
static int descends_turned(const struct layer *layer, long rows)
{
    return layer->transposed && rows > FEW_DESCENT && layer->n_in % PANEL == 0 &&
           layer->n_out <= min(FEW_OUTPUTS, min(TILE_FEATURES, LANES));
}

static void descend_turned(const struct descent *by, long rows, const struct layer *layer, const real *a, real *w)
{
    real *turned = layer->transposed;
    for (long f = 0; f < layer->n_in; f += PANEL, a += by->d_panel, turned += PANEL * PANEL, w += PANEL * PANEL) {
        few_tiles[layer->n_out - 1](rows, layer->delta, a, turned, by);
        for (int k = 0; k < PANEL; k += LANES)
            transpose_square(turned + k, PANEL, w + k * PANEL, PANEL);
    }
}

/* Descent of layers from `first` on. The next step waits for layer 0, which therefore comes before the others. */
static void descend_layers(struct engine *e, const struct descent *by, int first)
{
    const long rows = e->pass.n_rows, panel = e->design.batch_panel;
    const vec rate = SPLAT((real)-by->rate);
    const real *a = first ? e->design.layers[first - 1].output : e->arena.few;
    long a_panel = a == e->arena.few && a != e->arena.input ? PANEL : panel;
    real *parameters = e->arena.parameters;
    for (int l = first; l < e->design.n_layers; l++, a_panel = panel) {
        const struct layer *layer = &e->design.layers[l];
        const real *d = layer->delta;
        real *w = parameters + layer->weights, *b = parameters + layer->bias;
        const int turned = descends_turned(layer, rows);
        if (turned)
            descend_turned(by, rows, layer, a, w);
        for (long p = 0, columns = layer->n_out; columns > 0; p++, columns -= PANEL, d += panel, b += PANEL) {
            const int half = columns <= PANEL / 2;
            if (!turned)
                descend_panel(by, half, rows, layer->n_in, a, a_panel, d, w + p * layer->in_rows * PANEL);
            if (half)
                descend_bias(TILE_HALF ? TILE_HALF : 1, d, rows, rate, b);
            else
                descend_bias(VECTORS, d, rows, rate, b);
            if (layer->transposed && !turned)
                transpose_weights(e, layer, p, 0, layer->n_in);
        }
        a = layer->output;
    }
}

/* Descent of layer 0 with a single row, which begins the next step: its sums take the place of activations that
   nobody reads any more. */
static void begin_next_step(struct engine *e, const struct descent *by)
{
    const struct layer *layer = &e->design.layers[0];
    const vec rate = SPLAT((real)-by->rate);
    real *w = (real *)e->arena.parameters + layer->weights, *b = (real *)e->arena.parameters + layer->bias;
    const real *d = layer->delta;
    real *z = layer->output;
    for (long columns = layer->n_out; columns > 0; columns -= PANEL) {
        descend_bias(VECTORS, d, 1, rate, b);
        (columns <= PANEL / 2 ? begin_half : begin_whole)(layer->n_in, e->arena.few, e->arena.few_next, d, by->rate,
                                                          w, b, z);
        b += PANEL;
        w += layer->in_rows * PANEL;
        d += e->design.batch_panel;
        z += e->design.batch_panel;
    }
    e->pass.begun = e->pass.first_row + 1;
}

/* The step of plain descent behind them. */
static void small_descent(struct engine *e)
{
    const struct descent by = {.rate = e->pass.update.rate, .d_panel = e->design.batch_panel};
    descend_layers(e, &by, e->arena.few_next != NULL);
    if (e->arena.few_next)
        begin_next_step(e, &by);
}

/* fastmlp_step where is_small_step says so. */
static double small_step(struct engine *e, const struct samples *samples, long first_row, long n_rows, long step,
                         double rate)
{
    const real *losses = e->arena.row_loss;
    double loss = 0;
    e->pass.samples = samples;
    e->pass.shards = NULL;
    e->pass.fault = FAULT_none;
    e->pass.step = step;
    e->pass.first_row = first_row;
    e->pass.n_rows = n_rows;
    e->pass.unit = 1;
    e->pass.scale = 1 / (double)n_rows;
    e->pass.update.rate = rate;
    small_rows(e);
    if (e->pass.fault) /* parameters are still as the last step left them */
        return NAN;
    small_descent(e);
    for (long r = 0; r < n_rows; r++)
        loss += losses[r];
    return loss * e->pass.scale;
}

#endif
