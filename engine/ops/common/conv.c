/* Attributes, shape rule and geometry of the convolution ops. */
#include "ops/conv.h"

#define LIST_ATTR(name_, slot_)                                                     \
    {                                                                               \
        .name = (name_), .kind = MOTH_ATTR_SHAPE, .slot = (slot_), .optional = true \
    }
#define GROUPS_ATTR                                                                                        \
    {                                                                                                      \
        .name = "groups", .kind = MOTH_ATTR_INT, .slot = MOTH_CONV_GROUPS, .optional = true, .fallback = 1 \
    }

const moth_attr_spec moth_conv_attrs[] = {
    LIST_ATTR("strides", MOTH_CONV_STRIDES),
    LIST_ATTR("padding", MOTH_CONV_PADDING),
    LIST_ATTR("dilation", MOTH_CONV_DILATION),
    GROUPS_ATTR,
    { .kind = MOTH_ATTR_END },
};

const moth_attr_spec moth_conv_size_attrs[] = {
    LIST_ATTR("strides", MOTH_CONV_STRIDES),
    LIST_ATTR("padding", MOTH_CONV_PADDING),
    LIST_ATTR("dilation", MOTH_CONV_DILATION),
    GROUPS_ATTR,
    { .name = "size", .kind = MOTH_ATTR_SHAPE, .slot = MOTH_CONV_SIZE },
    { .kind = MOTH_ATTR_END },
};

enum {
    BLOCK_POSITIONS = 192,   /* positions that are treated at a time at least, in small images of several */
    BLOCK_ELEMENTS = 1 << 16 /* but no more images than fit the second-level cache */
};
static const int64_t LIMIT = INT32_MAX; /* of elements of an image: tables hold 32-bit offsets */

static int64_t padded(const moth_attrs *attrs, const int64_t *x, int d)
{
    const int64_t *pads = attrs->i + MOTH_CONV_PADDING + 1 + 2 * d;
    return x[1 + d] + pads[0] + pads[1];
}

static moth_status check_sizes(moth_infer *q, const int64_t *x, const int64_t *w)
{
    for (int d = 1; d < 4; d++) {
        if (x[d] < 0) {
            return moth_infer_exact(q);
        }
        if (x[d] == 0) {
            return moth_infer_fail(q, MOTH_ERR_SHAPE, "rows, columns and channels must be at least 1");
        }
    }
    for (int d = 0; d < 4; d++) {
        if (w[d] < 0) {
            return moth_infer_exact(q);
        }
        if (w[d] == 0) {
            return moth_infer_fail(q, MOTH_ERR_SHAPE, "the kernel must not be empty");
        }
    }
    int64_t groups = q->attrs->i[MOTH_CONV_GROUPS];
    if (groups < 1 || x[3] % groups || w[3] % groups) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "groups (%lld) must divide channels (%lld) and filters (%lld)",
                               (long long)groups, (long long)x[3], (long long)w[3]);
    }
    if (w[2] != x[3] / groups) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "the kernel must take %lld channels (%lld in %lld groups)",
                               (long long)(x[3] / groups), (long long)x[3], (long long)groups);
    }
    return MOTH_OK;
}

moth_status moth_conv_infer(moth_infer *q, const int64_t *x, const int64_t *w, int64_t *oh, int64_t *ow)
{
    q->attrs->i[MOTH_CONV_GROUPS] += q->attrs->i[MOTH_CONV_GROUPS] == 0;
    MOTH_TRY(infer_list(q, "strides", MOTH_CONV_STRIDES, 2, 1, 1));
    MOTH_TRY(infer_list(q, "padding", MOTH_CONV_PADDING, 4, 0, 0));
    MOTH_TRY(infer_list(q, "dilation", MOTH_CONV_DILATION, 2, 1, 1));
    MOTH_TRY(check_sizes(q, x, w));
    int64_t *out[2] = { oh, ow }, elements = max64(x[3], w[2] == 1 ? w[3] : 1);
    for (int d = 0; d < 2; d++) {
        int64_t size = padded(q->attrs, x, d), window = (w[d] - 1) * q->attrs->i[MOTH_CONV_DILATION + 1 + d] + 1;
        if (window > size) {
            return moth_infer_fail(q, MOTH_ERR_SHAPE, "a kernel over %lld %s does not fit into %lld (with padding)",
                                   (long long)window, d ? "columns" : "rows", (long long)size);
        }
        if (size > LIMIT || elements > LIMIT / size) {
            return moth_infer_fail(q, MOTH_ERR_SHAPE, "an image with its padding must have fewer than 2^31 elements");
        }
        elements *= size;
        *out[d] = (size - window) / q->attrs->i[MOTH_CONV_STRIDES + 1 + d] + 1;
    }
    return MOTH_OK;
}

void moth_conv_open(moth_conv *s, const moth_attrs *attrs, const int64_t *x, const int64_t *w, const int64_t *y)
{
    const int64_t *i = attrs->i;
    *s = (moth_conv){
        .h = x[1],
        .w = x[2],
        .c = x[3],
        .kh = w[0],
        .kw = w[1],
        .f = w[3],
        .oh = y[1],
        .ow = y[2],
        .sh = i[MOTH_CONV_STRIDES + 1],
        .sw = i[MOTH_CONV_STRIDES + 2],
        .dh = i[MOTH_CONV_DILATION + 1],
        .dw = i[MOTH_CONV_DILATION + 2],
        .top = i[MOTH_CONV_PADDING + 1],
        .left = i[MOTH_CONV_PADDING + 3],
        .groups = i[MOTH_CONV_GROUPS],
        .cg = w[2],
        .fg = w[3] / i[MOTH_CONV_GROUPS],
        .ph = padded(attrs, x, 0),
        .pw = padded(attrs, x, 1),
    };
    s->depthwise = s->cg == 1 && s->groups > 1;
    s->repeat = s->depthwise ? s->fg : 1;
    if (s->depthwise) {
        s->groups = 1;
        s->c = s->fg = s->f;
    }
    int64_t enough = (BLOCK_POSITIONS + s->oh * s->ow - 1) / (s->oh * s->ow);
    s->images = max64(1, min64(enough, BLOCK_ELEMENTS / moth_conv_image(s)));
}

int64_t moth_conv_positions(const moth_conv *s)
{
    return s->images * s->oh * s->ow;
}

void moth_conv_fill_pos(const moth_conv *s, int32_t *pos)
{
    for (int64_t b = 0; b < s->images; b++) {
        for (int64_t i = 0; i < s->oh; i++) {
            for (int64_t j = 0; j < s->ow; j++) {
                *pos++ = (int32_t)(((b * s->ph + i * s->sh) * s->pw + j * s->sw) * s->c);
            }
        }
    }
}

void moth_conv_fill_off(const moth_conv *s, int32_t *off)
{
    for (int64_t i = 0; i < s->kh; i++) {
        for (int64_t j = 0; j < s->kw; j++) {
            for (int64_t c = 0; c < s->cg; c++) {
                *off++ = (int32_t)((i * s->dh * s->pw + j * s->dw) * s->c + c);
            }
        }
    }
}
