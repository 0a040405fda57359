/* Second moments over dims: var and std (divided by n, as NumPy does) and the Euclidean norm. Two passes in double:
 * the mean first, then the squares of the deviations from it. */
#include "ops/reduce.h"

static const moth_case moment_cases[] = {
    { .in = { MOTH_REALS(-2, 2, 0, 2, 3, 5) }, .n_in = 1 },
    { .in = { MOTH_REALS(-2, 2, 0, 2, 7, 5) }, .n_in = 1, .attrs.i = { 1, 0 } },
    { .in = { MOTH_REALS(-2, 2, 0, 3, 3, 5, 7) }, .n_in = 1, .attrs.i = { 1, 2, [MOTH_REDUCE_KEEPDIM] = 1 } },
    { .in = { MOTH_REALS(-2, 2, 1, 3, 3, 5, 4) }, .n_in = 1, .attrs.i = { 2, 0, 2 } },
    { .in = { MOTH_REALS(-2, 2, 2, 2, 5, 3) }, .n_in = 1, .attrs.i = { 1, -1 } },
    { .n_in = 0 },
};

static void square_columns(int64_t n, double *acc, const double *x, const double *centre)
{
    for (int64_t c = 0; c < n; c++) {
        const double v = x[c] - centre[c];
        acc[c] += v * v;
    }
}

static const moth_reducer square_reducer = { .columns = square_columns,
                                             .run = moth_square_sum_lanes,
                                             .join = moth_sum_join };

static moth_status moment_infer(moth_infer *q)
{
    q->out[0].dtype = MOTH_FLOAT32;
    return moth_reduce_shape(q, 1);
}

/* Sum of squared deviations from the mean (or from 0) times scale, perhaps its root. */
static bool moment_rows(const moth_call *call, int64_t r0, int64_t r1, bool from_mean, bool root)
{
    moth_nest s;
    const moth_arg *in = &call->in[0], *out = &call->out[0];
    double centre[MOTH_REDUCE_CHUNK] = { 0 }, acc[MOTH_REDUCE_CHUNK];
    unsigned mask = moth_reduce_mask(call->attrs, in->rank);
    double count = (double)moth_reduce_count(in, mask);
    if (!moth_nest_open(&s, in, out, mask, r0, r1)) {
        return true;
    }
    do {
        for (int64_t i = 0; i < s.w.n; i += MOTH_REDUCE_CHUNK) {
            int64_t n = s.w.n - i < MOTH_REDUCE_CHUNK ? s.w.n - i : MOTH_REDUCE_CHUNK;
            int64_t at = s.w.at[1] + i * s.w.step[1];
            moth_real *to = (moth_real *)(void *)out->data + s.w.at[0] + i;
            if (from_mean) {
                moth_reduce_chunk(&s, in, at, n, &moth_sum_reducer, NULL, centre);
                for (int64_t c = 0; c < n; c++) {
                    centre[c] /= count;
                }
            }
            moth_reduce_chunk(&s, in, at, n, &square_reducer, centre, acc);
            for (int64_t c = 0; c < n; c++) {
                double y = from_mean ? acc[c] / count : acc[c];
                to[c] = (moth_real)(root ? sqrt(y) : y);
            }
        }
    } while (moth_walk_next(&s.w));
    return true;
}

#define MOMENT_FIELDS(name_, doc_)                                                                       \
    .name = #name_, .doc = doc_, .min_in = 1, .max_in = 1, .n_out = 1, .flags = MOTH_OP_METHOD,          \
    .attrs = moth_reduce_attrs, .infer = moment_infer, .whole = moth_reduce_whole, .rows = name_##_rows, \
    .strided_in = 1, .gradient = name_##_gradient, .cases = MOTH_CASES(moment_cases)

/* d / v, and 0 where v is 0: a constant input has no direction in which its deviation grows first */
MOTH_UNARY_GRAD(ratio, v == 0 ? 0 : d / v)

static moth_tensor *emit_deviation(moth_grad *g)
{
    moth_attrs keep = *g->attrs;
    keep.i[MOTH_REDUCE_KEEPDIM] = 1;
    moth_tensor *mean = MOTH_EMIT(g->scope, &MOTH_OP(mean), &keep, g->x[0]);
    return MOTH_EMIT(g->scope, &MOTH_OP(sub), NULL, g->x[0], mean);
}

/* ---- var: dx = dy 2/n (x - mean) ---- */

static bool var_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    return moment_rows(call, r0, r1, true, false);
}

static void var_gradient(moth_grad *g)
{
    moth_tensor *scale = MOTH_EMIT_SPREAD(g, g->dy[0], 2, true);
    g->dx[0] = MOTH_EMIT(g->scope, &MOTH_OP(mul), NULL, scale, emit_deviation(g));
}

const moth_op MOTH_OP(var) = { MOMENT_FIELDS(var, "mean of (x - mean)^2 over dims (all by default)"), .saves_in = 1 };

/* ---- std: dx = dy / (n y) (x - mean) ---- */

static bool std_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    return moment_rows(call, r0, r1, true, true);
}

static void std_gradient(moth_grad *g)
{
    moth_tensor *ratio = MOTH_EMIT(g->scope, &ratio_grad, NULL, g->dy[0], g->y[0]);
    moth_tensor *scale = MOTH_EMIT_SPREAD(g, ratio, 1, true);
    g->dx[0] = MOTH_EMIT(g->scope, &MOTH_OP(mul), NULL, scale, emit_deviation(g));
}

const moth_op MOTH_OP(std) = { MOMENT_FIELDS(std, "square root of var"), .saves_in = 1, .saves_out = 1 };

/* ---- norm: dx = dy x / y ---- */

static bool norm_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    (void)worker;
    return moment_rows(call, r0, r1, false, true);
}

static void norm_gradient(moth_grad *g)
{
    moth_tensor *ratio = MOTH_EMIT(g->scope, &ratio_grad, NULL, g->dy[0], g->y[0]);
    moth_tensor *scale = MOTH_EMIT_SPREAD(g, ratio, 1, false);
    g->dx[0] = MOTH_EMIT(g->scope, &MOTH_OP(mul), NULL, scale, g->x[0]);
}

const moth_op MOTH_OP(norm) = { MOMENT_FIELDS(norm, "square root of the sum of x^2 over dims (all by default)"),
                                .saves_in = 1, .saves_out = 1 };
