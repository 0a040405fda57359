/* What a plan promises beyond equal numbers: effects, checks, faults, interruption, shared memory, leaves. */
#include "plan_net.h"
#include "plan_ops.h"
#include "plan_trace.h"
#include "test.h"

#define F(rank_, ...)                                                                          \
    {                                                                                          \
        .rank = (rank_), .shape = { __VA_ARGS__ }, .dtype = MOTH_FLOAT32, .low = -1, .high = 1 \
    }

/* ---- effects ---- */

/* A variable that is assigned in the middle of a trace: whoever computes with it sees the old value, also where it was
 * recorded later; only effects see each other, in order. */
static void test_effect_order(void)
{
    trace t;
    trace_open(&t);
    moth_tensor *w = floats(t.ctx, SHAPE(4), 1, 0), *mean = floats(t.ctx, SHAPE(4), 0, 0);
    moth_tensor *x = trace_input(&t, MOTH_FLOAT32, SHAPE(4));
    t.out[t.n_out++] = MOTH_DO(&t.scope, add, NULL, w, x);
    MOTH_EMIT(&t.scope, &test_assign, NULL, w, x);
    moth_tensor *late = MOTH_DO(&t.scope, mul, NULL, w, x); /* recorded after the change, means the old value */
    MOTH_EMIT(&t.scope, &test_average, NULL, mean, w);      /* an effect: sees the new one */
    MOTH_EMIT(&t.scope, &test_average, NULL, w, late);
    CHECK(trace_compile(&t, 1) == MOTH_OK);
    moth_tensor *data = floats(t.ctx, SHAPE(4), 10, 0);
    uint64_t version = w->storage->version;
    CHECK(moth_plan_run(t.ctx, t.plan, 1, &data, &no_draws) == MOTH_OK);
    CHECK_NEAR(out_element(&t, 0, 3), 11, 0);
    CHECK_NEAR(moth_tensor_element(mean, 2), 5, 0); /* (0 + 10) / 2 */
    CHECK_NEAR(moth_tensor_element(w, 1), 10, 0);   /* (10 + 1 * 10) / 2 */
    CHECK(w->storage->version > version);
    CHECK(moth_plan_run(t.ctx, t.plan, 1, &data, &no_draws) == MOTH_OK);
    CHECK_NEAR(out_element(&t, 0, 0), 20, 0);
    CHECK_NEAR(moth_tensor_element(w, 0), 55, 0); /* (10 + 10 * 10) / 2 */
    moth_tensor_release(data);
    moth_tensor_release(w);
    moth_tensor_release(mean);
    trace_close(&t);
}

/* Two variables as views of one buffer do not wait for each other; the buffer as a whole waits for both. */
static void test_flat_buffer(void)
{
    trace t;
    trace_open(&t);
    moth_tensor *flat = floats(t.ctx, SHAPE(12), 1, 1), *part[2];
    for (int k = 0; k < 2; k++) {
        moth_meta m = { .dtype = MOTH_FLOAT32, .rank = 2, .shape = { 3, 2 } };
        moth_meta_set_contiguous(&m);
        m.offset = 6 * k;
        CHECK(moth_tensor_handle(t.ctx, &m, flat->storage, &part[k]) == MOTH_OK);
    }
    moth_tensor *x = trace_input(&t, MOTH_FLOAT32, SHAPE(3, 2)), *y = trace_input(&t, MOTH_FLOAT32, SHAPE(12));
    MOTH_EMIT(&t.scope, &test_assign, NULL, part[0], x);
    MOTH_EMIT(&t.scope, &test_average, NULL, part[1], part[0]);
    MOTH_EMIT(&t.scope, &test_average, NULL, flat, y);
    CHECK(trace_compile(&t, 1) == MOTH_OK);
    moth_tensor *data[] = { floats(t.ctx, SHAPE(3, 2), 101, 2), floats(t.ctx, SHAPE(12), 0, 0) };
    CHECK(moth_plan_run(t.ctx, t.plan, 1, data, &no_draws) == MOTH_OK);
    CHECK_NEAR(moth_tensor_element(flat, 0), 101 / 2., 0);
    CHECK_NEAR(moth_tensor_element(flat, 6), (7 + 101) / 4., 0);
    CHECK_NEAR(moth_tensor_element(flat, 11), (12 + 111) / 4., 0);
    release_all(2, data);
    release_all(2, part);
    moth_tensor_release(flat);
    trace_close(&t);
}

/* A change that has a result: what reads it comes after the change. It cannot be checked before it happens. */
static void test_effect_result(void)
{
    for (int checked = 0; checked < 2; checked++) {
        trace t;
        trace_open(&t);
        moth_tensor *w = floats(t.ctx, SHAPE(3), 1, 1);
        moth_tensor *taken = MOTH_EMIT(&t.scope, &test_take, NULL, w);
        t.out[t.n_out++] = MOTH_DO(&t.scope, add, NULL, taken, w);
        t.check[0] = t.out[0];
        t.n_checks = checked;
        moth_status status = trace_compile(&t, 1);
        CHECK(status == (checked ? MOTH_ERR_STATE : MOTH_OK));
        if (checked) {
            CHECK_TEXT(moth_error(t.ctx), "plan: first is to be checked before the changes it depends on");
        } else {
            CHECK(moth_plan_run(t.ctx, t.plan, 1, NULL, &no_draws) == MOTH_OK);
            CHECK_NEAR(out_element(&t, 0, 2), 3, 0);
            CHECK_NEAR(moth_tensor_element(w, 2), 0, 0);
        }
        moth_tensor_release(w);
        trace_close(&t);
    }
}

/* An effect reads an earlier one's variable through a view that has to be copied: the new value. */
static void test_effect_reads_view(void)
{
    trace t;
    trace_open(&t);
    moth_tensor *w = floats(t.ctx, SHAPE(2, 3), 0, 0), *v = floats(t.ctx, SHAPE(3, 2), 0, 0);
    moth_tensor *x = trace_input(&t, MOTH_FLOAT32, SHAPE(2, 3));
    MOTH_EMIT(&t.scope, &test_assign, NULL, w, x);
    MOTH_EMIT(&t.scope, &test_assign, NULL, v, MOTH_DO(&t.scope, transpose, I(0, 1), w));
    CHECK(trace_compile(&t, 1) == MOTH_OK);
    moth_tensor *data = floats(t.ctx, SHAPE(2, 3), 1, 1);
    CHECK(moth_plan_run(t.ctx, t.plan, 1, &data, &no_draws) == MOTH_OK);
    CHECK_NEAR(moth_tensor_element(v, 1), 4, 0);
    CHECK_NEAR(moth_tensor_element(v, 4), 3, 0);
    moth_tensor_release(data);
    moth_tensor_release(w);
    moth_tensor_release(v);
    trace_close(&t);
}

/* ---- checks, faults, interruption: nothing has changed ---- */

static void test_checks(void)
{
    trace t;
    trace_open(&t);
    moth_tensor *w = floats(t.ctx, SHAPE(3), 1, 0);
    moth_tensor *x = trace_input(&t, MOTH_FLOAT32, SHAPE(-1, 3)), *y = trace_input(&t, MOTH_FLOAT32, SHAPE(-1, 3));
    moth_tensor *r = MOTH_DO(&t.scope, log, NULL, x);
    t.check[t.n_checks++] = MOTH_DO(&t.scope, sum, I(1, 1), r);
    t.check[t.n_checks++] = MOTH_DO(&t.scope, slice, I(1, 1, 2), y); /* a strided view */
    MOTH_EMIT(&t.scope, &test_assign, NULL, w, MOTH_DO(&t.scope, sum, I(1, 0), r));
    CHECK(trace_compile(&t, 70) == MOTH_OK);
    moth_tensor *data[] = { floats(t.ctx, SHAPE(70, 3), 1, 0), floats(t.ctx, SHAPE(70, 3), 1, 0) };
    CHECK(moth_plan_run(t.ctx, t.plan, 70, data, &no_draws) == MOTH_OK);
    CHECK_NEAR(moth_tensor_element(w, 0), 0, 0);
    moth_tensor_set_element(w, 0, 7);
    moth_tensor_set_element(data[1], 3 * 66 + 0, NAN); /* not in the slice */
    CHECK(moth_plan_run(t.ctx, t.plan, 70, data, &no_draws) == MOTH_OK);
    moth_tensor_set_element(w, 0, 7);
    moth_tensor_set_element(data[1], 3 * 66 + 1, INFINITY);
    CHECK(moth_plan_run(t.ctx, t.plan, 70, data, &no_draws) == MOTH_ERR_NONFINITE);
    CHECK_TEXT(moth_error(t.ctx), "second is inf at element 67 of the batch");
    moth_tensor_set_element(data[0], 3 * 5, 0);
    CHECK(moth_plan_run(t.ctx, t.plan, 70, data, &no_draws) == MOTH_ERR_NONFINITE);
    CHECK_TEXT(moth_error(t.ctx), "first is -inf at element 6 of the batch");
    CHECK_NEAR(moth_tensor_element(w, 0), 7, 0);
    release_all(2, data);
    moth_tensor_release(w);
    trace_close(&t);
}

static void test_check_type(void)
{
    trace t;
    trace_open(&t);
    moth_tensor *x = trace_input(&t, MOTH_INT32, SHAPE(-1));
    t.check[t.n_checks++] = x;
    CHECK(trace_compile(&t, 2) == MOTH_ERR_DTYPE);
    CHECK_TEXT(moth_error(t.ctx), "plan: first is int32; only float32 can be checked");
    trace_close(&t);
}

/* The first bad row is named, whatever the threads; effects that depend on nothing of it wait all the same. */
static void test_fault(void)
{
    trace t;
    trace_open(&t);
    moth_tensor *w = floats(t.ctx, SHAPE(3), 1, 0);
    moth_tensor *data = trace_input(&t, MOTH_FLOAT32, SHAPE(0, 3)), *ids = trace_input(&t, MOTH_INT32, SHAPE(-1));
    t.out[t.n_out++] = MOTH_DO(&t.scope, index, I(0), data, ids);
    MOTH_EMIT(&t.scope, &test_assign, NULL, w, MOTH_DO(&t.scope, exp, NULL, w));
    CHECK(trace_compile(&t, 200) == MOTH_OK);
    int32_t list[200] = { 0 };
    list[90] = 9;
    list[199] = -1;
    moth_tensor *in[] = { floats(t.ctx, SHAPE(9, 3), 0, 1), ints(t.ctx, 200, list) };
    for (int threads = 1; threads <= 3; threads++) {
        moth_ctx_set_threads(t.ctx, threads);
        CHECK(moth_plan_run(t.ctx, t.plan, 200, in, &no_draws) == MOTH_ERR_INDEX);
        CHECK_TEXT(moth_error(t.ctx), "index: position 9 is outside a dim of size 9 (counted from 0)");
        CHECK_NEAR(moth_tensor_element(w, 0), 1, 0);
    }
    moth_tensor_release(in[0]);
    in[0] = floats(t.ctx, SHAPE(10, 3), 0, 1); /* a larger data set: now only the last position is bad */
    moth_tensor_set_element(in[1], 199, 8);
    CHECK(moth_plan_run(t.ctx, t.plan, 200, in, &no_draws) == MOTH_OK);
    CHECK_NEAR(out_element(&t, 0, 3 * 90 + 2), 29, 0);
    CHECK_NEAR(out_element(&t, 0, 3 * 199), 24, 0);
    CHECK_NEAR(moth_tensor_element(w, 0), exp(1), 1e-6);
    release_all(2, in);
    moth_tensor_release(w);
    trace_close(&t);
}

static moth_ctx *to_interrupt;

static bool interrupt_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)r0;
    (void)r1;
    (void)worker;
    memset(call->in[0].data, 0, sizeof(moth_real));
    moth_ctx_interrupt(to_interrupt);
    return true;
}

static moth_status infer_nothing(moth_infer *q)
{
    (void)q;
    return MOTH_OK;
}

/* Sets the interrupt flag while the variables change. */
static const moth_op interrupting = { .name = "interrupting",
                                      .doc = "-",
                                      .min_in = 1,
                                      .max_in = 1,
                                      .infer = infer_nothing,
                                      .rows = interrupt_rows,
                                      .mutates = 1 };

static void test_interrupt(void)
{
    trace t;
    trace_open(&t);
    moth_tensor *w = floats(t.ctx, SHAPE(3), 1, 0), *v = floats(t.ctx, SHAPE(200000), 1, 0);
    moth_tensor *x = trace_input(&t, MOTH_FLOAT32, SHAPE(3));
    MOTH_EMIT(&t.scope, &interrupting, NULL, w);
    MOTH_EMIT(&t.scope, &test_average, NULL, v, MOTH_DO(&t.scope, mul, NULL, v, v));
    MOTH_EMIT(&t.scope, &test_assign, NULL, w, x);
    CHECK(trace_compile(&t, 1) == MOTH_OK);
    moth_tensor *data = floats(t.ctx, SHAPE(3), 5, 0);
    to_interrupt = t.ctx;
    for (int threads = 1; threads <= 3; threads++) {
        moth_ctx_set_threads(t.ctx, threads);
        moth_tensor_set_element(w, 0, 1);
        moth_tensor_set_element(v, 199999, 3);
        moth_ctx_interrupt(t.ctx);
        CHECK(moth_plan_run(t.ctx, t.plan, 1, &data, &no_draws) == MOTH_ERR_INTERRUPTED);
        CHECK_NEAR(moth_tensor_element(w, 0), 1, 0);
        CHECK_NEAR(moth_tensor_element(v, 199999), 3, 0);
        *t.ctx->interrupt = 0;
        CHECK(moth_plan_run(t.ctx, t.plan, 1, &data, &no_draws) == MOTH_OK); /* once begun, changes are completed */
        CHECK_NEAR(moth_tensor_element(w, 0), 5, 0);
        CHECK_NEAR(moth_tensor_element(v, 199999), 6, 0);
        *t.ctx->interrupt = 0;
    }
    moth_tensor_release(data);
    moth_tensor_release(w);
    moth_tensor_release(v);
    trace_close(&t);
}

/* ---- one arena for several plans ---- */

static int build_layers(const net *n, moth_scope *s, moth_tensor *const *in, moth_tensor *const *leaf,
                        moth_tensor **out)
{
    moth_tensor *h = MOTH_DO(s, tanh, NULL, MOTH_DO(s, linear, NULL, in[0], leaf[0]));
    out[0] = MOTH_DO(s, linear, NULL, h, leaf[1]);
    out[1] = MOTH_DO(s, mean, NULL, out[0]);
    (void)n;
    return 2;
}

static const net layers = { .name = "layers",
                            .build = build_layers,
                            .n_in = 1,
                            .n_leaf = 2,
                            .in = { F(2, -1, 7) },
                            .leaf = { F(2, 7, 40), F(2, 40, 3) } };

static void test_shared_arena(void)
{
    net predict = layers;
    predict.no_gradients = true;
    moth_ctx *ctx = moth_ctx_new();
    moth_arena arena = { 0 };
    moth_tensor *leaf[NET_LEAVES];
    net_leaves(ctx, &layers, leaf);
    net_plan a = net_compile(ctx, &predict, 3, &arena, leaf), b = net_compile(ctx, &layers, 100, &arena, leaf);
    net_plan c = net_compile(ctx, &predict, 200, &arena, leaf);
    for (int turn = 0; turn < 3; turn++) {
        const net_plan *plans[] = { &a, &b, &c };
        const net *nets[] = { &predict, &layers, &predict };
        const int64_t rows[] = { 3, 99, 200 };
        for (int k = 0; k < 3; k++) {
            net_run want = net_run_eager(ctx, nets[k], rows[k], turn, leaf);
            net_run got = net_run_plan(ctx, nets[k], plans[k], rows[k], turn, leaf);
            CHECK_THAT(net_same(&want, &got), "plan %d of three on one arena, turn %d", k, turn);
            net_release(&want);
            net_release(&got);
        }
    }
    moth_plan_free(a.plan);
    moth_plan_free(b.plan);
    moth_plan_free(c.plan);
    moth_arena_free(&arena);
    release_all(2, leaf);
    moth_ctx_free(ctx);
}

/* ---- leaves ---- */

/* A captured tensor that was itself computed eagerly is a leaf, also as a view and behind one. One with a recorded
 * gradient is refused: the gradient would end at it. */
static void test_captured_results(void)
{
    trace t;
    trace_open(&t);
    t.ctx->trace = NULL;
    moth_tensor *base = floats(t.ctx, SHAPE(2, 3), 1, 1), *square, *turned;
    CHECK(moth_apply1(t.ctx, MOTH_OP_square, NULL, 1, &base, &square) == MOTH_OK);
    CHECK(moth_apply1(t.ctx, MOTH_OP_transpose, I(0, 1), 1, &square, &turned) == MOTH_OK);
    moth_tensor *weight = floats(t.ctx, SHAPE(2, 2), 1, 1), *recorded, *none;
    weight->requires_grad = true;
    CHECK(moth_apply1(t.ctx, MOTH_OP_square, NULL, 1, &weight, &recorded) == MOTH_OK);
    t.ctx->trace = &t.graph;
    CHECK(moth_apply1(t.ctx, MOTH_OP_exp, NULL, 1, &recorded, &none) == MOTH_ERR_STATE);
    CHECK(strstr(moth_error(t.ctx), "comes from outside the traced function") != NULL);
    moth_tensor_release(recorded);
    moth_tensor_release(weight);
    moth_tensor *x = trace_input(&t, MOTH_FLOAT32, SHAPE(-1, 2));
    t.out[t.n_out++] = MOTH_DO(&t.scope, matmul, NULL, x, square);
    t.out[t.n_out++] = MOTH_DO(&t.scope, matmul, I(0, 1), x, turned);
    t.out[t.n_out++] = MOTH_DO(&t.scope, reshape, I(1, 6), MOTH_DO(&t.scope, slice, I(0, 0, 3), turned));
    CHECK(trace_compile(&t, 1) == MOTH_OK);
    moth_tensor_set_element(square, 0, 100); /* read anew at each run */
    moth_tensor *data = floats(t.ctx, SHAPE(1, 2), 1, 1);
    CHECK(moth_plan_run(t.ctx, t.plan, 1, &data, &no_draws) == MOTH_OK);
    CHECK_NEAR(out_element(&t, 0, 0), 100 + 2 * 16, 0);
    CHECK_NEAR(out_element(&t, 1, 2), 9 + 2 * 36, 0);
    CHECK_NEAR(out_element(&t, 2, 1), 16, 0);
    moth_tensor_release(data);
    moth_tensor_release(turned);
    moth_tensor_release(square);
    moth_tensor_release(base);
    trace_close(&t);
}

/* A variable may move to other memory after it was traced, but keeps its shape. */
static void test_moved_leaf(void)
{
    trace t;
    trace_open(&t);
    moth_tensor *w = floats(t.ctx, SHAPE(4), 1, 1), *flat = floats(t.ctx, SHAPE(10), 0, 10), *view;
    t.out[t.n_out++] = MOTH_DO(&t.scope, neg, NULL, MOTH_DO(&t.scope, slice, I(0, 1, 3), w));
    CHECK(trace_compile(&t, 1) == MOTH_OK);
    moth_meta m = w->meta;
    m.offset = 5;
    CHECK(moth_tensor_handle(t.ctx, &m, flat->storage, &view) == MOTH_OK);
    moth_tensor_rebind(w, view);
    CHECK(moth_plan_run(t.ctx, t.plan, 1, NULL, &no_draws) == MOTH_OK);
    CHECK_NEAR(out_element(&t, 0, 0), -60, 0);
    moth_tensor_rebind(w, flat);
    CHECK(moth_plan_run(t.ctx, t.plan, 1, NULL, &no_draws) == MOTH_ERR_STATE);
    CHECK_TEXT(moth_error(t.ctx), "plan: a captured tensor was traced with shape (4,) and now has shape (10,)");
    moth_tensor_release(view);
    moth_tensor_release(flat);
    moth_tensor_release(w);
    trace_close(&t);
}

int main(void)
{
    test_effect_order();
    test_flat_buffer();
    test_effect_result();
    test_effect_reads_view();
    test_checks();
    test_check_type();
    test_fault();
    test_interrupt();
    test_shared_arena();
    test_captured_results();
    test_moved_leaf();
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
