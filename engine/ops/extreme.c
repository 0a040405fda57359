/* The largest or smallest element over dims and its position (0-based; row-major among the reduced dims). The first
 * of equals wins; a NaN wins over every number. x (…) -> values of x's type, positions int32. */
#include <string.h>

#include "ops/reduce.h"

static const moth_case extreme_cases[] = {
    { .in = { MOTH_REALS(-2, 2, 0, 2, 3, 5) }, .n_in = 1 },
    { .in = { MOTH_REALS(-2, 2, 0, 2, 7, 5) }, .n_in = 1, .attrs.i = { 1, 0 } },
    { .in = { MOTH_REALS(-2, 2, 0, 3, 3, 5, 7) }, .n_in = 1, .attrs.i = { 1, 2, [MOTH_REDUCE_KEEPDIM] = 1 } },
    { .in = { MOTH_REALS(-2, 2, 1, 3, 3, 5, 4) }, .n_in = 1, .attrs.i = { 2, 0, 2 } },
    { .in = { MOTH_REALS(-2, 2, 2, 2, 5, 3) }, .n_in = 1, .attrs.i = { 1, -1 } },
    { .in = { MOTH_REALS(-2, 2, 0, 0, 0) }, .n_in = 1 },
    { .in = { MOTH_IN(MOTH_INT32, -3, 3, 1, 2, 5, 33) }, .n_in = 1, .attrs.i = { 1, 1 } },
    { .in = { MOTH_IN(MOTH_UINT8, 0, 3, 0, 2, 5, 3) }, .n_in = 1, .attrs.i = { 1, 0 } },
    { .n_in = 0 },
};

/* ---- kernel ---- */

/* sign = 1 looks for the largest, -1 for the smallest */
static inline bool better(double x, double best, double sign)
{
    return (sign * x > sign * best) | ((x != x) & (best == best)); /* no branches: becomes vector code */
}

/* Many outputs at a time: element k of each of n neighbouring outputs. */
static void extreme_columns(const moth_nest *s, const moth_arg *in, int64_t at, int64_t n, double sign, double *best,
                            int32_t *where)
{
    double buffer[MOTH_REDUCE_CHUNK];
    int64_t index[MOTH_MAX_RANK] = { 0 };
    int32_t position = 0;
    memcpy(best, moth_fetch_converted(in, at, s->w.step[1], n, buffer), (size_t)n * sizeof *best);
    memset(where, 0, (size_t)n * sizeof *where);
    do {
        const double *x = moth_fetch_converted(in, at, s->w.step[1], n, buffer);
        for (int64_t c = 0; c < n; c++) {
            const double v = x[c], b = best[c];
            const bool wins = better(v, b, sign);
            best[c] = wins ? v : b;
            where[c] = wins ? position : where[c];
        }
        position++;
    } while (moth_nest_next(s, s->rank, index, &at));
}

static void extreme_one(const moth_nest *s, const moth_arg *in, int64_t at, double sign, double *best, int32_t *where)
{
    double buffer[MOTH_REDUCE_CHUNK];
    int64_t index[MOTH_MAX_RANK] = { 0 };
    int64_t length = s->shape[s->rank - 1], step = s->stride[s->rank - 1];
    int32_t position = 0;
    do {
        for (int64_t i = 0; i < length; i += MOTH_REDUCE_CHUNK) {
            int64_t n = length - i < MOTH_REDUCE_CHUNK ? length - i : MOTH_REDUCE_CHUNK;
            const double *x = moth_fetch_converted(in, at + i * step, step, n, buffer);
            for (int64_t k = 0; k < n; k++, position++) {
                if (position == 0 || better(x[k], *best, sign)) {
                    *best = x[k];
                    *where = position;
                }
            }
        }
    } while (moth_nest_next(s, s->rank - 1, index, &at));
}

static void store_values(const moth_arg *out, int64_t at, int64_t n, const double *best)
{
    for (int64_t c = 0; c < n; c++) {
        if (out->dtype == MOTH_FLOAT32) {
            ((moth_real *)(void *)out->data)[at + c] = (moth_real)best[c];
        } else if (out->dtype == MOTH_INT32) {
            ((int32_t *)(void *)out->data)[at + c] = (int32_t)best[c];
        } else {
            ((uint8_t *)out->data)[at + c] = (uint8_t)best[c];
        }
    }
}

/* values may be NULL */
static bool extreme_rows(const moth_call *call, int64_t r0, int64_t r1, double sign, const moth_arg *values,
                         const moth_arg *positions)
{
    moth_nest s;
    double best[MOTH_REDUCE_CHUNK];
    int32_t where[MOTH_REDUCE_CHUNK];
    const moth_arg *in = &call->in[0];
    if (!moth_nest_open(&s, in, positions, moth_reduce_mask(call->attrs, in->rank), r0, r1)) {
        return true;
    }
    do {
        for (int64_t i = 0; i < s.w.n; i += MOTH_REDUCE_CHUNK) {
            int64_t n = s.w.n - i < MOTH_REDUCE_CHUNK ? s.w.n - i : MOTH_REDUCE_CHUNK;
            int64_t at = s.w.at[1] + i * s.w.step[1];
            if (s.columns) {
                extreme_columns(&s, in, at, n, sign, best, where);
            }
            for (int64_t c = 0; c < n && !s.columns; c++) {
                extreme_one(&s, in, at + c * s.w.step[1], sign, &best[c], &where[c]);
            }
            memcpy((int32_t *)(void *)positions->data + s.w.at[0] + i, where, (size_t)n * sizeof *where);
            if (values) {
                store_values(values, s.w.at[0] + i, n, best);
            }
        }
    } while (moth_walk_next(&s.w));
    return true;
}

/* ---- shape rules ---- */

static moth_status positions_shape(moth_infer *q, int n_out)
{
    MOTH_TRY(moth_reduce_shape(q, n_out));
    const moth_meta *in = q->in[0];
    unsigned mask = moth_reduce_mask(q->attrs, in->rank);
    int64_t count = 1;
    for (int d = 0; d < in->rank; d++) {
        count *= mask >> d & 1 ? in->shape[d] : 1;
    }
    if (count == 0) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "needs at least one element");
    }
    if (count > INT32_MAX || count < -INT32_MAX) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "has more elements than an int32 position can name");
    }
    return MOTH_OK;
}

static moth_status extreme_infer(moth_infer *q)
{
    q->out[0].dtype = q->in[0]->dtype;
    q->out[1].dtype = MOTH_INT32;
    return positions_shape(q, 2);
}

static moth_status arg_infer(moth_infer *q)
{
    q->out[0].dtype = MOTH_INT32;
    return positions_shape(q, 1);
}

/* ---- gradient: dy at the position, 0 elsewhere; in: dy, positions ---- */

enum { GRAD_RANK = 11, GRAD_SHAPE = 12 }; /* shape of x, behind the slots of a reduction */

static moth_status extreme_grad_infer(moth_infer *q)
{
    q->out[0].dtype = MOTH_FLOAT32;
    q->out[0].rank = (int)q->attrs->i[GRAD_RANK];
    memcpy(q->out[0].shape, q->attrs->i + GRAD_SHAPE, (size_t)q->out[0].rank * sizeof(int64_t));
    return MOTH_OK;
}

static bool extreme_grad_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)in;
    (void)i;
    return out->rank == 0 || (moth_reduce_mask(attrs, out->rank) & 1) != 0;
}

static bool extreme_grad_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    moth_walk w;
    int64_t stride[4][MOTH_MAX_RANK] = { { 0 } };
    const moth_arg *out = &call->out[0];
    unsigned mask = moth_reduce_mask(call->attrs, out->rank);
    (void)worker;
    memcpy(stride[0], out->stride, sizeof stride[0]);
    moth_reduced_strides(out, &call->in[0], mask, stride[1]);
    moth_reduced_strides(out, &call->in[1], mask, stride[2]);
    /* operand 3 is no memory: its place is the position of an element among the reduced ones */
    for (int64_t d = out->rank - 1, step = 1; d >= 0; d--) {
        stride[3][d] = mask >> d & 1 ? step : 0;
        step *= mask >> d & 1 ? out->shape[d] : 1;
    }
    if (!moth_walk_open(&w, out->rank, out->shape, 4, stride, r0, r1)) {
        return true;
    }
    do {
        moth_real *dx = (moth_real *)(void *)out->data + w.at[0];
        const moth_real *dy = (const moth_real *)(const void *)call->in[0].data + w.at[1];
        const int32_t *where = (const int32_t *)(const void *)call->in[1].data + w.at[2];
        for (int64_t i = 0; i < w.n; i++) {
            dx[i] = where[i * w.step[2]] == w.at[3] + i * w.step[3] ? dy[i * w.step[1]] : 0;
        }
    } while (moth_walk_next(&w));
    return true;
}

static const moth_op extreme_grad = {
    .name = "extreme_grad",
    .doc = "Gradient of max and min.",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .infer = extreme_grad_infer,
    .whole = extreme_grad_whole,
    .rows = extreme_grad_rows,
    .strided_in = 3,
    .nodiff = "second derivatives are not supported",
};

static void extreme_gradient(moth_grad *g)
{
    const moth_meta *x = &g->x[0]->meta;
    moth_attrs attrs = *g->attrs;
    attrs.i[GRAD_RANK] = x->rank;
    memcpy(attrs.i + GRAD_SHAPE, x->shape, (size_t)x->rank * sizeof x->shape[0]);
    g->dx[0] = MOTH_EMIT(g->scope, &extreme_grad, &attrs, g->dy[0], g->y[1]);
}

/* ---- the ops ---- */

#define EXTREME_FIELDS(name_, doc_)                                                                             \
    .name = #name_, .doc = doc_, .min_in = 1, .max_in = 1, .flags = MOTH_OP_METHOD, .attrs = moth_reduce_attrs, \
    .whole = moth_reduce_whole, .rows = name_##_rows, .strided_in = 1, .cases = MOTH_CASES(extreme_cases)

#define EXTREME(name_, arg_name, sign, word)                                                        \
    static bool name_##_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)    \
    {                                                                                               \
        (void)worker;                                                                               \
        return extreme_rows(call, r0, r1, sign, &call->out[0], &call->out[1]);                      \
    }                                                                                               \
    static bool arg_name##_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker) \
    {                                                                                               \
        (void)worker;                                                                               \
        return extreme_rows(call, r0, r1, sign, NULL, &call->out[0]);                               \
    }                                                                                               \
    const moth_op MOTH_OP(name_) = {                                                                \
        EXTREME_FIELDS(name_, "the " word " element over dims (all by default), and its position"), \
        .n_out = 2,                                                                                 \
        .infer = extreme_infer,                                                                     \
        .gradient = extreme_gradient,                                                               \
        .saves_out = 2,                                                                             \
    };                                                                                              \
    const moth_op MOTH_OP(arg_name) = {                                                             \
        EXTREME_FIELDS(arg_name, "position of the " word " element over dims (all by default)"),    \
        .n_out = 1,                                                                                 \
        .infer = arg_infer,                                                                         \
        .nodiff = "positions are integers",                                                         \
    };

EXTREME(max, argmax, 1, "largest")
EXTREME(min, argmin, -1, "smallest")
