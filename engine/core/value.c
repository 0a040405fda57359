#include "core/value.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"

typedef struct moth_member {
    char *key; /* maps only */
    moth_value *value;
} moth_member;

struct moth_value {
    moth_value_kind kind;
    union {
        bool b;
        int64_t i;
        double d;
        char *text;
        moth_callback *function;
        struct {
            moth_member *member;
            int64_t count, capacity;
        } many;
    } u;
};

moth_callback *moth_callback_retain(moth_callback *callback)
{
    if (callback) {
        callback->references++;
    }
    return callback;
}

void moth_callback_release(moth_callback *callback)
{
    if (callback && --callback->references == 0) {
        callback->release(callback);
        moth_free(callback);
    }
}

static moth_value *value_new(moth_value_kind kind)
{
    moth_value *v = moth_calloc(sizeof *v);
    if (v) {
        v->kind = kind;
    }
    return v;
}

moth_value *moth_value_nil(void)
{
    return value_new(MOTH_NIL);
}

moth_value *moth_value_bool(bool b)
{
    moth_value *v = value_new(MOTH_BOOL);
    if (v) {
        v->u.b = b;
    }
    return v;
}

moth_value *moth_value_int(int64_t i)
{
    moth_value *v = value_new(MOTH_INT);
    if (v) {
        v->u.i = i;
    }
    return v;
}

moth_value *moth_value_number(double d)
{
    moth_value *v = value_new(MOTH_NUMBER);
    if (v) {
        v->u.d = d;
    }
    return v;
}

moth_value *moth_value_string(const char *text, size_t size)
{
    moth_value *v = value_new(MOTH_STRING);
    char *copy = v ? moth_malloc(size + 1) : NULL;
    if (!copy) {
        moth_free(v);
        return NULL;
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    v->u.text = copy;
    return v;
}

moth_value *moth_value_list(void)
{
    return value_new(MOTH_LIST);
}

moth_value *moth_value_map(void)
{
    return value_new(MOTH_MAP);
}

moth_value *moth_value_function(moth_callback *callback)
{
    moth_value *v = value_new(MOTH_FUNCTION);
    if (v) {
        v->u.function = moth_callback_retain(callback);
    }
    return v;
}

static bool is_many(const moth_value *v)
{
    return v && (v->kind == MOTH_LIST || v->kind == MOTH_MAP);
}

void moth_value_free(moth_value *v)
{
    if (!v) {
        return;
    }
    if (v->kind == MOTH_STRING) {
        moth_free(v->u.text);
    } else if (v->kind == MOTH_FUNCTION) {
        moth_callback_release(v->u.function);
    } else if (is_many(v)) {
        /* Depth is bounded by the readers (100), so recursion is safe here. */
        for (int64_t i = 0; i < v->u.many.count; i++) {
            moth_free(v->u.many.member[i].key);
            moth_value_free(v->u.many.member[i].value);
        }
        moth_free(v->u.many.member);
    }
    moth_free(v);
}

/* Opens a gap at position `at`. */
static bool insert_gap(moth_value *v, int64_t at)
{
    if (v->u.many.count == v->u.many.capacity) {
        int64_t capacity = v->u.many.capacity ? 2 * v->u.many.capacity : 4;
        moth_member *bigger = moth_realloc(v->u.many.member, (size_t)capacity * sizeof *bigger);
        if (!bigger) {
            return false;
        }
        v->u.many.member = bigger;
        v->u.many.capacity = capacity;
    }
    memmove(v->u.many.member + at + 1, v->u.many.member + at,
            (size_t)(v->u.many.count - at) * sizeof *v->u.many.member);
    v->u.many.count++;
    return true;
}

bool moth_value_append(moth_value *list, moth_value *item)
{
    if (!list || !item || list->kind != MOTH_LIST || !insert_gap(list, list->u.many.count)) {
        moth_value_free(item);
        return false;
    }
    list->u.many.member[list->u.many.count - 1] = (moth_member){ NULL, item };
    return true;
}

/* First position whose key is not below `key`. */
static int64_t lower_bound(const moth_value *map, const char *key)
{
    int64_t low = 0, high = map->u.many.count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (strcmp(map->u.many.member[middle].key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool holds_key(const moth_value *map, int64_t at, const char *key)
{
    return at < map->u.many.count && strcmp(map->u.many.member[at].key, key) == 0;
}

bool moth_value_set(moth_value *map, const char *key, moth_value *item)
{
    if (!map || !item || map->kind != MOTH_MAP) {
        moth_value_free(item);
        return false;
    }
    int64_t at = lower_bound(map, key);
    if (holds_key(map, at, key)) {
        moth_value_free(map->u.many.member[at].value);
        map->u.many.member[at].value = item;
        return true;
    }
    char *copy = moth_strdup(key);
    if (!copy || !insert_gap(map, at)) {
        moth_free(copy);
        moth_value_free(item);
        return false;
    }
    map->u.many.member[at] = (moth_member){ copy, item };
    return true;
}

void moth_value_remove(moth_value *map, const char *key)
{
    if (!map || map->kind != MOTH_MAP) {
        return;
    }
    int64_t at = lower_bound(map, key);
    if (holds_key(map, at, key)) {
        moth_member *member = map->u.many.member + at;
        moth_free(member->key);
        moth_value_free(member->value);
        memmove(member, member + 1, (size_t)(--map->u.many.count - at) * sizeof *member);
    }
}

moth_value *moth_value_clone(const moth_value *v)
{
    switch (moth_value_kind_of(v)) {
    case MOTH_NIL:
        return moth_value_nil();
    case MOTH_BOOL:
        return moth_value_bool(v->u.b);
    case MOTH_INT:
        return moth_value_int(v->u.i);
    case MOTH_NUMBER:
        return moth_value_number(v->u.d);
    case MOTH_STRING:
        return moth_value_string(v->u.text, strlen(v->u.text));
    case MOTH_FUNCTION:
        return moth_value_function(v->u.function);
    case MOTH_LIST:
    case MOTH_MAP:
        break;
    }
    moth_value *copy = value_new(v->kind);
    for (int64_t i = 0; copy && i < v->u.many.count; i++) {
        moth_value *member = moth_value_clone(v->u.many.member[i].value);
        bool kept = v->kind == MOTH_LIST ? moth_value_append(copy, member)
                                         : moth_value_set(copy, v->u.many.member[i].key, member);
        if (!kept) {
            moth_value_free(copy);
            return NULL;
        }
    }
    return copy;
}

moth_value_kind moth_value_kind_of(const moth_value *v)
{
    return v ? v->kind : MOTH_NIL;
}

bool moth_value_as_bool(const moth_value *v)
{
    return v && v->kind == MOTH_BOOL && v->u.b;
}

int64_t moth_value_as_int(const moth_value *v)
{
    if (v && v->kind == MOTH_NUMBER && v->u.d == floor(v->u.d) && fabs(v->u.d) < 0x1p53) {
        return (int64_t)v->u.d;
    }
    return v && v->kind == MOTH_INT ? v->u.i : 0;
}

double moth_value_as_number(const moth_value *v)
{
    if (v && v->kind == MOTH_INT) {
        return (double)v->u.i;
    }
    return v && v->kind == MOTH_NUMBER ? v->u.d : 0;
}

const char *moth_value_as_string(const moth_value *v)
{
    return v && v->kind == MOTH_STRING ? v->u.text : "";
}

moth_callback *moth_value_as_function(const moth_value *v)
{
    return v && v->kind == MOTH_FUNCTION ? v->u.function : NULL;
}

int64_t moth_value_count(const moth_value *v)
{
    return is_many(v) ? v->u.many.count : 0;
}

const moth_value *moth_value_at(const moth_value *list, int64_t i)
{
    return i >= 0 && i < moth_value_count(list) ? list->u.many.member[i].value : NULL;
}

const moth_value *moth_value_get(const moth_value *map, const char *key)
{
    if (!map || map->kind != MOTH_MAP) {
        return NULL;
    }
    int64_t at = lower_bound(map, key);
    return holds_key(map, at, key) ? map->u.many.member[at].value : NULL;
}

const char *moth_value_key(const moth_value *map, int64_t i)
{
    return map && map->kind == MOTH_MAP && i >= 0 && i < map->u.many.count ? map->u.many.member[i].key : NULL;
}

const moth_value *moth_value_item(const moth_value *map, int64_t i)
{
    return moth_value_at(map, i);
}

bool moth_value_holds_function(const moth_value *v)
{
    for (int64_t i = 0; i < moth_value_count(v); i++) {
        if (moth_value_holds_function(moth_value_at(v, i))) {
            return true;
        }
    }
    return moth_value_kind_of(v) == MOTH_FUNCTION;
}
