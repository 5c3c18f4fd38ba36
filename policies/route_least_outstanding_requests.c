/* SPDX-License-Identifier: MIT */
#include "policies/routing.h"

static uint64_t rank(const struct replica_load *load)
{
    return load->outstanding_requests;
}

static const struct param_spec params[] = {{0}};

const struct routing_policy routing_least_outstanding_requests = {
    .name = "least_outstanding_requests",
    .summary = "fewest requests not yet answered, waiting and running; the first of equals",
    .params = params,
    .rank = rank};
