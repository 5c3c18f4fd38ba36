/* SPDX-License-Identifier: MIT */
#include "sim/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policies/registry.h"
#include "sim/choices.h"
#include "sim/names.h"
#include "sim/pools.h"
#include "sim/pools_read.h"
#include "sim/tiers_read.h"

static const struct field admission_field = ADMISSION("the batching policy's own");

struct preemption_said {
    double host_bytes, bytes_per_s, latency_ns;
};

const struct field preemption_fields[] = {
    FIELD_ITS_NAME,
    {.is = {"host_bytes", PARAM_NUMBER, "bytes", 4294967296, 0, 1e15, "host memory for KV that is swapped out", NULL,
            NULL},
     .into = FIELD_INTO(struct preemption_said, host_bytes)},
    {.is = {"bytes_per_s", PARAM_NUMBER, "bytes/s", 25e9, 1, 1e15, "bandwidth of the link to the host", NULL, NULL},
     .into = FIELD_INTO(struct preemption_said, bytes_per_s)},
    {.is = {"latency_ns", PARAM_NUMBER, "ns", 10000, 0, 1e12, "latency of the link to the host", NULL, NULL},
     .into = FIELD_INTO(struct preemption_said, latency_ns)},
    {.is.name = NULL}};

struct policy_said {
    long long kv_block_tokens, kv_blocks;
    bool prefix_caching;
};

static const struct field policy_fields[] = {
    BATCHING("unified_budget", NULL),
    {.is = {.name = "order", .preset_text = "fcfs", .help = "which waiting request comes next"},
     .kind = FIELD_NAMED,
     .names = order_policy_at,
     .listed = "policies",
     .title = "order"},
    {.is = {.name = "predictor", .help = "what is predicted of output lengths"},
     .kind = FIELD_NAMED,
     .otherwise = "oracle, where something asks",
     .names = predictor_at,
     .listed = "policies",
     .title = "predictor"},
    ADMISSION("the batching policy's own"),
    PREEMPTION("recompute", NULL),
    {.is = {"prefix_caching", PARAM_BOOL, "", 0, 0, 0,
            "KV of common prefixes is found again (docs/policies/prefix_caching.md)", NULL, NULL},
     .into = FIELD_INTO(struct policy_said, prefix_caching)},
    {.is = {"kv_block_tokens", PARAM_INTEGER, "tokens", 16, 1, 4096, "tokens of a KV block", NULL, NULL},
     .into = FIELD_INTO(struct policy_said, kv_block_tokens)},
    {.is = {"kv_blocks", PARAM_INTEGER, "blocks", 0, 1, 1e12,
            "KV pool of a replica: blocks of all layers, or of one group of layers where some have a window "
            "(docs/policies/window_kv.md)",
            NULL, NULL},
     .otherwise = "what memory leaves next to the weights",
     .into = FIELD_INTO(struct policy_said, kv_blocks)},
    {.is.name = NULL}};

static const struct field rows_forms[] = {
    {.is = {"ALL", PARAM_BOOL, "", 0, 0, 0, "of every request, or of none", NULL, NULL}},
    {.is = {"SHARE", PARAM_NUMBER, "", 0, 0, 1, "of the requests, the same ones under every policy", NULL, NULL}},
    {.is.name = NULL}};

struct span_said {
    double from_s, to_s;
};

static const struct field span_fields[] = {
    {.is = {"from_s", PARAM_NUMBER, "s", 0, 0, 9e9, "start of the span", NULL, NULL},
     .into = FIELD_INTO(struct span_said, from_s)},
    {.is = {"to_s", PARAM_NUMBER, "s", 9e9, 0, 9e9, "end of the span, at least from_s", NULL, NULL},
     .into = FIELD_INTO(struct span_said, to_s)},
    {.is.name = NULL}};

static const struct field span_forms[] = {
    {.is = {"ALL", PARAM_BOOL, "", 0, 0, 0, "of every iteration, or of none", NULL, NULL}},
    {.is = {.name = "SPAN", .help = "of those that start in a span"}, .kind = FIELD_OBJECT, .members = span_fields},
    {.is.name = NULL}};

struct output_said {
    double timeseries_s;
    int warmup;
};

static const struct field output_fields[] = {
    {.is = {.name = "requests",
            .help = "rows of requests, with the parts of their time: of all, or of a share (the same ones under every "
                    "policy)"},
     .kind = FIELD_FORMS,
     .otherwise = "false",
     .members = rows_forms},
    {.is = {"timeseries_s", PARAM_NUMBER, "s", 0, 0, 1e9, "interval of the time series; 0: none", NULL, NULL},
     .into = FIELD_INTO(struct output_said, timeseries_s)},
    {.is = {.name = "iterations", .help = "rows of iterations: of all, or of those that start in a span"},
     .kind = FIELD_FORMS,
     .otherwise = "false",
     .members = span_forms},
    {.is = {.name = "warmup", .help = "what is cut from the beginning"},
     .kind = FIELD_CHOICE,
     .otherwise = "none for a trace, or classes, which may come and go; mser5 for other generated requests",
     .choices = warmup_rules,
     .into = FIELD_INTO(struct output_said, warmup)},
    {.is.name = NULL}};

const struct field engine_forms[] = {{.is = {"NAME", PARAM_TEXT, "", 0, 0, 0, "a preset, or a file", NULL, NULL},
                                      .names = engine_at,
                                      .other_names = PATH_TO_JSON,
                                      .listed = "engines"},
                                     {.is = {.name = "ENGINE",
                                             .help = "an engine written out; \"preset\" names what it begins with"},
                                      .kind = FIELD_FREE},
                                     {.is.name = NULL}};

static const struct field technique_forms[] = {
    {.is = {"NAME", PARAM_TEXT, "", 0, 0, 0, "a shipped one, or a file", NULL, NULL},
     .names = technique_at,
     .other_names = PATH_TO_JSON,
     .listed = "techniques"},
    {.is = {.name = "TECHNIQUE", .help = "a technique written out"}, .kind = FIELD_FREE},
    {.is.name = NULL}};

static const struct field technique[] = {{.is = {.name = "TECHNIQUE", .help = "a technique"},
                                          .kind = FIELD_FORMS,
                                          .members = technique_forms},
                                         {.is.name = NULL}};

struct scenario_said {
    const char *schema, *name, *about, *model; /* the first and the third are not for us */
    long long seed;
};

static const char schema_key[] = "$schema";

static const struct field scenario_fields[] = {
    {.is = {schema_key, PARAM_TEXT, "", 0, 0, 0, "place of the schema, for editors; the program ignores it", NULL,
            NULL},
     .into = FIELD_INTO(struct scenario_said, schema)},
    {.is = {"name", PARAM_TEXT, "", 0, 0, 0, "what the run is called", "unnamed", NULL},
     .into = FIELD_INTO(struct scenario_said, name)},
    {.is = {"about", PARAM_TEXT, "", 0, 0, 0, "a text for people", NULL, NULL},
     .into = FIELD_INTO(struct scenario_said, about)},
    {.is = {"seed", PARAM_INTEGER, "", 1, 0, 9007199254740992, "seed of every random stream", NULL, NULL},
     .into = FIELD_INTO(struct scenario_said, seed)},
    {.is = {"model", PARAM_TEXT, "", 0, 0, 0,
            "a shipped model, a repository's name that means one, or a path: a model file, a config.json of Hugging "
            "Face's form, or its folder (docs/profiles.md)",
            NULL, NULL},
     .required = true,
     .names = model_at,
     .other_names = PATH_TO_JSON,
     .listed = "models",
     .into = FIELD_INTO(struct scenario_said, model)},
    {.is = {"device", PARAM_TEXT, "", 0, 0, 0, "a shipped device, or a file", NULL, NULL},
     .otherwise = "each pool's own",
     .names = device_at,
     .other_names = PATH_TO_JSON,
     .listed = "devices"},
    ENGINE("none: the device's host work"),
    {.is = {.name = "techniques",
            .max = CHANGES_MAX,
            .help = "techniques that change an iteration's work (docs/techniques.md)"},
     .kind = FIELD_LIST,
     .members = technique},
    {.is = {.name = "workload", .help = "the requests: a trace, or generated"},
     .kind = FIELD_FORMS,
     .required = true,
     .members = workload_forms},
    {.is = {.name = "cluster", .help = "the replicas: alike, or pools of several kinds"},
     .kind = FIELD_FORMS,
     .otherwise = "one replica",
     .members = cluster_forms},
    {.is = {.name = "policy", .help = "what replicas do (docs/policies)"},
     .kind = FIELD_OBJECT,
     .members = policy_fields},
    {.is = {.name = "slo", .help = "what the run must meet (docs/metrics.md)"},
     .kind = FIELD_OBJECT,
     .members = slo_fields},
    {.is = {.name = "output", .help = "what is kept next to the summary"},
     .kind = FIELD_OBJECT,
     .members = output_fields},
    {.is.name = NULL}};

const struct field scenario_field = {.is = {.name = "scenario", .help = "a scenario of tandem"},
                                     .kind = FIELD_OBJECT,
                                     .members = scenario_fields};

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

/* A pool's own word on something, or the policy's. */
static struct json own_or_common(const struct pool *pool, const struct json *policy, const char *key)
{
    struct json own = json_member(&pool->at, key);
    return own.node ? own : json_member(policy, key);
}

/* What its engine's server starts with, where neither says it. How a scheduler admits goes with the scheduler, and the
 * size of blocks with their number. */
static struct json server_word(const struct pool *pool, const struct json *policy, const char *key)
{
    bool admits = strcmp(key, "admission") == 0, sizes = strcmp(key, "kv_block_tokens") == 0;
    bool said = own_or_common(pool, policy, admits ? "batching" : key).node || (sizes && pool->kv_blocks > 0);
    return said ? (struct json){0} : json_member(&pool->server.policy, key);
}

struct json scenario_server_word(const struct scenario *s, size_t pool, const char *key)
{
    struct json policy = json_member(&s->root, "policy");
    return server_word(&s->pools[pool], &policy, key);
}

static int read_admission(const struct json *policy, const struct pool *pool, struct replica_config *c,
                          struct error *err)
{
    struct json at = own_or_common(pool, policy, "admission");
    bool sheds_alone = pool->at.node && cJSON_IsObject(at.node) && !json_member(&at, "name").node; /* sim/fleet.h */
    int admission = (int)c->batching->admission;
    if (sheds_alone)
        at = json_member(policy, "admission");
    if (!at.node)
        at = server_word(pool, policy, "admission");
    if (cJSON_IsObject(at.node) ? choice_read(&at, kv_admissions, &admission, err)
                                : field_read_choice(&at, &admission_field, &admission, err))
        return -1;
    c->admission = (enum kv_admission)admission;
    return 0;
}

/* "recompute", or "swap", by itself or as an object with how much and how fast. */
static int read_preemption(const struct json *policy, const struct pool *pool, size_t tied, struct replica_config *c,
                           struct error *err)
{
    struct json at = own_or_common(pool, policy, "preemption");
    struct json sized = cJSON_IsObject(at.node) ? at : (struct json){0};
    int way = PREEMPT_BY_RECOMPUTING;
    struct preemption_said said = {0};
    if (choice_read(&at, preemptions, &way, err) || fields_read(&sized, preemption_fields, &said, err))
        return -1;
    if (way == PREEMPT_BY_RECOMPUTING)
        return 0;
    if (tied > 1)
        return json_complain(&at, "\"recompute\" with pipeline_parallel or redundant_kv", err);
    double block_bytes = pool->cost.work.kv_bytes_per_token * c->kv_block_tokens;
    c->swap = (struct swap_space){.blocks = (uint64_t)(said.host_bytes / block_bytes),
                                  .ns_per_block = block_bytes / said.bytes_per_s * 1e9,
                                  .latency = (sim_time)said.latency_ns};
    return 0;
}

/* Whether a station of the first step is more than one replica. */
static bool any_tied(const struct cluster_config *c)
{
    for (size_t i = 0; i < c->routers[0].pools; i++)
        if (c->pools[i].tied > 1)
            return true;
    return false;
}

/* Who stands where in the queue, and what is predicted for it: the truth, unless something else is asked for. */
static int read_order(struct scenario *s, const struct json *policy, struct error *err)
{
    struct json at = json_member(policy, "order"), predicted = json_member(policy, "predictor");
    struct replica_config *c = &s->cluster.pools[0].replica;
    bool central = s->cluster.routers[0].policy->central, tied = any_tied(&s->cluster);
    const char *name = "fcfs", *predictor = "oracle";
    if (read_name(&at, &name, err) || read_name(&predicted, &predictor, err))
        return -1;
    c->order = order_policy_find(name);
    if (!c->order)
        return policy_complain(&at, AXIS_ORDER, name, err);
    s->cluster.predictor = predictor_find(predictor);
    if (!s->cluster.predictor)
        return policy_complain(&predicted, AXIS_PREDICTOR, predictor, err);
    if (param_set_read(&s->order_params, c->order->params, &at, err) ||
        param_set_read(&s->predictor_params, s->cluster.predictor->params, &predicted, err))
        return -1;
    if (predictor_takes_time(&s->predictor_params) && (central || tied))
        return json_complain(
            &predicted, "no server_s with central_queue, pipeline_parallel or redundant_kv: it is a replica's time",
            err);
    c->order_params = &s->order_params;
    s->cluster.predictor_params = &s->predictor_params;
    s->cluster.seed = s->seed;
    if (c->order->admitted && !c->order->withdrawn && s->cluster.fleet_count > 0)
        return json_complain(
            &at, "an order that hears of who gives up (`withdrawn`) with failures, autoscaling or admission", err);
    if (c->order->arrange && (central || tied))
        return json_complain(
            &at,
            "an order of keys with central_queue, pipeline_parallel or redundant_kv, since this one keeps account of "
            "all that its queue's requests are served",
            err);
    return 0;
}

/* Whether anybody asks for predictions: an order, a router, or the admission of any pool. */
static bool somebody_predicts(const struct cluster_config *c)
{
    const struct order_policy *order = c->pools[0].replica.order;
    bool asks = order->key || order->arrange;
    for (size_t i = 0; i < c->step_count; i++)
        asks |= c->routers[i].policy->predicts;
    for (size_t i = 0; i < c->pool_count; i++)
        asks |= c->pools[i].replica.admission == ADMIT_PREDICTED;
    return asks;
}

static int read_batching(const struct json *at, struct replica_config *c, struct param_set *params, struct error *err)
{
    const char *name = "unified_budget";
    if (read_name(at, &name, err))
        return -1;
    c->batching = batching_policy_find(name);
    if (!c->batching)
        return policy_complain(at, AXIS_BATCHING, name, err);
    if (param_set_read(params, c->batching->params, at, err))
        return -1;
    c->batching_params = params;
    return 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* KV tokens that fit on every stage next to the activations of the policy's largest batch. */
static uint64_t kv_beside(const struct pool *pool, const struct batch_limits *batch)
{
    double tokens = (double)batch->tokens, sequences = (double)least(batch->sequences, batch->tokens);
    uint64_t fit = cost_model_kv_tokens(&pool->cost, tokens, sequences);
    for (size_t i = 0; i < pool->stages.count; i++)
        fit = least(fit, cost_model_kv_tokens(&pool->stages.costs[i], tokens, sequences));
    return fit;
}

/* The most KV that fits next to the largest batch that can be formed over it: what a batch computes must be held, so a
 * batch has no more tokens than that. More KV never leaves room for more. */
static uint64_t kv_tokens(const struct pool *pool, const struct batch_limits *limits)
{
    uint64_t fits = 0, too_large = kv_beside(pool, &(struct batch_limits){.tokens = 1, .sequences = 1}) + 1;
    while (too_large - fits > 1) {
        uint64_t kv = fits + (too_large - fits) / 2;
        struct batch_limits batch = {.tokens = least(limits->tokens, kv), .sequences = least(limits->sequences, kv)};
        *(kv_beside(pool, &batch) >= kv ? &fits : &too_large) = kv;
    }
    return fits;
}

/* Batching and KV of a pool's replicas: as the pool says, or the policy. */
static int read_replicas(const struct json *policy, struct pool *pool, struct pool_config *out, struct error *err)
{
    struct replica_config *c = &out->replica;
    struct json batching = own_or_common(pool, policy, "batching");
    if (!batching.node)
        batching = server_word(pool, policy, "batching");
    if (read_batching(&batching, c, &pool->batching_params, err))
        return -1;
    const char *expected = c->batching->unfit ? c->batching->unfit(c->batching_params, c->kv_block_tokens) : NULL;
    if (expected)
        return json_complain(&batching, expected, err);
    const struct cost_model *cost = &pool->cost;
    struct batch_limits limits = batching_policy_limits(c->batching, c->batching_params, cost->model.max_tokens);
    c->kv_blocks = pool->kv_blocks > 0 ? (uint64_t)pool->kv_blocks : kv_tokens(pool, &limits) / c->kv_block_tokens;
    c->max_tokens = cost->model.max_tokens;
    c->kv_groups = cost->work.kv_groups;
    c->step_tokens = limits.tokens < c->max_tokens ? (uint32_t)limits.tokens : c->max_tokens;
    out->max_sequences = (uint32_t)limits.sequences;
    return read_admission(policy, pool, c, err) || read_preemption(policy, pool, out->tied, c, err) ? -1 : 0;
}

/* A pool's replicas are as those of the first one, but for what they are made of, and what is said of them. */
static int read_pool_policy(struct scenario *s, const struct json *policy, size_t index, struct error *err)
{
    struct pool_config *p = &s->cluster.pools[index];
    const struct replica_config own = p->replica;
    p->replica = s->cluster.pools[0].replica;
    p->replica.schedule_ahead = own.schedule_ahead;
    p->replica.step = own.step;
    p->replica.swap = own.swap;
    bool decodes = index >= s->cluster.routers[0].pools; /* what it holds was computed elsewhere */
    p->replica.prefix_caching &= !decodes || s->cluster.wire.only_lacking;
    if (decodes && p->replica.order->arrange)
        p->replica.order =
            order_policy_find("fcfs"); /* it orders those who arrive; who is preempted here waits by itself */
    return read_replicas(policy, &s->pools[index], p, err);
}

static int check_batching(const struct scenario *s, const struct json *policy, struct error *err)
{
    const struct cluster_config *c = &s->cluster;
    struct json batching = json_member(policy, "batching"), cluster = json_member(&s->root, "cluster"),
                placed = json_member(&cluster, "placement"), flow = json_member(&cluster, "flow");
    bool whole = false;
    for (size_t i = 0; i < c->pool_count; i++) {
        bool own = c->pools[i].replica.batching->holds_finished_kv;
        whole |= own;
        if (own && c->pools[i].tied > 1 && i < c->routers[0].pools)
            return json_complain(&batching,
                                 "a policy that serves no whole batches with pipeline_parallel or redundant_kv", err);
    }
    if (c->step_count == 1 || !whole)
        return 0;
    return json_complain(flow.node ? &flow : &placed,
                         flow.node ? "one step with a batching policy that serves whole batches"
                                   : "\"colocated\" with a batching policy that serves whole batches",
                         err);
}

/* What the first pool's engine says for all, where the policy does not. */
static int read_server(const struct pool *pool, const struct json *policy, struct policy_said *said, struct error *err)
{
    const struct json *server = &pool->server.policy;
    if (server_word(pool, policy, "prefix_caching").node &&
        json_read_bool(server, "prefix_caching", &said->prefix_caching, err))
        return -1;
    return server_word(pool, policy, "kv_block_tokens").node
               ? json_read_integer(server, "kv_block_tokens", true, 1, 4096, &said->kv_block_tokens, err)
               : 0;
}

static int read_policy(struct scenario *s, struct error *err)
{
    struct json policy = json_member(&s->root, "policy");
    struct replica_config *c = &s->cluster.pools[0].replica;
    struct policy_said said = {0};
    if (fields_read(&policy, policy_fields, &said, err))
        return -1;
    for (size_t i = 0; i < s->cluster.pool_count; i++)
        if (s->pools[i].kv_blocks == 0)
            s->pools[i].kv_blocks = said.kv_blocks;
    if (read_server(&s->pools[0], &policy, &said, err))
        return -1;
    c->kv_block_tokens = (uint32_t)said.kv_block_tokens;
    c->prefix_caching = said.prefix_caching;
    if (read_order(s, &policy, err))
        return -1;
    for (size_t i = 0; i < s->cluster.pool_count; i++)
        if (read_pool_policy(s, &policy, i, err))
            return -1;
    struct json admitted = json_member(&policy, "admission");
    int admission = ADMIT_ON_DEMAND; /* which pools that have their own do not read */
    if (field_read_choice(&admitted, &admission_field, &admission, err))
        return -1;
    if (!json_member(&policy, "predictor").node && !somebody_predicts(&s->cluster))
        s->cluster.predictor = NULL;
    s->cluster.wire.layout = replica_kv_layout(c);
    return check_batching(s, &policy, err) || tiers_read(s, err) ? -1 : 0;
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

/* true, false, or {"from_s", "to_s"}. */
static int read_iterations(struct scenario *s, const struct json *output, struct error *err)
{
    struct json at = json_member(output, "iterations");
    struct json spanned = cJSON_IsObject(at.node) ? at : (struct json){0};
    struct span_said said = {0};
    if (!at.node || cJSON_IsFalse(at.node))
        return 0;
    if (!cJSON_IsTrue(at.node) && !cJSON_IsObject(at.node))
        return json_complain(&at, "true, false or {\"from_s\", \"to_s\"}", err);
    if (fields_read(&spanned, span_fields, &said, err) ||
        json_read_number(&spanned, "to_s", false, said.from_s, 9e9, &said.to_s, err))
        return -1;
    s->iterations = (struct span){sim_time_from_s(said.from_s), sim_time_from_s(said.to_s)};
    return 0;
}

static int read_output(struct scenario *s, struct error *err)
{
    struct json output = json_member(&s->root, "output"), workload = json_member(&s->root, "workload");
    bool as_recorded = json_member(&workload, "trace").node || json_member(&workload, "classes").node;
    struct output_said said = {.warmup = as_recorded ? WARMUP_NONE : WARMUP_MSER5};
    if (fields_read(&output, output_fields, &said, err) || read_share(&output, &s->keep_requests, err) ||
        read_iterations(s, &output, err))
        return -1;
    s->timeseries = s->cluster.probe_interval = sim_time_from_s(said.timeseries_s);
    s->warmup = (enum warmup_rule)said.warmup;
    return 0;
}

static int read_scenario(struct scenario *s, struct error *err)
{
    struct scenario_said said = {0};
    if (fields_read(&s->root, scenario_fields, &said, err))
        return -1;
    s->seed = (uint64_t)said.seed;
    snprintf(s->name, sizeof s->name, "%s", said.name);
    struct json workload = json_member(&s->root, "workload");
    if (!cJSON_IsObject(workload.node))
        return json_complain(&workload, "an object with \"trace\", or with \"arrivals\" and \"lengths\"", err);
    struct json slo = json_member(&s->root, "slo");
    return pools_read(s, err) || read_policy(s, err) || slo_read(&s->slo, &slo, &workload, err) || read_output(s, err)
               ? -1
               : 0;
}

int scenario_compile(struct scenario *out, struct json root, struct error *err)
{
    return scenario_compile_with(out, root, NULL, err);
}

int scenario_compile_with(struct scenario *out, struct json root, struct shared_costs *costs, struct error *err)
{
    *out = (struct scenario){.root = root, .costs = costs};
    if (read_scenario(out, err) == 0) {
        cJSON_DeleteItemFromObjectCaseSensitive((cJSON *)(uintptr_t)root.node, schema_key); /* no part of the run */
        return 0;
    }
    scenario_release(out);
    return -1;
}

void scenario_release(struct scenario *s)
{
    pools_release(s);
    cJSON_Delete((cJSON *)(uintptr_t)s->root.node);
    s->root.node = NULL;
}

int scenario_open_workload(const struct scenario *s, struct request_source *out, struct error *err)
{
    struct json workload = json_member(&s->root, "workload");
    return workload_create(&workload, s->seed, out, err);
}
