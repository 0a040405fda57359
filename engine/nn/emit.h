/* Short forms for functions over ops: each emits into a scope and passes NULL through after a failure. */
#ifndef MOTH_NN_EMIT_H
#define MOTH_NN_EMIT_H

#include "graph/graph.h"
#include "ops/reduce.h"

/* A 0-d constant of the graph. */
moth_tensor *moth_emit_constant(moth_scope *scope, double value);

/* x op value */
moth_tensor *moth_emit_scaled(moth_scope *scope, moth_tensor *x, double factor);
moth_tensor *moth_emit_shifted(moth_scope *scope, moth_tensor *x, double shift);
moth_tensor *moth_emit_clamped(moth_scope *scope, moth_tensor *x, double low, double high);

/* Reductions: over everything, over the last dim, over all dims but the first. */
moth_tensor *moth_emit_sum(moth_scope *scope, moth_tensor *x);
moth_tensor *moth_emit_sum_last(moth_scope *scope, moth_tensor *x, bool keepdim);
moth_tensor *moth_emit_mean_last(moth_scope *scope, moth_tensor *x);
moth_tensor *moth_emit_mean_rows(moth_scope *scope, moth_tensor *x); /* (B, …) -> (B) */

/* x as float32: itself where it is already. */
moth_tensor *moth_emit_float(moth_scope *scope, moth_tensor *x);

/* Class or token ids as int32. They may come as floats, as Keras's do, but only whole ones. */
moth_tensor *moth_emit_ids(moth_scope *scope, moth_tensor *x);

/* x with the shape (n dims; dims < 0 count rows). */
moth_tensor *moth_emit_reshape(moth_scope *scope, moth_tensor *x, int rank, const int64_t *shape);

#endif
