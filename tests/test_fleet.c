/* SPDX-License-Identifier: MIT */
/* Replicas that fail, are started and given up, and requests that do not wait. On line2.json an iteration takes 1000
 * ns, 10 for a prompt token, 100 for a decode and 1 for a KV token of it. */
#include <math.h>

#include "tests/harness.h"

static void write_trace(const char *lines)
{
    FILE *out = fopen("build/test_fleet.jsonl", "w");
    fputs(lines, out);
    fclose(out);
}

static void run_ordered_fleet(const char *cluster, const char *policy, const char *order, struct run_summary *r)
{
    char text[1000];
    snprintf(text, sizeof text,
             "{\"model\": \"ideal\", \"device\": \"tests/data/line2.json\", \"cluster\": {%s},"
             "\"policy\": {\"batching\": %s%s}, \"workload\": {\"trace\": \"build/test_fleet.jsonl\"},"
             "\"slo\": {\"e2e_s\": {\"p99\": 1}}}",
             cluster, policy, order);
    run_scenario(text, r);
}

static void run_fleet(const char *cluster, const char *policy, struct run_summary *r)
{
    run_ordered_fleet(cluster, policy, "", r);
}

static const char one_request[] = "{\"arrival_s\": 0, \"prompt_tokens\": 10, \"output_tokens\": 3}\n";

/* Prefill to 1100; the replica fails at 2000, in the decode that would have ended at 2211. Up again at 12 000, it
 * computes the prompt and the first output token again in 1000 + 110 and yields the second, then decodes at KV 12 in
 * 1112. The void iteration, what is computed again, and the wait for it are booked as preempted: 13 110 - 1100. */
static void test_a_failed_replica_computes_again(void **state)
{
    (void)state;
    struct run_summary r;
    write_trace(one_request);
    run_fleet("\"failures\": {\"schedule\": [{\"replica\": 0, \"at_s\": 2e-6, \"for_s\": 10e-6}]}", "\"continuous\"",
              &r);
    assert_int_equal(r.totals.finished, 1);
    assert_int_equal(r.totals.failures, 1);
    assert_int_equal(r.totals.end, 14222);
    assert_int_equal(r.recomputed_tokens, 10);
    assert_true(fabs(r.part_share[PART_PREFILL_OWN] - 1100 / 14222.0) < 1e-12);
    assert_true(fabs(r.part_share[PART_DECODE_OWN] - 1112 / 14222.0) < 1e-12);
    assert_true(fabs(r.part_share[PART_PREEMPTED] - 12010 / 14222.0) < 1e-12);
    assert_true(fabs(r.totals.held_s[0] - 14222e-9) < 1e-15); /* it is paid for while it is repaired */
}

/* With a second replica it goes there at once: 2000 + 1110 + 1112. */
static void test_requests_of_a_failed_replica_go_elsewhere(void **state)
{
    (void)state;
    struct run_summary r;
    write_trace(one_request);
    run_fleet("\"replicas\": 2, \"failures\": {\"schedule\": [{\"replica\": 0, \"at_s\": 2e-6, \"for_s\": 1}]}",
              "\"continuous\"", &r);
    assert_int_equal(r.totals.end, 4222);
    assert_int_equal(r.totals.finished, 1);
}

static void test_requests_of_a_failed_replica_may_be_lost(void **state)
{
    (void)state;
    struct run_summary r;
    write_trace(one_request);
    run_fleet("\"failures\": {\"schedule\": [{\"replica\": 0, \"at_s\": 2e-6, \"for_s\": 1}], \"requests\": \"lost\"}",
              "\"continuous\"", &r);
    assert_int_equal(r.totals.lost, 1);
    assert_int_equal(r.totals.finished, 0);
    assert_int_equal(r.totals.end, 2000);
    assert_true(r.slo.attainment[0].value == 0 && !r.slo.met);
}

/* Scheduling ahead counts an iteration's tokens when it starts, but not those of one that the failure ends: the same
 * times as without. */
static void test_a_failure_voids_what_was_scheduled_ahead(void **state)
{
    (void)state;
    struct run_summary r;
    char text[1000];
    write_trace(one_request);
    snprintf(text, sizeof text,
             "{\"model\": \"ideal\", \"device\": \"tests/data/line2.json\", \"engine\": {\"schedule_ahead\": true},"
             "\"cluster\": {\"replicas\": 2, \"failures\": {\"schedule\": [{\"replica\": 0, \"at_s\": 2e-6, "
             "\"for_s\": 1}]}}, \"policy\": {\"batching\": \"unified_budget\"},"
             "\"workload\": {\"trace\": \"build/test_fleet.jsonl\"}}");
    run_scenario(text, &r);
    assert_int_equal(r.totals.end, 4222);
    assert_int_equal(r.recomputed_tokens, 10);
    assert_int_equal(r.totals.kv_allocated, r.totals.kv_freed);
}

static void never(void *state, struct replica_view *view, struct batch *out)
{
    (void)state, (void)view, (void)out;
}

/* A policy that takes nobody: the run ends with a sentence that names the request, instead of as if all were well; with
 * an autoscaler, whose looks would go on for ever, too. */
static void test_a_run_in_which_nothing_can_happen_is_an_error(void **state)
{
    (void)state;
    static const struct batching_policy idle = {.name = "idle", .form_batch = never};
    static const char *const clusters[] = {"", "\"autoscaling\": {\"policy\": \"concurrency\", \"interval_s\": 1e-6}"};
    for (size_t i = 0; i < 2; i++) {
        struct error err = {0};
        char text[600];
        write_trace(one_request);
        snprintf(text, sizeof text,
                 "{\"model\": \"ideal\", \"device\": \"tests/data/line2.json\", \"cluster\": {%s},"
                 "\"workload\": {\"trace\": \"build/test_fleet.jsonl\"}}",
                 clusters[i]);
        struct simulation *s = open_simulation(text);
        s->scenario.cluster.pools[0].replica.batching = &idle;
        assert_int_equal(simulation_run(s, NULL, &err), -1);
        assert_int_equal(err.code, ERROR_RUN);
        assert_non_null(strstr(err.text, "request 0 (10 prompt tokens, at most 3 output tokens) waits for the batching "
                                         "policy of replica 0"));
        simulation_close(s);
    }
}

/* Two prompts together take 1000 + 200. A look at 1000 finds 2 outstanding and starts a second replica, which would be
 * there at 6000; the one at 2000 finds none and gives the start up. A third request from 3000 to 4100. Held: all the
 * time, and from 1000 to 2000. */
static void test_a_start_is_given_up(void **state)
{
    (void)state;
    struct run_summary r;
    write_trace("{\"arrival_s\": 0, \"prompt_tokens\": 10, \"output_tokens\": 1}\n"
                "{\"arrival_s\": 0, \"prompt_tokens\": 10, \"output_tokens\": 1}\n"
                "{\"arrival_s\": 3e-6, \"prompt_tokens\": 10, \"output_tokens\": 1}\n");
    run_fleet("\"replicas\": 2, \"autoscaling\": {\"policy\": {\"name\": \"concurrency\", \"target\": 1}, "
              "\"interval_s\": 1e-6, \"cold_start_s\": 5e-6, \"slow_down_s\": 0}",
              "\"continuous\"", &r);
    assert_int_equal(r.totals.finished, 3);
    assert_int_equal(r.totals.end, 4100);
    assert_true(fabs(r.totals.held_s[0] - 5100e-9) < 1e-15);
}

/* One at a time: the second would start at 1100 + 1111 + 1112 = 3323, but waits for 2000 ns only. */
static void test_whoever_waits_too_long_gives_up(void **state)
{
    (void)state;
    struct run_summary r;
    write_trace("{\"arrival_s\": 0, \"prompt_tokens\": 10, \"output_tokens\": 3}\n"
                "{\"arrival_s\": 0, \"prompt_tokens\": 10, \"output_tokens\": 1}\n");
    run_fleet("\"admission\": {\"give_up_s\": 2e-6}", "{\"name\": \"continuous\", \"max_sequences\": 1}", &r);
    assert_int_equal(r.totals.lost, 1);
    assert_int_equal(r.totals.end, 3323);
    assert_true(fabs(r.queue.number - 2000.0 / 3323) < 1e-12); /* the wait of the one that gave up counts */
}

/* The same with orders that keep account of who waits: three give up at 2000, and one that comes at 3000 runs from 3323
 * on. resource_aware takes two of the short ones first, to 1100 and to 2200, so that only two give up. */
static void test_who_gives_up_leaves_an_order_that_keeps_account(void **state)
{
    (void)state;
    struct run_summary r;
    static const struct {
        const char *order;
        uint64_t lost;
        sim_time end;
    } cases[] = {{"fair", 3, 4423}, {"lpm", 3, 4423}, {"decode_ratio", 3, 4423}, {"resource_aware", 2, 4100}};
    write_trace("{\"arrival_s\": 0, \"prompt_tokens\": 10, \"output_tokens\": 3}\n"
                "{\"arrival_s\": 0, \"prompt_tokens\": 10, \"output_tokens\": 1, \"client\": 1}\n"
                "{\"arrival_s\": 0, \"prompt_tokens\": 10, \"output_tokens\": 1, \"client\": 2}\n"
                "{\"arrival_s\": 0, \"prompt_tokens\": 10, \"output_tokens\": 1, \"client\": 1}\n"
                "{\"arrival_s\": 3e-6, \"prompt_tokens\": 10, \"output_tokens\": 1, \"client\": 1}\n");
    for (size_t i = 0; i < 4; i++) {
        char order[50];
        snprintf(order, sizeof order, ", \"order\": \"%s\"", cases[i].order);
        run_ordered_fleet("\"admission\": {\"give_up_s\": 2e-6}", "{\"name\": \"continuous\", \"max_sequences\": 1}",
                          order, &r);
        assert_int_equal(r.totals.lost, cases[i].lost);
        assert_int_equal(r.totals.finished, 5 - cases[i].lost);
        assert_int_equal(r.totals.end, cases[i].end);
    }
}

/* One runs and one waits; the third is one too many. */
static void test_a_full_queue_sheds(void **state)
{
    (void)state;
    struct run_summary r;
    write_trace("{\"arrival_s\": 0, \"prompt_tokens\": 10, \"output_tokens\": 3}\n"
                "{\"arrival_s\": 1e-6, \"prompt_tokens\": 10, \"output_tokens\": 1}\n"
                "{\"arrival_s\": 1e-6, \"prompt_tokens\": 10, \"output_tokens\": 1}\n");
    run_fleet("\"admission\": {\"most_waiting\": 1}", "{\"name\": \"continuous\", \"max_sequences\": 1}", &r);
    assert_int_equal(r.totals.rejected, 1);
    assert_int_equal(r.totals.finished, 2);
}

/* Up a share mtbf / (mtbf + mttr) = 0.9 of the time; with a cold spare of every replica nobody is ever lost. Over some
 * 400 failures the share is known to about 1 %. */
static void test_availability_by_chance(void **state)
{
    (void)state;
    static struct fleet f;
    struct fleet_config config = {.count = 1, .asked = true, .mtbf_s = 90, .mttr_s = 10, .patience = SIM_TIME_NEVER};
    sim_time now = 0, end = sim_time_from_s(40000), up = 0;
    size_t replica = 0, failures = 0;
    assert_int_equal(fleet_init(&f, &config, 7), 0);
    while (fleet_next(&f) < end) {
        sim_time next = fleet_next(&f);
        up += f.serving_count ? next - now : 0;
        now = next;
        failures += fleet_take(&f, now, &replica) == FLEET_FAILED;
    }
    double share = (double)up / (double)now;
    fleet_release(&f);
    assert_true(failures > 330 && failures < 470);
    assert_true(share > 0.88 && share < 0.92);
}

/* Two clients send at once. The replica fails at 300 and both are lost; what they send then waits until it is up again
 * at 800, and gives up at that very instant. What they send next finds it idle: one runs until 800 + 1010, the other
 * gives up at 1300. */
static void test_what_clients_send_as_they_give_up_is_served(void **state)
{
    (void)state;
    struct run_summary r;
    run_scenario(
        "{\"model\": \"ideal\", \"device\": \"tests/data/line2.json\", \"cluster\": {\"failures\": {\"requests\": "
        "\"lost\", \"schedule\": [{\"replica\": 0, \"at_s\": 3e-7, \"for_s\": 5e-7}]}, \"admission\": "
        "{\"give_up_s\": 5e-7}}, \"policy\": {\"batching\": {\"name\": \"continuous\", \"max_sequences\": 1}}, "
        "\"workload\": {\"arrivals\": {\"name\": \"closed_loop\", \"concurrency\": 2}, \"requests\": 6, "
        "\"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": 1}, \"output\": {\"name\": \"fixed\", "
        "\"tokens\": 1}}}}",
        &r);
    assert_int_equal(r.totals.finished, 1);
    assert_int_equal(r.totals.lost, 5);
    assert_int_equal(r.totals.end, 1810);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_failed_replica_computes_again),
        cmocka_unit_test(test_requests_of_a_failed_replica_go_elsewhere),
        cmocka_unit_test(test_requests_of_a_failed_replica_may_be_lost),
        cmocka_unit_test(test_a_failure_voids_what_was_scheduled_ahead),
        cmocka_unit_test(test_a_run_in_which_nothing_can_happen_is_an_error),
        cmocka_unit_test(test_a_start_is_given_up),
        cmocka_unit_test(test_whoever_waits_too_long_gives_up),
        cmocka_unit_test(test_who_gives_up_leaves_an_order_that_keeps_account),
        cmocka_unit_test(test_a_full_queue_sheds),
        cmocka_unit_test(test_availability_by_chance),
        cmocka_unit_test(test_what_clients_send_as_they_give_up_is_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
