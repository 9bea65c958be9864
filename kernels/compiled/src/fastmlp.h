/* All that the translation units share; README.md says what is in each folder. */
#ifndef FASTMLP_H
#define FASTMLP_H

#include "engine/caches.h"
#include "engine/calls.h"
#include "engine/derivatives.h"
#include "engine/engine.h"
#include "engine/gauss_newton.h"
#include "engine/kernels.h"
#include "threads/threads.h"

/* names.c: codes by name, -1 for an unknown one; see there. */
int fastmlp_activation_code(const char *name);
int fastmlp_loss_code(const char *name);
int fastmlp_update_code(const char *name);
int fastmlp_constant_code(const char *name);
int fastmlp_loss_constant_code(const char *name);
int fastmlp_states(int rule);
void fastmlp_update_at(struct update *, double step, double learning_rate);

#endif
