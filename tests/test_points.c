/* SPDX-License-Identifier: MIT */
/* Operating points: what is read of them, which are left out, and the scenarios that they become. */
#include "base/sha256.h"
#include "profiles/engine.h"
#include "tests/harness.h"
#include "validation/points.h"

static const char file[] = "build/test_points.csv";

static const char header[] =
    "id,silicon_data_source,backend,backend_version,model_path,system,mode,isl,osl,gemm_quant_mode,batch_size,tp_size,"
    "pp_size,attention_dp_size,moe_tp_size,moe_ep_size,prefill_batch_size,prefill_num_workers,prefill_tp_size,"
    "prefill_pp_size,prefill_attention_dp_size,prefill_moe_tp_size,prefill_moe_ep_size,decode_batch_size,"
    "decode_num_workers,decode_tp_size,decode_pp_size,decode_attention_dp_size,decode_moe_tp_size,decode_moe_ep_size,"
    "silicon_ttft_ms,silicon_tpot_ms\n";

/* A point of a dense model on one server: what is not said is empty. */
#define SERVED(id, source, engine, version, model, quantisation, batch, tp, dp, times)                                 \
    id "," source "," engine "," version "," model ",h100_sxm,agg,1000,100," quantisation "," batch "," tp ",1," dp    \
       ",,,,,,,,,,,,,,,,," times "\n"

static void read_points(const char *lines, struct points *out)
{
    struct error err = {0};
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fputs(header, f);
    fputs(lines, f);
    fclose(f);
    expect_ok(points_read(file, out, &err), &err);
}

static const cJSON *at(const cJSON *root, const char *path)
{
    char copy[128], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", path);
    for (char *key = strtok_r(copy, ".", &rest); key && root; key = strtok_r(NULL, ".", &rest))
        root = cJSON_GetObjectItemCaseSensitive(root, key);
    return root;
}

static double number(const cJSON *root, const char *path)
{
    const cJSON *found = at(root, path);
    if (!cJSON_IsNumber(found))
        fail_msg("%s: no number", path);
    return found->valuedouble;
}

static const char *text(const cJSON *root, const char *path)
{
    const cJSON *found = at(root, path);
    return cJSON_IsString(found) ? found->valuestring : "";
}

static cJSON *scenario_of(const struct point *p)
{
    struct error err = {0};
    cJSON *root = NULL;
    expect_ok(point_scenario(p, "h100-sxm", &root, &err), &err);
    return root;
}

/* 16 clients are stated where the batch of each rank is 4; else 2 ranks of a batch of 4 are 8 clients. */
static void test_concurrency_is_the_stated_one_else_all_ranks(void **state)
{
    (void)state;
    struct points p;
    read_points(SERVED("a", "x; silicon_concurrency=16; y", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "4", "1", "2",
                       "5,5") SERVED("b", "x", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "4", "1", "2", "6,6")
                    SERVED("c", "x", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "", "1", "1", "7,7"),
                &p);
    assert_true(p.items[0].concurrency == 16 && p.items[1].concurrency == 8);
    assert_string_equal(point_refused(&p.items[2], "h100-sxm"), "no concurrency given");
    cJSON *root = scenario_of(&p.items[0]);
    assert_true(number(root, "workload.arrivals.concurrency") == 16 && number(root, "workload.requests") == 160);
    cJSON_Delete(root);
    points_release(&p);
}

/* Lines b and c hold a's measurement: b as a does, c under another degree, so that none of the three counts. e repeats
 * d. f would contradict d, but has a degree that no server has. */
static void test_a_measurement_counts_once(void **state)
{
    (void)state;
    struct points p;
    read_points(SERVED("a", "", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "4", "1", "1", "5,6")
                    SERVED("b", "", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "4", "1", "1", "5,6")
                        SERVED("c", "", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "4", "2", "1", "5,6")
                            SERVED("d", "", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "4", "2", "1", "7,8")
                                SERVED("e", "", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "4", "2", "1", "7,8")
                                    SERVED("f", "", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "4", "64", "1", "7,8"),
                &p);
    for (int i = 0; i < 3; i++)
        assert_string_equal(point_refused(&p.items[i], "h100-sxm"), "one measurement under several parallel degrees");
    assert_null(point_refused(&p.items[3], "h100-sxm"));
    assert_string_equal(point_refused(&p.items[4], "h100-sxm"), "a measurement that another line holds, too");
    assert_string_equal(point_refused(&p.items[5], "h100-sxm"), "tensor parallel beyond a node of 8 GPUs");
    points_release(&p);
}

static void test_a_device_takes_points_of_its_system(void **state)
{
    (void)state;
    struct points p;
    struct device d;
    struct error err = {0};
    FILE *f = fopen("build/test_points.json", "w");
    assert_non_null(f);
    fputs("{\"name\": \"h100-sxm-mine\", \"memory_bytes\": 8e10, \"bandwidth_bytes_per_s\": 3e12, \"peak_flops\": "
          "{\"bf16\": 9e14}, \"source\": \"made up\"}",
          f);
    fclose(f);
    read_points(SERVED("a", "", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "4", "1", "1", "5,6"), &p);
    expect_ok(device_load("build/test_points.json", &d, &err), &err);
    assert_null(point_refused(&p.items[0], d.system));
    device_release(&d);
    f = fopen("build/test_points.json", "w");
    assert_non_null(f);
    fputs("{\"name\": \"h100-sxm-mine\", \"system\": \"h200-sxm\", \"kind\": \"tables\", \"base\": \"h100-sxm\", "
          "\"tables\": []}",
          f);
    fclose(f);
    expect_ok(device_load("build/test_points.json", &d, &err), &err);
    assert_string_equal(point_refused(&p.items[0], d.system), "measured on another system");
    device_release(&d);
    points_release(&p);
}

/* 32 heads over 3 GPUs, or 6, are GPUs of several servers. */
static void test_whole_heads_lie_on_a_gpu(void **state)
{
    (void)state;
    struct points p;
    read_points(SERVED("a", "", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "4", "8", "1", "5,6")
                    SERVED("b", "", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "4", "6", "1", "7,8"),
                &p);
    assert_null(point_refused(&p.items[0], "h100-sxm"));
    assert_string_equal(point_refused(&p.items[1], "h100-sxm"),
                        "attention heads that the tensor parallel degree does not divide");
    points_release(&p);
}

/* Llama-3.1-8B in bf16 on an H100 (989 TFLOP/s, 3 350 GB/s), prompts of 1 000 tokens and 99 after the first.
 * a: one client, a token each 4.8 ms: 15.0 GB of weights but for the embedding take 4.48 ms. b: 4.4 ms, which is less.
 * c: 64 clients at 10 ms are 64 / (10 + 990) = 64 requests a second; a prompt of 1 000 · 14.0 GFLOP (6.98 billion
 * weights of layers) and attention's 0.26 TFLOP takes 14.4 ms at peak: 0.92 of each second. d: 71 clients, 1.02. */
static void test_no_point_is_faster_than_its_gpus(void **state)
{
    (void)state;
    struct points p;
    struct device d;
    struct error err = {0};
    read_points(SERVED("a", "", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "1", "1", "1", "100,4.8")
                    SERVED("b", "", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "1", "1", "1", "100,4.4")
                        SERVED("c", "", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "64", "1", "1", "10,10")
                            SERVED("d", "", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "71", "1", "1", "10,10.001"),
                &p);
    expect_ok(device_load("h100-sxm", &d, &err), &err);
    expect_ok(points_bound(&p, &d, &err), &err);
    for (int i = 0; i < 4; i++) {
        const char *refused = point_refused(&p.items[i], d.system);
        if (i % 2 == 0)
            assert_null(refused);
        else
            assert_string_equal(refused, "faster than its GPUs at the peaks of their datasheet");
    }
    device_release(&d);
    points_release(&p);
}

/* InferenceMAX starts TensorRT-LLM with KV in 8 bits, but for gpt-oss on H200; NVIDIA's checkpoints say so; others keep
 * the model's. */
static void test_kv_is_as_wide_as_servers_keep_it(void **state)
{
    (void)state;
    struct points p;
    read_points(SERVED("a", "wip=False", "trtllm", "1.2.0", "x/Llama-3.1-70B", "fp8", "4", "8", "1", "1,1")
                    SERVED("b", "wip=False", "trtllm", "1.2.0", "x/gpt-oss-120b", "nvfp4", "4", "8", "1", "2,2")
                        SERVED("c", "wip=False", "vllm", "0.19.0", "x/Llama-3.1-70B", "fp8", "4", "8", "1", "3,3")
                            SERVED("d", "wip=False", "trtllm", "1.2.0", "x/Llama-3.1-70B", "", "4", "8", "1", "4,4")
                                SERVED("e", "", "trtllm", "1.3.0", "nvidia/Qwen3-32B-NVFP4", "nvfp4", "4", "8", "1",
                                       "5,5")
                                    SERVED("f", "", "trtllm", "1.0.0", "Qwen/Qwen3-32B", "fp8", "4", "8", "1", "6,6"),
                &p);
    snprintf(p.items[1].system, sizeof p.items[1].system, "h200_sxm");
    static const bool narrow[] = {true, false, false, false, true, false};
    for (int i = 0; i < 6; i++) {
        assert_true(point_8bit_kv(&p.items[i]) == narrow[i]);
        cJSON *root = scenario_of(&p.items[i]);
        const cJSON *technique = cJSON_GetArrayItem(at(root, "techniques"), 0);
        assert_true((technique != NULL) == narrow[i]);
        if (technique)
            assert_true(number(cJSON_GetArrayItem(at(technique, "changes"), 0), "bytes_per_value") == 1);
        cJSON_Delete(root);
    }
    snprintf(p.items[2].system, sizeof p.items[2].system, "b200_sxm");
    assert_true(point_8bit_kv(&p.items[2]));
    points_release(&p);
}

/* InferenceMAX's scripts let prompts of Llama-3.1-70B wait where 1 024 tokens come and go on fewer than 8 GPUs: here on
 * 4, not on 8. */
static void test_prompts_wait_where_servers_make_them(void **state)
{
    (void)state;
    struct points p;
    read_points(SERVED("a", "wip=False", "trtllm", "1.0.0", "x/Llama-3.1-70B", "fp8", "4", "4", "1", "1,1")
                    SERVED("b", "wip=False", "trtllm", "1.0.0", "x/Llama-3.1-70B", "fp8", "4", "8", "1", "2,2"),
                &p);
    for (int i = 0; i < 2; i++) {
        p.items[i].isl = p.items[i].osl = 1024;
        cJSON *root = scenario_of(&p.items[i]);
        if (i == 0)
            assert_true(number(root, "policy.batching.wait_iterations") == 20 &&
                        number(root, "policy.batching.wait_tokens") == 14745);
        else
            assert_null(at(root, "policy.batching.wait_iterations"));
        cJSON_Delete(root);
    }
    points_release(&p);
}

/* Each engine's own scheduler, as its preset starts it, with room for all clients and, where prompts are not cut, for
 * the longest one: 3 000 clients of prompts of 1 000 tokens, and one of 20 000. */
static void test_points_run_under_their_engines_scheduler(void **state)
{
    (void)state;
    struct points p;
    read_points(SERVED("a", "", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "4", "1", "1", "1,1")
                    SERVED("b", "", "sglang", "0.5.1", "x/Llama-3.1-8B", "", "3000", "1", "1", "2,2")
                        SERVED("c", "", "trtllm", "1.0.0", "x/Llama-3.1-8B", "", "4", "1", "1", "3,3"),
                &p);
    static const char *const names[] = {"unified_budget", "sglang", "trtllm"};
    p.items[2].isl = 20000;
    for (int i = 0; i < 3; i++) {
        cJSON *root = scenario_of(&p.items[i]);
        assert_string_equal(text(root, "policy.batching.name"), names[i]);
        assert_true(number(root, "policy.batching.max_sequences") == (i == 0 ? 1024 : i == 1 ? 3000 : 2048));
        if (i != 1)
            assert_true(number(root, "policy.batching.token_budget") == (i == 2 ? 20000 : 8192));
        cJSON_Delete(root);
    }
    points_release(&p);
}

/* max_num_tokens of DeepSeek's scripts for TensorRT-LLM is (clients + prompt + 64 + 63) / 64 · 64, whole: of 64 clients
 * with 1 024 tokens ⌊1 215 / 64⌋ · 64 = 1 152, with 8 192 tokens ⌊8 383 / 64⌋ · 64 = 8 320; from 1.2 on at least 8 192.
 * On B200 with fp8 prompts wait there. gpt-oss's is 20 000. */
static void test_tensorrt_llm_gets_the_scripts_limits(void **state)
{
    (void)state;
    static const struct {
        const char *version, *model, *system;
        double isl, budget, waits, utilization;
    } cases[] = {{"1.1.0rc2", "x/DeepSeek-R1", "h200_sxm", 1024, 1152, 0, 0.75},
                 {"1.1.0rc2", "x/DeepSeek-R1", "b200_sxm", 8192, 8320, 0, 0.8},
                 {"1.2.0rc6", "x/DeepSeek-R1", "h200_sxm", 1024, 8192, 0, 0.75},
                 {"1.2.0rc6", "x/DeepSeek-R1", "b200_sxm", 1024, 8192, 40, 0.8},
                 {"1.2.0rc6", "x/gpt-oss-120b", "b200_sxm", 1024, 20000, 0, 0.85}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct points p;
        read_points(SERVED("a", "wip=False", "trtllm", "1.0.0", "x/DeepSeek-R1", "fp8", "64", "8", "1", "1,1"), &p);
        struct point *q = &p.items[0];
        snprintf(q->version, sizeof q->version, "%s", cases[i].version);
        snprintf(q->model_path, sizeof q->model_path, "%s", cases[i].model);
        snprintf(q->system, sizeof q->system, "%s", cases[i].system);
        q->isl = cases[i].isl;
        q->osl = 1024;
        cJSON *root = scenario_of(q);
        assert_true(number(root, "policy.batching.token_budget") == cases[i].budget);
        assert_true(number(root, "engine.memory.utilization") == cases[i].utilization);
        if (cases[i].waits > 0)
            assert_true(number(root, "policy.batching.wait_iterations") == cases[i].waits &&
                        number(root, "policy.batching.wait_tokens") == 6553); /* 0.8 · 8 192 */
        else
            assert_null(at(root, "policy.batching.wait_iterations"));
        cJSON_Delete(root);
        points_release(&p);
    }
}

/* DeepSeek's scripts for SGLang on B200: fp8 on 8 GPUs and fp4, below 16 clients and from there on; H200 looks for
 * arrivals at every step. What MTP alone served is left out. */
static void test_sglang_gets_the_scripts_limits(void **state)
{
    (void)state;
    struct points p;
    read_points(SERVED("a", "wip=False", "sglang", "0.5.9", "x/DeepSeek-V3", "fp8", "16", "8", "1", "1,1")
                    SERVED("b", "wip=False", "sglang", "0.5.9", "x/DeepSeek-R1", "nvfp4", "8", "8", "1", "2,2")
                        SERVED("c", "wip=False", "sglang", "0.5.9", "x/DeepSeek-R1", "fp8", "64", "8", "1", "3,3")
                            SERVED("d", "wip=False", "sglang", "0.5.9", "x/DeepSeek-R1", "fp8", "65", "8", "1", "4,4")
                                SERVED("e", "wip=False", "trtllm", "1.2.0rc6.post3", "x/DeepSeek-R1", "fp8", "4", "8",
                                       "1", "5,5"),
                &p);
    static const double chunks[] = {32768, 16384, 32768}, sequences[] = {128, 256, 256}, looks[] = {30, 10, 0};
    for (int i = 0; i < 5; i++)
        snprintf(p.items[i].system, sizeof p.items[i].system, i == 2 ? "h200_sxm" : "b200_sxm");
    for (int i = 0; i < 3; i++) {
        assert_null(point_refused(&p.items[i], ""));
        cJSON *root = scenario_of(&p.items[i]);
        assert_true(number(root, "policy.batching.chunked_prefill_size") == chunks[i]);
        assert_true(number(root, "policy.batching.max_sequences") == sequences[i]);
        if (looks[i] > 0)
            assert_true(number(root, "policy.batching.recv_interval") == looks[i]);
        else
            assert_null(at(root, "policy.batching.recv_interval"));
        cJSON_Delete(root);
    }
    for (int i = 3; i < 5; i++)
        assert_string_equal(point_refused(&p.items[i], ""),
                            "speculative decoding, and how much is accepted is not given");
    points_release(&p);
}

/* Qwen3.5's servers as their scripts start them, on B200 (bf16, fp4), H200 and B300, where SGLang 0.5.10 in fp8 has a
 * script of its own; and GLM-5's on B200. KV in 8 bits goes with weights in 8 and 4 bits. */
static void test_sglang_gets_the_scripts_limits_of_later_models(void **state)
{
    (void)state;
    struct points p;
    read_points(SERVED("a", "wip=False", "sglang", "nightly", "x/Qwen3.5-397B-A17B", "", "4", "8", "1", "1,1")
                    SERVED("b", "wip=False", "sglang", "nightly", "x/Qwen3.5-397B-A17B", "nvfp4", "16", "4", "1", "2,2")
                        SERVED("c", "wip=False", "sglang", "0.5.9", "x/Qwen3.5-397B-A17B", "fp8", "16", "8", "1", "3,3")
                            SERVED("d", "wip=False", "sglang", "0.5.10.post1", "x/Qwen3.5-397B-A17B", "fp8", "256", "4",
                                   "1", "4,4")
                                SERVED("e", "wip=False", "sglang", "nightly", "x/GLM-5", "fp8", "64", "8", "1", "5,5"),
                &p);
    static const char *const systems[] = {"b200_sxm", "b200_sxm", "h200_sxm", "b300_sxm", "b200_sxm"};
    static const double chunks[] = {32768, 32768, 16384, 16384, 32768}, sequences[] = {128, 128, 128, 256, 64};
    static const double looks[] = {10, 30, 0, 10, 0}, shares[] = {0.82, 0.85, 0.8, 0.8, 0.85};
    for (int i = 0; i < 5; i++) {
        snprintf(p.items[i].system, sizeof p.items[i].system, "%s", systems[i]);
        assert_null(point_refused(&p.items[i], ""));
        cJSON *root = scenario_of(&p.items[i]);
        assert_true(number(root, "policy.batching.chunked_prefill_size") == chunks[i]);
        assert_true(number(root, "policy.batching.max_sequences") == sequences[i]);
        assert_true(number(root, "engine.memory.utilization") == shares[i]);
        if (looks[i] > 0)
            assert_true(number(root, "policy.batching.recv_interval") == looks[i]);
        else
            assert_null(at(root, "policy.batching.recv_interval"));
        assert_true(point_8bit_kv(&p.items[i]) == (i > 0));
        cJSON_Delete(root);
    }
    points_release(&p);
}

/* On 4 Blackwell GPUs without EP, SGLang 0.5.9 served Qwen3.5 in fp8 with MTP alone, and so a line that holds the same
 * times without a script (b) is of that server. On 8 (c) it served without. DeepSeek on 8 was served with and without
 * under R1's name (d), without under V3's (e). TensorRT-LLM 1.1.0rc2.post2 in
 * 2026 (f) was served with MTP, in 2025 (g) without. */
static void test_servers_that_may_draft_are_left_out(void **state)
{
    (void)state;
    struct points p;
#define ON_B200(id, source, model, clients, tp, times)                                                                 \
    id "," source ",sglang,0.5.9,x/" model ",b200_sxm,agg,1024,1024,fp8," clients "," tp                               \
       ",1,,1,1,,,,,,,,,,,,,,," times "\n"
    read_points(ON_B200("a", "wip=False", "Qwen3.5-397B-A17B", "4", "4", "338.336,6.33272")
                    ON_B200("b", "", "Qwen3.5-397B-A17B", "4", "4", "338.34,6.33")
                        ON_B200("c", "wip=False", "Qwen3.5-397B-A17B", "4", "8", "304.654,8.33499")
                            ON_B200("d", "wip=False", "DeepSeek-R1", "4", "8", "1,1")
                                ON_B200("e", "wip=False", "DeepSeek-V3", "4", "8", "2,2")
                                    SERVED("f", "wip=False; measured=2026-01-14T", "trtllm", "1.1.0rc2.post2",
                                           "x/DeepSeek-R1", "fp8", "4", "8", "1", "3,3")
                                        SERVED("g", "wip=False; measured=2025-12-15T", "trtllm", "1.1.0rc2.post2",
                                               "x/DeepSeek-R1", "fp8", "4", "8", "1", "4,4"),
                &p);
    static const bool left_out[] = {true, true, false, true, false, true, false};
    for (int i = 0; i < 7; i++) {
        const char *refused = point_refused(&p.items[i], "");
        assert_true(left_out[i] == (refused != NULL));
        if (refused)
            assert_string_equal(refused, "speculative decoding, and how much is accepted is not given");
    }
    points_release(&p);
}

/* The line with a script counts, wherever it stands, and whatever another one rounds. Other clients, another server. */
static void test_rounded_lines_are_the_same_measurement(void **state)
{
    (void)state;
    struct points p;
    read_points(SERVED("a", "", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "4", "1", "1", "304.65,8.33")
                    SERVED("b", "wip=False", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "4", "1", "1", "304.654,8.33499")
                        SERVED("c", "", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "8", "1", "1", "304.65,8.33")
                            SERVED("d", "", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "4", "1", "1", "304.65,8.35"),
                &p);
    assert_string_equal(point_refused(&p.items[0], "h100-sxm"), "a measurement that another line holds, too");
    assert_null(point_refused(&p.items[1], "h100-sxm"));
    assert_null(point_refused(&p.items[3], "h100-sxm"));
    points_release(&p);
}

/* TP 8 and EP 8 with data parallel attention are 8 ranks, not 64; TP 4 and EP 4 are 4 GPUs of one server, not 16; TP 2
 * and EP 2 of MiniMax in fp4 are two attention ranks from 512 clients on. "TP 16" of 4 and 4, and "TP 4" of 2 and 2,
 * are products, too; TP 8 with EP 2 is none. Who names no script keeps what is written. */
static void test_degrees_of_scripts_are_those_of_a_node(void **state)
{
    (void)state;
    struct points p;
#define DEGREES(id, source, engine, model, format, tp, dp, moe_tp, ep, times)                                          \
    id "," source "," engine ",1.2.0,x/" model ",b200_sxm,agg,1024,1024," format ",1," tp ",1," dp "," moe_tp "," ep   \
       ",,,,,,,,,,,,,,," times "\n"
    read_points(DEGREES("a", "wip=False; silicon_concurrency=64", "trtllm", "DeepSeek-R1", "fp8", "1", "64", "8", "8",
                        "1,1") DEGREES("b", "wip=False; silicon_concurrency=64", "vllm", "MiniMax-M2.5", "fp8", "4",
                                       "4", "1", "16", "2,2")
                    DEGREES("c", "wip=False; silicon_concurrency=512", "vllm", "MiniMax-M2.5", "nvfp4", "2", "2", "1",
                            "4", "3,3") DEGREES("d", "", "trtllm", "DeepSeek-R1", "fp8", "1", "64", "8", "8", "4,4")
                        DEGREES("e", "wip=False", "sglang", "DeepSeek-V3", "nvfp4", "16", "1", "4", "4", "5,5")
                            DEGREES("f", "wip=False", "trtllm", "gpt-oss-120b", "nvfp4", "4", "1", "2", "2", "6,6")
                                DEGREES("g", "wip=False", "vllm", "DeepSeek-V3", "fp8", "8", "1", "4", "2", "7,7"),
                &p);
    static const double tp[] = {1, 4, 1, 1, 4, 2, 8}, dp[] = {8, 1, 2, 64, 1, 1, 1};
    static const double moe_tp[] = {1, 1, 1, 8, 1, 1, 4}, ep[] = {8, 4, 2, 8, 4, 2, 2};
    for (int i = 0; i < 7; i++) {
        const struct point_pool *s = &p.items[i].serve;
        assert_true(s->tp == tp[i] && s->attention_dp == dp[i] && s->moe_tp == moe_tp[i] && s->moe_ep == ep[i]);
        assert_true(p.items[i].ranks == dp[i]);
    }
    points_release(&p);
}

/* MiniMax on Blackwell from vLLM 0.19 on: two prompts an iteration, KV in 8 bits, and graphs to 2 048 tokens: 1, 2, 4,
 * 31 eighths to 248, and 113 sixteenths from 256 on. */
static void test_vllm_gets_the_scripts_limits(void **state)
{
    (void)state;
    struct points p;
    read_points(SERVED("a", "wip=False", "vllm", "0.19.0", "x/MiniMax-M2.5", "fp8", "16", "8", "1", "1,1"), &p);
    snprintf(p.items[0].system, sizeof p.items[0].system, "b300_sxm");
    cJSON *root = scenario_of(&p.items[0]);
    const cJSON *sizes = at(root, "engine.graph_tokens");
    assert_true(number(root, "policy.batching.token_budget") == 2000 && point_8bit_kv(&p.items[0]));
    assert_int_equal(cJSON_GetArraySize(sizes), 147);
    assert_true(cJSON_GetArrayItem(sizes, 3)->valuedouble == 8 && cJSON_GetArrayItem(sizes, 34)->valuedouble == 256 &&
                cJSON_GetArrayItem(sizes, 146)->valuedouble == 2048);
    cJSON_Delete(root);
    points_release(&p);
}

/* Four bits are those of the experts, where there are any; a format that is not known is refused. */
static void test_weights_run_at_the_stated_width(void **state)
{
    (void)state;
    struct points p;
    struct model m;
    struct cost_model cm;
    struct engine e;
    struct error err = {0};
    struct parallel parallel = tensor_parallel(8);
    read_points(SERVED("a", "", "trtllm", "1.2.0", "x/DeepSeek-R1", "nvfp4", "4", "8", "1", "1,1")
                    SERVED("b", "", "trtllm", "1.2.0", "x/Llama-3.1-70B", "nvfp4", "4", "8", "1", "2,2")
                        SERVED("c", "", "trtllm", "1.2.0", "x/Llama-3.1-70B", "fp8_block", "4", "8", "1", "3,3")
                            SERVED("d", "", "trtllm", "1.2.0", "x/Llama-3.1-70B", "sq3", "4", "8", "1", "4,4"),
                &p);
    cJSON *root = scenario_of(&p.items[0]);
    assert_string_equal(text(root, "engine.expert_dtype"), "fp4");
    assert_null(at(root, "engine.weight_dtype"));
    const struct json engine = {.node = at(root, "engine"), .file = "test"};
    expect_ok(engine_read(&engine, &e, &err), &err);
    expect_ok(model_load("deepseek-r1", &m, &err), &err);
    expect_ok(cost_model_create(&cm, "deepseek-r1", "b200", &parallel, &e, NULL, &err), &err);
    assert_true(cm.model.moe.dtype == DTYPE_FP4 && cm.model.moe.bytes_per_weight == 0.53125 &&
                cm.model.dtype == m.dtype);
    cost_model_release(&cm);
    assert_int_equal(cost_model_create(&cm, "llama-3.1-70b", "b200", &parallel, &e, NULL, &err), -1);
    assert_string_equal(err.text, "engine.expert_dtype: llama-3.1-70b has no experts");
    cJSON_Delete(root);
    root = scenario_of(&p.items[1]);
    assert_string_equal(text(root, "engine.weight_dtype"), "fp4");
    cJSON_Delete(root);
    root = scenario_of(&p.items[2]);
    assert_string_equal(text(root, "engine.weight_dtype"), "fp8");
    cJSON_Delete(root);
    assert_string_equal(point_refused(&p.items[3], ""), "weights in a format that is not modelled");
    points_release(&p);
}

/* 2 workers of TP 4 prefill, one of 8 attention ranks decodes. */
static void test_disaggregated_points_become_two_pools(void **state)
{
    (void)state;
    struct points p;
    read_points(
        "a,silicon_concurrency=32,sglang,0.5.8,x/DeepSeek-R1,h200_sxm,disagg,1000,100,fp8,,,,,,,1,2,4,1,1,4,1,4,1,1,"
        "1,8,1,8,9,9\n"
        "b,silicon_concurrency=32,sglang,0.5.8,x/DeepSeek-R1,h200_sxm,disagg,1000,100,fp8,,,,,,,1,,4,1,1,4,1,4,,1,"
        "1,8,1,8,8,8\n",
        &p);
    assert_null(point_refused(&p.items[0], "h200-sxm"));
    assert_string_equal(point_refused(&p.items[1], "h200-sxm"),
                        "disaggregated, and the number of workers is not given");
    cJSON *root = scenario_of(&p.items[0]);
    assert_int_equal(cJSON_GetArraySize(at(root, "cluster.flow")), 3);
    assert_true(number(root, "cluster.pools.prefill.replicas") == 2);
    assert_true(number(root, "cluster.pools.prefill.tensor_parallel") == 4);
    assert_true(number(root, "cluster.pools.decode.data_parallel") == 8);
    assert_true(number(root, "cluster.pools.decode.expert_parallel") == 8);
    cJSON_Delete(root);
    points_release(&p);
}

/* InferenceMAX: 800 to 1000 and 80 to 100. Others: 1000 and 100; all come through one front end. */
static void test_clients_are_not_all_alike(void **state)
{
    (void)state;
    struct points p;
    read_points(SERVED("a", "wip=False", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "4", "1", "1", "5,6")
                    SERVED("b", "", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "4", "1", "1", "6,6"),
                &p);
    cJSON *root = scenario_of(&p.items[0]);
    assert_true(number(root, "workload.lengths.prompt.min") == 800);
    assert_true(number(root, "workload.lengths.prompt.max") == 1000);
    assert_true(number(root, "workload.lengths.output.min") == 80);
    assert_true(number(root, "workload.lengths.output.max") == 100);
    cJSON_Delete(root);
    root = scenario_of(&p.items[1]);
    assert_true(number(root, "workload.lengths.prompt.tokens") == 1000);
    assert_true(number(root, "workload.lengths.output.tokens") == 100);
    assert_true(number(root, "cluster.pools.front_end.servers") == 1);
    assert_string_equal(cJSON_GetArrayItem(at(root, "cluster.flow"), 0)->valuestring, "front_end");
    cJSON_Delete(root);
    points_release(&p);
}

/* A way of 15 ms for vLLM from 0.14 on, of 5 before, and of none for SGLang. */
static void test_requests_take_their_engines_way(void **state)
{
    (void)state;
    struct points p;
    read_points(SERVED("a", "", "vllm", "0.18.0", "x/Llama-3.1-8B", "", "4", "1", "1", "5,6")
                    SERVED("b", "", "vllm", "0.12.0", "x/Llama-3.1-8B", "", "4", "1", "1", "6,6")
                        SERVED("c", "", "sglang", "0.5.1", "x/Llama-3.1-8B", "", "4", "1", "1", "7,6"),
                &p);
    for (int i = 0; i < 3; i++) {
        cJSON *root = scenario_of(&p.items[i]);
        assert_int_equal(cJSON_GetArraySize(at(root, "cluster.flow")), i < 2 ? 3 : 2);
        if (i < 2)
            assert_true(number(root, "cluster.pools.latency.service_s") == (i == 0 ? 0.015 : 0.005));
        cJSON_Delete(root);
    }
    points_release(&p);
}

/* Concurrencies of one configuration are in one half; a configuration is where the digit of its hash says. */
static void test_halves_are_by_configuration(void **state)
{
    (void)state;
    struct points p;
    read_points(SERVED("a", "silicon_concurrency=1", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "4", "1", "1", "5,6")
                    SERVED("b", "silicon_concurrency=2", "vllm", "0.19.0", "x/Llama-3.1-8B", "", "4", "1", "1", "6,6")
                        SERVED("c", "silicon_concurrency=1", "vllm", "0.18.0", "x/Llama-3.1-8B", "", "4", "1", "1",
                               "7,6") SERVED("d", "silicon_concurrency=1", "vllm", "0.17.0", "x/Llama-3.1-8B", "", "4",
                                             "1", "1", "8,6"),
                &p);
    char hex[65];
    sha256_of_text("h100_sxm|vllm|0.19.0|x/Llama-3.1-8B||agg|1000|100|1,1,1,0,0|0,0,0,0,0,0|0,0,0,0,0,0", hex);
    assert_true(p.items[0].judged == (strchr("13579bdf", hex[63]) != NULL));
    assert_true(p.items[0].judged == p.items[1].judged);
    points_release(&p);
}

/* A dozen versions, and the presets that stand for them. */
static void test_presets_by_version(void **state)
{
    (void)state;
    static const char *const cases[][3] = {{"vllm", "0.19.0", "vllm-0.19"},
                                           {"vllm", "0.24.1", "vllm-0.19"},
                                           {"vllm", "nightly-5b8c", "vllm-0.19"},
                                           {"vllm", "0.18.0", "vllm-0.14"},
                                           {"vllm", "0.12.0", "vllm-0.12"},
                                           {"vllm", "", "vllm-0.12"},
                                           {"trtllm", "1.1.0rc2.post2", "trtllm-1.0"},
                                           {"sglang", "0.5.9", "sglang-0.5"},
                                           {"sglang", "0.4.1", "sglang-0.5"},
                                           {"trtllm", "1.2.0rc6.post3", "trtllm-1.2"},
                                           {"trtllm", "1.3.0rc1", "trtllm-1.2"}};
    char preset[64];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(engine_preset(cases[i][0], cases[i][1], preset, sizeof preset));
        assert_string_equal(preset, cases[i][2]);
    }
    assert_false(engine_preset("lmdeploy", "1.0", preset, sizeof preset));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_concurrency_is_the_stated_one_else_all_ranks),
        cmocka_unit_test(test_a_measurement_counts_once),
        cmocka_unit_test(test_a_device_takes_points_of_its_system),
        cmocka_unit_test(test_whole_heads_lie_on_a_gpu),
        cmocka_unit_test(test_no_point_is_faster_than_its_gpus),
        cmocka_unit_test(test_kv_is_as_wide_as_servers_keep_it),
        cmocka_unit_test(test_prompts_wait_where_servers_make_them),
        cmocka_unit_test(test_points_run_under_their_engines_scheduler),
        cmocka_unit_test(test_tensorrt_llm_gets_the_scripts_limits),
        cmocka_unit_test(test_sglang_gets_the_scripts_limits),
        cmocka_unit_test(test_sglang_gets_the_scripts_limits_of_later_models),
        cmocka_unit_test(test_servers_that_may_draft_are_left_out),
        cmocka_unit_test(test_rounded_lines_are_the_same_measurement),
        cmocka_unit_test(test_degrees_of_scripts_are_those_of_a_node),
        cmocka_unit_test(test_vllm_gets_the_scripts_limits),
        cmocka_unit_test(test_weights_run_at_the_stated_width),
        cmocka_unit_test(test_disaggregated_points_become_two_pools),
        cmocka_unit_test(test_clients_are_not_all_alike),
        cmocka_unit_test(test_requests_take_their_engines_way),
        cmocka_unit_test(test_halves_are_by_configuration),
        cmocka_unit_test(test_presets_by_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
