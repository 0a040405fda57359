/* What the normalization ops share: the optional scale and shift, the cut of a whole batch into pieces, and sums over
 * pieces. A tensor (…, C) is seen as rows of C columns. */
#ifndef MOTH_OPS_NORM_H
#define MOTH_OPS_NORM_H

#include <math.h>
#include <string.h>

#include "ops/columns.h"

enum { MOTH_NORM_EPSILON = 0 }; /* slot of f[] */

extern const moth_attr_spec moth_norm_attrs[]; /* epsilon, 1e-3 */

/* x (…, C) with at least 2 dims; the other n - 1 inputs, where they are there, have C entries. */
moth_status moth_norm_infer(moth_infer *q);

/* Two sums for each column of x, where x and dy have one shape. */
moth_status moth_norm_infer_sums(moth_infer *q);

static inline int64_t moth_norm_columns(const moth_arg *x)
{
    return x->shape[x->rank - 1];
}

static inline int64_t moth_norm_rows(const moth_arg *x)
{
    return span(x->shape, 0, x->rank - 1);
}

/* The entries of optional input i, or NULL. */
static inline const moth_real *moth_norm_vector(const moth_call *call, int i)
{
    return call_has(call, i) ? reals(&call->in[i]) : NULL;
}

/* gamma / sqrt(var + epsilon); gamma may be NULL for 1 */
static inline moth_real moth_norm_scale(const moth_attrs *attrs, const moth_real *var, const moth_real *gamma,
                                        int64_t c)
{
    return (moth_real)((gamma ? (double)gamma[c] : 1) / sqrt((double)var[c] + attrs->f[MOTH_NORM_EPSILON]));
}

/* ---- pieces of a whole batch: by shape, each in the second-level cache ---- */

enum {
    MOTH_NORM_PIECE = 1 << 16, /* elements */
    MOTH_NORM_PIECE_ROWS = 64, /* at least */
    MOTH_NORM_BLOCK = 128,     /* rows in one partial sum */
    MOTH_NORM_COLUMNS = 32,    /* columns side by side in registers */
    MOTH_NORM_ADD = 512        /* columns of all pieces that are added as one piece of work */
};

typedef struct moth_norm_cut {
    int64_t rows, columns, piece_rows, pieces;
} moth_norm_cut;

static inline moth_norm_cut moth_norm_cut_of(const moth_arg *x)
{
    moth_norm_cut t = { .rows = moth_norm_rows(x), .columns = moth_norm_columns(x) };
    t.piece_rows = max64(MOTH_NORM_PIECE_ROWS, MOTH_NORM_PIECE / max64(1, t.columns));
    t.pieces = (t.rows + t.piece_rows - 1) / t.piece_rows;
    return t;
}

/* Phase 0 goes by pieces of rows, phase 1 by columns, phase 2 (where there is one) by pieces of rows again. */
static inline int64_t moth_norm_pieces(const moth_call *call, int phase)
{
    moth_norm_cut t = moth_norm_cut_of(&call->in[0]);
    return phase == 1 ? (t.columns + MOTH_NORM_ADD - 1) / MOTH_NORM_ADD : t.pieces;
}

/* Scratch for two sums of each column and piece: piece p has 2 columns numbers from element 2 columns p on. */
static inline size_t moth_norm_shared(const moth_call *call)
{
    moth_norm_cut t = moth_norm_cut_of(&call->in[0]);
    return (size_t)(2 * t.pieces * t.columns) * sizeof(moth_real);
}

/* Sum over the pieces, in order, of their number `at`. */
static inline double moth_norm_join(const moth_real *parts, const moth_norm_cut *t, int64_t at)
{
    double sum = 0;
    for (int64_t p = 0; p < t->pieces; p++) {
        sum += (double)parts[2 * p * t->columns + at];
    }
    return sum;
}

/* Defines a function that adds two terms of every element to two sums of its column, block by block. The terms are
 * expressions in v and d (elements of x and dy), r and j (row, and column) and the statistics mean[] and rstd[]. */
#define MOTH_NORM_SUMS(name, term_a, term_b)                                                                           \
    static inline __attribute__((always_inline)) void name##_block(                                                    \
        int64_t rows, int64_t columns, int64_t stride, const moth_real *x, const moth_real *dy, const moth_real *mean, \
        const moth_real *rstd, moth_real *sum_a, moth_real *sum_b)                                                     \
    {                                                                                                                  \
        moth_real part_a[MOTH_NORM_COLUMNS] = { 0 }, part_b[MOTH_NORM_COLUMNS] = { 0 };                                \
        (void)rstd;                                                                                                    \
        for (int64_t r = 0; r < rows; r++) {                                                                           \
            for (int64_t j = 0; j < columns; j++) {                                                                    \
                const moth_real v = x[r * stride + j], d = dy[r * stride + j];                                         \
                (void)d;                                                                                               \
                part_a[j] += (term_a);                                                                                 \
                part_b[j] += (term_b);                                                                                 \
            }                                                                                                          \
        }                                                                                                              \
        for (int64_t j = 0; j < columns; j++) {                                                                        \
            sum_a[j] += part_a[j];                                                                                     \
            sum_b[j] += part_b[j];                                                                                     \
        }                                                                                                              \
    }                                                                                                                  \
    static void name(int64_t rows, int64_t columns, const moth_real *x, const moth_real *dy, const moth_real *mean,    \
                     const moth_real *rstd, bool by_row, moth_real *sum_a, moth_real *sum_b)                           \
    {                                                                                                                  \
        for (int64_t c = 0; c < columns; c += MOTH_NORM_COLUMNS) {                                                     \
            for (int64_t r = 0; r < rows; r += MOTH_NORM_BLOCK) {                                                      \
                int64_t at = r * columns + c, n = min64(MOTH_NORM_BLOCK, rows - r);                                    \
                const moth_real *m = mean + (by_row ? r : c), *s = by_row ? rstd + r : rstd;                           \
                if (columns - c >= MOTH_NORM_COLUMNS) { /* a constant count, for the vectorizer */                     \
                    name##_block(n, MOTH_NORM_COLUMNS, columns, x + at, dy + at, m, s, sum_a + c, sum_b + c);          \
                } else {                                                                                               \
                    name##_block(n, columns - c, columns, x + at, dy + at, m, s, sum_a + c, sum_b + c);                \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

typedef void (*moth_norm_sums)(int64_t rows, int64_t columns, const moth_real *x, const moth_real *dy,
                               const moth_real *mean, const moth_real *rstd, bool by_row, moth_real *sum_a,
                               moth_real *sum_b);

/* Phase 0 of the sums of a gradient: piece p of x, dy, mean, rstd (inputs 0 to 3; the last two with an entry for each
 * row, or for each column) by a function of MOTH_NORM_SUMS, which is inlined. */
static inline __attribute__((always_inline)) void moth_norm_add_piece(const moth_call *call, int64_t p,
                                                                      moth_norm_sums add, bool by_row)
{
    moth_norm_cut t = moth_norm_cut_of(&call->in[0]);
    int64_t first = p * t.piece_rows, at = first * t.columns, entry = by_row ? first : 0;
    moth_real *sum = (moth_real *)(void *)call->shared + 2 * p * t.columns;
    memset(sum, 0, (size_t)(2 * t.columns) * sizeof *sum);
    add(min64(t.piece_rows, t.rows - first), t.columns, reals(&call->in[0]) + at, reals(&call->in[1]) + at,
        reals(&call->in[2]) + entry, reals(&call->in[3]) + entry, by_row, sum, sum + t.columns);
}

/* ---- one row of coefficients for all rows ---- */

/* y = (x - mean) scale + beta for n rows */
static inline void moth_normalize(int64_t n, int64_t columns, const moth_real *x, const moth_real *restrict mean,
                                  const moth_real *restrict scale, const moth_real *restrict beta,
                                  moth_real *restrict y)
{
    for (int64_t r = 0; r < n; r++, x += columns, y += columns) {
        for (int64_t c = 0; c < columns; c++) {
            y[c] = (x[c] - mean[c]) * scale[c] + beta[c];
        }
    }
}

/* What a worker keeps: three rows of C numbers. */
static inline size_t moth_norm_three_rows(const moth_call *call)
{
    return (size_t)(3 * moth_norm_columns(&call->in[0])) * sizeof(moth_real);
}

/* scale and shift of each column: two of the worker's rows */
static inline void moth_norm_fill_scale(const moth_call *call, const moth_real *var, const moth_real *gamma,
                                        const moth_real *beta, int64_t columns, moth_real *scale)
{
    for (int64_t c = 0; c < columns; c++) {
        scale[c] = moth_norm_scale(call->attrs, var, gamma, c);
        scale[columns + c] = beta ? beta[c] : 0;
    }
}

/* Emits the sums; false where they are not needed or fail. */
static inline bool moth_norm_emit_sums(moth_grad *g, moth_tensor *mean, moth_tensor *var, moth_tensor **sums)
{
    moth_tensor *const in[4] = { g->x[0], g->dy[0], mean, var };
    return g->dy[0] && g->scope->emit(g->scope, &MOTH_OP(batch_norm_sums), g->attrs, 4, in, sums);
}

/* Sum dy is the gradient of input beta, sum dy xhat that of input gamma. */
static inline void moth_norm_take_sums(moth_grad *g, int gamma, int beta, moth_tensor *const *sums)
{
    if (grad_has(g, gamma) && g->need[gamma]) {
        g->dx[gamma] = sums[1];
    }
    if (grad_has(g, beta) && g->need[beta]) {
        g->dx[beta] = sums[0];
    }
}

#endif
