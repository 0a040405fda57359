/* lstm: a whole sequence of long short-term memory (Hochreiter, Schmidhuber 1997; forget gate of Gers et al. 2000).
 *
 *   z (B, T, 4U), recurrent (U, 4U), h0 (B, U), c0 (B, U), mask (B, T) bytes, kept (B, 4U) bytes; the last four may
 *   be absent (0, 0, all on, all)
 *   -> y (B, T, U), c (B, T, U) and, for the gradient, gates (B, T, 4U)
 *
 * z is what the input adds: x kernel + bias of all steps, one product made outside. Step by step, in blocks i, f, g, o
 * of the last dim as in Keras, with a the activation and s the recurrent one:
 *
 *   i, f, o = s(z + h recurrent)   g = a(z + h recurrent)   c = f c + i g   y = h = o a(c)
 *
 * with h[j] / (1 - rate) in the product of a gate where kept is set for it, 0 elsewhere (dropout of states, the same at
 * every step: Gal and Ghahramani 2016; a set for each gate, as in Keras).
 *
 * At a masked step h and c stay, and y repeats h. With reverse time runs backwards; y and c of a step stand where its z
 * stands, so the final state is at t = 0. Row-wise over B: for each step one product over the rows of a tile. Backward
 * gives dz and the gradients of the initial states in the same way; that of recurrent is one product over all steps. */
#include "ops/elementwise.h"
#include "ops/recurrent.h"

enum { Z, RECURRENT, H0, C0, MASK, KEPT }; /* inputs */
enum { Y, C, GATES };                      /* outputs */
enum {
    BACK_GATES,
    BACK_C,
    BACK_RECURRENT,
    BACK_DY,
    BACK_DC,
    BACK_C0,
    BACK_MASK,
    BACK_KEPT,
    BACK_INPUTS
}; /* of the gradient */
enum { DZ, DH0, DC0, BACK_OUTPUTS };

/* ---- forward ---- */

static moth_status lstm_infer(moth_infer *q)
{
    const moth_meta *z = q->in[Z];
    MOTH_TRY(moth_check_cell(q, 4, 2, KEPT));
    out_like(&q->out[GATES], z);
    for (int k = Y; k <= C; k++) {
        out_like(&q->out[k], z);
        q->out[k].shape[2] = q->in[RECURRENT]->shape[0];
    }
    return MOTH_OK;
}

static bool lstm_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)attrs;
    (void)in;
    (void)out;
    return i == RECURRENT;
}

/* c = f c_before + i g, twice */
static void next_memory(int64_t n, const moth_real *restrict gates, const moth_real *restrict c_before,
                        moth_real *restrict c, moth_real *restrict again)
{
    const moth_real *i = gates, *f = gates + n, *g = gates + 2 * n;
    for (int64_t j = 0; j < n; j++) {
        again[j] = c[j] = i[j] * g[j] + (c_before ? f[j] * c_before[j] : 0);
    }
}

static void lstm_step(const moth_cell *cell, const moth_step *step, moth_real *scratch)
{
    const moth_call *call = cell->call;
    const int64_t n = cell->units, at = step->at;
    const moth_real *h = step->product, *z = reals(&call->in[Z]) + at * 4 * n;
    moth_real *y = reals(&call->out[Y]) + at * n, *c = reals(&call->out[C]) + at * n;
    moth_real *gates = reals(&call->out[GATES]) + at * 4 * n, *a = scratch;
    const moth_real *c_before = moth_state_before(cell, step, reals(&call->out[C]), moth_given(call, C0));
    if (step->masked) {
        moth_copy_or_clear(moth_state_before(cell, step, reals(&call->out[Y]), moth_given(call, H0)), y, n);
        moth_copy_or_clear(c_before, c, n);
        moth_copy_or_clear(NULL, gates, 4 * n);
        return;
    }
    for (int64_t j = 0; j < 4 * n; j++) {
        gates[j] = h ? z[j] + h[j] : z[j];
    }
    moth_activate(cell->recurrent_activation, 2 * n, gates);
    moth_activate(cell->activation, n, gates + 2 * n);
    moth_activate(cell->recurrent_activation, n, gates + 3 * n);
    next_memory(n, gates, c_before, c, a);
    moth_activate(cell->activation, n, a);
    for (int64_t j = 0; j < n; j++) {
        y[j] = gates[3 * n + j] * a[j];
    }
}

static size_t lstm_scratch(const moth_call *call)
{
    int64_t n = (4 * MOTH_ROW_TILE + 1) * call->in[RECURRENT].shape[0];
    return (size_t)(n + moth_kept_scratch(call, RECURRENT, KEPT)) * sizeof(moth_real);
}

static bool lstm_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    moth_real *scratch = (moth_real *)(void *)worker->scratch;
    const int64_t n = call->in[RECURRENT].shape[0];
    const moth_cell cell =
        moth_cell_of(call, &call->in[Z], RECURRENT, MASK, KEPT, scratch + (4 * MOTH_ROW_TILE + 1) * n);
    moth_cell_forward(&cell, reals(&call->out[Y]), moth_given(call, H0), r0, r1, lstm_step, scratch);
    return true;
}

/* ---- backward: (gates, c, recurrent, dy, dc, c0, mask, kept) -> dz, dh0, dc0; the last five may be absent ---- */

static moth_status lstm_grad_infer(moth_infer *q)
{
    out_like(&q->out[DZ], q->in[BACK_GATES]);
    moth_state_like(&q->out[DH0], q->in[BACK_C]);
    moth_state_like(&q->out[DC0], q->in[BACK_C]);
    return MOTH_OK;
}

static bool lstm_grad_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)attrs;
    (void)in;
    (void)out;
    return i == BACK_RECURRENT;
}

/* dz before the slopes of the gates, and in dc, the gradient of c, that of the c before. dh: gradient of h; a, d: a(c)
 * and dh o a'(c). */
static void split_gradient(int64_t n, const moth_real *restrict gates, const moth_real *restrict c_before,
                           const moth_real *restrict dh, const moth_real *restrict a, const moth_real *restrict d,
                           moth_real *restrict dc, moth_real *restrict dz)
{
    const moth_real *i = gates, *f = gates + n, *g = gates + 2 * n;
    for (int64_t j = 0; j < n; j++) {
        moth_real all = dc[j] + d[j];
        dz[j] = all * g[j];
        dz[n + j] = c_before ? all * c_before[j] : 0;
        dz[2 * n + j] = all * i[j];
        dz[3 * n + j] = dh[j] * a[j];
        dc[j] = all * f[j];
    }
}

static void lstm_step_back(const moth_cell *cell, const moth_step *step, moth_real *dh, moth_real *scratch)
{
    const moth_call *call = cell->call;
    const int64_t n = cell->units, at = step->at;
    const moth_real *gates = reals(&call->in[BACK_GATES]) + at * 4 * n, *o = gates + 3 * n;
    const moth_real *c = reals(&call->in[BACK_C]),
                    *c_before = moth_state_before(cell, step, c, moth_given(call, BACK_C0));
    moth_real *dz = reals(&call->out[DZ]) + at * 4 * n, *dc = reals(&call->out[DC0]) + step->row * n;
    moth_real *a = scratch, *d = scratch + n;
    if (call_has(call, BACK_DY)) {
        moth_add_to(dh, reals(&call->in[BACK_DY]) + at * n, n);
    }
    if (call_has(call, BACK_DC)) {
        moth_add_to(dc, reals(&call->in[BACK_DC]) + at * n, n);
    }
    if (step->masked) { /* h and c went by: so do their gradients */
        moth_copy_or_clear(NULL, dz, 4 * n);
        return;
    }
    moth_copy_or_clear(c + at * n, a, n);
    moth_activate(cell->activation, n, a);
    for (int64_t j = 0; j < n; j++) {
        d[j] = dh[j] * o[j];
    }
    moth_slope(cell->activation, n, a, d);
    split_gradient(n, gates, c_before, dh, a, d, dc, dz);
    moth_slope(cell->recurrent_activation, 2 * n, gates, dz);
    moth_slope(cell->activation, n, gates + 2 * n, dz + 2 * n);
    moth_slope(cell->recurrent_activation, n, o, dz + 3 * n);
    moth_copy_or_clear(NULL, dh, n);
}

static size_t lstm_grad_scratch(const moth_call *call)
{
    int64_t n = 2 * call->in[BACK_RECURRENT].shape[0];
    return (size_t)(n + moth_kept_scratch(call, BACK_RECURRENT, BACK_KEPT)) * sizeof(moth_real);
}

static bool lstm_grad_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    moth_real *scratch = (moth_real *)(void *)worker->scratch, *dh = reals(&call->out[DH0]);
    const moth_cell cell = moth_cell_of(call, &call->in[BACK_GATES], BACK_RECURRENT, BACK_MASK, BACK_KEPT,
                                        scratch + 2 * call->in[BACK_RECURRENT].shape[0]);
    moth_copy_or_clear(NULL, dh + r0 * cell.units, (r1 - r0) * cell.units);
    moth_copy_or_clear(NULL, reals(&call->out[DC0]) + r0 * cell.units, (r1 - r0) * cell.units);
    moth_cell_backward(&cell, reals(&call->out[DZ]), dh, cell.mask != NULL, r0, r1, lstm_step_back, scratch);
    return true;
}

static const moth_op lstm_grad = {
    .name = "lstm_grad",
    .doc = "gradient of lstm to z and the initial states",
    .min_in = BACK_RECURRENT + 1,
    .max_in = BACK_INPUTS,
    .n_out = BACK_OUTPUTS,
    .infer = lstm_grad_infer,
    .rows = lstm_grad_rows,
    .whole = lstm_grad_whole,
    .worker_scratch = lstm_grad_scratch,
    .nodiff = "second derivatives are not supported",
};

static void lstm_gradient(moth_grad *g)
{
    moth_tensor *h0 = grad_has(g, H0) ? g->x[H0] : NULL, *c0 = grad_has(g, C0) ? g->x[C0] : NULL;
    moth_tensor *mask = grad_has(g, MASK) ? g->x[MASK] : NULL, *kept = grad_has(g, KEPT) ? g->x[KEPT] : NULL;
    moth_tensor *in[BACK_INPUTS] = { g->y[GATES], g->y[C], g->x[RECURRENT], g->dy[Y], g->dy[C], c0, mask, kept };
    moth_tensor *out[BACK_OUTPUTS];
    moth_attrs attrs = moth_cell_gradient_attrs(g, h0 && g->need[H0]);
    if (!g->scope->emit(g->scope, &lstm_grad, &attrs, BACK_INPUTS, in, out)) {
        return;
    }
    g->dx[Z] = out[DZ];
    if (g->need[RECURRENT]) {
        g->dx[RECURRENT] = moth_emit_recurrent_gradient(g, g->y[Y], h0, KEPT, out[DZ], 4);
    }
    if (h0) {
        g->dx[H0] = out[DH0];
    }
    if (c0) {
        g->dx[C0] = out[DC0];
    }
}

/* ---- the op ---- */

static const moth_attr_spec lstm_attrs[] = {
    MOTH_CELL_ATTR_ACTIVATION, MOTH_CELL_ATTR_RECURRENT_ACTIVATION, MOTH_CELL_ATTR_REVERSE,
    MOTH_CELL_ATTR_RATE,       { .kind = MOTH_ATTR_END },
};

#define SEQUENCE(b, t, u) MOTH_REALS(-2, 2, 0, 3, b, t, 4 * (u)), MOTH_REALS(-1, 1, 0, 2, u, 4 * (u))
#define STATES(b, u) MOTH_REALS(-1, 1, 0, 2, b, u), MOTH_REALS(-1, 1, 0, 2, b, u)
#define STEPS_ON(b, t) MOTH_IN(MOTH_UINT8, 0, 1, 0, 2, b, t)
#define KEPT_STATES(b, u) MOTH_IN(MOTH_UINT8, 0, 1, 0, 2, b, 4 * (u))
#define ABSENT     \
    {              \
        .rank = -1 \
    }
#define WITH(activation, recurrent, reverse) \
    .attrs.i = { MOTH_RECURRENT_##activation, MOTH_RECURRENT_##recurrent, reverse }

static const moth_case lstm_cases[] = {
    { .in = { SEQUENCE(3, 4, 2) }, .n_in = 2, WITH(TANH, SIGMOID, 0) },
    { .in = { SEQUENCE(67, 2, 3), STATES(67, 3) }, .n_in = 4, WITH(TANH, SIGMOID, 1) },
    { .in = { SEQUENCE(5, 6, 3), STATES(5, 3), STEPS_ON(5, 6) }, .n_in = 5, WITH(TANH, SIGMOID, 0) },
    { .in = { SEQUENCE(5, 6, 3), ABSENT, ABSENT, STEPS_ON(5, 6) }, .n_in = 5, WITH(SOFTSIGN, HARD_SIGMOID, 1) },
    { .in = { SEQUENCE(2, 3, 1), MOTH_REALS(-1, 1, 0, 2, 2, 1) }, .n_in = 3, WITH(RELU, LINEAR, 0) },
    { .in = { MOTH_REALS(-0.5, 0.5, 0, 3, 2, 3, 36), MOTH_REALS(-0.1, 0.1, 0, 2, 9, 36), ABSENT,
              MOTH_REALS(-1, 1, 0, 2, 2, 9) },
      .n_in = 4,
      WITH(ELU, EXPONENTIAL, 0) },
    { .in = { SEQUENCE(2, 1, 3) }, .n_in = 2, WITH(SELU, SIGMOID, 0) },
    { .in = { SEQUENCE(67, 3, 2), STATES(67, 2), STEPS_ON(67, 3), KEPT_STATES(67, 2) },
      .n_in = 6,
      WITH(TANH, SIGMOID, 1),
      .attrs.f = { 0.3 } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(lstm) = {
    .name = "lstm",
    .doc = "a sequence of long short-term memory steps, gates in the order i, f, c, o",
    .min_in = 2,
    .max_in = KEPT + 1,
    .n_out = 3,
    .n_visible = 2,
    .attrs = lstm_attrs,
    .infer = lstm_infer,
    .rows = lstm_rows,
    .whole = lstm_whole,
    .worker_scratch = lstm_scratch,
    .gradient = lstm_gradient,
    .saves_in = 1u << RECURRENT | 1u << H0 | 1u << C0 | 1u << MASK | 1u << KEPT,
    .saves_out = 1u << Y | 1u << C | 1u << GATES,
    .cases = MOTH_CASES(lstm_cases),
};
