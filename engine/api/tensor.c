/* moth.h: reading tensors back, and files of tensors. */
#include <string.h>

#include "api/api.h"
#include "io/idx.h"
#include "io/image.h"
#include "io/image_digit.h"
#include "io/npy.h"
#include "io/safetensors.h"

/* ---- reading back ---- */

static moth_status check_room(moth_ctx *ctx, const char *function, const moth_tensor *t, const void *out, int64_t count)
{
    if (count != moth_tensor_count(t)) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: the tensor has %lld elements, room for %lld given", function,
                         (long long)moth_tensor_count(t), (long long)count);
    }
    return out || count == 0 ? MOTH_OK : moth_fail_null(ctx, function, "out");
}

static moth_status fail_type(moth_ctx *ctx, const char *function, const char *expected, const moth_tensor *t)
{
    return moth_fail(ctx, MOTH_ERR_DTYPE, "%s: expected %s, got %s", function, expected,
                     moth_dtype_name(t->meta.dtype));
}

moth_status moth_tensor_to_ints(moth_ctx *ctx, const moth_tensor *t, int32_t *out, int64_t count)
{
    MOTH_NEED(ctx, t);
    MOTH_TRY(check_room(ctx, __func__, t, out, count));
    if (t->meta.dtype == MOTH_FLOAT32) {
        return fail_type(ctx, __func__, "int32 or uint8", t);
    }
    for (int64_t i = 0; i < count; i++) {
        out[i] = (int32_t)moth_tensor_element(t, i);
    }
    return MOTH_OK;
}

moth_status moth_tensor_to_bytes(moth_ctx *ctx, const moth_tensor *t, uint8_t *out, int64_t count)
{
    MOTH_NEED(ctx, t);
    MOTH_TRY(check_room(ctx, __func__, t, out, count));
    if (t->meta.dtype != MOTH_UINT8) {
        return fail_type(ctx, __func__, "uint8", t);
    }
    for (int64_t i = 0; i < count; i++) {
        out[i] = (uint8_t)moth_tensor_element(t, i);
    }
    return MOTH_OK;
}

/* ---- files ---- */

moth_status moth_tensor_read_idx(moth_ctx *ctx, const char *path, moth_tensor **out)
{
    MOTH_NEED(ctx, path);
    MOTH_NEED(ctx, out);
    return moth_api_answer(ctx, moth_io_idx_read(ctx, path, out));
}

moth_status moth_tensor_read_npy(moth_ctx *ctx, const char *path, moth_tensor **out)
{
    MOTH_NEED(ctx, path);
    MOTH_NEED(ctx, out);
    return moth_api_answer(ctx, moth_io_npy_read(ctx, path, out));
}

moth_status moth_tensor_write_npy(moth_ctx *ctx, const char *path, const moth_tensor *t)
{
    MOTH_NEED(ctx, path);
    MOTH_NEED(ctx, t);
    return moth_api_answer(ctx, moth_io_npy_write(ctx, path, t));
}

moth_status moth_tensor_read_digit(moth_ctx *ctx, const char *path, moth_tensor **out)
{
    moth_tensor *picture;
    MOTH_NEED(ctx, path);
    MOTH_NEED(ctx, out);
    moth_status status = moth_image_load(ctx, path, 0, true, &picture);
    if (status == MOTH_OK) {
        status = moth_image_digit(ctx, picture, out);
        if (status != MOTH_OK) {
            moth_fail_prefix(ctx, "%.200s", path);
        }
        moth_tensor_release(picture);
    }
    return moth_api_answer(ctx, status);
}

moth_status moth_tensor_file_read(moth_ctx *ctx, const char *path, moth_tensor_file **out)
{
    MOTH_NEED(ctx, path);
    MOTH_NEED(ctx, out);
    return moth_api_answer(ctx, moth_io_safetensors_read(ctx, path, out));
}

moth_status moth_tensor_file_write(moth_ctx *ctx, const char *path, const moth_tensor_file *file)
{
    MOTH_NEED(ctx, path);
    MOTH_NEED(ctx, file);
    return moth_api_answer(ctx, moth_io_safetensors_write(ctx, path, file, false));
}
