/* SPDX-License-Identifier: MIT */
/* answer.h — what a plan's answer is worth: how much more it bears, what it depends on, and what else money would buy.
 */
#ifndef TANDEM_PLANNER_ANSWER_H
#define TANDEM_PLANNER_ANSWER_H

#include "planner/capacity.h"
#include "planner/certainty.h"
#include "planner/search.h"

/* The chosen units with one fewer: what is left while a replica is down. */
struct one_lost {
    bool asked; /* there is more than one */
    enum verdict verdict;
    struct estimate margin;
    double typical; /* margin */
    char binding[96];
};

/* Units that a family needs when an input is off. */
struct needed {
    enum scale scale;
    double factor;
    size_t chosen, runner_up; /* 0: no number within the constraints, or nobody */
    bool runner_up_is_cheaper;
};

enum { NEEDS_MAX = 2 * SCALE_ASKED };

/* A size that somebody could buy. */
struct buy {
    const struct contender *contender;
    size_t units;
    double objective, cost_per_h, gpus, ttft_p99_s, tpot_p99_s, attainment;
    enum verdict verdict;
    bool on_front; /* nobody has a lower p99 TTFT for less, of those that half of the requests are content with */
};

struct plan_answer {
    struct capacity headroom[SCALE_ASKED]; /* kernel times: of the cost model's; others: next to its error */
    char limited[CURVE_VALUES]
                [24]; /* [limited_count] statistics that the SLO limits, first; headroom's curve has them */
    double limits[CURVE_VALUES];
    size_t limited_count;
    struct one_lost one_lost;
    struct certainty certainty;
    struct needed needs[NEEDS_MAX];
    size_t need_count;
    struct buy *buys; /* [buy_count] by objective, everything that was looked at */
    size_t buy_count;
};

/* Asks around the search's choice, which must be there. Release also after a failure. */
int plan_answer_make(struct plan_answer *a, struct plan_search *s, struct error *err);
void plan_answer_release(struct plan_answer *a);

/* Asks for the fewest units that hold when inputs are off. */
struct units_question {
    const double *scales; /* [SCALE_COUNT] */
    size_t start;         /* a guess */
    size_t low, high;     /* known to miss, and to hold; 0: none is */
};

/* The fewest units of a contender that hold: outwards from the guess, twice as far each time, then halving. A size gets
 * at most eight replications; one that stays undecided is not taken to hold. 0 when its constraints allow too few. */
int units_needed(struct plan_search *s, const struct contender *c, const struct units_question *q, size_t *out,
                 struct error *err);

/* Everything as JSON; the caller's to delete. `answer` may be NULL. NULL when memory is short. */
cJSON *plan_answer_json(const struct plan_search *s, const struct plan_answer *answer);

#endif
