/* Products of plain matrices, a piece of the depth by some rows: room for what is packed, packing, and the loops over
   tiles. plain/products.h says what pieces there are. */
#ifndef FASTMLP_PLAIN_PIECES_H
#define FASTMLP_PLAIN_PIECES_H

#include "matrices/plain_weights.h"
#include "matrices/products.h"
#include "work.h"

enum { AS_USED = 4 }; /* panels of B that are packed at a time where rows of a single piece share them */

/* Room for one block: its part of C that is in panels, the larger of a piece of A (few rows: all of A) and a piece
   of activations, a piece of B, the bias, and for sums in parts two more of C; all in lines, with an odd number of
   them from panel to panel. */
struct product_space {
    long c_panel, a_panel, b_panel; /* elements */
    long c, a, b, columns, lines;
    long tile, strip; /* features of a tile, and of a strip of A, of a gradient */
    int rows_of_a, rows_of_b; /* whether x and errors of a gradient are read where they lie */
};

enum {
    SHALLOW_ROWS = 16, /* of x that are packed all the same, as tiles are short and lines of them in L1 count */
    /* Bytes from one row to the next, below which tiles read rows where they lie: those of x, of which they take a few
       features, and of errors, of which they take a line or two. Farther apart rows meet in few sets of the first-level
       cache, and each tile waits for the second-level one, which costs more than packing. */
    NEAR_ROWS = 2 << 10,
    NEAR_ERRORS = TILE_PANELS == 1 ? 512 : 640,
};

/* Whether rows of a matrix are consecutive elements, one row after the other, less than so many bytes apart. */
INLINE int near_rows(ptrdiff_t row_stride, ptrdiff_t column_stride, long less)
{
    return column_stride == (long)sizeof(real) && row_stride > 0 && row_stride < less &&
           row_stride % (long)sizeof(real) == 0;
}

/* Rows of a single piece share panels of B that are packed as they are used; for several pieces, and for gradients
   of few rows, whose B is small, all of them are packed first. */
static long panels_at_once(const struct product *p, long panels)
{
    return p->block_rows <= p->piece_rows && !p->over_rows ? min(panels, AS_USED) : panels;
}

static struct product_space product_space(const struct product *p)
{
    const long depth = min(p->depth, p->piece_depth);
    const long rows = p->block_rows | 1, piece = p->piece_rows | 1, deep = depth | 1;
    const long columns = p->block_columns / PANEL;
    struct product_space s = {.c_panel = rows * PANEL,
                              .a_panel = (p->over_rows ? blocks_of(depth * STRIP_ROW, PANEL) | 1 : piece) * PANEL,
                              .b_panel = deep * PANEL,
                              .tile = part_at(parts_of(p->piece_rows, TILE_FEATURES), 0)};
    s.rows_of_a = p->over_rows && p->depth > 0 && near_rows(p->a.column_stride, p->a.row_stride, NEAR_ROWS);
    /* Vectors that go beyond the end of a row of errors end in the next one. */
    s.rows_of_b = s.rows_of_a && near_rows(p->b.row_stride, p->b.column_stride, NEAR_ERRORS) &&
                  p->b.row_stride >= (round_up(p->columns, PANEL) - p->columns) * (long)sizeof(real);
    s.rows_of_a = s.rows_of_b || (s.rows_of_a && p->depth > SHALLOW_ROWS);
    s.strip = STRIP_ROW / s.tile * s.tile; /* whole tiles: panels would make shorter ones */
    const long copied = rows_collide(p->a, p->n, TILE_ROWS) ? times(rows, row_apart(p->depth) / PANEL) : 0;
    const long a_lines = p->plain       ? copied
                         : p->over_rows ? times(blocks_of(p->piece_rows, s.strip), s.a_panel / PANEL)
                                        : times(blocks_of(depth, PANEL), piece);
    s.c = p->direct ? rows : times(columns, rows);
    s.a = max(a_lines, p->activations.data && !p->direct ? times(columns, piece) : 0);
    s.b = p->plain ? PLAIN_SCRATCH / LINE : panels_at_once(p, columns) * deep;
    s.columns = columns;
    s.lines = plus(plus(plus(s.c, s.a), plus(s.b, columns)), p->several_sums ? times(2, s.c) : 0);
    return s;
}

static long product_scratch(const struct product *p) { return times(product_space(p).lines, LINE); }

/* Some panels of C, as rows of them lie in memory. */
struct part_of_c {
    real *c;
    long row, panel; /* elements from one to the next */
    long panels;
    int half;       /* of the last one there are half the columns */
    ptrdiff_t gate; /* elements to the activations that tiles gate it by, or 0 */
};

/* A piece of the depth: some rows of A by some panels of B; elements from one panel to the next, and, of gradients,
   from one row of x and of errors to the next. */
struct piece {
    long rows, deep;
    const real *a, *b, *bias, *last_b; /* the last row of errors where it lies apart, or NULL */
    long a_panel, a_row, b_panel, b_row;
    int first, last;
};

/* c += a b for a piece of A = x^T. Packed by its columns, row k of a panel begins with `strip` consecutive elements
   of row k of x, which are whole tiles. */
struct over_rows {
    const struct product_space *space;
    const struct piece *m;
    const struct part_of_c *to;
    struct sums_call call;
};

/* Some panels of C by one tile of features, which begins with row `row` of C. */
static void product_of_tile(const struct over_rows *p, long j, long wide, long row, long features, const real *a)
{
    const struct part_of_c *to = p->to;
    const struct piece *m = p->m;
    const int half = to->half && j + wide == to->panels && wide == 1;
    sums_tile *const *tiles = sums_tiles_of(p->space->rows_of_a, wide, half);
    const long at = j * m->b_panel;
    const real *last = m->last_b ? m->last_b + at : NULL;
    tiles[features - 1](m->deep, a, m->b + at, last, to->c + j * to->panel + row * to->row, &p->call);
}

/* Some panels of C by the features of one panel of A, from row `row` of C on, tile after tile of them: more rows of C at
   once, which may be pages apart, would meet in the same sets of the first-level cache. */
static void product_of_strip(const struct over_rows *p, long first, long last, long row, const real *a)
{
    const long here = min(p->m->rows - row, p->space->strip);
    const struct parts parts = parts_of(here, p->space->tile);
    for (long i = 0, t = 0, part; i < here; i += part, t++) {
        part = part_at(parts, t);
        for (long j = first; j < last; j += TILE_PANELS)
            product_of_tile(p, j, min(last - j, TILE_PANELS), row + i, part, a + i);
    }
}

/* A strip stays in the first-level cache while some panels of B pass by, which stay in the second-level one for all
   strips: rows of C are read and written in runs, so many panels long. */
static void product_over_rows(const struct product_space *s, const struct piece *m, long run, double factor,
                              const struct part_of_c *to)
{
    const struct over_rows p = {s, m, to, {.a_row = m->a_row, .d_row = m->b_row, .d_panel = m->b_panel, .c_row = to->row,
                                           .c_panel = to->panel, .accumulate = !m->first, .factor = (real)factor}};
    const long panels = to->panels, strips = blocks_of(m->rows, s->strip);
    for (long j = 0; j < panels; j += run)
        for (long i = 0; i < strips; i++)
            product_of_strip(&p, j, min(j + run, panels), i * s->strip, m->a + i * m->a_panel);
}

/* Pack a piece of A, unless it lies as if it were packed, or is read where it lies. */
static void pack_a(const struct product *p, const struct product_space *s, struct matrix a, struct piece *m, real *to)
{
    struct matrix x = a;
    if (p->over_rows)
        x = (struct matrix){a.data, a.column_stride, a.row_stride};
    m->a = to;
    m->a_panel = s->a_panel;
    m->a_row = STRIP_ROW;
    if (s->rows_of_a || (lies_in_panel(&x) && (p->over_rows ? m->rows : m->deep) <= PANEL)) {
        m->a = (const real *)x.data;
        m->a_panel = s->strip; /* forward there is no second panel */
        m->a_row = x.row_stride / (ptrdiff_t)sizeof(real);
    } else if (p->over_rows) {
        pack_strips(x, m->deep, m->rows, s->strip, to, s->a_panel);
    } else {
        pack_panels(x, m->rows, m->deep, to, s->a_panel);
    }
}

/* The same for so many columns of B, whose padding must be zeros, unless it is read where it lies: then that of its last
   row. */
static void pack_b(const struct product_space *s, struct matrix b, long columns, struct piece *m, real *to)
{
    m->b = to;
    m->b_panel = s->b_panel;
    m->b_row = PANEL;
    m->last_b = NULL;
    if (s->rows_of_b) {
        const struct matrix last = {b.data + (m->deep - 1) * b.row_stride, b.row_stride, b.column_stride};
        m->b = (const real *)b.data;
        m->b_panel = PANEL;
        m->b_row = b.row_stride / (ptrdiff_t)sizeof(real);
        if (columns % PANEL) {
            m->last_b = to;
            pack_panels(last, 1, columns, to, PANEL);
        }
        return;
    }
    if (lies_in_panel(&b) && columns == PANEL)
        m->b = (const real *)b.data;
    else
        pack_panels(b, m->deep, columns, to, s->b_panel);
}

/* A piece of a product, some panels of C. */
static void piece_product(const struct product *p, const struct product_space *s, const struct piece *m,
                          const struct part_of_c *to)
{
    struct epilogue epilogue = PLAIN_EPILOGUE;
    if (m->last && p->activations.data)
        epilogue.gate = to->gate;
    else if (m->last)
        epilogue = forward_epilogue(p->activation);
    if (p->over_rows)
        product_over_rows(s, m, p->run_panels, m->last && p->direct ? p->factor : 1, to);
    else
        product_of(m->rows, m->deep, m->a, m->a_panel, m->b, m->b_panel, m->bias, !m->first, epilogue, to->c, to->row,
                   to->panel, to->panels, to->half);
}

#endif
