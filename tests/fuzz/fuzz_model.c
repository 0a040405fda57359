/* libFuzzer: any bytes as the architecture of a model. What is accepted is written and read again: the second text must
 * be as long as the first, for only the draws of its weights are others. */
#include "fuzz_file.h"

#include <string.h>

#include "train/checkpoint.h"

enum { MOST_BYTES = 64 << 20 };

static void check_round(moth_ctx *ctx, moth_model *model)
{
    char *first = NULL, *second = NULL;
    moth_model *again = NULL;
    if (moth_checkpoint_to_json(model, 0, &first) == MOTH_OK) {
        fuzz_check(moth_checkpoint_from_json(ctx, first, NULL, NULL, &again) == MOTH_OK);
        fuzz_check(moth_checkpoint_to_json(again, 0, &second) == MOTH_OK);
        fuzz_check(strlen(first) == strlen(second));
    }
    moth_model_release(again);
    moth_free(first);
    moth_free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static moth_ctx *ctx;
    ctx = ctx ? ctx : moth_ctx_new();
    moth_limit_memory(MOST_BYTES);
    char *text = malloc(size + 1);
    if (!text) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    int64_t blocks = moth_live_blocks();
    moth_model *model = NULL;
    if (moth_checkpoint_from_json(ctx, text, NULL, NULL, &model) == MOTH_OK) {
        moth_limit_memory(2 * MOST_BYTES); /* for the second model */
        check_round(ctx, model);
    } else {
        fuzz_check(!model && moth_error(ctx)[0]);
    }
    moth_model_release(model);
    free(text);
    fuzz_check(moth_live_blocks() == blocks);
    return 0;
}
