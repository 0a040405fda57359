#include "nn/emit.h"

moth_tensor *moth_emit_constant(moth_scope *scope, double value)
{
    moth_tensor *t;
    if (scope->status != MOTH_OK) {
        return NULL;
    }
    moth_status status = moth_tensor_new(scope->ctx, MOTH_FLOAT32, 0, NULL, &t);
    if (status != MOTH_OK) {
        moth_scope_fail(scope, status);
        return NULL;
    }
    moth_tensor_set_element(t, 0, value);
    return moth_scope_own(scope, t);
}

moth_tensor *moth_emit_scaled(moth_scope *scope, moth_tensor *x, double factor)
{
    return factor == 1 ? x : MOTH_DO(scope, mul, NULL, x, moth_emit_constant(scope, factor));
}

moth_tensor *moth_emit_shifted(moth_scope *scope, moth_tensor *x, double shift)
{
    return MOTH_DO(scope, add, NULL, x, moth_emit_constant(scope, shift));
}

moth_tensor *moth_emit_clamped(moth_scope *scope, moth_tensor *x, double low, double high)
{
    moth_attrs attrs = { .f = { low, high } };
    return MOTH_DO(scope, clamp, &attrs, x);
}

moth_tensor *moth_emit_sum(moth_scope *scope, moth_tensor *x)
{
    return MOTH_DO(scope, sum, NULL, x);
}

static moth_attrs last_dim(bool keepdim)
{
    moth_attrs attrs = { .i = { [MOTH_REDUCE_DIMS] = 1, [MOTH_REDUCE_DIMS + 1] = -1 } };
    attrs.i[MOTH_REDUCE_KEEPDIM] = keepdim;
    return attrs;
}

moth_tensor *moth_emit_sum_last(moth_scope *scope, moth_tensor *x, bool keepdim)
{
    moth_attrs attrs = last_dim(keepdim);
    return MOTH_DO(scope, sum, &attrs, x);
}

moth_tensor *moth_emit_mean_last(moth_scope *scope, moth_tensor *x)
{
    moth_attrs attrs = last_dim(false);
    return MOTH_DO(scope, mean, &attrs, x);
}

moth_tensor *moth_emit_mean_rows(moth_scope *scope, moth_tensor *x)
{
    if (!x || x->meta.rank < 2) {
        return x;
    }
    moth_attrs attrs = { .i = { [MOTH_REDUCE_DIMS] = x->meta.rank - 1 } };
    for (int d = 1; d < x->meta.rank; d++) {
        attrs.i[MOTH_REDUCE_DIMS + d] = d;
    }
    return MOTH_DO(scope, mean, &attrs, x);
}

moth_tensor *moth_emit_float(moth_scope *scope, moth_tensor *x)
{
    return !x || x->meta.dtype == MOTH_FLOAT32 ? x : MOTH_DO(scope, to, &(moth_attrs){ .i = { MOTH_FLOAT32 } }, x);
}

moth_tensor *moth_emit_ids(moth_scope *scope, moth_tensor *x)
{
    moth_attrs whole = { .i = { MOTH_INT32, true } };
    return !x || x->meta.dtype == MOTH_INT32 ? x : MOTH_DO(scope, to, &whole, x);
}

moth_tensor *moth_emit_reshape(moth_scope *scope, moth_tensor *x, int rank, const int64_t *shape)
{
    moth_attrs attrs = { .i = { rank } };
    for (int d = 0; d < rank; d++) {
        attrs.i[d + 1] = shape[d];
    }
    return MOTH_DO(scope, reshape, &attrs, x);
}
