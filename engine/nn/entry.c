/* Tables of named things (layers, losses, optimizers …) and the specs that name one of them. */
#include <ctype.h>
#include <string.h>

#include "core/memory.h"
#include "core/nearest.h"
#include "nn/option_read.h"

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

moth_status moth_entry_require(moth_ctx *ctx, const moth_kind *kind, const char *name, const moth_entry **out)
{
    *out = moth_entry_find(kind, name);
    if (*out) {
        return MOTH_OK;
    }
    moth_known known = moth_known_for(name);
    for (int i = 0; kind->entries[i]; i++) {
        moth_known_add(&known, kind->entries[i]->name);
    }
    char hint[MOTH_HINT_TEXT];
    moth_known_hint(&known, hint, sizeof hint);
    return moth_fail(ctx, MOTH_ERR_ARGUMENT, "unknown %s '%.60s'%s; known: %s", kind->noun, name, hint, known.text);
}

/* ---- specs ---- */

moth_status moth_spec_normalize(moth_ctx *ctx, const moth_kind *kind, const moth_value *given, moth_value **out)
{
    moth_value_kind is = moth_value_kind_of(given);
    if (is == MOTH_NIL) {
        return moth_option_keep(ctx, moth_value_nil(), out);
    }
    if (is == MOTH_FUNCTION && !kind->no_functions) {
        return moth_option_keep(ctx, moth_value_clone(given), out);
    }
    const moth_value *name = is == MOTH_MAP ? moth_value_get(given, "class") : given;
    if (moth_value_kind_of(name) != MOTH_STRING) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "expected the name of %s %s or one made by moth.%s, got %s",
                         strchr("aeiou", kind->noun[0]) ? "an" : "a", kind->noun, kind->plural,
                         moth_option_kind_text(given));
    }
    const moth_entry *entry;
    MOTH_TRY(moth_entry_require(ctx, kind, moth_value_as_string(name), &entry));
    moth_value *map = NULL;
    MOTH_TRY(moth_options_normalize(ctx, entry->name, entry->options, NULL, is == MOTH_MAP ? given : NULL, &map));
    moth_status status = moth_value_set(map, "class", moth_value_string(entry->name, strlen(entry->name)))
                             ? MOTH_OK
                             : moth_fail_memory(ctx, 32);
    if (status == MOTH_OK && kind->check) {
        status = kind->check(ctx, map);
    }
    if (status != MOTH_OK) {
        moth_value_free(map);
        return status;
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
