/* Slots of the attributes of max_pool2d and avg_pool2d; a list has its length in front. */
#ifndef MOTH_OPS_POOL2D_H
#define MOTH_OPS_POOL2D_H

enum {
    MOTH_POOL_WINDOW = 0,  /* rows, columns */
    MOTH_POOL_STRIDES = 3, /* rows, columns; empty: as the window */
    MOTH_POOL_PADDING = 6, /* top, bottom, left, right; empty: 0 */
    MOTH_POOL_SIZE = 11    /* gradients only: rows and columns of x */
};

#endif
