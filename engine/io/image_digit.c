/* From a picture to digits: sheet, ink, pieces, digits, each brought to 28 x 28. */
#include "io/image_digit.h"

#include <math.h>
#include <string.h>

#include "io/image_normal.h"

enum { SIDE = 28 };

typedef struct search {
    moth_opaque picture;
    moth_sheet sheet;
    moth_ink ink;
    moth_blobs blobs;
} search;

static void search_free(search *s)
{
    moth_blobs_free(&s->blobs);
    moth_ink_free(&s->ink);
    moth_sheet_free(&s->sheet);
    moth_opaque_close(&s->picture);
}

/* ---- results ---- */

static uint8_t to_byte(float value)
{
    return (uint8_t)lrintf(255 * (value < 0 ? 0 : value > 1 ? 1 : value));
}

/* A copy of the sheet for people, before it becomes differences. */
static moth_status copy_sheet(moth_ctx *ctx, const moth_sheet *sheet, moth_tensor **out)
{
    int64_t shape[3] = { sheet->height, sheet->width, 3 };
    MOTH_TRY(moth_tensor_new(ctx, MOTH_UINT8, 3, shape, out));
    uint8_t *pixels = (uint8_t *)moth_tensor_data(*out);
    for (int64_t i = 0; i < sheet->width * sheet->height; i++) {
        for (int k = 0; k < 3; k++) {
            pixels[3 * i + k] = to_byte(sheet->colour[sheet->channels == 1 ? 0 : k].v[i]);
        }
    }
    return MOTH_OK;
}

/* The ink of digits; where there are none, all that stands out. */
static moth_status copy_ink(moth_ctx *ctx, const search *s, moth_tensor **out)
{
    const moth_blobs *blobs = &s->blobs;
    int64_t shape[2] = { blobs->height, blobs->width };
    MOTH_TRY(moth_tensor_new(ctx, MOTH_UINT8, 2, shape, out));
    uint8_t *pixels = (uint8_t *)moth_tensor_data(*out);
    for (int64_t i = 0; i < blobs->height * blobs->width; i++) {
        pixels[i] = (blobs->count ? blobs->label[i] != 0 : s->ink.mask[i] != 0) ? 255 : 0;
    }
    return MOTH_OK;
}

static moth_status copy_digit(moth_ctx *ctx, const search *s, int64_t i, moth_digit *out)
{
    float pixels[SIDE * SIDE];
    MOTH_TRY(moth_digit_normal(ctx, &s->picture, &s->sheet, s->ink.mask, &s->blobs, i, pixels));
    const moth_blob *b = &s->blobs.blob[i];
    double scale = s->sheet.scale;
    out->x = (int64_t)floor((double)b->left * scale);
    out->y = (int64_t)floor((double)b->top * scale);
    out->width = (int64_t)ceil((double)b->right * scale) - out->x;
    out->height = (int64_t)ceil((double)b->bottom * scale) - out->y;
    int64_t shape[2] = { SIDE, SIDE };
    return moth_tensor_from_floats(ctx, 2, shape, pixels, &out->image);
}

/* The digit with the most ink, those in the middle counting more. */
static int64_t main_digit(const moth_blobs *blobs)
{
    int64_t best = 0;
    double most = -1;
    for (int64_t i = 0; i < blobs->count; i++) {
        const moth_blob *b = &blobs->blob[i];
        double dx = (double)(b->left + b->right) / (double)blobs->width - 1;
        double dy = (double)(b->top + b->bottom) / (double)blobs->height - 1;
        double score = b->amount * (1 - 0.2 * (dx * dx + dy * dy));
        if (score > most) {
            most = score;
            best = i;
        }
    }
    return best;
}

static moth_status copy_digits(moth_ctx *ctx, const search *s, moth_digits *out)
{
    out->digit = moth_calloc((size_t)s->blobs.count * sizeof *out->digit);
    if (!out->digit) {
        return moth_fail_memory(ctx, s->blobs.count * (int64_t)sizeof *out->digit);
    }
    out->count = s->blobs.count;
    out->main = main_digit(&s->blobs);
    for (int64_t i = 0; i < s->blobs.count; i++) {
        MOTH_TRY(copy_digit(ctx, s, i, &out->digit[i]));
    }
    return MOTH_OK;
}

static moth_status look(moth_ctx *ctx, search *s, moth_look way)
{
    moth_sheet work = { 0 };
    moth_blobs_free(&s->blobs);
    moth_ink_free(&s->ink);
    MOTH_TRY(moth_sheet_copy(ctx, &s->sheet, &work));
    moth_status status = moth_ink_find(ctx, &work, way, &s->ink);
    moth_sheet_free(&work);
    MOTH_TRY(status);
    MOTH_TRY(moth_blobs_find(ctx, &s->ink, &s->blobs));
    return moth_blobs_to_digits(ctx, &s->blobs);
}

/* A digit apart from the border; where there is no paper around it, one that fills the picture. */
static bool convinces(const search *s, moth_look way)
{
    if (s->blobs.count == 0) {
        return false;
    }
    const moth_blob *b = &s->blobs.blob[main_digit(&s->blobs)];
    bool fills = 5 * (b->right - b->left) >= 4 * s->blobs.width && 5 * (b->bottom - b->top) >= 4 * s->blobs.height;
    return way == MOTH_LOOK_TIGHT ? fills : !b->edge;
}

/* The first way of looking that shows a digit apart from the border; else the usual one. */
static moth_status look_for_digits(moth_ctx *ctx, search *s)
{
    static const moth_look ways[] = { MOTH_LOOK_ON_SHEET, MOTH_LOOK_WIDE, MOTH_LOOK_TIGHT, MOTH_LOOK_FINE };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        MOTH_TRY(look(ctx, s, ways[i]));
        if (convinces(s, ways[i])) {
            return MOTH_OK;
        }
    }
    return look(ctx, s, MOTH_LOOK_WIDE);
}

static moth_status find_ink(moth_ctx *ctx, const moth_tensor *picture, search *s, moth_digits *out)
{
    MOTH_TRY(moth_opaque_open(ctx, picture, &s->picture));
    MOTH_TRY(moth_sheet_whole(ctx, &s->picture, &s->sheet));
    MOTH_TRY(copy_sheet(ctx, &s->sheet, &out->seen));
    MOTH_TRY(look_for_digits(ctx, s));
    return copy_ink(ctx, s, &out->ink);
}

static moth_status find(moth_ctx *ctx, const moth_tensor *picture, search *s, moth_digits *out)
{
    MOTH_TRY(find_ink(ctx, picture, s, out));
    if (s->blobs.count == 0) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "digit: no digit found: nothing stands out from the paper");
    }
    return copy_digits(ctx, s, out);
}

typedef moth_status (*find_fn)(moth_ctx *ctx, const moth_tensor *picture, search *s, moth_digits *out);

static moth_status run(moth_ctx *ctx, find_fn step, const moth_tensor *picture, moth_digits *out)
{
    search s = { 0 };
    moth_digits digits = { 0 };
    moth_status status = step(ctx, picture, &s, &digits);
    search_free(&s);
    if (status != MOTH_OK) {
        moth_digits_free(&digits);
        return status;
    }
    *out = digits;
    return MOTH_OK;
}

moth_status moth_image_digits(moth_ctx *ctx, const moth_tensor *picture, moth_digits *out)
{
    return run(ctx, find, picture, out);
}

moth_status moth_image_ink(moth_ctx *ctx, const moth_tensor *picture, moth_digits *out)
{
    return run(ctx, find_ink, picture, out);
}

void moth_digits_free(moth_digits *digits)
{
    for (int64_t i = 0; i < digits->count; i++) {
        moth_tensor_release(digits->digit[i].image);
    }
    moth_free(digits->digit);
    moth_tensor_release(digits->seen);
    moth_tensor_release(digits->ink);
    *digits = (moth_digits){ 0 };
}

moth_status moth_image_digit(moth_ctx *ctx, const moth_tensor *picture, moth_tensor **out)
{
    moth_digits digits;
    MOTH_TRY(moth_image_digits(ctx, picture, &digits));
    *out = moth_tensor_retain(digits.digit[digits.main].image);
    moth_digits_free(&digits);
    return MOTH_OK;
}
