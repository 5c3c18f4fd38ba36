/* SPDX-License-Identifier: MIT */
/* store.h — the SQLite file of results. A run appears whole or not at all: everything is written in one
 * transaction, which other processes wait for. */
#ifndef TANDEM_REPORTS_STORE_H
#define TANDEM_REPORTS_STORE_H

#include "reports/metrics.h"
#include "reports/validate_measured.h"

struct store;

/* Opens or makes the file and brings its schema up to date. Fails on a file of a newer version. */
int store_open(const char *file, struct store **out, struct error *err);

/* Closes; a run that was begun and not finished leaves no trace. */
void store_close(struct store *store);

/* Starts keeping rows of requests and of time series: they wait in a temporary file for store_save_run. */
int store_keep_rows(struct store *store, struct error *err);
struct row_sink store_sink(struct store *store);

/* Writes the run and returns its id, or -1. */
int64_t store_save_run(struct store *store, const struct scenario *s, const struct run_metrics *m,
                       const struct run_summary *summary, double wall_s, struct error *err);

/* Writes what a saved run's latencies are against the measured ones. `against` says whose. */
int store_save_validation(struct store *store, int64_t run_id, const char *against, const struct comparison *c,
                          struct error *err);

/* Prints a run's rows as CSV or JSON ("csv", "json") or text. `run_id` 0: the last one. */
int store_print_run(struct store *store, int64_t run_id, const char *format, struct error *err);

#endif
