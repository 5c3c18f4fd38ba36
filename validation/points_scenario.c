/* SPDX-License-Identifier: MIT */
/* The scenario of a measured operating point. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "profiles/engine_server.h"
#include "profiles/model.h"
#include "profiles/shipped.h"
#include "validation/points.h"

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
    point_add_engine(p, engine);
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

/* From HTTP to the scheduler and back, next to the front end's own time: of 0 to 30 ms in steps of 5 what leaves the
 * least mean |ln(simulated / measured)| of TTFT, cut at 1, over the half of the H100 and H200 points that is not
 * judged. vLLM 0.19 has none of these points, and goes by 0.14. */
static double latency_s(const struct point *p)
{
    static const struct {
        const char *preset;
        double seconds;
    } found[] = {{"vllm-0.12", 0.005},  {"vllm-0.14", 0.015},  {"vllm-0.19", 0.015},
                 {"trtllm-1.0", 0.005}, {"trtllm-1.2", 0.015}, {"sglang-0.5", 0}};
    char preset[64];
    bool known = point_preset(p, preset, sizeof preset);
    for (size_t i = 0; known && i < sizeof found / sizeof *found; i++)
        if (strcmp(found[i].preset, preset) == 0)
            return found[i].seconds;
    return 0;
}

static void add_latency(const struct point *p, cJSON *pools, cJSON *flow)
{
    if (latency_s(p) <= 0)
        return;
    cJSON *at = cJSON_AddObjectToObject(pools, "latency");
    cJSON_AddStringToObject(at, "kind", "delay");
    cJSON_AddStringToObject(at, "servers", "unlimited");
    cJSON_AddNumberToObject(at, "service_s", latency_s(p));
    cJSON_AddItemToArray(flow, cJSON_CreateString("latency"));
}

static void add_cluster(const struct point *p, cJSON *root)
{
    cJSON *cluster = cJSON_AddObjectToObject(root, "cluster");
    cJSON *pools = cJSON_AddObjectToObject(cluster, "pools"), *flow = cJSON_AddArrayToObject(cluster, "flow");
    point_add_front_end(pools, flow);
    add_latency(p, pools, flow);
    if (point_is_disaggregated(p)) {
        add_pool(&p->prefill, "prefill", pools, flow);
        add_pool(&p->decode, "decode", pools, flow);
    } else {
        add_pool(&p->serve, "serve", pools, flow);
    }
}

static void raise_to(cJSON *object, const char *key, double least)
{
    cJSON *at = cJSON_GetObjectItemCaseSensitive(object, key);
    if (cJSON_IsNumber(at) && at->valuedouble < least)
        cJSON_SetNumberValue(at, least);
}

/* The scheduler that the engine's server starts with. Who served so many clients and such prompts let them in: limits
 * are raised where a client could never run beside the others, or a prompt that the engine does not cut not at all. */
static int add_policy(const struct point *p, const struct device *device, cJSON *root, struct error *err)
{
    struct json engine = {.node = cJSON_GetObjectItemCaseSensitive(root, "engine"), .file = p->id};
    struct engine_server server;
    int status = engine_server_read(&engine, device, &server, err);
    struct json said = json_member(&server.policy, "batching");
    if (status == 0 && said.node) {
        cJSON *batching = cJSON_Duplicate(said.node, true);
        cJSON_AddItemToObject(cJSON_AddObjectToObject(root, "policy"), "batching", batching);
        raise_to(batching, "max_sequences", p->concurrency);
        if (strcmp(p->backend, "trtllm") == 0)
            raise_to(batching, "token_budget", fmax(p->isl, p->concurrency));
        point_add_limits(p, batching);
    }
    engine_server_release(&server);
    return status;
}

int point_scenario(const struct point *p, const char *device, cJSON **out, struct error *err)
{
    char name[POINT_TEXT];
    struct model model;
    shipped_resolve("model", p->model_path, name, sizeof name);
    struct device served;
    if (model_load(name, &model, err) || device_load(device, &served, err))
        return -1;
    cJSON *root = cJSON_CreateObject();
    if (!root) {
        device_release(&served);
        return error_no_memory(err);
    }
    cJSON_AddStringToObject(root, "name", p->id);
    cJSON_AddStringToObject(root, "model", name);
    cJSON_AddStringToObject(root, "device", device);
    add_engine(p, &model, root);
    add_kv(p, root);
    add_workload(p, root);
    add_cluster(p, root);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(root, "output"), "warmup", "none");
    int status = add_policy(p, &served, root, err);
    device_release(&served);
    if (status) {
        cJSON_Delete(root);
        return -1;
    }
    *out = root;
    return 0;
}
