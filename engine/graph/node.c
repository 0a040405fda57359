/* Nodes: what was computed from what. */
#include <stdatomic.h>
#include <string.h>

#include "core/value.h"
#include "graph/internal.h"
#include "tensor/hooks.h"

static atomic_uint_fast64_t next_serial = 1;

void moth_node_retain(moth_node *node)
{
    node->references++;
}

/* Letting go of the last output of a long chain must not recurse through it: nodes whose count reaches zero are put
 * on a list first and taken apart one by one. */
static void take_apart(moth_node *node)
{
    for (int i = 0; i < node->n_in; i++) {
        moth_tensor_release(node->in[i]);
    }
    for (int k = 0; k < node->n_out; k++) {
        moth_tensor_release(node->saved_out[k]);
    }
    moth_callback_release(node->owner);
    moth_free(node);
}

void moth_node_release(moth_node *node)
{
    static _Thread_local bool busy;
    static _Thread_local moth_node *list;
    if (!node || --node->references > 0) {
        return;
    }
    node->doomed_next = list;
    list = node;
    if (busy) {
        return; /* the outermost call below takes it */
    }
    busy = true;
    while (list) {
        moth_node *first = list;
        list = first->doomed_next;
        take_apart(first);
    }
    busy = false;
}

__attribute__((constructor)) static void install_hooks(void)
{
    moth_hooks.retain_node = moth_node_retain;
    moth_hooks.release_node = moth_node_release;
}

moth_status moth_node_new(moth_ctx *ctx, const moth_op *op, const moth_attrs *attrs, int n_in, int n_out,
                          moth_node **out)
{
    size_t ins = (size_t)n_in, outs = (size_t)n_out;
    size_t bytes = sizeof(moth_node) + ins * (sizeof(moth_tensor *) + sizeof(uint64_t)) +
                   outs * (sizeof(moth_tensor *) + sizeof(uint64_t) + sizeof(moth_meta));
    moth_node *node = moth_calloc(bytes); /* with all its lists: an eager op makes one of these */
    if (!node) {
        return moth_fail_memory(ctx, (int64_t)bytes);
    }
    node->references = 1;
    node->op = op;
    node->serial = atomic_fetch_add(&next_serial, 1);
    node->in = (moth_tensor **)(void *)(node + 1);
    node->saved_out = node->in + ins;
    node->version = (uint64_t *)(void *)(node->saved_out + outs);
    node->out_version = node->version + ins;
    node->out_meta = (moth_meta *)(void *)(node->out_version + outs);
    if (attrs) {
        node->attrs = *attrs;
    }
    node->n_in = n_in;
    node->n_out = n_out;
    *out = node;
    return MOTH_OK;
}

moth_status moth_tensor_alias(moth_ctx *ctx, const moth_tensor *t, moth_tensor **out)
{
    moth_tensor *alias;
    MOTH_TRY(moth_tensor_handle(ctx, &t->meta, t->storage, &alias));
    alias->requires_grad = t->requires_grad;
    alias->node = t->node;
    alias->node_output = t->node_output;
    if (t->node) {
        moth_node_retain(t->node);
    }
    *out = alias;
    return MOTH_OK;
}

moth_status moth_node_output(moth_ctx *ctx, moth_node *node, int k, moth_tensor **out)
{
    moth_tensor *t;
    MOTH_TRY(moth_tensor_handle(ctx, &node->out_meta[k], NULL, &t));
    t->node = node;
    t->node_output = k;
    moth_node_retain(node);
    *out = t;
    return MOTH_OK;
}

const moth_tensor *moth_view_root(const moth_tensor *t)
{
    while (!t->storage && t->node && t->node->op && (t->node->op->flags & MOTH_OP_VIEW)) {
        t = t->node->in[0];
    }
    return t;
}

moth_status moth_placeholder(moth_ctx *ctx, moth_dtype dtype, int rank, const int64_t *shape, moth_tensor **out)
{
    if (rank < 0 || rank > MOTH_MAX_RANK) {
        return moth_fail(ctx, MOTH_ERR_SHAPE, "a tensor has 0 to %d dimensions, got %d", MOTH_MAX_RANK, rank);
    }
    moth_node *node = NULL;
    MOTH_TRY(moth_node_new(ctx, NULL, NULL, 0, 1, &node));
    node->symbolic = true;
    node->out_meta[0].dtype = dtype;
    node->out_meta[0].rank = rank;
    for (int d = 0; d < rank; d++) {
        node->out_meta[0].shape[d] = shape[d];
    }
    moth_status status = moth_meta_check(ctx, &node->out_meta[0]);
    if (status == MOTH_OK) {
        moth_meta_set_contiguous(&node->out_meta[0]);
        status = moth_node_output(ctx, node, 0, out);
    }
    moth_node_release(node);
    return status;
}
