/* Ops that draw: their numbers against Philox computed word by word, the distributions, that an eager gradient uses the
 * mask of its own forward pass, and that a plan cut into slices gives the bits of an eager call. */
#include "apply.h"
#include "autograd/autograd.h"
#include "core/cpu.h"
#include "core/random.h"
#include "plan/plan.h"

enum { STREAM = 1234567, SEED = 1671 };

/* the word of an element as draw.h defines it */
static uint32_t word_of(uint64_t stream, uint64_t step, int64_t e)
{
    uint32_t words[4];
    moth_random_block(SEED, stream, step, (uint64_t)(64 * (e / 256) + e % 128 / 2), words);
    return words[2 * (e / 128 % 2) + e % 2];
}

static moth_attrs shape_attrs(uint64_t stream, int rank, const int64_t *shape)
{
    moth_attrs a = { .i = { (int64_t)stream, rank } };
    memcpy(a.i + 2, shape, (size_t)rank * sizeof *shape);
    return a;
}

static moth_tensor *draw(moth_op_id id, const moth_attrs *attrs)
{
    return apply(id, attrs, 0, NULL);
}

static void each_variant(void (*test)(void))
{
    const char *chosen = moth_ctx_cpu(ctx);
    for (int cpu = 0; cpu < MOTH_CPU_COUNT; cpu++) {
        if (moth_cpu_runs((moth_cpu)cpu)) {
            CHECK(moth_ctx_set_cpu(ctx, moth_cpu_name((moth_cpu)cpu)) == MOTH_OK);
            moth_seed(ctx, SEED);
            test();
            release_live();
        }
    }
    moth_ctx_set_cpu(ctx, chosen);
}

/* ---- numbers ---- */

static void check_uniform(void)
{
    const uint64_t stream = moth_stream(3, "a stream of 64 bits", 5);
    moth_attrs a = shape_attrs(stream, SHAPE(7, 131));
    a.f[0] = -2;
    a.f[1] = 3;
    for (uint64_t step = 0; step < 2; step++) { /* each eager draw is a step of its own */
        moth_tensor *t = draw(MOTH_OP_uniform, &a);
        double worst = 0;
        for (int64_t e = 0; e < 7 * 131; e++) {
            double want = -2 + 5 * (double)(word_of(stream, step, e) >> 8) * 0x1p-24;
            worst = fmax(worst, fabs(moth_tensor_element(t, e) - want));
        }
        CHECK_NEAR(worst, 0, 5e-7);
    }
}

static void check_normal(void)
{
    moth_attrs a = shape_attrs(STREAM, SHAPE(1000));
    a.f[1] = 1;
    moth_tensor *t = draw(MOTH_OP_normal, &a);
    double worst = 0;
    for (int64_t e = 0; e + 128 < 1000; e += e % 128 == 127 ? 129 : 1) {
        double pair[2];
        moth_normal_pair(word_of(STREAM, 0, e), word_of(STREAM, 0, e + 128), pair);
        double radius = hypot(pair[0], pair[1]);
        for (int k = 0; k < 2; k++) { /* where the radius is small, it is the root of a rounded logarithm */
            worst = fmax(worst, fabs(moth_tensor_element(t, e + 128 * k) - pair[k]) / (1 + 0.1 / radius));
        }
    }
    CHECK_NEAR(worst, 0, 1e-6);
}

static void check_random_int(void)
{
    moth_attrs a = shape_attrs(STREAM, SHAPE(300));
    a.i[10] = -5;
    a.i[11] = 7;
    moth_tensor *t = draw(MOTH_OP_random_int, &a);
    CHECK(t->meta.dtype == MOTH_INT32);
    for (int64_t e = 0; e < 300; e++) {
        double want = floor((double)word_of(STREAM, 0, e) * 13 * 0x1p-32) - 5;
        CHECK_NEAR(moth_tensor_element(t, e), want, 0);
    }
    a.i[10] = INT32_MIN;
    a.i[11] = INT32_MAX;
    t = draw(MOTH_OP_random_int, &a);
    for (int64_t e = 0; e < 300; e++) {
        CHECK_NEAR(moth_tensor_element(t, e), (double)word_of(STREAM, 1, e) - 2147483648.0, 0);
    }
}

static void check_dropout(void)
{
    moth_attrs a = { .i = { STREAM }, .f = { 0.3 } };
    moth_tensor *x = NULL;
    CHECK(moth_tensor_zeros(ctx, MOTH_FLOAT32, SHAPE(3, 200), &x) == MOTH_OK);
    own(x);
    for (int64_t e = 0; e < 600; e++) {
        moth_tensor_set_element(x, e, 1 + (double)e);
    }
    moth_tensor *y = DO(dropout, &a, x);
    for (int64_t e = 0; e < 600; e++) {
        bool kept = word_of(STREAM, 0, e) >= (uint32_t)(0.3 * 0x1p32);
        CHECK_NEAR(moth_tensor_element(y, e), kept ? (1 + (double)e) / 0.7 : 0, 1e-4);
    }
}

static void test_numbers(void)
{
    each_variant(check_uniform);
    each_variant(check_normal);
    each_variant(check_random_int);
    each_variant(check_dropout);
}

/* ---- distributions: a million draws, bounds of five standard errors ---- */

typedef struct moments {
    double mean, variance, skewness, kurtosis, low, high;
} moments;

static moments moments_of(const moth_tensor *t)
{
    moments m = { .low = INFINITY, .high = -INFINITY };
    int64_t n = moth_tensor_count(t);
    for (int64_t i = 0; i < n; i++) {
        m.mean += moth_tensor_element(t, i) / (double)n;
    }
    double third = 0, fourth = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = moth_tensor_element(t, i), d = x - m.mean;
        m.variance += d * d / (double)n;
        third += d * d * d / (double)n;
        fourth += d * d * d * d / (double)n;
        m.low = fmin(m.low, x);
        m.high = fmax(m.high, x);
    }
    m.skewness = third / pow(m.variance, 1.5);
    m.kurtosis = fourth / (m.variance * m.variance);
    return m;
}

static void test_distributions(void)
{
    moth_seed(ctx, SEED);
    moth_attrs a = shape_attrs(STREAM, SHAPE(1000, 1000));
    a.f[1] = 1;
    moments m = moments_of(draw(MOTH_OP_normal, &a));
    CHECK_NEAR(m.mean, 0, 5e-3);
    CHECK_NEAR(m.variance, 1, 5 * sqrt(2.0) * 1e-3);
    CHECK_NEAR(m.skewness, 0, 5 * sqrt(6.0) * 1e-3);
    CHECK_NEAR(m.kurtosis, 3, 5 * sqrt(24.0) * 1e-3);
    CHECK(m.high > 4.2 && m.low < -4.2 && m.high < 6.8 && m.low > -6.8);
    m = moments_of(draw(MOTH_OP_uniform, &a));
    CHECK_NEAR(m.mean, 0.5, 5 * sqrt(1.0 / 12) * 1e-3);
    CHECK_NEAR(m.variance, 1.0 / 12, 5 * sqrt(1.0 / 180) * 1e-3);
    CHECK(m.low >= 0 && m.low < 1e-5 && m.high < 1 && m.high > 1 - 1e-5);
    a.i[10] = 0;
    a.i[11] = 9;
    moth_tensor *digits = draw(MOTH_OP_random_int, &a);
    int64_t count[10] = { 0 };
    for (int64_t i = 0; i < 1000000; i++) {
        count[(int)moth_tensor_element(digits, i)]++;
    }
    for (int k = 0; k < 10; k++) {
        CHECK_NEAR((double)count[k], 100000, 5 * sqrt(90000.0));
    }
    moth_tensor *ones = NULL;
    CHECK(moth_tensor_zeros(ctx, MOTH_FLOAT32, SHAPE(1000, 1000), &ones) == MOTH_OK);
    CHECK_NEAR(moments_of(DO(gaussian_noise, (&(moth_attrs){ .i = { STREAM }, .f = { 0.5 } }), own(ones))).variance,
               0.25, 5 * sqrt(2.0) * 0.25e-3);
}

/* ---- dropout ---- */

static void test_dropout_gradient(void)
{
    moth_attrs a = { .i = { STREAM }, .f = { 0.5 } };
    moth_tensor *x = floats(SHAPE(2, 4), FLOATS(1, 2, 3, 4, 5, 6, 7, 8)), *dx = NULL;
    moth_tensor *seed = floats(SHAPE(2, 4), FLOATS(1, 1, 1, 1, 1, 1, 1, 1));
    x->requires_grad = true;
    moth_tensor *y = DO(dropout, &a, x);
    DO(dropout, &a, x); /* other draws in between do not matter */
    CHECK(moth_gradients(ctx, 1, &y, &seed, 1, &x, &dx) == MOTH_OK);
    own(dx);
    for (int64_t e = 0; e < 8; e++) {
        CHECK_NEAR(moth_tensor_element(dx, e), moth_tensor_element(y, e) != 0 ? 2 : 0, 0);
    }
}

static void test_dropout_edges(void)
{
    moth_tensor *x = floats(SHAPE(3), FLOATS(1, NAN, 3));
    CHECK_VALUES(DO(dropout, (&(moth_attrs){ .f = { 0 } }), x), 0, 1, NAN, 3);
    CHECK_VALUES(DO(dropout, (&(moth_attrs){ .f = { 1 } }), x), 0, 0, 0, 0);
    CHECK_ERROR(DO(dropout, (&(moth_attrs){ .f = { 1.5 } }), x), MOTH_ERR_ARGUMENT,
                "dropout: the rate must lie in 0..1, not 1.5; got (3,)");
    CHECK_ERROR(DO(dropout, (&(moth_attrs){ .f = { NAN } }), x), MOTH_ERR_ARGUMENT,
                "dropout: the rate must lie in 0..1, not nan; got (3,)");
    CHECK_ERROR(DO(dropout, NULL, ints(SHAPE(2), INTS(1, 2))), MOTH_ERR_DTYPE,
                "dropout: tensor 1 must be float32; got int32");
    CHECK_ERROR(DO(gaussian_noise, (&(moth_attrs){ .f = { -1 } }), x), MOTH_ERR_ARGUMENT,
                "gaussian_noise: stddev must be finite and not negative, not -1; got (3,)");
}

static void test_errors(void)
{
    moth_attrs a = shape_attrs(0, SHAPE(2, -3));
    a.f[1] = 1;
    CHECK_ERROR(draw(MOTH_OP_uniform, &a), MOTH_ERR_SHAPE, "uniform: the size of dim 2 is -3");
    a = shape_attrs(0, SHAPE(-1, 3));
    a.f[1] = 1;
    CHECK_ERROR(draw(MOTH_OP_normal, &a), MOTH_ERR_SHAPE, "normal: the size of dim 1 is -1");
    a = shape_attrs(0, SHAPE(2));
    a.f[0] = 1;
    CHECK_ERROR(draw(MOTH_OP_uniform, &a), MOTH_ERR_ARGUMENT, "uniform: the range 1 to 0 is empty or not finite");
    a.f[1] = -1;
    CHECK_ERROR(draw(MOTH_OP_normal, &a), MOTH_ERR_ARGUMENT,
                "normal: mean 1, stddev -1: must be finite, the latter not negative");
    a.i[10] = 3;
    a.i[11] = 2;
    CHECK_ERROR(draw(MOTH_OP_random_int, &a), MOTH_ERR_ARGUMENT,
                "random_int: the range 3 to 2 is empty or does not fit int32");
    a.i[11] = (int64_t)1 << 31;
    CHECK_ERROR(draw(MOTH_OP_random_int, &a), MOTH_ERR_ARGUMENT,
                "random_int: the range 3 to 2147483648 is empty or does not fit int32");
    a.i[1] = 9;
    CHECK_ERROR(draw(MOTH_OP_random_int, &a), MOTH_ERR_ARGUMENT,
                "random_int: the range 3 to 2147483648 is empty or does not fit int32");
    a.i[11] = 5;
    CHECK_ERROR(draw(MOTH_OP_random_int, &a), MOTH_ERR_SHAPE, "random_int: a tensor has 0 to 8 dims, not 9");
}

/* ---- plans ---- */

enum { ROWS = 150, COLUMNS = 5, STEP = 77 };

static bool same_bits(const moth_tensor *a, const moth_tensor *b)
{
    return moth_meta_same_shape(&a->meta, &b->meta) &&
           memcmp(moth_tensor_data(a), moth_tensor_data(b),
                  (size_t)moth_tensor_count(a) * moth_dtype_size(a->meta.dtype)) == 0;
}

/* What the plan computes: dropout, its gradient, noise and plain draws, all with a row for each row of the run. */
static void computed(moth_tensor *x, moth_tensor *seed, int64_t rows, moth_tensor *out[5])
{
    const moth_attrs drop = { .i = { STREAM }, .f = { 0.3 } }, noise = { .i = { STREAM + 1 }, .f = { 2 } };
    moth_attrs shape = shape_attrs(STREAM + 2, SHAPE(rows, 3));
    shape.f[1] = 1;
    ctx->eager_step = STEP;
    out[0] = DO(dropout, &drop, x);
    ctx->eager_step = STEP;
    out[1] = DO(gaussian_noise, &noise, x);
    ctx->eager_step = STEP;
    out[2] = draw(MOTH_OP_uniform, &shape);
    ctx->eager_step = STEP;
    out[3] = draw(MOTH_OP_normal, &shape);
    CHECK(moth_gradients(ctx, 1, &out[0], &seed, 1, &x, &out[4]) == MOTH_OK);
    own(out[4]);
}

static void test_plan(void)
{
    moth_seed(ctx, SEED);
    moth_attrs a = shape_attrs(9, SHAPE(ROWS, COLUMNS));
    a.f[1] = 1;
    moth_tensor *x = draw(MOTH_OP_uniform, &a), *seed = draw(MOTH_OP_uniform, &a), *want[5], *got[5];
    x->requires_grad = true;
    computed(x, seed, ROWS, want);

    moth_graph graph;
    moth_tensor *inputs[2];
    moth_trace_begin(ctx, &graph);
    for (int k = 0; k < 2; k++) {
        CHECK(moth_placeholder(ctx, MOTH_FLOAT32, SHAPE(-1, COLUMNS), &inputs[k]) == MOTH_OK);
        own(inputs[k])->requires_grad = k == 0;
    }
    computed(inputs[0], inputs[1], -1, got);
    moth_trace_end(ctx, &graph);
    moth_arena arena = { 0 };
    moth_plan *plan = NULL;
    moth_plan_spec spec = { .n_inputs = 2, .inputs = inputs, .n_outputs = 5, .outputs = got, .capacity = ROWS };
    CHECK(moth_plan_new(ctx, &spec, &arena, &plan) == MOTH_OK);
    moth_run run = { .seed = SEED, .step = STEP };
    for (int threads = 1; threads <= 3; threads += 2) {
        CHECK(moth_ctx_set_threads(ctx, threads) == MOTH_OK);
        CHECK(moth_plan_run(ctx, plan, ROWS, (moth_tensor *[]){ x, seed }, &run) == MOTH_OK);
        for (int k = 0; k < 5; k++) {
            CHECK_THAT(same_bits(moth_plan_output(plan, k), want[k]), "plan output %d differs from the eager one", k);
        }
    }
    moth_plan_free(plan);
    moth_arena_free(&arena);
    moth_graph_clear(&graph);
}

int main(void)
{
    void (*const tests[])(void) = {
        test_numbers, test_distributions, test_dropout_gradient, test_dropout_edges, test_errors, test_plan,
    };
    return run_tests(sizeof tests / sizeof tests[0], tests);
}
