/* The table of ops for those who document it: help, completion, the definitions for editors. */
#include "common.h"

static const char *const attr_kinds[] = {
    [MOTH_ATTR_END] = "",           [MOTH_ATTR_INT] = "integer",  [MOTH_ATTR_DIM] = "integer",
    [MOTH_ATTR_BOOL] = "boolean",   [MOTH_ATTR_FLOAT] = "number", [MOTH_ATTR_SHAPE] = "integer[]",
    [MOTH_ATTR_DIMS] = "integer[]",
};

static void push_attr(lua_State *L, const moth_attr_spec *spec)
{
    lua_createtable(L, 0, 4);
    lua_pushstring(L, spec->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, attr_kinds[spec->kind]);
    lua_setfield(L, -2, "kind");
    lua_pushboolean(L, spec->optional);
    lua_setfield(L, -2, "optional");
    if (spec->optional && spec->kind == MOTH_ATTR_FLOAT) {
        lua_pushnumber(L, spec->fallback);
        lua_setfield(L, -2, "default");
    }
}

static void push_op(lua_State *L, const moth_op *op)
{
    lua_createtable(L, 0, 4);
    lua_pushstring(L, op->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, op->doc);
    lua_setfield(L, -2, "doc");
    lua_pushinteger(L, op->min_in);
    lua_setfield(L, -2, "inputs");
    lua_newtable(L);
    lua_Integer n = 0;
    for (const moth_attr_spec *spec = op->attrs; spec && spec->kind != MOTH_ATTR_END; spec++) {
        push_attr(L, spec);
        lua_rawseti(L, -2, ++n);
    }
    lua_setfield(L, -2, "attributes");
}

/* ops() -> list of { name, doc, inputs, attributes = { { name, kind, optional, default } } }: those that are methods */
static int core_ops(lua_State *L)
{
    moth_ctx *ctx = mothb_ctx(L);
    lua_newtable(L);
    lua_Integer n = 0;
    for (int id = 0; id < MOTH_OP_COUNT; id++) {
        if (ctx->ops[id]->flags & MOTH_OP_METHOD) {
            push_op(L, ctx->ops[id]);
            lua_rawseti(L, -2, ++n);
        }
    }
    return 1;
}

void mothb_open_describe(lua_State *L)
{
    static const luaL_Reg functions[] = { { "ops", core_ops }, { NULL, NULL } };
    mothb_register(L, functions);
}
