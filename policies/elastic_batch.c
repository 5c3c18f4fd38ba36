/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "policies/drain_batch.h"

static const struct param_spec params[] = {
    {"max_sequences", PARAM_INTEGER, "sequences", 1024, 1, 65536, "cap of a batch", NULL, NULL},
    {"batch_wait_s", PARAM_NUMBER, "s", 0, 0, 3600, "how long the oldest request waits for a full batch", NULL, NULL},
    {0},
};

const struct batching_policy policy_elastic_batch = {
    .name = "elastic_batch",
    .summary = "all that wait, each leaving as soon as it is done while the batch goes on",
    .source = "Yang, Xu, Jiao 2024, A Queueing Theoretic Perspective on Low-Latency LLM Inference, arXiv 2407.05347",
    .params = params,
    .admission = ADMIT_RESERVE_MAX,
    .create = drain_batch_create,
    .limits = drain_batch_limits,
    .form_batch = drain_batch_form,
    .destroy = free,
};
