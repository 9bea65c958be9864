/* How many threads a training step uses, found out while training.

   What a step gains from a second thread depends on the network, the batch, the machine and on who
   else is using it; a rule of sizes cannot know the last two. Results are equal to the bit for any
   number of threads, so trying costs nothing but time: an engine measures what a row costs with the
   present number of threads, now and then runs a short stretch with half or twice as many, and
   moves there if that was faster.

   Stretches last about a millisecond, or a step that takes longer. The first one after a change is
   not counted: threads wake up, and the weights are still in the cache of the core that had them. A
   neighbour is tried again only after ten to fifty times the time that trying it takes, so wrong tries soon cost
   two percent at most. Steps too small to share in any case (EACH_ALONE operations) are not even
   measured. */
#include "fastmlp.h"
#include "platform.h"
#include "work.h"

static const double STRETCH = 1e-3;      /* seconds */
static const double FIRST_TRY = 4e-3;    /* seconds with the first guess before anything else */
static const double PATIENCE = 50;       /* times the cost of a try, */
static const double FIRST_PATIENCE = 10; /* and after the first one, which something may have disturbed; then twice as many */
static const double CLEARLY = 0.98;      /* a neighbour must be this much faster */
static const double EACH_ALONE = 2.5e5;  /* operations of a step that one thread does */
static const double WORTH_SHARING = 2e6; /* operations from which two threads are the first guess */

#ifndef NOW /* a test has a clock of its own */
#define NOW platform_seconds
#endif

/* For steps of `operations` multiplications and additions on at most n_threads threads. */
void fastmlp_tuner_start(struct tuner *c, int n_threads, double operations)
{
    *c = (struct tuner){.direction = -1, .stretch_steps = 1, .patience = FIRST_PATIENCE};
    for (int n = 1; n < n_threads && c->n < MAX_COUNTS - 1; n *= 2)
        c->threads[c->n++] = n;
    c->threads[c->n++] = n_threads;
    for (int i = 0; i < c->n; i++)
        c->cost[i] = -1;
    if (operations < EACH_ALONE)
        c->n = 1;
    while (c->at < c->n - 1 && operations > WORTH_SHARING * c->threads[c->at])
        c->at++;
    c->best = c->at;
}

/* Threads for the next step. */
int fastmlp_tuner_begin(struct tuner *c)
{
    if (c->n > 1 && !c->running) {
        c->running = 1;
        c->since = NOW();
    }
    return c->threads[c->at];
}

/* The caller leaves the loop of steps: the clock stops. */
void fastmlp_tuner_pause(struct tuner *c)
{
    if (c->running)
        c->spent += NOW() - c->since;
    c->running = 0;
}

static void move_to(struct tuner *c, int at)
{
    c->settling = at != c->at;
    c->at = at;
}

static void end_stretch(struct tuner *c)
{
    double cost = c->spent / (double)c->rows, rows_of_step = (double)c->rows / (double)c->steps;
    double *known = &c->cost[c->at];
    c->best_time += c->spent;
    c->stretch_steps = (long)(STRETCH * (double)c->steps / c->spent) + 1;
    c->spent = 0;
    c->rows = c->steps = 0;
    if (c->settling) {
        c->settling = 0;
        return;
    }
    /* What disturbs a stretch makes it longer, never shorter: a lower cost counts at once, a higher one by and by. */
    *known = *known < 0 || cost < *known ? cost : 0.75 * *known + 0.25 * cost;
    if (c->at != c->best) { /* that was a try */
        const int better = *known < CLEARLY * c->cost[c->best];
        if (better)
            c->best = c->at;
        c->patience = better ? FIRST_PATIENCE : c->patience < PATIENCE / 2 ? 2 * c->patience : PATIENCE;
        move_to(c, c->best);
        c->best_time = 0;
        return;
    }
    int neighbour = c->best + c->direction;
    if (neighbour < 0 || neighbour >= c->n) {
        c->direction = -c->direction;
        neighbour = c->best + c->direction;
    }
    double row_cost = c->cost[neighbour] < 0 ? 0 : c->cost[neighbour] - c->cost[c->best];
    double rows_of_try = 2 * (STRETCH / cost + rows_of_step); /* to settle and to measure */
    if (c->best_time > FIRST_TRY && c->best_time > c->patience * row_cost * rows_of_try) {
        move_to(c, neighbour);
        c->direction = -c->direction;
    }
}

/* A step of that many rows is done. */
void fastmlp_tuner_end(struct tuner *c, long rows)
{
    if (c->n == 1)
        return;
    c->rows += rows;
    if (++c->steps < c->stretch_steps)
        return;
    double end = NOW();
    c->spent += end - c->since;
    c->since = end;
    end_stretch(c);
}
