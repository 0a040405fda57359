/* Training in Lua: optimizers, compile, and passes over data that run batch by batch. */
#include <stdio.h>
#include <string.h>

#include "objects.h"

/* ---- optimizers ---- */

static int optimizer_gc(lua_State *L)
{
    moth_optimizer_release(mothb_take_object(L, MOTHB_OPTIMIZER));
    return 0;
}

/* optimizer(spec) */
static int core_optimizer(lua_State *L)
{
    moth_value *spec = mothb_value_from_lua(L, 1);
    moth_optimizer **box = mothb_new_object(L, MOTHB_OPTIMIZER);
    MOTHB_CALL(L, moth_optimizer_new(mothb_ctx(L), spec, box));
    return 1;
}

static int core_is_optimizer(lua_State *L)
{
    lua_pushboolean(L, luaL_testudata(L, 1, MOTHB_OPTIMIZER) != NULL);
    return 1;
}

/* schedule_rate(spec, step) */
static int core_schedule_rate(lua_State *L)
{
    moth_value *given = mothb_value_from_lua(L, 1);
    moth_value **owner = mothb_new_value(L);
    MOTHB_CALL(L, moth_spec_normalize(mothb_ctx(L), &moth_schedules, given, owner));
    lua_pushnumber(L, moth_schedule_rate(*owner, mothb_check_int(L, 2, 0, INT64_MAX)));
    return 1;
}

static int core_is_tensor(lua_State *L)
{
    lua_pushboolean(L, mothb_is_tensor(L, 1));
    return 1;
}

static int get_rate(lua_State *L)
{
    lua_pushnumber(L, moth_optimizer_rate(mothb_check_optimizer(L, 1)));
    return 1;
}

static int set_rate(lua_State *L)
{
    moth_optimizer *o = mothb_check_optimizer(L, 1);
    MOTHB_CALL(L, moth_optimizer_set_rate(o, mothb_check_number(L, 2)));
    return 0;
}

static int get_iterations(lua_State *L)
{
    lua_pushinteger(L, mothb_check_optimizer(L, 1)->iterations);
    return 1;
}

static int get_config(lua_State *L)
{
    mothb_push_value(L, mothb_check_optimizer(L, 1)->config);
    return 1;
}

static int check_parameters(lua_State *L, int arg, moth_tensor ***out)
{
    if (!lua_istable(L, arg)) {
        mothb_type_error(L, arg, "list of tensors");
    }
    mothb_check_list(L, arg, "tensors");
    int n = (int)lua_rawlen(L, arg);
    moth_tensor **list = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof(moth_tensor *), 0);
    for (int i = 0; i < n; i++) {
        lua_rawgeti(L, arg, i + 1);
        if (!mothb_is_tensor(L, -1)) {
            mothb_arg_error(L, arg, "entry %d: tensor expected, got %s", i + 1, mothb_typename(L, -1));
        }
        list[i] = mothb_check_tensor(L, lua_gettop(L));
        lua_pop(L, 1);
    }
    *out = list;
    return n;
}

/* step(parameters) */
static int optimizer_step(lua_State *L)
{
    moth_optimizer *o = mothb_check_optimizer(L, 1);
    moth_tensor **list;
    int n = check_parameters(L, 2, &list);
    MOTHB_CALL(L, moth_optimizer_step(o, n, list));
    return 0;
}

/* zero_grad(parameters) */
static int optimizer_zero_grad(lua_State *L)
{
    mothb_check_optimizer(L, 1);
    moth_tensor **list;
    int n = check_parameters(L, 2, &list);
    for (int i = 0; i < n; i++) {
        moth_tensor_release(list[i]->grad);
        list[i]->grad = NULL;
    }
    return 0;
}

static int optimizer_tostring(lua_State *L)
{
    const moth_optimizer *o = mothb_check_optimizer(L, 1);
    char text[96];
    snprintf(text, sizeof text, "optimizers.%s { learning_rate = %g }", moth_spec_name(o->config),
             moth_optimizer_rate(o));
    lua_pushstring(L, text);
    return 1;
}

/* ---- compile ---- */

/* compile(model, optimizer or nil, options) */
static int model_compile(lua_State *L)
{
    moth_model *model = mothb_check_model(L, 1);
    moth_optimizer *o = lua_isnoneornil(L, 2) ? NULL : mothb_check_optimizer(L, 2);
    moth_value *options = mothb_value_from_lua(L, 3);
    MOTHB_CALL(L, moth_trainer_compile(model, options, o));
    return 0;
}

static moth_trainer *trainer_of(lua_State *L, int arg)
{
    moth_trainer *t = NULL;
    MOTHB_CALL(L, moth_trainer_of(mothb_check_model(L, arg), &t));
    return t;
}

/* compiled(model) -> has it a loss, has it an optimizer */
static int model_compiled(lua_State *L)
{
    const moth_trainer *t = trainer_of(L, 1);
    lua_pushboolean(L, t->options != NULL);
    lua_pushboolean(L, t->optimizer != NULL);
    return 2;
}

/* input_scale(model): what bytes of the input are multiplied by */
static int model_input_scale(lua_State *L)
{
    lua_pushnumber(L, trainer_of(L, 1)->input_scale);
    return 1;
}

static int model_set_nonfinite(lua_State *L)
{
    trainer_of(L, 1)->ignore_nonfinite = lua_toboolean(L, 2);
    return 0;
}

/* measures(model) -> list of { name, lower_is_better } */
static int model_measures(lua_State *L)
{
    const moth_trainer *t = trainer_of(L, 1);
    lua_createtable(L, t->n_measures, 0);
    for (int k = 0; k < t->n_measures; k++) {
        const moth_measure *m = &t->measures[k];
        lua_createtable(L, 0, 2);
        lua_pushstring(L, m->name);
        lua_setfield(L, -2, "name");
        lua_pushboolean(L, m->is_loss || moth_metric_lower_is_better(m->spec));
        lua_setfield(L, -2, "lower_is_better");
        lua_rawseti(L, -2, k + 1);
    }
    return 1;
}

/* values(model) -> { name = number } of the pass so far; a matrix metric gives a list of rows */
static int model_values(lua_State *L)
{
    const moth_trainer *t = trainer_of(L, 1);
    lua_createtable(L, 0, t->n_measures);
    for (int k = 0; k < t->n_measures; k++) {
        const moth_measure *m = &t->measures[k];
        if (m->type && m->type->matrix && m->states) {
            lua_Integer n = 1;
            while (n * n < m->n_states) {
                n++;
            }
            lua_createtable(L, (int)n, 0);
            for (lua_Integer r = 0; r < n; r++) {
                lua_createtable(L, (int)n, 0);
                for (lua_Integer c = 0; c < n; c++) {
                    lua_pushinteger(L, (lua_Integer)m->states[r * n + c]);
                    lua_rawseti(L, -2, c + 1);
                }
                lua_rawseti(L, -2, r + 1);
            }
        } else {
            lua_pushnumber(L, moth_trainer_value(t, k));
        }
        lua_setfield(L, -2, m->name);
    }
    return 1;
}

static int model_shuffle(lua_State *L)
{
    moth_trainer *t = trainer_of(L, 1);
    int64_t n = mothb_check_int(L, 2, 0, INT32_MAX);
    moth_tensor **box = mothb_new_tensor(L);
    MOTHB_CALL(L, moth_trainer_shuffle(t, n, box));
    return 1;
}

/* class_weights(y, { ["0"] = 1, … }) -> one weight for each sample */
static int core_class_weights(lua_State *L)
{
    moth_tensor *y = mothb_check_tensor(L, 1);
    moth_value *weights = mothb_value_from_lua(L, 2);
    moth_tensor **box = mothb_new_tensor(L);
    MOTHB_CALL(L, moth_class_weights(mothb_ctx(L), y, weights, box));
    return 1;
}

/* ---- passes ---- */

typedef struct loop_box {
    bool open;
    moth_loop loop;
    moth_model *model; /* owned */
    int n_x, n_y;
    moth_tensor *x[MOTHB_MAX_TENSORS], *y[MOTHB_MAX_TENSORS], *weight[MOTHB_MAX_TENSORS]; /* owned */
} loop_box;

static void loop_release(loop_box *box)
{
    if (box->open) {
        moth_loop_close(&box->loop);
    }
    for (int k = 0; k < box->n_x; k++) {
        moth_tensor_release(box->x[k]);
    }
    for (int k = 0; k < box->n_y; k++) {
        moth_tensor_release(box->y[k]);
        moth_tensor_release(box->weight[k]);
    }
    moth_model_release(box->model);
    memset(box, 0, sizeof *box);
}

static int loop_gc(lua_State *L)
{
    loop_box *box = mothb_test_object(L, 1, MOTHB_LOOP, sizeof *box);
    if (box) {
        loop_release(box);
    }
    return 0;
}

static loop_box *check_loop(lua_State *L)
{
    loop_box *box = mothb_test_object(L, 1, MOTHB_LOOP, sizeof *box);
    if (!box || !box->open) {
        mothb_arg_error(L, 1, "an open pass expected");
    }
    return box;
}

/* The data of a pass; where a tensor is no simple block, a copy of it is what the pass reads. */
static void keep_data(lua_State *L, int n, moth_tensor *const *given, moth_tensor **kept, int *count)
{
    for (int k = 0; k < n; k++) {
        moth_tensor *t = given[k];
        if (!moth_tensor_is_symbolic(t) && !moth_meta_contiguous(&t->meta)) {
            MOTHB_CALL(L, moth_tensor_contiguous_copy(mothb_ctx(L), t, &kept[k]));
        } else {
            kept[k] = moth_tensor_retain(t);
        }
        *count = k + 1;
    }
}

/* Weights of samples: none, one tensor for all outputs, or a list by output in which false stands for none. */
static void keep_weights(lua_State *L, int arg, loop_box *box)
{
    for (int k = 0; k < box->n_y && !lua_isnoneornil(L, arg); k++) {
        if (lua_type(L, arg) == LUA_TTABLE) {
            lua_rawgeti(L, arg, k + 1); /* the list keeps it alive */
        } else {
            lua_pushvalue(L, arg);
        }
        moth_tensor *weight = lua_toboolean(L, -1) ? mothb_check_tensor(L, lua_gettop(L)) : NULL;
        int n = 0;
        keep_data(L, weight ? 1 : 0, &weight, &box->weight[k], &n);
        lua_pop(L, 1);
    }
}

/* pass(model, mode, x, y, weight, batch_size, first, count, order, goes_on): mode "train", "evaluate" or "predict" */
static int model_pass(lua_State *L)
{
    static const char *const modes[] = { "train", "evaluate", "predict", NULL };
    lua_settop(L, 10); /* arguments that are not given are nil, not what is pushed later */
    moth_model *model = mothb_check_model(L, 1);
    moth_mode mode = (moth_mode)luaL_checkoption(L, 2, NULL, modes);
    moth_tensor *x[MOTHB_MAX_TENSORS], *y[MOTHB_MAX_TENSORS];
    int n_x = mothb_check_tensors(L, 3, x), n_y = mode == MOTH_PREDICT ? 0 : mothb_check_tensors(L, 4, y);
    int64_t batch = mothb_check_int(L, 6, 1, INT32_MAX), first = mothb_check_int(L, 7, 0, INT32_MAX);
    int64_t count = mothb_check_int(L, 8, 0, INT32_MAX);
    moth_tensor *order = lua_isnoneornil(L, 9) ? NULL : mothb_check_tensor(L, 9);
    loop_box *box = lua_newuserdatauv(L, sizeof *box, 0);
    memset(box, 0, sizeof *box);
    luaL_setmetatable(L, MOTHB_LOOP);
    box->model = moth_model_retain(model);
    keep_data(L, n_x, x, box->x, &box->n_x);
    keep_data(L, n_y, y, box->y, &box->n_y);
    keep_weights(L, 5, box);
    moth_trainer *t = NULL;
    MOTHB_CALL(L,
               mode == MOTH_PREDICT ? moth_trainer_of(model, &t) : moth_model_compiled(model, mode == MOTH_TRAIN, &t));
    moth_data data = { .n_x = n_x, .n_y = n_y, .x = box->x, .y = box->y, .weight = box->weight };
    data.goes_on = lua_toboolean(L, 10);
    MOTHB_CALL(L, moth_loop_open(&box->loop, t, mode, &data, batch, first, count, order));
    box->open = true;
    return 1;
}

/* run(batches) -> batches that are left */
static int loop_run(lua_State *L)
{
    loop_box *box = check_loop(L);
    int64_t left = 0;
    int64_t batches = mothb_check_int(L, 2, 0, INT32_MAX);
    moth_status status = moth_loop_run(&box->loop, batches, &left);
    if (status != MOTH_OK) {
        return mothb_raise(L, status);
    }
    lua_pushinteger(L, left);
    return 1;
}

/* done() -> samples done so far */
static int loop_done(lua_State *L)
{
    lua_pushinteger(L, check_loop(L)->loop.done);
    return 1;
}

/* results() -> predictions, one tensor for each output */
static int loop_results(lua_State *L)
{
    loop_box *box = check_loop(L);
    lua_createtable(L, box->loop.n_results, 0);
    for (int k = 0; k < box->loop.n_results; k++) {
        mothb_push_tensor(L, box->loop.results[k]);
        lua_rawseti(L, -2, k + 1);
    }
    return 1;
}

static int loop_close(lua_State *L)
{
    loop_box *box = mothb_test_object(L, 1, MOTHB_LOOP, sizeof *box);
    if (!box) {
        return mothb_arg_error(L, 1, "a pass expected");
    }
    loop_release(box);
    return 0;
}

static void open_loop(lua_State *L)
{
    static const luaL_Reg metamethods[] = { { "__gc", loop_gc }, { "__close", loop_close }, { NULL, NULL } };
    static const luaL_Reg methods[] = {
        { "run", loop_run }, { "done", loop_done }, { "results", loop_results }, { "close", loop_close }, { NULL, NULL }
    };
    mothb_new_class(L, MOTHB_LOOP, metamethods);
    lua_newtable(L);
    mothb_register(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

void mothb_open_train(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "optimizer", core_optimizer },
        { "is_optimizer", core_is_optimizer },
        { "is_tensor", core_is_tensor },
        { "schedule_rate", core_schedule_rate },
        { "compile", model_compile },
        { "compiled", model_compiled },
        { "measures", model_measures },
        { "values", model_values },
        { "shuffle", model_shuffle },
        { "pass", model_pass },
        { "class_weights", core_class_weights },
        { "ignore_nonfinite", model_set_nonfinite },
        { "input_scale", model_input_scale },
        { NULL, NULL },
    };
    static const luaL_Reg metamethods[] = { { "__gc", optimizer_gc },
                                            { "__tostring", optimizer_tostring },
                                            { NULL, NULL } };
    static const luaL_Reg methods[] = { { "step", optimizer_step },
                                        { "zero_grad", optimizer_zero_grad },
                                        { NULL, NULL } };
    static const luaL_Reg getters[] = { { "learning_rate", get_rate },
                                        { "lr", get_rate },
                                        { "iterations", get_iterations },
                                        { "config", get_config },
                                        { NULL, NULL } };
    static const luaL_Reg setters[] = { { "learning_rate", set_rate }, { "lr", set_rate }, { NULL, NULL } };
    mothb_register(L, functions);
    mothb_new_fields_class(L, MOTHB_OPTIMIZER, metamethods, methods, getters, setters, "optimizer_methods");
    open_loop(L);
}
