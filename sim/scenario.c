/* SPDX-License-Identifier: MIT */
#include "sim/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policies/registry.h"
#include "sim/choices.h"
#include "sim/pools.h"

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

static int read_admission(const struct json *policy, const struct pool *pool, struct replica_config *c,
                          struct error *err)
{
    struct json at = own_or_common(pool, policy, "admission");
    int admission = c->batching->admission;
    if (choice_read(&at, kv_admissions, &admission, err))
        return -1;
    c->admission = (enum kv_admission)admission;
    return 0;
}

/* "recompute", or "swap", by itself or as an object with how much and how fast. */
static int read_preemption(const struct json *policy, const struct pool *pool, size_t tied, struct replica_config *c,
                           struct error *err)
{
    static const char *const keys[] = {"name", "host_bytes", "bytes_per_s", "latency_ns", NULL};
    struct json at = own_or_common(pool, policy, "preemption");
    int way = PREEMPT_BY_RECOMPUTING;
    double host_bytes = 4.0 * (1 << 30), bytes_per_s = 25e9, latency_ns = 10000;
    if (choice_read(&at, preemptions, &way, err))
        return -1;
    if (cJSON_IsObject(at.node) &&
        (json_check_keys(&at, keys, err) || json_read_number(&at, "host_bytes", false, 0, 1e15, &host_bytes, err) ||
         json_read_number(&at, "bytes_per_s", false, 1, 1e15, &bytes_per_s, err) ||
         json_read_number(&at, "latency_ns", false, 0, 1e12, &latency_ns, err)))
        return -1;
    if (way == PREEMPT_BY_RECOMPUTING)
        return 0;
    if (tied > 1)
        return json_complain(&at, "\"recompute\" with pipeline_parallel or redundant_kv", err);
    double block_bytes = pool->cost.work.kv_bytes_per_token * c->kv_block_tokens;
    c->swap = (struct swap_space){.blocks = (uint64_t)(host_bytes / block_bytes),
                                  .ns_per_block = block_bytes / bytes_per_s * 1e9,
                                  .latency = (sim_time)latency_ns};
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

/* Who stands where in the queue, and what is foretold for it: the truth, unless something else is asked for. */
static int read_order(struct scenario *s, const struct json *policy, struct error *err)
{
    struct json at = json_member(policy, "order"), foretold = json_member(policy, "predictor");
    struct replica_config *c = &s->cluster.pools[0].replica;
    bool central = s->cluster.routers[0].policy->central, tied = any_tied(&s->cluster);
    const char *name = "fcfs", *predictor = "oracle";
    if (read_name(&at, &name, err) || read_name(&foretold, &predictor, err))
        return -1;
    c->order = order_policy_find(name);
    if (!c->order)
        return policy_complain(&at, AXIS_ORDER, name, err);
    s->cluster.predictor = predictor_find(predictor);
    if (!s->cluster.predictor)
        return policy_complain(&foretold, AXIS_PREDICTOR, predictor, err);
    if (param_set_read(&s->order_params, c->order->params, &at, err) ||
        param_set_read(&s->predictor_params, s->cluster.predictor->params, &foretold, err))
        return -1;
    if (predictor_takes_time(&s->predictor_params) && (central || tied))
        return json_complain(
            &foretold, "no server_s with central_queue, pipeline_parallel or redundant_kv: it is a replica's time",
            err);
    c->order_params = &s->order_params;
    s->cluster.predictor_params = &s->predictor_params;
    s->cluster.seed = s->seed;
    if (c->order->arrange && s->cluster.fleet.asked)
        return json_complain(
            &at,
            "an order of keys with failures, autoscaling or admission, since this one keeps account of "
            "all that its queue's requests are served",
            err);
    if (c->order->arrange && (central || tied))
        return json_complain(
            &at,
            "an order of keys with central_queue, pipeline_parallel or redundant_kv, since this one keeps account of "
            "all that its queue's requests are served",
            err);
    const char *admission = "";
    if (json_read_string(policy, "admission", false, &admission, err))
        return -1;
    bool asks = c->order->key || c->order->arrange;
    for (size_t i = 0; i < s->cluster.step_count; i++)
        asks |= s->cluster.routers[i].policy->predicts;
    if (!asks && !foretold.node && strcmp(admission, "predicted") != 0)
        s->cluster.predictor = NULL; /* nobody asks */
    return 0;
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

/* KV tokens that fit on every stage beside the activations of the policy's largest batch. */
static uint64_t kv_beside(const struct pool *pool, const struct batch_limits *batch)
{
    double tokens = (double)batch->tokens, sequences = (double)least(batch->sequences, batch->tokens);
    uint64_t fit = cost_model_kv_tokens(&pool->cost, tokens, sequences);
    for (size_t i = 0; i < pool->stages.count; i++)
        fit = least(fit, cost_model_kv_tokens(&pool->stages.costs[i], tokens, sequences));
    return fit;
}

/* The most KV that fits beside the largest batch that can be formed over it: what a batch computes must be held, so a
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
    long long blocks = 0;
    if (read_batching(&batching, c, &pool->batching_params, err) ||
        json_read_integer(policy, "kv_blocks", false, 1, 1000000000000, &blocks, err) ||
        (pool->at.node && json_read_integer(&pool->at, "kv_blocks", false, 1, 1000000000000, &blocks, err)))
        return -1;
    const struct cost_model *cost = &pool->cost;
    struct batch_limits limits = batching_policy_limits(c->batching, c->batching_params, cost->model.max_tokens);
    c->kv_blocks = blocks > 0 ? (uint64_t)blocks : kv_tokens(pool, &limits) / c->kv_block_tokens;
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
    p->replica.prefix_caching &= !decodes;
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

static int read_policy(struct scenario *s, struct error *err)
{
    static const char *const keys[] = {"batching",  "order",          "preemption", "admission", "kv_block_tokens",
                                       "kv_blocks", "prefix_caching", "predictor",  NULL};
    struct json policy = json_member(&s->root, "policy");
    struct replica_config *c = &s->cluster.pools[0].replica;
    long long block_tokens = 16;
    if (policy.node && json_check_keys(&policy, keys, err))
        return -1;
    if (json_read_integer(&policy, "kv_block_tokens", false, 1, 4096, &block_tokens, err) ||
        json_read_bool(&policy, "prefix_caching", &c->prefix_caching, err))
        return -1;
    c->kv_block_tokens = (uint32_t)block_tokens;
    if (read_order(s, &policy, err))
        return -1;
    for (size_t i = 0; i < s->cluster.pool_count; i++)
        if (read_pool_policy(s, &policy, i, err))
            return -1;
    s->cluster.wire.layout = replica_kv_layout(c);
    return check_batching(s, &policy, err);
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
    static const char *const keys[] = {"from_s", "to_s", NULL};
    struct json at = json_member(output, "iterations");
    double from = 0, to = 9e9;
    if (!at.node || cJSON_IsFalse(at.node))
        return 0;
    if (!cJSON_IsTrue(at.node) && !cJSON_IsObject(at.node))
        return json_complain(&at, "true, false or {\"from_s\", \"to_s\"}", err);
    if (cJSON_IsObject(at.node) &&
        (json_check_keys(&at, keys, err) || json_read_number(&at, "from_s", false, 0, 9e9, &from, err) ||
         json_read_number(&at, "to_s", false, from, 9e9, &to, err)))
        return -1;
    s->iterations = (struct span){sim_time_from_s(from), sim_time_from_s(to)};
    return 0;
}

static int read_output(struct scenario *s, struct error *err)
{
    static const char *const keys[] = {"requests", "timeseries_s", "iterations", "warmup", NULL};
    struct json output = json_member(&s->root, "output"), workload = json_member(&s->root, "workload");
    double interval = 0;
    int warmup = json_member(&workload, "trace").node ? WARMUP_NONE : WARMUP_MSER5;
    struct json cut = json_member(&output, "warmup");
    if (output.node && (json_check_keys(&output, keys, err) || read_share(&output, &s->keep_requests, err) ||
                        json_read_number(&output, "timeseries_s", false, 0, 1e9, &interval, err) ||
                        read_iterations(s, &output, err) || choice_read(&cut, warmup_rules, &warmup, err)))
        return -1;
    s->timeseries = s->cluster.probe_interval = sim_time_from_s(interval);
    s->warmup = (enum warmup_rule)warmup;
    return 0;
}

static int read_scenario(struct scenario *s, struct error *err)
{
    static const char *const keys[] = {"name",    "about",  "seed", "model",  "device",     "engine", "workload",
                                       "cluster", "policy", "slo",  "output", "techniques", NULL};
    long long seed = 1;
    const char *name = "unnamed", *about = NULL; /* the second one is for people */
    if (json_check_keys(&s->root, keys, err) || json_read_string(&s->root, "name", false, &name, err) ||
        json_read_string(&s->root, "about", false, &about, err) ||
        json_read_integer(&s->root, "seed", false, 0, 9007199254740992, &seed, err))
        return -1;
    s->seed = (uint64_t)seed;
    snprintf(s->name, sizeof s->name, "%s", name);
    struct json workload = json_member(&s->root, "workload");
    if (!cJSON_IsObject(workload.node))
        return json_complain(&workload, "an object with \"trace\", or with \"arrivals\" and \"lengths\"", err);
    struct json slo = json_member(&s->root, "slo");
    return pools_read(s, err) || read_policy(s, err) || slo_read(&s->slo, &slo, err) || read_output(s, err) ? -1 : 0;
}

int scenario_compile(struct scenario *out, struct json root, struct error *err)
{
    *out = (struct scenario){.root = root};
    if (read_scenario(out, err) == 0)
        return 0;
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
