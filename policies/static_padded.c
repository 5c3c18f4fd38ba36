/* SPDX-License-Identifier: MIT */
#include "policies/static_batch.h"

static const struct param_spec params[] = {
    {"max_sequences", PARAM_INTEGER, "sequences", 32, 1, 65536, "most requests in a batch", NULL, NULL},
    {"batch_wait_s", PARAM_NUMBER, "s", 0, 0, 3600, "how long the oldest request waits for a full batch", NULL, NULL},
    {0},
};

static struct batch_limits limits(const struct param_set *set, uint64_t longest)
{
    return static_batch_limits((uint64_t)param_number(set, "max_sequences"), longest);
}

const struct batching_policy policy_static_padded = {
    .name = "static_padded",
    .summary = "request-level batches, every prompt padded to the longest; all leave before others join",
    .source = "plain transformer libraries (Hugging Face generate)",
    .params = params,
    .admission = ADMIT_RESERVE_MAX,
    .holds_finished_kv = true,
    .create = static_batch_create_waiting,
    .limits = limits,
    .form_batch = static_batch_form,
    .destroy = static_batch_destroy,
};
