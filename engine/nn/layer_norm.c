/* Batch and layer normalization (Ioffe, Szegedy 2015; Ba, Kiros, Hinton 2016), with Keras 3's defaults: epsilon 1e-3,
 * momentum 0.99, biased variance both for the batch and for the moving average. */
#include <stdio.h>

#include "nn/layer_options.h"

static moth_status add_vector(moth_layer *layer, moth_ctx *ctx, const char *name, int64_t size, bool state,
                              const char *option)
{
    moth_variable_spec spec = { .name = name, .rank = 1, .shape = { size }, .state = state };
    char regularizer[64], constraint[64];
    spec.initializer = moth_value_get(layer->config, option);
    snprintf(regularizer, sizeof regularizer, "%s_regularizer", name);
    snprintf(constraint, sizeof constraint, "%s_constraint", name);
    spec.regularizer = moth_value_get(layer->config, regularizer);
    spec.constraint = moth_value_get(layer->config, constraint);
    return moth_layer_add_variable(layer, ctx, &spec, NULL);
}

static moth_status add_scale_and_shift(moth_layer *layer, moth_ctx *ctx, int64_t size)
{
    if (moth_config_bool(layer->config, "scale")) {
        MOTH_TRY(add_vector(layer, ctx, "gamma", size, false, "gamma_initializer"));
    }
    return moth_config_bool(layer->config, "center") ? add_vector(layer, ctx, "beta", size, false, "beta_initializer")
                                                     : MOTH_OK;
}

/* x with dims a and b exchanged; itself where they are the same. */
static moth_tensor *exchanged(moth_pass *pass, moth_tensor *x, int a, int b)
{
    moth_attrs attrs = { .i = { a, b } };
    return a == b || !x ? x : MOTH_DO(pass->scope, transpose, &attrs, x);
}

/* Emits a normalizing op whose last inputs, gamma and beta, may be absent. */
static moth_tensor *emit_norm(moth_layer *layer, moth_pass *pass, moth_op_id op, int n, moth_tensor **in,
                              moth_tensor **out)
{
    in[n] = moth_layer_find(layer, "gamma");
    in[n + 1] = moth_layer_find(layer, "beta");
    for (n += 2; !in[n - 1]; n--) {
    }
    moth_attrs attrs = { .f = { moth_config_number(layer->config, "epsilon") } };
    out[0] = NULL;
    if (pass->scope->status == MOTH_OK) {
        pass->scope->emit(pass->scope, moth_op_of(pass->ctx, op), &attrs, n, in, out);
    }
    return out[0];
}

/* ---- BatchNormalization ---- */

static moth_status batch_build(moth_layer *layer, moth_ctx *ctx, int n_in, const moth_meta *const *in)
{
    (void)n_in;
    int axis = 0;
    MOTH_TRY(moth_layer_axis(ctx, moth_config_int(layer->config, "axis"), in[0]->rank, &axis));
    int64_t size = in[0]->shape[axis];
    MOTH_TRY(add_scale_and_shift(layer, ctx, size));
    MOTH_TRY(add_vector(layer, ctx, "moving_mean", size, true, "moving_mean_initializer"));
    return add_vector(layer, ctx, "moving_variance", size, true, "moving_variance_initializer");
}

static moth_status move(moth_layer *layer, moth_pass *pass, const char *name, moth_tensor *value)
{
    moth_attrs attrs = { .f = { moth_config_number(layer->config, "momentum") } };
    moth_tensor *in[2] = { moth_layer_find(layer, name), value }, *none[1];
    if (pass->scope->status == MOTH_OK) {
        pass->scope->emit(pass->scope, moth_op_of(pass->ctx, MOTH_OP_assign_average), &attrs, 2, in, none);
    }
    return pass->scope->status;
}

/* Steps of a feature that count: of all rows and steps, or where the feature is the step itself (axis 1) of all rows;
 * times the positions in a step. */
static moth_tensor *counted_steps(moth_pass *pass, moth_tensor *mask, const moth_meta *x, int axis)
{
    moth_attrs rows = { .i = { [MOTH_REDUCE_DIMS] = 1, [MOTH_REDUCE_DIMS + 1] = 0 } };
    moth_tensor *on = moth_emit_float(pass->scope, mask);
    double positions = 1;
    for (int d = 2; d < x->rank; d++) {
        positions *= d == axis ? 1 : (double)x->shape[d];
    }
    on = axis == 1 ? MOTH_DO(pass->scope, sum, &rows, on) : moth_emit_sum(pass->scope, on);
    return moth_emit_scaled(pass->scope, on, positions);
}

/* Mean over the steps that count, of values that are 0 elsewhere; the last dim is that of the features. Keras's epsilon
 * against none. */
static moth_tensor *mean_of_steps(moth_pass *pass, moth_tensor *values, moth_tensor *count)
{
    moth_attrs others = { .i = { [MOTH_REDUCE_DIMS] = values ? values->meta.rank - 1 : 0 } };
    for (int d = 0; values && d < values->meta.rank - 1; d++) {
        others.i[MOTH_REDUCE_DIMS + 1 + d] = d;
    }
    return MOTH_DO(pass->scope, div, NULL, MOTH_DO(pass->scope, sum, &others, values),
                   moth_emit_shifted(pass->scope, count, 1e-7));
}

/* Statistics of the steps that count; all steps are normalized by them. in[0]: x with the features last. */
static moth_tensor *masked_norm(moth_layer *layer, moth_pass *pass, const moth_layer_io *io, int axis, moth_tensor **in,
                                moth_tensor **out)
{
    moth_scope *scope = pass->scope;
    int rank = io->in[0]->meta.rank;
    moth_tensor *zero = moth_emit_constant(scope, 0), *on = io->mask[0];
    moth_tensor *count = counted_steps(pass, on, &io->in[0]->meta, axis);
    for (int d = 2; d < rank; d++) {
        on = MOTH_DO(scope, unsqueeze, &(moth_attrs){ .i = { d } }, on);
    }
    on = exchanged(pass, on, axis, rank - 1);
    in[1] = out[1] = mean_of_steps(pass, MOTH_DO(scope, where, NULL, on, in[0], zero), count);
    moth_tensor *apart = MOTH_DO(scope, where, NULL, on, MOTH_DO(scope, sub, NULL, in[0], out[1]), zero);
    in[2] = out[2] = mean_of_steps(pass, MOTH_DO(scope, square, NULL, apart), count);
    moth_tensor *y[MOTH_MAX_LAYER_OUTPUTS];
    return emit_norm(layer, pass, MOTH_OP_batch_norm_inference, 3, in, y);
}

static moth_status batch_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    int axis = 0, rank = io->in[0]->meta.rank;
    MOTH_TRY(moth_layer_axis(pass->ctx, moth_config_int(layer->config, "axis"), rank, &axis));
    moth_tensor *x = exchanged(pass, moth_emit_float(pass->scope, io->in[0]), axis, rank - 1), *y;
    moth_tensor *in[5] = { x }, *out[MOTH_MAX_LAYER_OUTPUTS] = { NULL };
    if (pass->training && layer->trainable) { /* statistics of this batch; a frozen layer keeps to the moving ones */
        y = io->mask[0] && rank > 2 ? masked_norm(layer, pass, io, axis, in, out)
                                    : emit_norm(layer, pass, MOTH_OP_batch_norm, 1, in, out);
        MOTH_TRY(move(layer, pass, "moving_mean", out[1]));
        MOTH_TRY(move(layer, pass, "moving_variance", out[2]));
    } else {
        in[1] = moth_layer_find(layer, "moving_mean");
        in[2] = moth_layer_find(layer, "moving_variance");
        y = emit_norm(layer, pass, MOTH_OP_batch_norm_inference, 3, in, out);
    }
    io->out[0] = exchanged(pass, y, axis, rank - 1);
    return pass->scope->status;
}

#define EPSILON                                                                                             \
    {                                                                                                       \
        .name = "epsilon", .kind = MOTH_OPTION_NUMBER, .fallback = "1e-3", .low = 0, .high = MOTH_NO_LIMIT, \
        .doc = "is added to the variance"                                                                   \
    }
#define FLAG(name_, doc_)                                                        \
    {                                                                            \
        .name = name_, .kind = MOTH_OPTION_BOOL, .fallback = "true", .doc = doc_ \
    }
#define SCALE_AND_SHIFT                                                                                             \
    EPSILON, FLAG("center", "add beta"), FLAG("scale", "multiply by gamma"),                                        \
        MOTH_OPTION_INITIALIZER("beta_initializer", "zeros"), MOTH_OPTION_INITIALIZER("gamma_initializer", "ones"), \
        MOTH_OPTION_REGULARIZER("beta_regularizer"), MOTH_OPTION_REGULARIZER("gamma_regularizer"),                  \
        MOTH_OPTION_CONSTRAINT("beta_constraint"), MOTH_OPTION_CONSTRAINT("gamma_constraint")
#define AXIS                                                                                                  \
    {                                                                                                         \
        .name = "axis", .kind = MOTH_OPTION_INT, .fallback = "-1", .position = 1, .low = -MOTH_MAX_RANK,      \
        .high = MOTH_MAX_RANK, .doc = "dimension of the features, counted in a sample from 1 or from the end" \
    }

static const moth_option batch_options[] = {
    AXIS,
    { .name = "momentum",
      .kind = MOTH_OPTION_NUMBER,
      .fallback = "0.99",
      .position = 2,
      .low = 0,
      .high = 1,
      .doc = "share of the old moving statistics" },
    SCALE_AND_SHIFT,
    MOTH_OPTION_INITIALIZER("moving_mean_initializer", "zeros"),
    MOTH_OPTION_INITIALIZER("moving_variance_initializer", "ones"),
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_BatchNormalization = {
    .entry = { "BatchNormalization", "features with mean 0 and variance 1 over the batch, scaled and shifted",
               batch_options },
    .min_rank = 2,
    .build = batch_build,
    .call = batch_call,
};

/* ---- LayerNormalization ---- */

static moth_status layer_build(moth_layer *layer, moth_ctx *ctx, int n_in, const moth_meta *const *in)
{
    (void)n_in;
    int axis = 0;
    MOTH_TRY(moth_layer_axis(ctx, moth_config_int(layer->config, "axis"), in[0]->rank, &axis));
    return add_scale_and_shift(layer, ctx, in[0]->shape[axis]);
}

static moth_status layer_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    int axis = 0, rank = io->in[0]->meta.rank;
    MOTH_TRY(moth_layer_axis(pass->ctx, moth_config_int(layer->config, "axis"), rank, &axis));
    moth_tensor *x = exchanged(pass, moth_emit_float(pass->scope, io->in[0]), axis, rank - 1);
    moth_tensor *in[3] = { x }, *out[MOTH_MAX_LAYER_OUTPUTS] = { NULL };
    io->out[0] = exchanged(pass, emit_norm(layer, pass, MOTH_OP_layer_norm, 1, in, out), axis, rank - 1);
    return pass->scope->status;
}

static const moth_option layer_options[] = { AXIS, SCALE_AND_SHIFT, MOTH_OPTIONS_END };

const moth_layer_type moth_layer_LayerNormalization = {
    .entry = { "LayerNormalization", "features of each sample with mean 0 and variance 1, scaled and shifted",
               layer_options },
    .min_rank = 2,
    .build = layer_build,
    .call = layer_call,
};
