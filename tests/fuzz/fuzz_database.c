/* SPDX-License-Identifier: MIT */
/* Any bytes as changes of a database that a run, a sweep and a plan were kept in: a page or a format is written of it,
 * or it is refused with a sentence. A checksum of the bytes chooses which, so that one execution does not take as long
 * as all of them. A change is four bytes, for table, column, row and kind, the length of a value, and that value. */
#include <sqlite3.h>

#include "reports/formats/formats.h"
#include "reports/pages/page.h"
#include "reports/pages/page_compare.h"
#include "reports/pages/page_study.h"
#include "reports/store/compare.h"
#include "tests/fuzz/fuzz.h"
#include "tests/kept_studies.h"

static const char scenario[] =
    "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"seed\": %d, \"output\": {\"requests\": true,"
    "\"iterations\": true, \"timeseries_s\": 1}, \"slo\": {\"ttft_s\": {\"p99\": 0.5}, \"attainment\": 0.9},"
    "\"workload\": {\"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": 5}, \"lengths\": {\"prompt\": {\"name\":"
    "\"uniform\", \"min\": 20, \"max\": 200}, \"output\": {\"name\": \"uniform\", \"min\": 2, \"max\": 6}},"
    "\"requests\": 6}}";

static const char *const tables[] = {"run",     "metric",     "histogram",  "station",    "theory",     "request",
                                     "request", "timeseries", "iteration",  "headroom",   "slo_target", "batch_cell",
                                     "sweep",   "plan",       "validation", "sweep_point"};

enum { TABLES = sizeof tables / sizeof *tables, COLUMNS_MAX = 32 };

/* One of SQLite's databases in memory that connections of a process share. */
static const char path[] = "/kept";
static sqlite3 *kept, *base; /* what is reported on; what it is before any change */
static char columns[TABLES][COLUMNS_MAX][40];
static size_t column_count[TABLES];

static void execute(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(db));
        abort();
    }
}

static void close_all(void)
{
    sqlite3_close(kept);
    sqlite3_close(base);
}

static void keep_run(struct store *store, int seed)
{
    char text[sizeof scenario + 20];
    struct error err = {0};
    struct json root;
    struct simulation *s = NULL;
    snprintf(text, sizeof text, scenario, seed);
    if (json_parse(text, "fuzz", &root, &err) || simulation_open(root, &s, &err) ||
        simulation_run(s, &(struct simulation_options){.store = store}, &err) || simulation_keep(s, store, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    simulation_close(s);
}

static void learn_columns(sqlite3 *db)
{
    for (size_t i = 0; i < TABLES; i++) {
        sqlite3_stmt *q = NULL;
        if (sqlite3_prepare_v2(db, "SELECT name FROM pragma_table_info(?1)", -1, &q, NULL) ||
            sqlite3_bind_text(q, 1, tables[i], -1, SQLITE_STATIC))
            abort();
        while (sqlite3_step(q) == SQLITE_ROW && column_count[i] < COLUMNS_MAX)
            snprintf(columns[i][column_count[i]++], sizeof columns[i][0], "%s",
                     (const char *)sqlite3_column_text(q, 0));
        sqlite3_finalize(q);
        if (!column_count[i])
            abort();
    }
}

static void copy(sqlite3 *to, sqlite3 *from)
{
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    if (!b || sqlite3_backup_step(b, -1) != SQLITE_DONE || sqlite3_backup_finish(b) != SQLITE_OK) {
        fprintf(stderr, "copy: %s\n", sqlite3_errmsg(to));
        abort();
    }
}

/* A file that runs were kept in, which is then removed. */
static void read_file(sqlite3 *to)
{
    char folder[40], file[60];
    struct store *store = NULL;
    struct error err = {0};
    sqlite3 *from = NULL;
    snprintf(folder, sizeof folder, "/tmp/tandem_fuzz_XXXXXX");
    if (!mkdtemp(folder))
        abort();
    snprintf(file, sizeof file, "%s/kept.db", folder);
    if (store_open(file, &store, &err))
        abort();
    store_coarsen_histograms(store);
    for (int seed = 1; seed <= 3; seed++)
        keep_run(store, seed);
    store_close(store);
    if (sqlite3_open(file, &from))
        abort();
    execute(from, "PRAGMA journal_mode = DELETE");
    copy(to, from);
    sqlite3_close(from);
    unlink(file);
    rmdir(folder);
}

/* Tables that take anything. */
static void make_base(void)
{
    if (sqlite3_open(":memory:", &base) || atexit(close_all))
        abort();
    read_file(base);
    char *studies = kept_studies_sql();
    execute(base, studies);
    sqlite3_free(studies);
    execute(base,
            "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE type "
            "= 'table'");
    learn_columns(base);
    if (sqlite3_open_v2(path, &kept, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "memdb"))
        abort();
}

struct change {
    uint8_t table, column, row, kind;
    const uint8_t *value; /* [size] */
    size_t size;
};

static void bind(sqlite3_stmt *q, const struct change *c)
{
    int64_t whole = 0;
    double number = 0;
    memcpy(&whole, c->value, c->size < 8 ? c->size : 8);
    memcpy(&number, c->value, c->size < 8 ? c->size : 8);
    switch (c->kind % 8) {
    case 0:
        sqlite3_bind_null(q, 1);
        break;
    case 1:
        sqlite3_bind_int64(q, 1, whole);
        break;
    case 2:
        sqlite3_bind_double(q, 1, number);
        break;
    case 3:
        sqlite3_bind_blob(q, 1, c->value, (int)c->size, SQLITE_STATIC);
        break;
    default:
        sqlite3_bind_text(q, 1, (const char *)c->value, (int)c->size, SQLITE_STATIC);
        break;
    }
}

/* One cell of a row, or of all; or, in what a column holds as JSON, the node of that number. Row 0 is the first. */
static void apply(sqlite3 *db, const struct change *c)
{
    char sql[600];
    sqlite3_stmt *q = NULL;
    size_t t = c->table % TABLES;
    const char *table = tables[t], *column = columns[t][c->column % column_count[t]];
    char row[160];
    snprintf(row, sizeof row, "1");
    if (c->row != 255) /* a row's first columns tell it from others nearly always */
        snprintf(row, sizeof row, "(\"%s\", \"%s\") IS (SELECT \"%s\", \"%s\" FROM %s LIMIT 1 OFFSET %u)",
                 columns[t][0], columns[t][1], columns[t][0], columns[t][1], table, (unsigned)c->row);
    if (c->kind % 8 == 7)
        snprintf(sql, sizeof sql, "DELETE FROM %s WHERE %s", table, row);
    else if (c->kind % 8 == 6)
        snprintf(
            sql, sizeof sql,
            "UPDATE OR IGNORE %s SET \"%s\" = json_replace(\"%s\", (SELECT fullkey FROM json_tree(%s.\"%s\") LIMIT "
            "1 OFFSET %u), json(?1)) WHERE json_valid(\"%s\") AND json_valid(?1)",
            table, column, column, table, column, (unsigned)c->row, column);
    else
        snprintf(sql, sizeof sql, "UPDATE OR IGNORE %s SET \"%s\" = ?1 WHERE %s", table, column, row);
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL)) {
        fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(db));
        abort();
    }
    if (c->kind % 8 != 7)
        bind(q, c);
    sqlite3_step(q);
    sqlite3_finalize(q);
}

static void apply_all(const uint8_t *data, size_t size)
{
    copy(kept, base);
    execute(kept, "BEGIN");
    while (size >= 5) {
        struct change c = {data[0], data[1], data[2], data[3], data + 5, data[4]};
        data += 5, size -= 5;
        c.size = c.size < size ? c.size : size;
        apply(kept, &c);
        data += c.size, size -= c.size;
    }
    execute(kept, "COMMIT");
}

typedef int (*writer)(struct store *store, int64_t id, FILE *out, struct error *err);

static void write_one(struct store *store, int64_t id, writer write, const char *what)
{
    struct error err = {0};
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        abort();
    int status = write(store, id, out, &err);
    fclose(out);
    if (status)
        fuzz_expect_sentence(&err);
    else if (utf8_check(text) != length) {
        fprintf(stderr, "%s is not UTF-8\n", what);
        abort();
    }
    if (status == 0 && (strcmp(what, "json") == 0 || strcmp(what, "perfetto") == 0 || strcmp(what, "vllm") == 0)) {
        cJSON *json = cJSON_ParseWithOpts(text, NULL, 1);
        if (!json) {
            fprintf(stderr, "%s is not JSON\n", what);
            abort();
        }
        cJSON_Delete(json);
    }
    free(text);
}

static int write_comparison(struct store *store, int64_t id, FILE *out, struct error *err)
{
    const int64_t runs[] = {id, id + 1, id + 2};
    return page_write_comparison(store, runs, 3, out, err);
}

static void compare_two(struct store *store)
{
    struct compared rows[COMPARED];
    struct error err = {0};
    size_t count;
    if (compare_runs(store, 1, 2, rows, &count, &err))
        fuzz_expect_sentence(&err);
}

static void report(struct store *store, uint32_t choice)
{
    static const char *const formats[] = {"text", "csv", "json", "markdown", "perfetto", "prometheus", "vllm"};
    static const struct {
        const char *name;
        writer write;
    } pages[] = {{"page", page_write},
                 {"sweep", page_write_sweep},
                 {"plan", page_write_plan},
                 {"comparison", write_comparison}};
    enum { FORMATS = sizeof formats / sizeof *formats, PAGES = sizeof pages / sizeof *pages };
    choice %= FORMATS + PAGES + 1;
    if (choice < FORMATS)
        write_one(store, 1, run_format_find(formats[choice]), formats[choice]);
    else if (choice < FORMATS + PAGES)
        write_one(store, 1, pages[choice - FORMATS].write, pages[choice - FORMATS].name);
    else
        compare_two(store);
}

static uint32_t checksum(const uint8_t *data, size_t size)
{
    uint32_t sum = 2166136261;
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ data[i]) * 16777619;
    return sum ^ sum >> 16;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store *store = NULL;
    struct error err = {0};
    if (!base)
        make_base();
    apply_all(data, size);
    sqlite3_vfs *files = sqlite3_vfs_find(NULL);
    sqlite3_vfs_register(sqlite3_vfs_find("memdb"), 1);
    int status = store_open_kept(path, &store, &err);
    sqlite3_vfs_register(files, 1);
    if (status) {
        fuzz_expect_sentence(&err);
        return 0;
    }
    report(store, checksum(data, size));
    store_close(store);
    return 0;
}
