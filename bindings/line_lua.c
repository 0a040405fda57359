/* The Lua side of line editing: the table `moth.line`, which only the program offers. */

#include "common.h"
#include "interrupt.h"
#include "line.h"
#include "line_lua.h"

/* The table of functions given to open, and the last answer of `paint`, in the registry. */
static const char functions_key = 0, painted_key = 0;

static moth_line_hooks hooks;

/* ---- what the editor calls: Lua errors end here ---- */

static void push_function(lua_State *L, const char *name)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &functions_key);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

/* key(name, text, cursor, pasted) -> the new text or nil, its cursor, something to show below or nil, whether to run
 * the text. The cursor counts bytes before it. */
static int call_key(lua_State *L)
{
    moth_line_key key = (moth_line_key)lua_tointeger(L, 1);
    size_t cursor;
    const char *text = moth_line_text(&cursor);
    push_function(L, "key");
    lua_pushstring(L, key == MOTH_KEY_ENTER ? "enter" : "tab");
    lua_pushstring(L, text);
    lua_pushinteger(L, (lua_Integer)cursor);
    lua_pushboolean(L, moth_line_is_pasted());
    lua_call(L, 4, 4);
    if (lua_isstring(L, -4)) {
        moth_line_replace(lua_tostring(L, -4), (size_t)luaL_checkinteger(L, -3));
    }
    if (lua_toboolean(L, -1)) {
        moth_line_accept();
    } else if (lua_isstring(L, -2)) {
        moth_line_show(lua_tostring(L, -2));
    }
    return 0;
}

static void key_hook(void *user, moth_line_key key)
{
    lua_State *L = user;
    int top = lua_gettop(L);
    lua_pushcfunction(L, call_key);
    lua_pushinteger(L, key);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        const char *message = lua_tostring(L, -1);
        moth_line_show(message ? message : "error in a key");
    }
    lua_settop(L, top);
}

/* paint(text, cursor) -> a string of the same length, one style for each byte */
static int call_paint(lua_State *L)
{
    push_function(L, "paint");
    lua_insert(L, 1);
    lua_call(L, 2, 1);
    if (lua_type(L, -1) != LUA_TSTRING) {
        return 0;
    }
    lua_rawsetp(L, LUA_REGISTRYINDEX, &painted_key); /* keeps the text alive */
    lua_rawgetp(L, LUA_REGISTRYINDEX, &painted_key);
    return 1;
}

static const char *paint_hook(void *user, const char *text, size_t size, size_t cursor)
{
    lua_State *L = user;
    int top = lua_gettop(L);
    lua_pushcfunction(L, call_paint);
    lua_pushlstring(L, text, size);
    lua_pushinteger(L, (lua_Integer)cursor);
    const char *painted = NULL;
    if (lua_pcall(L, 2, 1, 0) == LUA_OK && lua_type(L, -1) == LUA_TSTRING && lua_rawlen(L, -1) == size) {
        painted = lua_tostring(L, -1);
    }
    lua_settop(L, top);
    return painted;
}

/* ---- what Lua calls ---- */

/* open { key = f, paint = f, styles = { k = "35" } } -> true where lines can be edited */
static int line_open(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    hooks = (moth_line_hooks){ .user = L, .key = key_hook, .paint = paint_hook };
    lua_getfield(L, 1, "styles");
    luaL_checktype(L, -1, LUA_TTABLE);
    for (char style[2] = { 1 }; style[0] < 127; style[0]++) {
        if (lua_getfield(L, 2, style) == LUA_TSTRING) {
            hooks.styles[(size_t)style[0]] = lua_tostring(L, -1); /* alive in the table, which the registry keeps */
        }
        lua_pop(L, 1);
    }
    lua_pushvalue(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &functions_key);
    lua_pushboolean(L, moth_line_open(&hooks));
    return 1;
}

/* read(prompt, more) -> text; or nil, "end" or "interrupted" */
static int line_read(lua_State *L)
{
    const char *prompt = mothb_check_string(L, 1), *more = mothb_check_string(L, 2);
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    hooks.user = L;
    const char *text = NULL;
    moth_line_status status = moth_line_read(prompt, more, &text);
    if (status == MOTH_LINE_READ) {
        lua_pushstring(L, text);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, status == MOTH_LINE_END ? "end" : "interrupted");
    return 2;
}

static int line_remember(lua_State *L)
{
    moth_line_remember(mothb_check_string(L, 1));
    return 0;
}

/* call(f, …) -> true, results; or false and a text with the user's lines. Ctrl-C stops f. */
static int line_call(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_pushcfunction(L, moth_explain_error);
    lua_insert(L, 1);
    int status = moth_interruptible_pcall(L, MOTH_RUN_PROMPT, lua_gettop(L) - 2, LUA_MULTRET, 1);
    lua_pushboolean(L, status == LUA_OK);
    lua_replace(L, 1);
    return lua_gettop(L);
}

static int line_was_interrupted(lua_State *L)
{
    lua_pushboolean(L, moth_was_interrupted());
    return 1;
}

int moth_open_line(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "call", line_call },
        { "open", line_open },
        { "read", line_read },
        { "remember", line_remember },
        { "was_interrupted", line_was_interrupted },
        { NULL, NULL },
    };
    lua_newtable(L);
    mothb_register(L, functions);
    return 1;
}
