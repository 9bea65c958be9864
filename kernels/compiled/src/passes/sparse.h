/* The first layer for rows in compressed sparse form: only stored entries are touched.

   Weights lie by rows here, [n_in][panels][PANEL]: a feature's weights to all outputs are
   neighbours. Forward, a row of z is a sum of such rows. For the gradient the entries of a batch are
   sorted by feature, so that a feature's weights are read and written once, by one thread, and
   sums run over the rows in ascending order. */
#ifndef FASTMLP_SPARSE_H
#define FASTMLP_SPARSE_H

#include "formulas/dropout.h"
#include "fastmlp.h"
#include "formulas/penalties.h"
#include "matrices/tiles.h"
#include "matrices/panels.h"
#include "formulas/update_rules.h"
#include "work.h"

enum {
    SPARSE_VECTORS = 8,                       /* accumulators; whole panels */
    SPARSE_PANELS = SPARSE_VECTORS / VECTORS,
    ROWS_AHEAD = 4,
    SPARSE_AHEAD = 8,                         /* entries that are prefetched before they are used */
};

/* Rows of weights: n of them, `row` elements from one to the next. Reading stops at `end`, if it is not
   NULL: rows of a plain matrix are not padded, and of the last ones behind `whole` only parts of a panel
   can be read. */
struct weight_rows {
    const real *at, *end;
    long row, n, whole;
};

/* Rows of n, of so many panels, that are read panel by panel: the last ones of a plain matrix end before. */
INLINE long whole_rows(long n, long row, long panels) { return max(0, n - (panels * PANEL + row - 1) / row); }

/* Any number will do for the row: nothing is read. */
INLINE void prefetch_row(const real *w, long number, long row, long panels)
{
    const uintptr_t at = (uintptr_t)w + (uintptr_t)number * (uintptr_t)row * sizeof(real);
    for (long p = 0; p < panels; p++)
        __builtin_prefetch((const void *)(at + (uintptr_t)p * LINE), 0, 3);
}

/* c = start + sum of value * w[column] over a row's entries first … last - 1. Returns whether all of its
   columns exist: another thread may have changed them. `bytes`: of a column's number. */
INLINE int sparse_row_body(const int panels, const int bytes, const struct csr *x, long first, long last,
                           const struct weight_rows *rows, const real *start, real *c, long c_panel)
{
    const struct weight_rows w = *rows;
    const void *columns = x->columns;
    const real *values = x->values;
    vec sum[SPARSE_VECTORS];
    UNROLL for (int v = 0; v < panels * VECTORS; v++)
        sum[v] = load(start + v * LANES);
    int sound = 1;
    for (long i = first; i < last; i++) {
        const long column = integer_at(columns, bytes, i);
        real padded[SPARSE_VECTORS * LANES];
        if (i + SPARSE_AHEAD < last)
            prefetch_row(w.at, integer_at(columns, bytes, i + SPARSE_AHEAD), w.row, panels);
        /* Unsigned, because the column may be any number until it has been looked at. */
        const real *from = (const real *)((uintptr_t)w.at + (uintptr_t)column * (uintptr_t)w.row * sizeof(real));
        if (!LIKELY((unsigned long)column < (unsigned long)w.whole)) {
            if ((unsigned long)column >= (unsigned long)w.n) {
                sound = 0;
                continue;
            }
            if (from + panels * PANEL > w.end) {
                memset(padded, 0, sizeof padded);
                memcpy(padded, from, (size_t)((const char *)w.end - (const char *)from));
                from = padded;
            }
        }
        vec value = SPLAT(values[i]);
        UNROLL for (int v = 0; v < panels * VECTORS; v++)
            sum[v] = FMA(value, load(from + v * LANES), sum[v]);
    }
    UNROLL for (int v = 0; v < panels * VECTORS; v++)
        store(c + v / VECTORS * c_panel + v % VECTORS * LANES, sum[v]);
    return sound;
}

/* sum = sum of value * delta[row] over some of a feature's entries. */
INLINE void sum_entries(const int panels, const int32_t *rows, const real *values, long n,
                        const real *delta, long d_panel, vec *sum)
{
    UNROLL for (int v = 0; v < panels * VECTORS; v++)
        sum[v] = (vec){0};
    for (long i = 0; i < n; i++) {
        const real *from = delta + (long)rows[i] * PANEL;
        vec value = SPLAT(values[i]);
        UNROLL for (int v = 0; v < panels * VECTORS; v++)
            sum[v] = FMA(value, load(from + v / VECTORS * d_panel + v % VECTORS * LANES), sum[v]);
    }
}

/* g = the same over all of them, as the tiles sum many rows: in blocks, see SUM_ROWS. */
INLINE void sparse_feature_body(const int panels, const int32_t *rows, const real *values, long n,
                                const real *delta, long d_panel, real *g)
{
    vec sum[SPARSE_VECTORS], total[SPARSE_VECTORS], rest[SPARSE_VECTORS];
    sum_entries(panels, rows, values, min(n, SUM_ROWS), delta, d_panel, sum);
    if (n > SUM_ROWS) {
        for (int v = 0; v < panels * VECTORS; v++) {
            total[v] = sum[v];
            rest[v] = (vec){0};
        }
        for (long i = SUM_ROWS; i < n; i += SUM_ROWS) {
            sum_entries(panels, rows + i, values + i, min(n - i, SUM_ROWS), delta, d_panel, sum);
            for (int v = 0; v < panels * VECTORS; v++)
                total[v] = sum_with_rest(total[v], sum[v], &rest[v]);
        }
        for (int v = 0; v < panels * VECTORS; v++)
            sum[v] = total[v] + rest[v];
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
    OUTLINE int sparse_row_##P(const struct csr *x, long first, long last,                         \
                               const struct weight_rows *w, const real *start, real *c,            \
                               long c_panel)                                                       \
    {                                                                                              \
        return x->column_bytes == 4 ? sparse_row_body(P, 4, x, first, last, w, start, c, c_panel)  \
                                    : sparse_row_body(P, 8, x, first, last, w, start, c, c_panel); \
    }                                                                                              \
    OUTLINE void sparse_feature_##P(const int32_t *rows, const real *values, long n,               \
                                    const real *delta, long d_panel, real *g)                      \
    {                                                                                              \
        sparse_feature_body(P, rows, values, n, delta, d_panel, g);                                \
    }
EACH_PANELS(SPARSE_KERNELS)

#define SPARSE_ROW(P) sparse_row_##P,
#define SPARSE_FEATURE(P) sparse_feature_##P,
static int (*const sparse_rows[])(const struct csr *, long, long, const struct weight_rows *,
                                  const real *, real *, long) = {EACH_PANELS(SPARSE_ROW)};
static void (*const sparse_features[])(const int32_t *, const real *, long, const real *, long,
                                       real *) = {EACH_PANELS(SPARSE_FEATURE)};

/* c = bias + factor x w for n rows, numbered by `order` or from `first` on. */
static void sparse_product(const struct csr *x, const int64_t *order, long first, long n,
                           struct weight_rows w, long panels, real factor, const real *bias,
                           real *c, long c_panel, int *fault)
{
    static const real zero[SPARSE_VECTORS * LANES] __attribute__((aligned(64)));
    for (long r = 0; r < n; r++) {
        long begin, end;
        if (!entries_of(x, row_at(order, first + r), &begin, &end)) {
            report(fault, FAULT_entry);
            begin = end = 0;
        }
        for (long p = 0; p < panels; p += SPARSE_PANELS) {
            const long wide = min(panels - p, SPARSE_PANELS);
            const struct weight_rows part = {w.at + p * PANEL, w.end, w.row, w.n, w.whole};
            real *to = c + p * c_panel + r * PANEL;
            if (!sparse_rows[wide - 1](x, begin, end, &part, factor == 1 ? bias + p * PANEL : zero,
                                       to, c_panel))
                report(fault, FAULT_entry);
            if (factor == 1)
                continue;
            for (long v = 0; v < wide * VECTORS; v++) {
                real *z = to + v / VECTORS * c_panel + v % VECTORS * LANES;
                store(z, FMA(SPLAT(factor), load(z), load(bias + p * PANEL + v * LANES)));
            }
        }
    }
}

/* Prefetch the entries of a row that is gathered soon. */
static void prefetch_entries(const struct csr *x, long row)
{
    long begin, end;
    if (!entries_of(x, row, &begin, &end))
        return;
    for (long i = begin; i < end; i += LINE / x->column_bytes)
        __builtin_prefetch((const char *)x->columns + i * x->column_bytes, 0, 3);
    for (long i = begin; i < end; i += PANEL)
        __builtin_prefetch((const real *)x->values + i, 0, 2);
}

/* Copy the pass's rows one after the other, and count the entries of every feature; `touched` lists
   those that have any. The caller's integers are read here alone, and checked: 0 for wrong ones. */
static int gather_rows_of_entries(struct engine *e)
{
    const struct samples *s = e->pass.samples;
    const struct csr *x = &s->sparse;
    const unsigned long n_in = (unsigned long)e->design.layers[0].n_in;
    struct entries *to = &e->arena.entries;
    real *values = to->values;
    int32_t *columns = to->columns, *count = to->count;
    for (long t = 0; t < to->n_touched; t++)
        count[to->touched[t]] = 0;
    to->n_touched = 0;
    to->starts[0] = 0;
    for (long r = 0, n = 0; r < e->pass.n_rows; r++) {
        long begin, end;
        if (r + ROWS_AHEAD < e->pass.n_rows)
            prefetch_entries(x, row_at(s->order, e->pass.first_row + r + ROWS_AHEAD));
        if (!entries_of(x, row_at(s->order, e->pass.first_row + r), &begin, &end) ||
            end - begin > to->capacity - n)
            return 0;
        memcpy(values + n, (const real *)x->values + begin, (size_t)(end - begin) * sizeof(real));
        for (long i = begin; i < end; i++, n++) {
            const unsigned long f = (unsigned long)integer_at(x->columns, x->column_bytes, i);
            if (f >= n_in)
                return 0;
            columns[n] = (int32_t)f;
            if (count[f]++ == 0)
                to->touched[to->n_touched++] = (int32_t)f;
        }
        to->starts[r + 1] = (int32_t)n;
    }
    return 1;
}

/* What dropout leaves of the gathered rows. */
static void drop_entries(const struct engine *e)
{
    const struct dropout d = dropout_of(e->design.input_dropout, e->design.seed, e->pass.step, 0);
    const struct entries *of = &e->arena.entries;
    for (long r = 0; r < e->pass.n_rows; r++)
        drop_at(&d, e->pass.position + r, of->columns + of->starts[r], (real *)of->values + of->starts[r],
                of->starts[r + 1] - of->starts[r]);
}

/* The gathered entries by feature: those of feature f are before last[f], count[f] of them, in ascending
   order of rows. */
static void sort_entries(struct engine *e)
{
    struct entries *to = &e->arena.entries;
    const real *values = to->values;
    real *sorted = to->sorted_values;
    const long n_in = e->design.layers[0].n_in;
    if (to->n_touched > n_in / 32) { /* in ascending order the weights are found faster */
        to->n_touched = 0;
        for (long f = 0; f < n_in; f++)
            if (to->count[f])
                to->touched[to->n_touched++] = (int32_t)f;
    }
    for (long t = 0, place = 0; t < to->n_touched; t++) {
        to->last[to->touched[t]] = (int32_t)place;
        place += to->count[to->touched[t]];
    }
    for (long r = 0; r < e->pass.n_rows; r++)
        for (long i = to->starts[r]; i < to->starts[r + 1]; i++) {
            const int32_t place = to->last[to->columns[i]]++;
            to->sorted_rows[place] = (int32_t)r;
            sorted[place] = values[i];
        }
}

/* All that a pass needs of its sparse rows; e->pass.fault says what was wrong with them. */
static void gather_entries(struct engine *e)
{
    const struct entries *of = &e->arena.entries;
    if (!gather_rows_of_entries(e)) {
        report(&e->pass.fault, FAULT_entry);
        return;
    }
    if (e->design.input_dropout > 0)
        drop_entries(e);
    sort_entries(e);
    e->pass.rows = (struct sparse_rows){{.values = of->values, .columns = of->columns,
                                    .starts = of->starts, .n_entries = of->starts[e->pass.n_rows],
                                    .column_bytes = sizeof(int32_t), .start_bytes = sizeof(int32_t)}, NULL, 0};
}

/* Features whose gradients are computed before they are used. */
INLINE long sparse_features_at_once(long width)
{
    return max(1, SPARSE_SCRATCH / (width * (long)sizeof(real)));
}

/* Gradient of one feature's weights to all outputs, zeros where it has no entry. */
static void sparse_gradient(const struct engine *e, long feature, real *g)
{
    const struct entries *from = &e->arena.entries;
    const struct layer *layer = &e->design.layers[0];
    const long n = from->count[feature], first = from->last[feature] - n;
    if (n == 0) {
        memset(g, 0, (size_t)(layer->out_panels * PANEL) * sizeof(real));
        return;
    }
    for (long p = 0; p < layer->out_panels; p += SPARSE_PANELS) {
        const long wide = min(layer->out_panels - p, SPARSE_PANELS);
        sparse_features[wide - 1](from->sorted_rows + first, (const real *)from->sorted_values + first, n,
                                  (const real *)layer->delta + p * e->design.batch_panel, e->design.batch_panel,
                                  g + p * PANEL);
    }
}

/* The same as a step of plain descent, only for features that have entries. The layer's weights are
   e->arena.shrink V: a penalty shrinks them all by one multiplication, V <- V - rate / shrink' g. Returns
   the change of the sum of squares of V. */
static double sparse_descent(const struct engine *e, long first, long last, real *g)
{
    const struct entries *from = &e->arena.entries;
    const long width = e->design.layers[0].out_panels * PANEL;
    real *weights = (real *)e->arena.parameters + e->design.layers[0].weights;
    const vec rate = SPLAT((real)(-e->pass.update.rate / e->arena.next_shrink));
    double change = 0;
    for (long t = first; t < last; t++) {
        real *w = weights + from->touched[t] * width;
        if (t + SPARSE_AHEAD / 2 < last)
            prefetch_row(weights, from->touched[t + SPARSE_AHEAD / 2], width, e->design.layers[0].out_panels);
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
    const struct layer *layer = &e->design.layers[0];
    real *w = (real *)e->arena.parameters + layer->weights;
    const long width = layer->out_panels * PANEL;
    double squares = 0;
    for (long f = 0; f < layer->n_in; f++, w += width) {
        vec sum = {0};
        for (long i = 0; i < width; i += LANES) {
            vec x = load(w + i) * (real)factor;
            sum = FMA(x, x, sum);
            store(w + i, x);
        }
        const double here = (double)sum_lanes(sum);
        squares += isfinite(here) ? here : squares_run(w, width);
    }
    return squares;
}

#endif
