/* Planes: one float a pixel, and the few filters that finding ink needs. */
#ifndef MOTH_IO_IMAGE_PLANE_H
#define MOTH_IO_IMAGE_PLANE_H

#include "core/memory.h"

typedef struct moth_plane {
    int64_t width, height;
    float *v; /* (height, width) of moth_malloc */
} moth_plane;

moth_status moth_plane_new(moth_ctx *ctx, int64_t width, int64_t height, moth_plane *out); /* zeroed */
void moth_plane_free(moth_plane *p);

/* Gaussian of deviation sigma, in place; beyond its edges a plane goes on as they are. */
moth_status moth_plane_blur(moth_ctx *ctx, moth_plane *p, double sigma);

/* Smallest (or largest) value within `radius` pixels in x and y, in place. */
moth_status moth_plane_least(moth_ctx *ctx, moth_plane *p, int64_t radius);
moth_status moth_plane_greatest(moth_ctx *ctx, moth_plane *p, int64_t radius);

/* The value at `share` (0..1) of the sorted values of all pixels where mask (NULL: everywhere) is not 0; 0 of none. */
moth_status moth_plane_quantile(moth_ctx *ctx, const moth_plane *p, const uint8_t *mask, double share, float *out);

/* Reorders values so that the one at `rank` is where sorting would put it; returns it. count > 0. */
float moth_select(float *values, int64_t count, int64_t rank);

/* Squared distance to the nearest pixel of the mask (width, height) that is not 0; very large where there is none. */
moth_status moth_distance(moth_ctx *ctx, const uint8_t *mask, int64_t width, int64_t height, moth_plane *out);

/* Width of the lines that the mask shows, and (inside, owned by the caller) the squared distance of each pixel to what
 * is not set. */
moth_status moth_line_width(moth_ctx *ctx, const uint8_t *mask, int64_t width, int64_t height, moth_plane *inside,
                            double *out);

#endif
