/* The output layer: losses of rows and their errors, from the scores.

   Scores z, targets y and errors delta are in panels; a row of them is PANEL elements of each
   panel. Errors are multiplied by the row's scale (its weight over the batch's total weight), and
   padding columns of delta stay zero, which keeps the padding of all parameters zero (vectors of
   padding alone are never written: the engine's memory starts as zeros). */
#ifndef FASTMLP_LOSSES_H
#define FASTMLP_LOSSES_H

#include "activations.h"
#include "fastmlp.h"

struct output_layer {
    int loss, output;
    long rows, n_out, panels;
    long panel; /* elements from panel to panel, of z, y and delta alike */
    real *z;    /* overwritten by the activations */
    const real *y, *scale;
    real *delta, *row_loss; /* either may be NULL */
};

/* For lane i of vector v of a row: -1 (all bits) in columns that exist, 0 in padding. */
INLINE ivec existing(long n_out, long column)
{
    ivec lane;
    for (int i = 0; i < LANES; i++)
        lane[i] = i;
    long left = n_out - column;
    return lane < (integer)(left > LANES ? LANES : left);
}

#define EACH_VECTOR(o, row, at, column)                                                            \
    for (long column = 0, at = (row) * PANEL; column < (o)->n_out;                                 \
         column += LANES, at = (column / PANEL) * (o)->panel + (row) * PANEL + column % PANEL)

/* z <- softmax(z) of one row; returns log(sum of exp z). */
INLINE vec softmax_row(const struct output_layer *o, long row)
{
    vec highest = SPLAT((real)-INFINITY);
    EACH_VECTOR(o, row, at, column) {
        vec z = load(o->z + at);
        highest = maximum(highest, choose(existing(o->n_out, column), z, SPLAT((real)-INFINITY)));
    }
    vec shift = SPLAT(max_lanes(highest));
    vec total = {0};
    EACH_VECTOR(o, row, at, column) {
        vec e = keep(existing(o->n_out, column), vector_exp(load(o->z + at) - shift));
        total += e;
        store(o->z + at, e);
    }
    vec sum = SPLAT(sum_lanes(total));
    vec inverse = (real)1 / sum;
    EACH_VECTOR(o, row, at, column) store(o->z + at, load(o->z + at) * inverse);
    return shift + vector_log(sum);
}

/* delta = a - y;  C = sum of log(1 + exp z) - y z = max(z, 0) - y z + log(1 + exp -|z|) */
INLINE real row_binary_cross_entropy(const struct output_layer *o, long row, vec scale)
{
    vec total = {0}, zero = {0};
    EACH_VECTOR(o, row, at, column) {
        ivec exists = existing(o->n_out, column);
        vec z = load(o->z + at), y = load(o->y + at);
        vec e = vector_exp((vec)((ivec)z | (ivec)SPLAT((real)-0.0)));
        total += keep(exists, (maximum(zero, z) - y * z) + log_one_plus(e));
        if (o->delta) {
            vec a = choose(z < zero, e, SPLAT((real)1)) / (e + (real)1);
            store(o->delta + at, keep(exists, (a - y) * scale));
        }
    }
    return sum_lanes(total);
}

/* delta = a sum(y) - y;  C = log(sum of exp z) sum(y) - sum of y z */
INLINE real row_cross_entropy(const struct output_layer *o, long row, vec scale)
{
    vec y_sum = {0}, y_dot_z = {0};
    EACH_VECTOR(o, row, at, column) {
        ivec exists = existing(o->n_out, column);
        vec y = load(o->y + at);
        y_sum += keep(exists, y);
        y_dot_z += keep(exists, y * load(o->z + at));
    }
    vec log_sum = softmax_row(o, row);
    vec mass = SPLAT(sum_lanes(y_sum));
    if (o->delta)
        EACH_VECTOR(o, row, at, column)
            store(o->delta + at, keep(existing(o->n_out, column),
                                      (load(o->z + at) * mass - load(o->y + at)) * scale));
    return log_sum[0] * mass[0] - sum_lanes(y_dot_z);
}

/* delta = (a - y) times the derivative of the output;  C = 1/2 sum of (a - y)^2 */
INLINE real row_squared_error(const struct output_layer *o, long row, vec scale)
{
    vec total = {0}, along = {0};
    if (o->output == ACTIVATION_softmax)
        softmax_row(o, row);
    EACH_VECTOR(o, row, at, column) {
        vec a = load(o->z + at);
        vec residual = keep(existing(o->n_out, column), a - load(o->y + at));
        total = FMA(residual, residual, total);
        along = FMA(residual, a, along);
    }
    if (o->delta) {
        vec mean = SPLAT(o->output == ACTIVATION_softmax ? sum_lanes(along) : (real)0);
        EACH_VECTOR(o, row, at, column) {
            vec a = load(o->z + at), residual = a - load(o->y + at);
            vec delta = o->output == ACTIVATION_softmax   ? a * (residual - mean)
                        : o->output == ACTIVATION_sigmoid ? backward_sigmoid(residual, a)
                                                          : residual;
            store(o->delta + at, keep(existing(o->n_out, column), delta * scale));
        }
    }
    return (real)0.5 * sum_lanes(total);
}

static void output_layer(const struct output_layer *o)
{
    if (o->loss == LOSS_squared_error && o->output != ACTIVATION_softmax)
        for (long p = 0; p < o->panels; p++)
            forward_run(o->output, o->z + p * o->panel, o->rows * PANEL);
    for (long row = 0; row < o->rows; row++) {
        vec scale = SPLAT(o->scale ? o->scale[row] : (real)1);
        real loss = o->loss == LOSS_squared_error         ? row_squared_error(o, row, scale)
                    : o->loss == LOSS_cross_entropy       ? row_cross_entropy(o, row, scale)
                                                          : row_binary_cross_entropy(o, row, scale);
        if (o->row_loss)
            o->row_loss[row] = loss;
    }
}

/* Output activation of rows in panels, where no loss is wanted. */
static void output_activation(int output, real *z, long rows, long n_out, long panel)
{
    struct output_layer o = {.rows = rows, .n_out = n_out, .panel = panel, .z = z};
    if (output == ACTIVATION_softmax)
        for (long row = 0; row < rows; row++)
            softmax_row(&o, row);
    else
        for (long p = 0; p * PANEL < n_out; p++)
            forward_run(output, z + p * panel, rows * PANEL);
}

#endif
