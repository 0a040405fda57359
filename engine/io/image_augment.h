/* Pictures varied at random: what makes a small data set go further (Simard, Steinkraus, Platt 2003). */
#ifndef MOTH_IO_IMAGE_AUGMENT_H
#define MOTH_IO_IMAGE_AUGMENT_H

#include "tensor/tensor.h"

typedef struct moth_augment {
    double shift;   /* pixels, each way */
    double rotate;  /* degrees, each way */
    double zoom;    /* 0.1: from 0.9 to 1.1 times as large */
    double elastic; /* pixels by which a smooth field bends the picture */
} moth_augment;

/* A new tensor like images, (n, h, w) or (n, h, w, c), uint8 or float32; outside of a picture lies 0. Sample i of a
 * step depends on (seed, step, i) alone, so not on batches or threads. MOTH_ERR_SHAPE, MOTH_ERR_ARGUMENT (a number that
 * is negative or not finite), MOTH_ERR_MEMORY, MOTH_ERR_INTERRUPTED. */
moth_status moth_image_augment(moth_ctx *ctx, const moth_tensor *images, const moth_augment *by, uint64_t seed,
                               uint64_t step, moth_tensor **out);

#endif
