/* Losses of a row and their derivatives by its scores. */
#include "native.h"
#include "oracle_formulas.h"

#include <stdlib.h>

#define NAME(X) #X,
static const char *const loss_names[] = {FASTMLP_LOSSES(NAME)};
const char *loss_name(int loss) { return loss_names[loss]; }

const struct loss_case loss_cases[] = {
    {LOSS_squared_error, ACTIVATION_identity, 0},
    {LOSS_cross_entropy, ACTIVATION_softmax, 0},
    {LOSS_squared_error, ACTIVATION_sigmoid, 0},
    {LOSS_binary_cross_entropy, ACTIVATION_sigmoid, 0},
    {LOSS_squared_error, ACTIVATION_softmax, 0},
    {LOSS_squared_error, ACTIVATION_exp, 0},
    {LOSS_absolute_error, ACTIVATION_identity, 0},
    {LOSS_absolute_error, ACTIVATION_softmax, 0},
    {LOSS_huber, ACTIVATION_identity, 0.6},
    {LOSS_huber, ACTIVATION_exp, 1},
    {LOSS_quantile, ACTIVATION_identity, 0.8},
    {LOSS_quantile, ACTIVATION_sigmoid, 0.3},
    {LOSS_log_cosh, ACTIVATION_identity, 0},
    {LOSS_log_cosh, ACTIVATION_softmax, 0},
    {LOSS_poisson, ACTIVATION_exp, 0},
    {LOSS_binary_cross_entropy, ACTIVATION_sigmoid, 0.2},
    {LOSS_cross_entropy, ACTIVATION_softmax, 0.1},
    {LOSS_hinge, ACTIVATION_identity, 0},
    {LOSS_squared_hinge, ACTIVATION_identity, 0},
    {LOSS_multiclass_hinge, ACTIVATION_identity, 0},
};
const long n_loss_cases = sizeof loss_cases / sizeof *loss_cases;

double draw_target(int loss)
{
    switch (loss) {
    case LOSS_hinge:
    case LOSS_squared_hinge:
        return whole(0, 1) ? 1 : -1;
    case LOSS_poisson:
        return (double)whole(0, 3);
    default:
        return uniform(0, 1);
    }
}

/* Crammer and Singer's: how much the highest other score comes too near to the wanted one. */
static double multiclass_hinge(long n, const double *z, const double *y, double *delta)
{
    long wanted = 0, rival = -1;
    for (long i = 1; i < n; i++)
        wanted = y[i] > y[wanted] ? i : wanted;
    for (long i = 0; i < n; i++)
        if (i != wanted && (rival < 0 || z[i] > z[rival]))
            rival = i;
    double loss = rival < 0 ? 0 : fmax(0, 1 + z[rival] - z[wanted]);
    for (long i = 0; i < n; i++)
        delta[i] = loss > 0 ? (i == rival) - (i == wanted) : 0;
    return loss;
}

/* A loss reads none but its own constants. */
struct loss loss_of(const struct loss_case *l)
{
    struct loss loss = {.code = l->loss};
    for (int i = 0; i < N_LOSS_CONSTANTS; i++)
        loss.constants[i] = l->constant;
    return loss;
}

/* What a target means for the loss; share: of the row's targets, spread evenly. */
static double target_of(const struct loss_case *l, int one_hot, double y, double share)
{
    switch (l->loss) {
    case LOSS_hinge:
    case LOSS_squared_hinge:
        return one_hot ? 2 * y - 1 : y;
    case LOSS_binary_cross_entropy:
        return (1 - l->constant) * y + l->constant / 2;
    case LOSS_cross_entropy:
        return (1 - l->constant) * y + l->constant * share;
    default:
        return y;
    }
}

/* A loss of residuals, and its derivative. */
static double of_residual(const struct loss_case *l, double r)
{
    const double c = l->constant;
    switch (l->loss) {
    case LOSS_absolute_error:
        return fabs(r);
    case LOSS_huber:
        return fabs(r) <= c ? 0.5 * r * r : c * (fabs(r) - c / 2);
    case LOSS_quantile:
        return c * fmax(-r, 0) + (1 - c) * fmax(r, 0);
    case LOSS_log_cosh:
        return fabs(r) < 20 ? log(cosh(r)) : fabs(r) - log(2);
    default:
        return 0.5 * r * r;
    }
}

static double slope_of(const struct loss_case *l, double r)
{
    const double c = l->constant;
    switch (l->loss) {
    case LOSS_absolute_error:
        return sign(r);
    case LOSS_huber:
        return fmin(c, fmax(-c, r));
    case LOSS_quantile:
        return (r > 0) * (1 - c) - (r < 0) * c;
    case LOSS_log_cosh:
        return tanh(r);
    default:
        return r;
    }
}

double oracle_loss(const struct loss_case *l, int one_hot, long n, const double *z,
                   const double *target, double *delta)
{
    double value = 0, mass = 0, along = 0, sum = 0, shift = highest(n, z);
    double *a = malloc(3 * (size_t)n * sizeof *a), *slope = a + n, *y = slope + n;
    oracle_output(l->output, n, z, a);
    for (long i = 0; i < n; i++)
        mass += target[i];
    for (long i = 0; i < n; i++) {
        y[i] = target_of(l, one_hot, target[i], mass / (double)n);
        slope[i] = slope_of(l, a[i] - y[i]);
        along += slope[i] * a[i];
        sum += exp(z[i] - shift);
    }
    if (l->loss == LOSS_multiclass_hinge)
        value = multiclass_hinge(n, z, y, delta);
    for (long i = 0; i < n && l->loss != LOSS_multiclass_hinge; i++) {
        const double r = a[i] - y[i], margin = fmax(0, 1 - y[i] * z[i]);
        delta[i] = l->output == ACTIVATION_softmax ? a[i] * (slope[i] - along)
                                                   : slope[i] * oracle_derivative(l->output, a[i]);
        switch (l->loss) {
        case LOSS_poisson:
            value += a[i] - y[i] * z[i] + (y[i] > 0 ? y[i] * log(y[i]) - y[i] : 0);
            delta[i] = r;
            break;
        case LOSS_binary_cross_entropy:
            value += softplus(z[i]) - y[i] * z[i];
            delta[i] = r;
            break;
        case LOSS_cross_entropy:
            value += y[i] * (shift + log(sum) - z[i]);
            delta[i] = a[i] * mass - y[i];
            break;
        case LOSS_hinge:
            value += margin;
            delta[i] = margin > 0 ? -y[i] : 0;
            break;
        case LOSS_squared_hinge:
            value += margin * margin;
            delta[i] = -2 * y[i] * margin;
            break;
        default:
            value += of_residual(l, r);
        }
    }
    free(a);
    return value;
}
