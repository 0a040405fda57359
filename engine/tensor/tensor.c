#include "tensor/tensor.h"

#include <stdio.h>
#include <string.h>

#include "tensor/hooks.h"

moth_tensor_hooks moth_hooks;

size_t moth_dtype_size(moth_dtype dtype)
{
    switch (dtype) {
    case MOTH_FLOAT32:
        return sizeof(moth_real);
    case MOTH_INT32:
        return sizeof(int32_t);
    case MOTH_UINT8:
        return 1;
    }
    return 0;
}

const char *moth_dtype_name(moth_dtype dtype)
{
    static const char *const names[] = { [MOTH_FLOAT32] = "float32", [MOTH_INT32] = "int32", [MOTH_UINT8] = "uint8" };
    return names[dtype];
}

int64_t moth_meta_elements(const moth_meta *m)
{
    int64_t n = 1;
    for (int d = 0; d < m->rank; d++) {
        n *= m->shape[d];
    }
    return n;
}

void moth_meta_set_contiguous(moth_meta *m)
{
    int64_t step = 1;
    for (int d = m->rank - 1; d >= 0; d--) {
        m->stride[d] = step;
        step *= m->shape[d] > 0 || d == 0 ? m->shape[d] : 1;
    }
    m->offset = 0;
}

bool moth_meta_contiguous(const moth_meta *m)
{
    int64_t step = 1;
    for (int d = m->rank - 1; d >= 0; d--) {
        if (m->shape[d] != 1 && m->stride[d] != step) {
            return moth_meta_elements(m) == 0;
        }
        step *= m->shape[d];
    }
    return true;
}

bool moth_meta_same_shape(const moth_meta *a, const moth_meta *b)
{
    return a->rank == b->rank && memcmp(a->shape, b->shape, (size_t)a->rank * sizeof a->shape[0]) == 0;
}

bool moth_meta_same_layout(const moth_meta *a, const moth_meta *b)
{
    return moth_meta_same_shape(a, b) && memcmp(a->stride, b->stride, (size_t)a->rank * sizeof a->stride[0]) == 0;
}

const char *moth_meta_text(const moth_meta *m, char *buffer, size_t size)
{
    size_t n = (size_t)snprintf(buffer, size, "(");
    for (int d = 0; d < m->rank && n < size; d++) {
        const char *separator = d + 1 < m->rank ? ", " : (m->rank == 1 ? "," : "");
        int64_t dim = m->shape[d];
        if (dim == -1) {
            n += (size_t)snprintf(buffer + n, size - n, "batch%s", separator);
        } else if (dim < 0) {
            n += (size_t)snprintf(buffer + n, size - n, "%lld*batch%s", (long long)-dim, separator);
        } else {
            n += (size_t)snprintf(buffer + n, size - n, "%lld%s", (long long)dim, separator);
        }
    }
    if (n < size) {
        snprintf(buffer + n, size - n, ")");
    }
    return buffer;
}

static moth_storage *storage_new(int64_t bytes, bool zero)
{
    moth_storage *storage = moth_malloc(sizeof *storage);
    char *data = storage ? (zero ? moth_calloc((size_t)bytes) : moth_malloc((size_t)bytes)) : NULL;
    if (!data) {
        moth_free(storage);
        return NULL;
    }
    *storage = (moth_storage){ .references = 1, .bytes = bytes, .version = 0, .data = data };
    return storage;
}

static void storage_release(moth_storage *storage)
{
    if (storage && --storage->references == 0) {
        moth_free(storage->data);
        moth_free(storage);
    }
}

moth_status moth_tensor_handle(moth_ctx *ctx, const moth_meta *meta, moth_storage *storage, moth_tensor **out)
{
    moth_tensor *t = moth_calloc(sizeof *t);
    if (!t) {
        return moth_fail_memory(ctx, (int64_t)sizeof *t);
    }
    t->references = 1;
    t->meta = *meta;
    t->storage = storage;
    if (storage) {
        storage->references++;
    }
    *out = t;
    return MOTH_OK;
}

static moth_status check_shape(moth_ctx *ctx, int rank, const int64_t *shape, bool symbolic)
{
    if (rank < 0 || rank > MOTH_MAX_RANK) {
        return moth_fail(ctx, MOTH_ERR_SHAPE, "a tensor has 0 to %d dimensions, got %d", MOTH_MAX_RANK, rank);
    }
    int64_t total = 1;
    for (int d = 0; d < rank; d++) {
        int64_t size = symbolic && shape[d] < 0 && shape[d] > -MOTH_MAX_ELEMENTS ? -shape[d] : shape[d];
        if (size < 0 || !moth_size_mul(total, size ? size : 1, &total)) {
            return moth_fail(ctx, MOTH_ERR_SHAPE,
                             "dimension %d is %lld: a tensor has at most 2^40 elements, none negative", d + 1,
                             (long long)shape[d]);
        }
    }
    return MOTH_OK;
}

moth_status moth_meta_check(moth_ctx *ctx, const moth_meta *m)
{
    return check_shape(ctx, m->rank, m->shape, true);
}

static moth_status tensor_alloc(moth_ctx *ctx, moth_dtype dtype, int rank, const int64_t *shape, bool zero,
                                moth_tensor **out)
{
    MOTH_TRY(check_shape(ctx, rank, shape, false));
    moth_meta meta = { .dtype = dtype, .rank = rank };
    if (rank > 0) {
        memcpy(meta.shape, shape, (size_t)rank * sizeof *shape);
    }
    moth_meta_set_contiguous(&meta);
    int64_t bytes = moth_meta_elements(&meta) * (int64_t)moth_dtype_size(dtype);
    moth_storage *storage = storage_new(bytes, zero);
    if (!storage) {
        return moth_fail_memory(ctx, bytes);
    }
    moth_status status = moth_tensor_handle(ctx, &meta, storage, out);
    storage_release(storage);
    return status;
}

moth_status moth_tensor_new(moth_ctx *ctx, moth_dtype dtype, int rank, const int64_t *shape, moth_tensor **out)
{
    return tensor_alloc(ctx, dtype, rank, shape, false, out);
}

moth_status moth_tensor_zeros(moth_ctx *ctx, moth_dtype dtype, int rank, const int64_t *shape, moth_tensor **out)
{
    MOTH_NEED(ctx, out);
    if (rank > 0) {
        MOTH_NEED(ctx, shape);
    }
    if ((unsigned)dtype > MOTH_UINT8) {
        return moth_fail(ctx, MOTH_ERR_DTYPE, "zeros: no such type: %d", (int)dtype);
    }
    return tensor_alloc(ctx, dtype, rank, shape, true, out);
}

moth_tensor *moth_tensor_retain(moth_tensor *t)
{
    if (t) {
        t->references++;
    }
    return t;
}

static void detach_history(moth_tensor *t)
{
    if (t->node) {
        struct moth_node *node = t->node;
        t->node = NULL;
        moth_hooks.release_node(node);
    }
}

void moth_tensor_release(moth_tensor *t)
{
    if (!t || --t->references > 0) {
        return;
    }
    detach_history(t);
    moth_tensor_release(t->grad); /* a gradient has no gradient: one level deep */
    moth_tensor_release(t->mask); /* a mask has no mask */
    storage_release(t->storage);
    moth_free((void *)t->name);
    moth_free(t);
}

void moth_tensor_rebind(moth_tensor *t, const moth_tensor *from)
{
    moth_storage *old = t->storage;
    if (from->storage) {
        from->storage->references++;
    }
    if (from->node) {
        moth_hooks.retain_node(from->node);
    }
    detach_history(t);
    t->meta = from->meta;
    t->storage = from->storage;
    t->node = from->node;
    t->node_output = from->node_output;
    t->requires_grad = from->requires_grad || t->requires_grad;
    storage_release(old);
}

void moth_tensor_set_mask(moth_tensor *t, moth_tensor *mask)
{
    moth_tensor *old = t->mask;
    t->mask = moth_tensor_retain(mask);
    moth_tensor_release(old);
}

void moth_tensor_drop_storage(moth_tensor *t)
{
    storage_release(t->storage);
    t->storage = NULL;
}

bool moth_tensor_is_symbolic(const moth_tensor *t)
{
    return t->storage == NULL;
}

char *moth_tensor_data(const moth_tensor *t)
{
    return t->storage->data + t->meta.offset * (int64_t)moth_dtype_size(t->meta.dtype);
}

moth_real *moth_tensor_reals(const moth_tensor *t)
{
    return (moth_real *)(void *)moth_tensor_data(t);
}

int moth_tensor_rank(const moth_tensor *t)
{
    return t ? t->meta.rank : 0;
}

int64_t moth_tensor_dim(const moth_tensor *t, int dim)
{
    return t && dim >= 0 && dim < t->meta.rank ? t->meta.shape[dim] : 0;
}

moth_dtype moth_tensor_dtype(const moth_tensor *t)
{
    return t ? t->meta.dtype : MOTH_FLOAT32;
}

int64_t moth_tensor_count(const moth_tensor *t)
{
    return t ? moth_meta_elements(&t->meta) : 0;
}

static int64_t element_position(const moth_meta *m, int64_t i)
{
    int64_t position = 0;
    for (int d = m->rank - 1; d >= 0; d--) {
        position += (i % m->shape[d]) * m->stride[d];
        i /= m->shape[d];
    }
    return position;
}

double moth_tensor_element(const moth_tensor *t, int64_t i)
{
    const char *data = moth_tensor_data(t);
    int64_t at = element_position(&t->meta, i);
    switch (t->meta.dtype) {
    case MOTH_FLOAT32:
        return (double)((const moth_real *)(const void *)data)[at];
    case MOTH_INT32:
        return ((const int32_t *)(const void *)data)[at];
    case MOTH_UINT8:
        return ((const uint8_t *)data)[at];
    }
    return 0;
}

void moth_tensor_set_element(moth_tensor *t, int64_t i, double value)
{
    char *data = moth_tensor_data(t);
    int64_t at = element_position(&t->meta, i);
    switch (t->meta.dtype) {
    case MOTH_FLOAT32:
        ((moth_real *)(void *)data)[at] = (moth_real)value;
        break;
    case MOTH_INT32:
        ((int32_t *)(void *)data)[at] = (int32_t)value;
        break;
    case MOTH_UINT8:
        ((uint8_t *)data)[at] = (uint8_t)value;
        break;
    }
}
