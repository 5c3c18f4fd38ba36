/* SPDX-License-Identifier: MIT */
/* Which replica a request goes to. */
#include <math.h>

#include "sim/signals.h"
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

/* What a router with signals reads of three replicas whose blocks have 10 tokens. */
struct signalled_fleet {
    struct mock_fleet fleet;
    uint64_t waiting[3], prefill[3];
    double used[3];
    size_t session_at;
};

static uint64_t waiting_at(void *fleet, size_t i)
{
    return ((const struct signalled_fleet *)fleet)->waiting[i];
}

static double used_at(void *fleet, size_t i)
{
    return ((const struct signalled_fleet *)fleet)->used[i];
}

static uint64_t prefill_at(void *fleet, size_t i)
{
    return ((const struct signalled_fleet *)fleet)->prefill[i];
}

static bool session_at(void *fleet, size_t i, const struct request *r)
{
    (void)r;
    return ((const struct signalled_fleet *)fleet)->session_at == i;
}

static uint32_t block_at(void *fleet, size_t i)
{
    (void)fleet, (void)i;
    return 10;
}

static size_t chosen_by_signals(const char *name, const char *spec, struct signalled_fleet *fleet,
                                const struct request *r)
{
    struct error err = {0};
    struct json root;
    struct param_set params;
    struct routing_signals signals;
    double values[3];
    uint64_t cursor = 0;
    const struct routing_policy *policy = routing_policy_find(name);
    expect_ok(json_parse(spec, "routing", &root, &err), &err);
    expect_ok(param_set_read(&params, policy->params, &root, &err), &err);
    policy->signals(&params, &signals);
    const struct routing_view view = {.params = &params,
                                      .load = load_at,
                                      .cached_tokens = cached_at,
                                      .kv_tokens = kv_at,
                                      .replicas = fleet,
                                      .waiting = waiting_at,
                                      .kv_used = used_at,
                                      .prefill_tokens = prefill_at,
                                      .session_here = session_at,
                                      .block_tokens = block_at,
                                      .match_blocks = signals.match_blocks,
                                      .values = values};
    size_t choice = policy->choose(&cursor, 3, r, &view);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    return choice;
}

/* A prompt of 100: prefix 0, 0.5 and 0.2; queues of 0, 4 and 1: 1, 0 and 0.75; KV free 0.5, 0.1 and 0.9. By 3, 2 and 2:
 * 3, 1.7 and 3.9. By the prefix alone 1, by the queue 0. With the first 2 blocks looked up, the prefix of 1 and 2 is
 * whole: 3 + 0.2 and 3 + 3.3. A conversation that counts 3 brings 0 to 6; few requests
 * that count 4.3 bring 1 and 2 to 6 and 6.05, and by 5 without the conversation to 6.7 and 6.4. */
static void test_weighted_by_hand(void **state)
{
    (void)state;
    struct request r = {.prompt_tokens = 100};
    struct signalled_fleet fleet = {.fleet = {.loads = {{10, 0, 0, 0}, {0, 0, 0, 0}, {5, 0, 0, 0}},
                                              .cached = {0, 50, 20}},
                                    .waiting = {0, 4, 1},
                                    .used = {0.5, 0.9, 0.1},
                                    .session_at = 0};
    assert_int_equal(chosen_by_signals("weighted", "{}", &fleet, &r), 2);
    assert_int_equal(chosen_by_signals("weighted", "{\"queue\": 0, \"kv\": 0}", &fleet, &r), 1);
    assert_int_equal(chosen_by_signals("weighted", "{\"prefix\": 0, \"kv\": 0}", &fleet, &r), 0);
    assert_int_equal(chosen_by_signals("weighted", "{\"match_blocks\": 2}", &fleet, &r), 2);
    assert_int_equal(chosen_by_signals("weighted", "{\"session\": 3}", &fleet, &r), 0);
    assert_int_equal(chosen_by_signals("weighted", "{\"session\": 3, \"requests\": 4.3}", &fleet, &r), 2);
    assert_int_equal(chosen_by_signals("weighted", "{\"requests\": 5}", &fleet, &r), 1); /* 6.7 against 6.4 */
}

/* Dynamo's documentation has this example: blocks to prefill 8, 5 and 2 and blocks held 10, 5 and 9 make costs of 18,
 * 10 and 11. A prompt of 100 finds 60, 80 and 90 tokens, so that 40, 30 and 10 are to be prefilled before it. Half the
 * weight on prefills: 14, 7.5 and 10; twice as much: 26, 15 and 13. */
static void test_dynamo_by_hand(void **state)
{
    (void)state;
    struct request r = {.prompt_tokens = 100};
    struct signalled_fleet fleet = {.fleet = {.loads = {{0, 0, 0, 100}, {0, 0, 0, 50}, {0, 0, 0, 90}},
                                              .cached = {60, 80, 90}},
                                    .prefill = {40, 30, 10}};
    assert_int_equal(chosen_by_signals("dynamo", "{}", &fleet, &r), 1);
    assert_int_equal(chosen_by_signals("dynamo", "{\"overlap_weight\": 0.5}", &fleet, &r), 1);
    assert_int_equal(chosen_by_signals("dynamo", "{\"overlap_weight\": 2}", &fleet, &r), 2);
}

/* Values of 0, ln 2 and ln 5 have chances of 1, 2 and 5 of 8 at temperature 1; at 0 the highest wins, and equals win
 * alike. */
static void test_picking_by_chance(void **state)
{
    (void)state;
    size_t got[3] = {0}, equal[3] = {0};
    for (uint64_t id = 0; id < 8000; id++) {
        struct request r = {.id = id};
        double values[] = {0, log(2), log(5)}, alike[] = {1, 0, 1}, highest[] = {0, 2, 1};
        got[routing_pick(values, 3, 1, &r)]++;
        equal[routing_pick(alike, 3, 0, &r)]++;
        assert_int_equal(routing_pick(highest, 3, 0, &r), 1);
    }
    assert_true(got[0] > 900 && got[0] < 1100 && got[1] > 1880 && got[1] < 2120 && got[2] > 4860 && got[2] < 5140);
    assert_true(equal[1] == 0 && equal[0] > 3850 && equal[0] < 4150);
}

/* Readings every 100 ns: at 250 the one of 200 counts, and none is due before 300. An index of 3 blocks forgets what
 * was used longest ago; one that is told of a change has it until it is told of the next one. */
static void test_signals_are_as_old_as_they_are_asked_for(void **state)
{
    (void)state;
    struct signals s, told;
    const struct routing_signals asked = {.refresh_s = 1e-7,
                                          .approximate = true,
                                          .index_blocks = 3,
                                          .match_blocks = 100},
                                 heard = {.index_refresh_s = 1e-7, .match_blocks = 100};
    assert_int_equal(signals_init(&s, &asked, 2), 0);
    assert_true(signals_due(&s, 250) == 200 && signals_reads(&s, 200) && !signals_hears(&s, 200));
    signals_advance(&s, 200);
    assert_true(signals_due(&s, 299) == SIM_TIME_NEVER && signals_due(&s, 300) == 300);
    struct request a = {.id = 1, .prompt_tokens = 20, .origin = {.prefix_group = 1, .prefix_tokens = 20}},
                   b = {.id = 2, .prompt_tokens = 35, .origin = {.prefix_group = 2, .prefix_tokens = 30}};
    signals_send(&s, 1, &a, 0, 0, 10);
    assert_true(signals_cached(&s, 1, &a, 10) == 20 && signals_cached(&s, 0, &a, 10) == 0);
    assert_int_equal(signals_prefill(&s, 1), 20);
    signals_send(&s, 1, &b, 0, 5, 10);
    assert_int_equal(signals_prefill(&s, 1), 20 + 30);
    a.generated = 1; /* it has its first token */
    assert_int_equal(signals_prefill(&s, 1), 30);
    assert_true(signals_cached(&s, 1, &a, 10) == 0 && signals_cached(&s, 1, &b, 10) == 30);
    signals_release(&s);
    struct content_unit first;
    assert_true(content_unit(&a, 0, 10, &first));
    assert_int_equal(signals_init(&told, &heard, 1), 0);
    signals_send(&told, 0, &a, 0, 0, 10);
    assert_int_equal(signals_cached(&told, 0, &a, 10), 0);
    signals_hear(&told, 0, &(struct kv_change){first.key, true}, 1);
    assert_int_equal(signals_cached(&told, 0, &a, 10), 10);
    signals_hear(&told, 0, &(struct kv_change){first.key, false}, 1);
    assert_int_equal(signals_cached(&told, 0, &a, 10), 0);
    signals_release(&told);
}

/* Six of one prefix come 1 ms apart while the first is computed. A router that hears at once sends all where it is; one
 * that hears every second takes none of it to be anywhere, so they spread, and the prefix is computed at both. */
static void test_an_old_index_spreads_a_prefix(void **state)
{
    (void)state;
    static const char text[] =
        "{\"model\": \"ideal\", \"device\": \"tests/data/line2.json\", \"policy\": {\"batching\": \"unified_budget\", "
        "\"prefix_caching\": true}, \"cluster\": {\"replicas\": 2, \"routing\": {\"name\": \"weighted\", \"queue\": 0, "
        "\"kv\": 0, \"index_refresh_s\": %s}}, \"workload\": {\"requests\": 6, \"arrivals\": {\"name\": "
        "\"deterministic\", \"rate_per_s\": 1000}, \"prefixes\": {\"groups\": 1, \"tokens\": 64}, \"lengths\": "
        "{\"prompt\": {\"name\": \"fixed\", \"tokens\": 16}, \"output\": {\"name\": \"fixed\", \"tokens\": 2}}}}";
    static const char *const ages[] = {"0", "0.0005", "1"};
    double found[3];
    for (int i = 0; i < 3; i++) {
        char spec[900];
        struct run_summary r;
        snprintf(spec, sizeof spec, text, ages[i]);
        run_scenario(spec, &r);
        found[i] = r.prefix_hit_rate;
    }
    assert_true(fabs(found[0] - 5 * 64 / 480.) < 1e-9 && fabs(found[1] - found[0]) < 1e-9);
    assert_true(fabs(found[2] - 4 * 64 / 480.) < 1e-9);
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
        cmocka_unit_test(test_weighted_by_hand),
        cmocka_unit_test(test_dynamo_by_hand),
        cmocka_unit_test(test_picking_by_chance),
        cmocka_unit_test(test_signals_are_as_old_as_they_are_asked_for),
        cmocka_unit_test(test_an_old_index_spreads_a_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
