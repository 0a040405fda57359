/* What the convolution ops share: their attributes, their geometry, and the one product that does all the work.
 *
 *   y[b, p, f] = b[f] + sum over k = (i, j, c) of x[b, p s + (i, j) d - pad, c] w[i, j, c, f]
 *
 * is a product of matrices whose left side is never written down: its element (p, k) is the element pos[p] + off[k] of
 * the (padded) image, with one table for the output positions and one for the places under the kernel. The gradient
 * of the weight is the same product with the tables in exchanged roles, and the gradient of the input one such product
 * for each tap. So there is no im2col; see Georganas et al. 2018 (arXiv:1808.05567) for direct convolutions. */
#ifndef MOTH_OPS_CONV_H
#define MOTH_OPS_CONV_H

#include "ops/nn_util.h"
#include "ops/tile.h"

/* Slots of the attributes; a list has its length in front, and an empty one stands for its default. */
enum {
    MOTH_CONV_STRIDES = 0,  /* rows, columns; 1 */
    MOTH_CONV_PADDING = 3,  /* top, bottom, left, right; 0 */
    MOTH_CONV_DILATION = 8, /* rows, columns; 1 */
    MOTH_CONV_GROUPS = 11,
    MOTH_CONV_SIZE = 12 /* conv2d_transpose: rows and columns of the output; conv2d_weight: of the kernel */
};

extern const moth_attr_spec moth_conv_attrs[];      /* without size */
extern const moth_attr_spec moth_conv_size_attrs[]; /* with size */

/* Sizes in elements. x is the side with more rows and columns (the output of conv2d_transpose), y the other.
 * Where each group has one channel (a depthwise convolution), x is laid out with every channel repeated for its
 * filters: then the filters are one group, and each of them sees the channel of its own place. */
typedef struct moth_conv {
    int64_t h, w, c, kh, kw, f, oh, ow; /* c: as laid out */
    int64_t sh, sw, dh, dw, top, left;
    int64_t groups, cg, fg; /* channels and filters of one group */
    int64_t ph, pw;         /* x with its padding */
    bool depthwise;
    int64_t repeat; /* times that a channel of x is laid out */
    int64_t images; /* images that are treated at a time, so that there are enough positions */
} moth_conv;

/* Must x be laid out anew? */
static inline bool moth_conv_copied(const moth_conv *s)
{
    return s->ph != s->h || s->pw != s->w || s->repeat > 1;
}

/* Elements of one image of x as it lies in its tensor. */
static inline int64_t moth_conv_plain_image(const moth_conv *s)
{
    return s->h * s->w * (s->c / s->repeat);
}

/* The same with padding and repetition. */
static inline int64_t moth_conv_image(const moth_conv *s)
{
    return s->ph * s->pw * s->c;
}

/* Fills in defaults, checks attributes and shapes of x (B, H, W, C) and w (kh, kw, C/groups, F), sets oh and ow. */
moth_status moth_conv_infer(moth_infer *q, const int64_t *x, const int64_t *w, int64_t *oh, int64_t *ow);

void moth_conv_open(moth_conv *s, const moth_attrs *attrs, const int64_t *x, const int64_t *w, const int64_t *y);

/* pos[images oh ow]: first element of each output position's window; off[kh kw cg]: elements under the kernel. */
int64_t moth_conv_positions(const moth_conv *s);
void moth_conv_fill_pos(const moth_conv *s, int32_t *pos);
void moth_conv_fill_off(const moth_conv *s, int32_t *off);

/* ---- the product (conv_product.c) ---- */

/* c[r, l] += sum over k < n of a[row r, index[k]] b[k, l] for r < rows, l < lanes.
 * Row r of a begins at a + a_row[r] (or a + r a_step), row r of c at c + c_row[r] (or c + r c_step). Lanes come in
 * blocks of MOTH_LANES_MAX: element (k, l) of block i is b[i b_block + k b_step + l], and whole vectors are read of
 * it. With `start`, c begins as start[l] and what is in it does not matter. Where a has lanes too, its element is
 * a[row r, index[k] + l]. */
typedef struct moth_conv_job {
    int64_t rows, lanes, n;
    bool a_lanes;
    const moth_real *a;
    const int32_t *a_row, *index;
    int64_t a_step;
    const moth_real *b;
    int64_t b_step, b_block;
    const moth_real *start;
    moth_real *c;
    const int32_t *c_row;
    int64_t c_step;
} moth_conv_job;

void MOTH_PASTE(moth_conv_product, MOTH_VARIANT)(const moth_conv_job *job);
#define MOTH_CONV_PRODUCT MOTH_PASTE(moth_conv_product, MOTH_VARIANT)

/* n rows of `lanes` lanes, laid out in blocks of MOTH_LANES_MAX whole lanes with zeros at the end. Element (k, l) comes
 * from from[k step + l lane_step]. */
void MOTH_PASTE(moth_conv_pack, MOTH_VARIANT)(moth_real *to, const moth_real *from, int64_t n, int64_t step,
                                              int64_t lanes, int64_t lane_step);
#define MOTH_CONV_PACK MOTH_PASTE(moth_conv_pack, MOTH_VARIANT)

/* Elements of n packed rows. */
static inline int64_t moth_conv_packed(int64_t n, int64_t lanes)
{
    return (lanes + MOTH_LANES_MAX - 1) / MOTH_LANES_MAX * MOTH_LANES_MAX * n;
}

/* Lays out n images with padding around each and channels repeated; and back, where repeated channels are added. */
void MOTH_PASTE(moth_conv_pad, MOTH_VARIANT)(const moth_conv *s, int64_t n, const moth_real *x, moth_real *padded);
void MOTH_PASTE(moth_conv_crop, MOTH_VARIANT)(const moth_conv *s, int64_t n, const moth_real *padded, moth_real *x);
#define MOTH_CONV_PAD MOTH_PASTE(moth_conv_pad, MOTH_VARIANT)
#define MOTH_CONV_CROP MOTH_PASTE(moth_conv_crop, MOTH_VARIANT)

#endif
