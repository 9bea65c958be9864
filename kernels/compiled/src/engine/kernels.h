/* The seam between the two kinds of translation units: the table of kernels, which passes/kernels.c fills
   once per instruction set and precision, and the caller's arrays as the kernels see them. */
#ifndef FASTMLP_KERNELS_H
#define FASTMLP_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "names.h"

/* A matrix of the caller's, any strides (in bytes). They are as wide as pointers, which `long` is not on
   64-bit Windows: a place of it is found there beyond 2 GB as well. */
struct matrix {
    const char *data;
    ptrdiff_t row_stride, column_stride;
};

/* Rows in compressed sparse form: row r has the values starts[r] … starts[r + 1] - 1. */
struct csr {
    const void *values, *columns, *starts;
    long n_entries;                /* of values and columns */
    int column_bytes, start_bytes; /* of the integers: 4 or 8 */
};

/* The caller's samples. Row r of a pass is row order[r] of x (r itself without an order). */
struct samples {
    struct matrix x, target;   /* x.data is NULL for sparse rows */
    struct csr sparse;
    const int64_t *labels;     /* class labels instead of targets, or NULL */
    const void *sample_weight; /* contiguous, or NULL */
    struct matrix factors;     /* of each target of a row, beside its weight: (n, targets) */
    long targets;              /* how many, 0 for none: outputs then have their rows' weights alone */
    const int64_t *order;      /* or NULL */
    long n_rows;               /* of the order, or of x without one */
};

/* What the caller's integers turned out to be, checked where they are read: another thread may have
   changed them since the call began. */
enum fault { FAULT_none, FAULT_label, FAULT_entry, FAULT_interrupted };
static inline void report(int *fault, int what) { __atomic_store_n(fault, what, __ATOMIC_RELAXED); }

struct design;
struct engine;
struct product;
struct forward;
struct derivative;
struct hessian;
struct lanes;
struct lane_step;

/* What is compiled once per instruction set and precision (kernels.c). */
struct kernels {
    const char *isa;
    int real_bytes, panel;
    int tile_panels, tile_rows, depth_block, chain_rows, narrow_columns; /* see products.h, tiles.h, few_rows.h */
    int task_features; /* features of a weight task */
    long (*output_scratch)(long n_out);
    long plain_scratch; /* bytes of a piece of weights, packed by predictions */
    void (*pack)(const struct design *, const void *flat, void *packed, int from_layer, long skipped);
    void (*pack_weights)(const struct design *, const void *flat, void *packed, long skipped, int layer,
                         long first, long last);
    void (*unpack)(const struct design *, const void *packed, void *flat);
    void (*refresh_transposed)(const struct engine *);
    void (*gather_entries)(struct engine *);
    double (*fold_shrink)(const struct engine *, double factor);
    void (*rows_block)(void *engine, long block, int thread);
    void (*weights_group)(void *engine, long group, int thread);
    double (*small_step)(struct engine *, const struct samples *, long first_row, long n_rows, long step,
                         double rate);
    void (*update_task)(void *engine, long task, int thread);
    void (*bound_task)(void *engine, long panel, int thread);
    void (*descend_task)(void *engine, long task, int thread);
    long (*product_scratch)(const struct product *);
    void (*product_block)(void *product, long block, int thread);
    void (*forward_block)(void *forward, long block, int thread);
    void (*forward_few)(const struct design *, const void *flat, struct forward *, int threads);
    void (*derivative_pack)(struct derivative *);
    void (*derivative_block)(void *derivative, long block, int thread);
    void (*hessian_pack)(struct hessian *);
    void (*hessian_forward)(void *hessian, long block, int thread);
    void (*hessian_back)(void *hessian, long block, int thread);
    void (*hessian_weights)(void *hessian, long task, int thread);
    void (*output_block)(void *output_rows, long block, int thread);
    void (*activate)(int activation, fastmlp_activation *custom, struct matrix z, long rows,
                     long columns, void *out);
    void (*activate_backward)(int activation, fastmlp_activation *custom, struct matrix delta,
                              struct matrix a, long rows, long columns, void *out);
    void (*column_sums)(struct matrix d, long rows, long columns, double factor, void *out);
    void (*update)(const struct update *, void *p, const void *g, void *const *state, long at,
                   long n);
    int lanes; /* of a vector: so many networks are trained side by side */
    void (*lane_step)(struct lanes *, struct lane_step *);
    void (*gauss_rows)(void *gauss_newton, long block, int thread);
    void (*curvature_rows)(void *gauss_newton, long block, int thread);
    void (*gauss_task)(void *gauss_newton, long task, int thread);
    long (*positive_scratch)(long n); /* bytes of the next one's */
    int (*solve_positive)(const void *a, const void *b, long n, void *scratch, void *x, int n_threads);
    void (*function)(int which, const void *x, void *out, long n);
};

/* dispatch.c */
const struct kernels *fastmlp_kernels(int real_bytes);
const char *fastmlp_select_isa(const char *wanted); /* NULL, or what is wrong */
const char *fastmlp_isa(void);
extern const char fastmlp_left_out[]; /* instruction sets that were not built, in words */

#endif
