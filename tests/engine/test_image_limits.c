/* The verdict on picture files that break the limits, each made in memory by changing one thing of a good file; cut
 * files, changed bytes, and memory that fails. */
#include "test.h"

#include <stdlib.h>

#include "image_files.h"
#include "io/image.h"

static moth_ctx *ctx;

/* One file: it must load, or fail with `wanted` in a message of one printable line; and leave no memory. */
static void verdict(const char *check, file_bytes f, const char *wanted)
{
    int64_t before = moth_live_blocks();
    moth_tensor *t = NULL;
    moth_status status = moth_image_decode(ctx, f.data, f.size, 0, true, &t);
    const char *text = moth_error(ctx);
    if (wanted) {
        CHECK_THAT(status != MOTH_OK && strstr(text, wanted) != NULL, "%s: wanted \"%s\", got \"%s\"", check, wanted,
                   status == MOTH_OK ? "it loads" : text);
    } else {
        CHECK_THAT(status == MOTH_OK, "%s: must load, got \"%s\"", check, text);
    }
    moth_tensor_release(t);
    CHECK_THAT(moth_live_blocks() == before, "%s: leaks", check);
    free_bytes(&f);
}

/* ---- PNG ---- */

static const uint8_t zeros[64];

typedef struct png_case {
    const char *check;
    png_spec spec;
    const char *wanted; /* NULL: loads */
} png_case;

static const png_case png_cases[] = {
    { "grey 8", { .sample = 9 }, NULL },
    { "grey 1", { .depth = 1 }, NULL },
    { "grey 2", { .depth = 2 }, NULL },
    { "grey 4", { .depth = 4 }, NULL },
    { "grey 16", { .depth = 16 }, NULL },
    { "RGB 8", { .colour = 2 }, NULL },
    { "RGB 16", { .colour = 2, .depth = 16 }, NULL },
    { "grey + alpha", { .colour = 4 }, NULL },
    { "grey + alpha 16", { .colour = 4, .depth = 16 }, NULL },
    { "RGBA", { .colour = 6 }, NULL },
    { "RGBA 16", { .colour = 6, .depth = 16 }, NULL },
    { "palette 1", { .colour = 3, .depth = 1, .palette = 2 }, NULL },
    { "palette 2", { .colour = 3, .depth = 2, .palette = 4 }, NULL },
    { "palette 4", { .colour = 3, .depth = 4, .palette = 16 }, NULL },
    { "palette 8", { .colour = 3, .palette = 256 }, NULL },
    { "short palette whose colours suffice", { .colour = 3, .palette = 3, .sample = 2 }, NULL },
    { "palette with transparency", { .colour = 3, .palette = 9, .transparency = 9 }, NULL },
    { "fewer transparencies than colours", { .colour = 3, .palette = 9, .transparency = 1 }, NULL },
    { "transparent grey", { .transparency = 2 }, NULL },
    { "transparent RGB", { .colour = 2, .transparency = 6 }, NULL },
    { "suggested palette of RGB", { .colour = 2, .palette = 5 }, NULL },
    { "interlaced", { .interlace = 1 }, NULL },
    { "interlaced, 1 x 1", { .interlace = 1, .width = 1, .height = 1 }, NULL },
    { "interlaced, 2 x 9", { .interlace = 1, .width = 2, .height = 9, .depth = 1 }, NULL },
    { "data in five chunks", { .pieces = 5 }, NULL },
    { "data in chunks of one byte", { .pieces = 20 }, NULL },
    { "filter 1", { .row_filter = 1 }, NULL },
    { "filter 2", { .row_filter = 2 }, NULL },
    { "filter 3", { .row_filter = 3 }, NULL },
    { "filter 4", { .row_filter = 4 }, NULL },
    { "unknown chunk that may be skipped", { .chunk = "teXt", .chunk_data = zeros, .chunk_size = 9 }, NULL },
    { "widest", { .width = 1, .height = 1500 }, NULL },
    { "unknown chunk that may not", { .chunk = "TEXT", .chunk_data = zeros, .chunk_size = 9 }, "unknown critical" },
    { "no header", { .no_header = true }, "not an IHDR" },
    { "header of 12 bytes", { .header_length = 12 }, "not an IHDR of 13" },
    { "header of 14 bytes", { .header_length = 14 }, "not an IHDR of 13" },
    { "two headers", { .twice_header = true }, "second IHDR" },
    { "width 0", { .width = 0, .height = 4 }, "sides must be" },
    { "height 0", { .width = 4, .height = 0 }, "sides must be" },
    { "width 16385", { .width = 16385, .height = 1 }, "sides must be" },
    { "height 16385", { .width = 1, .height = 16385 }, "sides must be" },
    { "width 2^31", { .width = 0x80000000U, .height = 1 }, "sides must be" },
    { "width 2^32 - 1", { .width = 0xffffffffU, .height = 0xffffffffU }, "sides must be" },
    { "more than 64 megapixels", { .width = 16384, .height = 4097 }, "sides must be" },
    { "64 megapixels announced, data of few", { .width = 16384, .height = 4096 }, "end in row" },
    { "depth 3", { .depth = 3 }, "does not exist" },
    { "depth 32", { .depth = 32 }, "does not exist" },
    { "RGB of 4 bits", { .colour = 2, .depth = 4 }, "does not exist" },
    { "palette of 16 bits", { .colour = 3, .depth = 16, .palette = 4 }, "does not exist" },
    { "RGBA of 1 bit", { .colour = 6, .depth = 1 }, "does not exist" },
    { "colour type 1", { .colour = 1 }, "does not exist" },
    { "colour type 5", { .colour = 5 }, "does not exist" },
    { "colour type 7", { .colour = 7 }, "does not exist" },
    { "compression 1", { .compression = 1 }, "compression 1" },
    { "filter method 1", { .filter = 1 }, "filter 1" },
    { "interlace 2", { .interlace = 2 }, "interlace 2" },
    { "no palette", { .colour = 3 }, "no palette" },
    { "palette after the data", { .colour = 3, .palette = 256, .late_palette = true }, "PLTE" },
    { "palette too short for the pixels", { .colour = 3, .palette = 3, .sample = 3 }, "colour 3 of a palette of 3" },
    { "1-bit palette with one colour", { .colour = 3, .depth = 1, .palette = 1, .sample = 255 }, "palette of 1" },
    { "palette of 257 colours", { .colour = 3, .palette = 257 }, "1 to 256 colours" },
    { "palette of 10 bytes", { .colour = 3, .palette = 3, .palette_extra = 1 }, "1 to 256 colours" },
    { "palette of a grey picture", { .palette = 3 }, "PLTE" },
    { "two palettes",
      { .colour = 3, .palette = 4, .chunk = "PLTE", .chunk_data = zeros, .chunk_size = 3 },
      "PLTE chunk where none may be" },
    { "more transparencies than colours", { .colour = 3, .palette = 3, .transparency = 4 }, "tRNS has 4 bytes" },
    { "transparency before the palette",
      { .colour = 3, .palette = 3, .transparency = 2, .late_palette = true },
      "tRNS chunk where none may be" },
    { "transparency after the data", { .transparency = 2, .late_transparency = true }, "tRNS" },
    { "transparency of 1 byte", { .transparency = 1 }, "tRNS has 1 bytes, not 2" },
    { "transparency of RGB with 2 bytes", { .colour = 2, .transparency = 2 }, "tRNS has 2 bytes, not 6" },
    { "transparency beside alpha", { .colour = 6, .transparency = 8 }, "tRNS chunk where none may be" },
    { "no data", { .no_data = true }, "no picture data" },
    { "empty data", { .empty_data = true }, "no picture data" },
    { "three empty data chunks", { .empty_data = true, .pieces = 3 }, "no picture data" },
    { "no end", { .no_end = true }, "before its IEND" },
    { "one row missing", { .extra_rows = -1 }, "end in row 4 of 4" },
    { "all rows missing", { .extra_rows = -4 }, "end in row 1" },
    { "one row too many", { .extra_rows = 1 }, "more picture data" },
    { "a bomb", { .width = 8, .height = 8, .extra_rows = 2000000 }, "more picture data" },
    { "interlaced, one row missing", { .interlace = 1, .extra_rows = -1 }, "end in row" },
    { "filter 5", { .row_filter = 5 }, "filter 5" },
    { "filter 255", { .row_filter = 255 }, "filter 255" },
    { "length above 2^31", { .length_xor = 0x80000000U }, "more than the file" },
    { "length 2^24 too large", { .length_xor = 0x01000000U }, "more than the file" },
    { "length one too large", { .length_xor = 1 }, NULL },
    { "wrong sum", { .bad_sum = true }, "check sum" },
    { "damaged stream", { .bad_stream = true }, "damaged" },
    { "header chunk cut by its length",
      { .chunk = "PLTE", .chunk_data = zeros, .chunk_size = 0, .colour = 3 },
      "1 to 256" },
    { "palette of 0 colours", { .colour = 2, .chunk = "PLTE", .chunk_data = zeros, .chunk_size = 0 }, "1 to 256" },
};

static void test_png_verdicts(void)
{
    for (size_t i = 0; i < sizeof png_cases / sizeof png_cases[0]; i++) {
        const png_case *c = &png_cases[i];
        /* A wrong length moves everything behind it: what the message says depends on the sums. */
        bool shifted = c->spec.length_xor == 1;
        verdict(c->check, png_file(&c->spec), shifted ? "PNG: " : c->wanted);
    }
}

/* ---- JPEG ---- */

typedef struct jpeg_case {
    const char *check;
    jpeg_spec spec;
    const char *wanted;
} jpeg_case;

static const jpeg_case jpeg_cases[] = {
    { "grey", { .components = 1 }, NULL },
    { "colour", { .components = 3 }, NULL },
    { "four components", { .components = 4 }, NULL },
    { "4:2:2", { .components = 3, .sampling = 0x21 }, NULL },
    { "4:2:0", { .components = 3, .sampling = 0x22 }, NULL },
    { "4:1:1", { .components = 3, .sampling = 0x41 }, NULL },
    { "progressive grey", { .progressive = true }, NULL },
    { "progressive colour", { .progressive = true, .components = 3, .scans = 5 }, NULL },
    { "extended sequential", { .frame_marker = 0xc1 }, NULL },
    { "16-bit quantization table", { .quantizer_kind = 1 }, NULL },
    { "last table numbers",
      { .quantizer = 3, .quantizer_used = 3, .dc_table = 3, .dc_used = 3, .ac_table = 3, .ac_used = 3 },
      NULL },
    { "one pixel", { .width = 1, .height = 1 }, NULL },
    { "Huffman table with 100 codes", { .dc_count = 100 }, NULL },
    { "comment", { .extra_marker = 0xfe, .extra = zeros, .extra_size = 50 }, NULL },
    { "empty comment", { .extra_marker = 0xfe, .extra = zeros, .extra_size = 0 }, NULL },
    { "application data", { .extra_marker = 0xe5, .extra = zeros, .extra_size = 50 }, NULL },
    { "restart interval 0", { .extra_marker = 0xdd, .extra = zeros, .extra_size = 2 }, NULL },
    { "padding before the frame", { .garbage = true }, NULL },
    { "fill bytes before a marker", { .fill = true }, NULL },
    { "number of lines that agrees", { .marker_after = 0xdc }, NULL },
    { "31 scans of a small picture", { .progressive = true, .scans = 30 }, NULL },
    { "all code lengths at once: 257 codes", { .dc_count = 256 }, "Huffman" },
    { "257 codes between scans", { .late_table = true }, "Huffman" },
    { "400 codes", { .dc_count = 400 }, "Huffman" },
    { "DC category 16", { .dc_value = 16 }, "DC category 16" },
    { "DC category 255", { .dc_value = 255 }, "DC category 255" },
    { "Huffman table 4", { .dc_table = 4 }, "Huffman" },
    { "Huffman class 2", { .dc_class = 2 }, "Huffman" },
    { "quantization table 4", { .quantizer = 4 }, "quantization" },
    { "quantization table of kind 2", { .quantizer_kind = 2 }, "quantization" },
    { "quantization table that is not defined", { .quantizer_used = 1 }, "not defined" },
    { "quantization table number 4 in the frame", { .quantizer_used = 4 }, "quantization table 4" },
    { "DC table that is not defined", { .dc_used = 1 }, "not defined" },
    { "AC table that is not defined", { .ac_used = 2 }, "not defined" },
    { "DC table number 4 in a scan", { .dc_used = 4 }, "tables 4" },
    { "AC table number 15 in a scan", { .ac_used = 15 }, "and 15" },
    { "no tables", { .no_tables = true }, "not defined" },
    { "no frame", { .no_frame = true }, "scan before the frame" },
    { "no frame, no scan", { .no_frame = true, .no_scan = true }, "no picture data" },
    { "two frames", { .two_frames = true }, "second frame" },
    { "scan before the frame", { .scan_first = true }, "scan before the frame" },
    { "no scan", { .no_scan = true }, "no picture data" },
    { "no end", { .no_end = true }, "before its end marker" },
    { "width 0", { .width = 0, .height = 9 }, "sides must be" },
    { "height 0 (announced later)", { .width = 9, .height = 0 }, "sides must be" },
    { "width 16385", { .width = 16385, .height = 8 }, "sides must be" },
    { "height 65535", { .width = 8, .height = 65535 }, "sides must be" },
    { "more than 64 megapixels", { .width = 16384, .height = 4097 }, "sides must be" },
    { "64 megapixels announced, data of few", { .width = 16384, .height = 4096 }, "are cut" },
    { "2 components", { .components = 2 }, "2 components" },
    { "5 components", { .components = 5 }, "5 components" },
    { "12 bits", { .precision = 12, .frame_marker = 0xc1 }, "of 12 bits" },
    { "sampling 0", { .components = 3, .sampling = 0x01 }, "sampling 0 x 1" },
    { "sampling 5", { .components = 3, .sampling = 0x15 }, "sampling 1 x 5" },
    { "sampling 3 to 2", { .components = 3, .sampling = 0x31, .sampling2 = 0x21 }, "fractional" },
    { "two components with one number", { .components = 3, .same_ids = true }, "two components" },
    { "lossless", { .frame_marker = 0xc3 }, "not read" },
    { "hierarchical", { .frame_marker = 0xc5 }, "not read" },
    { "arithmetic", { .frame_marker = 0xc9 }, "not read" },
    { "arithmetic progressive", { .frame_marker = 0xca }, "not read" },
    { "scan with 0 components", { .scan_components = 0, .length_marker = 0xda, .length_change = -2 }, "scan header" },
    { "scan with more components than the frame", { .scan_components = 2 }, "scan header" },
    { "scan with fewer than written", { .components = 3, .scan_components = 1 }, "has no picture data" },
    { "scan of a component that is not there", { .scan_component = 7 }, "names component 7" },
    { "scan of one component twice", { .components = 3, .scan_component = 2 }, "names component 2" },
    { "progressive scan of DC and AC", { .progressive = true, .last = 5 }, "covers coefficients" },
    { "progressive scan to 64", { .progressive = true, .first = 1, .last = 64 }, "covers coefficients" },
    { "progressive scan backwards", { .progressive = true, .first = 9, .last = 3 }, "covers coefficients" },
    { "progressive AC of three components", { .progressive = true, .components = 3, .first = 1, .last = 5 }, "covers" },
    { "progressive AC before DC", { .progressive = true, .first = 1, .last = 5 }, "which no scan began" },
    { "progressive refinement first", { .progressive = true, .approximation = 0x10 }, "which no scan began" },
    { "approximation by 14 bits", { .progressive = true, .approximation = 0x0e }, "covers" },
    { "baseline with approximation", { .approximation = 0x01 }, "covers" },
    { "baseline from coefficient 1", { .first = 1 }, "covers" },
    { "data of the scan cut", { .width = 90, .height = 90, .cut_data = 140 }, "are cut" },
    { "no data in the scan", { .cut_data = 1000 }, "are cut" },
    { "200 nearly empty scans", { .progressive = true, .width = 1900, .height = 1900, .scans = 199 }, "500 million" },
    { "frame one byte too long", { .length_marker = 0xc0, .length_change = 1 }, "frame header" },
    { "frame one byte too short", { .length_marker = 0xc0, .length_change = -1 }, "frame header" },
    { "frame longer than the file", { .length_marker = 0xc0, .length_change = 30000 }, "does not fit" },
    { "segment of length 0",
      { .length_marker = 0xfe, .length_change = -12, .extra_marker = 0xfe, .extra = zeros, .extra_size = 10 },
      "does not fit" },
    { "segment of length 1",
      { .length_marker = 0xfe, .length_change = -11, .extra_marker = 0xfe, .extra = zeros, .extra_size = 10 },
      "does not fit" },
    { "Huffman table shorter than its codes", { .length_marker = 0xc4, .length_change = -1 }, "Huffman" },
    { "Huffman table of 3 bytes", { .extra_marker = 0xc4, .extra = zeros, .extra_size = 3 }, "Huffman" },
    { "quantization table cut", { .extra_marker = 0xdb, .extra = zeros, .extra_size = 64 }, "quantization" },
    { "restart interval of 3 bytes", { .extra_marker = 0xdd, .extra = zeros, .extra_size = 3 }, "restart" },
    { "number of lines before any scan", { .extra_marker = 0xdc, .extra = zeros, .extra_size = 2 }, "number of lines" },
    { "unknown marker", { .extra_marker = 0x55, .extra = zeros, .extra_size = 2 }, "unknown marker" },
    { "marker 0", { .extra_marker = 0, .marker_after = 0x02 }, "unknown marker" },
    { "progressive picture of 64 megapixels",
      { .progressive = true, .components = 3, .width = 8192, .height = 8192 },
      "MB of memory" },
};

static void test_jpeg_verdicts(void)
{
    for (size_t i = 0; i < sizeof jpeg_cases / sizeof jpeg_cases[0]; i++) {
        const jpeg_case *c = &jpeg_cases[i];
        verdict(c->check, jpeg_file(&c->spec), c->wanted);
    }
}

/* ---- BMP ---- */

typedef struct bmp_case {
    const char *check;
    bmp_spec spec;
    const char *wanted;
} bmp_case;

#define RGB565                    \
    {                             \
        0xf800, 0x07e0, 0x001f, 0 \
    }
#define RGBA32                             \
    {                                      \
        0xff0000, 0xff00, 0xff, 0xff000000 \
    }
static const bmp_case bmp_cases[] = {
    { "24 bits", { .bits = 24 }, NULL },
    { "top down", { .width = 5, .height = -4 }, NULL },
    { "1 bit", { .bits = 1, .palette = RIGHT }, NULL },
    { "4 bits", { .bits = 4, .palette = RIGHT }, NULL },
    { "8 bits", { .bits = 8, .palette = RIGHT }, NULL },
    { "8 bits, 3 colours counted", { .bits = 8, .palette = 3, .used = 3, .sample = 2 }, NULL },
    { "8 bits, 3 colours not counted", { .bits = 8, .palette = 3, .sample = 2 }, NULL },
    { "16 bits", { .bits = 16 }, NULL },
    { "32 bits", { .bits = 32 }, NULL },
    { "16 bits with masks", { .bits = 16, .compression = 3, .mask = RGB565 }, NULL },
    { "32 bits with masks", { .bits = 32, .compression = 3, .mask = RGBA32 }, NULL },
    { "header of 12", { .header = 12 }, NULL },
    { "header of 12, palette", { .header = 12, .bits = 4, .palette = RIGHT }, NULL },
    { "header of 52", { .header = 52, .bits = 16, .compression = 3, .mask = RGB565 }, NULL },
    { "header of 56", { .header = 56, .bits = 32, .compression = 3, .mask = RGBA32 }, NULL },
    { "header of 108", { .header = 108, .bits = 32, .compression = 3, .mask = RGBA32 }, NULL },
    { "header of 124", { .header = 124 }, NULL },
    { "gap before the pixels", { .offset_change = 3, .width = 1, .height = 1 }, "pixels need" },
    { "wrong size of the file, which nobody needs", { .size_lie = 12345 }, NULL },
    { "padding of the last row missing", { .missing = 1 }, NULL },
    { "one byte of the last row missing", { .missing = 2 }, "pixels need" },
    { "pixels missing", { .missing = 40 }, "pixels need" },
    { "all pixels missing", { .missing = 64 }, "pixels begin" },
    { "width 0", { .width = 0, .height = 4 }, "sides must be" },
    { "height 0", { .width = 4, .height = 0 }, "sides must be" },
    { "width negative", { .width = -5, .height = 4 }, "sides must be" },
    { "width -2^31", { .width = INT32_MIN, .height = 4 }, "sides must be" },
    { "height -2^31", { .width = 4, .height = INT32_MIN }, "sides must be" },
    { "height 2^31 - 1", { .width = 4, .height = INT32_MAX }, "sides must be" },
    { "both 2^31 - 1", { .width = INT32_MAX, .height = INT32_MAX }, "sides must be" },
    { "width 16385", { .width = 16385, .height = 1 }, "sides must be" },
    { "height -16385", { .width = 1, .height = -16385 }, "sides must be" },
    { "more than 64 megapixels", { .width = 16384, .height = 4097 }, "sides must be" },
    { "64 megapixels announced, data of few", { .width = 16384, .height = 4096 }, "pixels need" },
    { "header of 12, width 0", { .header = 12, .width = 0, .height = 4 }, "sides must be" },
    { "header of 12, width 65535", { .header = 12, .width = 65535, .height = 4 }, "sides must be" },
    { "header of 13", { .header = 13 }, "header of 13" },
    { "header of 64", { .header = 64 }, "header of 64" },
    { "header of 2^31", { .header = INT32_MIN + 40 }, "is not known" },
    { "2 planes", { .planes = 2 }, "2 planes" },
    { "2 bits", { .bits = 2, .palette = 4 }, "2 bits" },
    { "5 bits", { .bits = 5, .palette = 4 }, "5 bits" },
    { "23 bits", { .bits = 23 }, "23 bits" },
    { "64 bits", { .bits = 64 }, "64 bits" },
    { "header of 12 with 16 bits", { .header = 12, .bits = 16 }, "16 bits" },
    { "header of 12 with 32 bits", { .header = 12, .bits = 32 }, "32 bits" },
    { "run lengths of 8 bits", { .bits = 8, .compression = 1, .palette = RIGHT }, "compression 1" },
    { "run lengths of 4 bits", { .bits = 4, .compression = 2, .palette = RIGHT }, "compression 2" },
    { "JPEG inside", { .compression = 4 }, "compression 4" },
    { "PNG inside", { .compression = 5 }, "compression 5" },
    { "compression 2^32 - 1", { .compression = 0xffffffffU }, "compression 4294967295" },
    { "masks with 24 bits", { .bits = 24, .compression = 3, .mask = RGBA32 }, "24 bits" },
    { "masks with 8 bits", { .bits = 8, .compression = 3, .mask = RGBA32 }, "8 bits" },
    { "mask 0", { .bits = 16, .compression = 3, .mask = { 0, 0x7e0, 0x1f, 0 } }, "bit mask" },
    { "mask with a hole", { .bits = 16, .compression = 3, .mask = { 0xf100, 0x7e0, 0x1f, 0 } }, "bit mask" },
    { "mask outside 16 bits", { .bits = 16, .compression = 3, .mask = { 0xf80000, 0x7e0, 0x1f, 0 } }, "bit mask" },
    { "alpha mask with a hole",
      { .header = 56, .bits = 32, .compression = 3, .mask = { 0xff, 0xff00, 0xff0000, 0x5000000 } },
      "bit mask" },
    { "no palette", { .bits = 8 }, "palette" },
    { "palette of 300 colours counted", { .bits = 8, .used = 300, .palette = 300 }, "palette of 300" },
    { "palette of 2^31 colours counted", { .bits = 8, .used = 0x80000000U, .palette = 4 }, "palette of 2147483648" },
    { "palette shorter than counted", { .bits = 8, .used = 9, .palette = 3 }, "palette of 9" },
    { "pixel outside a short palette", { .bits = 8, .palette = 3, .sample = 3 }, "colour 3 of a palette of 3" },
    { "pixel outside a counted palette", { .bits = 4, .palette = 3, .used = 3, .sample = 0x0f }, "palette of 3" },
    { "pixels inside the header", { .offset_change = (uint32_t)-4 }, "pixels begin" },
    { "pixels at 0", { .offset_change = (uint32_t)-54 }, "pixels begin" },
    { "pixels far outside the file", { .offset_change = 1000000 }, "pixels begin" },
    { "pixels at 2^32 - 1", { .offset_change = 0xffffffffU - 54 }, "pixels begin" },
    { "pixels at 2^31", { .offset_change = 0x80000000U - 54 }, "pixels begin" },
    { "pixels one too far", { .offset_change = 2 }, "pixels need" },
    { "pixels inside the palette",
      { .bits = 8, .palette = RIGHT, .used = 256, .offset_change = (uint32_t)-4 },
      "palette" },
    { "pixels inside the masks",
      { .bits = 16, .compression = 3, .mask = RGB565, .offset_change = (uint32_t)-2 },
      "begin" },
};

static void test_bmp_verdicts(void)
{
    for (size_t i = 0; i < sizeof bmp_cases / sizeof bmp_cases[0]; i++) {
        const bmp_case *c = &bmp_cases[i];
        verdict(c->check, bmp_file(&c->spec), c->wanted);
    }
}

/* ---- every format ---- */

static file_bytes good_file(int kind)
{
    switch (kind) {
    case 0:
        return png_file(&(png_spec){ .colour = 3, .palette = 9, .transparency = 2, .sample = 4, .pieces = 2 });
    case 1:
        return png_file(&(png_spec){ .colour = 6, .depth = 16, .interlace = 1, .row_filter = 4, .sample = 77 });
    case 2:
        return jpeg_file(&(jpeg_spec){ .components = 3, .sampling = 0x22 });
    case 3:
        return jpeg_file(&(jpeg_spec){ .components = 3, .progressive = true, .scans = 2 });
    case 4:
        return bmp_file(&(bmp_spec){ .bits = 4, .palette = RIGHT });
    default:
        return bmp_file(&(bmp_spec){ .header = 56, .bits = 32, .compression = 3, .mask = RGBA32 });
    }
}
enum { GOOD_FILES = 6 };

static moth_tensor *load(const file_bytes *f)
{
    moth_tensor *t = NULL;
    return moth_image_decode(ctx, f->data, f->size, 0, true, &t) == MOTH_OK ? t : NULL;
}

/* A file cut anywhere is refused; only the padding at the end of a BMP may be missing. */
static void test_truncation(void)
{
    for (int kind = 0; kind < GOOD_FILES; kind++) {
        file_bytes f = good_file(kind);
        size_t padding = kind == 4 ? 1 : 0;
        for (size_t size = 0; size + padding < f.size; size++) {
            /* A copy of this size, so that a read past its end is seen. */
            uint8_t *cut = malloc(size ? size : 1);
            if (!cut) {
                abort();
            }
            memcpy(cut, f.data, size);
            moth_tensor *t = NULL;
            CHECK_THAT(moth_image_decode(ctx, cut, size, 0, true, &t) != MOTH_OK, "file %d cut to %zu bytes loads",
                       kind, size);
            moth_tensor_release(t);
            free(cut);
        }
        moth_tensor *t = load(&f);
        CHECK_THAT(t != NULL, "file %d: %s", kind, moth_error(ctx));
        moth_tensor_release(t);
        free_bytes(&f);
    }
}

/* Any byte changed to anything: no verdict is wrong, but none may crash, hang or leak. */
static void test_changed_bytes(void)
{
    int64_t before = moth_live_blocks();
    for (int kind = 0; kind < GOOD_FILES; kind++) {
        file_bytes f = good_file(kind);
        for (size_t i = 0; i < f.size; i++) {
            static const uint8_t values[] = { 0x00, 0xff, 0x01, 0x80, 0x10, 0x7f };
            for (size_t k = 0; k < sizeof values; k++) {
                uint8_t kept = f.data[i];
                f.data[i] ^= values[k];
                moth_tensor *t = load(&f);
                moth_tensor_release(t);
                f.data[i] = kept;
            }
        }
        free_bytes(&f);
    }
    CHECK(moth_live_blocks() == before);
}

static void test_memory_faults(void)
{
    for (int kind = 0; kind < GOOD_FILES; kind++) {
        file_bytes f = good_file(kind);
        for (int persistent = 0; persistent < 2; persistent++) {
            int64_t before = moth_live_blocks();
            bool loaded = false;
            for (int nth = 1; nth < 100 && !loaded; nth++) {
                moth_tensor *t = NULL;
                moth_fail_alloc(nth, persistent);
                moth_status status = moth_image_decode(ctx, f.data, f.size, 4, true, &t);
                moth_fail_alloc(0, false);
                loaded = status == MOTH_OK;
                CHECK_THAT(loaded || (status == MOTH_ERR_MEMORY && strstr(moth_error(ctx), "memory")),
                           "file %d, allocation %d: %s", kind, nth, moth_error(ctx));
                moth_tensor_release(t);
                CHECK_THAT(moth_live_blocks() == before, "file %d, allocation %d leaks", kind, nth);
            }
            CHECK(loaded);
        }
        free_bytes(&f);
    }
}

int main(void)
{
    ctx = moth_ctx_new();
    if (!ctx) {
        return 1;
    }
    test_png_verdicts();
    test_jpeg_verdicts();
    test_bmp_verdicts();
    test_truncation();
    test_changed_bytes();
    test_memory_faults();
    moth_ctx_free(ctx);
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
