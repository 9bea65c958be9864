/* How work is divided: sizes of blocks, number of threads, scratch memory. */
#ifndef FASTMLP_WORK_H
#define FASTMLP_WORK_H

#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "fastmlp.h"

enum {
    LINE = 64,
    BLOCK_ROWS = 192, /* a multiple of every tile's rows */
    FEW_ROWS = 4,       /* so many share each load of a matrix that is read where it lies, see few_rows.h */
    MOST_DOTS = 6,      /* at most so many are multiplied by a transposed matrix where it lies, see few_dots.h */
    PACKING_ROWS = 192, /* so many repay packing a matrix that can be read where it lies */
    PART_ROWS = 2048, /* of the sums of a single call, a multiple of SUM_ROWS, see tiles.h */
    NARROW_PADDING = 256, /* padding a panel, times rows, that costs as much as to transpose its gradient */
    SOON_ELEMENTS = 1024, SOON_ROWS = 16, /* of rows that are gathered soon, at most */
    SHARED_LAYER = 256 << 10, /* bytes of a layer's weights that threads read together for a few rows */
    SPARSE_SCRATCH = 16 << 10, /* bytes of the gradient of a few features of a sparse layer */
};

/* Multiplications and additions of a forward product of one row with all layers. */
static inline double layer_flops(const struct design *d)
{
    double flops = 0;
    for (int l = 0; l < d->n_layers; l++)
        flops += 2.0 * (double)d->layers[l].n_in * (double)d->layers[l].n_out;
    return flops;
}

/* Below this many multiplications and additions two threads cost more than they gain. */
#define PARALLEL_FLOPS 1.5e6

/* Sums and products of sizes; LONG_MAX where they do not fit, which no memory does either. */
static inline long plus(long a, long b)
{
    long sum;
    return __builtin_add_overflow(a, b, &sum) ? LONG_MAX : sum;
}
static inline long times(long a, long b)
{
    long product;
    return __builtin_mul_overflow(a, b, &product) ? LONG_MAX : product;
}
static inline long round_up(long n, long unit)
{
    return n > LONG_MAX - unit ? LONG_MAX : (n + unit - 1) / unit * unit;
}
static inline long min(long a, long b) { return a < b ? a : b; }
static inline long max(long a, long b) { return a > b ? a : b; }

static inline int threads_for(double flops, int n_threads)
{
    return flops < PARALLEL_FLOPS ? 1 : n_threads;
}

/* Whether a matrix is read by all rows where it lies, without tiles; twice so many are two groups, which take less time
   than two tiles do. */
static inline int are_few_rows(long n, long tile_rows) { return n <= FEW_ROWS || (n > tile_rows && n <= 2 * FEW_ROWS); }

/* Of a layer's weights, without padding. */
static inline long layer_bytes(const struct layer *layer, long real_bytes)
{
    return times(times(layer->n_in, layer->n_out), real_bytes);
}

/* Whether threads share the columns of a layer, of which each then reads its own part of the weights. */
static inline int is_shared(const struct layer *layer, long real_bytes)
{
    return layer_bytes(layer, real_bytes) >= SHARED_LAYER;
}

/* Blocks of rows for this many threads: equal, none longer than `longest`, a multiple of threads. */
static inline long rows_of_blocks(long n, long longest, int threads)
{
    long blocks = (n + longest - 1) / longest;
    if (threads > 1)
        blocks = min(n, round_up(blocks, threads));
    return blocks ? (n + blocks - 1) / blocks : 1;
}
static inline long rows_of_block(long n, int threads) { return rows_of_blocks(n, BLOCK_ROWS, threads); }
static inline long blocks_of(long n, long block_rows) { return n / block_rows + (n % block_rows > 0); }

/* How many rows before it is gathered a row of n elements is prefetched. */
static inline long rows_ahead(long n)
{
    return n >= SOON_ELEMENTS ? 2 : min((unsigned)SOON_ELEMENTS / (unsigned)(n + 1), SOON_ROWS) + 2;
}

/* Number of the row at a position of an order, NULL for that of the rows themselves. */
static inline long row_at(const int64_t *order, long position)
{
    return order ? order[position] : position;
}

/* Whether a step of such an engine is a small one: along the gradient of equal rows alone. */
static inline int is_small_step(const struct engine *e, const struct samples *s, long n_rows,
                                const struct penalty *penalty, const struct update *update)
{
    return e->design.small && update && update->rule == UPDATE_sgd && update->decay == 0 && penalty->l2 == 0 &&
           penalty->l1 == 0 && !s->sample_weight && !s->targets && n_rows > 0 && n_rows <= e->design.capacity &&
           e->design.loss.code != LOSS_custom && e->design.loss.code != LOSS_of_output;
}

/* An integer of 4 or 8 bytes, read once: what is checked is what is used. */
static inline long integer_at(const void *values, int bytes, long i)
{
    return bytes == 4 ? __atomic_load_n((const int32_t *)values + i, __ATOMIC_RELAXED)
                      : (long)__atomic_load_n((const int64_t *)values + i, __ATOMIC_RELAXED);
}

/* Where a row's entries are: 0 if what the caller's array says lies outside of it. */
static inline int entries_of(const struct csr *x, long row, long *begin, long *end)
{
    *begin = integer_at(x->starts, x->start_bytes, row);
    *end = integer_at(x->starts, x->start_bytes, row + 1);
    return 0 <= *begin && *begin <= *end && *end <= x->n_entries;
}

/* A row's weight times `unit`. Subnormal weights count, although the mode that steps compute in takes
   them as zero; `unit`, a power of two, keeps the sum of very small or large ones in range. */
static inline double weight_at(const void *weights, int real_bytes, long row, double unit)
{
    if (real_bytes == 4) {
        uint32_t bits;
        memcpy(&bits, (const char *)weights + 4 * row, 4);
        if (__builtin_expect((bits & 0x7f800000) == 0, 0))
            return (double)(bits & 0x7fffff) * 0x1p-149 * unit;
        return (double)((const float *)weights)[row] * unit;
    }
    uint64_t bits;
    memcpy(&bits, (const char *)weights + 8 * row, 8);
    if (__builtin_expect(bits >> 52 == 0, 0))
        return (double)bits * (0x1p-537 * unit) * 0x1p-537;
    return ((const double *)weights)[row] * unit;
}

#endif
