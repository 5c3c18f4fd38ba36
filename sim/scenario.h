/* SPDX-License-Identifier: MIT */
/* scenario.h — a scenario file, checked and compiled: everything that one run needs but its seed's requests. */
#ifndef TANDEM_SIM_SCENARIO_H
#define TANDEM_SIM_SCENARIO_H

#include "profiles/engine_server.h"
#include "sim/cluster.h"
#include "sim/slo.h"

/* Pipeline parallelism: the stages of a pool's replicas after the first one; empty without. */
struct stages {
    struct cost_model *costs; /* [count] */
    size_t count;
    struct executor *executors; /* [count + 1] of all stages */
};

/* What a scenario says of a pool, and what that costs. */
struct pool {
    struct json at;                /* the object that describes it; node NULL where nothing does */
    long long replicas, kv_blocks; /* 0 blocks: as the policy says, or as many as fit */
    const char *model, *device;
    struct json engine_at;
    struct engine_server server; /* what holds where neither the pool nor the policy says anything */
    struct parallel parallel;
    double stage_bytes_per_s, stage_latency_ns; /* between pipeline stages; below 0: as the device says */
    struct cost_model cost;                     /* of the first stage */
    struct stages stages;
    struct param_set batching_params;
};

/* Simulated time from one instant until before another. */
struct span {
    sim_time from, to;
};

enum warmup_rule { WARMUP_NONE, WARMUP_MSER5 };

struct shared_costs;

struct scenario {
    struct json root;           /* owned */
    struct shared_costs *costs; /* compiled ones are borrowed here; NULL: it makes its own */
    char name[128];
    uint64_t seed;
    struct pool *pools; /* [cluster.pool_count] owned, as cluster.pools */
    struct cluster_config cluster;
    struct param_set order_params, predictor_params, routing_params[MOST_STEPS];
    struct slo slo;
    enum warmup_rule warmup;
    double keep_requests;   /* share of the requests that get a database row each */
    sim_time timeseries;    /* interval of the time series; 0: none */
    struct span iterations; /* that get a database row each; empty: none */
};

/* All that a scenario may hold, as an object. */
extern const struct field scenario_field;

/* Checks and compiles root, which the scenario then owns, also on failure. Release with scenario_release. */
int scenario_compile(struct scenario *out, struct json root, struct error *err);

/* The same with costs that others share, which outlive it; NULL: nobody. */
int scenario_compile_with(struct scenario *out, struct json root, struct shared_costs *costs, struct error *err);
void scenario_release(struct scenario *s);

/* Whether its rows are too many to keep in memory (requests, time series, iterations). */
static inline bool scenario_keeps_rows(const struct scenario *s)
{
    return s->keep_requests > 0 || s->timeseries > 0 || s->iterations.to > s->iterations.from;
}

/* The model and device that stand for the scenario: those of its first pool. */
static inline const struct cost_model *scenario_cost(const struct scenario *s)
{
    return &s->pools[0].cost;
}

/* What holds for a key of "policy" in a pool since its engine's server starts with it; node NULL where the scenario
 * says it itself, or the engine nothing. */
struct json scenario_server_word(const struct scenario *s, size_t pool, const char *key);

/* The scenario's workload from its start. */
int scenario_open_workload(const struct scenario *s, struct request_source *out, struct error *err);

#endif
