/* compile: which loss, which metrics, under which names; what was measured; the order and the weights of samples. */
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/random.h"
#include "train/program.h"

/* ---- life ---- */

void moth_trainer_forget(moth_trainer *t)
{
    for (int i = 0; i < t->n_programs; i++) {
        moth_program_free(t->programs[i]);
    }
    moth_free(t->programs);
    t->programs = NULL;
    t->n_programs = 0;
}

static void clear_compiled(moth_trainer *t)
{
    moth_trainer_forget(t);
    for (int k = 0; k < t->n_measures; k++) {
        moth_free(t->measures[k].name);
        moth_free(t->measures[k].states);
    }
    moth_free(t->measures);
    t->measures = NULL;
    t->n_measures = 0;
    memset(t->exact, 0, sizeof t->exact);
    moth_value_free(t->options);
    moth_optimizer_release(t->optimizer);
    t->options = NULL;
    t->optimizer = NULL;
}

static void trainer_free(void *trainer)
{
    moth_trainer *t = trainer;
    clear_compiled(t);
    moth_arena_free(&t->arena);
    moth_free(t);
}

moth_status moth_trainer_of(moth_model *model, moth_trainer **out)
{
    if (!model->trainer) {
        moth_trainer *t = moth_calloc(sizeof *t);
        if (!t) {
            return moth_fail_memory(model->ctx, (int64_t)sizeof *t);
        }
        t->model = model;
        t->input_scale = 1.0 / 255;
        model->trainer = t;
        model->free_trainer = trainer_free;
    }
    *out = model->trainer;
    return MOTH_OK;
}

moth_status moth_model_compiled(moth_model *model, bool training, moth_trainer **out)
{
    MOTH_TRY(moth_trainer_of(model, out));
    if (!(*out)->options || moth_value_count(moth_value_get((*out)->options, "loss")) == 0) {
        return moth_fail(model->ctx, MOTH_ERR_STATE,
                         "the model is not compiled: compile says by which loss it is measured");
    }
    if (training && !(*out)->optimizer) {
        return moth_fail(model->ctx, MOTH_ERR_STATE, "the model is compiled without an optimizer");
    }
    return MOTH_OK;
}

moth_status moth_trainer_idle(const moth_trainer *trainer, const char *what, bool between)
{
    if (trainer->tracing) {
        return moth_fail(trainer->model->ctx, MOTH_ERR_STATE, "%s: the model is just being traced", what);
    }
    if (trainer->measuring && !between) {
        return moth_fail(trainer->model->ctx, MOTH_ERR_STATE,
                         "%s: the model is in the middle of a pass over data; do it between epochs", what);
    }
    return MOTH_OK;
}

/* ---- options by output ---- */

static bool is_spec(const moth_value *v)
{
    moth_value_kind kind = moth_value_kind_of(v);
    return kind == MOTH_STRING || kind == MOTH_FUNCTION || kind == MOTH_INT || kind == MOTH_NUMBER ||
           (kind == MOTH_MAP && moth_value_get(v, "class"));
}

static moth_status check_names(moth_model *model, const char *option, const moth_value *map)
{
    for (int64_t i = 0; i < moth_value_count(map); i++) {
        bool known = false;
        for (int k = 0; k < model->n_outputs; k++) {
            known = known || strcmp(model->output_names[k], moth_value_key(map, i)) == 0;
        }
        if (!known) {
            return moth_fail(model->ctx, MOTH_ERR_ARGUMENT,
                             "compile: %s: the model has no output '%.60s'; its outputs begin with '%s'", option,
                             moth_value_key(map, i), model->output_names[0]);
        }
    }
    return MOTH_OK;
}

/* What `given` says for output k: one value for all, a list in the order of outputs, or a map by name. */
static moth_status for_output(moth_model *model, const char *option, const moth_value *given, int k, bool list_is_one,
                              const moth_value **out)
{
    *out = given;
    if (moth_value_kind_of(given) == MOTH_NIL || is_spec(given)) {
        return MOTH_OK;
    }
    if (moth_value_kind_of(given) == MOTH_MAP) {
        MOTH_TRY(check_names(model, option, given));
        *out = moth_value_get(given, model->output_names[k]);
        return MOTH_OK;
    }
    if (moth_value_kind_of(given) != MOTH_LIST) {
        return moth_fail(model->ctx, MOTH_ERR_ARGUMENT, "compile: %s must be a name, a table or a function", option);
    }
    if (list_is_one && moth_value_kind_of(moth_value_at(given, 0)) != MOTH_LIST) {
        return MOTH_OK; /* one list of metrics for every output */
    }
    if (moth_value_count(given) != model->n_outputs) {
        return moth_fail(model->ctx, MOTH_ERR_ARGUMENT, "compile: %s: %lld given for %d outputs", option,
                         (long long)moth_value_count(given), model->n_outputs);
    }
    *out = moth_value_at(given, k);
    return MOTH_OK;
}

static moth_status append(moth_ctx *ctx, moth_value *list, moth_value *item)
{
    return moth_value_append(list, item) ? MOTH_OK : moth_fail_memory(ctx, 32);
}

static moth_status normalize_losses(moth_model *model, const moth_value *given, moth_value *losses, moth_value *weights)
{
    for (int k = 0; k < model->n_outputs; k++) {
        const moth_value *loss, *weight;
        moth_value *spec = NULL;
        MOTH_TRY(for_output(model, "loss", moth_value_get(given, "loss"), k, false, &loss));
        MOTH_TRY(for_output(model, "loss_weights", moth_value_get(given, "loss_weights"), k, false, &weight));
        if (moth_value_kind_of(loss) == MOTH_NIL) {
            return moth_fail(model->ctx, MOTH_ERR_ARGUMENT, "compile: a loss is missing for output '%s'",
                             model->output_names[k]);
        }
        moth_value *plain = moth_value_clone(loss); /* the name is for those that are metrics */
        moth_value_remove(plain, "log_name");
        moth_status status =
            plain ? moth_spec_normalize(model->ctx, &moth_losses, plain, &spec) : moth_fail_memory(model->ctx, 64);
        moth_value_free(plain);
        if (status != MOTH_OK) {
            return moth_fail_prefix(model->ctx, "compile");
        }
        MOTH_TRY(append(model->ctx, losses, spec));
        moth_value_kind is = moth_value_kind_of(weight);
        double w = is == MOTH_NIL ? 1 : is == MOTH_INT || is == MOTH_NUMBER ? moth_value_as_number(weight) : NAN;
        if (!isfinite(w)) {
            return moth_fail(model->ctx, MOTH_ERR_ARGUMENT,
                             "compile: loss_weights: the weight of output '%s' must be a finite number",
                             model->output_names[k]);
        }
        MOTH_TRY(append(model->ctx, weights, moth_value_number(w)));
    }
    return MOTH_OK;
}

/* How logs call the metric: what the user wrote, kept beside the options. */
static moth_value *log_name_of(const moth_value *given)
{
    if (moth_value_kind_of(given) == MOTH_STRING) {
        bool short_form = strcmp(moth_value_as_string(given), "acc") == 0;
        return short_form ? moth_value_string("accuracy", 8) : moth_value_clone(given);
    }
    return moth_value_clone(moth_value_get(given, "log_name"));
}

static moth_status append_metric(moth_model *model, const moth_value *given, moth_value *list)
{
    moth_value *spec = NULL, *plain = moth_value_clone(given), *name = log_name_of(given);
    moth_value_remove(plain, "log_name");
    moth_status status = plain && name ? moth_metric_normalize(model->ctx, plain, &spec) : MOTH_ERR_MEMORY;
    moth_value_free(plain);
    if (status != MOTH_OK) {
        moth_value_free(name);
        return status == MOTH_ERR_MEMORY ? moth_fail_memory(model->ctx, 64)
                                         : moth_fail_prefix(model->ctx, "compile: metrics");
    }
    if (moth_value_kind_of(spec) != MOTH_MAP || moth_value_kind_of(name) == MOTH_NIL) {
        moth_value_free(name);
    } else if (!moth_value_set(spec, "log_name", name)) {
        moth_value_free(spec);
        return moth_fail_memory(model->ctx, 64);
    }
    return append(model->ctx, list, spec);
}

static moth_status normalize_metrics(moth_model *model, const moth_value *given, moth_value *metrics)
{
    for (int k = 0; k < model->n_outputs; k++) {
        const moth_value *mine;
        MOTH_TRY(for_output(model, "metrics", moth_value_get(given, "metrics"), k, true, &mine));
        moth_value *list = moth_value_list();
        moth_status status = MOTH_OK;
        if (is_spec(mine)) {
            status = append_metric(model, mine, list);
        }
        for (int64_t i = 0; status == MOTH_OK && !is_spec(mine) && i < moth_value_count(mine); i++) {
            status = append_metric(model, moth_value_at(mine, i), list);
        }
        if (status != MOTH_OK) {
            moth_value_free(list);
            return status;
        }
        MOTH_TRY(append(model->ctx, metrics, list));
    }
    return MOTH_OK;
}

static moth_status normalize_scale(moth_ctx *ctx, moth_trainer *t, const moth_value *given)
{
    const moth_value *scale = moth_value_get(given, "input_scale");
    moth_value_kind kind = moth_value_kind_of(scale);
    if (kind == MOTH_NIL) {
        return MOTH_OK; /* what it was */
    }
    double value = moth_value_as_number(scale);
    if ((kind != MOTH_INT && kind != MOTH_NUMBER) || !(value > 0 && value < MOTH_NO_LIMIT)) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "compile: input_scale must be a number above 0");
    }
    t->input_scale = value;
    t->scale_given = true;
    return MOTH_OK;
}

/* ---- measures ---- */

static bool measure_named(const moth_trainer *t, const char *name)
{
    for (int k = 0; k < t->n_measures; k++) {
        if (strcmp(t->measures[k].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static moth_status add_measure(moth_trainer *t, const char *name, const moth_value *spec, int output, bool is_loss)
{
    char unique[200];
    snprintf(unique, sizeof unique, "%s", name);
    for (int k = 2; measure_named(t, unique); k++) {
        snprintf(unique, sizeof unique, "%.180s_%d", name, k);
    }
    moth_measure *bigger = moth_realloc(t->measures, (size_t)(t->n_measures + 1) * sizeof *bigger);
    if (!bigger) {
        return moth_fail_memory(t->model->ctx, (int64_t)sizeof *bigger);
    }
    t->measures = bigger;
    moth_measure *m = &bigger[t->n_measures];
    *m = (moth_measure){ .name = moth_strdup(unique), .spec = spec, .output = output, .is_loss = is_loss };
    if (!m->name) {
        return moth_fail_memory(t->model->ctx, 64);
    }
    t->n_measures++;
    return MOTH_OK;
}

/* "loss", then the loss of each output where there are several, then metrics. */
static moth_status add_measures(moth_trainer *t)
{
    moth_model *model = t->model;
    bool many = model->n_outputs > 1;
    char name[200];
    MOTH_TRY(add_measure(t, "loss", NULL, -1, true));
    for (int k = 0; many && k < model->n_outputs; k++) {
        snprintf(name, sizeof name, "%.150s_loss", model->output_names[k]);
        MOTH_TRY(add_measure(t, name, NULL, k, true));
    }
    for (int k = 0; k < model->n_outputs; k++) {
        const moth_value *list = moth_value_at(moth_value_get(t->options, "metrics"), k);
        for (int64_t i = 0; i < moth_value_count(list); i++) {
            const moth_value *spec = moth_value_at(list, i);
            const char *own = moth_config_string(spec, "log_name");
            own = *own ? own : moth_spec_name(spec);
            snprintf(name, sizeof name, "%.80s%s%.80s", many ? model->output_names[k] : "", many ? "_" : "", own);
            MOTH_TRY(add_measure(t, name, spec, k, false));
        }
    }
    return MOTH_OK;
}

/* ---- compile ---- */

/* trainable is read now and holds until the next compile. */
static moth_status read_trainable(void *user, moth_layer *layer, moth_variable *variable, const char *path)
{
    (void)user;
    (void)path;
    variable->tensor->requires_grad = variable->trainable && layer->trainable;
    return MOTH_OK;
}

static moth_status make_options(moth_model *model, const moth_value *given, moth_value **out)
{
    moth_value *options = moth_value_map(), *losses = moth_value_list(), *weights = moth_value_list(),
               *metrics = moth_value_list();
    moth_status status = options && losses && weights && metrics ? MOTH_OK : moth_fail_memory(model->ctx, 64);
    if (status == MOTH_OK) {
        status = normalize_losses(model, given, losses, weights);
    }
    if (status == MOTH_OK) {
        status = normalize_metrics(model, given, metrics);
    }
    bool kept = status == MOTH_OK;
    kept = moth_value_set(options, "loss", losses) && kept;
    kept = moth_value_set(options, "loss_weights", weights) && kept;
    kept = moth_value_set(options, "metrics", metrics) && kept;
    if (!kept) {
        moth_value_free(options);
        return status == MOTH_OK ? moth_fail_memory(model->ctx, 64) : status;
    }
    *out = options;
    return MOTH_OK;
}

moth_status moth_trainer_compile(moth_model *model, const moth_value *given, moth_optimizer *optimizer)
{
    if (!model->built) {
        return moth_fail(model->ctx, MOTH_ERR_STATE,
                         "compile: the shape of the input is not known yet; give the first layer input_shape");
    }
    moth_trainer *t = NULL;
    moth_value *options = NULL;
    MOTH_TRY(moth_trainer_of(model, &t));
    MOTH_TRY(moth_trainer_idle(t, "compile", false));
    MOTH_TRY(make_options(model, given, &options));
    moth_status status = normalize_scale(model->ctx, t, given);
    if (status != MOTH_OK) {
        moth_value_free(options);
        return status;
    }
    moth_optimizer_retain(optimizer); /* before the old one, which may be the same, is let go */
    clear_compiled(t);
    t->options = options;
    t->optimizer = optimizer;
    if (optimizer) {
        moth_optimizer_clear(optimizer);
    }
    MOTH_TRY(moth_model_each_variable(model, read_trainable, NULL));
    return add_measures(t);
}

moth_status moth_trainer_reset(moth_model *model, uint64_t seed)
{
    moth_trainer *t = model->trainer;
    if (t) {
        MOTH_TRY(moth_trainer_idle(t, "reset", true));
    }
    MOTH_TRY(moth_model_redraw(model, seed));
    if (t && t->optimizer) {
        moth_optimizer_clear(t->optimizer);
        moth_trainer_forget(t);
    }
    return MOTH_OK;
}

/* ---- values ---- */

void moth_trainer_clear(moth_trainer *t)
{
    t->rows = 0;
    for (int k = 0; k < t->n_measures; k++) {
        moth_measure *m = &t->measures[k];
        for (int64_t i = 0; m->states && i < m->n_states; i++) {
            m->states[i] = 0;
        }
    }
}

double moth_trainer_value(const moth_trainer *t, int k)
{
    const moth_measure *m = &t->measures[k];
    if (!m->states || t->rows == 0) {
        return NAN;
    }
    if (m->type && m->type->value) {
        return m->type->value(m->spec, m->states, m->n_states, t->rows);
    }
    return m->states[0] / t->rows;
}

/* ---- order and weights of samples ---- */

moth_status moth_trainer_shuffle(moth_trainer *t, int64_t n, moth_tensor **order)
{
    moth_model *model = t->model;
    if (n > INT32_MAX) {
        return moth_fail(model->ctx, MOTH_ERR_ARGUMENT, "fit: at most 2^31 - 1 samples, got %lld", (long long)n);
    }
    MOTH_TRY(moth_tensor_new(model->ctx, MOTH_INT32, 1, &n, order));
    moth_random_permutation(model->seed, moth_stream(model->stream, "shuffle", 0), model->step,
                            (int32_t *)(void *)moth_tensor_data(*order), n);
    return MOTH_OK;
}

/* Class of sample i: the position of the largest entry of its row, or the number itself. */
static int64_t class_of(const moth_tensor *y, int64_t i)
{
    int64_t width = y->meta.rank > 1 ? moth_tensor_count(y) / y->meta.shape[0] : 1, best = 0;
    if (width == 1) {
        return (int64_t)moth_tensor_element(y, i);
    }
    for (int64_t c = 1; c < width; c++) {
        if (moth_tensor_element(y, i * width + c) > moth_tensor_element(y, i * width + best)) {
            best = c;
        }
    }
    return best;
}

moth_status moth_class_weights(moth_ctx *ctx, const moth_tensor *y, const moth_value *weights, moth_tensor **out)
{
    if (y->meta.rank < 1) {
        return moth_fail(ctx, MOTH_ERR_SHAPE, "class_weight: targets need at least one dimension");
    }
    MOTH_TRY(moth_tensor_new(ctx, MOTH_FLOAT32, 1, y->meta.shape, out));
    for (int64_t i = 0; i < y->meta.shape[0]; i++) {
        char key[32];
        snprintf(key, sizeof key, "%lld", (long long)class_of(y, i));
        const moth_value *w = moth_value_get(weights, key);
        moth_tensor_set_element(*out, i, moth_value_kind_of(w) == MOTH_NIL ? 1 : moth_value_as_number(w));
    }
    return MOTH_OK;
}
