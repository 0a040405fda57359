/* Ranges of a dim: slice (a view), pad_slice, which puts a range back among zeros, and flip. Any type. */
#include <string.h>

#include "ops/elementwise.h"

/* Elements of the dims from .. to-1. */
static int64_t elements_between(const moth_arg *a, int from, int to)
{
    int64_t n = 1;
    for (int d = from; d < to; d++) {
        n *= a->shape[d];
    }
    return n;
}

/* ---- slice ---- */

enum { SLICE_DIM = 0, SLICE_FIRST = 1, SLICE_LAST = 2 }; /* positions first .. last-1; last = INT64_MAX: the end */

static moth_status slice_infer(moth_infer *q)
{
    const moth_meta *in = q->in[0];
    int64_t *dim = &q->attrs->i[SLICE_DIM], first = q->attrs->i[SLICE_FIRST], *last = &q->attrs->i[SLICE_LAST];
    MOTH_TRY(moth_infer_dim(q, dim, in->rank));
    int64_t n = in->shape[*dim];
    *last = *last == INT64_MAX ? n : *last;
    q->out[0] = *in;
    if (n < 0) {
        return first == 0 && *last == n ? MOTH_OK : moth_infer_exact(q);
    }
    if (first < 0 || *last < first || *last > n) {
        return moth_infer_fail(q, MOTH_ERR_INDEX, "the range %lld..%lld of dim %lld is outside 1..%lld",
                               (long long)first + 1, (long long)*last, (long long)*dim + 1, (long long)n);
    }
    q->out[0].shape[*dim] = *last - first;
    return MOTH_OK;
}

static bool slice_view(const moth_attrs *attrs, const moth_meta *in, moth_meta *out)
{
    memcpy(out->stride, in->stride, sizeof out->stride);
    out->offset = in->offset + attrs->i[SLICE_FIRST] * in->stride[attrs->i[SLICE_DIM]];
    return true;
}

enum { PAD_DIM = 0, PAD_FIRST = 1, PAD_SHAPE = 2 };

static void slice_gradient(moth_grad *g)
{
    const moth_meta *x = &g->x[0]->meta;
    if (moth_meta_same_shape(x, &g->dy[0]->meta)) {
        g->dx[0] = g->dy[0];
        return;
    }
    moth_attrs attrs = { .i = { g->attrs->i[SLICE_DIM], g->attrs->i[SLICE_FIRST], x->rank } };
    memcpy(attrs.i + PAD_SHAPE + 1, x->shape, (size_t)x->rank * sizeof x->shape[0]);
    g->dx[0] = MOTH_EMIT(g->scope, &MOTH_OP(pad_slice), &attrs, g->dy[0]);
}

static const moth_attr_spec slice_attrs[] = {
    { .name = "dim", .kind = MOTH_ATTR_DIM, .slot = SLICE_DIM },
    { .name = "first", .kind = MOTH_ATTR_INT, .slot = SLICE_FIRST },
    { .name = "last", .kind = MOTH_ATTR_INT, .slot = SLICE_LAST },
    { .kind = MOTH_ATTR_END },
};
static const moth_case slice_cases[] = {
    { .in = { MOTH_REALS(-1, 1, 0, 2, 7, 3) }, .n_in = 1, .attrs.i = { 0, 2, 5 } },
    { .in = { MOTH_REALS(-1, 1, 1, 3, 3, 5, 4) }, .n_in = 1, .attrs.i = { 1, 0, 1 } },
    { .in = { MOTH_REALS(-1, 1, 2, 2, 3, 5) }, .n_in = 1, .attrs.i = { -1, 3, INT64_MAX } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(slice) = {
    .name = "slice",
    .doc = "a range of positions of one dim, as a view",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = MOTH_OP_METHOD | MOTH_OP_VIEW,
    .attrs = slice_attrs,
    .infer = slice_infer,
    .view = slice_view,
    .strided_in = 1,
    .gradient = slice_gradient,
    .cases = MOTH_CASES(slice_cases),
};

/* ---- pad_slice ---- */

static moth_status pad_slice_infer(moth_infer *q)
{
    const moth_meta *in = q->in[0];
    const int64_t *shape = q->attrs->i + PAD_SHAPE;
    int64_t *dim = &q->attrs->i[PAD_DIM];
    moth_meta *out = &q->out[0];
    MOTH_TRY(moth_infer_dim(q, dim, in->rank));
    bool fits = shape[0] == in->rank;
    *out = *in;
    for (int d = 0; d < in->rank && fits; d++) {
        out->shape[d] = shape[1 + d];
        fits = d == *dim || out->shape[d] == in->shape[d];
    }
    int64_t first = q->attrs->i[PAD_FIRST];
    if (fits && (in->shape[*dim] < 0 || out->shape[*dim] < 0)) {
        return in->shape[*dim] == out->shape[*dim] && first == 0 ? MOTH_OK : moth_infer_exact(q);
    }
    if (!fits || first < 0 || first + in->shape[*dim] > out->shape[*dim]) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "the tensor does not fit into the wanted shape");
    }
    return MOTH_OK;
}

static bool pad_slice_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    const moth_arg *in = &call->in[0], *out = &call->out[0];
    int dim = (int)call->attrs->i[PAD_DIM];
    size_t size = moth_dtype_size(out->dtype);
    int64_t first = call->attrs->i[PAD_FIRST], n = in->shape[dim];
    int64_t inner = elements_between(out, dim + 1, out->rank) * (int64_t)size;
    (void)worker;
    if (dim == 0) {
        for (int64_t r = r0; r < r1; r++) {
            if (r >= first && r < first + n) {
                memcpy(out->data + r * inner, in->data + (r - first) * inner, (size_t)inner);
            } else {
                memset(out->data + r * inner, 0, (size_t)inner);
            }
        }
        return true;
    }
    int64_t outer = elements_between(out, 1, dim), total = out->shape[dim];
    for (int64_t o = r0 * outer; o < r1 * outer; o++) {
        char *to = out->data + o * total * inner;
        memset(to, 0, (size_t)(first * inner));
        memcpy(to + first * inner, in->data + o * n * inner, (size_t)(n * inner));
        memset(to + (first + n) * inner, 0, (size_t)((total - first - n) * inner));
    }
    return true;
}

static void pad_slice_gradient(moth_grad *g)
{
    int64_t dim = g->attrs->i[PAD_DIM], first = g->attrs->i[PAD_FIRST];
    moth_attrs attrs = { .i = { dim, first, first + g->x[0]->meta.shape[dim] } };
    g->dx[0] = MOTH_EMIT(g->scope, &MOTH_OP(slice), &attrs, g->dy[0]);
}

static const moth_case pad_slice_cases[] = {
    { .in = { MOTH_REALS(-1, 1, 0, 2, 3, 5) }, .n_in = 1, .attrs.i = { 0, 2, 2, 7, 5 } },
    { .in = { MOTH_REALS(-1, 1, 1, 3, 3, 2, 5) }, .n_in = 1, .attrs.i = { 1, 1, 3, 3, 4, 5 } },
    { .in = { MOTH_REALS(-1, 1, 0, 1, 5) }, .n_in = 1, .attrs.i = { 0, 0, 1, 5 } },
    { .in = { MOTH_IN(MOTH_UINT8, 0, 255, 0, 2, 3, 5) }, .n_in = 1, .attrs.i = { 1, 2, 2, 3, 7 } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(pad_slice) = {
    .name = "pad_slice",
    .doc = "x at position `first` of a dim among zeros of a larger shape: the reverse of slice",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .infer = pad_slice_infer,
    .rows = pad_slice_rows,
    .gradient = pad_slice_gradient,
    .cases = MOTH_CASES(pad_slice_cases),
};

/* ---- flip ---- */

enum { FLIP_DIM = 0 };

static moth_status flip_infer(moth_infer *q)
{
    q->out[0] = *q->in[0];
    return moth_infer_dim(q, &q->attrs->i[FLIP_DIM], q->in[0]->rank);
}

static bool flip_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)in;
    (void)out;
    (void)i;
    return attrs->i[FLIP_DIM] == 0;
}

static bool flip_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    const moth_arg *in = &call->in[0], *out = &call->out[0];
    int dim = (int)call->attrs->i[FLIP_DIM];
    int64_t n = out->shape[dim];
    int64_t inner = elements_between(out, dim + 1, out->rank) * (int64_t)moth_dtype_size(out->dtype);
    int64_t outer = dim == 0 ? 1 : elements_between(out, 1, dim);
    (void)worker;
    for (int64_t o = dim == 0 ? 0 : r0 * outer; o < (dim == 0 ? 1 : r1 * outer); o++) {
        for (int64_t k = dim == 0 ? r0 : 0; k < (dim == 0 ? r1 : n); k++) {
            memcpy(out->data + (o * n + k) * inner, in->data + (o * n + n - 1 - k) * inner, (size_t)inner);
        }
    }
    return true;
}

static void flip_gradient(moth_grad *g)
{
    g->dx[0] = MOTH_EMIT(g->scope, &MOTH_OP(flip), g->attrs, g->dy[0]);
}

static const moth_attr_spec flip_attrs[] = {
    { .name = "dim", .kind = MOTH_ATTR_DIM, .slot = FLIP_DIM },
    { .kind = MOTH_ATTR_END },
};
static const moth_case flip_cases[] = {
    { .in = { MOTH_REALS(-1, 1, 0, 2, 3, 5) }, .n_in = 1 },
    { .in = { MOTH_REALS(-1, 1, 1, 3, 3, 5, 2) }, .n_in = 1, .attrs.i = { 1 } },
    { .in = { MOTH_REALS(-1, 1, 2, 2, 3, 5) }, .n_in = 1, .attrs.i = { -1 } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(flip) = {
    .name = "flip",
    .doc = "the positions of one dim in reverse order",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = MOTH_OP_METHOD,
    .attrs = flip_attrs,
    .infer = flip_infer,
    .whole = flip_whole,
    .rows = flip_rows,
    .gradient = flip_gradient,
    .cases = MOTH_CASES(flip_cases),
};
