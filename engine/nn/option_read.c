#include "nn/option_read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

const char *moth_option_kind_text(const moth_value *v)
{
    static const char *const names[] = { "nil",      "a boolean", "an integer", "a number",
                                         "a string", "a list",    "a table",    "a function" };
    return names[moth_value_kind_of(v)];
}

static moth_status fail_type(moth_ctx *ctx, const char *what, const moth_option *o, const char *expected,
                             const moth_value *v)
{
    if (moth_value_kind_of(v) == MOTH_NUMBER) {
        double d = moth_value_as_number(v);
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: option '%s' must be %s, got %.14g", what, o->name, expected,
                         d != d ? fabs(d) : d); /* no sign before nan */
    }
    return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: option '%s' must be %s, got %s", what, o->name, expected,
                     moth_option_kind_text(v));
}

static bool is_integral(const moth_value *v)
{
    moth_value_kind kind = moth_value_kind_of(v);
    double d = moth_value_as_number(v);
    return kind == MOTH_INT || (kind == MOTH_NUMBER && d == floor(d) && fabs(d) < 0x1p63);
}

static moth_status check_bounds(moth_ctx *ctx, const char *what, const moth_option *o, double d)
{
    if (d != d || ((o->low != 0 || o->high != 0) && (d < o->low || d > o->high))) {
        double shown = d != d ? fabs(d) : d; /* no sign before nan */
        if (o->high >= MOTH_NO_LIMIT) {
            bool large = d > o->high;
            return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: option '%s' must be at %s %g, got %g", what, o->name,
                             large ? "most" : "least", large ? o->high : o->low, shown);
        }
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: option '%s' must be in %g .. %g, got %g", what, o->name, o->low,
                         o->high, shown);
    }
    return MOTH_OK;
}

/* Bounds of an integer; one without an upper bound is a size or a number of things, and no tensor holds more. */
static moth_status check_integer(moth_ctx *ctx, const char *what, const moth_option *o, const moth_value *v)
{
    double d = moth_value_as_number(v);
    if (o->high >= MOTH_NO_LIMIT && d > (double)MOTH_MAX_ELEMENTS) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: option '%s' must be at most 2^40, got %.17g", what, o->name, d);
    }
    return check_bounds(ctx, what, o, d);
}

moth_status moth_option_keep(moth_ctx *ctx, moth_value *made, moth_value **out)
{
    if (!made) {
        return moth_fail_memory(ctx, 32);
    }
    *out = made;
    return MOTH_OK;
}

static moth_status read_int(moth_ctx *ctx, const char *what, const moth_option *o, const moth_value *v,
                            moth_value **out)
{
    if (!is_integral(v)) {
        return fail_type(ctx, what, o, "an integer", v);
    }
    MOTH_TRY(check_integer(ctx, what, o, v));
    return moth_option_keep(ctx, moth_value_int(moth_value_as_int(v)), out);
}

static moth_status read_string(moth_ctx *ctx, const char *what, const moth_option *o, const moth_value *v,
                               moth_value **out)
{
    if (moth_value_kind_of(v) != MOTH_STRING) {
        return fail_type(ctx, what, o, "a string", v);
    }
    const char *text = moth_value_as_string(v);
    size_t n = strlen(text);
    for (const char *word = o->choices; word && *word; word += strcspn(word, " "), word += *word == ' ') {
        if (strcspn(word, " ") == n && strncmp(word, text, n) == 0) {
            return moth_option_keep(ctx, moth_value_clone(v), out);
        }
    }
    if (o->choices) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: option '%s' must be one of: %s; got '%.60s'", what, o->name,
                         o->choices, text);
    }
    return moth_option_keep(ctx, moth_value_clone(v), out);
}

static moth_status read_ints(moth_ctx *ctx, const char *what, const moth_option *o, const moth_value *v,
                             moth_value **out)
{
    bool single = is_integral(v);
    if (!single && moth_value_kind_of(v) != MOTH_LIST) {
        return fail_type(ctx, what, o, o->count ? "an integer or a list of integers" : "a list of integers", v);
    }
    int64_t n = single ? (o->count ? o->count : 1) : moth_value_count(v);
    if (o->count && n != o->count) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: option '%s' takes %d integers, got %lld", what, o->name, o->count,
                         (long long)n);
    }
    moth_value *list = moth_value_list();
    for (int64_t i = 0; i < n; i++) {
        const moth_value *item = single ? v : moth_value_at(v, i);
        moth_status status =
            is_integral(item) ? check_integer(ctx, what, o, item) : fail_type(ctx, what, o, "a list of integers", item);
        if (status == MOTH_OK && !moth_value_append(list, moth_value_int(moth_value_as_int(item)))) {
            status = moth_fail_memory(ctx, 32);
        }
        if (status != MOTH_OK) {
            moth_value_free(list);
            return status;
        }
    }
    return moth_option_keep(ctx, list, out);
}

static moth_status read_spec(moth_ctx *ctx, const char *what, const moth_option *o, const moth_value *v,
                             moth_value **out)
{
    moth_status status = moth_spec_normalize(ctx, o->spec, v, out);
    return status == MOTH_OK ? status : moth_fail_prefix(ctx, "%s: option '%s'", what, o->name);
}

moth_status moth_option_read(moth_ctx *ctx, const char *what, const moth_option *o, const moth_value *v,
                             moth_value **out)
{
    moth_value_kind kind = moth_value_kind_of(v);
    bool number = kind == MOTH_INT || kind == MOTH_NUMBER;
    switch (o->kind) {
    case MOTH_OPTION_INT:
        return read_int(ctx, what, o, v, out);
    case MOTH_OPTION_NUMBER:
        if (!number) {
            return fail_type(ctx, what, o, "a number", v);
        }
        MOTH_TRY(check_bounds(ctx, what, o, moth_value_as_number(v)));
        return moth_option_keep(ctx, moth_value_number(moth_value_as_number(v)), out);
    case MOTH_OPTION_BOOL:
        return kind == MOTH_BOOL ? moth_option_keep(ctx, moth_value_clone(v), out)
                                 : fail_type(ctx, what, o, "true or false", v);
    case MOTH_OPTION_STRING:
        return read_string(ctx, what, o, v, out);
    case MOTH_OPTION_INTS:
    case MOTH_OPTION_SHAPE:
        return read_ints(ctx, what, o, v, out);
    case MOTH_OPTION_SPEC:
        return read_spec(ctx, what, o, v, out);
    case MOTH_OPTION_RATE:
        if (number) {
            MOTH_TRY(check_bounds(ctx, what, o, moth_value_as_number(v)));
            return moth_option_keep(ctx, moth_value_number(moth_value_as_number(v)), out);
        }
        return read_spec(ctx, what, o, v, out);
    case MOTH_OPTION_LAYER:
        return kind == MOTH_MAP ? moth_option_keep(ctx, moth_value_clone(v), out)
                                : fail_type(ctx, what, o, "a layer", v);
    case MOTH_OPTION_FUNCTION:
        return kind == MOTH_FUNCTION ? moth_option_keep(ctx, moth_value_clone(v), out)
                                     : fail_type(ctx, what, o, "a function", v);
    case MOTH_OPTION_ANY:
    case MOTH_OPTION_END:
        break;
    }
    return moth_option_keep(ctx, moth_value_clone(v), out);
}

/* ---- defaults ---- */

static moth_value *fallback_value(const moth_option *o)
{
    const char *text = o->fallback;
    if (!text) {
        return moth_value_nil();
    }
    switch (o->kind) {
    case MOTH_OPTION_INT:
        return moth_value_int(strtoll(text, NULL, 10));
    case MOTH_OPTION_NUMBER:
    case MOTH_OPTION_RATE:
        return moth_value_number(strtod(text, NULL));
    case MOTH_OPTION_BOOL:
        return moth_value_bool(strcmp(text, "true") == 0);
    case MOTH_OPTION_INTS:
    case MOTH_OPTION_SHAPE: {
        moth_value *list = moth_value_list();
        for (char *end = (char *)(uintptr_t)text; *end;) {
            if (!moth_value_append(list, moth_value_int(strtoll(end, &end, 10)))) {
                moth_value_free(list);
                return NULL;
            }
        }
        return list;
    }
    default:
        return moth_value_string(text, strlen(text));
    }
}

moth_status moth_option_fill(moth_ctx *ctx, const char *what, const moth_option *o, moth_value *map)
{
    if (o->fallback && strcmp(o->fallback, MOTH_REQUIRED) == 0) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: option '%s' is missing", what, o->name);
    }
    moth_value *value = fallback_value(o), *read = NULL;
    if (!value) {
        return moth_fail_memory(ctx, 32);
    }
    /* defaults of specs are names; they become full specs like given ones */
    moth_status status = MOTH_OK;
    if (moth_value_kind_of(value) == MOTH_STRING && o->kind != MOTH_OPTION_STRING) {
        status = moth_option_read(ctx, what, o, value, &read);
        moth_value_free(value);
        value = read;
    }
    if (status == MOTH_OK && !moth_value_set(map, o->name, value)) {
        status = moth_fail_memory(ctx, 32);
    }
    return status;
}
