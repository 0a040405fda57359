/* What the binding files of tensors share. */
#ifndef MOTH_BINDINGS_TENSOR_H
#define MOTH_BINDINGS_TENSOR_H

#include "common.h"

enum { MOTHB_MAX_OUTPUTS = 8 };

/* Applies an op and pushes what it gives; returns the number of results. */
int mothb_apply(lua_State *L, moth_op_id id, const moth_attrs *attrs, int n_in, moth_tensor *const *in);

/* One result, borrowed from the stack. */
moth_tensor *mothb_apply1(lua_State *L, moth_op_id id, const moth_attrs *attrs, int n_in, moth_tensor *const *in);

/* The number as a 0-d tensor, pushed. It takes the type `like` where its value allows that, else int32 or float32: an
 * integral number beside integers does not make them floats. */
moth_tensor *mothb_push_scalar(lua_State *L, double value, moth_dtype like);

/* The operand at index: a tensor, a symbolic size, or a number, which is replaced on the stack by a 0-d tensor. NULL
 * where it is something else. */
moth_tensor *mothb_operand(lua_State *L, int index, moth_dtype like);

/* Is an op on this tensor only recorded? */
bool mothb_traced(lua_State *L, const moth_tensor *t);

/* Raises "value not known while tracing" where that is so. */
void mothb_check_concrete(lua_State *L, moth_tensor *t, const char *what);

/* What becomes of t in place: checked before the new value is computed (it may save t), then stored. The value is the
 * tensor on top of the stack and has t's shape. `what` names the method in messages. */
typedef struct mothb_change {
    moth_tensor *t;
    bool shared; /* other tensors, or a recorded gradient, use the same memory */
    const char *what;
} mothb_change;
mothb_change mothb_change_begin(lua_State *L, moth_tensor *t, const char *what);
void mothb_change_store(lua_State *L, const mothb_change *change, moth_tensor *value);

/* requires_grad_, for a leaf of floats. */
void mothb_set_requires_grad(lua_State *L, moth_tensor *t, bool wanted);

/* Element at a position in memory, as a Lua number: an integer for int32 and uint8. */
void mothb_push_element(lua_State *L, const moth_tensor *t, int64_t position);

/* Metamethods that live in other files. */
int mothb_tensor_index(lua_State *L);    /* __index with a number or list */
int mothb_tensor_newindex(lua_State *L); /* __newindex */

/* For the table of methods: table.methods[name] = closures; on top of the stack. */
void mothb_add_op_methods(lua_State *L);
extern const luaL_Reg mothb_arithmetic[];   /* metamethods */
extern const luaL_Reg mothb_grad_methods[]; /* autograd.c */

#endif
