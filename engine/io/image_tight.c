/* A digit cut out so tightly that the border of the picture is no paper: then paper and ink are two colours, told apart
 * by the threshold that separates them best (Otsu) along the main axis of all colours. The corners are paper. */
#include "io/image_ink.h"

#include <math.h>
#include <string.h>

enum { LEVELS = 256 };
/* Share of the variance that lies between the two colours; light and shadow on one paper have less. */
static const double least_separation = 0.8;

/* ---- the axis ---- */

static void mean_colour(const moth_sheet *s, double *mean)
{
    int64_t count = s->width * s->height;
    for (int k = 0; k < s->channels; k++) {
        mean[k] = 0;
        for (int64_t i = 0; i < count; i++) {
            mean[k] += (double)s->colour[k].v[i];
        }
        mean[k] /= (double)count;
    }
}

static void colour_axis(const moth_sheet *s, const double *mean, double *axis)
{
    double m[3][3] = { { 0 } };
    for (int64_t i = 0; i < s->width * s->height; i++) {
        for (int a = 0; a < s->channels; a++) {
            for (int b = 0; b < s->channels; b++) {
                m[a][b] += ((double)s->colour[a].v[i] - mean[a]) * ((double)s->colour[b].v[i] - mean[b]);
            }
        }
    }
    moth_main_axis(m, s->channels, axis);
}

static void project(const moth_sheet *s, moth_plane *out)
{
    double mean[3] = { 0 }, axis[3];
    mean_colour(s, mean);
    colour_axis(s, mean, axis);
    for (int64_t i = 0; i < s->width * s->height; i++) {
        double sum = 0;
        for (int k = 0; k < s->channels; k++) {
            sum += axis[k] * ((double)s->colour[k].v[i] - mean[k]);
        }
        out->v[i] = (float)sum;
    }
}

/* ---- two colours ---- */

typedef struct parting {
    double threshold, low, high; /* means of the values below and above */
    double separation;
} parting;

/* Otsu: values of the histogram's cells are 0..LEVELS - 1. */
static parting part_levels(const double *histogram)
{
    double count = 0, sum = 0, squares = 0, below = 0, below_sum = 0, most = -1;
    for (int i = 0; i < LEVELS; i++) {
        count += histogram[i];
        sum += i * histogram[i];
        squares += (double)i * i * histogram[i];
    }
    parting p = { 0 };
    for (int i = 0; i + 1 < LEVELS; i++) {
        below += histogram[i];
        below_sum += i * histogram[i];
        double above = count - below, low = below_sum / fmax(below, 1), high = (sum - below_sum) / fmax(above, 1);
        double between = below * above * (high - low) * (high - low);
        if (between > most) {
            most = between;
            p = (parting){ i + 0.5, low, high, 0 };
        }
    }
    p.separation = most / fmax(count * squares - sum * sum, 1e-9);
    return p;
}

static parting part_plane(const moth_plane *p)
{
    float low = INFINITY, high = -INFINITY;
    int64_t count = p->width * p->height;
    for (int64_t i = 0; i < count; i++) {
        low = fminf(low, p->v[i]);
        high = fmaxf(high, p->v[i]);
    }
    double histogram[LEVELS] = { 0 }, step = fmax((double)(high - low), 1e-6) / (LEVELS - 1);
    for (int64_t i = 0; i < count; i++) {
        histogram[(int)lrint((double)(p->v[i] - low) / step)]++;
    }
    parting found = part_levels(histogram);
    found.threshold = (double)low + found.threshold * step;
    found.low = (double)low + found.low * step;
    found.high = (double)low + found.high * step;
    return found;
}

/* Pixels of the four corners above the threshold, less those below. */
static int64_t corners_above(const moth_plane *p, double threshold)
{
    int64_t w = p->width, h = p->height, side = (w < h ? w : h) / 16 + 1, balance = 0;
    for (int64_t y = 0; y < h; y++) {
        for (int64_t x = 0; x < w; x++) {
            if ((x < side || x >= w - side) && (y < side || y >= h - side)) {
                balance += (double)p->v[y * w + x] > threshold ? 1 : -1;
            }
        }
    }
    return balance;
}

moth_status moth_ink_of_two_colours(moth_ctx *ctx, const moth_sheet *sheet, moth_ink *ink)
{
    int64_t count = sheet->width * sheet->height, set = 0;
    memset(ink->inside, 1, (size_t)count);
    project(sheet, &ink->amount);
    parting p = part_plane(&ink->amount);
    bool light_paper = corners_above(&ink->amount, p.threshold) > 0;
    double paper = light_paper ? p.high : p.low, other = light_paper ? p.low : p.high;
    if (p.separation < least_separation || fabs(paper - other) < 0.1) {
        return *ctx->interrupt ? moth_fail(ctx, MOTH_ERR_INTERRUPTED, "interrupted") : MOTH_OK;
    }
    for (int64_t i = 0; i < count; i++) {
        ink->amount.v[i] = (float)(((double)ink->amount.v[i] - paper) / (other - paper));
        ink->mask[i] = ink->amount.v[i] >= 0.5F;
        set += ink->mask[i];
    }
    /* More than that is no writing. */
    bool written = 20 * set < 13 * count;
    for (int64_t i = 0; i < count && !written; i++) {
        ink->mask[i] = 0;
    }
    ink->level = written ? 1 : 0;
    return MOTH_OK;
}
