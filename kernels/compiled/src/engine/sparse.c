/* Steps on sparse rows: room for the entries of a batch, and plain descent that leaves alone the
   weights of features without entries.

   The penalty 1/2 l2 sum w^2 has a gradient for every weight. Shrinking them all, w <- (1 - rate l2) w,
   is one multiplication of a factor that all weights of the layer share; it goes back into memory at
   the end of an epoch, or before digits are lost. The sum of squares that the loss needs is kept up
   to date from what each step changes. */
#include <stdlib.h>

#include "fastmlp.h"
#include "work.h"

#define MIN_DECAY 0.5   /* of all weights by the penalty, in one step that touches only some */
#define MIN_SHRINK 1e-4 /* then memory takes the factor over, before digits are lost */
#define MAX_SQUARES 1e37 /* of weights: where float32 can still sum them */

/* Room for the entries of any `batch` consecutive rows in the samples' order: 0, or the bytes of the
   memory that there is not. */
double fastmlp_reserve_entries(struct engine *e, const struct samples *s, long batch)
{
    long largest = 0, bytes = e->design.kernels->real_bytes;
    for (long first = 0; first < s->n_rows; first += batch) {
        long here = 0;
        for (long r = first; r < min(first + batch, s->n_rows); r++) {
            long begin, end;
            if (entries_of(&s->sparse, row_at(s->order, r), &begin, &end))
                here = plus(here, end - begin);
        }
        largest = max(largest, here);
    }
    if (largest <= e->arena.entries.capacity && batch <= e->arena.entries.row_capacity)
        return 0;
    largest = max(largest, e->arena.entries.capacity);
    const long integer = (long)sizeof(int32_t);
    const long values = round_up(times(largest, bytes), LINE);
    const long integers = round_up(times(largest, integer), LINE);
    const long all = plus(times(2, plus(values, integers)), times(plus(batch, 1), integer));
    if (largest > INT32_MAX || all > LONG_MAX / 2)
        return (double)all;
    char *memory = malloc((size_t)all);
    if (memory == NULL)
        return (double)all;
    free(e->arena.entries_memory);
    e->arena.entries_memory = memory;
    e->arena.entries.values = memory;
    e->arena.entries.sorted_values = memory + values;
    e->arena.entries.columns = (int32_t *)(memory + 2 * values);
    e->arena.entries.sorted_rows = (int32_t *)(memory + 2 * values + integers);
    e->arena.entries.starts = (int32_t *)(memory + 2 * (values + integers));
    e->arena.entries.capacity = largest;
    e->arena.entries.row_capacity = batch;
    return 0;
}

/* Make the weights of a sparse layer what memory says, and sum their squares. */
static void fold(struct engine *e)
{
    e->arena.squares = e->design.kernels->fold_shrink(e, e->arena.shrink);
    e->arena.shrink = 1;
}

/* Whether the step at hand can leave alone what has no entries, and how it shrinks the rest. */
void fastmlp_begin_step(struct engine *e, const struct update *update)
{
    const double decay = update ? 1 - update->decay - update->rate * e->pass.l2 : 0;
    e->pass.lazy = e->design.sparse && update && update->rule == UPDATE_sgd && e->arena.gradient == NULL &&
              decay >= MIN_DECAY && e->pass.l1 == 0 && !e->design.with_norm && e->design.clip_value <= 0 &&
              e->design.max_norm <= 0 && !e->design.layers[0].frozen;
    if (e->arena.shrink != 1 && (!e->pass.lazy || e->arena.shrink < MIN_SHRINK))
        fold(e);
    if (!e->pass.lazy)
        e->arena.squares = -1; /* the step will change them all */
    else if (e->pass.l2 != 0 && !(e->arena.squares >= 0))
        fold(e);
    if (e->pass.lazy && e->pass.l2 != 0 && !(e->arena.squares <= MAX_SQUARES)) {
        e->pass.lazy = 0;
        e->arena.squares = -1;
    }
    e->arena.next_shrink = e->pass.lazy ? e->arena.shrink * decay : 1;
}

/* Penalty of the weights before the step that has just been made. Where a step is lazy, tasks of the
   first layer tell how much the sum of squares in memory has changed. */
double fastmlp_sum_of_penalties(struct engine *e)
{
    double penalty = 0, change = 0;
    for (long t = 0; t < e->design.n_tasks; t++)
        *(e->pass.lazy && e->arena.tasks[t].layer == 0 ? &change : &penalty) += e->arena.task_penalty[t];
    if (e->pass.lazy) {
        penalty += 0.5 * e->pass.l2 * e->arena.shrink * e->arena.shrink * e->arena.squares;
        e->arena.squares += change;
    }
    return penalty;
}

/* After the steps of an epoch. */
void fastmlp_end_epoch(struct engine *e)
{
    if (e->arena.shrink != 1)
        fold(e);
}
