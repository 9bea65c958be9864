/* Parameters in and out of panels, and predictions. */
#ifndef FASTMLP_NETWORKS_H
#define FASTMLP_NETWORKS_H

#include "formulas/activations.h"
#include "formulas/custom.h"
#include "fastmlp.h"
#include "matrices/few_outputs.h"
#include "matrices/plain_weights.h"
#include "matrices/products.h"
#include "matrices/row_tiles.h"
#include "formulas/output_layer.h"
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

/* Rows first … last - 1 of a layer's plain weights into panels. `packed` is where element `skipped` of all
   panels is. */
static void pack_weights(const struct design *d, const void *flat, void *packed, long skipped, int l,
                         long first, long last)
{
    const struct layer *layer = &d->layers[l];
    const real *from = flat;
    for (int below = 0; below < l; below++)
        from += d->layers[below].n_in * d->layers[below].n_out;
    from += first * layer->n_out;
    real *to = (real *)packed + (layer->weights - skipped) + first * weight_row(d, l);
    if (d->sparse && l == 0) {
        for (long r = first; r < last; r++, from += layer->n_out, to += weight_row(d, 0))
            scatter_row((const char *)from, sizeof(real), layer->n_out, to, PANEL, 1);
        return;
    }
    struct matrix m = {(const char *)from, layer->n_out * (long)sizeof(real), sizeof(real)};
    pack_panels(m, last - first, layer->n_out, to, layer->in_rows * PANEL);
}

/* Plain parameters, as scikit-learn's users see them, into panels: the weights of layers from `from_layer`
   on, and all biases. */
static void pack(const struct design *d, const void *flat, void *packed, int from_layer, long skipped)
{
    const real *from = flat;
    real *to = packed;
    for (int l = 0; l < d->n_layers; from += d->layers[l].n_in * d->layers[l].n_out, l++)
        if (l >= from_layer)
            pack_weights(d, flat, packed, skipped, l, 0, d->layers[l].n_in);
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
    const long columns = min(layer->n_out - panel * PANEL, PANEL); /* of W: those that are rows of W^T */
    for (long f = first; f < last; f += PANEL)
        transpose_columns(columns, weights + (panel * layer->in_rows + f) * PANEL, PANEL,
                          transposed + (f * layer->out_panels + panel * PANEL) * PANEL, PANEL);
}

static void refresh_transposed(const struct engine *e)
{
    for (int l = 1; l < e->design.n_layers; l++)
        for (long p = 0; p < e->design.layers[l].out_panels; p++)
            transpose_weights(e, &e->design.layers[l], p, 0, e->design.layers[l].in_rows);
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

/* Rows of a layer, where they are: in rows, or in panels where `panel` is not PANEL. */
struct row_place {
    real *at;
    long row, panel; /* elements from one row, and from one panel, to the next */
};

/* Rows of `columns` elements. Those that fill less than a panel lie without padding, if they are complete
   `in_one_go`: see row_tiles.h. */
static struct row_place place_rows(real *at, long columns, int in_one_go)
{
    return (struct row_place){at, columns < PANEL && in_one_go ? columns : row_apart(columns), PANEL};
}

/* Whether the product of layer l goes over its depth at once. */
INLINE int in_one_go(const struct forward *f, int l)
{
    const struct layer *layer = &f->design->layers[l];
    return !(f->sparse && l == 0) &&
           layer->n_in <= (layer->weights < f->skipped ? PLAIN_DEPTH : f->depth_block);
}

/* Where n rows of layer l go. Softmax goes over columns, for which it wants panels. */
INLINE struct row_place place_layer(const struct forward *f, int l, real *at, long n)
{
    const struct design *d = f->design;
    if (l == d->n_layers - 1 && !f->scores && d->output == ACTIVATION_softmax)
        return (struct row_place){at, PANEL, (n | 1) * PANEL};
    return place_rows(at, d->layers[l].n_out, in_one_go(f, l));
}

/* Rows first … first + n - 1 of layer l: those of the layer below, and where they go. */
struct layer_rows {
    struct forward *f;
    int l;
    long first, n;
    const real *a;
    ptrdiff_t a_row;
    struct row_place z;
    long panels; /* of a task's columns */
};

/* The scores of the columns of a block, which begin with a panel, by weights in panels or where they lie. */
static void row_scores(const struct layer_rows *s, long panel, struct row_block m, real *packed)
{
    const struct forward *f = s->f;
    const struct layer *layer = &f->design->layers[s->l];
    const int plain = layer->weights < f->skipped;
    const long w_row = plain ? layer->n_out : PANEL, w_panel = plain ? PANEL : layer->in_rows * PANEL;
    const real *w = plain ? flat_weights(f, s->l) : (const real *)f->packed + (layer->weights - f->skipped);
    w += panel * w_panel;
    if (s->l > 0 || layer->n_in % LANES == 0) /* else vectors would go beyond the caller's rows */
        take_few_outputs(&m, (struct few_weights){w, w_row, 1, w_row * PANEL});
    if (m.rows == 0)
        return;
    if (plain)
        plain_product(&m, w, w_row, packed);
    else
        block_product(&m, w, w_panel);
}

/* A task's activations, from a panel of columns on. */
static void layer_columns(const struct layer_rows *s, long panel, real *packed)
{
    struct forward *f = s->f;
    const struct layer *layer = &f->design->layers[s->l];
    const struct row_place z = s->z;
    const long columns = min(layer->n_out - panel * PANEL, s->panels * PANEL);
    const long others = s->l == 0 && !f->sparse ? min(f->n - s->first - s->n, s->n) : 0;
    const real *parameters = f->packed, *bias = parameters + (layer->bias - f->skipped) + panel * PANEL;
    real *c = z.at + panel * z.panel;
    const int by_entries = f->sparse && s->l == 0;
    if (by_entries) /* of all columns */
        for (long r = 0; r < s->n; r++)
            sparse_product(f->sparse, NULL, s->first + r, 1, plain_weights(f), layer->out_panels, 1, bias,
                           z.at + r * z.row, z.panel, &f->fault);
    else
        row_scores(s, panel, (struct row_block){
            .rows = s->n, .depth = layer->n_in, .a_row = s->a_row, .a_panel = PANEL, .c_row = z.row, .c_panel = z.panel,
            .a = s->a, .c = c, .columns = columns, .bias = bias,
            .lowest = forward_epilogue(layer->activation).lowest, .depth_block = f->depth_block,
            .next = s->a + s->n * s->a_row, .next_elements = s->a_row < 2 * layer->n_in ? others * s->a_row : 0,
        }, packed);
    if (layer->activation == ACTIVATION_identity || (in_tiles(layer->activation) && !by_entries))
        return;
    const int with_padding = layer->activation != ACTIVATION_custom; /* functions of users see none */
    if (z.row == columns || (with_padding && z.row < columns + PANEL)) /* all rows are one run */
        activate_run(layer->activation, layer->custom, c, s->n * z.row);
    else
        for (long r = 0; r < s->n; r++)
            activate_run(layer->activation, layer->custom, c + r * z.row, columns);
}

/* Where a thread packs a piece of weights. */
INLINE real *packed_of(const struct forward *f, int thread)
{
    return (real *)(f->scratch + thread * f->scratch_bytes + 2 * f->half_bytes);
}

static void columns_task(void *context, long task, int thread)
{
    const struct layer_rows *s = context;
    layer_columns(s, task * s->panels, packed_of(s->f, thread));
}

/* One layer's activations of a block of rows, from those of the layer below. */
static void predict_layer(struct layer_rows *s, int thread)
{
    const struct layer *layer = &s->f->design->layers[s->l];
    const int threads = is_shared(layer, sizeof(real)) && !(s->f->sparse && s->l == 0) ? s->f->column_threads : 1;
    s->panels = round_up(blocks_of(layer->out_panels, threads), TILE_PANELS);
    if (threads == 1)
        layer_columns(s, 0, packed_of(s->f, thread));
    else
        fastmlp_parallel(threads, blocks_of(layer->out_panels, s->panels), columns_task, s);
}

/* The output activation of n rows of scores, and where they go. */
static void finish_rows(struct forward *f, struct row_place z, long first, long n, real *columns)
{
    const struct design *d = f->design;
    const long n_out = d->layers[d->n_layers - 1].n_out;
    real *out = (real *)f->out + first * n_out;
    if (!f->scores && d->output == ACTIVATION_softmax)
        softmax_rows(z.at, n, n_out, z.panel, columns);
    if (z.row == n_out)
        memcpy(out, z.at, (size_t)(n * n_out) * sizeof(real));
    else
        for (long r = 0; r < n; r++)
            gather_row(z.at + r * z.row, z.panel, n_out, out + r * n_out);
    if (!f->scores && d->output != ACTIVATION_softmax)
        forward_run(d->output, out, n * n_out);
}

/* Predictions of a block of rows. */
static void forward_block(void *context, long block, int thread)
{
    struct forward *f = context;
    const long first = block * f->block_rows, n = min(f->n - first, f->block_rows);
    real *here = (real *)(f->scratch + thread * f->scratch_bytes);
    real *there = (real *)((char *)here + f->half_bytes);
    struct matrix x = f->x;
    x.data += first * x.row_stride;
    struct layer_rows s = {.f = f, .first = first, .n = n};
    s.a = f->sparse ? NULL : rows_in_place(x, n, f->design->layers[0].n_in, here, &s.a_row);
    for (; s.l < f->design->n_layers; s.l++) {
        s.z = place_layer(f, s.l, there, n);
        predict_layer(&s, thread);
        there = here;
        s.a = here = s.z.at;
        s.a_row = s.z.row;
    }
    finish_rows(f, s.z, first, n, (real *)((char *)packed_of(f, thread) + PLAIN_SCRATCH));
}

#endif
