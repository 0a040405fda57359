/* Compiled functions: a Lua function is traced once on symbolic tensors; the recorded graph becomes a plan, which later
 * calls run without Lua. Where a gradient is wanted there is a second plan, for backward: it computes the forward pass
 * again, from the arguments that the call kept. What calls differ in (signatures, when to trace again) is decided by
 * moth/compile.lua. */
#include <stdlib.h>
#include <string.h>

#include "autograd/autograd.h"
#include "graph/internal.h"
#include "nn/emit.h"
#include "objects.h"
#include "plan/plan.h"
#include "tensor.h"

#define PROGRAM "moth.program"

enum { MAX_ARGS = 32, MAX_RESULTS = 32 };

/* A leaf as it was when traced: another shape or another wish for a gradient needs another trace. */
typedef struct leaf {
    moth_tensor *t; /* borrowed from the plan */
    moth_meta meta;
    bool requires_grad;
} leaf;

typedef struct program {
    moth_graph graph;
    moth_optimizer *optimizer;       /* of a training step; NULL: results can be differentiated instead */
    moth_graph update;               /* what it does to the captured tensors */
    int n_args, n_results, n_leaves; /* tensors among the arguments and the results; captured tensors */
    moth_tensor *arg[MAX_ARGS];      /* placeholders */
    moth_tensor *result[MAX_RESULTS];
    int position[MAX_ARGS]; /* of the argument in a call */
    int result_position[MAX_RESULTS];
    int batch_arg; /* index of an argument whose first dim is the rows; -1: none */
    leaf *leaves;
    int64_t capacity;
    moth_plan *forward, *backward;
    moth_arena forward_arena, backward_arena;
    int n_dy, n_dx;               /* of the backward plan */
    moth_tensor *dy[MAX_RESULTS]; /* placeholders, one for each differentiable result */
    int dy_result[MAX_RESULTS];   /* which */
    moth_tensor **dx;             /* gradients of args and leaves; NULL where there is none */
    int *dx_output;               /* of the plan, -1: none */
} program;

/* ---- life ---- */

static void drop_plans(program *p)
{
    moth_plan_free(p->forward);
    moth_plan_free(p->backward);
    p->forward = NULL;
    p->backward = NULL;
}

static void program_release(moth_callback *self)
{
    program *p = self->user;
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

/* The owner on the stack; the callback is only its counter of references: recorded calls keep the program alive. */
static moth_callback **new_program(lua_State *L)
{
    moth_callback **box = lua_newuserdatauv(L, sizeof *box, 1);
    *box = NULL;
    luaL_setmetatable(L, PROGRAM);
    moth_callback *owner = moth_calloc(sizeof *owner);
    program *p = owner ? moth_calloc(sizeof *p) : NULL;
    if (!p) {
        moth_free(owner);
        mothb_raise(L, moth_fail_memory(mothb_ctx(L), (int64_t)sizeof *p));
        return NULL;
    }
    *owner = (moth_callback){ .references = 1, .user = p, .release = program_release };
    p->batch_arg = -1;
    *box = owner;
    return box;
}

static moth_callback *check_program(lua_State *L, int arg)
{
    moth_callback **box = mothb_test_object(L, arg, PROGRAM, sizeof *box);
    if (!box || !*box) {
        mothb_type_error(L, arg, "compiled function");
        return NULL;
    }
    return *box;
}

static int program_gc(lua_State *L)
{
    moth_callback **box = mothb_test_object(L, 1, PROGRAM, sizeof *box);
    if (box) {
        moth_callback_release(*box);
        *box = NULL;
    }
    return 0;
}

/* ---- signatures ---- */

/* First dim of the first tensor that has one, from stack index `first` on; -1: there is none. */
static int64_t find_rows(lua_State *L, int first)
{
    for (int i = first; i <= lua_gettop(L); i++) {
        if (mothb_is_tensor(L, i)) {
            const moth_tensor *t = mothb_check_tensor(L, i);
            if (t->meta.rank > 0) {
                return t->meta.shape[0];
            }
        }
    }
    return -1;
}

static void add_tensor(lua_State *L, luaL_Buffer *text, int index, int64_t rows)
{
    const moth_tensor *t = mothb_check_tensor(L, index);
    char shape[160];
    moth_meta m = t->meta;
    if (m.rank > 0 && m.shape[0] == rows) {
        m.shape[0] = -1;
    }
    moth_meta_text(&m, shape, sizeof shape);
    luaL_addstring(text, mothb_dtype_name(m.dtype));
    luaL_addstring(text, shape);
    luaL_addchar(text, t->requires_grad ? 'g' : ' ');
}

/* signature(exact, …) -> text that is equal for calls which one trace serves, exact. One row or none is always exact:
 * what a dim of 1 does (broadcasting, squeeze) is not what a batch does. */
static int signature(lua_State *L)
{
    int n = lua_gettop(L);
    int64_t rows = find_rows(L, 2);
    bool exact = lua_toboolean(L, 1) || rows <= 1;
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    luaL_addchar(&text, mothb_ctx(L)->grad_enabled ? '+' : '-');
    luaL_addchar(&text, exact ? '=' : '~');
    for (int i = 2; i <= n; i++) {
        if (mothb_is_tensor(L, i)) {
            mothb_check_concrete(L, mothb_check_tensor(L, i), "a compiled function");
            add_tensor(L, &text, i, exact ? -1 : rows);
            continue;
        }
        int type = lua_type(L, i);
        if (type != LUA_TNUMBER && type != LUA_TSTRING && type != LUA_TBOOLEAN && type != LUA_TNIL) {
            return mothb_error(L,
                               "argument #%d of a compiled function: tensor, number, string, boolean or nil "
                               "expected, got %s",
                               i - 1, mothb_typename(L, i));
        }
        luaL_addstring(&text, lua_typename(L, type));
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&text);
        luaL_addchar(&text, ';');
    }
    luaL_pushresult(&text);
    lua_pushboolean(L, exact);
    return 2;
}

/* ---- tracing ---- */

/* Pushes the arguments from stack index `first` on as the function sees them: placeholders for tensors. */
static void push_arguments(lua_State *L, program *p, int first, int last, bool exact)
{
    moth_ctx *ctx = mothb_ctx(L);
    int64_t rows = exact ? -1 : find_rows(L, first);
    for (int i = first; i <= last; i++) {
        if (!mothb_is_tensor(L, i)) {
            lua_pushvalue(L, i);
            continue;
        }
        const moth_tensor *t = mothb_check_tensor(L, i);
        int64_t shape[MOTH_MAX_RANK];
        memcpy(shape, t->meta.shape, sizeof shape);
        if (p->n_args == MAX_ARGS) {
            mothb_error(L, "a compiled function takes at most %d tensors", MAX_ARGS);
        }
        if (!exact && t->meta.rank > 0 && shape[0] == rows) {
            shape[0] = -1;
            p->batch_arg = p->n_args;
        }
        MOTHB_CALL(L, moth_placeholder(ctx, t->meta.dtype, t->meta.rank, shape, &p->arg[p->n_args]));
        p->arg[p->n_args]->requires_grad = t->requires_grad && ctx->grad_enabled;
        p->position[p->n_args] = i - first;
        p->n_args++;
        moth_tensor **box = mothb_new_tensor(L); /* a handle of its own: the function may change it in place */
        MOTHB_CALL(L, moth_tensor_alias(ctx, p->arg[p->n_args - 1], box));
    }
    p->capacity = rows > 0 ? rows : 1;
}

/* The results on the stack from `first` on: tensors go to the program, the rest are constants that it gives again. */
static void take_results(lua_State *L, program *p, int owner, int first)
{
    int n = lua_gettop(L) - first + 1;
    lua_createtable(L, n, 1);
    int constants = lua_gettop(L);
    lua_pushinteger(L, n);
    lua_setfield(L, constants, "n");
    for (int k = 0; k < n; k++) {
        if (!mothb_is_tensor(L, first + k)) {
            if (lua_istable(L, first + k) || lua_isfunction(L, first + k) || lua_isuserdata(L, first + k)) {
                mothb_error(L,
                            "result #%d of a compiled function: tensor, number, string, boolean or nil expected, "
                            "got %s",
                            k + 1, mothb_typename(L, first + k));
            }
            lua_pushvalue(L, first + k);
            lua_rawseti(L, constants, k + 1);
            continue;
        }
        moth_tensor *t = mothb_check_tensor(L, first + k);
        if (p->n_results == MAX_RESULTS) {
            mothb_error(L, "a compiled function gives at most %d tensors", MAX_RESULTS);
        }
        if (moth_tensor_is_symbolic(t)) {
            MOTHB_CALL(L, moth_tensor_alias(mothb_ctx(L), t, &p->result[p->n_results]));
        } else {
            p->result[p->n_results] = moth_tensor_retain(t);
        }
        p->result_position[p->n_results++] = k;
    }
    lua_setiuservalue(L, owner, 1);
}

/* A training step stops before its update where the loss is not finite. */
static moth_status build_forward(moth_ctx *ctx, program *p)
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
                            .capacity = p->capacity };
    moth_status status = moth_plan_new(ctx, &spec, &p->forward_arena, &p->forward);
    moth_free(effects);
    return status;
}

static bool leaf_known(const program *p, const moth_tensor *t)
{
    for (int i = 0; i < p->n_leaves; i++) {
        if (p->leaves[i].t == t) {
            return true;
        }
    }
    return false;
}

static moth_status find_leaves(moth_ctx *ctx, program *p)
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
            p->leaves[p->n_leaves++] = (leaf){ .t = t, .meta = t->meta, .requires_grad = t->requires_grad };
        }
    }
    return MOTH_OK;
}

/* ---- the backward plan ---- */

static bool wants_gradient(const moth_ctx *ctx, const program *p)
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

static moth_status make_seeds(moth_ctx *ctx, program *p, moth_tensor **y)
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
static moth_status record_gradients(moth_ctx *ctx, program *p)
{
    moth_tensor *y[MAX_RESULTS];
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

static moth_status build_backward(moth_ctx *ctx, program *p)
{
    int n_in = p->n_args + p->n_dy, n_out = 0;
    moth_tensor *in[MAX_ARGS + MAX_RESULTS];
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
    moth_plan_spec spec = {
        .n_inputs = n_in, .inputs = in, .n_outputs = n_out, .outputs = out, .capacity = p->capacity
    };
    moth_status status = moth_plan_new(ctx, &spec, &p->backward_arena, &p->backward);
    moth_free(out);
    return status;
}

/* ---- the training step ---- */

/* Records the gradients of the first result with respect to every captured tensor that asks for one, and what the
 * optimizer does with them. */
static moth_status emit_update(moth_ctx *ctx, program *p, moth_pass *pass, moth_tensor **x, moth_tensor **dx)
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

static moth_status record_update(moth_ctx *ctx, program *p)
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
static moth_status build_step(moth_ctx *ctx, program *p)
{
    MOTH_TRY(record_update(ctx, p));
    drop_plans(p);
    return build_forward(ctx, p);
}

static moth_status build(moth_ctx *ctx, program *p)
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

/* trace(f, training, exact, optimizer, …) -> program. The function runs once, on placeholders. */
static int trace(lua_State *L)
{
    int last = lua_gettop(L);
    bool training = lua_toboolean(L, 2), exact = lua_toboolean(L, 3);
    moth_optimizer *optimizer = lua_isnoneornil(L, 4) ? NULL : mothb_check_optimizer(L, 4);
    luaL_checkstack(L, 2 * last + 16, NULL);
    mothb_state *state = mothb_get_state(L);
    program *p = (*new_program(L))->user;
    p->optimizer = moth_optimizer_retain(optimizer);
    int owner = lua_gettop(L);
    lua_pushvalue(L, 1);
    push_arguments(L, p, 5, last, exact);
    bool training_before = state->training, grad_before = state->ctx->grad_enabled;
    state->training = training;
    state->draws = 0;
    moth_trace_begin(state->ctx, &p->graph);
    int status = lua_pcall(L, last - 4, LUA_MULTRET, 0);
    moth_trace_end(state->ctx, &p->graph);
    state->training = training_before;
    state->ctx->grad_enabled = grad_before;
    state->running = L;
    if (status != LUA_OK) {
        return lua_error(L);
    }
    take_results(L, p, owner, owner + 1);
    MOTHB_CALL(L, build(state->ctx, p));
    lua_settop(L, owner);
    return 1;
}

/* stale(program): has a captured tensor another shape, place or wish for a gradient than when it was traced? */
static int stale(lua_State *L)
{
    const program *p = check_program(L, 1)->user;
    bool changed = false;
    for (int i = 0; i < p->n_leaves; i++) {
        const leaf *l = &p->leaves[i];
        changed = changed || l->requires_grad != l->t->requires_grad || l->meta.offset != l->t->meta.offset ||
                  !moth_meta_same_shape(&l->meta, &l->t->meta) ||
                  memcmp(l->meta.stride, l->t->meta.stride, (size_t)l->meta.rank * sizeof l->meta.stride[0]) != 0;
    }
    lua_pushboolean(L, changed);
    return 1;
}

/* ---- the gradient of a call ---- */

enum { CALL_PROGRAM, CALL_ROWS, CALL_SEED, CALL_STEP };

/* Inputs of the backward plan: the arguments, then the gradient of each differentiable result, zeros where it is
 * none. What is made here belongs to the scope. */
static moth_status backward_inputs(moth_grad *g, const program *p, moth_tensor **in)
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

static moth_status run_backward(moth_grad *g, program *p)
{
    moth_ctx *ctx = g->scope->ctx;
    moth_tensor *in[MAX_ARGS + MAX_RESULTS];
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
    program *p = (program *)(intptr_t)g->attrs->i[CALL_PROGRAM]; /* kept alive by the node's owner */
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
    const program *p = owner->user;
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

static moth_status grow(moth_ctx *ctx, program *p, int64_t rows)
{
    bool backward = p->backward != NULL;
    drop_plans(p);
    p->capacity = rows;
    MOTH_TRY(build_forward(ctx, p));
    return backward ? build_backward(ctx, p) : MOTH_OK;
}

/* Data of the arguments of this call, contiguous; copies stay on the stack. */
static void gather_arguments(lua_State *L, const program *p, moth_tensor **arg, moth_tensor **data)
{
    for (int i = 0; i < p->n_args; i++) {
        arg[i] = mothb_check_tensor(L, p->position[i] + 2);
        data[i] = arg[i];
        if (!moth_meta_contiguous(&arg[i]->meta)) {
            moth_tensor **copy = mothb_new_tensor(L);
            MOTHB_CALL(L, moth_tensor_contiguous_copy(mothb_ctx(L), arg[i], copy));
            data[i] = *copy;
        }
    }
}

static int push_all(lua_State *L, const program *p, int first)
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

/* program(…): the arguments have the signature of the trace. */
static int program_call(lua_State *L)
{
    moth_callback *owner = check_program(L, 1);
    program *p = owner->user;
    moth_ctx *ctx = mothb_ctx(L);
    moth_tensor *arg[MAX_ARGS], *data[MAX_ARGS], *out[MAX_RESULTS];
    luaL_checkstack(L, MAX_ARGS + MAX_RESULTS + 8, NULL);
    gather_arguments(L, p, arg, data);
    int64_t rows = p->batch_arg >= 0 ? arg[p->batch_arg]->meta.shape[0] : 1;
    moth_run run = { .seed = ctx->seed, .step = ctx->eager_step++ };
    if (rows > p->capacity || !p->forward) {
        MOTHB_CALL(L, grow(ctx, p, rows > p->capacity ? rows : p->capacity));
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

/* tracing() -> is a function being traced? */
static int tracing(lua_State *L)
{
    lua_pushboolean(L, mothb_ctx(L)->trace != NULL);
    return 1;
}

/* interrupted() -> was the last failure an interrupt? */
static int interrupted(lua_State *L)
{
    lua_pushboolean(L, moth_error_status(mothb_ctx(L)) == MOTH_ERR_INTERRUPTED);
    return 1;
}

void mothb_open_compile(lua_State *L)
{
    static const luaL_Reg metamethods[] = { { "__gc", program_gc }, { "__call", program_call }, { NULL, NULL } };
    static const luaL_Reg functions[] = {
        { "signature", signature },     { "trace", trace }, { "stale", stale }, { "tracing", tracing },
        { "interrupted", interrupted }, { NULL, NULL },
    };
    mothb_new_class(L, PROGRAM, metamethods);
    lua_pop(L, 1);
    mothb_register(L, functions);
}
