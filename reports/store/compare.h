/* SPDX-License-Identifier: MIT */
/* compare.h — two kept runs side by side: what differs, and whether that is more than chance. */
#ifndef TANDEM_REPORTS_STORE_COMPARE_H
#define TANDEM_REPORTS_STORE_COMPARE_H

#include "base/json.h"
#include "reports/store/store.h"

struct compared {
    const char *name, *statistic, *title;
    bool more_is_better;
    double a, b;              /* NAN where a run has not got it */
    struct estimate relative; /* (b − a) / a, with its 95 % interval; NAN where none can be had */
    size_t pairs; /* requests that both runs served: differences are of these; 0: of independent intervals */
    const char *not_compared; /* why neither is called better; NULL: they can be compared. A constant */
};

enum { COMPARED = 16 };

/* What two runs were asked, and how they fared: what has to be said before any number. */
struct comparability {
    char workload[400]; /* what differs in it, path by path: "workload.arrivals.rate_per_s 4 → 40"; "": nothing */
    char configuration[600]; /* the same of all that serves it: "cluster.replicas 1 → 4" */
    char seeds[64];          /* "1 → 2"; "": the same */
    bool overloaded[2];
    double unserved[2]; /* shares of the requests */
};

int compare_conditions(struct store *store, int64_t a, int64_t b, struct comparability *out, struct error *err);

/* Calls `change` for every path at which two JSON values differ, with both as text, "(default)" where one is absent. */
typedef void (*compare_change)(void *state, const char *path, const char *from, const char *to);
void compare_json(const cJSON *a, const cJSON *b, const char *path, compare_change change, void *state);

/* Fills *count rows, at most COMPARED. Means of TTFT, TPOT and E2E are compared request by request where both runs kept
 * the same requests' rows (batch means over 32 batches of the differences); else intervals are taken for independent.
 */
int compare_runs(struct store *store, int64_t a, int64_t b, struct compared rows[COMPARED], size_t *count,
                 struct error *err);

/* 1: b is better, −1: a is, 0: not more than chance, or not to be compared. */
int compare_verdict(const struct compared *c);

/* How far b is from a: "+3.1 %", or by how many times where percent say little. */
void compared_change(const struct compared *c, char *out, size_t size);

/* Whether that is more than ten times: values say more than a ratio. */
bool compared_is_far(const struct compared *c);

/* Whether its values are seconds. */
bool compared_is_time(const struct compared *c);

#endif
