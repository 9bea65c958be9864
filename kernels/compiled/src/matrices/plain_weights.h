/* The product of rows in panels with a weight matrix that lies as its owner has it, row after row.

   Packing a matrix costs a read and a write of all of it, which few rows do not repay. Here its panels are
   read where they are, by the first tile of rows that needs them; that tile stores what it loads, and the
   tiles of the other rows find the panel packed and in the first-level cache:

        W, plain              packed, one block of depth by a tile's panels
        k | . . [p] . .        [p]
          | . . [p] . .  -->   [p]    written by the first tile of rows, read by the others
          | . . [p] . .        [p]

   Every element is the same chain as in layer_product. */
#ifndef FASTMLP_PLAIN_WEIGHTS_H
#define FASTMLP_PLAIN_WEIGHTS_H

#include "matrices/products.h"

enum {
    PLAIN_DEPTH = 64, /* so many rows of W at a time: their pages, and their lines in L2, do not collide */
    PLAIN_AHEAD = 2,  /* tiles from one that is read to one that is prefetched: the lines beside it */
    PLAIN_SCRATCH = PLAIN_DEPTH * TILE_PANELS * LINE, /* bytes of the packed panels */
};

/* As forward_body, of B with rows `b_row` elements apart. With `packs` its panels go into `packed`. It
   prefetches the same rows of the panels that follow. */
INLINE void plain_body(const int rows, const int panels, const int packs, long depth, const real *a,
                       long a_panel, const real *b, long b_row, struct strided init,
                       struct epilogue epilogue, real *c, long c_panel, real *packed)
{
    vec sum[TILE_ROWS][TILE_PANELS * VECTORS];
    begin_forward(rows, panels, init, sum);
    for (; depth > 0; depth -= PANEL, a += a_panel) {
        const real *x = a, *end = a + (depth < PANEL ? depth : PANEL);
        INNER_LOOP do {
            vec right[TILE_PANELS * VECTORS];
            UNROLL for (int v = 0; v < panels * VECTORS; v++)
                right[v] = load(b + v * LANES);
            UNROLL for (int p = 0; p < panels; p++)
                __builtin_prefetch(b + (PLAIN_AHEAD * panels + p) * PANEL, 0, 2);
            if (packs) {
                UNROLL for (int v = 0; v < panels * VECTORS; v++)
                    store(packed + (v / VECTORS) * PLAIN_DEPTH * PANEL + (v % VECTORS) * LANES, right[v]);
                packed += PANEL;
            }
            UNROLL for (int r = 0; r < rows; r++) {
                vec left = SPLAT(x[r * PANEL]);
                UNROLL for (int v = 0; v < panels * VECTORS; v++)
                    sum[r][v] = FMA(left, right[v], sum[r][v]);
            }
            b += b_row;
            x += 1;
        } while (x != end);
    }
    end_forward(rows, panels, sum, epilogue, c, PANEL, c_panel);
}

typedef void plain_tile(long depth, const real *a, long a_panel, const real *b, long b_row,
                        struct strided init, struct epilogue epilogue, real *c, long c_panel,
                        real *packed);

#define PLAIN_TILE(R, P)                                                                           \
    OUTLINE void plain_##R##x##P(long depth, const real *a, long a_panel, const real *b, long b_row, \
                                 struct strided init, struct epilogue epilogue, real *c,           \
                                 long c_panel, real *packed)                                       \
    {                                                                                              \
        (void)packed;                                                                              \
        plain_body(R, P, 0, depth, a, a_panel, b, b_row, init, epilogue, c, c_panel, NULL);        \
    }                                                                                              \
    OUTLINE void packing_##R##x##P(long depth, const real *a, long a_panel, const real *b,         \
                                   long b_row, struct strided init, struct epilogue epilogue,      \
                                   real *c, long c_panel, real *packed)                            \
    {                                                                                              \
        plain_body(R, P, 1, depth, a, a_panel, b, b_row, init, epilogue, c, c_panel, packed);      \
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

/* c = bias + a w for a block of rows, with this epilogue; rows of w are n_out elements apart. `bias` is
   padded to whole panels. */
static void plain_product(long rows, long depth, const real *a, long a_panel, const real *w, long n_out,
                          const real *bias, struct epilogue epilogue, real *c, long c_panel,
                          real *packed)
{
    const long panels = (n_out + PANEL - 1) / PANEL;
    const struct parts parts = parts_of(rows, TILE_ROWS);
    long k = 0;
    do { /* once even for depth 0 */
        const long deep = min(depth - k, PLAIN_DEPTH);
        const struct epilogue here = k + PLAIN_DEPTH < depth ? PLAIN_EPILOGUE : epilogue;
        const real *a_k = a + k / PANEL * a_panel;
        for (long p = 0, wide; p < panels; p += wide) {
            wide = min(panels - p, TILE_PANELS);
            const long columns = min(n_out - p * PANEL, wide * PANEL);
            const real *w_k = w + k * n_out + p * PANEL;
            const int whole = columns == wide * PANEL;
            if (!whole) /* reading the last rows would go beyond their matrix */
                pack_panels((struct matrix){(const char *)w_k, n_out * (long)sizeof(real), sizeof(real)},
                            deep, columns, packed, PLAIN_DEPTH * PANEL);
            for (long r = 0, i = 0, part; r < rows; r += part, i++) {
                part = part_at(parts, i);
                real *c_r = c + p * c_panel + r * PANEL;
                const struct strided init = k ? (struct strided){c_r, PANEL, c_panel}
                                              : (struct strided){bias + p * PANEL, 0, PANEL};
                if (r == 0 && whole)
                    plain_tiles[part < rows][wide - 1][part - 1](deep, a_k, a_panel, w_k, n_out, init,
                                                                 here, c_r, c_panel, packed);
                else
                    forward_tiles[wide - 1][part - 1](deep, a_k + r * PANEL, a_panel, packed,
                                                      PLAIN_DEPTH * PANEL, 0, init, here, c_r, PANEL,
                                                      c_panel);
            }
        }
    } while ((k += PLAIN_DEPTH) < depth);
}

#endif
