/* Assignments to variables: assign (var, value) copies, assign_average (var, value) moves a running mean,
 * var = momentum var + (1 - momentum) value. Both of one shape; no result. */
#include <string.h>

#include "ops/elementwise.h"
#include "ops/nn_util.h"

enum { VARIABLE = 0, VALUE = 1, MOMENTUM = 0 };

static moth_status assign_infer(moth_infer *q)
{
    if (q->in[VARIABLE]->dtype != q->in[VALUE]->dtype) {
        return moth_infer_fail(q, MOTH_ERR_DTYPE, "the value must have the type of the variable");
    }
    if (!moth_meta_same_shape(q->in[VARIABLE], q->in[VALUE])) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "the value must have the shape of the variable");
    }
    if (!moth_meta_contiguous(q->in[VARIABLE])) {
        return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "the variable must be contiguous");
    }
    return MOTH_OK;
}

static moth_status assign_average_infer(moth_infer *q)
{
    MOTH_TRY(moth_infer_types(q, MOTH_FLOAT_ONLY));
    return assign_infer(q);
}

static bool assign_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    const moth_arg *to = &call->in[VARIABLE];
    int64_t bytes = row_elements(to) * (int64_t)moth_dtype_size(to->dtype);
    memmove(to->data + r0 * bytes, call->in[VALUE].data + r0 * bytes, (size_t)((r1 - r0) * bytes));
    return true;
}

static bool assign_average_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    int64_t row = row_elements(&call->in[VARIABLE]);
    moth_real *to = reals(&call->in[VARIABLE]);
    const moth_real *value = reals(&call->in[VALUE]);
    const moth_real keep = (moth_real)call->attrs->f[MOMENTUM], rest = (moth_real)(1 - call->attrs->f[MOMENTUM]);
    MOTH_INDEPENDENT
    for (int64_t i = r0 * row; i < r1 * row; i++) {
        to[i] = keep * to[i] + rest * value[i];
    }
    return true;
}

static const moth_attr_spec assign_average_attrs[] = {
    { .name = "momentum", .kind = MOTH_ATTR_FLOAT, .slot = MOMENTUM },
    { .kind = MOTH_ATTR_END },
};
static const moth_case assign_cases[] = {
    { .in = { MOTH_REALS(-1, 1, 0, 2, 5, 3), MOTH_REALS(-1, 1, 1, 2, 5, 3) }, .n_in = 2 },
    { .in = { MOTH_IN(MOTH_INT32, -9, 9, 0, 1, 7), MOTH_IN(MOTH_INT32, -9, 9, 2, 1, 7) }, .n_in = 2 },
    { .in = { MOTH_REALS(-1, 1, 0, 0, 0), MOTH_REALS(-1, 1, 0, 0, 0) }, .n_in = 2 },
    { .n_in = 0 },
};
static const moth_case assign_average_cases[] = {
    { .in = { MOTH_REALS(-1, 1, 0, 2, 5, 3), MOTH_REALS(-1, 1, 1, 2, 5, 3) }, .n_in = 2, .attrs.f = { 0.9 } },
    { .in = { MOTH_REALS(-1, 1, 0, 0, 0), MOTH_REALS(-1, 1, 0, 0, 0) }, .n_in = 2, .attrs.f = { 0.9 } },
    { .n_in = 0 },
};

#define ASSIGN_FIELDS(name_, doc_)                                                                       \
    .name = #name_, .doc = doc_, .min_in = 2, .max_in = 2, .infer = name_##_infer, .rows = name_##_rows, \
    .mutates = 1u << VARIABLE, .nodiff = "it changes a variable and gives no result", .cases = name_##_cases

const moth_op MOTH_OP(assign) = { ASSIGN_FIELDS(assign, "variable = value") };
const moth_op MOTH_OP(assign_average) = {
    ASSIGN_FIELDS(assign_average, "variable = momentum variable + (1 - momentum) value"),
    .attrs = assign_average_attrs,
};
