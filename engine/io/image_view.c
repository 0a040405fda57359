#include "io/image_view.h"

static moth_status check(moth_ctx *ctx, const char *verb, const moth_tensor *t)
{
    const moth_meta *m = &t->meta;
    char text[128];
    if (moth_tensor_is_symbolic(t)) {
        return moth_fail(ctx, MOTH_ERR_TRACING, "%s: the pixels are not known while tracing", verb);
    }
    if (m->dtype == MOTH_INT32) {
        return moth_fail(ctx, MOTH_ERR_DTYPE, "%s: a picture is uint8 (0..255) or float32 (0..1), got int32", verb);
    }
    bool fits = m->rank == 2 || (m->rank == 3 && m->shape[2] >= 1 && m->shape[2] <= 4);
    for (int d = 0; fits && d < 2; d++) {
        fits = m->shape[d] >= 1 && m->shape[d] <= MOTH_IMAGE_MAX_SIDE;
    }
    if (!fits || m->shape[0] * m->shape[1] > MOTH_IMAGE_MAX_PIXELS) {
        return moth_fail(
            ctx, MOTH_ERR_SHAPE,
            "%s: a picture is (height, width) or (height, width, 1 to 4) with sides 1 to %d and at most 64 "
            "megapixels, got %s",
            verb, MOTH_IMAGE_MAX_SIDE, moth_meta_text(m, text, sizeof text));
    }
    return MOTH_OK;
}

/* Floats of the tensor; the gradient-checking build keeps doubles there. */
static moth_status copy_floats(moth_ctx *ctx, moth_image_view *view)
{
    int64_t count = moth_tensor_count(view->copy);
    view->floats = moth_malloc((size_t)count * sizeof(float));
    if (!view->floats) {
        return moth_fail_memory(ctx, count * (int64_t)sizeof(float));
    }
    const moth_real *from = moth_tensor_reals(view->copy);
    for (int64_t i = 0; i < count; i++) {
        view->floats[i] = (float)from[i];
    }
    view->pixels.floats = view->floats;
    return MOTH_OK;
}

moth_status moth_image_view_open(moth_ctx *ctx, const char *verb, const moth_tensor *t, moth_image_view *out)
{
    MOTH_TRY(check(ctx, verb, t));
    moth_image_view view = { .white = t->meta.dtype == MOTH_UINT8 ? 255 : 1 };
    view.pixels.height = t->meta.shape[0];
    view.pixels.width = t->meta.shape[1];
    view.pixels.channels = t->meta.rank == 3 ? (int)t->meta.shape[2] : 1;
    MOTH_TRY(moth_tensor_contiguous_copy(ctx, t, &view.copy));
    moth_status status = MOTH_OK;
    if (t->meta.dtype == MOTH_UINT8) {
        view.pixels.bytes = (const uint8_t *)moth_tensor_data(view.copy);
    } else {
        status = copy_floats(ctx, &view);
    }
    if (status != MOTH_OK) {
        moth_image_view_close(&view);
        return status;
    }
    *out = view;
    return MOTH_OK;
}

void moth_image_view_close(moth_image_view *view)
{
    moth_tensor_release(view->copy);
    moth_free(view->floats);
    *view = (moth_image_view){ 0 };
}
