/* SPDX-License-Identifier: MIT */
/* kept_run.h — a run as the database has it, for pages that show it. */
#ifndef TANDEM_REPORTS_STORE_KEPT_RUN_H
#define TANDEM_REPORTS_STORE_KEPT_RUN_H

#include <stdbool.h>

#include "base/json.h"
#include "reports/store/kept_value.h"
#include "reports/store/store.h"

/* Of the table `metric`. */
struct metric_row {
    char *name, *scope, *statistic, *unit;
    double value, low, high; /* NAN where there is none */
};

enum run_text {
    RUN_NAME,
    RUN_SEED,
    RUN_VERSION,
    RUN_STARTED,
    RUN_MODEL,
    RUN_DEVICE,
    RUN_SOURCE,
    RUN_SLO_MET,
    RUN_STATUS,
    RUN_BATCHING,
    RUN_SLO_BINDING,
    RUN_UNSERVED_REASON,
    RUN_TEXTS
};

struct kept_run {
    struct store *store;
    int64_t id;
    char *texts[RUN_TEXTS]; /* "" where there is none; NULL for the SLO's and the reason */
    double wall_s;
    cJSON *scenario;
    struct metric_row *rows; /* [count] */
    size_t count, capacity;
};

/* Fails where there is no such run. Release also after a failure. */
int kept_run_read(struct kept_run *r, struct store *store, int64_t id, struct error *err);
void kept_run_release(struct kept_run *r);

/* Whether the policies of plug-ins that the run ran with are loaded, from the same files: else its scenario cannot be
 * run again, and the error says which plug-in is missing and how to name it. */
int kept_run_check_plugins(const struct kept_run *r, struct error *err);

/* The last run's number; fails where there is none. */
int kept_run_last(struct store *store, int64_t *id, struct error *err);

/* NULL, or NAN, where there is no such row. Single values have scope "run" and statistic "value". */
const struct metric_row *kept_run_find(const struct kept_run *r, const char *name, const char *scope,
                                       const char *statistic);
double kept_run_value(const struct kept_run *r, const char *name, const char *scope, const char *statistic);
double kept_run_single(const struct kept_run *r, const char *name);

/* A target of the SLO as it was judged; runs kept before schema 5 have none. A read that fails is found by store_check.
 */
struct target_row {
    double value; /* NAN: none, or infinite */
    bool judged, met;
};
bool kept_run_target(const struct kept_run *r, const char *scope, const char *name, const char *statistic,
                     struct target_row *out);

/* The word that stands first where a run is named: "Overloaded", "SLO met", … */
const char *kept_run_verdict(const struct kept_run *r);
bool kept_run_overloaded(const struct kept_run *r);

/* A limit of the scenario's SLO on a metric's statistic; 0 where there is none. */
double kept_run_limit(const struct kept_run *r, const char *metric, const char *statistic);

/* Points of a line: where, and how much. */
struct curve {
    double *x, *y; /* [count] */
    size_t count, capacity;
};

void curve_release(struct curve *c);

/* Rows of a query with two columns, x and y. */
int curve_read(struct curve *c, struct store *store, struct error *err, const char *sql, const char *types, int64_t run,
               const char *name);

/* Share of a metric's values, without the warm-up that was cut, that are larger than x, at no more than a few hundred
 * x, down to one in ten thousand. */
int curve_read_tail(struct curve *c, const struct kept_run *r, const char *metric, struct error *err);

#endif
