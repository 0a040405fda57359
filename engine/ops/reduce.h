/* What reductions share: which dims go, how the input is walked, and sums in double over blocks.
 *
 * The dims of a reduction lie in i[0] (their number; 0 means all) and i[1..8]; i[10] says whether they stay as 1.
 * Each output element is computed by an order that depends on shapes and strides only, never on how rows are cut. */
#ifndef MOTH_OPS_REDUCE_H
#define MOTH_OPS_REDUCE_H

#include "ops/elementwise.h"

enum {
    MOTH_REDUCE_DIMS = 0,
    MOTH_REDUCE_KEEPDIM = 10,
    MOTH_REDUCE_CHUNK = 256 /* outputs, or elements of a run, treated at a time */
};

/* ---- shapes (common/nest.c) ---- */

extern const moth_attr_spec moth_reduce_attrs[]; /* dims, keepdim; both optional */

/* Bit d: dim d of an input of the given rank is reduced. Dims are normalized (0-based, no negatives). */
unsigned moth_reduce_mask(const moth_attrs *attrs, int rank);

/* Normalizes the dims, fails on doubles, sets the shape of the first `n_out` outputs. */
moth_status moth_reduce_shape(moth_infer *q, int n_out);

/* Only a reduction of dim 0 needs the whole input for a row. */
bool moth_reduce_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i);

/* Strides by which a reduced operand (its reduced dims gone, or 1) is walked along the unreduced shape. */
void moth_reduced_strides(const moth_arg *full, const moth_arg *reduced, unsigned mask, int64_t stride[MOTH_MAX_RANK]);

/* Elements that make one output. */
int64_t moth_reduce_count(const moth_arg *in, unsigned mask);

/* Outputs r0 .. r1-1 of dim 0 in lines (operand 0: output, operand 1: first input element of it), and the reduced
 * dims that belong to each of them. */
typedef struct moth_nest {
    moth_walk w;
    int rank; /* reduced dims, joined where possible; at least 1 */
    int64_t shape[MOTH_MAX_RANK], stride[MOTH_MAX_RANK];
    bool columns; /* neighbours in the input belong to neighbouring outputs: many outputs at a time */
} moth_nest;

bool moth_nest_open(moth_nest *s, const moth_arg *in, const moth_arg *out, unsigned mask, int64_t r0, int64_t r1);

/* Advances index over the first `rank` reduced dims and *at with it; false at the end. */
bool moth_nest_next(const moth_nest *s, int rank, int64_t *index, int64_t *at);

/* Emits `spread`: reduced (of the shape of an output of the op) laid out over x[0], times factor, over the number of
 * elements that make one output when `mean`. Reads the dims of the reduction from g->attrs. */
moth_tensor *MOTH_PASTE(moth_emit_spread, MOTH_VARIANT)(moth_grad *g, moth_tensor *reduced, double factor, bool mean);
#define MOTH_EMIT_SPREAD MOTH_PASTE(moth_emit_spread, MOTH_VARIANT)

/* ---- sums and the like, in double ---- */

typedef struct moth_reducer {
    double start;
    /* acc[c] joined with x[c]; centre[c] is subtracted where the reducer looks at deviations */
    void (*columns)(int64_t n, double *acc, const double *x, const double *centre);
    double (*run)(int64_t n, const double *x, double centre); /* of n elements of one output */
    double (*join)(double a, double b);                       /* of two such results */
    /* the same without conversion to double first, where that pays; may be NULL */
    void (*columns_real)(int64_t n, double *acc, const moth_real *x);
    double (*run_real)(int64_t n, const moth_real *x);
} moth_reducer;

MOTH_DEFINE_FETCH(moth_fetch_converted, double, (moth_dtype)-1)

__attribute__((unused)) static void moth_reduce_columns(const moth_nest *s, const moth_arg *in, int64_t at, int64_t n,
                                                        const moth_reducer *f, const double *centre, double *acc)
{
    double buffer[MOTH_REDUCE_CHUNK];
    int64_t index[MOTH_MAX_RANK] = { 0 };
    bool direct = f->columns_real && in->dtype == MOTH_FLOAT32 && (s->w.step[1] == 1 || n == 1);
    do {
        if (direct) {
            f->columns_real(n, acc, (const moth_real *)(const void *)in->data + at);
        } else {
            f->columns(n, acc, moth_fetch_converted(in, at, s->w.step[1], n, buffer), centre);
        }
    } while (moth_nest_next(s, s->rank, index, &at));
}

__attribute__((unused)) static double moth_reduce_one(const moth_nest *s, const moth_arg *in, int64_t at,
                                                      const moth_reducer *f, double centre)
{
    double buffer[MOTH_REDUCE_CHUNK];
    int64_t index[MOTH_MAX_RANK] = { 0 };
    int64_t length = s->shape[s->rank - 1], step = s->stride[s->rank - 1];
    bool direct = f->run_real && in->dtype == MOTH_FLOAT32 && step == 1;
    double acc = f->start;
    do {
        for (int64_t i = 0; i < length; i += MOTH_REDUCE_CHUNK) {
            int64_t n = length - i < MOTH_REDUCE_CHUNK ? length - i : MOTH_REDUCE_CHUNK;
            double part = direct ? f->run_real(n, (const moth_real *)(const void *)in->data + at + i)
                                 : f->run(n, moth_fetch_converted(in, at + i * step, step, n, buffer), centre);
            acc = f->join(acc, part);
        }
    } while (moth_nest_next(s, s->rank - 1, index, &at));
    return acc;
}

/* gcc would clone what follows for every reducer: 50 KB a kernel variant, for calls that each do a block of work. */
#ifdef __clang__
#define MOTH_ONE_COPY __attribute__((unused, noinline))
#else
#define MOTH_ONE_COPY __attribute__((unused, noinline, noclone))
#endif

/* n <= MOTH_REDUCE_CHUNK outputs of a line, the first at input element `at`. centre may be NULL. */
MOTH_ONE_COPY static void moth_reduce_chunk(const moth_nest *s, const moth_arg *in, int64_t at, int64_t n,
                                            const moth_reducer *f, const double *centre, double *acc)
{
    for (int64_t c = 0; c < n; c++) {
        acc[c] = f->start;
    }
    for (int d = 0; d < s->rank; d++) {
        if (s->shape[d] == 0) {
            return;
        }
    }
    if (s->columns) {
        moth_reduce_columns(s, in, at, n, f, centre, acc);
        return;
    }
    for (int64_t c = 0; c < n; c++) {
        acc[c] = moth_reduce_one(s, in, at + c * s->w.step[1], f, centre ? centre[c] : 0);
    }
}

/* ---- the reducers ---- */

#define MOTH_LANES 8 /* independent partial sums: vector code without reordering of additions */

#define MOTH_DEFINE_SUM_RUN(name, T, term)                                                                \
    static inline double name##_lanes(int64_t n, const T *x, double centre)                               \
    {                                                                                                     \
        double lane[MOTH_LANES] = { 0 };                                                                  \
        int64_t i = 0;                                                                                    \
        (void)centre;                                                                                     \
        for (; i + MOTH_LANES <= n; i += MOTH_LANES) {                                                    \
            for (int k = 0; k < MOTH_LANES; k++) {                                                        \
                const double v = (double)x[i + k] - centre;                                               \
                lane[k] += (term);                                                                        \
            }                                                                                             \
        }                                                                                                 \
        for (int k = 0; i < n; i++, k++) {                                                                \
            const double v = (double)x[i] - centre;                                                       \
            lane[k] += (term);                                                                            \
        }                                                                                                 \
        return ((lane[0] + lane[4]) + (lane[1] + lane[5])) + ((lane[2] + lane[6]) + (lane[3] + lane[7])); \
    }

MOTH_DEFINE_SUM_RUN(moth_sum_doubles, double, v)
MOTH_DEFINE_SUM_RUN(moth_sum_reals, moth_real, v)
MOTH_DEFINE_SUM_RUN(moth_square_sum, double, (v * v))

static inline double moth_sum_run(int64_t n, const double *x, double centre)
{
    (void)centre;
    return moth_sum_doubles_lanes(n, x, 0);
}

static inline double moth_sum_run_real(int64_t n, const moth_real *x)
{
    return moth_sum_reals_lanes(n, x, 0);
}

static inline void moth_sum_columns(int64_t n, double *acc, const double *x, const double *centre)
{
    (void)centre;
    for (int64_t c = 0; c < n; c++) {
        acc[c] += x[c];
    }
}

static inline void moth_sum_columns_real(int64_t n, double *acc, const moth_real *x)
{
    for (int64_t c = 0; c < n; c++) {
        acc[c] += (double)x[c];
    }
}

static inline double moth_sum_join(double a, double b)
{
    return a + b;
}

__attribute__((unused)) static const moth_reducer moth_sum_reducer = {
    .columns = moth_sum_columns,
    .run = moth_sum_run,
    .join = moth_sum_join,
    .columns_real = moth_sum_columns_real,
    .run_real = moth_sum_run_real,
};

#endif
