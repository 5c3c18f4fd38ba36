/* SPDX-License-Identifier: MIT */
/* What a validation of the engine finds, keeps and comes to; a row of the table of closed forms. */
#include <math.h>
#include <unistd.h>

#include "tests/harness.h"
#include "validation/drift.h"
#include "validation/engine_errors.h"
#include "validation/theory_cases.h"

static bool near(double found, double expected)
{
    return fabs(found - expected) < 1e-9;
}

static double half(struct estimate e)
{
    return e.high - e.value;
}

/* Student's t of one degree of freedom at 97.5 %: tan(0.475 π). Two values d apart have a standard error of d / 2. */
static const double t_of_two = 12.706204736174705;

static void test_errors_are_means_over_repeats_with_intervals(void **state)
{
    (void)state;
    struct finding found[2] = {{.throughput_error = 0.1}, {.throughput_error = 0.3}};
    found[0].latencies.error[0][4] = -0.1;
    found[1].latencies.error[0][4] = 0.2;
    found[0].latencies.mean_absolute = 0.02;
    found[1].latencies.mean_absolute = 0.04;
    struct engine_errors two = engine_errors_of(found, 2), one = engine_errors_of(found, 1);
    assert_true(near(two.throughput.value, 0.2) && near(half(two.throughput), t_of_two * 0.1));
    assert_true(near(two.latencies[0][4].value, 0.05) && near(half(two.latencies[0][4]), t_of_two * 0.15));
    assert_true(two.latencies[1][4].value == 0 && half(two.latencies[1][4]) == 0);
    assert_true(near(two.mean_absolute, 0.03));
    assert_true(near(one.throughput.value, 0.1) && isnan(one.throughput.high));
    assert_true(near(one.mean_absolute, 0.02));
}

/* Iterations of 1 and 2 s that the profile has at 1.1 and 1.8 s, then one of 3 s at 3.3 s: errors of 0.1, −0.1 and 0.1,
 * whose mean is 0.1 / 3 and whose mean square is 0.01. */
static void test_served_iterations_of_all_repeats_are_priced_together(void **state)
{
    (void)state;
    struct finding found[2] = {{.priced[PRICED_DECODES] = {2, 3, 2.9, 0, 0.02}},
                               {.priced[PRICED_DECODES] = {1, 3, 3.3, 0.1, 0.01}}};
    struct priced all = {0}, none = {0};
    engine_priced_add(&all, found, 2, PRICED_DECODES);
    engine_priced_add(&none, found, 2, PRICED_PROMPTS);
    struct priced_errors decodes = engine_priced_sum(&all);
    assert_true(decodes.count == 3 && near(decodes.taken_s, 2) && near(decodes.said_s, 6.2 / 3));
    assert_true(near(decodes.error, 0.2 / 6) && near(decodes.spread, sqrt(0.01 - 0.01 / 9)));
    assert_true(near(decodes.mean, 0.1 / 3));
    assert_true(engine_priced_sum(&none).count == 0);
}

/* E2E: 2 against 1 measured, 3 against 2 simulated, 1.5 instead of 2; then 4 on both sides: a mean of 3 measured
 * and 2.75 simulated. Requests a second: half as many measured, three quarters simulated, which is half too much; then
 * as many. */
static void test_a_ratio_of_two_policies_has_an_error_of_its_own(void **state)
{
    (void)state;
    const struct finding found[2] = {
        {.measured_e2e_s = 2, .simulated_e2e_s = 3, .measured_rate = 10, .simulated_rate = 12},
        {.measured_e2e_s = 4, .simulated_e2e_s = 8, .measured_rate = 5, .simulated_rate = 6}};
    const struct finding base[2] = {
        {.measured_e2e_s = 1, .simulated_e2e_s = 2, .measured_rate = 20, .simulated_rate = 16},
        {.measured_e2e_s = 1, .simulated_e2e_s = 2, .measured_rate = 5, .simulated_rate = 6}};
    struct engine_ratio r = engine_ratio_of(found, base, 2);
    assert_true(near(r.measured_e2e, 3) && near(r.simulated_e2e, 2.75));
    assert_true(near(r.e2e_error.value, -0.125) && near(half(r.e2e_error), t_of_two * 0.125));
    assert_true(near(r.rate_error.value, 0.25) && near(half(r.rate_error), t_of_two * 0.25));
}

static const char points[] = "build/test_validation.points";

static void keep(const char *key, double error)
{
    struct error err = {0};
    struct latencies measured = {0}, simulated = {0};
    struct finding f = {.throughput_error = error, .priced[PRICED_MIXED] = {1, 2, 3, 4, 5}};
    f.latencies.simulated[2][4] = 1.0 / 3;
    assert_int_equal(latencies_add(&measured, 0.5, 2.5, 3), 0);
    assert_int_equal(latencies_add(&simulated, 0.1, 0.1, 1), 0);
    expect_ok(findings_keep(points, key, &f, &measured, &simulated, &err), &err);
    latencies_release(&measured);
    latencies_release(&simulated);
}

/* One request on either side; TPOT of the measured one is (2.5 − 0.5) / 2. */
static void test_findings_come_back_as_they_were_kept(void **state)
{
    (void)state;
    struct error err = {0};
    struct finding f;
    struct latencies measured = {0}, simulated = {0};
    bool found;
    remove(points);
    expect_ok(findings_recall(points, "\"a\" repeat 0", &found, &f, &measured, &simulated, &err), &err);
    assert_false(found);
    keep("\"a\" repeat 0", 0.1);
    keep("\"a\" repeat 1", NAN);
    expect_ok(findings_recall(points, "\"a\" repeat 0", &found, &f, &measured, &simulated, &err), &err);
    assert_true(found && f.throughput_error == 0.1 && f.latencies.simulated[2][4] == 1.0 / 3);
    assert_true(f.priced[PRICED_MIXED].count == 1 && f.priced[PRICED_MIXED].squares == 5);
    assert_true(measured.count[0] == 1 && measured.count[1] == 1 && measured.at[1][0] == 1);
    assert_true(simulated.count[1] == 0 && simulated.at[2][0] == 0.1);
    expect_ok(findings_recall(points, "\"a\" repeat 1", &found, &f, &measured, &simulated, &err), &err);
    assert_true(found && isnan(f.throughput_error) && measured.count[0] == 1);
    expect_ok(findings_recall(points, "\"a\"", &found, &f, &measured, &simulated, &err), &err);
    assert_false(found);
    latencies_release(&measured);
    latencies_release(&simulated);
}

/* A line that ends in the middle, as an interruption leaves it, is as good as none. */
static void test_a_finding_that_was_cut_short_is_not_there(void **state)
{
    (void)state;
    struct error err = {0};
    struct finding f;
    struct latencies measured = {0}, simulated = {0};
    bool found;
    remove(points);
    keep("a", 0.1);
    FILE *file = fopen(points, "r+");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    long length = ftell(file);
    fclose(file);
    assert_int_equal(truncate(points, length - 20), 0);
    expect_ok(findings_recall(points, "a", &found, &f, &measured, &simulated, &err), &err);
    assert_false(found);
    keep("b", 0.2); /* begins on a line of its own */
    expect_ok(findings_recall(points, "b", &found, &f, &measured, &simulated, &err), &err);
    assert_true(found && f.throughput_error == 0.2);
    latencies_release(&measured);
    latencies_release(&simulated);
    remove(points);
}

static void add_iteration(struct iteration_log *log, sim_time start, fine_time ns, int64_t wall_ns)
{
    const struct batch b = {.start = start, .decodes = 1};
    const struct iteration_cost cost = {.total = ns << FINE_BITS, .steady = 1};
    assert_int_equal(iteration_log_add(log, &b, &cost, wall_ns), 0);
}

static void ten_ns(void *state, const struct batch *batch, struct iteration_cost *out)
{
    (void)state, (void)batch;
    *out = (struct iteration_cost){.total = (fine_time)10 << FINE_BITS, .growth = 5, .steady = 100};
}

/* 40 + 20 ns were told and 80 + 40 taken in the first second, nothing in the next, and 10 and 30 in the last one: an
 * iteration of 10 ns would have taken 20, 20 and 30 ns, and 30 after the end. */
static void test_drift_is_what_iterations_took_beyond_what_was_told(void **state)
{
    (void)state;
    struct error err = {0};
    struct iteration_log logs[2] = {{0}};
    struct drift drift = {0};
    struct drifting drifting = {{.run = ten_ns}, &drift};
    const struct executor executor = drifting_executor(&drifting);
    static const double expected[] = {20, 20, 30, 30};
    add_iteration(&logs[0], 5, 40, 80);
    add_iteration(&logs[1], 999999999, 20, 40);
    add_iteration(&logs[0], 2000000000, 10, 30);
    expect_ok(drift_read(&drift, logs, 2, &err), &err);
    for (size_t i = 0; i < 4; i++) {
        const struct batch b = {.start = (sim_time)i * 1000000000 + 7, .decodes = 1};
        struct iteration_cost cost;
        executor.run(executor.state, &b, &cost);
        assert_true(near(fine_to_ns(cost.total), expected[i]));
        assert_true(cost.steady == 1 && cost.growth == 0);
    }
    drift_release(&drift);
    iteration_log_release(&logs[0]);
    iteration_log_release(&logs[1]);
}

/* A row says of its seeds what each says alone. */
static void test_a_row_of_closed_forms_adds_its_seeds_up(void **state)
{
    (void)state;
    struct error err = {0};
    const struct theory_case *c = theory_cases; /* M/M/1: ρ / (1 − ρ) · 1 ms */
    const struct theory_runs runs = {.rho = 0.5, .seeds = 3, .requests = 3000, .threads = 2};
    struct theory_row row;
    struct estimate e[3];
    expect_ok(theory_case_compare(c, &runs, &row, &err), &err);
    size_t covers = 0;
    for (unsigned i = 0; i < 3; i++) {
        expect_ok(theory_case_simulate(c, 0.5, i + 1, 3000, 0, &e[i], &err), &err);
        covers += e[i].low <= 0.001 && e[i].high >= 0.001;
    }
    assert_true(near(row.exact_s, 0.001) && row.first_s == e[0].value);
    assert_true(near(row.mean_s, (e[0].value + e[1].value + e[2].value) / 3));
    assert_true(near(row.half_s, (half(e[0]) + half(e[1]) + half(e[2])) / 3));
    assert_int_equal(row.covers, covers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_are_means_over_repeats_with_intervals),
        cmocka_unit_test(test_served_iterations_of_all_repeats_are_priced_together),
        cmocka_unit_test(test_a_ratio_of_two_policies_has_an_error_of_its_own),
        cmocka_unit_test(test_findings_come_back_as_they_were_kept),
        cmocka_unit_test(test_a_finding_that_was_cut_short_is_not_there),
        cmocka_unit_test(test_drift_is_what_iterations_took_beyond_what_was_told),
        cmocka_unit_test(test_a_row_of_closed_forms_adds_its_seeds_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
