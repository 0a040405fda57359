/* Rows of option tables that many layers share. */
#ifndef MOTH_NN_LAYER_OPTIONS_H
#define MOTH_NN_LAYER_OPTIONS_H

#include "nn/emit.h"
#include "nn/functions.h"

#define MOTH_OPTION_ACTIVATION(place)                                                                    \
    {                                                                                                    \
        .name = "activation", .kind = MOTH_OPTION_SPEC, .spec = &moth_activations, .fallback = "linear", \
        .position = place, .doc = "what is applied to the result"                                        \
    }
#define MOTH_OPTION_INITIALIZER(name_, fallback_)                                                  \
    {                                                                                              \
        .name = name_, .kind = MOTH_OPTION_SPEC, .spec = &moth_initializers, .fallback = fallback_ \
    }
#define MOTH_OPTION_REGULARIZER(name_)                                      \
    {                                                                       \
        .name = name_, .kind = MOTH_OPTION_SPEC, .spec = &moth_regularizers \
    }
#define MOTH_OPTION_CONSTRAINT(name_)                                      \
    {                                                                      \
        .name = name_, .kind = MOTH_OPTION_SPEC, .spec = &moth_constraints \
    }
#define MOTH_OPTION_USE_BIAS                                                                       \
    {                                                                                              \
        .name = "use_bias", .kind = MOTH_OPTION_BOOL, .fallback = "true", .doc = "is a bias added" \
    }

/* kernel and bias: how they start, what punishes them, what they must satisfy */
#define MOTH_OPTIONS_KERNEL_BIAS                                                                             \
    MOTH_OPTION_USE_BIAS, MOTH_OPTION_INITIALIZER("kernel_initializer", "glorot_uniform"),                   \
        MOTH_OPTION_INITIALIZER("bias_initializer", "zeros"), MOTH_OPTION_REGULARIZER("kernel_regularizer"), \
        MOTH_OPTION_REGULARIZER("bias_regularizer"), MOTH_OPTION_REGULARIZER("activity_regularizer"),        \
        MOTH_OPTION_CONSTRAINT("kernel_constraint"), MOTH_OPTION_CONSTRAINT("bias_constraint")

/* Adds a variable `name` whose specs are the options name_initializer, name_regularizer and name_constraint. */
moth_status moth_layer_add_weight(moth_layer *layer, moth_ctx *ctx, const char *name, int rank, const int64_t *shape);

#endif
