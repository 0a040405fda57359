#include "io/image_plane.h"

#include <math.h>
#include <string.h>

moth_status moth_plane_new(moth_ctx *ctx, int64_t width, int64_t height, moth_plane *out)
{
    float *v = moth_calloc((size_t)(width * height) * sizeof *v);
    if (!v) {
        return moth_fail_memory(ctx, width * height * (int64_t)sizeof *v);
    }
    *out = (moth_plane){ width, height, v };
    return MOTH_OK;
}

void moth_plane_free(moth_plane *p)
{
    moth_free(p->v);
    *p = (moth_plane){ 0 };
}

/* ---- filters along one line of a plane ---- */

typedef struct line_filter {
    void (*run)(const struct line_filter *f, const float *in, int64_t count, float *out);
    const float *weight; /* of distance 0, 1, …, radius */
    int64_t radius;
    float *scratch; /* 2 * (count + 2 * radius) */
} line_filter;

static void blur_line(const line_filter *f, const float *in, int64_t count, float *out)
{
    for (int64_t i = 0; i < count; i++) {
        float sum = f->weight[0] * in[i];
        for (int64_t k = 1; k <= f->radius; k++) {
            int64_t a = i - k, b = i + k;
            sum += f->weight[k] * (in[a < 0 ? 0 : a] + in[b < count ? b : count - 1]);
        }
        out[i] = sum;
    }
}

/* van Herk: least values from the left and from the right within blocks as long as the window; any window is the right
 * end of one block and the left end of the next. The line is padded, so that every window is whole. */
static void least_line(const line_filter *f, const float *in, int64_t count, float *out)
{
    int64_t window = 2 * f->radius + 1, padded = count + 2 * f->radius;
    float *left = f->scratch, *right = f->scratch + padded;
    for (int64_t i = 0; i < padded; i++) {
        int64_t from = i - f->radius;
        right[i] = from >= 0 && from < count ? in[from] : INFINITY;
        left[i] = i % window == 0 ? right[i] : fminf(left[i - 1], right[i]);
    }
    for (int64_t i = padded - 2; i >= 0; i--) {
        right[i] = (i + 1) % window == 0 ? right[i] : fminf(right[i + 1], right[i]);
    }
    for (int64_t i = 0; i < count; i++) {
        out[i] = fminf(right[i], left[i + 2 * f->radius]);
    }
}

/* The filter over all rows, then over all columns. */
static moth_status filter_lines(moth_ctx *ctx, moth_plane *p, line_filter *f)
{
    int64_t longest = p->width > p->height ? p->width : p->height;
    int64_t room = 2 * longest + 2 * (longest + 2 * f->radius);
    float *lines = moth_malloc((size_t)room * sizeof *lines);
    if (!lines) {
        return moth_fail_memory(ctx, room * (int64_t)sizeof *lines);
    }
    float *in = lines, *out = lines + longest;
    f->scratch = lines + 2 * longest;
    for (int64_t y = 0; y < p->height; y++) {
        memcpy(in, p->v + y * p->width, (size_t)p->width * sizeof *in);
        f->run(f, in, p->width, p->v + y * p->width);
    }
    for (int64_t x = 0; x < p->width; x++) {
        for (int64_t y = 0; y < p->height; y++) {
            in[y] = p->v[y * p->width + x];
        }
        f->run(f, in, p->height, out);
        for (int64_t y = 0; y < p->height; y++) {
            p->v[y * p->width + x] = out[y];
        }
    }
    moth_free(lines);
    return MOTH_OK;
}

moth_status moth_plane_blur(moth_ctx *ctx, moth_plane *p, double sigma)
{
    enum { MAX_RADIUS = 255 };
    float weight[MAX_RADIUS + 1];
    int64_t radius = (int64_t)ceil(3 * sigma);
    radius = radius < MAX_RADIUS ? radius : MAX_RADIUS;
    double sum = 0;
    for (int64_t k = 0; k <= radius; k++) {
        weight[k] = (float)exp(-0.5 * (double)(k * k) / (sigma * sigma));
        sum += (k ? 2 : 1) * (double)weight[k];
    }
    for (int64_t k = 0; k <= radius; k++) {
        weight[k] = (float)((double)weight[k] / sum);
    }
    return filter_lines(ctx, p, &(line_filter){ blur_line, weight, radius, NULL });
}

moth_status moth_plane_least(moth_ctx *ctx, moth_plane *p, int64_t radius)
{
    return filter_lines(ctx, p, &(line_filter){ least_line, NULL, radius, NULL });
}

static void negate(moth_plane *p)
{
    for (int64_t i = 0; i < p->width * p->height; i++) {
        p->v[i] = -p->v[i];
    }
}

moth_status moth_plane_greatest(moth_ctx *ctx, moth_plane *p, int64_t radius)
{
    negate(p);
    moth_status status = moth_plane_least(ctx, p, radius);
    negate(p);
    return status;
}

/* ---- order ---- */

float moth_select(float *values, int64_t count, int64_t rank)
{
    int64_t low = 0, high = count - 1;
    while (low < high) {
        float pivot = values[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (values[i] < pivot) {
                i++;
            }
            while (values[j] > pivot) {
                j--;
            }
            if (i <= j) {
                float other = values[i];
                values[i++] = values[j];
                values[j--] = other;
            }
        }
        if (rank <= j) {
            high = j;
        } else if (rank >= i) {
            low = i;
        } else {
            break;
        }
    }
    return values[rank];
}

moth_status moth_plane_quantile(moth_ctx *ctx, const moth_plane *p, const uint8_t *mask, double share, float *out)
{
    int64_t all = p->width * p->height, count = 0;
    float *values = moth_malloc((size_t)all * sizeof *values);
    if (!values) {
        return moth_fail_memory(ctx, all * (int64_t)sizeof *values);
    }
    for (int64_t i = 0; i < all; i++) {
        if (!mask || mask[i]) {
            values[count++] = p->v[i];
        }
    }
    *out = count ? moth_select(values, count, (int64_t)lrint(share * (double)(count - 1))) : 0;
    moth_free(values);
    return MOTH_OK;
}

/* ---- distance ---- */

/* Felzenszwalb and Huttenlocher: the lower envelope of the parabolas (x - i)^2 + in[i]. */
static void distance_line(const float *in, int64_t count, float *out, int64_t *apex, double *border)
{
    int64_t k = 0;
    apex[0] = 0;
    border[0] = -INFINITY;
    border[1] = INFINITY;
    for (int64_t i = 1; i < count; i++) {
        double at;
        for (;; k--) {
            int64_t a = apex[k];
            at = ((double)in[i] - (double)in[a] + (double)(i * i - a * a)) / (double)(2 * (i - a));
            if (at > border[k]) {
                break;
            }
        }
        k++;
        apex[k] = i;
        border[k] = at;
        border[k + 1] = INFINITY;
    }
    k = 0;
    for (int64_t i = 0; i < count; i++) {
        while (border[k + 1] < (double)i) {
            k++;
        }
        double d = (double)(i - apex[k]);
        out[i] = (float)(d * d) + in[apex[k]];
    }
}

static void distance_lines(moth_plane *p, float *line, int64_t *apex, double *border)
{
    int64_t longest = p->width > p->height ? p->width : p->height;
    float *out = line + longest;
    for (int64_t x = 0; x < p->width; x++) {
        for (int64_t y = 0; y < p->height; y++) {
            line[y] = p->v[y * p->width + x];
        }
        distance_line(line, p->height, out, apex, border);
        for (int64_t y = 0; y < p->height; y++) {
            p->v[y * p->width + x] = out[y];
        }
    }
    for (int64_t y = 0; y < p->height; y++) {
        memcpy(line, p->v + y * p->width, (size_t)p->width * sizeof *line);
        distance_line(line, p->width, p->v + y * p->width, apex, border);
    }
}

moth_status moth_distance(moth_ctx *ctx, const uint8_t *mask, int64_t width, int64_t height, moth_plane *out)
{
    MOTH_TRY(moth_plane_new(ctx, width, height, out));
    size_t longest = (size_t)(width > height ? width : height) + 1;
    float *line = moth_malloc(2 * longest * sizeof *line);
    int64_t *apex = moth_malloc(longest * sizeof *apex);
    double *border = moth_malloc((longest + 1) * sizeof *border);
    bool enough = line && apex && border;
    if (enough) {
        for (int64_t i = 0; i < width * height; i++) {
            out->v[i] = mask[i] ? 0 : 1e12F;
        }
        distance_lines(out, line, apex, border);
    } else {
        moth_plane_free(out);
    }
    moth_free(line);
    moth_free(apex);
    moth_free(border);
    return enough ? MOTH_OK : moth_fail_memory(ctx, (int64_t)(longest * 32));
}

/* Across a line the distance to its edge rises to half of the width and falls again: its mean is a quarter. */
moth_status moth_line_width(moth_ctx *ctx, const uint8_t *mask, int64_t width, int64_t height, moth_plane *inside,
                            double *out)
{
    int64_t count = width * height;
    uint8_t *rest = moth_malloc((size_t)count);
    if (!rest) {
        return moth_fail_memory(ctx, count);
    }
    for (int64_t i = 0; i < count; i++) {
        rest[i] = !mask[i];
    }
    moth_status status = moth_distance(ctx, rest, width, height, inside);
    double sum = 0, total = 1e-9;
    for (int64_t i = 0; i < count && status == MOTH_OK; i++) {
        sum += mask[i] ? sqrt((double)inside->v[i]) - 0.5 : 0;
        total += mask[i];
    }
    *out = 4 * sum / total + 0.5;
    moth_free(rest);
    return status;
}
