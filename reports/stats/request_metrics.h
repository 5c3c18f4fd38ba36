/* SPDX-License-Identifier: MIT */
/* request_metrics.h — what is measured of every request, by the names that serving engineers use. */
#ifndef TANDEM_REPORTS_STATS_REQUEST_METRICS_H
#define TANDEM_REPORTS_STATS_REQUEST_METRICS_H

#include "workloads/request.h"

enum metric { METRIC_QUEUE, METRIC_TTFT, METRIC_TPOT, METRIC_ITL, METRIC_E2E, METRIC_NORMALIZED, METRIC_COUNT };

extern const char *const metric_names[METRIC_COUNT]; /* "queue_s", … */

/* METRIC_COUNT when there is none of that name. */
enum metric metric_find(const char *name);

/* In nanoseconds; tpot is −1 for a single output token and for an answer that came at once, and itl always, being of
 * tokens. */
struct request_metrics {
    int64_t at[METRIC_COUNT];
};

struct request_metrics request_metrics_of(const struct request *r);

#endif
