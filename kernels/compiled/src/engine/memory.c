/* What an engine is made of: layers, tasks of the weights pass, and one piece of memory for all that a
   step needs. A step allocates nothing.

     arena.memory
     | tasks, their sums, groups    | n_tasks each                     filled when the engine is made
     | parameters, states           | n_packed each: panels of all     loaded and stored; updated by
     |                              | weights, then of all biases      the weights pass
     | gradient, rest               | n_packed each; only where the    from pass to pass of a batch, or to
     |                              | gradient outlives its task       update_task
     | W^T of layers 1 ...          | panels, for errors               remade with each update
     | input                        | capacity rows of x               gathered by the rows pass
     | output, delta (, slope) of   | capacity rows each               written by the rows pass, read by
     |   every layer                |                                  the weights pass behind it
     | target or labels, row scale, | capacity rows                    the rows pass alone
     |   row loss                   |
     | scratch                      | one piece a thread               one task
     v
   Panels of the batch are batch_panel elements apart, an odd number of cache lines. Sparse rows have
   memory of their own (sparse.c), in place of the input. */
#include <float.h>
#include <stdlib.h>
#include <string.h>
#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#endif

#include "fastmlp.h"
#include "work.h"

enum {
    PASS_BYTES = 768 << 10,  /* activations and errors of one pass stay about in the cache */
    SMALL_FLOPS = 250000,    /* of a small step, as of those that one thread makes in any case; */
    SMALL_ROWS = 64,         /* its rows, a block of every sum, */
    SMALL_DEPTH = 512,       /* and inputs of a layer, whose panel of weights stays in L1 from tile to tile */
    PASS_ROWS = 1024,        /* ... but a pass has at least this many rows, if the batch has */
    SPARSE_TASKS = 64,       /* of a sparse first layer, at most about */
    GROUP_PANELS = MAX_GROUP, /* of a group of tasks, at most; */
    TRIPLE_PANELS = 3,       /* whole triples, where a tile may take one and a half */
    GROUPS_OF_THREAD = 4,    /* so many groups a thread share the work evenly */
    HUGE_PAGE = 2 << 20,
};

/* Memory is laid out twice: first to count its bytes, then to hand it out. */
static void *piece(char *memory, long *used, long bytes)
{
    char *at = memory ? memory + *used : NULL;
    *used = plus(*used, round_up(bytes, LINE));
    return at;
}

/* Whether the derivative of a layer does not follow from what it gives to the next one. */
static int keeps_slope(const struct layer *layer)
{
#define FROM_PREACTIVATIONS(NAME) || layer->activation == ACTIVATION_##NAME
    return layer->dropout > 0 ||
           layer->activation == ACTIVATION_custom FASTMLP_FROM_PREACTIVATIONS(FROM_PREACTIVATIONS);
}

static void *reals(const struct engine *e, char *memory, long *used, long n)
{
    return piece(memory, used, times(n, e->design.kernels->real_bytes));
}

/* Parameters and what belongs to each of them. The gradient is kept where it is what is wanted, or not
   complete after one task or pass; with several passes, `rest` keeps the digits that sums lose. */
static void lay_out_parameters(struct engine *e, const struct request *r, char *memory, long *used)
{
    const int several = r->batch > e->design.capacity;
    e->arena.parameters = reals(e, memory, used, e->design.n_packed);
    for (int i = 0; i < fastmlp_states(r->rule); i++)
        e->arena.state[i] = reals(e, memory, used, e->design.n_packed);
    if (r->rule == UPDATE_none || r->shards || several || e->design.clip_norm > 0)
        e->arena.gradient = reals(e, memory, used, e->design.n_packed);
    if (several)
        e->arena.rest = reals(e, memory, used, e->design.n_packed);
    for (int l = 1; l < e->design.n_layers; l++) {
        struct layer *layer = &e->design.layers[l];
        layer->transposed = reals(e, memory, used, times(times(layer->in_rows, layer->out_panels),
                                                         e->design.kernels->panel));
    }
}

static void lay_out_rows(struct engine *e, char *memory, long *used)
{
    const struct layer *top = &e->design.layers[e->design.n_layers - 1];
    if (e->design.sparse) {
        const long features = times(e->design.layers[0].n_in, (long)sizeof(int32_t));
        e->arena.entries.touched = piece(memory, used, features);
        e->arena.entries.count = piece(memory, used, features);
        e->arena.entries.last = piece(memory, used, features);
    } else {
        e->arena.input = reals(e, memory, used, times(e->design.layers[0].in_panels, e->design.batch_panel));
    }
    for (int l = 0; l < e->design.n_layers; l++) {
        struct layer *layer = &e->design.layers[l];
        const long n = times(layer->out_panels, e->design.batch_panel);
        layer->output = reals(e, memory, used, n);
        layer->delta = reals(e, memory, used, n);
        if (keeps_slope(layer))
            layer->slope = reals(e, memory, used, n);
    }
    e->arena.target = reals(e, memory, used, times(top->out_panels, e->design.batch_panel));
    e->arena.labels = piece(memory, used, times(e->design.capacity, (long)sizeof *e->arena.labels));
    e->arena.row_scale = reals(e, memory, used, e->design.capacity);
    e->arena.row_loss = reals(e, memory, used, e->design.capacity);
}

/* Panels of a group at most: so many that a pass over the activations pays; so few that their errors of all
   rows, which one group of features after the other reads, stay in a quarter of the second-level cache; and
   so few that all threads find work. Sums are of tasks, so that results do not depend on it. */
static long max_group_panels(const struct engine *e)
{
    const long tiles = e->design.kernels->tile_panels, unit = tiles > 1 ? tiles : TRIPLE_PANELS;
    const long fit = fastmlp_caches().l2 / 4 / times(max(e->design.capacity, 1), LINE);
    const long most = min(max(fit / unit, 1) * unit, GROUP_PANELS);
    long panels = most;
    while (panels > 3 && e->design.n_threads > 1 &&
           e->design.n_tasks * tiles / panels < GROUPS_OF_THREAD * e->design.n_threads)
        panels /= 2;
    return panels > 3 || panels == most ? panels : tiles;
}

/* Bytes of all that an engine needs. */
static long lay_out(struct engine *e, const struct request *r, char *memory)
{
    const struct layer *top = &e->design.layers[e->design.n_layers - 1];
    const long sum = (long)sizeof(double);
    long used = 0;
    e->arena.tasks = piece(memory, &used, times(e->design.n_tasks, (long)sizeof *e->arena.tasks));
    e->arena.groups = piece(memory, &used, times(e->design.n_tasks, (long)sizeof *e->arena.groups));
    e->arena.task_penalty = piece(memory, &used, times(e->design.n_tasks, sum));
    e->arena.task_norm = piece(memory, &used, times(e->design.n_tasks, sum));
    e->arena.task_clipped = piece(memory, &used, times(e->design.n_tasks, sum));
    if (e->design.capacity == 0) /* only describes a network */
        return used;
    lay_out_parameters(e, r, memory, &used);
    lay_out_rows(e, memory, &used);
    e->arena.scratch_bytes = max((e->design.kernels->task_features + 1) * max_group_panels(e) * LINE,
                                 e->design.kernels->output_scratch(top->n_out));
    e->arena.scratch_bytes *= e->design.shards ? SHARD_LEVELS : 1;
    if (e->design.sparse)
        e->arena.scratch_bytes =
            max(e->arena.scratch_bytes, max(SPARSE_SCRATCH, times(e->design.layers[0].out_panels, LINE)));
    e->arena.scratch = piece(memory, &used, times(e->arena.scratch_bytes, e->design.n_threads));
    return used;
}

/* Features of a task of a sparse first layer. */
static long sparse_task_features(const struct engine *e)
{
    return max(e->design.kernels->task_features, e->design.layers[0].n_in / SPARSE_TASKS);
}

static long count_tasks(const struct engine *e)
{
    long n = e->design.sparse ? blocks_of(e->design.layers[0].n_in, sparse_task_features(e)) : 0;
    for (int l = e->design.sparse; l < e->design.n_layers; l++)
        n = plus(n, times(blocks_of(e->design.layers[l].out_panels, e->design.kernels->tile_panels),
                          blocks_of(e->design.layers[l].n_in, e->design.kernels->task_features)));
    return n;
}

static void list_tasks(struct engine *e)
{
    const long features = e->design.kernels->task_features, panels = e->design.kernels->tile_panels;
    struct weight_task *task = e->arena.tasks;
    if (e->design.sparse) { /* all panels of some features */
        const long n_in = e->design.layers[0].n_in, some = sparse_task_features(e);
        for (long f = 0; f < n_in; f += some)
            *task++ = (struct weight_task){0, 0, 0, f, min(f + some, n_in)};
    }
    for (int l = e->design.sparse; l < e->design.n_layers; l++)
        for (long p = 0; p < e->design.layers[l].out_panels; p += panels)
            for (long f = 0; f < e->design.layers[l].n_in; f += features)
                *task++ = (struct weight_task){l, (int)min(panels, e->design.layers[l].out_panels - p), p,
                                               f, min(f + features, e->design.layers[l].n_in)};
}

/* Whether a task with the padding of this layer may be narrow, see is_narrow, or computes half of its last
   panel, see vectors_of: the columns of a group are whole panels. */
static int goes_alone(const struct engine *e, const struct layer *layer)
{
    const long panel = e->design.kernels->panel, padding = layer->out_panels * panel - layer->n_out;
    return 2 * padding >= panel || times(padding, e->design.capacity) >= NARROW_PADDING;
}

/* Tasks of as many panels go in groups; the last ones of a layer, with its padding, may go alone. */
static void list_groups(struct engine *e)
{
    const long tiles = e->design.kernels->tile_panels, at_most = max_group_panels(e) / tiles;
    struct task_group *group = e->arena.groups;
    long first = 0;
    if (e->design.sparse)
        for (; first < e->design.n_tasks && e->arena.tasks[first].panels == 0; first++)
            *group++ = (struct task_group){first, 1, 0};
    for (int l = e->design.sparse; l < e->design.n_layers; l++) {
        const struct layer *layer = &e->design.layers[l];
        const long by_features = blocks_of(layer->n_in, e->design.kernels->task_features);
        const long whole = goes_alone(e, layer) ? layer->n_out / (e->design.kernels->panel * tiles)
                                                : layer->out_panels / tiles;
        const long all = blocks_of(layer->out_panels, tiles);
        for (long p = 0, n; p < all; p += n, first += n * by_features) {
            n = p < whole ? min(whole - p, at_most) : 1;
            for (long f = 0; f < by_features; f++)
                *group++ = (struct task_group){first + f, n, by_features};
        }
    }
    e->design.n_groups = group - e->arena.groups;
}

/* Zeros, at the start of a cache line, which `e` owns. Steps go over large networks in many
   streams at once: in small pages the processor would look up a new one every few microseconds. What is
   never touched costs nothing: calloc leaves large pieces to the system, which hands out zeros. */
static char *take_memory(struct engine *e, long bytes)
{
    const long unit = bytes >= 2 * HUGE_PAGE ? HUGE_PAGE : LINE, size = round_up(bytes + 1, unit);
    e->arena.memory = calloc(1, (size_t)(size + unit));
    if (e->arena.memory == NULL)
        return NULL;
    char *memory = e->arena.memory + (unit - (long)((uintptr_t)e->arena.memory % (uintptr_t)unit)) % unit;
#ifdef MADV_HUGEPAGE
    if (unit == HUGE_PAGE)
        madvise(memory, (size_t)size, MADV_HUGEPAGE); /* an advice: nothing is lost without it */
#endif
    return memory;
}

static void describe_layers(struct engine *e, const struct request *r)
{
    const long panel = e->design.kernels->panel;
    e->design.lowest = r->n_layers;
    for (int l = 0; l < r->n_layers; l++) {
        struct layer *layer = &e->design.layers[l];
        const int hidden = l < r->n_layers - 1;
        layer->n_in = r->sizes[l];
        layer->n_out = r->sizes[l + 1];
        layer->in_rows = round_up(layer->n_in, panel);
        layer->in_panels = layer->in_rows / panel;
        layer->out_panels = round_up(layer->n_out, panel) / panel;
        layer->activation = hidden ? r->activations[l] : ACTIVATION_identity;
        layer->custom = hidden && r->custom_activations ? r->custom_activations[l] : NULL;
        layer->dropout = hidden && r->dropout ? r->dropout[l + 1] : 0;
        layer->frozen = r->frozen && r->frozen[l];
        if (!layer->frozen && e->design.lowest == r->n_layers)
            e->design.lowest = l;
        layer->weights = e->design.n_packed;
        e->design.n_packed = plus(e->design.n_packed, times(times(layer->out_panels, layer->in_rows), panel));
    }
    for (int l = 0; l < r->n_layers; l++) {
        e->design.layers[l].bias = e->design.n_packed;
        e->design.n_packed = plus(e->design.n_packed, times(e->design.layers[l].out_panels, panel));
    }
}

/* Rows of one pass: its activations and errors stay about in the cache. */
static long rows_of_pass(const struct engine *e, long batch)
{
    long bytes = 0;
    for (int l = 0; l < e->design.n_layers; l++) {
        const struct layer *layer = &e->design.layers[l];
        const long outputs = times(2 + keeps_slope(layer), layer->out_panels);
        bytes = plus(bytes, times(plus(layer->in_panels, outputs), LINE));
    }
    return e->design.sparse ? batch : min(batch, max(PASS_ROWS, PASS_BYTES / bytes));
}

/* A limit, or 0 for none; not so small that the mode of steps takes it as none. */
static double limit_of(double limit) { return limit > 0 && limit < DBL_MIN ? DBL_MIN : limit; }

/* Whether plain steps can be small ones: one thread makes each, in one pass, and nothing but the gradient
   changes the weights. */
static int is_small(const struct engine *e)
{
    const struct design *d = &e->design;
    if (e->tuner.n > 1 || 3 * layer_flops(d) * (double)d->capacity > SMALL_FLOPS || d->capacity > SMALL_ROWS ||
        e->arena.gradient || d->sparse || d->input_dropout > 0 || d->with_norm || d->clip_value > 0 || d->max_norm > 0)
        return 0;
    for (int l = 0; l < d->n_layers; l++)
        if ((d->layers[l].n_in > SMALL_DEPTH && d->capacity > 1) || d->layers[l].slope || d->layers[l].frozen)
            return 0;
    return 1;
}

/* All sizes are at least 1. */
struct engine *fastmlp_engine_new(const struct request *r, double *wanted)
{
    struct engine *e = calloc(1, sizeof *e + (size_t)r->n_layers * sizeof(struct layer));
    *wanted = sizeof *e;
    if (e == NULL)
        return NULL;
    e->design.kernels = r->kernels;
    e->design.n_layers = r->n_layers;
    e->design.layers = (struct layer *)(e + 1);
    e->design.output = r->output;
    e->design.loss = r->loss;
    e->design.input_dropout = r->dropout ? r->dropout[0] : 0;
    e->design.seed = r->seed;
    e->design.clip_value = limit_of(r->clip_value);
    e->design.clip_norm = limit_of(r->clip_norm);
    e->design.max_norm = limit_of(r->max_norm);
    e->design.with_norm = r->with_norm || e->design.clip_norm > 0;
    e->design.n_threads = r->n_threads;
    e->design.sparse = r->sparse;
    e->design.shards = r->shards;
    e->arena.shrink = e->arena.next_shrink = 1;
    e->arena.squares = -1;
    describe_layers(e, r);
    e->design.capacity = rows_of_pass(e, r->batch);
    e->design.batch_panel = times(e->design.capacity | 1, e->design.kernels->panel); /* odd: not in the same sets of L1 */
    e->design.n_tasks = count_tasks(e);
    const long bytes = lay_out(e, r, NULL);
    *wanted = (double)bytes;
    char *memory = bytes < LONG_MAX / 2 ? take_memory(e, bytes) : NULL;
    if (memory == NULL) {
        free(e);
        return NULL;
    }
    lay_out(e, r, memory);
    list_tasks(e);
    list_groups(e);
    e->pass.update.rule = r->rule;
    fastmlp_tuner_start(&e->tuner, r->n_threads, 3 * layer_flops(&e->design) * (double)e->design.capacity);
    e->design.small = is_small(e);
    return e;
}

void fastmlp_engine_free(struct engine *e)
{
    if (e == NULL)
        return;
    free(e->arena.entries_memory);
    free(e->arena.memory);
    free(e);
}
