/* Counter-based random numbers: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2,
 * 3, SC 2011). A draw is a pure function of (seed; stream, step, element): no state, the same bits on any thread. */
#ifndef MOTH_CORE_RANDOM_H
#define MOTH_CORE_RANDOM_H

#include "core/status.h"

/* out = Philox4x32-10(counter, key). */
void moth_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* The 4 words of block `block` of a draw; element e uses word e % 4 of block e / 4. */
static inline void moth_random_block(uint64_t seed, uint64_t stream, uint64_t step, uint64_t block, uint32_t out[4])
{
    const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
    const uint32_t counter[4] = { (uint32_t)block, (uint32_t)step, (uint32_t)stream, (uint32_t)(stream >> 32) };
    moth_philox(counter, key, out);
}

/* Uniform in [0, 1): the top 24 bits. */
static inline float moth_uniform(uint32_t word)
{
    return (float)(word >> 8) * 0x1p-24f;
}

/* Two independent standard normal numbers from two words (Box and Muller 1958). */
void moth_normal_pair(uint32_t a, uint32_t b, double out[2]);

/* A stream's name is a hash of text and numbers (FNV-1a, 64 bits): moth_stream(base, "dropout", 2). */
uint64_t moth_stream(uint64_t base, const char *purpose, uint64_t index);

/* Fills order with a permutation of 0..n-1 (Fisher-Yates on a Philox stream). */
void moth_random_permutation(uint64_t seed, uint64_t stream, uint64_t step, int32_t *order, int64_t n);

#endif
