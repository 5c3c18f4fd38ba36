/* SPDX-License-Identifier: MIT */
/* The short form of a cluster: replicas that are alike, and where they prefill and decode. */
#include "sim/placement_read.h"

#include "sim/choices.h"
#include "sim/names.h"
#include "sim/pool_read.h"
#include "sim/pools_read.h"

/* A member of a cluster or a placement that is a pool. */
#define POOL(NAME, HELP)                                                                                               \
    {                                                                                                                  \
        .is = {.name = NAME, .help = HELP}, .kind = FIELD_OBJECT, .otherwise = "as the cluster says",                  \
        .members = pool_fields, .title = "pool"                                                                        \
    }

static const struct field colocated_fields[] = {FIELD_ITS_NAME, {.is.name = NULL}};

static const struct field pairs_fields[] = {
    FIELD_ITS_NAME,
    {.is = {.name = "link", .help = "between the two of a pair; bytes_per_s, latency_ns and layerwise"},
     .kind = FIELD_OBJECT,
     .members = apart_wire_fields,
     .title = "KV_link"},
    {.is.name = NULL}};

static const struct field apart_fields[] = {
    FIELD_ITS_NAME,
    POOL("prefill", "replicas that prefill"),
    POOL("decode", "replicas that decode"),
    {.is = {.name = "link", .help = "from replicas that prefill to replicas that decode"},
     .kind = FIELD_OBJECT,
     .members = apart_wire_fields,
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

const struct field short_fields[] = {
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
    static const char *const apart_only[] = {"only_lacking", "first_token", "local_below_tokens", "failing_share"};
    for (size_t i = 0; i < sizeof apart_only / sizeof *apart_only; i++) {
        struct json said = json_member(&wire, apart_only[i]);
        if (said.node)
            return json_complain(&said, "nothing here with redundant_kv, whose pairs prefill and decode both", err);
    }
    if (wire_read(&wire, apart_wire_fields, &s->cluster.wire, layerwise, err))
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
    if (pool_read(&first, &s->pools[0], err) || pool_read(&second, &s->pools[1], err) ||
        wire_read(&wire, apart_wire_fields, &c->wire, layerwise, err) ||
        (mixed && mixed_pool_read(&thresholds, mixed_pool_fields, &c->mixed, err)) ||
        router_read(s, 1, &second_routed, decode_routing, err) || wire_check(s, &wire, err))
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
    if (pools_make(s, apart ? 2 : 1, usual, err))
        return -1;
    s->cluster.step_count = 1;
    s->cluster.routers[0].pools = 1;
    s->cluster.pools[0].name = "serve";
    return placement == REDUNDANT_KV ? read_pairs(s, cluster, &at, layerwise, err)
           : apart ? read_apart(s, cluster, &at, placement == TWO_LEVEL ? "predicted_kv" : "least_outstanding_tokens",
                                placement == MIXED_POOL, layerwise, err)
                   : 0;
}

/* {"replicas": …, "tensor_parallel": …, "placement": …, "routing": …}: a pool that serves, or one that prefills and one
 * that decodes. */
int placement_read(struct scenario *s, const struct json *at, struct pool *usual, bool *layerwise, struct error *err)
{
    struct shape_said said = pool_shape_of(usual);
    struct json routed = json_member(at, "routing");
    return fields_read(at, short_fields, &said, err) || pool_shape_set(usual, &said, at, err) ||
                   router_read(s, 0, &routed, "round_robin", err) || read_placement(s, at, usual, layerwise, err)
               ? -1
               : 0;
}
