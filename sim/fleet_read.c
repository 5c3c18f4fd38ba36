/* SPDX-License-Identifier: MIT */
/* What a scenario says of failures, autoscaling and admission. */
#include "policies/registry.h"
#include "sim/choices.h"
#include "sim/fleet.h"

static int read_outage(struct fleet_config *c, const struct json *at, size_t replicas, struct error *err)
{
    static const char *const keys[] = {"replica", "at_s", "for_s", NULL};
    long long replica = 0;
    double from = 0, lasts = 0;
    if (c->outage_count == OUTAGES_MAX)
        return json_complain(at, "no more than 256 outages", err);
    if (json_check_keys(at, keys, err) ||
        json_read_integer(at, "replica", true, 0, (long long)replicas - 1, &replica, err) ||
        json_read_number(at, "at_s", true, 0, 1e9, &from, err) ||
        json_read_number(at, "for_s", true, 1e-9, 1e9, &lasts, err))
        return -1;
    c->outages[c->outage_count++] = (struct outage){(size_t)replica, sim_time_from_s(from), sim_time_from_s(lasts)};
    return 0;
}

static int read_failures(struct fleet_config *c, const struct json *at, size_t replicas, struct error *err)
{
    static const char *const keys[] = {"mtbf_s", "mttr_s", "schedule", "requests", NULL};
    int lost = 0;
    struct json schedule = json_member(at, "schedule"), named = json_member(at, "requests");
    c->mttr_s = 600;
    if (json_check_keys(at, keys, err) || json_read_number(at, "mtbf_s", false, 1e-7, 1e12, &c->mtbf_s, err) ||
        json_read_number(at, "mttr_s", false, 1e-7, 1e9, &c->mttr_s, err) || choice_read(&named, fates, &lost, err))
        return -1;
    c->lose = lost;
    if (schedule.node && !cJSON_IsArray(schedule.node))
        return json_complain(&schedule, "a list of {\"replica\", \"at_s\", \"for_s\"}", err);
    for (int i = 0; i < cJSON_GetArraySize(schedule.node); i++) {
        struct json outage = json_element(&schedule, i);
        if (read_outage(c, &outage, replicas, err))
            return -1;
    }
    return 0;
}

/* The policy's own parameters are a member, "policy", which is its name or an object. */
static int read_scaling(struct fleet_config *c, const struct json *at, size_t replicas, struct error *err)
{
    static const char *const keys[] = {"policy", "least", "interval_s", "cold_start_s", "slow_down_s", NULL};
    struct json policy = json_member(at, "policy");
    const char *name = "concurrency";
    long long least = 1;
    double interval = 15, cold_start = 60, slow_down = 300;
    if (cJSON_IsString(policy.node))
        name = policy.node->valuestring;
    else if (policy.node && json_read_string(&policy, "name", true, &name, err))
        return -1;
    c->scaling = scaling_policy_find(name);
    if (!c->scaling)
        return policy_complain(&policy, AXIS_AUTOSCALING, name, err);
    struct json none = {0};
    if (json_check_keys(at, keys, err) ||
        param_set_read(&c->scaling_params, c->scaling->params, cJSON_IsObject(policy.node) ? &policy : &none, err) ||
        json_read_integer(at, "least", false, 1, (long long)replicas, &least, err) ||
        json_read_number(at, "interval_s", false, 1e-7, 1e6, &interval, err) ||
        json_read_number(at, "cold_start_s", false, 0, 1e6, &cold_start, err) ||
        json_read_number(at, "slow_down_s", false, 0, 1e6, &slow_down, err))
        return -1;
    c->least = (size_t)least;
    c->interval = sim_time_from_s(interval);
    c->cold_start = sim_time_from_s(cold_start);
    c->slow_down = sim_time_from_s(slow_down);
    return 0;
}

static int read_admission(struct fleet_config *c, const struct json *at, struct error *err)
{
    static const char *const keys[] = {"most_waiting", "most_outstanding_tokens", "give_up_s", NULL};
    long long waiting = -1, tokens = -1;
    double patience = -1;
    if (json_check_keys(at, keys, err) ||
        json_read_integer(at, "most_waiting", false, 1, 1000000000000, &waiting, err) ||
        json_read_integer(at, "most_outstanding_tokens", false, 1, 1000000000000000, &tokens, err) ||
        json_read_number(at, "give_up_s", false, 1e-9, 1e9, &patience, err))
        return -1;
    c->most_waiting = waiting < 0 ? UINT64_MAX : (uint64_t)waiting;
    c->most_outstanding_tokens = tokens < 0 ? UINT64_MAX : (uint64_t)tokens;
    c->patience = patience < 0 ? SIM_TIME_NEVER : sim_time_from_s(patience);
    return 0;
}

int fleet_read(struct fleet_config *out, const struct json *cluster, size_t replicas, struct error *err)
{
    struct json failures = json_member(cluster, "failures"), scaling = json_member(cluster, "autoscaling"),
                admission = json_member(cluster, "admission");
    *out = (struct fleet_config){.most_waiting = UINT64_MAX,
                                 .most_outstanding_tokens = UINT64_MAX,
                                 .patience = SIM_TIME_NEVER};
    out->asked = failures.node || scaling.node || admission.node;
    return (failures.node && read_failures(out, &failures, replicas, err)) ||
                   (scaling.node && read_scaling(out, &scaling, replicas, err)) ||
                   (admission.node && read_admission(out, &admission, err))
               ? -1
               : 0;
}
