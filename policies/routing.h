/* SPDX-License-Identifier: MIT */
/* routing.h — decides which replica an arriving request goes to. */
#ifndef TANDEM_POLICIES_ROUTING_H
#define TANDEM_POLICIES_ROUTING_H

#include <stddef.h>
#include <stdint.h>

#include "base/param.h"
#include "workloads/request.h"

/* What the router knows of a replica: waiting and running requests both count as outstanding. */
struct replica_load {
    uint64_t outstanding_requests;
    uint64_t outstanding_tokens; /* prompt and output tokens still to be computed, outputs by their limit */
};

struct routing_policy {
    const char *name, *summary;
    const struct param_spec *params;
    /* The replicas share one queue, from which each takes when it has room; choose is then NULL. */
    bool central;
    /* `*cursor` starts at 0 and is the policy's own. Returns an index below count. */
    size_t (*choose)(uint64_t *cursor, const struct replica_load *loads, size_t count, const struct request *r);
};

extern const struct routing_policy *const routing_policies[];
const struct routing_policy *routing_policy_find(const char *name);

#endif
