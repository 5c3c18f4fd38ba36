/* SPDX-License-Identifier: MIT */
/* tandem.h — simulate the serving of large language models from a program of your own.
 *
 *     tandem_error err;
 *     tandem_run *run = tandem_open("default", &err);
 *     if (run && tandem_set(run, "cluster.replicas", "2", &err) == 0 && tandem_simulate(run, &err) == 0)
 *         printf("p99 TTFT %.3f s\n", tandem_metric(run, "ttft_s", "p99"));
 *     tandem_close(run);
 *
 * Compile and link with `pkg-config --cflags --libs tandem`.
 *
 * Functions that can fail return -1 or NULL and fill the error, one sentence that names the place, what was found and
 * what is allowed; `err` may be NULL. A run belongs to one thread at a time, but for tandem_stop; any number of runs go
 * on side by side. Nothing is printed, and nothing is written but what tandem_keep is told to. No code is loaded but
 * what tandem_plugin_load is told to.
 *
 * Stable, within a major version: the names and arguments of these functions, the fields of these structs in their
 * order (new ones come at the end, and callers say how large theirs is), and the meaning of scenarios and of metric
 * names. Not stable: figures, which follow the models and the cost profiles; each release says what changed. */
#ifndef TANDEM_H
#define TANDEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined __GNUC__
#define TANDEM_API __attribute__((visibility("default")))
#else
#define TANDEM_API
#endif

#define TANDEM_API_MAJOR 1
#define TANDEM_API_MINOR 1

/* The library's version, "0.1.0", and its API's, which is compatible where the major number is TANDEM_API_MAJOR. */
TANDEM_API const char *tandem_version(void);
TANDEM_API int tandem_api_major(void);

enum {
    TANDEM_OK = 0,
    TANDEM_BAD_INPUT = 1, /* a scenario, a path or a value is wrong */
    TANDEM_IO = 2,        /* a file cannot be read or written */
    TANDEM_NO_MEMORY = 3,
    TANDEM_FAILED = 4 /* the run itself */
};

typedef struct tandem_error {
    int code;
    char text[1024];
} tandem_error;

/* Loads a plug-in, a shared object that brings policies (docs/plugins.md), for all runs of the process until it ends;
 * scenarios name its policies like those that are built in. A path without '/' is of the current folder. It is the only
 * way that code gets in: a scenario or a database never loads any. The object's constructors run before it can be
 * checked, so loading a plug-in is trusting it. Fails, and brings nothing, where the file cannot be loaded, is loaded
 * already, was compiled for another version, or brings a policy whose name there is already. Call it before the runs
 * that name its policies are simulated; other runs may go on meanwhile. */
TANDEM_API int tandem_plugin_load(const char *path, tandem_error *err);

/* A scenario, and what came of simulating it. */
typedef struct tandem_run tandem_run;

/* Opens a scenario: a file, or the name of one that is shipped; or its JSON text. NULL on failure. */
TANDEM_API tandem_run *tandem_open(const char *scenario, tandem_error *err);
TANDEM_API tandem_run *tandem_open_text(const char *json, tandem_error *err);

/* Sets the value at a dotted path ("policy.batching.token_budget"), which is JSON or, where it is not, a string. It
 * counts from the next simulation on. */
TANDEM_API int tandem_set(tandem_run *run, const char *path, const char *value, tandem_error *err);

/* A request that was served. Times are in seconds. */
typedef struct tandem_request {
    uint64_t id;
    uint64_t station; /* where it finished; UINT64_MAX: a response cache has answered it */
    uint32_t prompt_tokens, output_tokens, cached_tokens, preemptions;
    double arrival_s, first_scheduled_s, first_token_s, last_token_s; /* instants */
    double answered_s; /* when the answer had left the last delay station after serving; else as last_token_s */
} tandem_request;

/* Is told of every request as it finishes; set before a simulation, NULL for nobody. `size` is sizeof(tandem_request):
 * fails where the caller knows more fields than the library, which is older then. */
TANDEM_API int tandem_on_finished(tandem_run *run, void (*finished)(void *state, const tandem_request *request),
                                  void *state, size_t size, tandem_error *err);

/* Simulates the scenario as it stands, from its start. It may be simulated again after tandem_set; what is asked below
 * is of the last time. */
TANDEM_API int tandem_simulate(tandem_run *run, tandem_error *err);

/* Ends the simulation that goes on in another thread, or the next one; it is summarised as far as it has come. */
TANDEM_API void tandem_stop(tandem_run *run);

/* A latency in seconds: `metric` is ttft_s, tpot_s, itl_s, e2e_s, normalized_s or queue_s, `statistic` mean, p50, p90,
 * p95, p99, p99.9, min or max. NAN for what is unknown or was not measured. */
TANDEM_API double tandem_metric(const tandem_run *run, const char *metric, const char *statistic);

/* Its 95 % interval, where there is one; else both are NAN. */
TANDEM_API void tandem_interval(const tandem_run *run, const char *metric, const char *statistic, double *low,
                                double *high);

/* What a run has one number of: requests_per_s, goodput_per_s, slo_attainment, busy, kv_use_mean and the others with
 * statistic `value` in docs/database.md; arrived, finished, rejected, lost, unfinished, iterations. NAN for what is
 * unknown. */
TANDEM_API double tandem_value(const tandem_run *run, const char *name);

/* The names that these take, from index 0 on; NULL after the last. Those of values are of a run that was simulated, and
 * each is valid until the next is asked for.
 * Since 1.1. */
TANDEM_API const char *tandem_metric_name(size_t index);
TANDEM_API const char *tandem_statistic_name(size_t index);
TANDEM_API const char *tandem_value_name(tandem_run *run, size_t index);

/* 1: the SLO is met; 0: it is not; -1: none was asked. */
TANDEM_API int tandem_slo_met(const tandem_run *run);

/* The name of the SLO target that is closest to its limit, or farthest beyond; "" without. Valid until the next
 * simulation. */
TANDEM_API const char *tandem_slo_binding(const tandem_run *run);

/* The database that tandem_keep writes to, made where there is none (docs/database.md); NULL for none. Name it before
 * the simulation: rows that "output" asks for are gathered for it meanwhile. */
TANDEM_API int tandem_keep_in(tandem_run *run, const char *database, tandem_error *err);

/* Writes the last simulation there, whole or not at all. Returns its number there, or -1. */
TANDEM_API int64_t tandem_keep(tandem_run *run, tandem_error *err);

/* `run` may be NULL. */
TANDEM_API void tandem_close(tandem_run *run);

#ifdef __cplusplus
}
#endif

#endif
