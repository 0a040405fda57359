/* Opens the module: `require "moth"` in stock Lua, and the same table in the moth program. What C offers is the table
 * moth.core; the Lua modules moth.* are carried inside; init.lua makes the public table of both. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "common.h"
#include "embed.h"
#include "moth_version.h"
#include "objects.h"

int luaopen_moth(lua_State *L);

static const char module_key = 0;

/* ---- settings of the context ---- */

static int core_seed(lua_State *L)
{
    int64_t seed = mothb_check_int(L, 1, 0, INT64_MAX);
    moth_seed(mothb_ctx(L), (uint64_t)seed);
    return 0;
}

/* threads() -> number; threads(n) sets it */
static int core_threads(lua_State *L)
{
    moth_ctx *ctx = mothb_ctx(L);
    if (!lua_isnoneornil(L, 1)) {
        int64_t n = mothb_check_int(L, 1, 1, 64);
        MOTHB_CALL(L, moth_ctx_set_threads(ctx, (int)n));
    }
    lua_pushinteger(L, moth_ctx_threads(ctx));
    return 1;
}

/* cpu() -> name of the kernels in use; cpu(name) chooses them */
static int core_cpu(lua_State *L)
{
    moth_ctx *ctx = mothb_ctx(L);
    if (!lua_isnoneornil(L, 1)) {
        MOTHB_CALL(L, moth_ctx_set_cpu(ctx, mothb_check_string(L, 1)));
    }
    lua_pushstring(L, moth_ctx_cpu(ctx));
    return 1;
}

/* live_bytes() -> bytes of native memory in use by the process */
static int core_live_bytes(lua_State *L)
{
    lua_pushinteger(L, moth_live_bytes());
    return 1;
}

/* clock() -> seconds on a clock that never jumps */
static int core_clock(lua_State *L)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    lua_pushnumber(L, (double)now.tv_sec + 1e-9 * (double)now.tv_nsec);
    return 1;
}

/* Pushes the text of a module. */
static void push_source(lua_State *L, const moth_embedded *module)
{
    luaL_Buffer text;
    uLongf size = (uLongf)module->size;
    char *to = luaL_buffinitsize(L, &text, module->size + 1);
    if (uncompress((Bytef *)to, &size, module->data, (uLong)module->packed) != Z_OK || size != module->size) {
        luaL_error(L, "moth is damaged: its module %s cannot be unpacked", module->name);
    }
    luaL_pushresultsize(&text, module->size);
}

/* sources() -> the Lua modules inside, text by name: documentation is read from their annotations. */
static int core_sources(lua_State *L)
{
    lua_newtable(L);
    for (const moth_embedded *module = moth_embedded_sources; module->name; module++) {
        push_source(L, module);
        lua_setfield(L, -2, module->name);
    }
    return 1;
}

/* limit_memory(bytes): allocations fail that would make live_bytes larger */
static int core_limit_memory(lua_State *L)
{
    moth_limit_memory(mothb_check_int(L, 1, 1, INT64_MAX / 2));
    return 0;
}

/* fail_alloc(n, persistent): the nth allocation from now on fails, and all later ones too where persistent; 0 ends it
 */
static int core_fail_alloc(lua_State *L)
{
    moth_fail_alloc(mothb_check_int(L, 1, 0, INT32_MAX), mothb_opt_bool(L, 2, false));
    return 0;
}

/* live_blocks() -> blocks of native memory in use by the process */
static int core_live_blocks(lua_State *L)
{
    lua_pushinteger(L, moth_live_blocks());
    return 1;
}

/* ---- opening ---- */

/* The source of a module: from the folder MOTH_LUA where that has it, else the one inside. */
static int load_module(lua_State *L, const moth_embedded *module)
{
    const char *dir = getenv("MOTH_LUA");
    const char *file = strcmp(module->name, "moth") == 0 ? "init" : module->name + sizeof "moth." - 1;
    if (dir && *dir) {
        const char *path = lua_pushfstring(L, "%s/%s.lua", dir, file);
        FILE *readable = fopen(path, "rb");
        if (readable) {
            fclose(readable);
            return luaL_loadfilex(L, path, "t");
        }
    }
    const char *name = lua_pushfstring(L, "=moth/%s.lua", file);
    push_source(L, module);
    return luaL_loadbufferx(L, lua_tostring(L, -1), module->size, name, "t");
}

static int module_loader(lua_State *L)
{
    const moth_embedded *module = lua_touserdata(L, lua_upvalueindex(1));
    if (load_module(L, module) != LUA_OK) {
        return lua_error(L);
    }
    lua_pushstring(L, module->name);
    lua_call(L, 1, 1);
    return 1;
}

/* package.preload["moth.x"] for every module inside; returns the one named "moth". */
static const moth_embedded *preload_modules(lua_State *L)
{
    const moth_embedded *init = NULL;
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    for (const moth_embedded *module = moth_embedded_sources; module->name; module++) {
        if (strcmp(module->name, "moth") == 0) {
            init = module;
            continue;
        }
        lua_pushlightuserdata(L, (void *)(uintptr_t)module);
        lua_pushcclosure(L, module_loader, 1);
        lua_setfield(L, -2, module->name);
    }
    lua_pop(L, 1);
    return init;
}

static int core_loader(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    return 1;
}

/* The table of what C offers, for require "moth.core": preloaded like the modules in Lua, so that it is found again
 * where somebody empties package.loaded. */
static void open_core(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "clock", core_clock },
        { "cpu", core_cpu },
        { "fail_alloc", core_fail_alloc },
        { "live_blocks", core_live_blocks },
        { "limit_memory", core_limit_memory },
        { "live_bytes", core_live_bytes },
        { "seed", core_seed },
        { "sources", core_sources },
        { "threads", core_threads },
        { NULL, NULL },
    };
    static void (*const parts[])(lua_State *) = {
        mothb_open_value,   mothb_open_size,    mothb_open_tensor,     mothb_open_create, mothb_open_shape,
        mothb_open_grad,    mothb_open_compile, mothb_open_io,         mothb_open_image,  mothb_open_layer,
        mothb_open_model,   mothb_open_train,   mothb_open_checkpoint, mothb_open_system, mothb_open_describe,
        mothb_open_process, mothb_open_data,
    };
    lua_newtable(L);
    mothb_register(L, functions);
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "file");
    lua_pushliteral(L, MOTH_VERSION_STRING);
    lua_setfield(L, -2, "version");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        parts[i](L);
    }
    lua_pushcclosure(L, core_loader, 1);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_insert(L, -2);
    lua_setfield(L, -2, "moth.core");
    lua_pop(L, 1);
}

/* Opening again in the same state gives the same table. The second argument is what require knows of the module's
 * origin: a path where it is a file. */
MOTH_API int luaopen_moth(lua_State *L)
{
    luaL_checkversion(L);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &module_key) == LUA_TTABLE) {
        return 1;
    }
    lua_settop(L, 2);
    mothb_open_state(L);
    open_core(L);
    const moth_embedded *init = preload_modules(L);
    lua_pushlightuserdata(L, (void *)(uintptr_t)init);
    lua_pushcclosure(L, module_loader, 1);
    lua_call(L, 0, 1);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &module_key);
    return 1;
}
