/* Products of plain matrices: forward with the start and end of a layer, errors backward, gradients.

   Operands are packed in pieces; results are summed where they belong:

              columns of a block of C            for each piece of the depth:
              +-------------------+-+              pack a piece of B, for all rows of the block
   piece of   |                   |e|              for each piece of rows:
   rows       | whole panels      |d|                pack a piece of A
              |-------------------|g|                one panel, or two, of B after the other:
              |                   |e|                  tiles down the rows of the piece
              +-------------------+-+
   A piece of A stays in the second-level cache, and what a tile needs of B in the first-level cache while the rows
   of a piece pass by. Columns that fill no panel have a panel of their own, the edge, and are copied into C in
   the end. A block is the work of one thread.

   Narrow results, and those whose sums are taken in parts, are all in panels until they are finished. */
#ifndef FASTMLP_PLAIN_PRODUCTS_H
#define FASTMLP_PLAIN_PRODUCTS_H

#include "matrices/few_rows.h"
#include "matrices/plain_weights.h"
#include "matrices/products.h"
#include "passes/plain_results.h"
#include "work.h"

enum { AS_USED = 4 }; /* panels of B that are packed at a time where rows of a single piece share them */

/* Room for one block: its part of C that is in panels, the larger of a piece of A and a piece of activations, a
   piece of B, the bias, and for sums in parts two more of C; all in lines, with an odd number of them from panel
   to panel. */
struct product_space {
    long c_panel, a_panel, b_panel; /* elements */
    long c, a, b, columns, lines;
    long tile, strip; /* features of a tile, and of a panel of A, of a gradient */
};

/* Lines from one plain row to the next: not so many that rows meet in the same sets of the first-level cache. */
static long apart(long columns)
{
    const long lines = (columns + PANEL - 1) / PANEL;
    return lines % (1024 / LINE) ? lines : lines + 1;
}

/* Rows of a single piece share panels of B that are packed as they are used; for several pieces all of them are
   packed first. */
static long panels_at_once(const struct product *p, long panels)
{
    return p->block_rows <= p->piece_rows ? min(panels, AS_USED) : panels;
}

static struct product_space product_space(const struct product *p)
{
    const long depth = p->depth < DEPTH_BLOCK ? p->depth : DEPTH_BLOCK;
    const long rows = p->block_rows | 1, piece = p->piece_rows | 1, deep = depth | 1;
    const long columns = p->block_columns / PANEL;
    const struct parts tiles = parts_of(p->piece_rows, TILE_FEATURES);
    struct product_space s = {.c_panel = rows * PANEL,
                              .a_panel = (p->over_rows ? deep : piece) * PANEL,
                              .b_panel = deep * PANEL,
                              .tile = part_at(tiles, 0)};
    s.strip = PANEL / s.tile * s.tile;
    const long a_lines = p->over_rows ? blocks_of(p->piece_rows, s.strip) * deep : blocks_of(depth, PANEL) * piece;
    s.c = p->direct ? rows : columns * rows;
    s.a = max(p->plain ? rows * apart(p->depth) : a_lines, p->direct ? 0 : s.c);
    s.b = p->plain ? PLAIN_SCRATCH / LINE : panels_at_once(p, columns) * deep;
    s.columns = columns;
    s.lines = s.c + s.a + s.b + columns + (p->several_sums ? 2 * s.c : 0);
    return s;
}

static long product_scratch(const struct product *p) { return product_space(p).lines * 64; }

/* Some panels of C, as rows of them lie in memory. */
struct part_of_c {
    real *c;
    long row, panel; /* elements from one to the next */
    long panels;
    int half; /* of the last one there are half the columns */
};

/* A piece of the depth, of some rows of A and all columns of a block of C. */
struct piece {
    long rows, deep;
    const real *a, *b, *bias;
    long a_panel;
    int first, last;
};

/* c += a b for a piece of A = x^T, packed by its columns: row k of a panel begins with so many consecutive
   elements of row k of x that they are whole tiles. */
static void product_over_rows(const struct product_space *s, const struct piece *m, double factor,
                              const struct part_of_c *to)
{
    const struct sums_call call = {.d_panel = s->b_panel, .c_row = to->row, .c_panel = to->panel,
                                   .accumulate = !m->first, .factor = (real)factor};
    for (long j = 0, wide; j < to->panels; j += wide) {
        wide = to->panels - j < TILE_PANELS ? to->panels - j : TILE_PANELS;
        sums_tile *const *tiles = to->half && j + wide == to->panels && wide == 1 ? sums_halves : sums_tiles[wide - 1];
        const real *a = m->a;
        for (long r = 0; r < m->rows; r += s->strip, a += m->a_panel) {
            const long here = min(m->rows - r, s->strip);
            const struct parts parts = parts_of(here, s->tile);
            for (long i = 0, t = 0, part; i < here; i += part, t++) {
                part = part_at(parts, t);
                tiles[part - 1](m->deep, a + i, m->b + j * s->b_panel, to->c + j * to->panel + (r + i) * to->row,
                                &call);
            }
        }
    }
}

/* Pack a piece of A, unless it lies as if it were packed. */
static void pack_a(const struct product *p, const struct product_space *s, struct matrix a, struct piece *m, real *to)
{
    struct matrix x = a;
    if (p->over_rows)
        x = (struct matrix){a.data, a.column_stride, a.row_stride};
    m->a = to;
    m->a_panel = s->a_panel;
    if (lies_in_panel(&x) && (p->over_rows ? m->rows : m->deep) <= PANEL) {
        m->a = (const real *)x.data;
        m->a_panel = s->strip;
    } else if (p->over_rows) {
        pack_strips(x, m->deep, m->rows, s->strip, to, s->a_panel);
    } else {
        pack_panels(x, m->rows, m->deep, to, s->a_panel);
    }
}

/* The same for B, whose padding must be zeros. */
static const real *packed_b(const struct product_space *s, struct matrix b, long deep, long columns, real *to)
{
    if (lies_in_panel(&b) && columns == PANEL)
        return (const real *)b.data;
    pack_panels(b, deep, columns, to, s->b_panel);
    return to;
}

/* A piece of a product; `in_c` says that it goes into C itself. */
static void piece_product(const struct product *p, const struct product_space *s, const struct piece *m,
                          const struct part_of_c *to, int in_c)
{
    if (p->over_rows)
        product_over_rows(s, m, m->last && p->direct ? p->factor : 1, to);
    else
        product_of(m->rows, m->deep, m->a, m->a_panel, m->b, s->b_panel, m->bias, !m->first,
                   m->last ? product_epilogue(p, in_c) : PLAIN_EPILOGUE, to->c, to->row, to->panel, to->panels,
                   to->half);
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

/* Rows of A that are read where they are, or copied to `room` where that would be slow: *a_row elements apart. */
static const real *plain_rows(const struct product *p, struct matrix a, long n, real *room, long *a_row)
{
    if (a.column_stride == (long)sizeof(real) && a.row_stride % (long)sizeof(real) == 0 &&
        (a.row_stride % 1024 || n <= TILE_ROWS)) {
        *a_row = a.row_stride / (long)sizeof(real);
        return (const real *)a.data;
    }
    *a_row = apart(p->depth) * PANEL;
    for (long r = 0; r < n; r++)
        scatter_row(a.data + r * a.row_stride, a.column_stride, p->depth, room + r * *a_row, PANEL, 0);
    return room;
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
                                             k.columns / PANEL, 0}
                        : (struct part_of_c){k.c, PANEL, k.space.c_panel, k.panels, half};
    k.edge = (struct part_of_c){k.c, PANEL, 0, k.panels - k.inner.panels, half};
    return k;
}

/* A block of few rows, by a B that is read where it is. */
static void plain_block(const struct block *k)
{
    const struct product *p = k->product;
    long a_row;
    const real *a = plain_rows(p, k->from_a, k->n, k->a, &a_row);
    const struct row_block m = {
        .rows = k->n, .depth = p->depth, .a_row = a_row, .a_panel = PANEL, .c_row = k->inner.row,
        .c_panel = k->inner.panel, .a = a, .c = k->inner.c, .columns = k->columns, .bias = k->bias,
        .lowest = (p->activations.data ? PLAIN_EPILOGUE : forward_epilogue(p->activation)).lowest,
    };
    plain_product(&m, (const real *)k->from_b.data, k->from_b.row_stride / (long)sizeof(real), k->b);
    if (p->direct)
        finish_direct(p, k->edge.c, k->row, k->n, k->column, k->columns);
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
        piece_product(k->product, &k->space, &m, &to, 1);
    if (whole == panels)
        return;
    m.b += whole * k->space.b_panel;
    m.bias += m.bias ? whole * PANEL : 0;
    to = k->edge;
    to.c += row * to.row;
    piece_product(k->product, &k->space, &m, &to, 0);
}

/* A block over a piece of the depth. */
static void packed_block(const struct block *k, struct matrix from_a, struct matrix from_b, struct piece m)
{
    const struct product *p = k->product;
    const long some = panels_at_once(p, k->panels);
    for (long j = 0, panels; j < k->panels; j += panels) {
        panels = min(some, k->panels - j);
        m.b = packed_b(&k->space, from_b, m.deep, min(k->columns - j * PANEL, panels * PANEL), k->b);
        from_b.data += panels * PANEL * from_b.column_stride;
        struct matrix rows = from_a;
        for (long r = 0; r < k->n; r += m.rows) {
            m.rows = min(k->n - r, p->piece_rows);
            if (j == 0)
                pack_a(p, &k->space, rows, &m, k->a);
            multiply_piece(k, m, r, j, panels);
            if (m.last && p->direct && j + panels == k->panels)
                finish_direct(p, k->edge.c + r * PANEL, k->row + r, m.rows, k->column, k->columns);
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
    for (long i = 0; !p->plain && (i < p->depth || i == 0); i += DEPTH_BLOCK) { /* once even for depth 0 */
        struct piece m = {.deep = min(p->depth - i, DEPTH_BLOCK), .first = p->over_rows ? i % PART_ROWS == 0 : i == 0};
        m.last = i + m.deep == p->depth;
        packed_block(&k, from_a, from_b, m);
        if (p->several_sums && ((i + m.deep) % PART_ROWS == 0 || m.last))
            add_part(k.c, k.space.c_panel, k.n, k.panels, k.total, k.rest, i < PART_ROWS, m.last);
        from_a.data += m.deep * from_a.column_stride;
        from_b.data += m.deep * from_b.row_stride;
    }
    if (!p->direct)
        finish_product(p, k.c, k.space.c_panel, k.a, k.row, k.n, k.column, k.columns);
}

#endif
