/* native [--isa NAME] [--only FAMILY] [--thin N] [--skip TEXT]

   Without --isa all instruction sets that this machine has are tested. Exit status 0: all is as it
   should be; 1: failures, which are printed; 2: the tests could not be run. */
#include "native.h"
#include "platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    void (*test)(const struct kernels *);
} families[] = {
    {"functions", test_functions}, {"products", test_products}, {"elements", test_elements},
    {"outputs", test_outputs},     {"networks", test_networks}, {"predictions", test_predictions},
    {"threads", test_threads},     {"choice", test_tuner},
};
enum { N_FAMILIES = sizeof families / sizeof *families };

static void test_isa(const char *isa, const char *only)
{
    for (int bytes = 4; bytes <= 8; bytes += 4)
        for (int f = 0; f < N_FAMILIES; f++) {
            char subject[64];
            if (only && strcmp(only, families[f].name))
                continue;
            snprintf(subject, sizeof subject, "%s float%d", isa, 8 * bytes);
            set_subject(subject);
            long before = cases_run, failed = failures;
            double start = platform_seconds();
            families[f].test(fastmlp_kernels(bytes));
            printf("%-20s %-12s %6ld cases %7.2f s%s\n", subject, families[f].name,
                   cases_run - before, platform_seconds() - start, failures > failed ? "  FAILED" : "");
            fflush(stdout);
        }
}

/* The kernels' own look at the CPU agrees with the compiler's. */
static void test_cpu(void)
{
#if defined(FASTMLP_X86) && defined(__linux__)
    set_subject("dispatch");
    if (!begin_case("instruction sets of this CPU"))
        return;
    __builtin_cpu_init();
    const char *usable = fastmlp_select_isa("none");
    if ((strstr(usable, "avx2") != NULL) != !!__builtin_cpu_supports("x86-64-v3"))
        fail("avx2: usable are %s, which is not what the compiler says", usable);
    if ((strstr(usable, "avx512") != NULL) != !!__builtin_cpu_supports("x86-64-v4"))
        fail("avx512: usable are %s, which is not what the compiler says", usable);
#endif
}

int main(int n, char **arguments)
{
    const char *isa = NULL, *only = NULL;
    for (int i = 1; i + 1 < n; i += 2) {
        if (strcmp(arguments[i], "--isa") == 0)
            isa = arguments[i + 1];
        else if (strcmp(arguments[i], "--only") == 0)
            only = arguments[i + 1];
        else if (strcmp(arguments[i], "--thin") == 0)
            thin = strtol(arguments[i + 1], NULL, 10);
        else if (strcmp(arguments[i], "--skip") == 0)
            skip = arguments[i + 1];
    }
    test_cpu();
    char usable[256];
    snprintf(usable, sizeof usable, "%s", fastmlp_select_isa("none"));
    if (isa && fastmlp_select_isa(isa)) {
        printf("no instruction set %s here; usable: %s\n", isa, usable);
        return 2;
    }
    if (isa)
        snprintf(usable, sizeof usable, "%s", isa);
    for (char *name = strtok(usable, ", "); name; name = strtok(NULL, ", ")) {
        fastmlp_select_isa(name);
        test_isa(name, only);
    }
    printf("%ld cases, %ld failures\n", cases_run, failures);
    return cases_run == 0 ? 2 : failures > 0;
}
