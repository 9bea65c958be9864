/* J^T J of rows whose layers' inputs and errors are known; passes/gauss_newton.h says how. */
#ifndef FASTMLP_ENGINE_GAUSS_NEWTON_H
#define FASTMLP_ENGINE_GAUSS_NEWTON_H

#include "engine/kernels.h"

enum {
    MAX_GAUSS_LAYERS = 129, /* one of them for the residuals */
    GAUSS_ROWS = 192, /* of a block, a multiple of every vector's lanes */
    GAUSS_LEFT = 96,  /* pairs of inputs of a task, a multiple of a thin tile's */
    GAUSS_RIGHT = 96, /* pairs of errors, whole panels of every tile */
};

struct gauss_layer {
    struct matrix inputs; /* (n, n_in) */
    const void *errors;   /* (n, n_errors, n_out), contiguous */
    long n_in, n_out;
    long weights, bias;   /* places of the first ones in the vector of parameters */
    long a, d;            /* numbers of the first column */
};

/* Some pairs of inputs, and of errors, of layers l <= m. */
struct gauss_task {
    int l, m;
    long left, n_left, right, n_right;
};

struct gauss_newton {
    const struct kernels *kernels;
    long n, n_errors;
    int n_layers;
    struct gauss_layer *layers;
    double *out; /* (order, order), contiguous: added to */
    long order;
    /* set by the call */
    long n_columns, n_blocks, n_tasks;
    char *columns;
    struct gauss_task *tasks;
    char *scratch;
    long scratch_bytes;
};

/* gauss_newton.c; n >= 1, n_errors >= 1. Returns 0, or the bytes of the memory that there was not. */
double fastmlp_gauss_newton(struct gauss_newton *, int n_threads);

#endif
