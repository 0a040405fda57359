/* libFuzzer: any bytes as a safetensors file; or, by the first byte, as its header, with the right length in front and
 * 0 to 127 bytes of data behind. */
#include "fuzz_file.h"

#include <string.h>

#include "io/safetensors.h"

/* Names sorted and different, every one found again. */
static void check_file(const moth_tensor_file *file)
{
    for (int64_t i = 0; i < moth_tensor_file_count(file); i++) {
        const char *name = moth_tensor_file_name(file, i);
        fuzz_check(i == 0 || strcmp(moth_tensor_file_name(file, i - 1), name) < 0);
        fuzz_check(moth_tensor_file_find(file, name) == moth_tensor_file_tensor(file, i));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static moth_ctx *ctx;
    static uint8_t bytes[66000];
    ctx = ctx ? ctx : moth_ctx_new();
    if (size == 0 || size > 65536) {
        return 0;
    }
    size_t length = size - 1, data_size = data[0] >> 1;
    const char *path;
    if (data[0] & 1) {
        memset(bytes, 0, 8);
        bytes[0] = (uint8_t)length;
        bytes[1] = (uint8_t)(length >> 8);
        memcpy(bytes + 8, data + 1, length);
        memset(bytes + 8 + length, 1, data_size);
        path = fuzz_file(bytes, 8 + length + data_size);
    } else {
        path = fuzz_file(data + 1, length);
    }
    int64_t blocks = moth_live_blocks();
    moth_tensor_file *file = NULL;
    if (moth_io_safetensors_read(ctx, path, &file) == MOTH_OK) {
        check_file(file);
    } else {
        fuzz_check(!file && moth_error_status(ctx) != MOTH_OK && moth_error(ctx)[0]);
    }
    moth_tensor_file_free(file);
    fuzz_check(moth_live_blocks() == blocks);
    return 0;
}
