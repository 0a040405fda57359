#define _GNU_SOURCE /* RTLD_DEFAULT */
#include "core/blas.h"

#include <cblas.h>
#include <dlfcn.h>
#include <pthread.h>

void moth_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const moth_real *a, int64_t lda,
               const moth_real *b, int64_t ldb, moth_real beta, moth_real *c, int64_t ldc)
{
    if (m == 0 || n == 0) {
        return;
    }
    if (k == 0) { /* an empty sum; BLAS would want a leading dimension above 0 */
        for (int64_t i = 0; i < m && beta == 0; i++) {
            for (int64_t j = 0; j < n; j++) {
                c[i * ldc + j] = 0;
            }
        }
        return;
    }
    CBLAS_TRANSPOSE ta = trans_a ? CblasTrans : CblasNoTrans;
    CBLAS_TRANSPOSE tb = trans_b ? CblasTrans : CblasNoTrans;
#ifdef MOTH_DOUBLE
    cblas_dgemm(CblasRowMajor, ta, tb, (int)m, (int)n, (int)k, 1, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
#else
    cblas_sgemm(CblasRowMajor, ta, tb, (int)m, (int)n, (int)k, 1, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
#endif
}

typedef void (*set_threads_fn)(int);
typedef int (*shutdown_fn)(void);

static set_threads_fn find_set_threads(const char *name)
{
    set_threads_fn fn = NULL;
    /* POSIX's way of turning an object pointer into a function pointer */
    *(void **)(&fn) = dlsym(RTLD_DEFAULT, name);
    return fn;
}

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static set_threads_fn set_openmp_threads; /* NULL: no OpenMP in this process */

/* Declared by OpenBLAS's cblas.h only; another BLAS behind libblas.so has neither. */
static void limit_library(void)
{
    set_threads_fn set_threads = find_set_threads("openblas_set_num_threads");
    if (set_threads) {
        set_threads(1);
    }
    /* The pthread flavour has started its workers when it was loaded; with one thread it never calls on them. */
    shutdown_fn shutdown = NULL;
    *(void **)(&shutdown) = dlsym(RTLD_DEFAULT, "blas_thread_shutdown_");
    if (set_threads && shutdown) {
        shutdown();
    }
    set_openmp_threads = find_set_threads("omp_set_num_threads");
}

void moth_blas_enter_thread(void)
{
    pthread_once(&library_once, limit_library);
    /* The OpenMP flavour ignores openblas_set_num_threads and asks OpenMP, whose setting belongs to each thread. */
    if (set_openmp_threads) {
        set_openmp_threads(1);
    }
}

const char *moth_blas_description(void)
{
    typedef char *(*config_fn)(void);
    config_fn config = NULL;
    *(void **)(&config) = dlsym(RTLD_DEFAULT, "openblas_get_config");
    return config ? config() : "a BLAS that does not say its name";
}
