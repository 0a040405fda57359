/* What is ink: what differs from the paper (image_paper.c).
 *
 * The direction that the strongest differences share is the ink's: so it may be darker, lighter or only of
 * another hue. The difference along that direction, minus its opening by a window wider than any stroke (shadows are
 * wider), is the amount of ink. Its threshold is a share of the strongest amount, with hysteresis. */
#include "io/image_ink.h"

#include <math.h>
#include <string.h>

/* ---- the direction of ink ---- */

static double length_at(const moth_sheet *s, int64_t i)
{
    double sum = 0;
    for (int k = 0; k < s->channels; k++) {
        sum += (double)s->colour[k].v[i] * (double)s->colour[k].v[i];
    }
    return sqrt(sum);
}

/* Power iteration. */
void moth_main_axis(double matrix[3][3], int channels, double *axis)
{
    axis[0] = 0.6;
    axis[1] = 0.59;
    axis[2] = 0.54;
    for (int round = 0; round < 60; round++) {
        double next[3], norm = 1e-30;
        for (int a = 0; a < channels; a++) {
            next[a] = 1e-12 * axis[a];
            for (int b = 0; b < channels; b++) {
                next[a] += matrix[a][b] * axis[b];
            }
            norm += next[a] * next[a];
        }
        for (int a = 0; a < channels; a++) {
            axis[a] = next[a] / sqrt(norm);
        }
    }
}

/* The main axis of the differences beyond `least`, longer ones counting more, by power iteration; the side that holds
 * more of them is positive. */
static void ink_axis(const moth_sheet *s, double least, double *axis)
{
    double m[3][3] = { { 0 } };
    for (int64_t i = 0; i < s->width * s->height; i++) {
        double d = length_at(s, i);
        for (int a = 0; a < s->channels && d >= least; a++) {
            for (int b = 0; b < s->channels; b++) {
                m[a][b] += d * d * (double)s->colour[a].v[i] * (double)s->colour[b].v[i];
            }
        }
    }
    moth_main_axis(m, s->channels, axis);
    double balance = 0;
    for (int64_t i = 0; i < s->width * s->height; i++) {
        double along = 0;
        for (int k = 0; k < s->channels; k++) {
            along += axis[k] * (double)s->colour[k].v[i];
        }
        balance += length_at(s, i) >= least ? along * along * along : 0;
    }
    for (int k = 0; k < 3 && balance < 0; k++) {
        axis[k] = -axis[k];
    }
}

static moth_status measure_amount(moth_ctx *ctx, const moth_sheet *s, moth_plane *out)
{
    for (int64_t i = 0; i < s->width * s->height; i++) {
        out->v[i] = (float)length_at(s, i);
    }
    float least;
    MOTH_TRY(moth_plane_quantile(ctx, out, NULL, 0.995, &least));
    double axis[3];
    /* Flat colours are all equal, and a float is not quite its double. */
    ink_axis(s, 0.98 * (double)least, axis);
    for (int64_t i = 0; i < s->width * s->height; i++) {
        double along = 0;
        for (int k = 0; k < s->channels; k++) {
            along += axis[k] * (double)s->colour[k].v[i];
        }
        out->v[i] = (float)along;
    }
    return MOTH_OK;
}

/* ---- what is left of light and paper ---- */

static moth_status subtract_opening(moth_ctx *ctx, moth_plane *amount, double share)
{
    int64_t side = amount->width < amount->height ? amount->width : amount->height;
    int64_t radius = (int64_t)(share * (double)side) + 1, count = amount->width * amount->height;
    moth_plane wide;
    MOTH_TRY(moth_plane_new(ctx, amount->width, amount->height, &wide));
    memcpy(wide.v, amount->v, (size_t)count * sizeof *wide.v);
    moth_status status = moth_plane_least(ctx, &wide, radius);
    if (status == MOTH_OK) {
        status = moth_plane_greatest(ctx, &wide, radius);
    }
    for (int64_t i = 0; i < count && status == MOTH_OK; i++) {
        amount->v[i] -= wide.v[i];
    }
    moth_plane_free(&wide);
    return status;
}

/* Paper to 0; its deviation from the lower side, where no ink is. */
static moth_status centre_on_paper(moth_ctx *ctx, moth_ink *ink)
{
    float low, middle;
    MOTH_TRY(moth_plane_quantile(ctx, &ink->amount, ink->inside, 0.16, &low));
    MOTH_TRY(moth_plane_quantile(ctx, &ink->amount, ink->inside, 0.50, &middle));
    for (int64_t i = 0; i < ink->amount.width * ink->amount.height; i++) {
        ink->amount.v[i] = ink->inside[i] ? ink->amount.v[i] - middle : 0;
    }
    ink->noise = middle - low;
    return MOTH_OK;
}

/* Pixels above `low` that are joined to one above `high`. */
static moth_status mask_by_hysteresis(moth_ctx *ctx, const moth_plane *amount, float low, float high, uint8_t *mask)
{
    int64_t w = amount->width, h = amount->height, top = 0;
    int64_t *stack = moth_malloc((size_t)(w * h) * sizeof *stack);
    if (!stack) {
        return moth_fail_memory(ctx, w * h * (int64_t)sizeof *stack);
    }
    for (int64_t i = 0; i < w * h; i++) {
        mask[i] = amount->v[i] >= high;
        if (mask[i]) {
            stack[top++] = i;
        }
    }
    while (top > 0) {
        int64_t i = stack[--top], x = i % w, y = i / w;
        for (int64_t yy = y > 0 ? y - 1 : 0; yy <= y + 1 && yy < h; yy++) {
            for (int64_t xx = x > 0 ? x - 1 : 0; xx <= x + 1 && xx < w; xx++) {
                int64_t n = yy * w + xx;
                if (!mask[n] && amount->v[n] >= low) {
                    mask[n] = 1;
                    stack[top++] = n;
                }
            }
        }
    }
    moth_free(stack);
    return MOTH_OK;
}

static moth_status find_mask(moth_ctx *ctx, moth_ink *ink)
{
    enum { LEAST_PIXELS = 20 };
    const float faint = 0.03F;
    moth_plane *amount = &ink->amount;
    int64_t count = amount->width * amount->height;
    MOTH_TRY(centre_on_paper(ctx, ink));
    float stands_out = fmaxf(5 * ink->noise, faint);
    double strong = 1 - fmin(fmax(0.0005, (double)LEAST_PIXELS / (double)count), 1);
    /* The strongest lines first: the less of their soft edges is seen, the thinner they are. */
    MOTH_TRY(moth_plane_quantile(ctx, amount, ink->inside, strong, &ink->level));
    for (int i = 0; i < 3; i++) {
        static const float share[3] = { 0.4F, 0.15F, 0 };
        MOTH_TRY(moth_ink_erase_rules(ctx, amount, fmaxf(share[i] * ink->level, stands_out)));
    }
    MOTH_TRY(moth_plane_quantile(ctx, amount, ink->inside, strong, &ink->level));
    if (ink->level < fmaxf(7 * ink->noise, faint)) {
        ink->level = 0;
        return MOTH_OK;
    }
    float low = fmaxf(0.28F * ink->level, 4 * ink->noise), high = fmaxf(0.5F * ink->level, stands_out);
    return mask_by_hysteresis(ctx, amount, low, high, ink->mask);
}

static moth_status find_on_paper(moth_ctx *ctx, moth_sheet *sheet, moth_look look, moth_ink *ink)
{
    bool enter = look == MOTH_LOOK_ON_SHEET, entered = false;
    MOTH_TRY(moth_paper_subtract(ctx, sheet, enter, ink->inside, &entered));
    if (enter && !entered) {
        return MOTH_OK;
    }
    for (int k = 0; k < sheet->channels; k++) {
        MOTH_TRY(moth_plane_blur(ctx, &sheet->colour[k], 0.8));
    }
    MOTH_TRY(measure_amount(ctx, sheet, &ink->amount));
    MOTH_TRY(subtract_opening(ctx, &ink->amount, look == MOTH_LOOK_FINE ? 0.08 : 0.22));
    return find_mask(ctx, ink);
}

moth_status moth_ink_find(moth_ctx *ctx, moth_sheet *sheet, moth_look look, moth_ink *out)
{
    moth_ink ink = { .scale = sheet->scale };
    int64_t count = sheet->width * sheet->height;
    moth_status status = moth_plane_new(ctx, sheet->width, sheet->height, &ink.amount);
    ink.inside = moth_malloc((size_t)count);
    ink.mask = moth_calloc((size_t)count);
    if (!ink.inside || !ink.mask) {
        status = moth_fail_memory(ctx, count);
    }
    if (status == MOTH_OK) {
        status =
            look == MOTH_LOOK_TIGHT ? moth_ink_of_two_colours(ctx, sheet, &ink) : find_on_paper(ctx, sheet, look, &ink);
    }
    if (status != MOTH_OK) {
        moth_ink_free(&ink);
        return status;
    }
    *out = ink;
    return MOTH_OK;
}

void moth_ink_free(moth_ink *ink)
{
    moth_plane_free(&ink->amount);
    moth_free(ink->inside);
    moth_free(ink->mask);
    *ink = (moth_ink){ 0 };
}
