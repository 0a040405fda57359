/* libFuzzer: any bytes as a picture file. The first byte of the input chooses channels and orientation. */
#include "io/image_codec.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Gives every chunk of a PNG the right sum: a fuzzer does not guess it, and would never get past it. */
static void repair_sums(uint8_t *file, size_t size)
{
    for (size_t at = 8; size >= 12 && at <= size - 12;) {
        size_t length = moth_be32(file + at);
        if (length > size - at - 12) {
            return;
        }
        uint32_t sum = (uint32_t)crc32(0, file + at + 4, (uInt)length + 4);
        for (size_t i = 0; i < 4; i++) {
            file[at + 8 + length + i] = (uint8_t)(sum >> (24 - 8 * i));
        }
        at += length + 12;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static moth_ctx *ctx;
    ctx = ctx ? ctx : moth_ctx_new();
    /* A block of the exact size, so that a read past its end is seen. */
    uint8_t *file = size > 1 ? malloc(size - 1) : NULL;
    if (!ctx || !file) {
        return 0;
    }
    memcpy(file, data + 1, size - 1);
    if (memcmp(file, "\x89PNG", size < 5 ? size - 1 : 4) == 0) {
        repair_sums(file, size - 1);
    }
    moth_tensor *t = NULL;
    if (moth_image_decode(ctx, file, size - 1, data[0] % 5, data[0] & 64, &t) == MOTH_OK) {
        moth_tensor_release(t);
    }
    free(file);
    return 0;
}
