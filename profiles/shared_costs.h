/* SPDX-License-Identifier: MIT */
/* shared_costs.h — compiled costs that many runs need: trials of one plan differ in seeds and rates, and compiling a
 * cost model takes as long as a thousand requests. It is compiled once for what it is made from, and lent. */
#ifndef TANDEM_PROFILES_SHARED_COSTS_H
#define TANDEM_PROFILES_SHARED_COSTS_H

#include "profiles/cost.h"

enum { SHARED_COSTS_KEPT = 32 }; /* that nobody has borrowed; a model is about a megabyte */

/* Threads may use it at the same time. */
struct shared_costs;

struct shared_costs *shared_costs_create(void); /* NULL: no memory */

/* Everything that was borrowed has been released. May be NULL. */
void shared_costs_destroy(struct shared_costs *c);

/* As cost_model_create, but lent where there is a model of this key: a text that says everything it is made from.
 * cost_model_release gives it back. */
int shared_cost_model(struct shared_costs *c, const char *key, struct cost_model *out, const char *model,
                      const char *device, const struct parallel *parallel, const struct engine *engine,
                      const struct techniques *techniques, struct error *err);

#endif
