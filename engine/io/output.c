#define _XOPEN_SOURCE 700 /* realpath */
#include "io/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "io/message.h"

struct moth_output {
    int descriptor;
    int error;             /* errno of the first failed write; 0 while all went well */
    char path[PATH_MAX];   /* what the file will be called, links resolved */
    char folder[PATH_MAX]; /* the directory of path and temporary */
    char temporary[PATH_MAX];
};

static moth_status fail_io(moth_ctx *ctx, const moth_output *output, const char *action)
{
    return moth_io_fail_errno(ctx, output->path, action, errno);
}

static int open_retry(const char *path, int flags, mode_t mode)
{
    int descriptor;
    do {
        descriptor = open(path, flags | O_CLOEXEC | O_NOCTTY, mode);
    } while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

static int sync_retry(int descriptor)
{
    int result;
    do {
        result = fsync(descriptor);
    } while (result != 0 && errno == EINTR);
    return result;
}

/* Fills in path, folder and the name of the temporary. */
static moth_status set_names(moth_ctx *ctx, moth_output *output, const char *path)
{
    struct stat info;
    if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode)) {
        if (!realpath(path, output->path)) {
            return moth_io_fail_errno(ctx, path, "follow the link", errno);
        }
    } else if (snprintf(output->path, sizeof output->path, "%s", path) >= (int)sizeof output->path) {
        return moth_io_fail_errno(ctx, path, "write", ENAMETOOLONG);
    }
    int length = snprintf(output->temporary, sizeof output->temporary, "%s.tmp.%ld", output->path, (long)getpid());
    if (length >= (int)sizeof output->temporary) {
        return moth_io_fail_errno(ctx, path, "write", ENAMETOOLONG);
    }
    const char *slash = strrchr(output->path, '/');
    if (!slash) {
        memcpy(output->folder, ".", 2);
    } else {
        size_t size = slash == output->path ? 1 : (size_t)(slash - output->path);
        memcpy(output->folder, output->path, size);
        output->folder[size] = '\0';
    }
    return MOTH_OK;
}

/* Whether `descriptor` still is what `path` names. A lock alone says nothing: somebody may have removed the name and
 * made it anew before we had the lock. */
static bool is_named(int descriptor, const char *path)
{
    struct stat held, named;
    return fstat(descriptor, &held) == 0 && lstat(path, &named) == 0 && held.st_dev == named.st_dev &&
           held.st_ino == named.st_ino;
}

/* Whoever writes a temporary holds a lock on it, so one that can be locked was left behind. The number alone would not
 * do: in a container the next process has the same. */
static void remove_if_left(const char *temporary, long pid)
{
    if (pid != (long)getpid() && (kill((pid_t)pid, 0) == 0 || errno != ESRCH)) {
        return;
    }
    int descriptor = open_retry(temporary, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0);
    if (descriptor < 0) {
        return;
    }
    if (flock(descriptor, LOCK_EX | LOCK_NB) == 0 && is_named(descriptor, temporary)) {
        unlink(temporary);
    }
    close(descriptor);
}

/* The process number in the name of a temporary of `base`, or 0. */
static long pid_of_temporary(const char *name, const char *base)
{
    size_t length = strlen(base);
    if (strncmp(name, base, length) != 0 || strncmp(name + length, ".tmp.", 5) != 0) {
        return 0;
    }
    const char *digits = name + length + 5;
    char *end;
    errno = 0;
    long pid = strtol(digits, &end, 10);
    bool plain = *digits >= '1' && *digits <= '9' && *end == '\0' && errno == 0 && pid <= INT_MAX;
    return plain ? pid : 0;
}

static void remove_left_temporaries(const moth_output *output)
{
    DIR *folder = opendir(output->folder);
    if (!folder) {
        return; /* then the temporary cannot be made either, and that is reported */
    }
    const char *slash = strrchr(output->path, '/');
    const char *base = slash ? slash + 1 : output->path;
    const struct dirent *entry;
    /* cppcheck-suppress readdirCalled ; the stream is ours alone */
    while ((entry = readdir(folder)) != NULL) {
        long pid = pid_of_temporary(entry->d_name, base);
        char path[PATH_MAX];
        if (pid && snprintf(path, sizeof path, "%s/%s", output->folder, entry->d_name) < (int)sizeof path) {
            remove_if_left(path, pid);
        }
    }
    closedir(folder);
}

static moth_status open_temporary(moth_ctx *ctx, moth_output *output)
{
    struct stat old;
    bool replaces = stat(output->path, &old) == 0;
    if (replaces && !S_ISREG(old.st_mode)) {
        return moth_io_fail(ctx, MOTH_ERR_IO, output->path, "cannot write: it is %s",
                            S_ISDIR(old.st_mode) ? "a directory" : "no regular file");
    }
    remove_left_temporaries(output);
    output->descriptor = open_retry(output->temporary, O_WRONLY | O_CREAT | O_EXCL, replaces ? 0600 : 0666);
    if (output->descriptor < 0) {
        return errno == EEXIST ? moth_io_fail(ctx, MOTH_ERR_IO, output->path, "cannot write: it is being written")
                               : fail_io(ctx, output, "write");
    }
    /* A file system without locks is written all the same; only what was left behind stays there. */
    bool locked = flock(output->descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    if (!locked || !is_named(output->descriptor, output->temporary)) {
        close(output->descriptor);
        return moth_io_fail(ctx, MOTH_ERR_IO, output->path, "cannot write: it is being written");
    }
    if (replaces && fchmod(output->descriptor, old.st_mode & 07777) != 0) {
        moth_status status = fail_io(ctx, output, "set the mode");
        unlink(output->temporary);
        close(output->descriptor);
        return status;
    }
    return MOTH_OK;
}

moth_status moth_output_open(moth_ctx *ctx, const char *path, moth_output **out)
{
    moth_output *output = moth_calloc(sizeof *output);
    if (!output) {
        return moth_fail_memory(ctx, (int64_t)sizeof *output);
    }
    moth_status status = set_names(ctx, output, path);
    if (status == MOTH_OK) {
        status = open_temporary(ctx, output);
    }
    if (status != MOTH_OK) {
        moth_free(output);
        return status;
    }
    *out = output;
    return MOTH_OK;
}

void moth_output_write(moth_output *output, const void *bytes, size_t size)
{
    const char *next = bytes;
    while (size > 0 && output->error == 0) {
        ssize_t n = write(output->descriptor, next, size);
        if (n < 0) {
            output->error = errno == EINTR ? 0 : errno;
            continue;
        }
        next += n;
        size -= (size_t)n;
    }
}

static moth_status sync_folder(moth_ctx *ctx, const moth_output *output)
{
    int descriptor = open_retry(output->folder, O_RDONLY | O_DIRECTORY, 0);
    if (descriptor < 0) {
        return fail_io(ctx, output, "open the directory");
    }
    /* EINVAL: a file system that cannot sync a directory */
    moth_status status =
        sync_retry(descriptor) == 0 || errno == EINVAL ? MOTH_OK : fail_io(ctx, output, "sync the directory");
    close(descriptor);
    return status;
}

/* Sync, close, rename. The temporary stays locked until it has its final name. */
static moth_status finish(moth_ctx *ctx, moth_output *output)
{
    if (output->error != 0) {
        errno = output->error;
        return fail_io(ctx, output, "write");
    }
    if (sync_retry(output->descriptor) != 0) {
        return fail_io(ctx, output, "sync");
    }
    if (rename(output->temporary, output->path) != 0) {
        return fail_io(ctx, output, "rename the temporary file");
    }
    return MOTH_OK;
}

moth_status moth_output_commit(moth_ctx *ctx, moth_output *output)
{
    moth_status status = finish(ctx, output);
    if (status != MOTH_OK) {
        moth_output_discard(output);
        return status;
    }
    /* All is synced and in place; what can still go wrong is reported, but there is nothing to undo. */
    if (close(output->descriptor) != 0 && errno != EINTR) {
        status = fail_io(ctx, output, "close");
    } else {
        status = sync_folder(ctx, output);
    }
    moth_free(output);
    return status;
}

void moth_output_discard(moth_output *output)
{
    if (output) {
        unlink(output->temporary); /* first: while it is locked it is certainly ours */
        close(output->descriptor);
        moth_free(output);
    }
}

moth_status moth_io_write_file(moth_ctx *ctx, const char *path, const void *bytes, size_t size)
{
    moth_output *output;
    MOTH_TRY(moth_output_open(ctx, path, &output));
    moth_output_write(output, bytes, size);
    return moth_output_commit(ctx, output);
}
