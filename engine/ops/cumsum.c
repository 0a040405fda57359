/* Running sum along a dim: y[.., i, ..] = x[.., 0, ..] + … + x[.., i, ..], of x's shape; integers give int32. Sums run
 * in double. The gradient is the running sum from the other end. */
#include <stdio.h>

#include "ops/reduce.h"

enum { CUMSUM_DIM = 0, CUMSUM_REVERSE = 1 };

static moth_status cumsum_infer(moth_infer *q)
{
    q->out[0] = *q->in[0];
    q->out[0].dtype = q->in[0]->dtype == MOTH_FLOAT32 ? MOTH_FLOAT32 : MOTH_INT32;
    return moth_infer_dim(q, &q->attrs->i[CUMSUM_DIM], q->in[0]->rank);
}

static bool cumsum_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)in;
    (void)out;
    (void)i;
    return attrs->i[CUMSUM_DIM] == 0;
}

/* Adds up `n` elements `step` apart for `width` <= MOTH_REDUCE_CHUNK neighbours; stores those of i0 .. i1-1. */
static bool run_sums(const moth_call *call, int64_t at, int64_t n, int64_t step, int64_t width, int64_t i0, int64_t i1,
                     moth_worker *worker)
{
    double acc[MOTH_REDUCE_CHUNK] = { 0 }, buffer[MOTH_REDUCE_CHUNK];
    const moth_arg *out = &call->out[0];
    bool reverse = call->attrs->i[CUMSUM_REVERSE] != 0, fits = true;
    for (int64_t k = 0; k < (reverse ? n - i0 : i1); k++) {
        int64_t i = reverse ? n - 1 - k : k, place = at + i * step;
        moth_sum_columns(width, acc, moth_fetch_converted(&call->in[0], place, 1, width, buffer), NULL);
        if (i < i0 || i >= i1) {
            continue;
        }
        for (int64_t c = 0; c < width; c++) {
            if (out->dtype == MOTH_FLOAT32) {
                ((moth_real *)(void *)out->data)[place + c] = (moth_real)acc[c];
            } else if (acc[c] >= -2147483648.0 && acc[c] <= 2147483647.0) {
                ((int32_t *)(void *)out->data)[place + c] = (int32_t)acc[c];
            } else {
                fits = false;
            }
        }
    }
    if (!fits) {
        snprintf(worker->fault, sizeof worker->fault, "a running sum does not fit int32");
    }
    return fits;
}

static bool cumsum_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    const moth_arg *x = &call->in[0];
    int dim = (int)call->attrs->i[CUMSUM_DIM];
    int64_t n = x->shape[dim], outer = 1, inner = 1;
    for (int d = 1; d < x->rank; d++) {
        outer *= d < dim ? x->shape[d] : 1;
        inner *= d > dim ? x->shape[d] : 1;
    }
    /* along dim 0 the sum starts at the first row, wherever this range of rows starts */
    int64_t first = dim == 0 ? 0 : r0 * outer, last = dim == 0 ? 1 : r1 * outer;
    int64_t i0 = dim == 0 ? r0 : 0, i1 = dim == 0 ? r1 : n;
    bool good = true;
    for (int64_t o = first; o < last && good; o++) {
        for (int64_t c = 0; c < inner && good; c += MOTH_REDUCE_CHUNK) {
            int64_t width = inner - c < MOTH_REDUCE_CHUNK ? inner - c : MOTH_REDUCE_CHUNK;
            good = run_sums(call, o * n * inner + c, n, inner, width, i0, i1, worker);
        }
    }
    return good;
}

static void cumsum_gradient(moth_grad *g)
{
    moth_attrs attrs = *g->attrs;
    attrs.i[CUMSUM_REVERSE] = !attrs.i[CUMSUM_REVERSE];
    g->dx[0] = MOTH_EMIT(g->scope, &MOTH_OP(cumsum), &attrs, g->dy[0]);
}

static const moth_attr_spec cumsum_attrs[] = {
    { .name = "dim", .kind = MOTH_ATTR_DIM, .slot = CUMSUM_DIM },
    { .name = "reverse", .kind = MOTH_ATTR_BOOL, .slot = CUMSUM_REVERSE, .optional = true },
    { .kind = MOTH_ATTR_END },
};
static const moth_case cumsum_cases[] = {
    { .in = { MOTH_REALS(-2, 2, 0, 1, 7) }, .n_in = 1 },
    { .in = { MOTH_REALS(-2, 2, 0, 2, 5, 3) }, .n_in = 1, .attrs.i = { 0, 1 } },
    { .in = { MOTH_REALS(-2, 2, 1, 3, 3, 5, 2) }, .n_in = 1, .attrs.i = { 1 } },
    { .in = { MOTH_REALS(-2, 2, 2, 2, 3, 1) }, .n_in = 1, .attrs.i = { -1, 1 } },
    { .in = { MOTH_IN(MOTH_UINT8, 0, 255, 0, 2, 7, 5) }, .n_in = 1, .attrs.i = { 1 } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(cumsum) = {
    .name = "cumsum",
    .doc = "running sum along a dim, from its end when reverse",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = MOTH_OP_METHOD,
    .attrs = cumsum_attrs,
    .infer = cumsum_infer,
    .whole = cumsum_whole,
    .rows = cumsum_rows,
    .gradient = cumsum_gradient,
    .cases = MOTH_CASES(cumsum_cases),
};
