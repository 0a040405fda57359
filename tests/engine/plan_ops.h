/* Ops of the tests' own: what the table has no small example of. */
#ifndef MOTH_TEST_PLAN_OPS_H
#define MOTH_TEST_PLAN_OPS_H

#include "ops/op.h"

extern const moth_op test_sgd;     /* w, g: w -= f[0] g, row by row */
extern const moth_op test_assign;  /* w, x: w = x, row by row */
extern const moth_op test_average; /* w, x: w = (w + x) / 2, row by row */
extern const moth_op test_total;   /* x -> (): sum of all elements in two phases, with both kinds of scratch */
extern const moth_op test_take;    /* w -> (N): w as it was, set to 0: a change that has a result */

#endif
