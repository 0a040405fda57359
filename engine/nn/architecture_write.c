/* The architecture of a model as a value (see architecture.h). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/architecture.h"

static bool put_hex(moth_value *map, const char *key, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%016" PRIx64, number);
    return moth_value_set(map, key, moth_value_string(text, strlen(text)));
}

static bool put_text(moth_value *map, const char *key, const char *text)
{
    return moth_value_set(map, key, text ? moth_value_string(text, strlen(text)) : moth_value_nil());
}

/* The options without functions; where one would be missing afterwards, an error. */
static moth_status plain_config(moth_ctx *ctx, const moth_layer *layer, moth_value **out)
{
    const char *type = layer->type->entry.name;
    bool says_who = strcmp(type, "Lambda") == 0 || strcmp(type, "Custom") == 0;
    moth_value *config = moth_value_clone(layer->config);
    for (int64_t i = moth_value_count(layer->config) - 1; config && i >= 0; i--) {
        const char *key = moth_value_key(layer->config, i);
        if (!moth_value_holds_function(moth_value_item(layer->config, i))) {
            continue;
        }
        if (!says_who) {
            moth_value_free(config);
            return moth_fail(ctx, MOTH_ERR_UNSUPPORTED, "%s: option '%s' is a function, which a file cannot hold",
                             moth_layer_name(layer), key);
        }
        moth_value_remove(config, key);
    }
    if (!config || !put_text(config, "name", layer->name) ||
        !moth_value_set(config, "trainable", moth_value_bool(layer->trainable))) {
        moth_value_free(config);
        return moth_fail_memory(ctx, 64);
    }
    if (strcmp(type, "Lambda") == 0 && !moth_config_has(layer->config, "name")) {
        moth_value_free(config);
        return moth_fail(ctx, MOTH_ERR_UNSUPPORTED, "%s: a Lambda is saved only with a name of its own",
                         moth_layer_name(layer));
    }
    *out = config;
    return MOTH_OK;
}

static moth_status write_layers(const moth_model *model, moth_value *list)
{
    for (int i = 0; i < model->n_layers; i++) {
        const moth_layer *layer = model->layers[i];
        moth_value *config = NULL, *entry = moth_value_map();
        moth_status status = plain_config(model->ctx, layer, &config);
        if (status != MOTH_OK) {
            moth_value_free(entry);
            return status;
        }
        bool kept = put_text(entry, "class", layer->type->entry.name);
        kept = moth_value_set(entry, "config", config) && kept;
        kept = kept && put_hex(entry, "stream", layer->stream);
        if (!moth_value_append(list, entry) || !kept) {
            return moth_fail_memory(model->ctx, 64);
        }
    }
    return MOTH_OK;
}

static moth_value *shape_value(const moth_meta *m)
{
    moth_value *list = moth_value_list();
    for (int d = 1; d < m->rank; d++) {
        if (!moth_value_append(list, moth_value_int(m->shape[d]))) {
            moth_value_free(list);
            return NULL;
        }
    }
    return list;
}

static bool write_inputs(const moth_model *model, moth_value *list)
{
    bool kept = true;
    for (int k = 0; k < model->n_inputs && kept; k++) {
        const moth_meta *m = moth_symbol_meta(model->inputs[k]);
        moth_value *entry = moth_value_map();
        kept = put_text(entry, "name", model->inputs[k]->use->input_name) &&
               put_text(entry, "dtype", moth_dtype_name(m->dtype)) && moth_value_set(entry, "shape", shape_value(m));
        kept = moth_value_append(list, entry) && kept;
    }
    return kept;
}

/* Number of a use: inputs in their own order, then the others as they come. */
static int64_t use_number(const moth_model *model, const moth_use *use)
{
    int64_t n = model->n_inputs;
    for (int k = 0; k < model->n_inputs; k++) {
        if (model->inputs[k]->use == use) {
            return k;
        }
    }
    for (int i = 0; i < model->n_uses && model->uses[i] != use; i++) {
        n += model->uses[i]->layer != NULL;
    }
    return n;
}

static moth_value *end_value(const moth_model *model, const moth_symbol *s)
{
    moth_value *pair = moth_value_list();
    bool kept = moth_value_append(pair, moth_value_int(use_number(model, s->use))) &&
                moth_value_append(pair, moth_value_int(s->output));
    if (!kept) {
        moth_value_free(pair);
        return NULL;
    }
    return pair;
}

static int64_t layer_number(const moth_model *model, const moth_layer *layer)
{
    int64_t i = 0;
    while (i < model->n_layers && model->layers[i] != layer) {
        i++;
    }
    return i;
}

static bool write_uses(const moth_model *model, moth_value *list)
{
    bool kept = true;
    for (int n = 0; n < model->n_uses && kept; n++) {
        const moth_use *use = model->uses[n];
        if (!use->layer) {
            continue;
        }
        moth_value *entry = moth_value_map(), *from = moth_value_list();
        for (int i = 0; i < use->n_in && kept; i++) {
            kept = moth_value_append(from, end_value(model, use->in[i]));
        }
        kept = moth_value_set(entry, "layer", moth_value_int(layer_number(model, use->layer))) && kept;
        kept = moth_value_set(entry, "from", from) && kept;
        kept = moth_value_append(list, entry) && kept;
    }
    return kept;
}

static bool write_outputs(const moth_model *model, moth_value *list)
{
    bool kept = true;
    for (int k = 0; k < model->n_outputs && kept; k++) {
        moth_value *entry = moth_value_map();
        kept = moth_value_set(entry, "use", moth_value_int(use_number(model, model->outputs[k]->use))) &&
               moth_value_set(entry, "output", moth_value_int(model->outputs[k]->output)) &&
               put_text(entry, "name", model->output_names[k]);
        kept = moth_value_append(list, entry) && kept;
    }
    return kept;
}

static bool write_head(const moth_model *model, moth_value *map)
{
    return put_text(map, "class", model->sequential ? "Sequential" : "Model") && put_text(map, "name", model->name) &&
           put_hex(map, "seed", model->seed) && put_hex(map, "stream", model->stream) &&
           put_hex(map, "step", model->step);
}

moth_status moth_model_to_value(moth_model *model, moth_value **out)
{
    moth_value *map = moth_value_map(), *inputs = moth_value_list(), *layers = moth_value_list();
    moth_value *uses = moth_value_list(), *outputs = moth_value_list();
    bool kept = write_head(model, map) && write_inputs(model, inputs) && write_outputs(model, outputs) &&
                (model->sequential || write_uses(model, uses));
    moth_status status = write_layers(model, layers);
    kept = moth_value_set(map, "inputs", inputs) && kept;
    kept = moth_value_set(map, "layers", layers) && kept;
    kept = moth_value_set(map, "uses", uses) && kept;
    kept = moth_value_set(map, "outputs", outputs) && kept;
    if (status != MOTH_OK || !kept) {
        moth_value_free(map);
        return status != MOTH_OK ? status : moth_fail_memory(model->ctx, 64);
    }
    *out = map;
    return MOTH_OK;
}
