/* SPDX-License-Identifier: MIT */
/* Which replica a request goes to. */
#include "tests/harness.h"

struct mock_fleet {
    struct replica_load loads[3];
    uint32_t cached[3]; /* tokens of any request */
};

static const struct replica_load *load_at(void *fleet, size_t i)
{
    return &((const struct mock_fleet *)fleet)->loads[i];
}

static uint64_t kv_at(void *fleet, size_t i)
{
    (void)fleet, (void)i;
    return 1000;
}

static uint32_t cached_at(void *fleet, size_t i, const struct request *r)
{
    (void)r;
    return ((const struct mock_fleet *)fleet)->cached[i];
}

/* Fewest outstanding tokens rank lowest, however many requests they are; round robin takes turns. */
static void test_routing_policies_rank_or_choose(void **state)
{
    (void)state;
    const struct routing_policy *p = routing_policy_find("least_outstanding_tokens");
    struct mock_fleet fleet = {.loads = {{1, 500, 0, 0}, {3, 120, 0, 0}, {2, 300, 0, 0}}};
    const struct replica_load *loads = fleet.loads;
    assert_true(p->rank(&loads[1]) < p->rank(&loads[2]) && p->rank(&loads[2]) < p->rank(&loads[0]));
    p = routing_policy_find("round_robin");
    uint64_t cursor = 0;
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(p->choose(&cursor, 3, NULL, NULL), i % 3);
    assert_true(routing_policy_find("least_outstanding_requests")->rank(&loads[0]) == 1);
    /* Random: every replica gets its share of many; the same request always goes to the same one. */
    const struct routing_policy *any = routing_policy_find("random"), *two = routing_policy_find("power_of_two");
    const struct routing_view few = {.load = load_at,
                                     .cached_tokens = cached_at,
                                     .kv_tokens = kv_at,
                                     .replicas = &fleet};
    size_t got[3] = {0}, lightest = 0;
    for (uint64_t id = 0; id < 3000; id++) {
        struct request r = {.id = id};
        size_t chosen = any->choose(&cursor, 3, &r, &few);
        assert_int_equal(chosen, any->choose(&cursor, 3, &r, &few));
        got[chosen]++;
        size_t better = two->choose(&cursor, 3, &r, &few);
        assert_int_not_equal(better, 1); /* the busiest of three never wins against another one */
        lightest += better == 0;
    }
    assert_true(got[0] > 900 && got[1] > 900 && got[2] > 900);
    assert_true(lightest > 1900 && lightest < 2100); /* two pairs of three hold it */
}

/* What a policy with these parameters chooses among three. */
static size_t chosen(const char *name, const char *spec, struct mock_fleet *fleet, const struct request *r)
{
    struct error err = {0};
    struct json root;
    struct param_set params;
    uint64_t cursor = 0;
    const struct routing_policy *policy = routing_policy_find(name);
    expect_ok(json_parse(spec, "routing", &root, &err), &err);
    expect_ok(param_set_read(&params, policy->params, &root, &err), &err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    const struct routing_view view = {
        .params = &params, .load = load_at, .cached_tokens = cached_at, .kv_tokens = kv_at, .replicas = fleet};
    return policy->choose(&cursor, 3, r, &view);
}

/* The longest prefix wins although its replica is busier, unless it is more than `most_ahead` requests busier than the
 * least loaded; of equals the less loaded one. */
static void test_prefix_affinity_by_hand(void **state)
{
    (void)state;
    struct request r = {.prompt_tokens = 100};
    struct mock_fleet fleet = {.loads = {{4, 0, 0, 0}, {9, 0, 0, 0}, {5, 0, 0, 0}}, .cached = {16, 48, 32}};
    assert_int_equal(chosen("prefix_affinity", "{}", &fleet, &r), 1);
    assert_int_equal(chosen("prefix_affinity", "{\"most_ahead\": 4}", &fleet, &r), 2);
    assert_int_equal(chosen("prefix_affinity", "{\"most_ahead\": 0}", &fleet, &r), 0);
    fleet.cached[0] = fleet.cached[1] = fleet.cached[2] = 16;
    assert_int_equal(chosen("prefix_affinity", "{}", &fleet, &r), 0);
}

/* 10 000 tokens a second and 1 s: prompts of 4 000, 8 000 and 9 500 wait. A prompt of 1 000 would have its first token
 * after 0.5, 0.9 and 1.05 s: the second meets the SLO by least; one of 5 000 makes it at the first alone; one of 7 000
 * at none, and is late by least at the first. What is cached need not be prefilled. */
static void test_slo_aware_by_hand(void **state)
{
    (void)state;
    static const char spec[] = "{\"ttft_slo_s\": 1, \"prefill_tokens_per_s\": 10000}";
    struct request r = {.prompt_tokens = 1000};
    struct mock_fleet fleet = {.loads = {{4, 0, 4000, 0}, {9, 0, 8000, 0}, {5, 0, 9500, 0}}};
    assert_int_equal(chosen("slo_aware", spec, &fleet, &r), 1);
    r.prompt_tokens = 5000;
    assert_int_equal(chosen("slo_aware", spec, &fleet, &r), 0);
    r.prompt_tokens = 7000;
    assert_int_equal(chosen("slo_aware", spec, &fleet, &r), 0);
    r.prompt_tokens = 1000;
    fleet.cached[2] = 512;
    assert_int_equal(chosen("slo_aware", spec, &fleet, &r), 2);
}

/* Pools of 1 000 tokens with 900, 300 and 500 predicted, and a request of 100 + 50: it goes to one of the latter two,
 * which are the two drawn, and so to the second. One of 700 + 50 fits in none: any two are drawn, and the first one
 * never wins.
 */
static void test_predicted_kv_by_hand(void **state)
{
    (void)state;
    struct mock_fleet fleet = {.loads = {{1, 0, 0, 900}, {1, 0, 0, 300}, {1, 0, 0, 500}}};
    size_t got[3] = {0};
    for (uint64_t id = 0; id < 300; id++) {
        struct request r = {.id = id, .prompt_tokens = 100, .predicted_tokens = 50};
        assert_int_equal(chosen("predicted_kv", "{}", &fleet, &r), 1);
        r.prompt_tokens = 700;
        got[chosen("predicted_kv", "{}", &fleet, &r)]++;
    }
    assert_true(got[0] == 0 && got[1] > 150 && got[2] > 60);
}

/* A session stays; sessions spread evenly; who is in none goes to the least loaded. */
static void test_session_affinity_stays_and_spreads(void **state)
{
    (void)state;
    struct mock_fleet fleet = {.loads = {{4, 0, 0, 0}, {3, 0, 0, 0}, {5, 0, 0, 0}}};
    size_t got[3] = {0};
    for (uint64_t session = 1; session <= 3000; session++) {
        struct request r = {.id = session, .origin = {.session = session}}, later = {.origin = {.session = session}};
        size_t at = chosen("session_affinity", "{}", &fleet, &r);
        assert_int_equal(at, chosen("session_affinity", "{}", &fleet, &later));
        got[at]++;
    }
    assert_true(got[0] > 900 && got[1] > 900 && got[2] > 900);
    struct request alone = {.id = 7};
    assert_int_equal(chosen("session_affinity", "{}", &fleet, &alone), 1);
}

/* Two replicas, 8 clients in conversations of 10 turns: sent anywhere, half of the history is at the other replica;
 * kept together, or sent where it is, nearly all is found. */
static void test_affinity_finds_conversations_again(void **state)
{
    (void)state;
    static const char text[] =
        "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"policy\": {\"prefix_caching\": true},"
        "\"cluster\": {\"replicas\": 2, \"routing\": \"%s\"}, \"workload\": {\"requests\": 2000, \"arrivals\": "
        "{\"name\": \"closed_loop\", \"concurrency\": 8, \"turns\": 10}, \"lengths\": {\"prompt\": {\"name\": "
        "\"fixed\", \"tokens\": 200}, \"output\": {\"name\": \"fixed\", \"tokens\": 100}}}}";
    static const char *const names[] = {"random", "session_affinity", "prefix_affinity"};
    double found[3];
    for (int i = 0; i < 3; i++) {
        char spec[700];
        struct run_summary r;
        snprintf(spec, sizeof spec, text, names[i]);
        run_scenario(spec, &r);
        found[i] = r.prefix_hit_rate;
    }
    /* Turn k, from 0, has 300·k tokens of history of 300·k + 200: 13 500 of 15 500 = 0.871, less what is no whole
     * block. */
    assert_true(found[0] < 0.75 && found[1] > 0.86 && found[1] < 0.871 && found[2] > 0.86);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routing_policies_rank_or_choose),
        cmocka_unit_test(test_prefix_affinity_by_hand),
        cmocka_unit_test(test_slo_aware_by_hand),
        cmocka_unit_test(test_predicted_kv_by_hand),
        cmocka_unit_test(test_session_affinity_stays_and_spreads),
        cmocka_unit_test(test_affinity_finds_conversations_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
