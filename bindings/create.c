/* Constructors: from Lua tables, filled, ranges, random. They make float32 unless a dtype is given; randint and
 * permutation make int32. The options of all: dtype, requires_grad. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "tensor.h"

typedef struct shape_of {
    int rank;
    int64_t size[MOTH_MAX_RANK];
} shape_of;

typedef struct creation {
    moth_dtype dtype;
    bool requires_grad;
} creation;

static creation creation_options(lua_State *L, int arg, moth_dtype fallback)
{
    static const char *const known[] = { "dtype", "requires_grad", NULL };
    mothb_check_options(L, arg, known);
    int dtype = mothb_option(L, arg, "dtype");
    creation c = { .dtype = lua_isnil(L, dtype) ? fallback : mothb_check_dtype(L, dtype) };
    int grad = mothb_option(L, arg, "requires_grad");
    c.requires_grad = mothb_opt_bool(L, grad, false);
    if (c.requires_grad && c.dtype != MOTH_FLOAT32) {
        mothb_arg_error(L, grad, "only float32 tensors can have gradients");
    }
    return c;
}

/* The new tensor, zeroed, on top of the stack. */
static moth_tensor *new_tensor(lua_State *L, const creation *c, int rank, const int64_t *shape)
{
    moth_tensor **box = mothb_new_tensor(L);
    MOTHB_CALL(L, moth_tensor_zeros(mothb_ctx(L), c->dtype, rank, shape, box));
    (*box)->requires_grad = c->requires_grad;
    return *box;
}

static void check_value(lua_State *L, int arg, moth_dtype dtype, double value)
{
    if (!mothb_fits(dtype, value)) {
        mothb_arg_error(L, arg, "%.14g does not fit %s", value, moth_dtype_name(dtype));
    }
}

/* Writes element i of a fresh contiguous tensor. */
static void put(moth_tensor *t, int64_t i, double value)
{
    char *data = moth_tensor_data(t);
    switch (t->meta.dtype) {
    case MOTH_FLOAT32:
        ((moth_real *)(void *)data)[i] = (moth_real)value;
        break;
    case MOTH_INT32:
        ((int32_t *)(void *)data)[i] = (int32_t)value;
        break;
    case MOTH_UINT8:
        ((uint8_t *)data)[i] = (uint8_t)value;
        break;
    }
}

/* ---- from tables ---- */

/* The shape that the first entries of the nested lists at index give. */
static void table_shape(lua_State *L, int arg, shape_of *shape)
{
    lua_pushvalue(L, arg);
    while (lua_istable(L, -1)) {
        if (shape->rank == MOTH_MAX_RANK) {
            mothb_arg_error(L, arg, "at most %d dimensions", MOTH_MAX_RANK);
        }
        shape->size[shape->rank++] = (int64_t)lua_rawlen(L, -1);
        lua_rawgeti(L, -1, 1);
        lua_remove(L, -2);
        if (shape->size[shape->rank - 1] == 0) {
            break;
        }
    }
    lua_pop(L, 1);
}

/* Copies the list on top of the stack into t from element `at` on. */
static int64_t fill_from_table(lua_State *L, int arg, const shape_of *shape, int dim, moth_tensor *t, int64_t at)
{
    if (dim == shape->rank) {
        if (lua_type(L, -1) != LUA_TNUMBER) {
            mothb_arg_error(L, arg, "element %lld: number expected, got %s", (long long)at + 1, mothb_typename(L, -1));
        }
        double value = lua_tonumber(L, -1);
        check_value(L, arg, t->meta.dtype, value);
        put(t, at, value);
        return at + 1;
    }
    if (!lua_istable(L, -1) || (int64_t)lua_rawlen(L, -1) != shape->size[dim]) {
        mothb_arg_error(L, arg, "dimension %d: a list of %lld entries expected as in the first, got %s of %llu",
                        dim + 1, (long long)shape->size[dim], mothb_typename(L, -1),
                        (unsigned long long)(lua_istable(L, -1) ? lua_rawlen(L, -1) : 0));
    }
    for (int64_t i = 1; i <= shape->size[dim]; i++) {
        lua_rawgeti(L, -1, i);
        at = fill_from_table(L, arg, shape, dim + 1, t, at);
        lua_pop(L, 1);
    }
    return at;
}

/* A tensor from another one: a copy, perhaps of another type. */
static int copy_of_tensor(lua_State *L)
{
    moth_tensor *from = mothb_check_tensor(L, 1);
    mothb_check_concrete(L, from, "tensor");
    creation c = creation_options(L, 2, from->meta.dtype);
    moth_tensor **box = mothb_new_tensor(L);
    MOTHB_CALL(L, moth_tensor_convert(mothb_ctx(L), from, c.dtype, box));
    (*box)->requires_grad = c.requires_grad;
    return 1;
}

static int create_tensor(lua_State *L)
{
    if (mothb_is_tensor(L, 1)) {
        return copy_of_tensor(L);
    }
    if (!lua_istable(L, 1) && lua_type(L, 1) != LUA_TNUMBER) {
        return mothb_type_error(L, 1, "nested lists of numbers");
    }
    creation c = creation_options(L, 2, MOTH_FLOAT32);
    shape_of shape = { .rank = 0 };
    luaL_checkstack(L, 2 * MOTH_MAX_RANK, NULL);
    table_shape(L, 1, &shape);
    moth_tensor *t = new_tensor(L, &c, shape.rank, shape.size);
    lua_pushvalue(L, 1);
    fill_from_table(L, 1, &shape, 0, t, 0);
    lua_pop(L, 1);
    return 1;
}

/* ---- filled ---- */

static bool has_open_dim(int rank, const int64_t *shape)
{
    return rank > 0 && shape[0] < 0;
}

/* A constant in a shape that may hold rows of the run: one element, expanded. */
static int push_filled(lua_State *L, const creation *c, int rank, const int64_t *shape, double value)
{
    if (!has_open_dim(rank, shape)) {
        moth_tensor *t = new_tensor(L, c, rank, shape);
        int64_t n = moth_tensor_count(t);
        for (int64_t i = 0; value != 0 && i < n; i++) {
            put(t, i, value);
        }
        return 1;
    }
    moth_tensor *one = new_tensor(L, c, 0, NULL);
    put(one, 0, value);
    moth_attrs attrs = { .i = { rank } };
    memcpy(attrs.i + 1, shape, (size_t)rank * sizeof *shape);
    mothb_apply1(L, MOTH_OP_expand, &attrs, 1, &one);
    return 1;
}

static int fill_shape(lua_State *L, double value)
{
    shape_of shape;
    int options = mothb_check_shape(L, 1, &shape.rank, shape.size);
    creation c = creation_options(L, options, MOTH_FLOAT32);
    return push_filled(L, &c, shape.rank, shape.size, value);
}

static int create_zeros(lua_State *L)
{
    return fill_shape(L, 0);
}

static int create_ones(lua_State *L)
{
    return fill_shape(L, 1);
}

/* full({2, 3}, v) */
static int create_full(lua_State *L)
{
    shape_of shape;
    if (!lua_istable(L, 1)) {
        return mothb_type_error(L, 1, "list of sizes");
    }
    mothb_check_shape(L, 1, &shape.rank, shape.size);
    double value = mothb_check_number(L, 2);
    creation c = creation_options(L, 3, MOTH_FLOAT32);
    check_value(L, 2, c.dtype, value);
    return push_filled(L, &c, shape.rank, shape.size, value);
}

static int create_eye(lua_State *L)
{
    enum { MOST = 1 << 20 };
    int64_t n = mothb_check_int(L, 1, 0, MOST), shape[2] = { n, n };
    creation c = creation_options(L, 2, MOTH_FLOAT32);
    moth_tensor *t = new_tensor(L, &c, 2, shape);
    for (int64_t i = 0; i < n; i++) {
        put(t, i * n + i, 1);
    }
    return 1;
}

/* ---- ranges ---- */

static double check_finite(lua_State *L, int arg)
{
    double value = mothb_check_number(L, arg);
    if (!isfinite(value)) {
        mothb_arg_error(L, arg, "finite number expected, got %g", value);
    }
    return value;
}

/* arange(last), arange(first, last), arange(first, last, step); both ends belong to it */
static int create_arange(lua_State *L)
{
    int last_arg = lua_type(L, 2) == LUA_TNUMBER ? 2 : 1, options = last_arg + 1;
    double first = last_arg == 2 ? check_finite(L, 1) : 1, last = check_finite(L, last_arg), step = 1;
    if (last_arg == 2 && lua_type(L, 3) == LUA_TNUMBER) {
        step = check_finite(L, 3);
        options = 4;
    } else if (last_arg == 2 && lua_isnil(L, 3)) {
        options = 4;
    }
    if (step == 0) {
        return mothb_arg_error(L, 3, "the step is 0");
    }
    creation c = creation_options(L, options, MOTH_FLOAT32);
    /* 0.3 / 0.1 is a little less than 3: what is that close to the end belongs to it */
    double count = floor((last - first) / step + 1e-9) + 1;
    if (count > (double)MOTH_MAX_ELEMENTS) {
        return mothb_arg_error(L, last_arg, "the range has more than 2^40 elements");
    }
    int64_t n = count > 0 ? (int64_t)count : 0;
    moth_tensor *t = new_tensor(L, &c, 1, &n);
    for (int64_t i = 0; i < n; i++) {
        double value = first + (double)i * step;
        check_value(L, last_arg, c.dtype, value);
        put(t, i, value);
    }
    return 1;
}

static int create_linspace(lua_State *L)
{
    double first = check_finite(L, 1), last = check_finite(L, 2);
    int64_t n = mothb_check_int(L, 3, 0, MOTH_MAX_ELEMENTS);
    creation c = creation_options(L, 4, MOTH_FLOAT32);
    double step = n > 1 ? (last - first) / (double)(n - 1) : 0;
    moth_tensor *t = new_tensor(L, &c, 1, &n);
    for (int64_t i = 0; i < n; i++) {
        double value = i > 0 && i == n - 1 ? last : first + (double)i * step;
        check_value(L, 1, c.dtype, value);
        put(t, i, value);
    }
    return 1;
}

/* ---- random ---- */

/* Slots of the ops uniform, normal and random_int. */
enum { STREAM = 0, SHAPE = 1, LOW = SHAPE + 1 + MOTH_MAX_RANK, HIGH = LOW + 1 };

/* Eager draws share a stream and differ by step, which counts them; those of a trace have the step of the run and a
 * stream each. */
static int64_t next_stream(lua_State *L)
{
    mothb_state *state = mothb_get_state(L);
    uint64_t index = state->ctx->trace ? ++state->draws : 0;
    return (int64_t)moth_stream(0, "eager", index);
}

/* Reads a shape at arg and options behind it, draws, pushes the tensor. */
static int push_random(lua_State *L, moth_op_id id, moth_attrs *attrs, int arg, moth_dtype dtype)
{
    int rank;
    int options = mothb_check_shape(L, arg, &rank, attrs->i + SHAPE + 1);
    creation c = creation_options(L, options, dtype);
    attrs->i[SHAPE] = rank;
    if (dtype == MOTH_FLOAT32 && c.dtype != dtype) {
        return mothb_arg_error(L, options, "random numbers of this kind are float32");
    }
    attrs->i[STREAM] = next_stream(L);
    moth_tensor *t = mothb_apply1(L, id, attrs, 0, NULL);
    if (c.dtype != t->meta.dtype) {
        moth_attrs to = { .i = { c.dtype } };
        t = mothb_apply1(L, MOTH_OP_to, &to, 1, &t);
    }
    t->requires_grad = c.requires_grad && !moth_tensor_is_symbolic(t);
    return 1;
}

static int create_rand(lua_State *L)
{
    moth_attrs attrs = { .f = { 0, 1 } };
    return push_random(L, MOTH_OP_uniform, &attrs, 1, MOTH_FLOAT32);
}

static int create_randn(lua_State *L)
{
    moth_attrs attrs = { .f = { 0, 1 } };
    return push_random(L, MOTH_OP_normal, &attrs, 1, MOTH_FLOAT32);
}

/* randint(lo, hi, {n}) or randint(lo, hi, n, m): both ends can come */
static int create_randint(lua_State *L)
{
    moth_attrs attrs = { .i = { [LOW] = mothb_check_int(L, 1, INT32_MIN, INT32_MAX) } };
    attrs.i[HIGH] = mothb_check_int(L, 2, attrs.i[LOW], INT32_MAX);
    return push_random(L, MOTH_OP_random_int, &attrs, 3, MOTH_INT32);
}

static int create_permutation(lua_State *L)
{
    int64_t n = mothb_check_int(L, 1, 0, INT32_MAX);
    creation c = creation_options(L, 2, MOTH_INT32);
    moth_ctx *ctx = mothb_ctx(L);
    if (c.dtype != MOTH_INT32) {
        return mothb_arg_error(L, 2, "positions are int32");
    }
    if (ctx->trace) {
        return mothb_error(L, "permutation: cannot be drawn while tracing");
    }
    moth_tensor *t = new_tensor(L, &c, 1, &n);
    int32_t *order = (int32_t *)(void *)moth_tensor_data(t);
    moth_random_permutation(ctx->seed, (uint64_t)next_stream(L), ctx->eager_step++, order, n);
    for (int64_t i = 0; i < n; i++) {
        order[i]++;
    }
    return 1;
}

void mothb_open_create(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "tensor", create_tensor },
        { "zeros", create_zeros },
        { "ones", create_ones },
        { "full", create_full },
        { "eye", create_eye },
        { "arange", create_arange },
        { "linspace", create_linspace },
        { "rand", create_rand },
        { "randn", create_randn },
        { "randint", create_randint },
        { "permutation", create_permutation },
        { NULL, NULL },
    };
    mothb_register(L, functions);
}
