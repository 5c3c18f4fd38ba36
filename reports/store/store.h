/* SPDX-License-Identifier: MIT */
/* store.h — the SQLite file of results. A run appears whole or not at all: everything is written in one
 * transaction, which other processes wait for. */
#ifndef TANDEM_REPORTS_STORE_STORE_H
#define TANDEM_REPORTS_STORE_STORE_H

#include <stdbool.h>

#include "reports/stats/latencies.h"
#include "reports/stats/metrics.h"

struct store;

/* Opens or makes the file and brings its schema up to date. Fails on a file of a newer version, and on one of another
 * program, to which nothing is written. */
int store_open(const char *file, struct store **out, struct error *err);

/* Opens a file that is there: as store_open where it can be written, else for reading only. Fails where its schema is
 * older and it cannot be written. */
int store_open_kept(const char *file, struct store **out, struct error *err);
bool store_is_read_only(const struct store *store);

/* Fails with the first thing that failed since the store was opened: whoever has written out what it holds asks this,
 * as a number that could not be read may have been taken for one that is not there. */
int store_check(const struct store *store, struct error *err) __attribute__((warn_unused_result));

/* Closes; a run that was begun and not finished leaves no trace. */
void store_close(struct store *store);

/* Histograms of runs saved from now on have one row for 16 buckets: 1.6 % instead of 0.1 % apart, for runs by the
 * thousand. */
void store_coarsen_histograms(struct store *store);

/* Starts keeping rows of requests and of time series: they wait in a temporary file for store_save_run. Rows of a run
 * that was not saved are dropped. */
int store_keep_rows(struct store *store, struct error *err);
void store_drop_rows(struct store *store);
struct row_sink store_sink(struct store *store);

/* Begins what is to be there together or not at all; store_commit ends it. What fails meanwhile takes all of it back.
 */
int store_begin(struct store *store, struct error *err);

/* Fails, and takes it back, also where an allocation of this thread has failed: what is to be kept may lack something.
 */
int store_commit(struct store *store, struct error *err);

/* Takes back what was begun and not committed, if anything. */
void store_roll_back(struct store *store);

/* Writes the run and returns its id, or -1. */
int64_t store_save_run(struct store *store, const struct scenario *s, const struct run_metrics *m,
                       const struct run_summary *summary, double wall_s, struct error *err);

/* One statement with values bound by the letters of `types`: i int64_t, d double (NULL where it is not finite), s text.
 */
int store_write(struct store *store, struct error *err, const char *sql, const char *types, ...);
int64_t store_last_id(const struct store *store);

/* Calls `row` with every row of a query, as text (NULL for NULL; bytes that are not UTF-8 as question marks); stops
 * when it returns other than 0. What a cell says is read by kept_value.h. */
int store_read(struct store *store, int (*row)(void *state, int columns, char **values, struct error *err), void *state,
               struct error *err, const char *sql, const char *types, ...);

/* The same for numbers that may be missing: a failure is kept for store_check, which whoever asks calls at the end. */
void store_read_optional(struct store *store, int (*row)(void *state, int columns, char **values, struct error *err),
                         void *state, const char *sql, const char *types, ...);

/* The whole database as bytes, which are the caller's to free. */
int store_serialize(struct store *store, void **bytes, size_t *size, struct error *err);

/* Takes over the runs of a database of the same program version that was made by store_serialize. Returns the id that
 * the last of them has here, or -1. `link` is run in the same transaction, with this id; it may be NULL. */
typedef int (*store_link)(void *state, struct store *store, int64_t run_id, struct error *err);
int64_t store_absorb(struct store *store, const void *bytes, size_t size, store_link link, void *state,
                     struct error *err);

/* Writes what a saved run's latencies are against the measured ones. `against` says whose. */
int store_save_validation(struct store *store, int64_t run_id, const char *against, const struct comparison *c,
                          struct error *err);

#endif
