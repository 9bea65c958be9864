/* The kernels on plain matrices: a product with the start and end of a layer, and what goes over
   elements or rows. They pack into panels, use the tiles, and write plain rows. */
#ifndef FASTMLP_PRODUCTS_H
#define FASTMLP_PRODUCTS_H

#include "passes.h"

/* One panel of B. */
static void pack_product(void *context, long panel, int thread)
{
    (void)thread;
    struct product *p = context;
    struct matrix b = p->b;
    long columns = p->columns - panel * PANEL;
    b.data += panel * PANEL * b.column_stride;
    pack_panels(b, p->depth, columns < PANEL ? columns : PANEL,
                (real *)p->packed_b + panel * p->b_panel, p->b_panel);
}

/* Rows of C in panels, finished: scaled, or through the activation. */
static void finish_product(const struct product *p, real *c, long c_panel, real *other,
                           real *columns, long first, long n)
{
    if (p->activations.data) {
        for (long r = 0; r < n; r++)
            scatter_row(p->activations.data + (first + r) * p->activations.row_stride,
                        p->activations.column_stride, p->columns, other + r * PANEL, c_panel);
        for (long j = 0; j * PANEL < p->columns; j++)
            backward_run(p->activation, c + j * c_panel, other + j * c_panel, n * PANEL);
    } else {
        finish_rows(p->activation, c, n, p->columns, c_panel, columns);
    }
    vec factor = SPLAT((real)p->factor);
    if (p->factor != 1)
        for (long j = 0; j * PANEL < p->columns; j++)
            for (long i = 0; i < n * PANEL; i += LANES)
                store(c + j * c_panel + i, load(c + j * c_panel + i) * factor);
    for (long r = 0; r < n; r++)
        gather_row(c + r * PANEL, c_panel, p->columns, (real *)p->c + (first + r) * p->columns);
}

/* A block of rows of C. */
static void product_block(void *context, long block, int thread)
{
    const struct product *p = context;
    long first = block * p->block_rows, panels = (p->columns + PANEL - 1) / PANEL;
    long n = p->n - first < p->block_rows ? p->n - first : p->block_rows;
    long c_panel = (p->block_rows | 1) * PANEL;
    char *scratch = p->scratch + thread * p->scratch_bytes;
    real *c = (real *)scratch, *a = c + panels * c_panel;
    const real *b = p->packed_b;
    const char *rows = p->a.data + first * p->a.row_stride;

    if (!p->a_by_columns) {
        pack_panels((struct matrix){rows, p->a.row_stride, p->a.column_stride}, n, p->depth, a,
                    c_panel);
        layer_product(n, p->depth, a, c_panel, b, p->b_panel, p->bias, c, c_panel, panels,
                      (struct walk){0, 0});
    } else {
        /* Row k of A's panel holds n consecutive elements of column k of A. */
        const long a_panel = (DEPTH_BLOCK + 1) * PANEL;
        if (p->depth == 0)
            memset(c, 0, (size_t)(panels * c_panel) * sizeof(real));
        for (long k = 0; k < p->depth; k += DEPTH_BLOCK) {
            long deep = p->depth - k < DEPTH_BLOCK ? p->depth - k : DEPTH_BLOCK;
            pack_panels((struct matrix){rows + k * p->a.column_stride, p->a.column_stride,
                                        p->a.row_stride},
                        deep, n, a, a_panel);
            for (long j = 0, wide; j < panels; j += wide) {
                wide = panels - j < TILE_PANELS ? panels - j : TILE_PANELS;
                for (long r = 0, part; r < n; r += part) {
                    long in_panel = PANEL - r % PANEL;
                    part = next_part(n - r < in_panel ? n - r : in_panel, TILE_FEATURES);
                    gradient_tiles[wide - 1][part - 1](
                        deep, a + r / PANEL * a_panel + r % PANEL,
                        b + j * p->b_panel + k * PANEL, p->b_panel, k > 0,
                        c + j * c_panel + r * PANEL, c_panel);
                }
            }
        }
    }
    real *columns = (real *)(scratch + p->scratch_bytes - output_scratch(p->columns));
    finish_product(p, c, c_panel, a, columns, first, n);
}

/* Errors and losses of a block of rows. */
static void output_block(void *context, long block, int thread)
{
    const struct output_rows *o = context;
    const struct samples *s = &o->samples;
    long first = block * o->block_rows, panel = (o->block_rows | 1) * PANEL;
    long n = o->n - first < o->block_rows ? o->n - first : o->block_rows;
    long panels = (o->n_out + PANEL - 1) / PANEL;
    real *z = (real *)(o->scratch + thread * o->scratch_bytes);
    real *y = z + panels * panel, *delta = y + panels * panel, *columns = delta + panels * panel;
    for (long r = 0; r < n; r++) {
        scatter_row(s->x.data + (first + r) * s->x.row_stride, s->x.column_stride, o->n_out,
                    z + r * PANEL, panel);
        if (s->labels) {
            for (long p = 0; p < panels; p++)
                memset(y + p * panel + r * PANEL, 0, PANEL * sizeof(real));
            long label = s->labels[first + r];
            y[label / PANEL * panel + r * PANEL + label % PANEL] = 1;
        } else {
            scatter_row(s->target.data + (first + r) * s->target.row_stride,
                        s->target.column_stride, o->n_out, y + r * PANEL, panel);
        }
    }
    struct output_layer layer = {
        .loss = o->loss, .output = o->output, .rows = n, .n_out = o->n_out, .panel = panel,
        .z = z, .y = y, .columns = columns,
        .scale = s->sample_weight ? (const real *)s->sample_weight + first : NULL,
        .delta = o->delta ? delta : NULL,
        .row_loss = o->row_loss ? (real *)o->row_loss + first : NULL,
    };
    output_layer(&layer);
    for (long r = 0; o->delta && r < n; r++)
        gather_row(delta + r * PANEL, panel, o->n_out, (real *)o->delta + (first + r) * o->n_out);
}

/* Copy a row of any stride into consecutive elements. */
INLINE void copy_row(const char *from, long stride, long n, real *to)
{
    if (stride == (long)sizeof(real))
        memcpy(to, from, (size_t)n * sizeof(real));
    else
        for (long c = 0; c < n; c++, from += stride)
            to[c] = *(const real *)from;
}

static void activate(int activation, struct matrix z, long rows, long columns, void *out)
{
    real *to = out;
    for (long r = 0; r < rows; r++, to += columns)
        copy_row(z.data + r * z.row_stride, z.column_stride, columns, to);
    to = out;
    if (activation != ACTIVATION_softmax) {
        forward_run(activation, to, rows * columns);
        return;
    }
    for (long r = 0; r < rows; r++, to += columns) {
        /* Whole vectors first; the last ones through a row of their own, to stay in bounds. */
        real highest = to[0], total = 0;
        for (long c = 1; c < columns; c++)
            highest = to[c] > highest || to[c] != to[c] ? to[c] : highest;
        vec shift = SPLAT(highest), sums = {0};
        long c = 0;
        for (; c + LANES <= columns; c += LANES) {
            vec e = vector_exp(load(to + c) - shift);
            sums += e;
            store(to + c, e);
        }
        if (c < columns) {
            vec e = vector_exp(load_partial(to + c, columns - c) - shift);
            store_partial(to + c, e, columns - c);
            sums += load_partial(to + c, columns - c);
        }
        total = 1 / sum_lanes(sums);
        for (c = 0; c < columns; c++)
            to[c] *= total;
    }
}

static void activate_backward(int activation, struct matrix delta, struct matrix a, long rows,
                              long columns, void *out)
{
    real *to = out, row[PANEL];
    for (long r = 0; r < rows; r++, to += columns) {
        const char *a_r = a.data + r * a.row_stride;
        copy_row(delta.data + r * delta.row_stride, delta.column_stride, columns, to);
        if (a.column_stride == (long)sizeof(real))
            backward_run(activation, to, (const real *)a_r, columns);
        else
            for (long c = 0; c < columns; c += PANEL) {
                long n = columns - c < PANEL ? columns - c : PANEL;
                copy_row(a_r + c * a.column_stride, a.column_stride, n, row);
                backward_run(activation, to + c, row, n);
            }
    }
}

static void column_sums(struct matrix d, long rows, long columns, double factor, void *out)
{
    real *to = out;
    for (long c = 0; c < columns; c++)
        to[c] = 0;
    for (long r = 0; r < rows; r++) {
        const char *from = d.data + r * d.row_stride;
        if (d.column_stride == (long)sizeof(real))
            for (long c = 0; c < columns; c++)
                to[c] += ((const real *)from)[c];
        else
            for (long c = 0; c < columns; c++, from += d.column_stride)
                to[c] += *(const real *)from;
    }
    for (long c = 0; c < columns; c++)
        to[c] *= (real)factor;
}

static void update(const struct update *u, void *p, const void *g, void *s0, void *s1, long n)
{
    update_run(u, p, g, s0, s1, n);
}

/* The functions of vmath.h by number, for the test of their accuracy. */
static void function(int which, const void *from, void *to, long n)
{
    const real *x = from;
    real *y = to;
    for (long i = 0; i < n; i += LANES) {
        long here = n - i < LANES ? n - i : LANES;
        vec v = load_partial(x + i, here);
        v = which == 0   ? vector_exp(v)
            : which == 1 ? vector_log(v)
            : which == 2 ? vector_tanh(v)
            : which == 3 ? vector_sigmoid(v)
                         : log_one_plus(v);
        store_partial(y + i, v, here);
    }
}

#endif
