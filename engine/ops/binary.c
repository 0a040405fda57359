/* Arithmetic on two tensors with NumPy broadcasting: y = f(a, b). Types promote uint8 < int32 < float32; div
 * gives float32. Integers wrap around, and have no negative powers, as in NumPy. */
#include <stdio.h>
#include <string.h>

#include "ops/elementwise.h"

MOTH_DEFINE_FETCH(fetch_bytes, uint8_t, MOTH_UINT8)
MOTH_DEFINE_RUN(run_bytes, fetch_bytes, uint8_t, uint8_t, MOTH_UINT8)

static moth_status arithmetic_infer(moth_infer *q)
{
    q->out[0].dtype = moth_promote(q->in[0]->dtype, q->in[1]->dtype);
    return moth_infer_broadcast(q);
}

/* ---- cases: equal shapes, broadcasting either way, a scalar, strides ---- */

#define BINARY_CASES(lo_a, hi_a, lo_b, hi_b)                                                                \
    { .in = { MOTH_REALS(lo_a, hi_a, 0, 2, 3, 5), MOTH_REALS(lo_b, hi_b, 0, 2, 3, 5) }, .n_in = 2 },        \
        { .in = { MOTH_REALS(lo_a, hi_a, 0, 2, 7, 3), MOTH_REALS(lo_b, hi_b, 0, 1, 3) }, .n_in = 2 },       \
        { .in = { MOTH_REALS(lo_a, hi_a, 0, 2, 3, 1), MOTH_REALS(lo_b, hi_b, 1, 3, 2, 3, 5) }, .n_in = 2 }, \
        { .in = { MOTH_REALS(lo_a, hi_a, 2, 2, 5, 3), MOTH_REALS(lo_b, hi_b, 0, 0, 0) }, .n_in = 2 },       \
    {                                                                                                       \
        .in = { MOTH_REALS(lo_a, hi_a, 0, 0, 0), MOTH_REALS(lo_b, hi_b, 1, 2, 5, 3) }, .n_in = 2            \
    }
#define INT_CASES                                                                                                  \
    { .in = { MOTH_IN(MOTH_INT32, -9, 9, 1, 2, 3, 5), MOTH_IN(MOTH_INT32, -9, 9, 0, 1, 5) }, .n_in = 2 },          \
        { .in = { MOTH_IN(MOTH_UINT8, 0, 255, 0, 2, 3, 5), MOTH_IN(MOTH_UINT8, 0, 255, 0, 2, 3, 1) }, .n_in = 2 }, \
    {                                                                                                              \
        .in = { MOTH_IN(MOTH_UINT8, 0, 255, 0, 2, 3, 5), MOTH_REALS(0.5, 2, 0, 0, 0) }, .n_in = 2                  \
    }

static const moth_case any_cases[] = { BINARY_CASES(-2, 2, -2, 2), INT_CASES, { .n_in = 0 } };
static const moth_case div_cases[] = { BINARY_CASES(-2, 2, 0.5, 2), { .n_in = 0 } };
static const moth_case pow_cases[] = {
    BINARY_CASES(0.5, 2, -2, 2),
    { .in = { MOTH_IN(MOTH_INT32, -9, 9, 1, 2, 3, 5), MOTH_IN(MOTH_INT32, 0, 9, 0, 1, 5) }, .n_in = 2 },
    { .in = { MOTH_IN(MOTH_UINT8, 0, 255, 0, 2, 3, 5), MOTH_IN(MOTH_UINT8, 0, 9, 0, 2, 3, 1) }, .n_in = 2 },
    { .n_in = 0 }
};
static const moth_case apart_cases[] = {
    BINARY_CASES(-2, -0.1, 0.1, 2), BINARY_CASES(0.1, 2, -2, -0.1), INT_CASES, { .n_in = 0 }
};

/* ---- add, sub, mul, maximum, minimum ---- */

#define BINARY_FIELDS(name_, doc_)                                                                                    \
    .name = #name_, .doc = doc_, .min_in = 2, .max_in = 2, .n_out = 1, .flags = MOTH_OP_METHOD | MOTH_OP_ELEMENTWISE, \
    .rows = name_##_rows, .strided_in = 3

/* Kernels for the three types: `real` and `integer` are expressions of a and b. */
#define ARITHMETIC(name_, real, integer)                                                         \
    MOTH_LOOP2(name_##_reals, moth_real, moth_real, real)                                        \
    MOTH_LOOP2(name_##_ints, int32_t, int32_t, integer)                                          \
    MOTH_LOOP2(name_##_bytes, uint8_t, uint8_t, integer)                                         \
    static bool name_##_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker) \
    {                                                                                            \
        (void)worker;                                                                            \
        switch (call->out[0].dtype) {                                                            \
        case MOTH_FLOAT32:                                                                       \
            return moth_run_reals(call, r0, r1, name_##_reals, true);                            \
        case MOTH_INT32:                                                                         \
            return moth_run_ints(call, r0, r1, name_##_ints, true);                              \
        case MOTH_UINT8:                                                                         \
            return run_bytes(call, r0, r1, name_##_bytes, true);                                 \
        }                                                                                        \
        return true;                                                                             \
    }

/* unsigned arithmetic wraps where signed overflow would be undefined */
ARITHMETIC(add, a + b, (uint32_t)a + (uint32_t)b)
ARITHMETIC(sub, a - b, (uint32_t)a - (uint32_t)b)
ARITHMETIC(mul, (a * b), ((uint32_t)a * (uint32_t)b))
/* a NaN on either side is the result: it fails both comparisons */
ARITHMETIC(maximum, a >= b || a != a ? a : b, a >= b ? a : b)
ARITHMETIC(minimum, a <= b || a != a ? a : b, a <= b ? a : b)

static void add_gradient(moth_grad *g)
{
    for (int i = 0; i < 2; i++) {
        if (g->need[i]) {
            g->dx[i] = moth_emit_sum_to(g->scope, g->dy[0], g->x[i]);
        }
    }
}

static void sub_gradient(moth_grad *g)
{
    if (g->need[0]) {
        g->dx[0] = moth_emit_sum_to(g->scope, g->dy[0], g->x[0]);
    }
    if (g->need[1]) {
        moth_tensor *sum = moth_emit_sum_to(g->scope, g->dy[0], g->x[1]);
        g->dx[1] = MOTH_EMIT(g->scope, &MOTH_OP(neg), NULL, sum);
    }
}

static void mul_gradient(moth_grad *g)
{
    for (int i = 0; i < 2; i++) {
        if (g->need[i]) {
            moth_tensor *full = MOTH_EMIT(g->scope, &MOTH_OP(mul), NULL, g->dy[0], g->x[1 - i]);
            g->dx[i] = moth_emit_sum_to(g->scope, full, g->x[i]);
        }
    }
}

const moth_op MOTH_OP(add) = {
    BINARY_FIELDS(add, "a + b"),
    .infer = arithmetic_infer,
    .gradient = add_gradient,
    .cases = MOTH_CASES(any_cases),
};

const moth_op MOTH_OP(sub) = {
    BINARY_FIELDS(sub, "a - b"),
    .infer = arithmetic_infer,
    .gradient = sub_gradient,
    .cases = MOTH_CASES(any_cases),
};

const moth_op MOTH_OP(mul) = {
    BINARY_FIELDS(mul, "a * b"),    .infer = arithmetic_infer, .gradient = mul_gradient, .saves_in = 3,
    .cases = MOTH_CASES(any_cases),
};

/* ---- gradients that depend on dy, a and b: private ops of three inputs ---- */

#define GRAD3(name_, expression)                                                                         \
    static void name_##_loop(int64_t n, moth_real *out, const moth_real *const *in, const int64_t *step, \
                             const moth_attrs *attrs)                                                    \
    {                                                                                                    \
        const moth_real *d_ = in[0], *a_ = in[1], *b_ = in[2];                                           \
        (void)step;                                                                                      \
        (void)attrs;                                                                                     \
        MOTH_INDEPENDENT                                                                                 \
        for (int64_t i = 0; i < n; i++) {                                                                \
            const moth_real d = d_[i], a = a_[i], b = b_[i];                                             \
            out[i] = (expression);                                                                       \
        }                                                                                                \
    }                                                                                                    \
    static bool name_##_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)         \
    {                                                                                                    \
        (void)worker;                                                                                    \
        return moth_run_reals(call, r0, r1, name_##_loop, false);                                        \
    }                                                                                                    \
    static const moth_op name_ = {                                                                       \
        .name = #name_,                                                                                  \
        .doc = "Part of the gradient of an op of two tensors.",                                          \
        .min_in = 3,                                                                                     \
        .max_in = 3,                                                                                     \
        .n_out = 1,                                                                                      \
        .flags = MOTH_OP_ELEMENTWISE,                                                                    \
        .infer = moth_infer_real_broadcast,                                                              \
        .rows = name_##_rows,                                                                            \
        .strided_in = 7,                                                                                 \
        .nodiff = "second derivatives are not supported",                                                \
    };

/* Emits op_a(dy, a, b) and op_b(dy, a, b), summed to the shapes of a and b. */
static void emit_grad3(moth_grad *g, const moth_op *op_a, const moth_op *op_b)
{
    const moth_op *ops[2] = { op_a, op_b };
    for (int i = 0; i < 2; i++) {
        if (g->need[i]) {
            moth_tensor *full = MOTH_EMIT(g->scope, ops[i], NULL, g->dy[0], g->x[0], g->x[1]);
            g->dx[i] = moth_emit_sum_to(g->scope, full, g->x[i]);
        }
    }
}

/* first wins ties */
GRAD3(maximum_grad_a, a >= b || a != a ? d : 0)
GRAD3(maximum_grad_b, a >= b || a != a ? 0 : d)
GRAD3(minimum_grad_a, a <= b || a != a ? d : 0)
GRAD3(minimum_grad_b, a <= b || a != a ? 0 : d)

static void maximum_gradient(moth_grad *g)
{
    emit_grad3(g, &maximum_grad_a, &maximum_grad_b);
}

static void minimum_gradient(moth_grad *g)
{
    emit_grad3(g, &minimum_grad_a, &minimum_grad_b);
}

const moth_op MOTH_OP(maximum) = {
    BINARY_FIELDS(maximum, "the larger of a and b; the gradient of a tie goes to a"),
    .infer = arithmetic_infer,
    .gradient = maximum_gradient,
    .saves_in = 3,
    .cases = MOTH_CASES(apart_cases),
};

const moth_op MOTH_OP(minimum) = {
    BINARY_FIELDS(minimum, "the smaller of a and b; the gradient of a tie goes to a"),
    .infer = arithmetic_infer,
    .gradient = minimum_gradient,
    .saves_in = 3,
    .cases = MOTH_CASES(apart_cases),
};

/* ---- div ---- */

MOTH_LOOP2(div_loop, moth_real, moth_real, a / b)

static bool div_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    return moth_run_reals(call, r0, r1, div_loop, true);
}

GRAD3(div_grad_b, (-d * (a / b) / b))

static void div_gradient(moth_grad *g)
{
    if (g->need[0]) {
        moth_tensor *full = MOTH_EMIT(g->scope, &MOTH_OP(div), NULL, g->dy[0], g->x[1]);
        g->dx[0] = moth_emit_sum_to(g->scope, full, g->x[0]);
    }
    if (g->need[1]) {
        moth_tensor *full = MOTH_EMIT(g->scope, &div_grad_b, NULL, g->dy[0], g->x[0], g->x[1]);
        g->dx[1] = moth_emit_sum_to(g->scope, full, g->x[1]);
    }
}

const moth_op MOTH_OP(div) = {
    BINARY_FIELDS(div, "a / b, float32 for all types"),
    .infer = moth_infer_real_broadcast,
    .gradient = div_gradient,
    .saves_in = 3,
    .cases = MOTH_CASES(div_cases),
};

/* ---- pow ---- */

MOTH_LOOP2(pow_any_loop, moth_real, moth_real, MOTH_POW(a, b))

/* Squares and cubes are most of what people write; libm's pow costs fifty multiplications. */
static void pow_loop(int64_t n, moth_real *out, const moth_real *const *in, const int64_t *step,
                     const moth_attrs *attrs)
{
    const moth_real *a = in[0];
    if (step[0] == 0 || step[1] != 0 || (in[1][0] != 2 && in[1][0] != 3)) {
        pow_any_loop(n, out, in, step, attrs);
    } else if (in[1][0] == 2) {
        MOTH_INDEPENDENT
        for (int64_t i = 0; i < n; i++) {
            out[i] = a[i] * a[i];
        }
    } else {
        MOTH_INDEPENDENT
        for (int64_t i = 0; i < n; i++) {
            out[i] = a[i] * a[i] * a[i];
        }
    }
}

/* By squaring, modulo 2^32; a power that is negative gives 0 here and fails in pow_rows. */
static inline uint32_t power(uint32_t a, int32_t b)
{
    uint32_t result = b >= 0;
    for (; b > 0; b >>= 1, a *= a) {
        result *= b & 1 ? a : 1;
    }
    return result;
}

MOTH_LOOP2(pow_ints, int32_t, int32_t, power((uint32_t)a, b))
MOTH_LOOP2(pow_bytes, uint8_t, uint8_t, power(a, b))

/* Are all powers of these rows 0 or more? Where b is broadcast along the rows, all of it is looked at. */
static bool powers_fit(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    const moth_arg *b = &call->in[1], *out = &call->out[0];
    moth_walk w;
    int64_t stride[1][MOTH_MAX_RANK];
    bool own_rows = b->rank == out->rank && b->rank > 0 && b->shape[0] == out->shape[0];
    int64_t last = own_rows ? r1 : (b->rank > 0 ? b->shape[0] : 1);
    memcpy(stride[0], b->stride, sizeof stride[0]);
    if (b->dtype != MOTH_INT32 || !moth_walk_open(&w, b->rank, b->shape, 1, stride, own_rows ? r0 : 0, last)) {
        return true;
    }
    do {
        const int32_t *data = (const int32_t *)(const void *)b->data + w.at[0];
        for (int64_t i = 0; i < w.n; i++) {
            if (data[i * w.step[0]] < 0) {
                snprintf(worker->fault, sizeof worker->fault, "integers have no power %d; convert them to float32",
                         data[i * w.step[0]]);
                return false;
            }
        }
    } while (moth_walk_next(&w));
    return true;
}

static bool pow_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    switch (call->out[0].dtype) {
    case MOTH_FLOAT32:
        return moth_run_reals(call, r0, r1, pow_loop, true);
    case MOTH_INT32:
        return powers_fit(call, r0, r1, worker) && moth_run_ints(call, r0, r1, pow_ints, true);
    case MOTH_UINT8:
        return run_bytes(call, r0, r1, pow_bytes, true);
    }
    return true;
}

/* b = 0 is constant in a, also at a = 0 where a^-1 is infinite */
GRAD3(pow_grad_a, b == 0 ? 0 : (b == 2 ? 2 * d * a : d * b * MOTH_POW(a, b - 1)))
/* 0^b is constant in b > 0, where ln a is -infinity */
GRAD3(pow_grad_b, a == 0 && b >= 0 ? 0 : d * MOTH_POW(a, b) * MOTH_LOG(a))

static void pow_gradient(moth_grad *g)
{
    emit_grad3(g, &pow_grad_a, &pow_grad_b);
}

const moth_op MOTH_OP(pow) = {
    BINARY_FIELDS(pow, "a to the power b"), .infer = arithmetic_infer, .gradient = pow_gradient, .saves_in = 3,
    .cases = MOTH_CASES(pow_cases),
};
