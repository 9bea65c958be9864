/* The pool: every task once, several callers, sleeping threads, limits, fork. */
#include "native.h"
#include "platform.h"

#if defined(FASTMLP_ONE_THREAD)

static void count(void *calls, long index, int thread)
{
    ((long *)calls)[index] += 1 + 100 * thread;
}

void test_threads(const struct kernels *k)
{
    long calls[40] = {0};
    (void)k;
    if (!begin_case("a loop on four threads is the caller's"))
        return;
    fastmlp_parallel(4, 40, count, calls);
    for (int i = 0; i < 40; i++)
        if (calls[i] != 1)
            fail("task %d ran %ld times, or on a thread that cannot be", i, calls[i]);
}

#else

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if !defined(_WIN32)
#include <sys/wait.h>
#endif

enum { MOST_TASKS = 1000, MAX_THREADS = 9, CALLERS = 4 };

/* Tasks write plain memory, each its own part: a race detector sees whether loops end too early. */
struct loop {
    long n, calls[MOST_TASKS], thread_calls[MAX_THREADS];
    int threads, wrong_thread;
    atomic_int busy[MAX_THREADS];
};

static void count(void *context, long index, int thread)
{
    struct loop *loop = context;
    if (thread < 0 || thread >= loop->threads || atomic_exchange(&loop->busy[thread], 1)) {
        loop->wrong_thread = 1;
        return;
    }
    loop->calls[index]++;
    loop->thread_calls[thread]++; /* scratch memory is per thread number */
    atomic_store(&loop->busy[thread], 0);
}

static int run_loop(struct loop *loop, int threads, long n)
{
    memset(loop, 0, sizeof *loop);
    loop->n = n;
    loop->threads = threads;
    fastmlp_parallel(threads, n, count, loop);
    long total = 0;
    for (int t = 0; t < MAX_THREADS; t++)
        total += loop->thread_calls[t];
    int good = total == n && !loop->wrong_thread;
    for (long i = 0; i < n; i++)
        good &= loop->calls[i] == 1;
    return good;
}

/* Two tasks of which each waits for the other: only two threads can end that. */
static void meet(void *context, long index, int thread)
{
    atomic_int *arrived = context;
    (void)index, (void)thread;
    atomic_fetch_add(arrived, 1);
    for (int i = 0; i < 100000 && atomic_load(arrived) < 2; i++)
        usleep(100);
    if (atomic_load(arrived) < 2)
        atomic_store(arrived, -1000);
}

static int two_threads_work(void)
{
    atomic_int arrived = 0;
    fastmlp_parallel(2, 2, meet, &arrived);
    return atomic_load(&arrived) == 2;
}

static void test_loops(void)
{
    static const long counts[] = {0, 1, 2, 3, 7, 64, MOST_TASKS};
    struct loop loop;
    for (int threads = 1; threads < MAX_THREADS; threads++)
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            if (!begin_case("loops of %ld tasks on %d threads", counts[i], threads))
                continue;
            for (int repeat = 0; repeat < 50; repeat++)
                if (!run_loop(&loop, threads, counts[i])) {
                    fail("tasks were left out, repeated, or shared a thread number (loop %d)", repeat);
                    break;
                }
        }
    if (begin_case("two threads work at the same time") && !two_threads_work())
        fail("no second thread took a task within ten seconds");
    if (begin_case("short loops in a row"))
        for (int repeat = 0; repeat < 20000; repeat++)
            if (!run_loop(&loop, 2 + repeat % 3, 1 + repeat % 5)) {
                fail("loop %d went wrong", repeat);
                break;
            }
    if (begin_case("threads that went to sleep"))
        for (int repeat = 0; repeat < 100; repeat++) {
            usleep((unsigned)(repeat % 5) * 500);
            if (!run_loop(&loop, 4, 16)) {
                fail("loop %d went wrong", repeat);
                break;
            }
        }
}

/* Several callers ------------------------------------------------------------------------------- */

struct caller {
    pthread_t thread;
    int number, repeats, wrong;
    atomic_int *stop;
};

static void *call_loops(void *context)
{
    struct caller *caller = context;
    struct loop loop;
    for (int i = 0; i < caller->repeats && !(caller->stop && atomic_load(caller->stop)); i++) {
        caller->wrong += !run_loop(&loop, 1 + (i + caller->number) % 4, i % 23);
        if (i % 64 == 0)
            usleep(100); /* lets the pool's threads fall asleep, and others call */
    }
    return NULL;
}

static void start_callers(struct caller *callers, int n, int repeats, atomic_int *stop)
{
    for (int i = 0; i < n; i++) {
        callers[i] = (struct caller){.number = i, .repeats = repeats, .stop = stop};
        if (pthread_create(&callers[i].thread, NULL, call_loops, &callers[i])) {
            puts("cannot start a thread");
            exit(2);
        }
    }
}

static void join_callers(struct caller *callers, int n)
{
    for (int i = 0; i < n; i++) {
        pthread_join(callers[i].thread, NULL);
        if (callers[i].wrong)
            fail("%d loops of caller %d went wrong", callers[i].wrong, i);
    }
}

static void test_callers(void)
{
    struct caller callers[CALLERS];
    if (begin_case("%d callers at once", CALLERS)) {
        start_callers(callers, CALLERS, 5000, NULL);
        join_callers(callers, CALLERS);
    }
    if (begin_case("a limit that changes while loops run")) {
        atomic_int stop = 0;
        fastmlp_set_default_threads(4);
        start_callers(callers, CALLERS, 1 << 30, &stop);
        for (int i = 0; i < 400; i++) {
            fastmlp_set_num_threads(1 + i % 4);
            usleep(100);
        }
        atomic_store(&stop, 1);
        join_callers(callers, CALLERS);
        fastmlp_set_num_threads(0);
    }
}

static void test_limit(void)
{
    struct loop loop;
    if (!begin_case("limits"))
        return;
    fastmlp_set_default_threads(4);
    for (int limit = 1; limit <= 3; limit++) {
        fastmlp_set_num_threads(limit);
        if (fastmlp_get_num_threads() != limit)
            fail("limit %d is read as %d", limit, fastmlp_get_num_threads());
        for (int i = 0; i < 200; i++) {
            run_loop(&loop, 4, 64);
            for (int t = limit; t < MAX_THREADS; t++)
                if (loop.thread_calls[t])
                    fail("thread %d worked under a limit of %d", t, limit);
        }
    }
    fastmlp_set_num_threads(0);
    if (fastmlp_get_num_threads() != 4)
        fail("without a limit %d threads, not the default of 4", fastmlp_get_num_threads());
    fastmlp_set_num_threads(4); /* the default: what is asked for may go beyond it */
    if (!run_loop(&loop, 6, 64))
        fail("a loop on more threads than the default went wrong");
}

/* Fork ------------------------------------------------------------------------------------------ */

#if !defined(_WIN32) /* which has no fork */

static int child(int depth)
{
    struct loop loop;
    alarm(60); /* a hang ends as a signal */
    if (!two_threads_work())
        return 3;
    for (int i = 0; i < 200; i++)
        if (!run_loop(&loop, 4, 17))
            return 1;
    if (depth > 0) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(child(depth - 1));
        int status = 1;
        waitpid(pid, &status, 0);
        return status ? 2 : 0;
    }
    return 0;
}

static void fork_and_check(void)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(child(1));
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        fail("cannot fork");
    else if (WIFSIGNALED(status))
        fail("the child ended by signal %d%s", WTERMSIG(status),
             WTERMSIG(status) == SIGALRM ? ": it hung" : "");
    else if (WEXITSTATUS(status))
        fail("%s", WEXITSTATUS(status) == 1   ? "loops went wrong in the child"
                   : WEXITSTATUS(status) == 2 ? "the child's child failed"
                                              : "no second thread works in the child");
}

static void test_fork(void)
{
    struct loop loop;
    if (begin_case("fork between loops"))
        for (int i = 0; i < 5; i++) {
            run_loop(&loop, 4, 64);
            fork_and_check();
            if (!run_loop(&loop, 4, 64))
                fail("loops go wrong in the parent");
        }
    if (begin_case("fork while others run loops")) {
        struct caller callers[2];
        atomic_int stop = 0;
        start_callers(callers, 2, 1 << 30, &stop);
        for (int i = 0; i < 5; i++)
            fork_and_check();
        atomic_store(&stop, 1);
        join_callers(callers, 2);
    }
}

#else
static void test_fork(void) {}
#endif

void test_threads(const struct kernels *k)
{
    test_concurrent_networks(k);
    test_loops();
    test_limit();
    test_callers();
    test_fork();
    test_concurrent_networks(k); /* with a pool that has been through all of that */
}

#endif
