/* Compiled functions, without Lua: the plans that a recorded graph becomes. */
#include "program.h"

#include <string.h>

#include "autograd/autograd.h"
#include "nn/emit.h"

/* ---- life ---- */

static void drop_plans(mothb_program *p)
{
    moth_plan_free(p->forward);
    moth_plan_free(p->backward);
    p->forward = NULL;
    p->backward = NULL;
}

static void program_release(moth_callback *self)
{
    mothb_program *p = self->user;
    drop_plans(p);
    moth_arena_free(&p->forward_arena);
    moth_arena_free(&p->backward_arena);
    for (int i = 0; i < p->n_args; i++) {
        moth_tensor_release(p->arg[i]);
    }
    for (int k = 0; k < p->n_results; k++) {
        moth_tensor_release(p->result[k]);
    }
    for (int k = 0; k < p->n_dy; k++) {
        moth_tensor_release(p->dy[k]);
    }
    for (int i = 0; i < p->n_dx; i++) {
        moth_tensor_release(p->dx[i]);
    }
    moth_graph_clear(&p->graph);
    moth_graph_clear(&p->update);
    moth_optimizer_release(p->optimizer);
    moth_free(p->leaves);
    moth_free(p->dx);
    moth_free(p->dx_output);
    moth_free(p);
}

moth_callback *mothb_program_new(void)
{
    moth_callback *owner = moth_calloc(sizeof *owner);
    mothb_program *p = owner ? moth_calloc(sizeof *p) : NULL;
    if (!p) {
        moth_free(owner);
        return NULL;
    }
    *owner = (moth_callback){ .references = 1, .user = p, .release = program_release };
    p->batch_arg = -1;
    return owner;
}

/* ---- the plan of the function ---- */

/* A training step stops before its update where the loss is not finite. */
static moth_status build_forward(moth_ctx *ctx, mothb_program *p)
{
    static const char *const check_name = "the loss";
    size_t n = (size_t)(p->graph.n_effects + p->update.n_effects);
    moth_node **effects = moth_malloc((n + 1) * sizeof(moth_node *));
    if (!effects) {
        return moth_fail_memory(ctx, (int64_t)(n * sizeof(moth_node *)));
    }
    for (size_t i = 0; i < n; i++) {
        size_t own = (size_t)p->graph.n_effects;
        effects[i] = i < own ? p->graph.effects[i] : p->update.effects[i - own];
    }
    moth_plan_spec spec = { .n_inputs = p->n_args,
                            .inputs = p->arg,
                            .n_outputs = p->n_results,
                            .outputs = p->result,
                            .n_effects = (int)n,
                            .effects = effects,
                            .n_checks = p->update.n_effects > 0,
                            .checks = p->result,
                            .check_names = &check_name,
                            .capacity = p->capacity,
                            .fixed_inputs = true };
    moth_status status = moth_plan_new(ctx, &spec, &p->forward_arena, &p->forward);
    moth_free(effects);
    return status;
}

static bool leaf_known(const mothb_program *p, const moth_tensor *t)
{
    for (int i = 0; i < p->n_leaves; i++) {
        if (p->leaves[i].t == t) {
            return true;
        }
    }
    return false;
}

static moth_status find_leaves(moth_ctx *ctx, mothb_program *p)
{
    int n = 0;
    while (moth_plan_leaf(p->forward, n)) {
        n++;
    }
    p->leaves = moth_malloc(((size_t)n + 1) * sizeof *p->leaves);
    if (!p->leaves) {
        return moth_fail_memory(ctx, n * (int64_t)sizeof *p->leaves);
    }
    for (int i = 0; i < n; i++) {
        moth_tensor *t = moth_plan_leaf(p->forward, i);
        if (!leaf_known(p, t)) {
            p->leaves[p->n_leaves++] = (mothb_leaf){ .t = t, .meta = t->meta, .requires_grad = t->requires_grad };
        }
    }
    return MOTH_OK;
}

bool mothb_program_stale(const mothb_program *p)
{
    bool changed = false;
    for (int i = 0; i < p->n_leaves; i++) {
        const mothb_leaf *l = &p->leaves[i];
        changed = changed || l->requires_grad != l->t->requires_grad || l->meta.offset != l->t->meta.offset ||
                  !moth_meta_same_shape(&l->meta, &l->t->meta) ||
                  memcmp(l->meta.stride, l->t->meta.stride, (size_t)l->meta.rank * sizeof l->meta.stride[0]) != 0;
    }
    return changed;
}

/* ---- the backward plan ---- */

static bool wants_gradient(const moth_ctx *ctx, const mothb_program *p)
{
    bool wanted = false, differentiable = false;
    for (int i = 0; i < p->n_args; i++) {
        wanted = wanted || p->arg[i]->requires_grad;
    }
    for (int i = 0; i < p->n_leaves; i++) {
        wanted = wanted || p->leaves[i].requires_grad;
    }
    for (int k = 0; k < p->n_results; k++) {
        differentiable = differentiable || p->result[k]->requires_grad;
    }
    return ctx->grad_enabled && wanted && differentiable;
}

static moth_status make_seeds(moth_ctx *ctx, mothb_program *p, moth_tensor **y)
{
    for (int k = 0; k < p->n_results; k++) {
        const moth_tensor *t = p->result[k];
        if (t->requires_grad) {
            MOTH_TRY(moth_placeholder(ctx, MOTH_FLOAT32, t->meta.rank, t->meta.shape, &p->dy[p->n_dy]));
            y[p->n_dy] = p->result[k];
            p->dy_result[p->n_dy++] = k;
        }
    }
    return MOTH_OK;
}

/* Records the gradients of all arguments and leaves: p->dx. */
static moth_status record_gradients(moth_ctx *ctx, mothb_program *p)
{
    moth_tensor *y[MOTHB_MAX_RESULTS];
    MOTH_TRY(make_seeds(ctx, p, y));
    int n = p->n_args + p->n_leaves;
    p->dx = moth_calloc(((size_t)n + 1) * sizeof(moth_tensor *));
    p->dx_output = moth_malloc(((size_t)n + 1) * sizeof *p->dx_output);
    moth_tensor **x = moth_malloc(((size_t)n + 1) * sizeof(moth_tensor *));
    if (!p->dx || !p->dx_output || !x) {
        moth_free(x);
        return moth_fail_memory(ctx, n * (int64_t)sizeof *x);
    }
    p->n_dx = n;
    for (int i = 0; i < n; i++) {
        x[i] = i < p->n_args ? p->arg[i] : p->leaves[i - p->n_args].t;
    }
    moth_status status = moth_gradients(ctx, p->n_dy, y, p->dy, n, x, p->dx);
    moth_free(x);
    for (int i = 0; i < n && status == MOTH_OK; i++) {
        bool wanted = i < p->n_args ? p->arg[i]->requires_grad : p->leaves[i - p->n_args].requires_grad;
        if (!wanted) {
            moth_tensor_release(p->dx[i]);
            p->dx[i] = NULL;
        }
    }
    return status;
}

static moth_status build_backward(moth_ctx *ctx, mothb_program *p)
{
    int n_in = p->n_args + p->n_dy, n_out = 0;
    moth_tensor *in[MOTHB_MAX_ARGS + MOTHB_MAX_RESULTS];
    memcpy(in, p->arg, (size_t)p->n_args * sizeof(moth_tensor *));
    memcpy(in + p->n_args, p->dy, (size_t)p->n_dy * sizeof(moth_tensor *));
    moth_tensor **out = moth_malloc(((size_t)p->n_dx + 1) * sizeof(moth_tensor *));
    if (!out) {
        return moth_fail_memory(ctx, p->n_dx * (int64_t)sizeof *out);
    }
    for (int i = 0; i < p->n_dx; i++) {
        p->dx_output[i] = p->dx[i] ? n_out : -1;
        if (p->dx[i]) {
            out[n_out++] = p->dx[i];
        }
    }
    moth_plan_spec spec = { .n_inputs = n_in,
                            .inputs = in,
                            .n_outputs = n_out,
                            .outputs = out,
                            .capacity = p->capacity,
                            .fixed_inputs = true };
    moth_status status = moth_plan_new(ctx, &spec, &p->backward_arena, &p->backward);
    moth_free(out);
    return status;
}

/* ---- the training step ---- */

/* Records the gradients of the first result with respect to every captured tensor that asks for one, and what the
 * optimizer does with them. */
static moth_status emit_update(moth_ctx *ctx, mothb_program *p, moth_pass *pass, moth_tensor **x, moth_tensor **dx)
{
    int n = 0;
    for (int i = 0; i < p->n_leaves; i++) {
        if (p->leaves[i].requires_grad) {
            x[n++] = p->leaves[i].t;
        }
    }
    moth_tensor *seed = moth_emit_constant(pass->scope, 1);
    if (seed && p->result[0]->meta.rank > 0) {
        seed = moth_emit_reshape(pass->scope, seed, p->result[0]->meta.rank, p->result[0]->meta.shape);
    }
    MOTH_TRY(pass->scope->status);
    MOTH_TRY(moth_gradients(ctx, 1, p->result, &seed, n, x, dx));
    for (int i = 0; i < n; i++) {
        moth_scope_own(pass->scope, dx[i]);
    }
    bool grad_before = ctx->grad_enabled;
    ctx->grad_enabled = false;
    moth_status status = moth_optimizer_emit(p->optimizer, pass, n, x, dx, NULL);
    ctx->grad_enabled = grad_before;
    return status;
}

static moth_status record_update(moth_ctx *ctx, mothb_program *p)
{
    if (p->n_results < 1 || p->result_position[0] != 0 || moth_meta_elements(&p->result[0]->meta) != 1 ||
        !p->result[0]->requires_grad) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT,
                         "compile: with an optimizer the function must return the loss first: one "
                         "value that depends on tensors with requires_grad");
    }
    moth_tensor **x = moth_calloc(2 * ((size_t)p->n_leaves + 1) * sizeof(moth_tensor *));
    if (!x) {
        return moth_fail_memory(ctx, p->n_leaves * 16);
    }
    moth_scope scope;
    moth_scope_open(&scope, ctx);
    moth_pass pass = { .ctx = ctx, .scope = &scope, .training = true };
    moth_trace_begin(ctx, &p->update);
    moth_status status = emit_update(ctx, p, &pass, x, x + p->n_leaves + 1);
    moth_trace_end(ctx, &p->update);
    moth_scope_close(&scope, 0, NULL, NULL);
    moth_free(x);
    return status;
}

/* The first plan shows which tensors were captured; the second one changes them. */
static moth_status build_step(moth_ctx *ctx, mothb_program *p)
{
    MOTH_TRY(record_update(ctx, p));
    drop_plans(p);
    return build_forward(ctx, p);
}

moth_status mothb_program_build(moth_ctx *ctx, mothb_program *p)
{
    MOTH_TRY(build_forward(ctx, p));
    MOTH_TRY(find_leaves(ctx, p));
    if (p->optimizer) {
        return build_step(ctx, p);
    }
    if (!wants_gradient(ctx, p)) {
        return MOTH_OK;
    }
    moth_graph inner;
    moth_trace_begin(ctx, &inner);
    moth_status status = record_gradients(ctx, p);
    moth_trace_end(ctx, &inner);
    moth_graph_clear(&inner);
    return status == MOTH_OK ? build_backward(ctx, p) : status;
}

moth_status mothb_program_grow(moth_ctx *ctx, mothb_program *p, int64_t rows)
{
    bool backward = p->backward != NULL;
    drop_plans(p);
    p->capacity = rows;
    MOTH_TRY(build_forward(ctx, p));
    return backward ? build_backward(ctx, p) : MOTH_OK;
}
