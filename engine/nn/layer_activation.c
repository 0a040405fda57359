/* Activations as layers: any by its name, and those that have options or weights of their own. Definitions and defaults
 * are Keras 3's: the slope of LeakyReLU is 0.3, unlike that of the activation leaky_relu. Masks pass by. */
#include <string.h>

#include "nn/layer_options.h"

/* ---- Activation ---- */

static moth_status activation_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    return moth_layer_finish(layer, pass, io, moth_emit_float(pass->scope, io->in[0]));
}

static const moth_option activation_options[] = {
    { .name = "activation",
      .kind = MOTH_OPTION_SPEC,
      .spec = &moth_activations,
      .fallback = MOTH_REQUIRED,
      .position = 1,
      .doc = "name of an activation, one made by moth.activations, or a function" },
    MOTH_OPTION_REGULARIZER("activity_regularizer"),
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_Activation = {
    .entry = { "Activation", "an activation as a layer of its own", activation_options },
    .call = activation_call,
};

/* ---- ReLU, LeakyReLU, ELU: an activation with the layer's options ---- */

#define SLOPE(fallback_, place)                                                                         \
    {                                                                                                   \
        .name = "negative_slope", .kind = MOTH_OPTION_NUMBER, .fallback = fallback_, .position = place, \
        .high = MOTH_NO_LIMIT, .doc = "factor of what lies below"                                       \
    }

static const moth_option relu_options[] = {
    { .name = "max_value",
      .kind = MOTH_OPTION_NUMBER,
      .position = 1,
      .high = MOTH_NO_LIMIT,
      .doc = "largest result; nil: no limit" },
    SLOPE("0", 2),
    { .name = "threshold",
      .kind = MOTH_OPTION_NUMBER,
      .fallback = "0",
      .position = 3,
      .high = MOTH_NO_LIMIT,
      .doc = "smallest x that passes" },
    MOTH_OPTIONS_END,
};
static const moth_option leaky_relu_options[] = { SLOPE("0.3", 1), MOTH_OPTIONS_END };
static const moth_option elu_options[] = {
    { .name = "alpha",
      .kind = MOTH_OPTION_NUMBER,
      .fallback = "1",
      .position = 1,
      .doc = "limit far below 0, negated" },
    MOTH_OPTIONS_END,
};

#define NAMED(name_, activation, options_, doc_)                                           \
    static moth_status name_##_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io) \
    {                                                                                      \
        moth_tensor *x = moth_emit_float(pass->scope, io->in[0]);                          \
        io->out[0] = moth_activate_as(pass, activation, layer->config, x);                 \
        return pass->scope->status;                                                        \
    }                                                                                      \
    const moth_layer_type moth_layer_##name_ = {                                           \
        .entry = { #name_, doc_, options_ },                                               \
        .call = name_##_call,                                                              \
    };

NAMED(ReLU, "relu", relu_options, "max(x, 0), or negative_slope (x - threshold) below the threshold")
NAMED(LeakyReLU, "leaky_relu", leaky_relu_options, "x, or negative_slope x below 0")
NAMED(ELU, "elu", elu_options, "x, or alpha (e^x - 1) below 0")

/* ---- PReLU ---- */

/* He et al. 2015. Where sizes are shared, alpha has a 1. */
static moth_status prelu_shape(const moth_layer *layer, moth_ctx *ctx, const moth_meta *x, int64_t other,
                               int64_t *shape)
{
    int64_t shared[MOTH_MAX_RANK];
    int n = moth_config_ints(layer->config, "shared_axes", shared, MOTH_MAX_RANK), dim = 0;
    memcpy(shape, x->shape, sizeof x->shape);
    for (int i = 0; i < n && i < MOTH_MAX_RANK; i++) {
        MOTH_TRY(moth_layer_axis(ctx, shared[i], x->rank, &dim));
        shape[dim] = other;
    }
    return MOTH_OK;
}

static moth_status prelu_build(moth_layer *layer, moth_ctx *ctx, int n_in, const moth_meta *const *in)
{
    (void)n_in;
    int64_t shape[MOTH_MAX_RANK];
    MOTH_TRY(prelu_shape(layer, ctx, in[0], 1, shape));
    return moth_layer_add_weight(layer, ctx, "alpha", in[0]->rank - 1, shape + 1);
}

static moth_status prelu_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    int64_t shape[MOTH_MAX_RANK];
    MOTH_TRY(prelu_shape(layer, pass->ctx, &layer->built_for, -1, shape));
    MOTH_TRY(moth_layer_expect(pass->ctx, &io->in[0]->meta, layer->built_for.rank, shape));
    moth_tensor *x = moth_emit_float(pass->scope, io->in[0]);
    moth_tensor *below = MOTH_DO(pass->scope, relu, NULL, MOTH_DO(pass->scope, neg, NULL, x));
    below = MOTH_DO(pass->scope, mul, NULL, below, moth_layer_weight(layer, 0));
    io->out[0] = MOTH_DO(pass->scope, sub, NULL, MOTH_DO(pass->scope, relu, NULL, x), below);
    return pass->scope->status;
}

static const moth_option prelu_options[] = {
    MOTH_OPTION_INITIALIZER("alpha_initializer", "zeros"),
    MOTH_OPTION_REGULARIZER("alpha_regularizer"),
    MOTH_OPTION_CONSTRAINT("alpha_constraint"),
    { .name = "shared_axes",
      .kind = MOTH_OPTION_INTS,
      .low = -MOTH_MAX_RANK,
      .high = MOTH_MAX_RANK,
      .doc = "dimensions of a sample, from 1, along which alpha is the same" },
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_PReLU = {
    .entry = { "PReLU", "x, or alpha x below 0, with a trained alpha for each place", prelu_options },
    .min_rank = 2,
    .build = prelu_build,
    .call = prelu_call,
};

/* ---- Softmax ---- */

/* Over several dims at once: they go to the end and become one. */
static moth_tensor *softmax_over(moth_pass *pass, moth_tensor *x, const int *dims, int n)
{
    moth_attrs there = { .i = { x->meta.rank } }, back = { .i = { x->meta.rank } };
    int64_t joined[MOTH_MAX_RANK] = { 0 }, apart[MOTH_MAX_RANK] = { 0 };
    unsigned chosen = 0;
    int at = 0;
    for (int i = 0; i < n; i++) {
        chosen |= 1u << dims[i];
    }
    for (int last = 0; last < 2; last++) {
        for (int d = 0; d < x->meta.rank; d++) {
            if ((int)(chosen >> d & 1) == last) {
                there.i[1 + at] = d;
                back.i[1 + d] = at;
                apart[at] = joined[at] = x->meta.shape[d];
                at++;
            }
        }
        if (!last) {
            n = at; /* dims that stay */
        }
    }
    joined[n] = 1;
    for (int d = n; d < at; d++) {
        joined[n] *= apart[d];
    }
    x = moth_emit_reshape(pass->scope, MOTH_DO(pass->scope, permute, &there, x), n + 1, joined);
    x = MOTH_DO(pass->scope, softmax, &(moth_attrs){ .i = { -1 } }, x);
    return MOTH_DO(pass->scope, permute, &back, moth_emit_reshape(pass->scope, x, at, apart));
}

static moth_status softmax_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    int64_t axes[MOTH_MAX_RANK];
    int dims[MOTH_MAX_RANK], n = moth_config_ints(layer->config, "axis", axes, MOTH_MAX_RANK);
    if (n < 1 || n > MOTH_MAX_RANK) {
        return moth_fail(pass->ctx, MOTH_ERR_ARGUMENT, "axis must name at least one dimension of a sample");
    }
    for (int i = 0; i < n; i++) {
        MOTH_TRY(moth_layer_axis(pass->ctx, axes[i], io->in[0]->meta.rank, &dims[i]));
    }
    moth_tensor *x = moth_emit_float(pass->scope, io->in[0]);
    if (n == 1) {
        io->out[0] = MOTH_DO(pass->scope, softmax, &(moth_attrs){ .i = { dims[0] } }, x);
    } else if (x) {
        io->out[0] = softmax_over(pass, x, dims, n);
    }
    return pass->scope->status;
}

static const moth_option softmax_options[] = {
    { .name = "axis",
      .kind = MOTH_OPTION_INTS,
      .fallback = "-1",
      .position = 1,
      .low = -MOTH_MAX_RANK,
      .high = MOTH_MAX_RANK,
      .doc = "dimension (or several) that adds up to 1, counted in a sample from 1 or from the end" },
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_Softmax = {
    .entry = { "Softmax", "e^x over its sum along an axis", softmax_options },
    .min_rank = 2,
    .call = softmax_call,
};
