/* The output layer: losses of rows and their errors, from the scores.

   Scores z, targets y and errors delta are in panels; a loss sees LANES rows of them as columns, see
   columns.h. Class labels in place of targets become columns there. Errors are multiplied by the
   row's scale (its weight over the batch's total weight); padding columns of delta are written as
   zeros, which keeps the padding of all parameters zero. Where targets have factors of their own, the
   loss is that of each target alone times its factor, added up.

   A new loss needs its function here and its name in one of the two lists of names.h: those of
   residuals are given a - y, the others z and y. */
#ifndef FASTMLP_LOSSES_H
#define FASTMLP_LOSSES_H

#include "formulas/activations.h"
#include "formulas/columns.h"
#include "fastmlp.h"

struct output_layer {
    const struct loss *loss;
    int output;
    long rows, n_out;
    long panel;             /* elements from panel to panel, of z, y and delta alike */
    int single;             /* one output, whose numbers lie side by side, not in panels */
    const real *z, *y;
    const int64_t *labels;  /* of each row, in place of y, or NULL */
    const real *scale;      /* of each row, or NULL */
    const struct matrix *factors; /* of each row's targets, */
    long targets;           /* so many; 0 for none */
    const int64_t *order;   /* row r here has those of order[first + r], or first + r */
    long first;
    real *delta, *row_loss; /* either may be NULL */
    int *fault;             /* where to report labels that are none */
    real *columns;          /* working space: COLUMN_SETS x output_columns(n_out) x LANES */
};

/* LANES rows of it in columns; z and y may be written over. */
struct columns {
    long n; /* outputs times LANES */
    real *z, *y, *delta;
};

#define LOSS_CONSTANT(LOSS, NAME) ((LOSS)->constants[LOSS_CONSTANT_##NAME])

/* Residuals: `total` plus the loss of r = a - y, and its derivative ------------------------------ */

/* 1/2 r^2 */
INLINE vec residual_squared_error(const struct loss *loss, vec r, vec total, vec *slope)
{
    (void)loss;
    *slope = r;
    return FMA(halve(r), r, total);
}

/* |r| */
INLINE vec residual_absolute_error(const struct loss *loss, vec r, vec total, vec *slope)
{
    (void)loss;
    *slope = sign_of(r);
    return total + absolute(r);
}

/* Huber, 1964: 1/2 r^2 up to d = delta, d (|r| - d / 2) beyond: with c = r clipped to -d … d,
   c (r - c / 2) */
INLINE vec residual_huber(const struct loss *loss, vec r, vec total, vec *slope)
{
    vec d = SPLAT((real)LOSS_CONSTANT(loss, delta)), c = minimum(d, maximum(-d, r));
    *slope = c;
    return FMA(c, r - halve(c), total);
}

/* Koenker and Bassett, 1978: (1 - q) r above the target, -q r below it, q = quantile */
INLINE vec residual_quantile(const struct loss *loss, vec r, vec total, vec *slope)
{
    vec zero = {0}, below = blend(r < zero, SPLAT((real)-LOSS_CONSTANT(loss, quantile)), r); /* r: 0 or NaN */
    *slope = blend(r > zero, SPLAT((real)(1 - LOSS_CONSTANT(loss, quantile))), below);
    return total + absolute(*slope * r);
}

/* log cosh r with cosh m - 1 = (exp(-m) - 1)^2 / 2 exp(-m); beyond m = 20 it grows as |r| does */
INLINE vec residual_log_cosh(const struct loss *loss, vec r, vec total, vec *slope)
{
    (void)loss;
    vec size = absolute(r), m = minimum(SPLAT((real)20), size), t = exp_minus_one(-m);
    *slope = vector_tanh(r);
    return total + log_one_plus(halve(t * t) / vector_exp(-m)) + (size - m);
}

/* delta = slope times the derivative of the output */
#define RESIDUAL_LOSS(NAME)                                                                        \
    static vec loss_##NAME(const struct output_layer *o, const struct columns *c)                  \
    {                                                                                              \
        vec total = {0}, along = {0};                                                              \
        if (o->output == ACTIVATION_softmax)                                                       \
            softmax_columns(c->z, o->n_out);                                                       \
        else                                                                                       \
            forward_run(o->output, c->z, c->n);                                                    \
        for (long i = 0; i < c->n; i += LANES) {                                                   \
            vec a = load(c->z + i), slope;                                                         \
            total = residual_##NAME(o->loss, a - load(c->y + i), total, &slope);               \
            along = FMA(slope, a, along);                                                          \
            store(c->delta + i, slope);                                                            \
        }                                                                                          \
        if (o->output == ACTIVATION_softmax) /* its Jacobian is diag(a) - a a^T */                 \
            for (long i = 0; i < c->n; i += LANES)                                                 \
                store(c->delta + i, load(c->z + i) * (load(c->delta + i) - along));                \
        else                                                                                       \
            backward_run(o->output, c->delta, c->z, c->n);                                         \
        return total;                                                                              \
    }
FASTMLP_RESIDUAL_LOSSES(RESIDUAL_LOSS)
#undef RESIDUAL_LOSS

/* The derivatives by the outputs are given: delta is the output's Jacobian times them, the loss 0. */
static vec loss_of_output(const struct output_layer *o, const struct columns *c)
{
    vec along = {0}, zero = {0};
    if (o->output == ACTIVATION_softmax)
        softmax_columns(c->z, o->n_out);
    else
        forward_run(o->output, c->z, c->n);
    for (long i = 0; i < c->n; i += LANES) {
        along = FMA(load(c->y + i), load(c->z + i), along);
        store(c->delta + i, load(c->y + i));
    }
    if (o->output == ACTIVATION_softmax) /* its Jacobian is diag(a) - a a^T */
        for (long i = 0; i < c->n; i += LANES)
            store(c->delta + i, load(c->z + i) * (load(c->delta + i) - along));
    else
        backward_run(o->output, c->delta, c->z, c->n);
    return zero;
}

/* Scores: the loss, and delta --------------------------------------------------------------------- */

/* Output exp, half the deviance as in scikit-learn: C = sum of a - y z + (y log y - y), with
   0 log 0 = 0;  delta = a - y */
static vec loss_poisson(const struct output_layer *o, const struct columns *c)
{
    (void)o;
    vec total = {0}, zero = {0};
    for (long i = 0; i < c->n; i += LANES) {
        vec z = load(c->z + i), y = load(c->y + i), residual = vector_exp(z) - y;
        total += FMA(y, blend(y == zero, zero, vector_log(y) - z), residual);
        store(c->delta + i, residual);
    }
    return total;
}

/* y <- (1 - s) y + s of: `of` of what is smoothed away goes to every output. */
INLINE void smooth_targets(const struct columns *c, double s, vec of)
{
    vec kept = SPLAT((real)(1 - s)), added = (real)s * of;
    for (long i = 0; i < c->n; i += LANES)
        store(c->y + i, FMA(kept, load(c->y + i), added));
}

/* Output sigmoid: C = sum of log(1 + exp z) - y z = max(z, 0) - y z + log(1 + exp -|z|);
   delta = a - y. label_smoothing draws the targets towards 1/2. */
static vec loss_binary_cross_entropy(const struct output_layer *o, const struct columns *c)
{
    vec total = {0}, zero = {0};
    if (LOSS_CONSTANT(o->loss, label_smoothing) != 0)
        smooth_targets(c, LOSS_CONSTANT(o->loss, label_smoothing), SPLAT((real)0.5));
    for (long i = 0; i < c->n; i += LANES) {
        vec z = load(c->z + i), y = load(c->y + i), e = exp_down(z);
        total += (maximum(zero, z) - y * z) + log_one_plus(e);
        store(c->delta + i, blend(z < zero, e, SPLAT((real)1)) / (e + (real)1) - y);
    }
    return total;
}

/* Output softmax: C = log(sum of exp z) sum(y) - sum of y z;  delta = a sum(y) - y. label_smoothing
   draws the targets towards their mean. Blocks of rows at once, `set` elements apart: the chain of
   exponentials, sums and a logarithm is so long that others have to fill the time. */
enum { SETS_AT_ONCE = 4 };
INLINE void cross_entropy_sets(const int sets, const struct loss *loss, long n_out, long set, real *z, real *y,
                               real *delta, vec *losses)
{
    const long n = n_out * LANES;
    vec mass[SETS_AT_ONCE], product[SETS_AT_ONCE], highest[SETS_AT_ONCE], total[SETS_AT_ONCE];
    UNROLL for (int r = 0; r < sets; r++) {
        mass[r] = product[r] = total[r] = (vec){0};
        highest[r] = load(z + r * set);
    }
    for (long i = 0; i < n; i += LANES)
        UNROLL for (int r = 0; r < sets; r++)
            mass[r] += load(y + r * set + i);
    if (LOSS_CONSTANT(loss, label_smoothing) != 0)
        UNROLL for (int r = 0; r < sets; r++) {
            const struct columns c = {.n = n, .y = y + r * set};
            smooth_targets(&c, LOSS_CONSTANT(loss, label_smoothing), mass[r] * (real)(1.0 / (double)n_out));
        }
    for (long i = 0; i < n; i += LANES)
        UNROLL for (int r = 0; r < sets; r++) {
            product[r] += load(y + r * set + i) * load(z + r * set + i);
            highest[r] = i ? maximum(highest[r], load(z + r * set + i)) : highest[r];
        }
    for (long i = 0; i < n; i += LANES)
        UNROLL for (int r = 0; r < sets; r++) {
            const vec e = vector_exp(load(z + r * set + i) - highest[r]);
            total[r] += e;
            store(z + r * set + i, e);
        }
    vec inverse[SETS_AT_ONCE];
    UNROLL for (int r = 0; r < sets; r++)
        inverse[r] = (real)1 / total[r];
    for (long i = 0; i < n; i += LANES)
        UNROLL for (int r = 0; r < sets; r++) {
            const vec a = load(z + r * set + i) * inverse[r];
            store(delta + r * set + i, a * mass[r] - load(y + r * set + i));
        }
    UNROLL for (int r = 0; r < sets; r++)
        losses[r] = (highest[r] + vector_log(total[r])) * mass[r] - product[r];
}
static vec loss_cross_entropy(const struct output_layer *o, const struct columns *c)
{
    vec loss;
    cross_entropy_sets(1, o->loss, o->n_out, 0, c->z, c->y, c->delta, &loss);
    return loss;
}
OUTLINE void cross_entropy_pair(const struct output_layer *o, long set, const struct columns *c, vec *losses)
{
    cross_entropy_sets(2, o->loss, o->n_out, set, c->z, c->y, c->delta, losses);
}

/* Targets t = -1 or 1; one-hot targets are 2 y - 1: one against the rest. C = sum of max(0, m) with
   the margin m = 1 - t z, or of its square;  delta = -t where m > 0, or -2 t m. */
INLINE vec margins(const struct output_layer *o, const struct columns *c, const int squared)
{
    const real factor = o->labels ? 2 : 1, shift = o->labels ? 1 : 0;
    vec total = {0}, zero = {0};
    for (long i = 0; i < c->n; i += LANES) {
        vec t = load(c->y + i) * factor - shift;
        vec m = maximum(zero, FMA(-t, load(c->z + i), SPLAT((real)1)));
        total = squared ? FMA(m, m, total) : total + m;
        vec slope = squared ? m + m : blend(m > zero, SPLAT((real)1), m); /* m: 0 or NaN */
        store(c->delta + i, -t * slope);
    }
    return total;
}
static vec loss_hinge(const struct output_layer *o, const struct columns *c)
{
    return margins(o, c, 0);
}
static vec loss_squared_hinge(const struct output_layer *o, const struct columns *c)
{
    return margins(o, c, 1);
}

/* Crammer and Singer, 2001: C = max(0, 1 + z_j - z_k), k being the first output of the highest
   target and j the first of the highest other score;  delta_j = 1 and delta_k = -1 where C > 0. */
static vec loss_multiclass_hinge(const struct output_layer *o, const struct columns *c)
{
    ivec wanted = {0}, rival = {0};
    vec highest = load(c->y), own = load(c->z), other = SPLAT((real)-INFINITY), nan = {0};
    for (long i = 1; i < o->n_out; i++) {
        vec y = load(c->y + i * LANES);
        ivec higher = y > highest, here = higher & (integer)i;
        highest = blend(higher, y, highest);
        own = blend(higher, load(c->z + i * LANES), own);
        wanted = here | (wanted & ~higher);
    }
    for (long i = 0; i < o->n_out; i++) {
        vec z = load(c->z + i * LANES);
        ivec is_wanted = wanted == (integer)i, higher = (z > other) & ~is_wanted;
        other = blend(higher, z, other);
        rival = (higher & (integer)i) | (rival & ~higher);
        nan = blend(z != z, z, nan);
    }
    vec zero = {0}, one = SPLAT((real)1), loss = maximum(zero, (other - own) + one);
    loss = blend(nan != nan, nan, loss);
    vec active = blend(loss > zero, one, loss); /* loss: 0 or NaN */
    for (long i = 0; i < o->n_out; i++) {
        vec sign = blend(wanted == (integer)i, -one, blend(rival == (integer)i, one, zero));
        store(c->delta + i * LANES, sign * active);
    }
    return loss;
}

/* The loss and errors of LANES rows in columns. */
INLINE vec loss_of_columns(const struct output_layer *o, const struct columns *c)
{
    switch (o->loss->code) {
#define CASE(NAME)                                                                                 \
    case LOSS_##NAME:                                                                              \
        return loss_##NAME(o, c);
        FASTMLP_LOSSES(CASE)
        CASE(of_output)
#undef CASE
    }
    return (vec){0};
}

#endif
