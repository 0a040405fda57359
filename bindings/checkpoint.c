/* Model files in Lua: save, load, JSON. */
#include "train/checkpoint.h"

#include "objects.h"

/* The Lua function that makes layers which a file cannot hold whole, while a load runs. */
typedef struct maker {
    lua_State *L;
    int index; /* of the function; 0: none */
} maker;

/* maker(type, config) -> layer, or nil for the engine's own: *out gets a reference, also where an error follows */
static int call_maker(lua_State *L)
{
    const char *type = lua_touserdata(L, 2);
    const moth_value *config = lua_touserdata(L, 3);
    moth_layer **out = lua_touserdata(L, 4);
    lua_settop(L, 1);
    lua_pushstring(L, type);
    mothb_push_value(L, config);
    lua_call(L, 2, 1);
    *out = moth_layer_retain(mothb_test_layer(L, 1));
    mothb_keep_layer(L, 1);
    return 0;
}

static moth_status make_layer(void *user, moth_ctx *ctx, const char *type, const moth_value *config, moth_layer **out)
{
    maker *m = user;
    lua_State *L = m->L;
    if (m->index == 0) {
        return MOTH_OK;
    }
    if (!lua_checkstack(L, 8)) {
        return moth_fail(ctx, MOTH_ERR_MEMORY, "Lua stack overflow");
    }
    lua_pushcfunction(L, call_maker);
    lua_pushvalue(L, m->index);
    lua_pushlightuserdata(L, (void *)(uintptr_t)type);
    lua_pushlightuserdata(L, (void *)(uintptr_t)config);
    lua_pushlightuserdata(L, out);
    if (lua_pcall(L, 4, 0, 0) != LUA_OK) {
        moth_layer_release(*out);
        *out = NULL;
        const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "error object";
        moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s", text);
        lua_pop(L, 1);
        return MOTH_ERR_ARGUMENT;
    }
    return MOTH_OK;
}

static maker maker_at(lua_State *L, int arg)
{
    bool given = !lua_isnoneornil(L, arg);
    if (given) {
        luaL_checktype(L, arg, LUA_TFUNCTION);
    }
    return (maker){ .L = L, .index = given ? arg : 0 };
}

/* save(model, path) */
static int model_save(lua_State *L)
{
    moth_model *model = mothb_check_model(L, 1);
    MOTHB_CALL(L, moth_checkpoint_save(model, mothb_check_string(L, 2)));
    return 0;
}

/* load(path, compile, maker) -> model */
static int core_load_model(lua_State *L)
{
    const char *path = mothb_check_string(L, 1);
    bool compile = mothb_opt_bool(L, 2, true);
    maker m = maker_at(L, 3);
    moth_model **box = mothb_new_object(L, MOTHB_MODEL);
    MOTHB_CALL(L, moth_checkpoint_load(mothb_ctx(L), path, compile, make_layer, &m, box));
    return 1;
}

static int model_save_weights(lua_State *L)
{
    moth_model *model = mothb_check_model(L, 1);
    MOTHB_CALL(L, moth_checkpoint_save_weights(model, mothb_check_string(L, 2)));
    return 0;
}

static int model_load_weights(lua_State *L)
{
    moth_model *model = mothb_check_model(L, 1);
    MOTHB_CALL(L, moth_checkpoint_load_weights(model, mothb_check_string(L, 2)));
    return 0;
}

static int model_resume(lua_State *L)
{
    moth_model *model = mothb_check_model(L, 1);
    MOTHB_CALL(L, moth_checkpoint_resume(model, mothb_check_string(L, 2)));
    return 0;
}

static int text_gc(lua_State *L)
{
    char **box = lua_touserdata(L, 1);
    moth_free(*box);
    *box = NULL;
    return 0;
}

/* to_json(model, indent) */
static int model_to_json(lua_State *L)
{
    moth_model *model = mothb_check_model(L, 1);
    int indent = (int)mothb_opt_int(L, 2, 0, 16, 0);
    char **box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = NULL;
    luaL_setmetatable(L, "moth.text");
    MOTHB_CALL(L, moth_checkpoint_to_json(model, indent, box));
    lua_pushstring(L, *box);
    return 1;
}

/* from_json(text, maker) -> model with new weights */
static int core_model_from_json(lua_State *L)
{
    const char *text = mothb_check_string(L, 1);
    maker m = maker_at(L, 2);
    moth_model **box = mothb_new_object(L, MOTHB_MODEL);
    MOTHB_CALL(L, moth_checkpoint_from_json(mothb_ctx(L), text, make_layer, &m, box));
    return 1;
}

/* The optimizer that compile was given, after a load; nil where there is none. */
static int core_optimizer_of(lua_State *L)
{
    moth_trainer *t = NULL;
    MOTHB_CALL(L, moth_trainer_of(mothb_check_model(L, 1), &t));
    if (!t->optimizer) {
        lua_pushnil(L);
        return 1;
    }
    moth_optimizer **box = mothb_new_object(L, MOTHB_OPTIMIZER);
    *box = moth_optimizer_retain(t->optimizer);
    return 1;
}

void mothb_open_checkpoint(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "save_model", model_save },
        { "load_model", core_load_model },
        { "save_weights", model_save_weights },
        { "load_weights", model_load_weights },
        { "model_to_json", model_to_json },
        { "model_from_json", core_model_from_json },
        { "optimizer_of", core_optimizer_of },
        { "resume_model", model_resume },
        { NULL, NULL },
    };
    static const luaL_Reg metamethods[] = { { "__gc", text_gc }, { NULL, NULL } };
    mothb_register(L, functions);
    mothb_new_class(L, "moth.text", metamethods);
    lua_pop(L, 1);
}
