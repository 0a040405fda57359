/* Status codes and the context: the one object that holds settings, random streams and the text of the last error. */
#ifndef MOTH_CORE_STATUS_H
#define MOTH_CORE_STATUS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moth.h"

struct moth_op;
struct moth_graph;

struct moth_ctx {
    char error[MOTH_ERROR_SIZE];      /* text of the last failure, one printable line */
    moth_status status;               /* its code */
    const struct moth_op *const *ops; /* the op table of the chosen CPU variant */
    int threads;                      /* threads that one call may use, >= 1 */
    bool grad_enabled;                /* false inside moth_no_grad */
    struct moth_graph *trace;         /* not NULL while a function is being traced */
    uint64_t seed;                    /* key of every random draw */
    bool seeded;                      /* moth_seed was called: the seed was chosen, not taken from the system */
    uint64_t eager_step;              /* draws made outside a model since moth_seed */
    uint64_t model_ordinal;           /* models made since moth_seed */
    volatile sig_atomic_t *interrupt; /* set to 1 by a signal handler; never NULL */
    sig_atomic_t own_interrupt;       /* what interrupt points at until moth_ctx_set_interrupt */
    int64_t *weights_left;            /* while a model file is read: how many numbers it still has for weights */
    void (*log)(void *user, const char *line);
    void *log_user;
};

/* Leaves `status` and a formatted message on ctx and returns `status`, so a caller writes
 * `return moth_fail(ctx, MOTH_ERR_SHAPE, "…")`. Bytes that are not printable are escaped. */
moth_status moth_fail(moth_ctx *ctx, moth_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* MOTH_ERR_ARGUMENT with "FUNCTION: NAME is NULL"; ctx may be NULL too, then without a message. */
moth_status moth_fail_null(moth_ctx *ctx, const char *function, const char *name);

/* Puts `prefix: ` in front of the message on ctx (a layer path in front of an op's message). Returns ctx->status. */
moth_status moth_fail_prefix(moth_ctx *ctx, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One line to the log callback, if there is one. */
void moth_log(moth_ctx *ctx, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* In a function of moth.h: an argument that must not be NULL. */
#define MOTH_NEED(ctx, pointer)                             \
    do {                                                    \
        if (!(ctx) || !(pointer)) {                         \
            return moth_fail_null(ctx, __func__, #pointer); \
        }                                                   \
    } while (0)

#define MOTH_TRY(expression)                    \
    do {                                        \
        moth_status try_status_ = (expression); \
        if (try_status_ != MOTH_OK) {           \
            return try_status_;                 \
        }                                       \
    } while (0)

#endif
