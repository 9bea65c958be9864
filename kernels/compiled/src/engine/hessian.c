/* Products with the Hessian: their memory, and how their passes are cut into blocks. */
#include <stdlib.h>
#include <string.h>

#include "engine/derivatives.h"
#include "fastmlp.h"
#include "work.h"

enum { HESSIAN_ROWS = 128 }; /* of a pass back at a time; at most SUM_ROWS, a chain of sums */

/* Elements of a matrix of panels; from element `used` on, which is moved behind it. */
static long place(long *used, long panels, long rows, long panel)
{
    const long at = *used;
    *used = plus(at, times(times(panels, rows), panel));
    return at;
}

/* Where everything is; bytes of it. */
static long lay_out(struct hessian *h)
{
    const struct design *net = h->design;
    const long panel = net->kernels->panel, rows = h->capacity | 1, errors = HESSIAN_ROWS | 1;
    long used = 0;
    h->panel = rows * panel;
    h->error_panel = errors * panel;
    h->weights = place(&used, 1, net->n_packed, 1);
    h->along = place(&used, 1, net->n_packed, 1);
    h->result = place(&used, 1, net->n_packed, 1);
    h->input = place(&used, net->layers[0].in_panels, rows, panel);
    for (int l = 0; l < net->n_layers; l++) {
        const struct layer *layer = &net->layers[l];
        struct hessian_layer *own = &h->layers[l];
        own->kept = place(&used, layer->out_panels, rows, panel);
        own->moved = place(&used, layer->out_panels, rows, panel);
        own->error = place(&used, layer->out_panels, errors, panel);
        own->error_dot = place(&used, layer->out_panels, errors, panel);
        own->turned = place(&used, l ? layer->in_panels : 0, layer->n_out, panel);
        own->turned_along = place(&used, l ? layer->in_panels : 0, layer->n_out, panel);
    }
    return times(used, net->kernels->real_bytes);
}

struct hessian *fastmlp_hessian_new(const struct design *net, const void *flat, const void *direction, long capacity,
                                    const double *bends, int n_threads, double *bytes)
{
    const long table = plus(sizeof(struct hessian), times(net->n_layers, sizeof(struct hessian_layer)));
    struct hessian *h = calloc(1, (size_t)table);
    *bytes = (double)table;
    if (h == NULL)
        return NULL;
    h->design = net;
    h->flat = flat;
    h->direction = direction;
    h->capacity = capacity;
    h->n_threads = n_threads;
    h->layers = (struct hessian_layer *)(h + 1);
    for (int l = 0; l + 1 < net->n_layers; l++)
        memcpy(h->layers[l].bend, bends + 2 * l, sizeof h->layers[l].bend);
    const long size = lay_out(h);
    h->memory = fastmlp_scratch_take(size);
    if (h->memory == NULL) {
        *bytes = (double)size;
        free(h);
        return NULL;
    }
    net->kernels->hessian_pack(h);
    return h;
}

void fastmlp_hessian_free(struct hessian *h)
{
    if (h == NULL)
        return;
    fastmlp_scratch_give(h->memory);
    free(h);
}

void fastmlp_hessian_forward(struct hessian *h)
{
    const int threads = threads_for(3 * layer_flops(h->design) * (double)h->n, h->n_threads);
    h->block_rows = rows_of_block(h->n, threads);
    fastmlp_parallel(threads, blocks_of(h->n, h->block_rows), h->design->kernels->hessian_forward, h);
}

void fastmlp_hessian_back(struct hessian *h, void *product)
{
    const struct design *net = h->design;
    long tasks = 0;
    for (int l = 0; l < net->n_layers; l++)
        tasks += net->layers[l].in_panels;
    for (h->first = 0; h->first < h->n; h->first += h->rows) {
        h->rows = min(h->n - h->first, HESSIAN_ROWS);
        const int threads = threads_for(2 * layer_flops(net) * (double)h->rows, h->n_threads);
        h->back_rows = rows_of_block(h->rows, threads);
        fastmlp_parallel(threads, blocks_of(h->rows, h->back_rows), net->kernels->hessian_back, h);
        fastmlp_parallel(threads, tasks, net->kernels->hessian_weights, h);
    }
    net->kernels->unpack(net, h->memory + h->result * net->kernels->real_bytes, product);
}
