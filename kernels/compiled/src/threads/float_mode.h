/* The floating-point mode of a thread: rounding, and what becomes of subnormal numbers.

   A training step flushes subnormal numbers to zero. They come by themselves (Adam's mean of a
   gradient that has become zero decays into them after some 800 steps, and stays there: 0.9 of the
   smallest number rounds to itself), mean nothing beside any other number of a step, and
   double the time of an update; on some processors they multiply it. */
#ifndef FASTMLP_FLOAT_MODE_H
#define FASTMLP_FLOAT_MODE_H

#if defined(__x86_64__)
#include <immintrin.h>
#define FLUSH_SUBNORMALS 0x8040ul /* results to zero, operands as zero */
static inline unsigned long float_mode(void) { return _mm_getcsr(); }
static inline void set_float_mode(unsigned long mode) { _mm_setcsr((unsigned int)mode); }
#elif defined(__aarch64__)
#define FLUSH_SUBNORMALS (1ul << 24)
static inline unsigned long float_mode(void)
{
    unsigned long mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}
static inline void set_float_mode(unsigned long mode)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(mode));
}
#else
#define FLUSH_SUBNORMALS 0ul
static inline unsigned long float_mode(void) { return 0; }
static inline void set_float_mode(unsigned long mode) { (void)mode; }
#endif

#endif
