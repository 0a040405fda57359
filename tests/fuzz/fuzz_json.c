/* libFuzzer: any bytes as JSON. What is accepted is written and read again: the second text must be the first. */
#include "fuzz_file.h"

#include <string.h>

#include "io/json.h"

static void check_round(moth_ctx *ctx, const moth_value *v)
{
    moth_buffer first = { 0 }, second = { 0 };
    moth_value *again = NULL;
    fuzz_check(moth_io_json_text(ctx, v, 0, &first) == MOTH_OK);
    fuzz_check(moth_io_json_parse(ctx, "again", first.data, first.size, &again) == MOTH_OK);
    fuzz_check(moth_io_json_text(ctx, again, 0, &second) == MOTH_OK);
    fuzz_check(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
    moth_value_free(again);
    moth_buffer_free(&first);
    moth_buffer_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static moth_ctx *ctx;
    ctx = ctx ? ctx : moth_ctx_new();
    /* A block of the exact size, so that a read past its end is seen. */
    char *text = malloc(size ? size : 1);
    if (!text) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    int64_t blocks = moth_live_blocks();
    moth_value *v = NULL;
    if (moth_io_json_parse(ctx, "fuzz", text, size, &v) == MOTH_OK) {
        check_round(ctx, v);
    } else {
        fuzz_check(!v && moth_error_status(ctx) != MOTH_OK && moth_error(ctx)[0]);
    }
    moth_value_free(v);
    free(text);
    fuzz_check(moth_live_blocks() == blocks);
    return 0;
}
