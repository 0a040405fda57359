/* A compiled function: what moth.compile makes of a Lua function for one signature of its arguments. The function was
 * traced once on symbolic tensors; the recorded graph became a plan. Where a gradient is wanted there is a second plan,
 * for backward: it computes the forward pass again, from the arguments that the call kept. */
#ifndef MOTH_BINDINGS_PROGRAM_H
#define MOTH_BINDINGS_PROGRAM_H

#include "plan/plan.h"
#include "tensor.h"
#include "train/optimizer.h"

#define MOTHB_PROGRAM "moth.program"

enum { MOTHB_MAX_ARGS = 32, MOTHB_MAX_RESULTS = 32 };

/* A captured tensor as it was when traced: another shape or another wish for a gradient needs another trace. */
typedef struct mothb_leaf {
    moth_tensor *t; /* borrowed from the graph */
    moth_meta meta;
    bool requires_grad;
} mothb_leaf;

typedef struct mothb_program {
    moth_graph graph;
    moth_optimizer *optimizer;        /* of a training step; NULL: results can be differentiated instead */
    moth_graph update;                /* what it does to the captured tensors */
    int n_args, n_results, n_leaves;  /* tensors among the arguments and the results; captured tensors */
    moth_tensor *arg[MOTHB_MAX_ARGS]; /* placeholders */
    moth_tensor *result[MOTHB_MAX_RESULTS];
    int position[MOTHB_MAX_ARGS]; /* of the argument in a call */
    bool is_mask[MOTHB_MAX_ARGS]; /* it is not that argument but the mask that it carries */
    int result_position[MOTHB_MAX_RESULTS];
    int masked_result[MOTHB_MAX_RESULTS]; /* >= 0: it is the mask of that result, and stands behind all of them */
    int batch_arg;                        /* index of an argument whose first dim is the rows; -1: none */
    mothb_leaf *leaves;
    int64_t capacity;
    moth_plan *forward, *backward;
    moth_arena forward_arena, backward_arena;
    int n_dy, n_dx;                     /* of the backward plan */
    moth_tensor *dy[MOTHB_MAX_RESULTS]; /* placeholders, one for each differentiable result */
    int dy_result[MOTHB_MAX_RESULTS];   /* which */
    moth_tensor **dx;                   /* gradients of args and leaves; NULL where there is none */
    int *dx_output;                     /* of the plan, -1: none */
} mothb_program;

/* The counter of references around a program (in its `user`): userdata and recorded calls keep it alive. NULL without
 * memory. */
moth_callback *mothb_program_new(void);

/* Makes plans of the recorded graph; capacity is set. Once for each program. */
moth_status mothb_program_build(moth_ctx *ctx, mothb_program *p);

/* The same plans for more rows. */
moth_status mothb_program_grow(moth_ctx *ctx, mothb_program *p, int64_t rows);

/* Has a captured tensor another shape, place or wish for a gradient than when it was traced? */
bool mothb_program_stale(const mothb_program *p);

/* The program in userdata at arg. */
moth_callback *mothb_check_program(lua_State *L, int arg);

/* __call: runs it on arguments of the signature that was traced. */
int mothb_program_call(lua_State *L);

#endif
