/* What layers, losses, optimizers and the like have in common: a name in a table and options with defaults. An object
 * is described by a `spec`: a string ("relu"), a map with "class" and options ({class: "l2", l2: 0.01}) or a function
 * of the embedding language. Normalizing a spec checks it and fills in every default, so the rest of the engine, the
 * model file and the summary read one form. */
#ifndef MOTH_NN_OPTION_H
#define MOTH_NN_OPTION_H

#include "core/value.h"

typedef enum moth_option_kind {
    MOTH_OPTION_END,
    MOTH_OPTION_INT,    /* low .. high */
    MOTH_OPTION_NUMBER, /* low .. high, never NaN */
    MOTH_OPTION_BOOL,
    MOTH_OPTION_STRING,   /* one of `choices` (words), or anything where there are none */
    MOTH_OPTION_INTS,     /* a list of integers in low .. high; one number stands for a list of that number */
    MOTH_OPTION_SHAPE,    /* a list of sizes of one sample; takes all positionals */
    MOTH_OPTION_SPEC,     /* a spec of the kind `spec`, or a function */
    MOTH_OPTION_RATE,     /* a number, or a spec of the kind `spec` (schedules) */
    MOTH_OPTION_LAYER,    /* handled by wrappers: a map {class, config} */
    MOTH_OPTION_FUNCTION, /* a function */
    MOTH_OPTION_ANY       /* kept as it is */
} moth_option_kind;

struct moth_kind;

typedef struct moth_option {
    const char *name;
    const char *fallback; /* default as text: "0.01", "true", "glorot_uniform", "2 2"; NULL: nil; MOTH_REQUIRED */
    const char *choices;  /* "valid same" */
    const char *doc;
    const struct moth_kind *spec; /* SPEC and RATE: which table */
    double low, high;             /* of numbers; both 0: no bounds */
    moth_option_kind kind;
    int position; /* place among the positionals from 1; 0: by name only */
    int count;    /* INTS: how many; 0: any. One number is repeated */
} moth_option;

#define MOTH_REQUIRED "\001"
#define MOTH_OPTIONS_END \
    {                    \
        .name = NULL     \
    }
#define MOTH_NO_LIMIT 1e18 /* `high` of an option that is bounded below only */

/* First member of everything that stands in a table. */
typedef struct moth_entry {
    const char *name;
    const char *doc;
    const moth_option *options; /* NULL: none */
} moth_entry;

/* A table: what its members are called and where they are. */
typedef struct moth_kind {
    const char *noun;                 /* "initializer", for messages */
    const char *plural;               /* "initializers", the public table */
    const moth_entry *const *entries; /* NULL ends it */
    const char *const *aliases;       /* pairs: other name, name; NULL ends it; NULL: none */
    bool no_functions;                /* a function of the embedding language cannot stand for an entry */
    moth_status (*check)(moth_ctx *ctx, const moth_value *config); /* what options must be together; NULL: free */
} moth_kind;

/* The entry of that name (or alias; CamelCase and snake_case are the same), NULL where there is none. */
const moth_entry *moth_entry_find(const moth_kind *kind, const char *name);
/* The same with an error that lists near names. */
moth_status moth_entry_require(moth_ctx *ctx, const moth_kind *kind, const char *name, const moth_entry **out);

/* Checks `given` (a map; its member "[]" is the list of positionals; NULL: nothing given) against options and gives a
 * new map that holds every option, nil ones too. `extra` (may be NULL) are options that every entry of the kind takes.
 * An unknown option fails with MOTH_ERR_ARGUMENT, the known ones and the nearest. */
moth_status moth_options_normalize(moth_ctx *ctx, const char *what, const moth_option *options,
                                   const moth_option *extra, const moth_value *given, moth_value **out);

/* Normalizes a spec of one kind: a string, a map with "class", a function (kept as it is) or nil (NULL or MOTH_NIL,
 * *out is a nil value). The result is a map with "class" and every option, or a function, or nil. */
moth_status moth_spec_normalize(moth_ctx *ctx, const moth_kind *kind, const moth_value *given, moth_value **out);

/* The entry of a normalized spec; NULL for nil and functions. */
const moth_entry *moth_spec_entry(const moth_kind *kind, const moth_value *spec);

/* A short form for messages and summaries: the spec's class, "function" or "none". */
const char *moth_spec_name(const moth_value *spec);

/* Members of a normalized config. */
int64_t moth_config_int(const moth_value *config, const char *name);
double moth_config_number(const moth_value *config, const char *name);
bool moth_config_bool(const moth_value *config, const char *name);
const char *moth_config_string(const moth_value *config, const char *name);
int moth_config_ints(const moth_value *config, const char *name, int64_t *out, int room); /* returns the count */
bool moth_config_has(const moth_value *config, const char *name);                         /* there and not nil */

#endif
