/* SPDX-License-Identifier: MIT */
/* Pipeline parallelism: stages, bubbles, micro-batches. */
#include "sim/pipeline.h"

#include "tests/harness.h"

/* A stage that takes so many nanoseconds, a third of them prefill where the batch holds prompts. */
static void lasts(void *state, const struct batch *batch, struct iteration_cost *out)
{
    fine_time total = (fine_time)(*(sim_time *)state) << FINE_BITS;
    *out =
        (struct iteration_cost){.total = total, .decode_alone = batch->count ? total - total / 3 : total, .steady = 1};
}

static sim_time start_at(struct pipeline *p, sim_time now, const struct batch *b)
{
    struct executor e = pipeline_executor(p);
    struct iteration_cost cost;
    p->now = now;
    e.run(e.state, b, &cost);
    return now + (sim_time)(cost.total >> FINE_BITS);
}

/* Stages of 10, 20 and 10 ns; sending 2 tokens of 3 bytes at 1e9 bytes/s after 1 ns takes 7 ns.
 * A starts at 0: 0–10, 17–37, 44–54. B starts at 10: 10–20, waits for A to leave the second, 37–57, 64–74. C comes when
 * all is empty, at 100, and leaves at 154. Active 74 + 54 ns, three stages, busy 3 · 40 ns. */
static void test_a_pipeline_by_hand(void **state)
{
    (void)state;
    sim_time ns[] = {10, 20, 10};
    const struct executor stages[] = {{.run = lasts, .state = &ns[0]},
                                      {.run = lasts, .state = &ns[1]},
                                      {.run = lasts, .state = &ns[2]}};
    const struct pipeline_link link = {.bytes_per_token = 3, .bytes_per_s = 1e9, .latency = 1};
    struct batch two = {.decodes = 2};
    struct pipeline p;
    assert_int_equal(pipeline_init(&p, 3, stages, &link), 0);
    assert_int_equal(start_at(&p, 0, &two), 54);
    assert_int_equal(p.free_at[0], 10);
    assert_int_equal(start_at(&p, 10, &two), 74);
    assert_int_equal(start_at(&p, 100, &two), 154);
    struct bubbles b = pipeline_bubbles(&p);
    assert_true(fabs(b.active_s * 1e9 - 3 * (74 + 54)) < 1e-6);
    assert_true(fabs(b.idle_s * 1e9 - (3 * (74 + 54) - 3 * 40)) < 1e-6);
    pipeline_release(&p);
}

/* What one request of 40 prompt tokens and 2 output tokens sees of two stages of 100 ns each, in chunks of 10. */
struct seen {
    sim_time first_token, last_token, own, stall;
};

static void note_seen(void *state, struct station_id station, const struct request *r)
{
    struct seen *seen = state;
    (void)station;
    *seen = (struct seen){r->first_token, r->last_token, r->parts[PART_PREFILL_OWN], r->parts[PART_PREFILL_STALL]};
}

static struct seen run_chunks(const char *batching)
{
    static sim_time ns[] = {100, 100};
    const struct executor stages[] = {{.run = lasts, .state = &ns[0]}, {.run = lasts, .state = &ns[1]}};
    struct error err = {0};
    struct seen seen = {0};
    const struct observer observer = {.state = &seen, .finished = note_seen};
    char spec[700];
    snprintf(spec, sizeof spec,
             "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"cluster\": {\"pipeline_parallel\": 2},"
             "\"policy\": {\"batching\": %s}, \"workload\": {\"arrivals\": \"at_once\", \"requests\": 1, \"lengths\": "
             "{\"prompt\": {\"name\": \"fixed\", \"tokens\": 40}, \"output\": {\"name\": \"fixed\", \"tokens\": 2}}}}",
             batching);
    struct simulation *s = open_simulation(spec);
    struct pool_config *pool = &s->scenario.cluster.pools[0];
    pool->stage_executors = stages;
    pool->stage_link = (struct pipeline_link){.bytes_per_token = 0, .bytes_per_s = 1};
    expect_ok(simulation_run(s, &(struct simulation_options){.observers = &observer}, &err), &err);
    simulation_close(s);
    return seen;
}

/* Chunks enter at 0, 100, 200 and 300, each when the first stage has let go of the one before, and the last one leaves
 * at 500; the second token comes 200 later. All of the time to the first token is the prompt's own. */
static void test_chunks_of_a_prompt_follow_each_other_through_the_stages(void **state)
{
    (void)state;
    struct seen seen = run_chunks("{\"name\": \"unified_budget\", \"token_budget\": 10}");
    assert_int_equal(seen.first_token, 500);
    assert_int_equal(seen.last_token, 700);
    assert_int_equal(seen.own, 500);
    assert_int_equal(seen.stall, 0);
}

/* SARATHI's micro-batches each have prompts of their own: a chunk enters when the one before has left the last stage.
 */
static void test_chunks_of_a_prompt_wait_for_each_other_where_the_policy_says_so(void **state)
{
    (void)state;
    struct seen seen = run_chunks("{\"name\": \"piggyback\", \"chunk_tokens\": 10}");
    assert_int_equal(seen.first_token, 800);
    assert_int_equal(seen.last_token, 1000);
    assert_int_equal(seen.own, 800);
}

static const char text[] =
    "{\"model\": \"%s\", \"device\": \"h100-sxm\", \"engine\": {\"host_ns\": %u, \"host_ns_per_sequence\": 1000},"
    "\"cluster\": {\"pipeline_parallel\": %u, \"link\": {\"bytes_per_s\": 1e15, \"latency_ns\": 0}},"
    "\"policy\": {\"batching\": {\"name\": \"%s\", \"max_sequences\": %u}, \"kv_blocks\": 4000},"
    "\"workload\": {\"arrivals\": {\"name\": \"%s\"}, \"requests\": %u, \"lengths\": {\"prompt\": {\"name\": "
    "\"fixed\", "
    "\"tokens\": 1000}, \"output\": {\"name\": \"fixed\", \"tokens\": 50}}}}";

static double run_stages(const char *model, unsigned host_ns, unsigned stages, const char *policy, unsigned sequences,
                         const char *arrivals, unsigned requests, struct run_summary *out)
{
    char spec[900];
    snprintf(spec, sizeof spec, text, model, host_ns, stages, policy, sequences, arrivals, requests);
    run_scenario(spec, out);
    return out->metrics[METRIC_E2E].at[STAT_MEAN].value;
}

/* One request at a time goes through all stages one after another: as long as with one stage, but for sending, which
 * takes nothing here, and rounding (1 ns for each of 50 iterations and 3 stages). Layers of all kinds, whatever their
 * number, are somewhere once: dense, tied head, mixture of experts, latent attention. */
static void test_stages_add_up_to_the_whole(void **state)
{
    (void)state;
    static const char *const models[] = {"llama-3.1-8b", "llama-3.2-1b", "qwen3-30b-a3b", "opt-13b"};
    struct run_summary r;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        double whole = run_stages(models[i], 1000000, 1, "continuous", 1, "closed_loop", 5, &r);
        double staged = run_stages(models[i], 1000000, 3, "continuous", 1, "closed_loop", 5, &r);
        if (fabs(staged - whole) > 50 * 3 + 1)
            fail_msg("%s: %g ns in one stage, %g in three", models[i], whole, staged);
        assert_true(fabs(r.bubble_share - 2.0 / 3) < 0.01); /* two of three stages idle at any time */
    }
}

/* Four micro-batches of one sequence each keep four stages busy, nearly: four requests at a time are served in not much
 * more than one pass each, and one at a time takes as long alone. */
static void test_micro_batches_fill_the_stages(void **state)
{
    (void)state;
    struct run_summary alone, four;
    run_stages("llama-2-7b", 0, 4, "continuous", 1, "at_once", 1, &alone);
    run_stages("llama-2-7b", 0, 4, "continuous", 1, "at_once", 40, &four);
    double speedup = 40 * alone.duration_s / four.duration_s;
    if (!(speedup > 3.3 && speedup <= 4))
        fail_msg("%g times", speedup);
    assert_true(four.bubble_share < 0.18);
    assert_int_equal(four.totals.finished, 40);
    assert_int_equal(four.totals.kv_allocated, four.totals.kv_freed);
}

/* Pools of two and three stages, 1 ms apart: a request alone takes as long as in one stage, and 1 ms. Three at a time
 * are decoded in micro-batches of one, in not much more than the time of one. */
static void test_pools_of_pipelines(void **state)
{
    (void)state;
    static const char pools[] =
        "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"engine\": {\"host_ns\": 0, "
        "\"host_ns_per_sequence\": 1000}, \"cluster\": {\"link\": {\"bytes_per_s\": 1e15, \"latency_ns\": 0}, "
        "\"placement\": {\"name\": \"disaggregated\", \"prefill\": {\"pipeline_parallel\": 2}, \"decode\": "
        "{\"pipeline_parallel\": 3, \"batching\": {\"name\": \"continuous\", \"max_sequences\": 1}}, \"link\": "
        "{\"bytes_per_s\": 1e15, \"latency_ns\": 1000000}}}, \"policy\": {\"batching\": \"continuous\", \"kv_blocks\": "
        "4000}, \"workload\": {\"arrivals\": \"at_once\", \"requests\": %u, \"lengths\": {\"prompt\": {\"name\": "
        "\"fixed\", \"tokens\": 1000}, \"output\": {\"name\": \"fixed\", \"tokens\": 50}}}}";
    struct run_summary whole, one, three;
    char spec[1200];
    double alone = run_stages("llama-3.1-8b", 0, 1, "continuous", 1, "at_once", 1, &whole);
    snprintf(spec, sizeof spec, pools, 1);
    run_scenario(spec, &one);
    double apart = one.metrics[METRIC_E2E].at[STAT_MEAN].value - 1e6;
    if (fabs(apart - alone) > 50 * 3 + 1)
        fail_msg("%g ns in one stage, %g in pools", alone, apart);
    snprintf(spec, sizeof spec, pools, 3);
    run_scenario(spec, &three);
    assert_int_equal(three.totals.kv_allocated, three.totals.kv_freed);
    double longer = three.duration_s / one.duration_s;
    if (!(longer > 1 && longer < 1.35))
        fail_msg("%g times", longer);
}

/* What a token hands to the next stage are activations, which stay in 16 bits, however narrow the weights are: 4 096
 * values of 2 bytes, halved by two GPUs a stage. */
static void test_stages_hand_over_16_bits(void **state)
{
    (void)state;
    static const char *const engines[] = {"{}", "{\"weight_dtype\": \"fp8\"}", "{\"weight_dtype\": \"int4\"}"};
    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) {
        char spec[500];
        struct scenario s;
        struct json root;
        struct error err = {0};
        snprintf(spec, sizeof spec,
                 "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"engine\": %s, \"cluster\": "
                 "{\"pipeline_parallel\": 2, \"tensor_parallel\": 2}, \"policy\": {\"batching\": \"continuous\"}, "
                 "\"workload\": {\"arrivals\": \"poisson\", \"lengths\": \"fixed\"}}",
                 engines[i]);
        expect_ok(json_parse(spec, "scenario", &root, &err), &err);
        expect_ok(scenario_compile(&s, root, &err), &err);
        assert_true(s.cluster.pools[0].stage_link.bytes_per_token == 4096 * 2 / 2.0);
        scenario_release(&s);
    }
}

static void test_what_has_no_stages_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"\"policy\": {\"batching\": \"static_padded\"}", "a policy that serves no whole batches"},
        {"\"policy\": {\"order\": \"fair\"}", "an order of keys with central_queue, pipeline_parallel or redundant_kv"},
        {"\"techniques\": [\"speculative\"]",
         "speculative decoding, or a second model, has no stages that could be told apart"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char spec[500];
        snprintf(spec, sizeof spec,
                 "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"cluster\": {\"pipeline_parallel\": 2}, %s, "
                 "\"workload\": {\"arrivals\": \"poisson\", \"lengths\": \"fixed\"}}",
                 wrong[i][0]);
        expect_scenario_refused(spec, wrong[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunks_of_a_prompt_follow_each_other_through_the_stages),
        cmocka_unit_test(test_chunks_of_a_prompt_wait_for_each_other_where_the_policy_says_so),
        cmocka_unit_test(test_a_pipeline_by_hand),
        cmocka_unit_test(test_stages_add_up_to_the_whole),
        cmocka_unit_test(test_micro_batches_fill_the_stages),
        cmocka_unit_test(test_pools_of_pipelines),
        cmocka_unit_test(test_stages_hand_over_16_bits),
        cmocka_unit_test(test_what_has_no_stages_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
