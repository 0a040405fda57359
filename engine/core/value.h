/* A small tree of values: what an option table, a layer's config and a JSON document all become. Lists and maps own
 * their members; maps keep their keys sorted, so that nothing depends on the order in which they were given. */
#ifndef MOTH_CORE_VALUE_H
#define MOTH_CORE_VALUE_H

#include "core/status.h"

typedef enum moth_value_kind {
    MOTH_NIL,
    MOTH_BOOL,
    MOTH_INT,
    MOTH_NUMBER,
    MOTH_STRING,
    MOTH_LIST,
    MOTH_MAP,
    MOTH_FUNCTION /* a callback of the embedding language; never written to a file */
} moth_value_kind;

/* A function of the embedding language, shared by reference counting. call: n inputs, up to max_out new references in
 * out, *n_out of them; a failure leaves its message on ctx (moth_fail with MOTH_ERR_CALLBACK). */
typedef struct moth_callback moth_callback;
struct moth_callback {
    int references;
    void *user;
    moth_status (*call)(moth_callback *self, moth_ctx *ctx, moth_tensor *const *in, int n_in, bool training,
                        moth_tensor **out, int max_out, int *n_out);
    void (*release)(moth_callback *self); /* frees user; the struct itself is freed by moth_callback_release */
};
moth_callback *moth_callback_retain(moth_callback *callback);
void moth_callback_release(moth_callback *callback); /* NULL is allowed */

typedef struct moth_value moth_value;

moth_value *moth_value_nil(void); /* every constructor returns NULL when memory runs out */
moth_value *moth_value_bool(bool b);
moth_value *moth_value_int(int64_t i);
moth_value *moth_value_number(double d);
moth_value *moth_value_string(const char *text, size_t size); /* copied; may hold any byte but NUL */
moth_value *moth_value_list(void);
moth_value *moth_value_map(void);
moth_value *moth_value_function(moth_callback *callback); /* takes a reference of its own */
moth_value *moth_value_clone(const moth_value *v);
void moth_value_free(moth_value *v); /* NULL is allowed */

/* Take ownership of item, also on failure (false: no memory, or item was NULL). set replaces. */
bool moth_value_append(moth_value *list, moth_value *item);
bool moth_value_set(moth_value *map, const char *key, moth_value *item);
void moth_value_remove(moth_value *map, const char *key); /* nothing where it is absent */

moth_value_kind moth_value_kind_of(const moth_value *v); /* NULL counts as MOTH_NIL */
bool moth_value_as_bool(const moth_value *v);
int64_t moth_value_as_int(const moth_value *v);   /* of MOTH_INT, or a MOTH_NUMBER that is integral */
double moth_value_as_number(const moth_value *v); /* of MOTH_INT or MOTH_NUMBER */
const char *moth_value_as_string(const moth_value *v);
moth_callback *moth_value_as_function(const moth_value *v);               /* borrowed */
int64_t moth_value_count(const moth_value *v);                            /* members of a list or map */
const moth_value *moth_value_at(const moth_value *list, int64_t i);       /* 0-based; NULL outside */
const moth_value *moth_value_get(const moth_value *map, const char *key); /* NULL where absent */
const char *moth_value_key(const moth_value *map, int64_t i);             /* keys in sorted order */
const moth_value *moth_value_item(const moth_value *map, int64_t i);
bool moth_value_holds_function(const moth_value *v); /* itself, or anywhere inside */

#endif
