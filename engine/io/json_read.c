/* Text -> moth_value, by way of jansson. jansson allocates by malloc: its hooks are one setting for the whole process,
 * which may use jansson itself. What it cannot be told (depth, sizes) is checked before it sees the text. */
#include "io/json.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "io/file.h"
#include "io/message.h"

static moth_status fail_limit(moth_ctx *ctx, const char *what, size_t at, const char *limit)
{
    return moth_io_fail(ctx, MOTH_ERR_UNSUPPORTED, what, "byte %zu: %s", at, limit);
}

/* Counts what stands outside strings. Where the text is no JSON the counts may be wrong, but only behind the place at
 * which the parser stops. */
static moth_status check_limits(moth_ctx *ctx, const char *what, const char *text, size_t size)
{
    int depth = 0, values = 0;
    for (size_t at = 0; at < size; at++) {
        if (text[at] == '[' || text[at] == '{') {
            depth++;
            values++;
        } else if (text[at] == ']' || text[at] == '}') {
            depth--;
        } else if (text[at] == ',') {
            values++;
        } else if (text[at] == '"') {
            size_t start = at + 1;
            for (at = start; at < size && text[at] != '"'; at++) {
                at += text[at] == '\\';
            }
            if (at - start > MOTH_JSON_MAX_STRING) {
                return fail_limit(ctx, what, start, "a string longer than 1 MB");
            }
        }
        if (depth > MOTH_JSON_MAX_DEPTH) {
            return fail_limit(ctx, what, at, "lists and maps more than 100 deep");
        }
        if (values > MOTH_JSON_MAX_VALUES) {
            return fail_limit(ctx, what, at, "more than 250000 values");
        }
    }
    return MOTH_OK;
}

static moth_value *value_of(const json_t *json);

static moth_value *list_of(const json_t *json)
{
    moth_value *list = moth_value_list();
    for (size_t i = 0; list && i < json_array_size(json); i++) {
        if (!moth_value_append(list, value_of(json_array_get(json, i)))) {
            moth_value_free(list);
            return NULL;
        }
    }
    return list;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Members go into the map in its own order, which takes no time for moving others. */
static moth_value *map_of(json_t *json)
{
    size_t count = json_object_size(json), n = 0;
    const char **keys = moth_malloc(count * sizeof *keys);
    moth_value *map = keys ? moth_value_map() : NULL;
    if (map) {
        for (void *it = json_object_iter(json); it && n < count; it = json_object_iter_next(json, it)) {
            keys[n++] = json_object_iter_key(it);
        }
        qsort(keys, n, sizeof *keys, compare_keys);
    }
    for (size_t i = 0; map && i < n; i++) {
        if (!moth_value_set(map, keys[i], value_of(json_object_get(json, keys[i])))) {
            moth_value_free(map);
            map = NULL;
        }
    }
    moth_free(keys);
    return map;
}

/* NULL when memory runs out, of which there is no more than check_limits lets through. */
static moth_value *value_of(const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return map_of((json_t *)json);
    case JSON_ARRAY:
        return list_of(json);
    case JSON_STRING:
        return moth_value_string(json_string_value(json), json_string_length(json));
    case JSON_INTEGER:
        return moth_value_int(json_integer_value(json));
    case JSON_REAL:
        return moth_value_number(json_real_value(json));
    case JSON_TRUE:
        return moth_value_bool(true);
    case JSON_FALSE:
        return moth_value_bool(false);
    case JSON_NULL:
        break;
    }
    return moth_value_nil();
}

static moth_status fail_memory(moth_ctx *ctx, const char *what)
{
    return moth_io_fail(ctx, MOTH_ERR_MEMORY, what, "not enough memory to parse it");
}

moth_status moth_io_json_parse(moth_ctx *ctx, const char *what, const char *text, size_t size, moth_value **out)
{
    if (size > MOTH_JSON_MAX_BYTES) {
        return fail_limit(ctx, what, MOTH_JSON_MAX_BYTES, "more than 16 MB of JSON");
    }
    MOTH_TRY(check_limits(ctx, what, text, size));
    json_error_t error;
    memset(&error, 0, sizeof error);
    errno = 0; /* where jansson runs out of memory it often says something else */
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!json) {
        moth_io_quoted shown;
        if (errno == ENOMEM) {
            return fail_memory(ctx, what);
        }
        return moth_io_fail(ctx, MOTH_ERR_FORMAT, what, "not JSON: line %d, column %d: %s", error.line, error.column,
                            moth_io_quote(&shown, error.text, strlen(error.text)));
    }
    moth_value *value = value_of(json);
    json_decref(json);
    if (!value) {
        return fail_memory(ctx, what);
    }
    *out = value;
    return MOTH_OK;
}

moth_status moth_io_json_read(moth_ctx *ctx, const char *path, moth_value **out)
{
    char *text;
    int64_t size;
    MOTH_TRY(moth_io_read_file(ctx, path, (int64_t)MOTH_JSON_MAX_BYTES, &text, &size));
    moth_status status = moth_io_json_parse(ctx, path, text, (size_t)size, out);
    moth_free(text);
    return status;
}
