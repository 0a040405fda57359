/* Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef MOTH_IO_UTF8_H
#define MOTH_IO_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes (1 to 4) of the character that starts at `text`, of which `left` bytes are there; 0 when it is none. */
size_t moth_utf8_length(const char *text, size_t left);

bool moth_utf8_valid(const char *text, size_t size);

/* Writes a character below U+110000 that is no surrogate; returns its bytes, 1 to 4. */
size_t moth_utf8_encode(uint32_t character, char *to);

#endif
