/* Each axis by itself: out[j] = sum of weight[j][k] in[first[j] + k]. Where scale = window / n_out >= 1 the weights are
 * the overlaps of [j scale, (j + 1) scale) with the pixels, over scale (exact area average); where it is smaller they
 * are Keys' cubic with a = -1/2 (Catmull-Rom) around (j + 1/2) scale. */
#include "io/image_resample.h"

#include <math.h>

#include "core/memory.h"

typedef struct axis {
    int64_t count, taps; /* outputs, and the room for weights of each */
    int64_t *first;
    float *weight; /* (count, taps) */
} axis;

static double cubic(double x)
{
    x = fabs(x);
    if (x < 1) {
        return (1.5 * x - 2.5) * x * x + 1;
    }
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

static void axis_free(axis *a)
{
    moth_free(a->first);
    moth_free(a->weight);
}

static moth_status axis_new(moth_ctx *ctx, double low, double high, int64_t count, axis *out)
{
    double scale = (high - low) / (double)count;
    bool shrinks = scale >= 1;
    axis a = { .count = count, .taps = shrinks ? (int64_t)ceil(scale) + 1 : 4 };
    a.first = moth_malloc((size_t)count * sizeof *a.first);
    a.weight = moth_calloc((size_t)(count * a.taps) * sizeof *a.weight);
    if (!a.first || !a.weight) {
        axis_free(&a);
        return moth_fail_memory(ctx, count * a.taps * (int64_t)sizeof *a.weight);
    }
    for (int64_t j = 0; j < count; j++) {
        double from = low + (double)j * scale, to = from + scale, middle = (from + to) / 2;
        a.first[j] = (int64_t)floor(shrinks ? from : middle - 1.5);
        for (int64_t k = 0; k < a.taps; k++) {
            double pixel = (double)(a.first[j] + k);
            double overlap = fmin(to, pixel + 1) - fmax(from, pixel);
            a.weight[j * a.taps + k] = (float)(shrinks ? fmax(overlap, 0) / scale : cubic(pixel + 0.5 - middle));
        }
    }
    *out = a;
    return MOTH_OK;
}

static int64_t clamp(int64_t i, int64_t count)
{
    return i < 0 ? 0 : i < count ? i : count - 1;
}

static float value_at(const moth_pixels *p, int64_t i)
{
    return p->bytes ? (float)p->bytes[i] : p->floats[i];
}

/* One row of the source to `count` pixels. */
static void resample_row(const moth_pixels *from, int64_t y, const axis *x, float *out)
{
    int c = from->channels;
    int64_t row = y * from->width;
    for (int64_t j = 0; j < x->count; j++) {
        const float *weight = x->weight + j * x->taps;
        for (int channel = 0; channel < c; channel++) {
            float sum = 0;
            for (int64_t k = 0; k < x->taps; k++) {
                sum += weight[k] * value_at(from, (row + clamp(x->first[j] + k, from->width)) * c + channel);
            }
            out[j * c + channel] = sum;
        }
    }
}

static void add_rows(const axis *y, int64_t j, const float *rows, int64_t low, int64_t high, int64_t length, float *out)
{
    for (int64_t i = 0; i < length; i++) {
        out[i] = 0;
    }
    for (int64_t k = 0; k < y->taps; k++) {
        int64_t row = y->first[j] + k;
        row = (row < low ? low : row > high ? high : row) - low;
        float weight = y->weight[j * y->taps + k];
        for (int64_t i = 0; i < length && weight != 0; i++) {
            out[i] += weight * rows[row * length + i];
        }
    }
}

static moth_status resample(moth_ctx *ctx, const moth_pixels *from, const axis *y, const axis *x, float *out)
{
    int64_t length = x->count * from->channels;
    int64_t low = clamp(y->first[0], from->height);
    int64_t high = clamp(y->first[y->count - 1] + y->taps, from->height);
    size_t bytes = (size_t)((high - low + 1) * length) * sizeof(float);
    float *rows = moth_malloc(bytes);
    if (!rows) {
        return moth_fail_memory(ctx, (int64_t)bytes);
    }
    for (int64_t row = low; row <= high; row++) {
        resample_row(from, row, x, rows + (row - low) * length);
    }
    for (int64_t j = 0; j < y->count; j++) {
        add_rows(y, j, rows, low, high, length, out + j * length);
    }
    moth_free(rows);
    return MOTH_OK;
}

moth_status moth_resample(moth_ctx *ctx, const moth_pixels *from, const moth_window *window, int64_t height,
                          int64_t width, float *out)
{
    axis y = { 0 }, x = { 0 };
    MOTH_TRY(axis_new(ctx, window->top, window->bottom, height, &y));
    moth_status status = axis_new(ctx, window->left, window->right, width, &x);
    if (status == MOTH_OK) {
        status = resample(ctx, from, &y, &x, out);
        axis_free(&x);
    }
    axis_free(&y);
    return status;
}
