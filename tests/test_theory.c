/* SPDX-License-Identifier: MIT */
/* The simulator's own replica and generator against closed forms of queueing theory. */
#include <math.h>

#include "reports/theory.h"
#include "tests/harness.h"

/* A server whose service time is its prompt times 10 ns: one output token, one iteration. Prompts of
 * 1e5 tokens on average make a mean service time of 1 ms. */
struct setting {
    const char *prompt; /* length distribution, mean 1e5 tokens */
    double service_scv;
    unsigned servers;
};

static struct estimate simulated_wait(const struct setting *q, double rho, unsigned seed, unsigned requests)
{
    char text[1000];
    snprintf(text, sizeof text,
             "{\"seed\": %u, \"model\": \"tests/data/counter.json\", \"device\": \"tests/data/line.json\","
             "\"cluster\": {\"replicas\": %u, \"routing\": \"%s\"},"
             "\"policy\": {\"batching\": {\"name\": \"continuous\", \"max_sequences\": 1}, \"kv_blocks\": 1000000000},"
             "\"workload\": {\"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": %.6f}, \"requests\": %u,"
             "\"lengths\": {\"prompt\": %s, \"output\": {\"name\": \"fixed\", \"tokens\": 1}}}}",
             seed, q->servers, q->servers > 1 ? "central_queue" : "round_robin", rho * q->servers * 1000, requests,
             q->prompt);
    struct run_summary run;
    run_scenario(text, &run);
    assert_true(run.totals.finished == requests);
    return run.wait_99;
}

/* Over 20 seeds, at most 2 of the 99 % intervals may miss the closed form: with intervals that hold what
 * they promise three or more misses have a probability of 0.1 %. The mean of all is within 3 %. */
static void compare(const struct setting *q, double rho, unsigned requests)
{
    double lambda = rho * q->servers * 1000, mu = 1000,
           exact = q->servers > 1 ? theory_mmc_wait_s(lambda, mu, q->servers)
                                  : theory_mg1_wait_s(lambda, 1 / mu, q->service_scv);
    unsigned missed = 0;
    double sum = 0;
    enum { SEEDS = 20 };
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        struct estimate e = simulated_wait(q, rho, seed, requests);
        missed += exact < e.low || exact > e.high;
        sum += e.value / SEEDS;
    }
    if (missed > 2 || fabs(sum / exact - 1) > 0.03)
        fail_msg("rho %.1f: %u of %d intervals miss %.6g s; their mean is %.6g s", rho, missed, SEEDS, exact, sum);
}

#define EXPONENTIAL "{\"name\": \"exponential\", \"mean\": 100000}"

static void test_mm1_mean_wait(void **state)
{
    (void)state;
    const struct setting q = {EXPONENTIAL, 1, 1};
    compare(&q, 0.3, 20000);
    compare(&q, 0.7, 40000);
    compare(&q, 0.9, 150000);
}

static void test_md1_mean_wait(void **state)
{
    (void)state;
    const struct setting q = {"{\"name\": \"fixed\", \"tokens\": 100000}", 0, 1};
    compare(&q, 0.3, 20000);
    compare(&q, 0.7, 40000);
    compare(&q, 0.9, 100000);
}

/* Log-normal with mean 1e5: median = 1e5·exp(−σ²/2), SCV = exp(σ²) − 1; σ = 1. */
static void test_mg1_lognormal_mean_wait(void **state)
{
    (void)state;
    char prompt[100];
    snprintf(prompt, sizeof prompt, "{\"name\": \"lognormal\", \"median\": %.6f, \"sigma\": 1}", 1e5 * exp(-0.5));
    const struct setting q = {prompt, exp(1.0) - 1, 1};
    compare(&q, 0.3, 60000);
    compare(&q, 0.7, 100000);
    compare(&q, 0.9, 200000);
}

static void test_mm3_mean_wait(void **state)
{
    (void)state;
    const struct setting q = {EXPONENTIAL, 1, 3};
    compare(&q, 0.3, 60000);
    compare(&q, 0.7, 60000);
    compare(&q, 0.9, 150000);
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
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed_forms_by_hand), cmocka_unit_test(test_mm1_mean_wait),
        cmocka_unit_test(test_md1_mean_wait),        cmocka_unit_test(test_mg1_lognormal_mean_wait),
        cmocka_unit_test(test_mm3_mean_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
