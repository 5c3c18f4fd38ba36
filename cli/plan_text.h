/* SPDX-License-Identifier: MIT */
/* plan_text.h — a plan's answer as text. */
#ifndef TANDEM_CLI_PLAN_TEXT_H
#define TANDEM_CLI_PLAN_TEXT_H

#include "planner/answer.h"
#include "planner/most.h"

/* `answer` may be NULL; `all`: of every configuration why it was not chosen, not of the first twenty. */
void plan_text_answer(const struct plan_search *s, const struct plan_answer *answer, bool all, double wall_s);

/* What a budget is worth. */
void plan_text_most(const struct plan_most *m, uint64_t trials, double wall_s);

/* How requests fare, and the share that is not served, where there is one. */
void plan_text_outcome(const struct outcome *o);
void plan_text_unserved(const char *indent, double share, const char *reason);

#endif
