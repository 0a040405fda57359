/* libFuzzer: any bytes as an .npy file; or, by the first byte, as its header, with the right length in front and some
 * data behind. */
#include "fuzz_file.h"

#include <string.h>

#include "io/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static moth_ctx *ctx;
    static uint8_t file[66000];
    ctx = ctx ? ctx : moth_ctx_new();
    if (size == 0 || size > 65536) {
        return 0;
    }
    enum { START = 10, DATA = 64 };
    const char *path;
    if (data[0] & 1) {
        memcpy(file, "\x93NUMPY\1", START - 2);
        file[8] = (uint8_t)(size - 1);
        file[9] = (uint8_t)((size - 1) >> 8);
        memcpy(file + START, data + 1, size - 1);
        memset(file + START + size - 1, 1, DATA);
        path = fuzz_file(file, START + size - 1 + DATA);
    } else {
        path = fuzz_file(data + 1, size - 1);
    }
    int64_t blocks = moth_live_blocks();
    moth_tensor *t = NULL;
    if (moth_io_npy_read(ctx, path, &t) == MOTH_OK) {
        fuzz_check(moth_tensor_count(t) <= (int64_t)size + DATA);
    } else {
        fuzz_check(!t && moth_error_status(ctx) != MOTH_OK && moth_error(ctx)[0]);
    }
    moth_tensor_release(t);
    fuzz_check(moth_live_blocks() == blocks);
    return 0;
}
