#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *moth_status_name(moth_status status)
{
    static const char *const names[] = {
        [MOTH_OK] = "ok",
        [MOTH_ERR_ARGUMENT] = "argument",
        [MOTH_ERR_SHAPE] = "shape",
        [MOTH_ERR_DTYPE] = "dtype",
        [MOTH_ERR_INDEX] = "index",
        [MOTH_ERR_MEMORY] = "memory",
        [MOTH_ERR_IO] = "io",
        [MOTH_ERR_FORMAT] = "format",
        [MOTH_ERR_STATE] = "state",
        [MOTH_ERR_NONFINITE] = "nonfinite",
        [MOTH_ERR_INTERRUPTED] = "interrupted",
        [MOTH_ERR_UNSUPPORTED] = "unsupported",
        [MOTH_ERR_TRACING] = "tracing",
        [MOTH_ERR_EXACT_BATCH] = "exact batch",
        [MOTH_ERR_CALLBACK] = "callback",
    };
    if ((size_t)status >= sizeof names / sizeof names[0]) {
        return "unknown";
    }
    return names[status];
}

/* A message is shown in a terminal: file names and data must not smuggle control bytes into it. UTF-8 passes. */
static void escape_controls(const char *from, char *to, size_t size)
{
    size_t n = 0;
    for (; *from && n + 5 < size; from++) {
        unsigned char byte = (unsigned char)*from;
        if (byte < 0x20 || byte == 0x7f) {
            n += (size_t)snprintf(to + n, size - n, "\\x%02x", byte);
        } else {
            to[n++] = *from;
        }
    }
    to[n] = '\0';
}

__attribute__((format(printf, 2, 0))) static void set_message(moth_ctx *ctx, const char *format, va_list args)
{
    char text[MOTH_ERROR_SIZE];
    vsnprintf(text, sizeof text, format, args);
    escape_controls(text, ctx->error, sizeof ctx->error);
}

moth_status moth_fail(moth_ctx *ctx, moth_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_message(ctx, format, args);
    va_end(args);
    ctx->status = status;
    return status;
}

moth_status moth_fail_null(moth_ctx *ctx, const char *function, const char *name)
{
    return ctx ? moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: %s is NULL", function, name) : MOTH_ERR_ARGUMENT;
}

moth_status moth_fail_prefix(moth_ctx *ctx, const char *format, ...)
{
    char prefix[256];
    char text[MOTH_ERROR_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    snprintf(text, sizeof text, "%s: %.*s", prefix, (int)(sizeof text - sizeof prefix - 3), ctx->error);
    escape_controls(text, ctx->error, sizeof ctx->error);
    return ctx->status;
}

void moth_log(moth_ctx *ctx, const char *format, ...)
{
    if (!ctx->log) {
        return;
    }
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    ctx->log(ctx->log_user, line);
}

const char *moth_error(const moth_ctx *ctx)
{
    return ctx ? ctx->error : "the context is NULL";
}

moth_status moth_error_status(const moth_ctx *ctx)
{
    return ctx ? ctx->status : MOTH_ERR_ARGUMENT;
}
