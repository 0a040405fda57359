/* The mathematical functions on moth_real: libm in the double build; in the float build the vectorizable versions of
 * vecmath.h where there are any. */
#ifndef MOTH_OPS_REAL_H
#define MOTH_OPS_REAL_H

#include <math.h>

#include "core/blas.h"

/* In front of a loop whose iterations are independent although input and output may be the same memory. */
#if defined(__clang__)
#define MOTH_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define MOTH_INDEPENDENT _Pragma("GCC ivdep")
#else
#define MOTH_INDEPENDENT
#endif

#ifdef MOTH_DOUBLE
#define MOTH_EXP exp
#define MOTH_LOG log
#define MOTH_LOG1P log1p
#define MOTH_TANH tanh
#define MOTH_ERF erf
#define MOTH_SQRT sqrt
#define MOTH_FABS fabs
#define MOTH_FLOOR floor
#define MOTH_CEIL ceil
#define MOTH_RINT rint
#define MOTH_SIN sin
#define MOTH_COS cos
#define MOTH_POW pow
static inline moth_real moth_sigmoid_real(moth_real x)
{
    moth_real e = exp(-fabs(x));
    return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}
#define MOTH_SIGMOID moth_sigmoid_real
#else
#include "ops/vecmath.h"
#define MOTH_EXP moth_vec_exp
#define MOTH_LOG moth_vec_log
#define MOTH_LOG1P moth_vec_log1p
#define MOTH_TANH moth_vec_tanh
#define MOTH_ERF moth_vec_erf
#define MOTH_SIGMOID moth_vec_sigmoid
#define MOTH_SQRT sqrtf
#define MOTH_FABS fabsf
#define MOTH_FLOOR floorf
#define MOTH_CEIL ceilf
#define MOTH_RINT rintf
#define MOTH_SIN sinf
#define MOTH_COS cosf
#define MOTH_POW powf
#endif

#endif
