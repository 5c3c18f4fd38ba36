/* SPDX-License-Identifier: MIT */
/* What an engine's server starts with: its scheduler and limits by GPU, where a scenario says nothing. */
#include <string.h>

#include "tests/harness.h"

static struct simulation *open_with(const char *device, const char *engine, const char *policy)
{
    char text[1200];
    snprintf(
        text, sizeof text,
        "{\"model\": \"llama-3.1-8b\", \"device\": \"%s\", \"engine\": %s, \"policy\": %s, \"workload\": "
        "{\"arrivals\": "
        "\"at_once\", \"requests\": 1, \"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": 10}, \"output\": "
        "{\"name\": \"fixed\", \"tokens\": 2}}}}",
        device, engine, policy);
    return open_simulation(text);
}

/* vllm/engine/arg_utils.py, get_batch_defaults: from 70 GiB on, but for A100s, an API server takes 8 192 tokens and
 * 1 024 sequences, else 2 048 and 256. SGLang's server_args.py, _handle_gpu_memory_settings: chunks of 2 048 tokens
 * below 35 GiB, 4 096 below 60, 8 192 below 160, else 16 384. TensorRT-LLM's TorchLlmArgs: 8 192 and 2 048 everywhere.
 */
static void test_limits_are_those_of_the_gpu(void **state)
{
    (void)state;
    static const struct {
        const char *device, *engine, *batching;
        uint32_t tokens, sequences, block;
    } cases[] = {{"h100-sxm", "\"vllm-0.19\"", "unified_budget", 8192, 1024, 16},
                 {"h200-sxm-vllm-0.19", "{\"preset\": \"vllm-0.14\"}", "unified_budget", 8192, 1024, 16},
                 {"mi300x", "\"vllm-0.12\"", "unified_budget", 8192, 1024, 16},
                 {"a100-80gb", "\"vllm-0.19\"", "unified_budget", 2048, 256, 16},
                 {"a100-80gb-vllm-0.14", "\"vllm-0.14\"", "unified_budget", 2048, 256, 16},
                 {"rtx-4090", "\"vllm-0.19\"", "unified_budget", 2048, 256, 16},
                 {"l40s", "\"trtllm-1.2\"", "trtllm", 8192, 2048, 32},
                 {"h100-sxm", "\"trtllm-1.0\"", "trtllm", 8192, 2048, 32},
                 {"b200", "\"sglang-0.5\"", "sglang", 16384, 2048, 1},
                 {"mi300x", "\"sglang-0.5\"", "sglang", 16384, 2048, 1},
                 {"h200-sxm", "\"sglang-0.5\"", "sglang", 8192, 2048, 1},
                 {"a100-80gb", "\"sglang-0.5\"", "sglang", 8192, 2048, 1},
                 {"a100-40gb", "\"sglang-0.5\"", "sglang", 4096, 2048, 1},
                 {"l40s", "\"sglang-0.5\"", "sglang", 4096, 2048, 1},
                 {"a10", "\"sglang-0.5\"", "sglang", 2048, 2048, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct simulation *s = open_with(cases[i].device, cases[i].engine, "{}");
        const struct pool_config *p = &s->scenario.cluster.pools[0];
        assert_string_equal(p->replica.batching->name, cases[i].batching);
        assert_int_equal(p->replica.step_tokens, cases[i].tokens);
        assert_int_equal(p->max_sequences, cases[i].sequences);
        assert_true(p->replica.prefix_caching);
        assert_int_equal(p->replica.kv_block_tokens, cases[i].block);
        assert_int_equal(p->replica.admission, ADMIT_ON_DEMAND);
        simulation_close(s);
    }
}

/* Each word by itself; a scheduler with how it admits, blocks with their number. */
static void test_a_scenario_says_otherwise(void **state)
{
    (void)state;
    struct simulation *s =
        open_with("h100-sxm", "\"trtllm-1.2\"", "{\"batching\": \"chunked_prefill\", \"prefix_caching\": false}");
    const struct replica_config *c = &s->scenario.cluster.pools[0].replica;
    assert_string_equal(c->batching->name, "chunked_prefill");
    assert_int_equal(c->step_tokens, 512);
    assert_int_equal(c->admission, ADMIT_ON_DEMAND);
    assert_false(c->prefix_caching);
    assert_int_equal(c->kv_block_tokens, 32);
    assert_null(scenario_server_word(&s->scenario, 0, "batching").node);
    assert_non_null(scenario_server_word(&s->scenario, 0, "kv_block_tokens").node);
    simulation_close(s);

    s = open_with("h100-sxm", "\"trtllm-1.2\"", "{\"kv_blocks\": 100, \"admission\": \"reserve_max\"}");
    c = &s->scenario.cluster.pools[0].replica;
    assert_string_equal(c->batching->name, "trtllm");
    assert_int_equal(c->kv_block_tokens, 16);
    assert_int_equal(c->admission, ADMIT_RESERVE_MAX);
    simulation_close(s);

    s = open_with("h100-sxm", "{\"preset\": \"vllm-0.19\", \"server\": []}", "{}");
    assert_int_equal(s->scenario.cluster.pools[0].replica.step_tokens, 2048);
    assert_false(s->scenario.cluster.pools[0].replica.prefix_caching);
    simulation_close(s);
}

/* Two pools on different GPUs each have their own GPU's limits. */
static void test_each_pool_has_its_own(void **state)
{
    (void)state;
    struct simulation *s = open_simulation(
        "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"engine\": \"vllm-0.19\", \"cluster\": {\"pools\": "
        "{\"a\": "
        "{}, \"b\": {\"device\": \"l40s\"}}, \"flow\": [{\"by\": \"priority\", \"to\": [\"a\", \"b\"]}]}, "
        "\"workload\": "
        "{\"arrivals\": \"at_once\", \"requests\": 1, \"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": 10}, "
        "\"output\": {\"name\": \"fixed\", \"tokens\": 2}}}}");
    assert_int_equal(s->scenario.cluster.pools[0].max_sequences, 1024);
    assert_int_equal(s->scenario.cluster.pools[1].max_sequences, 256);
    simulation_close(s);
}

static void test_a_bad_server_gets_a_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *server, *says;
    } cases[] = {
        {"{}", "server: expected a list of cases, of which the first that applies holds"},
        {"[3]", "server[0]: expected an object with \"policy\""},
        {"[{\"except\": [1], \"policy\": {}}]", "server[0].except: expected a list of beginnings of devices' names"},
        {"[{\"memory_from_bytes\": 1}]",
         "server[0].policy: is missing, expected an object of what a scenario's \"policy\" may say"},
        {"[{\"policy\": {\"order\": \"fcfs\"}}]", "unknown key \"order\""},
        {"[{\"policy\": {\"batching\": \"unified\"}}]", "server[0].policy.batching"},
        {"[{\"policy\": {\"prefix_caching\": 1}}]", "server[0].policy.prefix_caching"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[900];
        struct error err = {0};
        struct json root;
        struct simulation *s = NULL;
        snprintf(text, sizeof text,
                 "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"engine\": {\"server\": %s}, \"workload\": "
                 "{\"arrivals\": \"at_once\", \"requests\": 1, \"lengths\": {\"prompt\": {\"name\": \"fixed\", "
                 "\"tokens\": 10}, \"output\": {\"name\": \"fixed\", \"tokens\": 2}}}}",
                 cases[i].server);
        expect_ok(json_parse(text, "s.json", &root, &err), &err);
        assert_int_equal(simulation_open(root, &s, &err), -1);
        assert_int_equal(err.code, ERROR_INPUT);
        if (!strstr(err.text, cases[i].says))
            fail_msg("%s: %s", cases[i].server, err.text);
    }
}

static void write_text(const char *file, const char *text)
{
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* A file may begin with a preset, and another with that file. Written out whole, the engine is the same: what is stated
 * of "memory" lies over the preset's, member by member. */
static void test_an_engine_is_whole(void **state)
{
    (void)state;
    static const char first[] = "{\"preset\": \"vllm-0.19\", \"memory\": {\"utilization\": 0.8}, \"exposed_ns\": 7}";
    static const char second[] = "{\"preset\": \"./engine-first.json\", \"host_ns\": 5}";
    write_text("engine-first.json", first);
    write_text("engine-second.json", second);
    struct error err = {0};
    struct json root, text;
    struct engine stated, again;
    cJSON *whole = NULL;
    expect_ok(json_parse("\"./engine-second.json\"", "scenario", &root, &err), &err);
    expect_ok(engine_read(&root, &stated, &err), &err);
    expect_ok(engine_whole(&root, &whole, &err), &err);
    assert_null(cJSON_GetObjectItemCaseSensitive(whole, "preset"));
    text = (struct json){.node = whole, .file = "whole"};
    expect_ok(engine_read(&text, &again, &err), &err);
    const struct engine *both[] = {&stated, &again};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(both[i]->memory.rule, MEMORY_TOTAL);
        assert_true(both[i]->memory.utilization == 0.8 && both[i]->exposed_ns == 7 && both[i]->host_ns == 5);
        assert_true(both[i]->schedule_ahead && both[i]->head_for_all && both[i]->graph_count > 10);
    }
    cJSON_Delete(whole);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    struct simulation *s = open_with("h100-sxm", "\"./engine-second.json\"", "{}");
    assert_int_equal(s->scenario.cluster.pools[0].max_sequences, 1024);
    simulation_close(s);
    write_text("engine-second.json", "{\"preset\": \"./engine-first.json\"}");
    write_text("engine-first.json", "{\"preset\": \"./engine-second.json\"}");
    expect_ok(json_parse("\"./engine-first.json\"", "scenario", &root, &err), &err);
    assert_int_equal(engine_read(&root, &stated, &err), -1);
    assert_non_null(strstr(err.text, "a preset that does not lead back to itself"));
    err = (struct error){0};
    assert_int_equal(engine_whole(&root, &whole, &err), -1);
    assert_non_null(strstr(err.text, "a preset that does not lead back to itself"));
    cJSON_Delete(whole);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    remove("engine-first.json");
    remove("engine-second.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits_are_those_of_the_gpu), cmocka_unit_test(test_a_scenario_says_otherwise),
        cmocka_unit_test(test_each_pool_has_its_own),       cmocka_unit_test(test_a_bad_server_gets_a_sentence),
        cmocka_unit_test(test_an_engine_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
