/* SPDX-License-Identifier: MIT */
/* observer.h — what a run tells to whoever listens: a list of observers. Every pointer is valid during the call only.
 *
 * Calls about arrivals, first batches, preemptions and finishes come in order of simulated time. Iterations and gaps
 * come in order for each replica, but those of one replica may be told ahead of another's. */
#ifndef TANDEM_SIM_OBSERVER_H
#define TANDEM_SIM_OBSERVER_H

#include "policies/batch.h"
#include "profiles/cost.h"
#include "sim/stretch.h"

/* Stand for a station: the queue that replicas share, or where requests wait for one to come up; a request goes through
 * delay stations first; it has left a station that prefilled it, and has not joined one that decodes it; and it was
 * answered by a delay station before any replica. */
#define ROUTER_QUEUE ((struct station_id){SIZE_MAX - 3})
#define DELAY_STATIONS ((struct station_id){SIZE_MAX - 1})
#define KV_TRANSFERS ((struct station_id){SIZE_MAX - 2})
#define NO_STATION ((struct station_id){SIZE_MAX})

/* Iterations back to back with the same batch: one, or many when all in it decode. */
struct iteration_record {
    struct station_id station;
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
    size_t replicas_up; /* a pipeline counts once */
    size_t batches_up;  /* that they can have in flight */
};

/* Who listens; what it does not want to hear is NULL. */
struct observer {
    void *state;
    const struct observer *next; /* told after this one; NULL: nobody */
    /* Accepted and put in a station's queue; the station is ROUTER_QUEUE when it waits at the router, DELAY_STATIONS
     * when it is put there later. */
    void (*arrived)(void *state, struct station_id station, const struct request *r);
    /* It has come to a delay station, and left it: at r->entered and at `at`; its service began at r->admitted. */
    void (*delayed)(void *state, size_t delay, const struct request *r);
    void (*delay_ended)(void *state, size_t delay, const struct request *r, sim_time at);
    /* The delay station that it has just left has answered it: it finishes at once, with NO_STATION. */
    void (*answered)(void *state, size_t delay, const struct request *r);
    /* It has left the last delay station before serving, and is put in a station's queue, or waits at the router, from
     * r->queued on. */
    void (*queued)(void *state, struct station_id station, const struct request *r);
    /* `reason` is a constant string. */
    void (*rejected)(void *state, const struct request *r, const char *reason);
    void (*scheduled)(void *state, struct station_id station, const struct request *r); /* first time in a batch */
    void (*preempted)(void *state, struct station_id station, const struct request *r);
    void (*iterated)(void *state, const struct iteration_record *record);
    /* `count` output tokens came at `at`, `gap` after the one before them in the same request. Not told of gaps
     * that iterated() implies. */
    void (*gap)(void *state, sim_time at, sim_time gap, uint64_t count);
    /* It has all its tokens and has left the replica. Told where a request may finish elsewhere than at a replica
     * (delays_may_finish). */
    void (*served)(void *state, struct station_id station, const struct request *r);
    void (*finished)(void *state, struct station_id station, const struct request *r);
    /* Replicas that fail, or are given up: a request left one that it had not finished on, or, of KV_TRANSFERS, lost
     * its KV before it could join one; it was put in a station's queue some time after its arrival; it will never
     * finish, for a reason that is a constant string. The station is ROUTER_QUEUE where it waits at the router. */
    void (*evicted)(void *state, struct station_id station, const struct request *r, sim_time at);
    void (*routed)(void *state, struct station_id station, const struct request *r, sim_time at);
    void (*lost)(void *state, const struct request *r, sim_time at, const char *reason);
    /* Disaggregated placement: a request that only has to decode left the replica that prefilled it, at
     * r->waiting_since, and joined the one that decodes it, at r->taken_over. */
    void (*handed_over)(void *state, struct station_id station, const struct request *r);
    void (*taken_over)(void *state, struct station_id station, const struct request *r);
    /* Part of a request's KV is read from a tier (sim/tiers.h): since r->load_began, and until `at`. */
    void (*load_began)(void *state, size_t tier, const struct request *r, sim_time at);
    void (*load_ended)(void *state, size_t tier, const struct request *r, sim_time at);
    /* At every multiple of cluster_config.probe_interval: everything before that instant has been told. */
    void (*probed)(void *state, const struct cluster_state *cluster);
};

/* Tells all of a list, which has at least one. */
#define OBSERVER_TELL(o, what, ...)                                                                                    \
    do                                                                                                                 \
        if (o->what)                                                                                                   \
            o->what(o->state, __VA_ARGS__);                                                                            \
    while ((o = o->next))

static inline void tell_arrived(const struct observer *o, struct station_id station, const struct request *r)
{
    OBSERVER_TELL(o, arrived, station, r);
}

static inline void tell_delayed(const struct observer *o, size_t delay, const struct request *r)
{
    OBSERVER_TELL(o, delayed, delay, r);
}

static inline void tell_delay_ended(const struct observer *o, size_t delay, const struct request *r, sim_time at)
{
    OBSERVER_TELL(o, delay_ended, delay, r, at);
}

static inline void tell_answered(const struct observer *o, size_t delay, const struct request *r)
{
    OBSERVER_TELL(o, answered, delay, r);
}

static inline void tell_queued(const struct observer *o, struct station_id station, const struct request *r)
{
    OBSERVER_TELL(o, queued, station, r);
}

static inline void tell_rejected(const struct observer *o, const struct request *r, const char *reason)
{
    OBSERVER_TELL(o, rejected, r, reason);
}

static inline void tell_scheduled(const struct observer *o, struct station_id station, const struct request *r)
{
    OBSERVER_TELL(o, scheduled, station, r);
}

static inline void tell_preempted(const struct observer *o, struct station_id station, const struct request *r)
{
    OBSERVER_TELL(o, preempted, station, r);
}

static inline void tell_iterated(const struct observer *o, const struct iteration_record *record)
{
    OBSERVER_TELL(o, iterated, record);
}

static inline void tell_gap(const struct observer *o, sim_time at, sim_time gap, uint64_t count)
{
    OBSERVER_TELL(o, gap, at, gap, count);
}

static inline void tell_served(const struct observer *o, struct station_id station, const struct request *r)
{
    OBSERVER_TELL(o, served, station, r);
}

static inline void tell_finished(const struct observer *o, struct station_id station, const struct request *r)
{
    OBSERVER_TELL(o, finished, station, r);
}

static inline void tell_evicted(const struct observer *o, struct station_id station, const struct request *r,
                                sim_time at)
{
    OBSERVER_TELL(o, evicted, station, r, at);
}

static inline void tell_routed(const struct observer *o, struct station_id station, const struct request *r,
                               sim_time at)
{
    OBSERVER_TELL(o, routed, station, r, at);
}

static inline void tell_lost(const struct observer *o, const struct request *r, sim_time at, const char *reason)
{
    OBSERVER_TELL(o, lost, r, at, reason);
}

static inline void tell_handed_over(const struct observer *o, struct station_id station, const struct request *r)
{
    OBSERVER_TELL(o, handed_over, station, r);
}

static inline void tell_taken_over(const struct observer *o, struct station_id station, const struct request *r)
{
    OBSERVER_TELL(o, taken_over, station, r);
}

static inline void tell_load_began(const struct observer *o, size_t tier, const struct request *r, sim_time at)
{
    OBSERVER_TELL(o, load_began, tier, r, at);
}

static inline void tell_load_ended(const struct observer *o, size_t tier, const struct request *r, sim_time at)
{
    OBSERVER_TELL(o, load_ended, tier, r, at);
}

static inline void tell_probed(const struct observer *o, const struct cluster_state *cluster)
{
    OBSERVER_TELL(o, probed, cluster);
}

#undef OBSERVER_TELL

#endif
