/* Optimizers: options, slots, the numbers that change from step to step. The arithmetic itself is in the update ops
 * (ops/update.h). */
#ifndef MOTH_TRAIN_OPTIMIZER_H
#define MOTH_TRAIN_OPTIMIZER_H

#include "nn/functions.h"

#define MOTH_MAX_SLOTS 3

extern const moth_kind moth_optimizers, moth_schedules;

/* The learning rate of a schedule at a step, 0 first. */
double moth_schedule_rate(const moth_value *schedule, int64_t step);

/* What an optimizer keeps for one parameter. */
typedef struct moth_slots {
    moth_tensor *parameter;            /* owned reference */
    moth_tensor *slot[MOTH_MAX_SLOTS]; /* owned; NULL where this configuration has none */
} moth_slots;

typedef struct moth_optimizer {
    int references;
    moth_ctx *ctx;
    const struct moth_optimizer_type *type;
    moth_value *config; /* normalized spec; learning_rate is a number or a schedule */
    int64_t iterations; /* steps done */
    double rate;        /* set by moth_optimizer_set_rate; NaN: what config says */
    moth_tensor *hyper; /* what the update ops read */
    int n_slots;
    moth_slots *slots;
    double product; /* of Nadam's momentum schedule up to product_steps */
    int64_t product_steps;
} moth_optimizer;

/* From a spec: a name or a map with "class" and options. */
moth_status moth_optimizer_new(moth_ctx *ctx, const moth_value *spec, moth_optimizer **out);
moth_optimizer *moth_optimizer_retain(moth_optimizer *optimizer);
void moth_optimizer_release(moth_optimizer *optimizer); /* NULL is allowed */

/* Forgets slots and steps. */
void moth_optimizer_clear(moth_optimizer *optimizer);

/* Slots of a parameter, made (zeros, or as the optimizer starts them) when they are not there yet. Borrowed. */
moth_status moth_optimizer_slots(moth_optimizer *optimizer, moth_tensor *parameter, moth_slots **out);
/* Name of slot k ("momentum", "velocity"); NULL where this configuration has none. */
const char *moth_optimizer_slot_name(const moth_optimizer *optimizer, int k);

/* Emits clipping, the update of every parameter whose gradient is not NULL, and the constraints (spec or NULL for each
 * parameter; the list may be NULL). Runs at once on tensors with data; recorded as effects while tracing. */
moth_status moth_optimizer_emit(moth_optimizer *optimizer, moth_pass *pass, int n, moth_tensor *const *parameters,
                                moth_tensor *const *gradients, const moth_value *const *constraints);

/* Puts the numbers of the coming step into hyper; advance counts it as done. */
void moth_optimizer_prepare(moth_optimizer *optimizer);
void moth_optimizer_advance(moth_optimizer *optimizer);

/* The learning rate of the coming step. Setting it replaces a schedule. */
double moth_optimizer_rate(const moth_optimizer *optimizer);
moth_status moth_optimizer_set_rate(moth_optimizer *optimizer, double rate);

/* One eager step for custom loops: updates every parameter from its grad. */
moth_status moth_optimizer_step(moth_optimizer *optimizer, int n, moth_tensor *const *parameters);

#endif
