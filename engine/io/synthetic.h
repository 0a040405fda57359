/* Synthetic handwriting: digits drawn from strokes with the variety of a hand, for machines without MNIST. */
#ifndef MOTH_IO_SYNTHETIC_H
#define MOTH_IO_SYNTHETIC_H

#include "tensor/tensor.h"

/* n pictures uint8 (n, 28, 28), white on black and centred by mass as MNIST's, and their digits int32 (n). Sample i is
 * a function of (seed, i) alone. MOTH_ERR_ARGUMENT (n below 0), MOTH_ERR_MEMORY, MOTH_ERR_INTERRUPTED. */
moth_status moth_synthetic_digits(moth_ctx *ctx, int64_t n, uint64_t seed, moth_tensor **images, moth_tensor **labels);

#endif
