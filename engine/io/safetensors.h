/* safetensors: 8 bytes with the length of the header (little-endian), the header (JSON), the elements of all tensors
 * without a gap. https://github.com/huggingface/safetensors, "Format". */
#ifndef MOTH_IO_SAFETENSORS_H
#define MOTH_IO_SAFETENSORS_H

#include "io/tensor_file.h"

#define MOTH_SAFETENSORS_MAX_HEADER 100000000 /* bytes, as in the format's own reader */
#define MOTH_SAFETENSORS_MAX_TENSORS 100000   /* and as many texts */

/* Reads the whole file: all or nothing. Types: F32 F16 BF16 F64 -> float32 (the last rounded), U8 BOOL -> uint8,
 * I8 I16 I32 -> int32, I64 -> int32 where every value fits. Where the metadata has MOTH_CHECKSUM_KEY, the data must
 * have that CRC-32; the key is not handed on. *out is the caller's, to be freed by moth_tensor_file_free.
 * Errors name the file, the byte and what was expected: MOTH_ERR_FORMAT (a header or data that break the format, a
 * value that does not fit, a wrong checksum), MOTH_ERR_UNSUPPORTED (another type, more than 8 dimensions, 2^40 elements
 * or the limits above), MOTH_ERR_IO, MOTH_ERR_MEMORY. */
moth_status moth_io_safetensors_read(moth_ctx *ctx, const char *path, moth_tensor_file **out);

/* Writes F32, I32 and U8, all or nothing; with `checksum` also MOTH_CHECKSUM_KEY. The bytes depend on the contents
 * only: header in the order of names, data in the order of element sizes (large first, so that every tensor is
 * aligned), then names. MOTH_ERR_ARGUMENT beyond the limits above, MOTH_ERR_IO, MOTH_ERR_MEMORY. */
moth_status moth_io_safetensors_write(moth_ctx *ctx, const char *path, const moth_tensor_file *file, bool checksum);

#endif
