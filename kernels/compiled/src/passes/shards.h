/* The gradient of a group of tasks as a tree of sums over the shards of a batch.

   Several processes share the shards of a batch, and the result is to be the same for any number of them. So
   the sum has one order, ((g0 + g1) + (g2 + g3)) + ..., of which one process has a subtree: shard by shard,
   as many partial sums wait as the number of those before has bits that are 1, and whenever two are as
   large they become one. All of it happens while the group's gradient is in the cache: memory sees the sum.

        level 0                 level 1        level 2       level 3
        where the sum goes      scratch ...
        g0
        g0                      g1         ->  g0 + g1 in level 0
        g0 + g1                 g2
        g0 + g1                 g2             g3        ->  g2 + g3 in level 1, then all in level 0 */
#ifndef FASTMLP_SHARDS_H
#define FASTMLP_SHARDS_H

#include "fastmlp.h"
#include "passes/gradients.h"
#include "work.h"

INLINE void add_run(real *to, const real *from, long n)
{
    for (long i = 0; i < n; i += LANES)
        store(to + i, load(to + i) + load(from + i));
}

static void add_level(const struct weight_task *wide, const struct task_gradient *to, const struct task_gradient *from)
{
    for (long p = 0; p < wide->panels; p++)
        add_run(to->weights + p * to->panel, from->weights + p * from->panel, (wide->last - wide->first) * PANEL);
    if (wide->first == 0)
        add_run(to->bias, from->bias, wide->panels * PANEL);
}

/* `wide` is the group as one task; its sum, also that of biases, is left in `g`. */
static void shards_gradient(const struct engine *e, long index, const struct weight_task *wide,
                            const struct task_gradient *g, int thread)
{
    const long piece = e->arena.scratch_bytes / SHARD_LEVELS, *cuts = e->pass.shards->cuts;
    struct task_gradient levels[SHARD_LEVELS] = {*g};
    double squares[MAX_GROUP];
    for (int l = 1; l < SHARD_LEVELS; l++) {
        levels[l].panel = TASK_FEATURES * PANEL;
        levels[l].weights = (real *)(e->arena.scratch + thread * e->arena.scratch_bytes + l * piece);
        levels[l].bias = levels[l].weights + wide->panels * levels[l].panel;
    }
    for (long shard = 0, waiting = 0; shard < e->pass.shards->n; shard++) {
        const struct rows rows = {cuts[shard], cuts[shard + 1] - cuts[shard]};
        gradient_loop(e, index, wide, rows, &levels[waiting], 0, squares);
        if (wide->first == 0)
            bias_gradient(e, &e->design.layers[wide->layer], wide->panel, wide->panels, rows, levels[waiting].bias);
        for (long pairs = shard + 1; pairs % 2 == 0; pairs /= 2, waiting--)
            add_level(wide, &levels[waiting - 1], &levels[waiting]);
        waiting++;
    }
}

#endif
