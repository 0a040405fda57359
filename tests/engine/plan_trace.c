#include "plan_trace.h"

#include <stdio.h>
#include <stdlib.h>

static void must(moth_status status)
{
    if (status != MOTH_OK) {
        fprintf(stderr, "a trace that must work: %s\n", moth_status_name(status));
        abort();
    }
}

void trace_open(trace *t)
{
    *t = (trace){ .ctx = moth_ctx_new(), .names = { "first", "second", "third", "fourth" } };
    moth_ctx_set_threads(t->ctx, 2);
    moth_trace_begin(t->ctx, &t->graph);
    moth_scope_open(&t->scope, t->ctx);
}

moth_tensor *trace_input(trace *t, moth_dtype dtype, int rank, const int64_t *shape)
{
    must(moth_placeholder(t->ctx, dtype, rank, shape, &t->in[t->n_in]));
    return t->in[t->n_in++];
}

moth_status trace_compile(trace *t, int64_t capacity)
{
    moth_trace_end(t->ctx, &t->graph);
    must(t->scope.status);
    moth_plan_spec spec = { .n_inputs = t->n_in,
                            .inputs = t->in,
                            .n_outputs = t->n_out,
                            .outputs = t->out,
                            .n_effects = (int)t->graph.n_effects,
                            .effects = t->graph.effects,
                            .n_checks = t->n_checks,
                            .checks = t->check,
                            .check_names = t->names,
                            .capacity = capacity };
    moth_status status = moth_plan_new(t->ctx, &spec, &t->arena, &t->plan);
    moth_scope_close(&t->scope, 0, NULL, NULL);
    moth_graph_clear(&t->graph);
    return status;
}

void trace_close(trace *t)
{
    moth_plan_free(t->plan);
    moth_arena_free(&t->arena);
    release_all(t->n_in, t->in);
    moth_ctx_free(t->ctx);
}

moth_tensor *floats(moth_ctx *ctx, int rank, const int64_t *shape, double first, double step)
{
    moth_tensor *t = NULL;
    must(moth_tensor_new(ctx, MOTH_FLOAT32, rank, shape, &t));
    for (int64_t i = 0; i < moth_tensor_count(t); i++) {
        moth_tensor_set_element(t, i, first + step * (double)i);
    }
    return t;
}

moth_tensor *ints(moth_ctx *ctx, int64_t n, const int32_t *data)
{
    moth_tensor *t = NULL;
    must(moth_tensor_from_ints(ctx, 1, &n, data, &t));
    return t;
}

double out_element(const trace *t, int k, int64_t i)
{
    return moth_tensor_element(moth_plan_output(t->plan, k), i);
}
