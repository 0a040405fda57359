/* Helpers of gradient rules, and how rows are cut. */
#include "ops/op.h"

enum {
    MAX_OUTPUTS = 8,
    SLICE_ELEMENTS = 16384 /* 64 KB of floats: a slice and its results fit the second-level cache */
};

moth_tensor *moth_emit_op(moth_scope *scope, const moth_op *op, const moth_attrs *attrs, int n_in,
                          moth_tensor *const *in)
{
    moth_tensor *out[MAX_OUTPUTS];
    for (int i = 0; i < n_in; i++) {
        if (!in[i]) {
            return NULL;
        }
    }
    return scope->emit(scope, op, attrs, n_in, in, out) ? out[0] : NULL;
}

moth_tensor *moth_emit_sum_to(moth_scope *scope, moth_tensor *g, moth_tensor *like)
{
    if (!g || moth_meta_same_shape(&g->meta, &like->meta)) {
        return g;
    }
    moth_attrs attrs = { .i = { like->meta.rank } };
    for (int d = 0; d < like->meta.rank; d++) {
        attrs.i[1 + d] = like->meta.shape[d];
    }
    return moth_emit_op(scope, scope->ctx->ops[MOTH_OP_sum_to], &attrs, 1, &g);
}

int64_t moth_slice_rows(int64_t n, int64_t row_elements)
{
    int64_t tile_elements = MOTH_ROW_TILE * (row_elements > 0 ? row_elements : 1);
    int64_t rows = tile_elements < SLICE_ELEMENTS ? SLICE_ELEMENTS / tile_elements * MOTH_ROW_TILE : MOTH_ROW_TILE;
    return rows < n || n <= 0 ? rows : (n + MOTH_ROW_TILE - 1) / MOTH_ROW_TILE * MOTH_ROW_TILE;
}
