#include "ops/walk.h"

#include <string.h>

void moth_walk_broadcast(const moth_arg *out, const moth_arg *operand, int64_t stride[MOTH_MAX_RANK])
{
    int shift = out->rank - operand->rank;
    for (int d = 0; d < out->rank; d++) {
        bool own = d >= shift && operand->shape[d - shift] != 1;
        stride[d] = own ? operand->stride[d - shift] : 0;
    }
}

/* May dim d of the walk be one with a dim of `n` elements and the strides `inner` behind it? */
static bool joins(const moth_walk *w, int d, int64_t n, const int64_t *inner)
{
    for (int k = 0; k < w->n_operands; k++) {
        if (w->stride[k][d] != inner[k] * n) {
            return false;
        }
    }
    return true;
}

static void push_dim(moth_walk *w, int64_t n, const int64_t *stride)
{
    if (w->rank > 0 && joins(w, w->rank - 1, n, stride)) {
        w->shape[w->rank - 1] *= n;
    } else {
        w->shape[w->rank++] = n;
    }
    for (int k = 0; k < w->n_operands; k++) {
        w->stride[k][w->rank - 1] = stride[k];
    }
}

bool moth_walk_open(moth_walk *w, int rank, const int64_t *shape, int n_operands, int64_t (*stride)[MOTH_MAX_RANK],
                    int64_t r0, int64_t r1)
{
    w->rank = 0;
    w->n_operands = n_operands;
    memset(w->index, 0, sizeof w->index);
    for (int k = 0; k < n_operands; k++) {
        w->at[k] = rank ? r0 * stride[k][0] : 0;
        w->step[k] = 0;
    }
    for (int d = 0; d < rank; d++) {
        int64_t n = d == 0 ? r1 - r0 : shape[d];
        int64_t of_dim[MOTH_WALK_OPERANDS];
        for (int k = 0; k < n_operands; k++) {
            of_dim[k] = stride[k][d];
        }
        if (n == 0) {
            return false;
        }
        if (n > 1) {
            push_dim(w, n, of_dim);
        }
    }
    w->n = 1;
    if (w->rank > 0) {
        w->rank--;
        w->n = w->shape[w->rank];
        for (int k = 0; k < n_operands; k++) {
            w->step[k] = w->stride[k][w->rank];
        }
    }
    return r1 > r0;
}

bool moth_walk_next(moth_walk *w)
{
    for (int d = w->rank - 1; d >= 0; d--) {
        bool more = ++w->index[d] < w->shape[d];
        for (int k = 0; k < w->n_operands; k++) {
            w->at[k] += more ? w->stride[k][d] : -w->stride[k][d] * (w->shape[d] - 1);
        }
        if (more) {
            return true;
        }
        w->index[d] = 0;
    }
    return false;
}

bool moth_walk_call(moth_walk *w, const moth_call *call, int64_t r0, int64_t r1)
{
    int64_t stride[MOTH_WALK_OPERANDS][MOTH_MAX_RANK];
    const moth_arg *out = &call->out[0];
    memcpy(stride[0], out->stride, sizeof stride[0]);
    for (int i = 0; i < call->n_in; i++) {
        moth_walk_broadcast(out, &call->in[i], stride[i + 1]);
    }
    return moth_walk_open(w, out->rank, out->shape, call->n_in + 1, stride, r0, r1);
}
