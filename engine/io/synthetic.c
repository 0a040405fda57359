#include "io/synthetic.h"

#include <math.h>
#include <string.h>

#include "core/random.h"
#include "core/threads.h"

enum { SIDE = 28, MAX_POINTS = 16, PIECES = 6 /* straight pieces of one curve between two points */ };

/* Points on a pen's way, in parts of the height of the letter: x to the right from 0 to 0.7, y down from 0 to 1. A
 * negative x lifts the pen. Curves go through the points (Catmull and Rom 1974); two equal points make a corner. */
typedef struct glyph {
    int n;
    double p[MAX_POINTS][2];
} glyph;

static const glyph glyphs[][2] = {
    { { 9,
        { { .38, .02 },
          { .12, .2 },
          { .06, .55 },
          { .18, .9 },
          { .4, .98 },
          { .62, .78 },
          { .66, .4 },
          { .55, .12 },
          { .36, .02 } } },
      { 7, { { .45, .03 }, { .1, .3 }, { .1, .75 }, { .38, .98 }, { .62, .65 }, { .6, .2 }, { .4, .03 } } } },
    { { 2, { { .4, .0 }, { .32, 1. } } }, { 4, { { .16, .24 }, { .4, .02 }, { .4, .02 }, { .36, 1. } } } },
    { { 9,
        { { .08, .24 },
          { .22, .04 },
          { .5, .06 },
          { .58, .3 },
          { .36, .62 },
          { .06, .97 },
          { .06, .97 },
          { .36, .92 },
          { .68, .97 } } },
      { 8,
        { { .1, .2 },
          { .36, .02 },
          { .58, .22 },
          { .44, .55 },
          { .14, .86 },
          { .12, .98 },
          { .3, .86 },
          { .66, .94 } } } },
    { { 10,
        { { .1, .14 },
          { .34, .02 },
          { .56, .16 },
          { .48, .4 },
          { .26, .47 },
          { .26, .47 },
          { .56, .58 },
          { .58, .84 },
          { .32, .98 },
          { .06, .86 } } },
      { 8,
        { { .1, .04 },
          { .58, .04 },
          { .58, .04 },
          { .3, .4 },
          { .3, .4 },
          { .6, .64 },
          { .42, .96 },
          { .06, .88 } } } },
    { { 7, { { .42, .02 }, { .06, .66 }, { .06, .66 }, { .68, .64 }, { -1, 0 }, { .5, .36 }, { .46, 1. } } },
      { 7, { { .12, .04 }, { .1, .46 }, { .2, .56 }, { .58, .5 }, { -1, 0 }, { .56, .02 }, { .5, 1. } } } },
    { { 9,
        { { .58, .04 },
          { .18, .06 },
          { .18, .06 },
          { .12, .46 },
          { .12, .46 },
          { .42, .4 },
          { .62, .66 },
          { .42, .96 },
          { .06, .9 } } },
      { 10,
        { { .16, .06 },
          { .12, .44 },
          { .4, .4 },
          { .62, .64 },
          { .46, .94 },
          { .08, .92 },
          { -1, 0 },
          { .14, .06 },
          { .38, .05 },
          { .62, .03 } } } },
    { { 8,
        { { .52, .02 },
          { .2, .3 },
          { .08, .68 },
          { .26, .97 },
          { .54, .86 },
          { .54, .6 },
          { .32, .52 },
          { .12, .7 } } },
      { 7, { { .36, .0 }, { .1, .5 }, { .16, .92 }, { .5, .94 }, { .58, .66 }, { .34, .54 }, { .12, .74 } } } },
    { { 4, { { .06, .06 }, { .62, .06 }, { .62, .06 }, { .26, 1. } } },
      { 8,
        { { .08, .1 }, { .3, .06 }, { .62, .04 }, { .62, .04 }, { .3, .98 }, { -1, 0 }, { .2, .5 }, { .56, .48 } } } },
    { { 11,
        { { .52, .14 },
          { .3, .02 },
          { .12, .18 },
          { .26, .4 },
          { .5, .6 },
          { .54, .86 },
          { .32, .98 },
          { .12, .84 },
          { .24, .58 },
          { .5, .36 },
          { .52, .14 } } },
      { 11,
        { { .34, .02 },
          { .14, .2 },
          { .34, .44 },
          { .56, .7 },
          { .34, .98 },
          { .1, .76 },
          { .3, .48 },
          { .5, .3 },
          { .52, .12 },
          { .42, .03 },
          { .34, .02 } } } },
    { { 9,
        { { .56, .2 },
          { .34, .04 },
          { .12, .2 },
          { .16, .46 },
          { .4, .48 },
          { .56, .2 },
          { .56, .2 },
          { .56, .5 },
          { .5, 1. } } },
      { 8,
        { { .54, .14 },
          { .24, .06 },
          { .12, .34 },
          { .34, .5 },
          { .54, .24 },
          { .58, .3 },
          { .52, .76 },
          { .18, .98 } } } },
};

/* Numbers of one sample, in order. */
typedef struct dice {
    uint64_t seed, stream, sample;
    uint32_t next, words[4];
} dice;

/* uniform in -1 .. 1 */
static double roll(dice *d)
{
    if (d->next % 4 == 0) {
        moth_random_block(d->seed, d->stream, d->next / 4, d->sample, d->words);
    }
    return 2 * (double)moth_uniform(d->words[d->next++ % 4]) - 1;
}

/* A hand: how its letters lean, how wide they are, how thick its pen is. */
typedef struct hand {
    double a[2][2], thickness;
} hand;

static hand draw_hand(dice *d)
{
    double angle = 0.16 * roll(d), shear = 0.22 * roll(d), height = 19 + 1.5 * roll(d),
           width = height * (1 + 0.22 * roll(d));
    hand h = { .thickness = 1.15 + 0.45 * roll(d) };
    h.a[0][0] = cos(angle) * width;
    h.a[0][1] = (-sin(angle) - shear * cos(angle)) * height;
    h.a[1][0] = sin(angle) * width;
    h.a[1][1] = (cos(angle) - shear * sin(angle)) * height;
    return h;
}

static void place(const hand *h, double x, double y, double out[2])
{
    x -= 0.35;
    y -= 0.5;
    out[0] = h->a[0][0] * x + h->a[0][1] * y + SIDE / 2.0 - 0.5;
    out[1] = h->a[1][0] * x + h->a[1][1] * y + SIDE / 2.0 - 0.5;
}

/* Darkens every pixel near the piece from a to b. */
static void stroke(float *canvas, const double a[2], const double b[2], double thickness)
{
    double dx = b[0] - a[0], dy = b[1] - a[1], length2 = dx * dx + dy * dy;
    for (int r = 0; r < SIDE; r++) {
        for (int c = 0; c < SIDE; c++) {
            double t = length2 > 0 ? ((c - a[0]) * dx + (r - a[1]) * dy) / length2 : 0;
            t = t < 0 ? 0 : t > 1 ? 1 : t;
            double distance = hypot(c - a[0] - t * dx, r - a[1] - t * dy);
            double ink = 0.5 + thickness - distance;
            ink = ink < 0 ? 0 : ink > 1 ? 1 : ink;
            float *pixel = &canvas[r * SIDE + c];
            *pixel = (float)ink > *pixel ? (float)ink : *pixel;
        }
    }
}

static double spline(double a, double b, double c, double d, double t)
{
    return 0.5 * (2 * b + t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * b - 3 * c + d - a))));
}

/* One run of the pen through n points. */
static void draw_run(float *canvas, double (*p)[2], int n, double thickness)
{
    for (int i = 0; i + 1 < n; i++) {
        int before = i > 0 ? i - 1 : i, after = i + 2 < n ? i + 2 : i + 1;
        double from[2] = { p[i][0], p[i][1] };
        for (int k = 1; k <= PIECES; k++) {
            double t = (double)k / PIECES, to[2];
            for (int axis = 0; axis < 2; axis++) {
                to[axis] = spline(p[before][axis], p[i][axis], p[i + 1][axis], p[after][axis], t);
            }
            stroke(canvas, from, to, thickness);
            memcpy(from, to, sizeof from);
        }
    }
}

static void draw_glyph(float *canvas, const glyph *g, dice *d)
{
    hand h = draw_hand(d);
    double run[MAX_POINTS][2];
    int n = 0;
    for (int i = 0; i < g->n; i++) {
        bool same = i > 0 && g->p[i][0] == g->p[i - 1][0] && g->p[i][1] == g->p[i - 1][1];
        if (g->p[i][0] < 0) {
            draw_run(canvas, run, n, h.thickness);
            n = 0;
        } else if (same && n > 0) {
            memcpy(run[n], run[n - 1], sizeof run[n]); /* a corner stays a corner */
            n++;
        } else {
            place(&h, g->p[i][0] + 0.035 * roll(d), g->p[i][1] + 0.035 * roll(d), run[n++]);
        }
    }
    draw_run(canvas, run, n, h.thickness);
}

/* Moves the picture by whole pixels so that its centre of mass lies in the middle. */
static void put_centred(const float *canvas, uint8_t *image)
{
    double mass = 0, x = 0, y = 0;
    for (int i = 0; i < SIDE * SIDE; i++) {
        const int row = i / SIDE, column = i % SIDE;
        mass += (double)canvas[i];
        x += (double)canvas[i] * column;
        y += (double)canvas[i] * row;
    }
    int dx = (int)lround(SIDE / 2.0 - x / mass), dy = (int)lround(SIDE / 2.0 - y / mass);
    for (int i = 0; i < SIDE * SIDE; i++) {
        int r = i / SIDE - dy, c = i % SIDE - dx;
        bool inside = r >= 0 && r < SIDE && c >= 0 && c < SIDE;
        image[i] = inside ? (uint8_t)lroundf(255 * canvas[r * SIDE + c]) : 0;
    }
}

typedef struct job {
    uint64_t seed;
    uint8_t *images;
    int32_t *labels;
} job;

static void draw_sample(void *arg, int64_t sample, int worker)
{
    const job *j = arg;
    (void)worker;
    float canvas[SIDE * SIDE] = { 0 };
    dice d = { .seed = j->seed, .stream = moth_stream(0, "digits", 0), .sample = (uint64_t)sample };
    int digit = (int)((roll(&d) + 1) * 5), form = roll(&d) > 0.2;
    digit = digit > 9 ? 9 : digit;
    draw_glyph(canvas, &glyphs[digit][form], &d);
    put_centred(canvas, j->images + sample * SIDE * SIDE);
    j->labels[sample] = digit;
}

moth_status moth_synthetic_digits(moth_ctx *ctx, int64_t n, uint64_t seed, moth_tensor **images, moth_tensor **labels)
{
    moth_tensor *x = NULL, *y = NULL;
    MOTH_TRY(moth_tensor_new(ctx, MOTH_UINT8, 3, (int64_t[]){ n, SIDE, SIDE }, &x));
    moth_status status = moth_tensor_new(ctx, MOTH_INT32, 1, &n, &y);
    if (status == MOTH_OK) {
        job j = { .seed = seed,
                  .images = (uint8_t *)moth_tensor_data(x),
                  .labels = (int32_t *)(void *)moth_tensor_data(y) };
        status = moth_parallel(ctx, n, draw_sample, &j);
    }
    if (status != MOTH_OK) {
        moth_tensor_release(x);
        moth_tensor_release(y);
        return status;
    }
    *images = x;
    *labels = y;
    return MOTH_OK;
}
