/* moth.h: compile, and single passes over data. fit is in fit.c. */
#include <math.h>

#include "api/pass.h"

/* ---- compile ---- */

static const moth_option compile_options[] = {
    { .name = "optimizer", .kind = MOTH_OPTION_ANY, .fallback = "RMSprop" },
    { .name = "loss", .kind = MOTH_OPTION_ANY, .fallback = MOTH_REQUIRED },
    { .name = "loss_weights", .kind = MOTH_OPTION_ANY },
    { .name = "metrics", .kind = MOTH_OPTION_ANY },
    { .name = "input_scale", .kind = MOTH_OPTION_ANY },
    MOTH_OPTIONS_END,
};

static moth_status compile(moth_model *model, const moth_value *options)
{
    moth_optimizer *optimizer = NULL;
    const moth_value *spec = moth_value_get(options, "optimizer");
    if (moth_value_kind_of(spec) != MOTH_NIL && moth_optimizer_new(model->ctx, spec, &optimizer) != MOTH_OK) {
        return moth_fail_prefix(model->ctx, "compile");
    }
    moth_status status = moth_trainer_compile(model, options, optimizer);
    moth_optimizer_release(optimizer);
    return status;
}

moth_status moth_model_compile(moth_ctx *ctx, moth_model *model, const char *options)
{
    moth_value *read;
    MOTH_NEED_MODEL(ctx, model);
    MOTH_TRY(moth_api_options(ctx, "compile", compile_options, options, &read));
    moth_status status = compile(model, read);
    moth_value_free(read);
    return status;
}

static const moth_trainer *compiled(const moth_model *model)
{
    const moth_trainer *t = model ? model->trainer : NULL;
    return t && t->options ? t : NULL;
}

int moth_model_metric_count(const moth_model *model)
{
    const moth_trainer *t = compiled(model);
    return t ? t->n_measures : 0;
}

const char *moth_model_metric_name(const moth_model *model, int k)
{
    return k >= 0 && k < moth_model_metric_count(model) ? compiled(model)->measures[k].name : NULL;
}

double moth_model_learning_rate(const moth_model *model)
{
    const moth_trainer *t = compiled(model);
    return t && t->optimizer ? moth_optimizer_rate(t->optimizer) : NAN;
}

moth_status moth_model_set_learning_rate(moth_ctx *ctx, moth_model *model, double rate)
{
    moth_trainer *t;
    MOTH_NEED_MODEL(ctx, model);
    MOTH_TRY(moth_model_compiled(model, true, &t));
    return moth_optimizer_set_rate(t->optimizer, rate);
}

/* ---- passes ---- */

static moth_status check_tensors(moth_ctx *ctx, const char *what, const char *name, int n, moth_tensor *const *list)
{
    if (n < 1 || !list) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: no tensor is given as %s", what, name);
    }
    for (int k = 0; k < n; k++) {
        if (!list[k]) {
            return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: tensor %d of %s is NULL", what, k + 1, name);
        }
    }
    return MOTH_OK;
}

moth_status moth_api_data(moth_ctx *ctx, const char *what, const moth_samples *given, bool labelled, moth_data *data,
                          int64_t *samples)
{
    *data = (moth_data){ .n_x = given->n_x, .x = given->x };
    MOTH_TRY(check_tensors(ctx, what, "x", given->n_x, given->x));
    if (labelled) {
        MOTH_TRY(check_tensors(ctx, what, "y", given->n_y, given->y));
        data->n_y = given->n_y;
        data->y = given->y;
        data->weight = given->weight;
    }
    *samples = moth_tensor_dim(given->x[0], 0);
    if (*samples < 1 || *samples > INT32_MAX) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: expected 1 to 2^31 - 1 samples, got %lld", what,
                         (long long)*samples);
    }
    return MOTH_OK;
}

moth_status moth_api_pass(moth_trainer *trainer, moth_mode mode, const moth_data *data, const moth_batches *batches)
{
    moth_loop loop;
    int64_t left;
    MOTH_TRY(moth_loop_open(&loop, trainer, mode, data, batches->size, batches->first, batches->count, batches->order));
    moth_status status = moth_loop_run(&loop, INT64_MAX, &left);
    for (int k = 0; status == MOTH_OK && k < loop.n_results; k++) {
        batches->results[k] = moth_tensor_retain(loop.results[k]);
    }
    moth_loop_close(&loop);
    return status;
}

int64_t moth_api_steps(const moth_value *options, const char *name, int64_t batch_size, int64_t samples)
{
    int64_t steps = moth_config_has(options, name) ? moth_config_int(options, name) : INT64_MAX;
    return steps <= samples / batch_size ? steps * batch_size : samples;
}

double moth_api_value(const moth_trainer *trainer, int k)
{
    const moth_measure *m = &trainer->measures[k];
    return m->type && m->type->matrix ? NAN : moth_trainer_value(trainer, k);
}

/* ---- evaluate, predict, train_on_batch ---- */

static const moth_option evaluate_options[] = {
    { .name = "batch_size", .kind = MOTH_OPTION_INT, .fallback = "32", .low = 1, .high = MOTH_NO_LIMIT },
    { .name = "steps", .kind = MOTH_OPTION_INT, .low = 1, .high = MOTH_NO_LIMIT },
    MOTH_OPTIONS_END,
};

static const moth_option predict_options[] = {
    { .name = "batch_size", .kind = MOTH_OPTION_INT, .fallback = "32", .low = 1, .high = MOTH_NO_LIMIT },
    MOTH_OPTIONS_END,
};

static moth_status check_values(const moth_trainer *t, const char *what, int count, const double *values)
{
    if (count != t->n_measures) {
        return moth_fail(t->model->ctx, MOTH_ERR_ARGUMENT, "%s: there are %d values, room for %d given", what,
                         t->n_measures, count);
    }
    return values ? MOTH_OK : moth_fail_null(t->model->ctx, what, "values");
}

static moth_status measure(moth_trainer *t, moth_mode mode, const moth_data *data, const moth_batches *batches,
                           double *values)
{
    MOTH_TRY(moth_api_answer(t->model->ctx, moth_api_pass(t, mode, data, batches)));
    for (int k = 0; k < t->n_measures; k++) {
        values[k] = moth_api_value(t, k);
    }
    return MOTH_OK;
}

moth_status moth_model_evaluate(moth_ctx *ctx, moth_model *model, const moth_samples *data, const char *options,
                                int count, double *values)
{
    moth_trainer *t;
    moth_value *read;
    moth_data taken;
    moth_batches batches = { 0 };
    MOTH_NEED_MODEL(ctx, model);
    MOTH_NEED(ctx, data);
    MOTH_TRY(moth_model_compiled(model, false, &t));
    MOTH_TRY(check_values(t, "evaluate", count, values));
    MOTH_TRY(moth_api_data(ctx, "evaluate", data, true, &taken, &batches.count));
    MOTH_TRY(moth_api_options(ctx, "evaluate", evaluate_options, options, &read));
    batches.size = moth_config_int(read, "batch_size");
    batches.count = moth_api_steps(read, "steps", batches.size, batches.count);
    moth_value_free(read);
    return measure(t, MOTH_EVALUATE, &taken, &batches, values);
}

moth_status moth_model_train_on_batch(moth_ctx *ctx, moth_model *model, const moth_samples *data, int count,
                                      double *values)
{
    moth_trainer *t;
    moth_data taken;
    moth_batches batches = { 0 };
    MOTH_NEED_MODEL(ctx, model);
    MOTH_NEED(ctx, data);
    MOTH_TRY(moth_model_compiled(model, true, &t));
    MOTH_TRY(check_values(t, "train_on_batch", count, values));
    MOTH_TRY(moth_api_data(ctx, "train_on_batch", data, true, &taken, &batches.count));
    batches.size = batches.count;
    return measure(t, MOTH_TRAIN, &taken, &batches, values);
}

moth_status moth_model_predict(moth_ctx *ctx, moth_model *model, const moth_samples *data, const char *options,
                               int count, moth_tensor **out)
{
    moth_trainer *t;
    moth_value *read;
    moth_data taken;
    moth_batches batches = { .results = out };
    MOTH_NEED_MODEL(ctx, model);
    MOTH_NEED(ctx, data);
    MOTH_NEED(ctx, out);
    if (count != (model->built ? model->n_outputs : 1)) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "predict: the model has %d outputs, room for %d given",
                         model->built ? model->n_outputs : 1, count);
    }
    MOTH_TRY(moth_trainer_of(model, &t));
    MOTH_TRY(moth_api_data(ctx, "predict", data, false, &taken, &batches.count));
    MOTH_TRY(moth_api_options(ctx, "predict", predict_options, options, &read));
    batches.size = moth_config_int(read, "batch_size");
    moth_value_free(read);
    return moth_api_answer(ctx, moth_api_pass(t, MOTH_PREDICT, &taken, &batches));
}
