/* Ops from Lua: methods made from the op table (inputs first, then the attributes under the names and defaults that the
 * op gives them), arithmetic, in-place forms. Dims count from 1 here and from 0 in the engine. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tensor.h"

enum { MAX_INPUTS = 8, SHAPE_OPEN_IS_LEFT = -1 };

#define OPEN_SIZE INT64_MIN /* what reshape and expand take for -1 */

/* ---- applying ---- */

static int push_results(lua_State *L, const moth_op *op, const moth_attrs *attrs, int n_in, moth_tensor *const *in)
{
    moth_tensor **box[MOTHB_MAX_OUTPUTS];
    moth_tensor *result[MOTHB_MAX_OUTPUTS];
    int n = op->n_visible ? op->n_visible : op->n_out;
    luaL_checkstack(L, n + 8, NULL);
    for (int k = 0; k < n; k++) {
        box[k] = mothb_new_tensor(L);
    }
    MOTHB_CALL(L, moth_apply(mothb_ctx(L), op, attrs, n_in, in, result, false));
    for (int k = 0; k < n; k++) {
        *box[k] = result[k];
    }
    return n;
}

int mothb_apply(lua_State *L, moth_op_id id, const moth_attrs *attrs, int n_in, moth_tensor *const *in)
{
    return push_results(L, moth_op_of(mothb_ctx(L), id), attrs, n_in, in);
}

moth_tensor *mothb_apply1(lua_State *L, moth_op_id id, const moth_attrs *attrs, int n_in, moth_tensor *const *in)
{
    lua_pop(L, mothb_apply(L, id, attrs, n_in, in) - 1);
    moth_tensor **box = lua_touserdata(L, -1);
    return *box;
}

/* ---- operands ---- */

moth_tensor *mothb_push_scalar(lua_State *L, double value, moth_dtype like)
{
    moth_dtype dtype = MOTH_FLOAT32;
    if (like != MOTH_FLOAT32 && value == floor(value)) {
        if (like == MOTH_UINT8 && value >= 0 && value <= UINT8_MAX) {
            dtype = MOTH_UINT8;
        } else if (value >= INT32_MIN && value <= INT32_MAX) {
            dtype = MOTH_INT32;
        }
    }
    moth_tensor **box = mothb_new_tensor(L);
    MOTHB_CALL(L, moth_tensor_new(mothb_ctx(L), dtype, 0, NULL, box));
    moth_tensor_set_element(*box, 0, value);
    return *box;
}

moth_tensor *mothb_operand(lua_State *L, int index, moth_dtype like)
{
    if (lua_type(L, index) == LUA_TNUMBER) {
        mothb_push_scalar(L, lua_tonumber(L, index), like);
        lua_replace(L, index);
    }
    const mothb_size *size = mothb_test_object(L, index, MOTHB_SIZE, sizeof *size);
    if (size && size->value) {
        return size->value;
    }
    return mothb_is_tensor(L, index) ? mothb_check_tensor(L, index) : NULL;
}

/* Lets go of the 0-d tensors that mothb_operand made of numbers (bits of `numbers`: their indices - 1): the collector
 * would come to them much later. */
static void drop_scalars(lua_State *L, unsigned numbers)
{
    for (int i = 1; numbers; i++, numbers >>= 1) {
        if (numbers & 1) {
            moth_tensor **box = lua_touserdata(L, i);
            moth_tensor_release(*box);
            *box = NULL;
        }
    }
}

/* The type that numbers beside these operands take: that of the first tensor. A condition is no such tensor. */
static moth_dtype operand_type(lua_State *L, int first, int n)
{
    for (int i = first; i < first + n; i++) {
        if (mothb_is_tensor(L, i)) {
            return mothb_check_tensor(L, i)->meta.dtype;
        }
    }
    return MOTH_FLOAT32;
}

/* The same for the operands of an op: the -1 of t ^ -1 makes reals of integers, as 0.5 would. */
static moth_dtype number_type(lua_State *L, moth_op_id id, int first, int n)
{
    bool inverse = id == MOTH_OP_pow && lua_type(L, 2) == LUA_TNUMBER && lua_tonumber(L, 2) < 0;
    return inverse ? MOTH_FLOAT32 : operand_type(L, first, n);
}

/* ---- attributes ---- */

static void parse_dim(lua_State *L, int arg, int index, int64_t *out)
{
    if (!mothb_to_int(L, index, out) || *out == 0 || *out < -MOTH_MAX_RANK || *out > MOTH_MAX_RANK) {
        mothb_arg_error(L, arg, "dim expected (from 1, or from the end: -1), got %s", mothb_show(L, index));
    }
    *out -= *out > 0;
}

static void parse_size(lua_State *L, int arg, int index, int64_t *out)
{
    const mothb_size *size = mothb_test_object(L, index, MOTHB_SIZE, sizeof *size);
    if (size) {
        *out = size->dim;
    } else if (!mothb_to_int(L, index, out) || *out < SHAPE_OPEN_IS_LEFT || *out > MOTH_MAX_ELEMENTS) {
        mothb_arg_error(L, arg, "size expected (-1 leaves it open), got %s", mothb_show(L, index));
    } else if (*out == SHAPE_OPEN_IS_LEFT) {
        *out = OPEN_SIZE;
    }
}

/* A list at arg or numbers from arg on; returns the index behind it. */
static int parse_list(lua_State *L, int arg, const moth_attr_spec *spec, moth_attrs *attrs)
{
    void (*parse)(lua_State *, int, int, int64_t *) = spec->kind == MOTH_ATTR_DIMS ? parse_dim : parse_size;
    int64_t *list = attrs->i + spec->slot;
    bool table = lua_istable(L, arg);
    if (table) {
        mothb_check_list(L, arg, spec->kind == MOTH_ATTR_DIMS ? "dims" : "sizes");
    }
    lua_Unsigned n = table ? lua_rawlen(L, arg) : 0;
    while (!table && (lua_type(L, arg + (int)n) == LUA_TNUMBER || luaL_testudata(L, arg + (int)n, MOTHB_SIZE))) {
        n++;
    }
    if (!table && n == 0) {
        mothb_type_error(L, arg, spec->kind == MOTH_ATTR_DIMS ? "dims" : "sizes");
    }
    if (n > MOTH_MAX_RANK) {
        mothb_arg_error(L, arg, "at most %d dimensions, got %llu", MOTH_MAX_RANK, (unsigned long long)n);
    }
    list[0] = (int64_t)n;
    for (int i = 1; i <= (int)n; i++) {
        if (table) {
            lua_rawgeti(L, arg, i);
        }
        parse(L, table ? arg : arg + i - 1, table ? -1 : arg + i - 1, &list[i]);
        if (table) {
            lua_pop(L, 1);
        }
    }
    return table ? arg + 1 : arg + (int)n;
}

static int parse_attr(lua_State *L, int arg, const moth_attr_spec *spec, moth_attrs *attrs)
{
    if (lua_isnoneornil(L, arg) && spec->optional) {
        if (spec->kind == MOTH_ATTR_FLOAT) {
            attrs->f[spec->slot] = spec->fallback;
        } else {
            attrs->i[spec->slot] = (int64_t)spec->fallback;
        }
        return arg + 1;
    }
    switch (spec->kind) {
    case MOTH_ATTR_INT:
        attrs->i[spec->slot] = mothb_check_int(L, arg, INT32_MIN, INT32_MAX);
        break;
    case MOTH_ATTR_DIM:
        parse_dim(L, arg, arg, &attrs->i[spec->slot]);
        break;
    case MOTH_ATTR_BOOL:
        attrs->i[spec->slot] = mothb_opt_bool(L, arg, false);
        break;
    case MOTH_ATTR_FLOAT:
        attrs->f[spec->slot] = mothb_check_number(L, arg);
        break;
    case MOTH_ATTR_SHAPE:
    case MOTH_ATTR_DIMS:
        return parse_list(L, arg, spec, attrs);
    case MOTH_ATTR_END:
        break;
    }
    return arg + 1;
}

/* ---- methods from the table ---- */

/* Positions count from 1 in Lua: adds `by` to the tensor on top. */
static void shift_positions(lua_State *L, double by)
{
    moth_tensor **box = lua_touserdata(L, -1);
    moth_tensor *in[2] = { *box, mothb_push_scalar(L, by, MOTH_INT32) };
    mothb_apply1(L, MOTH_OP_add, NULL, 2, in);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

/* Which results of an op are positions, and what else differs from the table in Lua. */
static int finish_results(lua_State *L, moth_op_id id, const moth_attrs *attrs, int n)
{
    switch (id) {
    case MOTH_OP_argmax:
    case MOTH_OP_argmin:
        shift_positions(L, 1);
        return n;
    case MOTH_OP_max:
    case MOTH_OP_min:
        if (attrs->i[0] == 0) { /* over everything: the value alone */
            lua_pop(L, 1);
            return 1;
        }
        shift_positions(L, 1);
        return n;
    default:
        return n;
    }
}

/* Reads the arguments of an op that start at index 1 and pushes its results. */
static int call_op(lua_State *L, moth_op_id id)
{
    const moth_op *op = moth_op_of(mothb_ctx(L), id);
    moth_tensor *in[MAX_INPUTS];
    moth_attrs attrs = { .i = { 0 } };
    int max_in = op->max_in < 0 || op->max_in > MAX_INPUTS ? MAX_INPUTS : op->max_in, n_in = 0;
    int top = lua_gettop(L);
    if (top < op->min_in) {
        lua_settop(L, op->min_in); /* room for what mothb_operand replaces */
    }
    int first_value = id == MOTH_OP_where ? 2 : 1;
    moth_dtype like = number_type(L, id, first_value, op->min_in - first_value + 1);
    unsigned numbers = 0;
    for (; n_in < max_in; n_in++) {
        bool wanted = n_in < op->min_in;
        if (!wanted && !mothb_is_tensor(L, n_in + 1)) {
            break;
        }
        numbers |= lua_type(L, n_in + 1) == LUA_TNUMBER ? 1u << n_in : 0;
        in[n_in] = wanted && op->min_in == 1 ? mothb_check_tensor(L, n_in + 1) : mothb_operand(L, n_in + 1, like);
        if (!in[n_in]) {
            return mothb_type_error(L, n_in + 1, op->min_in == 1 ? "tensor" : "tensor or number");
        }
    }
    int arg = n_in + 1;
    for (const moth_attr_spec *spec = op->attrs; spec && spec->kind != MOTH_ATTR_END; spec++) {
        arg = parse_attr(L, arg, spec, &attrs);
    }
    int n_out = push_results(L, op, &attrs, n_in, in);
    drop_scalars(L, numbers);
    return finish_results(L, id, &attrs, n_out);
}

static int op_method(lua_State *L)
{
    return call_op(L, (moth_op_id)lua_tointeger(L, lua_upvalueindex(2)));
}

/* ---- in place ---- */

mothb_change mothb_change_begin(lua_State *L, moth_tensor *t, const char *what)
{
    moth_ctx *ctx = mothb_ctx(L);
    if (!moth_tensor_is_symbolic(t) && ctx->grad_enabled && t->requires_grad && !t->node) {
        mothb_error(L, "%s: a tensor with requires_grad can be changed in place only inside no_grad", what);
    }
    return (mothb_change){ .t = t, .shared = t->storage && t->storage->references > 1, .what = what };
}

/* While tracing: t becomes another name. A tensor from outside is a variable: each run assigns to it at its end. */
static void store_traced(lua_State *L, const mothb_change *change, moth_tensor *value)
{
    moth_tensor *t = change->t;
    if (value->meta.dtype != t->meta.dtype) {
        mothb_error(L, "%s: the result is %s, the tensor %s", change->what, moth_dtype_name(value->meta.dtype),
                    moth_dtype_name(t->meta.dtype));
    }
    if (moth_tensor_is_symbolic(t)) {
        moth_tensor_rebind(t, value);
        return;
    }
    moth_tensor *in[2] = { t, value };
    mothb_apply(L, MOTH_OP_assign, NULL, 2, in);
}

/* With history: t becomes the result of the op. What shares its memory could not follow. The value is on top of the
 * stack; its owner lets go of it, so that t alone has the memory. */
static void store_recorded(lua_State *L, const mothb_change *change, moth_tensor *value)
{
    moth_tensor *t = change->t;
    if (change->shared) {
        mothb_error(L,
                    "%s: the memory is shared with a view, or a recorded gradient needs it; use the form that gives "
                    "a new tensor",
                    change->what);
    }
    if (value->storage->references > 1 || !moth_meta_contiguous(&value->meta)) {
        value = mothb_apply1(L, MOTH_OP_contiguous, NULL, 1, &value);
    }
    moth_tensor_rebind(t, value);
    t->requires_grad = value->requires_grad;
    moth_tensor **box = lua_touserdata(L, -1);
    *box = NULL;
    moth_tensor_release(value);
}

void mothb_change_store(lua_State *L, const mothb_change *change, moth_tensor *value)
{
    moth_ctx *ctx = mothb_ctx(L);
    moth_tensor *t = change->t;
    char a[160], b[160];
    if (!moth_meta_same_shape(&t->meta, &value->meta)) {
        mothb_error(L, "%s: the result has shape %s, the tensor %s", change->what,
                    moth_meta_text(&value->meta, a, sizeof a), moth_meta_text(&t->meta, b, sizeof b));
    }
    if (mothb_traced(L, t) || moth_tensor_is_symbolic(value)) {
        store_traced(L, change, value);
        return;
    }
    if (value->meta.dtype == MOTH_FLOAT32 && t->meta.dtype != MOTH_FLOAT32) {
        mothb_error(L, "%s: the result is float32, the tensor %s; convert it with to", change->what,
                    moth_dtype_name(t->meta.dtype));
    }
    if (ctx->grad_enabled && t->meta.dtype == MOTH_FLOAT32 && (t->requires_grad || value->requires_grad)) {
        if (value->meta.dtype == MOTH_FLOAT32) {
            store_recorded(L, change, value);
            return;
        }
        moth_attrs attrs = { .i = { MOTH_FLOAT32 } };
        store_recorded(L, change, mothb_apply1(L, MOTH_OP_to, &attrs, 1, &value));
        return;
    }
    MOTHB_CALL(L, moth_tensor_copy_into(ctx, t, value));
}

/* exp_, add_, …: the op, then its result in t. */
static int op_in_place(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    mothb_change change = mothb_change_begin(L, t, lua_tostring(L, lua_upvalueindex(1)));
    call_op(L, (moth_op_id)lua_tointeger(L, lua_upvalueindex(2)));
    moth_tensor **value = lua_touserdata(L, -1);
    mothb_change_store(L, &change, *value);
    lua_pushvalue(L, 1);
    return 1;
}

void mothb_add_op_methods(lua_State *L)
{
    moth_ctx *ctx = mothb_ctx(L);
    for (int id = 0; id < MOTH_OP_COUNT; id++) {
        const moth_op *op = ctx->ops[id];
        if (!(op->flags & MOTH_OP_METHOD)) {
            continue;
        }
        lua_pushstring(L, op->name);
        lua_pushinteger(L, id);
        lua_pushcclosure(L, op_method, 2);
        lua_setfield(L, -2, op->name);
        if (op->flags & MOTH_OP_ELEMENTWISE) {
            lua_pushfstring(L, "%s_", op->name);
            lua_pushvalue(L, -1);
            lua_pushinteger(L, id);
            lua_pushcclosure(L, op_in_place, 2);
            lua_rawset(L, -3);
        }
    }
}

/* ---- arithmetic ---- */

static int arithmetic(lua_State *L, moth_op_id id)
{
    moth_dtype like = number_type(L, id, 1, 2);
    moth_tensor *in[2];
    unsigned numbers = 0;
    for (int i = 0; i < 2; i++) {
        numbers |= lua_type(L, i + 1) == LUA_TNUMBER ? 1u << i : 0;
        in[i] = mothb_operand(L, i + 1, like);
        if (!in[i]) {
            return mothb_error(L, "attempt to perform arithmetic on a %s and a %s", mothb_typename(L, 1),
                               mothb_typename(L, 2));
        }
    }
    mothb_apply1(L, id, NULL, 2, in);
    drop_scalars(L, numbers);
    return 1;
}

static int op_add(lua_State *L)
{
    return arithmetic(L, MOTH_OP_add);
}

static int op_sub(lua_State *L)
{
    return arithmetic(L, MOTH_OP_sub);
}

static int op_mul(lua_State *L)
{
    return arithmetic(L, MOTH_OP_mul);
}

static int op_div(lua_State *L)
{
    return arithmetic(L, MOTH_OP_div);
}

static int op_pow(lua_State *L)
{
    return arithmetic(L, MOTH_OP_pow);
}

static int op_unm(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    mothb_apply1(L, MOTH_OP_neg, NULL, 1, &t);
    return 1;
}

const luaL_Reg mothb_arithmetic[] = {
    { "__add", op_add }, { "__sub", op_sub }, { "__mul", op_mul }, { "__div", op_div },
    { "__pow", op_pow }, { "__unm", op_unm }, { NULL, NULL },
};
