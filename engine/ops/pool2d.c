/* Pooling over windows of rows and columns, channels last.
 *
 *   x (B, H, W, C) -> y (B, OH, OW, C) with OH = (H + top + bottom - pool) / stride + 1, OW likewise
 *   max_pool2d: the largest element of a window; a NaN wins, the first of equals wins
 *   avg_pool2d: the mean of the elements of a window
 *
 * Padding is no element: it neither wins nor counts. max_pool2d keeps the position of each maximum in its window, row
 * by row, as a hidden output; the gradient goes there. Loops run along the channels, which lie side by side. */
#include <string.h>

#include "ops/nn_util.h"
#include "ops/pool2d.h"

/* ---- shapes ---- */

/* Rows (d = 0) or columns (d = 1): strides default to the window. */
static moth_status infer_dim(moth_infer *q, int d, int64_t n, int64_t *out)
{
    const int64_t *i = q->attrs->i, *pads = i + MOTH_POOL_PADDING + 1 + 2 * d;
    int64_t window = i[MOTH_POOL_WINDOW + 1 + d], size = n + pads[0] + pads[1];
    if (n < 0) {
        return moth_infer_exact(q);
    }
    if (pads[0] >= window || pads[1] >= window) {
        return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "padding must be smaller than the window");
    }
    if (window > size) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "a window of %lld %s does not fit into %lld (with padding)",
                               (long long)window, d ? "columns" : "rows", (long long)size);
    }
    *out = (size - window) / i[MOTH_POOL_STRIDES + 1 + d] + 1;
    return MOTH_OK;
}

static moth_status pool_infer(moth_infer *q)
{
    const moth_meta *x = q->in[0];
    int64_t *i = q->attrs->i;
    MOTH_TRY(moth_infer_types(q, MOTH_FLOAT_ONLY));
    if (x->rank != 4) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "takes x (batch, rows, columns, channels)");
    }
    if (i[MOTH_POOL_WINDOW] == 0) {
        return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "pool must be the rows and columns of a window");
    }
    MOTH_TRY(infer_list(q, "pool", MOTH_POOL_WINDOW, 2, 1, 1));
    if (i[MOTH_POOL_STRIDES] == 0) {
        for (int k = 0; k < 3; k++) {
            i[MOTH_POOL_STRIDES + k] = i[MOTH_POOL_WINDOW + k];
        }
    }
    MOTH_TRY(infer_list(q, "strides", MOTH_POOL_STRIDES, 2, 1, 1));
    MOTH_TRY(infer_list(q, "padding", MOTH_POOL_PADDING, 4, 0, 0));
    if (i[MOTH_POOL_WINDOW + 1] > INT32_MAX / i[MOTH_POOL_WINDOW + 2]) {
        return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "a window must have fewer than 2^31 elements");
    }
    out_like(&q->out[0], x);
    for (int d = 0; d < 2; d++) {
        MOTH_TRY(infer_dim(q, d, x->shape[1 + d], &q->out[0].shape[1 + d]));
    }
    if (x->shape[3] < 0) {
        return moth_infer_exact(q);
    }
    return MOTH_OK;
}

static moth_status max_pool2d_infer(moth_infer *q)
{
    MOTH_TRY(pool_infer(q));
    out_like(&q->out[1], &q->out[0]);
    q->out[1].dtype = MOTH_INT32;
    return MOTH_OK;
}

/* ---- windows ---- */

typedef struct pool {
    int64_t h, w, c, oh, ow, kh, kw, sh, sw, top, left;
} pool;

static pool open_pool(const moth_attrs *attrs, const moth_arg *x, const moth_arg *y)
{
    const int64_t *i = attrs->i;
    return (pool){ .h = x->shape[1],
                   .w = x->shape[2],
                   .c = x->shape[3],
                   .oh = y->shape[1],
                   .ow = y->shape[2],
                   .kh = i[MOTH_POOL_WINDOW + 1],
                   .kw = i[MOTH_POOL_WINDOW + 2],
                   .sh = i[MOTH_POOL_STRIDES + 1],
                   .sw = i[MOTH_POOL_STRIDES + 2],
                   .top = i[MOTH_POOL_PADDING + 1],
                   .left = i[MOTH_POOL_PADDING + 3] };
}

/* The real elements of a window: rows i0 .. i1-1 and columns j0 .. j1-1 of it, and where its corner lies in x. */
typedef struct window {
    int64_t i0, i1, j0, j1, corner;
} window;

static inline window window_at(const pool *s, int64_t p, int64_t q)
{
    int64_t row = p * s->sh - s->top, column = q * s->sw - s->left;
    return (window){ .i0 = max64(0, -row),
                     .i1 = min64(s->kh, s->h - row),
                     .j0 = max64(0, -column),
                     .j1 = min64(s->kw, s->w - column),
                     .corner = (row * s->w + column) * s->c };
}

/* What is done for one window. It lies at x + in_x + at->corner; its results lie at y + in_y. */
typedef void (*window_fn)(const pool *s, const window *at, const moth_call *call, int64_t in_x, int64_t in_y);

/* Goes through the windows of rows r0 .. r1-1 of the batch. */
static inline void each_window(const pool *s, const moth_call *call, int64_t r0, int64_t r1, window_fn fn)
{
    for (int64_t b = r0; b < r1; b++) {
        for (int64_t p = 0; p < s->oh; p++) {
            for (int64_t q = 0; q < s->ow; q++) {
                window at = window_at(s, p, q);
                fn(s, &at, call, b * s->h * s->w * s->c, ((b * s->oh + p) * s->ow + q) * s->c);
            }
        }
    }
}

/* ---- max_pool2d ---- */

static inline bool better(moth_real x, moth_real best)
{
    return (x > best) | (x != x); /* no branches: becomes vector code */
}

static void max_window(const pool *s, const window *at, const moth_real *x, moth_real *y, int32_t *position)
{
    const moth_real *first = x + at->corner + (at->i0 * s->w + at->j0) * s->c;
    for (int64_t c = 0; c < s->c; c++) {
        y[c] = first[c];
        position[c] = (int32_t)(at->i0 * s->kw + at->j0);
    }
    for (int64_t i = at->i0; i < at->i1; i++) {
        for (int64_t j = at->j0; j < at->j1; j++) {
            const moth_real *from = x + at->corner + (i * s->w + j) * s->c;
            int32_t here = (int32_t)(i * s->kw + j);
            for (int64_t c = 0; c < s->c; c++) {
                bool wins = better(from[c], y[c]);
                y[c] = wins ? from[c] : y[c];
                position[c] = wins ? here : position[c];
            }
        }
    }
}

/* A whole window of 2 by 2, in registers. */
static void max_window_2x2(int64_t channels, const moth_real *restrict above, const moth_real *restrict below,
                           moth_real *restrict y, int32_t *restrict position)
{
    for (int64_t c = 0; c < channels; c++) {
        const moth_real v0 = above[c], v1 = above[channels + c], v2 = below[c], v3 = below[channels + c];
        const bool one = better(v1, v0);
        const moth_real best1 = one ? v1 : v0;
        const bool two = better(v2, best1);
        const moth_real best2 = two ? v2 : best1;
        const bool three = better(v3, best2);
        y[c] = three ? v3 : best2;
        position[c] = three ? 3 : (two ? 2 : (one ? 1 : 0));
    }
}

static void max_of_window(const pool *s, const window *at, const moth_call *call, int64_t in_x, int64_t in_y)
{
    const moth_real *x = reals(&call->in[0]) + in_x;
    moth_real *y = reals(&call->out[0]) + in_y;
    int32_t *position = (int32_t *)(void *)call->out[1].data + in_y;
    if (s->kh == 2 && s->kw == 2 && at->i1 - at->i0 == 2 && at->j1 - at->j0 == 2) {
        max_window_2x2(s->c, x + at->corner, x + at->corner + s->w * s->c, y, position);
    } else {
        max_window(s, at, x, y, position);
    }
}

static bool max_pool2d_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    pool s = open_pool(call->attrs, &call->in[0], &call->out[0]);
    each_window(&s, call, r0, r1, max_of_window);
    return true;
}

/* ---- gradients ---- */

/* in: dy and perhaps positions -> dx, whose rows and columns are attributes. */
static moth_status pool_grad_infer(moth_infer *q)
{
    out_like(&q->out[0], q->in[0]);
    q->out[0].shape[1] = q->attrs->i[MOTH_POOL_SIZE];
    q->out[0].shape[2] = q->attrs->i[MOTH_POOL_SIZE + 1];
    return MOTH_OK;
}

static void clear_rows(const moth_arg *dx, int64_t r0, int64_t r1)
{
    int64_t row = row_elements(dx);
    memset(reals(dx) + r0 * row, 0, (size_t)((r1 - r0) * row) * sizeof(moth_real));
}

static void spread_max(const pool *s, const window *at, const moth_call *call, int64_t in_x, int64_t in_y)
{
    const moth_real *dy = reals(&call->in[0]) + in_y;
    const int32_t *position = (const int32_t *)(const void *)call->in[1].data + in_y;
    for (int64_t i = at->i0; i < at->i1; i++) {
        for (int64_t j = at->j0; j < at->j1; j++) {
            moth_real *dx = reals(&call->out[0]) + in_x + at->corner + (i * s->w + j) * s->c;
            int32_t here = (int32_t)(i * s->kw + j);
            for (int64_t c = 0; c < s->c; c++) {
                dx[c] += position[c] == here ? dy[c] : 0;
            }
        }
    }
}

static bool max_pool2d_grad_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    pool s = open_pool(call->attrs, &call->out[0], &call->in[0]);
    clear_rows(&call->out[0], r0, r1);
    each_window(&s, call, r0, r1, spread_max);
    return true;
}

static const moth_op max_pool2d_grad = {
    .name = "max_pool2d_grad",
    .doc = "Gradient of max_pool2d.",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .infer = pool_grad_infer,
    .rows = max_pool2d_grad_rows,
    .whole = whole_none,
    .nodiff = "second derivatives are not supported",
};

static moth_attrs grad_attrs(const moth_grad *g)
{
    moth_attrs attrs = *g->attrs;
    attrs.i[MOTH_POOL_SIZE] = g->x[0]->meta.shape[1];
    attrs.i[MOTH_POOL_SIZE + 1] = g->x[0]->meta.shape[2];
    return attrs;
}

static void max_pool2d_gradient(moth_grad *g)
{
    moth_attrs attrs = grad_attrs(g);
    g->dx[0] = MOTH_EMIT(g->scope, &max_pool2d_grad, &attrs, g->dy[0], g->y[1]);
}

/* ---- avg_pool2d ---- */

static void mean_of_window(const pool *s, const window *at, const moth_call *call, int64_t in_x, int64_t in_y)
{
    moth_real *y = reals(&call->out[0]) + in_y;
    moth_real scale = 1 / (moth_real)((at->i1 - at->i0) * (at->j1 - at->j0));
    memset(y, 0, (size_t)s->c * sizeof *y);
    for (int64_t i = at->i0; i < at->i1; i++) {
        for (int64_t j = at->j0; j < at->j1; j++) {
            const moth_real *x = reals(&call->in[0]) + in_x + at->corner + (i * s->w + j) * s->c;
            for (int64_t c = 0; c < s->c; c++) {
                y[c] += x[c];
            }
        }
    }
    for (int64_t c = 0; c < s->c; c++) {
        y[c] *= scale;
    }
}

static bool avg_pool2d_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    pool s = open_pool(call->attrs, &call->in[0], &call->out[0]);
    each_window(&s, call, r0, r1, mean_of_window);
    return true;
}

static void spread_mean(const pool *s, const window *at, const moth_call *call, int64_t in_x, int64_t in_y)
{
    const moth_real *dy = reals(&call->in[0]) + in_y;
    moth_real scale = 1 / (moth_real)((at->i1 - at->i0) * (at->j1 - at->j0));
    for (int64_t i = at->i0; i < at->i1; i++) {
        for (int64_t j = at->j0; j < at->j1; j++) {
            moth_real *dx = reals(&call->out[0]) + in_x + at->corner + (i * s->w + j) * s->c;
            for (int64_t c = 0; c < s->c; c++) {
                dx[c] += dy[c] * scale;
            }
        }
    }
}

static bool avg_pool2d_grad_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    pool s = open_pool(call->attrs, &call->out[0], &call->in[0]);
    clear_rows(&call->out[0], r0, r1);
    each_window(&s, call, r0, r1, spread_mean);
    return true;
}

static const moth_op avg_pool2d_grad = {
    .name = "avg_pool2d_grad",
    .doc = "Gradient of avg_pool2d.",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .infer = pool_grad_infer,
    .rows = avg_pool2d_grad_rows,
    .whole = whole_none,
    .nodiff = "second derivatives are not supported",
};

static void avg_pool2d_gradient(moth_grad *g)
{
    moth_attrs attrs = grad_attrs(g);
    g->dx[0] = MOTH_EMIT(g->scope, &avg_pool2d_grad, &attrs, g->dy[0]);
}

/* ---- the ops ---- */

static const moth_attr_spec pool_attrs[] = {
    { .name = "pool", .kind = MOTH_ATTR_SHAPE, .slot = MOTH_POOL_WINDOW },
    { .name = "strides", .kind = MOTH_ATTR_SHAPE, .slot = MOTH_POOL_STRIDES, .optional = true },
    { .name = "padding", .kind = MOTH_ATTR_SHAPE, .slot = MOTH_POOL_PADDING, .optional = true },
    { .kind = MOTH_ATTR_END },
};

#define IMAGES(...) .in = { { 4, { __VA_ARGS__ }, MOTH_FLOAT32, -2, 2, 0 } }, .n_in = 1
#define ATTRS(...) .attrs = { .i = { __VA_ARGS__ } }

static const moth_case pool_cases[] = {
    { IMAGES(3, 4, 6, 5), ATTRS(2, 2, 2) },
    { IMAGES(2, 5, 7, 9), ATTRS(2, 2, 2) },
    { IMAGES(2, 5, 5, 3), ATTRS(2, 3, 3, 2, 2, 2, 4, 1, 1, 1, 1) },
    { IMAGES(1, 7, 5, 17), ATTRS(2, 3, 2, 2, 1, 1, 4, 2, 0, 0, 1) },
    { IMAGES(2, 5, 4, 1), ATTRS(2, 2, 1, 2, 3, 2) },
    { IMAGES(2, 3, 3, 2), ATTRS(2, 2, 2, 2, 2, 2, 4, 0, 1, 0, 1) },
    { IMAGES(67, 2, 1, 4), ATTRS(2, 2, 1) },
    { IMAGES(1, 1, 1, 1), ATTRS(2, 1, 1) },
    { .in = { { 4, { 2, 4, 5, 3 }, MOTH_FLOAT32, -2, 2, 1 } }, .n_in = 1, ATTRS(2, 2, 2) },
    { .n_in = 0 },
};

#define POOL_FIELDS(name_, doc_)                                                                      \
    .name = #name_, .doc = doc_, .min_in = 1, .max_in = 1, .attrs = pool_attrs, .rows = name_##_rows, \
    .whole = whole_none, .gradient = name_##_gradient, .cases = MOTH_CASES(pool_cases)

const moth_op MOTH_OP(max_pool2d) = {
    POOL_FIELDS(max_pool2d, "The largest element of each window of rows and columns; padding never wins."),
    .n_out = 2,
    .n_visible = 1,
    .infer = max_pool2d_infer,
    .saves_out = 1u << 1,
};

const moth_op MOTH_OP(avg_pool2d) = {
    POOL_FIELDS(avg_pool2d, "The mean of each window of rows and columns; padding does not count."),
    .n_out = 1,
    .infer = pool_infer,
};
