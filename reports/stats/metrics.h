/* SPDX-License-Identifier: MIT */
/* metrics.h — listens to a run and keeps every metric of it in fixed memory. */
#ifndef TANDEM_REPORTS_STATS_METRICS_H
#define TANDEM_REPORTS_STATS_METRICS_H

#include "base/error.h"
#include "reports/stats/attainment.h"
#include "reports/stats/bands.h"
#include "reports/stats/batch_map.h"
#include "reports/stats/growth.h"
#include "reports/stats/samples.h"
#include "reports/stats/sections.h"
#include "reports/stats/sessions.h"
#include "sim/cluster.h"
#include "sim/scenario.h"

extern const char *const time_part_names[PART_COUNT];

/* A place where requests stay: sums over time, exact in nanoseconds, and of gaps in seconds. The number present,
 * integrated over time, is Σ departure times − Σ arrival times (+ present·now). */
struct station_sums {
    uint64_t arrivals, departures;
    wide_sum arrival_times, departure_times;
    wide_sum stay; /* Σ time each request spent there */
    sim_time last_arrival;
    double gap_sum, gap_squares;       /* between arrivals */
    wide_sum service, service_squares; /* first scheduled → last token, in ns and ns² */
    uint64_t busy_ns;
};

struct replica_metrics {
    struct station_sums system, queue;
    struct queue_growth growth;
    unsigned servers; /* batches that it can have in flight */
    bool estimated;   /* its costs do not tell sources apart: all are estimates */
};

/* A delay station: all of it, and its queue. */
struct delay_metrics {
    struct station_sums system, queue;
    uint64_t answered;
    struct queue_growth growth;
};

/* A tier: reads of it, each of a request. */
struct tier_metrics {
    struct station_sums reads;
};

/* Of the requests that arrived in one section of the run. */
struct request_sums {
    uint64_t arrived, finished;
    uint64_t prompt_tokens, output_tokens, prefix_cached_tokens; /* of those that finished, as the next two */
    uint64_t early_prompt_tokens;                                /* of those that no replica has served */
    struct bands ttft_bands, e2e_bands;                          /* the second has all of their parts */
};

/* Where rows go that are too many to keep in memory. */
struct row_sink {
    void *state;
    void (*add_request)(void *state, struct station_id station, const struct request *r);
    void (*add_point)(void *state, const char *series, sim_time at, double value);
    /* The k-th one of the record. */
    void (*add_iteration)(void *state, const struct iteration_record *record, uint64_t k);
};

/* Gaps between tokens of which a replica that schedules ahead, or a pipeline, tells before they end. They may belong to
 * a section that has not begun, so they are kept apart until then. */
struct gap_ahead {
    sim_time end;
    struct sample_run run; /* count 0: it is `count` gaps of `gap` ns */
    int64_t gap;
    uint64_t count;
};

struct run_metrics {
    struct samples samples[METRIC_COUNT];
    struct run_sections sections;
    struct request_sums sums[SECTIONS_MAX];
    struct attainment attainment;
    struct session_stats sessions;                   /* asked for where the source tells of them */
    struct station_sums system, queue;               /* the whole cluster; waiting for a first batch */
    struct queue_growth queue_growth, decode_growth; /* of the shared queue; of KV on its way to replicas that decode */
    struct replica_metrics *replicas; /* [replica_count]; not fed under central routing but for busy times */
    size_t replica_count;
    struct delay_metrics delays[MOST_DELAYS]; /* of those that there are */
    bool finish_elsewhere;                    /* than at a replica: observer.served is told */
    struct tier_metrics tiers[MOST_TIERS];    /* of those that there are */
    uint64_t handed_over, taken_over;         /* requests, in disaggregated placement */
    double sustainable_per_s; /* largest rate of arrivals, by formula; whoever knows it sets it. NAN: not known */
    double serving_per_s;     /* the same, as far as replicas limit it */
    bool told_ahead;          /* gaps may be: some replica schedules ahead, or is a pipeline */
    struct gap_ahead *gaps_ahead;
    size_t gaps_ahead_count, gaps_ahead_capacity, gaps_ahead_most; /* settled when there are so many */
    uint64_t preemptions, recomputed_tokens;
    uint64_t row_prefills, prefill_rows, row_prompts; /* prefills in rows (padded, packed); rows and prompts in them */
    struct batch_map batches;
    int64_t parts_error;              /* Σ |sum of parts − e2e|; anything but 0 is a bug */
    wide_sum by_source[COST_SOURCES]; /* fine time */
    bool sources;                     /* costs of some pool tell them apart; else all are estimates */
    bool fleet;                       /* replicas come and go */
    uint64_t real_tokens, padded_tokens;
    wide_sum scores;      /* Σ query tokens × keys each attends to, doubled */
    uint64_t heads;       /* sequences that got a token */
    wide_sum sequence_ns; /* ∫ sequences in the batch over busy time */
    uint64_t iterations;
    const char *reject_reason, *lose_reason; /* of the first one rejected, and lost */
    bool out_of_memory;
    uint64_t keep_below;                   /* rows are kept of requests whose hashed id is below */
    sim_time timeseries;                   /* interval, 0: none */
    struct span iterations_kept;           /* rows are kept of iterations that start in it */
    uint64_t point_finished, point_tokens; /* when the last point was taken */
    sim_time point_busy;
    struct row_sink sink; /* state NULL: rows are not kept */
};

/* The scenario must outlive the metrics. Release also after a failure. */
int run_metrics_init(struct run_metrics *m, const struct scenario *s, struct error *err);
void run_metrics_release(struct run_metrics *m);
/* Nothing more will be told: takes in what was told ahead. */
void run_metrics_settle(struct run_metrics *m);
struct observer run_metrics_observer(struct run_metrics *m);

/* Where parts of a cluster run next to each other, each has metrics of its own, and one has those of the whole. */

/* Request `id` arrives at another part: sections begin as if it had come here. Times may not go back, but an arrival
 * may be told before anything that happens at its time or later. Returns whether a section begins. */
bool run_metrics_passes(struct run_metrics *m, uint64_t id, sim_time at);

/* The same of those of the whole, which are told of every request. */
bool run_metrics_sees(struct run_metrics *m, uint64_t id, sim_time at);

/* Takes in what a part has kept, whose first station is `first` of the whole's: what one run of the whole would have
 * kept. All parts have been told of the same arrivals. */
void run_metrics_absorb(struct run_metrics *into, struct run_metrics *part, struct station_id first);

/* A station in the words of queueing theory. Times in seconds, rates per second. */
struct station_summary {
    char name[80]; /* "system", "queue", "replica:0", "replica:0/queue", "delay:NAME", "delay:NAME/queue", "tier:NAME";
                      of a delay station of another kind the kind's name for "delay" */
    unsigned servers; /* 0: as many as there are requests */
    double arrival_rate, service_rate, busy, utilization, number, queue_number, stay_s, wait_s, arrival_scv,
        service_scv, little_residual;
    bool answers; /* a delay station of a kind that may answer a request, which it has done for so many: */
    uint64_t answered;
};

/* A tier below GPU memory over the whole run: its reads, and what it holds. */
struct tier_summary {
    struct station_summary reads;
    struct tier_totals totals;
    double hit_rate; /* tokens that requests loaded, over the tokens that they had when they were admitted */
};

/* KV cache memory of one replica of a pool, and how many requests fit in it at once. */
struct kv_size {
    const char *pool; /* its name; lives as long as the scenario */
    uint64_t blocks, tokens;
    uint32_t longest_tokens; /* of a request, by the model */
    double at_longest;       /* requests of that length: vLLM's "maximum concurrency" */
    double at_mean;          /* of the mean length of those that finished; NAN without */
};

/* Latencies, rates of requests and tokens, shares of time and the verdict are of what arrived after the warm-up's cut.
 * What replicas did (busy, batches, padding, KV, costs) and stations are of the whole run: so is Little's law. */
struct run_summary {
    struct cluster_totals totals;
    struct warmup_cut warmup;
    struct summary metrics[METRIC_COUNT];  /* nanoseconds, after the cut */
    struct summary all[METRIC_COUNT];      /* of every request that finished */
    struct summary alone;                  /* E2E of the same requests by themselves; count 0: not asked for */
    uint64_t prompt_tokens, output_tokens; /* of all requests that finished */
    struct station_summary system, queue;
    struct station_summary delays[MOST_DELAYS]; /* [delay_count] */
    size_t delay_count;
    struct tier_summary tiers[MOST_TIERS]; /* [tier_count] */
    size_t tier_count;
    struct session_summary sessions;
    struct estimate wait_99; /* mean wait in seconds, after the cut, with its 99 % interval */
    struct slo_verdict slo;
    double duration_s; /* the whole run's */
    double requests_per_s, input_tokens_per_s, output_tokens_per_s, goodput_per_s;
    double load, sustainable_per_s; /* rate of arrivals over the largest one, by formula; NAN where it is not known */
    double utilization; /* share of the time that replicas are held in which they are busy; no load, where they batch */
    double padding_waste, mean_batch_sequences, mean_batch_tokens, mfu;
    double mean_kv_use, peak_kv_use; /* of all replicas' blocks: over the whole run; each replica's most */
    struct kv_size kv[MOST_POOLS];   /* [pool_count] */
    size_t pool_count;
    double bubble_share; /* of the stages' time while their pipeline had something in flight; NAN without */
    double source_share[COST_SOURCES]; /* of busy time; the rest is host work */
    double part_share[PART_COUNT];     /* of all finished requests' time */
    bool overloaded;                   /* some station's queue grew as long as requests came */
    char overloaded_station[80];       /* which */
    uint64_t preemptions, recomputed_tokens;
    double replica_hours;                 /* that replicas were held */
    double prefix_hit_rate;               /* prompt tokens found in the pool, computed by others, over all */
    double prefill_rows, prompts_per_row; /* of a prefill in rows: padded rows or packed bins; NAN without */
};

/* The station of one replica, or of its queue. */
struct station_summary run_metrics_station(const struct run_metrics *m, const struct scenario *s,
                                           struct station_id station, bool queue, double duration_s);

/* A delay station, or its queue. */
struct station_summary run_metrics_delay(const struct run_metrics *m, const struct scenario *s, size_t delay,
                                         bool queue, double duration_s);

/* Time parts by percentile of the TTFT and of the E2E, after the cut; the caller releases both, also after a failure.
 * Returns 0, or -1 when memory is short. */
int run_metrics_bands(const struct run_metrics *m, size_t sections_cut, struct bands *ttft, struct bands *e2e);

/* Fails on lack of memory, or when an invariant is broken (time parts, Little's law, KV blocks). */
int run_metrics_summarise(struct run_metrics *m, const struct scenario *s, const struct cluster_totals *totals,
                          struct run_summary *out, struct error *err);

#endif
