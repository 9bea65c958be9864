/* Kernels over elements: activations and their derivatives, column sums, updates. */
#include "native.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* Lengths around the vectors of every instruction set; the last two are work for several threads. */
static const long shapes[][2] = {
    {1, 1}, {1, 2}, {1, 3}, {2, 5}, {3, 6}, {1, 7}, {5, 12}, {7, 13}, {3, 15}, {6, 16}, {2, 17},
    {5, 31}, {31, 5}, {4, 33}, {97, 1}, {13, 97}, {300, 2}, {97, 640}, {3, 25000},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* Runs e on 1 … 4 threads; the first result is left in out, the others must equal it. */
static void run(struct elements *e, struct array *out)
{
    e->out = array_data(out);
    fastmlp_elements(e, 1);
    if (30.0 * (double)(e->rows * e->columns) < 1e6)
        return;
    for (int threads = 2; threads <= 4; threads++) {
        struct array again = array_new(out->real_bytes, out->rows, out->columns, LAYOUT_rows);
        e->out = array_data(&again);
        fastmlp_elements(e, threads);
        check_bits("several threads", &again, out);
        array_free(&again);
    }
}

static void test_activation(const struct kernels *k, int activation, int backward, long rows,
                            long columns, int a_layout, int b_layout)
{
    const int real = k->real_bytes;
    const double epsilon = epsilon_of(real);
    if (!begin_case("%s %s: %ld x %ld, %s, %s", activation_name(activation),
                    backward ? "backward" : "forward", rows, columns, layout_name(a_layout),
                    layout_name(b_layout)))
        return;
    struct array a = array_new(real, rows, columns, a_layout);
    struct array b = array_new(real, rows, columns, b_layout);
    struct array out = array_new(real, rows, columns, LAYOUT_rows);
    double *want = malloc(2 * (size_t)(rows * columns) * sizeof *want);
    double *tolerance = want + rows * columns, *z = malloc((size_t)columns * sizeof *z);
    array_fill(&a, -9, 9);
    for (long r = 0; r < rows; r++)
        for (long c = 0; c < columns; c++)
            array_set(&b, r, c, oracle_kept(activation, uniform(-3, 3)));
    for (long r = 0; r < rows; r++) {
        double *want_r = want + r * columns, *tolerance_r = tolerance + r * columns;
        for (long c = 0; c < columns; c++)
            z[c] = array_get(&a, r, c);
        if (!backward)
            oracle_output(activation, columns, z, want_r);
        for (long c = 0; c < columns; c++) {
            if (backward)
                want_r[c] = z[c] * oracle_derivative(activation, array_get(&b, r, c));
            /* A derivative near 0 is the difference of numbers near 1; exp multiplies the rounding of
               its argument, which for gelu_tanh grows like the cube of the score. */
            const double cube = activation == ACTIVATION_gelu_tanh ? pow(fabs(z[c]), 3) : 0;
            tolerance_r[c] = backward ? 4 * epsilon * (fabs(z[c]) + fabs(want_r[c]))
                             : activation == ACTIVATION_softmax
                                 ? epsilon * (double)(columns + 16) * want_r[c]
                                 : (8 + cube) * epsilon * fabs(want_r[c]);
        }
    }
    struct elements e = {.kernels = k, .what = ELEMENTS_activation, .activation = activation,
                         .a = a.m, .rows = rows, .columns = columns, .factor = 1};
    if (backward)
        e.b = b.m;
    run(&e, &out);
    check_array(backward ? "delta" : "activation", &out, want, tolerance);
    free(want);
    free(z);
    array_free(&a);
    array_free(&b);
    array_free(&out);
}

/* Every position in a vector meets every special value. */
static void test_special_values(const struct kernels *k, int activation)
{
    const int real = k->real_bytes;
    const double special[] = {NAN, INFINITY, -INFINITY, 0, -0.0, 1, -1, real == 4 ? 1e38 : 1e308,
                              real == 4 ? -1e38 : -1e308, real == 4 ? 1e-40 : 1e-310, -700, 100};
    enum { N = sizeof special / sizeof *special, COLUMNS = 47 };
    if (!begin_case("%s forward: special values", activation_name(activation)))
        return;
    struct array z = array_new(real, N, COLUMNS, LAYOUT_rows), out = array_new(real, N, COLUMNS, LAYOUT_rows);
    double want[N * COLUMNS], tolerance[N * COLUMNS];
    for (long i = 0; i < N * COLUMNS; i++) {
        array_set(&z, i / COLUMNS, i % COLUMNS, special[(i / COLUMNS + i % COLUMNS) % N]);
        double x = array_get(&z, i / COLUMNS, i % COLUMNS);
        want[i] = isnan(x) ? NAN : oracle_activate(activation, x);
        tolerance[i] = 8 * epsilon_of(real) * fabs(want[i]) + (real == 4 ? 0x1p-149 : 0x1p-1074);
        if (real == 4 && fabs(want[i]) > FLT_MAX)
            want[i] = copysign(INFINITY, want[i]);
        if (isinf(want[i]))
            tolerance[i] = 0;
    }
    struct elements e = {.kernels = k, .what = ELEMENTS_activation, .activation = activation,
                         .a = z.m, .rows = N, .columns = COLUMNS, .factor = 1};
    run(&e, &out);
    check_array("activation", &out, want, tolerance);
    for (long i = 0; i < N * COLUMNS; i++) /* the sign of a zero */
        if (want[i] == 0 && activation == ACTIVATION_tanh &&
            !signbit(array_get(&out, i / COLUMNS, i % COLUMNS)) !=
                !signbit(array_get(&z, i / COLUMNS, i % COLUMNS)))
            fail("tanh loses the sign of zero at element %ld", i);
    array_free(&z);
    array_free(&out);
}

static void test_column_sums(const struct kernels *k, long rows, long columns, int layout)
{
    const int real = k->real_bytes;
    if (!begin_case("column sums: %ld x %ld, %s", rows, columns, layout_name(layout)))
        return;
    struct array d = array_new(real, rows, columns, layout), out = array_new(real, 1, columns, LAYOUT_rows);
    double *want = calloc(2 * (size_t)columns, sizeof *want), *tolerance = want + columns;
    const double factor = 1 / (double)(rows ? rows : 1);
    array_fill(&d, -1, 1);
    for (long c = 0; c < columns; c++)
        for (long r = 0; r < rows; r++) {
            want[c] += factor * array_get(&d, r, c);
            tolerance[c] += epsilon_of(real) * (double)(rows + 2) * factor * fabs(array_get(&d, r, c));
        }
    struct elements e = {.kernels = k, .what = ELEMENTS_column_sums, .a = d.m, .rows = rows,
                         .columns = columns, .factor = factor};
    run(&e, &out);
    check_array("sums", &out, want, tolerance);
    free(want);
    array_free(&d);
    array_free(&out);
}

static void test_update(const struct kernels *k, const struct rule_case *rule, double step, long n)
{
    const double rate = 0.1;
    const int real = k->real_bytes, states = fastmlp_states(rule->update.rule);
    enum { VECTORS = 1 + MAX_STATES }; /* parameters and states */
    struct update u = rule->update;
    if (!begin_case("update %s: n=%ld, step %g", rule->name, n, step))
        return;
    fastmlp_update_at(&u, step, rate);
    struct array p[VECTORS], start[VECTORS], gradient = array_new(real, 1, n, LAYOUT_rows);
    double *want[VECTORS], *tolerance = malloc((size_t)n * sizeof *tolerance);
    array_fill(&gradient, -1, 1);
    for (int i = 0; i < VECTORS; i++) {
        p[i] = array_new(real, 1, n, LAYOUT_rows);
        start[i] = array_new(real, 1, n, LAYOUT_rows);
        array_fill(&p[i], i == 0 ? -1 : 0.25, CONSTANT(&u, centered) != 0 && i == 2 ? 0.3 : 1);
        array_copy(&start[i], &p[i]);
        want[i] = malloc((size_t)n * sizeof *want[i]);
    }
    for (long j = 0; j < n; j++) {
        double s[MAX_STATES];
        for (int i = 0; i < MAX_STATES; i++)
            s[i] = array_get(&p[i + 1], 0, j);
        want[0][j] = array_get(&p[0], 0, j);
        oracle_update(&u, step, rate, &want[0][j], array_get(&gradient, 0, j), s);
        for (int i = 0; i < MAX_STATES; i++)
            want[i + 1][j] = s[i];
    }
    struct elements e = {.kernels = k, .what = ELEMENTS_update, .a = gradient.m, .rows = 1,
                         .columns = n, .factor = 1, .update = &u, .out = array_data(&p[0])};
    for (int i = 0; i < states; i++)
        e.state[i] = array_data(&p[i + 1]);
    fastmlp_elements(&e, 1);
    for (int i = 0; i <= states; i++) { /* all terms are of the size of 1 */
        for (long j = 0; j < n; j++)
            tolerance[j] = 64 * epsilon_of(real) * (1 + fabs(want[i][j]));
        check_array(i ? "state" : "parameters", &p[i], want[i], tolerance);
    }
    e.out = array_data(&start[0]);
    for (int i = 0; i < states; i++)
        e.state[i] = array_data(&start[i + 1]);
    fastmlp_elements(&e, 3);
    for (int i = 0; i <= states; i++)
        check_bits("3 threads", &start[i], &p[i]);
    for (int i = 0; i < VECTORS; i++) {
        free(want[i]);
        array_free(&p[i]);
        array_free(&start[i]);
    }
    free(tolerance);
    array_free(&gradient);
}

/* What engines rely on: without a gradient, zeros of the padding stay zeros. */
static void test_padding(const struct kernels *k, const struct rule_case *rule)
{
    enum { N = 37 };
    if (!begin_case("update %s: padding", rule->name))
        return;
    struct update u = rule->update;
    struct array p = array_new(k->real_bytes, 1, N, LAYOUT_rows), zeros[1 + MAX_STATES];
    CONSTANT(&u, epsilon) = 0;
    for (int i = 0; i <= MAX_STATES; i++) {
        zeros[i] = array_new(k->real_bytes, 1, N, LAYOUT_rows);
        array_fill(&zeros[i], 0, 0);
    }
    array_fill(&p, 0, 0);
    struct elements e = {.kernels = k, .what = ELEMENTS_update, .a = zeros[MAX_STATES].m,
                         .rows = 1, .columns = N, .factor = 1, .update = &u, .out = array_data(&p)};
    for (int i = 0; i < MAX_STATES; i++)
        e.state[i] = array_data(&zeros[i]);
    for (int step = 1; step <= 8; step++) {
        fastmlp_update_at(&u, step, 0.1);
        fastmlp_elements(&e, 1);
    }
    for (long i = 0; i < N; i++)
        check_number("padding", array_get(&p, 0, i), 0, 0);
    array_free(&p);
    for (int i = 0; i <= MAX_STATES; i++)
        array_free(&zeros[i]);
}

void test_elements(const struct kernels *k)
{
    long number = 0;
    for (int s = 0; s < N_SHAPES; s++) {
        const long rows = shapes[s][0], columns = shapes[s][1];
        for (int activation = 0; activation <= ACTIVATION_softmax; activation++)
            for (int i = 0; i < 3; i++, number++) {
                int a = (int)(number % N_LAYOUTS), b = (int)(number / 2 % N_LAYOUTS);
                test_activation(k, activation, 0, rows, columns, a, b);
                if (activation != ACTIVATION_softmax)
                    test_activation(k, activation, 1, rows, columns, a, b);
            }
        for (int layout = 0; layout < N_LAYOUTS; layout++) {
            test_column_sums(k, rows, columns, layout);
            test_column_sums(k, columns, rows, layout);
        }
        for (long i = 0; i < n_rule_cases; i++) /* RAdam's rectification begins at step 6 */
            test_update(k, &rule_cases[i], 1 + (double)((s + i) % 9), rows * columns);
    }
    test_column_sums(k, 0, 17, LAYOUT_rows);
    for (int activation = 0; activation < ACTIVATION_softmax; activation++)
        test_special_values(k, activation);
    for (long i = 0; i < n_rule_cases; i++)
        test_padding(k, &rule_cases[i]);
}
