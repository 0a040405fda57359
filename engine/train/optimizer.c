/* What the optimizers share: slots, learning rate, clipping, weight decay, constraints, one step. */
#include <math.h>

#include "nn/emit.h"
#include "ops/update.h"
#include "train/optimizer_type.h"

static moth_status check_clipping(moth_ctx *ctx, const moth_value *config)
{
    int n = moth_config_has(config, "clipnorm") + moth_config_has(config, "clipvalue") +
            moth_config_has(config, "global_clipnorm");
    if (n > 1) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: only one of clipnorm, clipvalue and global_clipnorm may be set",
                         moth_spec_name(config));
    }
    return MOTH_OK;
}

moth_status moth_optimizer_new(moth_ctx *ctx, const moth_value *spec, moth_optimizer **out)
{
    moth_value *config = NULL;
    MOTH_TRY(moth_spec_normalize(ctx, &moth_optimizers, spec, &config));
    const moth_entry *entry = moth_spec_entry(&moth_optimizers, config);
    if (!entry) {
        moth_value_free(config);
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "optimizer: expected a name or one made by moth.optimizers");
    }
    moth_optimizer *o = moth_calloc(sizeof *o);
    moth_status status = o ? check_clipping(ctx, config) : moth_fail_memory(ctx, (int64_t)sizeof *o);
    if (status == MOTH_OK) {
        *o = (moth_optimizer){ .references = 1, .ctx = ctx, .config = config, .rate = NAN };
        o->type = (const moth_optimizer_type *)(const void *)entry;
        status = moth_tensor_zeros(ctx, MOTH_FLOAT32, 1, (int64_t[]){ MOTH_UPDATE_HYPER_MAX }, &o->hyper);
    }
    if (status != MOTH_OK) {
        moth_value_free(config);
        moth_free(o);
        return status;
    }
    *out = o;
    return MOTH_OK;
}

moth_optimizer *moth_optimizer_retain(moth_optimizer *o)
{
    if (o) {
        o->references++;
    }
    return o;
}

void moth_optimizer_clear(moth_optimizer *o)
{
    for (int i = 0; i < o->n_slots; i++) {
        moth_tensor_release(o->slots[i].parameter);
        for (int k = 0; k < MOTH_MAX_SLOTS; k++) {
            moth_tensor_release(o->slots[i].slot[k]);
        }
    }
    moth_free(o->slots);
    o->slots = NULL;
    o->n_slots = 0;
    o->iterations = o->product_steps = 0;
}

void moth_optimizer_release(moth_optimizer *o)
{
    if (!o || --o->references > 0) {
        return;
    }
    moth_optimizer_clear(o);
    moth_tensor_release(o->hyper);
    moth_value_free(o->config);
    moth_free(o);
}

const char *moth_optimizer_slot_name(const moth_optimizer *o, int k)
{
    bool there =
        k >= 0 && k < MOTH_MAX_SLOTS && o->type->slots[k] && (!o->type->has_slot || o->type->has_slot(o->config, k));
    return there ? o->type->slots[k] : NULL;
}

static moth_status make_slots(moth_optimizer *o, moth_slots *s)
{
    const moth_meta *m = &s->parameter->meta;
    for (int k = 0; k < MOTH_MAX_SLOTS; k++) {
        if (!moth_optimizer_slot_name(o, k)) {
            continue;
        }
        moth_status status = moth_tensor_zeros(o->ctx, m->dtype, m->rank, m->shape, &s->slot[k]);
        if (status != MOTH_OK) {
            while (k-- > 0) {
                moth_tensor_release(s->slot[k]);
            }
            return status;
        }
        double start = o->type->slot_start ? moth_config_number(o->config, o->type->slot_start) : 0;
        int64_t n = start != 0 ? moth_tensor_count(s->slot[k]) : 0;
        for (int64_t i = 0; i < n; i++) {
            moth_tensor_reals(s->slot[k])[i] = (moth_real)start;
        }
    }
    return MOTH_OK;
}

moth_status moth_optimizer_slots(moth_optimizer *o, moth_tensor *parameter, moth_slots **out)
{
    for (int i = 0; i < o->n_slots; i++) {
        if (o->slots[i].parameter == parameter) {
            *out = &o->slots[i];
            return MOTH_OK;
        }
    }
    moth_slots *bigger = moth_realloc(o->slots, (size_t)(o->n_slots + 1) * sizeof *bigger);
    if (!bigger) {
        return moth_fail_memory(o->ctx, (int64_t)sizeof *bigger);
    }
    o->slots = bigger;
    moth_slots *s = &bigger[o->n_slots];
    *s = (moth_slots){ .parameter = parameter };
    MOTH_TRY(make_slots(o, s));
    moth_tensor_retain(parameter);
    o->n_slots++;
    *out = s;
    return MOTH_OK;
}

/* ---- steps ---- */

double moth_optimizer_rate(const moth_optimizer *o)
{
    if (o->rate == o->rate) {
        return o->rate;
    }
    return moth_schedule_rate(moth_value_get(o->config, "learning_rate"), o->iterations);
}

moth_status moth_optimizer_set_rate(moth_optimizer *o, double rate)
{
    if (!(rate >= 0 && rate < MOTH_NO_LIMIT)) {
        return moth_fail(o->ctx, MOTH_ERR_ARGUMENT, "learning_rate: must be a number from 0, got %g", rate);
    }
    o->rate = rate;
    return MOTH_OK;
}

void moth_optimizer_prepare(moth_optimizer *o)
{
    double hyper[MOTH_UPDATE_HYPER_MAX] = { 0 }, rate = moth_optimizer_rate(o);
    hyper[MOTH_UPDATE_DECAY] = moth_config_number(o->config, "weight_decay") * rate;
    o->type->hyper(o, rate, (double)o->iterations + 1, hyper);
    for (int k = 0; k < MOTH_UPDATE_HYPER_MAX; k++) {
        moth_tensor_reals(o->hyper)[k] = (moth_real)hyper[k];
    }
}

void moth_optimizer_advance(moth_optimizer *o)
{
    o->iterations++;
}

/* ---- emitting ---- */

static moth_tensor *square_sum(moth_pass *pass, moth_tensor *g)
{
    return moth_emit_sum(pass->scope, MOTH_DO(pass->scope, square, NULL, g));
}

/* g c / max(norm, c): as it is where the norm is at most c */
static moth_tensor *limited(moth_pass *pass, moth_tensor *g, moth_tensor *norm, double c)
{
    moth_tensor *limit = moth_emit_constant(pass->scope, c);
    moth_tensor *factor = MOTH_DO(pass->scope, div, NULL, limit, MOTH_DO(pass->scope, maximum, NULL, norm, limit));
    return MOTH_DO(pass->scope, mul, NULL, g, factor);
}

/* The norm over all gradients; NULL where it is not needed. */
static moth_tensor *global_norm(moth_optimizer *o, moth_pass *pass, int n, moth_tensor *const *gradients)
{
    moth_tensor *sum = NULL;
    for (int i = 0; i < n && moth_config_has(o->config, "global_clipnorm"); i++) {
        if (gradients[i]) {
            moth_tensor *squares = square_sum(pass, gradients[i]);
            sum = sum ? MOTH_DO(pass->scope, add, NULL, sum, squares) : squares;
        }
    }
    return sum ? MOTH_DO(pass->scope, sqrt, NULL, sum) : NULL;
}

static moth_tensor *clipped(moth_optimizer *o, moth_pass *pass, moth_tensor *g, moth_tensor *norm_of_all)
{
    if (norm_of_all) {
        return limited(pass, g, norm_of_all, moth_config_number(o->config, "global_clipnorm"));
    }
    if (moth_config_has(o->config, "clipnorm")) {
        return limited(pass, g, MOTH_DO(pass->scope, sqrt, NULL, square_sum(pass, g)),
                       moth_config_number(o->config, "clipnorm"));
    }
    if (moth_config_has(o->config, "clipvalue")) {
        double v = moth_config_number(o->config, "clipvalue");
        return moth_emit_clamped(pass->scope, g, -v, v);
    }
    return g;
}

static moth_status emit_update(moth_optimizer *o, moth_pass *pass, moth_tensor *parameter, moth_tensor *g)
{
    moth_slots *s;
    MOTH_TRY(moth_optimizer_slots(o, parameter, &s));
    moth_tensor *in[3 + MOTH_MAX_SLOTS] = { parameter, g, o->hyper, s->slot[0], s->slot[1], s->slot[2] };
    int n_in = 3 + MOTH_MAX_SLOTS;
    while (n_in > 3 && !in[n_in - 1]) {
        n_in--;
    }
    moth_attrs attrs = { .i = { o->type->nesterov && moth_config_bool(o->config, o->type->nesterov) } };
    moth_tensor *none[1];
    if (pass->scope->status == MOTH_OK) {
        pass->scope->emit(pass->scope, moth_op_of(pass->ctx, o->type->op), &attrs, n_in, in, none);
    }
    return pass->scope->status;
}

static moth_status emit_constraint(moth_pass *pass, moth_tensor *parameter, const moth_value *constraint)
{
    if (moth_value_kind_of(constraint) == MOTH_NIL) {
        return MOTH_OK;
    }
    /* A trace reads a variable as the run found it, or as an assignment in the trace left it; an update is neither. */
    moth_tensor *updated = MOTH_DO(pass->scope, contiguous, NULL, parameter);
    if (updated && updated->node) {
        updated->node->in_order = true;
    }
    moth_tensor *in[2] = { parameter, moth_constrain(pass, constraint, updated) }, *none[1];
    if (pass->scope->status == MOTH_OK) {
        pass->scope->emit(pass->scope, moth_op_of(pass->ctx, MOTH_OP_assign), NULL, 2, in, none);
    }
    return pass->scope->status;
}

moth_status moth_optimizer_emit(moth_optimizer *o, moth_pass *pass, int n, moth_tensor *const *parameters,
                                moth_tensor *const *gradients, const moth_value *const *constraints)
{
    moth_tensor *norm = global_norm(o, pass, n, gradients);
    for (int i = 0; i < n; i++) {
        if (gradients[i]) {
            MOTH_TRY(emit_update(o, pass, parameters[i], clipped(o, pass, gradients[i], norm)));
        }
    }
    for (int i = 0; i < n && constraints; i++) {
        MOTH_TRY(emit_constraint(pass, parameters[i], constraints[i]));
    }
    return pass->scope->status;
}

moth_status moth_optimizer_step(moth_optimizer *o, int n, moth_tensor *const *parameters)
{
    moth_scope scope;
    bool grad_before = o->ctx->grad_enabled;
    moth_tensor **gradients = moth_calloc(((size_t)n + 1) * sizeof(moth_tensor *));
    if (!gradients) {
        return moth_fail_memory(o->ctx, n * 8);
    }
    for (int i = 0; i < n; i++) {
        gradients[i] = parameters[i]->grad;
    }
    moth_scope_open(&scope, o->ctx);
    moth_pass pass = { .ctx = o->ctx, .scope = &scope, .training = true };
    o->ctx->grad_enabled = false;
    moth_optimizer_prepare(o);
    moth_status status = moth_optimizer_emit(o, &pass, n, parameters, gradients, NULL);
    o->ctx->grad_enabled = grad_before;
    moth_scope_close(&scope, 0, NULL, NULL);
    moth_free(gradients);
    if (status == MOTH_OK) {
        moth_optimizer_advance(o);
    }
    return status;
}
