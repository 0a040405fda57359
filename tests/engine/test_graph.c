/* The graph and the tape: what is recorded, who keeps it alive, what must not be changed, what is refused. */
#include "apply.h"

#include "autograd/autograd.h"
#include "plan_ops.h"

static moth_tensor *variable(int rank, const int64_t *shape, const float *data)
{
    moth_tensor *t = floats(rank, shape, data);
    t->requires_grad = true;
    return t;
}

static moth_status backward(moth_tensor *y)
{
    return y ? moth_backward(ctx, y, NULL) : ctx->status;
}

/* ---- gradients arrive where they should ---- */

static void test_backward(void)
{
    moth_tensor *x = variable(SHAPE(3), FLOATS(1, 2, 3)), *w = floats(SHAPE(3), FLOATS(4, 5, 6));
    moth_tensor *y = DO(sum, NULL, DO(mul, NULL, DO(mul, NULL, x, x), w)); /* x used twice */
    CHECK(y->requires_grad && !w->requires_grad);
    CHECK(backward(y) == MOTH_OK);
    CHECK_VALUES(x->grad, 0, 8, 20, 36);
    CHECK(w->grad == NULL);
    CHECK(backward(DO(sum, NULL, DO(mul, NULL, x, w))) == MOTH_OK); /* adds up */
    CHECK_VALUES(x->grad, 0, 12, 25, 42);
    CHECK(x->grad->storage != w->storage);
    release_live();
}

/* A gradient is memory of its own, also where the rule passes the arriving one on. */
static void test_own_gradients(void)
{
    moth_tensor *a = variable(0, NULL, FLOATS(1)), *b = variable(0, NULL, FLOATS(2));
    CHECK(backward(DO(add, NULL, a, b)) == MOTH_OK);
    CHECK(a->grad && b->grad && a->grad->storage != b->grad->storage);
    CHECK(backward(a) == MOTH_OK); /* of itself */
    CHECK_VALUES(a->grad, 0, 2);
    release_live();
}

/* A float32 result of an integer input has no history; neither has one made while recording is off. */
static void test_not_recorded(void)
{
    moth_tensor *x = variable(SHAPE(2), FLOATS(1, 2));
    CHECK(!DO(argmax, NULL, x)->requires_grad && !DO(gt, NULL, x, x)->requires_grad);
    ctx->grad_enabled = false;
    moth_tensor *y = DO(exp, NULL, x);
    ctx->grad_enabled = true;
    CHECK(!y->requires_grad && !y->node);
    CHECK(!DO(floor, NULL, x)->requires_grad); /* not differentiable */
    CHECK(backward(DO(sum, NULL, y)) == MOTH_ERR_STATE);
    CHECK_TEXT(moth_error(ctx),
               "backward: the value does not depend on a tensor with requires_grad (second derivatives "
               "are not supported)");
    CHECK(backward(DO(exp, NULL, x)) == MOTH_ERR_SHAPE);
    CHECK_TEXT(moth_error(ctx), "backward: needs one value; got (2,) (take the sum or the mean first)");
    release_live();
}

/* ---- what was saved must not have changed ---- */

static void test_changed_input(void)
{
    moth_tensor *x = variable(SHAPE(2), FLOATS(1, 2)), *w = floats(SHAPE(2), FLOATS(3, 4));
    moth_tensor *product = DO(sum, NULL, DO(mul, NULL, x, w)), *sum = DO(sum, NULL, DO(add, NULL, x, w));
    CHECK(moth_tensor_copy_into(ctx, w, floats(SHAPE(2), FLOATS(0, 0))) == MOTH_OK);
    CHECK(backward(product) == MOTH_ERR_STATE);
    CHECK_TEXT(moth_error(ctx), "backward: input 2 of 'mul' was changed in place after it was used; its gradient needs "
                                "the old value");
    CHECK(x->grad == NULL);          /* all or nothing */
    CHECK(backward(sum) == MOTH_OK); /* needs no values */
    CHECK_VALUES(x->grad, 0, 1, 1);
    release_live();
}

static void test_changed_result(void)
{
    moth_tensor *x = variable(SHAPE(2), FLOATS(1, 2)), *y = DO(exp, NULL, x), *loss = DO(sum, NULL, y);
    moth_tensor *view = DO(slice, ATTRS(0, 0, 1), y); /* another handle on the same memory */
    CHECK(moth_tensor_copy_into(ctx, view, floats(SHAPE(1), FLOATS(0))) == MOTH_OK);
    CHECK(backward(loss) == MOTH_ERR_STATE);
    CHECK_TEXT(moth_error(ctx), "backward: the result of 'exp' was changed in place; its gradient needs the old value");
    release_live();
}

/* Changes of variables by ops count as well. */
static void test_changed_by_op(void)
{
    moth_tensor *x = variable(SHAPE(2), FLOATS(1, 2)), *w = floats(SHAPE(2), FLOATS(3, 4));
    moth_tensor *loss = DO(sum, NULL, DO(mul, NULL, x, w));
    CHECK(moth_apply(ctx, &test_assign, NULL, 2, (moth_tensor *[]){ w, x }, NULL, true) == MOTH_OK);
    CHECK_VALUES(w, 0, 1, 2);
    CHECK(backward(loss) == MOTH_ERR_STATE);
    moth_tensor *turned = DO(transpose, ATTRS(0, 1), floats(SHAPE(2, 2), FLOATS(1, 2, 3, 4)));
    moth_tensor *value = floats(SHAPE(2, 2), FLOATS(0, 0, 0, 0));
    CHECK(moth_apply(ctx, &test_assign, NULL, 2, (moth_tensor *[]){ turned, value }, NULL, true) == MOTH_ERR_ARGUMENT);
    CHECK_TEXT(moth_error(ctx), "assign: tensor 1 must be contiguous");
    release_live();
}

static void test_released(void)
{
    moth_tensor *x = variable(SHAPE(2), FLOATS(1, 2)), *y = DO(exp, NULL, x), *loss = DO(sum, NULL, y);
    CHECK(backward(loss) == MOTH_OK);
    CHECK(backward(loss) == MOTH_ERR_STATE);
    CHECK_TEXT(moth_error(ctx),
               "backward: the graph of 'sum' was freed by an earlier backward; compute the loss again");
    CHECK(backward(DO(sum, NULL, y)) == MOTH_ERR_STATE); /* a part of it */
    CHECK_TEXT(moth_error(ctx),
               "backward: the graph of 'exp' was freed by an earlier backward; compute the loss again");
    CHECK_VALUES(x->grad, 1e-6, exp(1), exp(2));
    release_live();
}

/* moth_gradients keeps the graph, and hands out NULL where nothing arrives. */
static void test_gradients(void)
{
    moth_tensor *x = variable(SHAPE(2), FLOATS(1, 2)), *other = variable(SHAPE(2), FLOATS(1, 2)), *dx[2];
    moth_tensor *y = DO(square, NULL, x), *seed = floats(SHAPE(2), FLOATS(1, 10));
    for (int k = 0; k < 2; k++) {
        CHECK(moth_gradients(ctx, 1, &y, &seed, 2, (moth_tensor *[]){ x, other }, dx) == MOTH_OK);
        CHECK_VALUES(dx[0], 0, 2, 40);
        CHECK(dx[1] == NULL && x->grad == NULL);
        moth_tensor_release(dx[0]);
    }
    moth_tensor *wrong = floats(SHAPE(3), FLOATS(1, 1, 1));
    CHECK(moth_gradients(ctx, 1, &y, &wrong, 1, &x, dx) == MOTH_ERR_SHAPE);
    CHECK_TEXT(moth_error(ctx), "backward: the gradient must have the shape of the value; got (3,) for (2,)");
    moth_ctx_interrupt(ctx);
    CHECK(moth_gradients(ctx, 1, &y, &seed, 1, &x, dx) == MOTH_ERR_INTERRUPTED);
    *ctx->interrupt = 0;
    release_live();
}

/* ---- long and wide graphs ---- */

/* A chain of many steps neither overflows the stack when it is walked nor when it is let go. */
static void test_long_chain(void)
{
    enum { STEPS = 200000 }; /* at 40 bytes a frame, recursion would need more than a stack of 8 MB */
    int64_t blocks = moth_live_blocks();
    moth_tensor *x = variable(SHAPE(1), FLOATS(1)), *y = moth_tensor_retain(x);
    for (int k = 0; k < STEPS && y; k++) {
        moth_tensor *next = NULL;
        moth_status status = moth_apply1(ctx, MOTH_OP_neg, NULL, 1, &y, &next);
        moth_tensor_release(y);
        y = status == MOTH_OK ? next : NULL;
    }
    CHECK(y && backward(y) == MOTH_OK);
    CHECK_VALUES(x->grad, 0, 1);
    moth_tensor_release(y);
    release_live();
    CHECK(moth_live_blocks() == blocks);
}

/* Let go without a backward; and through views. */
static void test_long_chain_dropped(void)
{
    int64_t blocks = moth_live_blocks();
    moth_tensor *y = NULL;
    moth_tensor *x = variable(SHAPE(2, 3), FLOATS(1, 2, 3, 4, 5, 6));
    y = moth_tensor_retain(x);
    for (int k = 0; k < 100000 && y; k++) {
        moth_tensor *next = NULL;
        moth_op_id id = k % 2 ? MOTH_OP_exp : MOTH_OP_transpose;
        moth_status status = moth_apply1(ctx, id, ATTRS(0, 1), 1, &y, &next);
        moth_tensor_release(y);
        y = status == MOTH_OK ? next : NULL;
    }
    CHECK(y != NULL);
    moth_tensor_release(y);
    release_live();
    CHECK(moth_live_blocks() == blocks);
}

static void test_many_inputs(void)
{
    enum { N = 500 };
    static moth_tensor *part[N];
    for (int k = 0; k < N; k++) {
        part[k] = variable(SHAPE(1, 2), FLOATS((float)k, 1));
    }
    moth_tensor *all = apply(MOTH_OP_cat, ATTRS(0), N, part);
    CHECK(all && moth_tensor_dim(all, 0) == N);
    CHECK(backward(DO(sum, NULL, DO(mul, NULL, all, all))) == MOTH_OK);
    CHECK_VALUES(part[N - 1]->grad, 0, 2 * (N - 1), 2);
    CHECK_VALUES(part[0]->grad, 0, 0, 2);
    release_live();
}

/* ---- calls that cannot be right ---- */

static void test_wrong_calls(void)
{
    moth_tensor *x = floats(SHAPE(2), FLOATS(1, 2)), *none = NULL, *out = NULL;
    CHECK(moth_apply1(ctx, MOTH_OP_add, NULL, 1, &x, &out) == MOTH_ERR_ARGUMENT);
    CHECK_TEXT(moth_error(ctx), "add: takes 2 to 2 tensors, got 1");
    CHECK(moth_apply1(ctx, MOTH_OP_add, NULL, 2, (moth_tensor *[]){ x, none }, &out) == MOTH_ERR_ARGUMENT);
    CHECK_TEXT(moth_error(ctx), "add: tensor 2 is missing");
    CHECK(out == NULL);
    CHECK(moth_op_named(ctx, "add") == moth_op_of(ctx, MOTH_OP_add) && moth_op_named(ctx, "ad") == NULL);
    release_live();
}

/* ---- scopes ---- */

/* The first failure is kept; what follows it is not computed. */
static void test_scope(void)
{
    int64_t blocks = moth_live_blocks();
    moth_scope s;
    moth_tensor *x = floats(SHAPE(2), FLOATS(1, 2)), *y = floats(SHAPE(3), FLOATS(1, 2, 3)), *kept[2];
    moth_scope_open(&s, ctx);
    moth_tensor *good = MOTH_DO(&s, exp, NULL, x);
    CHECK(good && s.status == MOTH_OK);
    moth_tensor *bad = MOTH_DO(&s, add, NULL, x, y);
    CHECK(!bad && s.status == MOTH_ERR_SHAPE && !MOTH_DO(&s, exp, NULL, bad) && !MOTH_DO(&s, exp, NULL, x));
    CHECK(moth_scope_close(&s, 1, &good, kept) == MOTH_ERR_SHAPE);
    moth_scope_open(&s, ctx);
    good = MOTH_DO(&s, neg, NULL, MOTH_DO(&s, exp, NULL, x));
    CHECK(moth_scope_close(&s, 2, (moth_tensor *[]){ good, NULL }, kept) == MOTH_OK);
    CHECK_VALUES(kept[0], 1e-6, -exp(1), -exp(2));
    CHECK(kept[1] == NULL);
    moth_tensor_release(kept[0]);
    release_live();
    CHECK(moth_live_blocks() == blocks);
}

/* ---- tracing ---- */

static void test_trace(void)
{
    moth_graph outer, inner;
    moth_tensor *p = NULL, *w = floats(SHAPE(2), FLOATS(1, 2)), *x = floats(SHAPE(2), FLOATS(3, 4));
    CHECK(moth_placeholder(ctx, MOTH_FLOAT32, SHAPE(-1, 2), &p) == MOTH_OK);
    own(p);
    moth_trace_begin(ctx, &outer);
    CHECK(moth_tensor_is_symbolic(DO(exp, NULL, w))); /* captured tensors are read at each run */
    moth_trace_begin(ctx, &inner);
    CHECK(moth_apply(ctx, &test_assign, NULL, 2, (moth_tensor *[]){ w, x }, NULL, true) == MOTH_OK);
    moth_trace_end(ctx, &inner);
    CHECK(inner.n_effects == 1 && outer.n_effects == 0 && inner.effects[0]->op == &test_assign);
    CHECK_VALUES(w, 0, 1, 2); /* not yet */
    moth_tensor *y = DO(exp, NULL, p);
    CHECK(y && y->meta.shape[0] == -1);
    CHECK(moth_backward(ctx, y, NULL) == MOTH_ERR_TRACING);
    CHECK_TEXT(moth_error(ctx),
               "backward: value not known while tracing; a compiled function returns the loss instead");
    moth_trace_end(ctx, &outer);
    moth_graph_clear(&inner);
    moth_graph_clear(&outer);
    CHECK(ctx->trace == NULL && !moth_tensor_is_symbolic(DO(exp, NULL, w)));
    /* without a trace a symbolic value can be assigned to nothing */
    moth_tensor *q = NULL;
    CHECK(moth_placeholder(ctx, MOTH_FLOAT32, SHAPE(2), &q) == MOTH_OK);
    own(q);
    CHECK(moth_apply(ctx, &test_assign, NULL, 2, (moth_tensor *[]){ w, q }, NULL, true) == MOTH_ERR_STATE);
    CHECK_TEXT(moth_error(ctx), "assign: a symbolic value can be assigned only while tracing");
    CHECK(moth_placeholder(ctx, MOTH_FLOAT32, 9, (int64_t[9]){ 1 }, &q) == MOTH_ERR_SHAPE);
    release_live();
}

/* The fault that is reported is that of the first bad row, however many threads found one. */
static void test_first_fault(void)
{
    enum { N = 100000 };
    static int32_t ids[N];
    ids[70000] = 7;
    ids[N - 1] = -9;
    moth_tensor *x = floats(SHAPE(3), FLOATS(1, 2, 3)), *positions = ints(SHAPE(N), ids);
    for (int threads = 1; threads <= 3; threads++) {
        CHECK(moth_ctx_set_threads(ctx, threads) == MOTH_OK);
        CHECK_ERROR(DO(index, ATTRS(0), x, positions), MOTH_ERR_INDEX,
                    "index: position 7 is outside a dim of size 3 (counted from 0)");
    }
    release_live();
}

int main(void)
{
    ctx = moth_ctx_new();
    test_backward();
    test_own_gradients();
    test_not_recorded();
    test_changed_input();
    test_changed_result();
    test_changed_by_op();
    test_released();
    test_gradients();
    test_long_chain();
    test_long_chain_dropped();
    test_many_inputs();
    test_wrong_calls();
    test_scope();
    test_trace();
    test_first_fault();
    moth_ctx_free(ctx);
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
