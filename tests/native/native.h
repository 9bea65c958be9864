/* Tests of the C kernels against plain loops in double precision, without Python.

   arrays.c     random numbers, matrices of any layout, comparisons and their reports
   oracle.c     the equations of a network as plain loops; oracle_functions.c, oracle_losses.c,
                oracle_rules.c: those of a unit, a row, a parameter
   functions.c, products.c, elements.c, outputs.c, networks.c, threads.c,
   thread_choice.c     the tests
   main.c       which of them run, on which instruction sets

   `tests/native/run` builds and runs them. */
#ifndef NATIVE_H
#define NATIVE_H

#include "fastmlp.h"

/* Cases ------------------------------------------------------------------------------------------

   A case has a name that says all about it. Its data follow from the name alone: they are the same
   on every machine, and when only some of the cases run. */

extern long cases_run, failures;
extern long thin;        /* only every thin-th case runs */
extern const char *skip; /* and none whose name has this in it; may be NULL */

void set_subject(const char *subject); /* printed before the names of the cases */
/* 0 when this case is left out. */
int begin_case(const char *name, ...) __attribute__((format(printf, 1, 2)));
void fail(const char *what, ...) __attribute__((format(printf, 1, 2)));

double uniform(double low, double high);
long whole(long low, long high); /* both included */
double epsilon_of(int real_bytes);

/* Matrices -------------------------------------------------------------------------------------- */

enum layout {
    LAYOUT_rows,           /* contiguous */
    LAYOUT_columns,        /* stored by columns */
    LAYOUT_spaced,         /* every other element of rows that are longer */
    LAYOUT_reversed,       /* both strides negative */
    LAYOUT_reversed_rows,  /* the last row first */
    LAYOUT_upside_columns, /* stored by columns, the rows from the end */
    LAYOUT_one_row,        /* one row for all: stride 0 */
    N_LAYOUTS
};
const char *layout_name(int layout);

struct array {
    int real_bytes;
    long rows, columns;
    struct matrix m; /* as the kernels take it */
    char *memory;
    long bytes;
};

/* Memory of exactly the size, between guards that array_free checks. */
struct array array_new(int real_bytes, long rows, long columns, int layout);
void array_free(struct array *);
double array_get(const struct array *, long row, long column);
void array_set(struct array *, long row, long column, double value); /* rounds to the precision */
void array_fill(struct array *, double low, double high);
void array_copy(struct array *, const struct array *from); /* of equal shape and layout */
void *array_data(const struct array *);

/* Comparisons ------------------------------------------------------------------------------------

   A NaN equals a NaN, an infinity itself; else |got - want| <= tolerance. */
void check_number(const char *what, double got, double want, double tolerance);
/* want and tolerance row by row. */
void check_array(const char *what, const struct array *got, const double *want,
                 const double *tolerance);
/* tolerance = factor * epsilon * (largest |want| + |want| + 1e-2): sums that cancel are not exact */
void check_scaled(const char *what, const struct array *got, const double *want, double factor);
int is_scaled(const struct array *got, const double *want, double factor); /* whether it would pass */
/* The same with a spread of each element's own added to its tolerance. */
void check_spread(const char *what, const struct array *got, const double *want, double factor,
                  const double *spread);
void check_bits(const char *what, const struct array *got, const struct array *want);

/* Of a designated initialiser of struct update. */
#define SET(NAME) .constants[CONSTANT_##NAME]

/* oracle*.c ------------------------------------------------------------------------------------- */

const char *activation_name(int activation);
const char *loss_name(int loss);
long double normal_cdf(long double z);
double oracle_activate(int activation, double z); /* not softmax */
/* What the derivative is computed from: the activation, or for some the score itself. */
double oracle_kept(int activation, double z);
double oracle_derivative(int activation, double kept); /* by the score */
/* The next activation of hidden layers after this one, round and round. */
int hidden_activation(long number);
void oracle_output(int output, long n, const double *z, double *a);
struct loss_case {
    int loss, output;
    double constant;
};
extern const struct loss_case loss_cases[];
extern const long n_loss_cases;
struct loss loss_of(const struct loss_case *);
/* Loss of one row, whose targets may be of a label; delta = its derivative by the scores. */
double oracle_loss(const struct loss_case *, int one_hot, long n, const double *z, const double *y,
                   double *delta);
/* Values that the targets of a loss may have. */
double draw_target(int loss);
/* Rules with all the constants that change what they do; rate and step are not in them. */
struct rule_case {
    const char *name;
    struct update update;
};
extern const struct rule_case rule_cases[];
extern const long n_rule_cases, n_sign_cases; /* of signs: the last ones */
/* One step from the formula alone: nothing that fastmlp_update_at has set is used. */
void oracle_update(const struct update *, double step, double rate, double *p, double g, double *s);

enum { MAX_LAYERS = 6 };
struct network {
    int n_layers;
    long sizes[MAX_LAYERS + 1];
    int activations[MAX_LAYERS];
    struct loss_case end;
};
long network_parameters(const struct network *);
long network_width(const struct network *); /* values of one row: input and scores of all layers */
/* Values of one row through the network: values[0 …] is the input and then the activations of each
   layer, of which the last stays without the output activation; kept, of the same length or NULL,
   what derivatives are computed from. Returns how far the nearest score of a hidden layer is from
   where its activation has no derivative. */
double oracle_forward(const struct network *, const double *parameters, double *values,
                      double *kept);

struct batch {
    const struct array *x, *target, *weight; /* target or labels; weight may be NULL */
    const int64_t *labels, *order;
    long first, n;                           /* rows of the order, or of x */
};
/* Loss of the batch with its penalty, and the gradient. */
double oracle_gradient(const struct network *, const double *parameters, const struct batch *,
                       double l2, int l2_over_batch, double *gradient);

/* The families of tests, for one table of kernels ------------------------------------------------ */

void test_functions(const struct kernels *);
void test_products(const struct kernels *);
void test_elements(const struct kernels *);
void test_outputs(const struct kernels *);
void test_networks(const struct kernels *);
void test_predictions(const struct kernels *);
void test_threads(const struct kernels *);
void test_concurrent_networks(const struct kernels *); /* part of test_threads */
void test_tuner(const struct kernels *);

#endif
