/* conv2d_transpose: the transpose of conv2d as a linear map, which is both its gradient to the input and a layer that
 * enlarges images.
 *
 *   y (B, OH, OW, F), w (kh, kw, C/groups, F), b (C) or absent -> x (B, H, W, C), with H and W given as size
 *   x[b, p sh + i dh - top, q sw + j dw - left, c] += y[b, p, q, f] w[i, j, c, f]; what falls on the padding is lost
 *
 * A conv2d of x with the same attributes gives the shape of y: that is what size must satisfy. Each tap (i, j) is a
 * product (positions, F) (F, C) that is added into x where the tap stands. Saved: y and w. */
#include <string.h>

#include "ops/conv.h"

static moth_status conv2d_transpose_infer(moth_infer *q)
{
    const moth_meta *y = q->in[0], *w = q->in[1];
    MOTH_TRY(moth_infer_types(q, MOTH_FLOAT_ONLY));
    if (y->rank != 4 || w->rank != 4 || (infer_has(q, 2) && q->in[2]->rank != 1)) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE,
                               "takes y (batch, rows, columns, filters), w (rows, columns, channels, filters) and "
                               "b (channels)");
    }
    const int64_t *size = q->attrs->i + MOTH_CONV_SIZE;
    if (size[0] != 2 || size[1] < 1 || size[2] < 1 || size[1] > INT32_MAX || size[2] > INT32_MAX) {
        return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "size must be the rows and columns of the result");
    }
    int64_t groups = max64(1, q->attrs->i[MOTH_CONV_GROUPS]), oh, ow;
    moth_meta *x = &q->out[0];
    out_like(x, y);
    x->shape[1] = size[1];
    x->shape[2] = size[2];
    x->shape[3] = w->shape[2] * groups;
    MOTH_TRY(moth_conv_infer(q, x->shape, w->shape, &oh, &ow));
    if (y->shape[1] != oh || y->shape[2] != ow || y->shape[3] != w->shape[3]) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "for size (%lld, %lld), y must be (batch, %lld, %lld, %lld)",
                               (long long)size[1], (long long)size[2], (long long)oh, (long long)ow,
                               (long long)w->shape[3]);
    }
    if (infer_has(q, 2) && q->in[2]->shape[0] != x->shape[3]) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "b must have as many entries as the result has channels");
    }
    return MOTH_OK;
}

static void open_call(const moth_call *call, moth_conv *s)
{
    moth_conv_open(s, call->attrs, call->out[0].shape, call->in[1].shape, call->in[0].shape);
}

/* What a worker keeps: tables, the kernel in blocks for each tap, and the result with its padding. */
typedef struct workspace {
    int32_t *pos, *off, *counting;
    moth_real *padded, *packed;
} workspace;

/* Of one tap's product: filters that are added up, and channels. */
static int64_t depth(const moth_conv *s)
{
    return s->depthwise ? 1 : s->fg;
}

static int64_t lanes(const moth_conv *s)
{
    return s->depthwise ? s->c : s->cg;
}

static size_t lay_out(const moth_conv *s, char *memory, workspace *m)
{
    int64_t taps = s->kh * s->kw;
    carver c = { .memory = memory };
    m->pos = carve(&c, moth_conv_positions(s), sizeof *m->pos);
    m->off = carve(&c, taps * s->cg, sizeof *m->off);
    m->counting = carve(&c, s->fg, sizeof *m->counting);
    m->packed = carve(&c, s->groups * taps * moth_conv_packed(depth(s), lanes(s)), sizeof *m->packed);
    m->padded = carve(&c, moth_conv_copied(s) ? s->images * moth_conv_image(s) : 0, sizeof *m->padded);
    return c.used;
}

static size_t conv2d_transpose_scratch(const moth_call *call)
{
    moth_conv s;
    workspace m;
    open_call(call, &s);
    return lay_out(&s, NULL, &m);
}

static void prepare(const moth_call *call, const moth_conv *s, workspace *m)
{
    const moth_real *w = reals(&call->in[1]);
    int64_t taps = s->kh * s->kw, packed = moth_conv_packed(depth(s), lanes(s));
    moth_conv_fill_pos(s, m->pos);
    moth_conv_fill_off(s, m->off);
    for (int64_t f = 0; f < s->fg; f++) {
        m->counting[f] = (int32_t)f;
    }
    for (int64_t g = 0; g < s->groups; g++) {
        for (int64_t t = 0; t < taps; t++) {
            MOTH_CONV_PACK(m->packed + (g * taps + t) * packed, w + t * s->cg * s->f + g * s->fg, depth(s), 1, lanes(s),
                           s->depthwise ? 1 : s->f);
        }
    }
}

/* The bias everywhere; where a channel is repeated, in one of its places. */
static void fill(const moth_conv *s, moth_real *x, int64_t images, const moth_real *bias)
{
    int64_t n = images * moth_conv_image(s);
    memset(x, 0, (size_t)n * sizeof *x);
    for (int64_t at = 0; bias && at < n; at += s->c) {
        for (int64_t c = 0; c < s->c; c += s->repeat) {
            x[at + c] = bias[c / s->repeat];
        }
    }
}

static bool conv2d_transpose_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    moth_conv s;
    workspace m;
    open_call(call, &s);
    lay_out(&s, worker->scratch, &m);
    prepare(call, &s, &m);
    int64_t taps = s.kh * s.kw, packed = moth_conv_packed(depth(&s), lanes(&s));
    for (int64_t b = r0; b < r1; b += s.images) {
        int64_t images = min64(s.images, r1 - b);
        moth_real *result = reals(&call->out[0]) + b * moth_conv_plain_image(&s),
                  *x = moth_conv_copied(&s) ? m.padded : result;
        fill(&s, x, images, call_has(call, 2) ? reals(&call->in[2]) : NULL);
        for (int64_t t = 0; t < s.groups * taps; t++) {
            int64_t g = t / taps;
            moth_conv_job job = { .rows = images * s.oh * s.ow,
                                  .lanes = lanes(&s),
                                  .n = depth(&s),
                                  .a_lanes = s.depthwise,
                                  .a = reals(&call->in[0]) + b * s.oh * s.ow * s.f + g * s.fg,
                                  .a_step = s.f,
                                  .index = m.counting,
                                  .b = m.packed + t * packed,
                                  .b_step = MOTH_LANES_MAX,
                                  .b_block = depth(&s) * MOTH_LANES_MAX,
                                  .c = x + g * s.cg + m.off[t % taps * s.cg],
                                  .c_row = m.pos };
            MOTH_CONV_PRODUCT(&job);
        }
        if (moth_conv_copied(&s)) {
            MOTH_CONV_CROP(&s, images, x, result);
        }
    }
    return true;
}

static void conv2d_transpose_gradient(moth_grad *g)
{
    moth_attrs attrs = *g->attrs;
    if (g->need[0]) {
        g->dx[0] = MOTH_EMIT(g->scope, &MOTH_OP(conv2d), &attrs, g->dy[0], g->x[1]);
    }
    if (g->need[1]) {
        attrs.i[MOTH_CONV_SIZE + 1] = g->x[1]->meta.shape[0];
        attrs.i[MOTH_CONV_SIZE + 2] = g->x[1]->meta.shape[1];
        moth_tensor *out[2] = { NULL, NULL };
        moth_tensor *const in[2] = { g->dy[0], g->x[0] };
        if (in[0] && g->scope->emit(g->scope, &MOTH_OP(conv2d_weight), &attrs, 2, in, out)) {
            g->dx[1] = out[0];
        }
    }
    if (grad_has(g, 2) && g->need[2]) {
        g->dx[2] = MOTH_EMIT(g->scope, &MOTH_OP(column_sum), NULL, g->dy[0]);
    }
}

#define ATTRS(...) .attrs = { .i = { __VA_ARGS__ } }

static const moth_case conv2d_transpose_cases[] = {
    { .in = { MOTH_REAL(4, 3, 3, 5, 3), MOTH_REAL(4, 3, 2, 2, 3), MOTH_REAL(1, 2) },
      .n_in = 3,
      ATTRS(0, [MOTH_CONV_SIZE] = 2, 5, 6) },
    { .in = { MOTH_REAL(4, 2, 3, 3, 7), MOTH_REAL(4, 3, 3, 3, 7), MOTH_REAL(1, 3) },
      .n_in = 3,
      ATTRS(2, 2, 2, 4, 0, 1, 1, 0, [MOTH_CONV_SIZE] = 2, 6, 6) },
    { .in = { MOTH_REAL(4, 2, 2, 3, 2), MOTH_REAL(4, 2, 3, 17, 2) },
      .n_in = 2,
      ATTRS(2, 3, 1, 4, 1, 0, 0, 2, 2, 1, 2, [MOTH_CONV_SIZE] = 2, 5, 5) },
    { .in = { MOTH_REAL(4, 1, 2, 2, 4), MOTH_REAL(4, 2, 2, 3, 4), MOTH_REAL(1, 6) },
      .n_in = 3,
      ATTRS(2, 2, 2, [MOTH_CONV_GROUPS] = 2, [MOTH_CONV_SIZE] = 2, 4, 5) },
    { .in = { MOTH_REAL(4, 2, 2, 3, 6), MOTH_REAL(4, 2, 2, 1, 6), MOTH_REAL(1, 3) },
      .n_in = 3,
      ATTRS(2, 2, 1, 4, 0, 1, 1, 0, [MOTH_CONV_GROUPS] = 3, [MOTH_CONV_SIZE] = 2, 4, 3) },
    { .in = { MOTH_REAL(4, 1, 1, 1, 1), MOTH_REAL(4, 1, 1, 1, 1), MOTH_REAL(1, 1) },
      .n_in = 3,
      ATTRS(0, [MOTH_CONV_SIZE] = 2, 1, 1) },
    { .n_in = 0 },
};

const moth_op MOTH_OP(conv2d_transpose) = {
    .name = "conv2d_transpose",
    .doc =
        "The transpose of conv2d: images (batch, rows, columns, filters) are laid out by the kernel over a given size.",
    .min_in = 2,
    .max_in = 3,
    .n_out = 1,
    .attrs = moth_conv_size_attrs,
    .infer = conv2d_transpose_infer,
    .rows = conv2d_transpose_rows,
    .whole = whole_but_first,
    .worker_scratch = conv2d_transpose_scratch,
    .gradient = conv2d_transpose_gradient,
    .saves_in = 3,
    .cases = MOTH_CASES(conv2d_transpose_cases),
};
