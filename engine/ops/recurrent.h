/* What recurrent ops share: activations whose derivative follows from their value, applied to runs of numbers in place,
 * and the order of steps, forward and backward, with one product for all rows of a tile at each step. Included by
 * kernel files, so that each CPU variant has its own copy. */
#ifndef MOTH_OPS_RECURRENT_H
#define MOTH_OPS_RECURRENT_H

#include "ops/nn_util.h"
#include "ops/real.h"
#include "ops/recurrent_codes.h"

#define MOTH_SELU_SCALE MOTH_R(1.0507009873554805)
#define MOTH_SELU_ALPHA MOTH_R(1.6732632423543772)

#define MOTH_ACTIVATE(expression)     \
    for (int64_t i = 0; i < n; i++) { \
        const moth_real x = v[i];     \
        v[i] = (expression);          \
    }                                 \
    break

/* v = f(v) */
__attribute__((unused)) static void moth_activate(int64_t code, int64_t n, moth_real *v)
{
    switch (code) {
    case MOTH_RECURRENT_TANH:
        MOTH_ACTIVATE(MOTH_TANH(x));
    case MOTH_RECURRENT_SIGMOID:
        MOTH_ACTIVATE(MOTH_SIGMOID(x));
    case MOTH_RECURRENT_RELU:
        MOTH_ACTIVATE(x < 0 ? 0 : x);
    case MOTH_RECURRENT_HARD_SIGMOID:
        MOTH_ACTIVATE(x < -3 ? 0 : (x > 3 ? 1 : (x + 3) / 6));
    case MOTH_RECURRENT_SOFTSIGN:
        MOTH_ACTIVATE(x / (1 + MOTH_FABS(x)));
    case MOTH_RECURRENT_ELU:
        MOTH_ACTIVATE(x < 0 ? MOTH_EXP(x) - 1 : x);
    case MOTH_RECURRENT_SELU:
        MOTH_ACTIVATE(x < 0 ? MOTH_SELU_SCALE * MOTH_SELU_ALPHA * (MOTH_EXP(x) - 1) : MOTH_SELU_SCALE * x);
    case MOTH_RECURRENT_EXPONENTIAL:
        MOTH_ACTIVATE(MOTH_EXP(x));
    default: /* linear */
        break;
    }
}

#define MOTH_SLOPE(expression)        \
    for (int64_t i = 0; i < n; i++) { \
        const moth_real y = value[i]; \
        d[i] *= (expression);         \
    }                                 \
    break

/* d = d f'(x), where value = f(x) */
__attribute__((unused)) static void moth_slope(int64_t code, int64_t n, const moth_real *value, moth_real *restrict d)
{
    switch (code) {
    case MOTH_RECURRENT_TANH:
        MOTH_SLOPE(1 - y * y);
    case MOTH_RECURRENT_SIGMOID:
        MOTH_SLOPE(y * (1 - y));
    case MOTH_RECURRENT_RELU:
        MOTH_SLOPE((moth_real)(y > 0));
    case MOTH_RECURRENT_HARD_SIGMOID:
        MOTH_SLOPE(y > 0 && y < 1 ? (moth_real)1 / 6 : 0);
    case MOTH_RECURRENT_SOFTSIGN: /* 1 + |x| = 1 / (1 - |y|) */
        MOTH_SLOPE((1 - MOTH_FABS(y)) * (1 - MOTH_FABS(y)));
    case MOTH_RECURRENT_ELU:
        MOTH_SLOPE(y < 0 ? y + 1 : 1);
    case MOTH_RECURRENT_SELU:
        MOTH_SLOPE(y < 0 ? y + MOTH_SELU_SCALE * MOTH_SELU_ALPHA : MOTH_SELU_SCALE);
    case MOTH_RECURRENT_EXPONENTIAL:
        MOTH_SLOPE(y);
    default: /* linear */
        break;
    }
}

/* Is optional input i of an application there? An absent one has no dims. */
static inline bool moth_infer_given(const moth_infer *q, int i)
{
    return i < q->n_in && q->in[i]->rank > 0;
}

/* Checks what all cells take: z (B, T, gates U), recurrent (U, gates U), initial states (B, U), mask (B, T) of bytes,
 * which stand at inputs 0, 1, 2 .. 1 + n_states, 2 + n_states. */
__attribute__((unused)) static moth_status moth_check_cell(moth_infer *q, int gates, int n_states)
{
    const moth_meta *z = q->in[0], *r = q->in[1];
    bool fits = z->rank == 3 && r->rank == 2 && r->shape[0] > 0 && r->shape[1] == gates * r->shape[0] &&
                z->shape[2] == r->shape[1];
    bool types = z->dtype == MOTH_FLOAT32 && r->dtype == MOTH_FLOAT32;
    for (int i = 2; i < 2 + n_states; i++) {
        if (moth_infer_given(q, i)) {
            const moth_meta *h = q->in[i];
            fits = fits && h->rank == 2 && h->shape[0] == z->shape[0] && h->shape[1] == r->shape[0];
            types = types && h->dtype == MOTH_FLOAT32;
        }
    }
    if (moth_infer_given(q, 2 + n_states)) {
        const moth_meta *mask = q->in[2 + n_states];
        fits = fits && mask->rank == 2 && mask->shape[0] == z->shape[0] && mask->shape[1] == z->shape[1];
        types = types && mask->dtype == MOTH_UINT8;
    }
    if (!types) {
        return moth_infer_fail(q, MOTH_ERR_DTYPE, "takes float32 tensors and a uint8 mask");
    }
    if (!fits) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE,
                               "takes z (b, t, %d u), recurrent (u, %d u), states (b, u) and a mask (b, t)", gates,
                               gates);
    }
    return MOTH_OK;
}

#define MOTH_CELL_ATTR_ACTIVATION                                                                    \
    {                                                                                                \
        .name = "activation", .kind = MOTH_ATTR_INT, .slot = MOTH_CELL_ACTIVATION, .optional = true, \
        .fallback = MOTH_RECURRENT_TANH                                                              \
    }
#define MOTH_CELL_ATTR_RECURRENT_ACTIVATION                                                            \
    {                                                                                                  \
        .name = "recurrent_activation", .kind = MOTH_ATTR_INT, .slot = MOTH_CELL_RECURRENT_ACTIVATION, \
        .optional = true, .fallback = MOTH_RECURRENT_SIGMOID                                           \
    }
#define MOTH_CELL_ATTR_REVERSE                                                                 \
    {                                                                                          \
        .name = "reverse", .kind = MOTH_ATTR_BOOL, .slot = MOTH_CELL_REVERSE, .optional = true \
    }

static inline moth_status moth_check_activations(moth_infer *q)
{
    for (int k = MOTH_CELL_ACTIVATION; k <= MOTH_CELL_RECURRENT_ACTIVATION; k++) {
        if (q->attrs->i[k] < 0 || q->attrs->i[k] >= MOTH_RECURRENT_ACTIVATIONS) {
            return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "unknown activation %lld", (long long)q->attrs->i[k]);
        }
    }
    return MOTH_OK;
}

/* A cell at work: steps of rows of width = gates x units, in order of time or against it. What a sequence holds of step
 * t of row b lies at element (b steps + t) times the width of that sequence. */
typedef struct moth_cell {
    const moth_call *call;
    int64_t steps, units, width;
    int64_t activation, recurrent_activation;
    const moth_real *recurrent;
    const uint8_t *mask; /* NULL: all steps are on */
    bool reverse;
} moth_cell;

/* One step of one row. */
typedef struct moth_step {
    int64_t row, at, before; /* numbers of this step and of the one before it in a sequence; before < 0: none */
    bool masked;
    const moth_real *product; /* forward: the state before times recurrent; NULL: zero */
} moth_step;

/* forward: from z and product to the results. backward: from the gradients of the step's results to that of the
 * product, leaving in dh what else goes to the state before. */
typedef void (*moth_step_forward)(const moth_cell *cell, const moth_step *step, moth_real *scratch);
typedef void (*moth_step_backward)(const moth_cell *cell, const moth_step *step, moth_real *dh, moth_real *scratch);

/* shaped: an argument (B, T, width); mask < 0: the cell takes none. */
static inline moth_cell moth_cell_of(const moth_call *call, const moth_arg *shaped, int recurrent, int mask)
{
    const int64_t *i = call->attrs->i;
    const moth_arg *r = &call->in[recurrent];
    return (moth_cell){
        .call = call,
        .steps = shaped->shape[1],
        .units = r->shape[0],
        .width = r->shape[1],
        .activation = i[MOTH_CELL_ACTIVATION],
        .recurrent_activation = i[MOTH_CELL_RECURRENT_ACTIVATION],
        .recurrent = reals(r),
        .mask = call_has(call, mask) ? (const uint8_t *)call->in[mask].data : NULL,
        .reverse = i[MOTH_CELL_REVERSE] != 0,
    };
}

/* The k-th step of a row. */
static inline moth_step moth_cell_step(const moth_cell *cell, int64_t row, int64_t k)
{
    int64_t at = row * cell->steps + (cell->reverse ? cell->steps - 1 - k : k);
    return (moth_step){
        .row = row,
        .at = at,
        .before = k > 0 ? at + (cell->reverse ? 1 : -1) : -1,
        .masked = cell->mask && !cell->mask[at],
    };
}

/* A state before a step: out of the sequence of states, or the first state; NULL: zero. */
static inline const moth_real *moth_state_before(const moth_cell *cell, const moth_step *step, const moth_real *states,
                                                 const moth_real *first)
{
    if (step->before >= 0) {
        return states + step->before * cell->units;
    }
    return first ? first + step->row * cell->units : NULL;
}

/* Data of an optional input. */
static inline const moth_real *moth_given(const moth_call *call, int i)
{
    return call_has(call, i) ? reals(&call->in[i]) : NULL;
}

/* n numbers of `from`, or zeros. */
static inline void moth_copy_or_clear(const moth_real *from, moth_real *to, int64_t n)
{
    for (int64_t j = 0; j < n; j++) {
        to[j] = from ? from[j] : 0;
    }
}

static inline void moth_add_to(moth_real *sum, const moth_real *x, int64_t n)
{
    for (int64_t j = 0; j < n; j++) {
        sum[j] += x[j];
    }
}

/* All steps of the rows r0 .. r1-1. states: the sequence that the steps write; scratch: MOTH_ROW_TILE x width for the
 * product, then what a step needs. */
__attribute__((unused)) static void moth_cell_forward(const moth_cell *cell, const moth_real *states,
                                                      const moth_real *first, int64_t r0, int64_t r1,
                                                      moth_step_forward forward, moth_real *scratch)
{
    const int64_t n = cell->units, width = cell->width;
    for (int64_t tile = r0; tile < r1; tile += MOTH_ROW_TILE) {
        int64_t rows = min64(MOTH_ROW_TILE, r1 - tile);
        for (int64_t k = 0; k < cell->steps; k++) {
            moth_step step = moth_cell_step(cell, tile, k);
            const moth_real *h = moth_state_before(cell, &step, states, first);
            if (h) {
                moth_gemm(false, false, rows, width, n, h, k > 0 ? cell->steps * n : n, cell->recurrent, width, 0,
                          scratch, width);
            }
            for (int64_t r = 0; r < rows; r++) {
                step = moth_cell_step(cell, tile + r, k);
                step.product = h ? scratch + r * width : NULL;
                forward(cell, &step, scratch + MOTH_ROW_TILE * width);
            }
        }
    }
}

/* The same against the order of the steps. d: the sequence (B, T, width) that the steps write, gradients of the
 * product; dh (B, units): zeros, and at the end the gradient of the first state where that is wanted. add: d
 * recurrent^T is added to what a step leaves in dh, else it replaces it. */
__attribute__((unused)) static void moth_cell_backward(const moth_cell *cell, const moth_real *d, moth_real *dh,
                                                       bool add, int64_t r0, int64_t r1, moth_step_backward backward,
                                                       moth_real *scratch)
{
    const int64_t n = cell->units, width = cell->width;
    for (int64_t tile = r0; tile < r1; tile += MOTH_ROW_TILE) {
        int64_t rows = min64(MOTH_ROW_TILE, r1 - tile);
        for (int64_t k = cell->steps - 1; k >= 0; k--) {
            for (int64_t r = 0; r < rows; r++) {
                moth_step step = moth_cell_step(cell, tile + r, k);
                backward(cell, &step, dh + step.row * n, scratch);
            }
            if (k > 0 || cell->call->attrs->i[MOTH_CELL_WANTS_FIRST]) {
                moth_gemm(false, true, rows, n, width, d + moth_cell_step(cell, tile, k).at * width,
                          cell->steps * width, cell->recurrent, width, add ? 1 : 0, dh + tile * n, n);
            }
        }
    }
}

/* ---- for gradient rules ---- */

/* (B, units) for a sequence (B, T, units). */
static inline void moth_state_like(moth_meta *out, const moth_meta *sequence)
{
    out->dtype = MOTH_FLOAT32;
    out->rank = 2;
    out->shape[0] = sequence->shape[0];
    out->shape[1] = sequence->shape[2];
}

static inline moth_attrs moth_cell_gradient_attrs(const moth_grad *g, bool wants_first)
{
    moth_attrs attrs = *g->attrs;
    attrs.i[MOTH_CELL_WANTS_FIRST] = wants_first;
    return attrs;
}

/* The states before each step: what multiplies a recurrent weight. h0 may be NULL. */
static inline moth_tensor *moth_emit_states_before(moth_grad *g, moth_tensor *states, moth_tensor *h0)
{
    moth_attrs attrs = { .i = { g->attrs->i[MOTH_CELL_REVERSE] } };
    moth_tensor *in[] = { states, h0 };
    return moth_emit_op(g->scope, &MOTH_OP(previous_steps), &attrs, h0 ? 2 : 1, in);
}

#endif
