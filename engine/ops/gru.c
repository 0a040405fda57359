/* gru: a whole sequence of gated recurrent units (Cho et al. 2014) with the reset gate after the product, Keras's
 * default and cuDNN's form. gru_before.c has the other one.
 *
 *   z (B, T, 3U), recurrent (U, 3U), h0 (B, U), mask (B, T) bytes, bias (3U), kept (B, 3U) bytes; the last four may
 *   be absent (0, all on, 0, all)
 *   -> y (B, T, U) and, for the gradient, gates (B, T, 4U)
 *
 * In blocks u, r, g of the last dim as in Keras (there z, r, h), with p = h recurrent + bias, a the activation and s
 * the recurrent one:
 *
 *   u, r = s(z + p)   g = a(z + r p)   y = h = u h + (1 - u) g
 *
 * gates holds u, r, g and the third block of p. z, masked steps, kept and reverse as in lstm.c. */
#include "ops/elementwise.h"
#include "ops/recurrent.h"

enum { Z, RECURRENT, H0, MASK, BIAS, KEPT };
enum { Y, GATES };
enum { BACK_GATES, BACK_Y, BACK_RECURRENT, BACK_DY, BACK_H0, BACK_MASK, BACK_KEPT, BACK_INPUTS };
enum { DZ, DP, DH0, BACK_OUTPUTS };

/* ---- forward ---- */

static moth_status gru_infer(moth_infer *q)
{
    MOTH_TRY(moth_check_cell(q, 3, 1, KEPT));
    int64_t units = q->in[RECURRENT]->shape[0];
    if (infer_has(q, BIAS)) {
        const moth_meta *bias = q->in[BIAS];
        if (bias->dtype != MOTH_FLOAT32 || bias->rank != 1 || bias->shape[0] != 3 * units) {
            return moth_infer_fail(q, MOTH_ERR_SHAPE, "the recurrent bias must be float32 (%lld,)",
                                   3 * (long long)units);
        }
    }
    out_like(&q->out[Y], q->in[Z]);
    q->out[Y].shape[2] = units;
    out_like(&q->out[GATES], q->in[Z]);
    q->out[GATES].shape[2] = 4 * units;
    return MOTH_OK;
}

static bool gru_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)attrs;
    (void)in;
    (void)out;
    return i == RECURRENT || i == BIAS;
}

static void gru_step(const moth_cell *cell, const moth_step *step, moth_real *scratch)
{
    const moth_call *call = cell->call;
    const int64_t n = cell->units, at = step->at;
    const moth_real *z = reals(&call->in[Z]) + at * 3 * n, *bias = moth_given(call, BIAS);
    const moth_real *h = moth_state_before(cell, step, reals(&call->out[Y]), moth_given(call, H0));
    moth_real *y = reals(&call->out[Y]) + at * n, *u = reals(&call->out[GATES]) + at * 4 * n;
    moth_real *r = u + n, *g = u + 2 * n, *p = scratch, *kept = u + 3 * n;
    if (step->masked) {
        moth_copy_or_clear(h, y, n);
        moth_copy_or_clear(NULL, u, 4 * n);
        return;
    }
    moth_copy_or_clear(step->product, p, 3 * n);
    if (bias) {
        moth_add_to(p, bias, 3 * n);
    }
    for (int64_t j = 0; j < 2 * n; j++) {
        u[j] = z[j] + p[j];
    }
    moth_activate(cell->recurrent_activation, 2 * n, u);
    for (int64_t j = 0; j < n; j++) {
        kept[j] = p[2 * n + j];
        g[j] = z[2 * n + j] + r[j] * p[2 * n + j];
    }
    moth_activate(cell->activation, n, g);
    for (int64_t j = 0; j < n; j++) {
        y[j] = (h ? u[j] * h[j] : 0) + (1 - u[j]) * g[j];
    }
}

static size_t gru_scratch(const moth_call *call)
{
    int64_t n = (MOTH_ROW_TILE + 1) * call->in[RECURRENT].shape[1];
    return (size_t)(n + moth_kept_scratch(call, RECURRENT, KEPT)) * sizeof(moth_real);
}

static bool gru_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    moth_real *scratch = (moth_real *)(void *)worker->scratch;
    const int64_t width = call->in[RECURRENT].shape[1];
    const moth_cell cell =
        moth_cell_of(call, &call->in[Z], RECURRENT, MASK, KEPT, scratch + (MOTH_ROW_TILE + 1) * width);
    moth_cell_forward(&cell, reals(&call->out[Y]), moth_given(call, H0), r0, r1, gru_step, scratch);
    return true;
}

/* ---- backward: (gates, y, recurrent, dy, h0, mask, kept) -> dz, dp, dh0; the last three may be absent ---- */

static moth_status gru_grad_infer(moth_infer *q)
{
    for (int k = DZ; k <= DP; k++) {
        out_like(&q->out[k], q->in[BACK_Y]);
        q->out[k].shape[2] = q->in[BACK_RECURRENT]->shape[1];
    }
    moth_state_like(&q->out[DH0], q->in[BACK_Y]);
    return MOTH_OK;
}

static bool gru_grad_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)attrs;
    (void)in;
    (void)out;
    return i == BACK_RECURRENT;
}

static void gru_step_back(const moth_cell *cell, const moth_step *step, moth_real *dh, moth_real *scratch)
{
    (void)scratch;
    const moth_call *call = cell->call;
    const int64_t n = cell->units, at = step->at;
    const moth_real *u = reals(&call->in[BACK_GATES]) + at * 4 * n, *r = u + n, *g = u + 2 * n, *p = u + 3 * n;
    const moth_real *h = moth_state_before(cell, step, reals(&call->in[BACK_Y]), moth_given(call, BACK_H0));
    moth_real *dz = reals(&call->out[DZ]) + at * 3 * n, *dp = reals(&call->out[DP]) + at * 3 * n;
    moth_add_to(dh, reals(&call->in[BACK_DY]) + at * n, n);
    if (step->masked) {
        moth_copy_or_clear(NULL, dz, 3 * n);
        moth_copy_or_clear(NULL, dp, 3 * n);
        return;
    }
    for (int64_t j = 0; j < n; j++) {
        dz[j] = dh[j] * ((h ? h[j] : 0) - g[j]);
        dz[2 * n + j] = dh[j] * (1 - u[j]);
        dh[j] *= u[j];
    }
    moth_slope(cell->activation, n, g, dz + 2 * n);
    for (int64_t j = 0; j < n; j++) {
        dz[n + j] = dz[2 * n + j] * p[j];
        dp[2 * n + j] = dz[2 * n + j] * r[j];
    }
    moth_slope(cell->recurrent_activation, 2 * n, u, dz);
    moth_copy_or_clear(dz, dp, 2 * n);
}

static size_t gru_grad_scratch(const moth_call *call)
{
    return (size_t)moth_kept_scratch(call, BACK_RECURRENT, BACK_KEPT) * sizeof(moth_real);
}

static bool gru_grad_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    const moth_cell cell = moth_cell_of(call, &call->in[BACK_Y], BACK_RECURRENT, BACK_MASK, BACK_KEPT,
                                        (moth_real *)(void *)worker->scratch);
    moth_real *dh = reals(&call->out[DH0]);
    moth_copy_or_clear(NULL, dh + r0 * cell.units, (r1 - r0) * cell.units);
    moth_cell_backward(&cell, reals(&call->out[DP]), dh, true, r0, r1, gru_step_back, NULL);
    return true;
}

static const moth_op gru_grad = {
    .name = "gru_grad",
    .doc = "gradient of gru to z, to the product and to the first state",
    .min_in = BACK_DY + 1,
    .max_in = BACK_INPUTS,
    .n_out = BACK_OUTPUTS,
    .infer = gru_grad_infer,
    .rows = gru_grad_rows,
    .whole = gru_grad_whole,
    .worker_scratch = gru_grad_scratch,
    .nodiff = "second derivatives are not supported",
};

static void gru_gradient(moth_grad *g)
{
    moth_tensor *h0 = grad_has(g, H0) ? g->x[H0] : NULL, *mask = grad_has(g, MASK) ? g->x[MASK] : NULL;
    moth_tensor *kept = grad_has(g, KEPT) ? g->x[KEPT] : NULL, *out[BACK_OUTPUTS];
    moth_tensor *in[BACK_INPUTS] = { g->y[GATES], g->y[Y], g->x[RECURRENT], g->dy[Y], h0, mask, kept };
    moth_attrs attrs = moth_cell_gradient_attrs(g, h0 && g->need[H0]);
    if (!g->scope->emit(g->scope, &gru_grad, &attrs, BACK_INPUTS, in, out)) {
        return;
    }
    g->dx[Z] = out[DZ];
    if (g->need[RECURRENT]) {
        g->dx[RECURRENT] = moth_emit_recurrent_gradient(g, g->y[Y], h0, KEPT, out[DP], 3);
    }
    if (h0) {
        g->dx[H0] = out[DH0];
    }
    if (grad_has(g, BIAS) && g->need[BIAS]) {
        g->dx[BIAS] = MOTH_EMIT(g->scope, &MOTH_OP(column_sum), NULL, out[DP]);
    }
}

/* ---- the op ---- */

static const moth_attr_spec gru_attrs[] = {
    MOTH_CELL_ATTR_ACTIVATION, MOTH_CELL_ATTR_RECURRENT_ACTIVATION, MOTH_CELL_ATTR_REVERSE,
    MOTH_CELL_ATTR_RATE,       { .kind = MOTH_ATTR_END },
};

#define SEQUENCE(b, t, u) MOTH_REALS(-2, 2, 0, 3, b, t, 3 * (u)), MOTH_REALS(-1, 1, 0, 2, u, 3 * (u))
#define STATE(b, u) MOTH_REALS(-1, 1, 0, 2, b, u)
#define STEPS_ON(b, t) MOTH_IN(MOTH_UINT8, 0, 1, 0, 2, b, t)
#define OFFSETS(u) MOTH_REALS(-1, 1, 0, 1, 3 * (u))
#define KEPT_STATES(b, u) MOTH_IN(MOTH_UINT8, 0, 1, 0, 2, b, 3 * (u))
#define ABSENT     \
    {              \
        .rank = -1 \
    }
#define WITH(activation, recurrent, reverse) \
    .attrs.i = { MOTH_RECURRENT_##activation, MOTH_RECURRENT_##recurrent, reverse }

static const moth_case gru_cases[] = {
    { .in = { SEQUENCE(3, 4, 2) }, .n_in = 2, WITH(TANH, SIGMOID, 0) },
    { .in = { SEQUENCE(67, 2, 3), STATE(67, 3) }, .n_in = 3, WITH(TANH, SIGMOID, 1) },
    { .in = { SEQUENCE(5, 6, 3), STATE(5, 3), STEPS_ON(5, 6), OFFSETS(3) }, .n_in = 5, WITH(TANH, SIGMOID, 0) },
    { .in = { SEQUENCE(5, 6, 3), ABSENT, STEPS_ON(5, 6) }, .n_in = 4, WITH(SOFTSIGN, HARD_SIGMOID, 1) },
    { .in = { SEQUENCE(2, 3, 1), ABSENT, ABSENT, OFFSETS(1) }, .n_in = 5, WITH(RELU, SIGMOID, 0) },
    { .in = { SEQUENCE(2, 2, 9), STATE(2, 9) }, .n_in = 3, WITH(ELU, SIGMOID, 0) },
    { .in = { SEQUENCE(67, 3, 2), STATE(67, 2), STEPS_ON(67, 3), OFFSETS(2), KEPT_STATES(67, 2) },
      .n_in = 6,
      WITH(TANH, SIGMOID, 1),
      .attrs.f = { 0.3 } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(gru) = {
    .name = "gru",
    .doc = "a sequence of gated recurrent units, reset gate after the product, gates in the order z, r, h",
    .min_in = 2,
    .max_in = KEPT + 1,
    .n_out = 2,
    .n_visible = 1,
    .attrs = gru_attrs,
    .infer = gru_infer,
    .rows = gru_rows,
    .whole = gru_whole,
    .worker_scratch = gru_scratch,
    .gradient = gru_gradient,
    .saves_in = 1u << RECURRENT | 1u << H0 | 1u << MASK | 1u << KEPT,
    .saves_out = 1u << Y | 1u << GATES,
    .cases = MOTH_CASES(gru_cases),
};
