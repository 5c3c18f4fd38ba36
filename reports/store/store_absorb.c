/* SPDX-License-Identifier: MIT */
/* Runs that another process wrote into a database of its own. */
#include "reports/store/store_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int store_serialize(struct store *s, void **bytes, size_t *size, struct error *err)
{
    sqlite3_int64 length = 0;
    unsigned char *copy = sqlite3_serialize(s->db, "main", &length, 0);
    *bytes = copy ? malloc((size_t)length) : NULL;
    if (*bytes)
        memcpy(*bytes, copy, (size_t)length);
    sqlite3_free(copy);
    *size = (size_t)length;
    return *bytes ? 0 : error_no_memory(err);
}

/* A table's columns after its first one, with commas before and between. */
static int other_columns(struct store *s, const char *table, char *out, size_t size, struct error *err)
{
    sqlite3_stmt *q = NULL;
    char sql[96];
    size_t length = 0;
    snprintf(sql, sizeof sql, "SELECT name FROM pragma_table_info('%s') WHERE cid > 0 ORDER BY cid", table);
    if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) != SQLITE_OK)
        return store_fail(s, err);
    out[0] = 0;
    int step;
    while ((step = sqlite3_step(q)) == SQLITE_ROW && length < size) {
        const char *name = (const char *)sqlite3_column_text(q, 0);
        if (!name)
            break;
        length += (size_t)snprintf(out + length, size - length, ", %s", name);
    }
    int status = step == SQLITE_DONE || length >= size ? 0 : store_fail(s, err); /* a column less would be lost */
    sqlite3_finalize(q);
    if (status)
        return -1;
    return length < size ? 0 : error_set(err, ERROR_RUN, "internal: table %s has too many columns", table);
}

static int copy_rows(struct store *s, const char *table, sqlite3_int64 from, sqlite3_int64 to, struct error *err)
{
    char columns[1024], sql[2300];
    if (other_columns(s, table, columns, sizeof columns, err))
        return -1;
    bool run = strcmp(table, "run") == 0;
    snprintf(sql, sizeof sql, "INSERT INTO main.%s SELECT %s%s FROM part.%s WHERE %s = ?2", table, run ? "NULL" : "?1",
             columns, table, run ? "id" : "run_id");
    return store_write(s, err, sql, "ii", (int64_t)to, (int64_t)from);
}

static int absorb_run(struct store *s, sqlite3_int64 from, sqlite3_int64 *to, struct error *err)
{
    static const char *const tables[] = {"metric",     "histogram",  "station",    "theory",   "request",
                                         "timeseries", "iteration",  "batch_cell", "headroom", "validation",
                                         "slo_target", "run_plugin", NULL};
    if (copy_rows(s, "run", from, 0, err))
        return -1;
    *to = sqlite3_last_insert_rowid(s->db);
    for (const char *const *table = tables; *table; table++)
        if (copy_rows(s, *table, from, *to, err))
            return -1;
    return 0;
}

static int absorb_all(struct store *s, sqlite3_int64 *run, struct error *err)
{
    sqlite3_stmt *q = NULL;
    int status = sqlite3_prepare_v2(s->db, "SELECT id FROM part.run ORDER BY id", -1, &q, NULL) == SQLITE_OK
                     ? 0
                     : store_fail(s, err);
    int step = SQLITE_DONE;
    while (status == 0 && (step = sqlite3_step(q)) == SQLITE_ROW)
        status = absorb_run(s, sqlite3_column_int64(q, 0), run, err);
    if (status == 0 && step != SQLITE_DONE)
        status = store_fail(s, err);
    sqlite3_finalize(q);
    return status;
}

int64_t store_absorb(struct store *s, const void *bytes, size_t size, store_link link, void *state, struct error *err)
{
    sqlite3_int64 run = -1;
    struct error ignored;
    if (store_execute(s, "ATTACH ':memory:' AS part", err))
        return -1;
    int status = sqlite3_deserialize(s->db, "part", (unsigned char *)(uintptr_t)bytes, (sqlite3_int64)size,
                                     (sqlite3_int64)size, 0) == SQLITE_OK
                     ? store_begin(s, err)
                     : store_fail(s, err);
    if (status == 0 && (absorb_all(s, &run, err) || (link && link(state, s, run, err)) || store_commit(s, err))) {
        store_roll_back(s);
        status = -1;
    }
    store_forget_last(s);
    store_execute(s, "DETACH part", &ignored);
    return status ? -1 : run;
}
