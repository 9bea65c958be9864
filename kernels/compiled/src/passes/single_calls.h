/* The kernels on plain matrices: a product with the start and end of a layer, and what goes over
   elements or rows. They pack into panels, use the tiles, and write plain rows. */
#ifndef FASTMLP_PRODUCTS_H
#define FASTMLP_PRODUCTS_H

#include "matrices/few_rows.h"
#include "passes/rows_pass.h"
#include "passes/weights_pass.h"

enum { COLUMNS_AT_ONCE = 256, COLUMN_ROWS = 64 }; /* of column sums */

/* Room for one block: C, the larger of a piece of A and a block of activations, a piece of B, the bias,
   and for sums in parts two more of C; all in lines, with an odd number of them from panel to panel. */
struct product_space {
    long c_panel, a_panel, b_panel; /* elements */
    long c, a, b, columns, lines;
};

static struct product_space product_space(const struct product *p)
{
    const long depth = p->depth < DEPTH_BLOCK ? p->depth : DEPTH_BLOCK;
    const long rows = p->block_rows | 1, deep = depth | 1;
    const long columns = p->block_columns / PANEL, row_panels = (rows + PANEL - 1) / PANEL;
    const long a_lines = p->over_rows ? row_panels * deep : (depth + PANEL - 1) / PANEL * rows;
    struct product_space s = {.c_panel = rows * PANEL,
                              .a_panel = (p->over_rows ? deep : rows) * PANEL,
                              .b_panel = deep * PANEL};
    s.c = columns * rows;
    s.a = a_lines > s.c ? a_lines : s.c;
    s.b = columns * deep;
    s.columns = columns;
    s.lines = s.c + s.a + s.b + columns + (p->several_sums ? 2 * s.c : 0);
    return s;
}

static long product_scratch(const struct product *p) { return product_space(p).lines * 64; }

/* c += a b for a piece of A = x^T, packed by its columns: row k of a panel holds PANEL consecutive
   elements of row k of x. Of the last panel, with `half`, half has columns. */
static void product_over_rows(const struct product_space *s, long n, long deep, const real *a,
                              const real *b, int accumulate, real *c, long panels, int half)
{
    struct gradient_call call = {.d_panel = s->b_panel, .c_panel = s->c_panel, .accumulate = accumulate};
    for (long j = 0, wide; j < panels; j += wide) {
        wide = panels - j < TILE_PANELS ? panels - j : TILE_PANELS;
        gradient_tile *const *tiles = half && j + wide == panels && wide == 1 ? gradient_halves
                                                                              : gradient_tiles[wide - 1];
        for (long r = 0; r < n; r += PANEL) {
            const struct parts parts = parts_of(n - r < PANEL ? n - r : PANEL, TILE_FEATURES);
            const real *a_r = a + r / PANEL * s->a_panel;
            call.coming = (const char *)(a_r + s->a_panel); /* its first line, again and again */
            for (long i = 0, t = 0, part; i < PANEL && r + i < n; i += part, t++) {
                part = part_at(parts, t);
                tiles[part - 1](deep, a_r + i, b + j * s->b_panel, c + j * s->c_panel + (r + i) * PANEL, &call);
            }
        }
    }
}

/* Copy a row of any stride into consecutive elements. */
INLINE void copy_row(const char *from, ptrdiff_t stride, long n, real *to)
{
    if (from == (const char *)to)
        return;
    if (stride == (long)sizeof(real))
        memcpy(to, from, (size_t)n * sizeof(real));
    else
        for (long c = 0; c < n; c++, from += stride)
            to[c] = *(const real *)from;
}

/* c <- c * activation'(a) for a row of activations of any stride. */
static void derive_row(int activation, fastmlp_activation *custom, real *c, const char *a,
                       ptrdiff_t stride, long n)
{
    real piece[PANEL];
    if (stride == (long)sizeof(real)) {
        derive_run(activation, custom, c, (const real *)a, n);
        return;
    }
    for (long i = 0; i < n; i += PANEL) {
        const long here = n - i < PANEL ? n - i : PANEL;
        copy_row(a + i * stride, stride, here, piece);
        derive_run(activation, custom, c + i, piece, here);
    }
}

/* A block of C in panels, finished: through the activation, or scaled; then into plain rows. */
static void finish_product(const struct product *p, real *c, long c_panel, real *other, long row,
                           long n, long column, long columns)
{
    if (p->activations.data) {
        const struct matrix *m = &p->activations;
        const char *from = m->data + row * m->row_stride + column * m->column_stride;
        pack_panels((struct matrix){from, m->row_stride, m->column_stride}, n, columns, other,
                    c_panel);
    }
    for (long j = 0; j * PANEL < columns; j++) {
        real *panel = c + j * c_panel;
        if (p->activations.data)
            derive_run(p->activation, p->custom, panel, other + j * c_panel, n * PANEL);
        else if (p->activation != ACTIVATION_softmax && !in_tiles(p->activation)) /* softmax: see calls.c */
            activate_run(p->activation, p->custom, panel, n * PANEL);
    }
    for (long r = 0; r < n; r++)
        gather_scaled_row(c + r * PANEL, c_panel, columns, p->factor != 1, (real)p->factor,
                          (real *)p->c + (row + r) * p->columns + column);
}

/* A run of columns of one row of C, by a B that is not packed. */
static void finish_in_place(const struct product *p, long row, long column, long columns)
{
    const struct matrix *m = &p->activations;
    real *c = (real *)p->c + row * p->columns + column;
    if (m->data)
        derive_row(p->activation, p->custom, c,
                   m->data + row * m->row_stride + column * m->column_stride, m->column_stride,
                   columns);
    else if (p->activation != ACTIVATION_softmax)
        activate_run(p->activation, p->custom, c, columns);
    for (long j = 0; p->factor != 1 && j < columns; j++)
        c[j] *= (real)p->factor;
}

static void block_in_place(const struct product *p, long row, long n, long column, long columns)
{
    const char *b = p->b.data + column * p->b.column_stride;
    const real *bias = p->bias ? (const real *)p->bias + column : NULL;
    const int by_rows = p->b.column_stride == (long)sizeof(real);
    const ptrdiff_t step = (by_rows ? p->b.row_stride : p->b.column_stride) / (long)sizeof(real);
    for (long r = row; r < row + n; r++) {
        (by_rows ? row_product : row_dots)((const real *)(p->a.data + r * p->a.row_stride), p->depth,
                                           (const real *)b, step, columns, bias,
                                           (real *)p->c + r * p->columns + column);
        finish_in_place(p, r, column, columns);
    }
}

/* Add a part of the sums of C over rows to those before it; the last one leaves all of it in c. */
static void add_part(real *c, long c_panel, long n, long panels, real *total, real *rest, int first,
                     int last)
{
    for (long j = 0; j < panels; j++)
        for (long i = j * c_panel; i < j * c_panel + n * PANEL; i += LANES) {
            vec sum = load(c + i), lost = {0};
            if (!first) {
                lost = load(rest + i);
                sum = sum_with_rest(load(total + i), sum, &lost);
            }
            store(total + i, sum);
            store(rest + i, lost);
            if (last)
                store(c + i, sum + lost);
        }
}

/* One block of C, over the depth in pieces that stay in the cache. */
static void product_block(void *context, long block, int thread)
{
    const struct product *p = context;
    const struct product_space s = product_space(p);
    const long across = (p->columns + p->block_columns - 1) / p->block_columns;
    const long row = block / across * p->block_rows, column = block % across * p->block_columns;
    const long n = p->n - row < p->block_rows ? p->n - row : p->block_rows;
    const long left = p->columns - column;
    const long columns = left < p->block_columns ? left : p->block_columns;
    const long panels = (columns + PANEL - 1) / PANEL;
    const int half = vectors_of(columns) % VECTORS != 0;
    if (p->in_place) {
        block_in_place(p, row, n, column, columns);
        return;
    }
    real *c = (real *)(p->scratch + thread * p->scratch_bytes);
    real *a = c + s.c * PANEL, *b = a + s.a * PANEL, *bias = b + s.b * PANEL;
    real *total = bias + s.columns * PANEL, *rest = total + s.c * PANEL;
    struct matrix from_a = p->a, from_b = p->b;
    from_a.data += row * from_a.row_stride;
    from_b.data += column * from_b.column_stride;
    if (p->bias)
        scatter_row((const char *)((const real *)p->bias + column), sizeof(real), columns, bias,
                    PANEL, 1);
    long k = 0;
    do { /* once even for depth 0 */
        const long deep = p->depth - k < DEPTH_BLOCK ? p->depth - k : DEPTH_BLOCK;
        pack_panels(from_b, deep, columns, b, s.b_panel);
        if (p->over_rows) {
            struct matrix turned = {from_a.data, from_a.column_stride, from_a.row_stride};
            pack_panels(turned, deep, n, a, s.a_panel);
            product_over_rows(&s, n, deep, a, b, k % PART_ROWS != 0, c, panels, half);
            if (p->several_sums && ((k + deep) % PART_ROWS == 0 || k + deep == p->depth))
                add_part(c, s.c_panel, n, panels, total, rest, k < PART_ROWS, k + deep == p->depth);
        } else {
            pack_panels(from_a, n, deep, a, s.a_panel);
            const int last = k + deep == p->depth && !p->activations.data;
            half_product(n, deep, a, s.a_panel, b, s.b_panel, p->bias ? bias : NULL, k > 0,
                         last ? forward_epilogue(p->activation) : PLAIN_EPILOGUE, c, s.c_panel, panels, half);
        }
        from_a.data += deep * from_a.column_stride;
        from_b.data += deep * from_b.row_stride;
    } while ((k += DEPTH_BLOCK) < p->depth);
    finish_product(p, c, s.c_panel, a, row, n, column, columns);
}

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
