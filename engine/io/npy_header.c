/* NumPy evaluates this text as Python. What it writes is a dict of three keys, each once, in any order, with either
 * quote: 'descr' a string, 'fortran_order' True or False, 'shape' a tuple of whole numbers. Exactly that is parsed
 * here, and nothing more: no escapes, no signs, no nesting but the tuple. */
#include "io/npy_header.h"

#include <string.h>

#include "io/cursor.h"
#include "io/message.h"

/* A quoted string without escapes; *text points into the header. */
static moth_status parse_string(moth_cursor *c, const char *expected, const char **text, size_t *size)
{
    moth_cursor_skip_space(c);
    if (c->next == c->end || (*c->next != '\'' && *c->next != '"')) {
        return moth_cursor_fail(c, expected);
    }
    char quote = *c->next;
    const char *first = c->next + 1;
    const char *last = memchr(first, quote, (size_t)(c->end - first));
    if (!last || memchr(first, '\\', (size_t)(last - first)) || memchr(first, '\n', (size_t)(last - first))) {
        return moth_cursor_fail(c, expected);
    }
    c->next = last + 1;
    *text = first;
    *size = (size_t)(last - first);
    return MOTH_OK;
}

static bool is(const char *text, size_t size, const char *word)
{
    return strlen(word) == size && memcmp(text, word, size) == 0;
}

/* As NumPy writes them: one byte has no order. */
static const struct {
    const char *descr; /* after the byte order */
    moth_element element;
} types[] = {
    { "f4", MOTH_ELEMENT_F32 },  { "f8", MOTH_ELEMENT_F64 }, { "u1", MOTH_ELEMENT_U8 },
    { "b1", MOTH_ELEMENT_BOOL }, { "i1", MOTH_ELEMENT_I8 },  { "i2", MOTH_ELEMENT_I16 },
    { "i4", MOTH_ELEMENT_I32 },  { "i8", MOTH_ELEMENT_I64 }, { "f2", MOTH_ELEMENT_F16 },
};

static moth_status parse_descr(moth_cursor *c, moth_npy_header *h)
{
    const char *text;
    size_t size;
    MOTH_TRY(parse_string(c, "a type such as '<f4'", &text, &size));
    for (size_t i = 0; size == 3 && i < sizeof types / sizeof *types; i++) {
        bool one_byte = moth_element_size(types[i].element) == 1;
        bool order_fits = one_byte ? text[0] == '|' : (text[0] == '<' || text[0] == '>');
        if (order_fits && is(text + 1, 2, types[i].descr)) {
            h->element = types[i].element;
            h->big_endian = text[0] == '>';
            return MOTH_OK;
        }
    }
    moth_io_quoted got;
    return moth_io_fail(c->ctx, MOTH_ERR_UNSUPPORTED, c->path,
                        "type %s, expected one of <f4 <f8 |u1 |b1 |i1 <i2 <i4 <i8 <f2, or > for <",
                        moth_io_quote(&got, text, size));
}

static moth_status parse_order(moth_cursor *c, moth_npy_header *h)
{
    moth_cursor_skip_space(c);
    size_t left = (size_t)(c->end - c->next);
    h->fortran_order = left >= 4 && memcmp(c->next, "True", 4) == 0;
    if (!h->fortran_order && !(left >= 5 && memcmp(c->next, "False", 5) == 0)) {
        return moth_cursor_fail(c, "True or False");
    }
    c->next += h->fortran_order ? 4 : 5;
    return MOTH_OK;
}

/* (), (3,), (3, 4), (3, 4,): a comma after a single number is what makes it a tuple. */
static moth_status parse_shape(moth_cursor *c, moth_npy_header *h)
{
    if (!moth_cursor_take(c, '(')) {
        return moth_cursor_fail(c, "a tuple such as (3, 4)");
    }
    h->rank = 0;
    while (!moth_cursor_take(c, ')')) {
        if (h->rank == MOTH_MAX_RANK) {
            return moth_io_fail(c->ctx, MOTH_ERR_UNSUPPORTED, c->path, "more than %d dimensions", MOTH_MAX_RANK);
        }
        MOTH_TRY(moth_cursor_number(c, "a dimension (a whole number below 2^63)", &h->shape[h->rank++]));
        moth_cursor_skip_space(c);
        bool closes = c->next < c->end && *c->next == ')';
        if (!moth_cursor_take(c, ',') && !(closes && h->rank > 1)) {
            return moth_cursor_fail(c, h->rank > 1 ? ", or )" : ",");
        }
    }
    return MOTH_OK;
}

enum { DESCR, ORDER, SHAPE, KEYS };
static const struct {
    const char *key;
    moth_status (*parse)(moth_cursor *c, moth_npy_header *h);
} fields[KEYS] = {
    [DESCR] = { "descr", parse_descr }, [ORDER] = { "fortran_order", parse_order }, [SHAPE] = { "shape", parse_shape }
};

/* One `key: value`; each key once. */
static moth_status parse_field(moth_cursor *c, moth_npy_header *h, bool seen[KEYS])
{
    const char *key, *start;
    size_t size;
    moth_cursor_skip_space(c);
    start = c->next;
    MOTH_TRY(parse_string(c, "a key in quotes", &key, &size));
    for (int i = 0; i < KEYS; i++) {
        if (is(key, size, fields[i].key) && !seen[i]) {
            seen[i] = true;
            return moth_cursor_take(c, ':') ? fields[i].parse(c, h) : moth_cursor_fail(c, ":");
        }
    }
    c->next = start;
    return moth_cursor_fail(c, "each of 'descr', 'fortran_order' and 'shape' once");
}

moth_status moth_npy_parse_header(moth_ctx *ctx, const char *path, int64_t offset, const char *text, size_t size,
                                  moth_npy_header *header)
{
    moth_cursor c = { ctx, path, "npy header", text, text, text + size, offset };
    bool seen[KEYS] = { false };
    if (!moth_cursor_take(&c, '{')) {
        return moth_cursor_fail(&c, "{");
    }
    for (int i = 0; i < KEYS; i++) {
        MOTH_TRY(parse_field(&c, header, seen));
        if (!moth_cursor_take(&c, ',') && i + 1 < KEYS) {
            return moth_cursor_fail(&c, ", and another key");
        }
    }
    if (!moth_cursor_take(&c, '}')) {
        return moth_cursor_fail(&c, "}");
    }
    moth_cursor_skip_space(&c);
    return c.next == c.end ? MOTH_OK : moth_cursor_fail(&c, "nothing after }");
}
