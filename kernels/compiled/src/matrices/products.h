/* The product of a block of rows with a weight matrix, both in panels. */
#ifndef FASTMLP_LAYERS_H
#define FASTMLP_LAYERS_H

#include "fastmlp.h"
#include "matrices/panels.h"
#include "matrices/tile_tables.h"
#include "work.h"

enum {
    /* Rows of W of which a tile's panels stay in a cache from tile to tile: in L1; or, for tiles that compute for twelve
       cycles on two lines of them, in an eighth of L2 of 1 MB, as sums are then stored and loaded again less often. */
    DEPTH_BLOCK = TILE_PANELS == 2 ? 1024 : SUM_ROWS,
};

/* Equal blocks of a depth, of at most so many rows, whole panels of it. */
INLINE long equal_blocks(long depth, long most)
{
    const long blocks = (depth + most - 1) / most, block = blocks > 1 ? (depth + blocks - 1) / blocks : most;
    return (block + PANEL - 1) / PANEL * PANEL;
}

/* Of W, and of the rows of a batch, whose chains of sums are short. */
INLINE long depth_block(long depth) { return equal_blocks(depth, DEPTH_BLOCK); }
INLINE long chain_block(long rows) { return equal_blocks(rows, SUM_ROWS); }

static const real zeros[TILE_PANELS * PANEL] __attribute__((aligned(64)));

/* Whether tiles apply this activation, and multiply by its derivative, themselves. */
INLINE int in_tiles(int activation) { return activation == ACTIVATION_relu; }
INLINE struct epilogue forward_epilogue(int activation)
{
    return in_tiles(activation) ? (struct epilogue){0, 0} : PLAIN_EPILOGUE;
}
/* For errors `delta`, of the layer with these activations. */
INLINE struct epilogue backward_epilogue(int activation, const real *delta, const real *activations)
{
    return (struct epilogue){-(real)INFINITY, in_tiles(activation) ? activations - delta : 0};
}

/* c = bias + a w for a block of rows, with this epilogue; bias NULL stands for zeros, with `accumulate`
   c += a w. Rows of c are c_row elements apart; of its last panel, with `half`, half has columns.

   A block of depth is finished for all panels before the next one begins: so much of `a` stays in
   the second-level cache, and a tile's part of w where DEPTH_BLOCK says while all rows pass over
   it. The first of them prefetches the next part. */
INLINE void product_of(long rows, long depth, const real *a, long a_panel, const real *w, long w_panel,
                       const real *bias, int accumulate, struct epilogue epilogue, real *c, long c_row,
                       long c_panel, long panels, int half)
{
    const long block = depth_block(depth);
    const struct parts parts = parts_of(rows, TILE_ROWS);
    struct forward_call call = {.a_panel = a_panel, .b_panel = w_panel, .c_row = c_row, .c_panel = c_panel};
    long k = 0;
    do { /* once even for depth 0 */
        const long deep = depth - k < block ? depth - k : block;
        const int begins = k == 0 && !accumulate;
        call.epilogue = k + block < depth ? PLAIN_EPILOGUE : epilogue;
        call.init_row = begins ? 0 : c_row;
        call.init_panel = begins ? PANEL : c_panel;
        const real *a_k = a + k / PANEL * a_panel;
        for (long p = 0, wide; p < panels; p += wide) {
            wide = panels - p < TILE_PANELS ? panels - p : TILE_PANELS;
            const real *w_k = w + p * w_panel + k * PANEL;
            forward_tile *const *tiles = half && p + wide == panels && wide == 1 ? forward_halves
                                                                                 : forward_tiles[wide - 1];
            for (long r = 0, i = 0, part; r < rows; r += part, i++) {
                part = part_at(parts, i);
                real *c_r = c + p * c_panel + r * c_row;
                const real *init = !begins ? c_r : bias ? bias + p * PANEL : zeros;
                call.ahead = r == 0 && p + wide < panels ? wide * w_panel : 0;
                tiles[part - 1](deep, a_k + r * PANEL, w_k, init, c_r, &call);
            }
        }
    } while ((k += block) < depth);
}

static void strided_product(long rows, long depth, const real *a, long a_panel, const real *w,
                            long w_panel, const real *bias, int accumulate, struct epilogue epilogue,
                            real *c, long c_row, long c_panel, long panels)
{
    product_of(rows, depth, a, a_panel, w, w_panel, bias, accumulate, epilogue, c, c_row, c_panel, panels, 0);
}

/* The same with c in panels. */
static void layer_product(long rows, long depth, const real *a, long a_panel, const real *w,
                          long w_panel, const real *bias, int accumulate, struct epilogue epilogue,
                          real *c, long c_panel, long panels)
{
    product_of(rows, depth, a, a_panel, w, w_panel, bias, accumulate, epilogue, c, PANEL, c_panel, panels, 0);
}

static void half_product(long rows, long depth, const real *a, long a_panel, const real *w,
                         long w_panel, const real *bias, int accumulate, struct epilogue epilogue,
                         real *c, long c_panel, long panels, int half)
{
    product_of(rows, depth, a, a_panel, w, w_panel, bias, accumulate, epilogue, c, PANEL, c_panel, panels, half);
}

/* Whether a product with so few columns is cheaper as dot products, which cost twice as much an element
   and some more to add up, than with the padding of a panel. */
INLINE int is_narrow_product(long depth, long columns)
{
    return 2 * columns * (depth + 4 * LANES) < depth * PANEL;
}

/* Dot products of `rows` <= LANES rows with a row of W^T, one in each lane. */
INLINE vec dot_rows(const int all, long rows, long depth, const real *a, long a_panel, const real *w,
                    long w_panel)
{
    vec sum[LANES];
    UNROLL for (int i = 0; i < LANES; i++)
        sum[i] = (vec){0};
    for (; depth >= PANEL; depth -= PANEL, a += a_panel, w += w_panel)
        for (int v = 0; v < PANEL; v += LANES) {
            const vec right = load(w + v);
            UNROLL for (int i = 0; i < LANES; i++)
                sum[i] = FMA(load(a + (all ? i : min(i, rows - 1)) * PANEL + v), right, sum[i]);
        }
    for (int v = 0; v < depth; v += LANES) { /* padding of A may be anything */
        const long n = min(depth - v, LANES);
        const vec right = load(w + v);
        UNROLL for (int i = 0; i < LANES; i++)
            sum[i] = FMA(load_partial(a + (all ? i : min(i, rows - 1)) * PANEL + v, n), right,
                         sum[i]);
    }
    return sum_each(sum);
}

/* c = bias + a w for few columns; w in panels of W^T. */
static void narrow_product(long rows, long depth, const real *a, long a_panel, const real *w,
                           long w_panel, const real *bias, real *c, long columns)
{
    for (long r = 0; r < rows; r += LANES, a += LANES * PANEL, c += LANES * PANEL) {
        const long here = min(rows - r, LANES);
        for (long j = 0; j < columns; j++) {
            const real *w_j = w + j * PANEL;
            vec z = here == LANES ? dot_rows(1, here, depth, a, a_panel, w_j, w_panel)
                                  : dot_rows(0, here, depth, a, a_panel, w_j, w_panel);
            z += SPLAT(bias[j]);
            for (long i = 0; i < here; i++)
                c[i * PANEL + j] = z[i];
        }
    }
}

#endif
