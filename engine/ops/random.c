/* Tensors of random numbers, of any shape: uniform, normal, random_int. Each element is a function of the seed, the
 * stream, the step of the run and its place in the whole tensor (draw.h). */
#include "ops/draw.h"
#include "ops/nn_util.h"

/* low and high of random_int; the others keep theirs in f[] */
enum { STREAM = 0, SHAPE = 1, LOW = SHAPE + 1 + MOTH_MAX_RANK, HIGH = LOW + 1 };

static moth_status random_shape(moth_infer *q, moth_dtype dtype)
{
    const int64_t *shape = q->attrs->i + SHAPE + 1;
    int64_t rank = shape[-1];
    if (rank < 0 || rank > MOTH_MAX_RANK) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "a tensor has 0 to %d dims, not %lld", MOTH_MAX_RANK,
                               (long long)rank);
    }
    q->out[0].dtype = dtype;
    q->out[0].rank = (int)rank;
    for (int d = 0; d < rank; d++) {
        bool rows = d == 0 && q->ctx->trace; /* then a negative size counts rows of the run */
        if (shape[d] < 0 && !rows) {
            return moth_infer_fail(q, MOTH_ERR_SHAPE, "the size of dim %d is %lld", d + 1, (long long)shape[d]);
        }
        q->out[0].shape[d] = shape[d];
    }
    return MOTH_OK;
}

static moth_status uniform_infer(moth_infer *q)
{
    const double *f = q->attrs->f;
    if (!(f[0] <= f[1]) || !isfinite(f[1] - f[0])) {
        return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "the range %g to %g is empty or not finite", f[0], f[1]);
    }
    return random_shape(q, MOTH_FLOAT32);
}

static moth_status normal_infer(moth_infer *q)
{
    const double *f = q->attrs->f;
    if (!(f[1] >= 0) || !isfinite(f[0]) || !isfinite(f[1])) {
        return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "mean %g, stddev %g: must be finite, the latter not negative",
                               f[0], f[1]);
    }
    return random_shape(q, MOTH_FLOAT32);
}

static moth_status random_int_infer(moth_infer *q)
{
    int64_t low = q->attrs->i[LOW], high = q->attrs->i[HIGH];
    if (low > high || low < INT32_MIN || high > INT32_MAX) {
        return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "the range %lld to %lld is empty or does not fit int32",
                               (long long)low, (long long)high);
    }
    return random_shape(q, MOTH_INT32);
}

/* n elements from element `at` on, made of the words of their chunk, of which the first `skip` belong to others. */
typedef void (*random_loop)(const moth_call *call, const uint32_t words[MOTH_DRAW], int64_t skip, int64_t at,
                            int64_t n);

static bool run_random(const moth_call *call, int64_t r0, int64_t r1, random_loop loop)
{
    uint32_t words[MOTH_DRAW];
    int64_t row = row_elements(&call->out[0]), n;
    for (int64_t at = r0 * row; at < r1 * row; at += n) {
        int64_t skip = at % MOTH_DRAW;
        n = min64(MOTH_DRAW - skip, r1 * row - at);
        moth_draw(call->run->seed, call->run->step, (uint64_t)call->attrs->i[STREAM], at / MOTH_DRAW, words);
        loop(call, words, skip, at, n);
    }
    return true;
}

static void uniform_loop(const moth_call *call, const uint32_t words[MOTH_DRAW], int64_t skip, int64_t at, int64_t n)
{
    moth_real *y = reals(&call->out[0]) + at;
    const moth_real low = (moth_real)call->attrs->f[0], high = (moth_real)call->attrs->f[1];
    const moth_real range = (moth_real)(call->attrs->f[1] - call->attrs->f[0]);
    for (int64_t i = 0; i < n; i++) {
        moth_real v = low + range * ((moth_real)(int32_t)(words[skip + i] >> 8) * MOTH_R(0x1p-24));
        y[i] = v < high ? v : low; /* rounding must not reach the end that is left out */
    }
}

static void normal_loop(const moth_call *call, const uint32_t words[MOTH_DRAW], int64_t skip, int64_t at, int64_t n)
{
    moth_real *y = reals(&call->out[0]) + at, normals[MOTH_DRAW];
    const moth_real mean = (moth_real)call->attrs->f[0], stddev = (moth_real)call->attrs->f[1];
    moth_normals(words, normals);
    for (int64_t i = 0; i < n; i++) {
        y[i] = mean + stddev * normals[skip + i];
    }
}

static void random_int_loop(const moth_call *call, const uint32_t words[MOTH_DRAW], int64_t skip, int64_t at, int64_t n)
{
    int32_t *y = (int32_t *)(void *)call->out[0].data + at;
    const int64_t low = call->attrs->i[LOW];
    const uint64_t range = (uint64_t)(call->attrs->i[HIGH] - low + 1);
    for (int64_t i = 0; i < n; i++) { /* multiply-shift: bias below range / 2^32 */
        y[i] = (int32_t)(low + (int64_t)(words[skip + i] * range >> 32));
    }
}

/* ---- the ops ---- */

#define STREAM_AND_SHAPE                                                          \
    { .name = "shape", .kind = MOTH_ATTR_SHAPE, .slot = SHAPE },                  \
    {                                                                             \
        .name = "stream", .kind = MOTH_ATTR_INT, .slot = STREAM, .optional = true \
    }

static const moth_attr_spec uniform_attrs[] = {
    STREAM_AND_SHAPE,
    { .name = "low", .kind = MOTH_ATTR_FLOAT, .slot = 0, .optional = true, .fallback = 0 },
    { .name = "high", .kind = MOTH_ATTR_FLOAT, .slot = 1, .optional = true, .fallback = 1 },
    { .kind = MOTH_ATTR_END },
};
static const moth_attr_spec normal_attrs[] = {
    STREAM_AND_SHAPE,
    { .name = "mean", .kind = MOTH_ATTR_FLOAT, .slot = 0, .optional = true, .fallback = 0 },
    { .name = "stddev", .kind = MOTH_ATTR_FLOAT, .slot = 1, .optional = true, .fallback = 1 },
    { .kind = MOTH_ATTR_END },
};
static const moth_attr_spec random_int_attrs[] = {
    STREAM_AND_SHAPE,
    { .name = "low", .kind = MOTH_ATTR_INT, .slot = LOW },
    { .name = "high", .kind = MOTH_ATTR_INT, .slot = HIGH },
    { .kind = MOTH_ATTR_END },
};

#define DEFINE_RANDOM(name_, doc_)                                                               \
    static bool name_##_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker) \
    {                                                                                            \
        (void)worker;                                                                            \
        return run_random(call, r0, r1, name_##_loop);                                           \
    }                                                                                            \
    const moth_op MOTH_OP(name_) = {                                                             \
        .name = #name_,                                                                          \
        .doc = doc_,                                                                             \
        .n_out = 1,                                                                              \
        .flags = MOTH_OP_RANDOM,                                                                 \
        .attrs = name_##_attrs,                                                                  \
        .infer = name_##_infer,                                                                  \
        .rows = name_##_rows,                                                                    \
        .nodiff = "it has no inputs",                                                            \
    };

DEFINE_RANDOM(uniform, "numbers from low (included) to high (left out), all equally likely")
DEFINE_RANDOM(normal, "normally distributed numbers")
DEFINE_RANDOM(random_int, "integers from low to high, both included, all equally likely")
