/* SPDX-License-Identifier: MIT */
#include "policies/routing.h"

static size_t choose(uint64_t *cursor, const struct replica_load *loads, size_t count, const struct request *r)
{
    (void)cursor, (void)r;
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (loads[i].outstanding_tokens < loads[best].outstanding_tokens)
            best = i;
    return best;
}

static const struct param_spec params[] = {{0}};

const struct routing_policy routing_least_outstanding_tokens = {
    .name = "least_outstanding_tokens",
    .summary = "fewest tokens still to compute, waiting and running; the first of equals",
    .params = params,
    .choose = choose};
