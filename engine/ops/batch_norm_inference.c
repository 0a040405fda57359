/* batch_norm_inference: normalization of each column by given moments, those of the training data.
 *
 *   x (…, C), mean (C), var (C), gamma (C) or absent, beta (C) or absent -> y (…, C)
 *   y = (x - mean) / sqrt(var + epsilon) gamma + beta
 *
 * With scale = gamma rstd: dx = dy scale, dbeta = sum dy, dgamma = sum dy xhat, dmean = -scale sum dy,
 * dvar = -scale rstd sum(dy xhat) / 2. */
#include "ops/norm.h"

enum { X, MEAN, VAR, GAMMA, BETA };

static bool batch_norm_inference_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    moth_real *scale = (moth_real *)(void *)worker->scratch;
    int64_t columns = moth_norm_columns(&call->in[X]), row = row_elements(&call->in[X]);
    moth_norm_fill_scale(call, reals(&call->in[VAR]), moth_norm_vector(call, GAMMA), moth_norm_vector(call, BETA),
                         columns, scale);
    moth_normalize((r1 - r0) * (row / max64(1, columns)), columns, reals(&call->in[X]) + r0 * row,
                   reals(&call->in[MEAN]), scale, scale + columns, reals(&call->out[0]) + r0 * row);
    return true;
}

/* dy, var, gamma or absent -> dx = dy gamma / sqrt(var + epsilon) */
static bool scale_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    moth_real *scale = (moth_real *)(void *)worker->scratch;
    int64_t columns = moth_norm_columns(&call->in[0]), row = row_elements(&call->in[0]);
    moth_norm_fill_scale(call, reals(&call->in[1]), moth_norm_vector(call, 2), NULL, columns, scale);
    for (int64_t at = r0 * row; at < r1 * row; at += columns) {
        for (int64_t c = 0; c < columns; c++) {
            reals(&call->out[0])[at + c] = reals(&call->in[0])[at + c] * scale[c];
        }
    }
    return true;
}

static const moth_op batch_norm_scale = {
    .name = "batch_norm_scale",
    .min_in = 2,
    .max_in = 3,
    .n_out = 1,
    .infer = infer_like_first,
    .rows = scale_rows,
    .whole = whole_but_first,
    .worker_scratch = moth_norm_three_rows,
    .nodiff = "second derivatives are not supported",
};

/* var, sum dy, sum dy xhat, gamma or absent -> dmean = -scale sum dy, dvar = -scale rstd sum(dy xhat) / 2 */
static moth_status moments_infer(moth_infer *q)
{
    out_like(&q->out[0], q->in[0]);
    out_like(&q->out[1], q->in[0]);
    return MOTH_OK;
}

static bool moments_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    const moth_real *var = reals(&call->in[0]), *sum = reals(&call->in[1]), *product = reals(&call->in[2]);
    for (int64_t c = r0; c < r1; c++) {
        moth_real scale = moth_norm_scale(call->attrs, var, moth_norm_vector(call, 3), c);
        reals(&call->out[0])[c] = -scale * sum[c];
        reals(&call->out[1])[c] = -scale * moth_norm_scale(call->attrs, var, NULL, c) * product[c] / 2;
    }
    return true;
}

static const moth_op batch_norm_moments_grad = {
    .name = "batch_norm_moments_grad",
    .min_in = 3,
    .max_in = 4,
    .n_out = 2,
    .infer = moments_infer,
    .rows = moments_rows,
    .whole = whole_none,
    .nodiff = "second derivatives are not supported",
};

static void batch_norm_inference_gradient(moth_grad *g)
{
    bool gamma = grad_has(g, GAMMA), beta = grad_has(g, BETA);
    bool moments = g->need[MEAN] || g->need[VAR];
    moth_tensor *sums[2] = { NULL, NULL }, *scale = gamma ? g->x[GAMMA] : NULL;
    if (g->need[X]) {
        moth_tensor *const in[3] = { g->dy[0], g->x[VAR], scale };
        g->scope->emit(g->scope, &batch_norm_scale, g->attrs, 3, in, &g->dx[X]);
    }
    if (!moments && !(gamma && g->need[GAMMA]) && !(beta && g->need[BETA])) {
        return;
    }
    if (!moth_norm_emit_sums(g, g->x[MEAN], g->x[VAR], sums)) {
        return;
    }
    moth_norm_take_sums(g, GAMMA, BETA, sums);
    if (moments) {
        moth_tensor *out[2] = { NULL, NULL }, *const in[4] = { g->x[VAR], sums[0], sums[1], scale };
        g->scope->emit(g->scope, &batch_norm_moments_grad, g->attrs, 4, in, out);
        g->dx[MEAN] = out[0];
        g->dx[VAR] = out[1];
    }
}

#define VARIANCE(n) MOTH_REALS(0.5, 2, 0, 1, n)

static const moth_case batch_norm_inference_cases[] = {
    { .in = { MOTH_REAL(2, 5, 3), MOTH_REAL(1, 3), VARIANCE(3), MOTH_REAL(1, 3), MOTH_REAL(1, 3) },
      .n_in = 5,
      .attrs = { .f = { 1e-3 } } },
    { .in = { MOTH_REALS(-2, 3, 1, 4, 2, 3, 3, 5), MOTH_REAL(1, 5), VARIANCE(5), MOTH_ABSENT, MOTH_REAL(1, 5) },
      .n_in = 5,
      .attrs = { .f = { 1e-3 } } },
    { .in = { MOTH_REAL(3, 67, 1, 33), MOTH_REAL(1, 33), VARIANCE(33), MOTH_REAL(1, 33) },
      .n_in = 4,
      .attrs = { .f = { 1e-3 } } },
    { .in = { MOTH_REAL(2, 1, 1), MOTH_REAL(1, 1), VARIANCE(1) }, .n_in = 3, .attrs = { .f = { 1e-3 } } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(batch_norm_inference) = {
    .name = "batch_norm_inference",
    .doc = "(x - mean) / sqrt(var + epsilon) gamma + beta over the last dim of x, with given mean and var.",
    .min_in = 3,
    .max_in = 5,
    .n_out = 1,
    .attrs = moth_norm_attrs,
    .infer = moth_norm_infer,
    .rows = batch_norm_inference_rows,
    .whole = whole_but_first,
    .worker_scratch = moth_norm_three_rows,
    .gradient = batch_norm_inference_gradient,
    .saves_in = 1u << X | 1u << MEAN | 1u << VAR | 1u << GAMMA,
    .cases = MOTH_CASES(batch_norm_inference_cases),
};
