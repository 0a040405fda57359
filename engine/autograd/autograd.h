/* Reverse-mode differentiation over recorded nodes, the same for concrete and symbolic tensors. */
#ifndef MOTH_AUTOGRAD_AUTOGRAD_H
#define MOTH_AUTOGRAD_AUTOGRAD_H

#include "graph/graph.h"

/* Gradients of sum_k <seed_k, y_k> with respect to each x: dx[i] is a new reference, NULL where y does not depend on
 * x[i]. seeds[k] has the shape of y[k]. Gradient rules run with recording off (second derivatives are unsupported).
 * Fails with MOTH_ERR_STATE where a saved value was changed in place, naming the op, or where the graph was released.
 */
moth_status moth_gradients(moth_ctx *ctx, int n_y, moth_tensor *const *y, moth_tensor *const *seeds, int n_x,
                           moth_tensor *const *x, moth_tensor **dx);

/* Eager loss:backward(): adds to t->grad of every leaf with requires_grad that y depends on, then frees what the tape
 * saved. gradient: what is passed back to y, of its shape; NULL where y has one element: 1. All or nothing: on failure
 * no grad has changed. */
moth_status moth_backward(moth_ctx *ctx, moth_tensor *y, moth_tensor *gradient);

#endif
