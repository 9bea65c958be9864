/* The pool of threads, and the tuner that finds out how many of them a training step uses. */
#ifndef FASTMLP_THREADS_H
#define FASTMLP_THREADS_H

#include <stdint.h>

/* pool.c: a limit for the whole process, 0 for none, and what then runs at most. */
void fastmlp_set_num_threads(int limit);
int fastmlp_get_num_threads(void);
void fastmlp_set_default_threads(int n);

/* Calls task(context, 0 … n - 1, thread), each once, on up to n_threads threads of which
   the caller is one (thread 0); returns when all are done. */
typedef void fastmlp_task(void *context, long index, int thread);
/* Names the caller on whose behalf this thread works: itself, but for the threads of the pool. */
uintptr_t fastmlp_caller(void);
void fastmlp_parallel(int n_threads, long n, fastmlp_task *, void *context);

/* Threads of a step, see tuner.c. */
enum { MAX_COUNTS = 10 };
struct tuner {
    int n, threads[MAX_COUNTS];
    int at, best, direction;   /* in use; fastest so far; where to look next */
    int settling;              /* the present stretch is the first after a change */
    double cost[MAX_COUNTS]; /* seconds a row, below 0 where unknown */
    double best_time, patience; /* seconds since the last try, and times its cost to the next one */
    int running;               /* the clock is, since `since` */
    double since, spent;       /* of the present stretch */
    long rows, steps, stretch_steps;
};

/* tuner.c */
void fastmlp_tuner_start(struct tuner *, int n_threads, double operations);
int fastmlp_tuner_begin(struct tuner *);
void fastmlp_tuner_end(struct tuner *, long rows);
void fastmlp_tuner_pause(struct tuner *);

#endif
