/* Small functions over ops that have names: activations, initializers, regularizers, constraints. Each table entry is
 * a spec (see option.h). */
#ifndef MOTH_NN_FUNCTIONS_H
#define MOTH_NN_FUNCTIONS_H

#include "nn/layer.h"

extern const moth_kind moth_activations, moth_initializers, moth_regularizers, moth_constraints;

/* y = activation(x), the same shape; spec nil means x itself. NULL after a failure (left on the scope). */
moth_tensor *moth_activate(moth_pass *pass, const moth_value *spec, moth_tensor *x);

/* The activation of that name, its options members of `config`: of a layer that has them as its own. */
moth_tensor *moth_activate_as(moth_pass *pass, const char *name, const moth_value *config, moth_tensor *x);

/* Fills t (float32, contiguous) with initial values: a function of the spec, t's shape, seed and stream. Fans as Keras
 * takes them: the first `inputs` dims are fan-in, the rest fan-out; with 0 the last dim is fan-out, the one before it
 * fan-in, all others the receptive field. nil: zeros. */
moth_status moth_initialize(moth_ctx *ctx, const moth_value *spec, moth_tensor *t, int inputs, uint64_t seed,
                            uint64_t stream);

/* The penalty of w as a 0-d tensor; NULL for nil or after a failure. */
moth_tensor *moth_regularize(moth_pass *pass, const moth_value *spec, moth_tensor *w);

/* What w must become after an update; NULL for nil. */
moth_tensor *moth_constrain(moth_pass *pass, const moth_value *spec, moth_tensor *w);

#endif
