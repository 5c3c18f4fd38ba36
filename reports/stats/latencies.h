/* SPDX-License-Identifier: MIT */
/* latencies.h — latencies of many requests, and two such sets next to each other. */
#ifndef TANDEM_REPORTS_STATS_LATENCIES_H
#define TANDEM_REPORTS_STATS_LATENCIES_H

#include "reports/stats/metrics.h"

enum { MEASURED_METRICS = 3, MEASURED_STATISTICS = 5 };

extern const enum metric measured_metrics[MEASURED_METRICS];       /* TTFT, TPOT, E2E */
extern const char *const measured_statistics[MEASURED_STATISTICS]; /* mean p50 p90 p95 p99 */

/* Latencies in seconds, a value a request; TPOT of those with more than one output token only. */
struct latencies {
    double *at[MEASURED_METRICS]; /* owned */
    size_t count[MEASURED_METRICS], capacity[MEASURED_METRICS];
};

void latencies_release(struct latencies *l);

/* Adds a request; TPOT is left out below two output tokens. Returns 0, or -1 when memory is short. */
int latencies_add(struct latencies *l, double ttft_s, double e2e_s, uint32_t output_tokens);

struct comparison {
    double measured[MEASURED_METRICS][MEASURED_STATISTICS], simulated[MEASURED_METRICS][MEASURED_STATISTICS];
    double error[MEASURED_METRICS][MEASURED_STATISTICS]; /* simulated / measured − 1 */
    double mean_absolute, worst_absolute;
};

/* Percentiles are interpolated between order statistics, as numpy does. Sorts both. */
void latencies_compare(struct latencies *measured, struct latencies *simulated, struct comparison *out);

/* Means of a comparison's errors: of a metric over its statistics, of a statistic over the metrics, and of all. */
struct error_means {
    double by_metric[MEASURED_METRICS], by_statistic[MEASURED_STATISTICS], all;
};

/* Signed errors cancel where some are above and some below; absolute ones do not. */
struct error_means latencies_signed_means(const struct comparison *c);
struct error_means latencies_absolute_means(const struct comparison *c);

#endif
