/* Values of ops against closed forms in double, types, messages, faults, shapes while tracing, and the accuracy of the
 * float functions of vecmath.h against libm. */
#include "apply.h"
#include "autograd/autograd.h"
#include "ops/vecmath.h"

/* ---- vecmath ---- */

static double sigmoid_of(double x)
{
    return 1 / (1 + exp(-x));
}

/* Error in units of the last place of the true result. */
static double ulps(float got, double want)
{
    float nearest = fabsf((float)want);
    if (want != want || isinf(nearest)) {
        return (want != want && got != got) || got == (float)want ? 0 : INFINITY;
    }
    return fabs((double)got - want) / (double)(nextafterf(nearest, INFINITY) - nearest);
}

static void sweep(const char *name, float (*f)(float), double (*g)(double), double low, double high, double allowed)
{
    double worst = 0, at = 0;
    for (int i = 0; i <= 200000; i++) {
        float x = (float)(low + (high - low) * i / 200000);
        double error = ulps(f(x), g((double)x));
        at = error > worst ? (double)x : at;
        worst = error > worst ? error : worst;
    }
    CHECK_THAT(worst <= allowed, "%s is off by %.2f ulp at %.9g", name, worst, at);
}

static void test_vecmath(void)
{
    sweep("exp", moth_vec_exp, exp, -110, 92, 1.5);
    sweep("exp", moth_vec_exp, exp, -1, 1, 1.5);
    sweep("log", moth_vec_log, log, 1e-45, 1e-38, 1.5);
    sweep("log", moth_vec_log, log, 0, 3, 1.5);
    sweep("log", moth_vec_log, log, 0, 3e38, 1.5);
    sweep("log1p", moth_vec_log1p, log1p, -0.999, 3, 2);
    sweep("log1p", moth_vec_log1p, log1p, -1e-3, 1e-3, 2);
    sweep("tanh", moth_vec_tanh, tanh, -12, 12, 2);
    sweep("tanh", moth_vec_tanh, tanh, -0.7, 0.7, 2);
    sweep("sigmoid", moth_vec_sigmoid, sigmoid_of, -103, 30, 2.5);
    sweep("sigmoid", moth_vec_sigmoid, sigmoid_of, -5, 5, 2.5);
    sweep("erf", moth_vec_erf, erf, -6, 6, 2);
    sweep("erf", moth_vec_erf, erf, -1, 1, 2);
}

static void test_vecmath_edges(void)
{
    const double inf = (double)INFINITY, nan = (double)NAN;
    moth_tensor *x = floats(SHAPE(5), FLOATS(-INFINITY, INFINITY, NAN, 0, -0.0f));
    CHECK_VALUES(DO(exp, NULL, x), 0, 0, inf, nan, 1, 1);
    CHECK_VALUES(DO(log, NULL, x), 0, nan, inf, nan, -inf, -inf);
    CHECK_VALUES(DO(log1p, NULL, x), 0, nan, inf, nan, 0, 0);
    CHECK_VALUES(DO(tanh, NULL, x), 0, -1, 1, nan, 0, 0);
    CHECK_VALUES(DO(sigmoid, NULL, x), 0, 0, 1, nan, 0.5, 0.5);
    CHECK_VALUES(DO(erf, NULL, x), 0, -1, 1, nan, 0, 0);
    CHECK_VALUES(DO(relu, NULL, x), 0, 0, inf, nan, 0, 0);
    CHECK_VALUES(DO(softplus, NULL, x), 1e-7, 0, inf, nan, log(2), log(2));
    CHECK_VALUES(DO(log1p, NULL, floats(SHAPE(2), FLOATS(-1, -2))), 0, -inf, nan);
    CHECK_VALUES(DO(maximum, NULL, x, scalar(1)), 0, 1, inf, nan, 1, 1);
    CHECK_VALUES(DO(minimum, NULL, scalar(1), x), 0, -inf, 1, nan, 0, 0);
}

/* ---- element-wise ---- */

static void check_unary(const char *name, double (*f)(double), double low, double high)
{
    float data[77];
    double want[77];
    for (int i = 0; i < 77; i++) {
        data[i] = (float)(low + (high - low) * i / 76);
        want[i] = f((double)data[i]);
    }
    moth_tensor *x = floats(SHAPE(7, 11), data), *y = NULL;
    const moth_op *op = moth_op_named(ctx, name);
    moth_attrs attrs = { .f = { 0.7 } };
    CHECK(op && moth_apply(ctx, op, &attrs, 1, &x, &y, false) == MOTH_OK);
    check_values(name, own(y), 77, want, 1e-6);
}

static double square_of(double x)
{
    return x * x;
}
static double reciprocal_of(double x)
{
    return 1 / x;
}
static double relu_of(double x)
{
    return fmax(x, 0);
}
static double gelu_of(double x)
{
    return x / 2 * erfc(-x / sqrt(2));
}
static double softplus_of(double x)
{
    return log1p(exp(x));
}
static double softsign_of(double x)
{
    return x / (1 + fabs(x));
}
static double elu_of(double x)
{
    return x > 0 ? x : 0.7 * expm1(x);
}
static double leaky_of(double x)
{
    return x > 0 ? x : 0.7 * x;
}
static double selu_of(double x)
{
    return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * expm1(x));
}
static double silu_of(double x)
{
    return x * sigmoid_of(x);
}
static double hard_sigmoid_of(double x)
{
    return fmin(fmax(x + 3, 0), 6) / 6;
}
static double step_of(double x)
{
    return x > 0;
}
static double sign_of(double x)
{
    return (x > 0) - (x < 0);
}

static void test_unary(void)
{
    const struct {
        const char *name;
        double (*f)(double);
        double low, high;
    } list[] = {
        { "exp", exp, -4, 1 },
        { "log", log, 0.1, 4 },
        { "log1p", log1p, -0.9, 4 },
        { "sqrt", sqrt, 0, 3 },
        { "square", square_of, -2, 2 },
        { "abs", fabs, -2, 2 },
        { "sign", sign_of, -2, 2 },
        { "sin", sin, -7, 7 },
        { "cos", cos, -7, 7 },
        { "tanh", tanh, -4, 4 },
        { "erf", erf, -3, 3 },
        { "sigmoid", sigmoid_of, -9, 9 },
        { "relu", relu_of, -2, 2 },
        { "gelu", gelu_of, -5, 5 },
        { "softplus", softplus_of, -9, 9 },
        { "softsign", softsign_of, -4, 4 },
        { "elu", elu_of, -4, 4 },
        { "selu", selu_of, -4, 4 },
        { "silu", silu_of, -6, 6 },
        { "hard_sigmoid", hard_sigmoid_of, -4, 4 },
        { "leaky_relu", leaky_of, -2, 2 },
        { "reciprocal", reciprocal_of, 0.5, 3 },
        { "floor", floor, -3.3, 3.3 },
        { "ceil", ceil, -3.3, 3.3 },
        { "round", rint, -3, 3 },
        { "step", step_of, -2, 2 },
    };
    for (size_t k = 0; k < sizeof list / sizeof list[0]; k++) {
        check_unary(list[k].name, list[k].f, list[k].low, list[k].high);
    }
    moth_attrs bounds = { .f = { -1, 2 } };
    CHECK_VALUES(DO(clamp, &bounds, floats(SHAPE(3), FLOATS(-3, 0.5f, 9))), 0, -1, 0.5, 2);
    /* integers become floats */
    CHECK_VALUES(DO(sqrt, NULL, ints(SHAPE(2), INTS(4, 9))), 0, 2, 3);
    CHECK_VALUES(DO(relu, NULL, bytes(SHAPE(2), BYTES(0, 255))), 0, 0, 255);
    moth_tensor *negative = DO(neg, NULL, bytes(SHAPE(2), BYTES(3, 255)));
    CHECK_VALUES(negative, 0, -3, -255);
    CHECK(negative->meta.dtype == MOTH_INT32);
}

static void test_arithmetic(void)
{
    moth_tensor *a = floats(SHAPE(2, 3), FLOATS(1, 2, 3, 4, 5, 6)), *row = floats(SHAPE(3), FLOATS(10, 20, 30));
    moth_tensor *column = floats(SHAPE(2, 1), FLOATS(1, 2));
    CHECK_VALUES(DO(add, NULL, a, row), 0, 11, 22, 33, 14, 25, 36);
    CHECK_VALUES(DO(sub, NULL, row, a), 0, 9, 18, 27, 6, 15, 24);
    CHECK_VALUES(DO(mul, NULL, a, column), 0, 1, 2, 3, 8, 10, 12);
    CHECK_VALUES(DO(add, NULL, row, column), 0, 11, 21, 31, 12, 22, 32);
    CHECK_VALUES(DO(pow, NULL, a, scalar(2)), 0, 1, 4, 9, 16, 25, 36);
    CHECK_VALUES(DO(pow, NULL, a, scalar(3)), 0, 1, 8, 27, 64, 125, 216);
    CHECK_VALUES(DO(pow, NULL, scalar(2), row), 0, 1024, 1048576, 1073741824);
    CHECK_VALUES(DO(maximum, NULL, a, scalar(3.5f)), 0, 3.5, 3.5, 3.5, 4, 5, 6);
    moth_tensor *turned = DO(transpose, ATTRS(0, 1), a);
    CHECK_VALUES(DO(add, NULL, turned, column = DO(reshape, ATTRS(2, 3, 1), row)), 0, 11, 14, 22, 25, 33, 36);
    CHECK_VALUES(DO(mul, NULL, turned, turned), 0, 1, 16, 4, 25, 9, 36);
}

static void test_types(void)
{
    moth_tensor *i = ints(SHAPE(2), INTS(7, -7)), *b = bytes(SHAPE(2), BYTES(200, 100));
    moth_tensor *f = floats(SHAPE(2), FLOATS(0.5f, 2));
    CHECK(DO(add, NULL, i, b)->meta.dtype == MOTH_INT32);
    CHECK(DO(add, NULL, b, b)->meta.dtype == MOTH_UINT8);
    CHECK(DO(mul, NULL, b, f)->meta.dtype == MOTH_FLOAT32);
    CHECK(DO(div, NULL, i, i)->meta.dtype == MOTH_FLOAT32);
    CHECK(DO(pow, NULL, i, b)->meta.dtype == MOTH_INT32);
    CHECK(DO(lt, NULL, i, f)->meta.dtype == MOTH_UINT8);
    CHECK_VALUES(DO(add, NULL, i, b), 0, 207, 93);
    CHECK_VALUES(DO(add, NULL, b, b), 0, 144, 200); /* wraps, as in NumPy */
    CHECK_VALUES(DO(div, NULL, i, ints(SHAPE(1), INTS(2))), 0, 3.5, -3.5);
    CHECK_VALUES(DO(mul, NULL, i, ints(SHAPE(1), INTS(INT32_MAX))), 0, 2147483641, -2147483641);
    CHECK_VALUES(DO(lt, NULL, i, f), 0, 0, 1);
    CHECK_VALUES(DO(eq, NULL, b, ints(SHAPE(1), INTS(100))), 0, 0, 1);
    CHECK_VALUES(DO(ne, NULL, f, scalar(2)), 0, 1, 0);
    CHECK_VALUES(DO(ge, NULL, f, scalar(0.5f)), 0, 1, 1);
    CHECK_VALUES(DO(where, NULL, DO(gt, NULL, f, scalar(1)), i, b), 0, 200, -7);
    CHECK(DO(where, NULL, b, b, b)->meta.dtype == MOTH_UINT8);
    CHECK(DO(sum, NULL, b)->meta.dtype == MOTH_INT32);
    CHECK_VALUES(DO(sum, NULL, b), 0, 300);
    CHECK_VALUES(DO(mean, NULL, b), 0, 150);
}

static void test_cast(void)
{
    moth_tensor *f = floats(SHAPE(4), FLOATS(-1.9f, 0.5f, 254.99f, 3));
    CHECK_VALUES(DO(to, ATTRS(MOTH_INT32), f), 0, -1, 0, 254, 3);
    CHECK_VALUES(DO(to, ATTRS(MOTH_UINT8), floats(SHAPE(2), FLOATS(-0.5f, 255.5f))), 0, 0, 255);
    CHECK_ERROR(DO(to, ATTRS(MOTH_UINT8), f), MOTH_ERR_INDEX, "to: -1.9 does not fit uint8");
    CHECK_ERROR(DO(to, ATTRS(MOTH_INT32), scalar(3e9f)), MOTH_ERR_INDEX, "to: 3e+09 does not fit int32");
    CHECK_ERROR(DO(to, ATTRS(MOTH_INT32), scalar(NAN)), MOTH_ERR_INDEX, "to: nan does not fit int32");
    CHECK_ERROR(DO(to, ATTRS(MOTH_UINT8), ints(SHAPE(1), INTS(256))), MOTH_ERR_INDEX, "to: 256 does not fit uint8");
}

/* ---- reductions ---- */

static void test_reductions(void)
{
    moth_tensor *x = floats(SHAPE(2, 3), FLOATS(1, 5, 2, 4, 5, 9));
    CHECK_VALUES(DO(sum, NULL, x), 0, 26);
    CHECK_VALUES(DO(sum, ATTRS(1, 0), x), 0, 5, 10, 11);
    CHECK_VALUES(DO(sum, ATTRS(1, -1), x), 0, 8, 18);
    CHECK_VALUES(DO(mean, ATTRS(1, 1), x), 1e-6, 8.0 / 3, 6);
    CHECK_VALUES(DO(prod, ATTRS(1, 1), x), 0, 10, 180);
    CHECK_VALUES(DO(max, ATTRS(1, 1), x), 0, 5, 9);
    CHECK_VALUES(DO(min, NULL, x), 0, 1);
    CHECK_VALUES(DO(argmax, ATTRS(1, 0), x), 0, 1, 0, 1); /* first wins */
    CHECK_VALUES(DO(argmin, NULL, x), 0, 0);
    CHECK_VALUES(DO(argmax, NULL, floats(SHAPE(3), FLOATS(1, NAN, 2))), 0, 1);
    CHECK_VALUES(DO(var, ATTRS(1, 0), x), 1e-6, 2.25, 0, 12.25);
    CHECK_VALUES(DO(std, ATTRS(1, 0), x), 1e-6, 1.5, 0, 3.5);
    CHECK_VALUES(DO(norm, NULL, x), 1e-5, sqrt(152));
    CHECK_VALUES(DO(cumsum, ATTRS(1), x), 0, 1, 6, 8, 4, 9, 18);
    CHECK_VALUES(DO(cumsum, ATTRS(0), x), 0, 1, 5, 2, 5, 10, 11);
    CHECK_VALUES(DO(all, ATTRS(1, 1), DO(gt, NULL, x, scalar(1))), 0, 0, 1);
    CHECK_VALUES(DO(any, NULL, DO(gt, NULL, x, scalar(9))), 0, 0);
    CHECK_VALUES(DO(size, ATTRS(1), x), 0, 3);
    moth_tensor *kept = DO(sum, (&(moth_attrs){ .i = { 1, 1, [10] = 1 } }), x);
    CHECK(kept->meta.rank == 2 && kept->meta.shape[0] == 2 && kept->meta.shape[1] == 1);
    moth_tensor *pair[2];
    CHECK(moth_apply(ctx, moth_op_of(ctx, MOTH_OP_max), ATTRS(1, 1), 1, &x, pair, false) == MOTH_OK);
    CHECK_VALUES(own(pair[1]), 0, 1, 2);
    own(pair[0]);
    /* nothing to add up */
    moth_tensor *none = floats(SHAPE(0, 3), FLOATS(0));
    CHECK_VALUES(DO(sum, ATTRS(1, 0), none), 0, 0, 0, 0);
    CHECK_VALUES(DO(prod, NULL, none), 0, 1);
    CHECK_ERROR(DO(max, NULL, none), MOTH_ERR_SHAPE, "max: needs at least one element; got (0, 3)");
}

static void test_large_sum(void)
{
    int64_t n = 1000003;
    moth_tensor *x = NULL;
    CHECK(moth_tensor_new(ctx, MOTH_FLOAT32, 1, &n, &x) == MOTH_OK);
    own(x);
    double exact = 0;
    for (int64_t i = 0; i < n; i++) {
        moth_real v = MOTH_R(0.1) + (moth_real)(i % 7);
        moth_tensor_reals(x)[i] = v;
        exact += (double)v;
    }
    CHECK_VALUES(DO(sum, NULL, x), exact * 6e-8, exact);
    CHECK_VALUES(DO(mean, NULL, x), 1e-6, exact / (double)n);
    moth_tensor *tall = DO(slice, ATTRS(0, 0, 1000000), x);
    moth_tensor *columns = DO(sum, ATTRS(1, 0), DO(reshape, ATTRS(2, 1000, 1000), tall));
    exact = 0;
    for (int64_t i = 999; i < 1000000; i += 1000) {
        exact += (double)moth_tensor_reals(x)[i];
    }
    CHECK_NEAR(moth_tensor_element(columns, 999), exact, exact * 6e-8);
}

/* ---- shapes ---- */

static void test_views(void)
{
    moth_tensor *x = floats(SHAPE(2, 3), FLOATS(1, 2, 3, 4, 5, 6));
    moth_tensor *turned = DO(transpose, ATTRS(0, 1), x);
    CHECK(turned->storage == x->storage);
    CHECK_VALUES(turned, 0, 1, 4, 2, 5, 3, 6);
    CHECK_VALUES(DO(reshape, ATTRS(1, INT64_MIN), turned), 0, 1, 4, 2, 5, 3, 6); /* has to copy */
    CHECK(DO(reshape, ATTRS(2, 3, 2), x)->storage == x->storage);
    CHECK(DO(unsqueeze, ATTRS(1), turned)->storage == x->storage);
    CHECK_VALUES(DO(slice, ATTRS(1, 1, 3), x), 0, 2, 3, 5, 6);
    CHECK_VALUES(DO(flatten, NULL, DO(slice, ATTRS(1, 1, 3), x)), 0, 2, 3, 5, 6);
    CHECK_VALUES(DO(expand, ATTRS(3, 2, INT64_MIN, INT64_MIN), DO(slice, ATTRS(0, 0, 1), x)), 0, 1, 2, 3, 1, 2, 3);
    CHECK_VALUES(DO(permute, ATTRS(2, 1, 0), x), 0, 1, 4, 2, 5, 3, 6);
    CHECK_VALUES(DO(flip, ATTRS(0), x), 0, 4, 5, 6, 1, 2, 3);
    CHECK_VALUES(DO(pad_slice, ATTRS(1, 1, 2, 2, 4), DO(slice, ATTRS(1, 0, 2), x)), 0, 0, 1, 2, 0, 0, 4, 5, 0);
    CHECK_VALUES(DO(cat, ATTRS(0), x, turned = DO(slice, ATTRS(0, 0, 1), x)), 0, 1, 2, 3, 4, 5, 6, 1, 2, 3);
    CHECK_VALUES(DO(cat, ATTRS(1), x, DO(slice, ATTRS(1, 2, 3), x)), 0, 1, 2, 3, 3, 4, 5, 6, 6);
    CHECK_VALUES(DO(contiguous, NULL, DO(transpose, ATTRS(0, 1), x)), 0, 1, 4, 2, 5, 3, 6);
    CHECK_VALUES(DO(squeeze, NULL, DO(unsqueeze, ATTRS(-1), x)), 0, 1, 2, 3, 4, 5, 6);
}

static void test_index(void)
{
    moth_tensor *x = floats(SHAPE(3, 2), FLOATS(1, 2, 3, 4, 5, 6));
    CHECK_VALUES(DO(index, ATTRS(0), x, ints(SHAPE(2), INTS(2, 0))), 0, 5, 6, 1, 2);
    CHECK_VALUES(DO(index, ATTRS(1), x, ints(SHAPE(1), INTS(1))), 0, 2, 4, 6);
    CHECK_ERROR(DO(index, ATTRS(0), x, ints(SHAPE(2), INTS(2, 3))), MOTH_ERR_INDEX,
                "index: position 3 is outside a dim of size 3 (counted from 0)");
    CHECK_VALUES(DO(one_hot, ATTRS(3), ints(SHAPE(2), INTS(2, 0))), 0, 0, 0, 1, 1, 0, 0);
    CHECK_ERROR(DO(one_hot, ATTRS(3), ints(SHAPE(4), INTS(2, 0, 1, 3))), MOTH_ERR_INDEX,
                "one_hot: class 3 in row 4 is outside 0..2");
    CHECK_ERROR(DO(one_hot, ATTRS(3), ints(SHAPE(1), INTS(-1))), MOTH_ERR_INDEX,
                "one_hot: class -1 in row 1 is outside 0..2");
}

static void test_errors(void)
{
    moth_tensor *a = floats(SHAPE(2, 3), FLOATS(1, 2, 3, 4, 5, 6)), *b = floats(SHAPE(2), FLOATS(1, 2));
    CHECK_ERROR(DO(add, NULL, a, b), MOTH_ERR_SHAPE,
                "add: shapes must agree or be 1, counted from the last dim; got (2, 3) and (2,)");
    CHECK_ERROR(DO(reshape, ATTRS(2, 4, 2), a), MOTH_ERR_SHAPE,
                "reshape: the shape (4, 2) has another number of elements; got (2, 3)");
    CHECK_ERROR(DO(sum, ATTRS(1, 2), a), MOTH_ERR_ARGUMENT, "sum: dim 3 is outside 1..2; got (2, 3)");
    CHECK_ERROR(DO(sum, ATTRS(2, 0, -2), a), MOTH_ERR_ARGUMENT, "sum: dim 1 is named twice; got (2, 3)");
    CHECK_ERROR(DO(slice, ATTRS(0, 1, 5), a), MOTH_ERR_INDEX,
                "slice: the range 2..5 of dim 1 is outside 1..2; got (2, 3)");
    CHECK_ERROR(DO(permute, ATTRS(2, 0, 0), a), MOTH_ERR_ARGUMENT, "permute: each dim must be named once; got (2, 3)");
    CHECK_ERROR(DO(squeeze, ATTRS(1, 0), a), MOTH_ERR_SHAPE, "squeeze: dim 1 is not of size 1; got (2, 3)");
    CHECK_ERROR(DO(expand, ATTRS(2, 2, 4), a), MOTH_ERR_SHAPE,
                "expand: only new dims and dims of size 1 can grow; got (2, 3)");
    CHECK_ERROR(DO(cat, ATTRS(0), a, b), MOTH_ERR_SHAPE, "cat: all dims but dim 1 must agree; got (2, 3) and (2,)");
    CHECK_ERROR(DO(index, ATTRS(0), a, b), MOTH_ERR_DTYPE,
                "index: positions must be an int32 tensor of at least one dim; got (2, 3) and (2,)");
    CHECK_ERROR(DO(where, NULL, b, b, b), MOTH_ERR_DTYPE,
                "where: the condition must be uint8 or int32 (a comparison gives one); got (2,), (2,) and (2,)");
    CHECK_ERROR(DO(one_hot, ATTRS(3), a), MOTH_ERR_DTYPE, "one_hot: tensor 1 must be int32 or uint8; got float32");
    CHECK_ERROR(DO(sum, NULL, ints(SHAPE(2), INTS(INT32_MAX, 1))), MOTH_ERR_INDEX,
                "sum: the result 2147483648 does not fit int32");
}

/* ---- gradients at the places that differences cannot reach ---- */

static moth_tensor *gradient_of(moth_op_id id, moth_tensor *x)
{
    x->requires_grad = true;
    moth_tensor *y = apply(id, NULL, 1, &x), *seed = NULL, *dx = NULL;
    CHECK(y && moth_tensor_new(ctx, MOTH_FLOAT32, y->meta.rank, y->meta.shape, &seed) == MOTH_OK);
    own(seed);
    for (int64_t i = 0; i < moth_tensor_count(seed); i++) {
        moth_tensor_set_element(seed, i, 1);
    }
    CHECK(moth_gradients(ctx, 1, &y, &seed, 1, &x, &dx) == MOTH_OK);
    return own(dx);
}

static void test_kinks(void)
{
    CHECK_VALUES(gradient_of(MOTH_OP_relu, floats(SHAPE(3), FLOATS(-1, 0, 1))), 0, 0, 0, 1);
    CHECK_VALUES(gradient_of(MOTH_OP_abs, floats(SHAPE(3), FLOATS(-1, 0, 1))), 0, -1, 0, 1);
    CHECK_VALUES(gradient_of(MOTH_OP_prod, floats(SHAPE(3), FLOATS(2, 0, 3))), 0, 0, 6, 0);
    CHECK_VALUES(gradient_of(MOTH_OP_prod, floats(SHAPE(3), FLOATS(2, 0, 0))), 0, 0, 0, 0);
    CHECK_VALUES(gradient_of(MOTH_OP_max, floats(SHAPE(3), FLOATS(1, 3, 3))), 0, 0, 1, 0);
    CHECK_VALUES(gradient_of(MOTH_OP_norm, floats(SHAPE(2), FLOATS(0, 0))), 0, 0, 0);
    CHECK_VALUES(gradient_of(MOTH_OP_std, floats(SHAPE(2), FLOATS(4, 4))), 0, 0, 0);
}

/* ---- shapes while tracing ---- */

static moth_tensor *rows_of(int rank, const int64_t *shape)
{
    moth_tensor *t = NULL;
    CHECK(moth_placeholder(ctx, MOTH_FLOAT32, rank, shape, &t) == MOTH_OK);
    return own(t);
}

static void check_shape(const char *what, const moth_tensor *t, const char *want)
{
    char text[128];
    CHECK_THAT(t && strcmp(moth_meta_text(&t->meta, text, sizeof text), want) == 0, "%s is %s, not %s", what,
               t ? text : moth_error(ctx), want);
}

#define CHECK_SHAPE(t, want) check_shape(#t, t, want)

static void test_symbolic(void)
{
    moth_tensor *x = rows_of(SHAPE(-1, 3, 4)), *v = rows_of(SHAPE(-1)), *w = rows_of(SHAPE(4));
    CHECK_SHAPE(DO(add, NULL, x, w), "(batch, 3, 4)");
    CHECK_SHAPE(DO(reshape, ATTRS(2, INT64_MIN, 12), x), "(batch, 12)");
    CHECK_SHAPE(DO(reshape, ATTRS(2, INT64_MIN, 4), x), "(3*batch, 4)");
    CHECK_SHAPE(DO(reshape, ATTRS(3, -1, 2, INT64_MIN), x), "(batch, 2, 6)");
    CHECK_SHAPE(DO(flatten, NULL, x), "(12*batch,)");
    CHECK_SHAPE(DO(sum, ATTRS(1, 0), x), "(3, 4)");
    CHECK_SHAPE(DO(mean, ATTRS(2, 1, 2), x), "(batch,)");
    CHECK_SHAPE(DO(permute, ATTRS(3, 0, 2, 1), x), "(batch, 4, 3)");
    CHECK_SHAPE(DO(unsqueeze, ATTRS(1), v), "(batch, 1)");
    CHECK_SHAPE(DO(cat, ATTRS(1), x, x), "(batch, 6, 4)");
    CHECK_SHAPE(DO(cat, ATTRS(0), v, v), "(2*batch,)");
    CHECK_SHAPE(DO(slice, ATTRS(1, 0, 2), x), "(batch, 2, 4)");
    CHECK_SHAPE(DO(size, ATTRS(0), x), "()");
    /* what would move the batch, or mix it with a constant */
    CHECK(DO(permute, ATTRS(3, 1, 0, 2), x) == NULL && ctx->status == MOTH_ERR_EXACT_BATCH);
    CHECK(DO(unsqueeze, ATTRS(0), v) == NULL && ctx->status == MOTH_ERR_EXACT_BATCH);
    CHECK(DO(slice, ATTRS(0, 0, 2), x) == NULL && ctx->status == MOTH_ERR_EXACT_BATCH);
    CHECK(DO(cat, ATTRS(0), v, w) == NULL && ctx->status == MOTH_ERR_EXACT_BATCH);
    CHECK(DO(reshape, ATTRS(2, 4, INT64_MIN), x) == NULL && ctx->status == MOTH_ERR_EXACT_BATCH);
    CHECK(DO(add, NULL, DO(unsqueeze, ATTRS(1), v), v) == NULL && ctx->status == MOTH_ERR_EXACT_BATCH);
}

/* A loss over the batch, traced: gradients have the shapes of what they belong to. */
static void test_symbolic_gradient(void)
{
    moth_graph graph;
    moth_tensor *x = rows_of(SHAPE(-1, 5)), *b = floats(SHAPE(5), FLOATS(1, 2, 3, 4, 5)), *seed = scalar(1);
    moth_trace_begin(ctx, &graph);
    x->requires_grad = true;
    b->requires_grad = true;
    moth_tensor *h = DO(tanh, NULL, DO(add, NULL, x, b));
    moth_tensor *centred = DO(sub, NULL, h, DO(mean, ATTRS(1, 0), h));
    moth_tensor *loss = DO(add, NULL, DO(mean, NULL, DO(square, NULL, centred)), DO(var, NULL, h));
    moth_tensor *wanted[] = { x, b }, *dx[2] = { 0 };
    CHECK(moth_gradients(ctx, 1, &loss, &seed, 2, wanted, dx) == MOTH_OK);
    CHECK_SHAPE(own(dx[0]), "(batch, 5)");
    CHECK_SHAPE(own(dx[1]), "(5,)");
    moth_trace_end(ctx, &graph);
    moth_graph_clear(&graph);
}

int main(void)
{
    void (*const tests[])(void) = {
        test_vecmath,    test_vecmath_edges,     test_unary, test_arithmetic, test_types,  test_cast,
        test_reductions, test_large_sum,         test_views, test_index,      test_errors, test_kinks,
        test_symbolic,   test_symbolic_gradient,
    };
    return run_tests(sizeof tests / sizeof tests[0], tests);
}
