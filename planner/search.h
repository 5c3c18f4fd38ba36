/* SPDX-License-Identifier: MIT */
/* search.h — the cheapest way to meet a plan, best first.
 *
 * Every family's number of units lies above the largest that is known to break the SLO and at or below the smallest
 * that is known to hold. The family that could be cheapest, going by the largest that breaks plus one, is looked at
 * next; a formula's bound says where to look first, and rules a family out only if it would have to be 30 % wrong. The
 * search ends when no family could still be as cheap as the cheapest that holds, so that nothing dearer than the answer
 * is simulated but to close a gap. A size gets more replications only while its interval holds zero (point.h); one that
 * stays undecided is not taken to hold. Equally cheap families are told apart by their margins, by ranking and
 * selection (inference.h). */
#ifndef TANDEM_PLANNER_SEARCH_H
#define TANDEM_PLANNER_SEARCH_H

#include "planner/plan.h"

/* So many units of a family. */
struct sized {
    size_t units;
    char *scenario; /* owned */
    struct point point;
};

enum fate {
    FATE_OPEN,
    FATE_FOUND,   /* its fewest units are known: `high` */
    FATE_DEARER,  /* would cost more than what was found */
    FATE_LIMITED, /* would break a constraint, or none of its sizes does it */
    FATE_REFUSED  /* cannot be run */
};

struct contender {
    struct family *family;
    struct sized *sizes; /* [count] in the order they were looked at */
    size_t count, capacity;
    size_t low, high; /* most units that are known not to hold, fewest that hold; 0: none */
    size_t most;      /* that constraints allow */
    enum fate fate;
    bool best;     /* as cheap as the cheapest */
    char why[320]; /* it was not chosen */
};

struct plan_search {
    const struct plan *plan;
    struct trial_pool *pool;
    struct family *families;
    struct contender *contenders; /* [count] */
    size_t count;
    struct contender *chosen, *runner_up; /* NULL where there is none */
    double confidence_of_choice;          /* among equally cheap ones; 1 where there was one only */
    size_t ties;                          /* as cheap, the chosen one included */
    struct contender *closest;            /* where nothing holds: comes closest with the units it may have */
};

/* Makes families and searches; release also after a failure. */
int plan_search_run(struct plan_search *s, const struct plan *plan, struct trial_pool *pool, struct error *err);
void plan_search_release(struct plan_search *s);

/* A size of a contender, looked at before or new and not replicated yet; NULL when memory is short. The pointer is good
 * until another size is made. */
struct sized *contender_size(const struct plan *plan, struct contender *c, size_t units);

/* Objective of so many units: as simulated, else the least that it can be. */
double contender_objective(const struct plan *plan, const struct contender *c, size_t units);

#endif
