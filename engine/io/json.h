/* JSON (RFC 8259) to and from moth_value. The limits hold both ways, so that what is written can be read again. */
#ifndef MOTH_IO_JSON_H
#define MOTH_IO_JSON_H

#include "core/value.h"
#include "io/buffer.h"

#define MOTH_JSON_MAX_BYTES ((size_t)16 << 20) /* of a document */
#define MOTH_JSON_MAX_VALUES 250000            /* members of all lists and maps together */
#define MOTH_JSON_MAX_DEPTH 100                /* lists and maps inside each other */
#define MOTH_JSON_MAX_STRING ((size_t)1 << 20) /* bytes between the quotes, as written */

/* Parses a document. `what` names it in messages (a path, or "m.safetensors: architecture"). Strict: UTF-8, no
 * duplicate keys, no NUL in a string, whole numbers that fit int64_t (they become MOTH_INT), others that fit double
 * (MOTH_NUMBER); null becomes MOTH_NIL. MOTH_ERR_FORMAT says line and column, MOTH_ERR_UNSUPPORTED which limit;
 * MOTH_ERR_MEMORY. *out is the caller's. */
moth_status moth_io_json_parse(moth_ctx *ctx, const char *what, const char *text, size_t size, moth_value **out);

/* The same for a file; also MOTH_ERR_IO. */
moth_status moth_io_json_read(moth_ctx *ctx, const char *path, moth_value **out);

/* Adds the text of v to `to`: sorted keys, each number by the fewest digits that give it back, 1.0 for a MOTH_NUMBER
 * that is whole. indent 0: on one line without spaces; above: lines indented by so many spaces a level. A function, a
 * number that is not finite, a string that is no UTF-8 and what is beyond the limits is MOTH_ERR_ARGUMENT, with the
 * path of keys in front; MOTH_ERR_MEMORY. */
moth_status moth_io_json_text(moth_ctx *ctx, const moth_value *v, int indent, moth_buffer *to);

/* Writes the text and a newline as a file, all or nothing; also MOTH_ERR_IO. */
moth_status moth_io_json_write(moth_ctx *ctx, const char *path, const moth_value *v, int indent);

/* A string in quotes. The text must be UTF-8. */
void moth_io_json_string(moth_buffer *to, const char *text);

#endif
