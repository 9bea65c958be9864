/* Calls on plain arrays and predictions: what is computed, and how it is cut into blocks. */
#ifndef FASTMLP_CALLS_H
#define FASTMLP_CALLS_H

#include "engine/kernels.h"

/* A product of plain matrices with a layer's start and end: C = f(A B + bias). */
struct product {
    const struct kernels *kernels;
    struct matrix a, b;         /* (n, depth) and (depth, columns) */
    int over_rows;              /* a gradient: A is x^T, and sums run over the rows of x and B */
    long n, depth, columns;
    const void *bias;           /* contiguous, or NULL */
    double factor;              /* multiplies the product where there is no activation */
    int activation;             /* applied forward, or, with `activations`, backward */
    fastmlp_activation *custom; /* of ACTIVATION_custom */
    struct matrix activations;  /* (n, columns), data NULL for a forward product */
    void *c;                    /* (n, columns), contiguous */
    long block_rows, block_columns; /* of C; whole panels of columns */
    long piece_rows, piece_depth; /* of A that are packed at a time */
    long run_panels;            /* of B of a gradient that strips of A pass by in turn */
    int direct;                 /* sums go into C, not into panels, see plain/products.h */
    int plain;                  /* few rows: B is read where it is by tiles, see plain_weights.h */
    int in_place;               /* few rows: B is read where it is, see few_rows.h and few_dots.h */
    int several_sums;           /* over so many rows that their sum is taken in parts */
    char *scratch;
    long scratch_bytes;
};

/* Whether so many rows are copied before tiles read them, as they lie multiples of 1 KB apart and would meet in the
   same sets of the first-level cache. */
static inline int rows_collide(struct matrix x, long n, long tile_rows)
{
    return x.row_stride % 1024 == 0 && n > tile_rows;
}

/* A network applied to rows. Parameters are in panels from element `skipped` on; weights before that are
   read where they lie (plain_weights.h). Rows are cut into blocks by the sizes of the caches (caches.h). */
struct forward {
    const struct design *design;
    struct matrix x;
    const struct csr *sparse;   /* instead of x, or NULL; layer 0 then takes plain weights */
    const void *flat;           /* all parameters as users have them */
    const void *packed;         /* where element `skipped` of the panels is; NULL: packed by the call */
    long skipped;
    long n, block_rows;
    long depth_block;           /* of a product: so much of its depth at a time */
    int column_threads;         /* share the columns of layers with many weights; 1: none do */
    int scores;                 /* leave out the output activation */
    int fault;                  /* enum fault, found on the way */
    void *out;                  /* (n, n_out), contiguous */
    char *scratch;              /* two halves for the layers' rows in turn, then what kernels want */
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
    int fault;                  /* enum fault, found on the way */
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

/* Memory for one call, aligned to cache lines; NULL without memory. */
char *fastmlp_scratch_take(long bytes);
void fastmlp_scratch_give(char *memory);

/* calls.c. Like other calls they return 0, or the bytes of the memory that there was not. */
double fastmlp_product(struct product *, int n_threads);
double fastmlp_output(struct output_rows *, int n_threads);
void fastmlp_elements(const struct elements *, int n_threads);

/* predictions.c, of a network that an engine describes */
long fastmlp_packed_bytes(const struct design *);
void fastmlp_pack(const struct design *, const void *flat, void *packed);
double fastmlp_forward(const struct design *, struct forward *, int n_threads);
int fastmlp_is_brief(const struct design *, long n);

/* ranges.c */
int fastmlp_reals_within(const void *, long n, int real_bytes, double low, double high);
int fastmlp_labels_within(const int64_t *, long n, long n_out);

#endif
