/* SPDX-License-Identifier: MIT */
/* search.h — the cheapest way to meet a plan, best first.
 *
 * A configuration that misses the SLO with some number of units is taken to miss it with fewer, too. So its fewest
 * units lie above the most that are known to miss and at or below the fewest that are known to hold. The configuration
 * that is expected to cost least is looked at next; a formula's capacity says where to look first, and rules nothing
 * out. The search ends when the fewest units that could still hold cost more than the cheapest size that does, for
 * every configuration, so that hardly anything more expensive than the answer is simulated. A size gets more
 * replications only while its interval holds zero (point.h); one that stays undecided is not taken to hold. What holds
 * is ranked again in the end, when the answer has had all its replications. Equally cheap configurations are told apart
 * by their margins, by ranking and selection (inference.h). */
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
    bool apart;    /* left aside while another one is looked for */
    char why[320]; /* it was not chosen */
};

struct plan_search {
    const struct plan *plan;
    struct trial_pool *pool;
    struct family *families;
    struct contender *contenders; /* [count] */
    size_t count;
    struct contender *chosen, *runner_up; /* NULL where there is none */
    struct contender *rival;              /* the cheapest on other devices, where the cost model's error is known */
    double confidence_of_choice;          /* among equally cheap ones; 1 where there was one only */
    size_t ties;                          /* as cheap, the chosen one included */
    struct contender *closest;            /* where nothing holds: comes closest, */
    size_t closest_units;                 /* with so many */
    struct outcome alone;                 /* where nothing holds: its requests, each with an idle replica to itself, */
    bool no_number_helps;                 /* miss the SLO as well */
};

/* Makes families and searches; release also after a failure. */
int plan_search_run(struct plan_search *s, const struct plan *plan, struct trial_pool *pool, struct error *err);
void plan_search_release(struct plan_search *s);

/* A size of a contender, looked at before or new and not replicated yet; NULL when memory is short. The pointer is good
 * until another size is made. */
struct sized *contender_size(const struct plan *plan, struct contender *c, size_t units);

/* Whether both are on the same devices, whatever pools these are in. */
bool contender_is_alike(const struct contender *a, const struct contender *b);

/* Objective of so many units: as simulated, else the least that it can be. */
double contender_objective(const struct plan *plan, const struct contender *c, size_t units);

#endif
