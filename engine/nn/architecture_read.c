/* A model from its architecture, which is checked as any file is (see architecture.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/architecture.h"

/* What is being put together; owned by reader_close. */
typedef struct reader {
    moth_ctx *ctx;
    const moth_value *value;
    moth_layer_maker make;
    void *user;
    bool fresh; /* new weights: the file's seed and places do not count */
    int n_layers, n_symbols, n_inputs;
    moth_layer **layers;
    moth_symbol **symbols; /* MOTH_MAX_LAYER_OUTPUTS for each use */
} reader;

static moth_status fail_format(const reader *r, const char *path, const char *expected)
{
    return moth_fail(r->ctx, MOTH_ERR_FORMAT, "model: %s: expected %s", path, expected);
}

static bool get_hex(const moth_value *map, const char *key, uint64_t *out)
{
    const char *text = moth_config_string(map, key);
    char *end;
    if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16) {
        return false;
    }
    *out = strtoull(text, &end, 16);
    return true;
}

/* The same where a fresh model may leave it out. */
static bool read_hex(const reader *r, const moth_value *map, const char *key, uint64_t *out)
{
    *out = 0;
    return (r->fresh && !moth_config_has(map, key)) || get_hex(map, key, out);
}

static bool get_index(const moth_value *v, int64_t limit, int64_t *out)
{
    *out = moth_value_as_int(v);
    return moth_value_kind_of(v) == MOTH_INT && *out >= 0 && *out < limit;
}

static moth_status read_layer(reader *r, const moth_value *entry, int64_t i)
{
    char path[64];
    snprintf(path, sizeof path, "layers[%lld]", (long long)i);
    const moth_value *type = moth_value_get(entry, "class"), *config = moth_value_get(entry, "config");
    uint64_t stream;
    bool plain = r->fresh && moth_value_kind_of(config) == MOTH_NIL;
    if (moth_value_kind_of(type) != MOTH_STRING || (!plain && moth_value_kind_of(config) != MOTH_MAP) ||
        !read_hex(r, entry, "stream", &stream)) {
        return fail_format(r, path, "class, config and stream");
    }
    moth_layer *layer = NULL;
    moth_status status =
        r->make && !plain ? r->make(r->user, r->ctx, moth_value_as_string(type), config, &layer) : MOTH_OK;
    if (status == MOTH_OK && !layer) {
        status = moth_layer_new(r->ctx, moth_value_as_string(type), config, &layer);
    }
    if (status != MOTH_OK) {
        return status == MOTH_ERR_CALLBACK ? status : moth_fail_prefix(r->ctx, "model: %s", path);
    }
    if (!r->fresh) { /* values come from elsewhere: nothing is drawn */
        moth_layer_adopt(layer, stream);
    }
    r->layers[r->n_layers++] = layer;
    return MOTH_OK;
}

/* Layers, or calls of layers, in one file. */
enum { MAX_PARTS = 10000 };

static moth_status read_layers(reader *r)
{
    const moth_value *list = moth_value_get(r->value, "layers");
    if (moth_value_kind_of(list) != MOTH_LIST || moth_value_count(list) > MAX_PARTS) {
        return fail_format(r, "layers", "a list of at most 10000");
    }
    r->layers = moth_calloc(((size_t)moth_value_count(list) + 1) * sizeof(moth_layer *));
    if (!r->layers) {
        return moth_fail_memory(r->ctx, moth_value_count(list) * 8);
    }
    for (int64_t i = 0; i < moth_value_count(list); i++) {
        MOTH_TRY(read_layer(r, moth_value_at(list, i), i));
    }
    return MOTH_OK;
}

static moth_status read_input(reader *r, const moth_value *entry, moth_symbol **out)
{
    int64_t shape[MOTH_MAX_RANK];
    const moth_value *list = moth_value_get(entry, "shape"), *name = moth_value_get(entry, "name");
    const char *dtype = r->fresh && !moth_config_has(entry, "dtype") ? "float32" : moth_config_string(entry, "dtype");
    int64_t rank = moth_value_count(list);
    if (moth_value_kind_of(list) != MOTH_LIST || rank >= MOTH_MAX_RANK) {
        return fail_format(r, "inputs", "a shape of up to 7 dimensions");
    }
    for (int64_t d = 0; d < rank; d++) {
        if (!get_index(moth_value_at(list, d), MOTH_MAX_ELEMENTS, &shape[d])) {
            return fail_format(r, "inputs", "sizes from 0");
        }
    }
    for (int k = MOTH_FLOAT32; k <= MOTH_UINT8; k++) {
        if (strcmp(dtype, moth_dtype_name((moth_dtype)k)) == 0) {
            const char *given = moth_value_kind_of(name) == MOTH_STRING ? moth_value_as_string(name) : NULL;
            return moth_symbol_input(r->ctx, given, (moth_dtype)k, (int)rank, shape, out);
        }
    }
    return fail_format(r, "inputs", "dtype float32, int32 or uint8");
}

static moth_status read_end(reader *r, const moth_value *use, const moth_value *output, const char *path,
                            moth_symbol **out)
{
    int64_t n, k;
    if (!get_index(use, r->n_symbols, &n) || !get_index(output, MOTH_MAX_LAYER_OUTPUTS, &k) ||
        !r->symbols[n * MOTH_MAX_LAYER_OUTPUTS + k]) {
        return fail_format(r, path, "a use that stands before it");
    }
    *out = r->symbols[n * MOTH_MAX_LAYER_OUTPUTS + k];
    return MOTH_OK;
}

static moth_status read_use(reader *r, const moth_value *entry, int64_t i)
{
    char path[64];
    moth_symbol *in[MOTH_MAX_LAYER_INPUTS];
    const moth_value *from = moth_value_get(entry, "from");
    int64_t layer, n_in = moth_value_count(from);
    int n_out = 0;
    snprintf(path, sizeof path, "uses[%lld]", (long long)i);
    if (!get_index(moth_value_get(entry, "layer"), r->n_layers, &layer) || n_in < 1 || n_in > MOTH_MAX_LAYER_INPUTS) {
        return fail_format(r, path, "layer and from");
    }
    for (int64_t k = 0; k < n_in; k++) {
        const moth_value *pair = moth_value_at(from, k);
        MOTH_TRY(read_end(r, moth_value_at(pair, 0), moth_value_at(pair, 1), path, &in[k]));
    }
    MOTH_TRY(moth_symbol_apply(r->ctx, r->layers[layer], (int)n_in, in,
                               r->symbols + (int64_t)r->n_symbols * MOTH_MAX_LAYER_OUTPUTS, &n_out));
    r->n_symbols++;
    return MOTH_OK;
}

static moth_status read_graph(reader *r)
{
    const moth_value *inputs = moth_value_get(r->value, "inputs"), *uses = moth_value_get(r->value, "uses");
    int64_t n = moth_value_count(inputs) + moth_value_count(uses);
    if (moth_value_kind_of(inputs) != MOTH_LIST || moth_value_kind_of(uses) != MOTH_LIST || n > MAX_PARTS) {
        return fail_format(r, "inputs and uses", "lists of at most 10000 together");
    }
    r->symbols = moth_calloc(((size_t)n + 1) * MOTH_MAX_LAYER_OUTPUTS * sizeof(moth_symbol *));
    if (!r->symbols) {
        return moth_fail_memory(r->ctx, n * 64);
    }
    for (; r->n_symbols < moth_value_count(inputs); r->n_symbols++) {
        MOTH_TRY(read_input(r, moth_value_at(inputs, r->n_symbols),
                            &r->symbols[(int64_t)r->n_symbols * MOTH_MAX_LAYER_OUTPUTS]));
    }
    r->n_inputs = r->n_symbols;
    for (int64_t i = 0; i < moth_value_count(uses); i++) {
        MOTH_TRY(read_use(r, moth_value_at(uses, i), i));
    }
    return MOTH_OK;
}

enum { MAX_ENDS = 32 }; /* inputs of a model, or outputs */

static moth_status make_functional(reader *r, const char *name, moth_model **out)
{
    moth_symbol *inputs[MAX_ENDS], *outputs[MAX_ENDS];
    const char *names[MAX_ENDS];
    const moth_value *list = moth_value_get(r->value, "outputs");
    int64_t n = moth_value_count(list);
    MOTH_TRY(read_graph(r));
    if (r->n_inputs > MAX_ENDS || n < 1 || n > MAX_ENDS) {
        return fail_format(r, "outputs", "1 to 32 of them");
    }
    for (int k = 0; k < r->n_inputs; k++) {
        inputs[k] = r->symbols[(int64_t)k * MOTH_MAX_LAYER_OUTPUTS];
    }
    for (int64_t k = 0; k < n; k++) {
        const moth_value *entry = moth_value_at(list, k);
        const moth_value *given = moth_value_get(entry, "name");
        MOTH_TRY(read_end(r, moth_value_get(entry, "use"), moth_value_get(entry, "output"), "outputs", &outputs[k]));
        names[k] = moth_value_kind_of(given) == MOTH_STRING ? moth_value_as_string(given) : NULL;
    }
    return moth_model_functional(r->ctx, name, r->n_inputs, inputs, (int)n, outputs, names, out);
}

static moth_status make_sequential(reader *r, const char *name, moth_model **out)
{
    const moth_value *inputs = moth_value_get(r->value, "inputs");
    MOTH_TRY(moth_model_sequential(r->ctx, name, out));
    moth_symbol *input = NULL;
    moth_status status = MOTH_OK;
    if (moth_value_count(inputs) > 0) {
        status = read_input(r, moth_value_at(inputs, 0), &input);
    }
    bool says_shape = r->n_layers > 0 && moth_config_has(r->layers[0]->config, "input_shape");
    if (status == MOTH_OK && input && !says_shape) { /* an Input stood first, or the shape came with data */
        status = moth_model_set_input(*out, input);
    }
    for (int i = 0; i < r->n_layers && status == MOTH_OK; i++) {
        status = moth_model_add_layer(*out, r->layers[i]);
    }
    if (status == MOTH_OK && input) {
        const moth_meta *m = moth_symbol_meta(input);
        status = moth_model_build(*out, m->dtype, m->rank - 1, m->shape + 1);
        if (status == MOTH_OK && !moth_meta_same_shape(m, moth_symbol_meta((*out)->inputs[0]))) {
            status = fail_format(r, "inputs", "the input_shape of the first layer");
        }
    }
    moth_symbol_release(input);
    if (status != MOTH_OK) {
        moth_model_release(*out);
        *out = NULL;
    }
    return status;
}

static moth_status make_model(reader *r, moth_model **out)
{
    const char *class_name = moth_config_string(r->value, "class");
    const moth_value *given = moth_value_get(r->value, "name");
    uint64_t seed, stream, step;
    bool named = moth_value_kind_of(given) == MOTH_STRING, nameless = r->fresh && moth_value_kind_of(given) == MOTH_NIL;
    if ((!named && !nameless) || !read_hex(r, r->value, "seed", &seed) || !read_hex(r, r->value, "stream", &stream) ||
        !read_hex(r, r->value, "step", &step)) {
        return fail_format(r, "name, seed, stream and step", "a text and three numbers of 16 hexadecimal digits");
    }
    if (strcmp(class_name, "Sequential") == 0) {
        MOTH_TRY(make_sequential(r, named ? moth_value_as_string(given) : NULL, out));
    } else if (strcmp(class_name, "Model") == 0) {
        MOTH_TRY(make_functional(r, named ? moth_value_as_string(given) : NULL, out));
    } else {
        return fail_format(r, "class", "Sequential or Model");
    }
    if (!r->fresh) {
        (*out)->seed = seed;
        (*out)->stream = stream;
        (*out)->step = step;
    }
    return MOTH_OK;
}

static void reader_close(reader *r)
{
    for (int64_t i = 0; r->symbols && i < (int64_t)r->n_symbols * MOTH_MAX_LAYER_OUTPUTS; i++) {
        moth_symbol_release(r->symbols[i]);
    }
    for (int i = 0; i < r->n_layers; i++) {
        moth_layer_release(r->layers[i]);
    }
    moth_free(r->symbols);
    moth_free(r->layers);
}

moth_status moth_model_from_value(moth_ctx *ctx, const moth_value *value, bool fresh, moth_layer_maker make, void *user,
                                  moth_model **out)
{
    reader r = { .ctx = ctx, .value = value, .make = make, .user = user, .fresh = fresh };
    uint64_t ordinal =
        ctx->model_ordinal; /* a loaded model brings its place: later ones draw as if it were not there */
    moth_model *model = NULL;
    moth_status status = read_layers(&r);
    if (status == MOTH_OK) {
        status = make_model(&r, &model);
    }
    reader_close(&r);
    if (!fresh) {
        ctx->model_ordinal = ordinal;
    }
    if (status == MOTH_OK) {
        *out = model;
    }
    return status;
}

moth_status moth_model_adopt(moth_model *model, const moth_value *value)
{
    reader r = { .ctx = model->ctx, .value = value };
    const moth_value *layers = moth_value_get(value, "layers");
    uint64_t seed, stream, step, of_layer;
    if (!get_hex(value, "seed", &seed) || !get_hex(value, "stream", &stream) || !get_hex(value, "step", &step)) {
        return fail_format(&r, "seed, stream and step", "three numbers of 16 hexadecimal digits");
    }
    if (moth_value_count(layers) != model->n_layers) {
        return moth_fail(r.ctx, MOTH_ERR_FORMAT, "expected a model of %d layers, got one of %lld", model->n_layers,
                         (long long)moth_value_count(layers));
    }
    /* Everything is looked at before anything changes. */
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < model->n_layers; i++) {
            if (!get_hex(moth_value_at(layers, i), "stream", &of_layer)) {
                return fail_format(&r, "layers: stream", "a number of 16 hexadecimal digits");
            }
            if (round == 1) {
                moth_layer_adopt(model->layers[i], of_layer);
            }
        }
    }
    model->seed = seed;
    model->stream = stream;
    model->step = step;
    return MOTH_OK;
}
