/* Cases and their random numbers, matrices of any layout, comparisons. */
#include "native.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

long cases_run, failures, thin = 1;
const char *skip;

enum { MOST_REPORTS = 50, GUARD = 0x5a };
/* The address sanitizer has guards of its own, which see reads too. */
#if defined(__SANITIZE_ADDRESS__)
enum { GUARD_BYTES = 0 };
#else
enum { GUARD_BYTES = 64 };
#endif

static char subject[64], name[512];
static long cases_seen;
static uint64_t random_state;

void set_subject(const char *text) { snprintf(subject, sizeof subject, "%s", text); }

int begin_case(const char *format, ...)
{
    va_list arguments;
    if (cases_seen++ % thin)
        return 0;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    if (skip && strstr(name, skip))
        return 0;
    random_state = 14695981039346656037u; /* FNV-1a of the name */
    for (const char *c = name; *c; c++)
        random_state = (random_state ^ (unsigned char)*c) * 1099511628211u;
    cases_run++;
    return 1;
}

void fail(const char *format, ...)
{
    va_list arguments;
    if (failures++ >= MOST_REPORTS)
        return;
    printf("FAIL  %s  %s\n      ", subject, name);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    if (failures == MOST_REPORTS)
        puts("further failures are only counted");
}

/* SplitMix64 */
static uint64_t random_bits(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

double uniform(double low, double high)
{
    return low + (high - low) * (double)(random_bits() >> 11) * 0x1p-53;
}

long whole(long low, long high) { return low + (long)(random_bits() % (uint64_t)(high - low + 1)); }

double epsilon_of(int real_bytes) { return real_bytes == 4 ? FLT_EPSILON : DBL_EPSILON; }

/* Matrices -------------------------------------------------------------------------------------- */

static const char *const layout_names[N_LAYOUTS] = {
    "rows", "columns", "spaced", "reversed", "reversed-rows", "upside-columns", "one-row",
};
const char *layout_name(int layout) { return layout_names[layout]; }

struct array array_new(int real_bytes, long rows, long columns, int layout)
{
    struct array a = {.real_bytes = real_bytes, .rows = rows, .columns = columns};
    long real = real_bytes, elements = rows * columns, start = 0;
    a.m.row_stride = columns * real;
    a.m.column_stride = real;
    switch (layout) {
    case LAYOUT_columns:
    case LAYOUT_upside_columns:
        a.m.row_stride = real;
        a.m.column_stride = rows * real;
        break;
    case LAYOUT_spaced:
        a.m.row_stride = (2 * columns + 3) * real;
        a.m.column_stride = 2 * real;
        elements = rows > 0 && columns > 0 ? (rows - 1) * (2 * columns + 3) + 2 * columns - 1 : 0;
        break;
    case LAYOUT_one_row:
        a.m.row_stride = 0;
        elements = rows > 0 ? columns : 0;
        break;
    }
    if (layout == LAYOUT_reversed || layout == LAYOUT_reversed_rows ||
        layout == LAYOUT_upside_columns) {
        start += rows > 0 ? (rows - 1) * a.m.row_stride : 0;
        a.m.row_stride = -a.m.row_stride;
    }
    if (layout == LAYOUT_reversed) {
        start += columns > 0 ? (columns - 1) * a.m.column_stride : 0;
        a.m.column_stride = -a.m.column_stride;
    }
    /* One element in front: data aligned to an element and to nothing more. */
    a.bytes = (elements + 1) * real;
    a.memory = malloc((size_t)(a.bytes + 2 * GUARD_BYTES));
    if (a.memory == NULL) {
        puts("not enough memory for the test's own data");
        exit(2);
    }
    memset(a.memory, GUARD, (size_t)(a.bytes + 2 * GUARD_BYTES));
    a.m.data = a.memory + GUARD_BYTES + real + start;
    return a;
}

void array_free(struct array *a)
{
    for (long i = 0; i < GUARD_BYTES + a->real_bytes; i++)
        if (a->memory[i] != GUARD) {
            fail("wrote %ld bytes before a matrix of %ld x %ld", GUARD_BYTES + a->real_bytes - i,
                 a->rows, a->columns);
            break;
        }
    for (long i = 0; i < GUARD_BYTES; i++)
        if (a->memory[GUARD_BYTES + a->bytes + i] != GUARD) {
            fail("wrote %ld bytes past a matrix of %ld x %ld", i + 1, a->rows, a->columns);
            break;
        }
    free(a->memory);
    a->memory = NULL;
}

static char *element(const struct array *a, long row, long column)
{
    return (char *)a->m.data + row * a->m.row_stride + column * a->m.column_stride;
}

double array_get(const struct array *a, long row, long column)
{
    const char *at = element(a, row, column);
    return a->real_bytes == 4 ? (double)*(const float *)at : *(const double *)at;
}

void array_set(struct array *a, long row, long column, double value)
{
    char *at = element(a, row, column);
    if (a->real_bytes == 4)
        *(float *)at = (float)value;
    else
        *(double *)at = value;
}

void array_fill(struct array *a, double low, double high)
{
    for (long r = 0; r < a->rows; r++)
        for (long c = 0; c < a->columns; c++)
            array_set(a, r, c, uniform(low, high));
}

void array_copy(struct array *a, const struct array *from)
{
    memcpy(a->memory, from->memory, (size_t)(a->bytes + 2 * GUARD_BYTES));
}

void *array_data(const struct array *a) { return (void *)a->m.data; }

/* Comparisons ----------------------------------------------------------------------------------- */

static int near(double got, double want, double tolerance)
{
    if (isnan(want))
        return isnan(got);
    return got == want || fabs(got - want) <= tolerance;
}

void check_number(const char *what, double got, double want, double tolerance)
{
    if (!near(got, want, tolerance))
        fail("%s: got %.17g, expected %.17g (difference %.3g, tolerance %.3g)", what, got, want,
             got - want, tolerance);
}

void check_array(const char *what, const struct array *got, const double *want,
                 const double *tolerance)
{
    long wrong = 0, first = 0;
    for (long i = 0; i < got->rows * got->columns; i++)
        if (!near(array_get(got, i / got->columns, i % got->columns), want[i], tolerance[i]))
            if (wrong++ == 0)
                first = i;
    if (wrong == 0)
        return;
    long row = first / got->columns, column = first % got->columns;
    double value = array_get(got, row, column);
    fail("%s: %ld of %ld x %ld elements are wrong, the first at [%ld, %ld]: got %.17g, expected "
         "%.17g (difference %.3g, tolerance %.3g)",
         what, wrong, got->rows, got->columns, row, column, value, want[first],
         value - want[first], tolerance[first]);
}

static double *scaled_tolerance(const struct array *got, const double *want, double factor)
{
    long n = got->rows * got->columns;
    double largest = 0, *tolerance = malloc((size_t)n * sizeof *tolerance);
    for (long i = 0; i < n; i++)
        largest = fmax(largest, fabs(want[i]));
    for (long i = 0; i < n; i++)
        tolerance[i] = factor * epsilon_of(got->real_bytes) * (largest + fabs(want[i]) + 1e-2);
    return tolerance;
}

int is_scaled(const struct array *got, const double *want, double factor)
{
    double *tolerance = scaled_tolerance(got, want, factor);
    int all = 1;
    for (long i = 0; i < got->rows * got->columns && all; i++)
        all = near(array_get(got, i / got->columns, i % got->columns), want[i], tolerance[i]);
    free(tolerance);
    return all;
}

void check_spread(const char *what, const struct array *got, const double *want, double factor,
                  const double *spread)
{
    double *tolerance = scaled_tolerance(got, want, factor);
    for (long i = 0; i < got->rows * got->columns && spread; i++)
        tolerance[i] += spread[i];
    check_array(what, got, want, tolerance);
    free(tolerance);
}

void check_scaled(const char *what, const struct array *got, const double *want, double factor)
{
    check_spread(what, got, want, factor, NULL);
}

void check_bits(const char *what, const struct array *got, const struct array *want)
{
    for (long r = 0; r < got->rows; r++)
        for (long c = 0; c < got->columns; c++)
            if (memcmp(element(got, r, c), element(want, r, c), (size_t)got->real_bytes)) {
                double a = array_get(got, r, c), b = array_get(want, r, c);
                fail("%s: bits differ, first at [%ld, %ld] of %ld x %ld: %.17g and %.17g", what, r,
                     c, got->rows, got->columns, a, b);
                return;
            }
}
