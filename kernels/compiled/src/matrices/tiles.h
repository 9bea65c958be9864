/* Register tiles: the matrix products of a layer, in panels.

     forward    C[r][j] = init + sum_k  A[r][k] B[k][j]     A: activations, B: weights
     gradient   C[i][j] = sum_r  A[r][i] D[r][j]            A: activations, D: errors

   The contract of a tile:

   layout      A matrix of n columns is [ceil(n / PANEL)][rows][PANEL]. A panel is one cache line wide,
               so that the rows of a tile lie a compile-time constant apart and no tile needs more than
               a few address registers. Arguments named x_panel: elements from one panel to the next.
   alignment   None is needed. Panels of engines begin at cache lines: no load there crosses one.
   padding     Columns behind n in the last panel of B, D and C are computed like the others: zeros in B
               or D give zeros in C. Of A only the columns 0 … n - 1 are read; its padding may hold
               anything.
   tail        Nothing behind the last row of a panel is read. Prefetches may point anywhere.
   writes      Whole panel rows of C, of the rows and panels of the tile, and nothing else.
   order       An element of a forward C is one chain of fused multiply-adds in ascending order of k;
               storing and reloading it loses nothing. A gradient is a sum of many rows, whose rounding
               errors would grow with their number: it is one chain for each block of at most SUM_ROWS
               rows, and blocks are added up. Neither depends on tile sizes or threads.

   Accumulators are only ever indexed by constants: a run-time index would move them to memory and halve
   the speed. */
#ifndef FASTMLP_TILES_H
#define FASTMLP_TILES_H

#include "vector/simd.h"

enum { SUM_ROWS = 1024 / (int)sizeof(real) }; /* rows that are summed in one chain, at most */

/* a + b; what rounding takes from it is added to `rest` (Knuth, The art of computer programming, 2,
   section 4.2.2, theorem B). Nothing of sums that are not finite. */
INLINE vec sum_with_rest(vec a, vec b, vec *rest)
{
    const vec sum = a + b, of_b = sum - a, error = (a - (sum - of_b)) + (b - of_b);
    *rest += masked(error == error, error);
    return sum;
}

struct strided {
    const real *at;
    long row, panel; /* elements from one row, and from one panel, to the next */
};

/* Epilogue of a forward tile, before C leaves the registers: a ReLU, max(lowest, C), or its derivative: with
   a gate an element becomes 0 unless the one so far behind it in memory is positive. */
struct epilogue {
    real lowest;
    long gate; /* elements; 0 for none */
};
#define PLAIN_EPILOGUE ((struct epilogue){-(real)INFINITY, 0})

/* Each tile prefetches for later tiles, a few lines per row: issued all at once, the prefetches would fill
   the load queue and delay the tile's own loads. */

INLINE void begin_forward(const int rows, const int panels, struct strided init,
                          vec sum[][TILE_PANELS * VECTORS])
{
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < panels * VECTORS; v++)
            sum[r][v] = load(init.at + r * init.row + (v / VECTORS) * init.panel +
                             (v % VECTORS) * LANES);
}

INLINE void end_forward(const int rows, const int panels, vec sum[][TILE_PANELS * VECTORS],
                        struct epilogue epilogue, real *c, long c_row, long c_panel)
{
    const vec lowest = SPLAT(epilogue.lowest);
    if (epilogue.gate)
        UNROLL for (int r = 0; r < rows; r++)
            UNROLL for (int v = 0; v < panels * VECTORS; v++) {
                const real *at = c + r * c_row + (v / VECTORS) * c_panel + (v % VECTORS) * LANES;
                sum[r][v] = masked(load(at + epilogue.gate) > SPLAT((real)0), sum[r][v]);
            }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < panels * VECTORS; v++)
            store(c + r * c_row + (v / VECTORS) * c_panel + (v % VECTORS) * LANES,
                  maximum(lowest, sum[r][v]));
}

/* ROWS x PANELS panels of C over a depth that may end inside a panel of A. Prefetches as much of B, `ahead`
   elements further on. */
INLINE void forward_body(const int rows, const int panels, long depth, const real *a, long a_panel,
                         const real *b, long b_panel, long ahead, struct strided init,
                         struct epilogue epilogue, real *c, long c_row, long c_panel)
{
    vec sum[TILE_ROWS][TILE_PANELS * VECTORS];
    begin_forward(rows, panels, init, sum);
    for (; depth > 0; depth -= PANEL, a += a_panel) {
        const real *end = b + (depth < PANEL ? depth : PANEL) * PANEL;
        const real *x = a;
        INNER_LOOP do {
            vec right[TILE_PANELS * VECTORS];
            UNROLL for (int v = 0; v < panels * VECTORS; v++)
                right[v] = load(b + (v / VECTORS) * b_panel + (v % VECTORS) * LANES);
            UNROLL for (int p = 0; p < panels; p++)
                __builtin_prefetch(b + p * b_panel + ahead, 0, 2);
            UNROLL for (int r = 0; r < rows; r++) {
                vec left = SPLAT(x[r * PANEL]);
                UNROLL for (int v = 0; v < panels * VECTORS; v++)
                    sum[r][v] = FMA(left, right[v], sum[r][v]);
            }
            b += PANEL;
            x += 1;
        } while (b != end);
    }
    end_forward(rows, panels, sum, epilogue, c, c_row, c_panel);
}

/* What a gradient tile prefetches: a line for later tiles, and for the update `step` <= 128 bytes with
   each row. */
struct prefetch {
    const real *tiles;
    const char *update;
    long step;
};

INLINE struct prefetch prefetch_tiles(const real *tiles)
{
    return (struct prefetch){tiles, (const char *)tiles, 0};
}

/* FEATURES x PANELS panels of C over all rows; features lie next to each other in A's panel. */
INLINE void gradient_sums(const int features, const int panels, const int updates, long rows,
                          const real *a, const real *d, long d_panel, struct prefetch ahead,
                          vec sum[][TILE_PANELS * VECTORS])
{
    const long next = ahead.tiles - a;
    UNROLL for (int i = 0; i < features; i++)
        UNROLL for (int v = 0; v < panels * VECTORS; v++)
            sum[i][v] = (vec){0};
    for (const real *end = a + rows * PANEL; a != end; a += PANEL, d += PANEL) {
        __builtin_prefetch(a + next, 0, 3);
        if (updates) {
            __builtin_prefetch(ahead.update, 1, 2);
            __builtin_prefetch(ahead.update + 64, 1, 2);
            ahead.update += ahead.step;
        }
        vec right[TILE_PANELS * VECTORS];
        UNROLL for (int v = 0; v < panels * VECTORS; v++)
            right[v] = load(d + (v / VECTORS) * d_panel + (v % VECTORS) * LANES);
        UNROLL for (int i = 0; i < features; i++) {
            vec left = SPLAT(a[i]);
            UNROLL for (int v = 0; v < panels * VECTORS; v++)
                sum[i][v] = FMA(left, right[v], sum[i][v]);
        }
    }
}

/* sum += what is in memory, of earlier blocks of rows. */
INLINE void add_tile(const int features, const int panels, const real *from, long panel,
                     vec sum[][TILE_PANELS * VECTORS])
{
    UNROLL for (int i = 0; i < features; i++)
        UNROLL for (int v = 0; v < panels * VECTORS; v++)
            sum[i][v] += load(from + i * PANEL + (v / VECTORS) * panel + (v % VECTORS) * LANES);
}

INLINE void gradient_body(const int features, const int panels, long rows, const real *a,
                          const real *d, long d_panel, int accumulate, struct prefetch ahead, real *c,
                          long c_panel)
{
    vec sum[PANEL][TILE_PANELS * VECTORS];
    gradient_sums(features, panels, 1, rows, a, d, d_panel, ahead, sum);
    if (accumulate)
        add_tile(features, panels, c, c_panel, sum);
    UNROLL for (int i = 0; i < features; i++)
        UNROLL for (int v = 0; v < panels * VECTORS; v++)
            store(c + i * PANEL + (v / VECTORS) * c_panel + (v % VECTORS) * LANES, sum[i][v]);
}

/* Descent on the gradient of a tile, w <- w - rate (gradient + l2 w), before it leaves the registers:
   it needs no place in memory. Constant for all tiles of some panels. */
struct descent {
    double rate, l2;
    long d_panel, init_panel, w_panel; /* elements from one panel to the next */
};

/* Returns the sum of w^2 before, 0 where l2 is 0. Where that overflows the tile does not descend. */
INLINE double descent_body(const int features, const int panels, long rows, const real *a,
                           const real *d, const real *next, const real *init, real *w,
                           const struct descent *by)
{
    vec sum[PANEL][TILE_PANELS * VECTORS];
    gradient_sums(features, panels, 0, rows, a, d, by->d_panel, prefetch_tiles(next), sum);
    if (init)
        add_tile(features, panels, init, by->init_panel, sum);
    const vec rate = SPLAT((real)-by->rate), l2 = SPLAT((real)by->l2);
    const long w_panel = by->w_panel;
    real total = 0;
    if (by->l2 != 0) {
        vec squares[TILE_PANELS * VECTORS] = {{0}};
        UNROLL for (int i = 0; i < features; i++)
            UNROLL for (int v = 0; v < panels * VECTORS; v++) {
                vec x = load(w + i * PANEL + (v / VECTORS) * w_panel + (v % VECTORS) * LANES);
                squares[v] = FMA(x, x, squares[v]);
                sum[i][v] = FMA(l2, x, sum[i][v]);
            }
        UNROLL for (int v = 1; v < panels * VECTORS; v++)
            squares[0] += squares[v];
        total = sum_lanes(squares[0]);
        if (!isfinite(total))
            return total;
    }
    UNROLL for (int i = 0; i < features; i++)
        UNROLL for (int v = 0; v < panels * VECTORS; v++) {
            real *at = w + i * PANEL + (v / VECTORS) * w_panel + (v % VECTORS) * LANES;
            store(at, FMA(rate, sum[i][v], load(at)));
        }
    return total;
}

typedef void forward_tile(long depth, const real *a, long a_panel, const real *b, long b_panel,
                          long ahead, struct strided init, struct epilogue epilogue, real *c,
                          long c_row, long c_panel);
typedef void gradient_tile(long rows, const real *a, const real *d, long d_panel, int accumulate,
                           struct prefetch ahead, real *c, long c_panel);
typedef double descent_tile(long rows, const real *a, const real *d, const real *next,
                            const real *init, real *w, const struct descent *by);

#define FORWARD_TILE(R, P)                                                                         \
    OUTLINE void forward_##R##x##P(long depth, const real *a, long a_panel, const real *b,         \
                                   long b_panel, long ahead, struct strided init,                  \
                                   struct epilogue epilogue, real *c, long c_row, long c_panel)        \
    {                                                                                              \
        forward_body(R, P, depth, a, a_panel, b, b_panel, ahead, init, epilogue, c, c_row, c_panel); \
    }
#define GRADIENT_TILE(F, P)                                                                        \
    OUTLINE void gradient_##F##x##P(long rows, const real *a, const real *d, long d_panel,         \
                                    int accumulate, struct prefetch ahead, real *c, long c_panel)     \
    {                                                                                              \
        gradient_body(F, P, rows, a, d, d_panel, accumulate, ahead, c, c_panel);                   \
    }                                                                                              \
    OUTLINE double descent_##F##x##P(long rows, const real *a, const real *d, const real *next,    \
                                     const real *init, real *w, const struct descent *by)          \
    {                                                                                              \
        return descent_body(F, P, rows, a, d, next, init, w, by);                                  \
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
#define DESCENT_NAME(F, P) descent_##F##x##P,
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
static descent_tile *const descent_tiles[TILE_PANELS][TILE_FEATURES] = {
    {EACH_FEATURES(DESCENT_NAME, 1)},
#if TILE_PANELS == 2
    {EACH_FEATURES(DESCENT_NAME, 2)},
#endif
};

/* n split into the fewest parts of at most `limit`, as equal as can be: the first `larger` ones have
   one more than `size`. A remainder of one or two rows would run at a fraction of the speed. */
struct parts {
    long size, larger;
};
INLINE struct parts parts_of(long n, long limit)
{
    const long parts = n > 0 ? (n + limit - 1) / limit : 1;
    return (struct parts){n / parts, n % parts};
}
INLINE long part_at(struct parts parts, long i) { return parts.size + (i < parts.larger); }

#endif
