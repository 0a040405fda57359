/* Reads PNG (ISO/IEC 15948): all colour types and depths, Adam7, tRNS, orientation from eXIf.
 *
 * zlib inflates straight into two row buffers and each row is put into the picture, so memory beside the picture stays
 * small whatever the file claims, and a stream that holds more or less than its header announces is refused after the
 * bytes that the header allows. The walk over the chunks checks lengths and sums before anything is inflated. */
#include "io/image_codec.h"

#include <string.h>

#include "io/zlib_memory.h"

enum { GREY = 0, RGB = 2, PALETTE = 3, GREY_ALPHA = 4, RGB_ALPHA = 6 };

typedef struct png {
    moth_ctx *ctx;
    const uint8_t *bytes;
    size_t size;
    int64_t width, height;
    int depth, colour;
    bool interlaced;
    int samples;             /* of a pixel in the stream */
    int channels;            /* of a pixel in the picture */
    uint32_t palette_count;  /* entries; 0 = no palette seen */
    uint8_t palette[256][4]; /* RGBA */
    bool has_key;            /* tRNS names one colour that is transparent */
    uint32_t key[3];
    size_t first_data; /* position of the first IDAT chunk; 0 = none seen */
    int64_t data_bytes;
    int orientation;
} png;

typedef struct chunk {
    const uint8_t *type;
    const uint8_t *data;
    uint32_t length;
    size_t next; /* position of the chunk after this one */
} chunk;

#define PNG_FAIL(p, ...) moth_fail((p)->ctx, MOTH_ERR_FORMAT, "PNG: " __VA_ARGS__)

static bool is_chunk(const chunk *c, const char *type)
{
    return memcmp(c->type, type, 4) == 0;
}

/* Critical chunks decide what the picture is, and tRNS what is transparent: their sums must be right. */
static bool is_needed(const chunk *c)
{
    return !(c->type[0] & 0x20) || is_chunk(c, "tRNS");
}

static bool sum_is_right(const chunk *c)
{
    uLong sum = crc32(crc32(0, c->type, 4), c->data, c->length);
    return (uint32_t)sum == moth_be32(c->data + c->length);
}

/* False after a failure. */
static bool read_chunk(const png *p, size_t position, chunk *out)
{
    if (p->size - position < 12) {
        PNG_FAIL(p, "the file ends at byte %zu, before its IEND chunk", p->size);
        return false;
    }
    uint32_t length = moth_be32(p->bytes + position);
    if (length > p->size - position - 12) {
        PNG_FAIL(p, "the chunk at byte %zu has %lu bytes, more than the file", position, (unsigned long)length);
        return false;
    }
    out->type = p->bytes + position + 4;
    out->data = p->bytes + position + 8;
    out->length = length;
    out->next = position + 12 + length;
    return true;
}

static bool depth_fits(int colour, int depth)
{
    switch (colour) {
    case GREY:
        return depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
    case PALETTE:
        return depth == 1 || depth == 2 || depth == 4 || depth == 8;
    case RGB:
    case GREY_ALPHA:
    case RGB_ALPHA:
        return depth == 8 || depth == 16;
    default:
        return false;
    }
}

static moth_status read_header(png *p, const chunk *c)
{
    if (!is_chunk(c, "IHDR") || c->length != 13) {
        return PNG_FAIL(p, "the first chunk is not an IHDR of 13 bytes");
    }
    p->width = moth_be32(c->data);
    p->height = moth_be32(c->data + 4);
    p->depth = c->data[8];
    p->colour = c->data[9];
    MOTH_TRY(moth_picture_check_size(p->ctx, "PNG", p->width, p->height));
    if (!depth_fits(p->colour, p->depth)) {
        return PNG_FAIL(p, "colour type %d with %d bits a sample does not exist", p->colour, p->depth);
    }
    if (c->data[10] != 0 || c->data[11] != 0 || c->data[12] > 1) {
        return PNG_FAIL(p, "compression %d, filter %d, interlace %d does not exist", c->data[10], c->data[11],
                        c->data[12]);
    }
    p->interlaced = c->data[12] == 1;
    static const int samples[] = { [GREY] = 1, [RGB] = 3, [PALETTE] = 1, [GREY_ALPHA] = 2, [RGB_ALPHA] = 4 };
    p->samples = samples[p->colour];
    p->channels = p->colour == PALETTE ? 3 : p->samples;
    return MOTH_OK;
}

static moth_status read_palette(png *p, const chunk *c)
{
    if (p->palette_count || p->first_data || p->colour == GREY || p->colour == GREY_ALPHA) {
        return PNG_FAIL(p, "a PLTE chunk where none may be");
    }
    if (c->length == 0 || c->length % 3 != 0 || c->length > 256 * 3) {
        return PNG_FAIL(p, "a palette has 1 to 256 colours of 3 bytes, got %lu bytes", (unsigned long)c->length);
    }
    p->palette_count = c->length / 3;
    for (uint32_t i = 0; i < p->palette_count; i++) {
        memcpy(p->palette[i], c->data + 3 * (size_t)i, 3);
        p->palette[i][3] = 255;
    }
    return MOTH_OK;
}

static moth_status read_transparency(png *p, const chunk *c)
{
    bool palette = p->colour == PALETTE;
    if (p->first_data || p->has_key || p->colour == GREY_ALPHA || p->colour == RGB_ALPHA ||
        (palette && !p->palette_count)) {
        return PNG_FAIL(p, "a tRNS chunk where none may be");
    }
    uint32_t wanted = palette ? p->palette_count : 2 * (uint32_t)p->samples;
    if (palette ? c->length > wanted : c->length != wanted) {
        return PNG_FAIL(p, "tRNS has %lu bytes, not %lu", (unsigned long)c->length, (unsigned long)wanted);
    }
    if (palette) {
        for (uint32_t i = 0; i < c->length; i++) {
            p->palette[i][3] = c->data[i];
        }
        p->channels = 4;
        return MOTH_OK;
    }
    /* Only the low bits that a sample has count. */
    for (int k = 0; k < p->samples; k++) {
        p->key[k] = moth_be16(c->data + 2 * (size_t)k) & ((1U << p->depth) - 1);
    }
    p->has_key = true;
    p->channels = p->samples + 1;
    return MOTH_OK;
}

static moth_status read_other(png *p, const chunk *c)
{
    if (is_chunk(c, "PLTE")) {
        return read_palette(p, c);
    }
    if (is_chunk(c, "tRNS")) {
        return read_transparency(p, c);
    }
    if (is_chunk(c, "eXIf") && sum_is_right(c)) {
        p->orientation = moth_exif_orientation(c->data, c->length);
    } else if (is_chunk(c, "IHDR")) {
        return PNG_FAIL(p, "a second IHDR chunk");
    } else if (is_needed(c)) {
        return moth_fail(p->ctx, MOTH_ERR_UNSUPPORTED, "PNG: unknown critical chunk at byte %zu",
                         (size_t)(c->type - p->bytes) - 4);
    }
    return MOTH_OK;
}

/* Everything but the pixels. */
static moth_status walk(png *p)
{
    chunk c = { 0 };
    if (!read_chunk(p, 8, &c)) {
        return p->ctx->status;
    }
    if (!sum_is_right(&c)) {
        return PNG_FAIL(p, "the check sum of the first chunk is wrong");
    }
    MOTH_TRY(read_header(p, &c));
    for (size_t position = c.next;; position = c.next) {
        if (!read_chunk(p, position, &c)) {
            return p->ctx->status;
        }
        if (is_needed(&c) && !sum_is_right(&c)) {
            return PNG_FAIL(p, "the check sum of the chunk at byte %zu is wrong", position);
        }
        if (is_chunk(&c, "IEND")) {
            break;
        }
        if (is_chunk(&c, "IDAT")) {
            p->first_data = p->first_data ? p->first_data : position;
            p->data_bytes += c.length;
        } else {
            MOTH_TRY(read_other(p, &c));
        }
    }
    if (p->data_bytes == 0) {
        return PNG_FAIL(p, "no picture data (IDAT)");
    }
    if (p->colour == PALETTE && !p->palette_count) {
        return PNG_FAIL(p, "no palette (PLTE)");
    }
    return MOTH_OK;
}

/* ---- the compressed stream ---- */

typedef struct inflater {
    const png *p;
    z_stream stream;
    size_t position; /* next chunk that may hold data */
    bool ended;
    uint8_t extra; /* where a byte goes that should not be there */
} inflater;

/* Moves on to the next IDAT chunk; false when there is none. */
static bool more_input(inflater *z)
{
    const png *p = z->p;
    chunk c = { 0 };
    while (read_chunk(p, z->position, &c) && !is_chunk(&c, "IEND")) {
        z->position = c.next;
        if (is_chunk(&c, "IDAT") && c.length > 0) {
            z->stream.next_in = c.data;
            z->stream.avail_in = c.length;
            return true;
        }
    }
    return false;
}

/* Inflates up to `count` bytes; *got is less only where the stream ends. */
static moth_status inflate_bytes(inflater *z, uint8_t *out, size_t count, size_t *got)
{
    z->stream.next_out = out;
    z->stream.avail_out = (uInt)count;
    while (z->stream.avail_out > 0 && !z->ended) {
        if (z->stream.avail_in == 0 && !more_input(z)) {
            return PNG_FAIL(z->p, "the picture data end too early");
        }
        int code = inflate(&z->stream, Z_NO_FLUSH);
        if (code == Z_MEM_ERROR) {
            return moth_fail_memory(z->p->ctx, 1 << 15);
        }
        if (code != Z_OK && code != Z_STREAM_END) {
            return PNG_FAIL(z->p, "the compressed data are damaged");
        }
        z->ended = code == Z_STREAM_END;
    }
    *got = count - z->stream.avail_out;
    return MOTH_OK;
}

static moth_status expect_end(inflater *z)
{
    size_t got = 0;
    MOTH_TRY(inflate_bytes(z, &z->extra, 1, &got));
    return got == 0 ? MOTH_OK : PNG_FAIL(z->p, "more picture data than width and height allow");
}

/* ---- rows ---- */

static uint8_t paeth(int a, int b, int c)
{
    int pa = b - c, pb = a - c, pc = pa + pb;
    pa = pa < 0 ? -pa : pa;
    pb = pb < 0 ? -pb : pb;
    pc = pc < 0 ? -pc : pc;
    return (uint8_t)(pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
}

/* Takes the filter off a row. Both rows have `step` zero bytes in front, which stand for the pixel left of the first.
 */
static bool unfilter(int filter, uint8_t *row, const uint8_t *above, size_t count, size_t step)
{
    switch (filter) {
    case 0:
        return true;
    case 1:
        for (size_t i = 0; i < count; i++) {
            row[step + i] = (uint8_t)(row[step + i] + row[i]);
        }
        return true;
    case 2:
        for (size_t i = 0; i < count; i++) {
            row[step + i] = (uint8_t)(row[step + i] + above[step + i]);
        }
        return true;
    case 3:
        for (size_t i = 0; i < count; i++) {
            row[step + i] = (uint8_t)(row[step + i] + (row[i] + above[step + i]) / 2);
        }
        return true;
    case 4:
        for (size_t i = 0; i < count; i++) {
            row[step + i] = (uint8_t)(row[step + i] + paeth(row[i], above[step + i], above[i]));
        }
        return true;
    default:
        return false;
    }
}

static uint32_t sample_at(const uint8_t *row, int depth, int64_t i)
{
    if (depth == 8) {
        return row[i];
    }
    if (depth == 16) {
        return moth_be16(row + 2 * i);
    }
    int64_t bit = i * depth;
    return (uint32_t)row[bit / 8] >> (8 - depth - bit % 8) & ((1U << depth) - 1);
}

/* Full range of a sample to 0..255; of 16 bits the high byte. */
static uint8_t to_byte(uint32_t sample, int depth)
{
    return (uint8_t)(depth == 16 ? sample >> 8 : sample * 255 / ((1U << depth) - 1));
}

static void put_samples(const png *p, const uint8_t *row, int64_t i, uint8_t *out)
{
    bool is_key = p->has_key;
    for (int k = 0; k < p->samples; k++) {
        uint32_t sample = sample_at(row, p->depth, i * p->samples + k);
        is_key = is_key && sample == p->key[k];
        out[k] = to_byte(sample, p->depth);
    }
    if (p->has_key) {
        out[p->samples] = is_key ? 0 : 255;
    }
}

static moth_status put_colour(const png *p, const uint8_t *row, int64_t i, uint8_t *out)
{
    uint32_t index = sample_at(row, p->depth, i);
    if (index >= p->palette_count) {
        return PNG_FAIL(p, "a pixel has colour %u of a palette of %u", (unsigned)index, (unsigned)p->palette_count);
    }
    memcpy(out, p->palette[index], (size_t)p->channels);
    return MOTH_OK;
}

/* Puts `count` pixels of a row to out, out + step, … */
static moth_status put_row(const png *p, const uint8_t *row, int64_t count, uint8_t *out, int64_t step)
{
    if (p->colour == PALETTE) {
        for (int64_t i = 0; i < count; i++) {
            MOTH_TRY(put_colour(p, row, i, out + i * step));
        }
    } else if (p->has_key || p->depth < 8) {
        for (int64_t i = 0; i < count; i++) {
            put_samples(p, row, i, out + i * step);
        }
    } else {
        /* The common case: whole bytes, of 16 bits the first. */
        int width = p->depth / 8;
        for (int64_t i = 0; i < count; i++, out += step) {
            for (int k = 0; k < p->samples; k++, row += width) {
                out[k] = *row;
            }
        }
    }
    return MOTH_OK;
}

/* Adam7 sends the picture as seven smaller ones; a plain picture is one pass over every pixel. */
typedef struct pass {
    int x, y, dx, dy;
} pass;
static const pass plain_pass = { 0, 0, 1, 1 };
static const pass adam7[7] = { { 0, 0, 8, 8 }, { 4, 0, 8, 8 }, { 0, 4, 4, 8 }, { 2, 0, 4, 4 },
                               { 0, 2, 2, 4 }, { 1, 0, 2, 2 }, { 0, 1, 1, 2 } };

/* `rows` has room for two rows with their zero bytes in front. */
static moth_status read_pass(const png *p, inflater *z, const pass *from, uint8_t *rows, size_t room, uint8_t *pixels)
{
    int64_t columns = (p->width - from->x + from->dx - 1) / from->dx;
    if (columns <= 0) {
        return MOTH_OK;
    }
    size_t count = (size_t)((columns * p->samples * p->depth + 7) / 8);
    size_t step = (size_t)(p->samples * p->depth + 7) / 8;
    uint8_t *row = rows, *above = rows + room;
    memset(rows, 0, 2 * room);
    for (int64_t y = from->y; y < p->height; y += from->dy) {
        uint8_t filter = 0;
        size_t got = 0, got_filter = 0;
        MOTH_TRY(inflate_bytes(z, &filter, 1, &got_filter));
        MOTH_TRY(inflate_bytes(z, row + step, count, &got));
        if (got_filter + got != 1 + count) {
            return PNG_FAIL(p, "the picture data end in row %lld of %lld", (long long)y + 1, (long long)p->height);
        }
        if (!unfilter(filter, row, above, count, step)) {
            return PNG_FAIL(p, "row %lld has filter %d, which does not exist", (long long)y + 1, filter);
        }
        MOTH_TRY(put_row(p, row + step, columns, pixels + (y * p->width + from->x) * p->channels,
                         (int64_t)from->dx * p->channels));
        uint8_t *other = above;
        above = row;
        row = other;
    }
    return MOTH_OK;
}

static moth_status read_passes(const png *p, inflater *z, uint8_t *pixels)
{
    /* The widest pixel has 8 bytes. */
    size_t room = (size_t)(p->width * p->samples * p->depth + 7) / 8 + 8;
    uint8_t *rows = moth_malloc(2 * room);
    if (!rows) {
        return moth_fail_memory(p->ctx, (int64_t)(2 * room));
    }
    moth_status status = MOTH_OK;
    for (int i = 0; i < (p->interlaced ? 7 : 1) && status == MOTH_OK; i++) {
        status = read_pass(p, z, p->interlaced ? &adam7[i] : &plain_pass, rows, room, pixels);
    }
    moth_free(rows);
    return status == MOTH_OK ? expect_end(z) : status;
}

static moth_status read_pixels(const png *p, uint8_t *pixels)
{
    inflater z = { .p = p, .position = p->first_data, .stream = { MOTH_ZLIB_MEMORY } };
    if (inflateInit(&z.stream) != Z_OK) {
        return moth_fail_memory(p->ctx, 1 << 15);
    }
    moth_status status = read_passes(p, &z, pixels);
    inflateEnd(&z.stream);
    return status;
}

moth_status moth_png_decode(moth_ctx *ctx, const uint8_t *bytes, size_t size, moth_picture *out)
{
    png p = { .ctx = ctx, .bytes = bytes, .size = size, .orientation = 1 };
    MOTH_TRY(walk(&p));
    int64_t count = p.width * p.height * p.channels;
    uint8_t *pixels = moth_malloc((size_t)count);
    if (!pixels) {
        return moth_fail_memory(ctx, count);
    }
    moth_status status = read_pixels(&p, pixels);
    if (status != MOTH_OK) {
        moth_free(pixels);
        return status;
    }
    *out = (moth_picture){ p.width, p.height, p.channels, p.orientation, pixels };
    return MOTH_OK;
}
