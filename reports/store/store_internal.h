/* SPDX-License-Identifier: MIT */
/* store_internal.h — what the files of the store share: store.c opens it and speaks SQL, store_run.c writes a run,
 * store_absorb.c takes runs over from another database. */
#ifndef TANDEM_REPORTS_STORE_STORE_INTERNAL_H
#define TANDEM_REPORTS_STORE_STORE_INTERNAL_H

#include <sqlite3.h>

#include "reports/store/row_spool.h"
#include "reports/store/store.h"

struct store {
    sqlite3 *db;
    char *file;
    struct row_spool rows; /* of the current run */
    sqlite3_stmt *last;    /* the statement inserted with last, for when the next row goes to the same table */
    const char *last_sql;
    size_t buckets_a_row; /* of histograms */
    bool read_only;
    struct error failed; /* the first failure since it was opened, of those whose callers went on without */
};

/* Fills err with what SQLite says; returns -1. */
int store_fail(struct store *s, struct error *err);

int store_execute(struct store *s, const char *sql, struct error *err);

/* As store_write; `sql` is a constant: the same one again is not parsed again. */
int store_insert(struct store *s, struct error *err, const char *sql, const char *types, ...);

/* Before the database changes under the statement that store_insert keeps. */
void store_forget_last(struct store *s);

#endif
