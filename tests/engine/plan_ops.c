#include "plan_ops.h"

#include <string.h>

static moth_real *row_of(const moth_arg *a, int64_t r, int64_t *n)
{
    *n = 1;
    for (int d = 1; d < a->rank; d++) {
        *n *= a->shape[d];
    }
    return (moth_real *)(void *)a->data + r * *n;
}

static moth_status infer_change(moth_infer *q)
{
    return moth_meta_same_shape(q->in[0], q->in[1]) ? MOTH_OK : moth_infer_fail(q, MOTH_ERR_SHAPE, "shapes must agree");
}

#define CHANGE(name_, expression)                                                                \
    static bool name_##_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker) \
    {                                                                                            \
        int64_t n;                                                                               \
        moth_real *to = row_of(&call->in[0], r0, &n), f = (moth_real)call->attrs->f[0];          \
        const moth_real *from = row_of(&call->in[1], r0, &n);                                    \
        (void)worker;                                                                            \
        (void)f;                                                                                 \
        for (int64_t i = 0; i < (r1 - r0) * n; i++) {                                            \
            const moth_real w = to[i], x = from[i];                                              \
            (void)w;                                                                             \
            to[i] = (expression);                                                                \
        }                                                                                        \
        return true;                                                                             \
    }                                                                                            \
    const moth_op test_##name_ = { .name = #name_,                                               \
                                   .doc = "-",                                                   \
                                   .min_in = 2,                                                  \
                                   .max_in = 2,                                                  \
                                   .infer = infer_change,                                        \
                                   .rows = name_##_rows,                                         \
                                   .mutates = 1,                                                 \
                                   .nodiff = "changes a variable" };

CHANGE(sgd, w - f * x)
CHANGE(assign, x)
CHANGE(average, (w + x) / 2)

/* ---- total ---- */

enum { PIECE = 32 };

static int64_t elements(const moth_arg *a)
{
    int64_t n = 1;
    for (int d = 0; d < a->rank; d++) {
        n *= a->shape[d];
    }
    return n;
}

static moth_status infer_total(moth_infer *q)
{
    q->out[0].dtype = MOTH_FLOAT32;
    return MOTH_OK;
}

static int64_t total_pieces(const moth_call *call, int phase)
{
    return phase == 0 ? (elements(&call->in[0]) + PIECE - 1) / PIECE : 1;
}

static bool total_piece(const moth_call *call, int phase, int64_t p, moth_worker *worker)
{
    moth_real *part = (moth_real *)(void *)call->shared, *copy = (moth_real *)(void *)worker->scratch;
    int64_t n = elements(&call->in[0]), from = p * PIECE, count = n - from < PIECE ? n - from : PIECE;
    moth_real sum = 0;
    if (phase == 0) {
        memcpy(copy, (moth_real *)(void *)call->in[0].data + from, (size_t)count * sizeof *copy);
        for (int64_t i = 0; i < count; i++) {
            sum += copy[i];
        }
        part[p] = sum;
        return true;
    }
    for (int64_t i = 0; i < total_pieces(call, 0); i++) {
        sum += part[i];
    }
    *(moth_real *)(void *)call->out[0].data = sum;
    return true;
}

static size_t total_shared(const moth_call *call)
{
    return (size_t)total_pieces(call, 0) * sizeof(moth_real);
}

static size_t total_scratch(const moth_call *call)
{
    (void)call;
    return PIECE * sizeof(moth_real);
}

const moth_op test_total = { .name = "total",
                             .doc = "-",
                             .min_in = 1,
                             .max_in = 1,
                             .n_out = 1,
                             .infer = infer_total,
                             .n_phases = 2,
                             .pieces = total_pieces,
                             .piece = total_piece,
                             .worker_scratch = total_scratch,
                             .shared_scratch = total_shared,
                             .nodiff = "only for tests" };

/* ---- take ---- */

static moth_status infer_take(moth_infer *q)
{
    q->out[0] = *q->in[0];
    return MOTH_OK;
}

static bool take_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    int64_t n;
    moth_real *w = row_of(&call->in[0], r0, &n);
    (void)worker;
    memcpy(row_of(&call->out[0], r0, &n), w, (size_t)((r1 - r0) * n) * sizeof *w);
    memset(w, 0, (size_t)((r1 - r0) * n) * sizeof *w);
    return true;
}

const moth_op test_take = { .name = "take",
                            .doc = "-",
                            .min_in = 1,
                            .max_in = 1,
                            .n_out = 1,
                            .infer = infer_take,
                            .rows = take_rows,
                            .mutates = 1,
                            .nodiff = "changes a variable" };
