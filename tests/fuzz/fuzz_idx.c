/* libFuzzer: any bytes as an IDX file. The first byte says whether they are the file or what its .gz inflates to: a
 * fuzzer does not guess a checksum. */
#include "fuzz_file.h"

#include <zlib.h>

#include "io/idx.h"

static size_t pack(const uint8_t *data, size_t size, uint8_t *to, size_t room)
{
    z_stream z = { .next_in = (z_const Bytef *)data, .avail_in = (uInt)size, .next_out = to, .avail_out = (uInt)room };
    deflateInit2(&z, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    deflate(&z, Z_FINISH);
    deflateEnd(&z);
    return z.total_out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static moth_ctx *ctx;
    static uint8_t packed[1 << 17];
    ctx = ctx ? ctx : moth_ctx_new();
    if (size == 0 || size > 65536) {
        return 0;
    }
    bool gz = data[0] & 1;
    size_t packed_size = gz ? pack(data + 1, size - 1, packed, sizeof packed) : 0;
    const char *path = gz ? fuzz_file(packed, packed_size) : fuzz_file(data + 1, size - 1);
    int64_t blocks = moth_live_blocks();
    moth_tensor *t = NULL;
    if (moth_io_idx_read(ctx, path, &t) == MOTH_OK) {
        fuzz_check(moth_tensor_rank(t) >= 1);
    } else {
        fuzz_check(!t && moth_error_status(ctx) != MOTH_OK && moth_error(ctx)[0]);
    }
    moth_tensor_release(t);
    fuzz_check(moth_live_blocks() == blocks);
    return 0;
}
