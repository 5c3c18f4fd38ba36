/* SPDX-License-Identifier: MIT */
/* What InferenceMAX's published scripts start the servers of its points with: SemiAnalysisAI/InferenceX, benchmarks/,
 * as they were when the points were measured. Other points' servers start as their engines do. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "validation/points.h"

/* InferenceMAX draws lengths between 0.8 of the stated ones and those (its README: RANDOM_RANGE_RATIO 0.8); its points
 * name a workflow run, or whether they were work in progress. Others send what is stated. */
bool point_draws_lengths(const struct point *p)
{
    return strstr(p->data_source, "workflow_run_id=") || strstr(p->data_source, "wip=");
}

static bool is_engine(const struct point *p, const char *engine)
{
    return strcmp(p->backend, engine) == 0;
}

static bool is_model(const struct point *p, const char *part)
{
    return strstr(p->model_path, part) != NULL;
}

/* b200_sxm, b300_sxm, gb200, gb300. */
static bool is_blackwell(const struct point *p)
{
    return strncmp(p->system, "b", 1) == 0 || strncmp(p->system, "gb", 2) == 0;
}

/* A version without a number is none. */
static bool is_from(const struct point *p, unsigned major, unsigned minor)
{
    unsigned a = 0, b = 0;
    if (sscanf(p->version, "%u.%u", &a, &b) != 2)
        return false;
    return a > major || (a == major && b >= minor);
}

/* One node, started by a script of benchmarks/ (single_node). */
bool point_has_script(const struct point *p)
{
    return point_draws_lengths(p) && !point_is_disaggregated(p) && strncmp(p->system, "gb", 2) != 0;
}

/* DP attention of experts in parallel: MiniMax in fp4 on two GPUs, from 512 clients on (nvidia-master.yaml). */
static bool has_attention_ranks(const struct point *p)
{
    return is_model(p, "MiniMax") && strcmp(p->quantisation, "nvfp4") == 0 && p->isl == 1024 && p->concurrency >= 512;
}

/* Experts in parallel are as many as TP in all of these scripts (nvidia-master.yaml), so where "TP" is EP times as many
 * again, it is the product of both. */
static void mend_product(struct point_pool *s)
{
    if (s->moe_tp != s->moe_ep || s->tp != s->moe_tp * s->moe_ep)
        return;
    s->tp = s->moe_ep;
    s->moe_tp = 1;
}

void point_mend_degrees(struct point *p)
{
    struct point_pool *s = &p->serve;
    if (!point_has_script(p) || s->moe_ep <= 1)
        return;
    if (s->attention_dp <= 1) {
        mend_product(s);
        return;
    }
    if (s->tp == 1 && s->moe_tp > 1 && s->attention_dp == s->moe_tp * s->moe_ep) {
        s->attention_dp = s->moe_tp;
        s->moe_tp /= s->moe_ep;
    } else if (s->tp > 1 && s->moe_ep == s->tp * s->attention_dp) {
        bool ranks = has_attention_ranks(p);
        s->moe_ep = s->attention_dp;
        s->moe_tp = s->tp / s->moe_ep;
        s->attention_dp = ranks ? s->tp : 1;
        s->tp = ranks ? 1 : s->tp;
    }
}

bool point_8bit_kv(const struct point *p)
{
    enum dtype format;
    if (!point_weights(p, &format))
        return false;
    if (!point_draws_lengths(p)) /* NVIDIA's checkpoints say so themselves, and TensorRT-LLM follows them */
        return is_engine(p, "trtllm") && strncmp(p->model_path, "nvidia/", strlen("nvidia/")) == 0;
    if (is_engine(p, "trtllm"))
        return !is_model(p, "gpt-oss") || strcmp(p->system, "h200_sxm") != 0;
    if (is_engine(p, "sglang"))
        return is_model(p, "Qwen3.5") || (is_blackwell(p) && (is_model(p, "DeepSeek") || is_model(p, "GLM-5")));
    return is_blackwell(p) &&
           ((is_model(p, "Llama-3.1-70B") && strcmp(p->system, "b200_sxm") == 0) ||
            (is_model(p, "gpt-oss") && is_from(p, 0, 11)) || (is_model(p, "MiniMax") && is_from(p, 0, 19)));
}

/* SGLang 0.5.9 in fp8 (nvidia-master.yaml, March and April 2026): Qwen3.5 on 4 GPUs without EP was served with MTP
 * alone. DeepSeek on 8 was served with and without, up to 64 clients, and the lines named R1 are of both; those named
 * V3 are without. */
static bool sglang_speculates(const struct point *p)
{
    enum dtype format;
    if (strcmp(p->version, "0.5.9") != 0 || !point_weights(p, &format) || format != DTYPE_FP8 || !is_blackwell(p))
        return false;
    if (is_model(p, "Qwen3.5"))
        return p->serve.tp == 4 && p->serve.moe_ep <= 1;
    return strcmp(p->system, "b200_sxm") == 0 && is_model(p, "DeepSeek") &&
           (p->concurrency > 64 || (p->serve.tp == 8 && is_model(p, "DeepSeek-R1")));
}

/* TensorRT-LLM's DeepSeek: 1.2.0rc6.post3 was served on B200 with MTP alone, and so was 1.1.0rc2.post2 in 2026, when
 * what was new was measured; in 2025 it had none. */
static bool trtllm_speculates(const struct point *p)
{
    bool later = strstr(p->data_source, "measured=2026-") != NULL;
    return is_model(p, "DeepSeek") &&
           ((strcmp(p->system, "b200_sxm") == 0 && strcmp(p->version, "1.2.0rc6.post3") == 0) ||
            (later && strcmp(p->version, "1.1.0rc2.post2") == 0));
}

bool point_speculates(const struct point *p)
{
    if (!point_has_script(p))
        return false;
    return is_engine(p, "sglang") ? sglang_speculates(p) : is_engine(p, "trtllm") && trtllm_speculates(p);
}

static void set(cJSON *object, const char *key, double value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    cJSON_AddNumberToObject(object, key, value);
}

static bool has_lengths(const struct point *p, double isl, double osl)
{
    return p->isl == isl && p->osl == osl;
}

/* dsr1_fp8_b200_trt.sh and dsr1_fp8_h200_trt.sh, with fp4's; until January 2026 (1.1) without a least budget. */
static void add_trtllm_deepseek(const struct point *p, cJSON *batching)
{
    double rounded = floor((p->concurrency + p->isl + 64 + 63) / 64) * 64, least = is_from(p, 1, 2) ? 8192 : 0;
    enum dtype format;
    set(batching, "token_budget", fmax(rounded, least));
    if (is_from(p, 1, 2) && point_weights(p, &format) && format == DTYPE_FP8 && has_lengths(p, 1024, 1024) &&
        p->concurrency >= 64 && strcmp(p->system, "b200_sxm") == 0) {
        set(batching, "wait_iterations", 40);
        set(batching, "wait_tokens", floor(0.8 * fmax(rounded, least)));
    }
}

static void add_trtllm(const struct point *p, cJSON *batching)
{
    if (is_model(p, "DeepSeek"))
        add_trtllm_deepseek(p, batching);
    if (is_model(p, "gpt-oss"))
        set(batching, "token_budget", 20000);
    if (!is_model(p, "Llama-3.1-70B"))
        return;
    set(batching, "token_budget", 16384);
    if (has_lengths(p, 1024, 1024) && p->serve.tp < 8) {
        set(batching, "wait_iterations", 20);
        set(batching, "wait_tokens", floor(0.9 * 16384));
    }
}

/* dsr1_fp8_h200.sh, dsr1_fp8_b200.sh, dsr1_fp4_b200.sh and the same of b300. */
static void add_sglang_deepseek(const struct point *p, cJSON *batching)
{
    enum dtype format;
    bool fp4 = point_weights(p, &format) && format == DTYPE_FP4, few = is_blackwell(p) && !fp4 && p->serve.tp == 4;
    double chunk = fp4 ? 16384 : few ? 8192 : 32768;
    double sequences = fp4 ? 256 : few ? 32 : is_blackwell(p) ? 128 : has_lengths(p, 1024, 1024) ? 512 : 256;
    set(batching, "chunked_prefill_size", chunk);
    set(batching, "max_prefill_tokens", fp4 ? 16384 : chunk);
    set(batching, "max_sequences", sequences);
    if (is_blackwell(p))
        set(batching, "recv_interval", p->concurrency >= 16 && !few ? 30 : 10);
}

/* qwen3.5_bf16_b200.sh, qwen3.5_fp8_b200.sh, qwen3.5_fp4_b200.sh, qwen3.5_fp8_h200.sh, and the same of b300, which ran
 * b200's before SGLang 0.5.10. */
static bool is_later_b300_fp8(const struct point *p)
{
    enum dtype format;
    return strcmp(p->system, "b300_sxm") == 0 && strcmp(p->version, "0.5.9") != 0 && point_weights(p, &format) &&
           format == DTYPE_FP8;
}

static void add_sglang_qwen(const struct point *p, cJSON *batching)
{
    bool later = is_later_b300_fp8(p);
    double chunk = is_blackwell(p) && !later ? 32768 : 16384;
    set(batching, "chunked_prefill_size", chunk);
    set(batching, "max_prefill_tokens", chunk);
    set(batching, "max_sequences", later ? p->concurrency : 128);
    if (is_blackwell(p))
        set(batching, "recv_interval", p->concurrency >= 16 && !later ? 30 : 10);
}

/* glm5_fp8_b200.sh, glm5_fp4_b200.sh, and b200's on b300; glm5_fp8_h200.sh leaves the limits to the engine. */
static void add_sglang_glm(const struct point *p, cJSON *batching)
{
    enum dtype format;
    bool fp4 = point_weights(p, &format) && format == DTYPE_FP4;
    if (!is_blackwell(p))
        return;
    set(batching, "chunked_prefill_size", fp4 ? 131072 : 32768);
    set(batching, "max_prefill_tokens", fp4 ? 16384 : 32768);
    set(batching, "max_sequences", p->concurrency);
}

static void add_sglang(const struct point *p, cJSON *batching)
{
    if (is_model(p, "DeepSeek"))
        add_sglang_deepseek(p, batching);
    if (is_model(p, "Qwen3.5"))
        add_sglang_qwen(p, batching);
    if (is_model(p, "GLM-5"))
        add_sglang_glm(p, batching);
}

void point_add_limits(const struct point *p, cJSON *batching)
{
    if (!point_has_script(p))
        return;
    if (is_engine(p, "trtllm"))
        add_trtllm(p, batching);
    if (is_engine(p, "sglang"))
        add_sglang(p, batching);
    if (is_engine(p, "vllm") && is_model(p, "MiniMax") && is_blackwell(p) && is_from(p, 0, 19))
        set(batching, "token_budget", 2 * p->isl);
}

/* vLLM's sizes for --max-cudagraph-capture-size (config/vllm.py): 1, 2, 4, each eighth below 256, each sixteenth. */
static void add_graphs(cJSON *engine, int largest)
{
    cJSON *sizes = cJSON_AddArrayToObject(engine, "graph_tokens");
    for (int size = 1; size <= largest; size += size < 4 ? size : size == 4 ? 4 : size < 256 ? 8 : 16)
        cJSON_AddItemToArray(sizes, cJSON_CreateNumber(size));
}

static double utilization(const struct point *p)
{
    enum dtype format;
    bool fp4 = point_weights(p, &format) && format == DTYPE_FP4, few = p->serve.tp == 4;
    if (is_engine(p, "vllm"))
        return is_model(p, "Kimi") && !fp4 ? 0.95 : 0;
    if (is_model(p, "gpt-oss") && is_engine(p, "trtllm"))
        return 0.85;
    if (is_model(p, "GLM-5"))
        return fp4 ? 0.8 : 0.85;
    if (is_model(p, "Qwen3.5") && fp4)
        return strcmp(p->system, "b300_sxm") == 0 ? 0.8 : 0.85;
    if (is_model(p, "Qwen3.5"))
        return is_blackwell(p) && !is_later_b300_fp8(p) ? 0.82 : 0.8;
    if (!is_model(p, "DeepSeek"))
        return 0;
    if (is_engine(p, "trtllm"))
        return strcmp(p->system, "h200_sxm") == 0 || (few && !fp4 && is_from(p, 1, 2)) ? 0.75 : 0.8;
    return fp4 ? 0.85 : is_blackwell(p) && few ? 0.95 : 0.82;
}

void point_add_engine(const struct point *p, cJSON *engine)
{
    if (!point_has_script(p))
        return;
    if (utilization(p) > 0)
        cJSON_AddNumberToObject(cJSON_AddObjectToObject(engine, "memory"), "utilization", utilization(p));
    bool wide =
        is_model(p, "gpt-oss") ? is_from(p, 0, 11) : is_model(p, "MiniMax") && is_blackwell(p) && is_from(p, 0, 19);
    if (is_engine(p, "vllm") && wide)
        add_graphs(engine, 2048);
}
