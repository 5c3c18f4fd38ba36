/* SPDX-License-Identifier: MIT */
/* vllm.h — a kept run as the JSON of `vllm bench serve --save-result`, for what reads that: vLLM's own sweep plots and
 * comparisons, InferenceX. */
#ifndef TANDEM_REPORTS_FORMATS_VLLM_H
#define TANDEM_REPORTS_FORMATS_VLLM_H

#include <stdio.h>

#include "reports/store/store.h"

int vllm_write(struct store *store, int64_t run, FILE *out, struct error *err);

/* With each request's lengths, TTFT, start and E2E, as --save-detailed has them, from the rows that were kept. Gaps
 * between tokens are not kept one by one, so "itls" is not there. */
int vllm_write_detailed(struct store *store, int64_t run, FILE *out, struct error *err);

#endif
