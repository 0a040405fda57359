/* The product of each kernel variant that this processor runs, against sums in double: all forms, sizes around the
 * edges of tiles, strips and chunks, rows with space between them that holds NaN and must stay untouched. */
#include "test.h"

#include <stdlib.h>

#include "core/cpu.h"
#include "ops/product.h"

typedef struct form {
    bool trans_a, trans_b;
    int64_t m, n, k;
    moth_real beta;
} form;

enum { GAP = 3 };

/* Rows of `columns` numbers, then GAP times NaN; no gap behind the last row, so that a sanitizer sees reads beyond. */
static moth_real *matrix(int64_t rows, int64_t columns, int seed)
{
    int64_t pitch = columns + GAP, size = rows * pitch - GAP;
    moth_real *x = malloc((size_t)size * sizeof *x);
    for (int64_t i = 0; x && i < size; i++) {
        x[i] = i % pitch < columns ? (moth_real)((i * 7919 + seed * 104729) % 2003) / 1001 - 1 : NAN;
    }
    return x;
}

static double element(const moth_real *x, int64_t pitch, bool trans, int64_t row, int64_t column)
{
    return trans ? x[column * pitch + row] : x[row * pitch + column];
}

static int64_t wrong_elements(const form *f, const moth_real *a, int64_t lda, const moth_real *b, int64_t ldb,
                              const moth_real *before, const moth_real *c, int64_t ldc)
{
    int64_t wrong = 0;
    for (int64_t i = 0; i < f->m; i++) {
        for (int64_t j = 0; j < f->n; j++) {
            double sum = f->beta != 0 ? before[i * ldc + j] : 0;
            for (int64_t k = 0; k < f->k; k++) {
                sum += element(a, lda, f->trans_a, i, k) * element(b, ldb, f->trans_b, k, j);
            }
            double error = fabs(c[i * ldc + j] - sum);
            wrong += !(error <= 1e-6 * (double)f->k);
        }
        for (int64_t j = f->n; j < ldc && i < f->m - 1; j++) {
            wrong += !isnan(c[i * ldc + j]);
        }
    }
    return wrong;
}

static void check(const char *variant, moth_product_fn *product, const form *f)
{
    int64_t a_rows = f->trans_a ? f->k : f->m, a_columns = f->trans_a ? f->m : f->k, lda = a_columns + GAP;
    int64_t b_rows = f->trans_b ? f->n : f->k, b_columns = f->trans_b ? f->k : f->n, ldb = b_columns + GAP;
    int64_t ldc = f->n + GAP, size = f->m * ldc - GAP;
    moth_real *a = matrix(a_rows, a_columns, 1), *b = matrix(b_rows, b_columns, 2), *before = matrix(f->m, f->n, 3),
              *c = matrix(f->m, f->n, 3), *cut = matrix(f->m, f->n, 3);
    if (!a || !b || !before || !c || !cut) {
        CHECK_THAT(false, "no memory");
        return;
    }
    for (int64_t i = 0; f->beta == 0 && i < size; i++) {
        c[i] = cut[i] = NAN; /* must not be read */
    }
    product(f->trans_a, f->trans_b, f->m, f->n, f->k, a, lda, b, ldb, f->beta, c, ldc);
    int64_t wrong = wrong_elements(f, a, lda, b, ldb, before, c, ldc);
    CHECK_THAT(wrong == 0, "%s: (%d, %d) x (%d, %d), trans %d %d, beta %g: %d elements are wrong", variant, (int)f->m,
               (int)f->k, (int)f->k, (int)f->n, f->trans_a, f->trans_b, (double)f->beta, (int)wrong);
    bool own = product != moth_product_portable && f->n * f->k < MOTH_PRODUCT_LARGE;
    if (own && f->m > 1) { /* the bits of a row do not depend on its neighbours */
        int64_t row = f->m / 3 + 1;
        product(f->trans_a, f->trans_b, row, f->n, f->k, a, lda, b, ldb, f->beta, cut, ldc);
        product(f->trans_a, f->trans_b, f->m - row, f->n, f->k, a + (f->trans_a ? row : row * lda), lda, b, ldb,
                f->beta, cut + row * ldc, ldc);
        CHECK_THAT(memcmp(c, cut, (size_t)size * sizeof *c) == 0, "%s: %d rows cut at %d give other bits", variant,
                   (int)f->m, (int)row);
    }
    free(a), free(b), free(before), free(c), free(cut);
}

static void test_variant(const char *variant, moth_product_fn *product)
{
    static const int64_t rows[] = { 1, 2, 3, 4, 5, 6, 7, 64 };
    static const int64_t lanes[] = { 1, 7, 8, 9, 17, 48, 64, 65, 130 };
    static const int64_t products[] = { 1, 7, 8, 9, 31, 255, 257, 520 };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t j = 0; j < sizeof lanes / sizeof *lanes; j++) {
            for (size_t k = 0; k < sizeof products / sizeof *products; k++) {
                for (int bits = 0; bits < 8; bits++) {
                    form f = { bits & 1, bits >> 1 & 1, rows[i], lanes[j], products[k], (moth_real)(bits >> 2) };
                    check(variant, product, &f);
                }
            }
        }
    }
    /* From here on b is large: the library's. */
    check(variant, product, &(form){ false, false, 7, 1500, 1500, 0 });
    /* Sums of nothing. */
    moth_real c[] = { 1, 2 };
    product(false, false, 1, 2, 0, c, 1, c, 2, 1, c, 2);
    CHECK(c[0] == 1 && c[1] == 2);
    product(false, false, 0, 2, 3, c, 3, c, 2, 0, c, 2);
    product(false, false, 2, 0, 3, c, 3, c, 1, 0, c, 1);
    CHECK(c[0] == 1 && c[1] == 2);
    product(false, false, 1, 2, 0, c, 1, c, 2, 0, c, 2);
    CHECK(c[0] == 0 && c[1] == 0);
}

int main(void)
{
    moth_blas_enter_thread();
    test_variant("portable", moth_product_portable);
#ifdef MOTH_HAVE_X86_VARIANTS
    if (moth_cpu_runs(MOTH_CPU_AVX2)) {
        test_variant("avx2", moth_product_avx2);
    }
    if (moth_cpu_runs(MOTH_CPU_AVX512)) {
        test_variant("avx512", moth_product_avx512);
    }
#endif
    return test_report();
}
