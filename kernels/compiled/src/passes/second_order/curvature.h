/* What J^T J of a whole network is made of, for half the squared errors of its rows: forward, the
   residuals, and errors back from each output, a column of a block of rows after the other, so that the
   sums of gauss_newton.h find their columns there. A column is GAUSS_ROWS numbers; behind the last row
   residuals and errors are zero. The network's output is the scores. */
#ifndef FASTMLP_CURVATURE_H
#define FASTMLP_CURVATURE_H

#include "formulas/activations.h"
#include "passes/second_order/gauss_newton.h"

enum { COLUMN_WIDE = 4, COLUMN_VECTORS = VECTOR_BYTES == 64 ? 4 : 2 };
_Static_assert(GAUSS_ROWS % (COLUMN_VECTORS * LANES) == 0, "a column is whole tiles");

/* Columns c <- start[c] + sum over k of column k times w[k][c], of a matrix with any steps. */
INLINE void column_tile(const int wide, long depth, const real *from, const real *w, long w_row, long w_column,
                        const real *start, real *to)
{
    for (long r = 0; r < GAUSS_ROWS; r += COLUMN_VECTORS * LANES) {
        vec sum[COLUMN_WIDE][COLUMN_VECTORS];
        UNROLL for (int c = 0; c < wide; c++)
            UNROLL for (int v = 0; v < COLUMN_VECTORS; v++)
                sum[c][v] = start ? SPLAT(start[c]) : (vec){0};
        for (long k = 0; k < depth; k++) {
            vec left[COLUMN_VECTORS];
            UNROLL for (int v = 0; v < COLUMN_VECTORS; v++)
                left[v] = load(from + k * GAUSS_ROWS + r + v * LANES);
            UNROLL for (int c = 0; c < wide; c++) {
                const vec right = SPLAT(w[k * w_row + c * w_column]);
                UNROLL for (int v = 0; v < COLUMN_VECTORS; v++)
                    sum[c][v] = FMA(left[v], right, sum[c][v]);
            }
        }
        UNROLL for (int c = 0; c < wide; c++)
            UNROLL for (int v = 0; v < COLUMN_VECTORS; v++)
                store(to + c * GAUSS_ROWS + r + v * LANES, sum[c][v]);
    }
}
OUTLINE void column_product(long depth, long columns, const real *from, const real *w, long w_row, long w_column,
                            const real *start, real *to)
{
    long c = 0;
    for (; c + COLUMN_WIDE <= columns; c += COLUMN_WIDE)
        column_tile(COLUMN_WIDE, depth, from, w + c * w_column, w_row, w_column, start ? start + c : NULL,
                    to + c * GAUSS_ROWS);
    for (; c < columns; c++)
        column_tile(1, depth, from, w + c * w_column, w_row, w_column, start ? start + c : NULL,
                    to + c * GAUSS_ROWS);
}

/* Errors at a layer, for each output. */
INLINE real *errors_at(const struct gauss_newton *g, long block, int l)
{
    return numbers_of(g, block, g->layers[l].columns);
}
/* What a layer is given. */
INLINE real *inputs_at(const struct gauss_newton *g, long block, int l)
{
    return numbers_of(g, block, inputs_from(g, &g->layers[l]));
}

/* Residuals of the rows, times the roots of their weights, in the place of their scores; and the errors of
   the outputs, each the root of its own. */
static void residual_columns(const struct gauss_newton *g, long first, long rows, const real *y,
                             real *residuals, real *errors)
{
    real root[GAUSS_ROWS] __attribute__((aligned(64)));
    memcpy(root, (const real *)g->roots + first, (size_t)rows * sizeof(real));
    memset(root + rows, 0, (size_t)(GAUSS_ROWS - rows) * sizeof(real));
    for (long k = 0; k < g->n_errors; k++) {
        const long at = k * GAUSS_ROWS;
        for (long r = 0; r < GAUSS_ROWS; r += LANES)
            store(residuals + at + r, (load(residuals + at + r) - load(y + at + r)) * load(root + r));
        for (long j = 0; j < g->n_errors; j++)
            if (j == k)
                memcpy(errors + (k * g->n_errors + j) * GAUSS_ROWS, root, sizeof root);
            else
                memset(errors + (k * g->n_errors + j) * GAUSS_ROWS, 0, sizeof root);
    }
}

/* A block of rows, by columns. */
static void curvature_rows(void *context, long block, int thread)
{
    const struct gauss_newton *g = context;
    const struct design *net = g->design;
    const int top = net->n_layers - 1;
    const long first = (g->first_block + block) * GAUSS_ROWS, rows = min(g->n - first, GAUSS_ROWS);
    const long n_out = g->n_errors, own = net->layers[0].n_in;
    real *y = (real *)(g->scratch + thread * g->scratch_bytes);
    real *space = y + round_up(n_out, LANES) * GAUSS_ROWS;
    turn_rows(g->layers[0].inputs, first, rows, own, space, inputs_at(g, block, 0));
    turn_rows(g->target, first, rows, n_out, space, y);
    fill_ones(g, block); /* the last layer, of the residuals, is given nothing else */
    const real *weights = g->flat;
    for (int l = 0; l <= top; l++) {
        const struct gauss_layer *layer = &g->layers[l];
        const real *a = inputs_at(g, block, l);
        real *to = l < top ? inputs_at(g, block, l + 1) : errors_at(g, block, top + 1);
        column_product(layer->n_in, layer->n_out, a, weights + layer->weights, layer->n_out, 1,
                       weights + layer->bias, to);
        if (l < top)
            forward_run(net->layers[l].activation, to, layer->n_out * GAUSS_ROWS);
    }
    residual_columns(g, first, rows, y, errors_at(g, block, top + 1), errors_at(g, block, top));
    for (int l = top; l > 0; l--) {
        const struct gauss_layer *layer = &g->layers[l];
        for (long k = 0; k < g->n_errors; k++) {
            const real *from = errors_at(g, block, l) + k * layer->n_out * GAUSS_ROWS;
            real *to = errors_at(g, block, l - 1) + k * layer->n_in * GAUSS_ROWS;
            column_product(layer->n_out, layer->n_in, from, weights + layer->weights, 1, layer->n_out, NULL, to);
            backward_run(net->layers[l - 1].activation, to, inputs_at(g, block, l), layer->n_in * GAUSS_ROWS);
        }
    }
}

#endif
