/* Products of networks in lanes: each element of a matrix is a vector, of that element of all networks.

   There are no panels, no padding and no sums within a vector; a register tile is 4 x 3, 6 x 2 or 12 x 1
   elements. */
#ifndef FASTMLP_LANE_PRODUCTS_H
#define FASTMLP_LANE_PRODUCTS_H

#include "engine/lanes.h"
#include "matrices/products.h"

enum { TILE = 12 }; /* accumulators of a tile */

/* C = init + A B, in elements of LANES reals. Columns of B and C, and rows of B, may be any distance
   apart: B is a matrix or its transpose, and so is A. */
struct lane_product {
    long rows, columns, depth;
    const real *a;
    long a_row, a_deep;
    const real *b;
    long b_deep, b_column;
    const real *init; /* the same in all rows: a bias, or NULL for zeros */
    real *c;
    long c_row;
    struct epilogue epilogue;
};

INLINE void lane_tile(const int rows, const int columns, const struct lane_product *p, long row,
                      long column)
{
    const real *a = p->a + row * p->a_row, *b = p->b + column * p->b_column;
    const long a_row = p->a_row, a_deep = p->a_deep, b_deep = p->b_deep, b_column = p->b_column;
    vec sum[TILE];
    UNROLL for (int j = 0; j < columns; j++) {
        const vec start = p->init ? load(p->init + (column + j) * LANES) : (vec){0};
        UNROLL for (int i = 0; i < rows; i++)
            sum[i * columns + j] = start;
    }
    INNER_LOOP for (long d = p->depth; d > 0; d--, a += a_deep, b += b_deep) {
        vec right[3];
        UNROLL for (int j = 0; j < columns; j++)
            right[j] = load(b + j * b_column);
        UNROLL for (int i = 0; i < rows; i++) {
            const vec left = load(a + i * a_row);
            UNROLL for (int j = 0; j < columns; j++)
                sum[i * columns + j] = FMA(left, right[j], sum[i * columns + j]);
        }
    }
    real *c = p->c + row * p->c_row + column * LANES;
    const vec lowest = SPLAT(p->epilogue.lowest);
    const ptrdiff_t gate = p->epilogue.gate;
    const long c_row = p->c_row;
    if (gate)
        UNROLL for (int i = 0; i < rows; i++)
            UNROLL for (int j = 0; j < columns; j++)
                sum[i * columns + j] =
                    masked(load(c + i * c_row + j * LANES + gate) > SPLAT((real)0), sum[i * columns + j]);
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < columns; j++)
            store(c + i * c_row + j * LANES, maximum(lowest, sum[i * columns + j]));
}

#define LANE_COLUMNS(COLUMNS)                                                                      \
    OUTLINE void lane_columns_##COLUMNS(const struct lane_product *p, long column)                 \
    {                                                                                              \
        long r = 0;                                                                                \
        for (; r + TILE / COLUMNS <= p->rows; r += TILE / COLUMNS)                                 \
            lane_tile(TILE / COLUMNS, COLUMNS, p, r, column);                                      \
        for (; COLUMNS < 3 && r + 4 / COLUMNS <= p->rows; r += 4 / COLUMNS)                        \
            lane_tile(4 / COLUMNS, COLUMNS, p, r, column);                                         \
        for (; r < p->rows; r++)                                                                   \
            lane_tile(1, COLUMNS, p, r, column);                                                   \
    }
LANE_COLUMNS(1)
LANE_COLUMNS(2)
LANE_COLUMNS(3)
#undef LANE_COLUMNS

static void lane_product(const struct lane_product *p)
{
    long c = 0;
    for (; c + 3 <= p->columns; c += 3)
        lane_columns_3(p, c);
    if (c + 2 == p->columns)
        lane_columns_2(p, c);
    else if (c < p->columns)
        lane_columns_1(p, c);
}

/* c = bias + a w for few columns, in the order of dot_rows: LANES partial sums, folded by halves. */
static void narrow_lanes(const struct lanes *e, const struct lane_layer *layer, long rows,
                         const real *a, real *c)
{
    const real *w = (const real *)e->parameters + layer->weights * LANES;
    const real *bias = (const real *)e->parameters + layer->bias * LANES;
    const long n_in = layer->n_in, n_out = layer->n_out;
    for (long r = 0; r < rows; r++)
        for (long j = 0; j < n_out; j++) {
            vec sum[LANES];
            UNROLL for (int i = 0; i < LANES; i++)
                sum[i] = (vec){0};
            long k = 0;
            for (; k + LANES <= n_in; k += LANES)
                UNROLL for (int i = 0; i < LANES; i++)
                    sum[i] = FMA(load(a + (r * n_in + k + i) * LANES),
                                 load(w + ((k + i) * n_out + j) * LANES), sum[i]);
            for (int i = 0; k < n_in && i < LANES; i++) /* zeros there take a sum's sign */
                sum[i] = k + i < n_in ? FMA(load(a + (r * n_in + k + i) * LANES),
                                            load(w + ((k + i) * n_out + j) * LANES), sum[i])
                                      : sum[i] + (real)0;
            UNROLL for (int half = LANES / 2; half > 0; half /= 2)
                UNROLL for (int i = 0; i < half; i++)
                    sum[i] += sum[i + half];
            store(c + (r * n_out + j) * LANES, sum[0] + load(bias + j * LANES));
        }
}

#endif
