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

/* Whether the derivative of a layer does not follow from what it gives to the next one. */
static int keeps_slope(const struct layer *layer)
{
#define FROM_SCORES(NAME) || layer->activation == ACTIVATION_##NAME
    return layer->dropout > 0 ||
           layer->activation == ACTIVATION_custom FASTMLP_FROM_SCORES(FROM_SCORES);
}

static long lay_out(struct engine *e, int rule, char *memory)
{
    long used = 0, real = e->kernels->real_bytes, panel = e->kernels->panel;
    long batch = e->batch_panel * real;

    e->tasks = piece(memory, &used, e->n_tasks * (long)sizeof *e->tasks);
    e->task_penalty = piece(memory, &used, e->n_tasks * (long)sizeof *e->task_penalty);
    e->task_norm = piece(memory, &used, e->n_tasks * (long)sizeof *e->task_norm);
    e->task_clipped = piece(memory, &used, e->n_tasks * (long)sizeof *e->task_clipped);
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
        if (keeps_slope(&e->layers[l]))
            e->layers[l].slope = piece(memory, &used, e->layers[l].out_panels * batch);
    }
    e->target = piece(memory, &used, e->layers[e->n_layers - 1].out_panels * batch);
    e->labels = piece(memory, &used, e->capacity * (long)sizeof *e->labels);
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

/* Zeros, at the start of a cache line, which `e` owns. Large networks are walked over in many streams
   at once: in small pages the processor would look up a new one every few microseconds. What is
   never touched costs nothing: calloc leaves large pieces to the system, which hands out zeros. */
static char *take_memory(struct engine *e, long bytes)
{
    const long unit = bytes >= 2 * HUGE_PAGE ? HUGE_PAGE : LINE, size = round_up(bytes + 1, unit);
    e->memory = calloc(1, (size_t)(size + unit));
    if (e->memory == NULL)
        return NULL;
    char *memory = e->memory + (unit - (long)((uintptr_t)e->memory % (uintptr_t)unit)) % unit;
#ifdef MADV_HUGEPAGE
    if (unit == HUGE_PAGE)
        madvise(memory, (size_t)size, MADV_HUGEPAGE); /* an advice: nothing is lost without it */
#endif
    return memory;
}

static void describe_layers(struct engine *e, const struct design *d)
{
    const long panel = e->kernels->panel;
    e->lowest = d->n_layers;
    for (int l = 0; l < d->n_layers; l++) {
        struct layer *layer = &e->layers[l];
        const int hidden = l < d->n_layers - 1;
        layer->n_in = d->sizes[l];
        layer->n_out = d->sizes[l + 1];
        layer->in_rows = round_up(layer->n_in, panel);
        layer->in_panels = layer->in_rows / panel;
        layer->out_panels = round_up(layer->n_out, panel) / panel;
        layer->activation = hidden ? d->activations[l] : ACTIVATION_identity;
        layer->custom = hidden && d->custom_activations ? d->custom_activations[l] : NULL;
        layer->dropout = hidden && d->dropout ? d->dropout[l + 1] : 0;
        layer->frozen = d->frozen && d->frozen[l];
        if (!layer->frozen && e->lowest == d->n_layers)
            e->lowest = l;
        layer->weights = e->n_packed;
        e->n_packed += layer->out_panels * layer->in_rows * panel;
    }
    for (int l = 0; l < d->n_layers; l++) {
        e->layers[l].bias = e->n_packed;
        e->n_packed += e->layers[l].out_panels * panel;
    }
}

/* Rows of one pass: its activations and errors stay about in the cache. */
static long rows_of_pass(const struct engine *e, long batch)
{
    long bytes = 0;
    for (int l = 0; l < e->n_layers; l++) {
        const struct layer *layer = &e->layers[l];
        bytes += (layer->in_panels + (2 + keeps_slope(layer)) * layer->out_panels) * LINE;
    }
    return e->sparse ? batch : least(batch, most(PASS_ROWS, PASS_BYTES / bytes));
}

/* NULL when there is no memory. All sizes are at least 1. */
struct engine *fastmlp_engine_new(const struct design *d)
{
    struct engine *e = calloc(1, sizeof *e + (size_t)d->n_layers * sizeof(struct layer));
    if (e == NULL)
        return NULL;
    e->kernels = d->kernels;
    e->n_layers = d->n_layers;
    e->layers = (struct layer *)(e + 1);
    e->output = d->output;
    e->loss = d->loss;
    e->input_dropout = d->dropout ? d->dropout[0] : 0;
    e->seed = d->seed;
    e->clip_value = d->clip_value;
    e->clip_norm = d->clip_norm;
    e->max_norm = d->max_norm;
    e->with_norm = d->with_norm || d->clip_norm > 0;
    e->n_threads = d->n_threads;
    e->sparse = d->sparse;
    e->shrink = e->next_shrink = 1;
    e->squares = -1;
    describe_layers(e, d);
    e->capacity = rows_of_pass(e, d->batch);
    e->batch_panel = (e->capacity | 1) * e->kernels->panel; /* odd: not in the same sets of L1 */
    list_tasks(e);
    /* The gradient is kept where it is what is wanted, or not complete after one pass or task. */
    long bytes = lay_out(e, d->rule, NULL), kept_gradient = 0;
    if (d->rule == UPDATE_none || d->batch > e->capacity || e->clip_norm > 0)
        kept_gradient = round_up(e->n_packed * e->kernels->real_bytes, LINE);
    char *memory = take_memory(e, bytes + kept_gradient);
    if (memory == NULL) {
        free(e);
        return NULL;
    }
    lay_out(e, d->rule, memory);
    list_tasks(e);
    if (kept_gradient)
        e->gradient = memory + bytes;
    e->update.rule = d->rule;
    fastmlp_choice_start(&e->choice, d->n_threads, 3 * layer_flops(e) * (double)e->capacity);
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
