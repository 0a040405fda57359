/* The product of the ops beside OpenBLAS's, in GFLOPS on one thread, at sizes that plans have: make
 * build/bench/product. Best of 30 rounds in turn. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/cpu.h"
#include "ops/product.h"

typedef struct size {
    const char *what;
    bool ta, tb;
    int64_t m, n, k;
} size;

static const size sizes[] = {
    { "MLP layer 1", false, false, 64, 128, 784 },
    { "its weight", true, false, 64, 128, 128 },
    { "MLP layer 2", false, false, 64, 128, 128 },
    { "its input", false, true, 64, 128, 128 },
    { "MLP layer 3", false, false, 64, 10, 128 },
    { "its weight", true, false, 64, 10, 128 },
    { "its input", false, true, 64, 128, 10 },
    { "LSTM step", false, false, 64, 512, 128 },
    { "its state", false, true, 64, 128, 512 },
    { "LSTM weight", true, false, 64, 512, 3584 },
    { "LSTM weight in", true, false, 28, 512, 3584 },
    { "LSTM input", false, false, 64, 512, 28 },
    { "wide layer", false, false, 64, 1024, 1024 },
    { "its weight", true, false, 64, 1024, 128 },
    { "its input", false, true, 64, 1024, 1024 },
    { "square", false, false, 64, 2048, 2048 },
    { "one row", false, false, 1, 128, 784 },
    { "one row", false, true, 1, 784, 128 },
    { "four rows", false, true, 4, 784, 128 },
    { "outer", true, false, 64, 128, 1 },
    { "tiny", false, false, 4, 8, 2 },
};

static moth_real a[64 * 3584], b[2048 * 2048], c[64 * 2048]; /* as large as any */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static moth_product_fn *own_product(void)
{
#ifdef MOTH_HAVE_X86_VARIANTS
    static moth_product_fn *const products[] = { moth_product_portable, moth_product_avx2, moth_product_avx512 };
    return products[moth_cpu_detect()];
#else
    return moth_product_portable;
#endif
}

static double seconds(const size *s, int64_t times, moth_product_fn *product)
{
    double start = now();
    for (int64_t i = 0; i < times; i++) {
        product(s->ta, s->tb, s->m, s->n, s->k, a, s->ta ? s->m : s->k, b, s->tb ? s->k : s->n, 0, c, s->n);
    }
    return now() - start;
}

int main(void)
{
    moth_blas_enter_thread();
    printf("kernels: %s\n", moth_cpu_name(moth_cpu_detect()));
    printf("%-16s %-4s %5s %5s %5s %10s %10s %6s\n", "what", "form", "m", "n", "k", "OpenBLAS", "moth", "ratio");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size *s = &sizes[i];
        for (int64_t j = 0; j < s->m * s->k; j++) {
            a[j] = (moth_real)(j % 17) / 17;
        }
        for (int64_t j = 0; j < s->k * s->n; j++) {
            b[j] = (moth_real)(j % 19) / 19;
        }
        double flops = 2.0 * (double)(s->m * s->n * s->k), best[2] = { 1e9, 1e9 };
        int64_t times = (int64_t)(1e8 / flops) + 1;
        for (int round = 0; round < 60; round++) {
            int own = round % 2;
            double t = seconds(s, times, own == 1 ? own_product() : moth_gemm) / (double)times;
            best[own] = t < best[own] ? t : best[own];
        }
        printf("%-16s %c%c   %5d %5d %5d %10.1f %10.1f %6.2f\n", s->what, s->ta ? 'T' : 'N', s->tb ? 'T' : 'N',
               (int)s->m, (int)s->n, (int)s->k, flops / best[0] * 1e-9, flops / best[1] * 1e-9, best[0] / best[1]);
    }
    return EXIT_SUCCESS;
}
