/* Saving: what is there after every fault of a system call, after a killed process, and beside what cannot be a file.
 * read, write, fsync, rename and open are replaced below, so that each call can be made to fail and their order is
 * seen. */
#define _DEFAULT_SOURCE /* syscall */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "io/file.h"
#include "io/output.h"

static moth_ctx *ctx;

/* ---- system calls with faults ---- */

static int fault_countdown; /* 1: the next call fails with fault_errno; 0: none */
static int fault_errno;
static size_t write_limit; /* bytes that one write takes; 0: all */
static size_t read_limit;  /* bytes that one read gives; 0: all */
static char calls[4096];   /* a letter for each call */
static size_t n_calls;

static bool fault(char letter)
{
    if (n_calls + 1 < sizeof calls) {
        calls[n_calls++] = letter;
        calls[n_calls] = '\0';
    }
    if (fault_countdown > 0 && --fault_countdown == 0) {
        errno = fault_errno;
        return true;
    }
    return false;
}

ssize_t write(int descriptor, const void *bytes, size_t size)
{
    if (fault('w')) {
        return -1;
    }
    return syscall(SYS_write, descriptor, bytes, write_limit && size > write_limit ? write_limit : size);
}

ssize_t read(int descriptor, void *bytes, size_t size)
{
    if (fault('i')) {
        return -1;
    }
    return syscall(SYS_read, descriptor, bytes, read_limit && size > read_limit ? read_limit : size);
}

int fsync(int descriptor)
{
    return fault('s') ? -1 : (int)syscall(SYS_fsync, descriptor);
}

int rename(const char *from, const char *to)
{
    return fault('r') ? -1 : (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int mode = flags & O_CREAT ? va_arg(args, int) : 0;
    va_end(args);
    return fault('o') ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* ---- helpers ---- */

static void check_content(const char *what, const char *path, const char *want)
{
    char *data = NULL;
    int64_t size = 0;
    CHECK_THAT(moth_io_read_file(ctx, path, 1 << 20, &data, &size) == MOTH_OK, "%s: %s", what, moth_error(ctx));
    CHECK_THAT(data && (size_t)size == strlen(want) && memcmp(data, want, strlen(want)) == 0, "%s: \"%s\", not \"%s\"",
               what, data ? data : "", want);
    moth_free(data);
}

static moth_status save(const char *path, const char *text)
{
    return moth_io_write_file(ctx, path, text, strlen(text));
}

static int mode_of(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (int)(info.st_mode & 07777) : -1;
}

/* ---- tests ---- */

static void test_plain(void)
{
    const char *path = test_path("plain");
    mode_t mask = umask(027);
    CHECK(save(path, "first") == MOTH_OK);
    check_content("new", path, "first");
    CHECK(mode_of(path) == 0640);
    umask(mask);
    static const mode_t modes[] = { 0600, 0644, 0666, 0755, 0400 };
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        CHECK(chmod(path, modes[i]) == 0);
        CHECK(save(path, "second") == MOTH_OK);
        CHECK(mode_of(path) == (int)modes[i]);
    }
    check_content("replaced", path, "second");
    CHECK(save(path, "") == MOTH_OK);
    check_content("empty", path, "");
    CHECK(count_names(".tmp.") == 0);
}

static void test_order(void)
{
    const char *path = test_path("order");
    n_calls = 0;
    CHECK(save(path, "text") == MOTH_OK);
    CHECK_TEXT(calls, "owsros"); /* open, write, sync, rename, open the directory, sync it */
    write_limit = 3;             /* a disk may take less than it was given */
    n_calls = 0;
    CHECK(save(path, "longer text") == MOTH_OK);
    CHECK_TEXT(calls, "owwwwsros");
    write_limit = 0;
    check_content("short writes", path, "longer text");
}

static void test_relative(void)
{
    char before[4096];
    CHECK(getcwd(before, sizeof before) != NULL);
    test_path("");
    CHECK(chdir(test_folder) == 0);
    CHECK(save("relative", "text") == MOTH_OK);
    check_content("relative", "relative", "text");
    CHECK(chdir(before) == 0);
}

static void test_link(void)
{
    const char *path = test_path("link"), *target = test_path("target");
    CHECK(save(target, "old") == MOTH_OK);
    CHECK(symlink("target", path) == 0);
    CHECK(save(path, "new") == MOTH_OK);
    check_content("target of a link", target, "new");
    struct stat info;
    CHECK(lstat(path, &info) == 0 && S_ISLNK(info.st_mode));
    const char *dangling = test_path("dangling");
    CHECK(symlink("nowhere/at/all", dangling) == 0);
    CHECK(save(dangling, "new") == MOTH_ERR_IO);
    check_message(ctx, "dangling link", "dangling");
}

static void refuse(const char *what, const char *path, const char *text)
{
    CHECK_THAT(save(path, "new") == MOTH_ERR_IO, "%s", what);
    check_message(ctx, what, path);
    CHECK_THAT(strstr(moth_error(ctx), text), "%s: %s", what, moth_error(ctx));
}

static void test_not_files(void)
{
    refuse("missing directory", test_path("absent/file"), "No such file or directory");
    CHECK(save(test_path("file"), "text") == MOTH_OK);
    refuse("a file as directory", test_path("file/below"), "Not a directory");
    const char *folder = test_path("folder");
    CHECK(mkdir(folder, 0700) == 0);
    refuse("a directory", folder, "it is a directory");
    refuse("a directory with a slash", test_path("folder/"), "it is a directory");
    CHECK(save("", "text") == MOTH_ERR_IO);
    struct stat info;
    static const char *const devices[] = { "/dev/full", "/dev/null" };
    for (int i = 0; i < 2; i++) {
        refuse("a device", devices[i], "no regular file");
        CHECK(stat(devices[i], &info) == 0 && S_ISCHR(info.st_mode));
    }
    const char *pipe = test_path("pipe");
    CHECK(mkfifo(pipe, 0600) == 0);
    refuse("a pipe", pipe, "no regular file");
    char name[400];
    memset(name, 'x', sizeof name);
    size_t length = strlen(test_folder);
    memcpy(name, test_folder, length);
    name[length] = '/';
    name[length + 251] = '\0'; /* 250 fit, but not with what a temporary adds */
    CHECK(save(name, "text") == MOTH_ERR_IO);
    CHECK(strstr(moth_error(ctx), "too long"));
    CHECK(count_names(".tmp.") == 0);
}

/* Root may write anywhere, so as root the test becomes nobody for a moment. */
static void test_read_only_directory(void)
{
    const char *folder = test_path("locked");
    CHECK(mkdir(folder, 0555) == 0);
    bool root = geteuid() == 0;
    CHECK(chmod(test_folder, 0755) == 0);
    if (!root || seteuid(65534) == 0) {
        refuse("read-only directory", test_path("locked/file"), "Permission denied");
    }
    if (root) {
        CHECK(seteuid(0) == 0);
    }
}

static void test_every_call_fails(void)
{
    static const int errors[] = { ENOSPC, EIO, EDQUOT, EACCES };
    const char *path = test_path("faults");
    for (size_t e = 0; e < sizeof errors / sizeof *errors; e++) {
        CHECK(save(path, "old") == MOTH_OK);
        for (int nth = 1; nth <= 6; nth++) { /* the calls that test_order saw */
            fault_countdown = nth;
            fault_errno = errors[e];
            moth_status status = save(path, "new");
            fault_countdown = 0;
            CHECK_THAT(status == MOTH_ERR_IO, "call %d: %s", nth, moth_status_name(status));
            CHECK_THAT(strstr(moth_error(ctx), strerror(errors[e])), "call %d: %s", nth, moth_error(ctx));
            check_content("after a fault", path, nth <= 4 ? "old" : "new"); /* 4 is the rename */
            CHECK_THAT(count_names(".tmp.") == 0, "call %d left a temporary", nth);
        }
    }
    for (int nth = 1; nth <= 6; nth++) {
        if (nth != 4) { /* rename is never interrupted */
            fault_countdown = nth;
            fault_errno = EINTR;
            CHECK_THAT(save(path, "interrupted") == MOTH_OK, "call %d: %s", nth, moth_error(ctx));
        }
    }
    check_content("after signals", path, "interrupted");
}

/* A true limit of the system, not a pretended one. */
static void test_file_too_large(void)
{
    const char *path = test_path("limited");
    CHECK(save(path, "old") == MOTH_OK);
    static char text[100000];
    memset(text, 'x', sizeof text - 1);
    struct rlimit before, small;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = before;
    small.rlim_cur = 65536;
    signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    moth_status status = save(path, text);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(status == MOTH_ERR_IO);
    CHECK(strstr(moth_error(ctx), "File too large"));
    check_content("after EFBIG", path, "old");
    CHECK(count_names(".tmp.") == 0);
}

static void make_name(char *name, size_t size, const char *base, const char *end)
{
    snprintf(name, size, "%s%s", base, end);
    write_bytes(name, "left", 4);
}

static void test_killed(void)
{
    const char *path = test_path("killed");
    CHECK(save(path, "old") == MOTH_OK);
    pid_t child = fork();
    if (child == 0) {
        moth_output *output;
        if (moth_output_open(ctx, path, &output) == MOTH_OK) {
            moth_output_write(output, "half", 4);
        }
        raise(SIGKILL);
    }
    int state;
    CHECK(child > 0 && waitpid(child, &state, 0) == child && WIFSIGNALED(state));
    check_content("after a kill", path, "old");
    CHECK(count_names("killed.tmp.") == 1);
    CHECK(save(path, "next") == MOTH_OK);
    check_content("the next save", path, "next");
    CHECK(count_names("killed.tmp.") == 0);
}

static void test_left_temporaries(void)
{
    char path[128], name[160], end[32];
    snprintf(path, sizeof path, "%s", test_path("left"));
    snprintf(end, sizeof end, ".tmp.%ld", (long)getpid()); /* left by one who had our number before us */
    make_name(name, sizeof name, path, end);
    CHECK(save(path, "text") == MOTH_OK);
    CHECK(access(name, F_OK) != 0);
    static const char *const kept[] = { ".tmp.",   ".tmp.x", ".tmp.12x",
                                        ".tmp.-5", ".tmp.0", ".tmp.99999999999999999999",
                                        ".tmp.1",  ".tmp" };
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) { /* not ours, or of a process that lives */
        make_name(name, sizeof name, path, kept[i]);
        CHECK(save(path, "text") == MOTH_OK);
        CHECK_THAT(unlink(name) == 0, "%s was removed", kept[i]);
    }
    check_content("beside others' files", path, "text");
}

static void test_two_at_once(void)
{
    const char *path = test_path("twice");
    moth_output *first = NULL, *second = NULL;
    CHECK(moth_output_open(ctx, path, &first) == MOTH_OK);
    moth_output_write(first, "first", 5);
    CHECK(moth_output_open(ctx, path, &second) == MOTH_ERR_IO && !second);
    CHECK(strstr(moth_error(ctx), "is being written"));
    CHECK(moth_output_commit(ctx, first) == MOTH_OK);
    check_content("the first", path, "first");
    CHECK(moth_output_open(ctx, path, &second) == MOTH_OK);
    moth_output_write(second, "second", 6);
    moth_output_discard(second);
    moth_output_discard(NULL);
    check_content("discarded", path, "first");
    CHECK(count_names(".tmp.") == 0);
}

static moth_status save_task(void *user)
{
    return save(user, "text");
}

static void test_read_whole(void)
{
    const char *path = test_path("whole");
    write_bytes(path, "12345", 5);
    char *data = NULL;
    int64_t size = 0;
    CHECK(moth_io_read_file(ctx, path, 5, &data, &size) == MOTH_OK && size == 5);
    CHECK(data && memcmp(data, "12345", 6) == 0);
    moth_free(data);
    CHECK(moth_io_read_file(ctx, path, 4, &data, &size) == MOTH_ERR_UNSUPPORTED);
    check_message(ctx, "limit", "whole");
    fault_countdown = 1;
    fault_errno = EMFILE;
    CHECK(moth_io_read_file(ctx, path, 5, &data, &size) == MOTH_ERR_IO);
    CHECK(strstr(moth_error(ctx), strerror(EMFILE)));
    for (int nth = 1; nth <= 2; nth++) { /* open, read */
        fault_countdown = nth;
        fault_errno = EINTR;
        read_limit = 2; /* a read may give less than was asked for */
        CHECK(moth_io_read_file(ctx, path, 5, &data, &size) == MOTH_OK && size == 5);
        CHECK(memcmp(data, "12345", 6) == 0);
        moth_free(data);
        read_limit = 0;
        fault_countdown = nth;
        fault_errno = EIO;
        CHECK(moth_io_read_file(ctx, path, 5, &data, &size) == MOTH_ERR_IO);
        CHECK(strstr(moth_error(ctx), strerror(EIO)));
    }
    char deep[3000];
    memset(deep, '/', sizeof deep);
    snprintf(deep + 2900, 100, "/absent");
    CHECK(moth_io_read_file(ctx, deep, 5, &data, &size) == MOTH_ERR_IO);
    CHECK_THAT(strstr(moth_error(ctx), "No such file"), "the reason is cut off a long path: %s", moth_error(ctx));
}

/* A file that another process cuts while it is read, here after its size was taken. */
static void test_cut_while_reading(void)
{
    const char *path = test_path("cut");
    write_bytes(path, "12345", 5);
    moth_file file;
    CHECK(moth_file_open(ctx, path, &file) == MOTH_OK && file.size == 5);
    CHECK(truncate(path, 3) == 0);
    char bytes[5];
    CHECK(file.source.read(ctx, &file.source, bytes, 5) == MOTH_ERR_FORMAT);
    CHECK_THAT(strstr(moth_error(ctx), "ends at byte 3 where 2 more"), "%s", moth_error(ctx));
    moth_file_close(&file);
}

int main(void)
{
    ctx = moth_ctx_new();
    int64_t blocks = moth_live_blocks();
    test_plain();
    test_order();
    test_relative();
    test_link();
    test_not_files();
    test_read_only_directory();
    test_every_call_fails();
    test_file_too_large();
    test_killed();
    test_left_temporaries();
    test_two_at_once();
    test_read_whole();
    test_cut_while_reading();
    char path[128];
    snprintf(path, sizeof path, "%s", test_path("memory"));
    check_faults(ctx, "save", save_task, path);
    CHECK(moth_live_blocks() == blocks);
    moth_ctx_free(ctx);
    return test_report();
}
