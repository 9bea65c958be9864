/* Symmetric positive definite systems: L L^T, and the two triangular systems.

   L lies in panels of CHOLESKY_ROWS rows, column after column up to the diagonal, which is left out: zeros
   are in its place and above. A tile is CHOLESKY_WIDE columns of a panel: what is left of the matrix after
   a product of the panel with rows of L, over all columns before, and then of these columns with each
   other; all of it stays in registers. A panel has its tiles of CHOLESKY_COLUMNS columns before the next
   one comes: it is in a near cache meanwhile, and so are the rows that all panels are multiplied with.

   Panels below those that have their diagonal are found side by side, with the same bits for any number of
   threads. Of the matrix the upper triangle is read, whose rows are columns of the lower one; behind its
   end it is taken to be zero. */
#ifndef FASTMLP_CHOLESKY_H
#define FASTMLP_CHOLESKY_H

#include "fastmlp.h"
#include "matrices/panels.h"
#include "matrices/tiles.h"
#include "vector/simd.h"
#include "work.h"

enum {
    CHOLESKY_VECTORS = TILE_FEATURES == 2 ? 2 : VECTOR_BYTES == 16 ? 4 : 3,
    CHOLESKY_WIDE = VECTOR_BYTES == 64 ? 8 : 4,
    CHOLESKY_ROWS = CHOLESKY_VECTORS * LANES,
    CHOLESKY_COLUMNS = 48,
};

_Static_assert(CHOLESKY_ROWS % CHOLESKY_WIDE == 0, "a tile has its columns in one panel");
_Static_assert(CHOLESKY_COLUMNS % CHOLESKY_ROWS == 0, "columns that come before the next panel are whole panels");

struct positive {
    const real *a; /* (n, n) */
    long n;
    real *l, *inverses; /* of the diagonal of L */
};

/* Where a panel of L begins. */
INLINE long panel_of_factor(long panel) { return CHOLESKY_ROWS * CHOLESKY_ROWS * (panel * (panel + 1) / 2); }

/* Some elements of a row of the matrix, from that of `column` on. */
INLINE vec row_elements(const struct positive *s, long row, long column)
{
    const long have = row < s->n ? s->n - column : 0;
    const real *from = s->a + row * s->n + column;
    return have >= LANES ? load(from) : have > 0 ? load_partial(from, have) : (vec){0};
}

/* Sums of the columns of a panel x, each times an element of that column in CHOLESKY_WIDE rows of a panel. */
INLINE void panel_products(long depth, const real *x, const real *y,
                           vec sum[CHOLESKY_WIDE][CHOLESKY_VECTORS])
{
    UNROLL for (int c = 0; c < CHOLESKY_WIDE; c++)
        UNROLL for (int v = 0; v < CHOLESKY_VECTORS; v++)
            sum[c][v] = (vec){0};
    INNER_LOOP for (long k = 0; k < depth; k++, x += CHOLESKY_ROWS, y += CHOLESKY_ROWS) {
        vec left[CHOLESKY_VECTORS];
        UNROLL for (int v = 0; v < CHOLESKY_VECTORS; v++)
            left[v] = load(x + v * LANES);
        UNROLL for (int c = 0; c < CHOLESKY_WIDE; c++) {
            const vec right = SPLAT(y[c]);
            UNROLL for (int v = 0; v < CHOLESKY_VECTORS; v++)
                sum[c][v] = FMA(left[v], right, sum[c][v]);
        }
    }
}

/* A square of the diagonal, of which `n` rows belong to the matrix: its factor, column after column, in
   its place; whether it is positive definite. */
static int factor_square(real square[CHOLESKY_WIDE][CHOLESKY_WIDE], long n, real *inverses)
{
    for (long c = 0; c < n; c++) {
        if (!(square[c][c] > 0))
            return 0;
        inverses[c] = 1 / (real)__builtin_sqrt((double)square[c][c]);
        for (long r = c + 1; r < n; r++)
            square[c][r] *= inverses[c];
        for (long k = c + 1; k < n; k++)
            for (long r = k; r < n; r++)
                square[k][r] -= square[c][k] * square[c][r];
    }
    for (long c = n; c < CHOLESKY_WIDE; c++)
        inverses[c] = 0;
    return 1;
}

/* The columns from `first` on of a panel; whether the matrix is positive definite as far as that says. */
OUTLINE int factor_tile(const struct positive *s, long panel, long first)
{
    const long above = first / CHOLESKY_ROWS, down = first % CHOLESKY_ROWS;
    real *x = s->l + panel_of_factor(panel), *inverses = s->inverses + first;
    const real *y = s->l + panel_of_factor(above) + down;
    vec sum[CHOLESKY_WIDE][CHOLESKY_VECTORS], rest[CHOLESKY_WIDE][CHOLESKY_VECTORS];
    UNROLL for (int c = 0; c < CHOLESKY_WIDE; c++)
        UNROLL for (int v = 0; v < CHOLESKY_VECTORS; v++)
            rest[c][v] = row_elements(s, first + c, panel * CHOLESKY_ROWS + v * LANES);
    long depth = first;
    do { /* no chain of sums is longer than SUM_ROWS */
        const long deep = min(depth, SUM_ROWS);
        panel_products(deep, x, y, sum);
        UNROLL for (int c = 0; c < CHOLESKY_WIDE; c++)
            UNROLL for (int v = 0; v < CHOLESKY_VECTORS; v++)
                rest[c][v] = sum[c][v] = rest[c][v] - sum[c][v];
        x += deep * CHOLESKY_ROWS, y += deep * CHOLESKY_ROWS;
        depth -= deep;
    } while (depth > 0);
    real square[CHOLESKY_WIDE][CHOLESKY_WIDE];
    const real *factors = y; /* element (c, k) of L for k > c */
    long factors_row = CHOLESKY_ROWS;
    if (above == panel) {
        for (int c = 0; c < CHOLESKY_WIDE; c++) {
            for (int v = 0; v < CHOLESKY_VECTORS; v++)
                store(x + c * CHOLESKY_ROWS + v * LANES, sum[c][v]);
            memcpy(square[c], x + c * CHOLESKY_ROWS + down, sizeof square[c]);
        }
        if (!factor_square(square, min(s->n - first, CHOLESKY_WIDE), inverses))
            return 0;
        factors = square[0], factors_row = CHOLESKY_WIDE;
    }
    UNROLL for (int c = 0; c < CHOLESKY_WIDE; c++) {
        UNROLL for (int v = 0; v < CHOLESKY_VECTORS; v++) {
            sum[c][v] *= SPLAT(inverses[c]);
            store(x + c * CHOLESKY_ROWS + v * LANES, sum[c][v]);
        }
        UNROLL for (int k = c + 1; k < CHOLESKY_WIDE; k++) {
            const vec factor = SPLAT(factors[c * factors_row + k]);
            UNROLL for (int v = 0; v < CHOLESKY_VECTORS; v++)
                sum[k][v] -= sum[c][v] * factor;
        }
    }
    for (long c = 0; above == panel && c < CHOLESKY_WIDE; c++)
        memset(x + c * CHOLESKY_ROWS, 0, (size_t)(down + c + 1) * sizeof(real));
    return 1;
}

/* Some columns of a panel, as far as they reach; the same. */
static int factor_panel(const struct positive *s, long panel, long columns)
{
    const long end = min(min(columns + CHOLESKY_COLUMNS, (panel + 1) * CHOLESKY_ROWS), s->n);
    for (long first = columns; first < end; first += CHOLESKY_WIDE)
        if (!factor_tile(s, panel, first))
            return 0;
    return 1;
}

/* Some columns of the panels below those that have their diagonal: no panel needs another one. */
struct factor_step {
    const struct positive *s;
    long columns, first; /* panel */
};
static void factor_below(void *step, long i, int thread)
{
    const struct factor_step *f = step;
    (void)thread;
    factor_panel(f->s, f->first + i, f->columns);
}

static int factor(const struct positive *s, int n_threads)
{
    const long panels = (s->n + CHOLESKY_ROWS - 1) / CHOLESKY_ROWS;
    for (long columns = 0; columns < s->n; columns += CHOLESKY_COLUMNS) {
        const long first = columns / CHOLESKY_ROWS;
        struct factor_step below = {s, columns, min(first + CHOLESKY_COLUMNS / CHOLESKY_ROWS, panels)};
        for (long panel = first; panel < below.first; panel++)
            if (!factor_panel(s, panel, columns))
                return 0;
        const long left = panels - below.first;
        const double flops = 2.0 * CHOLESKY_COLUMNS * CHOLESKY_ROWS * (double)left * (double)(columns + CHOLESKY_COLUMNS);
        fastmlp_parallel(threads_for(flops, n_threads), left, factor_below, &below);
    }
    return 1;
}

/* y of L y = b in the place of b, zeros behind its end. */
static void solve_down(const struct positive *s, real *y)
{
    for (long panel = 0; panel * CHOLESKY_ROWS < s->n; panel++) {
        const real *x = s->l + panel_of_factor(panel);
        const long first = panel * CHOLESKY_ROWS, end = min(first + CHOLESKY_ROWS, s->n);
        real *own = y + first;
        vec left[CHOLESKY_VECTORS];
        for (int v = 0; v < CHOLESKY_VECTORS; v++)
            left[v] = load(own + v * LANES);
        for (long k = 0; k < first; k++, x += CHOLESKY_ROWS)
            UNROLL for (int v = 0; v < CHOLESKY_VECTORS; v++)
                left[v] -= load(x + v * LANES) * SPLAT(y[k]);
        for (int v = 0; v < CHOLESKY_VECTORS; v++)
            store(own + v * LANES, left[v]);
        for (long k = first; k < end; k++, x += CHOLESKY_ROWS) {
            y[k] *= s->inverses[k];
            const vec known = SPLAT(y[k]);
            for (int v = 0; v < CHOLESKY_VECTORS; v++)
                store(own + v * LANES, load(own + v * LANES) - load(x + v * LANES) * known);
        }
    }
}

/* Sums of the products of a column of a panel with some x. */
INLINE vec column_products(const real *column, const real *x)
{
    vec sum = {0};
    UNROLL for (int v = 0; v < CHOLESKY_VECTORS; v++)
        sum = FMA(load(column + v * LANES), load(x + v * LANES), sum);
    return sum;
}

/* x of L^T x = y in the place of y. */
static void solve_up(const struct positive *s, real *x)
{
    for (long panel = (s->n - 1) / CHOLESKY_ROWS; panel >= 0; panel--) {
        const real *l = s->l + panel_of_factor(panel);
        const long first = panel * CHOLESKY_ROWS;
        for (long k = min(first + CHOLESKY_ROWS, s->n) - 1; k >= first; k--)
            x[k] = (x[k] - sum_lanes(column_products(l + k * CHOLESKY_ROWS, x + first))) * s->inverses[k];
        for (long k = 0; k < first; k += LANES) {
            vec sum[LANES];
            UNROLL for (int i = 0; i < LANES; i++)
                sum[i] = column_products(l + (k + i) * CHOLESKY_ROWS, x + first);
            store(x + k, load(x + k) - sum_each(sum));
        }
    }
}

/* The bytes that solve_positive takes: L, a vector, what the diagonal is multiplied by. */
static long positive_scratch(long n)
{
    const long rows = round_up(n, CHOLESKY_ROWS);
    return times(plus(times(plus(rows, CHOLESKY_ROWS), rows) / 2, times(2, rows)), sizeof(real));
}

/* x of a x = b, for the upper triangle of an (n, n) matrix a; whether it is positive definite. */
static int solve_positive(const void *a, const void *b, long n, void *scratch, void *x, int n_threads)
{
    const long rows = round_up(n, CHOLESKY_ROWS);
    real *l = scratch, *found = l + panel_of_factor(rows / CHOLESKY_ROWS);
    const struct positive s = {.a = a, .n = n, .l = l, .inverses = found + rows};
    if (!factor(&s, n_threads))
        return 0;
    memcpy(found, b, (size_t)n * sizeof(real));
    memset(found + n, 0, (size_t)(rows - n) * sizeof(real));
    solve_down(&s, found);
    solve_up(&s, found);
    memcpy(x, found, (size_t)n * sizeof(real));
    return 1;
}

#endif
