/* Activations, losses, update rules and their constants: each is named here once. Python looks codes
   up by name (engine/names.c) and refuses a name that is not here; the formulas are in formulas/. */
#ifndef FASTMLP_NAMES_H
#define FASTMLP_NAMES_H

#include <stdint.h>

/* Activations whose derivative follows from their value, and those that need the pre-activation. */
#define FASTMLP_FROM_OUTPUT(X)                                                                     \
    X(identity) X(sigmoid) X(tanh) X(hardtanh) X(relu) X(leaky_relu) X(elu) X(selu) X(softplus)    \
    X(softsign) X(exp)
#define FASTMLP_FROM_PREACTIVATIONS(X) X(silu) X(gelu) X(gelu_tanh) X(mish)
#define FASTMLP_ACTIVATIONS(X) FASTMLP_FROM_OUTPUT(X) FASTMLP_FROM_PREACTIVATIONS(X)
/* Losses that are a sum of functions of a - y, and those with a form of their own. */
#define FASTMLP_RESIDUAL_LOSSES(X) X(squared_error) X(absolute_error) X(huber) X(quantile)    \
    X(log_cosh)
#define FASTMLP_SCORE_LOSSES(X)                                                                    \
    X(poisson) X(binary_cross_entropy) X(cross_entropy) X(hinge) X(squared_hinge)                  \
    X(multiclass_hinge)
#define FASTMLP_LOSSES(X) FASTMLP_RESIDUAL_LOSSES(X) FASTMLP_SCORE_LOSSES(X)
/* Constants of losses, by the names that Python has for them. */
#define FASTMLP_LOSS_CONSTANTS(X) X(delta) X(quantile) X(label_smoothing)
/* Update rules, each with the number of its state vectors. */
#define FASTMLP_UPDATES(X)                                                                         \
    X(sgd, 0) X(momentum, 1) X(adagrad, 1) X(adadelta, 2) X(rmsprop, 3) X(adam, 2) X(amsgrad, 3)   \
    X(yogi, 2)                                                                                     \
    X(adamax, 2) X(nadam, 2) X(radam, 2) X(ftrl, 2) X(lion, 1) X(rprop, 2)
/* Rules whose two means start at zero and are corrected as Adam's are. */
#define FASTMLP_ADAM_LIKE(X) X(adam) X(amsgrad) X(yogi)

#define FASTMLP_CODE(NAME) ACTIVATION_##NAME,
enum activation { FASTMLP_ACTIVATIONS(FASTMLP_CODE) ACTIVATION_softmax, ACTIVATION_custom };
#undef FASTMLP_CODE
#define FASTMLP_CODE(NAME) LOSS_##NAME,
/* LOSS_of_output is none: the targets are derivatives of somebody's loss by the outputs. */
enum loss_code { FASTMLP_LOSSES(FASTMLP_CODE) LOSS_custom, LOSS_of_output };
#undef FASTMLP_CODE
#define FASTMLP_CODE(NAME) LOSS_CONSTANT_##NAME,
enum loss_constant { FASTMLP_LOSS_CONSTANTS(FASTMLP_CODE) N_LOSS_CONSTANTS };
#undef FASTMLP_CODE
#define FASTMLP_CODE(NAME, STATES) UPDATE_##NAME,
enum update_rule { FASTMLP_UPDATES(FASTMLP_CODE) UPDATE_none };
#undef FASTMLP_CODE

/* Constants of update rules, by the names that Python has for them; switches are 0 or 1. */
#define FASTMLP_CONSTANTS(X)                                                                       \
    X(weight_decay) X(momentum) X(nesterov) X(beta_1) X(beta_2) X(epsilon) X(epsilon_hat) X(rho)   \
    X(alpha) X(centered) X(lr_decay) X(initial_accumulator) X(momentum_decay)                      \
    X(learning_rate_power) X(l1) X(l2) X(l2_shrinkage) X(beta) X(eta_minus) X(eta_plus)            \
    X(step_min) X(step_max)
#define FASTMLP_CODE(NAME) CONSTANT_##NAME,
enum constant { FASTMLP_CONSTANTS(FASTMLP_CODE) N_CONSTANTS };
#undef FASTMLP_CODE

/* A rule and its constants; what follows them is of one step and set by fastmlp_update_at, so that
   no kernel raises anything to the power of the step. */
enum { MAX_STATES = 3 };
struct update {
    int rule;
    double constants[N_CONSTANTS];
    double rate, mean_rate; /* of the gradient where Nadam's has two, and of its mean */
    double floor;           /* epsilon, corrected like the rate */
    double decay;           /* part of every parameter that is taken away first */
    int rectified;          /* RAdam's second moment is taken into account */
    double product_step, product; /* Nadam's momentums up to that step, multiplied */
};
#define CONSTANT(UPDATE, NAME) ((UPDATE)->constants[CONSTANT_##NAME])

/* Functions of users, on contiguous blocks of the precision at hand: a = f(z) and slope = f'(z)
   of n elements; losses of rows and their derivatives by the scores. */
typedef void fastmlp_activation(const void *z, void *a, void *slope, int64_t n);
typedef void fastmlp_loss(const void *z, const void *y, void *row_loss, void *delta, int64_t rows,
                          int64_t n_out);

/* A loss with its constants, those that it has; or a function of users. */
struct loss {
    int code;
    double constants[N_LOSS_CONSTANTS];
    fastmlp_loss *custom; /* of LOSS_custom */
    long target_outputs;  /* outputs that it sees at once, as a row; 0 for all */
};

#endif
