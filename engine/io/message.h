/* Messages about files. They may name a path or a text that a file holds; both are cut and made printable here. */
#ifndef MOTH_IO_MESSAGE_H
#define MOTH_IO_MESSAGE_H

#include "core/status.h"

/* moth_fail with "PATH: …"; of a long path the end is shown, so that the reason is never cut off. */
moth_status moth_io_fail(moth_ctx *ctx, moth_status status, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* MOTH_ERR_IO with "PATH: cannot ACTION: TEXT OF error_number". */
moth_status moth_io_fail_errno(moth_ctx *ctx, const char *path, const char *action, int error_number);

/* MOTH_ERR_INTERRUPTED once the user has asked to stop, else MOTH_OK. For loops over large files. */
moth_status moth_io_check_interrupt(moth_ctx *ctx);

/* What a file says, as it may be shown: ASCII as it is, other bytes as \xNN, "..." where it is cut. Returns buffer. */
typedef struct moth_io_quoted {
    char text[80];
} moth_io_quoted;
const char *moth_io_quote(moth_io_quoted *buffer, const char *text, size_t length);

#endif
