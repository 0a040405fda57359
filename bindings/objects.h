/* Layers, symbols, models and optimizers in userdata. Each keeps one reference of its own; after __gc or close every
 * method is an error. */
#ifndef MOTH_BINDINGS_OBJECTS_H
#define MOTH_BINDINGS_OBJECTS_H

#include "common.h"
#include "nn/functions.h"
#include "nn/model.h"
#include "train/trainer.h"

#define MOTHB_LAYER "moth.layer"
#define MOTHB_SYMBOL "moth.symbol"
#define MOTHB_MODEL "moth.model"
#define MOTHB_OPTIMIZER "moth.optimizer"
#define MOTHB_LOOP "moth.loop"

enum { MOTHB_MAX_TENSORS = 32 };

/* Pushes an empty owner of a class and returns where the object goes. */
void *mothb_new_object(lua_State *L, const char *class_name);

/* Empties the userdata at 1, for its finalizer; returns what it held, or NULL. */
void *mothb_take_object(lua_State *L, const char *class_name);

moth_layer *mothb_check_layer(lua_State *L, int arg);
moth_symbol *mothb_check_symbol(lua_State *L, int arg);
moth_model *mothb_check_model(lua_State *L, int arg);
moth_optimizer *mothb_check_optimizer(lua_State *L, int arg);
moth_layer *mothb_test_layer(lua_State *L, int index); /* NULL where it is something else */
moth_symbol *mothb_test_symbol(lua_State *L, int index);

void mothb_push_layer(lua_State *L, moth_layer *layer); /* the same userdata for the same layer */
/* The userdata on top is that of the layer from now on. */
void mothb_know_layer(lua_State *L, moth_layer *layer);
/* To be called where a layer may have gained a field or a holder: its userdata at index (from the bottom) is kept while
 * it has both. */
void mothb_keep_layer(lua_State *L, int index);
/* To be called where a layer may have lost a holder. Allocates nothing: finalizers call it. */
void mothb_let_layers_go(lua_State *L);

void mothb_push_symbol(lua_State *L, moth_symbol *symbol); /* adds a reference */

/* Tensors (or symbols) at arg: one, or a list. Borrowed; returns how many. */
int mothb_check_tensors(lua_State *L, int arg, moth_tensor **out);
int mothb_check_symbols(lua_State *L, int arg, moth_symbol **out);
bool mothb_is_symbols(lua_State *L, int index);
bool mothb_is_tensors(lua_State *L, int index);
void mothb_list_arguments(lua_State *L, int arg);

/* A list of the shape without its first dim; dims that count rows become nil-free text is left to Lua: -1. */
void mothb_push_sample_shape(lua_State *L, const moth_meta *m);

/* An __index that finds methods in the table moth.core[methods], then fields in the user value; a __newindex that
 * writes fields. */
int mothb_object_index(lua_State *L);
int mothb_object_newindex(lua_State *L);

/* A class whose objects have methods (Lua adds more to the table moth.core[core_name]), properties and fields. */
void mothb_new_fields_class(lua_State *L, const char *name, const luaL_Reg *metamethods, const luaL_Reg *methods,
                            const luaL_Reg *getters, const luaL_Reg *setters, const char *core_name);

/* What a pass of layers over eager tensors gives: pushes n tensors. run does the work. */
typedef moth_status (*mothb_pass_fn)(void *object, moth_pass *pass, int n_in, moth_tensor *const *in, moth_tensor **out,
                                     int *n_out);
int mothb_run_pass(lua_State *L, mothb_pass_fn run, void *object, bool training, int n_in, moth_tensor *const *in);

/* The option `training` of a call's options table at arg. */
bool mothb_training_option(lua_State *L, int arg);

/* Each file opens itself; see common.h. */
void mothb_open_layer(lua_State *L);
void mothb_open_layer_objects(lua_State *L);
void mothb_open_model(lua_State *L);
void mothb_open_train(lua_State *L);
void mothb_open_checkpoint(lua_State *L);

#endif
