/* Writing model files (see checkpoint.h): visits of the variables fill a file in memory, which is written at the end.
 */
#include <stdio.h>

#include "core/memory.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "train/checkpoint.h"

/* A file on its way; visits add to it. */
typedef struct writer {
    moth_ctx *ctx;
    moth_tensor_file *file;
    moth_optimizer *optimizer; /* NULL: weights only */
} writer;

static moth_status add_slots(writer *w, moth_tensor *parameter, const char *path)
{
    for (int i = 0; w->optimizer && i < w->optimizer->n_slots; i++) {
        const moth_slots *s = &w->optimizer->slots[i];
        for (int k = 0; s->parameter == parameter && k < MOTH_MAX_SLOTS; k++) {
            char name[MOTH_CHECKPOINT_NAME];
            if (s->slot[k]) {
                snprintf(name, sizeof name, "optimizer/%s/%s", path, moth_optimizer_slot_name(w->optimizer, k));
                MOTH_TRY(moth_tensor_file_add(w->ctx, w->file, name, s->slot[k]));
            }
        }
    }
    return MOTH_OK;
}

static moth_status add_variable(void *user, moth_layer *layer, moth_variable *variable, const char *path)
{
    writer *w = user;
    (void)layer;
    MOTH_TRY(moth_tensor_file_add(w->ctx, w->file, path, variable->tensor));
    return add_slots(w, variable->tensor, path);
}

/* The value as text that ends with NUL, in a buffer for the caller to free, also after a failure. */
static moth_status json_text(moth_ctx *ctx, const moth_value *value, int indent, moth_buffer *text)
{
    MOTH_TRY(moth_io_json_text(ctx, value, indent, text));
    moth_buffer_add(text, "", 1);
    return text->failed ? moth_fail_memory(ctx, (int64_t)text->size) : MOTH_OK;
}

static moth_status set_json(writer *w, const char *key, const moth_value *value)
{
    moth_buffer text = { 0 };
    moth_status status = json_text(w->ctx, value, 0, &text);
    if (status == MOTH_OK) {
        status = moth_tensor_file_set_metadata(w->ctx, w->file, key, text.data);
    }
    moth_buffer_free(&text);
    return status;
}

static moth_status set_head(writer *w)
{
    char version[16];
    snprintf(version, sizeof version, "%d", MOTH_MODEL_FORMAT_VERSION);
    MOTH_TRY(moth_tensor_file_set_metadata(w->ctx, w->file, "format", "moth"));
    MOTH_TRY(moth_tensor_file_set_metadata(w->ctx, w->file, "format_version", version));
    return moth_tensor_file_set_metadata(w->ctx, w->file, "moth_version", MOTH_VERSION_STRING);
}

/* What compile was given; without it where a part of it is a function, which is said. */
static bool set_compiled(moth_ctx *ctx, const moth_trainer *t, moth_value *map)
{
    if (!t->options || moth_value_holds_function(t->options)) {
        if (t->options) {
            moth_log(ctx,
                     "save: a loss or metric is a function, which a file cannot hold; compile again after loading");
        }
        return true;
    }
    bool kept = moth_value_set(map, "options", moth_value_clone(t->options));
    if (t->optimizer) {
        const moth_optimizer *o = t->optimizer;
        kept = kept && moth_value_set(map, "optimizer", moth_value_clone(o->config)) &&
               moth_value_set(map, "iterations", moth_value_int(o->iterations)) &&
               moth_value_set(map, "rate", o->rate == o->rate ? moth_value_number(o->rate) : moth_value_nil());
    }
    return kept;
}

static moth_status set_training(writer *w, const moth_model *model)
{
    const moth_trainer *t = model->trainer;
    moth_value *map = moth_value_map();
    bool kept = map != NULL;
    if (t) {
        kept = kept && moth_value_set(map, "input_scale", moth_value_number(t->input_scale)) &&
               moth_value_set(map, "input_scale_given", moth_value_bool(t->scale_given)) &&
               set_compiled(w->ctx, t, map);
    }
    moth_status status = kept ? set_json(w, "training", map) : moth_fail_memory(w->ctx, 64);
    moth_value_free(map);
    return status;
}

static moth_status set_architecture(writer *w, moth_model *model)
{
    moth_value *value = NULL;
    MOTH_TRY(moth_model_to_value(model, &value));
    moth_status status = set_json(w, "model", value);
    moth_value_free(value);
    return status;
}

static moth_status save(moth_model *model, const char *path, bool whole)
{
    const moth_trainer *t = model->trainer;
    writer w = { .ctx = model->ctx };
    MOTH_TRY(moth_tensor_file_new(w.ctx, &w.file));
    w.optimizer = whole && t ? t->optimizer : NULL;
    moth_status status = set_head(&w);
    if (status == MOTH_OK && whole) {
        status = set_architecture(&w, model);
    }
    if (status == MOTH_OK && whole) {
        status = set_training(&w, model);
    }
    if (status == MOTH_OK) {
        status = moth_model_each_variable(model, add_variable, &w);
    }
    if (status == MOTH_OK) {
        status = moth_io_safetensors_write(w.ctx, path, w.file, true);
    }
    moth_tensor_file_free(w.file);
    return status;
}

moth_status moth_checkpoint_save(moth_model *model, const char *path)
{
    return save(model, path, true);
}

moth_status moth_checkpoint_save_weights(moth_model *model, const char *path)
{
    return save(model, path, false);
}

moth_status moth_checkpoint_to_json(moth_model *model, int indent, char **text)
{
    moth_value *value = NULL;
    moth_buffer buffer = { 0 };
    MOTH_TRY(moth_model_to_value(model, &value));
    moth_status status = json_text(model->ctx, value, indent, &buffer);
    moth_value_free(value);
    if (status == MOTH_OK) {
        *text = moth_strdup(buffer.data);
        status = *text ? MOTH_OK : moth_fail_memory(model->ctx, (int64_t)buffer.size);
    }
    moth_buffer_free(&buffer);
    return status;
}
