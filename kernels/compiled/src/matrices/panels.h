/* Copies between plain matrices (any strides) and panels [ceil(columns / PANEL)][rows][PANEL]. */
#ifndef FASTMLP_PANELS_H
#define FASTMLP_PANELS_H

#include "fastmlp.h"
#include "vector/simd.h"
#include "work.h"

#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (ivec){__VA_ARGS__})
#endif

/* Interleave the lower, or the upper, halves of two vectors. */
#if VECTOR_BYTES == 64 && FASTMLP_REAL_BITS == 32
#define ZIP_LOWER(a, b) SHUFFLE(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define ZIP_UPPER(a, b) SHUFFLE(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define ZIP_STAGES 4
#elif VECTOR_BYTES / (FASTMLP_REAL_BITS / 8) == 8
#define ZIP_LOWER(a, b) SHUFFLE(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define ZIP_UPPER(a, b) SHUFFLE(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define ZIP_STAGES 3
#elif VECTOR_BYTES / (FASTMLP_REAL_BITS / 8) == 4
#define ZIP_LOWER(a, b) SHUFFLE(a, b, 0, 4, 1, 5)
#define ZIP_UPPER(a, b) SHUFFLE(a, b, 2, 6, 3, 7)
#define ZIP_STAGES 2
#else
#define ZIP_LOWER(a, b) SHUFFLE(a, b, 0, 2)
#define ZIP_UPPER(a, b) SHUFFLE(a, b, 1, 3)
#define ZIP_STAGES 1
#endif

/* to[c][r] = from[r][c] for a square of LANES x LANES. */
#if VECTOR_BYTES == 32 && FASTMLP_REAL_BITS == 32
/* Halves of rows i and i + 4 meet in one vector; then both halves of it are turned as squares of 4 x 4. */
INLINE void transpose_vectors(vec v[LANES], vec w[LANES])
{
    UNROLL for (int i = 0; i < 4; i++) {
        w[i] = SHUFFLE(v[i], v[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        w[i + 4] = SHUFFLE(v[i], v[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
    UNROLL for (int i = 0; i < 8; i += 4) {
        const vec a = SHUFFLE(w[i], w[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        const vec b = SHUFFLE(w[i], w[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
        const vec c = SHUFFLE(w[i + 2], w[i + 3], 0, 8, 1, 9, 4, 12, 5, 13);
        const vec d = SHUFFLE(w[i + 2], w[i + 3], 2, 10, 3, 11, 6, 14, 7, 15);
        v[i] = SHUFFLE(a, c, 0, 1, 8, 9, 4, 5, 12, 13);
        v[i + 1] = SHUFFLE(a, c, 2, 3, 10, 11, 6, 7, 14, 15);
        v[i + 2] = SHUFFLE(b, d, 0, 1, 8, 9, 4, 5, 12, 13);
        v[i + 3] = SHUFFLE(b, d, 2, 3, 10, 11, 6, 7, 14, 15);
    }
}
#elif VECTOR_BYTES == 32
INLINE void transpose_vectors(vec v[LANES], vec w[LANES])
{
    UNROLL for (int i = 0; i < 2; i++) {
        w[i] = SHUFFLE(v[i], v[i + 2], 0, 1, 4, 5);
        w[i + 2] = SHUFFLE(v[i], v[i + 2], 2, 3, 6, 7);
    }
    UNROLL for (int i = 0; i < 4; i += 2) {
        v[i] = SHUFFLE(w[i], w[i + 1], 0, 4, 2, 6);
        v[i + 1] = SHUFFLE(w[i], w[i + 1], 1, 5, 3, 7);
    }
}
#elif VECTOR_BYTES == 64 && FASTMLP_REAL_BITS == 64
/* Pairs of rows are interleaved; then squares of 4 x 4 such pairs are turned. */
INLINE void transpose_vectors(vec v[LANES], vec w[LANES])
{
    UNROLL for (int i = 0; i < 8; i += 2) {
        w[i] = SHUFFLE(v[i], v[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
        w[i + 1] = SHUFFLE(v[i], v[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    UNROLL for (int i = 0; i < 2; i++) {
        const vec a = SHUFFLE(w[i], w[i + 2], 0, 1, 4, 5, 8, 9, 12, 13);
        const vec b = SHUFFLE(w[i], w[i + 2], 2, 3, 6, 7, 10, 11, 14, 15);
        const vec c = SHUFFLE(w[i + 4], w[i + 6], 0, 1, 4, 5, 8, 9, 12, 13);
        const vec d = SHUFFLE(w[i + 4], w[i + 6], 2, 3, 6, 7, 10, 11, 14, 15);
        v[i] = SHUFFLE(a, c, 0, 1, 4, 5, 8, 9, 12, 13);
        v[i + 2] = SHUFFLE(b, d, 0, 1, 4, 5, 8, 9, 12, 13);
        v[i + 4] = SHUFFLE(a, c, 2, 3, 6, 7, 10, 11, 14, 15);
        v[i + 6] = SHUFFLE(b, d, 2, 3, 6, 7, 10, 11, 14, 15);
    }
}
#else
/* Interleaving row i with row i + LANES / 2, log2(LANES) times, moves bit after bit of the row number into
   the column number. */
INLINE void transpose_vectors(vec v[LANES], vec w[LANES])
{
    UNROLL for (int stage = 0; stage < ZIP_STAGES; stage++) {
        UNROLL for (int i = 0; i < LANES / 2; i++) {
            w[2 * i] = ZIP_LOWER(v[i], v[i + LANES / 2]);
            w[2 * i + 1] = ZIP_UPPER(v[i], v[i + LANES / 2]);
        }
        UNROLL for (int i = 0; i < LANES; i++)
            v[i] = w[i];
    }
}
#endif

/* The sums over the lanes of each of so many vectors, one in each lane: half of the lanes are folded onto
   the other half, log2(LANES) times. */
INLINE vec sum_each(vec sum[LANES])
{
    UNROLL for (int half = LANES / 2; half > 0; half /= 2)
        UNROLL for (int i = 0; i < half; i++)
            sum[i] = ZIP_LOWER(sum[i], sum[i + half]) + ZIP_UPPER(sum[i], sum[i + half]);
    return sum[0];
}

INLINE void transpose_square(const real *from, long from_row, real *to, long to_row)
{
    vec v[LANES], w[LANES];
    UNROLL for (int i = 0; i < LANES; i++)
        v[i] = load(from + i * from_row);
    transpose_vectors(v, w);
    UNROLL for (int i = 0; i < LANES; i++)
        store(to + i * to_row, v[i]);
}

/* The same for PANEL rows of `columns` <= PANEL columns, in whole squares. */
OUTLINE void transpose_columns(long columns, const real *from, long from_row, real *to, long to_row)
{
    for (long c = 0; c < columns; c += LANES)
        for (int r = 0; r < PANEL; r += LANES)
            transpose_square(from + r * from_row + c, from_row, to + c * to_row + r, to_row);
}

INLINE void transpose_block(const real *from, long from_row, real *to, long to_row)
{
    transpose_columns(PANEL, from, from_row, to, to_row);
}

/* transpose_square of `have` <= LANES rows, the others being zeros, of which `want` rows are written. */
OUTLINE void transpose_some(long have, const real *from, long from_row, long want, real *to, long to_row)
{
    vec v[LANES], w[LANES];
    UNROLL for (int i = 0; i < LANES; i++)
        v[i] = i < have ? load(from + i * from_row) : (vec){0};
    transpose_vectors(v, w);
    UNROLL for (int i = 0; i < LANES; i++)
        if (i < want)
            store(to + i * to_row, v[i]);
}

/* One row of `columns` elements into panels; the padding becomes zero, or stays with `pad` 0. */
INLINE void scatter_row(const char *from, ptrdiff_t stride, long columns, real *to, long panel,
                        const int pad)
{
    if (LIKELY(stride == (long)sizeof(real))) {
        for (; columns >= PANEL; columns -= PANEL, to += panel, from += PANEL * sizeof(real))
            for (int v = 0; v < VECTORS; v++)
                store(to + v * LANES, load((const real *)from + v * LANES));
#ifdef LOAD_PARTIAL
        for (int v = 0; pad && columns > 0 && v < VECTORS; v++) {
            const real *at = (const real *)from + v * LANES;
            const long n = columns - v * LANES;
            store(to + v * LANES, n >= LANES ? load(at) : n > 0 ? load_partial(at, n) : (vec){0});
        }
        if (pad)
            return;
#endif
    }
    for (; columns > 0; columns -= PANEL, to += panel) {
        long n = columns < PANEL ? columns : PANEL;
        for (long c = 0; c < n; c++, from += stride)
            to[c] = *(const real *)from;
        for (long c = n; pad && c < PANEL; c++)
            to[c] = 0;
    }
}

/* One row out of panels into consecutive elements. */
INLINE void gather_row(const real *from, long panel, long columns, real *to)
{
    for (; columns > 0; columns -= PANEL, from += panel, to += PANEL) {
        if (columns >= PANEL)
            for (int v = 0; v < VECTORS; v++)
                store(to + v * LANES, load(from + v * LANES));
        else
            for (long c = 0; c < columns; c++)
                to[c] = from[c];
    }
}

/* One panel of rows whose elements lie side by side; what the panel has beyond `columns` becomes zero. */
static void pack_panel(const char *from, ptrdiff_t row_stride, long rows, long columns, real *to)
{
    for (int v = 0; v < VECTORS; v++, from += LANES * sizeof(real), to += LANES) {
        const long n = min(columns - v * LANES, LANES);
        for (long r = 0; r < rows && n == LANES; r++)
            store(to + r * PANEL, load((const real *)(from + r * row_stride)));
        for (long r = 0; r < rows && n < LANES; r++)
            store(to + r * PANEL, n > 0 ? load_partial((const real *)(from + r * row_stride), n) : (vec){0});
    }
}

/* rows x columns of a matrix into panels, of which the last is padded with zeros. Matrices stored by columns go block by
   block; of few columns panels come one after the other. */
static void pack_panels(struct matrix m, long rows, long columns, real *to, long panel)
{
    enum { FEW = 4 };   /* panels */
    enum { AHEAD = 4 }; /* lines to what is prefetched, as machines lose some of so many streams */
    if (m.row_stride == (long)sizeof(real) && m.column_stride != (long)sizeof(real)) {
        ptrdiff_t step = m.column_stride / (long)sizeof(real);
        int aligned = m.column_stride % (long)sizeof(real) == 0;
        for (long c = 0; c < columns; c += PANEL, to += panel) {
            const real *from = (const real *)(m.data + c * m.column_stride);
            long n = columns - c < PANEL ? columns - c : PANEL, r = 0;
            if (aligned && n == PANEL)
                for (; r + PANEL <= rows; r += PANEL) {
                    for (long i = 0; i < PANEL; i++)
                        __builtin_prefetch(from + r + i * step + AHEAD * PANEL, 0, 3);
                    transpose_block(from + r, step, to + r * PANEL, PANEL);
                }
            for (; r < rows; r++)
                for (long i = 0; i < PANEL; i++)
                    to[r * PANEL + i] =
                        i < n ? *(const real *)((const char *)(from + r) + i * m.column_stride) : 0;
        }
    } else if (m.column_stride == (long)sizeof(real) && columns <= FEW * PANEL) {
        for (long c = 0; c < columns; c += PANEL, to += panel)
            pack_panel(m.data + c * m.column_stride, m.row_stride, rows, min(columns - c, PANEL), to);
    } else {
        for (long r = 0; r < rows; r++)
            scatter_row(m.data + r * m.row_stride, m.column_stride, columns, to + r * PANEL, panel, 1);
    }
}

/* The same into strips, which begin `strip` <= STRIP_ROW columns apart and have rows of STRIP_ROW elements; what is behind
   a strip's columns may be anything. For tiles of two panels rows are no longer than what a tile takes, as two panels of
   errors and whole lines would fill the first-level cache. */
static void pack_strips(struct matrix m, long rows, long columns, long strip, real *to, long panel)
{
    if (m.column_stride == (long)sizeof(real)) {
        for (long r = 0; r < rows; r++, to += STRIP_ROW, m.data += m.row_stride) {
            const real *from = (const real *)m.data;
            real *at = to;
            long c = 0;
            for (; c + STRIP_ROW <= columns; c += strip, at += panel)
                memcpy(at, from + c, STRIP_ROW * sizeof(real));
            for (; c < columns; c += strip, at += panel)
                memcpy(at, from + c, (size_t)(columns - c) * sizeof(real));
        }
        return;
    }
    real square[PANEL * PANEL];
    for (long c = 0; c < columns; c += strip, to += panel, m.data += strip * m.column_stride)
        for (long r = 0; r < rows; r += PANEL) {
            const long here = min(rows - r, PANEL);
            real *at = to + r * STRIP_ROW;
            pack_panels((struct matrix){m.data + r * m.row_stride, m.row_stride, m.column_stride}, here,
                        min(columns - c, PANEL), STRIP_ROW < PANEL ? square : at, PANEL);
            for (long i = 0; STRIP_ROW < PANEL && i < here; i++)
                memcpy(at + i * STRIP_ROW, square + i * PANEL, STRIP_ROW * sizeof(real));
        }
}

/* Whether a matrix of at most PANEL columns lies in memory as a panel would. */
INLINE int lies_in_panel(const struct matrix *m)
{
    return m->column_stride == (long)sizeof(real) && m->row_stride == PANEL * (long)sizeof(real);
}

#endif
