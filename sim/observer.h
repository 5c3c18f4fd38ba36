/* SPDX-License-Identifier: MIT */
/* observer.h — what a run tells to whoever listens. Every pointer is valid during the call only.
 *
 * Calls about arrivals, first batches, preemptions and finishes come in order of simulated time. Iterations and gaps
 * come in order for each replica, but those of one replica may be told ahead of another's. */
#ifndef TANDEM_SIM_OBSERVER_H
#define TANDEM_SIM_OBSERVER_H

#include "policies/batch.h"
#include "profiles/cost.h"
#include "sim/stretch.h"

/* Stands for a replica's index where replicas share one queue. */
#define ROUTER_QUEUE SIZE_MAX

/* Iterations back to back with the same batch: one, or many when all in it decode. */
struct iteration_record {
    size_t replica;
    const struct stretch *stretch; /* when they start and how long they take; the first `count` of it */
    uint64_t count;
    sim_time end;                      /* of the last one */
    const struct batch *batch;         /* as it was when the first one started */
    const struct iteration_cost *cost; /* of the first one */
    /* Decoding members of the batch whose last token came just when the first one started. To them every iteration
     * is the gap to their next token; to the others, from the second one on. */
    uint32_t steady;
};

/* The whole cluster at one instant. */
struct cluster_state {
    sim_time at;
    uint64_t kv_used_blocks;
    /* What makes the sums over what was told those until `at`: time that iterations under way have gone on, less time
     * to their end of those that were told to it; and output tokens of these. */
    sim_time busy_more;
    uint64_t tokens_less;
    size_t replicas_up;
};

struct observer {
    void *state;
    /* Accepted and put in a replica's queue; replica is ROUTER_QUEUE when it waits at the router. */
    void (*arrived)(void *state, size_t replica, const struct request *r);
    /* `reason` is a constant string. */
    void (*rejected)(void *state, const struct request *r, const char *reason);
    void (*scheduled)(void *state, size_t replica, const struct request *r); /* first time in a batch */
    void (*preempted)(void *state, size_t replica, const struct request *r);
    void (*iterated)(void *state, const struct iteration_record *record);
    /* `count` output tokens came at `at`, `gap` after the one before them in the same request. Not told of gaps
     * that iterated() implies. */
    void (*gap)(void *state, sim_time at, sim_time gap, uint64_t count);
    void (*finished)(void *state, size_t replica, const struct request *r);
    /* Replicas that fail, or are given up: a request left one that it had not finished on; it was put in a replica's
     * queue some time after its arrival; it will never finish, for a reason that is a constant string. The replica
     * is ROUTER_QUEUE where it waits at the router. All three may be NULL. */
    void (*evicted)(void *state, size_t replica, const struct request *r, sim_time at);
    void (*routed)(void *state, size_t replica, const struct request *r, sim_time at);
    void (*lost)(void *state, const struct request *r, sim_time at, const char *reason);
    /* Disaggregated placement: a request with its first token left the replica that prefilled it, and joined the one
     * that decodes it. Both may be NULL. */
    void (*handed_over)(void *state, size_t replica, const struct request *r);
    void (*taken_over)(void *state, size_t replica, const struct request *r);
    /* At every multiple of cluster_config.probe_interval: everything before that instant has been told. */
    void (*probed)(void *state, const struct cluster_state *cluster);
};

#endif
