/* Comparisons with NumPy broadcasting: y = a ? b as uint8 0 or 1, any types; and the choice between two tensors by
 * such a result. Integers are compared exactly; a comparison with NaN is 0, except ne. */
#include "ops/elementwise.h"

MOTH_DEFINE_RUN(run_real_test, moth_fetch_reals, moth_real, uint8_t, MOTH_FLOAT32)
MOTH_DEFINE_RUN(run_int_test, moth_fetch_ints, int32_t, uint8_t, MOTH_INT32)

static moth_status compare_infer(moth_infer *q)
{
    q->out[0].dtype = MOTH_UINT8;
    return moth_infer_broadcast(q);
}

static const moth_case compare_cases[] = {
    { .in = { MOTH_REALS(-1, 1, 0, 2, 3, 5), MOTH_REALS(-1, 1, 0, 2, 3, 5) }, .n_in = 2 },
    { .in = { MOTH_REALS(-1, 1, 1, 2, 3, 5), MOTH_REALS(-1, 1, 0, 0, 0) }, .n_in = 2 },
    { .in = { MOTH_IN(MOTH_INT32, 0, 3, 0, 2, 7, 5), MOTH_IN(MOTH_UINT8, 0, 3, 2, 2, 7, 1) }, .n_in = 2 },
    { .in = { MOTH_IN(MOTH_UINT8, 0, 3, 0, 1, 33), MOTH_REALS(0, 3, 0, 1, 33) }, .n_in = 2 },
    { .n_in = 0 },
};

#define COMPARE(name_, doc_, expression)                                                         \
    MOTH_LOOP2(name_##_reals, moth_real, uint8_t, expression)                                    \
    MOTH_LOOP2(name_##_ints, int32_t, uint8_t, expression)                                       \
    static bool name_##_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker) \
    {                                                                                            \
        (void)worker;                                                                            \
        return moth_promote(call->in[0].dtype, call->in[1].dtype) == MOTH_FLOAT32                \
                   ? run_real_test(call, r0, r1, name_##_reals, true)                            \
                   : run_int_test(call, r0, r1, name_##_ints, true);                             \
    }                                                                                            \
    const moth_op MOTH_OP(name_) = {                                                             \
        .name = #name_,                                                                          \
        .doc = doc_,                                                                             \
        .min_in = 2,                                                                             \
        .max_in = 2,                                                                             \
        .n_out = 1,                                                                              \
        .flags = MOTH_OP_METHOD,                                                                 \
        .infer = compare_infer,                                                                  \
        .rows = name_##_rows,                                                                    \
        .strided_in = 3,                                                                         \
        .nodiff = "the result is a uint8 0 or 1",                                                \
        .cases = MOTH_CASES(compare_cases),                                                      \
    };

COMPARE(eq, "1 where a equals b, else 0", a == b)
COMPARE(ne, "1 where a differs from b, else 0", a != b)
COMPARE(lt, "1 where a < b, else 0", a < b)
COMPARE(le, "1 where a <= b, else 0", a <= b)
COMPARE(gt, "1 where a > b, else 0", a > b)
COMPARE(ge, "1 where a >= b, else 0", a >= b)

/* ---- where ---- */

MOTH_DEFINE_RUN(run_int_choice, moth_fetch_ints, int32_t, uint8_t, MOTH_INT32)

static moth_status where_infer(moth_infer *q)
{
    if (q->in[0]->dtype == MOTH_FLOAT32) {
        return moth_infer_fail(q, MOTH_ERR_DTYPE, "the condition must be uint8 or int32 (a comparison gives one)");
    }
    q->out[0].dtype = moth_promote(q->in[1]->dtype, q->in[2]->dtype);
    return moth_infer_broadcast(q);
}

#define CHOICE(name, T, O)                                                                                \
    static void name(int64_t n, O *out, const T *const *in, const int64_t *step, const moth_attrs *attrs) \
    {                                                                                                     \
        const T *c = in[0], *a = in[1], *b = in[2];                                                       \
        (void)step;                                                                                       \
        (void)attrs;                                                                                      \
        MOTH_INDEPENDENT                                                                                  \
        for (int64_t i = 0; i < n; i++) {                                                                 \
            const T yes = a[i], no = b[i];                                                                \
            out[i] = (O)(c[i] != 0 ? yes : no);                                                           \
        }                                                                                                 \
    }

CHOICE(where_reals, moth_real, moth_real)
CHOICE(where_ints, int32_t, int32_t)
CHOICE(where_bytes, int32_t, uint8_t)

static bool where_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    switch (call->out[0].dtype) {
    case MOTH_FLOAT32:
        return moth_run_reals(call, r0, r1, where_reals, false);
    case MOTH_INT32:
        return moth_run_ints(call, r0, r1, where_ints, false);
    case MOTH_UINT8:
        return run_int_choice(call, r0, r1, where_bytes, false);
    }
    return true;
}

/* dy where (condition != 0) == side, else 0; in: dy, condition */
MOTH_LOOP_GRAD(where_yes_loop, v != 0 ? d : 0)
MOTH_LOOP_GRAD(where_no_loop, v != 0 ? 0 : d)

static bool where_grad_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    return moth_run_reals(call, r0, r1, call->attrs->i[0] ? where_yes_loop : where_no_loop, false);
}

static const moth_op where_grad = {
    .name = "where_grad",
    .doc = "Gradient of where.",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = MOTH_OP_ELEMENTWISE,
    .infer = moth_infer_real_like,
    .rows = where_grad_rows,
    .strided_in = 3,
    .nodiff = "second derivatives are not supported",
};

static void where_gradient(moth_grad *g)
{
    for (int i = 1; i < 3; i++) {
        if (g->need[i]) {
            moth_attrs side = { .i = { i == 1 } };
            moth_tensor *full = MOTH_EMIT(g->scope, &where_grad, &side, g->dy[0], g->x[0]);
            g->dx[i] = moth_emit_sum_to(g->scope, full, g->x[i]);
        }
    }
}

static const moth_case where_cases[] = {
    { .in = { MOTH_IN(MOTH_UINT8, 0, 1, 0, 2, 3, 5), MOTH_REALS(-1, 1, 0, 2, 3, 5), MOTH_REALS(-1, 1, 1, 2, 3, 5) },
      .n_in = 3 },
    { .in = { MOTH_IN(MOTH_INT32, -1, 1, 1, 2, 7, 3), MOTH_REALS(-1, 1, 0, 1, 3), MOTH_REALS(-1, 1, 0, 0, 0) },
      .n_in = 3 },
    { .in = { MOTH_IN(MOTH_UINT8, 0, 1, 0, 2, 3, 1), MOTH_IN(MOTH_UINT8, 0, 255, 0, 1, 5),
              MOTH_IN(MOTH_UINT8, 0, 255, 0, 0, 0) },
      .n_in = 3 },
    { .n_in = 0 },
};

const moth_op MOTH_OP(where) = {
    .name = "where",
    .doc = "a where the condition is not 0, else b; all three broadcast",
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .flags = MOTH_OP_METHOD,
    .infer = where_infer,
    .rows = where_rows,
    .strided_in = 7,
    .gradient = where_gradient,
    .saves_in = 1,
    .cases = MOTH_CASES(where_cases),
};
