/* What becomes of the sums of a product of plain matrices: activations, derivatives and factors, in rows of C or
   in panels that go there. */
#ifndef FASTMLP_PLAIN_RESULTS_H
#define FASTMLP_PLAIN_RESULTS_H

#include "formulas/custom.h"
#include "matrices/panels.h"
#include "matrices/products.h"
#include "work.h"

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

/* Whether activations lie as C does. */
static int lie_alike(const struct product *p)
{
    const struct matrix *m = &p->activations;
    return m->column_stride == (long)sizeof(real) && m->row_stride == p->columns * (long)sizeof(real);
}

/* Elements from one of C to the activation whose derivative is zero or one and gates it; 0 for other derivatives
   and layouts. */
static ptrdiff_t gate_of(const struct product *p)
{
    const struct matrix *m = &p->activations;
    if (m->data == NULL || !in_tiles(p->activation) || !lie_alike(p))
        return 0;
    return (m->data - (const char *)p->c) / (ptrdiff_t)sizeof(real);
}

/* A row out of panels into C, times a factor and, with `gated`, without what the activations so far behind it in
   memory leave out. With `loose` whole vectors are stored, which the next row overwrites. */
INLINE void finish_row(const int loose, const int gated, const real *from, long panel, long columns, vec factor,
                       ptrdiff_t gate, real *to)
{
    for (; columns > 0; columns -= PANEL, from += panel, to += PANEL)
        UNROLL for (int v = 0; v < VECTORS; v++) {
            const long n = loose ? LANES : min(columns - v * LANES, LANES);
            real *at = to + v * LANES;
            if (columns <= v * LANES)
                break;
            vec x = load(from + v * LANES) * factor;
            if (gated)
                x = masked((n == LANES ? load(at + gate) : load_partial(at + gate, n)) > SPLAT((real)0), x);
            if (n == LANES)
                store(at, x);
            else
                store_partial(at, x, n);
        }
}

/* A block of C in panels, finished: through the activation, or scaled; then into plain rows. */
static void finish_product(const struct product *p, real *c, long c_panel, real *other, long row,
                           long n, long column, long columns)
{
    const ptrdiff_t gate = gate_of(p);
    const struct matrix *m = &p->activations;
    const long panel = (n | 1) * PANEL;
    if (m->data && !gate) {
        const char *from = m->data + row * m->row_stride + column * m->column_stride;
        pack_panels((struct matrix){from, m->row_stride, m->column_stride}, n, columns, other, panel);
    }
    for (long j = 0; j * PANEL < columns && !gate; j++) {
        real *run = c + j * c_panel;
        if (m->data)
            derive_run(p->activation, p->custom, run, other + j * panel, n * PANEL);
        else if (p->activation != ACTIVATION_softmax && !in_tiles(p->activation)) /* softmax: see calls.c */
            activate_run(p->activation, p->custom, run, n * PANEL);
    }
    /* So many rows are loose: the others end where a vector may go beyond the block, or into columns beside it. */
    const long loose = columns == p->columns ? n - blocks_of(PANEL, columns) : 0;
    const vec factor = SPLAT((real)p->factor);
    real *to = (real *)p->c + row * p->columns + column;
    long r = 0;
    for (; r < loose; r++, to += p->columns)
        (gate ? finish_row(1, 1, c + r * PANEL, c_panel, columns, factor, gate, to)
              : finish_row(1, 0, c + r * PANEL, c_panel, columns, factor, gate, to));
    for (; r < n; r++, to += p->columns)
        (gate ? finish_row(0, 1, c + r * PANEL, c_panel, columns, factor, gate, to)
              : finish_row(0, 0, c + r * PANEL, c_panel, columns, factor, gate, to));
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

/* Rows of C that are summed: the columns of their edge come from there, and what tiles have not done is done. */
static void finish_direct(const struct product *p, const real *edge, long row, long n, long column, long columns)
{
    const long whole = columns / PANEL * PANEL;
    for (long r = 0; r < n && whole < columns; r++)
        gather_row(edge + r * PANEL, 0, columns - whole, (real *)p->c + (row + r) * p->columns + column + whole);
    if (p->over_rows || (!p->activations.data && (in_tiles(p->activation) || p->activation == ACTIVATION_softmax)))
        return;
    const long done = !p->plain && gate_of(p) ? whole : 0; /* tiles of plain weights have no gates */
    if (done == 0 && columns == p->columns && p->factor == 1 && (!p->activations.data || lie_alike(p))) {
        finish_in_place(p, row, 0, n * columns); /* rows as a single one */
        return;
    }
    for (long r = row; r < row + n && done < columns; r++)
        finish_in_place(p, r, column + done, columns - done);
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

#endif
