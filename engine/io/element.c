#include "io/element.h"

#include <inttypes.h>
#include <string.h>

#include "io/message.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "files are little-endian, and moth copies them as they are"
#endif

/* Elements are converted by way of a small buffer, so that a file takes no memory but that of its tensors. */
enum { PIECE = 32768 };

static const struct {
    int64_t size;
    moth_dtype dtype;
} elements[] = {
    [MOTH_ELEMENT_U8] = { 1, MOTH_UINT8 },    [MOTH_ELEMENT_BOOL] = { 1, MOTH_UINT8 },
    [MOTH_ELEMENT_I8] = { 1, MOTH_INT32 },    [MOTH_ELEMENT_I16] = { 2, MOTH_INT32 },
    [MOTH_ELEMENT_I32] = { 4, MOTH_INT32 },   [MOTH_ELEMENT_I64] = { 8, MOTH_INT32 },
    [MOTH_ELEMENT_F16] = { 2, MOTH_FLOAT32 }, [MOTH_ELEMENT_BF16] = { 2, MOTH_FLOAT32 },
    [MOTH_ELEMENT_F32] = { 4, MOTH_FLOAT32 }, [MOTH_ELEMENT_F64] = { 8, MOTH_FLOAT32 },
};

int64_t moth_element_size(moth_element element)
{
    return elements[element].size;
}

moth_dtype moth_element_dtype(moth_element element)
{
    return elements[element].dtype;
}

moth_element moth_element_of(moth_dtype dtype)
{
    switch (dtype) {
    case MOTH_FLOAT32:
        return MOTH_ELEMENT_F32;
    case MOTH_INT32:
        return MOTH_ELEMENT_I32;
    case MOTH_UINT8:
        break;
    }
    return MOTH_ELEMENT_U8;
}

bool moth_element_bytes(moth_element element, int rank, const int64_t *shape, int64_t *bytes)
{
    int64_t product = 1;
    bool empty = false;
    for (int d = 0; d < rank; d++) {
        empty = empty || shape[d] == 0;
        if (!moth_size_mul(product, shape[d] == 0 ? 1 : shape[d], &product)) {
            return false;
        }
    }
    *bytes = empty ? 0 : product * elements[element].size; /* at most 2^43 */
    return true;
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE 754 binary16: sign 1, exponent 5 (bias 15), fraction 10. Every value is a float exactly. */
static float float_of_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000U) << 16;
    uint32_t exponent = (half >> 10) & 0x1FU, fraction = half & 0x3FFU;
    if (exponent == 0) { /* zero or subnormal: fraction * 2^-24 */
        float magnitude = (float)fraction * 0x1p-24F;
        return sign ? -magnitude : magnitude;
    }
    uint32_t wide = exponent == 0x1F ? 0xFFU : exponent + (127 - 15);
    return float_of_bits(sign | wide << 23 | fraction << 13);
}

/* The top half of a float. */
static float float_of_bfloat(uint16_t top)
{
    return float_of_bits((uint32_t)top << 16);
}

static void reverse_bytes(unsigned char *bytes, size_t size, size_t n)
{
    for (size_t i = 0; i < n; i++, bytes += size) {
        for (size_t low = 0, high = size - 1; low < high; low++, high--) {
            unsigned char byte = bytes[low];
            bytes[low] = bytes[high];
            bytes[high] = byte;
        }
    }
}

#define CONVERT(to_type, from_type, convert)                   \
    for (size_t i = 0; i < n; i++) {                           \
        from_type value;                                       \
        memcpy(&value, from + i * sizeof value, sizeof value); \
        ((to_type *)to)[i] = (to_type)convert(value);          \
    }                                                          \
    break

/* For types whose every value fits. */
static void convert_all(moth_element element, const unsigned char *from, size_t n, void *to)
{
    switch (element) {
    case MOTH_ELEMENT_U8:
    case MOTH_ELEMENT_BOOL:
        memcpy(to, from, n);
        break;
    case MOTH_ELEMENT_I8:
        CONVERT(int32_t, int8_t, );
    case MOTH_ELEMENT_I16:
        CONVERT(int32_t, int16_t, );
    case MOTH_ELEMENT_I32:
        memcpy(to, from, n * sizeof(int32_t));
        break;
    case MOTH_ELEMENT_I64:
        CONVERT(int32_t, int64_t, );
    case MOTH_ELEMENT_F16:
        CONVERT(moth_real, uint16_t, float_of_half);
    case MOTH_ELEMENT_BF16:
        CONVERT(moth_real, uint16_t, float_of_bfloat);
    case MOTH_ELEMENT_F32:
        CONVERT(moth_real, float, );
    case MOTH_ELEMENT_F64:
        CONVERT(moth_real, double, );
    }
}

/* The first value that its tensor cannot hold; false when there is none. */
static bool find_misfit(moth_element element, const unsigned char *from, size_t n, size_t *at, int64_t *value)
{
    for (size_t i = 0; element == MOTH_ELEMENT_BOOL && i < n; i++) {
        if (from[i] > 1) {
            *at = i;
            *value = from[i];
            return true;
        }
    }
    for (size_t i = 0; element == MOTH_ELEMENT_I64 && i < n; i++) {
        int64_t wide;
        memcpy(&wide, from + i * sizeof wide, sizeof wide);
        if (wide < INT32_MIN || wide > INT32_MAX) {
            *at = i;
            *value = wide;
            return true;
        }
    }
    return false;
}

moth_status moth_io_read_elements(moth_ctx *ctx, moth_source *source, moth_element element, bool big_endian,
                                  moth_tensor *to)
{
    unsigned char piece[PIECE];
    size_t size = (size_t)elements[element].size;
    size_t step = moth_dtype_size(to->meta.dtype);
    int64_t total = moth_meta_elements(&to->meta), done = 0;
    char *next = moth_tensor_data(to);
    while (done < total) {
        size_t n = total - done < (int64_t)(PIECE / size) ? (size_t)(total - done) : PIECE / size;
        long long start = source->at;
        MOTH_TRY(source->read(ctx, source, piece, n * size));
        if (big_endian) {
            reverse_bytes(piece, size, n);
        }
        size_t at;
        int64_t value;
        if (find_misfit(element, piece, n, &at, &value)) {
            return moth_io_fail(ctx, MOTH_ERR_FORMAT, source->path,
                                "the value at byte %lld is %" PRId64 ", expected %s", start + (long long)(at * size),
                                value, element == MOTH_ELEMENT_BOOL ? "0 or 1 (bool)" : "one that fits int32");
        }
        convert_all(element, piece, n, next);
        next += n * step;
        done += (int64_t)n;
    }
    return MOTH_OK;
}

static void each_contiguous_piece(const moth_tensor *t, void (*take)(void *user, const void *bytes, size_t size),
                                  void *user)
{
    size_t n = (size_t)moth_meta_elements(&t->meta);
    if (t->meta.dtype != MOTH_FLOAT32 || sizeof(moth_real) == sizeof(float)) {
        take(user, moth_tensor_data(t), n * moth_dtype_size(t->meta.dtype));
        return;
    }
    float piece[PIECE / sizeof(float)];
    const moth_real *from = moth_tensor_reals(t);
    for (size_t done = 0; done < n;) {
        size_t count = n - done < sizeof piece / sizeof *piece ? n - done : sizeof piece / sizeof *piece;
        for (size_t i = 0; i < count; i++) {
            piece[i] = (float)from[done + i];
        }
        take(user, piece, count * sizeof *piece);
        done += count;
    }
}

moth_status moth_io_each_piece(moth_ctx *ctx, const moth_tensor *t,
                               void (*take)(void *user, const void *bytes, size_t size), void *user)
{
    if (moth_meta_contiguous(&t->meta)) {
        each_contiguous_piece(t, take, user);
        return MOTH_OK;
    }
    moth_tensor *copy;
    MOTH_TRY(moth_tensor_contiguous_copy(ctx, t, &copy));
    each_contiguous_piece(copy, take, user);
    moth_tensor_release(copy);
    return MOTH_OK;
}
