/* The life of a model: its layers and uses, their weights, and its end. */
#include "core/random.h"
#include "nn/internal.h"

moth_status moth_model_new(moth_ctx *ctx, const char *name, bool sequential, moth_model **out)
{
    MOTH_TRY(moth_check_name(ctx, "model", name ? name : ""));
    moth_model *model = moth_calloc(sizeof *model);
    if (!model) {
        return moth_fail_memory(ctx, (int64_t)sizeof *model);
    }
    model->references = 1;
    model->ctx = ctx;
    model->sequential = sequential;
    model->seed = ctx->seed;
    model->stream = moth_stream(0, "model", ctx->model_ordinal++);
    model->name = moth_strdup(name ? name : (sequential ? "sequential" : "model"));
    if (!model->name) {
        moth_model_release(model);
        return moth_fail_memory(ctx, 16);
    }
    *out = model;
    return MOTH_OK;
}

moth_model *moth_model_retain(moth_model *model)
{
    if (model) {
        model->references++;
    }
    return model;
}

void moth_model_release(moth_model *model)
{
    if (!model || --model->references > 0) {
        return;
    }
    if (model->trainer) {
        model->free_trainer(model->trainer);
    }
    for (int i = 0; i < model->n_inputs; i++) {
        moth_symbol_release(model->inputs[i]);
    }
    for (int i = 0; i < model->n_outputs; i++) {
        moth_symbol_release(model->outputs[i]);
        moth_free(model->output_names ? model->output_names[i] : NULL);
    }
    for (int i = model->n_uses - 1; i >= 0; i--) { /* youngest first: none takes a chain of others with it */
        moth_use_release(model->uses[i]);
    }
    for (int i = 0; i < model->n_layers; i++) {
        moth_layer_release(model->layers[i]);
    }
    moth_free(model->inputs);
    moth_free(model->outputs);
    moth_free(model->output_names);
    moth_free(model->uses);
    moth_free(model->layers);
    moth_free(model->name);
    moth_free(model);
}

moth_status moth_model_grow(moth_model *model, void *list, int count)
{
    void **place = list;
    void *bigger = moth_realloc(*place, ((size_t)count + 1) * sizeof(void *));
    if (!bigger) {
        return moth_fail_memory(model->ctx, (count + 1) * 8);
    }
    *place = bigger;
    return MOTH_OK;
}

moth_status moth_model_keep_use(moth_model *model, moth_use *use)
{
    MOTH_TRY(moth_model_grow(model, &model->uses, model->n_uses));
    use->references++;
    model->uses[model->n_uses++] = use;
    return MOTH_OK;
}

bool moth_model_has_layer(const moth_model *model, const moth_layer *layer)
{
    for (int i = 0; i < model->n_layers; i++) {
        if (model->layers[i] == layer) {
            return true;
        }
    }
    return false;
}

moth_status moth_model_take_layer(moth_model *model, moth_layer *layer, moth_layer *const *others, int n_others)
{
    MOTH_TRY(moth_model_name_layer(model, layer, others, n_others));
    MOTH_TRY(moth_model_grow(model, &model->layers, model->n_layers));
    model->layers[model->n_layers++] = moth_layer_retain(layer);
    return MOTH_OK;
}

moth_status moth_model_draw_layer(moth_model *model, int position)
{
    moth_layer *layer = model->layers[position];
    if (layer->initialized) {
        return MOTH_OK;
    }
    return moth_layer_initialize(layer, model->ctx, model->seed,
                                 moth_stream(model->stream, "layer", (uint64_t)position));
}

moth_status moth_model_redraw(moth_model *model, uint64_t seed)
{
    model->seed = seed;
    model->step = 0;
    for (int i = 0; i < model->n_layers; i++) {
        if (model->layers[i]->built) {
            MOTH_TRY(moth_layer_initialize(model->layers[i], model->ctx, seed,
                                           moth_stream(model->stream, "layer", (uint64_t)i)));
        }
    }
    return MOTH_OK;
}

moth_status moth_model_each_variable(moth_model *model, moth_variable_visit visit, void *user)
{
    for (int i = 0; i < model->n_layers; i++) {
        MOTH_TRY(moth_layer_each_variable(model->layers[i], visit, user));
    }
    return MOTH_OK;
}
