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

enum {
#ifdef TRIPLE_FEATURES
    TILE_VECTORS = 3,
#else
    TILE_VECTORS = TILE_PANELS * VECTORS,
#endif
};

enum { LINE_BYTES = PANEL * (int)sizeof(real) };
enum { SUM_ROWS = 1024 / (int)sizeof(real) }; /* rows that are summed in one chain, at most */

/* a + b; what rounding takes from it is added to `rest` (Knuth, The art of computer programming, 2,
   section 4.2.2, theorem B). Nothing of sums that are not finite. */
INLINE vec sum_with_rest(vec a, vec b, vec *rest)
{
    const vec sum = a + b, of_b = sum - a, error = (a - (sum - of_b)) + (b - of_b);
    *rest += masked(error == error, error);
    return sum;
}

/* Epilogue of a forward tile, before C leaves the registers: a ReLU, max(lowest, C), or its derivative: with
   a gate an element becomes 0 unless the one so far behind it in memory is positive. */
struct epilogue {
    real lowest;
    ptrdiff_t gate; /* elements; 0 for none */
};
#define PLAIN_EPILOGUE ((struct epilogue){-(real)INFINITY, 0})

/* Each tile prefetches for later tiles, a few lines per row: issued all at once, the prefetches would fill
   the load queue and delay the tile's own loads. */

/* Elements to vector v of rows of panels. */
#define VECTOR_AT(V, PANEL_STEP) (((V) / VECTORS) * (PANEL_STEP) + ((V) % VECTORS) * LANES)
/* Vectors of whole panels, of which a tile of half a panel computes half: the others it writes as zeros. */
INLINE int whole_panels(const int vectors) { return (vectors + VECTORS - 1) / VECTORS * VECTORS; }

/* Rows of C that lie far apart, as no prefetcher of the machine expects them. */
INLINE void prefetch_tile(const int rows, const int panels, const int written, const real *c, long c_row, long c_panel)
{
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int p = 0; p < panels; p++)
            if (written) /* two statements, as without optimisation only constants are allowed there */
                __builtin_prefetch(c + r * c_row + p * c_panel, 1, 3);
            else
                __builtin_prefetch(c + r * c_row + p * c_panel, 0, 3);
}

/* What a product's forward tiles have in common. It is passed by address: copied onto the stack for each
   call, it would be read before its parts had come together there. */
struct forward_call {
    long a_panel, b_panel;     /* elements from one panel to the next */
    long ahead;                /* elements to what is prefetched of B */
    long init_row, init_panel; /* of what C begins with: elements from one row, or panel, to the next */
    long c_row, c_panel;
    struct epilogue epilogue;
};

INLINE void begin_forward(const int rows, const int vectors, const real *init, long row, long panel,
                          vec sum[][TILE_PANELS * VECTORS])
{
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < vectors; v++)
            sum[r][v] = load(init + r * row + VECTOR_AT(v, panel));
}

INLINE void end_forward(const int rows, const int vectors, vec sum[][TILE_PANELS * VECTORS],
                        struct epilogue epilogue, real *c, long c_row, long c_panel)
{
    const vec lowest = SPLAT(epilogue.lowest);
    if (epilogue.gate)
        UNROLL for (int r = 0; r < rows; r++)
            UNROLL for (int v = 0; v < vectors; v++) {
                const real *at = c + r * c_row + VECTOR_AT(v, c_panel);
                sum[r][v] = masked(load(at + epilogue.gate) > SPLAT((real)0), sum[r][v]);
            }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < whole_panels(vectors); v++)
            store(c + r * c_row + VECTOR_AT(v, c_panel),
                  v < vectors ? maximum(lowest, sum[r][v]) : (vec){0});
}

/* One step down the depth: row k of A and of B, in which B has been prefetched `ahead` elements further on. */
INLINE void forward_step(const int rows, const int vectors, const int k, const real *x, const real *b,
                         long b_panel, long ahead, vec sum[][TILE_PANELS * VECTORS])
{
    const int panels = whole_panels(vectors) / VECTORS;
    vec right[TILE_PANELS * VECTORS];
    UNROLL for (int v = 0; v < vectors; v++)
        right[v] = load(b + k * PANEL + VECTOR_AT(v, b_panel));
    UNROLL for (int p = 0; p < panels; p++)
        __builtin_prefetch(b + k * PANEL + p * b_panel + ahead, 0, 2);
    UNROLL for (int r = 0; r < rows; r++) {
        const vec left = SPLAT(x[r * PANEL + k]);
        UNROLL for (int v = 0; v < vectors; v++)
            sum[r][v] = FMA(left, right[v], sum[r][v]);
    }
}

/* ROWS x VECTORS vectors of C over a depth that may end inside a panel of A. Prefetches as much of B, `ahead`
   elements further on. */
INLINE void forward_body(const int rows, const int vectors, long depth, const real *a, const real *b,
                         const real *init, real *c, const struct forward_call *call)
{
    vec sum[TILE_ROWS][TILE_PANELS * VECTORS];
    const long a_panel = call->a_panel, b_panel = call->b_panel, ahead = call->ahead;
    const int panels = whole_panels(vectors) / VECTORS;
    begin_forward(rows, vectors, init, call->init_row, call->init_panel, sum);
    for (; depth >= DEPTH_STEPS; a += a_panel) {
        const long run = depth < PANEL ? depth & -DEPTH_STEPS : PANEL;
        const real *x = a, *end = b + run * PANEL;
        depth -= run;
        if (depth < PANEL && call->c_row != PANEL) { /* the end is near, where the next tile begins */
            prefetch_tile(rows, panels, 1, c + rows * call->c_row, call->c_row, call->c_panel);
            if (call->epilogue.gate)
                prefetch_tile(rows, panels, 0, c + call->epilogue.gate, call->c_row, call->c_panel);
        }
        INNER_LOOP do {
            UNROLL for (int k = 0; k < DEPTH_STEPS; k++)
                forward_step(rows, vectors, k, x, b, b_panel, ahead, sum);
            b += DEPTH_STEPS * PANEL;
            x += DEPTH_STEPS;
        } while (b != end);
        if (DEPTH_STEPS > 1 && run < PANEL) {
            a += run;
            break;
        }
    }
    if (DEPTH_STEPS > 1)
        INNER_LOOP for (; depth > 0; depth--, a++, b += PANEL)
            forward_step(rows, vectors, 0, a, b, b_panel, ahead, sum);
    end_forward(rows, vectors, sum, call->epilogue, c, call->c_row, call->c_panel);
}

/* What gradient tiles are told beside their operands: distances, whether C adds to earlier blocks of rows,
   and what to prefetch: `step` bytes with each row, of what the update or later tiles read. */
struct gradient_call {
    long d_panel, c_panel; /* elements from one panel to the next */
    int accumulate;
    const char *coming;
    long step;
};

/* What a gradient tile prefetches: nothing, a line with each row for later tiles, or what is coming. */
enum prefetched { NOTHING, TILES, COMING };

/* One row of A and D. */
INLINE void gradient_step(const int features, const int first, const int vectors, const real *a, const real *d,
                          long d_panel, vec sum[][TILE_VECTORS])
{
    vec right[TILE_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++)
        right[v] = load(d + VECTOR_AT(first + v, d_panel));
    UNROLL for (int i = 0; i < features; i++) {
        const vec left = SPLAT(a[i]);
        UNROLL for (int v = 0; v < vectors; v++)
            sum[i][v] = FMA(left, right[v], sum[i][v]);
    }
}

/* FEATURES rows of C and its vectors FIRST ... FIRST + VECTORS - 1, over all rows of A and D; features lie
   next to each other in a row of A. `steps` rows, a power of two, are written one after the other. */
INLINE void gradient_sums(const int features, const int first, const int vectors,
                          const enum prefetched prefetched, const int steps, long rows, const real *a, long a_row,
                          const real *d, long d_row, long d_panel, const char *coming, long step,
                          vec sum[][TILE_VECTORS])
{
    UNROLL for (int i = 0; i < features; i++)
        UNROLL for (int v = 0; v < vectors; v++)
            sum[i][v] = (vec){0};
    const real *end = a + (rows & -steps) * a_row;
    INNER_LOOP for (; a != end; a += steps * a_row, d += steps * d_row)
        UNROLL for (int r = 0; r < steps; r++, coming += step) {
            if (prefetched == COMING)
                __builtin_prefetch(coming, 1, 2);
            else if (prefetched == TILES)
                __builtin_prefetch(coming, 0, 3);
            gradient_step(features, first, vectors, a + r * a_row, d + r * d_row, d_panel, sum);
        }
    end += (rows & (steps - 1)) * a_row;
    if (steps > 1)
        INNER_LOOP for (; a != end; a += a_row, d += d_row)
            gradient_step(features, first, vectors, a, d, d_panel, sum);
}

/* sum += what is in memory, of earlier blocks of rows. */
INLINE void add_tile(const int features, const int first, const int vectors, const real *from, long row, long panel,
                     vec sum[][TILE_VECTORS])
{
    UNROLL for (int i = 0; i < features; i++)
        UNROLL for (int v = 0; v < vectors; v++)
            sum[i][v] += load(from + i * row + VECTOR_AT(first + v, panel));
}

INLINE void gradient_body(const int features, const int first, const int vectors, long rows,
                          const real *a, const real *d, real *c, const struct gradient_call *call)
{
    vec sum[PANEL][TILE_VECTORS];
    const long c_panel = call->c_panel;
    gradient_sums(features, first, vectors, COMING, GRADIENT_STEPS, rows, a, PANEL, d, PANEL, call->d_panel, call->coming,
                  call->step, sum);
    if (call->accumulate)
        add_tile(features, first, vectors, c, PANEL, c_panel, sum);
    UNROLL for (int i = 0; i < features; i++)
        UNROLL for (int v = 0; v < (vectors < VECTORS ? VECTORS : vectors); v++)
            store(c + i * PANEL + VECTOR_AT(first + v, c_panel), v < vectors ? sum[i][v] : (vec){0});
}

/* The same with C anywhere, and times a factor. */
struct sums_call {
    long a_row, d_row; /* elements from one row to the next, of tiles that read A or D where they lie */
    long d_panel, c_row, c_panel;
    int accumulate;
    real factor;
};

/* `last`: NULL, or a padded copy of the last row of D, beyond whose end vectors would be read. */
INLINE void sums_body(const int features, const int vectors, const int in_rows, long rows, const real *a, const real *d,
                      const real *last, real *c, const struct sums_call *call)
{
    vec sum[PANEL][TILE_VECTORS];
    const long a_row = in_rows ? call->a_row : PANEL, d_row = in_rows ? call->d_row : PANEL;
    if (call->c_row != PANEL)
        prefetch_tile(features, whole_panels(vectors) / VECTORS, 1, c, call->c_row, call->c_panel);
    rows -= in_rows && last;
    gradient_sums(features, 0, vectors, NOTHING, DESCENT_STEPS, rows, a, a_row, d, d_row, call->d_panel, NULL, 0, sum);
    if (in_rows && last)
        gradient_step(features, 0, vectors, a + rows * a_row, last, call->d_panel, sum);
    const long c_row = call->c_row, c_panel = call->c_panel;
    if (call->accumulate)
        add_tile(features, 0, vectors, c, c_row, c_panel, sum);
    const vec factor = SPLAT(call->factor);
    UNROLL for (int i = 0; i < features; i++)
        UNROLL for (int v = 0; v < whole_panels(vectors); v++)
            store(c + i * c_row + VECTOR_AT(v, c_panel), v < vectors ? sum[i][v] * factor : (vec){0});
}

/* Descent on the gradient of a tile, w <- w - rate (gradient + l2 w), before it leaves the registers:
   it needs no place in memory. Constant for all tiles of some panels. */
struct descent {
    double rate, l2;
    long d_panel, init_panel, w_panel; /* elements from one panel to the next */
};

/* Returns the sum of w^2 before, 0 where l2 is 0. Where that overflows the tile does not descend. */
INLINE double descent_body(const int features, const int first, const int vectors, long rows,
                           const real *a, const real *d, const real *next, const real *init, real *w,
                           const struct descent *by)
{
    vec sum[PANEL][TILE_VECTORS];
    gradient_sums(features, first, vectors, TILES, 1, rows, a, PANEL, d, PANEL, by->d_panel, (const char *)next,
                  LINE_BYTES, sum);
    if (init)
        add_tile(features, first, vectors, init, PANEL, by->init_panel, sum);
    const vec rate = SPLAT((real)-by->rate), l2 = SPLAT((real)by->l2);
    const long w_panel = by->w_panel;
    real total = 0;
    if (by->l2 != 0) {
        vec squares[TILE_VECTORS] = {{0}};
        UNROLL for (int i = 0; i < features; i++)
            UNROLL for (int v = 0; v < vectors; v++) {
                vec x = load(w + i * PANEL + VECTOR_AT(first + v, w_panel));
                squares[v] = FMA(x, x, squares[v]);
                sum[i][v] = FMA(l2, x, sum[i][v]);
            }
        UNROLL for (int v = 1; v < vectors; v++)
            squares[0] += squares[v];
        total = sum_lanes(squares[0]);
        if (!isfinite(total))
            return total;
    }
    UNROLL for (int i = 0; i < features; i++)
        UNROLL for (int v = 0; v < vectors; v++) {
            real *at = w + i * PANEL + VECTOR_AT(first + v, w_panel);
            store(at, FMA(rate, sum[i][v], load(at)));
        }
    return total;
}

/* Descent without a penalty, over rows of one block. */
INLINE void step_tile(const int features, const int first, const int vectors,
                      const enum prefetched prefetched, long rows, const real *a, const real *d,
                      const real *next, real *w, const struct descent *by)
{
    vec sum[PANEL][TILE_VECTORS];
    gradient_sums(features, first, vectors, prefetched, DESCENT_STEPS, rows, a, PANEL, d, PANEL, by->d_panel,
                  (const char *)next, LINE_BYTES, sum);
    const vec rate = SPLAT((real)-by->rate);
    const long w_panel = by->w_panel;
    UNROLL for (int i = 0; i < features; i++)
        UNROLL for (int v = 0; v < vectors; v++) {
            real *at = w + i * PANEL + VECTOR_AT(first + v, w_panel);
            store(at, FMA(rate, sum[i][v], load(at)));
        }
}

/* The same for a whole panel of features, in up to three tiles of at most LIMIT of them. Where rows are few,
   calls of tiles would take as long as half of what they compute. The first tile prefetches `next`. */
INLINE void step_body(const int limit, const int first, const int vectors, long rows, const real *a,
                      const real *d, const real *next, real *w, const struct descent *by)
{
    const int parts = (PANEL + limit - 1) / limit, size = PANEL / parts, larger = PANEL % parts;
    const int one = size + (larger > 0), two = size + (larger > 1);
    step_tile(one, first, vectors, TILES, rows, a, d, next, w, by);
    if (parts > 1)
        step_tile(two, first, vectors, NOTHING, rows, a + one, d, next, w + one * PANEL, by);
    if (parts > 2)
        step_tile(size, first, vectors, NOTHING, rows, a + one + two, d, next,
                  w + (one + two) * PANEL, by);
}

#endif
