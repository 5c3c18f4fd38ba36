/* SPDX-License-Identifier: MIT */
/* first.h — a first answer within a second, for somebody who watches: of the configurations that a formula finds
 * cheapest, about how many units meet the SLO, by a few short trials. Nothing else rests on it. */
#ifndef TANDEM_PLANNER_FIRST_H
#define TANDEM_PLANNER_FIRST_H

#include "planner/search.h"

/* Tells the watch's `note`, where it has one. The search has its contenders, and has not begun. */
int first_answer_tell(struct plan_search *s, struct error *err);

/* Tells what has been chosen and confirmed, while more is asked. */
void first_choice_tell(const struct plan_search *s);

#endif
