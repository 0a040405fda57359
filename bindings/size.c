/* Symbolic sizes: what x.shape[1] is while tracing, a multiple of the rows of the run. As an entry of a shape it stays
 * symbolic; in arithmetic with integers it stays a size where it can; else it computes as a 0-d tensor. */
#include "tensor.h"

static mothb_size *test_size(lua_State *L, int index)
{
    return mothb_test_object(L, index, MOTHB_SIZE, sizeof(mothb_size));
}

/* Both operands as tensors, then the op. */
static int compute(lua_State *L, moth_op_id id)
{
    moth_tensor *in[2];
    for (int i = 0; i < 2; i++) {
        in[i] = mothb_operand(L, i + 1, MOTH_FLOAT32);
        if (!in[i]) {
            return mothb_error(L, "attempt to perform arithmetic on a %s and a %s", mothb_typename(L, 1),
                               mothb_typename(L, 2));
        }
    }
    mothb_apply1(L, id, NULL, 2, in);
    return 1;
}

/* The size `dim` whose value is op(a, b) of the operands. */
static int scaled(lua_State *L, int64_t dim, moth_op_id id)
{
    mothb_size *size = lua_newuserdatauv(L, sizeof *size, 0);
    *size = (mothb_size){ .dim = dim };
    luaL_setmetatable(L, MOTHB_SIZE);
    compute(L, id);
    moth_tensor **box = lua_touserdata(L, -1);
    size->value = moth_tensor_retain(*box);
    lua_pop(L, 1);
    return 1;
}

static int size_mul(lua_State *L)
{
    const mothb_size *size = test_size(L, 1) ? test_size(L, 1) : test_size(L, 2);
    int64_t factor, dim;
    bool integral = mothb_to_int(L, 1, &factor) || mothb_to_int(L, 2, &factor);
    if (size && integral && factor > 0 && moth_size_mul(-size->dim, factor, &dim)) {
        return scaled(L, -dim, MOTH_OP_mul);
    }
    return compute(L, MOTH_OP_mul);
}

static int size_idiv(lua_State *L)
{
    const mothb_size *size = test_size(L, 1);
    int64_t divisor;
    if (size && mothb_to_int(L, 2, &divisor) && divisor > 0 && size->dim % divisor == 0) {
        return scaled(L, size->dim / divisor, MOTH_OP_div);
    }
    return mothb_error(L, "a symbolic size can be divided by // only where nothing is left over");
}

static int size_add(lua_State *L)
{
    return compute(L, MOTH_OP_add);
}

static int size_sub(lua_State *L)
{
    return compute(L, MOTH_OP_sub);
}

static int size_div(lua_State *L)
{
    return compute(L, MOTH_OP_div);
}

static int size_pow(lua_State *L)
{
    return compute(L, MOTH_OP_pow);
}

static int size_unknown(lua_State *L)
{
    return mothb_raise(L, moth_fail(mothb_ctx(L), MOTH_ERR_TRACING, "size: value not known while tracing"));
}

static int size_eq(lua_State *L)
{
    const mothb_size *a = test_size(L, 1), *b = test_size(L, 2);
    lua_pushboolean(L, a && b && a->dim == b->dim);
    return 1;
}

static int size_tostring(lua_State *L)
{
    const mothb_size *size = test_size(L, 1);
    if (!size) {
        return mothb_type_error(L, 1, "size");
    }
    if (size->dim == -1) {
        lua_pushliteral(L, "batch");
    } else {
        lua_pushfstring(L, "%I*batch", (LUAI_UACINT)-size->dim);
    }
    return 1;
}

static int size_gc(lua_State *L)
{
    mothb_size *size = test_size(L, 1);
    if (size) {
        moth_tensor_release(size->value);
        size->value = NULL;
    }
    return 0;
}

void mothb_open_size(lua_State *L)
{
    static const luaL_Reg metamethods[] = {
        { "__gc", size_gc },   { "__tostring", size_tostring }, { "__eq", size_eq },     { "__lt", size_unknown },
        { "__mul", size_mul }, { "__le", size_unknown },        { "__idiv", size_idiv }, { "__add", size_add },
        { "__sub", size_sub }, { "__div", size_div },           { "__pow", size_pow },   { NULL, NULL },
    };
    mothb_new_class(L, MOTHB_SIZE, metamethods);
    lua_pop(L, 1);
}
