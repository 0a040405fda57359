/* batch_norm_sums: what the gradients of the batch normalizations add up over the batch.
 *
 *   x (…, C), dy (…, C), mean (C), var (C) -> sum dy (C), sum dy xhat (C), with xhat = (x - mean) / sqrt(var + epsilon)
 *
 * Pieces of the batch have sums of their own, which are added in order. */
#include "ops/norm.h"

static moth_status batch_norm_sums_infer(moth_infer *q)
{
    MOTH_TRY(moth_norm_infer_sums(q));
    for (int i = 2; i < 4; i++) {
        if (q->in[i]->rank != 1 || q->in[i]->shape[0] != q->out[0].shape[0]) {
            return moth_infer_fail(q, MOTH_ERR_SHAPE, "mean and var must have as many entries as the last dim of x");
        }
    }
    return MOTH_OK;
}

MOTH_NORM_SUMS(add_products, d, (v - mean[j]) * d)

static bool batch_norm_sums_piece(const moth_call *call, int phase, int64_t p, moth_worker *worker)
{
    (void)worker;
    moth_norm_cut t = moth_norm_cut_of(&call->in[0]);
    const moth_real *parts = (const moth_real *)(const void *)call->shared;
    if (phase == 0) {
        moth_norm_add_piece(call, p, add_products, false);
        return true;
    }
    int64_t end = min64(t.columns, (p + 1) * MOTH_NORM_ADD);
    for (int64_t c = p * MOTH_NORM_ADD; c < end; c++) {
        double scale = (double)moth_norm_scale(call->attrs, reals(&call->in[3]), NULL, c);
        reals(&call->out[0])[c] = (moth_real)moth_norm_join(parts, &t, c);
        reals(&call->out[1])[c] = (moth_real)(moth_norm_join(parts, &t, t.columns + c) * scale);
    }
    return true;
}

static const moth_case batch_norm_sums_cases[] = {
    { .in = { MOTH_REAL(2, 7, 33), MOTH_REAL(2, 7, 33), MOTH_REAL(1, 33), MOTH_REALS(0.5, 2, 0, 1, 33) },
      .n_in = 4,
      .attrs = { .f = { 1e-3 } } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(batch_norm_sums) = {
    .name = "batch_norm_sums",
    .doc = "Sums over all dims but the last of dy, and of dy times the normalized x.",
    .min_in = 4,
    .max_in = 4,
    .n_out = 2,
    .attrs = moth_norm_attrs,
    .infer = batch_norm_sums_infer,
    .n_phases = 2,
    .pieces = moth_norm_pieces,
    .piece = batch_norm_sums_piece,
    .shared_scratch = moth_norm_shared,
    .nodiff = "it is itself a part of gradients",
    .cases = MOTH_CASES(batch_norm_sums_cases),
};
