/* The normalizations against their definitions in double, far from 0 too; extremes, shapes that do not fit, shapes
 * while tracing. */
#include "test.h"

#include "autograd/autograd.h"
#include "refusals.h"

static moth_ctx *ctx;

/* Element (row, column) of x seen as rows of its last dim. */
static double at(const moth_tensor *x, int64_t r, int64_t c)
{
    return moth_tensor_element(x, r * x->meta.shape[x->meta.rank - 1] + c);
}

static double entry(const moth_tensor *v, int64_t c, double absent)
{
    return v ? moth_tensor_element(v, c) : absent;
}

/* n elements of x from (r, c) on, each `rows` rows and `columns` columns further */
static void moments(const moth_tensor *x, int64_t r, int64_t c, int64_t rows, int64_t columns, int64_t n, double *mean,
                    double *var)
{
    *mean = *var = 0;
    for (int64_t i = 0; i < n; i++) {
        *mean += at(x, r + i * rows, c + i * columns) / (double)n;
    }
    for (int64_t i = 0; i < n; i++) {
        double d = at(x, r + i * rows, c + i * columns) - *mean;
        *var += d * d / (double)n;
    }
}

/* Largest deviation of y from its definition, with statistics by column or by row. */
static double worst(const moth_tensor *x, const moth_tensor *gamma, const moth_tensor *beta, double epsilon,
                    const moth_tensor *y, bool by_row)
{
    int64_t columns = x->meta.shape[x->meta.rank - 1], rows = moth_tensor_count(x) / columns;
    double most = 0;
    for (int64_t outer = 0; outer < (by_row ? rows : columns); outer++) {
        double mean, var;
        if (by_row) {
            moments(x, outer, 0, 0, 1, columns, &mean, &var);
        } else {
            moments(x, 0, outer, 1, 0, rows, &mean, &var);
        }
        for (int64_t inner = 0; inner < (by_row ? columns : rows); inner++) {
            int64_t r = by_row ? outer : inner, c = by_row ? inner : outer;
            double want = (at(x, r, c) - mean) / sqrt(var + epsilon) * entry(gamma, c, 1) + entry(beta, c, 0);
            double error = fabs(at(y, r, c) - want);
            most = error > most || error != error ? error : most;
        }
    }
    return most;
}

static void check_statistics(const moth_tensor *x, const moth_tensor *mean, const moth_tensor *var, double tolerance)
{
    int64_t columns = x->meta.shape[x->meta.rank - 1], rows = moth_tensor_count(x) / columns;
    for (int64_t c = 0; c < columns; c++) {
        double m, v;
        moments(x, 0, c, 1, 0, rows, &m, &v);
        CHECK_NEAR(moth_tensor_element(mean, c), m, tolerance * (fabs(m) + 1e-2));
        CHECK_NEAR(moth_tensor_element(var, c), v, tolerance * v);
    }
}

typedef struct setup {
    moth_case c;
    double tolerance; /* of y */
} setup;

static const setup setups[] = {
    { { .in = { MOTH_REALS(-3, 4, 0, 2, 128, 10), MOTH_REAL(1, 10), MOTH_REAL(1, 10) },
        .n_in = 3,
        .attrs = { .f = { 1e-3 } } },
      5e-6 },
    { { .in = { MOTH_REALS(-3, 4, 0, 4, 7, 20, 21, 33), MOTH_REAL(1, 33), MOTH_ABSENT },
        .n_in = 3,
        .attrs = { .f = { 1e-5 } } },
      5e-6 },
    { { .in = { MOTH_REALS(-3, 4, 0, 3, 70, 2, 600), MOTH_ABSENT, MOTH_REAL(1, 600) },
        .n_in = 3,
        .attrs = { .f = { 1e-3 } } },
      5e-6 },
    { { .in = { MOTH_REALS(-3, 4, 0, 2, 9000, 1) }, .n_in = 1, .attrs = { .f = { 0.01 } } }, 5e-6 },
    /* far from 0 the input itself is coarse (6e-5 at 1000): E[x^2] - E[x]^2 in float would be off by more than var */
    { { .in = { MOTH_REALS(1000, 1000.5, 0, 2, 5000, 40) }, .n_in = 1, .attrs = { .f = { 1e-5 } } }, 5e-4 },
};

static void check_setup(const setup *s, int number)
{
    double epsilon = s->c.attrs.f[0];
    moth_tensor *in[MAX_CASE_INPUTS] = { NULL }, *y[3] = { NULL }, *z = NULL, *l = NULL;
    case_inputs(ctx, &s->c, (uint64_t)number, in);
    CHECK(moth_apply(ctx, moth_op_of(ctx, MOTH_OP_batch_norm), &s->c.attrs, s->c.n_in, in, y, false) == MOTH_OK);
    CHECK(moth_apply1(ctx, MOTH_OP_layer_norm, &s->c.attrs, s->c.n_in, in, &l) == MOTH_OK);
    if (y[0] && l) {
        double by_column = worst(in[0], in[1], in[2], epsilon, y[0], false);
        double by_row = worst(in[0], in[1], in[2], epsilon, l, true);
        CHECK_THAT(by_column <= s->tolerance, "batch_norm %d is off by %g", number, by_column);
        CHECK_THAT(by_row <= s->tolerance, "layer_norm %d is off by %g", number, by_row);
        check_statistics(in[0], y[1], y[2], 2e-6);
        moth_tensor *given[5] = { in[0], y[1], y[2], in[1], in[2] };
        CHECK(moth_apply1(ctx, MOTH_OP_batch_norm_inference, &s->c.attrs, 5, given, &z) == MOTH_OK);
        CHECK_THAT(
            z && memcmp(moth_tensor_data(z), moth_tensor_data(y[0]), (size_t)moth_tensor_count(z) * sizeof(float)) == 0,
            "batch_norm_inference %d with the batch's moments is not batch_norm", number);
    }
    release_all(s->c.n_in, in);
    release_all(3, y);
    moth_tensor_release(z);
    moth_tensor_release(l);
}

/* Equal elements have variance 0, never less; a row of one element has xhat 0; a NaN stays in its column. */
static void test_extremes(void)
{
    moth_case c = { .in = { MOTH_REALS(0.1, 0.1, 0, 2, 1000, 3) }, .n_in = 1 };
    moth_tensor *x, *y[3] = { NULL }, *l = NULL;
    case_inputs(ctx, &c, 1, &x);
    CHECK(moth_apply(ctx, moth_op_of(ctx, MOTH_OP_batch_norm), &(moth_attrs){ .f = { 1e-3 } }, 1, &x, y, false) ==
          MOTH_OK);
    CHECK(moth_tensor_element(y[2], 0) >= 0 && moth_tensor_element(y[2], 0) < 1e-14);
    CHECK_NEAR(moth_tensor_element(y[1], 2), (double)0.1f, 1e-8);
    release_all(3, y);
    moth_tensor_set_element(x, 3 * 700 + 1, NAN);
    CHECK(moth_apply(ctx, moth_op_of(ctx, MOTH_OP_batch_norm), &(moth_attrs){ .f = { 1e-3 } }, 1, &x, y, false) ==
          MOTH_OK);
    CHECK(isnan(moth_tensor_element(y[2], 1)) && isnan(moth_tensor_element(y[0], 4)));
    CHECK(isfinite(moth_tensor_element(y[2], 0)) && isfinite(moth_tensor_element(y[0], 3)));
    moth_tensor_release(x);
    release_all(3, y);
    c = (moth_case){ .in = { MOTH_REAL(2, 4, 1) }, .n_in = 1 };
    case_inputs(ctx, &c, 1, &x);
    CHECK(moth_apply1(ctx, MOTH_OP_layer_norm, &(moth_attrs){ .f = { 1e-3 } }, 1, &x, &l) == MOTH_OK);
    CHECK(moth_tensor_element(l, 0) == 0 && moth_tensor_element(l, 3) == 0);
    moth_tensor_release(x);
    moth_tensor_release(l);
}

static const refusal refusals[] = {
    { MOTH_OP_batch_norm,
      MOTH_ERR_SHAPE,
      { .in = { MOTH_REAL(1, 5) }, .n_in = 1 },
      "batch_norm: takes x of at least two dims; got (5,)" },
    { MOTH_OP_batch_norm,
      MOTH_ERR_SHAPE,
      { .in = { MOTH_REAL(2, 5, 3), MOTH_REAL(1, 3), MOTH_REAL(1, 5) }, .n_in = 3 },
      "batch_norm: tensor 3 must have 3 entries, as the last dim of x; got (5, 3), (3,) and (5,)" },
    { MOTH_OP_batch_norm,
      MOTH_ERR_ARGUMENT,
      { .in = { MOTH_REAL(2, 5, 3) }, .n_in = 1, .attrs = { .f = { -1e-3 } } },
      "batch_norm: epsilon must be at least 0; got (5, 3)" },
    { MOTH_OP_batch_norm,
      MOTH_ERR_DTYPE,
      { .in = { { 2, { 5, 3 }, MOTH_INT32, 0, 9, 0 } }, .n_in = 1 },
      "batch_norm: tensor 1 must be float32; got int32" },
    { MOTH_OP_batch_norm_inference,
      MOTH_ERR_SHAPE,
      { .in = { MOTH_REAL(2, 5, 3), MOTH_REAL(1, 3), MOTH_REAL(2, 1, 3) }, .n_in = 3 },
      "batch_norm_inference: tensor 3 must have 3 entries, as the last dim of x; got (5, 3), (3,) and (1, 3)" },
    { MOTH_OP_layer_norm,
      MOTH_ERR_SHAPE,
      { .in = { MOTH_REAL(2, 5, 3), MOTH_REAL(1, 2) }, .n_in = 2 },
      "layer_norm: tensor 2 must have 3 entries, as the last dim of x; got (5, 3) and (2,)" },
    { MOTH_OP_layer_norm,
      MOTH_ERR_SHAPE,
      { .in = { MOTH_REAL(2, 5, 0) }, .n_in = 1 },
      "layer_norm: the last dim of x must be at least 1; got (5, 0)" },
};

static void test_tracing(void)
{
    moth_graph graph;
    moth_tensor *x, *y[3] = { NULL }, *l = NULL;
    moth_trace_begin(ctx, &graph);
    CHECK(moth_placeholder(ctx, MOTH_FLOAT32, 3, (int64_t[]){ -1, 7, 5 }, &x) == MOTH_OK);
    CHECK(moth_apply(ctx, moth_op_of(ctx, MOTH_OP_batch_norm), NULL, 1, &x, y, false) == MOTH_OK);
    CHECK(moth_apply1(ctx, MOTH_OP_layer_norm, NULL, 1, &x, &l) == MOTH_OK);
    CHECK(moth_meta_same_shape(&y[0]->meta, &x->meta) && moth_meta_same_shape(&l->meta, &x->meta));
    CHECK(y[1]->meta.rank == 1 && y[1]->meta.shape[0] == 5 && moth_meta_same_shape(&y[1]->meta, &y[2]->meta));
    moth_trace_end(ctx, &graph);
    moth_graph_clear(&graph);
    release_all(3, y);
    moth_tensor_release(x);
    moth_tensor_release(l);
}

int main(void)
{
    ctx = moth_ctx_new();
    for (size_t k = 0; k < sizeof setups / sizeof *setups; k++) {
        check_setup(&setups[k], (int)k + 1);
    }
    test_extremes();
    check_refusals(ctx, sizeof refusals / sizeof *refusals, refusals);
    test_tracing();
    moth_ctx_free(ctx);
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
