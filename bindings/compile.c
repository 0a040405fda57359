/* moth.compile: from a Lua function to a program (program.h). What calls differ in (signatures, when to trace again) is
 * decided by moth/compile.lua. */
#include <string.h>

#include "objects.h"
#include "program.h"

/* ---- the owner ---- */

static moth_callback **new_program(lua_State *L)
{
    moth_callback **box = lua_newuserdatauv(L, sizeof *box, 1);
    *box = NULL;
    luaL_setmetatable(L, MOTHB_PROGRAM);
    *box = mothb_program_new();
    if (!*box) {
        mothb_raise(L, moth_fail_memory(mothb_ctx(L), (int64_t)sizeof(mothb_program)));
    }
    return box;
}

moth_callback *mothb_check_program(lua_State *L, int arg)
{
    moth_callback **box = mothb_test_object(L, arg, MOTHB_PROGRAM, sizeof *box);
    if (!box || !*box) {
        mothb_type_error(L, arg, "compiled function");
        return NULL;
    }
    return *box;
}

static int program_gc(lua_State *L)
{
    moth_callback **box = mothb_test_object(L, 1, MOTHB_PROGRAM, sizeof *box);
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
    luaL_addstring(text, moth_dtype_name(m.dtype));
    luaL_addstring(text, shape);
    luaL_addchar(text, t->requires_grad ? 'g' : ' ');
    luaL_addchar(text, t->mask ? 'm' : ' ');
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

/* A placeholder for an argument, or for the mask of one. */
static void add_argument(lua_State *L, mothb_program *p, const moth_tensor *t, int position, bool is_mask, int64_t rows)
{
    moth_ctx *ctx = mothb_ctx(L);
    int64_t shape[MOTH_MAX_RANK];
    memcpy(shape, t->meta.shape, sizeof shape);
    if (p->n_args == MOTHB_MAX_ARGS) {
        mothb_error(L, "a compiled function takes at most %d tensors", MOTHB_MAX_ARGS);
    }
    if (t->meta.rank > 0 && shape[0] == rows) {
        shape[0] = -1;
        p->batch_arg = is_mask ? p->batch_arg : p->n_args;
    }
    MOTHB_CALL(L, moth_placeholder(ctx, t->meta.dtype, t->meta.rank, shape, &p->arg[p->n_args]));
    p->arg[p->n_args]->requires_grad = t->requires_grad && ctx->grad_enabled;
    p->position[p->n_args] = position;
    p->is_mask[p->n_args++] = is_mask;
}

/* Pushes the arguments from stack index `first` on as the function sees them: placeholders for tensors. */
static void push_arguments(lua_State *L, mothb_program *p, int first, int last, bool exact)
{
    int64_t rows = exact ? -1 : find_rows(L, first);
    for (int i = first; i <= last; i++) {
        if (!mothb_is_tensor(L, i)) {
            lua_pushvalue(L, i);
            continue;
        }
        const moth_tensor *t = mothb_check_tensor(L, i);
        moth_tensor **box = mothb_new_tensor(L); /* a handle of its own: the function may change it in place */
        add_argument(L, p, t, i - first, false, rows);
        MOTHB_CALL(L, moth_tensor_alias(mothb_ctx(L), p->arg[p->n_args - 1], box));
        if (t->mask) {
            add_argument(L, p, t->mask, i - first, true, rows);
            moth_tensor_set_mask(*box, p->arg[p->n_args - 1]);
        }
    }
    p->capacity = rows > 0 ? rows : 1;
}

static void add_result(lua_State *L, mothb_program *p, moth_tensor *t, int position, int masked)
{
    if (p->n_results == MOTHB_MAX_RESULTS) {
        mothb_error(L, "a compiled function gives at most %d tensors", MOTHB_MAX_RESULTS);
    }
    t = moth_trace_value(mothb_ctx(L), t);
    if (moth_tensor_is_symbolic(t)) {
        MOTHB_CALL(L, moth_tensor_alias(mothb_ctx(L), t, &p->result[p->n_results]));
    } else {
        p->result[p->n_results] = moth_tensor_retain(t);
    }
    p->masked_result[p->n_results] = masked;
    p->result_position[p->n_results++] = position;
}

/* The results on the stack from `first` on: tensors go to the program, the rest are constants that it gives again. */
static void take_results(lua_State *L, mothb_program *p, int owner, int first)
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
        add_result(L, p, mothb_check_tensor(L, first + k), k, -1);
    }
    for (int k = 0, visible = p->n_results; k < visible; k++) {
        moth_tensor *mask = mothb_check_tensor(L, first + p->result_position[k])->mask;
        if (mask) {
            add_result(L, p, mask, -1, k);
        }
    }
    lua_setiuservalue(L, owner, 1);
}

/* trace(f, training, exact, optimizer, …) -> program. The function runs once, on placeholders. */
static int trace(lua_State *L)
{
    int last = lua_gettop(L);
    bool training = lua_toboolean(L, 2), exact = lua_toboolean(L, 3);
    moth_optimizer *optimizer = lua_isnoneornil(L, 4) ? NULL : mothb_check_optimizer(L, 4);
    luaL_checkstack(L, 2 * last + 16, NULL);
    mothb_state *state = mothb_get_state(L);
    mothb_program *p = (*new_program(L))->user;
    p->optimizer = moth_optimizer_retain(optimizer);
    int owner = lua_gettop(L);
    lua_pushvalue(L, 1);
    push_arguments(L, p, 5, last, exact);
    bool training_before = state->training, grad_before = state->ctx->grad_enabled;
    state->training = training;
    state->draws = 0;
    state->ctx->status = MOTH_OK;
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
    moth_status built = mothb_program_build(state->ctx, p); /* not twice: it adds to the mothb_program */
    if (built != MOTH_OK) {
        return mothb_raise(L, built);
    }
    lua_settop(L, owner);
    return 1;
}

/* stale(program): must the function be traced again for the same signature? */
static int stale(lua_State *L)
{
    lua_pushboolean(L, mothb_program_stale(mothb_check_program(L, 1)->user));
    return 1;
}

/* tracing() -> is a function being traced? */
static int tracing(lua_State *L)
{
    lua_pushboolean(L, mothb_ctx(L)->trace != NULL);
    return 1;
}

/* failure() -> what kind of failure the last one was: "memory", "interrupted", …; "ok" where trace met none of the
 * engine's */
static int failure(lua_State *L)
{
    lua_pushstring(L, moth_status_name(moth_error_status(mothb_ctx(L))));
    return 1;
}

void mothb_open_compile(lua_State *L)
{
    static const luaL_Reg metamethods[] = { { "__gc", program_gc }, { "__call", mothb_program_call }, { NULL, NULL } };
    static const luaL_Reg functions[] = {
        { "signature", signature }, { "trace", trace },     { "stale", stale },
        { "tracing", tracing },     { "failure", failure }, { NULL, NULL },
    };
    mothb_new_class(L, MOTHB_PROGRAM, metamethods);
    lua_pop(L, 1);
    mothb_register(L, functions);
}
