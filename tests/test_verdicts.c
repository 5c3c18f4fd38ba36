/* SPDX-License-Identifier: MIT */
/* Verdicts: requests that were not served, targets without values, overload, load and utilisation, worked out by hand.
 */
#include <math.h>

#include "reports/store/store.h"
#include "tests/harness.h"

enum { MS = 1000000 };

/* Ranks are q·n rounded up, in whole numbers: of 1000 values 99.9 % are 999, of 700 values 99 % are 693 and not 694. */
static void test_ranks_are_exact(void **state)
{
    (void)state;
    static const struct {
        double q;
        uint64_t of_1000;
    } quantiles[] = {{0.5, 500}, {0.9, 900}, {0.95, 950}, {0.99, 990}, {0.999, 999}};
    for (size_t k = 0; k < sizeof quantiles / sizeof *quantiles; k++)
        for (uint64_t n = 1; n <= 20000; n++)
            assert_int_equal(quantile_rank(quantiles[k].q, n), (quantiles[k].of_1000 * n + 999) / 1000);
    assert_int_equal(quantile_rank(0, 10), 1);
    assert_int_equal(quantile_rank(1, 10), 10);
}

/* Values of which every percentile is within what was recorded: 408.5 ms lies in a bucket whose middle is above it. */
static void test_percentiles_lie_within_the_values(void **state)
{
    (void)state;
    for (int64_t top = 408000000; top < 409000000; top += 12345) {
        struct histogram h = {0};
        for (int64_t i = 0; i < 1000; i++)
            assert_int_equal(histogram_add(&h, top - 50 * (i % 3), 1), 0);
        static const double at[] = {0, 0.5, 0.9, 0.99, 0.999, 1};
        for (size_t k = 0; k < sizeof at / sizeof *at; k++) {
            int64_t v = histogram_quantile(&h, at[k]);
            assert_true(v >= top - 100 && v <= top);
        }
        assert_int_equal(histogram_quantile(&h, 0), top - 100);
        assert_int_equal(histogram_quantile(&h, 1), top);
        histogram_release(&h);
    }
}

/* An SLO judged by hand: requests that finish take a TTFT, the others are never served. */
struct judged {
    struct slo slo;
    struct attainment attainment;
    struct samples samples[METRIC_COUNT];
    struct slo_verdict verdict;
    struct json root;
    uint64_t requests;
};

static void begin(struct judged *j, const char *slo)
{
    struct error err = {0};
    *j = (struct judged){0};
    expect_ok(json_parse(slo, "test", &j->root, &err), &err);
    struct json at = json_member(&j->root, "slo");
    expect_ok(slo_read(&j->slo, &at, &(struct json){0}, &err), &err);
    expect_ok(attainment_init(&j->attainment, &j->slo, &err), &err);
    for (int m = 0; m < METRIC_COUNT; m++)
        samples_init(&j->samples[m], 5);
}

/* A request that arrives at `at_ms` and has its first token after `ttft_ms`, or never below 0; gaps of 1 ms. */
static void request(struct judged *j, int at_ms, int ttft_ms, uint32_t output_tokens, uint32_t priority)
{
    struct request r = {.id = j->requests++, .arrival = (sim_time)at_ms * MS, .prompt_tokens = 1};
    r.output_tokens = output_tokens;
    r.origin.priority = priority;
    r.first_scheduled = r.arrival;
    r.first_token = r.arrival + (sim_time)ttft_ms * MS;
    r.last_token = r.first_token + (sim_time)(output_tokens - 1) * MS;
    attainment_arrived(&j->attainment, 0, &r);
    if (ttft_ms < 0) {
        attainment_refused(&j->attainment, 0, j->requests == 1 ? "the first" : "a later one");
        return;
    }
    struct request_metrics q = request_metrics_of(&r);
    for (int m = 0; m < METRIC_COUNT; m++)
        if (q.at[m] >= 0)
            assert_int_equal(samples_add(&j->samples[m], r.id, q.at[m], 1), 0);
    for (uint32_t i = 1; i < output_tokens; i++)
        assert_int_equal(samples_add(&j->samples[METRIC_ITL], r.id, MS, 1), 0);
    attainment_finished(&j->attainment, 0, &r, &q);
}

static void judge(struct judged *j, double rest_s)
{
    struct error err = {0};
    struct warmup_cut none = {0};
    expect_ok(attainment_judge(&j->attainment, j->samples, &none, rest_s, &j->verdict, &err), &err);
    attainment_release(&j->attainment);
    for (int m = 0; m < METRIC_COUNT; m++)
        samples_release(&j->samples[m]);
    cJSON_Delete((cJSON *)(uintptr_t)j->root.node);
}

/* `served` requests with TTFTs of 1, 2, … ms after `unserved` that are never served. */
static void serve(struct judged *j, const char *slo, int unserved, int served)
{
    begin(j, slo);
    for (int i = 0; i < unserved; i++)
        request(j, 0, -1, 1, 0);
    for (int i = 1; i <= served; i++)
        request(j, 0, i, 1, 0);
    judge(j, 1);
}

/* Of 100 requests rank 99 is p99. One not served is rank 100: p99 is the largest of the 99 that are, 99 ms. Two are
 * ranks 99 and 100: p99 is infinite, and one may miss where two do: log(1 / 2). Without any, it is 99 ms of 100. */
static void test_unserved_requests_shift_percentiles(void **state)
{
    (void)state;
    static const char slo[] = "{\"slo\": {\"ttft_s\": {\"p99\": 0.099}}}";
    struct judged j;
    serve(&j, slo, 0, 100);
    assert_true(j.verdict.unserved == 0 && j.verdict.reason == NULL);
    assert_true(fabs(j.verdict.limits[0].value - 0.099) < 1e-4);
    serve(&j, slo, 1, 99);
    assert_true(j.verdict.met && j.verdict.limits[0].value == 0.099); /* the largest is exact: at the limit it is met */
    assert_true(j.verdict.unserved == 1 && j.verdict.arrived == 100);
    assert_string_equal(j.verdict.reason, "the first");
    serve(&j, slo, 2, 98);
    assert_true(isinf(j.verdict.limits[0].value) && j.verdict.limits[0].judged && !j.verdict.limits[0].met);
    assert_true(!j.verdict.met && fabs(j.verdict.margin - log(0.5)) < 1e-12);
    assert_string_equal(j.verdict.binding, "ttft_s p99");
    assert_string_equal(j.verdict.reason, "the first");
    serve(&j, slo, 178, 22);
    assert_true(!j.verdict.met && fabs(j.verdict.margin - log(2.0 / 178)) < 1e-12);
    serve(&j, slo, 3, 0);
    assert_true(!j.verdict.met && isinf(j.verdict.limits[0].value));
}

/* One infinite value makes a mean and a maximum infinite; half a request may: log(0.5 / 1). */
static void test_an_unserved_request_makes_means_and_maxima_infinite(void **state)
{
    (void)state;
    static const char *const slos[] = {"{\"slo\": {\"ttft_s\": {\"mean\": 9}}}",
                                       "{\"slo\": {\"ttft_s\": {\"max\": 9}}}"};
    struct judged j;
    for (int i = 0; i < 2; i++) {
        serve(&j, slos[i], 0, 1000);
        assert_true(j.verdict.met);
        assert_true(fabs(j.verdict.limits[0].value - (i ? 1 : 0.5005)) < 1e-12);
        serve(&j, slos[i], 1, 999);
        assert_true(!j.verdict.met && isinf(j.verdict.limits[0].value));
        assert_true(fabs(j.verdict.margin - log(0.5)) < 1e-12);
    }
}

/* 98 of 100 within: a target of 98 % is met, with as many misses as may be; 98.1 % is not. Requests that were not
 * served miss. Goodput: 98 a second of 98, and not of 98.1. */
static void test_shares_count_unserved_requests_as_misses(void **state)
{
    (void)state;
    struct judged j;
    static const char at[] = "{\"slo\": {\"ttft_s\": {\"p50\": 1}, \"attainment\": 0.98, \"goodput_per_s\": 98}}";
    serve(&j, at, 2, 98);
    assert_true(j.verdict.met && j.verdict.attainment[0].value == 0.98 && j.verdict.goodput.value == 98);
    assert_true(fabs(j.verdict.attainment[0].margin) < 1e-9 && j.verdict.goodput.margin == 0);
    static const char above[] = "{\"slo\": {\"ttft_s\": {\"p50\": 1}, \"attainment\": 0.981, \"goodput_per_s\": 98.1}}";
    serve(&j, above, 2, 98);
    assert_true(!j.verdict.met && j.verdict.missed == 2);
    assert_true(fabs(j.verdict.attainment[0].margin - log(1.9 / 2)) < 1e-9);
    assert_true(fabs(j.verdict.goodput.margin - log(98 / 98.1)) < 1e-12);
    /* Within a limit is at it, too: of 1 and 2 ms half are within 1 ms. */
    serve(&j, "{\"slo\": {\"ttft_s\": {\"p50\": 0.001}}}", 0, 2);
    assert_true(j.verdict.attainment[0].value == 0.5);
    /* An attainment alone asks that requests are served. */
    serve(&j, "{\"slo\": {\"attainment\": 0.99}}", 2, 98);
    assert_true(j.verdict.asked && !j.verdict.met);
}

/* TPOT of single tokens has no value: it is neither met nor missed, and the SLO is not met by it. */
static void test_a_target_without_a_value_is_not_judged(void **state)
{
    (void)state;
    struct judged j;
    static const char slo[] =
        "{\"slo\": {\"ttft_s\": {\"p99\": 1}, \"tpot_s\": {\"p99\": 0.1}, \"itl_s\": {\"max\": 1}}}";
    serve(&j, slo, 0, 10);
    assert_true(!j.verdict.limits[1].judged && isnan(j.verdict.limits[1].value) && !j.verdict.limits[1].met);
    assert_true(!j.verdict.met && j.verdict.missed == 0 && j.verdict.unjudged == 2);
    assert_string_equal(j.verdict.unjudged_first, "tpot_s p99");
    assert_true(j.verdict.limits[0].met && j.verdict.margin < INFINITY); /* the margin is of what was judged */
    /* One that was not served is late for it, too. */
    serve(&j, slo, 1, 10);
    assert_true(j.verdict.limits[1].judged && !j.verdict.limits[1].met && j.verdict.unjudged == 0);
}

/* Gaps of 1 ms, 4 each of 25 requests: 100; one more request of 2 tokens owes 1, which p99 of 101 (rank 100) leaves out
 * and max does not; one of 3 owes 2, of 102 rank 101. */
static void test_unserved_requests_owe_their_gaps(void **state)
{
    (void)state;
    for (uint32_t owed = 1; owed <= 2; owed++) {
        struct judged j;
        begin(&j, "{\"slo\": {\"itl_s\": {\"p99\": 0.001, \"max\": 0.001}}}");
        for (int i = 0; i < 25; i++)
            request(&j, 0, 5, 5, 0);
        request(&j, 0, -1, owed + 1, 0);
        judge(&j, 1);
        assert_int_equal(j.verdict.limits[0].met, owed == 1);
        assert_false(j.verdict.limits[1].met);
    }
}

/* Class 1 has 10 requests of which one is not served: its p90 (rank 9) is met, its p95 (rank 10) is not; that of
 * everybody (rank 19 of 20) is. A class without requests has no value. Windows of 1 s: the first has the request that
 * was not served, so it misses p95 (rank 10 of 10), the second keeps it. */
static void test_classes_and_windows_count_unserved_requests(void **state)
{
    (void)state;
    struct judged j;
    begin(&j, "{\"slo\": {\"ttft_s\": {\"p95\": 1}, \"windows\": {\"length_s\": 1, \"share\": 0.5}, \"classes\": {"
              "\"one\": {\"priority\": 1, \"ttft_s\": {\"p90\": 1, \"p95\": 1}},"
              "\"none\": {\"priority\": 7, \"ttft_s\": {\"p50\": 1}, \"attainment\": 0.5}}}}");
    for (int i = 0; i < 20; i++)
        request(&j, i < 10 ? 0 : 1500, i == 3 ? -1 : 10, 1, i < 10);
    judge(&j, 1);
    const struct slo_verdict *v = &j.verdict;
    assert_true(v->limits[0].met && v->limits[1].met && !v->limits[2].met && v->limits[2].judged);
    assert_true(!v->limits[3].judged && !v->attainment[2].judged && v->unjudged == 2);
    assert_int_equal(v->window_count, 2);
    assert_int_equal(v->windows_missed, 1);
    assert_true(v->windows.met && v->worst_window_s == 0 && v->missed == 1);
}

/* Five windows of 1 s with three requests each. The first request of the second and the last of the fourth are not
 * served: these two miss a p99 (rank 3 of 3), the others keep it, and the second is the first of the worst. */
static void test_an_unserved_request_is_missed_in_its_own_window(void **state)
{
    (void)state;
    struct judged j;
    begin(&j, "{\"slo\": {\"ttft_s\": {\"p99\": 1}, \"windows\": {\"length_s\": 1, \"share\": 0.6}}}");
    for (int i = 0; i < 15; i++)
        request(&j, i / 3 * 1000 + i % 3 * 100, i == 3 || i == 11 ? -1 : 10, 1, 0);
    judge(&j, 1);
    assert_int_equal(j.verdict.window_count, 5);
    assert_int_equal(j.verdict.windows_missed, 2);
    assert_true(j.verdict.windows.met && j.verdict.worst_window_s == 1);
}

/* Of 10 requests in a window one may miss a p90. Three do: the margin is log(1/3); one does: 0; of 40 none does, which
 * counts as half of one of the 4 that may: log(8). A rate of less than one request a second may be asked. */
static void test_margins_of_windows_by_hand(void **state)
{
    (void)state;
    static const int cases[][2] = {{10, 3}, {10, 1}, {40, 0}};
    const double margins[] = {log(1.0 / 3), 0, log(8)};
    for (size_t i = 0; i < 3; i++) {
        struct judged j;
        begin(&j, "{\"slo\": {\"ttft_s\": {\"p90\": 1}, \"windows\": {\"length_s\": 1, \"share\": 1}, "
                  "\"goodput_per_s\": 0.5}}");
        for (int k = 0; k < cases[i][0]; k++)
            request(&j, k, k < cases[i][1] ? 2000 : 10, 1, 0);
        judge(&j, 1);
        assert_int_equal(j.verdict.windows_missed, i == 0);
        assert_true(fabs(j.verdict.windows.margin - margins[i]) < 1e-6);
        assert_true(j.verdict.goodput.met && fabs(j.verdict.goodput.value - (cases[i][0] - cases[i][1])) < 1e-9);
    }
    /* A window is judged by limits on everybody, and not by gaps between tokens: 5 ms for a class's first tokens and
     * 0.1 ms for a gap are missed by all of these 40, the second of everybody keeps log(8). */
    struct judged j;
    begin(
        &j,
        "{\"slo\": {\"ttft_s\": {\"p90\": 1}, \"itl_s\": {\"p90\": 0.0001}, \"windows\": {\"length_s\": 1, \"share\": "
        "1}, \"classes\": {\"one\": {\"priority\": 1, \"ttft_s\": {\"p90\": 0.005}}}}}");
    for (int k = 0; k < 40; k++)
        request(&j, k, 10, 3, 1);
    judge(&j, 1);
    assert_true(!j.verdict.limits[1].met && !j.verdict.limits[2].met);
    assert_int_equal(j.verdict.windows_missed, 0);
    assert_true(fabs(j.verdict.windows.margin - log(8)) < 1e-6);
}

#define SERVER                                                                                                         \
    "{\"seed\": %d, \"model\": \"ideal\", \"device\": \"ideal-server\", \"cluster\": {\"replicas\": %d, \"routing\": " \
    "\"session_affinity\"}, \"policy\": {\"order\": \"%s\", \"batching\": {\"name\": \"continuous\", "                 \
    "\"max_sequences\": "                                                                                              \
    "1}}, \"workload\": {%s, \"requests\": %d, \"lengths\": {\"prompt\": {\"name\": \"exponential\", \"mean\": "       \
    "100000}, "                                                                                                        \
    "\"output\": {\"name\": \"fixed\", \"tokens\": 1}}}}"

static bool is_overloaded(int seed, int replicas, const char *order, const char *arrivals, int requests)
{
    char text[1000];
    struct run_summary r;
    snprintf(text, sizeof text, SERVER, seed, replicas, order, arrivals, requests);
    run_scenario(text, &r);
    return r.overloaded;
}

#define POISSON(RATE) "\"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": " #RATE "}"

/* M/M/1 with a service of 1 ms: at a load of 0.8 never, at 1.2 always, whatever the order. Shorter runs than these say
 * less for certain, and are then not called overloaded: at 1.2 a queue of 100 requests is 20 ± 14 long in the end. */
static void test_overload_is_found_where_it_is(void **state)
{
    (void)state;
    static const char *const orders[] = {"fcfs", "sjf"};
    for (int seed = 1; seed <= 100; seed++) {
        const char *order = orders[seed % 2];
        assert_false(is_overloaded(seed, 1, order, POISSON(800), 4000));
        assert_true(is_overloaded(seed, 1, order, POISSON(1200), 4000));
    }
}

static void test_short_runs_are_not_called_overloaded_for_their_first_queue(void **state)
{
    (void)state;
    static const int lengths[] = {2, 5, 10, 20, 50, 100, 300};
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++)
        for (int seed = 1; seed <= 100; seed++)
            assert_false(is_overloaded(seed, 1, "fcfs", POISSON(800), lengths[k]));
}

/* At five times what the server can do, 50 requests are enough. */
static void test_short_runs_are_called_overloaded_where_that_is_plain(void **state)
{
    (void)state;
    int found = 0;
    for (int seed = 1; seed <= 100; seed++)
        found += is_overloaded(seed, 1, "fcfs", POISSON(5000), 50);
    assert_true(found >= 95);
}

/* Clients that wait for their answers, also the few that come again while the first ones of all clients are served; a
 * batch job; and fifty requests in a hundredth of the time that one takes. */
static void test_closed_loops_and_bursts_are_never_overloaded(void **state)
{
    (void)state;
    for (int requests = 10; requests <= 3000; requests *= 3)
        for (int clients = 1; clients <= 100; clients *= 10) {
            char closed[120];
            snprintf(closed, sizeof closed, "\"arrivals\": {\"name\": \"closed_loop\", \"concurrency\": %d}", clients);
            assert_false(is_overloaded(1, 1, "fcfs", closed, requests));
            assert_false(is_overloaded(1, 1, "fcfs", closed, clients + clients / 10));
        }
    assert_false(is_overloaded(1, 1, "fcfs", "\"arrivals\": \"at_once\"", 1000));
    assert_false(is_overloaded(1, 1, "fcfs", POISSON(10000000), 50));
}

/* Looks that find 0, 1, 2 and 3 waiting are too few to be sure, however even; forty that find ten more each are not,
 * though no wait is known yet. Waits that grow by 1 ms a request, one every 2 ms, are growth; all at one instant they
 * are not; nor where they grow by 1 % of the time that passes. */
static void test_growth_by_hand(void **state)
{
    (void)state;
    struct queue_growth few = {0}, many = {0}, waits[3] = {few, few, few};
    for (int i = 0; i < 40; i++) {
        few.served = many.served = true;
        if (i < 4)
            queue_growth_arrive(&few, (uint64_t)i);
        queue_growth_arrive(&many, 10 * (uint64_t)i);
        for (int k = 0; k < 3; k++) {
            queue_growth_arrive(&waits[k], 0);
            queue_growth_serve(&waits[k], (uint64_t)i, k == 1 ? 0 : (sim_time)i * 2 * MS,
                               (sim_time)i * (k == 2 ? MS / 50 : MS));
        }
    }
    assert_false(queue_growth_found(&few, 1));
    assert_true(queue_growth_found(&many, 1));
    assert_true(queue_growth_found(&waits[0], 1));
    assert_false(queue_growth_found(&waits[1], 1));
    assert_false(queue_growth_found(&waits[2], 1));
}

/* Forty looks are twenty blocks of two: the sixth has looks 10 and 11. Of twenty looks at 0, 10, … 180, 140 the last
 * step is −40: the mean step of 7.4 is 2.8 of its standard errors, too few for a chance of 0.025 %, while without that
 * step it would be 12. */
static void test_blocks_of_growth_by_hand(void **state)
{
    (void)state;
    struct queue_growth g = {0}, falls = {0};
    for (uint64_t i = 0; i < 40; i++) {
        g.served = falls.served = true;
        queue_growth_arrive(&g, 10 * i);
        if (i < 20)
            queue_growth_arrive(&falls, i < 19 ? 10 * i : 140);
    }
    assert_int_equal(g.queued.width, 2);
    assert_true(g.queued.blocks[5].count == 2 && g.queued.blocks[5].values == 210 && g.queued.blocks[5].times == 21);
    assert_true(g.queued.blocks[19].count == 2 && g.queued.blocks[19].values == 770 && g.queued.blocks[20].count == 0);
    assert_false(queue_growth_found(&falls, 1));
}

/* Four replicas, 1.2 requests in the time of a service, all of one conversation and so to one replica. It is
 * overloaded; the four together are at a load of 0.3. Sent to the least loaded they are not. */
static void test_one_hot_replica_among_several_is_overloaded(void **state)
{
    (void)state;
    FILE *out = fopen("build/test_hot.jsonl", "w");
    for (int i = 0; i < 3000; i++)
        fprintf(out, "{\"arrival_s\": %.6f, \"prompt_tokens\": %d, \"output_tokens\": 1, \"session\": 7}\n", i / 1200.0,
                90000 + 20000 * (i % 2));
    fclose(out);
    static const char text[] = "{\"model\": \"ideal\", \"device\": \"ideal-server\", \"cluster\": {\"replicas\": 4, "
                               "\"routing\": \"%s\"}, \"policy\": {\"batching\": {\"name\": \"continuous\", "
                               "\"max_sequences\": 1}}, \"workload\": {\"trace\": \"build/test_hot.jsonl\"}}";
    char with[600];
    struct run_summary r;
    snprintf(with, sizeof with, text, "session_affinity");
    run_scenario(with, &r);
    assert_true(r.overloaded);
    assert_memory_equal(r.overloaded_station, "replica:", 8);
    snprintf(with, sizeof with, text, "least_outstanding_requests");
    run_scenario(with, &r);
    assert_false(r.overloaded);
    snprintf(with, sizeof with, text, "central_queue");
    run_scenario(with, &r);
    assert_false(r.overloaded);
}

/* An overloaded run meets nothing, even where its limits happen to hold. */
static void test_an_overloaded_run_does_not_meet_its_slo(void **state)
{
    (void)state;
    static const char text[] =
        "{\"model\": \"ideal\", \"device\": \"ideal-server\", \"policy\": {\"batching\": {\"name\": \"continuous\", "
        "\"max_sequences\": 1}}, \"slo\": {\"ttft_s\": {\"p99\": 1000}}, \"workload\": {\"arrivals\": {\"name\": "
        "\"poisson\", \"rate_per_s\": %d}, \"requests\": 4000, \"lengths\": {\"prompt\": {\"name\": \"fixed\", "
        "\"tokens\": 100000}, \"output\": {\"name\": \"fixed\", \"tokens\": 1}}}}";
    for (int rate = 800; rate <= 1200; rate += 400) {
        char with[600];
        struct run_summary r;
        snprintf(with, sizeof with, text, rate);
        run_scenario(with, &r);
        assert_int_equal(r.overloaded, rate > 1000);
        assert_int_equal(r.slo.met, rate < 1000);
        assert_true(r.slo.limits[0].met);
    }
}

/* Five requests, one every 4 ms, of 1 ms each on one server: it has work for 5 of 17 ms. One at a time,
 * ρ is λ/μ = busy = 5/17, with λ = 5 / 17 ms. With batches it is the rate while they came, 4 in 16 ms, over what can be
 * sustained, by formula 1000 a second: 0.25. Two replicas sustain twice that: 0.125. Each has half of it, and replica 0
 * gets 3 of the 5, 2 in 16 ms after the first one: 0.125 again. */
static void test_load_and_utilisation_by_hand(void **state)
{
    (void)state;
    static const char text[] =
        "{\"model\": \"ideal\", \"device\": \"ideal-server\", \"cluster\": {\"replicas\": %d}, \"policy\": "
        "{\"batching\": "
        "{\"name\": \"continuous\", \"max_sequences\": %d}}, \"workload\": {\"arrivals\": {\"name\": "
        "\"deterministic\", "
        "\"rate_per_s\": 250}, \"requests\": 5, \"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": 100000}, "
        "\"output\": {\"name\": \"fixed\", \"tokens\": 1}}}}";
    static const struct {
        int replicas, most;
        double busy, load;
    } cases[] = {{1, 1, 5.0 / 17, 0.25}, {1, 8, 5.0 / 17, 0.25}, {2, 8, 2.5 / 17, 0.125}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char with[700];
        struct error err = {0};
        snprintf(with, sizeof with, text, cases[i].replicas, cases[i].most);
        struct simulation *s = open_simulation(with);
        expect_ok(simulation_run(s, &(struct simulation_options){.sustainable = true}, &err), &err);
        const struct run_summary *r = &s->summary;
        struct station_summary first =
            run_metrics_station(&s->metrics, &s->scenario, (struct station_id){0}, false, r->duration_s);
        const struct run_sections *sections = &s->metrics.sections;
        double span = sim_time_to_s(sections->last[sections->count - 1] - sections->first[0]);
        double end = sim_time_to_s(r->totals.end);
        assert_true(fabs(span - 0.016) < 1e-9);
        assert_true(fabs(r->load - cases[i].load) < 1e-9);
        assert_true(fabs(r->system.busy - cases[i].busy * 0.017 / end) < 1e-9);
        assert_true(fabs(r->utilization - r->system.busy) < 1e-12);
        bool one = cases[i].most == 1;
        assert_true(fabs(r->system.utilization - (one ? r->system.busy : cases[i].load)) < 1e-9);
        assert_true(!one || fabs(r->system.utilization - r->system.arrival_rate / r->system.service_rate) < 1e-9);
        assert_true(fabs(first.utilization - (one ? first.busy : cases[i].load)) < 1e-9);
        simulation_close(s);
    }
}

/* The model has 2 · (4 + 2) weights next to a head of 1. A prompt of 10 and one decode: 11 tokens, 10 · 11 / 2 + 11
 * scores, 2 heads: 2 · 12 · 11 + 4 · 2 · 66 + 2 · 2 = 796 operations. One request keeps its replica busy from first to
 * last, against a peak of 165.2 · 10^12 a second. It holds 1 of 4 blocks, and another replica none of its 4: an eighth
 * of the pool all the time, whatever the share of it that replicas are busy. A replica's 64 tokens have room for one
 * request of the longest 64, and for 64 / 12 of the mean length. */
static void test_mfu_and_kv_use_by_hand(void **state)
{
    (void)state;
    FILE *out = fopen("build/test_mfu.jsonl", "w");
    fputs("{\"arrival_s\": 0, \"prompt_tokens\": 10, \"output_tokens\": 2}\n", out);
    fclose(out);
    out = fopen("build/test_mfu_model.json", "w");
    fputs("{\"name\": \"two\", \"source\": \"not a model\", \"layers\": 2, \"hidden\": 1, \"intermediate\": 1, "
          "\"heads\": 1, \"kv_heads\": 1, \"head_dim\": 1, \"vocab\": 1, \"max_tokens\": 64, \"gated_mlp\": false, "
          "\"tied_head\": true, \"bytes_per_weight\": 2, \"bytes_per_kv\": 2}",
          out);
    fclose(out);
    struct run_summary r;
    run_scenario("{\"model\": \"build/test_mfu_model.json\", \"device\": \"rtx-4090\", \"policy\": {\"batching\": "
                 "\"continuous\", \"kv_blocks\": 4, \"kv_block_tokens\": 16}, \"cluster\": {\"replicas\": 2}, "
                 "\"workload\": {\"trace\": \"build/test_mfu.jsonl\"}}",
                 &r);
    double busy_s = sim_time_to_s(r.totals.end);
    assert_true(fabs(r.mfu * busy_s * 165.2e12 - 796) < 1e-6);
    assert_true(fabs(r.utilization - 0.5) < 1e-12);
    assert_true(fabs(r.mean_kv_use - 0.125) < 1e-9 && fabs(r.peak_kv_use - 0.125) < 1e-12);
    assert_int_equal(r.kv[0].blocks, 4);
    assert_int_equal(r.kv[0].tokens, 64);
    assert_true(r.kv[0].at_longest == 1 && fabs(r.kv[0].at_mean - 64.0 / 12) < 1e-12);
    /* Scheduling ahead, the request's end is found a row too late, which is no work of the model's. */
    run_scenario(
        "{\"model\": \"build/test_mfu_model.json\", \"device\": \"rtx-4090\", \"engine\": {\"schedule_ahead\": "
        "true}, \"policy\": {\"batching\": \"continuous\", \"kv_blocks\": 4, \"kv_block_tokens\": 16}, "
        "\"workload\": {\"trace\": \"build/test_mfu.jsonl\", \"max_output_tokens\": 9}}",
        &r);
    assert_int_equal(r.totals.iterations, 3);
    assert_true(fabs(r.mfu * r.utilization * sim_time_to_s(r.totals.end) * 165.2e12 - 796) < 1e-6);
}

/* A fast server next to what came before it: 100 requests of 10 ms each in a row, one every 20 ms, after 100 that came
 * at once. All but the latter wait for nothing, and they are cut; a batch job has no warm-up. */
static void test_the_cut_is_an_instant(void **state)
{
    (void)state;
    static const char text[] =
        "{\"model\": \"ideal\", \"device\": \"ideal-server\", \"output\": {\"warmup\": \"mser5\"}, "
        "\"policy\": {\"batching\": {\"name\": \"continuous\", \"max_sequences\": 1}}, "
        "\"workload\": {\"trace\": \"build/test_cut.jsonl\"}, \"slo\": {\"ttft_s\": {\"max\": "
        "0.0011}, \"attainment\": 1}}";
    struct run_summary r;
    for (int later = 0; later <= 300; later += 300) {
        FILE *out = fopen("build/test_cut.jsonl", "w");
        for (int i = 0; i < 100 + later; i++)
            fprintf(out, "{\"arrival_s\": %.6f, \"prompt_tokens\": %d, \"output_tokens\": 1}\n",
                    i < 100 ? 0 : 0.2 + 0.002 * (i - 100), 100000 - i % 3);
        fclose(out);
        run_scenario(text, &r);
        if (later == 0) {
            assert_true(r.warmup.requests == 0 && r.warmup.at == 0 && !r.slo.met);
            continue;
        }
        /* Sections of 20 requests: 100 is the start of one, and so is the cut, or a little later. */
        assert_true(r.warmup.requests >= 100 && r.warmup.requests <= 140 && r.warmup.requests % 20 == 0);
        assert_true(fabs(sim_time_to_s(r.warmup.at) - (0.2 + 0.002 * ((double)r.warmup.requests - 100))) < 1e-9);
        uint64_t left = 400 - r.warmup.requests;
        for (int m = 0; m < METRIC_COUNT; m++)
            assert_int_equal(r.metrics[m].count, m == METRIC_TPOT || m == METRIC_ITL ? 0 : left);
        assert_int_equal(r.slo.arrived, left);
        assert_true(r.slo.met && r.slo.attainment[0].value == 1);
        assert_true(fabs(r.requests_per_s - (double)left / (r.duration_s - sim_time_to_s(r.warmup.at))) < 1e-9);
        assert_int_equal(r.all[METRIC_E2E].count, 400);
        assert_true(isnan(r.metrics[METRIC_TPOT].at[STAT_P99].value));
    }
}

/* 20 requests one by one, 300 at once, of which the first 130 are long, and 80 one by one; each has a server of its
 * own. MSER-5 would cut what comes before the short ones, and the next instant after that is where the 80 begin: they
 * met the limit, and many of those before them did not. */
static void test_the_cut_leaves_half_of_the_run(void **state)
{
    (void)state;
    struct run_summary r;
    FILE *out = fopen("build/test_half.jsonl", "w");
    for (int i = 0; i < 400; i++)
        fprintf(out, "{\"arrival_s\": %.6f, \"prompt_tokens\": %d, \"output_tokens\": 1}\n",
                i < 20    ? 0.002 * i
                : i < 320 ? 0.1
                          : 2 + 0.002 * (i - 320),
                i < 20 || i >= 150 ? 1000 - i % 3 : 1000000);
    fclose(out);
    run_scenario("{\"model\": \"ideal\", \"device\": \"ideal-server\", \"output\": {\"warmup\": \"mser5\"}, "
                 "\"cluster\": {\"replicas\": 400}, \"workload\": {\"trace\": \"build/test_half.jsonl\"}, \"slo\": "
                 "{\"ttft_s\": {\"max\": 0.0011}}}",
                 &r);
    assert_int_equal(r.warmup.requests, 20);
    assert_true(r.warmup.at == sim_time_from_s(0.1) && !r.slo.met);
    assert_int_equal(r.metrics[METRIC_E2E].count, 380);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks_are_exact),
        cmocka_unit_test(test_percentiles_lie_within_the_values),
        cmocka_unit_test(test_unserved_requests_shift_percentiles),
        cmocka_unit_test(test_an_unserved_request_makes_means_and_maxima_infinite),
        cmocka_unit_test(test_shares_count_unserved_requests_as_misses),
        cmocka_unit_test(test_a_target_without_a_value_is_not_judged),
        cmocka_unit_test(test_unserved_requests_owe_their_gaps),
        cmocka_unit_test(test_classes_and_windows_count_unserved_requests),
        cmocka_unit_test(test_an_unserved_request_is_missed_in_its_own_window),
        cmocka_unit_test(test_margins_of_windows_by_hand),
        cmocka_unit_test(test_growth_by_hand),
        cmocka_unit_test(test_blocks_of_growth_by_hand),
        cmocka_unit_test(test_overload_is_found_where_it_is),
        cmocka_unit_test(test_short_runs_are_not_called_overloaded_for_their_first_queue),
        cmocka_unit_test(test_short_runs_are_called_overloaded_where_that_is_plain),
        cmocka_unit_test(test_closed_loops_and_bursts_are_never_overloaded),
        cmocka_unit_test(test_one_hot_replica_among_several_is_overloaded),
        cmocka_unit_test(test_an_overloaded_run_does_not_meet_its_slo),
        cmocka_unit_test(test_load_and_utilisation_by_hand),
        cmocka_unit_test(test_mfu_and_kv_use_by_hand),
        cmocka_unit_test(test_the_cut_is_an_instant),
        cmocka_unit_test(test_the_cut_leaves_half_of_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
