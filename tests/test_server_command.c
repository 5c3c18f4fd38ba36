/* SPDX-License-Identifier: MIT */
/* Command lines of engines' servers, in a scenario's words. */
#include "profiles/server_command.h"
#include "profiles/server_flags.h"
#include "tests/harness.h"

/* All words, as "path=value path=value …". */
static void say_words(const struct server_command *c, char *out, size_t size)
{
    *out = 0;
    for (size_t i = 0; i < c->word_count; i++) {
        size_t used = strlen(out);
        snprintf(out + used, size - used, "%s%s=%s", i ? " " : "", c->words[i].path, c->words[i].value);
    }
}

#define FP8_KV "[{\"name\":\"fp8-kv\",\"paper\":\"none\",\"changes\":[{\"name\":\"kv_cache\",\"bytes_per_value\":1}]}]"

static void test_flags_are_words_of_the_scenario(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"vllm serve meta-llama/Llama-3.1-70B-Instruct -tp 4 --max-num-seqs=128 --max_num_batched_tokens 4096 "
         "--gpu-memory-utilization 0.85 --no-enable-prefix-caching --block-size 32 --scheduling-policy priority "
         "--kv-cache-dtype fp8 -q awq --no-async-scheduling --port 8000",
         "model=llama-3.1-70b engine.preset=vllm-0.19 policy.batching.max_sequences=128 "
         "policy.batching.token_budget=4096 engine.memory.utilization=0.85 policy.prefix_caching=false "
         "policy.kv_block_tokens=32 policy.order=priority techniques=" FP8_KV " engine.weight_dtype=int4 "
         "engine.schedule_ahead=false cluster.tensor_parallel=4"},
        {"CUDA_VISIBLE_DEVICES=0,1 /usr/bin/python3 -m vllm.entrypoints.openai.api_server \\\n --model "
         "'Qwen/Qwen3-32B' "
         "--pipeline-parallel-size \"2\" --data-parallel-size 3",
         "model=qwen3-32b engine.preset=vllm-0.19 cluster.tensor_parallel=1 cluster.pipeline_parallel=2 "
         "cluster.replicas=3"},
        {"vllm serve deepseek-ai/DeepSeek-V3 -tp 2 -dp 4 --enable-expert-parallel",
         "model=deepseek-v3 engine.preset=vllm-0.19 cluster.tensor_parallel=2 cluster.data_parallel=4 "
         "cluster.expert_parallel=8"},
        {"python -m sglang.launch_server --model-path deepseek-ai/DeepSeek-V3 --tp 8 --dp 4 --enable-dp-attention "
         "--ep-size 8 --chunked-prefill-size -1 --schedule-policy lpm --mem-fraction-static 0.9 --page-size 64 "
         "--enable-mixed-chunk --disable-overlap-schedule",
         "model=deepseek-v3 engine.preset=sglang-0.5 policy.batching.chunked_prefill_size=0 policy.order=lpm "
         "engine.memory.utilization=0.9 policy.kv_block_tokens=64 policy.batching.mixed_chunk=true "
         "engine.schedule_ahead=false policy.batching.schedule_conservativeness=0.3 cluster.tensor_parallel=2 "
         "cluster.data_parallel=4 cluster.expert_parallel=8"},
        /* Limits of eight ranks: 256 / 8 and 8 192 / 8, 1.5 · 0.3. */
        {"sglang serve --model deepseek-v3 --tp 8 --dp 8 --enable-dp-attention --max-running-requests 256 "
         "--chunked-prefill-size 8192 --schedule-conservativeness 1.5",
         "model=deepseek-v3 engine.preset=sglang-0.5 policy.batching.max_sequences=32 "
         "policy.batching.chunked_prefill_size=1024 policy.batching.schedule_conservativeness=0.45 "
         "cluster.tensor_parallel=1 cluster.data_parallel=8"},
        {"sglang serve --model llama-3.1-8b --max-running-requests 64 --max-running-requests 48 --disable-radix-cache",
         "model=llama-3.1-8b engine.preset=sglang-0.5 policy.batching.max_sequences=48 policy.prefix_caching=false "
         "cluster.tensor_parallel=1"},
        {"sglang serve --model llama-3.1-8b --max-total-tokens 20000 --page-size 64", /* 312.5 pages */
         "model=llama-3.1-8b engine.preset=sglang-0.5 policy.kv_block_tokens=64 policy.kv_blocks=312 "
         "cluster.tensor_parallel=1"},
        {"vllm serve some/Llama-3.1-8B-Instruct-FP8",
         "model=llama-3.1-8b engine.preset=vllm-0.19 engine.weight_dtype=fp8 cluster.tensor_parallel=1"},
        {"trtllm-serve serve Qwen/Qwen3-30B-A3B --tp_size 2 --ep-size 2 --max_batch_size 64 --max_num_tokens 2048 "
         "--kv_cache_free_gpu_memory_fraction 0.8 --enable_chunked_prefill --backend pytorch",
         "model=qwen3-30b-a3b engine.preset=trtllm-1.2 policy.batching.max_sequences=64 "
         "policy.batching.token_budget=2048 engine.memory.utilization=0.8 "
         "policy.batching.chunking=first_come_first_served cluster.tensor_parallel=2 cluster.expert_parallel=2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct server_command c;
        struct error err = {0};
        char words[1200];
        expect_ok(server_command_read(cases[i][0], &c, &err), &err);
        say_words(&c, words, sizeof words);
        assert_string_equal(words, cases[i][1]);
        assert_int_equal(c.note_count, strstr(cases[i][0], "--dp 4 --enable-dp-attention") ? 1 : 0);
    }
}

static void test_what_cannot_be_honoured_is_named(void **state)
{
    (void)state;
    static const char *const notes[] = {
        "--max-model-len: the model's longest sequence holds",
        "--kv-cache-dtype nvfp4: expected a format that Tandem has KV in",
        "--frobnicate: Tandem does not know it",
        "--new-switch: Tandem does not know it",
        "--speculative-config: speculation is a technique here (tandem describe speculative)",
    };
    struct server_command c;
    struct error err = {0};
    expect_ok(server_command_read("vllm serve llama-3.1-8b --max-model-len 8k --kv-cache-dtype nvfp4 --frobnicate yes "
                                  "--new-switch --speculative-config '{\"method\": \"eagle\"}' --dtype auto --host a",
                                  &c, &err),
              &err);
    assert_int_equal(c.note_count, sizeof notes / sizeof *notes);
    for (size_t i = 0; i < c.note_count; i++)
        assert_string_equal(c.notes[i], notes[i]);
}

static void test_a_bad_command_line_gets_a_sentence(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "expected a command line that begins with vllm serve"},
        {"vllm bench", "found \"vllm\""},
        {"ollama serve x", "found \"ollama\""},
        {"vllm serve", "expected a model in the command line"},
        {"vllm serve no/such-model", "expected a model that is shipped (tandem list models) or a path to one"},
        {"vllm serve llama-3.1-8b mistral-7b", "expected one model, found \"mistral-7b\" too"},
        {"vllm serve llama-3.1-8b --max-num-seqs", "--max-num-seqs: expected a value after it"},
        {"vllm serve llama-3.1-8b --max-num-seqs --port 1", "--max-num-seqs: expected a value after it"},
        {"vllm serve llama-3.1-8b --max-num-seqs=many",
         "--max-num-seqs: expected a whole number from 1, found \"many\""},
        {"vllm serve llama-3.1-8b -tp 0", "-tp: expected a whole number from 1, found \"0\""},
        {"vllm serve llama-3.1-8b --gpu-memory-utilization 9x", "expected a number, found \"9x\""},
        {"sglang serve --model deepseek-v3 --tp 8 --dp 3 --enable-dp-attention", "ranks that divide 8 GPUs, found 3"},
        {"vllm serve 'llama", "a quote has no end"},
        {"vllm serve deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "deepseek-r1, but for \"distill\""},
        {"vllm serve llama-3.1-8b --enable-prefix-caching=False",
         "--enable-prefix-caching: expected no value, found \"False\""},
        {"vllm serve llama-3.1-8b --model mistral-7b", "expected one model, found \"mistral-7b\" too"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct server_command c;
        struct error err = {0};
        assert_int_equal(server_command_read(cases[i][0], &c, &err), -1);
        assert_int_equal(err.code, ERROR_INPUT);
        if (strncmp(err.text, "--like: ", 8) != 0 || !strstr(err.text, cases[i][1]))
            fail_msg("%s: %s", cases[i][0], err.text);
    }
}

/* Words of the policy lie over what the server starts with on the scenario's device: on an L40S chunks are 4 096
 * tokens, and blocks one token, of which there are as many as is said. What the scenario said of a server goes. */
static void test_the_rest_is_what_the_server_starts_with(void **state)
{
    (void)state;
    struct server_command c;
    struct error err = {0};
    struct json root;
    struct simulation *s = NULL;
    static const char scenario[] =
        "{\"model\": \"mistral-7b\", \"device\": \"l40s\", \"engine\": \"vllm-0.12\", \"cluster\": {\"replicas\": 2, "
        "\"routing\": \"random\"}, \"policy\": {\"batching\": \"continuous\", \"order\": \"sjf\"}, \"workload\": "
        "{\"arrivals\": \"at_once\", \"requests\": 1, \"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": "
        "10}, \"output\": {\"name\": \"fixed\", \"tokens\": 2}}}}";
    expect_ok(server_command_read("sglang serve --model llama-3.1-8b --max-running-requests 9 --max-total-tokens 5000",
                                  &c, &err),
              &err);
    expect_ok(json_parse(scenario, "s.json", &root, &err), &err);
    expect_ok(server_command_apply(&c, &root, &err), &err);
    expect_ok(simulation_open(root, &s, &err), &err);
    const struct pool_config *p = &s->scenario.cluster.pools[0];
    assert_string_equal(p->replica.batching->name, "sglang");
    assert_int_equal(param_number(p->replica.batching_params, "chunked_prefill_size"), 4096);
    assert_int_equal(p->max_sequences, 9);
    assert_int_equal(p->replica.kv_block_tokens, 1);
    assert_int_equal(p->replica.kv_blocks, 5000);
    assert_true(p->replica.prefix_caching && p->replica.schedule_ahead);
    assert_string_equal(p->replica.order->name, "fcfs");
    assert_int_equal(p->stations, 1);
    simulation_close(s);

    expect_ok(json_parse("{\"cluster\": {\"pools\": {}}}", "s.json", &root, &err), &err);
    assert_int_equal(server_command_apply(&c, &root, &err), -1);
    assert_non_null(strstr(err.text, "cluster.pools: expected none with --like"));
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
}

/* Each flag has one row, and what it says can be put into a scenario. */
static void test_every_flag_has_one_row(void **state)
{
    (void)state;
    for (const struct server_program *p = server_programs; p->words; p++)
        for (const struct server_flag *f = p->flags; f->names; f++) {
            char names[1024];
            snprintf(names, sizeof names, "%s", f->names);
            assert_true(f->takes != FLAG_TEXT || !f->word || f->values || strcmp(f->word, "model") == 0);
            assert_true(!f->values || f->takes != FLAG_TEXT || f->says);
            for (char *rest = names, *name; (name = strtok_r(rest, " ", &rest));) {
                unsigned rows = 0;
                for (const struct server_flag *g = p->flags; g->names; g++) {
                    char others[1024], *more = others, *other;
                    snprintf(others, sizeof others, "%s", g->names);
                    while ((other = strtok_r(more, " ", &more)))
                        rows += strcmp(name, other) == 0;
                }
                assert_int_equal(rows, 1);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags_are_words_of_the_scenario),
        cmocka_unit_test(test_what_cannot_be_honoured_is_named),
        cmocka_unit_test(test_a_bad_command_line_gets_a_sentence),
        cmocka_unit_test(test_the_rest_is_what_the_server_starts_with),
        cmocka_unit_test(test_every_flag_has_one_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
