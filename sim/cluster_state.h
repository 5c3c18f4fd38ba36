/* SPDX-License-Identifier: MIT */
/* cluster_state.h — a cluster while it runs, and what the files of it do for one another: cluster.c has the event loop,
 * cluster_requests.c takes requests in and routes them, cluster_events.c says who looks at its queue next,
 * cluster_fleet.c has replicas come and go, and cluster_stall.c names who waits when nothing can happen any more. */
#ifndef TANDEM_SIM_CLUSTER_STATE_H
#define TANDEM_SIM_CLUSTER_STATE_H

#include "sim/cluster.h"
#include "sim/min_index.h"

#define NOBODY SIZE_MAX

struct cluster {
    const struct cluster_config *config;
    const struct observer *observer;
    struct replica *replicas;
    struct min_index events;     /* by replica: when it acts next */
    struct min_index ranks;      /* by replica, for routing policies that rank them */
    struct request_list central; /* the shared queue of central routing */
    uint64_t *listening; /* bit i of the shared queue's replicas: i is idle, or in a stretch that an arrival can cut */
    struct request *free_requests;
    struct request **slabs;
    size_t slab_count, slab_capacity;
    size_t *touched; /* [replicas] ring: idle ones that have something to look at at this instant, each once */
    size_t touched_first, touched_count;
    bool *is_touched;
    struct kv_transfers transfers; /* of disaggregated placement */
    struct pipeline *pipelines;    /* [stations]; NULL without pipeline parallelism, and empty where a pool has none */
    struct pair *pairs;            /* [stations], NULL where replicas are not paired */
    struct fleet fleet;            /* where one is asked for */
    struct request_list limbo;     /* who arrived, or was evicted, while no replica was up */
    bool out_of_memory;
    gsl_rng *prediction_rng; /* NULL: nothing is foretold */
    struct request_source *source;
    struct arrival next;
    int more; /* 1: `next` is to come; else as the source said */
    uint64_t cursor, decode_cursor;
    sim_time next_probe;
    uint64_t next_id, in_flight, events_seen;
    struct cluster_totals totals;
};

static inline bool receives(const struct cluster *c, size_t replica)
{
    return c->config->prefill_replicas && replica >= c->config->prefill_replicas;
}

/* How many replicas are tied to this one, itself included, and the first of them. */
static inline size_t tied_to(const struct cluster *c, size_t replica)
{
    return receives(c, replica) ? c->config->decode_tied : c->config->tied;
}

static inline size_t first_tied(const struct cluster *c, size_t replica)
{
    size_t from = receives(c, replica) ? c->config->prefill_replicas : 0;
    return replica - (replica - from) % tied_to(c, replica);
}

/* The first replica of a station. */
static inline size_t station_first(const struct cluster *c, size_t station)
{
    size_t prefills = c->config->prefill_replicas, before = prefills / c->config->tied;
    return prefills && station >= before ? prefills + (station - before) * c->config->decode_tied
                                         : station * c->config->tied;
}

static inline bool serves(const struct cluster *c, size_t replica)
{
    return !c->config->fleet.asked || c->fleet.states[replica] == REPLICA_UP;
}

static inline void set_event(struct cluster *c, size_t replica, sim_time at)
{
    min_index_set(&c->events, replica, at == SIM_TIME_NEVER ? MIN_INDEX_NONE : (uint64_t)at);
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

/* Requests (cluster_requests.c). `after` and the replicas before it have had their turn at this instant. */
int cluster_arrive(struct cluster *c, const struct arrival *a, size_t after, struct error *err);
int cluster_route_again(struct cluster *c, struct request *r, sim_time now, size_t after, struct error *err);
void cluster_lose(struct cluster *c, struct request *r, sim_time now, const char *reason);
void cluster_recycle(void *owner, struct request *r);
void cluster_free_requests(struct cluster *c);

/* Replicas that arrivals are routed to; the decode replica, from 0, of a request whose prompt is through; whether, in a
 * mixed pool, all of these are too busy to take it over. */
size_t cluster_entrances(const struct cluster *c);
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
