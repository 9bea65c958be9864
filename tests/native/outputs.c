/* The output layer: losses of rows and their errors, from scores and targets. */
#include "native.h"

#include <math.h>
#include <stdlib.h>

static const long rows_of[] = {1, 2, 5, 6, 7, 13, 16, 17, 33, 97, 200};
static const long columns_of[] = {1, 2, 3, 7, 8, 12, 15, 16, 17, 31, 33, 97, 520};
enum { N_ROWS = sizeof rows_of / sizeof *rows_of, N_COLUMNS = sizeof columns_of / sizeof *columns_of };

/* Rounding is relative to the terms, not to what remains: the size of a score's activation, of its
   term of the loss and of the terms of its error. */
static double activation_size(const struct loss_case *end, double z)
{
    return end->output == ACTIVATION_identity ? fabs(z) : end->output == ACTIVATION_exp ? exp(z) : 1;
}

static double term_of(const struct loss_case *end, double z, double y)
{
    const double a = activation_size(end, z);
    const int of_scores = end->loss == LOSS_cross_entropy || end->loss == LOSS_binary_cross_entropy ||
                          end->loss == LOSS_poisson;
    return of_scores ? a + fabs(z) * (1 + fabs(y)) : (2 + a) * (2 + a);
}

static double delta_size(const struct loss_case *end, double z, double mass)
{
    const double a = activation_size(end, z);
    return end->loss == LOSS_cross_entropy ? 1 + mass
                                           : (2 + a) * (end->output == ACTIVATION_exp ? 1 + a : 2);
}

/* Errors and losses by several threads, each without the other, too: the same bits. */
static void check_alone(struct output_rows *o, const struct array *delta, const struct array *losses)
{
    for (int threads = 1; threads <= 4; threads++) {
        struct array d = array_new(delta->real_bytes, delta->rows, delta->columns, LAYOUT_rows);
        struct array l = array_new(delta->real_bytes, delta->rows, 1, LAYOUT_rows);
        o->delta = threads == 3 ? NULL : array_data(&d);
        o->row_loss = threads == 2 ? NULL : array_data(&l);
        if (fastmlp_output(o, threads))
            fail("no memory");
        if (o->delta)
            check_bits("delta, several threads", &d, delta);
        if (o->row_loss)
            check_bits("losses, several threads", &l, losses);
        array_free(&d);
        array_free(&l);
    }
}

/* What must come out, element by element, and how far off rounding may be. */
struct expected {
    double *delta, *losses, *delta_tolerance, *loss_tolerance;
};

/* labels and weight may be NULL. */
static void expect(const struct loss_case *end, const struct array *z, const struct array *y,
                   const int64_t *labels, const struct array *weight, struct expected *e)
{
    const long n_out = z->columns;
    const double unit = epsilon_of(z->real_bytes) * (16 + (double)n_out / 8);
    double *row = malloc(2 * (size_t)n_out * sizeof *row), *target = row + n_out;
    for (long r = 0; r < z->rows; r++) {
        double size = 0, mass = 0, highest = 0;
        const double scale = weight ? array_get(weight, r, 0) : 1;
        for (long c = 0; c < n_out; c++) {
            row[c] = array_get(z, r, c);
            target[c] = labels ? labels[r] == c : array_get(y, r, c);
            mass += target[c];
            highest = fmax(highest, fabs(row[c]));
        }
        e->losses[r] = oracle_loss(end, labels != NULL, n_out, row, target, e->delta + r * n_out);
        for (long c = 0; c < n_out; c++) {
            size += 1 + term_of(end, row[c], target[c]);
            e->delta[r * n_out + c] *= scale;
            e->delta_tolerance[r * n_out + c] = unit * scale * delta_size(end, row[c], mass);
        }
        e->loss_tolerance[r] =
            unit * (size + (end->loss == LOSS_cross_entropy ? mass * (highest + 1) : 0));
    }
    free(row);
}

static void test_output(const struct kernels *k, const struct loss_case *end, long n, long n_out,
                        long number)
{
    const int loss = end->loss, output = end->output;
    const int real = k->real_bytes, with_labels = number % 2, weighted = number % 3 == 0;
    const int z_layout = (int)(number % N_LAYOUTS), y_layout = (int)(number / 3 % N_LAYOUTS);
    const double spread = number % 5 == 0 && output != ACTIVATION_exp ? 80 : 4; /* scores of which some saturate, or none */
    if (!begin_case("output %s (%g) of %s: %ld x %ld %s, scores %s up to %g, targets %s%s",
                    loss_name(loss), end->constant, activation_name(output), n, n_out,
                    with_labels ? "labels" : "dense", layout_name(z_layout), spread,
                    layout_name(y_layout), weighted ? ", weights" : ""))
        return;
    struct array z = array_new(real, n, n_out, z_layout), y = array_new(real, n, n_out, y_layout);
    struct array weight = array_new(real, n, 1, LAYOUT_rows);
    struct array delta = array_new(real, n, n_out, LAYOUT_rows), losses = array_new(real, n, 1, LAYOUT_rows);
    int64_t *labels = malloc((size_t)n * sizeof *labels);
    double *want = malloc(2 * (size_t)(n * (n_out + 1)) * sizeof *want), *want_losses = want + n * n_out;
    double *tolerance = want_losses + n, *loss_tolerance = tolerance + n * n_out;
    array_fill(&z, -spread, spread);
    for (long r = 0; r < n; r++)
        for (long c = 0; c < n_out; c++)
            array_set(&y, r, c, draw_target(loss));
    array_fill(&weight, 0, 2);
    for (long r = 0; r < n; r++)
        labels[r] = whole(0, n_out - 1);
    struct expected expected = {want, want_losses, tolerance, loss_tolerance};
    expect(end, &z, &y, with_labels ? labels : NULL, weighted ? &weight : NULL, &expected);
    struct output_rows o = {
        .kernels = k, .n = n, .n_out = n_out, .loss = loss_of(end), .output = output,
        .samples = {.x = z.m, .target = y.m, .labels = with_labels ? labels : NULL,
                    .sample_weight = weighted ? array_data(&weight) : NULL, .n_rows = n},
        .delta = array_data(&delta), .row_loss = array_data(&losses),
    };
    if (with_labels)
        o.samples.target = (struct matrix){0};
    if (fastmlp_output(&o, 1))
        fail("no memory");
    check_array("delta", &delta, want, tolerance);
    check_array("losses", &losses, want_losses, loss_tolerance);

    check_alone(&o, &delta, &losses);
    free(labels);
    free(want);
    array_free(&z);
    array_free(&y);
    array_free(&weight);
    array_free(&delta);
    array_free(&losses);
}

void test_outputs(const struct kernels *k)
{
    long number = 0;
    for (long p = 0; p < n_loss_cases; p++)
        for (int r = 0; r < N_ROWS; r++)
            for (int c = 0; c < N_COLUMNS; c++)
                test_output(k, &loss_cases[p], rows_of[r], columns_of[c], number++);
}
