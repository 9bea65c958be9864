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
#include "formulas/losses.h"
#include "passes/predictions.h"
#include "matrices/panels.h"
#include "passes/sparse.h"
#include "work.h"

/* Copy rows of the samples, as the order names them, into the panels of the batch. Padding is
   never read there. */
static void gather_rows(const struct engine *e, long first, long n)
{
    const struct samples *s = e->samples;
    const struct layer *bottom = &e->layers[0], *top = &e->layers[e->n_layers - 1];
    real *target = e->target, *input = e->input, *scale = e->row_scale;
    const long ahead = rows_ahead(bottom->n_in), last = s->n_rows - 1;
    for (long r = first; r < first + n; r++) {
        long at = row_at(s->order, e->first_row + r);
        if (!e->sparse) {
            const long soon = row_at(s->order, least(e->first_row + r + ahead, last));
            scatter_and_ask(s->x.data + at * s->x.row_stride, s->x.data + soon * s->x.row_stride,
                            s->x.column_stride, bottom->n_in, input + r * PANEL, e->batch_panel);
        }
        if (s->labels) {
            e->labels[r] = s->labels[at];
        } else {
            scatter_row(s->target.data + at * s->target.row_stride, s->target.column_stride,
                        top->n_out, target + r * PANEL, e->batch_panel, 0);
        }
        real weight = s->sample_weight ? ((const real *)s->sample_weight)[at] : (real)1;
        scale[r] = (real)(weight * e->scale);
    }
}

/* Drop units of a layer's output (0: of the input, whose slope nobody needs). */
static void drop_units(const struct engine *e, int layer, double p, long first, long rows,
                       long panels, real *a, real *slope)
{
    const struct dropout d = dropout_of(p, e->seed, e->step, layer);
    for (long i = 0; i < panels; i++)
        drop_run(&d, i, e->position + first, rows, a + i * e->batch_panel,
                 slope ? slope + i * e->batch_panel : NULL);
}

/* Activations of a layer from its scores, in place; with what its derivatives need. */
static void activate_rows(const struct engine *e, int l, long first, long rows)
{
    const struct layer *layer = &e->layers[l];
    const long panel = e->batch_panel;
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

static void rows_block(void *engine, long block, int thread)
{
    const struct engine *e = engine;
    long first = block * e->block_rows, panel = e->batch_panel, start = first * PANEL;
    long n = e->n_rows - first < e->block_rows ? e->n_rows - first : e->block_rows;
    gather_rows(e, first, n);
    if (e->input_dropout > 0 && !e->sparse)
        drop_units(e, 0, e->input_dropout, first, n, e->layers[0].in_panels,
                   (real *)e->input + start, NULL);

    const real *parameters = e->parameters, *a = (const real *)e->input + start;
    for (int l = 0; l < e->n_layers; l++) {
        const struct layer *layer = &e->layers[l];
        real *z = (real *)layer->output + start;
        const int by_entries = e->sparse && l == 0;
        if (by_entries)
            sparse_product(&e->rows.x, e->rows.order, e->rows.first + first, n,
                           (struct weight_rows){parameters + layer->weights, NULL,
                                                weight_row(e, 0)},
                           layer->out_panels, (real)e->shrink, parameters + layer->bias, z, panel);
        else if (l == e->n_layers - 1 && layer->transposed &&
                 is_narrow_product(layer->n_in, layer->n_out))
            narrow_product(n, layer->n_in, a, panel, layer->transposed,
                           layer->out_panels * PANEL * PANEL, parameters + layer->bias, z,
                           layer->n_out);
        else
            layer_product(n, layer->n_in, a, panel, parameters + layer->weights,
                          layer->in_rows * PANEL, parameters + layer->bias, 0,
                          layer->slope ? PLAIN_ENDING : forward_ending(layer->activation), z, panel,
                          layer->out_panels);
        if (by_entries || layer->slope || !in_tiles(layer->activation))
            activate_rows(e, l, first, n);
        a = z;
    }

    const struct layer *top = &e->layers[e->n_layers - 1];
    struct output_layer output = {
        .loss = &e->loss, .output = e->output, .rows = n, .n_out = top->n_out, .panel = panel,
        .z = (const real *)top->output + start, .y = (const real *)e->target + start,
        .labels = e->samples->labels ? e->labels + first : NULL,
        .scale = (const real *)e->row_scale + first,
        .delta = (real *)top->delta + start, .row_loss = (real *)e->row_loss + first,
        .columns = (real *)(e->scratch + thread * e->scratch_bytes),
    };
    output_layer(&output);

    for (int l = e->n_layers - 1; l > e->lowest; l--) { /* below, nothing learns */
        const struct layer *above = &e->layers[l], *layer = &e->layers[l - 1];
        real *delta = (real *)layer->delta + start;
        const real *activations = (const real *)layer->output + start;
        const struct ending ending = layer->slope ? PLAIN_ENDING
                                                  : backward_ending(layer->activation, delta, activations);
        layer_product(n, above->n_out, (const real *)above->delta + start, panel,
                      above->transposed, above->out_panels * PANEL * PANEL, NULL, 0, ending, delta,
                      panel, layer->out_panels);
        const real *slope = layer->slope ? (const real *)layer->slope + start : NULL;
        for (long p = 0; p < layer->out_panels && !ending.gate; p++)
            if (slope)
                multiply_run(delta + p * panel, slope + p * panel, n * PANEL);
            else
                backward_run(layer->activation, delta + p * panel, activations + p * panel,
                             n * PANEL);
    }
}

#endif
