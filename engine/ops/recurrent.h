/* What recurrent ops share: activations whose derivative follows from their value, applied to runs of numbers in place,
 * and the order of steps, forward and backward, with one product for all rows of a tile at each step. Included by
 * kernel files, so that each CPU variant has its own copy. */
#ifndef MOTH_OPS_RECURRENT_H
#define MOTH_OPS_RECURRENT_H

#include "ops/kept.h"
#include "ops/nn_util.h"
#include "ops/product.h"
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

/* Checks what all cells take: z (B, T, gates U), recurrent (U, gates U), initial states (B, U), mask (B, T) of bytes,
 * which stand at inputs 0, 1, 2 .. 1 + n_states, 2 + n_states, and at input `kept` (B, gates U) of bytes. */
moth_status moth_check_cell(moth_infer *q, int gates, int n_states, int kept);

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

#define MOTH_CELL_ATTR_RATE                                                               \
    {                                                                                     \
        .name = "rate", .kind = MOTH_ATTR_FLOAT, .slot = MOTH_CELL_RATE, .optional = true \
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
    moth_kept kept; /* (B, width) */
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

/* Numbers of scratch that a cell with states left out takes, at the end of what it takes without. */
static inline int64_t moth_kept_scratch(const moth_call *call, int recurrent, int kept)
{
    bool given = kept < call->n_in && call->in[kept].rank > 0; /* a plan asks before there are data */
    return given ? MOTH_ROW_TILE * call->in[recurrent].shape[0] : 0;
}

/* shaped: an argument (B, T, width); room: the end of the scratch. */
static inline moth_cell moth_cell_of(const moth_call *call, const moth_arg *shaped, int recurrent, int mask, int kept,
                                     moth_real *room)
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
        .kept = { .on = call_has(call, kept) ? (const uint8_t *)call->in[kept].data : NULL,
                  .pitch = r->shape[1],
                  .scale = moth_kept_scale(call->attrs->f[MOTH_CELL_RATE]),
                  .room = room },
    };
}

/* The states that are kept, from a row and a gate on. */
static inline moth_kept moth_kept_from(const moth_cell *cell, int64_t row, int64_t gate)
{
    moth_kept kept = cell->kept;
    kept.on += row * cell->width + gate * cell->units;
    return kept;
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

/* product (rows, gates U) = h times the first blocks of recurrent, for the rows from `tile`. With states left out each
 * gate has an h of its own, so a product of its own. */
static inline void moth_cell_product(const moth_cell *cell, int64_t tile, int64_t rows, const moth_real *h,
                                     int64_t pitch, int gates, moth_real *product)
{
    const int64_t n = cell->units, width = gates * n;
    if (!cell->kept.on) {
        MOTH_PRODUCT(false, false, rows, width, n, h, pitch, cell->recurrent, cell->width, 0, product, width);
        return;
    }
    const moth_kept kept = moth_kept_from(cell, tile, 0);
    moth_kept_product(&kept, rows, n, gates, h, pitch, cell->recurrent, product);
}

/* dh (rows, U) = d times the first blocks of recurrent^T, added to what stands there where `add` says so or states are
 * left out. d: rows of cell->width, `pitch` apart. */
static inline void moth_cell_product_back(const moth_cell *cell, int64_t tile, int64_t rows, const moth_real *d,
                                          int64_t pitch, int gates, bool add, moth_real *dh)
{
    const int64_t n = cell->units;
    if (!cell->kept.on) {
        MOTH_PRODUCT(false, true, rows, n, gates * n, d, pitch, cell->recurrent, cell->width, add ? 1 : 0, dh, n);
        return;
    }
    const moth_kept kept = moth_kept_from(cell, tile, 0);
    moth_kept_product_back(&kept, rows, n, gates, d, pitch, cell->recurrent, dh);
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
                moth_cell_product(cell, tile, rows, h, k > 0 ? cell->steps * n : n, (int)(width / n), scratch);
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
 * recurrent^T is added to what a step leaves in dh, else that is zero. */
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
                moth_cell_product_back(cell, tile, rows, d + moth_cell_step(cell, tile, k).at * width,
                                       cell->steps * width, (int)(width / n), add, dh + tile * n);
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

/* before^T d, where before are the states before each step (h0 may be NULL), d (B, T, gates U) the gradients of their
 * product with the first blocks of the recurrent weight. */
moth_tensor *moth_emit_recurrent_gradient(moth_grad *g, moth_tensor *states, moth_tensor *h0, int kept, moth_tensor *d,
                                          int gates);

#endif
