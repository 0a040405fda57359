/* Convolutions over images and sequences. Kernels are stored as Keras stores them: (rows, columns, channels / groups,
 * filters). Ops are channels-last; channels_first inputs are permuted on the way in and out.
 *
 * Padding "same": ceil(L / s) outputs, the odd element of padding at the end; "causal": all of it in front. */
#include <string.h>

#include "nn/layer_conv.h"
#include "ops/conv.h"

/* ---- geometry ---- */

void moth_window_padding(const char *mode, int64_t length, int64_t window, int64_t stride, int64_t dilation,
                         int64_t pads[2])
{
    int64_t reach = dilation * (window - 1) + 1;
    pads[0] = pads[1] = 0;
    if (strcmp(mode, "same") == 0) {
        int64_t out = (length + stride - 1) / stride, total = (out - 1) * stride + reach - length;
        total = total > 0 ? total : 0;
        pads[0] = total / 2;
        pads[1] = total - total / 2;
    } else if (strcmp(mode, "causal") == 0) {
        pads[0] = reach - 1;
    }
}

static bool channels_first(const moth_layer *layer)
{
    return strcmp(moth_config_string(layer->config, "data_format"), "channels_first") == 0;
}

moth_tensor *moth_channels_last(const moth_layer *layer, moth_pass *pass, moth_tensor *x)
{
    if (!x || !channels_first(layer)) {
        return x;
    }
    moth_attrs attrs = { .i = { x->meta.rank, 0 } };
    for (int d = 1; d < x->meta.rank; d++) {
        attrs.i[1 + d] = d + 1 < x->meta.rank ? d + 1 : 1;
    }
    return MOTH_DO(pass->scope, permute, &attrs, x);
}

moth_tensor *moth_channels_back(const moth_layer *layer, moth_pass *pass, moth_tensor *y)
{
    if (!y || !channels_first(layer)) {
        return y;
    }
    moth_attrs attrs = { .i = { y->meta.rank, 0, y->meta.rank - 1 } };
    for (int d = 2; d < y->meta.rank; d++) {
        attrs.i[1 + d] = d - 1;
    }
    return MOTH_DO(pass->scope, permute, &attrs, y);
}

int64_t moth_channels_of(const moth_layer *layer, const moth_meta *x)
{
    return x->shape[channels_first(layer) ? 1 : x->rank - 1];
}

moth_geometry moth_geometry_of(const moth_layer *layer, int dims)
{
    moth_geometry g = { .dims = dims, .kernel = { 1, 1 }, .strides = { 1, 1 }, .dilation = { 1, 1 }, .groups = 1 };
    moth_config_ints(layer->config, "kernel_size", g.kernel, 2);
    moth_config_ints(layer->config, "strides", g.strides, 2);
    if (moth_config_has(layer->config, "dilation_rate")) {
        moth_config_ints(layer->config, "dilation_rate", g.dilation, 2);
    }
    g.filters = moth_config_int(layer->config, "filters");
    g.groups = moth_config_has(layer->config, "groups") ? moth_config_int(layer->config, "groups") : 1;
    return g;
}

moth_attrs moth_geometry_attrs(const moth_layer *layer, const moth_geometry *g, const moth_meta *x, int64_t groups)
{
    const char *mode = moth_config_string(layer->config, "padding");
    moth_attrs attrs = { .i = { [MOTH_CONV_GROUPS] = groups } };
    attrs.i[MOTH_CONV_STRIDES] = attrs.i[MOTH_CONV_DILATION] = 2;
    attrs.i[MOTH_CONV_PADDING] = 4;
    for (int d = 0; d < 2; d++) {
        attrs.i[MOTH_CONV_STRIDES + 1 + d] = g->strides[d];
        attrs.i[MOTH_CONV_DILATION + 1 + d] = g->dilation[d];
        moth_window_padding(d < g->dims ? mode : "valid", x->shape[1 + d], g->kernel[d], g->strides[d], g->dilation[d],
                            &attrs.i[MOTH_CONV_PADDING + 1 + 2 * d]);
    }
    return attrs;
}

moth_status moth_geometry_check(const moth_layer *layer, moth_ctx *ctx, const moth_geometry *g)
{
    bool strided = g->strides[0] > 1 || g->strides[1] > 1, dilated = g->dilation[0] > 1 || g->dilation[1] > 1;
    if (strided && dilated) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: strides and dilation_rate above 1 exclude each other",
                         layer->type->entry.name);
    }
    return MOTH_OK;
}

/* (B, T, C) as images of one column. */
static moth_tensor *as_images(moth_pass *pass, moth_tensor *x, int dims)
{
    return dims == 2 || !x ? x : MOTH_DO(pass->scope, unsqueeze, &(moth_attrs){ .i = { 2 } }, x);
}

static moth_tensor *as_sequences(moth_pass *pass, moth_tensor *y, int dims)
{
    if (dims == 2 || !y) {
        return y;
    }
    int64_t shape[3] = { y->meta.shape[0], y->meta.shape[1], y->meta.shape[3] };
    return moth_emit_reshape(pass->scope, y, 3, shape);
}

/* The variable as (rows, columns, channels of a group, filters). */
static moth_tensor *as_kernel(moth_pass *pass, moth_tensor *w, int dims)
{
    if (dims == 2) {
        return w;
    }
    int64_t shape[4] = { w->meta.shape[0], 1, w->meta.shape[1], w->meta.shape[2] };
    return moth_emit_reshape(pass->scope, w, 4, shape);
}

/* ---- Conv1D, Conv2D ---- */

static moth_status conv_setup(moth_layer *layer, moth_ctx *ctx, int dims)
{
    moth_geometry g = moth_geometry_of(layer, dims);
    MOTH_TRY(moth_geometry_check(layer, ctx, &g));
    if (g.filters % g.groups != 0) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: filters (%lld) must be a multiple of groups (%lld)",
                         layer->type->entry.name, (long long)g.filters, (long long)g.groups);
    }
    return MOTH_OK;
}

static moth_status conv_build(moth_layer *layer, moth_ctx *ctx, const moth_meta *x, int dims)
{
    moth_geometry g = moth_geometry_of(layer, dims);
    int64_t channels = moth_channels_of(layer, x);
    if (channels % g.groups != 0) {
        return moth_fail(ctx, MOTH_ERR_SHAPE, "groups (%lld) must divide the %lld channels of the input",
                         (long long)g.groups, (long long)channels);
    }
    int64_t shape[4] = { g.kernel[0], g.kernel[1], channels / g.groups, g.filters };
    if (dims == 1) {
        shape[1] = shape[2];
        shape[2] = shape[3];
    }
    MOTH_TRY(moth_layer_add_weight(layer, ctx, "kernel", dims + 2, shape));
    return moth_config_bool(layer->config, "use_bias") ? moth_layer_add_weight(layer, ctx, "bias", 1, &g.filters)
                                                       : MOTH_OK;
}

static moth_status conv_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io, int dims)
{
    moth_geometry g = moth_geometry_of(layer, dims);
    MOTH_TRY(moth_layer_expect_channels(layer, pass, io));
    moth_tensor *x = moth_channels_last(layer, pass, moth_emit_float(pass->scope, io->in[0]));
    x = as_images(pass, x, dims);
    MOTH_TRY(pass->scope->status);
    moth_attrs attrs = moth_geometry_attrs(layer, &g, &x->meta, g.groups);
    moth_tensor *w = as_kernel(pass, moth_layer_find(layer, "kernel"), dims), *b = moth_layer_find(layer, "bias");
    moth_tensor *y = b ? MOTH_DO(pass->scope, conv2d, &attrs, x, w, b) : MOTH_DO(pass->scope, conv2d, &attrs, x, w);
    io->out_mask = NULL;
    return moth_layer_finish(layer, pass, io, moth_channels_back(layer, pass, as_sequences(pass, y, dims)));
}

moth_status moth_layer_expect_channels(const moth_layer *layer, moth_pass *pass, const moth_layer_io *io)
{
    int64_t shape[MOTH_MAX_RANK];
    const moth_meta *built = &layer->built_for;
    for (int d = 0; d < built->rank; d++) {
        shape[d] = -1;
    }
    int channel = channels_first(layer) ? 1 : built->rank - 1;
    shape[channel] = built->shape[channel];
    return moth_layer_expect(pass->ctx, &io->in[0]->meta, built->rank, shape);
}

#define WRAP(name, dims)                                                                                    \
    static moth_status name##_setup(moth_layer *layer, moth_ctx *ctx)                                       \
    {                                                                                                       \
        return conv_setup(layer, ctx, dims);                                                                \
    }                                                                                                       \
    static moth_status name##_build(moth_layer *layer, moth_ctx *ctx, int n_in, const moth_meta *const *in) \
    {                                                                                                       \
        (void)n_in;                                                                                         \
        return conv_build(layer, ctx, in[0], dims);                                                         \
    }                                                                                                       \
    static moth_status name##_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)                   \
    {                                                                                                       \
        return conv_call(layer, pass, io, dims);                                                            \
    }

WRAP(conv1d, 1)
WRAP(conv2d, 2)

#define GROUPS                                                                                      \
    {                                                                                               \
        .name = "groups", .kind = MOTH_OPTION_INT, .fallback = "1", .low = 1, .high = MOTH_NO_LIMIT \
    }

static const moth_option conv2d_options[] = {
    MOTH_OPTION_FILTERS,
    MOTH_OPTION_SIZES("kernel_size", MOTH_REQUIRED, 2, 2, "rows and columns of the window"),
    MOTH_OPTION_SIZES("strides", "1 1", 3, 2, "steps of the window"),
    MOTH_OPTION_PADDING(4, "valid same"),
    MOTH_OPTION_DATA_FORMAT,
    MOTH_OPTION_SIZES("dilation_rate", "1 1", 0, 2, "distance between the elements of the window"),
    GROUPS,
    MOTH_OPTION_ACTIVATION(0),
    MOTH_OPTIONS_KERNEL_BIAS,
    MOTH_OPTIONS_END,
};
static const moth_option conv1d_options[] = {
    MOTH_OPTION_FILTERS,
    MOTH_OPTION_SIZES("kernel_size", MOTH_REQUIRED, 2, 1, "length of the window"),
    MOTH_OPTION_SIZES("strides", "1", 3, 1, "steps of the window"),
    MOTH_OPTION_PADDING(4, "valid same causal"),
    MOTH_OPTION_DATA_FORMAT,
    MOTH_OPTION_SIZES("dilation_rate", "1", 0, 1, "distance between the elements of the window"),
    GROUPS,
    MOTH_OPTION_ACTIVATION(0),
    MOTH_OPTIONS_KERNEL_BIAS,
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_Conv2D = {
    .entry = { "Conv2D", "convolution over images, kernel (rows, columns, channels, filters)", conv2d_options },
    .min_rank = 4,
    .max_rank = 4,
    .setup = conv2d_setup,
    .build = conv2d_build,
    .call = conv2d_call,
};
const moth_layer_type moth_layer_Conv1D = {
    .entry = { "Conv1D", "convolution over sequences, kernel (length, channels, filters)", conv1d_options },
    .min_rank = 3,
    .max_rank = 3,
    .setup = conv1d_setup,
    .build = conv1d_build,
    .call = conv1d_call,
};
