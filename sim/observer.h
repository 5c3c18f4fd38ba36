/* SPDX-License-Identifier: MIT */
/* observer.h — what a run tells to whoever listens. Every pointer is valid during the call only. */
#ifndef TANDEM_SIM_OBSERVER_H
#define TANDEM_SIM_OBSERVER_H

#include "policies/batch.h"
#include "profiles/cost.h"

/* Stands for a replica's index where replicas share one queue. */
#define ROUTER_QUEUE SIZE_MAX

struct iteration_record {
    size_t replica;
    sim_time start, end;
    const struct batch *batch;
    struct iteration_cost cost;
    size_t waiting, running; /* when it starts; a shared queue counts for each replica */
    uint64_t kv_used_blocks, kv_total_blocks;
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
    /* `count` output tokens came `gap` after the one before them in the same request. */
    void (*gap)(void *state, sim_time gap, uint64_t count);
    void (*finished)(void *state, size_t replica, const struct request *r);
};

#endif
