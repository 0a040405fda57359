/* Digits that touch: a piece that is wide for its height is cut along a straight, nearly vertical line that crosses
 * little ink, ideally one stroke once (the bridge), and leaves something as tall as a digit on both sides. A 4 or a 7
 * has such lines too, but on one side of them there is only a part of its height. */
#include "io/image_blobs.h"

#include <math.h>

/* Width against height: above `wide` it cannot be one digit. What is less than `narrow`, or `narrow_of_many` beside
 * other digits, is not cut. */
static const double narrow = 1.05, narrow_of_many = 0.75, wide = 1.7;

typedef struct piece {
    const moth_blobs *blobs;
    const moth_blob *box;
    int32_t label;
    int64_t width, height;
    bool many;      /* there are other digits */
    double stroke;  /* width of its lines */
    uint8_t *hole;  /* (height, width): paper that its ink encloses */
    uint8_t *todo;  /* scratch, (height, width) */
    int64_t *rows;  /* scratch, 2 * height */
    int64_t *stack; /* scratch, with room for all pixels and a margin */
} piece;

typedef struct knife {
    double middle, slope; /* x = middle + slope (y - height / 2), from the box's corner */
    int64_t ink, runs;    /* what it crosses */
    bool opens;           /* it crosses a hole */
    double cost;
} knife;

static bool is_ink(const piece *p, int64_t x, int64_t y)
{
    return p->blobs->label[(p->box->top + y) * p->blobs->width + p->box->left + x] == p->label;
}

static double knife_at(const piece *p, const knife *k, int64_t y)
{
    return k->middle + k->slope * ((double)y - (double)p->height / 2);
}

static void cross(const piece *p, knife *k)
{
    bool before = false;
    k->ink = k->runs = 0;
    k->opens = false;
    for (int64_t y = 0; y < p->height; y++) {
        int64_t x = (int64_t)floor(knife_at(p, k, y));
        bool here = x >= 0 && x < p->width && is_ink(p, x, y);
        k->ink += here;
        k->runs += here && !before;
        k->opens = k->opens || (x >= 0 && x < p->width && p->hole[y * p->width + x]);
        before = here;
    }
}

/* Rows between which all but a few percent of the ink are: slivers do not count. */
static int64_t tall(const int64_t *rows, int64_t count, int64_t area)
{
    int64_t sum = 0, first = -1, last = 0;
    for (int64_t y = 0; y < count; y++) {
        sum += rows[y];
        first = first < 0 && 100 * sum > 4 * area ? y : first;
        last = 100 * sum < 96 * area ? y + 1 : last;
    }
    return area ? last - first + 1 : 0;
}

/* On both sides there is something as tall as `least` of the whole, with a fair share of the ink. */
static bool leaves_digits(const piece *p, const knife *k, double least)
{
    int64_t *rows[2] = { p->rows, p->rows + p->height }, area[2] = { 0 };
    for (int64_t y = 0; y < p->height; y++) {
        double at = knife_at(p, k, y);
        rows[0][y] = rows[1][y] = 0;
        for (int64_t x = 0; x < p->width; x++) {
            bool right = (double)x + 0.5 >= at;
            rows[right][y] += is_ink(p, x, y);
        }
        area[0] += rows[0][y];
        area[1] += rows[1][y];
    }
    double share = 0.3 * (double)(area[0] + area[1]) * (double)p->height / (double)p->width;
    for (int i = 0; i < 2; i++) {
        if ((double)area[i] < share || (double)tall(rows[i], p->height, area[i]) < least * (double)p->height) {
            return false;
        }
    }
    return true;
}

/* Takes what is joined to i off the list; returns its size. */
static int64_t take_piece(const piece *p, int64_t i)
{
    int64_t w = p->width, h = p->height, top = 0, size = 0;
    p->todo[i] = 0;
    p->stack[top++] = i;
    while (top > 0) {
        int64_t n = p->stack[--top];
        size++;
        for (int64_t y = n / w - 1; y <= n / w + 1; y++) {
            for (int64_t x = n % w - 1; x <= n % w + 1; x++) {
                if (x >= 0 && y >= 0 && x < w && y < h && p->todo[y * w + x]) {
                    p->todo[y * w + x] = 0;
                    p->stack[top++] = y * w + x;
                }
            }
        }
    }
    return size;
}

/* Most of the ink on each side is one piece; where it is several, the knife only took slivers off a stroke. */
static bool leaves_pieces(const piece *p, const knife *k)
{
    int64_t w = p->width, count = w * p->height;
    for (int side = 0; side < 2; side++) {
        int64_t total = 0, most = 0;
        for (int64_t i = 0; i < count; i++) {
            bool right = (double)(i % w) + 0.5 >= knife_at(p, k, i / w);
            p->todo[i] = right == side && is_ink(p, i % w, i / w);
            total += p->todo[i];
        }
        for (int64_t i = 0; i < count; i++) {
            int64_t size = p->todo[i] ? take_piece(p, i) : 0;
            most = size > most ? size : most;
        }
        if (10 * most < 8 * total) {
            return false;
        }
    }
    return true;
}

/* Mean over the rows of the paper between the two sides, against the height: much of it is the inside of an open 0, or
 * between the arms of a 4. */
static double openness(const piece *p, const knife *k)
{
    double sum = 0, rows = 1e-9;
    for (int64_t y = 0; y < p->height; y++) {
        int64_t left = -1, right = p->width;
        double at = knife_at(p, k, y);
        for (int64_t x = 0; x < p->width; x++) {
            if (is_ink(p, x, y) && (double)x + 0.5 < at) {
                left = x;
            } else if (is_ink(p, x, y) && right == p->width) {
                right = x;
            }
        }
        bool both = left >= 0 && right < p->width;
        sum += both ? (double)(right - left - 1) : 0;
        rows += both;
    }
    return sum / rows / (double)p->height;
}

/* Cheap: little ink, once; near where a digit of usual width would end. */
static double cost_of(const piece *p, const knife *k)
{
    double digits = fmax(2, round((double)p->width / (0.78 * (double)p->height)));
    double place = k->middle / (double)p->width * digits;
    return (double)k->ink / p->stroke + 0.8 * fmax(0, (double)k->runs - 1) + 1.2 * fabs(place - round(place)) +
           0.6 * fabs(k->slope) + k->opens;
}

static bool find_knife(const piece *p, knife *best)
{
    double ratio = (double)p->width / (double)p->height;
    bool surely = ratio > wide;
    double most = (ratio < 0.95 ? 1.5 : p->many && ratio > 1.2 ? 2.8 : 2.1) * p->stroke;
    double least_height = ratio < 0.95 ? 0.82 : p->many ? 0.75 : 0.78;
    double most_open = (p->many ? 0.4 : 0.3) + (ratio > 1.5 ? 0.2 : 0);
    int64_t most_runs = surely ? 2 : 1;
    *best = (knife){ .cost = INFINITY };
    for (int s = -4; s <= 4; s++) {
        for (int64_t x = p->width / 6; x <= p->width - p->width / 6; x++) {
            knife k = { .middle = (double)x + 0.5, .slope = 0.1 * s };
            cross(p, &k);
            k.cost = cost_of(p, &k);
            if ((double)k.ink <= most && (!k.opens || surely) && k.runs <= most_runs && k.cost < best->cost &&
                k.ink > 0 && leaves_digits(p, &k, least_height) && leaves_pieces(p, &k) &&
                openness(p, &k) < most_open) {
                *best = k;
            }
        }
    }
    return best->cost < INFINITY;
}

/* ---- blobs ---- */

/* Marks the paper that cannot be reached from outside; mask and reached have a margin of one pixel. */
static void find_holes(const piece *p, const uint8_t *mask, uint8_t *reached)
{
    int64_t w = p->width + 2, h = p->height + 2, top = 0;
    p->stack[top++] = 0;
    reached[0] = 1;
    while (top > 0) {
        int64_t i = p->stack[--top];
        const int64_t next[4] = { i % w > 0 ? i - 1 : i, i % w + 1 < w ? i + 1 : i, i >= w ? i - w : i,
                                  i + w < w * h ? i + w : i };
        for (int k = 0; k < 4; k++) {
            if (!mask[next[k]] && !reached[next[k]]) {
                reached[next[k]] = 1;
                p->stack[top++] = next[k];
            }
        }
    }
    for (int64_t i = 0; i < p->width * p->height; i++) {
        int64_t n = (i / p->width + 1) * w + i % p->width + 1;
        p->hole[i] = !mask[n] && !reached[n];
    }
}

static moth_status measure(moth_ctx *ctx, piece *p, uint8_t *mask)
{
    int64_t w = p->width + 2, h = p->height + 2;
    for (int64_t i = 0; i < p->width * p->height; i++) {
        mask[(i / p->width + 1) * w + i % p->width + 1] = is_ink(p, i % p->width, i / p->width);
    }
    moth_plane inside = { 0 };
    moth_status status = moth_line_width(ctx, mask, w, h, &inside, &p->stroke);
    moth_plane_free(&inside);
    if (status == MOTH_OK) {
        find_holes(p, mask, mask + w * h);
    }
    return status;
}

/* Finds where to cut the piece, if anywhere. */
static moth_status consider(moth_ctx *ctx, piece *p, knife *k, bool *cut)
{
    int64_t margin = (p->width + 2) * (p->height + 2), inner = p->width * p->height;
    uint8_t *masks = moth_calloc((size_t)(2 * margin + 2 * inner));
    int64_t *numbers = moth_malloc((size_t)(margin + 2 * p->height) * sizeof *numbers);
    moth_status status = MOTH_OK;
    if (masks && numbers) {
        p->hole = masks + 2 * margin;
        p->todo = p->hole + inner;
        p->stack = numbers;
        p->rows = numbers + margin;
        status = measure(ctx, p, masks);
        *cut = status == MOTH_OK && find_knife(p, k);
    } else {
        status = moth_fail_memory(ctx, 10 * margin);
    }
    moth_free(masks);
    moth_free(numbers);
    return status;
}

/* What is right of the knife becomes a blob of its own, the last one. */
static moth_status split(moth_ctx *ctx, moth_blobs *blobs, int64_t i, const piece *p, const knife *k)
{
    moth_blob *grown = moth_realloc(blobs->blob, (size_t)(blobs->count + 1) * sizeof *grown);
    if (!grown) {
        return moth_fail_memory(ctx, (blobs->count + 1) * (int64_t)sizeof *grown);
    }
    blobs->blob = grown;
    moth_blob old = grown[i], half[2] = { moth_blob_empty(), moth_blob_empty() };
    double mean = old.amount / (double)old.area;
    for (int64_t y = 0; y < p->height; y++) {
        double at = knife_at(p, k, y);
        for (int64_t x = 0; x < p->width; x++) {
            int32_t *label = &blobs->label[(old.top + y) * blobs->width + old.left + x];
            if (*label == p->label) {
                bool right = (double)x + 0.5 >= at;
                moth_blob_add(&half[right], old.left + x, old.top + y, mean);
                *label = right ? (int32_t)blobs->count + 1 : p->label;
            }
        }
    }
    for (int side = 0; side < 2; side++) {
        half[side].edge = old.edge;
        half[side].sharp = old.sharp;
    }
    grown[i] = half[0];
    grown[blobs->count++] = half[1];
    return MOTH_OK;
}

moth_status moth_blobs_cut(moth_ctx *ctx, moth_blobs *blobs)
{
    enum { MAX_DIGITS = 200 };
    bool many = blobs->count > 1;
    for (int64_t i = 0; i < blobs->count && blobs->count < MAX_DIGITS;) {
        const moth_blob box = blobs->blob[i];
        piece p = { .blobs = blobs, .box = &box, .label = (int32_t)i + 1, .many = many };
        p.width = box.right - box.left;
        p.height = box.bottom - box.top;
        knife k = { 0 };
        bool cut = false;
        if ((double)p.width > (p.many ? narrow_of_many : narrow) * (double)p.height) {
            MOTH_TRY(consider(ctx, &p, &k, &cut));
        }
        if (cut) {
            MOTH_TRY(split(ctx, blobs, i, &p, &k));
        } else {
            i++;
        }
    }
    return MOTH_OK;
}
