/* moth_value -> text, as Python's json.dumps writes it. Numbers have the fewest digits whose correctly rounded text
 * gives the same number back, independent of the locale; at some powers of two that is one digit more than needed. */
#include "io/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "io/message.h"
#include "io/output.h"
#include "io/utf8.h"

typedef struct writer {
    moth_ctx *ctx;
    moth_buffer *to;
    size_t start; /* of the document in `to` */
    int indent;
    int64_t values;
} writer;

void moth_io_json_string(moth_buffer *to, const char *text)
{
    moth_buffer_text(to, "\"");
    while (*text) {
        size_t plain = 0; /* bytes that need no escape */
        while ((unsigned char)text[plain] >= 0x20 && text[plain] != '"' && text[plain] != '\\') {
            plain++;
        }
        moth_buffer_add(to, text, plain);
        text += plain;
        if (*text) {
            static const char special[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
            const char *found = strchr(special, *text);
            char escape[8];
            if (found) {
                snprintf(escape, sizeof escape, "\\%c", letter[found - special]);
            } else {
                snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(unsigned char)*text);
            }
            moth_buffer_text(to, escape);
            text++;
        }
    }
    moth_buffer_text(to, "\"");
}

/* The fewest significant digits that give d back, without a point, and the power of ten of the first. */
static int shortest_digits(double d, char digits[32], int *exponent)
{
    char text[64];
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, d);
        if (strtod(text, NULL) == d) {
            break;
        }
    }
    const char *e = strrchr(text, 'e'); /* always there; what stands between digits is the locale's decimal point */
    int n = 0;
    for (const char *c = text; c < e; c++) {
        if (*c >= '0' && *c <= '9') {
            digits[n++] = *c;
        }
    }
    *exponent = (int)strtol(e + 1, NULL, 10);
    while (n > 1 && digits[n - 1] == '0') {
        n--;
    }
    digits[n] = '\0';
    return n;
}

/* d is finite. Below 1e16 and from 1e-4 on without an exponent. */
static void put_number(moth_buffer *to, double d)
{
    char digits[32], text[64];
    int exponent, n = shortest_digits(d, digits, &exponent);
    const char *sign = signbit(d) ? "-" : "";
    if (exponent < -4 || exponent >= 16) {
        snprintf(text, sizeof text, "%s%c%s%se%s%02d", sign, digits[0], n > 1 ? "." : "", digits + 1,
                 exponent < 0 ? "-" : "+", abs(exponent));
    } else if (exponent < 0) {
        snprintf(text, sizeof text, "%s0.%.*s%s", sign, -exponent - 1, "000", digits);
    } else if (n <= exponent + 1) {
        snprintf(text, sizeof text, "%s%s%.*s.0", sign, digits, exponent + 1 - n, "000000000000000");
    } else {
        snprintf(text, sizeof text, "%s%.*s.%s", sign, exponent + 1, digits, digits + exponent + 1);
    }
    moth_buffer_text(to, text);
}

static moth_status refuse(const writer *w, const char *reason)
{
    return moth_fail(w->ctx, MOTH_ERR_ARGUMENT, "cannot be written as JSON: %s", reason);
}

static moth_status put_string(const writer *w, const char *text)
{
    if (!moth_utf8_valid(text, strlen(text))) {
        return refuse(w, "a string that is not UTF-8");
    }
    size_t before = w->to->size;
    moth_io_json_string(w->to, text);
    if (w->to->size - before > MOTH_JSON_MAX_STRING + 2) {
        return refuse(w, "a string longer than 1 MB");
    }
    return w->to->size - w->start > MOTH_JSON_MAX_BYTES ? refuse(w, "more than 16 MB") : MOTH_OK;
}

static void new_line(const writer *w, int depth)
{
    if (w->indent > 0) {
        moth_buffer_text(w->to, "\n");
        moth_buffer_repeat(w->to, ' ', (size_t)w->indent * (size_t)depth);
    }
}

static moth_status put_value(writer *w, const moth_value *v, int depth);

/* One member, and its key or number in front of what its failure says. */
static moth_status put_member(writer *w, const moth_value *many, int64_t i, int depth)
{
    const char *key = moth_value_key(many, i);
    if (key) {
        MOTH_TRY(put_string(w, key));
        moth_buffer_text(w->to, w->indent > 0 ? ": " : ":");
    }
    moth_status status = put_value(w, moth_value_at(many, i), depth);
    moth_io_quoted shown;
    if (status != MOTH_OK && key) {
        moth_fail_prefix(w->ctx, "%s", moth_io_quote(&shown, key, strlen(key)));
    } else if (status != MOTH_OK) {
        moth_fail_prefix(w->ctx, "[%" PRId64 "]", i + 1);
    }
    return status;
}

static moth_status put_members(writer *w, const moth_value *many, int depth)
{
    bool map = moth_value_kind_of(many) == MOTH_MAP;
    int64_t n = moth_value_count(many);
    if (depth > MOTH_JSON_MAX_DEPTH) {
        return refuse(w, "lists and maps more than 100 deep");
    }
    w->values += n + 1;
    if (w->values > MOTH_JSON_MAX_VALUES) {
        return refuse(w, "more than 250000 values");
    }
    moth_buffer_text(w->to, map ? "{" : "[");
    for (int64_t i = 0; i < n; i++) {
        moth_buffer_text(w->to, i > 0 ? "," : "");
        new_line(w, depth);
        MOTH_TRY(put_member(w, many, i, depth));
    }
    if (n > 0) {
        new_line(w, depth - 1);
    }
    moth_buffer_text(w->to, map ? "}" : "]");
    return MOTH_OK;
}

static moth_status put_value(writer *w, const moth_value *v, int depth)
{
    char text[32];
    switch (moth_value_kind_of(v)) {
    case MOTH_NIL:
        moth_buffer_text(w->to, "null");
        break;
    case MOTH_BOOL:
        moth_buffer_text(w->to, moth_value_as_bool(v) ? "true" : "false");
        break;
    case MOTH_INT:
        snprintf(text, sizeof text, "%" PRId64, moth_value_as_int(v));
        moth_buffer_text(w->to, text);
        break;
    case MOTH_NUMBER:
        if (!isfinite(moth_value_as_number(v))) {
            return refuse(w, "a number that is not finite");
        }
        put_number(w->to, moth_value_as_number(v));
        break;
    case MOTH_STRING:
        return put_string(w, moth_value_as_string(v));
    case MOTH_LIST:
    case MOTH_MAP:
        return put_members(w, v, depth + 1);
    case MOTH_FUNCTION:
        return refuse(w, "a function");
    }
    return MOTH_OK;
}

moth_status moth_io_json_text(moth_ctx *ctx, const moth_value *v, int indent, moth_buffer *to)
{
    writer w = { ctx, to, to->size, indent, 0 };
    MOTH_TRY(put_value(&w, v, 0));
    if (to->failed) {
        return moth_fail_memory(ctx, (int64_t)to->capacity);
    }
    if (to->size - w.start > MOTH_JSON_MAX_BYTES) {
        return refuse(&w, "more than 16 MB");
    }
    return MOTH_OK;
}

moth_status moth_io_json_write(moth_ctx *ctx, const char *path, const moth_value *v, int indent)
{
    moth_buffer text = { 0 };
    moth_status status = moth_io_json_text(ctx, v, indent, &text);
    if (status != MOTH_OK) {
        moth_buffer_free(&text);
        return moth_fail_prefix(ctx, "%s", path);
    }
    moth_buffer_text(&text, "\n");
    if (text.failed) {
        status = moth_fail_memory(ctx, (int64_t)text.capacity);
    } else {
        status = moth_io_write_file(ctx, path, text.data, text.size);
    }
    moth_buffer_free(&text);
    return status;
}
