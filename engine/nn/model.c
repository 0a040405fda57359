/* The life of a model: growing a Sequential, closing a graph, names, initial weights, running. */
#include "nn/model.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"

/* ---- making and freeing ---- */

static moth_status model_new(moth_ctx *ctx, const char *name, bool sequential, moth_model **out)
{
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

moth_status moth_model_sequential(moth_ctx *ctx, const char *name, moth_model **out)
{
    return model_new(ctx, name, true, out);
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

/* Room for one more pointer in a list. */
static moth_status grow(moth_model *model, void *list, int count)
{
    void **place = list;
    void *bigger = moth_realloc(*place, ((size_t)count + 1) * sizeof(void *));
    if (!bigger) {
        return moth_fail_memory(model->ctx, (count + 1) * 8);
    }
    *place = bigger;
    return MOTH_OK;
}

static moth_status keep_use(moth_model *model, moth_use *use)
{
    MOTH_TRY(grow(model, &model->uses, model->n_uses));
    use->references++;
    model->uses[model->n_uses++] = use;
    return MOTH_OK;
}

/* ---- names ---- */

/* "MaxPooling2D" -> "max_pooling2d", as Keras names layers. */
static void snake_name(const char *type, char *out, size_t size)
{
    size_t n = 0;
    for (const char *c = type; *c && n + 2 < size; c++) {
        bool starts_word =
            c > type && isupper((unsigned char)*c) &&
            (islower((unsigned char)c[-1]) || (islower((unsigned char)c[1]) && !isdigit((unsigned char)c[-1])));
        if (starts_word) {
            out[n++] = '_';
        }
        out[n++] = (char)tolower((unsigned char)*c);
    }
    out[n] = '\0';
}

moth_layer *moth_model_layer(const moth_model *model, const char *name)
{
    for (int i = 0; i < model->n_layers; i++) {
        if (model->layers[i]->name && strcmp(model->layers[i]->name, name) == 0) {
            return model->layers[i];
        }
    }
    return NULL;
}

/* The k of a name "base_k"; 0 for other names. */
static long number_in_name(const char *name, const char *base)
{
    size_t length = strlen(base);
    if (!name || strncmp(name, base, length) != 0 || name[length] != '_') {
        return 0;
    }
    const char *digits = name + length + 1;
    bool plain = *digits >= '1' && *digits <= '9' && strspn(digits, "0123456789") == strlen(digits);
    return plain ? strtol(digits, NULL, 10) : 0;
}

static void mark_numbers(moth_layer *const *layers, int n, const char *base, bool *taken, long limit)
{
    for (int i = 0; i < n; i++) {
        long k = number_in_name(layers[i]->name, base);
        if (k > 0 && k <= limit) {
            taken[k] = true;
        }
    }
}

/* The first k above 0 for which no layer of the model and none of the others is named "base_k". */
static moth_status first_free_number(const moth_model *model, moth_layer *const *others, int n_others, const char *base,
                                     long *out)
{
    long limit = (long)model->n_layers + n_others;
    bool *taken = moth_calloc((size_t)limit + 2);
    if (!taken) {
        return moth_fail_memory(model->ctx, limit);
    }
    mark_numbers(model->layers, model->n_layers, base, taken, limit);
    mark_numbers(others, n_others, base, taken, limit);
    *out = 1;
    while (taken[*out]) {
        ++*out;
    }
    moth_free(taken);
    return MOTH_OK;
}

/* Auto names count per type inside the model, so a file does not depend on what else was made before. A layer that
 * another model named so gets a new name where its own is taken; those of `others`, which follow, are left to them. */
static moth_status name_layer(moth_model *model, moth_layer *layer, moth_layer *const *others, int n_others)
{
    char base[96], name[128];
    long number = 1;
    if (layer->name && !moth_model_layer(model, layer->name)) {
        return MOTH_OK;
    }
    if (layer->name && moth_config_has(layer->config, "name")) {
        return moth_fail(model->ctx, MOTH_ERR_ARGUMENT, "two layers are named '%s'; names must differ", layer->name);
    }
    snake_name(moth_layer_kind(layer), base, sizeof base);
    MOTH_TRY(first_free_number(model, others, n_others, base, &number));
    snprintf(name, sizeof name, "%s_%ld", base, number);
    char *copy = moth_strdup(name);
    if (!copy) {
        return moth_fail_memory(model->ctx, 64);
    }
    moth_free(layer->name);
    layer->name = copy;
    return MOTH_OK;
}

static bool has_layer(const moth_model *model, const moth_layer *layer)
{
    for (int i = 0; i < model->n_layers; i++) {
        if (model->layers[i] == layer) {
            return true;
        }
    }
    return false;
}

/* The layer joins the model: named, and owned. */
static moth_status take_layer(moth_model *model, moth_layer *layer, moth_layer *const *others, int n_others)
{
    MOTH_TRY(name_layer(model, layer, others, n_others));
    MOTH_TRY(grow(model, &model->layers, model->n_layers));
    model->layers[model->n_layers++] = moth_layer_retain(layer);
    return MOTH_OK;
}

static moth_status initialize_layer(moth_model *model, int position)
{
    moth_layer *layer = model->layers[position];
    if (layer->initialized) { /* a layer shared with an older model keeps its weights */
        return MOTH_OK;
    }
    return moth_layer_initialize(layer, model->ctx, model->seed,
                                 moth_stream(model->stream, "layer", (uint64_t)position));
}

/* ---- Sequential ---- */

static moth_status set_single(moth_model *model, moth_symbol ***list, int *count, moth_symbol *s)
{
    if (*count == 0) {
        MOTH_TRY(grow(model, list, 0));
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
    moth_status status = keep_use(model, out[0]->use);
    if (status == MOTH_OK) {
        status = set_single(model, &model->outputs, &model->n_outputs, out[0]);
    }
    if (status != MOTH_OK) {
        moth_symbol_release(out[0]);
        return status;
    }
    return initialize_layer(model, position);
}

static moth_status name_output(moth_model *model)
{
    if (!model->output_names) {
        model->output_names = moth_calloc(sizeof(char *));
    }
    if (!model->output_names) {
        return moth_fail_memory(model->ctx, 8);
    }
    moth_free(model->output_names[0]);
    model->output_names[0] = moth_strdup(model->layers[model->n_layers - 1]->name);
    return model->output_names[0] ? MOTH_OK : moth_fail_memory(model->ctx, 8);
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
        moth_status status = keep_use(model, input->use);
        if (status == MOTH_OK) {
            status = set_single(model, &model->inputs, &model->n_inputs, input);
        }
        if (status != MOTH_OK) {
            moth_symbol_release(input);
            return status;
        }
    }
    while (model->n_uses - 1 < model->n_layers) { /* goes on where an earlier failure stopped */
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
    MOTH_TRY(keep_use(model, input->use));
    moth_status status = set_single(model, &model->inputs, &model->n_inputs, input);
    if (status == MOTH_OK) {
        moth_symbol_retain(input);
    }
    return status;
}

static moth_status add_layer(moth_model *model, moth_layer *layer, moth_layer *const *others, int n_others)
{
    if (!model->sequential) {
        return moth_fail(model->ctx, MOTH_ERR_STATE,
                         "add: only a Sequential grows; describe other models by calling "
                         "layers on moth.Input");
    }
    if (has_layer(model, layer)) {
        return moth_fail(model->ctx, MOTH_ERR_ARGUMENT, "add: %s is in the model already", moth_layer_name(layer));
    }
    if (model->trainer) {
        return moth_fail(model->ctx, MOTH_ERR_STATE, "add: the model is compiled; add layers first");
    }
    bool named = layer->name != NULL;
    MOTH_TRY(take_layer(model, layer, others, n_others));
    int64_t shape[MOTH_MAX_RANK];
    int rank = moth_config_ints(layer->config, "input_shape", shape, MOTH_MAX_RANK - 1);
    moth_status status = MOTH_OK;
    if (model->built) {
        model->built = false;
        status = moth_model_build(model, MOTH_FLOAT32, 0, NULL);
        model->built = true;
    } else if (model->n_layers == 1 && (model->n_inputs || moth_config_has(layer->config, "input_shape"))) {
        status = moth_model_build(model, layer->type->input_dtype, rank, shape);
    }
    if (status != MOTH_OK) { /* as it was before */
        moth_layer_release(model->layers[--model->n_layers]);
        if (!named) {
            moth_free(layer->name);
            layer->name = NULL;
        }
    }
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

/* ---- functional models ---- */

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
            MOTH_TRY(grow(model, &c->found, c->count));
            c->found[c->count++] = model->outputs[i]->use;
        }
    }
    for (int at = 0; at < c->count; at++) {
        const moth_use *use = c->found[at];
        for (int i = 0; i < use->n_in; i++) {
            if (!known_use(c, use->in[i]->use)) {
                MOTH_TRY(grow(model, &c->found, c->count));
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
                             "Model: the outputs depend on an Input %s that is not among "
                             "the inputs",
                             moth_meta_text(&c->found[i]->out_meta[0], text, sizeof text));
        }
        MOTH_TRY(keep_use(model, c->found[i]));
        if (c->found[i]->layer && !has_layer(model, c->found[i]->layer)) {
            MOTH_TRY(take_layer(model, c->found[i]->layer, layers, n_layers));
            MOTH_TRY(initialize_layer(model, model->n_layers - 1));
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
        char text[160];
        snprintf(text, sizeof text, "%s", name);
        for (int k = 0; k < i; k++) {
            if (strcmp(model->output_names[k], text) == 0) { /* the same layer twice */
                snprintf(text, sizeof text, "%.120s_%d", name, i + 1);
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
    MOTH_TRY(model_new(ctx, name, false, &model));
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

/* ---- weights ---- */

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

/* ---- running ---- */

/* What a use computed in this run. */
typedef struct result {
    moth_tensor *out[MOTH_MAX_LAYER_OUTPUTS];
    moth_tensor *mask;
} result;

static int use_number(const moth_model *model, const moth_use *use)
{
    for (int i = 0; i < model->n_uses; i++) {
        if (model->uses[i] == use) {
            return i;
        }
    }
    return -1;
}

static moth_status run_use(moth_model *model, moth_pass *pass, result *results, int n)
{
    enum { MAX_INPUTS = 32 };
    const moth_use *use = model->uses[n];
    moth_tensor *in[MAX_INPUTS], *mask[MAX_INPUTS];
    for (int i = 0; i < use->n_in; i++) {
        const result *from = &results[use_number(model, use->in[i]->use)];
        in[i] = from->out[use->in[i]->output];
        mask[i] = use->in[i]->output == 0 ? from->mask : NULL;
    }
    moth_layer_io io = { .n_in = use->n_in, .in = in, .mask = mask, .use = use->index };
    MOTH_TRY(moth_layer_run(use->layer, pass, &io));
    memcpy(results[n].out, io.out, sizeof io.out);
    results[n].mask = io.out_mask;
    return MOTH_OK;
}

static moth_status check_input(moth_model *model, int k, const moth_tensor *t)
{
    const moth_meta *want = moth_symbol_meta(model->inputs[k]);
    if (moth_layer_expect(model->ctx, &t->meta, want->rank, want->shape) == MOTH_OK) {
        return MOTH_OK;
    }
    const char *input_name = model->inputs[k]->use->input_name;
    return moth_fail_prefix(model->ctx, "%s",
                            input_name            ? input_name
                            : model->n_layers > 0 ? model->layers[0]->name
                                                  : model->name);
}

static moth_status run_graph(moth_model *model, moth_pass *pass, moth_tensor *const *in, moth_tensor **out,
                             moth_tensor **mask, result *results)
{
    for (int k = 0; k < model->n_inputs; k++) {
        MOTH_TRY(check_input(model, k, in[k]));
        results[use_number(model, model->inputs[k]->use)].out[0] = in[k];
    }
    for (int n = 0; n < model->n_uses; n++) {
        if (model->uses[n]->layer) {
            MOTH_TRY(run_use(model, pass, results, n));
        }
    }
    for (int k = 0; k < model->n_outputs; k++) {
        const moth_symbol *s = model->outputs[k];
        const result *from = &results[use_number(model, s->use)];
        out[k] = from->out[s->output];
        if (mask) {
            mask[k] = s->output == 0 ? from->mask : NULL;
        }
    }
    return MOTH_OK;
}

moth_status moth_model_run(moth_model *model, moth_pass *pass, moth_tensor *const *in, moth_tensor **out,
                           moth_tensor **mask)
{
    if (!model->built) {
        MOTH_TRY(moth_model_build(model, in[0]->meta.dtype, in[0]->meta.rank - 1, in[0]->meta.shape + 1));
    }
    result *results = moth_calloc(((size_t)model->n_uses + 1) * sizeof *results);
    if (!results) {
        return moth_fail_memory(model->ctx, model->n_uses * (int64_t)sizeof *results);
    }
    moth_status status = run_graph(model, pass, in, out, mask, results);
    moth_free(results);
    return status;
}
