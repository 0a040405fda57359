/* layer_norm: normalization of each row over its last dim (Ba, Kiros and Hinton 2016, arXiv:1607.06450).
 *
 *   x (…, N), gamma (N) or absent, beta (N) or absent -> y (…, N); hidden: mean (…), rstd (…)
 *   y = xhat gamma + beta, xhat = (x - mean) rstd, rstd = 1 / sqrt(var + epsilon), moments over the last dim, var
 *   divided by N and taken from the deviations
 *
 * With g = dy gamma: dx = rstd (g - mean g - xhat mean(g xhat)), by rows; dbeta = sum dy, dgamma = sum dy xhat over the
 * whole batch, in pieces. */
#include "ops/norm.h"

enum { X, GAMMA, BETA };
enum { Y, MEAN, RSTD };

enum { LANES = 16 }; /* independent partial sums: vector code without reordering of additions */

static double sum_lanes(const moth_real *lane)
{
    double sum = 0;
    for (int k = 0; k < LANES; k++) {
        sum += (double)lane[k];
    }
    return sum;
}

/* Mean of a row, and its mean squared deviation from that. */
static void row_moments(int64_t n, const moth_real *x, double *mean, double *var)
{
    moth_real lane[LANES] = { 0 }, square[LANES] = { 0 };
    int64_t whole = n - n % LANES;
    for (int64_t i = 0; i < whole; i += LANES) {
        for (int k = 0; k < LANES; k++) {
            lane[k] += x[i + k];
        }
    }
    for (int64_t i = whole; i < n; i++) {
        lane[i - whole] += x[i];
    }
    *mean = sum_lanes(lane) / (double)n;
    const moth_real centre = (moth_real)*mean;
    for (int64_t i = 0; i < whole; i += LANES) {
        for (int k = 0; k < LANES; k++) {
            square[k] += (x[i + k] - centre) * (x[i + k] - centre);
        }
    }
    for (int64_t i = whole; i < n; i++) {
        square[i - whole] += (x[i] - centre) * (x[i] - centre);
    }
    *var = sum_lanes(square) / (double)n;
}

/* Means over a row of g and of g xhat, with g = dy gamma. */
static void row_products(int64_t n, const moth_real *x, const moth_real *dy, const moth_real *gamma, moth_real mean,
                         moth_real rstd, double *g_mean, double *product_mean)
{
    moth_real lane[LANES] = { 0 }, product[LANES] = { 0 };
    int64_t whole = n - n % LANES;
    for (int64_t i = 0; i < whole; i += LANES) {
        for (int k = 0; k < LANES; k++) {
            const moth_real g = dy[i + k] * gamma[i + k];
            lane[k] += g;
            product[k] += g * ((x[i + k] - mean) * rstd);
        }
    }
    for (int64_t i = whole; i < n; i++) {
        const moth_real g = dy[i] * gamma[i];
        lane[i - whole] += g;
        product[i - whole] += g * ((x[i] - mean) * rstd);
    }
    *g_mean = sum_lanes(lane) / (double)n;
    *product_mean = sum_lanes(product) / (double)n;
}

/* Scale and shift as they are, or ones and zeros. */
static void fill_vectors(const moth_real *gamma, const moth_real *beta, int64_t n, moth_real *to)
{
    for (int64_t i = 0; i < n; i++) {
        to[i] = gamma ? gamma[i] : 1;
        to[n + i] = beta ? beta[i] : 0;
    }
}

static moth_status layer_norm_infer(moth_infer *q)
{
    MOTH_TRY(moth_norm_infer(q));
    for (int k = MEAN; k <= RSTD; k++) {
        out_like(&q->out[k], q->in[X]);
        q->out[k].rank--;
    }
    return MOTH_OK;
}

static bool layer_norm_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    int64_t n = moth_norm_columns(&call->in[X]), per_row = row_elements(&call->out[MEAN]);
    moth_real *gamma = (moth_real *)(void *)worker->scratch, *beta = gamma + n;
    fill_vectors(moth_norm_vector(call, GAMMA), moth_norm_vector(call, BETA), n, gamma);
    for (int64_t r = r0 * per_row; r < r1 * per_row; r++) {
        const moth_real *x = reals(&call->in[X]) + r * n;
        moth_real *y = reals(&call->out[Y]) + r * n;
        double mean, var;
        row_moments(n, x, &mean, &var);
        const moth_real centre = (moth_real)mean;
        const moth_real rstd = (moth_real)(1 / sqrt(var + call->attrs->f[MOTH_NORM_EPSILON]));
        for (int64_t i = 0; i < n; i++) {
            y[i] = (x[i] - centre) * rstd * gamma[i] + beta[i];
        }
        reals(&call->out[MEAN])[r] = centre;
        reals(&call->out[RSTD])[r] = rstd;
    }
    return true;
}

/* ---- gradient ---- */

/* x, dy, mean, rstd, gamma or absent -> dx */
static bool dx_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    int64_t n = moth_norm_columns(&call->in[0]), per_row = row_elements(&call->in[2]);
    moth_real *gamma = (moth_real *)(void *)worker->scratch;
    fill_vectors(moth_norm_vector(call, 4), NULL, n, gamma);
    for (int64_t r = r0 * per_row; r < r1 * per_row; r++) {
        const moth_real *x = reals(&call->in[0]) + r * n, *dy = reals(&call->in[1]) + r * n;
        const moth_real mean = reals(&call->in[2])[r], rstd = reals(&call->in[3])[r];
        moth_real *dx = reals(&call->out[0]) + r * n;
        double g_mean, product_mean;
        row_products(n, x, dy, gamma, mean, rstd, &g_mean, &product_mean);
        const moth_real shift = (moth_real)g_mean, slope = (moth_real)product_mean;
        for (int64_t i = 0; i < n; i++) {
            dx[i] = rstd * (dy[i] * gamma[i] - shift - (x[i] - mean) * rstd * slope);
        }
    }
    return true;
}

static bool dx_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)attrs;
    (void)in;
    (void)out;
    return i == 4;
}

static const moth_op layer_norm_dx = {
    .name = "layer_norm_dx",
    .min_in = 4,
    .max_in = 5,
    .n_out = 1,
    .infer = infer_like_first,
    .rows = dx_rows,
    .whole = dx_whole,
    .worker_scratch = moth_norm_three_rows,
    .nodiff = "second derivatives are not supported",
};

MOTH_NORM_SUMS(add_products, d, (v - mean[r]) * rstd[r] * d)

/* x, dy, mean, rstd -> sum dy, sum dy xhat */
static bool sums_piece(const moth_call *call, int phase, int64_t p, moth_worker *worker)
{
    (void)worker;
    moth_norm_cut t = moth_norm_cut_of(&call->in[0]);
    const moth_real *parts = (const moth_real *)(const void *)call->shared;
    if (phase == 0) {
        moth_norm_add_piece(call, p, add_products, true);
        return true;
    }
    int64_t end = min64(t.columns, (p + 1) * MOTH_NORM_ADD);
    for (int64_t c = p * MOTH_NORM_ADD; c < end; c++) {
        reals(&call->out[0])[c] = (moth_real)moth_norm_join(parts, &t, c);
        reals(&call->out[1])[c] = (moth_real)moth_norm_join(parts, &t, t.columns + c);
    }
    return true;
}

static const moth_op layer_norm_sums = {
    .name = "layer_norm_sums",
    .min_in = 4,
    .max_in = 4,
    .n_out = 2,
    .infer = moth_norm_infer_sums,
    .n_phases = 2,
    .pieces = moth_norm_pieces,
    .piece = sums_piece,
    .shared_scratch = moth_norm_shared,
    .nodiff = "second derivatives are not supported",
};

static void layer_norm_gradient(moth_grad *g)
{
    bool gamma = grad_has(g, GAMMA), beta = grad_has(g, BETA);
    moth_tensor *const in[5] = { g->x[X], g->dy[Y], g->y[MEAN], g->y[RSTD], gamma ? g->x[GAMMA] : NULL };
    if (g->need[X]) {
        g->scope->emit(g->scope, &layer_norm_dx, g->attrs, 5, in, &g->dx[X]);
    }
    if ((gamma && g->need[GAMMA]) || (beta && g->need[BETA])) {
        moth_tensor *sums[2] = { NULL, NULL };
        g->scope->emit(g->scope, &layer_norm_sums, g->attrs, 4, in, sums);
        moth_norm_take_sums(g, GAMMA, BETA, sums);
    }
}

static const moth_case layer_norm_cases[] = {
    { .in = { MOTH_REAL(2, 5, 3), MOTH_REAL(1, 3), MOTH_REAL(1, 3) }, .n_in = 3, .attrs = { .f = { 1e-3 } } },
    { .in = { MOTH_REALS(-2, 3, 1, 3, 2, 3, 37), MOTH_REAL(1, 37), MOTH_REAL(1, 37) },
      .n_in = 3,
      .attrs = { .f = { 1e-3 } } },
    { .in = { MOTH_REAL(3, 67, 2, 17), MOTH_ABSENT, MOTH_REAL(1, 17) }, .n_in = 3, .attrs = { .f = { 1e-3 } } },
    { .in = { MOTH_REAL(2, 7, 32), MOTH_REAL(1, 32) }, .n_in = 2, .attrs = { .f = { 1e-3 } } },
    { .in = { MOTH_REAL(4, 1, 2, 1, 4) }, .n_in = 1, .attrs = { .f = { 1e-3 } } },
    { .in = { MOTH_REAL(2, 1, 2), MOTH_REAL(1, 2), MOTH_REAL(1, 2) }, .n_in = 3, .attrs = { .f = { 0.5 } } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(layer_norm) = {
    .name = "layer_norm",
    .doc = "(x - mean) / sqrt(var + epsilon) gamma + beta, with mean and var of each row over its last dim.",
    .min_in = 1,
    .max_in = 3,
    .n_out = 3,
    .n_visible = 1,
    .attrs = moth_norm_attrs,
    .infer = layer_norm_infer,
    .rows = layer_norm_rows,
    .whole = whole_but_first,
    .worker_scratch = moth_norm_three_rows,
    .gradient = layer_norm_gradient,
    .saves_in = 1u << X | 1u << GAMMA,
    .saves_out = 1u << MEAN | 1u << RSTD,
    .cases = MOTH_CASES(layer_norm_cases),
};
