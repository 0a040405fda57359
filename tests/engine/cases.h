/* Inputs for the cases of the op table, the same for the gradient check and the comparison of kernel variants. */
#ifndef MOTH_TEST_CASES_H
#define MOTH_TEST_CASES_H

#include "graph/graph.h"

#define MAX_CASE_INPUTS 6
#define MAX_CASE_OUTPUTS 8

/* A reproducible number in [0, 1). */
double case_random(uint64_t seed, int64_t i);

/* Makes tensor k of a case; values depend on seed and k only. Aborts the program when memory runs out. */
moth_tensor *case_input(moth_ctx *ctx, const moth_case *c, int k, uint64_t seed);

/* All of them; in[k] is NULL where the case has rank -1 (an absent optional input). */
void case_inputs(moth_ctx *ctx, const moth_case *c, uint64_t seed, moth_tensor **in);
void release_all(int n, moth_tensor **t);

/* The same case with every size but 1 made larger, sizes that agree staying so. Cases whose attributes name sizes do
 * not fit any more. */
moth_case case_enlarged(const moth_case *c);

/* The cases of an op of any variant: the portable table has them. NULL: none. */
const moth_case *cases_of(const moth_op *op);

/* Checks every op of the table, or the one that the command line names. */
void check_each_op(int argc, char **argv, void (*check)(moth_ctx *ctx, const moth_op *op));

/* Outputs that callers see. */
int visible_outputs(const moth_op *op);

#endif
