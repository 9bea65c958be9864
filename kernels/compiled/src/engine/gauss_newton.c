/* The call that sums J^T J: its blocks of rows, its tasks, its memory. */
#include <string.h>

#include "fastmlp.h"
#include "work.h"

/* Numbers of a part, where n are cut into the fewest equal parts of at most `limit`, whole `units`. */
static long part_of(long n, long limit, long unit)
{
    const long parts = max(blocks_of(n, limit), 1);
    return round_up(blocks_of(n, parts), unit);
}

/* List the tasks, of so many right numbers at most, or with NULL count them; `sums` becomes the numbers of
   all their sums. */
static long list_tasks(const struct gauss_newton *g, long most, struct gauss_task *tasks, long *sums)
{
    const long wide = 2 * g->kernels->panel; /* numbers of a tile's row at most */
    long n = 0;
    *sums = 0;
    for (int l = 0; l < g->n_layers; l++)
        for (int m = l; m < g->n_layers; m++) {
            const struct gauss_block k = gauss_block_of(g, l, m);
            const long tall = part_of(k.left, GAUSS_LEFT, 1), broad = part_of(k.right, most, wide);
            for (long x = 0; x < k.left; x += tall)
                for (long y = 0; y < k.right; y += broad, n++) {
                    const long n_left = min(k.left - x, tall), n_right = min(k.right - y, broad);
                    const long row = round_up(n_right, wide);
                    if (tasks)
                        tasks[n] = (struct gauss_task){l, m, x, n_left, y, n_right, *sums, row};
                    *sums = plus(*sums, n_left * row);
                }
        }
    return n;
}

/* Copy what lies above the diagonal of some rows to its mirror image, square by square. */
static void mirror(void *context, long strip, int thread)
{
    (void)thread;
    const struct gauss_newton *g = context;
    const long from = strip * GAUSS_MIRROR, to = min(from + GAUSS_MIRROR, g->order);
    for (long begin = from; begin < g->order; begin += GAUSS_MIRROR) {
        const long end = min(begin + GAUSS_MIRROR, g->order);
        for (long q = max(begin, from + 1); q < end; q++)
            for (long p = from; p < min(to, q); p++)
                g->out[q * g->order + p] = g->out[p * g->order + q];
    }
}

double fastmlp_gauss_newton(struct gauss_newton *g, int n_threads)
{
    const long real = g->kernels->real_bytes, panel = g->kernels->panel;
    const double p = (double)g->order;
    const int threads = threads_for((double)g->n * p * p / 2, n_threads);
    long row = GAUSS_LEFT + 2 * panel; /* the longest one in a thread's memory: left numbers and a strip */
    g->block_numbers = 0;
    for (int l = 0; l < g->n_layers; l++) {
        struct gauss_layer *layer = &g->layers[l];
        const long width = times(g->n_errors, layer->n_out), n_in = layer->n_in + 1;
        layer->columns = g->block_numbers; /* and a panel behind them: the last vector may run over */
        g->block_numbers = plus(layer->columns, times(round_up(plus(plus(width, n_in), panel), panel), GAUSS_ROWS));
        row = max(row, round_up(plus(g->design ? g->n_errors : 0, max(width, n_in)), panel) + 2 * panel);
    }
    const long block_bytes = times(g->block_numbers, real);
    g->n_blocks = blocks_of(g->n, GAUSS_ROWS);
    g->stretch = min(max(GAUSS_STRETCH / block_bytes, 2 * threads), g->n_blocks);
    const long most = threads > 1 ? GAUSS_RIGHT : GAUSS_ALONE;
    long numbers;
    g->n_tasks = list_tasks(g, most, NULL, &numbers);
    g->scratch_bytes = times(row, GAUSS_ROWS * real);
    const long blocks = times(g->stretch, block_bytes), sums = times(numbers, sizeof(double));
    const long tasks = round_up(times(g->n_tasks, sizeof(struct gauss_task)), LINE);
    const long bytes = plus(plus(blocks, sums), plus(tasks, times(threads, g->scratch_bytes)));
    char *memory = fastmlp_scratch_take(bytes);
    if (memory == NULL)
        return (double)bytes;
    g->blocks = memory;
    g->sums = (double *)(memory + blocks);
    g->tasks = (struct gauss_task *)(memory + blocks + sums);
    g->scratch = memory + blocks + sums + tasks;
    list_tasks(g, most, g->tasks, &numbers);
    memset(g->sums, 0, (size_t)sums);
    fastmlp_task *const begin = g->design ? g->kernels->curvature_rows : g->kernels->gauss_rows;
    for (g->first_block = 0; g->first_block < g->n_blocks; g->first_block += g->stretch) {
        fastmlp_parallel(threads, min(g->stretch, g->n_blocks - g->first_block), begin, g);
        fastmlp_parallel(threads, g->n_tasks, g->kernels->gauss_task, g);
    }
    fastmlp_parallel(threads, blocks_of(g->order, GAUSS_MIRROR), mirror, g);
    fastmlp_scratch_give(memory);
    return 0;
}
