/* Changing the type, and copying to contiguous memory. Conversion to an integer type cuts off the fraction; a value
 * that does not fit is an error. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ops/elementwise.h"

/* ---- contiguous ---- */

static moth_status same_infer(moth_infer *q)
{
    q->out[0] = *q->in[0];
    return MOTH_OK;
}

#define COPY_LINES(T)                                                            \
    do {                                                                         \
        do {                                                                     \
            T *to = (T *)(void *)call->out[0].data + w.at[0];                    \
            const T *from = (const T *)(const void *)call->in[0].data + w.at[1]; \
            int64_t step = w.step[1];                                            \
            for (int64_t i = 0; i < w.n; i++) {                                  \
                to[i] = from[i * step];                                          \
            }                                                                    \
        } while (moth_walk_next(&w));                                            \
    } while (0)

static bool contiguous_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    moth_walk w;
    (void)worker;
    if (!moth_walk_call(&w, call, r0, r1)) {
        return true;
    }
    size_t size = moth_dtype_size(call->out[0].dtype);
    if (w.step[1] == 1) {
        do {
            memcpy(call->out[0].data + w.at[0] * (int64_t)size, call->in[0].data + w.at[1] * (int64_t)size,
                   (size_t)w.n * size);
        } while (moth_walk_next(&w));
    } else if (call->out[0].dtype == MOTH_FLOAT32) {
        COPY_LINES(moth_real);
    } else if (call->out[0].dtype == MOTH_INT32) {
        COPY_LINES(int32_t);
    } else {
        COPY_LINES(uint8_t);
    }
    return true;
}

static void pass_gradient(moth_grad *g)
{
    g->dx[0] = g->dy[0];
}

static const moth_case copy_cases[] = { MOTH_UNARY_CASES(-1, 1),
                                        { .in = { MOTH_IN(MOTH_INT32, -9, 9, 1, 2, 5, 3) }, .n_in = 1 },
                                        { .in = { MOTH_IN(MOTH_UINT8, 0, 255, 1, 2, 7, 9) }, .n_in = 1 },
                                        { .n_in = 0 } };

const moth_op MOTH_OP(contiguous) = {
    .name = "contiguous",
    .doc = "a copy of x in row-major memory",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = MOTH_OP_METHOD,
    .infer = same_infer,
    .rows = contiguous_rows,
    .strided_in = 1,
    .gradient = pass_gradient,
    .cases = MOTH_CASES(copy_cases),
};

/* ---- to ---- */

enum { TO_DTYPE = 0, TO_WHOLE };

static moth_status to_infer(moth_infer *q)
{
    int64_t dtype = q->attrs->i[TO_DTYPE];
    if (dtype < MOTH_FLOAT32 || dtype > MOTH_UINT8) {
        return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "no such type: %lld", (long long)dtype);
    }
    q->out[0] = *q->in[0];
    q->out[0].dtype = (moth_dtype)dtype;
    return MOTH_OK;
}

static bool to_fault(moth_worker *worker, double value, const char *dtype)
{
    snprintf(worker->fault, sizeof worker->fault, "%g does not fit %s", value, dtype);
    return false;
}

/* The tests are false for NaN. Adding 1 to the bounds accepts what is cut off to a value inside. */
#define CONVERT(name, T, O, low, high, text)                                           \
    static bool name(int64_t n, O *out, const T *x, int64_t step, moth_worker *worker) \
    {                                                                                  \
        for (int64_t i = 0; i < n; i++) {                                              \
            const double v = (double)x[i * step];                                      \
            if (!(v > (low)-1.0 && v < (high) + 1.0)) {                                \
                return to_fault(worker, v, text);                                      \
            }                                                                          \
            out[i] = (O)v;                                                             \
        }                                                                              \
        return true;                                                                   \
    }

CONVERT(real_to_int, moth_real, int32_t, -2147483648.0, 2147483647.0, "int32")
CONVERT(real_to_byte, moth_real, uint8_t, 0.0, 255.0, "uint8")
CONVERT(int_to_byte, int32_t, uint8_t, 0.0, 255.0, "uint8")

/* Ids that came as floats must be whole: a fraction cut off would name another class without a word. */
static bool all_whole(int64_t n, const moth_real *x, int64_t step, moth_worker *worker)
{
    for (int64_t i = 0; i < n; i++) {
        const double v = (double)x[i * step];
        if (v != floor(v)) { /* false for infinities, which do not fit anyway */
            snprintf(worker->fault, sizeof worker->fault, "ids are whole numbers; got %g", v);
            return false;
        }
    }
    return true;
}

MOTH_LOOP1(to_real_loop, x)

static void to_int_loop(int64_t n, int32_t *out, const int32_t *const *in, const int64_t *step, const moth_attrs *attrs)
{
    (void)step;
    (void)attrs;
    memcpy(out, in[0], (size_t)n * sizeof *out);
}

/* the narrowing conversions */
static bool to_narrow(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    moth_walk w;
    if (!moth_walk_call(&w, call, r0, r1)) {
        return true;
    }
    bool from_real = call->in[0].dtype == MOTH_FLOAT32, good = true;
    do {
        const moth_real *reals = (const moth_real *)(const void *)call->in[0].data + w.at[1];
        const int32_t *ints = (const int32_t *)(const void *)call->in[0].data + w.at[1];
        if (call->out[0].dtype == MOTH_INT32) {
            int32_t *out = (int32_t *)(void *)call->out[0].data + w.at[0];
            good = (!call->attrs->i[TO_WHOLE] || all_whole(w.n, reals, w.step[1], worker)) &&
                   real_to_int(w.n, out, reals, w.step[1], worker);
        } else {
            uint8_t *out = (uint8_t *)call->out[0].data + w.at[0];
            good = from_real ? real_to_byte(w.n, out, reals, w.step[1], worker)
                             : int_to_byte(w.n, out, ints, w.step[1], worker);
        }
    } while (good && moth_walk_next(&w));
    return good;
}

static bool to_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    moth_dtype from = call->in[0].dtype, to = call->out[0].dtype;
    if (from == to) {
        return contiguous_rows(call, r0, r1, worker);
    }
    if (to == MOTH_FLOAT32) {
        return moth_run_reals(call, r0, r1, to_real_loop, false);
    }
    if (to == MOTH_INT32 && from == MOTH_UINT8) {
        return moth_run_ints(call, r0, r1, to_int_loop, false);
    }
    return to_narrow(call, r0, r1, worker);
}

static const moth_attr_spec to_attrs[] = {
    { .name = "dtype", .kind = MOTH_ATTR_INT, .slot = TO_DTYPE },
    { .name = "whole", .kind = MOTH_ATTR_BOOL, .slot = TO_WHOLE },
    { .kind = MOTH_ATTR_END },
};
static const moth_case to_cases[] = {
    { .in = { MOTH_REALS(-9, 9, 1, 2, 5, 3) }, .n_in = 1, .attrs.i = { MOTH_FLOAT32 } },
    { .in = { MOTH_REALS(-9, 9, 1, 2, 5, 3) }, .n_in = 1, .attrs.i = { MOTH_INT32 } },
    { .in = { MOTH_REALS(0, 255, 2, 2, 5, 3) }, .n_in = 1, .attrs.i = { MOTH_UINT8 } },
    { .in = { MOTH_IN(MOTH_INT32, 0, 255, 1, 2, 5, 3) }, .n_in = 1, .attrs.i = { MOTH_UINT8 } },
    { .in = { MOTH_IN(MOTH_UINT8, 0, 255, 1, 2, 5, 3) }, .n_in = 1, .attrs.i = { MOTH_INT32 } },
    { .in = { MOTH_IN(MOTH_UINT8, 0, 255, 0, 1, 77) }, .n_in = 1, .attrs.i = { MOTH_FLOAT32 } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(to) = {
    .name = "to",
    .doc = "x in another type; fractions are cut off (an error if whole), values out of range are an error",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = MOTH_OP_METHOD,
    .attrs = to_attrs,
    .infer = to_infer,
    .rows = to_rows,
    .strided_in = 1,
    .gradient = pass_gradient,
    .cases = MOTH_CASES(to_cases),
};
