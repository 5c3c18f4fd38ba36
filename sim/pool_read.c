/* SPDX-License-Identifier: MIT */
#include "sim/pool_read.h"

#include <stdlib.h>

#include "policies/registry.h"
#include "sim/choices.h"
#include "sim/fleets_read.h"
#include "sim/names.h"
#include "sim/pool_kinds.h"
#include "sim/pools_read.h"
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
    bool layerwise, only_lacking;
    int discipline, first_token;
    long long local_below;
    double failing_share;
};

const struct field wire_fields[] = {
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

const struct field apart_wire_fields[] = {
    FIELDS_OF(wire_fields),
    {.is = {"only_lacking", PARAM_BOOL, "", 0, 0, 0,
            "with prefix_caching: replicas that decode keep prefixes, too, and are sent only what they lack", NULL,
            NULL},
     .into = FIELD_INTO(struct wire_said, only_lacking)},
    {.is = {.name = "first_token", .preset_text = "prefill", .help = "where the first token comes from"},
     .kind = FIELD_CHOICE,
     .choices = first_tokens,
     .into = FIELD_INTO(struct wire_said, first_token)},
    {.is = {"local_below_tokens", PARAM_INTEGER, "tokens", 0, 0, UINT32_MAX,
            "a prompt of which the replica that is to decode it lacks fewer tokens is computed there", NULL, NULL},
     .into = FIELD_INTO(struct wire_said, local_below)},
    {.is = {"failing_share", PARAM_NUMBER, "", 0, 0, 1,
            "share of transfers that fail at their end: the replica that decodes computes the prompt itself", NULL,
            NULL},
     .into = FIELD_INTO(struct wire_said, failing_share)},
    {.is.name = NULL}};

const struct field shape_fields[] = {
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
     .choices = replica_kind,
     .of_all_forms = pool_kinds},
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

struct mixed_said {
    long long prefill_above, decode_above;
};

/* Splitwise's thresholds. */
const struct field mixed_fields[] = {
    {.is = {"prefill_above_tokens", PARAM_INTEGER, "tokens", 8192, 0, 1e12,
            "a prompt goes to a replica that decodes where more prompt tokens than that are before it", NULL, NULL},
     .into = FIELD_INTO(struct mixed_said, prefill_above)},
    {.is = {"decode_above_tokens", PARAM_INTEGER, "tokens", 100000, 0, 1e12,
            "a request decodes where it was prefilled when every replica that decodes has more outstanding tokens",
            NULL, NULL},
     .into = FIELD_INTO(struct mixed_said, decode_above)},
    {.is.name = NULL}};

#define OWN_LINKS                                                                                                      \
    {.is = {.name = "tensor", .help = "between the GPUs of a stage"},                                                  \
     .kind = FIELD_OBJECT,                                                                                             \
     .members = link_fields,                                                                                           \
     .title = "link"},                                                                                                 \
    {                                                                                                                  \
        .is = {.name = "stage", .help = "between the stages of a pipeline"}, .kind = FIELD_OBJECT,                     \
        .members = link_fields, .title = "link"                                                                        \
    }

const struct field own_links_fields[] = {OWN_LINKS, {.is.name = NULL}};

const struct field links_fields[] = {
    OWN_LINKS,
    {.is = {.name = "kv", .help = "from pools that prefill to pools that decode, in a flow of two steps"},
     .kind = FIELD_OBJECT,
     .members = apart_wire_fields,
     .title = "KV_link"},
    {.is.name = NULL}};

/* What both forms of a cluster say. */
const struct field cluster_fields[] = {{.is = {.name = "link", .help = "the same as links.tensor"},
                                        .kind = FIELD_OBJECT,
                                        .members = link_fields,
                                        .title = "link"},
                                       FIELDS_OF(fleet_fields),
                                       FIELDS_OF(tiers_fields),
                                       {.is.name = NULL}};

/* Who chooses among the stations of a step: as `at` says, or by the policy `name`. */
int router_read(struct scenario *s, size_t step, const struct json *at, const char *name, struct error *err)
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
int wire_read(const struct json *at, const struct field *table, struct kv_wire *wire, bool *layerwise,
              struct error *err)
{
    struct wire_said said = {.layerwise = *layerwise};
    if (fields_read(at, table, &said, err))
        return -1;
    *layerwise = said.layerwise;
    wire->link =
        (struct link_config){said.bytes_per_s, (sim_time)said.latency_ns, (enum link_discipline)said.discipline};
    wire->only_lacking = said.only_lacking;
    wire->first_token_later = said.first_token;
    wire->local_below = (uint32_t)said.local_below;
    wire->failing_share = said.failing_share;
    return 0;
}

int wire_check(const struct scenario *s, const struct json *at, struct error *err)
{
    const struct cluster_config *c = &s->cluster;
    struct json first = json_member(at, "first_token"), below = json_member(at, "local_below_tokens");
    if (c->wire.first_token_later && c->mixed.asked)
        return json_complain(&first, "\"prefill\" in a mixed pool", err);
    return c->wire.local_below > 0 && c->routers[0].policy->central
               ? json_complain(&below, "0 with central_queue, whose requests wait before they are sent anywhere", err)
               : 0;
}

int mixed_pool_read(const struct json *at, const struct field *table, struct mixed_pool *m, struct error *err)
{
    struct mixed_said said = {0};
    if (fields_read(at, table, &said, err))
        return -1;
    *m = (struct mixed_pool){true, (uint64_t)said.prefill_above, (uint64_t)said.decode_above};
    return 0;
}

/* Makes room for so many pools, each as `usual` until it says otherwise. */
int pools_make(struct scenario *s, size_t count, const struct pool *usual, struct error *err)
{
    s->pools = calloc(count, sizeof *s->pools);
    if (!s->pools)
        return error_no_memory(err);
    s->cluster.pool_count = count;
    for (size_t i = 0; i < count; i++)
        s->pools[i] = *usual;
    return 0;
}

struct shape_said pool_shape_of(const struct pool *p)
{
    return (struct shape_said){p->replicas,      p->parallel.tensor, p->parallel.stages,
                               p->parallel.data, p->parallel.expert, p->parallel.expert_imbalance};
}

int pool_shape_set(struct pool *p, const struct shape_said *said, const struct json *at, struct error *err)
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
int pool_read(const struct json *at, struct pool *p, struct error *err)
{
    struct pool_said said = {.shape = pool_shape_of(p), .model = p->model, .device = p->device};
    p->at = *at;
    if (fields_read(at, pool_fields, &said, err) || (at->node && pool_shape_set(p, &said.shape, at, err)))
        return -1;
    p->model = said.model;
    p->device = said.device;
    p->kv_blocks = said.kv_blocks;
    if (at->node && json_member(at, "engine").node)
        p->engine_at = json_member(at, "engine");
    return 0;
}

static int read_link(const struct json *at, double *bytes_per_s, double *latency_ns, struct error *err)
{
    struct link_said said = {*bytes_per_s, *latency_ns};
    if (fields_read(at, link_fields, &said, err))
        return -1;
    *bytes_per_s = said.bytes_per_s;
    *latency_ns = said.latency_ns;
    return 0;
}

/* Links of a replica's own: between the GPUs of a stage, which may stand in "link", too, and between stages. */
int links_read(const struct json *cluster, bool named, struct pool *usual, struct error *err)
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
