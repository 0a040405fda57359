/* Options: what was given, by position and by name, against a table; and the members of the config that results. */
#include <string.h>

#include "core/memory.h"
#include "core/nearest.h"
#include "nn/option_read.h"

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
    moth_known known = moth_known_for(name);
    for (const moth_option *o = options; o && o->name; o++) {
        moth_known_add(&known, o->name);
    }
    for (const moth_option *o = extra; o && o->name; o++) {
        moth_known_add(&known, o->name);
    }
    char hint[MOTH_HINT_TEXT];
    moth_known_hint(&known, hint, sizeof hint);
    if (known.used == 0) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: unknown option '%.60s'; it takes none", what, name);
    }
    return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: unknown option '%.60s'%s; known: %s", what, name, hint, known.text);
}

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
    MOTH_TRY(moth_option_read(ctx, what, o, v, &read));
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
            return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: takes %lld value%s by position, got %lld", what, (long long)i,
                             i == 1 ? "" : "s", (long long)moth_value_count(list));
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
                MOTH_TRY(moth_option_fill(ctx, what, o, map));
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
