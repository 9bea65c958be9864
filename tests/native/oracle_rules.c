/* One step of each update rule. */
#include "native.h"
#include "oracle_formulas.h"

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

/* Those that divide a mean of gradients by one of their squares, or of their sizes. */
static void adam_like(const struct update *u, double step, double rate, double *p, double g, double *s)
{
    const double epsilon = CONSTANT(u, epsilon);
    const double correct_1 = 1 - pow(CONSTANT(u, beta_1), step), correct_2 = 1 - pow(CONSTANT(u, beta_2), step);
    double d = 0, product = 1, next, before, after;
    switch (u->rule) {
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
    }
}

void oracle_update(const struct update *u, double step, double rate, double *p, double g, double *s)
{
    const double epsilon = CONSTANT(u, epsilon);
    double d = 0, before, after;
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
    default:
        adam_like(u, step, rate, p, g, s);
    }
}
