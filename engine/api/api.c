#include "api/api.h"

#include <string.h>

#include "io/json.h"

moth_status moth_api_same_ctx(moth_ctx *ctx, const moth_model *model, const char *function)
{
    return model->ctx == ctx ? MOTH_OK
                             : moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: the model '%s' belongs to another context",
                                         function, model->name);
}

moth_status moth_api_answer(moth_ctx *ctx, moth_status status)
{
    if (status == MOTH_ERR_INTERRUPTED) {
        __atomic_store_n(ctx->interrupt, 0, __ATOMIC_RELAXED);
    }
    return status;
}

moth_status moth_api_object(moth_ctx *ctx, const char *what, const char *text, moth_value **out)
{
    moth_value *value = NULL;
    if (text) {
        MOTH_TRY(moth_io_json_parse(ctx, what, text, strlen(text), &value));
        if (moth_value_kind_of(value) != MOTH_MAP) {
            moth_value_free(value);
            return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: expected a JSON object, {\"option\":value}", what);
        }
    }
    *out = value;
    return MOTH_OK;
}

moth_status moth_api_options(moth_ctx *ctx, const char *what, const moth_option *options, const char *text,
                             moth_value **out)
{
    moth_value *given;
    MOTH_TRY(moth_api_object(ctx, what, text, &given));
    moth_status status = moth_options_normalize(ctx, what, options, NULL, given, out);
    moth_value_free(given);
    return status;
}

void moth_text_free(char *text)
{
    moth_free(text);
}
