/* SPDX-License-Identifier: MIT */
/* Steps of a flow in which what a request is decides its pool, and pools of models of their own. */
#include <math.h>

#include "tests/harness.h"

static void test_what_decides_the_pool(void **state)
{
    (void)state;
    struct flow_choice c = {.by = CHOOSE_BY_PRIORITY, .pools = 3};
    struct request r = {.origin = {.priority = 1, .client = 7}, .prompt_tokens = 100};
    assert_int_equal(flow_choice_of(&c, &r), 1);
    r.origin.priority = 9;
    assert_int_equal(flow_choice_of(&c, &r), 2); /* the last one takes all above */
    c.by = CHOOSE_BY_CLIENT;
    assert_int_equal(flow_choice_of(&c, &r), 1); /* 7 modulo 3 */
    c = (struct flow_choice){.by = CHOOSE_BY_SIZE, .pools = 3, .most_tokens = {99, 100}};
    assert_int_equal(flow_choice_of(&c, &r), 1);
    r.prompt_tokens = 99;
    assert_int_equal(flow_choice_of(&c, &r), 0);
    r.prompt_tokens = 101;
    assert_int_equal(flow_choice_of(&c, &r), 2);
    c = (struct flow_choice){.by = CHOOSE_AT_RANDOM, .pools = 3, .until = {0.2, 0.2, 1}, .seed = 5};
    int counts[3] = {0};
    for (r.id = 0; r.id < 100000; r.id++)
        counts[flow_choice_of(&c, &r)]++;
    assert_true(abs(counts[0] - 20000) < 3 * 127 && counts[1] == 0); /* three standard deviations */
}

struct told {
    size_t prompts[8]; /* requests that finished at a station */
    uint32_t longest[8], shortest[8];
    size_t replica_of[400];
};

static void note(void *state, struct station_id station, const struct request *r)
{
    struct told *t = state;
    t->prompts[station.index]++;
    t->longest[station.index] =
        r->prompt_tokens > t->longest[station.index] ? r->prompt_tokens : t->longest[station.index];
    if (t->shortest[station.index] == 0 || r->prompt_tokens < t->shortest[station.index])
        t->shortest[station.index] = r->prompt_tokens;
    t->replica_of[r->id] = station.index;
}

static void run_chosen(const char *cluster, struct told *t, struct run_summary *summary)
{
    struct error err = {0};
    char text[2000];
    snprintf(text, sizeof text,
             "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"cluster\": {%s}, \"workload\": {\"arrivals\": "
             "{\"name\": "
             "\"poisson\", \"rate_per_s\": 20}, \"requests\": 400, \"priorities\": [3, 1], \"lengths\": {\"prompt\": "
             "{\"name\": "
             "\"uniform\", \"min\": 100, \"max\": 3000}, \"output\": {\"name\": \"fixed\", \"tokens\": 20}}}}",
             cluster);
    *t = (struct told){0};
    const struct observer observer = {.state = t, .finished = note};
    struct simulation *s = open_simulation(text);
    expect_ok(simulation_run(s, &(struct simulation_options){.observers = &observer, .sustainable = true}, &err), &err);
    *summary = s->summary;
    assert_int_equal(s->summary.totals.finished, 400);
    simulation_close(s);
}

/* Stations 0 and 1 are of "short", 2 of "long"; the router has its turn within each pool. */
static void test_long_prompts_go_apart(void **state)
{
    (void)state;
    static const char *const routings[] = {"round_robin", "least_outstanding_tokens", "power_of_two", "random"};
    struct told t;
    struct run_summary r;
    for (size_t i = 0; i < 4; i++) {
        char cluster[500];
        snprintf(cluster, sizeof cluster,
                 "\"pools\": {\"long\": {}, \"short\": {\"replicas\": 2}}, \"flow\": [{\"by\": \"size\", \"to\": "
                 "[\"short\", \"long\"], \"prompt_tokens\": [1000]}], \"routing\": \"%s\"",
                 routings[i]);
        run_chosen(cluster, &t, &r);
        assert_true(t.longest[0] <= 1000 && t.longest[1] <= 1000 && t.shortest[2] > 1000);
        assert_true(t.prompts[0] > 20 && t.prompts[1] > 20 && t.prompts[0] + t.prompts[1] + t.prompts[2] == 400);
        if (i == 0) /* in turn, whatever goes to the other pool meanwhile */
            assert_true(t.prompts[0] - t.prompts[1] <= 1);
        assert_true(isnan(r.load)); /* no formula knows how many go where */
    }
}

/* The small one is faster; each holds what its own model's KV takes. */
static void test_pools_have_models_of_their_own(void **state)
{
    (void)state;
    struct told t;
    struct run_summary r;
    run_chosen("\"pools\": {\"large\": {\"model\": \"qwen3-32b\", \"tensor_parallel\": 2}, \"small\": {}}, \"flow\": "
               "[{\"by\": "
               "\"priority\", \"to\": [\"small\", \"large\"]}]",
               &t, &r);
    assert_true(abs((int)t.prompts[0] - 300) < 40 && t.prompts[0] + t.prompts[1] == 400); /* three of four */
    assert_true(r.kv[0].longest_tokens == 131072 && r.kv[1].longest_tokens != 131072);
}

/* A request goes to the same pool whatever the policies, and with its own seed to another. */
static void test_chance_is_the_requests_own(void **state)
{
    (void)state;
    struct told one, other;
    struct run_summary r;
#define BY_CHANCE                                                                                                      \
    "\"pools\": {\"a\": {}, \"b\": {}}, \"flow\": [{\"by\": \"random\", \"to\": [\"a\", \"b\"], \"shares\": [1, 3]}]"
    run_chosen(BY_CHANCE, &one, &r);
    run_chosen(BY_CHANCE ", \"routing\": \"least_outstanding_requests\"", &other, &r);
    assert_memory_equal(one.replica_of, other.replica_of, sizeof one.replica_of);
    assert_true(abs((int)one.prompts[0] - 100) < 27); /* three standard deviations */
    /* Of prefill and decode, each step has its own choice. */
    run_chosen("\"pools\": {\"p\": {}, \"d1\": {}, \"d2\": {}}, \"flow\": [\"p\", {\"by\": \"random\", \"to\": "
               "[\"d1\", \"d2\"], "
               "\"shares\": [1, 0]}]",
               &one, &r);
    assert_true(one.prompts[1] == 400 && one.prompts[2] == 0);
}

static void test_what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *rest, *sentence;
    } cases[] = {
        {"\"flow\": [{\"by\": \"sise\", \"to\": [\"a\", \"b\"]}]", "did you mean \"size\"?"},
        {"\"flow\": [{\"to\": [\"a\", \"b\"]}]", "what decides the pool"},
        {"\"flow\": [{\"by\": \"size\", \"to\": [\"a\", \"b\"]}]", "longest prompt of each pool but the last"},
        {"\"flow\": [{\"by\": \"size\", \"to\": [\"a\", \"b\"], \"prompt_tokens\": [0]}]", "a whole number of tokens"},
        {"\"flow\": [{\"by\": \"priority\", \"to\": [\"a\", \"b\"], \"prompt_tokens\": [5]}]",
         "nothing here but with \"size\""},
        {"\"flow\": [{\"by\": \"size\", \"to\": [\"a\", \"b\"], \"prompt_tokens\": [5], \"shares\": [1, 1]}]",
         "nothing here but with \"random\""},
        {"\"flow\": [{\"by\": \"random\", \"to\": [\"a\", \"b\"], \"shares\": [1]}]", "a weight for each pool"},
        {"\"flow\": [{\"by\": \"random\", \"to\": [\"a\", \"b\"], \"shares\": [0, 0]}]", "a weight above 0"},
        {"\"flow\": [{\"by\": \"random\", \"to\": [\"a\", \"c\"]}]", "stands nowhere else"},
        {"\"flow\": [{\"by\": \"random\", \"to\": [\"a\"]}]", "every pool"},
        {"\"flow\": [\"a\", \"b\"]", "the same model in all pools"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1500];
        snprintf(
            text, sizeof text,
            "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"workload\": {\"arrivals\": \"at_once\", "
            "\"requests\": 1, "
            "\"lengths\": {\"prompt\": \"fixed\", \"output\": \"fixed\"}}, \"cluster\": {\"pools\": {\"a\": {}, \"b\": "
            "{\"model\": \"mistral-7b\"}}, %s}}",
            cases[i].rest);
        expect_scenario_refused(text, cases[i].sentence);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_decides_the_pool),          cmocka_unit_test(test_long_prompts_go_apart),
        cmocka_unit_test(test_pools_have_models_of_their_own), cmocka_unit_test(test_chance_is_the_requests_own),
        cmocka_unit_test(test_what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
