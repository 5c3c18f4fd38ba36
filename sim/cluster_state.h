/* SPDX-License-Identifier: MIT */
/* cluster_state.h — a cluster while it runs, and what the files of it do for one another: cluster.c has the event loop,
 * cluster_requests.c takes requests in and routes them, cluster_events.c says who looks at its queue next,
 * cluster_fleet.c has replicas come and go, and cluster_stall.c names who waits when nothing can happen any more. */
#ifndef TANDEM_SIM_CLUSTER_STATE_H
#define TANDEM_SIM_CLUSTER_STATE_H

#include "sim/cluster.h"
#include "sim/min_index.h"

/* Who has had its turn at an instant, where it is not a replica and those before it. */
#define NOBODY SIZE_MAX
#define EVERYBODY (SIZE_MAX - 1)

/* What a router sends requests to. */
struct station {
    const struct pool_config *pool;
    struct replica *const *replicas; /* [pool->tied], the first one leads */
    struct replica *const *ranks; /* [pool->ranks] that it steps with, itself among them; events are the first one's */
    bool decodes;                 /* requests come from another station, with their first token */
    bool plain;                   /* one replica that serves whole requests */
    struct pipeline pipeline;     /* no stages: none */
    struct pair pair;             /* no members: none */
};

/* Into a step of the flow. */
struct router {
    const struct router_config *config;
    size_t first, count;           /* stations that it chooses among */
    size_t pool_first[MOST_POOLS]; /* of each of its pools, the first station */
    uint64_t cursors[MOST_POOLS];  /* of each of its pools, where what a request is decides the pool; else the first */
};

struct cluster {
    const struct cluster_config *config;
    const struct observer *observer;
    struct replica **replicas; /* [replica_count] in order of their stations */
    size_t replica_count;
    struct station *stations; /* [station_count] in order of their pools */
    size_t station_count;
    struct router routers[MOST_STEPS];
    bool has_ranks, queue_is_shared;
    uint64_t (*rank)(const struct replica_load *load); /* of the first router's policy; NULL: it ranks nobody */
    struct min_index events;                           /* by replica, and the two slots below: when it acts next */
    struct min_index ranks;      /* by station of the first step, for routing policies that rank them */
    struct request_list central; /* the shared queue of central routing */
    uint64_t *listening; /* bit i of the shared queue's replicas: i is idle, or in a stretch that an arrival can cut */
    struct request *free_requests;
    struct request **slabs;
    size_t slab_count, slab_capacity;
    size_t *touched; /* [replica_count] ring: idle ones that have something to look at at this instant, each once */
    size_t touched_first, touched_count;
    bool *is_touched;
    struct kv_transfers transfers; /* to stations that decode */
    struct fleet fleet;            /* where one is asked for */
    struct request_list limbo;     /* who arrived, or was evicted, while no replica was up */
    bool out_of_memory;
    const struct routing_policy *misrouted; /* it chose a station that there is not */
    gsl_rng *prediction_rng;                /* NULL: nothing is foretold */
    struct delays delays;                   /* that requests go through first */
    struct request_source *source;
    struct arrival next;
    int more; /* 1: `next` is to come; else as the source said */
    sim_time next_probe;
    uint64_t next_id, in_flight, events_seen;
    struct cluster_totals totals;
};

/* Slots of the event list. Of events at one instant those of replicas come first, in order, then these. */
static inline size_t slot_of_transfers(const struct cluster *c)
{
    return c->replica_count;
}

static inline size_t slot_of_fleet(const struct cluster *c)
{
    return c->replica_count + 1;
}

static inline struct station *station_of(const struct cluster *c, const struct replica *r)
{
    return &c->stations[replica_station(r)];
}

static inline bool serves(const struct cluster *c, size_t replica)
{
    return !c->config->fleet.asked || c->fleet.states[replica] == REPLICA_UP;
}

static inline void set_event(struct cluster *c, size_t slot, sim_time at)
{
    min_index_set(&c->events, slot, at == SIM_TIME_NEVER ? MIN_INDEX_NONE : (uint64_t)at);
}

/* Who looks at what next (cluster_events.c). */

/* Tells the index that routing policies rank by. */
void cluster_rank(struct cluster *c, const struct replica *r);

/* An idle replica looks when everything of this instant is in. */
void cluster_touch(struct cluster *c, size_t replica);

/* Somebody new stands in the replica's queue; an idle replica looks when the instant's arrivals are all in. */
void cluster_notice(struct cluster *c, struct replica *r, sim_time from);

/* Whether the replica must be told when somebody new stands in the shared queue. */
void cluster_listen(struct cluster *c, const struct replica *r);

/* Tells all who listen, in order of index; `after` and those before it have had their turn at this instant. */
void cluster_notice_all(struct cluster *c, sim_time now, size_t after);

/* What runs ends with the first iteration that ends at `from` or later. */
void cluster_cut_short(struct cluster *c, size_t replica, sim_time from);

/* Requests (cluster_requests.c). `after` and the replicas before it have had their turn at this instant. The second
 * takes one in that has left the delay stations. */
int cluster_arrive(struct cluster *c, const struct arrival *a, size_t after, struct error *err);
int cluster_come_from_delays(struct cluster *c, struct request *r, sim_time now, size_t after, struct error *err);
int cluster_route_again(struct cluster *c, struct request *r, sim_time now, size_t after, struct error *err);
void cluster_lose(struct cluster *c, struct request *r, sim_time now, const char *reason);
void cluster_recycle(void *owner, struct request *r);
void cluster_free_requests(struct cluster *c);

/* The station that decodes a request whose prompt is through; whether, in a mixed pool, all of these are too busy to
 * take it over. */
size_t cluster_choose_decoder(struct cluster *c, const struct request *r);
bool cluster_keeps_in_mixed_pool(void *owner, const struct replica *r, struct request *q, sim_time now);

/* Replicas that come and go (cluster_fleet.c). The first says, before a replica starts again, whether it does not; the
 * second is the fleet's slot of the event list. */
bool cluster_settle_fleet(struct cluster *c, struct replica *r, sim_time now);
int cluster_step_fleet(struct cluster *c, sim_time now, struct error *err);

/* Whether anything but an autoscaler's looks is to come (cluster_stall.c). Asked where those alone would go on for
 * ever. */
bool cluster_can_go_on(const struct cluster *c);

/* Sets the error of a run in which nothing can happen any more although requests are unfinished (cluster_stall.c).
 * Returns -1. */
int cluster_stalled(const struct cluster *c, struct error *err);

/* The loop's (cluster.c): idle replicas that were touched look; clients of a closed loop send what they have. */
void cluster_wake_touched(struct cluster *c, sim_time now);
int cluster_hear_from_clients(struct cluster *c, size_t replica, sim_time now, struct error *err);

#endif
