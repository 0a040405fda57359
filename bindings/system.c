/* What Lua's own libraries do not tell: the terminal, directories. */
#include <dirent.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"
#include "interrupt.h"

/* isatty(0, 1 or 2) -> whether that stream is a terminal */
static int core_isatty(lua_State *L)
{
    lua_pushboolean(L, isatty((int)mothb_check_int(L, 1, STDIN_FILENO, STDERR_FILENO)));
    return 1;
}

/* The size by the first standard stream that is a terminal; zeros where none is. */
static struct winsize terminal_size(void)
{
    static const int streams[] = { STDOUT_FILENO, STDERR_FILENO, STDIN_FILENO };
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        struct winsize size;
        if (ioctl(streams[i], TIOCGWINSZ, &size) == 0) {
            return size;
        }
    }
    return (struct winsize){ .ws_row = 0 };
}

/* terminal_width() -> columns; 0 where that is not known */
static int core_terminal_width(lua_State *L)
{
    lua_pushinteger(L, terminal_size().ws_col);
    return 1;
}

/* terminal_height() -> rows; 0 where that is not known */
static int core_terminal_height(lua_State *L)
{
    lua_pushinteger(L, terminal_size().ws_row);
    return 1;
}

/* executable() -> path of the running program; nil where the system does not tell */
static int core_executable(lua_State *L)
{
    char path[4096];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path);
    if (size <= 0 || (size_t)size == sizeof path) {
        return 0;
    }
    lua_pushlstring(L, path, (size_t)size);
    return 1;
}

static int close_directory(lua_State *L)
{
    DIR **directory = lua_touserdata(L, 1);
    if (*directory) {
        closedir(*directory);
        *directory = NULL;
    }
    return 0;
}

/* list_directory(path) -> names in it, directories with a slash behind; an empty list where it cannot be read */
static int core_list_directory(lua_State *L)
{
    const char *path = mothb_check_string(L, 1);
    DIR **directory = lua_newuserdatauv(L, sizeof *directory, 0);
    *directory = NULL;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, close_directory);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_newtable(L);
    *directory = opendir(path);
    if (!*directory) {
        return 1;
    }
    lua_Integer n = 0;
    /* cppcheck-suppress readdirCalled; the stream is used here only */
    for (struct dirent *entry; (entry = readdir(*directory));) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
            continue;
        }
        struct stat info;
        bool folder = fstatat(dirfd(*directory), name, &info, 0) == 0 && S_ISDIR(info.st_mode);
        lua_pushfstring(L, folder ? "%s/" : "%s", name);
        lua_rawseti(L, -2, ++n);
    }
    closedir(*directory);
    *directory = NULL;
    return 1;
}

static const char log_key = 0;

static int call_log(lua_State *L)
{
    const char *line = lua_touserdata(L, 1);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &log_key) == LUA_TFUNCTION) {
        lua_pushstring(L, line);
        lua_call(L, 1, 0);
    }
    return 0;
}

/* Called inside the engine: nothing may be raised from here, not even for want of memory. */
static void log_line(void *user, const char *line)
{
    lua_State *L = ((const mothb_state *)user)->running;
    if (!lua_checkstack(L, 3)) {
        return;
    }
    lua_pushcfunction(L, call_log);
    lua_pushlightuserdata(L, (void *)(uintptr_t)line);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        lua_pop(L, 1);
    }
}

/* set_log(f): f(line) is called with what the engine wants to be known. */
static int core_set_log(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    mothb_state *state = mothb_get_state(L);
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &log_key);
    moth_ctx_set_log(state->ctx, log_line, state);
    return 0;
}

void mothb_open_system(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "executable", core_executable },
        { "isatty", core_isatty },
        { "list_directory", core_list_directory },
        { "note_interrupt", moth_note_interrupt },
        { "set_log", core_set_log },
        { "terminal_width", core_terminal_width },
        { "terminal_height", core_terminal_height },
        { NULL, NULL },
    };
    mothb_register(L, functions);
}
