/* Steps through the rows r0 .. r1-1 of an output line by line, with the place in each operand. Dims that lie one
 * behind the other in every operand are walked as one, so contiguous data is a single line. */
#ifndef MOTH_OPS_WALK_H
#define MOTH_OPS_WALK_H

#include "ops/op.h"

#define MOTH_WALK_OPERANDS 6

typedef struct moth_walk {
    int64_t n;                        /* elements of a line */
    int64_t step[MOTH_WALK_OPERANDS]; /* from one element of a line to the next */
    int64_t at[MOTH_WALK_OPERANDS];   /* first element of the line */
    int rank, n_operands;             /* dims outside the line */
    int64_t shape[MOTH_MAX_RANK], index[MOTH_MAX_RANK];
    int64_t stride[MOTH_WALK_OPERANDS][MOTH_MAX_RANK];
} moth_walk;

/* Strides of an operand as if it had the output's shape: 0 where it is broadcast. */
void moth_walk_broadcast(const moth_arg *out, const moth_arg *operand, int64_t stride[MOTH_MAX_RANK]);

/* Starts at row r0 of a shape of `rank` dims; stride[k] belongs to operand k. False: no elements at all.
 *     if (moth_walk_open(…)) do { … } while (moth_walk_next(&w)); */
bool moth_walk_open(moth_walk *w, int rank, const int64_t *shape, int n_operands, int64_t (*stride)[MOTH_MAX_RANK],
                    int64_t r0, int64_t r1);
bool moth_walk_next(moth_walk *w);

/* The usual case: operand 0 is out[0], operand k is in[k - 1], broadcast. */
bool moth_walk_call(moth_walk *w, const moth_call *call, int64_t r0, int64_t r1);

#endif
