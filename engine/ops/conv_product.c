/* The kernel under every convolution: c[r, l] += sum over k of a[row r, index[k]] b[k, l], in tiles of 6 rows by up to
 * 4 vectors that stay in registers. The chain of additions of an element depends on n alone, so neither the tile that
 * it falls into nor the cut of the batch changes its bits. */
#include <string.h>

#include "ops/conv.h"

/* Products between two visits to c: its part of b fits the second-level cache beside a. */
enum { CHUNK = 512 };

typedef struct tile {
    int64_t n, b_step;
    const int32_t *index;
    const moth_real *b, *start;
    const moth_real *a[MOTH_TILE_ROWS];
    moth_real *c[MOTH_TILE_ROWS];
    int64_t rows; /* the rest repeats the last of them */
} tile;

#define MULTIPLY_ROW(r)                                                                     \
    MOTH_UNROLL for (int v = 0; v < vectors; v++)                                           \
    {                                                                                       \
        const moth_real *from = a##r + index[k];                                            \
        if (a_lanes) {                                                                      \
            acc[r][v] += *(const moth_memory_vector *)(from + v * MOTH_VECTOR) * factor[v]; \
        } else {                                                                            \
            acc[r][v] += *from * factor[v];                                                 \
        }                                                                                   \
    }

static inline __attribute__((always_inline)) void run_tile(const tile *t, int vectors, bool a_lanes)
{
    moth_vector acc[MOTH_TILE_ROWS][MOTH_TILE_VECTORS], factor[MOTH_TILE_VECTORS];
    MOTH_UNROLL for (int r = 0; r < MOTH_TILE_ROWS; r++)
    {
        const moth_real *from = t->start ? t->start : t->c[r];
        MOTH_UNROLL for (int v = 0; v < vectors; v++)
        {
            acc[r][v] = *(const moth_memory_vector *)(from + v * MOTH_VECTOR);
        }
    }
    const moth_real *a0 = t->a[0], *a1 = t->a[1], *a2 = t->a[2], *a3 = t->a[3], *a4 = t->a[4], *a5 = t->a[5];
    const moth_real *b = t->b;
    const int32_t *index = t->index;
    for (int64_t k = 0; k < t->n; k++) {
        MOTH_UNROLL for (int v = 0; v < vectors; v++)
        {
            factor[v] = *(const moth_memory_vector *)(b + v * MOTH_VECTOR);
        }
        b += t->b_step;
        MULTIPLY_ROW(0)
        MULTIPLY_ROW(1)
        MULTIPLY_ROW(2)
        MULTIPLY_ROW(3)
        MULTIPLY_ROW(4)
        MULTIPLY_ROW(5)
    }
    MOTH_UNROLL for (int r = 0; r < MOTH_TILE_ROWS; r++)
    {
        MOTH_UNROLL for (int v = 0; v < vectors; v++)
        {
            *(moth_memory_vector *)(t->c[r] + v * MOTH_VECTOR) = acc[r][v];
        }
    }
}

#define RUN_TILE(vectors_)                \
    do {                                  \
        if (a_lanes) {                    \
            run_tile(t, vectors_, true);  \
        } else {                          \
            run_tile(t, vectors_, false); \
        }                                 \
    } while (0)

static void run_vectors(const tile *t, int64_t vectors, bool a_lanes)
{
    switch (vectors) {
    case 1:
        RUN_TILE(1);
        break;
#if MOTH_TILE_VECTORS == 4
    case 3:
        RUN_TILE(3);
        break;
    case 4:
        RUN_TILE(4);
        break;
#endif
    default:
        RUN_TILE(2);
        break;
    }
}

/* Where a has lanes, nothing may be read beyond them: the last ones are treated one by one. */
static void run_lanes(const tile *t, int64_t lanes)
{
    int64_t whole = lanes - lanes % MOTH_VECTOR;
    if (whole > 0) {
        run_vectors(t, whole / MOTH_VECTOR, true);
    }
    for (int64_t l = whole; l < lanes; l++) {
        for (int64_t r = 0; r < t->rows; r++) {
            moth_real sum = t->start ? t->start[l] : t->c[r][l];
            for (int64_t k = 0; k < t->n; k++) {
                sum += t->a[r][t->index[k] + l] * t->b[k * t->b_step + l];
            }
            t->c[r][l] = sum;
        }
    }
}

/* A tile whose last vector reaches beyond the lanes of c works on a copy. */
static void run_ragged(const tile *t, int64_t lanes)
{
    moth_real spill[MOTH_TILE_ROWS][MOTH_LANES_MAX];
    tile copy = *t;
    for (int r = 0; r < MOTH_TILE_ROWS; r++) {
        const moth_real *from = t->start ? t->start : t->c[r];
        for (int64_t l = 0; l < MOTH_LANES_MAX; l++) {
            spill[r][l] = l < lanes ? from[l] : 0;
        }
        copy.c[r] = spill[r];
    }
    copy.start = NULL;
    run_vectors(&copy, (lanes + MOTH_VECTOR - 1) / MOTH_VECTOR, false);
    for (int r = 0; r < MOTH_TILE_ROWS; r++) {
        memcpy(t->c[r], spill[r], (size_t)lanes * sizeof(moth_real));
    }
}

/* Rows beyond the last are the last one again: computed twice, to the same bits. */
static void place_rows(const moth_conv_job *job, tile *t, int64_t first, int64_t lane)
{
    t->rows = min64(MOTH_TILE_ROWS, job->rows - first);
    for (int r = 0; r < MOTH_TILE_ROWS; r++) {
        int64_t row = min64(first + r, job->rows - 1);
        t->a[r] = job->a + (job->a_row ? job->a_row[row] : row * job->a_step) + (job->a_lanes ? lane : 0);
        t->c[r] = job->c + (job->c_row ? job->c_row[row] : row * job->c_step) + lane;
    }
}

void MOTH_CONV_PRODUCT(const moth_conv_job *job)
{
    for (int64_t lane = 0; lane < job->lanes; lane += MOTH_LANES_MAX) {
        int64_t lanes = min64(MOTH_LANES_MAX, job->lanes - lane);
        const moth_real *b = job->b + lane / MOTH_LANES_MAX * job->b_block;
        for (int64_t k = 0; k < job->n; k += CHUNK) {
            tile t = { .n = min64(CHUNK, job->n - k),
                       .index = job->index + k,
                       .b = b + k * job->b_step,
                       .b_step = job->b_step,
                       .start = job->start && k == 0 ? job->start + lane : NULL };
            for (int64_t row = 0; row < job->rows; row += MOTH_TILE_ROWS) {
                place_rows(job, &t, row, lane);
                if (job->a_lanes) {
                    run_lanes(&t, lanes);
                } else if (lanes % MOTH_VECTOR) {
                    run_ragged(&t, lanes);
                } else {
                    run_vectors(&t, lanes / MOTH_VECTOR, false);
                }
            }
        }
    }
}

void MOTH_CONV_PACK(moth_real *to, const moth_real *from, int64_t n, int64_t step, int64_t lanes, int64_t lane_step)
{
    for (int64_t first = 0; first < lanes; first += MOTH_LANES_MAX) {
        int64_t used = min64(MOTH_LANES_MAX, lanes - first);
        for (int64_t k = 0; k < n; k++, to += MOTH_LANES_MAX) {
            const moth_real *row = from + k * step + first * lane_step;
            for (int64_t l = 0; l < used; l++) {
                to[l] = row[l * lane_step];
            }
            for (int64_t l = used; l < MOTH_LANES_MAX; l++) {
                to[l] = 0;
            }
        }
    }
}

void MOTH_CONV_PAD(const moth_conv *s, int64_t n, const moth_real *x, moth_real *padded)
{
    for (int64_t i = 0; i < n * s->h; i++) { /* rows of images */
        moth_real *to = padded + ((i / s->h * s->ph + s->top + i % s->h) * s->pw + s->left) * s->c;
        const moth_real *from = x + i * s->w * (s->c / s->repeat);
        if (s->repeat == 1) {
            memcpy(to, from, (size_t)(s->w * s->c) * sizeof *x);
            continue;
        }
        for (int64_t c = 0; c < s->w * s->c; c++) {
            to[c] = from[c / s->repeat];
        }
    }
}

void MOTH_CONV_CROP(const moth_conv *s, int64_t n, const moth_real *padded, moth_real *x)
{
    for (int64_t i = 0; i < n * s->h; i++) {
        const moth_real *from = padded + ((i / s->h * s->ph + s->top + i % s->h) * s->pw + s->left) * s->c;
        moth_real *to = x + i * s->w * (s->c / s->repeat);
        if (s->repeat == 1) {
            memcpy(to, from, (size_t)(s->w * s->c) * sizeof *x);
            continue;
        }
        for (int64_t c = 0; c < s->w * (s->c / s->repeat); c++, from += s->repeat) {
            to[c] = 0;
            for (int64_t k = 0; k < s->repeat; k++) {
                to[c] += from[k];
            }
        }
    }
}
