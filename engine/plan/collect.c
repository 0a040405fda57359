/* From a recorded graph to steps: every node that is needed, oldest first, views folded into operands. */
#include <stdlib.h>
#include <string.h>

#include "plan/internal.h"

/* Nodes met so far: an open hash table from node to step index (-1: a view or placeholder). */
typedef struct visit_table {
    moth_node **node;
    int *step;
    bool *effect_only;
    int64_t count, capacity;
} visit_table;

typedef struct collector {
    moth_ctx *ctx;
    moth_plan *plan;
    visit_table seen;
    moth_node **stack;
    int64_t n_stack, cap_stack;
    moth_node **order;
    int64_t n_order, cap_order;
} collector;

static int64_t find_slot(const visit_table *t, const moth_node *node)
{
    uint64_t mask = (uint64_t)t->capacity - 1;
    uint64_t at = ((uint64_t)(uintptr_t)node * 0x9E3779B97F4A7C15u >> 17) & mask;
    while (t->node[at] && t->node[at] != node) {
        at = (at + 1) & mask;
    }
    return (int64_t)at;
}

static moth_status table_grow(collector *c)
{
    visit_table old = c->seen;
    int64_t capacity = old.capacity ? 2 * old.capacity : 256;
    c->seen.node = moth_calloc((size_t)capacity * sizeof(moth_node *));
    c->seen.step = moth_calloc((size_t)capacity * sizeof(int));
    c->seen.effect_only = moth_calloc((size_t)capacity * sizeof(bool));
    c->seen.capacity = capacity;
    bool good = c->seen.node && c->seen.step && c->seen.effect_only;
    for (int64_t i = 0; good && i < old.capacity; i++) {
        if (old.node[i]) {
            int64_t at = find_slot(&c->seen, old.node[i]);
            c->seen.node[at] = old.node[i];
            c->seen.step[at] = old.step[i];
            c->seen.effect_only[at] = old.effect_only[i];
        }
    }
    moth_free(old.node);
    moth_free(old.step);
    moth_free(old.effect_only);
    return good ? MOTH_OK : moth_fail_memory(c->ctx, capacity * 16);
}

static moth_status push(moth_ctx *ctx, moth_node ***list, int64_t *count, int64_t *capacity, moth_node *node)
{
    if (*count == *capacity) {
        int64_t wanted = *capacity ? 2 * *capacity : 64;
        moth_node **bigger = moth_realloc(*list, (size_t)wanted * sizeof(moth_node *));
        if (!bigger) {
            return moth_fail_memory(ctx, wanted * 8);
        }
        *list = bigger;
        *capacity = wanted;
    }
    (*list)[(*count)++] = node;
    return MOTH_OK;
}

/* Puts all that `root` needs on c->order. What outputs and checks need is walked first, so a node found only in the
 * second round serves effects alone. */
static moth_status walk(collector *c, moth_node *root, bool effect_only)
{
    if (!root) {
        return MOTH_OK;
    }
    MOTH_TRY(push(c->ctx, &c->stack, &c->n_stack, &c->cap_stack, root));
    while (c->n_stack > 0) {
        moth_node *node = c->stack[--c->n_stack];
        if (2 * (c->seen.count + 1) > c->seen.capacity) {
            MOTH_TRY(table_grow(c));
        }
        int64_t at = find_slot(&c->seen, node);
        if (c->seen.node[at]) {
            continue;
        }
        c->seen.node[at] = node;
        c->seen.step[at] = -1;
        c->seen.effect_only[at] = effect_only;
        c->seen.count++;
        if (node->op && !(node->op->flags & MOTH_OP_VIEW)) {
            MOTH_TRY(push(c->ctx, &c->order, &c->n_order, &c->cap_order, node));
        }
        for (int i = 0; i < node->n_in; i++) {
            if (node->in[i] && node->in[i]->node) {
                MOTH_TRY(push(c->ctx, &c->stack, &c->n_stack, &c->cap_stack, node->in[i]->node));
            }
        }
    }
    return MOTH_OK;
}

static int by_serial(const void *a, const void *b)
{
    const moth_node *const *na = a, *const *nb = b;
    return (*na)->serial < (*nb)->serial ? -1 : (*na)->serial > (*nb)->serial;
}

static moth_status keep(collector *c, moth_tensor *t)
{
    moth_plan *plan = c->plan;
    if (plan->n_kept == plan->cap_kept) {
        int capacity = plan->cap_kept ? 2 * plan->cap_kept : 32;
        moth_tensor **bigger = moth_realloc(plan->kept, (size_t)capacity * sizeof(moth_tensor *));
        if (!bigger) {
            return moth_fail_memory(c->ctx, capacity * 8);
        }
        plan->kept = bigger;
        plan->cap_kept = capacity;
    }
    plan->kept[plan->n_kept++] = moth_tensor_retain(t);
    return MOTH_OK;
}

static int input_index(const moth_plan *plan, const moth_node *node)
{
    for (int i = 0; i < plan->n_inputs; i++) {
        if (plan->inputs[i]->node == node) {
            return i;
        }
    }
    return -1;
}

static moth_status make_operand(collector *c, moth_tensor *t, operand *out)
{
    *out = (operand){ .kind = SOURCE_NONE, .value = -1, .input = -1 };
    if (!t) {
        return MOTH_OK;
    }
    const moth_tensor *root = moth_view_root(t);
    out->meta = t->meta;
    out->root = root->meta;
    if (!moth_tensor_is_symbolic(root)) {
        out->kind = SOURCE_LEAF;
        out->leaf = (moth_tensor *)(uintptr_t)root;
        return keep(c, out->leaf);
    }
    if (root->node && !root->node->op) {
        out->kind = SOURCE_INPUT;
        out->input = input_index(c->plan, root->node);
        if (out->input < 0) {
            return moth_fail(c->ctx, MOTH_ERR_STATE, "plan: the graph uses a symbolic tensor of another trace");
        }
        return MOTH_OK;
    }
    if (!root->node) {
        return moth_fail(c->ctx, MOTH_ERR_STATE, "plan: a symbolic tensor without history");
    }
    out->kind = SOURCE_ARENA;
    int made_by = c->seen.step[find_slot(&c->seen, root->node)];
    out->value = c->plan->steps[made_by].out[root->node_output];
    return MOTH_OK;
}

static moth_status add_value(collector *c, int made_by, int output, const moth_meta *meta, int *out)
{
    moth_plan *plan = c->plan;
    if (plan->n_values == plan->cap_values) {
        int capacity = plan->cap_values ? 2 * plan->cap_values : 64;
        value *bigger = moth_realloc(plan->values, (size_t)capacity * sizeof *bigger);
        if (!bigger) {
            return moth_fail_memory(c->ctx, capacity * (int64_t)sizeof *bigger);
        }
        plan->values = bigger;
        plan->cap_values = capacity;
    }
    plan->values[plan->n_values] = (value){ .step = made_by, .output = output, .meta = *meta, .alias = -1 };
    *out = plan->n_values++;
    return MOTH_OK;
}

static moth_status new_step(collector *c, moth_node *node, int *index)
{
    moth_plan *plan = c->plan;
    if (plan->n_steps == plan->cap_steps) {
        int capacity = plan->cap_steps ? 2 * plan->cap_steps : 64;
        step *bigger = moth_realloc(plan->steps, (size_t)capacity * sizeof *bigger);
        if (!bigger) {
            return moth_fail_memory(c->ctx, capacity * (int64_t)sizeof *bigger);
        }
        plan->steps = bigger;
        plan->cap_steps = capacity;
    }
    step *s = &plan->steps[plan->n_steps];
    size_t ins = (size_t)node->n_in + 1, outs = (size_t)node->n_out + 1;
    *s = (step){ .node = node, .n_in = node->n_in, .n_out = node->n_out, .region = -1 };
    moth_node_retain(node);
    *index = plan->n_steps++;
    s->in = moth_calloc(ins * sizeof *s->in);
    s->out = moth_calloc(outs * sizeof *s->out);
    s->call.in = moth_calloc(ins * sizeof *s->call.in);
    s->call.out = moth_calloc(outs * sizeof *s->call.out);
    if (!s->in || !s->out || !s->call.in || !s->call.out) {
        return moth_fail_memory(c->ctx, (int64_t)(ins * sizeof *s->in));
    }
    s->call.op = node->op;
    s->call.attrs = &node->attrs;
    s->call.n_in = node->n_in;
    s->call.n_out = node->n_out;
    return MOTH_OK;
}

static moth_status add_step(collector *c, moth_node *node, bool effect_only);

/* Where a kernel takes no strides and the operand is a strided view, a copy is put in front. */
static moth_status straighten(collector *c, moth_tensor *t, bool effect_only, operand *out)
{
    moth_tensor *copy;
    MOTH_TRY(moth_apply1(c->ctx, MOTH_OP_contiguous, NULL, 1, &t, &copy));
    moth_status status = keep(c, copy);
    moth_node *node = copy->node;
    if (status == MOTH_OK && 2 * (c->seen.count + 1) > c->seen.capacity) {
        status = table_grow(c);
    }
    if (status == MOTH_OK) {
        int64_t at = find_slot(&c->seen, node);
        c->seen.node[at] = node;
        c->seen.effect_only[at] = effect_only;
        c->seen.count++;
        status = add_step(c, node, effect_only);
    }
    if (status == MOTH_OK) {
        status = make_operand(c, copy, out);
    }
    moth_tensor_release(copy);
    return status;
}

static moth_status add_step(collector *c, moth_node *node, bool effect_only)
{
    operand *in = moth_calloc(((size_t)node->n_in + 1) * sizeof *in);
    if (!in) {
        return moth_fail_memory(c->ctx, node->n_in * (int64_t)sizeof *in);
    }
    moth_status status = MOTH_OK;
    for (int i = 0; i < node->n_in && status == MOTH_OK; i++) {
        moth_tensor *t = node->in[i];
        bool any_strides = moth_op_bit(node->op->strided_in | node->op->mutates, i);
        if (t && !any_strides && !moth_meta_contiguous(&t->meta)) {
            status = straighten(c, t, effect_only, &in[i]);
        } else {
            status = make_operand(c, t, &in[i]);
        }
    }
    int index = 0;
    if (status == MOTH_OK) {
        status = new_step(c, node, &index);
    }
    if (status == MOTH_OK) {
        memcpy(c->plan->steps[index].in, in, (size_t)node->n_in * sizeof *in);
        c->plan->steps[index].effect = node->op->mutates != 0;
        c->plan->steps[index].effect_only = effect_only || node->op->mutates != 0;
        c->seen.step[find_slot(&c->seen, node)] = index;
    }
    for (int k = 0; k < node->n_out && status == MOTH_OK; k++) {
        status = add_value(c, index, k, &node->out_meta[k], &c->plan->steps[index].out[k]);
    }
    moth_free(in);
    return status;
}

static moth_status collect_nodes(collector *c, const moth_plan_spec *spec)
{
    for (int i = 0; i < spec->n_outputs; i++) {
        MOTH_TRY(walk(c, spec->outputs[i]->node, false));
    }
    for (int i = 0; i < spec->n_checks; i++) {
        MOTH_TRY(walk(c, spec->checks[i]->node, false));
    }
    for (int i = 0; i < spec->n_effects; i++) {
        MOTH_TRY(walk(c, spec->effects[i], true));
    }
    if (c->n_order > 0) {
        qsort(c->order, (size_t)c->n_order, sizeof(moth_node *), by_serial);
    }
    for (int64_t i = 0; i < c->n_order; i++) {
        MOTH_TRY(add_step(c, c->order[i], c->seen.effect_only[find_slot(&c->seen, c->order[i])]));
    }
    return MOTH_OK;
}

static moth_status collect_results(collector *c, const moth_plan_spec *spec)
{
    moth_plan *plan = c->plan;
    for (int i = 0; i < spec->n_outputs; i++) {
        MOTH_TRY(make_operand(c, spec->outputs[i], &plan->outputs[i]));
    }
    for (int i = 0; i < spec->n_checks; i++) {
        MOTH_TRY(make_operand(c, spec->checks[i], &plan->checks[i]));
    }
    return MOTH_OK;
}

moth_status plan_collect(moth_ctx *ctx, moth_plan *plan, const moth_plan_spec *spec)
{
    collector c = { .ctx = ctx, .plan = plan };
    moth_graph inner; /* copies that are put in must be recorded, also when the leaf is concrete */
    moth_status status = table_grow(&c);
    moth_trace_begin(ctx, &inner);
    if (status == MOTH_OK) {
        status = collect_nodes(&c, spec);
    }
    if (status == MOTH_OK) {
        status = collect_results(&c, spec);
    }
    moth_trace_end(ctx, &inner);
    moth_graph_clear(&inner);
    moth_free(c.seen.node);
    moth_free(c.seen.step);
    moth_free(c.seen.effect_only);
    moth_free(c.stack);
    moth_free(c.order);
    return status;
}
