/* The engine: memory, the order of the passes, and how work is split over threads.

   One step is two parallel loops whatever the depth of the network: the rows pass over blocks of
   rows, then the weights pass over tiles of all weight matrices. Everything a step needs is
   allocated by fastmlp_engine_new; a step allocates nothing. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fastmlp.h"
#include "float_mode.h"
#include "work.h"

enum {
    FEW_ROWS = 4,            /* predictions of fewer rows do not pay for packing the weights */
    PASS_BYTES = 768 << 10,   /* activations and errors of one pass stay about in the cache */
    HUGE_PAGE = 2 << 20,
    CACHED_BYTES = 2 << 20,  /* parameters and state that need no prefetching */
    LOOK_AHEAD_MOST = 256 << 10, /* bytes of rows that stay in that cache until they are gathered */
    PASS_ROWS = 1024,        /* ... but a pass has at least this many rows, if the batch has */
};

static double layer_flops(const struct engine *e)
{
    double flops = 0;
    for (int l = 0; l < e->n_layers; l++)
        flops += 2.0 * (double)e->layers[l].n_in * (double)e->layers[l].n_out;
    return flops;
}

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
    e->input = piece(memory, &used, e->layers[0].in_panels * batch);
    for (int l = 0; l < e->n_layers; l++) {
        e->layers[l].output = piece(memory, &used, e->layers[l].out_panels * batch);
        e->layers[l].delta = piece(memory, &used, e->layers[l].out_panels * batch);
    }
    e->target = piece(memory, &used, e->layers[e->n_layers - 1].out_panels * batch);
    e->row_scale = piece(memory, &used, e->capacity * real);
    e->row_loss = piece(memory, &used, e->capacity * real);
    e->scratch_bytes = most((e->kernels->task_features + 1) * e->kernels->tile_panels * LINE,
                            e->kernels->output_scratch(e->layers[e->n_layers - 1].n_out));
    e->scratch = piece(memory, &used, e->scratch_bytes * e->n_threads);
    return used;
}

static void list_tasks(struct engine *e)
{
    long n = 0, features = e->kernels->task_features, panels = e->kernels->tile_panels;
    for (int l = 0; l < e->n_layers; l++)
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
                                  double loss_constant, int rule, long batch, int n_threads)
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
        row_bytes += (layer->in_panels + 2 * layer->out_panels) * LINE;
    }
    for (int l = 0; l < n_layers; l++) {
        e->layers[l].bias = e->n_packed;
        e->n_packed += e->layers[l].out_panels * panel;
    }
    e->capacity = least(batch, most(PASS_ROWS, PASS_BYTES / row_bytes));
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
    free(e->memory);
    free(e);
}

static long n_parameters(const struct engine *e)
{
    long n = 0;
    for (int l = 0; l < e->n_layers; l++)
        n += (e->layers[l].n_in + 1) * e->layers[l].n_out;
    return n;
}

void fastmlp_load(struct engine *e, const void *parameters, const void *state)
{
    long bytes = n_parameters(e) * e->kernels->real_bytes;
    e->kernels->pack(e, parameters, e->parameters);
    e->kernels->refresh_transposed(e);
    for (int i = 0; i < MOST_STATES && e->state[i]; i++) {
        if (state)
            e->kernels->pack(e, (const char *)state + i * bytes, e->state[i]);
        else
            memset(e->state[i], 0, (size_t)(e->n_packed * e->kernels->real_bytes));
    }
}

void fastmlp_store(const struct engine *e, void *parameters, void *state)
{
    long bytes = n_parameters(e) * e->kernels->real_bytes;
    e->kernels->unpack(e, e->parameters, parameters);
    for (int i = 0; state && i < MOST_STATES && e->state[i]; i++)
        e->kernels->unpack(e, e->state[i], (char *)state + i * bytes);
}

static double real_at(const void *values, int real_bytes, long i)
{
    return real_bytes == 4 ? ((const float *)values)[i] : ((const double *)values)[i];
}

/* Total weight of rows first … first + n - 1 in the order of the samples. */
static double total_weight(const struct samples *s, int real_bytes, long first, long n)
{
    if (s->sample_weight == NULL)
        return (double)n;
    double total = 0;
    for (long r = first; r < first + n; r++)
        total += real_at(s->sample_weight, real_bytes, s->order ? s->order[r] : r);
    return total;
}

static double pass_loss(const struct engine *e, const struct samples *s)
{
    double total = 0;
    int real = e->kernels->real_bytes;
    for (long r = 0; r < e->n_rows; r++) {
        long at = s->order ? s->order[e->first_row + r] : e->first_row + r;
        double weight = s->sample_weight ? real_at(s->sample_weight, real, at) : 1;
        total += weight * real_at(e->row_loss, real, r);
    }
    return total;
}

/* The next pass is taken to have as many rows as this one. */
static struct look_ahead next_rows(const struct engine *e, const struct samples *s)
{
    struct look_ahead next = {e->first_row + e->n_rows, 0};
    long row_bytes = e->layers[0].n_in * e->kernels->real_bytes;
    long rows = least(e->n_rows, s->n_rows - next.first);
    if (s->order && rows * row_bytes <= LOOK_AHEAD_MOST)
        next.rows = rows;
    return next;
}

/* Around a run of steps: the mode that steps compute in, and the way back to the caller's. */
unsigned long fastmlp_enter_steps(void)
{
    unsigned long mode = float_mode();
    set_float_mode(mode | FLUSH_SUBNORMALS);
    return mode;
}
void fastmlp_leave_steps(unsigned long mode) { set_float_mode(mode); }

/* One batch: returns its mean loss with the penalty, both before the update. */
double fastmlp_step(struct engine *e, const struct samples *samples, long first_row, long n_rows,
                    double l2, int l2_over_batch, const struct update *update)
{
    double weight = total_weight(samples, e->kernels->real_bytes, first_row, n_rows), loss = 0;
    e->samples = samples;
    e->scale = weight > 0 ? 1 / weight : 0;
    e->l2 = l2_over_batch ? l2 * e->scale : l2;
    if (update)
        e->update = *update;
    /* Every other step walks the weights backwards: it finds in the cache what the last one left. */
    e->walk.backwards = !e->walk.backwards;
    long done = 0;
    do {
        e->first_row = first_row + done;
        e->n_rows = least(n_rows - done, e->capacity);
        e->accumulate = done > 0;
        e->finish = done + e->n_rows == n_rows;
        int threads = fastmlp_choice_begin(&e->choice);
        e->block_rows = rows_of_block(e->n_rows, threads);
        e->look_ahead = next_rows(e, samples);
        fastmlp_parallel(threads, blocks_of(e->n_rows, e->block_rows), e->kernels->rows_block, e);
        fastmlp_parallel(threads, e->n_tasks, e->kernels->weights_task, e);
        loss += pass_loss(e, samples);
        fastmlp_choice_end(&e->choice, e->n_rows);
        done += e->n_rows;
    } while (done < n_rows);
    loss *= e->scale;
    if (e->l2 != 0) {
        double squares = 0;
        for (long t = 0; t < e->n_tasks; t++)
            squares += e->task_penalty[t];
        loss += 0.5 * e->l2 * squares;
    }
    return loss;
}

double fastmlp_gradient(struct engine *e, const void *parameters, const struct samples *samples,
                        long n_rows, double l2, void *gradient)
{
    fastmlp_load(e, parameters, NULL);
    double loss = fastmlp_step(e, samples, 0, n_rows, l2, 0, NULL);
    fastmlp_choice_pause(&e->choice);
    e->kernels->unpack(e, e->gradient, gradient);
    return loss;
}

/* Predictions for n >= 1 rows: 0, or -1 without memory. */
int fastmlp_forward(const struct engine *network, const void *flat, struct matrix x, long n,
                    int scores, void *out, int n_threads)
{
    const struct kernels *k = network->kernels;
    struct engine e = *network;
    struct forward f = {.engine = &e, .x = x, .n = n, .scores = scores, .out = out};
    long widest = e.layers[0].in_rows;
    for (int l = 0; l < e.n_layers; l++)
        widest = most(widest, e.layers[l].out_panels * k->panel);
    if (n < FEW_ROWS) {
        char small[16384] __attribute__((aligned(LINE)));
        f.half_bytes = round_up(widest * k->real_bytes, LINE);
        f.scratch_bytes = 2 * f.half_bytes + k->output_scratch(e.layers[e.n_layers - 1].n_out);
        int fits = f.scratch_bytes <= (long)sizeof small;
        f.scratch = fits ? small : fastmlp_scratch_take(f.scratch_bytes);
        if (f.scratch == NULL)
            return -1;
        k->forward_few(&e, flat, &f);
        if (!fits)
            fastmlp_scratch_give(f.scratch);
        return 0;
    }
    int threads = threads_for(layer_flops(&e) * (double)n, n_threads);
    f.block_rows = rows_of_block(n, threads);
    f.half_bytes = round_up(widest * (f.block_rows | 1) * k->real_bytes, LINE);
    f.scratch_bytes = 2 * f.half_bytes + k->output_scratch(e.layers[e.n_layers - 1].n_out);
    long packed = round_up(e.n_packed * k->real_bytes, LINE);
    char *memory = fastmlp_scratch_take(packed + f.scratch_bytes * threads);
    if (memory == NULL)
        return -1;
    e.parameters = memory;
    f.scratch = memory + packed;
    memset(memory, 0, (size_t)packed);
    k->pack(&e, flat, e.parameters);
    fastmlp_parallel(threads, blocks_of(n, f.block_rows), k->forward_block, &f);
    fastmlp_scratch_give(memory);
    return 0;
}
