/* SPDX-License-Identifier: MIT */
/* The one place that lists policies: a new one is a file of its own and a line here. */
#include <string.h>

#include "policies/batching.h"
#include "policies/ordering.h"
#include "policies/routing.h"
#include "policies/scaling.h"

extern const struct batching_policy policy_static_padded, policy_static_prepacked, policy_dynamic_batch,
    policy_fixed_batch, policy_elastic_batch, policy_decode_priority, policy_continuous, policy_prefill_first,
    policy_piggyback, policy_chunked_prefill, policy_unified_budget, policy_lightllm, policy_adaptive_chunk;

const struct batching_policy *const batching_policies[] = {
    &policy_static_padded,  &policy_static_prepacked,
    &policy_dynamic_batch,  &policy_fixed_batch,
    &policy_elastic_batch,  &policy_decode_priority,
    &policy_continuous,     &policy_prefill_first,
    &policy_piggyback,      &policy_chunked_prefill,
    &policy_unified_budget, &policy_lightllm,
    &policy_adaptive_chunk, NULL,
};

extern const struct routing_policy routing_round_robin, routing_random, routing_power_of_two,
    routing_least_outstanding_requests, routing_least_outstanding_tokens, routing_central_queue,
    routing_prefix_affinity, routing_session_affinity, routing_slo_aware, routing_predicted_kv;

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

const struct scaling_policy *scaling_policy_find(const char *name)
{
    for (const struct scaling_policy *const *p = scaling_policies; *p; p++)
        if (strcmp((*p)->name, name) == 0)
            return *p;
    return NULL;
}

const struct batching_policy *batching_policy_find(const char *name)
{
    for (const struct batching_policy *const *p = batching_policies; *p; p++)
        if (strcmp((*p)->name, name) == 0)
            return *p;
    return NULL;
}

struct batch_limits batching_policy_limits(const struct batching_policy *policy, const struct param_set *params,
                                           uint64_t longest)
{
    return policy->limits ? policy->limits(params, longest)
                          : (struct batch_limits){.tokens = longest, .sequences = 256};
}

const struct routing_policy *routing_policy_find(const char *name)
{
    for (const struct routing_policy *const *p = routing_policies; *p; p++)
        if (strcmp((*p)->name, name) == 0)
            return *p;
    return NULL;
}

const struct order_policy *order_policy_find(const char *name)
{
    for (const struct order_policy *const *p = order_policies; *p; p++)
        if (strcmp((*p)->name, name) == 0)
            return *p;
    return NULL;
}

const char *scaling_policy_name(const void *names, size_t index)
{
    (void)names;
    return scaling_policies[index] ? scaling_policies[index]->name : NULL;
}

const char *batching_policy_name(const void *names, size_t index)
{
    (void)names;
    return batching_policies[index] ? batching_policies[index]->name : NULL;
}

const char *routing_policy_name(const void *names, size_t index)
{
    (void)names;
    return routing_policies[index] ? routing_policies[index]->name : NULL;
}

const char *order_policy_name(const void *names, size_t index)
{
    (void)names;
    return order_policies[index] ? order_policies[index]->name : NULL;
}
