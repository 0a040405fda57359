/* The size of a dim as a 0-d float: x -> (). In a plan it holds the size of the running batch. */
#include "ops/elementwise.h"

enum { SIZE_DIM = 0 };

static moth_status size_infer(moth_infer *q)
{
    q->out[0].dtype = MOTH_FLOAT32;
    q->out[0].rank = 0;
    return moth_infer_dim(q, &q->attrs->i[SIZE_DIM], q->in[0]->rank);
}

static bool size_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    if (r0 < r1) {
        *(moth_real *)(void *)call->out[0].data = (moth_real)call->in[0].shape[call->attrs->i[SIZE_DIM]];
    }
    return true;
}

static const moth_attr_spec size_attrs[] = {
    { .name = "dim", .kind = MOTH_ATTR_DIM, .slot = SIZE_DIM },
    { .kind = MOTH_ATTR_END },
};
static const moth_case size_cases[] = {
    { .in = { MOTH_REALS(-1, 1, 0, 2, 3, 5) }, .n_in = 1, .attrs.i = { 1 } },
    { .in = { MOTH_IN(MOTH_UINT8, 0, 9, 1, 2, 3, 5) }, .n_in = 1 },
    { .n_in = 0 },
};

const moth_op MOTH_OP(size) = {
    .name = "size",
    .doc = "size of a dim as a tensor of one float, for use in computations",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = MOTH_OP_METHOD,
    .attrs = size_attrs,
    .infer = size_infer,
    .rows = size_rows,
    .strided_in = 1,
    .nodiff = "depends on the shape only",
    .cases = MOTH_CASES(size_cases),
};
