/* SPDX-License-Identifier: MIT */
/* run_values.h — what a run has one number of, by name: the rows of table `metric` with statistic `value`
 * (docs/database.md). */
#ifndef TANDEM_REPORTS_STATS_RUN_VALUES_H
#define TANDEM_REPORTS_STATS_RUN_VALUES_H

#include "reports/stats/metrics.h"

enum { RUN_VALUES_MAX = 64 };

struct run_value {
    char name[40];
    const char *unit; /* "" for none */
    double value;     /* NAN where the run has none */
};

/* Fills `out` [RUN_VALUES_MAX]; returns how many there are. */
size_t run_values(const struct run_summary *r, struct run_value *out);

/* Whether there is a value of that name, and which. */
bool run_value_find(const struct run_summary *r, const char *name, double *out);

#endif
