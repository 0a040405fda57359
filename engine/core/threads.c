#define _GNU_SOURCE /* sched_getaffinity */
#include "core/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "core/blas.h"

/* One job at a time for the whole process; a second caller (another context in another thread) runs its items alone. */
static struct {
    pthread_mutex_t busy; /* held by the caller whose job runs */
    pthread_mutex_t lock; /* guards the condition variable */
    pthread_cond_t wake;
    int started;        /* helper threads alive */
    atomic_int ready;   /* helpers that have come as far as waiting for work */
    atomic_uint ticket; /* number of the job; helpers wait for it to change */
    atomic_int wanted;  /* helpers that may join the job */
    atomic_int inside;  /* helpers that have joined and not left */
    moth_work_fn fn;
    void *arg;
    int64_t n;
    volatile sig_atomic_t *stop; /* no further items once it is set */
    atomic_int_fast64_t next;
} pool = { .busy = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };

static _Thread_local bool inside_item;

/* A helper looks for the next job this long before it sleeps: longer than the gap between two stages of a plan,
 * shorter than anything a neighbour on the same core would feel. */
enum { SPIN_ROUNDS = 2000 };

static inline void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void take_items(int worker)
{
    inside_item = true;
    while (!moth_wanted_to_stop(pool.stop)) {
        int64_t item = atomic_fetch_add_explicit(&pool.next, 1, memory_order_relaxed);
        if (item >= pool.n) {
            break;
        }
        pool.fn(pool.arg, item, worker);
    }
    inside_item = false;
}

static unsigned wait_for_job(unsigned seen)
{
    for (int spin = 0; spin < SPIN_ROUNDS; spin++) {
        unsigned ticket = atomic_load_explicit(&pool.ticket, memory_order_acquire);
        if (ticket != seen) {
            return ticket;
        }
        pause_briefly();
    }
    pthread_mutex_lock(&pool.lock);
    while (atomic_load_explicit(&pool.ticket, memory_order_acquire) == seen) {
        pthread_cond_wait(&pool.wake, &pool.lock);
    }
    pthread_mutex_unlock(&pool.lock);
    return atomic_load_explicit(&pool.ticket, memory_order_acquire);
}

static void *helper_main(void *arg)
{
    int worker = (int)(intptr_t)arg;
    moth_blas_enter_thread();
    atomic_fetch_add(&pool.ready, 1);
    unsigned seen = 0;
    for (;;) {
        seen = wait_for_job(seen);
        /* Join before looking at the job: its owner closes the door (wanted = 0) and then waits for inside = 0, so a
         * helper that finds the door open may use the job's fields. */
        atomic_fetch_add(&pool.inside, 1);
        if (atomic_load(&pool.wanted) >= worker && atomic_load(&pool.ticket) == seen) {
            take_items(worker);
        }
        atomic_fetch_sub_explicit(&pool.inside, 1, memory_order_release);
    }
    return NULL;
}

static void start_helpers(int threads)
{
    while (pool.started < threads - 1) {
        pthread_t thread;
        pthread_attr_t attr;
        sigset_t all, before;
        sigfillset(&all);
        pthread_attr_init(&attr);
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        pthread_sigmask(SIG_SETMASK, &all, &before); /* signals go to the thread that called */
        int failed = pthread_create(&thread, &attr, helper_main, (void *)(intptr_t)(pool.started + 1));
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attr);
        if (failed) {
            break; /* fewer threads give the same results */
        }
        pool.started++;
    }
    while (atomic_load(&pool.ready) < pool.started) {
        sched_yield(); /* what a thread allocates to begin with belongs to the first job, not to a later one */
    }
}

static volatile sig_atomic_t never; /* the flag of work that runs to its end */

static moth_status interrupted(moth_ctx *ctx)
{
    return moth_fail(ctx, MOTH_ERR_INTERRUPTED, "interrupted");
}

static moth_status run_alone(moth_ctx *ctx, int64_t n, moth_work_fn fn, void *arg, volatile sig_atomic_t *stop)
{
    for (int64_t item = 0; item < n; item++) {
        if (moth_wanted_to_stop(stop)) {
            return interrupted(ctx);
        }
        fn(arg, item, 0);
    }
    return MOTH_OK;
}

static void open_job(const moth_ctx *ctx, int64_t n, moth_work_fn fn, void *arg, volatile sig_atomic_t *stop)
{
    pool.fn = fn;
    pool.arg = arg;
    pool.n = n;
    pool.stop = stop;
    atomic_store_explicit(&pool.next, 0, memory_order_relaxed);
    int64_t helpers = ctx->threads - 1 < n - 1 ? ctx->threads - 1 : n - 1;
    pthread_mutex_lock(&pool.lock);
    atomic_store(&pool.wanted, (int)helpers);
    atomic_fetch_add_explicit(&pool.ticket, 1, memory_order_release);
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.lock);
}

static void close_job(void)
{
    atomic_store(&pool.wanted, 0);
    for (int spin = 0; atomic_load(&pool.inside) > 0; spin++) {
        if (spin < SPIN_ROUNDS) {
            pause_briefly();
        } else {
            sched_yield(); /* the helper may have lost its core to another process */
        }
    }
}

moth_status moth_parallel_with(moth_ctx *ctx, int64_t n, moth_work_fn fn, void *arg, unsigned flags)
{
    static _Thread_local bool entered;
    volatile sig_atomic_t *stop = flags & MOTH_WORK_TO_END ? &never : ctx->interrupt;
    if (!entered) {
        moth_blas_enter_thread();
        entered = true;
    }
    if (ctx->threads == 1 || n < 2 || flags & MOTH_WORK_ALONE || inside_item ||
        pthread_mutex_trylock(&pool.busy) != 0) {
        return run_alone(ctx, n, fn, arg, stop);
    }
    start_helpers(ctx->threads);
    open_job(ctx, n, fn, arg, stop);
    take_items(0);
    close_job();
    bool stopped = moth_wanted_to_stop(stop) && atomic_load(&pool.next) < n;
    pthread_mutex_unlock(&pool.busy);
    return stopped ? interrupted(ctx) : MOTH_OK;
}

moth_status moth_parallel(moth_ctx *ctx, int64_t n, moth_work_fn fn, void *arg)
{
    return moth_parallel_with(ctx, n, fn, arg, 0);
}

int moth_default_threads(void)
{
    const char *wanted = getenv("MOTH_NUM_THREADS");
    if (wanted) {
        long n = strtol(wanted, NULL, 10);
        if (n >= 1) {
            return n > MOTH_MAX_THREADS ? MOTH_MAX_THREADS : (int)n;
        }
    }
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0) {
        return 1;
    }
    int n = CPU_COUNT(&cpus);
    return n > MOTH_MAX_THREADS ? MOTH_MAX_THREADS : n;
}
