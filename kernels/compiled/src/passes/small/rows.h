/* The rows pass of a small step, see small_steps.h: rows and targets are gathered, and go through the layers
   and back. Every number is what rows_pass.h makes of it. */
#ifndef FASTMLP_SMALL_ROWS_H
#define FASTMLP_SMALL_ROWS_H

#include "passes/rows_pass.h"

enum { SOON_BYTES = 128 << 10 }; /* of samples from which on rows are prefetched a step before they are read */

/* Rows without weights of their own into the panels of the batch: where they are. A single row that is packed
   stays where it is. Rows of 16 … 32 bytes are two pieces of 16, which may overlap. */
static const real *few_inputs(const struct engine *e, long n)
{
    const int64_t *const order = e->pass.samples->order;
    const struct matrix x = e->pass.samples->x;
    const long n_in = e->design.layers[0].n_in, panel = e->design.batch_panel, position = e->pass.first_row;
    const long last = n_in * (long)sizeof(real) - 16;
    const int packed = x.column_stride == (long)sizeof(real);
    real *input = e->arena.input, *to = input;
    if (n == 1 && packed)
        return (const real *)(x.data + row_at(order, position) * x.row_stride);
    if (packed && last == 0)
        for (long r = 0; r < n; r++, to += PANEL)
            memcpy(to, x.data + row_at(order, position + r) * x.row_stride, 16);
    else if (packed && last > 0 && last <= 16)
        for (long r = 0; r < n; r++, to += PANEL) {
            const char *from = x.data + row_at(order, position + r) * x.row_stride;
            memcpy(to, from, 16);
            memcpy((char *)to + last, from + last, 16);
        }
    else
        for (long r = 0; r < n; r++, to += PANEL)
            scatter_row(x.data + row_at(order, position + r) * x.row_stride, x.column_stride, n_in, to, panel, 0);
    return input;
}

/* Behind a step of a single packed row: the row of the next step if it follows, or NULL. Its first sum is known behind
   this step's descent, unless somebody changes parameters meanwhile, who takes back that it has `begun`. */
static const void *next_single(const struct engine *e)
{
    const struct samples *s = e->pass.samples;
    const long next = e->pass.first_row + 1;
    return next < s->n_rows ? s->x.data + row_at(s->order, next) * s->x.row_stride : NULL;
}

/* Prefetch the rows of the next step, of samples that do not stay in the cache. */
static void prefetch_soon(const struct engine *e, long n)
{
    const struct samples *s = e->pass.samples;
    const long bytes = e->design.layers[0].n_in * (long)sizeof(real), first = e->pass.first_row + n;
    if (s->n_rows * bytes < SOON_BYTES)
        return;
    for (long r = first, end = min(first + n, s->n_rows); r < end; r++) {
        const long row = row_at(s->order, r);
        const char *at = s->x.data + row * s->x.row_stride;
        for (long i = 0; i < bytes; i += LINE)
            __builtin_prefetch(at + i, 0, 2);
        __builtin_prefetch(s->labels ? (const char *)(s->labels + row) : s->target.data + row * s->target.row_stride,
                           0, 2);
    }
}

/* Class labels as integers of the width of a real, in the place of targets. */
static void few_labels(struct engine *e, long n)
{
    const int64_t *const order = e->pass.samples->order, *const labels = e->pass.samples->labels;
    const long position = e->pass.first_row, last = e->design.layers[e->design.n_layers - 1].n_out - 1;
    integer *to = e->arena.target;
    int64_t wrong = 0; /* below 0 where a label is, or is above the last one */
    for (long r = 0; r < n; r++) {
        const int64_t label = __atomic_load_n(labels + row_at(order, position + r), __ATOMIC_RELAXED);
        to[r] = (integer)label;
        wrong |= label | (int64_t)((uint64_t)last - (uint64_t)label); /* the least one has no negative */
    }
    if (wrong < 0)
        report(&e->pass.fault, FAULT_label);
}

/* Labels or targets as output_errors reads them. */
static void few_targets(struct engine *e, long n)
{
    const struct samples *s = e->pass.samples;
    const struct matrix y = s->target;
    const long n_out = e->design.layers[e->design.n_layers - 1].n_out, position = e->pass.first_row;
    int64_t *labels = e->arena.labels;
    real *target = e->arena.target, *scale = e->arena.row_scale;
    const vec one = SPLAT((real)e->pass.scale);
    for (long r = 0; r < n; r++)
        if (s->labels)
            labels[r] = __atomic_load_n(s->labels + row_at(s->order, position + r), __ATOMIC_RELAXED);
        else
            scatter_row(y.data + row_at(s->order, position + r) * y.row_stride, y.column_stride, n_out,
                        target + r * PANEL, e->design.batch_panel, 0);
    for (long r = 0; r < n; r += LANES)
        store(scale + r, one);
}

/* A product of so little depth that a panel of W stays in registers while all rows go by. */
enum { SHALLOW = 4 };
INLINE void shallow_rows(const int depth, const int gated, long rows, const real *a, const real *w, const real *init,
                         struct epilogue epilogue, real *c)
{
    vec right[SHALLOW][VECTORS], start[VECTORS];
    const vec lowest = SPLAT(epilogue.lowest), zero = {0};
    UNROLL for (int v = 0; v < VECTORS; v++) {
        start[v] = load(init + v * LANES);
        UNROLL for (int k = 0; k < depth; k++)
            right[k][v] = load(w + k * PANEL + v * LANES);
    }
    for (const real *end = a + rows * PANEL; a != end; a += PANEL, c += PANEL) {
        vec sum[VECTORS];
        UNROLL for (int v = 0; v < VECTORS; v++)
            sum[v] = start[v];
        UNROLL for (int k = 0; k < depth; k++) {
            const vec left = SPLAT(a[k]);
            UNROLL for (int v = 0; v < VECTORS; v++)
                sum[v] = FMA(left, right[k][v], sum[v]);
        }
        UNROLL for (int v = 0; v < VECTORS; v++)
            store(c + v * LANES, gated ? masked(load(c + v * LANES + epilogue.gate) > zero, sum[v])
                                       : maximum(lowest, sum[v]));
    }
}
typedef void shallow_product(long rows, const real *a, const real *w, const real *init, struct epilogue epilogue,
                             real *c);
#define SHALLOW_PRODUCT(DEPTH)                                                                     \
    OUTLINE void shallow_##DEPTH(long rows, const real *a, const real *w, const real *init,        \
                                 struct epilogue epilogue, real *c)                                \
    {                                                                                              \
        if (epilogue.gate)                                                                         \
            shallow_rows(DEPTH, 1, rows, a, w, init, epilogue, c);                                 \
        else                                                                                       \
            shallow_rows(DEPTH, 0, rows, a, w, init, epilogue, c);                                 \
    }
SHALLOW_PRODUCT(1)
SHALLOW_PRODUCT(2)
SHALLOW_PRODUCT(3)
SHALLOW_PRODUCT(4)
static shallow_product *const shallow_products[SHALLOW] = {shallow_1, shallow_2, shallow_3, shallow_4};

/* A product of all rows at once; bias NULL stands for zeros, and the last panel of columns may be half empty. */
INLINE void small_product(long rows, struct parts parts, long depth, const real *a, const real *w, long w_panel,
                          const real *bias, long columns, real *c, struct forward_call *call)
{
    const long panel = call->c_panel;
    for (; columns > 0; columns -= PANEL, w += w_panel, c += panel) {
        const real *init = bias ? bias : zeros;
        bias = bias ? bias + PANEL : NULL;
        if (depth <= SHALLOW) {
            shallow_products[depth - 1](rows, a, w, init, call->epilogue, c);
            continue;
        }
        forward_tile *const *tiles = columns <= PANEL / 2 ? forward_halves : forward_tiles[0];
        for (long r = 0, i = 0, part; r < rows; r += part, i++) {
            part = part_at(parts, i);
            tiles[part - 1](depth, a + r * PANEL, w, init, c + r * PANEL, call);
        }
    }
}

/* Elements of a panel of all rows, of a single one without padding vectors. */
INLINE long elements_of(const struct layer *layer, long p, long rows)
{
    return rows > 1 ? rows * PANEL : min(PANEL, (layer->n_out - p * PANEL + LANES - 1) / LANES * LANES);
}

/* With `begun` the product is there already. */
static void small_forward(struct engine *e, struct parts parts, int l, const real *a, int begun,
                          struct forward_call *call)
{
    const struct layer *layer = &e->design.layers[l];
    const real *parameters = e->arena.parameters;
    const long rows = e->pass.n_rows, panel = e->design.batch_panel;
    if (layer->transposed && l == e->design.n_layers - 1 && is_narrow_product(layer->n_in, layer->n_out)) {
        forward_layer(e, l, 0, rows, a);
        return;
    }
    call->epilogue = forward_epilogue(layer->activation);
    if (!begun)
        small_product(rows, parts, layer->n_in, a, parameters + layer->weights, layer->in_rows * PANEL,
                      parameters + layer->bias, layer->n_out, layer->output, call);
    real *z = layer->output;
    if (begun || !in_tiles(layer->activation))
        for (long p = 0; p < layer->out_panels; p++)
            forward_run(layer->activation, z + p * panel, elements_of(layer, p, rows));
}

static void small_backward(struct engine *e, struct parts parts, int l, struct forward_call *call)
{
    const struct layer *above = &e->design.layers[l], *layer = &e->design.layers[l - 1];
    const long rows = e->pass.n_rows, panel = e->design.batch_panel;
    real *delta = layer->delta;
    const real *activations = layer->output;
    call->epilogue = backward_epilogue(layer->activation, delta, activations);
    small_product(rows, parts, above->n_out, above->delta, above->transposed, above->out_panels * PANEL * PANEL,
                  NULL, layer->n_out, delta, call);
    for (long p = 0; p < layer->out_panels && !call->epilogue.gate; p++)
        backward_run(layer->activation, delta + p * panel, activations + p * panel, elements_of(layer, p, rows));
}

#endif
