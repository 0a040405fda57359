/* A parser of its own for the one JSON document that can be 100 MB large and whose numbers must not pass through a
 * double: {"__metadata__": {string: string, …}, NAME: {"dtype": string, "shape": [n, …], "data_offsets": [n, n]}, …}.
 * Nothing nests deeper, so nothing recurses. Any other key or value is an error. */
#include "io/safetensors_header.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "io/cursor.h"
#include "io/message.h"
#include "io/safetensors.h"
#include "io/utf8.h"

typedef struct parser {
    moth_cursor c;
    char *text; /* what the cursor reads, to be written to */
} parser;

static const struct {
    const char *name;
    moth_element element;
} dtypes[] = {
    { "F32", MOTH_ELEMENT_F32 },   { "F16", MOTH_ELEMENT_F16 }, { "BF16", MOTH_ELEMENT_BF16 },
    { "F64", MOTH_ELEMENT_F64 },   { "U8", MOTH_ELEMENT_U8 },   { "I8", MOTH_ELEMENT_I8 },
    { "I16", MOTH_ELEMENT_I16 },   { "I32", MOTH_ELEMENT_I32 }, { "I64", MOTH_ELEMENT_I64 },
    { "BOOL", MOTH_ELEMENT_BOOL },
};

const char *moth_st_dtype_name(moth_element element)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (dtypes[i].element == element) {
            return dtypes[i].name;
        }
    }
    return NULL;
}

/* ---- strings ---- */

/* Four hexadecimal digits behind \u. */
static bool take_hex(moth_cursor *c, uint32_t *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        if (c->next == c->end) {
            return false;
        }
        char digit = *c->next;
        bool decimal = digit >= '0' && digit <= '9';
        if (!decimal && !(digit >= 'a' && digit <= 'f') && !(digit >= 'A' && digit <= 'F')) {
            return false;
        }
        *unit = *unit * 16 + (uint32_t)(decimal ? digit - '0' : (digit | 0x20) - 'a' + 10);
        c->next++;
    }
    return true;
}

/* What stands behind \u: one unit, or a pair of surrogates. A NUL is refused: names are C strings. */
static bool take_unicode(moth_cursor *c, uint32_t *character)
{
    if (!take_hex(c, character) || *character == 0 || (*character >= 0xDC00 && *character < 0xE000)) {
        return false;
    }
    if (*character < 0xD800 || *character >= 0xDC00) {
        return true;
    }
    uint32_t low;
    if (c->end - c->next < 6 || c->next[0] != '\\' || c->next[1] != 'u') {
        return false;
    }
    c->next += 2;
    if (!take_hex(c, &low) || low < 0xDC00 || low >= 0xE000) {
        return false;
    }
    *character = 0x10000 + ((*character - 0xD800) << 10) + (low - 0xDC00);
    return true;
}

/* The cursor is behind a backslash. Returns the bytes written to `to`, which are fewer than those read; 0: no escape.
 */
static size_t take_escape(moth_cursor *c, char *to)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if (c->next == c->end) {
        return 0;
    }
    char letter = *c->next++;
    const char *found = letter ? strchr(letters, letter) : NULL;
    if (found) {
        *to = meant[found - letters];
        return 1;
    }
    uint32_t character;
    return letter == 'u' && take_unicode(c, &character) ? moth_utf8_encode(character, to) : 0;
}

/* Bytes that stand for themselves: ASCII up to a quote or backslash, or one other character. 0: none. */
static size_t plain_length(const char *from, const char *end)
{
    const char *next = from;
    while (next < end && (signed char)*next >= 0x20 && *next != '"' && *next != '\\') {
        next++;
    }
    if (next == from && (unsigned char)*from >= 0x80) {
        return moth_utf8_length(from, (size_t)(end - from));
    }
    return (size_t)(next - from);
}

/* A JSON string, unescaped in place and closed by a NUL. */
static moth_status parse_string(parser *p, const char *expected, const char **string)
{
    moth_cursor *c = &p->c;
    if (!moth_cursor_take(c, '"')) {
        return moth_cursor_fail(c, expected);
    }
    char *first = p->text + (c->next - c->start), *to = first;
    while (c->next < c->end && *c->next != '"') {
        const char *from = c->next;
        size_t length;
        if (*from == '\\') {
            c->next++;
            length = take_escape(c, to);
        } else {
            length = plain_length(from, c->end);
            memmove(to, from, length);
            c->next += length;
        }
        if (length == 0) {
            c->next = from;
            return moth_cursor_fail(c, "a character of UTF-8 or an escape of JSON, and no NUL");
        }
        to += length;
    }
    if (c->next == c->end) {
        return moth_cursor_fail(c, "the end of a string");
    }
    c->next++;
    *to = '\0';
    *string = first;
    return MOTH_OK;
}

/* ---- one tensor ---- */

static moth_status parse_dtype(parser *p, moth_st_tensor *t)
{
    const char *name;
    MOTH_TRY(parse_string(p, "a type such as \"F32\"", &name));
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(name, dtypes[i].name) == 0) {
            t->element = dtypes[i].element;
            return MOTH_OK;
        }
    }
    moth_io_quoted got;
    return moth_io_fail(p->c.ctx, MOTH_ERR_UNSUPPORTED, p->c.path,
                        "type \"%s\", expected one of F32 F16 BF16 F64 U8 I8 I16 I32 I64 BOOL",
                        moth_io_quote(&got, name, strlen(name)));
}

static moth_status parse_shape(parser *p, moth_st_tensor *t)
{
    moth_cursor *c = &p->c;
    if (!moth_cursor_take(c, '[')) {
        return moth_cursor_fail(c, "a list of dimensions");
    }
    t->rank = 0;
    if (moth_cursor_take(c, ']')) {
        return MOTH_OK;
    }
    do {
        if (t->rank == MOTH_MAX_RANK) {
            return moth_io_fail(c->ctx, MOTH_ERR_UNSUPPORTED, c->path, "a tensor of more than %d dimensions",
                                MOTH_MAX_RANK);
        }
        MOTH_TRY(moth_cursor_number(c, "a dimension (a whole number below 2^63)", &t->shape[t->rank++]));
    } while (moth_cursor_take(c, ','));
    return moth_cursor_take(c, ']') ? MOTH_OK : moth_cursor_fail(c, ", or ]");
}

static moth_status parse_offsets(parser *p, moth_st_tensor *t)
{
    static const char expected[] = "[begin, end] (whole numbers below 2^63)";
    moth_cursor *c = &p->c;
    if (!moth_cursor_take(c, '[')) {
        return moth_cursor_fail(c, expected);
    }
    MOTH_TRY(moth_cursor_number(c, expected, &t->begin));
    if (!moth_cursor_take(c, ',')) {
        return moth_cursor_fail(c, ", and the end");
    }
    MOTH_TRY(moth_cursor_number(c, expected, &t->end));
    return moth_cursor_take(c, ']') ? MOTH_OK : moth_cursor_fail(c, "]");
}

enum { DTYPE, SHAPE, OFFSETS, FIELDS };
static const struct {
    const char *key;
    moth_status (*parse)(parser *p, moth_st_tensor *t);
} fields[FIELDS] = { [DTYPE] = { "dtype", parse_dtype },
                     [SHAPE] = { "shape", parse_shape },
                     [OFFSETS] = { "data_offsets", parse_offsets } };

/* One `key: value`; each key once. */
static moth_status parse_field(parser *p, moth_st_tensor *t, bool seen[FIELDS])
{
    const char *key;
    MOTH_TRY(parse_string(p, "a key", &key));
    for (int i = 0; i < FIELDS; i++) {
        if (strcmp(key, fields[i].key) == 0 && !seen[i]) {
            seen[i] = true;
            return moth_cursor_take(&p->c, ':') ? fields[i].parse(p, t) : moth_cursor_fail(&p->c, ":");
        }
    }
    moth_io_quoted shown;
    long long at = p->c.offset + (p->c.next - p->c.start);
    return moth_io_fail(p->c.ctx, MOTH_ERR_FORMAT, p->c.path,
                        "key \"%s\" before byte %lld, expected each of dtype, shape and data_offsets once",
                        moth_io_quote(&shown, key, strlen(key)), at);
}

static moth_status check_size(const parser *p, const moth_st_tensor *t)
{
    moth_io_quoted shown;
    const char *name = moth_io_quote(&shown, t->name, strlen(t->name));
    int64_t bytes;
    if (!moth_element_bytes(t->element, t->rank, t->shape, &bytes)) {
        return moth_io_fail(p->c.ctx, MOTH_ERR_UNSUPPORTED, p->c.path,
                            "tensor \"%s\" has more than 2^40 elements, the most that there can be", name);
    }
    if (t->end < t->begin || t->end - t->begin != bytes) {
        return moth_io_fail(p->c.ctx, MOTH_ERR_FORMAT, p->c.path,
                            "tensor \"%s\" takes %lld bytes, its data_offsets are [%lld, %lld]", name, (long long)bytes,
                            (long long)t->begin, (long long)t->end);
    }
    return MOTH_OK;
}

static moth_status parse_tensor(parser *p, moth_st_tensor *t)
{
    moth_cursor *c = &p->c;
    bool seen[FIELDS] = { false };
    if (!moth_cursor_take(c, '{')) {
        return moth_cursor_fail(c, "{");
    }
    for (int i = 0; i < FIELDS; i++) {
        MOTH_TRY(parse_field(p, t, seen));
        if (i + 1 < FIELDS && !moth_cursor_take(c, ',')) {
            return moth_cursor_fail(c, ", and another of dtype, shape and data_offsets");
        }
    }
    return moth_cursor_take(c, '}') ? check_size(p, t) : moth_cursor_fail(c, "}");
}

/* ---- all of it ---- */

/* Room for one more in an array of `count`; NULL and a message where there is none. */
static void *grow(const parser *p, void *array, int64_t count, int64_t *capacity, size_t size)
{
    if (count < *capacity) {
        return array;
    }
    if (count == MOTH_SAFETENSORS_MAX_TENSORS) {
        moth_io_fail(p->c.ctx, MOTH_ERR_UNSUPPORTED, p->c.path, "more than %d tensors or texts",
                     MOTH_SAFETENSORS_MAX_TENSORS);
        return NULL;
    }
    int64_t more = *capacity ? 2 * *capacity : 32;
    more = more < MOTH_SAFETENSORS_MAX_TENSORS ? more : MOTH_SAFETENSORS_MAX_TENSORS;
    void *bigger = moth_realloc(array, (size_t)more * size);
    if (bigger) {
        *capacity = more;
    } else {
        moth_fail_memory(p->c.ctx, more * (int64_t)size);
    }
    return bigger;
}

static moth_status parse_text(parser *p, moth_st_header *h)
{
    moth_st_text *bigger = grow(p, h->texts, h->text_count, &h->text_capacity, sizeof *bigger);
    if (!bigger) {
        return p->c.ctx->status;
    }
    h->texts = bigger;
    moth_st_text *text = &h->texts[h->text_count++];
    *text = (moth_st_text){ "", "" };
    MOTH_TRY(parse_string(p, "a key", &text->key));
    return moth_cursor_take(&p->c, ':') ? parse_string(p, "a string", &text->text) : moth_cursor_fail(&p->c, ":");
}

static moth_status parse_metadata(parser *p, moth_st_header *h)
{
    moth_cursor *c = &p->c;
    if (h->has_metadata) {
        return moth_cursor_fail(c, "__metadata__ once");
    }
    h->has_metadata = true;
    if (!moth_cursor_take(c, '{')) {
        return moth_cursor_fail(c, "{");
    }
    if (moth_cursor_take(c, '}')) {
        return MOTH_OK;
    }
    do {
        MOTH_TRY(parse_text(p, h));
    } while (moth_cursor_take(c, ','));
    return moth_cursor_take(c, '}') ? MOTH_OK : moth_cursor_fail(c, ", or }");
}

static moth_status parse_member(parser *p, moth_st_header *h)
{
    const char *name;
    MOTH_TRY(parse_string(p, "the name of a tensor", &name));
    if (!moth_cursor_take(&p->c, ':')) {
        return moth_cursor_fail(&p->c, ":");
    }
    if (strcmp(name, "__metadata__") == 0) {
        return parse_metadata(p, h);
    }
    moth_st_tensor *bigger = grow(p, h->tensors, h->count, &h->capacity, sizeof *bigger);
    if (!bigger) {
        return p->c.ctx->status;
    }
    h->tensors = bigger;
    moth_st_tensor *t = &h->tensors[h->count++];
    *t = (moth_st_tensor){ .name = name };
    return parse_tensor(p, t);
}

static moth_status parse_members(parser *p, moth_st_header *h)
{
    moth_cursor *c = &p->c;
    if (c->next == c->end || *c->next != '{') { /* not even a space may come first */
        return moth_cursor_fail(c, "{");
    }
    c->next++;
    if (!moth_cursor_take(c, '}')) {
        do {
            MOTH_TRY(parse_member(p, h));
        } while (moth_cursor_take(c, ','));
        if (!moth_cursor_take(c, '}')) {
            return moth_cursor_fail(c, ", or }");
        }
    }
    moth_cursor_skip_space(c);
    return c->next == c->end ? MOTH_OK : moth_cursor_fail(c, "nothing but spaces behind the header");
}

/* ---- checks of the whole ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const moth_st_tensor *)a)->name, ((const moth_st_tensor *)b)->name);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(((const moth_st_text *)a)->key, ((const moth_st_text *)b)->key);
}

/* By begin, then end, so that an empty tensor stands before the one that starts at the same place. */
static int compare_data(const void *a, const void *b)
{
    const moth_st_tensor *x = *(const moth_st_tensor *const *)a, *y = *(const moth_st_tensor *const *)b;
    if (x->begin != y->begin) {
        return x->begin < y->begin ? -1 : 1;
    }
    return (x->end > y->end) - (x->end < y->end);
}

/* Sorts, and refuses equal neighbours. */
static moth_status check_names(const parser *p, moth_st_header *h)
{
    const char *twice = NULL;
    if (h->count > 0) {
        qsort(h->tensors, (size_t)h->count, sizeof *h->tensors, compare_names);
    }
    if (h->text_count > 0) {
        qsort(h->texts, (size_t)h->text_count, sizeof *h->texts, compare_texts);
    }
    for (int64_t i = 1; i < h->count && !twice; i++) {
        twice = compare_names(&h->tensors[i - 1], &h->tensors[i]) == 0 ? h->tensors[i].name : NULL;
    }
    for (int64_t i = 1; i < h->text_count && !twice; i++) {
        twice = compare_texts(&h->texts[i - 1], &h->texts[i]) == 0 ? h->texts[i].key : NULL;
    }
    moth_io_quoted shown;
    return twice ? moth_io_fail(p->c.ctx, MOTH_ERR_FORMAT, p->c.path, "\"%s\" is there twice",
                                moth_io_quote(&shown, twice, strlen(twice)))
                 : MOTH_OK;
}

/* The data of all tensors, put in order, must be the data section: no gap, no overlap, no rest. */
static moth_status check_data(const parser *p, moth_st_header *h, int64_t data_size)
{
    h->by_data = moth_malloc((size_t)h->count * sizeof *h->by_data);
    if (!h->by_data) {
        return moth_fail_memory(p->c.ctx, h->count * (int64_t)sizeof *h->by_data);
    }
    for (int64_t i = 0; i < h->count; i++) {
        h->by_data[i] = &h->tensors[i];
    }
    if (h->count > 0) {
        qsort(h->by_data, (size_t)h->count, sizeof *h->by_data, compare_data);
    }
    int64_t at = 0;
    for (int64_t i = 0; i < h->count; i++) {
        const moth_st_tensor *t = h->by_data[i];
        moth_io_quoted shown;
        if (t->begin != at) {
            return moth_io_fail(p->c.ctx, MOTH_ERR_FORMAT, p->c.path,
                                "the data of \"%s\" starts at %lld, expected %lld (no gap, no overlap)",
                                moth_io_quote(&shown, t->name, strlen(t->name)), (long long)t->begin, (long long)at);
        }
        at = t->end;
    }
    if (at != data_size) {
        return moth_io_fail(p->c.ctx, MOTH_ERR_FORMAT, p->c.path,
                            "the tensors take %lld bytes of data, the file has %lld", (long long)at,
                            (long long)data_size);
    }
    return MOTH_OK;
}

moth_status moth_st_parse_header(moth_ctx *ctx, const char *path, char *text, int64_t size, int64_t data_size,
                                 moth_st_header *header)
{
    parser p = { { ctx, path, "safetensors header", text, text, text + size, 8 }, text };
    MOTH_TRY(parse_members(&p, header));
    MOTH_TRY(check_names(&p, header));
    return check_data(&p, header, data_size);
}

void moth_st_free_header(moth_st_header *header)
{
    moth_free(header->tensors);
    moth_free(header->by_data);
    moth_free(header->texts);
}
