/* Processes that work together on a sweep: a directory that one of them holds, and workers that do not outlive the
 * process which waits for their results. */
#define _XOPEN_SOURCE 700 /* setitimer */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/time.h>
#include <unistd.h>

#include "common.h"

#define HOLD "moth.hold"

enum { LOOK_EVERY_US = 200000 };

static int hold_close(lua_State *L)
{
    int *descriptor = mothb_test_object(L, 1, HOLD, sizeof *descriptor);
    if (descriptor && *descriptor >= 0) {
        close(*descriptor);
        *descriptor = -1;
    }
    return 0;
}

/* hold_directory(path) -> an object that holds the directory until it is closed or its process ends, however it ends;
 * nil while another one holds it. Where a file system has no locks everybody may hold everything. */
static int core_hold_directory(lua_State *L)
{
    const char *path = mothb_check_string(L, 1);
    int *descriptor = lua_newuserdatauv(L, sizeof *descriptor, 0);
    *descriptor = -1;
    luaL_setmetatable(L, HOLD);
    do {
        *descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } while (*descriptor < 0 && errno == EINTR);
    if (*descriptor >= 0 && flock(*descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        lua_pushnil(L);
    }
    return 1;
}

/* ---- a worker's end ---- */

static int watched = -1;

/* poll and _exit may be called in a handler. */
static void look_for_reader(int number)
{
    (void)number;
    int error = errno;
    struct pollfd channel = { .fd = watched };
    if (poll(&channel, 1, 0) == 1 && (channel.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
        _exit(1);
    }
    errno = error;
}

/* end_with_reader(descriptor): from now on the process ends soon after nobody reads that pipe any more. */
static int core_end_with_reader(lua_State *L)
{
    watched = (int)mothb_check_int(L, 1, 0, 1 << 20);
    struct sigaction action = { .sa_handler = look_for_reader, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    const struct itimerval often = { { 0, LOOK_EVERY_US }, { 0, LOOK_EVERY_US } };
    setitimer(ITIMER_REAL, &often, NULL);
    return 0;
}

void mothb_open_process(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "hold_directory", core_hold_directory },
        { "end_with_reader", core_end_with_reader },
        { NULL, NULL },
    };
    static const luaL_Reg metamethods[] = { { "__gc", hold_close }, { "__close", hold_close }, { NULL, NULL } };
    mothb_register(L, functions);
    mothb_new_class(L, HOLD, metamethods);
    lua_pop(L, 1);
}
