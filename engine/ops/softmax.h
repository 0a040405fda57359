/* Softmax of many rows at a time, shared by softmax and the cross entropy. Included by kernel files, so that each CPU
 * variant has its own copy. */
#ifndef MOTH_OPS_SOFTMAX_H
#define MOTH_OPS_SOFTMAX_H

#include "ops/reduce.h"

enum { MOTH_SOFTMAX_ROWS = 64 }; /* rows treated together, so that short ones fill vectors too */

/* Largest of n numbers; NaN only where all are. */
static inline moth_real moth_row_top(int64_t n, const moth_real *x)
{
    moth_real lane[MOTH_LANES];
    for (int k = 0; k < MOTH_LANES; k++) {
        lane[k] = -INFINITY;
    }
    int64_t i = 0;
    for (; i + MOTH_LANES <= n; i += MOTH_LANES) {
        for (int k = 0; k < MOTH_LANES; k++) {
            lane[k] = x[i + k] > lane[k] ? x[i + k] : lane[k];
        }
    }
    moth_real top = lane[0];
    for (int k = 1; k < MOTH_LANES; k++) {
        top = lane[k] > top ? lane[k] : top;
    }
    for (; i < n; i++) {
        top = x[i] > top ? x[i] : top;
    }
    return top;
}

/* p = softmax of each of rows <= MOTH_SOFTMAX_ROWS rows of n numbers; top and sum receive what was subtracted and what
 * was divided by. */
__attribute__((unused)) static void moth_softmax_rows(int64_t rows, int64_t n, const moth_real *x, moth_real *p,
                                                      moth_real *top, moth_real *sum)
{
    for (int64_t r = 0; r < rows; r++) {
        top[r] = moth_row_top(n, x + r * n);
        for (int64_t i = r * n; i < (r + 1) * n; i++) {
            p[i] = x[i] - top[r];
        }
    }
    MOTH_INDEPENDENT
    for (int64_t i = 0; i < rows * n; i++) {
        p[i] = MOTH_EXP(p[i]);
    }
    for (int64_t r = 0; r < rows; r++) {
        sum[r] = (moth_real)moth_sum_reals_lanes(n, p + r * n, 0);
        for (int64_t i = r * n; i < (r + 1) * n; i++) {
            p[i] /= sum[r];
        }
    }
}

#endif
