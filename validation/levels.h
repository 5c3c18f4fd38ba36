/* SPDX-License-Identifier: MIT */
/* levels.h — what benchmarks measured of a server, one load level after another, whichever program measured it.
 *
 * Read are, told apart by what is in them: vLLM's `bench serve` (also several results appended to one file), GuideLLM's
 * report, AIPerf's and genai-perf's summary, inference-perf's stages, a CSV file with a line a level, AIConfigurator's
 * operating points (points.h), and folders as measured.h reads them. Each form is one form_*.c. */
#ifndef TANDEM_VALIDATION_LEVELS_H
#define TANDEM_VALIDATION_LEVELS_H

#include "base/json.h"
#include "reports/stats/latencies.h"

enum { LEVEL_NAME = 96, LEVEL_TRACE = 512 };

enum level_load {
    LOAD_CLOSED,  /* clients, each with one request at a time */
    LOAD_RATE,    /* requests a second */
    LOAD_AT_ONCE, /* all requests at the start */
    LOAD_STAMPED, /* requests at known instants */
};

/* Of one request; `tpot_s` is NAN below two output tokens. */
struct level_request {
    double arrival_s, prompt_tokens, output_tokens;
    double ttft_s, tpot_s, e2e_s;
};

struct level {
    char name[LEVEL_NAME]; /* "16 clients", "2.5 requests/s" */
    enum level_load load;
    double concurrency, rate_per_s, cv;            /* as the load needs them; of gaps between arrivals */
    double requests, prompt_tokens, output_tokens; /* how many, and means of their lengths */
    bool drawn;                                    /* lengths were drawn from 0.8 of the stated ones upwards */
    struct level_request *sent;                    /* [sent_count] by arrival, where the form has them; owned */
    size_t sent_count, sent_capacity;
    char trace[LEVEL_TRACE];                                /* a file that holds those requests, or "" */
    double measured[MEASURED_METRICS][MEASURED_STATISTICS]; /* in seconds; NAN: not known */
};

struct levels {
    struct level *items; /* owned */
    size_t count, capacity;
    cJSON *scenario; /* model, device, engine and cluster where the form states them; owned; NULL: it does not */
};

/* Adds the levels of a file or folder; `device` is for forms that state their scenario, and may be NULL elsewhere.
 * Release with levels_release, also on failure. */
int levels_read(const char *path, const char *device, struct levels *out, struct error *err);
void levels_release(struct levels *levels);

/* The scenario of a level: `base` with the level's workload, in which all requests count. `base` stays the caller's,
 * and the result is, too. Lengths that are known request by request come from `trace`, which level_write_trace has
 * written; where arrivals are not, they are drawn from it. */
int level_scenario(const struct level *level, const cJSON *base, const char *trace, cJSON **out, struct error *err);

/* Writes the requests of a level as a trace. */
int level_write_trace(const struct level *level, const char *file, struct error *err);

/* Statistics of `count` requests from `first` on, of those that have them. */
int level_statistics(const struct level_request *requests, size_t first, size_t count,
                     double out[MEASURED_METRICS][MEASURED_STATISTICS], struct error *err);

#endif
