/* The engine: the order of the passes, and how work is split over threads.

   One step is two parallel loops whatever the depth of the network: the rows pass over blocks of
   rows, then the weights pass over tiles of all weight matrices. Everything a step needs is
   allocated by fastmlp_engine_new (memory.c); a step allocates nothing. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "fastmlp.h"
#include "threads/float_mode.h"
#include "work.h"

enum {
    PREFETCH_BYTES = 256 << 10, /* bytes of rows that stay in the cache until they are gathered */
};

static const double PIECE = 3e8; /* operations of rows between two looks at whether to go on, about */

static long n_parameters(const struct design *d)
{
    long n = 0;
    for (int l = 0; l < d->n_layers; l++)
        n += (d->layers[l].n_in + 1) * d->layers[l].n_out;
    return n;
}

/* Multiplications and additions of a step of so many rows, about. */
double fastmlp_operations(const struct engine *e, long rows)
{
    double all = 6.0 * (double)rows * (double)n_parameters(&e->design);
    if (!e->design.sparse)
        return all;
    const struct layer *first = &e->design.layers[0];
    return all + 6.0 * (double)first->n_out *
                     ((double)e->arena.entries.capacity - (double)rows * (double)first->n_in);
}

void fastmlp_load(struct engine *e, const void *parameters, const void *state)
{
    long bytes = n_parameters(&e->design) * e->design.kernels->real_bytes;
    e->pass.begun = 0;
    e->arena.shrink = e->arena.next_shrink = 1;
    e->arena.squares = -1;
    e->design.kernels->pack(&e->design, parameters, e->arena.parameters, 0, 0);
    e->design.kernels->refresh_transposed(e);
    for (int i = 0; i < MAX_STATES && e->arena.state[i]; i++) {
        if (state)
            e->design.kernels->pack(&e->design, (const char *)state + i * bytes, e->arena.state[i], 0, 0);
        else
            memset(e->arena.state[i], 0, (size_t)(e->design.n_packed * e->design.kernels->real_bytes));
    }
}

/* The engine stays as it is: this may happen between two steps of a run. */
void fastmlp_store(const struct engine *e, void *parameters, void *state)
{
    long bytes = n_parameters(&e->design) * e->design.kernels->real_bytes;
    e->design.kernels->unpack(&e->design, e->arena.parameters, parameters);
    const long lazy = e->arena.shrink == 1 ? 0 : e->design.layers[0].n_in * e->design.layers[0].n_out;
    for (long i = 0; i < lazy; i++)
        if (e->design.kernels->real_bytes == 4)
            ((float *)parameters)[i] *= (float)e->arena.shrink;
        else
            ((double *)parameters)[i] *= e->arena.shrink;
    for (int i = 0; state && i < MAX_STATES && e->arena.state[i]; i++)
        e->design.kernels->unpack(&e->design, e->arena.state[i], (char *)state + i * bytes);
}

static double real_at(const void *values, int real_bytes, long i)
{
    return real_bytes == 4 ? ((const float *)values)[i] : ((const double *)values)[i];
}

/* Total weight of rows first … first + n - 1 in the order of the samples. */
static double sum_of_weights(const struct samples *s, int real_bytes, long first, long n, double unit)
{
    double total = 0;
    for (long r = first; r < first + n; r++)
        total += weight_at(s->sample_weight, real_bytes, row_at(s->order, r), unit);
    return total;
}

/* Of the weight of a batch, which may be none. */
static double inverse(double total) { return total > 0 ? 1 / total : 0; }

/* Set the unit of the batch's weights, and the inverse of their sum in it. With shards that is known. */
static void weigh(struct engine *e, const struct samples *s, long first, long n)
{
    const int real = e->design.kernels->real_bytes;
    const struct shards *shards = e->pass.shards;
    double total = shards ? shards->total : (double)n;
    e->pass.unit = 1;
    if (s->sample_weight) {
        total = shards ? total : sum_of_weights(s, real, first, n, 1);
        if (!(total > 1e-250 && total < 1e250)) {
            e->pass.unit = total < 1 ? 0x1p400 : 0x1p-400;
            total = shards ? total * e->pass.unit : sum_of_weights(s, real, first, n, e->pass.unit);
        }
    }
    e->pass.scale = inverse(total);
    if (e->design.loss.code == LOSS_of_output) /* which are of the sum over the rows */
        e->pass.scale = e->pass.unit = 1;
}

/* Of the rows of the pass from `first` on, before `n`. */
static double pass_loss(const struct engine *e, const struct samples *s, long first, long n)
{
    double total = 0;
    const int real = e->design.kernels->real_bytes;
    const void *losses = e->arena.row_loss;
    if (s->sample_weight)
        for (long r = first; r < n; r++) {
            const long at = row_at(s->order, e->pass.first_row + r);
            total += weight_at(s->sample_weight, real, at, e->pass.unit) * real_at(losses, real, r);
        }
    else if (real == 4)
        for (long r = first; r < n; r++)
            total += ((const float *)losses)[r];
    else
        for (long r = first; r < n; r++)
            total += ((const double *)losses)[r];
    return total;
}

/* The next pass is taken to have as many rows as this one; few of them are prefetched while these are gathered. */
static struct upcoming next_rows(const struct engine *e, const struct samples *s)
{
    struct upcoming next = {e->pass.first_row + e->pass.n_rows, 0};
    long row_bytes = e->design.layers[0].n_in * e->design.kernels->real_bytes;
    long rows = min(e->pass.n_rows, s->n_rows - next.first);
    const int beyond = rows > rows_ahead(e->design.layers[0].n_in);
    if (s->order && beyond && !e->design.sparse && rows * row_bytes <= PREFETCH_BYTES)
        next.rows = rows;
    return next;
}

/* Around a run of steps: the mode that they compute in, and the way back to the caller's. Steps that call
   functions of users in Python do not flush: those are to compute as they do elsewhere. */
unsigned long fastmlp_enter_steps(int flush)
{
    unsigned long mode = float_mode();
    if (flush)
        set_float_mode(mode | FLUSH_SUBNORMALS);
    return mode;
}

void fastmlp_leave_steps(unsigned long mode) { set_float_mode(mode); }

static double sum_of_tasks(const struct engine *e, const double *values)
{
    double total = 0;
    for (long t = 0; t < e->design.n_tasks; t++)
        total += values[t];
    return total;
}

/* The updates that need the whole gradient, scaled down where it is longer than clip_norm, as in
   torch; a non-finite gradient is not clipped away, so it remains visible. */
static void clip_and_update(struct engine *e, int threads)
{
    const double *tasks = e->design.clip_value > 0 ? e->arena.task_clipped : e->arena.task_norm;
    double factor = e->design.clip_norm / (sqrt(sum_of_tasks(e, tasks)) + 1e-6);
    e->pass.factor = factor >= 1 ? 1 : factor;
    fastmlp_parallel(threads, e->design.n_tasks, e->design.kernels->update_task, e);
}

static void bound_columns(struct engine *e, int threads)
{
    long panels = 0;
    for (int l = 0; l < e->design.n_layers; l++)
        panels += e->design.layers[l].out_panels;
    fastmlp_parallel(threads, panels, e->design.kernels->bound_task, e);
}

/* What a step does behind its weights pass. */
static void finish_update(struct engine *e, int threads)
{
    if (e->design.clip_norm > 0)
        clip_and_update(e, threads);
    if (e->design.max_norm > 0)
        bound_columns(e, threads);
}

/* Whether somebody wants the step to end, asked about every 50 ms of it. */
static int interrupted(struct engine *e)
{
    struct timespec t;
    if (e->pass.interrupted == NULL)
        return 0;
    clock_gettime(CLOCK_MONOTONIC, &t);
    const double now = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    if (e->pass.looked == 0)
        e->pass.looked = now;
    if (now - e->pass.looked < 0.05)
        return 0;
    e->pass.looked = now;
    return e->pass.interrupted();
}

/* The blocks of rows of a pass. Where they are very many, as sparse ones may be, some at a time:
   nothing is updated before all are done, so that the step can end between. */
static void rows_in_pieces(struct engine *e, int threads)
{
    const long blocks = blocks_of(e->pass.n_rows, e->pass.block_rows);
    const double pieces = 1 + fastmlp_operations(e, e->pass.n_rows) / PIECE;
    const long piece = threads * (1 + (long)((double)blocks / pieces) / threads);
    for (long first = 0; first < blocks && !e->pass.fault; first += piece) {
        e->pass.first_block = first;
        fastmlp_parallel(threads, min(piece, blocks - first), e->design.kernels->rows_block, e);
        if (first + piece < blocks && !e->pass.fault && interrupted(e))
            e->pass.fault = FAULT_interrupted;
    }
}

/* The rows of a batch that fit into one pass: through the network and back, gradients, and with the
   last of them the update. */
static void run_pass(struct engine *e)
{
    int threads = fastmlp_tuner_begin(&e->tuner);
    const int one_block = threads == 1 && e->pass.n_rows > 0 && e->pass.n_rows <= BLOCK_ROWS;
    e->pass.block_rows = one_block ? e->pass.n_rows : rows_of_block(e->pass.n_rows, threads);
    e->pass.first_block = 0;
    e->pass.upcoming = next_rows(e, e->pass.samples);
    if (e->design.sparse)
        e->design.kernels->gather_entries(e);
    if (e->pass.fault)
        return;
    if (one_block)
        e->design.kernels->rows_block(e, 0, 0);
    else
        rows_in_pieces(e, threads);
    if (e->pass.fault) /* parameters are still as the last step left them */
        return;
    fastmlp_parallel(threads, e->design.n_groups, e->design.kernels->weights_group, e);
    if (e->pass.finish && !e->pass.shards)
        finish_update(e, threads);
}

/* Rows of a batch, as many passes as it takes: the sum of their losses, of shards that of each in `losses`;
   or NaN, without an update, where e->pass.fault says what is wrong with the samples. */
static double run_passes(struct engine *e, const struct samples *samples, long first_row, long n_rows, double *losses)
{
    const struct shards *shards = e->pass.shards;
    double loss = 0;
    e->pass.samples = samples;
    e->pass.fault = FAULT_none;
    e->pass.looked = 0;
    long done = 0;
    do {
        e->pass.first_row = first_row + done;
        e->pass.position = done + (shards ? shards->position : 0);
        e->pass.n_rows = min(n_rows - done, e->design.capacity);
        e->pass.accumulate = done > 0;
        e->pass.finish = done + e->pass.n_rows == n_rows;
        run_pass(e);
        if (e->pass.fault)
            return NAN;
        loss += pass_loss(e, samples, 0, e->pass.n_rows);
        fastmlp_tuner_end(&e->tuner, e->pass.n_rows);
        done += e->pass.n_rows;
        if (done < n_rows && interrupted(e)) { /* nothing has been updated yet */
            e->pass.fault = FAULT_interrupted;
            return NAN;
        }
    } while (done < n_rows);
    for (long s = 0; shards && s < shards->n; s++)
        losses[s] = (shards->n == 1 ? loss : pass_loss(e, samples, shards->cuts[s], shards->cuts[s + 1])) * e->pass.scale;
    return loss;
}

static void set_penalty(struct engine *e, const struct penalty *penalty, double over_batch)
{
    const double share = penalty->over_batch ? over_batch : 1;
    e->pass.l2 = penalty->l2 * share;
    e->pass.l1 = penalty->l1 * share;
}

/* One batch: returns its mean loss with the penalty, both before the update; or NaN, without an update,
   where e->pass.fault says what is wrong with the samples. */
double fastmlp_step(struct engine *e, const struct samples *samples, long first_row, long n_rows,
                    long step, const struct penalty *penalty, const struct update *update)
{
    if (is_small_step(e, samples, n_rows, penalty, update))
        return e->design.kernels->small_step(e, samples, first_row, n_rows, step, update->rate);
    e->pass.shards = NULL;
    e->pass.begun = 0;
    weigh(e, samples, first_row, n_rows);
    set_penalty(e, penalty, e->pass.scale * e->pass.unit);
    e->pass.step = step;
    if (update)
        e->pass.update = *update;
    fastmlp_begin_step(e, update);
    double loss = run_passes(e, samples, first_row, n_rows, NULL);
    if (e->pass.fault)
        return NAN;
    loss *= e->pass.scale;
    if (e->pass.l2 != 0 || e->pass.l1 != 0)
        loss += fastmlp_sum_of_penalties(e);
    else if (e->pass.lazy)
        e->arena.squares = -1;
    e->arena.shrink = e->arena.next_shrink;
    if (e->design.with_norm)
        e->gradient_norm = sqrt(sum_of_tasks(e, e->arena.task_norm));
    return loss;
}

/* The first half of a step that several processes share: the gradient of some shards of its batch, with
   their losses, left in e->arena.gradient. Nothing is changed; e->pass.fault says what is wrong. */
void fastmlp_shards(struct engine *e, const struct samples *samples, const struct shards *shards, long step,
                    double *losses)
{
    e->pass.shards = shards;
    weigh(e, samples, 0, samples->n_rows);
    e->pass.l2 = e->pass.l1 = 0;
    e->pass.step = step;
    e->pass.lazy = 0;
    run_passes(e, samples, 0, samples->n_rows, losses);
    e->pass.shards = NULL;
}

/* The other half, along the sum of all gradients in e->arena.gradient: penalties, clipping, the update.
   Returns the penalty before it. */
double fastmlp_descend(struct engine *e, double total, const struct penalty *penalty, const struct update *update)
{
    const int threads = e->tuner.threads[e->tuner.best];
    e->pass.shards = NULL;
    set_penalty(e, penalty, inverse(total));
    e->pass.update = *update;
    e->pass.lazy = 0;
    fastmlp_parallel(threads, e->design.n_tasks, e->design.kernels->descend_task, e);
    finish_update(e, threads);
    if (e->design.with_norm)
        e->gradient_norm = sqrt(sum_of_tasks(e, e->arena.task_norm));
    return e->pass.l2 != 0 || e->pass.l1 != 0 ? fastmlp_sum_of_penalties(e) : 0;
}

double fastmlp_gradient(struct engine *e, const void *parameters, const struct samples *samples,
                        long n_rows, const struct penalty *penalty, void *gradient)
{
    fastmlp_load(e, parameters, NULL);
    double loss = fastmlp_step(e, samples, 0, n_rows, 1, penalty, NULL);
    fastmlp_tuner_pause(&e->tuner);
    e->design.kernels->unpack(&e->design, e->arena.gradient, gradient);
    return loss;
}
