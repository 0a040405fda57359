#include "io/image_augment.h"

#include <math.h>
#include <string.h>

#include "core/random.h"
#include "core/threads.h"

enum { GRID = 4 }; /* the elastic field has so many nodes on a side, joined smoothly */

/* One job: all images. */
typedef struct job {
    const moth_tensor *from;
    moth_tensor *to;
    const moth_augment *by;
    uint64_t seed, stream, step;
    int64_t h, w, c;
} job;

/* How the pixels of one sample move. */
typedef struct warp {
    double a[2][2], shift[2];
    double field[2][GRID][GRID];
    bool bent;
} warp;

static double draw(const job *j, int64_t sample, uint32_t k)
{
    uint32_t words[4];
    moth_random_block(j->seed, j->stream, j->step, (uint64_t)sample * 16 + k / 4, words);
    return 2 * (double)moth_uniform(words[k % 4]) - 1;
}

/* The map goes from a pixel of the result to the place in the source that it shows. */
static warp warp_of(const job *j, int64_t sample)
{
    const double degree = 3.14159265358979323846 / 180;
    double angle = j->by->rotate * degree * draw(j, sample, 0), scale = 1 / (1 + j->by->zoom * draw(j, sample, 1));
    warp w = { .bent = j->by->elastic > 0 };
    w.a[0][0] = w.a[1][1] = cos(angle) * scale;
    w.a[0][1] = sin(angle) * scale;
    w.a[1][0] = -w.a[0][1];
    w.shift[0] = j->by->shift * draw(j, sample, 2);
    w.shift[1] = j->by->shift * draw(j, sample, 3);
    for (uint32_t k = 0; k < 2 * GRID * GRID && w.bent; k++) {
        w.field[k / (GRID * GRID)][k / GRID % GRID][k % GRID] = j->by->elastic * draw(j, sample, 4 + k);
    }
    return w;
}

/* The field at a place given in parts of the side: bilinear between nodes, with a smooth step. */
static double bend(const double field[GRID][GRID], double y, double x)
{
    double fy = y * (GRID - 1), fx = x * (GRID - 1);
    int r = (int)fmin(fmax(fy, 0), GRID - 2), c = (int)fmin(fmax(fx, 0), GRID - 2);
    fy = fmin(fmax(fy - r, 0), 1);
    fx = fmin(fmax(fx - c, 0), 1);
    fy = fy * fy * (3 - 2 * fy);
    fx = fx * fx * (3 - 2 * fx);
    return (1 - fy) * ((1 - fx) * field[r][c] + fx * field[r][c + 1]) +
           fy * ((1 - fx) * field[r + 1][c] + fx * field[r + 1][c + 1]);
}

static double pixel(const job *j, const char *image, int64_t r, int64_t c, int64_t channel)
{
    if (r < 0 || c < 0 || r >= j->h || c >= j->w) {
        return 0;
    }
    int64_t at = (r * j->w + c) * j->c + channel;
    return j->from->meta.dtype == MOTH_UINT8 ? (double)((const uint8_t *)image)[at]
                                             : (double)((const moth_real *)(const void *)image)[at];
}

static double sample_at(const job *j, const char *image, double y, double x, int64_t channel)
{
    double r = floor(y), c = floor(x), fy = y - r, fx = x - c;
    if (!(r >= -1 && c >= -1 && r < (double)j->h && c < (double)j->w)) {
        return 0;
    }
    int64_t ri = (int64_t)r, ci = (int64_t)c;
    return (1 - fy) * ((1 - fx) * pixel(j, image, ri, ci, channel) + fx * pixel(j, image, ri, ci + 1, channel)) +
           fy * ((1 - fx) * pixel(j, image, ri + 1, ci, channel) + fx * pixel(j, image, ri + 1, ci + 1, channel));
}

static void vary(void *arg, int64_t sample, int worker)
{
    const job *j = arg;
    (void)worker;
    const warp w = warp_of(j, sample);
    int64_t size = j->h * j->w * j->c * (int64_t)moth_dtype_size(j->from->meta.dtype);
    const char *from = moth_tensor_data(j->from) + sample * size;
    char *to = moth_tensor_data(j->to) + sample * size;
    double cy = ((double)j->h - 1) / 2, cx = ((double)j->w - 1) / 2;
    for (int64_t i = 0; i < j->h * j->w; i++) {
        const int64_t row = i / j->w, column = i % j->w;
        double dy = (double)row - cy, dx = (double)column - cx;
        double y = w.a[0][0] * dy + w.a[0][1] * dx + cy - w.shift[0];
        double x = w.a[1][0] * dy + w.a[1][1] * dx + cx - w.shift[1];
        if (w.bent) {
            double v = (double)row / fmax((double)j->h - 1, 1), u = (double)column / fmax((double)j->w - 1, 1);
            y += bend(w.field[0], v, u);
            x += bend(w.field[1], v, u);
        }
        for (int64_t channel = 0; channel < j->c; channel++) {
            double value = sample_at(j, from, y, x, channel);
            if (j->from->meta.dtype == MOTH_UINT8) {
                ((uint8_t *)to)[i * j->c + channel] = (uint8_t)(value + 0.5);
            } else {
                ((moth_real *)(void *)to)[i * j->c + channel] = (moth_real)value;
            }
        }
    }
}

static moth_status check(moth_ctx *ctx, const moth_tensor *images, const moth_augment *by)
{
    const moth_meta *m = &images->meta;
    if (moth_tensor_is_symbolic(images)) {
        return moth_fail(ctx, MOTH_ERR_TRACING, "augment: value not known while tracing");
    }
    if ((m->rank != 3 && m->rank != 4) || m->dtype == MOTH_INT32) {
        char text[128];
        return moth_fail(ctx, MOTH_ERR_SHAPE,
                         "augment: expected uint8 or float32 pictures (n, height, width) or "
                         "(n, height, width, channels), got %s",
                         moth_meta_text(m, text, sizeof text));
    }
    const double numbers[] = { by->shift, by->rotate, by->zoom, by->elastic };
    for (int k = 0; k < 4; k++) {
        if (!(numbers[k] >= 0 && numbers[k] <= 1e4) || by->zoom >= 1) {
            return moth_fail(ctx, MOTH_ERR_ARGUMENT,
                             "augment: shift, rotate and elastic must lie in 0..10000, zoom below 1; got %g",
                             numbers[k]);
        }
    }
    return MOTH_OK;
}

moth_status moth_image_augment(moth_ctx *ctx, const moth_tensor *images, const moth_augment *by, uint64_t seed,
                               uint64_t step, moth_tensor **out)
{
    MOTH_TRY(check(ctx, images, by));
    moth_tensor *from = NULL, *to = NULL;
    const moth_meta *m = &images->meta;
    MOTH_TRY(moth_tensor_contiguous_copy(ctx, images, &from));
    moth_status status = moth_tensor_new(ctx, m->dtype, m->rank, m->shape, &to);
    if (status == MOTH_OK) {
        job j = { .from = from,
                  .to = to,
                  .by = by,
                  .seed = seed,
                  .stream = moth_stream(0, "augment", 0),
                  .step = step,
                  .h = m->shape[1],
                  .w = m->shape[2],
                  .c = m->rank == 4 ? m->shape[3] : 1 };
        status = moth_parallel(ctx, m->shape[0], vary, &j);
    }
    moth_tensor_release(from);
    if (status != MOTH_OK) {
        moth_tensor_release(to);
        return status;
    }
    *out = to;
    return MOTH_OK;
}
