/* SPDX-License-Identifier: MIT */
#include "reports/store/store_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCHEMA_VERSION = 6 };

extern const char schema_sql[]; /* made from schema.sql */

void store_forget_last(struct store *s)
{
    sqlite3_finalize(s->last);
    s->last = NULL;
    s->last_sql = NULL;
}

int store_fail(struct store *s, struct error *err)
{
    return error_set(err, ERROR_IO, "%s: %s", s->file, s->db ? sqlite3_errmsg(s->db) : "out of memory");
}

int store_execute(struct store *s, const char *sql, struct error *err)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : store_fail(s, err);
}

static int schema_version(struct store *s, int *out, struct error *err)
{
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &q, NULL) != SQLITE_OK || sqlite3_step(q) != SQLITE_ROW) {
        sqlite3_finalize(q);
        return store_fail(s, err);
    }
    *out = sqlite3_column_int(q, 0);
    sqlite3_finalize(q);
    return 0;
}

/* From each version to the next, from 1 on. */
static const char *const migrations[SCHEMA_VERSION] = {
    [1] =
        "ALTER TABLE request ADD COLUMN cached_tokens INTEGER NOT NULL DEFAULT 0;"
        "CREATE TABLE validation (run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, against TEXT NOT NULL,"
        "name TEXT NOT NULL, statistic TEXT NOT NULL, measured REAL, simulated REAL, error REAL,"
        "PRIMARY KEY (run_id, against, name, statistic)) WITHOUT ROWID;",
    [2] = "ALTER TABLE plan ADD COLUMN name TEXT; ALTER TABLE plan ADD COLUMN started_at TEXT;"
          "ALTER TABLE plan_point ADD COLUMN result TEXT;"
          "ALTER TABLE sweep ADD COLUMN name TEXT; ALTER TABLE sweep ADD COLUMN started_at TEXT;"
          "ALTER TABLE sweep_point ADD COLUMN result TEXT;",
    [3] = "ALTER TABLE run ADD COLUMN slo_binding TEXT;"
          "CREATE TABLE iteration (run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, replica INTEGER NOT "
          "NULL,"
          "start_ns INTEGER NOT NULL, number INTEGER NOT NULL, end_ns INTEGER NOT NULL, decodes INTEGER NOT NULL,"
          "decode_kv_tokens INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL, padded_tokens INTEGER NOT NULL,"
          "prompts TEXT NOT NULL, PRIMARY KEY (run_id, replica, start_ns, number)) WITHOUT ROWID;"
          "CREATE TABLE batch_cell (run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, decodes INTEGER NOT "
          "NULL,"
          "prompt_tokens INTEGER NOT NULL, iterations INTEGER NOT NULL, ns INTEGER NOT NULL, tokens INTEGER NOT NULL,"
          "padded_tokens INTEGER NOT NULL, PRIMARY KEY (run_id, decodes, prompt_tokens)) WITHOUT ROWID;"
          "CREATE TABLE headroom (run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, input TEXT NOT NULL,"
          "kind TEXT NOT NULL, base REAL, factor REAL, holds REAL, breaks REAL, binding TEXT,"
          "PRIMARY KEY (run_id, input)) WITHOUT ROWID;",
    /* Counts that add up: requests that are in none of the others were lost. Sums of all requests by their histograms,
     * to 0.1 %. A run without an SLO has met none. */
    [4] = "ALTER TABLE run ADD COLUMN lost INTEGER NOT NULL DEFAULT 0; ALTER TABLE run ADD COLUMN unserved_reason TEXT;"
          "UPDATE run SET lost = arrived - finished - rejected - unfinished;"
          "UPDATE run SET slo_met = NULL WHERE json_type(scenario, '$.slo') IS NULL;"
          "CREATE TABLE slo_target (run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, scope TEXT NOT NULL,"
          "name TEXT NOT NULL, statistic TEXT NOT NULL, asked REAL NOT NULL, value REAL, margin REAL, met INTEGER,"
          "PRIMARY KEY (run_id, scope, name, statistic)) WITHOUT ROWID;"
          "ALTER TABLE station ADD COLUMN busy REAL; UPDATE station SET busy = rho;"
          "INSERT OR IGNORE INTO metric SELECT run_id, name, 'all', 'count', sum(count), NULL, NULL, 'requests' FROM "
          "histogram WHERE scope = 'run' GROUP BY run_id, name;"
          "INSERT OR IGNORE INTO metric SELECT run_id, name, 'all', 'sum', sum(count * value_s), NULL, NULL, 's' FROM "
          "histogram WHERE scope = 'run' GROUP BY run_id, name;"
          "INSERT OR IGNORE INTO metric SELECT run_id, name, 'all', 'mean', sum(count * value_s) / sum(count), NULL, "
          "NULL, 's' FROM histogram WHERE scope = 'run' GROUP BY run_id, name;"
          "DROP VIEW IF EXISTS v_run_summary;"
          "CREATE VIEW v_run_summary AS "
          "SELECT r.id, CASE WHEN max(CASE WHEN m.name = 'overloaded' THEN m.value END) > 0 THEN 'overloaded' "
          "WHEN r.slo_met IS NULL THEN 'no SLO' WHEN r.slo_met > 0 THEN 'met' ELSE 'not met' END AS verdict, "
          "r.name, r.batching, r.model, r.device, r.arrived, r.finished, r.rejected, r.lost, r.unfinished, "
          "r.simulated_s, "
          "max(CASE WHEN m.name = 'load' THEN m.value END) AS load, "
          "max(CASE WHEN m.name = 'ttft_s' AND m.statistic = 'p50' THEN m.value END) AS ttft_p50_s, "
          "max(CASE WHEN m.name = 'ttft_s' AND m.statistic = 'p99' THEN m.value END) AS ttft_p99_s, "
          "max(CASE WHEN m.name = 'tpot_s' AND m.statistic = 'p50' THEN m.value END) AS tpot_p50_s, "
          "max(CASE WHEN m.name = 'tpot_s' AND m.statistic = 'p99' THEN m.value END) AS tpot_p99_s, "
          "max(CASE WHEN m.name = 'goodput_per_s' THEN m.value END) AS goodput_per_s, r.slo_met "
          "FROM run r LEFT JOIN metric m ON m.run_id = r.id AND m.scope = 'run' GROUP BY r.id; ",
    [5] = "CREATE TABLE run_plugin (run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, axis TEXT NOT NULL,"
          "policy TEXT NOT NULL, file TEXT NOT NULL, sha256 TEXT NOT NULL,"
          "PRIMARY KEY (run_id, axis, policy)) WITHOUT ROWID;",
};

/* Under the write lock, so that two processes that open a new file at once make one schema. */
static int migrate(struct store *s, struct error *err)
{
    int version = 0;
    char pragma[48];
    snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d", SCHEMA_VERSION);
    if (store_execute(s, "BEGIN IMMEDIATE", err) || schema_version(s, &version, err))
        return -1;
    if (version > SCHEMA_VERSION)
        return error_set(err, ERROR_INPUT, "%s: has schema version %d, this program knows up to %d", s->file, version,
                         SCHEMA_VERSION);
    if (version == 0 && store_execute(s, schema_sql, err))
        return -1;
    for (int from = version; from > 0 && from < SCHEMA_VERSION; from++)
        if (store_execute(s, migrations[from], err))
            return -1;
    return store_execute(s, pragma, err) || store_execute(s, "COMMIT", err) ? -1 : 0;
}

int store_open(const char *file, struct store **out, struct error *err)
{
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return error_no_memory(err);
    s->buckets_a_row = 1;
    s->file = strdup(file);
    if (!s->file) {
        free(s);
        return error_no_memory(err);
    }
    int version = 0, status = 0;
    if (sqlite3_open(file, &s->db) != SQLITE_OK)
        status = store_fail(s, err);
    else {
        sqlite3_busy_timeout(s->db, 60000);
        status = store_execute(s,
                               "PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA synchronous = NORMAL;"
                               "PRAGMA cache_size = -16000;",
                               err) ||
                 schema_version(s, &version, err) || (version != SCHEMA_VERSION && migrate(s, err));
    }
    if (status) {
        store_close(s);
        return -1;
    }
    *out = s;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    row_spool_close(&s->rows);
    store_forget_last(s);
    sqlite3_close(s->db);
    free(s->file);
    free(s);
}

void store_coarsen_histograms(struct store *s)
{
    s->buckets_a_row = 16;
}

void store_drop_rows(struct store *s)
{
    row_spool_close(&s->rows);
}

int store_keep_rows(struct store *s, struct error *err)
{
    store_drop_rows(s);
    return row_spool_open(&s->rows, err);
}

struct row_sink store_sink(struct store *s)
{
    return row_spool_sink(&s->rows);
}

static void bind(sqlite3_stmt *q, const char *types, va_list values)
{
    for (int i = 1; types[i - 1]; i++) {
        if (types[i - 1] == 'i') {
            sqlite3_bind_int64(q, i, va_arg(values, int64_t));
        } else if (types[i - 1] == 's') {
            sqlite3_bind_text(q, i, va_arg(values, const char *), -1, SQLITE_TRANSIENT);
        } else {
            double value = va_arg(values, double);
            if (isfinite(value))
                sqlite3_bind_double(q, i, value);
        }
    }
}

static sqlite3_stmt *prepare(struct store *s, const char *sql, const char *types, va_list values)
{
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) == SQLITE_OK)
        bind(q, types, values);
    return q;
}

static int run_statement(struct store *s, sqlite3_stmt *q, struct error *err)
{
    int status = q && sqlite3_step(q) == SQLITE_DONE ? 0 : store_fail(s, err);
    sqlite3_finalize(q);
    return status;
}

int store_insert(struct store *s, struct error *err, const char *sql, const char *types, ...)
{
    if (s->last_sql != sql) {
        store_forget_last(s);
        if (sqlite3_prepare_v2(s->db, sql, -1, &s->last, NULL) != SQLITE_OK)
            return store_fail(s, err);
        s->last_sql = sql;
    }
    va_list values;
    va_start(values, types);
    bind(s->last, types, values);
    va_end(values);
    int status = sqlite3_step(s->last) == SQLITE_DONE ? 0 : store_fail(s, err);
    sqlite3_reset(s->last);
    sqlite3_clear_bindings(s->last);
    return status;
}

int store_write(struct store *s, struct error *err, const char *sql, const char *types, ...)
{
    va_list values;
    va_start(values, types);
    sqlite3_stmt *q = prepare(s, sql, types, values);
    va_end(values);
    return run_statement(s, q, err);
}

int64_t store_last_id(const struct store *s)
{
    return sqlite3_last_insert_rowid(s->db);
}

enum { READ_COLUMNS = 16 };

int store_read(struct store *s, int (*row)(void *state, int columns, char **values, struct error *err), void *state,
               struct error *err, const char *sql, const char *types, ...)
{
    va_list values;
    va_start(values, types);
    sqlite3_stmt *q = prepare(s, sql, types, values);
    va_end(values);
    if (!q)
        return store_fail(s, err);
    int status = 0, step = SQLITE_DONE;
    while (status == 0 && (step = sqlite3_step(q)) == SQLITE_ROW) {
        char *texts[READ_COLUMNS];
        int columns = sqlite3_column_count(q);
        for (int i = 0; i < columns && i < READ_COLUMNS; i++)
            texts[i] = (char *)(uintptr_t)sqlite3_column_text(q, i);
        status = row(state, columns, texts, err);
    }
    if (status == 0 && step != SQLITE_DONE)
        status = store_fail(s, err);
    sqlite3_finalize(q);
    return status;
}
