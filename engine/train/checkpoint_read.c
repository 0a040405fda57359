/* Reading model files (see checkpoint.h): everything is looked at before anything changes. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "train/checkpoint.h"

/* The steps of an optimizer are counted in double too. */
#define MAX_ITERATIONS ((int64_t)1 << 53)

/* A file that is being taken over; visits check first and fill second. */
typedef struct loader {
    moth_ctx *ctx;
    const char *path;
    moth_tensor_file *file;
    moth_optimizer *optimizer;
    int64_t used; /* tensors of the file that have a place */
    bool fill;
} loader;

__attribute__((format(printf, 2, 3))) static moth_status fail(const loader *l, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return moth_fail(l->ctx, MOTH_ERR_FORMAT, "%s: %s", l->path, text);
}

/* Checks or fills one tensor. */
static moth_status take(loader *l, const char *name, moth_tensor *to, bool required)
{
    const moth_tensor *from = moth_tensor_file_find(l->file, name);
    if (!from) {
        return required ? fail(l, "tensor '%.400s' is missing", name) : MOTH_OK;
    }
    if (l->fill) {
        return moth_tensor_copy_into(l->ctx, to, from);
    }
    l->used++;
    if (from->meta.dtype != to->meta.dtype || !moth_meta_same_shape(&from->meta, &to->meta)) {
        char want[128], got[128];
        return fail(l, "tensor '%.400s': expected float32 %s, got %s", name,
                    moth_meta_text(&to->meta, want, sizeof want), moth_meta_text(&from->meta, got, sizeof got));
    }
    return MOTH_OK;
}

static moth_status take_variable(void *user, moth_layer *layer, moth_variable *variable, const char *path)
{
    (void)layer;
    return take(user, path, variable->tensor, true);
}

static moth_status take_slots(void *user, moth_layer *layer, moth_variable *variable, const char *path)
{
    loader *l = user;
    char name[MOTH_CHECKPOINT_NAME];
    moth_slots *s;
    (void)layer;
    const char *first = moth_optimizer_slot_name(l->optimizer, 0);
    snprintf(name, sizeof name, "optimizer/%s/%s", path, first ? first : "");
    if (!first || !moth_tensor_file_find(l->file, name)) {
        return MOTH_OK;
    }
    MOTH_TRY(moth_optimizer_slots(l->optimizer, variable->tensor, &s));
    for (int k = 0; k < MOTH_MAX_SLOTS; k++) {
        if (s->slot[k]) {
            snprintf(name, sizeof name, "optimizer/%s/%s", path, moth_optimizer_slot_name(l->optimizer, k));
            MOTH_TRY(take(l, name, s->slot[k], true));
        }
    }
    return MOTH_OK;
}

static moth_status take_round(loader *l, moth_model *model, bool fill)
{
    l->fill = fill;
    MOTH_TRY(moth_model_each_variable(model, take_variable, l));
    return l->optimizer ? moth_model_each_variable(model, take_slots, l) : MOTH_OK;
}

/* Everything is looked at before anything changes. */
static moth_status take_all(loader *l, moth_model *model)
{
    MOTH_TRY(take_round(l, model, false));
    if (l->optimizer && l->used != moth_tensor_file_count(l->file)) {
        return fail(l, "holds tensors that are no state of %s", moth_spec_name(l->optimizer->config));
    }
    return take_round(l, model, true);
}

/* Which tensors of the file a variable of the model is called like. */
typedef struct marks {
    const moth_tensor_file *file;
    bool *wanted;
} marks;

static moth_status mark_variable(void *user, moth_layer *layer, moth_variable *variable, const char *path)
{
    const marks *m = user;
    (void)layer;
    (void)variable;
    int64_t i = moth_tensor_file_index(m->file, path);
    if (i >= 0) {
        m->wanted[i] = true;
    }
    return MOTH_OK;
}

/* A tensor that no layer asked for means another model. */
static moth_status check_unused(const loader *l, moth_model *model)
{
    int64_t n = moth_tensor_file_count(l->file);
    marks m = { l->file, moth_calloc((size_t)n + 1) };
    if (!m.wanted) {
        return moth_fail_memory(l->ctx, n + 1);
    }
    moth_status status = moth_model_each_variable(model, mark_variable, &m);
    for (int64_t i = 0; i < n && status == MOTH_OK; i++) {
        const char *name = moth_tensor_file_name(l->file, i);
        if (!m.wanted[i] && strncmp(name, "optimizer/", 10) != 0) {
            status = fail(l, "tensor '%.400s' belongs to no layer of the model", name);
        }
    }
    moth_free(m.wanted);
    return status;
}

static moth_status open_file(loader *l, const char *path)
{
    l->path = path;
    MOTH_TRY(moth_io_safetensors_read(l->ctx, path, &l->file));
    const char *format = moth_tensor_file_get_metadata(l->file, "format");
    const char *version = moth_tensor_file_get_metadata(l->file, "format_version");
    if (!format || strcmp(format, "moth") != 0 || !version) {
        return fail(l, "is no model of moth: its metadata say format '%.40s'", format ? format : "nothing");
    }
    char *end;
    long number = strtol(version, &end, 10);
    if (*version < '0' || *version > '9' || *end) {
        return fail(l, "format_version: expected a number, got '%.40s'", version);
    }
    if (number > MOTH_MODEL_FORMAT_VERSION) {
        return fail(l, "was written by a newer moth (format %.20s); this is moth %s", version, MOTH_VERSION_STRING);
    }
    return MOTH_OK;
}

static moth_status parse(const loader *l, const char *key, moth_value **out)
{
    const char *text = moth_tensor_file_get_metadata(l->file, key);
    char what[512];
    if (!text) {
        return fail(l, "metadata '%s' is missing; it holds weights only", key);
    }
    snprintf(what, sizeof what, "%.400s: %s", l->path, key);
    return moth_io_json_parse(l->ctx, what, text, strlen(text), out);
}

/* The counters of training; the optimizer is the model's own. Looked at first, taken when nothing can fail any more. */
typedef struct counters {
    int64_t iterations;
    double rate; /* NaN: by the schedule */
} counters;

static moth_status read_counters(const loader *l, const moth_value *training, counters *out)
{
    const moth_value *iterations = moth_value_get(training, "iterations"), *rate = moth_value_get(training, "rate");
    *out = (counters){ moth_value_as_int(iterations), NAN };
    if (moth_value_kind_of(iterations) != MOTH_INT || out->iterations < 0 || out->iterations > MAX_ITERATIONS) {
        return fail(l, "training: iterations: expected a number from 0 to 2^53");
    }
    if (moth_value_kind_of(rate) != MOTH_NIL) {
        out->rate = moth_value_as_number(rate);
        if (!(out->rate >= 0 && out->rate < MOTH_NO_LIMIT)) {
            return fail(l, "training: rate: expected a number from 0, got %g", out->rate);
        }
    }
    return MOTH_OK;
}

static void take_counters(moth_optimizer *o, const counters *c)
{
    o->iterations = c->iterations;
    o->rate = c->rate == c->rate ? c->rate : o->rate;
}

/* compile's options as the file has them: each is checked again as if it were given. */
static moth_status restore_compiled(loader *l, moth_model *model, const moth_value *training)
{
    const moth_value *spec = moth_value_get(training, "optimizer"), *options = moth_value_get(training, "options");
    if (moth_value_kind_of(options) != MOTH_MAP) {
        return MOTH_OK;
    }
    if (moth_value_kind_of(spec) != MOTH_NIL) {
        MOTH_TRY(moth_optimizer_new(l->ctx, spec, &l->optimizer));
    }
    MOTH_TRY(moth_trainer_compile(model, options, l->optimizer));
    if (l->optimizer) {
        counters c;
        MOTH_TRY(read_counters(l, training, &c));
        take_counters(l->optimizer, &c);
    }
    return MOTH_OK;
}

static moth_status restore_training(loader *l, moth_model *model, bool compile)
{
    moth_value *training = NULL;
    moth_trainer *t;
    MOTH_TRY(parse(l, "training", &training));
    moth_status status = moth_trainer_of(model, &t);
    const moth_value *scale = moth_value_get(training, "input_scale");
    if (status == MOTH_OK && moth_value_kind_of(scale) != MOTH_NIL) {
        t->input_scale = moth_value_as_number(scale);
        t->scale_given = moth_config_bool(training, "input_scale_given");
        if (!(t->input_scale > 0 && t->input_scale < MOTH_NO_LIMIT)) {
            status = fail(l, "training: input_scale must be a number above 0");
        }
    }
    if (status == MOTH_OK && compile && model->built) {
        status = restore_compiled(l, model, training);
        if (status != MOTH_OK) {
            moth_fail_prefix(l->ctx, "%s: training", l->path);
        }
    }
    moth_value_free(training);
    return status;
}

/* The layers, whose weights must fit into what the file holds before they are made. */
static moth_status make_model(loader *l, const moth_value *architecture, moth_layer_maker make, void *user,
                              moth_model **out)
{
    int64_t left = 0;
    for (int64_t i = 0; i < moth_tensor_file_count(l->file); i++) {
        left += moth_meta_elements(&moth_tensor_file_tensor(l->file, i)->meta);
    }
    l->ctx->weights_left = &left;
    moth_status status = moth_model_from_value(l->ctx, architecture, false, make, user, out);
    l->ctx->weights_left = NULL;
    return status;
}

static moth_status load(loader *l, const char *path, bool compile, moth_layer_maker make, void *user, moth_model **out)
{
    moth_value *architecture = NULL;
    MOTH_TRY(open_file(l, path));
    MOTH_TRY(parse(l, "model", &architecture));
    moth_status status = make_model(l, architecture, make, user, out);
    moth_value_free(architecture);
    if (status != MOTH_OK) {
        return status == MOTH_ERR_CALLBACK ? status : moth_fail_prefix(l->ctx, "%s", path);
    }
    MOTH_TRY(restore_training(l, *out, compile));
    MOTH_TRY(check_unused(l, *out));
    return take_all(l, *out);
}

moth_status moth_checkpoint_load(moth_ctx *ctx, const char *path, bool compile, moth_layer_maker make, void *user,
                                 moth_model **out)
{
    loader l = { .ctx = ctx };
    moth_model *model = NULL;
    moth_status status = load(&l, path, compile, make, user, &model);
    moth_tensor_file_free(l.file);
    moth_optimizer_release(l.optimizer);
    if (status != MOTH_OK) {
        moth_model_release(model);
        return status;
    }
    *out = model;
    return MOTH_OK;
}

moth_status moth_checkpoint_load_weights(moth_model *model, const char *path)
{
    loader l = { .ctx = model->ctx };
    if (!model->built) {
        return moth_fail(model->ctx, MOTH_ERR_STATE,
                         "load_weights: the shape of the input is not known yet; give the first layer input_shape");
    }
    moth_status status = open_file(&l, path);
    if (status == MOTH_OK) {
        status = check_unused(&l, model);
    }
    if (status == MOTH_OK) {
        status = take_all(&l, model);
    }
    moth_tensor_file_free(l.file);
    return status;
}

static moth_status resume(loader *l, moth_model *model)
{
    moth_value *architecture = NULL, *training = NULL;
    counters c = { 0 };
    moth_status status = parse(l, "model", &architecture);
    if (status == MOTH_OK) {
        status = parse(l, "training", &training);
    }
    if (status == MOTH_OK) {
        status = take_round(l, model, false);
    }
    if (status == MOTH_OK && l->used != moth_tensor_file_count(l->file)) {
        status = fail(l, "was saved with another optimizer");
    }
    if (status == MOTH_OK) {
        status = read_counters(l, training, &c);
    }
    if (status == MOTH_OK && moth_model_adopt(model, architecture) != MOTH_OK) {
        status = moth_fail_prefix(l->ctx, "%s", l->path);
    }
    if (status == MOTH_OK) {
        take_counters(l->optimizer, &c);
        status = take_round(l, model, true);
    }
    moth_value_free(architecture);
    moth_value_free(training);
    return status;
}

moth_status moth_checkpoint_resume(moth_model *model, const char *path)
{
    loader l = { .ctx = model->ctx };
    moth_trainer *trainer;
    MOTH_TRY(moth_model_compiled(model, true, &trainer));
    l.optimizer = trainer->optimizer;
    moth_status status = open_file(&l, path);
    if (status == MOTH_OK) {
        status = check_unused(&l, model);
    }
    if (status == MOTH_OK) {
        status = resume(&l, model);
        moth_trainer_forget(trainer); /* slots may have been made */
    }
    moth_tensor_file_free(l.file);
    return status;
}

moth_status moth_checkpoint_from_json(moth_ctx *ctx, const char *text, moth_layer_maker make, void *user,
                                      moth_model **out)
{
    moth_value *value = NULL;
    MOTH_TRY(moth_io_json_parse(ctx, "model", text, strlen(text), &value));
    moth_status status = moth_model_from_value(ctx, value, true, make, user, out);
    moth_value_free(value);
    return status;
}
