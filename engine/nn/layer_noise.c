/* Layers that act in training only, against overfitting: dropout of values and of whole channels, noise, and a penalty
 * on what passes through. Values pass unchanged at other times. */
#include "core/random.h"
#include "nn/layer_conv.h"

static int64_t stream_of(const moth_layer *layer, const moth_layer_io *io, const char *purpose)
{
    return (int64_t)moth_stream(layer->stream, purpose, (uint64_t)io->use);
}

/* The one option of a layer that must be given: a number from 0 to 1. */
#define SHARE(name_, doc_)                                                                                          \
    {                                                                                                               \
        .name = name_, .kind = MOTH_OPTION_NUMBER, .fallback = MOTH_REQUIRED, .position = 1, .high = 1, .doc = doc_ \
    }

/* ---- Dropout ---- */

/* Srivastava et al. 2014, inverted: kept values are scaled by 1 / (1 - rate), so inference needs nothing. A rate of 1
 * gives zeros, as in Keras 3. */
static moth_status dropout_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    double rate = moth_config_number(layer->config, "rate");
    moth_tensor *x = moth_emit_float(pass->scope, io->in[0]);
    io->out[0] = x;
    if (pass->training && rate > 0) {
        moth_attrs attrs = { .i = { stream_of(layer, io, "dropout") }, .f = { rate } };
        io->out[0] = MOTH_DO(pass->scope, dropout, &attrs, x);
    }
    return pass->scope->status;
}

/* Keras 2 took a rate of 1 for no dropout, so it may not be what is meant. */
static moth_status dropout_setup(moth_layer *layer, moth_ctx *ctx)
{
    if (moth_config_number(layer->config, "rate") == 1) {
        moth_log(ctx, "%s: a rate of 1 sets all values to 0 in training", layer->type->entry.name);
    }
    return MOTH_OK;
}

static const moth_option dropout_options[] = {
    SHARE("rate", "share of values that are set to 0 in training"),
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_Dropout = {
    .entry = { "Dropout", "sets values to 0 at random in training, scales the others up", dropout_options },
    .setup = dropout_setup,
    .call = dropout_call,
};

/* ---- GaussianNoise ---- */

static moth_status noise_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    double stddev = moth_config_number(layer->config, "stddev");
    io->out[0] = moth_emit_float(pass->scope, io->in[0]);
    if (pass->training && stddev > 0) {
        moth_attrs attrs = { .i = { stream_of(layer, io, "noise") }, .f = { stddev } };
        io->out[0] = MOTH_DO(pass->scope, gaussian_noise, &attrs, io->out[0]);
    }
    return pass->scope->status;
}

static const moth_option noise_options[] = {
    SHARE("stddev", "standard deviation of the noise"),
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_GaussianNoise = {
    .entry = { "GaussianNoise", "adds normally distributed noise of mean 0 in training", noise_options },
    .call = noise_call,
};

/* ---- SpatialDropout2D ---- */

/* Tompson et al. 2015: neighbours say nearly the same, so a channel goes as a whole or not at all. */
static moth_status spatial_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    double rate = moth_config_number(layer->config, "rate");
    moth_tensor *x = moth_emit_float(pass->scope, io->in[0]);
    io->out[0] = x;
    if (pass->training && rate > 0) {
        moth_tensor *one = moth_channels_last(layer, pass, x);
        for (int d = 1; one && d < x->meta.rank - 1; d++) {
            moth_attrs first = { .i = { d, 0, 1 } };
            one = MOTH_DO(pass->scope, slice, &first, one);
        }
        moth_attrs attrs = { .i = { stream_of(layer, io, "dropout") }, .f = { rate } };
        one = moth_emit_float(pass->scope, MOTH_DO(pass->scope, eq, NULL, one, one));
        one = moth_channels_back(layer, pass, MOTH_DO(pass->scope, dropout, &attrs, one));
        io->out[0] = MOTH_DO(pass->scope, mul, NULL, x, one);
    }
    return pass->scope->status;
}

static const moth_option spatial_options[] = {
    SHARE("rate", "share of channels that are set to 0 in training"),
    MOTH_OPTION_DATA_FORMAT,
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_SpatialDropout2D = {
    .entry = { "SpatialDropout2D", "sets whole channels of images to 0 at random in training", spatial_options },
    .min_rank = 4,
    .max_rank = 4,
    .call = spatial_call,
};

/* ---- ActivityRegularization ---- */

static moth_status activity_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    io->out[0] = moth_emit_float(pass->scope, io->in[0]);
    moth_value *spec = moth_value_clone(layer->config); /* the options are those of the regularizer */
    if (!spec || !moth_value_set(spec, "class", moth_value_string("l1_l2", 5))) {
        moth_value_free(spec);
        return moth_fail_memory(pass->ctx, 64);
    }
    moth_pass_penalize_rows(pass, spec, io->out[0]);
    moth_value_free(spec);
    return pass->scope->status;
}

#define FACTOR(name_, place, doc_)                                                                            \
    {                                                                                                         \
        .name = name_, .kind = MOTH_OPTION_NUMBER, .fallback = "0", .position = place, .high = MOTH_NO_LIMIT, \
        .doc = doc_                                                                                           \
    }

static const moth_option activity_options[] = {
    FACTOR("l1", 1, "factor of the sum of |x|"),
    FACTOR("l2", 2, "factor of the sum of x^2"),
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_ActivityRegularization = {
    .entry = { "ActivityRegularization", "adds a penalty on what passes through to the loss", activity_options },
    .call = activity_call,
};
