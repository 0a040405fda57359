/* simple_rnn: a whole sequence of y = a(z + h recurrent), h being the y before (Elman 1990).
 *
 *   z (B, T, U), recurrent (U, U), h0 (B, U), mask (B, T) bytes, kept (B, U) bytes; the last three may be absent (0,
 * all on, all) -> y (B, T, U)
 *
 * z, masked steps, kept and reverse as in lstm.c. Saved: y, from which the slope of the activation follows. */
#include "ops/elementwise.h"
#include "ops/recurrent.h"

enum { Z, RECURRENT, H0, MASK, KEPT };
enum { BACK_Y, BACK_RECURRENT, BACK_DY, BACK_MASK, BACK_KEPT, BACK_INPUTS };
enum { DZ, DH0, BACK_OUTPUTS };

/* ---- forward ---- */

static moth_status simple_rnn_infer(moth_infer *q)
{
    MOTH_TRY(moth_check_cell(q, 1, 1, KEPT));
    out_like(&q->out[0], q->in[Z]);
    return MOTH_OK;
}

static bool cell_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)attrs;
    (void)in;
    (void)out;
    return i == RECURRENT; /* of the gradient too */
}

static void simple_rnn_step(const moth_cell *cell, const moth_step *step, moth_real *scratch)
{
    (void)scratch;
    const int64_t n = cell->units;
    const moth_real *z = reals(&cell->call->in[Z]) + step->at * n, *h = step->product;
    moth_real *states = reals(&cell->call->out[0]), *y = states + step->at * n;
    if (step->masked) {
        moth_copy_or_clear(moth_state_before(cell, step, states, moth_given(cell->call, H0)), y, n);
        return;
    }
    for (int64_t j = 0; j < n; j++) {
        y[j] = h ? z[j] + h[j] : z[j];
    }
    moth_activate(cell->activation, n, y);
}

static size_t simple_rnn_scratch(const moth_call *call)
{
    int64_t n = MOTH_ROW_TILE * call->in[RECURRENT].shape[1];
    return (size_t)(n + moth_kept_scratch(call, RECURRENT, KEPT)) * sizeof(moth_real);
}

static bool simple_rnn_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    moth_real *scratch = (moth_real *)(void *)worker->scratch;
    const moth_cell cell =
        moth_cell_of(call, &call->in[Z], RECURRENT, MASK, KEPT, scratch + MOTH_ROW_TILE * call->in[RECURRENT].shape[1]);
    moth_cell_forward(&cell, reals(&call->out[0]), moth_given(call, H0), r0, r1, simple_rnn_step, scratch);
    return true;
}

/* ---- backward: (y, recurrent, dy, mask, kept) -> dz, dh0; mask and kept may be absent ---- */

static moth_status simple_rnn_grad_infer(moth_infer *q)
{
    out_like(&q->out[DZ], q->in[BACK_Y]);
    moth_state_like(&q->out[DH0], q->in[BACK_Y]);
    return MOTH_OK;
}

static void simple_rnn_step_back(const moth_cell *cell, const moth_step *step, moth_real *dh, moth_real *scratch)
{
    (void)scratch;
    const moth_call *call = cell->call;
    const int64_t n = cell->units, at = step->at * n;
    moth_real *dz = reals(&call->out[DZ]) + at;
    moth_add_to(dh, reals(&call->in[BACK_DY]) + at, n);
    if (step->masked) {
        moth_copy_or_clear(NULL, dz, n);
        return;
    }
    moth_copy_or_clear(dh, dz, n);
    moth_slope(cell->activation, n, reals(&call->in[BACK_Y]) + at, dz);
    moth_copy_or_clear(NULL, dh, n);
}

static size_t simple_rnn_grad_scratch(const moth_call *call)
{
    return (size_t)moth_kept_scratch(call, BACK_RECURRENT, BACK_KEPT) * sizeof(moth_real);
}

static bool simple_rnn_grad_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    const moth_cell cell = moth_cell_of(call, &call->in[BACK_Y], BACK_RECURRENT, BACK_MASK, BACK_KEPT,
                                        (moth_real *)(void *)worker->scratch);
    moth_real *dh = reals(&call->out[DH0]);
    moth_copy_or_clear(NULL, dh + r0 * cell.units, (r1 - r0) * cell.units);
    moth_cell_backward(&cell, reals(&call->out[DZ]), dh, cell.mask != NULL, r0, r1, simple_rnn_step_back, NULL);
    return true;
}

static const moth_op simple_rnn_grad = {
    .name = "simple_rnn_grad",
    .doc = "gradient of simple_rnn to z and the first state",
    .min_in = BACK_DY + 1,
    .max_in = BACK_INPUTS,
    .n_out = BACK_OUTPUTS,
    .infer = simple_rnn_grad_infer,
    .rows = simple_rnn_grad_rows,
    .whole = cell_whole,
    .worker_scratch = simple_rnn_grad_scratch,
    .nodiff = "second derivatives are not supported",
};

static void simple_rnn_gradient(moth_grad *g)
{
    moth_tensor *h0 = grad_has(g, H0) ? g->x[H0] : NULL, *mask = grad_has(g, MASK) ? g->x[MASK] : NULL;
    moth_tensor *kept = grad_has(g, KEPT) ? g->x[KEPT] : NULL, *out[BACK_OUTPUTS];
    moth_tensor *in[BACK_INPUTS] = { g->y[0], g->x[RECURRENT], g->dy[0], mask, kept };
    moth_attrs attrs = moth_cell_gradient_attrs(g, h0 && g->need[H0]);
    if (!g->scope->emit(g->scope, &simple_rnn_grad, &attrs, BACK_INPUTS, in, out)) {
        return;
    }
    g->dx[Z] = out[DZ];
    if (g->need[RECURRENT]) {
        g->dx[RECURRENT] = moth_emit_recurrent_gradient(g, g->y[0], h0, KEPT, out[DZ], 1);
    }
    if (h0) {
        g->dx[H0] = out[DH0];
    }
}

/* ---- the op ---- */

static const moth_attr_spec simple_rnn_attrs[] = {
    MOTH_CELL_ATTR_ACTIVATION,
    MOTH_CELL_ATTR_REVERSE,
    MOTH_CELL_ATTR_RATE,
    { .kind = MOTH_ATTR_END },
};

/* small weights: large ones make long sequences chaotic, and every rounding visible */
#define SEQUENCE(b, t, u) MOTH_REALS(-2, 2, 0, 3, b, t, u), MOTH_REALS(-0.2, 0.2, 0, 2, u, u)
#define STATE(b, u) MOTH_REALS(-1, 1, 0, 2, b, u)
#define STEPS_ON(b, t) MOTH_IN(MOTH_UINT8, 0, 1, 0, 2, b, t)
#define KEPT_STATES(b, u) MOTH_IN(MOTH_UINT8, 0, 1, 0, 2, b, u)

static const moth_case simple_rnn_cases[] = {
    { .in = { SEQUENCE(3, 4, 2) }, .n_in = 2 },
    { .in = { SEQUENCE(67, 2, 3), STATE(67, 3) }, .n_in = 3, .attrs.i = { MOTH_RECURRENT_SIGMOID, 0, 1 } },
    { .in = { SEQUENCE(5, 6, 3), STATE(5, 3), STEPS_ON(5, 6) }, .n_in = 4, .attrs.i = { MOTH_RECURRENT_SOFTSIGN } },
    { .in = { SEQUENCE(5, 4, 3), { .rank = -1 }, STEPS_ON(5, 4) },
      .n_in = 4,
      .attrs.i = { MOTH_RECURRENT_TANH, 0, 1 } },
    { .in = { SEQUENCE(2, 3, 1) }, .n_in = 2, .attrs.i = { MOTH_RECURRENT_RELU } },
    { .in = { SEQUENCE(2, 1, 9), STATE(2, 9) }, .n_in = 3, .attrs.i = { MOTH_RECURRENT_SELU } },
    { .in = { SEQUENCE(67, 3, 2), STATE(67, 2), STEPS_ON(67, 3), KEPT_STATES(67, 2) },
      .n_in = 5,
      .attrs.i = { MOTH_RECURRENT_TANH, 0, 1 },
      .attrs.f = { 0.3 } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(simple_rnn) = {
    .name = "simple_rnn",
    .doc = "a sequence of steps y = a(z + h recurrent)",
    .min_in = 2,
    .max_in = KEPT + 1,
    .n_out = 1,
    .attrs = simple_rnn_attrs,
    .infer = simple_rnn_infer,
    .rows = simple_rnn_rows,
    .whole = cell_whole,
    .worker_scratch = simple_rnn_scratch,
    .gradient = simple_rnn_gradient,
    .saves_in = 1u << RECURRENT | 1u << H0 | 1u << MASK | 1u << KEPT,
    .saves_out = 1,
    .cases = MOTH_CASES(simple_rnn_cases),
};
