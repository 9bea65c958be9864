/* Small networks of one architecture that are trained side by side: one in each lane of the vectors. */
#ifndef FASTMLP_LANES_H
#define FASTMLP_LANES_H

#include "engine/engine.h"

enum { MAX_LANES = 16 };

/* Dense layer l of all of them. A matrix is [rows][columns][lanes], so that the vector of one element
   of all networks is a number in the formulas of one. */
struct lane_layer {
    long n_in, n_out;
    int activation;        /* ACTIVATION_identity for the output layer: see lanes.output */
    long weights, bias;    /* elements of a network's parameters, which lie as users have them */
    void *output, *delta;  /* (batch, n_out): activations (scores at the top), errors */
    void *slope;           /* derivatives, where `output` does not give them, or NULL */
};

struct lanes {
    const struct kernels *kernels;
    int n_layers, output, fault;
    struct loss loss;
    struct update update;
    long n_parameters;
    char *memory;
    void *parameters, *gradient, *state[MAX_STATES]; /* (n_parameters,) */
    void *input, *target;                            /* (batch, n_in), (batch, n_out) */
    void *row_loss;                                  /* (batch,) */
    void *scratch;                                   /* (batch,), of dot products */
    struct lane_layer *layers;
};

/* One step of all networks: `first` and `n` as of fastmlp_step. */
struct lane_step {
    const struct samples *samples;         /* of each */
    long first, n;
    double scale;                          /* 1 / n */
    struct update update;                  /* but for rates and decays, which each has of its own */
    double rate[MAX_LANES], decay[MAX_LANES];
    double loss[MAX_LANES];                /* sums over the rows */
};

/* lanes.c: the most rows of a step, and whether an update rule has what of it may differ. */
long fastmlp_lane_rows(const struct kernels *);
int fastmlp_rule_in_lanes(int rule);
/* NULL where there is no memory for it, and the bytes that would be needed. */
struct lanes *fastmlp_lanes_new(const struct request *, const struct update *, double *bytes);
void fastmlp_lanes_free(struct lanes *);
/* Without a state all of it is 0. */
void fastmlp_lanes_load(struct lanes *, int lane, const void *parameters, const void *state);
void fastmlp_lanes_store(const struct lanes *, int lane, void *parameters, void *state);
/* Rates of each; to `loss` go the mean losses of their rows. Returns a fault, without an update then. */
int fastmlp_lanes_step(struct lanes *, const struct samples *, long first, long n, long step,
                       const double *rates, double *loss);

#endif
