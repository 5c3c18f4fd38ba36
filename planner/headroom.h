/* SPDX-License-Identifier: MIT */
/* headroom.h — how far a scenario by itself can go: the largest rate at which it meets its SLO, next to about what a
 * formula says can be served at all. */
#ifndef TANDEM_PLANNER_HEADROOM_H
#define TANDEM_PLANNER_HEADROOM_H

#include "planner/capacity.h"
#include "planner/plan.h"
#include "reports/store/store.h"

struct headroom {
    struct capacity rate;  /* factors on base_per_s */
    double base_per_s;     /* the scenario's own rate */
    double capacity_per_s; /* about what can be served, by formula; NAN where it does not say */
};

/* A scenario in the place of a plan that has nothing to search; takes it over. NULL when memory is short. */
cJSON *headroom_plan(cJSON *scenario);

/* `plan` was read from such a document. */
int headroom_find(const struct plan *plan, struct trial_pool *pool, struct headroom *out, struct error *err);

/* Keeps it with a run, whose page tells it. */
int headroom_keep(const struct headroom *h, struct store *store, int64_t run_id, struct error *err);

#endif
