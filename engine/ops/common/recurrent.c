/* Rules of the recurrent ops that are no part of what makes them fast: shapes, and the gradient of the recurrent
 * weight. */
#include "ops/recurrent.h"

/* kept (B, gates U): bytes, 1 where a state goes into the product of a gate; it is then divided by 1 - rate. */
static moth_status check_kept(moth_infer *q, int kept)
{
    const moth_meta *z = q->in[0];
    double rate = q->attrs->f[MOTH_CELL_RATE];
    if (!(rate >= 0 && rate <= 1)) {
        return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "the rate must lie in 0..1, not %g", rate);
    }
    if (!infer_has(q, kept)) {
        return MOTH_OK;
    }
    const moth_meta *k = q->in[kept];
    bool fits = k->dtype == MOTH_UINT8 && k->rank == 2 && k->shape[0] == z->shape[0] && k->shape[1] == z->shape[2];
    return fits ? MOTH_OK : moth_infer_fail(q, MOTH_ERR_SHAPE, "kept must be uint8 (b, %lld)", (long long)z->shape[2]);
}

static moth_status check_activations(moth_infer *q)
{
    for (int k = MOTH_CELL_ACTIVATION; k <= MOTH_CELL_RECURRENT_ACTIVATION; k++) {
        if (q->attrs->i[k] < 0 || q->attrs->i[k] >= MOTH_RECURRENT_ACTIVATIONS) {
            return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "unknown activation %lld", (long long)q->attrs->i[k]);
        }
    }
    return MOTH_OK;
}

moth_status moth_check_cell(moth_infer *q, int gates, int n_states, int kept)
{
    const moth_meta *z = q->in[0], *r = q->in[1];
    bool fits = z->rank == 3 && r->rank == 2 && r->shape[0] > 0 && r->shape[1] == gates * r->shape[0] &&
                z->shape[2] == r->shape[1];
    bool types = z->dtype == MOTH_FLOAT32 && r->dtype == MOTH_FLOAT32;
    for (int i = 2; i < 2 + n_states; i++) {
        if (infer_has(q, i)) {
            const moth_meta *h = q->in[i];
            fits = fits && h->rank == 2 && h->shape[0] == z->shape[0] && h->shape[1] == r->shape[0];
            types = types && h->dtype == MOTH_FLOAT32;
        }
    }
    if (infer_has(q, 2 + n_states)) {
        const moth_meta *mask = q->in[2 + n_states];
        fits = fits && mask->rank == 2 && mask->shape[0] == z->shape[0] && mask->shape[1] == z->shape[1];
        types = types && mask->dtype == MOTH_UINT8;
    }
    if (!types) {
        return moth_infer_fail(q, MOTH_ERR_DTYPE, "takes float32 tensors and a uint8 mask");
    }
    if (!fits) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE,
                               "takes z (b, t, %d u), recurrent (u, %d u), states (b, u) and a mask (b, t)", gates,
                               gates);
    }
    MOTH_TRY(check_kept(q, kept));
    return check_activations(q);
}

/* previous_steps; inputs in the middle may be absent. */
static moth_tensor *emit_previous(moth_scope *scope, const moth_attrs *attrs, int n_in, moth_tensor *const *in)
{
    moth_tensor *out[1];
    return scope->emit(scope, scope->ctx->ops[MOTH_OP_previous_steps], attrs, n_in, in, out) ? out[0] : NULL;
}

moth_tensor *moth_emit_recurrent_gradient(moth_grad *g, moth_tensor *states, moth_tensor *h0, int kept, moth_tensor *d,
                                          int gates)
{
    const int64_t n = states->meta.shape[2];
    moth_attrs attrs = { .i = { g->attrs->i[MOTH_CELL_REVERSE] }, .f = { g->attrs->f[MOTH_CELL_RATE] } };
    moth_tensor *in[] = { states, h0, grad_has(g, kept) ? g->x[kept] : NULL }, *blocks[4], *before;
    if (!in[2]) {
        before = emit_previous(g->scope, &attrs, h0 ? 2 : 1, in);
        return MOTH_EMIT(g->scope, g->scope->ctx->ops[MOTH_OP_weight_product], NULL, before, d);
    }
    for (int k = 0; k < gates; k++) { /* each gate kept states of its own */
        moth_attrs block = { .i = { 2, k * n, (k + 1) * n } };
        attrs.i[1] = k;
        before = emit_previous(g->scope, &attrs, 3, in);
        blocks[k] = MOTH_EMIT(g->scope, g->scope->ctx->ops[MOTH_OP_weight_product], NULL, before,
                              MOTH_EMIT(g->scope, g->scope->ctx->ops[MOTH_OP_slice], &block, d));
    }
    return moth_emit_op(g->scope, g->scope->ctx->ops[MOTH_OP_cat], &(moth_attrs){ .i = { 1 } }, gates, blocks);
}
