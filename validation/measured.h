/* SPDX-License-Identifier: MIT */
/* measured.h — a simulated run next to a measured server's run of the same requests.
 *
 * A measured run is a folder with requests.jsonl (one request a line: input_toks, output_toks, arrival_time on the wall
 * clock, queued_ts, first_token_ts and last_token_ts on a monotonic one) and meta.json (the engine's settings), as
 * LLMServingSim's benchmark of a vLLM server writes them; prefix_hashes.jsonl next to them says which prompts share
 * prefixes. */
#ifndef TANDEM_VALIDATION_MEASURED_H
#define TANDEM_VALIDATION_MEASURED_H

#include "base/json.h"
#include "reports/stats/latencies.h"
#include "simulation/simulation.h"

/* Reads what the server took. The clocks are aligned by the request that waited least to be queued:
 * min(queued_ts − arrival_time). */
int measured_read(const char *folder, struct latencies *out, struct error *err);

/* The scenario of the run: its requests as a trace, its model, and the scheduler's limits, KV blocks, parallel degrees
 * and whether it schedules ahead from meta.json (as the engine does by default, when it does not say); links from
 * config.json, where there is one; the engine preset is vllm-0.19 for any vLLM;
 * `device` is a device or profile. The caller owns out. */
int measured_scenario(const char *folder, const char *device, struct json *out, struct error *err);

/* Where the folder holds prefix_hashes.jsonl (the same requests in the same order, with hashes of their blocks), makes
 * it the scenario's trace: prompts share what the server's shared. Fails when its lengths are not those that the server
 * took. *found says whether there was one. */
int measured_share_prefixes(const char *folder, struct json *scenario, bool *found, struct error *err);

/* Runs the scenario, which the simulation has open, and collects its latencies; every request gets a row in `store`,
 * unless that is NULL. A rejected request is an error: the server took it. */
int measured_simulate(struct simulation *s, struct store *store, struct latencies *out, struct error *err);

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
