/* Shapes of reductions. */
#include <string.h>

#include "ops/reduce.h"

const moth_attr_spec moth_reduce_attrs[] = {
    { .name = "dims", .kind = MOTH_ATTR_DIMS, .slot = MOTH_REDUCE_DIMS, .optional = true },
    { .name = "keepdim", .kind = MOTH_ATTR_BOOL, .slot = MOTH_REDUCE_KEEPDIM, .optional = true },
    { .kind = MOTH_ATTR_END },
};

unsigned moth_reduce_mask(const moth_attrs *attrs, int rank)
{
    unsigned mask = 0;
    for (int64_t k = 0; k < attrs->i[MOTH_REDUCE_DIMS]; k++) {
        mask |= 1u << attrs->i[MOTH_REDUCE_DIMS + 1 + k];
    }
    return attrs->i[MOTH_REDUCE_DIMS] == 0 ? (1u << rank) - 1 : mask;
}

moth_status moth_reduce_shape(moth_infer *q, int n_out)
{
    const moth_meta *in = q->in[0];
    int64_t *dims = q->attrs->i + MOTH_REDUCE_DIMS;
    unsigned seen = 0;
    if (dims[0] < 0 || dims[0] > MOTH_MAX_RANK) {
        return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "takes at most %d dims", MOTH_MAX_RANK);
    }
    for (int64_t k = 1; k <= dims[0]; k++) {
        MOTH_TRY(moth_infer_dim(q, &dims[k], in->rank));
        if (seen >> dims[k] & 1) {
            return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "dim %lld is named twice", (long long)dims[k] + 1);
        }
        seen |= 1u << dims[k];
    }
    unsigned mask = moth_reduce_mask(q->attrs, in->rank);
    bool keep = q->attrs->i[MOTH_REDUCE_KEEPDIM] != 0;
    for (int k = 0; k < n_out; k++) {
        moth_meta *out = &q->out[k];
        out->rank = 0;
        for (int d = 0; d < in->rank; d++) {
            if (!(mask >> d & 1)) {
                out->shape[out->rank++] = in->shape[d];
            } else if (keep) {
                out->shape[out->rank++] = 1;
            }
        }
    }
    return MOTH_OK;
}

bool moth_reduce_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)out;
    return in[i]->rank == 0 || (moth_reduce_mask(attrs, in[i]->rank) & 1) != 0;
}

static int bits_of(unsigned mask)
{
    int n = 0;
    for (; mask; mask &= mask - 1) {
        n++;
    }
    return n;
}

void moth_reduced_strides(const moth_arg *full, const moth_arg *reduced, unsigned mask, int64_t stride[MOTH_MAX_RANK])
{
    bool dropped = reduced->rank == full->rank - bits_of(mask);
    int shift = full->rank - reduced->rank, kept = 0;
    for (int d = 0; d < full->rank; d++) {
        bool gone = (mask >> d & 1) != 0;
        stride[d] = gone ? 0 : reduced->stride[dropped ? kept : d - shift];
        kept += !gone;
    }
}

int64_t moth_reduce_count(const moth_arg *in, unsigned mask)
{
    int64_t n = 1;
    for (int d = 0; d < in->rank; d++) {
        n *= mask >> d & 1 ? in->shape[d] : 1;
    }
    return n;
}

static void collect_reduced(moth_nest *s, const moth_arg *in, unsigned mask)
{
    s->rank = 0;
    for (int d = 0; d < in->rank; d++) {
        if (!(mask >> d & 1) || in->shape[d] == 1) {
            continue;
        }
        if (s->rank > 0 && s->stride[s->rank - 1] == in->stride[d] * in->shape[d]) {
            s->shape[s->rank - 1] *= in->shape[d];
        } else {
            s->shape[s->rank++] = in->shape[d];
        }
        s->stride[s->rank - 1] = in->stride[d];
    }
    if (s->rank == 0) {
        s->shape[0] = 1;
        s->stride[0] = 1;
        s->rank = 1;
    }
}

bool moth_nest_open(moth_nest *s, const moth_arg *in, const moth_arg *out, unsigned mask, int64_t r0, int64_t r1)
{
    int64_t stride[2][MOTH_MAX_RANK] = { { 0 } };
    bool dropped = out->rank == in->rank - bits_of(mask);
    int shift = in->rank - out->rank, last = -1;
    memcpy(stride[0], out->stride, sizeof stride[0]);
    for (int d = 0, kept = 0; d < in->rank; d++) {
        if (!(mask >> d & 1)) {
            stride[1][dropped ? kept : d - shift] = in->stride[d];
            last = in->shape[d] > 1 ? d : last;
            kept++;
        }
    }
    collect_reduced(s, in, mask);
    /* from the whole shape, not from this range of rows: the order of additions follows from it */
    s->columns = last >= 0 && in->stride[last] < s->stride[s->rank - 1];
    return moth_walk_open(&s->w, out->rank, out->shape, 2, stride, r0, r1);
}

bool moth_nest_next(const moth_nest *s, int rank, int64_t *index, int64_t *at)
{
    for (int d = rank - 1; d >= 0; d--) {
        *at += s->stride[d];
        if (++index[d] < s->shape[d]) {
            return true;
        }
        *at -= s->stride[d] * s->shape[d];
        index[d] = 0;
    }
    return false;
}
