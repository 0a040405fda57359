/* NumPy's .npy, versions 1.0, 2.0 and 3.0: a magic, the length of the header, the header (a Python dict as text), the
 * elements. */
#ifndef MOTH_IO_NPY_H
#define MOTH_IO_NPY_H

#include "tensor/tensor.h"

/* A new tensor (one reference), in row-major order whatever the file's order is. Types: f2 f4 f8 -> float32, u1 b1 ->
 * uint8, i1 i2 i4 -> int32, i8 -> int32 where every value fits; little- or big-endian. Bytes after the elements are
 * ignored, as NumPy does: one stream may hold several arrays. Errors name the file, the byte and what was expected:
 * MOTH_ERR_FORMAT (a broken header, too few elements, a value that does not fit), MOTH_ERR_UNSUPPORTED (another type or
 * version, more than 8 dimensions or 2^40 elements), MOTH_ERR_IO, MOTH_ERR_MEMORY. */
moth_status moth_io_npy_read(moth_ctx *ctx, const char *path, moth_tensor **out);

/* Writes version 1.0, row-major: <f4, <i4 or |u1. Of a symbolic tensor MOTH_ERR_TRACING. */
moth_status moth_io_npy_write(moth_ctx *ctx, const char *path, const moth_tensor *t);

#endif
