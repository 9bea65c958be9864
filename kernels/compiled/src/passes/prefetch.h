/* Prefetches of rows before they are gathered: shuffling has put them anywhere in memory. */
#ifndef FASTMLP_PREFETCH_H
#define FASTMLP_PREFETCH_H

#include "fastmlp.h"
#include "matrices/panels.h"
#include "vector/simd.h"
#include "work.h"

/* n < PANEL consecutive elements; fewer than 16 bytes one by one, more in two pieces that may overlap. */
INLINE void copy_few(const char *from, long n, real *to)
{
    char *at = (char *)to;
    const long bytes = n * (long)sizeof(real);
    if (bytes >= 32) {
        const long last = bytes - 32;
        memcpy(at, from, 32);
        memcpy(at + last, from + last, 32);
    } else if (bytes >= 16) {
        const long last = bytes - 16;
        memcpy(at, from, 16);
        memcpy(at + last, from + last, 16);
    } else
        for (long c = 0; c < n; c++)
            to[c] = ((const real *)from)[c];
}

/* scatter_row without padding. With every line that it copies it prefetches the same one of a row that
   is gathered soon: prefetches between stores cost next to nothing, those in a run wait for each other. */
INLINE void scatter_and_prefetch(const char *from, const char *soon, ptrdiff_t stride, long columns,
                                 real *to, long panel)
{
    for (; stride == (long)sizeof(real) && columns >= PANEL; columns -= PANEL, to += panel) {
        __builtin_prefetch(soon, 0, 2);
        scatter_row(from, sizeof(real), PANEL, to, panel, 0);
        from += LINE;
        soon += LINE;
    }
    if (columns <= 0)
        return;
    __builtin_prefetch(soon, 0, 2);
    if (LIKELY(stride == (long)sizeof(real)))
        copy_few(from, columns, to);
    else
        scatter_row(from, stride, columns, to, panel, 0);
}

/* A group's share of the next pass's rows, prefetched a few cache lines at a time: between tiles
   they cost next to nothing, all at once they would wait for each other. */
struct share {
    const struct samples *samples;
    const int64_t *row, *last; /* rows not yet begun */
    const char *at, *end;      /* what is left of the one that is */
    long row_bytes, lines;     /* of a row; at a time */
};

/* For so many turns with each block of rows. */
static struct share share_of(const struct engine *e, long index, long turns, long block)
{
    long first = e->pass.upcoming.first, rows = e->pass.upcoming.rows;
    struct share share = {.samples = e->pass.samples};
    if (rows > 0) {
        share.row_bytes = e->design.layers[0].n_in * (long)sizeof(real);
        share.row = e->pass.samples->order + first + rows * index / e->design.n_groups;
        share.last = e->pass.samples->order + first + rows * (index + 1) / e->design.n_groups;
        share.lines = (share.last - share.row) * (share.row_bytes / LINE + 1) /
                          (turns * blocks_of(e->pass.n_rows, block)) + 1;
    }
    return share;
}

INLINE void prefetch_rows(struct share *share)
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
        const char *end = share->at + min(left * LINE, share->end - share->at);
        for (; share->at < end; share->at += LINE, left--)
            __builtin_prefetch(share->at, 0, 2);
        share->at = end;
    }
}

#endif
