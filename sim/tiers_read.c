/* SPDX-License-Identifier: MIT */
#include "sim/tiers_read.h"

#include <math.h>
#include <string.h>

#include "sim/choices.h"

struct tier_said {
    double bytes, kv_scale, read_bytes_per_s, write_bytes_per_s, latency_ns;
    int shared_by, discipline, evict, write, load;
};

static const struct field tier_fields[] = {
    {.is = {"bytes", PARAM_NUMBER, "bytes", 0, 0, 1e18, "capacity of each of its stores", NULL, NULL},
     .required = true,
     .into = FIELD_INTO(struct tier_said, bytes)},
    {.is = {"kv_scale", PARAM_NUMBER, "", 1, 0.001, 1,
            "bytes of KV there over those on the GPU: a coding of its own; reports count bytes as on the GPU", NULL,
            NULL},
     .into = FIELD_INTO(struct tier_said, kv_scale)},
    {.is = {.name = "shared_by", .preset_text = "replica", .help = "what has a store of its own"},
     .kind = FIELD_CHOICE,
     .choices = tier_sharings,
     .into = FIELD_INTO(struct tier_said, shared_by)},
    {.is = {"read_bytes_per_s", PARAM_NUMBER, "bytes/s", 25e9, 1, 1e15,
            "bandwidth of each store, and of each replica's connection, to read", NULL, NULL},
     .into = FIELD_INTO(struct tier_said, read_bytes_per_s)},
    {.is = {"write_bytes_per_s", PARAM_NUMBER, "bytes/s", 0, 1, 1e15, "the same to write", NULL, NULL},
     .otherwise = "read_bytes_per_s",
     .into = FIELD_INTO(struct tier_said, write_bytes_per_s)},
    {.is = {"latency_ns", PARAM_NUMBER, "ns", 10000, 0, 1e12, "time from a transfer's last byte sent to its arrival",
            NULL, NULL},
     .into = FIELD_INTO(struct tier_said, latency_ns)},
    {.is = {.name = "discipline", .preset_text = "shared", .help = "how transfers share a connection"},
     .kind = FIELD_CHOICE,
     .choices = link_disciplines,
     .into = FIELD_INTO(struct tier_said, discipline)},
    {.is = {.name = "evict", .preset_text = "lru", .help = "which prefix goes when it is full"},
     .kind = FIELD_CHOICE,
     .choices = tier_evictions,
     .into = FIELD_INTO(struct tier_said, evict)},
    {.is = {.name = "write", .preset_text = "evict", .help = "what is written to it"},
     .kind = FIELD_CHOICE,
     .choices = tier_writes,
     .into = FIELD_INTO(struct tier_said, write)},
    {.is = {.name = "load", .preset_text = "always", .help = "when a prefix is read that it has"},
     .kind = FIELD_CHOICE,
     .choices = tier_loads,
     .into = FIELD_INTO(struct tier_said, load)},
    {.is.name = NULL}};

static const struct field named_tier[] = {{.is = {.name = "NAME", .help = "a tier"},
                                           .kind = FIELD_OBJECT,
                                           .required = true,
                                           .members = tier_fields,
                                           .title = "tier"},
                                          {.is.name = NULL}};

struct nodes_said {
    long long gpus;
};

static const struct field nodes_fields[] = {{.is = {"gpus", PARAM_INTEGER, "GPUs", 8, 1, 65536,
                                                    "of a node; replicas fill nodes in order", NULL, NULL},
                                             .into = FIELD_INTO(struct nodes_said, gpus)},
                                            {.is.name = NULL}};

const struct field tiers_fields[] = {
    {.is = {.name = "tiers",
            .min = 1,
            .max = MOST_TIERS,
            .help = "where prefixes are kept below GPU memory, by name, the nearest first "
                    "(docs/policies/prefix_caching.md)"},
     .kind = FIELD_MAP,
     .otherwise = "none: what a GPU evicts is lost",
     .members = named_tier},
    {.is = {.name = "nodes", .help = "how GPUs stand together, for tiers that a node shares"},
     .kind = FIELD_OBJECT,
     .members = nodes_fields,
     .title = "nodes"},
    {.is.name = NULL}};

static const struct field tier_name[] = {{.is = {"TIER", PARAM_TEXT, "", 0, 0, 0, "the name of a tier", NULL, NULL},
                                          .required = true},
                                         {.is.name = NULL}};

const struct field pool_tiers_fields[] = {
    {.is = {.name = "kv_tiers", .max = MOST_TIERS, .help = "tiers of the cluster that its replicas use, nearest first"},
     .kind = FIELD_LIST,
     .otherwise = "all, where prefixes are found",
     .members = tier_name},
    {.is.name = NULL}};

static int read_tier(const struct json *at, const char *name, struct tier_config *out, struct error *err)
{
    struct tier_said said = {0};
    if (name[0] == 0 || strlen(name) > 60 || strchr(name, '.'))
        return json_complain(at, "a name of 1 to 60 bytes without a dot", err);
    if (!cJSON_IsObject(at->node))
        return json_complain(at, "an object", err);
    if (fields_read(at, tier_fields, &said, err))
        return -1;
    double write = said.write_bytes_per_s > 0 ? said.write_bytes_per_s : said.read_bytes_per_s;
    enum link_discipline discipline = (enum link_discipline)said.discipline;
    *out = (struct tier_config){.name = name,
                                .bytes = (uint64_t)fmin(said.bytes / said.kv_scale, 1e18),
                                .shared_by = (enum tier_sharing)said.shared_by,
                                .evict = (enum tier_eviction)said.evict,
                                .through = said.write == TIER_WRITTEN_THROUGH,
                                .faster = said.load == TIER_READ_FASTER,
                                .read = {said.read_bytes_per_s / said.kv_scale, (sim_time)said.latency_ns, discipline},
                                .write = {write / said.kv_scale, (sim_time)said.latency_ns, discipline}};
    return 0;
}

static int read_tiers(struct cluster_config *c, const struct json *tiers, struct error *err)
{
    int count = cJSON_GetArraySize(tiers->node);
    if (!cJSON_IsObject(tiers->node) || count < 1 || count > MOST_TIERS)
        return json_complain(tiers, "an object of 1 to 4 tiers by name", err);
    for (const cJSON *n = tiers->node->child; n; n = n->next) {
        struct json at = json_member(tiers, n->string);
        if (read_tier(&at, n->string, &c->tiers[c->tier_count], err))
            return -1;
        c->tier_count++;
    }
    return 0;
}

/* Where the tier of this name is, or how many there are. */
static size_t find(const struct cluster_config *c, const cJSON *name)
{
    size_t i = 0;
    while (i < c->tier_count && (!cJSON_IsString(name) || strcmp(c->tiers[i].name, name->valuestring) != 0))
        i++;
    return i;
}

/* ["host", "store"] */
static int read_named(const struct cluster_config *c, const struct json *list, struct tier_use *use, struct error *err)
{
    if (!cJSON_IsArray(list->node) || cJSON_GetArraySize(list->node) > MOST_TIERS)
        return json_complain(list, "a list of names of tiers", err);
    for (int i = 0; i < cJSON_GetArraySize(list->node); i++) {
        struct json at = json_element(list, i);
        size_t found = find(c, at.node);
        for (size_t k = 0; k < use->count; k++)
            if (use->of[k] == found)
                found = c->tier_count;
        if (found == c->tier_count)
            return json_complain(&at, "the name of a tier in cluster.tiers that stands nowhere else in the list", err);
        use->of[use->count++] = found;
    }
    return 0;
}

/* Bytes of a KV block on all GPUs of a pool's replica, stages and shards together. */
static uint64_t block_bytes(const struct pool *pool, uint32_t block_tokens)
{
    const struct work *first = &pool->cost.work;
    double bytes = first->kv_bytes_per_token * first->kv_layers[ATTENTION_FULL];
    for (size_t i = 0; i < pool->stages.count; i++) {
        const struct work *w = &pool->stages.costs[i].work;
        bytes += w->kv_bytes_per_token * w->kv_layers[ATTENTION_FULL];
    }
    return (uint64_t)ceil(bytes * pool->parallel.tensor * block_tokens);
}

/* Pools of the same model, and of as many bytes a block, read each other's KV. */
static uint64_t space_of(const struct scenario *s, size_t pool)
{
    const struct pool_config *pools = s->cluster.pools;
    size_t i = 0;
    while (pools[i].tiers.block_bytes != pools[pool].tiers.block_bytes ||
           strcmp(s->pools[i].cost.model.name, s->pools[pool].cost.model.name) != 0)
        i++;
    return i;
}

static bool writes_through(const struct cluster_config *c, const struct tier_use *use)
{
    bool through = false;
    for (size_t i = 0; i < use->count; i++)
        through |= c->tiers[use->of[i]].through;
    return through;
}

/* Whether a pool that uses tiers can: `at` is where it is said. */
static int check_pool(const struct scenario *s, size_t index, const struct json *at, struct error *err)
{
    const struct pool_config *p = &s->cluster.pools[index];
    if (index >= s->cluster.routers[0].pools)
        return json_complain(at, "no tiers in a pool that decodes what another one prefilled", err);
    if (!p->replica.prefix_caching)
        return json_complain(at, "policy.prefix_caching to be true with tiers, which keep prefixes", err);
    if (!p->replica.batching->loads)
        return json_complain(at,
                             "a batching policy that finds prefixes and forms batches anew in every iteration with "
                             "tiers",
                             err);
    if (p->replica.kv_groups.windowed > 0)
        return json_complain(at,
                             "a model whose layers all keep every token, or engine.kv_groups \"uniform\", with tiers",
                             err);
    if (p->tied > 1 && !p->stage_executors)
        return json_complain(at, "no tiers with redundant_kv, whose pairs keep KV twice", err);
    if (p->stage_executors && writes_through(&s->cluster, &p->tiers))
        return json_complain(at, "tiers that are written on eviction with pipeline_parallel", err);
    return 0;
}

static int read_pool(struct scenario *s, size_t index, const struct json *tiers, struct error *err)
{
    struct pool_config *p = &s->cluster.pools[index];
    const struct pool *pool = &s->pools[index];
    struct json own = json_member(&pool->at, "kv_tiers");
    p->tiers.block_bytes = block_bytes(pool, p->replica.kv_block_tokens);
    p->tiers.gpus = pool->parallel.tensor * pool->parallel.stages * pool->parallel.data;
    if (own.node && read_named(&s->cluster, &own, &p->tiers, err))
        return -1;
    for (size_t i = 0; !own.node && index < s->cluster.routers[0].pools && i < s->cluster.tier_count; i++)
        p->tiers.of[p->tiers.count++] = i;
    p->tiers.space = space_of(s, index);
    return p->tiers.count > 0 ? check_pool(s, index, own.node ? &own : tiers, err) : 0;
}

int tiers_read(struct scenario *s, struct error *err)
{
    struct json cluster = json_member(&s->root, "cluster"), tiers = json_member(&cluster, "tiers"),
                nodes = json_member(&cluster, "nodes");
    struct nodes_said said = {0};
    if (fields_read(&nodes, nodes_fields, &said, err))
        return -1;
    if (nodes.node && !tiers.node)
        return json_complain(&nodes, "nothing here without cluster.tiers", err);
    s->cluster.node_gpus = (uint32_t)said.gpus;
    if (tiers.node && read_tiers(&s->cluster, &tiers, err))
        return -1;
    for (size_t i = 0; i < s->cluster.pool_count; i++)
        if (read_pool(s, i, &tiers, err))
            return -1;
    return 0;
}
