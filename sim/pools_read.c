/* SPDX-License-Identifier: MIT */
#include "sim/pools_read.h"

#include <string.h>

#include "sim/choices.h"
#include "sim/delay_read.h"
#include "sim/fleets_read.h"
#include "sim/names.h"
#include "sim/placement_read.h"
#include "sim/pool_kinds.h"
#include "sim/pool_read.h"

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
            return json_complain(&one, "the name of a pool in cluster.pools that stands nowhere else in the flow", err);
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
        if (router_read(s, i, &at, otherwise[i], err))
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
        if (pool_read(&at, &s->pools[i], err))
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
        pools_make(s, (size_t)count, usual, err) || read_pools(s, &pools, err))
        return -1;
    if (read_flow(s, cluster, err) || read_routers(s, cluster, err))
        return -1;
    if (c->step_count == 1 && (wire.node || mixed.node))
        return json_complain(wire.node ? &wire : &mixed, "a flow of two steps with it", err);
    if (mixed.node && mixed_pool_read(&mixed, mixed_fields, &c->mixed, err))
        return -1;
    if (mixed.node && c->routers[0].policy->central)
        return json_complain(&routed, "a routing policy other than central_queue with mixed_pool", err);
    if (c->step_count == 1)
        return 0;
    return wire_read(&wire, apart_wire_fields, &c->wire, layerwise, err) || wire_check(s, &wire, err) ? -1 : 0;
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
        json_read_string(&s->root, "device", !named, &usual.device, err) || links_read(&at, named, &usual, err) ||
        (named ? read_named_pools : placement_read)(s, &at, &usual, layerwise, err))
        return -1;
    for (size_t i = 0; i < s->cluster.pool_count; i++)
        count_stations(&s->pools[i], &s->cluster.pools[i]);
    return fleets_read(s, &at, err);
}
