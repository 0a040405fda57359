/* batch_norm: normalization of each column by its moments over the batch (Ioffe and Szegedy 2015, arXiv:1502.03167).
 *
 *   x (…, C), gamma (C) or absent, beta (C) or absent -> y (…, C), mean (C), var (C)
 *   mean, var = moments over all dims but the last, var divided by n; y = (x - mean) / sqrt(var + epsilon) gamma + beta
 *
 * The moments of a piece of the batch are taken in two passes while it lies in cache, the second of which corrects the
 * first; pieces are joined in order by the rule of Chan, Golub and LeVeque (1979). Never E[x^2] - E[x]^2.
 *
 *   dx = gamma rstd (dy - sum dy / n - xhat sum(dy xhat) / n) + dmean / n + 2 dvar (x - mean) / n
 *   dbeta = sum dy, dgamma = sum dy xhat */
#include <string.h>

#include "ops/norm.h"

enum { X, GAMMA, BETA };
enum { Y, MEAN, VAR };

static moth_status batch_norm_infer(moth_infer *q)
{
    MOTH_TRY(moth_norm_infer(q));
    for (int k = MEAN; k <= VAR; k++) {
        q->out[k].dtype = MOTH_FLOAT32;
        q->out[k].rank = 1;
        q->out[k].shape[0] = q->in[X]->shape[q->in[X]->rank - 1];
    }
    return MOTH_OK;
}

MOTH_NORM_SUMS(add_deviations, v - mean[j], (v - mean[j]) * (v - mean[j]))

/* Moments of one piece: mean[c], and the sum of squared deviations from it. */
static void piece_moments(const moth_real *x, int64_t n, int64_t columns, moth_real *scratch, double *mean, double *m2)
{
    moth_real *centre = scratch, *first = centre + columns, *second = first + columns;
    memset(scratch, 0, (size_t)(3 * columns) * sizeof *scratch);
    moth_add_columns(x, columns, n, columns, centre);
    for (int64_t c = 0; c < columns; c++) {
        centre[c] /= (moth_real)n;
    }
    add_deviations(n, columns, x, x, centre, centre, false, first, second);
    for (int64_t c = 0; c < columns; c++) {
        double d = (double)first[c], squares = (double)second[c] - d * d / (double)n;
        mean[c] = (double)centre[c] + d / (double)n;
        m2[c] = squares < 0 ? 0 : squares; /* of equal elements it may be -0.00…1 */
    }
}

/* Joins the moments of all pieces for columns from .. to-1. */
static void join_moments(const moth_call *call, const moth_norm_cut *t, int64_t from, int64_t to)
{
    const double *parts = (const double *)(const void *)call->shared;
    for (int64_t c = from; c < to; c++) {
        double n = 0, mean = 0, m2 = 0;
        for (int64_t p = 0; p < t->pieces; p++) {
            double rows = (double)min64(t->piece_rows, t->rows - p * t->piece_rows);
            double delta = parts[2 * p * t->columns + c] - mean;
            m2 += parts[(2 * p + 1) * t->columns + c] + delta * delta * n * rows / (n + rows);
            mean += delta * rows / (n + rows);
            n += rows;
        }
        reals(&call->out[MEAN])[c] = (moth_real)mean;
        reals(&call->out[VAR])[c] = (moth_real)(n > 0 ? m2 / n : 0);
    }
}

static bool batch_norm_piece(const moth_call *call, int phase, int64_t p, moth_worker *worker)
{
    moth_norm_cut t = moth_norm_cut_of(&call->in[X]);
    if (phase == 1) {
        join_moments(call, &t, p * MOTH_NORM_ADD, min64(t.columns, (p + 1) * MOTH_NORM_ADD));
        return true;
    }
    moth_real *scratch = (moth_real *)(void *)worker->scratch;
    int64_t first = p * t.piece_rows, n = min64(t.piece_rows, t.rows - first);
    const moth_real *x = reals(&call->in[X]) + first * t.columns;
    if (phase == 0) {
        double *mean = (double *)(void *)call->shared + 2 * p * t.columns;
        piece_moments(x, n, t.columns, scratch, mean, mean + t.columns);
    } else {
        moth_norm_fill_scale(call, reals(&call->out[VAR]), moth_norm_vector(call, GAMMA), moth_norm_vector(call, BETA),
                             t.columns, scratch);
        moth_normalize(n, t.columns, x, reals(&call->out[MEAN]), scratch, scratch + t.columns,
                       reals(&call->out[Y]) + first * t.columns);
    }
    return true;
}

static size_t batch_norm_shared(const moth_call *call)
{
    moth_norm_cut t = moth_norm_cut_of(&call->in[X]);
    return (size_t)(2 * t.pieces * t.columns) * sizeof(double);
}

/* ---- gradient ---- */

/* in: x, mean, var; where they are there: gamma, dy, sum dy, sum dy xhat, dmean, dvar. -> dx */
enum { DX_X, DX_MEAN, DX_VAR, DX_GAMMA, DX_DY, DX_SUM, DX_PRODUCT, DX_DMEAN, DX_DVAR, DX_INPUTS };

static bool dx_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)attrs;
    (void)in;
    (void)out;
    return i != DX_X && i != DX_DY;
}

/* dx = scale dy + slope (x - mean) + shift */
static void fill_coefficients(const moth_call *call, int64_t columns, moth_real *scale)
{
    moth_norm_cut t = moth_norm_cut_of(&call->in[DX_X]);
    const moth_real *sum = moth_norm_vector(call, DX_SUM), *product = moth_norm_vector(call, DX_PRODUCT);
    const moth_real *dmean = moth_norm_vector(call, DX_DMEAN), *dvar = moth_norm_vector(call, DX_DVAR);
    double n = (double)t.rows;
    for (int64_t c = 0; c < columns; c++) {
        double a = (double)moth_norm_scale(call->attrs, reals(&call->in[DX_VAR]), moth_norm_vector(call, DX_GAMMA), c);
        double rstd = (double)moth_norm_scale(call->attrs, reals(&call->in[DX_VAR]), NULL, c);
        double slope = (dvar ? 2 * (double)dvar[c] : 0) - (product ? a * rstd * (double)product[c] : 0);
        double shift = (dmean ? (double)dmean[c] : 0) - (sum ? a * (double)sum[c] : 0);
        scale[c] = (moth_real)a;
        scale[columns + c] = (moth_real)(slope / n);
        scale[2 * columns + c] = (moth_real)(shift / n);
    }
}

static bool dx_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    int64_t columns = moth_norm_columns(&call->in[DX_X]), row = row_elements(&call->in[DX_X]);
    moth_real *scale = (moth_real *)(void *)worker->scratch, *slope = scale + columns, *shift = slope + columns;
    const moth_real *mean = reals(&call->in[DX_MEAN]), *dy = moth_norm_vector(call, DX_DY);
    fill_coefficients(call, columns, scale);
    for (int64_t at = r0 * row; at < r1 * row; at += columns) {
        const moth_real *x = reals(&call->in[DX_X]) + at;
        moth_real *dx = reals(&call->out[0]) + at;
        if (dy) {
            for (int64_t c = 0; c < columns; c++) {
                dx[c] = dy[at + c] * scale[c] + ((x[c] - mean[c]) * slope[c] + shift[c]);
            }
        } else {
            for (int64_t c = 0; c < columns; c++) {
                dx[c] = (x[c] - mean[c]) * slope[c] + shift[c];
            }
        }
    }
    return true;
}

static const moth_op batch_norm_dx = {
    .name = "batch_norm_dx",
    .min_in = DX_GAMMA,
    .max_in = DX_INPUTS,
    .n_out = 1,
    .infer = infer_like_first,
    .rows = dx_rows,
    .whole = dx_whole,
    .worker_scratch = moth_norm_three_rows,
    .nodiff = "second derivatives are not supported",
};

static void batch_norm_gradient(moth_grad *g)
{
    moth_tensor *sums[2] = { NULL, NULL };
    moth_norm_emit_sums(g, g->y[MEAN], g->y[VAR], sums);
    if (g->need[X]) {
        moth_tensor *const in[DX_INPUTS] = {
            [DX_X] = g->x[X],       [DX_MEAN] = g->y[MEAN],
            [DX_VAR] = g->y[VAR],   [DX_GAMMA] = grad_has(g, GAMMA) ? g->x[GAMMA] : NULL,
            [DX_DY] = g->dy[Y],     [DX_SUM] = sums[0],
            [DX_PRODUCT] = sums[1], [DX_DMEAN] = g->dy[MEAN],
            [DX_DVAR] = g->dy[VAR]
        };
        g->scope->emit(g->scope, &batch_norm_dx, g->attrs, DX_INPUTS, in, &g->dx[X]);
    }
    moth_norm_take_sums(g, GAMMA, BETA, sums);
}

static const moth_case batch_norm_cases[] = {
    { .in = { MOTH_REAL(2, 5, 3), MOTH_REAL(1, 3), MOTH_REAL(1, 3) }, .n_in = 3, .attrs = { .f = { 1e-3 } } },
    { .in = { MOTH_REALS(-2, 3, 1, 4, 2, 3, 3, 5), MOTH_REAL(1, 5), MOTH_REAL(1, 5) },
      .n_in = 3,
      .attrs = { .f = { 1e-3 } } },
    { .in = { MOTH_REAL(3, 67, 1, 33), MOTH_ABSENT, MOTH_REAL(1, 33) }, .n_in = 3, .attrs = { .f = { 1e-3 } } },
    { .in = { MOTH_REAL(2, 7, 4), MOTH_REAL(1, 4) }, .n_in = 2, .attrs = { .f = { 1e-3 } } },
    { .in = { MOTH_REAL(2, 3, 1) }, .n_in = 1, .attrs = { .f = { 0.5 } } },
    { .in = { MOTH_REAL(2, 1, 2), MOTH_REAL(1, 2), MOTH_REAL(1, 2) }, .n_in = 3, .attrs = { .f = { 0.5 } } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(batch_norm) = {
    .name = "batch_norm",
    .doc =
        "(x - mean) / sqrt(var + epsilon) gamma + beta, with mean and var over all dims but the last as results too.",
    .min_in = 1,
    .max_in = 3,
    .n_out = 3,
    .attrs = moth_norm_attrs,
    .infer = batch_norm_infer,
    .n_phases = 3,
    .pieces = moth_norm_pieces,
    .piece = batch_norm_piece,
    .worker_scratch = moth_norm_three_rows,
    .shared_scratch = batch_norm_shared,
    .gradient = batch_norm_gradient,
    .saves_in = 1u << X | 1u << GAMMA,
    .saves_out = 1u << MEAN | 1u << VAR,
    .cases = MOTH_CASES(batch_norm_cases),
};
