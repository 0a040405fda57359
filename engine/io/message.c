#include "io/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_PATH = 300 };

/* The end of a long path, from the start of a UTF-8 character on. */
static const char *shown_path(const char *path)
{
    size_t length = strlen(path);
    if (length <= SHOWN_PATH) {
        return path;
    }
    path += length - SHOWN_PATH;
    while (((unsigned char)*path & 0xC0) == 0x80) {
        path++;
    }
    return path;
}

moth_status moth_io_fail(moth_ctx *ctx, moth_status status, const char *path, const char *format, ...)
{
    char text[MOTH_ERROR_SIZE / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *shown = shown_path(path);
    return moth_fail(ctx, status, "%s%s: %s", shown == path ? "" : "...", shown, text);
}

moth_status moth_io_fail_errno(moth_ctx *ctx, const char *path, const char *action, int error_number)
{
    char text[128];
    if (strerror_r(error_number, text, sizeof text) != 0) {
        snprintf(text, sizeof text, "error %d", error_number);
    }
    return moth_io_fail(ctx, MOTH_ERR_IO, path, "cannot %s: %s", action, text);
}

moth_status moth_io_check_interrupt(moth_ctx *ctx)
{
    return *ctx->interrupt ? moth_fail(ctx, MOTH_ERR_INTERRUPTED, "interrupted") : MOTH_OK;
}

const char *moth_io_quote(moth_io_quoted *buffer, const char *text, size_t length)
{
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        if (n + 8 > sizeof buffer->text) { /* room for one escape, or for the dots, and the end */
            n += (size_t)snprintf(buffer->text + n, sizeof buffer->text - n, "...");
            break;
        }
        unsigned char byte = (unsigned char)text[i];
        if (byte >= 0x20 && byte < 0x7F) {
            buffer->text[n++] = (char)byte;
        } else {
            n += (size_t)snprintf(buffer->text + n, sizeof buffer->text - n, "\\x%02x", byte);
        }
    }
    buffer->text[n] = '\0';
    return buffer->text;
}
