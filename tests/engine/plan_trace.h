/* A trace by hand, for tests of single promises of the plan. */
#ifndef MOTH_TEST_PLAN_TRACE_H
#define MOTH_TEST_PLAN_TRACE_H

#include "autograd/autograd.h"
#include "cases.h"
#include "plan/plan.h"

#define I(...) (&(moth_attrs){ .i = { __VA_ARGS__ } })
#define SHAPE(...) (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), ((int64_t[]){ __VA_ARGS__ })

static const moth_run no_draws = { .seed = 1, .step = 0 };

typedef struct trace {
    moth_ctx *ctx;
    moth_graph graph;
    moth_scope scope;
    moth_arena arena;
    moth_plan *plan;
    int n_in, n_out, n_checks;
    moth_tensor *in[4], *out[4], *check[4]; /* in: owned */
    const char *names[4];
} trace;

/* A context of two threads that traces; compile ends the trace, close frees all. */
void trace_open(trace *t);
moth_tensor *trace_input(trace *t, moth_dtype dtype, int rank, const int64_t *shape);
moth_status trace_compile(trace *t, int64_t capacity);
void trace_close(trace *t);

/* Element i of output k of the last run. */
double out_element(const trace *t, int k, int64_t i);

/* first, first + step, … */
moth_tensor *floats(moth_ctx *ctx, int rank, const int64_t *shape, double first, double step);
moth_tensor *ints(moth_ctx *ctx, int64_t n, const int32_t *data);

#endif
