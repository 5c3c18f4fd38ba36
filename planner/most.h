/* SPDX-License-Identifier: MIT */
/* most.h — what a budget is worth: the most that may be bought of every family, and how far each goes with it: the
 * largest rate within the SLO, or the tightest SLO at the rate.
 *
 * All families are looked at roughly; those that may still be the best are looked at again with all that the plan
 * allows. */
#ifndef TANDEM_PLANNER_MOST_H
#define TANDEM_PLANNER_MOST_H

#include "planner/capacity.h"
#include "planner/search.h"

struct most_of_family {
    const struct family *family;
    size_t units;             /* as many as the constraints allow; 0: not one */
    struct capacity capacity; /* of the rate, a factor on the plan's; or of how much tighter the limits may be */
    bool refined;             /* looked at with all that the plan allows */
    struct bill bill;
    double tokens_per_s; /* at that rate, prompts' and outputs' */
    double rank;         /* the largest is the best; −INFINITY: none */
};

struct plan_most {
    const struct plan *plan;
    struct family *families;
    struct most_of_family *list; /* [count] the best first */
    size_t count;
};

/* For a plan whose aim is not AIM_LEAST. Release also after a failure. */
int plan_most_find(struct plan_most *m, const struct plan *plan, struct trial_pool *pool, struct error *err);
void plan_most_release(struct plan_most *m);

/* Whether the first of the list serves anything at all, or meets any limits. */
bool plan_most_found(const struct plan_most *m);

cJSON *plan_most_json(const struct plan_most *m);

#endif
