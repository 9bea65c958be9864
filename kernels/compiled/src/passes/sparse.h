/* The first layer for rows in compressed sparse form: only stored entries are touched.

   Weights lie by rows here, [n_in][panels][PANEL]: a feature's weights to all outputs are
   neighbours. Forward, a row of z is a sum of such rows. For the gradient the entries of a batch are
   sorted by feature, so that a feature's weights are read and written once, by one thread, and
   sums run over the rows in ascending order. */
#ifndef FASTMLP_SPARSE_H
#define FASTMLP_SPARSE_H

#include "formulas/dropout.h"
#include "fastmlp.h"
#include "matrices/panels.h"
#include "formulas/update_rules.h"
#include "work.h"

enum {
    SPARSE_VECTORS = 8,                       /* accumulators; whole panels */
    SPARSE_PANELS = SPARSE_VECTORS / VECTORS,
    ROWS_AHEAD = 4,
    SPARSE_AHEAD = 8,                         /* entries that are asked for before they are used */
};

/* Rows of weights: `row` elements from one to the next. Reading stops at `end`, if it is not NULL:
   rows of a plain matrix are not padded. */
struct weight_rows {
    const real *at, *end;
    long row;
};

INLINE void ask_for_row(const real *w, long panels)
{
    for (long p = 0; p < panels; p++)
        __builtin_prefetch(w + p * PANEL, 0, 3);
}

/* c = start + sum of value * w[column] over a row's entries first … last - 1. */
INLINE void sparse_row_body(const int panels, const struct csr *x, long first, long last,
                            struct weight_rows w, const real *start, real *c, long c_panel)
{
    vec sum[SPARSE_VECTORS];
    UNROLL for (int v = 0; v < panels * VECTORS; v++)
        sum[v] = load(start + v * LANES);
    for (long i = first; i < last; i++) {
        const real *from = w.at + integer_at(x->columns, x->column_bytes, i) * w.row;
        real padded[SPARSE_VECTORS * LANES];
        if (i + SPARSE_AHEAD < last)
            ask_for_row(w.at + integer_at(x->columns, x->column_bytes, i + SPARSE_AHEAD) * w.row,
                        panels);
        if (w.end && from + panels * PANEL > w.end) {
            memset(padded, 0, sizeof padded);
            memcpy(padded, from, (size_t)((const char *)w.end - (const char *)from));
            from = padded;
        }
        vec value = SPLAT(((const real *)x->values)[i]);
        UNROLL for (int v = 0; v < panels * VECTORS; v++)
            sum[v] = FMA(value, load(from + v * LANES), sum[v]);
    }
    UNROLL for (int v = 0; v < panels * VECTORS; v++)
        store(c + v / VECTORS * c_panel + v % VECTORS * LANES, sum[v]);
}

/* g = sum of value * delta[row] over a feature's entries. */
INLINE void sparse_feature_body(const int panels, const int32_t *rows, const real *values, long n,
                                const real *delta, long d_panel, real *g)
{
    vec sum[SPARSE_VECTORS];
    UNROLL for (int v = 0; v < panels * VECTORS; v++)
        sum[v] = (vec){0};
    for (long i = 0; i < n; i++) {
        const real *from = delta + (long)rows[i] * PANEL;
        vec value = SPLAT(values[i]);
        UNROLL for (int v = 0; v < panels * VECTORS; v++)
            sum[v] = FMA(value, load(from + v / VECTORS * d_panel + v % VECTORS * LANES), sum[v]);
    }
    UNROLL for (int v = 0; v < panels * VECTORS; v++)
        store(g + v * LANES, sum[v]);
}

#if VECTOR_BYTES == 64
#define EACH_PANELS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#elif VECTOR_BYTES == 32
#define EACH_PANELS(X) X(1) X(2) X(3) X(4)
#else
#define EACH_PANELS(X) X(1) X(2)
#endif

#define SPARSE_KERNELS(P)                                                                          \
    OUTLINE void sparse_row_##P(const struct csr *x, long first, long last, struct weight_rows w,  \
                                const real *start, real *c, long c_panel)                          \
    {                                                                                              \
        sparse_row_body(P, x, first, last, w, start, c, c_panel);                                  \
    }                                                                                              \
    OUTLINE void sparse_feature_##P(const int32_t *rows, const real *values, long n,               \
                                    const real *delta, long d_panel, real *g)                      \
    {                                                                                              \
        sparse_feature_body(P, rows, values, n, delta, d_panel, g);                                \
    }
EACH_PANELS(SPARSE_KERNELS)

#define SPARSE_ROW(P) sparse_row_##P,
#define SPARSE_FEATURE(P) sparse_feature_##P,
static void (*const sparse_rows[])(const struct csr *, long, long, struct weight_rows,
                                   const real *, real *, long) = {EACH_PANELS(SPARSE_ROW)};
static void (*const sparse_features[])(const int32_t *, const real *, long, const real *, long,
                                       real *) = {EACH_PANELS(SPARSE_FEATURE)};

/* c = bias + factor x w for n rows, numbered by `order` or from `first` on. */
static void sparse_product(const struct csr *x, const int64_t *order, long first, long n,
                           struct weight_rows w, long panels, real factor, const real *bias,
                           real *c, long c_panel)
{
    static const real zero[SPARSE_VECTORS * LANES] __attribute__((aligned(64)));
    for (long r = 0; r < n; r++) {
        const long at = row_at(order, first + r);
        const long begin = integer_at(x->starts, x->start_bytes, at);
        const long end = integer_at(x->starts, x->start_bytes, at + 1);
        for (long p = 0; p < panels; p += SPARSE_PANELS) {
            const long wide = least(panels - p, SPARSE_PANELS);
            struct weight_rows part = {w.at + p * PANEL, w.end, w.row};
            real *to = c + p * c_panel + r * PANEL;
            sparse_rows[wide - 1](x, begin, end, part, factor == 1 ? bias + p * PANEL : zero, to,
                                  c_panel);
            if (factor == 1)
                continue;
            for (long v = 0; v < wide * VECTORS; v++) {
                real *z = to + v / VECTORS * c_panel + v % VECTORS * LANES;
                store(z, FMA(SPLAT(factor), load(z), load(bias + p * PANEL + v * LANES)));
            }
        }
    }
}

/* Ask for the entries of a row of the pass that is visited soon. */
static void ask_for_entries(const struct sparse_rows *rows, long row)
{
    const struct csr *x = &rows->x;
    const long at = row_at(rows->order, rows->first + row);
    const long first = integer_at(x->starts, x->start_bytes, at);
    const long last = integer_at(x->starts, x->start_bytes, at + 1);
    for (long i = first; i < last; i += LINE / x->column_bytes)
        __builtin_prefetch((const char *)x->columns + i * x->column_bytes, 0, 3);
    for (long i = first; i < last; i += PANEL)
        __builtin_prefetch((const real *)x->values + i, 0, 2);
}

/* A copy of the pass's rows of which dropout has left some entries. */
static void drop_entries(struct engine *e)
{
    const struct dropout d = dropout_of(e->input_dropout, e->seed, e->step, 0);
    const struct csr *x = &e->rows.x;
    struct entries *to = &e->entries;
    real *values = to->kept;
    int32_t *columns = to->kept_columns;
    to->kept_starts[0] = 0;
    for (long r = 0; r < e->n_rows; r++) {
        const long at = row_at(e->rows.order, e->rows.first + r);
        const long first = integer_at(x->starts, x->start_bytes, at);
        const long n = integer_at(x->starts, x->start_bytes, at + 1) - first;
        for (long i = 0; i < n; i++)
            columns[i] = (int32_t)integer_at(x->columns, x->column_bytes, first + i);
        memcpy(values, (const real *)x->values + first, (size_t)n * sizeof(real));
        drop_at(&d, e->position + r, columns, values, n);
        to->kept_starts[r + 1] = to->kept_starts[r] + (int32_t)n;
        values += n;
        columns += n;
    }
    e->rows = (struct sparse_rows){
        {to->kept, to->kept_columns, to->kept_starts, sizeof(int32_t), sizeof(int32_t)}, NULL, 0};
}

/* The entries of the pass's rows by feature: those of feature f are before last[f], count[f] of
   them, in ascending order of rows. `touched` lists the features that have any. */
static void sort_entries(struct engine *e)
{
    const struct samples *s = e->samples;
    e->rows = (struct sparse_rows){s->sparse, s->order, e->first_row};
    if (e->input_dropout > 0)
        drop_entries(e);
    const struct sparse_rows *rows = &e->rows;
    const struct csr *x = &rows->x;
    struct entries *to = &e->entries;
    real *values = to->values;
    for (long t = 0; t < to->n_touched; t++)
        to->count[to->touched[t]] = 0;
    long touched = 0, n_in = e->layers[0].n_in, place = 0;
    for (int fill = 0; fill < 2; fill++) {
        for (long r = 0; r < e->n_rows; r++) {
            const long at = row_at(rows->order, rows->first + r);
            const long end = integer_at(x->starts, x->start_bytes, at + 1);
            if (!fill && r + ROWS_AHEAD < e->n_rows)
                ask_for_entries(rows, r + ROWS_AHEAD);
            for (long i = integer_at(x->starts, x->start_bytes, at); i < end; i++) {
                const long f = integer_at(x->columns, x->column_bytes, i);
                if (fill) {
                    to->rows[to->last[f]] = (int32_t)r;
                    values[to->last[f]++] = ((const real *)x->values)[i];
                } else if (to->count[f]++ == 0) {
                    to->touched[touched++] = (int32_t)f;
                }
            }
        }
        if (fill)
            break;
        if (touched > n_in / 32) { /* in ascending order the weights are found faster */
            touched = 0;
            for (long f = 0; f < n_in; f++)
                if (to->count[f])
                    to->touched[touched++] = (int32_t)f;
        }
        for (long t = 0; t < touched; t++) {
            to->last[to->touched[t]] = (int32_t)place;
            place += to->count[to->touched[t]];
        }
    }
    to->n_touched = touched;
}

/* Features whose gradients are computed before they are used. */
INLINE long sparse_features_at_once(long width)
{
    return most(1, SPARSE_SCRATCH / (width * (long)sizeof(real)));
}

/* Gradient of one feature's weights to all outputs, zeros where it has no entry. */
static void sparse_gradient(const struct engine *e, long feature, real *g)
{
    const struct entries *from = &e->entries;
    const struct layer *layer = &e->layers[0];
    const long n = from->count[feature], first = from->last[feature] - n;
    if (n == 0) {
        memset(g, 0, (size_t)(layer->out_panels * PANEL) * sizeof(real));
        return;
    }
    for (long p = 0; p < layer->out_panels; p += SPARSE_PANELS) {
        const long wide = least(layer->out_panels - p, SPARSE_PANELS);
        sparse_features[wide - 1](from->rows + first, (const real *)from->values + first, n,
                                  (const real *)layer->delta + p * e->batch_panel, e->batch_panel,
                                  g + p * PANEL);
    }
}

/* The same as a step of plain descent, only for features that have entries. The layer's weights are
   e->shrink V: a penalty shrinks them all by one multiplication, V <- V - rate / shrink' g. Returns
   the change of the sum of squares of V. */
static double sparse_descent(const struct engine *e, long first, long last, real *g)
{
    const struct entries *from = &e->entries;
    const long width = e->layers[0].out_panels * PANEL;
    real *weights = (real *)e->parameters + e->layers[0].weights;
    const vec rate = SPLAT((real)(-e->update.rate / e->next_shrink));
    double change = 0;
    for (long t = first; t < last; t++) {
        real *w = weights + from->touched[t] * width;
        if (t + SPARSE_AHEAD / 2 < last)
            ask_for_row(weights + from->touched[t + SPARSE_AHEAD / 2] * width,
                        e->layers[0].out_panels);
        sparse_gradient(e, from->touched[t], g);
        vec before = {0}, after = {0};
        for (long i = 0; i < width; i += LANES) {
            vec x = load(w + i), y = FMA(rate, load(g + i), x);
            before = FMA(x, x, before);
            after = FMA(y, y, after);
            store(w + i, y);
        }
        change += (double)sum_lanes(after) - (double)sum_lanes(before);
    }
    return change;
}

/* Weights of the first layer with their common factor, and the sum of their squares. */
static double fold_shrink(const struct engine *e, double factor)
{
    const struct layer *layer = &e->layers[0];
    real *w = (real *)e->parameters + layer->weights;
    const long width = layer->out_panels * PANEL;
    double squares = 0;
    for (long f = 0; f < layer->n_in; f++, w += width) {
        vec sum = {0};
        for (long i = 0; i < width; i += LANES) {
            vec x = load(w + i) * (real)factor;
            sum = FMA(x, x, sum);
            store(w + i, x);
        }
        squares += (double)sum_lanes(sum);
    }
    return squares;
}

#endif
