/* Which instruction set's kernels run: the best that the CPU and its operating system offer, or
   the one that FASTMLP_ISA names. The build leaves out those of which it defines FASTMLP_NO_… */
#include <stddef.h>
#include <string.h>

#include "fastmlp.h"

extern const struct kernels fastmlp_baseline_f32, fastmlp_baseline_f64;
extern const struct kernels fastmlp_avx2_f32, fastmlp_avx2_f64;
extern const struct kernels fastmlp_avx512_f32, fastmlp_avx512_f64;
extern const struct kernels fastmlp_neon_f32, fastmlp_neon_f64;

#if defined(FASTMLP_X86) && !(defined(FASTMLP_NO_AVX512) && defined(FASTMLP_NO_AVX2))
#include <cpuid.h>

/* Registers that the operating system keeps for every thread: what a CPU has and its system does not
   save cannot be used. */
static uint64_t saved_registers(void)
{
    unsigned int a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (uint64_t)d << 32 | a;
}

/* Whether leaf 7 of cpuid has all of these bits, and the system saves these registers. */
static int has(unsigned int bits, uint64_t registers)
{
    unsigned int a, b, c, d;
    return (saved_registers() & registers) == registers && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (b & bits) == bits;
}

/* What x86-64-v3 and -v4 promise beyond the obvious, because the compiler may use all of it. */
static int has_avx2(void)
{
    unsigned int a, b, c, d;
    const unsigned int wanted = bit_FMA | bit_AVX | bit_MOVBE | bit_F16C;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & wanted) == wanted &&
           has(bit_AVX2 | bit_BMI | bit_BMI2, 0x6);
}
#if !defined(FASTMLP_NO_AVX512)
static int has_avx512(void)
{
    return has_avx2() &&
           has(bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL, 0xe6);
}
#endif
#endif
#if !defined(FASTMLP_NO_BASELINE)
static int always(void) { return 1; }
#endif

static const struct table {
    const char *name;
    int (*usable)(void);
    const struct kernels *f32, *f64;
} tables[] = {
#if defined(FASTMLP_X86) && !defined(FASTMLP_NO_AVX512)
    {"avx512", has_avx512, &fastmlp_avx512_f32, &fastmlp_avx512_f64},
#endif
#if defined(FASTMLP_X86) && !defined(FASTMLP_NO_AVX2)
    {"avx2", has_avx2, &fastmlp_avx2_f32, &fastmlp_avx2_f64},
#endif
#if defined(FASTMLP_ARM)
    {"neon", always, &fastmlp_neon_f32, &fastmlp_neon_f64},
#elif !defined(FASTMLP_NO_BASELINE)
    {"baseline", always, &fastmlp_baseline_f32, &fastmlp_baseline_f64},
#endif
};
enum { N_TABLES = sizeof tables / sizeof *tables };

/* setup.py reads this in a library: one with the wrong sets is built again. */
const char fastmlp_left_out[] = "left out of this build:"
#if defined(FASTMLP_NO_BASELINE)
    " baseline"
#endif
#if defined(FASTMLP_NO_AVX2)
    " avx2"
#endif
#if defined(FASTMLP_NO_AVX512)
    " avx512"
#endif
#if !defined(FASTMLP_NO_BASELINE) && !defined(FASTMLP_NO_AVX2) && !defined(FASTMLP_NO_AVX512)
    " none"
#endif
    ;

static const struct table *chosen;

/* NULL when done; else the names that are usable here. */
const char *fastmlp_select_isa(const char *wanted)
{
    static char names[128];
    names[0] = 0;
    for (int i = 0; i < N_TABLES; i++) {
        if (!tables[i].usable())
            continue;
        if (wanted == NULL || strcmp(wanted, tables[i].name) == 0) {
            chosen = &tables[i];
            return NULL;
        }
        strcat(strcat(names, names[0] ? ", " : ""), tables[i].name);
    }
    return names;
}

const char *fastmlp_isa(void) { return chosen->name; }

const struct kernels *fastmlp_kernels(int real_bytes)
{
    return real_bytes == 4 ? chosen->f32 : chosen->f64;
}
