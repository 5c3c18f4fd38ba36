/* SPDX-License-Identifier: MIT */
/* routing.h — decides which replica an arriving request goes to. */
#ifndef TANDEM_POLICIES_ROUTING_H
#define TANDEM_POLICIES_ROUTING_H

#include <stddef.h>
#include <stdint.h>

#include "base/param.h"
#include "workloads/request.h"

/* What a router in front of the engines can count: it sees a request when it sends it, its first output token
 * and its last. Waiting and running requests both are outstanding. */
struct replica_load {
    uint64_t outstanding_requests;
    uint64_t outstanding_tokens; /* prompts until their first output token, longest outputs until their last */
};

/* A policy has exactly one of the three. */
struct routing_policy {
    const char *name, *summary;
    const struct param_spec *params;
    /* The replicas share one queue, from which each takes when it has room. */
    bool central;
    /* The replica of lowest rank gets the request, the first of equals; ranks are kept in an index. */
    uint64_t (*rank)(const struct replica_load *load);
    /* `*cursor` starts at 0 and is the policy's own. Returns an index below count. */
    size_t (*choose)(uint64_t *cursor, size_t count, const struct request *r);
};

extern const struct routing_policy *const routing_policies[];
const struct routing_policy *routing_policy_find(const char *name);

#endif
