/* Sizes of the caches: what cpuid says of them, and what is in use. kernels/_caches.py asks the operating
   system first, and takes a user's word before any. */
#include "engine/caches.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

enum { LEAF_INTEL = 4, LEAF_AMD = 0x8000001d, DATA = 1, UNIFIED = 3, MOST_CACHES = 16 };

/* Hardware threads of a core. */
static long threads_of_core(void)
{
    unsigned int a, b, c, d;
    if (__get_cpuid(0x8000001e, &a, &b, &c, &d))
        return (long)(b >> 8 & 0xff) + 1;
    if (__get_cpuid_count(0xb, 0, &a, &b, &c, &d) && (b & 0xffff))
        return (long)(b & 0xffff);
    return 1;
}

struct caches fastmlp_cpuid_caches(void)
{
    long found[4] = {0};
    unsigned int a, b, c, d;
    const unsigned int leaf = __get_cpuid_count(LEAF_AMD, 0, &a, &b, &c, &d) && (a & 31) ? LEAF_AMD : LEAF_INTEL;
    const long threads = threads_of_core();
    for (unsigned int i = 0; i < MOST_CACHES && __get_cpuid_count(leaf, i, &a, &b, &c, &d) && (a & 31); i++) {
        const unsigned int level = a >> 5 & 7;
        if (((a & 31) != DATA && (a & 31) != UNIFIED) || level < 1 || level > 3)
            continue;
        const long bytes = ((long)(b >> 22) + 1) * ((long)(b >> 12 & 0x3ff) + 1) *
                           ((long)(b & 0xfff) + 1) * ((long)c + 1);
        const long cores = ((long)(a >> 14 & 0xfff) + 1) / threads;
        found[level] = bytes / (cores > 1 ? cores : 1);
    }
    return (struct caches){found[1], found[2], found[3]};
}
#else
struct caches fastmlp_cpuid_caches(void) { return (struct caches){0, 0, 0}; }
#endif

/* Until they are set: what nearly every machine has at least. */
static struct caches in_use = {32 << 10, 512 << 10, 2 << 20};

void fastmlp_set_caches(struct caches sizes) { in_use = sizes; }
struct caches fastmlp_caches(void) { return in_use; }
