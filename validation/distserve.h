/* SPDX-License-Identifier: MIT */
/* distserve.h — SLO attainment of the measured runs that DistServe's authors published, next to simulated ones.
 *
 * A folder holds a file for each run (arrival, lengths, first token and completion of every request; its name says
 * system, pools, requests and rate) and profiler.vllm.json and profiler.distserve.json, both engines' costs as the
 * authors fitted them to single forward passes: prefill a + b Σ tokens + c Σ tokens², decode a + b Σ context + c batch
 * size in ms, the latter with other constants from a threshold on. Nothing is fitted to the runs. */
#ifndef TANDEM_VALIDATION_DISTSERVE_H
#define TANDEM_VALIDATION_DISTSERVE_H

#include <stddef.h>

#include "base/json.h"
#include "simulation/simulation.h"

enum { DISTSERVE_NAME = 64 };

/* Shares of requests within 0.2 s to the first token, within 0.1 s a token after it, and within both: the authors'
 * limits for this model and workload. */
struct attained {
    double ttft, tpot, both;
};

/* Forward passes as fitted; or with what the authors' own simulator adds to each: 2 ms and 0.1 µs a token of context,
 * for Ray, and 1 ms a prefill. */
enum distserve_costs { DISTSERVE_FORWARD, DISTSERVE_WITH_RAY, DISTSERVE_COSTS };

struct distserve_run {
    char name[DISTSERVE_NAME]; /* of its file, without .jsonl */
    bool disaggregated;
    unsigned prefill_tp, decode_tp;
    size_t requests;
    double rate_per_s;
    const char *refused; /* why it cannot be simulated, or NULL */
    struct attained measured, simulated[DISTSERVE_COSTS];
};

struct distserve_runs {
    struct distserve_run *items; /* by system, rate and number of requests; owned */
    size_t count;
};

/* Reads what was measured. Release with distserve_release, also on failure. */
int distserve_read(const char *folder, struct distserve_runs *out, struct error *err);
void distserve_release(struct distserve_runs *runs);

/* Changes a run's scenario before it is simulated; 0, or -1 on failure. */
struct distserve_change {
    int (*apply)(const void *state, struct json *scenario, struct error *err);
    const void *state;
};

/* Simulates a run that is not refused under both costs; `change` may be NULL. */
int distserve_simulate(const char *folder, struct distserve_run *run, const struct distserve_change *change,
                       struct error *err);

#endif
