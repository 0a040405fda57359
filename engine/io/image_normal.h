/* One digit of a sheet, cut out again from the picture itself and brought to 28 x 28. */
#ifndef MOTH_IO_IMAGE_NORMAL_H
#define MOTH_IO_IMAGE_NORMAL_H

#include "io/image_blobs.h"

/* `index` counts from 0; `ink` is the mask that the blobs came from. out: (28, 28). */
moth_status moth_digit_normal(moth_ctx *ctx, const moth_opaque *picture, const moth_sheet *sheet, const uint8_t *ink,
                              const moth_blobs *digits, int64_t index, float *out);

#endif
