/* The updates of the optimizers: w and the slots change in place, element by element, by the gradient g.
 *
 *   update_NAME (w, g, hyper, slots…), all but hyper of w's shape, float32; no result
 *
 * Row-wise over dim 0 of w: a plan runs the update of a tile of a weight when the tile's gradient is ready. hyper and
 * the formulas are explained in update.h. */
#include "ops/update.h"

#include "ops/elementwise.h"
#include "ops/nn_util.h"

enum { W = 0, G = 1, HYPER = 2, SLOT = 3, MAX_SLOTS = 3 };

/* n elements: weights, gradient, slots (NULL where absent), numbers. */
typedef void (*update_loop)(int64_t n, moth_real *w, const moth_real *g, moth_real *const *slot, const moth_real *h,
                            const moth_attrs *attrs);

static moth_status check_update(moth_infer *q, int64_t numbers)
{
    const moth_meta *w = q->in[W], *hyper = q->in[HYPER];
    MOTH_TRY(moth_infer_types(q, MOTH_FLOAT_ONLY));
    for (int i = 0; i < q->n_in; i++) {
        if (i != G && i != HYPER && !moth_meta_contiguous(q->in[i])) {
            return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "variable and slots must be contiguous");
        }
        bool absent = i >= SLOT && q->in[i]->rank == 0; /* or of a variable without dims */
        if (i != HYPER && !absent && !moth_meta_same_shape(w, q->in[i])) {
            return moth_infer_fail(q, MOTH_ERR_SHAPE, "gradient and slots must have the shape of the variable");
        }
    }
    if (hyper->rank != 1 || hyper->shape[0] < numbers) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "takes a vector of at least %lld numbers", (long long)numbers);
    }
    return MOTH_OK;
}

static bool update_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)attrs;
    (void)in;
    return i == HYPER || out->rank == 0;
}

static bool run_update(const moth_call *call, int64_t r0, int64_t r1, update_loop loop)
{
    const moth_real *h = reals(&call->in[HYPER]);
    int64_t row = row_elements(&call->in[W]), at = r0 * row, n = (r1 - r0) * row;
    moth_real *w = reals(&call->in[W]) + at, *slot[MAX_SLOTS];
    for (int k = 0; k < MAX_SLOTS; k++) {
        slot[k] = SLOT + k < call->n_in && call->in[SLOT + k].data ? reals(&call->in[SLOT + k]) + at : NULL;
    }
    if (h[MOTH_UPDATE_DECAY] != 0) {
        for (int64_t i = 0; i < n; i++) {
            w[i] -= w[i] * h[MOTH_UPDATE_DECAY];
        }
    }
    loop(n, w, reals(&call->in[G]) + at, slot, h, call->attrs);
    return true;
}

/* ---- the loops ---- */

#define UPDATE_LOOP(name)                                                                                            \
    static void name##_loop(int64_t n, moth_real *w, const moth_real *g, moth_real *const *slot, const moth_real *h, \
                            const moth_attrs *attrs)

UPDATE_LOOP(sgd)
{
    const moth_real rate = h[MOTH_UPDATE_RATE], momentum = h[MOTH_SGD_MOMENTUM];
    moth_real *m = slot[0];
    if (!m) {
        MOTH_INDEPENDENT
        for (int64_t i = 0; i < n; i++) {
            w[i] -= rate * g[i];
        }
    } else if (attrs->i[MOTH_SGD_NESTEROV]) {
        MOTH_INDEPENDENT
        for (int64_t i = 0; i < n; i++) {
            m[i] = momentum * m[i] - rate * g[i];
            w[i] += momentum * m[i] - rate * g[i];
        }
    } else {
        MOTH_INDEPENDENT
        for (int64_t i = 0; i < n; i++) {
            m[i] = momentum * m[i] - rate * g[i];
            w[i] += m[i];
        }
    }
}

/* From here on the step of RMSprop is added to a velocity, where there is one. */
UPDATE_LOOP(rmsprop)
{
    const moth_real rate = h[MOTH_UPDATE_RATE], rho = h[MOTH_RMSPROP_RHO], rest = h[MOTH_RMSPROP_1_RHO];
    const moth_real epsilon = h[MOTH_RMSPROP_EPSILON], momentum = h[MOTH_RMSPROP_MOMENTUM];
    moth_real *v = slot[0], *b = slot[1], *mean = slot[2];
    (void)attrs;
    if (!b && !mean) {
        MOTH_INDEPENDENT
        for (int64_t i = 0; i < n; i++) {
            v[i] = rho * v[i] + rest * (g[i] * g[i]);
            w[i] -= rate * g[i] / MOTH_SQRT(v[i] + epsilon);
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        v[i] = rho * v[i] + rest * (g[i] * g[i]);
        moth_real spread = v[i];
        if (mean) {
            mean[i] = rho * mean[i] + rest * g[i];
            spread -= mean[i] * mean[i];
        }
        moth_real step = rate * g[i] / MOTH_SQRT(spread + epsilon);
        if (b) {
            b[i] = momentum * b[i] + step;
            step = b[i];
        }
        w[i] -= step;
    }
}

UPDATE_LOOP(adam)
{
    const moth_real rate = h[MOTH_UPDATE_RATE], epsilon = h[MOTH_ADAM_EPSILON];
    const moth_real rest_1 = h[MOTH_ADAM_1_BETA_1], rest_2 = h[MOTH_ADAM_1_BETA_2];
    moth_real *m = slot[0], *v = slot[1], *top = slot[2];
    (void)attrs;
    if (!top) {
        MOTH_INDEPENDENT
        for (int64_t i = 0; i < n; i++) {
            m[i] += rest_1 * (g[i] - m[i]);
            v[i] += rest_2 * (g[i] * g[i] - v[i]);
            w[i] -= rate * m[i] / (MOTH_SQRT(v[i]) + epsilon);
        }
        return;
    }
    MOTH_INDEPENDENT
    for (int64_t i = 0; i < n; i++) {
        m[i] += rest_1 * (g[i] - m[i]);
        v[i] += rest_2 * (g[i] * g[i] - v[i]);
        top[i] = top[i] < v[i] ? v[i] : top[i];
        w[i] -= rate * m[i] / (MOTH_SQRT(top[i]) + epsilon);
    }
}

UPDATE_LOOP(adagrad)
{
    const moth_real rate = h[MOTH_UPDATE_RATE], epsilon = h[MOTH_ADAGRAD_EPSILON];
    moth_real *a = slot[0];
    (void)attrs;
    MOTH_INDEPENDENT
    for (int64_t i = 0; i < n; i++) {
        a[i] += g[i] * g[i];
        w[i] -= rate * g[i] / MOTH_SQRT(a[i] + epsilon);
    }
}

UPDATE_LOOP(adadelta)
{
    const moth_real rate = h[MOTH_UPDATE_RATE], epsilon = h[MOTH_ADADELTA_EPSILON];
    const moth_real rho = h[MOTH_ADADELTA_RHO], rest = h[MOTH_ADADELTA_1_RHO];
    moth_real *a = slot[0], *d = slot[1];
    (void)attrs;
    MOTH_INDEPENDENT
    for (int64_t i = 0; i < n; i++) {
        a[i] = rho * a[i] + rest * (g[i] * g[i]);
        moth_real delta = MOTH_SQRT(d[i] + epsilon) * g[i] / MOTH_SQRT(a[i] + epsilon);
        d[i] = rho * d[i] + rest * (delta * delta);
        w[i] -= rate * delta;
    }
}

UPDATE_LOOP(adamax)
{
    const moth_real rate = h[MOTH_UPDATE_RATE], epsilon = h[MOTH_ADAMAX_EPSILON];
    const moth_real rest_1 = h[MOTH_ADAMAX_1_BETA_1], beta_2 = h[MOTH_ADAMAX_BETA_2];
    moth_real *m = slot[0], *u = slot[1];
    (void)attrs;
    MOTH_INDEPENDENT
    for (int64_t i = 0; i < n; i++) {
        moth_real size = MOTH_FABS(g[i]), faded = beta_2 * u[i];
        m[i] += rest_1 * (g[i] - m[i]);
        u[i] = faded > size ? faded : size;
        w[i] -= rate * m[i] / (u[i] + epsilon);
    }
}

UPDATE_LOOP(nadam)
{
    const moth_real rate = h[MOTH_UPDATE_RATE], epsilon = h[MOTH_NADAM_EPSILON], divisor = h[MOTH_NADAM_V_DIVISOR];
    const moth_real rest_1 = h[MOTH_NADAM_1_BETA_1], rest_2 = h[MOTH_NADAM_1_BETA_2];
    const moth_real m_factor = h[MOTH_NADAM_M_FACTOR], g_factor = h[MOTH_NADAM_G_FACTOR];
    moth_real *m = slot[0], *v = slot[1];
    (void)attrs;
    MOTH_INDEPENDENT
    for (int64_t i = 0; i < n; i++) {
        m[i] += rest_1 * (g[i] - m[i]);
        v[i] += rest_2 * (g[i] * g[i] - v[i]);
        w[i] -= rate * (m_factor * m[i] + g_factor * g[i]) / (MOTH_SQRT(v[i] / divisor) + epsilon);
    }
}

UPDATE_LOOP(lion)
{
    const moth_real rate = h[MOTH_UPDATE_RATE];
    const moth_real beta_1 = h[MOTH_LION_BETA_1], rest_1 = h[MOTH_LION_1_BETA_1];
    const moth_real beta_2 = h[MOTH_LION_BETA_2], rest_2 = h[MOTH_LION_1_BETA_2];
    moth_real *m = slot[0];
    (void)attrs;
    MOTH_INDEPENDENT
    for (int64_t i = 0; i < n; i++) {
        moth_real c = beta_1 * m[i] + rest_1 * g[i];
        moth_real sign = c > 0 ? 1 : (c < 0 ? -1 : c * 0); /* NaN stays NaN */
        w[i] -= rate * sign;
        m[i] = beta_2 * m[i] + rest_2 * g[i];
    }
}

/* ---- the ops ---- */

#define TENSOR MOTH_REALS(0.1, 0.9, 0, 2, 5, 3)
#define SCALAR MOTH_REALS(0.1, 0.9, 0, 0, 0)
#define NUMBERS MOTH_REALS(0.1, 0.9, 0, 1, MOTH_UPDATE_HYPER_MAX)
#define ABSENT     \
    {              \
        .rank = -1 \
    }

static const moth_attr_spec sgd_attrs[] = {
    { .name = "nesterov", .kind = MOTH_ATTR_BOOL, .slot = MOTH_SGD_NESTEROV, .optional = true },
    { .kind = MOTH_ATTR_END },
};
static const moth_case sgd_cases[] = {
    { .in = { TENSOR, TENSOR, NUMBERS }, .n_in = 3 },
    { .in = { TENSOR, TENSOR, NUMBERS, TENSOR }, .n_in = 4 },
    { .in = { TENSOR, TENSOR, NUMBERS, TENSOR }, .n_in = 4, .attrs.i = { 1 } },
    { .n_in = 0 },
};
static const moth_case one_slot_cases[] = {
    { .in = { TENSOR, TENSOR, NUMBERS, TENSOR }, .n_in = 4 },
    { .in = { SCALAR, SCALAR, NUMBERS, SCALAR }, .n_in = 4 },
    { .n_in = 0 },
};
static const moth_case two_slots_cases[] = {
    { .in = { TENSOR, TENSOR, NUMBERS, TENSOR, TENSOR }, .n_in = 5 },
    { .n_in = 0 },
};
static const moth_case adam_cases[] = {
    { .in = { TENSOR, TENSOR, NUMBERS, TENSOR, TENSOR }, .n_in = 5 },
    { .in = { TENSOR, TENSOR, NUMBERS, TENSOR, TENSOR, TENSOR }, .n_in = 6 },
    { .n_in = 0 },
};
static const moth_case rmsprop_cases[] = {
    { .in = { TENSOR, TENSOR, NUMBERS, TENSOR }, .n_in = 4 },
    { .in = { TENSOR, TENSOR, NUMBERS, TENSOR, TENSOR }, .n_in = 5 },
    { .in = { TENSOR, TENSOR, NUMBERS, TENSOR, ABSENT, MOTH_REALS(0.01, 0.1, 0, 2, 5, 3) }, .n_in = 6 },
    { .in = { TENSOR, TENSOR, NUMBERS, TENSOR, TENSOR, MOTH_REALS(0.01, 0.1, 0, 2, 5, 3) }, .n_in = 6 },
    { .n_in = 0 },
};

#define DEFINE_UPDATE(name_, doc_, numbers, least_slots, most_slots, attrs_, cases_)             \
    static moth_status name_##_infer(moth_infer *q)                                              \
    {                                                                                            \
        return check_update(q, numbers);                                                         \
    }                                                                                            \
    static bool name_##_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker) \
    {                                                                                            \
        (void)worker;                                                                            \
        return run_update(call, r0, r1, name_##_loop);                                           \
    }                                                                                            \
    const moth_op MOTH_OP(update_##name_) = {                                                    \
        .name = "update_" #name_,                                                                \
        .doc = doc_,                                                                             \
        .min_in = SLOT + (least_slots),                                                          \
        .max_in = SLOT + (most_slots),                                                           \
        .attrs = attrs_,                                                                         \
        .infer = name_##_infer,                                                                  \
        .rows = name_##_rows,                                                                    \
        .whole = update_whole,                                                                   \
        .mutates = 1u << W | ((1u << (most_slots)) - 1) << SLOT,                                 \
        .nodiff = "it changes a variable after the gradient is known",                           \
        .cases = MOTH_CASES(cases_),                                                             \
    };

DEFINE_UPDATE(sgd, "gradient descent, with momentum where a slot is given, also Nesterov's", MOTH_SGD_HYPER, 0, 1,
              sgd_attrs, sgd_cases)
DEFINE_UPDATE(rmsprop, "RMSprop (Tieleman, Hinton 2012), with momentum or centered by its slots", MOTH_RMSPROP_HYPER, 1,
              3, NULL, rmsprop_cases)
DEFINE_UPDATE(adam, "Adam (Kingma, Ba 2014); AMSGrad (Reddi, Kale, Kumar 2018) with a third slot", MOTH_ADAM_HYPER, 2,
              3, NULL, adam_cases)
DEFINE_UPDATE(adagrad, "Adagrad (Duchi, Hazan, Singer 2011)", MOTH_ADAGRAD_HYPER, 1, 1, NULL, one_slot_cases)
DEFINE_UPDATE(adadelta, "Adadelta (Zeiler 2012)", MOTH_ADADELTA_HYPER, 2, 2, NULL, two_slots_cases)
DEFINE_UPDATE(adamax, "Adamax (Kingma, Ba 2014)", MOTH_ADAMAX_HYPER, 2, 2, NULL, two_slots_cases)
DEFINE_UPDATE(nadam, "Nadam (Dozat 2016)", MOTH_NADAM_HYPER, 2, 2, NULL, two_slots_cases)
DEFINE_UPDATE(lion, "Lion (Chen et al. 2023)", MOTH_LION_HYPER, 1, 1, NULL, one_slot_cases)
