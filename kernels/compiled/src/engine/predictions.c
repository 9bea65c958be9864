/* Predictions: scratch memory, and blocks of rows for the threads. */
#include <string.h>

#include "fastmlp.h"
#include "work.h"

enum {
    FEW_ROWS = 4,             /* so many are predicted row by row, without panels; */
    FEW_SMALL_ROWS = 12,      /* and so many by weights that stay in the first-level cache: */
    SMALL_WEIGHTS = 32 << 10, /* bytes */
    SMALL_SCRATCH = 16 << 10, /* bytes of working space that predictions of few rows have on the stack */
};

/* Two halves for the layers' rows in turn, a piece of packed weights, and the output layer's scratch. */
static void lay_out(struct forward *f, long widest, long rows, long plain)
{
    const struct design *d = f->design;
    f->half_bytes = round_up(times(times(widest, rows), d->kernels->real_bytes), LINE);
    f->scratch_bytes = plus(plus(times(2, f->half_bytes), plain),
                            d->kernels->output_scratch(d->layers[d->n_layers - 1].n_out));
}

/* Whether rows are few enough to go straight through on one thread, without panels. Packed parameters
   are only left aside for a single one. */
static int is_few(const struct forward *f, int n_threads)
{
    if (f->n == 1)
        return 1;
    const double flops = layer_flops(f->design);
    const int small = flops / 2 * f->design->kernels->real_bytes <= SMALL_WEIGHTS;
    if (f->packed && !small)
        return 0;
    return f->n <= (small ? FEW_SMALL_ROWS : FEW_ROWS) &&
           threads_for(flops * (double)f->n, n_threads) == 1;
}

static double forward_few(struct forward *f, long widest)
{
    const struct design *d = f->design;
    char small[SMALL_SCRATCH] __attribute__((aligned(LINE)));
    lay_out(f, widest, f->n, 0);
    int fits = f->scratch_bytes <= (long)sizeof small;
    f->scratch = fits ? small : fastmlp_scratch_take(f->scratch_bytes);
    if (f->scratch == NULL)
        return (double)f->scratch_bytes;
    d->kernels->forward_few(d, f->flat, f);
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

/* Predictions for n >= 1 rows: 0, or the bytes of the memory that there is not. Without packed parameters
   only the biases are packed here, with their padding: all weights are read where they lie. */
double fastmlp_forward(const struct design *d, struct forward *f, int n_threads)
{
    const struct kernels *k = d->kernels;
    long widest = f->sparse ? 0 : d->layers[0].in_rows;
    for (int l = 0; l < d->n_layers; l++)
        widest = max(widest, d->layers[l].out_panels * k->panel);
    f->design = d;
    f->fault = FAULT_none;
    if (is_few(f, n_threads))
        return forward_few(f, widest);
    int threads = threads_for(layer_flops(d) * (double)f->n, n_threads);
    f->block_rows = rows_of_block(f->n, threads);
    lay_out(f, widest, f->block_rows | 1, k->plain_scratch);
    const int ready = f->packed != NULL;
    f->skipped = ready ? 0 : d->layers[0].bias;
    const long biases = ready ? 0 : round_up((d->n_packed - f->skipped) * k->real_bytes, LINE);
    const long bytes = plus(biases, times(f->scratch_bytes, threads));
    char *memory = fastmlp_scratch_take(bytes);
    if (memory == NULL)
        return (double)bytes;
    f->scratch = memory + biases;
    if (!ready) {
        f->packed = memory;
        k->pack(d, f->flat, memory, d->n_layers, f->skipped);
    }
    fastmlp_parallel(threads, blocks_of(f->n, f->block_rows), k->forward_block, f);
    fastmlp_scratch_give(memory);
    return 0;
}
