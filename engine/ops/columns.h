/* Sums of columns, block by block: fixed by shape, and closer than one long chain. */
#ifndef MOTH_OPS_COLUMNS_H
#define MOTH_OPS_COLUMNS_H

#include "ops/nn_util.h"

enum {
    MOTH_COLUMNS = 64,      /* columns that are added side by side, in registers and first-level cache */
    MOTH_COLUMN_BLOCK = 128 /* rows in one partial sum */
};

static inline void moth_add_column_block(const moth_real *x, int64_t stride, int64_t rows, int64_t columns,
                                         moth_real *sum)
{
    moth_real part[MOTH_COLUMNS] = { 0 };
    if (columns == MOTH_COLUMNS) { /* a constant count, for the vectorizer */
        for (int64_t r = 0; r < rows; r++) {
            for (int j = 0; j < MOTH_COLUMNS; j++) {
                part[j] += x[r * stride + j];
            }
        }
    } else {
        for (int64_t r = 0; r < rows; r++) {
            for (int64_t j = 0; j < columns; j++) {
                part[j] += x[r * stride + j];
            }
        }
    }
    for (int64_t j = 0; j < columns; j++) {
        sum[j] += part[j];
    }
}

/* sum[j] += the sum over `rows` rows of x[r, j], for j < columns. */
static inline void moth_add_columns(const moth_real *x, int64_t stride, int64_t rows, int64_t columns, moth_real *sum)
{
    for (int64_t c = 0; c < columns; c += MOTH_COLUMNS) {
        for (int64_t r = 0; r < rows; r += MOTH_COLUMN_BLOCK) {
            moth_add_column_block(x + r * stride + c, stride, min64(MOTH_COLUMN_BLOCK, rows - r),
                                  min64(MOTH_COLUMNS, columns - c), sum + c);
        }
    }
}

#endif
