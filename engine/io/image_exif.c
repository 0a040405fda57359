/* The one thing that moth wants of EXIF: the orientation (tag 0x0112) in the first directory of a TIFF block, in either
 * byte order. Everything is checked against the block; what does not fit means upright. */
#include "io/image_codec.h"

#include <string.h>

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY_BYTES = 12 };

int moth_exif_orientation(const uint8_t *tiff, size_t size)
{
    bool little = size >= 8 && memcmp(tiff, "II*\0", 4) == 0;
    if (size < 8 || !(little || memcmp(tiff, "MM\0*", 4) == 0)) {
        return 1;
    }
    uint32_t (*const get16)(const uint8_t *) = little ? moth_le16 : moth_be16;
    uint32_t (*const get32)(const uint8_t *) = little ? moth_le32 : moth_be32;
    size_t directory = get32(tiff + 4);
    if (directory > size || size - directory < 2) {
        return 1;
    }
    size_t entries = get16(tiff + directory);
    size_t fit = (size - directory - 2) / ENTRY_BYTES;
    for (size_t i = 0; i < (entries < fit ? entries : fit); i++) {
        const uint8_t *entry = tiff + directory + 2 + i * ENTRY_BYTES;
        if (get16(entry) == TAG_ORIENTATION) {
            uint32_t value = get16(entry + 8);
            bool good = get16(entry + 2) == TYPE_SHORT && get32(entry + 4) == 1 && value >= 1 && value <= 8;
            return good ? (int)value : 1;
        }
    }
    return 1;
}

/* Where the pixel at (x, y) of the upright picture is stored. Orientation names the sides that row 0 and column 0 of
 * the stored picture show: 1 top left, 2 top right, 3 bottom right, 4 bottom left, 5 left top, 6 right top, 7 right
 * bottom, 8 left bottom. */
static int64_t stored_at(const moth_picture *p, int64_t x, int64_t y)
{
    int64_t w = p->width - 1, h = p->height - 1;
    switch (p->orientation) {
    case 2:
        return y * p->width + w - x;
    case 3:
        return (h - y) * p->width + w - x;
    case 4:
        return (h - y) * p->width + x;
    case 5:
        return x * p->width + y;
    case 6:
        return (h - x) * p->width + y;
    case 7:
        return (h - x) * p->width + w - y;
    case 8:
        return x * p->width + w - y;
    default:
        return y * p->width + x;
    }
}

moth_status moth_picture_orient(moth_ctx *ctx, moth_picture *picture)
{
    if (picture->orientation == 1) {
        return MOTH_OK;
    }
    size_t step = (size_t)picture->channels;
    int64_t bytes = picture->width * picture->height * picture->channels;
    uint8_t *upright = moth_malloc((size_t)bytes);
    if (!upright) {
        return moth_fail_memory(ctx, bytes);
    }
    bool swapped = picture->orientation > 4;
    int64_t width = swapped ? picture->height : picture->width;
    int64_t height = swapped ? picture->width : picture->height;
    for (int64_t y = 0; y < height; y++) {
        for (int64_t x = 0; x < width; x++) {
            memcpy(upright + (size_t)(y * width + x) * step, picture->pixels + (size_t)stored_at(picture, x, y) * step,
                   step);
        }
    }
    moth_free(picture->pixels);
    *picture = (moth_picture){ width, height, picture->channels, 1, upright };
    return MOTH_OK;
}
