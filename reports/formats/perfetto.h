/* SPDX-License-Identifier: MIT */
/* perfetto.h — a kept run as a trace that ui.perfetto.dev and chrome://tracing open (the Trace Event Format's JSON).
 *
 * Replicas are processes whose slices are iterations, with what was in the batch; requests are slices with their
 * phases, and flows lead from each to the iterations in which its prompt ran and its last token came; time series are
 * counters. Times are in microseconds, exact to the nanosecond. */
#ifndef TANDEM_REPORTS_FORMATS_PERFETTO_H
#define TANDEM_REPORTS_FORMATS_PERFETTO_H

#include <stdio.h>

#include "reports/store/store.h"

/* Fails where the run kept neither iterations nor requests. */
int perfetto_write(struct store *store, int64_t run_id, FILE *out, struct error *err);

#endif
