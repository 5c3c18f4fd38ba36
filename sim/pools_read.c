/* SPDX-License-Identifier: MIT */
#include "sim/pools_read.h"

#include <stdlib.h>
#include <string.h>

#include "policies/registry.h"
#include "sim/choices.h"

static int read_link(const struct json *at, double *bytes_per_s, double *latency_ns, struct error *err)
{
    static const char *const keys[] = {"bytes_per_s", "latency_ns", NULL};
    return at->node && (json_check_keys(at, keys, err) ||
                        json_read_number(at, "bytes_per_s", false, 1, 1e15, bytes_per_s, err) ||
                        json_read_number(at, "latency_ns", false, 0, 1e12, latency_ns, err))
               ? -1
               : 0;
}

/* Who chooses among the stations of a step: as `at` says, or by the policy `name`. */
static int read_router(struct scenario *s, size_t step, const struct json *at, const char *name, struct error *err)
{
    struct router_config *router = &s->cluster.routers[step];
    const char *key = json_member(at, "policy").node ? "policy" : "name";
    if (cJSON_IsString(at->node))
        name = at->node->valuestring;
    else if (at->node && json_read_string(at, key, true, &name, err))
        return -1;
    router->policy = routing_policy_find(name);
    router->params = &s->routing_params[step];
    if (!router->policy)
        return policy_complain(at, AXIS_ROUTING, name, err);
    if (step > 0 && router->policy->central)
        return json_complain(at, "a routing policy other than central_queue", err);
    return param_set_read(&s->routing_params[step], router->policy->params, at, err);
}

/* How KV goes from one pool to the other. */
static int read_wire(const struct json *at, struct link_config *link, bool *layerwise, struct error *err)
{
    static const char *const keys[] = {"bytes_per_s", "latency_ns", "layerwise", "discipline", NULL};
    struct json named = json_member(at, "discipline");
    int discipline = LINK_SHARED;
    double latency_ns = 10000;
    link->bytes_per_s = 50e9;
    if (at->node &&
        (json_check_keys(at, keys, err) ||
         json_read_number(at, "bytes_per_s", false, 1, 1e15, &link->bytes_per_s, err) ||
         json_read_number(at, "latency_ns", false, 0, 1e12, &latency_ns, err) ||
         json_read_bool(at, "layerwise", layerwise, err) || choice_read(&named, link_disciplines, &discipline, err)))
        return -1;
    link->latency = (sim_time)latency_ns;
    link->discipline = (enum link_discipline)discipline;
    return 0;
}

/* Thresholds of a mixed pool: Splitwise's, in tokens. */
static int read_mixed(const struct json *at, struct mixed_pool *m, struct error *err)
{
    long long prefill_above = 8192, decode_above = 100000;
    if (json_read_integer(at, "prefill_above_tokens", false, 0, 1000000000000, &prefill_above, err) ||
        json_read_integer(at, "decode_above_tokens", false, 0, 1000000000000, &decode_above, err))
        return -1;
    *m = (struct mixed_pool){true, (uint64_t)prefill_above, (uint64_t)decode_above};
    return 0;
}

/* Makes room for so many pools, each as `usual` until it says otherwise. */
static int make_pools(struct scenario *s, size_t count, const struct pool *usual, struct error *err)
{
    s->pools = calloc(count, sizeof *s->pools);
    if (!s->pools)
        return error_no_memory(err);
    s->cluster.pool_count = count;
    for (size_t i = 0; i < count; i++)
        s->pools[i] = *usual;
    return 0;
}

/* Members of a cluster, and of a pool, that say how its replicas are made. */
static int read_shape(const struct json *at, struct pool *p, struct error *err)
{
    long long tensor = p->parallel.tensor, stages = p->parallel.stages, data = p->parallel.data,
              expert = p->parallel.expert;
    if (json_read_integer(at, "replicas", false, 1, 100000, &p->replicas, err) ||
        json_read_integer(at, "tensor_parallel", false, 1, 64, &tensor, err) ||
        json_read_integer(at, "pipeline_parallel", false, 1, 64, &stages, err) ||
        json_read_integer(at, "data_parallel", false, 1, 1024, &data, err) ||
        json_read_integer(at, "expert_parallel", false, 1, 1024, &expert, err) ||
        json_read_number(at, "expert_imbalance", false, 1, 1000, &p->parallel.expert_imbalance, err))
        return -1;
    p->parallel.tensor = (uint32_t)tensor;
    p->parallel.stages = (uint32_t)stages;
    p->parallel.data = (uint32_t)data;
    p->parallel.expert = (uint32_t)expert;
    struct json staged = json_member(at, "pipeline_parallel");
    return stages > 1 && data > 1 ? json_complain(&staged, "1 with data_parallel or redundant_kv", err) : 0;
}

/* What a pool does not say is as the cluster says. */
static int read_pool(const struct json *at, struct pool *p, struct error *err)
{
    static const char *const keys[] = {
        "replicas", "tensor_parallel", "pipeline_parallel", "data_parallel", "expert_parallel", "expert_imbalance",
        "device",   "engine",          "batching",          "admission",     "preemption",      "kv_blocks",
        NULL};
    p->at = *at;
    if (at->node && (json_check_keys(at, keys, err) || read_shape(at, p, err) ||
                     json_read_string(at, "device", false, &p->device, err)))
        return -1;
    if (at->node && json_member(at, "engine").node)
        p->engine_at = json_member(at, "engine");
    return 0;
}

/* Replicas of the cluster work in pairs. */
static int read_pairs(struct scenario *s, const struct json *cluster, const struct json *at, bool *layerwise,
                      struct error *err)
{
    static const char *const keys[] = {"name", "link", NULL};
    struct json wire = json_member(at, "link"), counted = json_member(cluster, "replicas"),
                staged = json_member(cluster, "pipeline_parallel"), discipline = json_member(&wire, "discipline"),
                routed = json_member(cluster, "routing");
    const struct pool *p = &s->pools[0];
    *layerwise = true;
    if (discipline.node)
        return json_complain(&discipline, "no discipline with redundant_kv: each way carries one copy after another",
                             err);
    if ((cJSON_IsObject(at->node) && json_check_keys(at, keys, err)) ||
        read_wire(&wire, &s->cluster.wire.link, layerwise, err))
        return -1;
    if (p->parallel.data > 1)
        return json_complain(at, "\"colocated\" where data_parallel is above 1", err);
    if (p->parallel.stages > 1)
        return json_complain(&staged, "1 with data_parallel or redundant_kv", err);
    if (p->replicas % 2 != 0)
        return json_complain(&counted, "an even number of replicas for \"redundant_kv\": they work in pairs", err);
    if (s->cluster.routers[0].policy->central)
        return json_complain(&routed,
                             "a routing policy other than central_queue for \"redundant_kv\" and \"mixed_pool\"", err);
    s->cluster.pools[0].stations = (size_t)p->replicas / 2;
    s->cluster.pools[0].tied = 2;
    return 0;
}

/* Prefill and decode apart: {"name": …, "prefill": …, "decode": …, "link": …}. */
static int read_apart(struct scenario *s, const struct json *cluster, const struct json *at, const char *decode_routing,
                      bool mixed, bool *layerwise, struct error *err)
{
    static const char *const keys[] = {"name", "prefill", "decode", "link", "decode_routing", NULL};
    static const char *const mixed_keys[] = {
        "name", "prefill", "decode", "link", "prefill_above_tokens", "decode_routing", "decode_above_tokens", NULL};
    struct cluster_config *c = &s->cluster;
    struct json first = json_member(at, "prefill"), second = json_member(at, "decode"), wire = json_member(at, "link"),
                second_routed = json_member(at, "decode_routing"), routed = json_member(cluster, "routing");
    if (cJSON_IsObject(at->node) && json_check_keys(at, mixed ? mixed_keys : keys, err))
        return -1;
    c->step_count = 2;
    c->pools[0].name = "prefill";
    c->pools[1].name = "decode";
    c->routers[1].pools = 1;
    if (read_pool(&first, &s->pools[0], err) || read_pool(&second, &s->pools[1], err) ||
        read_wire(&wire, &c->wire.link, layerwise, err) || (mixed && read_mixed(at, &c->mixed, err)) ||
        read_router(s, 1, &second_routed, decode_routing, err))
        return -1;
    return mixed && c->routers[0].policy->central
               ? json_complain(&routed,
                               "a routing policy other than central_queue for \"redundant_kv\" and \"mixed_pool\"", err)
               : 0;
}

/* "colocated", or prefill and decode apart, or pairs; `usual` is what the cluster says of all replicas. */
static int read_placement(struct scenario *s, const struct json *cluster, const struct pool *usual, bool *layerwise,
                          struct error *err)
{
    struct json at = json_member(cluster, "placement");
    int placement = COLOCATED;
    if (choice_read(&at, placements, &placement, err))
        return -1;
    bool apart = placement == DISAGGREGATED || placement == TWO_LEVEL || placement == MIXED_POOL;
    if (make_pools(s, apart ? 2 : 1, usual, err))
        return -1;
    s->cluster.step_count = 1;
    s->cluster.routers[0].pools = 1;
    s->cluster.pools[0].name = "serve";
    return placement == REDUNDANT_KV ? read_pairs(s, cluster, &at, layerwise, err)
           : apart ? read_apart(s, cluster, &at, placement == TWO_LEVEL ? "predicted_kv" : "least_outstanding_tokens",
                                placement == MIXED_POOL, layerwise, err)
                   : 0;
}

/* Where a pool of this name is, or the number of pools. */
static size_t find_pool(const struct scenario *s, const cJSON *name)
{
    size_t i = 0;
    while (i < s->cluster.pool_count && strcmp(s->cluster.pools[i].name, name->valuestring) != 0)
        i++;
    return i;
}

/* Exchanges two pools. */
static void swap_pools(struct scenario *s, size_t a, size_t b)
{
    struct pool pool = s->pools[a];
    struct pool_config config = s->cluster.pools[a];
    s->pools[a] = s->pools[b];
    s->cluster.pools[a] = s->cluster.pools[b];
    s->pools[b] = pool;
    s->cluster.pools[b] = config;
}

/* A step of the flow: a pool's name, or several. Puts its pools after the `placed` ones that earlier steps have. */
static int read_step(struct scenario *s, size_t step, const struct json *at, size_t *placed, struct error *err)
{
    struct cluster_config *c = &s->cluster;
    bool several = cJSON_IsArray(at->node);
    int count = several ? cJSON_GetArraySize(at->node) : 1;
    for (int i = 0; i < count; i++) {
        struct json one = several ? json_element(at, i) : *at;
        size_t found = cJSON_IsString(one.node) ? find_pool(s, one.node) : c->pool_count;
        if (found == c->pool_count || found < *placed)
            return json_complain(&one, "the name of a pool that stands nowhere else in the flow", err);
        swap_pools(s, *placed, found);
        ++*placed;
        c->routers[step].pools++;
    }
    return count > 0 ? 0 : json_complain(at, "the name of a pool, or a list of such names", err);
}

/* The pools in order of the flow: one step, in which requests are served, or one that prefills and one that decodes.
 * Without a flow all pools are one step. */
static int read_flow(struct scenario *s, const struct json *cluster, struct error *err)
{
    struct cluster_config *c = &s->cluster;
    struct json flow = json_member(cluster, "flow");
    int steps = cJSON_GetArraySize(flow.node);
    size_t placed = 0;
    c->step_count = 1;
    if (!flow.node) {
        c->routers[0].pools = c->pool_count;
        return 0;
    }
    if (!cJSON_IsArray(flow.node) || steps < 1 || steps > MOST_STEPS)
        return json_complain(&flow, "a list of one step, or of two: pools that prefill, and pools that decode", err);
    c->step_count = (size_t)steps;
    for (int i = 0; i < steps; i++) {
        struct json at = json_element(&flow, i);
        if (read_step(s, (size_t)i, &at, &placed, err))
            return -1;
    }
    return placed == c->pool_count ? 0 : json_complain(&flow, "every pool of the cluster in it", err);
}

/* One router's policy, or a list of one for each step. */
static int read_routers(struct scenario *s, const struct json *cluster, struct error *err)
{
    static const char *const otherwise[] = {"round_robin", "least_outstanding_tokens"};
    struct cluster_config *c = &s->cluster;
    struct json routed = json_member(cluster, "routing");
    bool listed = cJSON_IsArray(routed.node);
    if (listed && (size_t)cJSON_GetArraySize(routed.node) != c->step_count)
        return json_complain(&routed, "a routing policy for each step of the flow", err);
    for (size_t i = 0; i < c->step_count; i++) {
        struct json at = listed ? json_element(&routed, (int)i) : i == 0 ? routed : (struct json){0};
        if (read_router(s, i, &at, otherwise[i], err))
            return -1;
    }
    const struct router_config *first = &c->routers[0];
    return first->policy->central && first->pools > 1
               ? json_complain(&routed, "a routing policy other than central_queue where a step has several pools", err)
               : 0;
}

/* {"pools": {NAME: {…}, …}, "flow": [STEP, …], "routing": …, "links": {"kv": …}, "mixed_pool": {…}} */
static int read_named_pools(struct scenario *s, const struct json *cluster, struct pool *usual, bool *layerwise,
                            struct error *err)
{
    static const char *const keys[] = {"pools",      "flow",     "routing",     "link",      "links",
                                       "mixed_pool", "failures", "autoscaling", "admission", NULL};
    static const char *const mixed_keys[] = {"prefill_above_tokens", "decode_above_tokens", NULL};
    struct cluster_config *c = &s->cluster;
    struct json pools = json_member(cluster, "pools"), mixed = json_member(cluster, "mixed_pool"),
                links = json_member(cluster, "links"), routed = json_member(cluster, "routing"),
                wire = json_member(&links, "kv");
    int count = cJSON_GetArraySize(pools.node);
    if (!cJSON_IsObject(pools.node) || count < 1 || count > MOST_POOLS)
        return json_complain(&pools, "an object of at most 16 pools by name", err);
    if (json_check_keys(cluster, keys, err) || make_pools(s, (size_t)count, usual, err))
        return -1;
    size_t i = 0;
    for (const cJSON *n = pools.node->child; n; n = n->next, i++) {
        struct json at = json_member(&pools, n->string);
        c->pools[i].name = n->string;
        if (n->string[0] == 0 || strlen(n->string) > 60 || strchr(n->string, '.'))
            return json_complain(&at, "a name of 1 to 60 bytes without a dot", err);
        if (read_pool(&at, &s->pools[i], err))
            return -1;
        if (!s->pools[i].device)
            return json_complain(&at, "a \"device\", here or for the scenario", err);
    }
    if (read_flow(s, cluster, err) || read_routers(s, cluster, err))
        return -1;
    if (c->step_count == 1 && (wire.node || mixed.node))
        return json_complain(wire.node ? &wire : &mixed, "a flow of two steps with it", err);
    if (mixed.node && (json_check_keys(&mixed, mixed_keys, err) || read_mixed(&mixed, &c->mixed, err)))
        return -1;
    if (mixed.node && c->routers[0].policy->central)
        return json_complain(&routed, "a routing policy other than central_queue with mixed_pool", err);
    return c->step_count > 1 ? read_wire(&wire, &c->wire.link, layerwise, err) : 0;
}

/* How many stations a pool's replicas are: each rank is one, and so are the two of a pair, and the stages of a pipeline
 * together. */
static void count_stations(const struct pool *p, struct pool_config *out)
{
    out->ranks = p->parallel.data;
    if (out->stations > 0)
        return;
    out->stations = (size_t)p->replicas * p->parallel.data;
    out->tied = p->parallel.stages;
}

/* Links of a replica's own: between the GPUs of a stage, which may stand in "link", too, and between stages. */
static int read_links(const struct json *cluster, struct pool *usual, struct error *err)
{
    static const char *const keys[] = {"tensor", "stage", "kv", NULL};
    struct json links = json_member(cluster, "links"), link = json_member(cluster, "link"),
                tensor = json_member(&links, "tensor"), stage = json_member(&links, "stage");
    if (links.node && json_check_keys(&links, keys, err))
        return -1;
    if (link.node && tensor.node)
        return json_complain(&tensor, "nothing here where cluster.link says the same", err);
    return read_link(link.node ? &link : &tensor, &usual->parallel.link_bytes_per_s, &usual->parallel.link_latency_ns,
                     err) ||
                   read_link(&stage, &usual->stage_bytes_per_s, &usual->stage_latency_ns, err)
               ? -1
               : 0;
}

/* Replicas that come and go are stations by themselves. */
static int read_fleet(struct scenario *s, const struct json *cluster, struct error *err)
{
    struct cluster_config *c = &s->cluster;
    bool apart = c->step_count > 1;
    for (size_t i = 0; i < c->pool_count; i++)
        apart |= c->pools[i].tied > 1 || c->pools[i].ranks > 1;
    if (fleet_read(&c->fleet, cluster, cluster_stations(c), err))
        return -1;
    return c->fleet.asked && apart
               ? json_complain(cluster,
                               "no failures, autoscaling or admission with placements other than \"colocated\", "
                               "data_parallel or pipeline_parallel",
                               err)
               : 0;
}

/* {"replicas": …, "tensor_parallel": …, "placement": …, "routing": …}: a pool that serves, or one that prefills and one
 * that decodes. */
static int read_short_form(struct scenario *s, const struct json *at, struct pool *usual, bool *layerwise,
                           struct error *err)
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
                                       "links",
                                       "failures",
                                       "autoscaling",
                                       "admission",
                                       NULL};
    struct json routed = json_member(at, "routing"), links = json_member(at, "links"), kv = json_member(&links, "kv");
    if (kv.node)
        return json_complain(&kv, "nothing here: a placement has its own \"link\"", err);
    return (at->node && (json_check_keys(at, keys, err) || read_shape(at, usual, err))) ||
                   read_router(s, 0, &routed, "round_robin", err) || read_placement(s, at, usual, layerwise, err)
               ? -1
               : 0;
}

int pools_read_cluster(struct scenario *s, bool *layerwise, struct error *err)
{
    struct json at = json_member(&s->root, "cluster");
    const char *model = NULL;
    struct pool usual = {.replicas = 1,
                         .parallel = tensor_parallel(1),
                         .engine_at = json_member(&s->root, "engine"),
                         .stage_bytes_per_s = -1,
                         .stage_latency_ns = -1};
    bool named = json_member(&at, "pools").node;
    if (json_read_string(&s->root, "model", true, &model, err) ||
        json_read_string(&s->root, "device", !named, &usual.device, err) || read_links(&at, &usual, err) ||
        (named ? read_named_pools : read_short_form)(s, &at, &usual, layerwise, err))
        return -1;
    for (size_t i = 0; i < s->cluster.pool_count; i++)
        count_stations(&s->pools[i], &s->cluster.pools[i]);
    return read_fleet(s, &at, err);
}
