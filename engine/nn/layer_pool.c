/* Pooling: the maximum or mean of a window that moves, or of the whole picture. Averages count real elements only,
 * padding excluded. */
#include <string.h>

#include "nn/layer_conv.h"
#include "ops/pool2d.h"

static moth_attrs pool_attrs(const moth_layer *layer, const moth_meta *x, int dims)
{
    int64_t window[2] = { 1, 1 }, strides[2] = { 1, 1 };
    const char *mode = moth_config_string(layer->config, "padding");
    moth_config_ints(layer->config, "pool_size", window, 2);
    memcpy(strides, window, sizeof strides);
    if (moth_config_has(layer->config, "strides")) {
        moth_config_ints(layer->config, "strides", strides, 2);
    }
    moth_attrs attrs = { .i = { 0 } };
    attrs.i[MOTH_POOL_WINDOW] = attrs.i[MOTH_POOL_STRIDES] = 2;
    attrs.i[MOTH_POOL_PADDING] = 4;
    for (int d = 0; d < 2; d++) {
        attrs.i[MOTH_POOL_WINDOW + 1 + d] = window[d];
        attrs.i[MOTH_POOL_STRIDES + 1 + d] = strides[d];
        moth_window_padding(d < dims ? mode : "valid", x->shape[1 + d], window[d], strides[d], 1,
                            &attrs.i[MOTH_POOL_PADDING + 1 + 2 * d]);
    }
    return attrs;
}

static moth_status pool_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io, int dims, moth_op_id op)
{
    moth_tensor *x = moth_channels_last(layer, pass, moth_emit_float(pass->scope, io->in[0]));
    if (dims == 1 && x) {
        x = MOTH_DO(pass->scope, unsqueeze, &(moth_attrs){ .i = { 2 } }, x);
    }
    MOTH_TRY(pass->scope->status);
    moth_attrs attrs = pool_attrs(layer, &x->meta, dims);
    moth_tensor *y = MOTH_EMIT(pass->scope, moth_op_of(pass->ctx, op), &attrs, x);
    if (dims == 1 && y) {
        int64_t shape[3] = { y->meta.shape[0], y->meta.shape[1], y->meta.shape[3] };
        y = moth_emit_reshape(pass->scope, y, 3, shape);
    }
    io->out[0] = moth_channels_back(layer, pass, y);
    io->out_mask = NULL;
    return pass->scope->status;
}

/* (batch, steps, channels) -> (batch, channels), over the steps that count. */
static moth_tensor *masked_mean(moth_pass *pass, moth_tensor *x, moth_tensor *mask)
{
    moth_attrs steps = { .i = { [MOTH_REDUCE_DIMS] = 1, [MOTH_REDUCE_DIMS + 1] = 1 } };
    moth_tensor *counts =
        moth_emit_float(pass->scope, MOTH_DO(pass->scope, unsqueeze, &(moth_attrs){ .i = { 2 } }, mask));
    moth_tensor *sum = MOTH_DO(pass->scope, sum, &steps, MOTH_DO(pass->scope, mul, NULL, x, counts));
    return MOTH_DO(pass->scope, div, NULL, sum, MOTH_DO(pass->scope, sum, &steps, counts));
}

/* Over all dims between batch and channels. */
static moth_status global_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io, moth_op_id op)
{
    moth_tensor *x = moth_channels_last(layer, pass, moth_emit_float(pass->scope, io->in[0]));
    MOTH_TRY(pass->scope->status);
    moth_attrs attrs = { .i = { [MOTH_REDUCE_DIMS] = x->meta.rank - 2 } };
    for (int d = 1; d < x->meta.rank - 1; d++) {
        attrs.i[MOTH_REDUCE_DIMS + d] = d;
    }
    moth_tensor *mask = x->meta.rank == 3 ? io->mask[0] : NULL;
    moth_tensor *y = mask && op == MOTH_OP_mean ? masked_mean(pass, x, mask)
                                                : MOTH_EMIT(pass->scope, moth_op_of(pass->ctx, op), &attrs, x);
    if (y && moth_config_bool(layer->config, "keepdims")) {
        int64_t shape[MOTH_MAX_RANK] = { y->meta.shape[0] };
        for (int d = 1; d < x->meta.rank; d++) {
            shape[d] = d < x->meta.rank - 1 ? 1 : y->meta.shape[1];
        }
        y = moth_channels_back(layer, pass, moth_emit_reshape(pass->scope, y, x->meta.rank, shape));
    }
    io->out[0] = y;
    io->out_mask = NULL;
    return pass->scope->status;
}

#define WINDOW(fallback_, count_)                        \
    { .name = "pool_size",                               \
      .kind = MOTH_OPTION_INTS,                          \
      .fallback = fallback_,                             \
      .position = 1,                                     \
      .low = 1,                                          \
      .high = MOTH_NO_LIMIT,                             \
      .count = count_,                                   \
      .doc = "size of the window" },                     \
        { .name = "strides",                             \
          .kind = MOTH_OPTION_INTS,                      \
          .position = 2,                                 \
          .low = 1,                                      \
          .high = MOTH_NO_LIMIT,                         \
          .count = count_,                               \
          .doc = "steps of the window; nil: its size" }, \
        { .name = "padding",                             \
          .kind = MOTH_OPTION_STRING,                    \
          .fallback = "valid",                           \
          .position = 3,                                 \
          .choices = "valid same" },                     \
        MOTH_OPTION_DATA_FORMAT, MOTH_OPTIONS_END

static const moth_option pool1d_options[] = { WINDOW("2", 1) };
static const moth_option pool2d_options[] = { WINDOW("2 2", 2) };
static const moth_option global_options[] = {
    { .name = "keepdims", .kind = MOTH_OPTION_BOOL, .fallback = "false", .doc = "keep the dims as 1" },
    MOTH_OPTION_DATA_FORMAT,
    MOTH_OPTIONS_END,
};

#define POOL(name_, dims, op, rank, doc_)                                                  \
    static moth_status name_##_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io) \
    {                                                                                      \
        return pool_call(layer, pass, io, dims, MOTH_OP_##op);                             \
    }                                                                                      \
    const moth_layer_type moth_layer_##name_ = {                                           \
        .entry = { #name_, doc_, pool##dims##d_options },                                  \
        .min_rank = rank,                                                                  \
        .max_rank = rank,                                                                  \
        .call = name_##_call,                                                              \
    };

POOL(MaxPooling1D, 1, max_pool2d, 3, "largest value in a window over steps")
POOL(MaxPooling2D, 2, max_pool2d, 4, "largest value in a window over rows and columns")
POOL(AveragePooling1D, 1, avg_pool2d, 3, "mean of a window over steps")
POOL(AveragePooling2D, 2, avg_pool2d, 4, "mean of a window over rows and columns")

#define GLOBAL(name_, op, rank, doc_)                                                      \
    static moth_status name_##_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io) \
    {                                                                                      \
        return global_call(layer, pass, io, MOTH_OP_##op);                                 \
    }                                                                                      \
    const moth_layer_type moth_layer_##name_ = {                                           \
        .entry = { #name_, doc_, global_options },                                         \
        .min_rank = rank,                                                                  \
        .max_rank = rank,                                                                  \
        .call = name_##_call,                                                              \
    };

GLOBAL(GlobalMaxPooling1D, max, 3, "largest value over all steps")
GLOBAL(GlobalMaxPooling2D, max, 4, "largest value over all rows and columns")
GLOBAL(GlobalAveragePooling1D, mean, 3, "mean over all steps")
GLOBAL(GlobalAveragePooling2D, mean, 4, "mean over all rows and columns")
