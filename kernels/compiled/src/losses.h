/* The output layer: losses of rows and their errors, from the scores.

   Scores z, targets y and errors delta are in panels. LANES rows at a time are transposed into
   columns, so that the sums over a row's outputs become sums over vectors: no shuffles within a
   vector, no padding columns, one logarithm for LANES rows. Errors are multiplied by the row's
   scale (its weight over the batch's total weight); padding columns of delta are written as zeros,
   which keeps the padding of all parameters zero. */
#ifndef FASTMLP_LOSSES_H
#define FASTMLP_LOSSES_H

#include "activations.h"
#include "fastmlp.h"
#include "panels.h"

struct output_layer {
    int loss, output;
    long rows, n_out;
    long panel; /* elements from panel to panel, of z, y and delta alike */
    const real *z, *y;
    const real *scale;      /* of each row, or NULL */
    real *delta, *row_loss; /* either may be NULL */
    real *columns;          /* working space: COLUMN_SETS x output_columns(n_out) x LANES */
};

enum { COLUMN_SETS = 3 }; /* z, y, delta */
INLINE long output_columns(long n_out) { return (n_out + PANEL - 1) / PANEL * PANEL; }
/* Bytes of that working space. */
static long output_scratch(long n_out) { return COLUMN_SETS * output_columns(n_out) * VECTOR_BYTES; }

/* columns[c][row] = panels[row][c] for `rows` <= LANES rows; missing rows become zero. */
static void rows_to_columns(const real *panels, long panel, long rows, long n_out, real *columns)
{
    for (long c = 0; c < n_out; c += LANES) {
        const real *from = panels + c / PANEL * panel + c % PANEL;
        real padded[LANES * LANES];
        long step = PANEL;
        if (rows < LANES) {
            memset(padded, 0, sizeof padded);
            for (long r = 0; r < rows; r++)
                store(padded + r * LANES, load(from + r * PANEL));
            from = padded;
            step = LANES;
        }
        transpose_square(from, step, columns + c * LANES, LANES);
    }
}

/* The way back; whole panels are written. */
static void columns_to_rows(const real *columns, long rows, long n_out, real *panels, long panel)
{
    for (long c = 0; c < output_columns(n_out); c += LANES) {
        real *to = panels + c / PANEL * panel + c % PANEL;
        if (rows == LANES) {
            transpose_square(columns + c * LANES, LANES, to, PANEL);
        } else {
            real padded[LANES * LANES];
            transpose_square(columns + c * LANES, LANES, padded, LANES);
            for (long r = 0; r < rows; r++)
                store(to + r * PANEL, load(padded + r * LANES));
        }
    }
}

/* z <- softmax(z) of LANES rows in columns; returns log(sum of exp z). */
static vec softmax_columns(real *z, long n_out)
{
    vec highest = load(z), total = {0};
    for (long c = 1; c < n_out; c++)
        highest = maximum(highest, load(z + c * LANES));
    for (long c = 0; c < n_out; c++) {
        vec e = vector_exp(load(z + c * LANES) - highest);
        total += e;
        store(z + c * LANES, e);
    }
    vec inverse = (real)1 / total;
    for (long c = 0; c < n_out; c++)
        store(z + c * LANES, load(z + c * LANES) * inverse);
    return highest + vector_log(total);
}

/* delta = a - y;  C = sum of log(1 + exp z) - y z = max(z, 0) - y z + log(1 + exp -|z|) */
static vec binary_cross_entropy(long n_out, real *z, const real *y, real *delta)
{
    vec total = {0}, zero = {0};
    for (long i = 0; i < n_out * LANES; i += LANES) {
        vec score = load(z + i), wanted = load(y + i);
        vec e = vector_exp((vec)((ivec)score | (ivec)SPLAT((real)-0.0)));
        total += (maximum(zero, score) - wanted * score) + log_one_plus(e);
        store(delta + i, choose(score < zero, e, SPLAT((real)1)) / (e + (real)1) - wanted);
    }
    return total;
}

/* delta = a sum(y) - y;  C = log(sum of exp z) sum(y) - sum of y z */
static vec cross_entropy(long n_out, real *z, const real *y, real *delta)
{
    vec mass = {0}, product = {0};
    for (long i = 0; i < n_out * LANES; i += LANES) {
        mass += load(y + i);
        product += load(y + i) * load(z + i);
    }
    vec log_sum = softmax_columns(z, n_out);
    for (long i = 0; i < n_out * LANES; i += LANES)
        store(delta + i, load(z + i) * mass - load(y + i));
    return log_sum * mass - product;
}

/* delta = (a - y) times the derivative of the output;  C = 1/2 sum of (a - y)^2 */
static vec squared_error(int output, long n_out, real *z, const real *y, real *delta)
{
    vec total = {0}, along = {0};
    if (output == ACTIVATION_softmax)
        softmax_columns(z, n_out);
    else
        forward_run(output, z, n_out * LANES);
    for (long i = 0; i < n_out * LANES; i += LANES) {
        vec residual = load(z + i) - load(y + i);
        total = FMA(residual, residual, total);
        along = FMA(residual, load(z + i), along);
        store(delta + i, residual);
    }
    if (output == ACTIVATION_softmax) /* its Jacobian is diag(a) - a a^T */
        for (long i = 0; i < n_out * LANES; i += LANES)
            store(delta + i, load(z + i) * (load(delta + i) - along));
    else
        backward_run(output, delta, z, n_out * LANES);
    return halve(total);
}

static void output_layer(const struct output_layer *o)
{
    const long set = output_columns(o->n_out) * LANES;
    real *z = o->columns, *y = z + set, *delta = y + set;
    for (long i = o->n_out * LANES; i < set; i++)
        delta[i] = 0;
    for (long row = 0; row < o->rows; row += LANES) {
        long rows = o->rows - row < LANES ? o->rows - row : LANES;
        rows_to_columns(o->z + row * PANEL, o->panel, rows, o->n_out, z);
        rows_to_columns(o->y + row * PANEL, o->panel, rows, o->n_out, y);
        vec loss;
        switch (o->loss) {
        case LOSS_squared_error:
            loss = squared_error(o->output, o->n_out, z, y, delta);
            break;
        case LOSS_binary_cross_entropy:
            loss = binary_cross_entropy(o->n_out, z, y, delta);
            break;
        default:
            loss = cross_entropy(o->n_out, z, y, delta);
        }
        if (o->row_loss)
            store_partial(o->row_loss + row, loss, rows);
        if (o->delta) {
            if (o->scale) {
                vec scale = load_partial(o->scale + row, rows);
                for (long i = 0; i < o->n_out * LANES; i += LANES)
                    store(delta + i, load(delta + i) * scale);
            }
            columns_to_rows(delta, rows, o->n_out, o->delta + row * PANEL, o->panel);
        }
    }
}

/* Softmax of rows in panels, in place. `columns` has room for one set. */
static void softmax_rows(real *z, long rows, long n_out, long panel, real *columns)
{
    for (long row = 0; row < rows; row += LANES) {
        long here = rows - row < LANES ? rows - row : LANES;
        rows_to_columns(z + row * PANEL, panel, here, n_out, columns);
        softmax_columns(columns, n_out);
        columns_to_rows(columns, here, n_out, z + row * PANEL, panel);
    }
}

#endif
