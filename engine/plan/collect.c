/* From a recorded graph to steps: every node that is needed, oldest first, views folded into operands, copies put in
 * where a kernel takes no strides. */
#include <stdlib.h>
#include <string.h>

#include "plan/internal.h"

/* Nodes met so far: an open hash table. */
typedef struct visit {
    moth_node *node;
    int step;          /* -1: a view or placeholder */
    bool effect_only;  /* needed by effects alone */
    moth_tensor *copy; /* of a view: its contiguous copy, if some kernel needed it; kept by the plan */
} visit;

typedef struct visit_table {
    visit *at;
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

static visit *find_visit(const visit_table *t, const moth_node *node)
{
    uint64_t mask = (uint64_t)t->capacity - 1;
    uint64_t at = ((uint64_t)(uintptr_t)node * 0x9E3779B97F4A7C15u >> 17) & mask;
    while (t->at[at].node && t->at[at].node != node) {
        at = (at + 1) & mask;
    }
    return &t->at[at];
}

static moth_status table_grow(collector *c)
{
    visit_table old = c->seen;
    int64_t capacity = old.capacity ? 2 * old.capacity : 256;
    visit *bigger = moth_calloc((size_t)capacity * sizeof *bigger);
    if (!bigger) {
        return moth_fail_memory(c->ctx, capacity * (int64_t)sizeof *bigger);
    }
    c->seen.at = bigger;
    c->seen.capacity = capacity;
    for (int64_t i = 0; i < old.capacity; i++) {
        if (old.at[i].node) {
            *find_visit(&c->seen, old.at[i].node) = old.at[i];
        }
    }
    moth_free(old.at);
    return MOTH_OK;
}

/* The entry of a node; a new one has step -1. */
static moth_status enter(collector *c, moth_node *node, visit **out, bool *fresh)
{
    if (2 * (c->seen.count + 1) > c->seen.capacity) {
        MOTH_TRY(table_grow(c));
    }
    *out = find_visit(&c->seen, node);
    *fresh = !(*out)->node;
    if (*fresh) {
        **out = (visit){ .node = node, .step = -1 };
        c->seen.count++;
    }
    return MOTH_OK;
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

/* What computed a tensor in this trace; a concrete tensor is a leaf, whatever it came from. */
static moth_node *history(const moth_tensor *t)
{
    return t && moth_tensor_is_symbolic(t) ? t->node : NULL;
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
        visit *at;
        bool fresh;
        MOTH_TRY(enter(c, node, &at, &fresh));
        if (!fresh) {
            continue;
        }
        at->effect_only = effect_only;
        if (node->op && !(node->op->flags & MOTH_OP_VIEW)) {
            MOTH_TRY(push(c->ctx, &c->order, &c->n_order, &c->cap_order, node));
        }
        for (int i = 0; i < node->n_in; i++) {
            if (history(node->in[i])) {
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
    out->value = c->plan->steps[find_visit(&c->seen, root->node)->step].out[root->node_output];
    return MOTH_OK;
}

static moth_status add_value(collector *c, int made_by, const moth_meta *meta, int *out)
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
    plan->values[plan->n_values] = (value){ .step = made_by, .meta = *meta, .alias = -1 };
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

static bool of_leaf(const moth_tensor *t)
{
    return !moth_tensor_is_symbolic(moth_view_root(t));
}

/* The step that copies view t into contiguous memory for a step that serves `user`. */
static moth_status add_copy(collector *c, moth_tensor *t, const moth_node *user, bool effect_only, moth_tensor **out)
{
    visit *at;
    bool fresh;
    MOTH_TRY(moth_apply1(c->ctx, MOTH_OP_contiguous, NULL, 1, &t, out));
    moth_status status = keep(c, *out);
    moth_tensor_release(*out); /* kept by the plan from here on */
    MOTH_TRY(status);
    MOTH_TRY(enter(c, (*out)->node, &at, &fresh));
    MOTH_TRY(add_step(c, (*out)->node, effect_only));
    step *made = &c->plan->steps[find_visit(&c->seen, (*out)->node)->step];
    made->in_order = user && user->op->mutates && of_leaf(t); /* an effect sees what earlier effects left */
    return MOTH_OK;
}

/* Where a kernel takes no strides and the operand is a strided view, a copy is put in front; one serves all. */
static moth_status straighten(collector *c, moth_tensor *t, const moth_node *user, bool effect_only, operand *out)
{
    moth_node *view = user && user->op->mutates && of_leaf(t) ? NULL : history(t);
    moth_tensor *copy = view ? find_visit(&c->seen, view)->copy : NULL;
    if (copy) {
        step *made = &c->plan->steps[find_visit(&c->seen, copy->node)->step];
        made->effect_only = made->effect_only && effect_only;
        return make_operand(c, copy, out);
    }
    MOTH_TRY(add_copy(c, t, user, effect_only, &copy));
    if (view) {
        find_visit(&c->seen, view)->copy = copy;
    }
    return make_operand(c, copy, out);
}

/* A variable that an op changes must be seen as it lies in memory. */
static moth_status check_changed(collector *c, const moth_node *node, int i)
{
    const moth_tensor *t = node->in[i];
    if (t && (!of_leaf(t) || !moth_meta_contiguous(&t->meta))) {
        return moth_fail(c->ctx, MOTH_ERR_ARGUMENT, "%s: tensor %d must be a variable in contiguous memory",
                         node->op->name, i + 1);
    }
    return MOTH_OK;
}

static moth_status take_inputs(collector *c, moth_node *node, bool effect_only, operand *in)
{
    for (int i = 0; i < node->n_in; i++) {
        moth_tensor *t = node->in[i];
        if (moth_op_bit(node->op->mutates, i)) {
            MOTH_TRY(check_changed(c, node, i));
        }
        if (t && !moth_op_bit(node->op->strided_in, i) && !moth_meta_contiguous(&t->meta)) {
            MOTH_TRY(straighten(c, t, node, effect_only, &in[i]));
        } else {
            MOTH_TRY(make_operand(c, t, &in[i]));
        }
    }
    return MOTH_OK;
}

static moth_status add_step(collector *c, moth_node *node, bool effect_only)
{
    operand *in = moth_calloc(((size_t)node->n_in + 1) * sizeof *in);
    if (!in) {
        return moth_fail_memory(c->ctx, node->n_in * (int64_t)sizeof *in);
    }
    int index = 0;
    moth_status status = take_inputs(c, node, effect_only, in);
    if (status == MOTH_OK) {
        status = new_step(c, node, &index);
    }
    if (status == MOTH_OK) {
        step *s = &c->plan->steps[index];
        memcpy(s->in, in, (size_t)node->n_in * sizeof *in);
        s->effect = node->op->mutates != 0;
        s->in_order = node->in_order;
        s->effect_only = effect_only || s->effect;
        find_visit(&c->seen, node)->step = index;
    }
    for (int k = 0; k < node->n_out && status == MOTH_OK; k++) {
        status = add_value(c, index, &node->out_meta[k], &c->plan->steps[index].out[k]);
    }
    moth_free(in);
    return status;
}

static moth_status collect_nodes(collector *c, const moth_plan_spec *spec)
{
    for (int i = 0; i < spec->n_outputs; i++) {
        MOTH_TRY(walk(c, history(spec->outputs[i]), false));
    }
    for (int i = 0; i < spec->n_checks; i++) {
        MOTH_TRY(walk(c, history(spec->checks[i]), false));
    }
    for (int i = 0; i < spec->n_effects; i++) {
        MOTH_TRY(walk(c, spec->effects[i], true));
    }
    if (c->n_order > 0) {
        qsort(c->order, (size_t)c->n_order, sizeof(moth_node *), by_serial);
    }
    for (int64_t i = 0; i < c->n_order; i++) {
        MOTH_TRY(add_step(c, c->order[i], find_visit(&c->seen, c->order[i])->effect_only));
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
        moth_tensor *t = spec->checks[i];
        if (t->meta.dtype != MOTH_FLOAT32) {
            return moth_fail(c->ctx, MOTH_ERR_DTYPE, "plan: %s is %s; only float32 can be checked",
                             spec->check_names[i], moth_dtype_name(t->meta.dtype));
        }
        if (moth_meta_contiguous(&t->meta)) {
            MOTH_TRY(make_operand(c, t, &plan->checks[i]));
        } else {
            MOTH_TRY(straighten(c, t, NULL, false, &plan->checks[i]));
        }
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
    moth_free(c.seen.at);
    moth_free(c.stack);
    moth_free(c.order);
    return status;
}
