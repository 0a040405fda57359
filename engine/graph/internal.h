/* Shared by the files of the graph layer and by the plan, which runs the same calls. */
#ifndef MOTH_GRAPH_INTERNAL_H
#define MOTH_GRAPH_INTERNAL_H

#include "graph/graph.h"

moth_status moth_node_new(moth_ctx *ctx, const moth_op *op, const moth_attrs *attrs, int n_in, int n_out,
                          moth_node **out);

/* Number of rows a row kernel covers: dim 0 of its first output (or of input 0 where it has none), 1 for rank 0. */
int64_t moth_call_rows(const moth_call *call);

/* Elements of one such row, for the size of slices. */
int64_t moth_call_row_elements(const moth_call *call);

void moth_arg_of(moth_arg *arg, const moth_tensor *t);

/* Runs a call whose outputs are allocated: slices or pieces on the pool. A fault becomes MOTH_ERR_INDEX on ctx. */
moth_status moth_call_run(moth_ctx *ctx, moth_call *call);

/* Puts a mutating node on the effects of the running trace. */
moth_status moth_trace_effect(moth_ctx *ctx, moth_node *node);

#endif
