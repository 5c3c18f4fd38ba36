/* SPDX-License-Identifier: MIT */
#include "sim/pools.h"

#include <stdlib.h>
#include <string.h>

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
static int read_wire(const struct json *at, struct link_config *link, bool *layerwise, struct error *err)
{
    static const char *const keys[] = {"bytes_per_s", "latency_ns", "layerwise", "discipline", NULL};
    const char *discipline = "shared";
    double latency_ns = 10000;
    link->bytes_per_s = 50e9;
    if (at->node && (json_check_keys(at, keys, err) ||
                     json_read_number(at, "bytes_per_s", false, 1, 1e15, &link->bytes_per_s, err) ||
                     json_read_number(at, "latency_ns", false, 0, 1e12, &latency_ns, err) ||
                     json_read_bool(at, "layerwise", layerwise, err) ||
                     json_read_string(at, "discipline", false, &discipline, err)))
        return -1;
    struct json named = json_member(at, "discipline");
    link->latency = (sim_time)latency_ns;
    link->discipline = strcmp(discipline, "fifo") == 0 ? LINK_FIFO : LINK_SHARED;
    return link->discipline == LINK_SHARED && strcmp(discipline, "shared") != 0
               ? json_complain(&named, "\"shared\" or \"fifo\"", err)
               : 0;
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
    struct json discipline = json_member(&wire, "discipline");
    *layerwise = true;
    if (discipline.node)
        return json_complain(&discipline, "no discipline with redundant_kv: each way carries one copy after another",
                             err);
    if ((cJSON_IsObject(at->node) && json_check_keys(at, keys, err)) ||
        read_wire(&wire, &s->cluster.wire.link, layerwise, err))
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
        read_wire(&wire, &c->wire.link, layerwise, err) || (kind == 2 && read_mixed(at, c, err)) ||
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

/* Bytes of KV a token and group of layers on the GPU of a pool that has most of them. */
static double most_kv_bytes(const struct cost_model *first, const struct stages *others)
{
    double most = first->work.kv_bytes_per_token;
    for (size_t i = 0; i < others->count; i++)
        if (others->costs[i].work.kv_bytes_per_token > most)
            most = others->costs[i].work.kv_bytes_per_token;
    return most;
}

/* What a transfer carries, of layers that keep every token and of those that keep a window. */
static void set_wire_bytes(struct kv_wire *wire, double group_bytes, const struct work *work)
{
    wire->bytes_per_token = group_bytes * work->kv_layers[ATTENTION_FULL];
    wire->window_bytes = group_bytes * work->kv_layers[ATTENTION_WINDOW];
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
    set_wire_bytes(&c->wire, one > other ? one : other, &s->cost.work); /* the GPU that has most to send or receive */
}

int pools_read(struct scenario *s, struct pool *prefill, struct pool *decode, struct error *err)
{
    static const char *const keys[] = {"replicas",  "tensor_parallel", "data_parallel",     "expert_parallel",
                                       "placement", "routing",         "pipeline_parallel", "expert_imbalance",
                                       "link",      "failures",        "autoscaling",       "admission",
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
    if (fleet_read(&s->cluster.fleet, &at, s->cluster.replicas, err))
        return -1;
    if (s->cluster.fleet.asked && (placement != COLOCATED || dp > 1 || pp > 1))
        return json_complain(&at,
                             "no failures, autoscaling or admission with placements other than \"colocated\", "
                             "data_parallel or pipeline_parallel",
                             err);
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
        set_wire_bytes(&s->cluster.wire, s->cost.work.kv_bytes_per_token, &s->cost.work);
    s->cluster.wire.layers = layerwise ? s->cost.model.layers : 0;
    return 0;
}

void stages_release(struct stages *s)
{
    for (size_t i = 0; i < s->count; i++)
        cost_model_release(&s->costs[i]);
    free(s->costs);
    free(s->executors);
    *s = (struct stages){0};
}
