/* SPDX-License-Identifier: MIT */
/* The simulator's own replica and generator against closed forms of queueing theory. */
#include <math.h>

#include "reports/stats/theory.h"
#include "tests/harness.h"
#include "validation/theory_cases.h"

enum { SEEDS = 20 };

/* Of 20 intervals of 99 %, at most 2 may miss the closed form: intervals that cover as often as they say miss
 * three times or more with a probability of 0.1 %. The mean of the 20 is within 3 %. */
static void compare(const struct theory_case *c, double rho, unsigned long requests)
{
    double exact = theory_case_exact_s(c, rho), sum = 0;
    unsigned missed = 0;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        struct error err = {0};
        struct estimate e = {0};
        expect_ok(theory_case_simulate(c, rho, seed, requests, 0, &e, &err), &err);
        missed += exact < e.low || exact > e.high;
        sum += e.value / SEEDS;
    }
    if (missed > 2 || fabs(sum / exact - 1) > 0.03)
        fail_msg("%s at rho %.1f: %u of %d intervals miss %.6g s; their mean is %.6g s", c->formula, rho, missed, SEEDS,
                 exact, sum);
}

static void test_mean_waits_agree_with_closed_forms_at_low_load(void **state)
{
    (void)state;
    for (const struct theory_case *c = theory_cases; c->formula; c++)
        compare(c, 0.3, 60000);
}

static void test_mean_waits_agree_with_closed_forms_at_medium_load(void **state)
{
    (void)state;
    for (const struct theory_case *c = theory_cases; c->formula; c++)
        compare(c, 0.7, 100000);
}

static void test_mean_waits_agree_with_closed_forms_at_high_load(void **state)
{
    (void)state;
    for (const struct theory_case *c = theory_cases; c->formula; c++)
        compare(c, 0.9, 200000);
}

/* At ρ 0.5 the first 20 000 requests give an interval of about ± 9 %; the run is made longer until ± 2 %. */
static void test_a_run_is_made_as_long_as_its_precision_needs(void **state)
{
    (void)state;
    struct error err = {0};
    struct estimate e = {0};
    expect_ok(theory_case_simulate(&theory_cases[0], 0.5, 1, 20000, 0, &e, &err), &err);
    assert_true(e.high - e.value > 0.02 * e.value);
    expect_ok(theory_case_simulate(&theory_cases[0], 0.5, 1, 20000, 0.02, &e, &err), &err);
    assert_true(e.high - e.value <= 0.02 * e.value && e.low < 0.001 && e.high > 0.001); /* exact: 1 ms */
}

/* Three clients, one server of 1 ms a request, no think time, 5 requests: they come at 0, 0, 0, 1 and 2 ms and are
 * served one after the other, so they take 1, 2, 3, 3 and 3 ms. With 4 ms of thinking the fourth comes at 5 ms, when
 * the server is idle, the fifth at 6: 1, 2, 3, 1, 1. */
static void test_a_closed_loop_by_hand(void **state)
{
    (void)state;
    static const char text[] =
        "{\"model\": \"ideal\", \"device\": \"ideal-server\", \"output\": {\"warmup\": \"none\"},"
        "\"policy\": {\"batching\": {\"name\": \"continuous\", \"max_sequences\": 1}},"
        "\"workload\": {\"arrivals\": {\"name\": \"closed_loop\", \"concurrency\": 3, \"think_s\": %s}, \"requests\": "
        "5,"
        "\"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": 100000}, \"output\": {\"name\": \"fixed\","
        "\"tokens\": 1}}}}";
    char with_think[700];
    struct run_summary r;
    snprintf(with_think, sizeof with_think, text, "0");
    run_scenario(with_think, &r);
    assert_true(fabs(r.metrics[METRIC_E2E].at[STAT_MEAN].value - 2.4e6) < 1e-3);
    assert_int_equal(r.totals.end, 5000000);
    assert_int_equal(r.totals.peak_in_flight, 3);
    snprintf(with_think, sizeof with_think, text, "0.004");
    run_scenario(with_think, &r);
    assert_true(fabs(r.metrics[METRIC_E2E].at[STAT_MEAN].value - 1.6e6) < 1e-3);
    assert_int_equal(r.totals.end, 7000000);
}

/* By hand: M/M/1 at λ 0.5, μ 1 waits ρ/(μ − λ) = 1; M/D/1 half of it. M/M/2 at λ 1, μ 1: C = 1/3, wait 1/3. */
static void test_closed_forms_by_hand(void **state)
{
    (void)state;
    assert_true(fabs(theory_mg1_wait_s(0.5, 1, 1) - 1) < 1e-12);
    assert_true(fabs(theory_mg1_wait_s(0.5, 1, 0) - 0.5) < 1e-12);
    assert_true(fabs(theory_mmc_wait_s(1, 1, 2) - 1.0 / 3) < 1e-12);
    assert_true(fabs(theory_mmc_wait_s(0.5, 1, 1) - 1) < 1e-12);
    assert_true(isinf(theory_mmc_wait_s(2, 1, 2)));
    assert_true(fabs(theory_ggc_wait_s(1, 1, 2, 1, 0) - 1.0 / 6) < 1e-12);
}

static unsigned one_second(const void *model, unsigned size, double *seconds, double *probability)
{
    (void)model, (void)size;
    seconds[0] = probability[0] = 1;
    return 1;
}

/* Shortest first hardly helps an idle server: at ρ → 0 the wait is that of M/M/1, ρ/(1 − ρ) S. At ρ 0.9 it is far less
 * than 9; jobs of no length wait for the one in service alone, ρ S. */
static void test_shortest_job_first_by_hand(void **state)
{
    (void)state;
    assert_true(fabs(theory_mm1_sjf_wait_s(1e-4, 1) / 1e-4 - 1) < 1e-3);
    double wait = theory_mm1_sjf_wait_s(0.9, 1);
    assert_true(wait > 0.9 && wait < 4);
    assert_true(isinf(theory_mm1_sjf_wait_s(1, 1)));
}

/* One at a time the bulk rule is M/D/1: 0.5 s at rate 0.5 and 1 s of service. A batch of any size in a second, hardly
 * ever two: at rate 0.01 who comes while another is served waits half of it, λ/2 · 1/(1 + …) ≈ 0.005 s. Two at a time
 * at that rate: the first of a pair waits 100 s for the second, so 50 on average, and next to nothing more. */
static void test_bulk_rule_by_hand(void **state)
{
    (void)state;
    assert_true(fabs(theory_bulk_wait_s(0.5, 1, 1, one_second, NULL) - 0.5) < 1e-6);
    assert_true(fabs(theory_bulk_wait_s(0.01, 1, 16, one_second, NULL) - 0.005) < 1e-4);
    double pairs = theory_bulk_wait_s(0.01, 2, 2, one_second, NULL);
    assert_true(pairs > 50 && pairs < 50.01);
    assert_true(isinf(theory_bulk_wait_s(3, 1, 2, one_second, NULL)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed_forms_by_hand),
        cmocka_unit_test(test_bulk_rule_by_hand),
        cmocka_unit_test(test_shortest_job_first_by_hand),
        cmocka_unit_test(test_a_closed_loop_by_hand),
        cmocka_unit_test(test_a_run_is_made_as_long_as_its_precision_needs),
        cmocka_unit_test(test_mean_waits_agree_with_closed_forms_at_low_load),
        cmocka_unit_test(test_mean_waits_agree_with_closed_forms_at_medium_load),
        cmocka_unit_test(test_mean_waits_agree_with_closed_forms_at_high_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
