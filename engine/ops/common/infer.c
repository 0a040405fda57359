/* Helpers of shape rules: broadcasting, dims, types and the messages of their failures. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ops/op.h"

/* "; got (2, 3) and (4, 5)", at most four of them: a longer list says nothing more. */
static void append_shapes(char *text, size_t size, const moth_infer *q)
{
    for (int i = 0; i < q->n_in && i < 4; i++) {
        char shape[160];
        size_t used = strlen(text);
        bool last = i == q->n_in - 1 || i == 3;
        snprintf(text + used, size - used, "%s%s", i == 0 ? "; got " : (last ? " and " : ", "),
                 moth_meta_text(q->in[i], shape, sizeof shape));
    }
}

moth_status moth_infer_fail(moth_infer *q, moth_status status, const char *rule, ...)
{
    char text[MOTH_ERROR_SIZE];
    va_list args;
    va_start(args, rule);
    vsnprintf(text, sizeof text / 2, rule, args);
    va_end(args);
    append_shapes(text, sizeof text, q);
    return moth_fail(q->ctx, status, "%s: %s", q->op->name, text);
}

moth_status moth_infer_exact(moth_infer *q)
{
    return moth_infer_fail(q, MOTH_ERR_EXACT_BATCH, "needs the exact number of rows");
}

moth_status moth_infer_dim(moth_infer *q, int64_t *dim, int rank)
{
    int64_t d = *dim < 0 ? *dim + rank : *dim;
    if (d < 0 || d >= rank) {
        /* users count dims from 1, and from the end with negatives */
        return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "dim %lld is outside 1..%d",
                               (long long)(*dim < 0 ? *dim : *dim + 1), rank);
    }
    *dim = d;
    return MOTH_OK;
}

moth_status moth_infer_broadcast(moth_infer *q)
{
    moth_meta *out = &q->out[0];
    out->rank = 0;
    for (int i = 0; i < q->n_in; i++) {
        out->rank = q->in[i]->rank > out->rank ? q->in[i]->rank : out->rank;
    }
    for (int d = 0; d < out->rank; d++) {
        out->shape[d] = 1;
    }
    for (int i = 0; i < q->n_in; i++) {
        int shift = out->rank - q->in[i]->rank;
        for (int d = 0; d < q->in[i]->rank; d++) {
            int64_t n = q->in[i]->shape[d], *so_far = &out->shape[d + shift];
            if (n != 1 && *so_far != 1 && n != *so_far) {
                if (n < 0 || *so_far < 0) {
                    return moth_infer_exact(q); /* the rows of the run may happen to agree */
                }
                return moth_infer_fail(q, MOTH_ERR_SHAPE, "shapes must agree or be 1, counted from the last dim");
            }
            *so_far = *so_far == 1 ? n : *so_far;
        }
    }
    for (int d = 1; d < out->rank; d++) {
        if (out->shape[d] < 0) {
            return moth_infer_exact(q);
        }
    }
    return MOTH_OK;
}

moth_status moth_infer_types(moth_infer *q, unsigned mask)
{
    for (int i = 0; i < q->n_in; i++) {
        if (mask >> q->in[i]->dtype & 1) {
            continue;
        }
        char wanted[48] = "";
        for (int t = 0; t < 3; t++) {
            if (mask >> t & 1) {
                size_t used = strlen(wanted);
                snprintf(wanted + used, sizeof wanted - used, "%s%s", used ? " or " : "",
                         moth_dtype_name((moth_dtype)t));
            }
        }
        return moth_fail(q->ctx, MOTH_ERR_DTYPE, "%s: tensor %d must be %s; got %s", q->op->name, i + 1, wanted,
                         moth_dtype_name(q->in[i]->dtype));
    }
    return MOTH_OK;
}

moth_dtype moth_promote(moth_dtype a, moth_dtype b)
{
    if (a == MOTH_FLOAT32 || b == MOTH_FLOAT32) {
        return MOTH_FLOAT32;
    }
    return a == MOTH_INT32 || b == MOTH_INT32 ? MOTH_INT32 : MOTH_UINT8;
}
