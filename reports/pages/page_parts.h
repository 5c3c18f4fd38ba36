/* SPDX-License-Identifier: MIT */
/* page_parts.h — what a run's page is put together from. Each part writes itself, heading and all. */
#ifndef TANDEM_REPORTS_PAGES_PAGE_PARTS_H
#define TANDEM_REPORTS_PAGES_PAGE_PARTS_H

#include "reports/pages/html.h"
#include "reports/store/kept_run.h"

struct page {
    const struct kept_run *run;
    FILE *out;
};

extern const char *const page_metric_titles[METRIC_COUNT];
extern const char *const page_part_words[PART_COUNT]; /* time parts for people */

void page_part_legend(FILE *out);

int page_latencies(struct page *p, struct error *err);
void page_where(struct page *p);
int page_series(struct page *p, struct error *err);
int page_batches(struct page *p, struct error *err);
int page_slowest(struct page *p, struct error *err);
int page_queueing(struct page *p, struct error *err);
void page_provenance(struct page *p);

#endif
