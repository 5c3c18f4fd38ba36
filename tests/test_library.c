/* SPDX-License-Identifier: MIT */
/* libtandem's functions, as a program calls them. The device takes 10 ns for a prompt token and no time else. */
#include <math.h>
#include <sqlite3.h>
#include <unistd.h>

#include "base/version.h"
#include "include/tandem/tandem.h"
#include "tests/harness.h"

#define DB "build/test_library.db"

/* One request every second of 100 prompt tokens and one output token: each takes 1 µs, alone. */
static const char alone[] =
    "{\"model\": \"ideal\", \"device\": \"ideal-server\", \"policy\": {\"batching\": \"continuous\"}, \"slo\":"
    "{\"ttft_s\": {\"p99\": 2e-6}}, \"output\": {\"requests\": true}, \"workload\": {\"arrivals\": {\"name\":"
    "\"deterministic\", \"rate_per_s\": 1}, \"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": 100},"
    "\"output\": {\"name\": \"fixed\", \"tokens\": 1}}, \"requests\": 5}}";

static tandem_run *open_alone(void)
{
    tandem_error err = {.code = TANDEM_FAILED};
    tandem_run *run = tandem_open_text(alone, &err);
    if (!run)
        fail_msg("%s", err.text);
    assert_int_equal(err.code, TANDEM_OK);
    return run;
}

static void expect_simulated(tandem_run *run)
{
    tandem_error err;
    if (tandem_simulate(run, &err))
        fail_msg("%s", err.text);
}

static void test_versions(void **state)
{
    (void)state;
    assert_string_equal(tandem_version(), TANDEM_VERSION);
    assert_int_equal(tandem_api_major(), TANDEM_API_MAJOR);
}

static void test_a_scenario_is_opened_by_name_and_by_text(void **state)
{
    (void)state;
    tandem_error err;
    tandem_run *run = tandem_open("default", &err);
    assert_non_null(run);
    tandem_close(run);
    assert_null(tandem_open("nonesuch", &err));
    assert_int_equal(err.code, TANDEM_BAD_INPUT);
    assert_non_null(strstr(err.text, "unknown scenario \"nonesuch\""));
    assert_null(tandem_open_text("{", &err));
    assert_int_equal(err.code, TANDEM_BAD_INPUT);
    assert_string_equal(err.text, "scenario:1: not valid JSON near \"\"");
    assert_null(tandem_open("nonesuch", NULL));
    tandem_close(NULL);
}

static void test_numbers_of_a_run(void **state)
{
    (void)state;
    double low = 0, high = 0;
    tandem_run *run = open_alone();
    assert_true(isnan(tandem_metric(run, "ttft_s", "mean")) && isnan(tandem_value(run, "finished")));
    assert_int_equal(tandem_slo_met(run), -1);
    assert_string_equal(tandem_slo_binding(run), "");
    expect_simulated(run);
    assert_true(fabs(tandem_metric(run, "ttft_s", "max") - 1e-6) < 1e-15);
    assert_true(isnan(tandem_metric(run, "ttft_s", "p98")) && isnan(tandem_metric(run, "joy", "mean")));
    assert_true(isnan(tandem_metric(run, "tpot_s", "mean"))); /* one token each */
    assert_true(tandem_value(run, "arrived") == 5 && tandem_value(run, "finished") == 5);
    assert_true(tandem_value(run, "rejected") == 0 && tandem_value(run, "lost") == 0);
    assert_true(tandem_value(run, "unfinished") == 0 && tandem_value(run, "iterations") == 5);
    assert_true(tandem_value(run, "slo_attainment") == 1 && isnan(tandem_value(run, "joy")));
    tandem_interval(run, "ttft_s", "joy", &low, &high);
    assert_true(isnan(low) && isnan(high));
    assert_int_equal(tandem_slo_met(run), 1);
    assert_string_equal(tandem_slo_binding(run), "ttft_s p99");
    tandem_close(run);
}

/* 300 tokens take 3 µs, which is above the limit of 2 µs. */
static void test_what_is_set_counts_from_the_next_simulation_on(void **state)
{
    (void)state;
    tandem_error err;
    tandem_run *run = open_alone();
    expect_simulated(run);
    assert_int_equal(tandem_set(run, "workload.lengths.prompt.tokens", "300", &err), 0);
    assert_int_equal(tandem_slo_met(run), 1);
    expect_simulated(run);
    assert_int_equal(tandem_slo_met(run), 0);
    assert_true(fabs(tandem_metric(run, "ttft_s", "mean") - 3e-6) < 1e-15);
    assert_int_equal(tandem_set(run, "seed..x", "1", &err), -1);
    assert_int_equal(err.code, TANDEM_BAD_INPUT);
    assert_int_equal(tandem_set(run, "cluster.replicas", "0", &err), 0);
    assert_int_equal(tandem_simulate(run, &err), -1);
    assert_string_equal(err.text, "scenario: cluster.replicas: expected a whole number from 1 to 100000, found 0");
    assert_true(isnan(tandem_metric(run, "ttft_s", "mean"))); /* the last one did not go well */
    tandem_close(run);
}

struct told {
    int count;
    tandem_request last;
};

static void note(void *state, const tandem_request *request)
{
    struct told *told = state;
    told->count++;
    told->last = *request;
}

/* The fifth request arrives 4 s after the first, which arrives at 0. */
static void test_requests_are_told_as_they_finish(void **state)
{
    (void)state;
    struct told told = {0};
    tandem_error err;
    tandem_run *run = open_alone();
    assert_int_equal(tandem_on_finished(run, note, &told, sizeof(tandem_request) + 1, &err), -1);
    assert_int_equal(err.code, TANDEM_BAD_INPUT);
    assert_non_null(strstr(err.text, "the library is older"));
    assert_int_equal(tandem_on_finished(run, note, &told, sizeof(tandem_request), &err), 0);
    expect_simulated(run);
    assert_int_equal(told.count, 5);
    assert_int_equal(told.last.id, 4);
    assert_int_equal(told.last.station, 0);
    assert_int_equal(told.last.prompt_tokens, 100);
    assert_int_equal(told.last.output_tokens, 1);
    assert_int_equal(told.last.cached_tokens + told.last.preemptions, 0);
    assert_true(told.last.arrival_s == 4 && told.last.first_scheduled_s == 4);
    assert_true(fabs(told.last.first_token_s - 4.000001) < 1e-12);
    assert_true(told.last.last_token_s == told.last.first_token_s && told.last.answered_s == told.last.last_token_s);
    tandem_stop(run);
    expect_simulated(run);
    assert_int_equal(told.count, 5); /* stopped before any has finished */
    expect_simulated(run);
    assert_int_equal(told.count, 10);
    tandem_close(run);
}

static int count_requests(void)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    assert_int_equal(sqlite3_open(DB, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM request WHERE run_id = 1", -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    int count = sqlite3_column_int(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return count;
}

static void test_a_run_is_kept_where_it_is_told(void **state)
{
    (void)state;
    tandem_error err;
    tandem_run *run = open_alone();
    unlink(DB);
    assert_int_equal(tandem_keep(run, &err), -1);
    assert_string_equal(err.text, "tandem_keep: tandem_keep_in has named no database");
    assert_int_equal(tandem_keep_in(run, "no/such/folder/x.db", &err), -1);
    assert_int_equal(err.code, TANDEM_IO);
    assert_int_equal(tandem_keep_in(run, DB, &err), 0);
    assert_int_equal(tandem_keep(run, &err), -1);
    assert_string_equal(err.text, "tandem_keep: nothing has been simulated");
    expect_simulated(run);
    assert_int_equal(tandem_keep(run, &err), 1);
    assert_int_equal(tandem_keep_in(run, NULL, &err), 0);
    assert_int_equal(tandem_keep(run, &err), -1);
    tandem_close(run);
    assert_int_equal(count_requests(), 5);
    unlink(DB);
}

static void test_a_plug_in_that_is_none_is_refused(void **state)
{
    (void)state;
    tandem_error err;
    assert_int_equal(tandem_plugin_load("nonesuch.so", &err), -1);
    assert_int_equal(err.code, TANDEM_BAD_INPUT);
    assert_non_null(strstr(err.text, "nonesuch.so: cannot be read"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_a_scenario_is_opened_by_name_and_by_text),
        cmocka_unit_test(test_numbers_of_a_run),
        cmocka_unit_test(test_what_is_set_counts_from_the_next_simulation_on),
        cmocka_unit_test(test_requests_are_told_as_they_finish),
        cmocka_unit_test(test_a_run_is_kept_where_it_is_told),
        cmocka_unit_test(test_a_plug_in_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
