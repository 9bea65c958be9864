/* Symmetric positive definite systems: L L^T by rows, and the two triangular systems.

   Element (i, j) of L is what is left of that of the matrix after a product of the rows i and j of L, up
   to column j. Rows lie side by side, so that such products are sums over whole vectors, of
   CHOLESKY_TALL rows times CHOLESKY_WIDE at a time. Some rows i stay in the second-level cache while all
   rows j above them pass by, a few of which are in the first-level cache meanwhile.

   A row is zero from the columns on that are not known yet: a last vector may run over them. */
#ifndef FASTMLP_CHOLESKY_H
#define FASTMLP_CHOLESKY_H

#include "fastmlp.h"
#include "vector/simd.h"
#include "work.h"

enum { CHOLESKY_TALL = 3, CHOLESKY_WIDE = 4, CHOLESKY_ROWS = 48 }; /* a multiple of either */

/* Products of `tall` rows x with `wide` rows y, of the first `depth` numbers, whole vectors. */
INLINE void row_products(const int tall, const int wide, long depth, const real *x, const real *y, long row,
                         real sums[CHOLESKY_TALL][CHOLESKY_WIDE])
{
    vec sum[CHOLESKY_TALL][CHOLESKY_WIDE];
    UNROLL for (int i = 0; i < tall; i++)
        UNROLL for (int j = 0; j < wide; j++)
            sum[i][j] = (vec){0};
    for (long k = 0; k < depth; k += LANES) {
        vec left[CHOLESKY_TALL];
        UNROLL for (int i = 0; i < tall; i++)
            left[i] = load(x + i * row + k);
        UNROLL for (int j = 0; j < wide; j++) {
            const vec right = load(y + j * row + k);
            UNROLL for (int i = 0; i < tall; i++)
                sum[i][j] = FMA(left[i], right, sum[i][j]);
        }
    }
    UNROLL for (int i = 0; i < tall; i++)
        UNROLL for (int j = 0; j < wide; j++)
            sums[i][j] = sum_lanes(sum[i][j]);
}
OUTLINE void products_of_three(long depth, const real *x, const real *y, long row,
                               real sums[CHOLESKY_TALL][CHOLESKY_WIDE])
{
    row_products(CHOLESKY_TALL, CHOLESKY_WIDE, depth, x, y, row, sums);
}
OUTLINE void products_of_one(long depth, const real *x, const real *y, long row,
                             real sums[CHOLESKY_TALL][CHOLESKY_WIDE])
{
    row_products(1, CHOLESKY_WIDE, depth, x, y, row, sums);
}

/* Elements `first` to `first + n` of a row of L, of those of the matrix less the products of the rows.
   `y` and `inverses` are of the row of L whose diagonal element is number `first`. */
INLINE void finish_elements(const real *a, const real *sums, long n, const real *y, long row,
                            const real *inverses, real *to)
{
    for (long j = 0; j < n; j++) {
        real rest = a[j] - sums[j];
        for (long k = 0; k < j; k++)
            rest -= to[k] * y[j * row + k];
        to[j] = rest * inverses[j];
    }
}

/* L of an (n, n) matrix a, in rows of `row` numbers, all zero before; whether a is positive definite. */
static int factor(const real *a, long n, real *l, long row, real *inverses)
{
    real sums[CHOLESKY_TALL][CHOLESKY_WIDE];
    for (long top = 0; top < n; top += CHOLESKY_ROWS) {
        const long end = min(top + CHOLESKY_ROWS, n);
        for (long first = 0; first < end; first += CHOLESKY_WIDE) {
            const long wide = min(n - first, CHOLESKY_WIDE), depth = round_up(first, LANES);
            const real *y = l + first * row, *diagonal = y + first; /* some rows behind L are zero */
            long i = max(top, first);
            for (; i < first + wide; i++) { /* only where the diagonal is among these rows */
                real *to = l + i * row + first;
                const long before = i - first;
                products_of_one(depth, l + i * row, y, row, sums);
                finish_elements(a + i * n + first, sums[0], before, diagonal, row, inverses + first, to);
                real rest = a[i * n + i] - sums[0][before];
                for (long k = 0; k < before; k++)
                    rest -= to[k] * to[k];
                if (!(rest > 0))
                    return 0;
                to[before] = (real)__builtin_sqrt((double)rest);
                inverses[i] = 1 / to[before];
            }
            for (long part; i < end; i += part) {
                part = end - i < CHOLESKY_TALL ? 1 : CHOLESKY_TALL;
                (part == 1 ? products_of_one : products_of_three)(depth, l + i * row, y, row, sums);
                for (long r = 0; r < part; r++)
                    finish_elements(a + (i + r) * n + first, sums[r], wide, diagonal, row,
                                    inverses + first, l + (i + r) * row + first);
            }
        }
    }
    return 1;
}

/* The bytes that solve_positive takes: L and some rows, a vector, what the diagonal is multiplied by. */
INLINE long row_of_factor(long n) { return (((n - 1) / PANEL + 1) | 1) * PANEL; }
static long positive_scratch(long n)
{
    return times(times(plus(n, CHOLESKY_WIDE + 2), row_of_factor(n)), sizeof(real));
}

/* x of a x = b, for the lower triangle of an (n, n) matrix a; whether it is positive definite. */
static int solve_positive(const void *a, const void *b, long n, void *scratch, void *x)
{
    const long row = row_of_factor(n);
    real *l = scratch, *y = l + (n + CHOLESKY_WIDE) * row, *inverses = y + row, *found = x;
    memset(l, 0, (size_t)((n + CHOLESKY_WIDE + 1) * row) * sizeof(real));
    if (!factor(a, n, l, row, inverses))
        return 0;
    for (long i = 0; i < n; i++) {
        vec sum = (vec){0};
        for (long k = 0; k < i; k += LANES)
            sum = FMA(load(l + i * row + k), load(y + k), sum);
        y[i] = (((const real *)b)[i] - sum_lanes(sum)) * inverses[i];
    }
    for (long i = n - 1; i >= 0; i--) {
        found[i] = y[i] * inverses[i];
        const vec times_row = SPLAT(found[i]);
        for (long k = 0; k < i; k += LANES)
            store(y + k, load(y + k) - times_row * load(l + i * row + k));
    }
    return 1;
}

#endif
