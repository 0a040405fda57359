/* Matrix products by OpenBLAS, always single-threaded: threads belong above the product. */
#ifndef MOTH_CORE_BLAS_H
#define MOTH_CORE_BLAS_H

#include "core/status.h"

/* The engine's real number. The double build exists for gradient checks only and is never installed. */
#ifdef MOTH_DOUBLE
typedef double moth_real;
#define MOTH_R(x) x
#else
typedef float moth_real;
#define MOTH_R(x) x##f
#endif

/* c = op(a) op(b) + beta c, row-major; op(a) is (m, k), op(b) is (k, n), c is (m, n); lda.. are row strides in
 * elements. Sizes and strides must be below 2^31; 0 is legal. beta is 0 or 1. */
void moth_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const moth_real *a, int64_t lda,
               const moth_real *b, int64_t ldb, moth_real beta, moth_real *c, int64_t ldc);

/* Must be called once by every thread before it calls moth_gemm: keeps the library from starting threads of its own. */
void moth_blas_enter_thread(void);

/* A line such as "OpenBLAS 0.3.21 … Zen". Static storage. */
const char *moth_blas_description(void);

#endif
