/* J^T J of rows whose layers' inputs and errors are known; passes/second_order says how. */
#ifndef FASTMLP_ENGINE_GAUSS_NEWTON_H
#define FASTMLP_ENGINE_GAUSS_NEWTON_H

#include "engine/kernels.h"

enum {
    MAX_GAUSS_LAYERS = 129, /* one of them for the residuals */
    GAUSS_ROWS = 128, /* of a block, a multiple of every vector's lanes */
    GAUSS_LEFT = 96,   /* left numbers of a task */
    GAUSS_RIGHT = 128, /* right numbers, whole tiles of every instruction set, */
    GAUSS_ALONE = 1024, /* and where one thread has all tasks */
    GAUSS_MIRROR = 32, /* rows that are mirrored at a time */
    GAUSS_STRETCH = 1 << 20, /* bytes of the blocks that tasks go through in turns, at least one block */
};

struct gauss_layer {
    struct matrix inputs; /* (n, n_in) */
    const void *errors;   /* (n, n_errors, n_out), contiguous */
    long n_in, n_out;
    long weights, bias;   /* places of the first ones in the vector of parameters */
    long columns; /* where its columns of a block of rows begin: errors, inputs, ones */
};

/* The block between layers l <= m is a sum over rows of left numbers times right numbers, each of
   them the product of two: pairs of inputs times pairs of errors, of a layer with itself only pairs
   i <= j of either. Of a layer with one output it is the products of inputs and error with each
   other: there are as many rows as columns then, and half of them are enough. */
struct gauss_block {
    int same, single;
    int turned;  /* errors of m come first: runs are of those of l, which are more */
    int swapped; /* pairs of errors are the left numbers */
    long left, right;
};

/* Some left and right numbers of a block. */
struct gauss_task {
    int l, m;
    long left, n_left, right, n_right;
    long sums, sums_row; /* where its sums begin, and numbers of a row of them */
};

struct design;
struct gauss_newton {
    const struct kernels *kernels;
    long n, n_errors;
    int n_layers;
    struct gauss_layer *layers;
    double *out; /* (order, order), contiguous, symmetric: added to */
    long order;
    double *along; /* (order + 1): added to, what the layer of a place beyond the order gives, J^T r and r^T r */
    /* Of a whole network, else NULL: layers have inputs and errors by its parameters, the last one residuals;
       rows are the inputs of the first one. Activations give their slopes, and outputs are scores. */
    const struct design *design;
    const void *flat, *roots; /* of the weights of rows, contiguous */
    struct matrix target;
    /* set by the call */
    long block_numbers, n_blocks, n_tasks;
    long first_block; /* of the present stretch; blocks of a stretch at most */
    long stretch;
    char *blocks;     /* those of a stretch */
    struct gauss_task *tasks;
    double *sums;
    char *scratch;    /* of each thread: rows; or left numbers and then right ones */
    long scratch_bytes;
};

static inline long gauss_pairs(int same, long n, long m) { return same ? n * (n + 1) / 2 : n * m; }

static inline struct gauss_block gauss_block_of(const struct gauss_newton *g, int l, int m)
{
    const struct gauss_layer *a = &g->layers[l], *b = &g->layers[m];
    struct gauss_block k = {.same = l == m};
    k.single = k.same && a->n_out == 1 && g->n_errors == 1;
    k.turned = a->n_out > b->n_out;
    k.left = k.single ? a->n_in + 1 : gauss_pairs(k.same, a->n_in + 1, b->n_in + 1);
    k.right = k.single ? a->n_in + 1 : gauss_pairs(k.same, a->n_out, b->n_out);
    /* Single numbers are added to the result of swapped sums: an eighth of the work pays for that. */
    const long lanes = g->kernels->lanes, left = k.left, right = k.right;
    const long broad = (left + lanes - 1) / lanes * right, tall = (right + lanes - 1) / lanes * left;
    k.swapped = !k.same && 8 * broad < 7 * tall;
    if (k.swapped)
        k.left = right, k.right = left;
    return k;
}

/* gauss_newton.c; n >= 1, n_errors >= 1. Returns 0, or the bytes of the memory that there was not. */
double fastmlp_gauss_newton(struct gauss_newton *, int n_threads);

#endif
