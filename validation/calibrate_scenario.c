/* SPDX-License-Identifier: MIT */
/* Where the parameters of a calibration stand in a scenario, and in an engine file. */
#include <stdio.h>
#include <string.h>

#include "validation/calibrate.h"
#include "validation/points.h"

const char *const calibrated_names[CALIBRATED] = {"kernel_factor", "exposed_ns", "exposed_ns_per_sequence",
                                                  "front_end_s"};

static cJSON *member(cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static int set_number(cJSON *object, const char *key, double value, struct error *err)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    return cJSON_AddNumberToObject(object, key, value) ? 0 : error_no_memory(err);
}

/* A preset's name becomes an object that names it. */
static int open_engine(cJSON *root, struct error *err)
{
    cJSON *at = member(root, "engine");
    if (cJSON_IsObject(at))
        return 0;
    cJSON *object = cJSON_CreateObject();
    if (!object || (cJSON_IsString(at) && !cJSON_AddStringToObject(object, "preset", at->valuestring))) {
        cJSON_Delete(object);
        return error_no_memory(err);
    }
    cJSON_DeleteItemFromObjectCaseSensitive(root, "engine");
    cJSON_AddItemToObject(root, "engine", object);
    return 0;
}

static int complain(const char *path, const char *sentence, struct error *err)
{
    return error_set(err, ERROR_INPUT, "the scenario to calibrate: %s: %s", path, sentence);
}

static int check_pools(cJSON *cluster, struct error *err)
{
    for (cJSON *pool = cluster ? member(cluster, "pools") : NULL, *at = pool ? pool->child : NULL; at; at = at->next)
        if (member(at, "engine"))
            return complain("cluster.pools", "expected the engine at the top, found a pool with its own", err);
    return 0;
}

/* The keys that say what the replicas of a cluster without pools are. */
static int name_pool(cJSON *cluster, struct error *err)
{
    static const char *const keys[] = {
        "replicas", "tensor_parallel", "pipeline_parallel", "data_parallel", "expert_parallel", "expert_imbalance",
        NULL};
    cJSON *pools = cJSON_AddObjectToObject(cluster, "pools"), *serve = cJSON_AddObjectToObject(pools, "serve");
    for (const char *const *key = keys; *key; key++) {
        cJSON *value = cJSON_DetachItemFromObjectCaseSensitive(cluster, *key);
        if (value)
            cJSON_AddItemToObject(serve, *key, value);
    }
    cJSON *flow = cJSON_AddArrayToObject(cluster, "flow");
    cJSON_AddItemToArray(flow, cJSON_CreateString("serve"));
    return memory_check(err);
}

static bool has_delay(cJSON *pools)
{
    for (cJSON *at = pools ? pools->child : NULL; at; at = at->next)
        if (member(at, "kind"))
            return true;
    return false;
}

/* Puts names in front of a flow, of which a lone pool needs none. */
static int open_flow(cJSON *cluster, cJSON **pools, cJSON **flow, struct error *err)
{
    *pools = member(cluster, "pools");
    *flow = member(cluster, "flow");
    if (*flow)
        return 0;
    *flow = cJSON_AddArrayToObject(cluster, "flow");
    if (cJSON_GetArraySize(*pools) > 1)
        return complain("cluster.flow", "expected one where there are several pools, found none", err);
    cJSON_AddItemToArray(*flow, cJSON_CreateString((*pools)->child->string));
    return 0;
}

static int add_latency(cJSON *pools, cJSON *flow, struct error *err)
{
    if (member(pools, CALIBRATED_POOL))
        return 0;
    cJSON *at = cJSON_AddObjectToObject(pools, CALIBRATED_POOL);
    cJSON_AddStringToObject(at, "kind", "delay");
    cJSON_AddStringToObject(at, "servers", "unlimited");
    cJSON_AddNumberToObject(at, "service_s", 0);
    cJSON_InsertItemInArray(flow, 0, cJSON_CreateString(CALIBRATED_POOL));
    return memory_check(err);
}

static int open_front_end(const struct levels *levels, cJSON *root, bool latency, struct error *err)
{
    cJSON *cluster = member(root, "cluster"), *pools, *flow;
    bool closed = false;
    for (size_t i = 0; i < levels->count; i++)
        closed |= levels->items[i].load == LOAD_CLOSED;
    if (!latency && !closed)
        return 0;
    if (!cluster)
        cluster = cJSON_AddObjectToObject(root, "cluster");
    if (member(cluster, "placement"))
        return complain("cluster.placement",
                        "expected cluster.pools and cluster.flow, in which a front end can stand, found a placement",
                        err);
    if ((!member(cluster, "pools") && name_pool(cluster, err)) || open_flow(cluster, &pools, &flow, err))
        return -1;
    bool had = has_delay(pools);
    if (closed && !had) {
        cJSON *after = cJSON_CreateArray();
        point_add_front_end(pools, after);
        cJSON_InsertItemInArray(flow, 0, cJSON_DetachItemFromArray(after, 0));
        cJSON_Delete(after);
    }
    return latency ? add_latency(pools, flow, err) : memory_check(err);
}

int calibration_base(const struct levels *levels, const cJSON *scenario, const bool fitted[CALIBRATED], cJSON **out,
                     double before[CALIBRATED], struct error *err)
{
    cJSON *root = cJSON_Duplicate(scenario, 1);
    struct engine engine;
    *out = root;
    if (!root)
        return error_no_memory(err);
    const struct json engine_at = json_member(&(struct json){.node = root, .file = "the scenario"}, "engine");
    if (engine_read(&engine_at, &engine, err) || open_engine(root, err) || check_pools(member(root, "cluster"), err) ||
        open_front_end(levels, root, fitted[FRONT_END_S], err))
        return -1;
    cJSON *cluster = member(root, "cluster"), *pools = cluster ? member(cluster, "pools") : NULL;
    cJSON *latency = pools ? member(pools, CALIBRATED_POOL) : NULL,
          *service = latency ? member(latency, "service_s") : NULL;
    before[KERNEL_FACTOR] = engine.kernel_factor > 0 ? engine.kernel_factor : 1;
    before[EXPOSED_NS] = engine.exposed_ns;
    before[EXPOSED_NS_PER_SEQUENCE] = engine.exposed_ns_per_sequence;
    before[FRONT_END_S] = cJSON_IsNumber(service) ? service->valuedouble : 0;
    return 0;
}

int calibration_set(cJSON *base, const bool fitted[CALIBRATED], const double values[CALIBRATED], struct error *err)
{
    cJSON *engine = member(base, "engine");
    for (int i = 0; i < FRONT_END_S; i++)
        if (fitted[i] && set_number(engine, calibrated_names[i], values[i], err))
            return -1;
    if (!fitted[FRONT_END_S])
        return 0;
    cJSON *pool = member(member(member(base, "cluster"), "pools"), CALIBRATED_POOL);
    return set_number(pool, "service_s", values[FRONT_END_S], err);
}

static cJSON *error_json(const struct engine_error *e)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "signed_median", e->signed_median);
    cJSON_AddNumberToObject(o, "median", e->median);
    cJSON_AddNumberToObject(o, "p90", e->p90);
    return o;
}

static void add_findings(const struct calibration *c, cJSON *engine)
{
    cJSON *intervals = cJSON_AddObjectToObject(engine, "intervals");
    for (int i = 0; i < CALIBRATED; i++) {
        const struct calibrated *p = &c->parameters[i];
        const double ends[2] = {p->low, p->high};
        if (p->fitted)
            cJSON_AddItemToObject(intervals, calibrated_names[i], cJSON_CreateDoubleArray(ends, 2));
    }
    if (c->after.points < 1)
        return;
    cJSON *errors = cJSON_AddObjectToObject(engine, "errors");
    cJSON_AddNumberToObject(errors, "points", c->after.points);
    cJSON_AddItemToObject(errors, "ttft", error_json(&c->after.ttft));
    cJSON_AddItemToObject(errors, "tpot", error_json(&c->after.tpot));
}

int calibration_engine(const struct calibration *c, const char *source, cJSON **out, struct error *err)
{
    static const char *const ours[] = {"source", "intervals", "errors", NULL};
    const struct json stated = json_member(&(struct json){.node = c->scenario, .file = "the scenario"}, "engine");
    if (engine_whole(&stated, out, err))
        return -1;
    cJSON *engine = *out;
    if (!member(engine, "name"))
        cJSON_AddStringToObject(engine, "name", "calibrated");
    for (const char *const *key = ours; *key; key++)
        cJSON_DeleteItemFromObjectCaseSensitive(engine, *key);
    cJSON_AddStringToObject(engine, "source", source);
    add_findings(c, engine);
    return memory_check(err);
}
