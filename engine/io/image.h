/* Pictures: PNG, JPEG and BMP files to uint8 tensors (h, w, c) and back, resizing, and what a classifier of handwritten
 * digits wants to see (image_digit.h). Files are untrusted: at most 64 MB, sides 1..16384, at most 64 megapixels, and
 * every number of a header is checked before it is used. */
#ifndef MOTH_IO_IMAGE_H
#define MOTH_IO_IMAGE_H

#include "io/buffer.h"
#include "tensor/tensor.h"

#define MOTH_IMAGE_MAX_BYTES ((int64_t)64 << 20)
#define MOTH_IMAGE_MAX_SIDE 16384
#define MOTH_IMAGE_MAX_PIXELS ((int64_t)64 << 20)

/* A uint8 tensor (h, w, c) with the file's own channels (1 grey, 2 grey + alpha, 3 RGB, 4 RGBA; palettes expanded, 16
 * bit reduced to the high byte), or with `channels` of them (1..4; 0 = the file's own): grey is luma, a missing alpha
 * is 255, alpha that is not wanted is dropped. Pixels come as stored; `orient` turns them upright by the EXIF
 * orientation. */
moth_status moth_image_load(moth_ctx *ctx, const char *path, int channels, bool orient, moth_tensor **out);

/* The same from memory. */
moth_status moth_image_decode(moth_ctx *ctx, const void *bytes, size_t size, int channels, bool orient,
                              moth_tensor **out);

/* Saves a picture as PNG, whole or not at all: uint8 or float (0..1), (h, w) or (h, w, c) with 1 to 4 channels. */
moth_status moth_image_save(moth_ctx *ctx, const char *path, const moth_tensor *t);

/* The same PNG into memory. */
moth_status moth_image_encode_png(moth_ctx *ctx, const moth_tensor *t, moth_buffer *out);

/* Verbs on such pictures; the result has the type and rank of t. Resizing takes the mean over the area where it shrinks
 * and a cubic where it grows. Grayscale gives one channel: luma, alpha over white. Invert leaves alpha as it is. */
moth_status moth_image_resize(moth_ctx *ctx, const moth_tensor *t, int64_t height, int64_t width, moth_tensor **out);
moth_status moth_image_grayscale(moth_ctx *ctx, const moth_tensor *t, moth_tensor **out);
moth_status moth_image_invert(moth_ctx *ctx, const moth_tensor *t, moth_tensor **out);

#endif
