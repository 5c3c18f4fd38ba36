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
    uint64_t outstanding_tokens;  /* prompts until their first output token, longest outputs until their last */
    uint64_t prompt_tokens;       /* the prompts among these */
    uint64_t predicted_kv_tokens; /* prompts and predicted outputs, until their last token */
};

/* What a policy that chooses sees of the replicas. */
struct routing_view {
    const struct param_set *params; /* the policy's */
    const struct replica_load *(*load)(void *replicas, size_t index);
    /* Tokens of the request's prompt whose KV the replica has. */
    uint32_t (*cached_tokens)(void *replicas, size_t index, const struct request *r);
    uint64_t (*kv_tokens)(void *replicas, size_t index); /* that its pool holds */
    void *replicas;
};

static inline const struct replica_load *routing_load(const struct routing_view *view, size_t index)
{
    return view->load(view->replicas, index);
}

/* A fixed scramble of a number (Steele, Lea, Flood 2014: SplitMix64's finaliser): policies have no randomness of their
 * own, and the same request draws the same numbers under every policy. */
static inline uint64_t routing_scramble(uint64_t v)
{
    v += 0x9e3779b97f4a7c15u;
    v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9u;
    v = (v ^ v >> 27) * 0x94d049bb133111ebu;
    return v ^ v >> 31;
}

/* A policy has exactly one of the three. */
struct routing_policy {
    const char *name, *summary;
    const struct param_spec *params;
    /* The replicas share one queue, from which each takes when it has room. */
    bool central;
    bool predicts;  /* sees predicted outputs */
    bool oblivious; /* looks at requests alone, never at replicas: parts of the cluster can run next to each other */
    /* The replica of lowest rank gets the request, the first of equals; ranks are kept in an index. */
    uint64_t (*rank)(const struct replica_load *load);
    /* `*cursor` starts at 0 and is the policy's own. Returns an index below count. */
    size_t (*choose)(uint64_t *cursor, size_t count, const struct request *r, const struct routing_view *view);
};

/* The replica with fewest outstanding requests, the first of equals. */
size_t routing_least_loaded(size_t count, const struct routing_view *view);

extern const struct routing_policy *const routing_policies[]; /* NULL-ended; those that are built in */
const struct routing_policy *routing_policy_find(const char *name);

#endif
