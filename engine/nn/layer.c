/* The life of a layer: options, building, initial values, running. */
#include "nn/layer.h"

#include <stdio.h>
#include <string.h>

#include "core/random.h"
#include "nn/functions.h"

#define X(name) extern const moth_layer_type moth_layer_##name;
#include "nn/layers.def"
#undef X

static const moth_entry *const layer_entries[] = {
#define X(name) &moth_layer_##name.entry,
#include "nn/layers.def"
#undef X
    NULL,
};

static const char *const layer_aliases[] = { "Convolution2D", "Conv2D",    "Convolution1D",    "Conv1D", "MaxPool2D",
                                             "MaxPooling2D",  "AvgPool2D", "AveragePooling2D", NULL };

const moth_kind moth_layers = { "layer", "layers", layer_entries, layer_aliases, false, NULL };

const moth_option moth_layer_options[] = {
    { .name = "name", .kind = MOTH_OPTION_STRING, .doc = "name in summaries, files and messages" },
    { .name = "trainable", .kind = MOTH_OPTION_BOOL, .fallback = "true", .doc = "are its weights updated" },
    { .name = "input_shape",
      .kind = MOTH_OPTION_INTS,
      .low = 0,
      .high = MOTH_NO_LIMIT,
      .doc = "shape of one sample, for the first layer of a Sequential" },
    MOTH_OPTIONS_END,
};

/* ---- making ---- */

/* input_dim = n is another way to write input_shape = {n}; *out is a copy of given with that done. */
static moth_status expand_aliases(moth_ctx *ctx, const char *what, const moth_value *given, moth_value **out)
{
    moth_value *copy = given ? moth_value_clone(given) : moth_value_map();
    const moth_value *dim = moth_value_get(copy, "input_dim");
    if (dim && moth_value_get(copy, "input_shape")) {
        moth_value_free(copy);
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: option 'input_shape' is given twice, as input_dim too", what);
    }
    if (copy && dim) {
        moth_value *list = moth_value_list();
        if (!moth_value_append(list, moth_value_clone(dim)) || !moth_value_set(copy, "input_shape", list)) {
            moth_value_free(copy);
            return moth_fail_memory(ctx, 64);
        }
        moth_value_remove(copy, "input_dim");
    }
    if (!copy) {
        return moth_fail_memory(ctx, 64);
    }
    *out = copy;
    return MOTH_OK;
}

static bool has_option(const moth_layer_type *type, const char *name)
{
    for (const moth_option *o = type->entry.options; o && o->name; o++) {
        if (strcmp(o->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static moth_status configure(moth_layer *layer, moth_ctx *ctx, const moth_value *given)
{
    moth_value *options = NULL;
    if (has_option(layer->type, "input_dim")) { /* Embedding: there it is a size of its own */
        options = given ? moth_value_clone(given) : moth_value_map();
    } else {
        MOTH_TRY(expand_aliases(ctx, layer->type->entry.name, given, &options));
    }
    moth_status status = moth_options_normalize(ctx, layer->type->entry.name, layer->type->entry.options,
                                                moth_layer_options, options, &layer->config);
    moth_value_free(options);
    MOTH_TRY(status);
    layer->trainable = moth_config_bool(layer->config, "trainable");
    if (moth_config_has(layer->config, "name")) {
        MOTH_TRY(moth_check_name(ctx, layer->type->entry.name, moth_config_string(layer->config, "name")));
        layer->name = moth_strdup(moth_config_string(layer->config, "name"));
        if (!layer->name) {
            return moth_fail_memory(ctx, 64);
        }
    }
    return layer->type->setup ? layer->type->setup(layer, ctx) : MOTH_OK;
}

moth_status moth_layer_new(moth_ctx *ctx, const char *type, const moth_value *given, moth_layer **out)
{
    const moth_entry *entry;
    MOTH_TRY(moth_entry_require(ctx, &moth_layers, type, &entry));
    moth_layer *layer = moth_calloc(sizeof *layer);
    if (!layer) {
        return moth_fail_memory(ctx, (int64_t)sizeof *layer);
    }
    layer->references = 1;
    layer->type = (const moth_layer_type *)(const void *)entry; /* the entry is its first member */
    moth_status status = configure(layer, ctx, given);
    if (status != MOTH_OK) {
        moth_layer_release(layer);
        return status;
    }
    *out = layer;
    return MOTH_OK;
}

moth_layer *moth_layer_retain(moth_layer *layer)
{
    if (layer) {
        layer->references++;
    }
    return layer;
}

static void free_variable(moth_variable *v)
{
    moth_tensor_release(v->tensor);
    moth_free(v->name);
    moth_value_free(v->initializer);
    moth_value_free(v->regularizer);
    moth_value_free(v->constraint);
}

static void free_variables(moth_layer *layer)
{
    for (int k = 0; k < layer->n_variables; k++) {
        free_variable(&layer->variables[k]);
    }
    moth_free(layer->variables);
    layer->variables = NULL;
    layer->n_variables = 0;
}

void moth_layer_release(moth_layer *layer)
{
    if (!layer || --layer->references > 0) {
        return;
    }
    free_variables(layer);
    moth_layer_release(layer->inner); /* wrappers nest as deep as their config, which is bounded */
    moth_layer_release(layer->inner_back);
    moth_value_free(layer->config);
    moth_free(layer->name);
    moth_free(layer);
}

void moth_layer_set_trainable(moth_layer *layer, bool trainable)
{
    layer->trainable = trainable;
    if (layer->inner) {
        moth_layer_set_trainable(layer->inner, trainable);
    }
    if (layer->inner_back) {
        moth_layer_set_trainable(layer->inner_back, trainable);
    }
}

const char *moth_layer_name(const moth_layer *layer)
{
    return layer->name ? layer->name : layer->type->entry.name;
}

const char *moth_layer_kind(const moth_layer *layer)
{
    const moth_value *other = moth_value_get(layer->config, "class_name");
    return moth_value_kind_of(other) == MOTH_STRING ? moth_value_as_string(other) : layer->type->entry.name;
}

/* ---- variables ---- */

static moth_status copy_specs(moth_ctx *ctx, moth_variable *v, const moth_variable_spec *spec)
{
    v->initializer = moth_value_clone(spec->initializer);
    v->regularizer = moth_value_clone(spec->regularizer);
    v->constraint = moth_value_clone(spec->constraint);
    v->name = moth_strdup(spec->name);
    bool good = v->initializer && v->regularizer && v->constraint && v->name;
    return good ? MOTH_OK : moth_fail_memory(ctx, 64);
}

moth_tensor *moth_layer_find(const moth_layer *layer, const char *name)
{
    for (int k = 0; k < layer->n_variables; k++) {
        if (strcmp(layer->variables[k].name, name) == 0) {
            return layer->variables[k].tensor;
        }
    }
    return NULL;
}

/* Values that come from a file take no more room than the file's tensors: a file of a few bytes could ask for any. */
static moth_status take_room(const moth_layer *layer, moth_ctx *ctx, const moth_variable_spec *spec)
{
    if (!ctx->weights_left || !layer->initialized) {
        return MOTH_OK;
    }
    int64_t count = 1;
    bool fits = true;
    for (int d = 0; d < spec->rank && fits; d++) {
        fits = moth_size_mul(count, spec->shape[d], &count);
    }
    if (!fits || count > *ctx->weights_left) {
        return moth_fail(ctx, MOTH_ERR_FORMAT, "the file holds fewer weights than the layer has");
    }
    *ctx->weights_left -= count;
    return MOTH_OK;
}

moth_status moth_layer_add_variable(moth_layer *layer, moth_ctx *ctx, const moth_variable_spec *spec, moth_tensor **out)
{
    if (!layer->building) {
        return moth_fail(ctx, MOTH_ERR_STATE, "%s: weights are added in the layer's build function, at no other time",
                         moth_layer_name(layer));
    }
    if (moth_layer_find(layer, spec->name)) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: there is a weight '%.60s' already", moth_layer_name(layer),
                         spec->name);
    }
    MOTH_TRY(moth_check_name(ctx, moth_layer_name(layer), spec->name));
    MOTH_TRY(take_room(layer, ctx, spec));
    moth_variable *bigger = moth_realloc(layer->variables, (size_t)(layer->n_variables + 1) * sizeof *bigger);
    if (!bigger) {
        return moth_fail_memory(ctx, (int64_t)sizeof *bigger);
    }
    layer->variables = bigger;
    moth_variable *v = &bigger[layer->n_variables];
    *v = (moth_variable){ .trainable = !spec->state, .inputs = spec->inputs };
    moth_status status = copy_specs(ctx, v, spec);
    if (status == MOTH_OK) {
        status = moth_tensor_zeros(ctx, MOTH_FLOAT32, spec->rank, spec->shape, &v->tensor);
    }
    if (status != MOTH_OK) {
        free_variable(v);
        return status;
    }
    layer->n_variables++;
    v->tensor->requires_grad = v->trainable;
    v->tensor->name = moth_strdup(spec->name);
    if (out) {
        *out = v->tensor;
    }
    return MOTH_OK;
}

void moth_layer_adopt(moth_layer *layer, uint64_t stream)
{
    layer->stream = stream;
    layer->initialized = true;
    if (layer->inner) {
        moth_layer_adopt(layer->inner, moth_stream(stream, "inner", 0));
    }
    if (layer->inner_back) {
        moth_layer_adopt(layer->inner_back, moth_stream(stream, "inner", 1));
    }
}

static moth_status draw_variables(moth_layer *layer, moth_ctx *ctx, uint64_t seed)
{
    for (int k = 0; k < layer->n_variables; k++) {
        moth_variable *v = &layer->variables[k];
        MOTH_TRY(moth_initialize(ctx, v->initializer, v->tensor, v->inputs, seed,
                                 moth_stream(layer->stream, "init", (uint64_t)k)));
        v->tensor->storage->version++;
    }
    MOTH_TRY(layer->inner ? draw_variables(layer->inner, ctx, seed) : MOTH_OK);
    return layer->inner_back ? draw_variables(layer->inner_back, ctx, seed) : MOTH_OK;
}

moth_status moth_layer_initialize(moth_layer *layer, moth_ctx *ctx, uint64_t seed, uint64_t stream)
{
    moth_layer_adopt(layer, stream);
    return draw_variables(layer, ctx, seed);
}

static moth_status visit_variables(moth_layer *layer, const char *prefix, moth_variable_visit visit, void *user)
{
    char path[512];
    for (int k = 0; k < layer->n_variables; k++) {
        snprintf(path, sizeof path, "%s/%s", prefix, layer->variables[k].name);
        MOTH_TRY(visit(user, layer, &layer->variables[k], path));
    }
    if (layer->inner) {
        snprintf(path, sizeof path, "%s/%s", prefix, layer->inner_back ? "forward" : "layer");
        MOTH_TRY(visit_variables(layer->inner, path, visit, user));
    }
    if (layer->inner_back) {
        snprintf(path, sizeof path, "%s/backward", prefix);
        MOTH_TRY(visit_variables(layer->inner_back, path, visit, user));
    }
    return MOTH_OK;
}

moth_status moth_layer_each_variable(moth_layer *layer, moth_variable_visit visit, void *user)
{
    return visit_variables(layer, moth_layer_name(layer), visit, user);
}

/* ---- building ---- */

static moth_status check_rank(moth_layer *layer, moth_ctx *ctx, const moth_meta *in)
{
    const moth_layer_type *type = layer->type;
    bool fits =
        (type->min_rank == 0 || in->rank >= type->min_rank) && (type->max_rank == 0 || in->rank <= type->max_rank);
    if (fits) {
        return MOTH_OK;
    }
    char got[128];
    moth_meta_text(in, got, sizeof got);
    if (type->min_rank == type->max_rank) {
        return moth_fail(ctx, MOTH_ERR_SHAPE, "expected input with %d dimensions, the batch included, got %s",
                         type->min_rank, got);
    }
    return moth_fail(ctx, MOTH_ERR_SHAPE, "expected input with at least %d dimensions, the batch included, got %s",
                     type->min_rank, got);
}

static moth_status check_inputs(moth_layer *layer, moth_ctx *ctx, int n_in, const moth_meta *const *in)
{
    const moth_layer_type *type = layer->type;
    int low = type->min_in ? type->min_in : 1, high = type->max_in ? type->max_in : 1;
    if (n_in < low || (high >= 0 && n_in > high)) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "takes %d%s tensor%s, got %d", low, high < 0 ? " or more" : "",
                         low == 1 && high == 1 ? "" : "s", n_in);
    }
    for (int i = 0; i < n_in; i++) {
        MOTH_TRY(check_rank(layer, ctx, in[i]));
    }
    return MOTH_OK;
}

moth_status moth_layer_build(moth_layer *layer, moth_ctx *ctx, int n_in, const moth_meta *const *in)
{
    MOTH_TRY(check_inputs(layer, ctx, n_in, in));
    if (layer->built) {
        return MOTH_OK;
    }
    if (layer->building) {
        return moth_fail(ctx, MOTH_ERR_STATE, "the layer is just being built");
    }
    layer->building = true;
    moth_status status = layer->type->build ? layer->type->build(layer, ctx, n_in, in) : MOTH_OK;
    layer->building = false;
    if (status != MOTH_OK) {
        free_variables(layer);
        return status;
    }
    layer->built = true;
    layer->n_in = n_in;
    layer->built_for = *in[0];
    return MOTH_OK;
}

moth_status moth_layer_expect(moth_ctx *ctx, const moth_meta *got, int rank, const int64_t *shape)
{
    bool fits = got->rank == rank;
    for (int d = 1; fits && d < rank; d++) {
        fits = shape[d] < 0 || got->shape[d] == shape[d];
    }
    if (fits) {
        return MOTH_OK;
    }
    char want[160] = "(batch", is[128];
    size_t n = strlen(want);
    for (int d = 1; d < rank && n < sizeof want - 24; d++) {
        n += (size_t)(shape[d] < 0 ? snprintf(want + n, sizeof want - n, ", any")
                                   : snprintf(want + n, sizeof want - n, ", %lld", (long long)shape[d]));
    }
    return moth_fail(ctx, MOTH_ERR_SHAPE, "expected input of shape %s%s), got %s", want, rank == 1 ? "," : "",
                     moth_meta_text(got, is, sizeof is));
}

moth_status moth_layer_axis(moth_ctx *ctx, int64_t axis, int rank, int *out)
{
    int64_t dim = axis < 0 ? rank + axis : axis;
    if (dim < 1 || dim >= rank) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "axis %lld: a sample has %d dimensions", (long long)axis, rank - 1);
    }
    *out = (int)dim;
    return MOTH_OK;
}

/* ---- running ---- */

/* The outputs carry their masks from here on. One that is a tensor with another mask, or somebody else's too (an input
 * of a layer that had nothing to do), is handed on as a view of its own. */
static void carry_masks(moth_pass *pass, moth_layer_io *io)
{
    for (int k = 0; k < io->n_out && io->n_masked != MOTH_MASKS_AS_THEY_ARE; k++) {
        moth_tensor *t = io->out[k], *mask = k < io->n_masked ? io->out_mask : NULL;
        if (!t || t->mask == mask) {
            continue;
        }
        if (t->mask || t->references > 1) {
            moth_attrs same = { .i = { t->meta.rank } };
            memcpy(same.i + 1, t->meta.shape, (size_t)t->meta.rank * sizeof same.i[0]);
            io->out[k] = t = MOTH_DO(pass->scope, reshape, &same, t);
        }
        if (t) {
            moth_tensor_set_mask(t, mask);
        }
    }
}

static moth_status run(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    enum { STACK_INPUTS = 32 };
    const moth_meta *metas[STACK_INPUTS];
    moth_tensor *masks[STACK_INPUTS];
    if (io->n_in > STACK_INPUTS) {
        return moth_fail(pass->ctx, MOTH_ERR_ARGUMENT, "takes at most %d tensors, got %d", STACK_INPUTS, io->n_in);
    }
    for (int i = 0; i < io->n_in; i++) {
        metas[i] = &io->in[i]->meta;
        masks[i] = io->in[i]->mask;
    }
    MOTH_TRY(moth_layer_build(layer, pass->ctx, io->n_in, metas));
    if (!layer->initialized) { /* a layer that is used outside any model is a model of its own */
        uint64_t stream = moth_stream(moth_stream(0, "model", pass->ctx->model_ordinal++), "layer", 0);
        MOTH_TRY(moth_layer_initialize(layer, pass->ctx, pass->ctx->seed, stream));
    }
    io->n_out = 1;
    io->n_masked = 1;
    io->mask = masks;
    io->out_mask = io->n_in > 0 ? masks[0] : NULL;
    moth_status status = layer->type->call(layer, pass, io);
    io->mask = NULL;
    if (status == MOTH_OK && pass->scope->status == MOTH_OK) {
        carry_masks(pass, io);
    }
    return status == MOTH_OK ? pass->scope->status : status;
}

moth_status moth_layer_run(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    moth_status status = pass->scope->status == MOTH_OK ? run(layer, pass, io) : pass->scope->status;
    if (status != MOTH_OK && pass->scope->status == MOTH_OK) {
        moth_scope_fail(pass->scope, status);
    }
    if (status == MOTH_OK || status == MOTH_ERR_EXACT_BATCH || status == MOTH_ERR_CALLBACK) {
        return status;
    }
    return moth_fail_prefix(pass->ctx, "%s", moth_layer_name(layer));
}

void moth_pass_penalize(moth_pass *pass, moth_tensor *penalty)
{
    if (penalty) {
        pass->penalty = pass->penalty ? MOTH_DO(pass->scope, add, NULL, pass->penalty, penalty) : penalty;
    }
}

/* Keras 3 divides a penalty on activations by the rows of the batch. */
void moth_pass_penalize_rows(moth_pass *pass, const moth_value *spec, moth_tensor *y)
{
    moth_tensor *penalty = moth_value_kind_of(spec) == MOTH_NIL || !y ? NULL : moth_regularize(pass, spec, y);
    if (penalty) {
        moth_tensor *rows = MOTH_DO(pass->scope, size, &(moth_attrs){ .i = { 0 } }, y);
        moth_pass_penalize(pass, MOTH_DO(pass->scope, div, NULL, penalty, rows));
    }
}

void moth_layer_penalize(moth_layer *layer, moth_pass *pass, moth_tensor *y)
{
    moth_pass_penalize_rows(pass, moth_value_get(layer->config, "activity_regularizer"), y);
}

moth_status moth_layer_finish(moth_layer *layer, moth_pass *pass, moth_layer_io *io, moth_tensor *y)
{
    io->out[0] = moth_activate(pass, moth_value_get(layer->config, "activation"), y);
    moth_layer_penalize(layer, pass, io->out[0]);
    return pass->scope->status;
}

moth_status moth_call_function(moth_pass *pass, moth_callback *f, int n_in, moth_tensor *const *in, int max_out,
                               moth_tensor **out, int *n_out)
{
    if (pass->scope->status != MOTH_OK) {
        return pass->scope->status;
    }
    moth_status status = f->call(f, pass->ctx, in, n_in, pass->training, out, max_out, n_out);
    if (status != MOTH_OK) {
        moth_scope_fail(pass->scope, status);
        return status;
    }
    for (int k = 0; k < *n_out; k++) {
        out[k] = moth_scope_own(pass->scope, out[k]);
    }
    return pass->scope->status;
}
