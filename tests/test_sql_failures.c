/* SPDX-License-Identifier: MIT */
/* Every statement of SQL that fails: what was asked ends in one sentence that names the file, or in all of its answer,
 * and a run is there whole or not at all. */
#include <sqlite3.h>
#include <unistd.h>

#include "reports/formats/formats.h"
#include "reports/pages/page.h"
#include "reports/pages/page_compare.h"
#include "reports/pages/page_study.h"
#include "reports/store/compare.h"
#include "tests/harness.h"
#include "tests/kept_studies.h"

#define DB "build/test_sql_failures.db"

enum { SOME = 100, WORK = 40 }; /* of many instants some are tried; virtual machine steps between two of them */

/* What fails: the statement of this number as it is compiled, or the instant of this number as statements run. */
static struct {
    long compiled, ran;       /* counted so far */
    long compiled_at, ran_at; /* that fails, from 1; 0: none */
} failing;

static int deny_one(void *state, int action, const char *a, const char *b, const char *database, const char *trigger)
{
    (void)state, (void)a, (void)b, (void)database, (void)trigger;
    if (action == SQLITE_READ || action == SQLITE_FUNCTION)
        return SQLITE_OK;
    return ++failing.compiled == failing.compiled_at ? SQLITE_DENY : SQLITE_OK;
}

static int interrupt_one(void *state)
{
    (void)state;
    return ++failing.ran == failing.ran_at;
}

/* Every connection is opened with this. */
static int watch(sqlite3 *db, char **message, const struct sqlite3_api_routines *api)
{
    (void)message, (void)api;
    sqlite3_progress_handler(db, WORK, interrupt_one, NULL);
    return sqlite3_set_authorizer(db, deny_one, NULL);
}

static void remove_database(void)
{
    static const char *const names[] = {DB, DB "-wal", DB "-shm", DB "-journal"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(names[i]);
}

static long number_of(const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    assert_int_equal(sqlite3_open(DB, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    long found = (long)sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return found;
}

static struct simulation *make_run(struct store *store, struct error *err)
{
    struct simulation *s = open_simulation(
        "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"output\": {\"requests\": true, \"iterations\": true,"
        "\"timeseries_s\": 1}, \"slo\": {\"ttft_s\": {\"p99\": 0.5}, \"attainment\": 0.9}, \"workload\": {\"arrivals\":"
        "{\"name\": \"poisson\", \"rate_per_s\": 20}, \"lengths\": {\"prompt\": {\"name\": \"uniform\", \"min\": 20,"
        "\"max\": 200}, \"output\": {\"name\": \"uniform\", \"min\": 2, \"max\": 12}}, \"requests\": 12}}");
    expect_ok(simulation_run(s, &(struct simulation_options){.store = store}, err), err);
    return s;
}

/* Opens the file, runs, keeps. */
static int keep_one(struct error *err)
{
    struct store *store = NULL;
    if (store_open(DB, &store, err))
        return -1;
    store_coarsen_histograms(store);
    struct simulation *s = make_run(store, err);
    int status = simulation_keep(s, store, err) < 0 ? -1 : 0;
    simulation_close(s);
    store_close(store);
    return status;
}

static void expect_sentence(const struct error *err)
{
    if (err->code != ERROR_IO || strncmp(err->text, DB ": ", strlen(DB) + 2) != 0)
        fail_msg("expected a sentence about the file, found code %d: %s", (int)err->code, err->text);
}

static void fail_nothing(void)
{
    memset(&failing, 0, sizeof failing);
}

typedef int action(struct error *err);

/* Lets each statement fail as it is compiled, and SOME instants as statements run; `after` looks at what is left. */
static void fail_each(action *act, void (*before)(void), void (*after)(bool ended_well))
{
    struct error err = {0};
    before();
    fail_nothing();
    expect_ok(act(&err), &err);
    const long compiled = failing.compiled, ran = failing.ran;
    assert_true(compiled > 5 && ran > 0);
    for (long i = 1; i <= compiled + SOME; i++) {
        long instant = 1 + (i - compiled - 1) * ran / SOME;
        before();
        fail_nothing();
        *(i <= compiled ? &failing.compiled_at : &failing.ran_at) = i <= compiled ? i : instant;
        err = (struct error){0};
        bool well = act(&err) == 0;
        fail_nothing();
        if (!well)
            expect_sentence(&err);
        after(well);
    }
}

static void expect_whole_runs(bool ended_well)
{
    long runs = access(DB, F_OK) == 0 && number_of("SELECT count(*) FROM sqlite_master WHERE name = 'run'") > 0
                    ? number_of("SELECT count(*) FROM run")
                    : 0;
    assert_int_equal(runs, ended_well);
    if (!ended_well)
        return;
    assert_int_equal(number_of("SELECT count(*) FROM request"), 12);
    assert_int_equal(number_of(
                         "SELECT count(*) FROM request r WHERE abs(e2e_s - (SELECT sum(ns) FROM time_parts p WHERE "
                         "p.run_id = r.run_id AND p.request_id = r.id) * 1e-9) < 1e-9"),
                     12);
}

static void test_a_run_is_kept_whole_or_not_at_all(void **state)
{
    (void)state;
    fail_each(keep_one, remove_database, expect_whole_runs);
    remove_database();
}

/* What all formats and pages, and a comparison, say of the runs of a file. */
static char *written, *expected;

static int write_all(struct error *err)
{
    static const char *const formats[] = {"text",     "csv",        "json", "markdown",
                                          "perfetto", "prometheus", "vllm", "vllm-detailed"};
    static const int64_t runs[] = {1, 2};
    struct compared rows[COMPARED];
    struct store *store = NULL;
    size_t size = 0, count = 0;
    if (store_open_kept(DB, &store, err))
        return -1;
    FILE *out = open_memstream(&written, &size);
    int status = 0;
    for (size_t i = 0; status == 0 && i < sizeof formats / sizeof *formats; i++)
        status = run_format_find(formats[i])(store, 1, out, err);
    if (status == 0)
        status = page_write(store, 1, out, err) || page_write_sweep(store, 1, out, err) ||
                         page_write_plan(store, 1, out, err) || page_write_comparison(store, runs, 2, out, err) ||
                         compare_runs(store, 1, 2, rows, &count, err)
                     ? -1
                     : 0;
    fclose(out);
    store_close(store);
    return status;
}

/* An answer in spite of a failure is the same answer. */
static void take_output(void)
{
    free(written);
    written = NULL;
}

static void expect_output(bool ended_well)
{
    if (ended_well && strcmp(written, expected) != 0)
        fail_msg("a statement has failed, and what was written differs without a word");
}

static void test_what_is_read_is_the_whole_answer_or_none(void **state)
{
    struct error err = {0};
    sqlite3 *db = NULL;
    (void)state;
    fail_nothing();
    remove_database();
    expect_ok(keep_one(&err), &err);
    expect_ok(keep_one(&err), &err);
    char *sql = kept_studies_sql();
    assert_int_equal(sqlite3_open(DB, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    sqlite3_free(sql);
    expect_ok(write_all(&err), &err);
    expected = strdup(written);
    fail_each(write_all, take_output, expect_output);
    take_output();
    free(expected);
    remove_database();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_run_is_kept_whole_or_not_at_all),
        cmocka_unit_test(test_what_is_read_is_the_whole_answer_or_none),
    };
    sqlite3_auto_extension((void (*)(void))watch);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
