/* Options: checking what was given against a table, filling in defaults, suggesting the nearest name. */
#include "nn/option.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

enum { MAX_NAME = 64, MAX_MESSAGE = 512 };

/* ---- tables ---- */

/* "GlorotUniform", "glorot_uniform" and "glorotuniform" are the same. */
static bool same_name(const char *a, const char *b)
{
    for (;; a++, b++) {
        a += *a == '_';
        b += *b == '_';
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b)) {
            return false;
        }
        if (*a == '\0') {
            return true;
        }
    }
}

const moth_entry *moth_entry_find(const moth_kind *kind, const char *name)
{
    for (int i = 0; kind->aliases && kind->aliases[i]; i += 2) {
        if (same_name(kind->aliases[i], name)) {
            name = kind->aliases[i + 1];
            break;
        }
    }
    for (int i = 0; kind->entries[i]; i++) {
        if (same_name(kind->entries[i]->name, name)) {
            return kind->entries[i];
        }
    }
    return NULL;
}

/* ---- nearest names ---- */

static int min3(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

/* Levenshtein distance of two names, cut at MAX_NAME characters. */
static int distance(const char *a, const char *b)
{
    int row[MAX_NAME + 1];
    int n = (int)strlen(b) < MAX_NAME ? (int)strlen(b) : MAX_NAME;
    for (int j = 0; j <= n; j++) {
        row[j] = j;
    }
    for (int i = 1; i <= MAX_NAME && a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int change = tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]);
            int next = min3(row[j] + 1, row[j - 1] + 1, diagonal + change);
            diagonal = row[j];
            row[j] = next;
        }
    }
    return row[n];
}

/* The known names as one text, and the one that is meant probably. */
typedef struct listing {
    char known[MAX_MESSAGE];
    size_t used;
    const char *nearest;
    int best;
} listing;

static void list_name(listing *l, const char *wanted, const char *name)
{
    int written = snprintf(l->known + l->used, sizeof l->known - l->used, "%s%s", l->used ? ", " : "", name);
    if (written > 0 && l->used + (size_t)written < sizeof l->known) {
        l->used += (size_t)written;
    }
    int d = distance(wanted, name);
    if (d < l->best) {
        l->best = d;
        l->nearest = name;
    }
}

static listing listing_for(const char *wanted)
{
    /* more than a third of the letters wrong is another word */
    return (listing){ .best = (int)strlen(wanted) / 3 + 2 };
}

static void hint_text(const listing *l, char *hint, size_t size)
{
    if (l->nearest) {
        snprintf(hint, size, " (did you mean '%s'?)", l->nearest);
    } else {
        hint[0] = '\0';
    }
}

moth_status moth_entry_require(moth_ctx *ctx, const moth_kind *kind, const char *name, const moth_entry **out)
{
    *out = moth_entry_find(kind, name);
    if (*out) {
        return MOTH_OK;
    }
    listing l = listing_for(name);
    for (int i = 0; kind->entries[i]; i++) {
        list_name(&l, name, kind->entries[i]->name);
    }
    char hint[MAX_NAME + 32];
    hint_text(&l, hint, sizeof hint);
    return moth_fail(ctx, MOTH_ERR_ARGUMENT, "unknown %s '%.60s'%s; known: %s", kind->noun, name, hint, l.known);
}

static const moth_option *find_option(const moth_option *options, const char *name)
{
    for (const moth_option *o = options; o && o->name; o++) {
        if (strcmp(o->name, name) == 0) {
            return o;
        }
    }
    return NULL;
}

static moth_status fail_unknown(moth_ctx *ctx, const char *what, const moth_option *options, const moth_option *extra,
                                const char *name)
{
    listing l = listing_for(name);
    for (const moth_option *o = options; o && o->name; o++) {
        list_name(&l, name, o->name);
    }
    for (const moth_option *o = extra; o && o->name; o++) {
        list_name(&l, name, o->name);
    }
    char hint[MAX_NAME + 32];
    hint_text(&l, hint, sizeof hint);
    if (l.used == 0) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: unknown option '%.60s'; it takes none", what, name);
    }
    return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: unknown option '%.60s'%s; known: %s", what, name, hint, l.known);
}

/* ---- values ---- */

static const char *kind_text(const moth_value *v)
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
                     kind_text(v));
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

static moth_status keep(moth_ctx *ctx, moth_value *made, moth_value **out)
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
    return keep(ctx, moth_value_int(moth_value_as_int(v)), out);
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
            return keep(ctx, moth_value_clone(v), out);
        }
    }
    if (o->choices) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: option '%s' must be one of: %s; got '%.60s'", what, o->name,
                         o->choices, text);
    }
    return keep(ctx, moth_value_clone(v), out);
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
    return keep(ctx, list, out);
}

static moth_status read_spec(moth_ctx *ctx, const char *what, const moth_option *o, const moth_value *v,
                             moth_value **out)
{
    moth_status status = moth_spec_normalize(ctx, o->spec, v, out);
    return status == MOTH_OK ? status : moth_fail_prefix(ctx, "%s: option '%s'", what, o->name);
}

static moth_status read_value(moth_ctx *ctx, const char *what, const moth_option *o, const moth_value *v,
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
        return keep(ctx, moth_value_number(moth_value_as_number(v)), out);
    case MOTH_OPTION_BOOL:
        return kind == MOTH_BOOL ? keep(ctx, moth_value_clone(v), out) : fail_type(ctx, what, o, "true or false", v);
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
            return keep(ctx, moth_value_number(moth_value_as_number(v)), out);
        }
        return read_spec(ctx, what, o, v, out);
    case MOTH_OPTION_LAYER:
        return kind == MOTH_MAP ? keep(ctx, moth_value_clone(v), out) : fail_type(ctx, what, o, "a layer", v);
    case MOTH_OPTION_FUNCTION:
        return kind == MOTH_FUNCTION ? keep(ctx, moth_value_clone(v), out) : fail_type(ctx, what, o, "a function", v);
    case MOTH_OPTION_ANY:
    case MOTH_OPTION_END:
        break;
    }
    return keep(ctx, moth_value_clone(v), out);
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

static moth_status fill_default(moth_ctx *ctx, const char *what, const moth_option *o, moth_value *map)
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
        status = read_value(ctx, what, o, value, &read);
        moth_value_free(value);
        value = read;
    }
    if (status == MOTH_OK && !moth_value_set(map, o->name, value)) {
        status = moth_fail_memory(ctx, 32);
    }
    return status;
}

/* ---- options ---- */

static const moth_option *positional(const moth_option *options, int64_t place)
{
    for (const moth_option *o = options; o && o->name; o++) {
        if (o->position == place) {
            return o;
        }
    }
    return NULL;
}

static moth_status set_option(moth_ctx *ctx, const char *what, const moth_option *o, const moth_value *v,
                              moth_value *map)
{
    if (moth_value_get(map, o->name)) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: option '%s' is given twice", what, o->name);
    }
    if (moth_value_kind_of(v) == MOTH_NIL && !o->fallback) {
        return moth_value_set(map, o->name, moth_value_nil()) ? MOTH_OK : moth_fail_memory(ctx, 32);
    }
    moth_value *read = NULL;
    MOTH_TRY(read_value(ctx, what, o, v, &read));
    return moth_value_set(map, o->name, read) ? MOTH_OK : moth_fail_memory(ctx, 32);
}

static moth_status set_positionals(moth_ctx *ctx, const char *what, const moth_option *options, const moth_value *list,
                                   moth_value *map)
{
    const moth_option *first = positional(options, 1);
    if (moth_value_count(list) > 0 && first && first->kind == MOTH_OPTION_SHAPE) {
        return set_option(ctx, what, first, list, map);
    }
    for (int64_t i = 0; i < moth_value_count(list); i++) {
        const moth_option *o = positional(options, i + 1);
        if (!o) {
            return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: takes %lld values by position, got %lld", what, (long long)i,
                             (long long)moth_value_count(list));
        }
        MOTH_TRY(set_option(ctx, what, o, moth_value_at(list, i), map));
    }
    return MOTH_OK;
}

static moth_status normalize_into(moth_ctx *ctx, const char *what, const moth_option *options, const moth_option *extra,
                                  const moth_value *given, moth_value *map)
{
    MOTH_TRY(set_positionals(ctx, what, options, moth_value_get(given, "[]"), map));
    for (int64_t i = 0; i < moth_value_count(given); i++) {
        const char *key = moth_value_key(given, i);
        if (strcmp(key, "[]") == 0 || strcmp(key, "class") == 0) {
            continue;
        }
        const moth_option *o = find_option(options, strcmp(key, "lr") == 0 ? "learning_rate" : key);
        o = o ? o : find_option(extra, key);
        if (!o) {
            return fail_unknown(ctx, what, options, extra, key);
        }
        MOTH_TRY(set_option(ctx, what, o, moth_value_item(given, i), map));
    }
    for (int pass = 0; pass < 2; pass++) {
        for (const moth_option *o = pass ? extra : options; o && o->name; o++) {
            if (!moth_value_get(map, o->name)) {
                MOTH_TRY(fill_default(ctx, what, o, map));
            }
        }
    }
    return MOTH_OK;
}

moth_status moth_options_normalize(moth_ctx *ctx, const char *what, const moth_option *options,
                                   const moth_option *extra, const moth_value *given, moth_value **out)
{
    moth_value *map = moth_value_map();
    if (!map) {
        return moth_fail_memory(ctx, 32);
    }
    moth_status status = normalize_into(ctx, what, options, extra, given, map);
    if (status != MOTH_OK) {
        moth_value_free(map);
        return status;
    }
    *out = map;
    return MOTH_OK;
}

/* ---- specs ---- */

moth_status moth_spec_normalize(moth_ctx *ctx, const moth_kind *kind, const moth_value *given, moth_value **out)
{
    moth_value_kind is = moth_value_kind_of(given);
    if (is == MOTH_NIL) {
        return keep(ctx, moth_value_nil(), out);
    }
    if (is == MOTH_FUNCTION && !kind->no_functions) {
        return keep(ctx, moth_value_clone(given), out);
    }
    const moth_value *name = is == MOTH_MAP ? moth_value_get(given, "class") : given;
    if (moth_value_kind_of(name) != MOTH_STRING) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "expected the name of %s %s or one made by moth.%s, got %s",
                         strchr("aeiou", kind->noun[0]) ? "an" : "a", kind->noun, kind->plural, kind_text(given));
    }
    const moth_entry *entry;
    MOTH_TRY(moth_entry_require(ctx, kind, moth_value_as_string(name), &entry));
    moth_value *map = NULL;
    MOTH_TRY(moth_options_normalize(ctx, entry->name, entry->options, NULL, is == MOTH_MAP ? given : NULL, &map));
    if (!moth_value_set(map, "class", moth_value_string(entry->name, strlen(entry->name)))) {
        moth_value_free(map);
        return moth_fail_memory(ctx, 32);
    }
    *out = map;
    return MOTH_OK;
}

const moth_entry *moth_spec_entry(const moth_kind *kind, const moth_value *spec)
{
    const moth_value *name = moth_value_get(spec, "class");
    return name ? moth_entry_find(kind, moth_value_as_string(name)) : NULL;
}

const char *moth_spec_name(const moth_value *spec)
{
    switch (moth_value_kind_of(spec)) {
    case MOTH_MAP:
        return moth_value_as_string(moth_value_get(spec, "class"));
    case MOTH_FUNCTION:
        return "function";
    default:
        return "none";
    }
}

/* ---- reading a config ---- */

int64_t moth_config_int(const moth_value *config, const char *name)
{
    return moth_value_as_int(moth_value_get(config, name));
}

double moth_config_number(const moth_value *config, const char *name)
{
    return moth_value_as_number(moth_value_get(config, name));
}

bool moth_config_bool(const moth_value *config, const char *name)
{
    return moth_value_as_bool(moth_value_get(config, name));
}

const char *moth_config_string(const moth_value *config, const char *name)
{
    return moth_value_as_string(moth_value_get(config, name));
}

int moth_config_ints(const moth_value *config, const char *name, int64_t *out, int room)
{
    const moth_value *list = moth_value_get(config, name);
    int n = (int)moth_value_count(list);
    for (int i = 0; i < n && i < room; i++) {
        out[i] = moth_value_as_int(moth_value_at(list, i));
    }
    return n;
}

bool moth_config_has(const moth_value *config, const char *name)
{
    return moth_value_kind_of(moth_value_get(config, name)) != MOTH_NIL;
}
