/* SPDX-License-Identifier: MIT */
/* cluster.h — replicas behind a router, fed by a workload, until everything has been served. */
#ifndef TANDEM_SIM_CLUSTER_H
#define TANDEM_SIM_CLUSTER_H

#include <signal.h>

#include "sim/delay.h"
#include "sim/fleet.h"
#include "sim/flow_choice.h"
#include "sim/pair.h"
#include "sim/pipeline.h"
#include "sim/predictor.h"
#include "sim/replica.h"
#include "sim/tiers.h"
#include "workloads/source.h"

enum { MOST_POOLS = 16, MOST_STEPS = 2, MOST_DELAYS = 8 };

/* Replicas of one kind: a model on a device, with its engine, policies and memory. */
struct pool_config {
    const char *name;
    struct replica_config replica;
    struct executor executor; /* of one that has no stages */
    size_t stations;          /* each has a queue and KV blocks of its own */
    /* Replicas of a station, which share its queue and its blocks: the micro-batches of a pipeline, each of which goes
     * through `stage_executors` [tied]; or, without these, a pair. 1: a replica is by itself. */
    size_t tied;
    const struct executor *stage_executors;
    struct pipeline_link stage_link;
    size_t ranks;           /* stations i·ranks … step together, since they share experts; 1: each for itself */
    uint32_t max_sequences; /* in a batch; asked for where requests come from another replica */
    struct tier_use tiers;  /* of its stations; none: KV that the GPU evicts is lost */
};

/* Chooses among the stations of the next `pools` pools of a cluster. */
struct router_config {
    size_t pools;
    const struct routing_policy *policy;
    const struct param_set *params;
    struct flow_choice choice; /* narrows the pools before */
};

/* Splitwise's mixed pool. A prompt goes to a station of the second step when more prompt tokens than `prefill_above`
 * are before it at the one that it was routed to, and fewer there. A prompt's replica decodes it when all stations of
 * the second step have more outstanding tokens than `decode_above`. */
struct mixed_pool {
    bool asked;
    uint64_t prefill_above, decode_above;
};

/* Requests flow through the delay stations before serving, and then through a station of each step: of one, which
 * serves them whole; or of a first one, which computes their prompts, and a second one, which decodes them. Their
 * answers flow through the delay stations after serving. */
struct cluster_config {
    struct delay_config delays[MOST_DELAYS]; /* [delay_count] in order of the flow */
    size_t delay_count, delays_before;       /* all; those before serving, which come first */
    struct pool_config pools[MOST_POOLS];    /* [pool_count], those of the first step first */
    size_t pool_count;
    struct router_config routers[MOST_STEPS]; /* [step_count] into each step */
    size_t step_count;
    struct kv_wire wire; /* from one step to the next, or between the two of a pair */
    struct mixed_pool mixed;
    struct tier_config tiers[MOST_TIERS]; /* [tier_count] below GPU memory */
    size_t tier_count;
    uint32_t node_gpus;                /* GPUs of a node, which replicas fill in order */
    const struct predictor *predictor; /* NULL: nothing is predicted */
    const struct param_set *predictor_params;
    bool step;                              /* every replica runs one iteration at a time, never a stretch */
    uint64_t seed;                          /* of the predictor's stream */
    sim_time probe_interval;                /* between calls of observer.probed; 0: none */
    struct fleet_config fleets[MOST_POOLS]; /* [fleet_count] of all pools, in order */
    size_t fleet_count;                     /* 0: all replicas are up all the time, and take all requests */
};

/* What runs batches in a pool: micro-batches and both of a pair count by themselves. */
static inline size_t pool_replicas(const struct pool_config *p)
{
    return p->stations * p->tied;
}

size_t cluster_replicas(const struct cluster_config *c);

/* Whether the number of some replicas follows the load. */
bool cluster_scales(const struct cluster_config *c);

/* Whether a replica that decodes what others prefilled may fail, so that they compute prompts again with all tokens so
 * far. */
bool cluster_decoders_may_fail(const struct cluster_config *c);

size_t cluster_stations(const struct cluster_config *c);

/* The pool of a station; stations are counted pool by pool. */
const struct pool_config *cluster_pool_of(const struct cluster_config *c, struct station_id station);

/* The first pool of the last step, where requests decode. */
static inline const struct pool_config *cluster_decode_pool(const struct cluster_config *c)
{
    return &c->pools[c->step_count > 1 ? c->routers[0].pools : 0];
}

struct cluster_totals {
    uint64_t arrived, finished, rejected, lost, unfinished; /* arrived = finished + rejected + lost + unfinished */
    uint64_t failures;                                      /* of replicas */
    uint64_t iterations;
    uint64_t kv_allocated, kv_freed, kv_held, kv_peak, kv_total; /* blocks, over all replicas */
    double kv_block_ns;                                          /* ∫ blocks in use dt */
    uint64_t peak_in_flight;
    struct bubbles bubbles;    /* of pipelines */
    double held_s[MOST_POOLS]; /* Σ time that GPU groups of a pool (a replica has one for each stage) were held */
    struct tier_totals tiers[MOST_TIERS];
    struct kv_transfer_totals transfers; /* from one step to the next */
    sim_time end;                        /* of the last event */
    bool stopped;                        /* by *stop */
};

/* Σ time that GPU groups of all pools were held; and replicas, those of a pipeline once. */
double cluster_held_s(const struct cluster_config *c, const struct cluster_totals *t);
double cluster_replica_held_s(const struct cluster_config *c, const struct cluster_totals *t);

struct cluster;

/* How somebody outside watches, paces and ends a run. */
struct run_control {
    const volatile sig_atomic_t *stop; /* the run ends at the next event when this is not 0; may be NULL */
    /* Called every few thousand events; may be NULL. */
    void (*tick)(void *state, const struct cluster_totals *so_far);
    /* Of a run in real time: called when everything before the event at `next` (SIM_TIME_NEVER: none is to come) has
     * been applied. Returns false when that event is due, true as soon as a source that waits (SOURCE_WAITS) is to be
     * asked again. May be NULL: every event is due at once. */
    bool (*wait)(void *state, struct cluster *c, sim_time next);
    void *state;
};

/* Replays the source to its end, or until it is stopped; `control` may be NULL. Memory grows with the
 * requests in flight only. Unfinished requests are not reported to the observer. */
int cluster_run(const struct cluster_config *config, struct request_source *source, const struct observer *observer,
                const struct run_control *control, struct cluster_totals *totals, struct error *err);

/* For who waits: output tokens that a request in the cluster has, and when the last one comes, which is at the end of
 * the next iteration where an engine schedules ahead; and KV blocks in use, over all replicas. */
uint32_t cluster_generated(const struct cluster *c, const struct request *r, sim_time *last_token);
uint64_t cluster_kv_in_use(const struct cluster *c);

/* The same in steps, for whoever runs parts of a cluster next to each other. */

/* `config`, `source` and `observer` outlive it. Returns 0, or -1 and *out is NULL. */
int cluster_open(const struct cluster_config *config, struct request_source *source, const struct observer *observer,
                 struct cluster **out, struct error *err);
int cluster_replay(struct cluster *c, const struct run_control *control, struct error *err);

/* When the last event was. */
sim_time cluster_ended(const struct cluster *c);

/* Adds to *totals what happened until `end`, at or after the last event. */
void cluster_add_up(struct cluster *c, sim_time end, struct cluster_totals *totals);

void cluster_close(struct cluster *c); /* may be NULL */

#endif
