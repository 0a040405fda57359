/* What a .gz file inflates to, as a source. RFC 1952: one or more members, each with a checksum that is verified;
 * bytes after the last member are an error. */
#ifndef MOTH_IO_GZ_H
#define MOTH_IO_GZ_H

#include "io/file.h"
#include "io/zlib_memory.h"

typedef struct moth_gz {
    moth_source source; /* first; `at` counts inflated bytes */
    moth_file *file;    /* borrowed */
    z_stream stream;    /* knows its own address: a moth_gz must not be copied */
    bool ended;         /* the last member was read and its checksum is right */
    unsigned char input[16384];
} moth_gz;

/* Starts at the first byte of `file`. On success the caller closes it. */
moth_status moth_gz_open(moth_ctx *ctx, moth_file *file, moth_gz *gz);
void moth_gz_close(moth_gz *gz);

/* MOTH_OK when all was read and every checksum is right, MOTH_ERR_FORMAT otherwise. */
moth_status moth_gz_finish(moth_ctx *ctx, moth_gz *gz);

#endif
