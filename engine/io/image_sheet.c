/* Pictures without alpha, and cut to the size at which ink is looked for. */
#include "io/image_ink.h"

#include <math.h>
#include <string.h>

enum { LEAST_SIDE = 256, GREATEST_SIDE = 768 };

/* ---- alpha ---- */

static float value_at(const moth_pixels *p, int64_t i)
{
    return p->bytes ? (float)p->bytes[i] : p->floats[i];
}

static float luma_of(const float *colour, int channels)
{
    return channels < 3 ? colour[0] : 0.299F * colour[0] + 0.587F * colour[1] + 0.114F * colour[2];
}

typedef struct opacity {
    double share;       /* of the picture that is opaque */
    double mean[3];     /* colour of what is opaque, 0..1 */
    double dark, light; /* extremes of its brightness */
} opacity;

static opacity measure_opacity(const moth_image_view *view)
{
    const moth_pixels *p = &view->pixels;
    int colours = p->channels - 1;
    int64_t count = p->width * p->height;
    opacity o = { .dark = 1 };
    for (int64_t i = 0; i < count; i++) {
        float colour[3] = { 0 };
        double alpha = (double)(value_at(p, i * p->channels + colours) / view->white);
        for (int k = 0; k < colours; k++) {
            colour[k] = value_at(p, i * p->channels + k) / view->white;
            o.mean[k] += alpha * (double)colour[k];
        }
        double luma = (double)luma_of(colour, colours);
        o.share += alpha;
        o.dark = alpha > 0.5 ? fmin(o.dark, luma) : o.dark;
        o.light = alpha > 0.5 ? fmax(o.light, luma) : o.light;
    }
    for (int k = 0; k < colours && o.share > 0; k++) {
        o.mean[k] /= o.share;
    }
    o.share /= (double)count;
    return o;
}

/* Mostly opaque with something on it: a sheet, whose own colour goes on where it ends. Else the opaque part is the ink
 * (or the paper around a digit that is cut out): it goes over black or white, whichever is farther. */
static void choose_ground(const moth_image_view *view, float *colour)
{
    opacity o = measure_opacity(view);
    float mean[3] = { (float)o.mean[0], (float)o.mean[1], (float)o.mean[2] };
    bool sheet = o.share > 0.5 && o.light - o.dark > 0.15;
    bool dark = luma_of(mean, view->pixels.channels - 1) < 0.5F;
    for (int k = 0; k < 3; k++) {
        colour[k] = sheet ? mean[k] : dark ? 1 : 0;
    }
}

static void flatten(const moth_image_view *view, const float *colour, uint8_t *out)
{
    const moth_pixels *p = &view->pixels;
    int colours = p->channels - 1;
    for (int64_t i = 0; i < p->width * p->height; i++) {
        float alpha = value_at(p, i * p->channels + colours) / view->white;
        for (int k = 0; k < colours; k++) {
            float mixed = alpha * value_at(p, i * p->channels + k) / view->white + (1 - alpha) * colour[k];
            *out++ = (uint8_t)lrintf(255 * (mixed < 0 ? 0 : mixed > 1 ? 1 : mixed));
        }
    }
}

static moth_status remove_alpha(moth_ctx *ctx, moth_opaque *o)
{
    const moth_pixels *p = &o->view.pixels;
    int64_t bytes = p->width * p->height * (p->channels - 1);
    o->flat = moth_malloc((size_t)bytes);
    if (!o->flat) {
        return moth_fail_memory(ctx, bytes);
    }
    float colour[3];
    choose_ground(&o->view, colour);
    flatten(&o->view, colour, o->flat);
    o->pixels = (moth_pixels){ p->height, p->width, p->channels - 1, o->flat, NULL };
    o->white = 255;
    return MOTH_OK;
}

static moth_status check_finite(moth_ctx *ctx, const moth_pixels *p)
{
    for (int64_t i = 0; p->floats && i < p->width * p->height * p->channels; i++) {
        if (!(fabsf(p->floats[i]) < 1e6F)) {
            return moth_fail(ctx, MOTH_ERR_ARGUMENT, "digit: float pixels must lie in 0..1, got %g",
                             (double)p->floats[i]);
        }
    }
    return MOTH_OK;
}

moth_status moth_opaque_open(moth_ctx *ctx, const moth_tensor *t, moth_opaque *out)
{
    moth_opaque o = { 0 };
    MOTH_TRY(moth_image_view_open(ctx, "digit", t, &o.view));
    o.pixels = o.view.pixels;
    o.white = o.view.white;
    moth_status status = check_finite(ctx, &o.pixels);
    if (status == MOTH_OK && o.pixels.channels % 2 == 0) {
        status = remove_alpha(ctx, &o);
    }
    if (status != MOTH_OK) {
        moth_opaque_close(&o);
        return status;
    }
    *out = o;
    return MOTH_OK;
}

void moth_opaque_close(moth_opaque *picture)
{
    moth_image_view_close(&picture->view);
    moth_free(picture->flat);
    *picture = (moth_opaque){ 0 };
}

/* ---- sheets ---- */

static void split_channels(const moth_opaque *picture, const float *pixels, moth_sheet *sheet)
{
    int c = sheet->channels;
    for (int64_t i = 0; i < sheet->width * sheet->height; i++) {
        for (int k = 0; k < c; k++) {
            sheet->colour[k].v[i] = pixels[i * c + k] / picture->white;
        }
    }
}

moth_status moth_sheet_cut(moth_ctx *ctx, const moth_opaque *picture, const moth_window *window, int64_t height,
                           int64_t width, moth_sheet *out)
{
    moth_sheet s = { .width = width, .height = height, .channels = picture->pixels.channels };
    s.scale = (window->right - window->left) / (double)width;
    size_t bytes = (size_t)(width * height * s.channels) * sizeof(float);
    float *pixels = moth_malloc(bytes);
    moth_status status = pixels ? moth_resample(ctx, &picture->pixels, window, height, width, pixels)
                                : moth_fail_memory(ctx, (int64_t)bytes);
    for (int k = 0; k < s.channels && status == MOTH_OK; k++) {
        status = moth_plane_new(ctx, width, height, &s.colour[k]);
    }
    if (status == MOTH_OK) {
        split_channels(picture, pixels, &s);
        *out = s;
    } else {
        moth_sheet_free(&s);
    }
    moth_free(pixels);
    return status;
}

moth_status moth_sheet_whole(moth_ctx *ctx, const moth_opaque *picture, moth_sheet *out)
{
    int64_t width = picture->pixels.width, height = picture->pixels.height;
    int64_t side = width > height ? width : height;
    /* Small pictures grow by a whole factor, so that their pixels stay in place. */
    int64_t times = (LEAST_SIDE + side - 1) / side;
    double factor = side < LEAST_SIDE ? (double)times : side > GREATEST_SIDE ? (double)GREATEST_SIDE / (double)side : 1;
    int64_t w = (int64_t)lrint((double)width * factor), h = (int64_t)lrint((double)height * factor);
    moth_window all = { 0, 0, (double)width, (double)height };
    return moth_sheet_cut(ctx, picture, &all, h > 0 ? h : 1, w > 0 ? w : 1, out);
}

moth_status moth_sheet_copy(moth_ctx *ctx, const moth_sheet *from, moth_sheet *out)
{
    moth_sheet s = { .width = from->width, .height = from->height, .channels = from->channels, .scale = from->scale };
    for (int k = 0; k < s.channels; k++) {
        moth_status status = moth_plane_new(ctx, s.width, s.height, &s.colour[k]);
        if (status != MOTH_OK) {
            moth_sheet_free(&s);
            return status;
        }
        memcpy(s.colour[k].v, from->colour[k].v, (size_t)(s.width * s.height) * sizeof(float));
    }
    *out = s;
    return MOTH_OK;
}

void moth_sheet_free(moth_sheet *sheet)
{
    for (int k = 0; k < 3; k++) {
        moth_plane_free(&sheet->colour[k]);
    }
}
