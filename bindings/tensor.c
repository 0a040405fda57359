/* The tensor class: its life in userdata. */
#include "common.h"

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

void mothb_open_tensor(lua_State *L)
{
    static const luaL_Reg metamethods[] = { { "__gc", tensor_gc }, { NULL, NULL } };
    mothb_new_class(L, MOTHB_TENSOR, metamethods);
    lua_pop(L, 1);
}
