/* Predictions: scratch memory, and blocks of rows for the threads. */
#include <string.h>

#include "fastmlp.h"
#include "work.h"

enum {
    FEW_SMALL_ROWS = 12,      /* so many are predicted without panels by weights that stay in the first-level cache: */
    SMALL_WEIGHTS = 32 << 10, /* bytes */
    SMALL_SCRATCH = 16 << 10, /* bytes of working space that predictions of few rows have on the stack */
    SHARED_WEIGHTS = 1 << 20, /* bytes of weights that a few rows share among threads */
    PACKING_MANY_ROWS = 512,  /* so many repay packing all weights where that takes memory fresh from the system: */
    FRESH = 32 << 20,         /* bytes */
    PACKED_AT_ONCE = 64,      /* rows of a matrix that are packed as one task */
    LEAST_ROWS = 24,          /* of a block: a panel of weights is read once for all of them, */
    LEAST_OF_MANY = 96,       /* and where it comes from memory */
};
static const double MOSTLY = 0.9; /* of the weights: in layers whose columns threads share */

/* Two halves for the layers' rows in turn, a piece of packed weights, and the output layer's scratch. */
static void lay_out(struct forward *f, long widest, long rows, long plain)
{
    const struct design *d = f->design;
    f->half_bytes = round_up(times(times(widest, rows), d->kernels->real_bytes), LINE);
    f->scratch_bytes = plus(plus(times(2, f->half_bytes), plain),
                            d->kernels->output_scratch(d->layers[d->n_layers - 1].n_out));
}

/* Blocks of rows and of depth, from the sizes of the caches.

   A block of rows goes through all layers. While a panel of weights passes over it, the layer's input is
   read once more for each panel, from the second-level cache: a quarter of that is for it, another for what
   comes out, and a half for weights that come and go. The panel itself, as deep as its matrix, is read
   by every tile; up to an eighth of the second-level cache costs no more than if it were in the first,
   because a tile computes on each of its lines for six cycles. Where it is deeper, sums are stored and
   loaded again between blocks of depth. Weights that do not stay in the third-level cache come from memory,
   for each block of rows: then blocks are longer. */
static void choose_blocks(struct forward *f, long widest, int threads)
{
    const struct kernels *k = f->design->kernels;
    const struct caches caches = fastmlp_caches();
    long rows = caches.l2 / 4 / times(widest, k->real_bytes);
    const int far = times(f->design->n_packed, k->real_bytes) > caches.l3;
    rows = min(max(rows, far ? LEAST_OF_MANY : LEAST_ROWS), BLOCK_ROWS);
    const long tile = k->tile_rows, whole = rows / tile * tile;
    f->block_rows = rows_of_blocks(f->n, max(whole, tile), threads);
    const long deepest = max(caches.l2 / 8 / (k->tile_panels * LINE), k->panel);
    const long blocks = blocks_of(widest, deepest);
    f->depth_block = round_up((widest + blocks - 1) / blocks, k->panel);
}

/* Of all layers, without padding. */
static double weight_bytes(const struct design *d) { return layer_flops(d) / 2 * d->kernels->real_bytes; }

/* Whether rows are few enough to go straight through without panels. Packed parameters are left aside for a single
   one, where weights are small, and where sums of a few rows stay in registers. */
static int is_few(const struct forward *f)
{
    const struct design *d = f->design;
    if (f->n == 1)
        return 1;
    if (weight_bytes(d) <= SMALL_WEIGHTS)
        return f->n <= FEW_SMALL_ROWS;
    if (!f->packed)
        return are_few_rows(f->n, d->kernels->tile_rows);
    long widest = 0;
    for (int l = 0; l < d->n_layers; l++)
        widest = max(widest, d->layers[l].n_out);
    return f->n <= FEW_ROWS && widest <= d->kernels->narrow_columns;
}

/* Whether threads share the columns of large layers, not the rows: where each has less than a tile of them, all would
   wait for all weights. Other layers are then one thread's, so nearly all weights must be in large ones. */
static int shares_columns(const struct forward *f, int threads)
{
    const struct design *d = f->design;
    if (threads == 1 || f->n >= times(d->kernels->tile_rows, threads) || weight_bytes(d) < SHARED_WEIGHTS)
        return 0;
    double shared = 0;
    for (int l = 0; l < d->n_layers; l++)
        if (is_shared(&d->layers[l], d->kernels->real_bytes))
            shared += (double)layer_bytes(&d->layers[l], d->kernels->real_bytes);
    return shared >= MOSTLY * weight_bytes(d);
}

/* What a few rows take is the reading of the weights. */
static double forward_few(struct forward *f, long widest, int n_threads)
{
    const struct design *d = f->design;
    char small[SMALL_SCRATCH] __attribute__((aligned(LINE)));
    lay_out(f, widest, f->n, 0);
    int fits = f->scratch_bytes <= (long)sizeof small;
    f->scratch = fits ? small : fastmlp_scratch_take(f->scratch_bytes);
    if (f->scratch == NULL)
        return (double)f->scratch_bytes;
    d->kernels->forward_few(d, f->flat, f, weight_bytes(d) < SHARED_WEIGHTS ? 1 : n_threads);
    if (!fits)
        fastmlp_scratch_give(f->scratch);
    return 0;
}

/* Parameters in panels, for f->packed of many predictions. */
long fastmlp_packed_bytes(const struct design *d) { return times(d->n_packed, d->kernels->real_bytes); }

void fastmlp_pack(const struct design *d, const void *flat, void *packed)
{
    memset(packed, 0, (size_t)fastmlp_packed_bytes(d));
    d->kernels->pack(d, flat, packed, 0, 0);
}

/* Weights into panels, as tasks of some rows of one matrix. */
struct packing {
    const struct design *design;
    const void *flat;
    char *packed;
    long skipped;
};

static void pack_task(void *packing, long task, int thread)
{
    (void)thread;
    const struct packing *p = packing;
    const struct design *d = p->design;
    for (int l = 0; l < d->n_layers; l++) {
        const long n = d->layers[l].n_in, tasks = blocks_of(n, PACKED_AT_ONCE);
        if (d->layers[l].weights < p->skipped)
            continue;
        if (task < tasks) {
            const long first = task * PACKED_AT_ONCE;
            d->kernels->pack_weights(d, p->flat, p->packed, p->skipped, l, first, min(n, first + PACKED_AT_ONCE));
            return;
        }
        task -= tasks;
    }
}

/* Parameters into panels from element f->skipped on. */
static void pack_for(const struct forward *f, char *packed, int threads)
{
    const struct design *d = f->design;
    struct packing p = {d, f->flat, packed, f->skipped};
    long tasks = 0;
    for (int l = 0; l < d->n_layers; l++)
        if (d->layers[l].weights >= f->skipped)
            tasks += blocks_of(d->layers[l].n_in, PACKED_AT_ONCE);
    fastmlp_parallel(threads, tasks, pack_task, &p);
    d->kernels->pack(d, f->flat, packed, d->n_layers, f->skipped);
}

/* Element of the panels from which on a call packs them: weights before it are read where they lie, by few
   rows all of them, by sparse rows those of the first layer. */
static long skipped_by(const struct forward *f)
{
    const struct design *d = f->design;
    const long bytes = times(d->n_packed, d->kernels->real_bytes);
    if (f->n < (bytes < FRESH ? PACKING_ROWS : PACKING_MANY_ROWS))
        return d->layers[0].bias;
    return !f->sparse ? 0 : d->n_layers > 1 ? d->layers[1].weights : d->layers[0].bias;
}

/* Whether predictions of n rows take less time than it takes to call other threads. */
int fastmlp_is_brief(const struct design *d, long n) { return n == 1 && weight_bytes(d) < SHARED_WEIGHTS; }

/* Predictions for n >= 1 rows: 0, or the bytes of the memory that there is not. */
double fastmlp_forward(const struct design *d, struct forward *f, int n_threads)
{
    const struct kernels *k = d->kernels;
    long widest = f->sparse ? 0 : d->layers[0].in_rows;
    for (int l = 0; l < d->n_layers; l++)
        widest = max(widest, d->layers[l].out_panels * k->panel);
    f->design = d;
    f->fault = FAULT_none;
    if (is_few(f))
        return forward_few(f, widest, n_threads);
    const int threads = threads_for(layer_flops(d) * (double)f->n, n_threads), ready = f->packed != NULL;
    f->column_threads = shares_columns(f, threads) ? threads : 1;
    const int row_threads = f->column_threads > 1 ? 1 : threads;
    choose_blocks(f, widest, row_threads);
    lay_out(f, plus(widest, k->panel), f->block_rows | 1, k->plain_scratch);
    f->skipped = ready ? 0 : skipped_by(f);
    const long packed = ready ? 0 : round_up(times(d->n_packed - f->skipped, k->real_bytes), LINE);
    const long bytes = plus(packed, times(f->scratch_bytes, threads));
    char *memory = fastmlp_scratch_take(bytes);
    if (memory == NULL)
        return (double)bytes;
    f->scratch = memory + packed;
    if (!ready) {
        f->packed = memory;
        pack_for(f, memory, threads);
    }
    fastmlp_parallel(row_threads, blocks_of(f->n, f->block_rows), k->forward_block, f);
    fastmlp_scratch_give(memory);
    return 0;
}
