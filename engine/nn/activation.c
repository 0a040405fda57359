/* Activations: names for element-wise functions, and for softmax over the last dim. Definitions: Keras 3. */
#include "nn/emit.h"
#include "nn/functions.h"

typedef struct moth_activation {
    moth_entry entry;
    moth_tensor *(*emit)(moth_pass *pass, const moth_value *config, moth_tensor *x);
} moth_activation;

static moth_tensor *emit_linear(moth_pass *pass, const moth_value *config, moth_tensor *x)
{
    (void)pass;
    (void)config;
    return x;
}

/* relu(x; negative_slope, max_value, threshold): x above the threshold, negative_slope (x - threshold) below it. */
static moth_tensor *emit_relu(moth_pass *pass, const moth_value *config, moth_tensor *x)
{
    moth_scope *scope = pass->scope;
    double slope = moth_config_number(config, "negative_slope"), threshold = moth_config_number(config, "threshold");
    moth_tensor *y;
    if (threshold != 0) {
        moth_tensor *limit = moth_emit_constant(scope, threshold);
        moth_tensor *below = moth_emit_scaled(scope, moth_emit_shifted(scope, x, -threshold), slope);
        y = MOTH_DO(scope, where, NULL, MOTH_DO(scope, ge, NULL, x, limit), x, below);
    } else if (slope != 0) {
        y = MOTH_DO(scope, leaky_relu, &(moth_attrs){ .f = { slope } }, x);
    } else {
        y = MOTH_DO(scope, relu, NULL, x);
    }
    if (moth_config_has(config, "max_value")) {
        moth_tensor *most = moth_emit_constant(scope, moth_config_number(config, "max_value"));
        y = MOTH_DO(scope, minimum, NULL, y, most);
    }
    return y;
}

static moth_tensor *emit_leaky_relu(moth_pass *pass, const moth_value *config, moth_tensor *x)
{
    double slope = moth_config_number(config, "negative_slope");
    return MOTH_DO(pass->scope, leaky_relu, &(moth_attrs){ .f = { slope } }, x);
}

static moth_tensor *emit_elu(moth_pass *pass, const moth_value *config, moth_tensor *x)
{
    double alpha = moth_config_number(config, "alpha");
    return MOTH_DO(pass->scope, elu, &(moth_attrs){ .f = { alpha } }, x);
}

static moth_tensor *emit_softmax(moth_pass *pass, const moth_value *config, moth_tensor *x)
{
    (void)config;
    return MOTH_DO(pass->scope, softmax, &(moth_attrs){ .i = { -1 } }, x);
}

static moth_tensor *emit_log_softmax(moth_pass *pass, const moth_value *config, moth_tensor *x)
{
    (void)config;
    return MOTH_DO(pass->scope, log_softmax, &(moth_attrs){ .i = { -1 } }, x);
}

/* Exact, or 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). */
static moth_tensor *emit_gelu(moth_pass *pass, const moth_value *config, moth_tensor *x)
{
    moth_scope *scope = pass->scope;
    if (!moth_config_bool(config, "approximate")) {
        return MOTH_DO(scope, gelu, NULL, x);
    }
    moth_tensor *cube = MOTH_DO(scope, mul, NULL, MOTH_DO(scope, square, NULL, x), x);
    moth_tensor *inner = MOTH_DO(scope, add, NULL, x, moth_emit_scaled(scope, cube, 0.044715));
    moth_tensor *bent = MOTH_DO(scope, tanh, NULL, moth_emit_scaled(scope, inner, 0.7978845608028654));
    return MOTH_DO(scope, mul, NULL, moth_emit_scaled(scope, x, 0.5), moth_emit_shifted(scope, bent, 1));
}

/* Those that are one op without options. */
#define PLAIN(name, op, doc_)                                                                  \
    static moth_tensor *emit_##name(moth_pass *pass, const moth_value *config, moth_tensor *x) \
    {                                                                                          \
        (void)config;                                                                          \
        return MOTH_DO(pass->scope, op, NULL, x);                                              \
    }                                                                                          \
    static const moth_activation name##_activation = { { #name, doc_, NULL }, emit_##name };

PLAIN(sigmoid, sigmoid, "1 / (1 + e^-x)")
PLAIN(tanh, tanh, "hyperbolic tangent")
PLAIN(softplus, softplus, "ln(1 + e^x)")
PLAIN(softsign, softsign, "x / (1 + |x|)")
PLAIN(selu, selu, "scaled exponential linear unit")
PLAIN(silu, silu, "x sigmoid(x), also called swish")
PLAIN(hard_sigmoid, hard_sigmoid, "clip(x + 3, 0, 6) / 6")
PLAIN(exponential, exp, "e^x")
PLAIN(step, step, "1 for x > 0, else 0: the perceptron's")

static const moth_option relu_options[] = {
    { .name = "negative_slope", .kind = MOTH_OPTION_NUMBER, .fallback = "0", .position = 1 },
    { .name = "max_value", .kind = MOTH_OPTION_NUMBER, .position = 2, .high = MOTH_NO_LIMIT },
    { .name = "threshold", .kind = MOTH_OPTION_NUMBER, .fallback = "0", .position = 3 },
    MOTH_OPTIONS_END,
};
static const moth_option leaky_relu_options[] = {
    { .name = "negative_slope", .kind = MOTH_OPTION_NUMBER, .fallback = "0.2", .position = 1 },
    MOTH_OPTIONS_END,
};
static const moth_option elu_options[] = {
    { .name = "alpha", .kind = MOTH_OPTION_NUMBER, .fallback = "1", .position = 1 },
    MOTH_OPTIONS_END,
};

static const moth_option gelu_options[] = {
    { .name = "approximate", .kind = MOTH_OPTION_BOOL, .fallback = "false", .position = 1 },
    MOTH_OPTIONS_END,
};

static const moth_activation gelu_activation = { { "gelu", "x times the normal distribution function", gelu_options },
                                                 emit_gelu };
static const moth_activation linear_activation = { { "linear", "x itself", NULL }, emit_linear };
static const moth_activation relu_activation = { { "relu", "max(x, 0)", relu_options }, emit_relu };
static const moth_activation leaky_relu_activation = {
    { "leaky_relu", "x, or negative_slope x below 0", leaky_relu_options }, emit_leaky_relu
};
static const moth_activation elu_activation = { { "elu", "x, or alpha (e^x - 1) below 0", elu_options }, emit_elu };
static const moth_activation softmax_activation = { { "softmax", "e^x over its sum, over the last dim", NULL },
                                                    emit_softmax };
static const moth_activation log_softmax_activation = { { "log_softmax", "logarithm of softmax", NULL },
                                                        emit_log_softmax };

static const moth_entry *const entries[] = {
    &relu_activation.entry,
    &sigmoid_activation.entry,
    &tanh_activation.entry,
    &softmax_activation.entry,
    &log_softmax_activation.entry,
    &softplus_activation.entry,
    &softsign_activation.entry,
    &elu_activation.entry,
    &selu_activation.entry,
    &gelu_activation.entry,
    &silu_activation.entry,
    &hard_sigmoid_activation.entry,
    &exponential_activation.entry,
    &linear_activation.entry,
    &leaky_relu_activation.entry,
    &step_activation.entry,
    NULL,
};
static const char *const aliases[] = { "swish", "silu", NULL };

const moth_kind moth_activations = { "activation", "activations", entries, aliases, false, NULL };

moth_tensor *moth_activate_as(moth_pass *pass, const char *name, const moth_value *config, moth_tensor *x)
{
    const moth_activation *a = (const moth_activation *)(const void *)moth_entry_find(&moth_activations, name);
    return a && x ? a->emit(pass, config, x) : x;
}

moth_tensor *moth_activate(moth_pass *pass, const moth_value *spec, moth_tensor *x)
{
    if (moth_value_kind_of(spec) == MOTH_FUNCTION) {
        moth_tensor *y = NULL;
        int n = 0;
        moth_call_function(pass, moth_value_as_function(spec), 1, &x, 1, &y, &n);
        return y;
    }
    return moth_value_kind_of(spec) == MOTH_MAP ? moth_activate_as(pass, moth_spec_name(spec), spec, x) : x;
}
