/* SPDX-License-Identifier: MIT */
/* validate_measured.h — a simulated run beside a measured server's run of the same requests.
 *
 * A measured run is a folder with requests.jsonl (one request a line: input_toks, output_toks, arrival_time on the wall
 * clock, queued_ts, first_token_ts and last_token_ts on a monotonic one) and meta.json (the engine's settings), as
 * LLMServingSim's benchmark of a vLLM server writes them. */
#ifndef TANDEM_REPORTS_VALIDATE_MEASURED_H
#define TANDEM_REPORTS_VALIDATE_MEASURED_H

#include "base/json.h"
#include "reports/metrics.h"

enum { MEASURED_METRICS = 3, MEASURED_STATISTICS = 5 };

extern const enum metric measured_metrics[MEASURED_METRICS];       /* TTFT, TPOT, E2E */
extern const char *const measured_statistics[MEASURED_STATISTICS]; /* mean p50 p90 p95 p99 */

/* Latencies in seconds, a value a request; TPOT of those with more than one output token only. */
struct latencies {
    double *at[MEASURED_METRICS]; /* owned */
    size_t count[MEASURED_METRICS], capacity[MEASURED_METRICS];
};

void latencies_release(struct latencies *l);

/* Adds a request; TPOT is left out below two output tokens. Returns 0, or -1 when memory is short. */
int latencies_add(struct latencies *l, double ttft_s, double e2e_s, uint32_t output_tokens);

/* Reads what the server took. The clocks are aligned by the request that waited least to be queued:
 * min(queued_ts − arrival_time). */
int measured_read(const char *folder, struct latencies *out, struct error *err);

/* The scenario of the run: its requests as a trace, its model, and the scheduler's limits, KV blocks, parallel degrees
 * and whether it schedules ahead from meta.json (as the engine does by default, when it does not say); links from
 * config.json, where there is one; the engine preset is vllm-0.19 for any vLLM;
 * `device` is a device or profile. The caller owns out. */
int measured_scenario(const char *folder, const char *device, struct json *out, struct error *err);

/* Simulates the scenario and collects its latencies; every row goes to `rows`, too, unless that has no state. `m` is
 * initialised here and released by the caller. A rejected request is an error: the server took it. */
int measured_simulate(const struct scenario *s, struct run_metrics *m, struct row_sink rows, struct latencies *out,
                      struct run_summary *summary, struct error *err);

struct comparison {
    double measured[MEASURED_METRICS][MEASURED_STATISTICS], simulated[MEASURED_METRICS][MEASURED_STATISTICS];
    double error[MEASURED_METRICS][MEASURED_STATISTICS]; /* simulated / measured − 1 */
    double mean_absolute, worst_absolute;
};

/* Percentiles are interpolated between order statistics, as numpy does. Sorts both. */
void latencies_compare(struct latencies *measured, struct latencies *simulated, struct comparison *out);

/* Host work of an iteration and of a sequence in it, and the mean absolute error that they leave. */
struct host_fit {
    double host_ns, host_ns_per_sequence;
    double before, after; /* without any, and with these */
    unsigned runs;        /* simulations that it took */
    bool shown;           /* the run shows host work; where it hides behind the GPU, both are 0 */
};

/* Fits both to a measured run: the values, at least 0, of least mean absolute error over the 15 statistics (Nelder and
 * Mead's simplex). `root` is the run's scenario and stays the caller's. */
int measured_fit_host(const char *folder, const struct json *root, struct host_fit *out, struct error *err);

#endif
