/* The output layer: losses of rows and their errors, from scores and targets. */
#include "native.h"

#include <math.h>
#include <stdlib.h>

static const long rows_of[] = {1, 2, 5, 6, 7, 13, 16, 17, 33, 97, 200};
static const long columns_of[] = {1, 2, 3, 7, 8, 12, 15, 16, 17, 31, 33, 97, 520};
enum { N_ROWS = sizeof rows_of / sizeof *rows_of, N_COLUMNS = sizeof columns_of / sizeof *columns_of };

static void test_output(const struct kernels *k, const struct loss_case *end, long n, long n_out,
                        long number)
{
    const int loss = end->loss, output = end->output;
    const int real = k->real_bytes, with_labels = number % 2, weighted = number % 3 == 0;
    const int z_layout = (int)(number % N_LAYOUTS), y_layout = (int)(number / 3 % N_LAYOUTS);
    const double spread = number % 5 == 0 && output != ACTIVATION_exp ? 80 : 4; /* scores of which some saturate, or none */
    const double epsilon = epsilon_of(real);
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
    double *row = malloc(2 * (size_t)n_out * sizeof *row), *target = row + n_out;
    array_fill(&z, -spread, spread);
    for (long r = 0; r < n; r++)
        for (long c = 0; c < n_out; c++)
            array_set(&y, r, c, draw_target(loss));
    array_fill(&weight, 0, 2);
    for (long r = 0; r < n; r++) {
        double size = 0, mass = 0, highest = 0;
        labels[r] = whole(0, n_out - 1);
        for (long c = 0; c < n_out; c++) {
            row[c] = array_get(&z, r, c);
            target[c] = with_labels ? labels[r] == c : array_get(&y, r, c);
            mass += target[c];
            highest = fmax(highest, fabs(row[c]));
        }
        want_losses[r] = oracle_loss(end, with_labels, n_out, row, target, want + r * n_out);
        for (long c = 0; c < n_out; c++) { /* rounding is relative to the terms, not to what remains */
            const int of_scores = output == ACTIVATION_identity;
            const double a = of_scores ? fabs(row[c]) : output == ACTIVATION_exp ? exp(row[c]) : 1;
            const double term = loss == LOSS_cross_entropy || loss == LOSS_binary_cross_entropy ||
                                        loss == LOSS_poisson
                                    ? a + fabs(row[c]) * (1 + fabs(target[c]))
                                    : (2 + a) * (2 + a);
            const double scale = weighted ? array_get(&weight, r, 0) : 1;
            size += 1 + term;
            want[r * n_out + c] *= scale;
            tolerance[r * n_out + c] =
                epsilon * scale * (16 + (double)n_out / 8) *
                (loss == LOSS_cross_entropy ? 1 + mass
                                            : (2 + a) * (output == ACTIVATION_exp ? 1 + a : 2));
        }
        loss_tolerance[r] = epsilon * (16 + (double)n_out / 8) *
                            (size + (loss == LOSS_cross_entropy ? mass * (highest + 1) : 0));
    }
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

    for (int threads = 1; threads <= 4; threads++) { /* each alone, too */
        struct array d = array_new(real, n, n_out, LAYOUT_rows), l = array_new(real, n, 1, LAYOUT_rows);
        o.delta = threads == 3 ? NULL : array_data(&d);
        o.row_loss = threads == 2 ? NULL : array_data(&l);
        if (fastmlp_output(&o, threads))
            fail("no memory");
        if (o.delta)
            check_bits("delta, several threads", &d, &delta);
        if (o.row_loss)
            check_bits("losses, several threads", &l, &losses);
        array_free(&d);
        array_free(&l);
    }
    free(labels);
    free(want);
    free(row);
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
