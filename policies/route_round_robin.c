/* SPDX-License-Identifier: MIT */
#include "policies/routing.h"

static size_t choose(uint64_t *cursor, size_t count, const struct request *r, const struct routing_view *view)
{
    (void)r, (void)view;
    return (size_t)((*cursor)++ % count);
}

static const struct param_spec params[] = {{0}};

const struct routing_policy routing_round_robin = {
    .name = "round_robin", .summary = "each replica in turn", .params = params, .oblivious = true, .choose = choose};
