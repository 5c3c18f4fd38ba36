/* SPDX-License-Identifier: MIT */
/* Replicas that fail where prefill and decode are apart, and where they have stages or a choice decides the pool. On
 * line2.json an iteration takes 1000 ns, 10 for a prompt token, 100 for a decode and 1 for a KV token of it; 4 bytes of
 * KV a token go at 1 GB/s and arrive 500 ns later. Without failures the request has its first token at 1100, joins the
 * replica that decodes it at 1640, and ends at 1640 + 1111 + 1112. */
#include <math.h>

#include "tests/harness.h"

static void run_cluster(const char *cluster, struct run_summary *r)
{
    char text[1200];
    FILE *out = fopen("build/test_fleet_pools.jsonl", "w");
    fputs("{\"arrival_s\": 0, \"prompt_tokens\": 10, \"output_tokens\": 3}\n", out);
    fclose(out);
    snprintf(text, sizeof text,
             "{\"model\": \"ideal\", \"device\": \"tests/data/line2.json\", \"cluster\": {%s}, \"policy\": "
             "{\"batching\": \"continuous\", \"kv_block_tokens\": 4}, \"workload\": {\"trace\": "
             "\"build/test_fleet_pools.jsonl\"}}",
             cluster);
    run_scenario(text, r);
}

static void run_apart(const char *prefill, const char *decode, struct run_summary *r)
{
    char cluster[700];
    snprintf(
        cluster, sizeof cluster,
        "\"pools\": {\"p\": {\"replicas\": 2%s}, \"d\": {\"replicas\": 2%s}}, \"flow\": [\"p\", \"d\"], \"links\": "
        "{\"kv\": {\"bytes_per_s\": 1e9, \"latency_ns\": 500}}",
        prefill, decode);
    run_cluster(cluster, r);
    assert_int_equal(r->totals.arrived, 1);
    assert_int_equal(r->totals.failures, 1);
    assert_int_equal(r->totals.kv_held, 0);
    assert_int_equal(r->totals.kv_allocated, r->totals.kv_freed);
}

#define FAILS_AT(AT) ", \"failures\": {\"schedule\": [{\"replica\": 0, \"at_s\": " AT ", \"for_s\": 1}]}"

/* At 2000, in its first decode. Prompt and first output token are prefilled again until 3110, which yields the second
 * token; 44 bytes arrive at 3654, and the last token takes 1112. */
static void test_who_decodes_on_a_failed_replica_is_prefilled_again(void **state)
{
    (void)state;
    struct run_summary r;
    run_apart("", FAILS_AT("2e-6"), &r);
    assert_int_equal(r.totals.end, 4766);
    assert_int_equal(r.recomputed_tokens, 10);
    assert_true(fabs(r.part_share[PART_TRANSFER] - (540 + 544) / 4766.0) < 1e-12);
}

/* At 1300, while its KV is sent: the other one prefills 11 tokens until 2410, and so on. */
static void test_a_transfer_ends_with_the_replica_that_it_comes_from(void **state)
{
    (void)state;
    struct run_summary r;
    run_apart(FAILS_AT("1.3e-6"), "", &r);
    assert_int_equal(r.totals.end, 2410 + 544 + 1112);
    assert_true(fabs(r.part_share[PART_TRANSFER] - (200 + 544) / 4066.0) < 1e-12);
}

/* At 1300, while KV is sent to it: that is still where it was computed, and is sent to the other one. */
static void test_kv_that_has_not_arrived_is_sent_to_another_replica(void **state)
{
    (void)state;
    struct run_summary r;
    run_apart("", FAILS_AT("1.3e-6"), &r);
    assert_int_equal(r.totals.end, 1840 + 1111 + 1112);
    assert_int_equal(r.recomputed_tokens, 0);
}

static void test_requests_on_their_way_to_a_failed_replica_may_be_lost(void **state)
{
    (void)state;
    struct run_summary r;
    run_apart(
        "",
        ", \"failures\": {\"requests\": \"lost\", \"schedule\": [{\"replica\": 0, \"at_s\": 1.3e-6, \"for_s\": 1}]}",
        &r);
    assert_int_equal(r.totals.lost, 1);
    assert_int_equal(r.totals.end, 1300);
}

/* A choice sends the request to b, whose only replica fails at 500 for 1000 ns; a is not asked. */
static void test_a_chosen_pool_waits_for_its_own_replicas(void **state)
{
    (void)state;
    struct run_summary r;
    run_cluster(
        "\"pools\": {\"a\": {}, \"b\": {\"failures\": {\"schedule\": [{\"replica\": 0, \"at_s\": 0.5e-6, \"for_s\": "
        "1e-6}]}}}, \"flow\": [{\"by\": \"size\", \"to\": [\"a\", \"b\"], \"prompt_tokens\": [5]}]",
        &r);
    assert_int_equal(r.totals.end, 1500 + 1100 + 1111 + 1112);
}

/* A cluster's schedule counts the replicas of all pools: the third one decodes. */
static void test_a_clusters_schedule_counts_all_pools(void **state)
{
    (void)state;
    struct run_summary r;
    run_cluster("\"pools\": {\"p\": {\"replicas\": 2}, \"d\": {\"replicas\": 2}}, \"flow\": [\"p\", \"d\"], \"links\": "
                "{\"kv\": {\"bytes_per_s\": 1e9, \"latency_ns\": 500}}, \"failures\": {\"schedule\": [{\"replica\": 2, "
                "\"at_s\": 2e-6, \"for_s\": 1}]}",
                &r);
    assert_int_equal(r.totals.end, 4766);
}

/* Chunks of 10 tokens leave the 11th to be computed as a decode: prefilled again from 1300 to 2400, the request leaves
 * the second replica then, though no token came. 40 bytes arrive at 2940, and two decodes follow. */
static void test_a_request_leaves_when_its_kv_is_there_again(void **state)
{
    (void)state;
    struct error err = {0};
    struct simulation *s = open_simulation(
        "{\"model\": \"ideal\", \"device\": \"tests/data/line2.json\", \"cluster\": {\"pools\": {\"p\": {\"replicas\": "
        "2, \"failures\": {\"schedule\": [{\"replica\": 0, \"at_s\": 1.3e-6, \"for_s\": 1}]}}, \"d\": {}}, \"flow\": "
        "[\"p\", \"d\"], \"links\": {\"kv\": {\"bytes_per_s\": 1e9, \"latency_ns\": 500}}}, \"policy\": {\"batching\": "
        "{\"name\": \"chunked_prefill\", \"token_budget\": 10}, \"kv_block_tokens\": 4}, \"workload\": {\"trace\": "
        "\"build/test_fleet_pools.jsonl\"}}");
    expect_ok(simulation_run(s, NULL, &err), &err);
    assert_int_equal(s->summary.totals.end, 2940 + 1111 + 1112);
    struct station_summary second =
        run_metrics_station(&s->metrics, &s->scenario, (struct station_id){1}, false, s->summary.duration_s);
    assert_true(fabs(second.stay_s - 1100e-9) < 1e-15 && second.little_residual < 1e-9);
    simulation_close(s);
}

/* Patience that the cluster states holds where requests come in; a pool that decodes may still say that it fails. */
static void test_a_clusters_patience_is_not_asked_of_pools_that_decode(void **state)
{
    (void)state;
    struct run_summary r;
    run_cluster(
        "\"pools\": {\"p\": {}, \"d\": {\"replicas\": 2, \"failures\": {\"schedule\": [{\"replica\": 0, \"at_s\": "
        "2e-6, \"for_s\": 1}]}}}, \"flow\": [\"p\", \"d\"], \"links\": {\"kv\": {\"bytes_per_s\": 1e9, "
        "\"latency_ns\": 500}}, \"admission\": {\"give_up_s\": 1}",
        &r);
    assert_int_equal(r.totals.end, 4766);
    expect_scenario_refused(
        "{\"model\": \"ideal\", \"device\": \"ideal-server\", \"cluster\": {\"pools\": {\"p\": {}, \"d\": "
        "{\"admission\": "
        "{\"give_up_s\": 1}}}, \"flow\": [\"p\", \"d\"]}, \"workload\": {\"arrivals\": \"at_once\", \"requests\": 1, "
        "\"lengths\": {\"prompt\": \"fixed\", \"output\": \"fixed\"}}}",
        "in a pool that decodes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_decodes_on_a_failed_replica_is_prefilled_again),
        cmocka_unit_test(test_a_transfer_ends_with_the_replica_that_it_comes_from),
        cmocka_unit_test(test_kv_that_has_not_arrived_is_sent_to_another_replica),
        cmocka_unit_test(test_requests_on_their_way_to_a_failed_replica_may_be_lost),
        cmocka_unit_test(test_a_chosen_pool_waits_for_its_own_replicas),
        cmocka_unit_test(test_a_clusters_schedule_counts_all_pools),
        cmocka_unit_test(test_a_request_leaves_when_its_kv_is_there_again),
        cmocka_unit_test(test_a_clusters_patience_is_not_asked_of_pools_that_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
