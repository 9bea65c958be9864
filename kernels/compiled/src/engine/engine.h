/* The engine of training: its design, its memory, the pass at hand. engine.c says how a step goes. */
#ifndef FASTMLP_ENGINE_H
#define FASTMLP_ENGINE_H

#include "engine/kernels.h"
#include "threads/threads.h"

/* Dense layer l. Matrices of the batch and of the parameters are in panels, see tiles.h. */
struct layer {
    long n_in, n_out;
    long in_rows;               /* n_in rounded up to whole panels: rows of a weight panel */
    long in_panels, out_panels;
    int activation;             /* ACTIVATION_identity for the output layer: see engine.output */
    long weights, bias;         /* elements from the start of the packed parameters */
    void *transposed;           /* panels of W^T for the errors of the layer below; else NULL */
    void *output, *delta;       /* panels of the batch: activations a^l (scores at the top), errors */
    void *slope;                /* derivatives, where `output` does not give them, or NULL */
    fastmlp_activation *custom; /* of ACTIVATION_custom */
    double dropout;             /* probability that a unit of the output is dropped */
    int frozen;                 /* parameters and state stay as they are */
};

/* Entries of a pass's sparse rows: gathered row by row, and sorted by feature (sparse.h). */
struct entries {
    long capacity, row_capacity, n_touched;
    void *values;               /* of the rows, one after the other, */
    int32_t *columns, *starts;  /* their columns, and where each row starts */
    int32_t *sorted_rows;       /* by feature: the row of each entry, */
    void *sorted_values;        /* and its value */
    int32_t *touched;           /* features that have entries */
    int32_t *count, *last;      /* of each feature: entries, the end of them */
};

/* Rows of a pass where they are: row r is row order[first + r] of x, without an order first + r. */
struct sparse_rows {
    struct csr x;
    const int64_t *order;
    long first;
};

/* A tile of the weights pass: some panels of one weight matrix by a range of features. */
struct weight_task {
    int layer, panels;
    long panel, first, last;
};

/* Tasks that one thread does together: the same features of neighbouring panels, tasks first,
   first + step ... What they all read, the activations of those features, is read once. */
struct task_group {
    long first, n, step;
};
enum { MAX_GROUP = 12 }; /* tasks of a group, at most */

/* Positions in the order of the rows of the next pass, which shuffling has put anywhere. They are
   prefetched while the weights of this one are computed. */
struct upcoming {
    long first, rows; /* 0 rows for none */
};

/* What an engine is: settled when it is made, but for the loss. */
struct design {
    const struct kernels *kernels;
    int n_layers, output;
    struct layer *layers;
    struct loss loss;
    double input_dropout;
    uint64_t seed;              /* of dropout */
    double clip_value, clip_norm, max_norm; /* 0: none */
    int with_norm;              /* the gradient's norm is wanted */
    int lowest;                 /* layer that is not frozen, n_layers if all are */
    int sparse;                 /* for sparse rows: weights of layer 0 lie by rows, see sparse.h */
    int shards;                 /* gradients are sums of shards, see fastmlp_shards */
    int small;                  /* plain steps may be those of small/steps.h */
    int n_threads;              /* at most */
    long n_packed;              /* elements of the packed parameters */
    long capacity;              /* rows of a pass at most */
    long batch_panel;           /* elements from one panel of the batch to the next */
    long n_tasks, n_groups;     /* of the weights pass */
};

/* Where its memory is, see memory.c; the parts of layers are in `layers`. */
struct arena {
    char *memory;               /* all that follows is in here, from a cache line on */
    void *parameters, *gradient;
    void *state[MAX_STATES + 1]; /* of the rule, then NULL */
    void *rest;                 /* digits that sums over several passes would lose, or NULL */
    void *input, *target;       /* gathered rows of x and targets, in panels */
    const void *few, *few_next; /* rows of a small step: `input`, or the only one where it is; the one behind it */
    int64_t *labels;            /* gathered, in place of targets */
    void *row_scale, *row_loss; /* per row of the pass */
    struct weight_task *tasks;
    struct task_group *groups;
    double *task_penalty;       /* of each task's weights, before the update; lazy ones: sparse.c */
    double *task_norm;          /* sum of its squared gradient */
    double *task_clipped;       /* the same after clip_value */
    char *scratch;              /* one piece a thread */
    long scratch_bytes;
    struct entries entries;     /* of sparse rows, in memory of their own */
    char *entries_memory;
    /* Where steps touch stored entries only, the weights of layer 0 are `shrink` times what is in memory. */
    double shrink, next_shrink; /* before and after the step at hand */
    double squares;             /* of those weights in memory, below 0 where unknown */
};

/* Shards of a batch: parts of its rows whose gradients are added up in a binary tree. */
enum { MAX_SHARDS = 8, SHARD_LEVELS = 4 }; /* of one call, and the partial sums that wait at once */
struct shards {
    const long *cuts; /* n + 1 places among the rows of the call, from 0 to all of them */
    long n;           /* a power of two; 1 where all rows do not fit into one pass, or are sparse */
    long position;    /* of the first row in the whole batch */
    double total;     /* weight of the whole batch, by which the sums are divided */
};

/* The pass at hand: some rows of the batch of one step. */
struct pass {
    const struct samples *samples;
    struct sparse_rows rows;
    long first_row, n_rows, block_rows;
    long begun;                 /* row whose first product is there, see next_single; 0 for none */
    long first_block;           /* of those that are computed at once, see rows_in_pieces */
    double looked;              /* when it was last asked whether to end the step; 0: not yet */
    long step, position;        /* 1 for the first; of the pass's first row in the batch */
    double unit, scale;         /* of row weights, see weight_at; 1 / total weight of the batch */
    int fault;                  /* enum fault: the step has ended early */
    int (*interrupted)(void);   /* asked from time to time, before any update, whether to end it; or NULL */
    int accumulate;             /* add to the gradient of earlier passes of the batch */
    int finish;                 /* last pass of the batch: penalise and update */
    int lazy;                   /* this step touches features with entries only */
    struct upcoming upcoming;
    double l2, l1;
    double factor;              /* of the gradient, by clip_norm */
    struct update update;
    const struct shards *shards; /* whose gradients are wanted, and no update; else NULL */
};

struct engine {
    struct design design;
    struct arena arena;
    struct pass pass;
    struct tuner tuner;
    double gradient_norm;       /* of the last step, before clipping; NaN for none */
};

/* What an engine is to be made for. Pointers may be NULL where nothing is said of any layer. */
struct request {
    const struct kernels *kernels;
    int n_layers;
    const long *sizes;
    const int *activations;                        /* of hidden layers */
    fastmlp_activation *const *custom_activations; /* of those that have ACTIVATION_custom */
    int output, rule;
    struct loss loss;
    long batch;                                    /* rows at most; 0: it only describes a network */
    int sparse;                                    /* for sparse rows, see sparse.h */
    int shards;                                    /* steps are made by fastmlp_shards and _descend */
    int n_threads;
    const double *dropout;                         /* of the input and of hidden layers */
    uint64_t seed;
    const int *frozen;                             /* of every layer */
    double clip_value, clip_norm, max_norm;        /* 0: none */
    int with_norm;
};

/* Penalties of all weights, l2 / 2 sum of w^2 + l1 sum of |w|; divided by the batch's weight. */
struct penalty {
    double l2, l1;
    int over_batch;
};

/* memory.c: NULL where there is no memory for it, and the bytes that would be needed. */
struct engine *fastmlp_engine_new(const struct request *, double *bytes);
void fastmlp_engine_free(struct engine *);

/* sparse.c */
double fastmlp_reserve_entries(struct engine *, const struct samples *, long batch);
void fastmlp_begin_step(struct engine *, const struct update *);
double fastmlp_sum_of_penalties(struct engine *);
void fastmlp_end_epoch(struct engine *);

/* engine.c */
void fastmlp_load(struct engine *, const void *parameters, const void *state);
void fastmlp_store(const struct engine *, void *parameters, void *state);
unsigned long fastmlp_enter_steps(int flush);
void fastmlp_leave_steps(unsigned long mode);
double fastmlp_operations(const struct engine *, long rows);
double fastmlp_step(struct engine *, const struct samples *, long first_row, long n_rows, long step,
                    const struct penalty *, const struct update *);
void fastmlp_shards(struct engine *, const struct samples *, const struct shards *, long step, double *losses);
double fastmlp_descend(struct engine *, double total, const struct penalty *, const struct update *);
double fastmlp_gradient(struct engine *, const void *parameters, const struct samples *,
                        long n_rows, const struct penalty *, void *gradient);

#endif
