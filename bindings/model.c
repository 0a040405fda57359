/* Models in Lua: structure, weights, running them eagerly. Training is in train.c, the friendly side in model.lua. */
#include <string.h>

#include "objects.h"

static int model_gc(lua_State *L)
{
    moth_model_release(mothb_take_object(L, MOTHB_MODEL));
    mothb_let_layers_go(L);
    return 0;
}

/* sequential(name) */
static int core_sequential(lua_State *L)
{
    const char *name = lua_isnoneornil(L, 1) ? NULL : mothb_check_string(L, 1);
    moth_model **box = mothb_new_object(L, MOTHB_MODEL);
    MOTHB_CALL(L, moth_model_sequential(mothb_ctx(L), name, box));
    return 1;
}

/* functional(name, inputs, outputs, output_names, input_names) */
static int core_functional(lua_State *L)
{
    moth_symbol *in[MOTHB_MAX_TENSORS], *out[MOTHB_MAX_TENSORS];
    const char *names[MOTHB_MAX_TENSORS];
    const char *name = lua_isnoneornil(L, 1) ? NULL : mothb_check_string(L, 1);
    int n_in = mothb_check_symbols(L, 2, in), n_out = mothb_check_symbols(L, 3, out);
    for (int k = 0; k < n_out; k++) {
        names[k] = NULL;
        if (lua_istable(L, 4)) {
            lua_rawgeti(L, 4, k + 1); /* the list keeps the text alive */
            names[k] = mothb_check_string(L, lua_gettop(L));
            lua_pop(L, 1);
        }
    }
    for (int k = 0; k < n_in && lua_istable(L, 5); k++) {
        lua_rawgeti(L, 5, k + 1);
        MOTHB_CALL(L, moth_symbol_name_input(mothb_ctx(L), in[k], mothb_check_string(L, lua_gettop(L))));
        lua_pop(L, 1);
    }
    moth_model **box = mothb_new_object(L, MOTHB_MODEL);
    MOTHB_CALL(L, moth_model_functional(mothb_ctx(L), name, n_in, in, n_out, out, names, box));
    return 1;
}

static int model_add(lua_State *L)
{
    moth_model *model = mothb_check_model(L, 1);
    moth_symbol *input = mothb_test_symbol(L, 2);
    if (luaL_testudata(L, 2, MOTHB_MODEL)) {
        MOTHB_CALL(L, moth_model_add_model(model, mothb_check_model(L, 2)));
        lua_settop(L, 1);
        return 1;
    }
    MOTHB_CALL(L, input ? moth_model_set_input(model, input) : moth_model_add_layer(model, mothb_check_layer(L, 2)));
    mothb_keep_layer(L, 2);
    lua_settop(L, 1);
    return 1;
}

/* build(shape of a sample); the shape may be left out where a layer says it */
static int model_build(lua_State *L)
{
    moth_model *model = mothb_check_model(L, 1);
    if (model->built && lua_isnoneornil(L, 2)) {
        lua_settop(L, 1);
        return 1;
    }
    int64_t shape[MOTH_MAX_RANK];
    int rank = mothb_check_ints(L, 2, 0, (int64_t)1 << 40, MOTH_MAX_RANK - 1, shape);
    moth_dtype dtype = model->n_layers ? model->layers[0]->type->input_dtype : MOTH_FLOAT32;
    MOTHB_CALL(L, moth_model_build(model, dtype, rank, shape));
    lua_settop(L, 1);
    return 1;
}

/* ---- what it is made of ---- */

static int get_name(lua_State *L)
{
    lua_pushstring(L, mothb_check_model(L, 1)->name);
    return 1;
}

static int get_built(lua_State *L)
{
    lua_pushboolean(L, mothb_check_model(L, 1)->built);
    return 1;
}

static int get_sequential(lua_State *L)
{
    lua_pushboolean(L, mothb_check_model(L, 1)->sequential);
    return 1;
}

static int get_layers(lua_State *L)
{
    moth_model *model = mothb_check_model(L, 1);
    lua_createtable(L, model->n_layers, 0);
    for (int i = 0; i < model->n_layers; i++) {
        mothb_push_layer(L, model->layers[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* Is any of its layers trained? */
static int get_trainable(lua_State *L)
{
    const moth_model *model = mothb_check_model(L, 1);
    bool any = model->n_layers == 0;
    for (int i = 0; i < model->n_layers; i++) {
        any = any || model->layers[i]->trainable;
    }
    lua_pushboolean(L, any);
    return 1;
}

/* Sets it for all layers. */
static int set_trainable(lua_State *L)
{
    moth_model *model = mothb_check_model(L, 1);
    if (!lua_isboolean(L, 2)) {
        return mothb_error(L, "trainable must be true or false, got %s", mothb_show(L, 2));
    }
    for (int i = 0; i < model->n_layers; i++) {
        moth_layer_set_trainable(model->layers[i], lua_toboolean(L, 2));
    }
    return 0;
}

static int get_seed(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)mothb_check_model(L, 1)->seed);
    return 1;
}

static int get_step(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)mothb_check_model(L, 1)->step);
    return 1;
}

static int get_output_names(lua_State *L)
{
    moth_model *model = mothb_check_model(L, 1);
    lua_createtable(L, model->n_outputs, 0);
    for (int k = 0; k < model->n_outputs; k++) {
        lua_pushstring(L, model->output_names ? model->output_names[k] : NULL);
        lua_rawseti(L, -2, k + 1);
    }
    return 1;
}

/* The names of inputs that have one; false for the others. */
static int get_input_names(lua_State *L)
{
    moth_model *model = mothb_check_model(L, 1);
    lua_createtable(L, model->n_inputs, 0);
    for (int k = 0; k < model->n_inputs; k++) {
        const char *name = model->inputs[k]->use->input_name;
        if (name) {
            lua_pushstring(L, name);
        } else {
            lua_pushboolean(L, 0);
        }
        lua_rawseti(L, -2, k + 1);
    }
    return 1;
}

static int push_symbols(lua_State *L, moth_symbol *const *symbols, int n)
{
    lua_createtable(L, n, 0);
    for (int k = 0; k < n; k++) {
        mothb_push_symbol(L, symbols[k]);
        lua_rawseti(L, -2, k + 1);
    }
    return 1;
}

static int get_inputs(lua_State *L)
{
    const moth_model *model = mothb_check_model(L, 1);
    return push_symbols(L, model->inputs, model->n_inputs);
}

static int get_outputs(lua_State *L)
{
    const moth_model *model = mothb_check_model(L, 1);
    return push_symbols(L, model->outputs, model->n_outputs);
}

static void push_shapes(lua_State *L, moth_symbol *const *symbols, int n)
{
    lua_createtable(L, n, 0);
    for (int k = 0; k < n; k++) {
        mothb_push_sample_shape(L, moth_symbol_meta(symbols[k]));
        lua_rawseti(L, -2, k + 1);
    }
}

static int get_input_shapes(lua_State *L)
{
    moth_model *model = mothb_check_model(L, 1);
    push_shapes(L, model->inputs, model->n_inputs);
    return 1;
}

static int get_output_shapes(lua_State *L)
{
    moth_model *model = mothb_check_model(L, 1);
    push_shapes(L, model->outputs, model->n_outputs);
    return 1;
}

/* Counts of a layer's numbers. */
typedef struct counts {
    int64_t trainable, fixed;
} counts;

static moth_status count_variable(void *user, moth_layer *layer, moth_variable *variable, const char *path)
{
    counts *c = user;
    (void)path;
    int64_t n = moth_tensor_count(variable->tensor);
    if (variable->trainable && layer->trainable) {
        c->trainable += n;
    } else {
        c->fixed += n;
    }
    return MOTH_OK;
}

static const char *input_name(const moth_model *model, const moth_use *use)
{
    if (use->input_name) {
        return use->input_name;
    }
    return model->n_inputs > 1 ? "input" : "";
}

/* rows() -> one table for each use in order: { name, type, shape, trainable, fixed, from = names, shared } */
static int model_rows(lua_State *L)
{
    moth_model *model = mothb_check_model(L, 1);
    lua_createtable(L, model->n_uses, 0);
    for (int n = 0; n < model->n_uses; n++) {
        const moth_use *use = model->uses[n];
        counts c = { 0, 0 };
        if (use->layer) {
            moth_layer_each_variable(use->layer, count_variable, &c);
        }
        lua_createtable(L, 0, 8);
        lua_pushstring(L, use->layer ? use->layer->name : input_name(model, use));
        lua_setfield(L, -2, "name");
        lua_pushstring(L, use->layer ? moth_layer_kind(use->layer) : "Input");
        lua_setfield(L, -2, "type");
        mothb_push_sample_shape(L, &use->out_meta[0]);
        lua_setfield(L, -2, "shape");
        lua_pushinteger(L, c.trainable);
        lua_setfield(L, -2, "trainable");
        lua_pushinteger(L, c.fixed);
        lua_setfield(L, -2, "fixed");
        lua_pushinteger(L, moth_model_use_index(model, n));
        lua_setfield(L, -2, "use");
        lua_createtable(L, use->n_in, 0);
        for (int i = 0; i < use->n_in; i++) {
            const moth_use *from = use->in[i]->use;
            lua_pushstring(L, from->layer ? from->layer->name : input_name(model, from));
            lua_rawseti(L, -2, i + 1);
        }
        lua_setfield(L, -2, "from");
        lua_rawseti(L, -2, n + 1);
    }
    return 1;
}

/* ---- running eagerly ---- */

static moth_status model_pass(void *object, moth_pass *pass, int n_in, moth_tensor *const *in, moth_tensor **out,
                              int *n_out)
{
    moth_model *model = object;
    if (model->built && n_in != model->n_inputs) {
        return moth_fail(pass->ctx, MOTH_ERR_ARGUMENT, "%s: the model has %d inputs, got %d tensors", model->name,
                         model->n_inputs, n_in);
    }
    if (model->n_outputs > MOTH_MAX_LAYER_OUTPUTS) {
        return moth_fail(pass->ctx, MOTH_ERR_UNSUPPORTED, "%s: a call gives at most %d outputs; use predict",
                         model->name, MOTH_MAX_LAYER_OUTPUTS);
    }
    MOTH_TRY(moth_model_run(model, pass, in, out));
    *n_out = model->n_outputs;
    return MOTH_OK;
}

/* A model on symbols is used as a layer would be. */
static int apply_symbols(lua_State *L, moth_model *model)
{
    moth_symbol *in[MOTHB_MAX_TENSORS], *out[MOTH_MAX_LAYER_OUTPUTS], **boxes[MOTH_MAX_LAYER_OUTPUTS];
    int n_in = mothb_check_symbols(L, 2, in), top = lua_gettop(L);
    if (model->n_outputs > MOTH_MAX_LAYER_OUTPUTS) {
        return mothb_error(L, "%s: a call gives at most %d outputs", model->name, MOTH_MAX_LAYER_OUTPUTS);
    }
    luaL_checkstack(L, MOTH_MAX_LAYER_OUTPUTS + 4, NULL);
    for (int k = 0; k < MOTH_MAX_LAYER_OUTPUTS; k++) {
        boxes[k] = mothb_new_object(L, MOTHB_SYMBOL);
    }
    moth_status status = moth_model_apply(model, n_in, in, out);
    for (int k = 0; k < model->n_outputs && status == MOTH_OK; k++) {
        *boxes[k] = out[k];
    }
    if (status != MOTH_OK) {
        return mothb_raise(L, status);
    }
    lua_settop(L, top + model->n_outputs);
    return model->n_outputs;
}

static int core_is_model(lua_State *L)
{
    lua_pushboolean(L, luaL_testudata(L, 1, MOTHB_MODEL) != NULL);
    return 1;
}

static int model_call(lua_State *L)
{
    moth_model *model = mothb_check_model(L, 1);
    mothb_list_arguments(L, 2);
    if (mothb_is_symbols(L, 2)) {
        return apply_symbols(L, model);
    }
    moth_tensor *in[MOTHB_MAX_TENSORS];
    int n_in = mothb_check_tensors(L, 2, in);
    return mothb_run_pass(L, model_pass, model, mothb_training_option(L, 3), n_in, in);
}

/* ---- weights ---- */

static moth_status push_variable(void *user, moth_layer *layer, moth_variable *variable, const char *path)
{
    lua_State *L = user;
    (void)layer;
    lua_createtable(L, 0, 3);
    mothb_push_tensor(L, variable->tensor);
    lua_setfield(L, -2, "tensor");
    lua_pushstring(L, path);
    lua_setfield(L, -2, "path");
    lua_pushboolean(L, variable->tensor->requires_grad);
    lua_setfield(L, -2, "trainable");
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    return MOTH_OK;
}

/* variables() -> list of { tensor, path, trainable }; the tensors are the model's own */
static int model_variables(lua_State *L)
{
    moth_model *model = mothb_check_model(L, 1);
    lua_newtable(L);
    moth_model_each_variable(model, push_variable, L);
    return 1;
}

/* reset(seed): new weights; without a seed the next ones of the context */
static int model_reset(lua_State *L)
{
    moth_model *model = mothb_check_model(L, 1);
    int64_t seed = mothb_opt_int(L, 2, 0, INT64_MAX, (int64_t)(model->seed + 1) & INT64_MAX);
    MOTHB_CALL(L, moth_trainer_reset(model, (uint64_t)seed));
    lua_settop(L, 1);
    return 1;
}

static int model_tostring(lua_State *L)
{
    const moth_model *model = mothb_check_model(L, 1);
    lua_pushfstring(L, "%s '%s' (%d layers)", model->sequential ? "Sequential" : "Model", model->name, model->n_layers);
    return 1;
}

void mothb_open_model(lua_State *L)
{
    static const luaL_Reg functions[] = { { "sequential", core_sequential },
                                          { "functional", core_functional },
                                          { "is_model", core_is_model },
                                          { NULL, NULL } };
    static const luaL_Reg metamethods[] = {
        { "__gc", model_gc }, { "__call", model_call }, { "__tostring", model_tostring }, { NULL, NULL }
    };
    static const luaL_Reg methods[] = { { "add", model_add },     { "build", model_build },
                                        { "rows", model_rows },   { "variables", model_variables },
                                        { "reset", model_reset }, { NULL, NULL } };
    static const luaL_Reg getters[] = { { "name", get_name },
                                        { "built", get_built },
                                        { "sequential", get_sequential },
                                        { "layers", get_layers },
                                        { "trainable", get_trainable },
                                        { "seed", get_seed },
                                        { "step", get_step },
                                        { "input_names", get_input_names },
                                        { "output_names", get_output_names },
                                        { "inputs", get_inputs },
                                        { "outputs", get_outputs },
                                        { "input_shapes", get_input_shapes },
                                        { "output_shapes", get_output_shapes },
                                        { NULL, NULL } };
    static const luaL_Reg setters[] = { { "trainable", set_trainable }, { NULL, NULL } };
    mothb_register(L, functions);
    mothb_new_fields_class(L, MOTHB_MODEL, metamethods, methods, getters, setters, "model_methods");
}
