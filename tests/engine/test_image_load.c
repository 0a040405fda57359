/* Picture files: what loads, and as what. Whole files were compared with Pillow when the readers were written; the
 * values here follow from the formats' definitions. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image_files.h"
#include "io/image.h"

static moth_ctx *ctx;

static moth_tensor *load(const file_bytes *f, int channels, bool orient)
{
    moth_tensor *t = NULL;
    return moth_image_decode(ctx, f->data, f->size, channels, orient, &t) == MOTH_OK ? t : NULL;
}

static int pixel(const moth_tensor *t, int64_t y, int64_t x, int64_t c)
{
    return (int)moth_tensor_element(t, (y * moth_tensor_dim(t, 1) + x) * moth_tensor_dim(t, 2) + c);
}

static void check_shape(const moth_tensor *t, const char *name, int64_t h, int64_t w, int64_t c)
{
    CHECK_THAT(t && moth_tensor_dim(t, 0) == h && moth_tensor_dim(t, 1) == w && moth_tensor_dim(t, 2) == c &&
                   moth_tensor_dtype(t) == MOTH_UINT8,
               "%s: shape is not %d x %d x %d: %s", name, (int)h, (int)w, (int)c, t ? "" : moth_error(ctx));
}

/* ---- PNG ---- */

/* A sample of a low bit depth covers 0..255; of 16 bits the high byte counts. */
static void test_png_values(void)
{
    static const struct {
        png_spec spec;
        int channels;
        int value[4];
    } cases[] = {
        { { .depth = 1, .sample = 0xff }, 1, { 255 } },
        { { .depth = 2, .sample = 0x55 }, 1, { 85 } },
        { { .depth = 4, .sample = 0x77 }, 1, { 119 } },
        { { .depth = 16, .sample = 0x9a }, 1, { 0x9a } },
        { { .colour = 6, .depth = 16, .sample = 3 }, 4, { 3, 3, 3, 3 } },
        { { .colour = 4, .sample = 200 }, 2, { 200, 200 } },
        /* Palette bytes are 1, 8, 15, …: colour 2 is 43, 50, 57. tRNS holds the same numbers. */
        { { .colour = 3, .palette = 4, .sample = 2 }, 3, { 43, 50, 57 } },
        { { .colour = 3, .palette = 4, .sample = 2, .transparency = 3 }, 4, { 43, 50, 57, 15 } },
        { { .colour = 3, .palette = 4, .sample = 2, .transparency = 2 }, 4, { 43, 50, 57, 255 } },
        /* The transparent grey is 0x0108; of 8 bits only 8 counts. */
        { { .sample = 8, .transparency = 2 }, 2, { 8, 0 } },
        { { .sample = 9, .transparency = 2 }, 2, { 9, 255 } },
        { { .colour = 2, .sample = 8, .transparency = 6 }, 4, { 8, 8, 8, 255 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int interlace = 0; interlace < 2; interlace++) {
            png_spec spec = cases[i].spec;
            spec.interlace = interlace;
            file_bytes f = png_file(&spec);
            moth_tensor *t = load(&f, 0, false);
            check_shape(t, "PNG", 4, 5, cases[i].channels);
            for (int64_t k = 0; t && k < 20 * cases[i].channels; k++) {
                CHECK((int)moth_tensor_element(t, k) == cases[i].value[k % cases[i].channels]);
            }
            moth_tensor_release(t);
            free_bytes(&f);
        }
    }
}

/* ---- JPEG ---- */

/* All coefficients are 0, so every sample is 128: grey 128, and neutral chroma makes the same grey in RGB. */
static void test_jpeg_values(void)
{
    for (int components = 1; components <= 3; components += 2) {
        for (int progressive = 0; progressive < 2; progressive++) {
            jpeg_spec spec = { .components = components, .progressive = progressive };
            file_bytes f = jpeg_file(&spec);
            moth_tensor *t = load(&f, 0, false);
            check_shape(t, "JPEG", 9, 11, components);
            for (int64_t k = 0; t && k < moth_tensor_count(t); k++) {
                CHECK(moth_tensor_element(t, k) == 128);
            }
            moth_tensor_release(t);
            free_bytes(&f);
        }
    }
}

/* ---- BMP ---- */

#define RGB565                    \
    {                             \
        0xf800, 0x07e0, 0x001f, 0 \
    }
#define RGBA32                             \
    {                                      \
        0xff0000, 0xff00, 0xff, 0xff000000 \
    }

static void test_bmp_values(void)
{
    static const struct {
        bmp_spec spec;
        int channels;
        int value[4];
    } cases[] = {
        { { .bits = 24, .sample = 77 }, 3, { 77, 77, 77 } },
        /* 0x7777 is 11101, 11011, 10111 in fields of five bits: value * 255 / 31, rounded. */
        { { .bits = 16, .sample = 0x77 }, 3, { 239, 222, 189 } },
        { { .bits = 16, .compression = 3, .mask = RGB565, .sample = 0x77 }, 3, { 115, 239, 189 } },
        { { .bits = 32, .sample = 5 }, 4, { 5, 5, 5, 5 } },
        /* Alpha that is 0 everywhere is not meant. */
        { { .bits = 32, .sample = 0 }, 4, { 0, 0, 0, 255 } },
        { { .header = 56, .bits = 32, .compression = 3, .mask = RGBA32, .sample = 0 }, 4, { 0, 0, 0, 0 } },
        /* Palette bytes are 3, 8, 13, 18, …, in the order blue, green, red. */
        { { .bits = 8, .palette = RIGHT, .sample = 1 }, 3, { 33, 28, 23 } },
        { { .header = 12, .bits = 8, .palette = RIGHT, .sample = 1 }, 3, { 28, 23, 18 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        file_bytes f = bmp_file(&cases[i].spec);
        moth_tensor *t = load(&f, 0, false);
        check_shape(t, "BMP", 4, 5, cases[i].channels);
        for (int64_t k = 0; t && k < 20 * cases[i].channels; k++) {
            CHECK((int)moth_tensor_element(t, k) == cases[i].value[k % cases[i].channels]);
        }
        moth_tensor_release(t);
        free_bytes(&f);
    }
}

/* Rows are stored from the bottom up, or from the top down where the height is negative. */
static void test_bmp_rows(void)
{
    for (int down = 0; down < 2; down++) {
        bmp_spec spec = { .width = 1, .height = down ? -3 : 3 };
        file_bytes f = bmp_file(&spec);
        for (int y = 0; y < 3; y++) {
            f.data[54 + 4 * y] = (uint8_t)(10 + y); /* blue */
        }
        moth_tensor *t = load(&f, 0, false);
        check_shape(t, "BMP", 3, 1, 3);
        for (int y = 0; t && y < 3; y++) {
            CHECK(pixel(t, y, 0, 2) == 10 + (down ? y : 2 - y));
        }
        moth_tensor_release(t);
        free_bytes(&f);
    }
}

static void test_channels(void)
{
    /* Palette colour 2 is (43, 50, 57) with alpha 15; its luma is .299 * 43 + .587 * 50 + .114 * 57 = 48.7. */
    static const int want[5][4] = { { 43, 50, 57, 15 }, { 49 }, { 49, 15 }, { 43, 50, 57 }, { 43, 50, 57, 15 } };
    file_bytes f = png_file(&(png_spec){ .colour = 3, .palette = 4, .sample = 2, .transparency = 3 });
    for (int channels = 0; channels <= 4; channels++) {
        int n = channels ? channels : 4;
        moth_tensor *t = load(&f, channels, false);
        check_shape(t, "channels", 4, 5, n);
        for (int64_t k = 0; t && k < 20 * n; k++) {
            CHECK((int)moth_tensor_element(t, k) == want[channels][k % n]);
        }
        moth_tensor_release(t);
    }
    free_bytes(&f);
    /* Grey 9 without alpha. */
    f = png_file(&(png_spec){ .sample = 9 });
    for (int channels = 1; channels <= 4; channels++) {
        moth_tensor *t = load(&f, channels, false);
        check_shape(t, "channels", 4, 5, channels);
        for (int64_t k = 0; t && k < 20 * channels; k++) {
            bool alpha = channels % 2 == 0 && k % channels == channels - 1;
            CHECK((int)moth_tensor_element(t, k) == (alpha ? 255 : 9));
        }
        moth_tensor_release(t);
    }
    moth_tensor *t = NULL;
    CHECK(moth_image_decode(ctx, f.data, f.size, 5, false, &t) == MOTH_ERR_ARGUMENT);
    CHECK(moth_image_decode(ctx, f.data, f.size, -1, false, &t) == MOTH_ERR_ARGUMENT);
    free_bytes(&f);
}

/* ---- EXIF ---- */

/* What the stored corners (top left, top right, bottom left, bottom right) show in the upright picture, from the table
 * of the EXIF standard: upright[o][c] is the stored corner that comes to place c. */
static const int upright[9][4] = { { 0 },          { 0, 1, 2, 3 }, { 1, 0, 3, 2 }, { 3, 2, 1, 0 }, { 2, 3, 0, 1 },
                                   { 0, 2, 1, 3 }, { 2, 0, 3, 1 }, { 3, 1, 2, 0 }, { 1, 3, 0, 2 } };

static void check_corners(const moth_tensor *t, int orientation, bool turned)
{
    int64_t h = turned ? 3 : 2, w = turned ? 2 : 3;
    check_shape(t, "EXIF", h, w, 1);
    for (int c = 0; t && c < 4; c++) {
        int got = pixel(t, c / 2 ? h - 1 : 0, c % 2 ? w - 1 : 0, 0);
        int want = 10 * (upright[orientation][c] + 1);
        CHECK_THAT(got == want, "orientation %d, corner %d is %d, not %d", orientation, c, got, want);
    }
}

/* A 3 x 2 grey PNG with the corners 10, 20, 30, 40, uncompressed, and an eXIf chunk. */
static void test_exif_png(void)
{
    for (int orientation = 1; orientation <= 8; orientation++) {
        for (int little = 0; little < 2; little++) {
            file_bytes exif = exif_block(little, orientation);
            png_spec spec = { .width = 3,
                              .height = 2,
                              .transparency = 0,
                              .chunk = "eXIf",
                              .chunk_data = exif.data,
                              .chunk_size = (uint32_t)exif.size };
            png_spec plain = spec;
            file_bytes f = png_file(&plain);
            moth_tensor *t = load(&f, 0, true);
            bool turned = orientation > 4;
            check_shape(t, "eXIf", turned ? 3 : 2, turned ? 2 : 3, 1);
            moth_tensor_release(t);
            free_bytes(&f);
            free_bytes(&exif);
        }
    }
}

static void test_exif_turns(void)
{
    for (int orientation = 1; orientation <= 8; orientation++) {
        file_bytes exif = exif_block(true, orientation), f = { 0 };
        static const uint8_t rows[] = { 0, 10, 15, 20, 0, 30, 35, 40 };
        /* A stored deflate block, so that the pixels stand in the file as they are. */
        file_bytes z = { 0 };
        put_bytes(&z, "\x78\x01\x01\x08\x00\xf7\xff", 7);
        put_bytes(&z, rows, sizeof rows);
        uint32_t a = 1, b = 0;
        for (size_t i = 0; i < sizeof rows; i++) {
            a += rows[i];
            b += a;
        }
        put_be(&z, b << 16 | a, 4);
        file_bytes with = png_file(&(png_spec){ .width = 3,
                                                .height = 2,
                                                .no_data = true,
                                                .no_end = true,
                                                .chunk = "eXIf",
                                                .chunk_data = exif.data,
                                                .chunk_size = (uint32_t)exif.size });
        file_bytes data = png_file(&(png_spec){ .no_header = true,
                                                .no_data = true,
                                                .chunk = "IDAT",
                                                .chunk_data = z.data,
                                                .chunk_size = (uint32_t)z.size });
        put_bytes(&f, with.data, with.size);
        put_bytes(&f, data.data + 8, data.size - 8);
        moth_tensor *t = load(&f, 0, true);
        check_corners(t, orientation, orientation > 4);
        moth_tensor_release(t);
        t = load(&f, 0, false);
        check_corners(t, 1, false);
        moth_tensor_release(t);
        free_bytes(&f);
        free_bytes(&with);
        free_bytes(&data);
        free_bytes(&z);
        free_bytes(&exif);
    }
}

/* An APP1 segment with `block` behind "Exif\0\0"; true if the picture comes out turned. */
static bool jpeg_is_turned(const file_bytes *block)
{
    file_bytes segment = { 0 };
    put_bytes(&segment, "Exif\0\0", 6);
    put_bytes(&segment, block->data, block->size);
    file_bytes f = jpeg_file(&(jpeg_spec){ .extra_marker = 0xe1, .extra = segment.data, .extra_size = segment.size });
    moth_tensor *t = load(&f, 0, true);
    CHECK_THAT(t != NULL, "EXIF: %s", moth_error(ctx));
    bool turned = t && moth_tensor_dim(t, 0) == 11;
    moth_tensor_release(t);
    free_bytes(&segment);
    free_bytes(&f);
    return turned;
}

/* A broken block means upright, never an error. */
static void test_exif_broken(void)
{
    for (int little = 0; little < 2; little++) {
        file_bytes good = exif_block(little, 6);
        CHECK(jpeg_is_turned(&good));
        /* The entry ends at byte 34: whatever is cut before that loses it. */
        for (size_t size = 0; size < 34; size++) {
            file_bytes cut = { good.data, size, 0 };
            CHECK(!jpeg_is_turned(&cut));
        }
        free_bytes(&good);
        static const struct {
            size_t at;
            uint8_t value;
        } changes[] = { { 0, 'X' }, { 1, 'X' }, { 2, 7 },  { 4, 200 }, { 7, 200 }, { 24, 9 },
                        { 25, 9 },  { 26, 7 },  { 29, 7 }, { 30, 9 },  { 31, 9 } };
        for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
            file_bytes block = exif_block(little, 6);
            block.data[changes[i].at] = changes[i].value;
            CHECK_THAT(!jpeg_is_turned(&block), "EXIF with byte %d changed", (int)changes[i].at);
            free_bytes(&block);
        }
        for (int orientation = 0; orientation < 12; orientation += 9) {
            file_bytes block = exif_block(little, orientation);
            CHECK(!jpeg_is_turned(&block));
            free_bytes(&block);
        }
    }
}

/* ---- files ---- */

static void check_path(const char *path, moth_status status, const char *wanted)
{
    moth_tensor *t = NULL;
    CHECK_THAT(moth_image_load(ctx, path, 0, false, &t) == status && strstr(moth_error(ctx), wanted), "%s: %s", path,
               moth_error(ctx));
    moth_tensor_release(t);
}

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    if (file) {
        CHECK(fwrite(data, 1, size, file) == size);
        fclose(file);
    }
}

static void test_files(void)
{
    char folder[] = "/tmp/moth-image-XXXXXX";
    if (!mkdtemp(folder)) {
        CHECK(false);
        return;
    }
    char path[64], text[128];
    snprintf(path, sizeof path, "%s/a.png", folder);
    check_path(path, MOTH_ERR_IO, "No such file");
    check_path(folder, MOTH_ERR_IO, "expected a regular file");
    check_path("/dev/zero", MOTH_ERR_IO, "expected a regular file");
    write_file(path, "", 0);
    snprintf(text, sizeof text, "%s: the file is empty", path);
    check_path(path, MOTH_ERR_FORMAT, text);
    write_file(path, "GIF89a", 6);
    check_path(path, MOTH_ERR_FORMAT, "not a PNG, JPEG or BMP");
    CHECK(truncate(path, 65 << 20) == 0);
    check_path(path, MOTH_ERR_UNSUPPORTED, "at most 67108864");
    unlink(path);
    CHECK(mkfifo(path, 0600) == 0);
    check_path(path, MOTH_ERR_IO, "expected a regular file");
    unlink(path);
    file_bytes f = png_file(&(png_spec){ .colour = 6, .sample = 4 });
    write_file(path, f.data, f.size);
    moth_tensor *t = NULL;
    CHECK(moth_image_load(ctx, path, 0, false, &t) == MOTH_OK);
    check_shape(t, "file", 4, 5, 4);
    moth_tensor_release(t);
    free_bytes(&f);
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    ctx = moth_ctx_new();
    if (!ctx) {
        return 1;
    }
    test_png_values();
    test_jpeg_values();
    test_bmp_values();
    test_bmp_rows();
    test_channels();
    test_exif_png();
    test_exif_turns();
    test_exif_broken();
    test_files();
    moth_ctx_free(ctx);
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
