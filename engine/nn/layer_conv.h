/* What layers that move a window over images or sequences share. */
#ifndef MOTH_NN_LAYER_CONV_H
#define MOTH_NN_LAYER_CONV_H

#include "nn/layer_options.h"

#define MOTH_OPTION_DATA_FORMAT                                                         \
    {                                                                                   \
        .name = "data_format", .kind = MOTH_OPTION_STRING, .fallback = "channels_last", \
        .choices = "channels_last channels_first"                                       \
    }

/* Sizes below 2^20: their products with a tensor's own stay far within 64 bits. */
#define MOTH_OPTION_SIZES(name_, fallback_, place, count_, doc_)                                                      \
    {                                                                                                                 \
        .name = name_, .kind = MOTH_OPTION_INTS, .fallback = fallback_, .position = place, .low = 1, .high = 1 << 20, \
        .count = count_, .doc = doc_                                                                                  \
    }
#define MOTH_OPTION_FILTERS                                                                             \
    {                                                                                                   \
        .name = "filters", .kind = MOTH_OPTION_INT, .fallback = MOTH_REQUIRED, .position = 1, .low = 1, \
        .high = MOTH_NO_LIMIT, .doc = "channels of the output"                                          \
    }
#define MOTH_OPTION_PADDING(place, choices_)                                                                       \
    {                                                                                                              \
        .name = "padding", .kind = MOTH_OPTION_STRING, .fallback = "valid", .position = place, .choices = choices_ \
    }
/* Padding in front and behind for "valid", "same" (Keras's rule) or "causal". */
void moth_window_padding(const char *mode, int64_t length, int64_t window, int64_t stride, int64_t dilation,
                         int64_t pads[2]);

/* What the options say of a convolution over `dims` dimensions; the other dimension of a sequence is 1 long. */
typedef struct moth_geometry {
    int dims;
    int64_t kernel[2], strides[2], dilation[2];
    int64_t filters, groups;
} moth_geometry;

moth_geometry moth_geometry_of(const moth_layer *layer, int dims);
/* Strides and dilation exclude each other. */
moth_status moth_geometry_check(const moth_layer *layer, moth_ctx *ctx, const moth_geometry *g);
/* Attributes of conv2d for images x, channels last. */
moth_attrs moth_geometry_attrs(const moth_layer *layer, const moth_geometry *g, const moth_meta *x, int64_t groups);

/* x with its channels last, and y the way the layer's data_format wants it. */
moth_tensor *moth_channels_last(const moth_layer *layer, moth_pass *pass, moth_tensor *x);
moth_tensor *moth_channels_back(const moth_layer *layer, moth_pass *pass, moth_tensor *y);
int64_t moth_channels_of(const moth_layer *layer, const moth_meta *x);

/* The input must have the rank and the number of channels that the layer was built for; other sizes may differ. */
moth_status moth_layer_expect_channels(const moth_layer *layer, moth_pass *pass, const moth_layer_io *io);

#endif
