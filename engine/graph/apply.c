#include <stdio.h>
#include <string.h>

#include "graph/internal.h"

/* One application on its way: checked inputs, inferred outputs. */
typedef struct application {
    moth_ctx *ctx;
    const moth_op *op;
    moth_attrs attrs;
    int n_in, n_out;
    moth_tensor *const *in;
    moth_meta *out_meta;    /* n_out */
    moth_tensor **out;      /* n_out, filled as they come */
    moth_tensor *viewed[1]; /* what a view is really taken of: a copy where the input's strides do not allow it */
    bool symbolic;
    bool wants_grad; /* an input asks for a gradient and the op has one */
} application;

enum { STACK_INPUTS = 16, MAX_OUTPUTS = 8 };

/* Input i as the op reads it: while tracing, what was assigned to a variable before. */
static moth_tensor *input_read(const application *a, int i)
{
    bool read = a->in[i] && a->ctx->trace && !moth_op_bit(a->op->mutates, i);
    return read ? moth_trace_value(a->ctx, a->in[i]) : a->in[i];
}

static moth_status check_inputs(application *a)
{
    const moth_op *op = a->op;
    if (a->n_in < op->min_in || (op->max_in >= 0 && a->n_in > op->max_in)) {
        return moth_fail(a->ctx, MOTH_ERR_ARGUMENT, "%s: takes %d to %d tensors, got %d", op->name, op->min_in,
                         op->max_in, a->n_in);
    }
    for (int i = 0; i < a->n_in; i++) {
        const moth_tensor *t = input_read(a, i);
        if (!t && i < op->min_in) {
            return moth_fail(a->ctx, MOTH_ERR_ARGUMENT, "%s: tensor %d is missing", op->name, i + 1);
        }
        if (t) {
            a->symbolic = a->symbolic || moth_tensor_is_symbolic(t);
            a->wants_grad = a->wants_grad || t->requires_grad;
        }
    }
    /* While tracing, everything is recorded: a product of captured tensors is not a constant, they are read anew at
     * each run. */
    a->symbolic = a->symbolic || a->ctx->trace;
    a->wants_grad = a->wants_grad && a->ctx->grad_enabled && op->gradient;
    return MOTH_OK;
}

static moth_status infer_outputs(application *a)
{
    static const moth_meta absent;
    const moth_meta *stack[STACK_INPUTS];
    const moth_meta **metas = stack;
    if (a->n_in > STACK_INPUTS) {
        metas = moth_malloc((size_t)a->n_in * sizeof *metas);
        if (!metas) {
            return moth_fail_memory(a->ctx, a->n_in * (int64_t)sizeof *metas);
        }
    }
    for (int i = 0; i < a->n_in; i++) {
        metas[i] = a->in[i] ? &a->in[i]->meta : &absent;
    }
    moth_infer q = { .ctx = a->ctx,
                     .op = a->op,
                     .attrs = &a->attrs,
                     .n_in = a->n_in,
                     .in = metas,
                     .out = a->out_meta,
                     .n_out = a->op->n_out };
    moth_status status = a->op->infer(&q);
    if (metas != stack) {
        moth_free(metas);
    }
    MOTH_TRY(status);
    for (int k = 0; k < a->op->n_out; k++) {
        for (int d = 1; d < a->out_meta[k].rank; d++) {
            if (a->out_meta[k].shape[d] < 0) { /* rows of the run stand in the first dim only */
                return moth_infer_exact(&q);
            }
        }
        if (moth_meta_check(a->ctx, &a->out_meta[k]) != MOTH_OK) {
            return moth_fail_prefix(a->ctx, "%s", a->op->name);
        }
        moth_meta_set_contiguous(&a->out_meta[k]);
    }
    return MOTH_OK;
}

/* A handle of the node's own on an input: later in-place calls rebind the user's handle, not this one. A leaf stays
 * itself, because its identity is where the gradient goes. */
static moth_status record_input(application *a, moth_node *node, int i)
{
    moth_tensor *t = input_read(a, i);
    if (!t) {
        return MOTH_OK;
    }
    if (t != a->in[i] && a->in[i]->requires_grad) { /* its gradient would belong to the value before */
        return moth_fail(a->ctx, MOTH_ERR_STATE,
                         "%s: the traced function has changed this tensor with requires_grad in place and cannot read "
                         "it afterwards",
                         a->op->name);
    }
    if (a->symbolic && t->node && t->storage) {
        return moth_fail(a->ctx, MOTH_ERR_STATE,
                         "%s: a tensor with a recorded gradient comes from outside the traced function; pass it as an "
                         "argument, or detach it",
                         a->op->name);
    }
    if (!t->node && !moth_tensor_is_symbolic(t) && (t->requires_grad || a->symbolic)) {
        node->in[i] = moth_tensor_retain(t);
    } else {
        MOTH_TRY(moth_tensor_alias(a->ctx, t, &node->in[i]));
        if (!a->symbolic && !moth_op_bit(a->op->saves_in, i)) {
            moth_tensor_drop_storage(node->in[i]);
        }
    }
    if (!a->symbolic && t->storage) {
        node->version[i] = t->storage->version;
    }
    return MOTH_OK;
}

static moth_status record(application *a, moth_node **out)
{
    moth_node *node;
    MOTH_TRY(moth_node_new(a->ctx, a->op, &a->attrs, a->n_in, a->n_out, &node));
    node->symbolic = a->symbolic;
    memcpy(node->out_meta, a->out_meta, (size_t)a->n_out * sizeof *a->out_meta);
    for (int i = 0; i < a->n_in; i++) {
        moth_status status = record_input(a, node, i);
        if (status != MOTH_OK) {
            moth_node_release(node);
            return status;
        }
    }
    *out = node;
    return MOTH_OK;
}

/* Gives the eager outputs their history and keeps those that the gradient needs. */
static moth_status attach(application *a, moth_node *node)
{
    for (int k = 0; k < a->n_out; k++) {
        moth_tensor *t = a->out[k];
        if (a->op->saves_out >> k & 1) {
            MOTH_TRY(moth_tensor_handle(a->ctx, &t->meta, t->storage, &node->saved_out[k]));
            node->out_version[k] = t->storage->version;
        }
        if (t->meta.dtype == MOTH_FLOAT32) {
            t->requires_grad = true;
            t->node = node;
            t->node_output = k;
            moth_node_retain(node);
        }
    }
    return MOTH_OK;
}

static moth_status apply_symbolic(application *a)
{
    moth_node *node;
    MOTH_TRY(record(a, &node));
    moth_status status = MOTH_OK;
    for (int k = 0; k < a->n_out && status == MOTH_OK; k++) {
        status = moth_node_output(a->ctx, node, k, &a->out[k]);
        if (status == MOTH_OK) {
            a->out[k]->requires_grad = a->wants_grad && a->out_meta[k].dtype == MOTH_FLOAT32;
        }
    }
    if (status == MOTH_OK && a->op->mutates) {
        status = moth_trace_effect(a->ctx, node);
    }
    moth_node_release(node);
    return status;
}

/* A kernel that takes no strides gets a contiguous copy of such an input. */
static moth_status kernel_input(application *a, int i, moth_arg *arg, moth_tensor **copy)
{
    moth_tensor *t = a->in[i];
    if (t && !moth_op_bit(a->op->strided_in, i) && !moth_meta_contiguous(&t->meta)) {
        if (moth_op_bit(a->op->mutates, i)) {
            return moth_fail(a->ctx, MOTH_ERR_ARGUMENT, "%s: tensor %d must be contiguous", a->op->name, i + 1);
        }
        MOTH_TRY(moth_tensor_contiguous_copy(a->ctx, t, copy));
        t = *copy;
    }
    moth_arg_of(arg, t);
    return MOTH_OK;
}

static moth_status run_kernel(application *a, moth_arg *in, moth_tensor **copies)
{
    moth_arg out[MAX_OUTPUTS];
    for (int i = 0; i < a->n_in; i++) {
        MOTH_TRY(kernel_input(a, i, &in[i], &copies[i]));
    }
    for (int k = 0; k < a->n_out; k++) {
        MOTH_TRY(moth_tensor_new(a->ctx, a->out_meta[k].dtype, a->out_meta[k].rank, a->out_meta[k].shape, &a->out[k]));
        moth_arg_of(&out[k], a->out[k]);
    }
    moth_run run = { .seed = a->ctx->seed, .step = a->ctx->eager_step };
    if (a->op->flags & MOTH_OP_RANDOM) {
        a->ctx->eager_step++;
    }
    moth_call call = {
        .op = a->op, .attrs = &a->attrs, .n_in = a->n_in, .n_out = a->n_out, .in = in, .out = out, .run = &run
    };
    MOTH_TRY(moth_call_run(a->ctx, &call));
    for (int i = 0; i < a->n_in; i++) {
        if (moth_op_bit(a->op->mutates, i) && a->in[i]) {
            a->in[i]->storage->version++;
        }
    }
    return MOTH_OK;
}

static moth_status apply_eager(application *a)
{
    moth_node *node = NULL;
    if (a->wants_grad) {
        MOTH_TRY(record(a, &node)); /* before running: versions are those that the kernel reads */
    }
    moth_arg *in = moth_malloc(((size_t)a->n_in + 1) * sizeof *in);
    moth_tensor **copies = moth_calloc(((size_t)a->n_in + 1) * sizeof(moth_tensor *));
    moth_status status =
        in && copies ? run_kernel(a, in, copies) : moth_fail_memory(a->ctx, a->n_in * (int64_t)sizeof *in);
    for (int i = 0; copies && i < a->n_in; i++) {
        moth_tensor_release(copies[i]);
    }
    moth_free(in);
    moth_free(copies);
    if (status == MOTH_OK && node) {
        status = attach(a, node);
    }
    moth_node_release(node);
    return status;
}

static moth_status make_view(application *a)
{
    moth_tensor *contiguous = NULL;
    moth_tensor *x = a->in[0];
    moth_meta meta = a->out_meta[0];
    if (!a->op->view(&a->attrs, &x->meta, &meta)) {
        MOTH_TRY(moth_apply1(a->ctx, MOTH_OP_contiguous, NULL, 1, &x, &contiguous));
        x = contiguous;
        meta = a->out_meta[0];
        a->op->view(&a->attrs, &x->meta, &meta);
    }
    a->out_meta[0] = meta;
    a->viewed[0] = x;
    a->in = a->viewed;
    moth_node *node = NULL;
    moth_status status = MOTH_OK;
    if (a->symbolic) {
        status = apply_symbolic(a);
    } else {
        status = a->wants_grad ? record(a, &node) : MOTH_OK;
        if (status == MOTH_OK) {
            status = moth_tensor_handle(a->ctx, &meta, x->storage, &a->out[0]);
        }
        if (status == MOTH_OK && node) {
            status = attach(a, node);
        }
        moth_node_release(node);
    }
    moth_tensor_release(contiguous);
    return status;
}

static moth_status apply(application *a)
{
    MOTH_TRY(check_inputs(a));
    MOTH_TRY(infer_outputs(a));
    if (a->op->flags & MOTH_OP_VIEW) {
        return make_view(a);
    }
    return a->symbolic ? apply_symbolic(a) : apply_eager(a);
}

moth_status moth_apply(moth_ctx *ctx, const moth_op *op, const moth_attrs *attrs, int n_in, moth_tensor *const *in,
                       moth_tensor **out, bool all)
{
    moth_meta metas[MAX_OUTPUTS];
    moth_tensor *results[MAX_OUTPUTS] = { 0 };
    memset(metas, 0, sizeof metas);
    application a = {
        .ctx = ctx, .op = op, .n_in = n_in, .n_out = op->n_out, .in = in, .out_meta = metas, .out = results
    };
    if (attrs) {
        a.attrs = *attrs;
    }
    moth_status status = apply(&a);
    int visible = all || op->n_visible == 0 ? op->n_out : op->n_visible;
    for (int k = 0; k < op->n_out; k++) {
        if (status == MOTH_OK && k < visible) {
            out[k] = results[k];
        } else {
            moth_tensor_release(results[k]);
        }
    }
    return status;
}

moth_status moth_apply1(moth_ctx *ctx, moth_op_id id, const moth_attrs *attrs, int n_in, moth_tensor *const *in,
                        moth_tensor **out)
{
    const moth_op *op = moth_op_of(ctx, id);
    moth_tensor *results[MAX_OUTPUTS];
    MOTH_TRY(moth_apply(ctx, op, attrs, n_in, in, results, true));
    for (int k = 1; k < op->n_out; k++) {
        moth_tensor_release(results[k]);
    }
    *out = results[0];
    return MOTH_OK;
}

const moth_op *moth_op_named(const moth_ctx *ctx, const char *name)
{
    for (int id = 0; id < MOTH_OP_COUNT; id++) {
        if (strcmp(ctx->ops[id]->name, name) == 0) {
            return ctx->ops[id];
        }
    }
    return NULL;
}
