/* The kernels on plain matrices that go over elements or rows; products are in plain/products.h. */
#ifndef FASTMLP_SINGLE_CALLS_H
#define FASTMLP_SINGLE_CALLS_H

#include "formulas/output_layer.h"
#include "passes/plain/products.h"

enum { COLUMNS_AT_ONCE = 256, COLUMN_ROWS = 64 }; /* of column sums */

/* Errors and losses of a block of rows. */
static void output_block(void *context, long block, int thread)
{
    struct output_rows *o = context;
    const struct samples *s = &o->samples;
    long first = block * o->block_rows, panel = (o->block_rows | 1) * PANEL;
    long n = o->n - first < o->block_rows ? o->n - first : o->block_rows;
    long panels = (o->n_out + PANEL - 1) / PANEL;
    real *z = (real *)(o->scratch + thread * o->scratch_bytes);
    real *y = z + panels * panel, *delta = y + panels * panel, *columns = delta + panels * panel;
    const int single = o->n_out == 1 && s->labels == NULL && !s->targets && o->loss.code != LOSS_custom &&
                       s->x.row_stride == (long)sizeof(real) && s->target.row_stride == (long)sizeof(real);
    for (long r = 0; !single && r < n; r++) {
        scatter_row(s->x.data + (first + r) * s->x.row_stride, s->x.column_stride, o->n_out,
                    z + r * PANEL, panel, 1);
        if (s->labels == NULL)
            scatter_row(s->target.data + (first + r) * s->target.row_stride,
                        s->target.column_stride, o->n_out, y + r * PANEL, panel, 1);
    }
    struct output_layer layer = {
        .loss = &o->loss, .output = o->output, .fault = &o->fault,
        .rows = n, .n_out = o->n_out, .panel = panel, .single = single,
        .z = single ? (const real *)s->x.data + first : z,
        .y = single ? (const real *)s->target.data + first : y,
        .labels = s->labels ? s->labels + first : NULL, .columns = columns,
        .scale = s->sample_weight ? (const real *)s->sample_weight + first : NULL,
        .factors = &s->factors, .targets = s->targets, .first = first,
        .delta = o->delta == NULL ? NULL : single ? (real *)o->delta + first : delta,
        .row_loss = o->row_loss ? (real *)o->row_loss + first : NULL,
    };
    output_layer(&layer);
    for (long r = 0; o->delta && !single && r < n; r++)
        gather_row(delta + r * PANEL, panel, o->n_out, (real *)o->delta + (first + r) * o->n_out);
}

static void activate(int activation, fastmlp_activation *custom, struct matrix z, long rows,
                     long columns, void *out)
{
    real *to = out;
    for (long r = 0; r < rows; r++, to += columns)
        copy_row(z.data + r * z.row_stride, z.column_stride, columns, to);
    to = out;
    if (activation != ACTIVATION_softmax) {
        activate_run(activation, custom, to, rows * columns);
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

static void activate_backward(int activation, fastmlp_activation *custom, struct matrix delta,
                              struct matrix a, long rows, long columns, void *out)
{
    real *to = out;
    for (long r = 0; r < rows; r++, to += columns) {
        copy_row(delta.data + r * delta.row_stride, delta.column_stride, columns, to);
        derive_row(activation, custom, to, a.data + r * a.row_stride, a.column_stride, columns);
    }
}

/* Sums of a few columns: blocks of rows, whose sums are added up in double precision. */
static void sum_columns(struct matrix d, long rows, const long columns, double *total)
{
    for (long first = 0; first < rows; first += COLUMN_ROWS) {
        real sum[COLUMNS_AT_ONCE] = {0};
        const long end = min(first + COLUMN_ROWS, rows);
        for (long r = first; r < end; r++) {
            const char *from = d.data + r * d.row_stride;
            if (d.column_stride == (long)sizeof(real))
                for (long c = 0; c < columns; c++)
                    sum[c] += ((const real *)from)[c];
            else
                for (long c = 0; c < columns; c++, from += d.column_stride)
                    sum[c] += *(const real *)from;
        }
        for (long c = 0; c < columns; c++)
            total[c] += (double)sum[c];
    }
}

static void column_sums(struct matrix d, long rows, long columns, double factor, void *out)
{
    real *to = out;
    for (long first = 0; first < columns; first += COLUMNS_AT_ONCE) {
        double total[COLUMNS_AT_ONCE] = {0};
        const long n = min(COLUMNS_AT_ONCE, columns - first);
        struct matrix some = d;
        some.data += first * d.column_stride;
        sum_columns(some, rows, n, total);
        for (long c = 0; c < n; c++)
            to[first + c] = (real)(total[c] * factor);
    }
}

static void update(const struct update *u, void *p, const void *g, void *const *state, long at,
                   long n)
{
    update_run(u, p, g, state, at, n);
}

#endif
