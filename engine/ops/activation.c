/* Activations: element-wise functions y = f(x), any shape, float32 out. Definitions and constants are Keras 3's. */
#include "ops/elementwise.h"

static const moth_case smooth_cases[] = { MOTH_UNARY_CASES(-3, 3), { .n_in = 0 } };
static const moth_case off_zero_cases[] = { MOTH_UNARY_CASES(0.2, 2), MOTH_UNARY_CASES(-2, -0.2), { .n_in = 0 } };
static const moth_case hard_cases[] = {
    MOTH_UNARY_CASES(-2.9, 2.9), MOTH_UNARY_CASES(3.1, 5), MOTH_UNARY_CASES(-5, -3.1), { .n_in = 0 }
};

#define SELU_SCALE MOTH_R(1.0507009873554805)
#define SELU_ALPHA MOTH_R(1.6732632423543772)
#define SQRT_HALF MOTH_R(0.7071067811865476)
#define INV_SQRT_2PI MOTH_R(0.3989422804014327)

/* NaN stays NaN in each of them: comparisons are written so that the branch with x is taken */
MOTH_UNARY(relu, "max(x, 0)", (x < 0 ? 0 : x), y, (v > 0 ? d : 0), off_zero_cases)
MOTH_UNARY(sigmoid, "1 / (1 + e^-x)", MOTH_SIGMOID(x), y, (d * v * (1 - v)), smooth_cases)
MOTH_UNARY(tanh, "hyperbolic tangent of x", MOTH_TANH(x), y, (d * (1 - v * v)), smooth_cases)
MOTH_UNARY(softsign, "x / (1 + |x|)", x / (1 + MOTH_FABS(x)), x, d / ((1 + MOTH_FABS(v)) * (1 + MOTH_FABS(v))),
           off_zero_cases)
MOTH_UNARY(softplus, "ln(1 + e^x)", (x < 0 ? 0 : x) + MOTH_LOG1P(MOTH_EXP(-MOTH_FABS(x))), x, (d * MOTH_SIGMOID(v)),
           smooth_cases)
MOTH_UNARY(silu, "x sigmoid(x) (Elfwing, Uchibe, Doya 2017)", (x * MOTH_SIGMOID(x)), x,
           (d * MOTH_SIGMOID(v) * (1 + v * MOTH_SIGMOID(-v))), smooth_cases)
MOTH_UNARY(gelu, "x Phi(x) with the exact normal distribution function (Hendrycks, Gimpel 2016)",
           MOTH_R(0.5) * x * (1 + MOTH_ERF(x * SQRT_HALF)), x,
           (d * (MOTH_R(0.5) * (1 + MOTH_ERF(v * SQRT_HALF)) + v * INV_SQRT_2PI * MOTH_EXP(MOTH_R(-0.5) * v * v))),
           smooth_cases)
MOTH_UNARY(selu, "1.0507 x for x > 0, else 1.0507 * 1.6733 (e^x - 1) (Klambauer et al. 2017)",
           (x < 0 ? SELU_SCALE * SELU_ALPHA * (MOTH_EXP(x) - 1) : SELU_SCALE * x), y,
           (v > 0 ? d * SELU_SCALE : d * (v + SELU_SCALE * SELU_ALPHA)), off_zero_cases)
MOTH_UNARY(hard_sigmoid, "clip(x + 3, 0, 6) / 6", (x < -3 ? 0 : (x > 3 ? 1 : (x + 3) / 6)), x,
           (v > -3 && v < 3 ? d / 6 : 0), hard_cases)

MOTH_UNARY_FLAT(step, "1 for x > 0, else 0: the perceptron's activation", (moth_real)(x > 0), off_zero_cases)

/* ---- with a parameter ---- */

static const moth_attr_spec elu_attrs[] = {
    { .name = "alpha", .kind = MOTH_ATTR_FLOAT, .slot = 0, .optional = true, .fallback = 1 },
    { .kind = MOTH_ATTR_END },
};
static const moth_attr_spec leaky_relu_attrs[] = {
    { .name = "negative_slope", .kind = MOTH_ATTR_FLOAT, .slot = 0, .optional = true, .fallback = 0.2 },
    { .kind = MOTH_ATTR_END },
};
#define PARAMETER_CASE(low, high)                                                  \
    {                                                                              \
        .in = { MOTH_REALS(low, high, 1, 2, 7, 5) }, .n_in = 1, .attrs.f = { 0.7 } \
    }
static const moth_case parameter_cases[] = { PARAMETER_CASE(0.2, 2), PARAMETER_CASE(-2, -0.2), { .n_in = 0 } };

MOTH_UNARY_ATTRS(elu, "x for x > 0, else alpha (e^x - 1) (Clevert, Unterthiner, Hochreiter 2015)",
                 x < 0 ? p * (MOTH_EXP(x) - 1) : x, x, v < 0 ? d * p * MOTH_EXP(v) : d, parameter_cases, elu_attrs)
MOTH_UNARY_ATTRS(leaky_relu, "x for x > 0, else negative_slope x", x < 0 ? p * x : x, x, v < 0 ? d * p : d,
                 parameter_cases, leaky_relu_attrs)
