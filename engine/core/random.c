#include "core/random.h"

#include <math.h>

void moth_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void moth_normal_pair(uint32_t a, uint32_t b, double out[2])
{
    double u = ((double)a + 0.5) * 0x1p-32; /* in (0, 1): the logarithm stays finite */
    double angle = 2.0 * 3.14159265358979323846 * ((double)b * 0x1p-32);
    double radius = sqrt(-2.0 * log(u));
    out[0] = radius * cos(angle);
    out[1] = radius * sin(angle);
}

static uint64_t hash_byte(uint64_t hash, unsigned byte)
{
    return (hash ^ byte) * 0x100000001B3u;
}

uint64_t moth_stream(uint64_t base, const char *purpose, uint64_t index)
{
    uint64_t hash = 0xCBF29CE484222325u;
    for (int i = 0; i < 8; i++) {
        hash = hash_byte(hash, (unsigned)(base >> (8 * i)) & 0xffu);
    }
    for (; *purpose; purpose++) {
        hash = hash_byte(hash, (unsigned char)*purpose);
    }
    for (int i = 0; i < 8; i++) {
        hash = hash_byte(hash, (unsigned)(index >> (8 * i)) & 0xffu);
    }
    return hash;
}

void moth_random_permutation(uint64_t seed, uint64_t stream, uint64_t step, int32_t *order, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        order[i] = (int32_t)i;
    }
    uint32_t words[4] = { 0 };
    for (int64_t i = n - 1, draw = 0; i > 0; i--, draw++) {
        if (draw % 4 == 0) {
            moth_random_block(seed, stream, step, (uint64_t)draw / 4, words);
        }
        /* multiply-shift: bias below 2^-32 * n, far under what a shuffle could show */
        int64_t j = (int64_t)(((uint64_t)words[draw % 4] * (uint64_t)(i + 1)) >> 32);
        int32_t kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}
