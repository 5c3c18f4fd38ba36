/* SPDX-License-Identifier: MIT */
/* What a scenario says of failures, autoscaling and admission. */
#include <math.h>

#include "policies/registry.h"
#include "sim/choices.h"
#include "sim/fleet.h"
#include "sim/names.h"

struct outage_said {
    double at_s, for_s;
};

static const struct field outage_fields[] = {
    {.is = {"replica", PARAM_INTEGER, "", 0, 0, INFINITY,
            "replica that fails, counted from 0: of the pool that says so, else of the whole cluster", NULL, NULL},
     .required = true},
    {.is = {"at_s", PARAM_NUMBER, "s", 0, 0, 1e9, "instant at which it fails", NULL, NULL},
     .required = true,
     .into = FIELD_INTO(struct outage_said, at_s)},
    {.is = {"for_s", PARAM_NUMBER, "s", 0, 1e-9, 1e9, "time until it serves again", NULL, NULL},
     .required = true,
     .into = FIELD_INTO(struct outage_said, for_s)},
    {.is.name = NULL}};

static const struct field outage[] = {
    {.is = {.name = "OUTAGE", .help = "an outage"}, .kind = FIELD_OBJECT, .members = outage_fields}, {.is.name = NULL}};

struct failures_said {
    double mtbf_s, mttr_s;
    int fate;
};

static const struct field failures_fields[] = {
    {.is = {"mtbf_s", PARAM_NUMBER, "s", 0, 1e-7, 1e12, "mean time from a replica's repair to its failure, exponential",
            NULL, NULL},
     .otherwise = "none fails by chance",
     .into = FIELD_INTO(struct failures_said, mtbf_s)},
    {.is = {"mttr_s", PARAM_NUMBER, "s", 600, 1e-7, 1e9, "mean time to repair it, exponential", NULL, NULL},
     .into = FIELD_INTO(struct failures_said, mttr_s)},
    {.is = {.name = "schedule", .help = "failures at given times, at most 256"}, .kind = FIELD_LIST, .members = outage},
    {.is = {.name = "requests", .preset_text = "reroute", .help = "what becomes of a failed replica's requests"},
     .kind = FIELD_CHOICE,
     .choices = fates,
     .into = FIELD_INTO(struct failures_said, fate)},
    {.is.name = NULL}};

struct scaling_said {
    double interval_s, cold_start_s, slow_down_s;
};

static const struct field scaling_fields[] = {
    {.is = {.name = "policy",
            .preset_text = "concurrency",
            .help = "policy that says how many replicas there should be"},
     .kind = FIELD_NAMED,
     .names = scaling_policy_at,
     .title = "scaling_policy"},
    {.is = {"least", PARAM_INTEGER, "replicas", 1, 1, INFINITY,
            "replicas that there always are, and are at the start; at most all that the autoscaling is of", NULL,
            NULL}},
    {.is = {"interval_s", PARAM_NUMBER, "s", 15, 1e-7, 1e6, "time between two decisions", NULL, NULL},
     .into = FIELD_INTO(struct scaling_said, interval_s)},
    {.is = {"cold_start_s", PARAM_NUMBER, "s", 60, 0, 1e6, "time that a replica takes to start", NULL, NULL},
     .into = FIELD_INTO(struct scaling_said, cold_start_s)},
    {.is = {"slow_down_s", PARAM_NUMBER, "s", 300, 0, 1e6,
            "the most replicas wanted within this time are kept, so that few are stopped too early", NULL, NULL},
     .into = FIELD_INTO(struct scaling_said, slow_down_s)},
    {.is.name = NULL}};

struct admission_said {
    long long waiting, tokens;
    double patience_s;
};

#define SHEDDING                                                                                                       \
    {.is = {"most_waiting", PARAM_INTEGER, "requests", 0, 1, 1e12,                                                     \
            "a replica at which so many requests wait takes no more", NULL, NULL},                                     \
     .otherwise = "no limit",                                                                                          \
     .into = FIELD_INTO(struct admission_said, waiting)},                                                              \
        {.is = {"most_outstanding_tokens", PARAM_INTEGER, "tokens", 0, 1, 1e15,                                        \
                "a replica takes no request with which it would have more tokens to serve", NULL, NULL},               \
         .otherwise = "no limit",                                                                                      \
         .into = FIELD_INTO(struct admission_said, tokens)},                                                           \
    {                                                                                                                  \
        .is = {"give_up_s",                                                                                            \
               PARAM_NUMBER,                                                                                           \
               "s",                                                                                                    \
               0,                                                                                                      \
               1e-9,                                                                                                   \
               1e9,                                                                                                    \
               "a request that has been in no batch so long after its arrival gives up",                               \
               NULL,                                                                                                   \
               NULL},                                                                                                  \
        .otherwise = "never", .into = FIELD_INTO(struct admission_said, patience_s)                                    \
    }

const struct field shedding_fields[] = {SHEDDING, {.is.name = NULL}};

#define FAILURES_AND_SCALING(OTHERWISE)                                                                                \
    {.is = {.name = "failures", .help = "replicas that fail and are repaired (docs/planner.md)"},                      \
     .kind = FIELD_OBJECT,                                                                                             \
     .otherwise = OTHERWISE,                                                                                           \
     .members = failures_fields,                                                                                       \
     .title = "failures"},                                                                                             \
    {                                                                                                                  \
        .is = {.name = "autoscaling", .help = "replicas that are started and stopped (docs/planner.md)"},              \
        .kind = FIELD_OBJECT, .otherwise = OTHERWISE, .members = scaling_fields, .title = "autoscaling"                \
    }

const struct field fleet_fields[] = {FAILURES_AND_SCALING(NULL),
                                     {.is = {.name = "admission",
                                             .help = "when a replica takes no more requests (docs/planner.md)"},
                                      .kind = FIELD_OBJECT,
                                      .members = shedding_fields,
                                      .title = "shedding"},
                                     {.is.name = NULL}};

static const struct field pool_shedding_fields[] = {
    {.is = {"name", PARAM_TEXT, "", 0, 0, 0, "KV that a request needs to be admitted (docs/policies/admission.md)",
            NULL, NULL},
     .otherwise = "the policy's"},
    SHEDDING,
    {.is.name = NULL}};

static const struct field pool_admission_forms[] = {
    {.is = {.name = "KV", .help = "KV that a request needs to be admitted (docs/policies/admission.md)"},
     .kind = FIELD_CHOICE,
     .choices = kv_admissions},
    {.is = {.name = "SHEDDING", .help = "the same, and when a replica takes no more requests (docs/planner.md)"},
     .kind = FIELD_OBJECT,
     .members = pool_shedding_fields,
     .title = "pool_shedding"},
    {.is.name = NULL}};

const struct field pool_fleet_fields[] = {FAILURES_AND_SCALING("the cluster's"),
                                          {.is = {.name = "admission",
                                                  .help = "when a replica of the pool takes a request"},
                                           .kind = FIELD_FORMS,
                                           .otherwise = "the policy's and the cluster's",
                                           .members = pool_admission_forms},
                                          {.is.name = NULL}};

/* A cluster's schedule counts the replicas of all pools: some may be of another fleet. */
static int read_outage(struct fleet_config *c, const struct json *at, size_t first, size_t replicas, struct error *err)
{
    long long replica = 0;
    struct outage_said said = {0};
    if (c->outage_count == OUTAGES_MAX)
        return json_complain(at, "no more than 256 outages", err);
    if (fields_read(at, outage_fields, &said, err) ||
        json_read_integer(at, "replica", true, 0, (long long)replicas - 1, &replica, err))
        return -1;
    size_t own = (size_t)replica - first;
    if (own < c->count)
        c->outages[c->outage_count++] = (struct outage){own, sim_time_from_s(said.at_s), sim_time_from_s(said.for_s)};
    return 0;
}

static int read_failures(struct fleet_config *c, const struct json *at, size_t first, size_t replicas,
                         struct error *err)
{
    struct failures_said said = {0};
    struct json schedule = json_member(at, "schedule");
    if (fields_read(at, failures_fields, &said, err))
        return -1;
    c->mtbf_s = said.mtbf_s;
    c->mttr_s = said.mttr_s;
    c->lose = said.fate;
    if (schedule.node && !cJSON_IsArray(schedule.node))
        return json_complain(&schedule, "a list of {\"replica\", \"at_s\", \"for_s\"}", err);
    for (struct json one = json_first(&schedule); one.node; one = json_next(&one))
        if (read_outage(c, &one, first, replicas, err))
            return -1;
    return 0;
}

/* The policy's own parameters are a member, "policy", which is its name or an object. */
static int read_scaling(struct fleet_config *c, const struct json *at, struct error *err)
{
    struct json policy = json_member(at, "policy");
    struct scaling_said said = {0};
    const char *name = "concurrency";
    long long least = 1;
    if (cJSON_IsString(policy.node))
        name = policy.node->valuestring;
    else if (policy.node && json_read_string(&policy, "name", true, &name, err))
        return -1;
    c->scaling = scaling_policy_find(name);
    if (!c->scaling)
        return policy_complain(&policy, AXIS_AUTOSCALING, name, err);
    struct json none = {0};
    if (fields_read(at, scaling_fields, &said, err) ||
        param_set_read(&c->scaling_params, c->scaling->params, cJSON_IsObject(policy.node) ? &policy : &none, err) ||
        json_read_integer(at, "least", false, 1, (long long)c->count, &least, err))
        return -1;
    c->least = (size_t)least;
    c->interval = sim_time_from_s(said.interval_s);
    c->cold_start = sim_time_from_s(said.cold_start_s);
    c->slow_down = sim_time_from_s(said.slow_down_s);
    return 0;
}

static int read_admission(struct fleet_config *c, const struct json *at, struct error *err)
{
    struct admission_said said = {-1, -1, -1};
    if (fields_read(at, json_member(at, "name").node ? pool_shedding_fields : shedding_fields, &said, err))
        return -1;
    c->most_waiting = said.waiting < 0 ? UINT64_MAX : (uint64_t)said.waiting;
    c->most_outstanding_tokens = said.tokens < 0 ? UINT64_MAX : (uint64_t)said.tokens;
    c->patience = said.patience_s < 0 ? SIM_TIME_NEVER : sim_time_from_s(said.patience_s);
    return 0;
}

/* A pool's "admission" may say nothing but its "name". */
static bool sheds(const struct json *admission)
{
    return cJSON_IsObject(admission->node) &&
           (cJSON_GetArraySize(admission->node) > 1 || !json_member(admission, "name").node);
}

struct fleet_said fleet_said_of(const struct json *pool, const struct json *cluster)
{
    struct fleet_said said = {.failures = json_member(pool, "failures"),
                              .scaling = json_member(pool, "autoscaling"),
                              .admission = json_member(pool, "admission"),
                              .failures_of_cluster = !json_member(pool, "failures").node};
    said.sheds_itself = sheds(&said.admission);
    said.says_itself = said.failures.node || said.scaling.node || said.sheds_itself;
    if (!said.failures.node)
        said.failures = json_member(cluster, "failures");
    if (!said.scaling.node)
        said.scaling = json_member(cluster, "autoscaling");
    if (!said.sheds_itself)
        said.admission = json_member(cluster, "admission");
    return said;
}

int fleet_read(struct fleet_config *out, const struct fleet_said *said, size_t replicas, struct error *err)
{
    const struct json *failures = &said->failures, *scaling = &said->scaling, *admission = &said->admission;
    bool all = said->failures_of_cluster;
    *out = (struct fleet_config){.pools = out->pools,
                                 .first = out->first,
                                 .count = out->count,
                                 .most_waiting = UINT64_MAX,
                                 .most_outstanding_tokens = UINT64_MAX,
                                 .patience = SIM_TIME_NEVER};
    out->asked = failures->node || scaling->node || admission->node;
    return (failures->node && read_failures(out, failures, all ? out->first : 0, all ? replicas : out->count, err)) ||
                   (scaling->node && read_scaling(out, scaling, err)) ||
                   (admission->node && read_admission(out, admission, err))
               ? -1
               : 0;
}
