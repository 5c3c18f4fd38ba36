/* SPDX-License-Identifier: MIT */
/* fleet.h — which replicas of a pool there are at an instant, or of several pools behind one router: they fail and come
 * back, are started and given up. A replica counts as a whole here, with all its pipeline stages or attention ranks.
 *
 * A replica that fails stops at that instant and loses all KV: the iteration that runs is void. What it had is routed
 * again and computed again, or lost. One that is given up gets nothing more, serves what it has, and is then off. All
 * but those that are off are held, and paid for: while they start, and while they are repaired. */
#ifndef TANDEM_SIM_FLEET_H
#define TANDEM_SIM_FLEET_H

#include "base/fields.h"
#include "base/units.h"
#include "policies/scaling.h"
#include "sim/min_index.h"
#include "workloads/request.h"

enum { OUTAGES_MAX = 256 };

struct outage {
    size_t place; /* of the fleet */
    sim_time at, lasts;
};

struct fleet_config {
    size_t pools;          /* it has the replicas of the cluster's next so many pools */
    size_t first, count;   /* these replicas, of all of the cluster's */
    bool asked;            /* anything of the rest; else all replicas are up all the time */
    double mtbf_s, mttr_s; /* means of exponential times from repair to failure and back; mtbf 0: none by chance */
    struct outage outages[OUTAGES_MAX]; /* by appointment */
    size_t outage_count;
    bool lose;                            /* requests of a failed replica are lost; else routed again */
    const struct scaling_policy *scaling; /* NULL: all replicas all the time */
    struct param_set scaling_params;
    size_t least;                             /* replicas, which there are at the start; at most all */
    sim_time interval, cold_start, slow_down; /* between looks; to start one; wants of that long ago still count */
    uint64_t most_waiting, most_outstanding_tokens; /* of a replica, or it takes nobody more; UINT64_MAX: no limit */
    sim_time patience; /* who has not been in a batch so long after arrival gives up; SIM_TIME_NEVER: nobody */
};

/* "failures", "autoscaling" and "admission" of a cluster; and of a pool, whose "admission" may say, too, what KV a
 * request needs to be admitted. */
extern const struct field fleet_fields[], pool_fleet_fields[];

/* What is said of a fleet: of its pool, else of its cluster; node NULL where neither says anything. */
struct fleet_said {
    struct json failures, scaling, admission;
    bool failures_of_cluster; /* the schedule counts the replicas of the whole cluster */
    bool says_itself;         /* the pool, anything of it */
    bool sheds_itself;        /* the pool, when a replica takes a request */
};

/* What a pool says, else its cluster. */
struct fleet_said fleet_said_of(const struct json *pool, const struct json *cluster);

/* Reads it. out->pools, first and count are set; the cluster has `replicas` in all. */
int fleet_read(struct fleet_config *out, const struct fleet_said *said, size_t replicas, struct error *err);

/* Whether a replica of it may ever fail. */
bool fleet_may_fail(const struct fleet_config *c);

enum replica_state { REPLICA_UP, REPLICA_STARTING, REPLICA_DRAINING, REPLICA_OFF, REPLICA_FAILED };

enum fleet_event {
    FLEET_NOTHING,
    FLEET_FAILED, /* the replica */
    FLEET_UP,     /* it serves again, or for the first time */
    FLEET_LOOK,   /* time for fleet_look */
    FLEET_OFF,    /* it was never more than started */
    FLEET_DRAIN   /* it gets nothing more */
};

/* Who may give up. Its place in memory may be another's by then, which has another id. */
struct impatient {
    struct request *request;
    uint64_t id;
    sim_time until;
};

struct fleet {
    const struct fleet_config *config;
    enum replica_state *states; /* [count] */
    size_t count, serving_count, starting;
    struct min_index events; /* by replica: when its state changes; [count]: the next look */
    sim_time *held_since;    /* [count] */
    sim_time *held;          /* [count] before it was off last */
    uint64_t *draws;         /* [count] times drawn so far: failure, repair, failure … */
    sim_time *repaired_at;   /* [count] of the current outage */
    uint64_t seed, arrived;  /* since the last look */
    size_t *wants;           /* [want_count] ring: of the looks within slow_down */
    size_t want_count, next_want, wanted;
    struct impatient *waiting; /* [waiting_capacity] ring, by arrival */
    size_t first_waiting, waiting_count, waiting_capacity;
};

int fleet_init(struct fleet *f, const struct fleet_config *config, uint64_t seed);
void fleet_release(struct fleet *f);

/* When the next event is due; SIM_TIME_NEVER for none. */
sim_time fleet_next(const struct fleet *f);

/* When a replica that is up, or drains, will fail; SIM_TIME_NEVER for never. It stays so until then, or until the
 * replica is off. */
sim_time fleet_fails_at(const struct fleet *f, size_t place);

/* The next event that is due by now, and its replica. FLEET_NOTHING when there is none. */
enum fleet_event fleet_take(struct fleet *f, sim_time now, size_t *place);

/* After FLEET_LOOK: what the policy wants; then fleet_adjust until it returns FLEET_NOTHING. */
void fleet_look(struct fleet *f, struct scaling_view *view);

/* One replica more or fewer towards what is wanted: FLEET_UP when one that drains stays, FLEET_OFF when a start was
 * given up, FLEET_DRAIN when the given replica is to get nothing more. `least_loaded` is one that is up. */
enum fleet_event fleet_adjust(struct fleet *f, sim_time now, size_t least_loaded, size_t *place);

/* Whether any event but a look at the load is to come: a start, a failure or a repair, somebody who gives up. */
bool fleet_awaits_change(const struct fleet *f);

/* A draining replica has nothing left. */
void fleet_off(struct fleet *f, size_t place, sim_time now);

/* Somebody waits who may give up. Returns -1 when memory is short. */
int fleet_wait(struct fleet *f, struct request *r);

/* Who gives up by now, or NULL. */
struct request *fleet_gives_up(struct fleet *f, sim_time now);

/* How long a replica was held until `end`. */
sim_time fleet_held(const struct fleet *f, size_t place, sim_time end);

#endif
