/* Scopes own intermediate results; traces collect effects. */
#include <string.h>

#include "graph/internal.h"

static bool grow(void **list, int64_t count, int64_t *capacity, size_t item)
{
    if (count < *capacity) {
        return true;
    }
    int64_t wanted = *capacity ? 2 * *capacity : 16;
    void *bigger = moth_realloc(*list, (size_t)wanted * item);
    if (!bigger) {
        return false;
    }
    *list = bigger;
    *capacity = wanted;
    return true;
}

void moth_scope_fail(moth_scope *scope, moth_status status)
{
    if (scope->status == MOTH_OK) {
        scope->status = status;
    }
}

moth_tensor *moth_scope_own(moth_scope *scope, moth_tensor *t)
{
    void *list = scope->owned;
    if (t && !grow(&list, scope->n_owned, &scope->cap_owned, sizeof *scope->owned)) {
        moth_scope_fail(scope, moth_fail_memory(scope->ctx, 16));
        moth_tensor_release(t);
        return NULL;
    }
    scope->owned = list;
    if (t) {
        scope->owned[scope->n_owned++] = t;
    }
    return t;
}

static bool scope_emit(moth_scope *scope, const moth_op *op, const moth_attrs *attrs, int n_in, moth_tensor *const *in,
                       moth_tensor **out)
{
    if (scope->status != MOTH_OK) {
        return false;
    }
    moth_status status = moth_apply(scope->ctx, op, attrs, n_in, in, out, true);
    if (status != MOTH_OK) {
        moth_scope_fail(scope, status);
        return false;
    }
    for (int k = 0; k < op->n_out; k++) {
        out[k] = moth_scope_own(scope, out[k]);
    }
    return scope->status == MOTH_OK;
}

void moth_scope_open(moth_scope *scope, moth_ctx *ctx)
{
    *scope = (moth_scope){ .ctx = ctx, .status = MOTH_OK, .emit = scope_emit };
}

moth_status moth_scope_close(moth_scope *scope, int n, moth_tensor *const *results, moth_tensor **out)
{
    for (int k = 0; k < n; k++) {
        if (scope->status == MOTH_OK && results[k]) {
            out[k] = moth_tensor_retain(results[k]);
        } else if (scope->status == MOTH_OK) {
            out[k] = NULL;
        }
    }
    for (int64_t i = 0; i < scope->n_owned; i++) {
        moth_tensor_release(scope->owned[i]);
    }
    moth_free(scope->owned);
    moth_status status = scope->status;
    *scope = (moth_scope){ .ctx = scope->ctx, .status = status };
    return status;
}

void moth_trace_begin(moth_ctx *ctx, moth_graph *graph)
{
    *graph = (moth_graph){ .outer = ctx->trace };
    ctx->trace = graph;
}

void moth_trace_end(moth_ctx *ctx, moth_graph *graph)
{
    ctx->trace = graph->outer;
}

void moth_graph_clear(moth_graph *graph)
{
    for (int64_t i = 0; i < graph->n_effects; i++) {
        moth_node_release(graph->effects[i]);
    }
    moth_free(graph->effects);
    *graph = (moth_graph){ 0 };
}

moth_status moth_trace_effect(moth_ctx *ctx, moth_node *node)
{
    moth_graph *graph = ctx->trace;
    if (!graph) {
        return moth_fail(ctx, MOTH_ERR_STATE, "%s: a symbolic value can be assigned only while tracing",
                         node->op->name);
    }
    void *list = graph->effects;
    if (!grow(&list, graph->n_effects, &graph->cap_effects, sizeof(moth_node *))) {
        return moth_fail_memory(ctx, 16);
    }
    graph->effects = list;
    moth_node_retain(node);
    graph->effects[graph->n_effects++] = node;
    return MOTH_OK;
}

moth_tensor *moth_trace_value(const moth_ctx *ctx, moth_tensor *t)
{
    for (const moth_graph *graph = ctx->trace; graph; graph = graph->outer) {
        for (int64_t i = graph->n_effects - 1; i >= 0; i--) {
            const moth_node *node = graph->effects[i];
            if (node->in[0] == t) {
                return node->op == moth_op_of(ctx, MOTH_OP_assign) ? node->in[1] : t;
            }
        }
    }
    return t;
}
