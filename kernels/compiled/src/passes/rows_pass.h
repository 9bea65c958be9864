/* The first pass of a training step, over blocks of rows: gather, dropout, forward through all
   layers, loss, errors back. A block is the work of one thread, see engine.c. */
#ifndef FASTMLP_ROWS_PASS_H
#define FASTMLP_ROWS_PASS_H

#include "formulas/activations.h"
#include "formulas/custom.h"
#include "formulas/dropout.h"
#include "fastmlp.h"
#include "matrices/products.h"
#include "passes/prefetch.h"
#include "formulas/output_layer.h"
#include "passes/predictions.h"
#include "matrices/panels.h"
#include "passes/sparse.h"
#include "work.h"

/* Copy rows of the samples, as the order names them, into the panels of the batch. Padding is
   never read there. */
static void gather_rows(const struct engine *e, long first, long n)
{
    const struct samples *s = e->pass.samples;
    const struct matrix x = s->x, y = s->target;
    const long n_in = e->design.layers[0].n_in, n_out = e->design.layers[e->design.n_layers - 1].n_out;
    const long panel = e->design.batch_panel, position = e->pass.first_row, end = first + n;
    const long ahead = position + rows_ahead(n_in), last = s->n_rows - 1;
    real *target = e->arena.target, *input = e->arena.input, *scale = e->arena.row_scale;
    int64_t *labels = e->arena.labels;
    for (long r = first; r < end && !e->design.sparse; r++) {
        const long at = row_at(s->order, position + r), soon = row_at(s->order, min(ahead + r, last));
        scatter_and_prefetch(x.data + at * x.row_stride, x.data + soon * x.row_stride, x.column_stride,
                             n_in, input + r * PANEL, panel);
        __builtin_prefetch(s->labels ? (const char *)(s->labels + soon) : y.data + soon * y.row_stride, 0, 2);
    }
    for (long r = first; r < end; r++) {
        const long at = row_at(s->order, position + r);
        if (s->labels)
            labels[r] = s->labels[at];
        else
            scatter_row(y.data + at * y.row_stride, y.column_stride, n_out, target + r * PANEL, panel, 0);
    }
    const real one = (real)e->pass.scale;
    for (long r = first; r < end; r++)
        scale[r] = one;
    for (long r = first; r < end && s->sample_weight; r++)
        scale[r] = (real)(weight_at(s->sample_weight, sizeof(real), row_at(s->order, position + r),
                                    e->pass.unit) * e->pass.scale);
}

/* Drop units of a layer's output (0: of the input, whose slope nobody needs). */
static void drop_units(const struct engine *e, int layer, double p, long first, long rows,
                       long panels, real *a, real *slope)
{
    const struct dropout d = dropout_of(p, e->design.seed, e->pass.step, layer);
    for (long i = 0; i < panels; i++)
        drop_run(&d, i, e->pass.position + first, rows, a + i * e->design.batch_panel,
                 slope ? slope + i * e->design.batch_panel : NULL);
}

/* Activations of a layer from its pre-activations, in place; with what its derivatives need. */
static void activate_rows(const struct engine *e, int l, long first, long rows)
{
    const struct layer *layer = &e->design.layers[l];
    const long panel = e->design.batch_panel;
    real *z = (real *)layer->output + first * PANEL;
    if (layer->slope == NULL) {
        for (long p = 0; p < layer->out_panels; p++)
            forward_run(layer->activation, z + p * panel, rows * PANEL);
        return;
    }
    real *slope = (real *)layer->slope + first * PANEL;
    for (long p = 0; p < layer->out_panels; p++)
        layer_both(layer, z + p * panel, slope + p * panel, rows, layer->n_out - p * PANEL);
    if (layer->dropout > 0)
        drop_units(e, l + 1, layer->dropout, first, rows, layer->out_panels, z, slope);
}

/* One layer's activations of a block of rows, from those of the layer below. */
static void forward_layer(struct engine *e, int l, long first, long n, const real *a)
{
    const struct layer *layer = &e->design.layers[l];
    const real *parameters = e->arena.parameters;
    const real *weights = parameters + layer->weights, *bias = parameters + layer->bias;
    const long panel = e->design.batch_panel;
    const int by_entries = e->design.sparse && l == 0;
    real *z = (real *)layer->output + first * PANEL;
    if (by_entries)
        sparse_product(&e->pass.rows.x, e->pass.rows.order, e->pass.rows.first + first, n,
                       (struct weight_rows){weights, NULL, weight_row(&e->design, 0), layer->n_in,
                                            layer->n_in},
                       layer->out_panels, (real)e->arena.shrink, bias, z, panel, &e->pass.fault);
    else if (l == e->design.n_layers - 1 && layer->transposed &&
             is_narrow_product(layer->n_in, layer->n_out))
        narrow_product(n, layer->n_in, a, panel, layer->transposed,
                       layer->out_panels * PANEL * PANEL, bias, z, layer->n_out);
    else
        half_product(n, layer->n_in, a, panel, weights, layer->in_rows * PANEL, bias, 0,
                     layer->slope ? PLAIN_EPILOGUE : forward_epilogue(layer->activation), z, panel,
                     layer->out_panels, vectors_of(layer->n_out) % VECTORS != 0);
    if (by_entries || layer->slope || !in_tiles(layer->activation))
        activate_rows(e, l, first, n);
}

/* Loss and errors of the output layer. */
static void output_errors(struct engine *e, long first, long n, int thread)
{
    const struct layer *top = &e->design.layers[e->design.n_layers - 1];
    const long start = first * PANEL;
    struct output_layer output = {
        .loss = &e->design.loss, .output = e->design.output, .fault = &e->pass.fault,
        .rows = n, .n_out = top->n_out, .panel = e->design.batch_panel,
        .z = (const real *)top->output + start, .y = (const real *)e->arena.target + start,
        .labels = e->pass.samples->labels ? e->arena.labels + first : NULL,
        .scale = (const real *)e->arena.row_scale + first,
        .factors = &e->pass.samples->factors, .targets = e->pass.samples->targets,
        .order = e->pass.samples->order, .first = e->pass.first_row + first,
        .delta = (real *)top->delta + start, .row_loss = (real *)e->arena.row_loss + first,
        .columns = (real *)(e->arena.scratch + thread * e->arena.scratch_bytes),
    };
    output_layer(&output);
}

/* Errors of the layer below layer l. */
static void backward_layer(const struct engine *e, int l, long first, long n)
{
    const struct layer *above = &e->design.layers[l], *layer = &e->design.layers[l - 1];
    const long panel = e->design.batch_panel, start = first * PANEL;
    real *delta = (real *)layer->delta + start;
    const real *activations = (const real *)layer->output + start;
    const struct epilogue epilogue =
        layer->slope ? PLAIN_EPILOGUE : backward_epilogue(layer->activation, delta, activations);
    half_product(n, above->n_out, (const real *)above->delta + start, panel, above->transposed,
                 above->out_panels * PANEL * PANEL, NULL, 0, epilogue, delta, panel, layer->out_panels,
                 vectors_of(layer->n_out) % VECTORS != 0);
    const real *slope = layer->slope ? (const real *)layer->slope + start : NULL;
    for (long p = 0; p < layer->out_panels && !epilogue.gate; p++)
        if (slope)
            multiply_run(delta + p * panel, slope + p * panel, n * PANEL);
        else
            backward_run(layer->activation, delta + p * panel, activations + p * panel, n * PANEL);
}

static void rows_block(void *engine, long block, int thread)
{
    struct engine *e = engine;
    const long first = (e->pass.first_block + block) * e->pass.block_rows;
    const long n = min(e->pass.n_rows - first, e->pass.block_rows);
    gather_rows(e, first, n);
    if (e->design.input_dropout > 0 && !e->design.sparse)
        drop_units(e, 0, e->design.input_dropout, first, n, e->design.layers[0].in_panels,
                   (real *)e->arena.input + first * PANEL, NULL);
    const real *a = (const real *)e->arena.input + first * PANEL;
    for (int l = 0; l < e->design.n_layers; l++) {
        forward_layer(e, l, first, n, a);
        a = (const real *)e->design.layers[l].output + first * PANEL;
    }
    output_errors(e, first, n, thread);
    for (int l = e->design.n_layers - 1; l > e->design.lowest; l--) /* below, nothing learns */
        backward_layer(e, l, first, n);
}

#endif
