/* The program `moth`: runs a script, or code from the command line. */
#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "common.h"
#include "moth_version.h"

int luaopen_moth(lua_State *L);

enum { EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

/* What the signal handler needs: there is one Lua state in this program. */
static lua_State *interrupted_state;
static moth_ctx *interrupted_ctx;
static volatile sig_atomic_t interrupts;

/* Both calls only store a word, as lua.c relies on too.
 * NOLINTBEGIN(bugprone-signal-handler,cert-sig30-c) */
static void on_interrupt(int signal_number)
{
    signal(signal_number, SIG_DFL); /* the second one ends the program */
    interrupts = 1;
    moth_ctx_interrupt(interrupted_ctx);
    lua_sethook(interrupted_state, mothb_interrupt_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}
/* NOLINTEND(bugprone-signal-handler,cert-sig30-c) */

static int message_handler(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TSTRING) {
        return 1;
    }
    luaL_tolstring(L, 1, NULL);
    return 1;
}

static int report(lua_State *L, int status)
{
    if (status == LUA_OK) {
        return EXIT_SUCCESS;
    }
    fprintf(stderr, "moth: %s\n", lua_tostring(L, -1));
    return interrupts ? EXIT_INTERRUPTED : EXIT_FAILURE;
}

/* Calls the chunk on top with the remaining arguments. */
static int run_chunk(lua_State *L, int argc, char **argv, int first)
{
    luaL_checkstack(L, argc, "too many arguments");
    int base = lua_gettop(L);
    lua_pushcfunction(L, message_handler);
    lua_insert(L, base);
    for (int i = first; i < argc; i++) {
        lua_pushstring(L, argv[i]);
    }
    signal(SIGINT, on_interrupt);
    int status = lua_pcall(L, argc - first, 0, base);
    signal(SIGINT, SIG_DFL);
    return report(L, status);
}

/* The table `arg` as lua has it: arg[0] is the script. */
static void set_arg(lua_State *L, int argc, char **argv, int script)
{
    lua_createtable(L, argc, 1);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - script);
    }
    lua_setglobal(L, "arg");
}

static int run_code(lua_State *L, int argc, char **argv)
{
    set_arg(L, argc, argv, 2);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "moth");
    int status = lua_pcall(L, 1, 1, 0);
    if (status != LUA_OK) {
        return report(L, status);
    }
    lua_setglobal(L, "moth");
    if (luaL_loadbuffer(L, argv[2], strlen(argv[2]), "=(command line)") != LUA_OK) {
        return report(L, LUA_ERRSYNTAX);
    }
    return run_chunk(L, argc, argv, 3);
}

static int run_script(lua_State *L, int argc, char **argv)
{
    set_arg(L, argc, argv, 1);
    if (luaL_loadfile(L, argv[1]) != LUA_OK) {
        return report(L, LUA_ERRFILE);
    }
    return run_chunk(L, argc, argv, 2);
}

static int usage(void)
{
    fputs("usage: moth script.lua [arguments] | moth -e code | moth --version\n", stderr);
    return EXIT_USAGE;
}

/* Protected: opening libraries may run out of memory. */
static int open_state(lua_State *L)
{
    luaL_openlibs(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_moth);
    lua_setfield(L, -2, "moth");
    lua_pop(L, 1);
    mothb_open_state(L);
    interrupted_ctx = mothb_ctx(L);
    interrupted_state = L;
    return 0;
}

static int run(int argc, char **argv)
{
    lua_State *L = luaL_newstate();
    if (!L) {
        fputs("moth: not enough memory\n", stderr);
        return EXIT_FAILURE;
    }
    lua_pushcfunction(L, open_state);
    int status = lua_pcall(L, 0, 0, 0);
    int code = status != LUA_OK             ? report(L, status)
               : strcmp(argv[1], "-e") == 0 ? run_code(L, argc, argv)
                                            : run_script(L, argc, argv);
    lua_close(L);
    return code;
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    if (argc < 2) {
        return usage();
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("moth " MOTH_VERSION_STRING);
        return EXIT_SUCCESS;
    }
    bool code = strcmp(argv[1], "-e") == 0;
    if ((argv[1][0] == '-' && !code) || (code && argc < 3)) {
        return usage();
    }
    return run(argc, argv);
}
