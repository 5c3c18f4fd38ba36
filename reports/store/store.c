/* SPDX-License-Identifier: MIT */
#include "reports/store/store_internal.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/printable.h"

enum {
    SCHEMA_VERSION = 7,
    APPLICATION_ID = 0x546e646d, /* "Tndm" in the file's header */
    PATIENCE_MS = 60000          /* for another process that writes */
};

extern const char schema_sql[]; /* made from schema.sql */

void store_forget_last(struct store *s)
{
    sqlite3_finalize(s->last);
    s->last = NULL;
    s->last_sql = NULL;
}

/* SQLite takes a read that fails with EIO for a damaged file; the system's own word is still known. */
static int reason_of_reading(sqlite3 *db)
{
    sqlite3_file *log = NULL;
    int of_file = 0, of_log = 0;
    sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &of_file);
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK && log && log->pMethods)
        log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &of_log);
    return of_file == EIO || of_log == EIO ? EIO : 0;
}

static int say_failure(struct store *s, struct error *err)
{
    int code = s->db ? sqlite3_errcode(s->db) & 0xff : SQLITE_NOMEM;
    if (code == SQLITE_NOMEM)
        return error_no_memory(err);
    if (code == SQLITE_NOTADB)
        return error_set(err, ERROR_INPUT, "%s: is not an SQLite database, expected one that tandem made", s->file);
    int reason = code == SQLITE_CORRUPT ? reason_of_reading(s->db) : 0;
    if (reason)
        return error_set(err, ERROR_IO, "%s: cannot be read: %s", s->file, strerror(reason));
    if (code == SQLITE_CORRUPT)
        return error_set(err, ERROR_INPUT, "%s: is damaged: %s", s->file, sqlite3_errmsg(s->db));
    return error_set(err, ERROR_IO, "%s: %s", s->file, sqlite3_errmsg(s->db));
}

int store_fail(struct store *s, struct error *err)
{
    say_failure(s, err);
    if (s->failed.code == ERROR_NONE)
        s->failed = *err;
    return -1;
}

int store_check(const struct store *s, struct error *err)
{
    if (s->failed.code == ERROR_NONE)
        return 0;
    *err = s->failed;
    return -1;
}

int store_execute(struct store *s, const char *sql, struct error *err)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : store_fail(s, err);
}

int store_begin(struct store *s, struct error *err)
{
    return store_execute(s, "BEGIN IMMEDIATE", err);
}

int store_commit(struct store *s, struct error *err)
{
    if (memory_check(err) == 0 && store_execute(s, "COMMIT", err) == 0)
        return 0;
    store_roll_back(s);
    return -1;
}

void store_roll_back(struct store *s)
{
    if (!sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL); /* SQLite does it itself where this fails */
}

/* A number that a query or pragma gives. */
static int read_integer(struct store *s, const char *sql, int *out, struct error *err)
{
    sqlite3_stmt *q = NULL;
    int status = sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW
                     ? 0
                     : store_fail(s, err);
    *out = status ? 0 : sqlite3_column_int(q, 0);
    sqlite3_finalize(q);
    return status;
}

/* Whose file it is, and of which version; nothing is written before that is known. */
struct file_origin {
    int application, version, tables, ours; /* how many tables it has, and how many of two of ours */
};

static int read_origin(struct store *s, struct file_origin *o, struct error *err)
{
    return read_integer(s, "PRAGMA application_id", &o->application, err) ||
                   read_integer(s, "PRAGMA user_version", &o->version, err) ||
                   read_integer(s, "SELECT count(*) FROM sqlite_master", &o->tables, err) ||
                   read_integer(s,
                                "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('run', 'metric')",
                                &o->ours, err)
               ? -1
               : 0;
}

/* Files from before there was an application ID are known by their tables. */
static int check_origin(struct store *s, const struct file_origin *o, struct error *err)
{
    bool empty = o->tables == 0 && o->version == 0 && o->application == 0;
    bool older = o->application == 0 && o->version > 0 && o->ours == 2;
    if (!empty && !older && o->application != APPLICATION_ID)
        return error_set(err, ERROR_INPUT,
                         "%s: is a database of another program (application ID %d, %d tables and views), to which "
                         "nothing is written; name another file",
                         s->file, o->application, o->tables);
    if (o->version > SCHEMA_VERSION)
        return error_set(err, ERROR_INPUT, "%s: has schema version %d, this program knows up to %d", s->file,
                         o->version, SCHEMA_VERSION);
    if (!empty && o->version < 1)
        return error_set(err, ERROR_INPUT, "%s: has schema version %d, expected 1 to %d", s->file, o->version,
                         SCHEMA_VERSION);
    return 0;
}

static bool is_current(const struct file_origin *o)
{
    return o->version == SCHEMA_VERSION && o->application == APPLICATION_ID;
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
          "UPDATE run SET slo_met = NULL WHERE CASE WHEN json_valid(scenario) THEN json_type(scenario, '$.slo') END IS "
          "NULL;"
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
    /* A request has its time parts in its own row, which is narrower than a row for each of them. */
    [6] = "ALTER TABLE request ADD COLUMN part_queue_ns INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE request ADD COLUMN part_prefill_own_ns INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE request ADD COLUMN part_prefill_stall_ns INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE request ADD COLUMN part_decode_own_ns INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE request ADD COLUMN part_decode_interference_ns INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE request ADD COLUMN part_decode_stall_ns INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE request ADD COLUMN part_preempted_ns INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE request ADD COLUMN part_transfer_ns INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE request ADD COLUMN part_route_ns INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE request ADD COLUMN part_delay_ns INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE request ADD COLUMN part_after_ns INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE request ADD COLUMN part_kv_load_ns INTEGER NOT NULL DEFAULT 0;"
          "UPDATE request SET ("
          "part_queue_ns, "
          "part_prefill_own_ns, "
          "part_prefill_stall_ns, "
          "part_decode_own_ns, "
          "part_decode_interference_ns, "
          "part_decode_stall_ns, "
          "part_preempted_ns, "
          "part_transfer_ns, "
          "part_route_ns, "
          "part_delay_ns, "
          "part_after_ns, "
          "part_kv_load_ns) = (SELECT "
          "coalesce(sum(ns) FILTER (WHERE part = 'queue'), 0), "
          "coalesce(sum(ns) FILTER (WHERE part = 'prefill_own'), 0), "
          "coalesce(sum(ns) FILTER (WHERE part = 'prefill_stall'), 0), "
          "coalesce(sum(ns) FILTER (WHERE part = 'decode_own'), 0), "
          "coalesce(sum(ns) FILTER (WHERE part = 'decode_interference'), 0), "
          "coalesce(sum(ns) FILTER (WHERE part = 'decode_stall'), 0), "
          "coalesce(sum(ns) FILTER (WHERE part = 'preempted'), 0), "
          "coalesce(sum(ns) FILTER (WHERE part = 'transfer'), 0), "
          "coalesce(sum(ns) FILTER (WHERE part = 'route'), 0), "
          "coalesce(sum(ns) FILTER (WHERE part = 'delay'), 0), "
          "coalesce(sum(ns) FILTER (WHERE part = 'after'), 0), "
          "coalesce(sum(ns) FILTER (WHERE part = 'kv_load'), 0) "
          "FROM time_parts t WHERE t.run_id = request.run_id AND t.request_id = request.id);"
          "DROP TABLE time_parts;"
          "CREATE VIEW time_parts AS "
          "SELECT run_id, id AS request_id, 'queue' AS part, part_queue_ns AS ns FROM request WHERE part_queue_ns <> 0 "
          "UNION ALL SELECT run_id, id AS request_id, 'prefill_own' AS part, part_prefill_own_ns AS ns FROM request "
          "WHERE part_prefill_own_ns <> 0 "
          "UNION ALL SELECT run_id, id AS request_id, 'prefill_stall' AS part, part_prefill_stall_ns AS ns FROM "
          "request WHERE part_prefill_stall_ns <> 0 "
          "UNION ALL SELECT run_id, id AS request_id, 'decode_own' AS part, part_decode_own_ns AS ns FROM request "
          "WHERE part_decode_own_ns <> 0 "
          "UNION ALL SELECT run_id, id AS request_id, 'decode_interference' AS part, part_decode_interference_ns AS ns "
          "FROM request WHERE part_decode_interference_ns <> 0 "
          "UNION ALL SELECT run_id, id AS request_id, 'decode_stall' AS part, part_decode_stall_ns AS ns FROM request "
          "WHERE part_decode_stall_ns <> 0 "
          "UNION ALL SELECT run_id, id AS request_id, 'preempted' AS part, part_preempted_ns AS ns FROM request WHERE "
          "part_preempted_ns <> 0 "
          "UNION ALL SELECT run_id, id AS request_id, 'transfer' AS part, part_transfer_ns AS ns FROM request WHERE "
          "part_transfer_ns <> 0 "
          "UNION ALL SELECT run_id, id AS request_id, 'route' AS part, part_route_ns AS ns FROM request WHERE "
          "part_route_ns <> 0 "
          "UNION ALL SELECT run_id, id AS request_id, 'delay' AS part, part_delay_ns AS ns FROM request WHERE "
          "part_delay_ns <> 0 "
          "UNION ALL SELECT run_id, id AS request_id, 'after' AS part, part_after_ns AS ns FROM request WHERE "
          "part_after_ns <> 0 "
          "UNION ALL SELECT run_id, id AS request_id, 'kv_load' AS part, part_kv_load_ns AS ns FROM request WHERE "
          "part_kv_load_ns <> 0;",
};

/* Under the write lock, so that two processes that open a new file at once make one schema. */
static int migrate(struct store *s, struct error *err)
{
    struct file_origin o;
    char pragmas[96];
    snprintf(pragmas, sizeof pragmas, "PRAGMA user_version = %d; PRAGMA application_id = %d", SCHEMA_VERSION,
             APPLICATION_ID);
    if (store_execute(s, "BEGIN IMMEDIATE", err) || read_origin(s, &o, err) || check_origin(s, &o, err))
        return -1;
    if (o.version == 0 && store_execute(s, schema_sql, err))
        return -1;
    for (int from = o.version; from > 0 && from < SCHEMA_VERSION; from++)
        if (store_execute(s, migrations[from], err))
            return -1;
    return store_execute(s, pragmas, err) || store_commit(s, err) ? -1 : 0;
}

/* SQLite does not wait for the lock by which a new file gets its write-ahead log: who fails to get it tries again. */
static int use_write_ahead_log(struct store *s, struct error *err)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    for (int waited_ms = 0;; waited_ms += 5) {
        if (store_execute(s, "PRAGMA journal_mode = WAL", err) == 0)
            return 0;
        int code = sqlite3_errcode(s->db) & 0xff;
        if ((code != SQLITE_BUSY && code != SQLITE_LOCKED) || waited_ms >= PATIENCE_MS)
            return -1;
        nanosleep(&pause, NULL);
    }
}

/* A file from elsewhere can call no function and run no trigger of its own making. */
static int set_up(struct store *s, struct error *err)
{
    sqlite3_busy_timeout(s->db, PATIENCE_MS);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return store_execute(s,
                         "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA foreign_keys = ON;"
                         "PRAGMA cache_size = -16000;",
                         err);
}

/* SQLite says of a folder, and of a file in none, that it is "unable to open database file". */
static int check_place(const char *file, struct error *err)
{
    struct stat at;
    const char *slash = strrchr(file, '/');
    if (strncmp(file, "file:", 5) == 0 || strcmp(file, ":memory:") == 0)
        return 0;
    if (stat(file, &at) == 0 && S_ISDIR(at.st_mode))
        return error_set(err, ERROR_INPUT, "%s: is a folder, expected a database, which is a file", file);
    if (!slash || slash == file || stat(file, &at) == 0)
        return 0;
    char *folder = strndup(file, (size_t)(slash - file));
    if (!folder)
        return error_no_memory(err);
    bool there = stat(folder, &at) == 0 || errno != ENOENT;
    free(folder);
    return there ? 0
                 : error_set(err, ERROR_IO, "%s: expected a folder %.*s to put the database into, found none", file,
                             (int)(slash - file), file);
}

static int open_to_write(struct store *s, struct error *err)
{
    struct file_origin o;
    if (check_place(s->file, err))
        return -1;
    if (sqlite3_open(s->file, &s->db) != SQLITE_OK)
        return store_fail(s, err);
    return set_up(s, err) || read_origin(s, &o, err) || check_origin(s, &o, err) || use_write_ahead_log(s, err) ||
                   store_execute(s, "PRAGMA synchronous = NORMAL", err) || (!is_current(&o) && migrate(s, err))
               ? -1
               : 0;
}

static int check_to_read(struct store *s, struct error *err)
{
    struct file_origin o;
    if (set_up(s, err) || read_origin(s, &o, err) || check_origin(s, &o, err))
        return -1;
    return o.version == SCHEMA_VERSION
               ? 0
               : error_set(err, ERROR_INPUT,
                           "%s: has schema version %d, older than %d, and cannot be written to bring it up to date; a "
                           "copy that can be written will do",
                           s->file, o.version, SCHEMA_VERSION);
}

static char *with_ending(const char *file, const char *before, const char *after)
{
    size_t size = strlen(before) + 3 * strlen(file) + strlen(after) + 1, used = strlen(before);
    char *out = malloc(size);
    if (!out)
        return NULL;
    memcpy(out, before, used); /* NOLINT(bugprone-not-null-terminated-result): the ending brings the NUL */
    for (const char *c = file; *c; c++) {
        bool plain = !*before || !strchr("%?#", *c);
        used += (size_t)snprintf(out + used, size - used, plain ? "%c" : "%%%02X", (unsigned char)*c);
    }
    snprintf(out + used, size - used, "%s", after);
    return out;
}

/* In a folder that cannot be written SQLite cannot read a file with a write-ahead log, unless it is told that nobody
 * else changes it; that is only true where no log is left. */
static int open_to_read(struct store *s, struct error *err)
{
    if (check_place(s->file, err))
        return -1;
    s->read_only = true;
    char *log = with_ending(s->file, "", "-wal"), *still = with_ending(s->file, "file:", "?immutable=1");
    int status = log && still ? 0 : error_no_memory(err);
    if (status == 0 && sqlite3_open_v2(s->file, &s->db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
        status = store_fail(s, err);
    if (status == 0 && check_to_read(s, err)) {
        int code = sqlite3_errcode(s->db) & 0xff;
        status = -1;
        bool unshared = code == SQLITE_CANTOPEN || code == SQLITE_READONLY;
        if (unshared && access(log, F_OK) == 0)
            error_set(
                err, ERROR_INPUT,
                "%s: has a log next to it, which can be read only in a folder that can be written; copy both there",
                s->file);
        else if (unshared) {
            sqlite3_close(s->db);
            s->db = NULL;
            *err = (struct error){0};
            status = sqlite3_open_v2(still, &s->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) == SQLITE_OK
                         ? check_to_read(s, err)
                         : store_fail(s, err);
        }
    }
    free(log);
    free(still);
    return status;
}

static int open_by(int (*opener)(struct store *s, struct error *err), const char *file, struct store **out,
                   struct error *err)
{
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return error_no_memory(err);
    s->buckets_a_row = 1;
    s->file = strdup(file);
    if (!s->file ? error_no_memory(err) : opener(s, err)) {
        store_close(s);
        return -1;
    }
    s->failed = (struct error){0}; /* of another way to open it */
    *out = s;
    return 0;
}

int store_open(const char *file, struct store **out, struct error *err)
{
    return open_by(open_to_write, file, out, err);
}

/* The log and its index are files of the same folder. */
static bool can_be_written(const char *file)
{
    char folder[4096];
    const char *slash = strrchr(file, '/');
    int length = slash ? (int)(slash - file) + 1 : 1;
    if (snprintf(folder, sizeof folder, "%.*s", length, slash ? file : ".") >= (int)sizeof folder)
        return false;
    return access(file, W_OK) == 0 && access(folder, W_OK) == 0;
}

int store_open_kept(const char *file, struct store **out, struct error *err)
{
    return open_by(can_be_written(file) ? open_to_write : open_to_read, file, out, err);
}

bool store_is_read_only(const struct store *s)
{
    return s->read_only;
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

/* A value that finds no memory is not bound as NULL in silence. Texts are the caller's, who waits for the statement. */
static int bind(sqlite3_stmt *q, const char *types, va_list values)
{
    int status = SQLITE_OK;
    for (int i = 1; types[i - 1] && status == SQLITE_OK; i++) {
        if (types[i - 1] == 'i') {
            status = sqlite3_bind_int64(q, i, va_arg(values, int64_t));
        } else if (types[i - 1] == 's') {
            status = sqlite3_bind_text(q, i, va_arg(values, const char *), -1, SQLITE_STATIC);
        } else {
            double value = va_arg(values, double);
            if (isfinite(value))
                status = sqlite3_bind_double(q, i, value);
        }
    }
    return status;
}

static sqlite3_stmt *prepare(struct store *s, const char *sql, const char *types, va_list values)
{
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) == SQLITE_OK && bind(q, types, values) == SQLITE_OK)
        return q;
    sqlite3_finalize(q);
    return NULL;
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
    int bound = bind(s->last, types, values);
    va_end(values);
    int status = bound == SQLITE_OK && sqlite3_step(s->last) == SQLITE_DONE ? 0 : store_fail(s, err);
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

/* Bytes that are not UTF-8 become question marks. The copy is put into `copies`, where one was needed. */
static int read_text(struct store *s, sqlite3_stmt *q, int column, char **copy, char **out, struct error *err)
{
    *out = (char *)(uintptr_t)sqlite3_column_text(q, column);
    if (!*out)
        return sqlite3_column_type(q, column) == SQLITE_NULL || sqlite3_errcode(s->db) != SQLITE_NOMEM
                   ? 0
                   : error_no_memory(err);
    size_t at = utf8_check(*out);
    if (!(*out)[at])
        return 0;
    if (!(*copy = strdup(*out)))
        return error_no_memory(err);
    *out = *copy;
    for (; (*copy)[at]; at += utf8_check(*copy + at))
        (*copy)[at] = '?';
    return 0;
}

static int pass_row(struct store *s, sqlite3_stmt *q,
                    int (*row)(void *state, int columns, char **values, struct error *err), void *state,
                    struct error *err)
{
    char *texts[READ_COLUMNS] = {NULL}, *copies[READ_COLUMNS] = {NULL};
    int columns = sqlite3_column_count(q), status = 0;
    for (int i = 0; i < columns && i < READ_COLUMNS && status == 0; i++)
        status = read_text(s, q, i, &copies[i], &texts[i], err);
    if (status == 0)
        status = row(state, columns, texts, err);
    for (int i = 0; i < READ_COLUMNS; i++)
        free(copies[i]);
    return status;
}

static int read_rows(struct store *s, int (*row)(void *state, int columns, char **values, struct error *err),
                     void *state, struct error *err, const char *sql, const char *types, va_list values)
{
    sqlite3_stmt *q = prepare(s, sql, types, values);
    if (!q)
        return store_fail(s, err);
    int status = 0, step = SQLITE_DONE;
    while (status == 0 && (step = sqlite3_step(q)) == SQLITE_ROW)
        status = pass_row(s, q, row, state, err);
    if (status == 0 && step != SQLITE_DONE)
        status = store_fail(s, err);
    sqlite3_finalize(q);
    return status;
}

int store_read(struct store *s, int (*row)(void *state, int columns, char **values, struct error *err), void *state,
               struct error *err, const char *sql, const char *types, ...)
{
    va_list values;
    va_start(values, types);
    int status = read_rows(s, row, state, err, sql, types, values);
    va_end(values);
    return status;
}

void store_read_optional(struct store *s, int (*row)(void *state, int columns, char **values, struct error *err),
                         void *state, const char *sql, const char *types, ...)
{
    struct error own = {0};
    va_list values;
    va_start(values, types);
    if (read_rows(s, row, state, &own, sql, types, values) && s->failed.code == ERROR_NONE)
        s->failed = own;
    va_end(values);
}
