/* Rows that are asked for before they are needed: shuffling has put them anywhere in memory. */
#ifndef FASTMLP_LOOK_AHEAD_H
#define FASTMLP_LOOK_AHEAD_H

#include "fastmlp.h"
#include "simd.h"
#include "work.h"

enum { LOOK_AHEAD_BYTES = 4096 }; /* rows that are asked for before they are gathered */

/* Ask for a row that is gathered soon. */
INLINE void prefetch_row(const struct engine *e, long position)
{
    const struct samples *s = e->samples;
    if (s->order == NULL || position >= s->n_rows)
        return;
    const char *row = s->x.data + s->order[position] * s->x.row_stride;
    long bytes = e->layers[0].n_in * (long)sizeof(real);
    for (long b = 0; b < bytes && b < LOOK_AHEAD_BYTES; b += LINE)
        __builtin_prefetch(row + b, 0, 3);
}

/* A weight task's share of the next pass's rows, asked for a few cache lines at a time: between
   tiles they cost next to nothing, all at once they would wait for each other. */
struct share {
    const struct samples *samples;
    const int64_t *row, *last; /* rows not yet begun */
    const char *at, *end;      /* what is left of the one that is */
    long row_bytes, lines;     /* of a row; at a time */
};

static struct share share_of(const struct engine *e, long index, long turns)
{
    long first = e->look_ahead.first, rows = e->look_ahead.rows;
    struct share share = {.samples = e->samples};
    if (rows > 0) {
        share.row_bytes = e->layers[0].n_in * (long)sizeof(real);
        share.row = e->samples->order + first + rows * index / e->n_tasks;
        share.last = e->samples->order + first + rows * (index + 1) / e->n_tasks;
        share.lines = (share.last - share.row) * (share.row_bytes / LINE + 1) / turns + 1;
    }
    return share;
}

INLINE void ask_for_rows(struct share *share)
{
    const struct samples *s = share->samples;
    for (long left = share->lines; left > 0;) {
        if (share->at == share->end) {
            if (share->row == share->last)
                return;
            const long row = *share->row++;
            share->at = s->x.data + row * s->x.row_stride;
            share->end = share->at + share->row_bytes;
            if (s->labels)
                __builtin_prefetch(s->labels + row, 0, 2);
            else
                __builtin_prefetch(s->target.data + row * s->target.row_stride, 0, 2);
        }
        const char *end = share->at + least(left * LINE, share->end - share->at);
        for (; share->at < end; share->at += LINE, left--)
            __builtin_prefetch(share->at, 0, 2);
        share->at = end;
    }
}

#endif
