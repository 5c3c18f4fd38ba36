/* SPDX-License-Identifier: MIT */
/* cluster.h — replicas behind a router, fed by a workload, until everything has been served. */
#ifndef TANDEM_SIM_CLUSTER_H
#define TANDEM_SIM_CLUSTER_H

#include <signal.h>

#include "sim/fleet.h"
#include "sim/pair.h"
#include "sim/pipeline.h"
#include "sim/predictor.h"
#include "sim/replica.h"
#include "workloads/source.h"

struct cluster_config {
    struct replica_config replica;
    size_t replicas;
    size_t group; /* replicas i·group … step together: ranks that share experts; 1: each for itself */
    /* Replicas i·tied … share a queue and a KV pool: the micro-batches of one that is a pipeline, each of which goes
     * through `stage_executors` [tied]; or, without these, the two of a pair. 1: the replicas are by themselves. Not
     * together with ranks. */
    size_t tied;
    const struct executor *stage_executors;
    struct pipeline_link stage_link;
    /* Disaggregated placement: the first so many replicas prefill, the others decode; 0: every replica does both. */
    size_t prefill_replicas;
    struct replica_config decode;
    struct executor decode_executor;
    size_t decode_tied; /* as `tied` and the two after it, of those that decode; 1: by themselves */
    const struct executor *decode_stage_executors;
    struct pipeline_link decode_stage_link;
    uint32_t decode_max_sequences; /* in a batch of theirs, those whose KV is on its way included */
    struct kv_wire wire;
    const struct routing_policy *decode_routing; /* among replicas that decode */
    const struct param_set *decode_routing_params;
    /* Mixed pool: a prompt goes to a decode replica when more prompt tokens than prefill_above are before it at the
     * prefill replica and fewer there; a prompt's replica decodes it when every decode replica has more outstanding
     * tokens than decode_above. */
    bool mixed;
    uint64_t prefill_above, decode_above;
    const struct routing_policy *routing;
    const struct param_set *routing_params;
    const struct predictor *predictor; /* NULL: nothing is foretold */
    const struct param_set *predictor_params;
    bool step;                 /* every replica runs one iteration at a time, never a stretch */
    uint64_t seed;             /* of the predictor's stream */
    sim_time probe_interval;   /* between calls of observer.probed; 0: none */
    struct fleet_config fleet; /* failures, autoscaling, admission: of replicas that are by themselves */
};

/* What stands for a replica in the metrics: those that are tied are one. Stations that prefill come first. */
static inline size_t cluster_stations(const struct cluster_config *c)
{
    size_t prefill = c->prefill_replicas;
    return prefill ? prefill / c->tied + (c->replicas - prefill) / c->decode_tied : c->replicas / c->tied;
}

/* Batches that a station can have in flight. */
static inline size_t cluster_station_servers(const struct cluster_config *c, size_t station)
{
    return c->prefill_replicas && station >= c->prefill_replicas / c->tied ? c->decode_tied : c->tied;
}

struct cluster_totals {
    uint64_t arrived, finished, rejected, lost, unfinished; /* arrived = finished + rejected + lost + unfinished */
    uint64_t failures;                                      /* of replicas */
    uint64_t iterations;
    uint64_t kv_allocated, kv_freed, kv_held, kv_peak, kv_total; /* blocks, over all replicas */
    double kv_block_ns;                                          /* ∫ blocks in use dt */
    uint64_t peak_in_flight;
    struct bubbles bubbles; /* of pipelines */
    double held_s[2];       /* Σ time that GPU groups (a replica has one for each stage) were held: all or those that
                               prefill; those that decode */
    sim_time end;           /* of the last event */
    bool stopped;           /* by *stop */
};

/* Σ time that replicas were held, those of a pipeline once. */
static inline double cluster_held_s(const struct cluster_config *c, const struct cluster_totals *t)
{
    return t->held_s[0] / (double)(c->stage_executors ? c->tied : 1) +
           t->held_s[1] / (double)(c->decode_stage_executors ? c->decode_tied : 1);
}

/* How somebody outside watches and ends a run. */
struct run_control {
    const volatile sig_atomic_t *stop; /* the run ends a few hundred events after this is not 0; may be NULL */
    /* Called every few thousand events; may be NULL. */
    void (*tick)(void *state, const struct cluster_totals *so_far);
    void *state;
};

/* Replays the source to its end, or until it is stopped; `control` may be NULL. Memory grows with the
 * requests in flight only. Unfinished requests are not reported to the observer. */
int cluster_run(const struct cluster_config *config, struct executor executor, struct request_source *source,
                const struct observer *observer, const struct run_control *control, struct cluster_totals *totals,
                struct error *err);

#endif
