/* weight_product: the gradient of a weight, dw = x^T g summed over all leading dims.
 *
 *   x (…, K), g (…, N) with equal leading dims -> (K, N)
 *
 * Rows of the result are rows of the weight, so a plan cuts it by tiles of the weight and lets the update of a tile
 * follow at once. */
#include "ops/nn_util.h"
#include "ops/product.h"

static moth_status weight_product_infer(moth_infer *q)
{
    const moth_meta *x = q->in[0], *g = q->in[1];
    MOTH_TRY(moth_infer_types(q, MOTH_FLOAT_ONLY));
    bool agree = x->rank == g->rank && x->rank > 1;
    for (int d = 0; agree && d < x->rank - 1; d++) {
        agree = x->shape[d] == g->shape[d];
    }
    if (!agree) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "all dims but the last must agree");
    }
    q->out[0].dtype = MOTH_FLOAT32;
    q->out[0].rank = 2;
    q->out[0].shape[0] = x->shape[x->rank - 1];
    q->out[0].shape[1] = g->shape[g->rank - 1];
    return MOTH_OK;
}

static bool weight_product_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    const moth_arg *x = &call->in[0], *g = &call->in[1];
    int64_t n = g->shape[g->rank - 1], k = x->shape[x->rank - 1];
    int64_t rows = span(x->shape, 0, x->rank - 1);
    MOTH_PRODUCT(true, false, r1 - r0, n, rows, reals(x) + r0, k, reals(g), n, 0, reals(&call->out[0]) + r0 * n, n);
    return true;
}

static const moth_case weight_product_cases[] = {
    { .in = { { 2, { 5, 67 }, MOTH_FLOAT32, -1, 1, 0 }, { 2, { 5, 3 }, MOTH_FLOAT32, -1, 1, 0 } }, .n_in = 2 },
    { .in = { { 3, { 2, 5, 3 }, MOTH_FLOAT32, -1, 1, 0 }, { 3, { 2, 5, 4 }, MOTH_FLOAT32, -1, 1, 0 } }, .n_in = 2 },
    { .n_in = 0 },
};

const moth_op MOTH_OP(weight_product) = {
    .name = "weight_product",
    .doc = "x^T g summed over all leading dims: the gradient of a weight that multiplies x from the right.",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .infer = weight_product_infer,
    .rows = weight_product_rows,
    .whole = whole_all,
    .nodiff = "it is itself a gradient; matmul is the differentiable product",
    .cases = MOTH_CASES(weight_product_cases),
};
