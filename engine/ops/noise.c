/* Noise for training: dropout and gaussian_noise, any shape, float32. Draws as in draw.h.
 *
 * dropout (Srivastava et al. 2014): keeps an element with probability 1 - rate and divides it by that, else 0. Beside y
 * it gives the mask, one byte an element, which is all that the gradient needs. gaussian_noise: x + stddev n, n
 * standard normal; the gradient is dy. */
#include "ops/draw.h"
#include "ops/elementwise.h"
#include "ops/nn_util.h"

enum { STREAM = 0, RATE = 0, STDDEV = 0 };

/* ---- dropout ---- */

static moth_status dropout_infer(moth_infer *q)
{
    double rate = q->attrs->f[RATE];
    MOTH_TRY(moth_infer_types(q, MOTH_FLOAT_ONLY));
    if (!(rate >= 0 && rate <= 1)) {
        return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "the rate must lie in 0..1, not %g", rate);
    }
    out_like(&q->out[0], q->in[0]);
    out_like(&q->out[1], q->in[0]);
    q->out[1].dtype = MOTH_UINT8;
    return MOTH_OK;
}

static moth_real kept_scale(const moth_attrs *attrs)
{
    double rate = attrs->f[RATE];
    return rate < 1 ? (moth_real)(1 / (1 - rate)) : 0;
}

static bool dropout_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    uint32_t words[MOTH_DRAW];
    /* a word below the threshold drops its element; at rate 1 the threshold is no 32-bit number */
    const double rate = call->attrs->f[RATE];
    const uint32_t least = rate < 1 ? (uint32_t)(rate * 0x1p32) : 0;
    const uint8_t keep = rate < 1;
    const moth_real scale = kept_scale(call->attrs);
    int64_t row = row_elements(&call->out[0]), n;
    for (int64_t at = r0 * row; at < r1 * row; at += n) {
        int64_t skip = at % MOTH_DRAW;
        n = min64(MOTH_DRAW - skip, r1 * row - at);
        moth_draw(call->run->seed, call->run->step, (uint64_t)call->attrs->i[STREAM], at / MOTH_DRAW, words);
        const moth_real *x = reals(&call->in[0]) + at;
        const uint32_t *w = words + skip;
        moth_real *y = reals(&call->out[0]) + at;
        uint8_t *mask = (uint8_t *)call->out[1].data + at;
        for (int64_t i = 0; i < n; i++) {
            moth_real scaled = x[i] * scale;
            y[i] = w[i] >= least && keep ? scaled : 0;
        }
        for (int64_t i = 0; i < n; i++) {
            mask[i] = w[i] >= least ? keep : 0;
        }
    }
    return true;
}

/* (dy, mask) -> dy / (1 - rate) where the mask is set */
static moth_status dropout_grad_infer(moth_infer *q)
{
    out_like(&q->out[0], q->in[0]);
    return MOTH_OK;
}

static bool dropout_grad_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    const moth_real scale = kept_scale(call->attrs);
    int64_t row = row_elements(&call->out[0]);
    const moth_real *d = reals(&call->in[0]);
    const uint8_t *mask = (const uint8_t *)call->in[1].data;
    moth_real *dx = reals(&call->out[0]);
    MOTH_INDEPENDENT
    for (int64_t i = r0 * row; i < r1 * row; i++) {
        moth_real scaled = d[i] * scale;
        dx[i] = mask[i] ? scaled : 0;
    }
    return true;
}

static const moth_op dropout_grad = {
    .name = "dropout_grad",
    .doc = "gradient of dropout",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = MOTH_OP_ELEMENTWISE,
    .infer = dropout_grad_infer,
    .rows = dropout_grad_rows,
    .nodiff = "second derivatives are not supported",
};

static void dropout_gradient(moth_grad *g)
{
    g->dx[0] = MOTH_EMIT(g->scope, &dropout_grad, g->attrs, g->dy[0], g->y[1]);
}

static const moth_attr_spec dropout_attrs[] = {
    { .name = "rate", .kind = MOTH_ATTR_FLOAT, .slot = RATE },
    { .name = "stream", .kind = MOTH_ATTR_INT, .slot = STREAM, .optional = true },
    { .kind = MOTH_ATTR_END },
};
#define NOISE_CASE(f_, layout_, ...)                                                                      \
    {                                                                                                     \
        .in = { MOTH_REALS(-1, 1, layout_, __VA_ARGS__) }, .n_in = 1, .attrs = {.i = { 7 }, .f = { f_ } } \
    }
static const moth_case noise_cases[] = {
    NOISE_CASE(0.3, 0, 2, 5, 3), NOISE_CASE(0.7, 1, 3, 5, 3, 7), NOISE_CASE(1, 0, 2, 5, 3),
    NOISE_CASE(0, 0, 1, 5),      NOISE_CASE(0.5, 0, 0, 0),       { .n_in = 0 },
};

const moth_op MOTH_OP(dropout) = {
    .name = "dropout",
    .doc = "x / (1 - rate) with probability 1 - rate, else 0, drawn for each element",
    .min_in = 1,
    .max_in = 1,
    .n_out = 2,
    .n_visible = 1,
    .flags = MOTH_OP_RANDOM,
    .attrs = dropout_attrs,
    .infer = dropout_infer,
    .rows = dropout_rows,
    .gradient = dropout_gradient,
    .saves_out = 2,
    .cases = MOTH_CASES(noise_cases),
};

/* ---- gaussian_noise ---- */

static moth_status gaussian_noise_infer(moth_infer *q)
{
    double stddev = q->attrs->f[STDDEV];
    MOTH_TRY(moth_infer_types(q, MOTH_FLOAT_ONLY));
    if (!(stddev >= 0) || !isfinite(stddev)) {
        return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "stddev must be finite and not negative, not %g", stddev);
    }
    out_like(&q->out[0], q->in[0]);
    return MOTH_OK;
}

static bool gaussian_noise_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    uint32_t words[MOTH_DRAW];
    moth_real normals[MOTH_DRAW];
    const moth_real stddev = (moth_real)call->attrs->f[STDDEV];
    int64_t row = row_elements(&call->out[0]), n;
    for (int64_t at = r0 * row; at < r1 * row; at += n) {
        int64_t skip = at % MOTH_DRAW;
        n = min64(MOTH_DRAW - skip, r1 * row - at);
        moth_draw(call->run->seed, call->run->step, (uint64_t)call->attrs->i[STREAM], at / MOTH_DRAW, words);
        moth_normals(words, normals);
        const moth_real *x = reals(&call->in[0]) + at;
        moth_real *y = reals(&call->out[0]) + at;
        MOTH_INDEPENDENT
        for (int64_t i = 0; i < n; i++) {
            y[i] = x[i] + stddev * normals[skip + i];
        }
    }
    return true;
}

static void gaussian_noise_gradient(moth_grad *g)
{
    g->dx[0] = g->dy[0];
}

static const moth_attr_spec gaussian_noise_attrs[] = {
    { .name = "stddev", .kind = MOTH_ATTR_FLOAT, .slot = STDDEV },
    { .name = "stream", .kind = MOTH_ATTR_INT, .slot = STREAM, .optional = true },
    { .kind = MOTH_ATTR_END },
};

const moth_op MOTH_OP(gaussian_noise) = {
    .name = "gaussian_noise",
    .doc = "x plus normally distributed noise of mean 0",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = MOTH_OP_RANDOM | MOTH_OP_ELEMENTWISE,
    .attrs = gaussian_noise_attrs,
    .infer = gaussian_noise_infer,
    .rows = gaussian_noise_rows,
    .gradient = gaussian_noise_gradient,
    .cases = MOTH_CASES(noise_cases),
};
