/* What the update ops read at run time: `hyper`, a float32 vector that the trainer fills anew before each step. Which
 * number lies where is listed here, with the slots (tensors of the variable's shape) in the order of the inputs.
 *
 *   update_NAME (w, g, hyper, slots…)
 *
 * Numbers such as 1 - beta are entries of their own, because beta rounded to float32 would spoil the difference. t is
 * the number of the step, 1 for the first. Formulas are Keras 3's (keras/src/optimizers). */
#ifndef MOTH_OPS_UPDATE_H
#define MOTH_OPS_UPDATE_H

enum {
    MOTH_UPDATE_RATE = 0,  /* learning rate, for some optimizers times a correction (below) */
    MOTH_UPDATE_DECAY = 1, /* weight decay times learning rate: w -= w * this before the update; 0: none */
    MOTH_UPDATE_OWN = 2    /* the first number of the optimizer's own */
};

/* rate: lr. slots: m, only with momentum. attribute i[0] nesterov. */
enum { MOTH_SGD_MOMENTUM = MOTH_UPDATE_OWN, MOTH_SGD_HYPER };
enum { MOTH_SGD_NESTEROV = 0 };

/* rate: lr. slots: v; b (NULL or left out without momentum); mean (left out unless centered). */
enum {
    MOTH_RMSPROP_RHO = MOTH_UPDATE_OWN,
    MOTH_RMSPROP_1_RHO, /* 1 - rho */
    MOTH_RMSPROP_EPSILON,
    MOTH_RMSPROP_MOMENTUM,
    MOTH_RMSPROP_HYPER
};

/* rate: lr sqrt(1 - beta_2^t) / (1 - beta_1^t). slots: m, v; vhat only with amsgrad. */
enum {
    MOTH_ADAM_1_BETA_1 = MOTH_UPDATE_OWN, /* 1 - beta_1 */
    MOTH_ADAM_1_BETA_2,                   /* 1 - beta_2 */
    MOTH_ADAM_EPSILON,
    MOTH_ADAM_HYPER
};

/* rate: lr. slots: accumulator, which starts at initial_accumulator_value. */
enum { MOTH_ADAGRAD_EPSILON = MOTH_UPDATE_OWN, MOTH_ADAGRAD_HYPER };

/* rate: lr. slots: accumulated g^2, accumulated delta^2. */
enum {
    MOTH_ADADELTA_RHO = MOTH_UPDATE_OWN,
    MOTH_ADADELTA_1_RHO, /* 1 - rho */
    MOTH_ADADELTA_EPSILON,
    MOTH_ADADELTA_HYPER
};

/* rate: lr / (1 - beta_1^t). slots: m, u. */
enum {
    MOTH_ADAMAX_1_BETA_1 = MOTH_UPDATE_OWN, /* 1 - beta_1 */
    MOTH_ADAMAX_BETA_2,
    MOTH_ADAMAX_EPSILON,
    MOTH_ADAMAX_HYPER
};

/* rate: lr. slots: m, v. With u(t) = beta_1 (1 - 0.96^t / 2) and U(t) = u(1) … u(t): */
enum {
    MOTH_NADAM_1_BETA_1 = MOTH_UPDATE_OWN, /* 1 - beta_1 */
    MOTH_NADAM_1_BETA_2,                   /* 1 - beta_2 */
    MOTH_NADAM_M_FACTOR,                   /* u(t + 1) / (1 - U(t + 1)) */
    MOTH_NADAM_G_FACTOR,                   /* (1 - u(t)) / (1 - U(t)) */
    MOTH_NADAM_V_DIVISOR,                  /* 1 - beta_2^t */
    MOTH_NADAM_EPSILON,
    MOTH_NADAM_HYPER
};

/* rate: lr. slots: m. */
enum {
    MOTH_LION_BETA_1 = MOTH_UPDATE_OWN,
    MOTH_LION_1_BETA_1, /* 1 - beta_1 */
    MOTH_LION_BETA_2,
    MOTH_LION_1_BETA_2, /* 1 - beta_2 */
    MOTH_LION_HYPER
};

/* Entries that serve any of them. */
#define MOTH_UPDATE_HYPER_MAX 8

#endif
