/* column_sum: sums all leading dims away, the gradient of a bias.
 *
 *   x (…, N) -> (N)
 *
 * Rows of the result are columns of x. Each column is added in blocks of rows, in order (columns.h). */
#include "ops/columns.h"

static moth_status column_sum_infer(moth_infer *q)
{
    const moth_meta *x = q->in[0];
    MOTH_TRY(moth_infer_types(q, MOTH_FLOAT_ONLY));
    if (x->rank < 2) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "takes at least two dims");
    }
    q->out[0].dtype = MOTH_FLOAT32;
    q->out[0].rank = 1;
    q->out[0].shape[0] = x->shape[x->rank - 1];
    return MOTH_OK;
}

static bool column_sum_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    const moth_arg *x = &call->in[0];
    int64_t n = x->shape[x->rank - 1], rows = span(x->shape, 0, x->rank - 1);
    moth_real *sum = reals(&call->out[0]);
    for (int64_t c = r0; c < r1; c++) {
        sum[c] = 0;
    }
    moth_add_columns(reals(x) + r0, n, rows, r1 - r0, sum + r0);
    return true;
}

static const moth_case column_sum_cases[] = {
    { .in = { { 2, { 131, 67 }, MOTH_FLOAT32, -1, 1, 0 } }, .n_in = 1 },
    { .in = { { 3, { 2, 5, 64 }, MOTH_FLOAT32, -1, 1, 0 } }, .n_in = 1 },
    { .n_in = 0 },
};

const moth_op MOTH_OP(column_sum) = {
    .name = "column_sum",
    .doc = "Sum over all dims but the last: the gradient of a bias.",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .infer = column_sum_infer,
    .rows = column_sum_rows,
    .whole = whole_all,
    .nodiff = "it is itself a gradient; sum is the differentiable reduction",
    .cases = MOTH_CASES(column_sum_cases),
};
