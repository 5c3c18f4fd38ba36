/* SPDX-License-Identifier: MIT */
/* Deployments: command lines that are read back as the same scenario; benchmarks; forms of Kubernetes. */
#include <math.h>

#include "planner/deploy.h"
#include "profiles/server_command.h"
#include "sim/scenario.h"
#include "tests/harness.h"

#define SERVED                                                                                                         \
    "\"workload\": {\"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": 8}, \"requests\": 50, \"lengths\": "         \
    "{\"prompt\": {\"name\": \"lognormal\", \"median\": 500, \"sigma\": 0.8}, \"output\": {\"name\": \"fixed\", "      \
    "\"tokens\": 77}}}, \"slo\": {\"ttft_s\": {\"p99\": 9}}"

struct planned {
    struct plan plan;
    struct family *families;
    size_t count;
};

static void plan_of(struct planned *out, const char *words)
{
    char text[2500];
    struct json root;
    struct error err = {0};
    snprintf(text, sizeof text, "{\"scenario\": {%s, " SERVED "}, \"objective\": \"gpus\"}", words);
    expect_ok(json_parse(text, "plan", &root, &err), &err);
    expect_ok(plan_read(&out->plan, root, &err), &err);
    expect_ok(families_make(&out->plan, &out->families, &out->count, &err), &err);
    assert_int_equal(out->count, 1);
    if (out->families[0].refused[0])
        fail_msg("%s", out->families[0].refused);
}

static void release(struct planned *p)
{
    families_release(p->families, p->count);
    plan_release(&p->plan);
}

static void compile(struct scenario *s, struct json root)
{
    struct error err = {0};
    expect_ok(scenario_compile(s, root, &err), &err);
}

static void same_params(const struct param_set *a, const struct param_set *b)
{
    assert_ptr_equal(a->specs, b->specs);
    for (size_t i = 0; a->specs[i].name; i++) {
        if (a->specs[i].type != PARAM_TEXT && a->number[i] != b->number[i])
            fail_msg("%s: %g and %g", a->specs[i].name, a->number[i], b->number[i]);
        if (a->specs[i].type == PARAM_TEXT && a->text[i] && b->text[i])
            assert_string_equal(a->text[i], b->text[i]);
    }
}

/* What a server is: its scheduler and limits, KV, memory, formats and how it is sharded. */
static void same_server(const struct scenario *a, const struct scenario *b)
{
    const struct replica_config *r = &a->cluster.pools[0].replica, *q = &b->cluster.pools[0].replica;
    const struct cost_model *c = &a->pools[0].cost, *d = &b->pools[0].cost;
    assert_string_equal(r->batching->name, q->batching->name);
    same_params(r->batching_params, q->batching_params);
    assert_true(r->kv_block_tokens == q->kv_block_tokens && r->kv_blocks == q->kv_blocks && r->kv_blocks > 0);
    assert_true(r->prefix_caching == q->prefix_caching && r->schedule_ahead == q->schedule_ahead);
    assert_string_equal(c->model.name, d->model.name);
    assert_string_equal(c->device.name, d->device.name);
    assert_string_equal(c->engine.name, d->engine.name);
    assert_true(c->engine.memory.utilization == d->engine.memory.utilization);
    assert_true(c->engine.quantised == d->engine.quantised && c->engine.weight_dtype == d->engine.weight_dtype);
    assert_true(c->parallel.tensor == d->parallel.tensor && c->parallel.data == d->parallel.data);
    assert_true(c->parallel.expert == d->parallel.expert && c->parallel.stages == d->parallel.stages);
    assert_true(a->cluster.pools[0].ranks == b->cluster.pools[0].ranks);
    assert_true(c->work.kv_bytes_per_token == d->work.kv_bytes_per_token && r->admission == q->admission);
    assert_true((c->engine.graph_count == 0) == (d->engine.graph_count == 0));
    assert_string_equal(r->order ? r->order->name : "fcfs", q->order ? q->order->name : "fcfs");
}

static const struct {
    const char *words;
    enum deploy_form form;
} servers[] = {
    {"\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm-vllm-0.19\", \"engine\": \"vllm-0.19\"", DEPLOY_VLLM},
    {"\"model\": \"llama-3.1-70b\", \"device\": \"a100-80gb\", \"engine\": {\"preset\": \"vllm-0.19\", "
     "\"weight_dtype\": \"int4\", \"memory\": {\"utilization\": 0.85}}, \"cluster\": {\"tensor_parallel\": 2, "
     "\"pipeline_parallel\": 2}, \"policy\": {\"batching\": {\"name\": \"unified_budget\", \"token_budget\": 512, "
     "\"max_sequences\": 77}, \"prefix_caching\": false, \"kv_block_tokens\": 32}",
     DEPLOY_VLLM},
    {"\"model\": \"qwen3-30b-a3b\", \"device\": \"h200-sxm\", \"engine\": \"vllm-0.19\", \"cluster\": "
     "{\"tensor_parallel\": 1, \"data_parallel\": 4, \"expert_parallel\": 4}",
     DEPLOY_VLLM},
    {"\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"engine\": {\"preset\": \"vllm-0.19\", \"kv_dtype\": "
     "\"fp8\", \"graph_tokens\": []}, \"policy\": {\"order\": \"priority\", \"kv_blocks\": 5000}",
     DEPLOY_VLLM},
    {"\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"engine\": \"sglang-0.5\"", DEPLOY_SGLANG},
    {"\"model\": \"qwen3-30b-a3b\", \"device\": \"h200-sxm\", \"engine\": {\"preset\": \"sglang-0.5\", \"kv_dtype\": "
     "\"fp8\", \"graph_tokens\": []}, \"cluster\": {\"data_parallel\": 4, \"expert_parallel\": 4}, \"policy\": "
     "{\"batching\": {\"name\": \"sglang\", \"chunked_prefill_size\": 2048, \"max_sequences\": 100, "
     "\"recv_interval\": 3}, \"order\": \"lpm\", \"prefix_caching\": true, \"kv_block_tokens\": 16, \"kv_blocks\": "
     "9000}",
     DEPLOY_SGLANG},
    {"\"model\": \"llama-3.1-70b\", \"device\": \"h200-sxm\", \"engine\": \"sglang-0.5\", \"cluster\": "
     "{\"tensor_parallel\": 4}, \"policy\": {\"batching\": {\"name\": \"sglang\", \"chunked_prefill_size\": 2048, "
     "\"max_prefill_tokens\": 8192, \"max_sequences\": 100, \"mixed_chunk\": true}, \"prefix_caching\": false, "
     "\"kv_block_tokens\": 16}",
     DEPLOY_SGLANG},
    {"\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"engine\": \"trtllm-1.2\"", DEPLOY_TRTLLM},
    {"\"model\": \"llama-3.1-70b\", \"device\": \"h200-sxm\", \"engine\": \"trtllm-1.2\", \"cluster\": "
     "{\"tensor_parallel\": 4}, \"policy\": {\"batching\": {\"name\": \"trtllm\", \"capacity\": "
     "\"guaranteed_no_evict\", \"chunking\": \"first_come_first_served\", \"token_budget\": 2048, \"max_sequences\": "
     "64}, \"prefix_caching\": true, \"kv_block_tokens\": 32}",
     DEPLOY_TRTLLM},
};

static void test_commands_are_read_back_as_the_same_server(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof servers / sizeof *servers; i++) {
        struct planned p;
        struct deployment d;
        struct server_command c;
        struct scenario first, again;
        struct json root;
        struct error err = {0};
        char command[2100];
        plan_of(&p, servers[i].words);
        expect_ok(deployment_make(&d, &p.plan, &p.families[0], 3, servers[i].form, &err), &err);
        assert_true(d.count == 1 && d.parts[0].servers == 3);
        snprintf(command, sizeof command, "%s %s", d.parts[0].program, d.parts[0].arguments);
        expect_ok(server_command_read(command, &c, &err), &err);
        if (c.note_count > 0)
            fail_msg("%s: left out %s", command, c.notes[0]);
        char *text = family_scenario(&p.plan, &p.families[0], 1);
        expect_ok(json_parse(text, "scenario", &root, &err), &err);
        compile(&first, root);
        expect_ok(json_parse(text, "scenario", &root, &err), &err);
        expect_ok(server_command_apply(&c, &root, &err), &err);
        compile(&again, root);
        same_server(&first, &again);
        scenario_release(&first);
        scenario_release(&again);
        free(text);
        release(&p);
    }
}

/* A plan of no engine, or of another one, is no deployment of this one. */
static void test_engines_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct planned p;
    struct deployment d;
    struct error err = {0};
    plan_of(&p, "\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\"");
    assert_int_equal(deployment_make(&d, &p.plan, &p.families[0], 1, DEPLOY_VLLM, &err), -1);
    assert_non_null(strstr(err.text, "--emit vllm: expected a plan whose scenario names an engine of it"));
    release(&p);
    plan_of(&p, servers[4].words);
    assert_int_equal(deployment_make(&d, &p.plan, &p.families[0], 1, DEPLOY_TRTLLM, &err), -1);
    assert_non_null(strstr(err.text, "trtllm-1.2, found sglang-0.5"));
    release(&p);
    plan_of(&p, "\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"engine\": \"vllm-0.19\", \"policy\": "
                "{\"batching\": \"prefill_first\"}");
    assert_int_equal(deployment_make(&d, &p.plan, &p.families[0], 1, DEPLOY_LLM_D, &err), -1);
    assert_non_null(
        strstr(err.text, "expected its own scheduler (policy.batching unified_budget), found prefill_first"));
    release(&p);
}

static void refused(const char *words, enum deploy_form form, const char *says)
{
    struct planned p;
    struct deployment d;
    struct error err = {0};
    plan_of(&p, words);
    assert_int_equal(deployment_make(&d, &p.plan, &p.families[0], 1, form, &err), -1);
    if (!strstr(err.text, says))
        fail_msg("expected \"%s\" in: %s", says, err.text);
    release(&p);
}

#define SMALL_VLLM "\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"engine\": "

/* A command that left out a word would start another server than the one that was planned. */
static void test_words_without_a_flag_are_refused(void **state)
{
    (void)state;
    refused(SMALL_VLLM "\"vllm-0.19\", \"policy\": {\"order\": \"edf\"}", DEPLOY_VLLM, "found policy.order edf");
    refused(SMALL_VLLM "\"vllm-0.19\", \"techniques\": [\"swiftkv\"]", DEPLOY_DYNAMO,
            "--emit dynamo: expected a scenario that the server's command can say, found the technique");
    refused(SMALL_VLLM "\"vllm-0.19\", \"policy\": {\"admission\": \"reserve_max\"}", DEPLOY_VLLM,
            "found policy.admission");
    refused(SMALL_VLLM "\"vllm-0.19\", \"policy\": {\"batching\": {\"name\": \"unified_budget\", "
                       "\"wait_iterations\": 5}}",
            DEPLOY_LLM_D, "found policy.batching wait_iterations 5");
    refused(SMALL_VLLM "{\"preset\": \"vllm-0.19\", \"kv_dtype\": \"int8\"}", DEPLOY_VLLM,
            "found engine.kv_dtype int8");
    refused("\"model\": \"qwen3-30b-a3b\", \"device\": \"h200-sxm\", \"engine\": \"vllm-0.19\", \"cluster\": "
            "{\"tensor_parallel\": 4, \"expert_parallel\": 2}",
            DEPLOY_VLLM, "found cluster.expert_parallel that is not all GPUs");
}

/* Prompts of a median of 500 and sigma 0.8 have a mean of 500 · exp(0.32) = 688.6; over 50 requests it is near. */
static void test_the_benchmark_has_the_workloads_means(void **state)
{
    (void)state;
    struct planned p;
    struct benchmark b;
    struct error err = {0};
    plan_of(&p, servers[0].words);
    expect_ok(benchmark_make(&b, &p.plan, &p.families[0], &err), &err);
    assert_true(b.rate_per_s == 8 && b.output_tokens == 77 && b.requests == 960);
    assert_true(b.prompt_tokens > 500 && b.prompt_tokens < 900);
    char *text = benchmark_scenario(&b, &p.plan, &p.families[0], 2);
    cJSON *root = cJSON_Parse(text), *workload = cJSON_GetObjectItemCaseSensitive(root, "workload");
    assert_true(cJSON_GetObjectItemCaseSensitive(workload, "requests")->valuedouble == 960);
    assert_true(
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(root, "cluster"), "replicas")->valuedouble ==
        2);
    cJSON_Delete(root);
    free(text);
    release(&p);
}

static char *written(const struct deployment *d, enum deploy_form form)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    deployment_write(d, form, out);
    fclose(out);
    return text;
}

/* Prefill and decode pools are workers of their own. */
static void test_disaggregated_pools_are_workers_of_their_own(void **state)
{
    (void)state;
    struct planned p;
    struct deployment d;
    struct error err = {0};
    plan_of(&p, "\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"engine\": \"vllm-0.19\", \"cluster\": "
                "{\"tensor_parallel\": 2, \"placement\": {\"name\": \"disaggregated\", \"prefill\": {\"replicas\": 1}, "
                "\"decode\": {\"replicas\": 2}}}");
    expect_ok(deployment_make(&d, &p.plan, &p.families[0], 2, DEPLOY_DYNAMO, &err), &err);
    assert_int_equal(d.count, 2);
    assert_true(d.parts[0].servers == 2 && d.parts[1].servers == 4 && d.parts[0].gpus == 2);
    char *text = written(&d, DEPLOY_DYNAMO);
    assert_non_null(strstr(text, "PrefillWorker"));
    assert_non_null(strstr(text, "subComponentType: decode\n      replicas: 4\n"));
    assert_non_null(strstr(text, "            - '{\"kv_connector\":\"NixlConnector\",\"kv_role\":\"kv_both\"}'\n"));
    assert_non_null(strstr(text, "            - \"dynamo.vllm\"\n"));
    assert_non_null(strstr(text, "- \"--disaggregation-mode\"\n            - \"prefill\"\n"));
    free(text);
    expect_ok(deployment_make(&d, &p.plan, &p.families[0], 2, DEPLOY_LLM_D, &err), &err);
    text = written(&d, DEPLOY_LLM_D);
    assert_non_null(strstr(text, "prefill:\n  create: true\n  replicas: 2 "));
    assert_non_null(strstr(text, "decode:\n  create: true\n  replicas: 4 "));
    assert_null(strstr(text, "--disaggregation-mode"));
    assert_non_null(strstr(text, "        requests:\n          nvidia.com/gpu: \"2\"\n"));
    free(text);
    release(&p);
}

static char *emitted(const char *words, enum deploy_form form)
{
    struct planned p;
    struct deployment d;
    struct error err = {0};
    plan_of(&p, words);
    expect_ok(deployment_make(&d, &p.plan, &p.families[0], 1, form, &err), &err);
    release(&p);
    return written(&d, form);
}

static void expect_in(char *text, const char *words)
{
    if (!strstr(text, words))
        fail_msg("expected \"%s\" in: %s", words, text);
}

/* SGLang divides what is said by its attention ranks: 4 · 100 requests, 4 · 2 048 tokens, and 0.9 / 0.3. */
static void test_limits_of_attention_ranks_are_those_of_all(void **state)
{
    (void)state;
    char *text = emitted("\"model\": \"qwen3-30b-a3b\", \"device\": \"h200-sxm\", \"engine\": \"sglang-0.5\", "
                         "\"cluster\": {\"data_parallel\": 4}, \"policy\": {\"batching\": {\"name\": \"sglang\", "
                         "\"chunked_prefill_size\": 2048, \"max_sequences\": 100, \"schedule_conservativeness\": 0.9}}",
                         DEPLOY_SGLANG);
    expect_in(text, "--tp-size 4 --dp-size 4 --enable-dp-attention --max-running-requests 400 --chunked-prefill-size "
                    "8192 ");
    expect_in(text, "--schedule-conservativeness 3 ");
    free(text);
}

/* What trtllm-serve has no flag for is in its file; Dynamo's worker has dashes in its flags. */
static void test_tensorrt_llm_has_a_file_and_a_worker(void **state)
{
    (void)state;
    const char *words = "\"model\": \"qwen3-30b-a3b\", \"device\": \"h200-sxm\", \"engine\": {\"preset\": "
                        "\"trtllm-1.2\", \"kv_dtype\": \"fp8\"}, \"cluster\": {\"data_parallel\": 2, "
                        "\"expert_parallel\": 2}, \"policy\": {\"prefix_caching\": false, \"batching\": {\"name\": "
                        "\"trtllm\", \"capacity\": \"max_utilization\", \"chunking\": \"equal_progress\"}}";
    char *text = emitted(words, DEPLOY_TRTLLM);
    expect_in(text, "echo '{\"enable_attention_dp\": true, \"kv_cache_config\": {\"enable_block_reuse\": false, "
                    "\"dtype\": \"fp8\"}, \"scheduler_config\": {\"capacity_scheduler_policy\": \"MAX_UTILIZATION\", "
                    "\"context_chunking_policy\": \"EQUAL_PROGRESS\"}}' > trtllm.yaml\ntrtllm-serve ");
    expect_in(text, " --tp_size 2 --ep_size 2 --max_batch_size 2048 --max_num_tokens 8192 --enable_chunked_prefill "
                    "--kv_cache_free_gpu_memory_fraction 0.9 --extra_llm_api_options trtllm.yaml\n");
    free(text);
    text = emitted(words, DEPLOY_DYNAMO);
    expect_in(text, "- \"--tensor-parallel-size\"\n            - \"2\"\n");
    expect_in(text, "- \"--enable-attention-dp\"\n            - \"--max-batch-size\"\n");
    expect_in(text, "- '{\"enable_chunked_prefill\": true, \"kv_cache_config\"");
    free(text);
}

/* Servers read 4-bit weights, they do not make them; 8-bit floats they make while they load. */
static void test_formats_that_only_a_checkpoint_has_are_named(void **state)
{
    (void)state;
    char *text = emitted(SMALL_VLLM "{\"preset\": \"vllm-0.19\", \"weight_dtype\": \"int4\"}", DEPLOY_VLLM);
    expect_in(text, "# meta-llama/Llama-3.1-8B stands for a checkpoint with weights in this format");
    free(text);
    text = emitted(SMALL_VLLM "{\"preset\": \"vllm-0.19\", \"weight_dtype\": \"fp8\"}", DEPLOY_VLLM);
    assert_null(strstr(text, "stands for"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_are_read_back_as_the_same_server),
        cmocka_unit_test(test_engines_that_do_not_fit_are_refused),
        cmocka_unit_test(test_the_benchmark_has_the_workloads_means),
        cmocka_unit_test(test_disaggregated_pools_are_workers_of_their_own),
        cmocka_unit_test(test_words_without_a_flag_are_refused),
        cmocka_unit_test(test_limits_of_attention_ranks_are_those_of_all),
        cmocka_unit_test(test_tensorrt_llm_has_a_file_and_a_worker),
        cmocka_unit_test(test_formats_that_only_a_checkpoint_has_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
