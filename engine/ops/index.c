/* Picking by position: index, its gradient index_add, and one_hot. Positions count from 0 here.
 *
 * index: x (P.., n, R..), positions (Q..) int32 -> (P.., Q.., R..); P.. are the dims before `dim`. */
#include <stdio.h>
#include <string.h>

#include "ops/elementwise.h"

/* The places of one index operation: outer blocks of n (or of `picked`) entries of `inner` elements each. */
typedef struct layout {
    int64_t outer, n, picked, inner;
} layout;

/* full is the tensor that is picked from. outer counts per row of dim 0 where dim > 0. */
static layout layout_of(const moth_arg *full, const moth_arg *positions, int dim)
{
    layout l = { .outer = 1, .n = full->shape[dim], .picked = 1, .inner = 1 };
    for (int d = 0; d < positions->rank; d++) {
        l.picked *= positions->shape[d];
    }
    for (int d = 1; d < full->rank; d++) {
        l.outer *= d < dim ? full->shape[d] : 1;
        l.inner *= d > dim ? full->shape[d] : 1;
    }
    return l;
}

static bool check_position(int32_t p, int64_t n, moth_worker *worker)
{
    if (p < 0 || p >= n) {
        snprintf(worker->fault, sizeof worker->fault, "position %d is outside a dim of size %lld (counted from 0)",
                 (int)p, (long long)n);
        return false;
    }
    return true;
}

/* ---- index ---- */

enum { INDEX_DIM = 0 };

static moth_status index_infer(moth_infer *q)
{
    const moth_meta *x = q->in[0], *positions = q->in[1];
    moth_meta *out = &q->out[0];
    MOTH_TRY(moth_infer_dim(q, &q->attrs->i[INDEX_DIM], x->rank));
    int dim = (int)q->attrs->i[INDEX_DIM];
    if (positions->dtype != MOTH_INT32 || positions->rank == 0) {
        return moth_infer_fail(q, MOTH_ERR_DTYPE, "positions must be an int32 tensor of at least one dim");
    }
    if (x->rank - 1 + positions->rank > MOTH_MAX_RANK) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "the result has more than %d dims", MOTH_MAX_RANK);
    }
    out->dtype = x->dtype;
    out->rank = 0;
    for (int d = 0; d < dim; d++) {
        out->shape[out->rank++] = x->shape[d];
    }
    for (int d = 0; d < positions->rank; d++) {
        out->shape[out->rank++] = positions->shape[d];
    }
    for (int d = dim + 1; d < x->rank; d++) {
        out->shape[out->rank++] = x->shape[d];
    }
    return dim > 0 && positions->shape[0] < 0 ? moth_infer_exact(q) : MOTH_OK;
}

/* Along dim 0 rows follow the positions, else they follow x. */
static bool index_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)in;
    (void)out;
    return (attrs->i[INDEX_DIM] == 0) == (i == 0);
}

static bool index_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    const moth_arg *x = &call->in[0], *out = &call->out[0];
    const int32_t *positions = (const int32_t *)(const void *)call->in[1].data;
    int dim = (int)call->attrs->i[INDEX_DIM];
    layout l = layout_of(x, &call->in[1], dim);
    int64_t bytes = l.inner * (int64_t)moth_dtype_size(x->dtype);
    int64_t per_row = dim == 0 && out->shape[0] ? l.picked / out->shape[0] : 0;
    int64_t o0 = dim == 0 ? 0 : r0 * l.outer, o1 = dim == 0 ? 1 : r1 * l.outer;
    int64_t j0 = dim == 0 ? r0 * per_row : 0, j1 = dim == 0 ? r1 * per_row : l.picked;
    for (int64_t o = o0; o < o1; o++) {
        for (int64_t j = j0; j < j1; j++) {
            if (!check_position(positions[j], l.n, worker)) {
                return false;
            }
            memcpy(out->data + (o * l.picked + j) * bytes, x->data + (o * l.n + positions[j]) * bytes, (size_t)bytes);
        }
    }
    return true;
}

enum { ADD_DIM = 0, ADD_SHAPE = 1 };

static void index_gradient(moth_grad *g)
{
    const moth_meta *x = &g->x[0]->meta;
    moth_attrs attrs = { .i = { g->attrs->i[INDEX_DIM], x->rank } };
    memcpy(attrs.i + ADD_SHAPE + 1, x->shape, (size_t)x->rank * sizeof x->shape[0]);
    if (g->need[0]) {
        g->dx[0] = MOTH_EMIT(g->scope, &MOTH_OP(index_add), &attrs, g->dy[0], g->x[1]);
    }
}

static const moth_attr_spec index_attrs[] = {
    { .name = "dim", .kind = MOTH_ATTR_DIM, .slot = INDEX_DIM },
    { .kind = MOTH_ATTR_END },
};
static const moth_case index_cases[] = {
    { .in = { MOTH_REALS(-1, 1, 0, 2, 5, 3), MOTH_IN(MOTH_INT32, 0, 4, 0, 1, 7) }, .n_in = 2 },
    { .in = { MOTH_REALS(-1, 1, 1, 2, 5, 3), MOTH_IN(MOTH_INT32, 0, 4, 0, 2, 3, 2) }, .n_in = 2 },
    { .in = { MOTH_REALS(-1, 1, 0, 3, 3, 5, 2), MOTH_IN(MOTH_INT32, 0, 4, 2, 1, 3) }, .n_in = 2, .attrs.i = { 1 } },
    { .in = { MOTH_REALS(-1, 1, 0, 2, 3, 5), MOTH_IN(MOTH_INT32, 0, 4, 0, 2, 2, 2) }, .n_in = 2, .attrs.i = { -1 } },
    { .in = { MOTH_IN(MOTH_UINT8, 0, 255, 0, 2, 5, 3), MOTH_IN(MOTH_INT32, 0, 4, 0, 1, 99) }, .n_in = 2 },
    { .n_in = 0 },
};

const moth_op MOTH_OP(index) = {
    .name = "index",
    .doc = "the entries of one dim at the given positions",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = MOTH_OP_METHOD,
    .attrs = index_attrs,
    .infer = index_infer,
    .whole = index_whole,
    .rows = index_rows,
    .gradient = index_gradient,
    .saves_in = 2,
    .cases = MOTH_CASES(index_cases),
};

/* ---- index_add: zeros of a given shape, plus dy at the positions, in the order of the positions ---- */

static moth_status index_add_infer(moth_infer *q)
{
    const int64_t *shape = q->attrs->i + ADD_SHAPE;
    const moth_meta *dy = q->in[0], *positions = q->in[1];
    moth_meta *out = &q->out[0];
    out->dtype = MOTH_FLOAT32;
    out->rank = (int)shape[0];
    memcpy(out->shape, shape + 1, (size_t)shape[0] * sizeof *shape);
    MOTH_TRY(moth_infer_dim(q, &q->attrs->i[ADD_DIM], out->rank));
    if (dy->dtype != MOTH_FLOAT32 || positions->dtype != MOTH_INT32) {
        return moth_infer_fail(q, MOTH_ERR_DTYPE, "takes float32 values and int32 positions");
    }
    bool fits = dy->rank == out->rank - 1 + positions->rank;
    for (int d = 0; d < dy->rank && fits; d++) {
        int64_t dim = q->attrs->i[ADD_DIM];
        int64_t expected =
            d < dim ? out->shape[d]
                    : (d < dim + positions->rank ? positions->shape[d - dim] : out->shape[d - positions->rank + 1]);
        fits = dy->shape[d] == expected;
    }
    return fits ? MOTH_OK : moth_infer_fail(q, MOTH_ERR_SHAPE, "values and positions do not fit the wanted shape");
}

static bool index_add_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)in;
    (void)out;
    return attrs->i[ADD_DIM] == 0 || i == 1;
}

static bool index_add_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    const moth_arg *out = &call->out[0];
    const int32_t *positions = (const int32_t *)(const void *)call->in[1].data;
    int dim = (int)call->attrs->i[ADD_DIM];
    layout l = layout_of(out, &call->in[1], dim);
    int64_t o0 = dim == 0 ? 0 : r0 * l.outer, o1 = dim == 0 ? 1 : r1 * l.outer;
    int64_t p0 = dim == 0 ? r0 : 0, p1 = dim == 0 ? r1 : l.n; /* the positions that lie in these rows */
    moth_real *y = (moth_real *)(void *)out->data;
    const moth_real *dy = (const moth_real *)(const void *)call->in[0].data;
    for (int64_t o = o0; o < o1; o++) {
        memset(y + (o * l.n + p0) * l.inner, 0, (size_t)((p1 - p0) * l.inner) * sizeof *y);
        for (int64_t j = 0; j < l.picked; j++) {
            if (!check_position(positions[j], l.n, worker)) {
                return false;
            }
            if (positions[j] < p0 || positions[j] >= p1) {
                continue;
            }
            moth_real *to = y + (o * l.n + positions[j]) * l.inner;
            const moth_real *from = dy + (o * l.picked + j) * l.inner;
            for (int64_t k = 0; k < l.inner; k++) {
                to[k] += from[k];
            }
        }
    }
    return true;
}

static void index_add_gradient(moth_grad *g)
{
    if (g->need[0]) {
        g->dx[0] = MOTH_EMIT(g->scope, &MOTH_OP(index), g->attrs, g->dy[0], g->x[1]);
    }
}

static const moth_case index_add_cases[] = {
    { .in = { MOTH_REALS(-1, 1, 0, 2, 7, 3), MOTH_IN(MOTH_INT32, 0, 4, 0, 1, 7) },
      .n_in = 2,
      .attrs.i = { 0, 2, 5, 3 } },
    { .in = { MOTH_REALS(-1, 1, 1, 3, 3, 7, 2), MOTH_IN(MOTH_INT32, 0, 4, 0, 1, 7) },
      .n_in = 2,
      .attrs.i = { 1, 3, 3, 5, 2 } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(index_add) = {
    .name = "index_add",
    .doc = "zeros of a given shape with x added at the positions of one dim: the gradient of index",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .infer = index_add_infer,
    .whole = index_add_whole,
    .rows = index_add_rows,
    .gradient = index_add_gradient,
    .saves_in = 2,
    .cases = MOTH_CASES(index_add_cases),
};

/* ---- one_hot: ids (S..) -> (S.., depth) ---- */

enum { ONE_HOT_DEPTH = 0 };

static moth_status one_hot_infer(moth_infer *q)
{
    const moth_meta *ids = q->in[0];
    int64_t depth = q->attrs->i[ONE_HOT_DEPTH];
    MOTH_TRY(moth_infer_types(q, 1u << MOTH_INT32 | 1u << MOTH_UINT8));
    if (depth < 1) {
        return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "the number of classes must be positive, not %lld",
                               (long long)depth);
    }
    if (ids->rank == MOTH_MAX_RANK) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "the result has more than %d dims", MOTH_MAX_RANK);
    }
    q->out[0] = *ids;
    q->out[0].dtype = MOTH_FLOAT32;
    q->out[0].shape[q->out[0].rank++] = depth;
    return MOTH_OK;
}

static bool one_hot_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)attrs;
    (void)out;
    return in[i]->rank == 0;
}

static bool one_hot_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    const moth_arg *ids = &call->in[0], *out = &call->out[0];
    int64_t depth = call->attrs->i[ONE_HOT_DEPTH], per_row = 1;
    for (int d = 1; d < ids->rank; d++) {
        per_row *= ids->shape[d];
    }
    /* a single id: dim 0 of the output is the classes, its rows are elements */
    int64_t first = ids->rank ? r0 * per_row : 0, last = ids->rank ? r1 * per_row : 1;
    int64_t c0 = ids->rank ? 0 : r0, c1 = ids->rank ? depth : r1;
    moth_real *y = (moth_real *)(void *)out->data;
    for (int64_t j = first; j < last; j++) {
        int64_t id =
            ids->dtype == MOTH_INT32 ? ((const int32_t *)(const void *)ids->data)[j] : ((const uint8_t *)ids->data)[j];
        if (id < 0 || id >= depth) {
            snprintf(worker->fault, sizeof worker->fault, "class %lld in row %lld is outside 0..%lld", (long long)id,
                     (long long)(j / per_row) + 1, (long long)depth - 1);
            return false;
        }
        for (int64_t c = c0; c < c1; c++) {
            y[j * depth + c] = c == id;
        }
    }
    return true;
}

static const moth_attr_spec one_hot_attrs[] = {
    { .name = "depth", .kind = MOTH_ATTR_INT, .slot = ONE_HOT_DEPTH },
    { .kind = MOTH_ATTR_END },
};
static const moth_case one_hot_cases[] = {
    { .in = { MOTH_IN(MOTH_INT32, 0, 6, 0, 1, 9) }, .n_in = 1, .attrs.i = { 7 } },
    { .in = { MOTH_IN(MOTH_UINT8, 0, 2, 1, 2, 3, 5) }, .n_in = 1, .attrs.i = { 3 } },
    { .in = { MOTH_IN(MOTH_INT32, 0, 4, 0, 0, 0) }, .n_in = 1, .attrs.i = { 5 } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(one_hot) = {
    .name = "one_hot",
    .doc = "1 at the place of each class id (counted from 0), 0 elsewhere, along a new last dim",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = MOTH_OP_METHOD,
    .attrs = one_hot_attrs,
    .infer = one_hot_infer,
    .whole = one_hot_whole,
    .rows = one_hot_rows,
    .nodiff = "ids are integers",
    .cases = MOTH_CASES(one_hot_cases),
};
