/* The output layer of a small step that tells a few classes apart: scores, losses and errors of two blocks of rows
   stay in columns, from which the matrix of the layer below is turned, not the scores and errors. */
#ifndef FASTMLP_NARROW_OUTPUTS_H
#define FASTMLP_NARROW_OUTPUTS_H

#include "formulas/losses.h"
#include "matrices/few_outputs.h"
#include "matrices/products.h"
#include "work.h"

/* Scores, losses and errors of `sets` blocks of LANES rows with labels, of which the last has `rows` rows. Behind
   them anything may be computed. */
INLINE void narrow_classes(const int sets, const int n_out, const struct engine *e, long row, long rows)
{
    const struct layer *top = &e->design.layers[e->design.n_layers - 1];
    const real *below = (const real *)e->design.layers[e->design.n_layers - 2].output + row * PANEL;
    const real *bias = (const real *)e->arena.parameters + top->bias;
    const integer *labels = (const integer *)e->arena.target + row;
    vec z[FEW_SETS][FEW_OUTPUTS], losses[FEW_SETS];
    enum { NUMBERS = FEW_SETS * FEW_OUTPUTS * LANES };
    real scores[NUMBERS], targets[NUMBERS], errors[NUMBERS];
    column_scores(sets, n_out, top->n_in, below, PANEL, e->design.batch_panel,
                  (struct few_weights){top->transposed, 1, PANEL, PANEL * PANEL}, bias, z);
    UNROLL for (int s = 0; s < sets; s++) {
        const ivec label = (ivec)load((const real *)labels + s * LANES), one = (ivec)SPLAT((real)1);
        UNROLL for (int j = 0; j < n_out; j++) {
            store(scores + (s * n_out + j) * LANES, z[s][j]);
            store(targets + (s * n_out + j) * LANES, (vec)((label == (integer)j) & one));
        }
    }
    cross_entropy_sets(sets, &e->design.loss, n_out, n_out * LANES, scores, targets, errors, losses);
    const vec scale = SPLAT((real)e->pass.scale);
    UNROLL for (int s = 0; s < sets; s++) {
        vec v[LANES], w[LANES];
        real *delta = (real *)top->delta + (row + s * LANES) * PANEL;
        UNROLL for (int j = 0; j < LANES; j++)
            v[j] = j < n_out ? load(errors + (s * n_out + j) * LANES) * scale : (vec){0};
        transpose_vectors(v, w);
        UNROLL for (int r = 0; r < LANES; r++)
            if (s < sets - 1 || r < rows) {
                store(delta + r * PANEL, v[r]);
                UNROLL for (int half = 1; half < VECTORS; half++)
                    store(delta + r * PANEL + half * LANES, (vec){0});
            }
        store((real *)e->arena.row_loss + row + s * LANES, losses[s]);
    }
}

typedef void narrow_output(const struct engine *e, long row, long rows);
#define NARROW_OUTPUT(SETS, N)                                                                     \
    OUTLINE void narrow_output_##SETS##x##N(const struct engine *e, long row, long rows)           \
    {                                                                                              \
        narrow_classes(SETS, N, e, row, rows);                                                     \
    }
NARROW_OUTPUT(1, 2)
NARROW_OUTPUT(1, 3)
NARROW_OUTPUT(1, 4)
NARROW_OUTPUT(2, 2)
NARROW_OUTPUT(2, 3)
NARROW_OUTPUT(2, 4)

/* Whether the output layer has few classes, and labels. */
static int has_narrow_output(const struct engine *e)
{
    const struct layer *top = &e->design.layers[e->design.n_layers - 1];
    return e->pass.samples->labels && top->n_out >= 2 && top->n_out <= min(FEW_OUTPUTS, LANES) && top->transposed &&
           e->design.loss.code == LOSS_cross_entropy && !is_narrow_product(top->n_in, top->n_out);
}

static void narrow_outputs(struct engine *e)
{
    static narrow_output *const outputs[FEW_SETS][FEW_OUTPUTS - 1] = {
        {narrow_output_1x2, narrow_output_1x3, narrow_output_1x4},
        {narrow_output_2x2, narrow_output_2x3, narrow_output_2x4},
    };
    const long n = e->pass.n_rows, n_out = e->design.layers[e->design.n_layers - 1].n_out;
    for (long row = 0, sets; row < n; row += sets * LANES) {
        sets = n - row > LANES ? 2 : 1;
        outputs[sets - 1][n_out - 2](e, row, min(n - row - (sets - 1) * LANES, LANES));
    }
}

#endif
