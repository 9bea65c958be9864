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

static double sigmoid(double z) { return 1 / (1 + exp(-z)); }
static double normal(double z) { return (double)(0.5 * erfcl(-z / sqrtl(2))); }
static double softplus(double z) { return fmax(z, 0) + log1p(exp(-fabs(z))); }
static const double PI = 3.14159265358979323846, LEAK = 0.01;
static const double SELU_SCALE = 1.0507009873554804934, SELU_ALPHA = 1.6732632423543772848;

int hidden_activation(long number)
{
    const int activation = (int)(number % (ACTIVATION_softmax - 1));
    return activation < ACTIVATION_exp ? activation : activation + 1;
}

double oracle_activate(int activation, double z)
{
    switch (activation) {
    case ACTIVATION_sigmoid:
        return sigmoid(z);
    case ACTIVATION_tanh:
        return tanh(z);
    case ACTIVATION_hardtanh:
        return z < -1 ? -1 : z > 1 ? 1 : z;
    case ACTIVATION_relu:
        return z < 0 ? 0 : z;
    case ACTIVATION_leaky_relu:
        return z < 0 ? LEAK * z : z;
    case ACTIVATION_elu:
        return z < 0 ? expm1(z) : z;
    case ACTIVATION_selu:
        return SELU_SCALE * (z < 0 ? SELU_ALPHA * expm1(z) : z);
    case ACTIVATION_softplus:
        return softplus(z);
    case ACTIVATION_softsign:
        return isinf(z) ? copysign(1, z) : z / (1 + fabs(z));
    case ACTIVATION_exp:
        return exp(z);
    case ACTIVATION_silu:
        return fmax(z, -1e4) * sigmoid(z);
    case ACTIVATION_gelu:
        return fmax(z, -1e4) * normal(z);
    case ACTIVATION_gelu_tanh:
        z = fmax(z, -1e4);
        return z * sigmoid(2 * sqrt(2 / PI) * (z + 0.044715 * z * z * z));
    case ACTIVATION_mish:
        return fmax(z, -1e4) * tanh(softplus(z));
    default:
        return z;
    }
}

double oracle_kept(int activation, double z)
{
    return activation >= ACTIVATION_silu && activation <= ACTIVATION_mish
               ? z
               : oracle_activate(activation, z);
}

double oracle_derivative(int activation, double a)
{
    const double z = a, s = sigmoid(z); /* where it is the score that was kept */
    double t;
    switch (activation) {
    case ACTIVATION_sigmoid:
        return a * (1 - a);
    case ACTIVATION_tanh:
        return 1 - a * a;
    case ACTIVATION_hardtanh:
        return fabs(a) < 1;
    case ACTIVATION_relu:
        return a > 0;
    case ACTIVATION_leaky_relu:
        return a > 0 ? 1 : LEAK;
    case ACTIVATION_elu:
        return a > 0 ? 1 : a + 1;
    case ACTIVATION_selu:
        return a > 0 ? SELU_SCALE : a + SELU_SCALE * SELU_ALPHA;
    case ACTIVATION_softplus:
        return -expm1(-a);
    case ACTIVATION_softsign:
        return (1 - fabs(a)) * (1 - fabs(a));
    case ACTIVATION_exp:
        return a;
    case ACTIVATION_silu:
        return s + z * s * (1 - s);
    case ACTIVATION_gelu:
        return normal(z) + z * exp(-0.5 * z * z) / sqrt(2 * PI);
    case ACTIVATION_gelu_tanh:
        t = tanh(sqrt(2 / PI) * (z + 0.044715 * z * z * z));
        return 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * sqrt(2 / PI) * (1 + 3 * 0.044715 * z * z);
    case ACTIVATION_mish:
        t = tanh(softplus(z));
        return t + z * (1 - t * t) * s;
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

static double sign(double x) { return (double)((x > 0) - (x < 0)); }

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

double oracle_loss(const struct loss_case *l, int one_hot, long n, const double *z,
                   const double *target, double *delta)
{
    double value = 0, mass = 0, along = 0, sum = 0, shift = highest(n, z), c = l->constant;
    double *a = malloc(3 * (size_t)n * sizeof *a), *slope = a + n, *y = slope + n;
    oracle_output(l->output, n, z, a);
    for (long i = 0; i < n; i++)
        mass += target[i];
    for (long i = 0; i < n; i++) {
        y[i] = target[i];
        if (one_hot && (l->loss == LOSS_hinge || l->loss == LOSS_squared_hinge))
            y[i] = 2 * y[i] - 1;
        if (l->loss == LOSS_binary_cross_entropy)
            y[i] = (1 - c) * y[i] + c / 2;
        if (l->loss == LOSS_cross_entropy)
            y[i] = (1 - c) * y[i] + c * mass / (double)n;
        double r = a[i] - y[i];
        slope[i] = l->loss == LOSS_absolute_error ? sign(r)
                   : l->loss == LOSS_huber        ? fmin(c, fmax(-c, r))
                   : l->loss == LOSS_quantile     ? (r > 0) * (1 - c) - (r < 0) * c
                   : l->loss == LOSS_log_cosh     ? tanh(r)
                                                  : r;
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
        case LOSS_squared_error:
            value += 0.5 * r * r;
            break;
        case LOSS_absolute_error:
            value += fabs(r);
            break;
        case LOSS_huber:
            value += fabs(r) <= c ? 0.5 * r * r : c * (fabs(r) - c / 2);
            break;
        case LOSS_quantile:
            value += c * fmax(-r, 0) + (1 - c) * fmax(r, 0);
            break;
        case LOSS_log_cosh:
            value += fabs(r) < 20 ? log(cosh(r)) : fabs(r) - log(2);
            break;
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
        }
    }
    free(a);
    return value;
}

#define ADAM SET(beta_1) = 0.9, SET(beta_2) = 0.99, SET(epsilon) = 0.01
const struct rule_case rule_cases[] = {
    {"sgd", {.rule = UPDATE_sgd}},
    {"momentum", {.rule = UPDATE_momentum, SET(momentum) = 0.9}},
    {"Nesterov", {.rule = UPDATE_momentum, SET(momentum) = 0.9, SET(nesterov) = 1}},
    {"adam", {.rule = UPDATE_adam, ADAM}},
    {"sgd with decay", {.rule = UPDATE_sgd, SET(weight_decay) = 0.1}},
    {"adagrad", {.rule = UPDATE_adagrad, SET(epsilon) = 0.01, SET(lr_decay) = 0.1}},
    {"adadelta", {.rule = UPDATE_adadelta, SET(rho) = 0.9, SET(epsilon) = 0.01}},
    {"rmsprop", {.rule = UPDATE_rmsprop, SET(alpha) = 0.9, SET(epsilon) = 0.01}},
    {"centred rmsprop", {.rule = UPDATE_rmsprop, SET(alpha) = 0.9, SET(epsilon) = 0.1, SET(centered) = 1}},
    {"rmsprop with momentum",
     {.rule = UPDATE_rmsprop, SET(alpha) = 0.9, SET(epsilon) = 0.01, SET(momentum) = 0.8}},
    {"centred rmsprop with momentum",
     {.rule = UPDATE_rmsprop, SET(alpha) = 0.9, SET(epsilon) = 0.1, SET(centered) = 1, SET(momentum) = 0.8}},
    {"adam with epsilon hat", {.rule = UPDATE_adam, ADAM, SET(epsilon_hat) = 1}},
    {"adamw", {.rule = UPDATE_adam, ADAM, SET(weight_decay) = 0.1}},
    {"amsgrad", {.rule = UPDATE_amsgrad, ADAM}},
    {"yogi", {.rule = UPDATE_yogi, ADAM, SET(initial_accumulator) = 0.01}},
    {"adamax", {.rule = UPDATE_adamax, ADAM}},
    {"nadam", {.rule = UPDATE_nadam, ADAM, SET(momentum_decay) = 0.004}},
    {"radam", {.rule = UPDATE_radam, ADAM}},
    {"radam with a short memory",
     {.rule = UPDATE_radam, SET(beta_1) = 0.9, SET(beta_2) = 0.6, SET(epsilon) = 0.01}},
    {"ftrl", {.rule = UPDATE_ftrl, SET(learning_rate_power) = -0.5}},
    {"ftrl with penalties",
     {.rule = UPDATE_ftrl, SET(learning_rate_power) = -0.4, SET(l1) = 0.05, SET(l2) = 0.1, SET(l2_shrinkage) = 0.1,
      SET(beta) = 0.2, SET(weight_decay) = 0.01}},
    {"ftrl of power 0", {.rule = UPDATE_ftrl, SET(learning_rate_power) = 0, SET(l2) = 0.1}},
    /* These two look at signs, which rounding may decide: only steps of given gradients have them. */
    {"lion", {.rule = UPDATE_lion, SET(beta_1) = 0.9, SET(beta_2) = 0.99}},
    {"rprop",
     {.rule = UPDATE_rprop, SET(eta_minus) = 0.5, SET(eta_plus) = 1.2, SET(step_min) = 0.01, SET(step_max) = 0.5}},
};
const long n_rule_cases = sizeof rule_cases / sizeof *rule_cases, n_sign_cases = 2;

static double mean(double weight, double *old, double new)
{
    return *old = weight * *old + (1 - weight) * new;
}

void oracle_update(const struct update *u, double step, double rate, double *p, double g, double *s)
{
    const double epsilon = CONSTANT(u, epsilon);
    const double correct_1 = 1 - pow(CONSTANT(u, beta_1), step), correct_2 = 1 - pow(CONSTANT(u, beta_2), step);
    double d = 0, product = 1, next, before, after;
    *p *= 1 - rate * CONSTANT(u, weight_decay);
    switch (u->rule) {
    case UPDATE_sgd:
        *p -= rate * g;
        break;
    case UPDATE_momentum:
        s[0] = CONSTANT(u, momentum) * s[0] - rate * g;
        *p += CONSTANT(u, nesterov) != 0 ? CONSTANT(u, momentum) * s[0] - rate * g : s[0];
        break;
    case UPDATE_adagrad:
        s[0] += g * g;
        *p -= rate / (1 + (step - 1) * CONSTANT(u, lr_decay)) * g / (sqrt(s[0]) + epsilon);
        break;
    case UPDATE_adadelta:
        d = g / sqrt(mean(CONSTANT(u, rho), &s[0], g * g) + epsilon) * sqrt(s[1] + epsilon);
        mean(CONSTANT(u, rho), &s[1], d * d);
        *p -= rate * d;
        break;
    case UPDATE_rmsprop:
        d = mean(CONSTANT(u, alpha), &s[0], g * g);
        if (CONSTANT(u, centered) != 0) {
            mean(CONSTANT(u, alpha), &s[1], g);
            d = fmax(0, d - s[1] * s[1]);
        }
        d = g / (sqrt(d) + epsilon);
        if (CONSTANT(u, momentum) != 0)
            d = s[2] = CONSTANT(u, momentum) * s[2] + d;
        *p -= rate * d;
        break;
    case UPDATE_adam:
    case UPDATE_amsgrad:
        mean(CONSTANT(u, beta_1), &s[0], g);
        d = mean(CONSTANT(u, beta_2), &s[1], g * g);
        if (u->rule == UPDATE_amsgrad)
            d = s[2] = fmax(s[2], d);
        *p -= CONSTANT(u, epsilon_hat) != 0
                  ? rate * sqrt(correct_2) / correct_1 * s[0] / (sqrt(d) + epsilon)
                  : rate * s[0] / correct_1 / (sqrt(d / correct_2) + epsilon);
        break;
    case UPDATE_yogi:
        mean(CONSTANT(u, beta_1), &s[0], g);
        s[1] -= (1 - CONSTANT(u, beta_2)) * sign(s[1] - g * g) * g * g;
        *p -= rate * s[0] / correct_1 / (sqrt(s[1] / correct_2) + epsilon);
        break;
    case UPDATE_adamax:
        mean(CONSTANT(u, beta_1), &s[0], g);
        s[1] = fmax(CONSTANT(u, beta_2) * s[1], fabs(g) + epsilon);
        *p -= rate / correct_1 * s[0] / s[1];
        break;
    case UPDATE_nadam:
        mean(CONSTANT(u, beta_1), &s[0], g);
        mean(CONSTANT(u, beta_2), &s[1], g * g);
        for (double t = 1; t <= step; t++)
            product *= d = CONSTANT(u, beta_1) * (1 - 0.5 * pow(0.96, t * CONSTANT(u, momentum_decay)));
        next = CONSTANT(u, beta_1) * (1 - 0.5 * pow(0.96, (step + 1) * CONSTANT(u, momentum_decay)));
        *p -= rate * ((1 - d) / (1 - product) * g + next / (1 - product * next) * s[0]) /
              (sqrt(s[1] / correct_2) + epsilon);
        break;
    case UPDATE_radam:
        mean(CONSTANT(u, beta_1), &s[0], g);
        mean(CONSTANT(u, beta_2), &s[1], g * g);
        before = 2 / (1 - CONSTANT(u, beta_2)) - 1;
        after = before - 2 * step * (1 - correct_2) / correct_2;
        d = after > 5 ? sqrt((after - 4) * (after - 2) * before * correct_2 /
                             ((before - 4) * (before - 2) * after)) / (sqrt(s[1]) + epsilon)
                      : 1;
        *p -= rate * s[0] / correct_1 * d;
        break;
    case UPDATE_ftrl:
        before = pow(s[0], -CONSTANT(u, learning_rate_power));
        s[0] += g * g;
        after = pow(s[0], -CONSTANT(u, learning_rate_power));
        s[1] += g + 2 * CONSTANT(u, l2_shrinkage) * *p - (after - before) / rate * *p;
        d = fmin(CONSTANT(u, l1), fmax(-CONSTANT(u, l1), s[1])) - s[1];
        *p = d == 0 ? 0 : d / ((after + CONSTANT(u, beta)) / rate + 2 * CONSTANT(u, l2));
        break;
    case UPDATE_lion:
        *p -= rate * sign(CONSTANT(u, beta_1) * s[0] + (1 - CONSTANT(u, beta_1)) * g);
        mean(CONSTANT(u, beta_2), &s[0], g);
        break;
    case UPDATE_rprop:
        d = sign(g) * sign(s[0]);
        s[1] = (s[1] == 0 ? rate : s[1]) * (d > 0 ? CONSTANT(u, eta_plus) : d < 0 ? CONSTANT(u, eta_minus) : 1);
        s[1] = fmin(CONSTANT(u, step_max), fmax(CONSTANT(u, step_min), s[1]));
        s[0] = d < 0 ? 0 : g;
        *p -= s[1] * sign(s[0]);
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
