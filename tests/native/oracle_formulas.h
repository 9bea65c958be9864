/* Formulas that several parts of the oracle need. */
#ifndef ORACLE_FORMULAS_H
#define ORACLE_FORMULAS_H

#include <math.h>

static inline double softplus(double z) { return fmax(z, 0) + log1p(exp(-fabs(z))); }
static inline double sign(double x) { return (double)((x > 0) - (x < 0)); }

static inline double highest(long n, const double *z)
{
    double most = z[0];
    for (long i = 1; i < n; i++)
        most = z[i] > most ? z[i] : most;
    return most;
}

#endif
