/* Activations and losses that users have defined: C functions over contiguous blocks.

   Both write what is not theirs as well, the padding of panels: slopes there are made 0, or a
   function without a finite value at 0 would spoil the padding of the parameters. */
#ifndef FASTMLP_CUSTOM_H
#define FASTMLP_CUSTOM_H

#include "formulas/activations.h"
#include "formulas/columns.h"
#include "fastmlp.h"

enum { CUSTOM_BLOCK = 512 }; /* elements at a time */

/* z <- activation(z), and its derivative into slope where that is not NULL. */
static void custom_run(fastmlp_activation *function, real *z, real *slope, long n)
{
    real scores[CUSTOM_BLOCK], unused[CUSTOM_BLOCK];
    for (long i = 0; i < n; i += CUSTOM_BLOCK) {
        long here = n - i < CUSTOM_BLOCK ? n - i : CUSTOM_BLOCK;
        memcpy(scores, z + i, (size_t)here * sizeof(real));
        function(scores, z + i, slope ? slope + i : unused, here);
    }
}

/* z <- activation(z) for n elements, whichever it is. */
static void activate_run(int activation, fastmlp_activation *custom, real *z, long n)
{
    if (activation == ACTIVATION_custom)
        custom_run(custom, z, NULL, n);
    else
        forward_run(activation, z, n);
}

/* delta <- delta * activation'(a), where `a` is the score of a custom activation. */
static void derive_run(int activation, fastmlp_activation *custom, real *delta, const real *a, long n)
{
    real scores[CUSTOM_BLOCK], slope[CUSTOM_BLOCK];
    if (activation != ACTIVATION_custom) {
        backward_run(activation, delta, a, n);
        return;
    }
    for (long i = 0; i < n; i += CUSTOM_BLOCK) {
        long here = n - i < CUSTOM_BLOCK ? n - i : CUSTOM_BLOCK;
        memcpy(scores, a + i, (size_t)here * sizeof(real));
        custom_run(custom, scores, slope, here);
        for (long j = 0; j < here; j++)
            delta[i + j] *= slope[j];
    }
}

/* Activations and slopes of one panel's rows, of which the first `columns` are not padding. */
static void layer_both(const struct layer *layer, real *z, real *slope, long rows, long columns)
{
    if (layer->activation != ACTIVATION_custom) {
        both_run(layer->activation, z, slope, rows * PANEL);
        return;
    }
    custom_run(layer->custom, z, slope, rows * PANEL);
    for (long r = 0; columns < PANEL && r < rows; r++)
        for (long c = columns; c < PANEL; c++)
            slope[r * PANEL + c] = 0;
}

#endif
