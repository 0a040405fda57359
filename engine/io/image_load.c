/* Picture files to tensors: reads the whole file, asks the reader of its format, orients, changes the channels. */
#include "io/image_codec.h"

#include <string.h>

#include "io/file.h"
#include "io/message.h"

moth_status moth_picture_check_size(moth_ctx *ctx, const char *format, int64_t width, int64_t height)
{
    if (width < 1 || height < 1 || width > MOTH_IMAGE_MAX_SIDE || height > MOTH_IMAGE_MAX_SIDE ||
        width * height > MOTH_IMAGE_MAX_PIXELS) {
        return moth_fail(ctx, MOTH_ERR_FORMAT, "%s: sides must be 1 to %d and at most %lld pixels, got %lld x %lld",
                         format, MOTH_IMAGE_MAX_SIDE, (long long)MOTH_IMAGE_MAX_PIXELS, (long long)width,
                         (long long)height);
    }
    return MOTH_OK;
}

/* ---- channels ---- */

/* ITU-R BT.601 luma, rounded: .299, .587 and .114 in 16 bits. */
static uint8_t luma(const uint8_t *rgb)
{
    return (uint8_t)((19595U * rgb[0] + 38470U * rgb[1] + 7471U * rgb[2] + 0x8000U) >> 16);
}

moth_status moth_picture_set_channels(moth_ctx *ctx, moth_picture *picture, int channels)
{
    int from = picture->channels;
    if (from == channels) {
        return MOTH_OK;
    }
    int64_t count = picture->width * picture->height;
    uint8_t *pixels = moth_malloc((size_t)(count * channels));
    if (!pixels) {
        return moth_fail_memory(ctx, count * channels);
    }
    const uint8_t *in = picture->pixels;
    uint8_t *out = pixels;
    for (int64_t i = 0; i < count; i++, in += from, out += channels) {
        for (int k = 0; k < (channels < 3 ? 1 : 3); k++) {
            out[k] = from < 3 ? in[0] : channels < 3 ? luma(in) : in[k];
        }
        if (channels % 2 == 0) {
            out[channels - 1] = from % 2 == 0 ? in[from - 1] : 255;
        }
    }
    moth_free(picture->pixels);
    picture->pixels = pixels;
    picture->channels = channels;
    return MOTH_OK;
}

/* ---- from memory ---- */

static moth_status decode(moth_ctx *ctx, const uint8_t *bytes, size_t size, moth_picture *out)
{
    if (size >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0) {
        return moth_png_decode(ctx, bytes, size, out);
    }
    if (size >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0) {
        return moth_jpeg_decode(ctx, bytes, size, out);
    }
    if (size >= 2 && memcmp(bytes, "BM", 2) == 0) {
        return moth_bmp_decode(ctx, bytes, size, out);
    }
    return moth_fail(ctx, MOTH_ERR_FORMAT, size == 0 ? "the file is empty" : "not a PNG, JPEG or BMP picture");
}

/* The tensor takes the pixels over: a picture can be large. */
static moth_status to_tensor(moth_ctx *ctx, moth_picture *picture, moth_tensor **out)
{
    int64_t shape[3] = { picture->height, picture->width, picture->channels };
    moth_storage *storage = moth_malloc(sizeof *storage);
    if (!storage) {
        return moth_fail_memory(ctx, (int64_t)sizeof *storage);
    }
    *storage = (moth_storage){ .bytes = shape[0] * shape[1] * shape[2], .data = (char *)picture->pixels };
    moth_meta meta = { .dtype = MOTH_UINT8, .rank = 3 };
    memcpy(meta.shape, shape, sizeof shape);
    moth_meta_set_contiguous(&meta);
    moth_status status = moth_tensor_handle(ctx, &meta, storage, out);
    if (status != MOTH_OK) {
        moth_free(storage);
        return status;
    }
    picture->pixels = NULL;
    return MOTH_OK;
}

moth_status moth_image_decode(moth_ctx *ctx, const void *bytes, size_t size, int channels, bool orient,
                              moth_tensor **out)
{
    if (channels < 0 || channels > 4) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "channels must be 1 to 4 (or left out), got %d", channels);
    }
    if (size > (size_t)MOTH_IMAGE_MAX_BYTES) {
        return moth_fail(ctx, MOTH_ERR_FORMAT, "the file has %zu bytes, more than 64 MB", size);
    }
    moth_picture picture = { 0 };
    MOTH_TRY(decode(ctx, bytes, size, &picture));
    moth_status status = orient ? moth_picture_orient(ctx, &picture) : MOTH_OK;
    if (status == MOTH_OK && channels) {
        status = moth_picture_set_channels(ctx, &picture, channels);
    }
    if (status == MOTH_OK) {
        status = to_tensor(ctx, &picture, out);
    }
    moth_free(picture.pixels);
    return status;
}

/* ---- from a file ---- */

moth_status moth_image_load(moth_ctx *ctx, const char *path, int channels, bool orient, moth_tensor **out)
{
    char *bytes = NULL;
    int64_t size = 0;
    MOTH_TRY(moth_io_read_file(ctx, path, MOTH_IMAGE_MAX_BYTES, &bytes, &size));
    moth_status status = moth_image_decode(ctx, bytes, (size_t)size, channels, orient, out);
    moth_free(bytes);
    return status == MOTH_OK ? MOTH_OK : moth_io_fail(ctx, status, path, "%s", ctx->error);
}
