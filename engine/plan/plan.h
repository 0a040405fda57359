/* A plan: a recorded graph compiled to steps over one arena. Consecutive row-wise steps form regions that a worker
 * runs through on a slice of the batch; whole-batch work stands between them. See docs/design.md. */
#ifndef MOTH_PLAN_PLAN_H
#define MOTH_PLAN_PLAN_H

#include "graph/graph.h"

typedef struct moth_plan moth_plan;

/* Memory that several plans use in turn (train, evaluate, predict of one model). */
typedef struct moth_arena {
    char *data;
    size_t size;
} moth_arena;
void moth_arena_free(moth_arena *arena);

/* What a plan computes. Placeholders are bound to data at each run; concrete tensors that the graph reaches are leaves
 * whose storage is read at each run. Effects are mutating nodes, run in order after what they depend on, and after
 * every other reader of what they change. A check is a float output that must be finite: if it is not, the run stops
 * before the effects with MOTH_ERR_NONFINITE. */
typedef struct moth_plan_spec {
    int n_inputs;
    moth_tensor *const *inputs; /* placeholders; dims < 0 are multiples of the rows of a run */
    int n_outputs;
    moth_tensor *const *outputs; /* symbolic or concrete results, readable after a run */
    int n_effects;
    moth_node *const *effects;
    int n_checks;
    moth_tensor *const *checks;
    const char *const *check_names; /* for the message */
    int64_t capacity;               /* most rows of a run; 1 for a graph without placeholder rows */
    bool fixed_inputs;              /* a placeholder whose first dim is 0 is empty, not of any size */
} moth_plan_spec;

/* Compiles. The plan keeps references to leaves and to what the spec names. The arena may grow. */
moth_status moth_plan_new(moth_ctx *ctx, const moth_plan_spec *spec, moth_arena *arena, moth_plan **out);
void moth_plan_free(moth_plan *plan); /* NULL is allowed */

/* Runs `rows` rows (0 <= rows <= capacity). inputs[i]: data for placeholder i, with its type and shape (rows put in);
 * dim 0 of a placeholder whose first dim was given as 0 may have any size (a whole data set that is gathered from),
 * unless the spec said fixed_inputs.
 * Allocates nothing after the first run. */
moth_status moth_plan_run(moth_ctx *ctx, moth_plan *plan, int64_t rows, moth_tensor *const *inputs,
                          const moth_run *run);

/* Output k of the last run as a tensor view on plan memory (valid until any plan on the same arena runs again); its
 * shape has the rows of the last run. Copy it to keep it. Borrowed. */
const moth_tensor *moth_plan_output(const moth_plan *plan, int k);

/* The concrete tensors that the plan reads or changes, one for each use; NULL behind the last. Borrowed. */
moth_tensor *moth_plan_leaf(const moth_plan *plan, int i);

/* One line a step, for people and tests: stage, region, op, shape, slice. Allocated; moth_free. */
char *moth_plan_describe(const moth_plan *plan);

#endif
