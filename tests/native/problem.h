/* A network with rows, targets and an optimizer's state, and what the oracle makes of them. */
#ifndef PROBLEM_H
#define PROBLEM_H

#include "native.h"

struct problem {
    struct network net;
    long n_parameters, rows;
    struct array x, target, weight, parameters, state; /* state: a row for each that a rule has */
    int64_t *labels, *order;
    double *p, *gradient, *s[MAX_STATES];             /* the oracle's, one block of memory */
    double *before;                                   /* p, gradient and s before the last step */
    int rule, with_labels, with_order, l2_over_batch;
    enum { WITHOUT, WITH, ALL_ZERO } weights;
    double l2, factor;                                 /* of the tolerance */
};

/* What one row of an array holds, as doubles. */
void read_row(const struct array *, long row, double *to);

/* Draws one row of x until no score is near a corner; in vain where all weights have become 0. */
void draw_row(struct problem *, long row);

struct problem problem_new(const struct kernels *, const struct network *, long rows, int rule,
                           long number);
void problem_free(struct problem *);
struct samples samples_of(const struct problem *);
struct engine *engine_for(const struct kernels *, const struct problem *, long batch, int threads);
struct batch batch_of(const struct problem *, long first, long n);

/* The oracle's step from q->p and q->s, in place; returns the loss before it. */
double oracle_step(struct problem *q, const struct update *, int step, double rate,
                   const struct batch *);

/* A step of the oracle that check_conditioned may repeat. */
struct taken {
    const struct update *update;
    struct batch batch;
    int step;
    double rate;
};
/* What a step has led to, against the oracle. Where the plain tolerance of check_scaled is not
   enough, rounding of the step's inputs is tried: parameters and targets moved by up to an epsilon,
   three times; eight times the largest change of an element is added to its tolerance. */
enum { GRADIENT, PARAMETERS, STATE }; /* STATE + i: of state i */
void check_conditioned(struct problem *q, const struct taken *, int which, const struct array *got);

#endif
