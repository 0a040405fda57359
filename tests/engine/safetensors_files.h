/* For tests of safetensors: files made of a header and data, read or refused. */
#ifndef MOTH_TEST_SAFETENSORS_FILES_H
#define MOTH_TEST_SAFETENSORS_FILES_H

#include "files.h"

#include "io/safetensors.h"

static moth_ctx *ctx;

/* A file of the header and `data_size` bytes of data; returns its size. */
static inline size_t make_bytes(unsigned char *to, const char *header, size_t header_size, const void *data,
                                size_t data_size)
{
    for (int i = 0; i < 8; i++) {
        to[i] = (unsigned char)((uint64_t)header_size >> (8 * i));
    }
    memcpy(to + 8, header, header_size);
    if (data_size > 0) {
        memcpy(to + 8 + header_size, data, data_size);
    }
    return 8 + header_size + data_size;
}

static inline moth_status load(const void *bytes, size_t size, moth_tensor_file **out)
{
    *out = NULL;
    return moth_io_safetensors_read(ctx, make_file("file.safetensors", bytes, size), out);
}

static inline moth_status load_parts(const char *header, size_t header_size, const void *data, size_t data_size,
                                     moth_tensor_file **out)
{
    static unsigned char bytes[100000];
    return load(bytes, make_bytes(bytes, header, header_size, data, data_size), out);
}

static inline void refuse(const char *what, const void *bytes, size_t size)
{
    moth_tensor_file *file;
    moth_status status = load(bytes, size, &file);
    CHECK_THAT((status == MOTH_ERR_FORMAT || status == MOTH_ERR_UNSUPPORTED) && !file, "%s: %s", what,
               moth_status_name(status));
    check_message(ctx, what, "file.safetensors");
    moth_tensor_file_free(file);
}

#endif
