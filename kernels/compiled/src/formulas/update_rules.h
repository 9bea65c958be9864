/* Update rules, over runs of parameters: p, its gradient g, and up to three states s.

   step_NAME changes one vector of parameters and of each state; `turn` says how it takes roots, `rate`
   is the rate of each (which differs between networks in lanes), and names.c has folded what depends on
   the step alone into `struct update`. A new rule needs its step
   here, its name and number of states in FASTMLP_UPDATES, the names of new constants in
   FASTMLP_CONSTANTS (names.h), and a case in names.c where its constants change with the step.

   Padding has no gradient, and zeros or the initial value in its state: parameters there must stay
   0, which is why nothing is divided by less than `floor_of`. */
#ifndef FASTMLP_UPDATES_H
#define FASTMLP_UPDATES_H

#include "fastmlp.h"
#include "vector/vmath.h"

INLINE vec at_least_tiny(double x)
{
    return SPLAT((real)x > (real)SMALLEST_NORMAL ? (real)x : (real)SMALLEST_NORMAL);
}
INLINE vec floor_of(const struct update *u) { return at_least_tiny(u->floor); }

/* The divider, which also takes roots, and the multipliers work at the same time: the vectors of a
   run take turns. */
INLINE vec root(const int turn, vec x) { return turn ? sqrt_by_products(x) : SQRT(x); }

/* beta old + (1 - beta) new */
INLINE vec decaying_mean(double beta, vec old, vec new)
{
    return FMA(SPLAT((real)(1 - beta)), new - old, old);
}

/* The mean of g g, and infinity from where a square has overflowed on, where inf - inf would make it NaN.
   Steps divided by its root are 0 then, as scikit-learn's and torch's. */
INLINE vec mean_square(double beta, vec old, vec g)
{
    return blend(old == SPLAT((real)INFINITY), old, decaying_mean(beta, old, g * g));
}

/* p <- p - rate g */
INLINE void step_sgd(const struct update *u, const int turn, vec rate, vec *p, vec g, vec *s)
{
    (void)u;
    (void)turn;
    (void)s;
    *p = FMA(-rate, g, *p);
}

/* v <- momentum v - rate g;  p <- p + v, or with Nesterov p + momentum v - rate g */
INLINE void step_momentum(const struct update *u, const int turn, vec rate, vec *p, vec g, vec *s)
{
    (void)turn;
    vec descent = -rate * g;
    vec momentum = SPLAT((real)CONSTANT(u, momentum));
    s[0] = FMA(momentum, s[0], descent);
    *p += CONSTANT(u, nesterov) != 0 ? FMA(momentum, s[0], descent) : s[0];
}

/* Duchi, Hazan and Singer, 2011:  G <- G + g g;  p <- p - rate g / (sqrt G + eps) */
INLINE void step_adagrad(const struct update *u, const int turn, vec rate, vec *p, vec g, vec *s)
{
    s[0] = FMA(g, g, s[0]);
    *p -= rate * g / (root(turn, s[0]) + floor_of(u));
}

/* Zeiler, 2012:  v <- mean of g g;  d = sqrt(D + eps) / sqrt(v + eps) g;  D <- mean of d d;
   p <- p - rate d */
INLINE void step_adadelta(const struct update *u, const int turn, vec rate, vec *p, vec g, vec *s)
{
    s[0] = mean_square(CONSTANT(u, rho), s[0], g);
    vec d = root(turn, (s[1] + floor_of(u)) / (s[0] + floor_of(u))) * g;
    s[1] = decaying_mean(CONSTANT(u, rho), s[1], d * d);
    *p = FMA(-rate, d, *p);
}

/* Tieleman and Hinton, 2012:  v <- mean of g g;  d = g / (sqrt v + eps);  p <- p - rate d.
   Centred (Graves, 2013), the mean of g is kept too and its square taken from v; with momentum,
   b <- momentum b + d takes the place of d. */
INLINE void rmsprop(const struct update *u, const int turn, vec rate, vec *p, vec g, vec *s,
                    const int centred, const int buffered)
{
    s[0] = mean_square(CONSTANT(u, alpha), s[0], g);
    vec square = s[0];
    if (centred) {
        s[1] = decaying_mean(CONSTANT(u, alpha), s[1], g);
        square = maximum(SPLAT((real)0), FMA(-s[1], s[1], square));
        square = blend(s[0] == SPLAT((real)INFINITY), s[0], square);
    }
    vec d = g / (root(turn, square) + floor_of(u));
    if (buffered)
        d = s[2] = FMA(SPLAT((real)CONSTANT(u, momentum)), s[2], d);
    *p = FMA(-rate, d, *p);
}

/* Kingma and Ba, 2015:  m <- mean of g;  v <- mean of g g;  p <- p - rate m / (sqrt v + eps) */
INLINE void step_adam(const struct update *u, const int turn, vec rate, vec *p, vec g, vec *s)
{
    s[0] = decaying_mean(CONSTANT(u, beta_1), s[0], g);
    s[1] = mean_square(CONSTANT(u, beta_2), s[1], g);
    *p -= rate * s[0] / (root(turn, s[1]) + floor_of(u));
}

/* Reddi, Kale and Kumar, 2018: Adam with the highest v so far */
INLINE void step_amsgrad(const struct update *u, const int turn, vec rate, vec *p, vec g, vec *s)
{
    s[0] = decaying_mean(CONSTANT(u, beta_1), s[0], g);
    s[1] = mean_square(CONSTANT(u, beta_2), s[1], g);
    s[2] = maximum(s[2], s[1]);
    *p -= rate * s[0] / (root(turn, s[2]) + floor_of(u));
}

/* Zaheer and others, 2018: Adam whose v changes by the size of g g alone,
   v <- v - (1 - beta_2) sign(v - g g) g g, and infinity from where a square has overflowed on */
INLINE void step_yogi(const struct update *u, const int turn, vec rate, vec *p, vec g, vec *s)
{
    vec square = g * g;
    s[0] = decaying_mean(CONSTANT(u, beta_1), s[0], g);
    vec share = SPLAT((real)(CONSTANT(u, beta_2) - 1)) * sign_of(s[1] - square);
    s[1] = blend(s[1] == SPLAT((real)INFINITY), s[1], FMA(share, square, s[1]));
    *p -= rate * s[0] / (root(turn, s[1]) + floor_of(u));
}

/* Kingma and Ba, 2015, section 7.1:  h <- max(beta_2 h, |g| + eps);  p <- p - rate m / h */
INLINE void step_adamax(const struct update *u, const int turn, vec rate, vec *p, vec g, vec *s)
{
    (void)turn;
    s[0] = decaying_mean(CONSTANT(u, beta_1), s[0], g);
    s[1] = maximum(SPLAT((real)CONSTANT(u, beta_2)) * s[1], absolute(g) + floor_of(u));
    *p -= rate * s[0] / s[1];
}

/* Dozat, 2016:  p <- p - (rate g + mean_rate m) / (sqrt v + eps) */
INLINE void step_nadam(const struct update *u, const int turn, vec rate, vec *p, vec g, vec *s)
{
    s[0] = decaying_mean(CONSTANT(u, beta_1), s[0], g);
    s[1] = mean_square(CONSTANT(u, beta_2), s[1], g);
    vec along = FMA(rate, g, SPLAT((real)u->mean_rate) * s[0]);
    *p -= along / (root(turn, s[1]) + floor_of(u));
}

/* Liu and others, 2020: Adam once v can be trusted;  p <- p - rate m before */
INLINE void step_radam(const struct update *u, const int turn, vec rate, vec *p, vec g, vec *s)
{
    s[0] = decaying_mean(CONSTANT(u, beta_1), s[0], g);
    s[1] = mean_square(CONSTANT(u, beta_2), s[1], g);
    vec along = rate * s[0];
    *p -= u->rectified ? along / (root(turn, s[1]) + floor_of(u)) : along;
}

/* x^-learning_rate_power for x >= 0; a square root by default */
INLINE vec ftrl_power(const struct update *u, const int turn, vec x)
{
    if (CONSTANT(u, learning_rate_power) == -0.5)
        return root(turn, x);
    if (CONSTANT(u, learning_rate_power) == 0) /* which 0 log 0 would not give */
        return SPLAT((real)1);
    return vector_exp(SPLAT((real)-CONSTANT(u, learning_rate_power)) * vector_log(x));
}

/* McMahan and others, 2013, as in Keras:  n <- n + g g;
   z <- z + g + 2 l2_shrinkage p - (n^q - old n^q) / rate p   with q = -learning_rate_power;
   p <- (clip(z, -l1, l1) - z) / ((n^q + beta) / rate + 2 l2).
   Where n^q overflows the learning rate has become 0: p and z stay. */
INLINE void step_ftrl(const struct update *u, const int turn, vec rate, vec *p, vec g, vec *s)
{
    (void)rate;
    vec before = ftrl_power(u, turn, s[0]), inverse_rate = SPLAT((real)(1 / u->rate));
    s[0] = FMA(g, g, s[0]);
    vec after = ftrl_power(u, turn, s[0]);
    ivec frozen = after == SPLAT((real)INFINITY);
    vec z = s[1] + FMA(SPLAT((real)(2 * CONSTANT(u, l2_shrinkage))), *p, g);
    z -= (after - before) * inverse_rate * *p;
    vec curvature = FMA(after + (real)CONSTANT(u, beta), inverse_rate,
                        SPLAT((real)(2 * CONSTANT(u, l2))));
    vec clipped =
        minimum(SPLAT((real)CONSTANT(u, l1)), maximum(SPLAT((real)-CONSTANT(u, l1)), z));
    *p = blend(frozen, *p, (clipped - z) / maximum(at_least_tiny(0), curvature));
    s[1] = blend(frozen, s[1], z);
}

/* Chen and others, 2023:  p <- p - rate sign(beta_1 m + (1 - beta_1) g);  m <- mean of g */
INLINE void step_lion(const struct update *u, const int turn, vec rate, vec *p, vec g, vec *s)
{
    (void)turn;
    vec direction = sign_of(decaying_mean(CONSTANT(u, beta_1), s[0], g));
    *p = FMA(-rate, direction, *p);
    s[0] = decaying_mean(CONSTANT(u, beta_2), s[0], g);
}

/* Riedmiller and Braun, 1993, without taking steps back, as in PyTorch: each parameter has a step
   size, which grows while the sign of its gradient stays and shrinks when it changes; the gradient
   counts as 0 then. A step size of 0 stands for the learning rate. */
INLINE void step_rprop(const struct update *u, const int turn, vec rate, vec *p, vec g, vec *s)
{
    (void)turn;
    vec zero = {0}, agreement = sign_of(g) * sign_of(s[0]);
    vec factor = blend(agreement > zero, SPLAT((real)CONSTANT(u, eta_plus)), SPLAT((real)1));
    factor = blend(agreement < zero, SPLAT((real)CONSTANT(u, eta_minus)), factor);
    vec size = blend(s[1] == zero, rate, s[1]) * factor;
    s[1] = minimum(SPLAT((real)CONSTANT(u, step_max)), maximum(SPLAT((real)CONSTANT(u, step_min)), size));
    s[0] = blend(agreement < zero, zero, g);
    *p -= sign_of(s[0]) * s[1];
}

INLINE void step_rmsprop(const struct update *u, const int turn, vec rate, vec *p, vec g, vec *s)
{
    rmsprop(u, turn, rate, p, g, s, 1, 1);
}

/* Runs: the states of the bits in USED are read and written, the others left alone. */

#define UPDATE_LOOP(NAME, USED, STEP)                                                              \
    INLINE void update_vector_##NAME(const struct update *u, const int turn, vec rate, real *p,    \
                                     const real *g, real *const *state, long at, long n)           \
    {                                                                                              \
        vec x = load_partial(p + at, n), s[MAX_STATES] = {{0}, {0}, {0}};                         \
        UNROLL for (int j = 0; j < MAX_STATES; j++)                                               \
            if ((USED) >> j & 1)                                                                   \
                s[j] = load_partial(state[j] + at, n);                                             \
        STEP(u, turn, rate, &x, load_partial(g + at, n), s);                                       \
        store_partial(p + at, x, n);                                                               \
        UNROLL for (int j = 0; j < MAX_STATES; j++)                                               \
            if ((USED) >> j & 1)                                                                   \
                store_partial(state[j] + at, s[j], n);                                             \
    }                                                                                              \
    OUTLINE void update_run_##NAME(const struct update *rule, real *p, const real *g,              \
                                   real *const *state, long n)                                     \
    {                                                                                              \
        const struct update u = *rule;                                                             \
        real *const s[MAX_STATES] = {state[0], state[1], state[2]};                               \
        const vec rate = SPLAT((real)u.rate);                                                      \
        long i = 0;                                                                                \
        for (; i + 2 * LANES <= n; i += 2 * LANES) {                                               \
            update_vector_##NAME(&u, 0, rate, p, g, s, i, LANES);                                  \
            update_vector_##NAME(&u, 1, rate, p, g, s, i + LANES, LANES);                          \
        }                                                                                          \
        if (i + LANES <= n) {                                                                      \
            update_vector_##NAME(&u, 0, rate, p, g, s, i, LANES);                                  \
            i += LANES;                                                                            \
        }                                                                                          \
        if (i < n)                                                                                 \
            update_vector_##NAME(&u, 0, rate, p, g, s, i, n - i);                                  \
    }

#define UPDATE_RUN(NAME, STATES) UPDATE_LOOP(NAME, (1 << STATES) - 1, step_##NAME)
FASTMLP_UPDATES(UPDATE_RUN)

/* RMSprop's mean of g and its buffer cost memory traffic: only where they are asked for. */
#define RMSPROP_PLAIN(u, turn, rate, p, g, s) rmsprop(u, turn, rate, p, g, s, 0, 0)
#define RMSPROP_CENTRED(u, turn, rate, p, g, s) rmsprop(u, turn, rate, p, g, s, 1, 0)
#define RMSPROP_BUFFERED(u, turn, rate, p, g, s) rmsprop(u, turn, rate, p, g, s, 0, 1)
UPDATE_LOOP(rmsprop_plain, 1, RMSPROP_PLAIN)
UPDATE_LOOP(rmsprop_centred, 3, RMSPROP_CENTRED)
UPDATE_LOOP(rmsprop_buffered, 5, RMSPROP_BUFFERED)

/* p <- (1 - decay) p: decoupled decay (Loshchilov and Hutter, 2019) */
OUTLINE void decay_run(real *p, double decay, long n)
{
    const vec factor = SPLAT((real)(1 - decay));
    long i = 0;
    for (; i + LANES <= n; i += LANES)
        store(p + i, factor * load(p + i));
    if (i < n)
        store_partial(p + i, factor * load_partial(p + i, n - i), n - i);
}

/* One step for n parameters, whose states begin at `at` of each state vector. */
static void update_run(const struct update *u, real *p, const real *g, void *const *state, long at,
                       long n)
{
    real *s[MAX_STATES];
    for (int j = 0; j < MAX_STATES; j++)
        s[j] = state[j] ? (real *)state[j] + at : NULL;
    if (u->decay != 0)
        decay_run(p, u->decay, n);
    if (u->rule == UPDATE_rmsprop && (CONSTANT(u, centered) == 0 || CONSTANT(u, momentum) == 0)) {
        (CONSTANT(u, centered) != 0   ? update_run_rmsprop_centred
         : CONSTANT(u, momentum) != 0 ? update_run_rmsprop_buffered
                            : update_run_rmsprop_plain)(u, p, g, s, n);
        return;
    }
    switch (u->rule) {
#define CASE(NAME, STATES)                                                                         \
    case UPDATE_##NAME:                                                                            \
        update_run_##NAME(u, p, g, s, n);                                                          \
        break;
        FASTMLP_UPDATES(CASE)
#undef CASE
    }
}

#endif
