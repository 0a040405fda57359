/* Values of the network ops against Keras 3.15 (JAX) and closed forms, and their messages. */
#include "apply.h"
#include "autograd/autograd.h"
#include "ops/update.h"

/* ---- softmax ---- */

static void test_softmax(void)
{
    /* the second row spans more than float's exponents, the third is plain */
    moth_tensor *x = floats(SHAPE(3, 4), FLOATS(1, 2, 3, 4, -50, 0, 60, 1, 0.5f, -0.5f, 0, 2));
    const moth_attrs *last = ATTRS(-1);
    moth_tensor *p = DO(softmax, last, x), *logarithm = DO(log_softmax, last, x);
    CHECK_VALUES(p, 1e-7, 0.0320586041, 0.0871443227, 0.236882836, 0.643914282, 0, 8.75651089e-27, 1, 2.38026637e-26,
                 0.154892296, 0.0569816902, 0.0939469263, 0.694179118);
    CHECK_VALUES(logarithm, 1e-6, -3.4401896, -2.4401896, -1.44018972, -0.440189689, -110, -60, 0, -59, -1.86502528,
                 -2.86502528, -2.36502528, -0.365025312);
    /* along the first dim: the softmax of the transposed */
    CHECK_VALUES(DO(softmax, ATTRS(0), DO(transpose, ATTRS(0, 1), x)), 1e-7, 0.0320586041, 0, 0.154892296, 0.0871443227,
                 8.75651089e-27, 0.0569816902, 0.236882836, 1, 0.0939469263, 0.643914282, 2.38026637e-26, 0.694179118);
    CHECK_VALUES(DO(softmax, last, floats(SHAPE(1, 2), FLOATS(NAN, 1))), 0, NAN, NAN);
    CHECK_VALUES(DO(softmax, last, floats(SHAPE(1, 3), FLOATS(-INFINITY, 1, 1))), 0, 0, 0.5, 0.5);
    CHECK_ERROR(DO(softmax, ATTRS(2), x), MOTH_ERR_ARGUMENT, "softmax: dim 3 is outside 1..2; got (3, 4)");
    CHECK_ERROR(DO(softmax, last, ints(SHAPE(2), INTS(1, 2))), MOTH_ERR_DTYPE,
                "softmax: tensor 1 must be float32; got int32");
}

/* ---- cross entropy ---- */

static void test_softmax_cross_entropy(void)
{
    moth_tensor *x = floats(SHAPE(3, 4), FLOATS(1, 2, 3, 4, -50, 0, 60, 1, 0.5f, -0.5f, 0, 2));
    moth_tensor *t = floats(SHAPE(3, 4), FLOATS(0, 0, 1, 0, 1, 0, 0, 0, 0.1f, 0.2f, 0.3f, 0.4f));
    moth_tensor *ids = ints(SHAPE(3), INTS(2, 0, 1)), *small_ids = bytes(SHAPE(3), BYTES(2, 0, 1));
    const moth_attrs *clipped = ATTRS(0), *exact = ATTRS(1);
    CHECK_VALUES(DO(softmax_cross_entropy, clipped, x, t), 2e-6, 1.4401896, 16.1180954, 1.61502528);
    CHECK_VALUES(DO(softmax_cross_entropy, exact, x, t), 1e-6, 1.44018972, 110, 1.61502528);
    CHECK_VALUES(DO(softmax_cross_entropy, clipped, x, ids), 2e-6, 1.4401896, 16.1180954, 2.86502528);
    CHECK_VALUES(DO(softmax_cross_entropy, exact, x, ids), 1e-6, 1.44018972, 110, 2.86502528);
    CHECK_VALUES(DO(softmax_cross_entropy, exact, x, small_ids), 1e-6, 1.44018972, 110, 2.86502528);

    /* the gradient does not stop where the value is clipped: p - t */
    moth_tensor *seed = floats(SHAPE(3), FLOATS(1, 2, 1)), *dx = NULL;
    x->requires_grad = true;
    moth_tensor *loss = DO(softmax_cross_entropy, clipped, x, ids);
    CHECK(moth_gradients(ctx, 1, &loss, &seed, 1, &x, &dx) == MOTH_OK);
    CHECK_VALUES(own(dx), 1e-6, 0.0320586041, 0.0871443227, -0.763117164, 0.643914282, -2, 0, 2, 0, 0.154892296,
                 -0.9430183098, 0.0939469263, 0.694179118);

    CHECK_ERROR(DO(softmax_cross_entropy, exact, x, ints(SHAPE(3), INTS(0, 3, 4))), MOTH_ERR_INDEX,
                "softmax_cross_entropy: label 4 of row 3 is not in 0..3");
    CHECK_ERROR(DO(softmax_cross_entropy, exact, x, ints(SHAPE(3), INTS(-1, 3, 0))), MOTH_ERR_INDEX,
                "softmax_cross_entropy: label -1 of row 1 is not in 0..3");
    CHECK_ERROR(DO(softmax_cross_entropy, exact, x, ints(SHAPE(2), INTS(1, 3))), MOTH_ERR_SHAPE,
                "softmax_cross_entropy: takes logits (..., c) and float targets (..., c) or integer class ids (...); "
                "got (3, 4) and (2,)");
    CHECK_ERROR(DO(softmax_cross_entropy, exact, ids, ids), MOTH_ERR_DTYPE,
                "softmax_cross_entropy: logits must be float32; got (3,) and (3,)");
}

static void test_sigmoid_cross_entropy(void)
{
    moth_tensor *x = floats(SHAPE(6), FLOATS(0.5f, -2, 30, -30, 0, 3));
    moth_tensor *t = floats(SHAPE(6), FLOATS(1, 0, 0, 1, 0.25f, 0.9f));
    CHECK_VALUES(DO(sigmoid_cross_entropy, ATTRS(0), x, t), 2e-6, 0.474076957, 0.126928002, 15.9423847, 16.1180954,
                 0.693147182, 0.348587453);
    CHECK_VALUES(DO(sigmoid_cross_entropy, ATTRS(1), x, t), 1e-6, 0.474076986, 0.126928002, 30, 30, 0.693147182,
                 0.348587424);
    CHECK_ERROR(DO(sigmoid_cross_entropy, ATTRS(1), x, scalar(1)), MOTH_ERR_SHAPE,
                "sigmoid_cross_entropy: logits and targets must have one shape; got (6,) and ()");
}

/* ---- gather ---- */

static void test_gather(void)
{
    moth_tensor *data = bytes(SHAPE(3, 2), BYTES(0, 51, 102, 153, 204, 255));
    moth_tensor *index = ints(SHAPE(4), INTS(2, 0, 0, 1));
    const moth_attrs scaled = { .f = { 1 / 255.0 } };
    moth_tensor *kept = DO(gather, NULL, data, index), *made = DO(gather, &scaled, data, index);
    CHECK_VALUES(kept, 0, 204, 255, 0, 51, 0, 51, 102, 153);
    CHECK(kept->meta.dtype == MOTH_UINT8);
    CHECK_VALUES(made, 1e-7, 0.8, 1, 0, 0.2, 0, 0.2, 0.4, 0.6);
    CHECK(made->meta.dtype == MOTH_FLOAT32);
    CHECK_ERROR(DO(gather, NULL, data, ints(SHAPE(2), INTS(0, 3))), MOTH_ERR_INDEX,
                "gather: position 3 is outside 0..2");
    CHECK_ERROR(DO(gather, NULL, data, ints(SHAPE(2), INTS(-1, 3))), MOTH_ERR_INDEX,
                "gather: position -1 is outside 0..2");
    CHECK_ERROR(DO(gather, NULL, data, data), MOTH_ERR_DTYPE, "gather: the index must be int32; got (3, 2) and (3, 2)");
    CHECK_ERROR(DO(gather, NULL, data, ints(SHAPE(1, 1), INTS(0))), MOTH_ERR_SHAPE,
                "gather: takes data (n, ...) and an index (b); got (3, 2) and (1, 1)");
}

/* ---- updates: three steps of every optimizer on one variable, as Keras makes them ---- */

enum { STEPS = 3, SLOTS = 3 };

static const float initial[6] = { 0.5f, -1, 2, 0.25f, 3, -0.75f };
static const float gradients[STEPS][6] = { { 1, -2, 0.5f, 0.1f, 0, -3 },
                                           { -0.5f, 1, 0.25f, 0.2f, -0.4f, 1 },
                                           { 2, 0.3f, -1, 0, 0.7f, 0.05f } };

/* Numbers of step t = 1, 2, … with Keras's defaults but for the learning rate. */
typedef void (*fill)(int t, double rate, float *h);

typedef struct optimizer {
    const char *name;
    moth_op_id op;
    fill fill;
    double rate;
    double slot[SLOTS]; /* first value; NAN: no such slot */
    int64_t nesterov;
    double want[6];
} optimizer;

static void fill_sgd(int t, double rate, float *h)
{
    (void)t;
    (void)rate;
    h[MOTH_SGD_MOMENTUM] = 0.9f;
}

static void fill_decayed_sgd(int t, double rate, float *h)
{
    fill_sgd(t, rate, h);
    h[MOTH_UPDATE_DECAY] = (float)(0.2 * rate);
}

static void fill_rmsprop(int t, double rate, float *h)
{
    (void)t;
    (void)rate;
    h[MOTH_RMSPROP_RHO] = 0.9f;
    h[MOTH_RMSPROP_1_RHO] = 0.1f;
    h[MOTH_RMSPROP_EPSILON] = 1e-7f;
    h[MOTH_RMSPROP_MOMENTUM] = 0.8f;
}

static void fill_adam_of(int t, double rate, float *h, double beta_2)
{
    h[MOTH_UPDATE_RATE] = (float)(rate * sqrt(1 - pow(beta_2, t)) / (1 - pow(0.9, t)));
    h[MOTH_ADAM_1_BETA_1] = 0.1f;
    h[MOTH_ADAM_1_BETA_2] = (float)(1 - beta_2);
    h[MOTH_ADAM_EPSILON] = 1e-7f;
}

static void fill_adam(int t, double rate, float *h)
{
    fill_adam_of(t, rate, h, 0.999);
}

static void fill_amsgrad(int t, double rate, float *h)
{
    fill_adam_of(t, rate, h, 0.5);
}

static void fill_adagrad(int t, double rate, float *h)
{
    (void)t;
    (void)rate;
    h[MOTH_ADAGRAD_EPSILON] = 1e-7f;
}

static void fill_adadelta(int t, double rate, float *h)
{
    (void)t;
    (void)rate;
    h[MOTH_ADADELTA_RHO] = 0.95f;
    h[MOTH_ADADELTA_1_RHO] = 0.05f;
    h[MOTH_ADADELTA_EPSILON] = 1e-7f;
}

static void fill_adamax(int t, double rate, float *h)
{
    h[MOTH_UPDATE_RATE] = (float)(rate / (1 - pow(0.9, t)));
    h[MOTH_ADAMAX_1_BETA_1] = 0.1f;
    h[MOTH_ADAMAX_BETA_2] = 0.999f;
    h[MOTH_ADAMAX_EPSILON] = 1e-7f;
}

static void fill_nadam(int t, double rate, float *h)
{
    double product = 1;
    (void)rate;
    for (int k = 1; k <= t; k++) {
        product *= 0.9 * (1 - 0.5 * pow(0.96, k));
    }
    double now = 0.9 * (1 - 0.5 * pow(0.96, t)), next = 0.9 * (1 - 0.5 * pow(0.96, t + 1));
    h[MOTH_NADAM_1_BETA_1] = 0.1f;
    h[MOTH_NADAM_1_BETA_2] = 0.001f;
    h[MOTH_NADAM_M_FACTOR] = (float)(next / (1 - product * next));
    h[MOTH_NADAM_G_FACTOR] = (float)((1 - now) / (1 - product));
    h[MOTH_NADAM_V_DIVISOR] = (float)(1 - pow(0.999, t));
    h[MOTH_NADAM_EPSILON] = 1e-7f;
}

static void fill_lion(int t, double rate, float *h)
{
    (void)t;
    (void)rate;
    h[MOTH_LION_BETA_1] = 0.9f;
    h[MOTH_LION_1_BETA_1] = 0.1f;
    h[MOTH_LION_BETA_2] = 0.99f;
    h[MOTH_LION_1_BETA_2] = 0.01f;
}

static const optimizer optimizers[] = {
    { "sgd",
      MOTH_OP_update_sgd,
      fill_sgd,
      0.1,
      { NAN, NAN, NAN },
      0,
      { 0.25, -0.930000067, 2.0250001, 0.219999999, 2.97000003, -0.555000007 } },
    { "sgd momentum",
      MOTH_OP_update_sgd,
      fill_sgd,
      0.1,
      { 0, NAN, NAN },
      0,
      { 0.124000013, -0.678000033, 1.91700006, 0.184899986, 3.00600004, -0.131999955 } },
    { "sgd nesterov",
      MOTH_OP_update_sgd,
      fill_sgd,
      0.1,
      { 0, NAN, NAN },
      1,
      { -0.0884000063, -0.640200019, 1.95029998, 0.161410004, 2.97539997, 0.00120006502 } },
    { "sgd decay",
      MOTH_OP_update_sgd,
      fill_decayed_sgd,
      0.1,
      { NAN, NAN, NAN },
      0,
      { 0.223555997, -0.877112031, 1.90986407, 0.206093997, 2.79277611, -0.520774007 } },
    { "rmsprop",
      MOTH_OP_update_rmsprop,
      fill_rmsprop,
      0.05,
      { 0, NAN, NAN },
      0,
      { 0.2746782, -0.938670456, 1.90909445, -0.0509616733, 3.01911092, -0.647062421 } },
    { "rmsprop momentum",
      MOTH_OP_update_rmsprop,
      fill_rmsprop,
      0.05,
      { 0, 0, NAN },
      0,
      { 0.105971038, -0.769963205, 1.62243426, -0.392918855, 3.14560151, -0.461309761 } },
    { "rmsprop centered",
      MOTH_OP_update_rmsprop,
      fill_rmsprop,
      0.05,
      { 0, NAN, 0 },
      0,
      { 0.258136362, -0.930684149, 1.89409494, -0.0736160278, 3.02637863, -0.639400005 } },
    { "rmsprop both",
      MOTH_OP_update_rmsprop,
      fill_rmsprop,
      0.05,
      { 0, 0, 0 },
      0,
      { 0.0775278509, -0.750075579, 1.58934331, -0.439169586, 3.15971136, -0.442013532 } },
    { "adam",
      MOTH_OP_update_adam,
      fill_adam,
      0.05,
      { 0, 0, NAN },
      0,
      { 0.403778374, -0.930732369, 1.91371024, 0.114440218, 3.02373457, -0.665028632 } },
    { "adam amsgrad",
      MOTH_OP_update_adam,
      fill_amsgrad,
      0.05,
      { 0, 0, 0 },
      0,
      { 0.409569323, -0.931982398, 1.91351295, 0.125909314, 3.02123857, -0.669695318 } },
    { "adagrad",
      MOTH_OP_update_adagrad,
      fill_adagrad,
      0.1,
      { 0.1, NAN, NAN },
      0,
      { 0.361219376, -0.958676338, 1.96070027, 0.168209106, 2.99761724, -0.683589876 } },
    { "adadelta",
      MOTH_OP_update_adadelta,
      fill_adadelta,
      1,
      { 0, 0, NAN },
      0,
      { 0.497579426, -0.999801278, 1.99959219, 0.246788189, 2.99966693, -0.749267459 } },
    { "adamax",
      MOTH_OP_update_adamax,
      fill_adamax,
      0.05,
      { 0, 0, NAN },
      0,
      { 0.417691946, -0.93558085, 1.91994762, 0.137740627, 3.01735425, -0.675952435 } },
    { "nadam",
      MOTH_OP_update_nadam,
      fill_nadam,
      0.05,
      { 0, 0, NAN },
      0,
      { 0.419096082, -0.972079635, 1.96480763, 0.143990904, 3.00681639, -0.708140492 } },
    { "lion",
      MOTH_OP_update_lion,
      fill_lion,
      0.05,
      { 0, NAN, NAN },
      0,
      { 0.449999988, -1.04999995, 1.95000005, 0.100000009, 3, -0.699999988 } },
};

/* An update has no result; true on success. */
static bool update(moth_op_id id, const moth_attrs *attrs, int n_in, moth_tensor *const *in)
{
    moth_tensor *none[1];
    return moth_apply(ctx, moth_op_of(ctx, id), attrs, n_in, in, none, true) == MOTH_OK;
}

static void test_updates(void)
{
    for (size_t k = 0; k < sizeof optimizers / sizeof optimizers[0]; k++) {
        const optimizer *o = &optimizers[k];
        moth_tensor *in[3 + SLOTS] = { floats(SHAPE(2, 3), initial) };
        for (int s = 0; s < SLOTS; s++) {
            float v = (float)o->slot[s];
            in[3 + s] = v == v ? floats(SHAPE(2, 3), FLOATS(v, v, v, v, v, v)) : NULL;
        }
        int n_in = 3 + SLOTS;
        while (!in[n_in - 1]) {
            n_in--;
        }
        n_in = n_in < 3 ? 3 : n_in;
        for (int t = 1; t <= STEPS; t++) {
            float h[MOTH_UPDATE_HYPER_MAX] = { [MOTH_UPDATE_RATE] = (float)o->rate };
            o->fill(t, o->rate, h);
            in[1] = floats(SHAPE(2, 3), gradients[t - 1]);
            in[2] = floats(SHAPE(MOTH_UPDATE_HYPER_MAX), h);
            n_in = n_in < 3 ? 3 : n_in;
            CHECK_THAT(update(o->op, ATTRS(o->nesterov), n_in, in), "%s: %s", o->name, moth_error(ctx));
        }
        check_values(o->name, in[0], 6, o->want, 2e-6);
    }
}

static void test_update_errors(void)
{
    moth_tensor *w = floats(SHAPE(2, 3), initial), *g = floats(SHAPE(3, 2), initial);
    moth_tensor *h = floats(SHAPE(3), FLOATS(0.1f, 0, 0)), *m = floats(SHAPE(2, 3), initial);
    uint64_t version = w->storage->version;
    CHECK(!update(MOTH_OP_update_sgd, NULL, 3, (moth_tensor *[]){ w, g, h }));
    CHECK_TEXT(moth_error(ctx),
               "update_sgd: gradient and slots must have the shape of the variable; got (2, 3), (3, 2) "
               "and (3,)");
    CHECK(!update(MOTH_OP_update_adam, NULL, 5, (moth_tensor *[]){ w, m, h, m, m }));
    CHECK_TEXT(moth_error(ctx),
               "update_adam: takes a vector of at least 5 numbers; got (2, 3), (2, 3), (3,) and (2, 3)");
    CHECK(!update(MOTH_OP_update_sgd, NULL, 3, (moth_tensor *[]){ DO(transpose, ATTRS(0, 1), w), g, h }));
    CHECK_TEXT(moth_error(ctx), "update_sgd: variable and slots must be contiguous; got (3, 2), (3, 2) and (3,)");
    CHECK(w->storage->version == version);
    CHECK(update(MOTH_OP_update_sgd, NULL, 3, (moth_tensor *[]){ w, m, h }));
    CHECK(w->storage->version == version + 1);
}

/* ---- assignments ---- */

static void test_assign(void)
{
    moth_tensor *w = floats(SHAPE(2, 2), FLOATS(1, 2, 3, 4)), *v = floats(SHAPE(2, 2), FLOATS(5, 6, 7, 8));
    moth_tensor *turned[] = { w, DO(transpose, ATTRS(0, 1), v) }, *mean[] = { w, v };
    CHECK(update(MOTH_OP_assign, NULL, 2, turned));
    CHECK_VALUES(w, 0, 5, 7, 6, 8);
    CHECK(update(MOTH_OP_assign_average, &(moth_attrs){ .f = { 0.75 } }, 2, mean));
    CHECK_VALUES(w, 0, 5, 6.75, 6.25, 8);
    moth_tensor *wrong_type[] = { w, ints(SHAPE(2, 2), INTS(1, 2, 3, 4)) }, *wrong_shape[] = { w, scalar(1) };
    CHECK(!update(MOTH_OP_assign, NULL, 2, wrong_type));
    CHECK_TEXT(moth_error(ctx), "assign: the value must have the type of the variable; got (2, 2) and (2, 2)");
    CHECK(!update(MOTH_OP_assign, NULL, 2, wrong_shape));
    CHECK_TEXT(moth_error(ctx), "assign: the value must have the shape of the variable; got (2, 2) and ()");
}

int main(void)
{
    void (*const tests[])(void) = {
        test_softmax,
        test_softmax_cross_entropy,
        test_sigmoid_cross_entropy,
        test_gather,
        test_updates,
        test_update_errors,
        test_assign,
    };
    return run_tests(sizeof tests / sizeof tests[0], tests);
}
