/* Predictions of a few rows: weights are read where they lie, once for all rows, and layers with many of them
   are shared among threads. */
#ifndef FASTMLP_FEW_PREDICTIONS_H
#define FASTMLP_FEW_PREDICTIONS_H

#include "matrices/few_rows.h"
#include "passes/predictions.h"

struct few_shared {
    struct forward *f;
    const struct layer *layer;
    const struct few_rows *product;
    long columns; /* of a task */
};

/* One layer of a few rows; a thread takes some columns of it. */
static void few_columns_task(void *context, long task, int thread)
{
    (void)thread;
    const struct few_shared *s = context;
    const long first = task * s->columns, n = s->f->n;
    struct few_rows p = *s->product;
    p.w += first;
    p.bias += first;
    p.c += first;
    p.n_out = min(p.n_out - first, s->columns);
    few_rows_apart(n, &p);
    for (long r = 0; r < n; r++)
        activate_run(s->layer->activation, s->layer->custom, p.c + r * p.c_row, p.n_out);
}

/* Sparse rows of the first layer are those of the caller. */
static void few_sparse_rows(struct forward *f, const struct few_rows *product)
{
    const struct layer *layer = &f->design->layers[0];
    for (long r = 0; r < f->n; r++) { /* `a` is free for the bias, `c` for a row, with their padding */
        real *bias = (real *)f->scratch, *z = (real *)(f->scratch + f->half_bytes);
        scatter_row((const char *)product->bias, sizeof(real), layer->n_out, bias, PANEL, 1);
        sparse_product(f->sparse, NULL, r, 1, plain_weights(f), layer->out_panels, 1, bias,
                       z + r * layer->n_out, PANEL, &f->fault);
    }
    activate_run(layer->activation, layer->custom, product->c, f->n * layer->n_out);
}

/* Layers with many weights are shared by columns, each thread reading its own part of them. */
static void few_rows_layer(struct forward *f, int l, const struct few_rows *product, int threads)
{
    const struct layer *layer = &f->design->layers[l];
    if (f->sparse && l == 0) {
        few_sparse_rows(f, product);
        return;
    }
    if (threads == 1 || !is_shared(layer, sizeof(real))) {
        few_rows_product(f->n, product);
        activate_run(layer->activation, layer->custom, product->c, f->n * layer->n_out);
        return;
    }
    struct few_shared shared = {f, layer, product, round_up(blocks_of(layer->n_out, threads), PANEL)};
    fastmlp_parallel(threads, blocks_of(layer->n_out, shared.columns), few_columns_task, &shared);
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
static void forward_few(const struct design *d, const void *flat, struct forward *f, int threads)
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
        p.n_out = p.w_row = p.c_row = layer->n_out;
        p.c = there;
        few_rows_layer(f, l, &p, threads);
        p.w += layer->n_in * layer->n_out;
        p.bias += layer->n_out;
        p.a = there;
        p.a_row = p.c_row;
        there = here;
        here = p.c;
    }
    finish_few_rows(f, here, there, columns);
}

#endif
