/* Tensors one behind the other along a dim: (P.., n1, R..), (P.., n2, R..), … -> (P.., n1 + n2 + …, R..). Types
 * promote. */
#include <string.h>

#include "ops/elementwise.h"

enum { CAT_DIM = 0 };

/* Rows of the run and constants do not add up to either. */
static moth_status add_sizes(moth_infer *q, int64_t *total, int64_t n)
{
    if ((*total < 0 && n > 0) || (*total > 0 && n < 0)) {
        return moth_infer_exact(q);
    }
    *total += n;
    return MOTH_OK;
}

static moth_status cat_infer(moth_infer *q)
{
    moth_meta *out = &q->out[0];
    int64_t *dim = &q->attrs->i[CAT_DIM];
    MOTH_TRY(moth_infer_dim(q, dim, q->in[0]->rank));
    *out = *q->in[0];
    for (int i = 1; i < q->n_in; i++) {
        const moth_meta *in = q->in[i];
        bool fits = in->rank == out->rank;
        for (int d = 0; d < out->rank && fits; d++) {
            fits = d == *dim || in->shape[d] == out->shape[d];
        }
        if (!fits) {
            return moth_infer_fail(q, MOTH_ERR_SHAPE, "all dims but dim %lld must agree", (long long)*dim + 1);
        }
        out->dtype = moth_promote(out->dtype, in->dtype);
        MOTH_TRY(add_sizes(q, &out->shape[*dim], in->shape[*dim]));
    }
    return MOTH_OK;
}

/* n elements of `in` from `from` on become elements of out from `to` on. */
static void copy_converted(const moth_arg *out, int64_t to, const moth_arg *in, int64_t from, int64_t n)
{
    size_t size = moth_dtype_size(out->dtype);
    if (in->dtype == out->dtype) {
        memcpy(out->data + to * (int64_t)size, in->data + from * (int64_t)size, (size_t)n * size);
        return;
    }
    for (int64_t i = 0; i < n; i += MOTH_BLOCK) {
        int64_t m = n - i < MOTH_BLOCK ? n - i : MOTH_BLOCK;
        if (out->dtype == MOTH_FLOAT32) {
            moth_real block[MOTH_BLOCK];
            memcpy(out->data + (to + i) * (int64_t)size, moth_fetch_reals(in, from + i, 1, m, block), (size_t)m * size);
        } else {
            int32_t block[MOTH_BLOCK];
            memcpy(out->data + (to + i) * (int64_t)size, moth_fetch_ints(in, from + i, 1, m, block), (size_t)m * size);
        }
    }
}

/* The rows of the output that come from input i, which starts at row `start`. */
static void copy_rows(const moth_call *call, int i, int64_t start, int64_t r0, int64_t r1, int64_t row)
{
    const moth_arg *in = &call->in[i];
    int64_t first = r0 > start ? r0 : start;
    int64_t last = r1 < start + in->shape[0] ? r1 : start + in->shape[0];
    if (first < last) {
        copy_converted(&call->out[0], first * row, in, (first - start) * row, (last - first) * row);
    }
}

static bool cat_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    const moth_arg *out = &call->out[0];
    int dim = (int)call->attrs->i[CAT_DIM];
    int64_t outer = 1, inner = 1, start = 0;
    (void)worker;
    for (int d = 1; d < out->rank; d++) {
        outer *= d < dim ? out->shape[d] : 1;
        inner *= d > dim ? out->shape[d] : 1;
    }
    for (int i = 0; i < call->n_in; i++) {
        int64_t n = call->in[i].shape[dim];
        if (dim == 0) {
            copy_rows(call, i, start, r0, r1, inner);
        }
        for (int64_t o = r0 * outer; dim > 0 && o < r1 * outer; o++) {
            copy_converted(out, (o * out->shape[dim] + start) * inner, &call->in[i], o * n * inner, n * inner);
        }
        start += n;
    }
    return true;
}

static void cat_gradient(moth_grad *g)
{
    int64_t dim = g->attrs->i[CAT_DIM], start = 0;
    for (int i = 0; i < g->n_in; i++) {
        int64_t n = g->x[i]->meta.shape[dim];
        moth_attrs range = { .i = { dim, start, start + n } };
        if (g->need[i]) {
            g->dx[i] = MOTH_EMIT(g->scope, &MOTH_OP(slice), &range, g->dy[0]);
        }
        start += n;
    }
}

static const moth_attr_spec cat_attrs[] = {
    { .name = "dim", .kind = MOTH_ATTR_DIM, .slot = CAT_DIM, .optional = true, .fallback = 0 },
    { .kind = MOTH_ATTR_END },
};
static const moth_case cat_cases[] = {
    { .in = { MOTH_REALS(-1, 1, 0, 2, 3, 5), MOTH_REALS(-1, 1, 1, 2, 1, 5), MOTH_REALS(-1, 1, 0, 2, 4, 5) },
      .n_in = 3 },
    { .in = { MOTH_REALS(-1, 1, 1, 3, 3, 2, 5), MOTH_REALS(-1, 1, 2, 3, 3, 3, 5) }, .n_in = 2, .attrs.i = { 1 } },
    { .in = { MOTH_REALS(-1, 1, 0, 2, 3, 1), MOTH_REALS(-1, 1, 0, 2, 3, 5) }, .n_in = 2, .attrs.i = { -1 } },
    { .in = { MOTH_REALS(-1, 1, 0, 1, 7) }, .n_in = 1 },
    { .in = { MOTH_IN(MOTH_UINT8, 0, 255, 0, 1, 7), MOTH_IN(MOTH_INT32, -9, 9, 0, 1, 5) }, .n_in = 2 },
    { .n_in = 0 },
};

const moth_op MOTH_OP(cat) = {
    .name = "cat",
    .doc = "tensors one behind the other along a dim",
    .min_in = 1,
    .max_in = -1,
    .n_out = 1,
    .flags = MOTH_OP_METHOD,
    .attrs = cat_attrs,
    .infer = cat_infer,
    .rows = cat_rows,
    .gradient = cat_gradient,
    .cases = MOTH_CASES(cat_cases),
};
