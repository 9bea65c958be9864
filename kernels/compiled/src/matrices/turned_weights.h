/* The product of a few rows in panels with the transpose of a weight matrix that lies as its owner has it:

        c[r][j] = sum over k of a[r][k] W[j][k]

   Squares of W are turned in registers, and all rows of `a` share them. Every element is one chain in
   ascending order of k, as that of the tiles is. */
#ifndef FASTMLP_TURNED_WEIGHTS_H
#define FASTMLP_TURNED_WEIGHTS_H

#include "matrices/panels.h"

enum { TURNED_ROWS = 4 }; /* rows of a that share a square */

/* to[s][i] = w[i][s]; of rows behind the `last` one anything. */
INLINE void turn_square(const int whole, const real *w, long w_row, long last, vec *to)
{
    vec half[LANES];
    UNROLL for (int i = 0; i < LANES; i++)
        to[i] = load(w + (whole || i < last ? i : last) * w_row);
    transpose_vectors(to, half);
}

/* A vector of elements from column j on into a row of panels; `n` of them. */
INLINE void store_columns(real *c, long c_panel, long j, vec v, long n)
{
    if (j % LANES == 0 && n == LANES) {
        store(c + j / PANEL * c_panel + j % PANEL, v);
        return;
    }
    for (long i = 0; i < n; i++)
        c[(j + i) / PANEL * c_panel + (j + i) % PANEL] = v[i];
}

/* `squares` vectors of columns from j on, for `rows` rows; with `whole` 0 there are fewer than LANES. */
INLINE void turned_columns(const int rows, const int squares, const int whole, long depth, const real *a,
                           long a_panel, const real *w, long w_row, long n_out, long j, real *c,
                           long c_panel)
{
    const long last = n_out - j - 1;
    vec sum[TURNED_ROWS][2] = {{{0}}};
    const real *w_j = w + j * w_row;
    long k = 0;
    for (; k + LANES <= depth; k += LANES) {
        const real *x = a + k / PANEL * a_panel + k % PANEL;
        UNROLL for (int q = 0; q < squares; q++) {
            vec turned[LANES];
            turn_square(whole, w_j + q * LANES * w_row + k, w_row, last, turned);
            UNROLL for (int s = 0; s < LANES; s++)
                UNROLL for (int r = 0; r < rows; r++)
                    sum[r][q] = FMA(SPLAT(x[r * PANEL + s]), turned[s], sum[r][q]);
        }
    }
    for (; k < depth; k++) {
        const real *x = a + k / PANEL * a_panel + k % PANEL;
        UNROLL for (int q = 0; q < squares; q++) {
            vec column = {0};
            UNROLL for (int i = 0; i < LANES; i++)
                column[i] = w_j[(q * LANES + (whole || i < last ? i : last)) * w_row + k];
            UNROLL for (int r = 0; r < rows; r++)
                sum[r][q] = FMA(SPLAT(x[r * PANEL]), column, sum[r][q]);
        }
    }
    UNROLL for (int q = 0; q < squares; q++)
        UNROLL for (int r = 0; r < rows; r++)
            store_columns(c + r * PANEL, c_panel, j + q * LANES, sum[r][q],
                          whole ? LANES : n_out - j);
}

/* All columns of `rows` rows; the last vectors come twice where they do not end with the matrix. */
INLINE void turned_body(const int rows, long depth, const real *a, long a_panel, const real *w, long w_row,
                        long n_out, real *c, long c_panel)
{
    if (n_out < LANES) {
        turned_columns(rows, 1, 0, depth, a, a_panel, w, w_row, n_out, 0, c, c_panel);
        return;
    }
    for (long j = 0; j < n_out; j += LANES) {
        if (n_out - j >= 2 * LANES) {
            turned_columns(rows, 2, 1, depth, a, a_panel, w, w_row, n_out, j, c, c_panel);
            j += LANES;
        } else {
            turned_columns(rows, 1, 1, depth, a, a_panel, w, w_row, n_out,
                           n_out - j >= LANES ? j : n_out - LANES, c, c_panel);
        }
    }
}

typedef void turned_rows(long depth, const real *a, long a_panel, const real *w, long w_row, long n_out,
                         real *c, long c_panel);
#define TURNED(R)                                                                                  \
    OUTLINE void turned_##R(long depth, const real *a, long a_panel, const real *w, long w_row,    \
                            long n_out, real *c, long c_panel)                                     \
    {                                                                                              \
        turned_body(R, depth, a, a_panel, w, w_row, n_out, c, c_panel);                            \
    }
TURNED(1)
TURNED(2)
TURNED(3)
TURNED(4)
#undef TURNED

static void turned_product(long rows, long depth, const real *a, long a_panel, const real *w, long w_row,
                           long n_out, real *c, long c_panel)
{
    static turned_rows *const turned[TURNED_ROWS] = {turned_1, turned_2, turned_3, turned_4};
    for (long r = 0, here; r < rows; r += here) {
        here = rows - r < TURNED_ROWS ? rows - r : TURNED_ROWS;
        turned[here - 1](depth, a + r * PANEL, a_panel, w, w_row, n_out, c + r * PANEL, c_panel);
    }
}

#endif
