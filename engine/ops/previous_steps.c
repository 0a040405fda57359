/* previous_steps: the states before each step of a sequence, for the gradient of a recurrent weight.
 *
 *   y (B, T, U), first (B, U) or absent (zero) -> (B, T, U): first, y[1], …, y[T - 1]
 *
 * Reversed in time (attribute reverse): y[2], …, y[T], first. With kept (B, gates U) of bytes they are those that went
 * into the product of one gate: divided by 1 - rate where kept is set, 0 elsewhere. */
#include <string.h>

#include "ops/elementwise.h"
#include "ops/kept.h"
#include "ops/nn_util.h"

enum { REVERSE = 0, GATE = 1, RATE = 0 };
enum { STATES, FIRST, KEPT, INPUTS };

static moth_status previous_steps_infer(moth_infer *q)
{
    const moth_meta *y = q->in[STATES];
    bool fits = y->rank == 3 && y->dtype == MOTH_FLOAT32;
    if (infer_has(q, FIRST)) {
        const moth_meta *first = q->in[FIRST];
        fits = fits && first->rank == 2 && first->shape[0] == y->shape[0] && first->shape[1] == y->shape[2] &&
               first->dtype == MOTH_FLOAT32;
    }
    if (infer_has(q, KEPT)) {
        const moth_meta *kept = q->in[KEPT];
        fits = fits && kept->rank == 2 && kept->shape[0] == y->shape[0] && kept->dtype == MOTH_UINT8 &&
               q->attrs->i[GATE] >= 0 && kept->shape[1] >= (q->attrs->i[GATE] + 1) * y->shape[2];
    }
    if (!fits) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "takes y (b, t, u), first (b, u) and kept (b, gates u)");
    }
    out_like(&q->out[0], y);
    return MOTH_OK;
}

/* All steps of one sample, as a gate keeps its states. */
static void leave_out(const moth_call *call, int64_t r, moth_real *to)
{
    const moth_arg *y = &call->in[STATES], *in = &call->in[KEPT];
    const int64_t units = y->shape[2];
    const moth_kept kept = { .on = (const uint8_t *)in->data + r * in->shape[1] + call->attrs->i[GATE] * units,
                             .scale = moth_kept_scale(call->attrs->f[RATE]) };
    moth_kept_apply(&kept, y->shape[1], units, to, units, to); /* the same at every step: pitch 0 */
}

static bool previous_steps_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    const moth_arg *y = &call->in[STATES];
    const moth_real *first = call_has(call, FIRST) ? reals(&call->in[FIRST]) : NULL;
    bool reverse = call->attrs->i[REVERSE] != 0;
    int64_t units = y->shape[2], row = y->shape[1] * units;
    size_t step = (size_t)units * sizeof(moth_real), rest = (size_t)(row > 0 ? row - units : 0) * sizeof(moth_real);
    for (int64_t r = row > 0 ? r0 : r1; r < r1; r++) {
        const moth_real *from = reals(y) + r * row;
        moth_real *to = reals(&call->out[0]) + r * row, *edge = reverse ? to + row - units : to;
        memcpy(reverse ? to : to + units, reverse ? from + units : from, rest);
        if (first) {
            memcpy(edge, first + r * units, step);
        } else {
            memset(edge, 0, step);
        }
        if (call_has(call, KEPT)) {
            leave_out(call, r, to);
        }
    }
    return true;
}

static const moth_attr_spec previous_steps_attrs[] = {
    { .name = "reverse", .kind = MOTH_ATTR_BOOL, .slot = REVERSE, .optional = true },
    { .name = "gate", .kind = MOTH_ATTR_INT, .slot = GATE, .optional = true },
    { .name = "rate", .kind = MOTH_ATTR_FLOAT, .slot = RATE, .optional = true },
    { .kind = MOTH_ATTR_END },
};
static const moth_case previous_steps_cases[] = {
    { .in = { MOTH_REALS(-1, 1, 0, 3, 5, 3, 2), MOTH_REALS(-1, 1, 0, 2, 5, 2) }, .n_in = 2 },
    { .in = { MOTH_REALS(-1, 1, 1, 3, 5, 3, 2) }, .n_in = 1, .attrs.i = { 1 } },
    { .in = { MOTH_REALS(-1, 1, 0, 3, 5, 1, 2), MOTH_REALS(-1, 1, 1, 2, 5, 2) }, .n_in = 2, .attrs.i = { 1 } },
    { .in = { MOTH_REALS(-1, 1, 0, 3, 5, 3, 2), MOTH_ABSENT, MOTH_IN(MOTH_UINT8, 0, 1, 0, 2, 5, 6) },
      .n_in = 3,
      .attrs = { .i = { 0, 2 }, .f = { 0.25 } } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(previous_steps) = {
    .name = "previous_steps",
    .doc = "the states before each step of a sequence of states",
    .min_in = 1,
    .max_in = INPUTS,
    .n_out = 1,
    .attrs = previous_steps_attrs,
    .infer = previous_steps_infer,
    .rows = previous_steps_rows,
    .whole = whole_none,
    .nodiff = "it is part of a gradient",
    .cases = MOTH_CASES(previous_steps_cases),
};
