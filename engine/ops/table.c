/* The op table of one CPU variant, in the order of ops.def. */
#include "ops/op.h"

const moth_op *const MOTH_PASTE(moth_ops, MOTH_VARIANT)[MOTH_OP_COUNT] = {
#define X(name) [MOTH_OP_##name] = &MOTH_OP(name),
#include "ops/ops.def"
#undef X
};
