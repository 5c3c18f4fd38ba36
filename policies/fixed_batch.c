/* SPDX-License-Identifier: MIT */
#include "policies/static_batch.h"

static const struct param_spec params[] = {
    {"size", PARAM_INTEGER, "sequences", 8, 1, 65536, "of every batch", NULL, NULL},
    {"flush_after_s", PARAM_NUMBER, "s", 60, 0.001, 1e6,
     "a smaller batch goes when its oldest request has waited so long: the last ones of a workload", NULL, NULL},
    {0},
};

static int create(void **state, const struct param_set *set, struct error *err)
{
    sim_time flush = sim_time_from_s(param_number(set, "flush_after_s"));
    return static_batch_create(state, (uint32_t)param_number(set, "size"), flush, err);
}

static struct batch_limits limits(const struct param_set *set, uint64_t longest)
{
    struct batch_limits of_batch = static_batch_limits((uint64_t)param_number(set, "size"), longest);
    of_batch.least = of_batch.sequences;
    return of_batch;
}

const struct batching_policy policy_fixed_batch = {
    .name = "fixed_batch",
    .summary = "exactly so many at a time, padded to the longest; the batch lasts as long as its longest output",
    .source = "Yang, Xu, Jiao 2024, A Queueing Theoretic Perspective on Low-Latency LLM Inference, arXiv 2407.05347",
    .params = params,
    .admission = ADMIT_RESERVE_MAX,
    .holds_finished_kv = true,
    .create = create,
    .limits = limits,
    .form_batch = static_batch_form,
    .destroy = static_batch_destroy,
};
