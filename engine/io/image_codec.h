/* What the readers of the three picture formats share: a decoded picture, and numbers from untrusted bytes. */
#ifndef MOTH_IO_IMAGE_CODEC_H
#define MOTH_IO_IMAGE_CODEC_H

#include "io/image.h"

typedef struct moth_picture {
    int64_t width, height; /* 1..MOTH_IMAGE_MAX_SIDE each */
    int channels;          /* 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA */
    int orientation;       /* EXIF 1..8; 1 where the file says nothing */
    uint8_t *pixels;       /* height * width * channels bytes of moth_malloc; owned by whoever holds the struct */
} moth_picture;

/* Each reads a complete file of `size` bytes. Messages start with the format's name. */
moth_status moth_png_decode(moth_ctx *ctx, const uint8_t *bytes, size_t size, moth_picture *out);
moth_status moth_jpeg_decode(moth_ctx *ctx, const uint8_t *bytes, size_t size, moth_picture *out);
moth_status moth_bmp_decode(moth_ctx *ctx, const uint8_t *bytes, size_t size, moth_picture *out);

/* What the headers of a JPEG file say, after every check that stands between the file and the decoder. */
typedef struct moth_jpeg_info {
    int64_t width, height;
    int components;
    int orientation;
} moth_jpeg_info;
moth_status moth_jpeg_guard(moth_ctx *ctx, const uint8_t *bytes, size_t size, moth_jpeg_info *out);

/* Fails unless the sides are within the limits. */
moth_status moth_picture_check_size(moth_ctx *ctx, const char *format, int64_t width, int64_t height);

/* EXIF orientation 1..8 in a TIFF block (as in APP1 of JPEG after "Exif\0\0", or eXIf of PNG); 1 when there is none or
 * the block is broken. */
int moth_exif_orientation(const uint8_t *tiff, size_t size);

/* Turns the pixels upright, so that orientation becomes 1. */
moth_status moth_picture_orient(moth_ctx *ctx, moth_picture *picture);

/* Changes the number of channels as moth_image_load says. */
moth_status moth_picture_set_channels(moth_ctx *ctx, moth_picture *picture, int channels);

static inline uint32_t moth_be16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t moth_be32(const uint8_t *p)
{
    return moth_be16(p) << 16 | moth_be16(p + 2);
}

static inline uint32_t moth_le16(const uint8_t *p)
{
    return (uint32_t)p[1] << 8 | p[0];
}

static inline uint32_t moth_le32(const uint8_t *p)
{
    return moth_le16(p + 2) << 16 | moth_le16(p);
}

#endif
