/* Gradients from Lua: which tensors want one, backward, and computing without a record. */
#include "autograd/autograd.h"
#include "tensor.h"

void mothb_set_requires_grad(lua_State *L, moth_tensor *t, bool wanted)
{
    if (t->meta.dtype != MOTH_FLOAT32) {
        mothb_error(L, "requires_grad_: only float32 tensors can have gradients, this one is %s",
                    moth_dtype_name(t->meta.dtype));
    }
    if (t->node || moth_tensor_is_symbolic(t)) {
        mothb_error(L, "requires_grad_: this tensor was computed from others; use detach first");
    }
    t->requires_grad = wanted;
}

static int tensor_requires_grad(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    mothb_set_requires_grad(L, t, mothb_opt_bool(L, 2, true));
    lua_pushvalue(L, 1);
    return 1;
}

static int tensor_backward(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1), *gradient = mothb_opt_tensor(L, 2);
    MOTHB_CALL(L, moth_backward(mothb_ctx(L), t, gradient));
    return 0;
}

static int tensor_zero_grad(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    moth_tensor_release(t->grad);
    t->grad = NULL;
    lua_pushvalue(L, 1);
    return 1;
}

/* The same values without history. */
static int tensor_detach(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    moth_tensor **box = mothb_new_tensor(L);
    if (moth_tensor_is_symbolic(t)) {
        MOTHB_CALL(L, moth_tensor_alias(mothb_ctx(L), t, box));
        (*box)->requires_grad = false;
    } else {
        MOTHB_CALL(L, moth_tensor_handle(mothb_ctx(L), &t->meta, t->storage, box));
    }
    return 1;
}

/* no_grad(f, …): the results of f(…), computed without a record; what was set before comes back also after an error. */
static int no_grad(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TFUNCTION) {
        return mothb_type_error(L, 1, "function");
    }
    moth_ctx *ctx = mothb_ctx(L);
    bool before = ctx->grad_enabled;
    ctx->grad_enabled = false;
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    ctx->grad_enabled = before;
    return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

static int grad_enabled(lua_State *L)
{
    lua_pushboolean(L, mothb_ctx(L)->grad_enabled);
    return 1;
}

const luaL_Reg mothb_grad_methods[] = {
    { "requires_grad_", tensor_requires_grad },
    { "backward", tensor_backward },
    { "zero_grad", tensor_zero_grad },
    { "detach", tensor_detach },
    { NULL, NULL },
};

void mothb_open_grad(lua_State *L)
{
    static const luaL_Reg functions[] = { { "no_grad", no_grad }, { "grad_enabled", grad_enabled }, { NULL, NULL } };
    mothb_register(L, functions);
}
