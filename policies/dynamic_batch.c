/* SPDX-License-Identifier: MIT */
#include "policies/static_batch.h"

static const struct param_spec params[] = {
    {"max_sequences", PARAM_INTEGER, "sequences", 1024, 1, 65536, "cap of a batch", NULL, NULL},
    {0},
};

static int create(void **state, const struct param_set *set, struct error *err)
{
    return static_batch_create(state, (uint32_t)param_number(set, "max_sequences"), 0, err);
}

static struct batch_limits limits(const struct param_set *set, uint64_t longest)
{
    return static_batch_limits((uint64_t)param_number(set, "max_sequences"), longest);
}

const struct batching_policy policy_dynamic_batch = {
    .name = "dynamic_batch",
    .summary = "all that wait, up to a cap, padded to the longest; the batch lasts as long as its longest output",
    .source = "Yang, Xu, Jiao 2024, A Queueing Theoretic Perspective on Low-Latency LLM Inference, arXiv 2407.05347",
    .params = params,
    .admission = ADMIT_RESERVE_MAX,
    .holds_finished_kv = true,
    .create = create,
    .limits = limits,
    .form_batch = static_batch_form,
    .destroy = static_batch_destroy,
};
