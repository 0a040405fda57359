/* conv2d: cross-correlation of images with a bank of filters, channels last.
 *
 *   x (B, H, W, C), w (kh, kw, C/groups, F), b (F) or absent -> (B, OH, OW, F)
 *   y[b, p, q, f] = b[f] + sum over i, j, c of x[b, p sh + i dh - top, q sw + j dw - left, c] w[i, j, c, f]
 *   OH = (H + top + bottom - (kh - 1) dh - 1) / sh + 1, OW likewise
 *
 * Padding counts as 0. Filters of group g see the channels of group g; groups = C is a depthwise convolution. Saved: x
 * and w. How it is computed: conv.h. */
#include <string.h>

#include "ops/conv.h"

static moth_status conv2d_infer(moth_infer *q)
{
    const moth_meta *x = q->in[0], *w = q->in[1];
    MOTH_TRY(moth_infer_types(q, MOTH_FLOAT_ONLY));
    if (x->rank != 4 || w->rank != 4 || (infer_has(q, 2) && q->in[2]->rank != 1)) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE,
                               "takes x (batch, rows, columns, channels), w (rows, columns, channels, filters) and "
                               "b (filters)");
    }
    if (infer_has(q, 2) && q->in[2]->shape[0] != w->shape[3]) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "b must have as many entries as there are filters");
    }
    moth_meta *y = &q->out[0];
    out_like(y, x);
    y->shape[3] = w->shape[3];
    return moth_conv_infer(q, x->shape, w->shape, &y->shape[1], &y->shape[2]);
}

static void open_call(const moth_call *call, moth_conv *s)
{
    moth_conv_open(s, call->attrs, call->in[0].shape, call->in[1].shape, call->out[0].shape);
}

/* What a worker keeps: tables, the padded images, the kernel in blocks, and zeros in place of an absent bias. */
typedef struct workspace {
    int32_t *pos, *off;
    moth_real *padded, *packed, *zeros;
} workspace;

static size_t lay_out(const moth_conv *s, char *memory, workspace *m)
{
    int64_t k = s->kh * s->kw * s->cg;
    carver c = { .memory = memory };
    m->pos = carve(&c, moth_conv_positions(s), sizeof *m->pos);
    m->off = carve(&c, k, sizeof *m->off);
    m->packed = carve(&c, s->groups * moth_conv_packed(k, s->fg), sizeof *m->packed);
    m->zeros = carve(&c, s->f, sizeof *m->zeros);
    m->padded = carve(&c, moth_conv_copied(s) ? s->images * moth_conv_image(s) : 0, sizeof *m->padded);
    return c.used;
}

static size_t conv2d_scratch(const moth_call *call)
{
    moth_conv s;
    workspace m;
    open_call(call, &s);
    return lay_out(&s, NULL, &m);
}

static void prepare(const moth_call *call, const moth_conv *s, workspace *m)
{
    int64_t k = s->kh * s->kw * s->cg;
    moth_conv_fill_pos(s, m->pos);
    moth_conv_fill_off(s, m->off);
    for (int64_t g = 0; g < s->groups; g++) {
        MOTH_CONV_PACK(m->packed + g * moth_conv_packed(k, s->fg), reals(&call->in[1]) + g * s->fg, k, s->f, s->fg, 1);
    }
    memset(m->zeros, 0, (size_t)s->f * sizeof *m->zeros);
    if (moth_conv_copied(s)) {
        memset(m->padded, 0, (size_t)(s->images * moth_conv_image(s)) * sizeof *m->padded);
    }
}

static bool conv2d_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    moth_conv s;
    workspace m;
    open_call(call, &s);
    lay_out(&s, worker->scratch, &m);
    prepare(call, &s, &m);
    int64_t k = s.kh * s.kw * s.cg, packed = moth_conv_packed(k, s.fg);
    const moth_real *bias = call_has(call, 2) ? reals(&call->in[2]) : m.zeros;
    for (int64_t b = r0; b < r1; b += s.images) {
        int64_t images = min64(s.images, r1 - b);
        const moth_real *x = reals(&call->in[0]) + b * moth_conv_plain_image(&s);
        if (moth_conv_copied(&s)) {
            MOTH_CONV_PAD(&s, images, x, m.padded);
            x = m.padded;
        }
        for (int64_t g = 0; g < s.groups; g++) {
            moth_conv_job job = { .rows = images * s.oh * s.ow,
                                  .lanes = s.fg,
                                  .n = k,
                                  .a_lanes = s.depthwise,
                                  .a = x + g * s.cg,
                                  .a_row = m.pos,
                                  .index = m.off,
                                  .b = m.packed + g * packed,
                                  .b_step = MOTH_LANES_MAX,
                                  .b_block = k * MOTH_LANES_MAX,
                                  .start = bias + g * s.fg,
                                  .c = reals(&call->out[0]) + b * s.oh * s.ow * s.f + g * s.fg,
                                  .c_step = s.f };
            MOTH_CONV_PRODUCT(&job);
        }
    }
    return true;
}

static void conv2d_gradient(moth_grad *g)
{
    moth_attrs attrs = *g->attrs;
    attrs.i[MOTH_CONV_SIZE] = 2;
    if (g->need[0]) {
        attrs.i[MOTH_CONV_SIZE + 1] = g->x[0]->meta.shape[1];
        attrs.i[MOTH_CONV_SIZE + 2] = g->x[0]->meta.shape[2];
        g->dx[0] = MOTH_EMIT(g->scope, &MOTH_OP(conv2d_transpose), &attrs, g->dy[0], g->x[1]);
    }
    bool bias = grad_has(g, 2) && g->need[2];
    if (g->need[1] || bias) {
        moth_tensor *out[2] = { NULL, NULL };
        moth_tensor *const in[2] = { g->x[0], g->dy[0] };
        attrs.i[MOTH_CONV_SIZE + 1] = g->x[1]->meta.shape[0];
        attrs.i[MOTH_CONV_SIZE + 2] = g->x[1]->meta.shape[1];
        if (in[1] && g->scope->emit(g->scope, &MOTH_OP(conv2d_weight), &attrs, 2, in, out)) {
            g->dx[1] = g->need[1] ? out[0] : NULL;
            if (bias) {
                g->dx[2] = out[1];
            }
        }
    }
}

#define ATTRS(...) .attrs = { .i = { __VA_ARGS__ } }

static const moth_case conv2d_cases[] = {
    { .in = { MOTH_REAL(4, 3, 5, 6, 2), MOTH_REAL(4, 3, 2, 2, 3), MOTH_REAL(1, 3) }, .n_in = 3 },
    { .in = { MOTH_REAL(4, 2, 7, 5, 3), MOTH_REAL(4, 3, 3, 3, 17), MOTH_REAL(1, 17) },
      .n_in = 3,
      ATTRS(2, 2, 3, 4, 1, 0, 2, 1) },
    { .in = { MOTH_REAL(4, 1, 9, 8, 1), MOTH_REAL(4, 3, 2, 1, 5) }, .n_in = 2, ATTRS(2, 2, 1, 4, 1, 1, 0, 1, 2, 2, 3) },
    { .in = { MOTH_REAL(4, 3, 4, 3, 6), MOTH_REAL(4, 2, 2, 2, 9), MOTH_REAL(1, 9) },
      .n_in = 3,
      ATTRS(0, [MOTH_CONV_PADDING] = 4, 0, 1, 1, 0, [MOTH_CONV_GROUPS] = 3) },
    { .in = { MOTH_REAL(4, 2, 4, 5, 3), MOTH_REAL(4, 2, 3, 1, 6), MOTH_REAL(1, 6) },
      .n_in = 3,
      ATTRS(2, 1, 2, 4, 1, 0, 0, 1, [MOTH_CONV_GROUPS] = 3) },
    { .in = { MOTH_REAL(4, 2, 3, 4, 9), MOTH_REAL(4, 2, 2, 1, 9) }, .n_in = 2, ATTRS(0, [MOTH_CONV_GROUPS] = 9) },
    { .in = { MOTH_REAL(4, 5, 1, 1, 4), MOTH_REAL(4, 1, 1, 4, 3), MOTH_REAL(1, 3) }, .n_in = 3 },
    { .in = { MOTH_REAL(4, 2, 1, 7, 2), MOTH_REAL(4, 1, 3, 2, 2), MOTH_REAL(1, 2) }, .n_in = 3, ATTRS(2, 1, 2) },
    { .in = { MOTH_REAL(4, 1, 1, 1, 1), MOTH_REAL(4, 1, 1, 1, 1), MOTH_REAL(1, 1) }, .n_in = 3 },
    { .in = { { 4, { 2, 4, 5, 2 }, MOTH_FLOAT32, -1, 1, 1 }, MOTH_REAL(4, 2, 3, 2, 2), MOTH_REAL(1, 2) }, .n_in = 3 },
    { .n_in = 0 },
};

const moth_op MOTH_OP(conv2d) = {
    .name = "conv2d",
    .doc = "Cross-correlation of images (batch, rows, columns, channels) with filters; padding counts as 0.",
    .min_in = 2,
    .max_in = 3,
    .n_out = 1,
    .attrs = moth_conv_attrs,
    .infer = conv2d_infer,
    .rows = conv2d_rows,
    .whole = whole_but_first,
    .worker_scratch = conv2d_scratch,
    .gradient = conv2d_gradient,
    .saves_in = 3,
    .cases = MOTH_CASES(conv2d_cases),
};
