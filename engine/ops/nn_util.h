/* Small helpers that the kernels and shape rules of the network ops share. */
#ifndef MOTH_OPS_NN_UTIL_H
#define MOTH_OPS_NN_UTIL_H

#include "ops/op.h"

#define MOTH_FLOAT_ONLY (1u << MOTH_FLOAT32)
#define MOTH_ANY_TYPE (1u << MOTH_FLOAT32 | 1u << MOTH_INT32 | 1u << MOTH_UINT8)

static inline int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Product of shape[from .. to-1]; right for negative first dims too. */
static inline int64_t span(const int64_t *shape, int from, int to)
{
    int64_t n = 1;
    for (int d = from; d < to; d++) {
        n *= shape[d];
    }
    return n;
}

static inline moth_real *reals(const moth_arg *a)
{
    return (moth_real *)(void *)a->data;
}

/* Elements of one row (dim 0) of an argument; 1 for rank 0. */
static inline int64_t row_elements(const moth_arg *a)
{
    return a->rank > 0 ? span(a->shape, 1, a->rank) : 1;
}

/* Is optional input i there? Shape rules see an absent one as a shape without dims; so a tensor without dims counts as
 * absent everywhere. */
static inline bool infer_has(const moth_infer *q, int i)
{
    return i < q->n_in && q->in[i]->rank > 0;
}

static inline bool call_has(const moth_call *call, int i)
{
    return i < call->n_in && call->in[i].data != NULL && call->in[i].rank > 0;
}

static inline bool grad_has(const moth_grad *g, int i)
{
    return i < g->n_in && g->x[i] != NULL && g->x[i]->meta.rank > 0;
}

static inline void out_like(moth_meta *out, const moth_meta *like)
{
    out->dtype = like->dtype;
    out->rank = like->rank;
    for (int d = 0; d < like->rank; d++) {
        out->shape[d] = like->shape[d];
    }
}

/* A shape rule: the output is as the first input. */
static inline moth_status infer_like_first(moth_infer *q)
{
    out_like(&q->out[0], q->in[0]);
    return MOTH_OK;
}

/* Divides scratch memory into parts of 64-byte alignment. Without memory it only adds up what is needed. */
typedef struct carver {
    char *memory;
    size_t used;
} carver;

static inline void *carve(carver *c, int64_t n, size_t size)
{
    char *part = c->memory ? c->memory + c->used : NULL;
    c->used += ((size_t)n * size + 63) & ~(size_t)63;
    return part;
}

/* A list attribute in `slot` (its length) and the slots behind it: n entries of `least` .. 2^31 - 1, all `fallback`
 * where the list is empty. */
static inline moth_status infer_list(moth_infer *q, const char *name, int slot, int n, int64_t least, int64_t fallback)
{
    int64_t *list = q->attrs->i + slot;
    if (list[0] == 0) {
        for (int k = 1; k <= n; k++) {
            list[k] = fallback;
        }
        list[0] = n;
    }
    bool good = list[0] == n;
    for (int k = 1; good && k <= n; k++) {
        good = list[k] >= least && list[k] <= INT32_MAX;
    }
    return good ? MOTH_OK
                : moth_infer_fail(q, MOTH_ERR_ARGUMENT, "%s must be %d numbers from %lld to 2^31 - 1", name, n,
                                  (long long)least);
}

/* A shape rule of row-wise ops whose inputs lie row by row beside the output although ranks differ. */
static inline bool whole_none(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)attrs;
    (void)in;
    (void)out;
    (void)i;
    return false;
}

static inline bool whole_all(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)attrs;
    (void)in;
    (void)out;
    (void)i;
    return true;
}

/* Only input 0 lies row by row beside the output. */
static inline bool whole_but_first(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)attrs;
    (void)in;
    (void)out;
    return i != 0;
}

#endif
