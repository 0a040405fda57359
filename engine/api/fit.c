/* moth.h: fit. Epochs of training and validation; what happens in an epoch is train/loop.c, which Lua's fit runs too,
 * so both give the same bits. Lua's loop around it calls Lua's callbacks and is in bindings/moth/model.lua. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/pass.h"

/* Names, defaults and bounds are those of Lua's fit. */
static const moth_option fit_options[] = {
    { .name = "batch_size", .kind = MOTH_OPTION_INT, .fallback = "32", .low = 1, .high = MOTH_NO_LIMIT },
    { .name = "epochs", .kind = MOTH_OPTION_INT, .fallback = "1", .low = 0, .high = MOTH_NO_LIMIT },
    { .name = "validation_split", .kind = MOTH_OPTION_NUMBER, .fallback = "0", .low = 0, .high = 1 },
    { .name = "validation_batch_size", .kind = MOTH_OPTION_INT, .low = 1, .high = MOTH_NO_LIMIT },
    { .name = "validation_freq", .kind = MOTH_OPTION_INT, .fallback = "1", .low = 1, .high = MOTH_NO_LIMIT },
    { .name = "validation_steps", .kind = MOTH_OPTION_INT, .low = 1, .high = MOTH_NO_LIMIT },
    { .name = "shuffle", .kind = MOTH_OPTION_BOOL, .fallback = "true" },
    { .name = "class_weight", .kind = MOTH_OPTION_ANY },
    { .name = "initial_epoch", .kind = MOTH_OPTION_INT, .fallback = "0", .low = 0, .high = MOTH_NO_LIMIT },
    { .name = "steps_per_epoch", .kind = MOTH_OPTION_INT, .low = 1, .high = MOTH_NO_LIMIT },
    { .name = "nan", .kind = MOTH_OPTION_STRING, .fallback = "stop", .choices = "stop continue" },
    MOTH_OPTIONS_END,
};

typedef struct fit {
    moth_ctx *ctx;
    moth_model *model;
    moth_value *options;
    moth_data train, validation;
    int64_t samples;   /* that train, the first of train's */
    moth_batches held; /* those that validate */
    bool validates;
    moth_tensor *class_weight; /* a weight for each sample; NULL: none */
    int64_t at;                /* samples of this round that are done */
    moth_tensor *order;        /* of this round; NULL: as they lie */
    int n_logs;
    char **names; /* of this epoch's logs */
    double *values;
} fit;

static void fit_clear(fit *f)
{
    for (int k = 0; k < f->n_logs; k++) {
        moth_free(f->names[k]);
    }
    f->n_logs = 0;
}

static void fit_close(fit *f)
{
    fit_clear(f);
    moth_free(f->names);
    moth_free(f->values);
    moth_tensor_release(f->class_weight);
    moth_tensor_release(f->order);
    moth_value_free(f->options);
    moth_model_release(f->model);
}

/* ---- data ---- */

/* The last part of the data is held back. */
static moth_status hold_back(fit *f, double share)
{
    int64_t n = f->samples, at = (int64_t)floor((double)n * (1 - share));
    if (at == 0 || at == n) {
        return moth_fail(f->ctx, MOTH_ERR_ARGUMENT,
                         "fit: validation_split %g leaves %lld of %lld samples for training and %lld for validation",
                         share, (long long)at, (long long)n, (long long)(n - at));
    }
    f->samples = at;
    f->validation = f->train;
    f->held.first = at;
    f->held.count = n - at;
    f->validates = true;
    return MOTH_OK;
}

static moth_status read_validation(fit *f, const moth_samples *given)
{
    double share = moth_config_number(f->options, "validation_split");
    if (given) {
        f->validates = true;
        MOTH_TRY(moth_api_data(f->ctx, "fit: validation", given, true, &f->validation, &f->held.count));
    } else if (share > 0) {
        MOTH_TRY(hold_back(f, share));
    }
    bool own = moth_config_has(f->options, "validation_batch_size");
    f->held.size = moth_config_int(f->options, own ? "validation_batch_size" : "batch_size");
    f->held.count = moth_api_steps(f->options, "validation_steps", f->held.size, f->held.count);
    return MOTH_OK;
}

/* Class weights count in training only, as in Keras. */
static moth_status read_class_weight(fit *f)
{
    const moth_value *weights = moth_value_get(f->options, "class_weight");
    if (moth_value_kind_of(weights) == MOTH_NIL) {
        return MOTH_OK;
    }
    bool fine = moth_value_kind_of(weights) == MOTH_MAP && f->train.n_y == 1;
    for (int64_t i = 0; fine && i < moth_value_count(weights); i++) {
        moth_value_kind kind = moth_value_kind_of(moth_value_item(weights, i));
        fine = kind == MOTH_INT || kind == MOTH_NUMBER;
    }
    if (!fine || f->train.weight) {
        return moth_fail(f->ctx, MOTH_ERR_ARGUMENT,
                         "fit: class_weight must be {\"class\":weight}, for one output and without sample weights");
    }
    MOTH_TRY(moth_class_weights(f->ctx, f->train.y[0], weights, &f->class_weight));
    f->train.weight = &f->class_weight;
    return MOTH_OK;
}

/* What does not fit is told before the first epoch, not after it. */
static moth_status try_validation(fit *f)
{
    moth_loop loop;
    moth_trainer *t;
    if (!f->validates) {
        return MOTH_OK;
    }
    MOTH_TRY(moth_model_compiled(f->model, true, &t));
    MOTH_TRY(moth_loop_open(&loop, t, MOTH_EVALUATE, &f->validation, 1, f->held.first, f->held.count, NULL));
    moth_loop_close(&loop);
    return MOTH_OK;
}

static moth_status prepare(fit *f, const moth_samples *data, const moth_samples *validation, const char *options)
{
    moth_trainer *t;
    MOTH_TRY(moth_model_compiled(f->model, true, &t));
    MOTH_TRY(moth_api_options(f->ctx, "fit", fit_options, options, &f->options));
    MOTH_TRY(moth_api_data(f->ctx, "fit", data, true, &f->train, &f->samples));
    MOTH_TRY(read_validation(f, validation));
    MOTH_TRY(read_class_weight(f));
    MOTH_TRY(try_validation(f));
    t->ignore_nonfinite = strcmp(moth_config_string(f->options, "nan"), "continue") == 0;
    if (!f->ctx->seeded) {
        moth_log(f->ctx, "the seed is %llu; moth_seed with it gives the same run", (unsigned long long)f->model->seed);
    }
    return MOTH_OK;
}

/* ---- logs ---- */

static moth_status add_log(fit *f, const char *prefix, const char *name, double value)
{
    char text[256];
    snprintf(text, sizeof text, "%s%s", prefix, name);
    f->names[f->n_logs] = moth_strdup(text);
    if (!f->names[f->n_logs]) {
        return moth_fail_memory(f->ctx, (int64_t)sizeof text);
    }
    f->values[f->n_logs++] = value;
    return MOTH_OK;
}

static moth_status add_logs(fit *f, const moth_trainer *t, const char *prefix)
{
    size_t room = (size_t)f->n_logs + (size_t)t->n_measures;
    char **names = moth_realloc(f->names, room * sizeof *names);
    f->names = names ? names : f->names;
    double *values = names ? moth_realloc(f->values, room * sizeof *values) : NULL;
    if (!values) {
        return moth_fail_memory(f->ctx, (int64_t)(room * sizeof *values));
    }
    f->values = values;
    for (int k = 0; k < t->n_measures; k++) {
        MOTH_TRY(add_log(f, prefix, t->measures[k].name, moth_api_value(t, k)));
    }
    return MOTH_OK;
}

/* ---- epochs ---- */

/* With steps_per_epoch an epoch goes on where the one before stopped, and starts anew when no sample is left, as in
 * Keras. */
static moth_status next_samples(fit *f, moth_trainer *t, moth_batches *batches)
{
    batches->size = moth_config_int(f->options, "batch_size");
    batches->count = moth_api_steps(f->options, "steps_per_epoch", batches->size, f->samples - f->at);
    batches->first = f->at;
    if (moth_config_bool(f->options, "shuffle") && f->at == 0) {
        moth_tensor_release(f->order);
        f->order = NULL;
        MOTH_TRY(moth_trainer_shuffle(t, f->samples, &f->order));
    }
    if (f->order) { /* a view of those that come now */
        f->order->meta.offset = f->at;
        f->order->meta.shape[0] = batches->count;
    }
    batches->order = f->order;
    f->at = (f->at + batches->count) % f->samples;
    return MOTH_OK;
}

static moth_status train_epoch(fit *f, moth_trainer *t)
{
    moth_batches batches = { 0 };
    MOTH_TRY(next_samples(f, t, &batches));
    MOTH_TRY(moth_api_pass(t, MOTH_TRAIN, &f->train, &batches));
    return add_logs(f, t, "");
}

static moth_status run_epoch(fit *f, int64_t number)
{
    moth_trainer *t; /* anew each time: the callback may have compiled */
    fit_clear(f);
    MOTH_TRY(moth_model_compiled(f->model, true, &t));
    MOTH_TRY(train_epoch(f, t));
    int64_t done = number - moth_config_int(f->options, "initial_epoch");
    if (!f->validates || done % moth_config_int(f->options, "validation_freq") != 0) {
        return MOTH_OK;
    }
    MOTH_TRY(moth_api_pass(t, MOTH_EVALUATE, &f->validation, &f->held));
    return add_logs(f, t, "val_");
}

static moth_status run_epochs(fit *f, moth_epoch_fn on_epoch, void *user)
{
    int64_t epochs = moth_config_int(f->options, "epochs");
    for (int64_t number = moth_config_int(f->options, "initial_epoch") + 1; number <= epochs; number++) {
        MOTH_TRY(run_epoch(f, number));
        moth_epoch epoch = { .epoch = number,
                             .epochs = epochs,
                             .count = f->n_logs,
                             .names = (const char *const *)f->names,
                             .values = f->values };
        if (on_epoch && !on_epoch(user, &epoch)) {
            break;
        }
    }
    return MOTH_OK;
}

moth_status moth_model_fit(moth_ctx *ctx, moth_model *model, const moth_samples *data, const moth_samples *validation,
                           const char *options, moth_epoch_fn on_epoch, void *user)
{
    MOTH_NEED_MODEL(ctx, model);
    MOTH_NEED(ctx, data);
    fit f = { .ctx = ctx, .model = moth_model_retain(model) };
    moth_status status = prepare(&f, data, validation, options);
    if (status == MOTH_OK) {
        status = run_epochs(&f, on_epoch, user);
    }
    fit_close(&f);
    return moth_api_answer(ctx, status);
}
