/* The thread pool: the only place that starts threads. Work comes as numbered items; items never depend on which
 * thread takes them, so results do not depend on the number of threads. */
#ifndef MOTH_CORE_THREADS_H
#define MOTH_CORE_THREADS_H

#include "core/status.h"

/* Most threads that one call may use. */
#define MOTH_MAX_THREADS 64

/* One item of work. `worker` counts 0 .. threads-1 and names scratch memory that no other thread uses meanwhile. */
typedef void (*moth_work_fn)(void *arg, int64_t item, int worker);

/* Runs fn for items 0..n-1 on up to ctx->threads threads (the caller is one of them) and returns when all are done.
 * Stops handing out items once ctx's interrupt flag is set: then returns MOTH_ERR_INTERRUPTED. Never allocates once
 * the pool has its threads. A call from inside an item runs serially. */
moth_status moth_parallel(moth_ctx *ctx, int64_t n, moth_work_fn fn, void *arg);

enum {
    MOTH_WORK_ALONE = 1, /* on the calling thread only: too little to wake another for */
    MOTH_WORK_TO_END = 2 /* in spite of the interrupt flag: what must not be left half done */
};
moth_status moth_parallel_with(moth_ctx *ctx, int64_t n, moth_work_fn fn, void *arg, unsigned flags);

/* Is the interrupt flag set? A signal handler sets it, or another thread: hence atomic. */
static inline bool moth_wanted_to_stop(volatile sig_atomic_t *flag)
{
    return __atomic_load_n(flag, __ATOMIC_RELAXED) != 0;
}

/* Threads to use by default: MOTH_NUM_THREADS, else the processors this process may run on. */
int moth_default_threads(void);

#endif
