/* Running Lua code for a person: Ctrl-C sets the engine's flag and a hook, as lua.c does; errors show the user's lines.
 */
#include "interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

enum { EXIT_INTERRUPTED = 130, PATIENCE_MS = 1000, MAX_FRAMES = 10 };

/* What the handler needs. There is one terminal, so one call at a time that Ctrl-C is meant for. */
static lua_State *running;
static moth_ctx *running_ctx;
static pthread_t running_thread;
static moth_run_kind running_kind;
static bool noted;
static volatile sig_atomic_t interrupted;
static volatile sig_atomic_t last_time; /* of the last Ctrl-C, in ms; wraps around */
static volatile sig_atomic_t presses;   /* of Ctrl-C, each soon after the one before */

static sig_atomic_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (sig_atomic_t)(((long long)now.tv_sec * 1000 + now.tv_nsec / 1000000) & 0x3fffffff);
}

static bool is_answered(void)
{
    return !*running_ctx->interrupt && lua_gethook(running) != mothb_interrupt_hook;
}

/* lua_sethook, lua_gethook and moth_ctx_interrupt only read or store a word, as lua.c relies on too.
 * NOLINTBEGIN(bugprone-signal-handler,cert-sig30-c) */
static void on_interrupt(int number)
{
    /* Another thread (a BLAS has its own) may be given the signal that is meant for the one that runs Lua. */
    if (!pthread_equal(pthread_self(), running_thread)) {
        pthread_kill(running_thread, number);
        return;
    }
    sig_atomic_t now = now_ms();
    bool again = interrupted && now - last_time >= 0 && now - last_time < PATIENCE_MS;
    presses = again ? presses + 1 : 1;
    /* Twice where nothing answers; three times where each answer is caught, by a pcall in a loop for example. */
    if (again && (!is_answered() || presses > 2)) {
        (void)!write(STDERR_FILENO, "\n", 1);
        _exit(EXIT_INTERRUPTED);
    }
    interrupted = 1;
    last_time = now;
    moth_ctx_interrupt(running_ctx);
    lua_sethook(running, mothb_interrupt_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}
/* NOLINTEND(bugprone-signal-handler,cert-sig30-c) */

/* A Ctrl-C that came too late to stop anything must not stop what comes next. */
static void forget_unanswered(void)
{
    *running_ctx->interrupt = 0;
    if (lua_gethook(running) == mothb_interrupt_hook) {
        lua_sethook(running, NULL, 0, 0);
    }
}

int moth_interruptible_pcall(lua_State *L, moth_run_kind kind, int n_args, int n_results, int handler)
{
    if (running) {
        return lua_pcall(L, n_args, n_results, handler);
    }
    running_ctx = mothb_ctx(L);
    running = L;
    running_thread = pthread_self();
    running_kind = kind;
    interrupted = 0;
    noted = false;
    struct sigaction ours = { .sa_handler = on_interrupt }, before;
    sigemptyset(&ours.sa_mask);
    sigaction(SIGINT, &ours, &before);
    int status = lua_pcall(L, n_args, n_results, handler);
    sigaction(SIGINT, &before, NULL);
    if (interrupted) {
        clearerr(stdout); /* an output that the signal cut short is no output that is lost */
    }
    forget_unanswered();
    running = NULL;
    return status;
}

int moth_note_interrupt(lua_State *L)
{
    if (!running) {
        return 0; /* another program's Lua: Ctrl-C is its business */
    }
    if (running_kind == MOTH_RUN_PROMPT) {
        lua_sethook(L, mothb_interrupt_hook, LUA_MASKCALL, 0);
    } else if (noted) {
        return mothb_error(L, "interrupted");
    } else {
        fputs("moth: interrupted; the script goes on, Ctrl-C again ends it\n", stderr);
    }
    noted = true;
    return 0;
}

bool moth_was_interrupted(void)
{
    return interrupted;
}

bool moth_interrupt_was_noted(void)
{
    return noted;
}

/* ---- errors ---- */

/* "\n    called from script.lua:12 in 'train'" */
static void add_frame(lua_State *L, luaL_Buffer *text, const lua_Debug *ar)
{
    lua_pushfstring(L, "\n    called from %s:%d", ar->short_src, ar->currentline);
    luaL_addvalue(text);
    if (*ar->namewhat) {
        lua_pushfstring(L, " in '%s'", ar->name);
        luaL_addvalue(text);
    }
}

int moth_explain_error(lua_State *L)
{
    luaL_Buffer text;
    lua_Debug ar;
    lua_settop(L, 1);
    if (lua_isstring(L, 1) || luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL) {
        luaL_tolstring(L, 1, NULL);
    } else {
        lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    }
    int message = lua_gettop(L);
    luaL_buffinit(L, &text);
    lua_pushvalue(L, message);
    luaL_addvalue(&text);
    int frames = 0; /* the first is the place that the message names */
    for (int level = 0; frames <= MAX_FRAMES && lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sln", &ar);
        if (ar.currentline > 0 && !mothb_is_own_source(ar.source) && frames++ > 0) {
            if (frames > MAX_FRAMES) {
                luaL_addstring(&text, "\n    ...");
            } else {
                add_frame(L, &text, &ar);
            }
        }
    }
    luaL_pushresult(&text);
    return 1;
}
