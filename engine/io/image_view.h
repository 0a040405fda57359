/* A tensor seen as pixels. */
#ifndef MOTH_IO_IMAGE_VIEW_H
#define MOTH_IO_IMAGE_VIEW_H

#include "io/image.h"
#include "io/image_resample.h"

typedef struct moth_image_view {
    moth_pixels pixels;
    float white;       /* the value that means full: 255 of bytes, 1 of floats */
    moth_tensor *copy; /* what the pixels stand on */
    float *floats;
} moth_image_view;

/* Fails, with `verb` in the message, unless t is uint8 or float32 and (height, width) or (height, width, 1 to 4). On
 * success the caller closes the view. */
moth_status moth_image_view_open(moth_ctx *ctx, const char *verb, const moth_tensor *t, moth_image_view *out);
void moth_image_view_close(moth_image_view *view);

#endif
