/* A small pool of threads for loops of independent tasks.

   The caller takes tasks itself and waits only for tasks that another thread has already begun, so
   a thread that the system does not run costs nothing. Threads start when they are first needed,
   spin for a while after a loop (the next one usually follows in microseconds) and then sleep. A
   second caller that finds the pool in use runs its loop alone, and a child after fork starts with
   an empty pool. No thread ever touches Python. */
#include <stdatomic.h>
#include <stddef.h>

#include "fastmlp.h"
#include "platform.h"
#include "threads/float_mode.h"

#if defined(__x86_64__) || defined(__i386__)
#define PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define PAUSE() __asm__ volatile("yield")
#else
#define PAUSE() ((void)0)
#endif

enum {
    MAX_THREADS = 256,
    SPINS = 4000,          /* about 50 us before a thread sleeps */
    SPINS_TO_YIELD = 1000, /* of the caller, waiting for the last tasks */
};

/* A loop is open while ticket's lower half, the next task, is below `tasks`. The upper half counts
   loops: a thread that read the ticket of an older loop fails to advance it. Between loops the
   lower half is CLOSED, so the other fields are only written when no thread can take a task. */
#define CLOSED 0xffffffffu
static _Atomic uint64_t ticket = CLOSED;
static _Atomic(fastmlp_task *) loop_task;
static _Atomic(void *) loop_context;
static atomic_long loop_tasks, finished;
static atomic_int loop_threads, sleeping;
static _Atomic(const char *) loop_caller; /* its `self`: helpers work on its behalf */
static atomic_ulong loop_mode; /* the caller's floating-point mode, which its helpers take over */

static platform_lock caller = PLATFORM_LOCK; /* held for the length of a loop */
static platform_lock sleep_lock = PLATFORM_LOCK;
static platform_condition wake = PLATFORM_CONDITION;
static int n_workers, watches_forks;

/* The limit and the default are seen and set from outside: threadpoolctl finds these symbols. */
static atomic_int thread_limit, default_threads = 1;

/* A limit at or above the default counts as no limit, so that an explicit n_threads may exceed the default
   again. */
EXPORTED void fastmlp_set_num_threads(int limit)
{
    atomic_store(&thread_limit, limit < atomic_load(&default_threads) ? limit : 0);
}

EXPORTED int fastmlp_get_num_threads(void)
{
    int limit = atomic_load(&thread_limit), n = atomic_load(&default_threads);
    return limit > 0 && limit < n ? limit : n;
}

void fastmlp_set_default_threads(int n) { atomic_store(&default_threads, n); }

static _Thread_local char self; /* its address names a thread */
static _Thread_local int helps;

uintptr_t fastmlp_caller(void)
{
    return (uintptr_t)(helps ? atomic_load(&loop_caller) : &self);
}

static void take_tasks(uint32_t loop, int thread)
{
    uint64_t now = atomic_load_explicit(&ticket, memory_order_acquire);
    while ((uint32_t)(now >> 32) == loop) {
        /* Unsigned: where a long has 32 bits, as on Windows, CLOSED would be the task -1. */
        uint32_t index = (uint32_t)now;
        uint32_t tasks = (uint32_t)atomic_load_explicit(&loop_tasks, memory_order_relaxed);
        fastmlp_task *task = atomic_load_explicit(&loop_task, memory_order_relaxed);
        void *context = atomic_load_explicit(&loop_context, memory_order_relaxed);
        if (index >= tasks)
            return;
        if (!atomic_compare_exchange_weak_explicit(&ticket, &now, now + 1, memory_order_acq_rel,
                                                   memory_order_acquire))
            continue;
        task(context, (long)index, thread);
        atomic_fetch_add_explicit(&finished, 1, memory_order_release);
        now = atomic_load_explicit(&ticket, memory_order_acquire);
    }
}

static uint32_t wait_for_loop(uint32_t seen)
{
    uint32_t loop;
    for (int spin = 0; spin < SPINS; spin++) {
        loop = (uint32_t)(atomic_load_explicit(&ticket, memory_order_acquire) >> 32);
        if (loop != seen)
            return loop;
        PAUSE();
    }
    platform_acquire(&sleep_lock);
    atomic_fetch_add(&sleeping, 1);
    while ((loop = (uint32_t)(atomic_load(&ticket) >> 32)) == seen)
        platform_wait(&wake, &sleep_lock);
    atomic_fetch_sub(&sleeping, 1);
    platform_release(&sleep_lock);
    return loop;
}

static void *work(void *number)
{
    int thread = (int)(intptr_t)number;
    uint32_t seen = 0;
    helps = 1;
    for (;;) {
        seen = wait_for_loop(seen);
        if (thread < atomic_load_explicit(&loop_threads, memory_order_relaxed)) {
            set_float_mode(atomic_load_explicit(&loop_mode, memory_order_relaxed));
            take_tasks(seen, thread);
        }
    }
    return NULL;
}

/* In the child only the thread that forked lives on. */
static void after_fork(void)
{
    caller = sleep_lock = (platform_lock)PLATFORM_LOCK;
    wake = (platform_condition)PLATFORM_CONDITION;
    atomic_store(&ticket, CLOSED);
    atomic_store(&sleeping, 0);
    n_workers = 0;
}

/* Called with `caller` held. */
static void start_workers(int wanted)
{
    if (!watches_forks)
        platform_watch_forks(after_fork);
    watches_forks = 1;
    while (n_workers < wanted - 1 && n_workers < MAX_THREADS - 1) {
        if (!platform_start(work, (void *)(intptr_t)(n_workers + 1)))
            break; /* fewer threads, same results */
        n_workers++;
    }
}

void fastmlp_parallel(int n_threads, long n, fastmlp_task *task, void *context)
{
    int limit = atomic_load_explicit(&thread_limit, memory_order_relaxed);
    if (limit > 0 && n_threads > limit)
        n_threads = limit;
    if (n_threads > n)
        n_threads = (int)n;
    if (n_threads <= 1 || !platform_try(&caller)) {
        for (long i = 0; i < n; i++)
            task(context, i, 0);
        return;
    }
    if (n_workers < n_threads - 1)
        start_workers(n_threads);
    uint32_t loop = (uint32_t)(atomic_load_explicit(&ticket, memory_order_relaxed) >> 32) + 1;
    atomic_store_explicit(&loop_task, task, memory_order_relaxed);
    atomic_store_explicit(&loop_context, context, memory_order_relaxed);
    atomic_store_explicit(&loop_tasks, n, memory_order_relaxed);
    atomic_store_explicit(&loop_threads, n_threads, memory_order_relaxed);
    atomic_store_explicit(&loop_caller, &self, memory_order_relaxed);
    atomic_store_explicit(&loop_mode, float_mode(), memory_order_relaxed);
    atomic_store_explicit(&finished, 0, memory_order_relaxed);
    atomic_store(&ticket, (uint64_t)loop << 32);
    if (atomic_load(&sleeping)) {
        platform_acquire(&sleep_lock);
        platform_wake_all(&wake);
        platform_release(&sleep_lock);
    }
    take_tasks(loop, 0);
    for (int spin = 0; atomic_load_explicit(&finished, memory_order_acquire) < n; spin++) {
        if (spin < SPINS_TO_YIELD)
            PAUSE();
        else
            platform_yield();
    }
    atomic_store_explicit(&ticket, (uint64_t)loop << 32 | CLOSED, memory_order_release);
    platform_release(&caller);
}
