/* Dropout of states: which of them go into the product with the recurrent weight, for each row and gate. */
#ifndef MOTH_OPS_KEPT_H
#define MOTH_OPS_KEPT_H

#include "tensor/tensor.h"

typedef struct moth_kept {
    const uint8_t *on; /* of the first row and gate; NULL: all states are kept, undivided */
    int64_t pitch;     /* from row to row: gates times units, also of the recurrent weight */
    moth_real scale;   /* of the states that are kept */
    moth_real *room;   /* MOTH_ROW_TILE x units, for the products */
} moth_kept;

moth_real moth_kept_scale(double rate); /* 1 / (1 - rate); of rate 1, where nothing is kept, 0 */

/* to (rows, n) = h where it is kept, scaled, else 0; `to` may be h. */
void moth_kept_apply(const moth_kept *k, int64_t rows, int64_t n, const moth_real *h, int64_t pitch, moth_real *to);

/* product (rows, gates n) = h times the first blocks of recurrent, each with the states that its gate keeps. */
void moth_kept_product(const moth_kept *k, int64_t rows, int64_t n, int gates, const moth_real *h, int64_t pitch,
                       const moth_real *recurrent, moth_real *product);

/* dh (rows, n) += the gradient of h, from d (rows, gates n) of the product. */
void moth_kept_product_back(const moth_kept *k, int64_t rows, int64_t n, int gates, const moth_real *d, int64_t pitch,
                            const moth_real *recurrent, moth_real *dh);

#endif
