/* What the classes of layers, symbols, models and optimizers share. */
#include "objects.h"

void *mothb_new_object(lua_State *L, const char *class_name)
{
    void **box = lua_newuserdatauv(L, sizeof *box, 1);
    *box = NULL;
    luaL_setmetatable(L, class_name);
    return box;
}

static void *test_object(lua_State *L, int index, const char *class_name)
{
    void **box = mothb_test_object(L, index, class_name, sizeof *box);
    return box ? *box : NULL;
}

void *mothb_take_object(lua_State *L, const char *class_name)
{
    void **box = mothb_test_object(L, 1, class_name, sizeof *box), *held = box ? *box : NULL;
    if (box) {
        *box = NULL;
    }
    return held;
}

static void *check_object(lua_State *L, int arg, const char *class_name, const char *noun)
{
    void **box = mothb_test_object(L, arg, class_name, sizeof *box);
    if (!box) {
        mothb_type_error(L, arg, noun);
        return NULL; /* not reached */
    }
    if (!*box) {
        mothb_arg_error(L, arg, "the %s is closed", noun);
    }
    return *box;
}

moth_layer *mothb_check_layer(lua_State *L, int arg)
{
    return check_object(L, arg, MOTHB_LAYER, "layer");
}

moth_symbol *mothb_check_symbol(lua_State *L, int arg)
{
    return check_object(L, arg, MOTHB_SYMBOL, "symbol");
}

moth_model *mothb_check_model(lua_State *L, int arg)
{
    return check_object(L, arg, MOTHB_MODEL, "model");
}

moth_optimizer *mothb_check_optimizer(lua_State *L, int arg)
{
    return check_object(L, arg, MOTHB_OPTIMIZER, "optimizer");
}

moth_layer *mothb_test_layer(lua_State *L, int index)
{
    return test_object(L, index, MOTHB_LAYER);
}

moth_symbol *mothb_test_symbol(lua_State *L, int index)
{
    return test_object(L, index, MOTHB_SYMBOL);
}

void mothb_push_symbol(lua_State *L, moth_symbol *symbol)
{
    moth_symbol **box = mothb_new_object(L, MOTHB_SYMBOL);
    *box = moth_symbol_retain(symbol);
}

/* ---- one or a list ---- */

typedef void *(*element_fn)(lua_State *L, int arg);

static void *tensor_element(lua_State *L, int arg)
{
    return mothb_check_tensor(L, arg);
}

static void *symbol_element(lua_State *L, int arg)
{
    return mothb_check_symbol(L, arg);
}

static int check_list(lua_State *L, int arg, element_fn element, void **out)
{
    if (lua_type(L, arg) != LUA_TTABLE) {
        out[0] = element(L, arg);
        return 1;
    }
    lua_Unsigned n = lua_rawlen(L, arg);
    if (n < 1 || n > MOTHB_MAX_TENSORS) {
        mothb_arg_error(L, arg, "a list of 1 to %d tensors expected, got %d", MOTHB_MAX_TENSORS, (int)n);
    }
    for (lua_Unsigned i = 0; i < n; i++) {
        lua_rawgeti(L, arg, (lua_Integer)i + 1); /* the list keeps it alive */
        out[i] = element(L, lua_gettop(L));
        lua_pop(L, 1);
    }
    return (int)n;
}

int mothb_check_tensors(lua_State *L, int arg, moth_tensor **out)
{
    void *list[MOTHB_MAX_TENSORS];
    int n = check_list(L, arg, tensor_element, list);
    for (int i = 0; i < n; i++) {
        out[i] = list[i];
    }
    return n;
}

int mothb_check_symbols(lua_State *L, int arg, moth_symbol **out)
{
    void *list[MOTHB_MAX_TENSORS];
    int n = check_list(L, arg, symbol_element, list);
    for (int i = 0; i < n; i++) {
        out[i] = list[i];
    }
    return n;
}

static bool is_list_of(lua_State *L, int index, bool (*test)(lua_State *, int))
{
    if (lua_type(L, index) != LUA_TTABLE) {
        return test(L, index);
    }
    lua_rawgeti(L, index, 1);
    bool yes = test(L, lua_gettop(L));
    lua_pop(L, 1);
    return yes;
}

static bool is_symbol(lua_State *L, int index)
{
    return mothb_test_symbol(L, index) != NULL;
}

bool mothb_is_symbols(lua_State *L, int index)
{
    return is_list_of(L, index, is_symbol);
}

bool mothb_is_tensors(lua_State *L, int index)
{
    return is_list_of(L, index, mothb_is_tensor);
}

/* f(x, y, options) means f({ x, y }, options). */
void mothb_list_arguments(lua_State *L, int arg)
{
    int end = arg;
    while (mothb_is_tensor(L, end) || mothb_test_symbol(L, end)) {
        end++;
    }
    if (end - arg < 2) {
        return;
    }
    lua_createtable(L, end - arg, 0);
    for (int i = arg; i < end; i++) {
        lua_pushvalue(L, i);
        lua_rawseti(L, -2, i - arg + 1);
    }
    lua_replace(L, arg);
    for (int i = arg + 1; i < end; i++) {
        lua_remove(L, arg + 1);
    }
}

void mothb_push_sample_shape(lua_State *L, const moth_meta *m)
{
    lua_createtable(L, m->rank, 0);
    for (int d = 1; d < m->rank; d++) {
        lua_pushinteger(L, m->shape[d]);
        lua_rawseti(L, -2, d);
    }
}

/* ---- fields ---- */

/* upvalue 2: the table of methods; a method "get_NAME" in upvalue 3 is a property */
int mothb_object_index(lua_State *L)
{
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) {
        return 1;
    }
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(3)) != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_call(L, 1, 1);
        return 1;
    }
    if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE) {
        lua_pushvalue(L, 2);
        lua_rawget(L, -2);
        return 1;
    }
    lua_pushnil(L);
    return 1;
}

/* upvalue 2: the table of setters */
int mothb_object_newindex(lua_State *L)
{
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_pushvalue(L, 3);
        lua_call(L, 2, 0);
        return 0;
    }
    if (lua_getiuservalue(L, 1, 1) != LUA_TTABLE) {
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, 1);
        mothb_keep_layer(L, 1);
    }
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_rawset(L, -3);
    return 0;
}

/* ---- passes ---- */

bool mothb_training_option(lua_State *L, int arg)
{
    static const char *const known[] = { "training", NULL };
    mothb_check_options(L, arg, known);
    bool fallback = mothb_get_state(L)->training; /* of the function that is being compiled */
    if (lua_isnoneornil(L, arg)) {
        return fallback;
    }
    return mothb_opt_bool(L, mothb_option(L, arg, "training"), fallback);
}

int mothb_run_pass(lua_State *L, mothb_pass_fn run, void *object, bool training, int n_in, moth_tensor *const *in)
{
    moth_ctx *ctx = mothb_ctx(L);
    moth_tensor **boxes[MOTH_MAX_LAYER_OUTPUTS], *out[MOTH_MAX_LAYER_OUTPUTS], *kept[MOTH_MAX_LAYER_OUTPUTS];
    int n_out = 0, top = lua_gettop(L);
    luaL_checkstack(L, MOTH_MAX_LAYER_OUTPUTS + 4, NULL);
    for (int k = 0; k < MOTH_MAX_LAYER_OUTPUTS; k++) {
        boxes[k] = mothb_new_tensor(L); /* owners first: after the pass nothing may raise */
    }
    moth_scope scope;
    moth_scope_open(&scope, ctx);
    moth_pass pass = { .ctx = ctx, .scope = &scope, .training = training };
    moth_status status = run(object, &pass, n_in, in, out, &n_out);
    moth_scope_fail(&scope, status);
    moth_status closed = moth_scope_close(&scope, status == MOTH_OK ? n_out : 0, out, kept);
    for (int k = 0; k < n_out && closed == MOTH_OK; k++) {
        *boxes[k] = kept[k];
    }
    if (closed != MOTH_OK) {
        return mothb_raise(L, closed);
    }
    lua_settop(L, top + n_out);
    return n_out;
}
