/* First derivatives of a network, of plain rows; passes/derivatives.h says how. */
#ifndef FASTMLP_DERIVATIVES_CALL_H
#define FASTMLP_DERIVATIVES_CALL_H

#include "engine/kernels.h"

enum derivative_kind {
    DERIVATIVE_back,     /* by the inputs, of a loss, or of derivatives by the outputs */
    DERIVATIVE_along,    /* of the outputs, where inputs move along a direction */
    DERIVATIVE_jacobian, /* of every output by every input: one of the two below */
    DERIVATIVE_of_outputs, /* one sweep back for each output */
    DERIVATIVE_by_inputs,  /* one sweep along for each input */
};

struct derivative_layer {
    const void *weights, *bias; /* as users have them; the bias of several rows is padded */
    const void *panels;         /* W in panels where there are several blocks of rows, else NULL */
    const void *transposed;     /* panels of W^T, NULL where W is read as it is */
    long kept, slope;           /* activations, and their derivatives where those do not give them (else 0):
                                   elements from where the memory of a block begins */
};

struct derivative {
    const struct design *design;
    int what, output;
    struct loss loss;       /* LOSS_of_output: the targets are derivatives by the outputs */
    struct samples samples; /* x; targets of a loss, derivatives, or directions; weights */
    const void *flat;       /* all parameters as users have them */
    long n;
    void *out;              /* (n, n_in), (n, n_out) or (n, n_out, n_in), contiguous */
    int fault;              /* enum fault, found on the way */
    /* set by the call */
    long sweeps, per;       /* sweeps over a block, and errors of each of its rows in one of them */
    long block_rows;
    int packed;             /* W^T is in panels */
    struct derivative_layer *layers;
    const void *zeros;      /* a padded bias of zeros */
    long targets, scores, here, there; /* elements, as above */
    char *scratch;          /* one piece a thread, and in it, in bytes, what kernels want */
    long scratch_bytes, columns, plain;
};

/* A product with the Hessian, over some rows; passes/hessian.h says how. Places are elements of the memory. */
struct hessian_layer {
    double bend[2];         /* b, c of sigma'' = (b + c sigma) sigma' */
    long kept, moved;       /* activations (scores at the top), and how they move, of all rows */
    long error, error_dot;  /* of the rows at hand */
    long turned, turned_along; /* panels of W^T and V^T */
};

struct hessian {
    const struct design *design;
    const void *flat, *direction; /* as users have them; only while it is made */
    struct matrix x, delta, delta_dot; /* of a pass forward; of a pass back */
    void *z, *z_dot;        /* (n, n_out), contiguous, of a pass forward */
    long n;                 /* rows, at most `capacity` */
    int n_threads;
    /* set by its makers */
    struct hessian_layer *layers;
    char *memory;
    long capacity, block_rows, panel, error_panel;
    long weights, along, input, result;
    long first, rows, back_rows; /* of the pass back: the rows at hand, and those of a block */
};

/* hessian.c: NULL where there is no memory for it, and the bytes that would be needed. `bends` has two numbers for
   each hidden layer, none of which is custom. A pass forward leaves z and z_dot, a pass back, which follows it,
   the product as a flat vector. */
struct hessian *fastmlp_hessian_new(const struct design *, const void *flat, const void *direction, long capacity,
                                    const double *bends, int n_threads, double *bytes);
void fastmlp_hessian_free(struct hessian *);
void fastmlp_hessian_forward(struct hessian *);
void fastmlp_hessian_back(struct hessian *, void *product);

/* derivatives.c; n >= 1. Returns 0, or the bytes of the memory that there was not. */
double fastmlp_derivative(struct derivative *, int n_threads);

#endif
