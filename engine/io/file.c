#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "io/message.h"

/* One read call takes at most this much, so that Ctrl-C is seen soon. */
enum { READ_MAX = 1 << 20 };

static moth_status file_read(moth_ctx *ctx, moth_source *source, void *to, size_t size)
{
    const moth_file *file = (const moth_file *)source;
    char *next = to;
    while (size > 0) {
        MOTH_TRY(moth_io_check_interrupt(ctx));
        ssize_t n = read(file->descriptor, next, size < READ_MAX ? size : READ_MAX);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return moth_io_fail_errno(ctx, source->path, "read", errno);
        }
        if (n == 0) {
            return moth_io_fail(ctx, MOTH_ERR_FORMAT, source->path,
                                "the file ends at byte %lld where %zu more bytes are expected", (long long)source->at,
                                size);
        }
        next += n;
        size -= (size_t)n;
        source->at += n;
    }
    return MOTH_OK;
}

static int open_retry(const char *path)
{
    int descriptor;
    do { /* O_NONBLOCK: a pipe without a writer must not be waited for; regular files ignore it */
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    } while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

moth_status moth_file_open(moth_ctx *ctx, const char *path, moth_file *file)
{
    int descriptor = open_retry(path);
    if (descriptor < 0) {
        return moth_io_fail_errno(ctx, path, "open", errno);
    }
    struct stat info;
    moth_status status = MOTH_OK;
    if (fstat(descriptor, &info) != 0) {
        status = moth_io_fail_errno(ctx, path, "examine", errno);
    } else if (!S_ISREG(info.st_mode)) {
        status = moth_io_fail(ctx, MOTH_ERR_IO, path, "%s, expected a regular file",
                              S_ISDIR(info.st_mode) ? "a directory" : "a pipe, socket or device");
    }
    if (status != MOTH_OK) {
        close(descriptor);
        return status;
    }
    *file = (moth_file){ { file_read, path, 0 }, descriptor, (int64_t)info.st_size };
    return MOTH_OK;
}

void moth_file_close(moth_file *file)
{
    close(file->descriptor); /* nothing was written, so nothing can be lost */
    file->descriptor = -1;
}

moth_status moth_file_seek(moth_ctx *ctx, moth_file *file, int64_t at)
{
    if (lseek(file->descriptor, (off_t)at, SEEK_SET) < 0) {
        return moth_io_fail_errno(ctx, file->source.path, "seek", errno);
    }
    file->source.at = at;
    return MOTH_OK;
}

static moth_status read_whole(moth_ctx *ctx, moth_file *file, int64_t limit, char **data)
{
    if (file->size > limit) {
        return moth_io_fail(ctx, MOTH_ERR_UNSUPPORTED, file->source.path, "%lld bytes, expected at most %lld",
                            (long long)file->size, (long long)limit);
    }
    size_t size = (size_t)file->size;
    char *memory = moth_malloc(size + 1);
    if (!memory) {
        return moth_fail_memory(ctx, file->size + 1);
    }
    moth_status status = file->source.read(ctx, &file->source, memory, size);
    if (status != MOTH_OK) {
        moth_free(memory);
        return status;
    }
    memory[size] = '\0';
    *data = memory;
    return MOTH_OK;
}

moth_status moth_io_read_file(moth_ctx *ctx, const char *path, int64_t limit, char **data, int64_t *size)
{
    moth_file file;
    MOTH_TRY(moth_file_open(ctx, path, &file));
    moth_status status = read_whole(ctx, &file, limit, data);
    moth_file_close(&file);
    if (status == MOTH_OK) {
        *size = file.size;
    }
    return status;
}
