/* Steps on sparse rows: room for the entries of a batch, and plain descent that leaves alone the
   weights of features without entries.

   The penalty 1/2 l2 sum w^2 has a gradient for every weight. Shrinking them all, w <- (1 - rate l2) w,
   is one multiplication of a factor that all weights of the layer share; it goes back into memory at
   the end of an epoch, or before digits are lost. The sum of squares that the loss needs is kept up
   to date from what each step changes. */
#include <stdlib.h>

#include "fastmlp.h"
#include "work.h"

#define LEAST_DECAY 0.5   /* of all weights by the penalty, in one step that touches only some */
#define LEAST_SHRINK 1e-4 /* then memory takes the factor over, before digits are lost */

/* Room for the entries of any `batch` consecutive rows in the samples' order: 0, or -1. */
int fastmlp_reserve_entries(struct engine *e, const struct samples *s, long batch)
{
    long largest = 0, bytes = e->kernels->real_bytes;
    for (long first = 0; first < s->n_rows; first += batch) {
        long here = 0;
        for (long r = first; r < least(first + batch, s->n_rows); r++) {
            const struct csr *x = &s->sparse;
            const long at = row_at(s->order, r);
            here += integer_at(x->starts, x->start_bytes, at + 1) -
                    integer_at(x->starts, x->start_bytes, at);
        }
        largest = most(largest, here);
    }
    if (largest <= e->entries.capacity && batch <= e->entries.row_capacity)
        return 0;
    largest = most(largest, e->entries.capacity);
    if (largest > INT32_MAX)
        return -1;
    const long integer = (long)sizeof(int32_t), copies = e->input_dropout > 0 ? 2 : 1;
    const long values = round_up(largest * bytes, LINE), integers = round_up(largest * integer, LINE);
    char *memory = malloc((size_t)(copies * (values + integers) + (batch + 1) * integer));
    if (memory == NULL)
        return -1;
    free(e->entries_memory);
    e->entries_memory = memory;
    e->entries.values = memory;
    e->entries.rows = (int32_t *)(memory + values);
    e->entries.kept = memory + (copies - 1) * (values + integers);
    e->entries.kept_columns = (int32_t *)((char *)e->entries.kept + values);
    e->entries.kept_starts = (int32_t *)((char *)e->entries.kept_columns + integers);
    e->entries.capacity = largest;
    e->entries.row_capacity = batch;
    return 0;
}

/* Make the weights of a sparse layer what memory says, and sum their squares. */
static void fold(struct engine *e)
{
    e->squares = e->kernels->fold_shrink(e, e->shrink);
    e->shrink = 1;
}

/* Whether the step at hand can leave alone what has no entries, and how it shrinks the rest. */
void fastmlp_choose_lazy(struct engine *e, const struct update *update)
{
    const double decay = update ? 1 - update->decay - update->rate * e->l2 : 0;
    e->lazy = e->sparse && update && update->rule == UPDATE_sgd && e->gradient == NULL &&
              decay >= LEAST_DECAY && e->l1 == 0 && !e->with_norm && e->clip_value <= 0 &&
              e->max_norm <= 0 && !e->layers[0].frozen;
    if (e->shrink != 1 && (!e->lazy || e->shrink < LEAST_SHRINK))
        fold(e);
    if (!e->lazy)
        e->squares = -1; /* the step will change them all */
    else if (e->l2 != 0 && e->squares < 0)
        fold(e);
    e->next_shrink = e->lazy ? e->shrink * decay : 1;
}

/* Penalty of the weights before the step that has just been made. Where a step is lazy, tasks of the
   first layer tell how much the sum of squares in memory has changed. */
double fastmlp_sum_of_penalties(struct engine *e)
{
    double penalty = 0, change = 0;
    for (long t = 0; t < e->n_tasks; t++)
        *(e->lazy && e->tasks[t].layer == 0 ? &change : &penalty) += e->task_penalty[t];
    if (e->lazy) {
        penalty += 0.5 * e->l2 * e->shrink * e->shrink * e->squares;
        e->squares += change;
    }
    return penalty;
}

/* After the steps of an epoch. */
void fastmlp_end_epoch(struct engine *e)
{
    if (e->shrink != 1)
        fold(e);
}
