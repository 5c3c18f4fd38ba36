/* SPDX-License-Identifier: MIT */
#include "sim/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policies/plugin.h"

/* Replicas of one kind: all of them, or those that prefill, or those that decode. */
struct pool {
    struct json at; /* the object that describes it; node NULL where nothing does */
    long long replicas;
    const char *device;
    struct parallel parallel;
};

/* What a pool does not say is as the cluster says. */
static int read_pool(const struct json *at, struct pool *p, struct error *err)
{
    static const char *const keys[] = {"replicas", "tensor_parallel", "pipeline_parallel",
                                       "device",   "batching",        "kv_blocks",
                                       NULL};
    long long tensor = p->parallel.tensor, stages = p->parallel.stages;
    p->at = *at;
    if (at->node &&
        (json_check_keys(at, keys, err) || json_read_integer(at, "replicas", false, 1, 100000, &p->replicas, err) ||
         json_read_integer(at, "tensor_parallel", false, 1, 64, &tensor, err) ||
         json_read_integer(at, "pipeline_parallel", false, 1, 64, &stages, err) ||
         json_read_string(at, "device", false, &p->device, err)))
        return -1;
    p->parallel.tensor = (uint32_t)tensor;
    p->parallel.stages = (uint32_t)stages;
    return 0;
}

static int read_link(const struct json *at, double *bytes_per_s, double *latency_ns, struct error *err)
{
    static const char *const keys[] = {"bytes_per_s", "latency_ns", NULL};
    return at->node && (json_check_keys(at, keys, err) ||
                        json_read_number(at, "bytes_per_s", false, 1, 1e15, bytes_per_s, err) ||
                        json_read_number(at, "latency_ns", false, 0, 1e12, latency_ns, err))
               ? -1
               : 0;
}

static int read_routing(const struct json *routed, const struct routing_policy **out, struct param_set *params,
                        struct error *err)
{
    const char *routing = "round_robin", *key = json_member(routed, "policy").node ? "policy" : "name";
    if (cJSON_IsString(routed->node))
        routing = routed->node->valuestring;
    else if (routed->node && json_read_string(routed, key, true, &routing, err))
        return -1;
    *out = routing_policy_find(routing);
    return *out ? param_set_read(params, (*out)->params, routed, err)
                : json_complain(routed, "a routing policy (tandem list policies)", err);
}

/* How KV goes from one pool to the other. */
static int read_wire(const struct json *at, struct handover_link *link, bool *layerwise, struct error *err)
{
    static const char *const keys[] = {"bytes_per_s", "latency_ns", "layerwise", NULL};
    double latency_ns = 10000;
    link->bytes_per_s = 50e9;
    if (at->node && (json_check_keys(at, keys, err) ||
                     json_read_number(at, "bytes_per_s", false, 1, 1e15, &link->bytes_per_s, err) ||
                     json_read_number(at, "latency_ns", false, 0, 1e12, &latency_ns, err) ||
                     json_read_bool(at, "layerwise", layerwise, err)))
        return -1;
    link->latency = (sim_time)latency_ns;
    return 0;
}

/* Thresholds of a mixed pool: Splitwise's, in tokens. */
static int read_mixed(const struct json *at, struct cluster_config *c, struct error *err)
{
    long long prefill_above = 8192, decode_above = 100000;
    if (json_read_integer(at, "prefill_above_tokens", false, 0, 1000000000000, &prefill_above, err) ||
        json_read_integer(at, "decode_above_tokens", false, 0, 1000000000000, &decode_above, err))
        return -1;
    c->mixed = true;
    c->prefill_above = (uint64_t)prefill_above;
    c->decode_above = (uint64_t)decode_above;
    return 0;
}

enum placement { COLOCATED, APART, PAIRED };

/* {"name": "redundant_kv", "link": …}: pairs of the cluster's replicas. */
static int read_pairs(struct scenario *s, const struct json *at, bool *layerwise, struct error *err)
{
    static const char *const keys[] = {"name", "link", NULL};
    struct json wire = json_member(at, "link");
    *layerwise = true;
    if ((cJSON_IsObject(at->node) && json_check_keys(at, keys, err)) ||
        read_wire(&wire, &s->cluster.link, layerwise, err))
        return -1;
    return PAIRED;
}

/* "colocated"; or prefill and decode apart: {"name": …, "prefill": …, "decode": …, "link": …}; or in pairs. Returns
 * which of these, or -1. */
static int read_placement(struct scenario *s, const struct json *at, struct pool *prefill, struct pool *decode,
                          bool *layerwise, struct error *err)
{
    static const char *const apart[] = {"disaggregated", "two_level", "mixed_pool"};
    static const char *const keys[] = {"name", "prefill", "decode", "link", "decode_routing", NULL};
    static const char *const mixed_keys[] = {
        "name", "prefill", "decode", "link", "prefill_above_tokens", "decode_routing", "decode_above_tokens", NULL};
    const char *name = "colocated";
    struct cluster_config *c = &s->cluster;
    if (cJSON_IsString(at->node))
        name = at->node->valuestring;
    else if (at->node && json_read_string(at, "name", true, &name, err))
        return -1;
    size_t kind = 0;
    while (kind < 3 && strcmp(name, apart[kind]) != 0)
        kind++;
    if (strcmp(name, "redundant_kv") == 0)
        return read_pairs(s, at, layerwise, err);
    if (kind == 3)
        return strcmp(name, "colocated") == 0
                   ? COLOCATED
                   : json_complain(
                         at, "\"colocated\", \"disaggregated\", \"two_level\", \"mixed_pool\" or \"redundant_kv\"",
                         err);
    if (cJSON_IsObject(at->node) && json_check_keys(at, kind == 2 ? mixed_keys : keys, err))
        return -1;
    struct json first = json_member(at, "prefill"), second = json_member(at, "decode"), wire = json_member(at, "link"),
                routed = json_member(at, "decode_routing");
    c->decode_routing = routing_policy_find(kind == 1 ? "predicted_kv" : "least_outstanding_tokens");
    *decode = *prefill;
    if (read_pool(&first, prefill, err) || read_pool(&second, decode, err) ||
        read_wire(&wire, &c->link, layerwise, err) || (kind == 2 && read_mixed(at, c, err)) ||
        (routed.node ? read_routing(&routed, &c->decode_routing, &s->decode_routing_params, err)
                     : param_set_read(&s->decode_routing_params, c->decode_routing->params, NULL, err)))
        return -1;
    c->decode_routing_params = &s->decode_routing_params;
    return c->decode_routing->central ? json_complain(&routed, "a routing policy other than central_queue", err)
                                      : APART;
}

/* Costs of both kinds of replicas; `decode` is NULL where there is one kind. */
static int create_costs(struct scenario *s, const char *model, const struct pool *prefill, const struct pool *decode,
                        struct error *err)
{
    struct engine engine;
    struct techniques techniques;
    struct json engine_at = json_member(&s->root, "engine"), techniques_at = json_member(&s->root, "techniques");
    if (engine_read(&engine_at, &engine, err))
        return -1;
    s->cluster.replica.schedule_ahead = engine.schedule_ahead;
    int status = techniques_read(&techniques_at, &techniques, err);
    if (status == 0)
        status = cost_model_create(&s->cost, model, prefill->device, &prefill->parallel, &engine, &techniques, err);
    if (status == 0 && decode)
        status =
            cost_model_create(&s->decode_cost, model, decode->device, &decode->parallel, &engine, &techniques, err);
    techniques_release(&techniques);
    return status;
}

/* The stages of a pool's replicas after the first one, whose costs are there; and what runs batches through all. */
static int create_stages(struct scenario *s, const char *model, const struct pool *pool, const struct cost_model *first,
                         struct stages *out, struct error *err)
{
    struct engine engine;
    struct techniques techniques = {0};
    struct json engine_at = json_member(&s->root, "engine"), techniques_at = json_member(&s->root, "techniques");
    size_t stages = pool->parallel.stages;
    if (stages == 1)
        return 0;
    out->costs = calloc(stages - 1, sizeof *out->costs);
    out->executors = calloc(stages, sizeof *out->executors);
    if (!out->costs || !out->executors)
        return error_no_memory(err);
    out->executors[0] = simulated_executor(first);
    int status = engine_read(&engine_at, &engine, err) || techniques_read(&techniques_at, &techniques, err) ? -1 : 0;
    for (size_t i = 1; status == 0 && i < stages; i++) {
        struct parallel parallel = pool->parallel;
        parallel.stage = (uint32_t)i;
        out->count = i;
        status = cost_model_create(&out->costs[i - 1], model, pool->device, &parallel, &engine, &techniques, err);
        out->executors[i] = simulated_executor(&out->costs[i - 1]);
    }
    techniques_release(&techniques);
    const struct model *m = &first->model;
    out->link = (struct pipeline_link){.bytes_per_token =
                                           m->hidden * (m->bytes_per_weight > 1 ? 2.0 : 1.0) / pool->parallel.tensor,
                                       .bytes_per_s = first->device.link_bytes_per_s,
                                       .latency = (sim_time)first->device.link_latency_ns};
    return status;
}

/* Bytes of KV a token on the GPU of a pool that has most of them. */
static double most_kv_bytes(const struct cost_model *first, const struct stages *others)
{
    double most = first->work.kv_bytes_per_token;
    for (size_t i = 0; i < others->count; i++)
        if (others->costs[i].work.kv_bytes_per_token > most)
            most = others->costs[i].work.kv_bytes_per_token;
    return most;
}

static void set_disaggregated(struct scenario *s, const struct pool *prefill, const struct pool *decode)
{
    struct cluster_config *c = &s->cluster;
    c->prefill_replicas = (size_t)prefill->replicas * prefill->parallel.stages;
    c->decode_tied = decode->parallel.stages;
    c->replicas = c->prefill_replicas + (size_t)decode->replicas * c->decode_tied;
    c->decode_executor = simulated_executor(&s->decode_cost);
    c->decode_stage_executors = s->decode_stages.executors;
    c->decode_stage_link = s->decode_stages.link;
    double one = most_kv_bytes(&s->cost, &s->stages), other = most_kv_bytes(&s->decode_cost, &s->decode_stages);
    c->link.bytes_per_token = one > other ? one : other; /* the GPU that has most to send or receive */
}

static int read_cluster(struct scenario *s, struct pool *prefill, struct pool *decode, struct error *err)
{
    static const char *const keys[] = {"replicas",
                                       "tensor_parallel",
                                       "data_parallel",
                                       "expert_parallel",
                                       "placement",
                                       "routing",
                                       "pipeline_parallel",
                                       "expert_imbalance",
                                       "link",
                                       NULL};
    s->cluster.routing_params = &s->routing_params;
    struct json at = json_member(&s->root, "cluster"), link = json_member(&at, "link");
    struct json placed = json_member(&at, "placement"), routed = json_member(&at, "routing");
    long long tp = 1, pp = 1, dp = 1, ep = 1;
    const char *model = NULL;
    *prefill = (struct pool){.replicas = 1, .parallel = tensor_parallel(1)};
    struct parallel *parallel = &prefill->parallel;
    if (at.node && (json_check_keys(&at, keys, err) ||
                    json_read_integer(&at, "replicas", false, 1, 100000, &prefill->replicas, err) ||
                    json_read_integer(&at, "tensor_parallel", false, 1, 64, &tp, err) ||
                    json_read_integer(&at, "pipeline_parallel", false, 1, 64, &pp, err) ||
                    json_read_integer(&at, "data_parallel", false, 1, 1024, &dp, err) ||
                    json_read_integer(&at, "expert_parallel", false, 1, 1024, &ep, err) ||
                    json_read_number(&at, "expert_imbalance", false, 1, 1000, &parallel->expert_imbalance, err)))
        return -1;
    if (read_link(&link, &parallel->link_bytes_per_s, &parallel->link_latency_ns, err) ||
        json_read_string(&s->root, "model", true, &model, err) ||
        json_read_string(&s->root, "device", true, &prefill->device, err) ||
        read_routing(&routed, &s->cluster.routing, &s->routing_params, err))
        return -1;
    parallel->tensor = (uint32_t)tp;
    parallel->data = (uint32_t)dp;
    parallel->expert = (uint32_t)ep;
    parallel->stages = (uint32_t)pp;
    bool layerwise = false;
    int placement = read_placement(s, &placed, prefill, decode, &layerwise, err);
    bool disaggregated = placement == APART;
    if (placement < 0)
        return -1;
    if (placement != COLOCATED && dp > 1)
        return json_complain(&placed, "\"colocated\" where data_parallel is above 1", err);
    struct json staged = json_member(&at, "pipeline_parallel"), counted = json_member(&at, "replicas");
    if (pp > 1 && (placement == PAIRED || dp > 1))
        return json_complain(&staged, "1 with data_parallel or redundant_kv", err);
    pp = prefill->parallel.stages; /* of those that prefill, where there are two pools */
    if (placement == PAIRED && prefill->replicas % 2 != 0)
        return json_complain(&counted, "an even number of replicas for \"redundant_kv\": they work in pairs", err);
    if ((placement == PAIRED || s->cluster.mixed) && s->cluster.routing->central)
        return json_complain(&routed,
                             "a routing policy other than central_queue for \"redundant_kv\" and \"mixed_pool\"", err);
    s->cluster.replicas = (size_t)(prefill->replicas * dp * pp);
    s->cluster.tied = placement == PAIRED ? 2 : (size_t)pp;
    s->cluster.decode_tied = 1;
    s->cluster.group = (size_t)dp;
    if (create_costs(s, model, prefill, disaggregated ? decode : NULL, err) ||
        create_stages(s, model, prefill, &s->cost, &s->stages, err) ||
        (disaggregated && create_stages(s, model, decode, &s->decode_cost, &s->decode_stages, err)))
        return -1;
    s->cluster.stage_executors = s->stages.executors;
    s->cluster.stage_link = s->stages.link;
    /* In a pipeline other micro-batches run while the host works. */
    s->cluster.decode.schedule_ahead = s->cluster.replica.schedule_ahead && !s->decode_stages.executors;
    s->cluster.replica.schedule_ahead &= !s->stages.executors;
    s->cluster.replica.step = dp > 1 || pp > 1;
    if (disaggregated)
        set_disaggregated(s, prefill, decode);
    if (placement == PAIRED)
        s->cluster.link.bytes_per_token = s->cost.work.kv_bytes_per_token;
    s->cluster.link.layers = layerwise ? s->cost.model.layers : 0;
    return 0;
}

/* A name, or an object with it. */
static int read_name(const struct json *at, const char **name, struct error *err)
{
    if (!at->node)
        return 0;
    if (cJSON_IsString(at->node)) {
        *name = at->node->valuestring;
        return 0;
    }
    return json_read_string(at, "name", true, name, err);
}

static int read_admission(const struct json *policy, struct replica_config *c, struct error *err)
{
    const char *admission = NULL;
    struct json at = json_member(policy, "admission");
    if (json_read_string(policy, "admission", false, &admission, err))
        return -1;
    c->admission = c->batching->admission;
    if (!admission)
        return 0;
    if (strcmp(admission, "on_demand") == 0)
        c->admission = ADMIT_ON_DEMAND;
    else if (strcmp(admission, "reserve_max") == 0)
        c->admission = ADMIT_RESERVE_MAX;
    else if (strcmp(admission, "predicted") == 0)
        c->admission = ADMIT_PREDICTED;
    else
        return json_complain(&at, "\"on_demand\", \"reserve_max\" or \"predicted\"", err);
    return 0;
}

/* "recompute", or "swap", by itself or as an object with how much and how fast. */
static int read_preemption(const struct json *policy, const struct cost_model *cost, size_t stages,
                           struct replica_config *c, struct error *err)
{
    static const char *const keys[] = {"name", "host_bytes", "bytes_per_s", "latency_ns", NULL};
    struct json at = json_member(policy, "preemption");
    const char *name = "recompute";
    double host_bytes = 4.0 * (1 << 30), bytes_per_s = 25e9, latency_ns = 10000;
    if (read_name(&at, &name, err))
        return -1;
    if (strcmp(name, "recompute") != 0 && strcmp(name, "swap") != 0)
        return json_complain(&at, "\"recompute\" or \"swap\"", err);
    if (cJSON_IsObject(at.node) &&
        (json_check_keys(&at, keys, err) || json_read_number(&at, "host_bytes", false, 0, 1e15, &host_bytes, err) ||
         json_read_number(&at, "bytes_per_s", false, 1, 1e15, &bytes_per_s, err) ||
         json_read_number(&at, "latency_ns", false, 0, 1e12, &latency_ns, err)))
        return -1;
    if (strcmp(name, "recompute") == 0)
        return 0;
    if (stages > 1)
        return json_complain(&at, "\"recompute\" with pipeline_parallel or redundant_kv", err);
    double block_bytes = cost->work.kv_bytes_per_token * c->kv_block_tokens;
    c->swap = (struct swap_space){.blocks = (uint64_t)(host_bytes / block_bytes),
                                  .ns_per_block = block_bytes / bytes_per_s * 1e9,
                                  .latency = (sim_time)latency_ns};
    return 0;
}

/* Who stands where in the queue, and what is foretold for it: the truth, unless something else is asked for. */
static int read_order(struct scenario *s, const struct json *policy, struct error *err)
{
    struct json at = json_member(policy, "order"), foretold = json_member(policy, "predictor");
    struct replica_config *c = &s->cluster.replica;
    const char *name = "fcfs", *predictor = "oracle";
    if (read_name(&at, &name, err) || read_name(&foretold, &predictor, err))
        return -1;
    c->order = order_policy_find(name);
    if (!c->order)
        return json_complain(&at, "an order (tandem list policies)", err);
    s->cluster.predictor = predictor_find(predictor);
    if (!s->cluster.predictor)
        return json_complain(&foretold, "a predictor: oracle, noisy, bucketed, constant or two_step", err);
    if (param_set_read(&s->order_params, c->order->params, &at, err) ||
        param_set_read(&s->predictor_params, s->cluster.predictor->params, &foretold, err))
        return -1;
    if (predictor_takes_time(&s->predictor_params) && (s->cluster.routing->central || s->cluster.tied > 1))
        return json_complain(
            &foretold, "no server_s with central_queue, pipeline_parallel or redundant_kv: it is a replica's time",
            err);
    c->order_params = &s->order_params;
    s->cluster.predictor_params = &s->predictor_params;
    s->cluster.seed = s->seed;
    if (c->order->arrange && (s->cluster.routing->central || s->cluster.tied > 1))
        return json_complain(
            &at,
            "an order of keys with central_queue, pipeline_parallel or redundant_kv, since this one keeps account of "
            "all that its queue's requests are served",
            err);
    const char *admission = "";
    if (json_read_string(policy, "admission", false, &admission, err))
        return -1;
    bool asks = c->order->key || c->order->arrange || s->cluster.routing->predicts ||
                (s->cluster.decode_routing && s->cluster.decode_routing->predicts);
    if (!asks && !foretold.node && strcmp(admission, "predicted") != 0)
        s->cluster.predictor = NULL; /* nobody asks */
    return 0;
}

/* A parameter of a batching policy, where it has it and it is not 0. */
static double batch_limit(const struct param_set *params, const char *name, double otherwise)
{
    for (const struct param_spec *spec = params->specs; spec->name; spec++)
        if (strcmp(spec->name, name) == 0 && param_number(params, name) > 0)
            return param_number(params, name);
    return otherwise;
}

static int read_batching(const struct json *at, struct replica_config *c, struct param_set *params, struct error *err)
{
    const char *name = "unified_budget";
    if (read_name(at, &name, err))
        return -1;
    bool is_file = strchr(name, '/') || strstr(name, ".so");
    if (!is_file && !batching_policy_find(name))
        return json_complain(at, "a batching policy (tandem list policies), or a path to one compiled", err);
    if (batching_policy_load(name, &c->batching, err) || param_set_read(params, c->batching->params, at, err))
        return -1;
    c->batching_params = params;
    return 0;
}

/* KV tokens that fit on every stage. */
static uint64_t kv_tokens(const struct cost_model *cost, const struct stages *others, double batch_tokens,
                          double sequences)
{
    uint64_t least = cost_model_kv_tokens(cost, batch_tokens, sequences);
    for (size_t i = 0; i < others->count; i++) {
        uint64_t tokens = cost_model_kv_tokens(&others->costs[i], batch_tokens, sequences);
        least = tokens < least ? tokens : least;
    }
    return least;
}

/* Batching and KV of one kind of replicas; `at` is the policy's, or the pool's own where that says. */
static int read_replicas(const struct json *policy, const struct pool *pool, const struct cost_model *cost,
                         const struct stages *stages, size_t tied, struct replica_config *c, struct param_set *params,
                         struct error *err)
{
    struct json own = json_member(&pool->at, "batching"), common = json_member(policy, "batching");
    long long blocks = 0;
    if (read_batching(own.node ? &own : &common, c, params, err) ||
        json_read_integer(policy, "kv_blocks", false, 1, 1000000000000, &blocks, err) ||
        (pool->at.node && json_read_integer(&pool->at, "kv_blocks", false, 1, 1000000000000, &blocks, err)))
        return -1;
    double most_tokens =
        batch_limit(params, "token_budget", batch_limit(params, "max_batched_tokens", cost->model.max_tokens));
    c->kv_blocks = (uint64_t)blocks;
    if (blocks == 0)
        c->kv_blocks =
            kv_tokens(cost, stages, most_tokens, batch_limit(params, "max_sequences", 256)) / c->kv_block_tokens;
    c->max_tokens = cost->model.max_tokens;
    return read_admission(policy, c, err) || read_preemption(policy, cost, tied, c, err) ? -1 : 0;
}

/* Replicas that decode: the others' settings, with batching and KV of their own. */
static int read_decoders(struct scenario *s, const struct json *policy, const struct pool *decode, struct error *err)
{
    struct cluster_config *c = &s->cluster;
    struct json placed = json_member(&s->root, "cluster");
    placed = json_member(&placed, "placement");
    bool ahead = c->decode.schedule_ahead;
    c->decode = c->replica;
    c->decode.schedule_ahead = ahead;
    if (c->decode.order->arrange)
        c->decode.order =
            order_policy_find("fcfs"); /* it orders those who arrive; who is preempted here waits by itself */
    if (read_replicas(policy, decode, &s->decode_cost, &s->decode_stages, c->decode_tied, &c->decode, &s->decode_params,
                      err))
        return -1;
    if (c->replica.prefix_caching || c->replica.batching->holds_finished_kv || c->decode.batching->holds_finished_kv)
        return json_complain(&placed,
                             "\"colocated\" with prefix_caching, or with a batching policy that serves whole batches",
                             err);
    c->decode_max_sequences = (uint32_t)batch_limit(&s->decode_params, "max_sequences", 65536);
    return 0;
}

static int read_policy(struct scenario *s, const struct pool *prefill, const struct pool *decode, struct error *err)
{
    static const char *const keys[] = {"batching",  "order",          "preemption", "admission", "kv_block_tokens",
                                       "kv_blocks", "prefix_caching", "predictor",  NULL};
    struct json policy = json_member(&s->root, "policy");
    struct replica_config *c = &s->cluster.replica;
    long long block_tokens = 16;
    if (policy.node && json_check_keys(&policy, keys, err))
        return -1;
    if (json_read_integer(&policy, "kv_block_tokens", false, 1, 4096, &block_tokens, err) ||
        json_read_bool(&policy, "prefix_caching", &c->prefix_caching, err))
        return -1;
    c->kv_block_tokens = (uint32_t)block_tokens;
    if (read_order(s, &policy, err) ||
        read_replicas(&policy, prefill, &s->cost, &s->stages, s->cluster.tied, c, &s->batching_params, err))
        return -1;
    struct json batching = json_member(&policy, "batching");
    if (s->cluster.tied > 1 && c->batching->holds_finished_kv)
        return json_complain(&batching, "a policy that serves no whole batches with pipeline_parallel or redundant_kv",
                             err);
    if (s->cluster.tied > 1)
        s->cluster.decode_max_sequences = (uint32_t)batch_limit(&s->batching_params, "max_sequences", 65536);
    return s->cluster.prefill_replicas ? read_decoders(s, &policy, decode, err) : 0;
}

static int read_limit(struct slo *slo, const struct json *metric, const cJSON *node, struct error *err)
{
    static const struct {
        const char *name;
        double quantile;
    } statistics[] = {{"mean", -1},  {"p50", 0.5},     {"p90", 0.9}, {"p95", 0.95},
                      {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1}};
    struct json at = json_member(metric, node->string);
    for (size_t i = 0; i < sizeof statistics / sizeof *statistics; i++) {
        if (strcmp(statistics[i].name, node->string) != 0)
            continue;
        if (slo->count == SLO_LIMITS_MAX)
            return json_complain(&at, "no more than 16 limits", err);
        struct slo_limit *limit = &slo->limits[slo->count++];
        limit->quantile = statistics[i].quantile;
        snprintf(limit->metric, sizeof limit->metric, "%s", strrchr(metric->path, '.') + 1);
        snprintf(limit->statistic, sizeof limit->statistic, "%s", node->string);
        return json_read_number(metric, node->string, true, 1e-9, 1e9, &limit->limit_s, err);
    }
    return json_complain(&at, "mean, p50, p90, p95, p99, p99.9 or max as the key", err);
}

static int read_slo(struct scenario *s, struct error *err)
{
    static const char *const keys[] = {"ttft_s", "tpot_s", "itl_s", "e2e_s", "normalized_s", "attainment", NULL};
    struct json slo = json_member(&s->root, "slo");
    if (!slo.node)
        return 0;
    if (json_check_keys(&slo, keys, err) || json_read_number(&slo, "attainment", false, 0, 1, &s->slo.attainment, err))
        return -1;
    for (const char *const *key = keys; strcmp(*key, "attainment") != 0; key++) {
        struct json metric = json_member(&slo, *key);
        if (metric.node && !cJSON_IsObject(metric.node))
            return json_complain(&metric, "an object like {\"p99\": 2.0}", err);
        for (const cJSON *n = metric.node ? metric.node->child : NULL; n; n = n->next)
            if (read_limit(&s->slo, &metric, n, err))
                return -1;
    }
    return 0;
}

/* "requests": false, true, or the share of requests to keep rows of. */
static int read_share(const struct json *output, double *share, struct error *err)
{
    struct json at = json_member(output, "requests");
    if (cJSON_IsBool(at.node))
        *share = cJSON_IsTrue(at.node);
    else if (cJSON_IsNumber(at.node) && at.node->valuedouble >= 0 && at.node->valuedouble <= 1)
        *share = at.node->valuedouble;
    else if (at.node)
        return json_complain(&at, "true, false or a share from 0 to 1", err);
    return 0;
}

static int read_output(struct scenario *s, struct error *err)
{
    static const char *const keys[] = {"requests", "timeseries_s", "warmup", NULL};
    struct json output = json_member(&s->root, "output"), workload = json_member(&s->root, "workload");
    double interval = 0;
    const char *warmup = json_member(&workload, "trace").node ? "none" : "mser5";
    if (output.node && (json_check_keys(&output, keys, err) || read_share(&output, &s->keep_requests, err) ||
                        json_read_number(&output, "timeseries_s", false, 0, 1e9, &interval, err) ||
                        json_read_string(&output, "warmup", false, &warmup, err)))
        return -1;
    s->timeseries = s->cluster.probe_interval = sim_time_from_s(interval);
    struct json at = json_member(&output, "warmup");
    s->warmup = strcmp(warmup, "none") == 0 ? WARMUP_NONE : WARMUP_MSER5;
    return s->warmup == WARMUP_NONE || strcmp(warmup, "mser5") == 0 ? 0
                                                                    : json_complain(&at, "\"mser5\" or \"none\"", err);
}

static int read_scenario(struct scenario *s, struct error *err)
{
    static const char *const keys[] = {"name",    "about",  "seed", "model",  "device",     "engine", "workload",
                                       "cluster", "policy", "slo",  "output", "techniques", NULL};
    long long seed = 1;
    const char *name = "unnamed", *about = NULL; /* the second one is for people */
    if (json_check_keys(&s->root, keys, err) || json_read_string(&s->root, "name", false, &name, err) ||
        json_read_string(&s->root, "about", false, &about, err) ||
        json_read_integer(&s->root, "seed", false, 0, 9007199254740992, &seed, err))
        return -1;
    s->seed = (uint64_t)seed;
    snprintf(s->name, sizeof s->name, "%s", name);
    struct json workload = json_member(&s->root, "workload");
    if (!cJSON_IsObject(workload.node))
        return json_complain(&workload, "an object with \"trace\", or with \"arrivals\" and \"lengths\"", err);
    struct pool prefill = {0}, decode = {0};
    return read_cluster(s, &prefill, &decode, err) || read_policy(s, &prefill, &decode, err) || read_slo(s, err) ||
                   read_output(s, err)
               ? -1
               : 0;
}

int scenario_compile(struct scenario *out, struct json root, struct error *err)
{
    *out = (struct scenario){.root = root};
    if (read_scenario(out, err) == 0)
        return 0;
    scenario_release(out);
    return -1;
}

static void stages_release(struct stages *s)
{
    for (size_t i = 0; i < s->count; i++)
        cost_model_release(&s->costs[i]);
    free(s->costs);
    free(s->executors);
    *s = (struct stages){0};
}

void scenario_release(struct scenario *s)
{
    cost_model_release(&s->cost);
    cost_model_release(&s->decode_cost);
    stages_release(&s->stages);
    stages_release(&s->decode_stages);
    cJSON_Delete((cJSON *)(uintptr_t)s->root.node);
    s->root.node = NULL;
}

int scenario_open_workload(const struct scenario *s, struct request_source *out, struct error *err)
{
    struct json workload = json_member(&s->root, "workload");
    return workload_create(&workload, s->seed, out, err);
}
