/* Sizes of the caches, and the sizes of blocks that follow from them. They change times, never results. */
#ifndef FASTMLP_CACHES_H
#define FASTMLP_CACHES_H

struct caches {
    long l1, l2, l3; /* bytes of data that one core has: of a shared cache its share */
};

/* What cpuid says; zeros for what it does not. */
struct caches fastmlp_cpuid_caches(void);
void fastmlp_set_caches(struct caches);
struct caches fastmlp_caches(void);

#endif
