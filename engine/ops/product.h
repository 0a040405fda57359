/* The product of matrices in each CPU variant. */
#ifndef MOTH_OPS_PRODUCT_H
#define MOTH_OPS_PRODUCT_H

#include "ops/op.h"

typedef void moth_product_fn(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const moth_real *a,
                             int64_t lda, const moth_real *b, int64_t ldb, moth_real beta, moth_real *c, int64_t ldc);

/* Elements of b from which on it comes from memory rather than a cache, and packing both sides, as a library does,
 * pays. */
enum { MOTH_PRODUCT_LARGE = 1 << 19 };

/* As moth_gemm, which they call, with MOTH_ROW_TILE rows at a time, where b is large. Where the kernel is our own, the
 * chain of additions of an element depends on k alone: no cut of the rows of op(a) changes bits. */
moth_product_fn moth_product_portable; /* always moth_gemm */
#ifdef MOTH_HAVE_X86_VARIANTS
moth_product_fn moth_product_avx2, moth_product_avx512;
#endif
#define MOTH_PRODUCT MOTH_PASTE(moth_product, MOTH_VARIANT)

#endif
