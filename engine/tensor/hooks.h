/* What a tensor needs of the parts above it: the graph layer fills this table, so that tensors can own history
 * without knowing what it is. */
#ifndef MOTH_TENSOR_HOOKS_H
#define MOTH_TENSOR_HOOKS_H

#include "tensor/tensor.h"

typedef struct moth_tensor_hooks {
    void (*retain_node)(struct moth_node *node);
    void (*release_node)(struct moth_node *node);
} moth_tensor_hooks;

extern moth_tensor_hooks moth_hooks;

#endif
