/* The table of optimizers: options with Keras 3's defaults, slots, and the numbers that each one passes to its update
 * op at step t, counted from 1 (arithmetic of Keras 3, optimizers/). */
#include <math.h>

#include "ops/update.h"
#include "train/optimizer_type.h"

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

/* `place` is the option's place among the positionals, as in Keras's signatures; 0: by name only. */
#define NUMBER(place, name_, fallback_, low_, high_)                                                      \
    {                                                                                                     \
        .name = name_, .kind = MOTH_OPTION_NUMBER, .fallback = fallback_, .position = place, .low = low_, \
        .high = high_                                                                                     \
    }
#define RATE(fallback_)                                                                                    \
    {                                                                                                      \
        .name = "learning_rate", .kind = MOTH_OPTION_RATE, .spec = &moth_schedules, .fallback = fallback_, \
        .position = 1, .low = 0, .high = MOTH_NO_LIMIT, .doc = "a number or a schedule"                    \
    }
#define BETAS(place, first, second) NUMBER(place, "beta_1", first, 0, 1), NUMBER((place) + 1, "beta_2", second, 0, 1)
#define EPSILON(place) NUMBER(place, "epsilon", "1e-7", 0, MOTH_NO_LIMIT)
#define COMMON(place, decay)                                                                                  \
    NUMBER(place, "weight_decay", decay, 0, MOTH_NO_LIMIT), NUMBER(0, "clipnorm", NULL, 0, MOTH_NO_LIMIT),    \
        NUMBER(0, "clipvalue", NULL, 0, MOTH_NO_LIMIT), NUMBER(0, "global_clipnorm", NULL, 0, MOTH_NO_LIMIT), \
        MOTH_OPTIONS_END
#define FLAG(place, name_)                                                              \
    {                                                                                   \
        .name = name_, .kind = MOTH_OPTION_BOOL, .fallback = "false", .position = place \
    }

static const moth_option sgd_options[] = { RATE("0.01"), NUMBER(2, "momentum", "0", 0, 1), FLAG(3, "nesterov"),
                                           COMMON(4, NULL) };
static const moth_option rmsprop_options[] = {
    RATE("0.001"), NUMBER(2, "rho", "0.9", 0, 1), NUMBER(3, "momentum", "0", 0, 1),
    EPSILON(4),    FLAG(5, "centered"),           COMMON(6, NULL)
};
static const moth_option adam_options[] = { RATE("0.001"), BETAS(2, "0.9", "0.999"), EPSILON(4), FLAG(5, "amsgrad"),
                                            COMMON(6, NULL) };
static const moth_option adamw_options[] = { RATE("0.001"), BETAS(3, "0.9", "0.999"), EPSILON(5), FLAG(6, "amsgrad"),
                                             COMMON(2, "0.004") };
static const moth_option adagrad_options[] = { RATE("0.001"),
                                               NUMBER(2, "initial_accumulator_value", "0.1", 0, MOTH_NO_LIMIT),
                                               EPSILON(3), COMMON(4, NULL) };
static const moth_option adadelta_options[] = { RATE("0.001"), NUMBER(2, "rho", "0.95", 0, 1), EPSILON(3),
                                                COMMON(4, NULL) };
static const moth_option adamax_options[] = { RATE("0.001"), BETAS(2, "0.9", "0.999"), EPSILON(4), COMMON(5, NULL) };
static const moth_option lion_options[] = { RATE("0.001"), BETAS(2, "0.9", "0.99"), COMMON(4, NULL) };

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
const moth_kind moth_optimizers = { "optimizer", "optimizers", entries, NULL, false, NULL };
