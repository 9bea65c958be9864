/* The product of a block of rows with a weight matrix, both in panels. */
#ifndef FASTMLP_LAYERS_H
#define FASTMLP_LAYERS_H

#include "fastmlp.h"
#include "tiles.h"

enum {
    /* Depth (rows of W, or rows of the batch) of which a tile's panels stay in L1. */
    DEPTH_BLOCK = 256 * 4 / (int)sizeof(real),
};

/* Equal blocks of the depth, whole panels of it. */
INLINE long depth_block(long depth)
{
    long blocks = (depth + DEPTH_BLOCK - 1) / DEPTH_BLOCK;
    long block = blocks > 1 ? (depth + blocks - 1) / blocks : DEPTH_BLOCK;
    return (block + PANEL - 1) / PANEL * PANEL;
}

static const real zeros[TILE_PANELS * PANEL] __attribute__((aligned(64)));

/* Lines of a matrix into the first-level cache. */
INLINE void prefetch_lines(const real *from, long lines)
{
    for (long i = 0; i < lines; i++)
        __builtin_prefetch(from + i * PANEL, 0, 3);
}

/* Whether tiles apply this activation, and multiply by its derivative, themselves. */
INLINE int in_tiles(int activation) { return activation == ACTIVATION_relu; }
INLINE struct ending forward_ending(int activation)
{
    return in_tiles(activation) ? (struct ending){0, 0} : PLAIN_ENDING;
}
/* For errors `delta`, of the layer with these activations. */
INLINE struct ending backward_ending(int activation, const real *delta, const real *activations)
{
    return (struct ending){-(real)INFINITY, in_tiles(activation) ? activations - delta : 0};
}

/* c = bias + a w for a block of rows, with this ending; bias NULL stands for zeros, with `accumulate`
   c += a w.

   A block of depth is finished for all panels before the next one begins: so much of `a` stays in
   the second-level cache, and a tile's part of w in the first-level cache while all rows pass over
   it. The panels of w are taken as `walk` says; where they come from beyond the second-level cache
   the next ones are asked for while the present ones are used. */
static void layer_product(long rows, long depth, const real *a, long a_panel, const real *w,
                          long w_panel, const real *bias, int accumulate, struct ending ending,
                          real *c, long c_panel, long panels, struct walk walk)
{
    const long groups = (panels + TILE_PANELS - 1) / TILE_PANELS;
    const long block = depth_block(depth);
    const struct parts parts = parts_of(rows, TILE_ROWS);
    long k = 0;
    do { /* once even for depth 0 */
        const long deep = depth - k < block ? depth - k : block;
        const struct ending here = k + block < depth ? PLAIN_ENDING : ending;
        const real *a_k = a + k / PANEL * a_panel;
        for (long g = 0; g < groups; g++) {
            const long p = (walk.backwards ? groups - 1 - g : g) * TILE_PANELS;
            const long wide = panels - p < TILE_PANELS ? panels - p : TILE_PANELS;
            const long next_p = walk.backwards ? p - TILE_PANELS : p + TILE_PANELS;
            const real *w_k = w + p * w_panel + k * PANEL;
            const real *next = g + 1 < groups ? w + next_p * w_panel + k * PANEL : NULL;
            forward_tile *const *tiles = forward_tiles[wide - 1];
            for (long r = 0, i = 0, part; r < rows; r += part, i++) {
                part = part_at(parts, i);
                if (walk.prefetch && next) {
                    long from = deep * r / rows, to = deep * (r + part) / rows;
                    for (int v = 0; v < TILE_PANELS; v++)
                        prefetch_lines(next + v * w_panel + from * PANEL, to - from);
                }
                real *c_r = c + p * c_panel + r * PANEL;
                struct strided init = {c_r, PANEL, c_panel};
                if (k == 0 && !accumulate)
                    init = bias ? (struct strided){bias + p * PANEL, 0, PANEL}
                                : (struct strided){zeros, 0, PANEL};
                tiles[part - 1](deep, a_k + r * PANEL, a_panel, w_k, w_panel, init, here, c_r,
                                PANEL, c_panel);
            }
        }
    } while ((k += block) < depth);
}

#endif
