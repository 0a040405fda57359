/* Element-wise functions of one tensor: y = f(x), any shape. int32 and uint8 inputs become float32, except in neg. */
#include "ops/elementwise.h"

static const moth_case smooth_cases[] = { MOTH_UNARY_CASES(-1.5, 1.5), { .n_in = 0 } };
static const moth_case positive_cases[] = { MOTH_UNARY_CASES(0.3, 3), { .n_in = 0 } };
static const moth_case off_zero_cases[] = { MOTH_UNARY_CASES(0.2, 2), MOTH_UNARY_CASES(-2, -0.2), { .n_in = 0 } };
static const moth_case off_integer_cases[] = { MOTH_UNARY_CASES(1.1, 1.4),
                                               MOTH_UNARY_CASES(-2.9, -2.6),
                                               { .n_in = 0 } };

MOTH_UNARY(abs, "|x|", MOTH_FABS(x), x, v > 0 ? d : (v < 0 ? -d : 0), off_zero_cases)
MOTH_UNARY(exp, "e^x", MOTH_EXP(x), y, (d * v), smooth_cases)
MOTH_UNARY(log, "natural logarithm of x", MOTH_LOG(x), x, d / v, positive_cases)
MOTH_UNARY(log1p, "ln(1 + x), accurate near 0", MOTH_LOG1P(x), x, d / (1 + v), positive_cases)
MOTH_UNARY(sqrt, "square root of x", MOTH_SQRT(x), y, MOTH_R(0.5) * d / v, positive_cases)
MOTH_UNARY(square, "x * x", (x * x), x, (2 * d * v), smooth_cases)
MOTH_UNARY(reciprocal, "1 / x", 1 / x, y, (-d * v * v), off_zero_cases)
MOTH_UNARY(sin, "sine of x (radians)", MOTH_SIN(x), x, (d * MOTH_COS(v)), smooth_cases)
MOTH_UNARY(cos, "cosine of x (radians)", MOTH_COS(x), x, (-d * MOTH_SIN(v)), smooth_cases)
MOTH_UNARY(erf, "error function, 2/sqrt(pi) times the integral of e^(-t^2) from 0 to x", MOTH_ERF(x), x,
           (d * MOTH_R(1.1283791670955126) * MOTH_EXP(-v * v)), smooth_cases)

MOTH_UNARY_FLAT(sign, "-1, 0 or 1 by the sign of x", (moth_real)(x > 0) - (moth_real)(x < 0), off_zero_cases)
MOTH_UNARY_FLAT(floor, "largest integer <= x", MOTH_FLOOR(x), off_integer_cases)
MOTH_UNARY_FLAT(ceil, "smallest integer >= x", MOTH_CEIL(x), off_integer_cases)
MOTH_UNARY_FLAT(round, "nearest integer, halves to the even one", MOTH_RINT(x), off_integer_cases)

/* ---- clamp ---- */

static const moth_attr_spec clamp_attrs[] = {
    { .name = "lo", .kind = MOTH_ATTR_FLOAT, .slot = 0, .optional = true, .fallback = -INFINITY },
    { .name = "hi", .kind = MOTH_ATTR_FLOAT, .slot = 1, .optional = true, .fallback = INFINITY },
    { .kind = MOTH_ATTR_END },
};
/* one case below, one inside, one above the range -1 .. 2 */
#define CLAMP_CASE(low, high)                                                        \
    {                                                                                \
        .in = { MOTH_REALS(low, high, 0, 2, 3, 5) }, .n_in = 1, .attrs.f = { -1, 2 } \
    }
static const moth_case clamp_cases[] = {
    CLAMP_CASE(-3, -1.2), CLAMP_CASE(-0.8, 1.8), CLAMP_CASE(2.2, 4), { .n_in = 0 }
};

/* x < lo is false for NaN, which passes through */
MOTH_UNARY_ATTRS(clamp, "x limited to lo .. hi", x < p ? p : (x > q ? q : x), x, v >= p && v <= q ? d : 0, clamp_cases,
                 clamp_attrs)

/* ---- neg: keeps integers ---- */

static moth_status neg_infer(moth_infer *q)
{
    q->out[0] = *q->in[0];
    q->out[0].dtype = moth_promote(q->in[0]->dtype, MOTH_INT32);
    return MOTH_OK;
}

MOTH_LOOP1(neg_loop, -x)

static void neg_ints_loop(int64_t n, int32_t *out, const int32_t *const *in, const int64_t *step,
                          const moth_attrs *attrs)
{
    const int32_t *x = in[0];
    (void)step;
    (void)attrs;
    MOTH_INDEPENDENT
    for (int64_t i = 0; i < n; i++) {
        out[i] = (int32_t)(0u - (uint32_t)x[i]);
    }
}

static bool neg_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    return call->out[0].dtype == MOTH_INT32 ? moth_run_ints(call, r0, r1, neg_ints_loop, false)
                                            : moth_run_reals(call, r0, r1, neg_loop, false);
}

static void neg_gradient(moth_grad *g)
{
    g->dx[0] = MOTH_EMIT(g->scope, &MOTH_OP(neg), NULL, g->dy[0]);
}

static const moth_case neg_cases[] = { MOTH_UNARY_CASES(-1.5, 1.5),
                                       { .in = { MOTH_IN(MOTH_INT32, -9, 9, 1, 2, 5, 3) }, .n_in = 1 },
                                       { .in = { MOTH_IN(MOTH_UINT8, 0, 255, 0, 1, 7) }, .n_in = 1 },
                                       { .n_in = 0 } };

const moth_op MOTH_OP(neg) = {
    .name = "neg",
    .doc = "-x; int32 stays int32, uint8 becomes int32",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = MOTH_OP_METHOD | MOTH_OP_ELEMENTWISE,
    .infer = neg_infer,
    .rows = neg_rows,
    .strided_in = 1,
    .gradient = neg_gradient,
    .cases = MOTH_CASES(neg_cases),
};
