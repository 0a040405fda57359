/* moth.h: models, what they are made of, and their files. */
#include <string.h>

#include "api/api.h"
#include "train/checkpoint.h"

/* ---- making ---- */

moth_status moth_sequential_new(moth_ctx *ctx, const char *name, moth_model **out)
{
    MOTH_NEED(ctx, out);
    return moth_model_sequential(ctx, name, out);
}

moth_status moth_model_add(moth_ctx *ctx, moth_model *model, const char *type, const char *options)
{
    moth_value *given;
    moth_layer *layer = NULL;
    MOTH_NEED_MODEL(ctx, model);
    MOTH_NEED(ctx, type);
    MOTH_TRY(moth_api_object(ctx, type, options, &given));
    moth_status status = moth_layer_new(ctx, type, given, &layer);
    moth_value_free(given);
    if (status == MOTH_OK) {
        status = moth_model_add_layer(model, layer);
        moth_layer_release(layer);
    }
    return status;
}

moth_status moth_model_from_json(moth_ctx *ctx, const char *text, moth_model **out)
{
    MOTH_NEED(ctx, text);
    MOTH_NEED(ctx, out);
    return moth_checkpoint_from_json(ctx, text, NULL, NULL, out);
}

moth_status moth_model_to_json(moth_ctx *ctx, moth_model *model, int indent, char **out)
{
    MOTH_NEED_MODEL(ctx, model);
    MOTH_NEED(ctx, out);
    if (indent < 0 || indent > 16) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: indent: expected 0 to 16, got %d", __func__, indent);
    }
    return moth_checkpoint_to_json(model, indent, out);
}

moth_status moth_model_reset(moth_ctx *ctx, moth_model *model, uint64_t seed)
{
    MOTH_NEED_MODEL(ctx, model);
    return moth_trainer_reset(model, seed);
}

/* ---- what it is made of ---- */

int moth_model_inputs(const moth_model *model)
{
    return model ? model->n_inputs : 0;
}

int moth_model_outputs(const moth_model *model)
{
    return model ? model->n_outputs : 0;
}

static moth_status copy_shape(moth_ctx *ctx, const char *function, const moth_model *model, moth_symbol *const *ends,
                              int n, int k, int *rank, int64_t *shape)
{
    if (!model->built) {
        return moth_fail(ctx, MOTH_ERR_STATE, "%s: the shape of the input is not known yet", function);
    }
    if (k < 0 || k >= n) {
        return moth_fail(ctx, MOTH_ERR_INDEX, "%s: expected 0 to %d, got %d", function, n - 1, k);
    }
    const moth_meta *m = moth_symbol_meta(ends[k]);
    *rank = m->rank - 1;
    memcpy(shape, m->shape + 1, (size_t)*rank * sizeof *shape);
    return MOTH_OK;
}

moth_status moth_model_input_shape(moth_ctx *ctx, const moth_model *model, int k, int *rank, int64_t *shape)
{
    MOTH_NEED_MODEL(ctx, model);
    MOTH_NEED(ctx, rank);
    MOTH_NEED(ctx, shape);
    return copy_shape(ctx, __func__, model, model->inputs, model->n_inputs, k, rank, shape);
}

moth_status moth_model_output_shape(moth_ctx *ctx, const moth_model *model, int k, int *rank, int64_t *shape)
{
    MOTH_NEED_MODEL(ctx, model);
    MOTH_NEED(ctx, rank);
    MOTH_NEED(ctx, shape);
    return copy_shape(ctx, __func__, model, model->outputs, model->n_outputs, k, rank, shape);
}

/* ---- weights ---- */

/* A walk over the variables. */
typedef struct weights {
    moth_ctx *ctx;
    const char *function;
    int count;
    int64_t total, trainable;
    moth_tensor **copies;       /* where they go; NULL: nowhere */
    moth_tensor *const *values; /* what is checked, or taken when fill is set */
    bool fill;
} weights;

static moth_status count_variable(void *user, moth_layer *layer, moth_variable *variable, const char *path)
{
    weights *w = user;
    int64_t n = moth_tensor_count(variable->tensor);
    (void)path;
    w->count++;
    w->total += n;
    w->trainable += variable->trainable && layer->trainable ? n : 0;
    return MOTH_OK;
}

static weights count_weights(const moth_model *model)
{
    weights w = { .count = 0 };
    if (model) {
        moth_model_each_variable((moth_model *)(uintptr_t)model, count_variable, &w); /* which changes nothing */
    }
    return w;
}

int64_t moth_model_count_params(const moth_model *model, int64_t *trainable)
{
    weights w = count_weights(model);
    if (trainable) {
        *trainable = w.trainable;
    }
    return w.total;
}

int moth_model_weight_count(const moth_model *model)
{
    return count_weights(model).count;
}

static moth_status check_count(moth_ctx *ctx, const char *function, const moth_model *model, int count)
{
    int want = moth_model_weight_count(model);
    return count == want ? MOTH_OK
                         : moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: the model has %d weights, got room for %d", function,
                                     want, count);
}

static moth_status copy_variable(void *user, moth_layer *layer, moth_variable *variable, const char *path)
{
    weights *w = user;
    (void)layer;
    (void)path;
    MOTH_TRY(moth_tensor_contiguous_copy(w->ctx, variable->tensor, &w->copies[w->count]));
    w->count++;
    return MOTH_OK;
}

moth_status moth_model_get_weights(moth_ctx *ctx, moth_model *model, int count, moth_tensor **out)
{
    weights w = { .ctx = ctx, .copies = out };
    MOTH_NEED_MODEL(ctx, model);
    MOTH_TRY(check_count(ctx, __func__, model, count));
    if (count > 0) {
        MOTH_NEED(ctx, out);
    }
    moth_status status = moth_model_each_variable(model, copy_variable, &w);
    while (status != MOTH_OK && w.count > 0) {
        moth_tensor_release(out[--w.count]);
        out[w.count] = NULL;
    }
    return status;
}

/* Everything is looked at before anything changes. */
static moth_status take_value(void *user, moth_layer *layer, moth_variable *variable, const char *path)
{
    weights *w = user;
    (void)layer;
    const moth_tensor *value = w->values[w->count++];
    if (w->fill) {
        return moth_tensor_copy_into(w->ctx, variable->tensor, value);
    }
    if (!value) {
        return moth_fail_null(w->ctx, w->function, path);
    }
    if (value->meta.dtype != MOTH_FLOAT32) {
        return moth_fail(w->ctx, MOTH_ERR_DTYPE, "%s: %s: expected float32, got %s", w->function, path,
                         moth_dtype_name(value->meta.dtype));
    }
    if (!moth_meta_same_shape(&value->meta, &variable->tensor->meta)) {
        char want[128], got[128];
        return moth_fail(w->ctx, MOTH_ERR_SHAPE, "%s: %s: expected shape %s, got %s", w->function, path,
                         moth_meta_text(&variable->tensor->meta, want, sizeof want),
                         moth_meta_text(&value->meta, got, sizeof got));
    }
    return MOTH_OK;
}

moth_status moth_model_set_weights(moth_ctx *ctx, moth_model *model, int count, moth_tensor *const *values)
{
    weights check = { .ctx = ctx, .function = __func__, .values = values }, fill = check;
    MOTH_NEED_MODEL(ctx, model);
    MOTH_TRY(check_count(ctx, __func__, model, count));
    if (count > 0) {
        MOTH_NEED(ctx, values);
    }
    fill.fill = true;
    MOTH_TRY(moth_model_each_variable(model, take_value, &check));
    return moth_model_each_variable(model, take_value, &fill);
}

/* ---- files ---- */

moth_status moth_model_save(moth_ctx *ctx, moth_model *model, const char *path)
{
    MOTH_NEED_MODEL(ctx, model);
    MOTH_NEED(ctx, path);
    return moth_api_answer(ctx, moth_checkpoint_save(model, path));
}

moth_status moth_model_load(moth_ctx *ctx, const char *path, bool compile, moth_model **out)
{
    MOTH_NEED(ctx, path);
    MOTH_NEED(ctx, out);
    return moth_api_answer(ctx, moth_checkpoint_load(ctx, path, compile, NULL, NULL, out));
}

moth_status moth_model_save_weights(moth_ctx *ctx, moth_model *model, const char *path)
{
    MOTH_NEED_MODEL(ctx, model);
    MOTH_NEED(ctx, path);
    return moth_api_answer(ctx, moth_checkpoint_save_weights(model, path));
}

moth_status moth_model_load_weights(moth_ctx *ctx, moth_model *model, const char *path)
{
    MOTH_NEED_MODEL(ctx, model);
    MOTH_NEED(ctx, path);
    return moth_api_answer(ctx, moth_checkpoint_load_weights(model, path));
}
