/* A picture of a handwritten digit as MNIST would have it: white on black, 28 x 28, the digit scaled to 20 x 20 with
 * its aspect kept, its centre of mass in the middle. */
#ifndef MOTH_IO_IMAGE_DIGIT_H
#define MOTH_IO_IMAGE_DIGIT_H

#include "tensor/tensor.h"

typedef struct moth_digit {
    int64_t x, y, width, height; /* box in pixels of the picture, from its upper left corner */
    moth_tensor *image;          /* float (28, 28), 0..1 */
} moth_digit;

typedef struct moth_digits {
    int64_t count;     /* at least 1 where digits were asked for */
    moth_digit *digit; /* line by line, each from left to right */
    int64_t main;      /* the one that is meant where the picture shows one */
    moth_tensor *seen; /* what was looked at: uint8 (h, w, 3), long side at most 768, nothing transparent */
    moth_tensor *ink;  /* of it, what was taken for ink: uint8 (h, w), 0 or 255 */
} moth_digits;

/* Finds digits in a picture (uint8, or float 0..1; (h, w) or (h, w, 1 to 4)), upright already (moth_image_load with
 * orient). MOTH_ERR_ARGUMENT with "no digit found" where nothing stands out. Free the result by moth_digits_free. */
moth_status moth_image_digits(moth_ctx *ctx, const moth_tensor *picture, moth_digits *out);

/* The steps before digits, for a picture that shows none: seen and ink, count is 0. */
moth_status moth_image_ink(moth_ctx *ctx, const moth_tensor *picture, moth_digits *out);
void moth_digits_free(moth_digits *digits);

/* Only the image of the main digit. */
moth_status moth_image_digit(moth_ctx *ctx, const moth_tensor *picture, moth_tensor **out);

#endif
