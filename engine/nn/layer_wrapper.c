/* Layers around layers: TimeDistributed, one layer for each step of a sequence, and Bidirectional, a recurrent layer
 * and its twin that reads backwards (Schuster, Paliwal 1997). The layer inside is made anew from its description
 * {class, config}; its weights belong to the wrapper. */
#include <string.h>

#include "nn/layer_options.h"

/* A layer from an option that describes one. It takes its place, and so its draws, from the wrapper. */
static moth_status make_inner(moth_layer *wrapper, moth_ctx *ctx, const moth_value *described, moth_layer **out)
{
    const char *type = moth_config_string(described, "class");
    if (strcmp(type, "Custom") == 0) {
        return moth_fail(ctx, MOTH_ERR_UNSUPPORTED, "%s: a layer in Lua cannot stand inside another one",
                         wrapper->type->entry.name);
    }
    moth_status status = moth_layer_new(ctx, type, moth_value_get(described, "config"), out);
    if (status != MOTH_OK) {
        return moth_fail_prefix(ctx, "%s", wrapper->type->entry.name);
    }
    (*out)->initialized = true;
    moth_layer_set_trainable(*out, wrapper->trainable && (*out)->trainable);
    return MOTH_OK;
}

#define LAYER(name_, fallback_, place, doc_)                                                            \
    {                                                                                                   \
        .name = name_, .kind = MOTH_OPTION_LAYER, .fallback = fallback_, .position = place, .doc = doc_ \
    }

/* ---- TimeDistributed ---- */

/* Steps become rows of the batch: (rows, steps, …) -> (rows steps, …). */
static void steps_as_rows(const moth_meta *x, moth_meta *out)
{
    *out = *x;
    out->rank = x->rank - 1;
    out->shape[0] = x->shape[0] * x->shape[1];
    for (int d = 1; d < out->rank; d++) {
        out->shape[d] = x->shape[d + 1];
    }
    moth_meta_set_contiguous(out);
}

static moth_status distributed_setup(moth_layer *layer, moth_ctx *ctx)
{
    return make_inner(layer, ctx, moth_value_get(layer->config, "layer"), &layer->inner);
}

static moth_status distributed_build(moth_layer *layer, moth_ctx *ctx, int n_in, const moth_meta *const *in)
{
    moth_meta rows;
    const moth_meta *metas[1] = { &rows };
    steps_as_rows(in[0], &rows);
    moth_status status = moth_layer_build(layer->inner, ctx, n_in, metas);
    return status == MOTH_OK ? status : moth_fail_prefix(ctx, "%s", moth_layer_name(layer->inner));
}

static moth_status distributed_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    const moth_meta *x = &io->in[0]->meta;
    moth_meta rows;
    steps_as_rows(x, &rows);
    moth_tensor *in[1] = { moth_emit_reshape(pass->scope, io->in[0], rows.rank, rows.shape) };
    MOTH_TRY(pass->scope->status);
    moth_layer_io inner = { .n_in = 1, .in = in, .use = io->use };
    MOTH_TRY(moth_layer_run(layer->inner, pass, &inner));
    for (int k = 0; k < inner.n_out; k++) {
        const moth_meta *y = &inner.out[k]->meta;
        int64_t shape[MOTH_MAX_RANK + 1] = { x->shape[0], x->shape[1] };
        for (int d = 1; d < y->rank; d++) {
            shape[d + 1] = y->shape[d];
        }
        io->out[k] = moth_emit_reshape(pass->scope, inner.out[k], y->rank + 1, shape);
    }
    io->n_out = inner.n_out;
    return pass->scope->status;
}

static const moth_option distributed_options[] = {
    LAYER("layer", MOTH_REQUIRED, 1, "the layer that is applied to each step"),
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_TimeDistributed = {
    .entry = { "TimeDistributed", "one layer for each step of a sequence, with the same weights", distributed_options },
    .min_rank = 3,
    .setup = distributed_setup,
    .build = distributed_build,
    .call = distributed_call,
};

/* ---- Bidirectional ---- */

/* The same layer with go_backwards set, where no other one is given. */
static moth_status make_backward(moth_layer *layer, moth_ctx *ctx)
{
    if (moth_config_has(layer->config, "backward_layer")) {
        return make_inner(layer, ctx, moth_value_get(layer->config, "backward_layer"), &layer->inner_back);
    }
    moth_value *twin = moth_value_clone(moth_value_get(layer->config, "layer"));
    moth_value *config = moth_value_clone(moth_value_get(twin, "config"));
    bool made = config && moth_value_set(config, "go_backwards", moth_value_bool(true));
    made = moth_value_set(twin, "config", config) && made;
    moth_status status = made ? make_inner(layer, ctx, twin, &layer->inner_back) : moth_fail_memory(ctx, 64);
    moth_value_free(twin);
    return status;
}

static moth_status check_recurrent(const moth_layer *inner, moth_ctx *ctx)
{
    return moth_config_has(inner->config, "go_backwards")
               ? MOTH_OK
               : moth_fail(ctx, MOTH_ERR_ARGUMENT, "Bidirectional: takes a SimpleRNN, LSTM or GRU, got %s",
                           inner->type->entry.name);
}

static moth_status check_pair(const moth_layer *layer, moth_ctx *ctx)
{
    static const char *const common[] = { "return_sequences", "return_state" };
    const moth_layer *pair[2] = { layer->inner, layer->inner_back };
    if (moth_config_bool(pair[0]->config, "go_backwards") == moth_config_bool(pair[1]->config, "go_backwards")) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "Bidirectional: one of the two layers must go_backwards, got %s",
                         moth_config_bool(pair[0]->config, "go_backwards") ? "both" : "none");
    }
    for (int k = 0; k < 2; k++) {
        if (moth_config_bool(pair[0]->config, common[k]) != moth_config_bool(pair[1]->config, common[k])) {
            return moth_fail(ctx, MOTH_ERR_ARGUMENT, "Bidirectional: %s must be the same in both layers", common[k]);
        }
    }
    return MOTH_OK;
}

static moth_status bidirectional_setup(moth_layer *layer, moth_ctx *ctx)
{
    MOTH_TRY(make_inner(layer, ctx, moth_value_get(layer->config, "layer"), &layer->inner));
    MOTH_TRY(check_recurrent(layer->inner, ctx));
    MOTH_TRY(make_backward(layer, ctx));
    MOTH_TRY(check_recurrent(layer->inner_back, ctx));
    return check_pair(layer, ctx);
}

static moth_status bidirectional_build(moth_layer *layer, moth_ctx *ctx, int n_in, const moth_meta *const *in)
{
    (void)n_in;
    MOTH_TRY(moth_layer_build(layer->inner, ctx, 1, in));
    return moth_layer_build(layer->inner_back, ctx, 1, in);
}

/* One direction; its share of the initial states is the first or the second half of what follows x. */
static moth_status run_direction(moth_layer *inner, bool second, moth_pass *pass, const moth_layer_io *io,
                                 moth_layer_io *out)
{
    enum { MOST = 8 };
    moth_tensor *in[MOST] = { io->in[0] };
    int states = (io->n_in - 1) / 2;
    for (int k = 0; k < states; k++) {
        in[1 + k] = io->in[1 + k + (second ? states : 0)];
    }
    *out = (moth_layer_io){ .n_in = 1 + states, .in = in, .use = io->use };
    return moth_layer_run(inner, pass, out);
}

/* Steps that do not count give 0, in Keras too, where the wrapper's outputs are sequences. */
static moth_tensor *zero_masked(moth_pass *pass, moth_tensor *y, moth_tensor *mask)
{
    if (!y || !mask) {
        return y;
    }
    mask = MOTH_DO(pass->scope, unsqueeze, &(moth_attrs){ .i = { 2 } }, mask);
    return MOTH_DO(pass->scope, where, NULL, mask, y, moth_emit_constant(pass->scope, 0));
}

static moth_tensor *merged(moth_pass *pass, const char *mode, moth_tensor *a, moth_tensor *b)
{
    if (strcmp(mode, "concat") == 0) {
        return MOTH_DO(pass->scope, cat, &(moth_attrs){ .i = { -1 } }, a, b);
    }
    if (strcmp(mode, "mul") == 0) {
        return MOTH_DO(pass->scope, mul, NULL, a, b);
    }
    moth_tensor *sum = MOTH_DO(pass->scope, add, NULL, a, b);
    return strcmp(mode, "ave") == 0 ? moth_emit_scaled(pass->scope, sum, 0.5) : sum;
}

static moth_status bidirectional_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    moth_layer *inner[2] = { layer->inner, layer->inner_back };
    const char *mode = moth_config_string(layer->config, "merge_mode");
    bool sequences = moth_config_bool(layer->inner->config, "return_sequences");
    moth_tensor *mask = sequences ? io->mask[0] : NULL;
    moth_layer_io out[2];
    if (io->n_in % 2 == 0) {
        return moth_fail(pass->ctx, MOTH_ERR_ARGUMENT,
                         "takes x, or x and the states of both directions, got %d tensors", io->n_in);
    }
    for (int k = 0; k < 2; k++) {
        MOTH_TRY(run_direction(inner[k], k == 1, pass, io, &out[k]));
        if (sequences && moth_config_bool(inner[k]->config, "go_backwards")) { /* as time runs */
            out[k].out[0] = MOTH_DO(pass->scope, flip, &(moth_attrs){ .i = { 1 } }, out[k].out[0]);
        }
        out[k].out[0] = zero_masked(pass, out[k].out[0], mask);
    }
    io->n_out = 0;
    if (strcmp(mode, "none") == 0) {
        io->out[io->n_out++] = out[0].out[0];
        io->out[io->n_out++] = out[1].out[0];
        io->n_masked = 2;
    } else {
        io->out[io->n_out++] = merged(pass, mode, out[0].out[0], out[1].out[0]);
    }
    for (int k = 0; k < 2; k++) {
        for (int state = 1; state < out[k].n_out; state++) {
            io->out[io->n_out++] = out[k].out[state];
        }
    }
    io->out_mask = mask;
    return pass->scope->status;
}

static const moth_option bidirectional_options[] = {
    LAYER("layer", MOTH_REQUIRED, 1, "a SimpleRNN, LSTM or GRU"),
    { .name = "merge_mode",
      .kind = MOTH_OPTION_STRING,
      .fallback = "concat",
      .position = 2,
      .choices = "concat sum mul ave none",
      .doc = "how the outputs of both directions become one; none: they stay two" },
    LAYER("backward_layer", NULL, 0, "the layer of the other direction; nil: the same with go_backwards"),
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_Bidirectional = {
    .entry = { "Bidirectional", "a recurrent layer in both directions of time", bidirectional_options },
    .min_in = 1,
    .max_in = 5,
    .setup = bidirectional_setup,
    .build = bidirectional_build,
    .call = bidirectional_call,
};
