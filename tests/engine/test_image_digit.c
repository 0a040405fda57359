/* Pictures of digits: what must hold of every 28 x 28 image, that paper, ink, light, size, place and file format change
 * nothing that matters, several digits and their order, pictures without a digit, bad input, failing memory. How many
 * digits are read right is measured by tests/pictures. */
#include "test.h"

#include <stdlib.h>

#include "io/image.h"
#include "io/image_digit.h"

static moth_ctx *ctx;

/* ---- drawing ---- */

enum { MAX_SIDE = 600 };
static float canvas[MAX_SIDE * MAX_SIDE]; /* how much ink covers each pixel */
static int width, height;

static void clear_canvas(int w, int h)
{
    width = w;
    height = h;
    memset(canvas, 0, sizeof canvas);
}

static double distance(double x, double y, const double *a, const double *b)
{
    double dx = b[0] - a[0], dy = b[1] - a[1];
    double along = ((x - a[0]) * dx + (y - a[1]) * dy) / fmax(dx * dx + dy * dy, 1e-9);
    along = along < 0 ? 0 : along > 1 ? 1 : along;
    return hypot(x - a[0] - along * dx, y - a[1] - along * dy);
}

/* A line through points in a box whose height is 1. */
static void draw(const double (*points)[2], int count, double left, double top, double size, double pen)
{
    for (int i = 0; i + 1 < count; i++) {
        double a[2] = { left + size * points[i][0], top + size * points[i][1] };
        double b[2] = { left + size * points[i + 1][0], top + size * points[i + 1][1] };
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                double cover = pen / 2 - distance(x + .5, y + .5, a, b) + .5;
                float *at = &canvas[y * width + x];
                *at = fmaxf(*at, (float)(cover < 0 ? 0 : cover > 1 ? 1 : cover));
            }
        }
    }
}

static const double seven[3][2] = { { 0, 0 }, { .6, 0 }, { .2, 1 } };
static const double one[2][2] = { { .3, 0 }, { .3, 1 } };
static const double four_left[3][2] = { { .2, 0 }, { 0, .6 }, { .65, .6 } };
static const double four_right[2][2] = { { .5, .1 }, { .5, 1 } };
static const double five_body[6][2] = { { .1, 0 }, { .05, .45 }, { .4, .4 }, { .6, .65 }, { .4, .95 }, { 0, 1 } };
static const double five_bar[2][2] = { { .22, -.02 }, { .65, -.04 } };

static void draw_seven(double left, double top, double size, double pen)
{
    draw(seven, 3, left, top, size, pen);
}

static void draw_four(double left, double top, double size, double pen)
{
    draw(four_left, 3, left, top, size, pen);
    draw(four_right, 2, left, top, size, pen);
}

typedef struct look {
    float paper[3], ink[3];
    float slope; /* light from left to right: 1 - slope .. 1 + slope */
    float noise;
    int channels; /* 0: (h, w) */
    bool floats;
} look;

static float random_float(void)
{
    static uint32_t state = 12345;
    state = state * 1664525U + 1013904223U;
    return (float)(state >> 8) / (float)(1 << 24) - .5F;
}

/* The canvas as a picture; with an even number of channels ink is what is opaque. */
static moth_tensor *picture(const look *l)
{
    int c = l->channels ? l->channels : 1;
    float *v = malloc((size_t)width * (size_t)height * (size_t)c * sizeof *v);
    uint8_t *b = malloc((size_t)width * (size_t)height * (size_t)c);
    if (!v || !b) {
        abort();
    }
    for (int i = 0; i < width * height; i++) {
        float light = 1 + l->slope * (2 * (float)(i % width) / (float)width - 1);
        for (int k = 0; k < c; k++) {
            float value = (1 - canvas[i]) * l->paper[k % 3] + canvas[i] * l->ink[k % 3];
            if (c % 2 == 0) {
                value = k == c - 1 ? canvas[i] : l->ink[k];
            } else {
                value = value * light + l->noise * random_float();
            }
            value = value < 0 ? 0 : value > 1 ? 1 : value;
            v[i * c + k] = value;
            b[i * c + k] = (uint8_t)lrintf(255 * value);
        }
    }
    int64_t shape[3] = { height, width, c };
    int rank = l->channels ? 3 : 2;
    moth_tensor *t = NULL;
    CHECK((l->floats ? moth_tensor_from_floats(ctx, rank, shape, v, &t)
                     : moth_tensor_from_bytes(ctx, rank, shape, b, &t)) == MOTH_OK);
    free(v);
    free(b);
    return t;
}

static const look black_on_white = { { 1, 1, 1 }, { .1F, .1F, .1F }, 0, 0, 0, false };

/* ---- what must hold of an image ---- */

static void check_normal(const char *name, const moth_tensor *t)
{
    float v[784];
    CHECK(t->meta.rank == 2 && t->meta.shape[0] == 28 && t->meta.shape[1] == 28 && t->meta.dtype == MOTH_FLOAT32);
    CHECK(moth_tensor_to_floats(ctx, t, v, 784) == MOTH_OK);
    double sum = 0, x = 0, y = 0;
    float most = 0;
    int box[4] = { 28, 28, -1, -1 };
    for (int i = 0; i < 784; i++) {
        CHECK(v[i] >= 0 && v[i] <= 1);
        most = fmaxf(most, v[i]);
        sum += (double)v[i];
        x += (double)v[i] * (i % 28);
        y += (double)v[i] * (i / 28.0 - i % 28 / 28.0);
        if (v[i] > 0) {
            box[0] = i % 28 < box[0] ? i % 28 : box[0];
            box[1] = i / 28 < box[1] ? i / 28 : box[1];
            box[2] = i % 28 > box[2] ? i % 28 : box[2];
            box[3] = i / 28 > box[3] ? i / 28 : box[3];
        }
    }
    int w = box[2] - box[0] + 1, h = box[3] - box[1] + 1;
    CHECK_THAT(most == 1, "%s: the strongest ink is %g", name, (double)most);
    CHECK_THAT((w > h ? w : h) == 20, "%s: the box is %d x %d", name, w, h);
    CHECK_THAT(fabs(x / sum - 14) <= .5 && fabs(y / sum - 14) <= .5, "%s: the middle is at %g, %g", name, x / sum,
               y / sum);
}

/* The digit of the canvas as it is seen; checked, and to be released. */
static moth_tensor *digit_of(const char *name, const look *l)
{
    moth_tensor *t = picture(l), *image = NULL;
    CHECK_THAT(moth_image_digit(ctx, t, &image) == MOTH_OK, "%s: %s", name, moth_error(ctx));
    if (image) {
        check_normal(name, image);
    }
    moth_tensor_release(t);
    return image;
}

/* Mean difference of two images; their ink is about an eighth of the area. */
static double difference(const moth_tensor *a, const moth_tensor *b)
{
    double sum = 0;
    for (int64_t i = 0; a && b && i < 784; i++) {
        sum += fabs(moth_tensor_element(a, i) - moth_tensor_element(b, i));
    }
    return a && b ? sum / 784 : 1;
}

/* ---- one digit ---- */

static void test_paper_and_ink(void)
{
    static const struct {
        const char *name;
        look look;
    } cases[] = {
        { "grey", { { 1 }, { 0 }, 0, 0, 1, false } },
        { "white on black", { { 0 }, { 1 }, 0, 0, 0, false } },
        { "floats", { { .9F }, { .2F }, 0, 0, 0, true } },
        { "faint", { { .8F }, { .66F }, 0, .02F, 0, false } },
        { "light on dark", { { .3F, .1F, .1F }, { .8F, .8F, .5F }, 0, 0, 3, false } },
        { "yellow on white", { { 1, 1, 1 }, { 1, .9F, .3F }, 0, 0, 3, false } },
        { "red on green of the same brightness", { { .2F, .5F, .2F }, { .85F, .15F, .2F }, 0, 0, 3, false } },
        { "uneven light", { { .6F, .6F, .6F }, { .12F, .1F, .2F }, .5F, .02F, 3, false } },
        { "noise", { { .8F, .8F, .8F }, { .2F, .2F, .2F }, 0, .2F, 3, false } },
        { "black on nothing", { { 0 }, { 0, 0, 0 }, 0, 0, 4, false } },
        { "white on nothing", { { 0 }, { 1, 1, 1 }, 0, 0, 4, false } },
        { "grey on nothing", { { 0 }, { .2F }, 0, 0, 2, true } },
    };
    clear_canvas(300, 260);
    draw_seven(110, 60, 120, 14);
    moth_tensor *plain = digit_of("black on white", &black_on_white);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        moth_tensor *image = digit_of(cases[i].name, &cases[i].look);
        double d = difference(plain, image);
        CHECK_THAT(d < .02, "%s: differs by %g", cases[i].name, d);
        moth_tensor_release(image);
    }
    moth_tensor_release(plain);
}

static void test_size_and_place(void)
{
    static const double cases[][5] = {
        /* width, height, left, top, size; the pen is an eighth of it */
        { 300, 260, 5, 5, 120 },    { 300, 260, 200, 130, 110 }, { 600, 600, 480, 40, 60 },
        { 600, 400, 500, 300, 40 }, { 80, 80, 20, 15, 48 },      { 40, 40, 8, 6, 26 },
        { 500, 120, 210, 20, 80 },  { 120, 500, 30, 300, 80 },   { 600, 600, 90, 60, 480 },
    };
    clear_canvas(300, 260);
    draw_four(110, 60, 120, 15);
    moth_tensor *plain = digit_of("a 4", &black_on_white);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        clear_canvas((int)cases[i][0], (int)cases[i][1]);
        draw_four(cases[i][2], cases[i][3], cases[i][4], cases[i][4] / 8);
        moth_tensor *image = digit_of("a 4", &black_on_white);
        double d = difference(plain, image);
        CHECK_THAT(d < .035, "a 4 of size %g in %d x %d differs by %g", cases[i][4], width, height, d);
        moth_tensor_release(image);
    }
    moth_tensor_release(plain);
}

/* A fine pen gives lines nearly as wide as a usual one. */
static void test_thin_line(void)
{
    clear_canvas(400, 400);
    draw_four(140, 80, 220, 220 / 9.0);
    moth_tensor *plain = digit_of("usual pen", &black_on_white);
    clear_canvas(400, 400);
    draw_four(140, 80, 220, 2);
    moth_tensor *thin = digit_of("fine pen", &black_on_white);
    double d = difference(plain, thin);
    CHECK_THAT(d < .05, "a fine pen differs by %g", d);
    moth_tensor_release(plain);
    moth_tensor_release(thin);
}

static void test_bar_of_five(void)
{
    clear_canvas(300, 300);
    draw(five_body, 6, 100, 90, 120, 12);
    draw(five_bar, 2, 100, 84, 120, 12);
    moth_tensor *t = picture(&black_on_white);
    moth_digits found;
    if (moth_image_digits(ctx, t, &found) == MOTH_OK) {
        CHECK_THAT(found.count == 1, "a 5 with a bar apart is %d digits", (int)found.count);
        /* Its box reaches from the bar down to the end of the body, and to the right end of the bar. */
        CHECK(found.digit[0].y < 80 && found.digit[0].y + found.digit[0].height > 210);
        CHECK(found.digit[0].x + found.digit[0].width > 178);
        moth_digits_free(&found);
    } else {
        CHECK_THAT(false, "%s", moth_error(ctx));
    }
    moth_tensor_release(t);
}

/* Lines of paper go, also where the digit stands on them. */
static void test_rules(void)
{
    clear_canvas(420, 320);
    draw_seven(160, 60, 160, 16);
    moth_tensor *plain = digit_of("no rules", &black_on_white);
    for (int squared = 0; squared < 2; squared++) {
        clear_canvas(420, 320);
        for (int y = 30; y < height; y += 48) {
            for (int x = 0; x < width; x++) {
                canvas[y * width + x] = canvas[(y + 1) * width + x] = .5F;
            }
        }
        for (int x = 25; x < width && squared; x += 48) {
            for (int y = 0; y < height; y++) {
                canvas[y * width + x] = canvas[y * width + x + 1] = .5F;
            }
        }
        draw_seven(160, 60, 160, 16);
        moth_tensor *image = digit_of("rules", &black_on_white);
        double d = difference(plain, image);
        CHECK_THAT(d < .03, "on %s paper it differs by %g", squared ? "squared" : "ruled", d);
        moth_tensor_release(image);
    }
    moth_tensor_release(plain);
}

/* ---- several ---- */

/* Boxes around x positions, in this order. */
static void check_order(const char *name, const double (*middle)[2], int count)
{
    moth_tensor *t = picture(&black_on_white);
    moth_digits found;
    if (moth_image_digits(ctx, t, &found) != MOTH_OK) {
        CHECK_THAT(false, "%s: %s", name, moth_error(ctx));
        moth_tensor_release(t);
        return;
    }
    CHECK_THAT(found.count == count, "%s: %d digits, not %d", name, (int)found.count, count);
    for (int64_t i = 0; i < found.count && i < count; i++) {
        const moth_digit *d = &found.digit[i];
        CHECK_THAT((double)d->x < middle[i][0] && middle[i][0] < (double)(d->x + d->width) &&
                       (double)d->y < middle[i][1] && middle[i][1] < (double)(d->y + d->height),
                   "%s: digit %d is at %d, %d", name, (int)i, (int)d->x, (int)d->y);
        check_normal(name, d->image);
    }
    CHECK(found.seen->meta.shape[2] == 3 && found.ink->meta.shape[0] == found.seen->meta.shape[0]);
    CHECK(found.main >= 0 && found.main < found.count);
    moth_digits_free(&found);
    moth_tensor_release(t);
}

static void test_several(void)
{
    clear_canvas(560, 200);
    draw_seven(30, 50, 100, 11);
    draw_four(160, 40, 105, 11);
    draw(one, 2, 290, 55, 95, 11);
    draw_seven(420, 45, 100, 11);
    check_order("a row", (const double[][2]){ { 70, 100 }, { 200, 90 }, { 318, 100 }, { 460, 90 } }, 4);
    clear_canvas(400, 360);
    draw_seven(200, 30, 110, 11);
    draw_four(60, 45, 105, 11);
    draw_four(220, 215, 110, 11);
    draw_seven(60, 200, 110, 11);
    check_order("two lines", (const double[][2]){ { 90, 90 }, { 240, 80 }, { 100, 250 }, { 250, 270 } }, 4);
}

/* Two 4s, the bar of the first prolonged to the second. */
static void test_touching(void)
{
    static const double bridge[2][2] = { { 0, 0 }, { 1, 0 } };
    clear_canvas(400, 240);
    draw_four(80, 60, 120, 12);
    draw_four(158, 60, 120, 12);
    draw(bridge, 2, 145, 132, 20, 8);
    check_order("touching", (const double[][2]){ { 110, 120 }, { 200, 120 } }, 2);
}

/* ---- nothing, and bad input ---- */

static void check_none(const char *name, const look *l)
{
    moth_tensor *t = picture(l), *image = NULL;
    moth_status status = moth_image_digit(ctx, t, &image);
    CHECK_THAT(status == MOTH_ERR_ARGUMENT && strstr(moth_error(ctx), "no digit found"), "%s: %s", name,
               status == MOTH_OK ? "a digit" : moth_error(ctx));
    moth_digits steps = { .count = 1 };
    status = moth_image_ink(ctx, t, &steps);
    CHECK_THAT(status == MOTH_OK && steps.count == 0 && steps.seen && steps.ink, "%s: %s", name, moth_error(ctx));
    moth_digits_free(&steps);
    moth_tensor_release(t);
    moth_tensor_release(image);
}

static void test_no_digit(void)
{
    clear_canvas(300, 200);
    check_none("white", &black_on_white);
    check_none("black", &(look){ { 0 }, { 1 }, 0, 0, 0, false });
    check_none("noise", &(look){ { .8F, .8F, .8F }, { 0 }, 0, .1F, 3, false });
    check_none("uneven light", &(look){ { .7F, .7F, .6F }, { 0 }, .4F, .02F, 3, false });
    check_none("nothing opaque", &(look){ { 0 }, { 0 }, 0, 0, 4, false });
    clear_canvas(1, 1);
    check_none("one pixel", &black_on_white);
    clear_canvas(200, 1);
    check_none("one row", &black_on_white);
    clear_canvas(400, 300);
    for (int y = 30; y < height; y += 48) {
        for (int x = 0; x < width; x++) {
            canvas[y * width + x] = .5F;
        }
    }
    check_none("ruled paper", &black_on_white);
    clear_canvas(500, 400);
    canvas[90 * width + 90] = canvas[91 * width + 90] = 1;
    check_none("a speck", &black_on_white);
}

static void test_bad_input(void)
{
    moth_tensor *t = NULL, *image = NULL;
    float v[4] = { 0, NAN, 0, 1 };
    CHECK(moth_tensor_from_floats(ctx, 2, (int64_t[]){ 2, 2 }, v, &t) == MOTH_OK);
    CHECK(moth_image_digit(ctx, t, &image) == MOTH_ERR_ARGUMENT && strstr(moth_error(ctx), "nan"));
    moth_tensor_release(t);
    CHECK(moth_tensor_from_ints(ctx, 2, (int64_t[]){ 2, 2 }, (int32_t[]){ 1, 2, 3, 4 }, &t) == MOTH_OK);
    CHECK(moth_image_digit(ctx, t, &image) == MOTH_ERR_DTYPE);
    moth_tensor_release(t);
    CHECK(moth_tensor_from_floats(ctx, 1, (int64_t[]){ 4 }, v, &t) == MOTH_OK);
    CHECK(moth_image_digit(ctx, t, &image) == MOTH_ERR_SHAPE && strstr(moth_error(ctx), "got (4,)"));
    moth_tensor_release(t);
    CHECK(moth_tensor_from_floats(ctx, 3, (int64_t[]){ 2, 1, 0 }, v, &t) == MOTH_OK);
    CHECK(moth_image_digit(ctx, t, &image) == MOTH_ERR_SHAPE);
    moth_tensor_release(t);
}

/* ---- same bits, failing memory ---- */

static void test_same_bits(void)
{
    clear_canvas(300, 260);
    draw_four(110, 60, 120, 13);
    look l = { { .8F, .8F, .7F }, { .2F, .2F, .5F }, .3F, 0, 3, false };
    moth_tensor *a = digit_of("once", &l), *b = digit_of("again", &l);
    CHECK(difference(a, b) == 0);
    moth_tensor_release(a);
    moth_tensor_release(b);
}

static void test_memory_faults(void)
{
    clear_canvas(90, 40);
    draw_seven(15, 8, 24, 3);
    draw_four(50, 8, 24, 3);
    moth_tensor *t = picture(&(look){ { 0 }, { .2F, .2F, .5F }, 0, 0, 4, false });
    int64_t before = moth_live_blocks();
    for (int persistent = 0; persistent < 2; persistent++) {
        bool done = false;
        for (int nth = 1; nth < 2000 && !done; nth += persistent ? 11 : 1) {
            moth_digits found;
            moth_fail_alloc(nth, persistent);
            moth_status status = moth_image_digits(ctx, t, &found);
            moth_fail_alloc(0, false);
            done = status == MOTH_OK;
            CHECK_THAT(done || status == MOTH_ERR_MEMORY, "allocation %d: %s", nth, moth_error(ctx));
            if (done) {
                CHECK(found.count == 2);
                moth_digits_free(&found);
            }
            CHECK_THAT(moth_live_blocks() == before, "allocation %d leaks", nth);
        }
        CHECK(done);
    }
    moth_tensor_release(t);
}

int main(void)
{
    ctx = moth_ctx_new();
    if (!ctx) {
        return 1;
    }
    test_paper_and_ink();
    test_size_and_place();
    test_thin_line();
    test_bar_of_five();
    test_rules();
    test_several();
    test_touching();
    test_no_digit();
    test_bad_input();
    test_same_bits();
    test_memory_faults();
    moth_ctx_free(ctx);
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
