/* What the translation units share: the engine's state, the table of kernels, the pool. */
#ifndef FASTMLP_H
#define FASTMLP_H

#include <stdint.h>

#include "names.h"

/* A matrix of the caller's, any strides (in bytes). */
struct matrix {
    const char *data;
    long row_stride, column_stride;
};

/* Rows in compressed sparse form: row r has the values starts[r] … starts[r + 1] - 1. */
struct csr {
    const void *values, *columns, *starts;
    int column_bytes, start_bytes; /* of the integers: 4 or 8 */
};

/* The caller's samples. Row r of a pass is row order[r] of x (r itself without an order). */
struct samples {
    struct matrix x, target;   /* x.data is NULL for sparse rows */
    struct csr sparse;
    const int64_t *labels;     /* class labels instead of targets, or NULL */
    const void *sample_weight; /* contiguous, or NULL */
    const int64_t *order;      /* or NULL */
    long n_rows;               /* of the order, or of x without one */
};

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

/* Entries of a batch of sparse rows, sorted by feature (sparse.h). */
struct entries {
    long capacity, row_capacity, n_touched;
    int32_t *rows;              /* of each entry */
    void *values;
    int32_t *touched;           /* features that have entries */
    int32_t *count, *last;      /* of each feature: entries, the end of them */
    void *kept;                 /* with dropout: values of the pass's rows, one after the other, */
    int32_t *kept_columns, *kept_starts; /* their columns, and where each row starts */
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

/* Positions in the order of the rows of the next pass, which shuffling has put anywhere. They are
   asked for while the weights of this one are computed. */
struct look_ahead {
    long first, rows; /* 0 rows for none */
};

/* Threads of a step, see choice.c. */
enum { MOST_CHOICES = 10 };
struct choice {
    int n, threads[MOST_CHOICES];
    int at, best, direction;   /* in use; fastest so far; where to look next */
    int settling;              /* the present stretch is the first after a change */
    double cost[MOST_CHOICES]; /* seconds a row, below 0 where unknown */
    double best_time;          /* seconds since the last try */
    int running;               /* the clock is, since `since` */
    double since, spent;       /* of the present stretch */
    long rows, steps, stretch_steps;
};

struct kernels;

struct engine {
    const struct kernels *kernels;
    int n_layers, output;
    struct loss loss;
    double input_dropout;
    uint64_t seed;              /* of dropout */
    double clip_value, clip_norm, max_norm; /* 0: none */
    int with_norm;              /* the gradient's norm is wanted */
    int lowest;                 /* layer that is not frozen, n_layers if all are */
    double gradient_norm;       /* of the last step, before clipping; NaN for none */
    struct layer *layers;
    long n_packed;              /* elements of the packed parameters */
    long capacity;              /* rows of a pass at most */
    int sparse;                 /* for sparse rows: weights of layer 0 lie by rows, see sparse.h */
    long batch_panel;           /* elements from one panel of the batch to the next */
    char *memory;               /* all that follows is in here, from a cache line on */
    void *parameters, *gradient, *state[MAX_STATES];
    void *input, *target;       /* gathered rows of x and targets, in panels */
    int64_t *labels;            /* gathered, in place of targets */
    void *row_scale, *row_loss; /* per row of the pass */
    struct weight_task *tasks;
    long n_tasks;
    double *task_penalty;       /* of each task's weights, before the update; lazy ones: sparse.c */
    double *task_norm;          /* sum of its squared gradient */
    double *task_clipped;       /* the same after clip_value */
    char *scratch;              /* one piece a thread */
    long scratch_bytes;
    int n_threads;              /* at most */
    struct choice choice;

    /* The pass at hand. */
    const struct samples *samples;
    long first_row, n_rows, block_rows;
    long step, position;        /* 1 for the first; of the pass's first row in the batch */
    double scale;               /* 1 / total weight of the batch */
    int accumulate;             /* add to the gradient of earlier passes of the batch */
    int finish;                 /* last pass of the batch: penalise and update */
    struct look_ahead look_ahead;
    double l2, l1;
    double factor;              /* of the gradient, by clip_norm */
    struct update update;

    /* Sparse rows. Where only stored entries are touched, the weights of layer 0 are `shrink` times
       what is in memory. */
    struct entries entries;
    char *entries_memory;
    struct sparse_rows rows;
    int lazy;                   /* this step touches features with entries only */
    double shrink, next_shrink;
    double squares;             /* of the weights in memory, below 0 where unknown */
};

/* What an engine is made for. Pointers may be NULL where nothing is said of any layer. */
struct design {
    const struct kernels *kernels;
    int n_layers;
    const long *sizes;
    const int *activations;                        /* of hidden layers */
    fastmlp_activation *const *custom_activations; /* of those that have ACTIVATION_custom */
    int output, rule;
    struct loss loss;
    long batch;                                    /* rows at most; 0: it only describes a network */
    int sparse;                                    /* for sparse rows, see sparse.h */
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

/* A product of plain matrices with a layer's start and end: C = f(A B + bias). */
struct product {
    const struct kernels *kernels;
    struct matrix a, b;         /* (n, depth) and (depth, columns) */
    int a_by_columns;           /* A is stored by columns: the gradient tile takes it as it is */
    long n, depth, columns;
    const void *bias;           /* contiguous, or NULL */
    double factor;              /* multiplies the product where there is no activation */
    int activation;             /* applied forward, or, with `activations`, backward */
    fastmlp_activation *custom; /* of ACTIVATION_custom */
    struct matrix activations;  /* (n, columns), data NULL for a forward product */
    void *c;                    /* (n, columns), contiguous */
    long block_rows, block_columns; /* of C; whole panels of columns */
    int in_place;               /* few rows: B is read where it is, see few_rows.h */
    char *scratch;
    long scratch_bytes;
};

/* A network applied to rows, straight from plain parameters or from packed ones. */
struct forward {
    const struct engine *engine;
    struct matrix x;
    const struct csr *sparse;   /* instead of x, or NULL; layer 0 then takes plain weights */
    const void *flat;
    long n, block_rows;
    int scores;                 /* leave out the output activation */
    void *out;                  /* (n, n_out), contiguous */
    char *scratch;              /* two halves for the layers' rows in turn, then output_scratch */
    long scratch_bytes, half_bytes;
};

/* Rows of scores with targets: errors and losses of an output layer, row-major in and out. */
struct output_rows {
    const struct kernels *kernels;
    struct samples samples;     /* x holds the scores */
    long n, n_out, block_rows;
    int output;
    struct loss loss;
    void *delta;                /* (n, n_out) contiguous, or NULL */
    void *row_loss;             /* (n,) or NULL */
    char *scratch;
    long scratch_bytes;
};

/* A kernel over elements: an activation (backward if b is given), column sums, or an update. */
enum elements_kind { ELEMENTS_activation, ELEMENTS_column_sums, ELEMENTS_update };
struct elements {
    const struct kernels *kernels;
    int what, activation;
    fastmlp_activation *custom; /* of ACTIVATION_custom */
    struct matrix a, b;         /* scores; delta and activations; gradient */
    long rows, columns;         /* an update has one row */
    double factor;
    const struct update *update;
    void *state[MAX_STATES];
    void *out;                  /* contiguous; the parameters of an update */
};

/* What is compiled once per instruction set and precision (kernels.c). */
struct kernels {
    const char *isa;
    int real_bytes, panel;
    int tile_panels;
    int task_features; /* features of a weight task */
    long (*output_scratch)(long n_out);
    void (*pack)(const struct engine *, const void *flat, void *packed, int from_layer);
    void (*unpack)(const struct engine *, const void *packed, void *flat);
    void (*refresh_transposed)(const struct engine *);
    void (*sort_entries)(struct engine *);
    double (*fold_shrink)(const struct engine *, double factor);
    void (*rows_block)(void *engine, long block, int thread);
    void (*weights_task)(void *engine, long task, int thread);
    void (*update_task)(void *engine, long task, int thread);
    void (*bound_task)(void *engine, long panel, int thread);
    long (*product_scratch)(const struct product *);
    void (*product_block)(void *product, long block, int thread);
    void (*forward_block)(void *forward, long block, int thread);
    void (*forward_few)(const struct engine *, const void *flat, const struct forward *);
    void (*output_block)(void *output_rows, long block, int thread);
    void (*activate)(int activation, fastmlp_activation *custom, struct matrix z, long rows,
                     long columns, void *out);
    void (*activate_backward)(int activation, fastmlp_activation *custom, struct matrix delta,
                              struct matrix a, long rows, long columns, void *out);
    void (*column_sums)(struct matrix d, long rows, long columns, double factor, void *out);
    void (*update)(const struct update *, void *p, const void *g, void *const *state, long at,
                   long n);
    void (*function)(int which, const void *x, void *out, long n);
};

/* dispatch.c */
const struct kernels *fastmlp_kernels(int real_bytes);
const char *fastmlp_select_isa(const char *wanted); /* NULL, or what is wrong */
const char *fastmlp_isa(void);

/* names.c: codes by name, -1 for an unknown one; see there. */
int fastmlp_activation_code(const char *name);
int fastmlp_loss_code(const char *name);
int fastmlp_update_code(const char *name);
int fastmlp_constant_code(const char *name);
int fastmlp_loss_constant_code(const char *name);
int fastmlp_states(int rule);
void fastmlp_update_at(struct update *, double step, double learning_rate);

/* memory.c */
struct engine *fastmlp_engine_new(const struct design *);
void fastmlp_engine_free(struct engine *);

/* sparse.c */
int fastmlp_reserve_entries(struct engine *, const struct samples *, long batch);
void fastmlp_choose_lazy(struct engine *, const struct update *);
double fastmlp_sum_of_penalties(struct engine *);
void fastmlp_end_epoch(struct engine *);

/* engine.c */
void fastmlp_load(struct engine *, const void *parameters, const void *state);
void fastmlp_store(struct engine *, void *parameters, void *state);
unsigned long fastmlp_enter_steps(void);
void fastmlp_leave_steps(unsigned long mode);
double fastmlp_operations(const struct engine *, long rows);
double fastmlp_step(struct engine *, const struct samples *, long first_row, long n_rows, long step,
                    const struct penalty *, const struct update *);
double fastmlp_gradient(struct engine *, const void *parameters, const struct samples *,
                        long n_rows, const struct penalty *, void *gradient);
int fastmlp_forward(const struct engine *, const void *flat, struct matrix x,
                    const struct csr *sparse, long n, int scores, void *out, int n_threads);

/* choice.c */
void fastmlp_choice_start(struct choice *, int n_threads, double operations);
int fastmlp_choice_begin(struct choice *);
void fastmlp_choice_end(struct choice *, long rows);
void fastmlp_choice_pause(struct choice *);

/* calls.c */
int fastmlp_product(struct product *, int n_threads);
int fastmlp_output(struct output_rows *, int n_threads);
void fastmlp_elements(const struct elements *, int n_threads);

/* pool.c: a limit for the whole process, 0 for none, and what then runs at most. */
void fastmlp_set_num_threads(int limit);
int fastmlp_get_num_threads(void);
void fastmlp_set_default_threads(int n);

/* Calls task(context, 0 … n - 1, thread), each once, on up to n_threads threads of which
   the caller is one (thread 0); returns when all are done. */
typedef void fastmlp_task(void *context, long index, int thread);
void fastmlp_parallel(int n_threads, long n, fastmlp_task *, void *context);

#endif
