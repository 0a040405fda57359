/* Verbs on picture tensors: resize, grayscale, invert. The type stays; uint8 is rounded, float stays in 0..1. */
#include "io/image_view.h"

#include <math.h>
#include <string.h>

static void put(moth_tensor *t, int64_t i, float value)
{
    if (t->meta.dtype == MOTH_UINT8) {
        float clipped = value < 0 ? 0 : value > 255 ? 255 : value;
        ((uint8_t *)moth_tensor_data(t))[i] = (uint8_t)lrintf(clipped);
    } else {
        moth_tensor_reals(t)[i] = (moth_real)value;
    }
}

static float value_at(const moth_image_view *v, int64_t i)
{
    return v->pixels.bytes ? (float)v->pixels.bytes[i] : v->pixels.floats[i];
}

static moth_status resize(moth_ctx *ctx, const moth_image_view *view, int64_t height, int64_t width, moth_tensor *out)
{
    int64_t count = moth_tensor_count(out);
    float *floats = moth_malloc((size_t)count * sizeof(float));
    if (!floats) {
        return moth_fail_memory(ctx, count * (int64_t)sizeof(float));
    }
    moth_window all = { 0, 0, (double)view->pixels.width, (double)view->pixels.height };
    moth_status status = moth_resample(ctx, &view->pixels, &all, height, width, floats);
    for (int64_t i = 0; i < count && status == MOTH_OK; i++) {
        put(out, i, floats[i]);
    }
    moth_free(floats);
    return status;
}

moth_status moth_image_resize(moth_ctx *ctx, const moth_tensor *t, int64_t height, int64_t width, moth_tensor **out)
{
    if (height < 1 || width < 1 || height > MOTH_IMAGE_MAX_SIDE || width > MOTH_IMAGE_MAX_SIDE ||
        height * width > MOTH_IMAGE_MAX_PIXELS) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT,
                         "resize: sides must be 1 to %d and at most 64 megapixels, got %lld x %lld (height x width)",
                         MOTH_IMAGE_MAX_SIDE, (long long)height, (long long)width);
    }
    moth_image_view view;
    MOTH_TRY(moth_image_view_open(ctx, "resize", t, &view));
    int64_t shape[3] = { height, width, view.pixels.channels };
    moth_tensor *result = NULL;
    moth_status status = moth_tensor_new(ctx, t->meta.dtype, t->meta.rank, shape, &result);
    if (status == MOTH_OK) {
        status = resize(ctx, &view, height, width, result);
    }
    moth_image_view_close(&view);
    if (status != MOTH_OK) {
        moth_tensor_release(result);
        return status;
    }
    *out = result;
    return MOTH_OK;
}

/* ITU-R BT.601 luma of a pixel over white. */
static float grey_over_white(const moth_image_view *v, int64_t i)
{
    int c = v->pixels.channels;
    float grey = c < 3
                     ? value_at(v, i * c)
                     : 0.299F * value_at(v, i * c) + 0.587F * value_at(v, i * c + 1) + 0.114F * value_at(v, i * c + 2);
    if (c % 2 == 0) {
        float alpha = value_at(v, i * c + c - 1) / v->white;
        grey = alpha * grey + (1 - alpha) * v->white;
    }
    return grey;
}

moth_status moth_image_grayscale(moth_ctx *ctx, const moth_tensor *t, moth_tensor **out)
{
    moth_image_view view;
    MOTH_TRY(moth_image_view_open(ctx, "grayscale", t, &view));
    int64_t shape[3] = { view.pixels.height, view.pixels.width, 1 };
    moth_status status = moth_tensor_new(ctx, t->meta.dtype, t->meta.rank, shape, out);
    for (int64_t i = 0; i < shape[0] * shape[1] && status == MOTH_OK; i++) {
        put(*out, i, grey_over_white(&view, i));
    }
    moth_image_view_close(&view);
    return status;
}

moth_status moth_image_invert(moth_ctx *ctx, const moth_tensor *t, moth_tensor **out)
{
    moth_image_view view;
    MOTH_TRY(moth_image_view_open(ctx, "invert", t, &view));
    int c = view.pixels.channels;
    int64_t shape[3] = { view.pixels.height, view.pixels.width, c };
    moth_status status = moth_tensor_new(ctx, t->meta.dtype, t->meta.rank, shape, out);
    for (int64_t i = 0; i < shape[0] * shape[1] * c && status == MOTH_OK; i++) {
        bool alpha = c % 2 == 0 && i % c == c - 1;
        float value = value_at(&view, i);
        put(*out, i, alpha ? value : view.white - value);
    }
    moth_image_view_close(&view);
    return status;
}
