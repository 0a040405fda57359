/* The number types that files hold, and how they become the three that tensors hold:
 *   u8 -> uint8, bool -> uint8 (0 or 1; another byte is an error), i8 i16 i32 -> int32,
 *   i64 -> int32 where every value fits, else an error, f16 bf16 f32 -> float32 exactly,
 *   f64 -> float32 rounded to nearest (infinite where the value is out of range, as in C and NumPy). */
#ifndef MOTH_IO_ELEMENT_H
#define MOTH_IO_ELEMENT_H

#include "io/file.h"
#include "tensor/tensor.h"

typedef enum moth_element {
    MOTH_ELEMENT_U8,
    MOTH_ELEMENT_BOOL,
    MOTH_ELEMENT_I8,
    MOTH_ELEMENT_I16,
    MOTH_ELEMENT_I32,
    MOTH_ELEMENT_I64,
    MOTH_ELEMENT_F16,
    MOTH_ELEMENT_BF16,
    MOTH_ELEMENT_F32,
    MOTH_ELEMENT_F64
} moth_element;

int64_t moth_element_size(moth_element element); /* bytes in the file */
moth_dtype moth_element_dtype(moth_element element);
moth_element moth_element_of(moth_dtype dtype); /* what a tensor of that type is written as */

/* Bytes that a shape takes in a file, through the checked product: false when a dimension is negative or the elements
 * (with an empty dimension counted as 1) are more than 2^40. */
bool moth_element_bytes(moth_element element, int rank, const int64_t *shape, int64_t *bytes);

/* Reads the elements of `to`, a new contiguous tensor of the right type and shape, from the source. */
moth_status moth_io_read_elements(moth_ctx *ctx, moth_source *source, moth_element element, bool big_endian,
                                  moth_tensor *to);

/* Gives the elements of a concrete tensor in row-major order, as they stand in a file, to `take`, a piece at a time.
 * MOTH_ERR_MEMORY. */
moth_status moth_io_each_piece(moth_ctx *ctx, const moth_tensor *t,
                               void (*take)(void *user, const void *bytes, size_t size), void *user);

#endif
