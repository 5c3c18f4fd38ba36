/* SPDX-License-Identifier: MIT */
/* compare.h — two kept runs side by side: what differs, and whether that is more than chance. */
#ifndef TANDEM_REPORTS_COMPARE_H
#define TANDEM_REPORTS_COMPARE_H

#include "reports/store.h"

struct compared {
    const char *name, *statistic, *title;
    bool more_is_better;
    double a, b;              /* NAN where a run has not got it */
    struct estimate relative; /* (b − a) / a, with its 95 % interval; NAN where none can be had */
    size_t pairs; /* requests that both runs served: differences are of these; 0: of independent intervals */
};

enum { COMPARED = 16 };

/* Fills *count rows, at most COMPARED. Means of TTFT, TPOT and E2E are compared request by request where both runs kept
 * the same requests' rows (batch means over 32 batches of the differences); else intervals are taken for independent.
 */
int compare_runs(struct store *store, int64_t a, int64_t b, struct compared rows[COMPARED], size_t *count,
                 struct error *err);

/* 1: b is better, −1: a is, 0: not more than chance. */
int compare_verdict(const struct compared *c);

/* Whether its values are seconds. */
bool compared_is_time(const struct compared *c);

#endif
