/* Connected pieces of ink, and which of them make up which digit. */
#ifndef MOTH_IO_IMAGE_BLOBS_H
#define MOTH_IO_IMAGE_BLOBS_H

#include "io/image_ink.h"

typedef struct moth_blob {
    int64_t left, top, right, bottom; /* right and bottom are one past the last pixel */
    int64_t area;
    double amount; /* sum of the ink */
    bool edge;     /* touches the border of what was looked at */
    bool sharp;    /* ends as ink does, not as shadows do */
} moth_blob;

typedef struct moth_blobs {
    int64_t width, height;
    int32_t *label; /* (height, width): 0 or 1 + index of the blob */
    moth_blob *blob;
    int64_t count;
} moth_blobs;

/* Joins neighbours, diagonal ones too. Blobs come in the order of their first pixel, row by row. */
moth_status moth_blobs_find(moth_ctx *ctx, const moth_ink *ink, moth_blobs *out);
void moth_blobs_free(moth_blobs *blobs);

/* Relabels so that each blob left is one digit: specks go, parts of one digit become one, digits that touch are cut.
 * They come line by line, each from left to right. */
moth_status moth_blobs_to_digits(moth_ctx *ctx, moth_blobs *blobs);

/* The pieces that look like several digits touching are cut (called by moth_blobs_to_digits). */
moth_status moth_blobs_cut(moth_ctx *ctx, moth_blobs *blobs);

/* A blob with nothing in it, and one pixel more in it. */
moth_blob moth_blob_empty(void);
void moth_blob_add(moth_blob *b, int64_t x, int64_t y, double amount);

#endif
