/* Products of plain matrices: forward, errors backward, gradients.

   The bound on the error of a sum of products is the rigorous one, depth * epsilon * sum |a b|,
   far below a single product that were left out or taken twice. */
#include "native.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum kind { FORWARD, BACKWARD, GRADIENT };
static const char *const kind_names[] = {"forward", "backward", "gradient"};

static const long sizes[] = {1, 2, 5, 6, 7, 12, 13, 15, 16, 17, 31, 33, 97};
enum { N_SIZES = sizeof sizes / sizeof *sizes };
/* Beyond the blocks of depth, of rows and of columns; from the ninth on, work for several threads. */
static const long long_shapes[][3] = {
    {5, 0, 17}, {33, 127, 6}, {7, 257, 17}, {13, 530, 33}, {97, 256, 16}, {193, 31, 7},
    {385, 5, 17}, {6, 12, 257}, {97, 97, 97}, {203, 131, 67}, {1000, 33, 31}, {65, 129, 515},
    {6, 1100, 129}, {4, 300, 900}, {2000, 385, 1}, {1000, 33, 37}, {1100, 300, 40}, {150, 70, 45},
    {30, 600, 150},
};
enum { N_LONG = sizeof long_shapes / sizeof *long_shapes };

struct operands {
    struct array a, b, bias, activations, c;
};

/* What the product is, and how far a kernel may be from it. */
static void expect(const struct operands *o, enum kind kind, int activation, double factor,
                   double *want, double *tolerance)
{
    const long n = o->a.rows, depth = o->a.columns, columns = o->b.columns;
    const double epsilon = epsilon_of(o->c.real_bytes);
    double *z = malloc((size_t)columns * sizeof *z);
    for (long r = 0; r < n; r++, want += columns, tolerance += columns) {
        double worst = 0;
        for (long j = 0; j < columns; j++) {
            double sum = kind == FORWARD ? array_get(&o->bias, 0, j) : 0, size = fabs(sum);
            for (long k = 0; k < depth; k++) {
                double term = array_get(&o->a, r, k) * array_get(&o->b, k, j);
                sum += term;
                size += fabs(term);
            }
            z[j] = sum;
            tolerance[j] = epsilon * (double)(depth + 2) * size;
            worst = fmax(worst, tolerance[j]);
        }
        if (kind == FORWARD)
            oracle_output(activation, columns, z, want);
        for (long j = 0; j < columns; j++) {
            if (kind == FORWARD) { /* few activations are steeper than 1; a softmax mixes the scores */
                const double slope = activation == ACTIVATION_exp ? want[j] : 2;
                tolerance[j] = activation == ACTIVATION_softmax
                                   ? 2 * want[j] * worst + epsilon * (double)(columns + 8) * want[j]
                                   : slope * tolerance[j] + 8 * epsilon * fabs(want[j]);
            } else if (kind == BACKWARD) {
                double slope = oracle_derivative(activation, array_get(&o->activations, r, j));
                want[j] = z[j] * slope;
                tolerance[j] = tolerance[j] * fabs(slope) + 4 * epsilon * fabs(z[j]) * (1 + fabs(slope));
                if (activation == ACTIVATION_relu || activation == ACTIVATION_hardtanh)
                    tolerance[j] *= slope; /* what is zero is exactly zero */
            } else {
                want[j] = z[j] * factor;
                tolerance[j] = tolerance[j] * factor + 2 * epsilon * fabs(want[j]);
            }
        }
    }
    free(z);
}

static void multiply(const struct kernels *k, struct operands *o, enum kind kind, int activation,
                     double factor, int by_columns, int threads)
{
    struct product p = {
        .kernels = k, .a = o->a.m, .b = o->b.m, .over_rows = by_columns, .n = o->a.rows,
        .depth = o->a.columns, .columns = o->b.columns, .factor = factor, .activation = activation,
        .bias = kind == FORWARD ? array_data(&o->bias) : NULL, .c = array_data(&o->c),
    };
    if (kind == BACKWARD)
        p.activations = o->activations.m;
    if (fastmlp_product(&p, threads))
        fail("no memory");
}

static void test_product(const struct kernels *k, enum kind kind, long n, long depth, long columns,
                         long number)
{
    const int real = k->real_bytes;
    const int activation = kind == GRADIENT  ? ACTIVATION_identity
                           : kind == FORWARD ? (int)(number % (ACTIVATION_softmax + 1))
                                             : (int)(number % ACTIVATION_softmax);
    /* A gradient's A is the transpose of rows: stored by columns, if its rows are contiguous. */
    int a_layout = (int)(number % N_LAYOUTS), b_layout = (int)(number / 3 % N_LAYOUTS);
    const int by_columns = kind == GRADIENT && number % 2;
    if (by_columns)
        a_layout = number % 4 == 1 ? LAYOUT_columns : LAYOUT_upside_columns;
    if (!begin_case("product %s: n=%ld depth=%ld columns=%ld %s, a %s%s, b %s", kind_names[kind], n,
                    depth, columns, activation_name(activation), layout_name(a_layout),
                    by_columns ? " taken by columns" : "", layout_name(b_layout)))
        return;
    struct operands o = {
        array_new(real, n, depth, a_layout), array_new(real, depth, columns, b_layout),
        array_new(real, 1, columns, LAYOUT_rows),
        array_new(real, n, columns, (int)(number / 7 % N_LAYOUTS)),
        array_new(real, n, columns, LAYOUT_rows),
    };
    const double factor = kind == GRADIENT ? 1 / fmax((double)depth, 1) : 1;
    double *want = malloc(2 * (size_t)(n * columns) * sizeof *want), *tolerance = want + n * columns;
    array_fill(&o.a, -1, 1);
    array_fill(&o.b, -1, 1);
    array_fill(&o.bias, -1, 1);
    for (long r = 0; r < n; r++)
        for (long j = 0; j < columns; j++)
            array_set(&o.activations, r, j, oracle_kept(activation, uniform(-1.5, 1.5)));
    expect(&o, kind, activation, factor, want, tolerance);

    /* A block of rows or columns more or less must not change a bit, nor may the threads. */
    array_fill(&o.c, 7, 8);
    multiply(k, &o, kind, activation, factor, by_columns, 1);
    check_array("product", &o.c, want, tolerance);
    struct array alone = o.c;
    for (int threads = 2; threads <= 4; threads++) {
        o.c = array_new(real, n, columns, LAYOUT_rows);
        multiply(k, &o, kind, activation, factor, by_columns, threads);
        check_bits(threads == 2 ? "2 threads" : threads == 3 ? "3 threads" : "4 threads", &o.c, &alone);
        array_free(&o.c);
        if (2.0 * (double)(n * depth * columns) < 1e6)
            break; /* runs on one thread in any case */
    }
    free(want);
    array_free(&alone);
    array_free(&o.a);
    array_free(&o.b);
    array_free(&o.bias);
    array_free(&o.activations);
}

/* Rows that lie 800 MB apart in memory of which only they are ever touched. */
static void test_far_rows(const struct kernels *k)
{
#if UINTPTR_MAX > 0xffffffff && !defined(__SANITIZE_ADDRESS__)
    enum { ROWS = 4, DEPTH = 3 };
    const size_t apart = (size_t)800 << 20;
    if (!begin_case("product forward: rows 800 MB apart"))
        return;
    char *memory = calloc((ROWS - 1) * apart + DEPTH * sizeof(double), 1);
    if (memory == NULL)
        return; /* where a process may not even ask for so much */
    struct operands o = {
        {.real_bytes = k->real_bytes, .rows = ROWS, .columns = DEPTH,
         .m = {memory, (ptrdiff_t)apart, k->real_bytes}},
        array_new(k->real_bytes, DEPTH, 2, LAYOUT_rows), array_new(k->real_bytes, 1, 2, LAYOUT_rows),
        array_new(k->real_bytes, 0, 0, LAYOUT_rows), array_new(k->real_bytes, ROWS, 2, LAYOUT_rows),
    };
    double want[2 * ROWS], tolerance[2 * ROWS];
    array_fill(&o.a, -1, 1);
    array_fill(&o.b, -1, 1);
    array_fill(&o.bias, -1, 1);
    expect(&o, FORWARD, ACTIVATION_identity, 1, want, tolerance);
    multiply(k, &o, FORWARD, ACTIVATION_identity, 1, 0, 1);
    check_array("product", &o.c, want, tolerance);
    array_free(&o.b);
    array_free(&o.bias);
    array_free(&o.activations);
    array_free(&o.c);
    free(memory);
#else
    (void)k;
#endif
}

void test_products(const struct kernels *k)
{
    long number = 0;
    test_far_rows(k);
    for (int kind = FORWARD; kind <= GRADIENT; kind++) {
        for (int i = 0; i < N_SIZES * N_SIZES * N_SIZES; i++)
            test_product(k, kind, sizes[i % N_SIZES], sizes[i / N_SIZES % N_SIZES],
                         sizes[i / N_SIZES / N_SIZES], number++);
        for (int i = 0; i < N_LONG; i++)
            for (int layout = 0; layout < 3; layout++)
                test_product(k, kind, long_shapes[i][0], long_shapes[i][1], long_shapes[i][2],
                             number++);
    }
}
