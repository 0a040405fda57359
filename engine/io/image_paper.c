/* The colour of the paper and how the light falls on it.
 *
 * The border of a picture is paper. A quadratic surface per channel, fitted robustly to the medians of cells, first of
 * the border, then of all that agree, follows uneven light. Where the border is not of one kind (a digit cut out
 * tightly) the paper is what most cells agree on. A large solid region that differs from the border may be a sheet on a
 * table: it can be looked at alone. */
#include "io/image_ink.h"

#include <math.h>
#include <string.h>

enum { GRID = 48, CELLS = GRID * GRID, TERMS = 6, RING = 4 };

/* Medians of the cells of a grid over the sheet. */
typedef struct cells {
    int64_t columns, rows;
    int channels;
    float median[3][CELLS];
    double u[CELLS], v[CELLS]; /* middles, -1..1 */
    bool inside[CELLS];        /* what is looked at */
    bool border[CELLS];        /* the outer cells of it */
    double weight[CELLS];
    float distance[CELLS]; /* from the surface */
    double term[3][TERMS]; /* the surface: factors of 1, u, v, uu, uv, vv */
} cells;

static void powers(double u, double v, double *out)
{
    out[0] = 1;
    out[1] = u;
    out[2] = v;
    out[3] = u * u;
    out[4] = u * v;
    out[5] = v * v;
}

static double surface_at(const cells *c, int channel, double u, double v)
{
    double p[TERMS], sum = 0;
    powers(u, v, p);
    for (int i = 0; i < TERMS; i++) {
        sum += c->term[channel][i] * p[i];
    }
    return sum;
}

static int64_t count_of(const cells *c)
{
    return c->columns * c->rows;
}

/* ---- cells ---- */

static float cell_median(const moth_plane *p, const int64_t *bounds, float *scratch)
{
    int64_t count = 0;
    for (int64_t y = bounds[1]; y < bounds[3]; y++) {
        for (int64_t x = bounds[0]; x < bounds[2]; x++) {
            scratch[count++] = p->v[y * p->width + x];
        }
    }
    return moth_select(scratch, count, count / 2);
}

static void measure_cells(const moth_sheet *s, cells *c, float *scratch)
{
    c->channels = s->channels;
    c->columns = s->width < GRID ? s->width : GRID;
    c->rows = s->height < GRID ? s->height : GRID;
    for (int64_t n = 0; n < count_of(c); n++) {
        int64_t i = n % c->columns, j = n / c->columns;
        int64_t bounds[4] = { i * s->width / c->columns, j * s->height / c->rows, (i + 1) * s->width / c->columns,
                              (j + 1) * s->height / c->rows };
        for (int k = 0; k < s->channels; k++) {
            c->median[k][n] = cell_median(&s->colour[k], bounds, scratch);
        }
        c->u[n] = (double)(2 * i + 1) / (double)c->columns - 1;
        c->v[n] = (double)(2 * j + 1) / (double)c->rows - 1;
        c->inside[n] = true;
    }
}

static bool is_inside(const cells *c, const bool *inside, int64_t i, int64_t j)
{
    return i >= 0 && j >= 0 && i < c->columns && j < c->rows && inside[j * c->columns + i];
}

static void mark_border(cells *c)
{
    for (int64_t n = 0; n < count_of(c); n++) {
        bool deep = true;
        for (int64_t dj = -RING; dj <= RING; dj++) {
            for (int64_t di = -RING; di <= RING; di++) {
                deep = deep && is_inside(c, c->inside, n % c->columns + di, n / c->columns + dj);
            }
        }
        c->border[n] = c->inside[n] && !deep;
    }
}

/* ---- fitting ---- */

/* Gauss with pivots; the ridge keeps the matrix regular. */
static void solve(double a[TERMS][TERMS + 1], double *x)
{
    for (int i = 0; i < TERMS; i++) {
        int pivot = i;
        for (int r = i + 1; r < TERMS; r++) {
            pivot = fabs(a[r][i]) > fabs(a[pivot][i]) ? r : pivot;
        }
        for (int k = 0; k <= TERMS; k++) {
            double other = a[i][k];
            a[i][k] = a[pivot][k];
            a[pivot][k] = other;
        }
        for (int r = i + 1; r < TERMS; r++) {
            double factor = a[r][i] / a[i][i];
            for (int k = i; k <= TERMS; k++) {
                a[r][k] -= factor * a[i][k];
            }
        }
    }
    for (int i = TERMS - 1; i >= 0; i--) {
        double sum = a[i][TERMS];
        for (int k = i + 1; k < TERMS; k++) {
            sum -= a[i][k] * x[k];
        }
        x[i] = sum / a[i][i];
    }
}

static void fit_channel(cells *c, int channel)
{
    double a[TERMS][TERMS + 1] = { { 0 } }, total = 1e-9;
    for (int64_t n = 0; n < count_of(c); n++) {
        double p[TERMS];
        powers(c->u[n], c->v[n], p);
        total += c->weight[n];
        for (int i = 0; i < TERMS; i++) {
            for (int k = 0; k < TERMS; k++) {
                a[i][k] += c->weight[n] * p[i] * p[k];
            }
            a[i][TERMS] += c->weight[n] * p[i] * (double)c->median[channel][n];
        }
    }
    for (int i = 0; i < TERMS; i++) {
        a[i][i] += total * (i == 0 ? 1e-9 : i < 3 ? 1e-4 : 1e-3);
    }
    solve(a, c->term[channel]);
}

/* Distances of the cells from the surface; returns their scale, from the median over the cells that count. */
static double measure_distances(cells *c, const bool *counts)
{
    float some[CELLS];
    int64_t count = 0;
    for (int64_t n = 0; n < count_of(c); n++) {
        double sum = 0;
        for (int k = 0; k < c->channels; k++) {
            double d = (double)c->median[k][n] - surface_at(c, k, c->u[n], c->v[n]);
            sum += d * d;
        }
        c->distance[n] = (float)sqrt(sum);
        if (counts[n]) {
            some[count++] = c->distance[n];
        }
    }
    double scale = count ? 1.5 * (double)moth_select(some, count, count / 2) : 0;
    return fmin(fmax(scale, 0.01), 0.07);
}

/* Tukey's weights: what is far away does not count. */
static double refit(cells *c, const bool *counts, int rounds)
{
    double scale = 0;
    for (int round = 0; round < rounds; round++) {
        for (int k = 0; k < c->channels; k++) {
            fit_channel(c, k);
        }
        scale = measure_distances(c, counts);
        for (int64_t n = 0; n < count_of(c); n++) {
            double r = (double)c->distance[n] / (3 * scale);
            c->weight[n] = !counts[n] ? 0 : r < 1 ? (1 - r * r) * (1 - r * r) : 1e-6;
        }
    }
    return scale;
}

/* The paper is what most cells have: all start from the median. */
static void start_from_median(cells *c)
{
    float some[CELLS];
    for (int k = 0; k < c->channels; k++) {
        int64_t count = 0;
        for (int64_t n = 0; n < count_of(c); n++) {
            if (c->inside[n]) {
                some[count++] = c->median[k][n];
            }
        }
        memset(c->term[k], 0, sizeof c->term[k]);
        c->term[k][0] = (double)moth_select(some, count, count / 2);
    }
    measure_distances(c, c->inside);
    for (int64_t n = 0; n < count_of(c); n++) {
        c->weight[n] = c->inside[n] && c->distance[n] < 0.2F ? 1 : 1e-6;
    }
}

static double fit_surface(cells *c)
{
    enum { ROUNDS = 6 };
    for (int64_t n = 0; n < count_of(c); n++) {
        c->weight[n] = c->border[n];
    }
    double scale = refit(c, c->border, ROUNDS);
    int64_t border = 0, agree = 0;
    for (int64_t n = 0; n < count_of(c); n++) {
        border += c->border[n];
        agree += c->border[n] && (double)c->distance[n] < 3 * scale;
    }
    if (20 * agree < 11 * border) {
        start_from_median(c);
    }
    return refit(c, c->inside, ROUNDS);
}

/* ---- a sheet on something else ---- */

static void spread(const cells *c, const bool *through, bool *reached)
{
    for (bool grown = true; grown;) {
        grown = false;
        for (int64_t n = 0; n < count_of(c); n++) {
            int64_t i = n % c->columns, j = n / c->columns;
            if (through[n] && !reached[n] &&
                (is_inside(c, reached, i - 1, j) || is_inside(c, reached, i + 1, j) ||
                 is_inside(c, reached, i, j - 1) || is_inside(c, reached, i, j + 1))) {
                reached[n] = grown = true;
            }
        }
    }
}

static int64_t largest_region(const cells *c, const bool *in, bool *out)
{
    bool seen[CELLS] = { false };
    int64_t most = 0;
    for (int64_t n = 0; n < count_of(c); n++) {
        if (!in[n] || seen[n]) {
            continue;
        }
        bool region[CELLS] = { false };
        region[n] = true;
        spread(c, in, region);
        int64_t count = 0;
        for (int64_t k = 0; k < count_of(c); k++) {
            count += region[k];
            seen[k] = seen[k] || region[k];
        }
        if (count > most) {
            most = count;
            memcpy(out, region, sizeof region);
        }
    }
    return most;
}

/* Adds what the region encloses. */
static void fill_holes(const cells *c, bool *region)
{
    bool outer[CELLS] = { false }, free_cells[CELLS] = { false };
    for (int64_t n = 0; n < count_of(c); n++) {
        int64_t i = n % c->columns, j = n / c->columns;
        free_cells[n] = !region[n];
        outer[n] = !region[n] && (i == 0 || j == 0 || i + 1 == c->columns || j + 1 == c->rows);
    }
    spread(c, free_cells, outer);
    for (int64_t n = 0; n < count_of(c); n++) {
        region[n] = !outer[n];
    }
}

/* Share of the smallest rectangle around the region that it fills; a sheet of paper is a rectangle. */
static double rectangularity(const cells *c, const bool *region, double wide, double high)
{
    enum { ANGLES = 45 };
    double best = 1e30, count = 0, cell_x = wide / (double)c->columns, cell_y = high / (double)c->rows;
    for (int i = 0; i < ANGLES; i++) {
        double angle = 1.5708 * i / ANGLES, cosine = cos(angle), sine = sin(angle), low[2] = { 1e30, 1e30 },
               high_end[2] = { -1e30, -1e30 };
        count = 0;
        for (int64_t n = 0; n < count_of(c); n++) {
            double x = c->u[n] * wide / 2, y = c->v[n] * high / 2;
            double at[2] = { x * cosine + y * sine, y * cosine - x * sine };
            for (int k = 0; k < 2 && region[n]; k++) {
                low[k] = fmin(low[k], at[k]);
                high_end[k] = fmax(high_end[k], at[k]);
            }
            count += region[n];
        }
        double across = cell_x * cosine + cell_y * sine, along = cell_y * cosine + cell_x * sine;
        /* Cells stick out where the edge is slanted: half of a cell on the average. */
        double more = i > 0 ? 0.5 : 1;
        best = fmin(best, (high_end[0] - low[0] + more * across) * (high_end[1] - low[1] + more * along));
    }
    return count * cell_x * cell_y / best;
}

/* Looks at the region alone, without the cells at its edge. */
static bool enter_sheet(cells *c, double scale, const moth_sheet *sheet)
{
    bool far_cells[CELLS] = { false }, region[CELLS] = { false };
    for (int64_t n = 0; n < count_of(c); n++) {
        far_cells[n] = (double)c->distance[n] > fmax(4 * scale, 0.12);
    }
    int64_t count = largest_region(c, far_cells, region);
    fill_holes(c, region);
    if (100 * count < 15 * count_of(c) ||
        rectangularity(c, region, (double)sheet->width, (double)sheet->height) < 0.86) {
        return false;
    }
    for (int64_t n = 0; n < count_of(c); n++) {
        int64_t i = n % c->columns, j = n / c->columns;
        c->inside[n] = region[n] && (i == 0 || is_inside(c, region, i - 1, j)) &&
                       (j == 0 || is_inside(c, region, i, j - 1)) &&
                       (i + 1 == c->columns || is_inside(c, region, i + 1, j)) &&
                       (j + 1 == c->rows || is_inside(c, region, i, j + 1));
    }
    return true;
}

/* ---- differences ---- */

static void subtract_surface(moth_sheet *sheet, const cells *c, uint8_t *inside)
{
    for (int64_t i = 0; i < sheet->width * sheet->height; i++) {
        int64_t x = i % sheet->width, y = i / sheet->width;
        double u = (double)(2 * x + 1) / (double)sheet->width - 1;
        double v = (double)(2 * y + 1) / (double)sheet->height - 1;
        int64_t column = ((x + 1) * c->columns - 1) / sheet->width, row = ((y + 1) * c->rows - 1) / sheet->height;
        inside[i] = c->inside[row * c->columns + column];
        for (int k = 0; k < sheet->channels; k++) {
            float *p = &sheet->colour[k].v[i];
            double paper = surface_at(c, k, u, v);
            *p = inside[i] ? (float)(((double)*p - paper) / fmax(paper, 0.35)) : 0;
        }
    }
}

moth_status moth_paper_subtract(moth_ctx *ctx, moth_sheet *sheet, bool enter, uint8_t *inside, bool *entered)
{
    size_t cell = (size_t)((sheet->width / GRID + 2) * (sheet->height / GRID + 2));
    cells *c = moth_calloc(sizeof *c);
    float *scratch = moth_malloc(cell * sizeof *scratch);
    if (!c || !scratch) {
        moth_free(c);
        moth_free(scratch);
        return moth_fail_memory(ctx, (int64_t)(sizeof *c + cell * sizeof *scratch));
    }
    measure_cells(sheet, c, scratch);
    mark_border(c);
    double scale = fit_surface(c);
    *entered = enter && enter_sheet(c, scale, sheet);
    if (*entered) {
        mark_border(c);
        fit_surface(c);
    }
    if (*entered || !enter) {
        subtract_surface(sheet, c, inside);
    }
    moth_free(c);
    moth_free(scratch);
    return MOTH_OK;
}
