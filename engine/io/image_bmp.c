/* Reads BMP: headers of 12, 40, 52, 56, 108 and 124 bytes; 1, 4 and 8 bit with a palette, 16, 24 and 32 bit, also with
 * bit masks; rows from the bottom up or from the top down. Compressed BMP is refused.
 *
 * 32-bit pixels without masks have alpha by custom only: where all of it is 0 nobody meant it, and it reads as 255. */
#include "io/image_codec.h"

#include <string.h>

enum { FILE_HEADER = 14, UNCOMPRESSED = 0, BIT_FIELDS = 3 };

typedef struct bmp {
    moth_ctx *ctx;
    const uint8_t *bytes;
    size_t size;
    uint32_t header; /* bytes of the info header */
    uint32_t offset; /* of the pixels in the file */
    int64_t width, height;
    bool top_down;
    uint32_t bits, compression;
    uint32_t mask[4]; /* red, green, blue, alpha */
    size_t palette;   /* position, and number of entries and bytes of one */
    uint32_t colours, entry;
    int channels;
} bmp;

#define BMP_FAIL(b, ...) moth_fail((b)->ctx, MOTH_ERR_FORMAT, "BMP: " __VA_ARGS__)

static moth_status check_kind(const bmp *b, uint32_t planes)
{
    if (planes != 1) {
        return BMP_FAIL(b, "%u planes, not 1", (unsigned)planes);
    }
    if (b->compression != UNCOMPRESSED && b->compression != BIT_FIELDS) {
        return moth_fail(b->ctx, MOTH_ERR_UNSUPPORTED, "BMP: compression %lu is not read; save it uncompressed",
                         (unsigned long)b->compression);
    }
    bool known = b->bits == 1 || b->bits == 4 || b->bits == 8 || b->bits == 16 || b->bits == 24 || b->bits == 32;
    if (!known || (b->compression == BIT_FIELDS && b->bits != 16 && b->bits != 32) ||
        (b->header == 12 && (b->bits == 16 || b->bits == 32))) {
        return BMP_FAIL(b, "%u bits a pixel do not exist in this kind", (unsigned)b->bits);
    }
    return moth_picture_check_size(b->ctx, "BMP", b->width, b->height);
}

static moth_status read_header(bmp *b)
{
    if (b->size < FILE_HEADER + 12) {
        return BMP_FAIL(b, "the file ends inside its header");
    }
    const uint8_t *h = b->bytes + FILE_HEADER;
    b->offset = moth_le32(b->bytes + 10);
    b->header = moth_le32(h);
    bool known = b->header == 12 || b->header == 40 || b->header == 52 || b->header == 56 || b->header == 108 ||
                 b->header == 124;
    if (!known) {
        return BMP_FAIL(b, "a header of %lu bytes is not known", (unsigned long)b->header);
    }
    if (b->size - FILE_HEADER < b->header) {
        return BMP_FAIL(b, "the file ends inside its header");
    }
    if (b->header == 12) {
        b->width = moth_le16(h + 4);
        b->height = moth_le16(h + 6);
        b->bits = moth_le16(h + 10);
        return check_kind(b, moth_le16(h + 8));
    }
    /* A negative height means rows from the top down; in 64 bits -2^31 has its opposite. */
    b->width = (int32_t)moth_le32(h + 4);
    b->height = (int32_t)moth_le32(h + 8);
    b->top_down = b->height < 0;
    b->height = b->top_down ? -b->height : b->height;
    b->bits = moth_le16(h + 14);
    b->compression = moth_le32(h + 16);
    return check_kind(b, moth_le16(h + 12));
}

/* Masks stand in the header from 52 bytes on, behind one of 40. */
static moth_status read_masks(bmp *b)
{
    if (b->compression == UNCOMPRESSED) {
        static const uint32_t rgb555[4] = { 0x7c00, 0x03e0, 0x001f, 0 };
        static const uint32_t bgra[4] = { 0xff0000, 0xff00, 0xff, 0xff000000 };
        memcpy(b->mask, b->bits == 16 ? rgb555 : bgra, sizeof b->mask);
        b->channels = b->bits == 32 ? 4 : 3;
        return MOTH_OK;
    }
    if (b->size - FILE_HEADER - 40 < 12) {
        return BMP_FAIL(b, "the file ends inside its header");
    }
    const uint8_t *at = b->bytes + FILE_HEADER + 40;
    for (int k = 0; k < (b->header >= 56 ? 4 : 3); k++) {
        b->mask[k] = moth_le32(at + 4 * (size_t)k);
    }
    for (int k = 0; k < 4; k++) {
        uint32_t low = b->mask[k] & (~b->mask[k] + 1);
        uint32_t run = low ? b->mask[k] / low : 0;
        if ((k < 3 && !run) || (run & (run + 1)) || (b->bits == 16 && b->mask[k] > 0xffff)) {
            return BMP_FAIL(b, "the bit mask 0x%lx does not fit", (unsigned long)b->mask[k]);
        }
    }
    b->channels = b->mask[3] ? 4 : 3;
    return MOTH_OK;
}

static moth_status read_palette(bmp *b)
{
    b->entry = b->header == 12 ? 3 : 4;
    b->palette = FILE_HEADER + b->header;
    uint32_t used = b->header == 12 ? 0 : moth_le32(b->bytes + FILE_HEADER + 32);
    b->colours = used ? used : 1U << b->bits;
    /* A palette that the header does not count may be shorter than all colours: it ends where the pixels begin. */
    uint32_t fits = b->offset > b->palette ? (b->offset - (uint32_t)b->palette) / b->entry : 0;
    if (!used && fits < b->colours) {
        b->colours = fits;
    }
    if (b->colours == 0 || b->colours > 1U << b->bits || b->colours > fits) {
        return BMP_FAIL(b, "a palette of %lu colours does not fit", (unsigned long)b->colours);
    }
    b->channels = 3;
    return MOTH_OK;
}

/* ---- pixels ---- */

/* A field of some bits to 0..255. */
static uint8_t field(uint32_t pixel, uint32_t mask)
{
    if (!mask) {
        return 255;
    }
    uint64_t low = mask & (~mask + 1);
    uint64_t top = mask / low;
    return (uint8_t)((((pixel & mask) / low) * 255 + top / 2) / top);
}

static moth_status put_palette_row(const bmp *b, const uint8_t *row, uint8_t *out)
{
    for (int64_t x = 0; x < b->width; x++, out += 3) {
        int64_t bit = x * b->bits;
        uint32_t index = (uint32_t)row[bit / 8] >> (8 - (int)b->bits - bit % 8) & ((1U << b->bits) - 1);
        if (index >= b->colours) {
            return BMP_FAIL(b, "a pixel has colour %u of a palette of %u", (unsigned)index, (unsigned)b->colours);
        }
        const uint8_t *bgr = b->bytes + b->palette + (size_t)index * b->entry;
        out[0] = bgr[2];
        out[1] = bgr[1];
        out[2] = bgr[0];
    }
    return MOTH_OK;
}

static void put_row(const bmp *b, const uint8_t *row, uint8_t *out)
{
    for (int64_t x = 0; x < b->width; x++, out += b->channels) {
        if (b->bits == 24) {
            out[0] = row[3 * x + 2];
            out[1] = row[3 * x + 1];
            out[2] = row[3 * x];
            continue;
        }
        uint32_t pixel = b->bits == 16 ? moth_le16(row + 2 * x) : moth_le32(row + 4 * x);
        for (int k = 0; k < b->channels; k++) {
            out[k] = field(pixel, b->mask[k]);
        }
    }
}

static void show_unmeant_alpha(uint8_t *pixels, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (pixels[4 * i + 3] != 0) {
            return;
        }
    }
    for (int64_t i = 0; i < count; i++) {
        pixels[4 * i + 3] = 255;
    }
}

static moth_status read_pixels(const bmp *b, uint8_t *pixels)
{
    int64_t stride = (b->width * b->bits + 31) / 32 * 4;
    for (int64_t y = 0; y < b->height; y++) {
        const uint8_t *row = b->bytes + b->offset + y * stride;
        uint8_t *out = pixels + (b->top_down ? y : b->height - 1 - y) * b->width * b->channels;
        if (b->bits > 8) {
            put_row(b, row, out);
        } else {
            MOTH_TRY(put_palette_row(b, row, out));
        }
    }
    if (b->channels == 4 && b->compression == UNCOMPRESSED) {
        show_unmeant_alpha(pixels, b->width * b->height);
    }
    return MOTH_OK;
}

static moth_status check_pixels_in_file(const bmp *b)
{
    int64_t stride = (b->width * b->bits + 31) / 32 * 4;
    int64_t masks = b->compression == BIT_FIELDS && b->header == 40 ? 12 : 0;
    int64_t first = FILE_HEADER + (int64_t)b->header + masks + (int64_t)b->colours * b->entry;
    if (b->offset < first || b->offset >= b->size) {
        return BMP_FAIL(b, "the pixels begin at byte %lu, outside %lld..%zu", (unsigned long)b->offset,
                        (long long)first, b->size - 1);
    }
    int64_t left = (int64_t)b->size - b->offset;
    /* The last row may lack its padding. */
    int64_t needed = stride * (b->height - 1) + (b->width * b->bits + 7) / 8;
    if (left < needed) {
        return BMP_FAIL(b, "%lld x %lld pixels need %lld bytes, the file has %lld", (long long)b->width,
                        (long long)b->height, (long long)needed, (long long)left);
    }
    return MOTH_OK;
}

moth_status moth_bmp_decode(moth_ctx *ctx, const uint8_t *bytes, size_t size, moth_picture *out)
{
    bmp b = { .ctx = ctx, .bytes = bytes, .size = size };
    MOTH_TRY(read_header(&b));
    MOTH_TRY(b.bits <= 8 ? read_palette(&b) : read_masks(&b));
    MOTH_TRY(check_pixels_in_file(&b));
    int64_t count = b.width * b.height * b.channels;
    uint8_t *pixels = moth_malloc((size_t)count);
    if (!pixels) {
        return moth_fail_memory(ctx, count);
    }
    moth_status status = read_pixels(&b, pixels);
    if (status != MOTH_OK) {
        moth_free(pixels);
        return status;
    }
    *out = (moth_picture){ b.width, b.height, b.channels, 1, pixels };
    return MOTH_OK;
}
