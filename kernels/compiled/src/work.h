/* How work is divided: sizes of blocks, number of threads, scratch memory. */
#ifndef FASTMLP_WORK_H
#define FASTMLP_WORK_H

#include <stdint.h>

#include "fastmlp.h"

enum {
    LINE = 64,
    BLOCK_ROWS = 192, /* a multiple of every tile's rows */
    SPARSE_SCRATCH = 16 << 10, /* bytes of the gradient of a few features of a sparse layer */
};

/* Multiplications and additions of a forward product of one row with all layers. */
static inline double layer_flops(const struct engine *e)
{
    double flops = 0;
    for (int l = 0; l < e->n_layers; l++)
        flops += 2.0 * (double)e->layers[l].n_in * (double)e->layers[l].n_out;
    return flops;
}

/* Below this many multiplications and additions two threads cost more than they gain. */
#define PARALLEL_FLOPS 1.5e6

static inline long round_up(long n, long unit) { return (n + unit - 1) / unit * unit; }
static inline long least(long a, long b) { return a < b ? a : b; }
static inline long most(long a, long b) { return a > b ? a : b; }

static inline int threads_for(double flops, int n_threads)
{
    return flops < PARALLEL_FLOPS ? 1 : n_threads;
}

/* Blocks of rows for this many threads: equal, no longer than a block, a multiple of threads. */
static inline long rows_of_block(long n, int threads)
{
    long blocks = (n + BLOCK_ROWS - 1) / BLOCK_ROWS;
    if (threads > 1)
        blocks = least(n, round_up(blocks, threads));
    return blocks ? (n + blocks - 1) / blocks : 1;
}
static inline long blocks_of(long n, long block_rows) { return (n + block_rows - 1) / block_rows; }

/* Number of the row at a position of an order, NULL for that of the rows themselves. */
static inline long row_at(const int64_t *order, long position)
{
    return order ? order[position] : position;
}

/* An integer of 4 or 8 bytes. */
static inline long integer_at(const void *values, int bytes, long i)
{
    return bytes == 4 ? ((const int32_t *)values)[i] : (long)((const int64_t *)values)[i];
}

/* Memory for one call, aligned to cache lines; NULL without memory. */
char *fastmlp_scratch_take(long bytes);
void fastmlp_scratch_give(char *memory);

#endif
