/* One layer is one object in Lua. The userdata of a layer is found by the layer's address; fields that Lua code gives
 * it (those of a layer written in Lua above all, whose functions get it as `self`) must live as long as the layer does,
 * though nothing in Lua may refer to the userdata any more. So a userdata with fields is kept while somebody besides it
 * holds the layer: a model, a use of the layer, a wrapper. Were it kept always, none would ever be freed: it holds the
 * layer itself. */
#include "objects.h"

/* Tables by address: the userdata that there are (weak), those that are kept. */
static const char known_key = 0, kept_key = 0;

static void set_entry(lua_State *L, const void *table, const moth_layer *layer, int index)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, table);
    lua_pushvalue(L, index);
    lua_rawsetp(L, -2, layer);
    lua_pop(L, 1);
}

void mothb_know_layer(lua_State *L, moth_layer *layer)
{
    set_entry(L, &known_key, layer, lua_gettop(L));
}

void mothb_push_layer(lua_State *L, moth_layer *layer)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &known_key);
    if (lua_rawgetp(L, -1, layer) == LUA_TUSERDATA && mothb_test_layer(L, -1) == layer) {
        lua_remove(L, -2);
        return;
    }
    lua_pop(L, 2);
    moth_layer **box = mothb_new_object(L, MOTHB_LAYER);
    *box = moth_layer_retain(layer);
    mothb_know_layer(L, layer);
}

void mothb_keep_layer(lua_State *L, int index)
{
    const moth_layer *layer = mothb_test_layer(L, index);
    if (layer && layer->references > 1) {
        if (lua_getiuservalue(L, index, 1) == LUA_TTABLE) {
            set_entry(L, &kept_key, layer, index);
        }
        lua_pop(L, 1);
    }
}

void mothb_let_layers_go(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &kept_key) == LUA_TTABLE) {
        lua_pushnil(L);
        while (lua_next(L, -2)) {
            const moth_layer *layer = mothb_test_layer(L, -1);
            lua_pop(L, 1);
            if (!layer || layer->references == 1) {
                lua_pushvalue(L, -1);
                lua_pushnil(L);
                lua_rawset(L, -4);
            }
        }
    }
    lua_pop(L, 1);
}

void mothb_open_layer_objects(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &known_key);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &kept_key);
}
