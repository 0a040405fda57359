/* Layers and symbols in Lua: moth.core.layer, specs of all kinds, moth.core.input. */
#include <string.h>

#include "objects.h"

/* ---- tables of names ---- */

static const moth_kind *const kinds[] = { &moth_layers,       &moth_activations, &moth_initializers,
                                          &moth_regularizers, &moth_constraints, &moth_losses,
                                          &moth_metrics,      &moth_optimizers,  &moth_schedules };

static const moth_kind *check_kind(lua_State *L, int arg)
{
    const char *plural = mothb_check_string(L, arg);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i]->plural, plural) == 0) {
            return kinds[i];
        }
    }
    mothb_arg_error(L, arg, "no table is called '%s'", plural);
    return NULL; /* not reached */
}

static void set_string(lua_State *L, const char *key, const char *text)
{
    if (text) {
        lua_pushstring(L, text);
        lua_setfield(L, -2, key);
    }
}

static void push_options(lua_State *L, const moth_option *options)
{
    static const char *const names[] = { "end",   "integer", "number", "boolean", "string",   "integers",
                                         "shape", "spec",    "rate",   "layer",   "function", "any" };
    lua_newtable(L);
    for (int n = 1; options && options->name; options++, n++) {
        lua_newtable(L);
        set_string(L, "name", options->name);
        set_string(L, "kind", options->spec ? options->spec->noun : names[options->kind]);
        set_string(L, "doc", options->doc);
        set_string(L, "choices", options->choices);
        bool required = options->fallback && strcmp(options->fallback, MOTH_REQUIRED) == 0;
        lua_pushboolean(L, required);
        lua_setfield(L, -2, "required");
        set_string(L, "default", required ? NULL : options->fallback);
        lua_pushinteger(L, options->position);
        lua_setfield(L, -2, "position");
        lua_rawseti(L, -2, n);
    }
}

/* entries(plural) -> list of { name, doc, options = list } */
static int core_entries(lua_State *L)
{
    const moth_kind *kind = check_kind(L, 1);
    lua_newtable(L);
    for (int i = 0; kind->entries[i]; i++) {
        const moth_entry *e = kind->entries[i];
        lua_newtable(L);
        set_string(L, "name", e->name);
        set_string(L, "doc", e->doc);
        push_options(L, e->options);
        lua_setfield(L, -2, "options");
        lua_rawseti(L, -2, i + 1);
    }
    if (kind == &moth_layers) { /* options of all layers */
        push_options(L, moth_layer_options);
        lua_setfield(L, -2, "common");
    }
    return 1;
}

/* aliases(plural) -> { other name = name } */
static int core_aliases(lua_State *L)
{
    const moth_kind *kind = check_kind(L, 1);
    lua_newtable(L);
    for (int i = 0; kind->aliases && kind->aliases[i]; i += 2) {
        set_string(L, kind->aliases[i], kind->aliases[i + 1]);
    }
    return 1;
}

/* spec(plural, options) -> the options with "class", checked, with all defaults */
static int core_spec(lua_State *L)
{
    const moth_kind *kind = check_kind(L, 1);
    moth_value *given = mothb_value_from_lua(L, 2), **owner = mothb_new_value(L);
    MOTHB_CALL(L, moth_spec_normalize(mothb_ctx(L), kind, given, owner));
    mothb_push_value(L, *owner);
    return 1;
}

/* ---- specs that compute ---- */

typedef struct spec_call {
    const moth_kind *kind;
    const moth_value *spec;
} spec_call;

static moth_status spec_pass(void *object, moth_pass *pass, int n_in, moth_tensor *const *in, moth_tensor **out,
                             int *n_out)
{
    const spec_call *call = object;
    bool pair = call->kind == &moth_losses;
    *n_out = 1;
    out[0] = NULL;
    if (n_in != (pair ? 2 : 1)) {
        return moth_fail(pass->ctx, MOTH_ERR_ARGUMENT, "%s: takes %s", moth_spec_name(call->spec),
                         pair ? "y_true and y_pred" : "one tensor");
    }
    if (pair) {
        pass->mask = in[1]->mask;
        MOTH_TRY(moth_loss_rows(pass, call->spec, in[0], in[1], &out[0]));
        out[0] = MOTH_DO(pass->scope, mean, NULL, out[0]);
    } else if (call->kind == &moth_activations) {
        out[0] = moth_activate(pass, call->spec, in[0]);
    } else {
        out[0] = moth_regularize(pass, call->spec, in[0]);
    }
    return pass->scope->status;
}

/* call_spec(plural, spec, tensors…): the mean of a loss, y of an activation, the penalty of a regularizer */
static int core_call_spec(lua_State *L)
{
    const moth_kind *kind = check_kind(L, 1);
    if (kind != &moth_losses && kind != &moth_activations && kind != &moth_regularizers) {
        return mothb_error(L, "a %s cannot be called; pass it where an option takes one", kind->noun);
    }
    moth_value *given = mothb_value_from_lua(L, 2);
    moth_value **owner = mothb_new_value(L);
    MOTHB_CALL(L, moth_spec_normalize(mothb_ctx(L), kind, given, owner));
    spec_call call = { .kind = kind, .spec = *owner };
    moth_tensor *in[2];
    int n_in = 0;
    for (int arg = 3; arg <= 4 && !lua_isnoneornil(L, arg) && mothb_is_tensor(L, arg); arg++) {
        in[n_in++] = mothb_check_tensor(L, arg);
    }
    return mothb_run_pass(L, spec_pass, &call, false, n_in, in);
}

/* ---- layers ---- */

static int core_is_layer(lua_State *L)
{
    lua_pushboolean(L, mothb_test_layer(L, 1) != NULL);
    return 1;
}

static int layer_gc(lua_State *L)
{
    moth_layer_release(mothb_take_object(L, MOTHB_LAYER));
    mothb_let_layers_go(L);
    return 0;
}

static int symbol_gc(lua_State *L)
{
    moth_symbol_release(mothb_take_object(L, MOTHB_SYMBOL));
    mothb_let_layers_go(L);
    return 0;
}

/* layer(type, options) */
static int core_layer(lua_State *L)
{
    const char *type = mothb_check_string(L, 1);
    moth_value *given = lua_isnoneornil(L, 2) ? NULL : mothb_value_from_lua(L, 2);
    moth_layer **box = mothb_new_object(L, MOTHB_LAYER), *layer = NULL;
    MOTHB_CALL(L, moth_layer_new(mothb_ctx(L), type, given, &layer));
    *box = layer;
    mothb_know_layer(L, layer);
    return 1;
}

/* input(shape, dtype, name) -> symbol */
static int core_input(lua_State *L)
{
    int64_t shape[MOTH_MAX_RANK];
    int rank = mothb_check_ints(L, 1, 0, (int64_t)1 << 40, MOTH_MAX_RANK - 1, shape);
    moth_dtype dtype = lua_isnoneornil(L, 2) ? MOTH_FLOAT32 : mothb_check_dtype(L, 2);
    const char *name = lua_isnoneornil(L, 3) ? NULL : mothb_check_string(L, 3);
    moth_symbol **box = mothb_new_object(L, MOTHB_SYMBOL);
    MOTHB_CALL(L, moth_symbol_input(mothb_ctx(L), name, dtype, rank, shape, box));
    return 1;
}

static moth_status layer_pass(void *object, moth_pass *pass, int n_in, moth_tensor *const *in, moth_tensor **out,
                              int *n_out)
{
    moth_layer_io io = { .n_in = n_in, .in = in };
    MOTH_TRY(moth_layer_run(object, pass, &io));
    for (*n_out = 0; *n_out < io.n_out; ++*n_out) {
        out[*n_out] = io.out[*n_out];
    }
    return MOTH_OK;
}

static int apply_symbols(lua_State *L, moth_layer *layer)
{
    moth_symbol *in[MOTHB_MAX_TENSORS], **boxes[MOTH_MAX_LAYER_OUTPUTS], *out[MOTH_MAX_LAYER_OUTPUTS];
    int n_in = mothb_check_symbols(L, 2, in), n_out = 0, top = lua_gettop(L);
    luaL_checkstack(L, MOTH_MAX_LAYER_OUTPUTS + 4, NULL);
    for (int k = 0; k < MOTH_MAX_LAYER_OUTPUTS; k++) {
        boxes[k] = mothb_new_object(L, MOTHB_SYMBOL);
    }
    moth_status status = moth_symbol_apply(mothb_ctx(L), layer, n_in, in, out, &n_out);
    for (int k = 0; k < n_out && status == MOTH_OK; k++) {
        *boxes[k] = out[k];
    }
    if (status != MOTH_OK) {
        return mothb_raise(L, status);
    }
    lua_settop(L, top + n_out);
    mothb_keep_layer(L, 1);
    return n_out;
}

static int core_is_symbol(lua_State *L)
{
    lua_pushboolean(L, mothb_test_symbol(L, 1) != NULL);
    return 1;
}

/* layer(x, { training = … }): on tensors it runs, on symbols it describes */
static int layer_call(lua_State *L)
{
    moth_layer *layer = mothb_check_layer(L, 1);
    mothb_list_arguments(L, 2);
    if (mothb_is_symbols(L, 2)) {
        return apply_symbols(L, layer);
    }
    moth_tensor *in[MOTHB_MAX_TENSORS];
    int n_in = mothb_check_tensors(L, 2, in);
    return mothb_run_pass(L, layer_pass, layer, mothb_training_option(L, 3), n_in, in);
}

static int get_name(lua_State *L)
{
    const moth_layer *layer = mothb_check_layer(L, 1);
    lua_pushstring(L, layer->name);
    return 1;
}

static int get_type(lua_State *L)
{
    lua_pushstring(L, mothb_check_layer(L, 1)->type->entry.name);
    return 1;
}

static int get_trainable(lua_State *L)
{
    lua_pushboolean(L, mothb_check_layer(L, 1)->trainable);
    return 1;
}

static int set_trainable(lua_State *L)
{
    moth_layer *layer = mothb_check_layer(L, 1);
    if (!lua_isboolean(L, 2)) {
        return mothb_error(L, "trainable must be true or false, got %s", mothb_show(L, 2));
    }
    moth_layer_set_trainable(layer, lua_toboolean(L, 2));
    return 0;
}

static int get_config(lua_State *L)
{
    mothb_push_value(L, mothb_check_layer(L, 1)->config);
    return 1;
}

static moth_status push_weight(void *user, moth_layer *layer, moth_variable *variable, const char *path)
{
    lua_State *L = user;
    (void)layer;
    (void)path;
    mothb_push_tensor(L, variable->tensor);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    return MOTH_OK;
}

/* The variables themselves: they share memory with the layer. */
static int get_weights(lua_State *L)
{
    moth_layer *layer = mothb_check_layer(L, 1);
    lua_newtable(L);
    moth_layer_each_variable(layer, push_weight, L);
    return 1;
}

static int get_inner(lua_State *L)
{
    moth_layer *inner = mothb_check_layer(L, 1)->inner;
    if (inner) {
        mothb_push_layer(L, inner);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

/* add_weight(name, shape, initializer, options): while a layer in Lua is built; returns the variable */
static int layer_add_weight(lua_State *L)
{
    static const char *const known[] = { "trainable", "regularizer", "constraint", NULL };
    moth_layer *layer = mothb_check_layer(L, 1);
    moth_variable_spec spec = { .name = mothb_check_string(L, 2) };
    spec.rank = mothb_check_ints(L, 3, 0, (int64_t)1 << 40, MOTH_MAX_RANK, spec.shape);
    mothb_check_options(L, 5, known);
    const moth_kind *of[3] = { &moth_initializers, &moth_regularizers, &moth_constraints };
    const moth_value *specs[3];
    for (int k = 0; k < 3; k++) {
        if (k == 0) {
            lua_isnoneornil(L, 4) ? (void)lua_pushliteral(L, "glorot_uniform") : lua_pushvalue(L, 4);
        } else if (lua_isnoneornil(L, 5)) {
            lua_pushnil(L);
        } else {
            mothb_option(L, 5, known[k]);
        }
        moth_value *given = mothb_value_from_lua(L, lua_gettop(L));
        moth_value **owner = mothb_new_value(L);
        MOTHB_CALL(L, moth_spec_normalize(mothb_ctx(L), of[k], given, owner));
        specs[k] = *owner;
    }
    spec.initializer = specs[0];
    spec.regularizer = specs[1];
    spec.constraint = specs[2];
    spec.state = !lua_isnoneornil(L, 5) && !mothb_opt_bool(L, mothb_option(L, 5, "trainable"), true);
    moth_tensor *t = NULL;
    MOTHB_CALL(L, moth_layer_add_variable(layer, mothb_ctx(L), &spec, &t));
    mothb_push_tensor(L, t);
    return 1;
}

/* assign(variable, value): changes a state variable; in a traced training run it happens after the step. The call
 * function of a layer assigns in training only. */
static int layer_assign(lua_State *L)
{
    mothb_check_layer(L, 1);
    moth_tensor *in[2] = { mothb_check_tensor(L, 2), mothb_check_tensor(L, 3) }, *none[1];
    moth_ctx *ctx = mothb_ctx(L);
    if (!mothb_get_state(L)->inference) {
        MOTHB_CALL(L, moth_apply(ctx, moth_op_of(ctx, MOTH_OP_assign), NULL, 2, in, none, true));
    }
    return 0;
}

static int layer_tostring(lua_State *L)
{
    const moth_layer *layer = mothb_check_layer(L, 1);
    const char *kind = moth_layer_kind(layer); /* one that is no type of the engine's stands in no table */
    lua_pushfstring(L, "%s%s%s%s", kind == layer->type->entry.name ? "layers." : "", kind, layer->name ? " " : "",
                    layer->name ? layer->name : "");
    return 1;
}

static int symbol_shape(lua_State *L)
{
    mothb_push_sample_shape(L, moth_symbol_meta(mothb_check_symbol(L, 1)));
    return 1;
}

static int symbol_tostring(lua_State *L)
{
    char text[128];
    lua_pushfstring(L, "symbol %s", moth_meta_text(moth_symbol_meta(mothb_check_symbol(L, 1)), text, sizeof text));
    return 1;
}

void mothb_new_fields_class(lua_State *L, const char *name, const luaL_Reg *metamethods, const luaL_Reg *methods,
                            const luaL_Reg *getters, const luaL_Reg *setters, const char *core_name)
{
    mothb_new_class(L, name, metamethods);
    lua_pushliteral(L, "__index");
    lua_pushstring(L, "__index");
    lua_newtable(L);
    mothb_register(L, methods);
    lua_pushvalue(L, -1);
    lua_setfield(L, -6, core_name); /* Lua adds methods of its own there */
    lua_newtable(L);
    mothb_register(L, getters);
    lua_pushcclosure(L, mothb_object_index, 3);
    lua_rawset(L, -3);
    lua_pushliteral(L, "__newindex");
    lua_pushstring(L, "__newindex");
    lua_newtable(L);
    mothb_register(L, setters);
    lua_pushcclosure(L, mothb_object_newindex, 2);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

void mothb_open_layer(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "entries", core_entries },     { "aliases", core_aliases },     { "spec", core_spec },
        { "call_spec", core_call_spec }, { "is_layer", core_is_layer },   { "layer", core_layer },
        { "input", core_input },         { "is_symbol", core_is_symbol }, { NULL, NULL }
    };
    static const luaL_Reg metamethods[] = {
        { "__gc", layer_gc }, { "__call", layer_call }, { "__tostring", layer_tostring }, { NULL, NULL }
    };
    static const luaL_Reg methods[] = { { "add_weight", layer_add_weight },
                                        { "assign", layer_assign },
                                        { NULL, NULL } };
    static const luaL_Reg getters[] = { { "name", get_name },
                                        { "type", get_type },
                                        { "trainable", get_trainable },
                                        { "weights", get_weights },
                                        { "config", get_config },
                                        { "layer", get_inner },
                                        { NULL, NULL } };
    static const luaL_Reg setters[] = { { "trainable", set_trainable }, { NULL, NULL } };
    static const luaL_Reg symbol_meta[] = { { "__gc", symbol_gc }, { "__tostring", symbol_tostring }, { NULL, NULL } };
    static const luaL_Reg symbol_getters[] = { { "shape", symbol_shape }, { NULL, NULL } };
    static const luaL_Reg none[] = { { NULL, NULL } };
    mothb_register(L, functions);
    mothb_new_fields_class(L, MOTHB_LAYER, metamethods, methods, getters, setters, "layer_methods");
    mothb_new_fields_class(L, MOTHB_SYMBOL, symbol_meta, none, symbol_getters, none, "symbol_methods");
    mothb_open_layer_objects(L);
}
