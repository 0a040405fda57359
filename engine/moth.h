/* moth: tensors, autograd, layers and training in C. This header alone is what an embedding program includes.
 *
 * Every function that can fail returns a moth_status and leaves a one-line message on the context (moth_error). An
 * out-parameter is written on success only. Objects are reference-counted or have one owner, as said at each function.
 * A context and all that was made with it belong to one thread at a time. */
#ifndef MOTH_H
#define MOTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moth_version.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTH_API __attribute__((visibility("default")))
#define MOTH_MAX_RANK 8
#define MOTH_ERROR_SIZE 1024

typedef struct moth_ctx moth_ctx;
typedef struct moth_tensor moth_tensor;

typedef enum moth_status {
    MOTH_OK,
    MOTH_ERR_ARGUMENT,    /* a value outside what the function takes */
    MOTH_ERR_SHAPE,       /* shapes that do not fit together */
    MOTH_ERR_DTYPE,       /* a type that the op does not take */
    MOTH_ERR_INDEX,       /* a position outside the tensor */
    MOTH_ERR_MEMORY,      /* no memory */
    MOTH_ERR_IO,          /* a file could not be read or written */
    MOTH_ERR_FORMAT,      /* a file that breaks its format */
    MOTH_ERR_STATE,       /* a call at the wrong time (not compiled, closed, changed in place) */
    MOTH_ERR_NONFINITE,   /* a loss or gradient that is NaN or infinite */
    MOTH_ERR_INTERRUPTED, /* stopped by moth_ctx_interrupt */
    MOTH_ERR_UNSUPPORTED, /* legal elsewhere, not offered here */
    MOTH_ERR_TRACING,     /* a value was asked of a symbolic tensor */
    MOTH_ERR_EXACT_BATCH, /* this graph needs the exact number of rows; the caller traces again with it */
    MOTH_ERR_CALLBACK     /* a function given by the caller failed */
} moth_status;

typedef enum moth_dtype { MOTH_FLOAT32, MOTH_INT32, MOTH_UINT8 } moth_dtype;

/* "ok", "argument", "shape", … Static storage. */
MOTH_API const char *moth_status_name(moth_status status);

/* A new context; NULL when there is no memory. Free it last. */
MOTH_API moth_ctx *moth_ctx_new(void);
MOTH_API void moth_ctx_free(moth_ctx *ctx); /* NULL is allowed */

/* Text and code of the last failure on ctx; valid until the next call with it. */
MOTH_API const char *moth_error(const moth_ctx *ctx);
MOTH_API moth_status moth_error_status(const moth_ctx *ctx);

/* Fixes the key of all random draws and starts their counters anew. */
MOTH_API void moth_seed(moth_ctx *ctx, uint64_t seed);

/* Number of threads (1..64) that calls with ctx use. */
MOTH_API moth_status moth_ctx_set_threads(moth_ctx *ctx, int threads);
MOTH_API int moth_ctx_threads(const moth_ctx *ctx);

/* Chooses the kernel variant by name: "portable", "avx2", "avx512". */
MOTH_API moth_status moth_ctx_set_cpu(moth_ctx *ctx, const char *name);
MOTH_API const char *moth_ctx_cpu(const moth_ctx *ctx);

/* Receives one line of information at a time; none by default. */
MOTH_API void moth_ctx_set_log(moth_ctx *ctx, void (*log)(void *user, const char *line), void *user);

/* Makes the running call stop with MOTH_ERR_INTERRUPTED soon. Safe in a signal handler. */
MOTH_API void moth_ctx_interrupt(moth_ctx *ctx);

/* ---- tensors ---- */

/* A new tensor (one reference) with the given elements in row-major order, copied; shape has `rank` entries. */
MOTH_API moth_status moth_tensor_from_floats(moth_ctx *ctx, int rank, const int64_t *shape, const float *data,
                                             moth_tensor **out);
MOTH_API moth_status moth_tensor_from_ints(moth_ctx *ctx, int rank, const int64_t *shape, const int32_t *data,
                                           moth_tensor **out);
MOTH_API moth_status moth_tensor_from_bytes(moth_ctx *ctx, int rank, const int64_t *shape, const uint8_t *data,
                                            moth_tensor **out);

/* One more / one less reference; release frees at zero. Both take NULL. */
MOTH_API moth_tensor *moth_tensor_retain(moth_tensor *t);
MOTH_API void moth_tensor_release(moth_tensor *t);

MOTH_API int moth_tensor_rank(const moth_tensor *t);
MOTH_API int64_t moth_tensor_dim(const moth_tensor *t, int dim); /* dim counts from 0 */
MOTH_API moth_dtype moth_tensor_dtype(const moth_tensor *t);
MOTH_API int64_t moth_tensor_count(const moth_tensor *t);

/* Copies the elements in row-major order as floats; `count` must equal moth_tensor_count. */
MOTH_API moth_status moth_tensor_to_floats(moth_ctx *ctx, const moth_tensor *t, float *out, int64_t count);

#ifdef __cplusplus
}
#endif

#endif
