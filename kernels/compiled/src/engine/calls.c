/* Calls on plain arrays: how the kernels of kernels.c are run over the blocks of their arguments. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fastmlp.h"
#include "platform.h"
#include "work.h"

/* What one element of an elementwise kernel costs, in the units of PARALLEL_FLOPS. */
static const double ELEMENT_FLOPS = 30;
enum {
    PRODUCT_LINES = 64,   /* panels of a block of C at most, of several pieces of rows twice as many */
    PIECE_BYTES = 192 << 10, /* of a piece of A, at least where there are as many rows */
    PIECE_ROW = 4 << 10,  /* bytes of a row of one, at most: so that it has rows enough for a panel of B */
    BLOCK_PIECES = 4,     /* of a gradient in a block of C, and forward as many rows */
    PIECE_UNIT = 48,      /* rows: whole tiles and whole panels */
    DIRECT_PANELS = 2,    /* of columns from which on sums go into C, even if they fill no panel */
    NARROW_PANELS = 8,    /* of columns of which several sums over pieces of rows are better in panels */
    COPIED_ROWS = 4 << 20, /* bytes of rows that are copied whole, at most */
    DOTS_BYTES = 64 << 10, /* of a transposed B from which on more than a few rows do not pack it */
    IN_PLACE_SUMS = 128,  /* rows of x that a gradient sums in one chain */
};

/* Equal blocks of n, none longer than `longest`, a multiple of `threads` of them, whole units. */
static long block_of(long n, long longest, int threads, long unit)
{
    long blocks = round_up((n + longest - 1) / longest, threads);
    return round_up((n + blocks - 1) / blocks, unit);
}

/* Scratch memory of calls that have no engine. The last pieces are kept, small ones for some callers at the
   same time and one large one: memory that comes fresh from the system costs more to touch than a small product
   takes. A piece that turns out too small makes room for a larger one. */
enum { KEPT_SCRATCH = 64 << 20, SMALL_PIECE = 8 << 20, KEPT_PIECES = 8 }; /* bytes; the first is large */
struct scratch {
    long bytes;
    char pad[LINE - sizeof(long)];
};
static _Atomic(struct scratch *) kept[KEPT_PIECES];

static struct scratch *kept_piece(int first, int last, long bytes)
{
    for (int i = first; i <= last; i++) {
        if (atomic_load_explicit(&kept[i], memory_order_relaxed) == NULL)
            continue;
        struct scratch *s = atomic_exchange(&kept[i], NULL);
        if (s != NULL && s->bytes >= bytes)
            return s;
        platform_free_aligned(s);
    }
    return NULL;
}

char *fastmlp_scratch_take(long bytes)
{
    struct scratch *s = bytes <= SMALL_PIECE ? kept_piece(1, KEPT_PIECES - 1, bytes) : kept_piece(0, 0, bytes);
    if (s == NULL) {
        s = bytes < LONG_MAX / 2
                ? platform_aligned(LINE, (size_t)round_up(bytes, LINE) + sizeof *s)
                : NULL;
        if (s == NULL)
            return NULL;
        s->bytes = bytes;
    }
    return (char *)(s + 1);
}

void fastmlp_scratch_give(char *memory)
{
    struct scratch *s = (struct scratch *)memory - 1;
    if (s->bytes > SMALL_PIECE && s->bytes <= KEPT_SCRATCH)
        s = atomic_exchange(&kept[0], s);
    for (int i = 1; i < KEPT_PIECES && s != NULL && s->bytes <= SMALL_PIECE; i++) {
        struct scratch *none = NULL;
        if (atomic_compare_exchange_strong(&kept[i], &none, s))
            return;
    }
    platform_free_aligned(s);
}

/* Whether packing B would cost more than the product, and A and B lie so that they need none. */
static int in_place(const struct product *p)
{
    const long real = p->kernels->real_bytes;
    if (p->a.column_stride != real || (p->n > 1 && p->a.row_stride % real) ||
        (p->over_rows && p->depth > IN_PLACE_SUMS))
        return 0;
    if (p->b.column_stride == real && p->b.row_stride % real == 0)
        return are_few_rows(p->n, p->kernels->tile_rows);
    if (p->b.row_stride != real || p->b.column_stride % real)
        return 0;
    return p->n <= FEW_ROWS || (p->n <= MOST_DOTS && times(times(p->depth, p->columns), real) > DOTS_BYTES);
}

/* Whether B is read where it is, by so few rows that packing it would not pay; of those, rows that are copied
   must stay in a cache. */
static int plain(const struct product *p)
{
    const long real = p->kernels->real_bytes;
    return !p->over_rows && p->n < PACKING_ROWS && p->a.column_stride == real && p->a.row_stride % real == 0 &&
           p->b.column_stride == real && p->b.row_stride % real == 0 && p->b.row_stride > 0 &&
           (times(p->n, times(p->depth, real)) <= COPIED_ROWS ||
            !rows_collide(p->a, p->n, p->kernels->tile_rows));
}

/* A piece of A takes half of the second-level cache, where it stays while panels of B pass by: forward one or two,
   see DEPTH_BLOCK, of a gradient a run of them, a quarter of it. Blocks of C that are larger copy A and B less
   often. At least as many as threads. */
static void choose_blocks(struct product *p, int threads)
{
    const struct kernels *k = p->kernels;
    const long l2 = fastmlp_caches().l2, panel_bytes = times(min(max(p->depth, 1), p->piece_depth), LINE);
    p->run_panels = max(l2 / 4 / panel_bytes / k->tile_panels, 1) * k->tile_panels;
    const long piece = max(l2 / 2, PIECE_BYTES) / k->real_bytes;
    const long rows = piece / p->piece_depth, most = p->several_sums ? rows : BLOCK_PIECES * piece / k->chain_rows;
    p->block_rows = block_of(p->n, most, p->n >= p->columns ? threads : 1, 1);
    p->piece_rows = block_of(p->block_rows, rows, 1, p->block_rows > rows ? PIECE_UNIT : 1);
    const long lines = p->block_rows > p->piece_rows ? 2 * PRODUCT_LINES : PRODUCT_LINES;
    p->block_columns = block_of(p->columns, p->in_place || p->plain ? p->columns : lines * k->panel,
                                p->n < p->columns ? threads : 1, k->panel);
}

/* A product of n >= 1 rows and columns >= 1. */
double fastmlp_product(struct product *p, int n_threads)
{
    const struct kernels *k = p->kernels;
    double flops = 2.0 * (double)p->n * (double)p->depth * (double)p->columns;
    int threads = threads_for(flops, n_threads);
    p->in_place = in_place(p);
    p->several_sums = p->over_rows && p->depth > PART_ROWS;
    p->plain = !p->in_place && plain(p);
    p->piece_depth = p->over_rows ? k->chain_rows : min(k->depth_block, PIECE_ROW / k->real_bytes);
    p->direct = !p->several_sums && (p->columns % k->panel == 0 || p->columns >= DIRECT_PANELS * k->panel) &&
                (p->plain || p->depth <= p->piece_depth ||
                 (p->over_rows && p->columns > NARROW_PANELS * k->panel));
    choose_blocks(p, threads);
    p->scratch_bytes = k->product_scratch(p);
    const long bytes = times(p->scratch_bytes, threads);
    p->scratch = fastmlp_scratch_take(bytes);
    if (p->scratch == NULL)
        return (double)bytes;
    long blocks = blocks_of(p->n, p->block_rows) * blocks_of(p->columns, p->block_columns);
    fastmlp_parallel(threads, blocks, k->product_block, p);
    fastmlp_scratch_give(p->scratch);
    if (p->activation == ACTIVATION_softmax) {
        struct matrix c = {p->c, p->columns * k->real_bytes, k->real_bytes};
        struct elements e = {.kernels = k, .what = ELEMENTS_activation, .a = c, .rows = p->n,
                             .activation = p->activation, .columns = p->columns, .out = p->c};
        fastmlp_elements(&e, n_threads);
    }
    return 0;
}

/* Errors or losses of n >= 1 rows of scores. */
double fastmlp_output(struct output_rows *o, int n_threads)
{
    const struct kernels *k = o->kernels;
    int threads = threads_for(ELEMENT_FLOPS * (double)o->n * (double)o->n_out, n_threads);
    o->block_rows = rows_of_block(o->n, threads);
    long panels = round_up(o->n_out, k->panel) / k->panel;
    o->fault = FAULT_none;
    o->scratch_bytes = plus(times(times(3 * LINE, panels), o->block_rows | 1), k->output_scratch(o->n_out));
    const long bytes = times(o->scratch_bytes, threads);
    o->scratch = fastmlp_scratch_take(bytes);
    if (o->scratch == NULL)
        return (double)bytes;
    fastmlp_parallel(threads, blocks_of(o->n, o->block_rows), k->output_block, o);
    fastmlp_scratch_give(o->scratch);
    return 0;
}

/* Loops over elements, in chunks of rows, columns or elements. */
struct chunks {
    const struct elements *call;
    long chunk, n;
};

static void chunk_of_elements(void *context, long index, int thread)
{
    (void)thread;
    const struct chunks *c = context;
    const struct elements *e = c->call;
    const struct kernels *k = e->kernels;
    long first = index * c->chunk, n = min(c->chunk, c->n - first), real = k->real_bytes;
    struct matrix a = e->a, b = e->b;
    char *out = (char *)e->out + first * real;
    if (e->what == ELEMENTS_update) {
        k->update(e->update, out, a.data + first * real, e->state, first, n);
        return;
    }
    if (e->what == ELEMENTS_column_sums) {
        a.data += first * a.column_stride;
        k->column_sums(a, e->rows, n, e->factor, out);
        return;
    }
    out = (char *)e->out + first * e->columns * real;
    a.data += first * a.row_stride;
    b.data += b.data ? first * b.row_stride : 0;
    if (b.data)
        k->activate_backward(e->activation, e->custom, a, b, n, e->columns, out);
    else
        k->activate(e->activation, e->custom, a, n, e->columns, out);
}

/* rows >= 1, columns >= 1 */
void fastmlp_elements(const struct elements *e, int n_threads)
{
    const double elements = (double)e->rows * (double)e->columns;
    struct chunks c = {.call = e};
    c.n = e->what == ELEMENTS_activation ? e->rows : e->columns;
    int threads = threads_for(ELEMENT_FLOPS * elements, n_threads);
    c.chunk = threads == 1 ? c.n : max(1, c.n / (4 * threads));
    if (e->what != ELEMENTS_activation)
        c.chunk = round_up(c.chunk, LINE);
    fastmlp_parallel(threads, (c.n + c.chunk - 1) / c.chunk, chunk_of_elements, &c);
}
