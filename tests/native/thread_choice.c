/* The number of threads that comes out where steps take times that the test makes up: choice.c with
   a clock of its own. */
#include "native.h"

#include <math.h>

static double simulated;

static double simulated_clock(void) { return simulated; }

#define NOW simulated_clock
#define fastmlp_tuner_start choice_start
#define fastmlp_tuner_begin choice_begin
#define fastmlp_tuner_pause choice_pause
#define fastmlp_tuner_end choice_end
void choice_start(struct tuner *, int n_threads, double operations);
int choice_begin(struct tuner *);
void choice_pause(struct tuner *);
void choice_end(struct tuner *, long rows);
#include "threads/tuner.c"

/* Seconds of a step: the fastest number of threads, and each doubling away from it takes half as long again; where
   that number is -1, another thread makes it three times as long. */
static double seconds_of(double shortest, int fastest, int threads)
{
    if (fastest < 0)
        return threads > 1 ? 3 * shortest : shortest;
    return shortest * (1 + 0.5 * fabs(log2((double)threads / fastest)));
}

/* How many times as long as with the fastest number epochs of ten steps take, for `total` seconds. */
static double excess(struct tuner *c, double shortest, int fastest, double total)
{
    double spent = 0;
    long steps = 0;
    while (spent < total) {
        const double seconds = seconds_of(shortest, fastest, choice_begin(c));
        simulated += seconds;
        spent += seconds;
        choice_end(c, 100);
        if (++steps % 10 == 0) {
            choice_pause(c);
            simulated += 0.5; /* the caller does other things */
        }
    }
    return spent / ((double)steps * shortest);
}

void test_tuner(const struct kernels *k)
{
    static const double durations[] = {2e-5, 3e-4, 2e-3, 0.04, 0.5}, operations[] = {3e5, 1e7, 1e9};
    static const int most[] = {2, 6}, fastest[] = {1, 2, 4, 6};
    (void)k;
    for (int d = 0; d < 5; d++)
        for (int o = 0; o < 3; o++)
            for (int m = 0; m < 2; m++)
                for (int f = 0; f < 4 && fastest[f] <= most[m]; f++) {
                    struct tuner c;
                    if (!begin_case("steps of %g s, %g operations, %d threads, %d are the fastest",
                                    durations[d], operations[o], most[m], fastest[f]))
                        continue;
                    choice_start(&c, most[m], operations[o]);
                    excess(&c, durations[d], fastest[f], 0.5 + 200 * durations[d]); /* to find it */
                    const double times = excess(&c, durations[d], fastest[f], 3 + 1000 * durations[d]);
                    if (times > 1.03)
                        fail("%.3f times as long as with the fastest number", times);
                }
    struct tuner c;
    if (!begin_case("two threads, the second of which has no processor for the first 20 ms"))
        return;
    choice_start(&c, 2, 1e7);
    excess(&c, 1.5e-4, -1, 0.02);
    const double times = excess(&c, 1e-4, 2, 0.3);
    if (times > 1.2)
        fail("%.3f times as long as with two threads", times);
}
