/* SPDX-License-Identifier: MIT */
/* metrics.h — what a live simulation counts, in Prometheus' text format with the names of vLLM's metrics. */
#ifndef TANDEM_HTTP_METRICS_H
#define TANDEM_HTTP_METRICS_H

#include "http/live.h"

/* The caller's to free; NULL when memory is short. */
char *metrics_text(const struct live_counts *counts, const char *model);

#endif
