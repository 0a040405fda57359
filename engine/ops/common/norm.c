/* Attributes and shape rule of the normalization ops. */
#include "ops/norm.h"

const moth_attr_spec moth_norm_attrs[] = {
    { .name = "epsilon", .kind = MOTH_ATTR_FLOAT, .slot = MOTH_NORM_EPSILON, .optional = true, .fallback = 1e-3 },
    { .kind = MOTH_ATTR_END },
};

moth_status moth_norm_infer(moth_infer *q)
{
    const moth_meta *x = q->in[0];
    MOTH_TRY(moth_infer_types(q, MOTH_FLOAT_ONLY));
    if (!(q->attrs->f[MOTH_NORM_EPSILON] >= 0)) {
        return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "epsilon must be at least 0");
    }
    if (x->rank < 2) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "takes x of at least two dims");
    }
    int64_t columns = x->shape[x->rank - 1];
    if (columns < 0) {
        return moth_infer_exact(q);
    }
    if (columns == 0) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "the last dim of x must be at least 1");
    }
    for (int i = 1; i < q->n_in; i++) {
        if (infer_has(q, i) && (q->in[i]->rank != 1 || q->in[i]->shape[0] != columns)) {
            return moth_infer_fail(q, MOTH_ERR_SHAPE, "tensor %d must have %lld entries, as the last dim of x", i + 1,
                                   (long long)columns);
        }
    }
    out_like(&q->out[0], x);
    return MOTH_OK;
}

moth_status moth_norm_infer_sums(moth_infer *q)
{
    MOTH_TRY(moth_infer_types(q, MOTH_FLOAT_ONLY));
    const moth_meta *x = q->in[0];
    if (x->rank < 2 || !moth_meta_same_shape(x, q->in[1])) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "takes x and a gradient of its shape");
    }
    for (int k = 0; k < 2; k++) {
        q->out[k].dtype = MOTH_FLOAT32;
        q->out[k].rank = 1;
        q->out[k].shape[0] = x->shape[x->rank - 1];
    }
    return MOTH_OK;
}
