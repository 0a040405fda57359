/* The program `moth`: runs scripts and code from the command line as `lua` does, the commands of moth/cli.lua, and the
 * REPL of moth/repl.lua. */
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "common.h"
#include "interrupt.h"
#include "line_lua.h"
#include "moth_version.h"

int luaopen_moth(lua_State *L);

enum { EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

typedef struct {
    int argc;
    char **argv;
    int script; /* index of the script's name, or argc */
    bool code;  /* -e or -l was given */
    bool interactive, version, help;
    const char *bad; /* an option that there is not, or that lacks its argument */
} command_line;

/* ---- running ---- */

static int report(lua_State *L, int status)
{
    if (status == LUA_OK) {
        return EXIT_SUCCESS;
    }
    const char *message = lua_tostring(L, -1);
    fflush(stdout);
    fprintf(stderr, "moth: %s\n", message ? message : "error");
    return moth_was_interrupted() ? EXIT_INTERRUPTED : EXIT_FAILURE;
}

/* Calls the function below n arguments; its results replace them. */
static int call(lua_State *L, int n_args, int n_results)
{
    int base = lua_gettop(L) - n_args;
    lua_pushcfunction(L, moth_explain_error);
    lua_insert(L, base);
    int status = moth_interruptible_pcall(L, MOTH_RUN_SCRIPT, n_args, n_results, base);
    lua_remove(L, base);
    int code = report(L, status);
    return code == EXIT_SUCCESS && moth_interrupt_was_noted() ? EXIT_INTERRUPTED : code;
}

static int require(lua_State *L, const char *name)
{
    lua_getglobal(L, "require");
    lua_pushstring(L, name);
    return call(L, 1, 1);
}

/* -l name: what `name = require "name"` does */
static int run_require(lua_State *L, const char *name)
{
    int code = require(L, name);
    if (code == EXIT_SUCCESS) {
        lua_setglobal(L, name);
    }
    return code;
}

/* Pushes the function that is field `function` of a module inside moth. */
static int push_module_function(lua_State *L, const char *module, const char *function)
{
    int code = run_require(L, "moth");
    code = code == EXIT_SUCCESS ? require(L, module) : code;
    if (code == EXIT_SUCCESS) {
        lua_getfield(L, -1, function);
        lua_remove(L, -2);
    }
    return code;
}

static int push_strings(lua_State *L, char **argv, int first, int end)
{
    luaL_checkstack(L, end - first, "too many arguments");
    for (int i = first; i < end; i++) {
        lua_pushstring(L, argv[i]);
    }
    return end > first ? end - first : 0;
}

static int run_code(lua_State *L, const char *code)
{
    int status = luaL_loadbufferx(L, code, strlen(code), "=(command line)", "t");
    return status != LUA_OK ? report(L, status) : call(L, 0, 0);
}

/* A command of moth/cli.lua: its name and arguments are the strings; it gives the exit status. */
static int run_command(lua_State *L, const char *function, const command_line *line, int first)
{
    int code = push_module_function(L, "moth.cli", function);
    if (code == EXIT_SUCCESS) {
        code = call(L, push_strings(L, line->argv, first, line->argc), 1);
    }
    return code == EXIT_SUCCESS ? (int)lua_tointeger(L, -1) : code;
}

/* The prompt, which deals with Ctrl-C itself. */
static int run_prompt(lua_State *L, const command_line *line)
{
    int code = push_module_function(L, "moth.repl", "run");
    if (code != EXIT_SUCCESS) {
        return code;
    }
    int n_args = push_strings(L, line->argv, line->script, line->argc);
    return report(L, lua_pcall(L, n_args, 0, 0));
}

/* path NULL: standard input */
static int run_script(lua_State *L, const command_line *line, const char *path)
{
    int status = luaL_loadfile(L, path);
    if (status != LUA_OK) {
        return report(L, status);
    }
    return call(L, push_strings(L, line->argv, line->script + 1, line->argc), 0);
}

/* ---- the command line ---- */

static bool takes_argument(const char *option)
{
    return option[1] == 'e' || option[1] == 'l';
}

/* One option at argv[i]; returns the index of what follows. */
static int read_option(command_line *line, int i)
{
    const char *option = line->argv[i];
    if (takes_argument(option) && option[1] != '\0') {
        bool apart = option[2] == '\0';
        if (apart && i + 1 >= line->argc) {
            line->bad = option;
        }
        line->code = true;
        return i + 1 + apart;
    }
    if (strcmp(option, "-i") == 0) {
        line->interactive = true;
    } else if (strcmp(option, "-v") == 0 || strcmp(option, "--version") == 0) {
        line->version = true;
    } else if (strcmp(option, "-h") == 0 || strcmp(option, "--help") == 0) {
        line->help = true;
    } else {
        line->bad = option;
    }
    return i + 1;
}

static void read_command_line(command_line *line)
{
    int i = 1;
    while (i < line->argc && !line->bad) {
        const char *word = line->argv[i];
        if (strcmp(word, "--") == 0) {
            i++;
            break;
        }
        if (word[0] != '-' || word[1] == '\0') {
            break;
        }
        i = read_option(line, i);
    }
    line->script = i < line->argc ? i : line->argc;
}

/* Runs -e and -l in their order. */
static int run_options(lua_State *L, const command_line *line)
{
    for (int i = 1; i < line->script; i++) {
        const char *option = line->argv[i];
        if (strcmp(option, "--") == 0 || !takes_argument(option)) {
            continue;
        }
        const char *argument = option[2] ? option + 2 : line->argv[++i];
        int code = option[1] == 'e' ? run_code(L, argument) : run_require(L, argument);
        if (code != EXIT_SUCCESS) {
            return code;
        }
    }
    return EXIT_SUCCESS;
}

/* The table `arg` as lua has it: arg[0] is the script, or the program where there is none. */
static void set_arg(lua_State *L, const command_line *line)
{
    int zero = line->script < line->argc ? line->script : 0;
    lua_createtable(L, line->argc, 1);
    for (int i = 0; i < line->argc; i++) {
        lua_pushstring(L, line->argv[i]);
        lua_rawseti(L, -2, i - zero);
    }
    lua_setglobal(L, "arg");
}

/* Only a plain word that is no file can be a command; "./predict" is always a script. */
static bool may_be_command(const command_line *line)
{
    const char *word = line->script == 1 && line->argc > 1 ? line->argv[1] : "-";
    return strspn(word, "abcdefghijklmnopqrstuvwxyz") == strlen(word) && access(word, F_OK) != 0;
}

static int run_line(lua_State *L, const command_line *line)
{
    if (may_be_command(line)) {
        return run_command(L, "run", line, 1);
    }
    if (line->code || line->interactive) {
        int code = run_require(L, "moth");
        code = code == EXIT_SUCCESS ? run_options(L, line) : code;
        if (code != EXIT_SUCCESS) {
            return code;
        }
    }
    const char *script = line->script < line->argc ? line->argv[line->script] : NULL;
    bool from_input =
        (script && strcmp(script, "-") == 0) || (!script && !line->code && !line->interactive && !isatty(STDIN_FILENO));
    if (from_input) {
        return run_script(L, line, NULL);
    }
    if (line->interactive || (!script && !line->code)) {
        return run_prompt(L, line);
    }
    return script ? run_script(L, line, script) : EXIT_SUCCESS;
}

/* Warnings, of scripts and of the engine, to standard error as "moth: TEXT"; warn("@off") stops them, as in Lua. */
static void print_warning(void *user, const char *text, int continues)
{
    static bool on = true, inside = false;
    (void)user;
    if (!inside && !continues && text[0] == '@') {
        on = strcmp(text, "@on") == 0 || (on && strcmp(text, "@off") != 0);
        return;
    }
    if (on) {
        fflush(stdout);
        fprintf(stderr, "%s%s%s", inside ? "" : "moth: ", text, continues ? "" : "\n");
    }
    inside = continues != 0;
}

/* ---- start and end ---- */

/* Protected: opening libraries may run out of memory. */
static int open_state(lua_State *L)
{
    const command_line *line = lua_touserdata(L, 1);
    luaL_openlibs(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_moth);
    lua_setfield(L, -2, "moth");
    lua_pushcfunction(L, moth_open_line);
    lua_setfield(L, -2, "moth.line");
    mothb_open_state(L);
    set_arg(L, line);
    lua_setwarnf(L, print_warning, NULL);
    return 0;
}

static int run(const command_line *line)
{
    lua_State *L = luaL_newstate();
    if (!L) {
        fputs("moth: not enough memory\n", stderr);
        return EXIT_FAILURE;
    }
    lua_pushcfunction(L, open_state);
    lua_pushlightuserdata(L, (void *)(uintptr_t)line);
    int status = lua_pcall(L, 1, 0, 0);
    int code = status != LUA_OK ? report(L, status)
               : line->help     ? run_command(L, "help", line, line->argc)
                                : run_line(L, line);
    lua_close(L);
    return code;
}

/* Only characters follow the locale: a decimal comma would break numbers. Without a locale (a bare container) text is
 * still UTF-8. */
static void set_locale(void)
{
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0 && strcmp(setlocale(LC_CTYPE, NULL), "C") == 0) {
        setlocale(LC_CTYPE, "C.UTF-8");
    }
}

int main(int argc, char **argv)
{
    set_locale();
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of that file, not the end of a training */
    command_line line = { .argc = argc, .argv = argv };
    read_command_line(&line);
    int code = EXIT_SUCCESS;
    if (line.bad) {
        fprintf(stderr, "moth: %s '%s'; see moth --help\n",
                takes_argument(line.bad) ? "an argument is missing after" : "unknown option", line.bad);
        return EXIT_USAGE;
    }
    if (line.version) {
        puts("moth " MOTH_VERSION_STRING);
    } else {
        code = run(&line);
    }
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_SUCCESS) {
        perror("moth: standard output");
        code = EXIT_FAILURE;
    }
    return code;
}
