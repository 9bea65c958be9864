/* The call that sums J^T J: its columns, its tasks, its memory. */
#include <string.h>

#include "fastmlp.h"
#include "work.h"

static long pairs_of(int same, long n, long m) { return same ? n * (n + 1) / 2 : n * m; }

/* List the tasks, or with NULL count them. */
static long list_tasks(const struct gauss_newton *g, struct gauss_task *tasks)
{
    long n = 0;
    for (int l = 0; l < g->n_layers; l++)
        for (int m = l; m < g->n_layers; m++) {
            const struct gauss_layer *a = &g->layers[l], *b = &g->layers[m];
            const long left = pairs_of(l == m, a->n_in + 1, b->n_in + 1);
            const long right = pairs_of(l == m, a->n_out, b->n_out);
            for (long x = 0; x < left; x += GAUSS_LEFT)
                for (long y = 0; y < right; y += GAUSS_RIGHT, n++)
                    if (tasks)
                        tasks[n] = (struct gauss_task){l, m, x, min(left - x, GAUSS_LEFT),
                                                       y, min(right - y, GAUSS_RIGHT)};
        }
    return n;
}

double fastmlp_gauss_newton(struct gauss_newton *g, int n_threads)
{
    const long real = g->kernels->real_bytes;
    const double p = (double)g->order;
    const int threads = threads_for((double)g->n * p * p / 2, n_threads);
    g->n_columns = 0;
    for (int l = 0; l < g->n_layers; l++) {
        struct gauss_layer *layer = &g->layers[l];
        layer->a = g->n_columns;
        layer->d = layer->a + layer->n_in + 1;
        g->n_columns = layer->d + g->n_errors * layer->n_out;
    }
    g->n_blocks = blocks_of(g->n, GAUSS_ROWS);
    g->n_tasks = list_tasks(g, NULL);
    g->scratch_bytes = GAUSS_LEFT * GAUSS_RIGHT * (long)sizeof(double) +
                       (GAUSS_LEFT + 2 * g->kernels->tile_panels * g->kernels->panel) * GAUSS_ROWS * real;
    const long columns = times(times(g->n_blocks, g->n_columns), GAUSS_ROWS * real);
    const long tasks = round_up(times(g->n_tasks, sizeof(struct gauss_task)), LINE);
    const long bytes = plus(plus(columns, tasks), times(threads, g->scratch_bytes));
    char *memory = fastmlp_scratch_take(bytes);
    if (memory == NULL)
        return (double)bytes;
    g->columns = memory;
    g->tasks = (struct gauss_task *)(memory + columns);
    g->scratch = memory + columns + tasks;
    list_tasks(g, g->tasks);
    fastmlp_parallel(threads, g->n_blocks, g->kernels->gauss_columns, g);
    fastmlp_parallel(threads, g->n_tasks, g->kernels->gauss_task, g);
    fastmlp_scratch_give(memory);
    return 0;
}
