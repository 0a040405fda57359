/* Which pieces of ink are digits.
 *
 * The tallest substantial piece gives the size of a digit. Pieces of at least half of it are digits; smaller ones near
 * a digit (the bar of a 5, a broken stroke) join it, others are specks. What touches the border of the picture is not a
 * digit unless nothing else is. Lines of digits are told apart by their heights. */
#include "io/image_blobs.h"

#include <math.h>
#include <stdlib.h>

static int64_t width_of(const moth_blob *b)
{
    return b->right - b->left;
}

static int64_t height_of(const moth_blob *b)
{
    return b->bottom - b->top;
}

static int64_t long_side(const moth_blob *b)
{
    return width_of(b) > height_of(b) ? width_of(b) : height_of(b);
}

static int64_t max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Between the boxes; 0 where they overlap. */
static double gap_between(const moth_blob *a, const moth_blob *b)
{
    int64_t dx = max(0, max(a->left, b->left) - min(a->right, b->right));
    int64_t dy = max(0, max(a->top, b->top) - min(a->bottom, b->bottom));
    return hypot((double)dx, (double)dy);
}

static void join(moth_blob *a, const moth_blob *b)
{
    a->left = min(a->left, b->left);
    a->top = min(a->top, b->top);
    a->right = max(a->right, b->right);
    a->bottom = max(a->bottom, b->bottom);
    a->area += b->area;
    a->amount += b->amount;
    a->edge = a->edge || b->edge;
}

/* ---- digits, parts, specks ---- */

typedef struct grouping {
    moth_blobs *blobs;
    moth_blob *digit; /* what has been put together so far; room for all blobs */
    int64_t digits;
    int32_t *owner; /* of each blob: 1 + index of the digit, 0 = dropped */
    int64_t main;   /* the blob with the most ink */
    double size;    /* height of a digit */
} grouping;

/* A digit is not a dash. */
static bool is_dash(const moth_blob *b)
{
    return width_of(b) > 3 * height_of(b);
}

/* What could be (a part of) a digit at all. */
static bool is_candidate(const grouping *g, const moth_blob *b)
{
    return !b->edge || g->blobs->blob[g->main].edge;
}

static int64_t strongest(const moth_blobs *blobs, bool edge_too)
{
    int64_t best = -1;
    for (int64_t i = 0; i < blobs->count; i++) {
        const moth_blob *b = &blobs->blob[i];
        if ((edge_too || !b->edge) && !is_dash(b) && (best < 0 || b->amount > blobs->blob[best].amount)) {
            best = i;
        }
    }
    return best;
}

/* The blob with the most ink; one at the border only where the others are specks beside it. */
static int64_t choose_main(const moth_blobs *blobs)
{
    int64_t all = strongest(blobs, true), inner = strongest(blobs, false);
    if (inner < 0 || all == inner) {
        return all;
    }
    const moth_blob *a = &blobs->blob[all], *b = &blobs->blob[inner];
    int64_t side = min(blobs->width, blobs->height);
    bool speck = (double)long_side(b) < 0.03 * (double)side || b->amount < 0.01 * a->amount;
    return speck ? all : inner;
}

static void take(grouping *g, int64_t blob, int64_t digit)
{
    if (digit == g->digits) {
        g->digit[g->digits++] = g->blobs->blob[blob];
    } else {
        join(&g->digit[digit], &g->blobs->blob[blob]);
    }
    g->owner[blob] = (int32_t)digit + 1;
}

static bool is_digit_sized(const grouping *g, const moth_blob *b)
{
    const moth_blob *m = &g->blobs->blob[g->main];
    return (double)height_of(b) >= 0.5 * g->size && (double)b->amount >= 0.12 * m->amount;
}

/* Share of the narrower one's width that both have. */
static double shared_width(const moth_blob *a, const moth_blob *b)
{
    return (double)(min(a->right, b->right) - max(a->left, b->left)) / (double)min(width_of(a), width_of(b));
}

/* Two halves of one digit: one above the other, hardly apart. */
static bool are_stacked(const grouping *g, const moth_blob *a, const moth_blob *b)
{
    return shared_width(a, b) > 0.5 && gap_between(a, b) < 0.12 * g->size;
}

static void take_digits(grouping *g)
{
    for (int64_t i = 0; i < g->blobs->count; i++) {
        const moth_blob *b = &g->blobs->blob[i];
        if (!is_candidate(g, b) || !is_digit_sized(g, b)) {
            continue;
        }
        int64_t digit = 0;
        while (digit < g->digits && !are_stacked(g, &g->digit[digit], b)) {
            digit++;
        }
        take(g, i, digit);
    }
}

/* Small pieces, nearest first by the order of the digits. */
static void take_parts(grouping *g)
{
    for (int64_t i = 0; i < g->blobs->count; i++) {
        const moth_blob *b = &g->blobs->blob[i];
        if (g->owner[i] || !is_candidate(g, b)) {
            continue;
        }
        int64_t nearest = 0;
        double gap = INFINITY;
        for (int64_t k = 0; k < g->digits; k++) {
            double here = gap_between(&g->digit[k], b);
            if (here < gap) {
                gap = here;
                nearest = k;
            }
        }
        double share = b->amount / g->digit[nearest].amount;
        double reach = shared_width(&g->digit[nearest], b) > 0.5 ? 0.35 : 0.22; /* above or below: farther */
        if ((gap <= reach * g->size && share >= 0.03) || (gap == 0 && share >= 0.004)) {
            take(g, i, nearest);
        }
    }
}

static void group(grouping *g)
{
    const moth_blobs *blobs = g->blobs;
    g->main = choose_main(blobs);
    g->size = (double)height_of(&blobs->blob[g->main]);
    for (int64_t i = 0; i < blobs->count; i++) {
        const moth_blob *b = &blobs->blob[i];
        if (is_candidate(g, b) && b->amount > 0.35 * blobs->blob[g->main].amount) {
            g->size = fmax(g->size, (double)height_of(b));
        }
    }
    take_digits(g);
    if (g->digits == 0) {
        take(g, g->main, 0);
    }
    take_parts(g);
}

/* Labels by digits instead of blobs. */
static void relabel(moth_blobs *blobs, const int32_t *owner)
{
    for (int64_t i = 0; i < blobs->width * blobs->height; i++) {
        blobs->label[i] = blobs->label[i] ? owner[blobs->label[i] - 1] : 0;
    }
}

static moth_status group_blobs(moth_ctx *ctx, moth_blobs *blobs)
{
    grouping g = { .blobs = blobs };
    g.digit = moth_malloc((size_t)blobs->count * sizeof *g.digit);
    g.owner = moth_calloc((size_t)blobs->count * sizeof *g.owner);
    if (!g.digit || !g.owner) {
        moth_free(g.digit);
        moth_free(g.owner);
        return moth_fail_memory(ctx, blobs->count * (int64_t)sizeof *g.digit);
    }
    group(&g);
    relabel(blobs, g.owner);
    moth_free(blobs->blob);
    blobs->blob = g.digit;
    blobs->count = g.digits;
    moth_free(g.owner);
    return MOTH_OK;
}

/* ---- order ---- */

typedef struct place {
    int64_t line, left, index;
} place;

static int by_place(const void *p, const void *q)
{
    const place *a = p, *b = q;
    if (a->line != b->line) {
        return a->line < b->line ? -1 : 1;
    }
    if (a->left != b->left) {
        return a->left < b->left ? -1 : 1;
    }
    return a->index < b->index ? -1 : 1;
}

/* A digit belongs to the line of another when their heights share half of the lower one. Digits that no line has yet
 * start one; the highest first, so that lines count from the top. */
static void find_lines(const moth_blobs *blobs, place *places)
{
    for (int64_t i = 0; i < blobs->count; i++) {
        places[i] = (place){ -1, blobs->blob[i].left, i };
    }
    for (int64_t line = 0;; line++) {
        int64_t first = -1;
        for (int64_t i = 0; i < blobs->count; i++) {
            if (places[i].line < 0 && (first < 0 || blobs->blob[i].top < blobs->blob[first].top)) {
                first = i;
            }
        }
        if (first < 0) {
            return;
        }
        places[first].line = line;
        for (bool grown = true; grown;) {
            grown = false;
            for (int64_t i = 0; i < blobs->count * blobs->count; i++) {
                const moth_blob *a = &blobs->blob[i / blobs->count], *b = &blobs->blob[i % blobs->count];
                place *of_a = &places[i / blobs->count], *of_b = &places[i % blobs->count];
                int64_t shared = min(a->bottom, b->bottom) - max(a->top, b->top);
                if (of_a->line == line && of_b->line < 0 && 2 * shared >= min(height_of(a), height_of(b))) {
                    of_b->line = line;
                    grown = true;
                }
            }
        }
    }
}

static moth_status sort_digits(moth_ctx *ctx, moth_blobs *blobs)
{
    size_t n = (size_t)blobs->count;
    place *places = moth_malloc(n * sizeof *places);
    moth_blob *sorted = moth_malloc(n * sizeof *sorted);
    int32_t *owner = moth_malloc(n * sizeof *owner);
    if (!places || !sorted || !owner) {
        moth_free(places);
        moth_free(sorted);
        moth_free(owner);
        return moth_fail_memory(ctx, blobs->count * (int64_t)sizeof *sorted);
    }
    find_lines(blobs, places);
    qsort(places, n, sizeof *places, by_place);
    for (size_t i = 0; i < n; i++) {
        sorted[i] = blobs->blob[places[i].index];
        owner[places[i].index] = (int32_t)i + 1;
    }
    relabel(blobs, owner);
    moth_free(blobs->blob);
    blobs->blob = sorted;
    moth_free(places);
    moth_free(owner);
    return MOTH_OK;
}

/* Forgets blobs that are no ink: too small to be a digit or a part of one, or as soft as a shadow. */
static void drop_others(moth_blobs *blobs, int32_t *owner)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < blobs->count; i++) {
        bool keep = blobs->blob[i].sharp && blobs->blob[i].area >= 4;
        owner[i] = keep ? (int32_t)kept + 1 : 0;
        if (keep) {
            blobs->blob[kept++] = blobs->blob[i];
        }
    }
    blobs->count = kept;
}

static moth_status drop_no_ink(moth_ctx *ctx, moth_blobs *blobs)
{
    int32_t *owner = moth_malloc((size_t)blobs->count * sizeof *owner);
    if (!owner) {
        return moth_fail_memory(ctx, blobs->count * (int64_t)sizeof *owner);
    }
    drop_others(blobs, owner);
    relabel(blobs, owner);
    moth_free(owner);
    return MOTH_OK;
}

/* The smallest digit is a sixtieth of the picture high. */
static bool has_digit(const moth_blobs *blobs)
{
    int64_t main = blobs->count ? choose_main(blobs) : -1, side = max(blobs->width, blobs->height);
    return main >= 0 && 60 * long_side(&blobs->blob[main]) >= side;
}

moth_status moth_blobs_to_digits(moth_ctx *ctx, moth_blobs *blobs)
{
    MOTH_TRY(drop_no_ink(ctx, blobs));
    if (!has_digit(blobs)) {
        blobs->count = 0;
        return MOTH_OK;
    }
    MOTH_TRY(group_blobs(ctx, blobs));
    MOTH_TRY(moth_blobs_cut(ctx, blobs));
    return sort_digits(ctx, blobs);
}
