/* SPDX-License-Identifier: MIT */
/* openmetrics.h — a kept run as OpenMetrics text with vLLM's names and time stamps over its simulated time, which
 * `promtool tsdb create-blocks-from openmetrics` makes a Prometheus' data of. It needs the row of every request. */
#ifndef TANDEM_REPORTS_FORMATS_OPENMETRICS_H
#define TANDEM_REPORTS_FORMATS_OPENMETRICS_H

#include <stdio.h>

#include "reports/store/store.h"

/* Bounds of buckets as vLLM has them (vllm/v1/metrics/loggers.py), each ending with 0. */
extern const double openmetrics_token_times[], openmetrics_gaps[], openmetrics_request_times[], openmetrics_tokens[];

/* "1.0" for 1, as OpenMetrics and vLLM's client library write bounds. */
void openmetrics_bound(double bound, char *out, size_t size);

/* The simulated time ends when the run was started, so that all of it is past. */
int openmetrics_write(struct store *store, int64_t run, FILE *out, struct error *err);

#endif
