/* Tracing a model into a plan: gather a batch from the data, run the model, losses, metrics, gradients, updates. */
#include "train/program.h"

#include <stdio.h>
#include <string.h>

#include "autograd/autograd.h"
#include "nn/emit.h"

enum { MAX_CHECKS = 64, MAX_ENDS = 32 };

/* All that a trace collects for its plan. */
typedef struct tracing {
    moth_trainer *trainer;
    moth_model *model;
    moth_program *program;
    moth_ctx *ctx;
    moth_scope scope;
    moth_pass pass;
    moth_tensor *inputs[3 * MAX_ENDS + 2];
    int n_inputs;
    moth_tensor *x[MAX_ENDS], *y[MAX_ENDS], *predicted[MAX_ENDS], *loss[MAX_ENDS];
    moth_tensor *scale[MAX_ENDS], *penalty;
    moth_tensor **outputs;
    int n_outputs;
    moth_tensor *checks[MAX_CHECKS];
    char check_text[MAX_CHECKS][96];
    int n_checks;
    moth_tensor **parameters; /* trainable variables */
    const moth_value **constraints, **regularizers;
    int n_parameters;
} tracing;

/* ---- inputs ---- */

static moth_status add_input(tracing *t, moth_dtype dtype, int rank, const int64_t *shape, moth_tensor **out)
{
    MOTH_TRY(moth_placeholder(t->ctx, dtype, rank, shape, out));
    moth_scope_own(&t->scope, *out);
    t->inputs[t->n_inputs++] = *out;
    return t->scope.status;
}

/* A data set of any number of samples: its dim 0 is 0 in the placeholder. */
static moth_status add_data(tracing *t, const moth_meta *data, moth_tensor **out)
{
    int64_t shape[MOTH_MAX_RANK];
    memcpy(shape, data->shape, sizeof shape);
    shape[0] = 0;
    return add_input(t, data->dtype, data->rank, shape, out);
}

static moth_status trace_inputs(tracing *t)
{
    const moth_program *p = t->program;
    moth_tensor *data[2 * MAX_ENDS], *index;
    int64_t rows = p->rows;
    for (int k = 0; k < p->n_x; k++) {
        MOTH_TRY(add_data(t, &p->x[k], &data[k]));
    }
    MOTH_TRY(add_input(t, MOTH_INT32, 1, &rows, &index));
    for (int k = 0; k < p->n_x; k++) {
        double scale = moth_trainer_scales(t->trainer, k, p->x[k].dtype) ? t->trainer->input_scale : 0;
        moth_attrs attrs = { .f = { scale } };
        t->x[k] = MOTH_DO(&t->scope, gather, &attrs, data[k], index);
    }
    for (int k = 0; p->mode != MOTH_PREDICT && k < p->n_y; k++) {
        MOTH_TRY(add_data(t, &p->y[k], &data[k]));
        t->y[k] = MOTH_DO(&t->scope, gather, NULL, data[k], index);
    }
    for (int k = 0; p->mode != MOTH_PREDICT && k < p->n_y; k++) {
        MOTH_TRY(add_input(t, MOTH_FLOAT32, 1, &rows, &t->scale[k]));
    }
    return t->scope.status;
}

/* ---- what the variables contribute ---- */

static moth_status count_variable(void *user, moth_layer *layer, moth_variable *variable, const char *path)
{
    (void)layer;
    (void)variable;
    (void)path;
    ++*(int *)user;
    return MOTH_OK;
}

static moth_status collect_variable(void *user, moth_layer *layer, moth_variable *variable, const char *path)
{
    tracing *t = user;
    (void)layer;
    (void)path;
    if (variable->tensor->requires_grad) {
        t->parameters[t->n_parameters] = variable->tensor;
        t->constraints[t->n_parameters] = variable->constraint;
        t->regularizers[t->n_parameters++] = variable->regularizer;
    }
    return MOTH_OK;
}

static moth_status collect_variables(tracing *t)
{
    int n = 1;
    MOTH_TRY(moth_model_each_variable(t->model, count_variable, &n));
    t->parameters = moth_calloc((size_t)n * sizeof(moth_tensor *));
    t->constraints = moth_calloc((size_t)n * sizeof(moth_value *));
    t->regularizers = moth_calloc((size_t)n * sizeof(moth_value *));
    if (!t->parameters || !t->constraints || !t->regularizers) {
        return moth_fail_memory(t->ctx, n * 24);
    }
    return moth_model_each_variable(t->model, collect_variable, t);
}

/* Regularizers count in the loss of training and evaluation alike, once a batch. */
static moth_status trace_penalties(tracing *t)
{
    for (int i = 0; i < t->n_parameters; i++) {
        moth_pass_penalize(&t->pass, moth_regularize(&t->pass, t->regularizers[i], t->parameters[i]));
    }
    t->penalty = t->pass.penalty;
    return t->scope.status;
}

/* ---- losses and metrics ---- */

static void add_output(tracing *t, moth_tensor *value, int *place)
{
    *place = t->n_outputs;
    t->outputs[t->n_outputs++] = value;
}

static void add_check(tracing *t, moth_tensor *value, const char *what, const char *name)
{
    if (value && t->n_checks < MAX_CHECKS && t->program->checked && value->meta.dtype == MOTH_FLOAT32) {
        snprintf(t->check_text[t->n_checks], sizeof t->check_text[0], "%s '%.60s'", what, name);
        t->checks[t->n_checks++] = value;
    }
}

static const moth_value *of_output(const moth_value *list, int k)
{
    return moth_value_at(list, k);
}

static moth_status trace_losses(tracing *t)
{
    moth_program *p = t->program;
    const moth_value *losses = moth_value_get(t->trainer->options, "loss");
    const moth_value *weights = moth_value_get(t->trainer->options, "loss_weights");
    for (int k = 0; k < p->n_outputs; k++) {
        t->pass.mask = t->predicted[k]->mask;
        MOTH_TRY(moth_loss_rows(&t->pass, of_output(losses, k), t->y[k], t->predicted[k], &t->loss[k]));
        add_output(t, t->loss[k], &p->loss[k]);
        p->loss_weight[k] = moth_value_as_number(of_output(weights, k));
        add_check(t, t->loss[k], "the loss of", t->model->output_names[k]);
    }
    MOTH_TRY(trace_penalties(t));
    if (t->penalty) {
        add_output(t, t->penalty, &p->penalty);
    }
    return t->scope.status;
}

static moth_status trace_metrics(tracing *t)
{
    moth_program *p = t->program;
    for (int k = 0; k < t->trainer->n_measures; k++) {
        moth_measure *m = &t->trainer->measures[k];
        p->measured[k] = -1;
        if (m->is_loss) {
            continue;
        }
        moth_tensor *rows;
        t->pass.mask = t->predicted[m->output]->mask;
        MOTH_TRY(moth_metric_rows(&t->pass, m->spec, t->y[m->output], t->predicted[m->output], &m->type, &rows));
        m->n_states = rows->meta.rank == 2 ? rows->meta.shape[1] : 1;
        add_output(t, rows, &p->measured[k]);
    }
    return MOTH_OK;
}

/* ---- gradients and updates ---- */

/* What the losses are differentiated against first: the output itself, or what went into a softmax or sigmoid that was
 * fused with the loss. */
static moth_tensor *behind_output(const tracing *t, int k)
{
    const moth_node *node = t->predicted[k]->node;
    return node && node->op && node->n_in > 0 && !(node->op->flags & MOTH_OP_VIEW) ? node->in[0] : NULL;
}

static moth_status trace_seeds(tracing *t, moth_tensor **y, moth_tensor **seeds, int *n)
{
    for (int k = 0; k < t->program->n_outputs; k++) {
        if (!t->loss[k]->requires_grad) {
            continue; /* nothing to train behind this output */
        }
        y[*n] = t->loss[k];
        double weight = t->program->loss_weight[k];
        seeds[(*n)++] = t->loss[k]->meta.rank == 0 ? moth_emit_constant(&t->scope, weight)
                                                   : moth_emit_scaled(&t->scope, t->scale[k], weight);
    }
    if (t->penalty && t->penalty->requires_grad) {
        y[*n] = t->penalty;
        seeds[(*n)++] = moth_emit_constant(&t->scope, 1);
    }
    return t->scope.status;
}

static moth_status trace_step(tracing *t)
{
    moth_tensor *y[MAX_ENDS + 1], *seeds[MAX_ENDS + 1];
    int n_y = 0, n = t->n_parameters, extra = 2 * t->program->n_outputs;
    MOTH_TRY(trace_seeds(t, y, seeds, &n_y));
    moth_tensor **x = moth_calloc(((size_t)n + (size_t)extra + 1) * sizeof(moth_tensor *));
    moth_tensor **dx = moth_calloc(((size_t)n + (size_t)extra + 1) * sizeof(moth_tensor *));
    moth_status status = x && dx ? MOTH_OK : moth_fail_memory(t->ctx, n * 8);
    int n_x = 0;
    for (; status == MOTH_OK && n_x < n; n_x++) {
        x[n_x] = t->parameters[n_x];
    }
    for (int k = 0; status == MOTH_OK && k < t->program->n_outputs; k++) {
        moth_tensor *behind = behind_output(t, k);
        x[n_x++] = t->predicted[k];
        if (behind) {
            x[n_x++] = behind;
        }
    }
    if (status == MOTH_OK) {
        status = moth_gradients(t->ctx, n_y, y, seeds, n_x, x, dx);
    }
    for (int i = 0; status == MOTH_OK && i < n_x; i++) {
        moth_scope_own(&t->scope, dx[i]);
        if (i >= n) {
            add_check(t, dx[i], "the gradient at the output of", t->model->name);
        }
    }
    if (status == MOTH_OK) {
        bool grad_before = t->ctx->grad_enabled;
        t->ctx->grad_enabled = false; /* updates are no part of the graph that is differentiated */
        status = moth_optimizer_emit(t->trainer->optimizer, &t->pass, n, t->parameters, dx, t->constraints);
        t->ctx->grad_enabled = grad_before;
    }
    moth_free(x);
    moth_free(dx);
    return status;
}

/* ---- the whole ---- */

static moth_status trace(tracing *t)
{
    moth_program *p = t->program;
    MOTH_TRY(trace_inputs(t));
    MOTH_TRY(moth_model_run(t->model, &t->pass, t->x, t->predicted));
    if (p->mode == MOTH_PREDICT) {
        for (int k = 0; k < p->n_outputs; k++) {
            int place;
            add_output(t, t->predicted[k], &place);
        }
        return MOTH_OK;
    }
    MOTH_TRY(collect_variables(t));
    MOTH_TRY(trace_losses(t));
    MOTH_TRY(trace_metrics(t));
    return p->mode == MOTH_TRAIN ? trace_step(t) : MOTH_OK;
}

static moth_status compile(tracing *t, const moth_graph *graph)
{
    const char *names[MAX_CHECKS];
    for (int i = 0; i < t->n_checks; i++) {
        names[i] = t->check_text[i];
    }
    moth_plan_spec spec = { .n_inputs = t->n_inputs,
                            .inputs = t->inputs,
                            .n_outputs = t->n_outputs,
                            .outputs = t->outputs,
                            .n_effects = (int)graph->n_effects,
                            .effects = graph->effects,
                            .n_checks = t->n_checks,
                            .checks = t->checks,
                            .check_names = names,
                            .capacity = t->program->capacity };
    return moth_plan_new(t->ctx, &spec, &t->trainer->arena, &t->program->plan);
}

static moth_status make_plan(moth_trainer *trainer, moth_program *p)
{
    moth_ctx *ctx = trainer->model->ctx;
    moth_graph graph;
    tracing *t = moth_calloc(sizeof *t); /* too large for the stack of a thread that embeds us */
    size_t room = (size_t)p->n_outputs + (size_t)trainer->n_measures + 2;
    moth_tensor **outputs = moth_calloc(room * sizeof(moth_tensor *));
    if (!t || !outputs) {
        moth_free(t);
        moth_free(outputs);
        return moth_fail_memory(ctx, (int64_t)sizeof *t);
    }
    bool grad_before = ctx->grad_enabled;
    t->trainer = trainer;
    t->model = trainer->model;
    t->program = p;
    t->ctx = ctx;
    t->outputs = outputs;
    moth_trace_begin(ctx, &graph);
    moth_scope_open(&t->scope, ctx);
    t->pass = (moth_pass){ .ctx = ctx, .scope = &t->scope, .training = p->mode == MOTH_TRAIN };
    ctx->grad_enabled = true;
    trainer->tracing = true;
    moth_status status = trace(t);
    trainer->tracing = false;
    if (status == MOTH_OK) {
        status = compile(t, &graph);
    }
    ctx->grad_enabled = grad_before;
    moth_scope_close(&t->scope, 0, NULL, NULL);
    moth_trace_end(ctx, &graph);
    moth_graph_clear(&graph);
    moth_free(t->parameters);
    moth_free(t->constraints);
    moth_free(t->regularizers);
    moth_free(outputs);
    moth_free(t);
    return status;
}

/* ---- finding ---- */

static bool same_kind(const moth_meta *a, const moth_tensor *b)
{
    if (a->dtype != b->meta.dtype || a->rank != b->meta.rank) {
        return false;
    }
    for (int d = 1; d < a->rank; d++) {
        if (a->shape[d] != b->meta.shape[d]) {
            return false;
        }
    }
    return true;
}

static bool serves(const moth_program *p, const moth_trainer *trainer, moth_mode mode, const moth_data *data,
                   int64_t capacity, int64_t rows)
{
    if (p->mode != mode || p->n_x != data->n_x || p->checked == trainer->ignore_nonfinite) {
        return false;
    }
    if (p->rows >= 0 ? p->rows != rows : p->capacity < capacity) {
        return false;
    }
    bool same = mode == MOTH_PREDICT || p->n_y == data->n_y;
    for (int k = 0; same && k < p->n_x; k++) {
        same = same_kind(&p->x[k], data->x[k]);
    }
    for (int k = 0; same && mode != MOTH_PREDICT && k < p->n_y; k++) {
        same = same_kind(&p->y[k], data->y[k]);
    }
    return same;
}

void moth_program_free(moth_program *p)
{
    if (p) {
        moth_plan_free(p->plan);
        moth_free(p->x);
        moth_free(p->y);
        moth_free(p->loss);
        moth_free(p->loss_weight);
        moth_free(p->measured);
        moth_free(p);
    }
}

static moth_program *program_new(moth_trainer *trainer, moth_mode mode, const moth_data *data, int64_t capacity,
                                 int64_t rows)
{
    moth_program *p = moth_calloc(sizeof *p);
    if (!p) {
        return NULL;
    }
    p->mode = mode;
    p->capacity = capacity;
    p->rows = rows;
    p->checked = !trainer->ignore_nonfinite;
    p->n_outputs = trainer->model->n_outputs;
    p->penalty = -1;
    p->x = moth_calloc(((size_t)data->n_x + 1) * sizeof *p->x);
    p->y = moth_calloc(((size_t)data->n_y + 1) * sizeof *p->y);
    p->loss = moth_calloc(((size_t)p->n_outputs + 1) * sizeof *p->loss);
    p->loss_weight = moth_calloc(((size_t)p->n_outputs + 1) * sizeof *p->loss_weight);
    p->measured = moth_calloc(((size_t)trainer->n_measures + 1) * sizeof *p->measured);
    if (!p->x || !p->y || !p->loss || !p->loss_weight || !p->measured) {
        moth_program_free(p);
        return NULL;
    }
    for (p->n_x = 0; p->n_x < data->n_x; p->n_x++) {
        p->x[p->n_x] = data->x[p->n_x]->meta;
    }
    for (p->n_y = 0; mode != MOTH_PREDICT && p->n_y < data->n_y; p->n_y++) {
        p->y[p->n_y] = data->y[p->n_y]->meta;
    }
    return p;
}

static moth_status build(moth_trainer *trainer, moth_mode mode, const moth_data *data, int64_t capacity, int64_t rows,
                         moth_program **out)
{
    moth_ctx *ctx = trainer->model->ctx;
    moth_program **bigger = moth_realloc(trainer->programs, (size_t)(trainer->n_programs + 1) * sizeof *bigger);
    if (!bigger) {
        return moth_fail_memory(ctx, 8);
    }
    trainer->programs = bigger;
    moth_program *p = program_new(trainer, mode, data, capacity, rows);
    moth_status status = p ? make_plan(trainer, p) : moth_fail_memory(ctx, (int64_t)sizeof *p);
    if (status != MOTH_OK) {
        moth_program_free(p);
        return status;
    }
    trainer->programs[trainer->n_programs++] = p;
    *out = p;
    return MOTH_OK;
}

/* Exact programs come one for each number of rows; a few are kept. */
static void drop_oldest(moth_trainer *trainer)
{
    enum { MOST_PROGRAMS = 12 };
    if (trainer->n_programs >= MOST_PROGRAMS) {
        moth_program_free(trainer->programs[0]);
        trainer->n_programs--;
        memmove(trainer->programs, trainer->programs + 1, (size_t)trainer->n_programs * sizeof *trainer->programs);
    }
}

moth_status moth_program_for(moth_trainer *trainer, moth_mode mode, const moth_data *data, int64_t batch_size,
                             int64_t rows, moth_program **out)
{
    if (data->n_x > MAX_ENDS || data->n_y > MAX_ENDS) {
        return moth_fail(trainer->model->ctx, MOTH_ERR_ARGUMENT, "a model has at most %d inputs and outputs", MAX_ENDS);
    }
    for (int i = 0; i < trainer->n_programs; i++) {
        if (serves(trainer->programs[i], trainer, mode, data, batch_size, rows)) {
            *out = trainer->programs[i];
            return MOTH_OK;
        }
    }
    drop_oldest(trainer);
    if (!trainer->exact[mode]) {
        moth_status status = build(trainer, mode, data, batch_size, -1, out);
        if (status != MOTH_ERR_EXACT_BATCH) {
            return status;
        }
        trainer->exact[mode] = true;
    }
    return build(trainer, mode, data, rows, rows, out);
}
