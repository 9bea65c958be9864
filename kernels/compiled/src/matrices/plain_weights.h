/* The product of rows with a weight matrix that lies as its owner has it, row after row.

   Packing a matrix costs a read and a write of all of it, which few rows do not repay. Here its panels are
   read where they are, by the first tile of rows that needs them; that tile stores what it loads, and the
   tiles of the other rows find the panel packed and in the first-level cache:

        W, plain              packed, one block of depth by a tile's panels
        k | . . [p] . .        [p]
          | . . [p] . .  -->   [p]    written by the first tile of rows, read by the others
          | . . [p] . .        [p]

   Every element is the same chain as in block_product. */
#ifndef FASTMLP_PLAIN_WEIGHTS_H
#define FASTMLP_PLAIN_WEIGHTS_H

#include "matrices/panels.h"
#include "matrices/row_tiles.h"

enum {
    PLAIN_DEPTH = 128, /* so many rows of W at a time: their pages, and their lines in L2, do not collide */
    PLAIN_AHEAD = 2,   /* tiles from one that is read to one that is prefetched: the lines beside it */
    PLAIN_SCRATCH = PLAIN_DEPTH * TILE_PANELS * LINE, /* bytes of the packed panels */
};

/* A tile that reads plain weights, and packs them where `packed` is wanted. */
typedef void plain_tile(const struct row_call *, const real *a, const real *b, long ahead, const real *start,
                        real *c, real *packed);

#define PLAIN_TILE(R, P)                                                                           \
    OUTLINE void plain_##R##x##P(const struct row_call *p, const real *a, const real *b, long ahead, \
                                 const real *start, real *c, real *packed)                         \
    {                                                                                              \
        (void)packed;                                                                              \
        rows_body(R, P *VECTORS, 1, 0, p, a, b, ahead, start, c, NULL);                            \
    }                                                                                              \
    OUTLINE void packing_##R##x##P(const struct row_call *p, const real *a, const real *b, long ahead, \
                                   const real *start, real *c, real *packed)                       \
    {                                                                                              \
        rows_body(R, P *VECTORS, 1, 1, p, a, b, ahead, start, c, packed);                          \
    }

#define PLAIN_NAME(R, P) plain_##R##x##P,
#define PACKING_NAME(R, P) packing_##R##x##P,
EACH_ROWS(PLAIN_TILE, 1)
#if TILE_PANELS == 2
EACH_ROWS(PLAIN_TILE, 2)
#endif

/* By whether they pack, panels and rows. */
static plain_tile *const plain_tiles[2][TILE_PANELS][TILE_ROWS] = {
    {
        {EACH_ROWS(PLAIN_NAME, 1)},
#if TILE_PANELS == 2
        {EACH_ROWS(PLAIN_NAME, 2)},
#endif
    },
    {
        {EACH_ROWS(PACKING_NAME, 1)},
#if TILE_PANELS == 2
        {EACH_ROWS(PACKING_NAME, 2)},
#endif
    },
};

/* Elements from the weights of a tile to those that it prefetches: in the next piece of the depth, if there is one, where
   this one ends before. Rows are w_row elements apart, 0 in the last piece. */
INLINE long ahead_of(long panel, long wide, long panels, ptrdiff_t w_row)
{
    const long later = panel + PLAIN_AHEAD * wide, beyond = later - round_up(panels, wide);
    return beyond < 0 ? (later - panel) * PANEL : w_row > 0 ? PLAIN_DEPTH * w_row + (beyond - panel) * PANEL : 0;
}

/* block_product of a matrix whose rows are w_row elements apart. */
static void plain_product(const struct row_block *m, const real *w, ptrdiff_t w_row, real *packed)
{
    const long panels = (m->columns + PANEL - 1) / PANEL;
    const struct parts parts = parts_of(m->rows, TILE_ROWS);
    long k = 0, deep;
    do { /* once even for depth 0 */
        deep = min(m->depth - k, PLAIN_DEPTH);
        const struct row_call call = row_call_at(m, k, deep, w_row, PLAIN_DEPTH * PANEL);
        for (long p = 0, wide, tile_rows, first; p < panels; p += wide) {
            row_tile *const *tiles = row_tiles_at(m, p, &wide, &tile_rows);
            const long columns = min(m->columns - p * PANEL, wide * PANEL);
            const real *w_k = w + k * w_row + p * PANEL;
            if (columns == wide * PANEL) {
                real *c = m->c + p * m->c_panel;
                first = part_at(parts, 0);
                plain_tiles[first < m->rows][wide - 1][first - 1](
                    &call, a_at(m, 0, k), w_k, ahead_of(p, wide, panels, k + deep < m->depth ? w_row : 0),
                    k ? c : m->bias + p * PANEL, c, packed);
            } else { /* reading the last rows would go beyond their matrix */
                first = 0;
                pack_panels((struct matrix){(const char *)w_k, w_row * (ptrdiff_t)sizeof(real), sizeof(real)},
                            deep, columns, packed, PLAIN_DEPTH * PANEL);
            }
            row_panels(m, &call, tiles, tile_rows, k, p, first, packed, 0);
        }
    } while ((k += deep) < m->depth);
}

#endif
