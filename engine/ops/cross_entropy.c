/* Cross entropy between targets and the softmax or sigmoid of logits, in one step: the gradient p - t needs no division
 * by small probabilities.
 *
 *   softmax_cross_entropy: logits (…, C), target (…, C) float or class ids (…) -> (…), the sum over C of -t ln p
 *   sigmoid_cross_entropy: logits, target of one shape -> that shape, -t ln p - (1 - t) ln (1 - p)
 *
 * With from_logits the value is exact. Without, it is what Keras reports for a model that ends in softmax or sigmoid:
 * p is limited to 1e-7 .. 1 - 1e-7 before the logarithm; the gradient is that of the exact value in both cases.
 * Saved: p (softmax) or the logits (sigmoid), and the target. */
#include <stdio.h>

#include "ops/nn_util.h"
#include "ops/softmax.h"

enum { FROM_LOGITS = 0 };

#define LEAST MOTH_R(1e-7) /* Keras's epsilon */
#define MOST (1 - MOTH_R(1e-7))

static inline moth_real limited(moth_real p)
{
    p = p < LEAST ? LEAST : p;
    return p > MOST ? MOST : p;
}

static const moth_attr_spec cross_entropy_attrs[] = {
    { .name = "from_logits", .kind = MOTH_ATTR_BOOL, .slot = FROM_LOGITS, .optional = true },
    { .kind = MOTH_ATTR_END },
};

/* ---- softmax_cross_entropy ---- */

/* (probabilities or logits (…, C), target) -> rank of the positions, or an error */
static moth_status check_target(moth_infer *q, const moth_meta *p, const moth_meta *target)
{
    bool ids = target->dtype != MOTH_FLOAT32;
    if (p->dtype != MOTH_FLOAT32) {
        return moth_infer_fail(q, MOTH_ERR_DTYPE, "logits must be float32");
    }
    bool fits = p->rank >= 1 && target->rank == p->rank - (ids ? 1 : 0);
    for (int d = 0; fits && d < target->rank; d++) {
        fits = target->shape[d] == p->shape[d];
    }
    if (!fits) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE,
                               "takes logits (..., c) and float targets (..., c) or integer class ids (...)");
    }
    return p->rank == 1 && p->shape[0] < 0 ? moth_infer_exact(q) : MOTH_OK;
}

static moth_status softmax_cross_entropy_infer(moth_infer *q)
{
    const moth_meta *logits = q->in[0];
    MOTH_TRY(check_target(q, logits, q->in[1]));
    out_like(&q->out[1], logits);
    out_like(&q->out[0], logits);
    q->out[0].rank = logits->rank - 1;
    q->out[0].shape[q->out[0].rank] = 0;
    return MOTH_OK;
}

static bool no_positions_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)attrs;
    (void)in;
    (void)i;
    return out->rank == 0;
}

static bool class_of(const moth_arg *target, int64_t at, int64_t classes, int64_t per_row, int64_t *id,
                     moth_worker *worker)
{
    *id = target->dtype == MOTH_INT32 ? ((const int32_t *)(const void *)target->data)[at]
                                      : ((const uint8_t *)target->data)[at];
    if (*id < 0 || *id >= classes) {
        snprintf(worker->fault, sizeof worker->fault, "label %lld of row %lld is not in 0..%lld", (long long)*id,
                 (long long)(at / per_row) + 1, (long long)classes - 1);
        return false;
    }
    return true;
}

/* What one class adds to the loss: -t ln p. shift is what ln p is less than the logit by. */
static inline moth_real class_loss(bool exact, moth_real t, moth_real logit, moth_real shift, moth_real p)
{
    return t == 0 ? 0 : t * (exact ? shift - logit : -MOTH_LOG(limited(p)));
}

static bool softmax_cross_entropy_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    const moth_arg *target = &call->in[1];
    bool exact = call->attrs->i[FROM_LOGITS] != 0;
    int64_t n = call->in[0].shape[call->in[0].rank - 1], per_row = row_elements(&call->out[0]);
    moth_real top[MOTH_SOFTMAX_ROWS], sum[MOTH_SOFTMAX_ROWS];
    for (int64_t at = r0 * per_row; at < r1 * per_row; at += MOTH_SOFTMAX_ROWS) {
        int64_t rows = min64(MOTH_SOFTMAX_ROWS, r1 * per_row - at), id;
        const moth_real *x = reals(&call->in[0]) + at * n;
        moth_real *p = reals(&call->out[1]) + at * n, *loss = reals(&call->out[0]) + at;
        moth_softmax_rows(rows, n, x, p, top, sum);
        for (int64_t r = 0; r < rows; r++, x += n, p += n) {
            moth_real shift = top[r] + MOTH_LOG(sum[r]);
            if (target->dtype != MOTH_FLOAT32) {
                if (!class_of(target, at + r, n, per_row, &id, worker)) {
                    return false;
                }
                loss[r] = class_loss(exact, 1, x[id], shift, p[id]);
                continue;
            }
            const moth_real *t = reals(target) + (at + r) * n;
            double total = 0;
            for (int64_t c = 0; c < n; c++) {
                total += (double)class_loss(exact, t[c], x[c], shift, p[c]);
            }
            loss[r] = (moth_real)total;
        }
    }
    return true;
}

/* ---- its gradient to the logits: (dy (…), p (…, C), target) -> dy (p sum t - t) ---- */

static moth_status softmax_cross_entropy_grad_infer(moth_infer *q)
{
    MOTH_TRY(check_target(q, q->in[1], q->in[2]));
    out_like(&q->out[0], q->in[1]);
    return MOTH_OK;
}

static bool one_position_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)attrs;
    (void)in;
    (void)i;
    return out->rank == 1;
}

static bool softmax_cross_entropy_grad_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    const moth_arg *dy = &call->in[0], *target = &call->in[2], *out = &call->out[0];
    int64_t n = out->shape[out->rank - 1], per_row = row_elements(dy), id;
    /* a single position: dim 0 of the output is the classes, its rows are elements */
    bool single = out->rank == 1;
    int64_t first = single ? 0 : r0 * per_row, last = single ? 1 : r1 * per_row;
    int64_t c0 = single ? r0 : 0, c1 = single ? r1 : n;
    for (int64_t at = first; at < last; at++) {
        moth_real d = reals(dy)[at], *dx = reals(out) + at * n;
        const moth_real *p = reals(&call->in[1]) + at * n;
        if (target->dtype != MOTH_FLOAT32) {
            if (!class_of(target, at, n, per_row, &id, worker)) {
                return false;
            }
            for (int64_t c = c0; c < c1; c++) {
                dx[c] = d * (p[c] - (moth_real)(c == id));
            }
            continue;
        }
        const moth_real *t = reals(target) + at * n;
        moth_real sum = (moth_real)moth_sum_reals_lanes(n, t, 0);
        for (int64_t c = c0; c < c1; c++) {
            dx[c] = d * (p[c] * sum - t[c]);
        }
    }
    return true;
}

static const moth_op softmax_cross_entropy_grad = {
    .name = "softmax_cross_entropy_grad",
    .doc = "gradient of softmax_cross_entropy to the logits",
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .infer = softmax_cross_entropy_grad_infer,
    .rows = softmax_cross_entropy_grad_rows,
    .whole = one_position_whole,
    .nodiff = "second derivatives are not supported",
};

/* dt = -dy ln p, p limited as in the value; from_logits only so far that the logarithm stays finite */
static moth_tensor *emit_target_gradient(moth_grad *g, moth_tensor *p)
{
    bool exact = g->attrs->i[FROM_LOGITS] != 0;
    moth_attrs limits = { .f = { exact ? 0x1p-126 : (double)LEAST, exact ? 1 : (double)MOST } };
    moth_attrs last = { .i = { -1 } };
    moth_tensor *clipped = MOTH_EMIT(g->scope, &MOTH_OP(clamp), &limits, p);
    moth_tensor *logarithm = MOTH_EMIT(g->scope, &MOTH_OP(log), NULL, clipped);
    moth_tensor *d = MOTH_EMIT(g->scope, &MOTH_OP(unsqueeze), &last, g->dy[0]);
    moth_tensor *product = MOTH_EMIT(g->scope, &MOTH_OP(mul), NULL, d, logarithm);
    return MOTH_EMIT(g->scope, &MOTH_OP(neg), NULL, product);
}

static void softmax_cross_entropy_gradient(moth_grad *g)
{
    if (g->need[0]) {
        g->dx[0] = MOTH_EMIT(g->scope, &softmax_cross_entropy_grad, NULL, g->dy[0], g->y[1], g->x[1]);
    }
    if (g->need[1]) {
        g->dx[1] = emit_target_gradient(g, g->y[1]);
    }
}

static const moth_case softmax_cross_entropy_cases[] = {
    { .in = { MOTH_REALS(-3, 3, 0, 2, 5, 10), MOTH_REALS(0, 1, 0, 2, 5, 10) }, .n_in = 2 },
    { .in = { MOTH_REALS(-3, 3, 1, 3, 2, 3, 7), MOTH_REALS(0, 1, 0, 3, 2, 3, 7) }, .n_in = 2, .attrs.i = { 1 } },
    { .in = { MOTH_REALS(-3, 3, 0, 2, 5, 10), MOTH_IN(MOTH_INT32, 0, 9, 0, 1, 5) }, .n_in = 2 },
    { .in = { MOTH_REALS(-3, 3, 0, 2, 67, 3), MOTH_IN(MOTH_UINT8, 0, 2, 0, 1, 67) }, .n_in = 2, .attrs.i = { 1 } },
    { .in = { MOTH_REALS(-3, 3, 0, 3, 2, 3, 5), MOTH_IN(MOTH_INT32, 0, 4, 2, 2, 2, 3) }, .n_in = 2 },
    { .in = { MOTH_REALS(-3, 3, 0, 1, 5), MOTH_REALS(0, 1, 0, 1, 5) }, .n_in = 2 },
    { .in = { MOTH_REALS(-3, 3, 0, 1, 5), MOTH_IN(MOTH_INT32, 0, 4, 0, 0, 0) }, .n_in = 2 },
    { .n_in = 0 },
};

const moth_op MOTH_OP(softmax_cross_entropy) = {
    .name = "softmax_cross_entropy",
    .doc = "cross entropy of targets (probabilities or class ids) and the softmax of logits over the last dim",
    .min_in = 2,
    .max_in = 2,
    .n_out = 2,
    .n_visible = 1,
    .attrs = cross_entropy_attrs,
    .infer = softmax_cross_entropy_infer,
    .rows = softmax_cross_entropy_rows,
    .whole = no_positions_whole,
    .gradient = softmax_cross_entropy_gradient,
    .saves_in = 2,
    .saves_out = 2,
    .cases = MOTH_CASES(softmax_cross_entropy_cases),
};

/* ---- sigmoid_cross_entropy ---- */

static moth_status same_shapes_infer(moth_infer *q)
{
    for (int i = 1; i < q->n_in; i++) {
        if (!moth_meta_same_shape(q->in[0], q->in[i])) {
            return moth_infer_fail(q, MOTH_ERR_SHAPE, "logits and targets must have one shape");
        }
    }
    return moth_infer_real_like(q);
}

static void sigmoid_cross_entropy_loop(int64_t n, moth_real *out, const moth_real *const *in, const int64_t *step,
                                       const moth_attrs *attrs)
{
    const moth_real *x = in[0], *t = in[1];
    (void)step;
    if (attrs->i[FROM_LOGITS]) {
        MOTH_INDEPENDENT
        for (int64_t i = 0; i < n; i++) {
            out[i] = (x[i] < 0 ? 0 : x[i]) - x[i] * t[i] + MOTH_LOG1P(MOTH_EXP(-MOTH_FABS(x[i])));
        }
        return;
    }
    MOTH_INDEPENDENT
    for (int64_t i = 0; i < n; i++) {
        moth_real p = MOTH_SIGMOID(x[i]);
        p = p < LEAST ? LEAST : p;
        p = p > MOST ? MOST : p;
        out[i] = -t[i] * MOTH_LOG(p) - (1 - t[i]) * MOTH_LOG(1 - p);
    }
}

static bool sigmoid_cross_entropy_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    return moth_run_reals(call, r0, r1, sigmoid_cross_entropy_loop, false);
}

/* (dy, logits, target) -> dy (p - t) */
static void sigmoid_cross_entropy_grad_loop(int64_t n, moth_real *out, const moth_real *const *in, const int64_t *step,
                                            const moth_attrs *attrs)
{
    const moth_real *d = in[0], *x = in[1], *t = in[2];
    (void)step;
    (void)attrs;
    MOTH_INDEPENDENT
    for (int64_t i = 0; i < n; i++) {
        out[i] = d[i] * (MOTH_SIGMOID(x[i]) - t[i]);
    }
}

static bool sigmoid_cross_entropy_grad_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    return moth_run_reals(call, r0, r1, sigmoid_cross_entropy_grad_loop, false);
}

static const moth_op sigmoid_cross_entropy_grad = {
    .name = "sigmoid_cross_entropy_grad",
    .doc = "gradient of sigmoid_cross_entropy to the logits",
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .flags = MOTH_OP_ELEMENTWISE,
    .infer = same_shapes_infer,
    .rows = sigmoid_cross_entropy_grad_rows,
    .strided_in = 7,
    .nodiff = "second derivatives are not supported",
};

/* d/dt of the value is ln(1 - p) - ln p = -x, or that of the limited p */
static void sigmoid_cross_entropy_gradient(moth_grad *g)
{
    if (g->need[0]) {
        g->dx[0] = MOTH_EMIT(g->scope, &sigmoid_cross_entropy_grad, NULL, g->dy[0], g->x[0], g->x[1]);
    }
    if (g->need[1]) {
        double most = g->attrs->i[FROM_LOGITS] ? INFINITY : log((double)MOST) - log(1 - (double)MOST);
        moth_attrs limits = { .f = { -most, most } };
        moth_tensor *x = MOTH_EMIT(g->scope, &MOTH_OP(clamp), &limits, g->x[0]);
        moth_tensor *product = MOTH_EMIT(g->scope, &MOTH_OP(mul), NULL, g->dy[0], x);
        g->dx[1] = MOTH_EMIT(g->scope, &MOTH_OP(neg), NULL, product);
    }
}

static const moth_case sigmoid_cross_entropy_cases[] = {
    { .in = { MOTH_REALS(-3, 3, 0, 2, 5, 3), MOTH_REALS(0, 1, 0, 2, 5, 3) }, .n_in = 2 },
    { .in = { MOTH_REALS(-3, 3, 1, 2, 5, 3), MOTH_REALS(0, 1, 2, 2, 5, 3) }, .n_in = 2, .attrs.i = { 1 } },
    { .in = { MOTH_REALS(-3, 3, 0, 1, 7), MOTH_IN(MOTH_UINT8, 0, 1, 0, 1, 7) }, .n_in = 2 },
    { .in = { MOTH_REALS(-3, 3, 0, 0, 0), MOTH_REALS(0, 1, 0, 0, 0) }, .n_in = 2, .attrs.i = { 1 } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(sigmoid_cross_entropy) = {
    .name = "sigmoid_cross_entropy",
    .doc = "cross entropy of targets in 0 .. 1 and the sigmoid of logits, for each element",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = MOTH_OP_ELEMENTWISE,
    .attrs = cross_entropy_attrs,
    .infer = same_shapes_infer,
    .rows = sigmoid_cross_entropy_rows,
    .strided_in = 3,
    .gradient = sigmoid_cross_entropy_gradient,
    .saves_in = 3,
    .cases = MOTH_CASES(sigmoid_cross_entropy_cases),
};
