/* SPDX-License-Identifier: MIT */
/* certainty.h — how sure a plan's answer is, the cost model's error included: what is needed if kernels are as slow as
 * its distribution says, how likely the recommended size meets its SLO, how likely the choice of device is right, and
 * what measurement would say most about it. */
#ifndef TANDEM_PLANNER_CERTAINTY_H
#define TANDEM_PLANNER_CERTAINTY_H

#include "planner/search.h"

enum { CERTAINTY_LEVELS = 7 };

extern const double certainty_levels[CERTAINTY_LEVELS]; /* 0.05 … 0.95; the middle one is the median */

/* What a configuration needs if the factor of kernel times is its quantile at each level. */
struct needs_by_level {
    const struct contender *contender; /* NULL: nobody */
    double factor[CERTAINTY_LEVELS];
    size_t units[CERTAINTY_LEVELS]; /* 0: more than the constraints allow */
    double gpus[CERTAINTY_LEVELS], nodes[CERTAINTY_LEVELS], objective[CERTAINTY_LEVELS]; /* INFINITY likewise */
};

enum { EXPECTED_MAX = 24 };

/* A statistic that is to be expected of the recommended size: at the median factor, and at the 5 % and 95 % quantiles.
 */
struct expected {
    char name[24]; /* "ttft_s.p95" */
    double limit;  /* that the SLO has on it; NAN: none */
    double value, low, high;
};

struct certainty {
    bool asked;        /* the error is known */
    double confidence; /* that the recommended size meets its SLO; NAN: beyond what was looked at */
    struct needs_by_level chosen, rival;
    double right; /* probability that the rival would not cost less, if the truth were known; NAN: no rival */
    double right_if_chosen_measured, right_if_rival_measured; /* the same after measuring either */
    struct expected expected[EXPECTED_MAX]; /* [expected_count] what the SLO limits first, then the usual ones */
    size_t expected_count;
};

/* The measurement that would say most: a benchmark of this contender's replica at two rates, its share of what is to be
 * served and half of it. `right`: the probability that the choice of device is right, then; NAN: there is one only. */
struct measurement {
    const struct contender *contender;
    double rates_per_s[2], right;
};

struct measurement certainty_measurement(const struct certainty *c, const struct plan_search *s);

/* The one of a name, or NULL. */
const struct expected *certainty_expected(const struct certainty *c, const char *name);

/* Asks around the search's choice. `time_headroom`: the largest factor of kernel times at which it meets its SLO. */
int certainty_find(struct certainty *c, struct plan_search *s, double time_headroom, struct error *err);

/* Probability that what the first needs costs no more than what the second needs, each at a factor drawn from its own
 * error's distribution; the same one for both where `same` is true. Between levels, the next higher level's need holds.
 */
double certainty_no_dearer(const struct needs_by_level *first, const struct needs_by_level *second, bool same);

/* The same probability when the factor of the first, or of the second, has been measured before one chooses: on average
 * over what it may turn out to be. */
double certainty_after_measuring(const struct needs_by_level *first, const struct needs_by_level *second,
                                 bool first_is_measured);

#endif
