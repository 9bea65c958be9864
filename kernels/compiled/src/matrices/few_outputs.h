/* Products with a few columns, whose panel would be mostly padding.

   Squares of A are turned, so that a vector is a column of LANES rows; no column of W is computed that is not
   there. Every element is the chain of a tile. */
#ifndef FASTMLP_FEW_OUTPUTS_H
#define FASTMLP_FEW_OUTPUTS_H

#include "matrices/panels.h"
#include "matrices/row_tiles.h"

enum {
    FEW_OUTPUTS = 4, /* columns at most */
    FEW_SETS = 2,    /* blocks of LANES rows at a time, at most */
};

/* Where W is: element (k, j) of it at w[k / PANEL * panel + k % PANEL * deep + j * column]. */
struct few_weights {
    const real *w;
    long deep, column, panel;
};

/* Columns of `sets` blocks of LANES rows each, z[j] = bias[j] + sum over k of a[k] W[k][j]. Rows of `a` are read in
   whole vectors, those behind the depth may hold anything. */
INLINE void column_scores(const int sets, const int n_out, long depth, const real *a, long a_row, long a_panel,
                          struct few_weights m, const real *bias, vec sum[][FEW_OUTPUTS])
{
    UNROLL for (int j = 0; j < n_out; j++)
        UNROLL for (int s = 0; s < sets; s++)
            sum[s][j] = SPLAT(bias[j]);
    for (; depth > 0; depth -= PANEL, a += a_panel, m.w += m.panel) {
        const long deep = min(depth, PANEL);
        real columns[FEW_SETS][PANEL * LANES];
        for (long k = 0; k < deep; k += LANES)
            UNROLL for (int s = 0; s < sets; s++)
                transpose_square(a + s * LANES * a_row + k, a_row, columns[s] + k * LANES, LANES);
        INNER_LOOP for (long k = 0; k < deep; k++) {
            vec left[FEW_SETS];
            UNROLL for (int s = 0; s < sets; s++)
                left[s] = load(columns[s] + k * LANES);
            UNROLL for (int j = 0; j < n_out; j++) {
                const vec right = SPLAT(m.w[k * m.deep + j * m.column]);
                UNROLL for (int s = 0; s < sets; s++)
                    sum[s][j] = FMA(left[s], right, sum[s][j]);
            }
        }
    }
}

/* So many rows of a block, whole sets of them; the others are left to tiles. */
INLINE void few_outputs(const int n_out, const struct row_block *m, long row, struct few_weights w)
{
    enum { sets = FEW_SETS };
    vec z[FEW_SETS][FEW_OUTPUTS];
    real *c = m->c + row * m->c_row;
    column_scores(sets, n_out, m->depth, m->a + row * m->a_row, m->a_row, m->a_panel, w, m->bias, z);
    UNROLL for (int s = 0; s < sets; s++)
        UNROLL for (int j = 0; j < n_out; j++) {
            const vec value = maximum(SPLAT(m->lowest), z[s][j]);
            if (n_out == 1 && m->c_row == 1)
                store(c + s * LANES, value);
            else
                UNROLL for (int r = 0; r < LANES; r++)
                    c[(s * LANES + r) * m->c_row + j] = value[r];
        }
}

typedef void few_outputs_of(const struct row_block *m, long row, struct few_weights w);
#define FEW_OUTPUTS_OF(N)                                                                          \
    OUTLINE void few_outputs_##N(const struct row_block *m, long row, struct few_weights w)        \
    {                                                                                              \
        few_outputs(N, m, row, w);                                                                 \
    }
FEW_OUTPUTS_OF(1)
FEW_OUTPUTS_OF(2)
FEW_OUTPUTS_OF(3)
FEW_OUTPUTS_OF(4)

/* Whole sets of rows of a block with few columns are computed, and taken from it. Up to a vector behind the last
   row of A is read; what is there may be anything. */
static void take_few_outputs(struct row_block *m, struct few_weights w)
{
    static few_outputs_of *const all[FEW_OUTPUTS] = {few_outputs_1, few_outputs_2, few_outputs_3, few_outputs_4};
    const long rows = m->columns <= FEW_OUTPUTS ? m->rows / (FEW_SETS * LANES) * (FEW_SETS * LANES) : 0;
    for (long r = 0; r < rows; r += FEW_SETS * LANES)
        all[m->columns - 1](m, r, w);
    m->rows -= rows;
    m->a += rows * m->a_row;
    m->c += rows * m->c_row;
}

#endif
