/* SPDX-License-Identifier: MIT */
/* formats.h — a kept run in the forms that other tools read. */
#ifndef TANDEM_REPORTS_FORMATS_FORMATS_H
#define TANDEM_REPORTS_FORMATS_FORMATS_H

#include <stdio.h>

#include "reports/store/store.h"

typedef int (*run_format)(struct store *store, int64_t run_id, FILE *out, struct error *err);

/* "text", "csv" and "json" (the rows of `metric`), "markdown", "perfetto" (perfetto.h), "prometheus" (its text
 * with vLLM's names, so that its dashboards read a simulated run), "openmetrics" (openmetrics.h), "vllm" and
 * "vllm-detailed" (vllm.h); NULL for any other name. */
run_format run_format_find(const char *name);

#endif
