/* SPDX-License-Identifier: MIT */
/* The one place that lists policies: a new one is a file of its own and a line here. */
#include "policies/registry.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "policies/plugins.h"

extern const struct batching_policy policy_static_padded, policy_static_prepacked, policy_dynamic_batch,
    policy_fixed_batch, policy_elastic_batch, policy_decode_priority, policy_continuous, policy_prefill_first,
    policy_piggyback, policy_chunked_prefill, policy_unified_budget, policy_lightllm, policy_adaptive_chunk,
    policy_sglang, policy_trtllm;

const struct batching_policy *const batching_policies[] = {
    &policy_static_padded,  &policy_static_prepacked, &policy_dynamic_batch,  &policy_fixed_batch,
    &policy_elastic_batch,  &policy_decode_priority,  &policy_continuous,     &policy_prefill_first,
    &policy_piggyback,      &policy_chunked_prefill,  &policy_unified_budget, &policy_lightllm,
    &policy_adaptive_chunk, &policy_sglang,           &policy_trtllm,         NULL,
};

extern const struct routing_policy routing_round_robin, routing_random, routing_power_of_two,
    routing_least_outstanding_requests, routing_least_outstanding_tokens, routing_central_queue,
    routing_prefix_affinity, routing_session_affinity, routing_slo_aware, routing_predicted_kv, routing_weighted,
    routing_llm_d, routing_dynamo;

const struct routing_policy *const routing_policies[] = {
    &routing_round_robin,
    &routing_random,
    &routing_power_of_two,
    &routing_least_outstanding_requests,
    &routing_least_outstanding_tokens,
    &routing_central_queue,
    &routing_prefix_affinity,
    &routing_session_affinity,
    &routing_slo_aware,
    &routing_predicted_kv,
    &routing_weighted,
    &routing_llm_d,
    &routing_dynamo,
    NULL,
};

extern const struct order_policy order_fcfs, order_sjf, order_srpt, order_edf, order_length_bucket, order_decode_ratio,
    order_priority, order_fair, order_skip_predict, order_resource_aware, order_lpm;

const struct order_policy *const order_policies[] = {
    &order_fcfs,          &order_sjf,
    &order_srpt,          &order_edf,
    &order_length_bucket, &order_decode_ratio,
    &order_priority,      &order_fair,
    &order_skip_predict,  &order_resource_aware,
    &order_lpm,           NULL,
};

extern const struct scaling_policy scaling_concurrency, scaling_waiting, scaling_rate;

const struct scaling_policy *const scaling_policies[] = {&scaling_concurrency, &scaling_waiting, &scaling_rate, NULL};

const char *const policy_axis_names[POLICY_AXES] = {"batching", "order", "routing", "predictor", "autoscaling"};

/* What stands in a complaint. */
static const char *const articles[POLICY_AXES] = {"a batching policy", "an order", "a routing policy", "a predictor",
                                                  "an autoscaling policy"};

static const void *built_in(enum policy_axis axis, size_t index)
{
    switch (axis) {
    case AXIS_BATCHING:
        return batching_policies[index];
    case AXIS_ORDER:
        return order_policies[index];
    case AXIS_ROUTING:
        return routing_policies[index];
    case AXIS_PREDICTOR:
        return predictors[index];
    default:
        return scaling_policies[index];
    }
}

const void *policy_at(enum policy_axis axis, size_t index)
{
    size_t count = 0;
    while (count < index && built_in(axis, count))
        count++;
    const void *policy = built_in(axis, count);
    return policy ? policy : plugin_policy(axis, index - count);
}

const char *policy_name(const void *policy)
{
    static_assert(offsetof(struct batching_policy, name) == 0 && offsetof(struct order_policy, name) == 0 &&
                      offsetof(struct routing_policy, name) == 0 && offsetof(struct predictor, name) == 0 &&
                      offsetof(struct scaling_policy, name) == 0,
                  "every kind of policy begins with its name");
    return *(const char *const *)policy;
}

const void *policy_find(enum policy_axis axis, const char *name)
{
    const void *policy;
    for (size_t i = 0; (policy = policy_at(axis, i)); i++)
        if (strcmp(policy_name(policy), name) == 0)
            return policy;
    return NULL;
}

const struct batching_policy *batching_policy_find(const char *name)
{
    return policy_find(AXIS_BATCHING, name);
}

const struct order_policy *order_policy_find(const char *name)
{
    return policy_find(AXIS_ORDER, name);
}

const struct routing_policy *routing_policy_find(const char *name)
{
    return policy_find(AXIS_ROUTING, name);
}

const struct predictor *predictor_find(const char *name)
{
    return policy_find(AXIS_PREDICTOR, name);
}

const struct scaling_policy *scaling_policy_find(const char *name)
{
    return policy_find(AXIS_AUTOSCALING, name);
}

struct batch_limits batching_policy_limits(const struct batching_policy *policy, const struct param_set *params,
                                           uint64_t longest)
{
    return policy->limits ? policy->limits(params, longest)
                          : (struct batch_limits){.tokens = longest, .sequences = 256};
}

bool policy_name_is_path(const char *name)
{
    size_t length = strlen(name);
    return strchr(name, '/') || (length > 3 && strcmp(name + length - 3, ".so") == 0);
}

static const char *name_at(const void *axis, size_t index)
{
    const void *policy = policy_at(*(const enum policy_axis *)axis, index);
    return policy ? policy_name(policy) : NULL;
}

int policy_complain(const struct json *at, enum policy_axis axis, const char *found, struct error *err)
{
    char expected[160];
    if (policy_name_is_path(found)) {
        snprintf(expected, sizeof expected,
                 "the name of %s (a shared object is named on the command line, --plugin PATH)", articles[axis]);
        return json_complain(at, expected, err);
    }
    snprintf(expected, sizeof expected, "%s (tandem list policies; --plugin brings others)", articles[axis]);
    return json_complain_of_name(at, expected, found, name_at, &axis, err);
}
