/* What layers that move a window over images or sequences share. */
#ifndef MOTH_NN_LAYER_CONV_H
#define MOTH_NN_LAYER_CONV_H

#include "nn/layer_options.h"

#define MOTH_OPTION_DATA_FORMAT                                                         \
    {                                                                                   \
        .name = "data_format", .kind = MOTH_OPTION_STRING, .fallback = "channels_last", \
        .choices = "channels_last channels_first"                                       \
    }

/* Padding in front and behind for "valid", "same" (Keras's rule) or "causal". */
void moth_window_padding(const char *mode, int64_t length, int64_t window, int64_t stride, int64_t dilation,
                         int64_t pads[2]);

/* x with its channels last, and y the way the layer's data_format wants it. */
moth_tensor *moth_channels_last(const moth_layer *layer, moth_pass *pass, moth_tensor *x);
moth_tensor *moth_channels_back(const moth_layer *layer, moth_pass *pass, moth_tensor *y);
int64_t moth_channels_of(const moth_layer *layer, const moth_meta *x);

/* The input must have the rank and the number of channels that the layer was built for; other sizes may differ. */
moth_status moth_layer_expect_channels(const moth_layer *layer, moth_pass *pass, const moth_layer_io *io);

#endif
