/* Conv2DTranspose: the transpose of a convolution as a linear map, which enlarges images. Kernels are (rows, columns,
 * filters, channels). Sizes and padding are Keras's; k is the reach of the kernel, dilation included:
 *
 *   valid: (n - 1) s + max(k, s), or (n - 1) s + k + output_padding
 *   same:  n s, or (n - 1) s + k % 2 + output_padding */
#include <string.h>

#include "nn/layer_conv.h"
#include "ops/conv.h"

static moth_status transpose_setup(moth_layer *layer, moth_ctx *ctx)
{
    moth_geometry g = moth_geometry_of(layer, 2);
    int64_t extra[2];
    MOTH_TRY(moth_geometry_check(layer, ctx, &g));
    int n = moth_config_ints(layer->config, "output_padding", extra, 2);
    for (int d = 0; d < n; d++) {
        if (extra[d] >= g.strides[d]) {
            return moth_fail(ctx, MOTH_ERR_ARGUMENT,
                             "Conv2DTranspose: output_padding (%lld) must be less than strides (%lld)",
                             (long long)extra[d], (long long)g.strides[d]);
        }
    }
    return MOTH_OK;
}

static moth_status transpose_build(moth_layer *layer, moth_ctx *ctx, int n_in, const moth_meta *const *in)
{
    (void)n_in;
    moth_geometry g = moth_geometry_of(layer, 2);
    int64_t shape[4] = { g.kernel[0], g.kernel[1], g.filters, moth_channels_of(layer, in[0]) };
    MOTH_TRY(moth_layer_add_weight(layer, ctx, "kernel", 4, shape));
    return moth_config_bool(layer->config, "use_bias") ? moth_layer_add_weight(layer, ctx, "bias", 1, &g.filters)
                                                       : MOTH_OK;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Size of the result along a dim of n, and the padding of the convolution that would lead back from it. extra < 0: no
 * output_padding is given. */
static int64_t enlarged(bool same, int64_t n, int64_t window, int64_t stride, int64_t dilation, int64_t extra,
                        int64_t pads[2])
{
    int64_t reach = dilation * (window - 1) + 1, spread = (n - 1) * stride + reach, size, all;
    if (!same) {
        pads[0] = pads[1] = 0;
        return extra >= 0 ? spread + extra : spread + (stride > reach ? stride - reach : 0);
    }
    /* all: what the input would be padded by, spread out, for the kernel to pass over it */
    size = extra >= 0 ? spread - reach + reach % 2 + extra : n * stride;
    all = extra >= 0 ? reach + reach % 2 - 2 + extra : stride + reach - 2;
    pads[0] = reach - 1 - smaller((all + 1) / 2, reach - 1);
    pads[1] = spread - size - pads[0] > 0 ? spread - size - pads[0] : 0;
    return size;
}

static moth_status transpose_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    moth_geometry g = moth_geometry_of(layer, 2);
    MOTH_TRY(moth_layer_expect_channels(layer, pass, io));
    moth_tensor *y, *x = moth_channels_last(layer, pass, moth_emit_float(pass->scope, io->in[0]));
    MOTH_TRY(pass->scope->status);
    bool same = strcmp(moth_config_string(layer->config, "padding"), "same") == 0;
    int64_t extra[2] = { -1, -1 };
    moth_config_ints(layer->config, "output_padding", extra, 2);
    moth_attrs attrs = moth_geometry_attrs(layer, &g, &x->meta, 1);
    attrs.i[MOTH_CONV_SIZE] = 2;
    for (int d = 0; d < 2; d++) {
        attrs.i[MOTH_CONV_SIZE + 1 + d] = enlarged(same, x->meta.shape[1 + d], g.kernel[d], g.strides[d], g.dilation[d],
                                                   extra[d], &attrs.i[MOTH_CONV_PADDING + 1 + 2 * d]);
    }
    moth_tensor *w = moth_layer_find(layer, "kernel"), *b = moth_layer_find(layer, "bias");
    y = b ? MOTH_DO(pass->scope, conv2d_transpose, &attrs, x, w, b)
          : MOTH_DO(pass->scope, conv2d_transpose, &attrs, x, w);
    io->out_mask = NULL;
    return moth_layer_finish(layer, pass, io, moth_channels_back(layer, pass, y));
}

static const moth_option transpose_options[] = {
    MOTH_OPTION_FILTERS,
    MOTH_OPTION_SIZES("kernel_size", MOTH_REQUIRED, 2, 2, "rows and columns of the window"),
    MOTH_OPTION_SIZES("strides", "1 1", 3, 2, "how far apart the values of the input are laid"),
    MOTH_OPTION_PADDING(4, "valid same"),
    { .name = "output_padding",
      .kind = MOTH_OPTION_INTS,
      .position = 5,
      .high = MOTH_NO_LIMIT,
      .count = 2,
      .doc = "rows and columns that are added at the end of the result" },
    MOTH_OPTION_DATA_FORMAT,
    MOTH_OPTION_SIZES("dilation_rate", "1 1", 0, 2, "distance between the elements of the window"),
    MOTH_OPTION_ACTIVATION(0),
    MOTH_OPTIONS_KERNEL_BIAS,
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_Conv2DTranspose = {
    .entry = { "Conv2DTranspose", "transpose of a convolution, kernel (rows, columns, filters, channels)",
               transpose_options },
    .min_rank = 4,
    .max_rank = 4,
    .setup = transpose_setup,
    .build = transpose_build,
    .call = transpose_call,
};
