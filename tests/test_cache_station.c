/* SPDX-License-Identifier: MIT */
/* Response caches, by hand and by theory. tests/data/line2.json takes 1000 ns an iteration and 10 a prompt token, so a
 * prompt of 10 tokens alone takes 1100 ns. */
#include <math.h>

#include "reports/stats/analytic.h"
#include "reports/stats/theory.h"
#include "tests/harness.h"

enum { MOST = 16 };

struct told {
    sim_time arrival[MOST], answered[MOST], delay[MOST], after[MOST];
    bool early[MOST]; /* no replica has served it */
    unsigned hits[2]; /* of the first station, and of the others */
};

static void note_finish(void *state, struct station_id station, const struct request *r)
{
    struct told *t = state;
    t->early[r->id] = station.index == NO_STATION.index;
    assert_true(r->scheduled != t->early[r->id] && r->generated == r->output_tokens);
    t->arrival[r->id] = r->arrival;
    t->answered[r->id] = request_answered(r);
    t->delay[r->id] = r->parts[PART_DELAY];
    t->after[r->id] = r->parts[PART_AFTER];
}

static void note_answer(void *state, size_t delay, const struct request *r)
{
    (void)r;
    ((struct told *)state)->hits[delay > 0]++;
}

/* Through what `pools` and `flow` say. */
static struct simulation *run_cached(const char *pools, const char *flow, const char *workload, struct told *t)
{
    struct error err = {0};
    char text[2000];
    snprintf(
        text, sizeof text,
        "{\"model\": \"ideal\", \"device\": \"tests/data/line2.json\", \"cluster\": {\"pools\": {%s, \"serve\": {}}, "
        "\"flow\": [%s]}, \"policy\": {\"batching\": \"continuous\", \"admission\": \"on_demand\", "
        "\"kv_block_tokens\": 4}, \"workload\": {%s}}",
        pools, flow, workload);
    *t = (struct told){0};
    const struct observer observer = {.state = t, .finished = note_finish, .answered = note_answer};
    struct simulation *s = open_simulation(text);
    expect_ok(simulation_run(s, &(struct simulation_options){.observers = &observer}, &err), &err);
    assert_true(s->summary.system.little_residual == 0 && s->summary.queue.little_residual == 0);
    for (size_t i = 0; i < s->scenario.cluster.delay_count; i++)
        assert_true(s->summary.delays[i].little_residual == 0);
    assert_int_equal(s->summary.totals.finished, s->summary.totals.arrived);
    return s;
}

#define REPEATED "\"trace\": \"tests/data/repeated_prompts.jsonl\", \"format\": \"tandem\""
#define TWO_ANSWERS "\"memory\": {\"kind\": \"cache\", \"lookup_s\": 1e-7, \"entries\": 2}"
#define MANY_ANSWERS "\"memory\": {\"kind\": \"cache\", \"lookup_s\": 1e-7, \"entries\": 100}"

/* Request 1 comes before the answer to 0 is there; 2 and 4 find it. The answer to 5 takes the place of that to 3, which
 * was asked for before 4 came; the answer to 6, which asks as 3 did, that of 4; and the answer to 7 that of 5. Request
 * 8 has but 9 tokens in common with others, and 9 none: both are like no other, and their answers take the places of
 * those to 6 and 7 before 10 comes. */
static void test_the_least_recently_asked_makes_room(void **state)
{
    (void)state;
    struct told t;
    static const bool early[] = {false, false, true, false, true, false, false, false, false, false, false};
    struct simulation *s = run_cached(TWO_ANSWERS, "\"memory\", \"serve\"", REPEATED, &t);
    for (int i = 0; i < 11; i++) {
        assert_int_equal(t.early[i], early[i]);
        assert_int_equal(t.delay[i], 100);
        assert_int_equal(t.answered[i] - t.arrival[i], early[i] ? 100 : i == 1 ? 1800 : 1200);
    }
    assert_int_equal(t.hits[0], 2);
    assert_int_equal(s->summary.delays[0].answered, 2);
    assert_string_equal(s->summary.delays[0].name, "cache:memory");
    assert_int_equal(s->summary.all[METRIC_E2E].count, 11);
    assert_int_equal(s->summary.all[METRIC_TPOT].count, 0); /* 2 has its five tokens at once */
    assert_int_equal(s->summary.totals.iterations, 9);
    simulation_close(s);
    s = run_cached(MANY_ANSWERS, "\"memory\", \"serve\"", REPEATED, &t);
    for (int i = 0; i < 11; i++)
        assert_int_equal(t.early[i], i == 2 || i == 4 || i == 6 || i == 7 || i == 10);
    simulation_close(s);
}

/* What it is told is answered goes no further: not to what comes before or after serving. */
static void test_an_answer_goes_no_further(void **state)
{
    (void)state;
    struct told t;
    struct simulation *s =
        run_cached(MANY_ANSWERS
                   ", \"look\": {\"kind\": \"delay\", \"servers\": \"unlimited\", \"service_s\": 3e-7}, \"filter\": "
                   "{\"kind\": \"delay\", \"servers\": \"unlimited\", \"service_s\": 2e-7}",
                   "\"memory\", \"look\", \"serve\", \"filter\"", REPEATED, &t);
    for (int i = 0; i < 11; i++) {
        bool early = i == 2 || i == 4 || i == 6 || i == 7 || i == 10;
        assert_int_equal(t.early[i], early);
        assert_int_equal(t.delay[i], early ? 100 : 400);
        assert_int_equal(t.after[i], early ? 0 : 200);
    }
    assert_true(fabs(s->summary.delays[2].arrival_rate / s->summary.delays[0].arrival_rate - 6.0 / 11) < 1e-12);
    simulation_close(s);
}

/* The first cache has room for one answer, and learns what the second one has kept. */
static void test_a_cache_learns_what_the_next_one_answers(void **state)
{
    (void)state;
    struct told t;
    simulation_close(
        run_cached("\"small\": {\"kind\": \"cache\", \"lookup_s\": 1e-7, \"entries\": 1}, \"large\": {\"kind\": "
                   "\"cache\", \"lookup_s\": 1e-6, \"entries\": 100, \"servers\": 1}",
                   "\"small\", \"large\", \"serve\"", REPEATED, &t));
    /* 2 finds 0's answer in the small one, where 3's comes next; 4 and 6 find theirs in the large one, which 5 and 4
     * have replaced in the small one; so do 7 and 10. */
    static const sim_time delay[] = {1100, 1600, 100, 1100, 1100, 1100, 1100, 1100, 1100, 1100, 1100};
    for (int i = 0; i < 11; i++)
        assert_int_equal(t.delay[i], delay[i]);
    assert_true(t.hits[0] == 1 && t.hits[1] == 4);
}

/* Two clients ask the same three times each, one after another: 1200 ns for the first time, 100 after that. */
static void test_clients_ask_again_when_they_are_answered(void **state)
{
    (void)state;
    struct told t;
    simulation_close(
        run_cached("\"memory\": {\"kind\": \"cache\", \"lookup_s\": 1e-7, \"entries\": 5, \"key\": "
                   "\"prefix_group\"}",
                   "\"memory\", \"serve\"",
                   "\"arrivals\": {\"name\": \"closed_loop\", \"concurrency\": 1}, \"requests\": 5, \"prefixes\": "
                   "{\"groups\": 1, \"tokens\": 4}, \"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": "
                   "6}, \"output\": {\"name\": \"fixed\", \"tokens\": 1}}",
                   &t));
    for (int i = 0; i < 5; i++) {
        assert_int_equal(t.arrival[i], i == 0 ? 0 : 1200 + 100 * (i - 1));
        assert_int_equal(t.early[i], i > 0);
    }
}

static void test_hashes_tell_a_whole_prompt(void **state)
{
    (void)state;
    struct told t;
    static const char *const pools[] = {TWO_ANSWERS,
                                        "\"memory\": {\"kind\": \"cache\", \"lookup_s\": 1e-7, \"hit_ratio\": 0}"};
    for (int i = 0; i < 2; i++) {
        simulation_close(run_cached(pools[i], "\"memory\", \"serve\"",
                                    "\"trace\": \"tests/data/hashed_prompts.jsonl\", \"format\": \"tandem\"", &t));
        assert_true(!t.early[0] && t.early[1] == (i == 0)); /* the same */
        assert_true(!t.early[2] && !t.early[3]);            /* shorter; another end */
    }
}

#define QUEUE(HITS)                                                                                                    \
    "{\"model\": \"ideal\", \"device\": \"ideal-server\", \"cluster\": {\"pools\": {\"memory\": {\"kind\": "           \
    "\"cache\", "                                                                                                      \
    "\"lookup_s\": 0, \"hit_ratio\": " HITS "}, \"serve\": {%s}}, \"flow\": [\"memory\", \"serve\"]}, \"policy\": {"   \
    "\"batching\": {\"name\": \"continuous\", \"max_sequences\": 1}}, \"workload\": {\"requests\": 60000, "            \
    "\"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": %d}, \"lengths\": {\"prompt\": {\"name\": \"fixed\", "      \
    "\"tokens\": 100000}, \"output\": {\"name\": \"fixed\", \"tokens\": 1}}}}"

/* Arrivals that are left out by chance are a Poisson process still: M/D/1 at 0.6 of the rate. A service takes 1 ms. */
static void test_chance_thins_arrivals(void **state)
{
    (void)state;
    struct error err = {0};
    char text[1200];
    snprintf(text, sizeof text, QUEUE("0.4"), "", 1000);
    struct simulation *s = open_simulation(text);
    expect_ok(simulation_run(s, NULL, &err), &err);
    double share = (double)s->summary.delays[0].answered / 60000;
    assert_true(fabs(share - 0.4) < 4 * sqrt(0.4 * 0.6 / 60000));
    assert_true(fabs(s->summary.queue.stay_s / theory_mg1_wait_s(600, 0.001, 0) - 1) < 0.06);
    assert_true(fabs(s->summary.queue.arrival_rate / s->summary.system.arrival_rate - (1 - share)) < 1e-9);
    simulation_close(s);
}

static void hash_hits(void *state, struct station_id station, const struct request *r)
{
    *(uint64_t *)state += station.index == NO_STATION.index ? r->id * r->id : 0;
}

/* Whatever is behind it. */
static void test_chance_strikes_the_same_requests(void **state)
{
    (void)state;
    static const char *const shapes[] = {"", "\"replicas\": 3"};
    uint64_t hits[2] = {0};
    for (int i = 0; i < 2; i++) {
        struct error err = {0};
        char text[1200];
        const struct observer observer = {.state = &hits[i], .finished = hash_hits};
        snprintf(text, sizeof text, QUEUE("0.3"), shapes[i], 1000);
        struct simulation *s = open_simulation(text);
        expect_ok(simulation_run(s, &(struct simulation_options){.observers = &observer}, &err), &err);
        simulation_close(s);
    }
    assert_true(hits[0] > 0 && hits[0] == hits[1]);
}

static struct analytic_estimate estimate(const char *text)
{
    struct error err = {0};
    struct analytic_estimate e;
    struct simulation *s = open_simulation(text);
    expect_ok(analytic_of(&s->scenario, &e, &err), &err);
    simulation_close(s);
    return e;
}

/* Half of the requests answered: twice the rate can be sustained, and the others wait as at half of the rate. By
 * prompt, no formula knows. */
static void test_formulas_know_a_share_that_is_answered(void **state)
{
    (void)state;
    char text[1200];
    snprintf(text, sizeof text, QUEUE("0"), "", 500);
    struct analytic_estimate none = estimate(text);
    snprintf(text, sizeof text, QUEUE("0.5"), "", 1000);
    struct analytic_estimate half = estimate(text);
    assert_true(fabs(half.capacity_per_s / none.capacity_per_s - 2) < 1e-9);
    assert_true(fabs(half.serving_per_s / none.serving_per_s - 1) < 1e-9);
    assert_true(fabs(half.utilization / none.utilization - 1) < 0.02);
    assert_true(fabs(half.wait_s / none.wait_s - 1) < 0.08 && fabs(half.ttft_s / none.ttft_s - 0.5) < 0.04);
    struct analytic_estimate unknown = estimate(
        "{\"model\": \"ideal\", \"device\": \"ideal-server\", \"cluster\": {\"pools\": {\"memory\": {\"kind\": "
        "\"cache\", \"lookup_s\": 0, \"entries\": 9}, \"serve\": {}}, \"flow\": [\"memory\", \"serve\"]}, "
        "\"workload\": {" REPEATED "}}");
    assert_true(isnan(unknown.capacity_per_s) && isnan(unknown.ttft_s) && isnan(unknown.e2e_s));
}

static void test_what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *said, *flow, *workload, *sentence;
    } cases[] = {
        {"\"lookup_s\": 0", "\"m\", \"a\"", REPEATED, "a \"hit_ratio\", or \"entries\""},
        {"\"lookup_s\": 0, \"hit_ratio\": 0.5, \"entries\": 3", "\"m\", \"a\"", REPEATED, "and not both"},
        {"\"lookup_s\": 0, \"hit_ratio\": 1.5", "\"m\", \"a\"", REPEATED, "hit_ratio"},
        {"\"lookup_s\": 0, \"hit_ratio\": 0.5, \"key\": \"prompt\"", "\"m\", \"a\"", REPEATED, "no answer is kept"},
        {"\"lookup_s\": 0, \"entries\": 5, \"key\": \"promt\"", "\"m\", \"a\"", REPEATED, "did you mean \"prompt\"?"},
        {"\"hit_ratio\": 0.5", "\"m\", \"a\"", REPEATED, "lookup_s"},
        {"\"lookup_s\": 0, \"hit_ratio\": 0.5", "\"a\", \"m\"", REPEATED, "a request has its answer"},
        {"\"lookup_s\": 0, \"entries\": 5", "\"m\", \"a\"",
         "\"requests\": 5, \"arrivals\": \"at_once\", \"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": 5}, "
         "\"output\": {\"name\": \"fixed\", \"tokens\": 2}}",
         "no two prompts of this workload are the same"},
        {"\"lookup_s\": 0, \"entries\": 5", "\"m\", \"a\"",
         "\"requests\": 5, \"arrivals\": \"at_once\", \"prefixes\": {\"groups\": 2, \"tokens\": 5}, \"lengths\": "
         "{\"prompt\": {\"name\": \"fixed\", \"tokens\": 5}, \"output\": {\"name\": \"fixed\", \"tokens\": 2}}",
         "\"key\": \"prefix_group\" with it"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1200];
        snprintf(text, sizeof text,
                 "{\"model\": \"ideal\", \"device\": \"ideal-server\", \"cluster\": {\"pools\": {\"m\": {\"kind\": "
                 "\"cache\", "
                 "%s}, \"a\": {}}, \"flow\": [%s]}, \"workload\": {%s}}",
                 cases[i].said, cases[i].flow, cases[i].workload);
        expect_scenario_refused(text, cases[i].sentence);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_least_recently_asked_makes_room),
        cmocka_unit_test(test_an_answer_goes_no_further),
        cmocka_unit_test(test_a_cache_learns_what_the_next_one_answers),
        cmocka_unit_test(test_clients_ask_again_when_they_are_answered),
        cmocka_unit_test(test_hashes_tell_a_whole_prompt),
        cmocka_unit_test(test_chance_thins_arrivals),
        cmocka_unit_test(test_chance_strikes_the_same_requests),
        cmocka_unit_test(test_formulas_know_a_share_that_is_answered),
        cmocka_unit_test(test_what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
