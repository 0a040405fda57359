/* Layers that are functions of the embedding language: Lambda, one function, and Custom, which has variables too. Their
 * inputs carry masks as other layers' do; a result has the mask that the function left on it (layers that it called).
 */
#include "nn/layer_options.h"

/* ---- Lambda ---- */

static moth_status call_function(moth_layer *layer, moth_pass *pass, moth_layer_io *io, const char *option)
{
    const moth_value *f = moth_value_get(layer->config, option);
    if (moth_value_kind_of(f) != MOTH_FUNCTION) {
        return moth_fail(pass->ctx, MOTH_ERR_STATE, "its function was not saved; pass it in `custom` when loading");
    }
    MOTH_TRY(moth_call_function(pass, moth_value_as_function(f), io->n_in, io->in, MOTH_MAX_LAYER_OUTPUTS, io->out,
                                &io->n_out));
    io->n_masked = MOTH_MASKS_AS_THEY_ARE;
    return MOTH_OK;
}

static moth_status lambda_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    MOTH_TRY(call_function(layer, pass, io, "function"));
    return io->n_out >= 1 ? MOTH_OK
                          : moth_fail(pass->ctx, MOTH_ERR_CALLBACK, "%s: its function must return a tensor",
                                      moth_layer_name(layer));
}

static const moth_option lambda_options[] = {
    { .name = "function", .kind = MOTH_OPTION_FUNCTION, .position = 1, .doc = "function of a tensor, traced once" },
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_Lambda = {
    .entry = { "Lambda", "a function as a layer; saved only with a name", lambda_options },
    .min_in = 1,
    .max_in = -1,
    .call = lambda_call,
};

/* ---- Custom: a layer written in the embedding language ---- */

static moth_status custom_setup(moth_layer *layer, moth_ctx *ctx)
{
    return moth_check_name(ctx, "class_name", moth_config_string(layer->config, "class_name"));
}

/* The function `build` gets a symbolic tensor of the input's shape and adds variables to the layer. */
static moth_status custom_build(moth_layer *layer, moth_ctx *ctx, int n_in, const moth_meta *const *in)
{
    (void)n_in;
    moth_callback *f = moth_value_as_function(moth_value_get(layer->config, "build"));
    if (!f) {
        return MOTH_OK;
    }
    moth_tensor *x = NULL, *none = NULL;
    int n_out = 0;
    MOTH_TRY(moth_placeholder(ctx, in[0]->dtype, in[0]->rank, in[0]->shape, &x));
    moth_status status = f->call(f, ctx, &x, 1, false, &none, 1, &n_out);
    moth_tensor_release(x);
    for (int k = 0; k < n_out; k++) {
        moth_tensor_release(none);
    }
    return status;
}

static moth_status custom_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    MOTH_TRY(call_function(layer, pass, io, "call"));
    return io->n_out >= 1
               ? MOTH_OK
               : moth_fail(pass->ctx, MOTH_ERR_CALLBACK, "%s: call must return a tensor", moth_layer_name(layer));
}

static const moth_option custom_options[] = {
    { .name = "class_name", .kind = MOTH_OPTION_STRING, .fallback = "Custom", .doc = "name in files, key of custom" },
    { .name = "config", .kind = MOTH_OPTION_ANY, .doc = "plain values that are saved" },
    { .name = "build", .kind = MOTH_OPTION_FUNCTION, .doc = "function(self, shape): adds weights" },
    { .name = "call", .kind = MOTH_OPTION_FUNCTION, .doc = "function(self, x, options): the computation" },
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_Custom = {
    .entry = { "Custom", "a layer in Lua, see moth.Layer", custom_options },
    .min_in = 1,
    .max_in = -1,
    .setup = custom_setup,
    .build = custom_build,
    .call = custom_call,
};
