/* Views: other shapes and strides on the same memory, no kernel. Dims may be negative while tracing (a multiple of the
 * rows of the run, first dim only); what would move such a dim away from the front needs the exact batch. */
#include <string.h>

#include "ops/elementwise.h"

#define INFER_SIZE INT64_MIN /* in the shape of reshape: what is left; of expand: as it was */

/* A dim that counts rows may stand first only. */
static moth_status check_batch(moth_infer *q)
{
    for (int d = 1; d < q->out[0].rank; d++) {
        if (q->out[0].shape[d] < 0) {
            return moth_infer_exact(q);
        }
    }
    return q->out[0].rank == 0 && moth_meta_elements(q->in[0]) < 0 ? moth_infer_exact(q) : MOTH_OK;
}

static moth_status check_rank(moth_infer *q, int64_t rank)
{
    if (rank < 0 || rank > MOTH_MAX_RANK) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "a tensor has 0 to %d dims, not %lld", MOTH_MAX_RANK,
                               (long long)rank);
    }
    return MOTH_OK;
}

/* Can `in` be seen in the shape of out without a copy? Runs through both shapes in groups of equal numbers of
 * elements; inside a group the memory must be evenly spaced. Counts are compared by magnitude: rows of the run stand
 * first in both shapes. */
static bool reshape_view(const moth_attrs *attrs, const moth_meta *in, moth_meta *out)
{
    int64_t shape[MOTH_MAX_RANK], stride[MOTH_MAX_RANK];
    int rank = 0, i = 0, o = 0;
    (void)attrs;
    out->offset = in->offset;
    for (int d = 0; d < in->rank; d++) {
        if (in->shape[d] == 0) {
            return true; /* no elements: any strides are right */
        }
        if (in->shape[d] != 1) {
            shape[rank] = in->shape[d] < 0 ? -in->shape[d] : in->shape[d];
            stride[rank++] = in->stride[d];
        }
    }
    while (i < rank && o < out->rank) {
        int64_t have = shape[i], want = out->shape[o] < 0 ? -out->shape[o] : out->shape[o];
        int i_end = i + 1, o_end = o + 1;
        while (have != want) {
            if (have < want) {
                if (stride[i_end - 1] != stride[i_end] * shape[i_end]) {
                    return false;
                }
                have *= shape[i_end++];
            } else {
                int64_t next = out->shape[o_end++];
                want *= next < 0 ? -next : next;
            }
        }
        int64_t step = stride[i_end - 1];
        for (int d = o_end - 1; d >= o; d--) {
            out->stride[d] = step;
            step *= d > o ? out->shape[d] : 1;
        }
        i = i_end;
        o = o_end;
    }
    for (; o < out->rank; o++) {
        out->stride[o] = 1; /* dims of 1 at the end */
    }
    return true;
}

/* All of reshape, flatten, squeeze and unsqueeze go back by a reshape to x's shape. */
static void reshape_gradient(moth_grad *g)
{
    const moth_meta *x = &g->x[0]->meta;
    moth_attrs attrs = { .i = { x->rank } };
    memcpy(attrs.i + 1, x->shape, (size_t)x->rank * sizeof x->shape[0]);
    g->dx[0] = MOTH_EMIT(g->scope, &MOTH_OP(reshape), &attrs, g->dy[0]);
}

#define VIEW_FIELDS(name_, doc_)                                                                               \
    .name = #name_, .doc = doc_, .min_in = 1, .max_in = 1, .n_out = 1, .flags = MOTH_OP_METHOD | MOTH_OP_VIEW, \
    .infer = name_##_infer, .strided_in = 1, .cases = name_##_cases
#define RESHAPE_FIELDS(name_, doc_) VIEW_FIELDS(name_, doc_), .view = reshape_view, .gradient = reshape_gradient

/* ---- reshape ---- */

enum { SHAPE = 0 };

static moth_status reshape_infer(moth_infer *q)
{
    const int64_t *shape = q->attrs->i + SHAPE;
    moth_meta *out = &q->out[0];
    int64_t known = 1, total = moth_meta_elements(q->in[0]);
    int open = -1;
    MOTH_TRY(check_rank(q, shape[0]));
    out->dtype = q->in[0]->dtype;
    out->rank = (int)shape[0];
    for (int d = 0; d < out->rank; d++) {
        out->shape[d] = shape[1 + d];
        if (shape[1 + d] == INFER_SIZE && open >= 0) {
            return moth_infer_fail(q, MOTH_ERR_SHAPE, "only one dim can be left open");
        }
        open = shape[1 + d] == INFER_SIZE ? d : open;
        known *= shape[1 + d] == INFER_SIZE ? 1 : shape[1 + d];
    }
    if (open >= 0 && known != 0 && total % known == 0) {
        out->shape[open] = total / known;
    } else if (open >= 0 || known != total) {
        char text[128];
        if (total < 0 && known > 0) {
            return moth_infer_exact(q); /* the batch may happen to fit */
        }
        for (int d = 0; d < out->rank; d++) {
            out->shape[d] = d == open ? 1 : out->shape[d];
        }
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "the shape %s has another number of elements",
                               moth_meta_text(out, text, sizeof text));
    }
    return check_batch(q);
}

static const moth_attr_spec reshape_attrs[] = {
    { .name = "shape", .kind = MOTH_ATTR_SHAPE, .slot = SHAPE },
    { .kind = MOTH_ATTR_END },
};
static const moth_case reshape_cases[] = {
    { .in = { MOTH_REALS(-1, 1, 0, 2, 3, 4) }, .n_in = 1, .attrs.i = { 3, 2, 3, 2 } },
    { .in = { MOTH_REALS(-1, 1, 1, 3, 3, 5, 4) }, .n_in = 1, .attrs.i = { 2, INFER_SIZE, 5 } },
    { .in = { MOTH_REALS(-1, 1, 2, 2, 5, 1) }, .n_in = 1, .attrs.i = { 1, 5 } },
    { .in = { MOTH_REALS(-1, 1, 0, 0, 0) }, .n_in = 1, .attrs.i = { 2, 1, 1 } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(reshape) = {
    RESHAPE_FIELDS(reshape, "the same elements in another shape; one dim may be left open (-1)"),
    .attrs = reshape_attrs,
};

/* ---- flatten ---- */

static moth_status flatten_infer(moth_infer *q)
{
    q->out[0].dtype = q->in[0]->dtype;
    q->out[0].rank = 1;
    q->out[0].shape[0] = moth_meta_elements(q->in[0]);
    return MOTH_OK;
}

static const moth_case flatten_cases[] = {
    { .in = { MOTH_REALS(-1, 1, 1, 2, 3, 5) }, .n_in = 1 },
    { .in = { MOTH_REALS(-1, 1, 0, 0, 0) }, .n_in = 1 },
    { .n_in = 0 },
};

const moth_op MOTH_OP(flatten) = { RESHAPE_FIELDS(flatten, "all elements in one dim") };

/* ---- squeeze, unsqueeze ---- */

enum { SQUEEZE_DIMS = 0, UNSQUEEZE_DIM = 0 };

static moth_status squeeze_infer(moth_infer *q)
{
    const moth_meta *in = q->in[0];
    int64_t *dims = q->attrs->i + SQUEEZE_DIMS;
    unsigned drop = 0;
    MOTH_TRY(check_rank(q, dims[0]));
    for (int64_t k = 1; k <= dims[0]; k++) {
        MOTH_TRY(moth_infer_dim(q, &dims[k], in->rank));
        if (in->shape[dims[k]] != 1) {
            return moth_infer_fail(q, MOTH_ERR_SHAPE, "dim %lld is not of size 1", (long long)dims[k] + 1);
        }
        drop |= 1u << dims[k];
    }
    q->out[0].dtype = in->dtype;
    q->out[0].rank = 0;
    for (int d = 0; d < in->rank; d++) {
        bool gone = dims[0] ? (drop >> d & 1) != 0 : in->shape[d] == 1;
        if (!gone) {
            q->out[0].shape[q->out[0].rank++] = in->shape[d];
        }
    }
    return MOTH_OK;
}

static moth_status unsqueeze_infer(moth_infer *q)
{
    const moth_meta *in = q->in[0];
    int64_t *dim = &q->attrs->i[UNSQUEEZE_DIM];
    MOTH_TRY(check_rank(q, in->rank + 1));
    MOTH_TRY(moth_infer_dim(q, dim, in->rank + 1));
    q->out[0].dtype = in->dtype;
    q->out[0].rank = in->rank + 1;
    for (int d = 0; d <= in->rank; d++) {
        q->out[0].shape[d] = d == *dim ? 1 : in->shape[d < *dim ? d : d - 1];
    }
    return check_batch(q);
}

static const moth_attr_spec squeeze_attrs[] = {
    { .name = "dims", .kind = MOTH_ATTR_DIMS, .slot = SQUEEZE_DIMS, .optional = true },
    { .kind = MOTH_ATTR_END },
};
static const moth_attr_spec unsqueeze_attrs[] = {
    { .name = "dim", .kind = MOTH_ATTR_DIM, .slot = UNSQUEEZE_DIM },
    { .kind = MOTH_ATTR_END },
};
static const moth_case squeeze_cases[] = {
    { .in = { MOTH_REALS(-1, 1, 0, 3, 1, 5, 1) }, .n_in = 1 },
    { .in = { MOTH_REALS(-1, 1, 1, 3, 5, 1, 3) }, .n_in = 1, .attrs.i = { 1, 1 } },
    { .n_in = 0 },
};
static const moth_case unsqueeze_cases[] = {
    { .in = { MOTH_REALS(-1, 1, 1, 2, 5, 3) }, .n_in = 1, .attrs.i = { 0 } },
    { .in = { MOTH_REALS(-1, 1, 2, 2, 5, 3) }, .n_in = 1, .attrs.i = { -1 } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(squeeze) = {
    RESHAPE_FIELDS(squeeze, "without the given dims of size 1 (all of them by default)"),
    .attrs = squeeze_attrs,
};

const moth_op MOTH_OP(unsqueeze) = {
    RESHAPE_FIELDS(unsqueeze, "with a new dim of size 1 at the given place"),
    .attrs = unsqueeze_attrs,
};

/* ---- permute, transpose ---- */

enum { PERMUTE_DIMS = 0, TRANSPOSE_A = 0, TRANSPOSE_B = 1 };

static moth_status permute_infer(moth_infer *q)
{
    const moth_meta *in = q->in[0];
    int64_t *dims = q->attrs->i + PERMUTE_DIMS;
    unsigned seen = 0;
    bool complete = dims[0] == in->rank;
    q->out[0].dtype = in->dtype;
    q->out[0].rank = in->rank;
    for (int d = 0; d < in->rank && complete; d++) {
        MOTH_TRY(moth_infer_dim(q, &dims[1 + d], in->rank));
        complete = !(seen >> dims[1 + d] & 1);
        seen |= 1u << dims[1 + d];
        q->out[0].shape[d] = in->shape[dims[1 + d]];
    }
    return complete ? check_batch(q) : moth_infer_fail(q, MOTH_ERR_ARGUMENT, "each dim must be named once");
}

static bool permute_view(const moth_attrs *attrs, const moth_meta *in, moth_meta *out)
{
    out->offset = in->offset;
    for (int d = 0; d < in->rank; d++) {
        out->stride[d] = in->stride[attrs->i[PERMUTE_DIMS + 1 + d]];
    }
    return true;
}

static void permute_gradient(moth_grad *g)
{
    const int64_t *dims = g->attrs->i + PERMUTE_DIMS;
    moth_attrs inverse = { .i = { dims[0] } };
    for (int64_t d = 0; d < dims[0]; d++) {
        inverse.i[PERMUTE_DIMS + 1 + dims[1 + d]] = d;
    }
    g->dx[0] = MOTH_EMIT(g->scope, &MOTH_OP(permute), &inverse, g->dy[0]);
}

static moth_status transpose_infer(moth_infer *q)
{
    int64_t *a = &q->attrs->i[TRANSPOSE_A], *b = &q->attrs->i[TRANSPOSE_B];
    MOTH_TRY(moth_infer_dim(q, a, q->in[0]->rank));
    MOTH_TRY(moth_infer_dim(q, b, q->in[0]->rank));
    q->out[0] = *q->in[0];
    q->out[0].shape[*a] = q->in[0]->shape[*b];
    q->out[0].shape[*b] = q->in[0]->shape[*a];
    return check_batch(q);
}

static bool transpose_view(const moth_attrs *attrs, const moth_meta *in, moth_meta *out)
{
    int64_t a = attrs->i[TRANSPOSE_A], b = attrs->i[TRANSPOSE_B];
    memcpy(out->stride, in->stride, sizeof out->stride);
    out->offset = in->offset;
    out->stride[a] = in->stride[b];
    out->stride[b] = in->stride[a];
    return true;
}

static void transpose_gradient(moth_grad *g)
{
    g->dx[0] = MOTH_EMIT(g->scope, &MOTH_OP(transpose), g->attrs, g->dy[0]);
}

static const moth_attr_spec permute_attrs[] = {
    { .name = "dims", .kind = MOTH_ATTR_DIMS, .slot = PERMUTE_DIMS },
    { .kind = MOTH_ATTR_END },
};
static const moth_attr_spec transpose_attrs[] = {
    { .name = "a", .kind = MOTH_ATTR_DIM, .slot = TRANSPOSE_A },
    { .name = "b", .kind = MOTH_ATTR_DIM, .slot = TRANSPOSE_B },
    { .kind = MOTH_ATTR_END },
};
static const moth_case permute_cases[] = {
    { .in = { MOTH_REALS(-1, 1, 0, 3, 3, 5, 2) }, .n_in = 1, .attrs.i = { 3, 2, 0, 1 } },
    { .in = { MOTH_REALS(-1, 1, 1, 2, 3, 5) }, .n_in = 1, .attrs.i = { 2, -1, 0 } },
    { .n_in = 0 },
};
static const moth_case transpose_cases[] = {
    { .in = { MOTH_REALS(-1, 1, 0, 3, 3, 5, 2) }, .n_in = 1, .attrs.i = { 0, 2 } },
    { .in = { MOTH_REALS(-1, 1, 2, 2, 3, 5) }, .n_in = 1, .attrs.i = { -1, -2 } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(permute) = {
    VIEW_FIELDS(permute, "dims in another order"),
    .attrs = permute_attrs,
    .view = permute_view,
    .gradient = permute_gradient,
};

const moth_op MOTH_OP(transpose) = {
    VIEW_FIELDS(transpose, "dims a and b exchanged"),
    .attrs = transpose_attrs,
    .view = transpose_view,
    .gradient = transpose_gradient,
};

/* ---- expand ---- */

static moth_status expand_infer(moth_infer *q)
{
    const int64_t *shape = q->attrs->i + SHAPE;
    const moth_meta *in = q->in[0];
    moth_meta *out = &q->out[0];
    MOTH_TRY(check_rank(q, shape[0]));
    int shift = (int)shape[0] - in->rank;
    bool fits = shift >= 0;
    out->dtype = in->dtype;
    out->rank = (int)shape[0];
    for (int d = 0; d < out->rank && fits; d++) {
        int64_t had = d < shift ? 1 : in->shape[d - shift];
        out->shape[d] = shape[1 + d] == INFER_SIZE ? had : shape[1 + d];
        fits = had == 1 || had == out->shape[d];
    }
    return fits ? check_batch(q) : moth_infer_fail(q, MOTH_ERR_SHAPE, "only new dims and dims of size 1 can grow");
}

static bool expand_view(const moth_attrs *attrs, const moth_meta *in, moth_meta *out)
{
    int shift = out->rank - in->rank;
    (void)attrs;
    out->offset = in->offset;
    for (int d = 0; d < out->rank; d++) {
        bool grown = d < shift || (in->shape[d - shift] == 1 && out->shape[d] != 1);
        out->stride[d] = grown ? 0 : in->stride[d - shift];
    }
    return true;
}

static void expand_gradient(moth_grad *g)
{
    g->dx[0] = moth_emit_sum_to(g->scope, g->dy[0], g->x[0]);
}

static const moth_case expand_cases[] = {
    { .in = { MOTH_REALS(-1, 1, 0, 2, 3, 1) }, .n_in = 1, .attrs.i = { 3, 2, INFER_SIZE, 5 } },
    { .in = { MOTH_REALS(-1, 1, 1, 2, 3, 5) }, .n_in = 1, .attrs.i = { 3, 7, 3, 5 } },
    { .in = { MOTH_REALS(-1, 1, 0, 0, 0) }, .n_in = 1, .attrs.i = { 2, 3, 5 } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(expand) = {
    VIEW_FIELDS(expand, "x repeated along new dims and dims of size 1, without a copy"),
    .attrs = reshape_attrs,
    .view = expand_view,
    .gradient = expand_gradient,
};
