/* The table of optimizers, and what they share: slots, clipping, weight decay, schedules. Defaults and arithmetic are
 * Keras 3's (optimizers/). */
#include "train/optimizer.h"

#include <math.h>
#include <string.h>

#include "nn/emit.h"
#include "ops/update.h"

typedef struct moth_optimizer_type {
    moth_entry entry;
    moth_op_id op;
    const char *slots[MOTH_MAX_SLOTS];                                    /* names; NULL: fewer */
    bool (*has_slot)(const moth_value *config, int k);                    /* NULL: all of them */
    void (*hyper)(moth_optimizer *o, double rate, double t, double *out); /* fills what comes after the decay */
    const char *nesterov;   /* option that becomes attribute i[0]; NULL: none */
    const char *slot_start; /* option with the start value of slots; NULL: zeros */
} moth_optimizer_type;

static double number(const moth_optimizer *o, const char *name)
{
    return moth_config_number(o->config, name);
}

/* ---- what each one passes to its op ---- */

static void sgd_hyper(moth_optimizer *o, double rate, double t, double *out)
{
    (void)t;
    out[MOTH_UPDATE_RATE] = rate;
    out[MOTH_SGD_MOMENTUM] = number(o, "momentum");
}

static bool sgd_slot(const moth_value *config, int k)
{
    return k == 0 && moth_config_number(config, "momentum") != 0;
}

static void rmsprop_hyper(moth_optimizer *o, double rate, double t, double *out)
{
    (void)t;
    out[MOTH_UPDATE_RATE] = rate;
    out[MOTH_RMSPROP_RHO] = number(o, "rho");
    out[MOTH_RMSPROP_1_RHO] = 1 - number(o, "rho");
    out[MOTH_RMSPROP_EPSILON] = number(o, "epsilon");
    out[MOTH_RMSPROP_MOMENTUM] = number(o, "momentum");
}

static bool rmsprop_slot(const moth_value *config, int k)
{
    return k == 0 || (k == 1 && moth_config_number(config, "momentum") != 0) ||
           (k == 2 && moth_config_bool(config, "centered"));
}

static void adam_hyper(moth_optimizer *o, double rate, double t, double *out)
{
    double b1 = number(o, "beta_1"), b2 = number(o, "beta_2");
    out[MOTH_UPDATE_RATE] = rate * sqrt(1 - pow(b2, t)) / (1 - pow(b1, t));
    out[MOTH_ADAM_1_BETA_1] = 1 - b1;
    out[MOTH_ADAM_1_BETA_2] = 1 - b2;
    out[MOTH_ADAM_EPSILON] = number(o, "epsilon");
}

static bool adam_slot(const moth_value *config, int k)
{
    return k < 2 || moth_config_bool(config, "amsgrad");
}

static void adagrad_hyper(moth_optimizer *o, double rate, double t, double *out)
{
    (void)t;
    out[MOTH_UPDATE_RATE] = rate;
    out[MOTH_ADAGRAD_EPSILON] = number(o, "epsilon");
}

static void adadelta_hyper(moth_optimizer *o, double rate, double t, double *out)
{
    (void)t;
    out[MOTH_UPDATE_RATE] = rate;
    out[MOTH_ADADELTA_RHO] = number(o, "rho");
    out[MOTH_ADADELTA_1_RHO] = 1 - number(o, "rho");
    out[MOTH_ADADELTA_EPSILON] = number(o, "epsilon");
}

static void adamax_hyper(moth_optimizer *o, double rate, double t, double *out)
{
    out[MOTH_UPDATE_RATE] = rate / (1 - pow(number(o, "beta_1"), t));
    out[MOTH_ADAMAX_1_BETA_1] = 1 - number(o, "beta_1");
    out[MOTH_ADAMAX_BETA_2] = number(o, "beta_2");
    out[MOTH_ADAMAX_EPSILON] = number(o, "epsilon");
}

static double nadam_u(double b1, double t)
{
    return b1 * (1 - 0.5 * pow(0.96, t));
}

/* The product runs over all steps; it is carried on, and worked out anew after a load. */
static void nadam_hyper(moth_optimizer *o, double rate, double t, double *out)
{
    double b1 = number(o, "beta_1"), b2 = number(o, "beta_2");
    if (o->product_steps > (int64_t)t || o->product_steps == 0) {
        o->product = 1;
        o->product_steps = 0;
    }
    while (o->product_steps < (int64_t)t) {
        o->product *= nadam_u(b1, (double)++o->product_steps);
    }
    double now = nadam_u(b1, t), next = nadam_u(b1, t + 1);
    out[MOTH_UPDATE_RATE] = rate;
    out[MOTH_NADAM_1_BETA_1] = 1 - b1;
    out[MOTH_NADAM_1_BETA_2] = 1 - b2;
    out[MOTH_NADAM_M_FACTOR] = next / (1 - o->product * next);
    out[MOTH_NADAM_G_FACTOR] = (1 - now) / (1 - o->product);
    out[MOTH_NADAM_V_DIVISOR] = 1 - pow(b2, t);
    out[MOTH_NADAM_EPSILON] = number(o, "epsilon");
}

static void lion_hyper(moth_optimizer *o, double rate, double t, double *out)
{
    (void)t;
    out[MOTH_UPDATE_RATE] = rate;
    out[MOTH_LION_BETA_1] = number(o, "beta_1");
    out[MOTH_LION_1_BETA_1] = 1 - number(o, "beta_1");
    out[MOTH_LION_BETA_2] = number(o, "beta_2");
    out[MOTH_LION_1_BETA_2] = 1 - number(o, "beta_2");
}

/* ---- options ---- */

#define NUMBER(name_, fallback_, low_, high_)                                                        \
    {                                                                                                \
        .name = name_, .kind = MOTH_OPTION_NUMBER, .fallback = fallback_, .low = low_, .high = high_ \
    }
#define RATE(fallback_)                                                                                    \
    {                                                                                                      \
        .name = "learning_rate", .kind = MOTH_OPTION_RATE, .spec = &moth_schedules, .fallback = fallback_, \
        .position = 1, .low = 0, .high = MOTH_NO_LIMIT, .doc = "a number or a schedule"                    \
    }
#define BETAS(first, second) NUMBER("beta_1", first, 0, 1), NUMBER("beta_2", second, 0, 1)
#define EPSILON NUMBER("epsilon", "1e-7", 0, MOTH_NO_LIMIT)
#define COMMON(decay)                                                                                           \
    { .name = "weight_decay", .kind = MOTH_OPTION_NUMBER, .fallback = decay, .low = 0, .high = MOTH_NO_LIMIT }, \
        NUMBER("clipnorm", NULL, 0, MOTH_NO_LIMIT), NUMBER("clipvalue", NULL, 0, MOTH_NO_LIMIT),                \
        NUMBER("global_clipnorm", NULL, 0, MOTH_NO_LIMIT), MOTH_OPTIONS_END
#define FLAG(name_)                                                  \
    {                                                                \
        .name = name_, .kind = MOTH_OPTION_BOOL, .fallback = "false" \
    }

static const moth_option sgd_options[] = { RATE("0.01"), NUMBER("momentum", "0", 0, 1), FLAG("nesterov"),
                                           COMMON(NULL) };
static const moth_option rmsprop_options[] = { RATE("0.001"), NUMBER("rho", "0.9", 0, 1), NUMBER("momentum", "0", 0, 1),
                                               EPSILON,       FLAG("centered"),           COMMON(NULL) };
static const moth_option adam_options[] = { RATE("0.001"), BETAS("0.9", "0.999"), EPSILON, FLAG("amsgrad"),
                                            COMMON(NULL) };
static const moth_option adamw_options[] = { RATE("0.001"), BETAS("0.9", "0.999"), EPSILON, FLAG("amsgrad"),
                                             COMMON("0.004") };
static const moth_option adagrad_options[] = { RATE("0.001"),
                                               NUMBER("initial_accumulator_value", "0.1", 0, MOTH_NO_LIMIT), EPSILON,
                                               COMMON(NULL) };
static const moth_option adadelta_options[] = { RATE("0.001"), NUMBER("rho", "0.95", 0, 1), EPSILON, COMMON(NULL) };
static const moth_option adamax_options[] = { RATE("0.001"), BETAS("0.9", "0.999"), EPSILON, COMMON(NULL) };
static const moth_option lion_options[] = { RATE("0.001"), BETAS("0.9", "0.99"), COMMON(NULL) };

/* ---- the table ---- */

static const moth_optimizer_type sgd = {
    .entry = { "SGD", "stochastic gradient descent, with momentum if wanted", sgd_options },
    .op = MOTH_OP_update_sgd,
    .slots = { "momentum" },
    .has_slot = sgd_slot,
    .hyper = sgd_hyper,
    .nesterov = "nesterov",
};
static const moth_optimizer_type rmsprop = {
    .entry = { "RMSprop", "gradients over the root of their running mean square (Hinton 2012)", rmsprop_options },
    .op = MOTH_OP_update_rmsprop,
    .slots = { "velocity", "momentum", "average_gradient" },
    .has_slot = rmsprop_slot,
    .hyper = rmsprop_hyper,
};
static const moth_optimizer_type adam = {
    .entry = { "Adam", "adaptive moments (Kingma and Ba 2014)", adam_options },
    .op = MOTH_OP_update_adam,
    .slots = { "momentum", "velocity", "velocity_hat" },
    .has_slot = adam_slot,
    .hyper = adam_hyper,
};
static const moth_optimizer_type adamw = {
    .entry = { "AdamW", "Adam with decoupled weight decay (Loshchilov and Hutter 2019)", adamw_options },
    .op = MOTH_OP_update_adam,
    .slots = { "momentum", "velocity", "velocity_hat" },
    .has_slot = adam_slot,
    .hyper = adam_hyper,
};
static const moth_optimizer_type adagrad = {
    .entry = { "Adagrad", "gradients over the root of their sum of squares (Duchi et al. 2011)", adagrad_options },
    .op = MOTH_OP_update_adagrad,
    .slots = { "accumulator" },
    .hyper = adagrad_hyper,
    .slot_start = "initial_accumulator_value",
};
static const moth_optimizer_type adadelta = {
    .entry = { "Adadelta", "steps scaled by running means of steps and gradients (Zeiler 2012)", adadelta_options },
    .op = MOTH_OP_update_adadelta,
    .slots = { "accumulated_gradient", "accumulated_delta" },
    .hyper = adadelta_hyper,
};
static const moth_optimizer_type adamax = {
    .entry = { "Adamax", "Adam with the infinity norm (Kingma and Ba 2014)", adamax_options },
    .op = MOTH_OP_update_adamax,
    .slots = { "momentum", "norm" },
    .hyper = adamax_hyper,
};
static const moth_optimizer_type nadam = {
    .entry = { "Nadam", "Adam with Nesterov momentum (Dozat 2016)", adamax_options },
    .op = MOTH_OP_update_nadam,
    .slots = { "momentum", "velocity" },
    .hyper = nadam_hyper,
};
static const moth_optimizer_type lion = {
    .entry = { "Lion", "sign of an interpolated momentum (Chen et al. 2023)", lion_options },
    .op = MOTH_OP_update_lion,
    .slots = { "momentum" },
    .hyper = lion_hyper,
};

static const moth_entry *const entries[] = { &sgd.entry,    &rmsprop.entry, &adam.entry,
                                             &adamw.entry,  &adagrad.entry, &adadelta.entry,
                                             &adamax.entry, &nadam.entry,   &lion.entry,
                                             NULL };
const moth_kind moth_optimizers = { "optimizer", "optimizers", entries, NULL, false };

/* ---- life ---- */

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
        double start = o->type->slot_start ? number(o, o->type->slot_start) : 0;
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
    hyper[MOTH_UPDATE_DECAY] = number(o, "weight_decay") * rate;
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
        return limited(pass, g, norm_of_all, number(o, "global_clipnorm"));
    }
    if (moth_config_has(o->config, "clipnorm")) {
        return limited(pass, g, MOTH_DO(pass->scope, sqrt, NULL, square_sum(pass, g)), number(o, "clipnorm"));
    }
    if (moth_config_has(o->config, "clipvalue")) {
        double v = number(o, "clipvalue");
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
    moth_tensor *in[2] = { parameter, moth_constrain(pass, constraint, parameter) }, *none[1];
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
