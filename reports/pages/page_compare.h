/* SPDX-License-Identifier: MIT */
/* page_compare.h — kept runs side by side as one HTML page: the first against each of the others. */
#ifndef TANDEM_REPORTS_PAGES_PAGE_COMPARE_H
#define TANDEM_REPORTS_PAGES_PAGE_COMPARE_H

#include <stdio.h>

#include "reports/store/store.h"

enum { COMPARED_RUNS_MAX = 6 }; /* as many as there are colours */

/* `runs` [count], 2 to COMPARED_RUNS_MAX of them. Fails where there is no such run. */
int page_write_comparison(struct store *store, const int64_t *runs, size_t count, FILE *out, struct error *err);

#endif
