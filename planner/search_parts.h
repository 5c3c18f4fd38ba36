/* SPDX-License-Identifier: MIT */
/* search_parts.h — what a search is made of, for another one that looks less closely (first.h). */
#ifndef TANDEM_PLANNER_SEARCH_PARTS_H
#define TANDEM_PLANNER_SEARCH_PARTS_H

#include "planner/search.h"

/* Gives it contenders, of which nothing is known yet: one of each family. */
int search_make_contenders(struct plan_search *s, struct error *err);
void search_release_contenders(struct plan_search *s);

/* Until none but those set apart could be cheaper than, or as cheap as, the cheapest of the others that holds; or until
 * the pool has run most_trials, where that is not 0. */
int search_settle(struct plan_search *s, uint64_t most_trials, struct error *err);

/* The cheapest that is known to hold; NULL: none is. */
struct contender *search_cheapest(struct plan_search *s);

#endif
