/* The equations of backpropagation as plain loops in double precision: what the kernels must give. */
#include "native.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

double oracle_forward(const struct network *net, const double *parameters, double *values,
                      double *kept)
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
            if (!hidden)
                continue;
            if (net->activations[l] == ACTIVATION_relu ||
                net->activations[l] == ACTIVATION_leaky_relu ||
                net->activations[l] == ACTIVATION_selu)
                nearest = fmin(nearest, fabs(z[j]));
            if (net->activations[l] == ACTIVATION_hardtanh)
                nearest = fmin(nearest, fabs(fabs(z[j]) - 1));
            if (kept)
                kept[z + j - values] = oracle_kept(net->activations[l], z[j]);
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
                     const double *kept, const double *output_delta, double scale, double *gradient)
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
                below[k] = error * oracle_derivative(net->activations[l - 1], kept[at + k]);
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
    double *values = malloc((size_t)(2 * width + 2 * n_out) * sizeof *values);
    double *kept = values + width, *y = kept + width, *delta = y + n_out, total = 0, loss = 0, squares = 0;
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
        oracle_forward(net, parameters, values, kept);
        loss += scale * weight *
                oracle_loss(&net->end, b->labels != NULL, n_out, values + width - n_out, y, delta);
        backward(net, parameters, values, kept, delta, scale * weight, gradient);
    }
    l2 *= l2_over_batch ? scale : 1;
    for (long i = 0; i < weights_of(net); i++) {
        squares += parameters[i] * parameters[i];
        gradient[i] += l2 * parameters[i];
    }
    free(values);
    return loss + 0.5 * l2 * squares;
}
