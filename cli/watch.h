/* SPDX-License-Identifier: MIT */
/* watch.h — how one run goes, while it goes: a line, or with --watch a view of rates, queue and percentiles so far. On
 * standard error; on a terminal it rewrites itself, else it is a line from time to time. */
#ifndef TANDEM_CLI_WATCH_H
#define TANDEM_CLI_WATCH_H

#include "reports/stats/metrics.h"

enum { WATCH_SAMPLES = 240 };

struct run_watch {
    const struct scenario *scenario;
    const struct run_metrics *metrics;
    double started_s, told_s; /* wall clock */
    uint64_t told_finished;   /* requests, then */
    double expected;          /* requests in all; 0: not known */
    bool terminal, whole, told;
    int lines; /* of the view that stand on the terminal */
    /* Requests waiting, the most of each stretch of simulated time. */
    double waiting[WATCH_SAMPLES];
    size_t samples;
    sim_time width; /* of a stretch */
};

/* `whole`: the view, not only a line. Both pointers must outlive the watch. */
void watch_begin(struct run_watch *w, const struct scenario *s, const struct run_metrics *m, bool whole);

/* A struct run_control's tick. */
void watch_tick(void *watch, const struct cluster_totals *so_far);

/* Leaves the last view standing, or takes the line away. */
void watch_end(struct run_watch *w, const struct cluster_totals *totals);

#endif
