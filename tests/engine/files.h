/* For tests of readers and writers: files in a directory of their own that goes away at the end, and what every loader
 * has to stand: allocations that fail. */
#ifndef MOTH_TEST_FILES_H
#define MOTH_TEST_FILES_H

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "core/memory.h"
#include "test.h"

static char test_folder[64];

static void remove_test_folder(void)
{
    DIR *folder = opendir(test_folder);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder)) != NULL) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", test_folder, entry->d_name);
        if (unlink(path) != 0) {
            rmdir(path);
        }
    }
    if (folder) {
        closedir(folder);
    }
    rmdir(test_folder);
}

/* Path of a file in the directory of this test. Valid until the eighth call from here. */
static inline const char *test_path(const char *name)
{
    static char paths[8][256];
    static int next;
    if (!test_folder[0]) {
        snprintf(test_folder, sizeof test_folder, "/tmp/moth-test-XXXXXX");
        if (!mkdtemp(test_folder)) {
            perror("mkdtemp");
            exit(1);
        }
        atexit(remove_test_folder);
    }
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", test_folder, name);
    return path;
}

static inline void write_bytes(const char *path, const void *bytes, size_t size)
{
    unlink(path); /* to write over a file makes ext4 wait for the disk at every close */
    FILE *file = fopen(path, "wb");
    if (!file || (size > 0 && fwrite(bytes, 1, size, file) != size) || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

/* A text that may hold NUL bytes, and its size. */
#define BYTES(text) (text), sizeof(text) - 1

/* A file of these bytes in the directory of this test. */
static inline const char *make_file(const char *name, const void *bytes, size_t size)
{
    const char *path = test_path(name);
    write_bytes(path, bytes, size);
    return path;
}

/* Names in the directory of this test that hold `part`. */
static inline int count_names(const char *part)
{
    DIR *folder = opendir(test_folder);
    const struct dirent *entry;
    int count = 0;
    while (folder && (entry = readdir(folder)) != NULL) {
        count += strstr(entry->d_name, part) != NULL;
    }
    if (folder) {
        closedir(folder);
    }
    return count;
}

/* One gzip member of the bytes; returns its size. */
static inline size_t gzip_bytes(const void *bytes, size_t size, unsigned char *to, size_t room)
{
    z_stream z = { .next_in = (z_const Bytef *)bytes, .avail_in = (uInt)size, .next_out = to, .avail_out = (uInt)room };
    deflateInit2(&z, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

/* A message for people: one line, printable, not empty, and with the file's name where there is one. */
static inline void check_message(moth_ctx *ctx, const char *what, const char *path)
{
    const char *text = moth_error(ctx);
    CHECK_THAT(text[0] != '\0', "%s: empty message", what);
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7F) {
            CHECK_THAT(false, "%s: byte %02x in the message", what, (unsigned char)*c);
            break;
        }
    }
    CHECK_THAT(!path || strstr(text, path), "%s: the message does not name %s: %s", what, path ? path : "", text);
}

/* Runs `task` with every one of its allocations failing once, alone and with all later ones: each time it must say
 * "no memory" and leave nothing; without a fault it must succeed. The task frees what it made. */
static inline void check_faults(moth_ctx *ctx, const char *what, moth_status (*task)(void *user), void *user)
{
    int64_t blocks = moth_live_blocks();
    for (int persistent = 0; persistent < 2; persistent++) {
        moth_status status = MOTH_ERR_MEMORY;
        int64_t nth = 0;
        while (status != MOTH_OK && nth < 100000) {
            nth++;
            moth_fail_alloc(nth, persistent);
            status = task(user);
            moth_fail_alloc(0, false);
            if ((status != MOTH_OK && status != MOTH_ERR_MEMORY) || moth_live_blocks() != blocks) {
                CHECK_THAT(false, "%s: allocation %lld: %s (%s), %lld blocks left", what, (long long)nth,
                           moth_status_name(status), moth_error(ctx), (long long)(moth_live_blocks() - blocks));
                return;
            }
        }
        CHECK_THAT(status == MOTH_OK && nth > 1, "%s: %s after %lld allocations", what, moth_status_name(status),
                   (long long)nth);
    }
}

#endif
