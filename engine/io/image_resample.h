/* Changing the size of pixels: the mean over the area where it shrinks, a cubic where it grows. */
#ifndef MOTH_IO_IMAGE_RESAMPLE_H
#define MOTH_IO_IMAGE_RESAMPLE_H

#include "core/status.h"

/* Part of a picture, in pixels from its upper left corner; the middle of the first pixel is at 0.5. */
typedef struct moth_window {
    double left, top, right, bottom;
} moth_window;

/* Pixels (height, width, channels) of bytes or of floats. */
typedef struct moth_pixels {
    int64_t height, width;
    int channels;
    const uint8_t *bytes; /* one of the two is NULL */
    const float *floats;
} moth_pixels;

/* Puts what `window` shows into out (height, width, channels). Beyond its edges a picture goes on as they are. */
moth_status moth_resample(moth_ctx *ctx, const moth_pixels *from, const moth_window *window, int64_t height,
                          int64_t width, float *out);

#endif
