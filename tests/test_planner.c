/* SPDX-License-Identifier: MIT */
/* Replications and what is concluded from them; capacities and plans whose answers are known in closed form. */
#include <gsl/gsl_randist.h>
#include <math.h>

#include "base/random.h"
#include "planner/answer.h"
#include "planner/memory.h"
#include "planner/sweep.h"
#include "reports/stats/analytic.h"
#include "reports/stats/theory.h"
#include "tests/harness.h"

/* 1 … 5: mean 3, s² = 2.5; t(0.975, 4) = 2.776445, so ± 2.776445·√(2.5 / 5) = 1.963243. */
static void test_intervals_by_hand(void **state)
{
    (void)state;
    const double a[] = {1, 2, 3, 4, 5}, b[] = {0, 1, 2, 3, 3};
    struct estimate e = inference_mean(a, 5, 0.95);
    assert_true(e.value == 3 && fabs(e.high - 4.963243) < 1e-5 && fabs(e.low - 1.036757) < 1e-5);
    /* Differences 1 1 1 1 2: mean 1.2, s² = 0.2; ± 2.776445·√0.04. */
    struct estimate d = inference_paired(a, b, 5, 0.95);
    assert_true(fabs(d.value - 1.2) < 1e-12 && fabs(d.high - d.value - 0.555289) < 1e-5);
    assert_true(fabs(inference_relative_half_width(e) - 1.963243 / 3) < 1e-5);
    assert_true(isnan(inference_mean(a, 1, 0.95).low));
}

/* Skewed values: −1 once in 8, else 0.2: mean 0.05, s² 0.18, third central moment (−1.05³ + 7·0.15³) / 8 = −0.14175.
 * Student's t is 0.05 / 0.15 = 0.333; with Johnson's terms, −0.14175 / (6·0.18·8) − 0.14175·0.05² / (3·0.18²), it is
 * 0.200. Far from 0 skewness decides nothing: 1 seven times and 0.6. */
static void test_signs_of_skewed_means(void **state)
{
    (void)state;
    const double skewed[] = {-1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2}, far[] = {0.6, 1, 1, 1, 1, 1, 1, 1};
    const double equal[] = {-0.1, -0.1, -0.1, -0.1};
    assert_int_equal(inference_sign(skewed, 8, 0.1), 1); /* t(0.55, 7) is 0.130 */
    assert_int_equal(inference_sign(skewed, 8, 0.2), 0); /* t(0.6, 7) is 0.263, which Student's would pass */
    assert_int_equal(inference_sign(far, 8, 0.99), 1);
    assert_int_equal(inference_sign(equal, 4, 0.99), -1);
    /* Four values: mean 1.9, s² = 5 / 3, t = 1.9 / √(5/12) = 2.943; t(0.975) is 3.182 with their 3 degrees of freedom,
     * and 2.776 with 4. */
    const double few[] = {0.4, 1.4, 2.4, 3.4};
    assert_int_equal(inference_sign(few, 4, 0.95), 0);
    assert_int_equal(inference_sign(few, 4, 0.9), 1); /* t(0.95, 3) is 2.353 */
}

/* Two alternatives, 4 observations, 95 %: eta = ((2 · 0.05)^(-2/3) − 1) / 2 = 1.8208, h² = 2 · 1.8208 · 3 = 10.925. The
 * differences vary by 1, so with d = 1 a mean difference above 1/8 · (10.925 − 4) = 0.866 parts them, with d = 0.5 one
 * above 0.5/8 · (10.925/0.25 − 4) = 2.481. */
static void test_selection_by_hand(void **state)
{
    (void)state;
    static const struct {
        double indifference, ahead;
        size_t left;
    } cases[] = {{1, 0.85, 2}, {1, 0.88, 1}, {0.5, 2.46, 2}, {0.5, 2.50, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct selection *s = selection_create(2, 4, cases[i].indifference, 0.95);
        assert_non_null(s);
        for (int r = 0; r < 4; r++) {
            double off = sqrt(0.75);
            const double values[2] = {10 + r, 10 + r + cases[i].ahead + (r % 2 ? off : -off)};
            selection_add(s, values);
            assert_true(r == 3 || selection_left(s) == 2);
        }
        assert_int_equal(selection_left(s), cases[i].left);
        assert_true(selection_holds(s, 1));
        selection_destroy(s);
    }
}

/* Ten alternatives, the best one ahead by the indifference zone: it must be chosen in 95 of 100 procedures; of 400
 * independent ones at least 366 (4 standard deviations below 380). */
static void test_selection_is_right_as_often_as_it_says(void **state)
{
    (void)state;
    gsl_rng *rng = random_stream_create(5, "selection");
    int right = 0;
    for (int i = 0; i < 400; i++) {
        struct selection *s = selection_create(10, 8, 1, 0.95);
        assert_non_null(s);
        while (selection_left(s) > 1) {
            double values[10];
            for (int k = 0; k < 10; k++)
                values[k] = gsl_ran_gaussian(rng, 2) + (k == 3);
            selection_add(s, values);
        }
        right += selection_holds(s, 3);
        selection_destroy(s);
    }
    gsl_rng_free(rng);
    if (right < 366)
        fail_msg("%d of 400", right);
}

/* M/M/1: 10 ns for each of 100 000 prompt tokens on average, so μ = 1000/s, and a mean stay of at most 5 ms holds up to
 * λ = 1000 − 200 = 800/s. */
#define QUEUE                                                                                                          \
    "\"model\": \"ideal\", \"device\": \"ideal-server\","                                                              \
    "\"policy\": {\"batching\": {\"name\": \"continuous\", \"max_sequences\": 1}},"                                    \
    "\"workload\": {\"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": %g}, \"requests\": 20000,"                   \
    "\"lengths\": {\"prompt\": {\"name\": \"exponential\", \"mean\": 100000}, \"output\": {\"name\": \"fixed\", "      \
    "\"tokens\": 1}}},"                                                                                                \
    "\"slo\": {\"e2e_s\": {\"mean\": 0.005}}"

static const struct planner_watch nobody_watches = {0};

static void test_capacity_of_a_queue_in_closed_form(void **state)
{
    (void)state;
    char text[1200];
    struct trial_pool pool;
    struct error err = {0};
    struct capacity c;
    snprintf(text, sizeof text, "{" QUEUE "}", 100.0);
    expect_ok(thread_pool_create(2, &nobody_watches, &pool, &err), &err);
    struct capacity_question q = {.scenario = text,
                                  .scale = SCALE_RATE,
                                  .start = 1,
                                  .tolerance = 0.02,
                                  .seed = 1000,
                                  .effort = {.confidence = 0.95, .most = 16}};
    expect_ok(capacity_find(&q, &pool, &c, &err), &err);
    assert_int_equal(c.kind, CAPACITY_FOUND);
    if (!(c.low < 8 && c.high > 8 && c.high / c.low < 1.05 && fabs(c.value / 8 - 1) < 0.02))
        fail_msg("%g in %g … %g", c.value, c.low, c.high);
    assert_string_equal(c.binding, "e2e_s mean");
    trial_pool_destroy(&pool);
}

/* 2000/s by random routing: E2E 1 / (1000 − 2000 / n) ≤ 5 ms wants n ≥ 2.5: 3 of the plain ones for 3 an hour. Twice as
 * slow ones (μ = 500) want 2000 / n ≤ 300, n ≥ 6.67: 7 for 2.8. Four times as slow ones at 0.25 want 2000 / n ≤ 50: 40
 * for 10. */
static void test_a_plan_in_closed_form(void **state)
{
    (void)state;
    char text[2400];
    struct json root;
    struct plan plan;
    struct trial_pool pool;
    struct plan_search s;
    struct error err = {0};
    snprintf(
        text, sizeof text,
        "{\"name\": \"queue\", \"rate_per_s\": 2000, \"scenario\": {" QUEUE ", \"cluster\": {\"routing\": \"random\"}},"
        "\"search\": {\"device\": [\"ideal-server\", \"tests/data/ideal2.json\", \"tests/data/ideal4.json\"]},"
        "\"prices_per_h\": {\"ideal-server\": 1, \"tests/data/ideal2.json\": 0.4, \"tests/data/ideal4.json\": 0.25}}",
        100.0);
    expect_ok(json_parse(text, "plan", &root, &err), &err);
    expect_ok(plan_read(&plan, root, &err), &err);
    expect_ok(thread_pool_create(2, &nobody_watches, &pool, &err), &err);
    expect_ok(plan_search_run(&s, &plan, &pool, &err), &err);
    assert_non_null(s.chosen);
    assert_string_equal(s.chosen->family->label, "tests/data/ideal2.json");
    assert_int_equal(s.chosen->high, 7);
    assert_ptr_equal(s.runner_up, &s.contenders[0]);
    assert_int_equal(s.runner_up->high, 3);
    assert_true(fabs(contender_objective(&plan, s.chosen, 7) - 2.8) < 1e-9);
    assert_int_equal(s.contenders[2].high, 0); /* never worth a look beyond what the best costs */
    plan_search_release(&s);
    trial_pool_destroy(&pool);
    plan_release(&plan);
}

/* 1 ms of service can never meet 0.5 ms: nothing does, and the closest is said. */
static void test_a_plan_that_cannot_be_met(void **state)
{
    (void)state;
    char text[2400];
    struct json root;
    struct plan plan;
    struct trial_pool pool;
    struct plan_search s;
    struct error err = {0};
    snprintf(text, sizeof text,
             "{\"scenario\": {" QUEUE "}, \"objective\": \"gpus\", \"constraints\": {\"gpus\": 6},"
             "\"search\": {\"cluster.routing\": [\"round_robin\"]}}",
             100.0);
    char *limit = strstr(text, "0.005");
    memcpy(limit, "5e-04", 5);
    expect_ok(json_parse(text, "plan", &root, &err), &err);
    expect_ok(plan_read(&plan, root, &err), &err);
    expect_ok(thread_pool_create(2, &nobody_watches, &pool, &err), &err);
    expect_ok(plan_search_run(&s, &plan, &pool, &err), &err);
    assert_null(s.chosen);
    assert_ptr_equal(s.closest, &s.contenders[0]);
    assert_int_equal(s.contenders[0].fate, FATE_LIMITED);
    plan_search_release(&s);
    trial_pool_destroy(&pool);
    plan_release(&plan);
}

/* A result goes through text and comes back the same, what is not a number included. */
static void test_a_kept_trial_comes_back_exactly(void **state)
{
    (void)state;
    static struct trial_result r, again;
    char text[1200];
    struct error err = {0};
    snprintf(text, sizeof text, "{" QUEUE "}", 500.0);
    struct trial t = {.scenario = text, .seed = 3, .scales = {1, 1, 1, 1}};
    expect_ok(trial_run(&t, NULL, NULL, &r, &err), &err);
    assert_false(r.failed);
    char *kept = trial_result_print(&r);
    expect_ok(trial_result_parse(kept, &again, &err), &err);
    for (int m = 0; m < METRIC_COUNT; m++)
        for (int k = 0; k < STAT_COUNT; k++)
            assert_true(memcmp(&r.metrics[m][k], &again.metrics[m][k], sizeof(double)) == 0 ||
                        (isnan(r.metrics[m][k]) && isnan(again.metrics[m][k])));
    assert_true(r.margin == again.margin && r.arrived == again.arrived && r.held[0].gpus == again.held[0].gpus);
    assert_string_equal(r.binding, again.binding);
    free(kept);
    /* One in which nothing is usual. */
    r = (struct trial_result){.failed = true,
                              .code = ERROR_RUN,
                              .message = "why",
                              .margin = NAN,
                              .binding = "tpot_s p99 (not served)",
                              .attainment = 0.1,
                              .goodput_per_s = 0.2,
                              .requests_per_s = 0.3,
                              .tokens_per_s = 0.4,
                              .utilization = 0.5,
                              .duration_s = 0.6,
                              .wall_s = INFINITY,
                              .held = {{"prefill", "h100", 1, 0.5, 2, 700}, {"decode", "l40s", 4, 3.25, 0.7, 350}},
                              .pool_count = 2,
                              .arrived = 7,
                              .finished = 4,
                              .rejected = 2,
                              .reason = "too long",
                              .slo_met = true,
                              .overloaded = true};
    kept = trial_result_print(&r);
    expect_ok(trial_result_parse(kept, &again, &err), &err);
    assert_true(isnan(again.margin));
    r.margin = again.margin = 0;
    assert_memory_equal(&r, &again, sizeof r);
    free(kept);
}

#define TRACED                                                                                                         \
    "\"model\": \"ideal\", \"policy\": {\"batching\": {\"name\": \"continuous\", \"max_sequences\": 1}%s},"            \
    "\"workload\": {\"trace\": \"%s\"}"

/* 1000 requests of one output token, 1 and 3 ms apart in turn: 500/s, and an SCV of gaps of 1 / 4. Every second prompt
 * has `other` tokens, the others 100 000. Deletes the file when it has been read. */
static struct analytic_estimate estimate_of(const char *scenario_start, const char *more_policy, unsigned other)
{
    char text[1200], file[] = "/tmp/tandem-trace-XXXXXX";
    struct analytic_estimate e;
    struct error err = {0};
    FILE *out = fdopen(mkstemp(file), "w");
    for (int i = 0; i < 1000; i++)
        fprintf(out, "{\"arrival_s\": %.3f, \"prompt_tokens\": %u, \"output_tokens\": 1}\n",
                (i / 2) * 0.004 + (i % 2) * 0.001, i % 2 ? other : 100000);
    fclose(out);
    int used = snprintf(text, sizeof text, "{%s", scenario_start);
    snprintf(text + used, sizeof text - (size_t)used, TRACED "}", more_policy, file);
    struct simulation *s = open_simulation(text);
    expect_ok(analytic_of(&s->scenario, &e, &err), &err);
    simulation_close(s);
    remove(file);
    return e;
}

static bool near(double found, double expected, double share)
{
    return fabs(found / expected - 1) < share;
}

/* 10 ns for each of 100 000 prompt tokens are 1 ms, ρ = 0.5. Allen and Cunneen: the wait of M/M/1, ρ / (1 − ρ) · 1 ms,
 * times (1/4 + 0) / 2: 0.125 ms. (The last gap is missing, so that the rate is 499 of 500/s.) At most 1000/s. */
static void test_the_formula_of_one_server(void **state)
{
    (void)state;
    struct analytic_estimate e = estimate_of("\"device\": \"ideal-server\",", "", 100000);
    assert_true(near(e.rate_per_s, 500, 0.002) && near(e.capacity_per_s, 1000, 0.002));
    assert_true(near(e.utilization, 0.5, 0.003));
    assert_true(near(e.service_s, 0.001, 1e-9) && fabs(e.service_scv) < 1e-9);
    assert_true(near(e.wait_s, 0.125e-3, 0.01));
    assert_true(near(e.ttft_s, 1.125e-3, 0.01));
    assert_true(e.served_share == 1);
}

/* Two such servers at twice the service (20 ns a token): each router's queue is one of λ = 250/s at ρ = 0.5, so 0.25
 * ms. Where requests go to the replica that has least to do, both serve one queue: Erlang's C of 2 servers at a = 1 is
 * 1 / 3, M/M/2 waits C / (2μ − λ) = 1/3 / 500 s, and 1/8 of it is 83.3 µs. Both serve at most 1000/s. */
static void test_the_formula_of_two_servers(void **state)
{
    (void)state;
    const char *apart =
        "\"device\": \"tests/data/ideal2.json\", \"cluster\": {\"replicas\": 2, \"routing\": \"random\"},";
    const char *pooled = "\"device\": \"tests/data/ideal2.json\", \"cluster\": {\"replicas\": 2, \"routing\": "
                         "\"least_outstanding_tokens\"},";
    struct analytic_estimate e = estimate_of(apart, "", 100000);
    assert_true(near(e.wait_s, 0.25e-3, 0.01) && near(e.capacity_per_s, 1000, 0.002));
    e = estimate_of(pooled, "", 100000);
    assert_true(near(e.wait_s, 83.33e-6, 0.01) && near(e.capacity_per_s, 1000, 0.002));
}

/* One server of 1000/s next to two of 500/s each: 2000/s together, whatever the router; latencies have no formula.
 * Where one step prefills on both kinds and another decodes, the prompts of one output token are the limit: the same
 * 2000/s.
 */
static void test_the_formula_of_several_kinds(void **state)
{
    (void)state;
    const char *kinds = "\"cluster\": {\"pools\": {\"fast\": {\"device\": \"ideal-server\"}, \"slow\": {\"device\": "
                        "\"tests/data/ideal2.json\", \"replicas\": 2}}, \"routing\": \"least_outstanding_tokens\"},";
    struct analytic_estimate e = estimate_of(kinds, "", 100000);
    assert_true(near(e.capacity_per_s, 2000, 0.002) && near(e.utilization, 0.25, 0.003));
    assert_true(isnan(e.wait_s) && isnan(e.ttft_s) && isnan(e.e2e_s));
    const char *apart =
        "\"cluster\": {\"pools\": {\"fast\": {\"device\": \"ideal-server\"}, \"slow\": {\"device\": "
        "\"tests/data/ideal2.json\", \"replicas\": 2}, \"out\": {\"device\": \"ideal-server\", \"replicas\": 9}}, "
        "\"flow\": [[\"fast\", \"slow\"], \"out\"]},";
    assert_true(near(estimate_of(apart, "", 100000).capacity_per_s, 2000, 0.002));
}

/* Every second prompt, of 300 000 tokens, is longer than the KV pool of 200 000: it is refused and takes nothing. What
 * is left comes every 4 ms, 250/s of 1 ms each: ρ = 0.25, no wait, as gaps and service are all the same. 1000/s of them
 * can be served, 2000/s of all. With a pool for everybody, services are of 1 and 3 ms: at most 500/s. */
static void test_the_formula_leaves_out_what_is_refused(void **state)
{
    (void)state;
    struct analytic_estimate e = estimate_of("\"device\": \"ideal-server\",", ", \"kv_blocks\": 12500", 300000);
    assert_true(e.served_share == 0.5);
    assert_true(near(e.service_s, 0.001, 1e-9) && near(e.capacity_per_s, 2000, 0.003));
    assert_true(near(e.rate_per_s, 500, 0.002) && near(e.utilization, 0.25, 0.003) && e.wait_s < 1e-9);
    /* Everyone is served where prompts have 100 000 and 200 000 tokens: 1 and 2 ms, mean 1.5, variance 0.25, SCV 1 / 9.
     */
    e = estimate_of("\"device\": \"ideal-server\",", "", 200000);
    assert_true(e.served_share == 1 && near(e.service_s, 0.0015, 1e-9) && near(e.capacity_per_s, 666.7, 0.003));
    assert_true(near(e.service_scv, 1.0 / 9, 1e-6) && near(e.utilization, 0.75, 0.003));
    /* With 300 000 the mean is 2 ms, and 500/s are as many as can be: there is no steady state. */
    e = estimate_of("\"device\": \"ideal-server\",", "", 300000);
    assert_true(near(e.capacity_per_s, 500, 0.003) && e.wait_s == INFINITY && isnan(e.service_s));
    /* A pool for none of them. */
    e = estimate_of("\"device\": \"ideal-server\",", ", \"kv_blocks\": 100", 300000);
    assert_true(e.served_share == 0 && e.capacity_per_s == INFINITY && e.utilization == 0 && isnan(e.ttft_s));
}

/* Prompts of 1000, outputs of 100 tokens, 100 requests/s; `more` begins the scenario. */
static struct analytic_estimate estimate_fixed(const char *more, const char *batching, const char *more_policy)
{
    char text[1600];
    struct analytic_estimate e;
    struct error err = {0};
    snprintf(
        text, sizeof text,
        "{%s, \"policy\": {\"batching\": %s%s}, \"workload\": {\"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": "
        "100}, \"requests\": 4000, \"max_output_tokens\": 1000, \"lengths\": {\"prompt\": {\"name\": \"fixed\", "
        "\"tokens\": 1000}, \"output\": {\"name\": \"fixed\", \"tokens\": 100}}}}",
        more, batching, more_policy);
    struct simulation *s = open_simulation(text);
    expect_ok(analytic_of(&s->scenario, &e, &err), &err);
    simulation_close(s);
    return e;
}

#define BATCH_SERVER "\"model\": \"ideal\", \"device\": \"ideal-batch-server\""
#define CONTINUOUS "{\"name\": \"continuous\", \"max_sequences\": 1000}"

/* 1 ms an iteration, 20 µs for every decode in it, 10 ns for a prompt token, so 1.01 ms for a prompt of 1000. Between
 * two tokens of B decodes are τ = (1 + 0.02 B) ms / (1 − 1.01e−3 r) at a rate r, and B = 100 r τ with outputs of 100:
 * τ (1 − 1.01e−3 r) = 1e−3 + 2e−3 r τ, τ = 1e−3 / (1 − 3.01e−3 r). At r = 332/s the batch would have no end. The first
 * token comes after half an iteration, the wait and the prompt. */
static void test_the_formula_of_decodes(void **state)
{
    (void)state;
    struct analytic_estimate e = estimate_fixed(BATCH_SERVER, CONTINUOUS, "");
    double rate = e.rate_per_s, token = 1e-3 / (1 - 3.01e-3 * rate);
    assert_true(near(rate, 100, 0.05));
    assert_true(near(e.tpot_s, token, 0.001) && near(e.batch, 100 * rate * token, 0.001));
    assert_true(near(e.service_s, 1.01e-3, 1e-9) && e.wait_s > 0);
    assert_true(near(e.ttft_s, token / 2 + e.wait_s + 1.01e-3, 0.001));
    assert_true(near(e.e2e_s, e.ttft_s + 99 * token, 0.001));
    assert_true(e.capacity_per_s > 0.95 * 332.2 && e.capacity_per_s < 332.3);
}

/* A budget of 600 tokens. Prompts add 1000 · 10 ns each to iterations that run anyway: τ = 1e−3 / (1 − 2e−3 r − 1e−5
 * r), as long as an iteration has room, 1000 r τ ≤ 600 − 100 r τ: r ≤ 600 / (1100 + 600 · 2.01) · 1e3 = 260.2/s. A
 * prompt takes two iterations next to B = 100 r τ decodes: 2 (1 + 0.02 B) + 0.01 ms. */
static void test_the_formula_of_a_token_budget(void **state)
{
    (void)state;
    struct analytic_estimate e =
        estimate_fixed(BATCH_SERVER, "{\"name\": \"chunked_prefill\", \"token_budget\": 600}", "");
    double token = 1e-3 / (1 - 2.01e-3 * e.rate_per_s), batch = 100 * e.rate_per_s * token;
    assert_true(near(e.capacity_per_s, 260.2, 0.003));
    assert_true(near(e.tpot_s, token, 0.001) && near(e.batch, batch, 0.001));
    assert_true(near(e.service_s, 2.01e-3 + 4e-5 * batch, 0.001));
}

/* A pool of 20 000 tokens holds 10 requests that have 2000 set aside each, or 19.05 of 1050 on average. With B of them,
 * 100 r τ = B as above gives r = 10 B / (1 + 0.0301 B): 76.9/s for 10, 121.1/s for 19.05. */
static void test_the_formula_of_a_small_pool(void **state)
{
    (void)state;
    const char *reserved = ", \"kv_blocks\": 1250, \"admission\": \"reserve_max\"";
    const char *on_demand = ", \"kv_blocks\": 1250, \"admission\": \"on_demand\"";
    assert_true(near(estimate_fixed(BATCH_SERVER, CONTINUOUS, reserved).capacity_per_s, 76.9, 0.01));
    assert_true(near(estimate_fixed(BATCH_SERVER, CONTINUOUS, on_demand).capacity_per_s, 121.1, 0.01));
}

/* A batch of so many prompts of 1000 and outputs of 100. */
static unsigned padded_batch_s(const void *model, unsigned size, double *seconds, double *probability)
{
    (void)model;
    seconds[0] = 1e-3 + 1e-5 * size + 99 * (1e-3 + 2e-5 * size);
    probability[0] = 1;
    return 1;
}

/* Batches of 8 served whole: prompts 1 + 8 · 0.01 ms, then 99 iterations of 1 + 8 · 0.02 ms: 115.92 ms for 8 requests,
 * 69.01/s; two replicas serve twice as many. */
static void test_the_formula_of_whole_batches(void **state)
{
    (void)state;
    const char *batching = "{\"name\": \"static_padded\", \"max_sequences\": 8}";
    assert_true(near(estimate_fixed(BATCH_SERVER, batching, "").capacity_per_s, 69.01, 0.001));
    assert_true(near(estimate_fixed(BATCH_SERVER ", \"cluster\": {\"replicas\": 2}", batching, "").capacity_per_s,
                     138.02, 0.001));
    /* At 69.01/s and more there is no end to the queue; at half of that it waits as M/D^(1,8)/1 does (Neuts), and a
     * wait's tail is that of an exponential of the same mean. */
    char text[1000];
    struct analytic_estimate e;
    struct error err = {0};
    snprintf(text, sizeof text,
             "{" BATCH_SERVER ", \"policy\": {\"batching\": %s}, \"workload\": {\"arrivals\": {\"name\": \"poisson\", "
             "\"rate_per_s\": 34.5}, \"requests\": 4000, \"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": "
             "1000}, \"output\": {\"name\": \"fixed\", \"tokens\": 100}}}}",
             batching);
    struct simulation *s = open_simulation(text);
    expect_ok(analytic_of(&s->scenario, &e, &err), &err);
    double exact = theory_bulk_wait_s(e.rate_per_s, 1, 8, padded_batch_s, NULL);
    assert_true(near(e.wait_s, exact, 1e-6) && exact > 0.02 && exact < 0.2);
    assert_true(near(e.ttft_p99_s, e.ttft_s + log(100) * e.wait_s, 1e-12));
    /* Where KV costs, the middle of the outputs stands for all: 1000 ns + 100 + 1051 for each of the batch's decodes.
     */
    struct analytic_estimate line =
        estimate_fixed("\"model\": \"ideal\", \"device\": \"tests/data/line2.json\"", batching, "");
    assert_true(near(line.tpot_s, 1e-6 + 1.151e-6 * round(line.batch), 1e-9) && line.batch >= 1);
    simulation_close(s);
}

/* Apart from prompts, τ = 1e−3 / (1 − 2e−3 r): a replica that decodes serves 500/s at most. A replica that prefills
 * serves 1 / 1.01 ms = 990/s, which four that decode leave as the limit. */
static void test_the_formula_of_two_pools(void **state)
{
    (void)state;
    const char *one =
        BATCH_SERVER ", \"cluster\": {\"placement\": {\"name\": \"disaggregated\", \"prefill\": {\"replicas\": "
                     "1}, \"decode\": {\"replicas\": 1}}}";
    const char *four =
        BATCH_SERVER ", \"cluster\": {\"placement\": {\"name\": \"disaggregated\", \"prefill\": {\"replicas\": "
                     "1}, \"decode\": {\"replicas\": 4}}}";
    double capacity = estimate_fixed(one, CONTINUOUS, "").capacity_per_s;
    assert_true(capacity > 0.95 * 500 && capacity <= 500.5);
    assert_true(near(estimate_fixed(four, CONTINUOUS, "").capacity_per_s, 990.1, 0.001));
}

/* Two stages have half of the layers each: a token goes through both, in about the time of one GPU with all layers
 * (less for the batch, which is half as large); one stage would take half of it. The two batches on their way share the
 * pool of 32 requests, 16 each: the pipeline serves more than one GPU with that pool only as far as prompts take half
 * the time; with a pool for each batch it would serve twice as many. */
static void test_the_formula_of_a_pipeline(void **state)
{
    (void)state;
    const char *one = "\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"cluster\": {\"replicas\": 10, "
                      "\"pipeline_parallel\": 1}";
    const char *two = "\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"cluster\": {\"replicas\": 10, "
                      "\"pipeline_parallel\": 2}";
    const char *decodes = "{\"name\": \"chunked_prefill\", \"token_budget\": 4096, \"max_sequences\": 1000}";
    const char *small = ", \"kv_blocks\": 2100, \"admission\": \"on_demand\"";
    struct analytic_estimate alone = estimate_fixed(one, decodes, small), piped = estimate_fixed(two, decodes, small);
    double slower = piped.tpot_s / alone.tpot_s, more = piped.capacity_per_s / alone.capacity_per_s;
    if (!(slower > 0.75 && slower < 1 && more > 1 && more < 1.75))
        fail_msg("%g times as long, %g times as many", slower, more);
}

/* Two axes, the last one fastest; the same seeds everywhere, so that the third replication of each is seed 3. */
static void test_points_of_a_sweep(void **state)
{
    (void)state;
    char text[2000];
    struct json root;
    struct sweep s;
    struct sweep_point *points = NULL;
    size_t count = 0;
    struct error err = {0};
    snprintf(text, sizeof text,
             "{\"scenario\": {" QUEUE "}, \"replications\": 3, \"vary\": {\"cluster.replicas\": [1, 2],"
             "\"workload.arrivals.rate_per_s\": {\"from\": 100, \"to\": 400, \"steps\": 3, \"log\": true}}}",
             100.0);
    expect_ok(json_parse(text, "sweep", &root, &err), &err);
    expect_ok(sweep_read(&s, root, &err), &err);
    expect_ok(sweep_points_make(&s, &points, &count, &err), &err);
    assert_int_equal(count, 6);
    assert_string_equal(points[1].label, "cluster.replicas=1, workload.arrivals.rate_per_s=200");
    assert_string_equal(points[5].label, "cluster.replicas=2, workload.arrivals.rate_per_s=400");
    sweep_points_release(points, count);
    sweep_release(&s);
    /* Nothing said, a best is looked for among at most 64 replications of a point, a precision in at most 1024. */
    static const char *const asked[] = {", \"best\": \"least\", \"metric\": \"e2e_s.mean\"", ", \"precision\": 0.01",
                                        ""};
    static const size_t most[] = {64, 1024, 1};
    for (size_t i = 0; i < 3; i++) {
        snprintf(text, sizeof text, "{\"scenario\": {" QUEUE "}, \"vary\": {\"cluster.replicas\": [1, 2]}%s}", 100.0,
                 asked[i]);
        expect_ok(json_parse(text, "sweep", &root, &err), &err);
        expect_ok(sweep_read(&s, root, &err), &err);
        assert_int_equal(s.replications, most[i]);
        sweep_release(&s);
    }
}

/* Points are told apart by their labels when a sweep goes on: values that differ in their last of 3 000 letters, too.
 */
static void test_long_values_keep_points_apart(void **state)
{
    (void)state;
    static char text[10000], letters[3001];
    struct json root;
    struct sweep s;
    struct sweep_point *points = NULL;
    size_t count = 0;
    struct error err = {0};
    memset(letters, 'a', 3000);
    snprintf(text, sizeof text, "{\"scenario\": {" QUEUE "}, \"vary\": {\"about\": [\"%s1\", \"%s2\"]}}", 100.0,
             letters, letters);
    expect_ok(json_parse(text, "sweep", &root, &err), &err);
    expect_ok(sweep_read(&s, root, &err), &err);
    expect_ok(sweep_points_make(&s, &points, &count, &err), &err);
    assert_int_equal(count, 2);
    assert_int_equal(strlen(points[0].label), strlen("about=\"\"") + 3001);
    assert_string_not_equal(points[0].label, points[1].label);
    sweep_points_release(points, count);
    sweep_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_intervals_by_hand),
        cmocka_unit_test(test_signs_of_skewed_means),
        cmocka_unit_test(test_selection_by_hand),
        cmocka_unit_test(test_selection_is_right_as_often_as_it_says),
        cmocka_unit_test(test_capacity_of_a_queue_in_closed_form),
        cmocka_unit_test(test_a_plan_in_closed_form),
        cmocka_unit_test(test_a_plan_that_cannot_be_met),
        cmocka_unit_test(test_a_kept_trial_comes_back_exactly),
        cmocka_unit_test(test_the_formula_of_one_server),
        cmocka_unit_test(test_the_formula_of_two_servers),
        cmocka_unit_test(test_the_formula_of_several_kinds),
        cmocka_unit_test(test_the_formula_leaves_out_what_is_refused),
        cmocka_unit_test(test_the_formula_of_decodes),
        cmocka_unit_test(test_the_formula_of_a_token_budget),
        cmocka_unit_test(test_the_formula_of_a_small_pool),
        cmocka_unit_test(test_the_formula_of_whole_batches),
        cmocka_unit_test(test_the_formula_of_two_pools),
        cmocka_unit_test(test_the_formula_of_a_pipeline),
        cmocka_unit_test(test_points_of_a_sweep),
        cmocka_unit_test(test_long_values_keep_points_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
