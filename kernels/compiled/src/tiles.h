/* Register tiles: the matrix products of a layer, in panels.

   A matrix of n columns is kept in panels of PANEL columns, one cache line wide,
   [ceil(n / PANEL)][rows][PANEL], so that the rows of a tile lie a compile-time constant apart and
   no tile needs more than a few address registers:

     forward    C[r][j] = init + sum_k  A[r][k] B[k][j]     A: activations, B: weights
     gradient   C[i][j] = init + sum_r  A[r][i] D[r][j]     A: activations, D: deltas

   Every element of C is one chain of fused multiply-adds in ascending order of k (of r). Storing
   and reloading the chain loses nothing, so results do not depend on tile sizes, blocking or
   threads. Accumulators are only ever indexed by constants: a run-time index would move them to
   memory and halve the speed. */
#ifndef FASTMLP_TILES_H
#define FASTMLP_TILES_H

#include "simd.h"

struct strided {
    const real *at;
    long row, panel; /* elements from one row, and from one panel, to the next */
};

/* ROWS x PANELS panels of C over a depth that may end inside a panel of A. */
INLINE void forward_body(const int rows, const int panels, long depth, const real *a, long a_panel,
                         const real *b, long b_panel, struct strided init, real *c, long c_row,
                         long c_panel)
{
    vec sum[TILE_ROWS][TILE_PANELS * VECTORS];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < panels * VECTORS; v++)
            sum[r][v] = load(init.at + r * init.row + (v / VECTORS) * init.panel +
                             (v % VECTORS) * LANES);
    for (; depth > 0; depth -= PANEL, a += a_panel) {
        const real *end = b + (depth < PANEL ? depth : PANEL) * PANEL;
        const real *x = a;
        INNER_LOOP do {
            vec right[TILE_PANELS * VECTORS];
            UNROLL for (int v = 0; v < panels * VECTORS; v++)
                right[v] = load(b + (v / VECTORS) * b_panel + (v % VECTORS) * LANES);
            UNROLL for (int r = 0; r < rows; r++) {
                vec left = SPLAT(x[r * PANEL]);
                UNROLL for (int v = 0; v < panels * VECTORS; v++)
                    sum[r][v] = FMA(left, right[v], sum[r][v]);
            }
            b += PANEL;
            x += 1;
        } while (b != end);
    }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < panels * VECTORS; v++)
            store(c + r * c_row + (v / VECTORS) * c_panel + (v % VECTORS) * LANES, sum[r][v]);
}

/* FEATURES x PANELS panels of C over all rows; features lie next to each other in A's panel. On the
   way it asks for as many lines at `next`, which later tiles will read. */
INLINE void gradient_body(const int features, const int panels, long rows, const real *a,
                          const real *d, long d_panel, int accumulate, const real *next, real *c,
                          long c_panel)
{
    const long ahead = next - a;
    vec sum[PANEL][TILE_PANELS * VECTORS];
    UNROLL for (int i = 0; i < features; i++)
        UNROLL for (int v = 0; v < panels * VECTORS; v++)
            sum[i][v] = (vec){0};
    if (accumulate)
        UNROLL for (int i = 0; i < features; i++)
            UNROLL for (int v = 0; v < panels * VECTORS; v++)
                sum[i][v] = load(c + i * PANEL + (v / VECTORS) * c_panel + (v % VECTORS) * LANES);
    for (const real *end = a + rows * PANEL; a != end; a += PANEL, d += PANEL) {
        __builtin_prefetch(a + ahead, 0, 3);
        vec right[TILE_PANELS * VECTORS];
        UNROLL for (int v = 0; v < panels * VECTORS; v++)
            right[v] = load(d + (v / VECTORS) * d_panel + (v % VECTORS) * LANES);
        UNROLL for (int i = 0; i < features; i++) {
            vec left = SPLAT(a[i]);
            UNROLL for (int v = 0; v < panels * VECTORS; v++)
                sum[i][v] = FMA(left, right[v], sum[i][v]);
        }
    }
    UNROLL for (int i = 0; i < features; i++)
        UNROLL for (int v = 0; v < panels * VECTORS; v++)
            store(c + i * PANEL + (v / VECTORS) * c_panel + (v % VECTORS) * LANES, sum[i][v]);
}

typedef void forward_tile(long depth, const real *a, long a_panel, const real *b, long b_panel,
                          struct strided init, real *c, long c_row, long c_panel);
typedef void gradient_tile(long rows, const real *a, const real *d, long d_panel, int accumulate,
                           const real *next, real *c, long c_panel);

#define FORWARD_TILE(R, P)                                                                         \
    OUTLINE void forward_##R##x##P(long depth, const real *a, long a_panel, const real *b,         \
                                   long b_panel, struct strided init, real *c, long c_row,         \
                                   long c_panel)                                                   \
    {                                                                                              \
        forward_body(R, P, depth, a, a_panel, b, b_panel, init, c, c_row, c_panel);                \
    }
#define GRADIENT_TILE(F, P)                                                                        \
    OUTLINE void gradient_##F##x##P(long rows, const real *a, const real *d, long d_panel,         \
                                    int accumulate, const real *next, real *c, long c_panel)       \
    {                                                                                              \
        gradient_body(F, P, rows, a, d, d_panel, accumulate, next, c, c_panel);                    \
    }

#if TILE_ROWS == 12
#define EACH_ROWS(X, P) X(1, P) X(2, P) X(3, P) X(4, P) X(5, P) X(6, P) X(7, P) X(8, P) X(9, P) X(10, P) X(11, P) X(12, P)
#elif TILE_ROWS == 6
#define EACH_ROWS(X, P) X(1, P) X(2, P) X(3, P) X(4, P) X(5, P) X(6, P)
#else
#define EACH_ROWS(X, P) X(1, P) X(2, P)
#endif
#if TILE_FEATURES == 8
#define EACH_FEATURES(X, P) X(1, P) X(2, P) X(3, P) X(4, P) X(5, P) X(6, P) X(7, P) X(8, P)
#elif TILE_FEATURES == 6
#define EACH_FEATURES(X, P) X(1, P) X(2, P) X(3, P) X(4, P) X(5, P) X(6, P)
#else
#define EACH_FEATURES(X, P) X(1, P) X(2, P)
#endif

#define FORWARD_NAME(R, P) forward_##R##x##P,
#define GRADIENT_NAME(F, P) gradient_##F##x##P,
EACH_ROWS(FORWARD_TILE, 1)
EACH_FEATURES(GRADIENT_TILE, 1)
#if TILE_PANELS == 2
EACH_ROWS(FORWARD_TILE, 2)
EACH_FEATURES(GRADIENT_TILE, 2)
#endif

static forward_tile *const forward_tiles[TILE_PANELS][TILE_ROWS] = {
    {EACH_ROWS(FORWARD_NAME, 1)},
#if TILE_PANELS == 2
    {EACH_ROWS(FORWARD_NAME, 2)},
#endif
};
static gradient_tile *const gradient_tiles[TILE_PANELS][TILE_FEATURES] = {
    {EACH_FEATURES(GRADIENT_NAME, 1)},
#if TILE_PANELS == 2
    {EACH_FEATURES(GRADIENT_NAME, 2)},
#endif
};

/* Split n into the fewest parts of at most `most`, as equal as can be: the size of the next part.
   A remainder of one or two rows would otherwise run at a fraction of the speed. */
INLINE long next_part(long n, long most)
{
    long parts = (n + most - 1) / most;
    return (n + parts - 1) / parts;
}

#endif
