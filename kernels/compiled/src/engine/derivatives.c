/* Derivatives: how many sweeps they take, blocks of rows for the threads, memory. */
#include <string.h>

#include "fastmlp.h"
#include "work.h"

enum {
    FEW_ERRORS = 4,            /* so many go through weights that lie as they are: packing costs as much */
    SHARED_ERRORS = 64,        /* so many errors of all outputs make one sweep */
    DERIVATIVE_BLOCK = 320 << 10, /* bytes of the widest layer of a block, which stays in the L2 cache */
    TILED_ROWS = 12,              /* a multiple of every tile's rows */
    SMALL_DERIVATIVE = 16 << 10,  /* bytes of working space on the stack */
};

static int is_along(const struct derivative *d)
{
    return d->what == DERIVATIVE_along || d->what == DERIVATIVE_by_inputs;
}

/* Whether a layer's activations do not give their derivatives. */
static int has_slope(const struct layer *layer)
{
#define CASE(NAME) case ACTIVATION_##NAME:
    switch (layer->activation) {
        FASTMLP_FROM_OUTPUT(CASE)
        return 0;
    }
#undef CASE
    return 1;
}

static void plan_sweeps(struct derivative *d)
{
    const struct design *net = d->design;
    const long n_in = net->layers[0].n_in, n_out = net->layers[net->n_layers - 1].n_out;
    d->sweeps = d->per = 1;
    if (d->what != DERIVATIVE_jacobian)
        return;
    d->what = n_in < n_out ? DERIVATIVE_by_inputs : DERIVATIVE_of_outputs;
    if (d->what == DERIVATIVE_by_inputs)
        d->sweeps = n_in;
    else if (d->n > SHARED_ERRORS / n_out)
        d->sweeps = n_out;
    else
        d->per = n_out;
}

static long widest_layer(const struct design *net)
{
    const long panel = net->kernels->panel;
    long widest = round_up(net->layers[0].n_in, panel);
    for (int l = 0; l < net->n_layers; l++)
        widest = max(widest, net->layers[l].out_panels * panel);
    return widest;
}

static void plan_blocks(struct derivative *d, long widest, int threads)
{
    long longest = DERIVATIVE_BLOCK / times(widest, d->design->kernels->real_bytes);
    longest = min(max(longest, BLOCK_ROWS / 4), BLOCK_ROWS);
    long blocks = blocks_of(d->n, longest);
    if (threads > 1)
        blocks = min(d->n, round_up(blocks, threads));
    d->block_rows = (d->n + blocks - 1) / blocks;
    if (d->block_rows > 2 * TILED_ROWS)
        d->block_rows = min(d->n, round_up(d->block_rows, TILED_ROWS));
}

/* Where a block has what; bytes of it. */
static long lay_out_block(struct derivative *d, long widest)
{
    const struct design *net = d->design;
    const struct kernels *k = net->kernels;
    const long rows = d->block_rows | 1, errors = times(d->block_rows, d->per) | 1;
    const long n_out = net->layers[net->n_layers - 1].n_out, outputs = round_up(n_out, k->panel);
    long used = times(round_up(net->layers[0].n_in, k->panel), rows);
    for (int l = 0; l < net->n_layers; l++) {
        const long size = times(net->layers[l].out_panels * k->panel, rows);
        const int slope = l < net->n_layers - 1 && has_slope(&net->layers[l]);
        d->layers[l].kept = used;
        used = plus(used, size);
        d->layers[l].slope = slope ? used : 0;
        used = plus(used, slope ? size : 0);
    }
    d->targets = used;
    d->scores = used = plus(used, times(outputs, errors));
    d->here = used = plus(used, d->per > 1 ? times(outputs, errors) : 0);
    d->there = used = plus(used, times(widest, errors));
    used = times(plus(used, times(widest, errors)), k->real_bytes);
    d->columns = used;
    d->plain = used = plus(used, round_up(k->output_scratch(n_out), LINE));
    return plus(used, d->block_rows > 1 ? k->plain_scratch : 0);
}

/* Elements of the packed parameters that blocks go without: with several blocks none. */
static long skipped(const struct derivative *d) { return d->n > d->block_rows ? 0 : d->design->layers[0].bias; }

/* Bytes of what is packed of the parameters, and of as many zeros as the widest layer has. */
static long bytes_of_packed(const struct derivative *d, long widest)
{
    const long packed = d->design->n_packed - skipped(d);
    return d->block_rows > 1 ? round_up(times(plus(packed, widest), d->design->kernels->real_bytes), LINE) : 0;
}

static long bytes_of_transposed(const struct derivative *d, int l)
{
    const struct layer *layer = &d->design->layers[l];
    const struct kernels *k = d->design->kernels;
    return d->packed ? times(times(round_up(layer->n_in, k->panel), layer->n_out), k->real_bytes) : 0;
}

/* Point at the weights, and at what is packed of them. */
static void place_weights(struct derivative *d, long widest, char *memory)
{
    const struct design *net = d->design;
    const long real = net->kernels->real_bytes, from = skipped(d);
    const char *weights = d->flat, *bias = weights;
    const int padded = d->block_rows > 1;
    char *transposed = memory + bytes_of_packed(d, widest);
    d->zeros = padded ? memory + (net->n_packed - from) * real : NULL;
    for (int l = 0; l < net->n_layers; l++)
        bias += net->layers[l].n_in * net->layers[l].n_out * real;
    for (int l = 0; l < net->n_layers; l++) {
        const struct layer *layer = &net->layers[l];
        struct derivative_layer *own = &d->layers[l];
        own->weights = weights;
        own->bias = padded ? memory + (layer->bias - from) * real : bias;
        own->panels = padded && from == 0 ? memory + layer->weights * real : NULL;
        own->transposed = d->packed ? transposed : NULL;
        weights += layer->n_in * layer->n_out * real;
        bias += layer->n_out * real;
        transposed += bytes_of_transposed(d, l);
    }
}

static void pack_weights(struct derivative *d, long widest, char *memory)
{
    const struct design *net = d->design;
    if (d->block_rows > 1) {
        const long from = skipped(d);
        net->kernels->pack(net, d->flat, memory, from ? net->n_layers : 0, from);
        memset((void *)d->zeros, 0, (size_t)(widest * net->kernels->real_bytes));
    }
    if (d->packed)
        net->kernels->derivative_pack(d);
}

double fastmlp_derivative(struct derivative *d, int n_threads)
{
    const struct design *net = d->design;
    char small[SMALL_DERIVATIVE] __attribute__((aligned(LINE)));
    struct derivative_layer few[8];
    plan_sweeps(d);
    const long widest = widest_layer(net), errors = times(d->n, times(d->sweeps, d->per));
    const double flops = layer_flops(net) * ((double)d->n + (double)errors);
    const int threads = threads_for(flops, n_threads);
    d->fault = FAULT_none;
    d->packed = !is_along(d) && errors > FEW_ERRORS;
    plan_blocks(d, widest, threads);
    const int many = net->n_layers > 8;
    const long table = many ? round_up(times(net->n_layers, sizeof *few), LINE) : 0;
    char *layers = many ? fastmlp_scratch_take(table) : NULL;
    if (many && layers == NULL)
        return (double)table;
    d->layers = many ? (struct derivative_layer *)layers : few;
    d->scratch_bytes = round_up(lay_out_block(d, widest), LINE);
    long shared = bytes_of_packed(d, widest);
    for (int l = 0; l < net->n_layers; l++)
        shared = plus(shared, bytes_of_transposed(d, l));
    const long bytes = plus(shared, times(d->scratch_bytes, threads));
    const int fits = bytes <= (long)sizeof small;
    char *memory = fits ? small : fastmlp_scratch_take(bytes);
    if (memory) {
        d->scratch = memory + shared;
        place_weights(d, widest, memory);
        pack_weights(d, widest, memory);
        fastmlp_parallel(threads, blocks_of(d->n, d->block_rows), net->kernels->derivative_block, d);
    }
    if (memory && !fits)
        fastmlp_scratch_give(memory);
    if (many)
        fastmlp_scratch_give(layers);
    return memory ? 0 : (double)bytes;
}
