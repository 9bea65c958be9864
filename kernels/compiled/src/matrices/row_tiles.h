/* Register tiles of predictions, and the product of a block of rows with weights in panels:

     C[r][j] = bias[j] + sum_k  A[r][k] W[k][j]

   The contract is that of tiles.h, with these differences:

   layout      Rows of A lie in memory one after the other, as a caller has them, a_row elements apart: they are
               read where they are, in as many streams as a tile has rows. A may be in panels as well, a_panel
               elements apart, and C is written either way, c_row elements from row to row, c_panel from
               panel to panel. With a_panel PANEL a row is one run.
   writes      Whole panel rows of C, rows in ascending order: where C has fewer columns than that, the end of
               a row is what the next one overwrites, and behind the last row there must be room.
   narrow      Of a last panel with few columns only half is computed, for more rows.

   Every element is the same chain as in tiles.h. */
#ifndef FASTMLP_ROW_TILES_H
#define FASTMLP_ROW_TILES_H

#include "matrices/panels.h"
#include "matrices/tiles.h"
#include "work.h"

enum {
    HALF = PANEL / 2,              /* columns of a narrow tile */
    HALF_VECTORS = VECTORS / 2,    /* none where a panel is one vector */
    HALF_ROWS = TILE_ROWS * 5 / 3, /* more, and compilers lack a register */
    POINTED = 3,                   /* rows for each pointer into A: it, and one and two rows further on */
    MOST_ROWS = 2 * TILE_ROWS,
    POINTERS = (MOST_ROWS + POINTED - 1) / POINTED,
};

/* What the tiles of one block of depth have in common. */
struct row_call {
    long depth, c_row, c_panel;
    ptrdiff_t a_row;
    long a_run, a_skip;           /* columns of A side by side, and elements from behind them to the next */
    ptrdiff_t b_row;              /* of plain weights, */
    long b_panel;                 /* of packed ones */
    long start_row, start_panel;  /* of the sums' first values: the bias, or C itself */
    real lowest;                  /* a ReLU, max(lowest, C) */
};

INLINE void begin_rows(const int rows, const int vectors, const struct row_call *p, const real *start,
                       vec sum[][TILE_PANELS * VECTORS])
{
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < vectors; v++)
            sum[r][v] = load(start + r * p->start_row + (v / VECTORS) * p->start_panel +
                             (v % VECTORS) * LANES);
}

INLINE void end_rows(const int rows, const int vectors, const struct row_call *p,
                     vec sum[][TILE_PANELS * VECTORS], real *c)
{
    const vec lowest = SPLAT(p->lowest);
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < vectors; v++)
            store(c + r * p->c_row + (v / VECTORS) * p->c_panel + (v % VECTORS) * LANES,
                  maximum(lowest, sum[r][v]));
}

/* ROWS x so many vectors of C. With `plain` rows of B are b_row elements apart, and with `packs` they also
   go into `packed`. Prefetches as much of B, `ahead` elements further on. */
INLINE void rows_body(const int rows, const int vectors, const int plain, const int packs,
                      const struct row_call *p, const real *a, const real *b, long ahead,
                      const real *start, real *c, real *packed)
{
    vec sum[MOST_ROWS][TILE_PANELS * VECTORS];
    const int panels = (vectors + VECTORS - 1) / VECTORS;
    const ptrdiff_t a_row = p->a_row, b_row = plain ? p->b_row : PANEL;
    const long b_panel = plain ? PANEL : p->b_panel;
    const long packed_panel = p->b_panel;
    const real *x[POINTERS];
    begin_rows(rows, vectors, p, start, sum);
    UNROLL for (int i = 0; i * POINTED < rows; i++)
        x[i] = a + i * POINTED * a_row;
    for (long left = p->depth, run; left > 0; left -= run) {
        run = min(left, p->a_run);
        const real *end = x[0] + run;
        INNER_LOOP do {
            vec right[TILE_PANELS * VECTORS];
            UNROLL for (int v = 0; v < vectors; v++)
                right[v] = load(b + (v / VECTORS) * b_panel + (v % VECTORS) * LANES);
            UNROLL for (int i = 0; i < panels; i++)
                __builtin_prefetch(b + i * b_panel + ahead, 0, 2);
            if (packs) {
                UNROLL for (int v = 0; v < vectors; v++)
                    store(packed + (v / VECTORS) * packed_panel + (v % VECTORS) * LANES, right[v]);
                packed += PANEL;
            }
            UNROLL for (int r = 0; r < rows; r++) {
                vec left = SPLAT(x[r / POINTED][(r % POINTED) * a_row]);
                UNROLL for (int v = 0; v < vectors; v++)
                    sum[r][v] = FMA(left, right[v], sum[r][v]);
            }
            b += b_row;
            UNROLL for (int i = 0; i * POINTED < rows; i++)
                x[i]++;
        } while (x[0] != end);
        UNROLL for (int i = 0; i * POINTED < rows; i++)
            x[i] += p->a_skip;
    }
    end_rows(rows, vectors, p, sum, c);
}

BEGIN_TILES

typedef void row_tile(const struct row_call *, const real *a, const real *b, long ahead,
                      const real *start, real *c);

#define ROW_TILE(R, P)                                                                             \
    OUTLINE void rows_##R##x##P(const struct row_call *p, const real *a, const real *b, long ahead, \
                                const real *start, real *c)                                        \
    {                                                                                              \
        rows_body(R, P *VECTORS, 0, 0, p, a, b, ahead, start, c, NULL);                            \
    }
#define HALF_TILE(R, P)                                                                            \
    OUTLINE void half_##R##x##P(const struct row_call *p, const real *a, const real *b, long ahead, \
                                const real *start, real *c)                                        \
    {                                                                                              \
        rows_body(R, HALF_VECTORS, 0, 0, p, a, b, ahead, start, c, NULL);                          \
    }
#define ROW_NAME(R, P) rows_##R##x##P,
#define HALF_NAME(R, P) half_##R##x##P,
#if TILE_ROWS == 6
#define EACH_HALF(X, P) EACH_ROWS(X, P) X(7, P) X(8, P) X(9, P) X(10, P)
#elif TILE_ROWS == 2
#define EACH_HALF(X, P) EACH_ROWS(X, P) X(3, P)
#endif

EACH_ROWS(ROW_TILE, 1)
#if TILE_PANELS == 2
EACH_ROWS(ROW_TILE, 2)
#endif
static row_tile *const row_tiles[TILE_PANELS][TILE_ROWS] = {
    {EACH_ROWS(ROW_NAME, 1)},
#if TILE_PANELS == 2
    {EACH_ROWS(ROW_NAME, 2)},
#endif
};
#ifdef EACH_HALF
EACH_HALF(HALF_TILE, 1)
static row_tile *const half_tiles[HALF_ROWS] = {EACH_HALF(HALF_NAME, 1)};
#endif

END_TILES

/* Elements from one plain row of so many columns to the next: rows that lie multiples of 1 KB apart would meet in the
   same sets of the first-level cache. */
INLINE long row_apart(long columns)
{
    const long lines = (columns + PANEL - 1) / PANEL;
    return (lines % (1024 / LINE) ? lines : lines + 1) * PANEL;
}

/* n rows of a matrix: read where they are, or copied to `room` where that would be slow; *row elements apart. */
static const real *rows_in_place(struct matrix x, long n, long columns, real *room, ptrdiff_t *row)
{
    const ptrdiff_t real_bytes = sizeof(real);
    if (x.column_stride == real_bytes && x.row_stride % real_bytes == 0 && !rows_collide(x, n, TILE_ROWS)) {
        *row = x.row_stride / real_bytes;
        return (const real *)x.data;
    }
    *row = row_apart(columns);
    for (long r = 0; r < n; r++)
        scatter_row(x.data + r * x.row_stride, x.column_stride, columns, room + r * *row, PANEL, 0);
    return room;
}

/* A block of rows, and where their product goes. */
struct row_block {
    ptrdiff_t a_row;
    long rows, depth, a_panel, c_row, c_panel;
    const real *a;
    real *c;
    long columns;       /* of C */
    const real *bias;   /* padded to whole panels */
    real lowest;
    long depth_block;   /* so much of the depth at a time, see predictions.c */
    const real *next;   /* what the block after this one reads first, so many elements, for prefetches */
    long next_elements;
};

/* The call of the block of depth from k on, `deep` of `depth`. */
INLINE struct row_call row_call_at(const struct row_block *m, long k, long deep, ptrdiff_t b_row, long b_panel)
{
    return (struct row_call){
        .depth = deep, .a_row = m->a_row, .c_row = m->c_row, .c_panel = m->c_panel,
        .a_run = m->a_panel == PANEL ? deep : PANEL, .a_skip = m->a_panel - PANEL,
        .b_row = b_row, .b_panel = b_panel,
        .start_row = k ? m->c_row : 0, .start_panel = k ? m->c_panel : PANEL,
        .lowest = k + deep < m->depth ? -(real)INFINITY : m->lowest,
    };
}

/* Column k, the first of a panel, of row r of A. */
INLINE const real *a_at(const struct row_block *m, long r, long k)
{
    return m->a + r * m->a_row + k / PANEL * m->a_panel;
}

/* Some panels of C, from `panel` on, over one block of depth. The first tile prefetches what is `ahead`; the
   others, of the second panel, what the next block of rows reads: a line with each step of the depth. */
static void row_panels(const struct row_block *m, const struct row_call *call, row_tile *const *tiles,
                       long tile_rows, long k, long panel, long first, const real *b, long ahead)
{
    const struct parts parts = parts_of(m->rows - first, tile_rows);
    const long unseen = k == 0 && panel == TILE_PANELS ? m->next_elements : 0;
    long next = 0;
    for (long r = first, i = 0, part; r < m->rows; r += part, i++) {
        part = part_at(parts, i);
        real *c = m->c + panel * m->c_panel + r * m->c_row;
        tiles[part - 1](call, a_at(m, r, k), b, ahead, k ? c : m->bias + panel * PANEL, c);
        ahead = next < unseen ? (m->next - b) + next : 0;
        next += call->depth * PANEL;
    }
}

/* The tiles for the panels from `panel` on: how many panels, and their rows. */
INLINE row_tile *const *row_tiles_at(const struct row_block *m, long panel, long *wide, long *tile_rows)
{
    const long columns = m->columns - panel * PANEL;
    *tile_rows = TILE_ROWS;
#ifdef EACH_HALF
    if (columns <= HALF) {
        *wide = 1;
        *tile_rows = HALF_ROWS;
        return half_tiles;
    }
#endif
    *wide = min((columns + PANEL - 1) / PANEL, TILE_PANELS);
    return row_tiles[*wide - 1];
}

/* A block of depth is finished for all panels before the next one begins. The first tile of a panel
   prefetches the next one. */
static void block_product(const struct row_block *m, const real *w, long w_panel)
{
    const long panels = (m->columns + PANEL - 1) / PANEL;
    long k = 0, deep;
    do { /* once even for depth 0 */
        deep = min(m->depth - k, m->depth_block);
        const struct row_call call = row_call_at(m, k, deep, 0, w_panel);
        for (long p = 0, wide, tile_rows; p < panels; p += wide) {
            row_tile *const *tiles = row_tiles_at(m, p, &wide, &tile_rows);
            row_panels(m, &call, tiles, tile_rows, k, p, 0, w + p * w_panel + k * PANEL,
                       p + wide < panels ? wide * w_panel : 0);
        }
    } while ((k += deep) < m->depth);
}

#endif
