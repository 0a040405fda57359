/* Copies between tensors, and from and to plain C arrays. */
#include <math.h>
#include <string.h>

#include "tensor/tensor.h"

/* Steps through all elements of a shape with the positions in two strided tensors at once; the innermost dimension is
 * left to the caller. */
typedef struct walk {
    int rank;
    const moth_meta *a, *b;
    int64_t index[MOTH_MAX_RANK];
    int64_t at_a, at_b;
} walk;

static bool walk_next(walk *w)
{
    for (int d = w->rank - 2; d >= 0; d--) {
        w->at_a += w->a->stride[d];
        w->at_b += w->b->stride[d];
        if (++w->index[d] < w->a->shape[d]) {
            return true;
        }
        w->at_a -= w->a->stride[d] * w->a->shape[d];
        w->at_b -= w->b->stride[d] * w->b->shape[d];
        w->index[d] = 0;
    }
    return false;
}

#define COPY_LINE(to_type, from_type)                                   \
    do {                                                                \
        to_type *to_ = (to_type *)(void *)to;                           \
        const from_type *from_ = (const from_type *)(const void *)from; \
        for (int64_t i = 0; i < n; i++) {                               \
            to_[i * to_step] = (to_type)from_[i * from_step];           \
        }                                                               \
    } while (0)

static void copy_line(moth_dtype to_type, char *to, int64_t to_step, moth_dtype from_type, const char *from,
                      int64_t from_step, int64_t n)
{
    if (to_type == from_type && to_step == 1 && from_step == 1) {
        memcpy(to, from, (size_t)n * moth_dtype_size(to_type));
        return;
    }
    switch (to_type * 3 + from_type) {
    case MOTH_FLOAT32 * 3 + MOTH_FLOAT32:
        COPY_LINE(moth_real, moth_real);
        break;
    case MOTH_FLOAT32 * 3 + MOTH_INT32:
        COPY_LINE(moth_real, int32_t);
        break;
    case MOTH_FLOAT32 * 3 + MOTH_UINT8:
        COPY_LINE(moth_real, uint8_t);
        break;
    case MOTH_INT32 * 3 + MOTH_FLOAT32:
        COPY_LINE(int32_t, moth_real);
        break;
    case MOTH_INT32 * 3 + MOTH_INT32:
        COPY_LINE(int32_t, int32_t);
        break;
    case MOTH_INT32 * 3 + MOTH_UINT8:
        COPY_LINE(int32_t, uint8_t);
        break;
    case MOTH_UINT8 * 3 + MOTH_FLOAT32:
        COPY_LINE(uint8_t, moth_real);
        break;
    case MOTH_UINT8 * 3 + MOTH_INT32:
        COPY_LINE(uint8_t, int32_t);
        break;
    default:
        COPY_LINE(uint8_t, uint8_t);
        break;
    }
}

static void copy_elements(moth_tensor *to, const moth_tensor *from)
{
    if (moth_meta_elements(&to->meta) == 0) {
        return;
    }
    int rank = to->meta.rank;
    int64_t n = rank ? to->meta.shape[rank - 1] : 1;
    int64_t to_step = rank ? to->meta.stride[rank - 1] : 1;
    int64_t from_step = rank ? from->meta.stride[rank - 1] : 1;
    int64_t to_size = (int64_t)moth_dtype_size(to->meta.dtype);
    int64_t from_size = (int64_t)moth_dtype_size(from->meta.dtype);
    char *to_data = moth_tensor_data(to);
    const char *from_data = moth_tensor_data(from);
    if (moth_meta_contiguous(&to->meta) && moth_meta_contiguous(&from->meta)) {
        n = moth_meta_elements(&to->meta);
        copy_line(to->meta.dtype, to_data, 1, from->meta.dtype, from_data, 1, n);
        return;
    }
    walk w = { .rank = rank, .a = &to->meta, .b = &from->meta };
    do {
        copy_line(to->meta.dtype, to_data + w.at_a * to_size, to_step, from->meta.dtype, from_data + w.at_b * from_size,
                  from_step, n);
    } while (walk_next(&w));
}

static moth_status check_range(moth_ctx *ctx, const moth_tensor *t, moth_dtype dtype)
{
    if (dtype == MOTH_FLOAT32 || t->meta.dtype == dtype || t->meta.dtype == MOTH_UINT8) {
        return MOTH_OK;
    }
    double low = dtype == MOTH_UINT8 ? 0 : -2147483648.0;
    double high = dtype == MOTH_UINT8 ? 255 : 2147483647.0;
    int64_t n = moth_meta_elements(&t->meta);
    for (int64_t i = 0; i < n; i++) {
        double value = moth_tensor_element(t, i);
        if (!(trunc(value) >= low && trunc(value) <= high)) {
            return moth_fail(ctx, MOTH_ERR_ARGUMENT, "to: element %lld is %g, which does not fit %s", (long long)i + 1,
                             value, dtype == MOTH_UINT8 ? "uint8" : "int32");
        }
    }
    return MOTH_OK;
}

moth_status moth_tensor_contiguous_copy(moth_ctx *ctx, const moth_tensor *t, moth_tensor **out)
{
    moth_tensor *copy;
    MOTH_TRY(moth_tensor_new(ctx, t->meta.dtype, t->meta.rank, t->meta.shape, &copy));
    copy_elements(copy, t);
    *out = copy;
    return MOTH_OK;
}

moth_status moth_tensor_convert(moth_ctx *ctx, const moth_tensor *t, moth_dtype dtype, moth_tensor **out)
{
    MOTH_TRY(check_range(ctx, t, dtype));
    moth_tensor *copy;
    MOTH_TRY(moth_tensor_new(ctx, dtype, t->meta.rank, t->meta.shape, &copy));
    copy_elements(copy, t);
    *out = copy;
    return MOTH_OK;
}

moth_status moth_tensor_copy_into(moth_ctx *ctx, moth_tensor *to, const moth_tensor *from)
{
    if (!moth_meta_same_shape(&to->meta, &from->meta)) {
        char a[128], b[128];
        return moth_fail(ctx, MOTH_ERR_SHAPE, "copy: shapes must agree; got %s and %s",
                         moth_meta_text(&to->meta, a, sizeof a), moth_meta_text(&from->meta, b, sizeof b));
    }
    for (int d = 0; d < to->meta.rank; d++) {
        if (to->meta.stride[d] == 0 && to->meta.shape[d] > 1) {
            return moth_fail(ctx, MOTH_ERR_ARGUMENT, "copy: dimension %d is expanded; its elements share memory",
                             d + 1);
        }
    }
    MOTH_TRY(check_range(ctx, from, to->meta.dtype));
    if (to->storage == from->storage) { /* may overlap: by way of a copy */
        moth_tensor *copy;
        MOTH_TRY(moth_tensor_contiguous_copy(ctx, from, &copy));
        copy_elements(to, copy);
        moth_tensor_release(copy);
    } else {
        copy_elements(to, from);
    }
    to->storage->version++;
    return MOTH_OK;
}

#define FROM_ARRAY(name, element, dtype_, convert)                                                          \
    moth_status name(moth_ctx *ctx, int rank, const int64_t *shape, const element *data, moth_tensor **out) \
    {                                                                                                       \
        moth_tensor *t;                                                                                     \
        MOTH_NEED(ctx, out);                                                                                \
        if (rank > 0) {                                                                                     \
            MOTH_NEED(ctx, shape);                                                                          \
        }                                                                                                   \
        MOTH_TRY(moth_tensor_new(ctx, dtype_, rank, shape, &t));                                            \
        int64_t n = moth_meta_elements(&t->meta);                                                           \
        convert *to = (convert *)(void *)moth_tensor_data(t);                                               \
        if (!data && n > 0) {                                                                               \
            moth_tensor_release(t);                                                                         \
            return moth_fail_null(ctx, #name, "data");                                                      \
        }                                                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                                   \
            to[i] = (convert)data[i];                                                                       \
        }                                                                                                   \
        *out = t;                                                                                           \
        return MOTH_OK;                                                                                     \
    }

FROM_ARRAY(moth_tensor_from_floats, float, MOTH_FLOAT32, moth_real)
FROM_ARRAY(moth_tensor_from_ints, int32_t, MOTH_INT32, int32_t)
FROM_ARRAY(moth_tensor_from_bytes, uint8_t, MOTH_UINT8, uint8_t)

moth_status moth_tensor_to_floats(moth_ctx *ctx, const moth_tensor *t, float *out, int64_t count)
{
    MOTH_NEED(ctx, t);
    if (count > 0) {
        MOTH_NEED(ctx, out);
    }
    if (moth_tensor_is_symbolic(t)) {
        return moth_fail(ctx, MOTH_ERR_TRACING, "value not known while tracing");
    }
    if (count != moth_tensor_count(t)) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "to_floats: the tensor has %lld elements, room for %lld given",
                         (long long)moth_tensor_count(t), (long long)count);
    }
    for (int64_t i = 0; i < count; i++) {
        out[i] = (float)moth_tensor_element(t, i);
    }
    return MOTH_OK;
}
