/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "policies/drain_batch.h"

static const struct param_spec params[] = {
    {"max_sequences", PARAM_INTEGER, "sequences", 32, 1, 65536, "most requests in a batch", NULL, NULL},
    {"batch_wait_s", PARAM_NUMBER, "s", 0, 0, 3600, "how long the oldest request waits for a full batch", NULL, NULL},
    {0},
};

const struct batching_policy policy_decode_priority = {
    .name = "decode_priority",
    .summary = "request-level batches of ragged rows that each leave when done; nobody joins until all have",
    .source = "FasterTransformer, as Sarathi-Serve describes it (Agrawal et al., OSDI 2024, section 2.5)",
    .params = params,
    .admission = ADMIT_RESERVE_MAX,
    .create = drain_batch_create,
    .limits = drain_batch_limits,
    .form_batch = drain_batch_form,
    .destroy = free,
};
