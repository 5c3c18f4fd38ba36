/* SPDX-License-Identifier: MIT */
#include "policies/routing.h"

static const struct param_spec params[] = {{0}};

const struct routing_policy routing_central_queue = {
    .name = "central_queue",
    .summary = "requests wait at the router; a replica takes from there when it has room (M/G/c)",
    .params = params,
    .central = true};
