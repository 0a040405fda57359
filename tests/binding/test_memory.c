/* Memory that runs out while Lua programs use moth: the k-th allocation of Lua, or of the engine, fails in each of the
 * scenarios of memory.lua, for k = 1, 2, … until none fails. Each time an error that speaks of memory must come out (or
 * the right result), nothing may be left behind, and what the scenario says must still hold. Another run lets each
 * allocation of Lua collect everything that can be collected first.
 *
 * Every k is tried up to a point, then ever fewer: MOTH_TEST_ALL=1 tries all. */
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "../engine/test.h"
#include "core/memory.h"

int luaopen_moth(lua_State *L);

#define SCENARIOS "tests/binding/memory.lua"

enum {
    ALWAYS = 40,   /* up to this k each one is tried */
    COLLECT_AT = 7 /* one allocation in so many */
};

/* ---- the allocator of Lua ---- */

typedef struct faults {
    int64_t count;   /* allocations so far */
    int64_t fail_at; /* this one fails, with the attempt that Lua makes after an emergency collection; 0: none */
    bool persistent; /* and all later ones */
    int64_t collect; /* the first attempt of one in so many fails, so that Lua collects; 0: never. Buffers of lauxlib
                      * make no second attempt: larger sizes are left alone. */
    bool again;      /* the last attempt was made to fail for that */
    int64_t bytes;   /* alive */
} faults;

static bool refuses(faults *f, size_t size)
{
    if (f->again) {
        f->again = false;
        return false;
    }
    f->count++;
    if (f->collect > 0 && size < LUAL_BUFFERSIZE && f->count % f->collect == 0) {
        f->again = true;
        return true;
    }
    return f->fail_at > 0 && f->count >= f->fail_at && (f->persistent || f->count - f->fail_at < 2);
}

static void *allocate(void *user, void *block, size_t old, size_t size)
{
    faults *f = user;
    size_t before = block ? old : 0; /* without a block, old says what it is for */
    if (size > before && refuses(f, size)) {
        return NULL;
    }
    if (size == 0) {
        free(block);
        f->bytes -= (int64_t)before;
        return NULL;
    }
    void *memory = realloc(block, size);
    if (memory) {
        f->bytes += (int64_t)size - (int64_t)before;
    }
    return memory;
}

/* ---- one state ---- */

static int open_moth(lua_State *L)
{
    luaL_openlibs(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_moth);
    lua_setfield(L, -2, "moth");
    lua_getglobal(L, "require");
    lua_pushliteral(L, "moth");
    lua_call(L, 1, 0);
    return 0;
}

static bool speaks_of_memory(const char *text)
{
    return text && strstr(text, "memory") != NULL;
}

/* The table of scenarios stays at index 1. */
static lua_State *open_state(faults *f)
{
    lua_State *L = lua_newstate(allocate, f);
    if (!L) {
        return NULL;
    }
    lua_pushcfunction(L, open_moth);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK || luaL_loadfile(L, SCENARIOS) != LUA_OK || lua_pcall(L, 0, 1, 0) != LUA_OK) {
        CHECK_THAT(false, "%s", lua_tostring(L, -1));
        lua_close(L);
        return NULL;
    }
    return L;
}

/* Calls scenario.field where there is one, without faults. False where it raises. */
static bool call_field(lua_State *L, const char *field, const char *what)
{
    bool fine = lua_getfield(L, 2, field) == LUA_TNIL || lua_pcall(L, 0, 0, 0) == LUA_OK;
    if (!fine) {
        CHECK_THAT(false, "%s: %s: %s", what, field, lua_tostring(L, -1));
    }
    lua_settop(L, 3);
    return fine;
}

static int64_t settle(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT);
    lua_gc(L, LUA_GCCOLLECT);
    return moth_live_blocks();
}

/* ---- the k-th fails ---- */

typedef enum failing { LUA_ALL, LUA_ONCE, ENGINE_ALL, ENGINE_ONCE, N_WAYS } failing;

static const char *const way_names[N_WAYS] = { "Lua's allocations from", "Lua's allocation",
                                               "the engine's allocations from", "the engine's allocation" };

/* Runs the scenario at index 2 with a fault; LUA_OK where it came to its end. */
static int run_with_fault(lua_State *L, faults *f, failing way, int64_t k, const char *what)
{
    lua_getfield(L, 2, "run");
    f->count = 0;
    f->persistent = way == LUA_ALL;
    f->fail_at = way <= LUA_ONCE ? k : 0;
    moth_fail_alloc(way > LUA_ONCE ? k : 0, way == ENGINE_ALL);
    int status = lua_pcall(L, 0, 0, 0);
    moth_fail_alloc(0, false);
    f->fail_at = 0;
    if (status != LUA_OK) {
        const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
        if (!speaks_of_memory(text)) {
            CHECK_THAT(false, "%s: %s %d: %s", what, way_names[way], (int)k, text ? text : luaL_typename(L, -1));
        }
        lua_pop(L, 1);
    }
    call_field(L, "check", what);
    return status;
}

static int64_t next_after(int64_t k, int64_t every)
{
    int64_t rare = k < ALWAYS ? 1 : k / ALWAYS;
    return k + (getenv("MOTH_TEST_ALL") ? 1 : rare < every ? every : rare);
}

/* k up to `last`, where that is known; else until the scenario comes to its end. Returns the last. */
static int64_t fail_each(lua_State *L, faults *f, failing way, int64_t last, const char *what)
{
    lua_getfield(L, 2, "every");
    int64_t every = lua_tointeger(L, -1), blocks = settle(L), k = 1;
    lua_pop(L, 1);
    for (; last == 0 || k <= last; k = next_after(k, every)) {
        int status = run_with_fault(L, f, way, k, what);
        int64_t left = settle(L) - blocks;
        if (left != 0) {
            CHECK_THAT(false, "%s: %s %d: %d blocks left", what, way_names[way], (int)k, (int)left);
            blocks += left;
        }
        if (last == 0 && status == LUA_OK) {
            break;
        }
    }
    return k;
}

static void try_scenario(lua_State *L, faults *f, const char *what)
{
    /* The first run makes what is kept, such as plans. */
    if (!call_field(L, "setup", what) || !call_field(L, "run", what) || !call_field(L, "check", what)) {
        return;
    }
    for (failing way = LUA_ALL; way < N_WAYS; way += 2) {
        int64_t last = fail_each(L, f, way, 0, what);
        CHECK_THAT(last > 1 || way == ENGINE_ALL, "%s: nothing was allocated", what);
        fail_each(L, f, way + 1, last, what);
    }
    f->collect = COLLECT_AT;
    call_field(L, "run", what);
    f->collect = 0;
}

/* ---- opening ---- */

/* Beside another state: what they share must survive. */
static void fail_opening(bool persistent)
{
    int status = LUA_ERRMEM;
    int64_t blocks = moth_live_blocks();
    for (int64_t k = 1; status != LUA_OK; k += 1 + k / 8) {
        faults own = { .fail_at = k, .persistent = persistent };
        lua_State *L = lua_newstate(allocate, &own);
        if (!L) {
            CHECK(own.bytes == 0);
            continue;
        }
        lua_pushcfunction(L, open_moth);
        status = lua_pcall(L, 0, 0, 0);
        if (own.count < k) {
            CHECK_THAT(status == LUA_OK, "opening: %s", lua_tostring(L, -1));
        } else if (status != LUA_OK && !speaks_of_memory(lua_tostring(L, -1))) {
            CHECK_THAT(false, "opening: Lua's allocation %d: %s", (int)k, lua_tostring(L, -1));
        }
        status = own.count < k ? LUA_OK : LUA_ERRMEM;
        lua_close(L);
        if (own.bytes != 0 || moth_live_blocks() != blocks) {
            CHECK_THAT(false, "opening: Lua's allocation %d: something is left", (int)k);
            blocks = moth_live_blocks();
        }
    }
}

int main(int argc, char **argv)
{
    faults f = { .count = 0 };
    lua_State *L = open_state(&f);
    lua_Integer n = L ? (lua_Integer)lua_rawlen(L, 1) : 0;
    fail_opening(false);
    fail_opening(true);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, 1, i);
        lua_rawgeti(L, 2, 1);
        const char *name = lua_tostring(L, 3);
        if (argc < 2 || strcmp(argv[1], name) == 0) {
            try_scenario(L, &f, name);
        }
        lua_settop(L, 1);
    }
    if (L) {
        lua_pushvalue(L, 1); /* where call_field looks */
        lua_pushnil(L);
        call_field(L, "finish", SCENARIOS);
        lua_close(L);
    }
    CHECK(n > 0 && f.bytes == 0);
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
