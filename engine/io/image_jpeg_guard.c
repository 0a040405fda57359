/* Walks all markers of a JPEG file (ITU-T T.81), also those between scans, in the order in which the decoder meets
 * them, and refuses what would hurt it or what it cannot read:
 * - other than baseline, extended and progressive DCT, 8 bits, 1, 3 or 4 components, whole sampling ratios;
 * - Huffman tables with more than 256 codes (the decoder writes past its own) or DC categories above 15;
 * - scans that use undefined tables, and components that no scan begins: their pixels would never be written;
 * - scans x pixels above 500 million: a scan may be nearly empty and still costs a pass over the picture;
 * - fewer bits than the blocks of a scan need at least: a cut file;
 * - more than 512 MB of memory for decoding;
 * - no end marker. */
#include "io/image_codec.h"

#include <string.h>

enum {
    SOF0 = 0xc0,
    SOF1 = 0xc1,
    SOF2 = 0xc2,
    DHT = 0xc4,
    RST0 = 0xd0,
    RST7 = 0xd7,
    SOI = 0xd8,
    EOI = 0xd9,
    SOS = 0xda
};
enum { DQT = 0xdb, DNL = 0xdc, DRI = 0xdd, APP0 = 0xe0, APP1 = 0xe1, APP15 = 0xef, COM = 0xfe };
enum { MAX_DECODER_MB = 512 };
#define MAX_SCAN_PIXELS ((int64_t)500000000)

typedef struct component {
    int id, h, v, quantizer;
    bool begun; /* a scan gave its DC coefficients */
} component;

typedef struct jpeg {
    moth_ctx *ctx;
    const uint8_t *bytes;
    size_t size, position;
    bool framed, progressive;
    int64_t width, height;
    int components, h_max, v_max;
    component component[4];
    unsigned quantizers;         /* bit per table that is defined */
    unsigned dc_codes, ac_codes; /* the same for Huffman tables */
    int64_t scans;
    int orientation;
} jpeg;

typedef struct segment {
    const uint8_t *data;
    size_t size;
} segment;

#define JPEG_FAIL(j, ...) moth_fail((j)->ctx, MOTH_ERR_FORMAT, "JPEG: " __VA_ARGS__)

/* The body behind a marker: its length counts itself. */
static moth_status read_segment(jpeg *j, segment *out)
{
    size_t left = j->size - j->position;
    size_t length = left < 2 ? 0 : moth_be16(j->bytes + j->position);
    if (length < 2 || length > left) {
        return JPEG_FAIL(j, "the segment at byte %zu does not fit into the file", j->position);
    }
    *out = (segment){ j->bytes + j->position + 2, length - 2 };
    j->position += length;
    return MOTH_OK;
}

/* ---- tables ---- */

static moth_status read_quantizers(jpeg *j, segment s)
{
    while (s.size > 0) {
        unsigned precision = s.data[0] >> 4, table = s.data[0] & 15;
        size_t length = precision ? 129 : 65;
        if (precision > 1 || table > 3 || s.size < length) {
            return JPEG_FAIL(j, "a quantization table (DQT) does not exist or is cut");
        }
        j->quantizers |= 1U << table;
        s.data += length;
        s.size -= length;
    }
    return MOTH_OK;
}

static moth_status read_huffman_table(jpeg *j, segment *s)
{
    if (s->size < 17) {
        return JPEG_FAIL(j, "a Huffman table (DHT) is cut");
    }
    unsigned kind = s->data[0] >> 4, table = s->data[0] & 15;
    size_t codes = 0;
    unsigned space = 1; /* codes that are still free at this length */
    for (int i = 1; i <= 16; i++) {
        unsigned count = s->data[i];
        codes += count;
        space *= 2;
        if (count > space) {
            return JPEG_FAIL(j, "a Huffman table (DHT) has more codes of %d bits than there are", i);
        }
        space -= count;
    }
    if (kind > 1 || table > 3 || codes > 256 || s->size < 17 + codes) {
        return JPEG_FAIL(j, "a Huffman table (DHT) of %zu codes does not exist or is cut", codes);
    }
    for (size_t i = 0; kind == 0 && i < codes; i++) {
        if (s->data[17 + i] > 15) {
            return JPEG_FAIL(j, "a Huffman table (DHT) has the DC category %d, more than 15", s->data[17 + i]);
        }
    }
    *(kind == 0 ? &j->dc_codes : &j->ac_codes) |= 1U << table;
    s->data += 17 + codes;
    s->size -= 17 + codes;
    return MOTH_OK;
}

static moth_status read_huffman_tables(jpeg *j, segment s)
{
    while (s.size > 0) {
        MOTH_TRY(read_huffman_table(j, &s));
    }
    return MOTH_OK;
}

/* ---- the frame ---- */

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Samples, coefficients where all scans are kept, and the picture itself. */
static moth_status check_memory(const jpeg *j)
{
    int64_t units = ceil_div(j->width, 8 * j->h_max) * ceil_div(j->height, 8 * j->v_max);
    int64_t blocks = 0;
    for (int i = 0; i < j->components; i++) {
        blocks += units * j->component[i].h * j->component[i].v;
    }
    int64_t bytes = blocks * 64 * (j->progressive ? 3 : 1) + j->width * j->height * (j->components == 1 ? 1 : 3);
    if (bytes > (int64_t)MAX_DECODER_MB << 20) {
        return moth_fail(j->ctx, MOTH_ERR_UNSUPPORTED, "JPEG: reading it takes %lld MB of memory, more than %d",
                         (long long)(bytes >> 20), MAX_DECODER_MB);
    }
    return MOTH_OK;
}

static moth_status read_component(jpeg *j, const uint8_t *data, int i)
{
    component *c = &j->component[i];
    *c = (component){ .id = data[0], .h = data[1] >> 4, .v = data[1] & 15, .quantizer = data[2] };
    if (c->h < 1 || c->h > 4 || c->v < 1 || c->v > 4 || c->quantizer > 3) {
        return JPEG_FAIL(j, "component %d has sampling %d x %d and quantization table %d", i + 1, c->h, c->v,
                         c->quantizer);
    }
    for (int k = 0; k < i; k++) {
        if (j->component[k].id == c->id) {
            return JPEG_FAIL(j, "two components have the number %d", c->id);
        }
    }
    j->h_max = c->h > j->h_max ? c->h : j->h_max;
    j->v_max = c->v > j->v_max ? c->v : j->v_max;
    return MOTH_OK;
}

static moth_status read_frame(jpeg *j, int marker, segment s)
{
    if (j->framed) {
        return JPEG_FAIL(j, "a second frame header");
    }
    if (s.size < 6 || s.size != 6 + 3 * (size_t)s.data[5]) {
        return JPEG_FAIL(j, "the frame header has a wrong length");
    }
    j->framed = true;
    j->progressive = marker == SOF2;
    j->height = moth_be16(s.data + 1);
    j->width = moth_be16(s.data + 3);
    j->components = s.data[5];
    MOTH_TRY(moth_picture_check_size(j->ctx, "JPEG", j->width, j->height));
    if (s.data[0] != 8 || (j->components != 1 && j->components != 3 && j->components != 4)) {
        return moth_fail(j->ctx, MOTH_ERR_UNSUPPORTED,
                         "JPEG: %d components of %d bits are not read (1, 3 or 4 of 8 are)", j->components, s.data[0]);
    }
    for (int i = 0; i < j->components; i++) {
        MOTH_TRY(read_component(j, s.data + 6 + 3 * (size_t)i, i));
    }
    for (int i = 0; i < j->components; i++) {
        if (j->h_max % j->component[i].h != 0 || j->v_max % j->component[i].v != 0) {
            return moth_fail(j->ctx, MOTH_ERR_UNSUPPORTED, "JPEG: fractional sampling ratios are not read");
        }
    }
    return check_memory(j);
}

/* ---- scans ---- */

typedef struct scan {
    int count; /* components */
    int which[4], dc[4], ac[4];
    int first, last; /* coefficients */
    bool refines;    /* one more bit of what earlier scans gave */
} scan;

static int find_component(const jpeg *j, int id)
{
    for (int i = 0; i < j->components; i++) {
        if (j->component[i].id == id) {
            return i;
        }
    }
    return -1;
}

static moth_status parse_scan(const jpeg *j, segment s, scan *out)
{
    out->count = s.size > 0 ? s.data[0] : 0;
    if (out->count < 1 || out->count > j->components || s.size != 4 + 2 * (size_t)out->count) {
        return JPEG_FAIL(j, "a scan header has a wrong length");
    }
    unsigned seen = 0;
    for (int i = 0; i < out->count; i++) {
        const uint8_t *c = s.data + 1 + 2 * (size_t)i;
        int which = find_component(j, c[0]);
        if (which < 0 || (seen & 1U << which) || c[1] >> 4 > 3 || (c[1] & 15) > 3) {
            return JPEG_FAIL(j, "a scan names component %d with tables %d and %d", c[0], c[1] >> 4, c[1] & 15);
        }
        seen |= 1U << which;
        out->which[i] = which;
        out->dc[i] = c[1] >> 4;
        out->ac[i] = c[1] & 15;
    }
    const uint8_t *tail = s.data + 1 + 2 * (size_t)out->count;
    int high = tail[2] >> 4, low = tail[2] & 15;
    out->first = tail[0];
    out->last = j->progressive ? tail[1] : 63;
    out->refines = high != 0;
    bool fits = j->progressive ? out->last <= 63 && (out->first == 0 ? out->last == 0 : out->first <= out->last) &&
                                     (out->first == 0 || out->count == 1) && high <= 13 && low <= 13
                               : out->first == 0 && high == 0 && low == 0;
    return fits ? MOTH_OK : JPEG_FAIL(j, "a scan covers coefficients %d to %d", out->first, out->last);
}

/* What the scan stands on must be there, in the order of the file. */
static moth_status check_scan(jpeg *j, const scan *s)
{
    bool dc = s->first == 0 && !s->refines, ac = j->progressive ? s->first > 0 : true;
    for (int i = 0; i < s->count; i++) {
        component *c = &j->component[s->which[i]];
        if (!(j->quantizers & 1U << c->quantizer) || (dc && !(j->dc_codes & 1U << s->dc[i])) ||
            (ac && !(j->ac_codes & 1U << s->ac[i]))) {
            return JPEG_FAIL(j, "a scan uses a table that is not defined");
        }
        if (!dc && !c->begun) {
            return JPEG_FAIL(j, "a scan refines component %d, which no scan began", c->id);
        }
        c->begun = true;
    }
    j->scans++;
    if (j->scans * j->width * j->height > MAX_SCAN_PIXELS) {
        return moth_fail(j->ctx, MOTH_ERR_UNSUPPORTED, "JPEG: more scans of %lld x %lld pixels than 500 million pixels",
                         (long long)j->width, (long long)j->height);
    }
    return MOTH_OK;
}

/* Blocks of a scan: of one component those that it needs, of several whole interleaved units. */
static int64_t blocks_of(const jpeg *j, const scan *s)
{
    if (s->count == 1) {
        const component *c = &j->component[s->which[0]];
        return ceil_div(ceil_div(j->width * c->h, j->h_max), 8) * ceil_div(ceil_div(j->height * c->v, j->v_max), 8);
    }
    int64_t per_unit = 0;
    for (int i = 0; i < s->count; i++) {
        per_unit += j->component[s->which[i]].h * j->component[s->which[i]].v;
    }
    return per_unit * ceil_div(j->width, 8 * j->h_max) * ceil_div(j->height, 8 * j->v_max);
}

/* Entropy-coded data: up to a marker that is neither a stuffed zero nor a restart. */
static moth_status skip_scan_data(jpeg *j, const scan *s)
{
    size_t start = j->position, end = start;
    while (end + 1 < j->size && !(j->bytes[end] == 0xff && j->bytes[end + 1] != 0 && j->bytes[end + 1] != 0xff &&
                                  !(j->bytes[end + 1] >= RST0 && j->bytes[end + 1] <= RST7))) {
        end++;
    }
    /* A block has at least one bit of DC and, in a scan of everything, one that ends it; in scans of AC runs of empty
     * blocks share a code. */
    int64_t bits = s->first > 0 ? 0 : j->progressive ? 1 : 2;
    if ((int64_t)(end - start) * 8 < blocks_of(j, s) * bits) {
        return JPEG_FAIL(j, "the data of scan %lld are cut", (long long)j->scans);
    }
    j->position = end + 1 < j->size ? end : j->size;
    return MOTH_OK;
}

static moth_status read_scan(jpeg *j, segment header)
{
    scan s = { 0 };
    if (!j->framed) {
        return JPEG_FAIL(j, "a scan before the frame header");
    }
    MOTH_TRY(parse_scan(j, header, &s));
    MOTH_TRY(check_scan(j, &s));
    return skip_scan_data(j, &s);
}

/* ---- the walk ---- */

/* Before the frame the decoder skips what stands between segments; after it a marker must follow at once. */
static moth_status next_marker(jpeg *j, int *marker)
{
    while (!j->framed && j->position < j->size && j->bytes[j->position] != 0xff) {
        j->position++;
    }
    if (j->position < j->size && j->bytes[j->position] != 0xff) {
        return JPEG_FAIL(j, "no marker at byte %zu", j->position);
    }
    while (j->position < j->size && j->bytes[j->position] == 0xff) {
        j->position++;
    }
    if (j->position >= j->size) {
        return JPEG_FAIL(j, "the file ends at byte %zu, before its end marker", j->size);
    }
    *marker = j->bytes[j->position++];
    return MOTH_OK;
}

static moth_status read_other(jpeg *j, int marker, segment s)
{
    switch (marker) {
    case DHT:
        return read_huffman_tables(j, s);
    case DQT:
        return read_quantizers(j, s);
    case DRI:
        return s.size == 2 ? MOTH_OK : JPEG_FAIL(j, "a restart interval (DRI) of %zu bytes", s.size);
    case DNL:
        return j->scans > 0 && s.size == 2 && moth_be16(s.data) == (uint32_t)j->height
                   ? MOTH_OK
                   : JPEG_FAIL(j, "a number of lines (DNL) that differs from the frame");
    default:
        break;
    }
    if (marker == APP1 && s.size > 6 && memcmp(s.data, "Exif\0\0", 6) == 0) {
        j->orientation = moth_exif_orientation(s.data + 6, s.size - 6);
    } else if ((marker < APP0 || marker > APP15) && marker != COM) {
        bool frame = marker > SOF2 && marker < RST0;
        return moth_fail(j->ctx, frame ? MOTH_ERR_UNSUPPORTED : MOTH_ERR_FORMAT,
                         frame ? "JPEG: of this kind (marker 0x%02x) is not read; save it as a baseline JPEG"
                               : "JPEG: unknown marker 0x%02x",
                         (unsigned)marker);
    }
    return MOTH_OK;
}

static moth_status walk(jpeg *j)
{
    for (;;) {
        int marker = 0;
        segment s = { 0 };
        MOTH_TRY(next_marker(j, &marker));
        if (marker == EOI) {
            return MOTH_OK;
        }
        MOTH_TRY(read_segment(j, &s));
        if (marker == SOF0 || marker == SOF1 || marker == SOF2) {
            MOTH_TRY(read_frame(j, marker, s));
        } else if (marker == SOS) {
            MOTH_TRY(read_scan(j, s));
        } else {
            MOTH_TRY(read_other(j, marker, s));
        }
    }
}

moth_status moth_jpeg_guard(moth_ctx *ctx, const uint8_t *bytes, size_t size, moth_jpeg_info *out)
{
    jpeg j = { .ctx = ctx, .bytes = bytes, .size = size, .position = 2, .h_max = 1, .v_max = 1, .orientation = 1 };
    MOTH_TRY(walk(&j));
    if (j.scans == 0) {
        return JPEG_FAIL(&j, "no picture data (SOS)");
    }
    for (int i = 0; i < j.components; i++) {
        if (!j.component[i].begun) {
            return JPEG_FAIL(&j, "component %d has no picture data", j.component[i].id);
        }
    }
    *out = (moth_jpeg_info){ j.width, j.height, j.components, j.orientation };
    return MOTH_OK;
}
