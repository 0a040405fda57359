/* Printed lines of ruled and squared paper: thin, nearly straight, from one edge of the picture to the other.
 *
 * A Hough transform over the pixels whose run across the line is thin proposes lines; each is followed from edge to
 * edge, allowing for a slow bend. Along a line that is confirmed, runs as thin as the line are erased; where a stroke
 * crosses, the run is longer and stays (as staves are taken off printed music). Near-horizontal lines are looked for in
 * the plane, near-vertical ones in the plane with x and y exchanged. */
#include "io/image_ink.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINES = 80, PARTS = 8, NEAR = 2 };
static const double max_slope = 0.22, least_votes = 0.35;

/* The plane seen along the lines: a = position along, b = across. */
typedef struct grid {
    float *v;
    int64_t along, across, step_along, step_across;
    float least;      /* amount that stands out */
    int64_t thickest; /* run of a line */
} grid;

typedef struct line {
    double slope, start; /* b = start + slope a */
    int32_t votes;
    bool confirmed;
} line;

static float *at(const grid *g, int64_t a, int64_t b)
{
    return &g->v[a * g->step_along + b * g->step_across];
}

static bool is_set(const grid *g, int64_t a, int64_t b)
{
    return b >= 0 && b < g->across && *at(g, a, b) >= g->least;
}

/* The run of set pixels through (a, b), across. */
static void run_at(const grid *g, int64_t a, int64_t b, int64_t *first, int64_t *last)
{
    *first = *last = b;
    while (is_set(g, a, *first - 1) && *last - *first <= g->thickest) {
        --*first;
    }
    while (is_set(g, a, *last + 1) && *last - *first <= g->thickest) {
        ++*last;
    }
}

/* ---- proposals ---- */

typedef struct votes {
    int64_t slopes, starts, shift; /* shift makes starts positive */
    double slope_step;
    int32_t *count; /* (slopes, starts) */
} votes;

static void vote(const grid *g, votes *v)
{
    for (int64_t a = 0; a < g->along; a++) {
        for (int64_t b = 0; b < g->across; b++) {
            if (!is_set(g, a, b) || is_set(g, a, b - 1)) {
                continue;
            }
            int64_t first, last;
            run_at(g, a, b, &first, &last);
            for (int64_t s = 0; s < v->slopes && last - first < g->thickest; s++) {
                double slope = ((double)s - (double)(v->slopes - 1) / 2) * v->slope_step;
                int64_t start = (int64_t)lrint((double)(first + last) / 2 - slope * (double)a) + v->shift;
                v->count[s * v->starts + start]++;
            }
            b = last;
        }
    }
}

static int by_votes(const void *p, const void *q)
{
    const line *a = p, *b = q;
    if (a->votes != b->votes) {
        return a->votes > b->votes ? -1 : 1;
    }
    if (a->start != b->start) {
        return a->start < b->start ? -1 : 1;
    }
    return a->slope < b->slope ? -1 : a->slope > b->slope;
}

/* A line may waver by a pixel: votes of neighbours count for each other. */
static int32_t votes_near(const votes *v, int64_t s, int64_t start)
{
    const int32_t *row = v->count + s * v->starts;
    return row[start] + (start > 0 ? row[start - 1] : 0) + (start + 1 < v->starts ? row[start + 1] : 0);
}

static bool is_peak(const votes *v, int64_t s, int64_t start, int32_t here)
{
    for (int64_t ds = -2; ds <= 2; ds++) {
        for (int64_t db = -2; db <= 2; db++) {
            int64_t ss = s + ds, bb = start + db;
            bool inside = ss >= 0 && ss < v->slopes && bb >= 0 && bb < v->starts;
            int32_t there = inside && (ds || db) ? votes_near(v, ss, bb) : 0;
            if (there > here || (there == here && (ds < 0 || (ds == 0 && db < 0)) && inside && there > 0)) {
                return false;
            }
        }
    }
    return true;
}

static int64_t collect_lines(const grid *g, const votes *v, line *lines, int64_t room)
{
    int64_t count = 0;
    for (int64_t s = 0; s < v->slopes; s++) {
        for (int64_t start = 0; start < v->starts && count < room; start++) {
            int32_t here = votes_near(v, s, start);
            if ((double)here >= least_votes * (double)g->along && is_peak(v, s, start, here)) {
                double slope = ((double)s - (double)(v->slopes - 1) / 2) * v->slope_step;
                lines[count++] = (line){ slope, (double)(start - v->shift), here, false };
            }
        }
    }
    qsort(lines, (size_t)count, sizeof *lines, by_votes);
    return count;
}

/* ---- confirmation ---- */

typedef struct trace {
    int64_t *first, *last; /* run at each position along; first > last: none */
    int64_t thickness;     /* median of the runs */
} trace;

typedef enum sight { NOTHING, THIN, THICK } sight;

/* The run nearest to b. */
static sight run_near(const grid *g, int64_t a, double b, int64_t *first, int64_t *last)
{
    int64_t middle = (int64_t)lrint(b);
    for (int64_t d = 0; d <= NEAR; d++) {
        for (int sign = -1; sign <= 1; sign += 2) {
            int64_t c = middle + sign * d;
            if (is_set(g, a, c)) {
                run_at(g, a, c, first, last);
                return *last - *first < g->thickest ? THIN : THICK;
            }
        }
    }
    return NOTHING;
}

static int by_length(const void *p, const void *q)
{
    int64_t a = *(const int64_t *)p, b = *(const int64_t *)q;
    return a < b ? -1 : a > b;
}

/* Follows the line; true if it is there nearly all the way and from edge to edge, or `partly` is enough: half of it. */
static bool follow(const grid *g, const line *l, bool partly, trace *t, int64_t *lengths)
{
    int64_t hits[PARTS] = { 0 }, total[PARTS] = { 0 }, count = 0;
    double drift = 0;
    for (int64_t a = 0; a < g->along; a++) {
        double b = l->start + l->slope * (double)a;
        int64_t part = a * PARTS / g->along;
        t->first[a] = 1;
        t->last[a] = 0;
        if (b < 0 || b >= (double)g->across) {
            continue;
        }
        int64_t first, last;
        sight seen = run_near(g, a, b + drift, &first, &last);
        total[part] += seen != THICK; /* a stroke hides the line */
        if (seen == THIN) {
            hits[part]++;
            t->first[a] = first;
            t->last[a] = last;
            lengths[count++] = last - first + 1;
            drift += 0.1 * ((double)(first + last) / 2 - b - drift);
        }
    }
    int64_t good = 0, parts = 0, all_hits = 0, all = 0;
    for (int k = 0; k < PARTS; k++) {
        parts += total[k] > 0;
        good += total[k] > 0 && 5 * hits[k] >= 2 * total[k];
        all_hits += hits[k];
        all += total[k];
    }
    bool whole = 3 * all >= g->along && 20 * all_hits >= 11 * all && good + 1 >= parts;
    if (!whole && !(partly && 2 * good >= parts && 3 * all_hits >= all)) {
        return false;
    }
    qsort(lengths, (size_t)count, sizeof *lengths, by_length);
    t->thickness = lengths[count / 2];
    return true;
}

/* Sets the run to 0, and its soft edges: as far as the amount falls. */
static void erase_run(const grid *g, int64_t a, int64_t first, int64_t last)
{
    enum { SOFT = 4 };
    for (int sign = -1; sign <= 1; sign += 2) {
        int64_t b = sign < 0 ? first : last;
        for (int64_t d = 0; d < SOFT; d++, b += sign) {
            int64_t next = b + sign;
            if (next < 0 || next >= g->across || *at(g, a, next) <= 0 || *at(g, a, next) >= *at(g, a, b)) {
                break;
            }
            *(sign < 0 ? &first : &last) = next;
        }
    }
    for (int64_t b = first; b <= last; b++) {
        *at(g, a, b) = 0;
    }
}

static void erase(const grid *g, const trace *t)
{
    for (int64_t a = 0; a < g->along; a++) {
        if (t->first[a] <= t->last[a] && t->last[a] - t->first[a] <= t->thickness) {
            erase_run(g, a, t->first[a], t->last[a]);
        }
    }
}

static bool has_parallels(const line *lines, int64_t count, const line *l)
{
    int64_t parallels = 0;
    for (int64_t i = 0; i < count; i++) {
        parallels += &lines[i] != l && lines[i].confirmed && fabs(lines[i].slope - l->slope) < 0.02;
    }
    return parallels >= 2;
}

static moth_status erase_lines(moth_ctx *ctx, const grid *g, line *lines, int64_t count)
{
    int64_t *memory = moth_malloc((size_t)(3 * g->along) * sizeof *memory);
    if (!memory) {
        return moth_fail_memory(ctx, 3 * g->along * (int64_t)sizeof *memory);
    }
    trace t = { memory, memory + g->along, 0 };
    /* Light may hide parts of a line. Where several lines are there, half of one more in their direction is enough. */
    for (int64_t i = 0; i < 2 * count; i++) {
        const line *l = &lines[i % count];
        bool partly = i >= count;
        if ((!partly || has_parallels(lines, count, l)) && follow(g, l, partly, &t, memory + 2 * g->along)) {
            erase(g, &t);
            lines[i % count].confirmed = true;
        }
    }
    moth_free(memory);
    return MOTH_OK;
}

static moth_status erase_along(moth_ctx *ctx, const grid *g)
{
    enum { ROOM = 4 * MAX_LINES };
    votes v = { .slope_step = 1.0 / (double)g->along };
    v.slopes = 2 * (int64_t)(max_slope / v.slope_step) + 1;
    v.shift = (int64_t)(max_slope * (double)g->along) + 1;
    v.starts = g->across + 2 * v.shift + 1;
    v.count = moth_calloc((size_t)(v.slopes * v.starts) * sizeof *v.count);
    line *lines = moth_malloc(ROOM * sizeof *lines);
    moth_status status = MOTH_OK;
    if (v.count && lines) {
        vote(g, &v);
        status = erase_lines(ctx, g, lines, collect_lines(g, &v, lines, ROOM));
    } else {
        status = moth_fail_memory(ctx, v.slopes * v.starts * (int64_t)sizeof *v.count);
    }
    moth_free(v.count);
    moth_free(lines);
    return status;
}

moth_status moth_ink_erase_rules(moth_ctx *ctx, moth_plane *amount, float least)
{
    int64_t w = amount->width, h = amount->height, side = w < h ? w : h;
    int64_t thickest = 3 + side / 60;
    grid rows = { amount->v, w, h, 1, w, least, thickest };
    grid columns = { amount->v, h, w, w, 1, least, thickest };
    MOTH_TRY(erase_along(ctx, &rows));
    return erase_along(ctx, &columns);
}
