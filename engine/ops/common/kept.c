/* Dropout of states, as recurrent.h describes it; apart from the kernels, as it is no part of what makes them fast. */
#include "ops/kept.h"

#include "core/blas.h"

moth_real moth_kept_scale(double rate)
{
    return rate < 1 ? (moth_real)(1 / (1 - rate)) : 0;
}

void moth_kept_apply(const moth_kept *k, int64_t rows, int64_t n, const moth_real *h, int64_t pitch, moth_real *to)
{
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t j = 0; j < n; j++) {
            to[r * n + j] = h[r * pitch + j] * (k->on[r * k->pitch + j] ? k->scale : 0);
        }
    }
}

void moth_kept_product(const moth_kept *k, int64_t rows, int64_t n, int gates, const moth_real *h, int64_t pitch,
                       const moth_real *recurrent, moth_real *product)
{
    for (int g = 0; g < gates; g++) {
        const moth_kept gate = { .on = k->on + g * n, .pitch = k->pitch, .scale = k->scale };
        moth_kept_apply(&gate, rows, n, h, pitch, k->room);
        moth_gemm(false, false, rows, n, n, k->room, n, recurrent + g * n, k->pitch, 0, product + g * n, gates * n);
    }
}

void moth_kept_product_back(const moth_kept *k, int64_t rows, int64_t n, int gates, const moth_real *d, int64_t pitch,
                            const moth_real *recurrent, moth_real *dh)
{
    for (int g = 0; g < gates; g++) {
        const moth_kept gate = { .on = k->on + g * n, .pitch = k->pitch, .scale = k->scale };
        moth_gemm(false, true, rows, n, n, d + g * n, pitch, recurrent + g * n, k->pitch, 0, k->room, n);
        moth_kept_apply(&gate, rows, n, k->room, n, k->room);
        for (int64_t i = 0; i < rows * n; i++) {
            dh[i] += k->room[i];
        }
    }
}
