/* Reductions over dims: sum, mean, prod, all, any; sum_to, which undoes broadcasting; spread, which undoes a reduction
 * in gradients. x (…) -> y without the reduced dims, or with 1 in their place. Sums run in double over blocks, so that
 * a million elements keep full accuracy. */
#include <stdio.h>
#include <string.h>

#include "ops/reduce.h"

static const moth_case reduce_cases[] = {
    { .in = { MOTH_REALS(-2, 2, 0, 2, 3, 5) }, .n_in = 1 },
    { .in = { MOTH_REALS(-2, 2, 0, 2, 7, 5) }, .n_in = 1, .attrs.i = { 1, 0 } },
    { .in = { MOTH_REALS(-2, 2, 0, 3, 3, 5, 7) }, .n_in = 1, .attrs.i = { 1, 2, [MOTH_REDUCE_KEEPDIM] = 1 } },
    { .in = { MOTH_REALS(-2, 2, 1, 3, 3, 5, 4) }, .n_in = 1, .attrs.i = { 2, 0, 2 } },
    { .in = { MOTH_REALS(-2, 2, 1, 3, 3, 5, 4) }, .n_in = 1, .attrs.i = { 1, 1, [MOTH_REDUCE_KEEPDIM] = 1 } },
    { .in = { MOTH_REALS(-2, 2, 2, 2, 5, 1) }, .n_in = 1, .attrs.i = { 1, -1 } },
    { .in = { MOTH_REALS(-2, 2, 0, 0, 0) }, .n_in = 1 },
    { .in = { MOTH_IN(MOTH_INT32, -3, 3, 1, 2, 5, 3) }, .n_in = 1, .attrs.i = { 1, 0 } },
    { .in = { MOTH_IN(MOTH_UINT8, 0, 1, 0, 2, 5, 3) }, .n_in = 1, .attrs.i = { 1, 1 } },
    { .n_in = 0 },
};

/* ---- kernels ---- */

/* Results in double become elements of the output. */
static bool store(const moth_arg *out, int64_t at, int64_t n, const double *acc, double scale, moth_worker *worker)
{
    if (out->dtype == MOTH_FLOAT32) {
        moth_real *to = (moth_real *)(void *)out->data + at;
        for (int64_t c = 0; c < n; c++) {
            to[c] = (moth_real)(acc[c] * scale);
        }
        return true;
    }
    for (int64_t c = 0; c < n; c++) {
        if (!(acc[c] >= -2147483648.0 && acc[c] <= 2147483647.0)) {
            snprintf(worker->fault, sizeof worker->fault, "the result %.0f does not fit int32", acc[c]);
            return false;
        }
        if (out->dtype == MOTH_INT32) {
            ((int32_t *)(void *)out->data)[at + c] = (int32_t)acc[c];
        } else {
            ((uint8_t *)out->data)[at + c] = (uint8_t)acc[c];
        }
    }
    return true;
}

static bool reduce_rows(const moth_call *call, const moth_arg *out, unsigned mask, const moth_reducer *f, double scale,
                        int64_t r0, int64_t r1, moth_worker *worker)
{
    moth_nest s;
    double acc[MOTH_REDUCE_CHUNK];
    const moth_arg *in = &call->in[0];
    if (!moth_nest_open(&s, in, out, mask, r0, r1)) {
        return true;
    }
    bool good = true;
    do {
        for (int64_t i = 0; i < s.w.n && good; i += MOTH_REDUCE_CHUNK) {
            int64_t n = s.w.n - i < MOTH_REDUCE_CHUNK ? s.w.n - i : MOTH_REDUCE_CHUNK;
            moth_reduce_chunk(&s, in, s.w.at[1] + i * s.w.step[1], n, f, NULL, acc);
            good = store(out, s.w.at[0] + i, n, acc, scale, worker);
        }
    } while (good && moth_walk_next(&s.w));
    return good;
}

static moth_status sum_infer(moth_infer *q)
{
    q->out[0].dtype = q->in[0]->dtype == MOTH_FLOAT32 ? MOTH_FLOAT32 : MOTH_INT32;
    return moth_reduce_shape(q, 1);
}

static moth_status mean_infer(moth_infer *q)
{
    q->out[0].dtype = MOTH_FLOAT32;
    return moth_reduce_shape(q, 1);
}

static moth_status test_infer(moth_infer *q)
{
    q->out[0].dtype = MOTH_UINT8;
    return moth_reduce_shape(q, 1);
}

static bool sum_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    unsigned mask = moth_reduce_mask(call->attrs, call->in[0].rank);
    return reduce_rows(call, &call->out[0], mask, &moth_sum_reducer, 1, r0, r1, worker);
}

static bool mean_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    unsigned mask = moth_reduce_mask(call->attrs, call->in[0].rank);
    double scale = 1.0 / (double)moth_reduce_count(&call->in[0], mask);
    return reduce_rows(call, &call->out[0], mask, &moth_sum_reducer, scale, r0, r1, worker);
}

/* ---- spread: dy of a reduction laid out over the shape of x, times a factor ---- */

enum { SPREAD_SHAPE = 0, SPREAD_MASK = 9, SPREAD_MEAN = 10 };

static moth_status spread_infer(moth_infer *q)
{
    const int64_t *shape = q->attrs->i + SPREAD_SHAPE;
    const moth_meta *in = q->in[0];
    unsigned mask = (unsigned)q->attrs->i[SPREAD_MASK];
    bool keep = in->rank == shape[0], fits = true;
    int kept = 0;
    q->out[0].dtype = MOTH_FLOAT32;
    q->out[0].rank = (int)shape[0];
    for (int d = 0; d < q->out[0].rank && fits; d++) {
        bool gone = (mask >> d & 1) != 0;
        q->out[0].shape[d] = shape[1 + d];
        if (keep || !gone) {
            fits = kept < in->rank && in->shape[kept] == (gone ? 1 : shape[1 + d]);
            kept++;
        }
    }
    if (!fits || kept != in->rank) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "the tensor is no reduction of the wanted shape");
    }
    return moth_infer_types(q, 1u << MOTH_FLOAT32);
}

static bool spread_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)in;
    (void)out;
    (void)i;
    return (attrs->i[SPREAD_MASK] & 1) != 0 || attrs->i[SPREAD_SHAPE] == 0;
}

static bool spread_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    moth_walk w;
    int64_t stride[2][MOTH_MAX_RANK];
    const moth_arg *out = &call->out[0];
    unsigned mask = (unsigned)call->attrs->i[SPREAD_MASK];
    int64_t count = call->attrs->i[SPREAD_MEAN] ? moth_reduce_count(out, mask) : 1;
    moth_real scale = (moth_real)(call->attrs->f[0] / (double)count);
    (void)worker;
    memcpy(stride[0], out->stride, sizeof stride[0]);
    moth_reduced_strides(out, &call->in[0], mask, stride[1]);
    if (!moth_walk_open(&w, out->rank, out->shape, 2, stride, r0, r1)) {
        return true;
    }
    do {
        moth_real *to = (moth_real *)(void *)out->data + w.at[0];
        const moth_real *from = (const moth_real *)(const void *)call->in[0].data + w.at[1];
        const moth_real first = from[0] * scale;
        for (int64_t i = 0; i < w.n; i++) {
            to[i] = w.step[1] ? from[i * w.step[1]] * scale : first;
        }
    } while (moth_walk_next(&w));
    return true;
}

static const moth_case spread_cases[] = {
    { .in = { MOTH_REALS(-2, 2, 0, 2, 3, 7) },
      .n_in = 1,
      .attrs = { .i = { 3, 3, 5, 7, [SPREAD_MASK] = 2, [SPREAD_MEAN] = 1 }, .f = { 1 } } },
    { .in = { MOTH_REALS(-2, 2, 1, 2, 5, 7) },
      .n_in = 1,
      .attrs = { .i = { 3, 3, 5, 7, [SPREAD_MASK] = 1 }, .f = { 2 } } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(spread) = {
    .name = "spread",
    .doc = "a reduced tensor laid out over the shape it came from, times a factor (over the number of elements)",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .infer = spread_infer,
    .whole = spread_whole,
    .rows = spread_rows,
    .strided_in = 1,
    .nodiff = "part of gradients only",
    .cases = MOTH_CASES(spread_cases),
};

moth_tensor *MOTH_EMIT_SPREAD(moth_grad *g, moth_tensor *reduced, double factor, bool mean)
{
    const moth_meta *x = &g->x[0]->meta;
    moth_attrs attrs = { .i = { x->rank, [SPREAD_MASK] = moth_reduce_mask(g->attrs, x->rank), [SPREAD_MEAN] = mean },
                         .f = { factor } };
    memcpy(attrs.i + SPREAD_SHAPE + 1, x->shape, (size_t)x->rank * sizeof x->shape[0]);
    return MOTH_EMIT(g->scope, &MOTH_OP(spread), &attrs, reduced);
}

/* ---- sum, mean ---- */

static void sum_gradient(moth_grad *g)
{
    g->dx[0] = MOTH_EMIT_SPREAD(g, g->dy[0], 1, false);
}

static void mean_gradient(moth_grad *g)
{
    g->dx[0] = MOTH_EMIT_SPREAD(g, g->dy[0], 1, true);
}

#define REDUCE_FIELDS(name_, doc_)                                                                              \
    .name = #name_, .doc = doc_, .min_in = 1, .max_in = 1, .flags = MOTH_OP_METHOD, .attrs = moth_reduce_attrs, \
    .whole = moth_reduce_whole, .rows = name_##_rows, .strided_in = 1

const moth_op MOTH_OP(sum) = {
    REDUCE_FIELDS(sum, "sum over dims (all by default); integers give int32"),
    .n_out = 1,
    .infer = sum_infer,
    .gradient = sum_gradient,
    .cases = MOTH_CASES(reduce_cases),
};

const moth_op MOTH_OP(mean) = {
    REDUCE_FIELDS(mean, "mean over dims (all by default)"),
    .n_out = 1,
    .infer = mean_infer,
    .gradient = mean_gradient,
    .cases = MOTH_CASES(reduce_cases),
};

/* ---- all, any ---- */

#define TEST_REDUCER(name_, update, identity)                                                     \
    static void name_##_columns(int64_t n, double *acc, const double *x, const double *centre)    \
    {                                                                                             \
        (void)centre;                                                                             \
        for (int64_t c = 0; c < n; c++) {                                                         \
            const double a = acc[c], b = x[c] != 0;                                               \
            acc[c] = (update);                                                                    \
        }                                                                                         \
    }                                                                                             \
    static double name_##_join(double a, double b)                                                \
    {                                                                                             \
        return (update);                                                                          \
    }                                                                                             \
    static double name_##_run(int64_t n, const double *x, double centre)                          \
    {                                                                                             \
        double a = (identity);                                                                    \
        (void)centre;                                                                             \
        for (int64_t i = 0; i < n; i++) {                                                         \
            a = name_##_join(a, x[i] != 0);                                                       \
        }                                                                                         \
        return a;                                                                                 \
    }                                                                                             \
    static const moth_reducer name_##_reducer = {                                                 \
        .start = (identity), .columns = name_##_columns, .run = name_##_run, .join = name_##_join \
    };                                                                                            \
    static bool name_##_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)  \
    {                                                                                             \
        unsigned mask = moth_reduce_mask(call->attrs, call->in[0].rank);                          \
        return reduce_rows(call, &call->out[0], mask, &name_##_reducer, 1, r0, r1, worker);       \
    }                                                                                             \
    const moth_op MOTH_OP(name_) = {                                                              \
        REDUCE_FIELDS(name_, "1 where " #name_ " elements over dims differ from 0, else 0"),      \
        .n_out = 1,                                                                               \
        .infer = test_infer,                                                                      \
        .nodiff = "the result is a uint8 0 or 1",                                                 \
        .cases = MOTH_CASES(reduce_cases),                                                        \
    };

TEST_REDUCER(all, (a * b), 1)
TEST_REDUCER(any, a + b - a * b, 0)

/* ---- prod ---- */

/* Hidden outputs: the product of the elements that are not 0, and the number of those that are 0: enough for a
 * gradient that is right at zeros. */
enum { PROD_NONZERO = 1, PROD_ZEROS = 2 };

#define PRODUCT_REDUCER(name_, term, update, identity)                                            \
    static double name_##_join(double a, double b)                                                \
    {                                                                                             \
        return (update);                                                                          \
    }                                                                                             \
    static void name_##_columns(int64_t n, double *acc, const double *x, const double *centre)    \
    {                                                                                             \
        (void)centre;                                                                             \
        for (int64_t c = 0; c < n; c++) {                                                         \
            const double v = x[c];                                                                \
            acc[c] = name_##_join(acc[c], (term));                                                \
        }                                                                                         \
    }                                                                                             \
    static double name_##_run(int64_t n, const double *x, double centre)                          \
    {                                                                                             \
        double a = (identity);                                                                    \
        (void)centre;                                                                             \
        for (int64_t i = 0; i < n; i++) {                                                         \
            const double v = x[i];                                                                \
            a = name_##_join(a, (term));                                                          \
        }                                                                                         \
        return a;                                                                                 \
    }                                                                                             \
    static const moth_reducer name_##_reducer = {                                                 \
        .start = (identity), .columns = name_##_columns, .run = name_##_run, .join = name_##_join \
    };

PRODUCT_REDUCER(product, v, (a * b), 1)
PRODUCT_REDUCER(nonzero, v == 0 ? 1 : v, (a * b), 1)
PRODUCT_REDUCER(zeros, v == 0, a + b, 0)

static moth_status prod_infer(moth_infer *q)
{
    q->out[0].dtype = q->in[0]->dtype == MOTH_FLOAT32 ? MOTH_FLOAT32 : MOTH_INT32;
    q->out[PROD_NONZERO].dtype = MOTH_FLOAT32;
    q->out[PROD_ZEROS].dtype = MOTH_INT32;
    return moth_reduce_shape(q, 3);
}

static bool prod_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    unsigned mask = moth_reduce_mask(call->attrs, call->in[0].rank);
    return reduce_rows(call, &call->out[0], mask, &product_reducer, 1, r0, r1, worker) &&
           reduce_rows(call, &call->out[PROD_NONZERO], mask, &nonzero_reducer, 1, r0, r1, worker) &&
           reduce_rows(call, &call->out[PROD_ZEROS], mask, &zeros_reducer, 1, r0, r1, worker);
}

/* in: x, dy, product of the others, number of zeros */
static bool prod_grad_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    moth_walk w;
    int64_t stride[5][MOTH_MAX_RANK];
    const moth_arg *out = &call->out[0];
    unsigned mask = moth_reduce_mask(call->attrs, out->rank);
    (void)worker;
    memcpy(stride[0], out->stride, sizeof stride[0]);
    memcpy(stride[1], call->in[0].stride, sizeof stride[1]);
    for (int i = 1; i < 4; i++) {
        moth_reduced_strides(out, &call->in[i], mask, stride[i + 1]);
    }
    if (!moth_walk_open(&w, out->rank, out->shape, 5, stride, r0, r1)) {
        return true;
    }
    do {
        moth_real *dx = (moth_real *)(void *)out->data + w.at[0];
        const moth_real *x = (const moth_real *)(const void *)call->in[0].data + w.at[1];
        const moth_real *dy = (const moth_real *)(const void *)call->in[1].data + w.at[2];
        const moth_real *rest = (const moth_real *)(const void *)call->in[2].data + w.at[3];
        const int32_t *zeros = (const int32_t *)(const void *)call->in[3].data + w.at[4];
        for (int64_t i = 0; i < w.n; i++) {
            moth_real v = x[i * w.step[1]], product = dy[i * w.step[2]] * rest[i * w.step[3]];
            int32_t k = zeros[i * w.step[4]];
            dx[i] = k == 0 ? product / v : (k == 1 && v == 0 ? product : 0);
        }
    } while (moth_walk_next(&w));
    return true;
}

static bool prod_grad_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)in;
    return i > 0 && (out->rank == 0 || (moth_reduce_mask(attrs, out->rank) & 1) != 0);
}

static const moth_op prod_grad = {
    .name = "prod_grad",
    .doc = "Gradient of prod.",
    .min_in = 4,
    .max_in = 4,
    .n_out = 1,
    .infer = moth_infer_real_like,
    .whole = prod_grad_whole,
    .rows = prod_grad_rows,
    .strided_in = 15,
    .nodiff = "second derivatives are not supported",
};

static void prod_gradient(moth_grad *g)
{
    g->dx[0] = MOTH_EMIT(g->scope, &prod_grad, g->attrs, g->x[0], g->dy[0], g->y[PROD_NONZERO], g->y[PROD_ZEROS]);
}

const moth_op MOTH_OP(prod) = {
    REDUCE_FIELDS(prod, "product over dims (all by default); integers give int32"),
    .n_out = 3,
    .n_visible = 1,
    .infer = prod_infer,
    .gradient = prod_gradient,
    .saves_in = 1,
    .saves_out = 1u << PROD_NONZERO | 1u << PROD_ZEROS,
    .cases = MOTH_CASES(reduce_cases),
};

/* ---- sum_to ---- */

enum { SUM_TO_SHAPE = 0 };

/* Bit d: dim d of an input of shape `in` is summed to reach `out`, whose dims count from the last. */
static unsigned sum_to_mask(int in_rank, const int64_t *in, int out_rank, const int64_t *out)
{
    unsigned mask = 0;
    int shift = in_rank - out_rank;
    for (int d = 0; d < in_rank; d++) {
        if (d < shift || (out[d - shift] == 1 && in[d] != 1)) {
            mask |= 1u << d;
        }
    }
    return mask;
}

static moth_status sum_to_infer(moth_infer *q)
{
    const moth_meta *in = q->in[0];
    moth_meta *out = &q->out[0];
    const int64_t *shape = q->attrs->i + SUM_TO_SHAPE;
    int shift = in->rank - (int)shape[0];
    out->dtype = MOTH_FLOAT32;
    out->rank = (int)shape[0];
    for (int d = 0; d < out->rank; d++) {
        out->shape[d] = shape[1 + d];
        if (shift < 0 || (out->shape[d] != 1 && out->shape[d] != in->shape[d + shift])) {
            return moth_infer_fail(q, MOTH_ERR_SHAPE, "the wanted shape does not broadcast to the tensor's");
        }
    }
    return moth_infer_types(q, 1u << MOTH_FLOAT32);
}

static bool sum_to_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)attrs;
    (void)i;
    return out->rank == 0 || (sum_to_mask(in[0]->rank, in[0]->shape, out->rank, out->shape) & 1) != 0;
}

static bool sum_to_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    const moth_arg *in = &call->in[0], *out = &call->out[0];
    unsigned mask = sum_to_mask(in->rank, in->shape, out->rank, out->shape);
    return reduce_rows(call, out, mask, &moth_sum_reducer, 1, r0, r1, worker);
}

static void sum_to_gradient(moth_grad *g)
{
    const moth_meta *x = &g->x[0]->meta;
    moth_attrs attrs = { .i = { x->rank } };
    memcpy(attrs.i + 1, x->shape, (size_t)x->rank * sizeof x->shape[0]);
    g->dx[0] = MOTH_EMIT(g->scope, &MOTH_OP(expand), &attrs, g->dy[0]);
}

static const moth_case sum_to_cases[] = {
    { .in = { MOTH_REALS(-2, 2, 0, 2, 7, 5) }, .n_in = 1, .attrs.i = { 1, 5 } },
    { .in = { MOTH_REALS(-2, 2, 1, 3, 3, 5, 7) }, .n_in = 1, .attrs.i = { 2, 5, 1 } },
    { .in = { MOTH_REALS(-2, 2, 0, 3, 3, 5, 7) }, .n_in = 1, .attrs.i = { 3, 3, 1, 7 } },
    { .in = { MOTH_REALS(-2, 2, 2, 2, 5, 7) }, .n_in = 1, .attrs.i = { 0 } },
    { .in = { MOTH_REALS(-2, 2, 0, 2, 1, 7) }, .n_in = 1, .attrs.i = { 2, 1, 1 } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(sum_to) = {
    .name = "sum_to",
    .doc = "sum over the dims by which a tensor of the given shape would be broadcast",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .infer = sum_to_infer,
    .whole = sum_to_whole,
    .rows = sum_to_rows,
    .strided_in = 1,
    .gradient = sum_to_gradient,
    .cases = MOTH_CASES(sum_to_cases),
};
