/* SPDX-License-Identifier: MIT */
/* Databases that are damaged or hand-made: a sentence or a page, and never a crash. */
#include <math.h>
#include <sqlite3.h>
#include <unistd.h>

#include "base/printable.h"
#include "reports/formats/formats.h"
#include "reports/pages/page.h"
#include "reports/pages/page_compare.h"
#include "reports/pages/page_study.h"
#include "reports/store/compare.h"
#include "reports/store/kept_value.h"
#include "reports/store/store.h"
#include "simulation/simulation.h"
#include "tests/harness.h"
#include "tests/kept_studies.h"

#define BASE "build/test_store_base.db"
#define DB "build/test_store.db"

enum { MUTANTS = 240, CHANGES = 6 };

static void remove_database(const char *file)
{
    char name[80];
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        snprintf(name, sizeof name, "%s%s", file, endings[i]);
        unlink(name);
    }
}

static void execute(sqlite3 *db, const char *sql)
{
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}

static void add_studies(sqlite3 *db)
{
    char *sql = kept_studies_sql();
    execute(db, sql);
    sqlite3_free(sql);
}

/* Four runs with all their rows, a sweep of them and a plan, in tables that take anything. */
static void make_base(void)
{
    static const char *const batchings[] = {"continuous", "prefill_first"};
    struct store *store = NULL;
    struct error err = {0};
    sqlite3 *db = NULL;
    remove_database(BASE);
    expect_ok(store_open(BASE, &store, &err), &err);
    store_coarsen_histograms(store);
    for (int i = 0; i < 4; i++) {
        char text[700];
        snprintf(
            text, sizeof text,
            "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"seed\": %d, \"output\": {\"requests\": true,"
            "\"iterations\": true, \"timeseries_s\": 1}, \"policy\": {\"batching\": \"%s\"}, \"slo\": {\"ttft_s\":"
            "{\"p99\": 0.5}, \"attainment\": 0.9}, \"workload\": {\"arrivals\": {\"name\": \"poisson\","
            "\"rate_per_s\": 20}, \"lengths\": {\"prompt\": {\"name\": \"uniform\", \"min\": 20, \"max\": 200},"
            "\"output\": {\"name\": \"uniform\", \"min\": 2, \"max\": 12}}, \"requests\": 36}}",
            1 + 2 * (i / 2), batchings[i % 2]);
        struct simulation *s = open_simulation(text);
        expect_ok(simulation_run(s, &(struct simulation_options){.store = store}, &err), &err);
        if (simulation_keep(s, store, &err) < 0)
            fail_msg("%s", err.text);
        simulation_close(s);
    }
    store_close(store);
    assert_int_equal(sqlite3_open(BASE, &db), SQLITE_OK);
    execute(db, "PRAGMA journal_mode = DELETE");
    add_studies(db);
    execute(db,
            "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE type = "
            "'table'");
    execute(db, "VACUUM");
    sqlite3_close(db);
}

static void copy_base(void)
{
    char buffer[65536];
    size_t got;
    remove_database(DB);
    FILE *in = fopen(BASE, "rb"), *out = fopen(DB, "wb");
    assert_non_null(in);
    assert_non_null(out);
    while ((got = fread(buffer, 1, sizeof buffer, in)) > 0)
        assert_int_equal(fwrite(buffer, 1, got, out), got);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

static uint64_t random_state;

static size_t below(size_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state % n);
}

static const char *const tables[] = {"run",        "metric",     "histogram", "station",    "theory",   "request",
                                     "validation", "timeseries", "iteration", "batch_cell", "headroom", "slo_target",
                                     "sweep",      "plan",       "run",       "sweep_point"};

static const char *const values[] = {"NULL",
                                     "''",
                                     "-1",
                                     "0",
                                     "9223372036854775807",
                                     "-9223372036854775808",
                                     "1e308",
                                     "-1e308",
                                     "1e999",
                                     "-1e999",
                                     "1e-300",
                                     "'nan'",
                                     "'12 pieces'",
                                     "'<b onclick=\"x\">&'",
                                     "x'ff00fe41c3'",
                                     "CAST(x'c328e280aee2' AS TEXT)",
                                     "zeroblob(300000)",
                                     "hex(zeroblob(3000))",
                                     "'{\"a\": [1, {\"b\": null}]}'",
                                     "'[[[[]]]]'"};

/* A column's name by its place, counted round. */
static void pick_column(sqlite3 *db, const char *table, char *out, size_t size)
{
    char sql[160];
    sqlite3_stmt *q = NULL;
    snprintf(sql, sizeof sql, "SELECT name FROM pragma_table_info('%s') ORDER BY (cid + %zu) %% 7", table, below(7));
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
    snprintf(out, size, "id"); /* where the table was dropped */
    for (size_t skip = below(4) + 1; skip-- > 0 && sqlite3_step(q) == SQLITE_ROW;)
        snprintf(out, size, "%s", (const char *)sqlite3_column_text(q, 0));
    sqlite3_finalize(q);
}

/* Every third to every fifth row, all, or one. */
static void change_cells(sqlite3 *db, char *said, size_t size)
{
    const char *table = tables[below(sizeof tables / sizeof *tables)],
               *value = values[below(sizeof values / sizeof *values)];
    char column[80];
    pick_column(db, table, column, sizeof column);
    size_t every = 1 + below(5);
    snprintf(said, size,
             "UPDATE OR IGNORE %s SET \"%s\" = %s WHERE (SELECT count(*) FROM %s) < %zu OR abs(random()) %% %zu = 0",
             table, column, value, table, every, every);
}

static void drop_something(sqlite3 *db, char *said, size_t size)
{
    const char *table = tables[below(sizeof tables / sizeof *tables)];
    char column[80];
    size_t how = below(6);
    pick_column(db, table, column, sizeof column);
    if (how == 0)
        snprintf(said, size, "DROP TABLE IF EXISTS %s", table);
    else if (how == 1)
        snprintf(said, size, "ALTER TABLE %s RENAME COLUMN \"%s\" TO lost_column", table, column);
    else
        snprintf(said, size, "DELETE FROM %s WHERE abs(random()) %% %zu = 0", table, how);
}

/* A node of a kept JSON text becomes something else. */
static void change_json(sqlite3 *db)
{
    static const struct {
        const char *table, *column;
    } places[] = {{"run", "scenario"}, {"plan", "spec"}, {"plan", "result"}, {"sweep", "spec"}};
    static const char *const others[] = {"null",       "\"text\"",      "-1",     "1e308", "[]", "{}",
                                         "[1, \"x\"]", "{\"name\": 4}", "1e-300", "true"};
    size_t place = below(4);
    char *sql = sqlite3_mprintf(
        "UPDATE %s SET %s = json_replace(%s, (SELECT fullkey FROM json_tree(%s.%s) LIMIT 1 OFFSET %d), json('%s')) "
        "WHERE json_valid(%s)",
        places[place].table, places[place].column, places[place].column, places[place].table, places[place].column,
        (int)below(60), others[below(sizeof others / sizeof *others)], places[place].column);
    sqlite3_exec(db, sql, NULL, NULL, NULL); /* refused where another change has been there */
    sqlite3_free(sql);
}

static void mutate(char *log, size_t size)
{
    sqlite3 *db = NULL;
    size_t used = 0, changes = 1 + below(CHANGES);
    assert_int_equal(sqlite3_open(DB, &db), SQLITE_OK);
    execute(db, "PRAGMA synchronous = OFF");
    log[0] = 0;
    for (size_t i = 0; i < changes; i++) {
        char said[400];
        size_t kind = below(8);
        if (kind == 7) {
            change_json(db);
            continue;
        }
        (kind == 6 ? drop_something : change_cells)(db, said, sizeof said);
        if (strstr(log, "DROP") || strstr(log, "RENAME"))
            continue;
        sqlite3_exec(db, said, NULL, NULL, NULL);
        if (used < size)
            used += (size_t)snprintf(log + used, size - used, "%s;\n", said);
    }
    sqlite3_close(db);
}

/* Either it works, or it says why not. */
static void expect_sentence(int status, const struct error *err, const char *what, const char *log)
{
    if (status && (err->code == ERROR_NONE || !err->text[0] || utf8_check(err->text) != strlen(err->text)))
        fail_msg("%s failed without a sentence after\n%s", what, log);
    if (status && err->code == ERROR_MEMORY)
        fail_msg("%s: %s, after\n%s", what, err->text, log);
}

static void expect_json(const char *text, const char *what, const char *log)
{
    cJSON *json = cJSON_ParseWithOpts(text, NULL, 1);
    if (!json)
        fail_msg("%s is not JSON after\n%s", what, log);
    cJSON_Delete(json);
}

typedef int (*writer)(struct store *store, int64_t id, FILE *out, struct error *err);

static void write_one(struct store *store, int64_t id, writer write, const char *what, const char *log)
{
    struct error err = {0};
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    int status = write(store, id, out, &err);
    fclose(out);
    expect_sentence(status, &err, what, log);
    if (status == 0 && utf8_check(text) != length)
        fail_msg("%s wrote what is not UTF-8 after\n%s", what, log);
    if (status == 0 && (strcmp(what, "json") == 0 || strcmp(what, "perfetto") == 0 || strcmp(what, "vllm") == 0))
        expect_json(text, what, log);
    if (status == 0 && strstr(text, "<b onclick") && strcmp(what, "page") == 0)
        fail_msg("a page holds what was not escaped, after\n%s", log);
    free(text);
}

static int write_comparison(struct store *store, int64_t id, FILE *out, struct error *err)
{
    const int64_t runs[] = {id, id + 1, id + 2};
    return page_write_comparison(store, runs, 3, out, err);
}

static void report_everything(struct store *store, const char *log)
{
    static const char *const formats[] = {"text",       "csv",         "json", "markdown",     "perfetto",
                                          "prometheus", "openmetrics", "vllm", "vllm-detailed"};
    struct compared rows[COMPARED];
    struct error err = {0};
    size_t count;
    static int calls; /* OpenMetrics are megabytes: of every twentieth file */
    bool large = calls++ % 20 == 0;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (large || strcmp(formats[i], "openmetrics") != 0)
            write_one(store, 1, run_format_find(formats[i]), formats[i], log);
    write_one(store, 1, page_write, "page", log);
    write_one(store, 2, page_write, "page", log);
    write_one(store, 1, page_write_sweep, "sweep", log);
    write_one(store, 1, page_write_plan, "plan", log);
    write_one(store, 1, write_comparison, "comparison", log);
    expect_sentence(compare_runs(store, 1, 2, rows, &count, &err), &err, "compare", log);
}

static void test_a_damaged_database_gets_a_sentence_or_a_page(void **state)
{
    (void)state;
    static char log[8000];
    make_base();
    copy_base();
    struct store *store = NULL;
    struct error err = {0};
    expect_ok(store_open_kept(DB, &store, &err), &err);
    report_everything(store, "");
    store_close(store);
    for (uint64_t seed = 1; seed <= MUTANTS; seed++) {
        random_state = seed * 0x9e3779b97f4a7c15u;
        copy_base();
        mutate(log, sizeof log);
        err = (struct error){0};
        int status = store_open_kept(DB, &store, &err);
        expect_sentence(status, &err, "open", log);
        if (status)
            continue;
        report_everything(store, log);
        store_close(store);
    }
}

/* Bytes of the file itself: SQLite says that its image is malformed. */
static void test_a_file_with_broken_bytes_gets_a_sentence(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct store *store = NULL;
        struct error err = {0};
        random_state = seed * 0x9e3779b97f4a7c15u;
        copy_base();
        FILE *file = fopen(DB, "r+b");
        assert_non_null(file);
        fseek(file, 0, SEEK_END);
        size_t size = (size_t)ftell(file);
        for (int i = 0; i < 300; i++) {
            fseek(file, (long)(seed % 2 ? 100 + below(size - 100) : below(size)), SEEK_SET);
            fputc((int)below(256), file);
        }
        fclose(file);
        int status = store_open_kept(DB, &store, &err);
        expect_sentence(status, &err, "open", "broken bytes");
        if (status)
            continue;
        report_everything(store, "broken bytes");
        store_close(store);
    }
}

static void test_cells_are_read_as_what_they_are(void **state)
{
    (void)state;
    assert_true(isnan(kept_number(NULL)) && isnan(kept_number("")) && isnan(kept_number("12 pieces")));
    assert_true(kept_number("-2.5e3") == -2500);
    assert_int_equal(kept_integer(NULL), 0);
    assert_int_equal(kept_integer("12 pieces"), 0);
    assert_int_equal(kept_integer("-7"), -7);
    assert_int_equal(kept_integer("2.6"), 3);
    assert_true(kept_integer("9223372036854775807") == KEPT_INTEGER_MAX);
    assert_true(kept_integer("-1e308") == -KEPT_INTEGER_MAX && kept_ns("Inf") == KEPT_INTEGER_MAX);
    assert_true(kept_ns("1.5") == 1500000000);
    assert_null(kept_json_number("Inf"));
    assert_null(kept_json_number("0x10"));
    assert_null(kept_json_number(".5"));
    assert_string_equal(kept_json_number("-1.5e-3"), "-1.5e-3");
}

static void test_names_are_made_printable(void **state)
{
    (void)state;
    char out[64];
    assert_string_equal(printable("plain – µ", out, sizeof out), "plain – µ");
    assert_string_equal(printable("a\033[2Jb\n", out, sizeof out), "a\\u{1b}[2Jb\\u{a}");
    assert_string_equal(printable("x\u202ey\u2066z\xc2\x85", out, sizeof out), "x\\u{202e}y\\u{2066}z\\u{85}");
    assert_string_equal(printable("\xc3(\xed\xa0\x80\xff", out, sizeof out), "\\x{c3}(\\x{ed}\\x{a0}\\x{80}\\x{ff}");
    assert_string_equal(printable("12345\033", out, 9), "12345");
    assert_int_equal(utf8_check("ab\xc0\x80"), 2); /* an overlong form */
    assert_int_equal(utf8_check("\xf4\x8f\xbf\xbf"), 4);
    assert_int_equal(utf8_check("\xf4\x90\x80\x80"), 0); /* beyond the last code point */
    struct error err;
    error_set(&err, ERROR_INPUT, "%s: no such file", "a\tb\033c");
    assert_string_equal(err.text, "a\\u{9}b\\u{1b}c: no such file");
}

static void expect_csv(const char *text, const char *field)
{
    char *found = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&found, &length);
    printable_csv(out, text);
    fclose(out);
    assert_string_equal(found, field);
    free(found);
}

static void test_csv_fields_are_quoted_and_are_no_formulas(void **state)
{
    (void)state;
    expect_csv("pool:serve", "pool:serve");
    expect_csv("a,\"b\"", "\"a,\"\"b\"\"\"");
    expect_csv("=1+2", "'=1+2");
    expect_csv("@x,y", "\"'@x,y\"");
    expect_csv("\tx\n", "\"'\tx\n\"");
    expect_csv("a\033\"b", "\"a\\u{1b}\"\"b\"");
    expect_csv("", "");
}

static void expect_refused(const char *text, const char *sentence)
{
    struct json root = {0};
    struct error err = {0};
    assert_int_equal(json_parse(text, "file", &root, &err), -1);
    assert_string_equal(err.text, sentence);
}

static void test_text_that_is_not_utf8_and_keys_twice_are_refused(void **state)
{
    (void)state;
    expect_refused("{\"name\": \"a\xff\"}", "file: byte 12 (0xff) is not UTF-8 text");
    expect_refused("{\"a\": 1, \"b\": 2, \"a\": 3}", "file: a: is there twice, expected once");
    expect_refused("{\"x\": [1, {\"y\": {\"a\": 1, \"a\": 1}}]}", "file: x[1].y.a: is there twice, expected once");
    struct json root;
    struct error err = {0};
    expect_ok(json_parse("{\"a\": {\"k\": 1, \"K\": 2}}", "file", &root, &err), &err);
    assert_int_equal(json_set_path(&root, "a", "{\"k\": 1, \"k\": 2}", &err), -1);
    assert_string_equal(err.text, "--set: a.k: is there twice, expected once");
    assert_int_equal(json_set_path(&root, "a", "\xfe", &err), -1);
    assert_string_equal(err.text, "--set a: byte 1 (0xfe) is not UTF-8 text");
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cells_are_read_as_what_they_are),
        cmocka_unit_test(test_names_are_made_printable),
        cmocka_unit_test(test_csv_fields_are_quoted_and_are_no_formulas),
        cmocka_unit_test(test_text_that_is_not_utf8_and_keys_twice_are_refused),
        cmocka_unit_test(test_a_damaged_database_gets_a_sentence_or_a_page),
        cmocka_unit_test(test_a_file_with_broken_bytes_gets_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
