/* The register tiles of tiles.h in all their sizes, as functions and in tables by size. */
#ifndef FASTMLP_TILE_TABLES_H
#define FASTMLP_TILE_TABLES_H

#include "matrices/tiles.h"

BEGIN_TILES

typedef void forward_tile(long depth, const real *a, const real *b, const real *init, real *c,
                          const struct forward_call *);
typedef void gradient_tile(long rows, const real *a, const real *d, real *c, const struct gradient_call *);
typedef double descent_tile(long rows, const real *a, const real *d, const real *next,
                            const real *init, real *w, const struct descent *by);

#define FORWARD_TILE_OF(NAME, R, N)                                                                \
    OUTLINE void forward_##NAME(long depth, const real *a, const real *b, const real *init,        \
                                real *c, const struct forward_call *call)                          \
    {                                                                                              \
        forward_body(R, N, depth, a, b, init, c, call);                                            \
    }
#define FORWARD_TILE(R, P) FORWARD_TILE_OF(R##x##P, R, P * VECTORS)
#define GRADIENT_TILE_OF(NAME, F, FIRST, N)                                                        \
    OUTLINE void gradient_##NAME(long rows, const real *a, const real *d, real *c,                 \
                                 const struct gradient_call *call)                                 \
    {                                                                                              \
        gradient_body(F, FIRST, N, rows, a, d, c, call);                                           \
    }                                                                                              \
    OUTLINE double descent_##NAME(long rows, const real *a, const real *d, const real *next,       \
                                  const real *init, real *w, const struct descent *by)             \
    {                                                                                              \
        return descent_body(F, FIRST, N, rows, a, d, next, init, w, by);                           \
    }
#define GRADIENT_TILE(F, P) GRADIENT_TILE_OF(F##x##P, F, 0, P * VECTORS)

#if TILE_ROWS == 12
#define EACH_ROWS(X, P) X(1, P) X(2, P) X(3, P) X(4, P) X(5, P) X(6, P) X(7, P) X(8, P) X(9, P) X(10, P) X(11, P) X(12, P)
#elif TILE_ROWS == 6
#define EACH_ROWS(X, P) X(1, P) X(2, P) X(3, P) X(4, P) X(5, P) X(6, P)
#else
#define EACH_ROWS(X, P) X(1, P) X(2, P)
#endif
#if TILE_FEATURES == 8
#define EACH_FEATURES(X, P) X(1, P) X(2, P) X(3, P) X(4, P) X(5, P) X(6, P) X(7, P) X(8, P)
#elif TILE_FEATURES == 6
#define EACH_FEATURES(X, P) X(1, P) X(2, P) X(3, P) X(4, P) X(5, P) X(6, P)
#else
#define EACH_FEATURES(X, P) X(1, P) X(2, P)
#endif

#define FORWARD_NAME(R, P) forward_##R##x##P,
#define GRADIENT_NAME(F, P) gradient_##F##x##P,
#define DESCENT_NAME(F, P) descent_##F##x##P,
EACH_ROWS(FORWARD_TILE, 1)
EACH_FEATURES(GRADIENT_TILE, 1)
#if TILE_PANELS == 2
EACH_ROWS(FORWARD_TILE, 2)
EACH_FEATURES(GRADIENT_TILE, 2)
#endif

static forward_tile *const forward_tiles[TILE_PANELS][TILE_ROWS] = {
    {EACH_ROWS(FORWARD_NAME, 1)},
#if TILE_PANELS == 2
    {EACH_ROWS(FORWARD_NAME, 2)},
#endif
};
static gradient_tile *const gradient_tiles[TILE_PANELS][TILE_FEATURES] = {
    {EACH_FEATURES(GRADIENT_NAME, 1)},
#if TILE_PANELS == 2
    {EACH_FEATURES(GRADIENT_NAME, 2)},
#endif
};
static descent_tile *const descent_tiles[TILE_PANELS][TILE_FEATURES] = {
    {EACH_FEATURES(DESCENT_NAME, 1)},
#if TILE_PANELS == 2
    {EACH_FEATURES(DESCENT_NAME, 2)},
#endif
};

/* Tiles of the first half of a panel, for the columns of layers whose last panel is half empty. Where a
   panel is one vector there are none, and nothing asks for them. */
enum { TILE_HALF = VECTORS / 2 };
#define FORWARD_HALF(R, P) FORWARD_TILE_OF(R##x##P##h, R, P * VECTORS / 2)
#define GRADIENT_HALF(F, P) GRADIENT_TILE_OF(F##x##P##h, F, 0, P * VECTORS / 2)
#define FORWARD_HALF_NAME(R, P) forward_##R##x##P##h,
#define GRADIENT_HALF_NAME(F, P) gradient_##F##x##P##h,
#define DESCENT_HALF_NAME(F, P) descent_##F##x##P##h,
#if VECTOR_BYTES < 64
EACH_ROWS(FORWARD_HALF, 1)
EACH_FEATURES(GRADIENT_HALF, 1)
static forward_tile *const forward_halves[TILE_ROWS] = {EACH_ROWS(FORWARD_HALF_NAME, 1)};
static gradient_tile *const gradient_halves[TILE_FEATURES] = {EACH_FEATURES(GRADIENT_HALF_NAME, 1)};
static descent_tile *const descent_halves[TILE_FEATURES] = {EACH_FEATURES(DESCENT_HALF_NAME, 1)};
#else
#define forward_halves forward_tiles[0]
#define gradient_halves gradient_tiles[0]
#define descent_halves descent_tiles[0]
#endif

/* Gradient tiles of plain matrices: of panels, and of rows any distance apart. Tiles of two panels have no others: one
   step a turn takes any distance at the same speed. */
typedef void sums_tile(long rows, const real *a, const real *d, const real *last, real *c, const struct sums_call *);
#define SUMS_TILE_OF(NAME, IN_ROWS, F, N)                                                          \
    OUTLINE void sums_##NAME(long rows, const real *a, const real *d, const real *last, real *c,   \
                             const struct sums_call *call)                                         \
    {                                                                                              \
        sums_body(F, N, IN_ROWS, rows, a, d, last, c, call);                                       \
    }
#define SUMS_TILE(F, P) SUMS_TILE_OF(F##x##P, 0, F, P * VECTORS)
#define SUMS_ROWS(F, P) SUMS_TILE_OF(F##x##P##r, 1, F, P * VECTORS)
#define SUMS_HALVES(F, P)                                                                          \
    SUMS_TILE_OF(F##x##P##h, 0, F, P * VECTORS / 2)                                                \
    SUMS_TILE_OF(F##x##P##hr, 1, F, P * VECTORS / 2)
#define SUMS_NAME(F, P) sums_##F##x##P,
#define SUMS_ROWS_NAME(F, P) sums_##F##x##P##r,
#define SUMS_HALF_NAME(F, P) sums_##F##x##P##h,
#define SUMS_HALF_ROWS_NAME(F, P) sums_##F##x##P##hr,
EACH_FEATURES(SUMS_ROWS, 1)
#if TILE_PANELS == 2
EACH_FEATURES(SUMS_ROWS, 2)
static sums_tile *const sums_rows[TILE_PANELS][TILE_FEATURES] = {{EACH_FEATURES(SUMS_ROWS_NAME, 1)},
                                                                {EACH_FEATURES(SUMS_ROWS_NAME, 2)}};
#define sums_tiles sums_rows
#else
EACH_FEATURES(SUMS_TILE, 1)
static sums_tile *const sums_tiles[TILE_PANELS][TILE_FEATURES] = {{EACH_FEATURES(SUMS_NAME, 1)}};
static sums_tile *const sums_rows[TILE_PANELS][TILE_FEATURES] = {{EACH_FEATURES(SUMS_ROWS_NAME, 1)}};
#endif
#if VECTOR_BYTES < 64
EACH_FEATURES(SUMS_HALVES, 1)
static sums_tile *const sums_halves[2][TILE_FEATURES] = {
    {EACH_FEATURES(SUMS_HALF_NAME, 1)},
    {EACH_FEATURES(SUMS_HALF_ROWS_NAME, 1)},
};
#endif
/* The tiles of so many panels, or of half of one. */
INLINE sums_tile *const *sums_tiles_of(int in_rows, long panels, int half)
{
#if VECTOR_BYTES < 64
    if (half)
        return sums_halves[in_rows];
#else
    (void)half;
#endif
    return (in_rows ? sums_rows : sums_tiles)[panels - 1];
}

/* Vectors of a matrix with so many columns that need be computed: whole panels and halves of one. */
INLINE long vectors_of(long columns)
{
    const long panels = (columns + PANEL - 1) / PANEL;
    return panels * VECTORS - (panels * PANEL - columns >= PANEL / 2 ? TILE_HALF : 0);
}

#ifdef TRIPLE_FEATURES
/* Tiles of fewer features by three vectors, the first of which is vector 0 or 1 of a panel. */
#define EACH_TRIPLE(X, FIRST) X(1, FIRST) X(2, FIRST) X(3, FIRST) X(4, FIRST)
#define TRIPLE_TILE(F, FIRST) GRADIENT_TILE_OF(F##x3v##FIRST, F, FIRST, 3)
#define TRIPLE_GRADIENT(F, FIRST) gradient_##F##x3v##FIRST,
#define TRIPLE_DESCENT(F, FIRST) descent_##F##x3v##FIRST,
EACH_TRIPLE(TRIPLE_TILE, 0)
EACH_TRIPLE(TRIPLE_TILE, 1)
static gradient_tile *const triple_gradients[VECTORS][TRIPLE_FEATURES] = {{EACH_TRIPLE(TRIPLE_GRADIENT, 0)},
                                                                      {EACH_TRIPLE(TRIPLE_GRADIENT, 1)}};
static descent_tile *const triple_descents[VECTORS][TRIPLE_FEATURES] = {{EACH_TRIPLE(TRIPLE_DESCENT, 0)},
                                                                    {EACH_TRIPLE(TRIPLE_DESCENT, 1)}};
#endif

/* Steps of descent by a few features and a panel of columns, which prefetch nothing. */
typedef void few_tile(long rows, const real *a, const real *d, real *w, const struct descent *by);
#define FEW_TILE(F, P)                                                                             \
    OUTLINE void few_##F##x##P(long rows, const real *a, const real *d, real *w, const struct descent *by) \
    {                                                                                              \
        step_tile(F, 0, P * VECTORS, NOTHING, rows, a, d, a, w, by);                               \
    }
#define FEW_NAME(F, P) few_##F##x##P,
EACH_FEATURES(FEW_TILE, 1)
static few_tile *const few_tiles[TILE_FEATURES] = {EACH_FEATURES(FEW_NAME, 1)};

/* Steps of descent by a whole panel of features. Tiles of two features are too many for one function. */
#if TILE_FEATURES >= 6
enum { HALF_STEP_FEATURES = 8 };
typedef void step_tiles(long rows, const real *a, const real *d, const real *next, real *w,
                        const struct descent *by);
#define STEP_TILES(NAME, LIMIT, FIRST, N)                                                          \
    OUTLINE void step_##NAME(long rows, const real *a, const real *d, const real *next, real *w,   \
                             const struct descent *by)                                             \
    {                                                                                              \
        step_body(LIMIT, FIRST, N, rows, a, d, next, w, by);                                       \
    }
STEP_TILES(1x1, TILE_FEATURES, 0, VECTORS)
#if TILE_PANELS == 2
STEP_TILES(1x2, TILE_FEATURES, 0, 2 * VECTORS)
#endif
#if VECTOR_BYTES < 64
STEP_TILES(1x1h, HALF_STEP_FEATURES, 0, TILE_HALF)
#endif
#ifdef TRIPLE_FEATURES
STEP_TILES(1x3v0, TRIPLE_FEATURES, 0, 3)
STEP_TILES(1x3v1, TRIPLE_FEATURES, 1, 3)
#endif
#endif

END_TILES

/* n split into the fewest parts of at most `limit`, as equal as can be: the first `larger` ones have
   one more than `size`. A remainder of one or two rows would run at a fraction of the speed. */
struct parts {
    long size, larger;
};
INLINE struct parts parts_of(long n, long limit)
{
    const unsigned m = (unsigned)n, parts = n > 0 ? (m + (unsigned)limit - 1) / (unsigned)limit : 1;
    return (struct parts){m / parts, m % parts};
}
INLINE long part_at(struct parts parts, long i) { return parts.size + (i < parts.larger); }

#endif
