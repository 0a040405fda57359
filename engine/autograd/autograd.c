#include "autograd/autograd.h"

#include <stdlib.h>
#include <string.h>

/* The gradient that has arrived so far at one output of one node, or at one leaf. */
typedef struct entry {
    const moth_node *node; /* NULL: a leaf */
    int output;
    moth_tensor *leaf; /* borrowed from the graph, which the caller keeps alive */
    moth_tensor *grad; /* owned by the scope of the pass */
} entry;

/* One backward pass. Entries are found through an open hash table, nodes are taken in falling order of serial from a
 * heap: every use of a value is newer than the value, so its gradient is complete when its node comes up. */
typedef struct pass {
    moth_ctx *ctx;
    moth_scope scope;
    entry *table;
    int64_t n_entries, capacity; /* power of two */
    moth_node **heap;
    int64_t n_heap, cap_heap;
    moth_node **done; /* every node met, for letting go of what it saved */
    int64_t n_done, cap_done;
} pass;

static uint64_t hash_of(const void *node, int output)
{
    uint64_t h = (uint64_t)(uintptr_t)node * 0x9E3779B97F4A7C15u + (uint64_t)output * 0xBF58476D1CE4E5B9u;
    return h ^ (h >> 29);
}

static bool entry_is(const entry *e, const moth_tensor *t)
{
    return t->node ? e->node == t->node && e->output == t->node_output : e->leaf == t;
}

static entry *slot_of(pass *p, const moth_tensor *t)
{
    uint64_t mask = (uint64_t)p->capacity - 1;
    uint64_t at = hash_of(t->node ? (const void *)t->node : (const void *)t, t->node ? t->node_output : 0) & mask;
    while ((p->table[at].node || p->table[at].leaf) && !entry_is(&p->table[at], t)) {
        at = (at + 1) & mask;
    }
    return &p->table[at];
}

static moth_status grow_table(pass *p)
{
    entry *old = p->table;
    int64_t old_capacity = p->capacity;
    int64_t capacity = old_capacity ? 2 * old_capacity : 64;
    entry *table = moth_calloc((size_t)capacity * sizeof *table);
    if (!table) {
        return moth_fail_memory(p->ctx, capacity * (int64_t)sizeof *table);
    }
    p->table = table;
    p->capacity = capacity;
    for (int64_t i = 0; i < old_capacity; i++) {
        if (old[i].node || old[i].leaf) {
            moth_tensor key = { .node = (moth_node *)(uintptr_t)old[i].node, .node_output = old[i].output };
            *slot_of(p, old[i].node ? &key : old[i].leaf) = old[i];
        }
    }
    moth_free(old);
    return MOTH_OK;
}

static moth_status push_node(pass *p, moth_node *node)
{
    if (p->n_heap == p->cap_heap) {
        int64_t capacity = p->cap_heap ? 2 * p->cap_heap : 64;
        moth_node **bigger = moth_realloc(p->heap, (size_t)capacity * sizeof(moth_node *));
        if (!bigger) {
            return moth_fail_memory(p->ctx, capacity * (int64_t)sizeof(moth_node *));
        }
        p->heap = bigger;
        p->cap_heap = capacity;
    }
    int64_t at = p->n_heap++;
    while (at > 0 && p->heap[(at - 1) / 2]->serial < node->serial) {
        p->heap[at] = p->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    p->heap[at] = node;
    return MOTH_OK;
}

static moth_node *pop_node(pass *p)
{
    moth_node *top = p->heap[0];
    moth_node *last = p->heap[--p->n_heap];
    int64_t at = 0;
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= p->n_heap) {
            break;
        }
        if (child + 1 < p->n_heap && p->heap[child + 1]->serial > p->heap[child]->serial) {
            child++;
        }
        if (p->heap[child]->serial <= last->serial) {
            break;
        }
        p->heap[at] = p->heap[child];
        at = child;
    }
    p->heap[at] = last;
    return top;
}

static bool node_known(pass *p, const moth_node *node)
{
    for (int k = 0; k < node->n_out; k++) {
        moth_tensor key = { .node = (moth_node *)(uintptr_t)node, .node_output = k };
        if (slot_of(p, &key)->node) {
            return true;
        }
    }
    return false;
}

/* Adds g to the gradient of t; a node that is met for the first time goes on the heap. */
static moth_status accumulate(pass *p, moth_tensor *t, moth_tensor *g)
{
    if (2 * (p->n_entries + 1) > p->capacity) {
        MOTH_TRY(grow_table(p));
    }
    bool first_of_node = t->node && !node_known(p, t->node);
    entry *e = slot_of(p, t);
    if (e->node || e->leaf) {
        e->grad = MOTH_DO(&p->scope, add, NULL, e->grad, g);
        return p->scope.status;
    }
    *e = (entry){ .node = t->node, .output = t->node_output, .leaf = t->node ? NULL : t, .grad = g };
    p->n_entries++;
    return first_of_node && t->node->op ? push_node(p, t->node) : MOTH_OK;
}

static moth_status check_versions(pass *p, const moth_node *node)
{
    if (node->released) {
        return moth_fail(p->ctx, MOTH_ERR_STATE,
                         "backward: the graph of '%s' was freed by an earlier backward; compute the loss again",
                         node->op->name);
    }
    for (int i = 0; i < node->n_in; i++) {
        const moth_tensor *t = node->in[i];
        if (!node->symbolic && t && t->storage && moth_op_bit(node->op->saves_in, i) &&
            t->storage->version != node->version[i]) {
            return moth_fail(p->ctx, MOTH_ERR_STATE,
                             "backward: input %d of '%s' was changed in place after it was "
                             "used; its gradient needs the old value",
                             i + 1, node->op->name);
        }
    }
    for (int k = 0; k < node->n_out; k++) {
        const moth_tensor *t = node->saved_out[k];
        if (t && t->storage->version != node->out_version[k]) {
            return moth_fail(p->ctx, MOTH_ERR_STATE,
                             "backward: the result of '%s' was changed in place; its gradient needs the old value",
                             node->op->name);
        }
    }
    return MOTH_OK;
}

enum { STACK_INPUTS = 16, MAX_OUTPUTS = 8 };

/* The outputs as the gradient rule sees them: saved data, or shapes. */
static moth_status outputs_of(pass *p, moth_node *node, moth_tensor **y)
{
    for (int k = 0; k < node->n_out; k++) {
        if (node->saved_out[k]) {
            y[k] = node->saved_out[k];
        } else {
            MOTH_TRY(moth_node_output(p->ctx, node, k, &y[k]));
            moth_scope_own(&p->scope, y[k]);
        }
    }
    return p->scope.status;
}

static moth_status call_rule(pass *p, moth_node *node, moth_tensor **dx, bool *need)
{
    moth_tensor *y[MAX_OUTPUTS], *dy[MAX_OUTPUTS];
    MOTH_TRY(outputs_of(p, node, y));
    for (int k = 0; k < node->n_out; k++) {
        moth_tensor key = { .node = node, .node_output = k };
        dy[k] = slot_of(p, &key)->grad;
    }
    for (int i = 0; i < node->n_in; i++) {
        need[i] = node->in[i] && node->in[i]->requires_grad && node->in[i]->meta.dtype == MOTH_FLOAT32;
        dx[i] = NULL;
    }
    moth_grad g = { .scope = &p->scope,
                    .attrs = &node->attrs,
                    .n_in = node->n_in,
                    .n_out = node->n_out,
                    .x = node->in,
                    .y = y,
                    .dy = dy,
                    .need = need,
                    .dx = dx };
    node->op->gradient(&g);
    MOTH_TRY(p->scope.status);
    for (int i = 0; i < node->n_in; i++) {
        if (need[i] && dx[i]) {
            MOTH_TRY(accumulate(p, node->in[i], dx[i]));
        }
    }
    return MOTH_OK;
}

static moth_status visit(pass *p, moth_node *node)
{
    MOTH_TRY(check_versions(p, node));
    if (!node->op->gradient) {
        return MOTH_OK;
    }
    moth_tensor *stack_dx[STACK_INPUTS];
    bool stack_need[STACK_INPUTS];
    if (node->n_in <= STACK_INPUTS) {
        return call_rule(p, node, stack_dx, stack_need);
    }
    moth_tensor **dx = moth_malloc((size_t)node->n_in * sizeof(moth_tensor *));
    bool *need = moth_malloc((size_t)node->n_in * sizeof *need);
    moth_status status = dx && need ? call_rule(p, node, dx, need) : moth_fail_memory(p->ctx, node->n_in * 9);
    moth_free(dx);
    moth_free(need);
    return status;
}

static moth_status remember(pass *p, moth_node *node)
{
    if (p->n_done == p->cap_done) {
        int64_t capacity = p->cap_done ? 2 * p->cap_done : 64;
        moth_node **bigger = moth_realloc(p->done, (size_t)capacity * sizeof(moth_node *));
        if (!bigger) {
            return moth_fail_memory(p->ctx, capacity * (int64_t)sizeof(moth_node *));
        }
        p->done = bigger;
        p->cap_done = capacity;
    }
    moth_node_retain(node);
    p->done[p->n_done++] = node;
    return MOTH_OK;
}

static moth_status propagate(pass *p, int n_y, moth_tensor *const *y, moth_tensor *const *seeds)
{
    MOTH_TRY(grow_table(p));
    for (int k = 0; k < n_y; k++) {
        if (!moth_meta_same_shape(&y[k]->meta, &seeds[k]->meta)) {
            char a[128], b[128];
            return moth_fail(p->ctx, MOTH_ERR_SHAPE,
                             "backward: the gradient must have the shape of the value; got %s for %s",
                             moth_meta_text(&seeds[k]->meta, a, sizeof a), moth_meta_text(&y[k]->meta, b, sizeof b));
        }
        MOTH_TRY(accumulate(p, y[k], seeds[k]));
    }
    while (p->n_heap > 0) {
        if (*p->ctx->interrupt) {
            return moth_fail(p->ctx, MOTH_ERR_INTERRUPTED, "interrupted");
        }
        moth_node *node = pop_node(p);
        MOTH_TRY(remember(p, node));
        MOTH_TRY(visit(p, node));
    }
    return MOTH_OK;
}

static void pass_open(pass *p, moth_ctx *ctx, bool *grad_before)
{
    *p = (pass){ .ctx = ctx };
    moth_scope_open(&p->scope, ctx);
    *grad_before = ctx->grad_enabled;
    ctx->grad_enabled = false;
}

static void pass_close(pass *p, bool grad_before)
{
    p->ctx->grad_enabled = grad_before;
    moth_scope_close(&p->scope, 0, NULL, NULL);
    for (int64_t i = 0; i < p->n_done; i++) {
        moth_node_release(p->done[i]);
    }
    moth_free(p->done);
    moth_free(p->table);
    moth_free(p->heap);
}

moth_status moth_gradients(moth_ctx *ctx, int n_y, moth_tensor *const *y, moth_tensor *const *seeds, int n_x,
                           moth_tensor *const *x, moth_tensor **dx)
{
    pass p;
    bool grad_before;
    pass_open(&p, ctx, &grad_before);
    moth_status status = propagate(&p, n_y, y, seeds);
    for (int i = 0; i < n_x && status == MOTH_OK; i++) {
        const entry *e = slot_of(&p, x[i]);
        dx[i] = moth_tensor_retain(e->grad);
    }
    pass_close(&p, grad_before);
    return status;
}

/* Lets go of what the nodes kept for this pass: a second backward through them is an error, and memory is free now
 * rather than when the language's collector gets to the tensors. */
static void release_saved(pass *p)
{
    for (int64_t i = 0; i < p->n_done; i++) {
        moth_node *node = p->done[i];
        node->released = true;
        for (int k = 0; k < node->n_out; k++) {
            moth_tensor_release(node->saved_out[k]);
            node->saved_out[k] = NULL;
        }
        for (int j = 0; j < node->n_in; j++) {
            if (node->in[j] && node->in[j]->node) {
                moth_tensor_release(node->in[j]);
                node->in[j] = NULL;
            }
        }
    }
}

static int by_address(const void *a, const void *b)
{
    const entry *const *ea = a, *const *eb = b;
    return (*ea)->leaf < (*eb)->leaf ? -1 : (*ea)->leaf > (*eb)->leaf;
}

/* All sums are computed before the first leaf changes. */
static moth_status deliver(pass *p)
{
    entry **leaves = moth_malloc((size_t)(p->n_entries + 1) * sizeof(entry *));
    if (!leaves) {
        return moth_fail_memory(p->ctx, p->n_entries * 8);
    }
    int64_t n = 0;
    for (int64_t i = 0; i < p->capacity; i++) {
        if (p->table[i].leaf && p->table[i].leaf->requires_grad) {
            leaves[n++] = &p->table[i];
        }
    }
    qsort(leaves, (size_t)n, sizeof(entry *), by_address);
    for (int64_t i = 0; i < n; i++) {
        /* never the user's or another leaf's tensor: each leaf owns its gradient's memory */
        moth_tensor *g = leaves[i]->grad;
        moth_tensor *old = leaves[i]->leaf->grad;
        if (old) {
            g = MOTH_DO(&p->scope, add, NULL, old, g);
        } else {
            g = MOTH_DO(&p->scope, contiguous, NULL, g);
        }
        leaves[i]->grad = g;
    }
    for (int64_t i = 0; i < n && p->scope.status == MOTH_OK; i++) {
        moth_tensor *leaf = leaves[i]->leaf;
        moth_tensor_release(leaf->grad);
        leaf->grad = moth_tensor_retain(leaves[i]->grad);
    }
    moth_free(leaves);
    return p->scope.status;
}

/* The gradient to start with: 1, or what was given; a reference of its own. */
static moth_status make_seed(moth_ctx *ctx, const moth_tensor *y, moth_tensor *gradient, moth_tensor **seed)
{
    char a[128], b[128];
    if (!gradient && moth_tensor_count(y) != 1) {
        return moth_fail(ctx, MOTH_ERR_SHAPE, "backward: needs one value; got %s (take the sum or the mean first)",
                         moth_meta_text(&y->meta, a, sizeof a));
    }
    if (!gradient) {
        MOTH_TRY(moth_tensor_new(ctx, MOTH_FLOAT32, y->meta.rank, y->meta.shape, seed));
        moth_tensor_set_element(*seed, 0, 1);
        return MOTH_OK;
    }
    if (gradient->meta.dtype != MOTH_FLOAT32 || !moth_meta_same_shape(&gradient->meta, &y->meta)) {
        return moth_fail(ctx, MOTH_ERR_SHAPE, "backward: the gradient must be float32 of shape %s; got %s",
                         moth_meta_text(&y->meta, a, sizeof a), moth_meta_text(&gradient->meta, b, sizeof b));
    }
    *seed = moth_tensor_retain(gradient);
    return MOTH_OK;
}

moth_status moth_backward(moth_ctx *ctx, moth_tensor *y, moth_tensor *gradient)
{
    if (moth_tensor_is_symbolic(y) || (gradient && moth_tensor_is_symbolic(gradient))) {
        return moth_fail(ctx, MOTH_ERR_TRACING,
                         "backward: value not known while tracing; a compiled function returns the loss instead");
    }
    moth_tensor *seed;
    MOTH_TRY(make_seed(ctx, y, gradient, &seed));
    if (!y->requires_grad) {
        moth_tensor_release(seed);
        return moth_fail(ctx, MOTH_ERR_STATE,
                         "backward: the value does not depend on a tensor with requires_grad "
                         "(second derivatives are not supported)");
    }
    pass p;
    bool grad_before;
    pass_open(&p, ctx, &grad_before);
    moth_status status = propagate(&p, 1, &y, &seed);
    if (status == MOTH_OK) {
        status = deliver(&p);
    }
    if (status == MOTH_OK) {
        release_saved(&p);
    }
    pass_close(&p, grad_before);
    moth_tensor_release(seed);
    return status;
}
