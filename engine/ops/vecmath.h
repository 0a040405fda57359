/* Float functions without branches or table look-ups, so that a loop around them becomes vector code. Accurate to about
 * 2 units in the last place over the whole range, infinities, NaN and denormals included (tests/engine/test_ops.c).
 *
 * exp, log, tanh: range reduction and polynomials after Cephes (Moshier 1989); erf: after N. Juffa's single-precision
 * minimax polynomials (2011). */
#ifndef MOTH_OPS_VECMATH_H
#define MOTH_OPS_VECMATH_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t moth_vec_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float moth_vec_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* e^x = 2^n e^r with |r| <= ln 2 / 2. 2^n is applied as two factors: n reaches from -150 (denormals) to 128. */
static inline float moth_vec_exp(float x)
{
    const float to_integer = 0x1.8p23f; /* adding it rounds to an integer that stands in the low bits */
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    float shifted = x * 1.44269504f + to_integer;
    float n = shifted - to_integer;
    float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    uint32_t power = moth_vec_bits(shifted) - moth_vec_bits(to_integer) + 256; /* n + 256 > 0 */
    uint32_t half = power / 2;
    return p * moth_vec_float((half - 128 + 127) << 23) * moth_vec_float((power - half - 128 + 127) << 23);
}

/* ln x = e ln 2 + ln m with m in [sqrt 1/2, sqrt 2). */
static inline float moth_vec_log(float x)
{
    float tiny = x < FLT_MIN ? 1.0f : 0.0f;
    float scaled = x < FLT_MIN ? x * 0x1p23f : x;
    /* counted from sqrt 1/2, the exponent bits change exactly where m must start anew */
    uint32_t bits = moth_vec_bits(scaled) - 0x3f3504f3u;
    float e = (float)((int32_t)bits >> 23) - 23.0f * tiny;
    float m = moth_vec_float((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
    float z = m * m;
    float p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    float y = m * z * p + e * -2.12194440e-4f - 0.5f * z;
    y = m + y + e * 0.693359375f;
    y = x == INFINITY ? x : y;
    y = x == 0.0f ? -INFINITY : y;
    return x < 0.0f || x != x ? NAN : y;
}

/* ln(1 + x), with what is lost in rounding 1 + x put back in. */
static inline float moth_vec_log1p(float x)
{
    float u = 1.0f + x;
    float y = moth_vec_log(u);
    float lost = ((u - 1.0f) - x) / u;
    return u > 0.0f && u < INFINITY ? y - lost : y;
}

/* 1 / (1 + e^-x), written with e^-|x| so that small results keep their digits. */
static inline float moth_vec_sigmoid(float x)
{
    float e = moth_vec_exp(-fabsf(x));
    return (x >= 0.0f ? 1.0f : e) / (1.0f + e);
}

static inline float moth_vec_tanh(float x)
{
    float a = fabsf(x), z = x * x;
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    float small = x + x * z * p;
    float large = copysignf(1.0f - 2.0f / (moth_vec_exp(2.0f * a) + 1.0f), x);
    return a < 0.625f ? small : large;
}

static inline float moth_vec_erf(float x)
{
    float t = fabsf(x), s = x * x;
    float p = -5.96761703e-4f;
    p = p * s + 4.99119423e-3f;
    p = p * s - 2.67681349e-2f;
    p = p * s + 1.12819925e-1f;
    p = p * s - 3.76125336e-1f;
    p = p * s + 1.28379166e-1f;
    float small = p * x + x;
    t = t > 4.0f ? 4.0f : t; /* beyond, the result is 1; keeps the powers finite */
    s = t * t;
    float q = (-1.72853470e-5f * t + 3.83197126e-4f) * s + (-3.88396438e-3f * t + 2.42546219e-2f);
    q = q * t - 1.06777877e-1f;
    q = q * t - 6.34846687e-1f;
    q = q * t - 1.28717512e-1f;
    q = q * t - t;
    float large = copysignf(1.0f - moth_vec_exp(q), x);
    return fabsf(x) > 0.927734375f ? large : small;
}

#endif
