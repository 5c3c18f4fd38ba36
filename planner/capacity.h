/* SPDX-License-Identifier: MIT */
/* capacity.h — how far one configuration can go: the largest rate (or longest prompts, slowest kernels …) at which it
 * meets its SLO.
 *
 * A stochastic root search: the mean margin falls as the load grows. Two replications a point bracket its zero and
 * close in on it (regula falsi with Illinois' correction on log load); then the points just below and just above are
 * replicated until each is decided. The answer's interval reaches from a load that is shown to hold to one that is
 * shown to break; it is as wide as the tolerance, or as what the replications can tell apart. */
#ifndef TANDEM_PLANNER_CAPACITY_H
#define TANDEM_PLANNER_CAPACITY_H

#include "planner/point.h"

enum capacity_kind { CAPACITY_FOUND, CAPACITY_NONE, CAPACITY_UNBOUNDED };

enum { CURVE_MAX = 40, CURVE_VALUES = 4 };

/* What was seen at a load: means over its replications. */
struct load_seen {
    double load, values[CURVE_VALUES];
};

struct capacity {
    /* None: misses even at a thousandth of the start and of what the scenario says; unbounded: meets at a thousand
     * times both. */
    enum capacity_kind kind;
    double value, low, high; /* factor on what the scenario says; low holds, high breaks */
    bool vague;              /* found: no load within a factor of 3 could be shown to hold, or to break */
    bool shown;              /* none, unbounded: the last load looked at (`high`, `low`) is shown to miss, or to hold */
    struct outcome end;      /* what it was like there */
    char binding[96];        /* what breaks there */
    size_t points;           /* looked at */
    struct load_seen curve[CURVE_MAX]; /* [curve_count] of the statistics that were asked for, by load */
    size_t curve_count;
    bool failed; /* the scenario cannot be run: */
    char message[512];
};

struct capacity_question {
    const char *scenario; /* JSON text */
    enum scale scale;
    const double *base;       /* [SCALE_COUNT] the other scales; NULL: 1 each */
    double start;             /* a guess: 1, or what a formula says */
    const char *const *curve; /* [curve_count], at most CURVE_VALUES names of statistics (trial_value); NULL: none */
    size_t curve_count;
    double tolerance; /* relative width of the interval, where replications can tell it: 0.02 */
    uint64_t seed;
    struct effort effort;
};

int capacity_find(const struct capacity_question *question, struct trial_pool *pool, struct capacity *out,
                  struct error *err);

#endif
