/* Calls of compiled functions: they run the plan, and are recorded as one step where a gradient is wanted. */
#include "program.h"

#include "graph/internal.h"

/* ---- the gradient of a call ---- */

enum { CALL_PROGRAM, CALL_ROWS, CALL_SEED, CALL_STEP };

/* Inputs of the backward plan: the arguments, then the gradient of each differentiable result, zeros where it is
 * none. What is made here belongs to the scope. */
static moth_status backward_inputs(moth_grad *g, const mothb_program *p, moth_tensor **in)
{
    moth_ctx *ctx = g->scope->ctx;
    for (int i = 0; i < p->n_args + p->n_dy; i++) {
        moth_tensor *t = i < p->n_args ? g->x[i] : g->dy[p->dy_result[i - p->n_args]];
        if (!t) {
            const moth_meta *y = &g->y[p->dy_result[i - p->n_args]]->meta;
            MOTH_TRY(moth_tensor_zeros(ctx, MOTH_FLOAT32, y->rank, y->shape, &t));
            moth_scope_own(g->scope, t);
        } else if (!moth_meta_contiguous(&t->meta)) {
            MOTH_TRY(moth_tensor_contiguous_copy(ctx, t, &t));
            moth_scope_own(g->scope, t);
        }
        in[i] = t;
    }
    return g->scope->status;
}

static moth_status run_backward(moth_grad *g, mothb_program *p)
{
    moth_ctx *ctx = g->scope->ctx;
    moth_tensor *in[MOTHB_MAX_ARGS + MOTHB_MAX_RESULTS];
    moth_run run = { .seed = (uint64_t)g->attrs->i[CALL_SEED], .step = (uint64_t)g->attrs->i[CALL_STEP] };
    MOTH_TRY(backward_inputs(g, p, in));
    MOTH_TRY(moth_plan_run(ctx, p->backward, g->attrs->i[CALL_ROWS], in, &run));
    for (int i = 0; i < p->n_dx; i++) {
        if (p->dx_output[i] >= 0 && g->need[i]) {
            moth_tensor *copy;
            MOTH_TRY(moth_tensor_contiguous_copy(ctx, moth_plan_output(p->backward, p->dx_output[i]), &copy));
            g->dx[i] = moth_scope_own(g->scope, copy);
        }
    }
    return g->scope->status;
}

static void call_gradient(moth_grad *g)
{
    mothb_program *p = (mothb_program *)(intptr_t)g->attrs->i[CALL_PROGRAM]; /* kept alive by the node's owner */
    moth_status status = run_backward(g, p);
    if (status != MOTH_OK) {
        moth_scope_fail(g->scope, status);
    }
}

/* Never applied: only what a recorded call needs to be differentiated. */
static const moth_op call_op = {
    .name = "compiled function", .max_in = -1, .gradient = call_gradient, .saves_in = ~0u
};

static moth_status record_input(moth_ctx *ctx, moth_node *node, int i, moth_tensor *t)
{
    node->version[i] = t->storage->version;
    if (!t->node) {
        node->in[i] = moth_tensor_retain(t);
        return MOTH_OK;
    }
    return moth_tensor_alias(ctx, t, &node->in[i]);
}

/* Gives the results of a call their history. */
static moth_status record_call(moth_ctx *ctx, moth_callback *owner, const moth_attrs *attrs, moth_tensor *const *in,
                               moth_tensor *const *out)
{
    const mothb_program *p = owner->user;
    moth_node *node;
    MOTH_TRY(moth_node_new(ctx, &call_op, attrs, p->n_args + p->n_leaves, p->n_results, &node));
    node->owner = moth_callback_retain(owner);
    moth_status status = MOTH_OK;
    for (int i = 0; i < node->n_in && status == MOTH_OK; i++) {
        status = record_input(ctx, node, i, i < p->n_args ? in[i] : p->leaves[i - p->n_args].t);
    }
    for (int k = 0; k < p->n_results && status == MOTH_OK; k++) {
        node->out_meta[k] = out[k]->meta;
        if (p->result[k]->requires_grad) {
            out[k]->requires_grad = true;
            out[k]->node = node;
            out[k]->node_output = k;
            moth_node_retain(node);
        }
    }
    moth_node_release(node);
    return status;
}

/* ---- running ---- */

/* Data of the arguments of this call, contiguous; copies stay on the stack. */
static void gather_arguments(lua_State *L, const mothb_program *p, moth_tensor **arg, moth_tensor **data)
{
    for (int i = 0; i < p->n_args; i++) {
        moth_tensor *t = mothb_check_tensor(L, p->position[i] + 2);
        arg[i] = p->is_mask[i] ? t->mask : t;
        data[i] = arg[i];
        if (!moth_meta_contiguous(&arg[i]->meta)) {
            moth_tensor **copy = mothb_new_tensor(L);
            MOTHB_CALL(L, moth_tensor_contiguous_copy(mothb_ctx(L), arg[i], copy));
            data[i] = *copy;
        }
    }
}

static int push_all(lua_State *L, const mothb_program *p, int first)
{
    lua_getiuservalue(L, 1, 1);
    int constants = lua_gettop(L);
    lua_getfield(L, constants, "n");
    int n = (int)lua_tointeger(L, -1), next = 0;
    luaL_checkstack(L, n + 4, NULL);
    for (int k = 0; k < n; k++) {
        if (next < p->n_results && p->result_position[next] == k) {
            lua_pushvalue(L, first + next++);
        } else {
            lua_rawgeti(L, constants, k + 1);
        }
    }
    return n;
}

int mothb_program_call(lua_State *L)
{
    moth_callback *owner = mothb_check_program(L, 1);
    mothb_program *p = owner->user;
    moth_ctx *ctx = mothb_ctx(L);
    moth_tensor *arg[MOTHB_MAX_ARGS], *data[MOTHB_MAX_ARGS], *out[MOTHB_MAX_RESULTS];
    luaL_checkstack(L, MOTHB_MAX_ARGS + MOTHB_MAX_RESULTS + 8, NULL);
    gather_arguments(L, p, arg, data);
    int64_t rows = p->batch_arg >= 0 ? arg[p->batch_arg]->meta.shape[0] : 1;
    moth_run run = { .seed = ctx->seed, .step = ctx->eager_step++ };
    if (rows > p->capacity || !p->forward) {
        MOTHB_CALL(L, mothb_program_grow(ctx, p, rows > p->capacity ? rows : p->capacity));
    }
    if (p->optimizer) {
        moth_optimizer_prepare(p->optimizer);
    }
    MOTHB_CALL(L, moth_plan_run(ctx, p->forward, rows, data, &run));
    if (p->optimizer) {
        moth_optimizer_advance(p->optimizer);
    }
    int first = lua_gettop(L) + 1;
    for (int k = 0; k < p->n_results; k++) {
        moth_tensor **box = mothb_new_tensor(L);
        MOTHB_CALL(L, moth_tensor_contiguous_copy(ctx, moth_plan_output(p->forward, k), box));
        out[k] = *box;
        if (p->masked_result[k] >= 0) {
            moth_tensor_set_mask(out[p->masked_result[k]], out[k]);
        }
    }
    if (p->backward && ctx->grad_enabled) {
        moth_attrs attrs = { .i = { [CALL_PROGRAM] = (int64_t)(intptr_t)p,
                                    [CALL_ROWS] = rows,
                                    [CALL_SEED] = (int64_t)run.seed,
                                    [CALL_STEP] = (int64_t)run.step } };
        MOTHB_CALL(L, record_call(ctx, owner, &attrs, arg, out));
    }
    return push_all(L, p, first);
}
