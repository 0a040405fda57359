/* Writes PNG: uint8 pixels as they are, float pixels 0..1 times 255, 1 to 4 channels, 8 bits a sample. Each row gets
 * the filter whose bytes are nearest to 0 in sum (PNG standard, 12.7). What is written depends on the pixels alone. */
#include "io/image_view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/message.h"
#include "io/output.h"
#include "io/zlib_memory.h"

typedef struct writer {
    moth_ctx *ctx;
    moth_buffer *out;
    const moth_image_view *view;
    size_t length;    /* bytes of a row */
    uint8_t *current; /* this row and the one above, each with 4 zero bytes in front */
    uint8_t *above;
    uint8_t *filtered; /* the filter's number and the row, for each of the five filters */
    z_stream stream;
} writer;

enum { FILTERS = 5, FRONT = 4 };

static void put_be32(uint8_t *p, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

static void put_chunk(moth_buffer *out, const char *type, const uint8_t *data, size_t size)
{
    uint8_t head[8], tail[4];
    put_be32(head, (uint32_t)size);
    memcpy(head + 4, type, 4);
    put_be32(tail, (uint32_t)crc32(crc32(0, head + 4, 4), size ? data : head, (uInt)size));
    moth_buffer_add(out, head, sizeof head);
    moth_buffer_add(out, data, size);
    moth_buffer_add(out, tail, sizeof tail);
}

static void put_header(moth_buffer *out, const moth_pixels *pixels)
{
    static const uint8_t colour[] = { 0, 0, 4, 2, 6 };
    uint8_t header[13] = { 0 };
    put_be32(header, (uint32_t)pixels->width);
    put_be32(header + 4, (uint32_t)pixels->height);
    header[8] = 8;
    header[9] = colour[pixels->channels];
    moth_buffer_add(out, "\x89PNG\r\n\x1a\n", 8);
    put_chunk(out, "IHDR", header, sizeof header);
}

/* ---- rows ---- */

static moth_status read_row(const writer *w, int64_t y)
{
    const moth_pixels *p = &w->view->pixels;
    int64_t start = y * (int64_t)w->length;
    if (p->bytes) {
        memcpy(w->current + FRONT, p->bytes + start, w->length);
        return MOTH_OK;
    }
    for (size_t i = 0; i < w->length; i++) {
        float value = p->floats[start + (int64_t)i];
        /* A little outside is what resizing leaves; more than that is another scale. */
        if (!(value > -0.5F && value < 1.5F)) {
            return moth_fail(w->ctx, MOTH_ERR_ARGUMENT, "save: float pixels must lie in 0..1, got %g in row %lld",
                             (double)value, (long long)y + 1);
        }
        w->current[FRONT + i] = (uint8_t)lrintf(255 * (value < 0 ? 0 : value > 1 ? 1 : value));
    }
    return MOTH_OK;
}

static int paeth(int a, int b, int c)
{
    int pa = abs(b - c), pb = abs(a - c), pc = abs(a + b - 2 * c);
    return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

static uint8_t filter_byte(int filter, int x, int left, int up, int corner)
{
    const int predicted[FILTERS] = { 0, left, up, (left + up) / 2, paeth(left, up, corner) };
    return (uint8_t)(x - predicted[filter]);
}

/* Puts the filtered row behind its filter's number and returns the sum of its bytes, taken as -128..127. */
static int64_t filter_row(const writer *w, int filter, uint8_t *out)
{
    size_t step = (size_t)w->view->pixels.channels;
    int64_t sum = 0;
    out[0] = (uint8_t)filter;
    for (size_t i = 0; i < w->length; i++) {
        const uint8_t *x = w->current + FRONT + i, *up = w->above + FRONT + i;
        uint8_t byte = filter_byte(filter, x[0], x[-(ptrdiff_t)step], up[0], up[-(ptrdiff_t)step]);
        out[1 + i] = byte;
        sum += byte < 128 ? byte : 256 - byte;
    }
    return sum;
}

static const uint8_t *best_row(const writer *w)
{
    const uint8_t *best = NULL;
    int64_t least = INT64_MAX;
    for (int filter = 0; filter < FILTERS; filter++) {
        uint8_t *row = w->filtered + (size_t)filter * (w->length + 1);
        int64_t sum = filter_row(w, filter, row);
        if (sum < least) {
            least = sum;
            best = row;
        }
    }
    return best;
}

/* ---- the compressed stream ---- */

static moth_status deflate_bytes(writer *w, const uint8_t *bytes, size_t size, int flush)
{
    uint8_t packed[1 << 13];
    w->stream.next_in = bytes;
    w->stream.avail_in = (uInt)size;
    do {
        w->stream.next_out = packed;
        w->stream.avail_out = sizeof packed;
        deflate(&w->stream, flush);
        size_t got = sizeof packed - w->stream.avail_out;
        if (got > 0) {
            put_chunk(w->out, "IDAT", packed, got);
        }
    } while (w->stream.avail_out == 0);
    return w->out->failed ? moth_fail_memory(w->ctx, (int64_t)w->out->size) : MOTH_OK;
}

static moth_status write_rows(writer *w)
{
    for (int64_t y = 0; y < w->view->pixels.height; y++) {
        MOTH_TRY(moth_io_check_interrupt(w->ctx));
        MOTH_TRY(read_row(w, y));
        MOTH_TRY(deflate_bytes(w, best_row(w), w->length + 1, Z_NO_FLUSH));
        uint8_t *other = w->above;
        w->above = w->current;
        w->current = other;
    }
    return deflate_bytes(w, NULL, 0, Z_FINISH);
}

static moth_status write_data(writer *w)
{
    size_t row = w->length + FRONT, room = 2 * row + FILTERS * (w->length + 1);
    uint8_t *memory = moth_calloc(room);
    w->stream = (z_stream){ MOTH_ZLIB_MEMORY };
    if (!memory || deflateInit(&w->stream, Z_DEFAULT_COMPRESSION) != Z_OK) {
        moth_free(memory);
        return moth_fail_memory(w->ctx, (int64_t)room);
    }
    w->current = memory;
    w->above = memory + row;
    w->filtered = memory + 2 * row;
    moth_status status = write_rows(w);
    deflateEnd(&w->stream);
    moth_free(memory);
    return status;
}

moth_status moth_image_encode_png(moth_ctx *ctx, const moth_tensor *t, moth_buffer *out)
{
    moth_image_view view;
    MOTH_TRY(moth_image_view_open(ctx, "save", t, &view));
    put_header(out, &view.pixels);
    writer w = { .ctx = ctx, .out = out, .view = &view };
    w.length = (size_t)(view.pixels.width * view.pixels.channels);
    moth_status status = write_data(&w);
    moth_image_view_close(&view);
    if (status == MOTH_OK) {
        put_chunk(out, "IEND", NULL, 0);
        status = out->failed ? moth_fail_memory(ctx, (int64_t)out->size) : MOTH_OK;
    }
    return status;
}

static bool ends_in_png(const char *path)
{
    size_t length = strlen(path);
    const char *end = length > 4 ? path + length - 4 : "";
    return strcmp(end, ".png") == 0 || strcmp(end, ".PNG") == 0;
}

moth_status moth_image_save(moth_ctx *ctx, const char *path, const moth_tensor *t)
{
    if (!ends_in_png(path)) {
        return moth_io_fail(ctx, MOTH_ERR_ARGUMENT, path, "pictures are saved as PNG: the name must end in .png");
    }
    moth_buffer bytes = { 0 };
    moth_status status = moth_image_encode_png(ctx, t, &bytes);
    if (status == MOTH_OK) {
        status = moth_io_write_file(ctx, path, bytes.data, bytes.size);
    }
    moth_buffer_free(&bytes);
    return status;
}
