/* gather: picks the rows of a batch out of a whole data set, and makes bytes the numbers that a model takes.
 *
 *   data (N, …) of any type, index (B) int32, counted from 0 -> (B, …)
 *
 * scale 0 keeps the type; else the result is float32, value times scale. N is read at run time. */
#include <stdio.h>
#include <string.h>

#include "ops/elementwise.h"
#include "ops/nn_util.h"

enum { SCALE = 0 };
enum { AHEAD = 2 };

static moth_status gather_infer(moth_infer *q)
{
    const moth_meta *data = q->in[0], *index = q->in[1];
    if (index->dtype != MOTH_INT32) {
        return moth_infer_fail(q, MOTH_ERR_DTYPE, "the index must be int32");
    }
    if (data->rank < 1 || index->rank != 1) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "takes data (n, ...) and an index (b)");
    }
    out_like(&q->out[0], data);
    q->out[0].shape[0] = index->shape[0];
    q->out[0].dtype = q->attrs->f[SCALE] == 0 ? data->dtype : MOTH_FLOAT32;
    return MOTH_OK;
}

static bool gather_whole(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i)
{
    (void)attrs;
    (void)in;
    (void)out;
    return i == 0;
}

#define SCALE_ROW(T)                                     \
    do {                                                 \
        const T *x = (const T *)(const void *)from + at; \
        MOTH_INDEPENDENT                                 \
        for (int64_t k = 0; k < n; k++) {                \
            y[k] = (moth_real)x[k] * scale;              \
        }                                                \
    } while (0)

static void scale_row(const char *from, moth_dtype dtype, int64_t at, int64_t n, moth_real scale, moth_real *y)
{
    switch (dtype) {
    case MOTH_FLOAT32:
        SCALE_ROW(moth_real);
        break;
    case MOTH_INT32:
        SCALE_ROW(int32_t);
        break;
    case MOTH_UINT8:
        SCALE_ROW(uint8_t);
        break;
    }
}

/* The rows lie anywhere in a set larger than any cache: asking for the next one early hides most of the way. */
static void fetch_early(const char *row, int64_t bytes)
{
    for (int64_t at = 0; at < bytes && at < 2048; at += 64) {
        __builtin_prefetch(row + at);
    }
}

static bool gather_rows(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker)
{
    const moth_arg *data = &call->in[0], *out = &call->out[0];
    const int32_t *index = (const int32_t *)(const void *)call->in[1].data;
    int64_t n = row_elements(out), bytes = n * (int64_t)moth_dtype_size(data->dtype);
    moth_real scale = (moth_real)call->attrs->f[SCALE];
    for (int64_t r = r0; r < r1; r++) {
        if (index[r] < 0 || index[r] >= data->shape[0]) {
            snprintf(worker->fault, sizeof worker->fault, "position %d is outside 0..%lld", (int)index[r],
                     (long long)data->shape[0] - 1);
            return false;
        }
        if (r + AHEAD < r1 && index[r + AHEAD] >= 0 && index[r + AHEAD] < data->shape[0]) {
            fetch_early(data->data + index[r + AHEAD] * bytes, bytes);
        }
        if (scale == 0) {
            memcpy(out->data + r * bytes, data->data + index[r] * bytes, (size_t)bytes);
        } else {
            scale_row(data->data, data->dtype, index[r] * n, n, scale, reals(out) + r * n);
        }
    }
    return true;
}

static const moth_attr_spec gather_attrs[] = {
    { .name = "scale", .kind = MOTH_ATTR_FLOAT, .slot = SCALE, .optional = true },
    { .kind = MOTH_ATTR_END },
};
static const moth_case gather_cases[] = {
    { .in = { MOTH_REALS(-1, 1, 0, 2, 5, 3), MOTH_IN(MOTH_INT32, 0, 4, 0, 1, 70) }, .n_in = 2 },
    { .in = { MOTH_IN(MOTH_UINT8, 0, 255, 1, 3, 5, 3, 7), MOTH_IN(MOTH_INT32, 0, 4, 0, 1, 7) },
      .n_in = 2,
      .attrs.f = { 1 / 255.0 } },
    { .in = { MOTH_IN(MOTH_INT32, -9, 9, 0, 1, 5), MOTH_IN(MOTH_INT32, 0, 4, 2, 1, 7) }, .n_in = 2 },
    { .in = { MOTH_IN(MOTH_INT32, -9, 9, 0, 2, 5, 2), MOTH_IN(MOTH_INT32, 0, 4, 0, 1, 1) },
      .n_in = 2,
      .attrs.f = { 0.5 } },
    { .in = { MOTH_REALS(-1, 1, 0, 2, 5, 3), MOTH_IN(MOTH_INT32, 0, 4, 0, 1, 7) }, .n_in = 2, .attrs.f = { 2 } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(gather) = {
    .name = "gather",
    .doc = "rows of a data set at the given positions (from 0), times scale as float32 unless scale is 0",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs = gather_attrs,
    .infer = gather_infer,
    .rows = gather_rows,
    .whole = gather_whole,
    .nodiff = "it reads a data set; index is the differentiable one",
    .cases = MOTH_CASES(gather_cases),
};
