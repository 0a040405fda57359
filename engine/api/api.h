/* What the files behind moth.h's models share. They are to C what bindings/ is to Lua: thin, they check arguments, read
 * options and call the engine. Only libmoth has them; the program and the Lua module do not. */
#ifndef MOTH_API_API_H
#define MOTH_API_API_H

#include "nn/model.h"
#include "nn/option.h"

/* A model that is there and was made with ctx. */
#define MOTH_NEED_MODEL(ctx, model) \
    MOTH_NEED(ctx, model);          \
    MOTH_TRY(moth_api_same_ctx(ctx, model, __func__))
moth_status moth_api_same_ctx(moth_ctx *ctx, const moth_model *model, const char *function);

/* The status of a call that may be interrupted: MOTH_ERR_INTERRUPTED answers the request. */
moth_status moth_api_answer(moth_ctx *ctx, moth_status status);

/* The JSON object in text (NULL: none given, *out is NULL then). `what` names it in messages. */
moth_status moth_api_object(moth_ctx *ctx, const char *what, const char *text, moth_value **out);

/* The same, checked against a table of options, with every default filled in. */
moth_status moth_api_options(moth_ctx *ctx, const char *what, const moth_option *options, const char *text,
                             moth_value **out);

#endif
