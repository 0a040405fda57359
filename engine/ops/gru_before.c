/* gru_before: a whole sequence of gated recurrent units as first published (Cho et al. 2014): the reset gate acts
 * before the product. gru.c has the form in use today.
 *
 *   z (B, T, 3U), recurrent (U, 3U), h0 (B, U), mask (B, T) bytes, kept (B, 3U) bytes; the last three may be absent (0,
 * all on, all)
 *   -> y (B, T, U) and, for the gradient, gates (B, T, 3U) and reset (B, T, U)
 *
 * In blocks u, r, g of the last dim as in Keras (there z, r, h), with a the activation and s the recurrent one:
 *
 *   u, r = s(z + h recurrent)   g = a(z + (r h) recurrent)   y = h = u h + (1 - u) g
 *
 * so a step takes two products. reset holds r h. z, masked steps, kept and reverse as in lstm.c; the
 * third set of kept goes with h before r does, and so into reset. */
#include "ops/elementwise.h"
#include "ops/recurrent.h"

enum { Z, RECURRENT, H0, MASK, KEPT };
enum { Y, GATES, RESET };
enum { BACK_GATES, BACK_Y, BACK_RECURRENT, BACK_DY, BACK_H0, BACK_MASK, BACK_KEPT, BACK_INPUTS };
enum { DZ, DH0, BACK_OUTPUTS };

/* ---- forward ---- */

static moth_status gru_before_infer(moth_infer *q)
{
    MOTH_TRY(moth_check_cell(q, 3, 1, KEPT));
    for (int k = Y; k <= RESET; k++) {
        out_like(&q->out[k], q->in[Z]);
        q->out[k].shape[2] = (k == GATES ? 3 : 1) * q->in[RECURRENT]->shape[0];
    }
    return MOTH_OK;
}

static bool gru_before_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)attrs;
    (void)in;
    (void)out;
    return i == RECURRENT;
}

/* One row of r h, or of its gradient: h as the third gate keeps it. */
static void leave_out(const moth_cell *cell, int64_t row, moth_real *reset)
{
    if (cell->kept.on) {
        const moth_kept kept = moth_kept_from(cell, row, 2);
        moth_kept_apply(&kept, 1, cell->units, reset, cell->units, reset);
    }
}

/* First half of a step: the gates and r h. */
static void open_gates(const moth_cell *cell, const moth_step *step, const moth_real *h)
{
    const moth_call *call = cell->call;
    const int64_t n = cell->units, at = step->at;
    const moth_real *z = reals(&call->in[Z]) + at * 3 * n, *p = step->product;
    moth_real *u = reals(&call->out[GATES]) + at * 3 * n, *r = u + n, *reset = reals(&call->out[RESET]) + at * n;
    if (step->masked) {
        moth_copy_or_clear(NULL, u, 3 * n);
        moth_copy_or_clear(NULL, reset, n);
        return;
    }
    for (int64_t j = 0; j < 2 * n; j++) {
        u[j] = p ? z[j] + p[j] : z[j];
    }
    moth_activate(cell->recurrent_activation, 2 * n, u);
    for (int64_t j = 0; j < n; j++) {
        reset[j] = h ? r[j] * h[j] : 0;
    }
    leave_out(cell, step->row, reset);
}

/* Second half: step->product is r h times the third block of recurrent. */
static void mix_state(const moth_cell *cell, const moth_step *step, const moth_real *h)
{
    const moth_call *call = cell->call;
    const int64_t n = cell->units, at = step->at;
    const moth_real *z = reals(&call->in[Z]) + at * 3 * n + 2 * n, *p = step->product;
    moth_real *y = reals(&call->out[Y]) + at * n, *u = reals(&call->out[GATES]) + at * 3 * n, *g = u + 2 * n;
    if (step->masked) {
        moth_copy_or_clear(h, y, n);
        return;
    }
    for (int64_t j = 0; j < n; j++) {
        g[j] = p ? z[j] + p[j] : z[j];
    }
    moth_activate(cell->activation, n, g);
    for (int64_t j = 0; j < n; j++) {
        y[j] = (h ? u[j] * h[j] : 0) + (1 - u[j]) * g[j];
    }
}

/* The k-th step of a tile of rows. product: MOTH_ROW_TILE x 2U. */
static void forward_step(const moth_cell *cell, int64_t tile, int64_t rows, int64_t k, moth_real *product)
{
    const moth_call *call = cell->call;
    const int64_t n = cell->units, pitch = cell->steps * n;
    const moth_real *states = reals(&call->out[Y]), *first = moth_given(call, H0);
    const moth_step start = moth_cell_step(cell, tile, k);
    const moth_real *h = moth_state_before(cell, &start, states, first);
    for (int half = 0; half < 2; half++) {
        int64_t width = half == 0 ? 2 * n : n;
        if (h && half == 0) {
            moth_cell_product(cell, tile, rows, h, k > 0 ? pitch : n, 2, product);
        } else if (h) {
            MOTH_PRODUCT(false, false, rows, n, n, reals(&call->out[RESET]) + start.at * n, pitch,
                         cell->recurrent + 2 * n, 3 * n, 0, product, n);
        }
        for (int64_t r = 0; r < rows; r++) {
            moth_step step = moth_cell_step(cell, tile + r, k);
            step.product = h ? product + r * width : NULL;
            (half == 0 ? open_gates : mix_state)(cell, &step, moth_state_before(cell, &step, states, first));
        }
    }
}

static size_t gru_before_scratch(const moth_call *call)
{
    int64_t n = MOTH_ROW_TILE * 2 * call->in[RECURRENT].shape[0];
    return (size_t)(n + moth_kept_scratch(call, RECURRENT, KEPT)) * sizeof(moth_real);
}

static bool gru_before_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    moth_real *scratch = (moth_real *)(void *)worker->scratch;
    const moth_cell cell = moth_cell_of(call, &call->in[Z], RECURRENT, MASK, KEPT,
                                        scratch + MOTH_ROW_TILE * 2 * call->in[RECURRENT].shape[0]);
    for (int64_t tile = r0; tile < r1; tile += MOTH_ROW_TILE) {
        for (int64_t k = 0; k < cell.steps; k++) {
            forward_step(&cell, tile, min64(MOTH_ROW_TILE, r1 - tile), k, scratch);
        }
    }
    return true;
}

/* ---- backward: (gates, y, recurrent, dy, h0, mask, kept) -> dz, dh0; the last three may be absent ---- */

static moth_status gru_before_grad_infer(moth_infer *q)
{
    out_like(&q->out[DZ], q->in[BACK_GATES]);
    moth_state_like(&q->out[DH0], q->in[BACK_Y]);
    return MOTH_OK;
}

static bool gru_before_grad_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)attrs;
    (void)in;
    (void)out;
    return i == BACK_RECURRENT;
}

/* Second half of the step undone: the gradients of u and g, before that of the product with r h. */
static void unmix_state(const moth_cell *cell, const moth_step *step, moth_real *dh)
{
    const moth_call *call = cell->call;
    const int64_t n = cell->units, at = step->at;
    const moth_real *u = reals(&call->in[BACK_GATES]) + at * 3 * n, *g = u + 2 * n;
    const moth_real *h = moth_state_before(cell, step, reals(&call->in[BACK_Y]), moth_given(call, BACK_H0));
    moth_real *dz = reals(&call->out[DZ]) + at * 3 * n;
    moth_add_to(dh, reals(&call->in[BACK_DY]) + at * n, n);
    if (step->masked) {
        moth_copy_or_clear(NULL, dz, 3 * n);
        return;
    }
    for (int64_t j = 0; j < n; j++) {
        dz[j] = dh[j] * ((h ? h[j] : 0) - g[j]);
        dz[2 * n + j] = dh[j] * (1 - u[j]);
        dh[j] *= u[j];
    }
    moth_slope(cell->recurrent_activation, n, u, dz);
    moth_slope(cell->activation, n, g, dz + 2 * n);
}

/* First half undone: dreset is the gradient of r h. */
static void close_gates(const moth_cell *cell, const moth_step *step, const moth_real *dreset, moth_real *dh)
{
    const moth_call *call = cell->call;
    const int64_t n = cell->units, at = step->at;
    const moth_real *r = reals(&call->in[BACK_GATES]) + at * 3 * n + n;
    const moth_real *h = moth_state_before(cell, step, reals(&call->in[BACK_Y]), moth_given(call, BACK_H0));
    moth_real *dr = reals(&call->out[DZ]) + at * 3 * n + n;
    if (step->masked) {
        return;
    }
    for (int64_t j = 0; j < n; j++) {
        dr[j] = h ? dreset[j] * h[j] : 0;
        dh[j] += dreset[j] * r[j];
    }
    moth_slope(cell->recurrent_activation, n, r, dr);
}

/* dh: of the tile; dreset: MOTH_ROW_TILE x U. */
static void backward_step(const moth_cell *cell, int64_t tile, int64_t rows, int64_t k, moth_real *dh,
                          moth_real *dreset)
{
    const int64_t n = cell->units, pitch = cell->steps * 3 * n;
    const moth_real *dz = reals(&cell->call->out[DZ]) + moth_cell_step(cell, tile, k).at * 3 * n;
    for (int64_t r = 0; r < rows; r++) {
        moth_step step = moth_cell_step(cell, tile + r, k);
        unmix_state(cell, &step, dh + r * n);
    }
    MOTH_PRODUCT(false, true, rows, n, n, dz + 2 * n, pitch, cell->recurrent + 2 * n, 3 * n, 0, dreset, n);
    for (int64_t r = 0; r < rows; r++) {
        moth_step step = moth_cell_step(cell, tile + r, k);
        leave_out(cell, step.row, dreset + r * n);
        close_gates(cell, &step, dreset + r * n, dh + r * n);
    }
    moth_cell_product_back(cell, tile, rows, dz, pitch, 2, true, dh);
}

static size_t gru_before_grad_scratch(const moth_call *call)
{
    int64_t n = MOTH_ROW_TILE * call->in[BACK_RECURRENT].shape[0];
    return (size_t)(n + moth_kept_scratch(call, BACK_RECURRENT, BACK_KEPT)) * sizeof(moth_real);
}

static bool gru_before_grad_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    moth_real *scratch = (moth_real *)(void *)worker->scratch;
    const moth_cell cell = moth_cell_of(call, &call->in[BACK_GATES], BACK_RECURRENT, BACK_MASK, BACK_KEPT,
                                        scratch + MOTH_ROW_TILE * call->in[BACK_RECURRENT].shape[0]);
    for (int64_t tile = r0; tile < r1; tile += MOTH_ROW_TILE) {
        int64_t rows = min64(MOTH_ROW_TILE, r1 - tile);
        moth_real *dh = reals(&call->out[DH0]) + tile * cell.units;
        moth_copy_or_clear(NULL, dh, rows * cell.units);
        for (int64_t k = cell.steps - 1; k >= 0; k--) {
            backward_step(&cell, tile, rows, k, dh, scratch);
        }
    }
    return true;
}

static const moth_op gru_before_grad = {
    .name = "gru_before_grad",
    .doc = "gradient of gru_before to z and the first state",
    .min_in = BACK_DY + 1,
    .max_in = BACK_INPUTS,
    .n_out = BACK_OUTPUTS,
    .infer = gru_before_grad_infer,
    .rows = gru_before_grad_rows,
    .whole = gru_before_grad_whole,
    .worker_scratch = gru_before_grad_scratch,
    .nodiff = "second derivatives are not supported",
};

/* Blocks u and r multiply h, block g multiplies r h. */
static moth_tensor *emit_weight_gradient(moth_grad *g, moth_tensor *h0, moth_tensor *dz)
{
    int64_t n = g->x[RECURRENT]->meta.shape[0];
    moth_attrs gates = { .i = { 2, 0, 2 * n } }, state = { .i = { 2, 2 * n, 3 * n } }, columns = { .i = { 1 } };
    moth_tensor *d_gates = MOTH_EMIT(g->scope, &MOTH_OP(slice), &gates, dz);
    moth_tensor *d_state = MOTH_EMIT(g->scope, &MOTH_OP(slice), &state, dz);
    moth_tensor *left = d_gates ? moth_emit_recurrent_gradient(g, g->y[Y], h0, KEPT, d_gates, 2) : NULL;
    moth_tensor *right = MOTH_EMIT(g->scope, &MOTH_OP(weight_product), NULL, g->y[RESET], d_state);
    return MOTH_EMIT(g->scope, &MOTH_OP(cat), &columns, left, right);
}

static void gru_before_gradient(moth_grad *g)
{
    moth_tensor *h0 = grad_has(g, H0) ? g->x[H0] : NULL, *mask = grad_has(g, MASK) ? g->x[MASK] : NULL;
    moth_tensor *kept = grad_has(g, KEPT) ? g->x[KEPT] : NULL, *out[BACK_OUTPUTS];
    moth_tensor *in[BACK_INPUTS] = { g->y[GATES], g->y[Y], g->x[RECURRENT], g->dy[Y], h0, mask, kept };
    if (!g->scope->emit(g->scope, &gru_before_grad, g->attrs, BACK_INPUTS, in, out)) {
        return;
    }
    g->dx[Z] = out[DZ];
    if (g->need[RECURRENT]) {
        g->dx[RECURRENT] = emit_weight_gradient(g, h0, out[DZ]);
    }
    if (h0) {
        g->dx[H0] = out[DH0];
    }
}

/* ---- the op ---- */

static const moth_attr_spec gru_before_attrs[] = {
    MOTH_CELL_ATTR_ACTIVATION, MOTH_CELL_ATTR_RECURRENT_ACTIVATION, MOTH_CELL_ATTR_REVERSE,
    MOTH_CELL_ATTR_RATE,       { .kind = MOTH_ATTR_END },
};

#define SEQUENCE(b, t, u) MOTH_REALS(-2, 2, 0, 3, b, t, 3 * (u)), MOTH_REALS(-1, 1, 0, 2, u, 3 * (u))
#define STATE(b, u) MOTH_REALS(-1, 1, 0, 2, b, u)
#define STEPS_ON(b, t) MOTH_IN(MOTH_UINT8, 0, 1, 0, 2, b, t)
#define KEPT_STATES(b, u) MOTH_IN(MOTH_UINT8, 0, 1, 0, 2, b, 3 * (u))
#define WITH(activation, recurrent, reverse) \
    .attrs.i = { MOTH_RECURRENT_##activation, MOTH_RECURRENT_##recurrent, reverse }

static const moth_case gru_before_cases[] = {
    { .in = { SEQUENCE(3, 4, 2) }, .n_in = 2, WITH(TANH, SIGMOID, 0) },
    { .in = { SEQUENCE(67, 2, 3), STATE(67, 3) }, .n_in = 3, WITH(TANH, SIGMOID, 1) },
    { .in = { SEQUENCE(5, 6, 3), STATE(5, 3), STEPS_ON(5, 6) }, .n_in = 4, WITH(TANH, SIGMOID, 0) },
    { .in = { SEQUENCE(5, 6, 3), { .rank = -1 }, STEPS_ON(5, 6) }, .n_in = 4, WITH(SOFTSIGN, HARD_SIGMOID, 1) },
    { .in = { SEQUENCE(2, 3, 1) }, .n_in = 2, WITH(RELU, SIGMOID, 0) },
    { .in = { SEQUENCE(67, 3, 2), STATE(67, 2), STEPS_ON(67, 3), KEPT_STATES(67, 2) },
      .n_in = 5,
      WITH(TANH, SIGMOID, 1),
      .attrs.f = { 0.3 } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(gru_before) = {
    .name = "gru_before",
    .doc = "a sequence of gated recurrent units, reset gate before the product, gates in the order z, r, h",
    .min_in = 2,
    .max_in = KEPT + 1,
    .n_out = 3,
    .n_visible = 1,
    .attrs = gru_before_attrs,
    .infer = gru_before_infer,
    .rows = gru_before_rows,
    .whole = gru_before_whole,
    .worker_scratch = gru_before_scratch,
    .gradient = gru_before_gradient,
    .saves_in = 1u << RECURRENT | 1u << H0 | 1u << MASK | 1u << KEPT,
    .saves_out = 1u << Y | 1u << GATES | 1u << RESET,
    .cases = MOTH_CASES(gru_before_cases),
};
