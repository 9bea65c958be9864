/* A training step of networks in lanes: each number of one network is a vector of all of them.

   Every sum has the order of the engine's (tiles.h, rows_pass.h, weights_pass.h), whose bits each network
   therefore gets; where those depend on the width of vectors (dot products of narrow layers, the turn of
   a root), what is said here of lanes is meant for the vectors there.

   Compiled as kernels.c is, once for each instruction set and precision. */
/* The headers have functions for kernels.c as well. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "formulas/update_rules.h"
#include "passes/lane_rows.h"

/* Sums over the rows, as those of sum_rows: four chains of every fourth row. */
static void bias_lanes(const real *delta, long rows, long columns, real *to)
{
    for (long j = 0; j < columns; j++) {
        const real *d = delta + j * LANES;
        vec sum[4] = {{0}, {0}, {0}, {0}};
        long r = 0;
        for (; r + 4 <= rows; r += 4)
            UNROLL for (int i = 0; i < 4; i++)
                sum[i] += load(d + (r + i) * columns * LANES);
        for (; r < rows; r++)
            sum[0] += load(d + r * columns * LANES);
        store(to + j * LANES, (sum[0] + sum[1]) + (sum[2] + sum[3]));
    }
}

static void gradient_lanes(const struct lanes *e, long rows)
{
    const real *a = e->input;
    real *gradient = e->gradient;
    for (int l = 0; l < e->n_layers; a = e->layers[l++].output) {
        const struct lane_layer *layer = &e->layers[l];
        const long n_in = layer->n_in, n_out = layer->n_out;
        const struct lane_product p = {
            .rows = n_in, .columns = n_out, .depth = rows,
            .a = a, .a_row = LANES, .a_deep = n_in * LANES,
            .b = layer->delta, .b_deep = n_out * LANES, .b_column = LANES,
            .c = gradient + layer->weights * LANES, .c_row = n_out * LANES,
            .epilogue = PLAIN_EPILOGUE,
        };
        lane_product(&p);
        bias_lanes(layer->delta, rows, n_out, gradient + layer->bias * LANES);
    }
}

/* Updates of n elements from `at` on, whose roots are taken in this turn. */
#define LANE_UPDATE(NAME, USED, STEP)                                                              \
    OUTLINE void lane_update_##NAME(const struct lanes *e, const struct update *u, const int turn, \
                                    vec rate, long at, long n)                                     \
    {                                                                                              \
        const long end = (at + n) * LANES;                                                         \
        for (long i = at * LANES; i < end; i += LANES) {                                           \
            vec x = load((real *)e->parameters + i), s[MAX_STATES] = {{0}, {0}, {0}};              \
            UNROLL for (int j = 0; j < MAX_STATES; j++)                                            \
                if ((USED) >> j & 1)                                                               \
                    s[j] = load((real *)e->state[j] + i);                                          \
            STEP(u, turn, rate, &x, load((real *)e->gradient + i), s);                             \
            store((real *)e->parameters + i, x);                                                   \
            UNROLL for (int j = 0; j < MAX_STATES; j++)                                            \
                if ((USED) >> j & 1)                                                               \
                    store((real *)e->state[j] + i, s[j]);                                          \
        }                                                                                          \
    }
#define LANE_RULE(NAME, STATES) LANE_UPDATE(NAME, (1 << STATES) - 1, step_##NAME)
FASTMLP_UPDATES(LANE_RULE)
LANE_UPDATE(rmsprop_plain, 1, RMSPROP_PLAIN)
LANE_UPDATE(rmsprop_centred, 3, RMSPROP_CENTRED)
LANE_UPDATE(rmsprop_buffered, 5, RMSPROP_BUFFERED)
#undef LANE_RULE

static void lane_update(const struct lanes *e, const struct update *u, const int turn, vec rate,
                        long at, long n)
{
    if (u->rule == UPDATE_rmsprop && (CONSTANT(u, centered) == 0 || CONSTANT(u, momentum) == 0)) {
        (CONSTANT(u, centered) != 0   ? lane_update_rmsprop_centred
         : CONSTANT(u, momentum) != 0 ? lane_update_rmsprop_buffered
                                      : lane_update_rmsprop_plain)(e, u, turn, rate, at, n);
        return;
    }
    switch (u->rule) {
#define CASE(NAME, STATES)                                                                         \
    case UPDATE_##NAME:                                                                            \
        lane_update_##NAME(e, u, turn, rate, at, n);                                               \
        break;
        FASTMLP_UPDATES(CASE)
#undef CASE
    }
}

static vec vector_of(const double *values, double sign, double from)
{
    vec v;
    for (int lane = 0; lane < LANES; lane++)
        v[lane] = (real)(from + sign * values[lane]);
    return v;
}

static void update_lanes(const struct lanes *e, const struct lane_step *s)
{
    const vec rate = vector_of(s->rate, 1, 0);
    real *p = e->parameters;
    if (CONSTANT(&s->update, weight_decay) != 0) {
        const vec kept = vector_of(s->decay, -1, 1);
        for (long i = 0; i < e->n_parameters * LANES; i += LANES)
            store(p + i, kept * load(p + i));
    }
#ifdef INVERSE_SQRT /* where it matters, a panel is one vector: rows of weights take turns */
    for (int l = 0; l < e->n_layers; l++) {
        const struct lane_layer *layer = &e->layers[l];
        for (long k = 0; k < layer->n_in; k++)
            lane_update(e, &s->update, k & 1, rate, layer->weights + k * layer->n_out, layer->n_out);
        for (long j = 0; j < layer->n_out; j += PANEL)
            lane_update(e, &s->update, j / PANEL & 1, rate, layer->bias + j,
                        min(layer->n_out - j, PANEL));
    }
#else
    lane_update(e, &s->update, 0, rate, 0, e->n_parameters);
#endif
}

void LANE_STEP(struct lanes *e, struct lane_step *s);
void LANE_STEP(struct lanes *e, struct lane_step *s)
{
    gather_lanes(e, s);
    if (e->fault) /* parameters are still as the last step left them */
        return;
    forward_lanes(e, s->n);
    output_lanes(e, s);
    backward_lanes(e, s->n);
    gradient_lanes(e, s->n);
    update_lanes(e, s);
}
