/* What element-wise ops share: lines of any strides and types become short arrays of the type that the op computes in,
 * and the op itself is a loop over such arrays.
 *
 * A loop gets in[k] with step[k] = 1, or 0 for one value that serves all elements; only ops run with scalars = true
 * meet 0. Included by kernel files, so that each CPU variant has its own copy. */
#ifndef MOTH_OPS_ELEMENTWISE_H
#define MOTH_OPS_ELEMENTWISE_H

#include "ops/real.h"
#include "ops/walk.h"

enum {
    MOTH_BLOCK = 512, /* elements converted at a time: a few KB of stack */
    MOTH_LINE_INPUTS = 4
};

#define MOTH_COPY_STRIDED(T, S)                                \
    do {                                                       \
        const S *from_ = (const S *)(const void *)data;        \
        if (step == 1) { /* on its own: becomes vector code */ \
            for (int64_t i = 0; i < n; i++) {                  \
                buffer[i] = (T)from_[at + i];                  \
            }                                                  \
        } else {                                               \
            for (int64_t i = 0; i < n; i++) {                  \
                buffer[i] = (T)from_[at + i * step];           \
            }                                                  \
        }                                                      \
    } while (0)

/* n elements of an operand from element `at` on, as a contiguous array of T: its own memory where possible. */
#define MOTH_DEFINE_FETCH(name, T, dtype_)                                                               \
    static inline const T *name(const moth_arg *operand, int64_t at, int64_t step, int64_t n, T *buffer) \
    {                                                                                                    \
        const char *data = operand->data;                                                                \
        if (operand->dtype == (dtype_) && step == 1) {                                                   \
            return (const T *)(const void *)data + at;                                                   \
        }                                                                                                \
        switch (operand->dtype) {                                                                        \
        case MOTH_FLOAT32:                                                                               \
            MOTH_COPY_STRIDED(T, moth_real);                                                             \
            break;                                                                                       \
        case MOTH_INT32:                                                                                 \
            MOTH_COPY_STRIDED(T, int32_t);                                                               \
            break;                                                                                       \
        case MOTH_UINT8:                                                                                 \
            MOTH_COPY_STRIDED(T, uint8_t);                                                               \
            break;                                                                                       \
        }                                                                                                \
        return buffer;                                                                                   \
    }

/* Runs loop over the rows r0 .. r1-1: computes in T, writes O. Returns true, as a row kernel does. */
#define MOTH_DEFINE_RUN(name, fetch, T, O, dtype_)                                                                     \
    typedef void (*name##_loop)(int64_t n, O * out, const T *const *in, const int64_t *step, const moth_attrs *attrs); \
    __attribute__((unused)) static bool name(const moth_call *call, int64_t r0, int64_t r1, name##_loop loop,          \
                                             bool scalars)                                                             \
    {                                                                                                                  \
        moth_walk w;                                                                                                   \
        T buffer[MOTH_LINE_INPUTS][MOTH_BLOCK];                                                                        \
        const T *in[MOTH_LINE_INPUTS];                                                                                 \
        int64_t step[MOTH_LINE_INPUTS];                                                                                \
        if (!moth_walk_call(&w, call, r0, r1)) {                                                                       \
            return true;                                                                                               \
        }                                                                                                              \
        int64_t chunk = w.n;                                                                                           \
        for (int k = 0; k < call->n_in; k++) {                                                                         \
            bool own = call->in[k].dtype == (dtype_) && w.step[k + 1] == 1;                                            \
            step[k] = scalars && w.step[k + 1] == 0 ? 0 : 1;                                                           \
            chunk = own || step[k] == 0 || chunk < MOTH_BLOCK ? chunk : MOTH_BLOCK;                                    \
        }                                                                                                              \
        do {                                                                                                           \
            for (int64_t i = 0; i < w.n; i += chunk) {                                                                 \
                int64_t n = w.n - i < chunk ? w.n - i : chunk;                                                         \
                for (int k = 0; k < call->n_in; k++) {                                                                 \
                    int64_t at = w.at[k + 1] + i * w.step[k + 1];                                                      \
                    in[k] = fetch(&call->in[k], at, w.step[k + 1], step[k] ? n : 1, buffer[k]);                        \
                }                                                                                                      \
                loop(n, (O *)(void *)call->out[0].data + w.at[0] + i, in, step, call->attrs);                          \
            }                                                                                                          \
        } while (moth_walk_next(&w));                                                                                  \
        return true;                                                                                                   \
    }

MOTH_DEFINE_FETCH(moth_fetch_reals, moth_real, MOTH_FLOAT32)
MOTH_DEFINE_FETCH(moth_fetch_ints, int32_t, MOTH_INT32)
MOTH_DEFINE_RUN(moth_run_reals, moth_fetch_reals, moth_real, moth_real, MOTH_FLOAT32)
MOTH_DEFINE_RUN(moth_run_ints, moth_fetch_ints, int32_t, int32_t, MOTH_INT32)

/* Defines a loop out = expression of x and of the parameters p and q, the first two floats of the attributes. */
#define MOTH_LOOP1(name, expression)                                                             \
    static void name(int64_t n, moth_real *out, const moth_real *const *in, const int64_t *step, \
                     const moth_attrs *attrs)                                                    \
    {                                                                                            \
        const moth_real *x_ = in[0];                                                             \
        const moth_real p = (moth_real)attrs->f[0], q = (moth_real)attrs->f[1];                  \
        (void)step;                                                                              \
        (void)p;                                                                                 \
        (void)q;                                                                                 \
        MOTH_INDEPENDENT                                                                         \
        for (int64_t i = 0; i < n; i++) {                                                        \
            const moth_real x = x_[i];                                                           \
            out[i] = (expression);                                                               \
        }                                                                                        \
    }

/* Defines a loop out = expression of the gradient d and of v, what the gradient rule passes as second input. */
#define MOTH_LOOP_GRAD(name, expression)                                                         \
    static void name(int64_t n, moth_real *out, const moth_real *const *in, const int64_t *step, \
                     const moth_attrs *attrs)                                                    \
    {                                                                                            \
        const moth_real *d_ = in[0], *v_ = in[1];                                                \
        const moth_real p = (moth_real)attrs->f[0], q = (moth_real)attrs->f[1];                  \
        (void)step;                                                                              \
        (void)p;                                                                                 \
        (void)q;                                                                                 \
        MOTH_INDEPENDENT                                                                         \
        for (int64_t i = 0; i < n; i++) {                                                        \
            const moth_real d = d_[i], v = v_[i];                                                \
            out[i] = (expression);                                                               \
        }                                                                                        \
    }

/* Defines loops out = expression of a and b with a fast path for a scalar on either side. */
#define MOTH_LOOP2(name, T, O, expression)                                                                \
    static void name(int64_t n, O *out, const T *const *in, const int64_t *step, const moth_attrs *attrs) \
    {                                                                                                     \
        const T *a_ = in[0], *b_ = in[1];                                                                 \
        (void)attrs;                                                                                      \
        if (step[0] && step[1]) {                                                                         \
            MOTH_INDEPENDENT                                                                              \
            for (int64_t i = 0; i < n; i++) {                                                             \
                const T a = a_[i], b = b_[i];                                                             \
                out[i] = (O)(expression);                                                                 \
            }                                                                                             \
        } else if (step[0]) {                                                                             \
            const T b = b_[0];                                                                            \
            MOTH_INDEPENDENT                                                                              \
            for (int64_t i = 0; i < n; i++) {                                                             \
                const T a = a_[i];                                                                        \
                out[i] = (O)(expression);                                                                 \
            }                                                                                             \
        } else {                                                                                          \
            const T a = a_[0];                                                                            \
            MOTH_INDEPENDENT                                                                              \
            for (int64_t i = 0; i < n; i++) {                                                             \
                const T b = b_[i * step[1]];                                                              \
                out[i] = (O)(expression);                                                                 \
            }                                                                                             \
        }                                                                                                 \
    }

/* ---- ops of one real input ---- */

/* float32 of the input's shape. */
__attribute__((unused)) static moth_status moth_infer_real_like(moth_infer *q)
{
    q->out[0] = *q->in[0];
    q->out[0].dtype = MOTH_FLOAT32;
    return MOTH_OK;
}

/* float32 of the broadcast shape. */
__attribute__((unused)) static moth_status moth_infer_real_broadcast(moth_infer *q)
{
    q->out[0].dtype = MOTH_FLOAT32;
    return moth_infer_broadcast(q);
}

/* The private op `name_grad` of (dy, v) and its row kernel. */
#define MOTH_UNARY_GRAD(name_, expression)                                                            \
    MOTH_LOOP_GRAD(name_##_grad_loop, expression)                                                     \
    static bool name_##_grad_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker) \
    {                                                                                                 \
        (void)worker;                                                                                 \
        return moth_run_reals(call, r0, r1, name_##_grad_loop, false);                                \
    }                                                                                                 \
    static const moth_op name_##_grad = {                                                             \
        .name = #name_ "_grad",                                                                       \
        .doc = "Gradient of " #name_ ".",                                                             \
        .min_in = 2,                                                                                  \
        .max_in = 2,                                                                                  \
        .n_out = 1,                                                                                   \
        .flags = MOTH_OP_ELEMENTWISE,                                                                 \
        .infer = moth_infer_real_like,                                                                \
        .rows = name_##_grad_rows,                                                                    \
        .strided_in = 3,                                                                              \
        .nodiff = "second derivatives are not supported",                                             \
    };

#define MOTH_UNARY_ROWS(name_, expression)                                                       \
    MOTH_LOOP1(name_##_loop, expression)                                                         \
    static bool name_##_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker) \
    {                                                                                            \
        (void)worker;                                                                            \
        return moth_run_reals(call, r0, r1, name_##_loop, false);                                \
    }

#define MOTH_UNARY_FIELDS(name_, doc_)                                                                                \
    .name = #name_, .doc = doc_, .min_in = 1, .max_in = 1, .n_out = 1, .flags = MOTH_OP_METHOD | MOTH_OP_ELEMENTWISE, \
    .infer = moth_infer_real_like, .rows = name_##_rows, .strided_in = 1

/* A differentiable op of one input. `from` is x or y: which of them the gradient expression calls v. */
#define MOTH_UNARY(name_, doc_, expression, from, grad_expression, cases_) \
    MOTH_UNARY_ATTRS(name_, doc_, expression, from, grad_expression, cases_, NULL)
#define MOTH_UNARY_ATTRS(name_, doc_, expression, from, grad_expression, cases_, attrs_)                       \
    MOTH_UNARY_ROWS(name_, expression)                                                                         \
    MOTH_UNARY_GRAD(name_, grad_expression)                                                                    \
    static void name_##_gradient(moth_grad *g)                                                                 \
    {                                                                                                          \
        g->dx[0] = MOTH_EMIT(g->scope, &name_##_grad, g->attrs, g->dy[0], g->from[0]);                         \
    }                                                                                                          \
    const moth_op MOTH_OP(name_) = {                                                                           \
        MOTH_UNARY_FIELDS(name_, doc_),      .gradient = name_##_gradient, .saves_in = MOTH_SAVES_IF_x_##from, \
        .saves_out = MOTH_SAVES_IF_y_##from, .cases = MOTH_CASES(cases_),  .attrs = attrs_,                    \
    };
#define MOTH_SAVES_IF_x_x 1
#define MOTH_SAVES_IF_x_y 0
#define MOTH_SAVES_IF_y_x 0
#define MOTH_SAVES_IF_y_y 1

/* A piecewise constant op of one input. */
#define MOTH_UNARY_FLAT(name_, doc_, expression, cases_)                        \
    MOTH_UNARY_ROWS(name_, expression)                                          \
    const moth_op MOTH_OP(name_) = {                                            \
        MOTH_UNARY_FIELDS(name_, doc_),                                         \
        .nodiff = "piecewise constant: the derivative is 0 wherever it exists", \
        .cases = MOTH_CASES(cases_),                                            \
    };

/* ---- cases ---- */

/* One input with values in [low, high]: odd sizes, size 1, no dims, a transposed and a sliced layout. */
#define MOTH_UNARY_CASES(low, high)                                    \
    { .in = { MOTH_REALS(low, high, 0, 2, 3, 5) }, .n_in = 1 },        \
        { .in = { MOTH_REALS(low, high, 1, 3, 2, 7, 3) }, .n_in = 1 }, \
        { .in = { MOTH_REALS(low, high, 2, 2, 5, 4) }, .n_in = 1 },    \
        { .in = { MOTH_REALS(low, high, 0, 2, 1, 1) }, .n_in = 1 },    \
    {                                                                  \
        .in = { MOTH_REALS(low, high, 0, 0, 0) }, .n_in = 1            \
    }

#endif
