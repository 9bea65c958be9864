/* The engine: the order of the passes, and how work is split over threads.

   One step is two parallel loops whatever the depth of the network: the rows pass over blocks of
   rows, then the weights pass over tiles of all weight matrices. Everything a step needs is
   allocated by fastmlp_engine_new (memory.c); a step allocates nothing. */
#include <math.h>
#include <string.h>

#include "fastmlp.h"
#include "threads/float_mode.h"
#include "work.h"

enum {
    FEW_ROWS = 4,                /* predictions of fewer rows do not pay for packing the weights */
    LOOK_AHEAD_MOST = 256 << 10, /* bytes of rows that stay in the cache until they are gathered */
};

static long n_parameters(const struct engine *e)
{
    long n = 0;
    for (int l = 0; l < e->n_layers; l++)
        n += (e->layers[l].n_in + 1) * e->layers[l].n_out;
    return n;
}

/* Multiplications and additions of a step of so many rows, about. */
double fastmlp_operations(const struct engine *e, long rows)
{
    double all = 6.0 * (double)rows * (double)n_parameters(e);
    if (!e->sparse)
        return all;
    const struct layer *first = &e->layers[0];
    return all + 6.0 * (double)first->n_out *
                     ((double)e->entries.capacity - (double)rows * (double)first->n_in);
}

void fastmlp_load(struct engine *e, const void *parameters, const void *state)
{
    long bytes = n_parameters(e) * e->kernels->real_bytes;
    e->shrink = e->next_shrink = 1;
    e->squares = -1;
    e->kernels->pack(e, parameters, e->parameters, 0);
    e->kernels->refresh_transposed(e);
    for (int i = 0; i < MAX_STATES && e->state[i]; i++) {
        if (state)
            e->kernels->pack(e, (const char *)state + i * bytes, e->state[i], 0);
        else
            memset(e->state[i], 0, (size_t)(e->n_packed * e->kernels->real_bytes));
    }
}

void fastmlp_store(struct engine *e, void *parameters, void *state)
{
    long bytes = n_parameters(e) * e->kernels->real_bytes;
    fastmlp_end_epoch(e);
    e->kernels->unpack(e, e->parameters, parameters);
    for (int i = 0; state && i < MAX_STATES && e->state[i]; i++)
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
        total += real_at(s->sample_weight, real_bytes, row_at(s->order, r));
    return total;
}

static double pass_loss(const struct engine *e, const struct samples *s)
{
    double total = 0;
    int real = e->kernels->real_bytes;
    for (long r = 0; r < e->n_rows; r++) {
        long at = row_at(s->order, e->first_row + r);
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
    if (s->order && !e->sparse && rows * row_bytes <= LOOK_AHEAD_MOST)
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

static double sum_of_tasks(const struct engine *e, const double *values)
{
    double total = 0;
    for (long t = 0; t < e->n_tasks; t++)
        total += values[t];
    return total;
}

/* The updates that need the whole gradient, scaled down where it is longer than clip_norm, as in
   torch; a gradient that is not finite stays seen. */
static void clip_and_update(struct engine *e, int threads)
{
    const double *tasks = e->clip_value > 0 ? e->task_clipped : e->task_norm;
    double factor = e->clip_norm / (sqrt(sum_of_tasks(e, tasks)) + 1e-6);
    e->factor = factor >= 1 ? 1 : factor;
    fastmlp_parallel(threads, e->n_tasks, e->kernels->update_task, e);
}

static void bound_columns(struct engine *e, int threads)
{
    long panels = 0;
    for (int l = 0; l < e->n_layers; l++)
        panels += e->layers[l].out_panels;
    fastmlp_parallel(threads, panels, e->kernels->bound_task, e);
}

/* The rows of a batch that fit into one pass: through the network and back, gradients, and with the
   last of them the update. */
static void run_pass(struct engine *e)
{
    int threads = fastmlp_choice_begin(&e->choice);
    e->block_rows = rows_of_block(e->n_rows, threads);
    e->look_ahead = next_rows(e, e->samples);
    if (e->sparse)
        e->kernels->sort_entries(e);
    fastmlp_parallel(threads, blocks_of(e->n_rows, e->block_rows), e->kernels->rows_block, e);
    fastmlp_parallel(threads, e->n_tasks, e->kernels->weights_task, e);
    if (e->finish && e->clip_norm > 0)
        clip_and_update(e, threads);
    if (e->finish && e->max_norm > 0)
        bound_columns(e, threads);
}

/* One batch: returns its mean loss with the penalty, both before the update. */
double fastmlp_step(struct engine *e, const struct samples *samples, long first_row, long n_rows,
                    long step, const struct penalty *penalty, const struct update *update)
{
    double weight = total_weight(samples, e->kernels->real_bytes, first_row, n_rows), loss = 0;
    e->samples = samples;
    e->step = step;
    e->scale = weight > 0 ? 1 / weight : 0;
    e->l2 = penalty->over_batch ? penalty->l2 * e->scale : penalty->l2;
    e->l1 = penalty->over_batch ? penalty->l1 * e->scale : penalty->l1;
    if (update)
        e->update = *update;
    fastmlp_choose_lazy(e, update);
    long done = 0;
    do {
        e->first_row = first_row + done;
        e->position = done;
        e->n_rows = least(n_rows - done, e->capacity);
        e->accumulate = done > 0;
        e->finish = done + e->n_rows == n_rows;
        run_pass(e);
        loss += pass_loss(e, samples);
        fastmlp_choice_end(&e->choice, e->n_rows);
        done += e->n_rows;
    } while (done < n_rows);
    loss *= e->scale;
    if (e->l2 != 0 || e->l1 != 0)
        loss += fastmlp_sum_of_penalties(e);
    else if (e->lazy)
        e->squares = -1;
    e->shrink = e->next_shrink;
    if (e->with_norm)
        e->gradient_norm = sqrt(sum_of_tasks(e, e->task_norm));
    return loss;
}

double fastmlp_gradient(struct engine *e, const void *parameters, const struct samples *samples,
                        long n_rows, const struct penalty *penalty, void *gradient)
{
    fastmlp_load(e, parameters, NULL);
    double loss = fastmlp_step(e, samples, 0, n_rows, 1, penalty, NULL);
    fastmlp_choice_pause(&e->choice);
    e->kernels->unpack(e, e->gradient, gradient);
    return loss;
}

/* Predictions for n >= 1 rows: 0, or -1 without memory. */
int fastmlp_forward(const struct engine *network, const void *flat, struct matrix x,
                    const struct csr *sparse, long n, int scores, void *out, int n_threads)
{
    const struct kernels *k = network->kernels;
    struct engine e = *network;
    struct forward f = {.engine = &e, .x = x, .sparse = sparse, .flat = flat, .n = n,
                        .scores = scores, .out = out};
    long widest = sparse ? 0 : e.layers[0].in_rows;
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
    /* Sparse rows take the first layer's weights as they are. */
    long skipped = !sparse ? 0 : e.n_layers > 1 ? e.layers[1].weights : e.layers[0].bias;
    long packed = round_up((e.n_packed - skipped) * k->real_bytes, LINE);
    char *memory = fastmlp_scratch_take(packed + f.scratch_bytes * threads);
    if (memory == NULL)
        return -1;
    e.parameters = (void *)((uintptr_t)memory - (uintptr_t)(skipped * k->real_bytes));
    f.scratch = memory + packed;
    memset(memory, 0, (size_t)packed);
    k->pack(&e, flat, e.parameters, sparse != NULL);
    fastmlp_parallel(threads, blocks_of(n, f.block_rows), k->forward_block, &f);
    fastmlp_scratch_give(memory);
    return 0;
}
