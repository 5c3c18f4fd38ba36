/* SPDX-License-Identifier: MIT */
#include "policies/routing.h"

static uint64_t rank(const struct replica_load *load)
{
    return load->outstanding_tokens;
}

static const struct param_spec params[] = {{0}};

const struct routing_policy routing_least_outstanding_tokens = {
    .name = "least_outstanding_tokens",
    .summary = "fewest tokens not yet answered for, waiting and running; the first of equals",
    .params = params,
    .rank = rank};
