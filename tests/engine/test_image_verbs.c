/* Resizing against numpy and Pillow, grayscale and invert against their definitions, PNG written and read again. */
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "io/image.h"

static moth_ctx *ctx;

#define SHAPE(...) (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), ((int64_t[]){ __VA_ARGS__ })

static moth_tensor *floats(int rank, const int64_t *shape, const float *data)
{
    moth_tensor *t = NULL;
    CHECK(moth_tensor_from_floats(ctx, rank, shape, data, &t) == MOTH_OK);
    return t;
}

static moth_tensor *bytes(int rank, const int64_t *shape, const uint8_t *data)
{
    moth_tensor *t = NULL;
    CHECK(moth_tensor_from_bytes(ctx, rank, shape, data, &t) == MOTH_OK);
    return t;
}

/* Compares and releases both. */
static void check_values(moth_tensor *in, moth_status status, moth_tensor *got, const double *want, int64_t count,
                         double tolerance)
{
    CHECK_THAT(status == MOTH_OK, "%s", moth_error(ctx));
    CHECK(got && moth_tensor_count(got) == count);
    for (int64_t i = 0; got && i < count; i++) {
        CHECK_NEAR(moth_tensor_element(got, i), want[i], tolerance);
    }
    moth_tensor_release(in);
    moth_tensor_release(got);
}

static void check_fails(moth_status got, moth_status want, const char *text)
{
    CHECK_THAT(got == want && strstr(moth_error(ctx), text), "wanted \"%s\", got %s: %s", text, moth_status_name(got),
               moth_error(ctx));
}

/* ---- resize ---- */

static const uint8_t small_bytes[12] = { 10, 200, 30, 90, 60, 20, 250, 0, 5, 5, 100, 180 };

/* By numpy: rows and columns weighted by how much of each pixel an output covers. */
static void test_area(void)
{
    static const double want[6] = { 55, 121.666667, 70.833333, 20, 80, 127.5 };
    float data[12];
    for (int i = 0; i < 12; i++) {
        data[i] = small_bytes[i];
    }
    moth_tensor *in = floats(SHAPE(3, 4), data), *out = NULL;
    moth_status status = moth_image_resize(ctx, in, 2, 3, &out);
    CHECK(out && out->meta.rank == 2 && out->meta.dtype == MOTH_FLOAT32);
    check_values(in, status, out, want, 6, 1e-4);
    static const double rounded[6] = { 55, 122, 71, 20, 80, 128 };
    in = bytes(SHAPE(3, 4, 1), small_bytes);
    out = NULL;
    status = moth_image_resize(ctx, in, 2, 3, &out);
    CHECK(out && out->meta.rank == 3 && out->meta.dtype == MOTH_UINT8);
    check_values(in, status, out, rounded, 6, 0);
    in = floats(SHAPE(3, 4), data);
    out = NULL;
    status = moth_image_resize(ctx, in, 1, 1, &out);
    check_values(in, status, out, (const double[]){ 79.1666667 }, 1, 1e-4);
}

/* Pillow's bicubic is the same cubic; it treats only the outermost pixels differently. */
static void test_cubic(void)
{
    static const float row[8] = { 0, 1, 4, 2, 7, 3, 5, 6 };
    static const double want[20] = { 0,     0,      0,      .81085, 1.9105, 3.4045, 3.971,   2.875, 1.939, 3.269,
                                     5.941, 6.9375, 5.1875, 3.1975, 3.1905, 4.2845, 5.14883, 0,     0,     0 };
    moth_tensor *in = floats(SHAPE(1, 8), row), *out = NULL;
    CHECK(moth_image_resize(ctx, in, 1, 20, &out) == MOTH_OK);
    for (int i = 4; out && i < 16; i++) {
        CHECK_NEAR(moth_tensor_element(out, i), want[i], 1e-4);
    }
    moth_tensor_release(out);
    out = NULL;
    /* The same size is the same picture. */
    CHECK(moth_image_resize(ctx, in, 1, 8, &out) == MOTH_OK);
    for (int i = 0; out && i < 8; i++) {
        CHECK_NEAR(moth_tensor_element(out, i), (double)row[i], 0);
    }
    moth_tensor_release(in);
    moth_tensor_release(out);
}

/* Bytes are cut at 0 and 255, where a cubic overshoots; channels do not mix. */
static void test_cubic_bytes(void)
{
    static const uint8_t edge[8] = { 0, 7, 0, 7, 255, 7, 255, 7 };
    moth_tensor *in = bytes(SHAPE(1, 4, 2), edge), *out = NULL;
    CHECK(moth_image_resize(ctx, in, 5, 40, &out) == MOTH_OK);
    for (int64_t i = 0; out && i < 200; i++) {
        CHECK(moth_tensor_element(out, 2 * i + 1) == 7);
        CHECK(i % 40 > 4 || moth_tensor_element(out, 2 * i) == 0);
        CHECK(i % 40 < 35 || moth_tensor_element(out, 2 * i) == 255);
    }
    moth_tensor_release(in);
    moth_tensor_release(out);
}

static void test_bad_pictures(void)
{
    moth_tensor *in = bytes(SHAPE(3, 4), small_bytes), *out = NULL;
    check_fails(moth_image_resize(ctx, in, 0, 4, &out), MOTH_ERR_ARGUMENT, "got 0 x 4");
    check_fails(moth_image_resize(ctx, in, 4, -1, &out), MOTH_ERR_ARGUMENT, "got 4 x -1");
    check_fails(moth_image_resize(ctx, in, 16385, 1, &out), MOTH_ERR_ARGUMENT, "1 to 16384");
    check_fails(moth_image_resize(ctx, in, 16384, 16384, &out), MOTH_ERR_ARGUMENT, "64 megapixels");
    moth_tensor_release(in);
    in = bytes(SHAPE(12), small_bytes);
    check_fails(moth_image_resize(ctx, in, 2, 2, &out), MOTH_ERR_SHAPE, "got (12,)");
    check_fails(moth_image_grayscale(ctx, in, &out), MOTH_ERR_SHAPE, "grayscale");
    check_fails(moth_image_invert(ctx, in, &out), MOTH_ERR_SHAPE, "invert");
    check_fails(moth_image_save(ctx, "/tmp/x.png", in), MOTH_ERR_SHAPE, "save");
    moth_tensor_release(in);
    in = bytes(SHAPE(2, 1, 6), small_bytes);
    check_fails(moth_image_resize(ctx, in, 2, 2, &out), MOTH_ERR_SHAPE, "got (2, 1, 6)");
    moth_tensor_release(in);
    in = bytes(SHAPE(0, 4), small_bytes);
    check_fails(moth_image_resize(ctx, in, 2, 2, &out), MOTH_ERR_SHAPE, "got (0, 4)");
    moth_tensor_release(in);
    CHECK(moth_tensor_from_ints(ctx, SHAPE(1, 1), (const int32_t[]){ 3 }, &in) == MOTH_OK);
    check_fails(moth_image_resize(ctx, in, 2, 2, &out), MOTH_ERR_DTYPE, "int32");
    moth_tensor_release(in);
}

/* ---- grayscale, invert ---- */

static void test_grayscale(void)
{
    /* Red, green, blue, and a colour of which a quarter is seen over white. */
    static const uint8_t rgb[9] = { 255, 0, 0, 0, 255, 0, 0, 0, 255 };
    moth_tensor *in = bytes(SHAPE(1, 3, 3), rgb), *out = NULL;
    moth_status status = moth_image_grayscale(ctx, in, &out);
    check_values(in, status, out, (const double[]){ 76, 150, 29 }, 3, 0);
    in = floats(SHAPE(1, 1, 4), (const float[]){ .2F, .4F, .6F, .25F });
    out = NULL;
    status = moth_image_grayscale(ctx, in, &out);
    CHECK(out && out->meta.rank == 3 && out->meta.shape[2] == 1);
    check_values(in, status, out, (const double[]){ .25 * (.299 * .2 + .587 * .4 + .114 * .6) + .75 }, 1, 1e-6);
    in = bytes(SHAPE(1, 2, 2), (const uint8_t[]){ 40, 255, 40, 0 });
    out = NULL;
    status = moth_image_grayscale(ctx, in, &out);
    check_values(in, status, out, (const double[]){ 40, 255 }, 2, 0);
    in = bytes(SHAPE(1, 2), (const uint8_t[]){ 40, 41 });
    out = NULL;
    status = moth_image_grayscale(ctx, in, &out);
    CHECK(out && out->meta.rank == 2);
    check_values(in, status, out, (const double[]){ 40, 41 }, 2, 0);
}

static void test_invert(void)
{
    moth_tensor *in = bytes(SHAPE(1, 1, 4), (const uint8_t[]){ 0, 255, 7, 9 }), *out = NULL;
    moth_status status = moth_image_invert(ctx, in, &out);
    check_values(in, status, out, (const double[]){ 255, 0, 248, 9 }, 4, 0);
    in = floats(SHAPE(1, 2), (const float[]){ .25F, 1 });
    out = NULL;
    status = moth_image_invert(ctx, in, &out);
    check_values(in, status, out, (const double[]){ .75, 0 }, 2, 1e-7);
}

/* ---- PNG ---- */

static moth_tensor *random_picture(int64_t h, int64_t w, int64_t c, int kind)
{
    uint8_t *data = malloc((size_t)(h * w * c));
    if (!data) {
        abort();
    }
    uint32_t state = (uint32_t)(h * 1000 + w * 10 + c);
    for (int64_t i = 0; i < h * w * c; i++) {
        state = state * 1664525U + 1013904223U;
        /* Noise, a slope, or one colour: each is best written with another filter. */
        data[i] = (uint8_t)(kind == 0 ? state >> 24 : kind == 1 ? i / c % w * 3 + i / (c * w) * 5 : 200);
    }
    moth_tensor *t = bytes(3, (int64_t[]){ h, w, c }, data);
    free(data);
    return t;
}

static void check_round_trip(const moth_tensor *t, double tolerance)
{
    moth_buffer png = { 0 };
    moth_tensor *back = NULL;
    CHECK_THAT(moth_image_encode_png(ctx, t, &png) == MOTH_OK, "%s", moth_error(ctx));
    CHECK_THAT(moth_image_decode(ctx, png.data, png.size, 0, false, &back) == MOTH_OK, "%s", moth_error(ctx));
    bool same = back && moth_tensor_count(back) == moth_tensor_count(t);
    CHECK(same);
    double worst = 0, scale = t->meta.dtype == MOTH_UINT8 ? 1 : 255;
    for (int64_t i = 0; same && i < moth_tensor_count(t); i++) {
        worst = fmax(worst, fabs(moth_tensor_element(back, i) - scale * moth_tensor_element(t, i)));
    }
    CHECK_THAT(worst <= tolerance, "differs by %g", worst);
    moth_tensor_release(back);
    moth_buffer_free(&png);
}

static void test_png(void)
{
    for (int c = 1; c <= 4; c++) {
        for (int kind = 0; kind < 3; kind++) {
            moth_tensor *t = random_picture(37, 53, c, kind);
            check_round_trip(t, 0);
            moth_tensor_release(t);
        }
    }
    moth_tensor *t = random_picture(1, 1, 1, 0);
    check_round_trip(t, 0);
    moth_tensor_release(t);
    t = random_picture(300, 400, 3, 0);
    check_round_trip(t, 0);
    moth_tensor_release(t);
    /* Floats are rounded; what resizing leaves outside 0..1 is cut. */
    t = floats(SHAPE(1, 5), (const float[]){ 0, .25F, .5F, .7F, 1 });
    check_round_trip(t, .5001);
    moth_tensor_release(t);
    t = floats(SHAPE(1, 2), (const float[]){ -.1F, 1.1F });
    check_round_trip(t, 25.6);
    moth_tensor_release(t);
}

/* A view: every other column. */
static void test_png_of_view(void)
{
    moth_tensor *t = random_picture(6, 8, 1, 1), *view = NULL;
    moth_meta meta = t->meta;
    meta.shape[1] = 4;
    meta.stride[1] = 2;
    CHECK(moth_tensor_handle(ctx, &meta, t->storage, &view) == MOTH_OK);
    check_round_trip(view, 0);
    moth_tensor_release(view);
    moth_tensor_release(t);
}

static void test_png_faults(void)
{
    moth_buffer png = { 0 };
    moth_tensor *t = floats(SHAPE(1, 2), (const float[]){ 1, 200 });
    check_fails(moth_image_encode_png(ctx, t, &png), MOTH_ERR_ARGUMENT, "0..1, got 200");
    moth_tensor_release(t);
    t = floats(SHAPE(1, 2), (const float[]){ 1, NAN });
    check_fails(moth_image_encode_png(ctx, t, &png), MOTH_ERR_ARGUMENT, "nan");
    moth_buffer_free(&png);
    moth_tensor_release(t);
    t = random_picture(9, 9, 3, 0);
    int64_t before = moth_live_blocks();
    bool done = false;
    for (int nth = 1; nth < 100 && !done; nth++) {
        moth_fail_alloc(nth, nth % 2);
        moth_status status = moth_image_encode_png(ctx, t, &png);
        moth_fail_alloc(0, false);
        done = status == MOTH_OK;
        CHECK(done || status == MOTH_ERR_MEMORY);
        moth_buffer_free(&png);
        CHECK(moth_live_blocks() == before);
    }
    CHECK(done);
    moth_tensor_release(t);
}

static void test_save(void)
{
    char folder[] = "/tmp/moth-image-XXXXXX", path[64];
    if (!mkdtemp(folder)) {
        CHECK(false);
        return;
    }
    moth_tensor *t = random_picture(5, 7, 3, 0), *back = NULL;
    snprintf(path, sizeof path, "%s/a.jpg", folder);
    check_fails(moth_image_save(ctx, path, t), MOTH_ERR_ARGUMENT, "must end in .png");
    snprintf(path, sizeof path, "%s/none/a.png", folder);
    check_fails(moth_image_save(ctx, path, t), MOTH_ERR_IO, path);
    snprintf(path, sizeof path, "%s/a.png", folder);
    CHECK_THAT(moth_image_save(ctx, path, t) == MOTH_OK, "%s", moth_error(ctx));
    CHECK(moth_image_load(ctx, path, 0, true, &back) == MOTH_OK);
    for (int64_t i = 0; back && i < 105; i++) {
        CHECK(moth_tensor_element(back, i) == moth_tensor_element(t, i));
    }
    moth_tensor_release(back);
    moth_tensor_release(t);
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    ctx = moth_ctx_new();
    if (!ctx) {
        return 1;
    }
    test_area();
    test_cubic();
    test_cubic_bytes();
    test_bad_pictures();
    test_grayscale();
    test_invert();
    test_png();
    test_png_of_view();
    test_png_faults();
    test_save();
    moth_ctx_free(ctx);
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
