/* SPDX-License-Identifier: MIT */
/* closest.h — what a search says where nothing holds. */
#ifndef TANDEM_PLANNER_CLOSEST_H
#define TANDEM_PLANNER_CLOSEST_H

#include "planner/search.h"

/* Of the sizes that were looked at, the one that comes closest. */
void closest_find(struct plan_search *s);

/* The requests of what comes closest, each with an idle replica to itself: one unit at a thousandth of what a formula
 * says it can serve. If these miss the SLO, no number of units meets it. */
int closest_ask_alone(struct plan_search *s, struct error *err);

#endif
