/* IDX, the format of MNIST: two zero bytes, a type, the number of dimensions, the dimensions (32 bits, big-endian),
 * the elements (big-endian). Plain, or gzip-compressed whatever the file is called. */
#ifndef MOTH_IO_IDX_H
#define MOTH_IO_IDX_H

#include "tensor/tensor.h"

/* A new tensor (one reference) of 1 to 8 dimensions: u8 -> uint8; i8, i16, i32 -> int32; f32, f64 -> float32.
 * Errors name the file, the byte and what was expected: MOTH_ERR_FORMAT (a broken header; more or less data than it
 * says), MOTH_ERR_UNSUPPORTED (more than 2^40 elements; more than 4 GB from a .gz), MOTH_ERR_IO, MOTH_ERR_MEMORY. */
moth_status moth_io_idx_read(moth_ctx *ctx, const char *path, moth_tensor **out);

/* A data set of pictures with labels: images uint8 (n, height, width) or more dimensions, labels uint8 or int32 (n,),
 * each >= 0 and < classes. Both tensors are new references; none on failure. */
moth_status moth_io_idx_read_pair(moth_ctx *ctx, const char *images_path, const char *labels_path, int64_t classes,
                                  moth_tensor **images, moth_tensor **labels);

#endif
