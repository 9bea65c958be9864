/* Dropout: which units of which rows are dropped in a step follows from counters alone, so that it
   does not depend on blocks, threads or instruction sets.

   Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
   SC 2011, with the constants of their library Random123. The key is the seed, the counter (unit /
   4, row of the batch, step, layer), and word unit % 4 of the result belongs to the unit. A row of
   a panel has PANEL / 4 counters, so those of consecutive rows follow the elements in memory. */
#ifndef FASTMLP_DROPOUT_H
#define FASTMLP_DROPOUT_H

#include "fastmlp.h"
#include "vector/simd.h"

/* Every lane has 64 bits, the lower half of which counts: products need the whole. */
typedef uint64_t counters __attribute__((vector_size(VECTOR_BYTES)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
typedef int32_t word_mask __attribute__((vector_size(4 * LANES)));
enum { COUNTERS = VECTOR_BYTES / 8, GROUPS = PANEL / 4, PHILOX_ROUNDS = 10 };

#if defined(FASTMLP_ISA_AVX512)
#define MULTIPLY_LOWER(a, b) ((counters)_mm512_mul_epu32((__m512i)(a), (__m512i)(b)))
#define XOR(a, b, c)                                                                               \
    ((counters)_mm512_ternarylogic_epi64((__m512i)(a), (__m512i)(b), (__m512i)(c), 0x96))
#elif defined(FASTMLP_ISA_AVX2)
#define MULTIPLY_LOWER(a, b) ((counters)_mm256_mul_epu32((__m256i)(a), (__m256i)(b)))
#elif defined(FASTMLP_ISA_NEON)
#define MULTIPLY_LOWER(a, b)                                                                       \
    ((counters)vmull_u32(vmovn_u64((uint64x2_t)(a)), vmovn_u64((uint64x2_t)(b))))
#else
#define MULTIPLY_LOWER(a, b) (((a) & 0xffffffff) * ((b) & 0xffffffff))
#endif

#ifndef XOR
#define XOR(a, b, c) ((a) ^ (b) ^ (c))
#endif

#if defined(__clang__)
#define INTERLEAVE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define INTERLEAVE(a, b, ...) __builtin_shuffle(a, b, (counters){__VA_ARGS__})
#endif
/* Interleaves of two vectors, their lower halves and their upper ones. */
#if VECTOR_BYTES == 64
#define LOWER_PAIRS 0, 8, 1, 9, 2, 10, 3, 11
#define UPPER_PAIRS 4, 12, 5, 13, 6, 14, 7, 15
#elif VECTOR_BYTES == 32
#define LOWER_PAIRS 0, 4, 1, 5
#define UPPER_PAIRS 2, 6, 3, 7
#else
#define LOWER_PAIRS 0, 2
#define UPPER_PAIRS 1, 3
#endif

/* One layer in one step. */
struct dropout {
    uint32_t threshold;     /* a unit is kept whose word is not below it */
    real scale;             /* of what is kept */
    uint64_t seed;
    uint32_t step, layer;
};

INLINE struct dropout dropout_of(double p, uint64_t seed, long step, int layer)
{
    return (struct dropout){(uint32_t)(p * 4294967296.0), (real)(1 / (1 - p)), seed, (uint32_t)step,
                            (uint32_t)layer};
}

/* Words of COUNTERS counters, in order. */
INLINE void philox(const struct dropout *d, counters c0, counters c1, uint32_t *to)
{
    const counters zero = {0}, m0 = zero + 0xD2511F53u, m1 = zero + 0xCD9E8D57u;
    counters c2 = zero + d->step, c3 = zero + d->layer;
    counters k0 = zero + d->seed, k1 = zero + (d->seed >> 32);
    UNROLL for (int round = 0; round < PHILOX_ROUNDS; round++) {
        counters p0 = MULTIPLY_LOWER(c0, m0), p1 = MULTIPLY_LOWER(c2, m1);
        c0 = XOR(p1 >> 32, c1, k0); /* upper halves may hold anything from here on */
        c2 = XOR(p0 >> 32, c3, k1);
        c1 = p1;
        c3 = p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    counters first = (c0 & 0xffffffff) | (c1 << 32), second = (c2 & 0xffffffff) | (c3 << 32);
    counters lower = INTERLEAVE(first, second, LOWER_PAIRS);
    counters upper = INTERLEAVE(first, second, UPPER_PAIRS);
    memcpy(to, &lower, sizeof lower);
    memcpy(to + 2 * COUNTERS, &upper, sizeof upper);
}

INLINE void drop(real *at, ivec kept, vec scale) { store(at, masked(kept, load(at) * scale)); }

/* Drops units of one panel in consecutive rows of the batch, and their slopes (or NULL). */
OUTLINE void drop_run(const struct dropout *d, long panel, long row, long rows, real *a, real *slope)
{
    const vec scale = SPLAT(d->scale);
    const words threshold = (words){0} + d->threshold;
    counters lane;
    for (int i = 0; i < COUNTERS; i++)
        lane[i] = (uint64_t)i;
    for (long t = 0; t < rows * GROUPS; t += COUNTERS) {
        uint32_t random[4 * COUNTERS] __attribute__((aligned(64)));
        counters index = lane + (uint64_t)t;
        philox(d, index % GROUPS + (uint64_t)(panel * GROUPS), index / GROUPS + (uint64_t)row, random);
        for (int v = 0; v < 4 * COUNTERS && 4 * t + v < rows * PANEL; v += LANES) {
            words word;
            memcpy(&word, random + v, sizeof word);
            ivec kept = __builtin_convertvector((word_mask)(word >= threshold), ivec);
            drop(a + 4 * t + v, kept, scale);
            if (slope)
                drop(slope + 4 * t + v, kept, scale);
        }
    }
}

/* Drops some of n values of one row of the batch, which belong to these units. */
static void drop_at(const struct dropout *d, long row, const int32_t *units, real *values, long n)
{
    for (long i = 0; i < n; i += COUNTERS) {
        const long here = n - i < COUNTERS ? n - i : COUNTERS;
        uint32_t random[4 * COUNTERS] __attribute__((aligned(64)));
        counters group = {0};
        for (long j = 0; j < here; j++)
            group[j] = (uint64_t)units[i + j] / 4;
        philox(d, group, (counters){0} + (uint64_t)row, random);
        for (long j = 0; j < here; j++) {
            const int kept = random[4 * j + units[i + j] % 4] >= d->threshold;
            values[i + j] = kept ? values[i + j] * d->scale : 0;
        }
    }
}

#endif
