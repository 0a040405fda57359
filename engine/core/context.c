#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/cpu.h"
#include "core/memory.h"
#include "core/threads.h"

static uint64_t system_seed(void)
{
    uint32_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed) {
        seed = 1671; /* early boot: no entropy yet */
    }
    return seed;
}

moth_ctx *moth_ctx_new(void)
{
    moth_ctx *ctx = moth_calloc(sizeof *ctx);
    if (!ctx) {
        return NULL;
    }
    ctx->threads = moth_default_threads();
    ctx->grad_enabled = true;
    ctx->seed = system_seed();
    ctx->interrupt = &ctx->own_interrupt;
    const char *wanted = getenv("MOTH_CPU");
    if (!wanted || moth_ctx_set_cpu(ctx, wanted) != MOTH_OK) {
        moth_ctx_set_cpu(ctx, moth_cpu_name(moth_cpu_detect()));
    }
    return ctx;
}

void moth_ctx_free(moth_ctx *ctx)
{
    moth_free(ctx);
}

void moth_seed(moth_ctx *ctx, uint64_t seed)
{
    if (!ctx) {
        return;
    }
    ctx->seed = seed;
    ctx->seeded = true;
    ctx->eager_step = 0;
    ctx->model_ordinal = 0;
}

moth_status moth_ctx_set_threads(moth_ctx *ctx, int threads)
{
    if (!ctx) {
        return MOTH_ERR_ARGUMENT;
    }
    if (threads < 1 || threads > MOTH_MAX_THREADS) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "threads: expected 1 to %d, got %d", MOTH_MAX_THREADS, threads);
    }
    ctx->threads = threads;
    return MOTH_OK;
}

int moth_ctx_threads(const moth_ctx *ctx)
{
    return ctx ? ctx->threads : 0;
}

void moth_ctx_set_log(moth_ctx *ctx, void (*log)(void *user, const char *line), void *user)
{
    if (ctx) {
        ctx->log = log;
        ctx->log_user = user;
    }
}

void moth_ctx_interrupt(moth_ctx *ctx)
{
    if (ctx) {
        __atomic_store_n(ctx->interrupt, 1, __ATOMIC_RELAXED);
    }
}
