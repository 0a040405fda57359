/* Vectors of the CPU variant being compiled, and the tiles of a product that stay in registers. */
#ifndef MOTH_OPS_TILE_H
#define MOTH_OPS_TILE_H

#include "core/blas.h"

#if defined(__AVX512F__)
#define MOTH_VECTOR_BYTES 64
#define MOTH_TILE_VECTORS 4
#elif defined(__AVX2__)
#define MOTH_VECTOR_BYTES 32
#define MOTH_TILE_VECTORS 2
#else
#define MOTH_VECTOR_BYTES 16
#define MOTH_TILE_VECTORS 2
#endif
#define MOTH_TILE_ROWS 6
#define MOTH_VECTOR ((int)(MOTH_VECTOR_BYTES / sizeof(moth_real))) /* lanes of a vector */
#define MOTH_LANES_MAX (MOTH_TILE_VECTORS * MOTH_VECTOR)           /* lanes of a tile */

typedef moth_real moth_vector __attribute__((vector_size(MOTH_VECTOR_BYTES)));
/* The same in memory, at any address. */
typedef moth_real moth_memory_vector
    __attribute__((vector_size(MOTH_VECTOR_BYTES), aligned(sizeof(moth_real)), may_alias));

/* Accumulators live in registers only where every loop over them is unrolled before arrays are looked at. */
#if defined(__clang__)
#define MOTH_UNROLL _Pragma("clang loop unroll(full)")
#else
#define MOTH_UNROLL _Pragma("GCC unroll 16")
#endif

#endif
