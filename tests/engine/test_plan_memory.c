/* Memory of a plan: no allocation in a step, by moth's counters and by the process's allocator; every failed allocation
 * of tracing, compiling and running is an error that leaves nothing behind; the arena stays small. And the time that
 * compiling takes. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "plan_net.h"
#include "plan_ops.h"
#include "test.h"

/* ---- the process's allocator, counted ---- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(SANITIZED)
#define COUNTED 1

static atomic_long allocations;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

#define INTERPOSED __attribute__((visibility("default")))

INTERPOSED void *malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(size);
}

INTERPOSED void *calloc(size_t n, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(n, size);
}

INTERPOSED void *realloc(void *memory, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(memory, size);
}

INTERPOSED void *aligned_alloc(size_t alignment, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_memalign(alignment, size);
}

INTERPOSED int posix_memalign(void **out, size_t alignment, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    *out = __libc_memalign(alignment, size);
    return *out ? 0 : ENOMEM;
}
#endif

/* ---- a training step ---- */

enum { LAYERS = 3, ROWS = 130, WIDTH = 20 };

typedef struct training {
    moth_ctx *ctx;
    moth_arena arena;
    moth_plan *plan;
    moth_tensor *w[2 * LAYERS], *data[3]; /* inputs of a run: data set, positions, gradient of the loss rows */
} training;

static moth_status open_training(training *t)
{
    static const int64_t shapes[2][2] = { { WIDTH, WIDTH }, { WIDTH } };
    t->ctx = moth_ctx_new();
    if (!t->ctx) {
        return MOTH_ERR_MEMORY;
    }
    moth_ctx_set_threads(t->ctx, 3);
    for (int k = 0; k < 2 * LAYERS; k++) {
        MOTH_TRY(moth_tensor_zeros(t->ctx, MOTH_FLOAT32, 2 - k % 2, shapes[k % 2], &t->w[k]));
        t->w[k]->requires_grad = true;
        for (int64_t i = 0; i < moth_tensor_count(t->w[k]); i++) {
            moth_tensor_set_element(t->w[k], i, case_random((uint64_t)k, i) - 0.5);
        }
    }
    MOTH_TRY(moth_tensor_zeros(t->ctx, MOTH_FLOAT32, 2, (int64_t[]){ 500, WIDTH }, &t->data[0]));
    MOTH_TRY(moth_tensor_zeros(t->ctx, MOTH_INT32, 1, (int64_t[]){ ROWS }, &t->data[1]));
    return moth_tensor_zeros(t->ctx, MOTH_FLOAT32, 1, (int64_t[]){ ROWS }, &t->data[2]);
}

static void close_training(training *t)
{
    moth_plan_free(t->plan);
    moth_arena_free(&t->arena);
    release_all(2 * LAYERS, t->w);
    release_all(3, t->data);
    moth_ctx_free(t->ctx);
    *t = (training){ .plan = NULL };
}

static moth_status emit_step(training *t, moth_scope *s, moth_tensor *const *in, moth_tensor **loss)
{
    moth_tensor *grad[2 * LAYERS] = { 0 };
    moth_tensor *h = MOTH_DO(s, index, NULL, in[0], in[1]);
    for (int k = 0; k < LAYERS; k++) {
        h = MOTH_DO(s, tanh, NULL, MOTH_DO(s, linear, NULL, h, t->w[2 * k], t->w[2 * k + 1]));
    }
    *loss = MOTH_DO(s, sum, (&(moth_attrs){ .i = { 1, 1 } }), MOTH_DO(s, square, NULL, h));
    MOTH_TRY(s->status);
    MOTH_TRY(moth_gradients(t->ctx, 1, loss, &in[2], 2 * LAYERS, t->w, grad));
    for (int k = 0; k < 2 * LAYERS; k++) {
        MOTH_EMIT(s, &test_sgd, (&(moth_attrs){ .f = { 0.1 } }), t->w[k], grad[k]);
    }
    release_all(2 * LAYERS, grad);
    return s->status;
}

static moth_status compile_training(training *t)
{
    static const int64_t shapes[3][2] = { { 0, WIDTH }, { -1 }, { -1 } };
    moth_tensor *in[3] = { 0 }, *loss = NULL;
    const char *name = "loss";
    moth_graph graph;
    moth_scope scope;
    moth_status status = MOTH_OK;
    moth_trace_begin(t->ctx, &graph);
    moth_scope_open(&scope, t->ctx);
    for (int k = 0; k < 3 && status == MOTH_OK; k++) {
        status = moth_placeholder(t->ctx, k == 1 ? MOTH_INT32 : MOTH_FLOAT32, k == 0 ? 2 : 1, shapes[k], &in[k]);
    }
    if (status == MOTH_OK) {
        status = emit_step(t, &scope, in, &loss);
    }
    moth_trace_end(t->ctx, &graph);
    if (status == MOTH_OK) {
        moth_plan_spec spec = { .n_inputs = 3,
                                .inputs = in,
                                .n_outputs = 1,
                                .outputs = &loss,
                                .n_checks = 1,
                                .checks = &loss,
                                .check_names = &name,
                                .n_effects = (int)graph.n_effects,
                                .effects = graph.effects,
                                .capacity = ROWS };
        status = moth_plan_new(t->ctx, &spec, &t->arena, &t->plan);
    }
    moth_scope_close(&scope, 0, NULL, NULL);
    moth_graph_clear(&graph);
    release_all(3, in);
    return status;
}

static moth_status run_training(training *t)
{
    moth_run run = { .seed = 1, .step = 0 };
    return moth_plan_run(t->ctx, t->plan, ROWS, t->data, &run);
}

static void test_no_allocation(void)
{
    training t = { .plan = NULL };
    CHECK(open_training(&t) == MOTH_OK && compile_training(&t) == MOTH_OK && run_training(&t) == MOTH_OK);
    int64_t bytes = moth_live_bytes();
    moth_fail_alloc(1, true); /* an attempt would be an error */
#ifdef COUNTED
    free(malloc(1));
    CHECK(allocations > 0); /* the counter is in place */
    long before = allocations;
#endif
    for (int step = 0; step < 20; step++) {
        CHECK(run_training(&t) == MOTH_OK);
    }
#ifdef COUNTED
    CHECK_THAT(allocations == before, "%ld allocations in 20 steps", allocations - before);
#endif
    moth_fail_alloc(0, false);
    CHECK(moth_live_bytes() == bytes);
    close_training(&t);
}

/* Every allocation fails once, alone and with all that follow; without the fault the same call then succeeds. */
static void test_failed_allocations(void)
{
    for (int persistent = 0; persistent < 2; persistent++) {
        int64_t blocks = moth_live_blocks();
        moth_status status = MOTH_ERR_MEMORY;
        int nth = 0;
        for (nth = 1; status != MOTH_OK && nth < 100000; nth++) {
            training t = { .plan = NULL };
            moth_fail_alloc(nth, persistent);
            status = open_training(&t);
            status = status == MOTH_OK ? compile_training(&t) : status;
            status = status == MOTH_OK ? run_training(&t) : status;
            moth_fail_alloc(0, false);
            if (status != MOTH_OK && status != MOTH_ERR_MEMORY) {
                CHECK_THAT(false, "allocation %d: %s", nth, moth_status_name(status));
            }
            close_training(&t);
            if (moth_live_blocks() != blocks) {
                CHECK_THAT(false, "allocation %d leaves %d blocks", nth, (int)(moth_live_blocks() - blocks));
                blocks = moth_live_blocks();
            }
        }
        CHECK(nth > 100 && status == MOTH_OK);
    }
}

/* ---- size of the arena ---- */

/* A chain of n products of `rows` rows for inference: two values are alive at a time. */
static moth_status compile_chain(training *t, int n, bool gradients)
{
    const int64_t shape[] = { -1, WIDTH };
    moth_tensor *x, *seed = NULL, *grad[2] = { 0 }, *out[3];
    moth_graph graph;
    moth_scope s;
    moth_trace_begin(t->ctx, &graph);
    moth_scope_open(&s, t->ctx);
    MOTH_TRY(moth_placeholder(t->ctx, MOTH_FLOAT32, 2, shape, &x));
    MOTH_TRY(moth_placeholder(t->ctx, MOTH_FLOAT32, 2, shape, &seed));
    out[0] = x;
    for (int k = 0; k < n; k++) {
        out[0] = MOTH_DO(&s, tanh, NULL, MOTH_DO(&s, linear, NULL, out[0], t->w[0], t->w[1]));
    }
    MOTH_TRY(s.status);
    if (gradients) {
        MOTH_TRY(moth_gradients(t->ctx, 1, out, &seed, 2, t->w, grad));
        MOTH_EMIT(&s, &test_sgd, (&(moth_attrs){ .f = { 0.1 } }), t->w[0], grad[0]);
        MOTH_EMIT(&s, &test_sgd, (&(moth_attrs){ .f = { 0.1 } }), t->w[1], grad[1]);
    }
    moth_trace_end(t->ctx, &graph);
    moth_plan_spec spec = { .n_inputs = 2,
                            .inputs = (moth_tensor *[]){ x, seed },
                            .n_outputs = 1,
                            .outputs = out,
                            .n_effects = (int)graph.n_effects,
                            .effects = graph.effects,
                            .capacity = ROWS };
    moth_status status = moth_plan_new(t->ctx, &spec, &t->arena, &t->plan);
    moth_scope_close(&s, 0, NULL, NULL);
    moth_graph_clear(&graph);
    release_all(2, grad);
    moth_tensor_release(x);
    moth_tensor_release(seed);
    return status;
}

static void test_arena_size(void)
{
    training t = { .plan = NULL };
    CHECK(open_training(&t) == MOTH_OK && compile_chain(&t, 100, false) == MOTH_OK);
    const size_t value = (ROWS * WIDTH * sizeof(moth_real) + 63) / 64 * 64;
    CHECK_THAT(t.arena.size <= 3 * value, "the arena of a chain holds %zu values", t.arena.size / value);
    close_training(&t);
}

/* ---- a long graph ---- */

static void test_long_chain(void)
{
    training t = { .plan = NULL };
    CHECK(open_training(&t) == MOTH_OK);
    CHECK(compile_chain(&t, 1000, true) == MOTH_OK); /* with gradients: about 7000 steps */
    moth_tensor *in[2];
    for (int k = 0; k < 2; k++) {
        CHECK(moth_tensor_zeros(t.ctx, MOTH_FLOAT32, 2, (int64_t[]){ ROWS, WIDTH }, &in[k]) == MOTH_OK);
    }
    moth_run run = { .seed = 1, .step = 0 };
    CHECK(moth_plan_run(t.ctx, t.plan, ROWS, in, &run) == MOTH_OK);
    release_all(2, in);
    close_training(&t);
}

int main(void)
{
    test_no_allocation();
    test_failed_allocations();
    test_arena_size();
    test_long_chain();
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
