/* SPDX-License-Identifier: MIT */
/* cluster_state.h — a cluster while it runs, and what the files of it do for one another: cluster.c has the event loop,
 * cluster_requests.c takes requests in and routes them, cluster_events.c says who looks at its queue next,
 * cluster_shared.c who at the shared one, cluster_transfers.c moves requests from stations that prefill to stations
 * that decode, cluster_fleet.c has replicas come and go, cluster_tiers.c brings KV from tiers below GPU memory, and
 * cluster_stall.c names who waits when nothing can happen any more. */
#ifndef TANDEM_SIM_CLUSTER_STATE_H
#define TANDEM_SIM_CLUSTER_STATE_H

#include "sim/cluster.h"
#include "sim/min_index.h"

/* Who has had its turn at an instant, where it is not a replica and those before it. */
#define NOBODY ((struct replica_id){SIZE_MAX})
#define EVERYBODY ((struct replica_id){SIZE_MAX - 1})

/* What a router sends requests to. */
struct station {
    const struct pool_config *pool;
    struct replica *const *replicas; /* [pool->tied], the first one leads */
    struct replica *const *ranks; /* [pool->ranks] that it steps with, itself among them; events are the first one's */
    bool decodes;                 /* requests come from another station, with their first token */
    bool plain;                   /* one replica that serves whole requests */
    struct pipeline pipeline;     /* no stages: none */
    struct pair pair;             /* no members: none */
    struct fleet *fleet;          /* of its pool; NULL: it is up all the time */
    size_t fleet_place;           /* of the replica that it is, or is a rank of, among those of the fleet */
    size_t sent_later;            /* requests that left it to decode, whose KV it still holds */
};

/* Into a step of the flow. */
struct router {
    const struct router_config *config;
    size_t first, count;           /* stations that it chooses among */
    size_t pool_first[MOST_POOLS]; /* of each of its pools, the first station */
    uint64_t cursors[MOST_POOLS];  /* of each of its pools, where what a request is decides the pool; else the first */
    size_t *open;                  /* [open_count] of them, those that are up, in order; NULL: all are, all the time */
    size_t open_count;
    struct request_list unrouted; /* requests that none is up for */
};

/* Replicas that take from the shared queue, by what they do until they look at it next: they are idle; in a stretch
 * that they have seen those who stand there before (`seen`) or not (`ends`); or they look of their own accord. */
struct lookers {
    uint64_t *idle, *seen;  /* bit i: replica i */
    struct min_index ends;  /* by replica: no later than when an iteration of the stretch ends next */
    bool news;              /* somebody new stands there, whom idle ones have not seen */
    struct replica_id next; /* the last one whose stretch was cut for it, which ends at: */
    sim_time next_at;
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
    struct lookers lookers;      /* at it */
    struct request *free_requests;
    struct request **slabs;
    size_t slab_count, slab_capacity;
    struct replica_id
        *touched; /* [replica_count] ring: idle ones that have something to look at at this instant, each once */
    size_t touched_first, touched_count;
    bool *is_touched;
    struct kv_transfers transfers;   /* to stations that decode */
    struct tiers tiers;              /* none: count 0, and then the next is NULL */
    struct tier_user *tier_users;    /* [station_count] */
    struct fleet fleets[MOST_POOLS]; /* [fleet_count] as configured */
    size_t fleet_count;
    struct station **fleet_stations; /* by place in fleets one after another: the first station of each replica */
    bool out_of_memory;
    const struct routing_policy *misrouted; /* it chose a station that there is not */
    gsl_rng *prediction_rng;                /* NULL: nothing is predicted */
    struct delays delays;                   /* that requests go through first, and last */
    struct request_source *source;
    struct arrival next;
    int more; /* 1: `next` is to come; else as the source said */
    sim_time next_probe;
    uint64_t next_id, in_flight, events_seen;
    struct cluster_totals totals;
};

/* Slots of the event list. Of events at one instant those of replicas come first, in order, then these; the last one is
 * there only with tiers. */
struct event_slot {
    size_t index;
};

static inline struct event_slot slot_of_replica(const struct replica *r)
{
    return (struct event_slot){replica_id(r).index};
}

static inline struct event_slot slot_of_transfers(const struct cluster *c)
{
    return (struct event_slot){c->replica_count};
}

static inline struct event_slot slot_of_fleet(const struct cluster *c, const struct fleet *f)
{
    return (struct event_slot){c->replica_count + 1 + (size_t)(f - c->fleets)};
}

static inline struct event_slot slot_of_tiers(const struct cluster *c)
{
    return (struct event_slot){c->replica_count + 1 + c->config->fleet_count};
}

static inline struct station *station_of(const struct cluster *c, const struct replica *r)
{
    return &c->stations[replica_station(r).index];
}

static inline struct station_id id_of(const struct cluster *c, const struct station *s)
{
    return (struct station_id){(size_t)(s - c->stations)};
}

static inline enum replica_state state_of(const struct station *s)
{
    return s->fleet ? s->fleet->states[s->fleet_place] : REPLICA_UP;
}

/* Whether it takes from the queue of all stations of the first step. */
static inline bool shares_queue(const struct cluster *c, const struct station *s)
{
    return c->queue_is_shared && !s->decodes;
}

static inline void set_event(struct cluster *c, struct event_slot slot, sim_time at)
{
    min_index_set(&c->events, slot.index, at == SIM_TIME_NEVER ? MIN_INDEX_NONE : (uint64_t)at);
}

static inline void await_replica(struct cluster *c, const struct replica *r, sim_time at)
{
    set_event(c, slot_of_replica(r), at);
}

static inline bool had_its_turn(const struct replica *r, struct replica_id after)
{
    return after.index != NOBODY.index && replica_id(r).index <= after.index;
}

/* Who looks at what next (cluster_events.c). */

/* Tells the index that routing policies rank by. */
void cluster_rank(struct cluster *c, const struct replica *r);

/* An idle replica looks when everything of this instant is in. */
void cluster_touch(struct cluster *c, struct replica_id replica);

/* Somebody new stands in the replica's queue; an idle replica looks when the instant's arrivals are all in. */
void cluster_notice(struct cluster *c, struct replica *r, sim_time from);

/* A replica that is not busy looks, if there is something to look at. */
void cluster_look(struct cluster *c, struct replica *r, sim_time now);

/* What runs ends with the first iteration that ends at `from` or later. */
void cluster_cut_short(struct cluster *c, struct replica_id replica, sim_time from);

/* The shared queue of central routing (cluster_shared.c). The first returns -1 when memory is short. */
int cluster_prepare_lookers(struct cluster *c);
void cluster_release_lookers(struct cluster *c);

/* The replica has looked at the queue, or has come or gone: what it does now says when it looks next. */
void cluster_listen(struct cluster *c, const struct replica *r, sim_time now);

/* Somebody new stands in the queue. */
void cluster_tell_lookers(struct cluster *c, sim_time now);

/* Everything of this instant is in: idle replicas look, and somebody ends its stretch for those whom they leave.
 * `after` and those before it have had their turn at this instant. */
void cluster_look_at_queue(struct cluster *c, sim_time now, struct replica_id after);

static inline void await_fleet(struct cluster *c, const struct fleet *f)
{
    set_event(c, slot_of_fleet(c, f), fleet_next(f));
}

/* Requests (cluster_requests.c). `after` and the replicas before it have had their turn at this instant. The second
 * takes one on that has left the delay stations. */
int cluster_arrive(struct cluster *c, const struct arrival *a, struct replica_id after, struct error *err);
int cluster_come_from_delays(struct cluster *c, struct request *r, enum delay_exit to, sim_time now,
                             struct replica_id after, struct error *err);
int cluster_route_again(struct cluster *c, struct request *r, sim_time now, struct replica_id after, struct error *err);
void cluster_lose(struct cluster *c, struct request *r, sim_time now, const char *reason);
void cluster_recycle(struct cluster *c, struct request *r);

/* A request's last token has come at a station: it has finished, or goes on to the delay stations. */
void cluster_finish(void *owner, struct station_id station, struct request *r);
void cluster_answer_later(void *owner, struct station_id station, struct request *r);
void cluster_free_requests(struct cluster *c);

/* The station of a step that its router sends a request to, of those that are up; NULL: none is. */
struct station *cluster_choose(struct cluster *c, size_t step, const struct request *r);

/* The fleet that a request counts for which no station is up for. */
struct fleet *cluster_fleet_of(struct cluster *c, size_t step, const struct request *r);

/* Requests that wait since none of these stations is up. */
size_t cluster_unrouted(struct cluster *c, const struct fleet *f);

/* Why the station takes no request more now; NULL: it does. */
const char *cluster_sheds(const struct cluster *c, const struct station *s, const struct request *r);

/* Whether, in a mixed pool, all stations that decode are too busy to take a request over. */
bool cluster_keeps_in_mixed_pool(void *owner, const struct replica *r, struct request *q, sim_time now);

/* From stations that prefill to stations that decode (cluster_transfers.c). */

/* A request's prompt is through: it goes to a station that decodes. */
void cluster_hand_over(void *owner, struct replica *from, struct request *r, sim_time now);

/* A request whose KV is where it was prefilled waits at a station that decodes, or for one to come up. What runs there
 * ends at `from` or later. */
void cluster_await_transfer(struct cluster *c, struct request *r, sim_time from);

/* Transfers that end now. */
void cluster_end_transfers(struct cluster *c, sim_time now);

/* A station has failed: all transfers from and to it end, and so do waits for them. Requests whose KV is gone with it
 * are put into `gone`, those whose KV still is where they were prefilled into `left`. */
void cluster_break_transfers(struct cluster *c, struct station *s, sim_time now, struct request_list *gone,
                             struct request_list *left);

/* What a request holds where it was prefilled is given back. */
void cluster_drop_source(struct cluster *c, struct request *r, sim_time now);

/* Requests whose KV is there, on its way, or to come. */
size_t cluster_to_receive(const struct cluster *c, const struct station *s);

/* Requests that are admitted there, whichever of its replicas has them. */
size_t cluster_running_on(const struct station *s);

/* What runs on the station ends with the first iteration that ends at `from` or later. */
void cluster_cut_station(struct cluster *c, const struct station *s, sim_time from);

/* Tiers below GPU memory (cluster_tiers.c). The first makes them, once the stations are there; returns -1 when memory
 * is short. */
int cluster_prepare_tiers(struct cluster *c);
void cluster_release_tiers(struct cluster *c);

/* What the station asks of its tiers; NULL: it has none. */
struct tier_user *cluster_tiers_of(const struct cluster *c, const struct station *s);

/* Loads that end now. */
void cluster_end_loads(struct cluster *c, sim_time now);

/* Replicas that come and go (cluster_fleet.c). The first says whether the replica of this station drains and has
 * nothing left: it is off then. The second is a fleet's slot of the event list. */
bool cluster_settle_fleet(struct cluster *c, const struct station *s, sim_time now);
int cluster_step_fleet(struct cluster *c, struct fleet *f, sim_time now, struct error *err);

/* Which stations of its step are up has changed. */
void cluster_open_stations(struct cluster *c, const struct fleet *f);

/* Whether anything but an autoscaler's looks is to come (cluster_stall.c). Asked where those alone would go on for
 * ever. */
bool cluster_can_go_on(const struct cluster *c);

/* Sets the error of a run in which nothing can happen any more although requests are unfinished (cluster_stall.c).
 * Returns -1. */
int cluster_stalled(const struct cluster *c, struct error *err);

/* The loop's (cluster.c): idle replicas that were touched look, and who looks at the shared queue is settled; clients
 * of a closed loop send what they have. */
void cluster_wake_touched(struct cluster *c, sim_time now, struct replica_id after);
int cluster_hear_from_clients(struct cluster *c, struct replica_id replica, sim_time now, struct error *err);

#endif
