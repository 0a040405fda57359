/* The tensor class: its life in userdata, its fields, and what reads its values. Fields and methods are found by name,
 * elements and parts by position (index.c). */
#include "tensor.h"

#include <stdlib.h>
#include <string.h>

#include "core/nearest.h"
#include "tensor/format.h"

static const char methods_key = 0;

void mothb_check_concrete(lua_State *L, moth_tensor *t, const char *what)
{
    if (moth_tensor_is_symbolic(moth_trace_value(mothb_ctx(L), t))) {
        mothb_raise(L, moth_fail(mothb_ctx(L), MOTH_ERR_TRACING, "%s: value not known while tracing", what));
    }
}

bool mothb_traced(lua_State *L, const moth_tensor *t)
{
    return moth_tensor_is_symbolic(t) || mothb_ctx(L)->trace;
}

/* ---- fields ---- */

/* A dim as Lua sees it: a number, or a symbolic size that computes with the rows of the run. */
static void push_dim(lua_State *L, moth_tensor *t, int d)
{
    if (t->meta.shape[d] >= 0) {
        lua_pushinteger(L, t->meta.shape[d]);
        return;
    }
    mothb_size *size = lua_newuserdatauv(L, sizeof *size, 0);
    *size = (mothb_size){ .dim = t->meta.shape[d] };
    luaL_setmetatable(L, MOTHB_SIZE);
    moth_attrs attrs = { .i = { d } };
    MOTHB_CALL(L, moth_apply1(mothb_ctx(L), MOTH_OP_size, &attrs, 1, &t, &size->value));
}

static void push_shape(lua_State *L, moth_tensor *t)
{
    lua_createtable(L, t->meta.rank, 0);
    for (int d = 0; d < t->meta.rank; d++) {
        push_dim(L, t, d);
        lua_rawseti(L, -2, d + 1);
    }
}

static bool push_field(lua_State *L, moth_tensor *t, const char *name)
{
    if (strcmp(name, "shape") == 0) {
        push_shape(L, t);
    } else if (strcmp(name, "dtype") == 0) {
        lua_pushstring(L, moth_dtype_name(t->meta.dtype));
    } else if (strcmp(name, "requires_grad") == 0) {
        lua_pushboolean(L, t->requires_grad);
    } else if (strcmp(name, "grad") == 0) {
        mothb_push_tensor(L, t->grad);
    } else if (strcmp(name, "mask") == 0) {
        mothb_push_tensor(L, t->mask);
    } else {
        return false;
    }
    return true;
}

/* The names that exist, for the error about one that does not. */
static int unknown_field(lua_State *L, const char *name)
{
    static const char *const fields[] = { "shape", "dtype", "requires_grad", "grad", "mask" };
    enum { N_FIELDS = sizeof fields / sizeof fields[0] };
    lua_rawgetp(L, LUA_REGISTRYINDEX, &methods_key);
    int methods = lua_gettop(L);
    moth_known known = moth_known_for(name);
    for (int i = 0; i < N_FIELDS; i++) {
        moth_known_add(&known, fields[i]);
    }
    lua_pushnil(L);
    while (lua_next(L, methods)) {
        lua_pop(L, 1);
        moth_known_add(&known, lua_tostring(L, -1));
    }
    if (known.nearest) {
        return mothb_error(L, "a tensor has no field or method '%.60s'; did you mean '%s'?", name, known.nearest);
    }
    return mothb_error(L, "a tensor has no field or method '%.60s'", name);
}

static int tensor_index(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    if (lua_type(L, 2) != LUA_TSTRING) {
        return mothb_tensor_index(L);
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &methods_key);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL || push_field(L, t, lua_tostring(L, 2))) {
        return 1;
    }
    return unknown_field(L, lua_tostring(L, 2));
}

/* t.mask = m: the steps that layers count when they are called on t; nil: all. A symbolic mask on a tensor with data
 * would outlive its trace. */
static int set_mask(lua_State *L, moth_tensor *t)
{
    moth_tensor *mask = lua_isnil(L, 3) ? NULL : mothb_check_tensor(L, 3);
    if (mask) {
        const moth_meta *m = &mask->meta, *x = &t->meta;
        char a[128], b[128];
        bool fits = x->rank >= 3 && m->rank == 2 && m->shape[0] == x->shape[0] && m->shape[1] == x->shape[1];
        if (!fits || m->dtype != MOTH_UINT8) {
            return mothb_error(L, "mask: takes uint8 (batch, time) for a tensor (batch, time, …); got %s %s for %s",
                               moth_dtype_name(m->dtype), moth_meta_text(m, a, sizeof a),
                               moth_meta_text(x, b, sizeof b));
        }
        if (moth_tensor_is_symbolic(mask) && !moth_tensor_is_symbolic(t)) {
            return mothb_error(L, "mask: a tensor from outside the traced function cannot take one from inside");
        }
    }
    moth_tensor_set_mask(t, mask);
    return 0;
}

static int tensor_newindex(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    if (lua_type(L, 2) != LUA_TSTRING) {
        return mothb_tensor_newindex(L);
    }
    const char *name = lua_tostring(L, 2);
    if (strcmp(name, "grad") == 0 && lua_isnil(L, 3)) {
        moth_tensor_release(t->grad);
        t->grad = NULL;
        return 0;
    }
    if (strcmp(name, "requires_grad") == 0 && lua_isboolean(L, 3)) {
        mothb_set_requires_grad(L, t, lua_toboolean(L, 3));
        return 0;
    }
    if (strcmp(name, "mask") == 0) {
        return set_mask(L, t);
    }
    return mothb_error(L, "the field '%.60s' of a tensor cannot be assigned", name);
}

/* ---- values ---- */

void mothb_push_element(lua_State *L, const moth_tensor *t, int64_t position)
{
    const char *data = moth_tensor_data(t);
    switch (t->meta.dtype) {
    case MOTH_FLOAT32:
        lua_pushnumber(L, (double)((const moth_real *)(const void *)data)[position]);
        break;
    case MOTH_INT32:
        lua_pushinteger(L, ((const int32_t *)(const void *)data)[position]);
        break;
    case MOTH_UINT8:
        lua_pushinteger(L, ((const uint8_t *)data)[position]);
        break;
    }
}

static int tensor_item(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    mothb_check_concrete(L, t, "item");
    if (moth_tensor_count(t) != 1) {
        char text[160];
        return mothb_error(L, "item: needs a tensor of one element, got %s",
                           moth_meta_text(&t->meta, text, sizeof text));
    }
    mothb_push_element(L, t, 0);
    return 1;
}

static void push_table(lua_State *L, const moth_tensor *t, int dim, int64_t position)
{
    if (dim == t->meta.rank) {
        mothb_push_element(L, t, position);
        return;
    }
    int64_t n = t->meta.shape[dim];
    lua_createtable(L, n < INT32_MAX ? (int)n : 0, 0);
    for (int64_t i = 0; i < n; i++) {
        push_table(L, t, dim + 1, position + i * t->meta.stride[dim]);
        lua_rawseti(L, -2, i + 1);
    }
}

static int tensor_totable(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    mothb_check_concrete(L, t, "totable");
    luaL_checkstack(L, 2 * MOTH_MAX_RANK, NULL);
    push_table(L, t, 0, 0);
    return 1;
}

static int tensor_tostring(lua_State *L)
{
    moth_tensor **box = mothb_test_object(L, 1, MOTHB_TENSOR, sizeof *box);
    if (box && !*box) {
        lua_pushliteral(L, "tensor (closed)");
        return 1;
    }
    moth_tensor *t = mothb_check_tensor(L, 1);
    if (mothb_ctx(L)->trace) {
        mothb_check_concrete(L, t, "tostring");
    }
    size_t n = moth_tensor_format(t, NULL, 0);
    luaL_Buffer buffer;
    moth_tensor_format(t, luaL_buffinitsize(L, &buffer, n + 1), n + 1);
    luaL_pushresultsize(&buffer, n);
    return 1;
}

static int tensor_len(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    if (t->meta.rank == 0) {
        return mothb_error(L, "a 0-d tensor has no length");
    }
    push_dim(L, t, 0);
    return 1;
}

/* t:size() -> shape; t:size(dim) -> that dim */
static int tensor_size(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    if (lua_isnoneornil(L, 2)) {
        push_shape(L, t);
        return 1;
    }
    int64_t rank = t->meta.rank, dim = mothb_check_int(L, 2, -rank, rank);
    if (dim == 0) {
        return mothb_arg_error(L, 2, "dims count from 1, got 0");
    }
    push_dim(L, t, (int)(dim < 0 ? dim + rank : dim - 1));
    return 1;
}

static int tensor_dim(lua_State *L)
{
    lua_pushinteger(L, mothb_check_tensor(L, 1)->meta.rank);
    return 1;
}

static int tensor_numel(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    if (moth_tensor_count(t) < 0) {
        return mothb_error(L, "numel: the number of rows is not known while tracing");
    }
    lua_pushinteger(L, moth_tensor_count(t));
    return 1;
}

/* ---- comparison ---- */

/* Identity: two userdata may stand for one tensor (t.grad gives a new one each time). */
static int tensor_eq(lua_State *L)
{
    moth_tensor **a = mothb_test_object(L, 1, MOTHB_TENSOR, sizeof *a);
    moth_tensor **b = mothb_test_object(L, 2, MOTHB_TENSOR, sizeof *b);
    lua_pushboolean(L, a && b && *a && *a == *b);
    return 1;
}

static void check_comparable(lua_State *L)
{
    for (int arg = 1; arg <= 2; arg++) {
        if (lua_type(L, arg) != LUA_TNUMBER && !mothb_is_tensor(L, arg)) {
            mothb_error(L, "attempt to compare a tensor with a %s", mothb_typename(L, arg));
        }
    }
}

static double one_value(lua_State *L, int arg)
{
    if (lua_type(L, arg) == LUA_TNUMBER) {
        return lua_tonumber(L, arg);
    }
    moth_tensor *t = mothb_check_tensor(L, arg);
    mothb_check_concrete(L, t, "comparison");
    if (moth_tensor_count(t) != 1) {
        char text[160];
        mothb_error(L, "< and <= compare tensors of one element, got %s (t:lt and t:le compare all)",
                    moth_meta_text(&t->meta, text, sizeof text));
    }
    return moth_tensor_element(t, 0);
}

static int tensor_lt(lua_State *L)
{
    check_comparable(L);
    double a = one_value(L, 1), b = one_value(L, 2);
    lua_pushboolean(L, a < b);
    return 1;
}

static int tensor_le(lua_State *L)
{
    check_comparable(L);
    double a = one_value(L, 1), b = one_value(L, 2);
    lua_pushboolean(L, a <= b);
    return 1;
}

/* ---- the class ---- */

static int tensor_gc(lua_State *L)
{
    moth_tensor **box = mothb_test_object(L, 1, MOTHB_TENSOR, sizeof *box);
    if (box) {
        moth_tensor *t = *box;
        *box = NULL;
        moth_tensor_release(t);
    }
    return 0;
}

static int is_tensor(lua_State *L)
{
    lua_pushboolean(L, mothb_is_tensor(L, 1));
    return 1;
}

void mothb_open_tensor(lua_State *L)
{
    static const luaL_Reg metamethods[] = {
        { "__gc", tensor_gc },
        { "__index", tensor_index },
        { "__newindex", tensor_newindex },
        { "__len", tensor_len },
        { "__eq", tensor_eq },
        { "__lt", tensor_lt },
        { "__le", tensor_le },
        { "__tostring", tensor_tostring },
        { NULL, NULL },
    };
    static const luaL_Reg methods[] = {
        { "item", tensor_item }, { "totable", tensor_totable }, { "size", tensor_size },
        { "dim", tensor_dim },   { "numel", tensor_numel },     { NULL, NULL },
    };
    mothb_new_class(L, MOTHB_TENSOR, metamethods);
    mothb_register(L, mothb_arithmetic);
    lua_pop(L, 1);
    lua_newtable(L);
    mothb_add_op_methods(L);
    mothb_register(L, mothb_grad_methods);
    mothb_register(L, methods);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &methods_key);
    lua_setfield(L, -2, "tensor_methods");
    static const luaL_Reg functions[] = { { "is_tensor", is_tensor }, { NULL, NULL } };
    mothb_register(L, functions);
}
