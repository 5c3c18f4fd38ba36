/* SPDX-License-Identifier: MIT */
#include "sim/pools_read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "policies/registry.h"
#include "sim/choices.h"
#include "sim/delay_read.h"
#include "sim/fleets_read.h"
#include "sim/names.h"
#include "sim/pool_kinds.h"
#include "sim/tiers_read.h"

struct link_said {
    double bytes_per_s, latency_ns;
};

static const struct field link_fields[] = {
    {.is = {"bytes_per_s", PARAM_NUMBER, "bytes/s", 0, 1, 1e15, "bandwidth in each direction", NULL, NULL},
     .otherwise = "the device's",
     .into = FIELD_INTO(struct link_said, bytes_per_s)},
    {.is = {"latency_ns", PARAM_NUMBER, "ns", 0, 0, 1e12, "latency of each message", NULL, NULL},
     .otherwise = "the device's",
     .into = FIELD_INTO(struct link_said, latency_ns)},
    {.is.name = NULL}};

struct wire_said {
    double bytes_per_s, latency_ns;
    bool layerwise;
    int discipline;
};

static const struct field wire_fields[] = {
    {.is = {"bytes_per_s", PARAM_NUMBER, "bytes/s", 50e9, 1, 1e15,
            "bandwidth of each replica's connection, in each direction", NULL, NULL},
     .into = FIELD_INTO(struct wire_said, bytes_per_s)},
    {.is = {"latency_ns", PARAM_NUMBER, "ns", 10000, 0, 1e12, "time from a transfer's last byte sent to its arrival",
            NULL, NULL},
     .into = FIELD_INTO(struct wire_said, latency_ns)},
    {.is = {"layerwise", PARAM_BOOL, "", 0, 0, 0, "KV is sent as soon as a layer is computed", NULL, NULL},
     .otherwise = "false; true with redundant_kv",
     .into = FIELD_INTO(struct wire_said, layerwise)},
    {.is = {.name = "discipline", .preset_text = "shared", .help = "how transfers share a connection"},
     .kind = FIELD_CHOICE,
     .choices = link_disciplines,
     .into = FIELD_INTO(struct wire_said, discipline)},
    {.is.name = NULL}};

/* How a pool's replicas are made. */
struct shape_said {
    long long replicas, tensor, stages, data, expert;
    double imbalance;
};

static const struct field shape_fields[] = {
    {.is = {"replicas", PARAM_INTEGER, "replicas", 1, 1, 100000, "replicas; with autoscaling, the most", NULL, NULL},
     .otherwise = "1; in a placement's pool, the cluster's",
     .into = FIELD_INTO(struct shape_said, replicas)},
    {.is = {"tensor_parallel", PARAM_INTEGER, "GPUs", 1, 1, 64, "GPUs that each layer of a replica is sharded over",
            NULL, NULL},
     .otherwise = "1; in a placement's pool, the cluster's",
     .into = FIELD_INTO(struct shape_said, tensor)},
    {.is = {"pipeline_parallel", PARAM_INTEGER, "stages", 1, 1, 64,
            "stages of a replica, each on tensor_parallel GPUs (docs/policies/pipeline_parallel.md)", NULL, NULL},
     .otherwise = "1; in a placement's pool, the cluster's",
     .into = FIELD_INTO(struct shape_said, stages)},
    {.is = {"data_parallel", PARAM_INTEGER, "ranks", 1, 1, 1024,
            "attention ranks of a replica of a mixture of experts, each with its queue and KV; they step together and "
            "share experts",
            NULL, NULL},
     .otherwise = "1; in a placement's pool, the cluster's",
     .into = FIELD_INTO(struct shape_said, data)},
    {.is = {"expert_parallel", PARAM_INTEGER, "ways", 1, 1, 1024,
            "ways that whole experts are sharded over a replica's GPUs", NULL, NULL},
     .otherwise = "1; in a placement's pool, the cluster's",
     .into = FIELD_INTO(struct shape_said, expert)},
    {.is = {"expert_imbalance", PARAM_NUMBER, "", 1, 1, 1000, "tokens of the busiest GPU's experts over the mean", NULL,
            NULL},
     .otherwise = "1; in a placement's pool, the cluster's",
     .into = FIELD_INTO(struct shape_said, imbalance)},
    {.is.name = NULL}};

struct pool_said {
    struct shape_said shape;
    const char *model, *device;
    long long kv_blocks;
};

const struct field pool_fields[] = {
    {.is = {.name = "kind", .preset_text = "replica", .help = "what it is made of"},
     .kind = FIELD_CHOICE,
     .choices = replica_kind},
    {.is = {"model", PARAM_TEXT, "", 0, 0, 0, "model of its replicas; in a flow of two steps, the same in all pools",
            NULL, NULL},
     .otherwise = "the scenario's",
     .names = model_at,
     .other_names = PATH_TO_JSON,
     .listed = "models",
     .into = FIELD_INTO(struct pool_said, model)},
    {.is = {"device", PARAM_TEXT, "", 0, 0, 0, "device of its replicas", NULL, NULL},
     .otherwise = "the scenario's",
     .names = device_at,
     .other_names = PATH_TO_JSON,
     .listed = "devices",
     .into = FIELD_INTO(struct pool_said, device)},
    ENGINE("the scenario's"),
    FIELDS_OF(shape_fields),
    BATCHING(NULL, "the policy's"),
    FIELDS_OF(pool_fleet_fields),
    FIELDS_OF(pool_tiers_fields),
    PREEMPTION(NULL, "the policy's"),
    {.is = {"kv_blocks", PARAM_INTEGER, "blocks", 0, 1, 1e12, "KV pool of a replica", NULL, NULL},
     .otherwise = "the policy's",
     .into = FIELD_INTO(struct pool_said, kv_blocks)},
    {.is.name = NULL}};

/* A member of a cluster or a placement that is a pool. */
#define POOL(NAME, HELP)                                                                                               \
    {                                                                                                                  \
        .is = {.name = NAME, .help = HELP}, .kind = FIELD_OBJECT, .otherwise = "as the cluster says",                  \
        .members = pool_fields, .title = "pool"                                                                        \
    }

#define ROUTING(NAME, PRESET, OTHERWISE, HELP)                                                                         \
    {                                                                                                                  \
        .is = {.name = NAME, .preset_text = PRESET, .help = HELP}, .kind = FIELD_NAMED, .otherwise = OTHERWISE,        \
        .names = routing_policy_at, .listed = "policies", .name_key = "policy", .title = "routing_policy"              \
    }

struct mixed_said {
    long long prefill_above, decode_above;
};

/* Splitwise's thresholds. */
static const struct field mixed_fields[] = {
    {.is = {"prefill_above_tokens", PARAM_INTEGER, "tokens", 8192, 0, 1e12,
            "a prompt goes to a replica that decodes where more prompt tokens than that are before it", NULL, NULL},
     .into = FIELD_INTO(struct mixed_said, prefill_above)},
    {.is = {"decode_above_tokens", PARAM_INTEGER, "tokens", 100000, 0, 1e12,
            "a request decodes where it was prefilled when every replica that decodes has more outstanding tokens",
            NULL, NULL},
     .into = FIELD_INTO(struct mixed_said, decode_above)},
    {.is.name = NULL}};

static const struct field colocated_fields[] = {FIELD_ITS_NAME, {.is.name = NULL}};

static const struct field pairs_fields[] = {FIELD_ITS_NAME,
                                            {.is = {.name = "link",
                                                    .help = "between the two of a pair; without discipline"},
                                             .kind = FIELD_OBJECT,
                                             .members = wire_fields,
                                             .title = "KV_link"},
                                            {.is.name = NULL}};

static const struct field apart_fields[] = {
    FIELD_ITS_NAME,
    POOL("prefill", "replicas that prefill"),
    POOL("decode", "replicas that decode"),
    {.is = {.name = "link", .help = "from replicas that prefill to replicas that decode"},
     .kind = FIELD_OBJECT,
     .members = wire_fields,
     .title = "KV_link"},
    ROUTING("decode_routing", "least_outstanding_tokens", "least_outstanding_tokens; predicted_kv with two_level",
            "who chooses the replica that decodes"),
    {.is.name = NULL}};

static const struct field mixed_pool_fields[] = {FIELDS_OF(apart_fields), FIELDS_OF(mixed_fields), {.is.name = NULL}};

static const struct field *const placement_fields[] = {[COLOCATED] = colocated_fields,
                                                       [DISAGGREGATED] = apart_fields,
                                                       [TWO_LEVEL] = apart_fields,
                                                       [MIXED_POOL] = mixed_pool_fields,
                                                       [REDUNDANT_KV] = pairs_fields};

static bool placement_at(size_t index, struct named *out)
{
    const struct choice *c = &placements[index];
    if (c->name)
        *out = (struct named){c->name, c->summary, c->source, NULL, placement_fields[c->value]};
    return c->name != NULL;
}

#define OWN_LINKS                                                                                                      \
    {.is = {.name = "tensor", .help = "between the GPUs of a stage"},                                                  \
     .kind = FIELD_OBJECT,                                                                                             \
     .members = link_fields,                                                                                           \
     .title = "link"},                                                                                                 \
    {                                                                                                                  \
        .is = {.name = "stage", .help = "between the stages of a pipeline"}, .kind = FIELD_OBJECT,                     \
        .members = link_fields, .title = "link"                                                                        \
    }

static const struct field own_links_fields[] = {OWN_LINKS, {.is.name = NULL}};

static const struct field links_fields[] = {
    OWN_LINKS,
    {.is = {.name = "kv", .help = "from pools that prefill to pools that decode, in a flow of two steps"},
     .kind = FIELD_OBJECT,
     .members = wire_fields,
     .title = "KV_link"},
    {.is.name = NULL}};

/* What both forms of a cluster say. */
static const struct field cluster_fields[] = {{.is = {.name = "link", .help = "the same as links.tensor"},
                                               .kind = FIELD_OBJECT,
                                               .members = link_fields,
                                               .title = "link"},
                                              FIELDS_OF(fleet_fields),
                                              FIELDS_OF(tiers_fields),
                                              {.is.name = NULL}};

static const struct field short_fields[] = {
    FIELDS_OF(shape_fields),
    {.is = {.name = "placement", .preset_text = "colocated", .help = "where requests prefill and decode"},
     .kind = FIELD_NAMED,
     .names = placement_at,
     .title = "placement"},
    ROUTING("routing", "round_robin", NULL, "who chooses the replica"),
    {.is = {.name = "links", .help = "between the GPUs of a replica"},
     .kind = FIELD_OBJECT,
     .otherwise = "the device's",
     .members = own_links_fields},
    FIELDS_OF(cluster_fields),
    {.is.name = NULL}};

static const struct field named_pool[] = {
    {.is = {.name = "NAME", .help = "a pool"}, .kind = FIELD_FORMS, .required = true, .members = pool_forms},
    {.is.name = NULL}};

static const struct field pool_name[] = {{.is = {"POOL", PARAM_TEXT, "", 0, 0, 0, "the name of a pool", NULL, NULL},
                                          .required = true},
                                         {.is.name = NULL}};

static const struct field step_forms[] = {
    {.is = {"POOL", PARAM_TEXT, "", 0, 0, 0, "the name of a pool", NULL, NULL}},
    {.is = {.name = "POOLS", .min = 1, .max = MOST_POOLS, .help = "names of pools"},
     .kind = FIELD_LIST,
     .members = pool_name},
    {.is = {.name = "CHOICE", .help = "several pools, and what decides which of them"},
     .kind = FIELD_OBJECT,
     .members = flow_choice_fields},
    {.is.name = NULL}};

static const struct field flow_step[] = {{.is = {.name = "STEP", .help = "a pool, several, or a choice of them"},
                                          .kind = FIELD_FORMS,
                                          .members = step_forms},
                                         {.is.name = NULL}};

static const struct field step_routing[] = {ROUTING("ROUTING", NULL, NULL, "of a step"), {.is.name = NULL}};

static const struct field routing_forms[] = {
    ROUTING("ROUTING", NULL, NULL, "of the first step"),
    {.is = {.name = "LIST", .min = 1, .max = MOST_STEPS, .help = "one for each step"},
     .kind = FIELD_LIST,
     .members = step_routing},
    {.is.name = NULL}};

static const struct field pools_form_fields[] = {
    {.is = {.name = "pools", .min = 1, .max = MOST_POOLS, .help = "replicas of several kinds, by name"},
     .kind = FIELD_MAP,
     .otherwise = "replicas are alike",
     .members = named_pool},
    {.is = {.name = "flow",
            .min = 1,
            .max = MOST_DELAYS + MOST_STEPS,
            .help =
                "one step that serves, or two: pools that prefill, and pools that decode; delay stations, each a step, "
                "before these and after them; every pool stands in it once"},
     .kind = FIELD_LIST,
     .otherwise = "all pools in one step",
     .members = flow_step},
    {.is = {.name = "routing", .help = "who chooses among all stations of a step, whatever their pool"},
     .kind = FIELD_FORMS,
     .otherwise = "round_robin, then least_outstanding_tokens",
     .members = routing_forms},
    {.is = {.name = "links", .help = "between GPUs"},
     .kind = FIELD_OBJECT,
     .otherwise = "the device's",
     .members = links_fields},
    {.is = {.name = "mixed_pool", .help = "each step helps the other out (docs/policies/mixed_pool.md)"},
     .kind = FIELD_OBJECT,
     .otherwise = "they do not",
     .members = mixed_fields},
    FIELDS_OF(cluster_fields),
    {.is.name = NULL}};

const struct field cluster_forms[] = {{.is = {.name = "POOLS", .help = "named pools"},
                                       .kind = FIELD_OBJECT,
                                       .when = "pools",
                                       .members = pools_form_fields},
                                      {.is = {.name = "SHORT", .help = "the short form"},
                                       .kind = FIELD_OBJECT,
                                       .members = short_fields},
                                      {.is.name = NULL}};

static int read_link(const struct json *at, double *bytes_per_s, double *latency_ns, struct error *err)
{
    struct link_said said = {*bytes_per_s, *latency_ns};
    if (fields_read(at, link_fields, &said, err))
        return -1;
    *bytes_per_s = said.bytes_per_s;
    *latency_ns = said.latency_ns;
    return 0;
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
    struct wire_said said = {.layerwise = *layerwise};
    if (fields_read(at, wire_fields, &said, err))
        return -1;
    *layerwise = said.layerwise;
    *link = (struct link_config){said.bytes_per_s, (sim_time)said.latency_ns, (enum link_discipline)said.discipline};
    return 0;
}

static int read_mixed(const struct json *at, const struct field *table, struct mixed_pool *m, struct error *err)
{
    struct mixed_said said = {0};
    if (fields_read(at, table, &said, err))
        return -1;
    *m = (struct mixed_pool){true, (uint64_t)said.prefill_above, (uint64_t)said.decode_above};
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

static struct shape_said shape_of(const struct pool *p)
{
    return (struct shape_said){p->replicas,      p->parallel.tensor, p->parallel.stages,
                               p->parallel.data, p->parallel.expert, p->parallel.expert_imbalance};
}

static int set_shape(struct pool *p, const struct shape_said *said, const struct json *at, struct error *err)
{
    struct json staged = json_member(at, "pipeline_parallel");
    p->replicas = said->replicas;
    p->parallel.tensor = (uint32_t)said->tensor;
    p->parallel.stages = (uint32_t)said->stages;
    p->parallel.data = (uint32_t)said->data;
    p->parallel.expert = (uint32_t)said->expert;
    p->parallel.expert_imbalance = said->imbalance;
    return said->stages > 1 && said->data > 1 ? json_complain(&staged, "1 with data_parallel or redundant_kv", err) : 0;
}

/* What a pool does not say is as the cluster says. */
static int read_pool(const struct json *at, struct pool *p, struct error *err)
{
    struct pool_said said = {.shape = shape_of(p), .model = p->model, .device = p->device};
    p->at = *at;
    if (fields_read(at, pool_fields, &said, err) || (at->node && set_shape(p, &said.shape, at, err)))
        return -1;
    p->model = said.model;
    p->device = said.device;
    p->kv_blocks = said.kv_blocks;
    if (at->node && json_member(at, "engine").node)
        p->engine_at = json_member(at, "engine");
    return 0;
}

/* Replicas of the cluster work in pairs. */
static int read_pairs(struct scenario *s, const struct json *cluster, const struct json *at, bool *layerwise,
                      struct error *err)
{
    struct json wire = json_member(at, "link"), counted = json_member(cluster, "replicas"),
                staged = json_member(cluster, "pipeline_parallel"), discipline = json_member(&wire, "discipline"),
                routed = json_member(cluster, "routing");
    const struct pool *p = &s->pools[0];
    *layerwise = true;
    if (discipline.node)
        return json_complain(&discipline, "no discipline with redundant_kv: each way carries one copy after another",
                             err);
    if (read_wire(&wire, &s->cluster.wire.link, layerwise, err))
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
    struct cluster_config *c = &s->cluster;
    struct json first = json_member(at, "prefill"), second = json_member(at, "decode"), wire = json_member(at, "link"),
                second_routed = json_member(at, "decode_routing"), routed = json_member(cluster, "routing"),
                thresholds = cJSON_IsObject(at->node) ? *at : (struct json){0};
    c->step_count = 2;
    c->pools[0].name = "prefill";
    c->pools[1].name = "decode";
    c->routers[1].pools = 1;
    if (read_pool(&first, &s->pools[0], err) || read_pool(&second, &s->pools[1], err) ||
        read_wire(&wire, &c->wire.link, layerwise, err) ||
        (mixed && read_mixed(&thresholds, mixed_pool_fields, &c->mixed, err)) ||
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
    if (choice_read(&at, placements, &placement, err) ||
        (cJSON_IsObject(at.node) && fields_check(&at, placement_fields[placement], err)))
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

/* A step of the flow: a pool's name, or several, or a choice of several. Puts its pools after the `placed` ones that
 * earlier steps have. */
static int read_step(struct scenario *s, size_t step, const struct json *at, size_t *placed, struct error *err)
{
    struct cluster_config *c = &s->cluster;
    struct json pools = cJSON_IsObject(at->node) ? json_member(at, "to") : *at;
    if (cJSON_IsObject(at->node) && flow_choice_read(at, s->seed + step, &c->routers[step].choice, err))
        return -1;
    bool several = cJSON_IsArray(pools.node);
    int count = several ? cJSON_GetArraySize(pools.node) : 1;
    for (int i = 0; i < count; i++) {
        struct json one = several ? json_element(&pools, i) : pools;
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
    int steps = cJSON_GetArraySize(flow.node) - (int)c->delay_count;
    size_t placed = 0;
    c->step_count = 1;
    if (!flow.node && c->delay_count == 0) {
        c->routers[0].pools = c->pool_count;
        return 0;
    }
    if (!flow.node)
        return json_complain(&flow, "a flow that says when pools of a kind other than \"replica\" have their turn",
                             err);
    if (delay_read_flow(c, &flow, err))
        return -1;
    if (!cJSON_IsArray(flow.node) || steps < 1 || steps > MOST_STEPS)
        return json_complain(&flow, "a list of one step, or of two: pools that prefill, and pools that decode", err);
    c->step_count = (size_t)steps;
    for (int i = 0; i < steps; i++) {
        struct json at = json_element(&flow, (int)c->delays_before + i);
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

/* {NAME: {…}, …}: pools of replicas, which there are `replicas` of, and those of other kinds. */
static int read_pools(struct scenario *s, const struct json *pools, struct error *err)
{
    struct cluster_config *c = &s->cluster;
    size_t i = 0;
    for (const cJSON *n = pools->node->child; n; n = n->next) {
        struct json at = json_member(pools, n->string);
        const struct delay_kind *kind = NULL;
        if (n->string[0] == 0 || strlen(n->string) > 60 || strchr(n->string, '.'))
            return json_complain(&at, "a name of 1 to 60 bytes without a dot", err);
        if (delay_kind_read(&at, &kind, err) || (kind && delay_read(c, kind, &s->root, &at, n->string, err)))
            return -1;
        if (kind)
            continue;
        c->pools[i].name = n->string;
        if (read_pool(&at, &s->pools[i], err))
            return -1;
        if (!s->pools[i].device)
            return json_complain(&at, "a \"device\", here or for the scenario", err);
        i++;
    }
    return 0;
}

/* How many of the pools are of replicas; -1 and the error where some are of no kind that there is. */
static int count_pools(const struct json *pools, struct error *err)
{
    int count = 0;
    for (const cJSON *n = pools->node->child; n; n = n->next) {
        struct json at = json_member(pools, n->string);
        const struct delay_kind *kind = NULL;
        if (delay_kind_read(&at, &kind, err))
            return -1;
        count += !kind;
    }
    return count > 0 ? count : json_complain(pools, "a pool of kind \"replica\"", err);
}

/* {"pools": {NAME: {…}, …}, "flow": [STEP, …], "routing": …, "links": {"kv": …}, "mixed_pool": {…}} */
static int read_named_pools(struct scenario *s, const struct json *cluster, struct pool *usual, bool *layerwise,
                            struct error *err)
{
    struct cluster_config *c = &s->cluster;
    struct json pools = json_member(cluster, "pools"), mixed = json_member(cluster, "mixed_pool"),
                links = json_member(cluster, "links"), routed = json_member(cluster, "routing"),
                wire = json_member(&links, "kv");
    int count = cJSON_GetArraySize(pools.node);
    if (!cJSON_IsObject(pools.node) || count < 1 || count > MOST_POOLS)
        return json_complain(&pools, "an object of at most 16 pools by name", err);
    if (fields_check(cluster, pools_form_fields, err) || (count = count_pools(&pools, err)) < 0 ||
        make_pools(s, (size_t)count, usual, err) || read_pools(s, &pools, err))
        return -1;
    if (read_flow(s, cluster, err) || read_routers(s, cluster, err))
        return -1;
    if (c->step_count == 1 && (wire.node || mixed.node))
        return json_complain(wire.node ? &wire : &mixed, "a flow of two steps with it", err);
    if (mixed.node && read_mixed(&mixed, mixed_fields, &c->mixed, err))
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
static int read_links(const struct json *cluster, bool named, struct pool *usual, struct error *err)
{
    struct json links = json_member(cluster, "links"), link = json_member(cluster, "link"),
                tensor = json_member(&links, "tensor"), stage = json_member(&links, "stage"),
                kv = json_member(&links, "kv");
    if (kv.node && !named)
        return json_complain(&kv, "nothing here: a placement has its own \"link\"", err);
    if (links.node && fields_check(&links, named ? links_fields : own_links_fields, err))
        return -1;
    if (link.node && tensor.node)
        return json_complain(&tensor, "nothing here where cluster.link says the same", err);
    return read_link(link.node ? &link : &tensor, &usual->parallel.link_bytes_per_s, &usual->parallel.link_latency_ns,
                     err) ||
                   read_link(&stage, &usual->stage_bytes_per_s, &usual->stage_latency_ns, err)
               ? -1
               : 0;
}

/* {"replicas": …, "tensor_parallel": …, "placement": …, "routing": …}: a pool that serves, or one that prefills and one
 * that decodes. */
static int read_short_form(struct scenario *s, const struct json *at, struct pool *usual, bool *layerwise,
                           struct error *err)
{
    struct shape_said said = shape_of(usual);
    struct json routed = json_member(at, "routing");
    return fields_read(at, short_fields, &said, err) || set_shape(usual, &said, at, err) ||
                   read_router(s, 0, &routed, "round_robin", err) || read_placement(s, at, usual, layerwise, err)
               ? -1
               : 0;
}

int pools_read_cluster(struct scenario *s, bool *layerwise, struct error *err)
{
    struct json at = json_member(&s->root, "cluster");
    struct pool usual = {.replicas = 1,
                         .parallel = tensor_parallel(1),
                         .engine_at = json_member(&s->root, "engine"),
                         .stage_bytes_per_s = -1,
                         .stage_latency_ns = -1};
    bool named = json_member(&at, "pools").node;
    if (json_read_string(&s->root, "model", true, &usual.model, err) ||
        json_read_string(&s->root, "device", !named, &usual.device, err) || read_links(&at, named, &usual, err) ||
        (named ? read_named_pools : read_short_form)(s, &at, &usual, layerwise, err))
        return -1;
    for (size_t i = 0; i < s->cluster.pool_count; i++)
        count_stations(&s->pools[i], &s->cluster.pools[i]);
    return fleets_read(s, &at, err);
}
