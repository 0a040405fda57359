/* For fuzz targets of readers that take a path: the bytes as a file that has no name any more. */
#ifndef MOTH_FUZZ_FILE_H
#define MOTH_FUZZ_FILE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Path of a file with these bytes; valid until the next call. */
static inline const char *fuzz_file(const void *data, size_t size)
{
    static int descriptor = -1;
    static char path[64];
    if (descriptor < 0) {
        char name[] = "/dev/shm/moth-fuzz-XXXXXX";
        descriptor = mkstemp(name);
        unlink(name);
        snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    }
    if (descriptor < 0 || ftruncate(descriptor, 0) != 0 || pwrite(descriptor, data, size, 0) != (ssize_t)size) {
        abort();
    }
    return path;
}

/* What must hold after every input, whatever it was. */
static inline void fuzz_check(bool right)
{
    if (!right) {
        abort();
    }
}

#endif
