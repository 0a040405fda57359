/* From a picture of anything written to "how much ink is where". */
#ifndef MOTH_IO_IMAGE_INK_H
#define MOTH_IO_IMAGE_INK_H

#include "io/image_plane.h"
#include "io/image_view.h"

/* The picture as it is looked at: no alpha, 0..1, of a handy size. */
typedef struct moth_sheet {
    int64_t width, height;
    int channels; /* 1 or 3 */
    moth_plane colour[3];
    double scale; /* pixels of the original to one of these */
} moth_sheet;

/* Where the picture is shown over something: its pixels without alpha. */
typedef struct moth_opaque {
    moth_image_view view;
    uint8_t *flat; /* what the pixels stand on when there was alpha */
    moth_pixels pixels;
    float white;
} moth_opaque;

moth_status moth_opaque_open(moth_ctx *ctx, const moth_tensor *t, moth_opaque *out);
void moth_opaque_close(moth_opaque *picture);

/* A window of the picture as a sheet of the given size. */
moth_status moth_sheet_cut(moth_ctx *ctx, const moth_opaque *picture, const moth_window *window, int64_t height,
                           int64_t width, moth_sheet *out);
/* The whole picture with its long side between 256 and 768. */
moth_status moth_sheet_whole(moth_ctx *ctx, const moth_opaque *picture, moth_sheet *out);
moth_status moth_sheet_copy(moth_ctx *ctx, const moth_sheet *from, moth_sheet *out);
void moth_sheet_free(moth_sheet *sheet);

typedef struct moth_ink {
    moth_plane amount; /* about 0 on paper; ink is about `level` */
    uint8_t *inside;   /* 1 on what was looked at */
    uint8_t *mask;     /* 1 where there is ink */
    float noise;       /* deviation of the amount on paper */
    float level;       /* 0: nothing stands out */
    double scale;      /* of the sheet */
} moth_ink;

/* What a picture may be; each is looked for in its own way. */
typedef enum moth_look {
    MOTH_LOOK_ON_SHEET, /* a sheet of paper that lies on something else */
    MOTH_LOOK_WIDE,     /* paper, on which ink may be broad */
    MOTH_LOOK_FINE,     /* paper with hard shadows: ink is narrower than they are */
    MOTH_LOOK_TIGHT     /* two colours, ink up to the border */
} moth_look;

/* Finds ink, rules of the paper removed. Where the picture is not of this kind `level` is 0. The colours of `sheet`
 * become differences from the paper. */
moth_status moth_ink_find(moth_ctx *ctx, moth_sheet *sheet, moth_look look, moth_ink *out);
void moth_ink_free(moth_ink *ink);

/* Takes printed lines off the amount: ruled and squared paper. `least` is the amount that stands out from noise. */
moth_status moth_ink_erase_rules(moth_ctx *ctx, moth_plane *amount, float least);

/* Replaces colours by differences from the paper, relative to its light, and marks (height, width) what was looked at:
 * everything or, with `enter`, a sheet on something else; without such a sheet `entered` is false and nothing is done.
 */
moth_status moth_paper_subtract(moth_ctx *ctx, moth_sheet *sheet, bool enter, uint8_t *inside, bool *entered);

/* The eigenvector of the largest eigenvalue of a symmetric matrix over `channels` colours. */
void moth_main_axis(double matrix[3][3], int channels, double *axis);

/* MOTH_LOOK_TIGHT: fills amount, level and mask of an ink whose members have room. */
moth_status moth_ink_of_two_colours(moth_ctx *ctx, const moth_sheet *sheet, moth_ink *ink);

#endif
