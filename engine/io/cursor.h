/* A place in the text of a file's header, for the parsers that read one. */
#ifndef MOTH_IO_CURSOR_H
#define MOTH_IO_CURSOR_H

#include "core/status.h"

typedef struct moth_cursor {
    moth_ctx *ctx;
    const char *path; /* for messages */
    const char *what; /* "npy header" */
    const char *start, *next, *end;
    int64_t offset; /* of start, in the file */
} moth_cursor;

/* MOTH_ERR_FORMAT with "PATH: WHAT, byte N: expected …, got …", where the text goes on. */
moth_status moth_cursor_fail(const moth_cursor *c, const char *expected);

/* Skips spaces, tabs and line ends. */
void moth_cursor_skip_space(moth_cursor *c);

/* Skips space and then `byte`, if it is next. */
bool moth_cursor_take(moth_cursor *c, char byte);

/* Skips space and reads a whole number from 0 to 2^63-1: digits only, no leading zero. */
moth_status moth_cursor_number(moth_cursor *c, const char *expected, int64_t *number);

#endif
