/* Reads JPEG by stb_image, the one decoder here that is not ours: image_jpeg_guard.c checks the file first.
 *
 * Sums of corrupt coefficients overflow inside the decoder, and it shifts zeros too far where bits are missing; the
 * Makefile compiles this file so that neither does harm. */
#include "io/image_codec.h"

/* The decoder's allocator has no place for a context, and its verdict does not tell a lack of memory from corrupt data.
 * Set during one call of moth_jpeg_decode only. */
static _Thread_local bool out_of_memory;

static void *decoder_alloc(size_t size)
{
    /* Zeroed, so that no picture depends on what the memory held before. */
    void *memory = moth_calloc(size);
    out_of_memory = out_of_memory || !memory;
    return memory;
}

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_NO_STDIO
#define STBI_NO_FAILURE_STRINGS
#define STBI_MAX_DIMENSIONS MOTH_IMAGE_MAX_SIDE
#define STBI_MALLOC(size) decoder_alloc(size)
#define STBI_REALLOC(memory, size) moth_realloc(memory, size)
#define STBI_FREE(memory) moth_free(memory)
#define STBI_ASSERT(condition) ((void)0)
/* It declares more than it then defines, and gcc looks for that at the end of the file. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_image.h>

moth_status moth_jpeg_decode(moth_ctx *ctx, const uint8_t *bytes, size_t size, moth_picture *out)
{
    moth_jpeg_info info = { 0 };
    MOTH_TRY(moth_jpeg_guard(ctx, bytes, size, &info));
    out_of_memory = false;
    int width = 0, height = 0, channels = 0;
    stbi_uc *pixels = stbi_load_from_memory(bytes, (int)size, &width, &height, &channels, 0);
    if (!pixels && out_of_memory) {
        return moth_fail_memory(ctx, info.width * info.height * info.components);
    }
    if (!pixels) {
        return moth_fail(ctx, MOTH_ERR_FORMAT, "JPEG: the compressed data are damaged");
    }
    *out = (moth_picture){ width, height, channels, info.orientation, pixels };
    return MOTH_OK;
}
