/* SPDX-License-Identifier: MIT */
/* page_study.h — a kept sweep or plan as one HTML page. */
#ifndef TANDEM_REPORTS_PAGES_PAGE_STUDY_H
#define TANDEM_REPORTS_PAGES_PAGE_STUDY_H

#include <stdio.h>

#include "reports/store/store.h"

/* Both fail where there is no such sweep or plan, or where it has nothing to show yet. */
int page_write_sweep(struct store *store, int64_t sweep_id, FILE *out, struct error *err);
int page_write_plan(struct store *store, int64_t plan_id, FILE *out, struct error *err);

#endif
