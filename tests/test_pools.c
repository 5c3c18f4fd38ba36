/* SPDX-License-Identifier: MIT */
/* Clusters of named pools, by hand: tests/data/line2.json takes 1000 ns an iteration, 10 a prompt token, 100 a decode
 * and 1 a KV token; ideal2 takes 20 a prompt token and nothing else; the ideal model has 4 bytes of KV a token. */
#include <math.h>

#include "tests/harness.h"

struct told {
    sim_time first_token[4], last_token[4];
    size_t station[4];
};

static void note(void *state, struct station_id station, const struct request *r)
{
    struct told *t = state;
    t->first_token[r->id] = r->first_token;
    t->last_token[r->id] = r->last_token;
    t->station[r->id] = station.index;
}

/* So many requests at once, of 10 prompt tokens each. */
static void run_pools(const char *scenario, const char *cluster, unsigned requests, unsigned output, struct told *t,
                      struct cluster_totals *totals)
{
    struct error err = {0};
    char text[2000];
    snprintf(text, sizeof text,
             "{%s, \"cluster\": {%s}, \"policy\": {\"batching\": \"continuous\", \"admission\": \"on_demand\", "
             "\"kv_block_tokens\": 4}, \"workload\": {\"arrivals\": \"at_once\", \"requests\": %u, \"lengths\": {"
             "\"prompt\": {\"name\": \"fixed\", \"tokens\": 10}, \"output\": {\"name\": \"fixed\", \"tokens\": %u}}}}",
             scenario, cluster, requests, output);
    *t = (struct told){0};
    const struct observer observer = {.state = t, .finished = note};
    struct simulation *s = open_simulation(text);
    expect_ok(simulation_run(s, &(struct simulation_options){.observers = &observer}, &err), &err);
    *totals = s->summary.totals;
    assert_int_equal(totals->finished, requests);
    assert_int_equal(totals->kv_held, 0);
    simulation_close(s);
}

#define IDEAL "\"model\": \"ideal\""
#define SLOW "{\"device\": \"tests/data/line2.json\"}"
#define FAST "{\"device\": \"tests/data/ideal2.json\", \"replicas\": 2}"
#define KV_LINK "\"links\": {\"kv\": {\"bytes_per_s\": 1e9, \"latency_ns\": 500}}"

static void test_one_router_chooses_among_different_devices(void **state)
{
    (void)state;
    struct told t;
    struct cluster_totals totals;
    run_pools(IDEAL, "\"pools\": {\"slow\": " SLOW ", \"fast\": " FAST "}", 4, 1, &t, &totals);
    assert_int_equal(t.last_token[0], 1200); /* with request 3, the fourth of a round of three */
    assert_int_equal(t.last_token[1], 200);
    assert_int_equal(t.last_token[2], 200);
    assert_int_equal(t.last_token[3], 1200);
    assert_int_equal(t.station[2], 2);
    assert_true(fabs(totals.held_s[0] - 1200e-9) < 1e-15 && fabs(totals.held_s[1] - 2400e-9) < 1e-15);
    /* The flow puts the fast ones first, and so are the stations. */
    run_pools(IDEAL, "\"pools\": {\"slow\": " SLOW ", \"fast\": " FAST "}, \"flow\": [[\"fast\", \"slow\"]]", 3, 1, &t,
              &totals);
    assert_int_equal(t.last_token[0], 200);
    assert_int_equal(t.last_token[2], 1100);
    assert_int_equal(t.station[2], 2);
}

/* Request 0 is prefilled by the slow one until 1100, request 1 by the fast one until 200; its 40 bytes are there at
 * 740, and it decodes over 11 tokens until 1851. Request 0 is pulled then, and there at 2391, while request 1 decodes
 * over 12 tokens until 2963. It joins then, for 1111 and 1112. */
static void test_two_kinds_prefill_for_one_that_decodes(void **state)
{
    (void)state;
    struct told t;
    struct cluster_totals totals;
    run_pools(IDEAL,
              "\"pools\": {\"out\": " SLOW ", \"slow\": " SLOW ", \"fast\": " FAST
              "}, \"flow\": [[\"slow\", \"fast\"], \"out\"], " KV_LINK,
              2, 3, &t, &totals);
    assert_int_equal(t.first_token[0], 1100);
    assert_int_equal(t.first_token[1], 200);
    assert_int_equal(t.last_token[1], 2963);
    assert_int_equal(t.last_token[0], 2963 + 1111 + 1112);
    assert_int_equal(t.station[0], 3);
}

/* The 500 ns of a link between stages are there once for every token: a prompt's iteration and two decodes. */
static void test_stages_have_a_link_of_their_own(void **state)
{
    (void)state;
    struct told near, far;
    struct cluster_totals totals;
    const char *h100 = "\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\"";
    run_pools(h100, "\"pipeline_parallel\": 2, \"links\": {\"stage\": {\"bytes_per_s\": 1e15, \"latency_ns\": 0}}", 1,
              3, &near, &totals);
    run_pools(h100,
              "\"pools\": {\"serve\": {\"pipeline_parallel\": 2}}, \"links\": {\"stage\": {\"bytes_per_s\": 1e15, "
              "\"latency_ns\": 500}}",
              1, 3, &far, &totals);
    assert_int_equal(far.first_token[0] - near.first_token[0], 500);
    assert_int_equal(far.last_token[0] - near.last_token[0], 1500);
}

/* Whoever decodes must be able to hold a request of 13 tokens, 4 blocks: of two pools the second has 3. */
static void test_what_some_pool_cannot_decode_is_rejected(void **state)
{
    (void)state;
    static const char *const scenario =
        "{\"model\": \"ideal\", \"device\": \"tests/data/line2.json\", \"cluster\": {\"pools\": {\"in\": {}, "
        "\"large\": {}, "
        "\"small\": {\"kv_blocks\": %d}}, \"flow\": [\"in\", [\"large\", \"small\"]]}, \"policy\": {\"batching\": "
        "\"continuous\", "
        "\"kv_block_tokens\": 4}, \"workload\": {\"arrivals\": \"at_once\", \"requests\": 4, \"lengths\": {\"prompt\": "
        "{\"name\": "
        "\"fixed\", \"tokens\": 10}, \"output\": {\"name\": \"fixed\", \"tokens\": 3}}}}";
    for (int blocks = 3; blocks <= 4; blocks++) {
        struct run_summary r;
        char text[900];
        snprintf(text, sizeof text, scenario, blocks);
        run_scenario(text, &r);
        assert_int_equal(r.totals.rejected, blocks == 3 ? 4 : 0);
        assert_int_equal(r.totals.finished, blocks == 3 ? 0 : 4);
    }
}

/* A request of 13 tokens runs on the large replica, which fails for good at 2 µs; the small one has 3 blocks. It may be
 * sent there, so it is rejected, or it would wait for ever. */
static void test_what_some_pool_cannot_take_over_is_rejected(void **state)
{
    (void)state;
    static const char *const scenario = "{\"model\": \"ideal\", \"device\": \"tests/data/line2.json\", \"cluster\": "
                                        "{\"pools\": {\"large\": {}, \"small\": "
                                        "{\"kv_blocks\": %d}}%s}, \"policy\": {\"batching\": \"continuous\", "
                                        "\"kv_block_tokens\": 4}, \"workload\": {\"arrivals\": "
                                        "\"at_once\", \"requests\": 1, \"lengths\": {\"prompt\": {\"name\": \"fixed\", "
                                        "\"tokens\": 10}, \"output\": {\"name\": "
                                        "\"fixed\", \"tokens\": 3}}}}";
    static const char *const failure =
        ", \"failures\": {\"schedule\": [{\"replica\": 0, \"at_s\": 2e-6, \"for_s\": 1000}]}";
    for (int blocks = 3; blocks <= 4; blocks++)
        for (int fails = 0; fails < 2; fails++) {
            struct run_summary r;
            char text[1000];
            snprintf(text, sizeof text, scenario, blocks, fails ? failure : "");
            run_scenario(text, &r);
            assert_int_equal(r.totals.finished, fails && blocks == 3 ? 0 : 1);
            assert_int_equal(r.totals.rejected, fails && blocks == 3 ? 1 : 0);
        }
}

static void expect_same(const char *format, const char *one, const char *other)
{
    struct run_summary a, b;
    char text[2000];
    snprintf(text, sizeof text, format, one);
    run_scenario(text, &a);
    snprintf(text, sizeof text, format, other);
    run_scenario(text, &b);
    assert_memory_equal(a.metrics, b.metrics, sizeof a.metrics);
    assert_memory_equal(&a.totals, &b.totals, sizeof a.totals);
}

static void test_short_forms_are_pools(void **state)
{
    (void)state;
    static const char *const format =
        "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"cluster\": {%s}, \"workload\": {\"arrivals\": "
        "{\"name\": \"poisson\", \"rate_per_s\": 20}, \"requests\": 200, \"lengths\": {\"prompt\": {\"name\": "
        "\"fixed\", \"tokens\": 500}, \"output\": {\"name\": \"uniform\", \"min\": 1, \"max\": 100}}}}";
    expect_same(format, "\"replicas\": 3, \"tensor_parallel\": 2, \"routing\": \"least_outstanding_tokens\"",
                "\"pools\": {\"serve\": {\"replicas\": 3, \"tensor_parallel\": 2}}, \"routing\": "
                "\"least_outstanding_tokens\"");
    expect_same(format,
                "\"placement\": {\"name\": \"disaggregated\", \"prefill\": {\"replicas\": 2}, \"decode\": "
                "{\"device\": \"a100-80gb\", \"pipeline_parallel\": 2}, \"link\": {\"bytes_per_s\": 1e9}}",
                "\"pools\": {\"d\": {\"device\": \"a100-80gb\", \"pipeline_parallel\": 2}, \"p\": {\"replicas\": 2}}, "
                "\"flow\": [\"p\", \"d\"], \"links\": {\"kv\": {\"bytes_per_s\": 1e9}}");
    expect_same(format,
                "\"placement\": {\"name\": \"mixed_pool\", \"prefill_above_tokens\": 600, \"decode_routing\": "
                "\"round_robin\", \"decode\": {\"replicas\": 2}}",
                "\"pools\": {\"p\": {}, \"d\": {\"replicas\": 2}}, \"flow\": [\"p\", \"d\"], \"mixed_pool\": "
                "{\"prefill_above_tokens\": 600}, \"routing\": [\"round_robin\", \"round_robin\"]");
}

/* Pools of one kind are the same as one pool of all. */
static void test_pools_of_one_kind_are_one_pool(void **state)
{
    (void)state;
    expect_same("{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"cluster\": {%s, \"failures\": {\"mtbf_s\": "
                "4, \"mttr_s\": 1}}, \"workload\": {\"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": 40}, "
                "\"requests\": 400, \"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": 500}, \"output\": "
                "{\"name\": \"uniform\", \"min\": 1, \"max\": 100}}}}",
                "\"pools\": {\"all\": {\"replicas\": 3}}", "\"replicas\": 3");
    struct run_summary one, two;
    static const char *const format =
        "{\"model\": \"qwen3-30b-a3b\", \"device\": \"h100-sxm\", \"cluster\": {\"pools\": {%s}}, \"workload\": "
        "{\"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": 20}, \"requests\": 200, \"lengths\": {\"prompt\": "
        "{\"name\": \"fixed\", \"tokens\": 500}, \"output\": {\"name\": \"uniform\", \"min\": 1, \"max\": 100}}}}";
    char text[1200];
    snprintf(text, sizeof text, format, "\"a\": {\"replicas\": 2, \"data_parallel\": 2}");
    run_scenario(text, &one);
    snprintf(text, sizeof text, format, "\"a\": {\"data_parallel\": 2}, \"b\": {\"data_parallel\": 2}");
    run_scenario(text, &two);
    assert_memory_equal(one.metrics, two.metrics, sizeof one.metrics);
    assert_true(one.replica_hours == two.replica_hours && one.utilization == two.utilization);
}

static void test_what_pools_cannot_say(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"pools\": {}", "cluster.pools: expected an object of at most 16 pools by name"},
        {"\"pools\": {\"a\": {}}, \"replicas\": 2", "cluster: unknown key \"replicas\""},
        {"\"pools\": {\"a\": {\"replica\": 2}}", "cluster.pools.a: unknown key \"replica\""},
        {"\"pools\": {\"a.b\": {}}", "expected a name of 1 to 60 bytes without a dot"},
        {"\"pools\": {\"a\": {}}, \"flow\": [\"b\"]", "cluster.flow[0]: expected the name of a pool"},
        {"\"pools\": {\"a\": {}, \"b\": {}}, \"flow\": [\"a\", \"a\"]",
         "cluster.flow[1]: expected the name of a pool in cluster.pools that stands nowhere else in the flow"},
        {"\"pools\": {\"a\": {}, \"b\": {}}, \"flow\": [\"a\"]", "cluster.flow: expected every pool"},
        {"\"pools\": {\"a\": {}, \"b\": {}, \"c\": {}}, \"flow\": [\"a\", \"b\", \"c\"]",
         "cluster.flow: expected a list of one"},
        {"\"pools\": {\"a\": {}, \"b\": {}}, \"routing\": \"central_queue\"", "where a step has several pools"},
        {"\"pools\": {\"a\": {}, \"b\": {}}, \"routing\": [\"random\", \"random\"]",
         "cluster.routing: expected a routing policy for each step"},
        {"\"pools\": {\"a\": {}}, \"links\": {\"kv\": {}}", "cluster.links.kv: expected a flow of two steps"},
        {"\"links\": {\"kv\": {}}", "cluster.links.kv: expected nothing here"},
        {"\"placement\": \"redundant_kv\", \"replicas\": 2, \"failures\": {\"mtbf_s\": 5}",
         "cluster.failures: expected no failures and no autoscaling with redundant_kv"},
        {"\"pools\": {\"a\": {}, \"b\": {\"admission\": {\"give_up_s\": 1}}}, \"flow\": [\"a\", \"b\"]",
         "cluster.pools.b.admission.give_up_s: expected no \"give_up_s\" in a pool that decodes"},
        {"\"pools\": {\"a\": {}, \"b\": {\"engine\": {\"kv_groups\": \"uniform\"}}}, \"flow\": [\"a\", \"b\"]",
         "cluster.pools.b.engine: expected the same kv_groups in all pools"},
        {"\"pools\": {\"a\": {\"pipeline_parallel\": 2, \"data_parallel\": 2}}",
         "cluster.pools.a.pipeline_parallel: expected 1 with data_parallel"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[800];
        snprintf(
            text, sizeof text,
            "{\"model\": \"tests/data/windows.json\", \"device\": \"h100-sxm\", \"cluster\": {%s}, \"workload\": {}}",
            cases[i][0]);
        expect_scenario_refused(text, cases[i][1]);
    }
}

static void note_prediction(void *state, struct station_id station, const struct request *r)
{
    uint32_t *least = state;
    (void)station;
    *least = r->predicted_tokens < *least ? r->predicted_tokens : *least;
}

/* A pool that admits by prediction has something predicted, though nobody else asks. */
static void test_a_pools_own_admission_asks_for_predictions(void **state)
{
    (void)state;
    uint32_t least = UINT32_MAX;
    struct error err = {0};
    const struct observer observer = {.state = &least, .finished = note_prediction};
    struct simulation *s = open_simulation(
        "{" IDEAL ", \"cluster\": {\"pools\": {\"a\": " SLOW ", \"b\": {\"device\": \"tests/data/ideal2.json\", "
        "\"admission\": \"predicted\"}}}, \"policy\": {\"batching\": \"continuous\", \"kv_block_tokens\": 4}, "
        "\"workload\": {\"arrivals\": \"at_once\", \"requests\": 4, \"lengths\": {\"prompt\": {\"name\": \"fixed\", "
        "\"tokens\": 10}, \"output\": {\"name\": \"fixed\", \"tokens\": 7}}}}");
    expect_ok(simulation_run(s, &(struct simulation_options){.observers = &observer}, &err), &err);
    assert_int_equal(s->summary.totals.finished, 4);
    assert_int_equal(least, 7);
    simulation_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_router_chooses_among_different_devices),
        cmocka_unit_test(test_two_kinds_prefill_for_one_that_decodes),
        cmocka_unit_test(test_stages_have_a_link_of_their_own),
        cmocka_unit_test(test_what_some_pool_cannot_decode_is_rejected),
        cmocka_unit_test(test_what_some_pool_cannot_take_over_is_rejected),
        cmocka_unit_test(test_short_forms_are_pools),
        cmocka_unit_test(test_pools_of_one_kind_are_one_pool),
        cmocka_unit_test(test_what_pools_cannot_say),
        cmocka_unit_test(test_a_pools_own_admission_asks_for_predictions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
