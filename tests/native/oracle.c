/* The equations of backpropagation as plain loops in double precision: what the kernels must give. */
#include "native.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAME(X) #X,
static const char *const activation_names[] = {FASTMLP_ACTIVATIONS(NAME) "softmax"};
static const char *const loss_names[] = {FASTMLP_LOSSES(NAME)};
const char *activation_name(int activation) { return activation_names[activation]; }
const char *loss_name(int loss) { return loss_names[loss]; }

double oracle_activate(int activation, double z)
{
    switch (activation) {
    case ACTIVATION_sigmoid:
        return 1 / (1 + exp(-z));
    case ACTIVATION_tanh:
        return tanh(z);
    case ACTIVATION_hardtanh:
        return z < -1 ? -1 : z > 1 ? 1 : z;
    case ACTIVATION_relu:
        return z < 0 ? 0 : z;
    default:
        return z;
    }
}

double oracle_derivative(int activation, double a)
{
    switch (activation) {
    case ACTIVATION_sigmoid:
        return a * (1 - a);
    case ACTIVATION_tanh:
        return 1 - a * a;
    case ACTIVATION_hardtanh:
        return fabs(a) < 1;
    case ACTIVATION_relu:
        return a > 0;
    default:
        return 1;
    }
}

static double highest(long n, const double *z)
{
    double most = z[0];
    for (long i = 1; i < n; i++)
        most = z[i] > most ? z[i] : most;
    return most;
}

void oracle_output(int output, long n, const double *z, double *a)
{
    double total = 0, shift = output == ACTIVATION_softmax ? highest(n, z) : 0;
    for (long i = 0; i < n; i++)
        total += a[i] = output == ACTIVATION_softmax ? exp(z[i] - shift) : oracle_activate(output, z[i]);
    if (output == ACTIVATION_softmax)
        for (long i = 0; i < n; i++)
            a[i] /= total;
}

double oracle_loss(int loss, int output, long n, const double *z, const double *y, double *delta)
{
    double value = 0, mass = 0, along = 0, sum = 0, shift = highest(n, z);
    double *a = malloc((size_t)n * sizeof *a);
    oracle_output(output, n, z, a);
    for (long i = 0; i < n; i++) {
        mass += y[i];
        along += (a[i] - y[i]) * a[i];
        sum += exp(z[i] - shift);
    }
    for (long i = 0; i < n; i++) {
        double residual = a[i] - y[i];
        switch (loss) {
        case LOSS_squared_error:
            value += 0.5 * residual * residual;
            delta[i] = output == ACTIVATION_softmax ? a[i] * (residual - along)
                                                    : residual * oracle_derivative(output, a[i]);
            break;
        case LOSS_binary_cross_entropy:
            value += fmax(z[i], 0) + log1p(exp(-fabs(z[i]))) - y[i] * z[i];
            delta[i] = residual;
            break;
        default:
            value += y[i] * (shift + log(sum) - z[i]);
            delta[i] = a[i] * mass - y[i];
        }
    }
    free(a);
    return value;
}

void oracle_update(const struct update *u, double *p, double g, double *s0, double *s1)
{
    switch (u->rule) {
    case UPDATE_sgd:
        *p -= u->rate * g;
        break;
    case UPDATE_momentum:
        *s0 = u->momentum * *s0 - u->rate * g;
        *p += u->nesterov ? u->momentum * *s0 - u->rate * g : *s0;
        break;
    case UPDATE_adam:
        *s0 = u->beta_1 * *s0 + (1 - u->beta_1) * g;
        *s1 = u->beta_2 * *s1 + (1 - u->beta_2) * g * g;
        *p -= u->rate * *s0 / (sqrt(*s1) + u->epsilon);
        break;
    }
}

/* Networks -------------------------------------------------------------------------------------- */

static long weights_of(const struct network *net)
{
    long n = 0;
    for (int l = 0; l < net->n_layers; l++)
        n += net->sizes[l] * net->sizes[l + 1];
    return n;
}

long network_parameters(const struct network *net)
{
    long n = weights_of(net);
    for (int l = 0; l < net->n_layers; l++)
        n += net->sizes[l + 1];
    return n;
}

long network_width(const struct network *net)
{
    long n = 0;
    for (int l = 0; l <= net->n_layers; l++)
        n += net->sizes[l];
    return n;
}

double oracle_forward(const struct network *net, const double *parameters, double *values)
{
    const double *w = parameters, *bias = parameters + weights_of(net);
    double nearest = INFINITY, *a = values;
    for (int l = 0; l < net->n_layers; l++) {
        const long n_in = net->sizes[l], n_out = net->sizes[l + 1];
        const int hidden = l < net->n_layers - 1;
        double *z = a + n_in;
        for (long j = 0; j < n_out; j++) {
            z[j] = bias[j];
            for (long k = 0; k < n_in; k++)
                z[j] += a[k] * w[k * n_out + j];
            if (hidden && net->activations[l] == ACTIVATION_relu)
                nearest = fmin(nearest, fabs(z[j]));
            if (hidden && net->activations[l] == ACTIVATION_hardtanh)
                nearest = fmin(nearest, fabs(fabs(z[j]) - 1));
            if (hidden)
                z[j] = oracle_activate(net->activations[l], z[j]);
        }
        a = z;
        w += n_in * n_out;
        bias += n_out;
    }
    return nearest;
}

/* Adds scale times one row's gradient, from the values of the row and the errors of its scores. */
static void backward(const struct network *net, const double *parameters, const double *values,
                     const double *output_delta, double scale, double *gradient)
{
    const long width = network_width(net), top = net->sizes[net->n_layers];
    long weights = weights_of(net), bias = network_parameters(net), at = width - top;
    double *delta = malloc((size_t)width * sizeof *delta), *below = malloc((size_t)width * sizeof *below);
    memcpy(delta, output_delta, (size_t)top * sizeof *delta);
    for (int l = net->n_layers - 1; l >= 0; l--) {
        const long n_in = net->sizes[l], n_out = net->sizes[l + 1];
        at -= n_in;
        weights -= n_in * n_out;
        bias -= n_out;
        for (long j = 0; j < n_out; j++)
            gradient[bias + j] += scale * delta[j];
        for (long k = 0; k < n_in; k++) {
            double error = 0;
            for (long j = 0; j < n_out; j++) {
                gradient[weights + k * n_out + j] += scale * values[at + k] * delta[j];
                error += delta[j] * parameters[weights + k * n_out + j];
            }
            if (l > 0)
                below[k] = error * oracle_derivative(net->activations[l - 1], values[at + k]);
        }
        double *swap = delta;
        delta = below;
        below = swap;
    }
    free(delta);
    free(below);
}

double oracle_gradient(const struct network *net, const double *parameters,
                       const struct batch *b, double l2, int l2_over_batch, double *gradient)
{
    const long width = network_width(net), n_out = net->sizes[net->n_layers];
    double *values = malloc((size_t)(width + 2 * n_out) * sizeof *values);
    double *y = values + width, *delta = y + n_out, total = 0, loss = 0, squares = 0;
    memset(gradient, 0, (size_t)network_parameters(net) * sizeof *gradient);
    for (long r = b->first; r < b->first + b->n; r++)
        total += b->weight ? array_get(b->weight, b->order ? b->order[r] : r, 0) : 1;
    const double scale = total > 0 ? 1 / total : 0;
    for (long r = b->first; r < b->first + b->n; r++) {
        const long at = b->order ? b->order[r] : r;
        const double weight = b->weight ? array_get(b->weight, at, 0) : 1;
        for (long c = 0; c < net->sizes[0]; c++)
            values[c] = array_get(b->x, at, c);
        for (long c = 0; c < n_out; c++)
            y[c] = b->labels ? b->labels[at] == c : array_get(b->target, at, c);
        oracle_forward(net, parameters, values);
        loss += scale * weight *
                oracle_loss(net->loss, net->output, n_out, values + width - n_out, y, delta);
        backward(net, parameters, values, delta, scale * weight, gradient);
    }
    l2 *= l2_over_batch ? scale : 1;
    for (long i = 0; i < weights_of(net); i++) {
        squares += parameters[i] * parameters[i];
        gradient[i] += l2 * parameters[i];
    }
    free(values);
    return loss + 0.5 * l2 * squares;
}
