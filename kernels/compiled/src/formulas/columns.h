/* LANES rows of panels as columns: element c of all of them is one vector.

   Sums over a row's outputs become sums over vectors: no shuffles within a vector, no padding
   columns, one logarithm for LANES rows. */
#ifndef FASTMLP_COLUMNS_H
#define FASTMLP_COLUMNS_H

#include "matrices/panels.h"
#include "vector/vmath.h"

enum { COLUMN_SETS = 6 }; /* z, y, delta, of two blocks of rows; or factors and losses of targets */
INLINE long output_columns(long n_out) { return (n_out + PANEL - 1) / PANEL * PANEL; }
/* Bytes of that working space. */
static long output_scratch(long n_out) { return COLUMN_SETS * output_columns(n_out) * VECTOR_BYTES; }

/* columns[c][row] = panels[row][c] for `rows` <= LANES rows; missing rows become zero. */
static void rows_to_columns(const real *panels, long panel, long rows, long n_out, real *columns)
{
    for (long c = 0; c < n_out; c += LANES) {
        const real *from = panels + c / PANEL * panel + c % PANEL;
        if (rows < LANES)
            transpose_some(rows, from, PANEL, LANES, columns + c * LANES, LANES);
        else
            transpose_square(from, PANEL, columns + c * LANES, LANES);
    }
}

/* One-hot targets of labels, as columns. Returns whether all labels are in 0 … n_out - 1, which another
   thread may have changed. */
static int labels_to_columns(const int64_t *labels, long rows, long n_out, real *columns)
{
    typedef int64_t wide __attribute__((vector_size(8 * LANES)));
    wide label;
    int sound = 1;
    for (long r = 0; r < rows; r++)
        sound &= (uint64_t)__atomic_load_n(labels + r, __ATOMIC_RELAXED) < (uint64_t)n_out;
    if (rows == LANES)
        memcpy(&label, labels, sizeof label);
    else
        for (long r = 0; r < LANES; r++) /* missing rows have none */
            label[r] = r < rows ? labels[r] : -1;
    /* Whatever is read here only says where the ones are: it cannot lead outside. */
    const ivec number = __builtin_convertvector(label, ivec), one = (ivec)SPLAT((real)1);
    for (long c = 0; c < n_out; c++)
        store(columns + c * LANES, (vec)((number == (integer)c) & one));
    return sound;
}

/* The way back; whole panels are written. */
static void columns_to_rows(const real *columns, long rows, long n_out, real *panels, long panel)
{
    for (long c = 0; c < output_columns(n_out); c += LANES) {
        real *to = panels + c / PANEL * panel + c % PANEL;
        if (c >= n_out)
            for (long r = 0; r < rows; r++)
                store(to + r * PANEL, (vec){0});
        else if (rows == LANES)
            transpose_square(columns + c * LANES, LANES, to, PANEL);
        else
            transpose_some(LANES, columns + c * LANES, LANES, rows, to, PANEL);
    }
}

/* z <- softmax(z) of LANES rows in columns; returns log(sum of exp z). */
static vec softmax_columns(real *z, long n_out)
{
    vec highest = load(z), total = {0};
    for (long c = 1; c < n_out; c++)
        highest = maximum(highest, load(z + c * LANES));
    for (long c = 0; c < n_out; c++) {
        vec e = vector_exp(load(z + c * LANES) - highest);
        total += e;
        store(z + c * LANES, e);
    }
    vec inverse = (real)1 / total;
    for (long c = 0; c < n_out; c++)
        store(z + c * LANES, load(z + c * LANES) * inverse);
    return highest + vector_log(total);
}

/* Softmax of rows in panels, in place. `columns` has room for one set. */
static void softmax_rows(real *z, long rows, long n_out, long panel, real *columns)
{
    for (long row = 0; row < rows; row += LANES) {
        long here = rows - row < LANES ? rows - row : LANES;
        rows_to_columns(z + row * PANEL, panel, here, n_out, columns);
        softmax_columns(columns, n_out);
        columns_to_rows(columns, here, n_out, z + row * PANEL, panel);
    }
}

#endif
