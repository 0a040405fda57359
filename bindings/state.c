/* The state of one lua_State, errors at the user's line, memory pressure, interruption, registration. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

static const char state_key = 0;

enum { MEGABYTE = 1 << 20 };

static int state_gc(lua_State *L)
{
    mothb_state *state = mothb_test_object(L, 1, "moth.state", sizeof *state);
    if (state) {
        moth_ctx_free(state->ctx);
        state->ctx = NULL;
    }
    return 0;
}

/* What the engine has to say, a warning to Lua: once, and not again for each of many models. */
static void say(void *user, const char *line)
{
    mothb_state *state = user;
    if (strncmp(state->said, line, sizeof state->said - 1) != 0) {
        snprintf(state->said, sizeof state->said, "%s", line);
        lua_warning(state->running, line, 0);
    }
}

void mothb_open_state(lua_State *L)
{
    static const luaL_Reg metamethods[] = { { "__gc", state_gc }, { NULL, NULL } };
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key) != LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    lua_pop(L, 1);
    mothb_new_class(L, "moth.state", metamethods);
    mothb_state *state = lua_newuserdatauv(L, sizeof *state, 0);
    *state = (mothb_state){ .running = L };
    lua_insert(L, -2);
    lua_setmetatable(L, -2);
    state->ctx = moth_ctx_new();
    if (!state->ctx) {
        luaL_error(L, "moth: not enough memory");
    }
    moth_ctx_set_log(state->ctx, say, state);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &state_key);
}

mothb_state *mothb_get_state(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key);
    mothb_state *state = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (!state || !state->ctx) {
        luaL_error(L, "moth is closed");
        abort(); /* luaL_error does not return */
    }
    state->running = L;
    return state;
}

moth_ctx *mothb_ctx(lua_State *L)
{
    return mothb_get_state(L)->ctx;
}

/* ---- errors ---- */

bool mothb_is_own_source(const char *source)
{
    const char *dir = getenv("MOTH_LUA");
    return strncmp(source, "=moth/", 6) == 0 ||
           (dir && *dir && source[0] == '@' && strncmp(source + 1, dir, strlen(dir)) == 0);
}

void mothb_where(lua_State *L)
{
    lua_Debug ar;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline > 0 && !mothb_is_own_source(ar.source)) {
            lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

static void clear_interrupt(lua_State *L, moth_ctx *ctx)
{
    *ctx->interrupt = 0;
    if (lua_gethook(L) == mothb_interrupt_hook) {
        lua_sethook(L, NULL, 0, 0);
    }
}

int mothb_raise(lua_State *L, moth_status status)
{
    moth_ctx *ctx = mothb_ctx(L);
    if (status == MOTH_ERR_CALLBACK) {
        return mothb_raise_callback(L);
    }
    if (status == MOTH_ERR_INTERRUPTED) {
        clear_interrupt(L, ctx);
    }
    mothb_where(L);
    lua_pushstring(L, ctx->error);
    lua_concat(L, 2);
    return lua_error(L);
}

void mothb_interrupt_hook(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    mothb_raise(L, moth_fail(mothb_ctx(L), MOTH_ERR_INTERRUPTED, "interrupted"));
}

int mothb_error(lua_State *L, const char *format, ...)
{
    char text[MOTH_ERROR_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return mothb_raise(L, moth_fail(mothb_ctx(L), MOTH_ERR_ARGUMENT, "%s", text));
}

int mothb_arg_error(lua_State *L, int arg, const char *format, ...)
{
    char text[MOTH_ERROR_SIZE / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    lua_Debug ar;
    bool method = lua_getstack(L, 0, &ar) && lua_getinfo(L, "n", &ar) && strcmp(ar.namewhat, "method") == 0;
    int upvalue = lua_upvalueindex(1);
    const char *name = lua_type(L, upvalue) == LUA_TSTRING ? lua_tostring(L, upvalue) : ar.name ? ar.name : "?";
    if (arg > 3 && lua_touserdata(L, arg - 1) == (const void *)&mothb_option_mark) {
        return mothb_error(L, "bad argument #%d to '%s' (option '%s': %s)", (int)lua_tointeger(L, arg - 3) - method,
                           name, lua_tostring(L, arg - 2), text);
    }
    if (method && arg == 1) {
        return mothb_error(L, "calling '%s' on bad self (%s)", name, text);
    }
    return mothb_error(L, "bad argument #%d to '%s' (%s)", method ? arg - 1 : arg, name, text);
}

const char *mothb_typename(lua_State *L, int index)
{
    if (lua_type(L, index) == LUA_TUSERDATA && luaL_getmetafield(L, index, "__name") == LUA_TSTRING) {
        const char *name = lua_tostring(L, -1); /* stays alive in the metatable */
        lua_pop(L, 1);
        return strncmp(name, "moth.", 5) == 0 ? name + 5 : name;
    }
    return lua_type(L, index) == LUA_TNONE ? "no value" : luaL_typename(L, index);
}

int mothb_type_error(lua_State *L, int arg, const char *expected)
{
    return mothb_arg_error(L, arg, "%s expected, got %s", expected, mothb_typename(L, arg));
}

/* ---- memory ---- */

/* What native memory takes from the system: small blocks cost more than they hold. */
static int64_t native_bytes(void)
{
    enum { BLOCK_COST = 96 };
    return moth_live_bytes() + BLOCK_COST * moth_live_blocks();
}

bool mothb_reclaim(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT);
    mothb_get_state(L)->collected = native_bytes();
    return true;
}

/* Lua sees 8 bytes where there may be a gigabyte. So whenever native memory has grown by half of what survived the last
 * collection (at least 64 MB, at most 192 MB), there is another one: dead tensors never hold much more than that. */
static void relieve(lua_State *L)
{
    mothb_state *state = mothb_get_state(L);
    int64_t grown = native_bytes() - state->collected;
    int64_t allowed = state->collected / 2;
    allowed = allowed < 64 * MEGABYTE ? 64 * MEGABYTE : allowed > 192 * MEGABYTE ? 192 * MEGABYTE : allowed;
    if (grown > allowed) {
        mothb_reclaim(L);
    } else if (grown < 0) {
        state->collected += grown;
    }
}

/* ---- registration ---- */

void mothb_register(lua_State *L, const luaL_Reg *functions)
{
    for (; functions->name; functions++) {
        lua_pushstring(L, functions->name);
        lua_pushcclosure(L, functions->func, 1);
        lua_setfield(L, -2, functions->name);
    }
}

void mothb_new_class(lua_State *L, const char *name, const luaL_Reg *metamethods)
{
    if (!luaL_newmetatable(L, name)) {
        luaL_error(L, "moth: another copy of moth is already loaded in this Lua state");
    }
    mothb_register(L, metamethods);
    lua_pushliteral(L, "moth");
    lua_setfield(L, -2, "__metatable");
}

/* ---- tensors in userdata ---- */

void *mothb_test_object(lua_State *L, int index, const char *class_name, size_t size)
{
    void *object = luaL_testudata(L, index, class_name);
    return object && lua_rawlen(L, index) == size ? object : NULL;
}

moth_tensor **mothb_new_tensor(lua_State *L)
{
    relieve(L);
    moth_tensor **box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = NULL;
    luaL_setmetatable(L, MOTHB_TENSOR);
    return box;
}

void mothb_push_tensor(lua_State *L, moth_tensor *t)
{
    if (!t) {
        lua_pushnil(L);
        return;
    }
    moth_tensor **box = mothb_new_tensor(L);
    *box = moth_tensor_retain(t);
}

bool mothb_is_tensor(lua_State *L, int index)
{
    return mothb_test_object(L, index, MOTHB_TENSOR, sizeof(moth_tensor *)) != NULL;
}

moth_tensor *mothb_check_tensor(lua_State *L, int arg)
{
    moth_tensor **box = mothb_test_object(L, arg, MOTHB_TENSOR, sizeof *box);
    if (!box) {
        mothb_type_error(L, arg, "tensor");
        return NULL;
    }
    if (!*box) {
        mothb_arg_error(L, arg, "attempt to use a closed tensor");
    }
    return *box;
}

moth_tensor *mothb_opt_tensor(lua_State *L, int arg)
{
    return lua_isnoneornil(L, arg) ? NULL : mothb_check_tensor(L, arg);
}
