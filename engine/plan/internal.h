/* The parts of a plan, shared by the files that build it and the one that runs it. */
#ifndef MOTH_PLAN_INTERNAL_H
#define MOTH_PLAN_INTERNAL_H

#include "graph/internal.h"
#include "plan/plan.h"

/* Where the data of an argument comes from. */
typedef enum source_kind {
    SOURCE_NONE,  /* an absent optional input */
    SOURCE_ARENA, /* a buffer of the plan: offset in bytes */
    SOURCE_LEAF,  /* a concrete tensor, read anew at each run */
    SOURCE_INPUT  /* a placeholder */
} source_kind;

/* One argument of a step: a value seen through a meta (views included). */
typedef struct operand {
    source_kind kind;
    int value;         /* SOURCE_ARENA: index of the value */
    int input;         /* SOURCE_INPUT: which placeholder */
    moth_tensor *leaf; /* SOURCE_LEAF: borrowed from the graph that the plan keeps */
    moth_meta meta;    /* symbolic shape, strides and offset inside the value, leaf or input */
    moth_meta root;    /* meta of the whole value: how its rows lie in memory */
    bool sliced;       /* the step reads only its own rows of it */
} operand;

/* The result of a step: memory in the arena. */
typedef struct value {
    int step;              /* who makes it */
    moth_meta meta;        /* contiguous */
    int alias;             /* shares the memory of this (older) value; -1: its own */
    int first, last;       /* levels between which the memory is in use */
    bool keep;             /* read after the run */
    int64_t bytes, offset; /* in the arena, at full capacity */
} value;

typedef struct step {
    moth_node *node; /* retained */
    int n_in, n_out;
    operand *in;
    int *out;         /* values */
    int level;        /* stage in which it runs */
    int64_t domain;   /* dim 0 of what it makes: < 0 batch rows, >= 0 that many rows */
    bool effect;      /* writes into a variable */
    bool in_order;    /* reads a variable as the effects before it left it */
    bool late;        /* an effect, or in order, or a reader of such a step's result */
    bool fed;         /* depends on an input of the run */
    bool effect_only; /* needed by effects, but by no output and no check */
    int region;       /* row steps: index of the region; -1 for phased steps */
    moth_call call;   /* in and out point to arrays of n_in and n_out */
    int64_t scratch;  /* byte offset of shared scratch in the arena */
} step;

/* Row steps that a worker runs through slice by slice. */
typedef struct region {
    int level;
    int64_t domain; /* as in step; batch regions are normalized to -1 */
    int64_t slice;  /* base rows of one item */
    int n_steps;
    const int *steps; /* in order; part of plan->region_steps */
    int64_t items;    /* of the running run */
} region;

/* What a stage hands to the pool: the slices of a region, or the pieces of one phase of a step. */
typedef struct unit {
    int level;
    int region;    /* -1: a phased step */
    int step;      /* of a region: its first */
    int64_t cost;  /* elements that one item touches: bigger items go first, so that no thread ends up with one alone */
    int64_t first; /* number of its first item within the stage that runs */
} unit;

typedef struct stage {
    int first, count; /* units */
    int phases;
    int64_t cost; /* elements that it touches */
    bool small;   /* not worth waking another thread */
} stage;

struct moth_plan {
    moth_arena *arena;
    int64_t capacity;
    int n_steps, cap_steps;
    step *steps;
    int n_values, cap_values;
    value *values;
    int n_regions;
    region *regions;
    int *region_steps;
    int n_levels, n_units;
    stage *stages; /* n_levels */
    unit *units;
    int *running;     /* units of the running stage that have items */
    int check_level;  /* checks are made after this level; -1: no checks on computed values */
    int effect_level; /* from here on variables change; n_levels: never */
    int n_inputs;
    moth_tensor **inputs; /* placeholders */
    moth_arg *bound;      /* data of each placeholder in this run */
    int n_outputs;
    operand *outputs;
    moth_tensor **results; /* views handed out; their storage points into the arena */
    int n_checks;
    operand *checks;
    char **check_names;
    moth_tensor **kept; /* retained leaves and results of the graph */
    int n_kept, cap_kept;
    size_t arena_bytes;
    size_t lane_bytes; /* scratch of one worker */
    char *lanes;       /* lane_bytes for each of lane_count workers */
    int lane_count;
    bool fixed_inputs;
    int64_t rows; /* of the last run; -1: none */
    char *base;   /* arena that the arguments point into */
    moth_run run;
};

/* plan/collect.c: steps and operands in order; copies where a kernel takes no strides. */
moth_status plan_collect(moth_ctx *ctx, moth_plan *plan, const moth_plan_spec *spec);

/* plan/levels.c: which stage each step runs in, and which steps belong together: parent (n_steps entries) becomes a
 * forest whose roots are the oldest steps of the regions. */
moth_status plan_levels(moth_ctx *ctx, moth_plan *plan, int *parent);

/* plan/schedule.c: levels, regions, slices, stages. */
moth_status plan_schedule(moth_ctx *ctx, moth_plan *plan);

/* plan/memory.c: lifetimes and offsets. */
moth_status plan_place(moth_ctx *ctx, moth_plan *plan);

/* plan/run.c: fills the arguments of all steps for a number of rows. */
void plan_resolve(moth_plan *plan, int64_t rows);
moth_status plan_ensure_memory(moth_ctx *ctx, moth_plan *plan);

/* Does row i of the operand lie in row i of the value's memory (k rows for k*batch), so that a slice needs only its own
 * slice of the value? */
bool plan_rows_aligned(const moth_meta *seen, const moth_meta *root);

static inline int64_t plan_dim0(const moth_meta *m)
{
    return m->rank ? m->shape[0] : 1;
}

static inline bool plan_same_domain(int64_t a, int64_t b)
{
    return (a < 0 && b < 0) || a == b;
}

static inline bool plan_changes(const step *s, int i)
{
    return moth_op_bit(s->node->op->mutates, i);
}

/* Does the consumer need of this operand only the rows that the producer has just made? */
static inline bool plan_fuses(const step *producer, const step *consumer, const operand *in)
{
    return in->sliced && producer->node->op->rows && consumer->node->op->rows &&
           plan_same_domain(producer->domain, consumer->domain);
}

/* The dimension with the rows of a run put in. */
static inline int64_t plan_rows_of(int64_t dim, int64_t rows)
{
    return dim < 0 ? -dim * rows : dim;
}

#endif
