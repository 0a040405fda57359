/* linear: y = x w + b, the heart of Dense and of the input side of recurrent layers.
 *
 *   x (…, K), w (K, N), b (N) or absent -> (…, N)
 *
 * The bias is laid down first and the product added to it, so y is written while it is warm. Saved: x and w.
 * dx = dy w^T (rows of the batch), dw = x^T dy and db = column sums of dy (rows of the weight). */
#include "ops/nn_util.h"
#include "ops/product.h"

static moth_status linear_infer(moth_infer *q)
{
    const moth_meta *x = q->in[0], *w = q->in[1];
    MOTH_TRY(moth_infer_types(q, MOTH_FLOAT_ONLY));
    if (x->rank < 2 || w->rank != 2 || (infer_has(q, 2) && q->in[2]->rank != 1)) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "takes x (..., k), w (k, n) and b (n)");
    }
    if (w->shape[0] < 0 || w->shape[1] < 0 || (infer_has(q, 2) && q->in[2]->shape[0] < 0)) {
        return moth_infer_exact(q);
    }
    if (x->shape[x->rank - 1] != w->shape[0]) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "columns of x must equal rows of w");
    }
    if (infer_has(q, 2) && q->in[2]->shape[0] != w->shape[1]) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "b must have as many entries as w has columns");
    }
    out_like(&q->out[0], x);
    q->out[0].shape[x->rank - 1] = w->shape[1];
    return MOTH_OK;
}

static bool linear_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    const moth_arg *x = &call->in[0], *w = &call->in[1];
    int64_t k = w->shape[0], n = w->shape[1], per_row = span(x->shape, 1, x->rank - 1);
    const moth_real *b = call_has(call, 2) ? reals(&call->in[2]) : NULL;
    int64_t first = r0 * per_row, rows = (r1 - r0) * per_row;
    moth_real *y = reals(&call->out[0]) + first * n;
    for (int64_t i = 0; b && i < rows; i++) {
        for (int64_t j = 0; j < n; j++) {
            y[i * n + j] = b[j];
        }
    }
    MOTH_PRODUCT(false, false, rows, n, k, reals(x) + first * k, k, reals(w), n, b ? 1 : 0, y, n);
    return true;
}

static void linear_gradient(moth_grad *g)
{
    if (g->need[0]) {
        moth_attrs attrs = { .i = { [1] = 1 } }; /* matmul's trans_b */
        g->dx[0] = MOTH_EMIT(g->scope, &MOTH_OP(matmul), &attrs, g->dy[0], g->x[1]);
    }
    if (g->need[1]) {
        g->dx[1] = MOTH_EMIT(g->scope, &MOTH_OP(weight_product), NULL, g->x[0], g->dy[0]);
    }
    if (grad_has(g, 2) && g->need[2]) {
        g->dx[2] = MOTH_EMIT(g->scope, &MOTH_OP(column_sum), NULL, g->dy[0]);
    }
}

#define REAL(rank_, ...)                                                                       \
    {                                                                                          \
        .rank = (rank_), .shape = { __VA_ARGS__ }, .dtype = MOTH_FLOAT32, .low = -1, .high = 1 \
    }

static const moth_case linear_cases[] = {
    { .in = { REAL(2, 5, 3), REAL(2, 3, 4), REAL(1, 4) }, .n_in = 3 },
    { .in = { REAL(2, 67, 3), REAL(2, 3, 65), REAL(1, 65) }, .n_in = 3 },
    { .in = { REAL(3, 2, 5, 3), REAL(2, 3, 4), REAL(1, 4) }, .n_in = 3 },
    { .in = { REAL(2, 5, 3), REAL(2, 3, 4) }, .n_in = 2 },
    { .in = { REAL(2, 1, 1), REAL(2, 1, 1), REAL(1, 1) }, .n_in = 3 },
    { .in = { { 2, { 5, 3 }, MOTH_FLOAT32, -1, 1, 1 }, REAL(2, 3, 4), REAL(1, 4) }, .n_in = 3 },
    { .n_in = 0 },
};

const moth_op MOTH_OP(linear) = {
    .name = "linear",
    .doc = "y = x w + b over the last dim of x; b may be left out.",
    .min_in = 2,
    .max_in = 3,
    .n_out = 1,
    .infer = linear_infer,
    .rows = linear_rows,
    .whole = whole_but_first,
    .gradient = linear_gradient,
    .saves_in = 3,
    .cases = MOTH_CASES(linear_cases),
};
