/* Functional models: the graph between symbols, found by walking back from the outputs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/internal.h"

/* The uses that are part of the model. */
typedef struct collection {
    moth_model *model;
    int count, capacity;
    moth_use **found;
} collection;

static bool known_use(const collection *c, const moth_use *use)
{
    for (int i = 0; i < c->count; i++) {
        if (c->found[i] == use) {
            return true;
        }
    }
    return false;
}

/* All uses that outputs need, found by walking back with the list itself as queue. */
static moth_status collect(collection *c)
{
    moth_model *model = c->model;
    for (int i = 0; i < model->n_outputs; i++) {
        if (!known_use(c, model->outputs[i]->use)) {
            MOTH_TRY(moth_model_grow(model, &c->found, c->count));
            c->found[c->count++] = model->outputs[i]->use;
        }
    }
    for (int at = 0; at < c->count; at++) {
        const moth_use *use = c->found[at];
        for (int i = 0; i < use->n_in; i++) {
            if (!known_use(c, use->in[i]->use)) {
                MOTH_TRY(moth_model_grow(model, &c->found, c->count));
                c->found[c->count++] = use->in[i]->use;
            }
        }
    }
    return MOTH_OK;
}

static int by_serial(const void *a, const void *b)
{
    const moth_use *const *ua = a, *const *ub = b;
    return (*ua)->serial < (*ub)->serial ? -1 : (*ua)->serial > (*ub)->serial;
}

static bool is_input(const moth_model *model, const moth_use *use)
{
    for (int i = 0; i < model->n_inputs; i++) {
        if (model->inputs[i]->use == use) {
            return true;
        }
    }
    return false;
}

static moth_status adopt(moth_model *model, const collection *c, moth_layer **layers)
{
    int n_layers = 0;
    for (int i = 0; i < c->count; i++) {
        if (c->found[i]->layer) {
            layers[n_layers++] = c->found[i]->layer;
        }
    }
    for (int i = 0; i < c->count; i++) {
        if (!c->found[i]->layer && !is_input(model, c->found[i])) {
            char text[128];
            return moth_fail(model->ctx, MOTH_ERR_ARGUMENT,
                             "Model: the outputs depend on an Input %s that is not among the inputs",
                             moth_meta_text(&c->found[i]->out_meta[0], text, sizeof text));
        }
        MOTH_TRY(moth_model_keep_use(model, c->found[i]));
        if (c->found[i]->layer && !moth_model_has_layer(model, c->found[i]->layer)) {
            MOTH_TRY(moth_model_take_layer(model, c->found[i]->layer, layers, n_layers));
            MOTH_TRY(moth_model_draw_layer(model, model->n_layers - 1));
        }
    }
    return MOTH_OK;
}

static moth_status set_ends(moth_model *model, int n_inputs, moth_symbol *const *inputs, int n_outputs,
                            moth_symbol *const *outputs)
{
    model->inputs = moth_calloc(((size_t)n_inputs + 1) * sizeof(moth_symbol *));
    model->outputs = moth_calloc(((size_t)n_outputs + 1) * sizeof(moth_symbol *));
    model->output_names = moth_calloc(((size_t)n_outputs + 1) * sizeof(char *));
    if (!model->inputs || !model->outputs || !model->output_names) {
        return moth_fail_memory(model->ctx, 64);
    }
    for (int i = 0; i < n_inputs; i++) {
        if (inputs[i]->use->layer) {
            return moth_fail(model->ctx, MOTH_ERR_ARGUMENT, "Model: input %d is the result of a layer, not an Input",
                             i + 1);
        }
        model->inputs[model->n_inputs++] = moth_symbol_retain(inputs[i]);
    }
    for (int i = 0; i < n_outputs; i++) {
        model->outputs[model->n_outputs++] = moth_symbol_retain(outputs[i]);
    }
    return MOTH_OK;
}

static moth_status name_outputs(moth_model *model, const char *const *names)
{
    for (int i = 0; i < model->n_outputs; i++) {
        const moth_layer *layer = model->outputs[i]->use->layer;
        const char *name = names && names[i] ? names[i] : (layer ? layer->name : "input");
        char text[MOTH_MAX_NAME + 16];
        MOTH_TRY(moth_check_name(model->ctx, "Model", name));
        snprintf(text, sizeof text, "%s", name);
        for (int k = 0; k < i; k++) {
            if (strcmp(model->output_names[k], text) == 0) { /* the same layer twice */
                snprintf(text, sizeof text, "%s_%d", name, i + 1);
            }
        }
        model->output_names[i] = moth_strdup(text);
        if (!model->output_names[i]) {
            return moth_fail_memory(model->ctx, 64);
        }
    }
    return MOTH_OK;
}

moth_status moth_model_functional(moth_ctx *ctx, const char *name, int n_inputs, moth_symbol *const *inputs,
                                  int n_outputs, moth_symbol *const *outputs, const char *const *output_names,
                                  moth_model **out)
{
    if (n_inputs < 1 || n_outputs < 1) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "Model: needs at least one input and one output");
    }
    moth_model *model = NULL;
    MOTH_TRY(moth_model_new(ctx, name, false, &model));
    collection c = { .model = model };
    moth_status status = set_ends(model, n_inputs, inputs, n_outputs, outputs);
    if (status == MOTH_OK) {
        status = collect(&c);
    }
    if (status == MOTH_OK && c.found) {
        qsort(c.found, (size_t)c.count, sizeof(moth_use *), by_serial);
        moth_layer **layers = moth_calloc((size_t)c.count * sizeof(moth_layer *));
        status = layers ? adopt(model, &c, layers) : moth_fail_memory(ctx, c.count * 8);
        moth_free(layers);
    }
    if (status == MOTH_OK) {
        status = name_outputs(model, output_names);
    }
    moth_free(c.found);
    if (status != MOTH_OK) {
        moth_model_release(model);
        return status;
    }
    model->built = true;
    *out = model;
    return MOTH_OK;
}
