/* What Python calls things: codes of names, constants of update rules, and what becomes of these
   in one step. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "fastmlp.h"

static int code(const char *name, const char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}
#define NAME(X, ...) #X,
#define LOOKUP(FUNCTION, LIST, ...)                                                                \
    int FUNCTION(const char *name)                                                                 \
    {                                                                                              \
        static const char *const names[] = {LIST(NAME) __VA_ARGS__};                               \
        return code(name, names, sizeof names / sizeof *names);                                    \
    }
LOOKUP(fastmlp_activation_code, FASTMLP_ACTIVATIONS, "softmax")
LOOKUP(fastmlp_loss_code, FASTMLP_LOSSES)
LOOKUP(fastmlp_update_code, FASTMLP_UPDATES, "none")

LOOKUP(fastmlp_constant_code, FASTMLP_CONSTANTS)
LOOKUP(fastmlp_loss_constant_code, FASTMLP_LOSS_CONSTANTS)

/* State vectors of a rule. */
int fastmlp_states(int rule)
{
#define STATES(NAME, N) N,
    static const int states[] = {FASTMLP_UPDATES(STATES) 0};
    return states[rule];
}

/* Nadam's momentum of a step (Dozat, 2016). */
static double nadam_momentum(const struct update *u, double step)
{
    return CONSTANT(u, beta_1) * (1 - 0.5 * pow(0.96, step * CONSTANT(u, momentum_decay)));
}

static void nadam_at(struct update *u, double step, double rate)
{
    if (step != u->product_step + 1 || u->product_step == 0) {
        u->product = 1;
        for (double t = 1; t < step; t++)
            u->product *= nadam_momentum(u, t);
    }
    double here = nadam_momentum(u, step), next = nadam_momentum(u, step + 1);
    u->product_step = step;
    u->product *= here;
    u->rate = rate * (1 - here) / (1 - u->product);
    u->mean_rate = rate * next / (1 - u->product * next);
}

/* RAdam's rectification (Liu and others, 2020): how far the second moment can be trusted. */
static double radam_rectification(struct update *u, double step)
{
    double power = pow(CONSTANT(u, beta_2), step), limit = 2 / (1 - CONSTANT(u, beta_2)) - 1;
    double length = limit - 2 * step * power / (1 - power);
    u->rectified = length > 5;
    if (!u->rectified)
        return 1;
    return sqrt((1 - power) * (length - 4) * (length - 2) * limit /
                ((limit - 4) * (limit - 2) * length));
}

/* Fold the step, 1 for the first, and its learning rate into what the kernels of updates.h use.

   Means of Adam's kind start at zero and are too small by 1 - beta^t. That is made good in numbers:
   rate m' / (sqrt(v') + epsilon) with m' = m / (1 - beta_1^t) and v' = v / (1 - beta_2^t) equals
   rate r / (1 - beta_1^t) m / (sqrt v + epsilon r) with r = sqrt(1 - beta_2^t). */
void fastmlp_update_at(struct update *u, double step, double learning_rate)
{
    double root;
    u->rate = learning_rate;
    u->floor = CONSTANT(u, epsilon);
    u->decay = learning_rate * CONSTANT(u, weight_decay);
    switch (u->rule) {
    case UPDATE_adagrad:
        u->rate = learning_rate / (1 + (step - 1) * CONSTANT(u, lr_decay));
        break;
#define CASE(NAME) case UPDATE_##NAME:
    FASTMLP_ADAM_LIKE(CASE)
#undef CASE
        root = sqrt(1 - pow(CONSTANT(u, beta_2), step));
        u->rate = learning_rate * root / (1 - pow(CONSTANT(u, beta_1), step));
        u->floor = CONSTANT(u, epsilon_hat) != 0 ? CONSTANT(u, epsilon) : CONSTANT(u, epsilon) * root;
        break;
    case UPDATE_adamax:
        u->rate = learning_rate / (1 - pow(CONSTANT(u, beta_1), step));
        break;
    case UPDATE_nadam:
        root = sqrt(1 - pow(CONSTANT(u, beta_2), step));
        nadam_at(u, step, learning_rate * root);
        u->floor = CONSTANT(u, epsilon) * root;
        break;
    case UPDATE_radam:
        u->rate = learning_rate * radam_rectification(u, step) / (1 - pow(CONSTANT(u, beta_1), step));
        break;
    }
}
