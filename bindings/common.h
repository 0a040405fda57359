/* What every binding file stands on: the state that belongs to one lua_State, checked arguments, tensors in userdata,
 * errors at the user's line, option tables.
 *
 * The order inside a binding is always the same: check all arguments, make the owning userdata, call the engine, raise
 * last. Lua raises by longjmp, so a C local never owns anything when a function of Lua or of this header that may raise
 * is called. */
#ifndef MOTH_BINDINGS_COMMON_H
#define MOTH_BINDINGS_COMMON_H

#include <lauxlib.h>
#include <lua.h>

#include "core/memory.h"
#include "core/value.h"
#include "graph/graph.h"

/* Metatable names in the registry. */
#define MOTHB_TENSOR "moth.tensor"
#define MOTHB_SIZE "moth.size"

/* One for each lua_State (threads of one state share it), kept in the registry. */
typedef struct mothb_state {
    moth_ctx *ctx;
    lua_State *running; /* who called the engine last: callbacks run there */
    char said[256];     /* what the engine said last: see say() */
    int64_t collected;  /* native bytes that were alive after the last full collection */
    bool training;      /* what layers take where a call does not say: set while a training step is traced */
    bool inference;     /* a function of a layer, loss or metric runs, and not for training */
    uint64_t draws;     /* random draws so far in the running trace: each has a stream of its own */
} mothb_state;

/* The state; raises where it was closed already. Notes that L is the one that runs now. */
mothb_state *mothb_get_state(lua_State *L);

/* The same, only its context. */
moth_ctx *mothb_ctx(lua_State *L);

/* Makes the state unless there is one. */
void mothb_open_state(lua_State *L);

/* ---- errors ---- */

/* Position of the innermost Lua code that is not moth's own, as "file:line: ", or "". Pushes it. */
void mothb_where(lua_State *L);

/* Whether Lua code with that source is moth's own: it is never to blame, the user's call into it is. */
bool mothb_is_own_source(const char *source);

/* Raises the message on the context in front of which stands the user's position. A failed callback is raised again as
 * it was; an interrupt is taken back. Never returns; the return type allows `return mothb_raise(…)`. */
int mothb_raise(lua_State *L, moth_status status);

/* Raises with a message of its own. */
int mothb_error(lua_State *L, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "bad argument #2 to 'full' (number expected, got nil)". arg counts as Lua's C API does; self of a method is not
 * counted in the text. The name is upvalue 1 of the running function (mothb_register). */
int mothb_arg_error(lua_State *L, int arg, const char *format, ...) __attribute__((format(printf, 3, 4)));
int mothb_type_error(lua_State *L, int arg, const char *expected); /* "… expected, got nil" */
const char *mothb_typename(lua_State *L, int index);

/* What a message says of a value: a number or a short text as it is, else its type, never an address. Pushes it. */
const char *mothb_show(lua_State *L, int index);

/* A full collection; the return value is true, so that it stands in a condition. */
bool mothb_reclaim(lua_State *L);

/* Calls the engine; where memory ran out once more after a full collection; raises what fails then. */
#define MOTHB_CALL(L, expression)                             \
    do {                                                      \
        moth_status status_ = (expression);                   \
        if (status_ == MOTH_ERR_MEMORY && mothb_reclaim(L)) { \
            status_ = (expression);                           \
        }                                                     \
        if (status_ != MOTH_OK) {                             \
            mothb_raise(L, status_);                          \
        }                                                     \
    } while (0)

/* For a signal handler: `lua_sethook(L, mothb_interrupt_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1)` beside
 * moth_ctx_interrupt. Whichever comes first, the hook or the engine, raises "interrupted" and takes both back. */
void mothb_interrupt_hook(lua_State *L, lua_Debug *ar);

/* ---- registration ---- */

/* Sets the functions in the table on top; each gets its name as upvalue 1. */
void mothb_register(lua_State *L, const luaL_Reg *functions);

/* A metatable of that name with the given metamethods and __metatable set; pushed. Raises where another copy of moth
 * already lives in this state. */
void mothb_new_class(lua_State *L, const char *name, const luaL_Reg *metamethods);

/* Each binding file opens itself: called once, adds its functions to the table moth.core, which is on top. A new file
 * adds one line here and one in moth.c. */
void mothb_open_value(lua_State *L);
void mothb_open_size(lua_State *L);
void mothb_open_tensor(lua_State *L);
void mothb_open_create(lua_State *L);
void mothb_open_shape(lua_State *L);
void mothb_open_grad(lua_State *L);
void mothb_open_compile(lua_State *L);
void mothb_open_io(lua_State *L);
void mothb_open_data(lua_State *L);
void mothb_open_image(lua_State *L);
void mothb_open_system(lua_State *L);
void mothb_open_process(lua_State *L);
void mothb_open_describe(lua_State *L);

/* ---- tensors ---- */

/* Pushes an empty owner and returns where the tensor goes: engine functions write their result right into it. This is
 * also where the collector is told of native memory. */
moth_tensor **mothb_new_tensor(lua_State *L);

/* Pushes an owner with a reference of its own. NULL pushes nil. */
void mothb_push_tensor(lua_State *L, moth_tensor *t);

bool mothb_is_tensor(lua_State *L, int index);
moth_tensor *mothb_check_tensor(lua_State *L, int arg); /* borrowed; refuses closed ones */
moth_tensor *mothb_opt_tensor(lua_State *L, int arg);   /* NULL for nil or none */

/* The userdata of a class with its size checked (debug.setmetatable can lie); NULL where it is something else. */
void *mothb_test_object(lua_State *L, int index, const char *class_name, size_t size);

/* ---- numbers, names, shapes ---- */

/* A Lua number with an integral value; strings are no numbers here. */
bool mothb_to_int(lua_State *L, int index, int64_t *out);
int64_t mothb_check_int(lua_State *L, int arg, int64_t low, int64_t high);
int64_t mothb_opt_int(lua_State *L, int arg, int64_t low, int64_t high, int64_t fallback);
double mothb_check_number(lua_State *L, int arg);
double mothb_opt_number(lua_State *L, int arg, double fallback);
bool mothb_opt_bool(lua_State *L, int arg, bool fallback); /* true or false, nothing else */
const char *mothb_check_string(lua_State *L, int arg);     /* without NUL bytes: paths, names */
moth_dtype mothb_check_dtype(lua_State *L, int arg);
bool mothb_fits(moth_dtype dtype, double value); /* can an element be the value */

/* A symbolic size: while tracing, x.shape[1] where that is a multiple of the rows of the run. */
typedef struct mothb_size {
    int64_t dim;        /* -k: k times the rows */
    moth_tensor *value; /* the same as a number: 0-d, symbolic */
} mothb_size;

/* A shape: a list at arg, or numbers from arg on. Entries lie in 0 .. 2^40, symbolic sizes become negative as in
 * tensor.h. Returns the index of the argument behind it. */
int mothb_check_shape(lua_State *L, int arg, int *rank, int64_t shape[MOTH_MAX_RANK]);

/* Refuses a table at arg with other keys than 1 to n: a name in it is an option at the wrong place, which must not be
 * passed over in silence. */
void mothb_check_list(lua_State *L, int arg, const char *what);

/* A list of integers at `arg` in low..high, at most `max`; returns their number. */
int mothb_check_ints(lua_State *L, int arg, int64_t low, int64_t high, int max, int64_t *out);

/* ---- option tables ---- */

/* The table (or nil, none: an empty one) at arg has no other keys than `known` (ends with NULL): else the error lists
 * them and suggests the nearest. Only raw access is used on tables that users give. */
void mothb_check_options(lua_State *L, int arg, const char *const *known);

/* Pushes the option, nil where it is absent, and returns its index: the checkers above then take that index, and their
 * messages name the option ("bad argument #2 to 'zeros' (option 'dtype': string expected, got boolean)"). Below the
 * value lie its name and what tells mothb_arg_error so. */
int mothb_option(lua_State *L, int arg, const char *name);
extern const char mothb_option_mark;

/* Raises "where: unknown option 'lr2' …" for `name`; known ends with NULL. */
int mothb_unknown_name(lua_State *L, const char *what, const char *name, const char *const *known);

/* ---- values ---- */

/* The Lua value at index as a moth_value: nil, booleans, numbers, strings, functions, lists (keys 1..n; an empty table
 * is a list) and maps (string keys). Pushes an owner that keeps it alive; borrowed. Raises on anything else. */
moth_value *mothb_value_from_lua(lua_State *L, int index);
moth_value **mothb_new_value(lua_State *L); /* an empty owner, for what the engine makes */
void mothb_push_value(lua_State *L, const moth_value *v);

/* A Lua function as a callback of the engine. Pushes an owner; the engine retains what it keeps. It is called with the
 * input tensors and then a table { training = … }; each result is a tensor or a number. */
moth_callback *mothb_callback_from_lua(lua_State *L, int index);

/* Raises what the callback that failed last raised. */
int mothb_raise_callback(lua_State *L);

#endif
