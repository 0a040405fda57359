/* The kernel under dense and recurrent layers: c = op(a) op(b) + beta c in tiles of 6 rows by up to 4 vectors that stay
 * in registers, where the variant has fused multiply-add; else OpenBLAS.
 *
 * A panel of b, as wide as a tile, is packed once for all rows; a is read as it lies. A library packs both sides, which
 * costs more than it gains at the sizes of a plan: a slice of a batch times a weight (measured by bench/product.c;
 * AVX2, EPYC: 88 GFLOPS against 84 for 64 x 784 x 128, 91 against 75 for 64 x 128 x 128, of 98 at most). */
#include "ops/product.h"

#include <string.h>

#include "ops/nn_util.h"
#include "ops/tile.h"

#if defined(__FMA__) && !defined(MOTH_DOUBLE)
#define OWN

/* CHUNK: products between two visits to c, so that a panel fits the first-level cache beside what is read of a (avx512:
 * the second). STRIP: lanes packed at a time: of a wide b, whose rows lie far apart, a panel alone would be one cache
 * line of each. NEAR: elements of b that need no packing. */
enum { CHUNK = 256, STRIP = 64, NEAR = 1 << 14 };

typedef struct tile {
    int64_t n;
    const moth_real *a; /* element (r, k): r a_row + k a_step */
    int64_t a_row, a_step;
    const moth_real *b; /* element (k, lane): k b_step + lane */
    int64_t b_step;
    moth_real *c;
    int64_t c_step;
    bool add; /* to what is in c */
} tile;

static inline int64_t whole_vectors(int64_t lanes)
{
    return (lanes + MOTH_VECTOR - 1) / MOTH_VECTOR * MOTH_VECTOR;
}

static inline __attribute__((always_inline)) void run_tile(const tile *t, int rows, int vectors, int64_t a_row,
                                                           int64_t a_step)
{
    moth_vector acc[MOTH_TILE_ROWS][MOTH_TILE_VECTORS], factor[MOTH_TILE_VECTORS];
    MOTH_UNROLL for (int r = 0; r < rows; r++)
    {
        MOTH_UNROLL for (int v = 0; v < vectors; v++)
        {
            acc[r][v] = (moth_vector){ 0 };
            if (t->add) {
                acc[r][v] = *(const moth_memory_vector *)(t->c + r * t->c_step + v * MOTH_VECTOR);
            }
        }
    }
    const moth_real *a = t->a, *b = t->b;
    for (int64_t k = 0; k < t->n; k++, a += a_step, b += t->b_step) {
        MOTH_UNROLL for (int v = 0; v < vectors; v++)
        {
            factor[v] = *(const moth_memory_vector *)(b + v * MOTH_VECTOR);
        }
        MOTH_UNROLL for (int r = 0; r < rows; r++)
        {
            MOTH_UNROLL for (int v = 0; v < vectors; v++)
            {
                acc[r][v] += a[r * a_row] * factor[v];
            }
        }
    }
    MOTH_UNROLL for (int r = 0; r < rows; r++)
    {
        MOTH_UNROLL for (int v = 0; v < vectors; v++)
        {
            *(moth_memory_vector *)(t->c + r * t->c_step + v * MOTH_VECTOR) = acc[r][v];
        }
    }
}

#define RUN_ROWS(rows_)                                \
    case rows_:                                        \
        if (t->a_step == 1) {                          \
            run_tile(t, rows_, vectors, t->a_row, 1);  \
        } else {                                       \
            run_tile(t, rows_, vectors, 1, t->a_step); \
        }                                              \
        break

static inline __attribute__((always_inline)) void run_rows(const tile *t, int64_t rows, int vectors)
{
    switch (rows) {
        RUN_ROWS(1);
        RUN_ROWS(2);
        RUN_ROWS(3);
        RUN_ROWS(4);
        RUN_ROWS(5);
    default:
        RUN_ROWS(6);
    }
}

static void run(const tile *t, int64_t rows, int64_t vectors)
{
    switch (vectors) {
    case 1:
        run_rows(t, rows, 1);
        break;
#if MOTH_TILE_VECTORS == 4
    case 3:
        run_rows(t, rows, 3);
        break;
    case 4:
        run_rows(t, rows, 4);
        break;
#endif
    default:
        run_rows(t, rows, 2);
        break;
    }
}

/* A tile whose last vector reaches beyond the lanes of c works on a copy. */
static void run_ragged(const tile *t, int64_t rows, int64_t lanes)
{
    moth_real spill[MOTH_TILE_ROWS * MOTH_LANES_MAX] = { 0 };
    tile copy = *t;
    copy.c = spill;
    copy.c_step = MOTH_LANES_MAX;
    for (int64_t r = 0; t->add && r < rows; r++) {
        memcpy(spill + r * MOTH_LANES_MAX, t->c + r * t->c_step, (size_t)lanes * sizeof *spill);
    }
    run(&copy, rows, whole_vectors(lanes) / MOTH_VECTOR);
    for (int64_t r = 0; r < rows; r++) {
        memcpy(t->c + r * t->c_step, spill + r * MOTH_LANES_MAX, (size_t)lanes * sizeof *spill);
    }
}

/* Panel after panel, in each to[k, l] = b[k, l]. Row after row: what is read lies together. */
static void pack_rows(moth_real *to, const moth_real *b, int64_t ldb, int64_t n, int64_t lanes)
{
    int64_t whole = lanes / MOTH_LANES_MAX, rest = lanes % MOTH_LANES_MAX, width = whole_vectors(rest);
    moth_real *last = to + whole * n * MOTH_LANES_MAX;
    memset(last, 0, (size_t)(n * width) * sizeof *to);
    for (int64_t k = 0; k < n; k++, b += ldb) {
        for (int64_t p = 0; p < whole; p++) {
            memcpy(to + (p * n + k) * MOTH_LANES_MAX, b + p * MOTH_LANES_MAX, MOTH_LANES_MAX * sizeof *to);
        }
        for (int64_t l = 0; l < rest; l++) {
            last[k * width + l] = b[whole * MOTH_LANES_MAX + l];
        }
    }
}

/* The first, and the second halves of x and y, one element of each in turn. */
#if MOTH_VECTOR_BYTES == 64
#define FIRST_HALVES(x, y) __builtin_shufflevector(x, y, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define SECOND_HALVES(x, y) __builtin_shufflevector(x, y, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#else
#define FIRST_HALVES(x, y) __builtin_shufflevector(x, y, 0, 8, 1, 9, 2, 10, 3, 11)
#define SECOND_HALVES(x, y) __builtin_shufflevector(x, y, 4, 12, 5, 13, 6, 14, 7, 15)
#endif

/* A square of as many rows as a vector has lanes. Weaving the upper half of the rows with the lower one turns row
 * numbers into lane numbers, one binary digit a time. */
static inline void transpose_square(moth_real *to, int64_t width, const moth_real *from, int64_t step)
{
    moth_vector row[MOTH_VECTOR], woven[MOTH_VECTOR];
    MOTH_UNROLL for (int i = 0; i < MOTH_VECTOR; i++)
    {
        row[i] = *(const moth_memory_vector *)(from + i * step);
    }
    MOTH_UNROLL for (int digit = 1; digit < MOTH_VECTOR; digit *= 2)
    {
        MOTH_UNROLL for (int i = 0; i < MOTH_VECTOR / 2; i++)
        {
            woven[2 * i] = FIRST_HALVES(row[i], row[i + MOTH_VECTOR / 2]);
            woven[2 * i + 1] = SECOND_HALVES(row[i], row[i + MOTH_VECTOR / 2]);
        }
        MOTH_UNROLL for (int i = 0; i < MOTH_VECTOR; i++)
        {
            row[i] = woven[i];
        }
    }
    MOTH_UNROLL for (int i = 0; i < MOTH_VECTOR; i++)
    {
        *(moth_memory_vector *)(to + i * width) = row[i];
    }
}

/* One panel, to[k, l] = b[l, k]. */
static void pack_columns_panel(moth_real *to, const moth_real *b, int64_t ldb, int64_t n, int64_t lanes)
{
    int64_t width = whole_vectors(lanes);
    for (int64_t first = 0; first < width; first += MOTH_VECTOR, to += MOTH_VECTOR, b += MOTH_VECTOR * ldb) {
        int64_t used = min64(MOTH_VECTOR, lanes - first), k = 0;
        for (; used == MOTH_VECTOR && k + MOTH_VECTOR <= n; k += MOTH_VECTOR) {
            transpose_square(to + k * width, width, b + k, ldb);
        }
        for (; k < n; k++) {
            for (int64_t l = 0; l < MOTH_VECTOR; l++) {
                to[k * width + l] = l < used ? b[l * ldb + k] : 0;
            }
        }
    }
}

static void pack_columns(moth_real *to, const moth_real *b, int64_t ldb, int64_t n, int64_t lanes)
{
    for (int64_t lane = 0; lane < lanes; lane += MOTH_LANES_MAX) {
        pack_columns_panel(to + lane * n, b + lane * ldb, ldb, n, min64(MOTH_LANES_MAX, lanes - lane));
    }
}

/* All rows of c in the lanes of one panel; t: at row 0. */
static void run_panel(tile t, int64_t m, int64_t lanes)
{
    for (int64_t row = 0; row < m; row += MOTH_TILE_ROWS) {
        int64_t rows = min64(MOTH_TILE_ROWS, m - row);
        if (lanes % MOTH_VECTOR) {
            run_ragged(&t, rows, lanes);
        } else {
            run(&t, rows, lanes / MOTH_VECTOR);
        }
        t.a += MOTH_TILE_ROWS * t.a_row;
        t.c += MOTH_TILE_ROWS * t.c_step;
    }
}

/* All rows of c in the lanes of a strip; t: at row 0 and lane 0, with b as it lies or NULL: packed. */
static void run_strip(tile t, const moth_real *packed, int64_t m, int64_t lanes)
{
    moth_real *c = t.c;
    const moth_real *b = t.b;
    for (int64_t lane = 0; lane < lanes; lane += MOTH_LANES_MAX) {
        int64_t used = min64(MOTH_LANES_MAX, lanes - lane);
        t.c = c + lane;
        t.b = b ? b + lane : packed + lane * t.n;
        t.b_step = b ? t.b_step : whole_vectors(used);
        run_panel(t, m, used);
    }
}

static void own_product(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const moth_real *a, int64_t lda,
                        const moth_real *b, int64_t ldb, moth_real beta, moth_real *c, int64_t ldc)
{
    _Alignas(MOTH_VECTOR_BYTES) moth_real packed[CHUNK * STRIP];
    int64_t chunks = (k + CHUNK - 1) / CHUNK, chunk = (k + chunks - 1) / chunks;
    /* Packed, b would be read once; or it is in the first-level cache almost as well without. */
    bool as_it_lies = !trans_b && n % MOTH_VECTOR == 0 && (m <= MOTH_TILE_ROWS || k * ldb <= NEAR);
    tile t = { .a_row = trans_a ? 1 : lda, .a_step = trans_a ? lda : 1, .c_step = ldc };
    for (int64_t k0 = 0; k0 < k; k0 += chunk) {
        t.n = min64(chunk, k - k0);
        t.a = a + k0 * t.a_step;
        t.add = k0 > 0 || beta != 0;
        for (int64_t lane = 0; lane < n; lane += STRIP) {
            const moth_real *from = b + (trans_b ? lane * ldb + k0 : k0 * ldb + lane);
            int64_t lanes = min64(STRIP, n - lane);
            if (!as_it_lies) {
                (trans_b ? pack_columns : pack_rows)(packed, from, ldb, t.n, lanes);
            }
            t.c = c + lane;
            t.b = as_it_lies ? from : NULL;
            t.b_step = ldb;
            run_strip(t, packed, m, lanes);
        }
    }
}
#endif

void MOTH_PRODUCT(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const moth_real *a, int64_t lda,
                  const moth_real *b, int64_t ldb, moth_real beta, moth_real *c, int64_t ldc)
{
#ifdef OWN
    if (m > 0 && k > 0 && n < MOTH_PRODUCT_LARGE / k) {
        own_product(trans_a, trans_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
        return;
    }
#endif
    for (int64_t r = 0; r < m; r += MOTH_ROW_TILE) {
        moth_gemm(trans_a, trans_b, min64(MOTH_ROW_TILE, m - r), n, k, a + (trans_a ? r : r * lda), lda, b, ldb, beta,
                  c + r * ldc, ldc);
    }
}
