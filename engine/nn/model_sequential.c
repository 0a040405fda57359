/* Sequential models: a chain of layers that grows one at a time, built as soon as the shape of the input is known. */
#include "nn/internal.h"

moth_status moth_model_sequential(moth_ctx *ctx, const char *name, moth_model **out)
{
    return moth_model_new(ctx, name, true, out);
}

static moth_status set_single(moth_model *model, moth_symbol ***list, int *count, moth_symbol *s)
{
    if (*count == 0) {
        MOTH_TRY(moth_model_grow(model, list, 0));
        *count = 1;
    } else {
        moth_symbol_release((*list)[0]);
    }
    (*list)[0] = s;
    return MOTH_OK;
}

/* Puts the layer at `position` behind what is there. */
static moth_status extend(moth_model *model, int position)
{
    moth_layer *layer = model->layers[position];
    moth_symbol *last = model->n_outputs ? model->outputs[0] : model->inputs[0], *out[MOTH_MAX_LAYER_OUTPUTS];
    int n_out = 0;
    MOTH_TRY(moth_symbol_apply(model->ctx, layer, 1, &last, out, &n_out));
    for (int k = 1; k < n_out; k++) {
        moth_symbol_release(out[k]);
    }
    moth_status status = moth_model_keep_use(model, out[0]->use);
    if (status == MOTH_OK) {
        status = set_single(model, &model->outputs, &model->n_outputs, out[0]);
    }
    if (status != MOTH_OK) {
        moth_symbol_release(out[0]);
        return status;
    }
    return moth_model_draw_layer(model, position);
}

static moth_status name_output(moth_model *model)
{
    if (!model->output_names) {
        model->output_names = moth_calloc(sizeof(char *));
    }
    if (!model->output_names) {
        return moth_fail_memory(model->ctx, 8);
    }
    char *name = moth_strdup(model->layers[model->n_layers - 1]->name);
    if (!name) {
        return moth_fail_memory(model->ctx, 8);
    }
    moth_free(model->output_names[0]);
    model->output_names[0] = name;
    return MOTH_OK;
}

moth_status moth_model_build(moth_model *model, moth_dtype dtype, int rank, const int64_t *shape)
{
    if (model->built) {
        return MOTH_OK;
    }
    if (model->n_layers == 0) {
        return moth_fail(model->ctx, MOTH_ERR_STATE, "%s: the model has no layers", model->name);
    }
    if (model->n_inputs == 0) {
        moth_symbol *input;
        MOTH_TRY(moth_symbol_input(model->ctx, NULL, dtype, rank, shape, &input));
        moth_status status = moth_model_keep_use(model, input->use);
        if (status == MOTH_OK) {
            status = set_single(model, &model->inputs, &model->n_inputs, input);
        }
        if (status != MOTH_OK) {
            moth_symbol_release(input);
            return status;
        }
    }
    while (model->n_uses - 1 < model->n_layers) {
        MOTH_TRY(extend(model, model->n_uses - 1));
    }
    MOTH_TRY(name_output(model));
    model->built = true;
    return MOTH_OK;
}

moth_status moth_model_set_input(moth_model *model, moth_symbol *input)
{
    if (!model->sequential || model->n_inputs || model->n_layers) {
        return moth_fail(model->ctx, MOTH_ERR_STATE, "add: an Input stands first in a Sequential, or nowhere");
    }
    if (input->use->layer) {
        return moth_fail(model->ctx, MOTH_ERR_ARGUMENT, "add: expected a layer or an Input, got the result of %s",
                         moth_layer_name(input->use->layer));
    }
    MOTH_TRY(moth_model_keep_use(model, input->use));
    moth_status status = set_single(model, &model->inputs, &model->n_inputs, input);
    if (status == MOTH_OK) {
        moth_symbol_retain(input);
    }
    return status;
}

/* What building changes: the chain so far. */
typedef struct chain {
    int n_uses;
    moth_symbol *input, *output; /* retained; NULL: none */
} chain;

static chain hold_chain(const moth_model *model)
{
    return (chain){ .n_uses = model->n_uses,
                    .input = model->n_inputs ? moth_symbol_retain(model->inputs[0]) : NULL,
                    .output = model->n_outputs ? moth_symbol_retain(model->outputs[0]) : NULL };
}

static void let_chain_go(const chain *held)
{
    moth_symbol_release(held->input);
    moth_symbol_release(held->output);
}

static void restore_end(moth_symbol **list, int *count, moth_symbol *held)
{
    if (*count) {
        moth_symbol_release(list[0]);
        list[0] = moth_symbol_retain(held);
        *count = held != NULL;
    }
}

/* A build that failed leaves nothing: the next layer must not be joined to one that is not there. */
static void restore_chain(moth_model *model, const chain *held)
{
    restore_end(model->outputs, &model->n_outputs, held->output);
    restore_end(model->inputs, &model->n_inputs, held->input);
    while (model->n_uses > held->n_uses) {
        moth_use_release(model->uses[--model->n_uses]);
    }
    let_chain_go(held);
}

static moth_status build_longer(moth_model *model, const moth_layer *layer)
{
    int64_t shape[MOTH_MAX_RANK];
    int rank = moth_config_ints(layer->config, "input_shape", shape, MOTH_MAX_RANK - 1);
    if (model->built) {
        model->built = false;
        moth_status status = moth_model_build(model, MOTH_FLOAT32, 0, NULL);
        model->built = true;
        return status;
    }
    bool known = model->n_layers == 1 && (model->n_inputs || moth_config_has(layer->config, "input_shape"));
    return known ? moth_model_build(model, layer->type->input_dtype, rank, shape) : MOTH_OK;
}

static moth_status add_layer(moth_model *model, moth_layer *layer, moth_layer *const *others, int n_others)
{
    if (!model->sequential) {
        return moth_fail(model->ctx, MOTH_ERR_STATE,
                         "add: only a Sequential grows; describe other models by calling layers on moth.Input");
    }
    if (moth_model_has_layer(model, layer)) {
        return moth_fail(model->ctx, MOTH_ERR_ARGUMENT, "add: %s is in the model already", moth_layer_name(layer));
    }
    if (model->trainer) {
        return moth_fail(model->ctx, MOTH_ERR_STATE, "add: the model is compiled; add layers first");
    }
    bool named = layer->name != NULL;
    MOTH_TRY(moth_model_take_layer(model, layer, others, n_others));
    chain held = hold_chain(model);
    moth_status status = build_longer(model, layer);
    if (status == MOTH_OK) {
        let_chain_go(&held);
        return MOTH_OK;
    }
    restore_chain(model, &held);
    if (!named) {
        moth_free(layer->name);
        layer->name = NULL;
    }
    moth_layer_release(model->layers[--model->n_layers]);
    return status;
}

moth_status moth_model_add_layer(moth_model *model, moth_layer *layer)
{
    return add_layer(model, layer, NULL, 0);
}

moth_status moth_model_add_model(moth_model *model, const moth_model *other)
{
    if (!other->sequential || other == model || other->n_layers == 0) {
        return moth_fail(
            model->ctx, MOTH_ERR_ARGUMENT,
            "add: expected a layer or another Sequential with layers, got %s '%s'; any model can be called "
            "on moth.Input",
            other->sequential ? "Sequential" : "Model", other->name);
    }
    if (other->n_inputs && !model->n_inputs && !model->n_layers) {
        MOTH_TRY(moth_model_set_input(model, other->inputs[0]));
    }
    for (int i = 0; i < other->n_layers; i++) {
        MOTH_TRY(add_layer(model, other->layers[i], other->layers, other->n_layers));
    }
    return MOTH_OK;
}
