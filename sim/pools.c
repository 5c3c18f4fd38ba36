/* SPDX-License-Identifier: MIT */
/* From what a scenario says of its cluster, in either form (pools_read.c), to what runs: costs, stages, links. */
#include "sim/pools.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "profiles/shared_costs.h"
#include "sim/pools_read.h"

/* Everything that the costs of a stage are made from; the caller's to free. NULL: no memory. */
static char *key_of_cost(const struct pool *pool, const struct parallel *parallel, const struct json *techniques)
{
    const struct parallel *p = parallel;
    const double numbers[] = {p->tensor,           p->data,           p->expert,
                              p->stages,           p->stage,          p->expert_imbalance,
                              p->link_bytes_per_s, p->link_latency_ns};
    cJSON *key = cJSON_CreateObject(), *parts = cJSON_AddArrayToObject(key, "parallel");
    bool whole =
        cJSON_AddStringToObject(key, "model", pool->model) && cJSON_AddStringToObject(key, "device", pool->device);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        whole &= cJSON_AddItemToArray(parts, cJSON_CreateNumber(numbers[i]));
    whole &= !pool->engine_at.node || cJSON_AddItemToObject(key, "engine", cJSON_Duplicate(pool->engine_at.node, 1));
    whole &= !techniques->node || cJSON_AddItemToObject(key, "techniques", cJSON_Duplicate(techniques->node, 1));
    char *text = whole ? cJSON_PrintUnformatted(key) : NULL;
    cJSON_Delete(key);
    return text;
}

/* Costs of a stage of a pool's replicas. */
static int create_cost(const struct scenario *s, const struct pool *pool, uint32_t stage, struct cost_model *out,
                       struct error *err)
{
    struct engine engine;
    struct techniques techniques;
    struct json techniques_at = json_member(&s->root, "techniques");
    struct parallel parallel = pool->parallel;
    parallel.stage = stage;
    if (engine_read(&pool->engine_at, &engine, err))
        return -1;
    int status = techniques_read(&techniques_at, &techniques, err);
    char *key = status == 0 && s->costs ? key_of_cost(pool, &parallel, &techniques_at) : NULL;
    if (status == 0 && s->costs && !key)
        status = error_no_memory(err);
    else if (status == 0)
        status =
            key ? shared_cost_model(s->costs, key, out, pool->model, pool->device, &parallel, &engine, &techniques, err)
                : cost_model_create(out, pool->model, pool->device, &parallel, &engine, &techniques, err);
    cJSON_free(key);
    techniques_release(&techniques);
    return status;
}

/* The stages after the first one, whose costs are there; and what runs batches through all. */
static int create_stages(const struct scenario *s, struct pool *pool, struct pool_config *out, struct error *err)
{
    size_t stages = pool->parallel.stages;
    struct stages *others = &pool->stages;
    if (stages == 1)
        return 0;
    others->costs = calloc(stages - 1, sizeof *others->costs);
    others->executors = calloc(stages, sizeof *others->executors);
    if (!others->costs || !others->executors)
        return error_no_memory(err);
    others->executors[0] = out->executor;
    for (size_t i = 1; i < stages; i++) {
        if (create_cost(s, pool, (uint32_t)i, &others->costs[i - 1], err))
            return -1;
        others->count = i;
        others->executors[i] = simulated_executor(&others->costs[i - 1]);
    }
    const struct model *m = &pool->cost.model;
    const struct device *d = &pool->cost.device;
    out->stage_executors = others->executors;
    out->stage_link = (struct pipeline_link){
        .bytes_per_token = m->hidden * fmax(dtype_bytes(m->dtype), 2) / pool->parallel.tensor, /* as collectives */
        .bytes_per_s = pool->stage_bytes_per_s >= 0 ? pool->stage_bytes_per_s : d->link_bytes_per_s,
        .latency = (sim_time)(pool->stage_latency_ns >= 0 ? pool->stage_latency_ns : d->link_latency_ns)};
    return 0;
}

static int create_pool(struct scenario *s, size_t index, struct error *err)
{
    struct pool *pool = &s->pools[index];
    struct pool_config *out = &s->cluster.pools[index];
    if (create_cost(s, pool, 0, &pool->cost, err) ||
        engine_server_read(&pool->engine_at, &pool->cost.device, &pool->server, err))
        return -1;
    out->executor = simulated_executor(&pool->cost);
    if (create_stages(s, pool, out, err))
        return -1;
    /* In a pipeline other micro-batches run while the host works. */
    out->replica.schedule_ahead = pool->cost.engine.schedule_ahead && !out->stage_executors;
    out->replica.step = out->ranks > 1 || out->stage_executors;
    return 0;
}

/* Bytes of KV a token and group of layers on the GPU of a pool that has most of them. */
static double most_kv_bytes(const struct pool *pool)
{
    double most = pool->cost.work.kv_bytes_per_token;
    for (size_t i = 0; i < pool->stages.count; i++)
        if (pool->stages.costs[i].work.kv_bytes_per_token > most)
            most = pool->stages.costs[i].work.kv_bytes_per_token;
    return most;
}

/* What a transfer carries, of layers that keep every token and of those that keep a window, from or to the GPU that has
 * most to send or receive. */
static void set_wire(struct scenario *s, bool layerwise)
{
    const struct work *work = &s->pools[0].cost.work;
    struct kv_wire *wire = &s->cluster.wire;
    double most = 0;
    for (size_t i = 0; i < s->cluster.pool_count; i++)
        if (most_kv_bytes(&s->pools[i]) > most)
            most = most_kv_bytes(&s->pools[i]);
    wire->bytes_per_token = most * work->kv_layers[ATTENTION_FULL];
    wire->window_bytes = most * work->kv_layers[ATTENTION_WINDOW];
    wire->layers = layerwise ? s->pools[0].cost.model.attention_layers : 0;
}

/* KV that moves from one pool to another is of the same model, and lies in the same groups of layers in both. */
static int check_groups(const struct scenario *s, size_t index, struct error *err)
{
    const struct work *first = &s->pools[0].cost.work, *own = &s->pools[index].cost.work;
    if (s->cluster.step_count > 1 && strcmp(s->pools[index].cost.model.name, s->pools[0].cost.model.name) != 0)
        return json_complain(&s->pools[index].at, "the same model in all pools of a flow of two steps", err);
    bool same = own->kv_layers[ATTENTION_FULL] == first->kv_layers[ATTENTION_FULL] &&
                own->kv_layers[ATTENTION_WINDOW] == first->kv_layers[ATTENTION_WINDOW] &&
                own->kv_groups.full == first->kv_groups.full && own->kv_groups.windowed == first->kv_groups.windowed;
    return same || s->cluster.step_count == 1
               ? 0
               : json_complain(&s->pools[index].engine_at, "the same kv_groups in all pools of a flow of two steps",
                               err);
}

/* What is found of a prefix comes with the windows' blocks at its end, as whoever prefills behind it needs them. Who
 * decodes behind the whole prompt has left most of them behind: it would ask for more than it is to hold, and in a
 * small pool wait for ever. */
static int check_lacking(const struct scenario *s, struct error *err)
{
    struct json cluster = json_member(&s->root, "cluster"), links = json_member(&cluster, "links"),
                placement = json_member(&cluster, "placement"), kv = json_member(&links, "kv"),
                link = json_member(&placement, "link"), at = json_member(kv.node ? &kv : &link, "only_lacking");
    return s->cluster.wire.only_lacking && s->pools[0].cost.work.kv_groups.windowed > 0
               ? json_complain(&at, "false with a model whose layers have windows", err)
               : 0;
}

int pools_read(struct scenario *s, struct error *err)
{
    bool layerwise = false;
    if (pools_read_cluster(s, &layerwise, err))
        return -1;
    for (size_t i = 0; i < s->cluster.pool_count; i++)
        if (create_pool(s, i, err) || check_groups(s, i, err))
            return -1;
    set_wire(s, layerwise);
    return check_lacking(s, err);
}

void pools_release(struct scenario *s)
{
    for (size_t i = 0; s->pools && i < s->cluster.pool_count; i++) {
        struct pool *p = &s->pools[i];
        cost_model_release(&p->cost);
        engine_server_release(&p->server);
        for (size_t k = 0; k < p->stages.count; k++)
            cost_model_release(&p->stages.costs[k]);
        free(p->stages.costs);
        free(p->stages.executors);
    }
    free(s->pools);
    s->pools = NULL;
}
