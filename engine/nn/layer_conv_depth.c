/* Convolutions whose kernel sees one channel at a time: DepthwiseConv2D, kernel (rows, columns, channels,
 * depth_multiplier), and SeparableConv2D, which mixes the results by a pointwise kernel (1, 1, channels x
 * depth_multiplier, filters) (Chollet 2017). Both are conv2d with a group for each channel. */
#include "nn/layer_conv.h"
#include "ops/conv.h"

/* Adds the depthwise kernel under a name; its specs are the options depthwise_initializer and so on. */
static moth_status add_depthwise(moth_layer *layer, moth_ctx *ctx, const char *name, int64_t channels)
{
    moth_geometry g = moth_geometry_of(layer, 2);
    moth_variable_spec spec = {
        .name = name,
        .rank = 4,
        .shape = { g.kernel[0], g.kernel[1], channels, moth_config_int(layer->config, "depth_multiplier") },
        .initializer = moth_value_get(layer->config, "depthwise_initializer"),
        .regularizer = moth_value_get(layer->config, "depthwise_regularizer"),
        .constraint = moth_value_get(layer->config, "depthwise_constraint"),
    };
    return moth_layer_add_variable(layer, ctx, &spec, NULL);
}

static moth_status add_bias(moth_layer *layer, moth_ctx *ctx, int64_t size)
{
    return moth_config_bool(layer->config, "use_bias") ? moth_layer_add_weight(layer, ctx, "bias", 1, &size) : MOTH_OK;
}

/* Every channel by its own kernels; x and the result have their channels last. */
static moth_tensor *depthwise(moth_layer *layer, moth_pass *pass, moth_tensor *x, moth_tensor *bias)
{
    moth_geometry g = moth_geometry_of(layer, 2);
    moth_tensor *w = moth_layer_weight(layer, 0);
    int64_t channels = w->meta.shape[2], shape[4] = { g.kernel[0], g.kernel[1], 1, channels * w->meta.shape[3] };
    if (!x) {
        return NULL;
    }
    moth_attrs attrs = moth_geometry_attrs(layer, &g, &x->meta, channels);
    w = moth_emit_reshape(pass->scope, w, 4, shape);
    return bias ? MOTH_DO(pass->scope, conv2d, &attrs, x, w, bias) : MOTH_DO(pass->scope, conv2d, &attrs, x, w);
}

static moth_tensor *input_of(moth_layer *layer, moth_pass *pass, const moth_layer_io *io)
{
    return moth_channels_last(layer, pass, moth_emit_float(pass->scope, io->in[0]));
}

/* ---- DepthwiseConv2D ---- */

static moth_status depthwise_build(moth_layer *layer, moth_ctx *ctx, int n_in, const moth_meta *const *in)
{
    (void)n_in;
    int64_t channels = moth_channels_of(layer, in[0]);
    MOTH_TRY(add_depthwise(layer, ctx, "kernel", channels));
    return add_bias(layer, ctx, channels * moth_config_int(layer->config, "depth_multiplier"));
}

static moth_status depthwise_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    MOTH_TRY(moth_layer_expect_channels(layer, pass, io));
    moth_tensor *y = depthwise(layer, pass, input_of(layer, pass, io), moth_layer_find(layer, "bias"));
    io->out_mask = NULL;
    return moth_layer_finish(layer, pass, io, moth_channels_back(layer, pass, y));
}

/* ---- SeparableConv2D ---- */

static moth_status separable_build(moth_layer *layer, moth_ctx *ctx, int n_in, const moth_meta *const *in)
{
    (void)n_in;
    int64_t filters = moth_config_int(layer->config, "filters"), channels = moth_channels_of(layer, in[0]);
    MOTH_TRY(add_depthwise(layer, ctx, "depthwise_kernel", channels));
    moth_variable_spec pointwise = {
        .name = "pointwise_kernel",
        .rank = 4,
        .shape = { 1, 1, channels * moth_config_int(layer->config, "depth_multiplier"), filters },
        .initializer = moth_value_get(layer->config, "pointwise_initializer"),
        .regularizer = moth_value_get(layer->config, "pointwise_regularizer"),
        .constraint = moth_value_get(layer->config, "pointwise_constraint"),
    };
    MOTH_TRY(moth_layer_add_variable(layer, ctx, &pointwise, NULL));
    return add_bias(layer, ctx, filters);
}

static moth_status separable_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    MOTH_TRY(moth_layer_expect_channels(layer, pass, io));
    moth_tensor *y = depthwise(layer, pass, input_of(layer, pass, io), NULL);
    moth_tensor *w = moth_layer_find(layer, "pointwise_kernel"), *bias = moth_layer_find(layer, "bias");
    y = bias ? MOTH_DO(pass->scope, conv2d, NULL, y, w, bias) : MOTH_DO(pass->scope, conv2d, NULL, y, w);
    io->out_mask = NULL;
    return moth_layer_finish(layer, pass, io, moth_channels_back(layer, pass, y));
}

/* ---- options ---- */

#define DEPTH(place)                                                                                       \
    {                                                                                                      \
        .name = "depth_multiplier", .kind = MOTH_OPTION_INT, .fallback = "1", .position = place, .low = 1, \
        .high = MOTH_NO_LIMIT, .doc = "kernels for each channel"                                           \
    }
#define WINDOW(place)                                                                            \
    MOTH_OPTION_SIZES("kernel_size", MOTH_REQUIRED, place, 2, "rows and columns of the window"), \
        MOTH_OPTION_SIZES("strides", "1 1", (place) + 1, 2, "steps of the window"),              \
        MOTH_OPTION_PADDING((place) + 2, "valid same")
#define REST                                                                                            \
    MOTH_OPTION_DATA_FORMAT,                                                                            \
        MOTH_OPTION_SIZES("dilation_rate", "1 1", 0, 2, "distance between the elements of the window"), \
        MOTH_OPTION_ACTIVATION(0), MOTH_OPTION_USE_BIAS
#define BIAS                                                                                           \
    MOTH_OPTION_INITIALIZER("bias_initializer", "zeros"), MOTH_OPTION_REGULARIZER("bias_regularizer"), \
        MOTH_OPTION_REGULARIZER("activity_regularizer"), MOTH_OPTION_CONSTRAINT("bias_constraint")
#define KERNEL(name_)                                                                                               \
    MOTH_OPTION_INITIALIZER(name_ "_initializer", "glorot_uniform"), MOTH_OPTION_REGULARIZER(name_ "_regularizer"), \
        MOTH_OPTION_CONSTRAINT(name_ "_constraint")

static const moth_option depthwise_options[] = {
    WINDOW(1), DEPTH(4), REST, KERNEL("depthwise"), BIAS, MOTH_OPTIONS_END,
};
static const moth_option separable_options[] = {
    MOTH_OPTION_FILTERS, WINDOW(2), DEPTH(0), REST, KERNEL("depthwise"), KERNEL("pointwise"), BIAS, MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_DepthwiseConv2D = {
    .entry = { "DepthwiseConv2D", "convolution of each channel by itself", depthwise_options },
    .min_rank = 4,
    .max_rank = 4,
    .build = depthwise_build,
    .call = depthwise_call,
};
const moth_layer_type moth_layer_SeparableConv2D = {
    .entry = { "SeparableConv2D", "convolution of each channel by itself, then a mixture of the results",
               separable_options },
    .min_rank = 4,
    .max_rank = 4,
    .build = separable_build,
    .call = separable_call,
};
