/* SPDX-License-Identifier: MIT */
#include "sim/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policies/plugin.h"

static int read_cluster(struct scenario *s, struct error *err)
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
                                       NULL};
    static const char *const link_keys[] = {"bytes_per_s", "latency_ns", NULL};
    struct json at = json_member(&s->root, "cluster"), link = json_member(&at, "link");
    long long replicas = 1, tp = 1, pp = 1, dp = 1, ep = 1;
    struct parallel parallel = tensor_parallel(1);
    const char *placement = "colocated", *routing = "round_robin", *model = NULL, *device = NULL;
    if (at.node &&
        (json_check_keys(&at, keys, err) || json_read_integer(&at, "replicas", false, 1, 100000, &replicas, err) ||
         json_read_integer(&at, "tensor_parallel", false, 1, 64, &tp, err) ||
         json_read_integer(&at, "pipeline_parallel", false, 1, 1, &pp, err) ||
         json_read_integer(&at, "data_parallel", false, 1, 1024, &dp, err) ||
         json_read_integer(&at, "expert_parallel", false, 1, 1024, &ep, err) ||
         json_read_number(&at, "expert_imbalance", false, 1, 1000, &parallel.expert_imbalance, err) ||
         json_read_string(&at, "placement", false, &placement, err)))
        return -1;
    if (link.node && (json_check_keys(&link, link_keys, err) ||
                      json_read_number(&link, "bytes_per_s", false, 1, 1e15, &parallel.link_bytes_per_s, err) ||
                      json_read_number(&link, "latency_ns", false, 0, 1e12, &parallel.link_latency_ns, err)))
        return -1;
    struct json placed = json_member(&at, "placement"), routed = json_member(&at, "routing");
    if (strcmp(placement, "colocated") != 0)
        return json_complain(&placed, "\"colocated\"", err);
    if (cJSON_IsString(routed.node))
        routing = routed.node->valuestring;
    else if (routed.node && json_read_string(&routed, "policy", true, &routing, err))
        return -1;
    parallel.tensor = (uint32_t)tp;
    parallel.data = (uint32_t)dp;
    parallel.expert = (uint32_t)ep;
    s->cluster.replicas = (size_t)(replicas * dp);
    s->cluster.group = (size_t)dp;
    s->cluster.replica.step = dp > 1;
    s->cluster.routing = routing_policy_find(routing);
    if (!s->cluster.routing)
        return json_complain(&routed, "a routing policy (tandem list policies)", err);
    if (json_read_string(&s->root, "model", true, &model, err) ||
        json_read_string(&s->root, "device", true, &device, err))
        return -1;
    struct engine engine;
    struct json engine_at = json_member(&s->root, "engine");
    if (engine_read(&engine_at, &engine, err))
        return -1;
    s->cluster.replica.schedule_ahead = engine.schedule_ahead;
    struct json techniques_at = json_member(&s->root, "techniques");
    struct techniques techniques;
    int status = techniques_read(&techniques_at, &techniques, err);
    if (status == 0)
        status = cost_model_create(&s->cost, model, device, &parallel, &engine, &techniques, err);
    techniques_release(&techniques);
    return status;
}

static int read_admission(const struct json *policy, struct replica_config *c, struct error *err)
{
    const char *admission = NULL, *preemption = "recompute";
    struct json at = json_member(policy, "admission"), preempted = json_member(policy, "preemption");
    if (json_read_string(policy, "admission", false, &admission, err) ||
        json_read_string(policy, "preemption", false, &preemption, err))
        return -1;
    if (strcmp(preemption, "recompute") != 0)
        return json_complain(&preempted, "\"recompute\"", err);
    c->admission = c->batching->admission;
    if (!admission)
        return 0;
    if (strcmp(admission, "on_demand") == 0)
        c->admission = ADMIT_ON_DEMAND;
    else if (strcmp(admission, "reserve_max") == 0)
        c->admission = ADMIT_RESERVE_MAX;
    else if (strcmp(admission, "predicted") == 0)
        c->admission = ADMIT_PREDICTED;
    else
        return json_complain(&at, "\"on_demand\", \"reserve_max\" or \"predicted\"", err);
    return 0;
}

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

/* Who stands where in the queue, and what is foretold for it: the truth, unless something else is asked for. */
static int read_order(struct scenario *s, const struct json *policy, struct error *err)
{
    struct json at = json_member(policy, "order"), foretold = json_member(policy, "predictor");
    struct replica_config *c = &s->cluster.replica;
    const char *name = "fcfs", *predictor = "oracle";
    if (read_name(&at, &name, err) || read_name(&foretold, &predictor, err))
        return -1;
    c->order = order_policy_find(name);
    if (!c->order)
        return json_complain(&at, "an order (tandem list policies)", err);
    s->cluster.predictor = predictor_find(predictor);
    if (!s->cluster.predictor)
        return json_complain(&foretold, "a predictor: oracle, noisy, bucketed or constant", err);
    if (param_set_read(&s->order_params, c->order->params, &at, err) ||
        param_set_read(&s->predictor_params, s->cluster.predictor->params, &foretold, err))
        return -1;
    c->order_params = &s->order_params;
    s->cluster.predictor_params = &s->predictor_params;
    s->cluster.seed = s->seed;
    const char *admission = "";
    if (json_read_string(policy, "admission", false, &admission, err))
        return -1;
    if (!c->order->key && !foretold.node && strcmp(admission, "predicted") != 0)
        s->cluster.predictor = NULL; /* nobody asks */
    return 0;
}

/* A parameter of the batching policy, where it has it and it is not 0. */
static double batch_limit(const struct scenario *s, const char *name, double otherwise)
{
    for (const struct param_spec *spec = s->batching_params.specs; spec->name; spec++)
        if (strcmp(spec->name, name) == 0 && param_number(&s->batching_params, name) > 0)
            return param_number(&s->batching_params, name);
    return otherwise;
}

static int read_policy(struct scenario *s, struct error *err)
{
    static const char *const keys[] = {"batching",  "order",          "preemption", "admission", "kv_block_tokens",
                                       "kv_blocks", "prefix_caching", "predictor",  NULL};
    struct json policy = json_member(&s->root, "policy"), batching = json_member(&policy, "batching");
    struct replica_config *c = &s->cluster.replica;
    const char *name = "unified_budget";
    if (policy.node && json_check_keys(&policy, keys, err))
        return -1;
    if (cJSON_IsString(batching.node))
        name = batching.node->valuestring;
    else if (batching.node && json_read_string(&batching, "name", true, &name, err))
        return -1;
    bool is_file = strchr(name, '/') || strstr(name, ".so");
    if (!is_file && !batching_policy_find(name))
        return json_complain(&batching, "a batching policy (tandem list policies), or a path to one compiled", err);
    if (batching_policy_load(name, &c->batching, err))
        return -1;
    if (param_set_read(&s->batching_params, c->batching->params, &batching, err))
        return -1;
    c->batching_params = &s->batching_params;
    long long block_tokens = 16, blocks = 0;
    if (json_read_integer(&policy, "kv_block_tokens", false, 1, 4096, &block_tokens, err) ||
        json_read_integer(&policy, "kv_blocks", false, 1, 1000000000000, &blocks, err))
        return -1;
    if (json_read_bool(&policy, "prefix_caching", &c->prefix_caching, err))
        return -1;
    c->kv_block_tokens = (uint32_t)block_tokens;
    double most_tokens = batch_limit(s, "token_budget", batch_limit(s, "max_batched_tokens", s->cost.model.max_tokens));
    double most_sequences = batch_limit(s, "max_sequences", 256);
    c->kv_blocks = (uint64_t)blocks;
    if (blocks == 0)
        c->kv_blocks = cost_model_kv_tokens(&s->cost, most_tokens, most_sequences) / (uint64_t)block_tokens;
    c->max_tokens = s->cost.model.max_tokens;
    return read_order(s, &policy, err) || read_admission(&policy, c, err) ? -1 : 0;
}

static int read_limit(struct slo *slo, const struct json *metric, const cJSON *node, struct error *err)
{
    static const struct {
        const char *name;
        double quantile;
    } statistics[] = {{"mean", -1},  {"p50", 0.5},     {"p90", 0.9}, {"p95", 0.95},
                      {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1}};
    struct json at = json_member(metric, node->string);
    for (size_t i = 0; i < sizeof statistics / sizeof *statistics; i++) {
        if (strcmp(statistics[i].name, node->string) != 0)
            continue;
        if (slo->count == SLO_LIMITS_MAX)
            return json_complain(&at, "no more than 16 limits", err);
        struct slo_limit *limit = &slo->limits[slo->count++];
        limit->quantile = statistics[i].quantile;
        snprintf(limit->metric, sizeof limit->metric, "%s", strrchr(metric->path, '.') + 1);
        snprintf(limit->statistic, sizeof limit->statistic, "%s", node->string);
        return json_read_number(metric, node->string, true, 1e-9, 1e9, &limit->limit_s, err);
    }
    return json_complain(&at, "mean, p50, p90, p95, p99, p99.9 or max as the key", err);
}

static int read_slo(struct scenario *s, struct error *err)
{
    static const char *const keys[] = {"ttft_s", "tpot_s", "itl_s", "e2e_s", "normalized_s", "attainment", NULL};
    struct json slo = json_member(&s->root, "slo");
    if (!slo.node)
        return 0;
    if (json_check_keys(&slo, keys, err) || json_read_number(&slo, "attainment", false, 0, 1, &s->slo.attainment, err))
        return -1;
    for (const char *const *key = keys; strcmp(*key, "attainment") != 0; key++) {
        struct json metric = json_member(&slo, *key);
        if (metric.node && !cJSON_IsObject(metric.node))
            return json_complain(&metric, "an object like {\"p99\": 2.0}", err);
        for (const cJSON *n = metric.node ? metric.node->child : NULL; n; n = n->next)
            if (read_limit(&s->slo, &metric, n, err))
                return -1;
    }
    return 0;
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

static int read_output(struct scenario *s, struct error *err)
{
    static const char *const keys[] = {"requests", "timeseries_s", "warmup", NULL};
    struct json output = json_member(&s->root, "output"), workload = json_member(&s->root, "workload");
    double interval = 0;
    const char *warmup = json_member(&workload, "trace").node ? "none" : "mser5";
    if (output.node && (json_check_keys(&output, keys, err) || read_share(&output, &s->keep_requests, err) ||
                        json_read_number(&output, "timeseries_s", false, 0, 1e9, &interval, err) ||
                        json_read_string(&output, "warmup", false, &warmup, err)))
        return -1;
    s->timeseries = s->cluster.probe_interval = sim_time_from_s(interval);
    struct json at = json_member(&output, "warmup");
    s->warmup = strcmp(warmup, "none") == 0 ? WARMUP_NONE : WARMUP_MSER5;
    return s->warmup == WARMUP_NONE || strcmp(warmup, "mser5") == 0 ? 0
                                                                    : json_complain(&at, "\"mser5\" or \"none\"", err);
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
    return read_cluster(s, err) || read_policy(s, err) || read_slo(s, err) || read_output(s, err) ? -1 : 0;
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
    cost_model_release(&s->cost);
    cJSON_Delete((cJSON *)(uintptr_t)s->root.node);
    s->root.node = NULL;
}

int scenario_open_workload(const struct scenario *s, struct request_source *out, struct error *err)
{
    struct json workload = json_member(&s->root, "workload");
    return workload_create(&workload, s->seed, out, err);
}
