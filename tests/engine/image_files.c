#include "image_files.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

void put_bytes(file_bytes *f, const void *data, size_t size)
{
    if (f->size + size > f->room) {
        f->room = 2 * (f->size + size);
        f->data = realloc(f->data, f->room);
        if (!f->data) {
            abort();
        }
    }
    if (size > 0) {
        memcpy(f->data + f->size, data, size);
    }
    f->size += size;
}

void put_zeros(file_bytes *f, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        put_bytes(f, "", 1);
    }
}

void put_be(file_bytes *f, uint32_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--) {
        uint8_t byte = (uint8_t)(value >> 8 * i);
        put_bytes(f, &byte, 1);
    }
}

void put_le(file_bytes *f, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        uint8_t byte = (uint8_t)(value >> 8 * i);
        put_bytes(f, &byte, 1);
    }
}

void free_bytes(file_bytes *f)
{
    free(f->data);
    *f = (file_bytes){ 0 };
}

/* ---- PNG ---- */

static void put_chunk(file_bytes *f, const char *type, const void *data, size_t size)
{
    put_be(f, (uint32_t)size, 4);
    size_t start = f->size;
    put_bytes(f, type, 4);
    put_bytes(f, data, size);
    put_be(f, (uint32_t)crc32(0, f->data + start, (uInt)(size + 4)), 4);
}

static void put_row(file_bytes *rows, const png_spec *s, size_t bytes)
{
    put_be(rows, (uint32_t)s->row_filter, 1);
    for (size_t i = 0; i < bytes; i++) {
        put_bytes(rows, &s->sample, 1);
    }
}

static file_bytes png_rows(const png_spec *s)
{
    static const int samples[] = { 1, 1, 3, 1, 2, 1, 4, 1 };
    static const int passes[7][4] = { { 0, 0, 8, 8 }, { 4, 0, 8, 8 }, { 0, 4, 4, 8 }, { 2, 0, 4, 4 },
                                      { 0, 2, 2, 4 }, { 1, 0, 2, 2 }, { 0, 1, 1, 2 } };
    size_t bits = (size_t)samples[s->colour & 7] * (size_t)s->depth;
    file_bytes rows = { 0 };
    for (int p = 0; p < (s->interlace ? 7 : 1); p++) {
        const int *pass = s->interlace ? passes[p] : (const int[]){ 0, 0, 1, 1 };
        for (int64_t y = pass[1]; y < (int64_t)s->height && (int64_t)s->width > pass[0]; y += pass[3]) {
            size_t columns = (s->width - (size_t)pass[0] + (size_t)pass[2] - 1) / (size_t)pass[2];
            put_row(&rows, s, (columns * bits + 7) / 8);
        }
    }
    for (int i = 0; i < s->extra_rows; i++) {
        put_row(&rows, s, (s->width * bits + 7) / 8);
    }
    for (int i = 0; i > s->extra_rows; i--) {
        rows.size -= (s->width * bits + 7) / 8 + 1;
    }
    return rows;
}

static void put_header(file_bytes *f, const png_spec *s)
{
    file_bytes h = { 0 };
    put_be(&h, s->width, 4);
    put_be(&h, s->height, 4);
    const int fields[5] = { s->depth, s->colour, s->compression, s->filter, s->interlace };
    for (int i = 0; i < 5; i++) {
        put_be(&h, (uint32_t)fields[i], 1);
    }
    put_zeros(&h, 8);
    put_chunk(f, "IHDR", h.data, s->header_length ? (size_t)s->header_length : 13);
    free_bytes(&h);
}

static void put_colours(file_bytes *f, const png_spec *s, bool late)
{
    uint8_t bytes[1024];
    for (int i = 0; i < (int)sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 7 + 1);
    }
    if (s->palette && s->late_palette == late) {
        put_chunk(f, "PLTE", bytes, (size_t)s->palette * 3 + (size_t)s->palette_extra);
    }
    if (s->transparency && s->late_transparency == late) {
        put_chunk(f, "tRNS", bytes, (size_t)s->transparency);
    }
}

static void put_data(file_bytes *f, const png_spec *s)
{
    file_bytes rows = png_rows(s);
    uLong size = compressBound((uLong)rows.size);
    uint8_t *packed = malloc(size);
    if (!packed) {
        abort();
    }
    compress(packed, &size, rows.data, (uLong)rows.size);
    if (s->bad_stream) {
        packed[2] = 7; /* a block of the type that does not exist */
    }
    size_t start = f->size, pieces = s->pieces ? (size_t)s->pieces : 1, done = 0;
    for (size_t i = 0; i < pieces; i++) {
        size_t length = s->empty_data ? 0 : i + 1 < pieces ? size / pieces : size - done;
        put_chunk(f, "IDAT", packed + done, length);
        done += length;
    }
    f->data[start] ^= (uint8_t)(s->length_xor >> 24);
    f->data[start + 3] ^= (uint8_t)s->length_xor;
    f->data[f->size - 1] ^= s->bad_sum;
    free(packed);
    free_bytes(&rows);
}

file_bytes png_file(const png_spec *spec)
{
    png_spec s = *spec;
    s.depth = s.depth ? s.depth : 8;
    if (s.width == 0 && s.height == 0) {
        s.width = 5;
        s.height = 4;
    }
    file_bytes f = { 0 };
    put_bytes(&f, "\x89PNG\r\n\x1a\n", 8);
    if (!s.no_header) {
        put_header(&f, &s);
    }
    if (s.twice_header) {
        put_header(&f, &s);
    }
    put_colours(&f, &s, false);
    if (s.chunk) {
        put_chunk(&f, s.chunk, s.chunk_data, s.chunk_size);
    }
    if (!s.no_data) {
        /* What claims to be huge gets the data of a small picture. */
        png_spec small = s;
        small.width = s.width > 2000 ? 5 : s.width;
        small.height = s.height > 2000 ? 4 : s.height;
        put_data(&f, &small);
    }
    put_colours(&f, &s, true);
    if (!s.no_end) {
        put_chunk(&f, "IEND", "", 0);
    }
    return f;
}

/* ---- JPEG ---- */

static void put_segment(file_bytes *f, const jpeg_spec *s, int marker, const file_bytes *body)
{
    int change = s->length_marker == marker ? s->length_change : 0;
    put_be(f, 0xff00U | (uint32_t)marker, 2);
    put_be(f, (uint32_t)((int)body->size + 2 + change), 2);
    put_bytes(f, body->data, body->size);
}

static void put_quantizer(file_bytes *f, const jpeg_spec *s)
{
    file_bytes body = { 0 };
    put_be(&body, (uint32_t)(s->quantizer_kind << 4 | s->quantizer), 1);
    for (int i = 0; i < 64; i++) {
        put_be(&body, 1, s->quantizer_kind == 1 ? 2 : 1);
    }
    put_segment(f, s, 0xdb, &body);
    free_bytes(&body);
}

/* One code of one bit for `value`, and `more` codes of eight bits. */
static void put_huffman(file_bytes *f, const jpeg_spec *s, int class_and_id, int value, int more)
{
    file_bytes body = { 0 };
    put_be(&body, (uint32_t)class_and_id, 1);
    for (int length = 1; length <= 16; length++) {
        int here = length == 1   ? 1
                   : length == 8 ? (more > 128 ? 128 : more)
                   : length == 9 ? (more > 128 ? more - 128 : 0)
                                 : 0;
        put_be(&body, (uint32_t)here, 1);
    }
    put_be(&body, (uint32_t)value, 1);
    put_zeros(&body, (size_t)more);
    put_segment(f, s, 0xc4, &body);
    free_bytes(&body);
}

static void put_tables(file_bytes *f, const jpeg_spec *s)
{
    put_quantizer(f, s);
    put_huffman(f, s, s->dc_class << 4 | s->dc_table, s->dc_value, s->dc_count);
    put_huffman(f, s, 0x10 | s->ac_table, 0, 0);
}

static void put_frame(file_bytes *f, const jpeg_spec *s)
{
    file_bytes body = { 0 };
    put_be(&body, (uint32_t)s->precision, 1);
    put_be(&body, (uint32_t)s->height, 2);
    put_be(&body, (uint32_t)s->width, 2);
    put_be(&body, (uint32_t)s->components, 1);
    for (int i = 0; i < s->components; i++) {
        put_be(&body, (uint32_t)(s->same_ids ? 1 : i + 1), 1);
        put_be(&body, (uint32_t)(i == 0 ? s->sampling : i == 1 ? s->sampling2 : 0x11), 1);
        put_be(&body, (uint32_t)s->quantizer_used, 1);
    }
    put_segment(f, s, s->frame_marker, &body);
    free_bytes(&body);
}

static void put_scan(file_bytes *f, const jpeg_spec *s, bool further)
{
    int count = further && s->progressive ? 1 : s->scan_components;
    file_bytes body = { 0 };
    put_be(&body, (uint32_t)count, 1);
    for (int i = 0; i < count && i < 4; i++) {
        put_be(&body, (uint32_t)(i == 0 ? s->scan_component : i + 1), 1);
        put_be(&body, (uint32_t)(s->dc_used << 4 | s->ac_used), 1);
    }
    bool refine = further && s->progressive;
    put_be(&body, (uint32_t)(refine ? 1 : s->first), 1);
    put_be(&body, (uint32_t)(refine ? 63 : s->last), 1);
    put_be(&body, (uint32_t)(refine ? 0x10 : s->approximation), 1);
    put_segment(f, s, 0xda, &body);
    free_bytes(&body);
    /* Two zero bits a block are enough, also where sampling doubles the first component. */
    int64_t blocks = ((s->width + 15) / 8) * (int64_t)((s->height + 15) / 8) * (3 + s->components);
    int64_t bytes = s->width > 2000 ? 4 : blocks / 4 + 4;
    put_zeros(f, (size_t)(bytes - s->cut_data > 0 ? bytes - s->cut_data : 0));
}

static jpeg_spec complete(const jpeg_spec *spec)
{
    jpeg_spec s = *spec;
    if (s.width == 0 && s.height == 0) {
        s.width = 11;
        s.height = 9;
    }
    s.components = s.components ? s.components : 1;
    s.precision = s.precision ? s.precision : 8;
    s.sampling = s.sampling ? s.sampling : 0x11;
    s.sampling2 = s.sampling2 ? s.sampling2 : 0x11;
    s.frame_marker = s.frame_marker ? s.frame_marker : s.progressive ? 0xc2 : 0xc0;
    s.scan_components = s.scan_components ? s.scan_components : s.components;
    s.scan_component = s.scan_component ? s.scan_component : 1;
    s.last = s.last ? s.last : s.progressive ? 0 : 63;
    return s;
}

file_bytes jpeg_file(const jpeg_spec *spec)
{
    jpeg_spec s = complete(spec);
    file_bytes f = { 0 };
    put_be(&f, 0xffd8, 2);
    if (s.extra_marker) {
        file_bytes body = { (uint8_t *)(uintptr_t)s.extra, s.extra_size, 0 };
        put_segment(&f, &s, s.extra_marker, &body);
    }
    if (!s.no_tables) {
        put_tables(&f, &s);
    }
    if (s.garbage) {
        put_zeros(&f, 3);
    }
    if (s.scan_first) {
        put_scan(&f, &s, false);
    }
    for (int i = 0; i < !s.no_frame + s.two_frames; i++) {
        put_frame(&f, &s);
    }
    if (s.fill) {
        put_be(&f, 0xffffff, 3);
    }
    for (int i = 0; i <= s.scans && !s.no_scan; i++) {
        put_scan(&f, &s, i > 0);
    }
    if (s.late_table) {
        put_huffman(&f, &s, 0x10, 0, 256);
    }
    if (s.marker_after) {
        put_be(&f, 0xff00U | (uint32_t)s.marker_after, 2);
        put_be(&f, 4, 2);
        put_be(&f, (uint32_t)s.height, 2);
    }
    if (!s.no_end) {
        put_be(&f, 0xffd9, 2);
    }
    return f;
}

/* ---- BMP ---- */

static file_bytes bmp_info(const bmp_spec *s)
{
    file_bytes h = { 0 };
    put_le(&h, (uint32_t)s->header, 4);
    if (s->header == 12) {
        put_le(&h, (uint32_t)s->width, 2);
        put_le(&h, (uint32_t)s->height, 2);
        put_le(&h, (uint32_t)s->planes, 2);
        put_le(&h, (uint32_t)s->bits, 2);
        return h;
    }
    put_le(&h, (uint32_t)s->width, 4);
    put_le(&h, (uint32_t)s->height, 4);
    put_le(&h, (uint32_t)s->planes, 2);
    put_le(&h, (uint32_t)s->bits, 2);
    put_le(&h, s->compression, 4);
    put_zeros(&h, 12);
    put_le(&h, s->used, 4);
    put_zeros(&h, 4);
    if (s->header > 40 || s->compression == 3) {
        for (int i = 0; i < (s->header == 40 || s->header == 52 ? 3 : 4); i++) {
            put_le(&h, s->mask[i], 4);
        }
    }
    if (s->header > (int)h.size) {
        put_zeros(&h, (size_t)s->header - h.size);
    }
    return h;
}

file_bytes bmp_file(const bmp_spec *spec)
{
    bmp_spec s = *spec;
    if (s.width == 0 && s.height == 0) {
        s.width = 5;
        s.height = 4;
    }
    s.header = s.header ? s.header : 40;
    s.bits = s.bits ? s.bits : 24;
    s.planes = s.planes ? s.planes : 1;
    s.palette = s.palette == RIGHT ? 1 << s.bits : s.palette;
    int64_t rows = s.height < 0 ? -s.height : s.height;
    bool small = s.width > 0 && s.width < 2000 && rows < 2000;
    int64_t pixels = small ? (s.width * s.bits + 31) / 32 * 4 * rows : 16;
    file_bytes info = bmp_info(&s), f = { 0 };
    size_t palette = (size_t)s.palette * (s.header == 12 ? 3 : 4);
    size_t offset = 14 + info.size + palette;
    put_bytes(&f, "BM", 2);
    put_le(&f, (uint32_t)((int64_t)offset + pixels + s.size_lie), 4);
    put_le(&f, 0, 4);
    put_le(&f, (uint32_t)offset + s.offset_change, 4);
    put_bytes(&f, info.data, info.size);
    for (size_t i = 0; i < palette; i++) {
        put_le(&f, (uint32_t)(i * 5 + 3), 1);
    }
    for (int64_t i = 0; i < pixels; i++) {
        put_bytes(&f, &s.sample, 1);
    }
    f.size -= (size_t)s.missing;
    free_bytes(&info);
    return f;
}

/* ---- EXIF ---- */

file_bytes exif_block(bool little, int orientation)
{
    void (*const put)(file_bytes *, uint32_t, int) = little ? put_le : put_be;
    file_bytes f = { 0 };
    put_bytes(&f, little ? "II*\0" : "MM\0*", 4);
    put(&f, 8, 4);
    put(&f, 2, 2);
    /* ImageWidth first, as cameras write it. */
    put(&f, 0x0100, 2);
    put(&f, 4, 2);
    put(&f, 1, 4);
    put(&f, 640, 4);
    put(&f, 0x0112, 2);
    put(&f, 3, 2);
    put(&f, 1, 4);
    put(&f, (uint32_t)orientation, 2);
    put(&f, 0, 2);
    put(&f, 0, 4);
    return f;
}
