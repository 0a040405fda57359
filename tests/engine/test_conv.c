/* Convolution and pooling against their definitions, written out as plain loops in double; shapes that do not fit;
 * shapes while tracing; in a plan as eagerly. */
#include "test.h"

#include <stdlib.h>

#include "autograd/autograd.h"
#include "refusals.h"
#include "ops/conv.h"
#include "ops/pool2d.h"

static moth_ctx *ctx;

/* ---- convolution ---- */

/* Sizes of one convolution in words; y's rows and columns are worked out by hand. */
typedef struct setup {
    int64_t b, h, w, c, kh, kw, f, oh, ow;
    int64_t stride[2], pad[4], dilation[2], groups;
} setup;

static const setup setups[] = {
    { 3, 28, 28, 1, 3, 3, 32, 26, 26, { 1, 1 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 },
    { 2, 13, 13, 32, 3, 3, 64, 11, 11, { 1, 1 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 },
    { 67, 4, 4, 3, 3, 3, 5, 4, 4, { 1, 1 }, { 1, 1, 1, 1 }, { 1, 1 }, 1 },
    { 2, 28, 27, 3, 3, 4, 17, 14, 14, { 2, 2 }, { 0, 1, 1, 2 }, { 1, 1 }, 1 }, /* Keras's "same" */
    { 2, 11, 9, 4, 3, 2, 6, 3, 6, { 3, 1 }, { 1, 1, 0, 0 }, { 2, 3 }, 2 },
    { 70, 1, 1, 9, 1, 1, 33, 1, 1, { 1, 1 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 },
    { 1, 1, 40, 2, 1, 5, 3, 1, 40, { 1, 1 }, { 0, 0, 4, 0 }, { 1, 1 }, 1 }, /* causal */
    { 2, 5, 6, 8, 3, 3, 16, 3, 4, { 1, 1 }, { 0, 0, 0, 0 }, { 1, 1 }, 8 },
    { 2, 9, 7, 35, 3, 3, 35, 5, 4, { 2, 2 }, { 1, 1, 1, 1 }, { 1, 1 }, 35 },
    { 3, 6, 6, 16, 3, 3, 16, 4, 4, { 1, 1 }, { 0, 0, 0, 0 }, { 1, 1 }, 16 },
    { 1, 6, 6, 70, 2, 2, 130, 5, 5, { 1, 1 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 },
    { 1, 3, 3, 600, 3, 3, 2, 1, 1, { 1, 1 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 },
    { 0, 5, 5, 2, 3, 3, 4, 3, 3, { 1, 1 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 },
};

static moth_attrs attrs_of(const setup *s, int64_t rows, int64_t columns)
{
    return (moth_attrs){ .i = { [MOTH_CONV_STRIDES] = 2,
                                s->stride[0],
                                s->stride[1],
                                [MOTH_CONV_PADDING] = 4,
                                s->pad[0],
                                s->pad[1],
                                s->pad[2],
                                s->pad[3],
                                [MOTH_CONV_DILATION] = 2,
                                s->dilation[0],
                                s->dilation[1],
                                [MOTH_CONV_GROUPS] = s->groups,
                                [MOTH_CONV_SIZE] = 2,
                                rows,
                                columns } };
}

/* Calls each(x element, w element, y element) for every product that the definition has. */
typedef void (*product_fn)(int64_t x, int64_t w, int64_t y, void *data);

static void for_columns(const setup *s, int64_t b, int64_t p, int64_t i, int64_t f, product_fn each, void *data)
{
    int64_t cg = s->c / s->groups, group = f / (s->f / s->groups);
    int64_t row = p * s->stride[0] + i * s->dilation[0] - s->pad[0];
    for (int64_t q = 0; q < s->ow && row >= 0 && row < s->h; q++) {
        for (int64_t j = 0; j < s->kw; j++) {
            int64_t column = q * s->stride[1] + j * s->dilation[1] - s->pad[2];
            for (int64_t c = 0; c < cg && column >= 0 && column < s->w; c++) {
                each(((b * s->h + row) * s->w + column) * s->c + group * cg + c, ((i * s->kw + j) * cg + c) * s->f + f,
                     ((b * s->oh + p) * s->ow + q) * s->f + f, data);
            }
        }
    }
}

static void for_products(const setup *s, product_fn each, void *data)
{
    for (int64_t b = 0; b < s->b; b++) {
        for (int64_t p = 0; p < s->oh; p++) {
            for (int64_t i = 0; i < s->kh; i++) {
                for (int64_t f = 0; f < s->f; f++) {
                    for_columns(s, b, p, i, f, each, data);
                }
            }
        }
    }
}

typedef struct operands {
    const moth_tensor *x, *w, *y;
    double *sum, *size; /* of the result; size: of the magnitudes, for the tolerance */
} operands;

static void add(const operands *o, int64_t at, double product)
{
    o->sum[at] += product;
    o->size[at] += fabs(product);
}

static void forward(int64_t x, int64_t w, int64_t y, void *data)
{
    const operands *o = data;
    add(o, y, moth_tensor_element(o->x, x) * moth_tensor_element(o->w, w));
}

static void backward(int64_t x, int64_t w, int64_t y, void *data)
{
    const operands *o = data;
    add(o, x, moth_tensor_element(o->y, y) * moth_tensor_element(o->w, w));
}

static void weight(int64_t x, int64_t w, int64_t y, void *data)
{
    const operands *o = data;
    add(o, w, moth_tensor_element(o->x, x) * moth_tensor_element(o->y, y));
}

/* start[i % n]: what the sum of element i begins with */
static void check_sums(const char *what, int number, const setup *s, operands *o, product_fn each,
                       const moth_tensor *start, const moth_tensor *got)
{
    int64_t n = moth_tensor_count(got);
    o->sum = calloc((size_t)n + 1, sizeof *o->sum);
    o->size = calloc((size_t)n + 1, sizeof *o->size);
    for (int64_t i = 0; i < n && start; i++) {
        add(o, i, moth_tensor_element(start, i % moth_tensor_count(start)));
    }
    for_products(s, each, o);
    int64_t bad = -1;
    for (int64_t i = 0; i < n && bad < 0; i++) {
        double error = fabs(moth_tensor_element(got, i) - o->sum[i]);
        bad = error <= 1e-6 * (1 + o->size[i]) ? -1 : i;
    }
    CHECK_THAT(bad < 0, "%s %d: element %lld is %.9g, not %.9g", what, number, (long long)bad,
               moth_tensor_element(got, bad), o->sum[bad]);
    free(o->sum);
    free(o->size);
}

static void check_setup(const setup *s, int number)
{
    moth_case c = { .in = { MOTH_REAL(4, s->b, s->h, s->w, s->c), MOTH_REAL(4, s->kh, s->kw, s->c / s->groups, s->f),
                            MOTH_REAL(4, s->b, s->oh, s->ow, s->f), MOTH_REAL(1, s->f), MOTH_REAL(1, s->c) },
                    .n_in = 5 };
    moth_tensor *t[5], *y = NULL, *x = NULL, *dw[2] = { NULL };
    case_inputs(ctx, &c, (uint64_t)number, t);
    operands o = { t[0], t[1], t[2], NULL, NULL };
    moth_attrs attrs = attrs_of(s, s->h, s->w), kernel = attrs_of(s, s->kh, s->kw);
    CHECK_THAT(moth_apply1(ctx, MOTH_OP_conv2d, &attrs, 3, (moth_tensor *[]){ t[0], t[1], t[3] }, &y) == MOTH_OK &&
                   moth_meta_same_shape(&y->meta, &t[2]->meta),
               "setup %d: %s", number, moth_error(ctx));
    CHECK_THAT(moth_apply1(ctx, MOTH_OP_conv2d_transpose, &attrs, 3, (moth_tensor *[]){ t[2], t[1], t[4] }, &x) ==
                   MOTH_OK,
               "setup %d: %s", number, moth_error(ctx));
    CHECK_THAT(moth_apply(ctx, moth_op_of(ctx, MOTH_OP_conv2d_weight), &kernel, 2, (moth_tensor *[]){ t[0], t[2] }, dw,
                          true) == MOTH_OK,
               "setup %d: %s", number, moth_error(ctx));
    if (y && x && dw[0]) {
        check_sums("conv2d", number, s, &o, forward, t[3], y);
        check_sums("conv2d_transpose", number, s, &o, backward, t[4], x);
        check_sums("conv2d_weight", number, s, &o, weight, NULL, dw[0]);
        for (int64_t f = 0; f < s->f; f++) {
            double sum = 0;
            for (int64_t i = f; i < moth_tensor_count(t[2]); i += s->f) {
                sum += moth_tensor_element(t[2], i);
            }
            CHECK_NEAR(moth_tensor_element(dw[1], f), sum, 1e-4);
        }
    }
    release_all(5, t);
    release_all(2, dw);
    moth_tensor_release(y);
    moth_tensor_release(x);
}

/* The sums over the batch are cut by shape: bits do not depend on threads. */
static void check_threads(const setup *s, int number)
{
    moth_case c = { .in = { MOTH_REAL(4, s->b, s->h, s->w, s->c), MOTH_REAL(4, s->b, s->oh, s->ow, s->f) }, .n_in = 2 };
    moth_tensor *in[2], *out[2][2] = { { NULL } };
    moth_attrs attrs = attrs_of(s, s->kh, s->kw);
    case_inputs(ctx, &c, (uint64_t)number, in);
    for (int k = 0; k < 2; k++) {
        CHECK(moth_ctx_set_threads(ctx, k ? 4 : 1) == MOTH_OK);
        CHECK(moth_apply(ctx, moth_op_of(ctx, MOTH_OP_conv2d_weight), &attrs, 2, in, out[k], true) == MOTH_OK);
    }
    for (int k = 0; k < 2; k++) {
        CHECK_THAT(memcmp(moth_tensor_data(out[0][k]), moth_tensor_data(out[1][k]),
                          (size_t)moth_tensor_count(out[0][k]) * sizeof(float)) == 0,
                   "setup %d: bits depend on the number of threads", number);
    }
    release_all(2, in);
    release_all(2, out[0]);
    release_all(2, out[1]);
}

/* ---- pooling ---- */

typedef struct pooling {
    int64_t b, h, w, c, oh, ow, window[2], stride[2], pad[4];
} pooling;

static const pooling poolings[] = {
    { 3, 26, 26, 32, 13, 13, { 2, 2 }, { 2, 2 }, { 0, 0, 0, 0 } },
    { 2, 11, 11, 64, 5, 5, { 2, 2 }, { 2, 2 }, { 0, 0, 0, 0 } },
    { 66, 5, 4, 3, 3, 2, { 2, 2 }, { 2, 2 }, { 0, 1, 0, 0 } },
    { 2, 7, 8, 5, 4, 8, { 3, 2 }, { 2, 1 }, { 1, 1, 0, 1 } },
    { 1, 20, 30, 1, 1, 1, { 20, 30 }, { 20, 30 }, { 0, 0, 0, 0 } },
    { 1, 1, 9, 2, 1, 3, { 1, 3 }, { 1, 3 }, { 0, 0, 0, 0 } },
};

/* The largest and the mean of a window, and the element of x that is the largest first. */
static void pool_window(const pooling *s, const moth_tensor *x, int64_t y, double *most, double *mean, int64_t *where)
{
    int64_t c = y % s->c, q = y / s->c % s->ow, p = y / s->c / s->ow % s->oh, b = y / s->c / s->ow / s->oh, n = 0;
    *most = -INFINITY;
    *mean = 0;
    for (int64_t k = 0; k < s->window[0] * s->window[1]; k++) {
        int64_t row = p * s->stride[0] - s->pad[0] + k / s->window[1];
        int64_t column = q * s->stride[1] - s->pad[2] + k % s->window[1];
        if (row < 0 || row >= s->h || column < 0 || column >= s->w) {
            continue;
        }
        int64_t at = ((b * s->h + row) * s->w + column) * s->c + c;
        double v = moth_tensor_element(x, at);
        *where = v > *most ? at : *where;
        *most = v > *most ? v : *most;
        *mean += v;
        n++;
    }
    *mean /= (double)n;
}

static void check_pooling(const pooling *s, int number)
{
    moth_case c = { .in = { { 4, { s->b, s->h, s->w, s->c }, MOTH_FLOAT32, -3, 3, 0 } }, .n_in = 1 };
    moth_tensor *x, *max = NULL, *avg = NULL, *dx = NULL;
    moth_attrs attrs = { .i = { [MOTH_POOL_WINDOW] = 2,
                                s->window[0],
                                s->window[1],
                                [MOTH_POOL_STRIDES] = 2,
                                s->stride[0],
                                s->stride[1],
                                [MOTH_POOL_PADDING] = 4,
                                s->pad[0],
                                s->pad[1],
                                s->pad[2],
                                s->pad[3] } };
    case_inputs(ctx, &c, (uint64_t)number, &x);
    for (int64_t i = 0; i < moth_tensor_count(x); i++) { /* few values, so that there are many equals */
        moth_tensor_set_element(x, i, rint(moth_tensor_element(x, i)));
    }
    x->requires_grad = true;
    CHECK(moth_apply1(ctx, MOTH_OP_max_pool2d, &attrs, 1, &x, &max) == MOTH_OK);
    CHECK(moth_apply1(ctx, MOTH_OP_avg_pool2d, &attrs, 1, &x, &avg) == MOTH_OK);
    if (!max || !avg) {
        return;
    }
    CHECK(max->meta.shape[1] == s->oh && max->meta.shape[2] == s->ow && moth_meta_same_shape(&max->meta, &avg->meta));
    double *want = calloc((size_t)moth_tensor_count(x), sizeof *want);
    bool right = true;
    for (int64_t y = 0; y < moth_tensor_count(max); y++) {
        double most, mean;
        int64_t where = 0;
        pool_window(s, x, y, &most, &mean, &where);
        want[where] += 1;
        right = right && moth_tensor_element(max, y) == most && fabs(moth_tensor_element(avg, y) - mean) < 1e-5;
    }
    CHECK_THAT(right, "pooling %d: wrong values", number);
    moth_tensor *ones = NULL;
    CHECK(moth_tensor_new(ctx, MOTH_FLOAT32, 4, max->meta.shape, &ones) == MOTH_OK);
    for (int64_t i = 0; i < moth_tensor_count(ones); i++) {
        moth_tensor_set_element(ones, i, 1);
    }
    CHECK(moth_gradients(ctx, 1, &max, &ones, 1, &x, &dx) == MOTH_OK);
    for (int64_t i = 0; i < moth_tensor_count(x); i++) {
        right = right && moth_tensor_element(dx, i) == want[i];
    }
    CHECK_THAT(right, "pooling %d: the gradient does not go to the first of the largest", number);
    free(want);
    release_all(5, (moth_tensor *[]){ x, max, avg, ones, dx });
}

static void test_nan(void)
{
    static const double values[4][4] = { { NAN, 1, 2, 3 }, { 1, NAN, 3, 2 }, { 1, 2, 3, NAN }, { 1, -INFINITY, 3, 2 } };
    for (int i = 0; i < 4; i++) {
        for (int wide = 0; wide < 2; wide++) { /* a window of 2 by 2, and one of 1 by 4 */
            moth_case c = { .in = { MOTH_REAL(4, 1, wide ? 1 : 2, wide ? 4 : 2, 1) }, .n_in = 1 };
            moth_attrs attrs = { .i = { 2, wide ? 1 : 2, wide ? 4 : 2 } };
            moth_tensor *x, *y = NULL;
            case_inputs(ctx, &c, 1, &x);
            for (int k = 0; k < 4; k++) {
                moth_tensor_set_element(x, k, values[i][k]);
            }
            CHECK(moth_apply1(ctx, MOTH_OP_max_pool2d, &attrs, 1, &x, &y) == MOTH_OK);
            CHECK_NEAR(moth_tensor_element(y, 0), i < 3 ? NAN : 3, 0);
            moth_tensor_release(x);
            moth_tensor_release(y);
        }
    }
}

/* ---- what does not fit ---- */

#define ATTRS(...) .attrs = { .i = { __VA_ARGS__ } }

static const refusal refusals[] = {
    { MOTH_OP_conv2d,
      MOTH_ERR_SHAPE,
      { .in = { MOTH_REAL(3, 5, 5, 1), MOTH_REAL(4, 3, 3, 1, 2) }, .n_in = 2 },
      "conv2d: takes x (batch, rows, columns, channels), w (rows, columns, channels, filters) and b (filters); got "
      "(5, 5, 1) and (3, 3, 1, 2)" },
    { MOTH_OP_conv2d,
      MOTH_ERR_SHAPE,
      { .in = { MOTH_REAL(4, 1, 5, 5, 1), MOTH_REAL(4, 3, 3, 2, 2) }, .n_in = 2 },
      "conv2d: the kernel must take 1 channels (1 in 1 groups); got (1, 5, 5, 1) and (3, 3, 2, 2)" },
    { MOTH_OP_conv2d,
      MOTH_ERR_SHAPE,
      { .in = { MOTH_REAL(4, 1, 5, 5, 1), MOTH_REAL(4, 3, 3, 1, 2), MOTH_REAL(1, 3) }, .n_in = 3 },
      "conv2d: b must have as many entries as there are filters; got (1, 5, 5, 1), (3, 3, 1, 2) and (3,)" },
    { MOTH_OP_conv2d,
      MOTH_ERR_SHAPE,
      { .in = { MOTH_REAL(4, 1, 5, 2, 1), MOTH_REAL(4, 3, 3, 1, 2) }, .n_in = 2 },
      "conv2d: a kernel over 3 columns does not fit into 2 (with padding); got (1, 5, 2, 1) and (3, 3, 1, 2)" },
    { MOTH_OP_conv2d,
      MOTH_ERR_ARGUMENT,
      { .in = { MOTH_REAL(4, 1, 5, 5, 1), MOTH_REAL(4, 3, 3, 1, 2) }, .n_in = 2, ATTRS(2, 0, 1) },
      "conv2d: strides must be 2 numbers from 1 to 2^31 - 1; got (1, 5, 5, 1) and (3, 3, 1, 2)" },
    { MOTH_OP_conv2d,
      MOTH_ERR_SHAPE,
      { .in = { MOTH_REAL(4, 1, 5, 5, 3), MOTH_REAL(4, 3, 3, 1, 2) }, .n_in = 2, ATTRS([MOTH_CONV_GROUPS] = 2) },
      "conv2d: groups (2) must divide channels (3) and filters (2); got (1, 5, 5, 3) and (3, 3, 1, 2)" },
    { MOTH_OP_conv2d,
      MOTH_ERR_SHAPE,
      { .in = { MOTH_REAL(4, 1, 5, 5, 1), MOTH_REAL(4, 3, 3, 1, 2) },
        .n_in = 2,
        ATTRS([MOTH_CONV_PADDING] = 4, 65536, 65536, 65536, 65536) },
      "conv2d: an image with its padding must have fewer than 2^31 elements; got (1, 5, 5, 1) and (3, 3, 1, 2)" },
    { MOTH_OP_conv2d,
      MOTH_ERR_DTYPE,
      { .in = { { 4, { 1, 5, 5, 1 }, MOTH_UINT8, 0, 9, 0 }, MOTH_REAL(4, 3, 3, 1, 2) }, .n_in = 2 },
      "conv2d: tensor 1 must be float32; got uint8" },
    { MOTH_OP_conv2d,
      MOTH_ERR_SHAPE,
      { .in = { MOTH_REAL(4, 1, 5, 5, 0), MOTH_REAL(4, 3, 3, 0, 2) }, .n_in = 2 },
      "conv2d: rows, columns and channels must be at least 1; got (1, 5, 5, 0) and (3, 3, 0, 2)" },
    { MOTH_OP_conv2d_transpose,
      MOTH_ERR_SHAPE,
      { .in = { MOTH_REAL(4, 1, 5, 5, 2), MOTH_REAL(4, 3, 3, 1, 2) }, .n_in = 2, ATTRS([MOTH_CONV_SIZE] = 2, 8, 7) },
      "conv2d_transpose: for size (8, 7), y must be (batch, 6, 5, 2); got (1, 5, 5, 2) and (3, 3, 1, 2)" },
    { MOTH_OP_conv2d_transpose,
      MOTH_ERR_ARGUMENT,
      { .in = { MOTH_REAL(4, 1, 5, 5, 2), MOTH_REAL(4, 3, 3, 1, 2) }, .n_in = 2 },
      "conv2d_transpose: size must be the rows and columns of the result; got (1, 5, 5, 2) and (3, 3, 1, 2)" },
    { MOTH_OP_max_pool2d,
      MOTH_ERR_SHAPE,
      { .in = { MOTH_REAL(4, 1, 5, 5, 2) }, .n_in = 1, ATTRS(2, 6, 2) },
      "max_pool2d: a window of 6 rows does not fit into 5 (with padding); got (1, 5, 5, 2)" },
    { MOTH_OP_avg_pool2d,
      MOTH_ERR_ARGUMENT,
      { .in = { MOTH_REAL(4, 1, 5, 5, 2) }, .n_in = 1, ATTRS(2, 2, 2, [MOTH_POOL_PADDING] = 4, 0, 2, 0, 0) },
      "avg_pool2d: padding must be smaller than the window; got (1, 5, 5, 2)" },
    { MOTH_OP_max_pool2d,
      MOTH_ERR_ARGUMENT,
      { .in = { MOTH_REAL(4, 1, 5, 5, 2) }, .n_in = 1 },
      "max_pool2d: pool must be the rows and columns of a window; got (1, 5, 5, 2)" },
    { MOTH_OP_max_pool2d,
      MOTH_ERR_SHAPE,
      { .in = { MOTH_REAL(3, 5, 5, 2) }, .n_in = 1, ATTRS(2, 2, 2) },
      "max_pool2d: takes x (batch, rows, columns, channels); got (5, 5, 2)" },
};

static void test_tracing(void)
{
    moth_case c = { .in = { MOTH_REAL(4, 3, 3, 1, 32) }, .n_in = 1 };
    moth_graph graph;
    moth_tensor *x, *w, *y = NULL, *z = NULL, *p = NULL;
    moth_attrs pool = { .i = { 2, 2, 2 } };
    case_inputs(ctx, &c, 1, &w);
    moth_trace_begin(ctx, &graph);
    CHECK(moth_placeholder(ctx, MOTH_FLOAT32, 4, (int64_t[]){ -2, 28, 27, 1 }, &x) == MOTH_OK);
    CHECK(moth_apply1(ctx, MOTH_OP_conv2d, NULL, 2, (moth_tensor *[]){ x, w }, &y) == MOTH_OK);
    CHECK(moth_apply1(ctx, MOTH_OP_max_pool2d, &pool, 1, &y, &p) == MOTH_OK);
    const int64_t *s = p->meta.shape;
    CHECK(s[0] == -2 && s[1] == 13 && s[2] == 12 && s[3] == 32);
    CHECK(moth_apply1(ctx, MOTH_OP_conv2d, NULL, 2, (moth_tensor *[]){ w, x }, &z) == MOTH_ERR_EXACT_BATCH);
    moth_trace_end(ctx, &graph);
    moth_graph_clear(&graph);
    release_all(4, (moth_tensor *[]){ w, x, y, p });
}

int main(void)
{
    ctx = moth_ctx_new();
    for (size_t k = 0; k < sizeof setups / sizeof *setups; k++) {
        check_setup(&setups[k], (int)k + 1);
        check_threads(&setups[k], (int)k + 1);
    }
    for (size_t k = 0; k < sizeof poolings / sizeof *poolings; k++) {
        check_pooling(&poolings[k], (int)k + 1);
    }
    test_nan();
    check_refusals(ctx, sizeof refusals / sizeof *refusals, refusals);
    test_tracing();
    moth_ctx_free(ctx);
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
