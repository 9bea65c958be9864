/* Descent of a task with very few rows: their errors stay in registers while the weights pass by, which are
   read and written where they are. */
#ifndef FASTMLP_FEW_DESCENTS_H
#define FASTMLP_FEW_DESCENTS_H

#include "passes/tasks.h"

enum {
    FEW_DESCENT = 3, /* rows, at most */
    FEW_STEPS = 4,   /* features that are written one after the other; a panel has a multiple of them */
};

/* One feature's row of weights. */
INLINE void descend_feature(const int rows, const int vectors, const real *x, vec right[][VECTORS], vec by, real *w)
{
    UNROLL for (int v = 0; v < vectors; v++) {
        vec sum = {0};
        UNROLL for (int r = 0; r < rows; r++)
            sum = FMA(SPLAT(x[r * PANEL]), right[r][v], sum);
        store(w + v * LANES, FMA(by, sum, load(w + v * LANES)));
    }
}

/* Each element is what the tiles compute: a chain over the rows, then the step. */
INLINE void descend_rows(const int rows, const int vectors, long features, const real *a, long a_panel,
                         const real *d, double rate, real *w)
{
    const vec by = SPLAT((real)-rate);
    vec right[FEW_DESCENT][VECTORS];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < vectors; v++)
            right[r][v] = load(d + r * PANEL + v * LANES);
    for (; features > 0; features -= PANEL, a += a_panel) {
        const real *x = a, *end = a + min(features, PANEL);
        for (; end - x >= FEW_STEPS; x += FEW_STEPS, w += FEW_STEPS * PANEL)
            UNROLL for (int i = 0; i < FEW_STEPS; i++)
                descend_feature(rows, vectors, x + i, right, by, w + i * PANEL);
        for (; x != end; x++, w += PANEL)
            descend_feature(rows, vectors, x, right, by, w);
    }
}

/* Descent with one row of inputs, in a row, and z = bias + next w with the new weights: the sum of the next step,
   whose chain leaves time for the descent. */
INLINE void descend_and_begin(const int vectors, long features, const real *x, const real *next, const real *d,
                              double rate, real *w, const real *bias, real *z)
{
    const vec by = SPLAT((real)-rate);
    vec right[VECTORS], sum[VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) {
        right[v] = load(d + v * LANES);
        sum[v] = load(bias + v * LANES);
    }
    for (long k = 0; k < features; k++, w += PANEL) {
        const vec left = SPLAT(x[k]), coming = SPLAT(next[k]);
        UNROLL for (int v = 0; v < vectors; v++) {
            const vec new = FMA(by, FMA(left, right[v], (vec){0}), load(w + v * LANES));
            store(w + v * LANES, new);
            sum[v] = FMA(coming, new, sum[v]);
        }
    }
    UNROLL for (int v = 0; v < vectors; v++)
        store(z + v * LANES, sum[v]);
}
OUTLINE void begin_half(long features, const real *x, const real *next, const real *d, double rate, real *w,
                        const real *bias, real *z)
{
    descend_and_begin(TILE_HALF ? TILE_HALF : 1, features, x, next, d, rate, w, bias, z);
}
OUTLINE void begin_whole(long features, const real *x, const real *next, const real *d, double rate, real *w,
                         const real *bias, real *z)
{
    descend_and_begin(VECTORS, features, x, next, d, rate, w, bias, z);
}

typedef void few_descent(long features, const real *a, long a_panel, const real *d, double rate, real *w);
#define FEW_DESCENTS(R)                                                                            \
    OUTLINE void descend_##R##_half(long n, const real *a, long a_panel, const real *d, double rate, real *w) \
    {                                                                                              \
        descend_rows(R, TILE_HALF ? TILE_HALF : 1, n, a, a_panel, d, rate, w);                               \
    }                                                                                              \
    OUTLINE void descend_##R##_whole(long n, const real *a, long a_panel, const real *d, double rate, real *w) \
    {                                                                                              \
        descend_rows(R, VECTORS, n, a, a_panel, d, rate, w);                                       \
    }
FEW_DESCENTS(1)
FEW_DESCENTS(2)
FEW_DESCENTS(3)

static void descend_few(const struct engine *e, const struct weight_task *wide)
{
    static few_descent *const halves[] = {descend_1_half, descend_2_half, descend_3_half};
    static few_descent *const wholes[] = {descend_1_whole, descend_2_whole, descend_3_whole};
    const struct layer *layer = &e->design.layers[wide->layer];
    const long panel = e->design.batch_panel, vectors = vectors_of(columns_of(e, wide));
    const real *a = wide->layer ? e->design.layers[wide->layer - 1].output : e->arena.input;
    const real *d = (const real *)layer->delta + wide->panel * panel;
    const struct runs runs = runs_of(e, wide);
    for (long p = 0; p < wide->panels; p++) {
        few_descent *const *few = (p + 1) * VECTORS <= vectors ? wholes : halves;
        few[e->pass.n_rows - 1](wide->last - wide->first, a + wide->first / PANEL * panel, panel,
                                d + p * panel, e->pass.update.rate,
                                (real *)e->arena.parameters + runs.at + p * runs.step);
    }
}

#endif
