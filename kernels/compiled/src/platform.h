/* What the operating system gives, behind one set of names: locks, threads, a clock, aligned memory.

   POSIX threads where they are, Win32 on Windows, and a world with one thread for WebAssembly without
   threads: there no thread can be started, and a caller takes all tasks of its loops itself. */
#ifndef FASTMLP_PLATFORM_H
#define FASTMLP_PLATFORM_H

#include <stddef.h>
#include <stdlib.h>

#if defined(_WIN32)
#define FASTMLP_WIN32 1
#elif defined(__wasm__) && !defined(_REENTRANT)
#define FASTMLP_ONE_THREAD 1
#endif

typedef void *platform_thread(void *context); /* what a thread runs */

#if defined(FASTMLP_WIN32)

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <malloc.h>
#include <windows.h>

#define EXPORTED __declspec(dllexport)

typedef SRWLOCK platform_lock;
typedef CONDITION_VARIABLE platform_condition;
#define PLATFORM_LOCK SRWLOCK_INIT
#define PLATFORM_CONDITION CONDITION_VARIABLE_INIT

static inline void platform_acquire(platform_lock *lock) { AcquireSRWLockExclusive(lock); }
static inline int platform_try(platform_lock *lock) { return TryAcquireSRWLockExclusive(lock) != 0; }
static inline void platform_release(platform_lock *lock) { ReleaseSRWLockExclusive(lock); }
static inline void platform_wait(platform_condition *c, platform_lock *lock)
{
    SleepConditionVariableSRW(c, lock, INFINITE, 0);
}
static inline void platform_wake_all(platform_condition *c) { WakeAllConditionVariable(c); }
static inline void platform_yield(void) { SwitchToThread(); }

struct platform_start {
    platform_thread *function;
    void *context;
};
static DWORD WINAPI platform_run(void *start)
{
    struct platform_start s = *(struct platform_start *)start;
    free(start);
    s.function(s.context);
    return 0;
}
/* Starts a thread that nobody waits for; 0 where it cannot be. */
static inline int platform_start(platform_thread *function, void *context)
{
    struct platform_start *s = malloc(sizeof *s);
    if (s == NULL)
        return 0;
    *s = (struct platform_start){function, context};
    HANDLE thread = CreateThread(NULL, 0, platform_run, s, 0, NULL);
    if (thread == NULL) {
        free(s);
        return 0;
    }
    CloseHandle(thread);
    return 1;
}

/* Nothing is forked, and a console's Ctrl-C comes on a thread of its own. */
static inline void platform_watch_forks(void (*in_child)(void)) { (void)in_child; }

static inline double platform_seconds(void)
{
    LARGE_INTEGER count, each;
    QueryPerformanceFrequency(&each);
    QueryPerformanceCounter(&count);
    return (double)count.QuadPart / (double)each.QuadPart;
}

static inline void *platform_aligned(size_t line, size_t bytes) { return _aligned_malloc(bytes, line); }
static inline void platform_free_aligned(void *memory) { _aligned_free(memory); }

#else /* POSIX, or WebAssembly's part of it */

#include <time.h>

#define EXPORTED __attribute__((visibility("default")))

static inline double platform_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline void *platform_aligned(size_t line, size_t bytes) { return aligned_alloc(line, bytes); }
static inline void platform_free_aligned(void *memory) { free(memory); }

#if defined(FASTMLP_ONE_THREAD)

typedef int platform_lock, platform_condition;
#define PLATFORM_LOCK 0
#define PLATFORM_CONDITION 0

static inline void platform_acquire(platform_lock *lock) { *lock = 1; }
static inline int platform_try(platform_lock *lock) { return *lock ? 0 : (*lock = 1); }
static inline void platform_release(platform_lock *lock) { *lock = 0; }
static inline void platform_wait(platform_condition *c, platform_lock *lock) { (void)c, (void)lock; }
static inline void platform_wake_all(platform_condition *c) { (void)c; }
static inline void platform_yield(void) {}
static inline int platform_start(platform_thread *function, void *context)
{
    (void)function, (void)context;
    return 0;
}
static inline void platform_watch_forks(void (*in_child)(void)) { (void)in_child; }

#else

#include <pthread.h>
#include <sched.h>
#include <signal.h>

typedef pthread_mutex_t platform_lock;
typedef pthread_cond_t platform_condition;
#define PLATFORM_LOCK PTHREAD_MUTEX_INITIALIZER
#define PLATFORM_CONDITION PTHREAD_COND_INITIALIZER

static inline void platform_acquire(platform_lock *lock) { pthread_mutex_lock(lock); }
static inline int platform_try(platform_lock *lock) { return pthread_mutex_trylock(lock) == 0; }
static inline void platform_release(platform_lock *lock) { pthread_mutex_unlock(lock); }
static inline void platform_wait(platform_condition *c, platform_lock *lock) { pthread_cond_wait(c, lock); }
static inline void platform_wake_all(platform_condition *c) { pthread_cond_broadcast(c); }
static inline void platform_yield(void) { sched_yield(); }

/* Starts a thread that nobody waits for; 0 where it cannot be. Signals stay with the threads of the
   program. */
static inline int platform_start(platform_thread *function, void *context)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread, NULL, function, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return 0;
    pthread_detach(thread);
    return 1;
}

static inline void platform_watch_forks(void (*in_child)(void)) { pthread_atfork(NULL, NULL, in_child); }

#endif
#endif

#endif
