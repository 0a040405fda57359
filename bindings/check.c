/* Arguments: numbers, names, shapes and option tables, with messages in Lua's style. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "core/nearest.h"

/* ---- numbers ---- */

bool mothb_to_int(lua_State *L, int index, int64_t *out)
{
    int good = 0;
    lua_Integer value = lua_type(L, index) == LUA_TNUMBER ? lua_tointegerx(L, index, &good) : 0;
    *out = value;
    return good != 0;
}

int64_t mothb_check_int(lua_State *L, int arg, int64_t low, int64_t high)
{
    int64_t value;
    if (!mothb_to_int(L, arg, &value)) {
        if (lua_type(L, arg) == LUA_TNUMBER) {
            mothb_arg_error(L, arg, "integer expected, got %.14g", lua_tonumber(L, arg));
        }
        mothb_type_error(L, arg, "integer");
    }
    if (value < low || value > high) {
        mothb_arg_error(L, arg, "integer from %lld to %lld expected, got %lld", (long long)low, (long long)high,
                        (long long)value);
    }
    return value;
}

int64_t mothb_opt_int(lua_State *L, int arg, int64_t low, int64_t high, int64_t fallback)
{
    return lua_isnoneornil(L, arg) ? fallback : mothb_check_int(L, arg, low, high);
}

double mothb_check_number(lua_State *L, int arg)
{
    if (lua_type(L, arg) != LUA_TNUMBER) {
        mothb_type_error(L, arg, "number");
    }
    return lua_tonumber(L, arg);
}

double mothb_opt_number(lua_State *L, int arg, double fallback)
{
    return lua_isnoneornil(L, arg) ? fallback : mothb_check_number(L, arg);
}

bool mothb_opt_bool(lua_State *L, int arg, bool fallback)
{
    if (lua_isnoneornil(L, arg)) {
        return fallback;
    }
    if (!lua_isboolean(L, arg)) {
        mothb_type_error(L, arg, "boolean");
    }
    return lua_toboolean(L, arg);
}

const char *mothb_show(lua_State *L, int index)
{
    switch (lua_type(L, index)) {
    case LUA_TNUMBER:
    case LUA_TBOOLEAN:
        return luaL_tolstring(L, index, NULL);
    case LUA_TSTRING:
        lua_pushfstring(L, "'%s'", lua_tostring(L, index));
        return lua_tostring(L, -1);
    default:
        return mothb_typename(L, index);
    }
}

/* ---- names ---- */

const char *mothb_check_string(lua_State *L, int arg)
{
    if (lua_type(L, arg) != LUA_TSTRING) {
        mothb_type_error(L, arg, "string");
    }
    size_t size;
    const char *text = lua_tolstring(L, arg, &size);
    if (strlen(text) != size) {
        mothb_arg_error(L, arg, "the string contains a zero byte");
    }
    return text;
}

moth_dtype mothb_check_dtype(lua_State *L, int arg)
{
    const char *name = mothb_check_string(L, arg);
    for (int d = MOTH_FLOAT32; d <= MOTH_UINT8; d++) {
        if (strcmp(name, moth_dtype_name((moth_dtype)d)) == 0) {
            return (moth_dtype)d;
        }
    }
    mothb_arg_error(L, arg, "dtype \"float32\", \"int32\" or \"uint8\" expected, got \"%.40s\"", name);
    return MOTH_FLOAT32;
}

/* ---- lists ---- */

void mothb_check_list(lua_State *L, int arg, const char *what)
{
    lua_Unsigned n = lua_rawlen(L, arg);
    int64_t key;
    lua_pushnil(L);
    while (lua_next(L, arg)) {
        lua_pop(L, 1);
        if (!mothb_to_int(L, -1, &key) || key < 1 || (lua_Unsigned)key > n) {
            mothb_arg_error(L, arg, "a plain list of %s expected, got a table with the key %s", what,
                            mothb_show(L, -1));
        }
    }
}

/* ---- shapes ---- */

/* One entry of a shape at `index`; `arg` is to blame. */
static int64_t shape_entry(lua_State *L, int index, int arg)
{
    const mothb_size *size = mothb_test_object(L, index, MOTHB_SIZE, sizeof *size);
    if (size) {
        return size->dim;
    }
    int64_t value;
    if (!mothb_to_int(L, index, &value)) {
        if (lua_type(L, index) == LUA_TNUMBER) {
            mothb_arg_error(L, arg, "a size must be an integer, got %.14g", lua_tonumber(L, index));
        }
        mothb_arg_error(L, arg, "a size must be an integer, got %s", mothb_typename(L, index));
    }
    if (value < 0 || value > MOTH_MAX_ELEMENTS) {
        mothb_arg_error(L, arg, "a size from 0 to 2^40 expected, got %lld", (long long)value);
    }
    return value;
}

static bool is_size(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TNUMBER || luaL_testudata(L, index, MOTHB_SIZE);
}

int mothb_check_shape(lua_State *L, int arg, int *rank, int64_t shape[MOTH_MAX_RANK])
{
    bool list = lua_istable(L, arg);
    if (list) {
        mothb_check_list(L, arg, "sizes");
    } else if (!is_size(L, arg)) {
        mothb_type_error(L, arg, "sizes or a list of sizes");
    }
    lua_Unsigned n = 0;
    if (list) {
        n = lua_rawlen(L, arg);
    } else {
        while (is_size(L, arg + (int)n)) {
            n++;
        }
    }
    if (n > MOTH_MAX_RANK) {
        mothb_arg_error(L, arg, "at most %d dimensions, got %llu", MOTH_MAX_RANK, (unsigned long long)n);
    }
    for (int d = 0; d < (int)n; d++) {
        if (list) {
            lua_rawgeti(L, arg, d + 1);
            shape[d] = shape_entry(L, -1, arg);
            lua_pop(L, 1);
        } else {
            shape[d] = shape_entry(L, arg + d, arg + d);
        }
    }
    *rank = (int)n;
    return list ? arg + 1 : arg + (int)n;
}

int mothb_check_ints(lua_State *L, int arg, int64_t low, int64_t high, int max, int64_t *out)
{
    if (!lua_istable(L, arg)) {
        mothb_type_error(L, arg, "list of integers");
    }
    mothb_check_list(L, arg, "integers");
    lua_Unsigned n = lua_rawlen(L, arg);
    if (n > (lua_Unsigned)max) {
        mothb_arg_error(L, arg, "at most %d numbers, got %llu", max, (unsigned long long)n);
    }
    for (int i = 0; i < (int)n; i++) {
        lua_rawgeti(L, arg, i + 1);
        if (!mothb_to_int(L, -1, &out[i]) || out[i] < low || out[i] > high) {
            mothb_arg_error(L, arg, "entry %d: integer from %lld to %lld expected, got %s", i + 1, (long long)low,
                            (long long)high, mothb_show(L, -1));
        }
        lua_pop(L, 1);
    }
    return (int)n;
}

bool mothb_fits(moth_dtype dtype, double value)
{
    double low = dtype == MOTH_UINT8 ? 0 : INT32_MIN, high = dtype == MOTH_UINT8 ? UINT8_MAX : INT32_MAX;
    return dtype == MOTH_FLOAT32 || (value == floor(value) && value >= low && value <= high);
}

/* ---- options ---- */

const char mothb_option_mark = 0;

int mothb_unknown_name(lua_State *L, const char *what, const char *name, const char *const *known)
{
    moth_known list = moth_known_for(name);
    for (int i = 0; known[i]; i++) {
        moth_known_add(&list, known[i]);
    }
    if (list.nearest) {
        return mothb_error(L, "%s '%.60s'; did you mean '%s'? Known: %s", what, name, list.nearest, list.text);
    }
    return mothb_error(L, "%s '%.60s'; known: %s", what, name, list.text);
}

static bool is_known(const char *name, const char *const *known)
{
    for (int i = 0; known[i]; i++) {
        if (strcmp(name, known[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The least unknown key decides the message: the order of lua_next must not. */
void mothb_check_options(lua_State *L, int arg, const char *const *known)
{
    if (lua_isnoneornil(L, arg)) {
        return;
    }
    if (!lua_istable(L, arg)) {
        mothb_type_error(L, arg, "table of options");
    }
    char unknown[64] = "";
    lua_pushnil(L);
    while (lua_next(L, arg)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING) {
            mothb_arg_error(L, arg, "options have names; got a key of type %s", luaL_typename(L, -1));
        }
        const char *name = lua_tostring(L, -1);
        if (!is_known(name, known) && (!unknown[0] || strcmp(name, unknown) < 0)) {
            snprintf(unknown, sizeof unknown, "%.60s", *name ? name : "?");
        }
    }
    if (unknown[0]) {
        mothb_unknown_name(L, "unknown option", unknown, known);
    }
}

int mothb_option(lua_State *L, int arg, const char *name)
{
    luaL_checkstack(L, 4, NULL);
    lua_pushinteger(L, arg);
    lua_pushstring(L, name);
    lua_pushlightuserdata(L, (void *)&mothb_option_mark);
    if (lua_istable(L, arg)) {
        lua_pushstring(L, name);
        lua_rawget(L, arg);
    } else {
        lua_pushnil(L);
    }
    return lua_gettop(L);
}
