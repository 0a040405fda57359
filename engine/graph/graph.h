/* moth_apply: the one place where a computation happens. On tensors with data it runs the op at once and, where a
 * gradient will be wanted, records it; on symbolic tensors it only records it. */
#ifndef MOTH_GRAPH_GRAPH_H
#define MOTH_GRAPH_GRAPH_H

#include "ops/op.h"

/* One recorded application. Shared by its outputs and by the nodes that use them; owns its inputs. */
typedef struct moth_node {
    int64_t references;
    const moth_op *op; /* NULL: a placeholder */
    moth_attrs attrs;
    uint64_t serial; /* grows with every node of the process: a topological order */
    int n_in, n_out;
    moth_tensor **in;        /* owned handles of the node's own (leaves: the leaf itself); NULL for an absent input;
                                without storage where the gradient does not need the data */
    uint64_t *version;       /* of each saved input's storage when it was recorded */
    moth_meta *out_meta;     /* n_out */
    moth_tensor **saved_out; /* n_out; eager: outputs that the gradient needs, without history (no cycle); or NULL */
    uint64_t *out_version;
    bool symbolic;
    bool in_order; /* recorded: it reads variables as the effects before it left them, not as the run found them */
    struct moth_callback *owner;   /* what an op that was made at run time stands on; released with the node */
    struct moth_node *doomed_next; /* while being freed */
    bool released;                 /* backward ran and let go of what was saved */
} moth_node;

void moth_node_retain(moth_node *node);
void moth_node_release(moth_node *node); /* iterative: a chain of a million nodes is fine */

/* Runs or records op. out receives op->n_out new references (hidden outputs included when `all`, else n_visible).
 * Absent optional inputs are left out at the end of the list or passed as NULL. Errors name the op and the shapes. */
moth_status moth_apply(moth_ctx *ctx, const moth_op *op, const moth_attrs *attrs, int n_in, moth_tensor *const *in,
                       moth_tensor **out, bool all);

/* One visible output, by id. attrs may be NULL. */
moth_status moth_apply1(moth_ctx *ctx, moth_op_id id, const moth_attrs *attrs, int n_in, moth_tensor *const *in,
                        moth_tensor **out);

static inline const moth_op *moth_op_of(const moth_ctx *ctx, moth_op_id id)
{
    return ctx->ops[id];
}
/* By name; NULL where there is none. */
const moth_op *moth_op_named(const moth_ctx *ctx, const char *name);

/* A new handle on output k of a node, with a reference to the node: how the same value is named twice. */
moth_status moth_node_output(moth_ctx *ctx, moth_node *node, int k, moth_tensor **out);

/* A new handle on the same storage and history as t. */
moth_status moth_tensor_alias(moth_ctx *ctx, const moth_tensor *t, moth_tensor **out);

/* The value that a symbolic tensor is a view of: walks back through recorded view nodes, up to a concrete tensor. */
const moth_tensor *moth_view_root(const moth_tensor *t);

/* A scope owns what is emitted into it. close keeps `results` alive by giving the caller a reference to each and
 * releases the rest; returns the first failure. */
void moth_scope_open(moth_scope *scope, moth_ctx *ctx);
moth_status moth_scope_close(moth_scope *scope, int n, moth_tensor *const *results, moth_tensor **out);
moth_tensor *moth_scope_own(moth_scope *scope, moth_tensor *t); /* hands a reference to the scope; returns t */
void moth_scope_fail(moth_scope *scope, moth_status status);    /* keeps the first; message is already on ctx */

/* Emit by id into a scope: MOTH_DO(scope, mul, NULL, a, b). */
#define MOTH_DO(scope, name, attrs, ...) MOTH_EMIT(scope, moth_op_of((scope)->ctx, MOTH_OP_##name), attrs, __VA_ARGS__)

/* ---- tracing ---- */

/* A trace collects what a traced function assigns to variables (batch-norm statistics, updates): recorded nodes of
 * mutating ops in order, to be run by the plan after the step. */
typedef struct moth_graph {
    moth_node **effects; /* owned references, in order */
    int64_t n_effects, cap_effects;
    struct moth_graph *outer;
} moth_graph;

void moth_trace_begin(moth_ctx *ctx, moth_graph *graph); /* graph zeroed by this call; may nest */
void moth_trace_end(moth_ctx *ctx, moth_graph *graph);   /* the graph keeps its effects until moth_graph_clear */
void moth_graph_clear(moth_graph *graph);

/* What an op that reads t gets while tracing: the value that was last assigned to it, borrowed, or t itself. So a
 * traced function computes with its own changes, as it does eagerly, although they are made after the step. */
moth_tensor *moth_trace_value(const moth_ctx *ctx, moth_tensor *t);

/* A symbolic tensor of the given type and shape (dims < 0 count rows): a placeholder, an input of a plan. */
moth_status moth_placeholder(moth_ctx *ctx, moth_dtype dtype, int rank, const int64_t *shape, moth_tensor **out);

#endif
