/* SPDX-License-Identifier: MIT */
/* trial.h — one replication of a scenario: what goes in, and what a planner learns from it. Both travel between
 * threads and machines, so they hold no pointers into anything else. */
#ifndef TANDEM_PLANNER_TRIAL_H
#define TANDEM_PLANNER_TRIAL_H

#include "base/error.h"
#include "reports/stats/metrics.h"

/* What may be asked "how far can this go?" of: every one multiplies what the scenario says. */
enum scale {
    SCALE_RATE,
    SCALE_PROMPT,
    SCALE_OUTPUT,
    SCALE_TIME,
    SCALE_LIMITS, /* divides what it says: the SLO's limits on latencies, so that a larger one is harder to meet */
    SCALE_COUNT,
    SCALE_ASKED = SCALE_LIMITS /* how many an answer tells the headroom of */
};

/* At the end of a binding whose value is infinite, because more requests are not served than its percentile may miss:
 * the margin is log(allowed / not served). */
#define BINDING_UNSERVED " (not served)"

extern const char
    *const scale_names[SCALE_COUNT]; /* "rate", "prompt lengths", "output lengths", "kernel times", "limits" */

struct trial {
    const char *scenario; /* JSON text */
    uint64_t seed;
    double scales[SCALE_COUNT]; /* 0 of SCALE_LIMITS is 1 */
    bool keep_rows;             /* the run is to go into a database */
    const char *label;          /* what it is called there; NULL: by its key (memory.h) */
};

/* GPUs of one pool. */
struct held_gpus {
    char pool[64], device[64];
    double gpus;                 /* at most */
    double mean;                 /* held, over the run */
    double together;             /* of one replica, which are to be in one node where they fit in; 0: 1 */
    double price_per_h, power_w; /* of one, as the device says; 0 where it does not */
};

struct trial_result {
    bool failed; /* the input is wrong, or the run broke: `message` says how, and nothing else holds */
    enum error_code code;
    char message[512];
    double metrics[METRIC_COUNT][STAT_COUNT]; /* seconds; NAN: nothing measured */
    double margin;                            /* of the SLO (attainment.h); below 0 where the run is overloaded */
    char binding[96];                         /* whose that is */
    double attainment, goodput_per_s, requests_per_s, tokens_per_s; /* tokens: prompts' and outputs' */
    double utilization, duration_s, wall_s;
    struct held_gpus held[MOST_POOLS]; /* [pool_count] */
    size_t pool_count;
    uint64_t arrived, finished, rejected;
    char reason[96]; /* why one of those that did not finish was not served; "": all finished */
    bool slo_met, overloaded;
    void *rows; /* [row_bytes] a database that holds this run alone, for who keeps it; NULL: not asked for, or taken */
    size_t row_bytes;
};

/* Runs it, with costs that trials share; NULL: with its own. Returns -1 on lack of memory or when *stop is set;
 * whatever else goes wrong is the result's. */
int trial_run(const struct trial *t, const volatile sig_atomic_t *stop, struct shared_costs *costs,
              struct trial_result *out, struct error *err);

/* The GPUs of a pool as a scenario has them, held all the time. */
struct scenario;
void trial_take_held(const struct scenario *s, size_t pool, struct held_gpus *out);

/* Gives a scenario one more technique: all times take so much longer. As SCALE_TIME does. */
int trial_scale_times(cJSON *scenario, double factor, struct error *err);

/* GPUs that all pools held, on average. */
double trial_gpus(const struct trial_result *r);

/* A statistic by its name: "ttft_s.p99", "goodput_per_s", "margin", … Returns false where there is none so called. */
bool trial_value(const struct trial_result *r, const char *name, double *out);

/* Mean arrivals a second of a scenario's workload, as it stands; fails for closed loops, which have none. */
int trial_base_rate(const struct json *scenario, double *rate_per_s, struct error *err);

#endif
