/* One pass over data, batch by batch: bind, run, add up. */
#include <string.h>

#include "train/program.h"

/* ---- opening ---- */

static moth_status check_samples(const moth_loop *loop, const char *what, int k, const moth_tensor *t)
{
    moth_ctx *ctx = loop->trainer->model->ctx;
    char text[128];
    if (moth_tensor_is_symbolic(t) || t->meta.rank < 1 || !moth_meta_contiguous(&t->meta)) {
        return moth_fail(ctx, MOTH_ERR_SHAPE,
                         "%s %d: expected contiguous data with samples in the first dimension, got %s", what, k + 1,
                         moth_meta_text(&t->meta, text, sizeof text));
    }
    int64_t n = loop->data.x[0]->meta.shape[0];
    if (t->meta.shape[0] != n) {
        return moth_fail(ctx, MOTH_ERR_SHAPE, "%s %d has %lld samples, x has %lld", what, k + 1,
                         (long long)t->meta.shape[0], (long long)n);
    }
    return MOTH_OK;
}

static moth_status check_data(const moth_loop *loop)
{
    const moth_model *model = loop->trainer->model;
    const moth_data *data = &loop->data;
    bool labelled = loop->mode != MOTH_PREDICT;
    if (data->n_x != (model->n_inputs ? model->n_inputs : 1)) {
        return moth_fail(model->ctx, MOTH_ERR_ARGUMENT, "%s: the model has %d inputs, got %d tensors", model->name,
                         model->n_inputs, data->n_x);
    }
    if (labelled && data->n_y != model->n_outputs) {
        return moth_fail(model->ctx, MOTH_ERR_ARGUMENT, "%s: the model has %d outputs, got %d tensors of targets",
                         model->name, model->n_outputs, data->n_y);
    }
    for (int k = 0; k < data->n_x; k++) {
        MOTH_TRY(check_samples(loop, "x", k, data->x[k]));
    }
    for (int k = 0; labelled && k < data->n_y; k++) {
        MOTH_TRY(check_samples(loop, "y", k, data->y[k]));
    }
    for (int k = 0; labelled && data->weight && k < data->n_y; k++) {
        const moth_tensor *weight = data->weight[k];
        MOTH_TRY(weight ? check_samples(loop, "sample_weight", k, weight) : MOTH_OK);
        if (weight && (weight->meta.rank != 1 || weight->meta.dtype != MOTH_FLOAT32)) {
            return moth_fail(model->ctx, MOTH_ERR_SHAPE, "sample_weight: expected one float for each sample");
        }
    }
    int64_t n = data->x[0]->meta.shape[0];
    if (loop->batch_size < 1 || loop->first < 0 || loop->count < 0 || loop->first + loop->count > n) {
        return moth_fail(model->ctx, MOTH_ERR_ARGUMENT,
                         "%s: no such range of samples: %lld from %lld in batches of %lld, of %lld", model->name,
                         (long long)loop->count, (long long)loop->first, (long long)loop->batch_size, (long long)n);
    }
    return MOTH_OK;
}

static moth_status make_order(moth_loop *loop, moth_tensor *order)
{
    moth_ctx *ctx = loop->trainer->model->ctx;
    if (order) {
        if (order->meta.dtype != MOTH_INT32 || order->meta.rank != 1 || order->meta.shape[0] != loop->count) {
            return moth_fail(ctx, MOTH_ERR_SHAPE, "order: expected %lld int32 positions", (long long)loop->count);
        }
        loop->order = moth_tensor_retain(order);
        return MOTH_OK;
    }
    MOTH_TRY(moth_tensor_new(ctx, MOTH_INT32, 1, &loop->count, &loop->order));
    int32_t *p = (int32_t *)(void *)moth_tensor_data(loop->order);
    for (int64_t i = 0; i < loop->count; i++) {
        p[i] = (int32_t)(loop->first + i);
    }
    return MOTH_OK;
}

/* Handles that are moved along instead of made anew for each batch. */
static moth_status make_views(moth_loop *loop)
{
    moth_ctx *ctx = loop->trainer->model->ctx;
    const int n_y = loop->data.n_y;
    int64_t shape[2] = { n_y, loop->batch_size };
    MOTH_TRY(moth_tensor_handle(ctx, &loop->order->meta, loop->order->storage, &loop->index));
    loop->inputs = moth_calloc(((size_t)loop->data.n_x + 2 * (size_t)n_y + 2) * sizeof(moth_tensor *));
    loop->scale = moth_calloc(((size_t)n_y + 1) * sizeof(moth_tensor *));
    if (!loop->inputs || !loop->scale) {
        return moth_fail_memory(ctx, 64);
    }
    MOTH_TRY(moth_tensor_new(ctx, MOTH_FLOAT32, 2, shape, &loop->weights));
    moth_meta row = loop->weights->meta;
    row.rank = 1;
    row.shape[0] = loop->batch_size;
    moth_meta_set_contiguous(&row);
    for (int k = 0; k < n_y; k++) {
        row.offset = loop->weights->meta.offset + k * loop->batch_size;
        MOTH_TRY(moth_tensor_handle(ctx, &row, loop->weights->storage, &loop->scale[k]));
    }
    return MOTH_OK;
}

static moth_status tell_scale(moth_trainer *t, const moth_data *data)
{
    for (int k = 0; k < data->n_x; k++) {
        if (moth_trainer_scales(t, k, data->x[k]->meta.dtype) && !t->scale_given && !t->scale_said) {
            t->scale_said = true;
            moth_log(t->model->ctx, "uint8 input is multiplied by 1/255 (input_scale of compile)");
        }
    }
    return MOTH_OK;
}

moth_status moth_loop_open(moth_loop *loop, moth_trainer *trainer, moth_mode mode, const moth_data *data,
                           int64_t batch_size, int64_t first, int64_t count, moth_tensor *order)
{
    *loop = (moth_loop){
        .trainer = trainer, .mode = mode, .data = *data, .batch_size = batch_size, .first = first, .count = count
    };
    if (batch_size > count) {
        loop->batch_size = count > 0 ? count : 1;
    }
    moth_model *model = trainer->model;
    static const char *const names[MOTH_MODE_COUNT] = {
        [MOTH_TRAIN] = "fit", [MOTH_EVALUATE] = "evaluate", [MOTH_PREDICT] = "predict"
    };
    moth_status status = moth_trainer_idle(trainer, names[mode], mode == MOTH_PREDICT);
    if (status == MOTH_OK) {
        status = check_data(loop);
    }
    if (status == MOTH_OK && !model->built) {
        const moth_meta *x = &data->x[0]->meta;
        moth_dtype dtype = x->dtype == MOTH_UINT8 ? MOTH_FLOAT32 : x->dtype;
        status = moth_model_build(model, dtype, x->rank - 1, x->shape + 1);
    }
    if (status == MOTH_OK) {
        status = make_order(loop, order);
    }
    if (status == MOTH_OK) {
        status = make_views(loop);
    }
    if (status == MOTH_OK) {
        status = tell_scale(trainer, data);
    }
    if (status != MOTH_OK) {
        moth_loop_close(loop);
        return status;
    }
    if (mode != MOTH_PREDICT) {
        if (!data->goes_on) {
            moth_trainer_clear(trainer);
        }
        loop->measures = trainer->measuring = true;
    }
    return MOTH_OK;
}

void moth_loop_close(moth_loop *loop)
{
    if (loop->measures) {
        loop->trainer->measuring = false;
    }
    moth_tensor_release(loop->order);
    moth_tensor_release(loop->index);
    for (int k = 0; loop->scale && k < loop->data.n_y; k++) {
        moth_tensor_release(loop->scale[k]);
    }
    moth_tensor_release(loop->weights);
    for (int k = 0; loop->results && k < loop->n_results; k++) {
        moth_tensor_release(loop->results[k]);
    }
    moth_free(loop->results);
    moth_free(loop->inputs);
    moth_free(loop->scale);
    *loop = (moth_loop){ .trainer = NULL };
}

/* ---- adding up ---- */

static moth_status ensure_states(moth_ctx *ctx, moth_trainer *t)
{
    for (int k = 0; k < t->n_measures; k++) {
        moth_measure *m = &t->measures[k];
        m->n_states = m->is_loss ? 1 : m->n_states;
        if (!m->states) {
            m->states = moth_calloc((size_t)(m->n_states + 1) * sizeof *m->states);
            if (!m->states) {
                return moth_fail_memory(ctx, m->n_states * 8);
            }
        }
    }
    return MOTH_OK;
}

/* Sum of weighted loss rows of one output in row order; a 0-d loss is the value of the batch. */
static double loss_of(const moth_tensor *rows, const moth_tensor *weights)
{
    const moth_real *value = moth_tensor_reals(rows), *scale = moth_tensor_reals(weights);
    if (rows->meta.rank == 0) {
        return (double)value[0];
    }
    double sum = 0;
    for (int64_t i = 0; i < rows->meta.shape[0]; i++) {
        sum += (double)scale[i] * (double)value[i];
    }
    return sum;
}

/* Adds up a metric; one of a whole batch (0-d) counts as often as the batch has rows, n. */
static void add_rows(moth_measure *m, const moth_tensor *rows, int64_t n)
{
    const moth_real *value = moth_tensor_reals(rows);
    if (rows->meta.rank == 0) {
        m->states[0] += (double)value[0] * (double)n;
        return;
    }
    for (int64_t i = 0; i < rows->meta.shape[0]; i++) {
        for (int64_t c = 0; c < m->n_states; c++) {
            m->states[c] += (double)value[i * m->n_states + c];
        }
    }
}

static void add_measures(const moth_loop *loop, const moth_program *p, int64_t rows)
{
    moth_trainer *t = loop->trainer;
    double total = p->penalty >= 0 ? (double)moth_tensor_reals(moth_plan_output(p->plan, p->penalty))[0] : 0;
    for (int k = 0; k < p->n_outputs; k++) {
        double loss = loss_of(moth_plan_output(p->plan, p->loss[k]), loop->scale[k]);
        total += p->loss_weight[k] * loss;
        for (int m = 0; m < t->n_measures; m++) {
            if (t->measures[m].is_loss && t->measures[m].output == k) {
                t->measures[m].states[0] += loss * (double)rows;
            }
        }
    }
    t->measures[0].states[0] += total * (double)rows;
    for (int m = 0; m < t->n_measures; m++) {
        if (p->measured[m] >= 0) {
            add_rows(&t->measures[m], moth_plan_output(p->plan, p->measured[m]), rows);
        }
    }
    t->rows += (double)rows;
}

/* ---- predictions ---- */

static moth_status make_results(moth_loop *loop, const moth_program *p)
{
    moth_ctx *ctx = loop->trainer->model->ctx;
    loop->results = moth_calloc(((size_t)p->n_outputs + 1) * sizeof(moth_tensor *));
    if (!loop->results) {
        return moth_fail_memory(ctx, p->n_outputs * 8);
    }
    for (; loop->n_results < p->n_outputs; loop->n_results++) {
        const moth_meta *m = &moth_plan_output(p->plan, loop->n_results)->meta;
        int64_t shape[MOTH_MAX_RANK];
        memcpy(shape, m->shape, sizeof shape);
        shape[0] = loop->count;
        MOTH_TRY(moth_tensor_new(ctx, m->dtype, m->rank, shape, &loop->results[loop->n_results]));
    }
    return MOTH_OK;
}

static moth_status keep_results(moth_loop *loop, const moth_program *p, int64_t rows)
{
    if (!loop->results) {
        MOTH_TRY(make_results(loop, p));
    }
    for (int k = 0; k < p->n_outputs; k++) {
        const moth_tensor *from = moth_plan_output(p->plan, k);
        moth_tensor *to, *all = loop->results[k];
        moth_meta meta = all->meta;
        if (from->meta.rank < 1 || from->meta.shape[0] != rows) {
            return moth_fail(loop->trainer->model->ctx, MOTH_ERR_SHAPE,
                             "predict: an output has no row for each sample");
        }
        meta.shape[0] = rows;
        meta.offset = loop->done * meta.stride[0];
        MOTH_TRY(moth_tensor_handle(loop->trainer->model->ctx, &meta, all->storage, &to));
        moth_status status = moth_tensor_copy_into(loop->trainer->model->ctx, to, from);
        moth_tensor_release(to);
        MOTH_TRY(status);
    }
    return MOTH_OK;
}

/* ---- running ---- */

/* Factor of each row's loss for output k: its weight, and 1/rows of the mean. */
static void bind_scale(moth_loop *loop, int k, int64_t rows)
{
    const moth_tensor *weight = loop->data.weight ? loop->data.weight[k] : NULL;
    const int32_t *index = (const int32_t *)(const void *)moth_tensor_data(loop->index);
    moth_real *scale = moth_tensor_reals(loop->scale[k]);
    loop->scale[k]->meta.shape[0] = rows;
    for (int64_t i = 0; i < rows; i++) {
        double w = weight ? (double)moth_tensor_reals(weight)[index[i]] : 1;
        scale[i] = (moth_real)(w / (double)rows);
    }
}

static void bind_batch(moth_loop *loop, const moth_program *p, int64_t rows)
{
    const moth_data *data = &loop->data;
    int n = 0;
    for (int k = 0; k < p->n_x; k++) {
        loop->inputs[n++] = data->x[k];
    }
    loop->index->meta.shape[0] = rows;
    loop->index->meta.offset = loop->order->meta.offset + loop->done;
    loop->inputs[n++] = loop->index;
    for (int k = 0; k < p->n_y; k++) {
        loop->inputs[n++] = data->y[k];
    }
    for (int k = 0; k < p->n_y; k++) {
        loop->inputs[n++] = loop->scale[k];
        bind_scale(loop, k, rows);
    }
}

static moth_status run_batch(moth_loop *loop)
{
    moth_trainer *t = loop->trainer;
    moth_model *model = t->model;
    int64_t rest = loop->count - loop->done, rows = rest < loop->batch_size ? rest : loop->batch_size;
    moth_program *p;
    MOTH_TRY(moth_program_for(t, loop->mode, &loop->data, loop->batch_size, rows, &p));
    if (loop->mode != MOTH_PREDICT) {
        MOTH_TRY(ensure_states(model->ctx, t));
    }
    bind_batch(loop, p, rows);
    if (loop->mode == MOTH_TRAIN) {
        moth_optimizer_prepare(t->optimizer);
    }
    moth_run run = { .seed = model->seed, .step = model->step };
    MOTH_TRY(moth_plan_run(model->ctx, p->plan, rows, loop->inputs, &run));
    if (loop->mode == MOTH_PREDICT) {
        MOTH_TRY(keep_results(loop, p, rows));
    } else {
        add_measures(loop, p, rows);
    }
    if (loop->mode == MOTH_TRAIN) {
        moth_optimizer_advance(t->optimizer);
        model->step++;
    }
    loop->done += rows;
    return MOTH_OK;
}

moth_status moth_loop_run(moth_loop *loop, int64_t batches, int64_t *left)
{
    moth_status status = MOTH_OK;
    for (int64_t i = 0; i < batches && loop->done < loop->count && status == MOTH_OK; i++) {
        status = run_batch(loop);
    }
    int64_t rest = loop->count - loop->done;
    *left = (rest + loop->batch_size - 1) / loop->batch_size;
    return status;
}
