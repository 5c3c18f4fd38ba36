/* SPDX-License-Identifier: MIT */
/* page.h — a kept run as one self-contained HTML page: no network, no script needed to read it, light and dark. */
#ifndef TANDEM_REPORTS_PAGES_PAGE_H
#define TANDEM_REPORTS_PAGES_PAGE_H

#include <stdio.h>

#include "reports/store/store.h"

/* Writes the page of a run. Returns 0, or -1 when there is no such run or it cannot be read. */
int page_write(struct store *store, int64_t run_id, FILE *out, struct error *err);

#endif
