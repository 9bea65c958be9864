/* A product with the Hessian of a loss (Pearlmutter, Fast exact multiplication by the Hessian, 1994): every
   quantity of the two passes has a derivative along a direction (V, c) of the parameters, marked by a dot.

        forward    zdot^l = adot^(l-1) W^l + a^(l-1) V^l + c^l              adot^l = zdot^l * slope^l
        back       d^l = delta^(l+1) (W^(l+1))^T                            delta^l = d^l * slope^l
                   ddot^l = deltadot^(l+1) (W^(l+1))^T + delta^(l+1) (V^(l+1))^T
                   deltadot^l = ddot^l * slope^l + d^l * (b + c a^l) * adot^l
        weights    (H v)_W = (a^(l-1))^T deltadot^l + (adot^(l-1))^T delta^l

   for activations with sigma'' = (b + c sigma) sigma', whose slopes follow from what they give. Loss and errors
   of the outputs are the caller's, between the pass forward and the pass back.

   The pass back takes HESSIAN_ROWS rows at a time, whose errors stay in L2 until the weights have summed them. */
#ifndef FASTMLP_HESSIAN_H
#define FASTMLP_HESSIAN_H

#include "engine/derivatives.h"
#include "passes/derivatives.h"
#include "passes/rows_pass.h"
#include "passes/weights_pass.h"

INLINE real *hessian_at(const struct hessian *h, long element) { return (real *)h->memory + element; }

/* W and V as they are, and turned, into panels. */
static void hessian_pack(struct hessian *h)
{
    const struct design *net = h->design;
    long plain = 0;
    pack(net, h->flat, hessian_at(h, h->weights), 0, 0);
    pack(net, h->direction, hessian_at(h, h->along), 0, 0);
    for (int l = 0; l < net->n_layers; l++) {
        const long n_in = net->layers[l].n_in, n_out = net->layers[l].n_out, row = n_out * (long)sizeof(real);
        const struct hessian_layer *own = &h->layers[l];
        if (l) {
            pack_panels((struct matrix){(const char *)((const real *)h->flat + plain), sizeof(real), row}, n_out,
                        n_in, hessian_at(h, own->turned), n_out * PANEL);
            pack_panels((struct matrix){(const char *)((const real *)h->direction + plain), sizeof(real), row},
                        n_out, n_in, hessian_at(h, own->turned_along), n_out * PANEL);
        }
        plain += n_in * n_out;
    }
}

/* c = bias + a w, or c += a w, of a layer's weights in panels from element `packed` on. */
INLINE void hessian_product(const struct hessian *h, int l, long rows, const real *a, long packed, int accumulate,
                            struct epilogue epilogue, real *c)
{
    const struct layer *layer = &h->design->layers[l];
    half_product(rows, layer->n_in, a, h->panel, hessian_at(h, packed + layer->weights), layer->in_rows * PANEL,
                 accumulate ? NULL : hessian_at(h, packed + layer->bias), accumulate, epilogue, c, h->panel,
                 layer->out_panels, vectors_of(layer->n_out) % VECTORS != 0);
}

static void hessian_forward(void *context, long block, int thread)
{
    (void)thread;
    const struct hessian *h = context;
    const struct design *net = h->design;
    const int top = net->n_layers - 1;
    const long first = block * h->block_rows, rows = min(h->n - first, h->block_rows);
    const long n_out = net->layers[top].n_out;
    const real *a = hessian_at(h, h->input) + first * PANEL, *a_dot = NULL;
    derive_from(h->x, first, rows, net->layers[0].n_in, (real *)a, h->panel);
    for (int l = 0; l <= top; l++) {
        const struct layer *layer = &net->layers[l];
        const int hidden = l < top, by_tiles = hidden && in_tiles(layer->activation);
        real *z = hessian_at(h, h->layers[l].kept) + first * PANEL;
        real *z_dot = hessian_at(h, h->layers[l].moved) + first * PANEL;
        hessian_product(h, l, rows, a, h->weights, 0,
                        by_tiles ? forward_epilogue(layer->activation) : PLAIN_EPILOGUE, z);
        hessian_product(h, l, rows, a, h->along, 0, PLAIN_EPILOGUE, z_dot);
        if (a_dot)
            hessian_product(h, l, rows, a_dot, h->weights, 1, PLAIN_EPILOGUE, z_dot);
        for (long p = 0; hidden && p < layer->out_panels; p++) {
            if (!by_tiles)
                forward_run(layer->activation, z + p * h->panel, rows * PANEL);
            backward_run(layer->activation, z_dot + p * h->panel, z + p * h->panel, rows * PANEL);
        }
        a = z;
        a_dot = z_dot;
    }
    for (long r = 0; r < rows; r++) {
        gather_row(a + r * PANEL, h->panel, n_out, (real *)h->z + (first + r) * n_out);
        gather_row(a_dot + r * PANEL, h->panel, n_out, (real *)h->z_dot + (first + r) * n_out);
    }
}

/* e_dot += d (b + c a) a_dot, for n elements, whole vectors. */
OUTLINE void bend_run(double b, double c, const real *d, const real *a, const real *a_dot, real *e_dot, long n)
{
    const vec constant = SPLAT((real)b), factor = SPLAT((real)c);
    for (long i = 0; i < n; i += LANES)
        store(e_dot + i, FMA(FMA(factor, load(a + i), constant), load(d + i) * load(a_dot + i), load(e_dot + i)));
}

/* Errors and their derivatives, of some of the rows at hand. */
static void hessian_back(void *context, long block, int thread)
{
    (void)thread;
    const struct hessian *h = context;
    const struct design *net = h->design;
    const int top = net->n_layers - 1;
    const long first = block * h->back_rows, rows = min(h->rows - first, h->back_rows);
    const long row = h->first + first, n_out = net->layers[top].n_out, panel = h->error_panel;
    derive_from(h->delta, row, rows, n_out, hessian_at(h, h->layers[top].error) + first * PANEL, panel);
    derive_from(h->delta_dot, row, rows, n_out, hessian_at(h, h->layers[top].error_dot) + first * PANEL, panel);
    for (int l = top; l > 0; l--) {
        const struct layer *above = &net->layers[l], *layer = &net->layers[l - 1];
        const struct hessian_layer *own = &h->layers[l - 1];
        const real *e = hessian_at(h, h->layers[l].error) + first * PANEL;
        const real *e_dot = hessian_at(h, h->layers[l].error_dot) + first * PANEL;
        const real *turned = hessian_at(h, h->layers[l].turned);
        const long depth = above->n_out, step = depth * PANEL, panels = layer->out_panels;
        const int half = vectors_of(layer->n_out) % VECTORS != 0;
        real *d = hessian_at(h, own->error) + first * PANEL, *d_dot = hessian_at(h, own->error_dot) + first * PANEL;
        half_product(rows, depth, e, panel, turned, step, NULL, 0, PLAIN_EPILOGUE, d, panel, panels, half);
        half_product(rows, depth, e_dot, panel, turned, step, NULL, 0, PLAIN_EPILOGUE, d_dot, panel, panels, half);
        half_product(rows, depth, e, panel, hessian_at(h, h->layers[l].turned_along), step, NULL, 1, PLAIN_EPILOGUE,
                     d_dot, panel, panels, half);
        for (long p = 0; p < panels; p++) {
            const real *a = hessian_at(h, own->kept) + p * h->panel + row * PANEL;
            const real *a_dot = hessian_at(h, own->moved) + p * h->panel + row * PANEL;
            backward_run(layer->activation, d_dot + p * panel, a, rows * PANEL);
            if (own->bend[0] != 0 || own->bend[1] != 0)
                bend_run(own->bend[0], own->bend[1], d + p * panel, a, a_dot, d_dot + p * panel, rows * PANEL);
            backward_run(layer->activation, d + p * panel, a, rows * PANEL);
        }
    }
}

/* Add a^T d of the rows at hand, some panels of d by a panel of features. */
INLINE void add_gradient_tiles(const struct hessian *h, const struct layer *layer, const real *a, const real *d,
                               long features, int accumulate, real *c)
{
    const long c_panel = layer->in_rows * PANEL;
    const int half = vectors_of(layer->n_out) % VECTORS != 0;
    struct gradient_call call = {.d_panel = h->error_panel, .c_panel = c_panel, .accumulate = accumulate};
    for (long p = 0, wide; p < layer->out_panels; p += wide) {
        wide = min(layer->out_panels - p, TILE_PANELS);
        gradient_tile *const *tiles =
            half && wide == 1 && p + 1 == layer->out_panels ? gradient_halves : gradient_tiles[wide - 1];
        const struct parts parts = parts_of(features, TILE_FEATURES);
        for (long i = 0, t = 0, part; i < features; i += part, t++) {
            part = part_at(parts, t);
            call.coming = (const char *)a;
            tiles[part - 1](h->rows, a + i, d + p * h->error_panel, c + p * c_panel + i * PANEL, &call);
        }
    }
}

/* A panel of features of one layer. */
static void hessian_weights(void *context, long index, int thread)
{
    (void)thread;
    const struct hessian *h = context;
    const struct design *net = h->design;
    int l = 0;
    for (; index >= net->layers[l].in_panels; l++)
        index -= net->layers[l].in_panels;
    const struct layer *layer = &net->layers[l];
    const long at = index * h->panel + h->first * PANEL, features = min(layer->n_in - index * PANEL, PANEL);
    const real *e = hessian_at(h, h->layers[l].error), *e_dot = hessian_at(h, h->layers[l].error_dot);
    const real *a = hessian_at(h, l ? h->layers[l - 1].kept : h->input) + at;
    real *c = hessian_at(h, h->result + layer->weights) + index * PANEL * PANEL;
    add_gradient_tiles(h, layer, a, e_dot, features, h->first > 0, c);
    if (l)
        add_gradient_tiles(h, layer, hessian_at(h, h->layers[l - 1].moved) + at, e, features, 1, c);
    for (long p = 0; index == 0 && p < layer->out_panels; p++) {
        real sum[PANEL] __attribute__((aligned(64))), *bias = hessian_at(h, h->result + layer->bias) + p * PANEL;
        sum_rows(e_dot + p * h->error_panel, h->rows, sum);
        for (int v = 0; v < PANEL; v += LANES)
            store(bias + v, h->first ? load(bias + v) + load(sum + v) : load(sum + v));
    }
}

#endif
