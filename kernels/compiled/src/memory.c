/* What an engine is made of: layers, tasks of the weights pass, and one piece of memory for all that a
   step needs. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fastmlp.h"
#include "work.h"

enum {
    PASS_BYTES = 768 << 10,  /* activations and errors of one pass stay about in the cache */
    PASS_ROWS = 1024,        /* ... but a pass has at least this many rows, if the batch has */
    CACHED_BYTES = 2 << 20,  /* parameters and state that need no prefetching */
    SPARSE_TASKS = 64,       /* of a sparse first layer, at most about */
    HUGE_PAGE = 2 << 20,
};

/* Memory is laid out twice: first to count its bytes, then to hand it out. */
static void *piece(char *memory, long *used, long bytes)
{
    char *at = memory ? memory + *used : NULL;
    *used += round_up(bytes, LINE);
    return at;
}

static long lay_out(struct engine *e, int rule, char *memory)
{
    long used = 0, real = e->kernels->real_bytes, panel = e->kernels->panel;
    long batch = e->batch_panel * real;

    e->tasks = piece(memory, &used, e->n_tasks * (long)sizeof *e->tasks);
    e->task_penalty = piece(memory, &used, e->n_tasks * (long)sizeof *e->task_penalty);
    if (e->capacity == 0) /* only describes a network */
        return used;
    e->parameters = piece(memory, &used, e->n_packed * real);
    for (int i = 0; i < fastmlp_states(rule); i++)
        e->state[i] = piece(memory, &used, e->n_packed * real);
    for (int l = 1; l < e->n_layers; l++) {
        struct layer *layer = &e->layers[l];
        layer->transposed =
            piece(memory, &used, layer->in_rows * layer->out_panels * panel * real);
    }
    if (e->sparse) {
        long features = e->layers[0].n_in * (long)sizeof(int32_t);
        e->entries.touched = piece(memory, &used, features);
        e->entries.count = piece(memory, &used, features);
        e->entries.last = piece(memory, &used, features);
    } else {
        e->input = piece(memory, &used, e->layers[0].in_panels * batch);
    }
    for (int l = 0; l < e->n_layers; l++) {
        e->layers[l].output = piece(memory, &used, e->layers[l].out_panels * batch);
        e->layers[l].delta = piece(memory, &used, e->layers[l].out_panels * batch);
    }
    e->target = piece(memory, &used, e->layers[e->n_layers - 1].out_panels * batch);
    e->row_scale = piece(memory, &used, e->capacity * real);
    e->row_loss = piece(memory, &used, e->capacity * real);
    e->scratch_bytes = most((e->kernels->task_features + 1) * e->kernels->tile_panels * LINE,
                            e->kernels->output_scratch(e->layers[e->n_layers - 1].n_out));
    if (e->sparse)
        e->scratch_bytes = most(e->scratch_bytes, most(SPARSE_SCRATCH, e->layers[0].out_panels * LINE));
    e->scratch = piece(memory, &used, e->scratch_bytes * e->n_threads);
    return used;
}

static void list_tasks(struct engine *e)
{
    long n = 0, features = e->kernels->task_features, panels = e->kernels->tile_panels;
    if (e->sparse) { /* all panels of some features */
        const long n_in = e->layers[0].n_in, most_features = most(features, n_in / SPARSE_TASKS);
        for (long f = 0; f < n_in; f += most_features, n++)
            if (e->tasks)
                e->tasks[n] = (struct weight_task){0, 0, 0, f, least(f + most_features, n_in)};
    }
    for (int l = e->sparse; l < e->n_layers; l++)
        for (long p = 0; p < e->layers[l].out_panels; p += panels)
            for (long f = 0; f < e->layers[l].n_in; f += features, n++)
                if (e->tasks)
                    e->tasks[n] = (struct weight_task){
                        l, (int)least(panels, e->layers[l].out_panels - p), p, f,
                        least(f + features, e->layers[l].n_in)};
    e->n_tasks = n;
}

/* Zeros. Large networks are walked over in many streams at once: in small pages the processor
   would look up a new one every few microseconds. */
static char *take_memory(long bytes)
{
    long unit = bytes >= 2 * HUGE_PAGE ? HUGE_PAGE : LINE;
    size_t size = (size_t)round_up(bytes + 1, unit);
    char *memory = aligned_alloc((size_t)unit, size);
    if (memory == NULL)
        return NULL;
#ifdef MADV_HUGEPAGE
    if (unit == HUGE_PAGE)
        madvise(memory, size, MADV_HUGEPAGE); /* an advice: nothing is lost if it is not taken */
#endif
    return memset(memory, 0, size);
}

/* An engine for steps of up to `batch` rows; 0 rows: one that only describes a network. NULL when
   there is no memory. All sizes are at least 1. */
struct engine *fastmlp_engine_new(const struct kernels *kernels, int n_layers, const long *sizes,
                                  const int *activations, int output, int loss,
                                  double loss_constant, int rule, long batch, int sparse,
                                  int n_threads)
{
    struct engine *e = calloc(1, sizeof *e + (size_t)n_layers * sizeof(struct layer));
    if (e == NULL)
        return NULL;
    long panel = kernels->panel, row_bytes = 0;
    e->kernels = kernels;
    e->n_layers = n_layers;
    e->layers = (struct layer *)(e + 1);
    e->output = output;
    e->loss = loss;
    e->loss_constant = loss_constant;
    e->n_threads = n_threads;
    e->sparse = sparse;
    e->shrink = e->next_shrink = 1;
    e->squares = -1;
    for (int l = 0; l < n_layers; l++) {
        struct layer *layer = &e->layers[l];
        layer->n_in = sizes[l];
        layer->n_out = sizes[l + 1];
        layer->in_rows = round_up(sizes[l], panel);
        layer->in_panels = layer->in_rows / panel;
        layer->out_panels = round_up(sizes[l + 1], panel) / panel;
        layer->activation = l < n_layers - 1 ? activations[l] : ACTIVATION_identity;
        layer->weights = e->n_packed;
        e->n_packed += layer->out_panels * layer->in_rows * panel;
        row_bytes += ((l || !sparse ? layer->in_panels : 0) + 2 * layer->out_panels) * LINE;
    }
    for (int l = 0; l < n_layers; l++) {
        e->layers[l].bias = e->n_packed;
        e->n_packed += e->layers[l].out_panels * panel;
    }
    e->capacity = sparse ? batch : least(batch, most(PASS_ROWS, PASS_BYTES / row_bytes));
    e->batch_panel = (e->capacity | 1) * panel; /* odd: panels must not share the sets of L1 */
    list_tasks(e);
    long bytes = lay_out(e, rule, NULL), kept_gradient = 0;
    if (rule == UPDATE_none || batch > e->capacity)
        kept_gradient = round_up(e->n_packed * kernels->real_bytes, LINE);
    char *memory = take_memory(bytes + kept_gradient);
    if (memory == NULL) {
        free(e);
        return NULL;
    }
    e->memory = memory;
    lay_out(e, rule, memory);
    list_tasks(e);
    if (kept_gradient)
        e->gradient = memory + bytes;
    e->update.rule = rule;
    fastmlp_choice_start(&e->choice, n_threads, 3 * layer_flops(e) * (double)e->capacity);
    int vectors = 1 + fastmlp_states(rule);
    e->walk.prefetch = vectors * e->n_packed * kernels->real_bytes > CACHED_BYTES;
    return e;
}

void fastmlp_engine_free(struct engine *e)
{
    if (e == NULL)
        return;
    free(e->entries_memory);
    free(e->memory);
    free(e);
}
