/* SPDX-License-Identifier: MIT */
/* Disaggregated placement, by hand: tests/data/line2.json takes 1000 ns an iteration, 10 a prompt token, 100 a decode
 * and 1 a KV token; the ideal model has 4 bytes of KV a token. */
#include <math.h>
#include <unistd.h>

#include "tests/harness.h"

struct told {
    sim_time last_token[4], transfer[4], taken_over[4];
    size_t replica[4];
    struct observer inner;
};

static void note(void *state, struct station_id station, const struct request *r)
{
    struct told *t = state;
    t->last_token[r->id] = r->last_token;
    t->transfer[r->id] = r->parts[PART_TRANSFER];
    t->taken_over[r->id] = r->taken_over;
    t->replica[r->id] = station.index;
}

static void run_placed(const char *placement, const char *more, unsigned requests, unsigned prompt, unsigned output,
                       struct told *t, struct cluster_totals *totals)
{
    struct error err = {0};
    char text[1600];
    snprintf(text, sizeof text,
             "{\"model\": \"%s\", \"device\": \"tests/data/line2.json\", \"cluster\": {%s\"placement\": {%s%s}}, "
             "\"policy\": {%s\"admission\": \"on_demand\", "
             "\"kv_block_tokens\": 4 %s}, \"workload\": {\"arrivals\": \"at_once\", \"requests\": %u, \"lengths\": {"
             "\"prompt\": {\"name\": \"fixed\", \"tokens\": %u}, \"output\": {\"name\": \"fixed\", \"tokens\": %u}}}}",
             strstr(placement, "layerwise") ? "tests/data/two_layers.json" : "ideal",
             strstr(placement, "redundant") ? "\"replicas\": 2, " : "",
             strstr(placement, "\"name\"") ? "" : "\"name\": \"disaggregated\", ", placement,
             strstr(more, "batching") ? "" : "\"batching\": \"continuous\", ", more, requests, prompt, output);
    *t = (struct told){0};
    const struct observer observer = {.state = t, .finished = note};
    struct simulation *s = open_simulation(text);
    expect_ok(simulation_run(s, &(struct simulation_options){.observers = &observer}, &err), &err);
    *totals = s->summary.totals;
    simulation_close(s);
}

#define FAST_LINK "\"link\": {\"bytes_per_s\": 1e9, \"latency_ns\": 500}"
#define FIFO_LINK "\"link\": {\"bytes_per_s\": 1e9, \"latency_ns\": 500, \"discipline\": \"fifo\"}"

/* Prefill until 1000 + 100 = 1100; 40 bytes at 1 GB/s after 500 ns: 1640; decodes over 11 and 12 tokens: 1111 and 1112.
 */
static void test_one_request_through_both_pools(void **state)
{
    (void)state;
    struct told t;
    struct cluster_totals totals;
    run_placed(FAST_LINK, "", 1, 10, 3, &t, &totals);
    assert_int_equal(t.taken_over[0], 1640);
    assert_int_equal(t.transfer[0], 540);
    assert_int_equal(t.last_token[0], 1640 + 1111 + 1112);
    assert_int_equal(t.replica[0], 1);
    assert_int_equal(totals.kv_held, 0);
    run_placed(FAST_LINK, "", 1, 10, 1, &t, &totals); /* a single token needs no decode replica */
    assert_int_equal(t.last_token[0], 1100);
    assert_int_equal(t.replica[0], 0);
}

/* Both prompts until 1200. They share the link: 40 bytes each take 80 ns, and both arrive at 1780. Decodes of 11 and
 * 11, then 12 and 12 tokens: 1222 and 1224 ns. */
static void test_transfers_share_a_link(void **state)
{
    (void)state;
    struct told t;
    struct cluster_totals totals;
    run_placed(FAST_LINK, "", 2, 10, 3, &t, &totals);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(t.taken_over[i], 1780);
        assert_int_equal(t.last_token[i], 1780 + 1222 + 1224);
        assert_int_equal(t.transfer[i], 1780 - 1200);
    }
}

/* One after the other: sent at 1240 and 1280, there at 1740 and 1780. The second comes in the middle of the first one's
 * iteration (1740 to 2851) and joins the next: 12 + 11 tokens, 1223 ns to 4074, where the first one ends. */
static void test_transfers_queue_for_a_link_and_join_between_iterations(void **state)
{
    (void)state;
    struct told t;
    struct cluster_totals totals;
    run_placed(FIFO_LINK, "", 2, 10, 3, &t, &totals);
    assert_int_equal(t.taken_over[0], 1740);
    assert_int_equal(t.taken_over[1], 2851);
    assert_int_equal(t.last_token[0], 4074);
    assert_int_equal(t.last_token[1], 4074 + 1112);
    assert_int_equal(t.transfer[1], 2851 - 1200);
    /* Two decode replicas receive side by side, but the prefill replica sends one after the other. */
    run_placed("\"decode\": {\"replicas\": 2}, " FIFO_LINK, "", 2, 10, 3, &t, &totals);
    assert_int_equal(t.taken_over[1], 1780);
    assert_int_equal(t.last_token[1], 1780 + 1111 + 1112);
    assert_int_equal(t.replica[0] + t.replica[1], 1 + 2);
}

/* Blocks for one request at a time where it decodes (3 for 12 tokens): the second one is pulled when the first has
 * gone, at 1740 + 1111 = 2851, and its KV is held where it was prefilled meanwhile. There, 6 blocks hold two prompts,
 * so that the third one is not admitted before the first one's have been pulled, at 1740: it prefills until 2840, and
 * is pulled when the second has gone, at 2851 + 540 + 1111 = 4502. */
static void test_back_pressure_through_both_pools(void **state)
{
    (void)state;
    struct told t;
    struct cluster_totals totals;
    run_placed("\"prefill\": {\"kv_blocks\": 6}, \"decode\": {\"kv_blocks\": 3}, " FAST_LINK, "", 3, 10, 2, &t,
               &totals);
    assert_int_equal(t.last_token[0], 2851);
    assert_int_equal(t.taken_over[1], 2851 + 540);
    assert_int_equal(t.last_token[1], 4502);
    assert_int_equal(t.taken_over[2], 4502 + 540);
    assert_int_equal(t.transfer[2], 4502 + 540 - 2840);
    assert_int_equal(totals.kv_allocated, totals.kv_freed);
}

/* Layer by layer, what is left to send when the prompt is through at 1100: of 80 ns one of the model's two layers, 40;
 * of 8000 ns on a slow link what the prompt's 1100 did not hide. */
static void test_layers_are_sent_while_the_next_are_computed(void **state)
{
    (void)state;
    struct told t;
    struct cluster_totals totals;
    run_placed("\"link\": {\"bytes_per_s\": 1e9, \"latency_ns\": 500, \"layerwise\": true}", "", 1, 10, 3, &t, &totals);
    assert_int_equal(t.taken_over[0], 1100 + 500 + 40);
    run_placed("\"link\": {\"bytes_per_s\": 1e7, \"latency_ns\": 500, \"layerwise\": true}", "", 1, 10, 3, &t, &totals);
    assert_int_equal(t.taken_over[0], 1100 + 500 + 6900);
    run_placed("\"link\": {\"bytes_per_s\": 1e7, \"latency_ns\": 500, \"layerwise\": false}", "", 1, 10, 3, &t,
               &totals);
    assert_int_equal(t.taken_over[0], 1100 + 500 + 8000);
}

/* Three equal requests on three decode replicas of 16 tokens, 13 of which each is predicted to need: none gets two. */
static void test_two_level_avoids_hot_spots(void **state)
{
    (void)state;
    struct told t;
    struct cluster_totals totals;
    run_placed("\"name\": \"two_level\", \"decode\": {\"replicas\": 3, \"kv_blocks\": 4}, " FAST_LINK, "", 3, 10, 3, &t,
               &totals);
    assert_int_equal(t.replica[0] + t.replica[1] + t.replica[2], 1 + 2 + 3);
    assert_int_equal(t.replica[0] * t.replica[1] * t.replica[2], 6);
}

/* A prompt that finds another before it is prefilled, and decodes, where requests decode: first token at 1100, an
 * iteration alone until 2211; the other one, landed at 1640, joins: 12 + 11 tokens, until 3434, and goes on alone. */
static void test_a_mixed_pool_prefills_where_it_decodes(void **state)
{
    (void)state;
    struct told t;
    struct cluster_totals totals;
    run_placed("\"name\": \"mixed_pool\", \"prefill_above_tokens\": 0, " FAST_LINK, "", 2, 10, 3, &t, &totals);
    assert_int_equal(t.taken_over[0], 2211);
    assert_int_equal(t.taken_over[1], 0);
    assert_int_equal(t.last_token[1], 3434);
    assert_int_equal(t.last_token[0], 3434 + 1112);
    assert_int_equal(t.replica[1], 1);
}

/* With a decode replica that is too busy with one request, the other decodes where it was prefilled, until
 * 1200 + 1111 + 1112; with both kept below that limit both go. */
static void test_a_mixed_pool_decodes_where_it_prefills(void **state)
{
    (void)state;
    struct told t;
    struct cluster_totals totals;
    run_placed("\"name\": \"mixed_pool\", \"decode_above_tokens\": 2, " FAST_LINK, "", 2, 10, 3, &t, &totals);
    assert_int_equal(t.last_token[0], 1740 + 1111 + 1112);
    assert_int_equal(t.last_token[1], 1200 + 1111 + 1112);
    assert_int_equal(t.replica[1], 0);
    assert_int_equal(t.transfer[1], 0);
    assert_int_equal(totals.kv_allocated, totals.kv_freed);
    run_placed("\"name\": \"mixed_pool\", \"decode_above_tokens\": 3, " FAST_LINK, "", 2, 10, 3, &t, &totals);
    assert_int_equal(t.replica[0] + t.replica[1], 2);
}

/* A pair. Both prompts are through at 1200 at the first member, their copies at 1740 and 2280: both decode there until
 * 1200 + 1222 = 2422. Then one goes to the other member, and each has its last token after 1000 + 100 + 12.
 */
static void test_a_pair_shares_its_decodes(void **state)
{
    (void)state;
    struct told t;
    struct cluster_totals totals;
    run_placed("\"name\": \"redundant_kv\", " FAST_LINK, "", 2, 10, 3, &t, &totals);
    assert_int_equal(t.last_token[0], 2422 + 1112);
    assert_int_equal(t.last_token[1], 2422 + 1112);
    assert_int_equal(t.transfer[1], 0);
    assert_int_equal(totals.iterations, 4);
    assert_int_equal(totals.kv_allocated, 6); /* 12 tokens each, in one pool */
    assert_int_equal(totals.kv_held, 0);
}

/* At most two run on a member, so the third prompt waits. At 2422, when the copies are there, the first member gives
 * both decodes to the other, which has their last tokens at 2422 + 1224, and prefills until 2422 + 1100. */
static void test_one_of_a_pair_prefills_while_the_other_decodes(void **state)
{
    (void)state;
    struct told t;
    struct cluster_totals totals;
    run_placed("\"name\": \"redundant_kv\", " FAST_LINK,
               ", \"batching\": {\"name\": \"continuous\", \"max_sequences\": 2}", 3, 10, 3, &t, &totals);
    assert_int_equal(t.last_token[0], 3646);
    assert_int_equal(t.last_token[1], 3646);
    assert_int_equal(t.last_token[2], 3522 + 1111 + 1112);
}

/* Prompts of 16 tokens, the first 8 of which all have, 100 µs apart. The first takes 1160 ns, and its 64 bytes 564; the
 * second finds 8 tokens, though the first has left, computes 8 over these and takes 1088; but all of its KV is sent, as
 * the other side keeps none. Two output tokens: a decode over 17 tokens takes 1117. */
static void test_prefixes_are_found_where_prompts_are_computed(void **state)
{
    (void)state;
    struct error err = {0};
    struct told t = {0};
    const struct observer observer = {.state = &t, .finished = note};
    struct simulation *s = open_simulation(
        "{\"model\": \"ideal\", \"device\": \"tests/data/line2.json\", \"cluster\": {\"placement\": {\"name\": "
        "\"disaggregated\", " FAST_LINK "}}, \"policy\": {\"batching\": \"continuous\", \"prefix_caching\": true, "
        "\"kv_block_tokens\": 4, \"kv_blocks\": 100}, \"workload\": {\"arrivals\": {\"name\": \"deterministic\", "
        "\"rate_per_s\": 10000}, \"requests\": 3, \"prefixes\": {\"groups\": 1, \"tokens\": 8}, \"lengths\": "
        "{\"prompt\": "
        "{\"name\": \"fixed\", \"tokens\": 8}, \"output\": {\"name\": \"fixed\", \"tokens\": 2}}}}");
    expect_ok(simulation_run(s, &(struct simulation_options){.observers = &observer}, &err), &err);
    sim_time arrival = t.taken_over[0] - 1160 - 564;
    for (int i = 0; i < 3; i++) {
        sim_time prefill = i == 0 ? 1160 : 1088;
        assert_int_equal(t.taken_over[i], arrival + i * 100000 + prefill + 564);
        assert_int_equal(t.last_token[i], t.taken_over[i] + 1117);
    }
    assert_true(s->summary.prefix_hit_rate == 16 / 48.0);
    assert_int_equal(s->summary.totals.kv_allocated, s->summary.totals.kv_freed);
    simulation_close(s);
}

static void test_what_cannot_be_disaggregated(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"policy\": {\"batching\": \"static_padded\"}",
         "cluster.placement: expected \"colocated\" with a batching policy that serves whole batches"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[800];
        snprintf(text, sizeof text,
                 "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"cluster\": {\"placement\": {\"name\": "
                 "\"disaggregated\"}}, %s, \"workload\": {}}",
                 cases[i][0]);
        expect_scenario_refused(text, cases[i][1]);
    }
}

/* The prefill replica is through at 1100; all 40 bytes are there at 1640. The last token over 9 others takes 1019 ns,
 * and with it the first token comes, at 2659. */
static void test_the_first_token_comes_from_where_it_decodes(void **state)
{
    (void)state;
    struct told t;
    struct cluster_totals totals;
    static const char link[] = "\"link\": {\"bytes_per_s\": 1e9, \"latency_ns\": 500, \"first_token\": \"decode\"}";
    run_placed(link, "", 1, 10, 3, &t, &totals);
    assert_int_equal(t.taken_over[0], 1640);
    assert_int_equal(t.transfer[0], 540);
    assert_int_equal(t.last_token[0], 2659 + 1111 + 1112);
    run_placed(link, "", 1, 10, 1, &t, &totals);
    assert_int_equal(t.last_token[0], 2659);
    assert_int_equal(t.replica[0], 1);
    assert_int_equal(totals.kv_held, 0);
}

/* Two prompts of 10 tokens, of which 8 are the same, at 0 and at 10 us, with 2 tokens of output each. */
static struct told run_prefixes(const char *more, struct cluster_totals *totals)
{
    struct error err = {0};
    struct told t = {0};
    char path[] = "/tmp/test_placement_XXXXXX", text[900];
    int file = mkstemp(path);
    assert_true(file >= 0);
    FILE *f = fdopen(file, "w");
    assert_non_null(f);
    for (int i = 0; i < 2; i++)
        fprintf(f,
                "{\"arrival_s\": %d.0e-5, \"prompt_tokens\": 10, \"output_tokens\": 2, \"prefix_group\": 1, "
                "\"prefix_tokens\": 8}\n",
                i);
    fclose(f);
    snprintf(text, sizeof text,
             "{\"model\": \"ideal\", \"device\": \"tests/data/line2.json\", \"cluster\": {\"placement\": {\"name\": "
             "\"disaggregated\", \"link\": {\"bytes_per_s\": 1e9, \"latency_ns\": 500%s}}}, \"policy\": {\"batching\": "
             "\"continuous\", \"kv_block_tokens\": 4, \"prefix_caching\": true}, \"workload\": {\"trace\": \"%s\"}}",
             more, path);
    const struct observer observer = {.state = &t, .finished = note};
    struct simulation *s = open_simulation(text);
    expect_ok(simulation_run(s, &(struct simulation_options){.observers = &observer}, &err), &err);
    *totals = s->summary.totals;
    simulation_close(s);
    unlink(path);
    return t;
}

/* The second prompt is computed from 10 000 to 11 028, 2 tokens over 8. All of it is 40 bytes; what is lacking is 8. */
static void test_only_what_is_lacking_is_sent(void **state)
{
    (void)state;
    struct cluster_totals totals;
    struct told all = run_prefixes("", &totals);
    assert_true(totals.transfers.transfers == 2 && totals.transfers.bytes == 80 && totals.transfers.present == 0);
    assert_int_equal(all.taken_over[1], 11028 + 540);
    struct told lacking = run_prefixes(", \"only_lacking\": true", &totals);
    assert_int_equal(lacking.taken_over[1], 11028 + 508);
    assert_int_equal(lacking.last_token[1], 11028 + 508 + 1111);
    assert_true(totals.transfers.bytes == 48 && totals.transfers.present == 8 && totals.transfers.tokens == 20);
    assert_int_equal(totals.kv_held, 0);
}

/* 2 tokens are lacking where it decodes: it is computed there, until 11 028 and 12 139, unless fewer are asked for. */
static void test_a_prompt_of_which_little_is_lacking_stays(void **state)
{
    (void)state;
    struct cluster_totals totals;
    struct told stays = run_prefixes(", \"only_lacking\": true, \"local_below_tokens\": 3", &totals);
    assert_int_equal(stays.taken_over[1], 0);
    assert_int_equal(stays.replica[1], 1);
    assert_int_equal(stays.last_token[1], 11028 + 1111);
    assert_int_equal(totals.transfers.transfers, 1);
    struct told goes = run_prefixes(", \"only_lacking\": true, \"local_below_tokens\": 2", &totals);
    assert_int_equal(goes.taken_over[1], 11028 + 508);
}

/* Every transfer fails at its end. The first prompt and its token are computed where they were to decode, from 1640,
 * 1110 ns for 11 tokens; of the second, 8 are there: 3 over 8 take 1038. */
static void test_what_did_not_come_is_computed_there(void **state)
{
    (void)state;
    struct cluster_totals totals;
    struct told t = run_prefixes(", \"only_lacking\": true, \"failing_share\": 1", &totals);
    assert_int_equal(t.transfer[0], 540);
    assert_int_equal(t.last_token[0], 1640 + 1110);
    assert_int_equal(t.last_token[1], 11028 + 508 + 1038);
    assert_int_equal(totals.transfers.failed, 2);
    assert_int_equal(totals.kv_held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_request_through_both_pools),
        cmocka_unit_test(test_the_first_token_comes_from_where_it_decodes),
        cmocka_unit_test(test_only_what_is_lacking_is_sent),
        cmocka_unit_test(test_a_prompt_of_which_little_is_lacking_stays),
        cmocka_unit_test(test_what_did_not_come_is_computed_there),
        cmocka_unit_test(test_transfers_share_a_link),
        cmocka_unit_test(test_transfers_queue_for_a_link_and_join_between_iterations),
        cmocka_unit_test(test_back_pressure_through_both_pools),
        cmocka_unit_test(test_layers_are_sent_while_the_next_are_computed),
        cmocka_unit_test(test_two_level_avoids_hot_spots),
        cmocka_unit_test(test_a_mixed_pool_prefills_where_it_decodes),
        cmocka_unit_test(test_a_mixed_pool_decodes_where_it_prefills),
        cmocka_unit_test(test_a_pair_shares_its_decodes),
        cmocka_unit_test(test_one_of_a_pair_prefills_while_the_other_decodes),
        cmocka_unit_test(test_prefixes_are_found_where_prompts_are_computed),
        cmocka_unit_test(test_what_cannot_be_disaggregated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
