/* Lua values as values of the engine and back, and Lua functions as callbacks of the engine. */
#include <stdlib.h>
#include <string.h>

#include "common.h"

#define VALUE_OWNER "moth.value"
#define CALLBACK_OWNER "moth.callback"

enum { MAX_DEPTH = 100 };

/* What the last failed callback raised lies here in the registry. The slot exists from the start: writing to it
 * allocates nothing. */
static const char raised_key = 0;

/* ---- callbacks ---- */

typedef struct lua_callback {
    mothb_state *state;
    lua_State *main;
    int reference;
} lua_callback;

/* One call on its way through lua_pcall. */
typedef struct invocation {
    moth_callback *callback;
    moth_tensor *const *in;
    int n_in;
    bool training;
    moth_tensor **out;
    int max_out, n_out;
} invocation;

/* The result at index: a tensor, or a number that becomes a 0-d tensor in its place. */
static moth_tensor *result_tensor(lua_State *L, int index)
{
    if (lua_type(L, index) == LUA_TNUMBER) {
        float value = (float)lua_tonumber(L, index);
        moth_tensor **box = mothb_new_tensor(L);
        MOTHB_CALL(L, moth_tensor_from_floats(mothb_ctx(L), 0, NULL, &value, box));
        lua_replace(L, index);
        return *box;
    }
    moth_tensor **box = mothb_test_object(L, index, MOTHB_TENSOR, sizeof *box);
    if (!box || !*box) {
        mothb_error(L, "a function that computes must return tensors or numbers, got %s", mothb_typename(L, index));
        abort(); /* mothb_error does not return */
    }
    return *box;
}

static int invoke(lua_State *L)
{
    invocation *call = lua_touserdata(L, 1);
    const lua_callback *f = call->callback->user;
    lua_settop(L, 0);
    luaL_checkstack(L, call->n_in + 4, NULL);
    lua_rawgeti(L, LUA_REGISTRYINDEX, f->reference);
    for (int i = 0; i < call->n_in; i++) {
        mothb_push_tensor(L, call->in[i]);
    }
    lua_createtable(L, 0, 1);
    lua_pushboolean(L, call->training);
    lua_setfield(L, -2, "training");
    lua_call(L, call->n_in + 1, LUA_MULTRET);
    int n = lua_gettop(L);
    if (n < 1 || n > call->max_out) {
        return mothb_error(L, "the function returned %d values where %s%d %s wanted", n,
                           call->max_out > 1 ? "1 to " : "", call->max_out, call->max_out > 1 ? "are" : "is");
    }
    luaL_checkstack(L, 4, NULL);
    for (int i = 1; i <= n; i++) {
        result_tensor(L, i);
    }
    for (int i = 0; i < n; i++) { /* from here on nothing raises */
        moth_tensor **box = lua_touserdata(L, i + 1);
        call->out[i] = moth_tensor_retain(*box);
    }
    call->n_out = n;
    return 0;
}

static moth_status callback_call(moth_callback *self, moth_ctx *ctx, moth_tensor *const *in, int n_in, bool training,
                                 moth_tensor **out, int max_out, int *n_out)
{
    const lua_callback *f = self->user;
    mothb_state *state = f->state;
    lua_State *L = state->running;
    invocation call = {
        .callback = self, .in = in, .n_in = n_in, .training = training, .out = out, .max_out = max_out
    };
    if (!lua_checkstack(L, 4)) {
        return moth_fail(ctx, MOTH_ERR_MEMORY, "Lua stack overflow");
    }
    lua_pushcfunction(L, invoke);
    lua_pushlightuserdata(L, &call);
    ctx->status = MOTH_OK;
    bool inference = state->inference;
    state->inference = !training;
    int status = lua_pcall(L, 1, 0, 0);
    state->inference = inference;
    state->running = L; /* the function may have run moth in coroutines of its own */
    if (status != LUA_OK && (ctx->status == MOTH_ERR_EXACT_BATCH || ctx->status == MOTH_ERR_INTERRUPTED)) {
        lua_pop(L, 1); /* not the function's fault: the caller of the engine knows what to do */
        return ctx->status;
    }
    if (status != LUA_OK) {
        const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "error object";
        moth_fail(ctx, MOTH_ERR_CALLBACK, "%s", text);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &raised_key);
        return MOTH_ERR_CALLBACK;
    }
    *n_out = call.n_out;
    return MOTH_OK;
}

static void callback_release(moth_callback *self)
{
    lua_callback *f = self->user;
    luaL_unref(f->main, LUA_REGISTRYINDEX, f->reference);
    moth_free(f);
}

int mothb_raise_callback(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &raised_key);
    lua_pushboolean(L, false);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &raised_key);
    return lua_error(L);
}

static moth_callback *callback_new(mothb_state *state, lua_State *main, int reference)
{
    moth_callback *callback = moth_calloc(sizeof *callback);
    lua_callback *f = callback ? moth_calloc(sizeof *f) : NULL;
    if (!f) {
        moth_free(callback);
        return NULL;
    }
    *f = (lua_callback){ .state = state, .main = main, .reference = reference };
    *callback = (moth_callback){ .references = 1, .user = f, .call = callback_call, .release = callback_release };
    return callback;
}

/* A new callback (one reference) for the function at index; NULL without memory. May raise, then owning nothing. */
static moth_callback *make_callback(lua_State *L, int index)
{
    mothb_state *state = mothb_get_state(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    lua_State *main = lua_tothread(L, -1);
    lua_pop(L, 1);
    lua_pushvalue(L, index);
    int reference = luaL_ref(L, LUA_REGISTRYINDEX);
    moth_callback *callback = callback_new(state, main, reference);
    if (!callback) {
        luaL_unref(L, LUA_REGISTRYINDEX, reference);
    }
    return callback;
}

static int no_memory(lua_State *L)
{
    return mothb_raise(L, moth_fail(mothb_ctx(L), MOTH_ERR_MEMORY, "not enough memory"));
}

moth_callback *mothb_callback_from_lua(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    moth_callback **box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = NULL;
    luaL_setmetatable(L, CALLBACK_OWNER);
    *box = make_callback(L, index);
    if (!*box) {
        no_memory(L);
    }
    return *box;
}

/* ---- Lua to value ---- */

static moth_value *convert(lua_State *L, int index, int depth);

/* A table is a list when its keys are 1..n, a map when all are strings. */
static bool is_list(lua_State *L, int index)
{
    lua_Unsigned n = lua_rawlen(L, index), keys = 0;
    bool strings = true, numbers = true;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        int64_t key;
        keys++;
        strings = strings && lua_type(L, -1) == LUA_TSTRING;
        numbers = numbers && mothb_to_int(L, -1, &key) && key >= 1 && (lua_Unsigned)key <= n;
    }
    if (keys > 0 && !strings && !(numbers && keys == n)) {
        mothb_error(L, "expected a list (keys 1 to n) or a table with names as keys");
    }
    return keys == 0 || numbers;
}

/* Members are handed over one by one, so that each has an owner when the next may raise. */
static void convert_list(lua_State *L, int index, moth_value *list, int depth);
static void convert_map(lua_State *L, int index, moth_value *map, int depth);

static void fill(lua_State *L, int index, moth_value *v, int depth)
{
    if (moth_value_kind_of(v) == MOTH_LIST) {
        convert_list(L, index, v, depth);
    } else if (moth_value_kind_of(v) == MOTH_MAP) {
        convert_map(L, index, v, depth);
    }
}

static void convert_list(lua_State *L, int index, moth_value *list, int depth)
{
    lua_Unsigned n = lua_rawlen(L, index);
    for (lua_Unsigned i = 1; i <= n; i++) {
        lua_rawgeti(L, index, (lua_Integer)i);
        int member = lua_gettop(L);
        if (!moth_value_append(list, convert(L, member, depth + 1))) {
            no_memory(L);
        }
        fill(L, member, (moth_value *)(uintptr_t)moth_value_at(list, (int64_t)i - 1), depth + 1);
        lua_settop(L, member - 1);
    }
}

static void convert_map(lua_State *L, int index, moth_value *map, int depth)
{
    lua_pushnil(L);
    while (lua_next(L, index)) {
        int member = lua_gettop(L);
        size_t size;
        const char *key = lua_tolstring(L, member - 1, &size);
        if (strlen(key) != size) {
            mothb_error(L, "a name contains a zero byte");
        }
        if (!moth_value_set(map, key, convert(L, member, depth + 1))) {
            no_memory(L);
        }
        fill(L, member, (moth_value *)(uintptr_t)moth_value_get(map, key), depth + 1);
        lua_settop(L, member - 1);
    }
}

static moth_value *convert_string(lua_State *L, int index)
{
    size_t size;
    const char *text = lua_tolstring(L, index, &size);
    if (strlen(text) != size) {
        mothb_error(L, "a string contains a zero byte");
    }
    return moth_value_string(text, size);
}

static moth_value *convert_function(lua_State *L, int index)
{
    moth_callback *callback = make_callback(L, index);
    moth_value *v = callback ? moth_value_function(callback) : NULL;
    moth_callback_release(callback);
    return v;
}

/* One value; lists and maps are still empty. NULL without memory. */
static moth_value *convert(lua_State *L, int index, int depth)
{
    luaL_checkstack(L, 8, NULL);
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        return moth_value_nil();
    case LUA_TBOOLEAN:
        return moth_value_bool(lua_toboolean(L, index));
    case LUA_TNUMBER:
        return lua_isinteger(L, index) ? moth_value_int(lua_tointeger(L, index))
                                       : moth_value_number(lua_tonumber(L, index));
    case LUA_TSTRING:
        return convert_string(L, index);
    case LUA_TFUNCTION:
        return convert_function(L, index);
    case LUA_TTABLE:
        if (depth >= MAX_DEPTH) {
            mothb_error(L, "a table is nested deeper than %d levels", MAX_DEPTH);
        }
        return is_list(L, index) ? moth_value_list() : moth_value_map();
    default:
        mothb_error(L, "expected nil, a boolean, number, string, function or table, got %s", mothb_typename(L, index));
        return NULL;
    }
}

moth_value **mothb_new_value(lua_State *L)
{
    moth_value **box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = NULL;
    luaL_setmetatable(L, VALUE_OWNER);
    return box;
}

moth_value *mothb_value_from_lua(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    moth_value **box = mothb_new_value(L);
    *box = convert(L, index, 0);
    if (!*box) {
        no_memory(L);
    }
    fill(L, index, *box, 0);
    return *box;
}

/* ---- value to Lua ---- */

static void push_function(lua_State *L, moth_callback *callback)
{
    if (callback && callback->call == callback_call) {
        const lua_callback *f = callback->user;
        lua_rawgeti(L, LUA_REGISTRYINDEX, f->reference);
    } else {
        lua_pushnil(L);
    }
}

void mothb_push_value(lua_State *L, const moth_value *v)
{
    luaL_checkstack(L, 4, NULL);
    switch (moth_value_kind_of(v)) {
    case MOTH_NIL:
        lua_pushnil(L);
        break;
    case MOTH_BOOL:
        lua_pushboolean(L, moth_value_as_bool(v));
        break;
    case MOTH_INT:
        lua_pushinteger(L, moth_value_as_int(v));
        break;
    case MOTH_NUMBER:
        lua_pushnumber(L, moth_value_as_number(v));
        break;
    case MOTH_STRING:
        lua_pushstring(L, moth_value_as_string(v));
        break;
    case MOTH_FUNCTION:
        push_function(L, moth_value_as_function(v));
        break;
    case MOTH_LIST:
        lua_newtable(L);
        for (int64_t i = 0; i < moth_value_count(v); i++) {
            mothb_push_value(L, moth_value_at(v, i));
            lua_rawseti(L, -2, i + 1);
        }
        break;
    case MOTH_MAP:
        lua_newtable(L);
        for (int64_t i = 0; i < moth_value_count(v); i++) {
            lua_pushstring(L, moth_value_key(v, i));
            mothb_push_value(L, moth_value_item(v, i));
            lua_rawset(L, -3);
        }
        break;
    }
}

static int value_gc(lua_State *L)
{
    moth_value **box = mothb_test_object(L, 1, VALUE_OWNER, sizeof *box);
    if (box) {
        moth_value_free(*box);
        *box = NULL;
    }
    return 0;
}

static int callback_gc(lua_State *L)
{
    moth_callback **box = mothb_test_object(L, 1, CALLBACK_OWNER, sizeof *box);
    if (box) {
        moth_callback_release(*box);
        *box = NULL;
    }
    return 0;
}

void mothb_open_value(lua_State *L)
{
    static const luaL_Reg value_metamethods[] = { { "__gc", value_gc }, { NULL, NULL } };
    static const luaL_Reg callback_metamethods[] = { { "__gc", callback_gc }, { NULL, NULL } };
    mothb_new_class(L, VALUE_OWNER, value_metamethods);
    mothb_new_class(L, CALLBACK_OWNER, callback_metamethods);
    lua_pop(L, 2);
    lua_pushboolean(L, false);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &raised_key);
}
