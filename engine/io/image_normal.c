/* The sheet on which ink was found is coarse. Around one digit the picture is cut out anew, so that the digit is about
 * 120 pixels high; the paper under it is interpolated from what is around its ink, the ink's colour is the mean of its
 * strongest pixels, and each pixel's place between the two is how much ink covers it. A line much thinner than MNIST's
 * is widened, much thicker is thinned. Then the mean over areas brings it to 20 x 20. */
#include "io/image_normal.h"

#include <math.h>
#include <string.h>

enum { FINE = 120, BOX = 20, SIDE = 28, MIDDLE = 14 };
/* Width of a line against the digit's long side; MNIST has 0.10 to 0.23 (5 % to 95 %). */
static const double least_line = 0.105, greatest_line = 0.25;

/* The cut and what the coarse sheet says about it. */
typedef struct cut {
    moth_sheet fine;
    moth_window window; /* in pixels of the coarse sheet */
    double step;        /* coarse pixels to one fine pixel */
    uint8_t *core;      /* 1: ink of this digit */
    uint8_t *allowed;   /* 1: may belong to it */
    uint8_t *paper;     /* 1: nothing near is ink */
    moth_plane amount;
} cut;

static void cut_free(cut *c)
{
    moth_sheet_free(&c->fine);
    moth_free(c->core);
    moth_free(c->allowed);
    moth_free(c->paper);
    moth_plane_free(&c->amount);
}

static int64_t size_of(const cut *c)
{
    return c->fine.width * c->fine.height;
}

/* ---- the cut ---- */

static moth_status cut_fine(moth_ctx *ctx, const moth_opaque *picture, const moth_sheet *sheet, const moth_blob *b,
                            cut *c)
{
    double w = (double)(b->right - b->left), h = (double)(b->bottom - b->top);
    double side = fmax(w, h), margin = 0.25 * side + 4;
    c->window = (moth_window){ (double)b->left - margin, (double)b->top - margin, (double)b->right + margin,
                               (double)b->bottom + margin };
    c->step = side / FINE;
    int64_t width = (int64_t)lrint((w + 2 * margin) / c->step), height = (int64_t)lrint((h + 2 * margin) / c->step);
    moth_window full = { c->window.left * sheet->scale, c->window.top * sheet->scale, c->window.right * sheet->scale,
                         c->window.bottom * sheet->scale };
    return moth_sheet_cut(ctx, picture, &full, height, width, &c->fine);
}

/* Squared distances on the coarse sheet around the window: to this digit, to other ink. */
typedef struct distances {
    int64_t left, top;
    moth_plane own, other;
} distances;

static moth_status measure_distances(moth_ctx *ctx, const uint8_t *ink, const moth_blobs *digits, int64_t index,
                                     const moth_window *window, distances *d)
{
    enum { EDGE = 4 };
    int64_t left = (int64_t)fmax(0, window->left - EDGE), top = (int64_t)fmax(0, window->top - EDGE);
    int64_t width = (int64_t)fmin((double)digits->width, window->right + EDGE) - left;
    int64_t height = (int64_t)fmin((double)digits->height, window->bottom + EDGE) - top;
    uint8_t *masks = moth_malloc((size_t)(2 * width * height));
    if (!masks) {
        return moth_fail_memory(ctx, 2 * width * height);
    }
    for (int64_t i = 0; i < width * height; i++) {
        int64_t n = (top + i / width) * digits->width + left + i % width;
        masks[i] = digits->label[n] == (int32_t)index + 1;
        masks[width * height + i] = ink[n] && !masks[i];
    }
    d->left = left;
    d->top = top;
    moth_status status = moth_distance(ctx, masks, width, height, &d->own);
    if (status == MOTH_OK) {
        status = moth_distance(ctx, masks + width * height, width, height, &d->other);
    }
    moth_free(masks);
    return status;
}

static float distance_at(const moth_plane *p, double x, double y)
{
    double fx = fmin(fmax(x - 0.5, 0), (double)(p->width - 1)), fy = fmin(fmax(y - 0.5, 0), (double)(p->height - 1));
    int64_t x0 = (int64_t)fx, y0 = (int64_t)fy;
    int64_t x1 = x0 + 1 < p->width ? x0 + 1 : x0, y1 = y0 + 1 < p->height ? y0 + 1 : y0;
    double ax = fx - (double)x0, ay = fy - (double)y0;
    double top = (1 - ax) * sqrt((double)p->v[y0 * p->width + x0]) + ax * sqrt((double)p->v[y0 * p->width + x1]);
    double bottom = (1 - ax) * sqrt((double)p->v[y1 * p->width + x0]) + ax * sqrt((double)p->v[y1 * p->width + x1]);
    return (float)((1 - ay) * top + ay * bottom);
}

static void mark_regions(cut *c, const distances *d, const moth_sheet *sheet)
{
    const double reach = 2.3;
    for (int64_t i = 0; i < size_of(c); i++) {
        int64_t column = i % c->fine.width, row = i / c->fine.width;
        double x = c->window.left + ((double)column + 0.5) * c->step;
        double y = c->window.top + ((double)row + 0.5) * c->step;
        double own = (double)distance_at(&d->own, x - (double)d->left, y - (double)d->top);
        double other = (double)distance_at(&d->other, x - (double)d->left, y - (double)d->top);
        bool inside = x >= 0 && y >= 0 && x < (double)sheet->width && y < (double)sheet->height;
        c->core[i] = inside && own < 0.5;
        c->allowed[i] = inside && own <= reach && own <= other;
        c->paper[i] = inside && own > reach && other > reach;
    }
}

static moth_status open_cut(moth_ctx *ctx, const moth_opaque *picture, const moth_sheet *sheet, const uint8_t *ink,
                            const moth_blobs *digits, int64_t index, cut *c)
{
    MOTH_TRY(cut_fine(ctx, picture, sheet, &digits->blob[index], c));
    size_t count = (size_t)size_of(c);
    c->core = moth_malloc(count);
    c->allowed = moth_malloc(count);
    c->paper = moth_malloc(count);
    if (!c->core || !c->allowed || !c->paper) {
        return moth_fail_memory(ctx, (int64_t)count);
    }
    distances d = { 0 };
    moth_status status = measure_distances(ctx, ink, digits, index, &c->window, &d);
    if (status == MOTH_OK) {
        mark_regions(c, &d, sheet);
    }
    moth_plane_free(&d.own);
    moth_plane_free(&d.other);
    return status;
}

/* ---- paper and ink ---- */

/* Takes the paper off a channel: a blur of the paper alone, which reaches under the ink. */
static moth_status subtract_paper(moth_ctx *ctx, const cut *c, moth_plane *channel, const moth_plane *weight)
{
    moth_plane paper;
    MOTH_TRY(moth_plane_new(ctx, channel->width, channel->height, &paper));
    double sum = 0, total = 0;
    for (int64_t i = 0; i < size_of(c); i++) {
        paper.v[i] = c->paper[i] ? channel->v[i] : 0;
        sum += (double)paper.v[i];
        total += c->paper[i];
    }
    double mean = total > 0 ? sum / total : 0.5;
    moth_status status = moth_plane_blur(ctx, &paper, 0.2 * FINE);
    for (int64_t i = 0; i < size_of(c) && status == MOTH_OK; i++) {
        double here = ((double)paper.v[i] + 1e-4 * mean) / ((double)weight->v[i] + 1e-4);
        channel->v[i] = (float)(((double)channel->v[i] - here) / fmax(here, 0.35));
    }
    moth_plane_free(&paper);
    return status;
}

static moth_status subtract_papers(moth_ctx *ctx, cut *c)
{
    moth_plane weight;
    MOTH_TRY(moth_plane_new(ctx, c->fine.width, c->fine.height, &weight));
    for (int64_t i = 0; i < size_of(c); i++) {
        weight.v[i] = c->paper[i];
    }
    moth_status status = moth_plane_blur(ctx, &weight, 0.2 * FINE);
    for (int k = 0; k < c->fine.channels && status == MOTH_OK; k++) {
        status = subtract_paper(ctx, c, &c->fine.colour[k], &weight);
    }
    moth_plane_free(&weight);
    return status;
}

static float strength_at(const cut *c, int64_t i)
{
    float sum = 0;
    for (int k = 0; k < c->fine.channels; k++) {
        sum += c->fine.colour[k].v[i] * c->fine.colour[k].v[i];
    }
    return sqrtf(sum);
}

/* 1 where the colour is the ink's, 0 where it is the paper's. */
static moth_status measure_amount(moth_ctx *ctx, cut *c)
{
    MOTH_TRY(moth_plane_new(ctx, c->fine.width, c->fine.height, &c->amount));
    for (int64_t i = 0; i < size_of(c); i++) {
        c->amount.v[i] = strength_at(c, i);
    }
    float strong;
    MOTH_TRY(moth_plane_quantile(ctx, &c->amount, c->core, 0.6, &strong));
    double colour[3] = { 0 }, total = 0, square = 1e-12;
    for (int64_t i = 0; i < size_of(c); i++) {
        for (int k = 0; k < c->fine.channels && c->core[i] && c->amount.v[i] >= strong; k++) {
            colour[k] += (double)c->fine.colour[k].v[i];
        }
        total += c->core[i] && c->amount.v[i] >= strong;
    }
    for (int k = 0; k < c->fine.channels; k++) {
        colour[k] /= fmax(total, 1);
        square += colour[k] * colour[k];
    }
    for (int64_t i = 0; i < size_of(c); i++) {
        double along = 0;
        for (int k = 0; k < c->fine.channels; k++) {
            along += colour[k] * (double)c->fine.colour[k].v[i];
        }
        c->amount.v[i] = c->allowed[i] ? (float)(along / square) : 0;
    }
    return MOTH_OK;
}

/* ---- lines ---- */

static float ramp(double x)
{
    return (float)(x < 0 ? 0 : x > 1 ? 1 : x);
}

/* Edges as sharp as the fine pixels allow, and lines of the width that MNIST has. */
static moth_status shape_lines(moth_ctx *ctx, cut *c, uint8_t *mask)
{
    moth_plane inside = { 0 }, outside = { 0 };
    double width = 0;
    for (int64_t i = 0; i < size_of(c); i++) {
        mask[i] = c->amount.v[i] > 0.5F;
    }
    moth_status status = moth_line_width(ctx, mask, c->fine.width, c->fine.height, &inside, &width);
    if (status == MOTH_OK) {
        status = moth_distance(ctx, mask, c->fine.width, c->fine.height, &outside);
    }
    double wider = fmax(0, least_line * FINE - width) / 2, thinner = fmax(0, width - greatest_line * FINE) / 2;
    for (int64_t i = 0; i < size_of(c) && status == MOTH_OK; i++) {
        if (wider > 0.5) {
            c->amount.v[i] = ramp(wider + 1 - sqrt((double)outside.v[i]));
        } else if (thinner > 0.5) {
            c->amount.v[i] = ramp(sqrt((double)inside.v[i]) - thinner);
        } else {
            c->amount.v[i] = ramp(((double)c->amount.v[i] - 0.35) / 0.3);
        }
    }
    moth_plane_free(&inside);
    moth_plane_free(&outside);
    return status;
}

/* ---- 28 x 28 ---- */

static bool find_box(const cut *c, moth_blob *box)
{
    *box = moth_blob_empty();
    for (int64_t i = 0; i < size_of(c); i++) {
        if (c->amount.v[i] >= 0.5F) {
            moth_blob_add(box, i % c->fine.width, i / c->fine.width, 1);
        }
    }
    return box->area > 0;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Puts the small picture so that its centre of mass is at pixel (14, 14), but inside the large one. */
static void put_centred(const float *small, int64_t height, int64_t width, float *out)
{
    double sum = 0, x = 0, y = 0;
    float most = 1e-6F;
    for (int64_t i = 0; i < height * width; i++) {
        int64_t column = i % width, row = i / width;
        sum += (double)small[i];
        x += (double)small[i] * (double)column;
        y += (double)small[i] * (double)row;
        most = fmaxf(most, small[i]);
    }
    int64_t left = clamp((int64_t)floor(MIDDLE - x / sum + 0.5), 0, SIDE - width);
    int64_t top = clamp((int64_t)floor(MIDDLE - y / sum + 0.5), 0, SIDE - height);
    memset(out, 0, SIDE * SIDE * sizeof *out);
    for (int64_t i = 0; i < height * width; i++) {
        out[(top + i / width) * SIDE + left + i % width] = small[i] / most;
    }
}

static moth_status normalize(moth_ctx *ctx, const cut *c, float *out)
{
    moth_blob box;
    if (!find_box(c, &box)) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "digit: no digit found: what stands out is too faint");
    }
    int64_t w = box.right - box.left, h = box.bottom - box.top, side = w > h ? w : h;
    int64_t width = clamp((w * BOX + side / 2) / side, 1, BOX), height = clamp((h * BOX + side / 2) / side, 1, BOX);
    moth_pixels pixels = { c->fine.height, c->fine.width, 1, NULL, c->amount.v };
    moth_window window = { (double)box.left, (double)box.top, (double)box.right, (double)box.bottom };
    float small[BOX * BOX];
    MOTH_TRY(moth_resample(ctx, &pixels, &window, height, width, small));
    put_centred(small, height, width, out);
    return MOTH_OK;
}

static moth_status bring_to_normal(moth_ctx *ctx, cut *c, float *out)
{
    MOTH_TRY(subtract_papers(ctx, c));
    MOTH_TRY(measure_amount(ctx, c));
    uint8_t *mask = moth_malloc((size_t)size_of(c));
    if (!mask) {
        return moth_fail_memory(ctx, size_of(c));
    }
    moth_status status = shape_lines(ctx, c, mask);
    moth_free(mask);
    return status == MOTH_OK ? normalize(ctx, c, out) : status;
}

moth_status moth_digit_normal(moth_ctx *ctx, const moth_opaque *picture, const moth_sheet *sheet, const uint8_t *ink,
                              const moth_blobs *digits, int64_t index, float *out)
{
    cut c = { 0 };
    moth_status status = open_cut(ctx, picture, sheet, ink, digits, index, &c);
    if (status == MOTH_OK) {
        status = bring_to_normal(ctx, &c, out);
    }
    cut_free(&c);
    return status;
}
