/* Products of plain matrices: forward with the start and end of a layer, errors backward, gradients.

   Operands are packed in pieces; results are summed where they belong:

              columns of a block of C            for each piece of the depth:
              +-------------------+-+              pack a piece of B, for all rows of the block
   piece of   |                   |e|              for each piece of rows:
   rows       | whole panels      |d|                pack a piece of A
              |-------------------|g|                forward: one panel, or two, of B after the other:
              |                   |e|                  tiles down the rows of the piece
              +-------------------+-+                gradients: a run of panels of B after the other:
                                                       strips of A, a tile or two wide: tiles along the run
   A piece of A stays in the second-level cache. Forward, what a tile needs of B stays in a cache while the rows of a
   piece pass by, see DEPTH_BLOCK; of a gradient a strip stays in the first-level cache, and a run of B in the second.
   Columns that fill no panel have a panel of their own, the edge, and are copied into C in the end. A block is the
   work of one thread.

   Forward sums over several pieces of the depth, narrow results, and sums that are taken in parts are all in panels
   until they are finished: sums that are read again lie close together there. Few rows read B where it is, see
   plain_weights.h, few_rows.h and few_dots.h; gradients of narrow layers read A and B where they are, see pieces.h. */
#ifndef FASTMLP_PLAIN_PRODUCTS_H
#define FASTMLP_PLAIN_PRODUCTS_H

#include "matrices/few_dots.h"
#include "matrices/few_rows.h"
#include "passes/plain/pieces.h"
#include "passes/plain/results.h"

/* A few rows, by a B that is read where it is. */
static void block_in_place(const struct product *p, long row, long n, long column, long columns)
{
    const ptrdiff_t real_bytes = sizeof(real);
    const int by_rows = p->b.column_stride == real_bytes;
    const struct few_rows all = {
        .a = (const real *)(p->a.data + row * p->a.row_stride), .a_row = p->a.row_stride / real_bytes,
        .w = (const real *)(p->b.data + column * p->b.column_stride),
        .w_row = (by_rows ? p->b.row_stride : p->b.column_stride) / real_bytes,
        .bias = p->bias ? (const real *)p->bias + column : NULL, .depth = p->depth, .n_out = columns,
        .c = (real *)p->c + row * p->columns + column, .c_row = p->columns,
    };
    (!by_rows ? few_dots_product : columns < p->columns ? few_rows_apart : few_rows_product)(n, &all);
    for (long r = row; r < row + n; r++)
        finish_in_place(p, r, column, columns);
}

/* What a block of C is made of, and where in the thread's scratch memory. */
struct block {
    const struct product *product;
    struct product_space space;
    long row, n, column, columns;
    struct matrix from_a, from_b;
    long panels;                  /* of its columns */
    struct part_of_c inner, edge; /* the panels that are summed where they belong, and that of the other columns */
    real *c, *a, *b, *bias, *total, *rest;
};

static struct block block_of_product(const struct product *p, long index, char *scratch)
{
    const long across = blocks_of(p->columns, p->block_columns);
    struct block k = {.product = p, .space = product_space(p), .row = index / across * p->block_rows,
                      .column = index % across * p->block_columns, .from_a = p->a, .from_b = p->b};
    k.n = min(p->n - k.row, p->block_rows);
    k.columns = min(p->columns - k.column, p->block_columns);
    k.panels = blocks_of(k.columns, PANEL);
    k.from_a.data += k.row * p->a.row_stride;
    k.from_b.data += k.column * p->b.column_stride;
    k.c = (real *)scratch;
    k.a = k.c + k.space.c * PANEL;
    k.b = k.a + k.space.a * PANEL;
    k.bias = k.b + k.space.b * PANEL;
    k.total = k.bias + k.space.columns * PANEL;
    k.rest = k.total + k.space.c * PANEL;
    const int half = vectors_of(k.columns) % VECTORS != 0;
    k.inner = p->direct ? (struct part_of_c){(real *)p->c + k.row * p->columns + k.column, p->columns, PANEL,
                                             k.columns / PANEL, 0, gate_of(p)}
                        : (struct part_of_c){k.c, PANEL, k.space.c_panel, k.panels, half, 0};
    k.edge = (struct part_of_c){k.c, PANEL, 0, k.panels - k.inner.panels, half, 0};
    return k;
}

/* Rows of a block that are summed, from `row` of it on. What was packed of A is not needed any more. */
static void finish_rows_of(const struct block *k, long row, long n)
{
    const struct product *p = k->product;
    if (p->direct)
        finish_direct(p, k->edge.c + row * PANEL, k->row + row, n, k->column, k->columns);
    else
        finish_product(p, k->c + row * PANEL, k->space.c_panel, k->a, k->row + row, n, k->column, k->columns);
}

/* A block of few rows, by a B that the first tile of them reads where it is, and packs. */
static void plain_block(const struct block *k)
{
    const struct product *p = k->product;
    ptrdiff_t a_row;
    const real *a = rows_in_place(k->from_a, k->n, p->depth, k->a, &a_row), *b = (const real *)k->from_b.data;
    const ptrdiff_t b_row = k->from_b.row_stride / (ptrdiff_t)sizeof(real);
    const long inside = min(k->inner.panels * PANEL, k->columns);
    struct row_block m = {
        .rows = k->n, .depth = p->depth, .a_row = a_row, .a_panel = PANEL, .c_row = k->inner.row,
        .c_panel = k->inner.panel, .a = a, .c = k->inner.c, .columns = inside, .bias = k->bias,
        .lowest = (p->activations.data ? PLAIN_EPILOGUE : forward_epilogue(p->activation)).lowest,
    };
    if (p->custom && !p->direct) /* whose function sees the padding, too, of which tiles may write half */
        memset(k->inner.c + (k->panels - 1) * k->inner.panel, 0, (size_t)(k->n * LINE));
    if (inside > 0)
        plain_product(&m, b, b_row, k->b);
    if (inside < k->columns) {
        m.c = k->edge.c;
        m.c_row = k->edge.row;
        m.columns = k->columns - inside;
        m.bias += inside;
        plain_product(&m, b + inside, b_row, k->b);
    }
    finish_rows_of(k, 0, k->n);
}

/* A piece of A, of rows from `row` of the block on, by some panels of B, the first of which is panel j of C. */
static void multiply_piece(const struct block *k, struct piece m, long row, long j, long panels)
{
    struct part_of_c to = k->inner;
    const long whole = min(max(to.panels - j, 0), panels);
    m.bias = k->product->bias ? k->bias + j * PANEL : NULL;
    to.c += row * to.row + j * to.panel;
    to.half = to.half && j + panels == to.panels;
    to.panels = whole;
    if (whole > 0)
        piece_product(k->product, &k->space, &m, &to);
    if (whole == panels)
        return;
    m.b += whole * m.b_panel;
    m.last_b += m.last_b ? whole * m.b_panel : 0;
    m.bias += m.bias ? whole * PANEL : 0;
    to = k->edge;
    to.c += row * to.row;
    piece_product(k->product, &k->space, &m, &to);
}

/* A block over a piece of the depth. */
static void packed_block(const struct block *k, struct matrix from_a, struct matrix from_b, struct piece m)
{
    const struct product *p = k->product;
    const long some = panels_at_once(p, k->panels);
    for (long j = 0, panels; j < k->panels; j += panels) {
        panels = min(some, k->panels - j);
        pack_b(&k->space, from_b, min(k->columns - j * PANEL, panels * PANEL), &m, k->b);
        from_b.data += panels * PANEL * from_b.column_stride;
        struct matrix rows = from_a;
        for (long r = 0; r < k->n; r += m.rows) {
            m.rows = min(k->n - r, p->piece_rows);
            if (j == 0)
                pack_a(p, &k->space, rows, &m, k->a);
            multiply_piece(k, m, r, j, panels);
            if (m.last && j + panels == k->panels && !p->several_sums)
                finish_rows_of(k, r, m.rows);
            rows.data += m.rows * rows.row_stride;
        }
    }
}

/* One block of C, over the depth in pieces that stay in the cache. */
static void product_block(void *context, long index, int thread)
{
    const struct product *p = context;
    struct block k = block_of_product(p, index, p->scratch + thread * p->scratch_bytes);
    if (p->in_place) {
        block_in_place(p, k.row, k.n, k.column, k.columns);
        return;
    }
    if (p->bias)
        scatter_row((const char *)((const real *)p->bias + k.column), sizeof(real), k.columns, k.bias, PANEL, 1);
    else if (p->plain)
        memset(k.bias, 0, (size_t)k.panels * LINE);
    if (p->plain)
        plain_block(&k);
    struct matrix from_a = k.from_a, from_b = k.from_b;
    for (long i = 0; !p->plain && (i < p->depth || i == 0); i += p->piece_depth) { /* once even for depth 0 */
        struct piece m = {.deep = min(p->depth - i, p->piece_depth), .first = p->over_rows ? i % PART_ROWS == 0 : i == 0};
        m.last = i + m.deep == p->depth;
        packed_block(&k, from_a, from_b, m);
        if (p->several_sums && ((i + m.deep) % PART_ROWS == 0 || m.last))
            add_part(k.c, k.space.c_panel, k.n, k.panels, k.total, k.rest, i < PART_ROWS, m.last);
        from_a.data += m.deep * from_a.column_stride;
        from_b.data += m.deep * from_b.row_stride;
    }
    if (p->several_sums)
        finish_rows_of(&k, 0, k.n);
}

#endif
