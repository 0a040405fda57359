/* softmax y = e^x / sum e^x and log_softmax y = x - ln sum e^x along a dim (default the last), the largest x subtracted
 * first. Any shape, float32.
 *
 * Saved: y. softmax: dx = y (dy - sum dy y); log_softmax: dx = dy - e^y sum dy. */
#include "ops/nn_util.h"
#include "ops/softmax.h"

enum { SOFTMAX_DIM = 0, CHUNK = 64 /* columns treated side by side */ };

/* Outer blocks of n entries along the dim, `inner` neighbours each. Where the dim is dim 0 itself, the rows wanted are
 * the entries i0 .. i1-1, but all of them take part in the sum. */
typedef struct layout {
    int64_t first, last; /* outer blocks */
    int64_t n, inner;
    int64_t i0, i1;
} layout;

static layout layout_of(const moth_call *call, int64_t r0, int64_t r1)
{
    const moth_arg *out = &call->out[0];
    int dim = (int)call->attrs->i[SOFTMAX_DIM];
    layout l = { .n = out->shape[dim], .inner = span(out->shape, dim + 1, out->rank) };
    int64_t outer = span(out->shape, 1, dim > 1 ? dim : 1);
    l.first = dim == 0 ? 0 : r0 * outer;
    l.last = dim == 0 ? 1 : r1 * outer;
    l.i0 = dim == 0 ? r0 : 0;
    l.i1 = dim == 0 ? r1 : l.n;
    return l;
}

static bool is_rows(const moth_call *call, const layout *l)
{
    return l->inner == 1 && call->attrs->i[SOFTMAX_DIM] > 0;
}

static moth_status softmax_infer(moth_infer *q)
{
    MOTH_TRY(moth_infer_types(q, MOTH_FLOAT_ONLY));
    out_like(&q->out[0], q->in[0]);
    return moth_infer_dim(q, &q->attrs->i[SOFTMAX_DIM], q->in[0]->rank);
}

static bool softmax_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)in;
    (void)out;
    (void)i;
    return attrs->i[SOFTMAX_DIM] == 0;
}

/* ---- forward ---- */

static void forward_rows(const layout *l, const moth_real *x, moth_real *y, bool logarithm)
{
    moth_real top[MOTH_SOFTMAX_ROWS], sum[MOTH_SOFTMAX_ROWS];
    for (int64_t o = l->first; o < l->last; o += MOTH_SOFTMAX_ROWS) {
        int64_t rows = min64(MOTH_SOFTMAX_ROWS, l->last - o);
        const moth_real *from = x + o * l->n;
        moth_real *to = y + o * l->n;
        moth_softmax_rows(rows, l->n, from, to, top, sum);
        for (int64_t r = 0; logarithm && r < rows; r++) {
            moth_real shift = MOTH_LOG(sum[r]);
            for (int64_t i = r * l->n; i < (r + 1) * l->n; i++) {
                to[i] = (from[i] - top[r]) - shift;
            }
        }
    }
}

/* x and y: first entry of `width` neighbouring columns */
static void forward_columns(const layout *l, int64_t width, const moth_real *x, moth_real *y, bool logarithm)
{
    moth_real top[CHUNK];
    double sum[CHUNK] = { 0 };
    for (int64_t c = 0; c < width; c++) {
        top[c] = -INFINITY;
    }
    for (int64_t i = 0; i < l->n; i++) {
        for (int64_t c = 0; c < width; c++) {
            top[c] = x[i * l->inner + c] > top[c] ? x[i * l->inner + c] : top[c];
        }
    }
    for (int64_t i = 0; i < l->n; i++) {
        for (int64_t c = 0; c < width; c++) {
            sum[c] += (double)MOTH_EXP(x[i * l->inner + c] - top[c]);
        }
    }
    for (int64_t i = l->i0; i < l->i1; i++) {
        for (int64_t c = 0; c < width; c++) {
            moth_real v = x[i * l->inner + c] - top[c], s = (moth_real)sum[c];
            y[i * l->inner + c] = logarithm ? v - MOTH_LOG(s) : MOTH_EXP(v) / s;
        }
    }
}

static bool forward(const moth_call *call, int64_t r0, int64_t r1, bool logarithm)
{
    layout l = layout_of(call, r0, r1);
    const moth_real *x = reals(&call->in[0]);
    moth_real *y = reals(&call->out[0]);
    if (is_rows(call, &l)) {
        forward_rows(&l, x, y, logarithm);
        return true;
    }
    for (int64_t o = l.first; o < l.last; o++) {
        for (int64_t c = 0; c < l.inner; c += CHUNK) {
            int64_t at = o * l.n * l.inner + c;
            forward_columns(&l, min64(CHUNK, l.inner - c), x + at, y + at, logarithm);
        }
    }
    return true;
}

/* ---- backward ---- */

static void backward_rows(const layout *l, const moth_real *d, const moth_real *y, moth_real *dx, bool logarithm)
{
    for (int64_t o = l->first * l->n; o < l->last * l->n; o += l->n) {
        double dot = 0;
        for (int64_t i = o; i < o + l->n; i++) {
            dot += logarithm ? (double)d[i] : (double)d[i] * (double)y[i];
        }
        moth_real s = (moth_real)dot;
        for (int64_t i = o; i < o + l->n; i++) {
            dx[i] = logarithm ? d[i] - MOTH_EXP(y[i]) * s : y[i] * (d[i] - s);
        }
    }
}

static void backward_columns(const layout *l, int64_t width, const moth_real *d, const moth_real *y, moth_real *dx,
                             bool logarithm)
{
    double dot[CHUNK] = { 0 };
    for (int64_t i = 0; i < l->n; i++) {
        for (int64_t c = 0; c < width; c++) {
            int64_t at = i * l->inner + c;
            dot[c] += logarithm ? (double)d[at] : (double)d[at] * (double)y[at];
        }
    }
    for (int64_t i = l->i0; i < l->i1; i++) {
        for (int64_t c = 0; c < width; c++) {
            int64_t at = i * l->inner + c;
            moth_real s = (moth_real)dot[c];
            dx[at] = logarithm ? d[at] - MOTH_EXP(y[at]) * s : y[at] * (d[at] - s);
        }
    }
}

static bool backward(const moth_call *call, int64_t r0, int64_t r1, bool logarithm)
{
    layout l = layout_of(call, r0, r1);
    const moth_real *d = reals(&call->in[0]), *y = reals(&call->in[1]);
    moth_real *dx = reals(&call->out[0]);
    if (is_rows(call, &l)) {
        backward_rows(&l, d, y, dx, logarithm);
        return true;
    }
    for (int64_t o = l.first; o < l.last; o++) {
        for (int64_t c = 0; c < l.inner; c += CHUNK) {
            int64_t at = o * l.n * l.inner + c;
            backward_columns(&l, min64(CHUNK, l.inner - c), d + at, y + at, dx + at, logarithm);
        }
    }
    return true;
}

/* ---- the ops ---- */

static const moth_attr_spec softmax_attrs[] = {
    { .name = "dim", .kind = MOTH_ATTR_DIM, .slot = SOFTMAX_DIM, .optional = true, .fallback = -1 },
    { .kind = MOTH_ATTR_END },
};
static const moth_case softmax_cases[] = {
    { .in = { MOTH_REALS(-3, 3, 0, 2, 5, 10) }, .n_in = 1, .attrs.i = { -1 } },
    { .in = { MOTH_REALS(-3, 3, 1, 3, 3, 5, 7) }, .n_in = 1, .attrs.i = { 1 } },
    { .in = { MOTH_REALS(-3, 3, 2, 3, 3, 2, 17) }, .n_in = 1, .attrs.i = { 2 } },
    { .in = { MOTH_REALS(-3, 3, 0, 3, 5, 3, 2) }, .n_in = 1, .attrs.i = { 0 } },
    { .in = { MOTH_REALS(-3, 3, 0, 1, 7) }, .n_in = 1, .attrs.i = { -1 } },
    { .in = { MOTH_REALS(-3, 3, 0, 2, 3, 1) }, .n_in = 1, .attrs.i = { -1 } },
    { .n_in = 0 },
};

#define DEFINE_SOFTMAX(name_, doc_, logarithm)                                                        \
    static bool name_##_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)      \
    {                                                                                                 \
        (void)worker;                                                                                 \
        return forward(call, r0, r1, logarithm);                                                      \
    }                                                                                                 \
    static bool name_##_grad_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker) \
    {                                                                                                 \
        (void)worker;                                                                                 \
        return backward(call, r0, r1, logarithm);                                                     \
    }                                                                                                 \
    static const moth_op name_##_grad = {                                                             \
        .name = #name_ "_grad",                                                                       \
        .doc = "gradient of " #name_,                                                                 \
        .min_in = 2,                                                                                  \
        .max_in = 2,                                                                                  \
        .n_out = 1,                                                                                   \
        .infer = softmax_infer,                                                                       \
        .rows = name_##_grad_rows,                                                                    \
        .whole = softmax_whole,                                                                       \
        .nodiff = "second derivatives are not supported",                                             \
    };                                                                                                \
    static void name_##_gradient(moth_grad *g)                                                        \
    {                                                                                                 \
        g->dx[0] = MOTH_EMIT(g->scope, &name_##_grad, g->attrs, g->dy[0], g->y[0]);                   \
    }                                                                                                 \
    const moth_op MOTH_OP(name_) = {                                                                  \
        .name = #name_,                                                                               \
        .doc = doc_,                                                                                  \
        .min_in = 1,                                                                                  \
        .max_in = 1,                                                                                  \
        .n_out = 1,                                                                                   \
        .flags = MOTH_OP_METHOD,                                                                      \
        .attrs = softmax_attrs,                                                                       \
        .infer = softmax_infer,                                                                       \
        .rows = name_##_rows,                                                                         \
        .whole = softmax_whole,                                                                       \
        .gradient = name_##_gradient,                                                                 \
        .saves_out = 1,                                                                               \
        .cases = MOTH_CASES(softmax_cases),                                                           \
    };

DEFINE_SOFTMAX(softmax, "e^x over the sum of e^x along a dim, the last by default", false)
DEFINE_SOFTMAX(log_softmax, "logarithm of softmax, without forming it: x - ln sum e^x along a dim", true)
