/* Reading files that nobody vouches for: regular files only, their size known before the first byte is read, and no
 * read of anything but an exact number of bytes. */
#ifndef MOTH_IO_FILE_H
#define MOTH_IO_FILE_H

#include "core/status.h"

/* Bytes in order: a file, or what a compressed file inflates to. */
typedef struct moth_source moth_source;
struct moth_source {
    /* Puts exactly `size` bytes into `to`, or fails: MOTH_ERR_FORMAT when there are fewer, MOTH_ERR_IO,
     * MOTH_ERR_INTERRUPTED. */
    moth_status (*read)(moth_ctx *ctx, moth_source *source, void *to, size_t size);
    const char *path; /* for messages; borrowed */
    int64_t at;       /* bytes read so far: the offset of the next one */
};

typedef struct moth_file {
    moth_source source; /* first: a moth_source * to it is a moth_file * */
    int descriptor;
    int64_t size; /* at the time of opening */
} moth_file;

/* Opens a regular file for reading; anything else (a directory, a pipe, a device) is MOTH_ERR_IO, without waiting for
 * it. `path` must outlive the file. On success the caller closes it. */
moth_status moth_file_open(moth_ctx *ctx, const char *path, moth_file *file);
void moth_file_close(moth_file *file);

/* The next read starts at byte `at`. */
moth_status moth_file_seek(moth_ctx *ctx, moth_file *file, int64_t at);

/* The whole file, followed by a NUL that `*size` does not count, to be freed by moth_free. A file larger than `limit`
 * is MOTH_ERR_UNSUPPORTED and is not read. */
moth_status moth_io_read_file(moth_ctx *ctx, const char *path, int64_t limit, char **data, int64_t *size);

#endif
