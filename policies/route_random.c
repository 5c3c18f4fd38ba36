/* SPDX-License-Identifier: MIT */
#include "policies/routing.h"

static size_t choose(uint64_t *cursor, size_t count, const struct request *r, const struct routing_view *view)
{
    (void)cursor, (void)view;
    return (size_t)(routing_scramble(r->id) % count);
}

static const struct param_spec params[] = {{0}};

const struct routing_policy routing_random = {.name = "random",
                                              .summary = "any replica, equally likely; each is then a queue of its own",
                                              .params = params,
                                              .oblivious = true,
                                              .choose = choose};
