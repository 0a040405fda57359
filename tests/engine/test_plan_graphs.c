/* Graphs and inputs that a plan refuses, graphs that need the exact number of rows, and what belongs to one region. */
#include "plan_ops.h"
#include "plan_trace.h"
#include "test.h"

/* ---- wrong use ---- */

static void test_wrong_inputs(void)
{
    trace t;
    trace_open(&t);
    moth_tensor *x = trace_input(&t, MOTH_FLOAT32, SHAPE(-2, 3)), *turned;
    t.out[t.n_out++] = MOTH_DO(&t.scope, exp, NULL, x);
    CHECK(trace_compile(&t, 5) == MOTH_OK);
    moth_tensor *good = floats(t.ctx, SHAPE(4, 3), 0, 0), *bad = floats(t.ctx, SHAPE(3, 3), 0, 0), *whole = NULL;
    CHECK(moth_plan_run(t.ctx, t.plan, 2, &good, &no_draws) == MOTH_OK);
    CHECK(moth_tensor_dim(moth_plan_output(t.plan, 0), 0) == 4);
    CHECK(moth_plan_run(t.ctx, t.plan, 6, &good, &no_draws) == MOTH_ERR_ARGUMENT);
    CHECK_TEXT(moth_error(t.ctx), "plan: takes 0 to 5 rows; got 6");
    CHECK(moth_plan_run(t.ctx, t.plan, -1, &good, &no_draws) == MOTH_ERR_ARGUMENT);
    CHECK(moth_plan_run(t.ctx, t.plan, 3, &good, &no_draws) == MOTH_ERR_SHAPE);
    CHECK_TEXT(moth_error(t.ctx), "plan: input 1 of a run of 3 rows must be (2*batch, 3); got (4, 3)");
    CHECK(moth_plan_run(t.ctx, t.plan, 2, &bad, &no_draws) == MOTH_ERR_SHAPE);
    CHECK(moth_tensor_from_ints(t.ctx, SHAPE(4, 3), (int32_t[12]){ 0 }, &whole) == MOTH_OK);
    CHECK(moth_plan_run(t.ctx, t.plan, 2, &whole, &no_draws) == MOTH_ERR_DTYPE);
    CHECK_TEXT(moth_error(t.ctx), "plan: input 1 must be float32; got int32");
    moth_tensor *tall = floats(t.ctx, SHAPE(3, 4), 0, 0);
    CHECK(moth_apply1(t.ctx, MOTH_OP_transpose, I(0, 1), 1, &tall, &turned) == MOTH_OK);
    CHECK(moth_plan_run(t.ctx, t.plan, 2, &turned, &no_draws) == MOTH_ERR_ARGUMENT);
    CHECK_TEXT(moth_error(t.ctx), "plan: input 1 must have its data in contiguous memory");
    moth_tensor_drop_storage(good);
    CHECK(moth_plan_run(t.ctx, t.plan, 2, &good, &no_draws) == MOTH_ERR_ARGUMENT);
    moth_tensor *none = floats(t.ctx, SHAPE(0, 3), 0, 0);
    CHECK(moth_plan_run(t.ctx, t.plan, 0, &none, &no_draws) == MOTH_OK);
    CHECK(moth_tensor_count(moth_plan_output(t.plan, 0)) == 0);
    moth_tensor *all[] = { good, bad, whole, tall, turned, none };
    release_all(6, all);
    trace_close(&t);
}

static void test_wrong_graphs(void)
{
    trace t, other;
    trace_open(&other);
    moth_tensor *foreign = trace_input(&other, MOTH_FLOAT32, SHAPE(-1));
    trace_open(&t);
    t.out[t.n_out++] = MOTH_DO(&t.scope, exp, NULL, foreign);
    CHECK(trace_compile(&t, 2) == MOTH_ERR_STATE);
    CHECK_TEXT(moth_error(t.ctx), "plan: the graph uses a symbolic tensor of another trace");
    trace_close(&t);
    CHECK(trace_compile(&other, 2) == MOTH_OK);
    trace_close(&other);

    trace_open(&t); /* rows of a data set of any size are no rows of the run */
    moth_tensor *set = trace_input(&t, MOTH_UINT8, SHAPE(0, 4));
    t.out[t.n_out++] = MOTH_DO(&t.scope, exp, NULL, set);
    CHECK(trace_compile(&t, 2) == MOTH_ERR_ARGUMENT);
    CHECK_TEXT(moth_error(t.ctx), "exp: takes a whole data set; take the rows of the batch first");
    trace_close(&t);

    trace_open(&t); /* only variables change, and only as they lie in memory */
    moth_tensor *x = trace_input(&t, MOTH_FLOAT32, SHAPE(3));
    MOTH_EMIT(&t.scope, &test_assign, NULL, MOTH_DO(&t.scope, exp, NULL, x), x);
    CHECK(trace_compile(&t, 1) == MOTH_ERR_ARGUMENT);
    CHECK_TEXT(moth_error(t.ctx), "assign: tensor 1 must be a variable in contiguous memory");
    trace_close(&t);

    trace_open(&t);
    moth_tensor *w = floats(t.ctx, SHAPE(3, 2), 0, 0), *y = trace_input(&t, MOTH_FLOAT32, SHAPE(2, 3));
    MOTH_EMIT(&t.scope, &test_assign, NULL, MOTH_DO(&t.scope, transpose, I(0, 1), w), y);
    CHECK(trace_compile(&t, 1) == MOTH_ERR_ARGUMENT);
    moth_tensor_release(w);
    trace_close(&t);
}

/* ---- graphs that put the rows elsewhere ---- */

static void check_exact(trace *t, const char *name, const moth_attrs *attrs, int n_in, moth_tensor *const *in)
{
    moth_tensor *out[MAX_CASE_OUTPUTS];
    moth_status status = moth_apply(t->ctx, moth_op_named(t->ctx, name), attrs, n_in, in, out, false);
    CHECK_THAT(status == MOTH_ERR_EXACT_BATCH, "%s: %s", name, moth_status_name(status));
    CHECK_THAT(strncmp(moth_error(t->ctx), name, strlen(name)) == 0, "%s: %s", name, moth_error(t->ctx));
}

static void test_exact_batch(void)
{
    trace t;
    trace_open(&t);
    moth_tensor *x = trace_input(&t, MOTH_FLOAT32, SHAPE(-1, 3)), *v = trace_input(&t, MOTH_FLOAT32, SHAPE(-1));
    moth_tensor *ids = trace_input(&t, MOTH_INT32, SHAPE(-1)), *w = floats(t.ctx, SHAPE(5, 3), 0, 0);
    moth_tensor *double_x = MOTH_DO(&t.scope, cat, I(0), x, x), *xx[] = { x, x };
    CHECK(double_x && double_x->meta.shape[0] == -2);
    check_exact(&t, "matmul", I(0, 1), 2, xx);                            /* B x B */
    check_exact(&t, "matmul", NULL, 2, (moth_tensor *[]){ w, double_x }); /* inner dim */
    check_exact(&t, "linear", NULL, 2, (moth_tensor *[]){ w, x });        /* x as a weight */
    check_exact(&t, "transpose", I(0, 1), 1, &x);
    check_exact(&t, "permute", I(2, 1, 0), 1, &x);
    check_exact(&t, "unsqueeze", I(0), 1, &x);
    check_exact(&t, "reshape", I(2, 6, INT64_MIN), 1, &x);
    check_exact(&t, "reshape", I(1, 12), 1, &x);
    check_exact(&t, "expand", I(3, 2, INT64_MIN, INT64_MIN), 1, &x);
    check_exact(&t, "slice", I(0, 0, 2), 1, &x);
    check_exact(&t, "cat", I(0), 2, (moth_tensor *[]){ x, w });
    check_exact(&t, "index", I(1), 2, (moth_tensor *[]){ w, ids });
    check_exact(&t, "add", NULL, 2, (moth_tensor *[]){ x, v }); /* B in the last dim */
    check_exact(&t, "add", NULL, 2, (moth_tensor *[]){ x, w }); /* B against 5: the run tells */
    check_exact(&t, "add", NULL, 2, (moth_tensor *[]){ x, double_x });
    CHECK(trace_compile(&t, 2) == MOTH_OK);
    moth_tensor_release(w);
    trace_close(&t);
}

/* ---- what is in one region ---- */

static int count_of(const char *text, const char *word)
{
    int n = 0;
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) {
        n++;
    }
    return n;
}

/* Forward and backward of a dense net with a loss by rows are one region; each weight's gradient and its update are
 * another; one barrier stands between. */
static void test_regions(void)
{
    trace t;
    trace_open(&t);
    moth_tensor *w[] = { floats(t.ctx, SHAPE(7, 40), 0, 0), floats(t.ctx, SHAPE(40), 0, 0),
                         floats(t.ctx, SHAPE(40, 3), 0, 0) };
    moth_tensor *x = trace_input(&t, MOTH_FLOAT32, SHAPE(-1, 7)), *seed = trace_input(&t, MOTH_FLOAT32, SHAPE(-1));
    moth_tensor *grad[3];
    for (int k = 0; k < 3; k++) {
        w[k]->requires_grad = true;
    }
    moth_scope *s = &t.scope;
    moth_tensor *h = MOTH_DO(s, relu, NULL, MOTH_DO(s, linear, NULL, x, w[0], w[1]));
    moth_tensor *loss = MOTH_DO(s, sum, I(1, 1), MOTH_DO(s, square, NULL, MOTH_DO(s, linear, NULL, h, w[2])));
    CHECK(moth_gradients(t.ctx, 1, &loss, &seed, 3, w, grad) == MOTH_OK);
    for (int k = 0; k < 3; k++) {
        MOTH_EMIT(s, &test_sgd, &(moth_attrs){ .f = { 0.1 } }, w[k], grad[k]);
    }
    t.out[t.n_out++] = t.check[t.n_checks++] = loss;
    /* a penalty on a weight, in stages of its own, holds up no update */
    t.out[t.n_out++] = MOTH_DO(s, sqrt, NULL, MOTH_DO(s, sum, NULL, MOTH_DO(s, square, NULL, w[2])));
    CHECK(trace_compile(&t, 128) == MOTH_OK);
    char *text = moth_plan_describe(t.plan);
    CHECK(count_of(text, "\n") == 9 + 2 * 3 + 3);
    CHECK(count_of(text, "stage 0  region 0 ") == 9);
    CHECK(count_of(text, "stage 0 ") == 10 && count_of(text, "stage 1 ") == 7 && count_of(text, "stage 2 ") == 1);
    CHECK(count_of(text, "changed\n") == 3);
    int pairs = 0;
    for (int r = 1; r < 8; r++) {
        char word[32];
        snprintf(word, sizeof word, "stage 1  region %d ", r);
        pairs += count_of(text, word) == 2;
    }
    CHECK_THAT(pairs == 3, "%s", text);
    moth_free(text);
    release_all(3, grad);
    release_all(3, w);
    trace_close(&t);
}

int main(void)
{
    test_wrong_inputs();
    test_wrong_graphs();
    test_exact_batch();
    test_regions();
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
