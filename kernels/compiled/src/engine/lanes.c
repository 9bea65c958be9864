/* Networks in lanes: their memory, and the order of a step. A step makes the sums of the engine, each in
   the order of its terms there, so that every network gets the bits of a step of its own. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lanes.h"
#include "fastmlp.h"
#include "work.h"

long fastmlp_lane_rows(const struct kernels *k) { return k->chain_rows; }

/* Ftrl divides by the learning rate, and Nadam has two of them. */
int fastmlp_rule_in_lanes(int rule)
{
    return rule != UPDATE_ftrl && rule != UPDATE_nadam && rule != UPDATE_none;
}

static void *vectors(const struct lanes *e, char *memory, long *used, long n)
{
    char *at = memory ? memory + *used : NULL;
    *used = plus(*used, round_up(times(n, e->kernels->lanes * e->kernels->real_bytes), LINE));
    return at;
}

static int keeps_slope(int activation)
{
#define FROM_PREACTIVATIONS(NAME) || activation == ACTIVATION_##NAME
    return 0 FASTMLP_FROM_PREACTIVATIONS(FROM_PREACTIVATIONS);
}

/* Bytes of all that a step needs; laid out twice, first to count them. */
static long lay_out(struct lanes *e, long batch, char *memory)
{
    long used = 0;
    const struct lane_layer *top = &e->layers[e->n_layers - 1];
    e->parameters = vectors(e, memory, &used, e->n_parameters);
    e->gradient = vectors(e, memory, &used, e->n_parameters);
    for (int i = 0; i < fastmlp_states(e->update.rule); i++)
        e->state[i] = vectors(e, memory, &used, e->n_parameters);
    e->input = vectors(e, memory, &used, times(batch, e->layers[0].n_in));
    for (int l = 0; l < e->n_layers; l++) {
        struct lane_layer *layer = &e->layers[l];
        const long n = times(batch, layer->n_out);
        layer->output = vectors(e, memory, &used, n);
        layer->delta = vectors(e, memory, &used, n);
        if (keeps_slope(layer->activation))
            layer->slope = vectors(e, memory, &used, n);
    }
    e->target = vectors(e, memory, &used, times(batch, top->n_out));
    e->row_loss = vectors(e, memory, &used, batch);
    e->scratch = vectors(e, memory, &used, e->kernels->lanes);
    return used;
}

static void describe(struct lanes *e, const struct request *r)
{
    for (int l = 0; l < r->n_layers; l++) {
        struct lane_layer *layer = &e->layers[l];
        layer->n_in = r->sizes[l];
        layer->n_out = r->sizes[l + 1];
        layer->activation = l < r->n_layers - 1 ? r->activations[l] : ACTIVATION_identity;
        layer->weights = e->n_parameters;
        e->n_parameters = plus(e->n_parameters, times(layer->n_in, layer->n_out));
    }
    for (int l = 0; l < r->n_layers; l++) {
        e->layers[l].bias = e->n_parameters;
        e->n_parameters = plus(e->n_parameters, e->layers[l].n_out);
    }
}

struct lanes *fastmlp_lanes_new(const struct request *r, const struct update *update, double *wanted)
{
    struct lanes *e = calloc(1, sizeof *e + (size_t)r->n_layers * sizeof(struct lane_layer));
    *wanted = sizeof *e;
    if (e == NULL)
        return NULL;
    e->kernels = r->kernels;
    e->layers = (struct lane_layer *)(e + 1);
    e->n_layers = r->n_layers;
    e->output = r->output;
    e->update = *update;
    describe(e, r);
    const long bytes = lay_out(e, r->batch, NULL);
    *wanted = (double)bytes;
    e->memory = bytes < LONG_MAX / 2 ? calloc(1, (size_t)bytes + LINE) : NULL;
    if (e->memory == NULL) {
        free(e);
        return NULL;
    }
    lay_out(e, r->batch, e->memory + (LINE - (long)((uintptr_t)e->memory % LINE)) % LINE);
    return e;
}

void fastmlp_lanes_free(struct lanes *e)
{
    if (e == NULL)
        return;
    free(e->memory);
    free(e);
}

/* One network's elements among those of all, and back; nothing stands for zeros. */
static void to_lane(const struct lanes *e, int lane, const void *from, void *to)
{
    const long n = e->n_parameters, lanes = e->kernels->lanes;
    if (e->kernels->real_bytes == sizeof(float))
        for (long i = 0; i < n; i++)
            ((float *)to)[i * lanes + lane] = from ? ((const float *)from)[i] : 0;
    else
        for (long i = 0; i < n; i++)
            ((double *)to)[i * lanes + lane] = from ? ((const double *)from)[i] : 0;
}
static void from_lane(const struct lanes *e, int lane, const void *from, void *to)
{
    const long n = e->n_parameters, lanes = e->kernels->lanes;
    if (e->kernels->real_bytes == sizeof(float))
        for (long i = 0; i < n; i++)
            ((float *)to)[i] = ((const float *)from)[i * lanes + lane];
    else
        for (long i = 0; i < n; i++)
            ((double *)to)[i] = ((const double *)from)[i * lanes + lane];
}

void fastmlp_lanes_load(struct lanes *e, int lane, const void *parameters, const void *state)
{
    const long bytes = e->n_parameters * e->kernels->real_bytes;
    to_lane(e, lane, parameters, e->parameters);
    for (int i = 0; i < MAX_STATES && e->state[i]; i++)
        to_lane(e, lane, state ? (const char *)state + i * bytes : NULL, e->state[i]);
}

void fastmlp_lanes_store(const struct lanes *e, int lane, void *parameters, void *state)
{
    const long bytes = e->n_parameters * e->kernels->real_bytes;
    from_lane(e, lane, e->parameters, parameters);
    for (int i = 0; state && i < MAX_STATES && e->state[i]; i++)
        from_lane(e, lane, e->state[i], (char *)state + i * bytes);
}

int fastmlp_lanes_step(struct lanes *e, const struct samples *samples, long first, long n, long step,
                       const double *rates, double *loss)
{
    struct lane_step s = {.samples = samples, .first = first, .n = n, .scale = 1 / (double)n};
    const int lanes = e->kernels->lanes;
    s.update = e->update;
    for (int i = lanes - 1; i >= 0; i--) {
        if (i == lanes - 1 || rates[i] != rates[i + 1])
            fastmlp_update_at(&s.update, (double)step, rates[i]);
        s.rate[i] = s.update.rate;
        s.decay[i] = s.update.decay;
    }
    e->fault = FAULT_none;
    e->kernels->lane_step(e, &s);
    for (int i = 0; i < lanes; i++)
        loss[i] = s.loss[i] * s.scale;
    return e->fault;
}
