/* Dense: y = activation(x K + b), K (in, units); the last dim of any input is contracted. */
#include <stdio.h>
#include <string.h>

#include "nn/layer_options.h"

moth_status moth_layer_add_weight(moth_layer *layer, moth_ctx *ctx, const char *name, int rank, const int64_t *shape)
{
    static const char *const suffix[] = { "initializer", "regularizer", "constraint" };
    const moth_value *specs[3];
    for (int k = 0; k < 3; k++) {
        char option[96];
        snprintf(option, sizeof option, "%s_%s", name, suffix[k]);
        specs[k] = moth_value_get(layer->config, option);
    }
    moth_variable_spec spec = {
        .name = name, .rank = rank, .initializer = specs[0], .regularizer = specs[1], .constraint = specs[2]
    };
    memcpy(spec.shape, shape, (size_t)rank * sizeof *shape);
    return moth_layer_add_variable(layer, ctx, &spec, NULL);
}

enum { KERNEL, BIAS };

static moth_status dense_build(moth_layer *layer, moth_ctx *ctx, int n_in, const moth_meta *const *in)
{
    (void)n_in;
    int64_t units = moth_config_int(layer->config, "units"), width = in[0]->shape[in[0]->rank - 1];
    MOTH_TRY(moth_layer_add_weight(layer, ctx, "kernel", 2, (int64_t[]){ width, units }));
    if (moth_config_bool(layer->config, "use_bias")) {
        MOTH_TRY(moth_layer_add_weight(layer, ctx, "bias", 1, &units));
    }
    return MOTH_OK;
}

static moth_status dense_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    moth_tensor *x = moth_emit_float(pass->scope, io->in[0]);
    /* the rank counts too, so that a picture is not taken for rows */
    MOTH_TRY(moth_layer_expect(pass->ctx, &io->in[0]->meta, layer->built_for.rank, layer->built_for.shape));
    moth_tensor *bias = moth_layer_weight(layer, BIAS);
    moth_tensor *y = bias ? MOTH_DO(pass->scope, linear, NULL, x, moth_layer_weight(layer, KERNEL), bias)
                          : MOTH_DO(pass->scope, linear, NULL, x, moth_layer_weight(layer, KERNEL));
    return moth_layer_finish(layer, pass, io, y);
}

static const moth_option dense_options[] = {
    { .name = "units",
      .kind = MOTH_OPTION_INT,
      .fallback = MOTH_REQUIRED,
      .position = 1,
      .low = 1,
      .high = MOTH_NO_LIMIT,
      .doc = "size of the output" },
    MOTH_OPTION_ACTIVATION(2),
    MOTH_OPTIONS_KERNEL_BIAS,
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_Dense = {
    .entry = { "Dense", "y = activation(x kernel + bias)", dense_options },
    .min_rank = 2,
    .build = dense_build,
    .call = dense_call,
};
