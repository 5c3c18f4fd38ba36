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

/* What a router knows of engines that it reads or is told, where that is not the engines as they are. */
struct routing_signals {
    double refresh_s;       /* how often it reads who waits and how full the pools are; 0: it sees them as they are */
    double index_refresh_s; /* how often it hears which prefixes replicas have; the same */
    bool approximate;       /* it is never told, and takes prompts that it has sent to a replica to be there: */
    uint64_t index_blocks;  /* so many KV blocks of each replica, those used last */
    uint32_t match_blocks;  /* of a prompt, how many of its first blocks it looks up */
};

/* What a policy that chooses sees of the replicas. The last members are there for policies with `signals` only. */
struct routing_view {
    const struct param_set *params; /* the policy's */
    const struct replica_load *(*load)(void *replicas, size_t index);
    /* Tokens of the request's prompt whose KV the replica has. */
    uint32_t (*cached_tokens)(void *replicas, size_t index, const struct request *r);
    uint64_t (*kv_tokens)(void *replicas, size_t index); /* that its pool holds */
    void *replicas;
    uint64_t (*waiting)(void *replicas, size_t index); /* requests in its queue */
    double (*kv_used)(void *replicas, size_t index);   /* share of its KV blocks that requests hold */
    /* Prompt tokens that it was sent and that have to be computed, of requests without their first token, less those
     * that the router's index had when they were sent. */
    uint64_t (*prefill_tokens)(void *replicas, size_t index);
    bool (*session_here)(void *replicas, size_t index, const struct request *r); /* it served the conversation last */
    uint32_t (*block_tokens)(void *replicas, size_t index);                      /* of its KV blocks */
    uint32_t match_blocks;
    double *values; /* [count] for the policy's use */
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
    /* What the router knows where it does not see the replicas themselves; NULL: it does. */
    void (*signals)(const struct param_set *params, struct routing_signals *out);
    /* `*cursor` starts at 0 and is the policy's own. Returns an index below count. */
    size_t (*choose)(uint64_t *cursor, size_t count, const struct request *r, const struct routing_view *view);
};

/* A number in [0, 1) that the request draws. */
static inline double routing_luck(const struct request *r)
{
    return (double)(routing_scramble(r->id) >> 11) / (double)((uint64_t)1 << 53);
}

/* Parameters of policies with signals, and what they say. */
#define ROUTING_SIGNALS(INDEX, REFRESH_S, MATCH_BLOCKS)                                                                \
    {"index",                                                                                                          \
     PARAM_TEXT,                                                                                                       \
     "",                                                                                                               \
     0,                                                                                                                \
     0,                                                                                                                \
     0,                                                                                                                \
     "what it knows of prefixes: what replicas have (precise), or what it has sent to them (approximate)",             \
     INDEX,                                                                                                            \
     "precise|approximate"},                                                                                           \
        {"refresh_s",                                                                                                  \
         PARAM_NUMBER,                                                                                                 \
         "s",                                                                                                          \
         REFRESH_S,                                                                                                    \
         0,                                                                                                            \
         3600,                                                                                                         \
         "how often it reads queues and KV use; 0: they are as they are",                                              \
         NULL,                                                                                                         \
         NULL},                                                                                                        \
        {"index_refresh_s",                                                                                            \
         PARAM_NUMBER,                                                                                                 \
         "s",                                                                                                          \
         0,                                                                                                            \
         0,                                                                                                            \
         3600,                                                                                                         \
         "how often it hears of prefixes, of a precise index; 0: at once",                                             \
         NULL,                                                                                                         \
         NULL},                                                                                                        \
        {"index_blocks",                                                                                               \
         PARAM_INTEGER,                                                                                                \
         "blocks",                                                                                                     \
         31250,                                                                                                        \
         1,                                                                                                            \
         1e12,                                                                                                         \
         "KV blocks of each replica that an approximate index remembers",                                              \
         NULL,                                                                                                         \
         NULL},                                                                                                        \
    {                                                                                                                  \
        "match_blocks", PARAM_INTEGER, "blocks", MATCH_BLOCKS, 1, 1e9,                                                 \
            "of a prompt's first blocks, so many are looked up", NULL, NULL                                            \
    }

void routing_read_signals(const struct param_set *params, struct routing_signals *out);

/* The index of the highest value, a random one of equals; above temperature 0 index i with the chance of
 * exp(value[i] / temperature). `values` [count] may be changed. */
size_t routing_pick(double *values, size_t count, double temperature, const struct request *r);

/* The replica with fewest outstanding requests, the first of equals. */
size_t routing_least_loaded(size_t count, const struct routing_view *view);

extern const struct routing_policy *const routing_policies[]; /* NULL-ended; those that are built in */
const struct routing_policy *routing_policy_find(const char *name);

#endif
