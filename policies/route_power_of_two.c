/* SPDX-License-Identifier: MIT */
#include "policies/routing.h"

/* Two different replicas at random; the one with fewer outstanding requests, the first drawn of equals. */
static size_t choose(uint64_t *cursor, size_t count, const struct request *r, const struct routing_view *view)
{
    (void)cursor;
    uint64_t draw = routing_scramble(r->id);
    size_t first = (size_t)(draw % count), second = (first + 1 + (size_t)((draw >> 32) % (count - 1))) % count;
    const struct replica_load *a = routing_load(view, first), *b = routing_load(view, second);
    return b->outstanding_requests < a->outstanding_requests ? second : first;
}

static const struct param_spec params[] = {{0}};

const struct routing_policy routing_power_of_two = {
    .name = "power_of_two",
    .summary = "two replicas at random, the one with fewer outstanding requests (Mitzenmacher 2001)",
    .params = params,
    .choose = choose};
