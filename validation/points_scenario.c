/* SPDX-License-Identifier: MIT */
/* The scenario of a measured operating point. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "profiles/model.h"
#include "profiles/shipped.h"
#include "validation/points.h"

/* InferenceMAX draws lengths between 0.8 of the stated ones and those (its README: RANDOM_RANGE_RATIO 0.8); its points
 * name a workflow run, or whether they were work in progress. Others send what is stated. */
bool point_draws_lengths(const struct point *p)
{
    return strstr(p->data_source, "workflow_run_id=") || strstr(p->data_source, "wip=");
}

static void add_length(cJSON *lengths, const char *name, double tokens, bool drawn)
{
    cJSON *length = cJSON_AddObjectToObject(lengths, name);
    cJSON_AddStringToObject(length, "name", drawn ? "uniform" : "fixed");
    if (drawn)
        cJSON_AddNumberToObject(length, "min", fmax(1, floor(0.8 * tokens)));
    cJSON_AddNumberToObject(length, drawn ? "max" : "tokens", tokens);
}

static void add_workload(const struct point *p, cJSON *root)
{
    cJSON *workload = cJSON_AddObjectToObject(root, "workload");
    cJSON *arrivals = cJSON_AddObjectToObject(workload, "arrivals");
    cJSON_AddStringToObject(arrivals, "name", "closed_loop");
    cJSON_AddNumberToObject(arrivals, "concurrency", p->concurrency);
    cJSON_AddNumberToObject(workload, "requests", 10 * p->concurrency);
    cJSON *lengths = cJSON_AddObjectToObject(workload, "lengths");
    add_length(lengths, "prompt", p->isl, point_draws_lengths(p));
    add_length(lengths, "output", p->osl, point_draws_lengths(p));
}

bool point_weights(const struct point *p, enum dtype *out)
{
    if (strncmp(p->quantisation, "fp8", 3) == 0)
        *out = DTYPE_FP8;
    else if (strcmp(p->quantisation, "nvfp4") == 0)
        *out = DTYPE_FP4;
    else if (strcmp(p->quantisation, "int4_wo") == 0)
        *out = DTYPE_INT4;
    else
        return false;
    return true;
}

/* Four bits are those of experts where a model has any. */
static bool only_experts(const struct model *m, enum dtype format)
{
    return m->moe.experts && format != DTYPE_FP8;
}

int point_model(const struct point *p, struct model *out, struct error *err)
{
    char name[POINT_TEXT];
    enum dtype format;
    shipped_resolve("model", p->model_path, name, sizeof name);
    if (model_load(name, out, err))
        return -1;
    if (!point_weights(p, &format))
        return 0;
    if (only_experts(out, format))
        return model_quantise_experts(out, format, err);
    model_quantise(out, format);
    return 0;
}

/* Weights as the file says. Four bits are those of experts where a model has any: its attention stays as shipped. */
static void add_weights(const struct point *p, const struct model *m, cJSON *engine)
{
    enum dtype format;
    if (point_weights(p, &format))
        cJSON_AddStringToObject(engine, only_experts(m, format) ? "expert_dtype" : "weight_dtype", dtype_names[format]);
}

bool point_8bit_kv(const struct point *p)
{
    enum dtype format;
    bool gptoss = strstr(p->model_path, "gpt-oss"), trtllm = strcmp(p->backend, "trtllm") == 0;
    if (!point_weights(p, &format))
        return false;
    if (!point_draws_lengths(p)) /* NVIDIA's checkpoints say so themselves, and TensorRT-LLM follows them */
        return trtllm && strncmp(p->model_path, "nvidia/", strlen("nvidia/")) == 0;
    if (trtllm)
        return !gptoss || strcmp(p->system, "h200_sxm") != 0;
    if (strcmp(p->backend, "sglang") == 0)
        return strstr(p->model_path, "DeepSeek") &&
               (strncmp(p->system, "b", 1) == 0 || strncmp(p->system, "gb", 2) == 0);
    return strstr(p->model_path, "Llama-3.1-70B") && strcmp(p->system, "b200_sxm") == 0;
}

static void add_kv(const struct point *p, cJSON *root)
{
    if (!point_8bit_kv(p))
        return;
    cJSON *technique = cJSON_CreateObject(), *change = cJSON_CreateObject();
    cJSON_AddStringToObject(technique, "name", "kv-8bit");
    cJSON_AddStringToObject(technique, "paper", "none: a server's setting");
    cJSON_AddItemToArray(cJSON_AddArrayToObject(root, "techniques"), technique);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(technique, "changes"), change);
    cJSON_AddStringToObject(change, "name", "kv_cache");
    cJSON_AddNumberToObject(change, "bytes_per_value", 1);
}

/* Where TensorRT-LLM is disaggregated, the version is that of Dynamo around it. */
bool point_preset(const struct point *p, char *out, size_t size)
{
    bool dynamo = point_is_disaggregated(p) && strcmp(p->backend, "trtllm") == 0;
    return engine_preset(p->backend, dynamo ? "newest" : p->version, out, size);
}

static void add_engine(const struct point *p, const struct model *m, cJSON *root)
{
    char preset[64];
    cJSON *engine = cJSON_AddObjectToObject(root, "engine");
    if (point_preset(p, preset, sizeof preset))
        cJSON_AddStringToObject(engine, "preset", preset);
    add_weights(p, m, engine);
}

static void add_degrees(const struct point_pool *pool, cJSON *at)
{
    cJSON_AddNumberToObject(at, "tensor_parallel", pool->tp);
    if (pool->attention_dp > 1)
        cJSON_AddNumberToObject(at, "data_parallel", pool->attention_dp);
    if (pool->moe_ep > 1)
        cJSON_AddNumberToObject(at, "expert_parallel", pool->moe_ep);
}

static void add_pool(const struct point_pool *pool, const char *name, cJSON *pools, cJSON *flow)
{
    cJSON *at = cJSON_AddObjectToObject(pools, name);
    cJSON_AddNumberToObject(at, "replicas", fmax(pool->workers, 1));
    add_degrees(pool, at);
    cJSON_AddItemToArray(flow, cJSON_CreateString(name));
}

/* Requests come to the engine one after another, through an HTTP server and a tokenizer. That alone keeps clients whose
 * requests are all alike from sending in the same instant for ever. */
void point_add_front_end(cJSON *pools, cJSON *flow)
{
    cJSON *at = cJSON_AddObjectToObject(pools, "front_end");
    cJSON_AddStringToObject(at, "kind", "delay");
    cJSON_AddNumberToObject(at, "servers", 1);
    cJSON *service = cJSON_AddObjectToObject(at, "service_s");
    cJSON_AddStringToObject(service, "name", "lognormal");
    cJSON_AddNumberToObject(service, "median", 0.001);
    cJSON_AddNumberToObject(service, "sigma", 0.5);
    cJSON_AddItemToArray(flow, cJSON_CreateString("front_end"));
}

static void add_cluster(const struct point *p, cJSON *root)
{
    cJSON *cluster = cJSON_AddObjectToObject(root, "cluster");
    cJSON *pools = cJSON_AddObjectToObject(cluster, "pools"), *flow = cJSON_AddArrayToObject(cluster, "flow");
    point_add_front_end(pools, flow);
    if (point_is_disaggregated(p)) {
        add_pool(&p->prefill, "prefill", pools, flow);
        add_pool(&p->decode, "decode", pools, flow);
    } else {
        add_pool(&p->serve, "serve", pools, flow);
    }
}

/* InferenceMAX's scripts start TensorRT-LLM's Llama-3.1-70B on fewer than 8 GPUs for 1 024 + 1 024 tokens with
 * batch_wait_timeout_iters 20 and batch_wait_max_tokens_ratio 0.9, of 16 384. */
static void add_waits(const struct point *p, cJSON *batching)
{
    if (!point_draws_lengths(p) || point_is_disaggregated(p) || strcmp(p->backend, "trtllm") != 0 ||
        !strstr(p->model_path, "Llama-3.1-70B") || p->isl != 1024 || p->osl != 1024 || p->serve.tp >= 8)
        return;
    cJSON_AddNumberToObject(batching, "wait_iterations", 20);
    cJSON_AddNumberToObject(batching, "wait_tokens", floor(0.9 * 16384));
}

/* SGLang's prompts go before decodes and do not share their iterations. */
static void add_policy(const struct point *p, cJSON *root)
{
    cJSON *batching = cJSON_AddObjectToObject(cJSON_AddObjectToObject(root, "policy"), "batching");
    if (strcmp(p->backend, "sglang") == 0) {
        cJSON_AddStringToObject(batching, "name", "prefill_first");
        cJSON_AddNumberToObject(batching, "max_batched_tokens", fmax(8192, p->isl));
    } else {
        cJSON_AddStringToObject(batching, "name", "unified_budget");
        cJSON_AddNumberToObject(batching, "token_budget", 8192);
        add_waits(p, batching);
    }
    cJSON_AddNumberToObject(batching, "max_sequences", fmax(256, p->concurrency));
}

int point_scenario(const struct point *p, const char *device, cJSON **out, struct error *err)
{
    char name[POINT_TEXT];
    struct model model;
    shipped_resolve("model", p->model_path, name, sizeof name);
    if (model_load(name, &model, err))
        return -1;
    cJSON *root = cJSON_CreateObject();
    if (!root)
        return error_no_memory(err);
    cJSON_AddStringToObject(root, "name", p->id);
    cJSON_AddStringToObject(root, "model", name);
    cJSON_AddStringToObject(root, "device", device);
    add_engine(p, &model, root);
    add_kv(p, root);
    add_workload(p, root);
    add_cluster(p, root);
    add_policy(p, root);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(root, "output"), "warmup", "none");
    *out = root;
    return 0;
}
