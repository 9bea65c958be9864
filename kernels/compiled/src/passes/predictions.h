/* Parameters in and out of panels, and predictions. */
#ifndef FASTMLP_NETWORKS_H
#define FASTMLP_NETWORKS_H

#include "formulas/activations.h"
#include "formulas/custom.h"
#include "fastmlp.h"
#include "matrices/few_rows.h"
#include "matrices/plain_weights.h"
#include "matrices/products.h"
#include "formulas/losses.h"
#include "matrices/panels.h"
#include "passes/sparse.h"

/* From one row of weights to the next, and from one panel to the next. */
INLINE long weight_row(const struct design *d, int l)
{
    return d->sparse && l == 0 ? d->layers[0].out_panels * PANEL : PANEL;
}
INLINE long weight_panel(const struct design *d, int l)
{
    return d->sparse && l == 0 ? PANEL : d->layers[l].in_rows * PANEL;
}

/* Plain parameters, as scikit-learn's users see them, into panels, and back. `packed` is where element
   `skipped` of the panels is. */
static void pack(const struct design *d, const void *flat, void *packed, int from_layer, long skipped)
{
    const real *from = flat;
    real *to = packed;
    for (int l = 0; l < d->n_layers; from += d->layers[l].n_in * d->layers[l].n_out, l++) {
        const struct layer *layer = &d->layers[l];
        if (l < from_layer)
            continue;
        if (d->sparse && l == 0) {
            for (long r = 0; r < layer->n_in; r++)
                scatter_row((const char *)(from + r * layer->n_out), sizeof(real), layer->n_out,
                            to + (layer->weights - skipped) + r * weight_row(d, 0), PANEL, 1);
            continue;
        }
        struct matrix m = {(const char *)from, layer->n_out * (long)sizeof(real), sizeof(real)};
        pack_panels(m, layer->n_in, layer->n_out, to + (layer->weights - skipped),
                    layer->in_rows * PANEL);
    }
    for (int l = 0; l < d->n_layers; from += d->layers[l].n_out, l++)
        scatter_row((const char *)from, sizeof(real), d->layers[l].n_out,
                    to + (d->layers[l].bias - skipped), PANEL, 1);
}

static void unpack(const struct design *d, const void *packed, void *flat)
{
    real *to = flat;
    for (int l = 0; l < d->n_layers; l++) {
        const struct layer *layer = &d->layers[l];
        for (long r = 0; r < layer->n_in; r++, to += layer->n_out)
            gather_row((const real *)packed + layer->weights + r * weight_row(d, l),
                       weight_panel(d, l), layer->n_out, to);
    }
    for (int l = 0; l < d->n_layers; to += d->layers[l].n_out, l++)
        gather_row((const real *)packed + d->layers[l].bias, PANEL, d->layers[l].n_out, to);
}

/* Some features of one panel of W into the panels of W^T, for the errors of the layer below. */
static void transpose_weights(const struct engine *e, const struct layer *layer, long panel,
                              long first, long last)
{
    const real *weights = (const real *)e->arena.parameters + layer->weights;
    real *transposed = layer->transposed;
    for (long f = first; f < last; f += PANEL)
        transpose_block(weights + (panel * layer->in_rows + f) * PANEL, PANEL,
                        transposed + (f * layer->out_panels + panel * PANEL) * PANEL, PANEL);
}

static void refresh_transposed(const struct engine *e)
{
    for (int l = 1; l < e->design.n_layers; l++)
        for (long p = 0; p < e->design.layers[l].out_panels; p++)
            transpose_weights(e, &e->design.layers[l], p, 0, e->design.layers[l].in_rows);
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

/* Weights of a layer as users have them. */
INLINE const real *flat_weights(const struct forward *f, int layer)
{
    const real *w = f->flat;
    for (int l = 0; l < layer; l++)
        w += f->design->layers[l].n_in * f->design->layers[l].n_out;
    return w;
}

/* Those of the first layer, for sparse rows. */
INLINE struct weight_rows plain_weights(const struct forward *f)
{
    const struct layer *layer = &f->design->layers[0];
    const real *w = f->flat;
    return (struct weight_rows){w, w + layer->n_in * layer->n_out, layer->n_out, layer->n_in,
                                whole_rows(layer->n_in, layer->n_out, layer->out_panels)};
}

/* One layer's activations of a block of rows that begins with row `first`, from those of the layer below. */
static void predict_layer(struct forward *f, int l, long first, long n, const real *a, real *z, long panel,
                          real *packed)
{
    const struct layer *layer = &f->design->layers[l];
    const real *parameters = f->packed, *bias = parameters + (layer->bias - f->skipped);
    const int by_entries = f->sparse && l == 0;
    const struct epilogue epilogue = forward_epilogue(layer->activation);
    if (by_entries)
        sparse_product(f->sparse, NULL, first, n, plain_weights(f), layer->out_panels, 1, bias, z, panel,
                       &f->fault);
    else if (layer->weights < f->skipped)
        plain_product(n, layer->n_in, a, panel, flat_weights(f, l), layer->n_out, bias, epilogue, z, panel,
                      packed);
    else
        layer_product(n, layer->n_in, a, panel, parameters + (layer->weights - f->skipped),
                      layer->in_rows * PANEL, bias, 0, epilogue, z, panel, layer->out_panels);
    if (by_entries || !in_tiles(layer->activation))
        for (long p = 0; p < layer->out_panels; p++)
            activate_run(layer->activation, layer->custom, z + p * panel, n * PANEL);
}

/* Predictions of a block of rows. */
static void forward_block(void *context, long block, int thread)
{
    struct forward *f = context;
    const struct design *d = f->design;
    long first = block * f->block_rows, panel = (f->block_rows | 1) * PANEL;
    long n = f->n - first < f->block_rows ? f->n - first : f->block_rows;
    real *here = (real *)(f->scratch + thread * f->scratch_bytes);
    real *there = (real *)((char *)here + f->half_bytes);
    real *packed = (real *)((char *)there + f->half_bytes);
    real *columns = (real *)((char *)packed + PLAIN_SCRATCH);
    const char *x = f->x.data + first * f->x.row_stride;
    for (long r = 0; !f->sparse && r < n; r++, x += f->x.row_stride)
        scatter_row(x, f->x.column_stride, d->layers[0].n_in, here + r * PANEL, panel, 0);
    for (int l = 0; l < d->n_layers; l++) {
        predict_layer(f, l, first, n, here, there, panel, packed);
        real *swap = here;
        here = there;
        there = swap;
    }
    const struct layer *top = &d->layers[d->n_layers - 1];
    if (!f->scores)
        finish_rows(d->output, here, n, top->n_out, panel, columns);
    for (long r = 0; r < n; r++)
        gather_row(here + r * PANEL, panel, top->n_out,
                   (real *)f->out + (first + r) * top->n_out);
}

/* One layer of a few rows that lie one after the other; sparse rows are those of the caller. */
static void few_rows_layer(struct forward *f, int l, const struct few_rows *product)
{
    const struct layer *layer = &f->design->layers[l];
    if (f->sparse && l == 0)
        for (long r = 0; r < f->n; r++) { /* `a` is free for the bias, `c` for a row, with their padding */
            real *bias = (real *)f->scratch, *z = (real *)(f->scratch + f->half_bytes);
            scatter_row((const char *)product->bias, sizeof(real), layer->n_out, bias, PANEL, 1);
            sparse_product(f->sparse, NULL, r, 1, plain_weights(f), layer->out_panels, 1, bias,
                           z + r * layer->n_out, PANEL, &f->fault);
        }
    else
        few_rows_product(f->n, *product);
    activate_run(layer->activation, layer->custom, product->c, f->n * layer->n_out);
}

/* The output activation of a few rows, and where they go. */
static void finish_few_rows(struct forward *f, const real *z, real *panels, real *columns)
{
    const long n_out = f->design->layers[f->design->n_layers - 1].n_out, n = f->n;
    real *out = f->out;
    memcpy(out, z, (size_t)(n * n_out) * sizeof(real));
    if (f->scores)
        return;
    if (f->design->output != ACTIVATION_softmax) {
        forward_run(f->design->output, out, n * n_out);
        return;
    }
    const long panel = n * PANEL;
    for (long r = 0; r < n; r++)
        scatter_row((const char *)(z + r * n_out), sizeof(real), n_out, panels + r * PANEL, panel, 1);
    softmax_rows(panels, n, n_out, panel, columns);
    for (long r = 0; r < n; r++)
        gather_row(panels + r * PANEL, panel, n_out, out + r * n_out);
}

/* Predictions of a few rows, from plain parameters: packing them would cost more. */
static void forward_few(const struct design *d, const void *flat, struct forward *f)
{
    real *here = (real *)f->scratch, *there = (real *)(f->scratch + f->half_bytes);
    real *columns = (real *)(f->scratch + 2 * f->half_bytes);
    const long n_in = d->layers[0].n_in, real_bytes = (long)sizeof(real);
    const struct matrix *x = &f->x;
    const int in_place = !f->sparse && x->column_stride == real_bytes && x->row_stride % real_bytes == 0;
    for (long r = 0; !f->sparse && !in_place && r < f->n; r++)
        for (long c = 0; c < n_in; c++)
            here[r * n_in + c] = *(const real *)(x->data + r * x->row_stride + c * x->column_stride);
    struct few_rows p = {.a = in_place ? (const real *)x->data : here,
                         .a_row = in_place ? x->row_stride / real_bytes : n_in, .w = flat, .bias = flat};
    for (int l = 0; l < d->n_layers; l++)
        p.bias += d->layers[l].n_in * d->layers[l].n_out;
    for (int l = 0; l < d->n_layers; l++) {
        const struct layer *layer = &d->layers[l];
        p.depth = layer->n_in;
        p.n_out = p.w_row = p.c_row = p.a_row = layer->n_out;
        p.a_row = l ? layer->n_in : in_place ? x->row_stride / real_bytes : n_in;
        p.c = there;
        few_rows_layer(f, l, &p);
        p.w += layer->n_in * layer->n_out;
        p.bias += layer->n_out;
        p.a = there;
        there = here;
        here = p.c;
    }
    finish_few_rows(f, here, there, columns);
}

#endif
