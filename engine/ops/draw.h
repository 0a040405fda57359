/* Random words, many at a time, for the ops that draw: Philox 4x32-10 as in core/random.h with (seed; stream, step) of
 * the run, so an element's word depends on its number alone, however rows are cut.
 *
 * Elements come in chunks of 256, made of 64 blocks side by side: half h = e / 128 % 2 of a chunk takes words 2h and
 * 2h + 1 of each block in turn, so element e uses word 2h + e % 2 of block 64 (e / 256) + e % 128 / 2. That is the
 * order in which 64-bit lanes hold them; no shuffling. Included by kernel files, so that each CPU variant has its own
 * copy. */
#ifndef MOTH_OPS_DRAW_H
#define MOTH_OPS_DRAW_H

#include <string.h>

#include "core/random.h"
#include "ops/real.h"

/* The low halves of 64-bit lanes multiplied. Compilers make of the plain product three, or shuffles: that is half the
 * speed. */
#if defined(__AVX512F__)
#include <immintrin.h>
enum { MOTH_DRAW_LANES = 8 };
typedef uint64_t moth_lanes __attribute__((vector_size(64)));
#define MOTH_LOW_PRODUCT(a, b) ((moth_lanes)_mm512_mul_epu32((__m512i)(a), (__m512i)(b)))
#elif defined(__AVX2__)
#include <immintrin.h>
enum { MOTH_DRAW_LANES = 4 };
typedef uint64_t moth_lanes __attribute__((vector_size(32)));
#define MOTH_LOW_PRODUCT(a, b) ((moth_lanes)_mm256_mul_epu32((__m256i)(a), (__m256i)(b)))
#elif defined(__SSE2__)
#include <emmintrin.h>
enum { MOTH_DRAW_LANES = 2 };
typedef uint64_t moth_lanes __attribute__((vector_size(16)));
#define MOTH_LOW_PRODUCT(a, b) ((moth_lanes)_mm_mul_epu32((__m128i)(a), (__m128i)(b)))
#else
enum { MOTH_DRAW_LANES = 2 };
typedef uint64_t moth_lanes __attribute__((vector_size(16)));
#define MOTH_LOW_PRODUCT(a, b) (((a)&0xffffffffu) * (b))
#endif

enum {
    MOTH_DRAW = 256,                  /* words of a chunk */
    MOTH_DRAW_BLOCKS = MOTH_DRAW / 4, /* Philox blocks of a chunk */
    MOTH_DRAW_GROUPS = 2,             /* vectors on their way at a time: hides the latency of the products */
    MOTH_DRAW_ROUNDS = 10
};

static inline moth_lanes moth_lanes_of(uint32_t x)
{
    return (moth_lanes){ 0 } + x;
}

/* The words of the elements 256 chunk … 256 chunk + 255. */
static inline void moth_draw(uint64_t seed, uint64_t step, uint64_t stream, int64_t chunk, uint32_t words[MOTH_DRAW])
{
    const moth_lanes m0 = moth_lanes_of(0xD2511F53u), m1 = moth_lanes_of(0xCD9E8D57u);
    moth_lanes k0[MOTH_DRAW_ROUNDS], k1[MOTH_DRAW_ROUNDS], block = { 0 };
    for (uint32_t r = 0; r < MOTH_DRAW_ROUNDS; r++) {
        k0[r] = moth_lanes_of((uint32_t)seed + r * 0x9E3779B9u);
        k1[r] = moth_lanes_of((uint32_t)(seed >> 32) + r * 0xBB67AE85u);
    }
    for (int i = 0; i < MOTH_DRAW_LANES; i++) {
        block[i] = (uint64_t)chunk * MOTH_DRAW_BLOCKS + (uint64_t)i;
    }
    for (int j = 0; j < MOTH_DRAW_BLOCKS; j += MOTH_DRAW_GROUPS * MOTH_DRAW_LANES) {
        /* what stands in the upper halves does not matter until the end */
        moth_lanes c0[MOTH_DRAW_GROUPS], c1[MOTH_DRAW_GROUPS], c2[MOTH_DRAW_GROUPS], c3[MOTH_DRAW_GROUPS];
        for (int g = 0; g < MOTH_DRAW_GROUPS; g++) {
            c0[g] = block;
            c1[g] = moth_lanes_of((uint32_t)step);
            c2[g] = moth_lanes_of((uint32_t)stream);
            c3[g] = moth_lanes_of((uint32_t)(stream >> 32));
            block += MOTH_DRAW_LANES;
        }
        for (int r = 0; r < MOTH_DRAW_ROUNDS; r++) {
            for (int g = 0; g < MOTH_DRAW_GROUPS; g++) {
                moth_lanes p0 = MOTH_LOW_PRODUCT(c0[g], m0), p1 = MOTH_LOW_PRODUCT(c2[g], m1);
                c0[g] = (p1 >> 32) ^ c1[g] ^ k0[r];
                c2[g] = (p0 >> 32) ^ c3[g] ^ k1[r];
                c1[g] = p1;
                c3[g] = p0;
            }
        }
        for (int g = 0; g < MOTH_DRAW_GROUPS; g++) {
            moth_lanes first = (c0[g] & 0xffffffffu) | c1[g] << 32, second = (c2[g] & 0xffffffffu) | c3[g] << 32;
            int at = 2 * (j + g * MOTH_DRAW_LANES);
            memcpy(words + at, &first, sizeof first);
            memcpy(words + MOTH_DRAW / 2 + at, &second, sizeof second);
        }
    }
}

/* Standard normal numbers from a chunk: elements k and k + 128 are the pair (Box and Muller 1958) of words k and
 * k + 128. */
static inline void moth_normals(const uint32_t words[MOTH_DRAW], moth_real out[MOTH_DRAW])
{
    const uint32_t *a = words, *b = words + MOTH_DRAW / 2;
#ifdef MOTH_DOUBLE
    for (int k = 0; k < MOTH_DRAW / 2; k++) {
        double pair[2];
        moth_normal_pair(a[k], b[k], pair);
        out[k] = pair[0];
        out[MOTH_DRAW / 2 + k] = pair[1];
    }
#else
    for (int k = 0; k < MOTH_DRAW / 2; k++) {
        float u = ((float)(int32_t)(a[k] >> 1) + 0.5f) * 0x1p-31f;
        float radius = sqrtf(-2.0f * moth_vec_log(u));
        /* the angle: a quarter of the circle, and within it -pi/4 .. pi/4 */
        uint32_t quarter = (b[k] + 0x20000000u) >> 30;
        float x = (float)(int32_t)(b[k] - (quarter << 30)) * (1.57079632679f * 0x1p-30f), z = x * x;
        float s = x + x * z * ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f);
        float c =
            ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z - 0.5f * z + 1;
        float cosine = quarter & 1 ? s : c, sine = quarter & 1 ? c : s;
        out[k] = radius * ((quarter + 1) & 2 ? -cosine : cosine);
        out[MOTH_DRAW / 2 + k] = radius * (quarter & 2 ? -sine : sine);
    }
#endif
}

#endif
